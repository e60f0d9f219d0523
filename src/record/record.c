/*
 * record.c: the records of the lock as JSON.  See record.h.
 */
#include "record/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/routing.h"
#include "record/primary_limits.h"
#include "record/request.h"
#include "record/request_json.h"

#define LIMIT_KEY_SIZE 40

const char *
fha_role_name(FhaRole role)
{
	return role == FHA_ROLE_PRIMARY ? "primary" : role == FHA_ROLE_STANDBY ? "standby" : "down";
}

void
fha_record_name_cluster(const char *cluster, char *out, size_t size)
{
	(void) snprintf(out, size, "%s", cluster);
}

void
fha_record_name_member(const char *cluster, const char *member, char *out, size_t size)
{
	(void) snprintf(out, size, "%s-%s", cluster, member);
}

void
fha_record_name_history(const char *cluster, char *out, size_t size)
{
	(void) snprintf(out, size, "%s.history", cluster);
}

bool
fha_record_owner(const char *data, size_t size, FhaRecordOwner *out)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = size == 0 ? NULL : fha_json_parse(data, size, &local);

	memset(out, 0, sizeof(*out));
	if (object == NULL)
		return false;
	fha_json_text(object, "kind", out->kind, sizeof(out->kind), &local);
	fha_json_text(object, "cluster", out->cluster, sizeof(out->cluster), &local);
	fha_json_text(object, "member", out->member, sizeof(out->member), &local);
	json_object_put(object);
	return local.code == FHA_OK && out->kind[0] != '\0' && out->cluster[0] != '\0';
}

void
fha_record_owner_print(const FhaRecordOwner *owner, char out[FHA_OWNER_TEXT_SIZE])
{
	if (owner->member[0] != '\0')
		(void) snprintf(out, FHA_OWNER_TEXT_SIZE, "%s \"%s\" of cluster \"%s\"", owner->kind,
						owner->member, owner->cluster);
	else if (strcmp(owner->kind, "cluster") == 0)
		(void) snprintf(out, FHA_OWNER_TEXT_SIZE, "cluster \"%s\"", owner->cluster);
	else
		(void) snprintf(out, FHA_OWNER_TEXT_SIZE, "a record \"%s\" of cluster \"%s\"", owner->kind,
						owner->cluster);
}

static void
read_timeline(struct json_object *from, uint32_t *out, FhaError *err)
{
	int64_t number = *out;

	fha_json_int(from, "timeline", 0, UINT32_MAX, &number, err);
	*out = (uint32_t) number;
}

static void
read_position(struct json_object *from, const char *key, FhaPosition *out, FhaError *err)
{
	struct json_object *object = fha_json_object(from, key, err);

	if (object == NULL)
		return;
	read_timeline(object, &out->timeline, err);
	fha_json_lsn(object, "lsn", &out->lsn, err);
}

static void
read_release(struct json_object *from, FhaCluster *out, FhaError *err)
{
	struct json_object *object = fha_json_object(from, "release", err);

	read_position(from, "release", &out->release, err);
	if (object != NULL)
		fha_json_bool(object, "final", &out->release_final, err);
}

static void
read_lineage(struct json_object *from, FhaCluster *out, FhaError *err)
{
	struct json_object *array = fha_json_array(from, "lineage", FHA_LINEAGE_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *step = fha_json_element(array, i, "lineage", err);

		if (step == NULL)
			return;
		read_timeline(step, &out->lineage[i].timeline, err);
		fha_json_lsn(step, "end", &out->lineage[i].end, err);
		out->lineage_count = i + 1;
	}
}

/* An array of texts that are shorter than `size`, each into its place of `size` bytes; how many. */
static size_t
read_texts(struct json_object *from, const char *key, char *out, size_t size, FhaError *err)
{
	struct json_object *array = fha_json_array(from, key, FHA_MEMBERS_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count; i++)
	{
		struct json_object *text = json_object_array_get_idx(array, i);

		if (!json_object_is_type(text, json_type_string) ||
			(size_t) json_object_get_string_len(text) >= size ||
			strlen(json_object_get_string(text)) != (size_t) json_object_get_string_len(text))
		{
			if (err->code == FHA_OK)
				(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" has an element that cannot be",
								 key);
			return 0;
		}
		(void) snprintf(out + i * size, size, "%s", json_object_get_string(text));
	}
	return count;
}

static void
read_members(struct json_object *from, FhaCluster *out, FhaError *err)
{
	size_t data;

	out->member_count = read_texts(from, "members", out->members[0], FHA_NAME_SIZE, err);
	data = read_texts(from, "member_data", out->member_data[0], FHA_ID_SIZE, err);
	if (err->code == FHA_OK && data != out->member_count && data != 0)
		(void) fha_error(err, FHA_PROTOCOL,
						 "keys \"members\" and \"member_data\" differ in length");
}

const char *
fha_stage_name(int stage)
{
	static const char *const names[FHA_STAGES] = {"write", "flush", "replay"};

	return names[stage];
}

static void
read_lag(struct json_object *from, FhaLag out[FHA_STAGES], FhaError *err)
{
	struct json_object *object = fha_json_object(from, "lag_ms", err);

	for (int stage = 0; object != NULL && stage < FHA_STAGES; stage++)
	{
		int64_t ms = -1;

		fha_json_int(object, fha_stage_name(stage), 0, FHA_LAG_MAX_MS, &ms, err);
		out[stage] = (FhaLag){ms >= 0, ms >= 0 ? ms : 0};
	}
}

static void
read_standbys(struct json_object *from, FhaCluster *out, FhaError *err)
{
	struct json_object *array = fha_json_array(from, "standbys", FHA_MEMBERS_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *standby = fha_json_element(array, i, "standbys", err);

		if (standby == NULL)
			return;
		fha_json_text(standby, "member", out->standbys[i].member, FHA_NAME_SIZE, err);
		fha_json_lsn(standby, "lsn", &out->standbys[i].lsn, err);
		fha_json_lsn(standby, "written", &out->standbys[i].written, err);
		fha_json_lsn(standby, "replayed", &out->standbys[i].replayed, err);
		read_lag(standby, out->standbys[i].lag, err);
		out->standby_count = i + 1;
	}
}

/* A term that no node could write down must not be taken from the lock: it would keep the node from all else. */
static void
read_term(struct json_object *from, const char *key, uint64_t *out, FhaError *err)
{
	fha_json_u64(from, key, out, err);
	if (err->code == FHA_OK && *out > FHA_TERM_MAX)
		(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" is too large", key);
}

static void
read_settings(struct json_object *from, FhaCluster *out, FhaError *err)
{
	struct json_object *array = fha_json_array(from, "settings", FHA_SETTINGS_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *setting = fha_json_element(array, i, "settings", err);

		if (setting == NULL)
			return;
		fha_json_text(setting, "name", out->settings[i].name, FHA_SETTING_NAME_SIZE, err);
		fha_json_text(setting, "value", out->settings[i].value, FHA_SETTING_VALUE_SIZE, err);
		if (err->code == FHA_OK && !fha_setting_is_valid(&out->settings[i]))
			(void) fha_error(err, FHA_PROTOCOL, "key \"settings\" has one that cannot be used");
		out->setting_count = i + 1;
	}
}

static void
read_signature(struct json_object *from, FhaSignature *out, FhaError *err)
{
	struct json_object *object = fha_json_object(from, "settings_signature", err);

	if (object == NULL)
		return;
	fha_json_u64(object, "serial", &out->serial, err);
	fha_json_text(object, "key_id", out->key_id, sizeof(out->key_id), err);
	fha_json_text(object, "mac", out->mac, sizeof(out->mac), err);
}

FhaCode
fha_cluster_parse(const char *data, size_t size, FhaCluster *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);

	memset(out, 0, sizeof(*out));
	if (object != NULL)
	{
		fha_json_kind(object, "cluster", &local);
		fha_json_text(object, "cluster", out->cluster, sizeof(out->cluster), &local);
		fha_json_text(object, "cluster_uuid", out->cluster_uuid, sizeof(out->cluster_uuid), &local);
		fha_json_u64(object, "system_identifier", &out->system_identifier, &local);
		fha_json_text(object, "holder", out->holder, sizeof(out->holder), &local);
		fha_json_text(object, "incarnation", out->incarnation, sizeof(out->incarnation), &local);
		fha_json_text(object, "boot_id", out->boot_id, sizeof(out->boot_id), &local);
		fha_json_text(object, "life", out->liveness, sizeof(out->liveness), &local);
		fha_json_text(object, "nonce", out->nonce, sizeof(out->nonce), &local);
		/* Nobody may make observers wait for ever, or not at all. */
		fha_json_int(object, "lease_duration_ms", 100, 3600 * 1000, &out->lease_duration_ms,
					 &local);
		fha_json_bool(object, "released", &out->released, &local);
		read_release(object, out, &local);
		fha_json_text(object, "release_to", out->release_to, sizeof(out->release_to), &local);
		fha_json_text(object, "release_because", out->release_because, sizeof(out->release_because),
					  &local);
		read_term(object, "term", &out->term, &local);
		read_timeline(object, &out->timeline, &local);
		read_term(object, "lineage_term", &out->lineage_term, &local);
		read_lineage(object, out, &local);
		read_position(object, "position", &out->position, &local);
		read_members(object, out, &local);
		read_standbys(object, out, &local);
		fha_json_bool(object, "paused", &out->paused, &local);
		fha_json_text(object, "pause_reason", out->pause_reason, sizeof(out->pause_reason), &local);
		fha_request_read(object, &out->request, &local);
		read_settings(object, out, &local);
		read_signature(object, &out->settings_signature, &local);
		fha_json_text(object, "acquired_at", out->acquired_at, sizeof(out->acquired_at), &local);
		fha_json_text(object, "renewed_at", out->renewed_at, sizeof(out->renewed_at), &local);
		json_object_put(object);
		if (local.code == FHA_OK &&
			(out->cluster[0] == '\0' || out->holder[0] == '\0' || out->term == 0 ||
			 out->timeline == 0 || out->lease_duration_ms == 0))
			(void) fha_error(&local, FHA_PROTOCOL,
							 "the cluster record lacks cluster, holder, term, timeline or "
							 "lease_duration_ms");
	}
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
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

FhaCode
fha_member_parse(const char *data, size_t size, FhaMember *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);
	char role[16] = "";
	char serves[16] = "";

	memset(out, 0, sizeof(*out));
	if (object != NULL)
	{
		fha_json_kind(object, "member", &local);
		fha_json_text(object, "cluster", out->cluster, sizeof(out->cluster), &local);
		fha_json_text(object, "member", out->member, sizeof(out->member), &local);
		fha_json_text(object, "incarnation", out->incarnation, sizeof(out->incarnation), &local);
		fha_json_text(object, "life", out->liveness, sizeof(out->liveness), &local);
		fha_json_text(object, "data_incarnation", out->data_incarnation,
					  sizeof(out->data_incarnation), &local);
		fha_json_text(object, "cluster_uuid", out->cluster_uuid, sizeof(out->cluster_uuid), &local);
		fha_json_text(object, "address", out->address, sizeof(out->address), &local);
		fha_json_text(object, "listener", out->listener, sizeof(out->listener), &local);
		fha_json_text(object, "exporter", out->exporter, sizeof(out->exporter), &local);
		fha_json_text(object, "pod", out->pod, sizeof(out->pod), &local);
		fha_json_text(object, "serves", serves, sizeof(serves), &local);
		fha_json_text(object, "role", role, sizeof(role), &local);
		fha_json_text(object, "state", out->state, sizeof(out->state), &local);
		fha_json_text(object, "rule", out->rule, sizeof(out->rule), &local);
		read_term(object, "term", &out->term, &local);
		read_term(object, "highest_term", &out->highest_term, &local);
		read_timeline(object, &out->position.timeline, &local);
		fha_json_lsn(object, "lsn", &out->position.lsn, &local);
		fha_json_lsn(object, "written", &out->written, &local);
		fha_json_lsn(object, "replayed", &out->replayed, &local);
		read_lag(object, out->lag, &local);
		fha_json_lsn(object, "oldest_wal", &out->oldest_wal, &local);
		fha_json_text(object, "following", out->following, sizeof(out->following), &local);
		fha_json_text(object, "candidate_for", out->candidate_for, sizeof(out->candidate_for),
					  &local);
		fha_json_bool(object, "rewindable", &out->rewindable, &local);
		fha_json_bool(object, "supervised", &out->supervised, &local);
		fha_json_bool(object, "unattended", &out->unattended, &local);
		fha_json_bool(object, "exporter_fails", &out->exporter_fails, &local);
		fha_json_bool(object, "streaming", &out->streaming, &local);
		fha_json_bool(object, "pending_restart", &out->pending_restart, &local);
		fha_json_int(object, "slots", 0, INT32_MAX, &out->slots, &local);
		fha_json_int(object, "max_slots", 0, INT32_MAX, &out->max_slots, &local);
		fha_json_int(object, "max_senders", 0, INT32_MAX, &out->max_senders, &local);
		fha_json_int(object, "format", 0, INT32_MAX, &out->format, &local);
		fha_json_text(object, "trouble", out->trouble, sizeof(out->trouble), &local);
		fha_json_text(object, "no_start", out->no_start, sizeof(out->no_start), &local);
		fha_json_text(object, "suspects", out->suspects, sizeof(out->suspects), &local);
		read_limits(object, "", &out->limits, &local);
		read_limits(object, "needs_", &out->limits_needed, &local);
		fha_json_bool(object, "removed", &out->removed, &local);
		fha_json_text(object, "carried_out", out->carried_out, sizeof(out->carried_out), &local);
		fha_json_text(object, "lease_seen_at", out->lease_seen_at, sizeof(out->lease_seen_at),
					  &local);
		fha_json_text(object, "updated_at", out->updated_at, sizeof(out->updated_at), &local);
		json_object_put(object);
		for (int i = FHA_ROLE_DOWN; i <= FHA_ROLE_PRIMARY; i++)
			if (strcmp(role, fha_role_name((FhaRole) i)) == 0)
				out->role = (FhaRole) i;
		out->serves = fha_serves_parse(serves);
		if (local.code == FHA_OK && (out->member[0] == '\0' || out->cluster[0] == '\0'))
			(void) fha_error(&local, FHA_PROTOCOL, "the member record lacks member or cluster");
	}
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

static void
put_position(struct json_object *to, const char *key, FhaPosition position, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_json_put_int(object, "timeline", position.timeline, failed);
	fha_json_put_lsn(object, "lsn", position.lsn, failed);
	fha_json_put(to, key, object, failed);
}

/* Releases of 1.1 have no "final"; and a final one stands in the record of who holds the lease next. */
static void
put_release(struct json_object *to, const FhaCluster *cluster, bool *failed)
{
	struct json_object *object;

	if (!cluster->released && !cluster->release_final)
		return;
	object = json_object_new_object();
	fha_json_put_int(object, "timeline", cluster->release.timeline, failed);
	fha_json_put_lsn(object, "lsn", cluster->release.lsn, failed);
	if (cluster->release_final)
		fha_json_put_bool(object, "final", true, failed);
	fha_json_put(to, "release", object, failed);
	if (!cluster->released)
		return;
	fha_json_put_text(to, "release_to", cluster->release_to, failed);
	if (cluster->release_because[0] != '\0')
		fha_json_put_text(to, "release_because", cluster->release_because, failed);
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
put_arrays(struct json_object *to, const FhaCluster *cluster, bool *failed)
{
	struct json_object *lineage = json_object_new_array();
	struct json_object *members = json_object_new_array();
	struct json_object *data = json_object_new_array();
	struct json_object *standbys = json_object_new_array();

	for (size_t i = 0; i < cluster->lineage_count; i++)
	{
		struct json_object *step = json_object_new_object();

		fha_json_put_int(step, "timeline", cluster->lineage[i].timeline, failed);
		fha_json_put_lsn(step, "end", cluster->lineage[i].end, failed);
		fha_json_append(lineage, step, failed);
	}
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		fha_json_append(members, json_object_new_string(cluster->members[i]), failed);
		fha_json_append(data, json_object_new_string(cluster->member_data[i]), failed);
	}
	for (size_t i = 0; i < cluster->standby_count; i++)
	{
		struct json_object *standby = json_object_new_object();

		fha_json_put_text(standby, "member", cluster->standbys[i].member, failed);
		fha_json_put_lsn(standby, "lsn", cluster->standbys[i].lsn, failed);
		if (cluster->standbys[i].written != 0)
			fha_json_put_lsn(standby, "written", cluster->standbys[i].written, failed);
		if (cluster->standbys[i].replayed != 0)
			fha_json_put_lsn(standby, "replayed", cluster->standbys[i].replayed, failed);
		fha_lag_put(standby, cluster->standbys[i].lag, failed);
		fha_json_append(standbys, standby, failed);
	}
	fha_json_put(to, "lineage", lineage, failed);
	fha_json_put(to, "members", members, failed);
	fha_json_put(to, "member_data", data, failed);
	fha_json_put(to, "standbys", standbys, failed);
}

static void
put_settings(struct json_object *to, const FhaCluster *cluster, bool *failed)
{
	struct json_object *settings;

	if (cluster->setting_count == 0)
		return;
	settings = json_object_new_array();
	for (size_t i = 0; i < cluster->setting_count; i++)
	{
		struct json_object *setting = json_object_new_object();

		fha_json_put_text(setting, "name", cluster->settings[i].name, failed);
		fha_json_put_text(setting, "value", cluster->settings[i].value, failed);
		fha_json_append(settings, setting, failed);
	}
	fha_json_put(to, "settings", settings, failed);
}

static void
put_signature(struct json_object *to, const FhaSignature *signature, bool *failed)
{
	struct json_object *object;

	if (signature->serial == 0)
		return;
	object = json_object_new_object();
	fha_json_put_u64(object, "serial", signature->serial, failed);
	fha_json_put_text(object, "key_id", signature->key_id, failed);
	fha_json_put_text(object, "mac", signature->mac, failed);
	fha_json_put(to, "settings_signature", object, failed);
}

FhaCode
fha_cluster_print(const FhaCluster *cluster, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	bool failed = false;

	fha_json_put_text(object, "kind", "cluster", &failed);
	fha_json_put_text(object, "cluster", cluster->cluster, &failed);
	fha_json_put_text(object, "cluster_uuid", cluster->cluster_uuid, &failed);
	fha_json_put_u64(object, "system_identifier", cluster->system_identifier, &failed);
	fha_json_put_text(object, "holder", cluster->holder, &failed);
	fha_json_put_text(object, "incarnation", cluster->incarnation, &failed);
	fha_json_put_text(object, "boot_id", cluster->boot_id, &failed);
	fha_json_put_text(object, "life", cluster->liveness, &failed);
	fha_json_put_text(object, "nonce", cluster->nonce, &failed);
	fha_json_put_int(object, "lease_duration_ms", cluster->lease_duration_ms, &failed);
	fha_json_put_bool(object, "released", cluster->released, &failed);
	put_release(object, cluster, &failed);
	fha_json_put_u64(object, "term", cluster->term, &failed);
	fha_json_put_int(object, "timeline", cluster->timeline, &failed);
	fha_json_put_u64(object, "lineage_term", cluster->lineage_term, &failed);
	put_position(object, "position", cluster->position, &failed);
	put_arrays(object, cluster, &failed);
	fha_json_put_bool(object, "paused", cluster->paused, &failed);
	if (cluster->paused)
		fha_json_put_text(object, "pause_reason", cluster->pause_reason, &failed);
	fha_request_put(object, &cluster->request, &failed);
	put_settings(object, cluster, &failed);
	put_signature(object, &cluster->settings_signature, &failed);
	fha_json_put_text(object, "acquired_at", cluster->acquired_at, &failed);
	fha_json_put_text(object, "renewed_at", cluster->renewed_at, &failed);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}

FhaCode
fha_member_print(const FhaMember *member, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	bool failed = false;

	fha_json_put_text(object, "kind", "member", &failed);
	fha_json_put_text(object, "cluster", member->cluster, &failed);
	fha_json_put_text(object, "member", member->member, &failed);
	fha_json_put_text(object, "incarnation", member->incarnation, &failed);
	fha_json_put_text(object, "life", member->liveness, &failed);
	fha_json_put_text(object, "data_incarnation", member->data_incarnation, &failed);
	if (member->cluster_uuid[0] != '\0')
		fha_json_put_text(object, "cluster_uuid", member->cluster_uuid, &failed);
	fha_json_put_text(object, "address", member->address, &failed);
	fha_json_put_text(object, "listener", member->listener, &failed);
	if (member->exporter[0] != '\0')
		fha_json_put_text(object, "exporter", member->exporter, &failed);
	if (member->pod[0] != '\0')
		fha_json_put_text(object, "pod", member->pod, &failed);
	fha_json_put_text(object, "serves", fha_serves_name(member->serves), &failed);
	fha_json_put_text(object, "role", fha_role_name(member->role), &failed);
	fha_json_put_text(object, "state", member->state, &failed);
	if (member->rule[0] != '\0')
		fha_json_put_text(object, "rule", member->rule, &failed);
	fha_json_put_u64(object, "term", member->term, &failed);
	if (member->highest_term != 0)
		fha_json_put_u64(object, "highest_term", member->highest_term, &failed);
	fha_json_put_int(object, "timeline", member->position.timeline, &failed);
	fha_json_put_lsn(object, "lsn", member->position.lsn, &failed);
	if (member->written != 0)
		fha_json_put_lsn(object, "written", member->written, &failed);
	fha_json_put_lsn(object, "replayed", member->replayed, &failed);
	fha_lag_put(object, member->lag, &failed);
	if (member->oldest_wal != 0)
		fha_json_put_lsn(object, "oldest_wal", member->oldest_wal, &failed);
	fha_json_put_text(object, "following", member->following, &failed);
	fha_json_put_text(object, "candidate_for", member->candidate_for, &failed);
	fha_json_put_bool(object, "rewindable", member->rewindable, &failed);
	fha_json_put_bool(object, "supervised", member->supervised, &failed);
	if (member->unattended)
		fha_json_put_bool(object, "unattended", true, &failed);
	if (member->exporter_fails)
		fha_json_put_bool(object, "exporter_fails", true, &failed);
	if (member->streaming)
		fha_json_put_bool(object, "streaming", true, &failed);
	fha_json_put_bool(object, "pending_restart", member->pending_restart, &failed);
	if (member->slots != 0)
		fha_json_put_int(object, "slots", member->slots, &failed);
	if (member->trouble[0] != '\0')
		fha_json_put_text(object, "trouble", member->trouble, &failed);
	if (member->no_start[0] != '\0')
		fha_json_put_text(object, "no_start", member->no_start, &failed);
	if (member->suspects[0] != '\0')
		fha_json_put_text(object, "suspects", member->suspects, &failed);
	if (member->max_slots != 0)
		fha_json_put_int(object, "max_slots", member->max_slots, &failed);
	if (member->max_senders != 0)
		fha_json_put_int(object, "max_senders", member->max_senders, &failed);
	if (member->format != 0)
		fha_json_put_int(object, "format", member->format, &failed);
	put_limits(object, "", &member->limits, &failed);
	put_limits(object, "needs_", &member->limits_needed, &failed);
	if (member->removed)
		fha_json_put_bool(object, "removed", true, &failed);
	if (member->carried_out[0] != '\0')
		fha_json_put_text(object, "carried_out", member->carried_out, &failed);
	if (member->lease_seen_at[0] != '\0')
		fha_json_put_text(object, "lease_seen_at", member->lease_seen_at, &failed);
	fha_json_put_text(object, "updated_at", member->updated_at, &failed);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
