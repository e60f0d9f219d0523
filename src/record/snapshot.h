/*
 * snapshot.h: what a node publishes to its machine, and `fawkes-ha status -o json` shows.
 *
 * A struct inside a machine: the agent copies it into shared memory, and readers copy it out (pg/published.h).
 * JSON is printed where it leaves the process.
 */
#ifndef FHA_RECORD_SNAPSHOT_H
#define FHA_RECORD_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/world.h"
#include "record/history.h"

/* A standby's lag as one node knows it. */
typedef struct FhaMemberLag
{
	char member[FHA_NAME_SIZE];
	bool streaming;
	/* It has what the leader had then, on this node's CLOCK_BOOTTIME; 0: not known.  So that it ages. */
	int64_t fresh_at_ms[FHA_STAGES];
	/* It has all that its leader is known to have: until then that counts as no lag; 0: it has not. */
	int64_t whole_ends_at_ms[FHA_STAGES];
	int64_t bytes[FHA_STAGES]; /* behind the leader's position; -1: not known */
} FhaMemberLag;

/* When that member's record was seen to change, by this node's CLOCK_BOOTTIME. */
typedef struct FhaHeard
{
	char member[FHA_NAME_SIZE];
	int64_t at_ms;
} FhaHeard;

/* No pointers but to static text of the library. */
typedef struct FhaSnapshot
{
	char member[FHA_NAME_SIZE]; /* whose it is; "": a command's */
	char incarnation[FHA_ID_SIZE];
	const char *decision; /* static text, as the two that follow */
	const char *rule;     /* NULL: nothing is decided yet */
	const char *because;
	bool fence_open;
	int64_t fence_left_ms;
	bool lease_is_free;
	bool known; /* there is a record of the cluster, and it was read */
	FhaCluster cluster;
	size_t member_count;
	FhaMember members[FHA_MEMBERS_MAX];
	size_t history_count;
	FhaHistoryEntry history[FHA_HISTORY_MAX]; /* the oldest first */
	bool measured;                            /* a node's own: what follows is known */
	size_t lag_count;
	FhaMemberLag lags[FHA_MEMBERS_MAX]; /* of standbys */
	size_t heard_count;
	FhaHeard heard[FHA_MEMBERS_MAX]; /* of other members */
} FhaSnapshot;

/* One JSON object; *out: free it.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_snapshot_print(const FhaSnapshot *snapshot, char **out,
												  FhaError *err);

#endif
