/*
 * metrics_test.c: the rows that describe fawkes_ha itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "show/metrics.h"

#define ROWS_MAX 120
#define NOW_MS 1000000

typedef struct Row
{
	char name[100];
	const char *type;
	const char *help;
	char labels[300];
	double value;
} Row;

static Row rows[ROWS_MAX];
static size_t row_count;

static void
keep(void *argument, const FhaMetric *metric)
{
	Row *row = &rows[row_count++];
	size_t used = 0;

	(void) argument;
	assert_true(row_count < ROWS_MAX);
	(void) snprintf(row->name, sizeof(row->name), "%s%s", metric->family, metric->suffix);
	row->type = metric->type;
	row->help = metric->help;
	row->value = metric->value;
	row->labels[0] = '\0';
	for (size_t i = 0; i < metric->label_count; i++)
		used += (size_t) snprintf(row->labels + used, sizeof(row->labels) - used, "%s=%s;",
								  metric->labels[i].name, metric->labels[i].value);
}

static const FhaVitals holder = {.at_ms = NOW_MS - 50,
								 .postgres = FHA_PG_PRIMARY,
								 .decision = "hold",
								 .rule = "leads",
								 .because = "this member leads",
								 .decided_at_ms = NOW_MS - 7000,
								 .known = true,
								 .mine = true,
								 .term = 3,
								 .timeline = 4,
								 .lease_ms = 15000,
								 .renew_deadline_ms = 10000,
								 .renewed_at_ms = NOW_MS - 1500,
								 .bound_ends_at_ms = NOW_MS - 1,
								 .members = {1, 2, 1},
								 .without_data = 1,
								 .silent = 2,
								 .streaming = 2};
static const FhaFenceState open_fence = {.open = true, .left_ms = 8500, .refusals = {1, 2, 3, 4}};

static void
list(const FhaVitals *vitals, const FhaFenceState *fence, bool agent)
{
	row_count = 0;
	fha_metrics_list(vitals, fence, agent, NOW_MS, keep, NULL);
}

static double
value_of(const char *name, const char *labels)
{
	for (size_t i = 0; i < row_count; i++)
		if (strcmp(rows[i].name, name) == 0 && strcmp(rows[i].labels, labels) == 0)
			return rows[i].value;
	fail_msg("there is no %s{%s}", name, labels);
	return 0;
}

static bool
has(const char *name)
{
	for (size_t i = 0; i < row_count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return true;
	return false;
}

static void
assert_close(double a, double b)
{
	assert_true(a > b - 1e-9 && a < b + 1e-9);
}

static bool
ends_with(const char *text, const char *end)
{
	return strlen(text) > strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* What every reader of Prometheus' format may expect. */
static void
names_and_types_are_proper(void **state)
{
	(void) state;
	list(&holder, &open_fence, true);
	assert_true(row_count > 30);
	for (size_t i = 0; i < row_count; i++)
	{
		bool counter = strcmp(rows[i].type, "counter") == 0;
		bool histogram = strcmp(rows[i].type, "histogram") == 0;

		assert_int_equal(strspn(rows[i].name, "abcdefghijklmnopqrstuvwxyz_"), strlen(rows[i].name));
		assert_memory_equal(rows[i].name, "fawkes_ha_", 10);
		assert_true(counter || histogram || strcmp(rows[i].type, "gauge") == 0);
		assert_int_equal(counter, ends_with(rows[i].name, "_total"));
		assert_true(ends_with(rows[i].help, "."));
		for (size_t j = 0; j < i; j++)
		{
			assert_false(strcmp(rows[i].name, rows[j].name) == 0 &&
						 strcmp(rows[i].labels, rows[j].labels) == 0);
			/* A family's rows stand together. */
			if (strcmp(rows[i].name, rows[j].name) == 0)
				assert_string_equal(rows[i].name, rows[i - 1].name);
		}
	}
}

static void
what_the_holder_says(void **state)
{
	(void) state;
	list(&holder, &open_fence, true);
	assert_close(value_of("fawkes_ha_agent_up", ""), 1);
	assert_close(value_of("fawkes_ha_agent_age_seconds", ""), 0.05);
	assert_close(value_of("fawkes_ha_role", "role=primary;"), 1);
	assert_close(value_of("fawkes_ha_role", "role=standby;"), 0);
	assert_close(value_of("fawkes_ha_state", "decision=hold;because=this member leads;rule=leads;"),
				 1);
	assert_close(value_of("fawkes_ha_state_age_seconds", ""), 7);
	assert_close(value_of("fawkes_ha_unattended", ""), 0);
	assert_close(value_of("fawkes_ha_lease_held", ""), 1);
	assert_close(value_of("fawkes_ha_lease_age_seconds", ""), 1.5);
	assert_close(value_of("fawkes_ha_lease_remaining_seconds", ""), 8.5);
	assert_close(value_of("fawkes_ha_lease_duration_seconds", ""), 15);
	assert_close(value_of("fawkes_ha_renew_deadline_seconds", ""), 10);
	assert_close(value_of("fawkes_ha_promise_remaining_seconds", ""), 0);
	assert_close(value_of("fawkes_ha_members_without_data", ""), 1);
	assert_close(value_of("fawkes_ha_members_silent", ""), 2);
	assert_close(value_of("fawkes_ha_term", ""), 3);
	assert_close(value_of("fawkes_ha_members", "role=standby;"), 2);
	assert_close(value_of("fawkes_ha_streaming_standbys", ""), 2);
	assert_close(value_of("fawkes_ha_fence_refusals_total", "where=login;"), 1);
	assert_close(value_of("fawkes_ha_fence_refusals_total", "where=reply;"), 4);
}

/* The last promises are remembered; without them the fence shuts, and nobody leads by them. */
static void
promises_end_with_the_fence(void **state)
{
	FhaVitals vitals = holder;
	static const FhaFenceState shut_fence;

	(void) state;
	vitals.promised = true;
	list(&vitals, &open_fence, true);
	assert_close(value_of("fawkes_ha_led_by_promises", ""), 1);
	list(&vitals, &shut_fence, true);
	assert_close(value_of("fawkes_ha_led_by_promises", ""), 0);
}

static void
what_a_standby_says(void **state)
{
	FhaVitals standby = holder;
	FhaFenceState shut = {.open = false};

	(void) state;
	standby.mine = false;
	standby.postgres = FHA_PG_STANDBY;
	standby.bound_ends_at_ms = NOW_MS + 2500;
	standby.unattended = true;
	list(&standby, &shut, true);
	assert_close(value_of("fawkes_ha_unattended", ""), 1);
	assert_close(value_of("fawkes_ha_fence_open", ""), 0);
	assert_close(value_of("fawkes_ha_lease_remaining_seconds", ""), 13.5);
	assert_close(value_of("fawkes_ha_promise_remaining_seconds", ""), 2.5);
	assert_close(value_of("fawkes_ha_role", "role=standby;"), 1);
	assert_false(has("fawkes_ha_streaming_standbys"));
	standby.renewed_at_ms = NOW_MS - 16000;
	list(&standby, &shut, true);
	assert_close(value_of("fawkes_ha_lease_remaining_seconds", ""), 0);
	standby.renewed_at_ms = NOW_MS;
	standby.released = true;
	list(&standby, &shut, true);
	assert_close(value_of("fawkes_ha_lease_remaining_seconds", ""), 0);
}

static void
what_is_not_known_is_no_row(void **state)
{
	FhaVitals vitals = {0};
	FhaFenceState shut = {.open = false};

	(void) state;
	list(&vitals, &shut, false);
	assert_close(value_of("fawkes_ha_agent_up", ""), 0);
	assert_false(has("fawkes_ha_agent_age_seconds"));
	assert_false(has("fawkes_ha_term"));
	vitals.at_ms = NOW_MS;
	list(&vitals, &shut, true);
	assert_false(has("fawkes_ha_term"));
	assert_false(has("fawkes_ha_state"));
	assert_close(value_of("fawkes_ha_role", "role=down;"), 1);
}

static void
the_histogram_is_cumulative(void **state)
{
	FhaVitals vitals = holder;

	(void) state;
	fha_vitals_renewed(&vitals, 0);
	fha_vitals_renewed(&vitals, 1);
	fha_vitals_renewed(&vitals, 30);
	fha_vitals_renewed(&vitals, 20000);
	list(&vitals, &open_fence, true);
	assert_close(value_of("fawkes_ha_renewal_seconds_bucket", "le=0.001;"), 2);
	assert_close(value_of("fawkes_ha_renewal_seconds_bucket", "le=0.025;"), 2);
	assert_close(value_of("fawkes_ha_renewal_seconds_bucket", "le=0.05;"), 3);
	assert_close(value_of("fawkes_ha_renewal_seconds_bucket", "le=10;"), 3);
	assert_close(value_of("fawkes_ha_renewal_seconds_bucket", "le=+Inf;"), 4);
	assert_close(value_of("fawkes_ha_renewal_seconds_count", ""), 4);
	assert_close(value_of("fawkes_ha_renewal_seconds_sum", ""), 20.031);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_types_are_proper),
		cmocka_unit_test(what_the_holder_says),
		cmocka_unit_test(promises_end_with_the_fence),
		cmocka_unit_test(what_a_standby_says),
		cmocka_unit_test(what_is_not_known_is_no_row),
		cmocka_unit_test(the_histogram_is_cumulative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
