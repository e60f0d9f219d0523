/*
 * deflate.c: pieces of raw deflate.  See backup/deflate.h.
 */
#include "backup/deflate.h"

#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <zlib.h>

#define DEFLATE_ISAL_LEVEL_MAX 3

struct FhaDeflate
{
	int level;
	struct isal_zstream isal;
	z_stream zlib;
	uint8_t level_buffer[]; /* ISA-L's */
};

/* By level. */
static const uint32_t level_buffer_sizes[] = {0, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
											  ISAL_DEF_LVL3_DEFAULT};

FhaCode
fha_deflate_open(FhaDeflate **out, int level, FhaError *err)
{
	size_t more = level <= DEFLATE_ISAL_LEVEL_MAX ? level_buffer_sizes[level] : 0;
	FhaDeflate *deflate = calloc(1, sizeof(*deflate) + more);

	*out = NULL;
	if (deflate == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	deflate->level = level;
	if (level > DEFLATE_ISAL_LEVEL_MAX &&
		deflateInit2(&deflate->zlib, level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
	{
		free(deflate);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	*out = deflate;
	return FHA_OK;
}

static size_t
deflate_by_isal(FhaDeflate *deflate, uint8_t *data, size_t size, size_t before, char *out)
{
	struct isal_zstream *stream = &deflate->isal;

	isal_deflate_init(stream);
	stream->level = (uint32_t) deflate->level;
	stream->level_buf = deflate->level_buffer;
	stream->level_buf_size = level_buffer_sizes[deflate->level];
	stream->flush = SYNC_FLUSH;
	stream->next_in = data;
	stream->avail_in = (uint32_t) size;
	stream->next_out = (uint8_t *) out;
	stream->avail_out = (uint32_t) FHA_DEFLATE_BOUND(size);
	if (before > 0 && isal_deflate_set_dict(stream, data - before, (uint32_t) before) != COMP_OK)
		return 0; /* LCOV_EXCL_LINE: at a stream's start it is always taken */
	if (isal_deflate(stream) != COMP_OK || stream->avail_in > 0 || stream->avail_out == 0)
		return 0; /* LCOV_EXCL_LINE: the bound holds */
	return FHA_DEFLATE_BOUND(size) - stream->avail_out;
}

static size_t
deflate_by_zlib(FhaDeflate *own, uint8_t *data, size_t size, size_t before, char *out)
{
	z_stream *stream = &own->zlib;

	(void) deflateReset(stream);
	if (before > 0)
		(void) deflateSetDictionary(stream, data - before, (uInt) before);
	stream->next_in = data;
	stream->avail_in = (uInt) size;
	stream->next_out = (Bytef *) out;
	stream->avail_out = (uInt) FHA_DEFLATE_BOUND(size);
	if (deflate(stream, Z_SYNC_FLUSH) != Z_OK || stream->avail_in > 0 || stream->avail_out == 0)
		return 0; /* LCOV_EXCL_LINE: the bound holds */
	return FHA_DEFLATE_BOUND(size) - stream->avail_out;
}

size_t
fha_deflate_piece(FhaDeflate *deflate, const char *data, size_t size, size_t before, char *out)
{
	/* Both libraries only read there. */
	uint8_t *from = (uint8_t *) (uintptr_t) data;

	if (deflate->level <= DEFLATE_ISAL_LEVEL_MAX)
		return deflate_by_isal(deflate, from, size, before, out);
	return deflate_by_zlib(deflate, from, size, before, out);
}

void
fha_deflate_close(FhaDeflate *deflate)
{
	if (deflate == NULL)
		return;
	if (deflate->level > DEFLATE_ISAL_LEVEL_MAX)
		(void) deflateEnd(&deflate->zlib);
	free(deflate);
}
