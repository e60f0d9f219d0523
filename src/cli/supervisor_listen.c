/*
 * supervisor_listen.c: the member's listening socket.
 *
 * Opened before anything else and passed on to PostgreSQL, so that it outlives each of the two
 * who answer on it: the agent while there is one, else the supervisor.  What connects between the
 * two waits in the kernel.
 */
#include "cli/supervisor.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/listen.h"
#include "cli/process.h"
#include "peer/listener.h"

/* An earlier PostgreSQL of this node may still have the port. */
#define LISTEN_RETRY_MS 1000

static void
supervisor_open_socket(Supervisor *self)
{
	FhaError err;

	if (self->listen_fd >= 0 || self->config.listen[0] == '\0' ||
		fha_now_ms() < self->listen_again_at_ms)
		return;
	if (fha_listen_open("listen", self->config.listen, &self->listen_fd, &err) == FHA_OK)
	{
		supervisor_say(self, "listener_answers", "answering HTTP on %s (fawkes_ha.listen)",
					   self->config.listen);
		self->listen_failed = false;
		return;
	}
	if (!self->listen_failed)
		supervisor_warn(self, "listen_failed",
						"%s; PostgreSQL is supervised all the same, and this is tried again "
						"each second",
						err.text);
	self->listen_failed = true;
	self->listen_again_at_ms = fha_now_ms() + LISTEN_RETRY_MS;
}

static void
supervisor_tell(void *argument, FhaHealth *out)
{
	const Supervisor *self = argument;

	out->postgres = self->liveness_fd < 0 ? FHA_PG_BUSY : FHA_PG_DOWN;
	if (self->node != NULL)
		fha_node_health(self->node, out);
	(void) snprintf(out->cluster, sizeof(out->cluster), "%s", self->config.cluster_name);
	(void) snprintf(out->member, sizeof(out->member), "%s", self->config.member_name);
	(void) snprintf(out->incarnation, sizeof(out->incarnation), "%s", self->incarnation);
	/* S1: only an agent opens the fence. */
	out->fence_left_ms = 0;
	out->agent = false;
}

/* A process without the ownership lock decides nothing. */
static void
supervisor_promise(void *argument, const FhaQuestion *asked, FhaPromise *out)
{
	const Supervisor *self = argument;

	if (self->node != NULL)
		fha_node_promise(self->node, asked, out);
	else
		(void) snprintf(out->why, sizeof(out->why), "this member changes hands: ask again");
}

/* Reading the end of the WAL can take a second. */
static void
supervisor_serve(void *argument)
{
	fha_listener_step(argument);
}

void
supervisor_mind_listener(Supervisor *self)
{
	FhaError err;

	if (fha_ownership_is_claimed(&self->ownership))
	{
		process_serve_meanwhile(-1, NULL, NULL);
		fha_listener_close(self->listener);
		self->listener = NULL;
		/* An agent that did not inherit the socket opens one itself. */
		if (self->listen_fd >= 0 && !self->listen_passed)
		{
			(void) close(self->listen_fd);
			self->listen_fd = -1;
		}
		return;
	}
	supervisor_open_socket(self);
	if (self->listen_fd < 0)
		return;
	if (self->listener == NULL && fha_now_ms() >= self->listen_again_at_ms &&
		fha_listener_open(&self->listener, self->listen_fd, &self->config, supervisor_tell,
						  supervisor_promise, self, &err) != FHA_OK)
	{
		supervisor_warn(self, "listener_failed", "%s", err.text);
		self->listen_again_at_ms = fha_now_ms() + LISTEN_RETRY_MS;
	}
	if (self->listener == NULL)
		return;
	process_serve_meanwhile(fha_listener_fd(self->listener), supervisor_serve, self->listener);
	fha_listener_step(self->listener);
}
