/*
 * stopped.c: what the data of a stopped server says of its lease.  See stopped.h.
 */
#include "core/stopped.h"

#include <string.h>

#include "core/observe.h"

/* A holder's in no more than this: an outage is going on. */
#define HOLDER_SEARCH_MS 1000
#define OTHER_SEARCH_MS 20000

static uint64_t
stopped_later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

FhaDataTask
fha_stopped_task(const FhaStopped *stopped, bool decided, bool job, bool replaced, bool waits)
{
	if (job)
		return FHA_READ_NOTHING;
	if (!stopped->read)
		return replaced || waits ? FHA_READ_NOTHING : FHA_READ_CONTROL;
	if (stopped->empty || stopped->damaged || stopped->end_sought || !decided)
		return FHA_READ_NOTHING;
	return FHA_READ_END;
}

uint32_t
fha_stopped_newest(const FhaStopped *stopped)
{
	if (stopped->promoting_from == 0)
		return UINT32_MAX;
	return (uint32_t) stopped_later(stopped->promoting_from, stopped->timeline);
}

FhaEndSearch
fha_stopped_search(const FhaStopped *stopped, bool holds_lease, FhaPosition recorded)
{
	FhaEndSearch search = {
		.newest = fha_stopped_newest(stopped),
		.from = stopped_later(stopped->clean ? stopped->checkpoint : stopped->redo,
							  stopped->min_recovery),
		/* A lease waits for no more than a second of it; nothing else may keep a node from stopping. */
		.limit_ms = holds_lease ? HOLDER_SEARCH_MS : OTHER_SEARCH_MS,
		.ends_at_stop = !holds_lease,
	};

	/* 256 MB may lie between the checkpoint and what the last renewal told. */
	if (holds_lease && recorded.timeline == stopped->timeline)
		search.from = stopped_later(search.from, recorded.lsn);
	return search;
}

FhaPosition
fha_stopped_end(const FhaStopped *stopped)
{
	FhaPosition end = stopped->end;

	/* Unread is further than anybody's: nobody takes the lease before us, and a rewind finds out. */
	end.lsn = stopped->end_found ? stopped_later(end.lsn, stopped->min_recovery) : FHA_LSN_UNREAD;
	return end;
}

FhaPosition
fha_stopped_required(const FhaStopped *stopped)
{
	FhaPosition required = fha_stopped_end(stopped);

	/* 0: nothing was acknowledged here yet, so nothing is known of what clients were told. */
	if (!stopped->clean && stopped->acked_counts && stopped->acked != 0 &&
		stopped->acked < required.lsn)
		required.lsn = stopped->acked;
	return required;
}

bool
fha_stopped_is_clean(const FhaStopped *stopped)
{
	return stopped->clean && stopped->was_primary && stopped->end_sought && stopped->end_found;
}

uint64_t
fha_stopped_acked_at_start(const FhaStopped *stopped, bool standby)
{
	/* A promotion leaves this timeline; a primary that starts again has acknowledged what it had. */
	return standby ? 0 : fha_stopped_required(stopped).lsn;
}

void
fha_stopped_show(const FhaStopped *stopped, bool replaced, FhaPgView *view)
{
	/*
	 * Of data that cannot be read nobody knows what a successor needs: no lease is released by it, and
	 * nothing is started on it.  Data that is to be replaced need not be readable.
	 */
	view->state = stopped->read || replaced ? FHA_PG_DOWN : FHA_PG_BUSY;
	if (!stopped->read)
		return;
	view->empty = stopped->empty;
	view->damaged = !stopped->empty && stopped->damaged;
	if (view->empty || view->damaged)
		return;
	view->system_identifier = stopped->system_identifier;
	if (!stopped->end_sought)
		return;
	view->position = fha_stopped_end(stopped);
	view->lineage_count = stopped->lineage_count;
	memcpy(view->lineage, stopped->lineage, sizeof(view->lineage));
	view->origin = fha_lineage_origin(view->lineage, view->lineage_count);
	view->lacking = stopped->lacking;
	view->required = fha_stopped_required(stopped);
	view->clean = fha_stopped_is_clean(stopped);
}
