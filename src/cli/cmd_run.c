/*
 * cmd_run.c: `fawkes-ha run`, the supervisor: fit to be process 1.
 *
 * One loop over signals, the lock, the agent's end and the clock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/process.h"
#include "cli/supervisor.h"
#include "lock/lock.h"

#define WATERMARK_NAME "fawkes_ha acknowledged"

/*
 * The ack watermark of a server that an earlier supervisor started: what it acknowledged, and whether
 * it has streamed.  -1: it has none that we may open.
 */
static int
find_watermark(pid_t server)
{
	static const char name[] = "/memfd:" WATERMARK_NAME;
	char path[PATH_MAX];
	char target[sizeof(name)];
	const struct dirent *entry;
	int found = -1;
	DIR *directory;

	(void) snprintf(path, sizeof(path), "/proc/%d/fd", (int) server);
	directory = opendir(path);
	while (directory != NULL && found < 0 && (entry = readdir(directory)) != NULL)
	{
		ssize_t length;

		(void) snprintf(path, sizeof(path), "/proc/%d/fd/%.16s", (int) server, entry->d_name);
		length = readlink(path, target, sizeof(target));
		if (length >= (ssize_t) sizeof(name) - 1 && strncmp(target, name, sizeof(name) - 1) == 0)
			found = open(path, O_RDWR | O_CLOEXEC);
	}
	if (directory != NULL)
		(void) closedir(directory);
	return found;
}

static FhaCode
open_watermark(Supervisor *self, FhaError *err)
{
	void *page;

	self->watermark_fd = self->foreign == 0 ? -1 : find_watermark(self->foreign);
	self->watermark_counts = self->watermark_fd >= 0;
	if (self->watermark_fd < 0)
		self->watermark_fd = memfd_create(WATERMARK_NAME, MFD_CLOEXEC);
	if (self->watermark_fd < 0 || ftruncate(self->watermark_fd, sizeof(FhaWatermark)) != 0)
		return fha_error_errno(err, FHA_IO, "memfd_create");
	page =
		mmap(NULL, sizeof(FhaWatermark), PROT_READ | PROT_WRITE, MAP_SHARED, self->watermark_fd, 0);
	if (page == MAP_FAILED)
		return fha_error_errno(err, FHA_IO, "mmap");
	self->watermark = page;
	return FHA_OK;
}

/*
 * The lease that a running server holds is that of the supervisor which started it.  Under another
 * incarnation we could not hand it over, nor keep it while that server stops.  One that was started
 * without a supervisor told its incarnation to nobody: it keeps it, and we ours.
 */
static void
inherit_incarnation(Supervisor *self)
{
	char given[FHA_ID_SIZE];

	if (process_read_environment(self->foreign, FHA_ENV_INCARNATION, given, sizeof(given)) &&
		strlen(given) == FHA_ID_SIZE - 1)
		memcpy(self->incarnation, given, sizeof(given));
}

static FhaCode
set_up(Supervisor *self, FhaError *err)
{
	FhaLock *lock = NULL;
	bool changed = false;
	FhaCode code = fha_config_check(&self->config, err);

	/* A lock that cannot work is a mistake in the settings.  One that only does not answer is waited
	 * for, as by a node that runs. */
	if (code == FHA_OK)
		code = fha_lock_open(&lock, self->config.lock, self->config.cluster_name, true, err);
	if (lock != NULL)
		fha_lock_close(lock);
	if (code == FHA_OK)
		code = fha_state_prepare(&self->config, err);
	if (code == FHA_OK)
		code = supervisor_close_volume(self, err);
	if (code == FHA_OK)
		code = supervisor_take_mounts(self, &changed, err);
	if (code == FHA_OK)
		code = fha_random_hex(self->incarnation, sizeof(self->incarnation), err);
	if (code == FHA_OK)
		code = fha_ownership_open(&self->config, &self->ownership, err);
	if (code == FHA_OK && !fha_ownership_guard(&self->ownership))
		code = fha_error(
			err, FHA_INVALID,
			"another \"fawkes-ha run\" supervises this node already; stop that one first");
	if (code != FHA_OK)
		return code;
	code = fha_liveness_take(&self->config, &self->liveness_fd, err);
	if (code == FHA_CONFLICT)
	{
		/* An earlier supervisor is gone, its PostgreSQL is not: let it be, and take over its care. */
		self->liveness_fd = -1;
		self->foreign = postgres_running(&self->config);
		if (self->foreign != 0)
		{
			inherit_incarnation(self);
			supervisor_say(self, "watches_server",
						   "PostgreSQL runs already (process %d): watching over it",
						   (int) self->foreign);
		}
		else
			supervisor_say(self, "waits_for_processes",
						   "a process of this node's PostgreSQL, or another supervisor, "
						   "still lives: waiting for its end");
		code = FHA_OK;
	}
	return code == FHA_OK ? open_watermark(self, err) : code;
}

static int
open_signals(void)
{
	static const int wanted[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGCHLD};
	sigset_t set;

	(void) sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		(void) sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
take_signals(Supervisor *self, int fd)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == (ssize_t) sizeof(info))
		switch (info.ssi_signo)
		{
			case SIGHUP:
				supervisor_take_news(self);
				break;
			case SIGQUIT:
			case SIGTERM:
			case SIGINT:
				if (!self->stopping)
					supervisor_say(self, "told_to_stop", "told to stop");
				else
					self->hurry = true;
				self->stopping = true;
				break;
			default:
				break;
		}
}

static int
milliseconds_until(int64_t wake_at_ms)
{
	int64_t left_ms = wake_at_ms - fha_now_ms();

	if (left_ms < 0)
		left_ms = 0;
	return left_ms > 1000 ? 1000 : (int) left_ms;
}

/* Who asks over HTTP is answered meanwhile, and does not make the rest of the loop turn. */
static void
wait_until(const Supervisor *self, int signal_fd, int64_t wake_at_ms)
{
	FhaListener *listener = self->listener;
	struct pollfd fds[] = {
		{.fd = signal_fd, .events = POLLIN},
		{.fd = self->node == NULL ? -1 : fha_node_fd(self->node), .events = POLLIN},
		{.fd = self->agent_pidfd, .events = POLLIN},
		{.fd = listener == NULL ? -1 : fha_listener_fd(listener), .events = POLLIN}};
	int most_ms = milliseconds_until(wake_at_ms);
	int64_t ends_at_ms = fha_now_ms() + most_ms;

	do
	{
		int64_t next_at_ms = ends_at_ms;

		if (listener != NULL && fha_listener_wake_at_ms(listener) < next_at_ms)
			next_at_ms = fha_listener_wake_at_ms(listener);
		if (poll(fds, 4, milliseconds_until(next_at_ms)) < 0)
			return;
		if (listener != NULL)
			fha_listener_step(listener);
	} while (fds[0].revents == 0 && fds[1].revents == 0 && fds[2].revents == 0 &&
			 fha_now_ms() < ends_at_ms);
}

static bool
is_relative(const char *path)
{
	return path != NULL && path[0] != '\0' && path[0] != '/';
}

/* PostgreSQL and its programs do not start in a directory that was removed. "../" still leads out of one. */
static void
mind_directory(const Supervisor *self, const CliOptions *options)
{
	char here[PATH_MAX];

	if (is_relative(self->config.state_directory) || is_relative(self->bindir) ||
		is_relative(options->given.path))
		return;
	if (getcwd(here, sizeof(here)) == NULL && errno == ENOENT)
		(void) !chdir("/");
}

static int
cmd_run(CliOptions *options, int argc, char **argv)
{
	static Supervisor self;
	FhaError err;
	int signal_fd;

	(void) argc;
	(void) argv;
	if (geteuid() == 0)
	{
		cli_complain(
			"PostgreSQL does not run as root, so neither does its supervisor: start it as the "
			"user that owns the data directory (User= in a systemd unit; "
			"setpriv --reuid=USER --regid=USER --init-groups fawkes-ha run ...)");
		return CLI_USAGE;
	}
	if (options->config.data_directory[0] == '\0')
	{
		cli_complain("which node?  Give -D DATA, its data directory");
		return CLI_USAGE;
	}
	self.config = options->config;
	self.given = &options->given;
	self.config.supervised = true;
	self.liveness_fd = self.watermark_fd = self.agent_pidfd = self.listen_fd = -1;
	if (postgres_find(options->bindir, self.bindir, sizeof(self.bindir), &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_USAGE;
	}
	/* Orphans of a killed postmaster come to us, and not to some other init. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || (signal_fd = open_signals()) < 0)
	{
		cli_complain("could not become a subreaper or take signals: %s", strerror(errno));
		return CLI_FAILED;
	}
	(void) signal(SIGPIPE, SIG_IGN);
	if (set_up(&self, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_USAGE;
	}
	rejoin_log_as(self.config.member_name);
	supervisor_say(&self, "supervisor_begins", "supervisor of %s in cluster %s",
				   self.config.member_name, self.config.cluster_name);
	while (!supervisor_is_done(&self))
	{
		int64_t wake_at_ms;

		mind_directory(&self, options);
		take_signals(&self, signal_fd);
		supervisor_reap(&self);
		supervisor_check_liveness(&self);
		supervisor_mind_ownership(&self);
		supervisor_mind_listener(&self);
		supervisor_mind_mounts(&self);
		supervisor_mind_stop(&self);
		wake_at_ms = supervisor_turn(&self);
		if (!supervisor_is_done(&self))
			wait_until(&self, signal_fd, wake_at_ms);
	}
	supervisor_say(&self, "supervisor_ends", "stopped%s",
				   self.action.released ? "; the lease is released" : "");
	fha_listener_close(self.listener);
	fha_node_close(self.node);
	return CLI_OK;
}

const CliCommand command_run = {
	"run",
	"-D DATA [--state DIR] [--bin DIR] [--config FILE [-c NAME=VALUE]...]",
	"supervise this node: start, restart, rewind, clone and stop PostgreSQL as the cluster needs",
	cmd_run,
	"Dsbgc",
	NULL,
	false,
};
