/*
 * compress.h: a stream that compresses, and the way back.
 *
 * Written: none, gzip, lz4 (frames with a checksum of the content), zstd.  Read: these, and bzip2, xz and snappy (framed),
 * which archives of barman may have.
 *
 * gzip is one member, whatever its size and with however many threads: Python's tarfile, in its streaming mode, takes a
 * second member for the archive's end.
 */
#ifndef FHA_BACKUP_COMPRESS_H
#define FHA_BACKUP_COMPRESS_H

#include "backup/layout.h"
#include "backup/stream.h"

/* 0 is the default one: 2 of gzip, 1 of lz4, 3 of zstd. */
#define FHA_COMPRESS_WORKERS_MAX 16

/*
 * `level`: 0, or from 1 to the ..._LEVEL_MAX of the compression.  gzip uses `workers` threads, at most
 * FHA_COMPRESS_WORKERS_MAX; with 0, and for all others, the caller's own thread computes.  gzip never waits for them.
 * INVALID: the level, or a compression that is only read.  NO_MEMORY, IO: no thread.
 */
FHA_MUST_CHECK FhaCode fha_compress_open(FhaStream **out, FhaCompression compression, int level,
										 unsigned workers, FhaError *err);

/*
 * The way back.  Its end is INVALID while a frame, a member or its checksum lacks bytes, and so is what follows the last
 * one and is none.  Memory is bounded whatever the file says: a window above 32 MiB is INVALID.  NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_decompress_open(FhaStream **out, FhaCompression compression,
										   FhaError *err);

/* --- for compress.c; levels from 1 on */
FHA_MUST_CHECK FhaCode fha_gzip_open(FhaStream **out, int level, unsigned workers, FhaError *err);

#endif
