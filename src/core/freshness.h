/*
 * freshness.h: how old is what a standby has, and may it serve reads?
 *
 * Its lag is the time since it received the newest sample of the leader's position that it has
 * replayed (flushed, written).  Never "received = replayed, so none": a standby that is cut off
 * receives no samples, and its lag grows.  Every time is an argument, on the caller's
 * CLOCK_BOOTTIME (S3).
 */
#ifndef FHA_FRESHNESS_H
#define FHA_FRESHNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/world.h"

/* Samples that wait to be replayed: so many tell lags between 1 s and 24 h apart to a fifth. */
#define FHA_SAMPLES_MAX 66
#define FHA_LAG_UNKNOWN INT64_MAX

/* The leader was at this position, as was heard at that moment. */
typedef struct FhaSample
{
	uint64_t lsn;
	int64_t at_ms;
} FhaSample;

/* Zeroed: nothing was heard, not fit. */
typedef struct FhaFreshness
{
	int64_t fresh_at_ms[FHA_STAGES]; /* receipt of the newest sample that it has got; 0: none */
	size_t count;
	FhaSample waiting[FHA_SAMPLES_MAX]; /* oldest first */
	bool fit;                           /* may serve reads */
} FhaFreshness;

/* A sample was received at now_ms. */
void fha_freshness_sample(FhaFreshness *freshness, uint64_t lsn, int64_t now_ms);

/* Another leader: where the one before was need never be reached. */
void fha_freshness_new_term(FhaFreshness *freshness);

/* The standby has written, flushed and replayed up to there. */
void fha_freshness_reached(FhaFreshness *freshness, const uint64_t lsn[FHA_STAGES]);

/*
 * Fit ends beyond limit_ms of replay and begins again at half of it: as a lag grows no faster than
 * time, it cannot come and go more often than that.
 */
void fha_freshness_judge(FhaFreshness *freshness, int64_t limit_ms, int64_t now_ms);

/*
 * The age of the newest sample that it has, in ms; FHA_LAG_UNKNOWN: no sample has come so far.  People
 * are shown none while it has everything: fha_lag_shown_ms().
 */
int64_t fha_freshness_lag_ms(const FhaFreshness *freshness, FhaStage stage, int64_t now_ms);

/*
 * The lag that is shown: none until whole_ends_at_ms (it has all that its leader has, as was heard not
 * long before), then the time since fresh_at_ms.
 */
int64_t fha_lag_shown_ms(int64_t fresh_at_ms, int64_t whole_ends_at_ms, int64_t now_ms);

#endif
