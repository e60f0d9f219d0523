/*
 * snapshot.c: what a node publishes, as JSON.  See snapshot.h.
 */
#include "record/snapshot.h"

#include <string.h>

#include "base/json.h"
#include "record/record.h"

/* What is no JSON is left out; what finds no memory is a failure. */
static struct json_object *
json_reparse(const char *text, bool *failed)
{
	FhaError err = {.code = FHA_OK};
	struct json_object *object = text == NULL ? NULL : fha_json_parse(text, strlen(text), &err);

	if (err.code == FHA_NO_MEMORY)
		*failed = true;
	return object;
}

static void
snapshot_put_lags(struct json_object *to, const FhaSnapshot *snapshot, bool *failed)
{
	struct json_object *lags = json_object_new_array();

	for (size_t i = 0; i < snapshot->lag_count; i++)
	{
		const FhaMemberLag *lag = &snapshot->lags[i];
		struct json_object *object = json_object_new_object();

		fha_json_put_text(object, "member", lag->member, failed);
		fha_json_put_bool(object, "streaming", lag->streaming, failed);
		for (int stage = 0; stage < FHA_STAGES; stage++)
		{
			struct json_object *one = json_object_new_object();

			if (lag->fresh_ms[stage] != 0)
				fha_json_put_int(one, "fresh_ms", lag->fresh_ms[stage], failed);
			if (lag->whole_until_ms[stage] != 0)
				fha_json_put_int(one, "whole_until_ms", lag->whole_until_ms[stage], failed);
			if (lag->bytes[stage] >= 0)
				fha_json_put_int(one, "bytes", lag->bytes[stage], failed);
			fha_json_put(object, fha_stage_name(stage), one, failed);
		}
		fha_json_append(lags, object, failed);
	}
	fha_json_put(to, "lag", lags, failed);
}

static void
put_heard(struct json_object *to, const FhaSnapshot *snapshot, bool *failed)
{
	struct json_object *heard = json_object_new_array();

	for (size_t i = 0; i < snapshot->heard_count; i++)
	{
		struct json_object *object = json_object_new_object();

		fha_json_put_text(object, "member", snapshot->heard[i].member, failed);
		fha_json_put_int(object, "at_ms", snapshot->heard[i].at_ms, failed);
		fha_json_append(heard, object, failed);
	}
	fha_json_put(to, "heard", heard, failed);
}

FhaCode
fha_snapshot_print(const FhaSnapshot *snapshot, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	struct json_object *members = json_object_new_array();
	bool failed = false;
	struct json_object *cluster = json_reparse(snapshot->cluster, &failed);
	struct json_object *history = json_reparse(snapshot->history, &failed);
	struct json_object *entries = NULL;

	fha_json_put_text(object, "member", snapshot->member, &failed);
	fha_json_put_text(object, "incarnation", snapshot->incarnation, &failed);
	fha_json_put_text(object, "decision", snapshot->decision, &failed);
	if (snapshot->rule != NULL)
		fha_json_put_text(object, "rule", snapshot->rule, &failed);
	fha_json_put_text(object, "because", snapshot->because, &failed);
	fha_json_put_bool(object, "fence_open", snapshot->fence_open, &failed);
	fha_json_put_int(object, "fence_left_ms", snapshot->fence_left_ms, &failed);
	fha_json_put_bool(object, "lease_is_free", snapshot->lease_is_free, &failed);
	if (cluster != NULL)
		fha_json_put(object, "cluster", cluster, &failed);
	for (size_t i = 0; i < snapshot->member_count; i++)
	{
		struct json_object *member = json_reparse(snapshot->members[i], &failed);

		if (member != NULL)
			fha_json_append(members, member, &failed);
	}
	fha_json_put(object, "members", members, &failed);
	if (snapshot->lags != NULL)
		snapshot_put_lags(object, snapshot, &failed);
	if (snapshot->heard != NULL)
		put_heard(object, snapshot, &failed);
	if (history != NULL && json_object_object_get_ex(history, "entries", &entries))
		fha_json_put(object, "history", json_object_get(entries), &failed);
	json_object_put(history);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}

FhaCode
fha_snapshot_parse(const char *data, size_t size, FhaSnapshotView *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *snapshot = fha_json_parse(data, size, &local);
	struct json_object *cluster = NULL;
	struct json_object *members = NULL;
	const char *text;

	memset(out, 0, sizeof(*out));
	if (snapshot != NULL)
	{
		fha_json_bool(snapshot, "lease_is_free", &out->lease_is_free, &local);
		cluster = fha_json_object(snapshot, "cluster", &local);
		members = fha_json_array(snapshot, "members", FHA_MEMBERS_MAX, &local);
		if (cluster == NULL && local.code == FHA_OK)
			(void) fha_error(&local, FHA_PROTOCOL, "the snapshot has no cluster record");
	}
	if (local.code == FHA_OK)
	{
		text = json_object_to_json_string(cluster);
		if (fha_cluster_parse(text, strlen(text), &out->cluster, &local) != FHA_OK)
			out->member_count = 0;
	}
	for (size_t i = 0;
		 local.code == FHA_OK && members != NULL && i < json_object_array_length(members); i++)
	{
		text = json_object_to_json_string(json_object_array_get_idx(members, i));
		if (fha_member_parse(text, strlen(text), &out->members[out->member_count], NULL) == FHA_OK)
			out->member_count++;
	}
	json_object_put(snapshot);
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}
