/*
 * file.h: small files, read whole and replaced whole.
 */
#ifndef FHA_BASE_FILE_H
#define FHA_BASE_FILE_H

#include <stddef.h>

#include "base/err.h"
#include "core/sizes.h"

/* Replace a file's content atomically and durably (write aside, fsync, rename, fsync directory). */
FHA_API FHA_MUST_CHECK FhaCode fha_file_replace(const char *path, const char *data, size_t size,
												FhaError *err);

/*
 * Remove a file durably; it may be absent.  Its directory is flushed even then, because an earlier
 * removal may have failed to do so.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_file_remove(const char *path, FhaError *err);

/* A whole small file as a string (free it); INVALID above max. */
FHA_API FHA_MUST_CHECK FhaCode fha_file_read(const char *path, size_t max, char **out,
											 FhaError *err);

/* Flush the directory that `path` is an entry of.  IO. */
FHA_API FHA_MUST_CHECK FhaCode fha_file_sync_parent(const char *path, FhaError *err);

#endif
