/*
 * exporter_status.c: the status page and its JSON.  See exporter_status.h.
 */
#include "postgres.h"

#include <time.h>

#include "clock.h"
#include "exporter_status.h"
#include "guc.h"
#include "own_metrics.h"
#include "page.h"
#include "shmem.h"
#include "status_document.h"

/* What the agent said last, also when it is gone; static, for nothing here may run out of memory. */
static char snapshot[SNAPSHOT_SIZE];
static FhaLagRing ring;
static int64 sample_ms = 0;

static size_t
copy_snapshot(void)
{
	size_t size;

	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	size = fawkes_shared->snapshot_size;
	memcpy(snapshot, fawkes_shared->snapshot, size);
	LWLockRelease(fawkes_shared->lock);
	return size;
}

int64
exporter_status_sample(void)
{
	int64 now_ms = fha_now_ms();
	size_t size;

	if (now_ms < sample_ms)
		return sample_ms;
	sample_ms = now_ms + FHA_LAG_RING_PERIOD_MS;
	size = copy_snapshot();
	fha_status_sample(&ring, size == 0 ? NULL : snapshot, size, now_ms);
	return sample_ms;
}

static void
show_document(FhaPage *page)
{
	FhaVitals vitals = {0};
	FhaFenceState fence = {0};
	FhaStatusInput input = {.vitals = &vitals, .fence = &fence, .ring = &ring};

	input.snapshot_size = copy_snapshot();
	input.snapshot = input.snapshot_size == 0 ? NULL : snapshot;
	input.max_lag_bytes = (int64) guc_max_lag_kb * 1024;
	input.now_ms = fha_now_ms();
	input.wall_s = (int64) time(NULL);
	(void) own_metrics_read(&vitals, &fence, &input.agent);
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
exporter_status_answer(const char *path, FhaPage *page)
{
	FhaPageFile file;

	page->headers = fha_page_headers();
	if (strcmp(path, "/status") == 0)
		show_document(page);
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
