/*
 * archived_test.c: which WAL files are sent, held or done, and how far the archive is known to go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/archived.h"

#define SIZE (UINT64_C(16) << 20)
#define SEGMENT(n) (SIZE * (uint64_t) (n))

/* Timeline 1 was left in the middle of segment 5, timeline 3 at the end of segment 7. */
static const FhaLineageStep three[] = {
	{1, SEGMENT(5) + 100, ""},
	{3, SEGMENT(8), "3333333333333333"},
	{4, 0, "4444444444444444"},
};
static const FhaLineageStep first[] = {{1, 0, ""}};

#define OF(steps)                                             \
	(FhaLineage)                                              \
	{                                                         \
		.count = sizeof(steps) / sizeof((steps)[0]), (steps), \
	}

static FhaWalSpan
segment(uint32_t timeline, uint64_t number)
{
	return (FhaWalSpan){FHA_WAL_SEGMENT, timeline, SEGMENT(number), SEGMENT(number + 1)};
}

static FhaWalSpan
partial(uint32_t timeline, uint64_t number)
{
	FhaWalSpan file = segment(timeline, number);

	file.kind = FHA_WAL_PARTIAL;
	return file;
}

static FhaWalSpan
history(uint32_t timeline)
{
	return (FhaWalSpan){.kind = FHA_WAL_HISTORY, .timeline = timeline};
}

static FhaArchiveDuty
leader_s(FhaWalSpan file, FhaLineage own)
{
	return fha_archive_duty_of_leader(&file, own);
}

static FhaArchiveDuty
standby_s(FhaWalSpan file, FhaLineage own, FhaLineage leader, FhaPosition archived)
{
	return fha_archive_duty_of_standby(&file, own, leader, archived);
}

static void
a_leader_sends_its_own_history_s_wal(void **state)
{
	(void) state;
	assert_int_equal(leader_s(segment(1, 1), OF(first)), FHA_ARCHIVE_SEND);
	/* What is left of older timelines too. */
	assert_int_equal(leader_s(segment(1, 4), OF(three)), FHA_ARCHIVE_SEND);
	assert_int_equal(leader_s(segment(3, 5), OF(three)), FHA_ARCHIVE_SEND);
	/* One that ends where its timeline was left is whole. */
	assert_int_equal(leader_s(segment(3, 7), OF(three)), FHA_ARCHIVE_SEND);
	assert_int_equal(leader_s(segment(4, 9), OF(three)), FHA_ARCHIVE_SEND);
	assert_int_equal(leader_s(history(4), OF(three)), FHA_ARCHIVE_SEND);
	/* A number that was reserved and never led: recovery asks for each in turn. */
	assert_int_equal(leader_s(history(2), OF(three)), FHA_ARCHIVE_SEND);
}

static void
a_leader_sends_no_fork(void **state)
{
	FhaWalSpan label = {FHA_WAL_LABEL, 1, SEGMENT(5) + 50, SEGMENT(5) + 50};

	(void) state;
	/* The segment in which timeline 1 was left has, behind that, what no history has. */
	assert_int_equal(leader_s(segment(1, 5), OF(three)), FHA_ARCHIVE_DONE);
	assert_int_equal(leader_s(partial(1, 5), OF(three)), FHA_ARCHIVE_SEND);
	assert_int_equal(leader_s(segment(1, 6), OF(three)), FHA_ARCHIVE_DONE);
	assert_int_equal(leader_s(partial(1, 6), OF(three)), FHA_ARCHIVE_DONE);
	assert_int_equal(leader_s(segment(3, 8), OF(three)), FHA_ARCHIVE_DONE);
	assert_int_equal(leader_s(segment(2, 5), OF(three)), FHA_ARCHIVE_DONE);
	assert_int_equal(leader_s(label, OF(three)), FHA_ARCHIVE_SEND);
	assert_int_equal(leader_s(segment(5, 9), OF(three)), FHA_ARCHIVE_DONE);
	assert_int_equal(leader_s(history(5), OF(three)), FHA_ARCHIVE_DONE);
	label.begin = label.end = SEGMENT(5) + 100;
	assert_int_equal(leader_s(label, OF(three)), FHA_ARCHIVE_DONE);
}

static void
what_is_not_known_is_held(void **state)
{
	FhaLineage none = {.count = 0};

	(void) state;
	assert_int_equal(leader_s(segment(1, 1), none), FHA_ARCHIVE_HOLD);
	assert_int_equal(leader_s(history(1), none), FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(1, 1), none, OF(first), (FhaPosition){1, SEGMENT(9)}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(1, 1), OF(first), none, (FhaPosition){1, SEGMENT(9)}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(1, 1), OF(first), OF(first), (FhaPosition){0, 0}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(5, 9), OF(three), OF(three), (FhaPosition){4, SEGMENT(20)}),
					 FHA_ARCHIVE_HOLD);
}

static void
a_standby_holds_what_the_leader_has_not_archived(void **state)
{
	(void) state;
	assert_int_equal(standby_s(segment(1, 4), OF(first), OF(first), (FhaPosition){1, SEGMENT(4)}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(
		standby_s(segment(1, 4), OF(first), OF(first), (FhaPosition){1, SEGMENT(5) - 1}),
		FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(1, 4), OF(first), OF(first), (FhaPosition){1, SEGMENT(5)}),
					 FHA_ARCHIVE_DONE);
	/* The position of a leader before counts as far as its timeline is part of this history. */
	assert_int_equal(standby_s(segment(1, 4), OF(three), OF(three), (FhaPosition){1, SEGMENT(5)}),
					 FHA_ARCHIVE_DONE);
	assert_int_equal(standby_s(segment(3, 5), OF(three), OF(three), (FhaPosition){1, SEGMENT(9)}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(3, 5), OF(three), OF(three), (FhaPosition){3, SEGMENT(6)}),
					 FHA_ARCHIVE_DONE);
	assert_int_equal(standby_s(segment(4, 8), OF(three), OF(three), (FhaPosition){3, SEGMENT(9)}),
					 FHA_ARCHIVE_HOLD);
	/* It has come further than the history that this standby has. */
	assert_int_equal(standby_s(segment(1, 4), OF(first), OF(three), (FhaPosition){4, SEGMENT(9)}),
					 FHA_ARCHIVE_DONE);
}

static void
a_standby_s_last_segment_of_a_timeline_waits_for_the_next_timeline_s(void **state)
{
	(void) state;
	assert_int_equal(standby_s(segment(1, 5), OF(three), OF(three), (FhaPosition){1, SEGMENT(5)}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(1, 5), OF(three), OF(three), (FhaPosition){3, SEGMENT(6)}),
					 FHA_ARCHIVE_DONE);
	assert_int_equal(standby_s(partial(1, 5), OF(three), OF(three), (FhaPosition){3, SEGMENT(6)}),
					 FHA_ARCHIVE_DONE);
	/* A fork is of use to nobody. */
	assert_int_equal(standby_s(segment(1, 6), OF(three), OF(three), (FhaPosition){0, 0}),
					 FHA_ARCHIVE_DONE);
	/* It has yet to hear that the leader left its timeline there. */
	assert_int_equal(standby_s(segment(1, 5), OF(first), OF(three), (FhaPosition){4, SEGMENT(9)}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(1, 6), OF(first), OF(three), (FhaPosition){4, SEGMENT(9)}),
					 FHA_ARCHIVE_HOLD);
}

/* S7: two timelines of one number may have been promoted at the same place. */
static void
a_standby_on_a_namesake_holds(void **state)
{
	FhaLineageStep other[] = {three[0], {3, 0, "aaaaaaaaaaaaaaaa"}};
	FhaLineageStep unnamed[] = {three[0], {3, 0, ""}};
	FhaLineageStep of_1_1[] = {three[0], {3, 0, ""}};
	FhaLineageStep mine[] = {three[0], {3, 0, "3333333333333333"}};
	FhaLineageStep lacking[] = {{3, 0, ""}};
	FhaPosition archived = {3, SEGMENT(7)};

	(void) state;
	assert_int_equal(standby_s(segment(3, 6), OF(mine), OF(three), archived), FHA_ARCHIVE_DONE);
	assert_int_equal(standby_s(segment(3, 6), OF(other), OF(three), archived), FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(3, 6), OF(unnamed), OF(three), archived), FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(segment(3, 6), OF(mine), OF(of_1_1), archived), FHA_ARCHIVE_DONE);
	assert_int_equal(standby_s(segment(3, 6), OF(lacking), OF(three), archived), FHA_ARCHIVE_DONE);
}

static void
histories_are_there_before_their_timeline_s_wal(void **state)
{
	(void) state;
	assert_int_equal(standby_s(history(4), OF(three), OF(three), (FhaPosition){3, SEGMENT(7)}),
					 FHA_ARCHIVE_HOLD);
	assert_int_equal(standby_s(history(4), OF(three), OF(three), (FhaPosition){4, SEGMENT(9)}),
					 FHA_ARCHIVE_DONE);
	assert_int_equal(standby_s(history(2), OF(three), OF(three), (FhaPosition){4, SEGMENT(9)}),
					 FHA_ARCHIVE_DONE);
	assert_int_equal(standby_s(history(2), OF(three), OF(three), (FhaPosition){9, SEGMENT(9)}),
					 FHA_ARCHIVE_HOLD);
}

static bool
advances(FhaPosition *archived, FhaWalSpan file)
{
	return fha_archived_advance(archived, &file, OF(three));
}

static void
the_position_leaves_no_gap(void **state)
{
	FhaPosition archived = {0, 0};

	(void) state;
	assert_false(advances(&archived, segment(1, 3)));
	assert_int_equal(archived.timeline, 0);
	archived = (FhaPosition){1, SEGMENT(4)};
	assert_true(advances(&archived, segment(1, 4)));
	assert_int_equal(archived.lsn, SEGMENT(5));
	assert_false(advances(&archived, segment(3, 6)));
	/* The next timeline's has what the one before wrote of that segment. */
	assert_true(advances(&archived, segment(3, 5)));
	assert_int_equal(archived.timeline, 3);
	assert_int_equal(archived.lsn, SEGMENT(6));
	/* What comes late moves nothing. */
	assert_true(advances(&archived, segment(1, 2)));
	assert_int_equal(archived.lsn, SEGMENT(6));
	assert_false(advances(&archived, history(4)));
	assert_false(advances(&archived, partial(3, 6)));
	/* Behind its end a timeline has none of this history's WAL. */
	archived = (FhaPosition){1, SEGMENT(9)};
	assert_false(advances(&archived, segment(4, 8)));
	assert_true(advances(&archived, segment(3, 5)));
	assert_int_equal(archived.timeline, 3);
	archived = (FhaPosition){2, SEGMENT(9)};
	assert_false(advances(&archived, segment(3, 5)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leader_sends_its_own_history_s_wal),
		cmocka_unit_test(a_leader_sends_no_fork),
		cmocka_unit_test(what_is_not_known_is_held),
		cmocka_unit_test(a_standby_holds_what_the_leader_has_not_archived),
		cmocka_unit_test(a_standby_s_last_segment_of_a_timeline_waits_for_the_next_timeline_s),
		cmocka_unit_test(a_standby_on_a_namesake_holds),
		cmocka_unit_test(histories_are_there_before_their_timeline_s_wal),
		cmocka_unit_test(the_position_leaves_no_gap),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
