/*
 * lag_ring.h: the lag of each standby over the last ten minutes, in memory of fixed size.
 */
#ifndef FHA_SHOW_LAG_RING_H
#define FHA_SHOW_LAG_RING_H

#include <stddef.h>
#include <stdint.h>

#include "core/api.h"
#include "core/world.h"

#define FHA_LAG_RING_PERIOD_MS 5000
#define FHA_LAG_RING_SAMPLES 120
#define FHA_LAG_UNSEEN (-1) /* no value at that moment */

typedef struct FhaLagTrack
{
	char member[FHA_NAME_SIZE]; /* "": a free place */
	int64_t ms[FHA_LAG_RING_SAMPLES];
	int64_t bytes[FHA_LAG_RING_SAMPLES];
} FhaLagTrack;

/* Zeroed: empty.  A sample's place is the same in every array. */
typedef struct FhaLagRing
{
	size_t count;
	size_t newest;
	int64_t at_ms[FHA_LAG_RING_SAMPLES]; /* CLOCK_BOOTTIME */
	FhaLagTrack tracks[FHA_MEMBERS_MAX];
} FhaLagRing;

/* A new sample begins, in which no member has a value yet. */
FHA_API void fha_lag_ring_begin(FhaLagRing *ring, int64_t now_ms);

/* A member's value in the newest sample; either may be FHA_LAG_UNSEEN.  Beyond 64 members it is dropped. */
FHA_API void fha_lag_ring_put(FhaLagRing *ring, const char *member, int64_t ms, int64_t bytes);

/* The place of the i-th sample, the oldest being the 0th; i < ring->count. */
FHA_API size_t fha_lag_ring_place(const FhaLagRing *ring, size_t i);

#endif
