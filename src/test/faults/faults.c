/*
 * faults.c: preloaded (LD_PRELOAD) into everything that runs on a node: lets a test end
 * or stop a process at a named file operation, and makes a disk look full.
 *
 * The directory $FAWKES_FAULTS holds orders, each a file that test/lab/faults.py wrote:
 *
 *   OPERATION.ACTION   its content is a part of the path that the operation must meet, with $
 *                      behind it the end of the path.
 *                      OPERATION: create, rename, link, unlink (after it succeeded), or
 *                      before-rename.
 *                      ACTION: self, parent (SIGKILL), checkpointer (SIGKILL, among our
 *                      siblings), stop (SIGSTOP).  Who carries it out renames the order to
 *                      met.PID first: once, by one.
 *   full               its content is the beginning of the paths that cannot grow.
 *   slow               "MILLISECONDS PART": fsync of a file with PART in its path takes so much longer.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define WORD_SIZE 512

#define REAL(type, name, ...)         \
	static type (*real)(__VA_ARGS__); \
	if (real == NULL)                 \
	*(void **) &real = dlsym(RTLD_NEXT, name)

static int (*real_open)(const char *, int, ...);
static int (*real_rename)(const char *, const char *);

static const char *
orders(void)
{
	return getenv("FAWKES_FAULTS");
}

static bool
read_word(const char *path, char *out)
{
	ssize_t got;
	int fd;

	if (real_open == NULL)
		*(void **) &real_open = dlsym(RTLD_NEXT, "open");
	fd = real_open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, out, WORD_SIZE - 1);
	(void) close(fd);
	out[got < 0 ? 0 : got] = '\0';
	return got > 0;
}

static void
kill_sibling(const char *title)
{
	const struct dirent *entry;
	DIR *processes = opendir("/proc");

	while (processes != NULL && (entry = readdir(processes)) != NULL)
	{
		int pid = atoi(entry->d_name);
		char path[64];
		char text[WORD_SIZE];
		const char *rest;
		char state;
		int parent;

		(void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if (pid <= 1 || !read_word(path, text) || (rest = strrchr(text, ')')) == NULL ||
			sscanf(rest + 1, " %c %d", &state, &parent) != 2 || parent != getppid())
			continue;
		(void) snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
		if (read_word(path, text) && strstr(text, title) != NULL)
			(void) kill(pid, SIGKILL);
	}
	if (processes != NULL)
		(void) closedir(processes);
	/* The postmaster ends us in answer; nothing more may be done until then. */
	(void) sleep(60);
}

static void
carry_out(const char *action)
{
	if (strcmp(action, "parent") == 0)
		(void) kill(getppid(), SIGKILL);
	if (strcmp(action, "stop") == 0)
		(void) raise(SIGSTOP);
	else if (strcmp(action, "checkpointer") == 0)
		kill_sibling("checkpointer");
	else
		(void) raise(SIGKILL);
}

static bool
matches(const char *path, const char *part)
{
	size_t length = strlen(part);
	size_t path_length = strlen(path);

	if (length == 0 || part[length - 1] != '$')
		return strstr(path, part) != NULL;
	length--;
	return path_length >= length && strncmp(path + path_length - length, part, length) == 0;
}

static void
meet(const char *operation, const char *path)
{
	char whole[PATH_MAX];
	const struct dirent *entry;
	int saved = errno;
	DIR *directory;

	if (orders() == NULL || (directory = opendir(orders())) == NULL)
		return;
	/* PostgreSQL's paths are relative to its data directory. */
	if (path[0] == '/' || getcwd(whole, sizeof(whole) / 2) == NULL)
		whole[0] = '\0';
	(void) snprintf(whole + strlen(whole), sizeof(whole) - strlen(whole), "/%s", path);
	while ((entry = readdir(directory)) != NULL)
	{
		char order[PATH_MAX];
		char met[PATH_MAX];
		char part[WORD_SIZE];
		char action[64];
		size_t length = strlen(operation);

		if (strncmp(entry->d_name, operation, length) != 0 || entry->d_name[length] != '.')
			continue;
		(void) snprintf(action, sizeof(action), "%.60s", entry->d_name + length + 1);
		(void) snprintf(order, sizeof(order), "%s/%.200s", orders(), entry->d_name);
		(void) snprintf(met, sizeof(met), "%s/met.%d", orders(), (int) getpid());
		if (real_rename == NULL)
			*(void **) &real_rename = dlsym(RTLD_NEXT, "rename");
		if (!read_word(order, part) || !matches(whole, part) || real_rename(order, met) != 0)
			continue;
		carry_out(action);
	}
	(void) closedir(directory);
	errno = saved;
}

int
rename(const char *from, const char *to)
{
	int result;

	REAL(int, "rename", const char *, const char *);
	meet("before-rename", from);
	result = real(from, to);
	if (result == 0)
		meet("rename", to);
	return result;
}

int
link(const char *from, const char *to)
{
	int result;

	REAL(int, "link", const char *, const char *);
	result = real(from, to);
	if (result == 0)
		meet("link", to);
	return result;
}

int
unlink(const char *path)
{
	int result;

	REAL(int, "unlink", const char *);
	result = real(path);
	if (result == 0)
		meet("unlink", path);
	return result;
}

static int
open_by(const char *name, const char *path, int flags, mode_t mode)
{
	int (*real)(const char *, int, ...);
	int result;

	*(void **) &real = dlsym(RTLD_NEXT, name);
	result = real(path, flags, mode);
	if (result >= 0 && (flags & O_CREAT) != 0)
		meet("create", path);
	return result;
}

static mode_t
mode_of(int flags, va_list args)
{
	return (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
}

int
open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_by("open", path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = mode_of(flags, args);
	va_end(args);
	return open_by("open64", path, flags, mode);
}

FILE *
fopen(const char *path, const char *mode)
{
	FILE *result;

	REAL(FILE *, "fopen", const char *, const char *);
	result = real(path, mode);
	if (result != NULL && mode[0] == 'w')
		meet("create", path);
	return result;
}

FILE *
fopen64(const char *path, const char *mode)
{
	FILE *result;

	REAL(FILE *, "fopen64", const char *, const char *);
	result = real(path, mode);
	if (result != NULL && mode[0] == 'w')
		meet("create", path);
	return result;
}

/* --- a full disk: what has its blocks can be written, nothing can grow */

static bool
is_full_for(int fd, off_t end)
{
	char path[PATH_MAX];
	char link[64];
	char full[WORD_SIZE];
	char file[PATH_MAX];
	struct stat status;
	ssize_t length;

	if (orders() == NULL)
		return false;
	(void) snprintf(path, sizeof(path), "%s/full", orders());
	if (access(path, F_OK) != 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) ||
		end <= status.st_size || !read_word(path, full))
		return false;
	(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, file, sizeof(file) - 1);
	if (length < 0)
		return false;
	file[length] = '\0';
	return strncmp(file, full, strlen(full)) == 0;
}

static off_t
here(int fd, size_t size)
{
	struct stat status;
	int flags = fcntl(fd, F_GETFL);
	off_t at = lseek(fd, 0, SEEK_CUR);

	if (flags >= 0 && (flags & O_APPEND) != 0 && fstat(fd, &status) == 0)
		at = status.st_size;
	return at < 0 ? 0 : at + (off_t) size;
}

static size_t
total(const struct iovec *parts, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	return size;
}

int
fsync(int fd)
{
	char path[PATH_MAX];
	char link[64];
	char slow[WORD_SIZE];
	char file[PATH_MAX];
	char *part;
	long delay_ms;
	ssize_t length;

	REAL(int, "fsync", int);
	if (orders() == NULL)
		return real(fd);
	(void) snprintf(path, sizeof(path), "%s/slow", orders());
	(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (access(path, F_OK) == 0 && read_word(path, slow) &&
		(length = readlink(link, file, sizeof(file) - 1)) > 0)
	{
		file[length] = '\0';
		delay_ms = strtol(slow, &part, 10);
		if (*part == ' ' && strstr(file, part + 1) != NULL)
			(void) usleep((useconds_t) delay_ms * 1000);
	}
	return real(fd);
}

ssize_t
write(int fd, const void *data, size_t size)
{
	REAL(ssize_t, "write", int, const void *, size_t);
	if (is_full_for(fd, here(fd, size)))
	{
		errno = ENOSPC;
		return -1;
	}
	return real(fd, data, size);
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t at)
{
	REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
	if (is_full_for(fd, at + (off_t) size))
	{
		errno = ENOSPC;
		return -1;
	}
	return real(fd, data, size, at);
}

ssize_t
pwrite64(int fd, const void *data, size_t size, off64_t at)
{
	return pwrite(fd, data, size, at);
}

ssize_t
pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
	REAL(ssize_t, "pwritev", int, const struct iovec *, int, off_t);
	if (is_full_for(fd, at + (off_t) total(parts, count)))
	{
		errno = ENOSPC;
		return -1;
	}
	return real(fd, parts, count, at);
}

ssize_t
pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
	return pwritev(fd, parts, count, at);
}

int
posix_fallocate(int fd, off_t at, off_t size)
{
	REAL(int, "posix_fallocate", int, off_t, off_t);
	return is_full_for(fd, at + size) ? ENOSPC : real(fd, at, size);
}

int
posix_fallocate64(int fd, off64_t at, off64_t size)
{
	return posix_fallocate(fd, at, size);
}
