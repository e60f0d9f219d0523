/*
 * lsn_test.c: positions in the WAL as text, and names of files in pg_wal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/lsn.h"

#define MB (UINT64_C(1024) * 1024)

static void
lsns_are_printed_and_parsed(void **state)
{
	static const struct
	{
		uint64_t lsn;
		const char *text;
	} good[] = {
		{0, "0/0"},
		{UINT64_C(0x16B374D848), "16/B374D848"},
		{UINT64_C(0x100000000), "1/0"},
		{UINT32_MAX, "0/FFFFFFFF"},
		{UINT64_MAX, "FFFFFFFF/FFFFFFFF"},
	};
	static const char *const bad[] = {
		"",     "/",           "0",           "0/",    "/0",   "0/0 ", " 0/0",
		"0 /0", "0/ 0",        "g/0",         "0/g",   "-1/0", "+1/0", "0x1/0",
		"0/-1", "123456789/0", "0/123456789", "0/0/0", "0:0",
	};
	char text[FHA_LSN_TEXT_SIZE];
	uint64_t lsn;

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		fha_lsn_print(good[i].lsn, text, sizeof(text));
		assert_string_equal(text, good[i].text);
		assert_true(fha_lsn_parse(text, &lsn));
		assert_true(lsn == good[i].lsn);
	}
	assert_true(fha_lsn_parse("00000016/b374d848", &lsn));
	assert_true(lsn == UINT64_C(0x16B374D848));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		lsn = 4711;
		if (fha_lsn_parse(bad[i], &lsn) || lsn != 4711)
			fail_msg("\"%s\" is taken for an LSN", bad[i]);
	}
}

static void
segments_are_named_as_postgresql_names_them(void **state)
{
	static const struct
	{
		uint32_t timeline;
		uint64_t position;
		uint64_t size;
		const char *name;
		uint64_t number;
	} known[] = {
		{1, 0, 16 * MB, "000000010000000000000000", 0},
		{1, 16 * MB - 1, 16 * MB, "000000010000000000000000", 0},
		{0xAB, UINT64_C(0x16B374D848), 16 * MB, "000000AB00000016000000B3", 0x16B3},
		{3, UINT64_C(0x2FFFFFFFF), 1 * MB, "000000030000000200000FFF", 0x2FFF},
		{3, UINT64_C(0x2FFFFFFFF), 1024 * MB, "000000030000000200000003", 11},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		char name[FHA_WAL_NAME_SIZE];
		uint32_t timeline;
		uint64_t number;

		fha_segment_name(known[i].timeline, known[i].position, known[i].size, name);
		assert_string_equal(name, known[i].name);
		assert_true(fha_segment_parse(name, known[i].size, &timeline, &number));
		assert_int_equal(timeline, known[i].timeline);
		assert_true(number == known[i].number);
		assert_true(fha_segment_parse(name, 0, &timeline, NULL));
	}
}

static void
other_files_are_no_segments(void **state)
{
	static const char *const names[] = {
		"",
		".",
		"archive_status",
		"00000001.history",
		"00000001000000000000000",
		"0000000100000000000000000",
		"00000001000000000000000a",
		"000000010000000000000001.partial",
		"000000010000000000000001.00000028.backup",
	};
	uint32_t timeline;
	uint64_t number;

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(fha_segment_parse(names[i], 16 * MB, &timeline, &number));
}

static void
history_files_are_named_by_their_timeline(void **state)
{
	static const char *const others[] = {"",
										 "0000000A",
										 "0000000A.histor",
										 "0000000a.history",
										 "000000A.history",
										 "00000000A.history",
										 "0000000A.history.x",
										 "00000001000000000000000A"};
	char name[FHA_WAL_NAME_SIZE];
	uint32_t timeline = 0;

	(void) state;
	fha_timeline_history_name(10, name);
	assert_string_equal(name, "0000000A.history");
	assert_true(fha_timeline_history_parse(name, &timeline));
	assert_int_equal(timeline, 10);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_false(fha_timeline_history_parse(others[i], &timeline));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lsns_are_printed_and_parsed),
		cmocka_unit_test(segments_are_named_as_postgresql_names_them),
		cmocka_unit_test(other_files_are_no_segments),
		cmocka_unit_test(history_files_are_named_by_their_timeline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
