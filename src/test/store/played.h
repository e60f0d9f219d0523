/*
 * played.h: time that passes when somebody waits, for tests whose program is linked with --wrap=fha_now_ms and --wrap=poll.
 */
#ifndef FHA_TEST_STORE_PLAYED_H
#define FHA_TEST_STORE_PLAYED_H

#include <poll.h>
#include <stdint.h>

static int64_t played_now_ms = 1000000;

int64_t __wrap_fha_now_ms(void);
int64_t
__wrap_fha_now_ms(void)
{
	return played_now_ms;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int
__wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	(void) fds;
	(void) count;
	played_now_ms += timeout_ms;
	return 0;
}

#endif
