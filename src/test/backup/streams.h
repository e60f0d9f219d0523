/*
 * streams.h: bytes through a stream, for the tests of streams.
 */
#ifndef STREAMS_H
#define STREAMS_H

#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backup/stream.h"

#define STREAMS_BOUND_MS 20000

typedef struct Bytes
{
	char *data;
	size_t size;
} Bytes;

/* The same numbers each time. */
typedef struct Chance
{
	uint64_t state;
} Chance;

static inline uint32_t
chance_next(Chance *chance)
{
	chance->state = chance->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t) (chance->state >> 33);
}

static inline void
bytes_add(Bytes *bytes, const char *data, size_t size)
{
	if (size == 0)
		return;
	bytes->data = realloc(bytes->data, bytes->size + size);
	if (bytes->data == NULL)
		abort();
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
}

static inline void
bytes_free(Bytes *bytes)
{
	free(bytes->data);
	*bytes = (Bytes){.data = NULL};
}

static inline bool
bytes_are(const Bytes *bytes, const char *data, size_t size)
{
	return bytes->size == size && (size == 0 || memcmp(bytes->data, data, size) == 0);
}

/* What has come out so far, added to `out` in cuts of at most `cut`; waits for the stream's threads if it shall end. */
static inline FhaCode
stream_drain(FhaStream *stream, size_t cut, bool to_its_end, Bytes *out, FhaError *err)
{
	for (;;)
	{
		const char *data;
		size_t size;
		FhaCode code = fha_stream_look(stream, &data, &size, err);
		struct pollfd got_on = {.fd = fha_stream_fd(stream), .events = POLLIN};

		if (code == FHA_AGAIN && to_its_end && got_on.fd >= 0 &&
			poll(&got_on, 1, STREAMS_BOUND_MS) == 1)
			continue;
		if (code != FHA_OK || size == 0)
			return code;
		size = size < cut ? size : cut;
		bytes_add(out, data, size);
		fha_stream_drop(stream, size);
	}
}

/*
 * All of it through the stream, in cuts of at most `cut` bytes, or of random ones below that with a chance.  OK: to its end.
 * Closes the stream.
 */
static inline FhaCode
stream_pass(FhaStream *stream, const char *data, size_t size, size_t cut, Chance *chance,
			Bytes *out, FhaError *err)
{
	FhaCode code = FHA_OK;
	size_t at = 0;

	while (at < size && code == FHA_OK)
	{
		size_t some = chance == NULL ? cut : chance_next(chance) % cut + 1;
		struct pollfd got_on = {.fd = fha_stream_fd(stream), .events = POLLIN};
		size_t taken = 0;

		some = some < size - at ? some : size - at;
		code = stream_drain(stream, cut, false, out, err);
		if (code == FHA_AGAIN)
			code = fha_stream_write(stream, data + at, some, &taken, err);
		at += taken;
		if (code == FHA_OK && taken == 0 && poll(&got_on, 1, STREAMS_BOUND_MS) != 1)
			code = FHA_TIMEOUT;
	}
	if (code == FHA_OK)
		code = fha_stream_finish(stream, err);
	if (code == FHA_OK)
		code = stream_drain(stream, cut, true, out, err);
	fha_stream_close(stream);
	return code;
}

/* Somewhat like pages: runs, words, and what cannot be compressed. */
static inline Bytes
bytes_like_pages(size_t size)
{
	Bytes bytes = {.data = malloc(size + 1), .size = size};
	Chance chance = {.state = 7};
	size_t at = 0;

	if (bytes.data == NULL)
		abort();
	while (at < size)
	{
		size_t run = chance_next(&chance) % 300 + 1;
		uint32_t kind = chance_next(&chance) % 4;

		for (size_t i = 0; i < run && at < size; i++, at++)
		{
			if (kind == 0)
				bytes.data[at] = 0;
			else if (kind == 1)
				bytes.data[at] = (char) chance_next(&chance);
			else
				bytes.data[at] = "pgbench_accounts "[(at * kind) % 17];
		}
	}
	return bytes;
}

#endif
