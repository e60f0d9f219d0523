/*
 * maintenance.h: what a member does for others beside the lease: slots, and the chores of SQL.
 *
 * The maintenance worker is there for as long as the server is, in a place that no user's parallel
 * query can have.  It is connected to no database, and makes and drops slots itself, because a
 * successor without slots has no standby.  For what wants SQL (chores.h) it sends a worker that comes,
 * does it and goes: a standing connection would block DROP DATABASE and CREATE DATABASE ... TEMPLATE.
 */
#ifndef FAWKES_MAINTENANCE_H
#define FAWKES_MAINTENANCE_H

#include "postgres.h"

#include "core/world.h"
#include "node/node.h"

/* In the postmaster, once. */
extern void maintenance_register(void);

/* The agent's word, each turn: what is to be seen to now.  The worker is woken when it changes. */
extern void maintenance_tell(const FhaHostAction *action, const FhaPgView *view);

#endif
