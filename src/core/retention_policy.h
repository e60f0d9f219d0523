/*
 * retention_policy.h: for how long backups are kept.
 *
 * "30d", "4w", "6m" are a recovery window: each moment in it can be recovered.  A month has 31 days, as in barman.
 * "3" and "REDUNDANCY 3" are a count: the newest three can be recovered.  "RECOVERY WINDOW OF 4 WEEKS" is barman's way to write "4w".
 */
#ifndef FHA_RETENTION_POLICY_H
#define FHA_RETENTION_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/api.h"
#include "core/sizes.h"

#define FHA_RETENTION_DAYS_MAX 36525 /* a hundred years */
#define FHA_RETENTION_COUNT_MAX 10000

typedef struct FhaRetentionPolicy
{
	int64_t window_s; /* 0: it is a count */
	unsigned count;   /* 0: it is a window; both 0: everything is kept */
} FhaRetentionPolicy;

/* "" keeps everything.  false: *why says what it may be. */
FHA_API bool fha_retention_policy_parse(const char *text, FhaRetentionPolicy *out,
										char why[FHA_SENTENCE_SIZE]);

#endif
