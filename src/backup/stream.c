/*
 * stream.c: what all streams have in common, and several as one.  See backup/stream.h.
 */
#include "backup/stream.h"

#include <stdlib.h>

#include "base/tame.h"

/* Its first failure is its last word. */
static FhaCode
stream_result(FhaStream *stream, FhaCode code, FhaError *err)
{
	if (code == FHA_OK || code == FHA_AGAIN)
		return code;
	stream->error.code = code;
	/* It may have a path of somebody's archive. */
	fha_tame(stream->error.text);
	if (err != NULL)
		*err = stream->error;
	return code;
}

FhaCode
fha_stream_write(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	FhaCode code = stream->error.code;

	*taken = 0;
	if (code == FHA_OK && stream->is_finished)
		code = fha_error(&stream->error, FHA_INVALID, "bytes after the end of a stream");
	while (code == FHA_OK && *taken < size && (stream->kind->takes_ahead || stream->out_size == 0))
	{
		size_t some = 0;

		code = stream->kind->take(stream, data + *taken, size - *taken, &some, &stream->error);
		if (some == 0)
			break;
		*taken += some;
	}
	return stream_result(stream, code, err);
}

FhaCode
fha_stream_finish(FhaStream *stream, FhaError *err)
{
	stream->is_finished = true;
	return stream_result(stream, stream->error.code, err);
}

FhaCode
fha_stream_look(FhaStream *stream, const char **data, size_t *size, FhaError *err)
{
	FhaCode code = stream->error.code;

	if (code == FHA_OK && stream->out_size == 0 && !stream->is_ended)
		code = stream->kind->make(stream, &stream->error);
	*data = stream->out;
	*size = stream->out_size;
	if (code == FHA_OK && stream->out_size == 0 && !stream->is_ended)
		code = FHA_AGAIN;
	return stream_result(stream, code, err);
}

void
fha_stream_drop(FhaStream *stream, size_t size)
{
	stream->out += size;
	stream->out_size -= size;
}

int
fha_stream_fd(const FhaStream *stream)
{
	return stream->kind->fd == NULL ? -1 : stream->kind->fd(stream);
}

void
fha_stream_close(FhaStream *stream)
{
	if (stream != NULL)
		stream->kind->close(stream);
}

/* As fha_stream_pump; *moved grows by what it moved. */
static FhaCode
stream_move(FhaStream *from, FhaStream *to, size_t *moved, FhaError *err)
{
	for (;;)
	{
		const char *data;
		size_t size;
		size_t taken;
		FhaCode code = fha_stream_look(from, &data, &size, err);

		if (code != FHA_OK)
			return code;
		if (size == 0)
			return to->is_finished ? FHA_OK : fha_stream_finish(to, err);
		code = fha_stream_write(to, data, size, &taken, err);
		if (code != FHA_OK)
			return code;
		if (taken == 0)
			return FHA_AGAIN;
		fha_stream_drop(from, taken);
		*moved += taken;
	}
}

FhaCode
fha_stream_pump(FhaStream *from, FhaStream *to, FhaError *err)
{
	size_t moved = 0;

	return stream_move(from, to, &moved, err);
}

/* --- several as one */

typedef struct FhaChain
{
	FhaStream stream;
	FhaStream *links[FHA_CHAIN_MAX];
	size_t count;
	size_t shown; /* bytes of the last one's output that are this one's */
} FhaChain;

/* What was dropped here is dropped there, and what follows moves up, until nothing does. */
static FhaCode
chain_move(FhaChain *chain, FhaError *err)
{
	FhaStream *last = chain->links[chain->count - 1];
	size_t moved = 1;

	fha_stream_drop(last, chain->shown - chain->stream.out_size);
	chain->shown = chain->stream.out_size;
	while (moved > 0)
	{
		moved = 0;
		for (size_t i = 0; i + 1 < chain->count; i++)
		{
			FhaCode code = stream_move(chain->links[i], chain->links[i + 1], &moved, err);

			if (code != FHA_OK && code != FHA_AGAIN)
				return code;
		}
	}
	return FHA_OK;
}

static FhaCode
chain_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	FhaChain *chain = (FhaChain *) stream;
	FhaCode code = chain_move(chain, err);

	if (code != FHA_OK)
		return code;
	code = fha_stream_write(chain->links[0], data, size, taken, err);
	return code == FHA_OK ? chain_move(chain, err) : code;
}

static FhaCode
chain_make(FhaStream *stream, FhaError *err)
{
	FhaChain *chain = (FhaChain *) stream;
	FhaStream *last = chain->links[chain->count - 1];
	FhaCode code = FHA_OK;

	if (stream->is_finished && !chain->links[0]->is_finished)
		code = fha_stream_finish(chain->links[0], err);
	if (code == FHA_OK)
		code = chain_move(chain, err);
	if (code == FHA_OK)
		code = fha_stream_look(last, &stream->out, &stream->out_size, err);
	if (code != FHA_OK)
		return code;
	chain->shown = stream->out_size;
	stream->is_ended = stream->out_size == 0;
	return FHA_OK;
}

static int
chain_fd(const FhaStream *stream)
{
	const FhaChain *chain = (const FhaChain *) stream;

	for (size_t i = 0; i < chain->count; i++)
	{
		if (fha_stream_fd(chain->links[i]) >= 0)
			return fha_stream_fd(chain->links[i]);
	}
	return -1;
}

static void
chain_close(FhaStream *stream)
{
	FhaChain *chain = (FhaChain *) stream;

	for (size_t i = 0; i < chain->count; i++)
		fha_stream_close(chain->links[i]);
	free(chain);
}

FhaCode
fha_chain_open(FhaStream **out, FhaStream *const *links, size_t count, FhaError *err)
{
	static const FhaStreamKind kind = {.take = chain_take,
									   .make = chain_make,
									   .close = chain_close,
									   .fd = chain_fd,
									   .takes_ahead = true};
	FhaChain *chain = calloc(1, sizeof(*chain));

	*out = NULL;
	if (chain == NULL)
	{
		for (size_t i = 0; i < count; i++)
			fha_stream_close(links[i]);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	chain->stream.kind = &kind;
	chain->count = count;
	for (size_t i = 0; i < count; i++)
		chain->links[i] = links[i];
	*out = &chain->stream;
	/* analyzer: no leak, chain begins with its stream */
	return FHA_OK;
}
