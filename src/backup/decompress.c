/*
 * decompress.c: the way back from each compression.  See backup/compress.h.
 *
 * One stream for all: a codec is told where input and output are, and says how it stands afterwards.
 */
#include <bzlib.h>
#include <isa-l/igzip_lib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "backup/compress.h"
#include "backup/snappy.h"

#define DECOMPRESS_OUT_SIZE ((size_t) 128 * 1024)
#define DECOMPRESS_WINDOW_LOG_MAX 25
/* What xz's highest level takes. */
#define DECOMPRESS_XZ_MEMORY ((uint64_t) 72 * 1024 * 1024)

typedef struct Flow
{
	const char *in;
	size_t in_size;
	char *out;
	size_t out_size;
} Flow;

typedef enum FlowState
{
	FLOW_ON,    /* in the middle of something */
	FLOW_WHOLE, /* at the end of a member or frame: the input may end here */
	FLOW_DAMAGED,
	FLOW_NO_MEMORY
} FlowState;

typedef struct Codec
{
	bool (*open)(void *state); /* false: no memory */
	/* Moves both ends of the flow, until there is no input or no room. */
	FlowState (*run)(void *state, Flow *flow, bool is_last);
	void (*close)(void *state);
	size_t size; /* of its state */
} Codec;

typedef struct Decompress
{
	FhaStream stream;
	const Codec *codec;
	const char *name;
	FlowState state;
	bool is_full; /* the last run left no room, so that there may be more */
	char *out;    /* DECOMPRESS_OUT_SIZE */
	max_align_t codec_state[];
} Decompress;

static FhaCode
decompress_run(Decompress *decompress, const char *data, size_t *size, FhaError *err)
{
	Flow flow = {
		.in = data, .in_size = *size, .out = decompress->out, .out_size = DECOMPRESS_OUT_SIZE};

	decompress->state =
		decompress->codec->run(decompress->codec_state, &flow, decompress->stream.is_finished);
	*size -= flow.in_size;
	decompress->stream.out = decompress->out;
	decompress->stream.out_size = DECOMPRESS_OUT_SIZE - flow.out_size;
	decompress->is_full = flow.out_size == 0;
	if (decompress->state == FLOW_NO_MEMORY)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	if (decompress->state == FLOW_DAMAGED)
		return fha_error(err, FHA_INVALID, "damaged, or no %s at all", decompress->name);
	return FHA_OK;
}

static FhaCode
decompress_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	*taken = size;
	return decompress_run((Decompress *) stream, data, taken, err);
}

static FhaCode
decompress_make(FhaStream *stream, FhaError *err)
{
	Decompress *decompress = (Decompress *) stream;
	size_t none = 0;
	FhaCode code = FHA_OK;

	if (decompress->is_full || stream->is_finished)
		code = decompress_run(decompress, "", &none, err);
	if (code != FHA_OK || stream->out_size > 0 || !stream->is_finished)
		return code;
	if (decompress->state != FLOW_WHOLE)
		return fha_error(err, FHA_INVALID, "%s that ends too early", decompress->name);
	stream->is_ended = true;
	return FHA_OK;
}

static void
decompress_close(FhaStream *stream)
{
	Decompress *decompress = (Decompress *) stream;

	if (decompress->codec->close != NULL)
		decompress->codec->close(decompress->codec_state);
	free(decompress->out);
	free(decompress);
}

/* --- none */

static bool
unplain_open(void *state)
{
	(void) state;
	return true;
}

static FlowState
unplain_run(void *state, Flow *flow, bool is_last)
{
	size_t size = flow->in_size < flow->out_size ? flow->in_size : flow->out_size;

	(void) state;
	(void) is_last;
	memcpy(flow->out, flow->in, size);
	flow->in += size;
	flow->in_size -= size;
	flow->out_size -= size;
	return FLOW_WHOLE;
}

/* --- gzip: members, and then zeros at most, as on a tape */

typedef struct Gunzip
{
	struct inflate_state *inflate;
	bool is_between; /* before a member's first byte */
	bool has_one;    /* a member has ended */
	bool is_padding;
} Gunzip;

static void
gunzip_begin(Gunzip *gunzip)
{
	isal_inflate_init(gunzip->inflate);
	gunzip->inflate->crc_flag = ISAL_GZIP;
	gunzip->is_between = true;
}

static bool
gunzip_open(void *state)
{
	Gunzip *gunzip = state;

	gunzip->inflate = malloc(sizeof(*gunzip->inflate));
	if (gunzip->inflate == NULL)
		return false;
	gunzip_begin(gunzip);
	return true;
}

static void
gunzip_close(void *state)
{
	Gunzip *gunzip = state;

	free(gunzip->inflate);
}

/* One call of the library, which may end at a member's end. */
static FlowState
gunzip_inflate(Gunzip *gunzip, Flow *flow)
{
	struct inflate_state *inflate = gunzip->inflate;
	int result;

	inflate->next_in = (uint8_t *) (uintptr_t) flow->in;
	inflate->avail_in = (uint32_t) flow->in_size;
	inflate->next_out = (uint8_t *) flow->out;
	inflate->avail_out = (uint32_t) flow->out_size;
	result = isal_inflate(inflate);
	/* Of what is damaged it may have counted more bytes than there are. */
	if (result < 0 || result > ISAL_OUT_OVERFLOW || inflate->avail_in > flow->in_size)
		return FLOW_DAMAGED;
	flow->in += flow->in_size - inflate->avail_in;
	flow->in_size = inflate->avail_in;
	flow->out += flow->out_size - inflate->avail_out;
	flow->out_size = inflate->avail_out;
	gunzip->is_between = false;
	if (inflate->block_state != ISAL_BLOCK_FINISH)
		return FLOW_ON;
	gunzip_begin(gunzip);
	gunzip->has_one = true;
	return FLOW_WHOLE;
}

static FlowState
gunzip_run(void *state, Flow *flow, bool is_last)
{
	Gunzip *gunzip = state;

	(void) is_last;
	for (;;)
	{
		FlowState now;
		size_t before = flow->in_size + flow->out_size;

		while (gunzip->is_between && gunzip->has_one && flow->in_size > 0 && *flow->in == '\0')
		{
			gunzip->is_padding = true;
			flow->in++;
			flow->in_size--;
		}
		if (gunzip->is_padding && flow->in_size > 0)
			return FLOW_DAMAGED;
		if (gunzip->is_between && flow->in_size == 0)
			return gunzip->has_one ? FLOW_WHOLE : FLOW_ON;
		now = gunzip_inflate(gunzip, flow);
		if (now == FLOW_DAMAGED || (now == FLOW_ON && (flow->out_size == 0 || flow->in_size == 0)))
			return now;
		if (now == FLOW_ON && before == flow->in_size + flow->out_size)
			return FLOW_DAMAGED; /* LCOV_EXCL_LINE: with input and room it always gets on */
	}
}

/* --- lz4 */

typedef struct UnLz4
{
	LZ4F_dctx *context;
	FlowState now;
} UnLz4;

static bool
unlz4_open(void *state)
{
	UnLz4 *unlz4 = state;

	return !LZ4F_isError(LZ4F_createDecompressionContext(&unlz4->context, LZ4F_VERSION));
}

static void
unlz4_close(void *state)
{
	UnLz4 *unlz4 = state;

	(void) LZ4F_freeDecompressionContext(unlz4->context);
}

static FlowState
unlz4_run(void *state, Flow *flow, bool is_last)
{
	UnLz4 *unlz4 = state;

	(void) is_last;
	for (;;)
	{
		size_t in = flow->in_size;
		size_t out = flow->out_size;
		size_t left;

		/* At a frame's end nothing waits inside. */
		if (in == 0 && unlz4->now == FLOW_WHOLE)
			return FLOW_WHOLE;
		left = LZ4F_decompress(unlz4->context, flow->out, &out, flow->in, &in, NULL);
		if (LZ4F_isError(left))
			return strcmp(LZ4F_getErrorName(left), "ERROR_allocation_failed") == 0 ? FLOW_NO_MEMORY
																				   : FLOW_DAMAGED;
		flow->in += in;
		flow->in_size -= in;
		flow->out += out;
		flow->out_size -= out;
		if (in + out > 0)
			unlz4->now = left == 0 ? FLOW_WHOLE : FLOW_ON;
		if (in + out == 0 || flow->in_size == 0 || flow->out_size == 0)
			return unlz4->now;
	}
}

/* --- zstd */

typedef struct UnZstd
{
	ZSTD_DCtx *context;
	FlowState now;
} UnZstd;

static bool
unzstd_open(void *state)
{
	UnZstd *unzstd = state;

	unzstd->context = ZSTD_createDCtx();
	return unzstd->context != NULL &&
		   !ZSTD_isError(ZSTD_DCtx_setParameter(unzstd->context, ZSTD_d_windowLogMax,
												DECOMPRESS_WINDOW_LOG_MAX));
}

static void
unzstd_close(void *state)
{
	UnZstd *unzstd = state;

	(void) ZSTD_freeDCtx(unzstd->context);
}

static FlowState
unzstd_run(void *state, Flow *flow, bool is_last)
{
	UnZstd *unzstd = state;

	(void) is_last;
	for (;;)
	{
		ZSTD_inBuffer in = {.src = flow->in, .size = flow->in_size};
		ZSTD_outBuffer out = {.dst = flow->out, .size = flow->out_size};
		size_t left;

		if (in.size == 0 && unzstd->now == FLOW_WHOLE)
			return FLOW_WHOLE;
		left = ZSTD_decompressStream(unzstd->context, &out, &in);
		if (ZSTD_isError(left))
			return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? FLOW_NO_MEMORY
																		   : FLOW_DAMAGED;
		flow->in += in.pos;
		flow->in_size -= in.pos;
		flow->out += out.pos;
		flow->out_size -= out.pos;
		if (in.pos + out.pos > 0)
			unzstd->now = left == 0 ? FLOW_WHOLE : FLOW_ON;
		if (in.pos + out.pos == 0 || flow->in_size == 0 || flow->out_size == 0)
			return unzstd->now;
	}
}

/* --- bzip2: members, as parallel compressors make them */

typedef struct Bunzip
{
	bz_stream stream;
	bool is_open;
	bool has_one;
} Bunzip;

static bool
bunzip_open(void *state)
{
	Bunzip *bunzip = state;

	bunzip->stream = (bz_stream){.opaque = NULL};
	bunzip->is_open = BZ2_bzDecompressInit(&bunzip->stream, 0, 0) == BZ_OK;
	return bunzip->is_open;
}

static void
bunzip_close(void *state)
{
	Bunzip *bunzip = state;

	if (bunzip->is_open)
		(void) BZ2_bzDecompressEnd(&bunzip->stream);
	bunzip->is_open = false;
}

static FlowState
bunzip_run(void *state, Flow *flow, bool is_last)
{
	Bunzip *bunzip = state;
	int result;

	(void) is_last;
	for (;;)
	{
		if (!bunzip->is_open && flow->in_size == 0)
			return FLOW_WHOLE;
		if (!bunzip->is_open && !bunzip_open(bunzip))
			return FLOW_NO_MEMORY;
		bunzip->stream.next_in = (char *) (uintptr_t) flow->in;
		bunzip->stream.avail_in = (unsigned) flow->in_size;
		bunzip->stream.next_out = flow->out;
		bunzip->stream.avail_out = (unsigned) flow->out_size;
		result = BZ2_bzDecompress(&bunzip->stream);
		flow->in += flow->in_size - bunzip->stream.avail_in;
		flow->in_size = bunzip->stream.avail_in;
		flow->out += flow->out_size - bunzip->stream.avail_out;
		flow->out_size = bunzip->stream.avail_out;
		if (result == BZ_OK)
			return FLOW_ON;
		if (result != BZ_STREAM_END)
			return result == BZ_MEM_ERROR ? FLOW_NO_MEMORY : FLOW_DAMAGED;
		bunzip_close(bunzip);
		if (flow->out_size == 0)
			return FLOW_WHOLE;
	}
}

/* --- xz */

typedef struct UnXz
{
	lzma_stream stream;
} UnXz;

static bool
unxz_open(void *state)
{
	UnXz *unxz = state;

	unxz->stream = (lzma_stream) LZMA_STREAM_INIT;
	return lzma_stream_decoder(&unxz->stream, DECOMPRESS_XZ_MEMORY, LZMA_CONCATENATED) == LZMA_OK;
}

static void
unxz_close(void *state)
{
	UnXz *unxz = state;

	lzma_end(&unxz->stream);
}

static FlowState
unxz_run(void *state, Flow *flow, bool is_last)
{
	UnXz *unxz = state;
	lzma_ret result;

	unxz->stream.next_in = (const uint8_t *) flow->in;
	unxz->stream.avail_in = flow->in_size;
	unxz->stream.next_out = (uint8_t *) flow->out;
	unxz->stream.avail_out = flow->out_size;
	result = lzma_code(&unxz->stream, is_last ? LZMA_FINISH : LZMA_RUN);
	flow->in += flow->in_size - unxz->stream.avail_in;
	flow->in_size = unxz->stream.avail_in;
	flow->out += flow->out_size - unxz->stream.avail_out;
	flow->out_size = unxz->stream.avail_out;
	if (result == LZMA_STREAM_END)
		return FLOW_WHOLE;
	if (result == LZMA_OK || result == LZMA_BUF_ERROR)
		return FLOW_ON;
	return result == LZMA_MEM_ERROR ? FLOW_NO_MEMORY : FLOW_DAMAGED;
}

/* --- snappy */

static bool
unsnappy_open(void *state)
{
	return fha_unsnappy_open(state);
}

static FlowState
unsnappy_run(void *state, Flow *flow, bool is_last)
{
	(void) is_last;
	if (!fha_unsnappy_run(state, &flow->in, &flow->in_size, &flow->out, &flow->out_size))
		return FLOW_DAMAGED;
	return fha_unsnappy_is_whole(state) ? FLOW_WHOLE : FLOW_ON;
}

static void
unsnappy_close(void *state)
{
	fha_unsnappy_close(state);
}

static const Codec codecs[] = {
	[FHA_COMPRESSION_NONE] = {unplain_open, unplain_run, NULL, 0},
	[FHA_COMPRESSION_GZIP] = {gunzip_open, gunzip_run, gunzip_close, sizeof(Gunzip)},
	[FHA_COMPRESSION_LZ4] = {unlz4_open, unlz4_run, unlz4_close, sizeof(UnLz4)},
	[FHA_COMPRESSION_ZSTD] = {unzstd_open, unzstd_run, unzstd_close, sizeof(UnZstd)},
	[FHA_COMPRESSION_BZIP2] = {bunzip_open, bunzip_run, bunzip_close, sizeof(Bunzip)},
	[FHA_COMPRESSION_XZ] = {unxz_open, unxz_run, unxz_close, sizeof(UnXz)},
	[FHA_COMPRESSION_SNAPPY] = {unsnappy_open, unsnappy_run, unsnappy_close, sizeof(FhaUnsnappy)},
};

FhaCode
fha_decompress_open(FhaStream **out, FhaCompression compression, FhaError *err)
{
	static const FhaStreamKind kind = {
		.take = decompress_take, .make = decompress_make, .close = decompress_close};
	const Codec *codec = &codecs[compression];
	Decompress *decompress = calloc(1, sizeof(*decompress) + codec->size);

	*out = NULL;
	if (decompress == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	decompress->stream.kind = &kind;
	decompress->codec = codec;
	decompress->name = fha_compression_name(compression);
	decompress->out = malloc(DECOMPRESS_OUT_SIZE);
	if (!codec->open(decompress->codec_state) || decompress->out == NULL)
	{
		decompress_close(&decompress->stream);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	*out = &decompress->stream;
	return FHA_OK;
}
