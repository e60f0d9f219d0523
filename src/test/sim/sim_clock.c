/*
 * sim_clock.c: in place of base/clock.c: each host's own clock, and chance from the seed.
 */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "test/sim/sim.h"

/* 2026-01-01, for people. */
#define WALL_MS INT64_C(1767225600000)

int64_t
sim_host_us(const SimHost *host)
{
	return host->busy_until > sim_us ? host->busy_until : sim_us;
}

int64_t
sim_host_ms(const SimHost *host, int64_t at_us)
{
	return host->boot_ms + (at_us - host->boot_us) * host->rate_ppm / 1000000 / 1000;
}

int64_t
sim_world_us(const SimHost *host, int64_t clock_ms)
{
	int64_t left_ms = clock_ms - host->boot_ms;

	if (left_ms > INT64_C(1000) * 1000 * 1000)
		return SIM_NEVER;
	return host->boot_us + (left_ms * 1000 * 1000000 + host->rate_ppm - 1) / host->rate_ppm;
}

int64_t
fha_now_ms(void)
{
	return sim_here == NULL ? sim_us / SIM_MS : sim_host_ms(sim_here, sim_host_us(sim_here));
}

int64_t
fha_wall_ms(void)
{
	return WALL_MS + (sim_here == NULL ? sim_us : sim_host_us(sim_here)) / SIM_MS;
}

void
fha_wall_time(char *out, size_t size)
{
	int64_t now_ms = fha_wall_ms();
	time_t seconds = (time_t) (now_ms / 1000);
	struct tm utc;
	char whole[24];

	(void) gmtime_r(&seconds, &utc);
	(void) strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &utc);
	(void) snprintf(out, size, "%s.%03dZ", whole, (int) (now_ms % 1000));
}

void
sim_hex(char *out, size_t size)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i + 1 < size; i++)
		out[i] = digits[sim_draw(16)];
	out[size - 1] = '\0';
}

FhaCode
fha_random_hex(char *out, size_t size, FhaError *err)
{
	if (size == 0)
		return fha_error(err, FHA_INVALID, "no room for random digits");
	sim_hex(out, size);
	return FHA_OK;
}

FhaCode
fha_boot_id(char *out, size_t size, FhaError *err)
{
	if (sim_here == NULL || size < sizeof(sim_here->boot_id))
		return fha_error(err, FHA_INVALID, "nobody's boot");
	memcpy(out, sim_here->boot_id, sizeof(sim_here->boot_id));
	return FHA_OK;
}

void
fha_time_namespace(char *out, size_t size)
{
	(void) snprintf(out, size, "4026531834");
}
