/*
 * backup_info_test.c: backup.info, read and written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backup/backup_info.h"

#define BEGIN_US INT64_C(1795329531123456) /* 2026-11-22 06:38:51.123456 */

static FhaBackupInfo
parsed(const char *text)
{
	FhaBackupInfo info;
	FhaError err;

	if (fha_backup_info_parse(text, strlen(text), &info, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return info;
}

static void
expect_refused(const char *text, const char *why)
{
	FhaBackupInfo info;
	FhaError err;

	assert_int_equal(fha_backup_info_parse(text, strlen(text), &info, &err), FHA_PROTOCOL);
	assert_string_equal(err.text, why);
}

static FhaBackupInfo
example(void)
{
	FhaBackupInfo info = {
		.status = FHA_BACKUP_DONE,
		.version = 150014,
		.systemid = UINT64_C(7445301234567890123),
		.segment_size = FHA_DEFAULT_SEGMENT_SIZE,
		.begin_time_us = BEGIN_US,
		.end_time_us = BEGIN_US + INT64_C(61876544),
		.size = 1127428915,
		.mode = "concurrent",
		.server_name = "cloud",
		.pgdata = "/var/lib/postgresql/15/main",
	};

	fha_backup_info_set_begin(&info, 3, UINT64_C(0x16B3000028));
	fha_backup_info_set_end(&info, UINT64_C(0x16B4000000));
	return info;
}

static void
barmans_file_is_read(void **state)
{
	FhaBackupInfo info =
		parsed("backup_label='START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\\n"
			   "LABEL: Barman backup cloud \\'x\\' \"y\"\\n'\n"
			   "begin_offset=40\n"
			   "begin_time=2026-11-22 07:38:51.123456+01:00\n"
			   "begin_wal=000000010000000000000003\n"
			   "begin_xlog=0/3000028\n"
			   "compression=None\n"
			   "config_file=/etc/postgresql/15/main/postgresql.conf\n"
			   "copy_stats={'copy_time': 3.5, 'total_time': 4}\n"
			   "deduplicated_size=None\n"
			   "end_offset=312\n"
			   "end_time=2026-11-22 06:39:53+00:00\n"
			   "end_wal=000000010000000000000003\n"
			   "end_xlog=0/3000138\n"
			   "error=None\n"
			   "hba_file=None\n"
			   "ident_file=None\n"
			   "included_files=['/etc/x.conf']\n"
			   "mode=concurrent\n"
			   "pgdata=/var/lib/postgresql/15/main\n"
			   "server_name=cloud\n"
			   "size=None\n"
			   "status=DONE\n"
			   "systemid=7445301234567890123\n"
			   "tablespaces=[('a b', 16411, '/srv/it\\'s'), ('t2', 16412, '/srv/t2')]\n"
			   "timeline=1\n"
			   "version=150014\n"
			   "xlog_segment_size=16777216\n");
	FhaError err;

	(void) state;
	assert_int_equal(info.status, FHA_BACKUP_DONE);
	assert_true(info.begin_time_us == BEGIN_US);
	assert_true(info.end_time_us == INT64_C(1795329593000000));
	assert_true(info.begin_lsn == 0x3000028);
	assert_true(info.end_lsn == 0x3000138);
	assert_string_equal(info.begin_wal, "000000010000000000000003");
	assert_string_equal(info.backup_label,
						"START WAL LOCATION: 0/3000028 (file 000000010000000000000003)\n"
						"LABEL: Barman backup cloud 'x' \"y\"\n");
	assert_int_equal(info.tablespace_count, 2);
	assert_string_equal(info.tablespaces[0].name, "a b");
	assert_int_equal(info.tablespaces[0].oid, 16411);
	assert_string_equal(info.tablespaces[0].location, "/srv/it's");
	assert_string_equal(info.tablespaces[1].location, "/srv/t2");
	assert_true(info.systemid == UINT64_C(7445301234567890123));
	assert_int_equal(info.timeline, 1);
	assert_int_equal(info.version, 150014);
	assert_string_equal(info.hba_file, "");
	assert_int_equal(info.size, 0);
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_OK);
	fha_backup_info_free(&info);
}

static void
the_newest_generation_is_read(void **state)
{
	FhaBackupInfo info =
		parsed("status=STARTED\nchildren_backup_ids=None\ncluster_size=5\ndata_checksums=on\n"
			   "encryption=None\nparent_backup_id=20261121T063851\nsummarize_wal=on\n"
			   "snapshots_info=None\na_key_of_tomorrow={'a': [1, 2]}\n");

	(void) state;
	assert_int_equal(info.status, FHA_BACKUP_STARTED);
	assert_string_equal(info.parent_id, "20261121T063851");
	assert_int_equal(info.segment_size, FHA_DEFAULT_SEGMENT_SIZE);
	assert_false(info.is_snapshot);
	fha_backup_info_free(&info);
	info = parsed("status=TOMORROW\nsnapshots_info={'provider': 'gcp'}\n");
	assert_int_equal(info.status, FHA_BACKUP_OTHER);
	assert_string_equal(fha_backup_status_name(FHA_BACKUP_OTHER), "");
	assert_string_equal(fha_backup_status_name(FHA_BACKUP_DONE), "DONE");
	assert_true(info.is_snapshot);
	fha_backup_info_free(&info);
}

static void
blanks_comments_and_repetitions_are_as_in_python(void **state)
{
	FhaBackupInfo info =
		parsed("\n  # a comment = 1\n \t\n  status =  FAILED \r\n# fawkes_ha.nothing\n"
			   "error = a = b\nsize=1\nsize = 2\nbackup_label='a'\nbackup_label=\"b\"\n"
			   "tablespaces=[['a',1,'/a'],]\ntablespaces=[('b', '2', '/b',)]\npgdata=");

	(void) state;
	assert_int_equal(info.status, FHA_BACKUP_FAILED);
	assert_string_equal(info.error, "a = b");
	assert_int_equal(info.size, 2);
	assert_string_equal(info.backup_label, "b");
	assert_int_equal(info.tablespace_count, 1);
	assert_string_equal(info.tablespaces[0].name, "b");
	fha_backup_info_free(&info);
	info = parsed("");
	assert_int_equal(info.status, FHA_BACKUP_EMPTY);
	fha_backup_info_free(&info);
	info = parsed("tablespaces=[]\n");
	assert_int_equal(info.tablespace_count, 0);
	fha_backup_info_free(&info);
}

static void
pythons_escapes_are_read(void **state)
{
	FhaBackupInfo info = parsed(
		"backup_label='\\n\\r\\t\\a\\b\\f\\v\\\\\\'\\\"\\x41\\xe9\\u20ac\\U0001f600\xc3\xa9'\n");

	(void) state;
	assert_string_equal(info.backup_label,
						"\n\r\t\a\b\f\v\\'\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9");
	fha_backup_info_free(&info);
}

static void
an_error_names_line_and_key(void **state)
{
	static const struct
	{
		const char *text;
		const char *why;
	} bad[] = {
		{"status=DONE\nstatus", "backup.info, line 2 has no \"=\""},
		{"timeline=x", "backup.info, line 1: timeline cannot be \"x\""},
		{"timeline=", "backup.info, line 1: timeline cannot be \"\""},
		{"timeline=4294967296", "backup.info, line 1: timeline cannot be \"4294967296\""},
		{"timeline=-1", "backup.info, line 1: timeline cannot be \"-1\""},
		{"size=9223372036854775808", "backup.info, line 1: size cannot be \"9223372036854775808\""},
		{"systemid=18446744073709551616",
		 "backup.info, line 1: systemid cannot be \"18446744073709551616\""},
		{"systemid=999999999999999999999",
		 "backup.info, line 1: systemid cannot be \"999999999999999999999\""},
		{"begin_xlog=0/", "backup.info, line 1: begin_xlog cannot be \"0/\""},
		{"begin_time=yesterday", "backup.info, line 1: begin_time cannot be \"yesterday\""},
		{"begin_wal=0000000100000000000000030", "backup.info, line 1: begin_wal cannot be "
												"\"0000000100000000000000030\""},
		{"backup_label=x", "backup.info, line 1: backup_label cannot be \"x\""},
		{"backup_label='x", "backup.info, line 1: backup_label cannot be \"'x\""},
		{"backup_label='x'y", "backup.info, line 1: backup_label cannot be \"'x'y\""},
		{"backup_label='\\q'", "backup.info, line 1: backup_label cannot be \"'\\q'\""},
		{"backup_label='\\", "backup.info, line 1: backup_label cannot be \"'\\\""},
		{"backup_label='\\x4'", "backup.info, line 1: backup_label cannot be \"'\\x4'\""},
		{"backup_label='\\x", "backup.info, line 1: backup_label cannot be \"'\\x\""},
		{"backup_label='\\x00'", "backup.info, line 1: backup_label cannot be \"'\\x00'\""},
		{"backup_label='\\ud800'", "backup.info, line 1: backup_label cannot be \"'\\ud800'\""},
		{"backup_label='\\U00110000'",
		 "backup.info, line 1: backup_label cannot be \"'\\U00110000'\""},
		{"tablespaces=x", "backup.info, line 1: tablespaces cannot be \"x\""},
		{"tablespaces=[", "backup.info, line 1: tablespaces cannot be \"[\""},
		{"tablespaces=[] 1", "backup.info, line 1: tablespaces cannot be \"[] 1\""},
		{"tablespaces=[1]", "backup.info, line 1: tablespaces cannot be \"[1]\""},
		{"tablespaces=[('a')]", "backup.info, line 1: tablespaces cannot be \"[('a')]\""},
		{"tablespaces=[('a', 0, '/a')]",
		 "backup.info, line 1: tablespaces cannot be \"[('a', 0, '/a')]\""},
		{"tablespaces=[('a', x, '/a')]",
		 "backup.info, line 1: tablespaces cannot be \"[('a', x, '/a')]\""},
		{"tablespaces=[('a', 1, '/a']]",
		 "backup.info, line 1: tablespaces cannot be \"[('a', 1, '/a']]\""},
		{"tablespaces=[('a', 1, '/a') ('b', 2, '/b')]",
		 "backup.info, line 1: tablespaces cannot be \"[('a', 1, '/a') ('b', 2, '/b')]\""},
		{"tablespaces=[('a', 4294967296, '/a')]",
		 "backup.info, line 1: tablespaces cannot be \"[('a', 4294967296, '/a')]\""},
		{"parent_backup_id=x", "backup.info: parent_backup_id is no id of a backup"},
		{"timeline=\xff", "backup.info is no text in UTF-8"},
		{"begin_time=\x1b[2J234567890123456789012345678901234567890123456789012345678901234567890",
		 "backup.info, line 1: begin_time cannot be "
		 "\"?[2J23456789012345678901234567890123456789012345678901234567\""},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_refused(bad[i].text, bad[i].why);
}

static void
what_is_too_large_is_refused(void **state)
{
	char *data = calloc(1, FHA_BACKUP_INFO_MAX + 2);
	FhaBackupInfo info;
	FhaError err;
	size_t used;

	(void) state;
	assert_non_null(data);
	assert_int_equal(fha_backup_info_parse(data, FHA_BACKUP_INFO_MAX + 1, &info, &err),
					 FHA_PROTOCOL);
	assert_string_equal(err.text, "backup.info has 1048577 bytes, and at most 1048576 are read");
	/* A NUL. */
	assert_int_equal(fha_backup_info_parse(data, 1, &info, &err), FHA_PROTOCOL);
	/* A name, a path, a label and a list. */
	(void) strcpy(data, "server_name=");
	memset(data + 12, 'x', FHA_BACKUP_TEXT_SIZE);
	assert_int_equal(fha_backup_info_parse(data, strlen(data), &info, &err), FHA_PROTOCOL);
	memset(data, 0, FHA_BACKUP_INFO_MAX);
	(void) strcpy(data, "backup_label='");
	memset(data + 14, 'x', FHA_BACKUP_LABEL_MAX + 1);
	(void) strcpy(data + strlen(data), "'");
	assert_int_equal(fha_backup_info_parse(data, strlen(data), &info, &err), FHA_PROTOCOL);
	assert_null(info.backup_label);
	used = (size_t) sprintf(data, "tablespaces=[");
	for (int i = 0; i <= FHA_TABLESPACES_MAX; i++)
		used += (size_t) sprintf(data + used, "('t', %d, '/t'),", i + 1);
	(void) strcpy(data + used, "]");
	assert_int_equal(fha_backup_info_parse(data, strlen(data), &info, &err), FHA_PROTOCOL);
	assert_null(info.tablespaces);
	/* An error is for people: it is cut, between two characters. */
	memset(data, 0, FHA_BACKUP_INFO_MAX);
	(void) strcpy(data, "error=");
	for (int i = 0; i < 200; i++)
		(void) strcpy(data + 6 + 2 * (size_t) i, "\xc3\xa9");
	assert_int_equal(fha_backup_info_parse(data, strlen(data), &info, &err), FHA_OK);
	assert_int_equal(strlen(info.error), FHA_BACKUP_TEXT_SIZE - 1);
	assert_int_equal(info.error[FHA_BACKUP_TEXT_SIZE - 2], '?');
	free(data);
}

static void
it_is_written_as_barman_3_4_reads_it(void **state)
{
	FhaBackupInfo info = example();
	FhaTablespace spaces[2] = {{16411, "a b", "/srv/it's"}, {16412, "t\\2", "/srv/\"it's\""}};
	char label[] = "START WAL LOCATION: 16/B3000028\nLABEL:\tx\r\x01\n";
	char *text;
	FhaError err;

	(void) state;
	info.backup_label = label;
	info.tablespaces = spaces;
	info.tablespace_count = 2;
	(void) strcpy(info.key_id, "0123456789abcdef");
	(void) strcpy(info.member, "n1");
	(void) strcpy(info.parent_id, "20261121T063851");
	assert_int_equal(fha_backup_info_print(&info, &text, &err), FHA_OK);
	assert_string_equal(
		text, "# fawkes_ha.key_id=0123456789abcdef\n"
			  "# fawkes_ha.member=n1\n"
			  "# fawkes_ha.parent_backup_id=20261121T063851\n"
			  "backup_label='START WAL LOCATION: 16/B3000028\\nLABEL:\\tx\\r\\x01\\n'\n"
			  "begin_offset=40\n"
			  "begin_time=2026-11-22 06:38:51.123456+00:00\n"
			  "begin_wal=0000000300000016000000B3\n"
			  "begin_xlog=16/B3000028\n"
			  "compression=None\n"
			  "config_file=None\n"
			  "copy_stats=None\n"
			  "deduplicated_size=None\n"
			  "end_offset=0\n"
			  "end_time=2026-11-22 06:39:53+00:00\n"
			  "end_wal=0000000300000016000000B3\n"
			  "end_xlog=16/B4000000\n"
			  "error=None\n"
			  "hba_file=None\n"
			  "ident_file=None\n"
			  "included_files=None\n"
			  "mode=concurrent\n"
			  "pgdata=/var/lib/postgresql/15/main\n"
			  "server_name=cloud\n"
			  "size=1127428915\n"
			  "status=DONE\n"
			  "systemid=7445301234567890123\n"
			  "tablespaces=[('a b', 16411, \"/srv/it's\"), ('t\\\\2', 16412, '/srv/\"it\\'s\"')]\n"
			  "timeline=3\n"
			  "version=150014\n"
			  "xlog_segment_size=16777216\n");
	info = parsed(text);
	assert_string_equal(info.backup_label, label);
	assert_string_equal(info.tablespaces[1].location, spaces[1].location);
	assert_string_equal(info.key_id, "0123456789abcdef");
	assert_string_equal(info.parent_id, "20261121T063851");
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_OK);
	free(text);
	fha_backup_info_free(&info);
}

static void
what_has_just_begun_is_mostly_none(void **state)
{
	FhaBackupInfo info = {.status = FHA_BACKUP_STARTED,
						  .segment_size = FHA_DEFAULT_SEGMENT_SIZE,
						  .backup_name = "before the upgrade",
						  .backup_label = (char[]){""}};
	char *text;
	FhaError err;

	(void) state;
	assert_int_equal(fha_backup_info_print(&info, &text, &err), FHA_OK);
	assert_non_null(strstr(text,
						   "backup_label=None\nbackup_name=before the upgrade\nbegin_offset=None\n"
						   "begin_time=None\nbegin_wal=None\nbegin_xlog=None\n"));
	assert_non_null(strstr(
		text, "status=STARTED\nsystemid=None\ntablespaces=None\ntimeline=None\nversion=None\n"));
	free(text);
}

static void
what_would_be_read_otherwise_is_not_written(void **state)
{
	static const char *const texts[] = {"a\nb", "a\rb", " a", "a ", "\ta", "None", "a\xff"};
	char *out;
	FhaError err;
	FhaBackupInfo info;

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		info = example();
		(void) strcpy(info.pgdata, texts[i]);
		assert_int_equal(fha_backup_info_print(&info, &out, &err), FHA_INVALID);
		assert_null(out);
		assert_string_equal(
			err.text, "pgdata cannot stand in backup.info: it is not UTF-8, has a line break, has "
					  "blanks around it or is None");
	}
	info = example();
	(void) strcpy(info.member, "a\nstatus=DONE");
	assert_int_equal(fha_backup_info_print(&info, &out, &err), FHA_INVALID);
	info = example();
	info.segment_size = 0;
	assert_int_equal(fha_backup_info_print(&info, &out, &err), FHA_INVALID);
	info = example();
	info.status = FHA_BACKUP_OTHER;
	assert_int_equal(fha_backup_info_print(&info, &out, &err), FHA_INVALID);
	info = example();
	info.is_snapshot = true;
	assert_int_equal(fha_backup_info_print(&info, &out, &err), FHA_INVALID);
	info = example();
	info.backup_label = (char[]){"\xff"};
	assert_int_equal(fha_backup_info_print(&info, &out, &err), FHA_INVALID);
	info = example();
	info.tablespaces = &(FhaTablespace){1, "t", "/\xff"};
	info.tablespace_count = 1;
	assert_int_equal(fha_backup_info_print(&info, &out, &err), FHA_INVALID);
	assert_string_equal(err.text, "the tablespace 1 has a name or a path that is not UTF-8");
}

static void
a_backup_that_is_done_says_all(void **state)
{
	FhaBackupInfo info = example();
	FhaError err;

	(void) state;
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_OK);
	/* As pg_walfile_name_offset says it before 17, and since. */
	fha_backup_info_set_end(&info, UINT64_C(0x16B4000000));
	assert_string_equal(info.end_wal, "0000000300000016000000B3");
	(void) strcpy(info.end_wal, "0000000300000016000000B4");
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_OK);
	(void) strcpy(info.end_wal, "0000000300000016000000B5");
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_PROTOCOL);
	assert_string_equal(err.text, "end_wal is not where end_xlog and timeline say");
	(void) strcpy(info.end_wal, "0000000200000016000000B4");
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_PROTOCOL);
	info = example();
	(void) strcpy(info.begin_wal, "x");
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_PROTOCOL);
	assert_string_equal(err.text, "begin_wal is not where begin_xlog and timeline say");
	info = example();
	info.end_lsn = info.begin_lsn;
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_PROTOCOL);
	assert_string_equal(err.text, "it ends before it begins");
	info = example();
	info.end_time_us = info.begin_time_us - 1;
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_PROTOCOL);
	info = example();
	info.segment_size = 3 * FHA_DEFAULT_SEGMENT_SIZE;
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_PROTOCOL);
	assert_string_equal(err.text,
						"xlog_segment_size is 50331648, and no power of two from 1 MiB to 1 GiB");
	info = example();
	info.timeline = 0;
	assert_int_equal(fha_backup_info_check(&info, &err), FHA_PROTOCOL);
	assert_string_equal(err.text,
						"it does not say its timeline, and where and when it began and ended");
	fha_backup_info_set_end(&info, 0);
	assert_string_equal(info.end_wal, "000000000000000000000000");
}

static void
times_are_read_with_their_offset(void **state)
{
	static const struct
	{
		const char *text;
		int64_t us;
	} good[] = {
		{"2026-11-22 06:38:51.123456+00:00", BEGIN_US},
		{"2026-11-22T06:38:51.123456Z", BEGIN_US},
		{"2026-11-22 06:38:51.123456789 +0000", BEGIN_US},
		{"2026-11-22 08:08:51.123456+0130", BEGIN_US},
		{"2026-11-21 22:38:51.123456-08", BEGIN_US},
		{"2026-11-22 06:38:51.123456", BEGIN_US},
		{"2026-11-22 06:38:51,5", INT64_C(1795329531500000)},
		{"2026-11-22 06:38", INT64_C(1795329480000000)},
		{"1969-12-31 23:59:59.5+00:00", -500000},
	};
	static const char *const bad[] = {
		"",
		"2026",
		"2026-11-22",
		"2026-11-22x06:38:51",
		"2026-13-22 06:38:51",
		"2026-11-22 06:38:60",
		"2026-11-22 06:38:51.",
		"2026-11-22 06:38:5",
		"2026-11-22 06:38:51+",
		"2026-11-22 06:38:51+1",
		"2026-11-22 06:38:51+01:",
		"2026-11-22 06:38:51+01:60",
		"2026-11-22 06:38:51+25",
		"2026-11-22 06:38:51 UTC",
		"2026-11-22 06:38:51+01:00x",
	};
	char text[FHA_BACKUP_TIME_SIZE];
	int64_t us;

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		if (!fha_backup_time_parse(good[i].text, &us) || us != good[i].us)
			fail_msg("%s is %lld", good[i].text, (long long) us);
		fha_backup_time_print(us, text);
		assert_true(fha_backup_time_parse(text, &us) && us == good[i].us);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (fha_backup_time_parse(bad[i], &us))
			fail_msg("\"%s\" is taken for a time", bad[i]);
	fha_backup_time_print(-500000, text);
	assert_string_equal(text, "1969-12-31 23:59:59.500000+00:00");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(barmans_file_is_read),
		cmocka_unit_test(the_newest_generation_is_read),
		cmocka_unit_test(blanks_comments_and_repetitions_are_as_in_python),
		cmocka_unit_test(pythons_escapes_are_read),
		cmocka_unit_test(an_error_names_line_and_key),
		cmocka_unit_test(what_is_too_large_is_refused),
		cmocka_unit_test(it_is_written_as_barman_3_4_reads_it),
		cmocka_unit_test(what_has_just_begun_is_mostly_none),
		cmocka_unit_test(what_would_be_read_otherwise_is_not_written),
		cmocka_unit_test(a_backup_that_is_done_says_all),
		cmocka_unit_test(times_are_read_with_their_offset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
