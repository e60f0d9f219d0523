/*
 * rewind.c: after a rewind that failed.  See rewind.h.
 */
#include "core/rewind.h"

/* With the back-off of starts.c some 90 s; the leader puts our role right within 60. */
#define REFUSALS_MAX 7

int
fha_rewind_count_refusal(long before)
{
	return before < 0 || before >= REFUSALS_MAX ? 1 : (int) before + 1;
}

bool
fha_rewind_needs_clone(FhaRewindEnd end, int refusals)
{
	if (end == FHA_REWIND_REFUSED)
		return refusals == REFUSALS_MAX;
	/* Without a fork the same host action would come again: recovery may have written a checkpoint of its own. */
	return end == FHA_REWIND_HOPELESS || end == FHA_REWIND_NO_FORK || end == FHA_REWIND_HALF_DONE;
}
