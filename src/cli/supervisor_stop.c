/*
 * supervisor_stop.c: ending PostgreSQL: prepared, fast, immediate, by SIGKILL.
 */
#include "cli/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/process.h"
#include "node/state.h"

/* Without an agent for this long after it could accept connections, the library is not loaded. */
#define LIBRARY_WAIT_MS (15 * 1000)
#define IMMEDIATE_WAIT_MS 5000

static pid_t
stop_server(const Supervisor *self)
{
	if (self->postmaster != 0)
		return self->postmaster;
	/* Not our child: its number may be somebody else's by now. */
	return self->foreign != 0 && process_works_in(self->foreign, self->config.data_directory)
			   ? self->foreign
			   : 0;
}

/* The status line of postmaster.pid, if that is of this server and not of one before it. */
static bool
postmaster_says(const Supervisor *self, const char *word)
{
	char path[FHA_PATH_SIZE + 32];
	char *text = NULL;
	bool says;

	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", self->config.data_directory);
	if (fha_file_read(path, 4096, &text, NULL) != FHA_OK)
		return false;
	says = strtol(text, NULL, 10) == stop_server(self) && strstr(text, word) != NULL;
	free(text);
	return says;
}

/*
 * A server that ends meanwhile leaves its number to somebody else, or kill(0), which is everybody: so
 * it is asked for once, held by a descriptor, and then asked for again.
 */
static void
signal_server(const Supervisor *self, int signal_number)
{
	pid_t pid = stop_server(self);
	int held = pid > 0 ? (int) syscall(SYS_pidfd_open, pid, 0) : -1;

	if (held >= 0 && stop_server(self) == pid)
		(void) syscall(SYS_pidfd_send_signal, held, signal_number, NULL, 0);
	if (held >= 0)
		(void) close(held);
}

static void
stop_harder(Supervisor *self, int stage)
{
	static const char *const ways[] = {"", "fast", "immediate", "by SIGKILL"};
	static const int signals[] = {0, SIGINT, SIGQUIT, SIGKILL};

	self->stop_stage = stage;
	self->stop_began_at_ms = fha_now_ms();
	supervisor_say(self, "server_stops", "stopping PostgreSQL (%s)", ways[stage]);
	signal_server(self, signals[stage]);
}

/*
 * A shutdown writes all dirty pages while nobody can write to the cluster: a primary has them
 * written before, and goes on serving.  Not for ever, and only while its agent is there to do it.
 */
static bool
is_prepared_to_stop(Supervisor *self)
{
	int64_t now_ms = fha_now_ms();

	/* A server that does not use our page does not see what stands there. */
	if (self->agent_pidfd < 0 || self->hurry || (self->foreign != 0 && !self->watermark_counts))
		return true;
	if (self->prepare_asked_at_ms == 0)
	{
		self->prepare_asked_at_ms = now_ms;
		atomic_store(&self->watermark->stop_prepared, 0);
		atomic_store(&self->watermark->stop_asked, 1);
		/* Its latch is set by a reload. */
		(void) syscall(SYS_pidfd_send_signal, self->agent_pidfd, SIGHUP, NULL, 0);
	}
	return atomic_load(&self->watermark->stop_prepared) != 0 ||
		   now_ms > self->prepare_asked_at_ms + self->config.shutdown_timeout_ms;
}

/*
 * A clone, an initdb, and a rewind that has changed nothing yet end by SIGTERM; with them goes the
 * program that they run (process.c).  What would leave the directory between two states ignores
 * it (rejoin_mark_damaged), and is seen to the end, but not for ever: the mark is on disk.
 */
static void
end_job(Supervisor *self, int64_t now_ms)
{
	if (!self->stopping || self->job == 0)
		return;
	if (self->job_told_at_ms == 0)
	{
		self->job_told_at_ms = now_ms;
		supervisor_say(self, "job_stops", "ending the %s", fha_node_action_name(self->job_kind));
		(void) kill(self->job, SIGTERM);
	}
	else if (now_ms > self->job_told_at_ms + self->config.shutdown_timeout_ms)
		(void) kill(self->job, SIGKILL);
}

/*
 * PostgreSQL that runs without the library is not fenced.  What it has mapped tells at once; where
 * that cannot be read, an agent is missed after a while.
 */
static bool
lacks_library(const Supervisor *self)
{
	int mapped = process_maps(stop_server(self), "/fawkes_ha.so");

	if (self->library_seen || !(postmaster_says(self, "ready") || postmaster_says(self, "standby")))
		return false;
	return mapped == 0 || fha_now_ms() > self->busy_at_ms + LIBRARY_WAIT_MS;
}

void
supervisor_mind_stop(Supervisor *self)
{
	int64_t now_ms = fha_now_ms();

	end_job(self, now_ms);
	if (stop_server(self) == 0)
	{
		self->stop_stage = 0;
		self->rest = (Rest){0};
		return;
	}
	if (self->stopping && self->stop_stage == 0)
	{
		if (is_prepared_to_stop(self))
			stop_harder(self, 1);
	}
	else if (self->stop_stage == 0 && self->busy_at_ms != 0)
	{
		/* Somebody else's shutdown (the agent's, pg_ctl's) is under the same deadline. */
		if (postmaster_says(self, "stopping"))
		{
			self->stop_stage = 1;
			self->stop_began_at_ms = now_ms;
		}
		else if (lacks_library(self))
		{
			supervisor_warn(self, "library_missing",
							"PostgreSQL runs without the fawkes_ha library: nothing fences it. "
							"Check shared_preload_libraries and the server's log");
			fha_starts_failed(&self->starts, now_ms);
			stop_harder(self, 1);
		}
	}
	else if (self->stop_stage == 1 &&
			 now_ms <= self->stop_began_at_ms + self->config.shutdown_timeout_ms)
		supervisor_mind_rest(self, stop_server(self));
	else if (self->stop_stage == 1)
		stop_harder(self, 2);
	else if (self->stop_stage == 2 && now_ms > self->stop_began_at_ms + IMMEDIATE_WAIT_MS)
		stop_harder(self, 3);
}

bool
supervisor_is_done(Supervisor *self)
{
	FhaLeaveFacts facts = {.ended = stop_server(self) == 0,
						   .job = self->job != 0,
						   .liveness_held = self->liveness_fd >= 0,
						   .liveness_unreadable = self->liveness_unreadable,
						   .hurry = self->hurry};

	return self->stopping && fha_leave_step(&self->leave, &self->config, &facts,
											self->has_action ? &self->action : NULL, fha_now_ms());
}
