/*
 * cmd_restore_wal.c: `fawkes-ha restore-wal`, PostgreSQL's restore_command: a file of WAL out of the archive.
 *
 * What PostgreSQL makes of its end: 0: the file is there.  1 to 125: it is not in the archive: recovery ends, and the server is
 * promoted; a standby asks again later.  Above 125: the server ends.
 *
 * So under recovery.signal 1 is said only if it is proved that the file is not there; anything else is tried for as long as --wait
 * says, and then ends the server, which can be started again.  A standby's gets no such end: it is told 1 within a second,
 * whatever the store does, because its startup process waits for us and may be about to lead.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "backup/backup_info.h"
#include "backup/fetch.h"
#include "backup/place.h"
#include "backup/spool.h"
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/files.h"
#include "store/store.h"

#define RESTORE_NOT_THERE 1
#define RESTORE_ENDS_SERVER \
	200 /* above 125, and not what a shell says of a signal that PostgreSQL sends */
#define STANDBY_FETCH_MS 600
#define STANDBY_END_MS 900
#define AGAIN_MS 5000
#define LOOK_MS 20
#define AHEAD_BYTES_MAX (UINT64_C(256) << 20)

typedef struct RestoreWal
{
	const CliOptions *options;
	const char *file;
	const char *target;
	bool is_standby;
	bool has_spool;
	FhaSpool spool;
	FhaBackupPlace place;
	FhaFetchSettings settings;
	int64_t deadline_at_ms;
	char suffix[FHA_FETCH_SUFFIX_SIZE];
} RestoreWal;

/* PostgreSQL runs us in the data directory, and goes by the same file. */
static bool
restore_wal_is_for_standby(const CliOptions *options)
{
	return options->standby || files_exists("standby.signal");
}

static int
restore_wal_exit(bool is_standby, FhaCode code)
{
	if (code == FHA_OK)
		return CLI_OK;
	return code == FHA_NOT_FOUND || is_standby ? RESTORE_NOT_THERE : RESTORE_ENDS_SERVER;
}

int
cli_restore_wal_refused(void)
{
	return restore_wal_exit(files_exists("standby.signal"), FHA_INVALID);
}

/* The identifier of the system that is recovered, or 0. */
static uint64_t
restore_wal_system(void)
{
	uint64_t systemid = 0;
	int fd = open("global/pg_control", O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, &systemid, sizeof(systemid)) != (ssize_t) sizeof(systemid))
		systemid = 0;
	if (fd >= 0)
		(void) close(fd);
	return systemid;
}

static void
restore_wal_end_in_time(int number)
{
	(void) number;
	_exit(RESTORE_NOT_THERE);
}

/* Whatever hangs, a disk or a library too. */
static void
restore_wal_watch_time(void)
{
	const struct itimerval once = {.it_value = {.tv_usec = STANDBY_END_MS * 1000}};

	(void) signal(SIGALRM, restore_wal_end_in_time);
	(void) setitimer(ITIMER_REAL, &once, NULL);
}

static void
restore_wal_wait(int fd, int64_t wake_at_ms)
{
	int64_t wait_ms = wake_at_ms - fha_now_ms();
	struct pollfd readable = {.fd = fd, .events = POLLIN};

	(void) poll(&readable, 1, wait_ms < 0 ? 0 : wait_ms > AGAIN_MS ? AGAIN_MS : (int) wait_ms);
}

static FhaCode
restore_wal_open(const RestoreWal *self, FhaStore **store, FhaFetch **fetch, FhaError *err)
{
	FhaCode code = fha_store_open(store, &self->place.store, err);

	*fetch = NULL;
	if (code == FHA_OK)
	{
		code = fha_fetch_open(fetch, *store, &self->settings, err);
		if (code != FHA_OK)
			fha_store_close(*store);
	}
	if (code == FHA_OK)
		fha_fetch_guess(*fetch, self->suffix);
	return code;
}

/* From the store, to its end or to the deadline. */
static FhaCode
restore_wal_fetch(RestoreWal *self, FhaError *err)
{
	const FhaFetchFile file = {
		.file = self->file, .path = self->target, .deadline_at_ms = self->deadline_at_ms};
	FhaFetchAnswer answer;
	FhaStore *store;
	FhaFetch *fetch;
	FhaCode code = restore_wal_open(self, &store, &fetch, err);

	if (code != FHA_OK)
		return code;
	code = fha_fetch_start(fetch, &file, err);
	while (code == FHA_OK && (code = fha_fetch_step(fetch, &answer)) == FHA_AGAIN)
	{
		restore_wal_wait(fha_fetch_fd(fetch), fha_fetch_wake_at_ms(fetch));
		code = FHA_OK;
	}
	if (code == FHA_OK)
	{
		code = answer.code;
		*err = answer.error;
		fha_fetch_suffix(fetch, self->suffix);
	}
	fha_fetch_close(fetch);
	fha_store_close(store);
	return code;
}

/* What was fetched ahead; what is on its way is waited for, instead of fetching it twice. */
static FhaCode
restore_wal_take(const RestoreWal *self)
{
	FhaCode code;

	while ((code = fha_spool_take(&self->spool, &self->settings, self->file, self->target)) ==
			   FHA_AGAIN &&
		   fha_now_ms() < self->deadline_at_ms)
		restore_wal_wait(-1, fha_now_ms() + LOOK_MS);
	return code;
}

static FhaCode
restore_wal_get(RestoreWal *self, FhaError *err)
{
	FhaCode code = self->has_spool ? restore_wal_take(self) : FHA_NOT_FOUND;

	if (code == FHA_OK)
		return code;
	if (code == FHA_AGAIN)
		return fha_error(err, FHA_TIMEOUT, "%s is not there yet", self->file);
	for (;;)
	{
		code = restore_wal_fetch(self, err);
		if (code == FHA_OK || code == FHA_NOT_FOUND || code == FHA_INVALID || self->is_standby ||
			fha_now_ms() + AGAIN_MS >= self->deadline_at_ms)
			return code;
		cli_complain("%s: %s; trying again", self->file, err->text);
		restore_wal_wait(-1, fha_now_ms() + AGAIN_MS);
	}
}

/* --- ahead of recovery */

/* The server that is recovered; 0: we were called by hand. */
static pid_t
restore_wal_server(void)
{
	FILE *file = fopen("postmaster.pid", "re");
	int pid = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%d", &pid) != 1 || pid < 1)
		pid = 0;
	(void) fclose(file);
	return (pid_t) pid;
}

/* Nothing of PostgreSQL's stays open in the keeper: its locks and its log would wait for it. */
static void
restore_wal_leave(int lock_fd)
{
	int null = open("/dev/null", O_RDWR);

	(void) setsid();
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
		dup2(null, STDERR_FILENO) < 0 || dup2(lock_fd, STDERR_FILENO + 1) < 0 ||
		close_range(STDERR_FILENO + 2, UINT_MAX, 0) != 0 || chdir("/") != 0)
		_exit(CLI_FAILED);
}

static void
restore_wal_keep(RestoreWal *self, pid_t server)
{
	FhaStore *store;
	FhaFetch *fetch;
	FhaKeeper *keeper;
	int64_t wake_at_ms;

	if (restore_wal_open(self, &store, &fetch, NULL) != FHA_OK)
		return;
	if (fha_keeper_open(&keeper, &self->spool, fetch, AHEAD_BYTES_MAX, NULL) == FHA_OK)
	{
		while (fha_keeper_step(keeper, &wake_at_ms) == FHA_AGAIN &&
			   (server == 0 || kill(server, 0) == 0 || errno == EPERM))
			restore_wal_wait(fha_store_fd(store), wake_at_ms);
		fha_keeper_close(keeper);
	}
	fha_store_close(store);
}

/* Say where recovery is, and see to it that somebody fetches what comes next. */
static void
restore_wal_ahead(RestoreWal *self, FhaCode code)
{
	pid_t server = restore_wal_server();
	char path[PATH_MAX];
	struct stat segment;
	int lock_fd;

	fha_spool_say(&self->spool, self->file, self->suffix, code != FHA_OK);
	if (realpath(self->spool.path, path) == NULL || strlen(path) >= sizeof(self->spool.path))
		return;
	lock_fd = fha_spool_keep(&self->spool);
	if (lock_fd < 0)
		return;
	(void) snprintf(self->spool.path, sizeof(self->spool.path), "%.*s",
					(int) sizeof(self->spool.path) - 1, path);
	self->spool.segment_size = code == FHA_OK && stat(self->target, &segment) == 0
								   ? (uint64_t) segment.st_size
								   : FHA_DEFAULT_SEGMENT_SIZE;
	if (fork() == 0)
	{
		const struct itimerval never = {.it_value = {.tv_sec = 0}};

		(void) setitimer(ITIMER_REAL, &never, NULL);
		restore_wal_leave(lock_fd);
		restore_wal_keep(self, server);
		_exit(CLI_OK);
	}
	(void) close(lock_fd);
}

/* --- the command */

static FhaCode
restore_wal_prepare(RestoreWal *self, FhaError *err)
{
	FhaConfig config = self->options->config;
	FhaWalFile wal;
	FhaCode code = settings_file_read(&self->options->given, &config, err);

	if (code == FHA_OK)
		code = fha_backup_place_read(&self->place, &config, err);
	if (code == FHA_NOT_FOUND)
		code = FHA_INVALID; /* of the settings; nothing is known of the file */
	if (code != FHA_OK)
		return code;
	self->settings = (FhaFetchSettings){.server = self->place.server,
										.keys = self->place.is_sealed ? &self->place.keys : NULL,
										.systemid = restore_wal_system()};
	self->has_spool = fha_wal_file_parse(self->file, &wal) && wal.kind == FHA_WAL_SEGMENT &&
					  fha_spool_place(&self->spool, self->target);
	if (!self->has_spool || !fha_spool_last_suffix(&self->spool, self->suffix))
		(void) snprintf(self->suffix, sizeof(self->suffix), "%s%s",
						fha_compression_suffix(self->place.wal_compression),
						self->place.is_sealed ? FHA_ENCRYPTED_SUFFIX : "");
	return FHA_OK;
}

static int
run_restore_wal(CliOptions *options, int argc, char **argv)
{
	static RestoreWal self;
	FhaError err = {.text = ""};
	FhaCode code;

	(void) argc;
	(void) argv;
	self.options = options;
	self.file = options->operand;
	self.target = options->second_operand;
	self.is_standby = restore_wal_is_for_standby(options);
	if (self.is_standby)
		restore_wal_watch_time();
	self.deadline_at_ms =
		fha_now_ms() + (self.is_standby ? STANDBY_FETCH_MS : options->wait_s * INT64_C(1000));
	code = restore_wal_prepare(&self, &err);
	if (code == FHA_OK)
		code = restore_wal_get(&self, &err);
	if (code != FHA_OK && code != FHA_NOT_FOUND)
		cli_complain("%s: %s", self.file, err.text);
	if (self.has_spool && code != FHA_NOT_FOUND && (code == FHA_OK || self.is_standby))
		restore_wal_ahead(&self, code);
	/* Threads of a store that hangs are not waited for. */
	_exit(restore_wal_exit(self.is_standby, code));
}

const CliCommand command_restore_wal = {
	"restore-wal",
	"--config FILE [-c NAME=VALUE] [--standby] [--wait SECONDS] FILE PATH",
	"PostgreSQL's restore_command: fetch a file of WAL from the archive, and what comes next ahead",
	run_restore_wal,
	"gcSw",
	"FILE PATH",
	true,
};
