/*
 * decide.c: the rules.
 *
 * Read from the top: what forbids everything, then a stopping node, then each
 * state of PostgreSQL in turn.  src/test/core/decide_test.c holds the table
 * against the safety rules, in every world.
 */
#include "core/decide.h"

#include <string.h>

/* clang-format off */
#define LEAVE   FHA_LEASE_LEAVE
#define RENEW   FHA_LEASE_RENEW
#define TAKE    FHA_LEASE_TAKE
#define RELEASE FHA_LEASE_RELEASE
#define SHUT    FHA_FENCE_SHUT
#define OPEN    FHA_FENCE_OPEN

static const FhaRule rules[] = {
	/* Nothing may be concluded. */
	{ FHA_STALE, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "stale_lock", "the lock shows an older term than this node or another member has seen: put back the record.json of the member that saw the highest" },
	{ FHA_FOREIGN, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "foreign_data", "this data directory belongs to another cluster" },

	{ FHA_TAKEN, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "name_taken", "the record of this member's name belongs to another cluster or member: give this one another member_name, or its cluster another name or lock" },
	{ FHA_DUPLICATE, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "name_in_use", "another node that lives has this member's name: end it, or give this one another member_name" },

	/* A node that is being stopped keeps its lease until its last process is gone. */
	{ FHA_STOPPING | FHA_DOWN | FHA_MINE | FHA_POSITION, 0,
	  RELEASE, SHUT, FHA_NODE_HOLD, "stop_releases", "this node stops: it releases the lease with the end of its WAL" },
	{ FHA_STOPPING | FHA_DOWN, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "stopped", "this node stops" },
	{ FHA_STOPPING | FHA_MINE, 0,
	  RENEW, SHUT, FHA_NODE_HOLD, "stop_keeps_lease", "this node stops: the lease is kept until its last process is gone" },
	{ FHA_STOPPING, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "stopping", "this node stops, and its PostgreSQL with it" },

	/* A holder that does not come to lead lets the lease lapse. */
	{ FHA_MINE | FHA_STUCK, FHA_DOWN | FHA_PRIMARY | FHA_JOB,
	  LEAVE, SHUT, FHA_NODE_HOLD, "stuck", "this member holds the lease but does not come to lead: it lets the lease lapse" },

	/* Busy: wait, but do not lose the lease meanwhile. */
	{ FHA_JOB | FHA_MINE, 0,
	  RENEW, SHUT, FHA_NODE_HOLD, "job_keeps_lease", "a job on the data directory is under way" },
	{ FHA_JOB, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "job", "a job on the data directory is under way, without the lease" },
	{ FHA_BUSY | FHA_MINE, 0,
	  RENEW, SHUT, FHA_NODE_HOLD, "busy_keeps_lease", "PostgreSQL starts, recovers or stops: the lease is kept, the fence is shut" },
	{ FHA_BUSY | FHA_RECOVERING | FHA_LED | FHA_REINIT, FHA_PLAIN,
	  LEAVE, SHUT, FHA_NODE_STOP, "recovery_reinit", "an operator asked for a fresh copy of the leader's data: recovery is stopped" },
	{ FHA_BUSY | FHA_RECOVERING | FHA_LED | FHA_STRANDED | FHA_REWINDABLE, FHA_PLAIN | FHA_PAUSED,
	  LEAVE, SHUT, FHA_NODE_STOP, "recovery_stranded", "recovery does not go on, and the leader no longer has the WAL that it needs: it is stopped" },
	{ FHA_BUSY | FHA_RECOVERING | FHA_NAMESAKE | FHA_LED, FHA_PLAIN,
	  LEAVE, SHUT, FHA_NODE_STOP, "recovery_namesake", "recovery is on a timeline that has the number of one of the leader's and is another: it is stopped" },
	{ FHA_BUSY | FHA_RECOVERING | FHA_LED, FHA_FOLLOWING | FHA_NAMESAKE,
	  LEAVE, SHUT, FHA_NODE_FOLLOW, "recovery_follows", "recovery goes on with the WAL of another leader" },
	{ FHA_BUSY, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "busy", "PostgreSQL starts, recovers or stops" },
	{ FHA_UNREAD, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "lock_unread", "the lock has not been read yet" },

	/* A primary. */
	{ FHA_PRIMARY | FHA_MINE, FHA_LINEAGE | FHA_PLAIN,
	  LEAVE, SHUT, FHA_NODE_STOP, "wrong_timeline_stops", "this primary is on a timeline that its term did not reserve" },
	{ FHA_PRIMARY | FHA_MINE, FHA_LINEAGE,
	  LEAVE, SHUT, FHA_NODE_HOLD, "wrong_timeline", "this primary is on a timeline that its term did not reserve, and nobody would start it again" },
	{ FHA_PRIMARY | FHA_MINE | FHA_HANDOVER, FHA_PLAIN,
	  RENEW, SHUT, FHA_NODE_STOP, "handover_stops", "an operator asked for a handover: the fence is shut and PostgreSQL stops" },
	{ FHA_PRIMARY | FHA_MINE | FHA_RESTART, FHA_PLAIN,
	  RENEW, SHUT, FHA_NODE_STOP, "restart_stops", "an operator asked for a restart: the fence is shut and PostgreSQL stops" },
	{ FHA_PRIMARY | FHA_MINE | FHA_SAFE | FHA_PUBLISHED | FHA_PROMISED, 0,
	  RENEW, OPEN, FHA_NODE_HOLD, "leads_by_promises", "this member leads on while the lock does not answer: all other members promise not to contend" },
	{ FHA_PRIMARY | FHA_MINE | FHA_SAFE | FHA_PUBLISHED, 0,
	  RENEW, OPEN, FHA_NODE_HOLD, "leads", "this member leads" },
	{ FHA_PRIMARY | FHA_MINE | FHA_SAFE, 0,
	  RENEW, SHUT, FHA_NODE_HOLD, "records_lineage", "promoted: the lineage is being recorded before the first commit" },
	{ FHA_PRIMARY | FHA_MINE, 0,
	  RENEW, SHUT, FHA_NODE_HOLD, "renewal_unconfirmed", "no renewal of the lease is confirmed: the fence is shut until one is" },
	{ FHA_PRIMARY | FHA_FREE | FHA_RECLAIM, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "primary_reclaims", "nobody took the lease since this primary held it" },
	{ FHA_PRIMARY | FHA_ABSENT | FHA_RECLAIM, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "primary_rewrites_record", "the cluster's record is gone, and this primary held the lease last: it writes the record anew" },
	{ FHA_PRIMARY | FHA_ABSENT | FHA_BOOTSTRAP, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "primary_founds", "this primary founds the cluster" },
	{ FHA_PRIMARY | FHA_ABSENT, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "primary_without_record", "the cluster has no record: put back the record.json of the member that saw the highest term" },
	{ FHA_PRIMARY | FHA_BLANK, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "primary_watches_lock", "the cluster has no record: watched for as long as a stale one" },
	{ FHA_PRIMARY, FHA_PLAIN,
	  LEAVE, SHUT, FHA_NODE_STOP, "lost_lease_stops", "the lease is not this member's any more: it stops, to come back as a standby" },
	{ FHA_PRIMARY, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "lost_lease_fenced", "the lease is not this member's any more: it stays fenced until it is rejoined" },

	/* A standby. */
	{ FHA_STANDBY | FHA_MINE | FHA_BEYOND, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "standby_begins_term", "this standby is past the timeline of its term: it begins a new term" },
	{ FHA_STANDBY | FHA_MINE | FHA_SAFE, FHA_DIVERGED,
	  RENEW, SHUT, FHA_NODE_PROMOTE, "promotes", "this standby holds the lease" },
	{ FHA_STANDBY | FHA_MINE, FHA_DIVERGED,
	  RENEW, SHUT, FHA_NODE_HOLD, "promotion_unconfirmed", "this standby's lease needs a confirmed renewal before it is promoted" },
	{ FHA_STANDBY | FHA_FREE | FHA_LISTED | FHA_FIT | FHA_TURN, FHA_PAUSED | FHA_DIVERGED | FHA_UNINITIALISED,
	  TAKE, SHUT, FHA_NODE_HOLD, "takes_free_lease", "the lease is free and no better member is expected" },
	{ FHA_STANDBY | FHA_DIVERGED | FHA_LED, FHA_PLAIN,
	  LEAVE, SHUT, FHA_NODE_STOP, "diverged_stops", "this standby has WAL that the leader has not: it stops, to be rewound" },
	{ FHA_STANDBY | FHA_DIVERGED, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "diverged_standby", "this standby has WAL that its cluster has not: it cannot lead or follow" },
	{ FHA_STANDBY | FHA_LED | FHA_RESTART, FHA_PLAIN,
	  LEAVE, SHUT, FHA_NODE_STOP, "restart_stops_standby", "an operator asked for a restart: this standby stops" },
	{ FHA_STANDBY | FHA_LED | FHA_REINIT, FHA_PLAIN,
	  LEAVE, SHUT, FHA_NODE_STOP, "reinit_stops_standby", "an operator asked for a fresh copy of the leader's data: this standby stops" },
	{ FHA_STANDBY | FHA_LED | FHA_STRANDED | FHA_REWINDABLE, FHA_PLAIN | FHA_PAUSED,
	  LEAVE, SHUT, FHA_NODE_STOP, "stranded_stops", "this standby does not get on, and the leader no longer has the WAL that it needs: it stops" },
	{ FHA_STANDBY | FHA_LED, FHA_FOLLOWING,
	  LEAVE, SHUT, FHA_NODE_FOLLOW, "follows_new_leader", "another member leads now" },
	{ FHA_STANDBY | FHA_BOUND, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "bound_by_promise", "the lease is not renewed, but this standby has promised its holder not to contend" },
	{ FHA_STANDBY | FHA_FREE | FHA_PAUSED, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "elections_paused", "the lease is free, but an operator paused elections" },
	{ FHA_STANDBY | FHA_FREE | FHA_FIT | FHA_LISTED, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "awaits_turn", "the lease is free: a better member has its turn first" },
	{ FHA_STANDBY | FHA_FREE | FHA_AWAITED, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "awaits_end", "the primary was stopped cleanly and had more WAL than this standby: it must be started, or an operator asks for a failover" },
	{ FHA_STANDBY | FHA_FREE, FHA_LISTED,
	  LEAVE, SHUT, FHA_NODE_HOLD, "not_listed", "the lease is free, but this standby is not on the list of members" },
	{ FHA_STANDBY | FHA_FREE | FHA_SMALL, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "too_small", "the lease is free, but this standby cannot be promoted: its settings are smaller than its primary's" },
	{ FHA_STANDBY | FHA_FREE, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "would_lose", "the lease is free, but this standby would lose more than allowed" },
	{ FHA_STANDBY, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "follows", "this standby follows" },

	/* No process is left: the supervisor has the ownership lock. */
	{ FHA_DOWN | FHA_FAILING | FHA_MINE | FHA_POSITION, FHA_PAUSED,
	  RELEASE, SHUT, FHA_NODE_HOLD, "start_fails_releases", "PostgreSQL fails to start here: the lease is released to whoever can lead" },
	{ FHA_DOWN | FHA_FAILING, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "start_fails", "PostgreSQL or its preparation fails here, see this node's log: tried again after a pause" },
	{ FHA_DOWN | FHA_PAUSED | FHA_MINE, FHA_REQUESTED | FHA_HANDOVER | FHA_UNINITIALISED,
	  RENEW, SHUT, FHA_NODE_HOLD, "paused_keeps_lease", "PostgreSQL ended, and an operator paused: the lease is kept and nothing is started" },
	{ FHA_DOWN | FHA_PAUSED, FHA_MINE | FHA_REQUESTED | FHA_UNINITIALISED,
	  LEAVE, SHUT, FHA_NODE_HOLD, "paused_down", "PostgreSQL is down, and an operator paused: nothing is started" },
	{ FHA_DOWN | FHA_EMPTY | FHA_ABSENT | FHA_BOOTSTRAP, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "founder_takes_lease", "there is no cluster yet, and this member was told to found it" },
	{ FHA_DOWN | FHA_EMPTY | FHA_MINE | FHA_UNINITIALISED, 0,
	  RENEW, SHUT, FHA_NODE_INITDB, "founds", "this member founds the cluster" },
	{ FHA_DOWN | FHA_EMPTY | FHA_FREE | FHA_UNINITIALISED | FHA_BOOTSTRAP, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "founder_gone", "the member that began to found the cluster is gone" },
	{ FHA_DOWN | FHA_EMPTY | FHA_LED | FHA_REWINDABLE, FHA_MINE,
	  LEAVE, SHUT, FHA_NODE_CLONE, "clones_empty", "this member has no data: it copies the leader's" },
	{ FHA_DOWN | FHA_DAMAGED | FHA_LED | FHA_REWINDABLE, FHA_MINE,
	  LEAVE, SHUT, FHA_NODE_CLONE, "clones_damaged", "a rewind or clone did not end well: the leader's data is copied" },
	{ FHA_DOWN | FHA_EMPTY, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "empty_waits", "this member has no data and waits for a leader to copy" },
	{ FHA_DOWN | FHA_DAMAGED, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "damaged_waits", "a rewind or clone did not end well: waits for a leader to copy" },

	{ FHA_DOWN | FHA_REINIT | FHA_LED | FHA_REWINDABLE, FHA_MINE,
	  LEAVE, SHUT, FHA_NODE_CLONE, "reinit_clones", "an operator asked for a fresh copy of the leader's data" },
	{ FHA_DOWN | FHA_MINE, FHA_POSITION,
	  RENEW, SHUT, FHA_NODE_HOLD, "reads_end_keeps_lease", "PostgreSQL ended: the end of its WAL is being read, the lease is kept" },
	{ FHA_DOWN, FHA_POSITION,
	  LEAVE, SHUT, FHA_NODE_HOLD, "reads_end", "PostgreSQL is down: the end of its WAL is being read" },
	{ FHA_DOWN | FHA_MINE | FHA_RESTART | FHA_LINEAGE, 0,
	  RENEW, SHUT, FHA_NODE_START_PRIMARY, "restart_starts", "an operator asked for a restart: the lease was kept for it" },
	{ FHA_DOWN | FHA_MINE | FHA_HANDOVER, 0,
	  RELEASE, SHUT, FHA_NODE_HOLD, "handover_releases", "handover: the lease is released with the end of this member's WAL" },
	{ FHA_DOWN | FHA_MINE | FHA_SUCCESSOR, FHA_PAUSED,
	  RELEASE, SHUT, FHA_NODE_HOLD, "releases_to_standby", "PostgreSQL ended and a standby is there: it leads sooner than this node recovers" },
	{ FHA_DOWN | FHA_MINE | FHA_LINEAGE, 0,
	  RENEW, SHUT, FHA_NODE_START_PRIMARY, "starts_as_holder", "this member holds the lease and starts again" },
	{ FHA_DOWN | FHA_MINE | FHA_BEYOND, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "down_begins_term", "this member's data is past the timeline of its term: it begins a new term" },
	{ FHA_DOWN | FHA_MINE, FHA_DIVERGED,
	  RENEW, SHUT, FHA_NODE_START_STANDBY, "starts_to_promote", "this member holds the lease and starts, to be promoted" },
	{ FHA_DOWN | FHA_FREE | FHA_RECLAIM | FHA_TURN, FHA_PAUSED,
	  TAKE, SHUT, FHA_NODE_HOLD, "reclaims", "nobody took the lease since this member held it" },
	{ FHA_DOWN | FHA_FREE | FHA_RECLAIM, FHA_PAUSED,
	  LEAVE, SHUT, FHA_NODE_HOLD, "reclaim_waits", "a standby may take the released lease first" },
	{ FHA_DOWN | FHA_NAMESAKE | FHA_LED | FHA_REWINDABLE, FHA_MINE,
	  LEAVE, SHUT, FHA_NODE_CLONE, "namesake_clones", "this data has a timeline that has the number of one of the leader's and is another, which no rewind tells apart: the leader's data is copied" },
	{ FHA_DOWN | FHA_DIVERGED | FHA_LED | FHA_REWINDABLE, FHA_MINE,
	  LEAVE, SHUT, FHA_NODE_REWIND, "rewinds", "this data has WAL that the leader has not: it is rewound" },
	{ FHA_DOWN | FHA_STRANDED | FHA_LED | FHA_REWINDABLE, FHA_MINE,
	  LEAVE, SHUT, FHA_NODE_CLONE, "stranded_clones", "the leader no longer has the WAL that this data goes on with: the leader's data is copied" },
	{ FHA_DOWN | FHA_DIVERGED, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "diverged_waits", "this data has WAL that the leader has not: waits until the leader can be rewound to" },
	{ FHA_DOWN | FHA_ABSENT | FHA_BOOTSTRAP, 0,
	  TAKE, SHUT, FHA_NODE_HOLD, "founds_with_data", "there is no cluster yet: this member's data founds it" },
	{ FHA_DOWN | FHA_ABSENT, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "without_record", "the cluster has no record: nothing is started until a member's record.json is put back, or one is told to found it" },
	{ FHA_DOWN | FHA_BLANK, 0,
	  LEAVE, SHUT, FHA_NODE_HOLD, "watches_lock", "the cluster has no record: nothing is started until it has been watched for as long as a stale one" },
	{ 0, 0,
	  LEAVE, SHUT, FHA_NODE_START_STANDBY, "starts_as_standby", "this data starts as a standby" },
};
/* clang-format on */

/* SQL shows them, so they stay: some are older than the words of facts.h. */
static const char *const fact_names[FHA_FACT_COUNT] = {
	"down",       "busy",     "standby",   "primary",   "empty",     "damaged",  "foreign",
	"diverged",   "unread",   "absent",    "mine",      "free",      "blank",    "safe",
	"stale",      "reclaim",  "newborn",   "lineage",   "published", "led",      "rewindable",
	"paused",     "handover", "heir",      "listed",    "fit",       "turn",     "stopping",
	"job",        "plain",    "following", "bootstrap", "position",  "beyond",   "failing",
	"recovering", "stuck",    "restart",   "reinit",    "asked",     "twin",     "stranded",
	"promised",   "bound",    "awaited",   "small",     "taken",     "namesake",
};

const FhaRule *
fha_decide(FhaFacts facts)
{
	const FhaRule *rule = rules;

	while ((facts & rule->when) != rule->when || (facts & rule->unless) != 0)
		rule++;
	return rule;
}

size_t
fha_rule_count(void)
{
	return sizeof(rules) / sizeof(rules[0]);
}

const FhaRule *
fha_rule(size_t index)
{
	return &rules[index];
}

const FhaRule *
fha_rule_find(const char *id)
{
	for (size_t i = 0; i < fha_rule_count(); i++)
		if (strcmp(rules[i].id, id) == 0)
			return &rules[i];
	return NULL;
}

const char *
fha_lease_action_name(FhaLeaseAction action)
{
	static const char *const names[] = {"leave", "renew", "take", "release"};

	return names[action];
}

const char *
fha_fence_action_name(FhaFenceAction action)
{
	return action == FHA_FENCE_OPEN ? "open" : "shut";
}

const char *
fha_node_action_name(FhaNodeAction action)
{
	static const char *const names[] = {"hold",    "initdb",        "clone",
										"rewind",  "start primary", "start standby",
										"promote", "follow",        "stop"};

	return names[action];
}

void
fha_facts_print(FhaFacts facts, char *out, size_t size)
{
	size_t used = 0;

	if (size == 0)
		return;
	for (unsigned bit = 0; bit < FHA_FACT_COUNT; bit++)
	{
		const char *name = fact_names[bit];
		size_t length = strlen(name);

		if ((facts & FHA_FACT(bit)) == 0 || used + length + 2 > size)
			continue;
		if (used > 0)
			out[used++] = ' ';
		memcpy(out + used, name, length);
		used += length;
	}
	out[used] = '\0';
}
