/*
 * snapshot.h: what a node publishes to its backends and to `fawkes-ha status -o json`.
 */
#ifndef FHA_RECORD_SNAPSHOT_H
#define FHA_RECORD_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/world.h"

/* A standby's lag as one node knows it. */
typedef struct FhaMemberLag
{
	char member[FHA_NAME_SIZE];
	bool streaming;
	/* It has what the leader had then, on this node's CLOCK_BOOTTIME; 0: not known.  So that it ages. */
	int64_t fresh_ms[FHA_STAGES];
	/* It has all that its leader is known to have: until then that counts as no lag; 0: it has not. */
	int64_t whole_until_ms[FHA_STAGES];
	int64_t bytes[FHA_STAGES]; /* behind the leader's position; -1: not known */
} FhaMemberLag;

/* When that member's record was seen to change, by the CLOCK_BOOTTIME of who asks. */
typedef struct FhaHeard
{
	const char *member;
	int64_t at_ms;
} FhaHeard;

typedef struct FhaSnapshot
{
	const char *member;
	const char *incarnation;
	const char *decision;
	const char *rule; /* NULL: nothing is decided yet */
	const char *because;
	bool fence_open;
	int64_t fence_left_ms;
	bool lease_is_free;
	const char *cluster;        /* JSON text or NULL */
	const char *history;        /* the history record's JSON text or NULL */
	const char *const *members; /* JSON texts */
	size_t member_count;
	const FhaMemberLag *lags; /* of standbys; NULL: whoever asks knows of none */
	size_t lag_count;
	const FhaHeard *heard; /* of other members */
	size_t heard_count;
} FhaSnapshot;

/* A snapshot's records, read back. */
typedef struct FhaSnapshotView
{
	bool lease_is_free;
	FhaCluster cluster;
	size_t member_count;
	FhaMember members[FHA_MEMBERS_MAX];
} FhaSnapshotView;

/* PROTOCOL: not a snapshot, or without a cluster record.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_snapshot_parse(const char *data, size_t size,
												  FhaSnapshotView *out, FhaError *err);

/* One JSON object; raw records are copied in as they are (NULL: none).  *out: free it. */
FHA_API FHA_MUST_CHECK FhaCode fha_snapshot_print(const FhaSnapshot *snapshot, char **out,
												  FhaError *err);

#endif
