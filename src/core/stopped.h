/*
 * stopped.h: what the data of a stopped server says of its lease.
 *
 * The host reads the control file, the WAL and the ack watermark's page, and reports what it found.
 * What follows for a release, for an election and for the next start is decided here.
 */
#ifndef FHA_STOPPED_H
#define FHA_STOPPED_H

#include <stdbool.h>
#include <stdint.h>

#include "core/api.h"
#include "core/world.h"

/* As the host has read it; zeroed: nothing was read since the last server or job ended. */
typedef struct FhaStopped
{
	bool read;    /* the control file was read, or there is no data */
	bool empty;   /* there is no data */
	bool damaged; /* a rewind or clone has left its mark: what is there is not usable */

	/* The control file says: */
	uint64_t system_identifier;
	bool clean;            /* "shut down" or "shut down in recovery" */
	bool was_primary;      /* it wrote WAL of its own */
	uint32_t timeline;     /* the newest that it knows */
	uint64_t checkpoint;   /* start of the latest checkpoint record */
	uint64_t redo;         /* where recovery begins */
	uint64_t min_recovery; /* how far recovery must go; 0: it does not say */

	uint32_t
		promoting_from; /* the timeline that an interrupted promotion was leaving; 0: none was */

	bool end_sought;  /* the end of the WAL was looked for ... */
	bool end_found;   /* ... and read */
	FhaPosition end;  /* that end; if it was not found, the timeline alone counts */
	uint64_t lacking; /* as in FhaPgView */
	size_t lineage_count;
	FhaLineageStep lineage[FHA_LINEAGE_MAX]; /* of the timeline of `end`, as in FhaPgView */

	bool acked_counts; /* the server that ended has used the ack watermark's page */
	uint64_t acked;    /* what stands there; 0: it has acknowledged nothing */
} FhaStopped;

/* How the end of the WAL is searched. */
typedef struct FhaEndSearch
{
	uint32_t newest;   /* no later timeline counts (S7); UINT32_MAX: each does */
	uint64_t from;     /* a position that the WAL is known to reach */
	int64_t limit_ms;  /* so long it may take */
	bool ends_at_stop; /* it ends when the node is told to stop */
} FhaEndSearch;

/* What the host shall read now. */
typedef enum FhaDataTask
{
	FHA_READ_NOTHING,
	FHA_READ_CONTROL,
	FHA_READ_END
} FhaDataTask;

/*
 * decided: the record was read, which says from where to search.  job: one is under way.
 * replaced: the data is to be replaced, and need not be readable.  waits: after a failure.
 */
FHA_API FhaDataTask fha_stopped_task(const FhaStopped *stopped, bool decided, bool job,
									 bool replaced, bool waits);

/* S7: no later timeline counts.  What an interrupted promotion left of its own was never led. */
FHA_API uint32_t fha_stopped_newest(const FhaStopped *stopped);

/* recorded: the position in the cluster's record, if this node holds the lease. */
FHA_API FhaEndSearch fha_stopped_search(const FhaStopped *stopped, bool holds_lease,
										FhaPosition recorded);

/* Where its WAL ends; the LSN is FHA_LSN_UNREAD if that could not be read. */
FhaPosition fha_stopped_end(const FhaStopped *stopped);

/* S2, S7: what a successor must have.  After a crash: what clients were told, and not all that was written. */
FhaPosition fha_stopped_required(const FhaStopped *stopped);

/* Is it a primary that was shut down, with all of its WAL known?  Then a release of it is final. */
bool fha_stopped_is_clean(const FhaStopped *stopped);

/* What the ack watermark's page shall say when the server starts. */
FHA_API uint64_t fha_stopped_acked_at_start(const FhaStopped *stopped, bool standby);

/* Into the view of a node none of whose processes of PostgreSQL is left.  replaced: as above. */
FHA_API void fha_stopped_show(const FhaStopped *stopped, bool replaced, FhaPgView *view);

#endif
