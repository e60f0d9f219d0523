/*
 * sim_disk.c: the disk of state directories, which loses what was not flushed when the power fails.
 *
 * Files are real ones, below sim_root; processes read what those say.  The linker (--wrap, sim.mk) leads
 * the calls by which files change here, where it is kept what of them is durable: the content of a file
 * as its last fsync found it, and the names of a directory as its own last fsync found them.  A power
 * cut leaves
 *
 *  - of a file that was written since: the old content, the new, or a beginning of the new, alone or
 *    with zeros behind it;
 *  - of the creations, renames and removals since: none, all, the first ones, or any of them;
 *
 * and nothing else.  A kill leaves what processes would read.  Both may come before each such call, so
 * in the middle of a turn: what the host does in the rest of that event is seen by nobody (host->dead),
 * and the files are put back to what the end left.  A disk may also be full, or fail, for a time.
 */
#include "test/sim/sim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX 32
#define CHANGES_MAX 256
#define FDS_MAX 1024
#define FILE_NAME_SIZE 64

typedef struct Text
{
	char *of;
	size_t size;
} Text;

typedef struct File
{
	struct File *next; /* all of the scenario */
	Text content;      /* as processes read it */
	Text durable;
	bool is_dirty; /* written since the last fsync */
	bool is_lost;  /* an fsync failed: no later one makes durable what was written before */
} File;

typedef struct Name
{
	char name[FILE_NAME_SIZE];
	File *file;
} Name;

typedef struct Names
{
	size_t count;
	Name of[NAMES_MAX];
} Names;

/* Of a directory, and not flushed. */
typedef struct Change
{
	char goes[FILE_NAME_SIZE];  /* "": none does */
	char comes[FILE_NAME_SIZE]; /* "": none does */
	File *file;
} Change;

typedef struct Left
{
	char name[FILE_NAME_SIZE];
	Text content;
} Left;

typedef struct Disk
{
	Names names; /* as processes see them */
	Names durable;
	size_t change_count;
	Change changes[CHANGES_MAX];

	SimDiskEnd end; /* what comes ... */
	int end_in;     /* ... before the so manyth call from now; 0: nothing */
	bool has_ended; /* it has come: nothing is noted any more */
	size_t left_count;
	Left left[NAMES_MAX];

	int error;       /* calls fail with that, some of them; 0: none does */
	bool has_failed; /* one did since this process speaks: it knows what did not get there */
} Disk;

typedef struct Open
{
	Disk *disk; /* NULL: not of a state directory */
	File *file; /* NULL: the directory itself */
} Open;

static Disk disks[SIM_HOSTS];
static Open opened[FDS_MAX];
static File *files;

typedef int OpenCall(const char *path, int flags, ...);
typedef ssize_t WriteCall(int fd, const void *data, size_t size);
typedef int FdCall(int fd);
typedef int RenameCall(const char *from, const char *to);
typedef int PathCall(const char *path);

OpenCall __real_open;
OpenCall __wrap_open;
WriteCall __real_write;
WriteCall __wrap_write;
FdCall __real_fsync;
FdCall __wrap_fsync;
FdCall __real_close;
FdCall __wrap_close;
RenameCall __real_rename;
RenameCall __wrap_rename;
PathCall __real_unlink;
PathCall __wrap_unlink;

/* --- texts, files, names */

static void
text_set(Text *text, const char *from, size_t size)
{
	free(text->of);
	text->of = sim_alloc(size + 1);
	if (size > 0)
		memcpy(text->of, from, size);
	text->size = size;
}

static void
text_add(Text *text, const char *from, size_t size)
{
	text->of = realloc(text->of, text->size + size + 1);
	if (text->of == NULL)
		abort();
	memcpy(text->of + text->size, from, size);
	text->size += size;
}

static File *
file_make(void)
{
	File *file = sim_alloc(sizeof(*file));

	memset(file, 0, sizeof(*file));
	file->next = files;
	files = file;
	return file;
}

/* It may be the one that stands there. */
static void
name_set(char out[FILE_NAME_SIZE], const char *name)
{
	memmove(out, name, strlen(name) + 1);
}

static Name *
names_find(Names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->of[i].name, name) == 0)
			return &names->of[i];
	return NULL;
}

static void
names_put(Names *names, const char *name, File *file)
{
	Name *at = names_find(names, name);

	if (at == NULL)
	{
		if (names->count == NAMES_MAX)
			abort();
		at = &names->of[names->count++];
		name_set(at->name, name);
	}
	at->file = file;
}

static void
names_drop(Names *names, const char *name)
{
	Name *at = names_find(names, name);

	if (at != NULL)
		*at = names->of[--names->count];
}

static void
names_change(Names *names, const Change *change)
{
	if (change->goes[0] != '\0')
		names_drop(names, change->goes);
	if (change->comes[0] != '\0')
		names_put(names, change->comes, change->file);
}

static void
note_change(Disk *disk, const char *goes, const char *comes, File *file)
{
	Change *change = &disk->changes[disk->change_count++];

	if (disk->change_count == CHANGES_MAX)
		abort();
	name_set(change->goes, goes);
	name_set(change->comes, comes);
	change->file = file;
	names_change(&disk->names, change);
}

/* What was made just before, and is removed, may as well never have been. */
static void
note_removal(Disk *disk, const char *name)
{
	const Change *last = disk->change_count == 0 ? NULL : &disk->changes[disk->change_count - 1];

	if (last != NULL && last->goes[0] == '\0' && strcmp(last->comes, name) == 0)
	{
		disk->change_count--;
		names_drop(&disk->names, name);
	}
	else
		note_change(disk, name, "", NULL);
}

/* --- which disk is meant */

static SimHost *
host_of(const Disk *disk)
{
	return &sim_hosts[disk - disks];
}

/* The state directory's disk that the path lies on, and the file's name, "" for the directory; or NULL. */
static Disk *
disk_of(const char *path, const char **name)
{
	size_t root = strlen(sim_root);

	if (root == 0 || strncmp(path, sim_root, root) != 0)
		return NULL;
	/* Of a member that is being made too. */
	for (int i = 0; i < SIM_HOSTS; i++)
	{
		const char *directory = sim_hosts[i].config.state_directory;
		size_t length = strlen(directory);

		if (length == 0 || strncmp(path, directory, length) != 0 ||
			(path[length] != '/' && path[length] != '\0'))
			continue;
		*name = path[length] == '\0' ? "" : path + length + 1;
		if (strlen(*name) >= FILE_NAME_SIZE)
			abort();
		return &disks[i];
	}
	return NULL;
}

static void
path_of(const Disk *disk, const char *name, char *out, size_t size)
{
	(void) snprintf(out, size, "%s/%s", host_of(disk)->config.state_directory, name);
}

/* --- the end of all processes */

static void
leave(Disk *disk, const char *name, const char *content, size_t size)
{
	Left *left = &disk->left[disk->left_count++];

	name_set(left->name, name);
	left->content = (Text){NULL, 0};
	text_set(&left->content, content, size);
}

/* What a power cut leaves of a file that was written since its last fsync, or since one that failed. */
static void
leave_torn(Disk *disk, const char *name, const File *file)
{
	size_t size = file->content.size;
	size_t kept = (size_t) sim_machine_draw(size + 1);
	Text torn = {NULL, 0};

	switch (sim_machine_draw(4))
	{
		case 0:
			leave(disk, name, file->durable.of, file->durable.size);
			return;
		case 1:
			leave(disk, name, file->content.of, size);
			return;
		case 2:
			leave(disk, name, file->content.of, kept);
			return;
		default:
			text_set(&torn, file->content.of, size);
			memset(torn.of + kept, 0, size - kept);
			leave(disk, name, torn.of, size);
			free(torn.of);
			return;
	}
}

static void
draw_left(Disk *disk)
{
	Names names = disk->durable;
	uint64_t how = sim_machine_draw(4);
	size_t first = (size_t) sim_machine_draw(disk->change_count + 1);

	for (size_t i = 0; i < disk->change_count; i++)
		if (how == 0 || (how == 1 && i < first) || (how == 2 && sim_machine_draw(2) == 0))
			names_change(&names, &disk->changes[i]);
	for (size_t i = 0; i < names.count; i++)
	{
		const Name *name = &names.of[i];

		if (name->file->is_dirty || name->file->is_lost)
			leave_torn(disk, name->name, name->file);
		else
			leave(disk, name->name, name->file->durable.of, name->file->durable.size);
	}
}

static void
end_now(Disk *disk)
{
	SimHost *host = host_of(disk);

	disk->has_ended = true;
	disk->end_in = 0;
	disk->left_count = 0;
	host->dead = true;
	if (disk->end == SIM_POWER_CUT)
		draw_left(disk);
	else
		for (size_t i = 0; i < disk->names.count; i++)
			leave(disk, disk->names.of[i].name, disk->names.of[i].file->content.of,
				  disk->names.of[i].file->content.size);
	sim_trace(host->index, "%s: %zu changes of names were not flushed",
			  disk->end == SIM_POWER_CUT ? "its power fails" : "all its processes end",
			  disk->change_count);
}

void
sim_disk_end_in(SimHost *host, SimDiskEnd end, int calls)
{
	Disk *disk = &disks[host->index];

	if (disk->has_ended)
		return;
	disk->end = end;
	disk->end_in = calls;
}

bool
sim_disk_ends(const SimHost *host)
{
	return disks[host->index].end_in > 0;
}

void
sim_disk_end(SimHost *host)
{
	if (!disks[host->index].has_ended)
		end_now(&disks[host->index]);
}

/* What was made, or written, after the end. */
static void
put_back(const Disk *disk)
{
	char path[2 * FHA_PATH_SIZE];
	DIR *directory = opendir(host_of(disk)->config.state_directory);
	struct dirent *entry;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
	{
		bool stays = entry->d_name[0] == '.';

		for (size_t i = 0; i < disk->left_count && !stays; i++)
			stays = strcmp(disk->left[i].name, entry->d_name) == 0;
		path_of(disk, entry->d_name, path, sizeof(path));
		if (!stays && __real_unlink(path) != 0)
			abort();
	}
	if (directory != NULL)
		(void) closedir(directory);
	for (size_t i = 0; i < disk->left_count; i++)
	{
		const Text *content = &disk->left[i].content;
		int fd;

		path_of(disk, disk->left[i].name, path, sizeof(path));
		/* In its place: a file that stays is the same one, and so is the lock on it. */
		fd = __real_open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || __real_write(fd, content->of, content->size) != (ssize_t) content->size)
			abort();
		(void) __real_close(fd);
	}
}

/* All that is left is durable. */
static void
settle(Disk *disk)
{
	disk->names.count = disk->change_count = 0;
	for (size_t i = 0; i < disk->left_count; i++)
	{
		File *file = file_make();

		text_set(&file->content, disk->left[i].content.of, disk->left[i].content.size);
		text_set(&file->durable, disk->left[i].content.of, disk->left[i].content.size);
		names_put(&disk->names, disk->left[i].name, file);
	}
	disk->durable = disk->names;
}

static void
forget_left(Disk *disk)
{
	for (size_t i = 0; i < disk->left_count; i++)
		free(disk->left[i].content.of);
	disk->left_count = 0;
}

SimDiskEnd
sim_disk_goes_on(SimHost *host)
{
	Disk *disk = &disks[host->index];

	put_back(disk);
	if (disk->end == SIM_POWER_CUT)
		settle(disk);
	forget_left(disk);
	disk->has_ended = false;
	host->dead = false;
	return disk->end;
}

void
sim_disk_heed(SimHost *host)
{
	disks[host->index].has_failed = false;
}

static bool
is_durable(Disk *disk, const char *name)
{
	const Name *now = names_find(&disk->names, name);
	const Name *then = names_find(&disk->durable, name);

	return (now == NULL ? NULL : now->file) == (then == NULL ? NULL : then->file) &&
		   (now == NULL || (!now->file->is_dirty && !now->file->is_lost));
}

void
sim_disk_check(const SimHost *host)
{
	static const char *const heeded[] = {"node.json", "bond.json", "cluster.conf"};
	Disk *disk = &disks[host->index];

	for (size_t i = 0; i < sizeof(heeded) / sizeof(heeded[0]); i++)
		if (!disk->has_failed && !disk->has_ended && !is_durable(disk, heeded[i]))
			sim_fail("%s acts on its %s, which a power cut would take back",
					 host->config.member_name, heeded[i]);
}

void
sim_disk_fails(SimHost *host, int error)
{
	disks[host->index].error = error;
}

void
sim_disk_replace(SimHost *host)
{
	Disk *disk = &disks[host->index];

	if (disk->has_ended)
		(void) sim_disk_goes_on(host);
	disk->left_count = 0;
	put_back(disk);
	memset(disk, 0, sizeof(*disk));
}

void
sim_disk_copy(SimHost *to, const SimHost *from)
{
	const Names *names = &disks[from->index].names;
	Disk *disk = &disks[to->index];

	sim_disk_replace(to);
	for (size_t i = 0; i < names->count; i++)
		leave(disk, names->of[i].name, names->of[i].file->content.of,
			  names->of[i].file->content.size);
	put_back(disk);
	settle(disk);
	forget_left(disk);
}

void
sim_disk_clear(void)
{
	while (files != NULL)
	{
		File *file = files;

		files = file->next;
		free(file->content.of);
		free(file->durable.of);
		free(file);
	}
	for (int i = 0; i < SIM_HOSTS; i++)
		forget_left(&disks[i]);
	memset(disks, 0, sizeof(disks));
	memset(opened, 0, sizeof(opened));
}

/* --- calls that change something */

/* Before each: the process may be stopped, and all may end. */
static void
begin_call(Disk *disk)
{
	if (disk->has_ended)
		return;
	sim_machine_step(host_of(disk), SIM_STEP_DISK);
	if (disk->end_in > 0 && --disk->end_in == 0)
		end_now(disk);
}

/* Does a call fail that does so in so many of a hundred times, by this error? */
static bool
fails(Disk *disk, int error, int percent)
{
	if (disk->has_ended || disk->error != error || (int) sim_machine_draw(100) >= percent)
		return false;
	disk->has_failed = true;
	errno = error;
	return true;
}

int
__wrap_open(const char *path, int flags, ...)
{
	const char *name;
	Disk *disk = disk_of(path, &name);
	bool writes = (flags & (O_WRONLY | O_RDWR)) != 0;
	File *file = NULL;
	mode_t mode = 0;
	int fd;

	if ((flags & O_CREAT) != 0)
	{
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	if (disk != NULL && writes)
	{
		const Name *found;

		begin_call(disk);
		found = names_find(&disk->names, name);
		file = found == NULL ? NULL : found->file;
		if (file == NULL && (fails(disk, ENOSPC, 30) || fails(disk, EIO, 10)))
			return -1;
	}
	fd = __real_open(path, flags, mode);
	if (fd < 0 || disk == NULL || disk->has_ended || (!writes && name[0] != '\0'))
		return fd;
	if (fd >= FDS_MAX)
		abort();
	if (writes && file == NULL)
	{
		file = file_make();
		note_change(disk, "", name, file);
	}
	else if ((flags & O_TRUNC) != 0 && file != NULL)
	{
		file->content.size = 0;
		file->is_dirty = true;
		file->is_lost = false;
	}
	opened[fd] = (Open){disk, file};
	return fd;
}

/* Of an open descriptor, unless all has ended. */
static Open *
open_of(int fd)
{
	Open *at = fd >= 0 && fd < FDS_MAX ? &opened[fd] : NULL;

	if (at == NULL || at->disk == NULL)
		return NULL;
	begin_call(at->disk);
	return at->disk->has_ended ? NULL : at;
}

ssize_t
__wrap_write(int fd, const void *data, size_t size)
{
	const Open *at = open_of(fd);
	bool fail = false;
	ssize_t done;

	if (at != NULL && at->file != NULL)
		fail = fails(at->disk, ENOSPC, 80) || fails(at->disk, EIO, 20);
	/* What there was room for is there. */
	if (fail && (size = size / 2) == 0)
		return -1;
	done = __real_write(fd, data, size);
	if (done > 0 && at != NULL && at->file != NULL)
	{
		text_add(&at->file->content, data, (size_t) done);
		at->file->is_dirty = true;
	}
	return done;
}

int
__wrap_fsync(int fd)
{
	const Open *at = open_of(fd);

	/* Nobody else looks at these files. */
	if (at == NULL)
		return 0;
	if (fails(at->disk, EIO, 60) || fails(at->disk, ENOSPC, 20))
	{
		if (at->file != NULL)
			at->file->is_lost = true;
		return -1;
	}
	if (at->file == NULL)
	{
		for (size_t i = 0; i < at->disk->change_count; i++)
			names_change(&at->disk->durable, &at->disk->changes[i]);
		at->disk->change_count = 0;
	}
	else
	{
		if (!at->file->is_lost)
			text_set(&at->file->durable, at->file->content.of, at->file->content.size);
		at->file->is_dirty = false;
	}
	return 0;
}

int
__wrap_close(int fd)
{
	if (fd >= 0 && fd < FDS_MAX)
		opened[fd] = (Open){NULL, NULL};
	return __real_close(fd);
}

int
__wrap_rename(const char *from, const char *to)
{
	const char *from_name;
	const char *to_name;
	Disk *disk = disk_of(from, &from_name);
	const Name *found;

	if (disk == NULL || disk_of(to, &to_name) != disk)
		return __real_rename(from, to);
	begin_call(disk);
	if (fails(disk, ENOSPC, 20) || fails(disk, EIO, 20))
		return -1;
	if (__real_rename(from, to) != 0)
		return -1;
	found = names_find(&disk->names, from_name);
	if (!disk->has_ended && found != NULL)
		note_change(disk, from_name, to_name, found->file);
	return 0;
}

int
__wrap_unlink(const char *path)
{
	const char *name;
	Disk *disk = disk_of(path, &name);

	if (disk == NULL)
		return __real_unlink(path);
	begin_call(disk);
	if (fails(disk, EIO, 20) || __real_unlink(path) != 0)
		return -1;
	if (!disk->has_ended)
		note_removal(disk, name);
	return 0;
}
