/*
 * tame_test.c: what a terminal gets of others' text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/tame.h"

static void
becomes(const char *given, const char *wanted)
{
	char text[128];

	(void) snprintf(text, sizeof(text), "%s", given);
	fha_tame(text);
	assert_string_equal(text, wanted);
}

static void
what_people_write_stays(void **state)
{
	(void) state;
	becomes("", "");
	becomes("n1 leads: 100 % ~", "n1 leads: 100 % ~");
	becomes("Größe, 名前, \xF0\x9F\x90\x98", "Größe, 名前, \xF0\x9F\x90\x98");
}

static void
what_steers_a_terminal_goes(void **state)
{
	(void) state;
	becomes("r\x1b[31m\r\nFAKE\tLOG\a\x7f", "r?[31m??FAKE?LOG??");
	/* C1 as UTF-8: 9B is CSI for a terminal of eight bits. */
	becomes("a\xC2\x9B"
			"31mb",
			"a??31mb");
	/* Directions, another line, no width. */
	becomes("a\xE2\x80\xAE"
			"b\xE2\x81\xA6"
			"c\xE2\x80\xA8"
			"d\xE2\x80\x8B"
			"e\xEF\xBB\xBF",
			"a???b???c???d???e???");
	becomes("a\xD8\x9C\xEF\xBF\xB9\xF3\xA0\x81\x81z", "a?????????z");
}

static void
what_is_no_utf8_goes(void **state)
{
	(void) state;
	becomes("a\x9B"
			"31m",
			"a?31m");
	becomes("a\xC3", "a?");
	becomes("a\xE2\x80", "a??");
	becomes("a\xF0\x9F\x90", "a???");
	becomes("\xC0\x9B\xE0\x82\x9B\xF0\x80\x82\x9B\xFF", "??????????");
	becomes("\xED\xA0\x80\xF4\x90\x80\x80", "???????");
}

static void
what_a_server_said_is_one_line(void **state)
{
	char out[8];

	(void) state;
	fha_copy_printable(out, sizeof(out), "a\nb\033[ \n", 7);
	assert_string_equal(out, "a b?[");
	fha_copy_printable(out, sizeof(out), "0123456789", 10);
	assert_string_equal(out, "0123456");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_people_write_stays),
		cmocka_unit_test(what_steers_a_terminal_goes),
		cmocka_unit_test(what_is_no_utf8_goes),
		cmocka_unit_test(what_a_server_said_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
