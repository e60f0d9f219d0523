/*
 * lock_kube_fuzz.c: Leases, lists of them and lines of a watch, as an API server may send them.
 */
#include "test/fuzz/fuzz.h"

#include "kube/list.h"
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
	struct json_object *object;
	FhaKubeChange change;
	FhaError err = {0};
	char version[FHA_VERSION_SIZE];
	FhaCode code = fha_lease_parse(text, size, &set, &err);

	FUZZ_MUST(code == FHA_OK ? set.count == 1 : set.count == 0 && err.code == code);
	check_set(&set);
	fha_record_set_release(&set);
	code = fha_lease_list_parse(text, size, &set, &err);
	FUZZ_MUST(code == FHA_OK || (set.count == 0 && err.code == code));
	check_set(&set);
	fha_record_set_release(&set);
	code = fha_kube_line_parse(text, size, &change, &object, version, &err);
	FUZZ_MUST(code == FHA_OK ? object != NULL : object == NULL && err.code == code);
	if (object != NULL && fha_lease_read(object, &set, &err) == FHA_OK)
		FUZZ_MUST(set.count == 1);
	json_object_put(object);
	check_set(&set);
	fha_record_set_release(&set);
	return 0;
}
