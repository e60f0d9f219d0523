/*
 * status_document.c: the JSON behind the status page.  See status_document.h.
 */
#include "show/status_document.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "core/freshness.h"
#include "core/routing.h"
#include "record/history.h"
#include "record/record.h"
#include "show/health.h"
#include "show/overview.h"

/* What is read here. */
typedef struct Known
{
	const FhaStatusInput *input;
	const FhaSnapshot *snapshot; /* NULL: there is none, or no record of the cluster is in it */
	const char *self;            /* whose it is */
} Known;

static const FhaSnapshot *
with_cluster(const FhaSnapshot *snapshot)
{
	return snapshot != NULL && snapshot->known ? snapshot : NULL;
}

/* What the node measured of that member; NULL: nothing. */
static const FhaMemberLag *
lag_of(const FhaSnapshot *snapshot, const char *member)
{
	for (size_t i = 0; i < snapshot->lag_count; i++)
		if (strcmp(snapshot->lags[i].member, member) == 0)
			return &snapshot->lags[i];
	return NULL;
}

/* Of one stage at now_ms; FHA_LAG_UNSEEN: not known. */
static void
status_read_lag(const FhaMemberLag *lag, FhaStage stage, int64_t now_ms, int64_t *ms,
				int64_t *bytes)
{
	*ms = *bytes = FHA_LAG_UNSEEN;
	if (lag == NULL)
		return;
	if (lag->bytes[stage] >= 0)
		*bytes = lag->bytes[stage];
	if (lag->fresh_at_ms[stage] != 0)
		*ms = fha_lag_shown_ms(lag->fresh_at_ms[stage], lag->whole_ends_at_ms[stage], now_ms);
}

static void
read_replay(const FhaSnapshot *snapshot, const FhaMember *member, const FhaShown *shown,
			int64_t now_ms, int64_t *ms, int64_t *bytes)
{
	status_read_lag(lag_of(snapshot, member->member), FHA_REPLAYED, now_ms, ms, bytes);
	if (*bytes == FHA_LAG_UNSEEN)
		*bytes = shown->lag_bytes;
}

void
fha_status_sample(FhaLagRing *ring, const FhaSnapshot *snapshot, int64_t now_ms)
{
	FhaOutlook outlook = {.held = true};

	fha_lag_ring_begin(ring, now_ms);
	snapshot = with_cluster(snapshot);
	if (snapshot == NULL)
		return;
	outlook.record = &snapshot->cluster;
	for (size_t i = 0; i < snapshot->member_count; i++)
	{
		const FhaMember *member = &snapshot->members[i];
		FhaShown shown;
		int64_t ms;
		int64_t bytes;

		if (member->role != FHA_ROLE_STANDBY)
			continue;
		fha_overview_member(&outlook, member, &shown);
		read_replay(snapshot, member, &shown, now_ms, &ms, &bytes);
		fha_lag_ring_put(ring, member->member, ms, bytes);
	}
}

static int64_t
status_not_negative(int64_t ms)
{
	return ms > 0 ? ms : 0;
}

/* It keeps from the lease for its holder, whose renewals do not arrive. */
static bool
is_bound(const FhaStatusInput *input)
{
	return !input->vitals->mine && input->now_ms < input->vitals->bound_ends_at_ms;
}

static bool
status_is_held(const FhaStatusInput *input, const FhaCluster *record, int64_t left_ms)
{
	const FhaVitals *vitals = input->vitals;

	if (record->holder[0] == '\0' || record->released)
		return false;
	if (vitals->mine)
		return input->now_ms - vitals->renewed_at_ms < record->lease_duration_ms ||
			   (vitals->promised && input->fence->open);
	return left_ms > 0 || is_bound(input);
}

/* By what the agent saw change; a record that could not be written or read is no silence. */
static int64_t
heard_s(const void *of, const char *member)
{
	const Known *known = of;
	const FhaVitals *vitals = known->input->vitals;
	const FhaSnapshot *snapshot = known->snapshot;

	if (strcmp(member, known->self) == 0)
		return vitals->at_ms == 0
				   ? -1
				   : status_not_negative(known->input->now_ms - vitals->at_ms) / 1000;
	for (size_t i = 0; snapshot != NULL && i < snapshot->heard_count; i++)
	{
		int64_t at_ms = snapshot->heard[i].at_ms;

		if (strcmp(snapshot->heard[i].member, member) != 0)
			continue;
		if (at_ms < vitals->first_answer_at_ms)
			at_ms = vitals->first_answer_at_ms;
		return status_not_negative(vitals->at_ms - at_ms) / 1000;
	}
	return -1;
}

static void
look_out(const Known *known, FhaOutlook *out)
{
	const FhaStatusInput *input = known->input;
	const FhaVitals *vitals = input->vitals;
	const FhaCluster *record;

	*out = (FhaOutlook){
		.wall_s = input->wall_s,
		.self = known->self,
		.lease_age_ms = -1,
		.max_lag_bytes = input->max_lag_bytes,
		.local = true,
		.agent = input->agent,
		.agent_age_ms = vitals->at_ms == 0 ? 0 : status_not_negative(input->now_ms - vitals->at_ms),
		.postgres = vitals->postgres,
		.fence_open = input->fence->open,
		.promised = vitals->promised && input->fence->open,
		.silence_s = heard_s,
		.known = known,
	};
	if (known->snapshot == NULL)
		return;
	out->record = record = &known->snapshot->cluster;
	out->members = known->snapshot->members;
	out->member_count = known->snapshot->member_count;
	if (!vitals->known)
		return;
	out->lease_age_ms = status_not_negative(input->now_ms - vitals->renewed_at_ms);
	out->held = status_is_held(input, record, record->lease_duration_ms - out->lease_age_ms);
	out->bound = is_bound(input) && out->lease_age_ms >= record->lease_duration_ms;
}

static void
status_put_lease(struct json_object *to, const FhaStatusInput *input, const FhaOutlook *outlook,
				 bool *failed)
{
	const FhaCluster *record = outlook->record;
	struct json_object *lease;
	int64_t left_ms;

	if (record == NULL)
		return;
	lease = json_object_new_object();
	/* A holder counts to where it stops by itself; others to where they may take over. */
	left_ms = input->vitals->mine ? input->fence->left_ms
			  : outlook->bound    ? input->vitals->bound_ends_at_ms - input->now_ms
								  : record->lease_duration_ms - outlook->lease_age_ms;
	fha_json_put_text(lease, "holder", record->holder, failed);
	fha_json_put_bool(lease, "held", outlook->held, failed);
	fha_json_put_bool(lease, "mine", input->vitals->mine, failed);
	fha_json_put_bool(lease, "released", record->released, failed);
	fha_json_put_bool(lease, "promised", outlook->promised, failed);
	fha_json_put_u64(lease, "term", record->term, failed);
	fha_json_put_int(lease, "timeline", record->timeline, failed);
	fha_json_put_int(lease, "duration_ms", record->lease_duration_ms, failed);
	if (outlook->lease_age_ms >= 0)
	{
		fha_json_put_int(lease, "age_ms", outlook->lease_age_ms, failed);
		fha_json_put_int(lease, "remaining_ms", outlook->held ? status_not_negative(left_ms) : 0,
						 failed);
	}
	fha_json_put_text(lease, "acquired_at", record->acquired_at, failed);
	fha_json_put_text(lease, "renewed_at", record->renewed_at, failed);
	fha_json_put(to, "lease", lease, failed);
	fha_json_put_bool(to, "paused", record->paused, failed);
}

static void
status_put_lags(struct json_object *to, const FhaMemberLag *lag, int64_t now_ms, bool *failed)
{
	for (int stage = 0; stage < FHA_STAGES; stage++)
	{
		struct json_object *one;
		int64_t ms;
		int64_t bytes;

		status_read_lag(lag, (FhaStage) stage, now_ms, &ms, &bytes);
		if (ms == FHA_LAG_UNSEEN && bytes == FHA_LAG_UNSEEN)
			continue;
		one = json_object_new_object();
		if (ms != FHA_LAG_UNSEEN)
			fha_json_put_int(one, "ms", ms, failed);
		if (bytes != FHA_LAG_UNSEEN)
			fha_json_put_int(one, "bytes", bytes, failed);
		fha_json_put(to, fha_stage_name(stage), one, failed);
	}
}

static struct json_object *
member_object(const Known *known, const FhaOutlook *outlook, const FhaMember *member, bool *failed)
{
	struct json_object *object = json_object_new_object();
	const FhaMemberLag *lag = lag_of(known->snapshot, member->member);
	int64_t now_ms = known->input->now_ms;
	FhaShown shown;
	int64_t ms;
	int64_t bytes;

	fha_overview_member(outlook, member, &shown);
	/* What was measured is of this moment, the records are of their last writing. */
	status_read_lag(lag, FHA_FLUSHED, now_ms, &ms, &bytes);
	if (bytes != FHA_LAG_UNSEEN && shown.lag_bytes >= 0)
		shown.lag_bytes = bytes;
	fha_json_put_text(object, "member", member->member, failed);
	fha_json_put_text(object, "role", fha_shown_role_name(shown.role), failed);
	fha_json_put_text(object, "serves", fha_serves_name(member->serves), failed);
	fha_json_put_bool(object, "holds_lease", shown.holds, failed);
	fha_json_put_bool(object, "streaming", shown.streaming, failed);
	fha_json_put_text(object, "state", shown.state, failed);
	if (member->rule[0] != '\0')
		fha_json_put_text(object, "rule", member->rule, failed);
	fha_json_put_text(object, "address", member->address, failed);
	fha_json_put_text(object, "listener", member->listener, failed);
	if (member->exporter[0] != '\0')
		fha_json_put_text(object, "exporter", member->exporter, failed);
	fha_json_put_text(object, "following", member->following, failed);
	fha_json_put_int(object, "timeline", member->position.timeline, failed);
	fha_json_put_lsn(object, "lsn", shown.lsn, failed);
	fha_json_put_lsn(object, "replayed", member->replayed, failed);
	if (shown.lag_bytes >= 0)
		fha_json_put_int(object, "lag_bytes", shown.lag_bytes, failed);
	status_put_lags(object, lag, now_ms, failed);
	fha_json_put_bool(object, "pending_restart", member->pending_restart, failed);
	fha_json_put_text(object, "updated_at", member->updated_at, failed);
	return object;
}

static int
members_by_name(const void *one, const void *other)
{
	return strcmp((*(const FhaMember *const *) one)->member,
				  (*(const FhaMember *const *) other)->member);
}

static void
status_put_members(struct json_object *to, const Known *known, const FhaOutlook *outlook,
				   bool *failed)
{
	struct json_object *members = json_object_new_array();
	const FhaMember *sorted[FHA_MEMBERS_MAX];
	size_t count = known->snapshot == NULL ? 0 : known->snapshot->member_count;

	for (size_t i = 0; i < count; i++)
		sorted[i] = &known->snapshot->members[i];
	if (count > 0)
		qsort(sorted, count, sizeof(sorted[0]), members_by_name);
	for (size_t i = 0; i < count; i++)
		fha_json_append(members, member_object(known, outlook, sorted[i], failed), failed);
	fha_json_put(to, "members", members, failed);
}

static struct json_object *
ring_values(const FhaLagRing *ring, const int64_t *from, bool *failed)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < ring->count; i++)
		fha_json_append(array, json_object_new_int64(from[fha_lag_ring_place(ring, i)]), failed);
	return array;
}

static void
put_ring(struct json_object *to, const FhaStatusInput *input, bool *failed)
{
	const FhaLagRing *ring = input->ring;
	struct json_object *object = json_object_new_object();
	struct json_object *ages = json_object_new_array();
	struct json_object *members = json_object_new_array();

	fha_json_put_int(object, "period_ms", FHA_LAG_RING_PERIOD_MS, failed);
	for (size_t i = 0; i < ring->count; i++)
		fha_json_append(ages,
						json_object_new_int64(status_not_negative(
							input->now_ms - ring->at_ms[fha_lag_ring_place(ring, i)])),
						failed);
	fha_json_put(object, "age_ms", ages, failed);
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
	{
		const FhaLagTrack *track = &ring->tracks[i];
		struct json_object *one;

		if (track->member[0] == '\0')
			continue;
		one = json_object_new_object();
		fha_json_put_text(one, "member", track->member, failed);
		fha_json_put(one, "ms", ring_values(ring, track->ms, failed), failed);
		fha_json_put(one, "bytes", ring_values(ring, track->bytes, failed), failed);
		fha_json_append(members, one, failed);
	}
	fha_json_put(object, "members", members, failed);
	fha_json_put(to, "lag", object, failed);
}

/* The newest first, as they stand in the record. */
static void
put_history(struct json_object *to, const FhaSnapshot *snapshot, bool *failed)
{
	struct json_object *history = json_object_new_array();
	size_t count = snapshot == NULL ? 0 : snapshot->history_count;

	for (size_t i = 0; i < count && i < FHA_STATUS_HISTORY_MAX; i++)
		fha_json_append(
			history, fha_history_entry_object(&snapshot->history[count - 1 - i], failed), failed);
	fha_json_put(to, "history", history, failed);
}

static void
put_findings(struct json_object *to, const FhaOutlook *outlook, bool *failed)
{
	struct json_object *array = json_object_new_array();
	FhaFinding *findings = calloc(FHA_FINDINGS_MAX, sizeof(*findings));
	size_t count = findings == NULL ? 0 : fha_findings(outlook, findings);

	*failed = *failed || findings == NULL;
	for (size_t i = 0; i < count; i++)
	{
		struct json_object *one = json_object_new_object();

		fha_json_put_text(one, "name", findings[i].name, failed);
		fha_json_put_text(one, "severity", fha_severity_name(findings[i].severity), failed);
		if (findings[i].member[0] != '\0')
			fha_json_put_text(one, "member", findings[i].member, failed);
		fha_json_put_text(one, "what", findings[i].what, failed);
		fha_json_put_text(one, "todo", findings[i].todo, failed);
		fha_json_append(array, one, failed);
	}
	free(findings);
	fha_json_put(to, "findings", array, failed);
}

static void
put_self(struct json_object *to, const Known *known, const FhaOutlook *outlook, bool *failed)
{
	const FhaStatusInput *input = known->input;
	char at[FHA_TIME_SIZE] = "";
	time_t wall = (time_t) input->wall_s;
	struct tm broken;
	struct json_object *agent = json_object_new_object();
	struct json_object *fence = json_object_new_object();

	if (gmtime_r(&wall, &broken) != NULL)
		(void) strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &broken);
	fha_json_put_text(to, "cluster",
					  known->snapshot == NULL ? "" : known->snapshot->cluster.cluster, failed);
	fha_json_put_text(to, "member", known->self, failed);
	fha_json_put_text(to, "at", at, failed);
	fha_json_put_text(to, "role", fha_pg_state_name(input->vitals->postgres), failed);
	if (input->vitals->decision != NULL)
	{
		fha_json_put_text(to, "decision", input->vitals->decision, failed);
		fha_json_put_text(to, "rule", input->vitals->rule, failed);
		fha_json_put_text(to, "because", input->vitals->because, failed);
	}
	fha_json_put_bool(agent, "running", input->agent, failed);
	if (input->vitals->at_ms != 0)
		fha_json_put_int(agent, "age_ms", outlook->agent_age_ms, failed);
	fha_json_put(to, "agent", agent, failed);
	fha_json_put_bool(fence, "open", input->fence->open, failed);
	fha_json_put_int(fence, "left_ms", status_not_negative(input->fence->left_ms), failed);
	fha_json_put(to, "fence", fence, failed);
}

static void
put_count(struct json_object *to, const char *key, double value, bool *failed)
{
	/* Beyond that it is no count, and not for an int64_t. */
	if (value >= 0 && value < 1e15)
		fha_json_put_int(to, key, (int64_t) value, failed);
}

static void
status_put_volume(struct json_object *to, const char *key, double size, double free, bool *failed)
{
	struct json_object *volume;

	if (!(size > 0))
		return;
	volume = json_object_new_object();
	put_count(volume, "bytes", size, failed);
	put_count(volume, "free", free, failed);
	fha_json_put(to, key, volume, failed);
}

/* What is not known is left out. */
static void
put_server(struct json_object *to, const FhaServerFacts *facts, bool *failed)
{
	struct json_object *server;
	struct json_object *slots;

	if (facts == NULL)
		return;
	server = json_object_new_object();
	slots = json_object_new_array();
	fha_json_put_text(server, "fawkes_ha", FAWKES_HA_VERSION, failed);
	if (facts->postgres[0] != '\0')
		fha_json_put_text(server, "postgres", facts->postgres, failed);
	if (facts->age_ms >= 0)
		fha_json_put_int(server, "age_ms", facts->age_ms, failed);
	put_count(server, "started_at", facts->started_at, failed);
	put_count(server, "connections", facts->connections, failed);
	put_count(server, "max_connections", facts->max_connections, failed);
	put_count(server, "longest_transaction_s", facts->longest_transaction_s, failed);
	put_count(server, "xid_age", facts->xid_age, failed);
	if (facts->age_ms >= 0)
		fha_json_put_text(server, "archiving",
						  isnan(facts->archived) && isnan(facts->archive_failed) ? "off"
						  : facts->archive_failed > facts->archived              ? "fails"
						  : facts->archived > 0                                  ? "works"
																				 : "nothing yet",
						  failed);
	status_put_volume(server, "data_volume", facts->data_bytes, facts->data_free, failed);
	status_put_volume(server, "wal_volume", facts->wal_bytes, facts->wal_free, failed);
	for (size_t i = 0; i < facts->slot_count; i++)
	{
		struct json_object *slot = json_object_new_object();

		fha_json_put_text(slot, "name", facts->slots[i].name, failed);
		put_count(slot, "bytes", facts->slots[i].bytes, failed);
		fha_json_append(slots, slot, failed);
	}
	fha_json_put(server, "slots", slots, failed);
	fha_json_put(to, "server", server, failed);
}

FhaCode
fha_status_document(const FhaStatusInput *input, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	Known known = {.input = input,
				   .snapshot = with_cluster(input->snapshot),
				   .self = input->snapshot == NULL ? "" : input->snapshot->member};
	bool failed = false;
	FhaOutlook outlook;

	look_out(&known, &outlook);
	put_self(object, &known, &outlook, &failed);
	put_findings(object, &outlook, &failed);
	status_put_lease(object, input, &outlook, &failed);
	status_put_members(object, &known, &outlook, &failed);
	put_server(object, input->server, &failed);
	put_ring(object, input, &failed);
	put_history(object, input->snapshot, &failed);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
