/*
 * stopped_test.c: what the data of a stopped server says of its lease, sentence by sentence of stopped.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/observe.h"
#include "core/stopped.h"

#define TIMELINE 3
#define CHECKPOINT 1000
#define REDO 900
#define END 5000

/* A primary that was killed, and had told clients of all up to acked. */
static FhaStopped
crashed(uint64_t acked)
{
	return (FhaStopped){.read = true,
						.system_identifier = 4711,
						.was_primary = true,
						.timeline = TIMELINE,
						.checkpoint = CHECKPOINT,
						.redo = REDO,
						.end_sought = true,
						.end_found = true,
						.end = {TIMELINE, END},
						.acked_counts = true,
						.acked = acked};
}

static FhaStopped
shut_down(void)
{
	FhaStopped stopped = crashed(END - 1);

	stopped.clean = true;
	return stopped;
}

static void
s2_after_a_crash_a_successor_needs_what_clients_were_told(void **state)
{
	FhaStopped stopped = crashed(END - 100);

	(void) state;
	assert_int_equal(fha_stopped_required(&stopped).lsn, END - 100);
	assert_int_equal(fha_stopped_required(&stopped).timeline, TIMELINE);
	/* Replies are sent once their record is flushed: no acknowledgement is past the end. */
	stopped.acked = END + 1;
	assert_int_equal(fha_stopped_required(&stopped).lsn, END);
}

static void
s7_without_acknowledgements_all_of_the_wal_is_needed(void **state)
{
	FhaStopped stopped = crashed(0);

	(void) state;
	assert_int_equal(fha_stopped_required(&stopped).lsn, END);
	/* Another server's page says nothing. */
	stopped = crashed(END - 100);
	stopped.acked_counts = false;
	assert_int_equal(fha_stopped_required(&stopped).lsn, END);
}

static void
s7_a_clean_stop_needs_all_of_its_wal(void **state)
{
	FhaStopped stopped = shut_down();

	(void) state;
	assert_true(fha_stopped_is_clean(&stopped));
	assert_int_equal(fha_stopped_required(&stopped).lsn, END);
}

static void
s7_clean_is_a_primary_with_all_of_its_wal_known(void **state)
{
	FhaStopped stopped = crashed(END);

	(void) state;
	assert_false(fha_stopped_is_clean(&stopped));
	/* "shut down in recovery" */
	stopped = shut_down();
	stopped.was_primary = false;
	assert_false(fha_stopped_is_clean(&stopped));
	stopped = shut_down();
	stopped.end_found = false;
	assert_false(fha_stopped_is_clean(&stopped));
	stopped = shut_down();
	stopped.end_sought = false;
	assert_false(fha_stopped_is_clean(&stopped));
}

static void
s7_an_end_that_cannot_be_read_is_further_than_any(void **state)
{
	FhaStopped stopped = crashed(0);

	(void) state;
	stopped.end_found = false;
	stopped.min_recovery = END;
	assert_true(fha_stopped_end(&stopped).lsn == FHA_LSN_UNREAD);
	assert_int_equal(fha_stopped_end(&stopped).timeline, TIMELINE);
	assert_false(fha_position_is_known(fha_stopped_end(&stopped)));
	assert_false(fha_position_is_known(fha_stopped_required(&stopped)));
	/* What clients were told is known all the same. */
	stopped.acked = END;
	assert_int_equal(fha_stopped_required(&stopped).lsn, END);
}

static void
the_end_is_not_before_what_recovery_needs(void **state)
{
	FhaStopped stopped = crashed(0);

	(void) state;
	stopped.min_recovery = END + 1;
	assert_int_equal(fha_stopped_end(&stopped).lsn, END + 1);
	assert_int_equal(fha_stopped_required(&stopped).lsn, END + 1);
}

static void
what_was_acknowledged_outlives_a_start_as_primary(void **state)
{
	FhaStopped stopped = crashed(END - 100);

	(void) state;
	assert_int_equal(fha_stopped_acked_at_start(&stopped, false), END - 100);
	assert_int_equal(fha_stopped_acked_at_start(&stopped, true), 0);
	/* All that there is counts as told. */
	stopped.acked = 0;
	assert_int_equal(fha_stopped_acked_at_start(&stopped, false), END);
}

static void
the_end_is_searched_from_where_it_is_known_to_be(void **state)
{
	FhaStopped stopped = crashed(0);
	FhaPosition recorded = {TIMELINE, 4000};

	(void) state;
	assert_int_equal(fha_stopped_search(&stopped, false, recorded).from, REDO);
	assert_int_equal(fha_stopped_search(&stopped, true, recorded).from, 4000);
	/* Another timeline's position is of other WAL. */
	recorded.timeline = TIMELINE - 1;
	assert_int_equal(fha_stopped_search(&stopped, true, recorded).from, REDO);
	recorded = (FhaPosition){TIMELINE, REDO - 1};
	assert_int_equal(fha_stopped_search(&stopped, true, recorded).from, REDO);
	stopped.min_recovery = REDO + 1;
	assert_int_equal(fha_stopped_search(&stopped, true, recorded).from, REDO + 1);
	stopped = shut_down();
	assert_int_equal(fha_stopped_search(&stopped, true, recorded).from, CHECKPOINT);
}

static void
s9_a_lease_waits_for_no_long_search(void **state)
{
	FhaStopped stopped = crashed(0);
	FhaEndSearch mine = fha_stopped_search(&stopped, true, stopped.end);
	FhaEndSearch other = fha_stopped_search(&stopped, false, stopped.end);

	(void) state;
	assert_true(mine.limit_ms < other.limit_ms);
	/* The release goes with the end; without a lease nothing keeps a node from stopping. */
	assert_false(mine.ends_at_stop);
	assert_true(other.ends_at_stop);
}

static void
s7_what_an_interrupted_promotion_left_does_not_count(void **state)
{
	FhaStopped stopped = crashed(0);

	(void) state;
	assert_true(fha_stopped_newest(&stopped) == UINT32_MAX);
	stopped.promoting_from = TIMELINE;
	assert_int_equal(fha_stopped_newest(&stopped), TIMELINE);
	/* The control file knows the timeline of the last checkpoint: a standby may have gone on to a later one ... */
	stopped.promoting_from = TIMELINE + 2;
	assert_int_equal(fha_stopped_newest(&stopped), TIMELINE + 2);
	assert_int_equal(fha_stopped_search(&stopped, true, stopped.end).newest, TIMELINE + 2);
	/* ... and a mark that stayed behind takes back nothing. */
	stopped.promoting_from = TIMELINE - 1;
	assert_int_equal(fha_stopped_newest(&stopped), TIMELINE);
}

static void
data_is_read_when_it_is_needed(void **state)
{
	FhaStopped stopped = {.read = false};

	(void) state;
	assert_int_equal(fha_stopped_task(&stopped, false, false, false, false), FHA_READ_CONTROL);
	assert_int_equal(fha_stopped_task(&stopped, true, false, false, true), FHA_READ_NOTHING);
	assert_int_equal(fha_stopped_task(&stopped, true, true, false, false), FHA_READ_NOTHING);
	/* What is to be replaced need not be readable. */
	assert_int_equal(fha_stopped_task(&stopped, true, false, true, false), FHA_READ_NOTHING);
	stopped.read = true;
	assert_int_equal(fha_stopped_task(&stopped, false, false, false, false), FHA_READ_NOTHING);
	assert_int_equal(fha_stopped_task(&stopped, true, true, false, false), FHA_READ_NOTHING);
	assert_int_equal(fha_stopped_task(&stopped, true, false, false, true), FHA_READ_END);
	stopped.end_sought = true;
	assert_int_equal(fha_stopped_task(&stopped, true, false, false, false), FHA_READ_NOTHING);
	stopped = (FhaStopped){.read = true, .empty = true};
	assert_int_equal(fha_stopped_task(&stopped, true, false, false, false), FHA_READ_NOTHING);
	stopped = (FhaStopped){.read = true, .damaged = true};
	assert_int_equal(fha_stopped_task(&stopped, true, false, false, false), FHA_READ_NOTHING);
}

/* Into a view as a host begins it. */
static FhaPgView
show(const FhaStopped *stopped, bool replaced)
{
	FhaPgView view = {.supervised = true, .state = FHA_PG_BUSY};

	fha_stopped_show(stopped, replaced, &view);
	assert_true(view.supervised);
	return view;
}

static void
data_that_cannot_be_read_releases_nothing(void **state)
{
	FhaStopped stopped = {.read = false};
	FhaPgView view = show(&stopped, false);

	(void) state;
	assert_int_equal(view.state, FHA_PG_BUSY);
	assert_int_equal(view.position.timeline, 0);
	view = show(&stopped, true);
	assert_int_equal(view.state, FHA_PG_DOWN);
	assert_int_equal(view.position.timeline, 0);
	assert_false(view.empty);
}

static void
no_position_is_told_of_unusable_data(void **state)
{
	FhaStopped stopped = crashed(0);
	FhaPgView view;

	(void) state;
	stopped.damaged = true;
	view = show(&stopped, false);
	assert_int_equal(view.state, FHA_PG_DOWN);
	assert_true(view.damaged);
	assert_int_equal(view.position.timeline, 0);
	assert_true(view.system_identifier == 0);
	stopped.empty = true;
	view = show(&stopped, false);
	assert_true(view.empty);
	assert_false(view.damaged);
}

static void
a_view_has_what_a_release_is_written_with(void **state)
{
	FhaStopped stopped = crashed(END - 100);
	FhaPgView view;

	(void) state;
	stopped.lineage_count = 2;
	stopped.lineage[0] = (FhaLineageStep){.timeline = TIMELINE - 1, .end = 70};
	stopped.lineage[1] = (FhaLineageStep){.timeline = TIMELINE, .id = "00000000000000a5"};
	stopped.lacking = 60;
	stopped.end_sought = false;
	view = show(&stopped, false);
	assert_int_equal(view.state, FHA_PG_DOWN);
	assert_true(view.system_identifier == 4711);
	assert_int_equal(view.position.timeline, 0);
	assert_int_equal(view.origin.timeline, 0);
	assert_int_equal(view.lineage_count, 0);
	stopped.end_sought = true;
	view = show(&stopped, false);
	assert_int_equal(view.position.lsn, END);
	assert_int_equal(view.required.lsn, END - 100);
	assert_int_equal(view.origin.lsn, 70);
	assert_int_equal(view.lineage_count, 2);
	assert_string_equal(view.lineage[1].id, "00000000000000a5");
	assert_int_equal(view.lacking, 60);
	assert_false(view.clean);
	stopped = shut_down();
	view = show(&stopped, false);
	assert_int_equal(view.required.lsn, END);
	assert_true(view.clean);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s2_after_a_crash_a_successor_needs_what_clients_were_told),
		cmocka_unit_test(s7_without_acknowledgements_all_of_the_wal_is_needed),
		cmocka_unit_test(s7_a_clean_stop_needs_all_of_its_wal),
		cmocka_unit_test(s7_clean_is_a_primary_with_all_of_its_wal_known),
		cmocka_unit_test(s7_an_end_that_cannot_be_read_is_further_than_any),
		cmocka_unit_test(the_end_is_not_before_what_recovery_needs),
		cmocka_unit_test(what_was_acknowledged_outlives_a_start_as_primary),
		cmocka_unit_test(the_end_is_searched_from_where_it_is_known_to_be),
		cmocka_unit_test(s9_a_lease_waits_for_no_long_search),
		cmocka_unit_test(s7_what_an_interrupted_promotion_left_does_not_count),
		cmocka_unit_test(data_is_read_when_it_is_needed),
		cmocka_unit_test(data_that_cannot_be_read_releases_nothing),
		cmocka_unit_test(no_position_is_told_of_unusable_data),
		cmocka_unit_test(a_view_has_what_a_release_is_written_with),
	};

	return cmocka_run_group_tests_name("stopped", tests, NULL, NULL);
}
