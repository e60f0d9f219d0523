/*
 * routing.h: which label should which pod have, and who may write it?
 *
 * Nobody writes `primary` but the holder of the lease, on its own pod; it takes that from every
 * other, and calls those unhealthy that are cut off.  Each member writes on its own pod, and into
 * its record, whether it may serve reads; the holder sees to it that the labels say what the records
 * say, so whatever goes past each other ends in that.  Labels tell clients where to go and decide nothing: a wrong one leads to a
 * server that refuses (S1, S2b).  Pure: every time is an argument, nothing is sent from here.
 */
#ifndef FHA_ROUTING_H
#define FHA_ROUTING_H

#include "core/freshness.h"
#include "core/observe.h"

/* More pods may carry the cluster's label for a while than there may be members. */
#define FHA_PODS_MAX (2 * FHA_MEMBERS_MAX)
/* The holder looks at all labels once in so long: what went past each other is put right. */
#define FHA_ROUTING_LOOK_MS 60000
/* After a failure, doubled from the first to the last. */
#define FHA_ROUTING_RETRY_MS 500
#define FHA_ROUTING_RETRY_MOST_MS 30000

typedef struct FhaPod
{
	char name[FHA_POD_SIZE];
	FhaServes serves; /* its labels, as far as we know */
} FhaPod;

/* Zeroed: nothing is known of any pod. */
typedef struct FhaRouting
{
	size_t count; /* pods of others, as the holder found and changed them */
	FhaPod pods[FHA_PODS_MAX];
	FhaServes own;
	bool leads;
	uint64_t term;
	int64_t next_look_at_ms;                 /* the holder looks again then */
	int64_t streamed_at_ms[FHA_MEMBERS_MAX]; /* when each of the list was last seen to stream */
	char members[FHA_MEMBERS_MAX][FHA_NAME_SIZE];
	int64_t retry_at_ms; /* after a failure: nothing before */
	int64_t pause_ms;
} FhaRouting;

/* Zeroed: not alone. */
typedef struct FhaAlone
{
	bool leads;
	uint64_t term;
	int64_t served_at_ms; /* when a standby was last seen to serve reads, or this term began */
} FhaAlone;

typedef enum FhaRoutingVerb
{
	FHA_ROUTING_NOTHING,
	FHA_ROUTING_LABEL, /* give `pod` the labels of `serves` */
	FHA_ROUTING_LOOK   /* list all pods of the cluster */
} FhaRoutingVerb;

typedef struct FhaRoutingTask
{
	FhaRoutingVerb verb;
	char pod[FHA_POD_SIZE];
	FhaServes serves;
} FhaRoutingTask;

/* What this member is to clients; may_lead: the lease is ours for certain at this moment. */
FhaServes fha_routing_own(const FhaWorld *world, const FhaFreshness *freshness, bool may_lead);

/*
 * Is this leader the only one that could serve reads: has no standby that says it is fit streamed
 * from here for limit_ms?  -ro is empty by then.  leads: as may_lead above.
 */
bool fha_routing_alone(FhaAlone *alone, const FhaWorld *world, bool leads, int64_t limit_ms,
					   int64_t now_ms);

/* What is to be done now; limit_ms: a member that has not streamed for so long is cut off. */
void fha_routing_next(FhaRouting *routing, const FhaWorld *world, const FhaFreshness *freshness,
					  bool may_lead, int64_t limit_ms, int64_t now_ms, FhaRoutingTask *task);

/* The task was done; pods: of a LOOK, in any order, at most FHA_PODS_MAX. */
void fha_routing_done(FhaRouting *routing, const FhaRoutingTask *task, const char *own_pod,
					  const FhaPod *pods, size_t count, int64_t now_ms);
/* It was not; absent: there is no such pod. */
void fha_routing_failed(FhaRouting *routing, const FhaRoutingTask *task, const char *own_pod,
						bool absent, int64_t now_ms);

/* When something may have to be done by time alone; INT64_MAX. */
int64_t fha_routing_again_at_ms(const FhaRouting *routing, int64_t now_ms);

/* "primary", "replica", "unhealthy"; "" for NOTHING.  And back: anything else is NOTHING. */
const char *fha_serves_name(FhaServes serves);
FhaServes fha_serves_parse(const char *name);

#endif
