/*
 * world.h: what a node knows, as plain values: its own PostgreSQL, and the
 * records of the lock.  No pointers, so that a world can be copied and compared.
 */
#ifndef FHA_WORLD_H
#define FHA_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FHA_NAME_SIZE 41      /* member and cluster names, with the NUL */
#define FHA_ID_SIZE 17        /* 16 hex digits: incarnations, nonces, request ids */
#define FHA_UUID_TEXT_SIZE 33 /* 32 hex digits: cluster and boot identities */
#define FHA_TIME_SIZE 25      /* wall clock for people */
#define FHA_ADDRESS_SIZE 256  /* host:port */
#define FHA_SENTENCE_SIZE 200 /* reasons and messages */
#define FHA_MEMBERS_MAX 64    /* as many as one cluster may have */
#define FHA_LINEAGE_MAX 64    /* newest timelines kept in the record */

/* A place in the WAL: positions are compared by timeline first (S5), for a raw
 * LSN of an old timeline is not "higher". */
typedef struct FhaPosition
{
	uint32_t timeline; /* 0: unknown */
	uint64_t lsn;
} FhaPosition;

/* One timeline of the leader's history and where the next one left it. */
typedef struct FhaLineageStep
{
	uint32_t timeline;
	uint64_t end;
} FhaLineageStep;

typedef enum FhaRequestKind
{
	FHA_REQUEST_NONE,
	FHA_REQUEST_SWITCHOVER,
	FHA_REQUEST_FAILOVER
} FhaRequestKind;

typedef enum FhaRequestState
{
	FHA_REQUEST_PENDING,
	FHA_REQUEST_RUNNING,
	FHA_REQUEST_DONE,
	FHA_REQUEST_FAILED
} FhaRequestState;

typedef struct FhaOrderSlip
{
	FhaRequestKind kind;
	FhaRequestState state;
	char id[FHA_ID_SIZE];
	char target[FHA_NAME_SIZE]; /* "": the best standby */
	char requested_by[64];
	char requested_at[FHA_TIME_SIZE];
	char message[FHA_SENTENCE_SIZE];
} FhaOrderSlip;

typedef struct FhaStandby
{
	char member[FHA_NAME_SIZE];
	uint64_t lsn; /* flushed there, as its walsender last heard */
} FhaStandby;

/* The cluster record: the lease and what belongs to it. */
typedef struct FhaCluster
{
	char cluster[FHA_NAME_SIZE];
	char cluster_uuid[FHA_UUID_TEXT_SIZE]; /* new at every bootstrap: a copy shares the next one */
	uint64_t system_identifier;            /* 0: initdb has not been reported yet */

	char holder[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE]; /* S1b */
	char boot_id[FHA_UUID_TEXT_SIZE];
	char life[FHA_UUID_TEXT_SIZE]; /* which life lock file, as device:inode */
	char nonce[FHA_ID_SIZE]; /* new with every write of the holder: shows which of them arrived */
	int64_t lease_duration_ms;

	bool released;
	FhaPosition release;            /* a successor must have flushed this */
	char release_to[FHA_NAME_SIZE]; /* "" for anybody */

	uint64_t term;
	uint32_t timeline;     /* S7: reserved for this term */
	uint64_t lineage_term; /* the term whose leader wrote the lineage; fence opens after that */
	size_t lineage_count;
	FhaLineageStep lineage[FHA_LINEAGE_MAX]; /* oldest first; ancestors of `timeline` */

	FhaPosition position; /* of the holder, at its last renewal */
	size_t member_count;
	char members[FHA_MEMBERS_MAX][FHA_NAME_SIZE]; /* only these may contend (S10) */
	size_t standby_count;
	FhaStandby standbys[FHA_MEMBERS_MAX]; /* streaming at the last renewal */

	bool paused;
	char pause_reason[FHA_SENTENCE_SIZE];
	FhaOrderSlip request;

	char acquired_at[FHA_TIME_SIZE];
	char renewed_at[FHA_TIME_SIZE];
} FhaCluster;

typedef enum FhaRole
{
	FHA_ROLE_DOWN,
	FHA_ROLE_STANDBY,
	FHA_ROLE_PRIMARY
} FhaRole;

/* A member's own record. */
typedef struct FhaMember
{
	char cluster[FHA_NAME_SIZE];
	char member[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE];
	char data_incarnation[FHA_ID_SIZE]; /* "": it has no data */
	char address[FHA_ADDRESS_SIZE];
	FhaRole role;
	char state[FHA_SENTENCE_SIZE]; /* the sentence of the rule that it follows */
	uint64_t term;
	FhaPosition position; /* flushed */
	uint64_t replayed;
	char following[FHA_NAME_SIZE];
	char candidate_for[64]; /* the version of the cluster record for which it published position */
	bool rewindable; /* leader: role, slots and a checkpoint on its timeline are there for others */
	char updated_at[FHA_TIME_SIZE];
} FhaMember;

typedef enum FhaPgState
{
	FHA_PG_DOWN, /* no process of PostgreSQL is left: we hold the life lock */
	FHA_PG_BUSY, /* something runs, but is neither of the next two: starting, recovering, ending */
	FHA_PG_STANDBY, /* in recovery, and able to follow */
	FHA_PG_PRIMARY  /* out of recovery */
} FhaPgState;

/* What the provider says about this node's PostgreSQL, at one moment. */
typedef struct FhaPgView
{
	FhaPgState state;
	bool supervised; /* somebody can start PostgreSQL again after a stop */
	bool empty;      /* no data directory yet */
	bool damaged;    /* a rewind or clone was interrupted */
	bool recovering; /* BUSY, but in archive recovery: it may need another leader's WAL to go on */
	bool failing;    /* starts or jobs have failed in a row, and a pause is on */
	bool job;        /* initdb, clone or rewind is under way */
	bool stopping;   /* a person or the system is stopping this node */
	uint64_t system_identifier; /* 0: unknown */
	FhaPosition position;       /* end of the WAL flushed here; timeline 0: not known yet */
	FhaPosition required;       /* what a successor must have: position, or the acknowledged mark */
	uint64_t replayed;
	bool rewindable;
	bool prepared; /* primary: a checkpoint was made for the handover that was asked for */
	char following[FHA_NAME_SIZE]; /* leader that primary_conninfo names, "" for none */
	uint64_t following_term;
	size_t standby_count; /* primary: who streams */
	FhaStandby standbys[FHA_MEMBERS_MAX];
	size_t lineage_count; /* primary: its timeline's ancestors, from its history file */
	FhaLineageStep lineage[FHA_LINEAGE_MAX];
} FhaPgView;

/* Who we are: fixed while this process speaks for the node. */
typedef struct FhaSelf
{
	char cluster[FHA_NAME_SIZE];
	char member[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE];
	char boot_id[FHA_UUID_TEXT_SIZE];
	char life[FHA_UUID_TEXT_SIZE];
	bool life_held; /* this process took the life lock: no other PostgreSQL of this node lives */
	bool bootstrap; /* told to found the cluster if there is none */
	char
		cluster_uuid[FHA_UUID_TEXT_SIZE]; /* of the cluster this directory belongs to; "" if none */
	uint64_t highest_term;                /* S7: persisted */
	int64_t lease_duration_ms;
	int64_t renew_deadline_ms;
	int64_t retry_period_ms;
	int64_t election_wait_ms;
	int64_t release_wait_ms;
	int64_t max_lag_bytes;
} FhaSelf;

#endif
