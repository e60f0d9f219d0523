/*
 * findings.c: what is wrong, and what to do: a table.  See overview.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/observe.h"
#include "core/timing.h"
#include "record/primary_limits.h"
#include "record/request.h"
#include "show/overview.h"

typedef struct Case
{
	const FhaOutlook *outlook;
	const FhaMember *member; /* NULL in rows about the cluster */
	FhaShown shown;
	char more[FHA_SHOWN_STATE_SIZE]; /* what the sentence ends with */
	const char *todo;                /* static; in place of the table's */
} Case;

#define RESUME_FIRST                                                                         \
	"fawkes-ha resume: nobody takes over while failover is paused; if the pause must stay: " \
	"fawkes-ha failover"

static bool
case_is_held(const Case *at)
{
	return at->outlook->record != NULL && at->outlook->held;
}

static bool
agent_gone(Case *at)
{
	return at->outlook->local && !at->outlook->agent;
}

static bool
agent_hangs(Case *at)
{
	const FhaOutlook *outlook = at->outlook;
	int64_t limit_ms = FHA_HANGS_LEAST_MS;

	if (outlook->record != NULL && FHA_HANGS_LEASES * outlook->record->lease_duration_ms > limit_ms)
		limit_ms = FHA_HANGS_LEASES * outlook->record->lease_duration_ms;
	(void) snprintf(at->more, sizeof(at->more), " for %" PRId64 " s", outlook->agent_age_ms / 1000);
	return outlook->local && outlook->agent && outlook->agent_age_ms > limit_ms;
}

static bool
nothing_known(Case *at)
{
	return at->outlook->record == NULL;
}

/* Standbys, the old leader among them, have so long to connect to a new one. */
static bool
is_settling(const Case *at)
{
	const FhaCluster *record = at->outlook->record;
	int64_t age_s = fha_age_s(record->acquired_at, at->outlook->wall_s);

	return age_s >= 0 && age_s <= FHA_SETTLE_LEASES * record->lease_duration_ms / 1000;
}

static void
resume_first(Case *at)
{
	if (at->outlook->record->paused)
		at->todo = RESUME_FIRST;
}

/* Nobody has led yet, so nobody but the founder has anything to lead with. */
static bool
is_being_founded(const FhaCluster *record)
{
	return record->lineage_term == 0;
}

static void
start_the_founder(Case *at)
{
	if (is_being_founded(at->outlook->record))
		at->todo = "start the member that is named: it founds the cluster, and no other member "
				   "has its data";
}

static bool
end_missing(Case *at)
{
	const FhaOutlook *outlook = at->outlook;

	if (outlook->record == NULL || !fha_end_is_missing(outlook->record, outlook->members,
													   outlook->member_count, outlook->held))
		return false;
	resume_first(at);
	(void) snprintf(at->more, sizeof(at->more), ": start %s", outlook->record->holder);
	return true;
}

static bool
lease_released(Case *at)
{
	const FhaCluster *record = at->outlook->record;

	if (record == NULL || !record->released || end_missing(at))
		return false;
	resume_first(at);
	start_the_founder(at);
	(void) snprintf(at->more, sizeof(at->more), ": %s released the lease", record->holder);
	return true;
}

static bool
lease_lapsed(Case *at)
{
	const FhaCluster *record = at->outlook->record;
	int64_t age_s;

	if (record == NULL || record->released || at->outlook->held || end_missing(at))
		return false;
	resume_first(at);
	start_the_founder(at);
	age_s = at->outlook->lease_age_ms >= 0 ? at->outlook->lease_age_ms / 1000
										   : fha_age_s(record->renewed_at, at->outlook->wall_s);
	/* A holder whose clock is ahead has renewed in our future. */
	if (age_s < 0)
		(void) snprintf(at->more, sizeof(at->more), ": %s does not renew the lease",
						record->holder);
	else
		(void) snprintf(at->more, sizeof(at->more),
						": %s has not renewed the lease for %" PRId64 " s", record->holder, age_s);
	return true;
}

static void
add_holder(Case *at)
{
	const FhaCluster *record = at->outlook->record;

	for (size_t i = 0; i < at->outlook->member_count; i++)
		if (strcmp(at->outlook->members[i].member, record->holder) == 0)
			(void) snprintf(at->more, sizeof(at->more), ": %s holds the lease, and says: %s",
							record->holder, at->outlook->members[i].state);
}

static bool
cluster_founding(Case *at)
{
	const FhaCluster *record = at->outlook->record;

	if (record == NULL || !is_being_founded(record) || !fha_overview_is_out(at->outlook))
		return false;
	add_holder(at);
	return true;
}

static bool
no_writes(Case *at)
{
	const FhaCluster *record = at->outlook->record;

	if (record == NULL || is_being_founded(record) || !fha_overview_is_out(at->outlook))
		return false;
	resume_first(at);
	add_holder(at);
	return true;
}

static bool
lease_expires(Case *at)
{
	if (!case_is_held(at) || at->outlook->promised || at->outlook->bound ||
		at->outlook->lease_age_ms <= at->outlook->record->lease_duration_ms / FHA_NEAR_END_PARTS)
		return false;
	(void) snprintf(at->more, sizeof(at->more), ": %s has not renewed it for %.1f s of %.1f s",
					at->outlook->record->holder, (double) at->outlook->lease_age_ms / 1000,
					(double) at->outlook->record->lease_duration_ms / 1000);
	return true;
}

static bool
fence_shut(Case *at)
{
	return at->outlook->local && at->outlook->postgres == FHA_PG_PRIMARY &&
		   !at->outlook->fence_open;
}

static bool
led_by_promises(Case *at)
{
	return at->outlook->local && at->outlook->promised;
}

static bool
bound_by_promise(Case *at)
{
	if (!at->outlook->local || !at->outlook->bound || !case_is_held(at))
		return false;
	(void) snprintf(at->more, sizeof(at->more), ": this one has promised %s not to contend",
					at->outlook->record->holder);
	return true;
}

static bool
not_serving(Case *at)
{
	return at->outlook->local &&
		   (at->outlook->postgres == FHA_PG_BUSY || at->outlook->postgres == FHA_PG_DOWN);
}

static bool
no_fit_standby(Case *at)
{
	const FhaOutlook *outlook = at->outlook;

	if (!case_is_held(at) || outlook->record->standby_count > 0 || is_settling(at) ||
		is_being_founded(outlook->record))
		return false;
	for (size_t i = 0; i < outlook->member_count; i++)
	{
		FhaShown shown;

		fha_overview_member(outlook, &outlook->members[i], &shown);
		if (shown.streaming)
			return false;
	}
	return true;
}

static bool
cluster_paused(Case *at)
{
	if (at->outlook->record == NULL || !at->outlook->record->paused)
		return false;
	if (at->outlook->record->pause_reason[0] != '\0')
		(void) snprintf(at->more, sizeof(at->more), ": %s", at->outlook->record->pause_reason);
	return true;
}

static bool
request_stands(Case *at)
{
	const FhaCluster *record = at->outlook->record;
	const FhaRequest *request = record == NULL ? NULL : &record->request;
	char words[FHA_REQUEST_WORDS_SIZE];

	if (request == NULL || request->kind == FHA_REQUEST_NONE ||
		request->state > FHA_REQUEST_RUNNING)
		return false;
	fha_request_words(request, words);
	(void) snprintf(at->more, sizeof(at->more), ": %s, asked for by %s, is %s", words,
					request->requested_by, fha_request_state_name(request->state));
	return true;
}

/* What its record says is of the directory that it had before. */
static bool
member_waits(Case *at)
{
	int64_t leases_ms = FHA_DUPLICATE_LEASES * at->outlook->record->lease_duration_ms;

	(void) snprintf(at->more, sizeof(at->more), ": in %" PRId64 " s at the most it takes it over",
					(leases_ms + 999) / 1000);
	return at->outlook->waits != NULL && strcmp(at->outlook->waits, at->member->member) == 0;
}

static bool
member_silent(Case *at)
{
	if (member_waits(at))
		return false;
	bool ghost = at->member->role == FHA_ROLE_DOWN && at->member->data_incarnation[0] == '\0';

	(void) snprintf(at->more, sizeof(at->more), ": %s%s", at->shown.why,
					ghost ? ", and it has no data" : "");
	if (ghost)
		at->todo = "look at its node; if it is not to be a member: fawkes-ha remove";
	return at->shown.role == FHA_SHOWN_SILENT;
}

static bool
member_fenced(Case *at)
{
	return at->shown.role == FHA_SHOWN_FENCED;
}

static bool
member_stopped(Case *at)
{
	if (member_waits(at))
		return false;
	at->more[0] = '\0';
	return at->shown.stopped;
}

/* Which settings of all members may be at fault is known to that member alone: those it ran without. */
static bool
member_does_not_start(Case *at)
{
	const FhaMember *member = at->member;

	(void) snprintf(at->more, sizeof(at->more), ": %.120s%s%s", member->no_start,
					member->suspects[0] == '\0' ? "" : "; set for all members since it ran: ",
					member->suspects);
	return member->no_start[0] != '\0' && at->shown.role != FHA_SHOWN_SILENT && !at->shown.stopped;
}

/* The holder's is no_writes; who led before a handover starts again. */
static bool
member_down(Case *at)
{
	if (member_waits(at))
		return false;
	(void) snprintf(at->more, sizeof(at->more), ": %s", at->member->state);
	return at->shown.role == FHA_SHOWN_DOWN && !at->shown.stopped && !at->shown.holds &&
		   at->member->no_start[0] == '\0' && !(at->outlook->held && is_settling(at));
}

static bool
member_unattended(Case *at)
{
	return at->member->unattended && at->shown.role != FHA_SHOWN_SILENT;
}

static bool
member_exporter_fails(Case *at)
{
	return at->member->exporter_fails && at->shown.role != FHA_SHOWN_SILENT && !at->shown.stopped;
}

static bool
is_standby(const Case *at)
{
	return case_is_held(at) && at->shown.role == FHA_SHOWN_STANDBY;
}

static bool
member_far_behind(Case *at)
{
	(void) snprintf(at->more, sizeof(at->more), ": %" PRId64 " bytes, %" PRId64 " are allowed",
					at->shown.lag_bytes, at->outlook->max_lag_bytes);
	return is_standby(at) && at->outlook->max_lag_bytes > 0 &&
		   at->shown.lag_bytes > at->outlook->max_lag_bytes;
}

static bool
member_cut_off(Case *at)
{
	(void) snprintf(at->more, sizeof(at->more), ": %s", at->member->state);
	return is_standby(at) && !at->shown.streaming && !at->shown.holds && !is_settling(at);
}

static bool
member_unhealthy(Case *at)
{
	return at->shown.role == FHA_SHOWN_STANDBY && at->member->serves == FHA_SERVES_UNHEALTHY &&
		   !(case_is_held(at) && is_settling(at));
}

/* Of the primary alone: a standby's limits count when it leads. */
static bool
member_lacks_room(Case *at)
{
	int64_t needed = case_is_held(at) ? fha_room_needed(at->outlook->record) : 0;
	bool slots = at->member->max_slots != 0 && at->member->max_slots < needed;

	(void) snprintf(at->more, sizeof(at->more),
					": %s = %" PRId64 ", and %" PRId64 " are needed at least",
					slots ? "max_replication_slots" : "max_wal_senders",
					slots ? at->member->max_slots : at->member->max_senders, needed);
	return at->shown.holds &&
		   (slots || (at->member->max_senders != 0 && at->member->max_senders < needed));
}

/* A server that does not lead any more has said it of another time. */
static bool
member_has_trouble(Case *at)
{
	(void) snprintf(at->more, sizeof(at->more), ": %s", at->member->trouble);
	return case_is_held(at) && at->shown.holds && at->member->trouble[0] != '\0';
}

/* As PostgreSQL stops when its disk is full, the time that is left stands beside the cause. */
static bool
member_archives_nothing(Case *at)
{
	const FhaMember *member = at->member;
	int64_t minutes = member->wal_lasts_ms / 60000;
	size_t used;

	(void) snprintf(at->more, sizeof(at->more), ": %.150s", member->archive_trouble);
	used = strlen(at->more);
	if (member->wal_lasts_ms > 0 && minutes < 120)
		(void) snprintf(at->more + used, sizeof(at->more) - used,
						"; at this rate its disk is full in %" PRId64 " min", minutes);
	else if (member->wal_lasts_ms > 0)
		(void) snprintf(at->more + used, sizeof(at->more) - used,
						"; at this rate its disk is full in %" PRId64 " h", minutes / 60);
	return case_is_held(at) && at->shown.holds && member->archive_trouble[0] != '\0';
}

static bool
member_cannot_be_promoted(Case *at)
{
	char lack[FHA_LACK_SIZE];
	bool lacks =
		is_standby(at) && fha_limits_lack(&at->member->limits, &at->member->limits_needed, lack);

	if (lacks)
		(void) snprintf(at->more, sizeof(at->more), ": %s", lack);
	return lacks;
}

static bool
member_wants_restart(Case *at)
{
	return at->member->pending_restart;
}

static const struct
{
	const char *name;
	FhaSeverity severity;
	bool of_member;
	bool (*applies)(Case *at);
	const char *what;
	const char *todo;
} table[] = {
	{"agent_gone", FHA_CRITICAL, false, agent_gone, "this server's agent does not run",
	 "see this server's log; without its agent the lease is not renewed, and the fence shuts"},
	{"agent_hangs", FHA_CRITICAL, false, agent_hangs, "this server's agent has done nothing",
	 "look for a stopped process, a full machine or a disk that hangs; what is shown is old"},
	{"nothing_known", FHA_WARNING, false, nothing_known, "the cluster's record was not seen yet",
	 "wait a moment; if it stays, see this server's log for what the lock answers"},
	{"end_missing", FHA_CRITICAL, false, end_missing,
	 "nobody leads: the primary was stopped cleanly, and no member that runs has all of its WAL",
	 "start the member that is named; if its data is lost: fawkes-ha failover --dry-run tells what "
	 "that costs"},
	{"no_primary", FHA_CRITICAL, false, lease_released, "nobody leads",
	 "for some seconds that is a handover; then read each standby's state, and: fawkes-ha failover "
	 "--dry-run"},
	{"no_primary", FHA_CRITICAL, false, lease_lapsed, "nobody leads",
	 "up to one lease that is by design; then read each standby's state, and: fawkes-ha failover "
	 "--dry-run"},
	{"no_writes", FHA_CRITICAL, false, cluster_founding,
	 "nobody can write yet: the first member of the cluster is being started",
	 "wait until it is up; if it does not come up, see that member's log"},
	{"no_writes", FHA_CRITICAL, false, no_writes, "nobody can write",
	 "for some seconds that is a restart or a promotion; then see that member's log, and: "
	 "fawkes-ha "
	 "failover --force --dry-run"},
	{"fence_shut", FHA_CRITICAL, false, fence_shut,
	 "the fence of this server is shut: it acknowledges no write",
	 "if this member holds the lease, look at the lock: no renewal arrives; if not, it comes back "
	 "as "
	 "a standby"},
	{"lease_expires", FHA_WARNING, false, lease_expires, "the lease is near its end",
	 "look at the lock (disk, API server) and at the holder's machine; who cannot renew is "
	 "replaced"},
	{"led_by_promises", FHA_WARNING, false, led_by_promises,
	 "the lock does not answer; this primary goes on by the promises of all other members",
	 "bring the lock back; until then no member may be lost or restarted"},
	{"led_by_promises", FHA_WARNING, false, bound_by_promise,
	 "the lock does not answer; the primary goes on as long as all other members promise",
	 "bring the lock back; until then no member may be lost or restarted"},
	{"no_fit_standby", FHA_WARNING, false, no_fit_standby,
	 "no standby streams from the primary: nobody could take over",
	 "look at each standby's state below; start the nodes that are down"},
	{"not_serving", FHA_WARNING, false, not_serving,
	 "PostgreSQL of this server starts, recovers or stops",
	 "wait; its own log tells how far it is"},
	{"waits", FHA_WARNING, true, member_waits,
	 "runs here, and waits beside a record of its name from another state directory",
	 "wait; if it stays, another node has this name: give one of them another member_name"},
	{"silent", FHA_WARNING, true, member_silent, "is silent",
	 "look at its node: is fawkes-ha run alive, and does it reach the lock?"},
	{"fenced", FHA_WARNING, true, member_fenced, "is out of recovery without the lease",
	 "with a supervisor it comes back as a standby by itself; a plain server: fawkes-ha rejoin"},
	{"stopped", FHA_WARNING, true, member_stopped, "was stopped",
	 "start fawkes-ha run on its node again; if it is gone for good: fawkes-ha remove"},
	{"unattended", FHA_WARNING, true, member_unattended, "runs without its supervisor",
	 "start fawkes-ha run on its node: it takes over the server that runs; without it nothing "
	 "starts PostgreSQL after a crash"},
	{"does_not_start", FHA_WARNING, true, member_does_not_start, "cannot start PostgreSQL",
	 "mend what it names, see that node's log; fawkes-ha reset takes a setting of all members "
	 "back; "
	 "then it starts by itself"},
	{"down", FHA_WARNING, true, member_down, "serves nobody",
	 "wait if it starts or is copied; else see that node's log"},
	{"far_behind", FHA_WARNING, true, member_far_behind,
	 "is too far behind to be elected in a failover",
	 "look at its disk and network, and at long queries there that hold up replay"},
	{"cut_off", FHA_WARNING, true, member_cut_off, "does not stream from the primary",
	 "wait if it has just started; else see that node's log for what its connection meets"},
	{"unhealthy", FHA_WARNING, true, member_unhealthy, "is unhealthy to readers",
	 "what it shows is older than max_replica_lag: readers are sent elsewhere until it catches up"},
	{"no_slot", FHA_WARNING, true, member_has_trouble, "cannot be followed by all members",
	 "see that node's log; docs/operations.md, A primary without standbys that stream"},
	{"no_room", FHA_WARNING, true, member_lacks_room, "has too little room for the members",
	 "raise it, for all members: fawkes-ha set; then fawkes-ha restart"},
	{"archive_fails", FHA_WARNING, true, member_archives_nothing, "cannot archive WAL",
	 "see that node's log, and mend what the store says; commits go on, and WAL stays on its disk: "
	 "docs/operations.md, WAL is not archived"},
	{"cannot_be_promoted", FHA_WARNING, true, member_cannot_be_promoted, "cannot be promoted",
	 "its primary has more, so it replays nothing: fawkes-ha restart with its name gives it as "
	 "much"},
	{"paused", FHA_WARNING, false, cluster_paused, "failover is paused",
	 "when the work is done: fawkes-ha resume"},
	{"request", FHA_NOTICE, false, request_stands, "a request is under way",
	 "nothing; fawkes-ha history tells how it ended"},
	{"no_exporter", FHA_WARNING, true, member_exporter_fails, "shows no status page and no metrics",
	 "see its log for why its exporter does not listen; on one machine each member needs an "
	 "fawkes_ha.exporter_listen of its own"},
	{"pending_restart", FHA_NOTICE, true, member_wants_restart,
	 "has a changed setting that counts after a restart", "when it suits: fawkes-ha restart"},
};

const char *
fha_severity_name(FhaSeverity severity)
{
	static const char *const names[] = {"critical", "warning", "notice"};

	return names[severity];
}

static size_t
finding_judge(const Case *given, size_t row, FhaFinding *out, size_t count)
{
	Case at = *given;
	FhaFinding *finding = &out[count];
	const char *member = at.member == NULL ? "" : at.member->member;

	if (count == FHA_FINDINGS_MAX || !table[row].applies(&at))
		return count;
	finding->name = table[row].name;
	finding->severity = table[row].severity;
	finding->todo = at.todo != NULL ? at.todo : table[row].todo;
	(void) snprintf(finding->member, sizeof(finding->member), "%s", member);
	(void) snprintf(finding->what, sizeof(finding->what), "%s%s%s%s", member,
					member[0] == '\0' ? "" : " ", table[row].what, at.more);
	return count + 1;
}

size_t
fha_findings(const FhaOutlook *outlook, FhaFinding *out)
{
	size_t count = 0;

	for (int severity = 0; severity < FHA_SEVERITY_COUNT; severity++)
		for (size_t row = 0; row < sizeof(table) / sizeof(table[0]); row++)
		{
			Case at = {.outlook = outlook};

			if ((int) table[row].severity != severity)
				continue;
			if (!table[row].of_member)
			{
				count = finding_judge(&at, row, out, count);
				continue;
			}
			for (size_t i = 0; outlook->record != NULL && i < outlook->member_count; i++)
			{
				at.member = &outlook->members[i];
				at.todo = NULL;
				fha_overview_member(outlook, at.member, &at.shown);
				count = finding_judge(&at, row, out, count);
			}
		}
	return count;
}
