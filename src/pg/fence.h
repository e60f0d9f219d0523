/*
 * fence.h: the write fence.
 *
 * A backend acknowledges a commit only while the lease is known to be valid
 * (S1, S2).  The deadline lives in shared memory; only the agent moves it.
 */
#ifndef FAWKES_FENCE_H
#define FAWKES_FENCE_H

#include "postgres.h"

#include "port/atomics.h"

/*
 * In the main shared memory segment, on a cache line of its own.
 * write_until_ms is on CLOCK_BOOTTIME; 0 is a shut fence.  A new segment (start,
 * or restart after a backend crash) begins shut.
 */
typedef struct FenceShared
{
	pg_atomic_uint64 write_until_ms;
	/* Highest end of a commit record whose acknowledgement may have been sent. */
	pg_atomic_uint64 acked_lsn;
} FenceShared;

/*
 * What outlives the processes: a page that the supervisor made (memfd) and every
 * process maps, so that after a kill -9 of everything the supervisor still knows
 * what clients were told.  NULL without a supervisor.  Layout: FhaMark of
 * src/control/mark.h.
 */

/* Called once in the postmaster, from _PG_init, when cluster_name is set. */
extern void fence_install_hooks(void);

/* Called by shmem.c when the segment is created or attached. */
extern void fence_attach(FenceShared *shared);
extern void fence_create(FenceShared *shared);

/* For the agent only. */
extern void fence_open(int64 write_until_ms);
extern void fence_shut(void);

/* May this server acknowledge a commit at this moment? */
extern bool fence_is_open(void);

/* A server that is not in recovery and may not write: a former primary, or one not yet admitted. */
extern bool fence_refuses(void);

#endif
