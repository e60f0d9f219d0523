/*
 * compression.h: how what is stored is compressed, by name.
 *
 * A setting says "gzip", "gzip:6", "lz4", "zstd:3" or "none": a name, and a level if the usual one will not do.
 */
#ifndef FHA_COMPRESSION_H
#define FHA_COMPRESSION_H

#include <stdbool.h>

#include "core/api.h"
#include "core/sizes.h"

#define FHA_GZIP_LEVEL_MAX 9
#define FHA_LZ4_LEVEL_MAX 12
#define FHA_ZSTD_LEVEL_MAX 9 /* above it, a thread takes 50 MB and more, and stores hardly less */

typedef enum FhaCompression
{
	FHA_COMPRESSION_NONE,
	FHA_COMPRESSION_GZIP,
	FHA_COMPRESSION_BZIP2,
	FHA_COMPRESSION_XZ,
	FHA_COMPRESSION_SNAPPY,
	FHA_COMPRESSION_ZSTD,
	FHA_COMPRESSION_LZ4
} FhaCompression;

#define FHA_COMPRESSIONS (FHA_COMPRESSION_LZ4 + 1)

/* ".gz"; "": none. */
FHA_API const char *fha_compression_suffix(FhaCompression compression);

/* "gzip", as settings and barman's command name it; "none". */
FHA_API const char *fha_compression_name(FhaCompression compression);

/* The highest level; 0: it has none, or is only read. */
FHA_API int fha_compression_level_max(FhaCompression compression);

/* *level 0: the usual one.  false: *why says what it may be.  What is only read is not written. */
FHA_API bool fha_compression_parse(const char *text, FhaCompression *out, int *level,
								   char why[FHA_SENTENCE_SIZE]);

#endif
