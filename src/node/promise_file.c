/*
 * promise_file.c: what this node must not forget of its promises.  See promise_file.h.
 */
#include "node/promise_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "config/state_directory.h"

#define PROMISE_FILE_MAX 4096

FhaCode
fha_promise_file_load(const FhaConfig *config, FhaPromiseFile *out, FhaError *err)
{
	FhaError inner = {.code = FHA_OK};
	char path[FHA_PATH_SIZE];
	struct json_object *object;
	char *text;
	FhaCode code;

	memset(out, 0, sizeof(*out));
	code = fha_state_path(config, "bond.json", path, sizeof(path), err);
	if (code == FHA_OK)
		code = fha_file_read(path, PROMISE_FILE_MAX, &text, err);
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
		fha_json_int(object, "until_ms", 0, INT64_MAX / 2, &out->ends_at_ms, &inner);
		fha_json_int(object, "for_ms", 0, FHA_LEASE_MAX_MS, &out->for_ms, &inner);
		fha_json_text(object, "contended", out->contended, sizeof(out->contended), &inner);
		if (heard != NULL)
		{
			fha_json_u64(heard, "term", &out->heard_term, &inner);
			fha_json_text(heard, "from", out->heard_from, sizeof(out->heard_from), &inner);
			fha_json_int(heard, "timeline", 0, UINT32_MAX, &timeline, &inner);
			fha_json_lsn(heard, "lsn", &out->heard.lsn, &inner);
			out->heard.timeline = (uint32_t) timeline;
		}
		if (out->heard_term == 0)
		{
			memset(&out->heard, 0, sizeof(out->heard));
			out->heard_from[0] = '\0';
		}
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
fha_promise_file_print(const FhaPromiseFile *file, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	bool failed = false;

	fha_json_put_text(object, "boot_id", file->boot_id, &failed);
	fha_json_put_text(object, "time_namespace", file->time_namespace, &failed);
	fha_json_put_int(object, "until_ms", file->ends_at_ms, &failed);
	fha_json_put_int(object, "for_ms", file->for_ms, &failed);
	fha_json_put_text(object, "contended", file->contended, &failed);
	if (file->heard_term != 0)
	{
		struct json_object *heard = json_object_new_object();

		fha_json_put_u64(heard, "term", file->heard_term, &failed);
		fha_json_put_text(heard, "from", file->heard_from, &failed);
		fha_json_put_int(heard, "timeline", file->heard.timeline, &failed);
		fha_json_put_lsn(heard, "lsn", file->heard.lsn, &failed);
		fha_json_put(object, "heard", heard, &failed);
	}
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}

FhaCode
fha_promise_file_save(const FhaConfig *config, const FhaPromiseFile *file, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	FhaCode code = fha_state_path(config, "bond.json", path, sizeof(path), err);

	if (code == FHA_OK)
		code = fha_promise_file_print(file, &text, err);
	if (code == FHA_OK)
		code = fha_file_replace(path, text, strlen(text), err);
	free(text);
	return code;
}

bool
fha_promise_file_is_same(const FhaPromiseFile *a, const FhaPromiseFile *b)
{
	return strcmp(a->boot_id, b->boot_id) == 0 &&
		   strcmp(a->time_namespace, b->time_namespace) == 0 && a->ends_at_ms == b->ends_at_ms &&
		   a->for_ms == b->for_ms && strcmp(a->contended, b->contended) == 0 &&
		   a->heard_term == b->heard_term && strcmp(a->heard_from, b->heard_from) == 0 &&
		   a->heard.timeline == b->heard.timeline && a->heard.lsn == b->heard.lsn;
}

bool
fha_promise_file_is_of(const FhaPromiseFile *file, const char *boot_id, const char *time_namespace)
{
	return strcmp(file->boot_id, boot_id) == 0 && strcmp(file->time_namespace, time_namespace) == 0;
}

int64_t
fha_promise_file_ends_at_ms(const FhaPromiseFile *file, const char *boot_id,
							const char *time_namespace, int64_t now_ms)
{
	int64_t latest_at_ms = now_ms + file->for_ms;

	if (file->for_ms == 0)
		return 0;
	if (!fha_promise_file_is_of(file, boot_id, time_namespace) || file->ends_at_ms > latest_at_ms)
		return latest_at_ms;
	return file->ends_at_ms;
}
