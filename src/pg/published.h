/*
 * published.h: what the agent knew at its last change, for every process of this server.
 *
 * Under a sequence counter, without a lock: a reader waits for nobody, and one that stops in the midst of
 * reading does not keep the agent.
 */
#ifndef FAWKES_PUBLISHED_H
#define FAWKES_PUBLISHED_H

#include "postgres.h"

#include "node/node.h"
#include "record/snapshot.h"

/* By the agent: publish what differs, and wake who waits for it. */
extern void published_put(FhaNode *node, uint64 *changes);

/* False: nothing was published in this server yet.  *count goes up with each snapshot. */
extern bool published_read(FhaSnapshot *out, uint64 *count);

#endif
