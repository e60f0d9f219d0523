/*
 * decide.h: what a node should do, as a table.
 *
 * First match wins; each row has three columns of actions, an id, and the sentence
 * that the operator reads.  No row has code behind it: where one seems to need it,
 * a fact is missing.  Programs know a rule by its id, which never gets another
 * meaning; its sentence is for people alone, and may be worded better at any time.
 */
#ifndef FHA_DECIDE_H
#define FHA_DECIDE_H

#include <stddef.h>

#include "core/api.h"
#include "core/facts.h"

/* What to do with the lease. */
typedef enum FhaLeaseAction
{
	FHA_LEASE_LEAVE, /* nothing */
	FHA_LEASE_RENEW, /* write it again when that is due */
	FHA_LEASE_TAKE, /* conditional write with ourselves as holder, of the next term unless reclaimed */
	FHA_LEASE_RELEASE /* conditional write that gives it away, with the position a successor needs */
} FhaLeaseAction;

/* What to do with the fence. */
typedef enum FhaFenceAction
{
	FHA_FENCE_SHUT,
	FHA_FENCE_OPEN /* until write_ends_at */
} FhaFenceAction;

/* What to do with PostgreSQL. */
typedef enum FhaNodeAction
{
	FHA_NODE_HOLD,
	FHA_NODE_INITDB,
	FHA_NODE_CLONE,
	FHA_NODE_REWIND,
	FHA_NODE_START_PRIMARY,
	FHA_NODE_START_STANDBY,
	FHA_NODE_PROMOTE,
	FHA_NODE_FOLLOW,
	FHA_NODE_STOP
} FhaNodeAction;

typedef struct FhaRule
{
	FhaFacts when;   /* all of these */
	FhaFacts unless; /* none of these */
	FhaLeaseAction lease;
	FhaFenceAction fence;
	FhaNodeAction node;
	const char *id; /* [a-z_], of at most FHA_RULE_ID_SIZE - 1 bytes; no two are the same */
	const char *because;
} FhaRule;

/* The first row that matches; never NULL, for the last row matches everything. */
FHA_API const FhaRule *fha_decide(FhaFacts facts);

/* The rule with this id; NULL: none, as of a member that publishes no id or is of another version. */
FHA_API const FhaRule *fha_rule_find(const char *id);

/* The table itself, for those who print or test it. */
FHA_API size_t fha_rule_count(void);
FHA_API const FhaRule *fha_rule(size_t index);

FHA_API const char *fha_lease_action_name(FhaLeaseAction action);
FHA_API const char *fha_fence_action_name(FhaFenceAction action);
FHA_API const char *fha_node_action_name(FhaNodeAction action);

/* Names of the facts in `facts`, separated by spaces, cut to size. */
FHA_API void fha_facts_print(FhaFacts facts, char *out, size_t size);

#endif
