/*
 * base_backup.h: what the server sends of a base backup becomes objects of a store: filtered, compressed, encrypted, in parts.
 *
 * backup.info comes first, as STARTED, which claims the id; then each archive and backup_manifest, one after another; and
 * backup.info last, as DONE. So a backup is DONE only if all of it is in the store.
 *
 * Nothing of it lies on a disk, and memory is bounded whatever the size: some parts, and what the threads compress.
 * An object's key relative to the store's prefix is what its encryption is bound to.
 */
#ifndef FHA_BACKUP_BASE_BACKUP_H
#define FHA_BACKUP_BASE_BACKUP_H

#include <stdint.h>

#include "backup/backup_info.h"
#include "backup/seal.h"
#include "store/store.h"

typedef struct FhaBaseBackup FhaBaseBackup;

/* The data directory's archive, where the oid of a tablespace is asked for. */
#define FHA_DATA_DIRECTORY 0u

typedef struct FhaBaseBackupSettings
{
	FhaStore *store;         /* its calls and answers are the backup's alone until that is closed */
	const char *server;      /* its name in the store, valid */
	const FhaSealKeys *keys; /* the first one encrypts; NULL: nothing is encrypted */
	FhaCompression compression;
	int level; /* as fha_compress_open, like the next one */
	unsigned workers;
	uint64_t
		expected_size; /* bytes of all archives, as the server estimates; for the size of parts */
	uint64_t archive_size; /* bytes at which an archive is split; 0: the usual 100 GB */
	int64_t patience_ms;   /* how long a call to the store is tried again; 0: the usual hour */
} FhaBaseBackupSettings;

/*
 * begun: what is known when the server begins to send: where and when it began, its tablespaces, names; copied.  Its id follows from
 * begin_time_us, or is that of the next second that is free.
 * INVALID, NO_MEMORY.  The id is claimed by the first steps.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_base_backup_open(FhaBaseBackup **out,
													const FhaBaseBackupSettings *settings,
													const FhaBackupInfo *begun, FhaError *err);

/*
 * What the server begins to send: the archive of the data directory or of a tablespace, each once, or its manifest, at last.
 * AGAIN: what came before is not in the store yet: step, say it again, and wait only when it is AGAIN after a step.  INVALID: it was not expected.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_base_backup_archive(FhaBaseBackup *backup, uint32_t oid,
													   FhaError *err);
FHA_API FHA_MUST_CHECK FhaCode fha_base_backup_manifest(FhaBaseBackup *backup, FhaError *err);

/* Bytes of that.  *taken: how many it took; fewer than `size`: step, and give the rest again. */
FHA_API FHA_MUST_CHECK FhaCode fha_base_backup_write(FhaBaseBackup *backup, const char *data,
													 size_t size, size_t *taken, FhaError *err);

/*
 * The server has said where the backup ended, and sends no more.  AGAIN as above.
 * INVALID: an archive or the manifest is missing, or the end does not fit the begin, as of another timeline.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_base_backup_end(FhaBaseBackup *backup, uint32_t timeline,
												   uint64_t end_lsn, int64_t end_time_us,
												   FhaError *err);

/*
 * OK: it is DONE, durable; after fha_base_backup_abandon: nothing of it is left.  AGAIN: give it more, or wait for its descriptors.
 * Else it has failed, and says the same each time until it is abandoned.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_base_backup_step(FhaBaseBackup *backup, FhaError *err);

/*
 * It is given up: the next steps remove what there is of it, until deadline_at_ms.  What was sent as DONE stays: it may be.
 */
FHA_API void fha_base_backup_abandon(FhaBaseBackup *backup, int64_t deadline_at_ms);

/* Descriptors of which each that is readable asks for a step; how many.  They change with each call. */
#define FHA_BASE_BACKUP_FDS 2
FHA_API size_t fha_base_backup_fds(const FhaBaseBackup *backup, int out[FHA_BASE_BACKUP_FDS]);

/* Step at this time in any case, on fha_now_ms; INT64_MAX: never. */
FHA_API int64_t fha_base_backup_wake_at_ms(const FhaBaseBackup *backup);

typedef struct FhaBaseBackupCount
{
	uint64_t read;    /* bytes that the server sent */
	uint64_t stored;  /* bytes that the store has confirmed */
	unsigned objects; /* that are complete */
} FhaBaseBackupCount;

FHA_API FhaBaseBackupCount fha_base_backup_count(const FhaBaseBackup *backup);

/* backup.info as it stands. */
FHA_API const FhaBackupInfo *fha_base_backup_info(const FhaBaseBackup *backup);

/* "": it has not claimed one yet. */
FHA_API const char *fha_base_backup_id(const FhaBaseBackup *backup);

/* One that is DONE, as a JSON document; *out is to be freed.  from: the member whose data it is.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_base_backup_print(const FhaBaseBackup *backup, const char *from,
													 int64_t duration_ms, char **out,
													 FhaError *err);

/* What is under way is cancelled, and what is in the store stays there.  NULL is allowed. */
FHA_API void fha_base_backup_close(FhaBaseBackup *backup);

#endif
