/*
 * leave.h: when a node that is being stopped has nothing more to do.
 *
 * Its lease is released first, and its record says that it is down; a lock that does not answer is
 * waited for no longer than for one answer.
 */
#ifndef FHA_NODE_LEAVE_H
#define FHA_NODE_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "node/node.h"

/* Since when; zeroed: PostgreSQL has not ended yet. */
typedef struct FhaLeave
{
	int64_t ended_at_ms; /* PostgreSQL has ended since the node was told to stop; 0: not yet */
	int64_t led_at_ms;   /* another member is seen to lead; 0: not yet */
} FhaLeave;

/* What the host sees of a node that is told to stop. */
typedef struct FhaLeaveFacts
{
	bool ended;               /* there is no server */
	bool job;                 /* initdb, clone or rewind is under way */
	bool liveness_held;       /* no other process of PostgreSQL is left either */
	bool liveness_unreadable; /* that cannot be known */
	bool hurry;               /* told to stop a second time */
} FhaLeaveFacts;

/*
 * Each turn.  action: NULL before the node has said what to do.  True: the node's process may end; what
 * has not come to the lock by then lapses.
 */
FHA_API bool fha_leave_step(FhaLeave *leave, const FhaConfig *config, const FhaLeaveFacts *facts,
							const FhaHostAction *action, int64_t now_ms);

#endif
