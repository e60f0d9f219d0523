/*
 * clock.h: the only clock that decides, the only one that is shown, and chance; as functions, and as an
 * argument for what is to be played in another time.
 */
#ifndef FHA_BASE_CLOCK_H
#define FHA_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/sizes.h"

/*
 * Milliseconds of CLOCK_BOOTTIME: goes on during suspend, never steps (S3).
 * Every deadline in the project is on this clock.
 */
FHA_API int64_t fha_now_ms(void);

/* UTC wall clock as "2026-11-22T17:00:00.123Z", for people only.  size >= 25. */
FHA_API void fha_wall_time(char *out, size_t size);

/* The same in milliseconds since the epoch. */
FHA_API int64_t fha_wall_ms(void);

/* Milliseconds since the epoch as fha_wall_time prints them. */
FHA_API void fha_wall_print(int64_t wall_ms, char *out, size_t size);

/* hex_digits random lower-case hexadecimal digits and a NUL; size >= hex_digits + 1. */
FHA_API FHA_MUST_CHECK FhaCode fha_random_hex(char *out, size_t size, FhaError *err);

/* This boot's identity (/proc/sys/kernel/random/boot_id) without dashes; size >= 33. */
FHA_API FHA_MUST_CHECK FhaCode fha_boot_id(char *out, size_t size, FhaError *err);

/* Which time namespace this process is in, as its number in the kernel; "": the kernel has none. */
FHA_API void fha_time_namespace(char *out, size_t size);

/* What these functions give, as an argument; each call is handed the context. */
typedef struct FhaClock
{
	void *context;
	int64_t (*now_ms)(void *context);
	int64_t (*wall_ms)(void *context);
	FhaCode (*random_hex)(void *context, char *out, size_t size, FhaError *err);
	FhaCode (*boot_id)(void *context, char *out, size_t size, FhaError *err);
	void (*time_namespace)(void *context, char *out, size_t size);
} FhaClock;

/* The functions above. */
FHA_API extern const FhaClock fha_kernel_clock;

#endif
