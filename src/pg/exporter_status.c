/*
 * exporter_status.c: the status page and its JSON.  See exporter_status.h.
 */
#include "postgres.h"

#include <time.h>

#include "base/clock.h"
#include "pg/exporter_status.h"
#include "pg/guc.h"
#include "pg/own_metrics.h"
#include "pg/published.h"
#include "show/page.h"
#include "show/status_document.h"

/* What the agent said last, also when it is gone; static, for nothing here may run out of memory. */
static FhaSnapshot snapshot;
static FhaLagRing ring;
static int64 sample_at_ms = 0;

/* NULL: it has said nothing yet. */
static const FhaSnapshot *
snapshot_look(void)
{
	uint64 count;

	return published_read(&snapshot, &count) ? &snapshot : NULL;
}

int64
exporter_status_sample(void)
{
	int64 now_ms = fha_now_ms();

	if (now_ms < sample_at_ms)
		return sample_at_ms;
	sample_at_ms = now_ms + FHA_LAG_RING_PERIOD_MS;
	fha_status_sample(&ring, snapshot_look(), now_ms);
	return sample_at_ms;
}

void
exporter_status_document(const FhaServerFacts *facts, FhaAnswer *out)
{
	FhaVitals vitals;
	FhaFenceState fence;
	FhaStatusInput input = {.vitals = &vitals, .fence = &fence, .ring = &ring, .server = facts};
	char *text;

	input.snapshot = snapshot_look();
	(void) own_metrics_read(&vitals, &fence, &input.agent);
	input.max_lag_bytes = guc_max_lag_on_failover_kB * FHA_UNIT_kB;
	input.now_ms = fha_now_ms();
	input.wall_s = (int64) time(NULL);
	out->headers = fha_page_headers();
	if (fha_status_document(&input, &text, NULL) == FHA_OK)
		fha_answer_give(out, 200, text);
	else
		fha_answer_say(out, 503, "out of memory\n");
}

bool
exporter_status_file(const char *path, FhaAnswer *out)
{
	FhaPageFile file;

	out->headers = fha_page_headers();
	if (!fha_page_file(path, &file))
		return false;
	out->status = 200;
	out->type = file.type;
	out->fixed = file.body;
	out->size = file.size;
	return true;
}
