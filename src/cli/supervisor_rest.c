/*
 * supervisor_rest.c: what keeps a server that stops fast from ending.
 *
 * Nobody can write meanwhile, and the lease is released only when the last
 * process that inherited the liveness lock is gone.  A program that a session
 * started (COPY ... PROGRAM) makes it deaf to PostgreSQL's own signals; the
 * archiver goes on with archive_command after all else has ended.
 */
#include "cli/supervisor.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/process.h"
#include "config/state_directory.h"
#include "node/state.h"

#define LOOK_MS 250
/* A session's program may end by itself for so long. */
#define PROGRAM_WAIT_MS 3000
/* One file may take the archiver so long when everything else is done, and all that wait so long. */
#define ARCHIVER_WAIT_MS 3000
#define ARCHIVER_MOST_MS 10000
/* From SIGTERM to SIGKILL. */
#define HARDER_MS 1000
#define PROCESSES_MAX 8192

/* Its title after "postgres: " and the cluster's name, if it has one. */
static bool
is_titled(pid_t pid, const char *what)
{
	char title[FHA_TITLE_SIZE];

	process_title(pid, title, sizeof(title));
	return strncmp(title, "postgres: ", 10) == 0 && strstr(title + 10, what) != NULL;
}

static pid_t
rest_find_child(const ProcessEntry *list, size_t count, pid_t parent, const char *title)
{
	for (size_t i = 0; i < count; i++)
		if (list[i].parent == parent && (title == NULL || is_titled(list[i].pid, title)))
			return list[i].pid;
	return 0;
}

/* Programs of all processes but the archiver, which may still do what it is there for. */
static void
end_programs(Supervisor *self, const ProcessEntry *list, size_t count, pid_t server, pid_t archiver,
			 const char *liveness, int64_t now_ms)
{
	int number = SIGTERM;
	int told = 0;

	if (now_ms < self->stop_began_at_ms + PROGRAM_WAIT_MS)
		return;
	if (self->rest.told_at_ms != 0 && now_ms >= self->rest.told_at_ms + HARDER_MS)
		number = SIGKILL;
	for (size_t i = 0; i < count; i++)
		if (list[i].parent == server && list[i].pid != archiver)
			told += process_signal_programs(list, count, list[i].pid, liveness, number);
	if (told > 0 && self->rest.told_at_ms == 0)
	{
		self->rest.told_at_ms = now_ms;
		supervisor_say(
			self, "programs_ended",
			"%d programs that sessions of PostgreSQL have started hold up its stop: they "
			"are ended",
			told);
	}
}

static int
count_ready(const Supervisor *self)
{
	char path[FHA_PATH_SIZE + 32];
	const struct dirent *entry;
	int count = 0;
	DIR *directory;

	(void) snprintf(path, sizeof(path), "%s/pg_wal/archive_status", self->config.data_directory);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
	{
		size_t length = strlen(entry->d_name);

		count += length > 6 && strcmp(entry->d_name + length - 6, ".ready") == 0;
	}
	if (directory != NULL)
		(void) closedir(directory);
	return count;
}

/* Is everything done but archiving?  Then the position is known, and nothing is written any more. */
static bool
is_archiver_alone(Supervisor *self, const ProcessEntry *list, size_t count, pid_t server)
{
	PgControl control;
	FhaError err;

	return rest_find_child(list, count, server, "walsender") == 0 &&
		   postgres_control(self->bindir, self->config.data_directory, &control, &err) == FHA_OK &&
		   control.clean;
}

static void
end_archiver(Supervisor *self, const ProcessEntry *list, size_t count, pid_t archiver,
			 const char *liveness, int64_t now_ms)
{
	Rest *rest = &self->rest;
	pid_t command = rest_find_child(list, count, archiver, NULL);
	int number = SIGTERM;

	if (rest->first_at_ms == 0)
		rest->first_at_ms = now_ms;
	/* It goes from file to file. */
	if (rest->alone_at_ms == 0 || (command != 0 && command != rest->command))
		rest->alone_at_ms = now_ms;
	rest->command = command;
	if (rest->archiver_told_at_ms == 0)
	{
		if (now_ms < rest->alone_at_ms + ARCHIVER_WAIT_MS &&
			now_ms < rest->first_at_ms + ARCHIVER_MOST_MS)
			return;
		supervisor_say(self, "archiver_ended",
					   "only the archiver is left and does not end: it is ended; %d files wait in "
					   "pg_wal/archive_status, until this member leads again",
					   count_ready(self));
		rest->archiver_told_at_ms = now_ms;
	}
	else if (now_ms < rest->archiver_told_at_ms + HARDER_MS)
		return;
	else
		number = SIGKILL;
	/* It hears a signal once its command has ended. */
	(void) kill(archiver, number);
	(void) process_signal_programs(list, count, archiver, liveness, number);
}

void
supervisor_mind_rest(Supervisor *self, pid_t server)
{
	static ProcessEntry list[PROCESSES_MAX];
	char liveness[FHA_PATH_SIZE];
	int64_t now_ms = fha_now_ms();
	pid_t archiver;
	size_t count;
	FhaError err;

	if (server == 0 || now_ms < self->stop_began_at_ms + LOOK_MS ||
		now_ms < self->rest.looked_at_ms + LOOK_MS ||
		fha_state_path(&self->config, "life", liveness, sizeof(liveness), &err) != FHA_OK)
		return;
	self->rest.looked_at_ms = now_ms;
	count = process_list(list, PROCESSES_MAX);
	archiver = rest_find_child(list, count, server, "archiver");
	end_programs(self, list, count, server, archiver, liveness, now_ms);
	if (archiver != 0 && is_archiver_alone(self, list, count, server))
		end_archiver(self, list, count, archiver, liveness, now_ms);
}
