/*
 * bond.c: what this node must not forget of its promises.  See bond.h.
 */
#include "bond.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

#define BOND_FILE_MAX 4096

FhaCode
fha_bond_load(const FhaConfig *config, FhaBond *out, FhaError *err)
{
	FhaError inner = {.code = FHA_OK};
	char path[FHA_PATH_MAX];
	struct json_object *object;
	char *text;
	FhaCode code;

	memset(out, 0, sizeof(*out));
	code = fha_state_path(config, "bond.json", path, sizeof(path), err);
	if (code == FHA_OK)
		code = fha_file_read(path, BOND_FILE_MAX, &text, err);
	if (code != FHA_OK)
		return code;
	object = fha_json_parse(text, strlen(text), &inner);
	free(text);
	if (object != NULL)
	{
		fha_json_text(object, "boot_id", out->boot_id, sizeof(out->boot_id), &inner);
		fha_json_int(object, "until_ms", 0, INT64_MAX / 2, &out->until_ms, &inner);
		fha_json_int(object, "for_ms", 0, FHA_LEASE_MAX_MS, &out->for_ms, &inner);
		fha_json_text(object, "contended", out->contended, sizeof(out->contended), &inner);
		json_object_put(object);
	}
	if (inner.code == FHA_NO_MEMORY)
		return fha_error(err, FHA_NO_MEMORY, "out of memory reading \"%.120s\"", path);
	if (inner.code != FHA_OK)
		return fha_error(err, FHA_INVALID,
						 "\"%.90s\" is damaged (%.40s): remove it when this member was stopped for "
						 "a lease duration",
						 path, inner.text);
	return FHA_OK;
}

FhaCode
fha_bond_save(const FhaConfig *config, const FhaBond *bond, FhaError *err)
{
	char path[FHA_PATH_MAX];
	struct json_object *object;
	bool failed = false;
	char *text;
	FhaCode code = fha_state_path(config, "bond.json", path, sizeof(path), err);

	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	object = json_object_new_object();
	fha_json_put_text(object, "boot_id", bond->boot_id, &failed);
	fha_json_put_int(object, "until_ms", bond->until_ms, &failed);
	fha_json_put_int(object, "for_ms", bond->for_ms, &failed);
	fha_json_put_text(object, "contended", bond->contended, &failed);
	text = fha_json_finish(object, failed, err);
	if (text == NULL)
		return FHA_NO_MEMORY;
	code = fha_file_replace(path, text, strlen(text), err);
	free(text);
	return code;
}

int64_t
fha_bond_until_ms(const FhaBond *bond, const char *boot_id, int64_t now_ms)
{
	int64_t at_most_ms = now_ms + bond->for_ms;

	if (bond->for_ms == 0)
		return 0;
	if (strcmp(bond->boot_id, boot_id) != 0 || bond->until_ms > at_most_ms)
		return at_most_ms;
	return bond->until_ms;
}
