/*
 * freshness.c: how old is what a standby has.  See freshness.h.
 */
#include "core/freshness.h"

#include <string.h>

static void
sample_drop(FhaFreshness *freshness, size_t at)
{
	freshness->count--;
	memmove(freshness->waiting + at, freshness->waiting + at + 1,
			(freshness->count - at) * sizeof(freshness->waiting[0]));
}

/*
 * Who reaches a sample that was dropped counts as being at the one before it, and the lag as larger.
 * The one goes whose neighbours are the closest to each other for their age, so that a lag is told
 * by a part of itself, however long it becomes.
 */
static void
samples_make_room(FhaFreshness *freshness, int64_t now_ms)
{
	const FhaSample *waiting = freshness->waiting;
	size_t best = 1;
	double least = 0;

	for (size_t i = 1; i + 1 < freshness->count; i++)
	{
		double gap = (double) (waiting[i + 1].at_ms - waiting[i - 1].at_ms) /
					 (double) (now_ms - waiting[i - 1].at_ms + 1);

		if (i == 1 || gap < least)
		{
			best = i;
			least = gap;
		}
	}
	sample_drop(freshness, best);
}

void
fha_freshness_sample(FhaFreshness *freshness, uint64_t lsn, int64_t now_ms)
{
	FhaSample *newest = freshness->count == 0 ? NULL : &freshness->waiting[freshness->count - 1];

	/* Told by two, the record and the stream: one may be behind the other. */
	if (newest != NULL && lsn < newest->lsn)
		return;
	if (newest != NULL && lsn == newest->lsn)
	{
		newest->at_ms = now_ms;
		return;
	}
	if (freshness->count == FHA_SAMPLES_MAX)
		samples_make_room(freshness, now_ms);
	freshness->waiting[freshness->count++] = (FhaSample){lsn, now_ms};
}

void
fha_freshness_new_term(FhaFreshness *freshness)
{
	freshness->count = 0;
}

int64_t
fha_freshness_lag_ms(const FhaFreshness *freshness, FhaStage stage, int64_t now_ms)
{
	int64_t fresh_at_ms = freshness->fresh_at_ms[stage];

	return fresh_at_ms == 0 ? FHA_LAG_UNKNOWN : now_ms - fresh_at_ms;
}

int64_t
fha_lag_shown_ms(int64_t fresh_at_ms, int64_t whole_ends_at_ms, int64_t now_ms)
{
	return now_ms <= whole_ends_at_ms || now_ms <= fresh_at_ms ? 0 : now_ms - fresh_at_ms;
}

void
fha_freshness_reached(FhaFreshness *freshness, const uint64_t lsn[FHA_STAGES])
{
	uint64_t reached = 0;

	/* What was replayed was flushed, what was flushed was written. */
	for (int stage = FHA_STAGES - 1; stage >= 0; stage--)
	{
		if (lsn[stage] > reached)
			reached = lsn[stage];
		for (size_t i = 0; i < freshness->count && freshness->waiting[i].lsn <= reached; i++)
			if (freshness->waiting[i].at_ms > freshness->fresh_at_ms[stage])
				freshness->fresh_at_ms[stage] = freshness->waiting[i].at_ms;
	}
	while (freshness->count > 0 && freshness->waiting[0].lsn <= lsn[FHA_REPLAYED])
		sample_drop(freshness, 0);
}

void
fha_freshness_judge(FhaFreshness *freshness, int64_t limit_ms, int64_t now_ms)
{
	int64_t lag_ms = fha_freshness_lag_ms(freshness, FHA_REPLAYED, now_ms);

	if (lag_ms > limit_ms)
		freshness->fit = false;
	else if (lag_ms <= limit_ms / 2)
		freshness->fit = true;
}
