/*
 * lock_kube_fuzz.c: Leases, lists of them and lines of a watch, as an API server may send them.
 */
#include "test/fuzz/fuzz.h"

#include "lock/kube/object.h"

static void
check_set(const FhaRecordSet *set)
{
	for (size_t i = 0; i < set->count; i++)
		FUZZ_MUST(strlen(set->rows[i].data) == set->rows[i].size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	FhaRecordSet set = {0};
	FhaLeaseNews news;
	FhaError err = {0};
	char version[FHA_VERSION_SIZE];
	FhaCode code = fha_lease_parse(text, size, &set, &err);

	FUZZ_MUST(code == FHA_OK ? set.count == 1 : set.count == 0 && err.code == code);
	check_set(&set);
	fha_record_set_release(&set);
	code = fha_lease_list_parse(text, size, &set, version, &err);
	FUZZ_MUST(code == FHA_OK || (set.count == 0 && err.code == code));
	check_set(&set);
	fha_record_set_release(&set);
	code = fha_lease_news_parse(text, size, &news, &set, version, &err);
	FUZZ_MUST(code == FHA_OK || err.code == code);
	check_set(&set);
	fha_record_set_release(&set);
	return 0;
}
