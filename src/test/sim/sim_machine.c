/*
 * sim_machine.c: faults of one machine: its power, its disk, and processes that end or are stopped within a
 * turn.
 *
 * They have a stream of random numbers of their own, and a chain of their own beside the faults of
 * sim.c: a scenario without them is what it was, and none of the others becomes rare.
 */
#include "test/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum Trouble
{
	POWER_CUT,   /* within the next calls of the disk, or at some moment soon */
	KILL_INSIDE, /* all processes, before one of the next calls of the disk */
	DISK_FULL,
	DISK_FAILS,
	PAUSE_INSIDE, /* before one of the next steps */
	KILL_SUPERVISOR,
	RESTART,
	REINIT,
	PAUSE_ELECTIONS,
	SET,
	RENAME,
	COPY,
	TROUBLES
} Trouble;

static uint64_t chance;
static int weights[TROUBLES]; /* all 0: this scenario has none */
static int64_t longest_pause_us;
static bool again; /* a machine whose power failed loses it often as it starts */

/* --- their own chance */

uint64_t
sim_machine_draw(uint64_t below)
{
	return sim_random(&chance) % below;
}

static int64_t
draw_between(int64_t low, int64_t high)
{
	return low + (int64_t) sim_machine_draw((uint64_t) (high - low + 1));
}

static bool
draw_chance(int percent)
{
	return (int) sim_machine_draw(100) < percent;
}

/* --- ends of all processes */

static void
start_later(const SimHost *host)
{
	sim_at(sim_us + draw_between(50 * SIM_MS, draw_chance(50) ? SIM_S : 15 * SIM_S), -1,
		   sim_start_again, sim_number(host->index));
}

static void
disk_is_well(void *argument)
{
	SimHost *host = &sim_hosts[*(int *) argument];

	sim_trace(host->index, "its disk is well");
	sim_disk_fails(host, 0);
}

/* No process has made the call by now. */
static void
end_anyway(void *argument)
{
	SimHost *host = &sim_hosts[*(int *) argument];

	if (!sim_disk_ends(host))
		return;
	/* What is on its way to the disk gets there, or so far. */
	sim_disk_end_in(host, SIM_POWER_CUT, (int) draw_between(1, 8));
	sim_host_kill(host);
	sim_disk_end(host);
}

static void
end_inside(SimHost *host, SimDiskEnd end)
{
	int calls = (int) draw_between(1, 16);

	if (sim_disk_ends(host))
		return;
	sim_trace(host->index, "%s %d calls of its disk",
			  end == SIM_POWER_CUT ? "its power will fail within" : "will be killed within", calls);
	sim_disk_end_in(host, end, calls);
	if (end == SIM_POWER_CUT)
		sim_at(sim_us + draw_between(10 * SIM_MS, 8 * SIM_S), -1, end_anyway,
			   sim_number(host->index));
}

/* It ended within the event that has just been played. */
static void
go_on(SimHost *host)
{
	sim_host_kill(host);
	if (sim_disk_goes_on(host) == SIM_POWER_CUT)
	{
		sim_host_boot(host);
		if (again && draw_chance(40))
			end_inside(host, SIM_POWER_CUT);
	}
	start_later(host);
}

/* --- pauses within a turn */

static void
pause_inside(SimHost *host)
{
	host->pause_step = (SimStep) sim_machine_draw(SIM_STEPS + 1);
	host->pause_in = (int) draw_between(1, host->pause_step == SIM_STEPS ? 30 : 4);
	host->pause_us =
		draw_chance(50) ? draw_between(10 * SIM_MS, SIM_S) : draw_between(SIM_S, 12 * SIM_S);
	host->pause_is_alone = draw_chance(50);
}

void
sim_machine_step(SimHost *host, SimStep step)
{
	static const char *const names[SIM_STEPS] = {"decides", "changes a file", "asks the lock",
												 "answers a promise", "acts"};

	if (host->pause_in == 0 || host->dead ||
		(host->pause_step != SIM_STEPS && host->pause_step != step) || --host->pause_in > 0)
		return;
	host->busy_until = sim_host_us(host) + host->pause_us;
	host->paused_inside = true;
	sim_trace(host->index, "%s stopped until %.3f, before it %s",
			  host->pause_is_alone ? "its process is" : "is", (double) host->busy_until / 1e6,
			  names[step]);
}

/* PostgreSQL goes on without that process. */
static void
leave_alone(SimHost *host)
{
	host->paused_inside = false;
	if (!host->pause_is_alone)
		return;
	if (host->node != NULL)
		host->speaker_paused_until = host->busy_until;
	host->busy_until = 0;
}

/* --- after each event */

void
sim_machine_look(void)
{
	for (int i = 0; i < sim_host_count; i++)
	{
		if (sim_hosts[i].paused_inside)
			leave_alone(&sim_hosts[i]);
		if (sim_hosts[i].dead)
			go_on(&sim_hosts[i]);
	}
}

/* --- what comes, and when */

static Trouble
some_trouble(void)
{
	int sum = 0;
	int64_t left;

	for (int i = 0; i < TROUBLES; i++)
		sum += weights[i];
	left = draw_between(1, sum);
	for (int i = 0; i < TROUBLES; i++)
		if ((left -= weights[i]) <= 0)
			return (Trouble) i;
	return POWER_CUT;
}

static void
disk_fails(SimHost *host, int error)
{
	sim_trace(host->index, error == ENOSPC ? "its disk is full" : "its disk fails");
	sim_disk_fails(host, error);
	sim_at(sim_us + draw_between(100 * SIM_MS, 15 * SIM_S), -1, disk_is_well,
		   sim_number(host->index));
}

static void
remove_copy(void *argument)
{
	sim_host_remove_twin(&sim_hosts[*(int *) argument]);
}

/* Beside the machine, or in its place. */
static void
copy(SimHost *host)
{
	const SimHost *made = sim_host_copy(host);

	if (made == NULL)
		return;
	if (draw_chance(30))
	{
		sim_host_kill(host);
		start_later(host);
	}
	start_later(made);
	sim_at(sim_us + draw_between(SIM_S, 40 * SIM_S), -1, remove_copy, sim_number(made->index));
}

static void
strike(void *argument)
{
	SimHost *host = &sim_hosts[sim_machine_draw((uint64_t) sim_host_count)];

	(void) argument;
	switch (some_trouble())
	{
		case POWER_CUT:
			end_inside(host, SIM_POWER_CUT);
			break;
		case KILL_INSIDE:
			end_inside(host, SIM_KILL);
			break;
		case DISK_FULL:
			disk_fails(host, ENOSPC);
			break;
		case DISK_FAILS:
			disk_fails(host, EIO);
			break;
		case PAUSE_INSIDE:
			pause_inside(host);
			break;
		case KILL_SUPERVISOR:
			sim_host_kill_supervisor(host);
			start_later(host);
			break;
		case RESTART:
			sim_operator_ask(host, FHA_REQUEST_RESTART);
			break;
		case REINIT:
			sim_operator_ask(host, FHA_REQUEST_REINIT);
			break;
		case PAUSE_ELECTIONS:
			sim_operator_ask(host, FHA_REQUEST_PAUSE);
			break;
		case SET:
			sim_operator_ask(host, draw_chance(70) ? FHA_REQUEST_SET : FHA_REQUEST_RESET);
			break;
		case RENAME:
			sim_host_rename(host);
			start_later(host);
			break;
		case COPY:
			copy(host);
			break;
		case TROUBLES:
			break;
	}
	sim_at(sim_us + draw_between(20 * SIM_MS, longest_pause_us), -1, strike, NULL);
}

static bool
has_troubles(void)
{
	for (int i = 0; i < TROUBLES; i++)
		if (weights[i] != 0)
			return true;
	return false;
}

void
sim_machine_clear(uint64_t seed)
{
	static const int usual[TROUBLES] = {4, 3, 2, 2, 6, 3, 3, 2, 2, 1, 1, 2};

	chance = seed * UINT64_C(0xD1342543DE82EF95) + 7;
	sim_disk_clear();
	memset(weights, 0, sizeof(weights));
	/* Half of all scenarios have some of them. */
	if (draw_chance(50))
		for (int i = 0; i < TROUBLES; i++)
			weights[i] = draw_chance(35) ? 0 : usual[i] * (draw_chance(15) ? 6 : 1);
	longest_pause_us = draw_chance(70) ? 8 * SIM_S : draw_between(SIM_S, 20 * SIM_S);
	again = draw_chance(50);
}

void
sim_machine_begin(void)
{
	if (has_troubles())
		sim_at(sim_us, -1, strike, NULL);
}

bool
sim_machine_is_fault(SimAct act)
{
	return act == strike || act == sim_start_again || act == end_anyway || act == disk_is_well ||
		   act == remove_copy;
}

void
sim_machine_mend(void)
{
	if (has_troubles())
		sim_operator_mend();
	for (int i = 0; i < sim_host_count; i++)
	{
		sim_disk_end_in(&sim_hosts[i], SIM_KILL, 0);
		sim_disk_fails(&sim_hosts[i], 0);
		sim_hosts[i].pause_in = 0;
		sim_host_remove_twin(&sim_hosts[i]);
	}
}
