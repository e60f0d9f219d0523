/*
 * supervisor.c: what the supervisor does with PostgreSQL.
 *
 * It never decides by itself: it tells the node loop what it sees of a stopped,
 * starting or ending server, and carries out what the rules say.  What its data means for the lease,
 * and when it is started again, is decided in core/stopped.h and core/starts.h.
 */
#include "cli/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/tame.h"
#include "cli/process.h"
#include "config/cluster_conf.h"
#include "config/state_directory.h"
#include "core/timing.h"
#include "node/follow.h"

#define POLL_MS 20
/* The state directory was refused: so long until it is tried again. */
#define OWN_WAIT_MS 1000
#define ORPHAN_GRACE_MS 100
#define ORPHAN_POLL_MS 3
#define IDLE_MS 1000
#define NEVER INT64_MAX

/* What was read of the data does not hold any more. */
static void
forget_data(Supervisor *self)
{
	self->stopped = (FhaStopped){.read = false};
}

/* For the history, if another member leads then. */
static void
tell_end(Supervisor *self, int status, const char *how)
{
	if (self->stopping)
		(void) snprintf(self->ended, sizeof(self->ended), "its node was stopped");
	else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		(void) snprintf(self->ended, sizeof(self->ended), "PostgreSQL was shut down");
	else
		(void) snprintf(self->ended, sizeof(self->ended), "PostgreSQL %.50s", how);
}

static void
postmaster_ended(Supervisor *self, int status)
{
	int64_t now_ms = fha_now_ms();
	FhaServerEnd end = {.told = self->stopping,
						.came_up = self->library_seen,
						.gave_up = WIFEXITED(status) && WEXITSTATUS(status) != 0,
						.ran_ms = now_ms - self->started_at_ms};
	char how[80];

	process_describe(status, how, sizeof(how));
	supervisor_say(self, "server_ended", "PostgreSQL %s", how);
	tell_end(self, status, how);
	if (fha_starts_server_ended(&self->starts, &end, now_ms))
		supervisor_note_no_start(self, how);
	else
		supervisor_note_run(self);
	self->postmaster = 0;
	forget_data(self);
}

static void
job_ended(Supervisor *self, int status)
{
	char how[80];
	FhaError err;

	self->job = 0;
	self->job_told_at_ms = 0;
	forget_data(self);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
	{
		fha_starts_worked(&self->starts);
		/* What stands in the page is of the data that was here before. */
		self->watermark_counts = false;
	}
	else
	{
		process_describe(status, how, sizeof(how));
		supervisor_warn(self, "job_ended", "%s %s", fha_node_action_name(self->job_kind), how);
		fha_starts_failed(&self->starts, fha_now_ms());
		self->look_at_once = true;
	}
	if (self->node != NULL && fha_node_reload(self->node, &err) != FHA_OK)
		supervisor_warn(self, "state_unreadable", "%s", err.text);
}

void
supervisor_reap(Supervisor *self)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
	{
		if (pid == self->postmaster)
			postmaster_ended(self, status);
		else if (pid == self->job)
			job_ended(self, status);
	}
	if (self->foreign != 0 && !process_works_in(self->foreign, self->config.data_directory))
	{
		supervisor_say(self, "watched_server_ended", "PostgreSQL (process %d) ended",
					   (int) self->foreign);
		self->foreign = 0;
		forget_data(self);
	}
}

void
supervisor_check_liveness(Supervisor *self)
{
	char path[FHA_PATH_SIZE];
	FhaError err;

	if (self->liveness_fd >= 0 || self->postmaster != 0 || self->foreign != 0)
		return;
	if (fha_liveness_take(&self->config, &self->liveness_fd, &err) == FHA_OK)
	{
		self->orphaned_at_ms = 0;
		self->liveness_unreadable = false;
		/* The port of an agent that listened by itself is free. */
		self->listen_again_at_ms = 0;
		if (self->node != NULL)
			fha_node_liveness_held(self->node, true);
		return;
	}
	self->liveness_fd = -1;
	self->liveness_unreadable = err.code != FHA_CONFLICT;
	if (self->liveness_unreadable)
		supervisor_warn(self, "liveness_lock_failed", "%s", err.text);
	if (self->orphaned_at_ms == 0)
		self->orphaned_at_ms = fha_now_ms();
	/*
	 * Orphans of a killed postmaster acknowledge nothing any more and end when they next look.
	 * Its walsenders look when they have sent what there is, and a standby that got all of it can
	 * lead at once: so nobody is killed before a grace is over.
	 */
	if (fha_now_ms() >= self->orphaned_at_ms + ORPHAN_GRACE_MS &&
		fha_state_path(&self->config, "life", path, sizeof(path), &err) == FHA_OK)
		(void) process_kill_holders(path);
}

static void
watch_agent(Supervisor *self)
{
	pid_t pid = fha_ownership_read_pid(&self->ownership);

	if (self->agent_pidfd >= 0 && pid == self->agent_pid)
		return;
	if (self->agent_pidfd >= 0)
		(void) close(self->agent_pidfd);
	self->agent_pid = pid;
	self->agent_pidfd = pid > 0 ? (int) syscall(SYS_pidfd_open, pid, 0) : -1;
}

static void
release_ownership(Supervisor *self)
{
	fha_node_close(self->node);
	self->node = NULL;
	self->has_action = false;
	fha_ownership_release(&self->ownership);
}

void
supervisor_mind_ownership(Supervisor *self)
{
	FhaError err;

	if (fha_ownership_is_claimed(&self->ownership))
	{
		self->library_seen = true;
		self->no_start[0] = self->suspects[0] = '\0';
		self->busy_at_ms = 0;
		if (self->ownership.held)
			release_ownership(self);
		watch_agent(self);
		return;
	}
	if (self->agent_pidfd >= 0)
	{
		(void) close(self->agent_pidfd);
		self->agent_pidfd = -1;
	}
	if (self->busy_at_ms == 0)
		self->busy_at_ms = fha_now_ms();
	if (self->ownership.held || fha_now_ms() < self->own_again_at_ms ||
		!fha_ownership_take(&self->ownership))
		return;
	if (fha_node_open(&self->node, &self->config, &fha_kernel_clock, self->incarnation,
					  self->liveness_fd >= 0, &err) != FHA_OK)
	{
		supervisor_warn(self, "node_not_opened", "%s", err.text);
		fha_ownership_release(&self->ownership);
		self->own_again_at_ms = fha_now_ms() + OWN_WAIT_MS;
	}
	else
		fha_node_share(self->node, &self->watermark->speakers);
}

/* Read the stopped data directory: once for what it is, once more for where its WAL ends. */
static void
read_control(Supervisor *self)
{
	FhaError err;
	FhaCode code =
		postgres_control(self->bindir, self->config.data_directory, &self->control, &err);

	self->look_at_once = false;
	self->unreadable[0] = '\0';
	self->stopped.empty = code == FHA_NOT_FOUND;
	self->stopped.read = code == FHA_OK || self->stopped.empty;
	if (code == FHA_OK)
		postgres_tell(&self->control, &self->stopped);
	else if (!self->stopped.empty)
	{
		(void) snprintf(self->unreadable, sizeof(self->unreadable), "%.*s", FHA_SENTENCE_SIZE - 1,
						err.text);
		fha_tame(self->unreadable);
		supervisor_warn(self, "data_unreadable", "%s", err.text);
		fha_starts_failed(&self->starts, fha_now_ms());
	}
}

/* What an interrupted promotion has left of itself. */
static void
read_mark(Supervisor *self)
{
	FhaError err;
	FhaCode code = fha_promotion_read(&self->config, &self->stopped.promoting_from, &err);

	if (code != FHA_OK && code != FHA_NOT_FOUND)
		supervisor_warn(self, "promotion_mark_unreadable", "%s", err.text);
}

/* A signal that this process has not taken yet: it waits for a program meanwhile. */
static bool
told_to_stop(void)
{
	sigset_t pending;

	return sigpending(&pending) == 0 &&
		   (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1 ||
			sigismember(&pending, SIGQUIT) == 1);
}

/* Where does the WAL end, and what had been acknowledged? */
static void
read_end(Supervisor *self)
{
	FhaStopped *stopped = &self->stopped;
	FhaEndSearch search;
	uint32_t hollow = 0;
	FhaError err;
	FhaCode code;

	read_mark(self);
	search = fha_stopped_search(stopped, self->action.holds_lease, self->action.position);
	process_end_when(search.ends_at_stop ? told_to_stop : NULL);
	code = postgres_end_of_all_wal(self->bindir, self->config.data_directory, &self->control,
								   search.newest, search.from, fha_now_ms() + search.limit_ms,
								   &stopped->end, &hollow, &err);
	process_end_when(NULL);
	if (code == FHA_OK && hollow != 0)
	{
		supervisor_say(
			self, "timeline_hollow",
			"timeline %u was only begun to be received: its WAL ends before its own begins",
			(unsigned) hollow);
		code = postgres_drop_hollow(self->config.data_directory, hollow, &err);
	}
	if (code != FHA_OK)
		supervisor_warn(self, "wal_end_unreadable", "the end of the WAL could not be read: %s",
						err.text);
	stopped->end_sought = true;
	stopped->end_found = code == FHA_OK;
	stopped->lineage_count =
		postgres_lineage(self->config.data_directory, stopped->end.timeline, stopped->lineage);
	stopped->lacking = postgres_lacking(self->config.data_directory);
	stopped->acked_counts = self->watermark_counts;
	stopped->acked = atomic_load(&self->watermark->acked_lsn);
}

/* What there is to know of the data of a node with no process of PostgreSQL. */
static void
read_data(Supervisor *self)
{
	FhaStopped *stopped = &self->stopped;
	bool job = self->job != 0;
	bool waits = !self->look_at_once && fha_starts_wait(&self->starts, fha_now_ms());

	if (fha_stopped_task(stopped, self->has_action, job, self->action.reinit, waits) ==
		FHA_READ_CONTROL)
		read_control(self);
	if (stopped->read)
		stopped->damaged = rejoin_is_damaged(&self->config);
	if (fha_stopped_task(stopped, self->has_action, job, self->action.reinit, waits) ==
		FHA_READ_END)
		read_end(self);
}

static void
fill_view(Supervisor *self, FhaPgView *view)
{
	memset(view, 0, sizeof(*view));
	view->supervised = true;
	memcpy(view->ended, self->ended, sizeof(view->ended));
	memcpy(view->no_start, self->no_start, sizeof(view->no_start));
	memcpy(view->suspects, self->suspects, sizeof(view->suspects));
	if (self->unreadable[0] != '\0')
	{
		memcpy(view->no_start, self->unreadable, sizeof(view->no_start));
		view->suspects[0] = '\0';
	}
	view->stopping = self->stopping;
	view->job = self->job != 0;
	fha_starts_show(&self->starts, fha_now_ms(), view);
	view->state = FHA_PG_BUSY;
	if (self->liveness_fd < 0)
		return;
	read_data(self);
	fha_stopped_show(&self->stopped, self->action.reinit, view);
}

static void
start_job(Supervisor *self, int (*work)(void *))
{
	FhaError err;

	self->plan.config = &self->config;
	self->plan.bindir = self->bindir;
	(void) snprintf(self->plan.leader_address, sizeof(self->plan.leader_address), "%s",
					self->action.leader_address);
	(void) snprintf(self->plan.cluster_uuid, sizeof(self->plan.cluster_uuid), "%s",
					self->action.cluster_uuid);
	(void) snprintf(self->plan.cloned_for, sizeof(self->plan.cloned_for), "%s",
					self->action.node == FHA_NODE_CLONE && self->action.requested
						? self->action.request_id
						: "");
	self->plan.apart =
		self->action.node == FHA_NODE_CLONE ? self->action.apart : (FhaPosition){0, 0};
	self->plan.end = self->stopped.end_found ? self->stopped.end.lsn : FHA_LSN_UNREAD;
	self->job_kind = self->action.node;
	self->job = process_job(work, &self->plan, self->liveness_fd, &err);
	if (self->job < 0)
	{
		self->job = 0;
		supervisor_warn(self, "job_not_started", "%s", err.text);
		fha_starts_failed(&self->starts, fha_now_ms());
	}
}

/* Behind a proxy that may be meant; else nobody reaches this member, and nothing else says why. */
static void
say_of_port(const Supervisor *self)
{
	const char *colon = strrchr(self->config.address, ':');
	char port[16];
	FhaError err;

	if (colon == NULL ||
		postgres_setting(&self->config, self->bindir, "port", port, sizeof(port), &err) != FHA_OK)
		return;
	if (strcmp(port, colon + 1) != 0)
		supervisor_warn(self, "port_differs",
						"PostgreSQL listens on port %s, but others reach this member at "
						"fawkes_ha.address = %s",
						port, self->config.address);
}

/* It starts all the same, and its log has only that libpq had no password. */
static void
say_of_password(const Supervisor *self)
{
	FhaError err;

	if (rejoin_check_passfile(&self->config, &err) != FHA_OK)
		supervisor_warn(self, "standby_cannot_stream", "this standby cannot stream: %s", err.text);
}

static void
start_postgres(Supervisor *self, bool standby)
{
	FhaState state;
	FhaError err;
	bool changed;
	FhaCode code = FHA_OK;

	/*
	 * S7: what our own promotion left.  Any other later timeline was followed or led: without its
	 * history its WAL would be forgotten.  The WAL of ours would be taken for that of another's timeline of
	 * the number, once the history of that one comes.
	 */
	if (standby)
	{
		read_mark(self);
		code = fha_timeline_unreserve(self->config.data_directory,
									  fha_stopped_newest(&self->stopped), &err);
		if (code == FHA_OK && self->stopped.promoting_from != 0)
			code = postgres_drop_hollow(self->config.data_directory,
										fha_stopped_newest(&self->stopped) + 1, &err);
	}
	if (code == FHA_OK && standby)
		code = fha_timeline_drop_placeholders(self->config.data_directory, &err);
	if (code == FHA_OK && standby && self->action.leader[0] != '\0')
	{
		code = fha_state_load(&self->config, &state, &err);
		if (code == FHA_OK)
			code = fha_follow_write(&self->config, &state, self->action.leader_address, &changed,
									&err);
	}
	/* A holder is to be promoted: a restore_command that hangs would keep it from that. */
	if (code == FHA_OK && standby)
		code = fha_follow_commands(&self->config,
								   self->action.holds_lease ? FHA_COMMANDS_OFF : FHA_COMMANDS_KEPT,
								   &changed, &err);
	/* An adopted database: its other members are to have the password that the role gets. */
	if (code == FHA_OK && !standby && fha_config_may_found(&self->config))
		code = rejoin_make_password(&self->config, &err);
	/* One that comes back would make a later start forget a timeline that this server followed. */
	if (code == FHA_OK)
		code = fha_promotion_unmark(&self->config, &err);
	if (code == FHA_OK)
		code = postgres_configure(&self->config, &err);
	atomic_store(&self->watermark->acked_lsn, fha_stopped_acked_at_start(&self->stopped, standby));
	atomic_store(&self->watermark->streaming, 0);
	atomic_store(&self->watermark->stop_asked, 0);
	self->watermark->last_words[0] = '\0';
	supervisor_note_settings(self);
	memcpy(self->watermark->started_for, self->action.request_id,
		   sizeof(self->watermark->started_for));
	if (code == FHA_OK)
		code = postgres_start(&self->config, self->bindir, standby,
							  &(PostgresFds){.liveness = self->liveness_fd,
											 .watermark = self->watermark_fd,
											 .listen = self->listen_fd},
							  self->incarnation, &self->postmaster, &err);
	if (code != FHA_OK)
	{
		self->postmaster = 0;
		supervisor_warn(self, "server_not_started", "PostgreSQL could not be started: %s",
						err.text);
		supervisor_note_no_start(self, err.text);
		fha_starts_failed(&self->starts, fha_now_ms());
		return;
	}
	say_of_port(self);
	if (standby)
		say_of_password(self);
	supervisor_say(self, "server_started", "started PostgreSQL as a %s (process %d)",
				   standby ? "standby" : "primary", (int) self->postmaster);
	/* Only the processes of PostgreSQL keep the liveness lock from now on, so that we can ask. */
	(void) close(self->liveness_fd);
	self->liveness_fd = -1;
	fha_node_liveness_held(self->node, false);
	self->watermark_counts = true;
	self->listen_passed = self->listen_fd >= 0;
	self->old_forgotten = false;
	self->started_at_ms = fha_now_ms();
	self->library_seen = false;
	self->busy_at_ms = self->started_at_ms;
}

/* Started by hand, it holds no liveness lock: nothing may touch its files before it is gone. */
static bool
meets_foreign(Supervisor *self)
{
	self->foreign = postgres_running(&self->config);
	if (self->foreign == 0)
		return false;
	supervisor_warn(self, "server_of_others",
					"PostgreSQL was started here by somebody else (process %d): watching over it",
					(int) self->foreign);
	(void) close(self->liveness_fd);
	self->liveness_fd = -1;
	if (self->node != NULL)
		fha_node_liveness_held(self->node, false);
	/* It does not write into our page: what stands there is of an earlier server. */
	self->watermark_counts = false;
	self->library_seen = false;
	self->busy_at_ms = fha_now_ms();
	return true;
}

static void
supervisor_act(Supervisor *self)
{
	/* Once more, just before anything is touched. */
	if (self->action.node == FHA_NODE_HOLD || meets_foreign(self))
		return;
	switch (self->action.node)
	{
		case FHA_NODE_INITDB:
			start_job(self, rejoin_initdb);
			break;
		case FHA_NODE_CLONE:
			start_job(self, rejoin_clone);
			break;
		case FHA_NODE_REWIND:
			start_job(self, rejoin_rewind);
			break;
		case FHA_NODE_START_PRIMARY:
			start_postgres(self, false);
			break;
		case FHA_NODE_START_STANDBY:
			start_postgres(self, true);
			break;
		case FHA_NODE_HOLD:
		case FHA_NODE_PROMOTE:
		case FHA_NODE_FOLLOW:
		case FHA_NODE_STOP:
			break;
	}
}

/* What an operator asks for is not kept waiting by a pause, nor is what may mend a server. */
static void
mind_requests(Supervisor *self)
{
	FhaError err;

	fha_starts_heed_request(&self->starts, self->action.requested ? self->action.request_id : NULL);
	if (fha_starts_heed_settings(&self->starts, self->action.settings_changes,
								 self->no_start[0] != '\0') &&
		supervisor_reload(self, &err) != FHA_OK)
		supervisor_warn(self, "settings_not_taken", "settings are kept as they were: %s", err.text);
}

FhaCode
supervisor_reload(Supervisor *self, FhaError *err)
{
	FhaConfig config = self->config;
	FhaCode code = fha_settings_read(&config, err);

	if (code == FHA_OK)
		code = fha_config_check(&config, err);
	if (code != FHA_OK)
		return code;
	self->config = config;
	if (self->node != NULL)
		fha_node_configure(self->node, &self->config);
	return FHA_OK;
}

int64_t
supervisor_turn(Supervisor *self)
{
	FhaPgView view;
	FhaError err;
	char news[FHA_NEWS_SIZE];
	int64_t wake_at_ms;

	/* What a clone replaced is kept until the clone is seen to work (S11). */
	if (atomic_exchange(&self->watermark->streaming, 0) != 0 && !self->old_forgotten)
	{
		rejoin_forget_old(&self->config);
		self->old_forgotten = true;
	}
	/* pg_ctl may be faster than we are; what was read of the directory does not hold any more. */
	if (self->liveness_fd >= 0 && self->job == 0)
		(void) meets_foreign(self);
	if (self->node == NULL)
		return fha_now_ms() + (self->agent_pidfd >= 0 && !self->stopping ? IDLE_MS : POLL_MS);
	fill_view(self, &view);
	if (fha_node_step(self->node, &view, &self->action, &err) != FHA_OK)
		supervisor_warn(self, "step_failed", "%s", err.text);
	while (fha_node_news(self->node, news, sizeof(news)))
		supervisor_pass(self, news);
	mind_requests(self);
	wake_at_ms = self->action.wake_at_ms;
	/* Now that the record was read, the end of the WAL can be searched from its position. */
	if (!self->has_action && self->action.read)
	{
		self->has_action = true;
		wake_at_ms = fha_now_ms();
	}
	if (view.state == FHA_PG_DOWN && !view.job && !self->stopping &&
		!fha_starts_wait(&self->starts, fha_now_ms()))
		supervisor_act(self);
	if (fha_starts_wait(&self->starts, fha_now_ms()))
		wake_at_ms = fha_sooner(wake_at_ms, self->starts.start_again_at_ms);
	if (self->liveness_fd < 0)
		wake_at_ms = fha_sooner(
			wake_at_ms, fha_now_ms() + (self->orphaned_at_ms != 0 ? ORPHAN_POLL_MS : POLL_MS));
	return wake_at_ms;
}
