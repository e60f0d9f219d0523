/*
 * compression_test.c: names of compressions, and what a setting may say.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/compression.h"

static void
have_names(void **state)
{
	(void) state;
	assert_string_equal(fha_compression_name(FHA_COMPRESSION_NONE), "none");
	assert_string_equal(fha_compression_name(FHA_COMPRESSION_ZSTD), "zstd");
	assert_string_equal(fha_compression_suffix(FHA_COMPRESSION_NONE), "");
	assert_string_equal(fha_compression_suffix(FHA_COMPRESSION_LZ4), ".lz4");
	assert_int_equal(fha_compression_level_max(FHA_COMPRESSION_GZIP), 9);
	assert_int_equal(fha_compression_level_max(FHA_COMPRESSION_NONE), 0);
	assert_int_equal(fha_compression_level_max(FHA_COMPRESSION_XZ), 0);
}

static void
a_name_and_a_level_are_read(void **state)
{
	static const struct
	{
		const char *text;
		FhaCompression compression;
		int level;
	} good[] = {
		{"none", FHA_COMPRESSION_NONE, 0},   {"gzip", FHA_COMPRESSION_GZIP, 0},
		{"gzip:1", FHA_COMPRESSION_GZIP, 1}, {"gzip:9", FHA_COMPRESSION_GZIP, 9},
		{"lz4", FHA_COMPRESSION_LZ4, 0},     {"lz4:12", FHA_COMPRESSION_LZ4, 12},
		{"zstd:3", FHA_COMPRESSION_ZSTD, 3}, {"zstd:03", FHA_COMPRESSION_ZSTD, 3},
	};
	char why[FHA_SENTENCE_SIZE];

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		FhaCompression compression = FHA_COMPRESSION_XZ;
		int level = -1;

		assert_true(fha_compression_parse(good[i].text, &compression, &level, why));
		assert_int_equal(compression, good[i].compression);
		assert_int_equal(level, good[i].level);
	}
}

static void
what_is_not_written_is_refused_with_what_may_be(void **state)
{
	static const char *const bad[] = {
		"",      "gz", "gzip:",   "gzip:0", "gzip:10", "lz4:13",  "zstd:10",           "none:1",
		"none:", "xz", "bzip2:1", "snappy", "gzip:+1", "gzip:1 ", "gzip:1000000000000"};
	FhaCompression compression;
	char why[FHA_SENTENCE_SIZE];
	int level;

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		why[0] = '\0';
		assert_false(fha_compression_parse(bad[i], &compression, &level, why));
		assert_non_null(strstr(why, "gzip:1 to gzip:9"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(have_names),
		cmocka_unit_test(a_name_and_a_level_are_read),
		cmocka_unit_test(what_is_not_written_is_refused_with_what_may_be),
	};

	return cmocka_run_group_tests_name("compression", tests, NULL, NULL);
}
