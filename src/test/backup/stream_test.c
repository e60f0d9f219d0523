/*
 * stream_test.c: several streams as one, and a stream in parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/compress.h"
#include "backup/parts.h"
#include "backup/seal.h"
#include "test/backup/streams.h"

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static FhaSealKeys keys;

static int
set_up(void **state)
{
	FhaError err;

	(void) state;
	return fha_seal_keys_parse(&keys, KEY, &err) == FHA_OK ? 0 : -1;
}

static FhaStream *
packing(FhaCompression compression, unsigned workers)
{
	FhaStream *links[2];
	FhaStream *chain;
	FhaError err;

	assert_int_equal(fha_compress_open(&links[0], compression, 0, workers, &err), FHA_OK);
	assert_int_equal(fha_seal_open(&links[1], &keys.keys[0], "x", &err), FHA_OK);
	assert_int_equal(fha_chain_open(&chain, links, 2, &err), FHA_OK);
	assert_true(workers == 0 || compression != FHA_COMPRESSION_GZIP || fha_stream_fd(chain) >= 0);
	return chain;
}

static FhaStream *
unpacking(FhaCompression compression)
{
	FhaStream *links[3];
	FhaStream *chain;
	FhaError err;

	assert_int_equal(fha_unseal_open(&links[0], &keys, "x", &err), FHA_OK);
	assert_int_equal(fha_decompress_open(&links[1], compression, &err), FHA_OK);
	assert_int_equal(fha_decompress_open(&links[2], FHA_COMPRESSION_NONE, &err), FHA_OK);
	assert_int_equal(fha_chain_open(&chain, links, 3, &err), FHA_OK);
	assert_int_equal(fha_stream_fd(chain), -1);
	return chain;
}

static void
several_streams_are_one(void **state)
{
	static const FhaCompression compressions[] = {FHA_COMPRESSION_NONE, FHA_COMPRESSION_GZIP,
												  FHA_COMPRESSION_ZSTD};
	static const size_t sizes[] = {0, 100, 1400000};
	Chance chance = {.state = 5};

	(void) state;
	for (size_t i = 0; i < 9; i++)
	{
		FhaCompression compression = compressions[i / 3];
		Bytes plain = bytes_like_pages(sizes[i % 3]);
		Bytes packed = {.data = NULL};
		Bytes back = {.data = NULL};
		FhaError err;

		assert_int_equal(stream_pass(packing(compression, 2), plain.data, plain.size, 400000,
									 &chance, &packed, &err),
						 FHA_OK);
		assert_int_equal(stream_pass(unpacking(compression), packed.data, packed.size, 400000,
									 &chance, &back, &err),
						 FHA_OK);
		assert_true(bytes_are(&back, plain.data, plain.size));
		bytes_free(&back);
		bytes_free(&packed);
		bytes_free(&plain);
	}
}

/* Of each link: also when the first one saw nothing wrong. */
static void
a_failure_of_a_link_is_the_chain_s(void **state)
{
	Bytes packed = {.data = NULL};
	Bytes back = {.data = NULL};
	FhaError err;

	(void) state;
	assert_int_equal(
		stream_pass(packing(FHA_COMPRESSION_NONE, 0), "no gzip", 7, 7, NULL, &packed, &err),
		FHA_OK);
	assert_int_equal(stream_pass(unpacking(FHA_COMPRESSION_GZIP), packed.data, packed.size, 1000,
								 NULL, &back, &err),
					 FHA_INVALID);
	assert_non_null(strstr(err.text, "gzip"));
	packed.data[50] ^= 1;
	assert_int_equal(stream_pass(unpacking(FHA_COMPRESSION_NONE), packed.data, packed.size, 1000,
								 NULL, &back, &err),
					 FHA_DENIED);
	assert_int_equal(back.size, 0);
	bytes_free(&packed);
}

/* --- parts */

/* All of a stream of `size` bytes in parts; `late`: they are released when no buffer is left. */
static void
assert_parts(size_t size, size_t part_size, size_t buffers, bool late)
{
	Bytes plain = bytes_like_pages(size);
	FhaStream *stream;
	FhaParts *parts;
	FhaPart part = {.is_last = false};
	unsigned given[FHA_PARTS_MAX];
	unsigned held = 0;
	FhaError err;
	size_t at = 0;
	size_t seen = 0;
	unsigned number = 0;

	assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_NONE, 0, 0, &err), FHA_OK);
	assert_int_equal(fha_parts_open(&parts, part_size, buffers, &err), FHA_OK);
	while (!part.is_last)
	{
		size_t taken = 0;
		FhaCode code;

		if (at < size)
			assert_int_equal(fha_stream_write(stream, plain.data + at, size - at, &taken, &err),
							 FHA_OK);
		else
			assert_int_equal(fha_stream_finish(stream, &err), FHA_OK);
		at += taken;
		code = fha_parts_fill(parts, stream, &err);
		assert_true(code == FHA_OK || code == FHA_AGAIN);
		while (!part.is_last && fha_parts_next(parts, &part))
		{
			assert_int_equal(part.number, ++number);
			assert_true(part.is_last ? part.size <= part_size : part.size == part_size);
			assert_memory_equal(part.data, plain.data + seen, part.size);
			seen += part.size;
			given[held++] = part.number;
			if (!late)
				fha_parts_release(parts, given[--held]);
		}
		/* The newest first. */
		if (held == buffers)
		{
			while (held > 0)
				fha_parts_release(parts, given[--held]);
		}
	}
	assert_int_equal(seen, size);
	assert_false(fha_parts_next(parts, &part));
	assert_int_equal(fha_parts_fill(parts, stream, &err), FHA_OK);
	fha_parts_release(parts, number + 7);
	fha_parts_close(parts);
	fha_stream_close(stream);
	bytes_free(&plain);
}

static void
a_stream_in_parts(void **state)
{
	(void) state;
	for (int late = 0; late <= 1; late++)
	{
		assert_parts(0, 1000, 3, late != 0);
		assert_parts(1, 1000, 1, late != 0);
		assert_parts(1000, 1000, 2, late != 0);
		assert_parts(5000, 1000, 1, late != 0);
		assert_parts(5001, 1000, 3, late != 0);
		assert_parts(300000, 70000, 2, late != 0);
	}
	fha_parts_close(NULL);
}

static void
a_failure_of_the_stream_is_told(void **state)
{
	FhaStream *stream;
	FhaParts *parts;
	FhaPart part;
	FhaError err;

	(void) state;
	assert_int_equal(fha_decompress_open(&stream, FHA_COMPRESSION_GZIP, &err), FHA_OK);
	assert_int_equal(fha_parts_open(&parts, 100, 1, &err), FHA_OK);
	assert_int_equal(fha_stream_finish(stream, &err), FHA_OK);
	assert_int_equal(fha_parts_fill(parts, stream, &err), FHA_INVALID);
	assert_false(fha_parts_next(parts, &part));
	fha_parts_close(parts);
	fha_stream_close(stream);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_streams_are_one),
		cmocka_unit_test(a_failure_of_a_link_is_the_chain_s),
		cmocka_unit_test(a_stream_in_parts),
		cmocka_unit_test(a_failure_of_the_stream_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
