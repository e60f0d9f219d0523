/*
 * sim_operator.c: what operators ask for besides a switchover and a failover: restarts, a reinit, a pause of
 * elections, a setting for all members.
 *
 * A fault of sim_machine.c draws them, so their chance is its.  A switchover and a failover are drawn in
 * sim.c.
 */
#include "test/sim/sim.h"

#include <stdio.h>
#include <string.h>

#include "record/request.h"

#define RESUME_EVERY_US (5 * SIM_S)

static int64_t
draw_between(int64_t low, int64_t high)
{
	return low + (int64_t) sim_machine_draw((uint64_t) (high - low + 1));
}

static void
withdraw(void *argument)
{
	sim_lock_withdraw(argument);
}

static void
resume(void *argument)
{
	(void) argument;
	sim_lock_resume();
}

/* What was asked for in time may be entered late. */
static void
resume_for_good(void *argument)
{
	(void) argument;
	sim_lock_resume();
	sim_at(sim_us + RESUME_EVERY_US, -1, resume_for_good, NULL);
}

static void
choose_setting(FhaRequest *request)
{
	/* A longer lease than the members' own.  A shorter one would ask for clocks that run more alike. */
	(void) snprintf(request->setting.name, sizeof(request->setting.name),
					"fawkes_ha.lease_duration");
	(void) snprintf(request->setting.value, sizeof(request->setting.value), "%d",
					(int) draw_between(6, 12) * 500);
}

void
sim_operator_ask(SimHost *host, FhaRequestKind kind)
{
	static const char digits[] = "0123456789abcdef";
	FhaRequest request = {.kind = kind, .state = FHA_REQUEST_PENDING};
	const SimHost *target = &sim_hosts[sim_machine_draw((uint64_t) sim_host_count)];
	bool names_one =
		kind == FHA_REQUEST_REINIT || (kind == FHA_REQUEST_RESTART && sim_machine_draw(2) == 0);
	FhaError err;
	char *id;

	if (host->node == NULL || !fha_node_takes_requests(host->node))
		return;
	for (size_t i = 0; i + 1 < sizeof(request.id); i++)
		request.id[i] = digits[sim_machine_draw(16)];
	if (names_one)
		memcpy(request.target, target->config.member_name, sizeof(request.target));
	if (kind == FHA_REQUEST_SET || kind == FHA_REQUEST_RESET)
		choose_setting(&request);
	if (kind == FHA_REQUEST_RESET)
		request.setting.value[0] = '\0';
	(void) snprintf(request.requested_by, sizeof(request.requested_by), "an operator");
	fha_wall_print(sim_wall_ms(sim_us), request.requested_at, sizeof(request.requested_at));
	request.time_limit_ms = draw_between(5000, 60000);
	sim_trace(host->index, "is asked for a %s of %s %s", fha_request_kind_name(kind),
			  names_one ? request.target : "all", request.setting.value);
	if (fha_node_request(host->node, &request, &err) != FHA_OK)
		return;
	sim_host_wake(host);
	if (kind == FHA_REQUEST_PAUSE)
		sim_at(sim_us + draw_between(2 * SIM_S, 25 * SIM_S), -1, resume, NULL);
	if (kind != FHA_REQUEST_RESTART && kind != FHA_REQUEST_REINIT)
		return;
	id = sim_alloc(sizeof(request.id));
	memcpy(id, request.id, sizeof(request.id));
	sim_at(sim_us + request.time_limit_ms * SIM_MS, -1, withdraw, id);
}

void
sim_operator_mend(void)
{
	resume_for_good(NULL);
}
