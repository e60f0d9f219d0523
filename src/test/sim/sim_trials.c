/*
 * sim_trials.c: what a cluster at rest must stand, from whatever state its faults have left it in.
 *
 * A trial begins when one member leads, all others follow, and no request is under way.  It strikes
 * with few faults at chosen moments, in a world that is quiet otherwise.  So more can be asked than
 * among the faults of sim.c: that the leader leads on, that another leads in time, that nothing is
 * lost.  docs/testing.md has the list.
 */
#include "test/sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "core/observe.h"

#define STEP_US (10 * SIM_MS)
#define REST_US (3 * SIM_S)
#define REST_LIMIT_US (180 * SIM_S)
#define ELECTION_US (60 * SIM_S)
#define NEAR_RECORDS 20

static SimHost *leader; /* as the trial found it */
static FhaCluster found;

/* --- waiting */

static SimHost *
find_leader(void)
{
	for (int i = 0; i < sim_host_count; i++)
		if (judge_leads(&sim_hosts[i]))
			return &sim_hosts[i];
	return NULL;
}

static bool
another_leads(void)
{
	const SimHost *now = find_leader();

	return now != NULL && now != leader;
}

static bool
leads_again(void)
{
	return judge_leads(leader);
}

/* Plays on until it holds; false: not in that time. */
static bool
comes(bool (*holds)(void), int64_t within_us)
{
	int64_t ends_at_us = sim_us + within_us;

	while (!sim_failed() && !holds())
	{
		if (sim_us >= ends_at_us)
			return false;
		sim_run_until(sim_us + STEP_US);
	}
	return !sim_failed();
}

static void
must_come(bool (*holds)(void), int64_t within_us, const char *else_what)
{
	if (!comes(holds, within_us))
		sim_fail("%s, %.0f s after it could", else_what, (double) within_us / (double) SIM_S);
}

/*
 * The leader's fence stays open all the time.  Not on a version that the lock had before it was put back: a write of the
 * leader that was lost on that version may still come, and what it lists may have promised nothing.
 */
static void
leads_on(int64_t for_us)
{
	int64_t ends_at_us = sim_us + for_us;

	while (!sim_failed() && sim_us < ends_at_us)
	{
		sim_run_until(sim_us + STEP_US);
		if (!judge_leads(leader) && !sim_lock_is_at_old_version())
			sim_fail("%s does not lead on while the lock is away, although all members answer",
					 leader->config.member_name);
	}
}

/* --- who */

static SimHost *
some_other(void)
{
	SimHost *host;

	do
		host = &sim_hosts[sim_draw((uint64_t) sim_host_count)];
	while (host == leader || host->gone);
	return host;
}

/* Who led before the leader; anybody, if nobody did. */
static SimHost *
last_leader(void)
{
	SimHost *last = some_other();

	for (int i = 0; i < sim_host_count; i++)
		if (&sim_hosts[i] != leader && !sim_hosts[i].gone &&
			sim_hosts[i].open_until > last->open_until)
			last = &sim_hosts[i];
	return last;
}

static void
set_deaf(const SimHost *besides, bool deaf)
{
	sim_trace(-1, "WAL receivers %s", deaf ? "stand still" : "go on");
	for (int i = 0; i < sim_host_count; i++)
		if (&sim_hosts[i] != leader && &sim_hosts[i] != besides && !sim_hosts[i].gone)
			sim_hosts[i].deaf = deaf;
}

static void
kill_others(const SimHost *besides)
{
	for (int i = 0; i < sim_host_count; i++)
		if (&sim_hosts[i] != leader && &sim_hosts[i] != besides && !sim_hosts[i].gone)
			sim_host_kill(&sim_hosts[i]);
}

static void
cut_leader_off(bool cut)
{
	sim_trace(leader->index, cut ? "is cut off from all members" : "reaches all members");
	for (int i = 0; i < sim_host_count; i++)
		if (&sim_hosts[i] != leader)
			sim_cut[i][leader->index] = sim_cut[leader->index][i] = cut;
}

static void
set_outage(bool outage)
{
	sim_trace(-1, outage ? "the lock does not answer" : "the lock answers again");
	sim_lock_outage = outage;
}

/* Does the leader have so much WAL more than this one that this one may not lead? */
static bool
lags(const SimHost *host)
{
	return sim_wal_end(&leader->wal).lsn >
		   sim_wal_end(&host->wal).lsn + 2 * (uint64_t) host->config.max_lag_on_failover_bytes;
}

static bool
all_deaf_lag(void)
{
	for (int i = 0; i < sim_host_count; i++)
		if (sim_hosts[i].deaf && !lags(&sim_hosts[i]))
			return false;
	return true;
}

/* It takes the request as soon as it can. */
static void
ask(SimHost *host, FhaRequestKind kind, const char *target)
{
	int64_t ends_at_us = sim_us + 10 * SIM_S;

	while (!sim_failed() && !sim_ask(host, kind, target, ELECTION_US))
	{
		if (sim_us >= ends_at_us)
			sim_fail("%s takes no request", host->config.member_name);
		sim_run_until(sim_us + STEP_US);
	}
}

/* --- rest */

static bool
is_at_rest(void)
{
	uint64_t version;
	const SimHost *now = find_leader();

	if (!judge_is_settled() || now == NULL || !sim_lock_read(&found, &version) || found.paused)
		return false;
	if (found.request.kind != FHA_REQUEST_NONE && found.request.state <= FHA_REQUEST_RUNNING)
		return false;
	for (int i = 0; i < sim_host_count; i++)
		if (!sim_hosts[i].gone &&
			(sim_host_stopped_until(&sim_hosts[i]) > sim_us || sim_hosts[i].busy_until > sim_us ||
			 !sim_host_is_listed(&sim_hosts[i], &found) ||
			 sim_hosts[i].wal.count + NEAR_RECORDS < now->wal.count))
			return false;
	return true;
}

static int
count_members(void)
{
	int count = 0;

	for (int i = 0; i < sim_host_count; i++)
		count += sim_hosts[i].gone ? 0 : 1;
	return count;
}

/* Is everybody there that may have to promise something, and is the lease as long as the trials take it to be? */
static bool
is_as_usual(void)
{
	FhaConfig usual;

	/* A member's record may still have the address of a copy that was switched off. */
	for (int i = 0; i < sim_host_count; i++)
		if (sim_hosts[i].gone)
			return false;
	fha_config_defaults(&usual);
	return found.member_count == (size_t) count_members() &&
		   found.lease_duration_ms == usual.lease_duration_ms;
}

static bool
comes_to_rest(void)
{
	int64_t ends_at_us = sim_us + REST_LIMIT_US;
	int64_t since_us = sim_us;

	while (!sim_failed() && sim_us < since_us + REST_US)
	{
		if (sim_us >= ends_at_us)
			sim_fail("the cluster does not come to rest");
		sim_run_until(sim_us + 10 * STEP_US);
		if (!is_at_rest())
			since_us = sim_us;
	}
	leader = find_leader();
	return !sim_failed() && leader != NULL;
}

/* --- an outage of the lock in which all members answer */

/* A member's processes end, and others answer in their place. */
static void
restart(SimHost *host)
{
	if (sim_chance(50))
	{
		sim_host_kill_postgres(host);
		return;
	}
	sim_host_kill(host);
	leads_on(sim_between(50 * SIM_MS, 300 * SIM_MS));
	sim_host_start(host);
}

static void
try_outage(void)
{
	bool restarts = sim_chance(50);

	sim_trace(-1, "trial: an outage of the lock");
	/* A process that begins may write what the one before it was about to: both come in time, or not. */
	for (int i = 0; i < sim_host_count; i++)
		sim_hosts[i].slow_disk = !restarts && sim_chance(30);
	set_outage(true);
	if (restarts)
	{
		leads_on(sim_between(0, 3 * SIM_S));
		restart(sim_chance(50) ? last_leader() : some_other());
	}
	else if (sim_chance(50))
		for (int i = 0; i < sim_host_count; i++)
		{
			leads_on(sim_between(0, 2 * SIM_S / sim_host_count));
			if (!sim_hosts[i].gone)
				sim_host_new_password(&sim_hosts[i]);
		}
	leads_on(sim_between(5 * SIM_S, 8 * SIM_S));
	set_outage(false);
	leads_on(2 * SIM_S);
}

/* Its processes of PostgreSQL end, and a standby does not have all that was acknowledged. */
static void
try_kill_in_outage(void)
{
	sim_trace(-1, "trial: PostgreSQL is killed in an outage of the lock");
	set_outage(true);
	leads_on(sim_between(3 * SIM_S, 6 * SIM_S));
	set_deaf(NULL, true);
	leads_on(sim_between(300 * SIM_MS, SIM_S));
	judge_strict(true);
	sim_host_kill_postgres(leader);
	set_deaf(NULL, false);
	sim_run_until(sim_us + sim_between(200 * SIM_MS, 2400 * SIM_MS));
	set_outage(false);
	must_come(judge_is_settled, ELECTION_US, "nobody leads, or not all stream");
	judge_strict(false);
}

/* --- standbys that may not lead */

static bool
is_released(void)
{
	uint64_t version;

	return sim_lock_read(&found, &version) && found.released;
}

/* Its supervisor releases the lease, and knows neither where its WAL ends nor what it acknowledged. */
static void
release_unread(void)
{
	leader->end_unread = true;
	leader->watermark_counts = false;
	sim_host_kill_postgres(leader);
	sim_run_until(sim_us + sim_between(0, 2 * SIM_S));
	set_outage(false);
	must_come(is_released, ELECTION_US, "the lease is not released");
}

static void
try_lag(void)
{
	bool outage = sim_chance(60);
	bool unread = outage && sim_chance(40);

	sim_trace(-1, "trial: the leader is gone, and all standbys are too far behind");
	if (outage)
	{
		set_outage(true);
		leads_on(3 * SIM_S);
	}
	set_deaf(NULL, true);
	if (!comes(all_deaf_lag, 30 * SIM_S))
		sim_fail("the leader does not acknowledge");
	if (unread)
		release_unread();
	sim_host_kill(leader);
	sim_run_until(sim_us + sim_between(0, 3 * SIM_S));
	if (outage)
		set_outage(false);
	sim_run_until(sim_us + 12 * SIM_S);
}

static SimHost *next; /* who leads after the leader */

static bool
next_holds(void)
{
	return next->node != NULL && next->action.holds_lease;
}

/* Its server has acknowledged nothing when it ends for good. */
static void
try_failing_successor(void)
{
	next = some_other();
	sim_trace(next->index, "trial: the only one that may lead fails to");
	set_deaf(next, true);
	if (!comes(all_deaf_lag, 30 * SIM_S))
		sim_fail("the leader does not acknowledge");
	next->broken = true;
	sim_host_kill(leader);
	must_come(next_holds, ELECTION_US, "the member that may lead does not take the lease");
	sim_host_kill_postgres(next);
	sim_run_until(sim_us + 20 * SIM_S);
}

/* --- a leader that does not come back */

static bool touches;

/* Another program writes into the cluster's record again and again. */
static void
touch(void *argument)
{
	(void) argument;
	if (!touches)
		return;
	sim_lock_touch();
	sim_at(sim_us + sim_between(300 * SIM_MS, 2 * SIM_S), -1, touch, NULL);
}

static void
try_gone(void)
{
	touches = sim_chance(50);
	sim_trace(leader->index, "trial: it does not come back%s",
			  touches ? ", and a program writes into the record" : "");
	sim_at(sim_us, -1, touch, NULL);
	switch (sim_draw(3))
	{
		case 0:
			sim_host_kill(leader);
			break;
		case 1:
			sim_host_stop(leader);
			break;
		default:
			set_deaf(NULL, true);
			sim_run_until(sim_us + sim_between(100 * SIM_MS, 500 * SIM_MS));
			sim_host_kill_postgres(leader);
			set_deaf(NULL, false);
			sim_run_until(sim_us + sim_between(0, 1500 * SIM_MS));
			sim_host_kill(leader);
			break;
	}
	must_come(another_leads, ELECTION_US, "nobody leads");
	touches = false;
}

/* --- the leader alone is cut off from the lock */

static void
try_parted(void)
{
	sim_trace(leader->index, "trial: it alone is cut off from the lock");
	leader->cut_from_lock = true;
	leads_on(sim_between(3 * SIM_S, 8 * SIM_S));
	switch (sim_draw(3))
	{
		case 0:
			ask(some_other(), FHA_REQUEST_FAILOVER, "");
			break;
		case 1:
			cut_leader_off(true);
			break;
		default:
			leader->broken = sim_chance(50);
			sim_host_kill_postgres(leader);
			break;
	}
	must_come(another_leads, ELECTION_US, "nobody leads");
}

/* --- a leader whose lease is longer than the others' */

/* So many times the usual one, in its own settings. */
static void
set_lease(SimHost *host, int times)
{
	FhaConfig usual;

	fha_config_defaults(&usual);
	sim_host_set_lease(host, times * usual.lease_duration_ms, times * usual.renew_deadline_ms);
}

/* It is cut off while that is so, or when it has just been shortened. */
static void
try_longer_lease(void)
{
	/* Those of all members would count instead. */
	if (found.setting_count > 0)
		return;
	sim_trace(leader->index, "trial: its own lease is longer than the others'");
	set_lease(leader, 3);
	sim_run_until(sim_us + sim_between(0, 12 * SIM_S));
	if (sim_chance(50))
	{
		set_lease(leader, 1);
		sim_run_until(sim_us + sim_between(0, SIM_S));
	}
	leader->cut_from_lock = true;
	cut_leader_off(true);
	must_come(another_leads, ELECTION_US, "nobody leads");
}

/* --- requests */

static bool
next_leads(void)
{
	return judge_leads(next);
}

static void
try_switchover(void)
{
	next = some_other();
	sim_trace(next->index, "trial: a switchover to it");
	judge_strict(true);
	ask(sim_chance(50) ? leader : some_other(), FHA_REQUEST_SWITCHOVER, next->config.member_name);
	must_come(next_leads, ELECTION_US, "the switchover has no end");
	must_come(judge_is_settled, ELECTION_US, "not all stream");
	judge_strict(false);
}

static bool
next_streams(void)
{
	return next->phase == SIM_STANDBY && next->streaming &&
		   next->wal.count + NEAR_RECORDS >= leader->wal.count;
}

/* Its data came while nobody could list it, and there is no other. */
static void
try_unlisted(void)
{
	next = some_other();
	sim_trace(next->index, "trial: its new data is on no list");
	kill_others(next);
	leader->cut_from_lock = true;
	sim_run_until(sim_us + sim_between(0, 4 * SIM_S));
	sim_host_replace(next);
	sim_host_start(next);
	must_come(next_streams, 120 * SIM_S, "a member without data does not come to stream");
	sim_host_kill(leader);
	sim_run_until(sim_us + sim_between(0, 8 * SIM_S));
	ask(next, FHA_REQUEST_FAILOVER, next->config.member_name);
	must_come(next_leads, ELECTION_US, "the failover has no end");
}

/* --- the lock's records are lost */

static void
try_deleted(void)
{
	sim_trace(-1, "trial: the lock's records are deleted while a member is away");
	sim_host_kill(some_other());
	sim_run_until(sim_us + sim_between(0, 5 * SIM_S));
	if (!judge_leads(leader))
		return;
	sim_lock_delete();
	sim_run_until(sim_us + 3 * SIM_S);
	must_come(leads_again, ELECTION_US, "the leader does not write its record anew");
}

/* --- the end of a clean stop */

static bool
leader_is_down(void)
{
	return !leader->supervised;
}

/*
 * The leader was shut down, and all but one of the others lack its end, or all.  Who has that takes the lease, and is
 * killed before the others hear what it writes.
 */
static void
try_clean_end(void)
{
	next = sim_chance(50) ? leader : some_other();
	sim_trace(next->index, "trial: it has the end of a clean stop, and others do not");
	set_deaf(next, true);
	sim_run_until(sim_us + sim_between(300 * SIM_MS, SIM_S));
	sim_host_stop(leader);
	must_come(leader_is_down, ELECTION_US, "a node that is told to stop does not end");
	set_deaf(NULL, false);
	if (next == leader)
		sim_host_start(leader);
	if (!comes(next_holds, 20 * SIM_S))
		return;
	sim_run_until(sim_us + sim_between(0, SIM_S));
	sim_host_kill(next);
	sim_run_until(sim_us + 20 * SIM_S);
}

/* --- a holder that does not come to lead */

static bool
leader_is_alone(void)
{
	static FhaCluster cluster;
	uint64_t version;

	return sim_lock_read(&cluster, &version) && cluster.standby_count == 0;
}

/* Its recovery takes longer than the others wait. */
static void
try_long_recovery(void)
{
	sim_trace(leader->index, "trial: its recovery takes for ever");
	cut_leader_off(true);
	must_come(leader_is_alone, 20 * SIM_S, "the record shows standbys that are cut off");
	leader->recovery_us = 300 * SIM_S;
	sim_host_kill_postgres(leader);
	cut_leader_off(false);
	must_come(another_leads, 2 * ELECTION_US, "nobody leads");
	leader->recovery_us = 0;
	sim_host_kill(leader);
}

/* Who has taken the lease dies before it is promoted, and starts for longer than others would wait.  There are none. */
static void
try_long_start(void)
{
	next = some_other();
	sim_trace(next->index, "trial: it dies before it is promoted, and nobody else is left");
	kill_others(next);
	sim_host_kill(leader);
	must_come(next_holds, ELECTION_US, "nobody takes the lease");
	next->recovery_us = sim_between(40 * SIM_S, 50 * SIM_S);
	sim_host_kill_postgres(next);
	must_come(next_leads, 3 * ELECTION_US, "nobody leads");
}

/* --- the lock is put back to an older copy */

static void
put_back(void)
{
	if (!sim_lock_put_back())
		return;
	sim_trace(-1, "the lock is put back to an older copy");
	judge_rolled_back();
}

/* A failover to another, of which the copy does not know; the leader before comes back. */
static void
try_older_copy(void)
{
	bool parted = sim_chance(50);
	uint64_t version;
	uint64_t term;
	int64_t ends_at_us;

	sim_trace(leader->index, "trial: the lock is put back to the term that it led%s",
			  parted ? ", where it alone sees that" : "");
	sim_habits.keeps_releases = false;
	sim_lock_keep();
	sim_host_kill(leader);
	must_come(another_leads, ELECTION_US, "nobody leads");
	next = find_leader();
	if (next == NULL)
		return;
	term = next->open_term;
	sim_run_until(sim_us + sim_between(SIM_S, 6 * SIM_S));
	/* A member that was taken off the list is asked for no promise. */
	if (!sim_lock_read(&found, &version) ||
		!fha_member_is_listed(&found, leader->config.member_name))
	{
		sim_host_start(leader);
		return;
	}
	set_outage(true);
	sim_run_until(sim_us + sim_between(4 * SIM_S, 7 * SIM_S));
	put_back();
	for (int i = 0; i < sim_host_count; i++)
		sim_hosts[i].cut_from_lock = parted && &sim_hosts[i] != leader;
	set_outage(false);
	sim_run_until(sim_us + sim_between(0, 3 * SIM_S));
	sim_host_start(leader);
	/* The others' records are there, and it has read them. */
	sim_run_until(sim_us + 15 * SIM_S);
	for (ends_at_us = sim_us + 5 * SIM_S; !sim_failed() && sim_us < ends_at_us;)
	{
		const SimHost *now = find_leader();

		if (!parted && now != NULL && now->open_term < term)
			sim_fail("%s leads term %llu, and the others have told of term %llu",
					 now->config.member_name, (unsigned long long) now->open_term,
					 (unsigned long long) term);
		sim_run_until(sim_us + STEP_US);
	}
}

/*
 * The copy shows a release that the leader has taken back since.  A member that has promised starts anew,
 * and sees that.
 */
static void
try_older_release(void)
{
	sim_trace(leader->index, "trial: the lock is put back to a release of it");
	sim_habits.keeps_releases = true;
	set_deaf(NULL, true);
	sim_run_until(sim_us + sim_between(300 * SIM_MS, 800 * SIM_MS));
	sim_host_kill_postgres(leader);
	if (!comes(leads_again, ELECTION_US))
		return;
	sim_habits.keeps_releases = false;
	set_deaf(NULL, false);
	if (!comes_to_rest())
		return;
	set_outage(true);
	leads_on(sim_between(4 * SIM_S, 6 * SIM_S));
	next = some_other();
	for (int i = 0; i < sim_host_count; i++)
		sim_hosts[i].cut_from_lock = &sim_hosts[i] != next;
	cut_leader_off(true);
	switch (sim_draw(3))
	{
		case 0:
			sim_host_reboot(next);
			break;
		case 1:
			sim_host_move(next);
			break;
		default:
			sim_host_kill(next);
			break;
	}
	put_back();
	set_outage(false);
	next->recovery_us = 60 * SIM_MS;
	sim_run_until(sim_us + sim_between(50 * SIM_MS, 300 * SIM_MS));
	sim_host_start(next);
	sim_run_until(sim_us + 6 * SIM_S);
}

/* A sleeper wakes when the lock, put back to an older copy, has just come to the version that it saw last. */
static void
try_same_version(void)
{
	static FhaCluster cluster;
	uint64_t seen = 0;
	uint64_t version = 0;
	int64_t back_us;
	int64_t ends_at_us;
	SimHost *sleeper = some_other();

	sim_trace(sleeper->index, "trial: it sleeps until the lock shows again what it saw last");
	sim_habits.keeps_releases = false;
	sim_lock_keep();
	(void) sim_lock_read(&cluster, &version);
	for (ends_at_us = sim_us + 10 * SIM_S; !sim_failed() && sim_us < ends_at_us;)
	{
		(void) sim_lock_read(&cluster, &seen);
		if (seen >= version + 5)
			break;
		sim_run_until(sim_us + STEP_US / 5);
	}
	sim_run_until(sim_us + 30 * SIM_MS);
	/* It promises nothing. */
	cut_leader_off(true);
	back_us = sim_us + sim_between(4 * SIM_S, 6 * SIM_S);
	ends_at_us = sim_us + 20 * SIM_S;
	set_outage(true);
	version = 0;
	sleeper->paused_until = ends_at_us + SIM_S;
	while (!sim_failed() && sim_us < ends_at_us && (sim_lock_outage || version < seen))
	{
		if (sim_lock_outage && sim_us >= back_us)
		{
			put_back();
			set_outage(false);
		}
		sim_run_until(sim_us + STEP_US / 5);
		(void) sim_lock_read(&cluster, &version);
	}
	leader->cut_from_lock = true;
	sim_rouse(sleeper);
	sim_run_until(sim_us + 5 * SIM_S);
}

/* --- a siege: faults close together, while the leader leads by promises */

static bool is_put_back; /* once in a siege */

static void
start(void *argument)
{
	sim_host_start(&sim_hosts[*(int *) argument]);
}

static void
start_soon(const SimHost *host, int64_t longest_us)
{
	int *index = sim_alloc(sizeof(*index));

	*index = host->index;
	sim_at(sim_us + sim_between(50 * SIM_MS, longest_us), -1, start, index);
}

static void
lock_comes_back(void *argument)
{
	(void) argument;
	put_back();
	set_outage(false);
}

static void
sleep_for(SimHost *host, int64_t for_us)
{
	sim_trace(host->index, "is stopped for %.3f s", (double) for_us / (double) SIM_S);
	host->paused_until = sim_us + for_us;
}

static void
blow_at_lock(SimHost *host)
{
	switch (sim_draw(5))
	{
		case 0:
			if (!is_put_back)
				set_outage(!sim_lock_outage);
			break;
		case 1:
			if (is_put_back || sim_chance(70))
				break;
			is_put_back = true;
			set_outage(true);
			sim_at(sim_us + sim_between(4 * SIM_S, 7 * SIM_S), -1, lock_comes_back, NULL);
			break;
		case 2:
			host->writes_late = !host->writes_late;
			sim_trace(host->index, "its writes come %s", host->writes_late ? "late" : "in time");
			break;
		case 3:
			leader->cut_from_lock = !leader->cut_from_lock;
			sim_trace(leader->index, "is cut off from the lock: %s",
					  leader->cut_from_lock ? "yes" : "no");
			break;
		default:
			host->cut_from_lock = !host->cut_from_lock;
			sim_trace(host->index, "is cut off from the lock: %s",
					  host->cut_from_lock ? "yes" : "no");
			break;
	}
}

static void
blow_at_host(SimHost *host)
{
	switch (sim_draw(6))
	{
		case 0:
			sim_host_kill(host);
			start_soon(host, 400 * SIM_MS);
			break;
		case 1:
			if (sim_chance(50))
				sim_host_move(host);
			else
				sim_host_reboot(host);
			start_soon(host, 2 * SIM_S);
			break;
		case 2:
			sleep_for(host, sim_between(200 * SIM_MS, 4 * SIM_S));
			break;
		case 3:
			host->slow_disk = !host->slow_disk;
			sim_trace(host->index, "its disk is %s", host->slow_disk ? "slow" : "fast");
			break;
		case 4:
			host->deaf = !host->deaf;
			sim_trace(host->index, "its WAL receiver %s", host->deaf ? "stands still" : "goes on");
			break;
		default:
			sim_host_kill_postgres(host);
			break;
	}
}

static void
blow(void)
{
	SimHost *host = sim_chance(30) ? leader : some_other();

	switch (sim_draw(6))
	{
		case 0:
		case 1:
			blow_at_lock(host);
			break;
		case 2:
		case 3:
			blow_at_host(host);
			break;
		case 4:
			cut_leader_off(sim_chance(50));
			break;
		default:
			(void) sim_ask(host, sim_chance(70) ? FHA_REQUEST_SWITCHOVER : FHA_REQUEST_FAILOVER, "",
						   20 * SIM_S);
			break;
	}
}

static void
try_siege(void)
{
	int64_t ends_at_us = sim_us + sim_between(8 * SIM_S, 20 * SIM_S);

	sim_trace(-1, "trial: a siege");
	sim_habits.late_lock = (int) sim_between(0, 20);
	sim_habits.late_letters = (int) sim_between(0, 50);
	sim_habits.lost_letters = (int) sim_between(0, 10);
	sim_habits.slow_writes = (int) sim_between(0, 20);
	sim_habits.slow_us = 1500 * SIM_MS;
	is_put_back = false;
	sim_lock_keep();
	if (sim_chance(50))
		leader->cut_from_lock = true;
	else
		set_outage(true);
	sim_run_until(sim_us + sim_between(SIM_S, 4 * SIM_S));
	while (!sim_failed() && sim_us < ends_at_us)
	{
		blow();
		sim_run_until(sim_us + (sim_chance(50) ? sim_between(20 * SIM_MS, 500 * SIM_MS)
											   : sim_between(500 * SIM_MS, 4 * SIM_S)));
	}
	/* What was begun comes to its end. */
	if (is_put_back)
		sim_run_until(sim_us + 8 * SIM_S);
	sim_habits.late_lock = sim_habits.late_letters = sim_habits.lost_letters = 0;
	sim_habits.slow_writes = 0;
}

/* --- one of them */

typedef struct Trial
{
	void (*play)(void);
	int weight;
	int least; /* members */
	int most;
} Trial;

/* clang-format off */
static const Trial trials[] = {
	{try_siege, 30, 2, 5},
	{try_outage, 12, 2, 5},
	{try_kill_in_outage, 10, 2, 5},
	{try_lag, 6, 2, 5},
	{try_failing_successor, 6, 3, 5},
	{try_gone, 12, 2, 5},
	{try_parted, 10, 2, 5},
	{try_switchover, 5, 2, 5},
	{try_unlisted, 4, 2, 5},
	{try_deleted, 4, 2, 5},
	{try_long_recovery, 3, 2, 5},
	{try_long_start, 3, 2, 5},
	{try_older_copy, 6, 2, 5},
	{try_older_release, 8, 2, 5},
	{try_same_version, 12, 2, 2},
};
/* After the first, so that a scenario is what it was until then. */
static const Trial later_trials[] = {
	{try_longer_lease, 1, 2, 5},
	{try_clean_end, 1, 2, 5},
};
/* clang-format on */

static bool
is_for(const Trial *trial)
{
	return trial->least <= count_members() && count_members() <= trial->most;
}

static const Trial *
some_trial(const Trial *of, size_t count)
{
	int sum = 0;
	int64_t left;

	for (size_t i = 0; i < count; i++)
		if (is_for(&of[i]))
			sum += of[i].weight;
	left = sim_between(1, sum);
	for (size_t i = 0; i < count; i++)
		if (is_for(&of[i]) && (left -= of[i].weight) <= 0)
			return &of[i];
	return &of[0];
}

static void
try_one(const Trial *of, size_t count)
{
	if (comes_to_rest() && is_as_usual())
		some_trial(of, count)->play();
}

void
sim_try(void)
{
	sim_habits.late_lock = sim_habits.late_letters = sim_habits.lost_letters = 0;
	sim_habits.late_wal = sim_habits.slow_writes = 0;
	sim_habits.slow_us = 400 * SIM_MS;
	touches = false;
	try_one(trials, sizeof(trials) / sizeof(trials[0]));
}

void
sim_try_another(void)
{
	try_one(later_trials, sizeof(later_trials) / sizeof(later_trials[0]));
}
