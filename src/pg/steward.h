/*
 * steward.h: SQL chores, by a worker that comes, does them and goes: a standing
 * connection would block DROP DATABASE and CREATE DATABASE ... TEMPLATE.
 */
#ifndef FAWKES_STEWARD_H
#define FAWKES_STEWARD_H

#include "postgres.h"

#include "node.h"
#include "world.h"

/* What the agent remembers of the last visit. */
typedef struct StewardState
{
	int64 visited_ms; /* 0: never */
	uint64 term;      /* for which term, as which role, for how many members */
	FhaPgState role;
	size_t member_count;
} StewardState;

/* Send for the steward if something is due: after a promotion, a new member, and now and then. */
extern void steward_keep(StewardState *state, const FhaOrder *order, const FhaPgView *view,
						 bool supervised);

#endif
