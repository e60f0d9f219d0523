/*
 * parts.h: a stream in parts of one size, as a multipart upload wants them.
 *
 * A part's bytes stay where they are until it is released, in any order.  While all buffers are in use nothing more is
 * taken of the stream: so many parts are under way at most, and so much memory is used.
 */
#ifndef FHA_BACKUP_PARTS_H
#define FHA_BACKUP_PARTS_H

#include <stdint.h>

#include "backup/stream.h"

#define FHA_PARTS_MAX 16

typedef struct FhaParts FhaParts;

typedef struct FhaPart
{
	unsigned number; /* from 1 */
	const char *data;
	size_t size;
	bool is_last; /* of part 1: one call is enough; it may be empty */
} FhaPart;

/* `count` buffers of part_size, at most FHA_PARTS_MAX.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_parts_open(FhaParts **out, size_t part_size, size_t count,
									  FhaError *err);

/* NULL is allowed. */
void fha_parts_close(FhaParts *parts);

/*
 * Take of the stream what there is room for.  OK: it is at its end.  AGAIN: it has nothing now, or each buffer is in use.
 * Else as the stream fails.
 */
FHA_MUST_CHECK FhaCode fha_parts_fill(FhaParts *parts, FhaStream *from, FhaError *err);

/* The next part that is complete, each once; false: none. */
bool fha_parts_next(FhaParts *parts, FhaPart *out);

/* Bytes taken of the stream so far. */
uint64_t fha_parts_taken(const FhaParts *parts);

/* It was sent, or is sent no more. */
void fha_parts_release(FhaParts *parts, unsigned number);

#endif
