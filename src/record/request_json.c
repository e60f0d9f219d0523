/*
 * request_json.c: requests as JSON.  See request_json.h.
 */
#include "record/request_json.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "record/request.h"

#define TIME_LIMIT_MAX_MS (7 * INT64_C(86400) * 1000)

static void
read_fields(struct json_object *object, FhaRequest *out, FhaError *err)
{
	char kind[16] = "";

	fha_json_text(object, "kind", kind, sizeof(kind), err);
	fha_json_text(object, "id", out->id, sizeof(out->id), err);
	fha_json_text(object, "target", out->target, sizeof(out->target), err);
	fha_json_text(object, "requested_by", out->requested_by, sizeof(out->requested_by), err);
	fha_json_text(object, "requested_at", out->requested_at, sizeof(out->requested_at), err);
	fha_json_text(object, "reason", out->reason, sizeof(out->reason), err);
	fha_json_int(object, "time_limit_ms", 0, TIME_LIMIT_MAX_MS, &out->time_limit_ms, err);
	fha_json_bool(object, "primary_first", &out->primary_first, err);
	fha_json_text(object, "setting", out->setting.name, sizeof(out->setting.name), err);
	fha_json_text(object, "value", out->setting.value, sizeof(out->setting.value), err);
	fha_json_text(object, "message", out->message, sizeof(out->message), err);
	if (err->code == FHA_OK && !fha_request_kind_parse(kind, &out->kind))
		(void) fha_error(err, FHA_PROTOCOL, "unknown kind of a request");
}

void
fha_request_read(struct json_object *from, FhaRequest *out, FhaError *err)
{
	struct json_object *object = fha_json_object(from, "request", err);
	char state[16] = "";

	if (object == NULL)
		return;
	read_fields(object, out, err);
	fha_json_text(object, "state", state, sizeof(state), err);
	if (err->code == FHA_OK && !fha_request_state_parse(state, &out->state))
		(void) fha_error(err, FHA_PROTOCOL, "unknown state of a request");
}

FhaCode
fha_request_parse(const char *data, size_t size, FhaRequest *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);

	memset(out, 0, sizeof(*out));
	if (object != NULL)
	{
		read_fields(object, out, &local);
		json_object_put(object);
		if (local.code == FHA_OK && out->id[0] == '\0')
			(void) fha_error(&local, FHA_PROTOCOL, "a request needs an id");
	}
	out->state = FHA_REQUEST_PENDING;
	out->message[0] = '\0';
	fha_wall_time(out->requested_at, sizeof(out->requested_at));
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

static struct json_object *
request_object(const FhaRequest *request, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_json_put_text(object, "id", request->id, failed);
	fha_json_put_text(object, "kind", fha_request_kind_name(request->kind), failed);
	fha_json_put_text(object, "target", request->target, failed);
	fha_json_put_text(object, "requested_by", request->requested_by, failed);
	fha_json_put_text(object, "requested_at", request->requested_at, failed);
	if (request->reason[0] != '\0')
		fha_json_put_text(object, "reason", request->reason, failed);
	if (request->time_limit_ms > 0)
		fha_json_put_int(object, "time_limit_ms", request->time_limit_ms, failed);
	if (request->primary_first)
		fha_json_put_bool(object, "primary_first", true, failed);
	if (request->setting.name[0] != '\0')
	{
		fha_json_put_text(object, "setting", request->setting.name, failed);
		fha_json_put_text(object, "value", request->setting.value, failed);
	}
	fha_json_put_text(object, "state", fha_request_state_name(request->state), failed);
	fha_json_put_text(object, "message", request->message, failed);
	return object;
}

void
fha_request_put(struct json_object *to, const FhaRequest *request, bool *failed)
{
	if (request->kind != FHA_REQUEST_NONE)
		fha_json_put(to, "request", request_object(request, failed), failed);
}

FhaCode
fha_request_print(const FhaRequest *request, char **out, FhaError *err)
{
	bool failed = false;

	*out = fha_json_finish(request_object(request, &failed), failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
