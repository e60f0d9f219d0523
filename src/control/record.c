/*
 * record.c: the records of the lock as JSON.  See record.h.
 */
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"

void
fha_lsn_print(uint64_t lsn, char *out, size_t size)
{
	(void) snprintf(out, size, "%" PRIX32 "/%" PRIX32, (uint32_t) (lsn >> 32), (uint32_t) lsn);
}

bool
fha_lsn_parse(const char *text, uint64_t *out)
{
	static const char digits[] = "0123456789ABCDEFabcdef";
	size_t high = strspn(text, digits);
	size_t low;

	if (high < 1 || high > 8 || text[high] != '/')
		return false;
	low = strspn(text + high + 1, digits);
	if (low < 1 || low > 8 || text[high + 1 + low] != '\0')
		return false;
	*out = (strtoull(text, NULL, 16) << 32) | strtoull(text + high + 1, NULL, 16);
	return true;
}

const char *
fha_role_name(FhaRole role)
{
	return role == FHA_ROLE_PRIMARY ? "primary" : role == FHA_ROLE_STANDBY ? "standby" : "down";
}

const char *
fha_request_kind_name(FhaRequestKind kind)
{
	return kind == FHA_REQUEST_SWITCHOVER ? "switchover"
		   : kind == FHA_REQUEST_FAILOVER ? "failover"
										  : "none";
}

bool
fha_request_kind_parse(const char *text, FhaRequestKind *out)
{
	for (int kind = FHA_REQUEST_SWITCHOVER; kind <= FHA_REQUEST_FAILOVER; kind++)
		if (strcmp(text, fha_request_kind_name((FhaRequestKind) kind)) == 0)
		{
			*out = (FhaRequestKind) kind;
			return true;
		}
	return false;
}

static const char *const request_states[] = {"pending", "running", "done", "failed"};

const char *
fha_request_state_name(FhaRequestState state)
{
	return request_states[state];
}

bool
fha_request_is_in_the_way(const FhaOrderSlip *standing, const FhaOrderSlip *wanted)
{
	if (standing->kind == FHA_REQUEST_NONE || strcmp(standing->id, wanted->id) == 0)
		return false;
	return standing->state == FHA_REQUEST_RUNNING ||
		   (standing->state == FHA_REQUEST_PENDING && wanted->kind != FHA_REQUEST_FAILOVER);
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

static void
read_kind(struct json_object *from, const char *wanted, FhaError *err)
{
	char kind[16] = "";

	fha_json_text(from, "kind", kind, sizeof(kind), err);
	if (err->code == FHA_OK && strcmp(kind, wanted) != 0)
		(void) fha_error(err, FHA_PROTOCOL, "not a record of kind \"%s\"", wanted);
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

/* Elements of our arrays are objects, except the list of names. */
static struct json_object *
element(struct json_object *array, size_t index, const char *key, FhaError *err)
{
	struct json_object *object = json_object_array_get_idx(array, index);

	if (!json_object_is_type(object, json_type_object))
	{
		(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" has an element that is no object", key);
		return NULL;
	}
	return object;
}

static void
read_lineage(struct json_object *from, FhaCluster *out, FhaError *err)
{
	struct json_object *array = fha_json_array(from, "lineage", FHA_LINEAGE_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *step = element(array, i, "lineage", err);

		if (step == NULL)
			return;
		read_timeline(step, &out->lineage[i].timeline, err);
		fha_json_lsn(step, "end", &out->lineage[i].end, err);
		out->lineage_count = i + 1;
	}
}

static void
read_members(struct json_object *from, FhaCluster *out, FhaError *err)
{
	struct json_object *array = fha_json_array(from, "members", FHA_MEMBERS_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *name = json_object_array_get_idx(array, i);

		if (!json_object_is_type(name, json_type_string) ||
			json_object_get_string_len(name) >= FHA_NAME_SIZE ||
			strlen(json_object_get_string(name)) != (size_t) json_object_get_string_len(name))
			(void) fha_error(err, FHA_PROTOCOL, "key \"members\" has an element that is no name");
		else
		{
			(void) snprintf(out->members[i], FHA_NAME_SIZE, "%s", json_object_get_string(name));
			out->member_count = i + 1;
		}
	}
}

static void
read_standbys(struct json_object *from, FhaCluster *out, FhaError *err)
{
	struct json_object *array = fha_json_array(from, "standbys", FHA_MEMBERS_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *standby = element(array, i, "standbys", err);

		if (standby == NULL)
			return;
		fha_json_text(standby, "member", out->standbys[i].member, FHA_NAME_SIZE, err);
		fha_json_lsn(standby, "lsn", &out->standbys[i].lsn, err);
		out->standby_count = i + 1;
	}
}

static void
read_request(struct json_object *from, FhaOrderSlip *out, FhaError *err)
{
	struct json_object *object = fha_json_object(from, "request", err);
	char kind[16] = "";
	char state[16] = "";
	bool known = false;

	if (object == NULL)
		return;
	fha_json_text(object, "kind", kind, sizeof(kind), err);
	fha_json_text(object, "state", state, sizeof(state), err);
	fha_json_text(object, "id", out->id, sizeof(out->id), err);
	fha_json_text(object, "target", out->target, sizeof(out->target), err);
	fha_json_text(object, "requested_by", out->requested_by, sizeof(out->requested_by), err);
	fha_json_text(object, "requested_at", out->requested_at, sizeof(out->requested_at), err);
	fha_json_text(object, "message", out->message, sizeof(out->message), err);
	for (int i = FHA_REQUEST_PENDING; i <= FHA_REQUEST_FAILED; i++)
		if (strcmp(state, request_states[i]) == 0)
		{
			out->state = (FhaRequestState) i;
			known = true;
		}
	if (err->code == FHA_OK && (!known || !fha_request_kind_parse(kind, &out->kind)))
		(void) fha_error(err, FHA_PROTOCOL, "unknown kind or state of a request");
}

FhaCode
fha_request_parse(const char *data, size_t size, FhaOrderSlip *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);
	char kind[16] = "";

	memset(out, 0, sizeof(*out));
	out->state = FHA_REQUEST_PENDING;
	if (object != NULL)
	{
		fha_json_text(object, "kind", kind, sizeof(kind), &local);
		fha_json_text(object, "id", out->id, sizeof(out->id), &local);
		fha_json_text(object, "target", out->target, sizeof(out->target), &local);
		fha_json_text(object, "requested_by", out->requested_by, sizeof(out->requested_by), &local);
		json_object_put(object);
		if (local.code == FHA_OK &&
			(out->id[0] == '\0' || !fha_request_kind_parse(kind, &out->kind)))
			(void) fha_error(&local, FHA_PROTOCOL, "a request needs an id and a kind");
		fha_wall_time(out->requested_at, sizeof(out->requested_at));
	}
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

FhaCode
fha_cluster_parse(const char *data, size_t size, FhaCluster *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);

	memset(out, 0, sizeof(*out));
	if (object != NULL)
	{
		read_kind(object, "cluster", &local);
		fha_json_text(object, "cluster", out->cluster, sizeof(out->cluster), &local);
		fha_json_text(object, "cluster_uuid", out->cluster_uuid, sizeof(out->cluster_uuid), &local);
		fha_json_u64(object, "system_identifier", &out->system_identifier, &local);
		fha_json_text(object, "holder", out->holder, sizeof(out->holder), &local);
		fha_json_text(object, "incarnation", out->incarnation, sizeof(out->incarnation), &local);
		fha_json_text(object, "boot_id", out->boot_id, sizeof(out->boot_id), &local);
		fha_json_text(object, "life", out->life, sizeof(out->life), &local);
		fha_json_text(object, "nonce", out->nonce, sizeof(out->nonce), &local);
		/* Nobody may make observers wait for ever, or not at all. */
		fha_json_int(object, "lease_duration_ms", 100, 3600 * 1000, &out->lease_duration_ms,
					 &local);
		fha_json_bool(object, "released", &out->released, &local);
		read_position(object, "release", &out->release, &local);
		fha_json_text(object, "release_to", out->release_to, sizeof(out->release_to), &local);
		fha_json_u64(object, "term", &out->term, &local);
		read_timeline(object, &out->timeline, &local);
		fha_json_u64(object, "lineage_term", &out->lineage_term, &local);
		read_lineage(object, out, &local);
		read_position(object, "position", &out->position, &local);
		read_members(object, out, &local);
		read_standbys(object, out, &local);
		fha_json_bool(object, "paused", &out->paused, &local);
		fha_json_text(object, "pause_reason", out->pause_reason, sizeof(out->pause_reason), &local);
		read_request(object, &out->request, &local);
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

FhaCode
fha_member_parse(const char *data, size_t size, FhaMember *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);
	char role[16] = "";

	memset(out, 0, sizeof(*out));
	if (object != NULL)
	{
		read_kind(object, "member", &local);
		fha_json_text(object, "cluster", out->cluster, sizeof(out->cluster), &local);
		fha_json_text(object, "member", out->member, sizeof(out->member), &local);
		fha_json_text(object, "incarnation", out->incarnation, sizeof(out->incarnation), &local);
		fha_json_text(object, "data_incarnation", out->data_incarnation,
					  sizeof(out->data_incarnation), &local);
		fha_json_text(object, "address", out->address, sizeof(out->address), &local);
		fha_json_text(object, "role", role, sizeof(role), &local);
		fha_json_text(object, "state", out->state, sizeof(out->state), &local);
		fha_json_u64(object, "term", &out->term, &local);
		read_timeline(object, &out->position.timeline, &local);
		fha_json_lsn(object, "lsn", &out->position.lsn, &local);
		fha_json_lsn(object, "replayed", &out->replayed, &local);
		fha_json_text(object, "following", out->following, sizeof(out->following), &local);
		fha_json_text(object, "candidate_for", out->candidate_for, sizeof(out->candidate_for),
					  &local);
		fha_json_bool(object, "rewindable", &out->rewindable, &local);
		fha_json_text(object, "updated_at", out->updated_at, sizeof(out->updated_at), &local);
		json_object_put(object);
		for (int i = FHA_ROLE_DOWN; i <= FHA_ROLE_PRIMARY; i++)
			if (strcmp(role, fha_role_name((FhaRole) i)) == 0)
				out->role = (FhaRole) i;
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

static void
append(struct json_object *array, struct json_object *value, bool *failed)
{
	if (array == NULL || value == NULL || json_object_array_add(array, value) != 0)
	{
		json_object_put(value);
		*failed = true;
	}
}

static void
put_arrays(struct json_object *to, const FhaCluster *cluster, bool *failed)
{
	struct json_object *lineage = json_object_new_array();
	struct json_object *members = json_object_new_array();
	struct json_object *standbys = json_object_new_array();

	for (size_t i = 0; i < cluster->lineage_count; i++)
	{
		struct json_object *step = json_object_new_object();

		fha_json_put_int(step, "timeline", cluster->lineage[i].timeline, failed);
		fha_json_put_lsn(step, "end", cluster->lineage[i].end, failed);
		append(lineage, step, failed);
	}
	for (size_t i = 0; i < cluster->member_count; i++)
		append(members, json_object_new_string(cluster->members[i]), failed);
	for (size_t i = 0; i < cluster->standby_count; i++)
	{
		struct json_object *standby = json_object_new_object();

		fha_json_put_text(standby, "member", cluster->standbys[i].member, failed);
		fha_json_put_lsn(standby, "lsn", cluster->standbys[i].lsn, failed);
		append(standbys, standby, failed);
	}
	fha_json_put(to, "lineage", lineage, failed);
	fha_json_put(to, "members", members, failed);
	fha_json_put(to, "standbys", standbys, failed);
}

static void
put_request(struct json_object *to, const FhaOrderSlip *request, bool *failed)
{
	struct json_object *object;

	if (request->kind == FHA_REQUEST_NONE)
		return;
	object = json_object_new_object();
	fha_json_put_text(object, "id", request->id, failed);
	fha_json_put_text(object, "kind", fha_request_kind_name(request->kind), failed);
	fha_json_put_text(object, "target", request->target, failed);
	fha_json_put_text(object, "requested_by", request->requested_by, failed);
	fha_json_put_text(object, "requested_at", request->requested_at, failed);
	fha_json_put_text(object, "state", fha_request_state_name(request->state), failed);
	fha_json_put_text(object, "message", request->message, failed);
	fha_json_put(to, "request", object, failed);
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
	fha_json_put_text(object, "life", cluster->life, &failed);
	fha_json_put_text(object, "nonce", cluster->nonce, &failed);
	fha_json_put_int(object, "lease_duration_ms", cluster->lease_duration_ms, &failed);
	fha_json_put_bool(object, "released", cluster->released, &failed);
	if (cluster->released)
	{
		put_position(object, "release", cluster->release, &failed);
		fha_json_put_text(object, "release_to", cluster->release_to, &failed);
	}
	fha_json_put_u64(object, "term", cluster->term, &failed);
	fha_json_put_int(object, "timeline", cluster->timeline, &failed);
	fha_json_put_u64(object, "lineage_term", cluster->lineage_term, &failed);
	put_position(object, "position", cluster->position, &failed);
	put_arrays(object, cluster, &failed);
	fha_json_put_bool(object, "paused", cluster->paused, &failed);
	if (cluster->paused)
		fha_json_put_text(object, "pause_reason", cluster->pause_reason, &failed);
	put_request(object, &cluster->request, &failed);
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
	fha_json_put_text(object, "data_incarnation", member->data_incarnation, &failed);
	fha_json_put_text(object, "address", member->address, &failed);
	fha_json_put_text(object, "role", fha_role_name(member->role), &failed);
	fha_json_put_text(object, "state", member->state, &failed);
	fha_json_put_u64(object, "term", member->term, &failed);
	fha_json_put_int(object, "timeline", member->position.timeline, &failed);
	fha_json_put_lsn(object, "lsn", member->position.lsn, &failed);
	fha_json_put_lsn(object, "replayed", member->replayed, &failed);
	fha_json_put_text(object, "following", member->following, &failed);
	fha_json_put_text(object, "candidate_for", member->candidate_for, &failed);
	fha_json_put_bool(object, "rewindable", member->rewindable, &failed);
	fha_json_put_text(object, "updated_at", member->updated_at, &failed);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}

static struct json_object *
entry_object(const FhaHistoryEntry *entry, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_json_put_text(object, "at", entry->at, failed);
	fha_json_put_text(object, "event", entry->event, failed);
	fha_json_put_u64(object, "term", entry->term, failed);
	fha_json_put_int(object, "timeline", entry->timeline, failed);
	fha_json_put_text(object, "member", entry->member, failed);
	fha_json_put_text(object, "from", entry->from, failed);
	fha_json_put_text(object, "reason", entry->reason, failed);
	if (entry->request[0] != '\0')
	{
		fha_json_put_text(object, "request", entry->request, failed);
		fha_json_put_text(object, "requested_by", entry->requested_by, failed);
	}
	return object;
}

FhaCode
fha_history_append(const char *cluster, const char *old, size_t old_size,
				   const FhaHistoryEntry *entry, char **out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *before = NULL;
	struct json_object *entries = NULL;
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();
	bool failed = false;
	size_t count = 0;

	*out = NULL;
	if (old != NULL)
	{
		before = fha_json_parse(old, old_size, &local);
		if (before != NULL)
		{
			read_kind(before, "history", &local);
			entries = fha_json_array(before, "entries", FHA_HISTORY_MAX, &local);
		}
		if (local.code != FHA_OK)
			goto out;
		count = entries == NULL ? 0 : json_object_array_length(entries);
	}
	for (size_t i = count >= FHA_HISTORY_MAX ? count - FHA_HISTORY_MAX + 1 : 0; i < count; i++)
	{
		struct json_object *kept = element(entries, i, "entries", &local);

		if (kept == NULL)
			goto out;
		append(list, json_object_get(kept), &failed);
	}
	append(list, entry_object(entry, &failed), &failed);
	fha_json_put_text(object, "kind", "history", &failed);
	fha_json_put_text(object, "cluster", cluster, &failed);
	fha_json_put(object, "entries", list, &failed);
	*out = fha_json_finish(object, failed, &local);
	object = list = NULL;
out:
	json_object_put(object);
	json_object_put(list);
	json_object_put(before);
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

static struct json_object *
reparse(const char *text)
{
	return text == NULL ? NULL : fha_json_parse(text, strlen(text), NULL);
}

FhaCode
fha_snapshot_print(const FhaSnapshot *snapshot, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	struct json_object *members = json_object_new_array();
	struct json_object *cluster = reparse(snapshot->cluster);
	struct json_object *history = reparse(snapshot->history);
	struct json_object *entries = NULL;
	bool failed = false;

	fha_json_put_text(object, "member", snapshot->member, &failed);
	fha_json_put_text(object, "incarnation", snapshot->incarnation, &failed);
	fha_json_put_text(object, "decision", snapshot->decision, &failed);
	fha_json_put_text(object, "because", snapshot->because, &failed);
	fha_json_put_bool(object, "fence_open", snapshot->fence_open, &failed);
	fha_json_put_int(object, "fence_left_ms", snapshot->fence_left_ms, &failed);
	if (cluster != NULL)
		fha_json_put(object, "cluster", cluster, &failed);
	for (size_t i = 0; i < snapshot->member_count; i++)
	{
		struct json_object *member = reparse(snapshot->members[i]);

		if (member != NULL)
			append(members, member, &failed);
	}
	fha_json_put(object, "members", members, &failed);
	if (history != NULL && json_object_object_get_ex(history, "entries", &entries))
		fha_json_put(object, "history", json_object_get(entries), &failed);
	json_object_put(history);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
