/*
 * ready.c: which WAL files wait to be archived.  See backup/ready.h.
 */
#include "backup/ready.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool
ready_is_history(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot != NULL && strcmp(dot, ".history") == 0;
}

/* Is `a` archived before `b`?  Of two names of WAL files. */
static bool
ready_is_before(const char *a, const char *b)
{
	bool a_is_history = ready_is_history(a);
	bool b_is_history = ready_is_history(b);

	return a_is_history == b_is_history ? strcmp(a, b) < 0 : a_is_history;
}

/* How many of the names that are kept do not come after that one. */
static size_t
ready_place(const FhaReady *ready, const char *name)
{
	size_t low = 0;
	size_t high = ready->count;

	while (low < high)
	{
		size_t middle = (low + high) / 2;

		if (ready_is_before(name, ready->names[middle]))
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Keep it, if it is among the first ones. */
static void
ready_keep(FhaReady *ready, const char *name)
{
	size_t place = ready_place(ready, name);

	if (place == FHA_READY_MAX)
		return;
	if (ready->count < FHA_READY_MAX)
		ready->count++;
	memmove(ready->names[place + 1], ready->names[place],
			(ready->count - 1 - place) * sizeof(ready->names[0]));
	(void) snprintf(ready->names[place], sizeof(ready->names[0]), "%s", name);
}

/* The name of the file that an entry of archive_status says is ready. */
static bool
ready_name(const char *entry, char out[FHA_WAL_FILE_SIZE])
{
	static const char suffix[] = ".ready";
	size_t size = strlen(entry);
	FhaWalFile file;

	if (size < sizeof(suffix) || size - (sizeof(suffix) - 1) >= FHA_WAL_FILE_SIZE ||
		strcmp(entry + size - (sizeof(suffix) - 1), suffix) != 0)
		return false;
	size -= sizeof(suffix) - 1;
	memcpy(out, entry, size);
	out[size] = '\0';
	return fha_wal_file_parse(out, &file);
}

static FhaCode
ready_read(FhaReady *ready, const char *directory, const char *file, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char name[FHA_WAL_FILE_SIZE];
	const struct dirent *entry;
	DIR *folder;
	int failed;

	ready->count = 0;
	ready->backlog = 0;
	(void) snprintf(path, sizeof(path), "%s/archive_status", directory);
	folder = opendir(path);
	if (folder == NULL)
		return fha_error_errno(err, errno == ENOMEM ? FHA_NO_MEMORY : FHA_IO, "\"%.120s\"", path);
	while ((void) (errno = 0), (entry = readdir(folder)) != NULL)
	{
		if (!ready_name(entry->d_name, name))
			continue;
		ready->backlog++;
		if (ready_is_before(file, name))
			ready_keep(ready, name);
	}
	failed = errno;
	(void) closedir(folder);
	errno = failed;
	return failed == 0 ? FHA_OK : fha_error_errno(err, FHA_IO, "\"%.120s\"", path);
}

FhaCode
fha_ready_after(FhaReady *ready, const char *directory, const char *file, size_t wanted,
				const char **out, size_t *count, FhaError *err)
{
	FhaCode code = FHA_OK;
	size_t place = ready_place(ready, file);

	if (ready->count - place < wanted)
	{
		code = ready_read(ready, directory, file, err);
		place = 0;
	}
	*count = ready->count - place < wanted ? ready->count - place : wanted;
	for (size_t i = 0; i < *count; i++)
		out[i] = ready->names[place + i];
	return code;
}
