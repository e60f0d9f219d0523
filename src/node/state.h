/*
 * state.h: the node's own directory, beside the data directory and never in it
 * (pg_rewind and pg_basebackup copy or delete whatever is inside).
 *
 *   fawkes_ha.conf   settings; the user's, or made of `run --config`
 *   postgresql.conf  made at each start: defaults, the user's file, ours
 *   cluster.conf     settings of all members, as the cluster record has them
 *   follow.conf      primary_conninfo and slot; rewritten when the leader changes
 *   node.json        who this node is and what it has seen (struct FhaState)
 *   record.json      the cluster's record in the highest term seen; for people to put back
 *   peers.json       whom a holder asks for promises (peers.h)
 *   pgpass           password of fawkes_replication; 0600
 *   server.crt, .key what PostgreSQL serves TLS with
 *   seat, life       the ownership lock and the liveness lock
 *   promoting        exists while a promotion is under way: the timeline that it leaves
 *   saved-wal        what a rewind has saved, until the history of the cluster says so
 *   removed-slots    logical slots of a former primary, likewise
 *   commands.conf    commands of recovery that stood in postgresql.auto.conf
 *   damaged          exists while a rewind or clone is under way
 */
#ifndef FHA_NODE_STATE_H
#define FHA_NODE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"

typedef struct FhaState
{
	char member[FHA_NAME_SIZE];
	char cluster[FHA_NAME_SIZE];
	char cluster_uuid[FHA_UUID_SIZE];   /* "" until it has joined one (S7) */
	char data_incarnation[FHA_ID_SIZE]; /* new after each initdb, clone, rewind (S4b) */
	uint64_t highest_term;              /* a lower one in the lock is refused (S7) */
	char cloned_for[FHA_ID_SIZE];       /* the reinit that this data came of; "": none */
} FhaState;

/* Make the directory (0700) if need be; refuses network filesystems and a place inside the data. */
FHA_API FHA_MUST_CHECK FhaCode fha_state_prepare(const FhaConfig *config, FhaError *err);

/* NOT_FOUND: first start.  INVALID: the file is damaged, or is another member's. */
FHA_API FHA_MUST_CHECK FhaCode fha_state_load(const FhaConfig *config, FhaState *state,
											  FhaError *err);
FHA_API FHA_MUST_CHECK FhaCode fha_state_save(const FhaConfig *config, const FhaState *state,
											  FhaError *err);

/*
 * What is read in the directory from now on is not lost with the power: a process that was killed between a
 * rename and its flush, or whose flush failed, has left a name that a power cut takes back.  IO.
 */
FHA_MUST_CHECK FhaCode fha_state_flush(const FhaConfig *config, FhaError *err);

/*
 * OFD locks: freed by the kernel when the last descriptor of that open file is
 * closed, so by the death of whoever holds it.
 *
 * The ownership lock (byte 0 of `seat`): exactly one process speaks for the node, agent or
 * supervisor.
 * The claim (byte 1): an agent that runs holds it, so that the supervisor sees that an agent
 * waits for the ownership lock, and which (fha_ownership_read_pid).
 * The guard (byte 2): one supervisor per node.
 */
typedef struct FhaOwnership
{
	int fd;
	bool held;
} FhaOwnership;

FHA_API FHA_MUST_CHECK FhaCode fha_ownership_open(const FhaConfig *config, FhaOwnership *ownership,
												  FhaError *err);
FHA_API bool fha_ownership_take(FhaOwnership *ownership); /* try; true: it is ours */
FHA_API void fha_ownership_release(FhaOwnership *ownership);
FHA_API bool
fha_ownership_claim(FhaOwnership *ownership); /* agent: "I am here"; false: another one is */
FHA_API bool
fha_ownership_guard(FhaOwnership *ownership); /* supervisor: false: another one is there */
FHA_API bool
fha_ownership_is_guarded(const FhaOwnership *ownership); /* agent: does a supervisor live? */
FHA_API bool
fha_ownership_is_claimed(const FhaOwnership *ownership); /* supervisor: is there an agent? */
FHA_API void
fha_ownership_write_pid(const FhaOwnership *ownership);            /* agent: who holds the claim */
FHA_API int fha_ownership_read_pid(const FhaOwnership *ownership); /* 0: unknown */
FHA_API void fha_ownership_close(FhaOwnership *ownership);
/* For commands: leaves no trace.  A lock taken for a moment would refuse a supervisor that starts. */
FHA_API bool fha_is_supervised(const FhaConfig *config);

/*
 * The liveness lock: taken by the supervisor, inherited by every process of
 * PostgreSQL, free only when the last of them is gone.  CONFLICT: somebody lives.
 * The descriptor is not close-on-exec; _PG_init makes it so in PostgreSQL.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_liveness_take(const FhaConfig *config, int *fd, FhaError *err);

/* The liveness lock's file: "device:inode", made if need be.  A copied directory has another. */
FHA_API FHA_MUST_CHECK FhaCode fha_liveness_identity(const FhaConfig *config, char *out,
													 size_t size, FhaError *err);

#endif
