/*
 * lag_ring.c: lag over the last minutes.  See lag_ring.h.
 */
#include "show/lag_ring.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool
track_is_empty(const FhaLagRing *ring, const FhaLagTrack *track)
{
	for (size_t i = 0; i < ring->count; i++)
	{
		size_t place = fha_lag_ring_place(ring, i);

		if (track->ms[place] != FHA_LAG_UNSEEN || track->bytes[place] != FHA_LAG_UNSEEN)
			return false;
	}
	return true;
}

void
fha_lag_ring_begin(FhaLagRing *ring, int64_t now_ms)
{
	ring->newest = ring->count == 0 ? 0 : (ring->newest + 1) % FHA_LAG_RING_SAMPLES;
	if (ring->count < FHA_LAG_RING_SAMPLES)
		ring->count++;
	ring->at_ms[ring->newest] = now_ms;
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
	{
		FhaLagTrack *track = &ring->tracks[i];

		track->ms[ring->newest] = FHA_LAG_UNSEEN;
		track->bytes[ring->newest] = FHA_LAG_UNSEEN;
		if (track->member[0] != '\0' && track_is_empty(ring, track))
			track->member[0] = '\0';
	}
}

static FhaLagTrack *
track_of(FhaLagRing *ring, const char *member)
{
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		if (strcmp(ring->tracks[i].member, member) == 0)
			return &ring->tracks[i];
	return NULL;
}

void
fha_lag_ring_put(FhaLagRing *ring, const char *member, int64_t ms, int64_t bytes)
{
	FhaLagTrack *track = track_of(ring, member);

	if (track == NULL)
	{
		track = track_of(ring, "");
		if (track == NULL)
			return;
		(void) snprintf(track->member, sizeof(track->member), "%s", member);
		for (size_t i = 0; i < FHA_LAG_RING_SAMPLES; i++)
			track->ms[i] = track->bytes[i] = FHA_LAG_UNSEEN;
	}
	track->ms[ring->newest] = ms;
	track->bytes[ring->newest] = bytes;
}

size_t
fha_lag_ring_place(const FhaLagRing *ring, size_t i)
{
	return (ring->newest + FHA_LAG_RING_SAMPLES + 1 - ring->count + i) % FHA_LAG_RING_SAMPLES;
}
