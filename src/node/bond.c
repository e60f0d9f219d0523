/*
 * bond.c: what this node must not forget of its promises.  See bond.h.
 */
#include "node/bond.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "config/state_directory.h"

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
		struct json_object *heard = fha_json_object(object, "heard", &inner);
		int64_t timeline = 0;

		fha_json_text(object, "boot_id", out->boot_id, sizeof(out->boot_id), &inner);
		fha_json_text(object, "time_namespace", out->time_namespace, sizeof(out->time_namespace),
					  &inner);
		fha_json_int(object, "until_ms", 0, INT64_MAX / 2, &out->until_ms, &inner);
		fha_json_int(object, "for_ms", 0, FHA_LEASE_MAX_MS, &out->for_ms, &inner);
		fha_json_text(object, "contended", out->contended, sizeof(out->contended), &inner);
		if (heard != NULL)
		{
			fha_json_u64(heard, "term", &out->heard_term, &inner);
			fha_json_int(heard, "timeline", 0, UINT32_MAX, &timeline, &inner);
			fha_json_lsn(heard, "lsn", &out->heard.lsn, &inner);
			out->heard.timeline = (uint32_t) timeline;
		}
		if (out->heard_term == 0)
			memset(&out->heard, 0, sizeof(out->heard));
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
fha_bond_print(const FhaBond *bond, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	bool failed = false;

	fha_json_put_text(object, "boot_id", bond->boot_id, &failed);
	fha_json_put_text(object, "time_namespace", bond->time_namespace, &failed);
	fha_json_put_int(object, "until_ms", bond->until_ms, &failed);
	fha_json_put_int(object, "for_ms", bond->for_ms, &failed);
	fha_json_put_text(object, "contended", bond->contended, &failed);
	if (bond->heard_term != 0)
	{
		struct json_object *heard = json_object_new_object();

		fha_json_put_u64(heard, "term", bond->heard_term, &failed);
		fha_json_put_int(heard, "timeline", bond->heard.timeline, &failed);
		fha_json_put_lsn(heard, "lsn", bond->heard.lsn, &failed);
		fha_json_put(object, "heard", heard, &failed);
	}
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}

FhaCode
fha_bond_save(const FhaConfig *config, const FhaBond *bond, FhaError *err)
{
	char path[FHA_PATH_MAX];
	char *text = NULL;
	FhaCode code = fha_state_path(config, "bond.json", path, sizeof(path), err);

	if (code == FHA_OK)
		code = fha_bond_print(bond, &text, err);
	if (code == FHA_OK)
		code = fha_file_replace(path, text, strlen(text), err);
	free(text);
	return code;
}

bool
fha_bond_is_same(const FhaBond *a, const FhaBond *b)
{
	return strcmp(a->boot_id, b->boot_id) == 0 &&
		   strcmp(a->time_namespace, b->time_namespace) == 0 && a->until_ms == b->until_ms &&
		   a->for_ms == b->for_ms && strcmp(a->contended, b->contended) == 0 &&
		   a->heard_term == b->heard_term && a->heard.timeline == b->heard.timeline &&
		   a->heard.lsn == b->heard.lsn;
}

bool
fha_bond_is_of(const FhaBond *bond, const char *boot_id, const char *time_namespace)
{
	return strcmp(bond->boot_id, boot_id) == 0 && strcmp(bond->time_namespace, time_namespace) == 0;
}

int64_t
fha_bond_until_ms(const FhaBond *bond, const char *boot_id, const char *time_namespace,
				  int64_t now_ms)
{
	int64_t at_most_ms = now_ms + bond->for_ms;

	if (bond->for_ms == 0)
		return 0;
	if (!fha_bond_is_of(bond, boot_id, time_namespace) || bond->until_ms > at_most_ms)
		return at_most_ms;
	return bond->until_ms;
}
