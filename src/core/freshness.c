/*
 * freshness.c: how old is what a standby shows.  See freshness.h.
 */
#include "freshness.h"

#include <string.h>

void
fha_freshness_sample(FhaFreshness *freshness, uint64_t lsn, int64_t limit_ms, int64_t now_ms)
{
	FhaSample *waiting = freshness->waiting;
	size_t at = freshness->count;

	/* Told by two, the record and the stream: one may be behind the other. */
	if (at > 0 && lsn < waiting[at - 1].lsn)
		return;
	/*
	 * The newest is moved on while it is close to the one before it, or there is no room: what was
	 * replayed up to where it stood then counts as replayed later, and the lag as larger.
	 */
	if (at > 0 && (waiting[at - 1].lsn == lsn || at == FHA_SAMPLES_MAX ||
				   (at > 1 && now_ms - waiting[at - 2].at_ms < limit_ms / 32)))
		at--;
	waiting[at] = (FhaSample){lsn, now_ms};
	freshness->count = at + 1;
}

void
fha_freshness_new_term(FhaFreshness *freshness)
{
	freshness->count = 0;
}

int64_t
fha_freshness_lag_ms(const FhaFreshness *freshness, int64_t now_ms)
{
	return freshness->fresh_ms == 0 ? FHA_LAG_UNKNOWN : now_ms - freshness->fresh_ms;
}

void
fha_freshness_judge(FhaFreshness *freshness, uint64_t replayed, int64_t limit_ms, int64_t now_ms)
{
	size_t done = 0;
	int64_t lag_ms;

	while (done < freshness->count && freshness->waiting[done].lsn <= replayed)
		freshness->fresh_ms = freshness->waiting[done++].at_ms;
	freshness->count -= done;
	memmove(freshness->waiting, freshness->waiting + done,
			freshness->count * sizeof(freshness->waiting[0]));
	lag_ms = fha_freshness_lag_ms(freshness, now_ms);
	if (lag_ms > limit_ms)
		freshness->fit = false;
	else if (lag_ms <= limit_ms / 2)
		freshness->fit = true;
}
