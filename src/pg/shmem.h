/*
 * shmem.h: what the agent publishes to every backend, and what backends request of it.
 *
 * Plain values only: no descriptors, and no pointers but to static text of our library, which lies
 * at the same address in every process of one server.
 */
#ifndef FAWKES_SHMEM_H
#define FAWKES_SHMEM_H

#include "postgres.h"

#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#include "core/world.h"
#include "pg/archive.h"
#include "pg/fence.h"
#include "record/snapshot.h"

#define TROUBLE_SIZE FHA_SENTENCE_SIZE
#define REFUSALS 16

/* What the maintenance worker is to see to, said by the agent. */
typedef struct MaintenanceTask
{
	FhaPgState role; /* PRIMARY or STANDBY; otherwise: nothing now */
	uint64 term;
	size_t member_count; /* of the record's list, for slots */
	char members[FHA_MEMBERS_MAX][FHA_NAME_SIZE];
} MaintenanceTask;

/* What outlives a maintenance worker (maintenance.h). */
typedef struct MaintenanceShared
{
	MaintenanceTask task;
	struct Latch *latch; /* NULL: none runs */
	pid_t pid;
	pid_t chores_pid; /* of who does the chores of SQL; 0: nobody */
	bool by_itself;   /* the next worker does them before anything else */
	char database[NAMEDATALEN];
	/* The last visit. */
	int64 began_at_ms;          /* 0: there was none */
	uint64 term;                /* in which it began */
	bool done;                  /* it did what others need */
	int failures;               /* visits in a row, before it, that did not */
	char trouble[TROUBLE_SIZE]; /* why members cannot stream from this primary; "": they can */
} MaintenanceShared;

/* Why a request came to nothing. */
typedef struct Refusal
{
	char request[FHA_ID_SIZE];
	char why[FHA_SENTENCE_SIZE];
} Refusal;

typedef struct FawkesShared
{
	FenceShared fence pg_attribute_aligned(PG_CACHE_LINE_SIZE);

	/* The exporter tries in vain to listen. */
	pg_atomic_uint32 exporter_fails;

	/* No standby serves reads (readonly.h). */
	pg_atomic_uint32 is_alone;

	/*
	 * What the agent knew at its last turn, also when it is gone: the newest is vitals[vitals_count %
	 * 2], and the next goes into the other.  No lock: who reads it may not wait for anybody, and
	 * nobody who stops in the midst of reading may keep the agent (own_metrics.h).
	 */
	pg_atomic_uint64 vitals_count;
	FhaVitals vitals[2];

	/* Its records, in the same way (published.h). */
	pg_atomic_uint64 snapshot_count;
	FhaSnapshot snapshots[2];
	ConditionVariable snapshot_changed; /* or a request was taken, or refused */

	LWLock *lock;          /* protects all below */
	uint32 ready_timeline; /* on which the maintenance worker has made the role that others need */
	MaintenanceShared maintenance;
	ArchiveShared archive;
	pid_t agent_pid;
	struct Latch *agent_latch;
	/* One request at a time from a backend to the agent; its kind is NONE when there is none. */
	FhaRequest request;
	/* Those that could not be entered into the record, which has no word of them: the newest. */
	uint32 refusal_count;
	Refusal refusals[REFUSALS];
} FawkesShared;

extern FawkesShared *fawkes_shared; /* NULL when inert or not preloaded */

/* One for each backend: its pid while it is a read-only session, else 0. */
extern pg_atomic_uint32 *fawkes_readers;

/* Install shmem_request_hook and shmem_startup_hook. */
extern void shmem_install_hooks(void);

#endif
