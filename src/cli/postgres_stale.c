/*
 * postgres_stale.c: lock files of a server that is gone.
 *
 * PostgreSQL believes a lock file when any process of its user has the number in
 * it.  In a container numbers come back soon, and a killed server may stay a
 * zombie: such a server would refuse to start for ever.
 */
#include "postgres.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "state.h"

#define LOCK_FILE_MAX 8192

/* Does a process with this number run, and is it PostgreSQL?  In doubt yes. */
static bool
is_live_server(int pid)
{
	char path[48];
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
	return files_remove(path, err);
}

/*
 * Put our own number into the file: PostgreSQL ignores its parent's, but still looks
 * whether orphans of the dead server use its shared memory, which it finds in there.
 */
static FhaCode
take_over(const char *path, FhaError *err)
{
	char fresh[LOCK_FILE_MAX + 32];
	char *content;
	const char *rest;
	int length;
	int pid;
	FhaCode code = fha_file_read(path, LOCK_FILE_MAX, &content, err);

	if (code != FHA_OK)
		return code == FHA_NOT_FOUND ? FHA_OK : code;
	pid = (int) strtol(content, NULL, 10);
	rest = strchr(content, '\n');
	if (content[0] == '\0')
		code = remove_empty(path, err);
	else if (pid > 0 && rest != NULL && !is_live_server(pid))
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
	char path[FHA_PATH_MAX + 64];
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", config->data_directory);
	code = take_over(path, err);
	if (code != FHA_OK || config->socket_directory[0] == '\0')
		return code;
	(void) snprintf(path, sizeof(path), "%s/.s.PGSQL.%d.lock", config->socket_directory,
					config->port);
	return take_over(path, err);
}
