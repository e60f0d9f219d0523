/*
 * spool.c: segments ahead of recovery.  See spool.h.
 */
#include "backup/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lsn.h"

#define AT_SIZE 64

typedef struct Asked
{
	char file[FHA_WAL_NAME_SIZE];
	char suffix[FHA_FETCH_SUFFIX_SIZE];
	uint32_t timeline;
	uint64_t number;
	bool is_wanted;
	int64_t said_at_ms; /* when it was said */
} Asked;

struct FhaKeeper
{
	FhaSpool spool;
	FhaFetch *fetch;
	uint64_t bytes_max;
	Asked asked;
	uint64_t next; /* number of the segment to fetch next */
	bool is_at_end;
	int64_t look_at_ms;
	int64_t called_at_ms;
};

/* --- names */

static bool
spool_path(const FhaSpool *spool, const char *name, char out[FHA_PATH_SIZE])
{
	return (size_t) snprintf(out, FHA_PATH_SIZE, "%s/%s", spool->path, name) < FHA_PATH_SIZE;
}

bool
fha_spool_place(FhaSpool *out, const char *target)
{
	static const char wal[] = "pg_wal";
	const char *slash = strrchr(target, '/');
	size_t length = slash == NULL ? 0 : (size_t) (slash - target);
	size_t last = sizeof(wal) - 1;

	out->segment_size = 0;
	if (length < last || memcmp(target + length - last, wal, last) != 0 ||
		(length > last && target[length - last - 1] != '/'))
		return false;
	return (size_t) snprintf(out->path, sizeof(out->path), "%.*s/" FHA_SPOOL_DIRECTORY,
							 (int) length, target) < sizeof(out->path);
}

/* What calls say of themselves: false: nothing that can be understood. */
static bool
spool_read_at(const FhaSpool *spool, Asked *out)
{
	char path[FHA_PATH_SIZE];
	char text[AT_SIZE] = "";
	struct stat seen;
	ssize_t got;
	int fd;

	*out = (Asked){.number = 0};
	if (!spool_path(spool, "at", path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	got = pread(fd, text, sizeof(text) - 1, 0);
	out->said_at_ms =
		fstat(fd, &seen) == 0 ? seen.st_mtim.tv_sec * 1000 + seen.st_mtim.tv_nsec / 1000000 : 0;
	(void) close(fd);
	if (got <= 0)
		return false;
	text[got] = '\0';
	/* "X +.gz\n", "X -.gz\n", with blanks at the end. */
	out->is_wanted = text[FHA_WAL_NAME_SIZE] == '+';
	(void) sscanf(text, "%24s %*1s%15s", out->file, out->suffix);
	return fha_segment_parse(out->file, spool->segment_size, &out->timeline,
							 spool->segment_size == 0 ? NULL : &out->number);
}

bool
fha_spool_last_suffix(const FhaSpool *spool, char out[FHA_FETCH_SUFFIX_SIZE])
{
	Asked asked;
	bool is_told = spool_read_at(spool, &asked);

	if (is_told)
		memcpy(out, asked.suffix, sizeof(asked.suffix));
	return is_told;
}

/* A torn one is not understood, or names a wrong segment to fetch: no more than work in vain. */
void
fha_spool_say(const FhaSpool *spool, const char *file, const char *suffix, bool is_wanted)
{
	char path[FHA_PATH_SIZE];
	char text[AT_SIZE];
	int length =
		snprintf(text, sizeof(text), "%-24s %c%-15s\n", file, is_wanted ? '+' : '-', suffix);
	int fd;

	if (!spool_path(spool, "at", path) || length < 0 || (size_t) length >= sizeof(text) ||
		(mkdir(spool->path, 0700) != 0 && errno != EEXIST))
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return;
	if (pwrite(fd, text, (size_t) length, 0) != length)
		(void) unlink(path);
	(void) close(fd);
}

FhaCode
fha_spool_take(const FhaSpool *spool, const FhaFetchSettings *settings, const char *file,
			   const char *target)
{
	char path[FHA_PATH_SIZE];
	FhaCode code;

	if (!spool_path(spool, file, path))
		return FHA_NOT_FOUND;
	code = fha_fetch_check(settings, file, path, NULL);
	if (code == FHA_NOT_FOUND && fha_fetch_is_under_way(path))
		return FHA_AGAIN;
	/* What is not right is fetched by the call itself, which then knows why. */
	if (code == FHA_OK && rename(path, target) == 0)
		return FHA_OK;
	return FHA_NOT_FOUND;
}

int
fha_spool_keep(const FhaSpool *spool)
{
	char path[FHA_PATH_SIZE];
	int fd;

	if (!spool_path(spool, "keeper", path))
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
	{
		(void) close(fd);
		return -1;
	}
	return fd;
}

/* --- the keeper */

/* Is the file a segment that recovery may ask for next? */
static bool
keeper_wants(const FhaKeeper *keeper, const char *file)
{
	uint32_t timeline;
	uint64_t number;

	return fha_segment_parse(file, keeper->spool.segment_size, &timeline, &number) &&
		   timeline == keeper->asked.timeline && number >= keeper->asked.number;
}

/* Removes what is not wanted, or all; how many segments are left. */
static uint64_t
keeper_sweep(const FhaKeeper *keeper, bool all)
{
	DIR *directory = opendir(keeper->spool.path);
	struct dirent *entry;
	uint64_t left = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
	{
		char path[FHA_PATH_SIZE];
		char name[FHA_WAL_NAME_SIZE];
		bool is_ours;

		(void) snprintf(name, sizeof(name), "%.24s", entry->d_name);
		is_ours = strcmp(entry->d_name, "at") == 0 || strcmp(entry->d_name, "keeper") == 0;
		if (entry->d_name[0] == '.' || !spool_path(&keeper->spool, entry->d_name, path))
			continue;
		if (!all && !is_ours && keeper_wants(keeper, name))
			left += strcmp(entry->d_name, name) == 0; /* else it is on its way */
		else if (all || !is_ours)
			(void) unlink(path);
	}
	if (directory != NULL)
		(void) closedir(directory);
	return left;
}

static bool
keeper_disk_has_room(const FhaKeeper *keeper)
{
	struct statvfs disk;

	return statvfs(keeper->spool.path, &disk) == 0 &&
		   (uint64_t) disk.f_bavail * disk.f_frsize >= 2 * keeper->bytes_max;
}

static bool
keeper_start(FhaKeeper *keeper, uint64_t number)
{
	char name[FHA_WAL_NAME_SIZE];
	char path[FHA_PATH_SIZE];
	FhaFetchFile file = {
		.file = name, .path = path, .deadline_at_ms = fha_now_ms() + FHA_SPOOL_FETCH_MS};

	fha_segment_name(keeper->asked.timeline, number * keeper->spool.segment_size,
					 keeper->spool.segment_size, name);
	if (!spool_path(&keeper->spool, name, path))
		return false;
	return access(path, F_OK) == 0 || fha_fetch_start(keeper->fetch, &file, NULL) == FHA_OK;
}

/* Where is recovery?  Another place than what comes next, as after a change of timelines, is where it begins anew. */
static void
keeper_look(FhaKeeper *keeper, int64_t now_ms)
{
	Asked asked;
	uint64_t ahead = keeper->bytes_max / keeper->spool.segment_size;
	uint64_t first;
	bool is_new;

	keeper->look_at_ms = now_ms + FHA_SPOOL_LOOK_MS;
	if (!spool_read_at(&keeper->spool, &asked))
		return;
	first = asked.number + (asked.is_wanted ? 0 : 1);
	is_new = asked.said_at_ms != keeper->asked.said_at_ms;
	if (is_new)
		keeper->called_at_ms = now_ms;
	if (strcmp(asked.file, keeper->asked.file) != 0 || (is_new && asked.is_wanted))
		keeper->is_at_end = false;
	if (asked.timeline != keeper->asked.timeline || first > keeper->next ||
		first + ahead < keeper->next)
		keeper->next = first;
	keeper->asked = asked;
	fha_fetch_guess(keeper->fetch, asked.suffix);
}

/* What failed shows again when it is asked for, and then in words. */
static void
keeper_failed(FhaKeeper *keeper, const FhaFetchAnswer *answer)
{
	uint32_t timeline;
	uint64_t number;

	if (answer->code == FHA_OK || answer->code == FHA_CONFLICT ||
		!keeper_wants(keeper, answer->file))
		return;
	keeper->is_at_end = true;
	if (fha_segment_parse(answer->file, keeper->spool.segment_size, &timeline, &number) &&
		number < keeper->next)
		keeper->next = number;
}

/* What is asked for next, as far as it may be here. */
static void
keeper_fill(FhaKeeper *keeper)
{
	uint64_t held = keeper_sweep(keeper, false) + fha_fetch_count(keeper->fetch);

	while (!keeper->is_at_end && keeper->asked.file[0] != '\0' &&
		   fha_fetch_count(keeper->fetch) < FHA_SPOOL_PARALLEL &&
		   (held + 1) * keeper->spool.segment_size <= keeper->bytes_max &&
		   keeper_disk_has_room(keeper) && keeper_start(keeper, keeper->next))
	{
		keeper->next++;
		held++;
	}
}

FhaCode
fha_keeper_open(FhaKeeper **out, const FhaSpool *spool, FhaFetch *fetch, uint64_t bytes_max,
				FhaError *err)
{
	FhaKeeper *keeper = calloc(1, sizeof(*keeper));

	*out = keeper;
	if (keeper == NULL)
	{
		fha_fetch_close(fetch);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	keeper->spool = *spool;
	keeper->fetch = fetch;
	keeper->bytes_max = bytes_max;
	keeper->called_at_ms = fha_now_ms();
	return FHA_OK;
}

FhaCode
fha_keeper_step(FhaKeeper *keeper, int64_t *wake_at_ms)
{
	int64_t now_ms = fha_now_ms();
	FhaFetchAnswer answer;

	while (fha_fetch_step(keeper->fetch, &answer) == FHA_OK)
		keeper_failed(keeper, &answer);
	if (now_ms >= keeper->look_at_ms)
		keeper_look(keeper, now_ms);
	keeper_fill(keeper);
	*wake_at_ms = fha_fetch_wake_at_ms(keeper->fetch);
	if (*wake_at_ms > keeper->look_at_ms)
		*wake_at_ms = keeper->look_at_ms;
	return now_ms - keeper->called_at_ms >= FHA_SPOOL_IDLE_MS ? FHA_OK : FHA_AGAIN;
}

void
fha_keeper_close(FhaKeeper *keeper)
{
	if (keeper == NULL)
		return;
	fha_fetch_close(keeper->fetch);
	(void) keeper_sweep(keeper, true);
	(void) rmdir(keeper->spool.path);
	free(keeper);
}
