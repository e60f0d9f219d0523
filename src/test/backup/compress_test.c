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
#include "test/backup/streams.h"

static const FhaCompression written[] = {FHA_COMPRESSION_NONE, FHA_COMPRESSION_GZIP,
										 FHA_COMPRESSION_LZ4, FHA_COMPRESSION_ZSTD};
#define WRITTEN_COUNT (sizeof(written) / sizeof(written[0]))

static Bytes
compressed(FhaCompression compression, int level, unsigned workers, const Bytes *plain, size_t cut,
		   Chance *chance)
{
	FhaStream *stream;
	Bytes out = {.data = NULL};
	FhaError err = {.code = FHA_OK, .text = ""};

	assert_int_equal(fha_compress_open(&stream, compression, level, workers, &err), FHA_OK);
	if (stream_pass(stream, plain->data, plain->size, cut, chance, &out, &err) != FHA_OK)
		fail_msg("%s: %s", fha_compression_name(compression), err.text);
	return out;
}

static FhaCode
decompressed(FhaCompression compression, const char *data, size_t size, size_t cut, Chance *chance,
			 Bytes *out, FhaError *err)
{
	FhaStream *stream;

	*out = (Bytes){.data = NULL};
	*err = (FhaError){.code = FHA_OK, .text = ""};
	assert_int_equal(fha_decompress_open(&stream, compression, err), FHA_OK);
	return stream_pass(stream, data, size, cut, chance, out, err);
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
	static const size_t sizes[] = {0, 1, 600001};
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
	static const int levels[][6] = {{0}, {1, 2, 3, 4, 9}, {1, 3, 12}, {1, 3, FHA_ZSTD_LEVEL_MAX}};
	Bytes plain = bytes_like_pages(50000);

	(void) state;
	for (size_t i = 0; i < WRITTEN_COUNT; i++)
	{
		for (size_t j = 0; levels[i][j] > 0; j++)
		{
			Bytes packed = compressed(written[i], levels[i][j], 0, &plain, 60000, NULL);

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
	Bytes plain = {.data = malloc(300000), .size = 300000};
	Chance chance = {.state = 3};

	(void) state;
	for (size_t i = 0; i < plain.size; i++)
		plain.data[i] = (char) chance_next(&chance);
	for (size_t i = 0; i < WRITTEN_COUNT; i++)
	{
		for (int level = 0; level <= (written[i] == FHA_COMPRESSION_GZIP ? 4 : 0); level++)
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
												  sizeof(text) - 1, 1, 0, 0),
						 BZ_OK);
		bytes.size = size;
	}
	else if (compression == FHA_COMPRESSION_XZ)
	{
		bytes.size = 0;
		assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL, (const uint8_t *) text,
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
	return compressed(compression, 1, 0, &plain, 1000, NULL);
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
		FhaStream *stream;
		FhaError err;
		size_t all = 0;
		size_t taken = 1;

		assert_int_equal(fha_compress_open(&stream, written[i], 0, 2, &err), FHA_OK);
		/* zstd makes nothing of this for long: it holds only what it has not looked at. */
		while (taken > 0 && all < 40 * 1000 * 1000)
		{
			assert_int_equal(fha_stream_write(stream, zeros, sizeof(zeros), &taken, &err), FHA_OK);
			all += taken;
		}
		assert_true(written[i] == FHA_COMPRESSION_ZSTD || all < 2 * 1000 * 1000);
		fha_stream_close(stream);
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
	FhaStream *stream;
	size_t taken;
	FhaError err;

	(void) state;
	assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_GZIP, 0, 3, &err), FHA_OK);
	assert_int_equal(fha_stream_write(stream, text, sizeof(text), &taken, &err), FHA_OK);
	assert_threads_block_signals();
	fha_stream_close(stream);
}

static void
a_stream_that_is_dropped_ends_its_threads(void **state)
{
	Bytes plain = bytes_like_pages(900000);
	FhaStream *stream;
	FhaError err;
	size_t taken;

	(void) state;
	for (int i = 0; i < 5; i++)
	{
		assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_GZIP, 6, 2, &err), FHA_OK);
		assert_true(fha_stream_fd(stream) >= 0);
		assert_int_equal(fha_stream_write(stream, plain.data, plain.size, &taken, &err), FHA_OK);
		fha_stream_close(stream);
	}
	bytes_free(&plain);
	fha_stream_close(NULL);
}

static void
what_fails_says_so_again(void **state)
{
	FhaStream *stream;
	FhaError err;
	const char *data;
	size_t size;

	(void) state;
	assert_int_equal(fha_decompress_open(&stream, FHA_COMPRESSION_GZIP, &err), FHA_OK);
	assert_int_equal(fha_stream_fd(stream), -1);
	assert_int_equal(fha_stream_look(stream, &data, &size, &err), FHA_AGAIN);
	assert_int_equal(fha_stream_write(stream, text, sizeof(text), &size, &err), FHA_INVALID);
	assert_string_equal(err.text, "damaged, or no gzip at all");
	err.text[0] = '\0';
	assert_int_equal(fha_stream_look(stream, &data, &size, &err), FHA_INVALID);
	assert_string_equal(err.text, "damaged, or no gzip at all");
	assert_int_equal(fha_stream_write(stream, text, sizeof(text), &size, &err), FHA_INVALID);
	assert_int_equal(fha_stream_finish(stream, NULL), FHA_INVALID);
	fha_stream_close(stream);
	assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_NONE, 0, 0, &err), FHA_OK);
	assert_int_equal(fha_stream_finish(stream, &err), FHA_OK);
	assert_int_equal(fha_stream_write(stream, text, 1, &size, &err), FHA_INVALID);
	fha_stream_close(stream);
}

/* CRC-32C, as snappy masks it. */
static uint32_t
snappy_sum(const char *data, size_t size)
{
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < size; i++)
	{
		crc ^= (unsigned char) data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
}

static void
add_number(Bytes *bytes, uint32_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
	{
		char byte = (char) (value >> (8 * i));

		bytes_add(bytes, &byte, 1);
	}
}

static void
add_snappy_frame(Bytes *out, unsigned type, const Bytes *body, uint32_t sum)
{
	add_number(out, type, 1);
	add_number(out, (uint32_t) body->size + (type < 2 ? 4 : 0), 3);
	if (type < 2)
		add_number(out, sum, 4);
	bytes_add(out, body->data, body->size);
}

#define SNAPPY_STREAM "\xff\x06\0\0sNaPpY"

/* What stands at `from` once more. */
static void
add_again(Bytes *bytes, size_t from, size_t size)
{
	char copy[64];

	memcpy(copy, bytes->data + from, size);
	bytes_add(bytes, copy, size);
}

/* Literals and copies of each kind, and frames that say nothing. */
static void
snappy_of_each_kind(void **state)
{
	Bytes plain = bytes_like_pages(3000);
	Bytes body = {.data = NULL};
	Bytes file = {.data = NULL};

	(void) state;
	bytes_add(&body, "\xd1\x18", 2); /* 3153 bytes come out */
	add_number(&body, 61 << 2, 1);
	add_number(&body, 2999, 2);
	bytes_add(&body, plain.data, 3000);
	add_number(&body, (60 - 1) << 2 | 2, 1); /* 60 from 2,500 back */
	add_number(&body, 2500, 2);
	add_again(&plain, 500, 60);
	add_number(&body, 7 << 5 | 3 << 2 | 1, 1); /* 7 from 2,047 back */
	add_number(&body, 0xff, 1);
	add_again(&plain, 3060 - 2047, 7);
	add_number(&body, (50 - 1) << 2 | 3, 1); /* 50 from 3,060 back */
	add_number(&body, 3060, 4);
	add_again(&plain, 7, 50);
	add_number(&body, (36 - 1) << 2 | 2, 1); /* 36 times the last byte */
	add_number(&body, 1, 2);
	for (int i = 0; i < 36; i++)
		add_again(&plain, plain.size - 1, 1);
	assert_int_equal(plain.size, 3153);
	bytes_add(&file, SNAPPY_STREAM, 10);
	add_snappy_frame(&file, 0xfe, &(Bytes){.data = plain.data, .size = 1000}, 0);
	add_snappy_frame(&file, 0x80, &(Bytes){.size = 0}, 0);
	add_snappy_frame(&file, 0, &body, snappy_sum(plain.data, plain.size));
	assert_comes_back(FHA_COMPRESSION_SNAPPY, &file, &plain, 7, NULL);
	assert_comes_back(FHA_COMPRESSION_SNAPPY, &file, &plain, 10000, NULL);
	bytes_free(&file);
	bytes_free(&body);
	bytes_free(&plain);
}

/* Blocks that reach outside, in frames whose checksum is that of nothing. */
static void
damaged_snappy(void **state)
{
	static const struct
	{
		const char *bytes;
		size_t size;
	} blocks[] = {
		{"", 0},                         /* no size */
		{"\xff\xff\xff\xff\xff\x01", 6}, /* one of six bytes */
		{"\xff\xff\x7f", 3},             /* one above 64 KiB */
		{"\x05\x10"
		 "abc",
		 5}, /* a literal that is longer than the block */
		{"\x01\x08"
		 "abc",
		 5},                 /* ... than what comes out */
		{"\x05\xf0", 2},     /* a literal without its length */
		{"\x05\x01\x01", 3}, /* a copy from before the beginning */
		{"\x05\x00"
		 "a\x01",
		 4}, /* a copy without its offset */
		{"\x05\x00"
		 "a\x01\x00",
		 5}, /* a copy from where it stands */
		{"\x03\x00"
		 "a\x01\x01",
		 5}, /* a copy of more than comes out */
		{"\x05\x00"
		 "a",
		 3}, /* less comes out */
	};
	Bytes back;
	FhaError err;

	(void) state;
	for (size_t i = 0; i <= sizeof(blocks) / sizeof(blocks[0]) + 2; i++)
	{
		Bytes file = {.data = NULL};
		bool is_block = i < sizeof(blocks) / sizeof(blocks[0]);
		Bytes body = {.data = (char *) (uintptr_t) (is_block ? blocks[i].bytes : "abc"),
					  .size = is_block ? blocks[i].size : 3};

		bytes_add(&file, SNAPPY_STREAM, 10);
		if (is_block)
			add_snappy_frame(&file, 0, &body, snappy_sum("", 0));
		else if (i == sizeof(blocks) / sizeof(blocks[0]))
			add_snappy_frame(&file, 2, &body, 0); /* a type that must be known */
		else if (i == sizeof(blocks) / sizeof(blocks[0]) + 1)
			bytes_add(&file, "\x01\x03\0\0abc", 7); /* no room for the sum */
		else
			bytes_add(&file, "\x01\xff\xff\xff", 4); /* too large */
		assert_int_equal(
			decompressed(FHA_COMPRESSION_SNAPPY, file.data, file.size, 100, NULL, &back, &err),
			FHA_INVALID);
		assert_int_equal(back.size, 0);
		bytes_free(&file);
	}
	/* Before the frame that names the format, there is none. */
	assert_int_equal(decompressed(FHA_COMPRESSION_SNAPPY, "\x80\0\0\0", 4, 100, NULL, &back, &err),
					 FHA_INVALID);
}

static void
what_cannot_be_asked_for(void **state)
{
	FhaStream *stream;
	FhaError err;

	(void) state;
	assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_XZ, 0, 0, &err), FHA_INVALID);
	assert_string_equal(err.text, "xz is only read, not written");
	assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_GZIP, 10, 0, &err), FHA_INVALID);
	assert_string_equal(err.text, "gzip has no level 10");
	assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_NONE, 1, 0, &err), FHA_INVALID);
	assert_int_equal(fha_compress_open(&stream, FHA_COMPRESSION_ZSTD, 0, 99, &err), FHA_OK);
	fha_stream_close(stream);
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
		cmocka_unit_test(snappy_of_each_kind),
		cmocka_unit_test(damaged_snappy),
		cmocka_unit_test(gzip_is_one_member),
		cmocka_unit_test(what_is_not_read_holds_the_writer),
		cmocka_unit_test(threads_leave_signals_to_the_host),
		cmocka_unit_test(a_stream_that_is_dropped_ends_its_threads),
		cmocka_unit_test(what_fails_says_so_again),
		cmocka_unit_test(what_cannot_be_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
