/*
 * freshness_test.c: the lag of a standby, and when it may serve reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "freshness.h"

#define LIMIT_MS 3200

static void
nothing_was_heard(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_judge(&freshness, 1000, LIMIT_MS, 5);
	assert_false(freshness.fit);
	assert_true(fha_freshness_lag_ms(&freshness, 5) == FHA_LAG_UNKNOWN);
}

static void
the_lag_is_that_of_the_newest_sample_replayed(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, LIMIT_MS, 1000);
	fha_freshness_sample(&freshness, 200, LIMIT_MS, 2000);
	fha_freshness_sample(&freshness, 300, LIMIT_MS, 3000);
	fha_freshness_judge(&freshness, 99, LIMIT_MS, 3000);
	assert_true(fha_freshness_lag_ms(&freshness, 3000) == FHA_LAG_UNKNOWN);
	fha_freshness_judge(&freshness, 250, LIMIT_MS, 3000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, 3500), 1500);
	fha_freshness_judge(&freshness, 300, LIMIT_MS, 3500);
	assert_int_equal(fha_freshness_lag_ms(&freshness, 3500), 500);
}

/* Never "received = replayed, so none". */
static void
who_hears_nothing_falls_behind(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, LIMIT_MS, 1000);
	fha_freshness_judge(&freshness, 100, LIMIT_MS, 1000);
	assert_true(freshness.fit);
	fha_freshness_judge(&freshness, 100, LIMIT_MS, 1000 + LIMIT_MS);
	assert_true(freshness.fit);
	fha_freshness_judge(&freshness, 100, LIMIT_MS, 1001 + LIMIT_MS);
	assert_false(freshness.fit);
	assert_int_equal(fha_freshness_lag_ms(&freshness, 1001 + LIMIT_MS), LIMIT_MS + 1);
}

/* The same position once more: who has it is up to date. */
static void
an_idle_leader_keeps_its_standby_fresh(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	for (int64_t now_ms = 1000; now_ms < 100 * LIMIT_MS; now_ms += 1000)
	{
		fha_freshness_sample(&freshness, 100, LIMIT_MS, now_ms);
		fha_freshness_judge(&freshness, 100, LIMIT_MS, now_ms);
		assert_true(freshness.fit);
		assert_int_equal(fha_freshness_lag_ms(&freshness, now_ms), 0);
	}
}

static void
it_comes_back_at_half_the_limit(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, LIMIT_MS, 1000);
	fha_freshness_judge(&freshness, 100, LIMIT_MS, 10000);
	assert_false(freshness.fit);
	fha_freshness_sample(&freshness, 200, LIMIT_MS, 10000);
	fha_freshness_judge(&freshness, 200, LIMIT_MS, 10001 + LIMIT_MS / 2);
	assert_false(freshness.fit);
	fha_freshness_sample(&freshness, 300, LIMIT_MS, 12000);
	fha_freshness_judge(&freshness, 300, LIMIT_MS, 12000 + LIMIT_MS / 2);
	assert_true(freshness.fit);
	fha_freshness_judge(&freshness, 300, LIMIT_MS, 12000 + LIMIT_MS);
	assert_true(freshness.fit);
}

/* Whatever is dropped of many samples makes the lag larger, by a thirty-second of the limit. */
static void
many_samples_err_to_one_side(void **state)
{
	FhaFreshness freshness = {0};
	int64_t now_ms = 1000;

	(void) state;
	for (uint64_t lsn = 1; lsn <= 3 * LIMIT_MS; lsn++, now_ms++)
	{
		int64_t lag_ms;
		/* Replay is always 1000 ms behind. */
		uint64_t replayed = lsn < 1000 ? 0 : lsn - 1000;

		fha_freshness_sample(&freshness, lsn, LIMIT_MS, now_ms);
		fha_freshness_judge(&freshness, replayed, LIMIT_MS, now_ms);
		assert_true(freshness.count <= FHA_SAMPLES_MAX);
		lag_ms = fha_freshness_lag_ms(&freshness, now_ms);
		if (replayed > 200)
			assert_in_range(lag_ms, 1000, 1000 + LIMIT_MS / 32 + 1);
	}
	/* Nothing is replayed for long, and then all at once. */
	for (uint64_t lsn = 3 * LIMIT_MS; lsn <= 9 * LIMIT_MS; lsn++, now_ms++)
	{
		fha_freshness_sample(&freshness, lsn, LIMIT_MS, now_ms);
		assert_true(freshness.count <= FHA_SAMPLES_MAX);
	}
	fha_freshness_judge(&freshness, 9 * LIMIT_MS, LIMIT_MS, now_ms);
	assert_int_equal(fha_freshness_lag_ms(&freshness, now_ms), 1);
}

/* The stream may be ahead of the record: an older position credits nothing that is not there. */
static void
an_older_position_is_no_sample(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, LIMIT_MS, 1000);
	fha_freshness_sample(&freshness, 50, LIMIT_MS, 2000);
	fha_freshness_judge(&freshness, 60, LIMIT_MS, 2000);
	assert_true(fha_freshness_lag_ms(&freshness, 2000) == FHA_LAG_UNKNOWN);
	fha_freshness_judge(&freshness, 100, LIMIT_MS, 2000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, 2000), 1000);
}

/* What the one before had, and nobody got, is not waited for. */
static void
another_leader_may_be_behind_the_one_before(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 900, LIMIT_MS, 1000);
	fha_freshness_new_term(&freshness);
	fha_freshness_sample(&freshness, 500, LIMIT_MS, 2000);
	fha_freshness_judge(&freshness, 500, LIMIT_MS, 2000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, 2000), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_was_heard),
		cmocka_unit_test(the_lag_is_that_of_the_newest_sample_replayed),
		cmocka_unit_test(who_hears_nothing_falls_behind),
		cmocka_unit_test(an_idle_leader_keeps_its_standby_fresh),
		cmocka_unit_test(it_comes_back_at_half_the_limit),
		cmocka_unit_test(many_samples_err_to_one_side),
		cmocka_unit_test(an_older_position_is_no_sample),
		cmocka_unit_test(another_leader_may_be_behind_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
