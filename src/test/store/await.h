/*
 * await.h: how a test waits for what others do: it wakes when there is something to do, and at the
 * latest after AWAIT_STEP_MS, because not all that a test looks at is told by a descriptor.
 */
#ifndef FHA_TEST_STORE_AWAIT_H
#define FHA_TEST_STORE_AWAIT_H

#include <poll.h>

#include "base/clock.h"
#include "http/client.h"
#include "store/store.h"

/* Far more than anything needs: a machine under load must not fail a test. */
#define AWAIT_MAX_MS 60000
#define AWAIT_STEP_MS 100

/* Until the descriptor (-1: none) is readable, or the time has come. */
static inline void
await(int fd, int64_t wake_at_ms)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	int64_t left_ms = wake_at_ms - fha_now_ms();

	(void) poll(&readable, 1,
				left_ms < 0               ? 0
				: left_ms > AWAIT_STEP_MS ? AWAIT_STEP_MS
										  : (int) left_ms);
}

/* Until fha_store_step may have something to do. */
static inline void
await_store(const FhaStore *store)
{
	await(fha_store_fd(store), fha_store_wake_at_ms(store));
}

/* Until fha_http_call_step may. */
static inline void
await_client(const FhaHttpClient *client)
{
	await(client->epoll, client->timer_at_ms);
}

#endif
