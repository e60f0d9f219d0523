/*
 * played_time.h: time that passes only when a test says so.
 *
 * A node is given played_clock().  For the lock, the listener and questions the program is linked with
 * --wrap=fha_now_ms.  libcurl and libmicrohttpd ask the kernel: for them clock_gettime() is replaced.
 * So no machine is too busy for a lease or a deadline, and no test waits.
 */
#ifndef FHA_PLAYED_TIME_H
#define FHA_PLAYED_TIME_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static int64_t played_at_ms; /* 0: no one has asked yet */
static int played_looks;     /* of nodes, at the clock that they were given */

int64_t __real_fha_now_ms(void);
int64_t __wrap_fha_now_ms(void);

/* It begins with the machine's. */
int64_t
__wrap_fha_now_ms(void)
{
	if (played_at_ms == 0)
		played_at_ms = __real_fha_now_ms();
	return played_at_ms;
}

static int64_t
played_now_ms(void *context)
{
	(void) context;
	played_looks++;
	return __wrap_fha_now_ms();
}

/* All but the time that passes is the machine's. */
static const FhaClock *
played_clock(void)
{
	static FhaClock clock;

	clock = fha_kernel_clock;
	clock.now_ms = played_now_ms;
	return &clock;
}

static void
pass(int64_t ms)
{
	played_at_ms = __wrap_fha_now_ms() + ms;
}

/* What counts from the boot without suspends, as libraries do. */
__attribute__((visibility("default"))) int
clock_gettime(clockid_t clock, struct timespec *out)
{
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_RAW && clock != CLOCK_MONOTONIC_COARSE)
		return (int) syscall(SYS_clock_gettime, clock, out);
	out->tv_sec = (time_t) (__wrap_fha_now_ms() / 1000);
	out->tv_nsec = (long) (__wrap_fha_now_ms() % 1000 * 1000000);
	return 0;
}

#endif
