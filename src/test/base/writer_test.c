/*
 * writer_test.c: a file is replaced while the loop goes on.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/writer.h"
#include "node/state.h"

#define BOUND_MS 20000

static char directory[] = "/tmp/fha-writer-XXXXXX";
static char path[64];
static FhaWriter *writer;

static int
set_up(void **state)
{
	FhaError err;

	(void) state;
	if (mkdtemp(directory) == NULL || fha_writer_open(&writer, &err) != FHA_OK)
		return -1;
	(void) snprintf(path, sizeof(path), "%s/file", directory);
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	fha_writer_close(writer);
	(void) unlink(path);
	return rmdir(directory);
}

static void
assert_content(const char *expected)
{
	char *text = NULL;
	FhaError err;

	assert_int_equal(fha_file_read(path, 100, &text, &err), FHA_OK);
	assert_string_equal(text, expected);
	free(text);
}

static void
one_file_at_a_time(void **state)
{
	struct pollfd ended = {.fd = fha_writer_fd(writer), .events = POLLIN};
	FhaError err;

	(void) state;
	assert_int_equal(fha_writer_step(writer, 0, &err), FHA_AGAIN);
	assert_int_equal(fha_writer_start(writer, path, "one", &err), FHA_OK);
	assert_int_equal(fha_writer_start(writer, path, "two", &err), FHA_CONFLICT);
	assert_int_equal(poll(&ended, 1, BOUND_MS), 1);
	assert_int_equal(fha_writer_step(writer, 0, &err), FHA_OK);
	assert_content("one");
	/* Its end is told once, and the descriptor is quiet again. */
	assert_int_equal(fha_writer_step(writer, 0, &err), FHA_AGAIN);
	assert_int_equal(poll(&ended, 1, 0), 0);
	assert_int_equal(fha_writer_start(writer, path, "three", &err), FHA_OK);
	assert_int_equal(fha_writer_step(writer, BOUND_MS, &err), FHA_OK);
	assert_content("three");
}

static void
a_failure_is_told(void **state)
{
	FhaError err;
	char missing[80];

	(void) state;
	(void) snprintf(missing, sizeof(missing), "%s/missing/file", directory);
	assert_int_equal(fha_writer_start(writer, missing, "one", &err), FHA_OK);
	assert_int_equal(fha_writer_step(writer, BOUND_MS, &err), FHA_IO);
	assert_non_null(strstr(err.text, "missing/file"));
}

/* Nothing of it is written after the close, over what somebody else has written then. */
static void
a_close_waits_for_what_is_under_way(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(fha_writer_start(writer, path, "last", &err), FHA_OK);
	fha_writer_close(writer);
	writer = NULL;
	assert_content("last");
	fha_writer_close(writer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_file_at_a_time),
		cmocka_unit_test(a_failure_is_told),
		cmocka_unit_test(a_close_waits_for_what_is_under_way),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
