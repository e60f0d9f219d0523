/*
 * shim.c: a test's hands inside the calls that a process makes of the C library.
 *
 * Preloaded (LD_PRELOAD) into a supervisor or a server, and so into all its children.  The test
 * maps the file that FAWKES_SHIM names and writes its wishes there.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define SAMPLES 100000

enum
{
	CALL_NONE,
	CALL_FDATASYNC,
	CALL_TRUNCATE,
	CALL_SEND
};

/* test/lab/shim.py knows this layout. */
typedef struct Wishes
{
	/* SIGSTOP the process `stop_pid` inside `stop_call`, before the call does anything. */
	volatile int32_t stop_pid;
	volatile uint32_t stop_call;
	volatile uint32_t stop_skip; /* so many such calls pass first */
	volatile uint32_t stopped;
	/* Seconds by which wall clocks are wrong. */
	volatile int64_t wall_shift_s;
	/* Whatever is written under this directory finds the disk full; "" for none. */
	char full_directory[256];
	/* SIGKILL who renames a file to a name that ends so, after it did; once; "" for none. */
	char rename_suffix[64];
	/* Nanoseconds from `sample_pid`'s reading of CLOCK_BOOTTIME to its entry into send(). */
	volatile int32_t sample_pid;
	volatile uint32_t sample_count;
	volatile uint32_t calls_between; /* getppid() or fdatasync() stood there: so often */
	volatile uint32_t sample_ns[SAMPLES];
} Wishes;

static Wishes none;
static Wishes *wishes = &none;
static int64_t clock_read_at_ns;
static bool call_since_clock;

#define REAL(name) ((__typeof__(&name)) real(#name))

static void *
real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void
map_wishes(void)
{
	const char *path = getenv("FAWKES_SHIM");
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *page;

	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(Wishes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		wishes = page;
	(void) close(fd);
}

static void
enter(uint32_t call)
{
	if (wishes->stop_call != call || wishes->stop_pid != getpid())
		return;
	if (wishes->stop_skip > 0)
	{
		wishes->stop_skip--;
		return;
	}
	wishes->stop_call = CALL_NONE;
	wishes->stopped = 1;
	(void) raise(SIGSTOP);
}

EXPORT pid_t
getppid(void)
{
	static __typeof__(&getppid) next;

	if (next == NULL)
		next = REAL(getppid);
	call_since_clock = true;
	return next();
}

EXPORT int
fdatasync(int fd)
{
	static __typeof__(&fdatasync) next;

	if (next == NULL)
		next = REAL(fdatasync);
	enter(CALL_FDATASYNC);
	call_since_clock = true;
	return next(fd);
}

/* PostgreSQL empties a dropped table's file at once, and unlinks it after the next checkpoint. */
EXPORT int
truncate(const char *path, off_t size)
{
	static __typeof__(&truncate) next;

	if (next == NULL)
		next = REAL(truncate);
	enter(CALL_TRUNCATE);
	return next(path, size);
}

/* --- clocks */

static __typeof__(&clock_gettime) next_clock_gettime;

static int64_t
monotonic_ns(void)
{
	struct timespec now;

	(void) next_clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

EXPORT int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int result;

	if (next_clock_gettime == NULL)
		next_clock_gettime = REAL(clock_gettime);
	result = next_clock_gettime(clock, now);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += wishes->wall_shift_s;
	if (clock == CLOCK_BOOTTIME && wishes->sample_pid != 0)
	{
		call_since_clock = false;
		clock_read_at_ns = monotonic_ns();
	}
	return result;
}

EXPORT int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	static int (*next)(struct timeval *restrict, void *restrict);
	int result;

	if (next == NULL)
		next = (int (*)(struct timeval *restrict, void *restrict)) real("gettimeofday");
	result = next(now, zone);
	if (result == 0)
		now->tv_sec += wishes->wall_shift_s;
	return result;
}

EXPORT time_t
time(time_t *out)
{
	static __typeof__(&time) next;
	time_t now;

	if (next == NULL)
		next = REAL(time);
	now = next(NULL) + wishes->wall_shift_s;
	if (out != NULL)
		*out = now;
	return now;
}

EXPORT ssize_t
send(int fd, const void *data, size_t size, int flags)
{
	static __typeof__(&send) next;

	if (clock_read_at_ns != 0 && wishes->sample_pid == getpid())
	{
		int64_t entered_at_ns = monotonic_ns();

		if (call_since_clock)
			wishes->calls_between++;
		if (wishes->sample_count < SAMPLES)
			wishes->sample_ns[wishes->sample_count++] =
				(uint32_t) (entered_at_ns - clock_read_at_ns);
		clock_read_at_ns = 0;
	}
	if (next == NULL)
		next = REAL(send);
	enter(CALL_SEND);
	return next(fd, data, size, flags);
}

/* --- files */

static bool
is_full(int fd)
{
	char link[64];
	char path[512];
	size_t length = strlen(wishes->full_directory);
	ssize_t got;

	if (length == 0)
		return false;
	(void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	got = readlink(link, path, sizeof(path) - 1);
	return got > (ssize_t) length && memcmp(path, wishes->full_directory, length) == 0 &&
		   path[length] == '/';
}

EXPORT ssize_t
write(int fd, const void *data, size_t size)
{
	static __typeof__(&write) next;

	if (next == NULL)
		next = REAL(write);
	if (wishes->full_directory[0] != '\0' && is_full(fd))
	{
		errno = ENOSPC;
		return -1;
	}
	return next(fd, data, size);
}

EXPORT int
rename(const char *from, const char *to)
{
	static __typeof__(&rename) next;
	size_t length = strlen(wishes->rename_suffix);
	int result;

	if (next == NULL)
		next = REAL(rename);
	result = next(from, to);
	if (result == 0 && length > 0 && strlen(to) >= length &&
		strcmp(to + strlen(to) - length, wishes->rename_suffix) == 0)
	{
		wishes->rename_suffix[0] = '\0';
		(void) raise(SIGKILL);
	}
	return result;
}
