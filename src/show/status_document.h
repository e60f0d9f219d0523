/*
 * status_document.h: the cluster as one member's exporter shows it: the JSON behind the status page.
 *
 * A pure function of what the agent has published, of the fence at this moment, and of the lag over
 * the last minutes: it needs neither SQL nor the agent, and a dead agent's knowledge ages in it.
 */
#ifndef FHA_SHOW_STATUS_DOCUMENT_H
#define FHA_SHOW_STATUS_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "record/snapshot.h"
#include "show/lag_ring.h"
#include "show/metrics.h"

/* The newest entries of the history that are shown. */
#define FHA_STATUS_HISTORY_MAX 50

#define FHA_FACT_SLOTS_MAX 8
#define FHA_FACT_TEXT_SIZE 64

/* What SQL said of this server last, for the page's one line about it; NAN: not known. */
typedef struct FhaServerFacts
{
	char postgres[FHA_FACT_TEXT_SIZE]; /* its version; "": not known */
	int64_t age_ms;                    /* of all that follows; -1: nothing was collected */
	double started_at;                 /* seconds since the epoch */
	double connections;
	double max_connections;
	double longest_transaction_s;
	double xid_age;  /* of the database that is nearest to wraparound */
	double archived; /* when a WAL file was archived, and when that failed; -1: never */
	double archive_failed;
	double data_bytes, data_free; /* of the volumes */
	double wal_bytes, wal_free;   /* NAN: the data's */
	size_t slot_count;            /* those that keep the most, the most first */
	struct
	{
		char name[FHA_FACT_TEXT_SIZE];
		double bytes;
	} slots[FHA_FACT_SLOTS_MAX];
} FhaServerFacts;

/* Nothing is known. */
FHA_API void fha_facts_begin(FhaServerFacts *facts);
/* One row of metrics; labels as fha_prometheus_label makes them; claim: the data's volume. */
FHA_API void fha_facts_take(FhaServerFacts *facts, const char *name, const char *labels,
							double value, const char *claim);

typedef struct FhaStatusInput
{
	const FhaSnapshot *snapshot; /* NULL: none yet */
	const FhaVitals *vitals;
	const FhaFenceState *fence;
	bool agent;            /* runs */
	int64_t max_lag_bytes; /* fawkes_ha.max_lag_on_failover; 0: not known */
	int64_t now_ms;        /* CLOCK_BOOTTIME */
	int64_t wall_s;        /* time() */
	const FhaLagRing *ring;
	const FhaServerFacts *server; /* NULL: nothing is said of it */
} FhaStatusInput;

/*
 * docs/exporter-status.schema.json says what is in it.  *out: free it.  NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_status_document(const FhaStatusInput *input, char **out,
												   FhaError *err);

/* One sample of each standby's lag from a snapshot (NULL: none yet, no member has a value). */
FHA_API void fha_status_sample(FhaLagRing *ring, const FhaSnapshot *snapshot, int64_t now_ms);

#endif
