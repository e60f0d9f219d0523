/*
 * deflate.h: pieces of raw deflate that can be put behind each other.
 *
 * Levels 1 to 3 are those of ISA-L, which takes a fifth of zlib's time for what zlib's level 1 stores, or less; levels 4 to 9
 * are zlib's.
 */
#ifndef FHA_BACKUP_DEFLATE_H
#define FHA_BACKUP_DEFLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct FhaDeflate FhaDeflate;

#define FHA_DEFLATE_WINDOW 32768
/* What a piece of `size` bytes takes at most. */
#define FHA_DEFLATE_BOUND(size) ((size) + (size) / 16 + 1024)

/* NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_deflate_open(FhaDeflate **out, int level, FhaError *err);

/*
 * Deflate `size` bytes at `data` into `out`, of FHA_DEFLATE_BOUND(size), to a byte's end, and not as the last piece.
 * `before` bytes in front of `data`, at most FHA_DEFLATE_WINDOW, are those of the piece before.
 * Returns how many bytes it made; 0: the library refused.
 */
size_t fha_deflate_piece(FhaDeflate *deflate, const char *data, size_t size, size_t before,
						 char *out);

/* NULL is allowed. */
void fha_deflate_close(FhaDeflate *deflate);

#endif
