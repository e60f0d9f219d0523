/*
 * postgres_stale.c: lock files of a server that is gone.
 *
 * PostgreSQL believes a lock file when any process of its user has the number in
 * it.  In a container and after a reboot numbers come back soon, also those of
 * another member's server; a killed server may stay a zombie; and a file-level copy
 * of a running server names that server.  A server would refuse to start for ever.
 */
#include "cli/postgres.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/process.h"
#include "node/state.h"

#define LOCK_FILE_SIZE 8193 /* with a NUL */

/* Does a process with this number run, and is it PostgreSQL?  In doubt yes. */
static bool
is_live_server(int pid)
{
	char path[FHA_PROC_PATH_SIZE];
	char *content;
	const char *name;
	const char *end;
	bool live;

	(void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (fha_file_read(path, 4096, &content, NULL) != FHA_OK)
		return access("/proc/self/stat", R_OK) != 0;
	name = strchr(content, '(');
	end = strrchr(content, ')');
	live = name == NULL || end == NULL ||
		   ((strncmp(name, "(postgres", 9) == 0 || strncmp(name, "(postmaster", 11) == 0) &&
			end[1] == ' ' && end[2] != 'Z' && end[2] != 'X');
	free(content);
	return live;
}

/*
 * A server works in its data directory from before its lock file is made until its end.  In doubt, as
 * of a directory that was moved, no.
 */
static bool
works_elsewhere(int pid, const char *directory)
{
	char path[FHA_PROC_PATH_SIZE];
	struct stat status;

	(void) snprintf(path, sizeof(path), "/proc/%d/cwd", pid);
	return stat(path, &status) == 0 && stat(directory, &status) == 0 &&
		   !process_works_in(pid, directory);
}

/*
 * A server that died between making the file and writing it: PostgreSQL refuses to start for ever.
 * One that somebody starts at this moment has a second to get on.
 */
static FhaCode
remove_empty(const char *path, FhaError *err)
{
	struct stat status;
	time_t age_s;

	if (stat(path, &status) != 0)
		return errno == ENOENT ? FHA_OK
							   : fha_error_errno(err, FHA_IO, "could not look at \"%.120s\"", path);
	age_s = time(NULL) - status.st_mtim.tv_sec;
	if (age_s >= 0 && age_s <= 1)
		return fha_error(err, FHA_CONFLICT, "\"%.120s\" is empty: is a server just starting?",
						 path);
	return fha_file_remove(path, err);
}

/* Without its sign: a server of one user, as a recovery before a rewind is, writes it as negative. */
static int
number_of(const char *content)
{
	long number = strtol(content, NULL, 10);

	return number > -INT_MAX && number < INT_MAX ? abs((int) number) : 0;
}

/*
 * Put our own number into the file: PostgreSQL ignores its parent's, but still looks
 * whether orphans of the dead server use its shared memory, which it finds in there.
 * data_directory: where the file's server works; NULL: where the file says.
 */
static FhaCode
lock_file_take_over(const char *path, const char *data_directory, FhaError *err)
{
	char fresh[LOCK_FILE_SIZE + 31];
	char directory[FHA_PATH_SIZE];
	char *content;
	const char *rest;
	int length;
	int pid;
	FhaCode code = fha_file_read(path, LOCK_FILE_SIZE - 1, &content, err);

	if (code != FHA_OK)
		return code == FHA_NOT_FOUND ? FHA_OK : code;
	pid = number_of(content);
	rest = strchr(content, '\n');
	if (data_directory != NULL)
		(void) snprintf(directory, sizeof(directory), "%s", data_directory);
	else
		(void) snprintf(directory, sizeof(directory), "%.*s",
						rest == NULL ? 0 : (int) strcspn(rest + 1, "\n"),
						rest == NULL ? "" : rest + 1);
	if (content[0] == '\0')
		code = remove_empty(path, err);
	else if (pid > 0 && rest != NULL && (!is_live_server(pid) || works_elsewhere(pid, directory)))
	{
		length = snprintf(fresh, sizeof(fresh), "%d%s", (int) getpid(), rest);
		code = fha_file_replace(path, fresh, (size_t) length, err);
	}
	free(content);
	return code;
}

FhaCode
postgres_forgive_dead(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE + 64];
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", config->data_directory);
	code = lock_file_take_over(path, config->data_directory, err);
	if (code != FHA_OK || config->socket_directory[0] == '\0')
		return code;
	(void) snprintf(path, sizeof(path), "%s/.s.PGSQL.%d.lock", config->socket_directory,
					config->port);
	return lock_file_take_over(path, NULL, err);
}
