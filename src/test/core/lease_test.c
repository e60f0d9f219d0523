/*
 * lease_test.c: S1, one writer: the arithmetic of lease.h, sentence by sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/lease.h"

#define DEADLINE_MS 2000
#define DURATION_MS 3000

/* What an observer knows that received version "7", which asks for DURATION_MS, at 1000. */
static FhaWatch
watch_since_1000(void)
{
	FhaWatch watch = {.seen = false};

	fha_watch_saw(&watch, "7", "7", DURATION_MS, 1000);
	return watch;
}

/* A holder whose renewal, sent at 1000, is confirmed. */
static FhaTenure
tenure_since_1000(void)
{
	FhaTenure tenure = {.write_ends_at_ms = 0};

	fha_tenure_confirm(&tenure, 1000, DEADLINE_MS, DURATION_MS);
	return tenure;
}

static void
s1_nothing_seen_never_lapses(void **state)
{
	FhaWatch watch = {.seen = false};

	(void) state;
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), INT64_MAX);
	assert_false(fha_watch_lapsed(&watch, 0, INT64_MAX - 1));
}

static void
s1_watched_from_the_receipt_of_the_answer(void **state)
{
	FhaWatch watch = watch_since_1000();

	(void) state;
	assert_int_equal(watch.last_sign_at_ms, 1000);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 1000 + DURATION_MS);
	assert_false(fha_watch_lapsed(&watch, 0, 1000 + DURATION_MS - 1));
	assert_true(fha_watch_lapsed(&watch, 0, 1000 + DURATION_MS));
}

static void
s1_the_longer_of_both_durations(void **state)
{
	FhaWatch watch = watch_since_1000();

	(void) state;
	assert_int_equal(fha_watch_lapses_at_ms(&watch, DURATION_MS - 1), 1000 + DURATION_MS);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, DURATION_MS + 1), 1000 + DURATION_MS + 1);
	assert_false(fha_watch_lapsed(&watch, 15000, 15999));
	assert_true(fha_watch_lapsed(&watch, 15000, 16000));
}

static void
s1_seeing_the_same_again_neither_restarts_nor_shortens(void **state)
{
	FhaWatch watch = watch_since_1000();

	(void) state;
	for (int64_t now_ms = 1001; now_ms < 1000 + DURATION_MS; now_ms += 100)
		fha_watch_saw(&watch, "7", "7", DURATION_MS, now_ms);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 1000 + DURATION_MS);
}

static void
s1_another_sign_restarts_the_watch(void **state)
{
	FhaWatch watch = watch_since_1000();

	(void) state;
	fha_watch_saw(&watch, "8", "8", DURATION_MS, 3999);
	assert_false(fha_watch_lapsed(&watch, 0, 1000 + DURATION_MS));
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 3999 + DURATION_MS);
	/* Signs are only equal or not: one that comes back was not unchanged. */
	fha_watch_saw(&watch, "7", "7", DURATION_MS, 5000);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 5000 + DURATION_MS);
	/* A prefix is another sign. */
	fha_watch_saw(&watch, "77", "77", DURATION_MS, 6000);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 6000 + DURATION_MS);
	fha_watch_saw(&watch, "7", "7", DURATION_MS, 7000);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 7000 + DURATION_MS);
}

/* Whoever else writes into the record: an operator, another tool. */
static void
s1_another_version_is_no_sign_of_life(void **state)
{
	FhaWatch watch = watch_since_1000();

	(void) state;
	fha_watch_saw(&watch, "8", "7", DURATION_MS, 3999);
	assert_string_equal(watch.version, "8");
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 1000 + DURATION_MS);
}

/* A lock that was restored counts its versions over again. */
static void
s1_the_same_version_with_another_sign_restarts_the_watch(void **state)
{
	FhaWatch watch = watch_since_1000();

	(void) state;
	fha_watch_saw(&watch, "7", "8", DURATION_MS, 3999);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 3999 + DURATION_MS);
}

static void
s1_the_newest_recorded_duration_counts(void **state)
{
	FhaWatch watch = watch_since_1000();

	(void) state;
	fha_watch_saw(&watch, "8", "8", 15000, 2000);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, DURATION_MS), 17000);
	fha_watch_saw(&watch, "9", "9", 500, 2500);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 3000);
}

static void
s1_an_absent_record_is_observed_just_as_long(void **state)
{
	FhaWatch watch = {.seen = false};

	(void) state;
	fha_watch_saw(&watch, "", "", 0, 1000);
	assert_true(watch.seen);
	assert_true(watch.absent);
	assert_false(fha_watch_lapsed(&watch, DURATION_MS, 1000 + DURATION_MS - 1));
	assert_true(fha_watch_lapsed(&watch, DURATION_MS, 1000 + DURATION_MS));
	/* Coming and going are changes. */
	fha_watch_saw(&watch, "1", "1", DURATION_MS, 2000);
	assert_false(watch.absent);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, 0), 2000 + DURATION_MS);
	fha_watch_saw(&watch, "", "", 0, 3000);
	assert_true(watch.absent);
	assert_int_equal(fha_watch_lapses_at_ms(&watch, DURATION_MS), 3000 + DURATION_MS);
}

/* Cut short it could look unchanged while it changes: it must not lapse instead. */
static void
s1_an_overlong_version_never_lapses(void **state)
{
	FhaWatch watch = {.seen = false};
	char version[FHA_VERSION_SIZE + 2];

	(void) state;
	memset(version, '7', sizeof(version));
	version[FHA_VERSION_SIZE - 1] = '\0';
	fha_watch_saw(&watch, version, version, DURATION_MS, 1000);
	fha_watch_saw(&watch, version, version, DURATION_MS, 2000);
	assert_int_equal(watch.last_sign_at_ms, 1000);
	memset(version, '7', sizeof(version));
	version[sizeof(version) - 1] = '\0';
	fha_watch_saw(&watch, version, version, DURATION_MS, 3000);
	version[sizeof(version) - 2] = '8';
	fha_watch_saw(&watch, version, version, DURATION_MS, 4000);
	assert_int_equal(watch.last_sign_at_ms, 4000);
	assert_int_equal(strlen(watch.version), FHA_VERSION_SIZE - 1);
}

static void
s1_zeroed_holds_nothing(void **state)
{
	FhaTenure tenure = {.write_ends_at_ms = 0};

	(void) state;
	assert_false(fha_tenure_is_safe(&tenure, 0));
	assert_false(fha_tenure_is_safe(&tenure, 1));
}

static void
s1_acknowledgements_are_counted_from_the_sending(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	assert_int_equal(tenure.write_ends_at_ms, 1000 + DEADLINE_MS);
	assert_true(fha_tenure_is_safe(&tenure, 1000 + DEADLINE_MS - 1));
	assert_false(fha_tenure_is_safe(&tenure, 1000 + DEADLINE_MS));
}

/* Only a confirmed renewal extends; what a GET leads to is fha_watch_saw, and that is another's. */
static void
s1_a_get_never_extends(void **state)
{
	struct
	{
		FhaTenure tenure;
		FhaWatch watch;
	} holder = {.tenure = tenure_since_1000(), .watch = watch_since_1000()};
	FhaTenure before = holder.tenure;

	(void) state;
	for (int64_t now_ms = 1000; now_ms < 1000 + 2 * DEADLINE_MS; now_ms += 50)
		fha_watch_saw(&holder.watch, "7", now_ms % 100 == 0 ? "7" : "8", 15000, now_ms);
	assert_memory_equal(&holder.tenure, &before, sizeof(before));
	assert_false(fha_tenure_is_safe(&holder.tenure, 1000 + DEADLINE_MS));
}

/* S1's exception: a timed-out PUT that a GET shows to have arrived counts from its own sending. */
static void
s1_a_late_confirmation_counts_from_its_own_sending(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	fha_tenure_confirm(&tenure, 1500, DEADLINE_MS, DURATION_MS);
	assert_int_equal(tenure.write_ends_at_ms, 1500 + DEADLINE_MS);
	/* Confirmations in the wrong order take nothing back. */
	fha_tenure_confirm(&tenure, 1200, DEADLINE_MS, DURATION_MS);
	assert_int_equal(tenure.write_ends_at_ms, 1500 + DEADLINE_MS);
}

static void
s1_shut_stays_shut_until_a_renewal_sent_later(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	fha_tenure_shut(&tenure, 1500);
	assert_false(fha_tenure_is_safe(&tenure, 1500));
	/* Sent before it was shut, or in the same millisecond: confirmed later, it opens nothing. */
	fha_tenure_confirm(&tenure, 1400, DEADLINE_MS, DURATION_MS);
	assert_false(fha_tenure_is_safe(&tenure, 1501));
	fha_tenure_confirm(&tenure, 1500, DEADLINE_MS, DURATION_MS);
	assert_false(fha_tenure_is_safe(&tenure, 1501));
	fha_tenure_confirm(&tenure, 1501, DEADLINE_MS, DURATION_MS);
	assert_true(fha_tenure_is_safe(&tenure, 1502));
	assert_int_equal(tenure.write_ends_at_ms, 1501 + DEADLINE_MS);
}

static void
s1_a_raised_deadline_waits_for_the_old_duration(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	/* Recorded 15 s from 2000 on; until 5000 somebody may still count by the old 3 s. */
	fha_tenure_confirm(&tenure, 2000, 10000, 15000);
	assert_int_equal(tenure.write_ends_at_ms, 2000 + DEADLINE_MS);
	fha_tenure_confirm(&tenure, 2000 + DURATION_MS - 1, 10000, 15000);
	assert_int_equal(tenure.write_ends_at_ms, 2000 + DURATION_MS - 1 + DEADLINE_MS);
	fha_tenure_confirm(&tenure, 2000 + DURATION_MS, 10000, 15000);
	assert_int_equal(tenure.write_ends_at_ms, 2000 + DURATION_MS + 10000);
}

static void
s1_raised_twice_waits_twice(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	fha_tenure_confirm(&tenure, 2000, 4000, 6000);
	fha_tenure_confirm(&tenure, 3000, 10000, 15000);
	/* From 3000 on the old duration is the 6 s of the first raise. */
	fha_tenure_confirm(&tenure, 8999, 10000, 15000);
	assert_int_equal(tenure.write_ends_at_ms, 8999 + DEADLINE_MS);
	fha_tenure_confirm(&tenure, 9000, 10000, 15000);
	assert_int_equal(tenure.write_ends_at_ms, 19000);
}

static void
s1_a_raise_within_the_same_duration_counts_at_once(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	fha_tenure_confirm(&tenure, 1500, 2500, DURATION_MS);
	assert_int_equal(tenure.write_ends_at_ms, 4000);
}

static void
s1_a_lowered_deadline_counts_at_once(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	fha_tenure_confirm(&tenure, 2500, 1000, DURATION_MS);
	assert_int_equal(tenure.write_ends_at_ms, 3500);
	fha_tenure_confirm(&tenure, 3500, 1000, DURATION_MS);
	assert_int_equal(tenure.write_ends_at_ms, 4500);
}

/* Whoever reads the shorter duration waits no longer than that from the sending on. */
static void
s1_a_lowered_duration_takes_back_what_was_allowed(void **state)
{
	FhaTenure tenure = {.write_ends_at_ms = 0};

	(void) state;
	fha_tenure_confirm(&tenure, 1000, 10000, 15000);
	fha_tenure_confirm(&tenure, 1500, DEADLINE_MS, DURATION_MS);
	assert_true(tenure.write_ends_at_ms <= 1500 + DURATION_MS);
	assert_true(fha_tenure_is_safe(&tenure, 1500 + DEADLINE_MS - 1));
}

/* Settings may change between a renewal's sending and its confirmation. */
static void
s1_no_deadline_reaches_the_recorded_duration(void **state)
{
	FhaTenure tenure = tenure_since_1000();
	FhaTenure fresh = {.write_ends_at_ms = 0};

	(void) state;
	fha_tenure_confirm(&tenure, 1500, 10000, DURATION_MS);
	assert_true(tenure.write_ends_at_ms < 1500 + DURATION_MS);
	fha_tenure_confirm(&fresh, 1500, DURATION_MS, DURATION_MS);
	assert_true(fresh.write_ends_at_ms < 1500 + DURATION_MS);
}

static void
s1_the_end_forgets(void **state)
{
	FhaTenure tenure = {.write_ends_at_ms = 0};

	(void) state;
	fha_tenure_confirm(&tenure, 1000, 10000, 15000);
	fha_tenure_end(&tenure, 2000);
	assert_false(fha_tenure_is_safe(&tenure, 2000));
	/* What was sent in the old tenure opens nothing in the new one. */
	fha_tenure_confirm(&tenure, 2000, 10000, 15000);
	assert_false(fha_tenure_is_safe(&tenure, 2001));
	fha_tenure_end(&tenure, 2500);
	/* A new tenure begins with its own settings: none of the old one is waited for. */
	fha_tenure_confirm(&tenure, 3000, DEADLINE_MS, DURATION_MS);
	assert_int_equal(tenure.write_ends_at_ms, 3000 + DEADLINE_MS);
	fha_tenure_end(&tenure, 4000);
	fha_tenure_confirm(&tenure, 4500, 10000, 15000);
	assert_int_equal(tenure.write_ends_at_ms, 14500);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/*
 * S1 as a whole: whatever an operator does to the settings, no observer of the last record may
 * consider the holder gone before the holder has stopped acknowledging.
 */
static void
s1_no_reload_makes_two_writers(void **state)
{
	uint32_t seed = 1;

	(void) state;
	for (int run = 0; run < 2000; run++)
	{
		FhaTenure tenure = {.write_ends_at_ms = 0};
		int64_t sent_at_ms = 1;
		int64_t duration_ms = 100;
		int64_t renew_deadline_ms = 50;

		for (int renewal = 0; renewal < 50; renewal++)
		{
			FhaWatch watch = {.seen = false};

			sent_at_ms += 1 + next_random(&seed) % 60;
			if (next_random(&seed) % 4 == 0)
			{
				duration_ms = 10 + next_random(&seed) % 200;
				renew_deadline_ms = 1 + next_random(&seed) % (duration_ms - 1);
			}
			if (next_random(&seed) % 8 == 0)
				fha_tenure_shut(&tenure, sent_at_ms - 1);
			fha_tenure_confirm(&tenure, sent_at_ms, renew_deadline_ms, duration_ms);
			/* The fastest of observers: it has the answer at once, and no patience of its own. */
			fha_watch_saw(&watch, "1", "1", duration_ms, sent_at_ms);
			if (fha_tenure_is_safe(&tenure, fha_watch_lapses_at_ms(&watch, 0)))
				fail_msg("run %d, renewal %d: sent at %lld with duration %lld, open until %lld",
						 run, renewal, (long long) sent_at_ms, (long long) duration_ms,
						 (long long) tenure.write_ends_at_ms);
		}
	}
}

static void
s10_a_promise_counts_from_its_asking(void **state)
{
	FhaTenure tenure = tenure_since_1000();

	(void) state;
	fha_tenure_promised(&tenure, 900);
	assert_int_equal(tenure.write_ends_at_ms, 1000 + DEADLINE_MS);
	assert_false(tenure.promised);
	fha_tenure_promised(&tenure, 5000);
	assert_int_equal(tenure.write_ends_at_ms, 5000 + DEADLINE_MS);
	assert_true(tenure.promised);
	/* A renewal that was sent before it changes nothing; one after it does. */
	fha_tenure_confirm(&tenure, 4000, DEADLINE_MS, DURATION_MS);
	assert_true(tenure.promised);
	fha_tenure_confirm(&tenure, 5500, DEADLINE_MS, DURATION_MS);
	assert_false(tenure.promised);
	assert_int_equal(tenure.write_ends_at_ms, 5500 + DEADLINE_MS);
}

static void
s10_no_promise_opens_what_was_shut_or_never_held(void **state)
{
	FhaTenure tenure = tenure_since_1000();
	FhaTenure nothing = {.write_ends_at_ms = 0};

	(void) state;
	fha_tenure_promised(&nothing, 1000);
	assert_int_equal(nothing.write_ends_at_ms, 0);
	fha_tenure_shut(&tenure, 1500);
	fha_tenure_promised(&tenure, 1500);
	assert_int_equal(tenure.write_ends_at_ms, 0);
	fha_tenure_end(&tenure, 1600);
	fha_tenure_promised(&tenure, 2000);
	assert_int_equal(tenure.write_ends_at_ms, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s1_nothing_seen_never_lapses),
		cmocka_unit_test(s1_watched_from_the_receipt_of_the_answer),
		cmocka_unit_test(s1_the_longer_of_both_durations),
		cmocka_unit_test(s1_seeing_the_same_again_neither_restarts_nor_shortens),
		cmocka_unit_test(s1_another_sign_restarts_the_watch),
		cmocka_unit_test(s1_another_version_is_no_sign_of_life),
		cmocka_unit_test(s1_the_same_version_with_another_sign_restarts_the_watch),
		cmocka_unit_test(s1_the_newest_recorded_duration_counts),
		cmocka_unit_test(s1_an_absent_record_is_observed_just_as_long),
		cmocka_unit_test(s1_an_overlong_version_never_lapses),
		cmocka_unit_test(s1_zeroed_holds_nothing),
		cmocka_unit_test(s1_acknowledgements_are_counted_from_the_sending),
		cmocka_unit_test(s1_a_get_never_extends),
		cmocka_unit_test(s1_a_late_confirmation_counts_from_its_own_sending),
		cmocka_unit_test(s1_shut_stays_shut_until_a_renewal_sent_later),
		cmocka_unit_test(s1_a_raised_deadline_waits_for_the_old_duration),
		cmocka_unit_test(s1_raised_twice_waits_twice),
		cmocka_unit_test(s1_a_raise_within_the_same_duration_counts_at_once),
		cmocka_unit_test(s1_a_lowered_deadline_counts_at_once),
		cmocka_unit_test(s1_a_lowered_duration_takes_back_what_was_allowed),
		cmocka_unit_test(s1_no_deadline_reaches_the_recorded_duration),
		cmocka_unit_test(s1_the_end_forgets),
		cmocka_unit_test(s1_no_reload_makes_two_writers),
		cmocka_unit_test(s10_a_promise_counts_from_its_asking),
		cmocka_unit_test(s10_no_promise_opens_what_was_shut_or_never_held),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
