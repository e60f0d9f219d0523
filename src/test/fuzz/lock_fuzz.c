/*
 * lock_fuzz.c: the lock's uri, and names of files that lie in its directory.
 */
#include "test/fuzz/fuzz.h"

#include <inttypes.h>

#include "lock/dir/files.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[FHA_RECORD_NAME_SIZE];
	char again[FHA_RECORD_NAME_SIZE + FHA_DIR_SUFFIX];
	uint64_t version;
	FhaError err;
	char *text;

	if (size > 4096)
		return 0;
	text = fuzz_string(data, size);
	if (fha_dir_file_parse(text, name, &version))
	{
		FUZZ_MUST(version > 0 && version < INT64_MAX);
		(void) snprintf(again, sizeof(again), "%s.%020" PRIu64, name, version);
		FUZZ_MUST(strcmp(text, again) == 0);
	}
	if (fha_lock_check(text, &err) == FHA_OK)
		FUZZ_MUST(strncmp(text, "dir:/", 5) == 0 || strncmp(text, "kubernetes:", 11) == 0);
	else
		FUZZ_MUST(err.code == FHA_INVALID && err.text[0] != '\0');
	free(text);
	return 0;
}
