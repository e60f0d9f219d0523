/*
 * archive.h: WAL files on their way into the archive: read, compressed, sealed, and created in the store.
 *
 * The caller says which file it is asked for, and which ones come after it.  These are worked on side by side, and each is told
 * when it is asked for, and not before: so PostgreSQL hears of them in its order.
 *
 * Nothing is ever replaced.  If a file is in the archive already, whatever it is compressed with and whether it is encrypted,
 * its content is compared: the same content counts as archived, other content is a CONFLICT.
 * The store's credentials must allow to list, to read and to write.
 *
 * A directory is listed before its first file is sent.  So when another member may have archived since, as after a
 * change of the leader, the archive is opened anew.  It is opened anew for other settings, too; that costs nothing but a listing.
 *
 * Nothing here blocks but fha_archive_close.  Files are read and compressed by threads that block all signals, and call nothing of the host.
 */
#ifndef FHA_BACKUP_ARCHIVE_H
#define FHA_BACKUP_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/layout.h"
#include "backup/seal.h"
#include "base/err.h"
#include "store/settings.h"

#define FHA_ARCHIVE_PARALLEL_MAX 32
#define FHA_ARCHIVE_AHEAD_MAX 63 /* files after the one that is asked for */

/* All of it is copied. */
typedef struct FhaArchiveSettings
{
	const FhaStoreSettings *store;
	const char *server;      /* its name in the store, which is valid */
	const FhaSealKeys *keys; /* NULL: not encrypted */
	FhaCompression compression;
	int level;         /* as in compress.h; 0: the default one */
	unsigned parallel; /* files that are packed or sent at a time: 1 to FHA_ARCHIVE_PARALLEL_MAX */
	size_t memory;     /* bytes of packed files; the file that is asked for is packed in any case */
	const char *directory; /* pg_wal; opened at once, so it may be relative */
	uint64_t segment_size; /* in bytes */
	uint64_t systemid;     /* of the cluster, which stands in each segment; 0: not compared */
	int64_t
		patience_ms; /* how long a call to the store is tried again, as long as trying can help */
} FhaArchiveSettings;

typedef struct FhaArchive FhaArchive;

/* Nothing is sent yet.  INVALID: a setting; IO, NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_archive_open(FhaArchive **out,
												const FhaArchiveSettings *settings, FhaError *err);

/*
 * The file that is asked for, and those after it, in order: names as in pg_wal, copied.  Said again, it changes nothing, but a file that
 * failed is tried again; what is in memory of it is not compressed again.  What is named no more is dropped.
 * INVALID: `file` is no name of a WAL file.  Such a name among those ahead is passed over.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_archive_send(FhaArchive *archive, const char *file,
												const char *const *ahead, size_t ahead_count,
												FhaError *err);

/*
 * Go on with all files, and say how it is with the one that is asked for.
 * OK: it is in the archive, durable, with the content that it has in pg_wal.  AGAIN: it is under way.
 * CONFLICT: it is there with other content, or is damaged there, or no key opens it; nothing was replaced, and a person has to look.
 * NOT_FOUND, INVALID: what is in pg_wal is not there, or not what its name says, as a segment of another size.
 * DENIED, FULL, TIMEOUT, UNKNOWN, IO, PROTOCOL, NO_MEMORY: as the store says.  After each of these, fha_archive_send tries again.
 * INVALID, too: it was not sent.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_archive_step(FhaArchive *archive, const char *file,
												FhaError *err);

/* Does the store fail now, so that calls are tried again?  *why says how the last one failed; it ends with the next success. */
FHA_API bool fha_archive_trouble(const FhaArchive *archive, FhaError *why);

/* Since it was opened. */
typedef struct FhaArchiveCount
{
	uint64_t files;        /* that are in the archive */
	uint64_t bytes;        /* of them, in pg_wal */
	uint64_t stored_bytes; /* of those that were sent and were not there before */
	uint64_t compared;     /* files that were there already */
} FhaArchiveCount;

FHA_API FhaArchiveCount fha_archive_count(const FhaArchive *archive);

/* Readable when fha_archive_step has something to do; the same descriptor from open to close. */
FHA_API int fha_archive_fd(const FhaArchive *archive);

/* Call fha_archive_step at this time even if the descriptor is silent; INT64_MAX: never.  Each call here may change it. */
FHA_API int64_t fha_archive_wake_at_ms(const FhaArchive *archive);

/*
 * Waits for the piece that each thread reads or compresses, and for nothing of the store.  What was sent may be applied for a while yet.
 * NULL is allowed.
 */
FHA_API void fha_archive_close(FhaArchive *archive);

#endif
