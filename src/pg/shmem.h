/*
 * shmem.h: what the agent publishes to every backend, and what backends ask of it.
 *
 * Plain values only: no descriptors, and no pointers but to static text of our library, which lies
 * at the same address in every process of one server.
 */
#ifndef FAWKES_SHMEM_H
#define FAWKES_SHMEM_H

#include "postgres.h"

#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "fence.h"

/* 64 members of 1000 bytes, the cluster record and 100 history entries of 600 bytes fit. */
#define SNAPSHOT_SIZE (192 * 1024)
#define REQUEST_SIZE 2048

typedef struct FawkesShared
{
	FenceShared fence pg_attribute_aligned(PG_CACHE_LINE_SIZE);

	/* No standby serves reads (readonly.h). */
	pg_atomic_uint32 is_alone;

	/*
	 * What the agent knew at its last turn, also when it is gone: the newest is vitals[vitals_count %
	 * 2], and the next goes into the other.  No lock: who reads it may not wait for anybody, and
	 * nobody who stops in the midst of reading may keep the agent (own_metrics.h).
	 */
	pg_atomic_uint64 vitals_count;
	FhaVitals vitals[2];

	LWLock *lock;          /* protects all below */
	uint32 ready_timeline; /* on which the steward has made the role and slots that others need */
	pid_t agent_pid;
	struct Latch *agent_latch;
	uint64 snapshot_count; /* goes up with every new snapshot */
	int snapshot_size;
	char snapshot[SNAPSHOT_SIZE]; /* JSON: see fha_node_snapshot */
	ConditionVariable snapshot_changed;

	/* One request at a time from a backend to the agent: JSON, "" when there is none. */
	char request[REQUEST_SIZE];
} FawkesShared;

extern FawkesShared *fawkes_shared; /* NULL when inert or not preloaded */

/* One for each backend: its pid while it is a read-only session, else 0. */
extern pg_atomic_uint32 *fawkes_readers;

/* Install shmem_request_hook and shmem_startup_hook. */
extern void shmem_install_hooks(void);

#endif
