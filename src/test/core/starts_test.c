/*
 * starts_test.c: when a stopped server is started again, and when its node counts as failing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/starts.h"

#define NOW_MS 100000

/* The pause that a failure at NOW_MS began. */
static int64_t
pause_ms(const FhaStarts *starts)
{
	return starts->start_again_at_ms - NOW_MS;
}

static FhaPgView
show(const FhaStarts *starts, int64_t now_ms)
{
	FhaPgView view = {.failed = false};

	fha_starts_show(starts, now_ms, &view);
	return view;
}

static void
each_pause_is_longer(void **state)
{
	static const int64_t wanted_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	FhaStarts starts = {.failures = 0};

	(void) state;
	for (size_t i = 0; i < sizeof(wanted_ms) / sizeof(wanted_ms[0]); i++)
	{
		fha_starts_failed(&starts, NOW_MS);
		assert_int_equal(pause_ms(&starts), wanted_ms[i]);
		assert_true(fha_starts_wait(&starts, NOW_MS + wanted_ms[i] - 1));
		assert_false(fha_starts_wait(&starts, NOW_MS + wanted_ms[i]));
	}
}

static void
s9_two_failures_in_a_row_let_others_lead(void **state)
{
	FhaStarts starts = {.failures = 0};

	(void) state;
	assert_false(show(&starts, NOW_MS).failed);
	fha_starts_failed(&starts, NOW_MS);
	assert_true(show(&starts, NOW_MS).failed);
	assert_false(show(&starts, NOW_MS).failing);
	fha_starts_failed(&starts, NOW_MS);
	assert_true(show(&starts, NOW_MS).failing);
	/* While it is tried again, it is not known to fail. */
	assert_false(show(&starts, NOW_MS + 2000).failing);
	assert_true(show(&starts, NOW_MS + 2000).failed);
	fha_starts_worked(&starts);
	assert_false(show(&starts, NOW_MS).failed);
	assert_false(show(&starts, NOW_MS).failing);
}

static void
a_server_that_was_killed_is_started_at_once(void **state)
{
	FhaStarts starts = {.failures = 0};
	FhaServerEnd killed = {.came_up = true, .ran_ms = 10};

	(void) state;
	for (int i = 0; i < 3; i++)
		assert_false(fha_starts_server_ended(&starts, &killed, NOW_MS));
	assert_false(fha_starts_wait(&starts, NOW_MS));
	assert_int_equal(starts.failures, 0);
}

static void
a_server_that_gave_up_is_started_at_once_and_then_ever_less_often(void **state)
{
	FhaStarts starts = {.failures = 0};
	FhaServerEnd gave_up = {.came_up = true, .gave_up = true, .ran_ms = 10};

	(void) state;
	assert_true(fha_starts_server_ended(&starts, &gave_up, NOW_MS));
	assert_false(fha_starts_wait(&starts, NOW_MS));
	assert_true(show(&starts, NOW_MS).failed);
	assert_false(show(&starts, NOW_MS).failing);
	assert_true(fha_starts_server_ended(&starts, &gave_up, NOW_MS));
	assert_int_equal(pause_ms(&starts), 2000);
	assert_true(show(&starts, NOW_MS).failing);
}

static void
a_server_that_never_came_up_waits(void **state)
{
	FhaStarts starts = {.failures = 0};
	FhaServerEnd lost = {.ran_ms = 10};

	(void) state;
	assert_true(fha_starts_server_ended(&starts, &lost, NOW_MS));
	assert_int_equal(pause_ms(&starts), 1000);
}

static void
a_stop_is_no_failure(void **state)
{
	FhaStarts starts = {.failures = 0};
	FhaServerEnd told = {.told = true, .gave_up = true, .ran_ms = 10};

	(void) state;
	assert_false(fha_starts_server_ended(&starts, &told, NOW_MS));
	assert_false(show(&starts, NOW_MS).failed);
	assert_false(fha_starts_wait(&starts, NOW_MS));
}

static void
a_long_run_ends_the_count(void **state)
{
	FhaStarts starts = {.failures = 0};
	FhaServerEnd ran = {.came_up = true, .gave_up = true, .ran_ms = 30000};

	(void) state;
	fha_starts_failed(&starts, NOW_MS - 60000);
	fha_starts_failed(&starts, NOW_MS - 60000);
	/* It has failed, and is started at once all the same. */
	assert_true(fha_starts_server_ended(&starts, &ran, NOW_MS));
	assert_int_equal(starts.failures, 0);
	assert_false(fha_starts_wait(&starts, NOW_MS));
	fha_starts_failed(&starts, NOW_MS);
	assert_int_equal(pause_ms(&starts), 1000);
	ran.ran_ms = 29999;
	fha_starts_worked(&starts);
	fha_starts_failed(&starts, NOW_MS);
	assert_true(fha_starts_server_ended(&starts, &ran, NOW_MS));
	assert_int_equal(pause_ms(&starts), 2000);
}

static void
a_request_ends_a_pause_once(void **state)
{
	char first[FHA_ID_SIZE] = "0123456789abcdef";
	char second[FHA_ID_SIZE] = "fedcba9876543210";
	FhaStarts starts = {.failures = 0};

	(void) state;
	fha_starts_failed(&starts, NOW_MS);
	fha_starts_heed_request(&starts, NULL);
	assert_true(fha_starts_wait(&starts, NOW_MS));
	fha_starts_heed_request(&starts, first);
	assert_false(fha_starts_wait(&starts, NOW_MS));
	assert_int_equal(starts.failures, 0);
	/* It still stands, and what it asked for has failed. */
	fha_starts_failed(&starts, NOW_MS);
	fha_starts_heed_request(&starts, first);
	assert_true(fha_starts_wait(&starts, NOW_MS));
	fha_starts_heed_request(&starts, second);
	assert_false(fha_starts_wait(&starts, NOW_MS));
}

static void
changed_settings_end_a_pause(void **state)
{
	FhaStarts starts = {.failures = 0};

	(void) state;
	fha_starts_failed(&starts, NOW_MS);
	assert_false(fha_starts_heed_settings(&starts, 0, true));
	assert_true(fha_starts_wait(&starts, NOW_MS));
	/* A job has failed, and no setting mends that. */
	assert_true(fha_starts_heed_settings(&starts, 1, false));
	assert_true(fha_starts_wait(&starts, NOW_MS));
	assert_true(fha_starts_heed_settings(&starts, 2, true));
	assert_false(fha_starts_wait(&starts, NOW_MS));
	assert_int_equal(starts.failures, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_pause_is_longer),
		cmocka_unit_test(s9_two_failures_in_a_row_let_others_lead),
		cmocka_unit_test(a_server_that_was_killed_is_started_at_once),
		cmocka_unit_test(a_server_that_gave_up_is_started_at_once_and_then_ever_less_often),
		cmocka_unit_test(a_server_that_never_came_up_waits),
		cmocka_unit_test(a_stop_is_no_failure),
		cmocka_unit_test(a_long_run_ends_the_count),
		cmocka_unit_test(a_request_ends_a_pause_once),
		cmocka_unit_test(changed_settings_end_a_pause),
	};

	return cmocka_run_group_tests_name("starts", tests, NULL, NULL);
}
