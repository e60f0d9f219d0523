/*
 * compress.c: none, lz4 and zstd, and the choice among all.  See backup/compress.h.
 */
#include "backup/compress.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define COMPRESS_INPUT_SIZE ((size_t) 64 * 1024)
#define COMPRESS_ZSTD_OUT_SIZE ((size_t) 256 * 1024)

/* --- none */

typedef struct Plain
{
	FhaStream stream;
	char out[COMPRESS_INPUT_SIZE];
} Plain;

static FhaCode
plain_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	Plain *plain = (Plain *) stream;

	(void) err;
	*taken = size < sizeof(plain->out) ? size : sizeof(plain->out);
	memcpy(plain->out, data, *taken);
	stream->out = plain->out;
	stream->out_size = *taken;
	return FHA_OK;
}

static FhaCode
plain_make(FhaStream *stream, FhaError *err)
{
	(void) err;
	stream->is_ended = stream->is_finished;
	return FHA_OK;
}

static void
plain_close(FhaStream *stream)
{
	free(stream);
}

static FhaCode
plain_open(FhaStream **out, int level, unsigned workers, FhaError *err)
{
	static const FhaStreamKind kind = {
		.take = plain_take, .make = plain_make, .close = plain_close};
	Plain *plain = malloc(sizeof(*plain));

	(void) level;
	(void) workers;
	*out = NULL;
	if (plain == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	plain->stream = (FhaStream){.kind = &kind};
	*out = &plain->stream;
	/* analyzer: no leak, plain begins with its stream */
	return FHA_OK;
}

/* --- lz4: blocks of 64 KiB, each of which has the one before as its dictionary */

typedef struct Lz4
{
	FhaStream stream;
	LZ4F_preferences_t preferences;
	LZ4F_cctx *context;
	bool has_begun;
	size_t out_size;
	char out[];
} Lz4;

/* What a call of the library made, behind what is there. */
static FhaCode
lz4_made(Lz4 *lz4, size_t made, FhaError *err)
{
	if (LZ4F_isError(made))
		return fha_error(err, FHA_NO_MEMORY, "lz4: %s", LZ4F_getErrorName(made));
	lz4->stream.out = lz4->out;
	lz4->stream.out_size += made;
	return FHA_OK;
}

static FhaCode
lz4_begin(Lz4 *lz4, FhaError *err)
{
	if (lz4->has_begun)
		return FHA_OK;
	lz4->has_begun = true;
	return lz4_made(
		lz4, LZ4F_compressBegin(lz4->context, lz4->out, lz4->out_size, &lz4->preferences), err);
}

static FhaCode
lz4_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	Lz4 *lz4 = (Lz4 *) stream;
	FhaCode code = lz4_begin(lz4, err);
	size_t some = size < COMPRESS_INPUT_SIZE ? size : COMPRESS_INPUT_SIZE;

	if (code != FHA_OK)
		return code;
	*taken = some;
	return lz4_made(lz4,
					LZ4F_compressUpdate(lz4->context, lz4->out + stream->out_size,
										lz4->out_size - stream->out_size, data, some, NULL),
					err);
}

static FhaCode
lz4_make(FhaStream *stream, FhaError *err)
{
	Lz4 *lz4 = (Lz4 *) stream;
	FhaCode code;

	if (!stream->is_finished)
		return FHA_AGAIN;
	code = lz4_begin(lz4, err);
	if (code != FHA_OK)
		return code;
	stream->is_ended = true;
	return lz4_made(lz4,
					LZ4F_compressEnd(lz4->context, lz4->out + stream->out_size,
									 lz4->out_size - stream->out_size, NULL),
					err);
}

static void
lz4_close(FhaStream *stream)
{
	Lz4 *lz4 = (Lz4 *) stream;

	(void) LZ4F_freeCompressionContext(lz4->context);
	free(lz4);
}

static FhaCode
lz4_open(FhaStream **out, int level, unsigned workers, FhaError *err)
{
	static const FhaStreamKind kind = {.take = lz4_take, .make = lz4_make, .close = lz4_close};
	const LZ4F_preferences_t preferences = {
		.frameInfo = {.blockSizeID = LZ4F_max64KB,
					  .blockMode = LZ4F_blockLinked,
					  .contentChecksumFlag = LZ4F_contentChecksumEnabled},
		.compressionLevel = level};
	size_t size = LZ4F_compressBound(COMPRESS_INPUT_SIZE, &preferences) + LZ4F_HEADER_SIZE_MAX;
	Lz4 *lz4 = malloc(sizeof(*lz4) + size);

	(void) workers;
	*out = NULL;
	if (lz4 == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	*lz4 = (Lz4){.stream = {.kind = &kind}, .preferences = preferences, .out_size = size};
	if (LZ4F_isError(LZ4F_createCompressionContext(&lz4->context, LZ4F_VERSION)))
	{
		free(lz4);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	*out = &lz4->stream;
	return FHA_OK;
}

/* --- zstd */

typedef struct Zstd
{
	FhaStream stream;
	ZSTD_CCtx *context;
	char out[COMPRESS_ZSTD_OUT_SIZE];
} Zstd;

/* *left: bytes that the library has still to give. */
static FhaCode
zstd_run(Zstd *zstd, ZSTD_inBuffer *in, ZSTD_EndDirective directive, size_t *left, FhaError *err)
{
	ZSTD_outBuffer out = {.dst = zstd->out, .size = sizeof(zstd->out)};

	*left = ZSTD_compressStream2(zstd->context, &out, in, directive);
	if (ZSTD_isError(*left))
		return fha_error(err, FHA_NO_MEMORY, "zstd: %s", ZSTD_getErrorName(*left));
	zstd->stream.out = zstd->out;
	zstd->stream.out_size = out.pos;
	return FHA_OK;
}

static FhaCode
zstd_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	ZSTD_inBuffer in = {.src = data, .size = size};
	size_t left;
	FhaCode code = zstd_run((Zstd *) stream, &in, ZSTD_e_continue, &left, err);

	*taken = in.pos;
	return code;
}

static FhaCode
zstd_make(FhaStream *stream, FhaError *err)
{
	ZSTD_inBuffer in = {.src = NULL};
	size_t left;
	FhaCode code;

	if (!stream->is_finished)
		return FHA_AGAIN;
	code = zstd_run((Zstd *) stream, &in, ZSTD_e_end, &left, err);
	stream->is_ended = code == FHA_OK && left == 0;
	return code;
}

static void
zstd_close(FhaStream *stream)
{
	Zstd *zstd = (Zstd *) stream;

	(void) ZSTD_freeCCtx(zstd->context);
	free(zstd);
}

static bool
zstd_set(ZSTD_CCtx *context, int level)
{
	return !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)) &&
		   !ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1));
}

static FhaCode
zstd_open(FhaStream **out, int level, unsigned workers, FhaError *err)
{
	static const FhaStreamKind kind = {.take = zstd_take, .make = zstd_make, .close = zstd_close};
	Zstd *zstd = malloc(sizeof(*zstd));

	(void) workers;
	*out = NULL;
	if (zstd == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	zstd->stream = (FhaStream){.kind = &kind};
	zstd->context = ZSTD_createCCtx();
	if (zstd->context == NULL || !zstd_set(zstd->context, level))
	{
		zstd_close(&zstd->stream);
		/* analyzer: no leak, zstd begins with its stream */
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	*out = &zstd->stream;
	return FHA_OK;
}

typedef struct CompressLevels
{
	FhaCompression compression;
	int usual;
	int max; /* 0: it has none */
	FhaCode (*open)(FhaStream **out, int level, unsigned workers, FhaError *err);
} CompressLevels;

/* NULL: it is only read. */
static const CompressLevels *
compress_levels(FhaCompression compression)
{
	static const CompressLevels rows[] = {
		{FHA_COMPRESSION_NONE, 0, 0, plain_open},
		{FHA_COMPRESSION_GZIP, 2, FHA_GZIP_LEVEL_MAX, fha_gzip_open},
		{FHA_COMPRESSION_LZ4, 1, FHA_LZ4_LEVEL_MAX, lz4_open},
		{FHA_COMPRESSION_ZSTD, 3, FHA_ZSTD_LEVEL_MAX, zstd_open},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		if (rows[i].compression == compression)
			return &rows[i];
	}
	return NULL;
}

FhaCode
fha_compress_open(FhaStream **out, FhaCompression compression, int level, unsigned workers,
				  FhaError *err)
{
	const CompressLevels *levels = compress_levels(compression);

	*out = NULL;
	if (levels == NULL)
		return fha_error(err, FHA_INVALID, "%s is only read, not written",
						 fha_compression_name(compression));
	if (level < 0 || level > levels->max)
		return fha_error(err, FHA_INVALID, "%s has no level %d", fha_compression_name(compression),
						 level);
	if (level == 0)
		level = levels->usual;
	if (workers > FHA_COMPRESS_WORKERS_MAX)
		workers = FHA_COMPRESS_WORKERS_MAX;
	return levels->open(out, level, workers, err);
}
