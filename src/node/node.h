/*
 * node.h: the node loop: observe, decide, write the lock, tell the host what to do.
 *
 * The same loop runs in the agent (inside PostgreSQL) and in the supervisor,
 * whichever has the ownership lock.  It knows PostgreSQL only by the FhaPgView that the
 * host passes in, so that it runs, and is tested, without one.  It never blocks
 * and never logs: it hands out host actions and news.
 */
#ifndef FHA_NODE_NODE_H
#define FHA_NODE_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log_line.h"
#include "config/config.h"
#include "core/decide.h"
#include "core/world.h"
#include "node/speakers.h"
#include "peer/protocol.h"
#include "record/snapshot.h"
#include "show/health.h"
#include "show/metrics.h"

typedef struct FhaNode FhaNode;

/*
 * The host action: what the host must do now.  It repeats for as long as it holds: a host that
 * has begun it and sees it again does nothing.
 */
typedef struct FhaHostAction
{
	FhaNodeAction node;
	const char *rule;              /* the id of the rule that says so, static text */
	const char *because;           /* its sentence, for people; static text */
	int64_t write_ends_at_ms;      /* the fence: open until then; 0: shut */
	uint32_t timeline;             /* PROMOTE: the timeline that PostgreSQL must choose ... */
	char timeline_id[FHA_ID_SIZE]; /* ... and its identity; "": of a take by 1.1 */
	uint64_t term;
	char leader[FHA_NAME_SIZE]; /* FOLLOW, CLONE, REWIND, START_STANDBY: "" if unknown */
	char leader_address[FHA_ADDRESS_SIZE];
	char cluster_uuid[FHA_UUID_SIZE]; /* INITDB, CLONE, REWIND */
	bool prepare_stop; /* make checkpoints (core/prepare.h), then say so in view.prepared */
	bool
		promoted; /* this primary leads on its term's timeline: no promotion is half done any more */
	bool checkpoint; /* one must be made on this timeline: pg_rewind of the old primary needs it */
	char request_id[FHA_ID_SIZE]; /* a restart, reinit or rejoin that is under way; "" for none */
	bool reinit;                  /* this member's data is to be replaced */
	bool requested;               /* and it concerns this member: a back-off ends */
	uint64_t settings_changes;    /* goes up when cluster.conf was written: reload */
	bool read;                    /* the record (or its absence) has been seen */
	bool holds_lease;             /* the record says it is ours */
	bool released;                /* the record says we gave it away */
	bool told;                    /* our own record has what we decided, or we may write none */
	bool leads_soon;              /* not a primary, but holds the lease or is fit to take it now */
	bool contested;               /* a standby, and the lease is free: positions matter now */
	bool alone;                   /* a leader, and no standby serves reads: see routing.h */
	size_t member_count;          /* the record's list, for slots */
	char members[FHA_MEMBERS_MAX][FHA_NAME_SIZE];
	FhaPosition position; /* the record's: the end of the WAL is searched from there */
	/* CLONE of data with a timeline that is not the leader's of that number: where that one began.  All WAL
	 * from there on is this data's alone.  Timeline 0: not so, or not known. */
	FhaPosition apart;
	int64_t wake_at_ms; /* step again at the latest then */
} FhaHostAction;

/*
 * Speak for this node from now on; the ownership lock must be ours.  clock: all time and chance of
 * this node, kept until it is closed; each moment that it tells or is told is of this clock.
 * incarnation: the node's; liveness_held: this process took the liveness lock afresh, no other
 * process of this node's PostgreSQL lives.  Observation starts at zero.  INVALID, IO, NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_node_open(FhaNode **out, const FhaConfig *config,
											 const FhaClock *clock, const char *incarnation,
											 bool liveness_held, FhaError *err);
FHA_API void fha_node_close(FhaNode *node);

/*
 * Before the first step: all processes that speak for this node under its incarnation share this memory,
 * kept until the node is closed.  Without it this one knows no write of theirs but the first that it reads.
 */
FHA_API void fha_node_share(FhaNode *node, FhaSpeakers *speakers);

/* Readable when fha_node_step has something to do. */
FHA_API int fha_node_fd(const FhaNode *node);

/* One turn.  IO if the node's own state could not be saved: then *action holds the fence shut. */
FHA_API FHA_MUST_CHECK FhaCode fha_node_step(FhaNode *node, const FhaPgView *view,
											 FhaHostAction *action, FhaError *err);

/* The liveness lock was taken (or its holder started PostgreSQL, and it is no more). */
FHA_API void fha_node_liveness_held(FhaNode *node, bool held);

/* Timings changed by a reload. */
FHA_API void fha_node_configure(FhaNode *node, const FhaConfig *config);

/* A job changed node.json: read it again. */
FHA_API FHA_MUST_CHECK FhaCode fha_node_reload(FhaNode *node, FhaError *err);

/*
 * S10: another member, authenticated, asks for a promise not to take the lease.  If *out says that
 * it is given, it is on disk and binds this node.
 */
FHA_API void fha_node_promise(FhaNode *node, const FhaQuestion *asked, FhaPromise *out);

/* Put a request into the cluster record (as soon as that can be done).  CONFLICT: this takes none now. */
FHA_API FHA_MUST_CHECK FhaCode fha_node_request(FhaNode *node, const FhaRequest *request,
												FhaError *err);

/* Is there room for a request, and in the history for what becomes of it?  One step may make some. */
FHA_API bool fha_node_takes_requests(const FhaNode *node);

/* The request that the last step could not enter into the record, with the reason as its message; NULL: none. */
FHA_API const FhaRequest *fha_node_refused(const FhaNode *node);

/* What the record sets for all members; NULL: nothing.  Valid until the next step. */
FHA_API const char *fha_node_setting(const FhaNode *node, const char *name);

/* Room for what is told at once: an id, and a sentence with names in it. */

/* The next line for the log, its id and a sentence (base/log_line.h); false when there is none. */
FHA_API bool fha_node_news(FhaNode *node, char *out, size_t size);

/* Goes up whenever a new snapshot would differ. */
FHA_API uint64_t fha_node_changes(const FhaNode *node);

/*
 * What this node knows at this moment, over what stands in *out; the host adds what it alone knows
 * (who answers, whether a standby streams, the fence as PostgreSQL has it).
 */
FHA_API void fha_node_health(const FhaNode *node, FhaHealth *out);

/* What was counted, and what the node knew at its last turn. */
FHA_API void fha_node_vitals(const FhaNode *node, FhaVitals *out);

/* What this node knows, for its machine.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_node_snapshot(const FhaNode *node, FhaSnapshot *out,
												 FhaError *err);

#endif
