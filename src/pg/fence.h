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

#include "node/watermark.h"
#include "show/metrics.h"

/*
 * In the main shared memory segment.  write_ends_at_ms is on CLOCK_BOOTTIME; 0 is
 * a shut fence.  A new segment (start, or restart after a backend crash) begins
 * shut.  Two cache lines: every statement reads the first, every commit writes
 * the second.
 */
typedef struct FenceShared
{
	pg_atomic_uint64 write_ends_at_ms pg_attribute_aligned(PG_CACHE_LINE_SIZE);
	/* Until then a shut fence is expected to open: who would be refused waits. */
	pg_atomic_uint64 expected_ends_at_ms;
	/*
	 * Highest end of a commit record whose acknowledgement may have been sent; unused while there
	 * is a fence_watermark, which says the same: one word is one cache line for all who commit.
	 */
	pg_atomic_uint64 acked_lsn pg_attribute_aligned(PG_CACHE_LINE_SIZE);
	/* Written only when somebody is refused. */
	pg_atomic_uint64 refusals[FHA_REFUSAL_COUNT] pg_attribute_aligned(PG_CACHE_LINE_SIZE);
} FenceShared;

/*
 * What outlives the processes: a page that the supervisor made (memfd) and every
 * process maps, so that after a kill -9 of everything the supervisor still knows
 * what clients were told.  NULL without a supervisor.
 */
extern FhaWatermark *fence_watermark;

/* Called once in the postmaster, from _PG_init, when cluster_name is set. */
extern void fence_install_hooks(void);

/* Called by shmem.c when the segment is created or attached. */
extern void fence_attach(FenceShared *shared);
extern void fence_create(FenceShared *shared);

/* For the agent only. */
extern void fence_open(int64 write_ends_at_ms);
extern void fence_shut(void);

/* This node holds the lease and is about to lead: the fence will open before that moment. */
extern void fence_expect(int64 ends_at_ms);

/* May this server acknowledge a commit at this moment? */
extern bool fence_is_open(void);

/* Is the postmaster there?  Part of fence_is_open; a system call but in client backends. */
extern bool fence_has_postmaster(void);

/* A server that is not in recovery and may not write: a former primary, or one not yet admitted. */
extern bool fence_refuses(void);

/* The same, after the time in which a primary that has just been promoted is admitted.  May raise. */
extern bool fence_refuses_still(void);

/* Milliseconds until the fence shuts by itself; 0 when it is shut. */
extern int64 fence_left_ms(void);

/* The ack watermark: of its page, else of FenceShared; 0 when inert. */
extern uint64 fence_acked_lsn(void);

/* For metrics: the fence at this moment, and whom it has refused since the segment was made. */
extern void fence_state(FhaFenceState *out);

/*
 * For fence.c, fence_send.c and login.c only: refuse with 25006; the fence's part of the
 * protocol with the client.
 */
extern void fence_raise_refusal(FhaRefusal where, const char *what); /* does not return */
extern void fence_count_refusal(FhaRefusal where);
extern void fence_raise_acked(uint64 lsn);

/*
 * In a client backend, once, after authentication: what it sends is tested, and it hears of its
 * postmaster's death.
 */
extern void fence_send_wrap(void);
extern void fence_hear_of_postmaster_death(void);

/*
 * In a process without a client (fence_worker.c).  A commit record was written, up to there; a
 * subscription's worker, at the beginning of whatever it does.
 */
extern void fence_worker_committed(uint64 end_lsn);
extern void fence_worker_wrap(void);

/*
 * A commit record may be written from now on (record_is_near: while the
 * transaction around it is still in progress); it was written; it was not and
 * will not be.
 */
extern void fence_send_commit_begins(bool record_is_near);
extern void fence_send_committed(uint64 end_lsn);
extern void fence_send_commit_ended(void);

#endif
