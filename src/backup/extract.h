/*
 * extract.h: an archive of a base backup out of a store, as files in a directory.
 *
 * download -> unseal -> decompress -> tar -> files, as it comes: memory is bounded, and nothing but the files is written.
 * A file that is there is never replaced, and no path leads out of the directory (tar.h).
 *
 * What makes a data directory one that starts is not written, but handed over: pg_control, backup_label, and postgresql.conf, which may
 * say that the data is where the live server has it.  So a restore that did not end cannot be started.  What would make it another server's is dropped: standby.signal, recovery.signal,
 * tablespace_map and the links in pg_tblspc.
 */
#ifndef FHA_BACKUP_EXTRACT_H
#define FHA_BACKUP_EXTRACT_H

#include <stddef.h>
#include <stdint.h>

#include "backup/backup_info.h"
#include "backup/seal.h"
#include "base/err.h"
#include "core/api.h"
#include "store/store.h"

#define FHA_HELD_MAX (1024 * 1024) /* bytes of a file that is handed over */

typedef struct FhaExtract FhaExtract;

typedef struct FhaExtractSettings
{
	const char *key;           /* in the store */
	const FhaObjectName *name; /* of it */
	const FhaSealKeys *keys;   /* NULL: none */
	const char *directory;     /* which exists */
	int64_t patience_ms;       /* how long the download is tried again */
} FhaExtractSettings;

/* A file that is handed over; size 0: the archive does not have it. */
typedef struct FhaHeldFile
{
	char *data;
	size_t size;
} FhaHeldFile;

/* `store` is used by this alone until it is closed, and stays open then; the settings are copied.  DENIED: there is no key.  NO_MEMORY, IO. */
FHA_API FHA_MUST_CHECK FhaCode fha_extract_open(FhaExtract **out, FhaStore *store,
												const FhaExtractSettings *settings, FhaError *err);

/* NULL is allowed. */
FHA_API void fha_extract_close(FhaExtract *extract);

/*
 * OK: it is complete.  AGAIN.  INVALID: it is damaged, or a file is in it that is there already; DENIED: no key opens it; FULL, IO: the disk.
 * Else as an FhaStoreAnswer.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_extract_step(FhaExtract *extract, FhaError *err);
FHA_API int fha_extract_fd(const FhaExtract *extract);
FHA_API int64_t fha_extract_wake_at_ms(const FhaExtract *extract);

/* Bytes of the object that have come, and of the files that were written. */
FHA_API uint64_t fha_extract_stored(const FhaExtract *extract);
FHA_API uint64_t fha_extract_written(const FhaExtract *extract);

/* Until it is closed. */
FHA_API FhaHeldFile fha_extract_control(const FhaExtract *extract);
FHA_API FhaHeldFile fha_extract_label(const FhaExtract *extract);
FHA_API FhaHeldFile fha_extract_conf(const FhaExtract *extract);

#endif
