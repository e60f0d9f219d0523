/*
 * metrics.h: what fawkes_ha measures of itself, as rows that every output shares.
 *
 * The node loop counts (struct FhaVitals); the agent publishes the counts as plain values, so that
 * whoever reads them, in SQL or over HTTP, needs neither the agent nor a database.  What depends on
 * the time is kept as a moment of CLOCK_BOOTTIME and becomes an age when it is read: a dead agent's
 * numbers age.
 */
#ifndef FHA_SHOW_METRICS_H
#define FHA_SHOW_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/world.h"

#define FHA_METRIC_LABELS_MAX 4

typedef struct FhaMetricLabel
{
	const char *name;
	const char *value;
} FhaMetricLabel;

/* One value.  All texts are static, or live as long as the call of the sink. */
typedef struct FhaMetric
{
	const char *family; /* what HELP and TYPE speak of */
	const char *suffix; /* of a histogram's rows: "_bucket", "_sum", "_count"; else "" */
	const char *type;   /* "gauge", "counter" or "histogram" */
	const char *help;
	size_t label_count;
	FhaMetricLabel labels[FHA_METRIC_LABELS_MAX];
	double value;
} FhaMetric;

typedef void (*FhaMetricSink)(void *argument, const FhaMetric *metric);

/* How a write of the lease by its holder ended. */
typedef enum FhaRenewal
{
	FHA_RENEWAL_CONFIRMED,
	FHA_RENEWAL_CONFLICT, /* another version stood there */
	FHA_RENEWAL_UNKNOWN,  /* no answer: it may have arrived */
	FHA_RENEWAL_FAILED,   /* certainly not applied */
	FHA_RENEWAL_COUNT
} FhaRenewal;

/* Why this member took the lease. */
typedef enum FhaTakeover
{
	FHA_TAKEOVER_BOOTSTRAP,
	FHA_TAKEOVER_RECLAIM, /* its own, of an earlier life */
	FHA_TAKEOVER_SWITCHOVER,
	FHA_TAKEOVER_REQUESTED, /* a failover that an operator requested */
	FHA_TAKEOVER_RELEASED,
	FHA_TAKEOVER_LAPSED,
	FHA_TAKEOVER_COUNT
} FhaTakeover;

#define FHA_RENEWAL_BUCKETS 11

/* What the node loop has counted since its process began, and what it knew at its last turn. */
typedef struct FhaVitals
{
	int64_t at_ms; /* of that turn; 0: there was none */

	FhaPgState postgres;
	const char
		*decision; /* static texts of the library, which one server has once; NULL: none yet */
	const char *rule;
	const char *because;
	int64_t decided_at_ms; /* since when */
	bool known;            /* the cluster's record was seen: what follows comes of it */
	bool mine;             /* this very process holds the lease */
	bool released;
	bool end_missing;           /* it waits for a member that has all WAL of a clean stop ... */
	char holder[FHA_NAME_SIZE]; /* ... this one */
	bool paused;
	bool promised; /* it leads by the promises of the others (S10) */
	uint64_t term;
	uint32_t timeline;
	int64_t lease_ms;          /* its duration, as the record has it */
	int64_t renew_deadline_ms; /* for so long a holder here acts on a renewal */
	int64_t renewed_at_ms;     /* the record's last change; the holder's: its renewal was sent */
	bool pending_restart;
	bool unattended;            /* as in FhaMember */
	int64_t first_answer_at_ms; /* the lock has told of other members from then on; 0: ever */
	int64_t bound_ends_at_ms;   /* this member has promised not to take the lease before (S10) */
	size_t members[3];          /* by FhaRole, as each said last */
	size_t without_data;        /* of them: who is being cloned, or waits for it */
	size_t silent;              /* of them: whose record stands still, also if they said a role */
	size_t streaming;           /* the holder's: standbys that stream from it */

	uint64_t renewals[FHA_RENEWAL_COUNT];
	uint64_t renewal_buckets[FHA_RENEWAL_BUCKETS]; /* not cumulative; the rest is beyond the last */
	uint64_t renewal_count;                        /* of the confirmed */
	uint64_t renewal_sum_ms;
	uint64_t takeovers[FHA_TAKEOVER_COUNT];
	uint64_t lock_errors; /* questions to the lock that got no answer, or an error */
} FhaVitals;

/* Where the fence refused somebody. */
typedef enum FhaRefusal
{
	FHA_REFUSED_LOGIN,
	FHA_REFUSED_STATEMENT,
	FHA_REFUSED_COMMIT,
	FHA_REFUSED_REPLY, /* a commit whose acknowledgement was withheld */
	FHA_REFUSAL_COUNT
} FhaRefusal;

/* The fence at this moment. */
typedef struct FhaFenceState
{
	bool open;
	int64_t left_ms;
	uint64_t refusals[FHA_REFUSAL_COUNT];
} FhaFenceState;

/* A renewal was confirmed latency_ms after its sending. */
void fha_vitals_renewed(FhaVitals *vitals, int64_t latency_ms);

/*
 * All rows, those of one family together, at now_ms (CLOCK_BOOTTIME).  vitals->at_ms 0: an agent that
 * has not spoken; then only what is known without it.
 */
FHA_API void fha_metrics_list(const FhaVitals *vitals, const FhaFenceState *fence, bool agent,
							  int64_t now_ms, FhaMetricSink sink, void *argument);

#endif
