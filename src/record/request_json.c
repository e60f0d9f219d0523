/*
 * request_json.c: requests as JSON.  See request_json.h.
 */
#include "record/request_json.h"

#include <string.h>

#include "base/json.h"
#include "record/fields.h"
#include "record/request.h"

#define TIME_LIMIT_MAX_MS (7 * INT64_C(86400) * 1000)

static void
read_kind(struct json_object *from, void *record, FhaError *err)
{
	FhaRequest *out = record;
	char kind[FHA_WORD_SIZE] = "";

	fha_json_text(from, "kind", kind, sizeof(kind), err);
	if (err->code == FHA_OK && !fha_request_kind_parse(kind, &out->kind))
		(void) fha_error(err, FHA_PROTOCOL, "unknown kind of a request");
}

static void
put_kind(struct json_object *to, const void *record, bool *failed)
{
	const FhaRequest *request = record;

	fha_json_put_text(to, "kind", fha_request_kind_name(request->kind), failed);
}

/* A RESET has no value, and says so. */
static void
read_setting(struct json_object *from, void *record, FhaError *err)
{
	FhaSetting *out = &((FhaRequest *) record)->setting;

	fha_json_text(from, "setting", out->name, sizeof(out->name), err);
	fha_json_text(from, "value", out->value, sizeof(out->value), err);
}

static void
put_setting(struct json_object *to, const void *record, bool *failed)
{
	const FhaSetting *setting = &((const FhaRequest *) record)->setting;

	if (setting->name[0] == '\0')
		return;
	fha_json_put_text(to, "setting", setting->name, failed);
	fha_json_put_text(to, "value", setting->value, failed);
}

static const FhaField rows[] = {
	FHA_FIELD(FhaRequest, TEXT, id),
	FHA_FIELD_BY(read_kind, put_kind),
	FHA_FIELD(FhaRequest, TEXT, target),
	FHA_FIELD(FhaRequest, TEXT, requested_by),
	FHA_FIELD(FhaRequest, TEXT, requested_at),
	FHA_OPTIONAL(FhaRequest, TEXT, reason),
	{.key = "time_limit_ms",
	 .kind = FHA_FIELD_INT,
	 .optional = true,
	 FHA_FIELD_AT(FhaRequest, time_limit_ms),
	 .max = TIME_LIMIT_MAX_MS},
	FHA_OPTIONAL(FhaRequest, BOOL, primary_first),
	FHA_FIELD_BY(read_setting, put_setting),
	FHA_FIELD(FhaRequest, TEXT, message),
};
static const FhaFields fields = FHA_FIELDS(rows);

void
fha_request_read(struct json_object *from, FhaRequest *out, FhaError *err)
{
	struct json_object *object = fha_json_object(from, "request", err);
	char state[FHA_WORD_SIZE] = "";

	if (object == NULL)
		return;
	fha_fields_read(object, &fields, out, err);
	fha_json_text(object, "state", state, sizeof(state), err);
	if (err->code == FHA_OK && !fha_request_state_parse(state, &out->state))
		(void) fha_error(err, FHA_PROTOCOL, "unknown state of a request");
}

static struct json_object *
request_object(const FhaRequest *request, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_fields_put(object, &fields, request, failed);
	fha_json_put_text(object, "state", fha_request_state_name(request->state), failed);
	return object;
}

void
fha_request_put(struct json_object *to, const FhaRequest *request, bool *failed)
{
	if (request->kind != FHA_REQUEST_NONE)
		fha_json_put(to, "request", request_object(request, failed), failed);
}
