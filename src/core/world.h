/*
 * world.h: what a node knows, as plain values: its own PostgreSQL, and the
 * records of the lock.  No pointers, so that a world can be copied and compared.
 */
#ifndef FHA_WORLD_H
#define FHA_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sizes.h"

#define FHA_MEMBERS_MAX 64               /* as many as one cluster may have */
#define FHA_SETTINGS_MAX 32              /* settings for all members that the record has room for */
#define FHA_TERM_MAX (UINT64_C(1) << 62) /* no cluster gets there: what is beyond is damage */
#define FHA_LINEAGE_MAX 64               /* newest timelines kept in the record */

/* A place in the WAL: positions are compared by timeline first (S5), for a raw
 * LSN of an old timeline is not "higher". */
typedef struct FhaPosition
{
	uint32_t timeline; /* 0: unknown */
	uint64_t lsn;      /* 0: unknown */
} FhaPosition;

/* The end of the WAL of a stopped server that could not be read: unknown, and further than anybody's. */
#define FHA_LSN_UNREAD UINT64_MAX

/*
 * One timeline of a history and where the next one left it.  Its identity is made by the take that reserved
 * it, because a lock that was put back to an older copy reserves the same number again.  "": it has none, as
 * an initdb's, that of a promotion by hand or by 1.1; or it is not known.
 */
typedef struct FhaLineageStep
{
	uint32_t timeline;
	uint64_t end;
	char id[FHA_ID_SIZE];
} FhaLineageStep;

#define FHA_RECORD_FORMAT 2 /* of what this version writes: settings are signed from 2 on */

/* Who put something into a record: the cluster key's mark on it. */
typedef struct FhaSignature
{
	uint64_t serial; /* counts up with each change; 0: not signed */
	char key_id[FHA_KEY_ID_SIZE];
	char mac[FHA_MAC_TEXT_SIZE];
} FhaSignature;

/* A setting for all members alike. */
typedef struct FhaSetting
{
	char name[FHA_SETTING_NAME_SIZE];
	char value[FHA_SETTING_VALUE_SIZE];
} FhaSetting;

typedef enum FhaRequestKind
{
	FHA_REQUEST_NONE,
	FHA_REQUEST_SWITCHOVER,
	FHA_REQUEST_FAILOVER,
	FHA_REQUEST_RESTART,
	FHA_REQUEST_REINIT,
	FHA_REQUEST_REJOIN,
	FHA_REQUEST_REMOVE,
	/* What follows is done by whoever writes it into the record. */
	FHA_REQUEST_PAUSE,
	FHA_REQUEST_RESUME,
	FHA_REQUEST_SET,
	FHA_REQUEST_RESET,
	FHA_REQUEST_KIND_COUNT
} FhaRequestKind;

typedef enum FhaRequestState
{
	FHA_REQUEST_PENDING,
	FHA_REQUEST_RUNNING,
	FHA_REQUEST_DONE,
	FHA_REQUEST_FAILED
} FhaRequestState;

typedef struct FhaRequest
{
	FhaRequestKind kind;
	FhaRequestState state;
	char id[FHA_ID_SIZE];
	char target[FHA_NAME_SIZE]; /* a member; "": the best standby, or all members */
	char requested_by[FHA_REQUESTER_SIZE];
	char requested_at[FHA_TIME_SIZE];
	char reason[FHA_SENTENCE_SIZE]; /* why, in the words of who asked; "" if they gave none */
	int64_t time_limit_ms;          /* the holder gives up after that; 0: never */
	bool primary_first;             /* RESTART: the standbys need the primary's new settings */
	FhaSetting setting;             /* SET, RESET */
	char message[FHA_SENTENCE_SIZE];
} FhaRequest;

/* How far WAL has come at a standby: each includes the ones after it. */
typedef enum FhaStage
{
	FHA_WRITTEN,
	FHA_FLUSHED,
	FHA_REPLAYED,
	FHA_STAGES
} FhaStage;

/* A standby's age in time, at the moment in which it was measured; zeroed: unknown. */
typedef struct FhaLag
{
	bool known;
	int64_t ms;
} FhaLag;

typedef struct FhaStandby
{
	char member[FHA_NAME_SIZE];
	uint64_t lsn; /* flushed there, as its walsender last heard */
	uint64_t written;
	uint64_t replayed;
	int64_t stamp; /* changes with each reply of the standby; of no clock of ours, in no record */
	FhaLag lag[FHA_STAGES]; /* in the record */
} FhaStandby;

/* The cluster record: the lease and what belongs to it. */
typedef struct FhaCluster
{
	char cluster[FHA_NAME_SIZE];
	char cluster_uuid[FHA_UUID_SIZE]; /* new at every bootstrap: a copy shares the next one */
	uint64_t system_identifier;       /* 0: initdb has not been reported yet */

	char holder[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE]; /* S1b */
	char boot_id[FHA_UUID_SIZE];
	char liveness[FHA_UUID_SIZE]; /* which liveness lock file, as device:inode */
	char nonce[FHA_ID_SIZE]; /* new with every write of the holder: shows which of them arrived */
	int64_t lease_duration_ms;

	bool released;
	FhaPosition release; /* a successor must have flushed this */
	/*
	 * It is the end of a server that was shut down cleanly: who does not have it never leads by
	 * itself.  It stands until a member that has it has led, also in terms that it begins.
	 */
	bool release_final;
	char release_to[FHA_NAME_SIZE];       /* "" for anybody */
	char release_because[FHA_CAUSE_SIZE]; /* for people; "": nothing is known */

	uint64_t term;
	uint32_t timeline;             /* S7: reserved for this term */
	char timeline_id[FHA_ID_SIZE]; /* as in FhaLineageStep */
	uint64_t lineage_term; /* the term whose leader wrote the lineage; fence opens after that */
	size_t lineage_count;
	FhaLineageStep lineage[FHA_LINEAGE_MAX]; /* oldest first; ancestors of `timeline` */

	FhaPosition position; /* of the holder, at its last renewal */
	/* All WAL of this timeline's history up to there is in the archive, as a leader told; timeline 0: not known. */
	FhaPosition archived;
	size_t member_count;
	char members[FHA_MEMBERS_MAX][FHA_NAME_SIZE];   /* only these may contend (S10) ... */
	char member_data[FHA_MEMBERS_MAX][FHA_ID_SIZE]; /* ... and only with this data incarnation */
	size_t standby_count;
	FhaStandby standbys[FHA_MEMBERS_MAX]; /* streaming at the last renewal */

	bool paused;
	char pause_reason[FHA_SENTENCE_SIZE];
	FhaRequest request;
	size_t setting_count;
	FhaSetting settings[FHA_SETTINGS_MAX]; /* of all members, over their own files */
	FhaSignature settings_signature;

	char acquired_at[FHA_TIME_SIZE];
	char renewed_at[FHA_TIME_SIZE];
} FhaCluster;

typedef enum FhaRole
{
	FHA_ROLE_DOWN,
	FHA_ROLE_STANDBY,
	FHA_ROLE_PRIMARY
} FhaRole;

/* What a standby may not have less of than its primary (primary_limits.h); value[0] is 0: not known. */
#define FHA_LIMITS 5
typedef struct FhaLimits
{
	int64_t value[FHA_LIMITS];
} FhaLimits;

/* What a member is to clients; as a pod's labels say it. */
typedef enum FhaServes
{
	FHA_SERVES_NOTHING, /* nothing is said */
	FHA_SERVES_UNHEALTHY,
	FHA_SERVES_REPLICA,
	FHA_SERVES_PRIMARY
} FhaServes;

/* A member's own record. */
typedef struct FhaMember
{
	char cluster[FHA_NAME_SIZE];
	char member[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE];
	char liveness[FHA_UUID_SIZE];       /* which liveness lock file, as device:inode */
	char data_incarnation[FHA_ID_SIZE]; /* "": it has no data */
	char cluster_uuid[FHA_UUID_SIZE];   /* of the cluster that its data belongs to; "": none */
	char address[FHA_ADDRESS_SIZE];
	char listener[FHA_ADDRESS_SIZE]; /* where it answers HTTP; "": nowhere */
	char exporter[FHA_URL_SIZE];     /* its exporter's page; "": none */
	char pod[FHA_POD_SIZE];          /* its pod; "": none */
	FhaServes serves;
	FhaRole role;
	char state[FHA_SENTENCE_SIZE]; /* the sentence of the rule that it follows, for people */
	char rule[FHA_RULE_ID_SIZE];   /* that rule's id; "": none, or its program is of 1.1 */
	uint64_t term;                 /* of the cluster record, as it sees that */
	uint64_t highest_term;         /* S7: that it knows of in cluster_uuid; 0: it does not say */
	FhaPosition position;          /* flushed */
	char timeline_id[FHA_ID_SIZE]; /* of position's timeline, as in FhaLineageStep */
	uint64_t written;              /* 0: not known */
	uint64_t replayed;
	FhaLag lag[FHA_STAGES]; /* standby: when it wrote this record */
	uint64_t oldest_wal;    /* leader: from here on it has all WAL; 0: not known */
	char following[FHA_NAME_SIZE];
	char candidate_for
		[FHA_VERSION_SIZE]; /* the cluster record's version for which it published position */
	bool rewindable; /* leader: role, slots and a checkpoint on its timeline are there for others */
	bool supervised; /* somebody starts its PostgreSQL again after a stop */
	bool unattended; /* somebody did: its supervisor is gone, and PostgreSQL goes on without */
	bool exporter_fails;             /* it cannot listen where its settings say */
	bool streaming;                  /* standby: WAL was coming in */
	bool pending_restart;            /* a setting was changed that counts after a restart */
	int64_t slots;                   /* replication slots that there are; 0: none, or not known */
	int64_t max_slots;               /* max_replication_slots that it runs with; 0: not known */
	int64_t max_senders;             /* max_wal_senders, likewise */
	int64_t format;                  /* FHA_RECORD_FORMAT of its program; 0: of version 1.1 */
	FhaLimits limits;                /* that it runs with */
	FhaLimits limits_needed;         /* standby: it cannot be promoted with less; else not known */
	bool removed;                    /* what is left of a member that was taken off the list */
	char carried_out[FHA_ID_SIZE];   /* the newest restart or reinit that it has behind it */
	char trouble[FHA_SENTENCE_SIZE]; /* leader: why others cannot stream from it; "": they can */
	char archive_trouble
		[FHA_SENTENCE_SIZE]; /* leader: why WAL is not archived; "": it is, or need not be */
	int64_t
		wal_lasts_ms; /* with that: until its volume is full, as WAL is written now; 0: not known */
	char no_start[FHA_SENTENCE_SIZE];  /* why its PostgreSQL does not start; "": it does */
	char suspects[FHA_SUSPECTS_SIZE];  /* settings of all members that are new since it ran; "" */
	char lease_seen_at[FHA_TIME_SIZE]; /* the renewal that it saw then, by its holder's clock; "" */
	char updated_at[FHA_TIME_SIZE];
} FhaMember;

typedef enum FhaPgState
{
	FHA_PG_DOWN, /* no process of PostgreSQL is left: we hold the liveness lock */
	FHA_PG_BUSY, /* something runs, but is neither of the next two: starting, recovering, ending */
	FHA_PG_STANDBY, /* in recovery, consistent: able to follow and to be promoted */
	FHA_PG_PRIMARY  /* out of recovery */
} FhaPgState;

/* What the provider says about this node's PostgreSQL, at one moment. */
typedef struct FhaPgView
{
	FhaPgState state;
	bool supervised;            /* somebody can start PostgreSQL again after a stop */
	bool unattended;            /* for people alone: as in FhaMember */
	bool exporter_fails;        /* likewise */
	char ended[FHA_CAUSE_SIZE]; /* for people alone: how the last one ended; "": not known */
	bool empty;                 /* no data directory yet */
	bool damaged;               /* a rewind or clone was interrupted */
	bool recovering; /* BUSY, but in archive recovery: it may need another leader's WAL to go on */
	bool failing;    /* starts or jobs have failed in a row, and a pause is on */
	bool failed;     /* the last start or job here failed */
	bool job;        /* initdb, clone or rewind is under way */
	bool stopping;   /* a person or the system is stopping this node */
	uint64_t system_identifier; /* 0: unknown */
	FhaPosition position;       /* end of the WAL flushed here; timeline 0: not known yet */
	FhaPosition origin;         /* where its timeline left which other; timeline 0: not known */
	uint64_t lacking;           /* DOWN: where a start reads WAL that is missing here; 0: none is */
	FhaPosition required;       /* what a successor must have: position, or the ack watermark */
	bool clean;                 /* DOWN: a primary that was shut down; position is all of its WAL */
	uint64_t written;           /* standby: received, on the timeline of position */
	uint64_t replayed;
	bool
		too_small; /* standby: replay stands still because its settings are smaller than its primary's */
	bool rewindable;
	bool prepared; /* primary: a checkpoint was made for the stop that was asked for */
	char started_for[FHA_ID_SIZE]; /* the request that stood when this server was started */
	uint64_t oldest_wal;           /* as in FhaMember */
	bool stalled;                  /* in recovery: has not streamed or moved for long */
	bool cold;            /* standby: nobody can connect to read, as in hot_standby = off */
	bool streaming;       /* standby: WAL is coming in */
	uint64_t heard_lsn;   /* standby: where its sender was when that last sent something */
	int64_t heard_stamp;  /* changes with each message of the sender; of no clock of ours */
	bool pending_restart; /* as in FhaMember */
	int64_t slots;        /* as in FhaMember, with the two that follow */
	int64_t max_slots;
	char trouble[FHA_SENTENCE_SIZE];
	char archive_trouble
		[FHA_SENTENCE_SIZE]; /* for people alone: as in FhaMember, with what follows */
	int64_t wal_lasts_ms;
	char no_start[FHA_SENTENCE_SIZE]; /* for people alone: as in FhaMember */
	char suspects[FHA_SUSPECTS_SIZE]; /* likewise */
	int64_t max_senders;
	FhaLimits limits;
	FhaLimits limits_needed;
	bool limits_lowered; /* primary: the record lowers what a standby may not have less of */
	char following[FHA_NAME_SIZE]; /* leader that primary_conninfo names, "" for none */
	uint64_t following_term;
	FhaPosition archived; /* primary: as in FhaCluster */
	size_t standby_count; /* primary: who streams */
	FhaStandby standbys[FHA_MEMBERS_MAX];
	/* The ancestors of position's timeline, oldest first, and that with an open end, by its history file. */
	size_t lineage_count;
	FhaLineageStep lineage[FHA_LINEAGE_MAX];
} FhaPgView;

/* Who we are: fixed while this process speaks for the node. */
typedef struct FhaSelf
{
	char cluster[FHA_NAME_SIZE];
	char member[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE];
	char pod[FHA_POD_SIZE]; /* "": none */
	char boot_id[FHA_UUID_SIZE];
	char liveness[FHA_UUID_SIZE];
	bool liveness_held; /* this process took the liveness lock: no PostgreSQL of this node lives */
	bool spoken;        /* our own record has been written: a node of our name comes after us */
	bool bootstrap;     /* told to found the cluster if there is none */
	char cluster_uuid[FHA_UUID_SIZE];   /* of the cluster this directory belongs to; "" if none */
	char data_incarnation[FHA_ID_SIZE]; /* as in FhaMember */
	uint64_t highest_term;              /* S7: persisted */
	char cloned_for[FHA_ID_SIZE];       /* the reinit that this data came of; "" for none */
	int64_t lease_duration_ms;
	int64_t renew_deadline_ms;
	int64_t retry_period_ms;
	int64_t election_wait_ms;
	int64_t release_wait_ms;
	int64_t max_lag_bytes;
} FhaSelf;

#endif
