/*
 * snapshot.c: what a node publishes, as JSON.  See snapshot.h.
 */
#include "record/snapshot.h"

#include "base/json.h"
#include "record/record.h"

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

			if (lag->fresh_at_ms[stage] != 0)
				fha_json_put_int(one, "fresh_ms", lag->fresh_at_ms[stage], failed);
			if (lag->whole_ends_at_ms[stage] != 0)
				fha_json_put_int(one, "whole_until_ms", lag->whole_ends_at_ms[stage], failed);
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

static void
snapshot_put_history(struct json_object *to, const FhaSnapshot *snapshot, bool *failed)
{
	struct json_object *history = json_object_new_array();

	for (size_t i = 0; i < snapshot->history_count; i++)
		fha_json_append(history, fha_history_entry_object(&snapshot->history[i], failed), failed);
	fha_json_put(to, "history", history, failed);
}

FhaCode
fha_snapshot_print(const FhaSnapshot *snapshot, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	struct json_object *members = json_object_new_array();
	bool failed = false;

	fha_json_put_text(object, "member", snapshot->member, &failed);
	fha_json_put_text(object, "incarnation", snapshot->incarnation, &failed);
	fha_json_put_text(object, "decision", snapshot->decision, &failed);
	if (snapshot->rule != NULL)
		fha_json_put_text(object, "rule", snapshot->rule, &failed);
	fha_json_put_text(object, "because", snapshot->because, &failed);
	fha_json_put_bool(object, "fence_open", snapshot->fence_open, &failed);
	fha_json_put_int(object, "fence_left_ms", snapshot->fence_left_ms, &failed);
	fha_json_put_bool(object, "lease_is_free", snapshot->lease_is_free, &failed);
	if (snapshot->known)
		fha_json_put(object, "cluster", fha_cluster_object(&snapshot->cluster, &failed), &failed);
	for (size_t i = 0; i < snapshot->member_count; i++)
		fha_json_append(members, fha_member_object(&snapshot->members[i], &failed), &failed);
	fha_json_put(object, "members", members, &failed);
	if (snapshot->measured)
	{
		snapshot_put_lags(object, snapshot, &failed);
		put_heard(object, snapshot, &failed);
	}
	if (snapshot->history_count > 0)
		snapshot_put_history(object, snapshot, &failed);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
