/*
 * starts.h: when a stopped server is started again, or a failed job begun again, and when its node
 * counts as failing.
 *
 * Each moment is an argument, in milliseconds on the host's clock.
 */
#ifndef FHA_STARTS_H
#define FHA_STARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/api.h"
#include "core/world.h"

/* What became of starts and jobs here; zeroed: nothing was tried. */
typedef struct FhaStarts
{
	int failures;                 /* in a row */
	bool failed;                  /* the last start or job */
	int64_t start_again_at_ms;    /* nothing is tried before */
	char lifted_for[FHA_ID_SIZE]; /* the request for which the pause was ended */
	uint64_t settings_changes;    /* of the host actions, as last seen */
} FhaStarts;

/* How a server ended. */
typedef struct FhaServerEnd
{
	bool told;    /* the node is being stopped */
	bool came_up; /* its agent has spoken for the node */
	bool gave_up; /* it ended with an error: recovery failed, or its settings do not fit */
	int64_t ran_ms;
} FhaServerEnd;

/* Something failed again: nothing is tried for a while, each time for longer. */
FHA_API void fha_starts_failed(FhaStarts *starts, int64_t now_ms);

/* A job has done its work. */
FHA_API void fha_starts_worked(FhaStarts *starts);

/* True: this server has failed; false: it did what it was started for. */
FHA_API bool fha_starts_server_ended(FhaStarts *starts, const FhaServerEnd *end, int64_t now_ms);

/* What an operator asks of this member is not kept waiting by a pause.  request: its id; NULL: none. */
FHA_API void fha_starts_heed_request(FhaStarts *starts, const char *request);

/*
 * Other settings may mend a server that does not start.  changes: as in the host action; no_start: the
 * last server did not.  True: the settings are others than those seen last.
 */
FHA_API bool fha_starts_heed_settings(FhaStarts *starts, uint64_t changes, bool no_start);

/* Is a pause on? */
FHA_API bool fha_starts_wait(const FhaStarts *starts, int64_t now_ms);

/* Into the view: whether the last one failed, and whether others may lead now. */
FHA_API void fha_starts_show(const FhaStarts *starts, int64_t now_ms, FhaPgView *view);

#endif
