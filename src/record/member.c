/*
 * member.c: a member's record as JSON.  See record.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "core/routing.h"
#include "record/fields.h"
#include "record/primary_limits.h"
#include "record/record.h"

#define LIMIT_KEY_SIZE 40

const char *
fha_role_name(FhaRole role)
{
	return role == FHA_ROLE_PRIMARY ? "primary" : role == FHA_ROLE_STANDBY ? "standby" : "down";
}

const char *
fha_stage_name(int stage)
{
	static const char *const names[FHA_STAGES] = {"write", "flush", "replay"};

	return names[stage];
}

void
fha_lag_read(struct json_object *from, FhaLag out[FHA_STAGES], FhaError *err)
{
	struct json_object *object = fha_json_object(from, "lag_ms", err);

	for (int stage = 0; object != NULL && stage < FHA_STAGES; stage++)
	{
		int64_t ms = -1;

		fha_json_int(object, fha_stage_name(stage), 0, FHA_LAG_MAX_MS, &ms, err);
		out[stage] = (FhaLag){ms >= 0, ms >= 0 ? ms : 0};
	}
}

void
fha_lag_put(struct json_object *to, const FhaLag lag[FHA_STAGES], bool *failed)
{
	struct json_object *object = NULL;

	for (int stage = 0; stage < FHA_STAGES; stage++)
	{
		if (!lag[stage].known)
			continue;
		if (object == NULL)
			object = json_object_new_object();
		fha_json_put_int(object, fha_stage_name(stage), lag[stage].ms, failed);
	}
	if (object != NULL)
		fha_json_put(to, "lag_ms", object, failed);
}

static void
read_limits(struct json_object *object, const char *prefix, FhaLimits *out, FhaError *err)
{
	for (size_t i = 0; i < FHA_LIMITS; i++)
	{
		char key[LIMIT_KEY_SIZE];

		(void) snprintf(key, sizeof(key), "%s%s", prefix, fha_limit_name(i));
		fha_json_int(object, key, 0, INT32_MAX, &out->value[i], err);
	}
	if (out->value[0] == 0)
		memset(out, 0, sizeof(*out));
}

static void
put_limits(struct json_object *object, const char *prefix, const FhaLimits *limits, bool *failed)
{
	for (size_t i = 0; i < FHA_LIMITS && limits->value[0] != 0; i++)
	{
		char key[LIMIT_KEY_SIZE];

		(void) snprintf(key, sizeof(key), "%s%s", prefix, fha_limit_name(i));
		fha_json_put_int(object, key, limits->value[i], failed);
	}
}

static void
read_role(struct json_object *from, void *record, FhaError *err)
{
	FhaMember *out = record;
	char role[FHA_WORD_SIZE] = "";

	fha_json_text(from, "role", role, sizeof(role), err);
	for (int i = FHA_ROLE_DOWN; i <= FHA_ROLE_PRIMARY; i++)
		if (strcmp(role, fha_role_name((FhaRole) i)) == 0)
			out->role = (FhaRole) i;
}

static void
put_role(struct json_object *to, const void *record, bool *failed)
{
	fha_json_put_text(to, "role", fha_role_name(((const FhaMember *) record)->role), failed);
}

static void
read_serves(struct json_object *from, void *record, FhaError *err)
{
	char serves[FHA_WORD_SIZE] = "";

	fha_json_text(from, "serves", serves, sizeof(serves), err);
	((FhaMember *) record)->serves = fha_serves_parse(serves);
}

static void
put_serves(struct json_object *to, const void *record, bool *failed)
{
	fha_json_put_text(to, "serves", fha_serves_name(((const FhaMember *) record)->serves), failed);
}

static void
member_read_lag(struct json_object *from, void *record, FhaError *err)
{
	fha_lag_read(from, ((FhaMember *) record)->lag, err);
}

static void
put_lag(struct json_object *to, const void *record, bool *failed)
{
	fha_lag_put(to, ((const FhaMember *) record)->lag, failed);
}

static void
read_both_limits(struct json_object *from, void *record, FhaError *err)
{
	FhaMember *out = record;

	read_limits(from, "", &out->limits, err);
	read_limits(from, "needs_", &out->limits_needed, err);
}

static void
put_both_limits(struct json_object *to, const void *record, bool *failed)
{
	const FhaMember *member = record;

	put_limits(to, "", &member->limits, failed);
	put_limits(to, "needs_", &member->limits_needed, failed);
}

/* A count of something; 0: none, or not known. */
#define COUNT(member)                                                                             \
	{                                                                                             \
		.key = #member, .kind = FHA_FIELD_INT, .optional = true, FHA_FIELD_AT(FhaMember, member), \
		.max = INT32_MAX                                                                          \
	}

static const FhaField rows[] = {
	FHA_FIELD(FhaMember, TEXT, cluster),
	FHA_FIELD(FhaMember, TEXT, member),
	FHA_FIELD(FhaMember, TEXT, incarnation),
	{.key = "life", .kind = FHA_FIELD_TEXT, FHA_FIELD_AT(FhaMember, liveness)},
	FHA_FIELD(FhaMember, TEXT, data_incarnation),
	FHA_OPTIONAL(FhaMember, TEXT, cluster_uuid),
	FHA_FIELD(FhaMember, TEXT, address),
	FHA_FIELD(FhaMember, TEXT, listener),
	FHA_OPTIONAL(FhaMember, TEXT, exporter),
	FHA_OPTIONAL(FhaMember, TEXT, pod),
	FHA_FIELD_BY(read_serves, put_serves),
	FHA_FIELD_BY(read_role, put_role),
	FHA_FIELD(FhaMember, TEXT, state),
	FHA_OPTIONAL(FhaMember, TEXT, rule),
	FHA_FIELD(FhaMember, TERM, term),
	FHA_OPTIONAL(FhaMember, TERM, highest_term),
	{"timeline", FHA_FIELD_TIMELINE, FHA_FIELD_AT(FhaMember, position.timeline)},
	{"lsn", FHA_FIELD_LSN, FHA_FIELD_AT(FhaMember, position.lsn)},
	FHA_OPTIONAL(FhaMember, TEXT, timeline_id),
	FHA_OPTIONAL(FhaMember, LSN, written),
	FHA_FIELD(FhaMember, LSN, replayed),
	FHA_FIELD_BY(member_read_lag, put_lag),
	FHA_OPTIONAL(FhaMember, LSN, oldest_wal),
	FHA_FIELD(FhaMember, TEXT, following),
	FHA_FIELD(FhaMember, TEXT, candidate_for),
	FHA_FIELD(FhaMember, BOOL, rewindable),
	FHA_FIELD(FhaMember, BOOL, supervised),
	FHA_OPTIONAL(FhaMember, BOOL, unattended),
	FHA_OPTIONAL(FhaMember, BOOL, exporter_fails),
	FHA_OPTIONAL(FhaMember, BOOL, streaming),
	FHA_FIELD(FhaMember, BOOL, pending_restart),
	COUNT(slots),
	FHA_OPTIONAL(FhaMember, TEXT, trouble),
	FHA_OPTIONAL(FhaMember, TEXT, archive_trouble),
	{.key = "wal_lasts_ms",
	 .kind = FHA_FIELD_INT,
	 .optional = true,
	 FHA_FIELD_AT(FhaMember, wal_lasts_ms),
	 .max = INT64_MAX},
	FHA_OPTIONAL(FhaMember, TEXT, no_start),
	FHA_OPTIONAL(FhaMember, TEXT, suspects),
	COUNT(max_slots),
	COUNT(max_senders),
	COUNT(format),
	FHA_FIELD_BY(read_both_limits, put_both_limits),
	FHA_OPTIONAL(FhaMember, BOOL, removed),
	FHA_OPTIONAL(FhaMember, TEXT, carried_out),
	FHA_OPTIONAL(FhaMember, TEXT, lease_seen_at),
	FHA_FIELD(FhaMember, TEXT, updated_at),
};
static const FhaFields fields = FHA_FIELDS(rows);

FhaCode
fha_member_parse(const char *data, size_t size, FhaMember *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);

	memset(out, 0, sizeof(*out));
	if (object != NULL)
	{
		fha_json_kind(object, "member", &local);
		fha_fields_read(object, &fields, out, &local);
		json_object_put(object);
	}
	if (local.code == FHA_OK && (out->member[0] == '\0' || out->cluster[0] == '\0'))
		(void) fha_error(&local, FHA_PROTOCOL, "the member record lacks member or cluster");
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

struct json_object *
fha_member_object(const FhaMember *member, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_json_put_text(object, "kind", "member", failed);
	fha_fields_put(object, &fields, member, failed);
	return object;
}

FhaCode
fha_member_print(const FhaMember *member, char **out, FhaError *err)
{
	bool failed = false;
	struct json_object *object = fha_member_object(member, &failed);

	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
