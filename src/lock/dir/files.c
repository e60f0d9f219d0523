/*
 * files.c: scan, read, write and prune the files of a directory lock.
 */
#include "lock/dir/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "lock/driver.h"

/*
 * All of a full directory in one getdents64(2), inside which no signal can stop
 * us: a scan that is interrupted for sixteen writes could miss every version.
 */
#define SCAN_BUFFER (1024 * 1024)
#define SCAN_TRIES 100
#define TEMPORARY ".tmp."
#define TEMPORARY_LIFE_S 3600
#define FILE_NAME_SIZE (FHA_RECORD_NAME_SIZE + FHA_DIR_SUFFIX)

typedef void (*Visit)(const FhaDirFiles *files, const char *file, void *arg);

FhaCode
fha_dir_check_local(int fd, const char *path, FhaError *err)
{
	struct statfs info;

	if (fstatfs(fd, &info) != 0)
		/* LCOV_EXCL_START: the kernel refuses */
		return fha_error_errno(err, FHA_IO, "could not examine \"%.120s\"", path);
	/* LCOV_EXCL_STOP */
	if (fha_fs_is_network((long) info.f_type))
		/* LCOV_EXCL_START: wants a network filesystem */
		return fha_error(err, FHA_INVALID,
						 "\"%.60s\" is on a network filesystem, where this lock is not safe; name "
						 "a directory on a local disk of the machine that all members share",
						 path);
	/* LCOV_EXCL_STOP */
	return FHA_OK;
}

FhaCode
fha_dir_check_closed(int fd, const char *path, FhaError *err)
{
	struct stat status;

	if (fstat(fd, &status) != 0)
		/* LCOV_EXCL_START: the kernel refuses */
		return fha_error_errno(err, FHA_IO, "could not examine \"%.120s\"", path);
	/* LCOV_EXCL_STOP */
	if ((status.st_mode & S_IWOTH) != 0)
		return fha_error(
			err, FHA_INVALID,
			"every user of this machine may write \"%.80s\" (mode %04o), and so decide "
			"which member leads: chmod 700 it",
			path, (unsigned) status.st_mode & 07777);
	return FHA_OK;
}

FhaDirEntry *
fha_dir_table_put(FhaDirTable *table, const char *name)
{
	size_t low = 0;
	size_t high = table->count;
	FhaDirEntry *entry;

	while (low < high)
	{
		size_t middle = (low + high) / 2;
		int order = strcmp(name, table->rows[middle].name);

		if (order == 0)
			return &table->rows[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	if (table->count == FHA_DIR_TABLE_MAX)
		return NULL; /* LCOV_EXCL_LINE: no memory */
	if (table->count == table->room)
	{
		size_t room = table->room == 0 ? 16 : table->room * 2;
		FhaDirEntry *rows = realloc(table->rows, room * sizeof(*rows));

		if (rows == NULL)
			return NULL;
		table->rows = rows;
		table->room = room;
	}
	entry = &table->rows[low];
	memmove(entry + 1, entry, (table->count - low) * sizeof(*entry));
	table->count++;
	*entry = (FhaDirEntry){0};
	(void) snprintf(entry->name, sizeof(entry->name), "%s", name);
	return entry;
}

void
fha_dir_table_delete(FhaDirTable *table, FhaDirEntry *entry)
{
	size_t after = (size_t) (&table->rows[table->count] - entry) - 1;

	memmove(entry, entry + 1, after * sizeof(*entry));
	table->count--;
}

void
fha_dir_table_release(FhaDirTable *table)
{
	free(table->rows);
	*table = (FhaDirTable){0};
}

bool
fha_dir_file_parse(const char *file, char *name, uint64_t *version)
{
	size_t length = strlen(file);
	const char *digit;
	uint64_t value = 0;

	if (length <= FHA_DIR_SUFFIX || length - FHA_DIR_SUFFIX >= FHA_RECORD_NAME_SIZE)
		return false;
	digit = file + length - FHA_DIR_SUFFIX;
	if (*digit++ != '.')
		return false;
	for (; *digit != '\0'; digit++)
	{
		if (*digit < '0' || *digit > '9' || value > INT64_MAX / 10)
			return false;
		value = value * 10 + (uint64_t) (*digit - '0');
	}
	/* Above INT64_MAX lies only what somebody planted: version + 1 must not overflow. */
	if (value == 0 || value >= INT64_MAX)
		return false;
	memcpy(name, file, length - FHA_DIR_SUFFIX);
	name[length - FHA_DIR_SUFFIX] = '\0';
	*version = value;
	return fha_record_name_valid(name);
}

static void
file_name(char *out, const char *name, uint64_t version)
{
	(void) snprintf(out, FILE_NAME_SIZE, "%s.%020" PRIu64, name, version);
}

static FhaCode
code_of_errno(void)
{
	switch (errno)
	{
		case EACCES:
		case EPERM:
		case EROFS:
			return FHA_DENIED;
		/* LCOV_EXCL_START: no memory */
		case ENOMEM:
			return FHA_NO_MEMORY;
		/* LCOV_EXCL_STOP */
		default:
			return FHA_IO;
	}
}

FhaCode
fha_dir_files_init(FhaDirFiles *files, const char *path, FhaError *err)
{
	*files = (FhaDirFiles){.path = path, .fd = -1, .buffer = malloc(SCAN_BUFFER)};
	if (files->buffer == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	return FHA_OK;
}

bool
fha_dir_may_come_back(int error)
{
	return error == ENOENT || error == EIO || error == ESTALE || error == ENOTCONN;
}

FhaCode
fha_dir_files_open(FhaDirFiles *files, bool *anew, FhaError *err)
{
	struct stat identity;
	FhaCode code;
	int fd = open(files->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*anew = false;
	if (fd < 0 && errno == ENOENT)
		code = fha_error(err, FHA_IO,
						 "the lock directory \"%.120s\" is not there: mount it, or correct "
						 "fawkes_ha.lock",
						 files->path);
	else if (fd < 0 || fstat(fd, &identity) != 0)
		code = fha_error_errno(err, code_of_errno(), "could not open \"%.120s\"", files->path);
	else
		code = fha_dir_check_local(fd, files->path, err);
	/* analyzer: code is not OK where fstat() was not asked or failed */
	if (code == FHA_OK && files->fd >= 0 && identity.st_ino == files->identity.st_ino &&
		identity.st_dev == files->identity.st_dev)
	{
		(void) close(fd);
		return FHA_OK;
	}
	if (files->fd >= 0)
		(void) close(files->fd);
	files->fd = -1;
	/* It may be another one than was there at the start. */
	if (code == FHA_OK)
		code = fha_dir_check_closed(fd, files->path, err);
	if (code != FHA_OK)
	{
		if (fd >= 0)
			(void) close(fd);
		return code;
	}
	files->fd = fd;
	files->identity = identity;
	*anew = true;
	return FHA_OK;
}

static FhaCode
files_walk(const FhaDirFiles *files, Visit visit, void *arg, FhaError *err)
{
	ssize_t got;

	if (lseek(files->fd, 0, SEEK_SET) != 0)
		/* LCOV_EXCL_START: the kernel refuses */
		return fha_error_errno(err, FHA_IO, "could not rewind \"%.120s\"", files->path);
	/* LCOV_EXCL_STOP */
	while ((got = getdents64(files->fd, files->buffer, SCAN_BUFFER)) > 0)
	{
		for (ssize_t at = 0; at < got;)
		{
			const struct dirent64 *entry = (const void *) (files->buffer + at);

			visit(files, entry->d_name, arg);
			at += entry->d_reclen;
		}
	}
	if (got < 0)
		return fha_error_errno(err, code_of_errno(), "could not read \"%.120s\"", files->path);
	return FHA_OK;
}

typedef struct TableScan
{
	FhaDirTable *table;
	bool failed;
} TableScan;

static void
visit_for_table(const FhaDirFiles *files, const char *file, void *arg)
{
	TableScan *scan = arg;
	char name[FHA_RECORD_NAME_SIZE];
	uint64_t version;
	FhaDirEntry *entry;

	(void) files;
	if (scan->failed || !fha_dir_file_parse(file, name, &version))
		return;
	entry = fha_dir_table_put(scan->table, name);
	if (entry == NULL)
		scan->failed = true;
	else if (version > entry->version)
		entry->version = version;
}

FhaCode
fha_dir_files_scan(const FhaDirFiles *files, FhaDirTable *table, FhaError *err)
{
	TableScan scan = {.table = table};
	FhaCode code;

	for (size_t i = 0; i < table->count; i++)
		table->rows[i].version = 0;
	code = files_walk(files, visit_for_table, &scan, err);
	if (code == FHA_OK && scan.failed && table->count < FHA_DIR_TABLE_MAX)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory");
	else if (code == FHA_OK && scan.failed)
		/* LCOV_EXCL_START: no memory */
		code = fha_error(err, FHA_PROTOCOL, "\"%.120s\" has more than %d records", files->path,
						 FHA_DIR_TABLE_MAX);
	/* LCOV_EXCL_STOP */
	return code;
}

typedef struct NewestScan
{
	const char *name;
	uint64_t newest;
} NewestScan;

static void
visit_for_newest(const FhaDirFiles *files, const char *file, void *arg)
{
	NewestScan *scan = arg;
	char name[FHA_RECORD_NAME_SIZE];
	uint64_t version;

	(void) files;
	if (fha_dir_file_parse(file, name, &version) && strcmp(name, scan->name) == 0 &&
		version > scan->newest)
		scan->newest = version;
}

static bool
version_exists(const FhaDirFiles *files, const char *name, uint64_t version)
{
	char file[FILE_NAME_SIZE];

	file_name(file, name, version);
	return faccessat(files->fd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

FhaCode
fha_dir_files_newest(const FhaDirFiles *files, const char *name, uint64_t *version, FhaError *err)
{
	for (int i = 0; i < SCAN_TRIES; i++)
	{
		NewestScan scan = {.name = name};
		FhaCode code = files_walk(files, visit_for_newest, &scan, err);

		if (code != FHA_OK)
			return code;
		*version = scan.newest;
		/* In this order: with its successor gone too, an old version would be gone itself. */
		if (!version_exists(files, name, scan.newest + 1) &&
			(scan.newest == 0 || version_exists(files, name, scan.newest)))
			return FHA_OK;
	}
	/* LCOV_EXCL_START: no memory */
	return fha_error(err, FHA_IO, "record \"%.60s\" changes faster than it can be read", name);
	/* LCOV_EXCL_STOP */
}

/* The descriptor, or -errno. */
static int
version_open(const FhaDirFiles *files, const char *name, uint64_t version)
{
	char file[FILE_NAME_SIZE];
	int fd;

	file_name(file, name, version);
	fd = openat(files->fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd >= 0 ? fd : -errno;
}

/* Why a version could not be opened; errno says it. */
static FhaCode
version_error(const FhaDirFiles *files, const char *name, uint64_t version, FhaError *err)
{
	char file[FILE_NAME_SIZE];
	struct stat status;
	int why = errno;
	FhaCode code = why == ENOENT ? FHA_NOT_FOUND : code_of_errno();

	file_name(file, name, version);
	if (why == EACCES && fstatat(files->fd, file, &status, AT_SYMLINK_NOFOLLOW) == 0)
	{
		if (status.st_uid == geteuid())
			return fha_error(err, code, "could not open \"%.120s\" (mode %04o): chmod 600 it", file,
							 (unsigned) (status.st_mode & 07777));
		return fha_error(err, code,
						 "could not open \"%.120s\": it belongs to user %u, and this is user %u: "
						 "chown it to the user that runs the nodes",
						 file, (unsigned) status.st_uid, (unsigned) geteuid());
	}
	errno = why;
	return fha_error_errno(err, code, "could not open \"%.120s\"", file);
}

FhaCode
fha_dir_files_read(const FhaDirFiles *files, const char *name, uint64_t version, char *data,
				   size_t *size, FhaError *err)
{
	size_t used = 0;
	ssize_t got = 0;
	int fd = version_open(files, name, version);

	*size = 0;
	if (fd < 0)
		return version_error(files, name, version, err);
	do
	{
		got = read(fd, data + used, FHA_RECORD_DATA_MAX + 1 - used);
		if (got > 0)
			used += (size_t) got;
	} while ((got > 0 && used <= FHA_RECORD_DATA_MAX) || (got < 0 && errno == EINTR));
	if (got < 0)
	{
		FhaCode code =
			fha_error_errno(err, FHA_IO, "could not read \"%.120s.%020" PRIu64 "\"", name, version);

		(void) close(fd);
		return code;
	}
	(void) close(fd);
	if (used == 0 || used > FHA_RECORD_DATA_MAX)
		return fha_error(err, FHA_PROTOCOL, "file \"%.120s.%020" PRIu64 "\" is %s", name, version,
						 used == 0 ? "empty" : "too long");
	*size = used;
	return FHA_OK;
}

/*
 * Root may type a command, and no member can read a file of root's: a new version belongs to the owner
 * of the version it replaces, else to the directory's.  pinned: the version replaced, or negative.
 */
static FhaCode
owner_give(const FhaDirFiles *files, int pinned, int fd, FhaError *err)
{
	struct stat owner = {0};

	if (geteuid() != 0)
		return FHA_OK;
	if (pinned >= 0 && fstat(pinned, &owner) != 0)
		owner.st_uid = 0; /* LCOV_EXCL_LINE: the kernel refuses */
	if (owner.st_uid == 0 && fstat(files->fd, &owner) != 0)
		/* LCOV_EXCL_START: the kernel refuses */
		return fha_error_errno(err, FHA_IO, "could not examine \"%.120s\"", files->path);
	/* LCOV_EXCL_STOP */
	if (owner.st_uid != 0 && fchown(fd, owner.st_uid, owner.st_gid) != 0)
		/* LCOV_EXCL_START: root may, unless the filesystem has no owners */
		return fha_error_errno(err, code_of_errno(),
							   "could not give a file in \"%.100s\" to user %u", files->path,
							   (unsigned) owner.st_uid);
	/* LCOV_EXCL_STOP */
	return FHA_OK;
}

static FhaCode
temporary_write(const FhaDirFiles *files, int pinned, char *file, size_t file_size,
				const char *data, size_t size, FhaError *err)
{
	char nonce[FHA_ID_SIZE];
	size_t done = 0;
	bool good = true;
	FhaCode code = fha_random_hex(nonce, sizeof(nonce), err);
	int fd;

	if (code != FHA_OK)
		return code;
	(void) snprintf(file, file_size, TEMPORARY "%d.%s", (int) getpid(), nonce);
	fd = openat(files->fd, file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fha_error_errno(err, code_of_errno(), "could not create a file in \"%.120s\"",
							   files->path);
	code = owner_give(files, pinned, fd, err);
	while (code == FHA_OK && good && done < size)
	{
		ssize_t put = write(fd, data + done, size - done);

		if (put > 0)
			done += (size_t) put;
		else if (put == 0 || errno != EINTR)
			good = false;
	}
	if (code == FHA_OK && (!good || fsync(fd) != 0))
		code = fha_error_errno(err, code_of_errno(), "could not write a file in \"%.120s\"",
							   files->path);
	if (code != FHA_OK)
		(void) unlinkat(files->fd, file, 0);
	(void) close(fd);
	return code;
}

/* Is the predecessor that we opened before still there, the same file under the same name? */
static bool
predecessor_stands(const FhaDirFiles *files, const char *name, uint64_t version, int pinned)
{
	char file[FILE_NAME_SIZE];
	struct stat before;
	struct stat now;

	file_name(file, name, version);
	return fstat(pinned, &before) == 0 &&
		   fstatat(files->fd, file, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
		   before.st_ino == now.st_ino && before.st_dev == now.st_dev;
}

/*
 * S1: a process that slept between scan and link may have linked into the past,
 * where the version it wanted has been written and deleted already.  If so, its
 * predecessor was deleted before, and a higher version exists, which is never
 * deleted.
 */
static FhaCode
files_confirm(const FhaDirFiles *files, const char *name, uint64_t version, int pinned,
			  FhaError *err)
{
	FhaError why;
	uint64_t newest = 0;

	if (fha_dir_files_newest(files, name, &newest, &why) != FHA_OK)
		return fha_error(err, FHA_UNKNOWN, "written, but not confirmed: %.180s", why.text);
	if (newest != version + 1)
		return fha_error(err, FHA_UNKNOWN, "record \"%.60s\" is at a later version already", name);
	if (version > 0 && !predecessor_stands(files, name, version, pinned))
		return fha_error(err, FHA_UNKNOWN, "record \"%.60s\": the version replaced was deleted",
						 name);
	return FHA_OK;
}

static FhaCode
check_newest(const FhaDirFiles *files, const char *name, uint64_t version, int pinned,
			 FhaError *err)
{
	uint64_t newest = 0;
	FhaCode code = fha_dir_files_newest(files, name, &newest, err);

	if (code != FHA_OK)
		return code;
	if (newest == 0 && version > 0)
		return fha_error(err, FHA_NOT_FOUND, "there is no record \"%.120s\"", name);
	if (newest != version)
		return fha_error(err, FHA_CONFLICT, "record \"%.60s\" is at version %" PRIu64, name,
						 newest);
	if (version > 0 && pinned < 0)
	{
		errno = -pinned;
		return fha_error_errno(err, code_of_errno(),
							   "could not open version %" PRIu64 " of record \"%.60s\"", version,
							   name);
	}
	return FHA_OK;
}

FhaCode
fha_dir_files_write(const FhaDirFiles *files, const char *name, uint64_t version, const char *data,
					size_t size, FhaError *err)
{
	char temporary[64];
	char file[FILE_NAME_SIZE];
	int pinned = version > 0 ? version_open(files, name, version) : -1;
	FhaCode code = check_newest(files, name, version, pinned, err);

	if (code == FHA_OK)
		code = temporary_write(files, pinned, temporary, sizeof(temporary), data, size, err);
	if (code != FHA_OK)
		goto out;
	file_name(file, name, version + 1);
	if (linkat(files->fd, temporary, files->fd, file, 0) == 0)
		code = files_confirm(files, name, version, pinned, err);
	else if (errno == EEXIST)
		code = fha_error(err, FHA_CONFLICT, "somebody else wrote record \"%.60s\" first", name);
	else
		code = fha_error_errno(err, errno == EIO ? FHA_UNKNOWN : code_of_errno(),
							   "could not link a file in \"%.120s\"", files->path);
	(void) unlinkat(files->fd, temporary, 0);
	if (code == FHA_OK && fsync(files->fd) != 0)
		code = fha_error_errno(err, FHA_UNKNOWN, "could not flush \"%.120s\"", files->path);
out:
	if (pinned >= 0)
		(void) close(pinned);
	return code;
}

typedef struct PruneScan
{
	const char *name;
	uint64_t *versions;
	size_t count;
	size_t room;
	time_t now;
} PruneScan;

static void
visit_for_prune(const FhaDirFiles *files, const char *file, void *arg)
{
	PruneScan *scan = arg;
	char name[FHA_RECORD_NAME_SIZE];
	uint64_t version;
	struct stat info;

	if (strncmp(file, TEMPORARY, strlen(TEMPORARY)) == 0)
	{
		if (fstatat(files->fd, file, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode) &&
			info.st_mtime < scan->now - TEMPORARY_LIFE_S)
			(void) unlinkat(files->fd, file, 0);
		return;
	}
	if (!fha_dir_file_parse(file, name, &version) || strcmp(name, scan->name) != 0)
		return;
	if (scan->count == scan->room)
	{
		size_t room = scan->room == 0 ? 64 : scan->room * 2;
		uint64_t *versions = realloc(scan->versions, room * sizeof(*versions));

		if (versions == NULL)
			return;
		scan->versions = versions;
		scan->room = room;
	}
	scan->versions[scan->count++] = version;
}

static int
version_compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *) left;
	uint64_t b = *(const uint64_t *) right;

	return a < b ? -1 : a > b;
}

void
fha_dir_files_prune(const FhaDirFiles *files, const char *name)
{
	PruneScan scan = {.name = name, .now = time(NULL)};
	char file[FILE_NAME_SIZE];

	if (files_walk(files, visit_for_prune, &scan, NULL) == FHA_OK && scan.count > FHA_DIR_KEEP)
	{
		qsort(scan.versions, scan.count, sizeof(scan.versions[0]), version_compare);
		for (size_t i = 0; i < scan.count; i++)
		{
			uint64_t version = scan.versions[i];

			if (version + FHA_DIR_KEEP > scan.versions[scan.count - 1])
				break;
			/* Ascending even if the scan missed one: `confirm` relies on it. */
			if (version_exists(files, name, version - 1))
				break;
			file_name(file, name, version);
			(void) unlinkat(files->fd, file, 0);
		}
	}
	free(scan.versions);
}
