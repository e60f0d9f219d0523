/*
 * ready.h: which WAL files wait to be archived, in the order in which PostgreSQL asks for them: history files first, then by name.
 *
 * pg_wal/archive_status may have 100,000 files.  It is read once for many calls, as PostgreSQL's archiver does, and what comes
 * meanwhile is seen with the next reading.
 */
#ifndef FHA_BACKUP_READY_H
#define FHA_BACKUP_READY_H

#include <stddef.h>

#include "backup/layout.h"
#include "base/err.h"

#define FHA_READY_MAX 256 /* names that are kept of one reading */

/* Zeroed, it is good. */
typedef struct FhaReady
{
	char names[FHA_READY_MAX][FHA_WAL_FILE_SIZE]; /* the first ones, in order */
	size_t count;
	size_t backlog; /* how many were ready when the directory was read */
} FhaReady;

/*
 * The first files after `file` that are ready, at most `wanted`, into out[]; they stay until the next call.
 * directory: pg_wal.  Reads the directory if fewer than `wanted` are known.  IO, NO_MEMORY: what is known was filled in anyhow.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_ready_after(FhaReady *ready, const char *directory,
											   const char *file, size_t wanted, const char **out,
											   size_t *count, FhaError *err);

#endif
