/*
 * layout_fuzz.c: keys as a store lists them.
 *
 * What is taken for an object of the layout is built again: it is the same key, but for doubled slashes.
 */
#include "test/fuzz/fuzz.h"

#include "backup/layout.h"

static void
drop_doubled_slashes(char *key)
{
	char *out = key;

	for (const char *in = key; *in != '\0'; in++)
		if (*in != '/' || (out > key && out[-1] != '/'))
			*out++ = *in;
	*out = '\0';
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *key = fuzz_string(data, size);
	FhaObjectName name = fha_layout_parse("db-x", key);
	char again[FHA_OBJECT_KEY_SIZE];

	if (name.kind != FHA_OBJECT_OTHER && name.kind != FHA_OBJECT_WAL)
		FUZZ_MUST(fha_backup_id_parse(name.backup_id, NULL));
	if (name.kind != FHA_OBJECT_OTHER && name.kind != FHA_OBJECT_IN_BACKUP)
	{
		fha_layout_key("db-x", &name, again);
		drop_doubled_slashes(key);
		FUZZ_MUST(strcmp(key, again) == 0);
	}
	free(key);
	return 0;
}
