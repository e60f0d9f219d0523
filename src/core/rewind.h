/*
 * rewind.h: after a rewind that failed: is it tried again, or is the leader's data copied?
 *
 * A clone takes long and copies everything, so it is for what a rewind can never mend.
 */
#ifndef FHA_REWIND_H
#define FHA_REWIND_H

#include <stdbool.h>

#include "core/api.h"

/* How a rewind ended. */
typedef enum FhaRewindEnd
{
	FHA_REWIND_DONE,
	FHA_REWIND_NOT_BEGUN, /* this node could not prepare it, and the data is as it was */
	FHA_REWIND_SILENT, /* a program was not run, took too long, or said nothing that is a verdict */
	FHA_REWIND_PASSING,  /* the leader was not reached, or what is wrong passes */
	FHA_REWIND_REFUSED,  /* the leader refused the session of SQL, which a clone does not need */
	FHA_REWIND_HOPELESS, /* a program failed for another reason, in its own words */
	FHA_REWIND_NO_FORK,  /* the data has left the leader's history, and pg_rewind finds no fork */
	FHA_REWIND_HALF_DONE /* now or earlier, the data was changed, and not to the end */
} FhaRewindEnd;

/* The refusals in a row with the one that has just come; before: what was kept of those, whatever it is. */
FHA_API int fha_rewind_count_refusal(long before);

/* refusals: in a row, with this one; 0: not known. */
FHA_API bool fha_rewind_needs_clone(FhaRewindEnd end, int refusals);

#endif
