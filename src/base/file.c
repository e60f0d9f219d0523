/*
 * file.c: small files, whole.  See file.h.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

FhaCode
fha_file_sync_parent(const char *path, FhaError *err)
{
	const char *slash = strrchr(path, '/');
	char parent[FHA_PATH_SIZE + 64];
	FhaCode code = FHA_OK;
	int fd;

	if ((size_t) snprintf(parent, sizeof(parent), "%.*s", slash == NULL ? 1 : (int) (slash - path),
						  slash == NULL ? "." : path) >= sizeof(parent))
		/* LCOV_EXCL_START: the path was short enough before */
		return fha_error(err, FHA_INVALID, "the path is too long");
	/* LCOV_EXCL_STOP */
	fd = open(parent[0] == '\0' ? "/" : parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fha_error_errno(err, FHA_IO, "could not open the directory of \"%.100s\"", path);
	if (fsync(fd) != 0)
		code = fha_error_errno(err, FHA_IO, "could not flush the directory of \"%.100s\"", path);
	(void) close(fd);
	return code;
}

FhaCode
fha_file_read(const char *path, size_t max, char **out, FhaError *err)
{
	FhaCode code = FHA_OK;
	char *content = NULL;
	size_t room = 4096;
	size_t used = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	*out = NULL;
	if (fd < 0)
	{
		code = errno == ENOENT ? FHA_NOT_FOUND : FHA_IO;
		(void) fha_error_errno(err, code, "could not open \"%.120s\"", path);
		return code;
	}
	for (;;)
	{
		ssize_t got;

		if (content == NULL || used == room)
		{
			char *bigger;

			if (content != NULL)
				room *= 2;
			if (room > max + 1)
				room = max + 1; /* one more than allowed: that is how an overlong file shows */
			bigger = realloc(content, room + 1);
			if (bigger == NULL)
			{
				code = FHA_NO_MEMORY;
				(void) fha_error(err, code, "out of memory reading \"%.120s\"", path);
				break;
			}
			content = bigger;
		}
		got = read(fd, content + used, room - used);
		if (got < 0 && errno == EINTR)
			continue; /* LCOV_EXCL_LINE: a signal in the middle */
		if (got < 0)
		{
			code = fha_error_errno(err, FHA_IO, "could not read \"%.120s\"", path);
			break;
		}
		if (got == 0)
			break;
		used += (size_t) got;
		if (used > max)
		{
			code = fha_error(err, FHA_INVALID, "\"%.120s\" is larger than %zu bytes", path, max);
			break;
		}
	}
	(void) close(fd);
	if (code == FHA_OK && memchr(content, '\0', used) != NULL)
		code = fha_error(err, FHA_INVALID, "\"%.120s\" contains a zero byte: it is not text", path);
	if (code != FHA_OK)
	{
		free(content);
		return code;
	}
	content[used] = '\0';
	*out = content;
	return FHA_OK;
}

static bool
write_all(int fd, const char *data, size_t size)
{
	while (size > 0)
	{
		ssize_t done = write(fd, data, size);

		if (done < 0 && errno == EINTR)
			continue; /* LCOV_EXCL_LINE: a signal in the middle */
		if (done < 0)
			return false;
		data += done;
		size -= (size_t) done;
	}
	return true;
}

FhaCode
fha_file_replace(const char *path, const char *data, size_t size, FhaError *err)
{
	char aside[FHA_PATH_SIZE + 64];
	bool written;
	int fd;

	/* The process's id: supervisor and agent may replace the same file at once. */
	if ((size_t) snprintf(aside, sizeof(aside), "%s.new.%ld", path, (long) getpid()) >=
		sizeof(aside))
		/* LCOV_EXCL_START: the path was short enough before */
		return fha_error(err, FHA_INVALID, "the path \"%.100s...\" is too long", path);
	/* LCOV_EXCL_STOP */
	fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fha_error_errno(err, FHA_IO, "could not create \"%.120s\"", aside);
	written = write_all(fd, data, size) && fsync(fd) == 0;
	if (!written)
		(void) fha_error_errno(err, FHA_IO, "could not write \"%.120s\"", aside);
	if (close(fd) != 0 && written)
	{
		written = false;
		(void) fha_error_errno(err, FHA_IO, "could not write \"%.120s\"", aside);
	}
	if (written && rename(aside, path) != 0)
	{
		written = false;
		(void) fha_error_errno(err, FHA_IO, "could not rename \"%.120s\"", aside);
	}
	if (!written)
	{
		(void) unlink(aside);
		return FHA_IO;
	}
	return fha_file_sync_parent(path, err);
}

FhaCode
fha_file_remove(const char *path, FhaError *err)
{
	if (unlink(path) != 0 && errno != ENOENT)
		return fha_error_errno(err, FHA_IO, "could not remove \"%.120s\"", path);
	return fha_file_sync_parent(path, err);
}
