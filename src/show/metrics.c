/*
 * metrics.c: what fawkes_ha measures of itself.  See metrics.h.
 */
#include "show/metrics.h"

#include <stdio.h>

/* In ms.  A lock on one machine answers in one, an API server in ten; a retry period is two seconds. */
static const int64_t bounds_ms[FHA_RENEWAL_BUCKETS] = {1,   2,   5,    10,   25,   50,
													   100, 250, 1000, 2500, 10000};

static const char *const renewal_names[] = {"confirmed", "conflict", "unknown", "failed"};
static const char *const takeover_names[] = {"bootstrap", "reclaim",  "switchover",
											 "ordered",   "released", "lapsed"};
static const char *const refusal_names[] = {"login", "statement", "commit", "reply"};
static const char *const role_names[] = {"down", "standby", "primary"};

typedef struct Output
{
	FhaMetricSink sink;
	void *argument;
	FhaMetric metric;
} Output;

static void
metric_put(Output *out, double value)
{
	out->metric.value = value;
	out->sink(out->argument, &out->metric);
}

static void
put_labelled(Output *out, const char *label, const char *label_value, double value)
{
	out->metric.labels[0] = (FhaMetricLabel){label, label_value};
	out->metric.label_count = 1;
	metric_put(out, value);
}

static void
metric_begin(Output *out, const char *family, const char *type, const char *help)
{
	out->metric = (FhaMetric){.family = family, .suffix = "", .type = type, .help = help};
}

static void
metric_gauge(Output *out, const char *family, const char *help, double value)
{
	metric_begin(out, family, "gauge", help);
	metric_put(out, value);
}

static double
metric_seconds(int64_t ms)
{
	return (double) ms / 1000;
}

static double
metric_not_negative(int64_t ms)
{
	return ms > 0 ? metric_seconds(ms) : 0;
}

static void
put_counts(Output *out, const char *label, const char *const *names, const uint64_t *counts,
		   size_t count)
{
	for (size_t i = 0; i < count; i++)
		put_labelled(out, label, names[i], (double) counts[i]);
}

static void
put_renewals(Output *out, const FhaVitals *vitals)
{
	uint64_t sum = 0;
	char bound[32];

	metric_begin(out, "fawkes_ha_renewals_total", "counter",
				 "Writes of the lease by its holder, by how they ended.");
	put_counts(out, "result", renewal_names, vitals->renewals, FHA_RENEWAL_COUNT);
	metric_begin(out, "fawkes_ha_renewal_seconds", "histogram",
				 "Time from the sending of a renewal to its confirmation by the lock.");
	out->metric.suffix = "_bucket";
	for (size_t i = 0; i < FHA_RENEWAL_BUCKETS; i++)
	{
		sum += vitals->renewal_buckets[i];
		(void) snprintf(bound, sizeof(bound), "%g", metric_seconds(bounds_ms[i]));
		put_labelled(out, "le", bound, (double) sum);
	}
	put_labelled(out, "le", "+Inf", (double) vitals->renewal_count);
	out->metric.label_count = 0;
	out->metric.suffix = "_sum";
	metric_put(out, (double) vitals->renewal_sum_ms / 1000);
	out->metric.suffix = "_count";
	metric_put(out, (double) vitals->renewal_count);
}

static void
metrics_put_lease(Output *out, const FhaVitals *vitals, const FhaFenceState *fence, int64_t now_ms)
{
	int64_t age_ms = now_ms - vitals->renewed_at_ms;
	int64_t left_ms = vitals->mine ? fence->left_ms : vitals->lease_ms - age_ms;

	metric_gauge(out, "fawkes_ha_lease_held", "1 on the member that holds the lease.",
				 vitals->mine);
	metric_gauge(out, "fawkes_ha_lease_released",
				 "1 while the lease was given away and nobody took it.", vitals->released);
	metric_begin(
		out, "fawkes_ha_end_missing", "gauge",
		"1 while nobody leads because no member that runs has all WAL of a primary that was "
		"stopped cleanly: the member that must be started.");
	put_labelled(out, "member", vitals->holder, vitals->end_missing);
	metric_gauge(out, "fawkes_ha_lease_duration_seconds",
				 "How long the lease binds others after a renewal.",
				 metric_seconds(vitals->lease_ms));
	metric_gauge(
		out, "fawkes_ha_renew_deadline_seconds",
		"How long this member, as the holder, acknowledges writes after a renewal was sent.",
		metric_seconds(vitals->renew_deadline_ms));
	metric_gauge(
		out, "fawkes_ha_lease_age_seconds",
		"Time since the lease was renewed: on its holder, since the last confirmed renewal was "
		"sent; elsewhere, since the record was seen to change.",
		metric_not_negative(age_ms));
	metric_gauge(
		out, "fawkes_ha_lease_remaining_seconds",
		"Time until the lease ends without a renewal: on its holder, until its fence shuts; "
		"elsewhere, until this member counts it as lapsed.",
		vitals->released ? 0 : metric_not_negative(left_ms));
	metric_gauge(
		out, "fawkes_ha_led_by_promises",
		"1 while the lock does not answer and this holder leads by the promises of the others.",
		vitals->promised && fence->open);
	metric_gauge(
		out, "fawkes_ha_promise_remaining_seconds",
		"Time until this member may take the lease again, as it promised while the lock did not "
		"answer.",
		metric_not_negative(vitals->bound_ends_at_ms - now_ms));
	metric_gauge(out, "fawkes_ha_term",
				 "Term of the lease; it rises with each change of its holder.",
				 (double) vitals->term);
	metric_gauge(out, "fawkes_ha_timeline", "Timeline that belongs to the term.", vitals->timeline);
	metric_gauge(out, "fawkes_ha_paused", "1 while an operator has paused failover.",
				 vitals->paused);
	metric_begin(out, "fawkes_ha_members", "gauge",
				 "Members that have a record in the lock, by the role that they last said.");
	for (size_t i = 0; i < 3; i++)
		put_labelled(out, "role", role_names[i], (double) vitals->members[i]);
	metric_gauge(out, "fawkes_ha_members_without_data",
				 "Members that have no data: they are being cloned, or wait for it.",
				 (double) vitals->without_data);
	metric_gauge(
		out, "fawkes_ha_members_silent",
		"Members whose record has not changed for six lease durations: they are dead or cut off.",
		(double) vitals->silent);
	if (vitals->mine)
		metric_gauge(out, "fawkes_ha_streaming_standbys", "Members that stream from this primary.",
					 (double) vitals->streaming);
}

static void
put_state(Output *out, const FhaVitals *vitals, int64_t now_ms)
{
	const char *role = vitals->postgres == FHA_PG_PRIMARY   ? "primary"
					   : vitals->postgres == FHA_PG_STANDBY ? "standby"
															: "down";

	metric_begin(out, "fawkes_ha_role", "gauge",
				 "1 for what PostgreSQL is here: primary is out of recovery, standby follows, down "
				 "neither.");
	for (size_t i = 0; i < 3; i++)
		put_labelled(out, "role", role_names[i], *role == *role_names[i]);
	metric_gauge(out, "fawkes_ha_pending_restart", "1 while a changed setting waits for a restart.",
				 vitals->pending_restart);
	metric_gauge(
		out, "fawkes_ha_unattended",
		"1 while this server runs without its supervisor: nothing starts it after a crash.",
		vitals->unattended);
	if (vitals->because == NULL)
		return;
	metric_begin(out, "fawkes_ha_state", "gauge",
				 "1 for the rule that this member follows: what the host must do, and why.");
	out->metric.labels[2] = (FhaMetricLabel){"rule", vitals->rule};
	out->metric.labels[1] = (FhaMetricLabel){"because", vitals->because};
	out->metric.labels[0] = (FhaMetricLabel){"decision", vitals->decision};
	out->metric.label_count = 3;
	metric_put(out, 1);
	metric_gauge(out, "fawkes_ha_state_age_seconds",
				 "Time since the rule that this member follows last changed.",
				 metric_not_negative(now_ms - vitals->decided_at_ms));
}

void
fha_vitals_renewed(FhaVitals *vitals, int64_t latency_ms)
{
	size_t i = 0;

	while (i < FHA_RENEWAL_BUCKETS && latency_ms > bounds_ms[i])
		i++;
	if (i < FHA_RENEWAL_BUCKETS)
		vitals->renewal_buckets[i]++;
	vitals->renewal_count++;
	vitals->renewal_sum_ms += (uint64_t) (latency_ms > 0 ? latency_ms : 0);
}

void
fha_metrics_list(const FhaVitals *vitals, const FhaFenceState *fence, bool agent, int64_t now_ms,
				 FhaMetricSink sink, void *argument)
{
	Output out = {.sink = sink, .argument = argument};

	metric_gauge(&out, "fawkes_ha_agent_up", "1 while the agent, which renews the lease, runs.",
				 agent);
	metric_gauge(&out, "fawkes_ha_fence_open", "1 while this server may acknowledge writes.",
				 fence->open);
	metric_gauge(&out, "fawkes_ha_fence_remaining_seconds",
				 "Time until the write fence shuts without a renewal.",
				 metric_not_negative(fence->left_ms));
	metric_begin(
		&out, "fawkes_ha_fence_refusals_total", "counter",
		"Clients that the shut fence refused, by where: reply is a commit whose acknowledgement "
		"was withheld.");
	put_counts(&out, "where", refusal_names, fence->refusals, FHA_REFUSAL_COUNT);
	if (vitals->at_ms == 0)
		return;
	metric_gauge(
		&out, "fawkes_ha_agent_age_seconds",
		"Time since the agent's last turn; all fawkes_ha metrics but the fence's are as of then.",
		metric_not_negative(now_ms - vitals->at_ms));
	put_state(&out, vitals, now_ms);
	if (vitals->known)
		metrics_put_lease(&out, vitals, fence, now_ms);
	put_renewals(&out, vitals);
	metric_begin(&out, "fawkes_ha_takeovers_total", "counter",
				 "Times that this agent took the lease, by why it was free to take.");
	put_counts(&out, "reason", takeover_names, vitals->takeovers, FHA_TAKEOVER_COUNT);
	metric_begin(&out, "fawkes_ha_lock_errors_total", "counter",
				 "Requests to the lock that failed or got no answer.");
	metric_put(&out, (double) vitals->lock_errors);
}
