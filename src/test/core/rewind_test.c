/*
 * rewind_test.c: after a rewind that failed: again, or a clone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/rewind.h"

static void
what_may_pass_is_tried_again(void **state)
{
	(void) state;
	assert_false(fha_rewind_needs_clone(FHA_REWIND_DONE, 0));
	assert_false(fha_rewind_needs_clone(FHA_REWIND_NOT_BEGUN, 0));
	assert_false(fha_rewind_needs_clone(FHA_REWIND_SILENT, 0));
	assert_false(fha_rewind_needs_clone(FHA_REWIND_PASSING, 0));
}

static void
what_never_works_needs_a_clone(void **state)
{
	(void) state;
	assert_true(fha_rewind_needs_clone(FHA_REWIND_HOPELESS, 0));
	assert_true(fha_rewind_needs_clone(FHA_REWIND_NO_FORK, 0));
	assert_true(fha_rewind_needs_clone(FHA_REWIND_HALF_DONE, 0));
}

static void
the_seventh_refusal_in_a_row_needs_a_clone(void **state)
{
	int count = 0;

	(void) state;
	for (int i = 1; i < 7; i++)
	{
		count = fha_rewind_count_refusal(count);
		assert_int_equal(count, i);
		assert_false(fha_rewind_needs_clone(FHA_REWIND_REFUSED, count));
	}
	count = fha_rewind_count_refusal(count);
	assert_true(fha_rewind_needs_clone(FHA_REWIND_REFUSED, count));
	/* The clone did not come about: it begins anew. */
	assert_int_equal(fha_rewind_count_refusal(count), 1);
	/* What nobody wrote there. */
	assert_int_equal(fha_rewind_count_refusal(-1), 1);
	assert_int_equal(fha_rewind_count_refusal(4711), 1);
	/* A count that cannot be kept. */
	assert_false(fha_rewind_needs_clone(FHA_REWIND_REFUSED, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_pass_is_tried_again),
		cmocka_unit_test(what_never_works_needs_a_clone),
		cmocka_unit_test(the_seventh_refusal_in_a_row_needs_a_clone),
	};

	return cmocka_run_group_tests_name("rewind", tests, NULL, NULL);
}
