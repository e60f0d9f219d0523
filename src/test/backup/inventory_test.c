/*
 * inventory_test.c: a store is read into the catalogue that its objects make, whatever fails meanwhile.
 *
 * The store is one in memory, in played time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/compress.h"
#include "backup/inventory.h"
#include "base/clock.h"
#include "test/backup/archive.h"
#include "test/backup/streams.h"
#include "test/store/memory_store.c"
#include "test/store/played.h"

#define A "20261101T000000"
#define B "20261102T000000"
#define LETTERS "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="

static FhaStore *store;
static Archive archive;
static FhaSealKeys keys;
static FhaError err;

static int
start(void **state)
{
	(void) state;
	memory_clear();
	memory_script_count = memory_script_at = memory_tried = 0;
	store = memory_open();
	err.text[0] = '\0';
	return fha_seal_keys_parse(&keys, LETTERS "\n", &err) == FHA_OK ? 0 : -1;
}

static int
finish(void **state)
{
	(void) state;
	fha_store_close(store);
	archive_free(&archive);
	memory_clear();
	return 0;
}

/* Through one stream or two. */
static Bytes
packed(const char *text, bool sealed, const char *key)
{
	FhaStream *links[2];
	FhaStream *both;
	Bytes out = {0};

	assert_int_equal(fha_compress_open(&links[0], FHA_COMPRESSION_GZIP, 0, 0, &err), FHA_OK);
	if (sealed)
		assert_int_equal(fha_seal_open(&links[1], &keys.keys[0], key, &err), FHA_OK);
	assert_int_equal(fha_chain_open(&both, links, sealed ? 2 : 1, &err), FHA_OK);
	assert_int_equal(stream_pass(both, text, strlen(text), 1000, NULL, &out, &err), FHA_OK);
	return out;
}

static void
put_packed(const char *key, const char *text, bool sealed)
{
	Bytes bytes = packed(text, sealed, key);

	memory_store(key, bytes.data, bytes.size);
	bytes_free(&bytes);
}

/* The archive's objects, histories compressed. */
static void
put_archive(void)
{
	for (size_t i = 0; i < archive.count; i++)
	{
		const Object *object = &archive.objects[i];

		if (strstr(object->key, ".history.gz") != NULL)
			put_packed(object->key, object->data, false);
		else
			memory_store(object->key, object->data == NULL ? "x" : object->data,
						 object->data == NULL ? 1 : strlen(object->data));
	}
}

/* Two backups, of two timelines, and all their WAL. */
static void
put_two_backups(void)
{
	FhaBackupInfo info = archive_info(1, 3, 4, 2);

	archive_backup(&archive, A, &info);
	info = archive_info(2, 8, 8, 1);
	archive_backup(&archive, B, &info);
	archive_add(&archive, "base/" A "/annotations/keep", "standalone");
	archive_segments(&archive, 1, 1, 6);
	archive_segments(&archive, 2, 6, 9);
	archive_history(&archive, 2, "1\t0/6000100\tx\n");
	put_archive();
}

static FhaCode
read_it(FhaCatalogue **out)
{
	return fha_inventory_read(out, store, SERVER, &keys, NOW_S, played_now_ms + 60000, &err);
}

static FhaCatalogue *
inventory(void)
{
	FhaCatalogue *catalogue;

	if (read_it(&catalogue) != FHA_OK)
		fail_msg("%s", err.text);
	return catalogue;
}

static void
assert_both_usable(FhaCatalogue *catalogue)
{
	FhaRecovery recovery;

	assert_int_equal(fha_catalogue_count(catalogue), 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(fha_catalogue_backup(catalogue, i)->state, FHA_BACKUP_USABLE);
	assert_int_equal(fha_catalogue_backup(catalogue, 0)->keep, FHA_KEEP_STANDALONE);
	assert_true(
		fha_catalogue_recovery(catalogue, fha_catalogue_backup(catalogue, 0), 0, &recovery));
	assert_int_equal(recovery.timeline, 2);
	assert_true(recovery.to_lsn == 10 * SEGMENT);
	fha_catalogue_free(catalogue);
}

static void
infos_keeps_and_histories_are_read(void **state)
{
	(void) state;
	put_two_backups();
	assert_both_usable(inventory());
}

static void
an_empty_store_has_nothing(void **state)
{
	FhaCatalogue *catalogue = inventory();

	(void) state;
	assert_int_equal(fha_catalogue_count(catalogue), 0);
	fha_catalogue_free(catalogue);
}

static void
a_keep_behind_a_second_slash_counts(void **state)
{
	FhaBackupInfo info = archive_info(1, 3, 4, 2);
	FhaCatalogue *catalogue;

	(void) state;
	archive_backup(&archive, A, &info);
	archive_segments(&archive, 1, 3, 4);
	put_archive();
	memory_store("/" SERVER "/base/" A "/annotations/keep", "full", 4);
	catalogue = inventory();
	assert_int_equal(fha_catalogue_backup(catalogue, 0)->keep, FHA_KEEP_FULL);
	fha_catalogue_free(catalogue);
}

/* More than a page of segments. */
static void
all_pages_are_read(void **state)
{
	FhaBackupInfo info = archive_info(1, 3, 2500, 2);
	FhaCatalogue *catalogue;

	(void) state;
	archive_backup(&archive, A, &info);
	archive_segments(&archive, 1, 3, 2500);
	put_archive();
	catalogue = inventory();
	assert_int_equal(fha_catalogue_timeline(catalogue, 0).segment_count, 2498);
	assert_int_equal(fha_catalogue_backup(catalogue, 0)->state, FHA_BACKUP_USABLE);
	fha_catalogue_free(catalogue);
}

static void
a_sealed_history_wants_its_key(void **state)
{
	FhaCatalogue *catalogue;

	(void) state;
	archive_segments(&archive, 2, 6, 9);
	put_archive();
	put_packed(SERVER "/wals/00000002.history.gz.tink", "1\t0/6000100\tx\n", true);
	catalogue = inventory();
	assert_true(fha_catalogue_timeline(catalogue, 0).has_history);
	fha_catalogue_free(catalogue);
	assert_int_equal(
		fha_inventory_read(&catalogue, store, SERVER, NULL, NOW_S, played_now_ms + 60000, &err),
		FHA_OK);
	assert_false(fha_catalogue_timeline(catalogue, 0).has_history);
	fha_catalogue_free(catalogue);
}

static void
what_cannot_be_understood_makes_its_part_unknown(void **state)
{
	FhaBackupInfo info = archive_info(1, 3, 4, 2);
	FhaCatalogue *catalogue;
	char *large;

	(void) state;
	archive_backup(&archive, A, &info);
	archive_backup(&archive, B, &info);
	archive_segments(&archive, 1, 3, 4);
	put_archive();
	memory_store(SERVER "/wals/00000002.history.gz", "no gzip", 7);
	large = calloc(1, FHA_BACKUP_INFO_MAX + 1);
	assert_non_null(large);
	memory_store(SERVER "/base/" B "/backup.info", large, FHA_BACKUP_INFO_MAX + 1);
	free(large);
	catalogue = inventory();
	assert_int_equal(fha_catalogue_backup(catalogue, 0)->state, FHA_BACKUP_USABLE);
	assert_int_equal(fha_catalogue_backup(catalogue, 1)->state, FHA_BACKUP_FOREIGN);
	assert_false(fha_catalogue_timeline(catalogue, 1).has_history);
	fha_catalogue_free(catalogue);
}

/* A bomb: a megabyte and more of what packs well. */
static void
a_history_that_unpacks_to_too_much_is_none(void **state)
{
	size_t size = FHA_HISTORY_MAX + 1000;
	char *text = malloc(size + 1);
	FhaCatalogue *catalogue;

	(void) state;
	assert_non_null(text);
	memset(text, '#', size);
	memcpy(text, "1\t0/6000100\tx\n", 14);
	text[size] = '\0';
	put_packed(SERVER "/wals/00000002.history.gz", text, false);
	free(text);
	catalogue = inventory();
	assert_false(fha_catalogue_timeline(catalogue, 0).has_history);
	fha_catalogue_free(catalogue);
}

/* Each try of each call, in turn: what can be tried again is. */
static void
a_store_that_fails_now_and_then_is_read(void **state)
{
	(void) state;
	put_two_backups();
	for (size_t i = 0; i < 12; i++)
	{
		memory_script_at = 0;
		memory_script_count = i + 1;
		memset(memory_script, 0, sizeof(memory_script));
		memory_script[i].code = FHA_IO;
		assert_both_usable(inventory());
	}
}

static void
a_body_that_was_cut_goes_on(void **state)
{
	(void) state;
	put_two_backups();
	memory_cut_body(5);
	assert_both_usable(inventory());
}

static void
a_store_that_refuses_is_no_empty_one(void **state)
{
	FhaCatalogue *catalogue;

	(void) state;
	put_two_backups();
	for (size_t i = 0; i < 7; i++)
	{
		memory_script_at = 0;
		memory_script_count = i + 1;
		memset(memory_script, 0, sizeof(memory_script));
		memory_script[i].code = FHA_DENIED;
		assert_int_equal(read_it(&catalogue), FHA_DENIED);
		assert_non_null(strstr(err.text, "as the script says"));
	}
}

/* Another one deletes A while it is read: its backup.info, which is asked for behind three listings and its keep, is gone. */
static void
what_vanishes_counts_as_not_there(void **state)
{
	FhaCatalogue *catalogue;

	(void) state;
	put_two_backups();
	memset(memory_script, 0, sizeof(memory_script));
	memory_script_count = 5;
	memory_script[4].code = FHA_NOT_FOUND;
	catalogue = inventory();
	assert_int_not_equal(fha_catalogue_find(catalogue, A)->state, FHA_BACKUP_USABLE);
	assert_int_equal(fha_catalogue_find(catalogue, B)->state, FHA_BACKUP_USABLE);
	fha_catalogue_free(catalogue);
}

static void
a_store_that_is_silent_is_given_up_at_the_deadline(void **state)
{
	FhaCatalogue *catalogue;

	(void) state;
	put_two_backups();
	memory_hang();
	assert_int_equal(read_it(&catalogue), FHA_TIMEOUT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(infos_keeps_and_histories_are_read, start, finish),
		cmocka_unit_test_setup_teardown(an_empty_store_has_nothing, start, finish),
		cmocka_unit_test_setup_teardown(a_keep_behind_a_second_slash_counts, start, finish),
		cmocka_unit_test_setup_teardown(all_pages_are_read, start, finish),
		cmocka_unit_test_setup_teardown(a_sealed_history_wants_its_key, start, finish),
		cmocka_unit_test_setup_teardown(what_cannot_be_understood_makes_its_part_unknown, start,
										finish),
		cmocka_unit_test_setup_teardown(a_history_that_unpacks_to_too_much_is_none, start, finish),
		cmocka_unit_test_setup_teardown(a_store_that_fails_now_and_then_is_read, start, finish),
		cmocka_unit_test_setup_teardown(a_body_that_was_cut_goes_on, start, finish),
		cmocka_unit_test_setup_teardown(a_store_that_refuses_is_no_empty_one, start, finish),
		cmocka_unit_test_setup_teardown(what_vanishes_counts_as_not_there, start, finish),
		cmocka_unit_test_setup_teardown(a_store_that_is_silent_is_given_up_at_the_deadline, start,
										finish),
	};

	return cmocka_run_group_tests_name("inventory", tests, NULL, NULL);
}
