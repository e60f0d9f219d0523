/*
 * prepare_test.c: when a primary is prepared to stop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/prepare.h"

#define MEGABYTE (UINT64_C(1) << 20)

static void
a_checkpoint_prepares_a_handover(void **state)
{
	FhaPrepare prepare = {.checkpoints = 0};
	FhaPrepareFacts facts = {.handover = true, .writes = true, .lsn = 100 * MEGABYTE};

	(void) state;
	assert_true(fha_prepare_step(&prepare, &facts));
	/* It is under way. */
	facts.lsn += MEGABYTE;
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_false(prepare.prepared);
	facts.made = true;
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_true(prepare.prepared);
	/* Once is enough. */
	facts.lsn += 100 * MEGABYTE;
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_true(prepare.prepared);
}

static void
much_wal_makes_another_one_but_not_for_ever(void **state)
{
	FhaPrepare prepare = {.checkpoints = 0};
	FhaPrepareFacts facts = {.handover = true, .writes = true, .made = true, .lsn = MEGABYTE};

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		assert_true(fha_prepare_step(&prepare, &facts));
		facts.lsn += 16 * MEGABYTE;
	}
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_true(prepare.prepared);
}

static void
a_stop_that_is_not_wanted_any_more_is_forgotten(void **state)
{
	FhaPrepare prepare = {.checkpoints = 0};
	FhaPrepareFacts facts = {.handover = true, .writes = true, .made = true};

	(void) state;
	assert_true(fha_prepare_step(&prepare, &facts));
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_true(prepare.prepared);
	facts.handover = false;
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_false(prepare.prepared);
	facts.handover = true;
	assert_true(fha_prepare_step(&prepare, &facts));
}

static void
a_supervisor_waits_for_a_primary_that_writes(void **state)
{
	FhaPrepare prepare = {.checkpoints = 0};
	FhaPrepareFacts facts = {.asked = true, .writes = true, .made = true};

	(void) state;
	assert_false(fha_prepare_is_enough(&prepare, &facts));
	assert_true(fha_prepare_step(&prepare, &facts));
	assert_false(fha_prepare_is_enough(&prepare, &facts));
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_true(fha_prepare_is_enough(&prepare, &facts));
}

static void
nobody_waits_for_the_pages_of_who_does_not_write(void **state)
{
	FhaPrepare prepare = {.checkpoints = 0};
	FhaPrepareFacts facts = {.asked = true, .made = true};

	(void) state;
	assert_true(fha_prepare_is_enough(&prepare, &facts));
	assert_false(fha_prepare_step(&prepare, &facts));
	assert_int_equal(prepare.checkpoints, 0);
	/* A handover needs the checkpoint also if the fence is shut at the moment. */
	facts.handover = true;
	assert_true(fha_prepare_step(&prepare, &facts));
	/* And the supervisor that did not ask hears nothing. */
	facts.asked = false;
	assert_false(fha_prepare_is_enough(&prepare, &facts));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_checkpoint_prepares_a_handover),
		cmocka_unit_test(much_wal_makes_another_one_but_not_for_ever),
		cmocka_unit_test(a_stop_that_is_not_wanted_any_more_is_forgotten),
		cmocka_unit_test(a_supervisor_waits_for_a_primary_that_writes),
		cmocka_unit_test(nobody_waits_for_the_pages_of_who_does_not_write),
	};

	return cmocka_run_group_tests_name("prepare", tests, NULL, NULL);
}
