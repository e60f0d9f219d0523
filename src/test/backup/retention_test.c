/*
 * retention_test.c: what a policy lets go, and what keeps the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/retention.h"
#include "test/backup/archive.h"

static const FhaRetentionPolicy everything = {0, 0};
static const FhaRetentionPolicy days_30 = {30 * DAY_S, 0};
static const FhaRetentionPolicy newest_2 = {0, 2};

/* An archive with its catalogue and its plan. */
typedef struct Case
{
	Archive archive;
	FhaCatalogue *catalogue;
	FhaRetention *plan;
} Case;

static void
make_plan(Case *one, FhaRetentionPolicy policy)
{
	fha_retention_free(one->plan);
	fha_catalogue_free(one->catalogue);
	one->catalogue = archive_catalogue(&one->archive);
	one->plan = fha_retention_plan(one->catalogue, &policy, NOW_S);
	assert_non_null(one->plan);
}

static void
free_case(Case *one)
{
	fha_retention_free(one->plan);
	fha_catalogue_free(one->catalogue);
	archive_free(&one->archive);
}

static void
expect_backup(const Case *one, const char *id, FhaRetentionReason reason)
{
	for (size_t i = 0; i < fha_catalogue_count(one->catalogue); i++)
		if (strcmp(fha_catalogue_backup(one->catalogue, i)->id, id) == 0)
		{
			FhaRetentionReason is = fha_retention_backup(one->plan, i).reason;

			if (is != reason)
				fail_msg("%s: %s", id, fha_retention_reason(is));
			return;
		}
	fail_msg("%s is not there", id);
}

/* key: behind "db-x/wals/"; because: a backup's id, or NULL. */
static void
expect_wal(const Case *one, const char *key, FhaRetentionReason reason, const char *because)
{
	char whole[200];
	FhaRetentionVerdict verdict;

	(void) snprintf(whole, sizeof(whole), SERVER "/wals/%s", key);
	verdict = fha_retention_wal(one->plan, whole, NOW_S);
	if (verdict.reason != reason)
		fail_msg("%s: %s", key, fha_retention_reason(verdict.reason));
	if (because == NULL)
		assert_null(verdict.because);
	else
	{
		assert_non_null(verdict.because);
		assert_string_equal(verdict.because->id, because);
	}
}

static void
expect_segment(const Case *one, uint32_t timeline, uint64_t number, FhaRetentionReason reason,
			   const char *because)
{
	char name[FHA_WAL_NAME_SIZE];
	char key[100];

	fha_segment_name(timeline, number * SEGMENT, SEGMENT, name);
	(void) snprintf(key, sizeof(key), "%.16s/%s.gz", name, name);
	expect_wal(one, key, reason, because);
}

static void
add_backup(Case *one, const char *id, uint32_t timeline, uint64_t first, uint64_t last,
		   int64_t days_ago)
{
	FhaBackupInfo info = archive_info(timeline, first, last, days_ago);

	archive_backup(&one->archive, id, &info);
}

static void
keep(Case *one, const char *id, const char *what)
{
	char key[100];

	(void) snprintf(key, sizeof(key), "base/%s/annotations/keep", id);
	archive_add(&one->archive, key, what);
}

/* Backups of 60, 40, 31, 20 and 1 days ago; 10 segments between two. */
#define DAY60 "20261001T000000"
#define DAY40 "20261020T000000"
#define DAY31 "20261029T000000"
#define DAY20 "20261110T000000"
#define DAY1 "20261129T000000"

static Case
five_backups(void)
{
	Case one = {{0}, NULL, NULL};

	add_backup(&one, DAY60, 1, 10, 11, 60);
	add_backup(&one, DAY40, 1, 20, 21, 40);
	add_backup(&one, DAY31, 1, 30, 31, 31);
	add_backup(&one, DAY20, 1, 40, 41, 20);
	add_backup(&one, DAY1, 1, 50, 51, 1);
	archive_segments(&one.archive, 1, 1, 60);
	return one;
}

static void
a_window_needs_the_newest_backup_before_it(void **state)
{
	Case one = five_backups();

	(void) state;
	make_plan(&one, days_30);
	expect_backup(&one, DAY1, FHA_STAYS_IN_WINDOW);
	expect_backup(&one, DAY20, FHA_STAYS_IN_WINDOW);
	expect_backup(&one, DAY31, FHA_STAYS_FOR_WINDOW);
	expect_backup(&one, DAY40, FHA_GOES_OLD);
	expect_backup(&one, DAY60, FHA_GOES_OLD);
	expect_segment(&one, 1, 30, FHA_STAYS_NEEDED, DAY31);
	expect_segment(&one, 1, 29, FHA_GOES_BEFORE, DAY31);
	expect_segment(&one, 1, 60, FHA_STAYS_NEEDED, DAY31);
	expect_segment(&one, 1, 1000, FHA_STAYS_NEEDED, DAY31);
	free_case(&one);
}

static void
a_count_keeps_the_newest(void **state)
{
	Case one = five_backups();

	(void) state;
	make_plan(&one, newest_2);
	expect_backup(&one, DAY1, FHA_STAYS_IN_COUNT);
	expect_backup(&one, DAY20, FHA_STAYS_IN_COUNT);
	expect_backup(&one, DAY31, FHA_GOES_OLD);
	expect_segment(&one, 1, 40, FHA_STAYS_NEEDED, DAY20);
	expect_segment(&one, 1, 39, FHA_GOES_BEFORE, DAY20);
	make_plan(&one, everything);
	expect_backup(&one, DAY60, FHA_STAYS_NO_POLICY);
	expect_segment(&one, 1, 9, FHA_GOES_BEFORE, DAY60);
	assert_int_equal(fha_retention_key_count(one.plan), 0);
	free_case(&one);
}

static void
the_newest_usable_backup_stays(void **state)
{
	Case one = {{0}, NULL, NULL};

	(void) state;
	add_backup(&one, DAY60, 1, 10, 11, 60);
	add_backup(&one, DAY40, 1, 20, 21, 40);
	archive_segments(&one.archive, 1, 1, 60);
	make_plan(&one, days_30);
	expect_backup(&one, DAY40, FHA_STAYS_FOR_WINDOW);
	expect_backup(&one, DAY60, FHA_GOES_OLD);
	free_case(&one);
}

static void
what_is_of_no_use_is_not_counted(void **state)
{
	Case one = five_backups();

	(void) state;
	/* The two newest lack data and WAL, and another one failed. */
	archive_remove(&one.archive, SERVER "/base/" DAY1 "/data.tar.gz");
	archive_remove(&one.archive, SERVER "/wals/0000000100000000/000000010000000000000028.gz");
	archive_add(&one.archive, "base/20261128T000000/backup.info", "status=FAILED\n");
	make_plan(&one, newest_2);
	expect_backup(&one, DAY1, FHA_STAYS_DAMAGED);
	expect_backup(&one, "20261128T000000", FHA_GOES_HALF);
	expect_backup(&one, DAY20, FHA_STAYS_DAMAGED);
	expect_backup(&one, DAY31, FHA_STAYS_IN_COUNT);
	expect_backup(&one, DAY40, FHA_STAYS_IN_COUNT);
	expect_backup(&one, DAY60, FHA_GOES_OLD);
	/* One that is older than what is kept goes. */
	archive_remove(&one.archive, SERVER "/base/" DAY60 "/data.tar.gz");
	make_plan(&one, newest_2);
	expect_backup(&one, DAY60, FHA_GOES_DAMAGED);
	free_case(&one);
}

static void
without_a_usable_backup_no_wal_goes(void **state)
{
	Case one = {{0}, NULL, NULL};

	(void) state;
	add_backup(&one, DAY60, 1, 10, 11, 60);
	archive_remove(&one.archive, SERVER "/base/" DAY60 "/data.tar.gz");
	archive_segments(&one.archive, 1, 1, 60);
	make_plan(&one, days_30);
	expect_backup(&one, DAY60, FHA_STAYS_DAMAGED);
	expect_segment(&one, 1, 1, FHA_STAYS_UNSURE, NULL);
	assert_int_equal(
		fha_retention_wal(one.plan, SERVER "/wals/0000000100000000/000000010000000000000001", 1)
			.reason,
		FHA_STAYS_UNSURE);
	free_case(&one);
}

static void
what_a_person_keeps_stays(void **state)
{
	Case one = five_backups();

	(void) state;
	keep(&one, DAY60, "full");
	make_plan(&one, newest_2);
	expect_backup(&one, DAY60, FHA_STAYS_KEPT);
	expect_backup(&one, DAY40, FHA_GOES_OLD);
	expect_segment(&one, 1, 10, FHA_STAYS_NEEDED, DAY60);
	expect_segment(&one, 1, 25, FHA_STAYS_NEEDED, DAY60);
	expect_segment(&one, 1, 9, FHA_GOES_BEFORE, DAY60);
	free_case(&one);
}

static void
a_standalone_backup_keeps_its_own_wal(void **state)
{
	Case one = five_backups();

	(void) state;
	keep(&one, DAY60, "standalone");
	make_plan(&one, newest_2);
	expect_backup(&one, DAY60, FHA_STAYS_KEPT);
	expect_segment(&one, 1, 9, FHA_GOES_BEFORE, DAY20);
	expect_segment(&one, 1, 10, FHA_STAYS_NEEDED, DAY60);
	expect_segment(&one, 1, 11, FHA_STAYS_NEEDED, DAY60);
	expect_segment(&one, 1, 12, FHA_GOES_BEFORE, DAY20);
	/* One that begins the window has all its WAL, whatever a person said. */
	keep(&one, DAY31, "standalone");
	make_plan(&one, days_30);
	expect_backup(&one, DAY31, FHA_STAYS_FOR_WINDOW);
	expect_segment(&one, 1, 35, FHA_STAYS_NEEDED, DAY31);
	/* A half one cannot be recovered, and is kept. */
	archive_add(&one.archive, "base/20261128T000000/backup.info", "status=FAILED\n");
	keep(&one, "20261128T000000", "full");
	make_plan(&one, newest_2);
	expect_backup(&one, "20261128T000000", FHA_STAYS_KEPT);
	expect_segment(&one, 1, 9, FHA_GOES_BEFORE, DAY20);
	free_case(&one);
}

static void
a_label_stays_with_its_backup(void **state)
{
	Case one = five_backups();

	(void) state;
	keep(&one, DAY60, "standalone");
	make_plan(&one, newest_2);
	expect_wal(&one, "0000000100000000/00000001000000000000000A.00000028.backup.gz",
			   FHA_STAYS_LABEL, DAY60);
	expect_wal(&one, "0000000100000000/000000010000000000000014.00000028.backup.gz",
			   FHA_GOES_BEFORE, DAY20);
	expect_wal(&one, "0000000100000000/000000010000000000000028.00000028.backup.gz",
			   FHA_STAYS_LABEL, DAY20);
	expect_wal(&one, "0000000100000000/000000010000000000000014.partial.gz", FHA_GOES_BEFORE,
			   DAY20);
	free_case(&one);
}

static void
histories_and_strange_objects_stay(void **state)
{
	Case one = five_backups();

	(void) state;
	make_plan(&one, newest_2);
	expect_wal(&one, "00000001.history", FHA_STAYS_HISTORY, NULL);
	expect_wal(&one, "0000000100000000/000000010000000000000001.gz.part", FHA_STAYS_OTHER, NULL);
	expect_wal(&one, "0000000100000000/000000010000000000000100.gz", FHA_STAYS_OTHER, NULL);
	assert_int_equal(fha_retention_wal(one.plan, SERVER "/base/" DAY60 "/data.tar.gz", 1).reason,
					 FHA_STAYS_OTHER);
	assert_int_equal(
		fha_retention_wal(one.plan, "another/wals/0000000100000000/000000010000000000000001.gz", 1)
			.reason,
		FHA_STAYS_OTHER);
	free_case(&one);
}

static void
what_runs_keeps_its_wal(void **state)
{
	Case one = {{0}, NULL, NULL};
	FhaBackupInfo info = archive_info(1, 30, 30, 0);

	(void) state;
	info.status = FHA_BACKUP_STARTED;
	archive_put_info(&one.archive, "20261129T120000", &info);
	add_backup(&one, "20261129T180000", 1, 40, 41, 0);
	archive_segments(&one.archive, 1, 1, 60);
	make_plan(&one, (FhaRetentionPolicy){0, 1});
	expect_backup(&one, "20261129T120000", FHA_STAYS_RUNNING);
	expect_segment(&one, 1, 30, FHA_STAYS_NEEDED, "20261129T120000");
	expect_segment(&one, 1, 29, FHA_GOES_BEFORE, "20261129T120000");
	/* Some tools tell only at the end where it began. */
	archive_add(&one.archive, "base/20261129T150000/data.tar.gz", NULL);
	make_plan(&one, (FhaRetentionPolicy){0, 1});
	expect_segment(&one, 1, 1, FHA_STAYS_RUNNING, "20261129T150000");
	free_case(&one);
}

static void
what_waits_for_its_wal_stays(void **state)
{
	Case one = {{0}, NULL, NULL};

	(void) state;
	add_backup(&one, DAY20, 1, 40, 41, 20);
	add_backup(&one, DAY1, 1, 50, 61, 1);
	archive_segments(&one.archive, 1, 1, 60);
	make_plan(&one, (FhaRetentionPolicy){0, 1});
	expect_backup(&one, DAY1, FHA_STAYS_WAITING);
	expect_backup(&one, DAY20, FHA_STAYS_IN_COUNT);
	free_case(&one);
}

static void
beside_what_is_not_understood_nothing_goes(void **state)
{
	Case one = five_backups();

	(void) state;
	archive_add(&one.archive, "base/20261128T000000/backup.info", "status=TOMORROW\n");
	make_plan(&one, newest_2);
	expect_backup(&one, "20261128T000000", FHA_STAYS_FOREIGN);
	expect_backup(&one, DAY60, FHA_STAYS_FOREIGN);
	assert_string_equal(fha_retention_backup(one.plan, 0).because->id, "20261128T000000");
	expect_backup(&one, DAY1, FHA_STAYS_IN_COUNT);
	expect_segment(&one, 1, 1, FHA_STAYS_FOREIGN, "20261128T000000");
	assert_int_equal(fha_retention_key_count(one.plan), 0);
	free_case(&one);
}

static void
a_snapshot_stays_with_its_wal(void **state)
{
	Case one = {{0}, NULL, NULL};

	(void) state;
	archive_add(&one.archive, "base/" DAY60 "/backup.info",
				"status=DONE\ntimeline=1\nbegin_xlog=0/3000028\nend_xlog=0/3000138\n"
				"begin_wal=000000010000000000000003\nend_wal=000000010000000000000003\n"
				"begin_time=2026-09-30 06:00\nend_time=2026-09-30 "
				"07:00\nsnapshots_info={'provider': 'gcp'}\n");
	add_backup(&one, DAY20, 1, 40, 41, 20);
	archive_segments(&one.archive, 1, 1, 60);
	make_plan(&one, (FhaRetentionPolicy){0, 1});
	expect_backup(&one, DAY60, FHA_STAYS_SNAPSHOT);
	expect_segment(&one, 1, 3, FHA_STAYS_NEEDED, DAY60);
	expect_segment(&one, 1, 2, FHA_GOES_BEFORE, DAY60);
	free_case(&one);
}

static void
an_incremental_backup_keeps_what_it_stands_on(void **state)
{
	Case one = five_backups();
	FhaBackupInfo info = archive_info(1, 55, 56, 0);

	(void) state;
	(void) strcpy(info.parent_id, DAY40);
	archive_backup(&one.archive, "20261130T000000", &info);
	(void) strcpy(info.parent_id, "20261130T000000");
	archive_backup(&one.archive, "20261130T010000", &info);
	(void) strcpy(info.parent_id, "20260101T000000");
	archive_backup(&one.archive, "20261130T020000", &info);
	make_plan(&one, (FhaRetentionPolicy){0, 1});
	expect_backup(&one, "20261130T020000", FHA_STAYS_DAMAGED);
	expect_backup(&one, "20261130T010000", FHA_STAYS_IN_COUNT);
	expect_backup(&one, "20261130T000000", FHA_STAYS_PARENT);
	expect_backup(&one, DAY40, FHA_STAYS_PARENT);
	expect_backup(&one, DAY31, FHA_GOES_OLD);
	/* Without it the parent would be of no use. */
	expect_segment(&one, 1, 20, FHA_STAYS_NEEDED, DAY40);
	expect_segment(&one, 1, 22, FHA_GOES_BEFORE, "20261130T010000");
	free_case(&one);
}

static void
a_backup_info_goes_last(void **state)
{
	Case one = {{0}, NULL, NULL};
	static const char *const keys[] = {
		SERVER "/base/" DAY60 "/16411.tar.gz",    SERVER "/base/" DAY60 "/data.tar.gz",
		SERVER "/base/" DAY60 "/backup_manifest", SERVER "/base/" DAY60 "/backup.info",
		SERVER "/base/" DAY40 "/data.tar.gz",     SERVER "/base/" DAY40 "/backup.info",
	};

	(void) state;
	archive_add(&one.archive, "base/" DAY60 "/16411.tar.gz", NULL);
	archive_add(&one.archive, "base/" DAY60 "/a_note", NULL);
	archive_add(&one.archive, "base/" DAY60 "/backup_manifest", NULL);
	add_backup(&one, DAY60, 1, 10, 11, 60);
	add_backup(&one, DAY40, 1, 20, 21, 40);
	add_backup(&one, DAY1, 1, 50, 51, 1);
	archive_segments(&one.archive, 1, 1, 60);
	make_plan(&one, (FhaRetentionPolicy){0, 1});
	assert_int_equal(fha_retention_key_count(one.plan), sizeof(keys) / sizeof(keys[0]));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_string_equal(fha_retention_key(one.plan, i), keys[i]);
	free_case(&one);
}

static void
other_timelines_keep_what_leads_on(void **state)
{
	Case one = {{0}, NULL, NULL};

	(void) state;
	add_backup(&one, DAY60, 1, 10, 11, 60);
	add_backup(&one, DAY20, 2, 40, 41, 20);
	/* 1 was left in segment 30 for 2, and wrote on; 2 was left for 3; 4 left 1 before, and of 5 nothing is known. */
	archive_segments(&one.archive, 1, 1, 35);
	archive_segments(&one.archive, 2, 30, 60);
	archive_segments(&one.archive, 3, 50, 70);
	archive_segments(&one.archive, 4, 5, 8);
	archive_segments(&one.archive, 5, 5, 8);
	archive_history(&one.archive, 2, "1\t0/1E000100\tx\n");
	archive_history(&one.archive, 3, "1\t0/1E000100\tx\n2\t0/32000100\tx\n");
	archive_history(&one.archive, 4, "1\t0/5000100\tx\n");
	make_plan(&one, (FhaRetentionPolicy){0, 1});
	expect_segment(&one, 2, 39, FHA_GOES_BEFORE, DAY20);
	expect_segment(&one, 2, 40, FHA_STAYS_NEEDED, DAY20);
	expect_segment(&one, 3, 60, FHA_STAYS_NEEDED, DAY20);
	expect_segment(&one, 1, 30, FHA_GOES_BEFORE, DAY20);
	/* New ones of a branch may be somebody's; old ones are not. */
	expect_segment(&one, 1, 31, FHA_STAYS_UNSURE, NULL);
	expect_segment(&one, 4, 6, FHA_STAYS_UNSURE, NULL);
	assert_int_equal(fha_retention_wal(one.plan,
									   SERVER "/wals/0000000400000000/000000040000000000000006",
									   NOW_S - 22 * DAY_S)
						 .reason,
					 FHA_GOES_BRANCH);
	assert_int_equal(fha_retention_wal(one.plan,
									   SERVER "/wals/0000000400000000/000000040000000000000006",
									   NOW_S - 20 * DAY_S)
						 .reason,
					 FHA_STAYS_UNSURE);
	assert_int_equal(
		fha_retention_wal(one.plan, SERVER "/wals/0000000400000000/000000040000000000000006", 0)
			.reason,
		FHA_STAYS_UNSURE);
	expect_segment(&one, 5, 6, FHA_STAYS_UNSURE, NULL);
	expect_segment(&one, 5, 60, FHA_STAYS_NEEDED, DAY20);
	make_plan(&one, newest_2);
	expect_segment(&one, 1, 35, FHA_STAYS_NEEDED, DAY60);
	expect_segment(&one, 2, 30, FHA_STAYS_NEEDED, DAY60);
	free_case(&one);
}

static void
reasons_are_told(void **state)
{
	(void) state;
	for (int i = FHA_STAYS_IN_WINDOW; i <= FHA_GOES_BRANCH; i++)
	{
		assert_true(fha_retention_reason((FhaRetentionReason) i)[0] != '\0');
		assert_int_equal(fha_retention_goes((FhaRetentionReason) i), i >= FHA_GOES_OLD);
	}
	fha_retention_free(NULL);
}

/* --- random archives: no backup that is kept loses anything */

#define LINES_MAX 12
#define WORLDS 1500

/* A timeline as it truly was, whatever its history file says. */
typedef struct Line
{
	int parent;       /* -1: the first */
	uint64_t left_at; /* the position in the parent */
	uint64_t start;   /* its first segment */
	uint64_t end;     /* behind its last one */
} Line;

typedef struct World
{
	Case one;
	uint64_t random;
	Line lines[LINES_MAX];
	int line_count;
	int current;
	int64_t now_s;
	char last_id[FHA_BACKUP_ID_SIZE]; /* of a backup that is done */
} World;

static uint64_t
draw(World *world, uint64_t below)
{
	world->random = world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (world->random >> 33) % below;
}

static void
write_segment(World *world, int line, bool may_be_lost)
{
	uint64_t number = world->lines[line].end++;

	if (!may_be_lost || draw(world, 40) != 0)
		archive_segment_at(&world->one.archive, (uint32_t) line + 1, number,
						   draw(world, 2) == 0 ? ".gz" : ".zst.tink", world->now_s);
}

/* Its ancestors, oldest first. */
static void
print_history(const World *world, int line, char *out, size_t size)
{
	char before[1000] = "";
	int parent = world->lines[line].parent;
	char lsn[FHA_LSN_TEXT_SIZE];

	out[0] = '\0';
	if (parent < 0)
		return;
	print_history(world, parent, before, sizeof(before));
	fha_lsn_print(world->lines[line].left_at, lsn, sizeof(lsn));
	assert_in_range(snprintf(out, size, "%s%d\t%s\tx\n", before, parent + 1, lsn), 1, size - 1);
}

static void
begin_line(World *world, int parent, uint64_t left_at)
{
	int line = world->line_count++;
	char history[1000];

	world->lines[line] = (Line){parent, left_at, left_at / SEGMENT, left_at / SEGMENT};
	world->current = line;
	print_history(world, line, history, sizeof(history));
	if (draw(world, 10) != 0)
		archive_history(&world->one.archive, (uint32_t) line + 1, history);
}

static void
fail_over(World *world)
{
	int old = world->current;
	uint64_t at = world->lines[old].end * SEGMENT + (draw(world, 3) == 0 ? 0 : 0x100);

	if (world->line_count == LINES_MAX)
		return;
	begin_line(world, old, at);
	/* The old primary writes on for a while. */
	for (uint64_t i = draw(world, 4); i > 0; i--)
		write_segment(world, old, false);
}

/* Back to some place on the way to the present. */
static void
go_back(World *world)
{
	int line = world->current;
	const Line *chosen;

	if (world->line_count == LINES_MAX)
		return;
	while (world->lines[line].parent >= 0 && draw(world, 2) == 0)
		line = world->lines[line].parent;
	chosen = &world->lines[line];
	if (chosen->end > chosen->start + 1)
		begin_line(world, line,
				   (chosen->start + 1 + draw(world, chosen->end - chosen->start - 1)) * SEGMENT +
					   0x200);
}

static void
back_up(World *world)
{
	uint64_t first = world->lines[world->current].end;
	FhaBackupInfo info =
		archive_info((uint32_t) world->current + 1, first, first + draw(world, 2), 0);
	char id[FHA_BACKUP_ID_SIZE];
	uint64_t kind = draw(world, 24);
	char key[100];

	info.begin_time_us = (world->now_s - 3600) * 1000000;
	info.end_time_us = world->now_s * 1000000;
	fha_backup_id_print(world->now_s - 3600, id);
	while (world->lines[world->current].end <= info.end_lsn / SEGMENT)
		write_segment(world, world->current, true);
	if (kind == 0)
		info.status = FHA_BACKUP_FAILED;
	if (kind == 1)
		info.status = FHA_BACKUP_STARTED;
	if (kind == 2 && world->last_id[0] != '\0')
		(void) strcpy(info.parent_id, world->last_id);
	if (kind != 3)
	{
		archive_put_info(&world->one.archive, id, &info);
		world->one.archive.objects[world->one.archive.count - 1].modified_s = world->now_s;
	}
	if (kind != 4)
	{
		(void) snprintf(key, sizeof(key), SERVER "/base/%s/data.tar.gz", id);
		archive_put(&world->one.archive, key, NULL, world->now_s);
	}
	if (kind == 5 || kind == 6)
		keep(&world->one, id, kind == 5 ? "full" : "standalone");
	if (kind == 2 || kind >= 5)
		(void) strcpy(world->last_id, id);
	(void) snprintf(key, sizeof(key), SERVER "/wals/%.16s/%s.00000028.backup", info.begin_wal,
					info.begin_wal);
	archive_put(&world->one.archive, key, NULL, world->now_s);
}

static World
play(uint64_t seed)
{
	World world = {.random = seed, .lines = {{-1, 0, 1, 1}}, .line_count = 1};

	world.now_s = NOW_S - 100 * DAY_S;
	while (world.now_s < NOW_S - 3 * 3600)
	{
		uint64_t what = draw(&world, 20);

		world.now_s += 7200 + (int64_t) draw(&world, (uint64_t) (4 * DAY_S));
		if (world.now_s > NOW_S)
			world.now_s = NOW_S;
		if (what < 10)
			for (uint64_t i = draw(&world, 4); i > 0; i--)
				write_segment(&world, world.current, true);
		else if (what < 17)
			back_up(&world);
		else if (what < 19)
			fail_over(&world);
		else
			go_back(&world);
	}
	return world;
}

/* Which timeline's segment recovery to `target` reads there: the newest one on the way that has begun. */
static int
owner(const World *world, int target, uint64_t number)
{
	int line = target;

	while (world->lines[line].parent >= 0 && world->lines[line].start > number)
		line = world->lines[line].parent;
	return line;
}

/* Does recovery from that position on that timeline get to the target? */
static bool
leads_to(const World *world, int line, uint64_t position, int target)
{
	while (target != line)
	{
		uint64_t left_at = world->lines[target].left_at;

		target = world->lines[target].parent;
		if (target < 0 || (target == line && left_at < position))
			return false;
	}
	return true;
}

static bool
is_needed(const World *world, const FhaBackup *backup, FhaRetentionReason reason,
		  const FhaWalFile *file)
{
	int line = (int) backup->info.timeline - 1;
	bool is_own = reason == FHA_STAYS_PARENT ||
				  (reason == FHA_STAYS_KEPT && backup->keep == FHA_KEEP_STANDALONE);
	uint64_t number = file->log * 256 + file->segment;

	if (!backup->is_positioned || number < backup->first || (is_own && number > backup->last))
		return false;
	for (int target = 0; target < world->line_count; target++)
		if (leads_to(world, line, backup->info.end_lsn, target) &&
			owner(world, target, number) == (int) file->timeline - 1)
			return true;
	return false;
}

static void
check_object(const World *world, const Object *object, size_t *gone)
{
	const Case *one = &world->one;
	FhaObjectName name = fha_layout_parse(SERVER, object->key);
	FhaRetentionVerdict verdict = fha_retention_wal(one->plan, object->key, object->modified_s);

	if (!fha_retention_goes(verdict.reason))
		return;
	(*gone)++;
	assert_int_not_equal(name.wal.kind, FHA_WAL_HISTORY);
	for (size_t i = 0; i < fha_catalogue_count(one->catalogue); i++)
	{
		const FhaBackup *backup = fha_catalogue_backup(one->catalogue, i);
		FhaRetentionReason reason = fha_retention_backup(one->plan, i).reason;

		if (fha_retention_goes(reason) || backup->state == FHA_BACKUP_HALF ||
			(backup->state == FHA_BACKUP_DAMAGED && backup->keep == FHA_KEEP_NOT))
			continue;
		if (is_needed(world, backup, reason, &name.wal))
			fail_msg("%s goes, and %s (%s) needs it", object->key, backup->id,
					 fha_retention_reason(reason));
		if (name.wal.kind == FHA_WAL_LABEL && backup->info.timeline == name.wal.timeline &&
			backup->first == name.wal.log * 256 + name.wal.segment)
			fail_msg("%s goes, the label of %s", object->key, backup->id);
	}
}

/* What a policy promises of the backups themselves. */
static void
check_backups(const Case *one, const FhaRetentionPolicy *policy)
{
	size_t usable = 0;
	bool is_reached = false;

	for (size_t i = fha_catalogue_count(one->catalogue); i > 0; i--)
	{
		const FhaBackup *backup = fha_catalogue_backup(one->catalogue, i - 1);
		bool goes = fha_retention_goes(fha_retention_backup(one->plan, i - 1).reason);

		if (backup->state == FHA_BACKUP_RUNNING || backup->state == FHA_BACKUP_WAITING ||
			backup->keep != FHA_KEEP_NOT)
			assert_false(goes);
		if (backup->state != FHA_BACKUP_USABLE)
			continue;
		usable++;
		if (usable == 1 || (policy->count > 0 && usable <= policy->count) ||
			(policy->window_s > 0 && !is_reached) || (policy->window_s == 0 && policy->count == 0))
			assert_false(goes);
		is_reached = is_reached || backup->info.end_time_us < (NOW_S - policy->window_s) * 1000000;
	}
}

static void
check_order(const Case *one)
{
	char done[FHA_BACKUP_ID_SIZE] = "";

	for (size_t i = 0; i < fha_retention_key_count(one->plan); i++)
	{
		FhaObjectName name = fha_layout_parse(SERVER, fha_retention_key(one->plan, i));

		/* Behind a backup.info there is nothing more of that backup, nor of an older one. */
		assert_true(strcmp(name.backup_id, done) > 0);
		if (name.kind == FHA_OBJECT_BACKUP_INFO)
			(void) strcpy(done, name.backup_id);
	}
}

static Archive
remains(const Case *one)
{
	Archive archive = {0};

	for (size_t i = 0; i < one->archive.count; i++)
	{
		const Object *object = &one->archive.objects[i];
		bool goes = archive_is_wal(object) &&
					fha_retention_goes(
						fha_retention_wal(one->plan, object->key, object->modified_s).reason);

		for (size_t j = 0; j < fha_retention_key_count(one->plan) && !goes; j++)
			goes = strcmp(fha_retention_key(one->plan, j), object->key) == 0;
		if (!goes)
			archive_put(&archive, object->key, object->data, object->modified_s);
	}
	return archive;
}

/* With what is left, what was kept recovers as far as before, and nothing more goes. */
static void
check_remains(const Case *one, FhaRetentionPolicy policy)
{
	Case left = {remains(one), NULL, NULL};

	make_plan(&left, policy);
	assert_int_equal(fha_retention_key_count(left.plan), 0);
	for (size_t i = 0; i < left.archive.count; i++)
		if (archive_is_wal(&left.archive.objects[i]))
			assert_false(
				fha_retention_goes(fha_retention_wal(left.plan, left.archive.objects[i].key,
													 left.archive.objects[i].modified_s)
									   .reason));
	for (size_t i = 0; i < fha_catalogue_count(one->catalogue); i++)
	{
		const FhaBackup *before = fha_catalogue_backup(one->catalogue, i);
		const FhaBackup *after = fha_catalogue_find(left.catalogue, before->id);
		FhaRetentionReason reason = fha_retention_backup(one->plan, i).reason;
		FhaRecovery recovery_before;
		FhaRecovery recovery_after;
		bool reaches;

		if (fha_retention_goes(reason))
		{
			assert_null(after);
			continue;
		}
		/* Newer WAL may be gone that showed that some is missing. */
		if (before->state != FHA_BACKUP_DAMAGED || after->state != FHA_BACKUP_WAITING)
			assert_int_equal(after->state, before->state);
		if (before->state != FHA_BACKUP_USABLE || reason == FHA_STAYS_PARENT ||
			reason == FHA_STAYS_KEPT)
			continue;
		/* On the newest timeline its own last segment may be lost, so that it is of use on its own one alone. */
		reaches = fha_catalogue_recovery(one->catalogue, before, 0, &recovery_before);
		assert_int_equal(fha_catalogue_recovery(left.catalogue, after, 0, &recovery_after),
						 reaches);
		if (!reaches)
			continue;
		assert_int_equal(recovery_after.timeline, recovery_before.timeline);
		assert_true(recovery_after.to_lsn == recovery_before.to_lsn);
		assert_int_equal(recovery_after.has_gap, recovery_before.has_gap);
	}
	free_case(&left);
}

static void
no_kept_backup_loses_what_it_needs(void **state)
{
	size_t gone = 0;
	size_t backups_gone = 0;

	(void) state;
	for (uint64_t seed = 1; seed <= WORLDS; seed++)
	{
		World world = play(seed);
		FhaRetentionPolicy policy = {0, 0};

		if (draw(&world, 2) == 0)
			policy.window_s = (int64_t) (1 + draw(&world, 60)) * DAY_S;
		else
			policy.count = (unsigned) draw(&world, 4);
		make_plan(&world.one, policy);
		for (size_t i = 0; i < world.one.archive.count; i++)
			if (archive_is_wal(&world.one.archive.objects[i]))
				check_object(&world, &world.one.archive.objects[i], &gone);
		check_backups(&world.one, &policy);
		check_order(&world.one);
		check_remains(&world.one, policy);
		backups_gone += fha_retention_key_count(world.one.plan);
		free_case(&world.one);
	}
	/* It is of no use to keep everything. */
	assert_true(gone > WORLDS * 5);
	assert_true(backups_gone > WORLDS * 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_needs_the_newest_backup_before_it),
		cmocka_unit_test(a_count_keeps_the_newest),
		cmocka_unit_test(the_newest_usable_backup_stays),
		cmocka_unit_test(what_is_of_no_use_is_not_counted),
		cmocka_unit_test(without_a_usable_backup_no_wal_goes),
		cmocka_unit_test(what_a_person_keeps_stays),
		cmocka_unit_test(a_standalone_backup_keeps_its_own_wal),
		cmocka_unit_test(a_label_stays_with_its_backup),
		cmocka_unit_test(histories_and_strange_objects_stay),
		cmocka_unit_test(what_runs_keeps_its_wal),
		cmocka_unit_test(what_waits_for_its_wal_stays),
		cmocka_unit_test(beside_what_is_not_understood_nothing_goes),
		cmocka_unit_test(a_snapshot_stays_with_its_wal),
		cmocka_unit_test(an_incremental_backup_keeps_what_it_stands_on),
		cmocka_unit_test(a_backup_info_goes_last),
		cmocka_unit_test(other_timelines_keep_what_leads_on),
		cmocka_unit_test(reasons_are_told),
		cmocka_unit_test(no_kept_backup_loses_what_it_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
