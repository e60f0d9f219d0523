/*
 * prune_test.c: what a plan lets go is deleted, and nothing else, wherever the deletion ends.
 *
 * The store is one in memory, in played time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/inventory.h"
#include "backup/prune.h"
#include "base/clock.h"
#include "test/backup/archive.h"
#include "test/store/memory_store.c"
#include "test/store/played.h"

#define A "20261001T000000"
#define B "20261101T000000"
#define C "20261120T000000"
#define FIRST_SEGMENTS 1500 /* more than a page, all before B */

static const FhaRetentionPolicy newest_2 = {0, 2};

static FhaStore *store;
static FhaError err;

static void
script_clear(void)
{
	memset(memory_script, 0, sizeof(memory_script));
	memory_script_count = memory_script_at = memory_tried = 0;
}

/* Three backups; A, and the WAL before B, are what two backups do not need. */
static int
start(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 60);

	(void) state;
	memory_clear();
	script_clear();
	store = memory_open();
	archive_backup(&archive, A, &info);
	info = archive_info(1, FIRST_SEGMENTS, FIRST_SEGMENTS + 1, 30);
	archive_backup(&archive, B, &info);
	info = archive_info(1, FIRST_SEGMENTS + 4, FIRST_SEGMENTS + 5, 10);
	archive_backup(&archive, C, &info);
	archive_segments(&archive, 1, 1, FIRST_SEGMENTS + 9);
	for (size_t i = 0; i < archive.count; i++)
	{
		const char *data = archive.objects[i].data == NULL ? "x" : archive.objects[i].data;

		memory_store(archive.objects[i].key, data, strlen(data));
	}
	archive_free(&archive);
	return 0;
}

static int
finish(void **state)
{
	(void) state;
	fha_store_close(store);
	memory_clear();
	return 0;
}

static FhaCatalogue *
inventory(void)
{
	FhaCatalogue *catalogue;

	if (fha_inventory_read(&catalogue, store, SERVER, NULL, NOW_S, played_now_ms + 60000, &err) !=
		FHA_OK)
		fail_msg("%s", err.text);
	return catalogue;
}

static FhaCode
prune(bool dry_run, size_t fails_at, FhaPruned *pruned)
{
	FhaCatalogue *catalogue = inventory();
	FhaRetention *plan = fha_retention_plan(catalogue, &newest_2, NOW_S);
	FhaCode code;

	assert_non_null(plan);
	script_clear();
	if (fails_at > 0)
	{
		memory_script_count = fails_at;
		memory_script[fails_at - 1].code = FHA_DENIED;
	}
	code = fha_prune(store, SERVER, plan, dry_run, pruned, played_now_ms + 60000, &err);
	script_clear();
	fha_retention_free(plan);
	fha_catalogue_free(catalogue);
	return code;
}

/* B and C lead to the end of WAL. */
static void
assert_usable(const FhaCatalogue *catalogue)
{
	static const char *const ids[] = {B, C};
	FhaRecovery recovery;

	for (size_t i = 0; i < 2; i++)
	{
		assert_int_equal(fha_catalogue_find(catalogue, ids[i])->state, FHA_BACKUP_USABLE);
		assert_true(
			fha_catalogue_recovery(catalogue, fha_catalogue_find(catalogue, ids[i]), 0, &recovery));
		assert_true(recovery.to_lsn == (FIRST_SEGMENTS + 10) * SEGMENT);
		assert_false(recovery.has_gap);
	}
}

static void
assert_pruned(void)
{
	FhaCatalogue *catalogue = inventory();

	assert_usable(catalogue);
	assert_int_equal(fha_catalogue_count(catalogue), 2);
	assert_int_equal(fha_catalogue_timeline(catalogue, 0).segment_count, 10);
	fha_catalogue_free(catalogue);
}

static void
what_no_backup_needs_goes(void **state)
{
	FhaPruned pruned;

	(void) state;
	assert_int_equal(prune(false, 0, &pruned), FHA_OK);
	assert_int_equal(pruned.backup_objects, 2);
	assert_int_equal(pruned.wal_objects, FIRST_SEGMENTS - 1);
	assert_pruned();
	assert_int_equal(prune(false, 0, &pruned), FHA_OK);
	assert_int_equal(pruned.backup_objects + pruned.wal_objects, 0);
}

static void
a_dry_run_counts_and_deletes_nothing(void **state)
{
	FhaPruned pruned;
	FhaCatalogue *catalogue;

	(void) state;
	assert_int_equal(prune(true, 0, &pruned), FHA_OK);
	assert_int_equal(pruned.backup_objects, 2);
	assert_int_equal(pruned.wal_objects, FIRST_SEGMENTS - 1);
	assert_true(pruned.wal_bytes == FIRST_SEGMENTS - 1);
	catalogue = inventory();
	assert_int_equal(fha_catalogue_count(catalogue), 3);
	assert_int_equal(fha_catalogue_timeline(catalogue, 0).segment_count, FIRST_SEGMENTS + 9);
	fha_catalogue_free(catalogue);
}

/* It is ended before each of its calls, in turn: A's data, its backup.info, then two listings and what they name. */
static void
wherever_it_ends_the_rest_is_usable(void **state)
{
	FhaPruned pruned;

	for (size_t at = 1; at <= 6; at++)
	{
		FhaCatalogue *catalogue;
		const FhaBackup *first;

		assert_int_equal(prune(false, at, &pruned), FHA_DENIED);
		assert_non_null(strstr(err.text, "as the script says"));
		assert_int_equal(pruned.backup_objects, at <= 2 ? at - 1 : 2);
		catalogue = inventory();
		assert_usable(catalogue);
		first = fha_catalogue_find(catalogue, A);
		assert_true(at > 2 ? first == NULL : first->has_info);
		fha_catalogue_free(catalogue);
		assert_int_equal(prune(false, 0, &pruned), FHA_OK);
		assert_pruned();
		(void) finish(state);
		(void) start(state);
	}
}

static void
a_silent_store_is_given_up_at_the_deadline(void **state)
{
	FhaCatalogue *catalogue = inventory();
	FhaRetention *plan = fha_retention_plan(catalogue, &newest_2, NOW_S);
	FhaPruned pruned;

	(void) state;
	memory_hang();
	assert_int_not_equal(
		fha_prune(store, SERVER, plan, false, &pruned, played_now_ms + 60000, &err), FHA_OK);
	assert_int_equal(pruned.backup_objects, 0);
	fha_retention_free(plan);
	fha_catalogue_free(catalogue);
}

static void
assert_keep(FhaKeep keep)
{
	FhaCatalogue *catalogue = inventory();

	assert_int_equal(fha_catalogue_find(catalogue, A)->keep, keep);
	fha_catalogue_free(catalogue);
}

static void
set_keep(FhaKeep keep)
{
	assert_int_equal(fha_backup_set_keep(store, SERVER, A, keep, played_now_ms + 60000, &err),
					 FHA_OK);
	assert_keep(keep);
}

static void
a_keep_holds_a_backup_until_it_is_taken_away(void **state)
{
	FhaPruned pruned;

	(void) state;
	set_keep(FHA_KEEP_STANDALONE);
	set_keep(FHA_KEEP_FULL);
	assert_int_equal(prune(false, 0, &pruned), FHA_OK);
	assert_int_equal(pruned.backup_objects, 0);
	set_keep(FHA_KEEP_NOT);
	set_keep(FHA_KEEP_NOT);
	assert_int_equal(prune(false, 0, &pruned), FHA_OK);
	assert_pruned();
}

/* barman-cloud's, behind a second slash. */
static void
a_keep_of_another_program_is_replaced_and_taken_away(void **state)
{
	(void) state;
	memory_store("/" SERVER "/base/" A "/annotations/keep", "full", 4);
	assert_keep(FHA_KEEP_FULL);
	set_keep(FHA_KEEP_STANDALONE);
	memory_store("/" SERVER "/base/" A "/annotations/keep", "full", 4);
	set_keep(FHA_KEEP_NOT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_no_backup_needs_goes, start, finish),
		cmocka_unit_test_setup_teardown(a_dry_run_counts_and_deletes_nothing, start, finish),
		cmocka_unit_test_setup_teardown(wherever_it_ends_the_rest_is_usable, start, finish),
		cmocka_unit_test_setup_teardown(a_silent_store_is_given_up_at_the_deadline, start, finish),
		cmocka_unit_test_setup_teardown(a_keep_holds_a_backup_until_it_is_taken_away, start,
										finish),
		cmocka_unit_test_setup_teardown(a_keep_of_another_program_is_replaced_and_taken_away, start,
										finish),
	};

	return cmocka_run_group_tests_name("prune", tests, NULL, NULL);
}
