/*
 * sim_clock.c: what a node is given as its clock: its host's own, and chance from the seed.
 */
#include "test/sim/sim.h"

#include <stdio.h>
#include <string.h>

/* 2026-01-01, for people. */
#define WALL_MS INT64_C(1767225600000)

int64_t
sim_host_us(const SimHost *host)
{
	return host->busy_until > sim_us ? host->busy_until : sim_us;
}

int64_t
sim_host_stopped_until(const SimHost *host)
{
	return host->speaker == SIM_AGENT && host->agent_paused_until > host->speaker_paused_until
			   ? host->agent_paused_until
			   : host->speaker_paused_until;
}

int64_t
sim_host_ms(const SimHost *host, int64_t at_us)
{
	return host->boot_at_ms + (at_us - host->boot_at_us) * host->rate_ppm / 1000000 / 1000;
}

int64_t
sim_world_us(const SimHost *host, int64_t clock_ms)
{
	int64_t left_ms = clock_ms - host->boot_at_ms;

	if (left_ms > INT64_C(1000) * 1000 * 1000)
		return SIM_NEVER;
	return host->boot_at_us + (left_ms * 1000 * 1000000 + host->rate_ppm - 1) / host->rate_ppm;
}

int64_t
sim_wall_ms(int64_t at_us)
{
	return WALL_MS + at_us / SIM_MS;
}

void
sim_hex(char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i + 1 < size; i++)
		out[i] = digits[sim_draw(16)];
	out[size - 1] = '\0';
}

/* --- what a host's node is given */

static int64_t
host_now_ms(void *context)
{
	const SimHost *host = context;

	return sim_host_ms(host, sim_host_us(host));
}

static int64_t
host_wall_ms(void *context)
{
	return sim_wall_ms(sim_host_us(context));
}

static FhaCode
host_random_hex(void *context, char *out, size_t size, FhaError *err)
{
	(void) context;
	(void) err;
	sim_hex(out, size);
	return FHA_OK;
}

static FhaCode
host_boot_id(void *context, char *out, size_t size, FhaError *err)
{
	const SimHost *host = context;

	if (size < sizeof(host->boot_id))
		return fha_error(err, FHA_INVALID, "no room for a boot's identity");
	memcpy(out, host->boot_id, sizeof(host->boot_id));
	return FHA_OK;
}

static void
host_time_namespace(void *context, char *out, size_t size)
{
	const SimHost *host = context;

	(void) snprintf(out, size, "%s", host->time_namespace);
}

FhaClock
sim_clock(SimHost *host)
{
	return (FhaClock){.context = host,
					  .now_ms = host_now_ms,
					  .wall_ms = host_wall_ms,
					  .random_hex = host_random_hex,
					  .boot_id = host_boot_id,
					  .time_namespace = host_time_namespace};
}
