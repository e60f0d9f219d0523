/*
 * extract_test.c: an archive out of a store becomes files of a new directory, and nothing else becomes anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backup/compress.h"
#include "backup/extract.h"
#include "base/clock.h"
#include "base/file.h"
#include "test/backup/tar_entries.h"
#include "test/store/memory_store.c"

#define KEY "db-x/base/20261122T063851/data.tar.gz"
#define LETTERS "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
#define NUMBERS "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static FhaStore *store;
static FhaExtract *extract;
static FhaExtractSettings settings;
static FhaObjectName name;
static FhaError err;
static char top[] = "/tmp/extract-test-XXXXXX";
static char directory[64];

static int
setup(void **state)
{
	(void) state;
	memory_clear();
	strcpy(top, "/tmp/extract-test-XXXXXX");
	assert_non_null(mkdtemp(top));
	(void) snprintf(directory, sizeof(directory), "%s/data", top);
	assert_int_equal(mkdir(directory, 0700), 0);
	store = memory_open();
	name = (FhaObjectName){.kind = FHA_OBJECT_DATA, .compression = FHA_COMPRESSION_GZIP};
	settings = (FhaExtractSettings){
		.key = KEY, .name = &name, .directory = directory, .patience_ms = 1000};
	err.text[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	char command[100];

	(void) state;
	fha_extract_close(extract);
	extract = NULL;
	fha_store_close(store);
	memory_clear();
	(void) snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

/* Compressed, and sealed if there are keys, into the store; without its last `cut` bytes. */
static void
put(Bytes *tar, const char *keys_text, size_t cut)
{
	FhaStream *links[2];
	FhaStream *stream;
	Bytes bytes = {.data = NULL};
	size_t count = 1;

	assert_int_equal(fha_compress_open(&links[0], FHA_COMPRESSION_GZIP, 0, 0, &err), FHA_OK);
	if (keys_text != NULL)
	{
		FhaSealKeys keys;

		assert_int_equal(fha_seal_keys_parse(&keys, keys_text, &err), FHA_OK);
		assert_int_equal(fha_seal_open(&links[1], &keys.keys[0], KEY, &err), FHA_OK);
		count = 2;
	}
	assert_int_equal(fha_chain_open(&stream, links, count, &err), FHA_OK);
	assert_int_equal(stream_pass(stream, tar->data, tar->size, 65536, NULL, &bytes, &err), FHA_OK);
	memory_store(KEY, bytes.data, bytes.size - cut);
	bytes_free(&bytes);
	bytes_free(tar);
}

static FhaCode
extracted(void)
{
	FhaCode code;

	fha_extract_close(extract);
	code = fha_extract_open(&extract, store, &settings, &err);
	while (code == FHA_OK && (code = fha_extract_step(extract, &err)) == FHA_AGAIN)
	{
		struct pollfd readable = {.fd = fha_extract_fd(extract), .events = POLLIN};

		(void) poll(&readable, 1, fha_extract_wake_at_ms(extract) == 0 ? 0 : 10);
		code = FHA_OK;
	}
	return code;
}

static void
assert_fails(FhaCode code, const char *words)
{
	assert_int_equal(extracted(), code);
	if (strstr(err.text, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, err.text);
}

static bool
is_there(const char *path)
{
	char whole[200];
	struct stat seen;

	(void) snprintf(whole, sizeof(whole), "%s/%s", directory, path);
	return lstat(whole, &seen) == 0;
}

static void
assert_file_is(const char *path, const char *content)
{
	char whole[200];
	char *text;

	(void) snprintf(whole, sizeof(whole), "%s/%s", directory, path);
	assert_int_equal(fha_file_read(whole, 1000, &text, NULL), FHA_OK);
	assert_string_equal(text, content);
	free(text);
}

/* As BASE_BACKUP's, with all that may be in one. */
static Bytes
whole_archive(void)
{
	Bytes tar = {.data = NULL};

	add_entry(&tar, "base/", '5', "", "");
	add_file(&tar, "base/1/1259", "a table");
	add_file(&tar, "PG_VERSION", "15\n");
	add_entry(&tar, "pg_wal/", '5', "", "");
	add_file(&tar, "standby.signal", "");
	add_file(&tar, "postgresql.conf", "data_directory = '/live'");
	add_file(&tar, "recovery.signal", "");
	add_file(&tar, "tablespace_map", "16411 /live\n");
	add_file(&tar, "postmaster.pid", "1\n");
	add_entry(&tar, "pg_tblspc/16411", '2', "", "/live");
	add_file(&tar, "global/1262", "");
	add_file(&tar, "global/pg_control", "control");
	add_file(&tar, "backup_label", "label");
	add_end(&tar);
	return tar;
}

static void
files_are_made_and_what_would_start_them_is_not(void **state)
{
	Bytes tar = whole_archive();

	(void) state;
	put(&tar, NULL, 0);
	memory_cut_body(100);
	if (extracted() != FHA_OK)
		fail_msg("%s", err.text);
	assert_file_is("base/1/1259", "a table");
	assert_file_is("PG_VERSION", "15\n");
	assert_true(is_there("pg_wal") && is_there("global/1262"));
	assert_false(is_there("standby.signal") || is_there("recovery.signal"));
	assert_false(is_there("tablespace_map") || is_there("postmaster.pid"));
	assert_false(is_there("pg_tblspc/16411") || is_there("postgresql.conf"));
	assert_false(is_there("global/pg_control") || is_there("backup_label"));
	assert_string_equal(fha_extract_control(extract).data, "control");
	assert_int_equal(fha_extract_control(extract).size, 7);
	assert_string_equal(fha_extract_label(extract).data, "label");
	assert_string_equal(fha_extract_conf(extract).data, "data_directory = '/live'");
	assert_int_equal(fha_extract_written(extract), 10);
	assert_true(fha_extract_stored(extract) > 100);
	assert_int_equal(fha_extract_step(extract, &err), FHA_OK);
}

static void
nothing_is_replaced_and_no_link_is_made(void **state)
{
	Bytes tar = {.data = NULL};
	char path[100];

	(void) state;
	(void) snprintf(path, sizeof(path), "%s/PG_VERSION", directory);
	assert_int_equal(fha_file_replace(path, "live", 4, NULL), FHA_OK);
	tar = whole_archive();
	put(&tar, NULL, 0);
	assert_fails(FHA_INVALID, "could not create \"PG_VERSION\"");
	assert_file_is("PG_VERSION", "live");

	add_entry(&tar, "pg_wal", '2', "", "/tmp");
	add_end(&tar);
	put(&tar, NULL, 0);
	assert_fails(FHA_INVALID, "the archive has a link");
	assert_false(is_there("pg_wal"));

	add_file(&tar, "../outside", "x");
	add_end(&tar);
	put(&tar, NULL, 0);
	assert_fails(FHA_INVALID, "");
	assert_false(is_there("../outside"));

	/* A directory that another put in the way leads nowhere, either. */
	(void) snprintf(path, sizeof(path), "%s/global", directory);
	assert_int_equal(symlink("/nowhere", path), 0);
	add_file(&tar, "global/1262", "x");
	add_end(&tar);
	put(&tar, NULL, 0);
	assert_fails(FHA_IO, "could not create \"global/1262\"");
}

static void
half_an_archive_is_told(void **state)
{
	Bytes tar = whole_archive();

	(void) state;
	put(&tar, NULL, 3);
	assert_fails(FHA_INVALID, "");
	teardown(NULL);
	setup(NULL);
	/* The archive, and not its compression, is cut. */
	tar = whole_archive();
	tar.size -= 1024 + 512;
	put(&tar, NULL, 0);
	assert_fails(FHA_INVALID, "");
	teardown(NULL);
	setup(NULL);
	assert_fails(FHA_NOT_FOUND, "");
	memory_hang();
	assert_fails(FHA_TIMEOUT, "");
	memory_release();
	memory_lose_answer(); /* which is a matter of writes alone */
	settings.directory = "/nowhere";
	assert_fails(FHA_IO, "could not open");
	fha_extract_close(NULL);
}

static void
what_is_sealed_wants_its_key(void **state)
{
	Bytes tar = whole_archive();
	FhaSealKeys keys;

	(void) state;
	put(&tar, LETTERS, 0);
	name.encrypted = true;
	assert_fails(FHA_DENIED, "");
	assert_int_equal(fha_seal_keys_parse(&keys, NUMBERS, NULL), FHA_OK);
	settings.keys = &keys;
	assert_fails(FHA_DENIED, "no key opens");
	assert_false(is_there("base"));
	assert_int_equal(fha_seal_keys_parse(&keys, NUMBERS "\n" LETTERS, NULL), FHA_OK);
	assert_int_equal(extracted(), FHA_OK);
	assert_file_is("PG_VERSION", "15\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_are_made_and_what_would_start_them_is_not, setup,
										teardown),
		cmocka_unit_test_setup_teardown(nothing_is_replaced_and_no_link_is_made, setup, teardown),
		cmocka_unit_test_setup_teardown(half_an_archive_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_sealed_wants_its_key, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
