/*
 * torture_store_test.c: no memory and a failing disk in a directory that is an object store, at each place in turn.
 *
 * Whatever fails, the code is true: OK means that all is there, UNKNOWN that all or nothing of it is, anything else that nothing is.
 * A list that says OK has every object.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/dir/uploads.h"
#include "test/torture/torture.h"

#define MOST 2000
#define OBJECTS 3

static char directory[64];
static FhaStoreRoot root;
static char upload[FHA_STORE_UPLOAD_SIZE];
static FhaStorePart part;

/* --- more calls that fail */

#define REPLACE(type, failed, name, parameters, arguments)             \
	type __real_##name parameters;                                     \
	type __wrap_##name parameters;                                     \
	type __wrap_##name parameters                                      \
	{                                                                  \
		return torture_strikes() ? (failed) : __real_##name arguments; \
	}

REPLACE(ssize_t, -1, pread, (int fd, void *out, size_t size, off_t at), (fd, out, size, at))
REPLACE(int, -1, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
REPLACE(int, -1, fstatat, (int fd, const char *path, struct stat *out, int flags),
		(fd, path, out, flags))
REPLACE(int, -1, renameat, (int from_fd, const char *from, int to_fd, const char *to),
		(from_fd, from, to_fd, to))
REPLACE(int, -1, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
REPLACE(int, -1, ftruncate, (int fd, off_t size), (fd, size))
REPLACE(DIR *, NULL, fdopendir, (int fd), (fd))
REPLACE(struct dirent *, NULL, readdir, (DIR * folder), (folder))

/* --- a directory with some objects and an upload of one part */

static bool
fetch(void *owner, uint64_t at, char *out, size_t size)
{
	if (size > 0)
		memcpy(out, (const char *) owner + at, size);
	return true;
}

static FhaStoreSource
source_of(char *text)
{
	return (FhaStoreSource){.size = strlen(text), .fetch = fetch, .owner = text};
}

static FhaCode
put(const char *key, const char *text, bool if_absent, FhaError *err)
{
	char copy[32];
	FhaStoreSource source;

	(void) snprintf(copy, sizeof(copy), "%s", text);
	source = source_of(copy);
	return fha_store_dir_put(&root, key, &source, if_absent, err);
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void) status;
	(void) kind;
	(void) where;
	return remove(path);
}

static FhaStoreRequest
of_upload(FhaStoreVerb verb)
{
	return (FhaStoreRequest){.verb = verb,
							 .key = "g/up",
							 .upload = upload,
							 .part_size = FHA_STORE_PART_MIN,
							 .number = 1,
							 .parts = &part,
							 .part_count = 1};
}

static FhaCode
put_part(char *text, FhaError *err)
{
	FhaStoreRequest request = of_upload(FHA_STORE_PART);
	FhaStoreSource source = source_of(text);
	FhaStoreResult result = {0};
	FhaCode code;

	request.size = strlen(text);
	code = fha_store_dir_part(&root, &request, &source, &result, err);
	if (code == FHA_OK)
	{
		part = (FhaStorePart){.number = 1, .size = strlen(text)};
		memcpy(part.tag, result.tag, sizeof(part.tag));
	}
	return code;
}

static void
make(void)
{
	FhaStoreRequest request = of_upload(FHA_STORE_BEGIN);
	FhaStoreResult result = {0};
	char text[] = "part";

	(void) nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(mkdir(directory, 0700), 0);
	memset(root.known, 0, sizeof(root.known));
	assert_int_equal(put("there", "old", true, NULL), FHA_OK);
	assert_int_equal(put("f/a", "a", true, NULL), FHA_OK);
	assert_int_equal(put("f/g/i/b", "b", true, NULL), FHA_OK);
	assert_int_equal(fha_store_dir_begin(&root, &request, &result, NULL), FHA_OK);
	(void) snprintf(upload, sizeof(upload), "%s", result.upload);
	fha_store_result_release(&result);
	assert_int_equal(put_part(text, NULL), FHA_OK);
}

/* What an object has; "": there is none. */
static const char *
held(const char *key)
{
	static char text[32];
	char identity[FHA_STORE_TAG_SIZE];
	uint64_t size;
	int64_t modified_s;
	size_t got;
	int fd;
	FhaCode code = fha_store_dir_open_object(&root, key, &fd, identity, &size, &modified_s, NULL);

	memset(text, 0, sizeof(text));
	if (code != FHA_OK)
		return "";
	assert_int_equal(fha_store_dir_read(fd, 0, text, sizeof(text) - 1, &got, NULL), FHA_OK);
	(void) close(fd);
	return text;
}

static void
check_change(FhaCode code, const char *key, const char *before, const char *after)
{
	const char *found = held(key);
	bool is_before = strcmp(found, before) == 0;
	bool is_after = strcmp(found, after) == 0;

	if (code == FHA_UNKNOWN)
		assert_true(is_before || is_after);
	else
		assert_true(code == FHA_OK ? is_after : is_before);
}

/* --- scenes */

typedef struct Scene
{
	FhaCode (*run)(FhaError *err);
	void (*check)(FhaCode code);
} Scene;

static void
act(const Scene *scene, int before, bool *struck)
{
	FhaError err = {.code = FHA_OK, .text = ""};
	FhaCode code = scene->run(&err);

	*struck = torture_end();
	if (code != FHA_OK)
	{
		assert_true(*struck);
		assert_string_not_equal(err.text, "");
	}
	assert_int_equal(torture_descriptors(), before);
	scene->check(code);
}

static void
torture(const Scene *scene)
{
	static const TortureFault faults[] = {{.error = ENOSPC}, {.error = EIO}, {.error = EACCES}};
	bool struck = true;
	long n;

	for (n = 1; struck && n < MOST; n++)
	{
		int before;

		make();
		before = torture_descriptors();
		torture_allocations(n, false);
		act(scene, before, &struck);
	}
	assert_in_range(n, 2, MOST - 1);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		struck = true;
		for (n = 1; struck && n < MOST; n++)
		{
			int before;

			make();
			before = torture_descriptors();
			torture_calls(n, faults[i]);
			act(scene, before, &struck);
		}
		assert_in_range(n, 3, MOST - 1);
	}
}

static FhaCode
run_create(FhaError *err)
{
	return put("g/h/new", "new", true, err);
}

static void
check_create(FhaCode code)
{
	check_change(code, "g/h/new", "", "new");
}

static FhaCode
run_conflict(FhaError *err)
{
	FhaCode code = put("there", "new", true, err);

	return code == FHA_CONFLICT ? FHA_OK : code;
}

static void
check_conflict(FhaCode code)
{
	(void) code;
	assert_string_equal(held("there"), "old");
}

static FhaCode
run_replace(FhaError *err)
{
	return put("there", "new", false, err);
}

static void
check_replace(FhaCode code)
{
	check_change(code, "there", "old", "new");
}

static FhaCode
run_delete(FhaError *err)
{
	const char *keys[] = {"f/g/i/b"};

	return fha_store_dir_delete(&root, keys, 1, err);
}

static void
check_delete(FhaCode code)
{
	check_change(code, "f/g/i/b", "b", "");
}

static FhaCode
run_read(FhaError *err)
{
	char identity[FHA_STORE_TAG_SIZE];
	char text[8] = "";
	uint64_t size = 0;
	int64_t modified_s;
	size_t got = 0;
	int fd;
	FhaCode code = fha_store_dir_stat(&root, "f/a", &size, &modified_s, err);

	if (code == FHA_OK)
		code = fha_store_dir_open_object(&root, "f/a", &fd, identity, &size, &modified_s, err);
	if (code != FHA_OK)
		return code;
	code = fha_store_dir_read(fd, 0, text, sizeof(text), &got, err);
	(void) close(fd);
	if (code == FHA_OK)
		assert_true(got == 1 && size == 1 && text[0] == 'a');
	return code;
}

static void
check_read(FhaCode code)
{
	assert_int_not_equal(code, FHA_NOT_FOUND);
}

static FhaCode
run_list(FhaError *err)
{
	const FhaStoreRequest flat = {.verb = FHA_STORE_LIST, .key = ""};
	const FhaStoreRequest folders = {.verb = FHA_STORE_LIST, .key = "f/", .delimiter = true};
	FhaStoreResult result = {0};
	FhaCode code = fha_store_dir_list(&root, &flat, &result, err);

	if (code == FHA_OK)
		assert_int_equal(result.object_count, OBJECTS);
	fha_store_result_release(&result);
	if (code != FHA_OK)
		return code;
	code = fha_store_dir_list(&root, &folders, &result, err);
	if (code == FHA_OK)
		assert_int_equal(result.object_count, 2);
	fha_store_result_release(&result);
	return code;
}

static FhaCode
run_begin(FhaError *err)
{
	const FhaStoreRequest request = of_upload(FHA_STORE_BEGIN);
	FhaStoreResult result = {0};
	FhaCode code = fha_store_dir_begin(&root, &request, &result, err);

	fha_store_result_release(&result);
	return code;
}

static size_t
count_uploads(void)
{
	const FhaStoreRequest request = {.verb = FHA_STORE_UPLOADS, .key = ""};
	FhaStoreResult result = {0};
	size_t count;

	assert_int_equal(fha_store_dir_uploads(&root, &request, &result, NULL), FHA_OK);
	count = result.object_count;
	fha_store_result_release(&result);
	return count;
}

static void
check_begin(FhaCode code)
{
	if (code == FHA_OK)
		assert_int_equal(count_uploads(), 2);
}

static FhaCode
run_part(FhaError *err)
{
	char text[] = "again";

	return put_part(text, err);
}

static FhaCode
complete(FhaError *err)
{
	FhaStoreRequest request = of_upload(FHA_STORE_COMPLETE);

	request.if_absent = true;
	return fha_store_dir_complete(&root, &request, err);
}

/* What was answered as a part can be completed; what was not is replaced by another try. */
static void
check_part(FhaCode code)
{
	char text[] = "again";

	if (code != FHA_OK)
		assert_int_equal(put_part(text, NULL), FHA_OK);
	assert_int_equal(complete(NULL), FHA_OK);
	assert_string_equal(held("g/up"), "again");
}

static FhaCode
run_complete(FhaError *err)
{
	return complete(err);
}

static void
check_complete(FhaCode code)
{
	check_change(code, "g/up", "", "part");
	if (code != FHA_OK)
		assert_int_equal(complete(NULL), FHA_OK);
	assert_string_equal(held("g/up"), "part");
}

static FhaCode
run_abort(FhaError *err)
{
	const FhaStoreRequest request = of_upload(FHA_STORE_ABORT);

	return fha_store_dir_abort(&root, &request, err);
}

static void
check_abort(FhaCode code)
{
	if (code != FHA_OK)
		assert_int_equal(run_abort(NULL), FHA_OK);
	assert_int_equal(count_uploads(), 0);
	assert_int_equal(complete(NULL), FHA_NOT_FOUND);
}

static FhaCode
run_look(FhaError *err)
{
	const FhaStoreRequest uploads = {.verb = FHA_STORE_UPLOADS, .key = ""};
	const FhaStoreRequest parts = of_upload(FHA_STORE_PARTS);
	FhaStoreResult result = {0};
	FhaCode code = fha_store_dir_uploads(&root, &uploads, &result, err);

	if (code == FHA_OK)
		assert_int_equal(result.object_count, 1);
	if (code == FHA_OK)
		code = fha_store_dir_parts(&root, &parts, &result, err);
	if (code == FHA_OK)
		assert_int_equal(result.part_count, 1);
	fha_store_result_release(&result);
	return code;
}

static FhaCode
run_sweep(FhaError *err)
{
	(void) err;
	fha_store_dir_sweep(&root);
	return FHA_OK;
}

static void
check_sweep(FhaCode code)
{
	(void) code;
	assert_int_equal(count_uploads(), 1);
	assert_string_equal(held("there"), "old");
}

/* A handle from its open to its close, and a call of each kind that is started. */
static FhaCode
run_store(FhaError *err)
{
	static char secret[] = "secret";
	FhaStoreSettings settings = {.kind = FHA_STORE_DIR, .secret = {.text = secret}};
	const char *keys[] = {"f/a", "absent"};
	const FhaStoreRequest requests[] = {
		{.verb = FHA_STORE_STAT, .key = "there"},
		{.verb = FHA_STORE_LIST, .page = "f"},
		{.verb = FHA_STORE_DELETE, .keys = keys, .key_count = 2},
		of_upload(FHA_STORE_COMPLETE),
	};
	FhaStore *store;
	FhaCode code;

	(void) snprintf(settings.path, sizeof(settings.path), "%s", directory);
	code = fha_store_open(&store, &settings, err);
	if (code != FHA_OK)
		return code;
	/* No step: a thread of ASan's cannot begin without memory. */
	for (size_t i = 0; code == FHA_OK && i < sizeof(requests) / sizeof(requests[0]); i++)
		code = fha_store_start(store, &requests[i], NULL, err);
	fha_store_close(store);
	return code;
}

static void
check_store(FhaCode code)
{
	assert_true(code == FHA_OK || code == FHA_NO_MEMORY);
	assert_string_equal(held("there"), "old");
}

static void
test_verbs(void **state)
{
	static const Scene scenes[] = {
		{run_create, check_create}, {run_conflict, check_conflict}, {run_replace, check_replace},
		{run_delete, check_delete}, {run_read, check_read},         {run_list, check_read},
		{run_begin, check_begin},   {run_part, check_part},         {run_complete, check_complete},
		{run_abort, check_abort},   {run_look, check_read},         {run_sweep, check_sweep},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		torture(&scenes[i]);
}

static void
test_store(void **state)
{
	const Scene scene = {run_store, check_store};
	bool struck = true;
	long n;

	(void) state;
	for (n = 1; struck && n < MOST; n++)
	{
		int before;

		make();
		before = torture_descriptors();
		torture_allocations(n, false);
		act(&scene, before, &struck);
	}
	assert_in_range(n, 10, MOST - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_verbs), cmocka_unit_test(test_store)};
	int failed;

	/* Nothing is flushed to a disk there. */
	(void) snprintf(directory, sizeof(directory), "%s/fha-torture-XXXXXX",
					access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(directory) == NULL)
		return 1;
	(void) snprintf(root.path, sizeof(root.path), "%s", directory);
	(void) pthread_mutex_init(&root.lock, NULL);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void) nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed;
}
