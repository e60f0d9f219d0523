/*
 * cron.h: schedules as CloudNativePG writes them, and when one comes next.
 *
 * Six fields: second, minute, hour, day of the month, month, weekday (0 to 6, 0 is Sunday; or their English
 * names' first three letters).  A field is `*`, `?`, numbers, ranges `1-5`, steps `0-30/10`, `5/10` (from 5 to the
 * field's end) and a list of those.  The weekday may be left out, and is then any.  Or one of @yearly,
 * @annually, @monthly, @weekly, @daily, @midnight, @hourly, and `@every 1h30m`.
 *
 * All times are UTC, which has no summer time.  Its model is robfig/cron 1.2.0, also where that differs from
 * cron: if day of the month and weekday both lack a `*` or `?`, a day of either counts, else a day of both.
 */
#ifndef FHA_CRON_H
#define FHA_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/api.h"
#include "core/sizes.h"

#define FHA_CRON_FIELDS 6

typedef struct FhaCron
{
	uint64_t bits[FHA_CRON_FIELDS]; /* by field, in the order above: which numbers */
	bool any[FHA_CRON_FIELDS];      /* it has a `*` or a `?` */
	int field_count;                /* that were written: 6, or 5; 0: an @ */
	int64_t every_s;                /* @every; 0: the fields count */
} FhaCron;

/* false: *why says which field is wrong and what it may be, and *out is not to be used. */
FHA_API bool fha_cron_parse(const char *text, FhaCron *out, char why[FHA_SENTENCE_SIZE]);

/*
 * Seconds since 1970 of the first time after after_s; @every: one such time after it.  -1: none within
 * five years, or none before the year 10000.
 */
FHA_API int64_t fha_cron_next(const FhaCron *cron, int64_t after_s);

#endif
