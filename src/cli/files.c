/*
 * files.c: files and directories, durably.
 */
#include "cli/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config/config.h"

bool
files_exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

bool
files_is_empty(const char *path)
{
	const struct dirent *entry;
	bool empty = true;
	DIR *directory = opendir(path);

	if (directory == NULL)
		return errno == ENOENT;
	while (empty && (entry = readdir(directory)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	(void) closedir(directory);
	return empty;
}

FhaCode
files_sync_directory(const char *path, FhaError *err)
{
	FhaCode code = FHA_OK;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fha_error_errno(err, FHA_IO, "could not open \"%.120s\"", path);
	if (fsync(fd) != 0)
		code = fha_error_errno(err, FHA_IO, "could not flush \"%.120s\"", path);
	(void) close(fd);
	return code;
}

FhaCode
files_make_directory(const char *path, FhaError *err)
{
	if (mkdir(path, 0700) == 0)
		return fha_file_sync_parent(path, err);
	return errno == EEXIST ? FHA_OK
						   : fha_error_errno(err, FHA_IO, "could not make \"%.120s\"", path);
}

FhaCode
files_rename(const char *from, const char *to, FhaError *err)
{
	if (rename(from, to) == 0)
		return fha_file_sync_parent(to, err);
	if (errno == EBUSY)
		return fha_error(err, FHA_IO,
						 "could not rename \"%.80s\": a mount point cannot be moved; use a "
						 "directory below it as the data directory",
						 from);
	return fha_error_errno(err, FHA_IO, "could not rename \"%.90s\" to \"%.90s\"", from, to);
}

/* Another filesystem begins here; an overlay's files have other devices than their directories. */
static int
is_inner_mount(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	struct statx more;

	(void) status;
	(void) kind;
	if (place->level == 0 ||
		statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &more) != 0 ||
		(more.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
		return 0;
	errno = EBUSY;
	return -1;
}

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void) status;
	(void) kind;
	(void) place;
	return remove(path);
}

FhaCode
files_remove_tree(const char *path, FhaError *err)
{
	struct stat status;

	if (lstat(path, &status) != 0)
		return errno == ENOENT ? FHA_OK
							   : fha_error_errno(err, FHA_IO, "could not look at \"%.120s\"", path);
	if (nftw(path, is_inner_mount, 32, FTW_PHYS) != 0)
		return fha_error_errno(
			err, FHA_IO, "\"%.120s\" is not removed, because something is mounted in it", path);
	if (nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0)
		return fha_error_errno(err, FHA_IO, "could not remove \"%.120s\"", path);
	return FHA_OK;
}

static bool
copy_bytes(int in, int out)
{
	char buffer[64 * 1024];

	for (;;)
	{
		ssize_t got = read(in, buffer, sizeof(buffer));
		ssize_t put = 0;

		if (got == 0)
			return true;
		if (got < 0 && errno != EINTR)
			return false;
		while (put < got)
		{
			ssize_t done = write(out, buffer + put, (size_t) (got - put));

			if (done < 0 && errno != EINTR)
				return false;
			if (done > 0)
				put += done;
		}
	}
}

FhaCode
files_copy(const char *from, const char *to, FhaError *err)
{
	FhaCode code = FHA_OK;
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out;

	if (in < 0)
	{
		code = errno == ENOENT ? FHA_NOT_FOUND : FHA_IO;
		return fha_error_errno(err, code, "could not open \"%.120s\"", from);
	}
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (out < 0)
		code = fha_error_errno(err, FHA_IO, "could not create \"%.120s\"", to);
	else if (!copy_bytes(in, out) || fsync(out) != 0)
		code = fha_error_errno(err, FHA_IO, "could not copy \"%.90s\" to \"%.90s\"", from, to);
	if (out >= 0)
		(void) close(out);
	(void) close(in);
	return code;
}
