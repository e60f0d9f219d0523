/*
 * prune.h: what a plan of retention lets go is deleted from a store, and a backup's keep is set and taken away.
 *
 * All of these wait for the store, until deadline_at_ms (on fha_now_ms) at the latest.  The store has no other call under way.
 */
#ifndef FHA_BACKUP_PRUNE_H
#define FHA_BACKUP_PRUNE_H

#include <stdbool.h>
#include <stdint.h>

#include "backup/retention.h"
#include "store/store.h"

typedef struct FhaPruned
{
	uint64_t backup_objects;
	uint64_t wal_objects;
	uint64_t wal_bytes;
} FhaPruned;

/*
 * Base backups first, backup after backup, each with its backup.info after all else of it; then WAL, page by page.
 * So each backup that is left has its WAL, wherever this ends, and the next time goes on with what is left.
 * plan: made of the catalogue of this store and server a short time ago.  dry_run: it is only counted.
 * *out is what is certainly deleted, after an error too.  Errors are those of the store, and NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_prune(FhaStore *store, const char *server,
										 const FhaRetention *plan, bool dry_run, FhaPruned *out,
										 int64_t deadline_at_ms, FhaError *err);

/*
 * From now on the backup is kept as `keep` says, or not kept.  server: valid; id: of a backup that is there.
 * Read by barman-cloud, too.  A keep that was there is replaced, wherever it stood.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_backup_set_keep(FhaStore *store, const char *server,
												   const char *id, FhaKeep keep,
												   int64_t deadline_at_ms, FhaError *err);

#endif
