/*
 * compress_test.c: what is compressed comes back, whatever the cuts, and what is damaged or cut off is told.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>

#include "backup/compress.h"
#include "test/backup/stages.h"

static const FhaCompression written[] = {FHA_COMPRESSION_NONE, FHA_COMPRESSION_GZIP,
										 FHA_COMPRESSION_LZ4, FHA_COMPRESSION_ZSTD};
#define WRITTEN_COUNT (sizeof(written) / sizeof(written[0]))

static Bytes
compressed(FhaCompression compression, int level, unsigned workers, const Bytes *plain, size_t cut,
		   Chance *chance)
{
	FhaStage *stage;
	Bytes out = {.data = NULL};
	FhaError err = {.code = FHA_OK, .text = ""};

	assert_int_equal(fha_compress_open(&stage, compression, level, workers, &err), FHA_OK);
	if (stage_pass(stage, plain->data, plain->size, cut, chance, &out, &err) != FHA_OK)
		fail_msg("%s: %s", fha_compression_name(compression), err.text);
	return out;
}

static FhaCode
decompressed(FhaCompression compression, const char *data, size_t size, size_t cut, Chance *chance,
			 Bytes *out, FhaError *err)
{
	FhaStage *stage;

	*out = (Bytes){.data = NULL};
	*err = (FhaError){.code = FHA_OK, .text = ""};
	assert_int_equal(fha_decompress_open(&stage, compression, err), FHA_OK);
	return stage_pass(stage, data, size, cut, chance, out, err);
}

static void
assert_comes_back(FhaCompression compression, const Bytes *packed, const Bytes *plain, size_t cut,
				  Chance *chance)
{
	Bytes back;
	FhaError err;

	if (decompressed(compression, packed->data, packed->size, cut, chance, &back, &err) != FHA_OK)
		fail_msg("%s: %s", fha_compression_name(compression), err.text);
	if (!bytes_are(&back, plain->data, plain->size))
		fail_msg("%s: %zu bytes came back, of %zu", fha_compression_name(compression), back.size,
				 plain->size);
	bytes_free(&back);
}

static void
what_is_compressed_comes_back(void **state)
{
	static const size_t sizes[] = {0, 1, 5000, 262144, 700001};
	Chance chance = {.state = 1};

	(void) state;
	for (size_t i = 0; i < WRITTEN_COUNT; i++)
	{
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++)
		{
			Bytes plain = bytes_like_pages(sizes[j]);

			for (unsigned workers = 0; workers <= 2; workers += 2)
			{
				Bytes packed = compressed(written[i], 0, workers, &plain, 50000, &chance);

				assert_comes_back(written[i], &packed, &plain, 50000, &chance);
				bytes_free(&packed);
			}
			bytes_free(&plain);
		}
	}
}

static void
every_level_comes_back(void **state)
{
	static const int levels[] = {0, FHA_GZIP_LEVEL_MAX, FHA_LZ4_LEVEL_MAX, FHA_ZSTD_LEVEL_MAX};
	Bytes plain = bytes_like_pages(100000);

	(void) state;
	for (size_t i = 0; i < WRITTEN_COUNT; i++)
	{
		for (int level = 1; level <= levels[i]; level++)
		{
			Bytes packed = compressed(written[i], level, 0, &plain, 60000, NULL);

			assert_comes_back(written[i], &packed, &plain, 60000, NULL);
			bytes_free(&packed);
		}
	}
	bytes_free(&plain);
}

/* Bytes that get larger: each piece still has room. */
static void
what_cannot_be_compressed_comes_back(void **state)
{
	Bytes plain = {.data = malloc(600000), .size = 600000};
	Chance chance = {.state = 3};

	(void) state;
	for (size_t i = 0; i < plain.size; i++)
		plain.data[i] = (char) chance_next(&chance);
	for (size_t i = 0; i < WRITTEN_COUNT; i++)
	{
		for (int level = 0; level <= (written[i] == FHA_COMPRESSION_GZIP ? 9 : 0); level++)
		{
			Bytes packed = compressed(written[i], level, 0, &plain, 100000, NULL);

			assert_true(packed.size < plain.size + plain.size / 100);
			assert_comes_back(written[i], &packed, &plain, 100000, NULL);
			bytes_free(&packed);
		}
	}
	bytes_free(&plain);
}

/* All that have a format. */
static const FhaCompression packed_by[] = {FHA_COMPRESSION_GZIP, FHA_COMPRESSION_LZ4,
										   FHA_COMPRESSION_ZSTD, FHA_COMPRESSION_BZIP2,
										   FHA_COMPRESSION_XZ,   FHA_COMPRESSION_SNAPPY};
#define PACKED_COUNT (sizeof(packed_by) / sizeof(packed_by[0]))

static const char text[] = "1 0/3000000 no recovery target specified, "
						   "2 0/3000000 no recovery target specified, 00000002.history";

/* What the foreign compressors make of the text; snappy's is python-snappy's StreamCompressor's. */
static Bytes
foreign(FhaCompression compression)
{
	static const unsigned char snappy[] = {
		0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59, 0x00, 0x40, 0x00,
		0x00, 0x26, 0xea, 0xbe, 0xf6, 0x64, 0x14, 0x31, 0x20, 0x30, 0x2f, 0x33, 0x30,
		0x05, 0x01, 0x7c, 0x20, 0x6e, 0x6f, 0x20, 0x72, 0x65, 0x63, 0x6f, 0x76, 0x65,
		0x72, 0x79, 0x20, 0x74, 0x61, 0x72, 0x67, 0x65, 0x74, 0x20, 0x73, 0x70, 0x65,
		0x63, 0x69, 0x66, 0x69, 0x65, 0x64, 0x2c, 0x20, 0x32, 0xa2, 0x2a, 0x00, 0x05,
		0x4e, 0x28, 0x30, 0x30, 0x32, 0x2e, 0x68, 0x69, 0x73, 0x74, 0x6f, 0x72, 0x79,
	};
	Bytes bytes = {.data = malloc(1000), .size = 1000};
	unsigned size = 1000;

	if (compression == FHA_COMPRESSION_BZIP2)
	{
		assert_int_equal(BZ2_bzBuffToBuffCompress(bytes.data, &size, (char *) (uintptr_t) text,
												  sizeof(text) - 1, 9, 0, 0),
						 BZ_OK);
		bytes.size = size;
	}
	else if (compression == FHA_COMPRESSION_XZ)
	{
		bytes.size = 0;
		assert_int_equal(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, (const uint8_t *) text,
												 sizeof(text) - 1, (uint8_t *) bytes.data,
												 &bytes.size, 1000),
						 LZMA_OK);
	}
	else
	{
		bytes.size = sizeof(snappy);
		memcpy(bytes.data, snappy, sizeof(snappy));
	}
	return bytes;
}

static Bytes
packed_text(FhaCompression compression)
{
	Bytes plain = {.data = (char *) (uintptr_t) text, .size = sizeof(text) - 1};

	if (compression == FHA_COMPRESSION_BZIP2 || compression == FHA_COMPRESSION_XZ ||
		compression == FHA_COMPRESSION_SNAPPY)
		return foreign(compression);
	return compressed(compression, 0, 0, &plain, 1000, NULL);
}

static void
each_cut_and_each_way_to_end_early(void **state)
{
	Bytes plain = {.data = (char *) (uintptr_t) text, .size = sizeof(text) - 1};

	(void) state;
	for (size_t i = 0; i < PACKED_COUNT; i++)
	{
		FhaCompression compression = packed_by[i];
		Bytes packed = packed_text(compression);
		Bytes back;
		FhaError err;

		for (size_t cut = 1; cut <= packed.size; cut++)
			assert_comes_back(compression, &packed, &plain, cut, NULL);
		for (size_t size = 0; size < packed.size; size++)
		{
			/* Behind the frame that names the format, nothing stands in a snappy file that ends there. */
			if (compression == FHA_COMPRESSION_SNAPPY && size == 10)
				continue;
			if (decompressed(compression, packed.data, size, 16, NULL, &back, &err) != FHA_INVALID)
				fail_msg("%s of %zu bytes, of %zu, is not told", fha_compression_name(compression),
						 size, packed.size);
			assert_non_null(strstr(err.text, fha_compression_name(compression)));
			bytes_free(&back);
		}
		bytes_free(&packed);
	}
}

/* A damaged byte is told, or does not matter (a time, a name of a system). */
static void
a_damaged_byte_is_told(void **state)
{
	(void) state;
	for (size_t i = 0; i < PACKED_COUNT; i++)
	{
		FhaCompression compression = packed_by[i];
		Bytes packed = packed_text(compression);
		FhaError err;

		for (size_t at = 0; at < packed.size; at++)
		{
			Bytes back;
			FhaCode code;

			packed.data[at] ^= 0x41;
			code = decompressed(compression, packed.data, packed.size, 1000, NULL, &back, &err);
			packed.data[at] ^= 0x41;
			if (code != FHA_INVALID && !bytes_are(&back, text, sizeof(text) - 1))
				fail_msg("%s: byte %zu", fha_compression_name(compression), at);
			bytes_free(&back);
		}
		bytes_free(&packed);
	}
}

/* Archives that were put together have several; what else follows is damage. */
static void
members_follow_each_other(void **state)
{
	(void) state;
	for (size_t i = 0; i < PACKED_COUNT; i++)
	{
		FhaCompression compression = packed_by[i];
		Bytes packed = packed_text(compression);
		Bytes twice = {.data = NULL};
		Bytes plain = {.data = NULL};
		Bytes back;
		FhaError err;

		for (int j = 0; j < 2; j++)
		{
			bytes_add(&twice, packed.data, packed.size);
			bytes_add(&plain, text, sizeof(text) - 1);
		}
		assert_comes_back(compression, &twice, &plain, 1, NULL);
		assert_comes_back(compression, &twice, &plain, 10000, NULL);
		bytes_add(&twice, "behind it", 9);
		assert_int_equal(
			decompressed(compression, twice.data, twice.size, 10000, NULL, &back, &err),
			FHA_INVALID);
		bytes_free(&back);
		bytes_free(&twice);
		bytes_free(&plain);
		bytes_free(&packed);
	}
}

static void
zeros_may_follow_gzip(void **state)
{
	Bytes packed = packed_text(FHA_COMPRESSION_GZIP);
	Bytes plain = {.data = (char *) (uintptr_t) text, .size = sizeof(text) - 1};
	Bytes back;
	FhaError err;

	(void) state;
	bytes_add(&packed, "\0\0\0\0", 4);
	assert_comes_back(FHA_COMPRESSION_GZIP, &packed, &plain, 1, NULL);
	bytes_add(&packed, "\x1f", 1);
	assert_int_equal(
		decompressed(FHA_COMPRESSION_GZIP, packed.data, packed.size, 1, NULL, &back, &err),
		FHA_INVALID);
	bytes_free(&back);
	bytes_free(&packed);
}

/* By zlib: one stream, whose end is the end. */
static void
gzip_is_one_member(void **state)
{
	Bytes plain = bytes_like_pages(1500000);
	char *back = malloc(plain.size);

	(void) state;
	for (int level = 1; level <= 6; level += 5)
	{
		Bytes packed = compressed(FHA_COMPRESSION_GZIP, level, 3, &plain, 100000, NULL);
		z_stream stream = {.next_in = (Bytef *) packed.data,
						   .avail_in = (uInt) packed.size,
						   .next_out = (Bytef *) back,
						   .avail_out = (uInt) plain.size};

		assert_int_equal(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
		assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
		assert_int_equal(stream.avail_in, 0);
		assert_int_equal(stream.avail_out, 0);
		assert_memory_equal(back, plain.data, plain.size);
		(void) inflateEnd(&stream);
		bytes_free(&packed);
	}
	free(back);
	bytes_free(&plain);
}

/* Nobody reads: a bounded part is taken. */
static void
what_is_not_read_holds_the_writer(void **state)
{
	static char zeros[100000];

	(void) state;
	for (size_t i = 0; i < WRITTEN_COUNT; i++)
	{
		FhaStage *stage;
		FhaError err;
		size_t all = 0;
		size_t taken = 1;

		assert_int_equal(fha_compress_open(&stage, written[i], 0, 2, &err), FHA_OK);
		/* zstd makes nothing of this for long: it holds only what it has not looked at. */
		while (taken > 0 && all < 40 * 1000 * 1000)
		{
			assert_int_equal(fha_stage_write(stage, zeros, sizeof(zeros), &taken, &err), FHA_OK);
			all += taken;
		}
		assert_true(written[i] == FHA_COMPRESSION_ZSTD || all < 2 * 1000 * 1000);
		fha_stage_close(stage);
	}
}

/* Each thread but this one blocks each signal that can be blocked. */
static void
assert_threads_block_signals(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *task;
	unsigned count = 0;

	assert_non_null(tasks);
	while ((task = readdir(tasks)) != NULL)
	{
		char path[300];
		char line[200];
		unsigned long long blocked = 0;
		FILE *file;

		(void) snprintf(path, sizeof(path), "/proc/self/task/%s/status", task->d_name);
		file = atoi(task->d_name) <= 0 || atoi(task->d_name) == getpid() ? NULL : fopen(path, "re");
		if (file == NULL)
			continue;
		while (fgets(line, sizeof(line), file) != NULL)
			(void) sscanf(line, "SigBlk: %llx", &blocked);
		(void) fclose(file);
		/* 9 and 19 cannot be; 32 and 33 are the C library's. */
		assert_true((blocked | 0x180040100ull) == 0xffffffffffffffffull);
		count++;
	}
	(void) closedir(tasks);
	assert_true(count >= 3);
}

static void
threads_leave_signals_to_the_host(void **state)
{
	static const FhaCompression with_threads[] = {FHA_COMPRESSION_GZIP, FHA_COMPRESSION_ZSTD};
	FhaError err;

	(void) state;
	for (size_t i = 0; i < 2; i++)
	{
		FhaStage *stage;
		size_t taken;

		assert_int_equal(fha_compress_open(&stage, with_threads[i], 0, 3, &err), FHA_OK);
		assert_int_equal(fha_stage_write(stage, text, sizeof(text), &taken, &err), FHA_OK);
		assert_threads_block_signals();
		fha_stage_close(stage);
	}
}

static void
a_stream_that_is_dropped_ends_its_threads(void **state)
{
	Bytes plain = bytes_like_pages(900000);
	FhaStage *stage;
	FhaError err;
	size_t taken;

	(void) state;
	for (int i = 0; i < 5; i++)
	{
		assert_int_equal(fha_compress_open(&stage, FHA_COMPRESSION_GZIP, 6, 2, &err), FHA_OK);
		assert_true(fha_stage_fd(stage) >= 0);
		assert_int_equal(fha_stage_write(stage, plain.data, plain.size, &taken, &err), FHA_OK);
		fha_stage_close(stage);
	}
	bytes_free(&plain);
	fha_stage_close(NULL);
}

static void
what_fails_says_so_again(void **state)
{
	FhaStage *stage;
	FhaError err;
	const char *data;
	size_t size;

	(void) state;
	assert_int_equal(fha_decompress_open(&stage, FHA_COMPRESSION_GZIP, &err), FHA_OK);
	assert_int_equal(fha_stage_fd(stage), -1);
	assert_int_equal(fha_stage_look(stage, &data, &size, &err), FHA_AGAIN);
	assert_int_equal(fha_stage_write(stage, text, sizeof(text), &size, &err), FHA_INVALID);
	assert_string_equal(err.text, "damaged, or no gzip at all");
	err.text[0] = '\0';
	assert_int_equal(fha_stage_look(stage, &data, &size, &err), FHA_INVALID);
	assert_string_equal(err.text, "damaged, or no gzip at all");
	assert_int_equal(fha_stage_write(stage, text, sizeof(text), &size, &err), FHA_INVALID);
	assert_int_equal(fha_stage_finish(stage, NULL), FHA_INVALID);
	fha_stage_close(stage);
	assert_int_equal(fha_compress_open(&stage, FHA_COMPRESSION_NONE, 0, 0, &err), FHA_OK);
	assert_int_equal(fha_stage_finish(stage, &err), FHA_OK);
	assert_int_equal(fha_stage_write(stage, text, 1, &size, &err), FHA_INVALID);
	fha_stage_close(stage);
}

static void
what_cannot_be_asked_for(void **state)
{
	FhaStage *stage;
	FhaError err;

	(void) state;
	assert_int_equal(fha_compress_open(&stage, FHA_COMPRESSION_XZ, 0, 0, &err), FHA_INVALID);
	assert_string_equal(err.text, "xz is only read, not written");
	assert_int_equal(fha_compress_open(&stage, FHA_COMPRESSION_GZIP, 10, 0, &err), FHA_INVALID);
	assert_string_equal(err.text, "gzip has no level 10");
	assert_int_equal(fha_compress_open(&stage, FHA_COMPRESSION_NONE, 1, 0, &err), FHA_INVALID);
	assert_int_equal(fha_compress_open(&stage, FHA_COMPRESSION_ZSTD, 0, 99, &err), FHA_OK);
	fha_stage_close(stage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_compressed_comes_back),
		cmocka_unit_test(every_level_comes_back),
		cmocka_unit_test(what_cannot_be_compressed_comes_back),
		cmocka_unit_test(each_cut_and_each_way_to_end_early),
		cmocka_unit_test(a_damaged_byte_is_told),
		cmocka_unit_test(members_follow_each_other),
		cmocka_unit_test(zeros_may_follow_gzip),
		cmocka_unit_test(gzip_is_one_member),
		cmocka_unit_test(what_is_not_read_holds_the_writer),
		cmocka_unit_test(threads_leave_signals_to_the_host),
		cmocka_unit_test(a_stream_that_is_dropped_ends_its_threads),
		cmocka_unit_test(what_fails_says_so_again),
		cmocka_unit_test(what_cannot_be_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
