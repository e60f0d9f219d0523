/*
 * clock.c: time and randomness from the kernel.
 */
#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int64_t
fha_now_ms(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
fha_wall_ms(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
fha_wall_print(int64_t wall_ms, char *out, size_t size)
{
	time_t seconds = (time_t) (wall_ms / 1000);
	struct tm utc;
	char whole[24];

	(void) gmtime_r(&seconds, &utc);
	(void) strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &utc);
	(void) snprintf(out, size, "%s.%03dZ", whole, (int) (wall_ms % 1000));
}

void
fha_wall_time(char *out, size_t size)
{
	fha_wall_print(fha_wall_ms(), out, size);
}

FhaCode
fha_random_hex(char *out, size_t size, FhaError *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[64];
	size_t count = size - 1;

	if (size == 0 || count > sizeof(raw))
		/* LCOV_EXCL_START: callers ask for a few */
		return fha_error(err, FHA_INVALID, "cannot make %zu random digits", count);
	/* LCOV_EXCL_STOP */
	if (getrandom(raw, count, 0) != (ssize_t) count)
		return fha_error_errno(err, FHA_IO, "getrandom");
	for (size_t i = 0; i < count; i++)
		out[i] = digits[raw[i] & 0xf];
	out[count] = '\0';
	return FHA_OK;
}

void
fha_time_namespace(char *out, size_t size)
{
	char target[64];
	ssize_t length = readlink("/proc/self/ns/time", target, sizeof(target) - 1);
	const char *digits;

	out[0] = '\0';
	if (length <= 0)
		return; /* LCOV_EXCL_LINE: a kernel older than 5.6 */
	target[length] = '\0';
	digits = strpbrk(target, "0123456789");
	if (digits != NULL)
		(void) snprintf(out, size, "%.*s", (int) strspn(digits, "0123456789"), digits);
}

FhaCode
fha_boot_id(char *out, size_t size, FhaError *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	char raw[64];
	size_t used = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		/* LCOV_EXCL_START: Linux has this file */
		return fha_error_errno(err, FHA_IO, "could not open %s", path);
	/* LCOV_EXCL_STOP */
	got = read(fd, raw, sizeof(raw));
	(void) close(fd);
	if (got < 36 || size < 33)
		/* LCOV_EXCL_START: it has 37 bytes */
		return fha_error(err, FHA_IO, "could not read %s", path);
	/* LCOV_EXCL_STOP */
	for (int i = 0; i < 36; i++)
		if (raw[i] != '-' && used < size - 1)
			out[used++] = raw[i];
	out[used] = '\0';
	return FHA_OK;
}

static int64_t
kernel_now_ms(void *context)
{
	(void) context;
	return fha_now_ms();
}

static int64_t
kernel_wall_ms(void *context)
{
	(void) context;
	return fha_wall_ms();
}

static FhaCode
kernel_random_hex(void *context, char *out, size_t size, FhaError *err)
{
	(void) context;
	return fha_random_hex(out, size, err);
}

static FhaCode
kernel_boot_id(void *context, char *out, size_t size, FhaError *err)
{
	(void) context;
	return fha_boot_id(out, size, err);
}

static void
kernel_time_namespace(void *context, char *out, size_t size)
{
	(void) context;
	fha_time_namespace(out, size);
}

const FhaClock fha_kernel_clock = {
	.now_ms = kernel_now_ms,
	.wall_ms = kernel_wall_ms,
	.random_hex = kernel_random_hex,
	.boot_id = kernel_boot_id,
	.time_namespace = kernel_time_namespace,
};
