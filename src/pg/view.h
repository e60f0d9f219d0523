/*
 * view.h: what the agent sees of its own PostgreSQL, from shared memory alone.
 */
#ifndef FAWKES_VIEW_H
#define FAWKES_VIEW_H

#include "postgres.h"

#include "core/world.h"
#include "node/node.h"

/* Fill the view; names of members in `action` (may be NULL) tell whose slots are whose. */
extern void view_fill(FhaPgView *view, const FhaHostAction *action);

/* Is WAL coming in from a sender that is connected? */
extern bool view_is_streaming(void);

/* Has the control file a checkpoint on `timeline`, with its redo at `redo` or later? */
extern bool view_has_checkpoint(uint32 timeline, uint64 redo);

/* Is a leader's WAL coming in, and has some sender said so since this server started? */
extern bool view_has_streamed(void);

#endif
