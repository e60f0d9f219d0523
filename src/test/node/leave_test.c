/*
 * leave_test.c: when a node that is being stopped has nothing more to do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "node/leave.h"

#define NOW_MS 100000

static FhaConfig config;
static FhaLeave leave;
static FhaLeaveFacts facts;
static FhaHostAction action;

/* A holder whose server has just ended. */
static int
set_up(void **state)
{
	(void) state;
	fha_config_defaults(&config);
	config.retry_period_ms = 500;
	leave = (FhaLeave){0};
	facts = (FhaLeaveFacts){.ended = true, .liveness_held = true};
	memset(&action, 0, sizeof(action));
	action.holds_lease = true;
	return 0;
}

static bool
is_done(int64_t now_ms)
{
	return fha_leave_step(&leave, &config, &facts, &action, now_ms);
}

static void
the_lease_is_released_first(void **state)
{
	(void) state;
	assert_false(is_done(NOW_MS));
	action.told = true;
	assert_false(is_done(NOW_MS));
	action.told = false;
	action.released = true;
	assert_false(is_done(NOW_MS));
	action.told = true;
	assert_true(is_done(NOW_MS));
}

static void
who_has_no_lease_tells_that_it_is_down(void **state)
{
	(void) state;
	action.holds_lease = false;
	assert_false(is_done(NOW_MS));
	action.told = true;
	assert_true(is_done(NOW_MS));
}

static void
a_lock_that_does_not_answer_is_not_waited_for(void **state)
{
	(void) state;
	assert_false(is_done(NOW_MS));
	assert_false(is_done(NOW_MS + 1000));
	assert_true(is_done(NOW_MS + 1001));
	/* As long as one answer may take; with short periods a little longer. */
	leave = (FhaLeave){0};
	config.retry_period_ms = 2000;
	assert_false(is_done(NOW_MS));
	assert_false(is_done(NOW_MS + 4000));
	assert_true(is_done(NOW_MS + 4001));
	leave = (FhaLeave){0};
	config.retry_period_ms = 50;
	assert_false(is_done(NOW_MS));
	assert_false(is_done(NOW_MS + 800));
	assert_true(is_done(NOW_MS + 801));
}

static void
its_own_record_is_waited_for_no_longer_than_a_second(void **state)
{
	(void) state;
	config.retry_period_ms = 2000;
	action.holds_lease = false;
	assert_false(is_done(NOW_MS));
	assert_false(is_done(NOW_MS + 1000));
	assert_true(is_done(NOW_MS + 1001));
}

static void
before_the_first_action_nothing_is_known(void **state)
{
	(void) state;
	assert_false(fha_leave_step(&leave, &config, &facts, NULL, NOW_MS));
	assert_false(fha_leave_step(&leave, &config, &facts, NULL, NOW_MS + 1000));
	assert_true(fha_leave_step(&leave, &config, &facts, NULL, NOW_MS + 1001));
}

static void
servers_jobs_and_orphans_are_waited_for(void **state)
{
	(void) state;
	action.holds_lease = false;
	action.told = true;
	facts.ended = false;
	assert_false(is_done(NOW_MS));
	assert_true(leave.ended_at_ms == 0);
	facts.ended = true;
	facts.job = true;
	assert_false(is_done(NOW_MS + 5000));
	assert_true(leave.ended_at_ms == NOW_MS + 5000);
	facts.job = false;
	facts.liveness_held = false;
	assert_false(is_done(NOW_MS + 9000));
	/* A file that cannot be opened keeps nothing alive. */
	facts.liveness_unreadable = true;
	assert_true(is_done(NOW_MS + 9000));
}

static void
a_pod_stays_until_services_have_followed(void **state)
{
	(void) state;
	(void) strcpy(config.pod, "db-0");
	action.released = action.told = true;
	assert_false(is_done(NOW_MS));
	(void) strcpy(action.leader, "n2");
	assert_false(is_done(NOW_MS + 3000));
	action.leader[0] = '\0';
	assert_false(is_done(NOW_MS + 4999));
	assert_true(is_done(NOW_MS + 5000));
	/* Not for ever, if none comes to lead. */
	leave = (FhaLeave){0};
	assert_false(is_done(NOW_MS));
	assert_false(is_done(NOW_MS + 9999));
	assert_true(is_done(NOW_MS + 10000));
	/* And not if it is told a second time. */
	leave = (FhaLeave){0};
	assert_false(is_done(NOW_MS));
	facts.hurry = true;
	assert_true(is_done(NOW_MS));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
		TEST(the_lease_is_released_first),
		TEST(who_has_no_lease_tells_that_it_is_down),
		TEST(a_lock_that_does_not_answer_is_not_waited_for),
		TEST(its_own_record_is_waited_for_no_longer_than_a_second),
		TEST(before_the_first_action_nothing_is_known),
		TEST(servers_jobs_and_orphans_are_waited_for),
		TEST(a_pod_stays_until_services_have_followed),
	};

	return cmocka_run_group_tests_name("leave", tests, NULL, NULL);
}
