/*
 * log_limit.h: may a sentence be logged now?
 *
 * A fault that lasts says the same at every turn of a loop.  One text is let through once a second;
 * texts that differ in their figures alone are one cause, of which a few pass in a second.
 */
#ifndef FHA_BASE_LOG_LIMIT_H
#define FHA_BASE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define FHA_LOG_CAUSES 32

/* Zeroed: nothing was logged yet. */
typedef struct FhaLogLimit
{
	struct
	{
		uint64_t text; /* a hash of it */
		uint64_t cause;
		int64_t said_at_ms;
		uint64_t withheld; /* since then */
	} said[FHA_LOG_CAUSES];
} FhaLogLimit;

/* now_ms: on fha_now_ms.  *withheld: how often this text was kept back since it was last logged. */
FHA_API bool fha_log_may(FhaLogLimit *limit, const char *text, int64_t now_ms, uint64_t *withheld);

#endif
