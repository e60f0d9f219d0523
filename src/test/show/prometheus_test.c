/*
 * prometheus_test.c: the text that Prometheus reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "show/prometheus.h"

static void
assert_text(FhaPrometheus *page, const char *expected)
{
	char *text;
	size_t size;

	assert_int_equal(fha_prometheus_text(page, &text, &size, NULL), FHA_OK);
	assert_string_equal(text, expected);
	assert_int_equal(size, strlen(expected));
	free(text);
	fha_prometheus_clear(page);
}

static void
families_stand_together(void **state)
{
	FhaPrometheus page = {0};

	(void) state;
	fha_prometheus_add(&page, "b", "gauge", "Of b.", "x=\"1\"", 1);
	fha_prometheus_add(&page, "a_total", "counter", "Of a.", "", 0.1);
	fha_prometheus_add(&page, "b", "counter", "Another says this.", "x=\"2\"", 12345678901234.0);
	assert_text(&page, "# HELP a_total Of a.\n# TYPE a_total counter\na_total 0.1\n"
					   "# HELP b Of b.\n# TYPE b gauge\nb{x=\"1\"} 1\nb{x=\"2\"} 12345678901234\n");
}

static void
nothing_is_a_page_too(void **state)
{
	FhaPrometheus page = {0};

	(void) state;
	assert_text(&page, "");
}

static void
what_is_special_is_escaped(void **state)
{
	FhaPrometheus page = {0};
	char labels[60] = "";

	(void) state;
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "a", "\\ \" \n", NULL), FHA_OK);
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "b", "", NULL), FHA_OK);
	fha_prometheus_add(&page, "m", "other", "One\\two\nthree \"four\"", labels, NAN);
	fha_prometheus_add(&page, "m", "other", "", "", INFINITY);
	fha_prometheus_add(&page, "m", "other", "", "c=\"\"", -INFINITY);
	assert_text(&page, "# HELP m One\\\\two\\nthree \"four\"\n# TYPE m untyped\n"
					   "m{a=\"\\\\ \\\" \\n\",b=\"\"} NaN\nm +Inf\nm{c=\"\"} -Inf\n");
}

/* Prometheus takes nothing of a page with one byte that is no UTF-8. */
static void
what_is_no_utf8_costs_no_page(void **state)
{
	FhaPrometheus page = {0};
	char one[80] = "";
	char other[80] = "";

	(void) state;
	assert_int_equal(
		fha_prometheus_label(one, sizeof(one), "a",
							 "b\xe9"
							 "d \xed\xa0\x80 \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98 \xc3",
							 NULL),
		FHA_OK);
	assert_int_equal(fha_prometheus_label(other, sizeof(other), "a",
										  "b\xe8"
										  "d ??? \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98 \xff",
										  NULL),
					 FHA_OK);
	fha_prometheus_add(&page, "m", "gauge", "Of a caf\xe9, or caf\xc3\xa9.", one, 1);
	fha_prometheus_add(&page, "m", "gauge", "", other, 2); /* not to be told from the first now */
	assert_text(&page, "# HELP m Of a caf?, or caf\xc3\xa9.\n# TYPE m gauge\n"
					   "m{a=\"b?d ??? \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98 ?\"} 1\n");
}

static void
labels_have_a_limit(void **state)
{
	char labels[12] = "";

	(void) state;
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "a", "12345678", NULL),
					 FHA_INVALID);
	assert_string_equal(labels, "");
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "a", "123456", NULL), FHA_OK);
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "b", "", NULL), FHA_INVALID);
	assert_string_equal(labels, "a=\"123456\"");
	labels[0] = '\0';
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "1a", "", NULL), FHA_INVALID);
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "", "", NULL), FHA_INVALID);
	assert_int_equal(fha_prometheus_label(labels, sizeof(labels), "a:b", "", NULL), FHA_INVALID);
}

static void
a_bad_row_costs_no_other(void **state)
{
	FhaPrometheus page = {0};

	(void) state;
	fha_prometheus_add(&page, "", "gauge", "", "", 1);
	fha_prometheus_add(&page, "0x", "gauge", "", "", 1);
	fha_prometheus_add(&page, "a b", "gauge", "", "", 1);
	fha_prometheus_add(&page, "a:b2", "gauge", "", "", 1);
	fha_prometheus_add(&page, "a:b2", "gauge", "", "", 2);
	assert_int_equal(page.refused, 3);
	assert_text(&page, "# HELP a:b2 \n# TYPE a:b2 gauge\na:b2 1\n");
}

static void
there_is_a_cap(void **state)
{
	FhaPrometheus page = {0};
	char labels[40];
	char *text;
	size_t size;

	(void) state;
	for (int i = 0; i < FHA_SERIES_MAX + 10; i++)
	{
		(void) snprintf(labels, sizeof(labels), "n=\"%d\"", i / 2);
		fha_prometheus_add(&page, "a", "gauge", "", labels, 1);
	}
	assert_int_equal(page.overflow, 10);
	assert_int_equal(fha_prometheus_text(&page, &text, &size, NULL), FHA_OK);
	assert_int_equal(page.repeated, FHA_SERIES_MAX / 2);
	assert_int_equal(page.count, FHA_SERIES_MAX / 2);
	free(text);
	fha_prometheus_clear(&page);
}

static void
histograms_keep_their_order(void **state)
{
	FhaPrometheus page = {0};
	FhaMetric metric = {.family = "h", .suffix = "_bucket", .type = "histogram", .help = "H."};

	(void) state;
	metric.label_count = 1;
	metric.labels[0] = (FhaMetricLabel){"le", "2"};
	metric.value = 1;
	fha_prometheus_metric(&page, &metric);
	metric.labels[0].value = "+Inf";
	metric.value = 3;
	fha_prometheus_metric(&page, &metric);
	metric.label_count = 0;
	metric.suffix = "_count";
	fha_prometheus_metric(&page, &metric);
	assert_text(&page, "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"2\"} 1\n"
					   "h_bucket{le=\"+Inf\"} 3\nh_count 3\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_stand_together),
		cmocka_unit_test(nothing_is_a_page_too),
		cmocka_unit_test(what_is_special_is_escaped),
		cmocka_unit_test(what_is_no_utf8_costs_no_page),
		cmocka_unit_test(labels_have_a_limit),
		cmocka_unit_test(a_bad_row_costs_no_other),
		cmocka_unit_test(there_is_a_cap),
		cmocka_unit_test(histograms_keep_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
