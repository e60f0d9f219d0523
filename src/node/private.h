/*
 * private.h: the node loop's inside, shared by node.c (the loop),
 * node/read.c (what the lock tells) and node/write.c (what is written into records).
 */
#ifndef FHA_NODE_PRIVATE_H
#define FHA_NODE_PRIVATE_H

#include "base/clock.h"
#include "base/writer.h"
#include "config/cluster_conf.h"
#include "core/observe.h"
#include "kube/pods.h"
#include "lock/lock.h"
#include "node/node.h"
#include "node/peers.h"
#include "node/promise_file.h"
#include "node/speakers.h"
#include "node/state.h"
#include "peer/client.h"
#include "peer/protocol.h"
#include "record/history.h"
#include "record/snapshot.h"

#define NEWS_MAX 16      /* sentences that wait for the host; older ones are dropped */
#define HISTORY_QUEUE 4  /* entries that wait to be written */
#define NONCE_TAG_SIZE 7 /* 6 hex digits */
#define NONCES_KEPT 64   /* the newest ones of this process */
#define NODE_STRANGERS 3

/* A record as it stands in the lock. */
typedef struct Held
{
	char version[FHA_VERSION_SIZE]; /* "" when there is none, or it was not seen */
	char *text;                     /* NULL when there is none */
	int64_t changed_at_ms;          /* a member's: when this text was first seen */
	bool heard; /* a member's: another text stood there before, so that one lives */
	int64_t fresh_at_ms[FHA_STAGES]; /* a member's: it has what the leader had then; 0: not known */
} Held;

/* The pending write to the lock, or the read that is under way instead of one. */
typedef enum PendingWrite
{
	PENDING_NONE,
	PENDING_READ_CLUSTER,
	PENDING_RENEW,
	PENDING_TAKE,
	PENDING_RELEASE,
	PENDING_REQUEST,
	PENDING_MEMBER,
	PENDING_TOMBSTONE,
	PENDING_READ_MEMBER,
	PENDING_HISTORY,
	PENDING_READ_HISTORY
} PendingWrite;

/* A write of the cluster record: what it would make true, and when it was sent. */
typedef struct ClusterWrite
{
	PendingWrite pending;
	int64_t sent_at_ms;
	int64_t renew_deadline_ms; /* the renew deadline when it was sent */
	FhaCluster cluster;
	char previous_holder[FHA_NAME_SIZE];
	bool reclaim;
	bool founding;
} ClusterWrite;

/* What this member is to clients, and the labels of pods (node/pods.c). */
typedef struct NodePods
{
	FhaPods *client;     /* NULL: the lock is not of Kubernetes */
	FhaRoutingTask task; /* under way; NOTHING */
	FhaRouting routing;
	bool failing; /* and that was said */
	FhaAlone watch;
	bool alone; /* a leader, and no standby serves reads */
} NodePods;

/* Of a standby that streams from this primary. */
typedef struct StandbyLag
{
	char member[FHA_NAME_SIZE]; /* "": free */
	int64_t stamp;              /* of its newest reply that was looked at */
	FhaFreshness freshness;
} StandbyLag;

/* How old is what members have (node/lag.c)? */
typedef struct NodeLag
{
	FhaFreshness freshness; /* of this standby */
	bool lapsed;            /* it was fit before, and is not */
	bool streamed;
	bool waits;                           /* something that the leader has was not replayed yet */
	uint64_t term;                        /* of the samples */
	char heard_sign[FHA_WATCH_SIGN_SIZE]; /* of the last renewal, and of the stream */
	int64_t heard_stamp;
	StandbyLag standbys[FHA_MEMBERS_MAX];
} NodeLag;

/* S10: what another member has promised to this holder. */
typedef struct Promised
{
	char member[FHA_NAME_SIZE];
	char data[FHA_ID_SIZE];       /* the data incarnation that it answered with */
	int64_t asked_at_ms;          /* the question under way was sent then; 0: none is */
	int64_t sent_at_ms;           /* when the newest one that was promised was sent; 0: none was */
	int64_t asked_for_ms;         /* the duration that it was asked for ... */
	int64_t for_ms;               /* ... and that was promised */
	int64_t next_at_ms;           /* it is not asked before */
	int soon;                     /* so many answers in a row said "soon" */
	char told[FHA_SENTENCE_SIZE]; /* why not, as the news has it */
} Promised;

/* A member, with its data, that a write of ours may yet put on the list. */
typedef struct LateMember
{
	char member[FHA_NAME_SIZE];
	char data[FHA_ID_SIZE];
} LateMember;

#define LATE_MEMBERS_MAX (2 * FHA_MEMBERS_MAX)

typedef struct Promises
{
	FhaPeerClient *client; /* NULL: nobody is asked */
	FhaPeers peers; /* who is asked, and for which lease: of this holder, or of the one that died */
	bool counts;    /* this holder may lead by the answers */
	int64_t next_at_ms; /* not before */
	size_t count;
	Promised of[FHA_MEMBERS_MAX];
	bool told;      /* that this holder leads by promises */
	bool told_why;  /* why it cannot ask */
	bool lost_take; /* one was sent whose fate nobody knows */
	bool rekey;     /* pgpass is to be read again */
	bool takes;     /* a take waits until bond.json says so */
	char time_namespace[FHA_TIME_NAMESPACE_SIZE];
	FhaWriter *writer;
	FhaPromiseFile file;            /* as bond.json should be */
	FhaPromiseFile durable;         /* as it is, or as `written` */
	FhaPromiseFile written;         /* what is under way to the disk ... */
	bool writes;                    /* ... if anything is */
	int64_t write_again_at_ms;      /* after a failure: not before */
	char failed[FHA_SENTENCE_SIZE]; /* why the last write failed; "" */
	/* Of writes that got no answer: who is on their lists.  Each can arrive for as long as this
	 * version of the record stands; more than there is room for: late_count is beyond it. */
	char late_version[FHA_VERSION_SIZE];
	size_t late_count;
	LateMember late[LATE_MEMBERS_MAX];
} Promises;

/* What tells one copy of the cluster record in our directory from another; zeroed: there is none. */
typedef struct KeptRecord
{
	char cluster_uuid[FHA_UUID_SIZE];
	uint64_t term;
	char timeline_id[FHA_ID_SIZE]; /* two takes of one term, after the lock forgot the first */
	uint64_t lineage_term;
	size_t member_count;
	char members[FHA_MEMBERS_MAX][FHA_NAME_SIZE];
	char member_data[FHA_MEMBERS_MAX][FHA_ID_SIZE];
} KeptRecord;

struct FhaNode
{
	FhaConfig config;
	const FhaClock *clock;
	FhaLock *lock;
	int epoll; /* of all that the host waits for */
	int nudge; /* an eventfd in it: a turn is due */
	FhaState state;
	FhaWorld world;
	const FhaRule *rule; /* the last decision; NULL before the first */

	Held cluster;
	Held history;
	Held own;                     /* our member record */
	Held others[FHA_MEMBERS_MAX]; /* same index as world.members */
	bool synced;                  /* the watch has told what existed */
	int64_t absent_at_ms;         /* no cluster of ours is in the lock; 0: there is */
	bool absence_told;
	bool name_taken;                  /* the cluster's record is a member's, and that was said */
	char missing_told[FHA_NAME_SIZE]; /* a member without a record that was named */
	size_t stranger_count; /* clusters of other names there, as far as they are worth telling */
	char strangers[NODE_STRANGERS][FHA_NAME_SIZE];

	/* Nonces of this process: a tag, a count, and what is random in each; and those of all that spoke
	 * for this node in this incarnation. */
	char nonce_tag[NONCE_TAG_SIZE];
	FhaSpeakers *speakers;
	FhaSpeakers alone; /* of a host that has nothing to share with other processes */
	uint32_t nonce_count;
	char nonces[NONCES_KEPT][FHA_ID_SIZE];

	PendingWrite pending;
	ClusterWrite write; /* the one in flight */
	bool unknown;       /* `lost` may or may not have been applied */
	ClusterWrite lost;
	char hinted[FHA_VERSION_SIZE]; /* a version of the cluster record that the watch named */
	FhaWriter *keeper;             /* writes copies of what the lock says into our directory */
	KeptRecord kept;
	bool reread;           /* read the cluster record before the next write */
	int64_t read_at_ms;    /* when it was last read or written */
	int64_t renewed_at_ms; /* when the last renewal was sent */
	int64_t retry_at_ms;   /* after a failure: not before */

	uint64_t known_term;      /* by members, when the newest read was asked for */
	int64_t host_shuts_at_ms; /* the last host action's: until then the host's fence may be open */

	int64_t confirmed_at_ms; /* the last renewal that is known to have arrived was sent then */
	Promises promises;

	FhaMember published;     /* what our member record says */
	int64_t published_at_ms; /* when; 0: never */
	bool own_reread;
	int64_t member_retry_at_ms;

	FhaHistoryEntry entries[HISTORY_QUEUE];
	size_t entry_count;
	bool history_reread;
	int64_t history_retry_at_ms;

	bool request_waits; /* one of ours, to be written into the record */
	FhaRequest request;
	FhaRequest refused; /* in this step; its kind is NONE: none was */
	char
		request_seen[FHA_ID_SIZE]; /* the one in the record, known since world.request_seen_at_ms */

	bool settings_written;     /* cluster.conf says what these say */
	FhaSettings settings;      /* of all members, as taken from the record */
	uint64_t settings_changes; /* how often they changed */
	FhaKey key;                /* the cluster key, as pgpass had it ... */
	int64_t key_read_at_ms;    /* ... then; 0: never */
	bool key_known;
	int64_t refused_at_ms;
	int64_t refusal_told_at_ms; /* that settings are not used was said then; 0: never */

	int64_t first_heard_at_ms;  /* the lock has told of itself from then on, without a long pause */
	int64_t first_answer_at_ms; /* it has answered from then on */
	char
		buried[FHA_NAME_SIZE]; /* whose record a tombstone replaces now; "": as an operator asked */
	NodePods pods;
	NodeLag lag;

	FhaVitals counted;     /* the counts alone */
	int64_t decided_at_ms; /* when the rule last changed */
	uint64_t changes;
	size_t news_count;
	char news[NEWS_MAX][FHA_NEWS_SIZE];
};

/* The host shall wait for this descriptor too.  IO. */
FhaCode node_wait_for(FhaNode *node, int fd, FhaError *err);

/* id: of base/log_line.h. */
void node_news(FhaNode *node, const char *id, const char *format, ...) FHA_PRINTF(3, 4);

/*
 * A look at the clock that this node was given.  A step looks once after it has heard the lock, and all
 * that it decides goes by that look, as now_ms.  A function that looks by itself says why.
 */
int64_t node_now_ms(const FhaNode *node);

/* The wall clock, for people; the same as text. */
int64_t node_wall_ms(const FhaNode *node);
void node_wall_time(const FhaNode *node, char out[FHA_TIME_SIZE]);

/* As fha_random_hex, by the chance that this node was given. */
FhaCode node_random_hex(const FhaNode *node, char *out, size_t size, FhaError *err);

/* An answer to the pending write; a change that the watch tells. */
void node_answered(FhaNode *node, const FhaLockEvent *event, int64_t now_ms);
void node_watch_told(FhaNode *node, const FhaRecord *record, int64_t now_ms);

/* A node without data that waits for a cluster that is not in the lock: says so after a lease, once. */
void node_absence_tell(FhaNode *node, int64_t now_ms);

void node_held_clear(Held *held);

/* S7: this node knows of that term, on disk when it returns OK.  IO, INVALID: it cannot be kept. */
FhaCode node_term_heed(FhaNode *node, uint64_t term, FhaError *err);

/* Have the host turn at once. */
void node_nudge(FhaNode *node);

/*
 * S1b: does this record, which names us as its holder, show a renewal that was never ours?  Then
 * another process lives with our identity: a machine that was copied with its memory.
 */
bool node_nonce_is_another_s(const FhaNode *node, const char *nonce);

/* Begin a write that is built on the record as last read. */
FhaCode node_write_begin(FhaNode *node, PendingWrite pending, FhaError *err);

/* Each fills node->write for the pending write; false when there is nothing to write after all. */
FhaCode node_write_take(FhaNode *node, FhaFacts facts, FhaError *err);
FhaCode node_write_renew(FhaNode *node, int64_t now_ms, FhaError *err);
FhaCode node_write_release(FhaNode *node, FhaError *err);

/* Does the record lack something that this holder should add before the next renewal is due? */
bool node_renewal_is_urgent(const FhaNode *node, int64_t now_ms);

/* Our member record as it should be now. */
void node_member_fill(const FhaNode *node, FhaFacts facts, int64_t now_ms, FhaMember *out);
bool node_member_differs(const FhaMember *a, const FhaMember *b);

/* A take was confirmed: queue the history entry that tells it. */
void node_history_queue(FhaNode *node, const ClusterWrite *take);

/*
 * What a rewind has saved, and which slots were removed, goes into the history: it stands in a file
 * until that is written.
 */
void node_saved_tell(FhaNode *node);

/* The oldest entry of the queue is in the record: it leaves the queue, and its file goes. */
void node_history_written(FhaNode *node);

/* A cleared entry that will be written, or NULL: the queue is full. */
FhaHistoryEntry *node_history_room(FhaNode *node);

/* --- the list of members (node/members.c) */

void node_members_listen(FhaNode *node, int64_t now_ms);

/* Did that member of the world miss so many writes of its record that it is down or cut off? */
bool node_members_silent(const FhaNode *node, size_t i, int64_t now_ms);

/* Must the record of a member that was silent for too long be replaced?  *text: what by, free it. */
bool node_members_tombstone(FhaNode *node, int64_t now_ms, const Held **held, char **text);

/* The tombstone stands. */
void node_members_buried(FhaNode *node);

/* Who has no record is not on the list. */
void node_members_strike(const FhaNode *node, FhaCluster *cluster);

/* --- pods and readers (node/pods.c) */

/* NOT an error: no pods, or no Kubernetes. */
FhaCode node_pods_open(FhaNode *node, FhaError *err);
void node_pods_close(FhaNode *node);
/* The next label. */
void node_pods_step(FhaNode *node, FhaFacts facts, int64_t now_ms);
int64_t node_pods_wake_at_ms(const FhaNode *node, int64_t now_ms);
FhaServes node_pods_serves(const FhaNode *node, FhaFacts facts);

/* --- how old is what members have (node/lag.c) */

/* So much lag is let serve reads. */
int64_t node_lag_limit_ms(const FhaNode *node);

/* Samples of the leader's position; who has got so far; is this standby fit to serve reads? */
void node_lag_step(FhaNode *node, int64_t now_ms);
int64_t node_lag_wake_at_ms(const FhaNode *node, int64_t now_ms);

/* A member has a new record; the leader's list of standbys was read. */
void node_lag_member_told(FhaNode *node, const FhaMember *member, Held *held, int64_t now_ms);
void node_lag_cluster_told(FhaNode *node, int64_t now_ms);

/* Into our records: this member's own lag; that of a standby which streams from here. */
void node_lag_own(const FhaNode *node, FhaLag out[FHA_STAGES], int64_t now_ms);
void node_lag_standby(const FhaNode *node, FhaStandby *standby, int64_t now_ms);

/* This member's own for people: none while it has everything. */
void node_lag_own_shown(const FhaNode *node, FhaLag out[FHA_STAGES], int64_t now_ms);

/* What is known of the member at that index of the world, for the snapshot. */
void node_lag_show(const FhaNode *node, size_t index, FhaMemberLag *out);

/* --- promises while the lock does not answer (node/promise.c) */

FhaCode node_promises_open(FhaNode *node, FhaError *err);
void node_promises_close(FhaNode *node);

/* What became of a write of bond.json? */
void node_promises_look(FhaNode *node, int64_t now_ms);
/* Each turn: what must not be forgotten goes to the disk. */
void node_promises_keep(FhaNode *node, int64_t now_ms);

/* Answers that came: with those of all others, the fence may stay open. */
void node_promises_hear(FhaNode *node, int64_t now_ms);

/* A write of ours got no answer: its list may stand in the record later, whatever is read before. */
void node_promises_lost(FhaNode *node, const FhaCluster *list);

/* Ask all others, if this holder hears nothing from the lock. */
void node_promises_ask(FhaNode *node, FhaFacts facts, int64_t now_ms);
int64_t node_promises_wake_at_ms(const FhaNode *node, FhaFacts facts, int64_t now_ms);

/*
 * A take is about to be sent: on disk before, because nothing is promised until its fate is known.
 * AGAIN: it is not on disk yet, the host is woken when it is; IO.
 */
FhaCode node_promises_contend(FhaNode *node, int64_t now_ms, FhaError *err);
/* How a take ended. */
void node_promises_settled(FhaNode *node, FhaCode code, int64_t now_ms);
/* Would such a read tell how a take ended that this node does not know the end of? */
bool node_promises_owe_a_read(const FhaNode *node);
/* A read of the record, by the lock's own answer, showed this version. */
void node_promises_read(FhaNode *node, const char *version, int64_t now_ms);

/* --- requests (node/request.c) */

/* A switchover or a failover? */
bool node_request_moves_lease(const FhaRequest *request);

/* The request that stands was seen; its time limit counts from the first time. */
void node_request_notice(FhaNode *node, int64_t now_ms);

/* What this holder says to the request that stands, into the record that it is about to write. */
void node_request_answer(const FhaNode *node, FhaCluster *cluster, int64_t now_ms);

/* The lease changed hands: is that what was asked for?  It is done once this member leads. */
void node_request_settle(const FhaNode *node, FhaRequest *request, bool reclaim);

/* Fill node->write with the request that waits; CONFLICT, INVALID: it cannot be entered. */
FhaCode node_write_request(FhaNode *node, int64_t now_ms, FhaError *err);

/* Must the record of a removed member be replaced?  *text: what by, free it. */
bool node_request_tombstone(const FhaNode *node, const Held **held, char **text);

/* --- the copy of the cluster record (node/keep.c) */

/* What record.json holds already: a good copy is not replaced because a new process looks. */
void node_keep_open(FhaNode *node);

/* Write it once the record that was read is of another term, lineage or list of members. */
void node_keep_record(FhaNode *node);

/* --- settings of all members (node/settings.c) */

/* What was taken from records before this process.  IO, NO_MEMORY. */
FhaCode node_settings_open(FhaNode *node, FhaError *err);

/* What is set for all members is on disk before this node acts on that record. */
FhaCode node_settings_remember(FhaNode *node, int64_t now_ms, FhaError *err);

/* Into the record that this holder is about to write: its own settings where those are not to be
 * used, and its signature where that is missing or of an older key. */
void node_settings_keep(FhaNode *node, FhaCluster *cluster, int64_t now_ms);

/* Enter the SET or RESET that waits, and sign.  INVALID: what is there now is not to be used. */
FhaCode node_settings_change(FhaNode *node, FhaCluster *cluster, int64_t now_ms, FhaError *err);

/* A write was confirmed: queue the history entry of the request that ended with it. */
void node_request_remember(FhaNode *node, const ClusterWrite *write);

#endif
