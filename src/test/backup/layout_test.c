/*
 * layout_test.c: what the objects of backups are called, and what is taken for one.
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

#include "backup/layout.h"

#define ID "20261122T063851"
#define BASE "db-x/base/" ID "/"
#define FOLDER "db-x/wals/0000000100000000/"
#define SEGMENT "000000010000000000000037"

static const struct
{
	const char *key;
	FhaObjectName name;
} known[] = {
	{BASE "backup.info", {.kind = FHA_OBJECT_BACKUP_INFO, .backup_id = ID}},
	{BASE "backup_manifest", {.kind = FHA_OBJECT_MANIFEST, .backup_id = ID}},
	{BASE "backup_manifest.gz",
	 {.kind = FHA_OBJECT_MANIFEST, .backup_id = ID, .compression = FHA_COMPRESSION_GZIP}},
	{BASE "annotations/keep", {.kind = FHA_OBJECT_KEEP, .backup_id = ID}},
	{BASE "data.tar", {.kind = FHA_OBJECT_DATA, .backup_id = ID}},
	{BASE "data.tar.gz",
	 {.kind = FHA_OBJECT_DATA, .backup_id = ID, .compression = FHA_COMPRESSION_GZIP}},
	{BASE "data.tar.bz2",
	 {.kind = FHA_OBJECT_DATA, .backup_id = ID, .compression = FHA_COMPRESSION_BZIP2}},
	{BASE "data.tar.snappy",
	 {.kind = FHA_OBJECT_DATA, .backup_id = ID, .compression = FHA_COMPRESSION_SNAPPY}},
	{BASE "data_0001.tar.lz4",
	 {.kind = FHA_OBJECT_DATA, .backup_id = ID, .part = 1, .compression = FHA_COMPRESSION_LZ4}},
	{BASE "data_12345.tar.zst.tink",
	 {.kind = FHA_OBJECT_DATA,
	  .backup_id = ID,
	  .part = 12345,
	  .compression = FHA_COMPRESSION_ZSTD,
	  .encrypted = true}},
	{BASE "16411.tar.gz",
	 {.kind = FHA_OBJECT_TABLESPACE,
	  .backup_id = ID,
	  .oid = 16411,
	  .compression = FHA_COMPRESSION_GZIP}},
	{BASE "4294967295_0020.tar",
	 {.kind = FHA_OBJECT_TABLESPACE, .backup_id = ID, .oid = UINT32_MAX, .part = 20}},
	{FOLDER SEGMENT, {.kind = FHA_OBJECT_WAL, .wal = {FHA_WAL_SEGMENT, 1, 0, 0x37, 0}}},
	{FOLDER SEGMENT ".gz",
	 {.kind = FHA_OBJECT_WAL,
	  .wal = {FHA_WAL_SEGMENT, 1, 0, 0x37, 0},
	  .compression = FHA_COMPRESSION_GZIP}},
	{FOLDER SEGMENT ".xz.tink",
	 {.kind = FHA_OBJECT_WAL,
	  .wal = {FHA_WAL_SEGMENT, 1, 0, 0x37, 0},
	  .compression = FHA_COMPRESSION_XZ,
	  .encrypted = true}},
	{FOLDER SEGMENT ".partial.lz4",
	 {.kind = FHA_OBJECT_WAL,
	  .wal = {FHA_WAL_PARTIAL, 1, 0, 0x37, 0},
	  .compression = FHA_COMPRESSION_LZ4}},
	{FOLDER SEGMENT ".00000028.backup.gz",
	 {.kind = FHA_OBJECT_WAL,
	  .wal = {FHA_WAL_LABEL, 1, 0, 0x37, 0x28},
	  .compression = FHA_COMPRESSION_GZIP}},
	{"db-x/wals/FEDCBA9876543210/FEDCBA987654321000000001.zst",
	 {.kind = FHA_OBJECT_WAL,
	  .wal = {FHA_WAL_SEGMENT, 0xFEDCBA98, 0x76543210, 1, 0},
	  .compression = FHA_COMPRESSION_ZSTD}},
	{"db-x/wals/00000002.history.gz",
	 {.kind = FHA_OBJECT_WAL,
	  .wal = {FHA_WAL_HISTORY, 2, 0, 0, 0},
	  .compression = FHA_COMPRESSION_GZIP}},
	{"db-x/wals/00000002.history", {.kind = FHA_OBJECT_WAL, .wal = {FHA_WAL_HISTORY, 2, 0, 0, 0}}},
};

static void
assert_same(const FhaObjectName *a, const FhaObjectName *b)
{
	assert_int_equal(a->kind, b->kind);
	assert_string_equal(a->backup_id, b->backup_id);
	assert_int_equal(a->oid, b->oid);
	assert_int_equal(a->part, b->part);
	assert_int_equal(a->wal.kind, b->wal.kind);
	assert_int_equal(a->wal.timeline, b->wal.timeline);
	assert_int_equal(a->wal.log, b->wal.log);
	assert_int_equal(a->wal.segment, b->wal.segment);
	assert_int_equal(a->wal.offset, b->wal.offset);
	assert_int_equal(a->compression, b->compression);
	assert_int_equal(a->encrypted, b->encrypted);
}

static void
keys_are_barmans_both_ways(void **state)
{
	char key[FHA_OBJECT_KEY_SIZE];

	(void) state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		FhaObjectName name = fha_layout_parse("db-x", known[i].key);

		assert_same(&name, &known[i].name);
		fha_layout_key("db-x", &known[i].name, key);
		assert_string_equal(key, known[i].key);
	}
	fha_layout_base("db-x", key);
	assert_string_equal(key, "db-x/base/");
	fha_layout_wals("db-x", key);
	assert_string_equal(key, "db-x/wals/");
}

static void
slashes_count_once(void **state)
{
	const FhaObjectName keep = {.kind = FHA_OBJECT_KEEP, .backup_id = ID};
	static const char *const keys[] = {
		BASE "annotations/keep",
		"/" BASE "annotations/keep",
		"db-x//base/" ID "/annotations/keep",
		"//db-x//base//" ID "//annotations//keep",
	};
	char key[FHA_OBJECT_KEY_SIZE];
	FhaObjectName name;

	(void) state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		name = fha_layout_parse("db-x", keys[i]);
		assert_same(&name, &keep);
	}
	fha_layout_keep_with_slash("db-x", ID, key);
	assert_string_equal(key, "/" BASE "annotations/keep");
	name = fha_layout_parse("db-x", "db-x/wals//0000000100000000//" SEGMENT ".gz");
	assert_int_equal(name.kind, FHA_OBJECT_WAL);
}

/* A prefix of a segment's key is also one of its label's; barman-cloud 3.19.0 took the one for the other. */
static void
a_label_is_not_its_segment(void **state)
{
	FhaObjectName segment = fha_layout_parse("db-x", FOLDER SEGMENT ".gz");
	FhaObjectName label = fha_layout_parse("db-x", FOLDER SEGMENT ".00000028.backup.gz");
	FhaWalFile file;
	char name[FHA_WAL_FILE_SIZE];

	(void) state;
	assert_int_equal(segment.wal.kind, FHA_WAL_SEGMENT);
	assert_int_equal(label.wal.kind, FHA_WAL_LABEL);
	fha_wal_file_name(&label.wal, name);
	assert_string_equal(name, SEGMENT ".00000028.backup");
	assert_true(fha_wal_file_parse(name, &file));
	assert_int_equal(file.kind, FHA_WAL_LABEL);
}

static void
what_is_strange_is_nothing_of_ours(void **state)
{
	static const char *const others[] = {
		"",
		"/",
		"db-x",
		"db-x/",
		"db-x/base",
		"db-x/base/",
		"db-x/base/" ID,
		"db-x/base/20261322T063851/backup.info",
		"db-x/base/20261122T063851Z/backup.info",
		"db-x/base/../backup.info",
		"db-y/base/" ID "/backup.info",
		"db-x2/base/" ID "/backup.info",
		"x/db-x/base/" ID "/backup.info",
		"db-x/wals/",
		"db-x/wals/0000000100000000/",
		"db-x/wals/0000000100000000/.gz",
		"db-x/wals/" SEGMENT ".gz",
		"db-x/wals/0000000200000000/" SEGMENT ".gz",
		"db-x/wals/000000010000000/" SEGMENT ".gz",
		"db-x/wals/0000000100000000/00000002.history",
		FOLDER "x/" SEGMENT,
		FOLDER SEGMENT ".gz.gz",
		FOLDER SEGMENT ".tink.gz",
		FOLDER SEGMENT ".tmp",
		FOLDER SEGMENT ".backup",
		FOLDER SEGMENT ".0000028.backup",
		FOLDER SEGMENT ".00000028.backups",
		FOLDER SEGMENT "0",
		FOLDER "00000001000000000000003",
		FOLDER "00000001000000000000003a",
		"db-x/wals/0000000000000000/000000000000000000000037",
		"db-x/wals/00000000.history",
		"db-x/wals/.history",
		"db-x/other/" ID "/backup.info",
	};
	static const char *const within[] = {
		BASE,
		BASE "backup.info.gz",
		BASE "backup.info/x",
		BASE "backup_label",
		BASE "annotations",
		BASE "annotations/",
		BASE "annotations/delete",
		BASE "annotations/keep/x",
		BASE "data",
		BASE "data.tar.gz.part",
		BASE "data.tar.rar",
		BASE "data_1.tar",
		BASE "data_0000.tar",
		BASE "data_00001.tar",
		BASE "data_123456.tar",
		BASE "data_0001x.tar",
		BASE "data0001.tar",
		BASE "0.tar",
		BASE "016411.tar",
		BASE "4294967296.tar",
		BASE "99999999999.tar",
		BASE "-1.tar",
		BASE ".tink",
		BASE "x/data.tar",
	};

	(void) state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (fha_layout_parse("db-x", others[i]).kind != FHA_OBJECT_OTHER)
			fail_msg("%s is taken", others[i]);
	for (size_t i = 0; i < sizeof(within) / sizeof(within[0]); i++)
	{
		FhaObjectName name = fha_layout_parse("db-x", within[i]);

		if (name.kind != FHA_OBJECT_IN_BACKUP || strcmp(name.backup_id, ID) != 0)
			fail_msg("%s is kind %d", within[i], name.kind);
		assert_false(name.encrypted);
		assert_int_equal(name.part, 0);
	}
}

static void
a_key_is_never_too_long_to_be_read(void **state)
{
	/* Of its own size, so that a byte read behind it is noticed. */
	for (size_t size = 1; size < 2100; size += 7)
	{
		char *key = malloc(size + 1);

		assert_non_null(key);
		memset(key, 'A', size);
		memcpy(key, FOLDER, size < strlen(FOLDER) ? size : strlen(FOLDER));
		key[size] = '\0';
		assert_int_equal(fha_layout_parse("db-x", key).kind, FHA_OBJECT_OTHER);
		if (size > strlen(BASE))
		{
			memcpy(key, BASE, strlen(BASE));
			assert_int_equal(fha_layout_parse("db-x", key).kind,
							 size < FHA_OBJECT_KEY_SIZE ? FHA_OBJECT_IN_BACKUP : FHA_OBJECT_OTHER);
		}
		free(key);
	}
	(void) state;
}

static void
the_longest_key_fits(void **state)
{
	char server[FHA_SERVER_NAME_SIZE];
	char key[FHA_OBJECT_KEY_SIZE];
	FhaObjectName name = {.kind = FHA_OBJECT_WAL,
						  .wal = {FHA_WAL_LABEL, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX},
						  .compression = FHA_COMPRESSION_SNAPPY,
						  .encrypted = true};
	FhaObjectName back;

	(void) state;
	memset(server, 's', sizeof(server) - 1);
	server[sizeof(server) - 1] = '\0';
	assert_true(fha_server_name_is_valid(server));
	fha_layout_key(server, &name, key);
	back = fha_layout_parse(server, key);
	assert_same(&back, &name);
}

static void
names_of_servers_are_one_part_of_a_key(void **state)
{
	char server[FHA_SERVER_NAME_SIZE + 1];

	(void) state;
	memset(server, 's', sizeof(server) - 1);
	server[sizeof(server) - 1] = '\0';
	assert_true(fha_server_name_is_valid("db-demo-dev"));
	assert_true(fha_server_name_is_valid("a b\xc3\xa9..."));
	assert_false(fha_server_name_is_valid(""));
	assert_false(fha_server_name_is_valid("."));
	assert_false(fha_server_name_is_valid(".."));
	assert_false(fha_server_name_is_valid("a/b"));
	assert_false(fha_server_name_is_valid("a\nb"));
	assert_false(fha_server_name_is_valid("a\x7f"));
	assert_false(fha_server_name_is_valid(server));
}

static void
ids_are_seconds(void **state)
{
	static const char *const bad[] = {
		"",
		"20261122",
		"20261122T06385",
		"20261122T0638510",
		"20261122t063851",
		"20261122 063851",
		"20261131T063851",
		"20260229T000000",
		"00000101T000000",
		"20261122T240000",
		"2026112AT063851",
	};
	char id[FHA_BACKUP_ID_SIZE];
	int64_t started_s = 0;

	(void) state;
	fha_backup_id_print(INT64_C(1795329531), id);
	assert_string_equal(id, "20261122T063851");
	assert_true(fha_backup_id_parse(id, &started_s));
	assert_true(started_s == INT64_C(1795329531));
	fha_backup_id_print(INT64_MAX, id);
	assert_string_equal(id, "99991231T235959");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (fha_backup_id_parse(bad[i], &started_s))
			fail_msg("\"%s\" is taken for an id", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_barmans_both_ways),
		cmocka_unit_test(slashes_count_once),
		cmocka_unit_test(a_label_is_not_its_segment),
		cmocka_unit_test(what_is_strange_is_nothing_of_ours),
		cmocka_unit_test(a_key_is_never_too_long_to_be_read),
		cmocka_unit_test(the_longest_key_fits),
		cmocka_unit_test(names_of_servers_are_one_part_of_a_key),
		cmocka_unit_test(ids_are_seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
