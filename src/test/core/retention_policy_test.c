/*
 * retention_policy_test.c: for how long backups are kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/retention_policy.h"

#define DAY_S INT64_C(86400)

static void
windows_and_counts_are_read(void **state)
{
	static const struct
	{
		const char *text;
		int64_t window_s;
		unsigned count;
	} good[] = {
		{"", 0, 0},
		{"  ", 0, 0},
		{"30d", 30 * DAY_S, 0},
		{"4w", 28 * DAY_S, 0},
		{"6m", 186 * DAY_S, 0},
		{"1D", DAY_S, 0},
		{" 36525 days ", 36525 * DAY_S, 0},
		{"3", 0, 3},
		{"10000", 0, 10000},
		{"REDUNDANCY 2", 0, 2},
		{"recovery window of 4 WEEKS", 28 * DAY_S, 0},
		{"RECOVERY WINDOW OF 1 month", 31 * DAY_S, 0},
	};
	FhaRetentionPolicy policy;
	char why[FHA_SENTENCE_SIZE];

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
	{
		if (!fha_retention_policy_parse(good[i].text, &policy, why))
			fail_msg("\"%s\": %s", good[i].text, why);
		assert_true(policy.window_s == good[i].window_s);
		assert_int_equal(policy.count, good[i].count);
	}
}

static void
an_error_says_what_it_may_be(void **state)
{
	static const struct
	{
		const char *text;
		const char *why;
	} bad[] = {
		{"0d", "it is a number from 1 to 36525 with d, w or m, as 30d, 4w or 6m, or a number of "
			   "backups alone"},
		{"d", "it is a number from 1 to 36525 with d, w or m, as 30d, 4w or 6m, or a number of "
			  "backups alone"},
		{"-3d", "it is a number from 1 to 36525 with d, w or m, as 30d, 4w or 6m, or a number of "
				"backups alone"},
		{"36526d", "it is a number from 1 to 36525 with d, w or m, as 30d, 4w or 6m, or a number "
				   "of backups alone"},
		{"1000000000000d", "it is a number from 1 to 36525 with d, w or m, as 30d, 4w or 6m, or a "
						   "number of backups alone"},
		{"redundancy", "it is a number from 1 to 36525 with d, w or m, as 30d, 4w or 6m, or a "
					   "number of backups alone"},
		{"3y", "behind its number there is only d, w or m: days, weeks, months"},
		{"3d 4", "behind its number there is only d, w or m: days, weeks, months"},
		{"3dx", "behind its number there is only d, w or m: days, weeks, months"},
		{"recovery window of 3", "behind its number there is only d, w or m: days, weeks, months"},
		{"redundancy 3d", "behind its number there is only d, w or m: days, weeks, months"},
		{"10001", "a number of backups is at most 10000"},
		{"1200m", "a recovery window is at most 36525 days"},
		{"recovery 3 days", "it begins as \"RECOVERY WINDOW OF 30 DAYS\" and does not go on so"},
		{"recovery window 3 days",
		 "it begins as \"RECOVERY WINDOW OF 30 DAYS\" and does not go on so"},
	};
	FhaRetentionPolicy policy;
	char why[FHA_SENTENCE_SIZE];

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		if (fha_retention_policy_parse(bad[i].text, &policy, why))
			fail_msg("\"%s\" is taken", bad[i].text);
		assert_string_equal(why, bad[i].why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_and_counts_are_read),
		cmocka_unit_test(an_error_says_what_it_may_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
