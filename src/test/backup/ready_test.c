/*
 * ready_test.c: which WAL files wait to be archived, and in which order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/ready.h"
#include "test/backup/wal_files.h"

static FhaReady ready;
static const char *names[FHA_READY_MAX];
static size_t count;

static int
set_up(void **state)
{
	(void) state;
	wal_make_directory();
	memset(&ready, 0, sizeof(ready));
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	wal_remove_tree(wal_directory);
	return 0;
}

static void
make_status(const char *name)
{
	char path[128];

	(void) snprintf(path, sizeof(path), "archive_status/%s", name);
	wal_write(path, "", 0);
}

static void
remove_status(const char *name)
{
	char path[128];
	char where[WAL_PATH_SIZE];

	(void) snprintf(path, sizeof(path), "archive_status/%s", name);
	wal_path(path, where);
	assert_int_equal(unlink(where), 0);
}

static void
ask(const char *file, size_t wanted)
{
	FhaError err;

	assert_int_equal(fha_ready_after(&ready, wal_directory, file, wanted, names, &count, &err),
					 FHA_OK);
}

/* As PostgreSQL's archiver: history files, then all others by name. */
static void
history_comes_first(void **state)
{
	static const char *const files[] = {"000000010000000000000003.partial.ready",
										"000000020000000000000003.ready",
										"000000010000000000000002.ready",
										"00000002.history.ready",
										"000000010000000000000002.00000028.backup.ready",
										"00000003.history.ready"};
	static const char *const expected[] = {
		"00000003.history", "000000010000000000000002", "000000010000000000000002.00000028.backup",
		"000000010000000000000003.partial", "000000020000000000000003"};

	(void) state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		make_status(files[i]);
	ask("00000002.history", 10);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(names[i], expected[i]);
	assert_int_equal(ready.backlog, 6);
	ask("000000010000000000000003.partial", 10);
	assert_int_equal(count, 1);
	assert_string_equal(names[0], "000000020000000000000003");
	ask("000000020000000000000003", 10);
	assert_int_equal(count, 0);
}

static void
what_is_not_ready_does_not_count(void **state)
{
	static const char *const files[] = {"000000010000000000000001.done",
										"000000010000000000000001",
										"xlogtemp.12.ready",
										".ready",
										"00000001000000000000000g.ready",
										"000000010000000000000002.ready.tmp"};

	(void) state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		make_status(files[i]);
	ask("000000010000000000000000", 10);
	assert_int_equal(count, 0);
	assert_int_equal(ready.backlog, 0);
}

static void
make_many(unsigned many)
{
	char name[64];

	/* In an order that is no order: 7919 has no divisor in common with how many there are. */
	for (unsigned i = 0; i < many; i++)
	{
		(void) snprintf(name, sizeof(name), "00000001%08X%08X.ready", 0U, i * 7919 % many);
		make_status(name);
	}
}

/* The directory is read once for many files, and each comes, in order. */
static void
many_are_read_in_few_readings(void **state)
{
	const unsigned many = 3000;
	char file[FHA_WAL_FILE_SIZE] = "000000010000000000000000";
	unsigned readings = 0;

	(void) state;
	make_many(many);
	for (unsigned i = 1; i < many; i++)
	{
		char expected[FHA_WAL_FILE_SIZE];
		char done[64];

		ready.backlog = 0;
		ask(file, 4);
		readings += ready.backlog > 0;
		assert_int_equal(count, many - i < 4 ? many - i : 4);
		(void) snprintf(expected, sizeof(expected), "0000000100000000%08X", i);
		assert_string_equal(names[0], expected);
		(void) snprintf(done, sizeof(done), "%s.ready", file);
		remove_status(done);
		memcpy(file, expected, sizeof(file));
	}
	assert_in_range(readings, many / FHA_READY_MAX, many / FHA_READY_MAX + 8);
}

/* What became ready after the reading is seen once the names that are known do not suffice. */
static void
what_is_new_is_seen(void **state)
{
	(void) state;
	make_status("000000010000000000000001.ready");
	ask("000000010000000000000000", 2);
	assert_int_equal(count, 1);
	make_status("000000010000000000000002.ready");
	ask("000000010000000000000000", 2);
	assert_int_equal(count, 2);
	assert_string_equal(names[1], "000000010000000000000002");
}

static void
a_directory_that_cannot_be_read(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(
		fha_ready_after(&ready, "/nonexistent", "000000010000000000000000", 2, names, &count, &err),
		FHA_IO);
	assert_non_null(strstr(err.text, "/nonexistent/archive_status"));
	assert_int_equal(count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(history_comes_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_ready_does_not_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_are_read_in_few_readings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_new_is_seen, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_read, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
