/*
 * health_test.c: what a member says of itself, from what the node knows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "show/health.h"

#define MB (INT64_C(1024) * 1024)

static FhaHealth
member(FhaPgState postgres)
{
	FhaHealth health = {
		.cluster = "c",
		.member = "n1",
		.incarnation = "0123456789abcdef",
		.system_identifier = 42,
		.agent = true,
		.postgres = postgres,
		.position = {3, 100 * MB},
		.replayed = 90 * MB,
		.decision = "hold",
		.rule = "follows",
		.because = "a sentence",
		.led = true,
		.known = true,
		.holder = "n2",
		.term = 7,
		.timeline = 3,
		.leader = {3, 100 * MB},
	};

	return health;
}

static int
ask(const FhaHealth *health, FhaHealthCheck check, const char *query)
{
	char *text;
	int status = fha_health_check(health, check, query, &text);

	assert_non_null(text);
	assert_true(strlen(text) > 1);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	return status;
}

/* 200 of ready, primary and replica as a string of 0 and 1. */
static void
assert_says(const FhaHealth *health, const char *expected)
{
	static const FhaHealthCheck checks[] = {FHA_CHECK_READY, FHA_CHECK_PRIMARY, FHA_CHECK_REPLICA};

	for (size_t i = 0; i < 3; i++)
	{
		int status = ask(health, checks[i], "");

		if (status != (expected[i] == '1' ? 200 : 503))
			fail_msg("check %d says %d, expected of %s", (int) checks[i], status, expected);
	}
	assert_int_equal(ask(health, FHA_CHECK_ALIVE, ""), 200);
}

static void
s1_a_primary_is_one_while_its_fence_is_open(void **state)
{
	FhaHealth health = member(FHA_PG_PRIMARY);

	(void) state;
	health.fence_left_ms = 1;
	assert_says(&health, "110");
	health.fence_left_ms = 0;
	assert_says(&health, "000");
	health.fence_left_ms = -1;
	assert_says(&health, "000");
	/* What the record says of it counts for nothing. */
	memcpy(health.holder, "n1", 3);
	assert_says(&health, "000");
}

static void
s1_an_open_fence_without_a_primary_is_none(void **state)
{
	static const FhaPgState others[] = {FHA_PG_DOWN, FHA_PG_BUSY, FHA_PG_STANDBY};

	(void) state;
	for (size_t i = 0; i < 3; i++)
	{
		FhaHealth health = member(others[i]);

		health.fence_left_ms = 1000;
		assert_says(&health, "000");
	}
}

static void
a_standby_is_a_replica_while_it_streams(void **state)
{
	FhaHealth health = member(FHA_PG_STANDBY);

	(void) state;
	assert_says(&health, "000");
	health.streaming = true;
	assert_says(&health, "101");
	/* A flag that was left over says nothing of others. */
	health.postgres = FHA_PG_BUSY;
	assert_says(&health, "000");
	health.postgres = FHA_PG_DOWN;
	assert_says(&health, "000");
}

static void
lag_is_from_the_leaders_renewal_to_what_is_replayed(void **state)
{
	FhaHealth health = member(FHA_PG_STANDBY);

	(void) state;
	health.streaming = true;
	assert_int_equal(fha_health_lag(&health), 10 * MB);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=10MB"), 200);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=10485759"), 503);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=10485760"), 200);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=0"), 503);
	health.replayed = 101 * MB; /* newer than the renewal */
	assert_int_equal(fha_health_lag(&health), 0);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=0"), 200);
}

static void
lag_that_is_not_known_is_beyond_every_limit(void **state)
{
	FhaHealth health = member(FHA_PG_STANDBY);

	(void) state;
	health.streaming = true;
	health.led = false;
	assert_true(fha_health_lag(&health) == FHA_HEALTH_LAG_UNKNOWN);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=8388607TB"), 503);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, ""), 200);
	health.led = true;
	health.leader.timeline = 4;
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=1TB"), 503);
	health = member(FHA_PG_PRIMARY);
	assert_true(fha_health_lag(&health) == FHA_HEALTH_LAG_UNKNOWN);
}

static void
lag_in_time_is_that_of_what_is_shown(void **state)
{
	FhaHealth health = member(FHA_PG_STANDBY);

	(void) state;
	health.streaming = true;
	health.lag[FHA_WRITTEN] = (FhaLag){true, 10};
	health.lag[FHA_FLUSHED] = (FhaLag){true, 20};
	/* Unknown is beyond every limit, and is no reason where no time was asked for. */
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=36500d"), 503);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=1GB"), 200);
	health.lag[FHA_REPLAYED] = (FhaLag){true, 10000};
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=10s"), 200);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=9999ms"), 503);
	health.lag[FHA_REPLAYED] = (FhaLag){true, 10001};
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=10s"), 503);
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, ""), 200);
	health.streaming = false;
	assert_int_equal(ask(&health, FHA_CHECK_REPLICA, "lag=1d"), 503);
}

static void
lag_limits_are_read_or_refused(void **state)
{
	static const struct
	{
		const char *query;
		int64_t limit; /* -1: refused */
		bool time;
	} cases[] = {
		{"", INT64_MAX, false},
		{"x=1&y", INT64_MAX, false},
		{"lagg=1", INT64_MAX, false},
		{"xlag=1", INT64_MAX, false},
		{"lag=0", 0, false},
		{"lag=1b", 1, false},
		{"lag=1kB", 1024, false},
		{"lag=16MB", 16 * MB, false},
		{"lag=16mb", 16 * MB, false},
		{"a=b&lag=2GB&c", 2048 * MB, false},
		{"lag=3TB", 3 * MB * MB, false},
		{"&&lag=1&", 1, false},
		{"lag=9223372036854775806", INT64_MAX - 1, false},
		{"lag", -1, false},
		{"lag=", -1, false},
		{"lag=x", -1, false},
		{"lag=-1", -1, false},
		{"lag=+1", -1, false},
		{"lag= 1", -1, false},
		{"lag=1 ", -1, false},
		{"lag=1.5MB", -1, false},
		{"lag=1M", -1, false},
		{"lag=1MBx", -1, false},
		{"lag=MB", -1, false},
		{"lag=1&lag=1", -1, false},
		{"lag=9223372036854775807", -1, false},
		{"lag=9223372036854775808", -1, false},
		{"lag=99999999999999999999999999", -1, false},
		{"lag=8388608TB", -1, false},
		{"lag=000000000000000000000000000000000000000000000001", -1, false},
		{"lag=1%30", -1, false},
		{"lag=0s", 0, true},
		{"lag=500ms", 500, true},
		{"lag=10s", 10000, true},
		{"lag=1min", 60000, true},
		{"x&lag=2H", 2 * 3600 * 1000, true},
		{"lag=3d", INT64_C(3) * 24 * 3600 * 1000, true},
		{"lag=9223372036854775806ms", INT64_MAX - 1, true},
		{"lag=9223372036854775807ms", -1, false},
		{"lag=9223372036854776s", -1, false},
		{"lag=10 s", -1, false},
		{"lag=10m", -1, false},
		{"lag=s", -1, false},
		{"lag=1.5s", -1, false},
		{"lag=1s&lag=1", -1, false},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		FhaError err = {.text = ""};
		FhaLagLimit limit = {-2, -2};
		FhaCode code = fha_health_lag_limit(cases[i].query, strlen(cases[i].query), &limit, &err);

		if (cases[i].limit < 0
				? code != FHA_INVALID || strstr(err.text, "lag") == NULL
				: code != FHA_OK || limit.ms != (cases[i].time ? cases[i].limit : INT64_MAX) ||
					  limit.bytes != (cases[i].time ? INT64_MAX : cases[i].limit))
			fail_msg("\"%s\": %d, %lld bytes, %lld ms, %s", cases[i].query, code,
					 (long long) limit.bytes, (long long) limit.ms, err.text);
	}
}

static void
nonsense_is_told_by_every_member(void **state)
{
	FhaHealth primary = member(FHA_PG_PRIMARY);

	(void) state;
	assert_int_equal(ask(&primary, FHA_CHECK_REPLICA, "lag=x"), 400);
	assert_int_equal(ask(&primary, FHA_CHECK_REPLICA, "lag=1"), 503);
	/* Only where it has a meaning. */
	assert_int_equal(ask(&primary, FHA_CHECK_ALIVE, "lag=x"), 200);
}

/* Why a member is none, and not how far behind: that would be true, and no reason. */
static void
a_lag_is_a_reason_of_a_healthy_standby_alone(void **state)
{
	FhaHealth health = member(FHA_PG_STANDBY);
	char *text;

	(void) state;
	assert_int_equal(fha_health_check(&health, FHA_CHECK_REPLICA, "lag=1", &text), 503);
	assert_string_equal(text, "a standby that does not stream\n");
	free(text);
	health.streaming = true;
	assert_int_equal(fha_health_check(&health, FHA_CHECK_REPLICA, "lag=1", &text), 503);
	assert_string_equal(text, "10485760 bytes behind the leader, 1 are allowed\n");
	free(text);
}

static struct json_object *
printed(const FhaHealth *health)
{
	FhaError err;
	char *text = fha_health_print(health);
	struct json_object *object;

	assert_non_null(text);
	object = fha_json_parse(text, strlen(text), &err);
	assert_non_null(object);
	free(text);
	return object;
}

static void
status_leaves_out_what_is_not_known(void **state)
{
	FhaHealth health = {.decision = "hold", .because = "starting", .postgres = FHA_PG_BUSY};
	struct json_object *object;

	(void) state;
	object = printed(&health);
	assert_false(json_object_object_get_ex(object, "lease", NULL));
	assert_false(json_object_object_get_ex(object, "position", NULL));
	assert_false(json_object_object_get_ex(object, "replayed", NULL));
	assert_false(json_object_object_get_ex(object, "lag_bytes", NULL));
	assert_false(json_object_object_get_ex(object, "lag_ms", NULL));
	assert_false(json_object_object_get_ex(object, "rule", NULL));
	json_object_put(object);
}

static void
status_says_what_is_known(void **state)
{
	static const struct
	{
		FhaPgState postgres;
		const char *role;
	} roles[] = {{FHA_PG_DOWN, "down"},
				 {FHA_PG_BUSY, "busy"},
				 {FHA_PG_STANDBY, "standby"},
				 {FHA_PG_PRIMARY, "primary"}};

	(void) state;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
	{
		FhaHealth health = member(roles[i].postgres);
		struct json_object *object = printed(&health);
		struct json_object *said;

		assert_true(json_object_object_get_ex(object, "role", &said));
		assert_string_equal(json_object_get_string(said), roles[i].role);
		assert_true(json_object_object_get_ex(object, "rule", &said));
		assert_string_equal(json_object_get_string(said), "follows");
		assert_int_equal(json_object_object_get_ex(object, "lag_bytes", &said),
						 roles[i].postgres == FHA_PG_STANDBY);
		if (roles[i].postgres == FHA_PG_STANDBY)
			assert_int_equal(json_object_get_int64(said), 10 * MB);
		json_object_put(object);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(s1_a_primary_is_one_while_its_fence_is_open),
		cmocka_unit_test(s1_an_open_fence_without_a_primary_is_none),
		cmocka_unit_test(a_standby_is_a_replica_while_it_streams),
		cmocka_unit_test(lag_is_from_the_leaders_renewal_to_what_is_replayed),
		cmocka_unit_test(lag_that_is_not_known_is_beyond_every_limit),
		cmocka_unit_test(lag_in_time_is_that_of_what_is_shown),
		cmocka_unit_test(lag_limits_are_read_or_refused),
		cmocka_unit_test(nonsense_is_told_by_every_member),
		cmocka_unit_test(a_lag_is_a_reason_of_a_healthy_standby_alone),
		cmocka_unit_test(status_leaves_out_what_is_not_known),
		cmocka_unit_test(status_says_what_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
