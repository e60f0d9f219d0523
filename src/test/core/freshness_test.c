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

#include "core/freshness.h"

#define LIMIT_MS 3200

/* All of that is replayed. */
static void
judge(FhaFreshness *freshness, uint64_t replayed, int64_t now_ms)
{
	const uint64_t reached[FHA_STAGES] = {replayed, replayed, replayed};

	fha_freshness_reached(freshness, reached);
	fha_freshness_judge(freshness, LIMIT_MS, now_ms);
}

static void
nothing_was_heard(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	judge(&freshness, 1000, 5);
	assert_false(freshness.fit);
	assert_true(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 5) == FHA_LAG_UNKNOWN);
}

static void
the_lag_is_that_of_the_newest_sample_replayed(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, 1000);
	fha_freshness_sample(&freshness, 200, 2000);
	fha_freshness_sample(&freshness, 300, 3000);
	judge(&freshness, 99, 3000);
	assert_true(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 3000) == FHA_LAG_UNKNOWN);
	judge(&freshness, 250, 3000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 3500), 1500);
	judge(&freshness, 300, 3500);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 3500), 500);
}

/* Never "received = replayed, so none". */
static void
who_hears_nothing_falls_behind(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, 1000);
	judge(&freshness, 100, 1000);
	assert_true(freshness.fit);
	judge(&freshness, 100, 1000 + LIMIT_MS);
	assert_true(freshness.fit);
	judge(&freshness, 100, 1001 + LIMIT_MS);
	assert_false(freshness.fit);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 1001 + LIMIT_MS), LIMIT_MS + 1);
}

/* The same position once more: who has it is up to date. */
static void
an_idle_leader_keeps_its_standby_fresh(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	for (int64_t now_ms = 1000; now_ms < 100 * LIMIT_MS; now_ms += 1000)
	{
		fha_freshness_sample(&freshness, 100, now_ms);
		judge(&freshness, 100, now_ms);
		assert_true(freshness.fit);
		assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, now_ms), 0);
	}
}

static void
it_comes_back_at_half_the_limit(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, 1000);
	judge(&freshness, 100, 10000);
	assert_false(freshness.fit);
	fha_freshness_sample(&freshness, 200, 10000);
	judge(&freshness, 200, 10001 + LIMIT_MS / 2);
	assert_false(freshness.fit);
	fha_freshness_sample(&freshness, 300, 12000);
	judge(&freshness, 300, 12000 + LIMIT_MS / 2);
	assert_true(freshness.fit);
	judge(&freshness, 300, 12000 + LIMIT_MS);
	assert_true(freshness.fit);
}

/* Each of the three has its own age. */
static void
what_is_written_flushed_and_replayed_is_kept_apart(void **state)
{
	FhaFreshness freshness = {0};
	const uint64_t paused[FHA_STAGES] = {300, 200, 100};
	const uint64_t replayed_alone[FHA_STAGES] = {0, 0, 300};

	(void) state;
	fha_freshness_sample(&freshness, 100, 1000);
	fha_freshness_sample(&freshness, 200, 2000);
	fha_freshness_sample(&freshness, 300, 3000);
	fha_freshness_reached(&freshness, paused);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_WRITTEN, 9000), 6000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_FLUSHED, 9000), 7000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 9000), 8000);
	/* What is replayed was written, whatever the receiver says of itself: it may have begun anew. */
	fha_freshness_reached(&freshness, replayed_alone);
	for (int stage = 0; stage < FHA_STAGES; stage++)
		assert_int_equal(fha_freshness_lag_ms(&freshness, (FhaStage) stage, 9000), 6000);
	/* Nothing takes an age back. */
	fha_freshness_reached(&freshness, paused);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 9000), 6000);
}

/* None while it has everything and hears the leader; then all the time since, at once. */
static void
what_is_shown_is_none_and_then_the_age(void **state)
{
	(void) state;
	assert_int_equal(fha_lag_shown_ms(1000, 4000, 1000), 0);
	assert_int_equal(fha_lag_shown_ms(1000, 4000, 4000), 0);
	assert_int_equal(fha_lag_shown_ms(1000, 4000, 4001), 3001);
	assert_int_equal(fha_lag_shown_ms(1000, 0, 1500), 500);
	assert_int_equal(fha_lag_shown_ms(1000, 0, 900), 0);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t
random_below(uint64_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

/* By all samples there ever were. */
static int64_t
exact_lag_ms(const FhaSample *all, size_t count, uint64_t reached, int64_t now_ms)
{
	int64_t lag_ms = FHA_LAG_UNKNOWN;

	for (size_t i = 0; i < count && all[i].lsn <= reached; i++)
		lag_ms = now_ms - all[i].at_ms;
	return lag_ms;
}

/*
 * Whatever the leader and its standby do: no stage's lag is ever told smaller than it is, nor
 * larger than by a part of itself, for few samples are kept of many.
 */
static void
a_lag_errs_to_one_side_and_by_a_part_of_itself(void **state)
{
	static FhaSample all[3000];

	(void) state;
	for (int round = 0; round < 20; round++)
	{
		FhaFreshness freshness = {0};
		size_t count = 0;
		uint64_t leader = 1000;
		uint64_t reached[FHA_STAGES] = {0, 0, 0};
		int64_t now_ms = 1000;
		bool stalled = false;

		for (int step = 0; step < 3000; step++)
		{
			uint64_t before;

			now_ms += (int64_t) random_below(1000);
			if (random_below(4) != 0)
				leader += random_below(100);
			if (count == 0 || leader > all[count - 1].lsn)
				all[count++] = (FhaSample){leader, now_ms};
			else
				all[count - 1].at_ms = now_ms;
			fha_freshness_sample(&freshness, leader, now_ms);
			assert_true(freshness.count <= FHA_SAMPLES_MAX);
			if (random_below(300) == 0)
				stalled = !stalled;
			before = leader;
			for (int stage = 0; stage < FHA_STAGES; stage++)
			{
				if (stage != FHA_REPLAYED || !stalled)
					reached[stage] += random_below(before - reached[stage] + 1);
				before = reached[stage];
			}
			fha_freshness_reached(&freshness, reached);
			for (int stage = 0; stage < FHA_STAGES; stage++)
			{
				int64_t exact = exact_lag_ms(all, count, reached[stage], now_ms);
				int64_t told = fha_freshness_lag_ms(&freshness, (FhaStage) stage, now_ms);

				if (told < exact || (told != FHA_LAG_UNKNOWN && told > exact + exact / 2))
					fail_msg("round %d, step %d, stage %d: %lld told, %lld exact", round, step,
							 stage, (long long) told, (long long) exact);
			}
		}
	}
}

/* The stream may be ahead of the record: an older position credits nothing that is not there. */
static void
an_older_position_is_no_sample(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 100, 1000);
	fha_freshness_sample(&freshness, 50, 2000);
	judge(&freshness, 60, 2000);
	assert_true(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 2000) == FHA_LAG_UNKNOWN);
	judge(&freshness, 100, 2000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 2000), 1000);
}

/* What the one before had, and nobody got, is not waited for. */
static void
another_leader_may_be_behind_the_one_before(void **state)
{
	FhaFreshness freshness = {0};

	(void) state;
	fha_freshness_sample(&freshness, 900, 1000);
	fha_freshness_new_term(&freshness);
	fha_freshness_sample(&freshness, 500, 2000);
	judge(&freshness, 500, 2000);
	assert_int_equal(fha_freshness_lag_ms(&freshness, FHA_REPLAYED, 2000), 0);
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
		cmocka_unit_test(what_is_written_flushed_and_replayed_is_kept_apart),
		cmocka_unit_test(a_lag_errs_to_one_side_and_by_a_part_of_itself),
		cmocka_unit_test(what_is_shown_is_none_and_then_the_age),
		cmocka_unit_test(an_older_position_is_no_sample),
		cmocka_unit_test(another_leader_may_be_behind_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
