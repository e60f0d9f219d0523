/*
 * starts.c: when a stopped server is started again.  See starts.h.
 */
#include "core/starts.h"

#include <string.h>

/* A server that has run this long was a success: the back-off starts again. */
#define GOOD_RUN_MS (30 * 1000)
/* After so many failed starts or jobs in a row, others may lead, and status says so. */
#define FAILURES_IN_A_ROW 2
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MAX_MS (30 * 1000)

static void
end_pause(FhaStarts *starts)
{
	starts->failures = 0;
	starts->start_again_at_ms = 0;
}

void
fha_starts_failed(FhaStarts *starts, int64_t now_ms)
{
	int64_t wait_ms = BACKOFF_FIRST_MS;

	for (int i = 0; i < starts->failures && wait_ms < BACKOFF_MAX_MS; i++)
		wait_ms *= 2;
	starts->failures++;
	starts->failed = true;
	starts->start_again_at_ms = now_ms + (wait_ms < BACKOFF_MAX_MS ? wait_ms : BACKOFF_MAX_MS);
}

void
fha_starts_worked(FhaStarts *starts)
{
	starts->failures = 0;
	starts->failed = false;
}

bool
fha_starts_server_ended(FhaStarts *starts, const FhaServerEnd *end, int64_t now_ms)
{
	starts->failed = !end->told && (!end->came_up || end->gave_up);
	if (end->ran_ms >= GOOD_RUN_MS)
		starts->failures = 0;
	else if (starts->failed && end->came_up && starts->failures == 0)
		/* The first restart is at once; a server that cannot stay up is started ever less often. */
		starts->failures++;
	else if (starts->failed)
		fha_starts_failed(starts, now_ms);
	return starts->failed;
}

void
fha_starts_heed_request(FhaStarts *starts, const char *request)
{
	if (request == NULL || strcmp(starts->lifted_for, request) == 0)
		return;
	memcpy(starts->lifted_for, request, sizeof(starts->lifted_for));
	end_pause(starts);
}

bool
fha_starts_heed_settings(FhaStarts *starts, uint64_t changes, bool no_start)
{
	if (changes == starts->settings_changes)
		return false;
	starts->settings_changes = changes;
	if (no_start)
		end_pause(starts);
	return true;
}

bool
fha_starts_wait(const FhaStarts *starts, int64_t now_ms)
{
	return now_ms < starts->start_again_at_ms;
}

void
fha_starts_show(const FhaStarts *starts, int64_t now_ms, FhaPgView *view)
{
	view->failed = starts->failed;
	view->failing = starts->failures >= FAILURES_IN_A_ROW && fha_starts_wait(starts, now_ms);
}
