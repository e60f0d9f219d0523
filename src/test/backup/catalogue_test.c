/*
 * catalogue_test.c: what there is in a store, and what can be recovered with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/backup/archive.h"

#define A "20261101T000000"
#define B "20261102T000000"
#define C "20261103T000000"

static const FhaBackup *
expect_state(const FhaCatalogue *catalogue, const char *id, FhaBackupState state, const char *why)
{
	const FhaBackup *backup = fha_catalogue_find(catalogue, id);

	assert_non_null(backup);
	if (backup->state != state || strcmp(backup->why, why) != 0)
		fail_msg("%s is %s: %s", id, fha_backup_state_name(backup->state), backup->why);
	return backup;
}

static void
backups_stand_oldest_first_with_their_sizes(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 2);
	FhaCatalogue *catalogue;
	const FhaBackup *backup;

	(void) state;
	archive_backup(&archive, C, &info);
	archive_backup(&archive, A, &info);
	archive_add(&archive, "base/" A "/16411.tar", NULL);
	archive_backup(&archive, B, &info);
	archive_segments(&archive, 1, 1, 9);
	archive_add(&archive, "base/x", NULL);
	archive_put(&archive, "another/base/" A "/data.tar", NULL, NOW_S);
	/* No segment of 16 MB has this number. */
	archive_add(&archive, "wals/0000000100000000/000000010000000000000100", NULL);
	catalogue = archive_catalogue(&archive);
	assert_string_equal(fha_catalogue_server(catalogue), SERVER);
	assert_int_equal(fha_catalogue_count(catalogue), 3);
	assert_string_equal(fha_catalogue_backup(catalogue, 0)->id, A);
	assert_string_equal(fha_catalogue_backup(catalogue, 2)->id, C);
	assert_null(fha_catalogue_find(catalogue, "20261104T000000"));
	backup = expect_state(catalogue, A, FHA_BACKUP_USABLE, "");
	assert_string_equal(fha_backup_state_name(backup->state), "usable");
	assert_true(backup->is_positioned);
	assert_int_equal(backup->object_count, 3);
	assert_int_equal(backup->stored_bytes, 300);
	assert_true(backup->changed_s == NOW_S);
	assert_int_equal(backup->first, 3);
	assert_int_equal(backup->last, 4);
	assert_int_equal(fha_catalogue_other_count(catalogue), 3);
	assert_true(fha_catalogue_segment_size(catalogue) == SEGMENT);
	fha_catalogue_free(catalogue);
	archive_free(&archive);
	fha_catalogue_free(NULL);
}

static void
timelines_are_runs_of_segments(void **state)
{
	static const uint64_t numbers[] = {9, 2, 5, 4, 3, 8, 2, 300, 1, 6, 301};
	Archive archive = {0};
	FhaCatalogue *catalogue;
	FhaArchivedTimeline timeline;

	(void) state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		archive_segment_at(&archive, 7, numbers[i], "", NOW_S - 1000 + (int64_t) numbers[i]);
	archive_segment_at(&archive, 7, 302, ".partial", NOW_S);
	archive_segment_at(&archive, 7, 3, ".00000028.backup", NOW_S);
	archive_history(&archive, 7, "3\t0/5000000\tx\n");
	archive_history(&archive, 9, "x");
	catalogue = archive_catalogue(&archive);
	assert_int_equal(fha_catalogue_timeline_count(catalogue), 2);
	timeline = fha_catalogue_timeline(catalogue, 0);
	assert_int_equal(timeline.timeline, 7);
	assert_true(timeline.has_history);
	assert_int_equal(timeline.segment_count, 10);
	assert_int_equal(timeline.stored_bytes, 1400);
	assert_string_equal(timeline.first, "000000070000000000000001");
	assert_string_equal(timeline.last, "00000007000000010000002D");
	assert_true(timeline.last_stored_s == NOW_S - 699);
	timeline = fha_catalogue_timeline(catalogue, 1);
	assert_int_equal(timeline.timeline, 9);
	assert_false(timeline.has_history);
	assert_string_equal(timeline.last, "");
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
what_is_missing_is_named(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 2);
	FhaTablespace space = {16411, "t", "/t"};
	FhaCatalogue *catalogue;

	(void) state;
	archive_put_info(&archive, "20261101T000001", &info);
	archive_put_info(&archive, "20261101T000002", &info);
	archive_add(&archive, "base/20261101T000002/data.tar.gz", NULL);
	archive_add(&archive, "base/20261101T000002/data_0002.tar.gz", NULL);
	info.tablespaces = &space;
	info.tablespace_count = 1;
	archive_backup(&archive, "20261101T000003", &info);
	archive_add(&archive, "base/20261101T000003/16412.tar.gz", NULL);
	archive_backup(&archive, "20261101T000004", &info);
	archive_add(&archive, "base/20261101T000004/16411.tar.gz", NULL);
	archive_add(&archive, "base/20261101T000004/16411_0001.tar.gz.tink", NULL);
	info = archive_info(1, 4, 6, 2);
	archive_backup(&archive, "20261101T000005", &info);
	info = archive_info(1, 8, 9, 2);
	archive_backup(&archive, "20261101T000006", &info);
	info = archive_info(2, 1, 1, 2);
	archive_backup(&archive, "20261101T000007", &info);
	info = archive_info(2, 1, 1, 8);
	archive_backup(&archive, "20261101T000008", &info);
	archive_segments(&archive, 1, 3, 4);
	archive_segments(&archive, 1, 7, 8);
	catalogue = archive_catalogue(&archive);
	(void) expect_state(catalogue, "20261101T000001", FHA_BACKUP_DAMAGED,
						"the archive of its data directory is missing, or a part of it");
	(void) expect_state(catalogue, "20261101T000002", FHA_BACKUP_DAMAGED,
						"the archive of its data directory is missing, or a part of it");
	(void) expect_state(catalogue, "20261101T000003", FHA_BACKUP_DAMAGED,
						"the archive of tablespace 16411 is missing, or a part of it");
	(void) expect_state(catalogue, "20261101T000004", FHA_BACKUP_USABLE, "");
	(void) expect_state(
		catalogue, "20261101T000005", FHA_BACKUP_DAMAGED,
		"WAL is missing in the archive that it needs, from 000000010000000000000005 to "
		"000000010000000000000006");
	(void) expect_state(
		catalogue, "20261101T000006", FHA_BACKUP_WAITING,
		"the WAL from 000000010000000000000008 to 000000010000000000000009, which it needs, is not "
		"archived yet");
	(void) expect_state(
		catalogue, "20261101T000007", FHA_BACKUP_WAITING,
		"the WAL from 000000020000000000000001 to 000000020000000000000001, which it needs, is not "
		"archived yet");
	(void) expect_state(catalogue, "20261101T000008", FHA_BACKUP_DAMAGED,
						"the WAL from 000000020000000000000001 to 000000020000000000000001, which "
						"it needs, was not "
						"archived within 7 days");
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
what_did_not_end_runs_until_nothing_changes(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 2);
	FhaCatalogue *catalogue;
	const FhaBackup *backup;

	(void) state;
	info.status = FHA_BACKUP_STARTED;
	archive_put_info(&archive, "20261101T000001", &info);
	archive_put_info(&archive, "20261101T000002", &info);
	archive_add(&archive, "base/20261101T000003/data.tar.gz", NULL);
	archive_add(&archive, "base/20261101T000004/data.tar.gz", NULL);
	archive.objects[archive.count - 1].modified_s = NOW_S - FHA_BACKUP_ABANDONED_S - 1;
	archive_add(&archive, "base/20261101T000005/data.tar.gz", NULL);
	archive.objects[archive.count - 1].modified_s = 0;
	info.status = FHA_BACKUP_SYNCING;
	info.begin_wal[0] = '\0';
	archive_put_info(&archive, "20261101T000006", &info);
	info.status = FHA_BACKUP_FAILED;
	archive_put_info(&archive, "20261101T000007", &info);
	(void) strcpy(info.error, "no space");
	archive_put_info(&archive, "20261101T000008", &info);
	catalogue = archive_catalogue(&archive);
	backup = expect_state(catalogue, "20261101T000001", FHA_BACKUP_RUNNING,
						  "it is not said to have ended");
	assert_int_equal(backup->first, 3);
	(void) expect_state(catalogue, "20261101T000003", FHA_BACKUP_RUNNING,
						"it has no backup.info, which some tools write at the end");
	(void) expect_state(catalogue, "20261101T000004", FHA_BACKUP_HALF,
						"it did not end, and nothing of it changed for 7 days");
	(void) expect_state(catalogue, "20261101T000005", FHA_BACKUP_RUNNING,
						"it has no backup.info, which some tools write at the end");
	backup = expect_state(catalogue, "20261101T000006", FHA_BACKUP_RUNNING,
						  "it is not said to have ended");
	assert_false(backup->is_positioned);
	(void) expect_state(catalogue, "20261101T000007", FHA_BACKUP_HALF,
						"it failed: no reason was told");
	(void) expect_state(catalogue, "20261101T000008", FHA_BACKUP_HALF, "it failed: no space");
	fha_catalogue_put_ended(catalogue, "20261101T000002");
	fha_catalogue_put_ended(catalogue, "20261101T999999");
	fha_catalogue_finish(catalogue, NOW_S);
	(void) expect_state(catalogue, "20261101T000002", FHA_BACKUP_HALF, "it was interrupted");
	/* A second look is the same as the first. */
	(void) expect_state(catalogue, "20261101T000001", FHA_BACKUP_RUNNING,
						"it is not said to have ended");
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
what_is_not_understood_is_foreign(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 2);
	FhaCatalogue *catalogue;

	(void) state;
	archive_add(&archive, "base/20261101T000001/backup.info", "timeline=x\n");
	archive_add(&archive, "base/20261101T000002/backup.info", NULL);
	archive_add(&archive, "base/20261101T000003/backup.info", "status=TOMORROW\n");
	archive_add(&archive, "base/20261101T000004/backup.info", "status=DONE\n");
	info.segment_size = 1024 * 1024;
	fha_backup_info_set_begin(&info, 1, 3 * SEGMENT + 40);
	fha_backup_info_set_end(&info, 4 * SEGMENT + 40);
	archive_backup(&archive, "20261101T000005", &info);
	info = archive_info(1, 3, 4, 1);
	archive_backup(&archive, "20261101T000006", &info);
	archive_add(&archive, "base/20261101T000007/backup.info",
				"status=DONE\ntimeline=1\nbegin_xlog=0/3000028\nend_xlog=0/3000138\n"
				"begin_wal=000000010000000000000003\nend_wal=000000010000000000000003\n"
				"begin_time=2026-11-22 06:00\nend_time=2026-11-22 "
				"07:00\nsnapshots_info={'provider': 'gcp'}\n");
	archive_segments(&archive, 1, 1, 9);
	catalogue = archive_catalogue(&archive);
	(void) expect_state(catalogue, "20261101T000001", FHA_BACKUP_FOREIGN,
						"backup.info, line 1: timeline cannot be \"x\"");
	(void) expect_state(catalogue, "20261101T000002", FHA_BACKUP_FOREIGN,
						"its backup.info was not read");
	(void) expect_state(catalogue, "20261101T000003", FHA_BACKUP_FOREIGN,
						"its status is not known here");
	(void) expect_state(catalogue, "20261101T000004", FHA_BACKUP_FOREIGN,
						"its backup.info is of no use: it does not say its timeline, and where and "
						"when it began and "
						"ended");
	(void) expect_state(catalogue, "20261101T000005", FHA_BACKUP_FOREIGN,
						"its WAL has segments of another size than that of newer backups");
	(void) expect_state(catalogue, "20261101T000006", FHA_BACKUP_USABLE, "");
	(void) expect_state(catalogue, "20261101T000007", FHA_BACKUP_DAMAGED,
						"it is a snapshot of disks, which is not in this store");
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
an_incremental_backup_needs_its_parents(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 5);
	FhaCatalogue *catalogue;

	(void) state;
	archive_backup(&archive, "20261101T000001", &info);
	(void) strcpy(info.parent_id, "20261101T000001");
	archive_backup(&archive, "20261101T000002", &info);
	(void) strcpy(info.parent_id, "20261101T000002");
	archive_backup(&archive, "20261101T000003", &info);
	(void) strcpy(info.parent_id, "20261101T000000");
	archive_backup(&archive, "20261101T000004", &info);
	(void) strcpy(info.parent_id, "20261101T000004");
	archive_backup(&archive, "20261101T000005", &info);
	/* Itself. */
	(void) strcpy(info.parent_id, "20261101T000006");
	archive_backup(&archive, "20261101T000006", &info);
	archive_segments(&archive, 1, 1, 9);
	catalogue = archive_catalogue(&archive);
	(void) expect_state(catalogue, "20261101T000003", FHA_BACKUP_USABLE, "");
	(void) expect_state(
		catalogue, "20261101T000004", FHA_BACKUP_DAMAGED,
		"it stands on base backup 20261101T000000, which is not there or of no use");
	(void) expect_state(
		catalogue, "20261101T000005", FHA_BACKUP_DAMAGED,
		"it stands on base backup 20261101T000004, which is not there or of no use");
	(void) expect_state(
		catalogue, "20261101T000006", FHA_BACKUP_DAMAGED,
		"it stands on base backup 20261101T000006, which is not there or of no use");
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
keeps_say_how_much(void **state)
{
	static const struct
	{
		const char *text;
		FhaKeep keep;
	} keeps[] = {
		{"full", FHA_KEEP_FULL},
		{"standalone", FHA_KEEP_STANDALONE},
		{"standalone\n", FHA_KEEP_STANDALONE},
		{"", FHA_KEEP_FULL},
		{"standalon", FHA_KEEP_FULL},
		{"standalone please", FHA_KEEP_FULL},
		{NULL, FHA_KEEP_FULL},
	};
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(keeps) / sizeof(keeps[0]); i++)
	{
		Archive archive = {0};
		FhaBackupInfo info = archive_info(1, 3, 4, 5);
		FhaCatalogue *catalogue;

		archive_backup(&archive, A, &info);
		archive_backup(&archive, B, &info);
		archive_put(&archive, "/" SERVER "/base/" A "/annotations/keep", keeps[i].text, NOW_S);
		archive_segments(&archive, 1, 1, 9);
		catalogue = archive_catalogue(&archive);
		assert_int_equal(fha_catalogue_find(catalogue, A)->keep, keeps[i].keep);
		assert_int_equal(fha_catalogue_find(catalogue, B)->keep, FHA_KEEP_NOT);
		assert_int_equal(fha_catalogue_put_keep(catalogue, B, "", 0, &err), FHA_NOT_FOUND);
		assert_string_equal(err.text, "no keep of base backup " B " was listed");
		assert_int_equal(fha_catalogue_put_keep(catalogue, C, "", 0, &err), FHA_NOT_FOUND);
		assert_int_equal(fha_catalogue_put_info(catalogue, C, "", 0, &err), FHA_NOT_FOUND);
		assert_int_equal(fha_catalogue_put_history(catalogue, 1, "", 0, &err), FHA_NOT_FOUND);
		assert_string_equal(err.text, "no history of timeline 1 was listed");
		fha_catalogue_free(catalogue);
		archive_free(&archive);
	}
}

static void
histories_say_which_timeline_comes_of_which(void **state)
{
	Archive archive = {0};
	FhaCatalogue *catalogue;
	static const char *const bad[] = {
		"",
		"# nothing\n",
		"1\n",
		"x\t0/5000000\n",
		"1x\t0/5000000\n",
		"0\t0/5000000\n",
		"4294967296\t0/5000000\n",
		"1\tx\n",
		"99\t0/5000000\tx\n",
		"1\t0/5000000\tx\n1\t0/6000000\tx\n",
		"1\t0/5000000\tx\n2\t0/4000000\tx\n",
	};

	(void) state;
	archive_segments(&archive, 1, 1, 9);
	archive_history(&archive, 2, "1\t0/5000000\tno recovery target specified\n");
	archive_history(&archive, 3, "# comment\r\n\n 1\t0/5000000\tx\r\n2\t0/7000028\n");
	archive_history(&archive, 4, "1\t0/3000000\tx");
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		archive_history(&archive, 20 + i, bad[i]);
	catalogue = archive_catalogue(&archive);
	assert_int_equal(fha_catalogue_kinship(catalogue, 3, 1, 3), FHA_KIN_SAME);
	assert_int_equal(fha_catalogue_kinship(catalogue, 1, 5, 2), FHA_KIN_DESCENDANT);
	assert_int_equal(fha_catalogue_kinship(catalogue, 1, 6, 2), FHA_KIN_OTHER);
	assert_int_equal(fha_catalogue_kinship(catalogue, 1, 4, 3), FHA_KIN_DESCENDANT);
	assert_int_equal(fha_catalogue_kinship(catalogue, 2, 7, 3), FHA_KIN_DESCENDANT);
	assert_int_equal(fha_catalogue_kinship(catalogue, 2, 7, 4), FHA_KIN_OTHER);
	assert_int_equal(fha_catalogue_kinship(catalogue, 3, 7, 1), FHA_KIN_ANCESTOR);
	assert_int_equal(fha_catalogue_kinship(catalogue, 4, 7, 2), FHA_KIN_OTHER);
	assert_int_equal(fha_catalogue_kinship(catalogue, 4, 7, 5), FHA_KIN_UNKNOWN);
	assert_int_equal(fha_catalogue_kinship(catalogue, 5, 7, 4), FHA_KIN_UNKNOWN);
	for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fha_catalogue_kinship(catalogue, 1, 1, 20 + i), FHA_KIN_UNKNOWN);
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
a_large_or_binary_history_is_none(void **state)
{
	char *data = calloc(1, FHA_HISTORY_MAX + 1);
	FhaCatalogue *catalogue = fha_catalogue_new(SERVER);
	FhaError err;

	(void) state;
	assert_non_null(data);
	assert_non_null(catalogue);
	assert_int_equal(fha_catalogue_add(catalogue, SERVER "/wals/00000002.history", 1, 1, &err),
					 FHA_OK);
	assert_int_equal(fha_catalogue_put_history(catalogue, 2, "1\t0/5000000\tx", 13, &err), FHA_OK);
	assert_int_equal(fha_catalogue_kinship(catalogue, 1, 1, 2), FHA_KIN_DESCENDANT);
	assert_int_equal(fha_catalogue_put_history(catalogue, 2, data, FHA_HISTORY_MAX + 1, &err),
					 FHA_OK);
	assert_int_equal(fha_catalogue_kinship(catalogue, 1, 1, 2), FHA_KIN_UNKNOWN);
	assert_int_equal(fha_catalogue_put_history(catalogue, 2, data, 1, &err), FHA_OK);
	assert_int_equal(fha_catalogue_kinship(catalogue, 1, 1, 2), FHA_KIN_UNKNOWN);
	fha_catalogue_free(catalogue);
	free(data);
}

static void
recovery_goes_to_the_first_gap(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 5);
	FhaCatalogue *catalogue;
	const FhaBackup *backup;
	FhaRecovery recovery;
	FhaWalGap gap;

	(void) state;
	archive_backup(&archive, A, &info);
	archive_segments(&archive, 1, 1, 9);
	archive_segments(&archive, 1, 12, 12);
	archive_segments(&archive, 1, 14, 15);
	archive_segment_at(&archive, 1, 9, ".zst", NOW_S);
	catalogue = archive_catalogue(&archive);
	backup = fha_catalogue_find(catalogue, A);
	assert_int_equal(fha_catalogue_latest_timeline(catalogue, backup), 1);
	assert_true(fha_catalogue_recovery(catalogue, backup, 0, &recovery));
	assert_int_equal(recovery.timeline, 1);
	assert_true(recovery.from_lsn == 4 * SEGMENT + 0x138);
	assert_true(recovery.from_us == (NOW_S - 5 * DAY_S) * 1000000);
	assert_true(recovery.to_lsn == 10 * SEGMENT);
	assert_true(recovery.to_s == NOW_S);
	assert_true(recovery.has_gap);
	assert_string_equal(recovery.gap.first, "00000001000000000000000A");
	assert_string_equal(recovery.gap.last, "00000001000000000000000B");
	assert_int_equal(recovery.gap.count, 2);
	assert_true(fha_catalogue_next_gap(catalogue, backup, 1, recovery.gap.next, &gap));
	assert_string_equal(gap.first, "00000001000000000000000D");
	assert_string_equal(gap.last, "00000001000000000000000D");
	assert_false(fha_catalogue_next_gap(catalogue, backup, 1, gap.next, &gap));
	assert_false(fha_catalogue_recovery(catalogue, backup, 2, &recovery));
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
recovery_follows_timelines(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 5);
	FhaCatalogue *catalogue;
	const FhaBackup *backup;
	FhaRecovery recovery;

	(void) state;
	archive_backup(&archive, A, &info);
	info = archive_info(1, 6, 6, 5);
	archive_backup(&archive, B, &info);
	/* 1 was left in its segment 5 for 2, and that in the same one for 3, and that at the end of its segment 7 for 5. */
	archive_segments(&archive, 1, 1, 8);
	archive_segment_at(&archive, 1, 9, ".partial", NOW_S);
	archive_history(&archive, 2, "1\t0/5000100\tx\n");
	archive_segments(&archive, 3, 5, 7);
	archive_history(&archive, 3, "1\t0/5000100\tx\n2\t0/5000200\tx\n");
	archive_history(&archive, 5, "1\t0/5000100\tx\n2\t0/5000200\tx\n3\t0/8000000\tx\n");
	/* A branch from before the end of both backups, and one of which nothing is known. */
	archive_segments(&archive, 6, 4, 20);
	archive_history(&archive, 6, "1\t0/4000100\tx\n");
	archive_segments(&archive, 7, 4, 20);
	catalogue = archive_catalogue(&archive);
	backup = expect_state(catalogue, A, FHA_BACKUP_USABLE, "");
	assert_int_equal(fha_catalogue_latest_timeline(catalogue, backup), 5);
	assert_true(fha_catalogue_recovery(catalogue, backup, 0, &recovery));
	assert_int_equal(recovery.timeline, 5);
	assert_false(recovery.has_gap);
	assert_true(recovery.to_lsn == 8 * SEGMENT);
	assert_true(recovery.to_s == NOW_S);
	assert_true(fha_catalogue_recovery(catalogue, backup, 1, &recovery));
	assert_true(recovery.to_lsn == 9 * SEGMENT);
	/* Nothing of 2 was archived: it ends with what 1 has before that. */
	assert_true(fha_catalogue_recovery(catalogue, backup, 2, &recovery));
	assert_true(recovery.to_lsn == 5 * SEGMENT);
	assert_true(recovery.to_s == 0);
	assert_false(fha_catalogue_recovery(catalogue, backup, 6, &recovery));
	assert_false(fha_catalogue_recovery(catalogue, backup, 7, &recovery));
	backup = expect_state(catalogue, B, FHA_BACKUP_USABLE, "");
	assert_int_equal(fha_catalogue_latest_timeline(catalogue, backup), 1);
	assert_false(fha_catalogue_recovery(catalogue, backup, 3, &recovery));
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
a_backup_may_end_on_the_next_timeline(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 4, 5, 5);
	FhaCatalogue *catalogue;
	const FhaBackup *backup;
	FhaRecovery recovery;

	(void) state;
	/* Its last segment is the one in which the timeline was left, so that the next one has it. */
	archive_backup(&archive, A, &info);
	archive_segments(&archive, 1, 1, 4);
	archive_segments(&archive, 2, 5, 7);
	archive_history(&archive, 2, "1\t0/5000200\tx\n");
	archive_history(&archive, 3, "1\t0/5000200\tx\n2\t0/6000000\tx\n");
	catalogue = archive_catalogue(&archive);
	backup = expect_state(catalogue, A, FHA_BACKUP_USABLE, "");
	assert_true(fha_catalogue_recovery(catalogue, backup, 2, &recovery));
	assert_true(recovery.to_lsn == 8 * SEGMENT);
	assert_false(fha_catalogue_recovery(catalogue, backup, 1, &recovery));
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static void
a_timeline_of_which_nothing_is_there_is_a_gap(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 5);
	FhaCatalogue *catalogue;
	const FhaBackup *backup;
	FhaRecovery recovery;

	(void) state;
	archive_backup(&archive, A, &info);
	archive_segments(&archive, 1, 1, 5);
	archive_segments(&archive, 3, 9, 9);
	archive_history(&archive, 3, "1\t0/6000000\tx\n2\t0/9000000\tx\n");
	catalogue = archive_catalogue(&archive);
	backup = expect_state(catalogue, A, FHA_BACKUP_USABLE, "");
	assert_true(fha_catalogue_recovery(catalogue, backup, 3, &recovery));
	assert_true(recovery.has_gap);
	assert_true(recovery.to_lsn == 6 * SEGMENT);
	assert_int_equal(recovery.gap.count, 3);
	assert_string_equal(recovery.gap.first, "000000020000000000000006");
	assert_string_equal(recovery.gap.last, "000000020000000000000008");
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

/* The first 4 GB are four segments of 1 GB, and the first of them has the number 0. */
static void
large_segments_begin_with_number_0(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 5);
	FhaCatalogue *catalogue;
	const FhaBackup *backup;
	FhaRecovery recovery;

	(void) state;
	info.segment_size = UINT64_C(1024) * 1024 * 1024;
	fha_backup_info_set_begin(&info, 1, 0x3000028);
	fha_backup_info_set_end(&info, 0x3000138);
	archive_backup(&archive, A, &info);
	archive_add(&archive, "wals/0000000200000000/000000020000000000000000.gz", NULL);
	archive_add(&archive, "wals/0000000200000001/000000020000000100000000.gz", NULL);
	archive_history(&archive, 2, "1\t0/4000000\tx\n");
	catalogue = archive_catalogue(&archive);
	backup = expect_state(catalogue, A, FHA_BACKUP_USABLE, "");
	assert_true(backup->is_positioned);
	assert_int_equal(backup->first, 0);
	assert_true(fha_catalogue_recovery(catalogue, backup, 0, &recovery));
	assert_true(recovery.has_gap);
	assert_string_equal(recovery.gap.first, "000000020000000000000001");
	assert_string_equal(recovery.gap.last, "000000020000000000000003");
	assert_true(recovery.to_lsn == info.segment_size);
	fha_catalogue_free(catalogue);
	archive_free(&archive);
}

static FhaCode
add_numbered(FhaCatalogue *catalogue, const char *format, unsigned number, FhaError *err)
{
	char key[100];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void) snprintf(key, sizeof(key), format, number);
#pragma GCC diagnostic pop
	return fha_catalogue_add(catalogue, key, 1, 1, err);
}

static void
limits_are_told(void **state)
{
	static const struct
	{
		const char *format;
		unsigned limit;
		unsigned step;
		const char *why;
	} limits[] = {
		{SERVER "/base/20261101T000000/data.tar%.0u", FHA_BACKUP_OBJECTS_MAX, 1,
		 "base backup 20261101T000000 has more than 100000 objects"},
		{SERVER "/wals/%08X.history", FHA_TIMELINES_MAX, 1,
		 "the WAL archive of \"db-x\" has more than 10000 timelines"},
	};
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
	{
		FhaCatalogue *catalogue = fha_catalogue_new(SERVER);
		FhaCode code = FHA_OK;

		assert_non_null(catalogue);
		for (unsigned j = 1; j <= limits[i].limit && code == FHA_OK; j++)
			code = add_numbered(catalogue, limits[i].format, j, &err);
		assert_int_equal(code, FHA_OK);
		assert_int_equal(add_numbered(catalogue, limits[i].format, limits[i].limit + 1, &err),
						 FHA_PROTOCOL);
		assert_string_equal(err.text, limits[i].why);
		fha_catalogue_free(catalogue);
	}
}

static void
limits_of_backups_and_gaps_are_told(void **state)
{
	FhaCatalogue *catalogue = fha_catalogue_new(SERVER);
	FhaError err;
	char key[200];
	char id[FHA_BACKUP_ID_SIZE];
	char name[FHA_WAL_NAME_SIZE];

	(void) state;
	assert_non_null(catalogue);
	for (int i = 0; i <= FHA_BACKUPS_MAX; i++)
	{
		fha_backup_id_print(NOW_S + i, id);
		(void) snprintf(key, sizeof(key), SERVER "/base/%s/data.tar", id);
		assert_int_equal(fha_catalogue_add(catalogue, key, 1, 1, &err),
						 i < FHA_BACKUPS_MAX ? FHA_OK : FHA_PROTOCOL);
	}
	assert_string_equal(err.text, "there are more than 10000 base backups of \"db-x\"");
	for (uint64_t i = 0; i <= FHA_WAL_RUNS_MAX; i++)
	{
		fha_segment_name(1, 2 * i * SEGMENT, SEGMENT, name);
		(void) snprintf(key, sizeof(key), SERVER "/wals/%.16s/%s", name, name);
		assert_int_equal(fha_catalogue_add(catalogue, key, 1, 1, &err),
						 i < FHA_WAL_RUNS_MAX ? FHA_OK : FHA_PROTOCOL);
	}
	assert_string_equal(err.text, "the WAL archive has more than 100000 gaps on timeline 1");
	fha_catalogue_free(catalogue);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backups_stand_oldest_first_with_their_sizes),
		cmocka_unit_test(timelines_are_runs_of_segments),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(what_did_not_end_runs_until_nothing_changes),
		cmocka_unit_test(what_is_not_understood_is_foreign),
		cmocka_unit_test(an_incremental_backup_needs_its_parents),
		cmocka_unit_test(keeps_say_how_much),
		cmocka_unit_test(histories_say_which_timeline_comes_of_which),
		cmocka_unit_test(a_large_or_binary_history_is_none),
		cmocka_unit_test(recovery_goes_to_the_first_gap),
		cmocka_unit_test(recovery_follows_timelines),
		cmocka_unit_test(a_backup_may_end_on_the_next_timeline),
		cmocka_unit_test(a_timeline_of_which_nothing_is_there_is_a_gap),
		cmocka_unit_test(large_segments_begin_with_number_0),
		cmocka_unit_test(limits_are_told),
		cmocka_unit_test(limits_of_backups_and_gaps_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
