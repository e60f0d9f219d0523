/*
 * published.c: what the agent knew at its last change.  See published.h.
 */
#include "postgres.h"

#include "pg/published.h"
#include "pg/report.h"
#include "pg/shmem.h"

void
published_put(FhaNode *node, uint64 *changes)
{
	uint64 count = pg_atomic_read_u64(&fawkes_shared->snapshot_count) + 1;
	FhaError err;

	if (fha_node_changes(node) == *changes)
		return;
	pg_write_barrier(); /* the last count is seen before anything of this one */
	if (fha_node_snapshot(node, &fawkes_shared->snapshots[count % 2], &err) != FHA_OK)
	{
		fha_report_as("snapshot_failed", &err);
		return;
	}
	*changes = fha_node_changes(node);
	pg_write_barrier();
	pg_atomic_write_u64(&fawkes_shared->snapshot_count, count);
	ConditionVariableBroadcast(&fawkes_shared->snapshot_changed);
}

bool
published_read(FhaSnapshot *out, uint64 *count)
{
	/* What was copied is whole unless the agent published another one meanwhile. */
	do
	{
		*count = pg_atomic_read_u64(&fawkes_shared->snapshot_count);
		pg_read_barrier();
		*out = fawkes_shared->snapshots[*count % 2];
		pg_read_barrier();
	} while (pg_atomic_read_u64(&fawkes_shared->snapshot_count) != *count);
	return *count != 0;
}
