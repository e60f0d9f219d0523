/*
 * log_limit.c: may a sentence be logged now?  See log_limit.h.
 */
#include "base/log_limit.h"

#include <stddef.h>

#define SECOND_MS 1000
/* Several members may say the same of themselves in one second. */
#define CAUSE_BURST 4

/* FNV-1a (Fowler, Noll, Vo). */
static uint64_t
hash_add(uint64_t hash, char c)
{
	return (hash ^ (unsigned char) c) * UINT64_C(1099511628211);
}

static void
hash_both(const char *text, uint64_t *whole, uint64_t *cause)
{
	*whole = *cause = UINT64_C(14695981039346656037);
	for (; *text != '\0'; text++)
	{
		*whole = hash_add(*whole, *text);
		if (*text < '0' || *text > '9')
			*cause = hash_add(*cause, *text);
	}
}

bool
fha_log_may(FhaLogLimit *limit, const char *text, int64_t now_ms, uint64_t *withheld)
{
	uint64_t whole;
	uint64_t cause;
	int burst = 0;
	size_t row = FHA_LOG_CAUSES;
	size_t oldest = 0;

	hash_both(text, &whole, &cause);
	for (size_t i = 0; i < FHA_LOG_CAUSES; i++)
	{
		bool recent =
			limit->said[i].said_at_ms != 0 && now_ms - limit->said[i].said_at_ms < SECOND_MS;

		if (limit->said[i].text == whole)
			row = i;
		if (limit->said[i].said_at_ms < limit->said[oldest].said_at_ms)
			oldest = i;
		burst += recent && limit->said[i].cause == cause;
		if (recent && limit->said[i].text == whole)
		{
			limit->said[i].withheld++;
			return false;
		}
	}
	if (burst >= CAUSE_BURST)
		return false;
	*withheld = row == FHA_LOG_CAUSES ? 0 : limit->said[row].withheld;
	if (row == FHA_LOG_CAUSES)
		row = oldest;
	limit->said[row].text = whole;
	limit->said[row].cause = cause;
	limit->said[row].said_at_ms = now_ms;
	limit->said[row].withheld = 0;
	return true;
}
