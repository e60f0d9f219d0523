/*
 * store_dir_test.c: the suite on a directory, and what a directory alone can meet.
 */
#include "test/store/conformance.c"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void) status;
	(void) kind;
	(void) where;
	return remove(path);
}

static void
dir_make(void)
{
	(void) snprintf(root, sizeof(root), "/tmp/fha-store-XXXXXX");
	if (mkdtemp(root) == NULL)
		abort();
}

static void
dir_unmake(void)
{
	if (nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		abort();
}

static FhaStore *
dir_open(void)
{
	FhaStoreSettings settings = {0};
	FhaStore *store;
	char url[80];

	(void) snprintf(url, sizeof(url), "dir:%s", root);
	if (fha_store_url_parse(&settings, url, NULL) != FHA_OK ||
		fha_store_open(&store, &settings, NULL) != FHA_OK)
		abort();
	return store;
}

static const StoreFixture dir_fixture = {
	.make = dir_make,
	.unmake = dir_unmake,
	.open = dir_open,
	.page_objects = FHA_STORE_LIST_MAX + 5,
};

int
main(void)
{
	return store_suite_main(&dir_fixture, NULL, 0);
}
