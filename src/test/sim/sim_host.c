/*
 * sim_host.c: what the node loop's hosts are: supervisor, agent, and a PostgreSQL of numbered records.
 *
 * What a host shows the loop, and how it carries out an action, follows cli/supervisor.c and
 * pg/agent.c.  A server commits all the time while its fence is open; a standby fetches records from
 * the leader that its follow.conf names.
 */
#include "test/sim/sim_pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/state_directory.h"
#include "core/observe.h"
#include "record/request.h"

#define SYSTEM_IDENTIFIER 4711
#define FIRST_LSN UINT64_C(1000000)
#define PGPASS "*:*:*:fawkes_replication:a-password\n"
#define NEW_PGPASS "*:*:*:fawkes_replication:another-password\n"
#define TURN_COST_US 300
#define OPEN_AGAIN_US SIM_S
#define FIRST_PORT 6001

SimHost sim_hosts[SIM_HOSTS];
int sim_host_count;
SimHost *sim_here;
bool sim_cut[SIM_HOSTS][SIM_HOSTS];
char sim_root[64];

static uint32_t last_id;

/* What happens to a server, or to a supervisor's job, later: if it still lives then. */
typedef struct Life
{
	int host;
	uint64_t of;
	uint32_t id;
	uint64_t lsn;
	int64_t at_us;
} Life;

static Life *
life_of(const SimHost *host, uint64_t of)
{
	Life *life = sim_alloc(sizeof(*life));

	*life = (Life){.host = host->index, .of = of};
	return life;
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The clock of a supervisor, for what it does by itself. */
static int64_t
supervisor_ms(void)
{
	return sim_us / SIM_MS;
}

/* --- WAL */

FhaPosition
sim_wal_end(const SimWal *wal)
{
	return wal->count == 0
			   ? (FhaPosition){0, 0}
			   : (FhaPosition){wal->of[wal->count - 1].timeline, wal->of[wal->count - 1].lsn};
}

static void
wal_add(SimWal *wal, const SimRecord *record)
{
	if (wal->count == wal->room)
	{
		wal->room = wal->room == 0 ? 1024 : 2 * wal->room;
		wal->of = realloc(wal->of, wal->room * sizeof(*wal->of));
		if (wal->of == NULL)
			abort();
	}
	wal->of[wal->count++] = *record;
}

static SimRecord
write_record(SimHost *host, uint32_t timeline, uint64_t size)
{
	FhaPosition end = sim_wal_end(&host->wal);
	SimRecord record = {.lsn = end.lsn == 0 ? FIRST_LSN : end.lsn + size,
						.timeline = timeline == 0 ? end.timeline : timeline,
						.id = ++last_id};

	if (timeline == 0)
		record.timeline_id = host->wal.of[host->wal.count - 1].timeline_id;
	else if (host->wal.count > 0)
		record.timeline_id = host->timeline_id;

	wal_add(&host->wal, &record);
	judge_has(host, host->wal.count - 1);
	return record;
}

/* Is all that `of` has the beginning of what `whole` has? */
static bool
wal_begins(const SimWal *whole, const SimWal *of)
{
	return of->count > 0 && of->count <= whole->count &&
		   whole->of[of->count - 1].id == of->of[of->count - 1].id;
}

static void
wal_copy(SimHost *to, const SimWal *from)
{
	to->wal.count = 0;
	for (size_t i = 0; i < from->count; i++)
		wal_add(&to->wal, &from->of[i]);
	judge_has(to, 0);
}

/* How many records there are up to the last one before count that is of another timeline. */
static size_t
count_before(const SimWal *wal, size_t count)
{
	size_t low = 0;
	size_t high = count - 1;

	/* Timelines never become less. */
	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (wal->of[middle].timeline < wal->of[count - 1].timeline)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The timelines before the last one, oldest first, and that with an open end. */
static size_t
wal_lineage(const SimWal *wal, FhaLineageStep out[FHA_LINEAGE_MAX])
{
	FhaLineageStep newest_first[FHA_LINEAGE_MAX];
	size_t count = 0;

	for (size_t end = wal->count; end > 0 && count < FHA_LINEAGE_MAX; end = count_before(wal, end))
	{
		const SimRecord *last = &wal->of[end - 1];
		FhaLineageStep *step = &newest_first[count++];

		*step =
			(FhaLineageStep){.timeline = last->timeline, .end = end == wal->count ? 0 : last->lsn};
		if (last->timeline_id != 0)
			(void) snprintf(step->id, sizeof(step->id), "%016" PRIx64, last->timeline_id);
	}
	for (size_t i = 0; i < count; i++)
		out[i] = newest_first[count - 1 - i];
	return count;
}

FhaPosition
sim_wal_origin(const SimWal *wal)
{
	FhaLineageStep steps[FHA_LINEAGE_MAX];
	size_t count = wal_lineage(wal, steps);

	return count < 2 ? (FhaPosition){0, 0}
					 : (FhaPosition){steps[count - 2].timeline, steps[count - 2].end};
}

/*
 * Where pg_rewind takes two histories to part: numbers of timelines, and where each begins, are all that
 * it compares.  False: they are on the same one, so it has nothing to do.
 */
static bool
rewind_finds(const SimWal *of, const SimWal *leader, uint64_t *fork)
{
	FhaLineageStep ours[FHA_LINEAGE_MAX];
	FhaLineageStep theirs[FHA_LINEAGE_MAX];
	size_t count = wal_lineage(of, ours);
	size_t others = wal_lineage(leader, theirs);

	if (sim_wal_end(of).timeline == sim_wal_end(leader).timeline)
		return false;
	*fork = 0;
	for (size_t i = 0; i < count && i < others && ours[i].timeline == theirs[i].timeline; i++)
	{
		uint64_t our_end = i + 1 == count ? sim_wal_end(of).lsn : ours[i].end;
		uint64_t their_end = i + 1 == others ? sim_wal_end(leader).lsn : theirs[i].end;

		*fork = our_end < their_end ? our_end : their_end;
		if (our_end != their_end)
			break;
	}
	return true;
}

/* False: pg_rewind does not mend this data.  What it takes for common stays as it is here. */
static bool
rewind_works(const SimHost *host, const SimHost *leader)
{
	const SimWal *ours = &host->wal;
	const SimWal *theirs = &leader->wal;
	uint64_t fork;
	size_t same = 0;

	if (!rewind_finds(ours, theirs, &fork))
		return false;
	while (same < ours->count && same < theirs->count && ours->of[same].id == theirs->of[same].id)
		same++;
	if (same < ours->count && ours->of[same].lsn <= fork)
		sim_fail("%s is rewound, and keeps WAL that %s never had", host->config.member_name,
				 leader->config.member_name);
	return true;
}

/* --- the ownership lock */

static void
run_turn(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->turn_at_us != life->at_us)
		return;
	if (sim_host_stopped_until(host) > sim_us)
	{
		Life *again = life_of(host, 0);

		*again = *life;
		sim_at(sim_host_stopped_until(host), host->index, run_turn, again);
		return;
	}
	host->turn_at_us = SIM_NEVER;
	sim_host_turn(host);
}

static void
turn_at(SimHost *host, int64_t at_us)
{
	Life *life;

	if (at_us < sim_us)
		at_us = sim_us;
	if (host->node == NULL || at_us == SIM_NEVER || host->turn_at_us <= at_us)
		return;
	life = life_of(host, 0);
	life->at_us = host->turn_at_us = at_us;
	sim_at(at_us, host->index, run_turn, life);
}

void
sim_host_wake(SimHost *host)
{
	turn_at(host, sim_us);
}

static void
release_ownership(SimHost *host, bool killed)
{
	if (host->node == NULL)
		return;
	sim_here = host;
	host->killed = killed;
	fha_node_close(host->node);
	host->killed = false;
	sim_here = NULL;
	host->node = NULL;
	host->node_number++;
	host->carries = false;
	host->speaker_paused_until = 0;
	host->speaker = SIM_NOBODY;
	host->turn_at_us = SIM_NEVER;
}

/* Each member's own, and what is set for all. */
static void
read_settings(SimHost *host)
{
	FhaConfig config = host->own;
	char path[FHA_PATH_SIZE];
	FhaError err;

	if (fha_state_path(&config, "cluster.conf", path, sizeof(path), &err) != FHA_OK ||
		(access(path, F_OK) == 0 && fha_config_read(&config, path, &err) != FHA_OK) ||
		fha_config_check(&config, &err) != FHA_OK)
		sim_fail("%s: %s", host->config.member_name, err.text);
	else
		host->config = config;
}

static void agent_comes(void *argument);
static void open_again(void *argument);

static void
take_ownership(SimHost *host, SimSpeaker speaker)
{
	FhaError err;
	FhaCode code;

	release_ownership(host, false);
	read_settings(host);
	host->settings_changes = 0;
	sim_disk_heed(host);
	sim_here = host;
	code = fha_node_open(&host->node, &host->config, &host->clock, host->incarnation,
						 speaker == SIM_SUPERVISOR && host->phase == SIM_DOWN, &err);
	sim_here = NULL;
	if (code == FHA_IO)
	{
		/* Its disk did not let it.  A new agent comes, or the supervisor tries again. */
		sim_trace(host->index, "- %s", err.text);
		if (speaker == SIM_AGENT)
			sim_at(sim_us + OPEN_AGAIN_US, host->index, agent_comes, life_of(host, host->server));
		else
			sim_at(sim_us + OPEN_AGAIN_US, host->index, open_again, life_of(host, host->life));
		return;
	}
	if (code != FHA_OK)
		sim_fail("%s cannot open its node: %s", host->config.member_name, err.text);
	fha_node_share(host->node, &host->speakers);
	host->speaker = speaker;
	host->has_action = false;
	memset(&host->action, 0, sizeof(host->action));
	sim_trace(host->index, "%s speaks", speaker == SIM_AGENT ? "the agent" : "the supervisor");
	sim_host_wake(host);
}

static void
open_again(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->node == NULL && host->supervised && host->life == life->of)
		take_ownership(host, SIM_SUPERVISOR);
}

/* --- the fence */

static bool
is_open(const SimHost *host)
{
	return host->phase == SIM_PRIMARY && sim_us >= host->open_from && sim_us < host->open_until;
}

static void
set_fence(SimHost *host, int64_t ends_at_us)
{
	int64_t now_us = sim_host_us(host);

	if (ends_at_us <= now_us)
	{
		if (host->open_until > now_us)
		{
			host->open_until = now_us;
			sim_trace(host->index, "the fence is shut");
		}
		return;
	}
	if (host->open_until <= now_us)
	{
		host->open_from = now_us;
		sim_trace(host->index, "the fence is open: term %llu",
				  (unsigned long long) host->action.term);
	}
	host->open_until = ends_at_us;
	host->open_term = host->action.term;
	judge_fence(host);
}

/* --- a primary's clients */

static void
acknowledge(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server != life->of || !is_open(host))
		return;
	if (life->lsn > host->acked_lsn)
		host->acked_lsn = life->lsn;
	judge_acknowledged(host, life->id, life->lsn);
}

SimRecord
sim_pg_write(SimHost *host)
{
	return write_record(host, 0, 100 + sim_draw(2000));
}

static void
commit(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server != life->of || host->phase != SIM_PRIMARY)
		return;
	if (is_open(host))
	{
		SimRecord record = sim_pg_write(host);
		Life *later = life_of(host, host->server);

		judge_commit(host, &record);
		later->id = record.id;
		later->lsn = record.lsn;
		sim_at(sim_us + (sim_chance(sim_habits.late_commits) ? sim_between(SIM_MS, 3 * SIM_S)
															 : sim_between(100, 5 * SIM_MS)),
			   host->index, acknowledge, later);
	}
	else if (sim_chance(sim_habits.own_records))
		/* A checkpoint, or what autovacuum does: nobody is told. */
		(void) write_record(host, 0, 100);
	sim_at(sim_us + sim_between(5 * SIM_MS, 80 * SIM_MS), host->index, commit,
		   life_of(host, host->server));
}

/* --- streaming */

/* Records on their way to a standby. */
typedef struct Stream
{
	int host;
	uint64_t server;
	int leader;
	uint64_t lsn;
	size_t first;
	size_t count;
	SimRecord of[];
} Stream;

static bool
lists(const SimHost *leader, const SimHost *host)
{
	for (size_t i = 0; i < leader->action.member_count; i++)
		if (strcmp(leader->action.members[i], host->config.member_name) == 0)
			return true;
	return false;
}

/* A slot is one standby's at a time, and its name is the member's. */
static bool
has_slot(const SimHost *host, const SimHost *leader)
{
	for (int i = 0; i < sim_host_count; i++)
		if (i != host->index && sim_hosts[i].streaming && sim_hosts[i].leader == leader->index &&
			strcmp(sim_hosts[i].config.member_name, host->config.member_name) == 0)
			return false;
	return true;
}

static bool
is_answered(const SimHost *host, const SimHost *leader)
{
	return leader->phase == SIM_PRIMARY && !sim_cut[host->index][leader->index] &&
		   (leader->plain ||
			(leader->speaker == SIM_AGENT && lists(leader, host) && has_slot(host, leader)));
}

/* The receiver has ended for good when a promotion begins. */
static bool
is_reached(const SimHost *host, const SimHost *leader)
{
	return !host->promoting && is_answered(host, leader) && wal_begins(&leader->wal, &host->wal);
}

bool
sim_pg_is_refused(const SimHost *host)
{
	const SimHost *leader = host->leader < 0 ? NULL : &sim_hosts[host->leader];

	return leader != NULL && is_answered(host, leader) && !wal_begins(&leader->wal, &host->wal);
}

/* Walsenders of a primary that is shut down stay until all is sent. */
static bool
is_drained(const SimHost *host, const SimHost *leader)
{
	return host->streaming && !host->promoting && leader->phase == SIM_STOPPING &&
		   leader->was_primary && !sim_cut[host->index][leader->index] &&
		   wal_begins(&leader->wal, &host->wal);
}

static void
receive(SimHost *host, const Stream *stream)
{
	size_t before = host->wal.count;

	if (stream->first != host->wal.count)
	{
		host->stream_next = host->wal.count;
		return;
	}
	for (size_t i = 0; i < stream->count; i++)
		wal_add(&host->wal, &stream->of[i]);
	judge_has(host, before);
	host->heard_lsn = stream->lsn;
	host->heard_stamp++;
}

static void
come(void *argument)
{
	const Stream *stream = argument;
	SimHost *host = &sim_hosts[stream->host];

	if (host->server == stream->server && host->phase == SIM_STANDBY && !host->promoting &&
		host->leader == stream->leader)
		receive(host, stream);
}

static void
send(SimHost *host, const SimHost *leader, int64_t delay_us)
{
	Stream *stream = sim_alloc(sizeof(*stream) +
							   (leader->wal.count - host->stream_next) * sizeof(stream->of[0]));

	*stream = (Stream){.host = host->index,
					   .server = host->server,
					   .leader = host->leader,
					   .lsn = sim_wal_end(&leader->wal).lsn,
					   .first = host->stream_next,
					   .count = leader->wal.count - host->stream_next};
	for (size_t i = 0; i < stream->count; i++)
		stream->of[i] = leader->wal.of[stream->first + i];
	host->stream_next = leader->wal.count;
	if (sim_us + delay_us > host->stream_at_us)
		host->stream_at_us = sim_us + delay_us;
	sim_at(host->stream_at_us, host->index, come, stream);
}

/*
 * What the leader has more than what is here or on its way.  The leader sends it, also to a standby
 * that is paused: that one's kernel keeps it.
 */
static void
fetch(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];
	const SimHost *leader = host->leader < 0 ? NULL : &sim_hosts[host->leader];
	int64_t delay_us = sim_chance(sim_habits.late_wal) ? sim_between(0, 1500 * SIM_MS)
													   : sim_between(200, 10 * SIM_MS);

	if (host->server != life->of || host->phase != SIM_STANDBY)
		return;
	sim_at(sim_us + sim_between(5 * SIM_MS, 40 * SIM_MS), -1, fetch, life_of(host, host->server));
	if (host->deaf || (leader != NULL && leader->paused_until > sim_us))
		return;
	if (leader == NULL || !(is_reached(host, leader) || is_drained(host, leader)))
	{
		if (host->streaming)
			sim_trace(host->index, "streams no more");
		host->streaming = false;
		return;
	}
	if (!host->streaming)
	{
		if (host->paused_until > sim_us)
			return;
		sim_trace(host->index, "streams from %s", leader->config.member_name);
		host->streaming = true;
		host->stream_next = host->wal.count;
	}
	if (host->stream_next > leader->wal.count)
		return;
	send(host, leader, delay_us);
}

/* Walsenders that end have sent everything. */
static void
send_the_rest(const SimHost *leader)
{
	for (int i = 0; i < sim_host_count; i++)
	{
		SimHost *host = &sim_hosts[i];
		size_t before = host->wal.count;

		if (host->phase != SIM_STANDBY || !host->streaming || host->leader != leader->index ||
			host->deaf || sim_cut[i][leader->index] || !wal_begins(&leader->wal, &host->wal))
			continue;
		if (host->paused_until > sim_us)
		{
			if (host->stream_next <= leader->wal.count)
				send(host, leader, 0);
			continue;
		}
		for (size_t j = host->wal.count; j < leader->wal.count; j++)
			wal_add(&host->wal, &leader->wal.of[j]);
		judge_has(host, before);
		host->stream_next = host->wal.count;
	}
}

/* --- PostgreSQL */

static void
server_ended(SimHost *host, bool clean, bool gave_up)
{
	FhaServerEnd end = {.told = host->stopping,
						.came_up = host->came_up,
						.gave_up = gave_up,
						.ran_ms = (sim_us - host->started_us) / SIM_MS};

	(void) fha_starts_server_ended(&host->starts, &end, supervisor_ms());
	if (host->open_until > sim_us)
		host->open_until = sim_us;
	host->server++;
	host->clean = clean;
	host->promoting = host->streaming = false;
	host->following[0] = '\0';
	host->stopped = (FhaStopped){.read = false};
}

static void
all_gone(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server != life->of || host->phase != SIM_ORPHANS)
		return;
	host->phase = SIM_DOWN;
	if (host->node != NULL)
	{
		sim_here = host;
		fha_node_liveness_held(host->node, true);
		sim_here = NULL;
	}
	sim_host_wake(host);
}

/* Its postmaster is gone; walsenders may have sent what there was. */
static void
server_crashed(SimHost *host, bool drains)
{
	host->was_primary = host->phase == SIM_PRIMARY;
	if (host->phase == SIM_PRIMARY && drains)
		send_the_rest(host);
	server_ended(host, false, false);
	host->phase = SIM_ORPHANS;
}

void
sim_host_kill_postgres(SimHost *host)
{
	if (host->phase == SIM_DOWN || host->phase == SIM_ORPHANS)
		return;
	sim_trace(host->index, "PostgreSQL is killed");
	server_crashed(host, sim_chance(80));
	if (host->speaker == SIM_AGENT)
		release_ownership(host, true);
	if (host->supervised && host->node == NULL)
		take_ownership(host, SIM_SUPERVISOR);
	sim_at(sim_us + sim_between(3 * SIM_MS, 110 * SIM_MS), host->index, all_gone,
		   life_of(host, host->server));
}

static void
stopped(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server != life->of || host->phase != SIM_STOPPING)
		return;
	if (host->was_primary)
	{
		(void) write_record(host, 0, 100);
		send_the_rest(host);
	}
	server_ended(host, true, false);
	host->phase = SIM_ORPHANS;
	sim_trace(host->index, "PostgreSQL was shut down");
	all_gone(&(Life){.host = host->index, .of = host->server});
}

/* The agent ends: the supervisor speaks, if there is one. */
static void
hand_over(SimHost *host)
{
	if (!host->supervised)
		release_ownership(host, false);
	else if (host->speaker != SIM_SUPERVISOR)
		take_ownership(host, SIM_SUPERVISOR);
}

/* A fast shutdown: nothing more is acknowledged, and the agent ends. */
void
sim_pg_stop(SimHost *host)
{
	if (host->phase == SIM_DOWN || host->phase == SIM_ORPHANS || host->phase == SIM_STOPPING)
		return;
	sim_trace(host->index, "PostgreSQL stops");
	host->was_primary = host->phase == SIM_PRIMARY;
	if (host->open_until > sim_us)
		host->open_until = sim_us;
	if (host->phase == SIM_STARTING)
	{
		/* There is no checkpoint of its own yet. */
		server_ended(host, false, false);
		host->phase = SIM_ORPHANS;
		sim_at(sim_us + SIM_MS, host->index, all_gone, life_of(host, host->server));
	}
	else
	{
		host->phase = SIM_STOPPING;
		sim_at(sim_us + sim_between(10 * SIM_MS, 400 * SIM_MS), host->index, stopped,
			   life_of(host, host->server));
	}
	hand_over(host);
}

static void
checkpointed(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server == life->of)
		host->rewindable_at_us = sim_us;
}

/* Its recovery fails. */
static void
server_gives_up(SimHost *host)
{
	sim_trace(host->index, "PostgreSQL does not start");
	server_ended(host, false, true);
	host->phase = SIM_ORPHANS;
	hand_over(host);
	sim_at(sim_us + SIM_MS, host->index, all_gone, life_of(host, host->server));
}

static void
ready(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server != life->of || host->phase != SIM_STARTING)
		return;
	if (host->broken)
	{
		server_gives_up(host);
		return;
	}
	if (host->was_primary)
	{
		host->phase = SIM_PRIMARY;
		host->was_up = true;
		/* The checkpoint at the end of recovery. */
		if (host->recovers)
			(void) write_record(host, 0, 100);
		sim_at(sim_us + sim_between(SIM_MS, 300 * SIM_MS), host->index, checkpointed,
			   life_of(host, host->server));
		sim_at(sim_us + SIM_MS, host->index, commit, life_of(host, host->server));
	}
	else
	{
		host->phase = SIM_STANDBY;
		sim_at(sim_us + SIM_MS, host->index, fetch, life_of(host, host->server));
	}
	sim_trace(host->index, "PostgreSQL is a %s", host->was_primary ? "primary" : "standby");
	sim_host_wake(host);
}

static void
agent_comes(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->plain || host->server != life->of || host->phase == SIM_STOPPING)
		return;
	/* A supervisor that is stopped does not make room. */
	if (host->speaker_paused_until > sim_us)
	{
		sim_at(host->speaker_paused_until, host->index, agent_comes, life_of(host, host->server));
		return;
	}
	host->came_up = true;
	take_ownership(host, SIM_AGENT);
}

int
sim_host_named(const char *name)
{
	for (int i = 0; i < sim_host_count; i++)
		if (strcmp(sim_hosts[i].config.member_name, name) == 0)
			return i;
	return -1;
}

/* Two may have one name: its address tells which one it is. */
static int
leader_of(const FhaHostAction *action)
{
	const char *colon = strrchr(action->leader_address, ':');
	int port = 0;

	if (colon != NULL && sscanf(colon + 1, "%d", &port) == 1 && port >= FIRST_PORT &&
		port < FIRST_PORT + sim_host_count)
		return port - FIRST_PORT;
	return sim_host_named(action->leader);
}

void
sim_pg_start(SimHost *host, bool standby)
{
	int64_t recovery_us = sim_between(50 * SIM_MS, (host->clean ? 300 : 2500) * SIM_MS);

	if (host->recovery_us > 0)
		recovery_us = host->recovery_us;
	if (standby && host->action.leader[0] != '\0')
		host->leader = leader_of(&host->action);
	host->acked_lsn = fha_stopped_acked_at_start(&host->stopped, standby);
	host->watermark_counts = true;
	memcpy(host->started_for, host->action.request_id, sizeof(host->started_for));
	host->recovers = !host->clean || !host->was_primary;
	host->was_primary = !standby;
	host->was_up = false;
	host->clean = false;
	host->phase = SIM_STARTING;
	host->server++;
	host->started_us = sim_us;
	host->came_up = false;
	host->rewindable_at_us = SIM_NEVER;
	host->prepare = (FhaPrepare){0};
	if (host->node != NULL)
	{
		sim_here = host;
		fha_node_liveness_held(host->node, false);
		sim_here = NULL;
	}
	sim_trace(host->index, "PostgreSQL is started as a %s", standby ? "standby" : "primary");
	sim_at(sim_us + sim_between(10 * SIM_MS, 100 * SIM_MS), host->index, agent_comes,
		   life_of(host, host->server));
	sim_at(sim_us + recovery_us, host->index, ready, life_of(host, host->server));
}

/* The record at the end of recovery, on the new timeline, which the control file names from now on. */
static void
timeline_begins(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server == life->of && host->phase == SIM_STANDBY && host->promoting)
		(void) write_record(host, (uint32_t) life->id, 100);
}

static void
promoted(void *argument)
{
	const Life *life = argument;
	SimHost *host = &sim_hosts[life->host];

	if (host->server != life->of || host->phase != SIM_STANDBY || !host->promoting)
		return;
	host->promoting = host->streaming = false;
	host->phase = SIM_PRIMARY;
	host->was_primary = host->was_up = true;
	sim_trace(host->index, "PostgreSQL is promoted to timeline %u", (unsigned) life->id);
	sim_at(sim_us + SIM_MS, host->index, commit, life_of(host, host->server));
	sim_host_wake(host);
}

/* --- jobs on the data */

static void
data_is_new(SimHost *host, bool clean_primary)
{
	host->empty = false;
	host->clean = host->was_primary = clean_primary;
}

void
sim_pg_initdb(SimHost *host)
{
	host->wal.count = 0;
	(void) write_record(host, 1, 0);
	data_is_new(host, true);
}

void
sim_pg_clone(SimHost *host, SimHost *leader)
{
	/* The checkpoint at its begin, and the end of the backup. */
	(void) write_record(leader, 0, 100);
	wal_copy(host, &leader->wal);
	data_is_new(host, false);
}

bool
sim_pg_rewind(SimHost *host, const SimHost *leader)
{
	/* As rejoin_rewind.c does it: recovery comes first, and ends with a checkpoint. */
	if (!host->clean || !host->was_primary)
		(void) write_record(host, 0, 100);
	host->clean = host->was_primary = true;
	if (wal_begins(&leader->wal, &host->wal))
		return false;
	wal_copy(host, &leader->wal);
	data_is_new(host, false);
	return true;
}

typedef struct Job
{
	int host;
	uint64_t life;
	FhaNodeAction kind;
	int leader;
	char cluster_uuid[FHA_UUID_SIZE];
	char request_id[FHA_ID_SIZE];
} Job;

/* S11: while that file is there, the data lies between two states. */
static bool
mark_damaged(const SimHost *host)
{
	char path[FHA_PATH_SIZE];

	return fha_state_path(&host->config, "damaged", path, sizeof(path), NULL) == FHA_OK &&
		   fha_file_replace(path, "", 0, NULL) == FHA_OK && !host->dead;
}

static bool
mark_usable(const SimHost *host)
{
	char path[FHA_PATH_SIZE];

	return fha_state_path(&host->config, "damaged", path, sizeof(path), NULL) == FHA_OK &&
		   fha_file_remove(path, NULL) == FHA_OK && !host->dead;
}

static bool
is_damaged(const SimHost *host)
{
	char path[FHA_PATH_SIZE];

	return fha_state_path(&host->config, "damaged", path, sizeof(path), NULL) == FHA_OK &&
		   access(path, F_OK) == 0;
}

/* S4b: as rejoin_new_incarnation. */
static bool
new_incarnation(const SimHost *host, const Job *job)
{
	FhaState state;
	FhaError err;
	FhaCode code = fha_state_load(&host->config, &state, &err);

	if (code == FHA_NOT_FOUND)
	{
		memset(&state, 0, sizeof(state));
		memcpy(state.member, host->config.member_name, sizeof(state.member));
		memcpy(state.cluster, host->config.cluster_name, sizeof(state.cluster));
	}
	else if (code != FHA_OK)
		sim_fail("%s: %s", host->config.member_name, err.text);
	memcpy(state.cluster_uuid, job->cluster_uuid, sizeof(state.cluster_uuid));
	memcpy(state.cloned_for, job->request_id, sizeof(state.cloned_for));
	sim_hex(state.data_incarnation, sizeof(state.data_incarnation));
	return fha_state_save(&host->config, &state, &err) == FHA_OK && !host->dead;
}

/* False: it ended on the way, and what it had done by then stands. */
static bool
job_works(SimHost *host, const Job *job)
{
	SimHost *leader = job->leader < 0 ? NULL : &sim_hosts[job->leader];
	bool founds = job->kind == FHA_NODE_INITDB;
	bool rewinds = job->kind == FHA_NODE_REWIND;

	if (!founds &&
		(leader == NULL || leader->phase != SIM_PRIMARY || leader->paused_until > sim_us ||
		 sim_cut[host->index][leader->index] || sim_chance(3)))
		return false;
	if (rewinds && (!rewind_works(host, leader) || !sim_pg_rewind(host, leader)))
		return false;
	if ((job->kind == FHA_NODE_CLONE && !mark_damaged(host)) || !new_incarnation(host, job))
		return false;
	if (founds)
		sim_pg_initdb(host);
	else if (!rewinds)
		sim_pg_clone(host, leader);
	/* The ack watermark's page is of other data. */
	host->watermark_counts = false;
	return mark_usable(host);
}

static void
job_ends(void *argument)
{
	const Job *job = argument;
	SimHost *host = &sim_hosts[job->host];
	FhaError err;
	FhaCode code;
	bool works;

	if (!host->job || host->job_life != job->life)
		return;
	host->job = false;
	host->stopped = (FhaStopped){.read = false};
	/* A rewind has marked the data before it began to change it. */
	works = (job->kind != FHA_NODE_REWIND || is_damaged(host)) && job_works(host, job);
	sim_trace(host->index, "%s %s", fha_node_action_name(job->kind), works ? "ends" : "fails");
	if (works)
		fha_starts_worked(&host->starts);
	else
		fha_starts_failed(&host->starts, supervisor_ms());
	sim_here = host;
	if (host->node != NULL && (code = fha_node_reload(host->node, &err)) != FHA_OK)
	{
		sim_trace(host->index, "- %s", err.text);
		if (code != FHA_IO)
			sim_fail("%s: %s", host->config.member_name, err.text);
	}
	sim_here = NULL;
	sim_host_wake(host);
}

static void
start_job(SimHost *host)
{
	Job *job = sim_alloc(sizeof(*job));

	*job = (Job){.host = host->index,
				 .life = ++host->job_life,
				 .kind = host->action.node,
				 .leader = leader_of(&host->action)};
	memcpy(job->cluster_uuid, host->action.cluster_uuid, sizeof(job->cluster_uuid));
	if (host->action.node == FHA_NODE_CLONE && host->action.requested)
		memcpy(job->request_id, host->action.request_id, sizeof(job->request_id));
	host->job = true;
	/* If that fails, so does the rewind. */
	if (job->kind == FHA_NODE_REWIND)
		(void) mark_damaged(host);
	sim_trace(host->index, "%s begins", fha_node_action_name(job->kind));
	sim_at(sim_us + sim_between(200 * SIM_MS, 3 * SIM_S), host->index, job_ends, job);
}

/* --- the supervisor */

static void
find_end(SimHost *host)
{
	/* It waits for pg_waldump. */
	host->busy_until = sim_host_us(host) + sim_between(5 * SIM_MS, 60 * SIM_MS);
	host->stopped.end = sim_wal_end(&host->wal);
	host->stopped.end_sought = true;
	host->stopped.end_found = !host->end_unread && !(host->broken && sim_chance(50));
	if (!host->stopped.end_found)
		sim_trace(host->index, "the end of the WAL could not be read");
	host->stopped.lineage_count = wal_lineage(&host->wal, host->stopped.lineage);
	host->stopped.acked_counts = host->watermark_counts;
	host->stopped.acked = host->acked_lsn;
}

/* All but the end of the WAL is read in no time. */
static void
read_data(SimHost *host)
{
	FhaStopped *stopped = &host->stopped;

	stopped->read = true;
	stopped->empty = host->empty;
	stopped->damaged = is_damaged(host);
	stopped->system_identifier = SYSTEM_IDENTIFIER;
	stopped->clean = host->clean;
	stopped->was_primary = host->was_primary;
	if (fha_stopped_task(stopped, host->has_action, host->job, host->action.reinit, false) ==
		FHA_READ_END)
		find_end(host);
}

bool
sim_host_knows_end(const SimHost *host)
{
	return host->phase == SIM_DOWN && fha_stopped_is_clean(&host->stopped);
}

static void
supervisor_view(SimHost *host, FhaPgView *view)
{
	memset(view, 0, sizeof(*view));
	view->supervised = true;
	view->stopping = host->stopping;
	view->job = host->job;
	fha_starts_show(&host->starts, supervisor_ms(), view);
	view->state = FHA_PG_BUSY;
	if (host->phase != SIM_DOWN)
		return;
	read_data(host);
	fha_stopped_show(&host->stopped, host->action.reinit, view);
}

static bool
is_done(SimHost *host)
{
	FhaLeaveFacts facts = {.ended = host->phase == SIM_DOWN || host->phase == SIM_ORPHANS,
						   .job = host->job,
						   .liveness_held = host->phase == SIM_DOWN};

	return host->stopping &&
		   fha_leave_step(&host->leave, &host->config, &facts,
						  host->has_action ? &host->action : NULL, supervisor_ms());
}

static void
supervisor_ends(SimHost *host)
{
	sim_trace(host->index, "the supervisor ends%s", host->action.released ? ": released" : "");
	release_ownership(host, false);
	host->supervised = host->stopping = false;
	host->watermark_counts = false;
	host->acked_lsn = 0;
	host->life++;
}

static void
supervisor_acts(SimHost *host, const FhaPgView *view)
{
	const FhaHostAction *action = &host->action;

	fha_starts_heed_request(&host->starts, action->requested ? action->request_id : NULL);
	if (view->state != FHA_PG_DOWN || view->job || host->stopping ||
		fha_starts_wait(&host->starts, supervisor_ms()))
		return;
	switch (action->node)
	{
		case FHA_NODE_INITDB:
		case FHA_NODE_CLONE:
		case FHA_NODE_REWIND:
			start_job(host);
			break;
		case FHA_NODE_START_PRIMARY:
			sim_pg_start(host, false);
			break;
		case FHA_NODE_START_STANDBY:
			sim_pg_start(host, true);
			break;
		case FHA_NODE_HOLD:
		case FHA_NODE_PROMOTE:
		case FHA_NODE_FOLLOW:
		case FHA_NODE_STOP:
			break;
	}
}

/* --- the agent */

static void
show_standbys(const SimHost *host, FhaPgView *view)
{
	for (int i = 0; i < sim_host_count; i++)
	{
		const SimHost *other = &sim_hosts[i];
		FhaStandby *standby = &view->standbys[view->standby_count];

		if (other->phase != SIM_STANDBY || !other->streaming || other->leader != host->index ||
			!lists(host, other) || !wal_begins(&host->wal, &other->wal))
			continue;
		memset(standby, 0, sizeof(*standby));
		memcpy(standby->member, other->config.member_name, sizeof(standby->member));
		standby->lsn = standby->written = standby->replayed = sim_wal_end(&other->wal).lsn;
		standby->stamp = other->heard_stamp;
		view->standby_count++;
	}
}

static void
agent_view(SimHost *host, FhaPgView *view)
{
	SimWal replayed = host->wal;

	memset(view, 0, sizeof(*view));
	view->supervised = true;
	view->unattended = !host->supervised;
	view->system_identifier = SYSTEM_IDENTIFIER;
	view->state = FHA_PG_BUSY;
	memcpy(view->started_for, host->started_for, sizeof(view->started_for));
	if (host->phase == SIM_STARTING && host->was_primary)
		return;
	view->recovering = host->phase == SIM_STARTING;
	/* It replays no record that its own promotion writes. */
	if (host->promoting && sim_wal_end(&replayed).timeline > host->promoting_from)
		replayed.count--;
	view->position = sim_wal_end(&replayed);
	view->written = view->replayed = view->position.lsn;
	if (host->phase == SIM_PRIMARY)
	{
		view->state = FHA_PG_PRIMARY;
		view->rewindable = sim_us >= host->rewindable_at_us;
		view->prepared = host->prepare.prepared;
		view->oldest_wal = FIRST_LSN;
		view->lineage_count = wal_lineage(&host->wal, view->lineage);
		show_standbys(host, view);
		return;
	}
	if (host->phase == SIM_STANDBY)
		view->state = FHA_PG_STANDBY;
	view->lineage_count = wal_lineage(&replayed, view->lineage);
	view->origin = fha_lineage_origin(view->lineage, view->lineage_count);
	view->streaming = host->streaming;
	view->heard_lsn = host->heard_lsn;
	view->heard_stamp = host->heard_stamp;
	memcpy(view->following, host->following, sizeof(view->following));
	view->following_term = host->following_term;
}

void
sim_pg_promote(SimHost *host, uint32_t timeline)
{
	int64_t for_us;
	Life *begins;
	Life *ends;

	if (host->promoting || host->phase != SIM_STANDBY)
		return;
	host->promoting = true;
	host->promoting_from = sim_wal_end(&host->wal).timeline;
	begins = life_of(host, host->server);
	ends = life_of(host, host->server);
	begins->id = ends->id = timeline;
	sim_trace(host->index, "is promoted to timeline %u for term %llu", (unsigned) timeline,
			  (unsigned long long) host->action.term);
	/* The receiver ends first, and what it has is replayed. */
	host->leader = -1;
	for_us = sim_between(20 * SIM_MS, 300 * SIM_MS);
	sim_at(sim_us + for_us / 2, host->index, timeline_begins, begins);
	sim_at(sim_us + for_us, host->index, promoted, ends);
}

static void
agent_acts(SimHost *host, const FhaPgView *view)
{
	const FhaHostAction *action = &host->action;
	FhaPrepareFacts prepare = {.handover = action->prepare_stop,
							   .writes = action->write_ends_at_ms > 0,
							   .made = sim_us >= host->prepared_at_us,
							   .lsn = view->position.lsn};

	set_fence(host,
			  action->write_ends_at_ms > 0 ? sim_world_us(host, action->write_ends_at_ms) : 0);
	if (action->checkpoint && host->rewindable_at_us == SIM_NEVER)
	{
		host->rewindable_at_us = SIM_NEVER - 1;
		sim_at(sim_us + sim_between(20 * SIM_MS, 400 * SIM_MS), host->index, checkpointed,
			   life_of(host, host->server));
	}
	if (fha_prepare_step(&host->prepare, &prepare))
		host->prepared_at_us = sim_us + sim_between(SIM_MS, 100 * SIM_MS);
	switch (action->node)
	{
		case FHA_NODE_PROMOTE:
			if (!host->promoting)
				host->timeline_id = strtoull(action->timeline_id, NULL, 16);
			sim_pg_promote(host, action->timeline);
			break;
		case FHA_NODE_FOLLOW:
			memcpy(host->following, action->leader, sizeof(host->following));
			host->following_term = action->term;
			host->leader = leader_of(action);
			sim_trace(host->index, "follows %s", action->leader);
			break;
		case FHA_NODE_STOP:
			sim_pg_stop(host);
			break;
		case FHA_NODE_HOLD:
		case FHA_NODE_INITDB:
		case FHA_NODE_CLONE:
		case FHA_NODE_REWIND:
		case FHA_NODE_START_PRIMARY:
		case FHA_NODE_START_STANDBY:
			break;
	}
}

/* --- a turn of whoever speaks */

/* S1b: machines are copied as their disks alone, so nobody else ever writes in a process's name. */
static void
say_news(SimHost *host)
{
	char sentence[512];

	while (fha_node_news(host->node, sentence, sizeof(sentence)))
	{
		sim_trace(host->index, "- %s", sentence);
		if (strncmp(sentence, "[lease_renewed_by_copy]", 23) == 0)
			sim_fail("%s takes itself for copied, and its machine never was while it ran",
					 host->config.member_name);
	}
}

/* How long may it wait, besides what the host action says? */
static int64_t
patience_us(const SimHost *host, const FhaPgView *view)
{
	if (host->speaker == SIM_SUPERVISOR)
		return view->state == FHA_PG_BUSY || host->stopping ? 20 * SIM_MS : SIM_S;
	if (host->action.node == FHA_NODE_PROMOTE || host->action.prepare_stop)
		return 10 * SIM_MS;
	if (host->action.contested)
		return 50 * SIM_MS;
	if (view->state == FHA_PG_BUSY || (view->state == FHA_PG_PRIMARY && !view->rewindable))
		return 100 * SIM_MS;
	return SIM_S;
}

static void
reload_settings(SimHost *host)
{
	read_settings(host);
	sim_trace(host->index, "its lease lasts %lld ms", (long long) host->config.lease_duration_ms);
	fha_node_configure(host->node, &host->config);
}

/* What is set for all members holds here from now on; or again each member's own. */
static void
heed_settings(SimHost *host)
{
	if (host->settings_changes == host->action.settings_changes)
		return;
	host->settings_changes = host->action.settings_changes;
	reload_settings(host);
}

/* What was decided is done, and the next turn planned. */
static void
carry_out(SimHost *host, const FhaPgView *view, bool begins)
{
	const FhaNode *node = host->node;
	int64_t next_at_us;

	heed_settings(host);
	if (host->speaker == SIM_AGENT)
		agent_acts(host, view);
	else
		supervisor_acts(host, view);
	if (host->node == node && is_done(host))
	{
		supervisor_ends(host);
		return;
	}
	/* Somebody else speaks now, and has had his turn planned. */
	if (host->node != node)
		return;
	next_at_us =
		earlier(sim_world_us(host, host->action.wake_at_ms), sim_us + patience_us(host, view));
	if (begins)
		next_at_us = sim_us;
	if (next_at_us < sim_host_us(host) + TURN_COST_US)
		next_at_us = sim_host_us(host) + TURN_COST_US;
	turn_at(host, next_at_us);
}

/* What a process had decided before it was stopped. */
typedef struct Decided
{
	int host;
	uint64_t node_number;
	FhaPgView view;
	bool begins;
} Decided;

static void
carry_out_late(void *argument)
{
	const Decided *decided = argument;
	SimHost *host = &sim_hosts[decided->host];

	if (host->node == NULL || host->node_number != decided->node_number)
		return;
	host->carries = false;
	carry_out(host, &decided->view, decided->begins);
}

static void
carry_out_later(SimHost *host, const FhaPgView *view, bool begins)
{
	Decided *decided = sim_alloc(sizeof(*decided));

	*decided = (Decided){host->index, host->node_number, *view, begins};
	host->carries = true;
	sim_at(sim_host_us(host), host->index, carry_out_late, decided);
}

void
sim_host_turn(SimHost *host)
{
	FhaPgView view;
	FhaError err;
	FhaNode *node = host->node;
	bool begins;

	if (node == NULL || host->carries)
		return;
	if (host->speaker == SIM_AGENT)
		agent_view(host, &view);
	else
		supervisor_view(host, &view);
	sim_machine_step(host, SIM_STEP_DECIDE);
	sim_here = host;
	if (fha_node_step(node, &view, &host->action, &err) != FHA_OK)
		sim_trace(host->index, "- %s", err.text);
	else if (!host->dead)
		judge_saw(host, host->action.term);
	say_news(host);
	sim_here = NULL;
	if (host->dead)
		return;
	begins = !host->has_action && host->action.read;
	host->has_action = host->has_action || host->action.read;
	sim_machine_step(host, SIM_STEP_ACT);
	if (host->paused_inside)
		carry_out_later(host, &view, begins);
	else
		carry_out(host, &view, begins);
}

/* --- a member, from outside */

static void
new_clock(SimHost *host)
{
	(void) snprintf(host->time_namespace, sizeof(host->time_namespace), "40265%05llu",
					(unsigned long long) sim_draw(100000));
	host->boot_at_us = sim_us;
	host->boot_at_ms = sim_between(5000, 400000);
}

void
sim_host_boot(SimHost *host)
{
	sim_hex(host->boot_id, sizeof(host->boot_id));
	new_clock(host);
}

static void
write_pgpass(const FhaConfig *config, const char *text)
{
	char path[FHA_PATH_SIZE];
	FhaError err;

	if (fha_state_path(config, "pgpass", path, sizeof(path), &err) != FHA_OK ||
		fha_file_replace(path, text, strlen(text), &err) != FHA_OK)
		sim_fail("%s has no pgpass: %s", config->member_name, err.text);
}

void
sim_host_new_password(SimHost *host)
{
	sim_trace(host->index, "its replication password is another");
	host->password_us = sim_us;
	write_pgpass(&host->config, NEW_PGPASS);
}

void
sim_host_set_lease(SimHost *host, int64_t lease_duration_ms, int64_t renew_deadline_ms)
{
	host->own.lease_duration_ms = lease_duration_ms;
	host->own.renew_deadline_ms = renew_deadline_ms;
	if (host->node == NULL)
		return;
	sim_here = host;
	reload_settings(host);
	sim_here = NULL;
	sim_host_wake(host);
}

static void
make_directories(const FhaConfig *config)
{
	FhaError err;

	if (fha_state_prepare(config, &err) != FHA_OK)
		sim_fail("%s cannot be made: %s", config->member_name, err.text);
	write_pgpass(config, PGPASS);
}

void
sim_host_make(int index, int members)
{
	SimHost *host = &sim_hosts[index];
	FhaConfig *config = &host->config;

	free(host->wal.of);
	memset(host, 0, sizeof(*host));
	host->index = index;
	host->clock = sim_clock(host);
	host->turn_at_us = SIM_NEVER;
	host->leader = -1;
	host->empty = true;
	host->rewindable_at_us = SIM_NEVER;
	/* The bound on two clocks is lease_duration / renew_deadline: 1.5. */
	host->rate_ppm = !sim_habits.apart_clocks ? 1000000
					 : sim_chance(70)         ? (sim_chance(50) ? 830000 : 1200000)
											  : sim_between(830000, 1200000);
	sim_host_boot(host);
	fha_config_defaults(config);
	(void) snprintf(config->cluster_name, sizeof(config->cluster_name), "db");
	(void) snprintf(config->member_name, sizeof(config->member_name), "n%d", index + 1);
	(void) snprintf(config->lock, sizeof(config->lock), "dir:/simulated");
	(void) snprintf(config->address, sizeof(config->address), "127.0.0.1:%d", FIRST_PORT + index);
	(void) snprintf(config->listen, sizeof(config->listen), "127.0.0.1:%d", 8001 + index);
	(void) snprintf(config->data_directory, sizeof(config->data_directory), "%s/n%d", sim_root,
					index + 1);
	(void) snprintf(config->state_directory, sizeof(config->state_directory), "%s/n%d.state",
					sim_root, index + 1);
	(void) snprintf(config->bootstrap, sizeof(config->bootstrap), "initdb:n1");
	config->max_lag_on_failover_bytes = 100000;
	config->supervised = true;
	if (sim_habits.come_and_go)
		config->member_timeout_ms = 10000;
	host->own = *config;
	make_directories(config);
	if (index == 0)
		last_id = 0;
	sim_host_count = members;
}

void
sim_host_start(SimHost *host)
{
	if (host->supervised || host->gone)
		return;
	sim_trace(host->index, "the supervisor starts");
	host->supervised = true;
	host->stopping = host->down = false;
	host->starts = (FhaStarts){0};
	host->stopped = (FhaStopped){.read = false};
	host->leave = (FhaLeave){0};
	host->life++;
	/* It watches over a server that runs already, and takes over what that was told and has told. */
	if (host->phase == SIM_DOWN || host->phase == SIM_ORPHANS)
	{
		sim_hex(host->incarnation, sizeof(host->incarnation));
		memset(&host->speakers, 0, sizeof(host->speakers));
		host->watermark_counts = false;
		host->acked_lsn = 0;
	}
	if (host->speaker != SIM_AGENT)
		take_ownership(host, SIM_SUPERVISOR);
}

void
sim_host_kill_supervisor(SimHost *host)
{
	if (!host->supervised)
		return;
	sim_trace(host->index, "its supervisor is killed");
	if (host->speaker == SIM_SUPERVISOR)
		release_ownership(host, true);
	/* That ends with it. */
	host->job = false;
	host->job_life++;
	host->supervised = host->stopping = false;
	host->life++;
}

void
sim_host_stop(SimHost *host)
{
	if (!host->supervised || host->stopping)
		return;
	sim_trace(host->index, "the node is told to stop");
	host->stopping = true;
	host->down = true;
	if (host->job)
	{
		host->job = false;
		host->job_life++;
	}
	sim_pg_stop(host);
	sim_host_wake(host);
}

void
sim_host_kill(SimHost *host)
{
	if (!host->supervised && host->phase == SIM_DOWN)
		return;
	sim_trace(host->index, "all is killed");
	release_ownership(host, true);
	if (host->phase != SIM_DOWN && host->phase != SIM_ORPHANS)
		server_crashed(host, false);
	host->server++;
	host->phase = SIM_DOWN;
	host->job = false;
	host->job_life++;
	host->supervised = host->stopping = false;
	host->watermark_counts = false;
	host->acked_lsn = 0;
	host->life++;
	host->paused_until = host->agent_paused_until = host->busy_until = 0;
}

void
sim_host_reboot(SimHost *host)
{
	sim_host_kill(host);
	sim_trace(host->index, "the machine boots");
	sim_host_boot(host);
}

void
sim_host_move(SimHost *host)
{
	sim_host_kill(host);
	sim_trace(host->index, "its container is given another clock");
	new_clock(host);
}

void
sim_host_mend(SimHost *host)
{
	host->cut_from_lock = host->refused_by_lock = host->writes_lost = host->writes_late = false;
	host->slow_disk = host->broken = host->deaf = host->end_unread = false;
	host->recovery_us = 0;
}

bool
sim_host_is_spare(const SimHost *host)
{
	const SimHost *leader = host->leader < 0 ? NULL : &sim_hosts[host->leader];

	return host->phase == SIM_STANDBY && host->streaming && leader != NULL && is_open(leader) &&
		   wal_begins(&leader->wal, &host->wal);
}

void
sim_host_replace(SimHost *host)
{
	sim_host_kill(host);
	sim_trace(host->index, "its machine is replaced");
	sim_host_boot(host);
	sim_disk_replace(host);
	make_directories(&host->config);
	host->password_us = 0;
	host->wal.count = 0;
	host->empty = true;
	host->clean = host->was_primary = false;
	host->leader = -1;
	host->following[0] = '\0';
	judge_has_nothing(host);
}

void
sim_host_rename(SimHost *host)
{
	/* The list is the holder's, so a holder that is renamed comes back to none. */
	if (!sim_host_is_spare(host) || host->is_copy || host->own.member_name[0] == 'z')
		return;
	sim_host_kill(host);
	host->own.member_name[0]++;
	sim_trace(host->index, "is %s from now on", host->own.member_name);
	host->config = host->own;
	sim_disk_replace(host);
	make_directories(&host->config);
	judge_forgets(host);
}

static bool
has_copy(const SimHost *host)
{
	for (int i = 0; i < sim_host_count; i++)
		if (sim_hosts[i].is_copy && sim_hosts[i].original == host->index)
			return true;
	return false;
}

bool
sim_host_has_twin(const SimHost *host)
{
	return host->is_copy || has_copy(host);
}

bool
sim_host_is_listed(const SimHost *host, const FhaCluster *cluster)
{
	FhaState state;

	return fha_state_load(&host->config, &state, NULL) == FHA_OK &&
		   fha_member_is_listed_as(cluster, host->config.member_name, state.data_incarnation);
}

/* Of a standby: an image of a primary that goes on with its term would fork the timeline. */
SimHost *
sim_host_copy(const SimHost *host)
{
	SimHost *copy = &sim_hosts[sim_host_count];

	if (sim_host_count == SIM_HOSTS || host->is_copy || has_copy(host) || host->gone ||
		host->empty || host->was_primary || host->phase == SIM_STARTING)
		return NULL;
	sim_trace(host->index, "its machine is copied");
	sim_host_make(sim_host_count, sim_host_count + 1);
	copy->is_copy = true;
	copy->original = host->index;
	memcpy(copy->own.member_name, host->own.member_name, sizeof(copy->own.member_name));
	copy->config = copy->own;
	sim_disk_copy(copy, host);
	copy->empty = false;
	copy->clean = host->phase == SIM_DOWN && host->clean;
	copy->was_primary = host->phase == SIM_PRIMARY || host->was_primary;
	copy->leader = host->leader;
	copy->promoting_from = host->promoting_from;
	wal_copy(copy, &host->wal);
	return copy;
}

void
sim_host_remove_twin(SimHost *copy)
{
	SimHost *original = &sim_hosts[copy->original];
	bool leads = copy->open_from > original->open_from ||
				 sim_wal_end(&copy->wal).timeline > sim_wal_end(&original->wal).timeline;
	SimHost *off = leads ? original : copy;

	if (!copy->is_copy)
		return;
	copy->is_copy = false;
	sim_host_kill(off);
	off->gone = true;
	sim_trace(off->index, "%s is switched off", off == copy ? "the copy" : "the original");
}

void
sim_host_end(SimHost *host)
{
	release_ownership(host, false);
}
