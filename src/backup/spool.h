/*
 * spool.h: segments that were fetched before PostgreSQL asks for them, in a directory on pg_wal's filesystem.
 *
 * Two processes use it: each call of the restore_command (it says where recovery is, and takes what is there), and one keeper, which
 * fetches what comes next and stays for as long as calls come.  All that is in the directory is the keeper's to remove:
 *
 *     at       the segment that was asked for last, and how it was called in the store; written by calls
 *     keeper   locked by the keeper (flock), so that there is one
 *     X        a segment, whole and flushed: fha_fetch renames it to that
 *
 * Nothing here waits.
 */
#ifndef FHA_BACKUP_SPOOL_H
#define FHA_BACKUP_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "backup/fetch.h"

#define FHA_SPOOL_DIRECTORY "fawkes_ha_spool"
#define FHA_SPOOL_PARALLEL 4     /* segments that the keeper fetches at a time */
#define FHA_SPOOL_IDLE_MS 30000  /* no call for so long: recovery is over, or waits */
#define FHA_SPOOL_LOOK_MS 100    /* how often the keeper looks where recovery is */
#define FHA_SPOOL_FETCH_MS 60000 /* how long a segment may take it */

typedef struct FhaSpool
{
	char path[FHA_PATH_SIZE];
	uint64_t segment_size; /* in bytes; calls need it no more than a file's name does: 0 */
} FhaSpool;

/* Beside `target`, where PostgreSQL wants a file.  false: that is in no pg_wal, or it is too long: there is no spool. */
FHA_API bool fha_spool_place(FhaSpool *out, const char *target);

/* --- calls */

/* What the call before said; false, and out as it was: there was none. */
FHA_API bool fha_spool_last_suffix(const FhaSpool *spool, char out[FHA_FETCH_SUFFIX_SIZE]);

/*
 * Recovery is at this segment.  is_wanted: the call could not wait for it, so the keeper shall fetch it, too.  Makes the directory.
 * What does not work is left: there is no prefetch then.
 */
FHA_API void fha_spool_say(const FhaSpool *spool, const char *file, const char *suffix,
						   bool is_wanted);

/*
 * Move the segment to `target`, if it is there, and what its name says.  OK; AGAIN: it is being fetched now, so try again soon;
 * NOT_FOUND: it is not there, which says nothing of the archive.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_spool_take(const FhaSpool *spool,
											  const FhaFetchSettings *settings, const char *file,
											  const char *target);

/* Become the keeper: a descriptor that holds the lock for as long as it is open, which a child inherits; -1: there is one, or no directory. */
FHA_API int fha_spool_keep(const FhaSpool *spool);

/* --- the keeper */

typedef struct FhaKeeper FhaKeeper;

/*
 * `fetch` is the keeper's from then on, whatever is returned.  bytes_max: of all that is here and on its way; the disk must have twice of
 * that free.  spool->segment_size is set.  NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_keeper_open(FhaKeeper **out, const FhaSpool *spool,
											   FhaFetch *fetch, uint64_t bytes_max, FhaError *err);

/* AGAIN: wait for the fetch's descriptor, or until *wake_at_ms.  OK: no call came for FHA_SPOOL_IDLE_MS: close it. */
FHA_API FHA_MUST_CHECK FhaCode fha_keeper_step(FhaKeeper *keeper, int64_t *wake_at_ms);

/* Removes all that is here, and the directory.  NULL is allowed. */
FHA_API void fha_keeper_close(FhaKeeper *keeper);

#endif
