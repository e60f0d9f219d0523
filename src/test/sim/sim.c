/*
 * sim.c: scenarios of the simulation, drawn from a seed.  See sim.h.
 *
 *     sim SEED COUNT      scenarios SEED, SEED + 1, ...; each in a world of its own
 *     sim -t SEED         one, with its trace
 *     sim -r SEED COUNT   each twice: the traces must be the same
 *     sim -h SEED COUNT   prints the hash of each trace: a build that changes none simulates the same
 *     sim -s FILE         plays the situations of PostgreSQL in there (sim_situations.c)
 *
 * Exit status 1: a property does not hold; the seed and the trace are printed.
 */
#include "test/sim/sim.h"
#include "test/sim/sim_situations.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define FAULTS_US (60 * SIM_S)
#define SETTLE_US (180 * SIM_S)
#define TRACE_ROOM (16 * 1024 * 1024)

int64_t sim_us;
SimHabits sim_habits;

/* --- chance: splitmix64 */

static uint64_t chance_state;

uint64_t
sim_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

uint64_t
sim_draw(uint64_t below)
{
	return sim_random(&chance_state) % below;
}

int64_t
sim_between(int64_t low, int64_t high)
{
	return low + (int64_t) sim_draw((uint64_t) (high - low + 1));
}

bool
sim_chance(int percent)
{
	return (int) sim_draw(100) < percent;
}

void *
sim_alloc(size_t size)
{
	void *got = malloc(size);

	if (got == NULL)
		abort();
	return got;
}

/* --- the trace */

static char *trace;
static size_t trace_used;
static bool failed;
static char failure[512];

/* Names of files differ from run to run: by the directory, and by the process that writes one aside. */
static void
make_same(char *line)
{
	char *at;

	while ((at = strstr(line, sim_root)) != NULL)
		memmove(at, at + strlen(sim_root), strlen(at + strlen(sim_root)) + 1);
	while ((at = strstr(line, ".new.")) != NULL)
	{
		char *end = at + strlen(".new.");

		end += strspn(end, "0123456789");
		memmove(at, end, strlen(end) + 1);
	}
}

void
sim_trace(int host, const char *format, ...)
{
	va_list args;
	size_t left = TRACE_ROOM - trace_used;
	int size;

	if (left < 2048)
		return;
	size = snprintf(trace + trace_used, left, "%10.4f %-3s", (double) sim_us / (double) SIM_S,
					host < 0 ? "" : sim_hosts[host].config.member_name);
	trace_used += (size_t) size;
	va_start(args, format);
	(void) vsnprintf(trace + trace_used, 1024, format, args);
	va_end(args);
	make_same(trace + trace_used);
	trace_used += strlen(trace + trace_used);
	trace[trace_used++] = '\n';
	trace[trace_used] = '\0';
}

void
sim_fail(const char *format, ...)
{
	va_list args;

	if (failed)
		return;
	failed = true;
	va_start(args, format);
	(void) vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	sim_trace(-1, "FAILED: %s", failure);
}

bool
sim_failed(void)
{
	return failed;
}

/* --- events: a heap */

typedef struct Event
{
	int64_t at_us;
	uint64_t number; /* of two at one time, the one that was planned first comes first */
	int host;
	SimAct act;
	void *argument;
} Event;

static Event *heap;
static size_t heap_count;
static size_t heap_room;
static uint64_t event_number;

static bool
is_before(const Event *a, const Event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void
push(Event event)
{
	size_t at = heap_count++;

	if (heap_count > heap_room)
	{
		heap_room = heap_room == 0 ? 1024 : 2 * heap_room;
		heap = realloc(heap, heap_room * sizeof(*heap));
		if (heap == NULL)
			abort();
	}
	event.number = ++event_number;
	while (at > 0 && is_before(&event, &heap[(at - 1) / 2]))
	{
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = event;
}

static Event
pop(void)
{
	Event first = heap[0];
	Event last = heap[--heap_count];
	size_t at = 0;

	for (;;)
	{
		size_t child = 2 * at + 1;

		if (child >= heap_count)
			break;
		if (child + 1 < heap_count && is_before(&heap[child + 1], &heap[child]))
			child++;
		if (!is_before(&heap[child], &last))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = last;
	return first;
}

void
sim_at(int64_t at_us, int host, SimAct act, void *argument)
{
	push((Event){
		.at_us = at_us < sim_us ? sim_us : at_us, .host = host, .act = act, .argument = argument});
}

void
sim_run_until(int64_t ends_at_us)
{
	while (!failed && heap_count > 0 && heap[0].at_us < ends_at_us)
	{
		Event event = pop();
		const SimHost *host = event.host < 0 ? NULL : &sim_hosts[event.host];

		sim_us = event.at_us;
		if (host != NULL && (host->paused_until > sim_us || host->busy_until > sim_us))
		{
			event.at_us =
				host->paused_until > host->busy_until ? host->paused_until : host->busy_until;
			push(event);
			continue;
		}
		event.act(event.argument);
		free(event.argument);
		sim_machine_look();
	}
	if (!failed && sim_us < ends_at_us)
		sim_us = ends_at_us;
}

static int
compare_events(const void *a, const void *b)
{
	return is_before(a, b) ? -1 : 1;
}

void
sim_rouse(SimHost *host)
{
	size_t count = heap_count;

	/* In their order, because they are numbered anew. */
	qsort(heap, count, sizeof(*heap), compare_events);
	heap_count = 0;
	for (size_t i = 0; i < count; i++)
	{
		Event event = heap[i];

		if (event.host == host->index &&
			(event.at_us == host->paused_until || event.at_us == host->agent_paused_until))
			event.at_us = sim_us;
		push(event);
	}
	host->paused_until = host->agent_paused_until = sim_us;
}

/* --- faults */

static SimHost *
some_host(void)
{
	return &sim_hosts[sim_draw((uint64_t) sim_host_count)];
}

int *
sim_number(int value)
{
	int *out = sim_alloc(sizeof(*out));

	*out = value;
	return out;
}

void
sim_start_again(void *argument)
{
	sim_host_start(&sim_hosts[*(int *) argument]);
}

static bool goes_back; /* the lock is away until it is put back */

static void
lock_is_back(void *argument)
{
	(void) argument;
	if (goes_back)
		return;
	sim_trace(-1, "the lock answers again");
	sim_lock_outage = sim_lock_stalls = false;
	sim_lock_loss = 0;
}

static void
host_is_mended(void *argument)
{
	SimHost *host = &sim_hosts[*(int *) argument];

	sim_trace(host->index, "is mended");
	sim_host_mend(host);
}

static void
links_are_back(void *argument)
{
	(void) argument;
	sim_trace(-1, "all links are back");
	memset(sim_cut, 0, sizeof(sim_cut));
}

static void
withdraw(void *argument)
{
	sim_lock_withdraw(argument);
}

bool
sim_ask(SimHost *host, FhaRequestKind kind, const char *target, int64_t time_limit_us)
{
	FhaRequest request = {.kind = kind, .state = FHA_REQUEST_PENDING};
	FhaError err;
	char *id;

	if (host->node == NULL || !fha_node_takes_requests(host->node))
		return false;
	sim_hex(request.id, sizeof(request.id));
	(void) snprintf(request.target, sizeof(request.target), "%s", target);
	(void) snprintf(request.requested_by, sizeof(request.requested_by), "an operator");
	fha_wall_print(sim_wall_ms(sim_us), request.requested_at, sizeof(request.requested_at));
	request.time_limit_ms = time_limit_us / SIM_MS;
	sim_trace(host->index, "is asked for a %s to %s",
			  kind == FHA_REQUEST_SWITCHOVER ? "switchover" : "failover",
			  request.target[0] == '\0' ? "anybody" : request.target);
	if (fha_node_request(host->node, &request, &err) == FHA_OK && kind == FHA_REQUEST_FAILOVER)
		judge_forced();
	sim_host_wake(host);
	id = sim_alloc(sizeof(request.id));
	memcpy(id, request.id, sizeof(request.id));
	sim_at(sim_us + request.time_limit_ms * SIM_MS, -1, withdraw, id);
	return true;
}

static void
ask_for(FhaRequestKind kind)
{
	SimHost *host = some_host();
	const char *target = sim_chance(60) ? some_host()->config.member_name : "";

	(void) sim_ask(host, kind, target, sim_between(5 * SIM_S, 60 * SIM_S));
}

static void
cut_links(void)
{
	int i = (int) sim_draw((uint64_t) sim_host_count);
	bool all = sim_chance(50);

	for (int j = 0; j < sim_host_count; j++)
		if (j != i && (all || sim_chance(40)))
			sim_cut[i][j] = sim_cut[j][i] = true;
	sim_trace(i, "is cut off from %s members", all ? "all" : "some");
	sim_at(sim_us + sim_between(SIM_S, 15 * SIM_S), -1, links_are_back, NULL);
}

static void
strike_lock(void)
{
	int64_t for_us = sim_between(SIM_S, 20 * SIM_S);

	switch (sim_draw(4))
	{
		case 0:
			sim_trace(-1, "watches stall");
			sim_lock_stalls = true;
			break;
		case 1:
			sim_trace(-1, "replies of the lock are lost");
			sim_lock_loss = (int) sim_between(5, 60);
			break;
		default:
			sim_trace(-1, "the lock does not answer");
			sim_lock_outage = true;
			break;
	}
	sim_at(sim_us + for_us, -1, lock_is_back, NULL);
}

static void
strike_host(SimHost *host)
{
	switch (sim_draw(5))
	{
		case 0:
			sim_trace(host->index, "its disk is slow");
			host->slow_disk = true;
			break;
		case 1:
			sim_trace(host->index, "its writes do not come to the lock");
			host->writes_lost = true;
			break;
		case 2:
			sim_trace(host->index, "its writes come to the lock late");
			host->writes_late = true;
			break;
		case 3:
			sim_trace(host->index, "is refused by the lock");
			host->refused_by_lock = true;
			break;
		default:
			sim_trace(host->index, "is cut off from the lock");
			host->cut_from_lock = true;
			break;
	}
	sim_at(sim_us + sim_between(SIM_S, 20 * SIM_S), -1, host_is_mended, sim_number(host->index));
}

static void
pause_host(SimHost *host)
{
	int64_t ends_at_us = sim_us + (sim_chance(50) ? sim_between(10 * SIM_MS, SIM_S)
												  : sim_between(SIM_S, 12 * SIM_S));

	if (sim_chance(30))
	{
		sim_trace(host->index, "its agent is stopped until %.3f", (double) ends_at_us / 1e6);
		host->agent_paused_until = ends_at_us;
	}
	else
	{
		sim_trace(host->index, "is stopped until %.3f", (double) ends_at_us / 1e6);
		host->paused_until = ends_at_us;
	}
}

static void
start_later(const SimHost *host, int64_t longest_us)
{
	sim_at(sim_us + sim_between(50 * SIM_MS, longest_us), -1, sim_start_again,
		   sim_number(host->index));
}

static void
put_back(void *argument)
{
	(void) argument;
	goes_back = false;
	if (sim_lock_put_back())
	{
		sim_trace(-1, "the lock is put back to an older copy");
		judge_rolled_back();
	}
	sim_at(sim_us + sim_between(SIM_MS, 3 * SIM_S), -1, lock_is_back, NULL);
}

/* For so long that every lease that was renewed has lapsed, the lock is away; then it is older. */
static void
roll_back(void)
{
	if (goes_back)
		return;
	sim_trace(-1, "the lock does not answer: it will be put back");
	goes_back = true;
	sim_lock_outage = true;
	sim_at(sim_us + sim_between(4 * SIM_S, 12 * SIM_S), -1, put_back, NULL);
}

static void
keep_copy(void *argument)
{
	(void) argument;
	if (!sim_lock_outage)
		sim_lock_keep();
	sim_at(sim_us + sim_between(SIM_S, 40 * SIM_S), -1, keep_copy, NULL);
}

/* A member that was never there. */
static void
join(void)
{
	int index = sim_host_count;

	if (index >= SIM_MEMBERS)
		return;
	sim_host_make(index, index + 1);
	sim_trace(index, "is new");
	sim_host_start(&sim_hosts[index]);
}

typedef enum Fault
{
	KILL_POSTGRES,
	KILL_ALL,
	REBOOT,
	PAUSE,
	STOP,
	STRIKE_HOST,
	STRIKE_LOCK,
	CUT_LINKS,
	SWITCHOVER,
	FAILOVER,
	BREAK_POSTGRES,
	ROLL_BACK,
	REPLACE, /* the next three: where members come and go */
	JOIN,
	LEAVE,
	FAULTS
} Fault;

static Fault
some_fault(void)
{
	int sum = 0;
	int64_t left;

	for (int i = 0; i < FAULTS; i++)
		sum += sim_habits.strikes[i];
	left = sim_between(1, sum);
	for (int i = 0; i < FAULTS; i++)
		if ((left -= sim_habits.strikes[i]) <= 0)
			return (Fault) i;
	return KILL_POSTGRES;
}

static void
strike(void *argument)
{
	SimHost *host = some_host();

	(void) argument;
	switch (some_fault())
	{
		case KILL_POSTGRES:
			sim_host_kill_postgres(host);
			break;
		case KILL_ALL:
			sim_host_kill(host);
			start_later(host, 12 * SIM_S);
			break;
		case REBOOT:
			if (sim_chance(25))
				sim_host_move(host);
			else
				sim_host_reboot(host);
			start_later(host, 20 * SIM_S);
			break;
		case PAUSE:
			pause_host(host);
			break;
		case STOP:
			sim_host_stop(host);
			start_later(host, 25 * SIM_S);
			break;
		case STRIKE_HOST:
			strike_host(host);
			break;
		case STRIKE_LOCK:
			strike_lock();
			break;
		case CUT_LINKS:
			cut_links();
			break;
		case SWITCHOVER:
			ask_for(FHA_REQUEST_SWITCHOVER);
			break;
		case FAILOVER:
			ask_for(FHA_REQUEST_FAILOVER);
			break;
		case BREAK_POSTGRES:
			sim_trace(host->index, "its PostgreSQL will not start");
			host->broken = true;
			sim_at(sim_us + sim_between(SIM_S, 20 * SIM_S), -1, host_is_mended,
				   sim_number(host->index));
			if (sim_chance(50))
				sim_host_kill_postgres(host);
			break;
		case ROLL_BACK:
			roll_back();
			break;
		case REPLACE:
			if (sim_host_is_spare(host))
			{
				sim_host_replace(host);
				start_later(host, 20 * SIM_S);
			}
			break;
		case JOIN:
			join();
			break;
		case LEAVE:
			sim_host_stop(host);
			sim_at(sim_us + sim_between(15 * SIM_S, 40 * SIM_S), -1, sim_start_again,
				   sim_number(host->index));
			break;
		case FAULTS:
			break;
	}
	sim_at(sim_us + sim_between(20 * SIM_MS, sim_habits.pause_us), -1, strike, NULL);
}

/* In most scenarios a thing is rare, in some it is frequent, and some faults do not come at all. */
static int
some_percent(int usual, int most)
{
	return sim_chance(70) ? usual : (int) sim_between(0, most);
}

static void
draw_habits(uint64_t seed)
{
	static const int weights[ROLL_BACK + 1] = {4, 2, 2, 4, 3, 4, 4, 3, 4, 1, 2, 0};
	SimHabits *habits = &sim_habits;

	*habits = (SimHabits){.late_lock = some_percent(2, 30),
						  .late_letters = some_percent(3, 30),
						  .lost_letters = some_percent(2, 20),
						  .late_wal = some_percent(3, 30),
						  .late_commits = some_percent(3, 30),
						  .slow_writes = some_percent(2, 30),
						  .own_records = 5,
						  .slow_us = 1500 * SIM_MS,
						  .keeps_releases = sim_chance(50),
						  .apart_clocks = sim_chance(40),
						  .pause_us = sim_chance(70) ? 8 * SIM_S : sim_between(SIM_S, 20 * SIM_S)};
	for (int i = 0; i <= ROLL_BACK; i++)
		habits->strikes[i] = sim_chance(25) ? 0 : weights[i] * (sim_chance(15) ? 6 : 1);
	habits->strikes[KILL_POSTGRES]++;
	/* Such a scenario says less about losses: one in ten. */
	habits->strikes[ROLL_BACK] = sim_chance(10) ? 3 : 0;
	/* By the seed alone, so that the others are what they were without. */
	habits->tries_again = seed % 8 == 6;
	habits->come_and_go = seed % 4 == 0;
	if (habits->come_and_go)
	{
		habits->strikes[REPLACE] = 8;
		habits->strikes[JOIN] = 4;
		habits->strikes[LEAVE] = 6;
	}
}

/* Do both have a timeline of one number that begins with another record? */
static bool
have_doubles(const SimWal *one, const SimWal *other)
{
	for (size_t i = 1; i < one->count; i++)
		if (one->of[i].timeline != one->of[i - 1].timeline)
			for (size_t j = 1; j < other->count; j++)
				if (other->of[j].timeline != other->of[j - 1].timeline &&
					other->of[j].timeline == one->of[i].timeline &&
					other->of[j].id != one->of[i].id)
					return true;
	return false;
}

/*
 * A lock that was put back gives one number to two promotions, and no member can tell their timelines
 * apart: a person empties the member that led earlier.
 */
static void
remove_doubles(void)
{
	for (int i = 0; i < sim_host_count; i++)
		for (int j = 0; j < sim_host_count; j++)
			if (!sim_hosts[i].gone && sim_hosts[i].open_until < sim_hosts[j].open_until &&
				have_doubles(&sim_hosts[i].wal, &sim_hosts[j].wal))
				sim_host_replace(&sim_hosts[i]);
}

void
sim_heal(void)
{
	goes_back = false;
	lock_is_back(NULL);
	links_are_back(NULL);
	sim_lock_mend();
	sim_machine_mend();
	if (sim_habits.strikes[ROLL_BACK] > 0)
		remove_doubles();
	for (int i = 0; i < sim_host_count; i++)
	{
		SimHost *host = &sim_hosts[i];

		sim_host_mend(host);
		sim_rouse(host);
		if (!host->supervised)
			sim_host_start(host);
	}
}

/* --- a scenario */

static int
remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void) info;
	(void) type;
	(void) walk;
	return remove(path);
}

static void
forget_events(void)
{
	while (heap_count > 0)
		free(heap[--heap_count].argument);
}

bool
sim_settles_by(int64_t ends_at_us)
{
	while (!failed && sim_us < ends_at_us)
	{
		sim_run_until(sim_us + SIM_S);
		/* Whom a stop of the last moment ended. */
		for (int i = 0; i < sim_host_count; i++)
			if (!sim_hosts[i].supervised)
				sim_host_start(&sim_hosts[i]);
		if (judge_is_settled())
			return true;
	}
	return false;
}

/* What is still to strike, and what would end a strike that sim_heal() has ended. */
static bool
is_strike(SimAct act)
{
	return act == strike || act == sim_start_again || act == put_back || act == keep_copy ||
		   act == lock_is_back || act == host_is_mended || act == links_are_back;
}

static void
drop_strikes(void)
{
	size_t kept = 0;
	Event *all = sim_alloc((heap_count + 1) * sizeof(*all));
	size_t count = heap_count;

	memcpy(all, heap, count * sizeof(*all));
	heap_count = 0;
	for (size_t i = 0; i < count; i++)
		if (is_strike(all[i].act) || sim_machine_is_fault(all[i].act))
			free(all[i].argument);
		else
			all[kept++] = all[i];
	for (size_t i = 0; i < kept; i++)
		push(all[i]);
	free(all);
}

static void
end_faults(void)
{
	if (failed)
		return;
	drop_strikes();
	sim_heal();
	sim_trace(-1, "faults have ended");
	if (!sim_settles_by(sim_us + SETTLE_US))
		sim_fail("nobody leads, or not all stream, long after the last fault");
}

void
sim_begin(uint64_t seed)
{
	chance_state = seed * UINT64_C(0x2545F4914F6CDD1D) + 1;
	sim_us = SIM_S;
	event_number = 0;
	trace_used = 0;
	trace[0] = '\0';
	failed = false;
	failure[0] = '\0';
	goes_back = false;
	sim_lock_clear();
	sim_machine_clear(seed);
	judge_clear();
	memset(sim_cut, 0, sizeof(sim_cut));
	(void) snprintf(sim_root, sizeof(sim_root), "/dev/shm/fawkes-sim-XXXXXX");
	if (mkdtemp(sim_root) == NULL)
		abort();
}

void
sim_end(void)
{
	for (int i = 0; i < sim_host_count; i++)
		sim_host_end(&sim_hosts[i]);
	forget_events();
	(void) nftw(sim_root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void
play(uint64_t seed)
{
	int members;

	sim_begin(seed);
	draw_habits(seed);
	members = (int) sim_between(2, SIM_MEMBERS);
	for (int i = 0; i < members; i++)
		sim_host_make(i, members);
	for (int i = 0; i < members; i++)
		sim_at(sim_us + sim_between(0, 3 * SIM_S), -1, sim_start_again, sim_number(i));
	if (!sim_settles_by(60 * SIM_S))
		sim_fail("the cluster does not come to be");
	sim_trace(-1, "faults begin");
	sim_at(sim_us, -1, strike, NULL);
	sim_at(sim_us + SIM_S, -1, keep_copy, NULL);
	sim_machine_begin();
	sim_run_until(sim_us + FAULTS_US);
	end_faults();
	sim_try();
	end_faults();
	if (sim_habits.tries_again)
	{
		sim_try_another();
		end_faults();
	}
	sim_end();
}

static uint64_t
trace_hash(void)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < trace_used; i++)
		hash = (hash ^ (unsigned char) trace[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Where do they part? */
static void
tell_difference(const char *first)
{
	size_t at = 0;
	size_t line = 0;

	for (; first != NULL && first[at] != '\0' && first[at] == trace[at]; at++)
		if (first[at] == '\n')
			line = at + 1;
	if (first != NULL)
		(void) printf("%.300s\n--- and the second time\n%.300s\n", first + line, trace + line);
}

int
main(int argc, char **argv)
{
	bool shows = argc > 1 && strcmp(argv[1], "-t") == 0;
	bool repeats = argc > 1 && strcmp(argv[1], "-r") == 0;
	bool hashes = argc > 1 && strcmp(argv[1], "-h") == 0;
	int first = shows || repeats || hashes ? 2 : 1;
	uint64_t seed = argc > first ? strtoull(argv[first], NULL, 10) : 1;
	uint64_t count = argc > first + 1 ? strtoull(argv[first + 1], NULL, 10) : 1;
	size_t acks = 0;
	size_t losses = 0;
	size_t terms = 0;
	double seconds = 0;

	/* Who waits for the lines of -h sees each as soon as its scenario has ended. */
	(void) setvbuf(stdout, NULL, _IOLBF, 0);
	trace = sim_alloc(TRACE_ROOM);
	if (argc == 3 && strcmp(argv[1], "-s") == 0)
		return sim_play_situations(argv[2]);
	for (uint64_t i = seed; i < seed + count; i++)
	{
		uint64_t hash;

		play(i);
		hash = trace_hash();
		if (shows || failed)
			(void) fputs(trace, stdout);
		if (failed)
		{
			(void) printf("seed %" PRIu64 ": %s\n", i, failure);
			return 1;
		}
		if (hashes)
			(void) printf("%" PRIu64 " %016" PRIx64 "\n", i, hash);
		if (repeats)
		{
			char *kept = strdup(trace);

			play(i);
			if (kept == NULL || trace_hash() != hash)
			{
				tell_difference(kept);
				(void) printf("seed %" PRIu64 ": its second trace is another\n", i);
				return 1;
			}
			free(kept);
		}
		acks += judge_count();
		losses += judge_lost();
		terms += judge_terms();
		seconds += (double) sim_us / (double) SIM_S;
	}
	(void) printf("%" PRIu64 " scenarios, %.0f simulated seconds: %zu commits acknowledged, %zu of "
				  "them lost with their leader, in %zu terms; every property holds\n",
				  count, seconds, acks, losses, terms);
	return 0;
}
