/*
 * torture.c: see torture.h.
 */
#include "test/torture/torture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *old, size_t size);

typedef struct Torture
{
	_Atomic long allocations_left; /* the one that finds 1 fails; 0: none does */
	_Atomic bool lasting;
	_Atomic long calls_left;
	TortureFault fault;
	_Atomic bool struck;
	_Atomic bool paused;
} Torture;

static Torture *torture;

static void __attribute__((constructor)) torture_begin(void)
{
	Torture *shared =
		mmap(NULL, sizeof(*torture), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED)
		abort();
	torture = shared;
}

static bool
strikes(_Atomic long *left, bool lasting)
{
	long before = atomic_load(&torture->paused) ? 0 : atomic_load(left);

	while (before > 0 &&
		   !atomic_compare_exchange_weak(left, &before, before == 1 && lasting ? 1 : before - 1))
		continue;
	if (before == 1)
		atomic_store(&torture->struck, true);
	return before == 1;
}

void
torture_allocations(long n, bool lasting)
{
	atomic_store(&torture->struck, false);
	atomic_store(&torture->lasting, lasting);
	atomic_store(&torture->allocations_left, n);
}

void
torture_calls(long n, TortureFault fault)
{
	atomic_store(&torture->struck, false);
	torture->fault = fault;
	atomic_store(&torture->calls_left, n);
}

void
torture_pause(bool paused)
{
	atomic_store(&torture->paused, paused);
}

bool
torture_end(void)
{
	atomic_store(&torture->allocations_left, 0);
	atomic_store(&torture->calls_left, 0);
	return atomic_load(&torture->struck);
}

void
torture_leaks(bool forgiven)
{
#ifdef __SANITIZE_ADDRESS__
	static bool now;

	if (forgiven && !now)
		__lsan_disable();
	else if (!forgiven && now)
		__lsan_enable();
	now = forgiven;
#else
	(void) forgiven;
#endif
}

int
torture_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (directory != NULL && readdir(directory) != NULL)
		count++;
	if (directory != NULL)
		(void) closedir(directory);
	return count;
}

/* --- memory: seen by the shared libraries too */

#pragma GCC visibility push(default)

static bool
no_memory(void)
{
	if (torture == NULL || !strikes(&torture->allocations_left, atomic_load(&torture->lasting)))
		return false;
	errno = ENOMEM;
	return true;
}

void *
malloc(size_t size)
{
	return no_memory() ? NULL : REAL(malloc)(size);
}

void *
calloc(size_t count, size_t size)
{
	return no_memory() ? NULL : REAL(calloc)(count, size);
}

void *
realloc(void *old, size_t size)
{
	return no_memory() ? NULL : REAL(realloc)(old, size);
}

static char *
copy_into(char *copy, const char *text)
{
	return copy == NULL ? NULL : memcpy(copy, text, strlen(text) + 1);
}

/* Of others: json-c (0.16) copies keys without looking whether it could, and crashes. */
char *
strdup(const char *text)
{
	return copy_into(REAL(malloc)(strlen(text) + 1), text);
}

#pragma GCC visibility pop

/* Ours. */
char *__wrap_strdup(const char *text);
char *
__wrap_strdup(const char *text)
{
	return copy_into(malloc(strlen(text) + 1), text);
}

/* --- calls to the kernel */

bool
torture_strikes(void)
{
	if (!strikes(&torture->calls_left, false))
		return false;
	errno = torture->fault.error;
	return true;
}

#define WRAP(type, name, parameters, arguments) \
	type __real_##name parameters;              \
	type __wrap_##name parameters;              \
	type __wrap_##name parameters               \
	{                                           \
		if (torture_strikes())                  \
			return -1;                          \
		return __real_##name arguments;         \
	}

WRAP(int, fsync, (int fd), (fd))
WRAP(int, rename, (const char *from, const char *to), (from, to))
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode))
WRAP(int, fstat, (int fd, struct stat *out), (fd, out))
WRAP(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(ssize_t, getdents64, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP(int, linkat, (int from_fd, const char *from, int to_fd, const char *to, int flags),
	 (from_fd, from, to_fd, to, flags))
WRAP(ssize_t, getrandom, (void *buffer, size_t size, unsigned flags), (buffer, size, flags))

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __real_openat(int fd, const char *path, int flags, ...);
int __wrap_openat(int fd, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __real_close(int fd);
int __wrap_close(int fd);

int
__wrap_open(const char *path, int flags, ...)
{
	va_list more;
	unsigned mode;

	va_start(more, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
	va_end(more);
	return torture_strikes() ? -1 : __real_open(path, flags, mode);
}

int
__wrap_openat(int fd, const char *path, int flags, ...)
{
	va_list more;
	unsigned mode;

	va_start(more, flags);
	mode = (flags & O_CREAT) != 0 ? va_arg(more, unsigned) : 0;
	va_end(more);
	return torture_strikes() ? -1 : __real_openat(fd, path, flags, mode);
}

/* As a disk that fills up: half of it goes, what is left does not. */
ssize_t
__wrap_write(int fd, const void *data, size_t size)
{
	if (!torture_strikes())
		return __real_write(fd, data, size);
	if (!torture->fault.shorn || size < 2)
		return -1;
	atomic_store(&torture->calls_left, 1);
	return __real_write(fd, data, size / 2);
}

/* close(2) that fails has closed all the same. */
int
__wrap_close(int fd)
{
	bool fails = torture_strikes();
	int result = __real_close(fd);

	if (!fails)
		return result;
	errno = torture->fault.error;
	return -1;
}
