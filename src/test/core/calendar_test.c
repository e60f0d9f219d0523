/*
 * calendar_test.c: dates and seconds since 1970.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/calendar.h"

static void
expect_as_libc(int64_t seconds)
{
	time_t time = (time_t) seconds;
	struct tm tm;
	FhaDate date = fha_date_of(seconds);

	assert_non_null(gmtime_r(&time, &tm));
	assert_int_equal(date.year, tm.tm_year + 1900);
	assert_int_equal(date.month, tm.tm_mon + 1);
	assert_int_equal(date.day, tm.tm_mday);
	assert_int_equal(date.hour, tm.tm_hour);
	assert_int_equal(date.minute, tm.tm_min);
	assert_int_equal(date.second, tm.tm_sec);
	assert_int_equal(date.weekday, tm.tm_wday);
	assert_true(fha_date_is_valid(&date));
	assert_true(fha_date_seconds(&date) == seconds);
}

static void
dates_are_those_of_libc(void **state)
{
	static const int64_t known[] = {
		FHA_DATE_FIRST_S, -1, 0, INT64_C(951782400), INT64_C(951868800), INT64_C(4107542400),
		FHA_DATE_LAST_S};
	/* More than the calendar's 400 years, and a different second of each day. */
	const int64_t first = INT64_C(-2500000000);

	(void) state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		expect_as_libc(known[i]);
	for (int64_t seconds = first; seconds < first + INT64_C(150000) * 86400; seconds += 86413)
		expect_as_libc(seconds);
}

static void
what_has_no_date_is_the_first_or_the_last_second(void **state)
{
	FhaDate first = fha_date_of(INT64_MIN);
	FhaDate last = fha_date_of(INT64_MAX);

	(void) state;
	assert_true(fha_date_seconds(&first) == FHA_DATE_FIRST_S);
	assert_true(fha_date_seconds(&last) == FHA_DATE_LAST_S);
}

static void
impossible_dates_are_invalid(void **state)
{
	static const FhaDate dates[] = {
		{0, 1, 1, 0, 0, 0, 0},         {10000, 1, 1, 0, 0, 0, 0}, {2026, 0, 1, 0, 0, 0, 0},
		{2026, 13, 1, 0, 0, 0, 0},     {2026, 4, 31, 0, 0, 0, 0}, {2026, 2, 29, 0, 0, 0, 0},
		{1900, 2, 29, 0, 0, 0, 0},     {2026, 1, 0, 0, 0, 0, 0},  {2026, 1, 1, 24, 0, 0, 0},
		{2026, 1, 1, -1, 0, 0, 0},     {2026, 1, 1, 0, 60, 0, 0}, {2026, 1, 1, 0, -1, 0, 0},
		{2026, 12, 31, 23, 59, 60, 0}, {2026, 1, 1, 0, 0, -1, 0},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++)
		if (fha_date_is_valid(&dates[i]))
			fail_msg("date %zu is taken for one", i);
	assert_int_equal(fha_date_month_days(2000, 2), 29);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dates_are_those_of_libc),
		cmocka_unit_test(what_has_no_date_is_the_first_or_the_last_second),
		cmocka_unit_test(impossible_dates_are_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
