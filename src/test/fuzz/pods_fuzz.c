/*
 * pods_fuzz.c: a list of pods, as an API server may send it.
 */
#include "test/fuzz/fuzz.h"

#include "config/config.h"
#include "kube/pods.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FhaPod found[FHA_PODS_MAX];
	FhaError err = {0};
	size_t count;
	FhaCode code = fha_pod_list_parse((const char *) data, size, found, &count, &err);

	FUZZ_MUST(code == FHA_OK || err.code == code);
	FUZZ_MUST(count <= FHA_PODS_MAX);
	/* What stands in a path later. */
	for (size_t i = 0; i < count; i++)
		FUZZ_MUST(fha_pod_name_is_valid(found[i].name));
	return 0;
}
