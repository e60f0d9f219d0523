/*
 * serve.c: the agent answers HTTP on the member's listening socket.
 *
 * It takes what the node loop and shared memory know at the moment of the answer.  Nothing here
 * raises an error: the callbacks run inside the HTTP library, which must not be jumped out of.
 */
#include "postgres.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "miscadmin.h"

#include "base/clock.h"
#include "base/listen.h"
#include "peer/listener.h"
#include "pg/compat.h"
#include "pg/fence.h"
#include "pg/report.h"
#include "pg/serve.h"
#include "pg/view.h"

/* A plain server's own socket: another program may have the port for a while. */
#define LISTEN_RETRY_MS 1000

static int inherited = -1;

static FhaConfig serve_config;
static FhaNode *serve_node = NULL;
static FhaListener *listener = NULL;
static int listen_fd = -1;
static int both = -1; /* epoll: the node's descriptor and the listener's */
static int64 retry_at_ms = 0;

void
serve_inherit(int fd)
{
	inherited = fd;
}

void
serve_forget(void)
{
	if (inherited >= 0)
		close(inherited);
	inherited = -1;
}

static void
serve_tell(void *argument, FhaHealth *out)
{
	fha_node_health(serve_node, out);
	strlcpy(out->cluster, serve_config.cluster_name, sizeof(out->cluster));
	strlcpy(out->member, serve_config.member_name, sizeof(out->member));
	out->agent = true;
	out->streaming = out->postgres == FHA_PG_STANDBY && view_is_streaming();
	/* S1: what backends test, and not what the loop has last decided. */
	out->fence_left_ms = fence_is_open() ? fence_left_ms() : 0;
}

static void
serve_promise(void *argument, const FhaQuestion *asked, FhaPromise *out)
{
	fha_node_promise(serve_node, asked, out);
}

/* Wait for this descriptor too. */
static bool
serve_watch(int fd)
{
	struct epoll_event interest = {.events = EPOLLIN};

	return epoll_ctl(both, EPOLL_CTL_ADD, fd, &interest) == 0;
}

static void
serve_start(void)
{
	static bool told = false;
	FhaError err;

	if (serve_config.listen[0] == '\0' && inherited < 0)
		return;
	retry_at_ms = fha_now_ms() + LISTEN_RETRY_MS;
	if (listen_fd < 0)
		listen_fd = inherited;
	if (listen_fd < 0 && fha_listen_open("listen", serve_config.listen, &listen_fd, &err) != FHA_OK)
	{
		if (!told)
			fha_report_as("listen_failed", &err);
		told = true;
		return;
	}
	if (fha_listener_open(&listener, listen_fd, &serve_config, serve_tell, serve_promise, NULL,
						  &err) != FHA_OK)
	{
		fha_report_as("listener_failed", &err);
		return;
	}
	if (!serve_watch(fha_listener_fd(listener)))
	{
		ereport(LOG, report_line("listener_not_watched", "could not wait for the listener: %m"));
		fha_listener_close(listener);
		listener = NULL;
		return;
	}
	if (listen_fd != inherited)
		ereport(LOG, report_line("listener_answers", "answering HTTP on %s (fawkes_ha.listen)",
								 serve_config.listen));
}

void
serve_begin(const FhaConfig *config, FhaNode *node)
{
	serve_config = *config;
	serve_node = node;
	both = epoll_create1(EPOLL_CLOEXEC);
	if (both < 0 || !serve_watch(fha_node_fd(node)))
		ereport(ERROR, errmsg("could not wait for the lock: %m"));
	serve_start();
}

void
serve_reload(const FhaConfig *config)
{
	serve_config = *config;
	if (listener != NULL)
		fha_listener_reload(listener, config);
}

pgsocket
serve_fd(void)
{
	return both;
}

int64
serve_wake_at_ms(void)
{
	if (listener != NULL)
		return fha_listener_wake_at_ms(listener);
	return retry_at_ms == 0 ? PG_INT64_MAX : retry_at_ms;
}

bool
serve_step(void)
{
	struct pollfd node = {.fd = fha_node_fd(serve_node), .events = POLLIN};

	if (listener != NULL)
		fha_listener_step(listener);
	else if (retry_at_ms != 0 && fha_now_ms() >= retry_at_ms)
		serve_start();
	return poll(&node, 1, 0) == 0;
}
