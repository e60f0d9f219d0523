/*
 * exporter_status.c: the status page and its JSON.  See exporter_status.h.
 */
#include "postgres.h"

#include <time.h>

#include "base/clock.h"
#include "pg/exporter_status.h"
#include "pg/guc.h"
#include "pg/own_metrics.h"
#include "pg/shmem.h"
#include "show/page.h"
#include "show/status_document.h"

/* What the agent said last, also when it is gone; static, for nothing here may run out of memory. */
static char snapshot[SNAPSHOT_SIZE];
static size_t snapshot_size = 0;
static FhaLagRing ring;
static int64 sample_at_ms = 0;

/* Waits for nobody: while somebody who holds the lock stands still, the copy before will do. */
static void
copy_snapshot(void)
{
	if (!LWLockConditionalAcquire(fawkes_shared->lock, LW_SHARED))
		return;
	snapshot_size = fawkes_shared->snapshot_size;
	memcpy(snapshot, fawkes_shared->snapshot, snapshot_size);
	LWLockRelease(fawkes_shared->lock);
}

int64
exporter_status_sample(void)
{
	int64 now_ms = fha_now_ms();

	if (now_ms < sample_at_ms)
		return sample_at_ms;
	sample_at_ms = now_ms + FHA_LAG_RING_PERIOD_MS;
	copy_snapshot();
	fha_status_sample(&ring, snapshot_size == 0 ? NULL : snapshot, snapshot_size, now_ms);
	return sample_at_ms;
}

static void
show_document(const FhaServerFacts *facts, FhaPage *page)
{
	FhaVitals vitals;
	FhaFenceState fence;
	FhaStatusInput input = {.vitals = &vitals, .fence = &fence, .ring = &ring, .server = facts};

	copy_snapshot();
	input.snapshot = snapshot_size == 0 ? NULL : snapshot;
	input.snapshot_size = snapshot_size;
	(void) own_metrics_read(&vitals, &fence, &input.agent);
	input.max_lag_bytes = guc_max_lag_on_failover_kB * FHA_UNIT_kB;
	input.now_ms = fha_now_ms();
	input.wall_s = (int64) time(NULL);
	page->status = 200;
	page->type = "application/json";
	if (fha_status_document(&input, &page->text, NULL) == FHA_OK)
		page->size = strlen(page->text);
	else
	{
		page->status = 503;
		page->type = "text/plain";
		page->fixed = "out of memory\n";
		page->size = strlen(page->fixed);
	}
}

bool
exporter_status_answer(const char *path, const FhaServerFacts *facts, FhaPage *page)
{
	FhaPageFile file;

	page->headers = fha_page_headers();
	if (strcmp(path, "/status") == 0)
		show_document(facts, page);
	else if (fha_page_file(path, &file))
	{
		page->status = 200;
		page->type = file.type;
		page->fixed = file.body;
		page->size = file.size;
	}
	else
		return false;
	return true;
}
