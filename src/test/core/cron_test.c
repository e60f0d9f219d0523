/*
 * cron_test.c: schedules, and when one comes next.  What follows what was taken from robfig/cron 1.2.0.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/calendar.h"
#include "core/cron.h"

/* "2026-11-30 21:05:00" */
static int64_t
seconds_of(const char *text)
{
	FhaDate date = {0};

	assert_int_equal(sscanf(text, "%d-%d-%d %d:%d:%d", &date.year, &date.month, &date.day,
							&date.hour, &date.minute, &date.second),
					 6);
	return fha_date_seconds(&date);
}

static void
expect_next(const char *schedule, const char *after, const char *expected)
{
	FhaCron cron;
	char why[FHA_SENTENCE_SIZE];
	int64_t next;

	if (!fha_cron_parse(schedule, &cron, why))
		fail_msg("%s: %s", schedule, why);
	next = fha_cron_next(&cron, seconds_of(after));
	if (expected == NULL)
		assert_true(next == -1);
	else if (next != seconds_of(expected))
		fail_msg("%s after %s: not %s", schedule, after, expected);
}

static void
fields_are_seconds_first(void **state)
{
	(void) state;
	/* A Monday. */
	expect_next("0 0 0 * * *", "2026-11-30 21:05:00", "2026-12-01 00:00:00");
	expect_next("0 0 0 * * *", "2026-12-01 00:00:00", "2026-12-02 00:00:00");
	expect_next("30 15 2 * * *", "2026-11-30 02:15:29", "2026-11-30 02:15:30");
	expect_next("30 15 2 * * *", "2026-11-30 02:15:30", "2026-12-01 02:15:30");
	expect_next("0 */15 * * * *", "2026-11-30 21:05:00", "2026-11-30 21:15:00");
	expect_next("0 */15 * * * *", "2026-11-30 21:45:00", "2026-11-30 22:00:00");
	expect_next("0 50 23 31 12 ?", "2026-12-31 23:51:00", "2027-12-31 23:50:00");
	expect_next("*/20 10-12 4 * * *", "2026-11-30 04:12:40", "2026-12-01 04:10:00");
	expect_next("5/25 * * * * *", "2026-11-30 21:05:06", "2026-11-30 21:05:30");
	expect_next("0-30/10,45 59 * * * *", "2026-11-30 21:59:30", "2026-11-30 21:59:45");
	expect_next("0-30/10,45 59 * * * *", "2026-11-30 21:59:45", "2026-11-30 22:59:00");
	expect_next(" 0\t0  0 * * * ", "2026-11-30 21:05:00", "2026-12-01 00:00:00");
	expect_next("0 0 12 * FEB-apr Wed", "2026-11-30 21:05:00", "2027-02-03 12:00:00");
	expect_next("0 0 0 1 jan *", "2026-11-30 21:05:00", "2027-01-01 00:00:00");
	/* A step that is larger than the field has its first number. */
	expect_next("0 0 0/99999 * * *", "2026-11-30 21:05:00", "2026-12-01 00:00:00");
}

static void
a_day_is_either_unless_one_is_any(void **state)
{
	(void) state;
	expect_next("0 0 0 13 * FRI", "2026-12-01 00:00:00", "2026-12-04 00:00:00");
	expect_next("0 0 0 13 * FRI", "2026-12-11 00:00:00", "2026-12-13 00:00:00");
	/* A step keeps the star: both count. */
	expect_next("0 0 0 */2 * FRI", "2026-12-01 00:00:00", "2026-12-11 00:00:00");
	expect_next("0 0 0 13 * ?", "2026-12-01 00:00:00", "2026-12-13 00:00:00");
}

static void
leap_days_are_found_and_impossible_days_are_not(void **state)
{
	(void) state;
	expect_next("0 0 0 29 2 *", "2026-11-30 21:05:00", "2028-02-29 00:00:00");
	expect_next("0 0 0 29 FEB *", "2096-03-01 00:00:00", NULL);
	expect_next("0 0 0 31 4 *", "2026-11-30 21:05:00", NULL);
	expect_next("0 0 0 1 1 *", "9999-01-01 00:00:00", NULL);
	expect_next("59 59 23 31 12 *", "9999-12-31 23:59:58", "9999-12-31 23:59:59");
	expect_next("* * * * * *", "9999-12-31 23:59:59", NULL);
}

static void
words_stand_for_schedules(void **state)
{
	static const struct
	{
		const char *word;
		const char *next;
	} words[] = {
		{"@yearly", "2027-01-01 00:00:00"},
		{"@annually", "2027-01-01 00:00:00"},
		{"@monthly", "2026-12-01 00:00:00"},
		{"@weekly", "2026-12-06 00:00:00"},
		{"@daily", "2026-12-01 00:00:00"},
		{"@midnight", "2026-12-01 00:00:00"},
		{"@hourly", "2026-11-30 22:00:00"},
		{"@every 1h", "2026-11-30 22:05:00"},
		{"@every 1h30m10s", "2026-11-30 22:35:10"},
		{"@every 1.5h", "2026-11-30 22:35:00"},
		{"@every 90s", "2026-11-30 21:06:30"},
		{"@every 100ms", "2026-11-30 21:05:01"},
		{"@every 2500ms", "2026-11-30 21:05:02"},
		{"@every 1m0.25m", "2026-11-30 21:06:15"},
		{"@every 3000000us", "2026-11-30 21:05:03"},
		{"@every 1.23456789012s", "2026-11-30 21:05:01"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		expect_next(words[i].word, "2026-11-30 21:05:00", words[i].next);
	expect_next("@every 2000000h", "9999-11-30 21:05:00", NULL);
}

static void
what_was_written_can_be_told(void **state)
{
	FhaCron cron;
	char why[FHA_SENTENCE_SIZE];

	(void) state;
	assert_true(fha_cron_parse("0 0 0 * * *", &cron, why));
	assert_int_equal(cron.field_count, 6);
	assert_true(fha_cron_parse("@daily", &cron, why));
	assert_int_equal(cron.field_count, 0);
	/* Cron's own five fields are hourly here, so that a caller may warn. */
	assert_true(fha_cron_parse("0 0 * * *", &cron, why));
	assert_int_equal(cron.field_count, 5);
	expect_next("0 0 * * *", "2026-11-30 21:05:00", "2026-11-30 22:00:00");
}

static void
an_error_names_the_field(void **state)
{
	static const struct
	{
		const char *schedule;
		const char *why;
	} bad[] = {
		{"", "the second is missing: it has six fields, which are second, minute, hour, day of the "
			 "month, "
			 "month, weekday"},
		{"0 0 0 *", "the month is missing: it has six fields, which are second, minute, hour, day "
					"of the month, "
					"month, weekday"},
		{"0 0 0 * * * *",
		 "it has more than six fields: second, minute, hour, day of the month, month, weekday"},
		{"60 0 0 * * *", "the second \"60\" is not within 0 to 59"},
		{"0 0 24 * * *", "the hour \"24\" is not within 0 to 23"},
		{"0 0 0 0 * *", "the day of the month \"0\" is not within 1 to 31"},
		{"0 0 0 32 * *", "the day of the month \"32\" is not within 1 to 31"},
		{"0 0 0 * 13 *", "the month \"13\" is not within 1 to 12"},
		{"0 0 0 * * 7", "the weekday \"7\" is not within 0 to 6"},
		{"0 0 0 * * x", "the weekday \"x\" is no number, no range, no * and no ?"},
		{"0 0 0 * mon *", "the month \"mon\" is no number, no range, no * and no ?"},
		{"0 0 -1 * * *", "the hour \"-1\" is no range of two numbers"},
		{"0 0 1-2-3 * * *", "the hour \"1-2-3\" is no range of two numbers"},
		{"0 0 5-2 * * *", "the hour \"5-2\" ends before it begins"},
		{"0 0 */0 * * *", "the hour \"*/0\" has a step that is no number from 1 on"},
		{"0 0 */x * * *", "the hour \"*/x\" has a step that is no number from 1 on"},
		{"0 0 1/2/3 * * *", "the hour \"1/2/3\" has a step that is no number from 1 on"},
		{"0 1,,2 0 * * *", "the minute \"\" is no number, no range, no * and no ?"},
		{"0 1, 0 * * *", "the minute \"\" is no number, no range, no * and no ?"},
		{"0 4294967296 0 * * *", "the minute \"4294967296\" is no number, no range, no * and no ?"},
		{"TZ=UTC 0 0 0 * * *", "the second \"TZ=UTC\" is no number, no range, no * and no ?"},
		{"@never", "\"@never\" is none of @yearly, @annually, @monthly, @weekly, @daily, "
				   "@midnight, @hourly and "
				   "@every"},
		{"@every", "\"@every\" is none of @yearly, @annually, @monthly, @weekly, @daily, "
				   "@midnight, @hourly and "
				   "@every"},
		{"@every ", "what follows @every is no length of time as 12h or 1h30m"},
		{"@every 5", "what follows @every is no length of time as 12h or 1h30m"},
		{"@every -5s", "what follows @every is no length of time as 12h or 1h30m"},
		{"@every 1d", "what follows @every is no length of time as 12h or 1h30m"},
		{"@every 1h ", "what follows @every is no length of time as 12h or 1h30m"},
		{"@every 99999999999999h", "what follows @every is no length of time as 12h or 1h30m"},
		{"@every 9999999h", "what follows @every is no length of time as 12h or 1h30m"},
	};
	FhaCron cron;
	char why[FHA_SENTENCE_SIZE];

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (fha_cron_parse(bad[i].schedule, &cron, why))
			fail_msg("\"%s\" is taken", bad[i].schedule);
		assert_string_equal(why, bad[i].why);
	}
}

static void
a_long_text_is_cut_in_the_error(void **state)
{
	FhaCron cron;
	char text[4096];
	char why[FHA_SENTENCE_SIZE];

	(void) state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(fha_cron_parse(text, &cron, why));
	assert_string_equal(
		why, "the second \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" is no number, no range, "
			 "no * and no ?");
	text[0] = '@';
	assert_false(fha_cron_parse(text, &cron, why));
	assert_true(strlen(why) < FHA_SENTENCE_SIZE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_are_seconds_first),
		cmocka_unit_test(a_day_is_either_unless_one_is_any),
		cmocka_unit_test(leap_days_are_found_and_impossible_days_are_not),
		cmocka_unit_test(words_stand_for_schedules),
		cmocka_unit_test(what_was_written_can_be_told),
		cmocka_unit_test(an_error_names_the_field),
		cmocka_unit_test(a_long_text_is_cut_in_the_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
