/*
 * log_limit_test.c: how often the same is logged.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log_limit.h"

static FhaLogLimit limit;
static uint64_t withheld;

static int
settle(void **state)
{
	(void) state;
	memset(&limit, 0, sizeof(limit));
	return 0;
}

static void
one_text_once_a_second(void **state)
{
	int said = 0;

	(void) state;
	for (int64_t now_ms = 100000; now_ms < 110000; now_ms += 3)
		said += fha_log_may(&limit, "the disk is full", now_ms, &withheld);
	assert_int_equal(said, 10);
	assert_int_equal(withheld, 333);
	assert_true(fha_log_may(&limit, "the disk is full", 200000, &withheld));
	assert_true(fha_log_may(&limit, "something else", 200000, &withheld));
	assert_int_equal(withheld, 0);
}

/* Figures that change make no new cause; members that say the same of themselves are heard. */
static void
one_cause_a_few_times(void **state)
{
	char text[40];
	int said = 0;

	(void) state;
	for (int i = 0; i < 1000; i++)
	{
		(void) snprintf(text, sizeof(text), "not renewed for %d ms", i);
		said += fha_log_may(&limit, text, 100000 + i % 1000, &withheld);
	}
	assert_int_equal(said, 4);
	assert_true(fha_log_may(&limit, "not promised by anybody", 100500, &withheld));
	assert_true(fha_log_may(&limit, "not renewed for 9 ms", 102000, &withheld));
}

/* However many there are, none is kept back by others. */
static void
many_texts(void **state)
{
	char text[40];

	(void) state;
	for (int i = 0; i < 1000; i++)
	{
		(void) snprintf(text, sizeof(text), "%c%c%c", 'a' + i % 26, 'a' + i / 26 % 26,
						'a' + i / 676);
		assert_true(fha_log_may(&limit, text, 100000 + i, &withheld));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_text_once_a_second, settle),
		cmocka_unit_test_setup(one_cause_a_few_times, settle),
		cmocka_unit_test_setup(many_texts, settle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
