/*
 * follow_test.c: connection strings, follow.conf, and placeholder history files.
 *
 * What was quoted is read back here by the rules of libpq and of postgresql.conf,
 * for that is what will read it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "config/conninfo.h"
#include "config/state_directory.h"
#include "node/follow.h"

static char directory[64];
static FhaConfig config;

static int
set_up(void **state)
{
	FhaError err;
	char wal[FHA_PATH_SIZE + 16];

	(void) state;
	(void) snprintf(directory, sizeof(directory), "/tmp/fha-follow-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "%s/data", directory);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "db");
	(void) snprintf(config.member_name, sizeof(config.member_name), "n-2");
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", config.data_directory);
	if (mkdir(config.data_directory, 0700) != 0 || mkdir(wal, 0700) != 0)
		return -1;
	return fha_state_prepare(&config, &err) == FHA_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	char command[128];

	(void) state;
	(void) snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

/* The value of a key in a connection string, as libpq's conninfo_parse reads it. */
static bool
conninfo_value(const char *text, const char *wanted, char *out, size_t size)
{
	bool found = false;

	while (*text != '\0')
	{
		size_t key = strcspn(text, "= ");
		const char *name = text;
		size_t used = 0;
		bool quoted;

		if (text[key] != '=')
			fail_msg("no \"=\" after \"%.20s\"", text);
		text += key + 1;
		quoted = *text == '\'';
		text += quoted ? 1 : 0;
		while (*text != '\0' && *text != (quoted ? '\'' : ' '))
		{
			if (*text == '\\')
				text++;
			assert_true(used + 1 < size);
			if (strlen(wanted) == key && strncmp(name, wanted, key) == 0)
				out[used] = *text;
			used++;
			text++;
		}
		if (quoted && *text++ != '\'')
			fail_msg("a quoted string does not end");
		if (strlen(wanted) == key && strncmp(name, wanted, key) == 0)
		{
			assert_false(found);
			out[used] = '\0';
			found = true;
		}
		while (*text == ' ')
			text++;
	}
	return found;
}

static void
assert_value(const char *conninfo, const char *key, const char *wanted)
{
	char value[2 * FHA_PATH_SIZE];

	assert_true(conninfo_value(conninfo, key, value, sizeof(value)));
	assert_string_equal(value, wanted);
}

/* The value of a setting in a line of its own, as PostgreSQL's guc-file.l reads it. */
static void
setting_value(const char *text, const char *name, char *out, size_t size)
{
	const char *at = strstr(text, name);
	size_t used = 0;

	assert_non_null(at);
	assert_true(at == text || at[-1] == '\n');
	at += strlen(name);
	assert_memory_equal(at, " = '", 4);
	for (at += 4; *at != '\'' || at[1] == '\''; at++)
	{
		assert_true(*at != '\0' && *at != '\n');
		if (*at == '\'' || *at == '\\')
			at++;
		assert_true(used + 1 < size);
		out[used++] = *at;
	}
	out[used] = '\0';
	assert_int_equal(at[1], '\n');
}

static void
slot_names_are_what_postgres_allows(void **state)
{
	char name[FHA_NAME_SIZE];
	char slot[FHA_SLOT_NAME_SIZE];

	(void) state;
	fha_slot_name("n-2-x", slot, sizeof(slot));
	assert_string_equal(slot, "fawkes_ha_n_2_x");
	memset(name, '-', FHA_NAME_SIZE - 1);
	name[0] = name[FHA_NAME_SIZE - 2] = 'n';
	name[FHA_NAME_SIZE - 1] = '\0';
	fha_slot_name(name, slot, sizeof(slot));
	assert_int_equal(strlen(slot), strlen("fawkes_ha_") + FHA_NAME_SIZE - 1);
	assert_int_equal(strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(slot));
}

static void
conninfo_names_host_port_and_us(void **state)
{
	static const struct
	{
		const char *address;
		const char *host;
		const char *port;
	} cases[] = {
		{"h1:5432", "h1", "5432"},
		{"10.0.0.1:1", "10.0.0.1", "1"},
		{"[::1]:65535", "::1", "65535"},
		{"[fe80::1%eth0]:5432", "fe80::1%eth0", "5432"},
		{"a host:5432", "a host", "5432"},
		{"it's:5432", "it's", "5432"},
		{"back\\slash:5432", "back\\slash", "5432"},
		{"\\':5432", "\\'", "5432"},
		{"x' user=postgres y='z:5432", "x' user=postgres y='z", "5432"},
	};
	char passfile[FHA_PATH_SIZE];
	char out[2048];
	FhaError err;

	(void) state;
	assert_int_equal(fha_state_path(&config, "pgpass", passfile, sizeof(passfile), &err), FHA_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		assert_int_equal(
			fha_conninfo(&config, cases[i].address, "n-2_da7a", out, sizeof(out), &err), FHA_OK);
		assert_value(out, "host", cases[i].host);
		assert_value(out, "port", cases[i].port);
		assert_value(out, "user", FHA_REPLICATION_USER);
		assert_value(out, "application_name", "n-2_da7a");
		assert_value(out, "passfile", passfile);
	}
}

/* Who answers at a leader's address is asked to prove itself, where libpq can ask for that. */
static void
nobody_is_told_the_password_who_has_no_verifier(void **state)
{
	(void) state;
	for (int postgres = 15; postgres <= 18; postgres++)
	{
		assert_non_null(strstr(fha_conninfo_terms(true, postgres), "channel_binding=require"));
		assert_non_null(strstr(fha_conninfo_terms(true, postgres), "sslmode=require"));
	}
	assert_null(strstr(fha_conninfo_terms(false, 15), "require_auth"));
	assert_value(fha_conninfo_terms(false, 16), "require_auth", "scram-sha-256");
	assert_value(fha_conninfo_terms(false, 18), "require_auth", "scram-sha-256");
}

static void
conninfo_quotes_the_path(void **state)
{
	char out[2048];
	FhaError err;

	(void) state;
	(void) snprintf(config.state_directory, sizeof(config.state_directory), "/srv/o'neill \\ sons");
	assert_int_equal(fha_conninfo(&config, "h1:5432", "n", out, sizeof(out), &err), FHA_OK);
	assert_value(out, "passfile", "/srv/o'neill \\ sons/pgpass");
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {
		"",           ":",         "h1",           "h1:",         ":5432",   "h1:port",
		"h1:5432x",   "h1:-1",     "h1: 5432",     "h1:12345678", "[]:5432", "[:5432",
		"h1 :5432\n", "h1\n:5432", "h1\r\nx:5432", "h1\x01:5432",
	};
	char address[FHA_ADDRESS_SIZE + 7];
	char out[2048];
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (fha_conninfo(&config, bad[i], "n", out, sizeof(out), &err) != FHA_INVALID)
			fail_msg("\"%s\" is taken for an address: %s", bad[i], out);
	/* The longest host, and one more. */
	memset(address, 'h', FHA_ADDRESS_SIZE);
	memcpy(address + FHA_ADDRESS_SIZE - 1, ":1", 3);
	assert_int_equal(fha_conninfo(&config, address, "n", out, sizeof(out), &err), FHA_OK);
	memset(address, 'h', FHA_ADDRESS_SIZE);
	memcpy(address + FHA_ADDRESS_SIZE, ":1", 3);
	assert_int_equal(fha_conninfo(&config, address, "n", out, sizeof(out), &err), FHA_INVALID);
}

/* At every size it either fits whole or is refused, and nothing is written behind it. */
static void
an_overlong_conninfo_is_refused(void **state)
{
	char whole[2048];
	FhaError err;
	size_t length;

	(void) state;
	assert_int_equal(fha_conninfo(&config, "it's:5432", "n", whole, sizeof(whole), &err), FHA_OK);
	length = strlen(whole);
	for (size_t size = 1; size < length + 8; size++)
	{
		char *out = malloc(size);
		FhaCode code;

		assert_non_null(out);
		code = fha_conninfo(&config, "it's:5432", "n", out, size, &err);
		if (code == FHA_OK)
			assert_string_equal(out, whole);
		else
			assert_int_equal(code, FHA_INVALID);
		assert_true(code == FHA_INVALID || size > length);
		assert_true(code == FHA_OK || size < length + 4);
		free(out);
	}
}

static char *
read_follow_conf(void)
{
	char path[FHA_PATH_SIZE];
	char *text;
	FhaError err;

	assert_int_equal(fha_state_path(&config, "follow.conf", path, sizeof(path), &err), FHA_OK);
	if (fha_file_read(path, 65536, &text, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return text;
}

static void
follow_conf_names_the_leader(void **state)
{
	FhaState node = {.data_incarnation = "da7a000000000001"};
	char conninfo[FHA_CONNINFO_SIZE];
	char wanted[2048];
	char slot[64];
	char timeline[64];
	FhaError err;
	bool changed;
	char *text;

	(void) state;
	(void) snprintf(config.state_directory, sizeof(config.state_directory), "%s/o'n \\e",
					directory);
	assert_int_equal(fha_state_prepare(&config, &err), FHA_OK);
	assert_int_equal(fha_follow_write(&config, &node, "it's\\:5432", &changed, &err), FHA_OK);
	assert_true(changed);
	text = read_follow_conf();
	setting_value(text, "primary_conninfo", conninfo, sizeof(conninfo));
	setting_value(text, "primary_slot_name", slot, sizeof(slot));
	setting_value(text, "recovery_target_timeline", timeline, sizeof(timeline));
	free(text);
	assert_int_equal(
		fha_conninfo(&config, "it's\\:5432", "n-2_da7a000000000001", wanted, sizeof(wanted), &err),
		FHA_OK);
	assert_string_equal(conninfo, wanted);
	assert_value(conninfo, "host", "it's\\");
	assert_string_equal(slot, "fawkes_ha_n_2");
	assert_string_equal(timeline, "latest");
}

static void
only_what_differs_is_a_change(void **state)
{
	FhaState node = {.data_incarnation = "da7a000000000001"};
	char path[FHA_PATH_SIZE];
	struct stat first;
	struct stat second;
	FhaError err;
	bool changed;

	(void) state;
	assert_int_equal(fha_state_path(&config, "follow.conf", path, sizeof(path), &err), FHA_OK);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5432", &changed, &err), FHA_OK);
	assert_true(changed);
	assert_int_equal(stat(path, &first), 0);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5432", &changed, &err), FHA_OK);
	assert_false(changed);
	assert_int_equal(stat(path, &second), 0);
	assert_true(first.st_ino == second.st_ino);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5433", &changed, &err), FHA_OK);
	assert_true(changed);
	/* S4b: other data is another voter. */
	node.data_incarnation[15] = '2';
	assert_int_equal(fha_follow_write(&config, &node, "h1:5433", &changed, &err), FHA_OK);
	assert_true(changed);
	/* Damaged by somebody: written again. */
	assert_int_equal(fha_file_replace(path, "x", 1, &err), FHA_OK);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5433", &changed, &err), FHA_OK);
	assert_true(changed);
	/* Not an address: the file stays as it was. */
	assert_int_equal(fha_follow_write(&config, &node, "h1", &changed, &err), FHA_INVALID);
	assert_false(changed);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5433", &changed, &err), FHA_OK);
	assert_false(changed);
}

/* What stands behind the leader's address takes commands away that a user's file gives. */
static void
commands_of_recovery_are_taken_and_given_back(void **state)
{
	FhaState node = {.data_incarnation = "da7a000000000001"};
	FhaError err;
	char *text;
	bool changed;

	(void) state;
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_KEPT, &changed, &err), FHA_OK);
	assert_false(changed);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5432", &changed, &err), FHA_OK);
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_OFF, &changed, &err), FHA_OK);
	assert_true(changed);
	text = read_follow_conf();
	assert_non_null(strstr(text, "primary_conninfo = "));
	assert_non_null(strstr(text, "\nrestore_command = ''\narchive_cleanup_command = ''\n"));
	assert_null(strstr(text, "recovery_end_command"));
	free(text);
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_OFF, &changed, &err), FHA_OK);
	assert_false(changed);
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_ALL_OFF, &changed, &err), FHA_OK);
	assert_true(changed);
	/* Who comes after does not know that it held up a promotion. */
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_OFF, &changed, &err), FHA_OK);
	assert_false(changed);
	text = read_follow_conf();
	assert_non_null(strstr(text, "\nrecovery_end_command = ''\n"));
	free(text);
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_KEPT, &changed, &err), FHA_OK);
	assert_true(changed);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5432", &changed, &err), FHA_OK);
	assert_false(changed);
	/* Another leader: all are back. */
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_OFF, &changed, &err), FHA_OK);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5432", &changed, &err), FHA_OK);
	assert_true(changed);
	text = read_follow_conf();
	assert_null(strstr(text, "restore_command"));
	free(text);
	(void) snprintf(config.state_directory, sizeof(config.state_directory), "%s/nowhere",
					directory);
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_OFF, &changed, &err), FHA_IO);
	memset(config.state_directory, 'x', sizeof(config.state_directory) - 1);
	assert_int_equal(fha_follow_commands(&config, FHA_COMMANDS_OFF, &changed, &err), FHA_INVALID);
	assert_false(changed);
}

static void
follow_write_that_cannot_write_says_so(void **state)
{
	FhaState node = {.data_incarnation = "da7a000000000001"};
	FhaError err;
	bool changed;

	(void) state;
	(void) snprintf(config.state_directory, sizeof(config.state_directory), "%s/nowhere",
					directory);
	assert_int_equal(fha_follow_write(&config, &node, "h1:5432", &changed, &err), FHA_IO);
	/* Two bytes for each quote, twice: beyond any limit. */
	memset(config.state_directory, '\'', sizeof(config.state_directory) - 16);
	config.state_directory[0] = '/';
	assert_int_equal(fha_follow_write(&config, &node, "h1:5432", &changed, &err), FHA_INVALID);
	assert_false(changed);
}

static const char *
history_path(uint32_t timeline)
{
	static char path[FHA_PATH_SIZE + 40];

	(void) snprintf(path, sizeof(path), "%s/pg_wal/%08X.history", config.data_directory, timeline);
	return path;
}

static const char real_history[] = "1\t0/3000000\tno recovery target specified\n";

static void
write_history(uint32_t timeline)
{
	FhaError err;

	assert_int_equal(
		fha_file_replace(history_path(timeline), real_history, strlen(real_history), &err), FHA_OK);
}

static bool
has_history(uint32_t timeline)
{
	return access(history_path(timeline), F_OK) == 0;
}

static void
assert_real(uint32_t timeline)
{
	FhaError err;
	char *text;

	assert_int_equal(fha_file_read(history_path(timeline), 4096, &text, &err), FHA_OK);
	assert_string_equal(text, real_history);
	free(text);
}

static void
placeholders_are_made_between(void **state)
{
	FhaError err;
	char *text;

	(void) state;
	assert_int_equal(fha_timeline_reserve(config.data_directory, 9, 0xC, &err), FHA_OK);
	assert_false(has_history(9));
	assert_true(has_history(0xA));
	assert_true(has_history(0xB));
	assert_false(has_history(0xC));
	assert_false(has_history(0xD));
	/* A comment, to PostgreSQL: a timeline without a parent is no child of any. */
	assert_int_equal(fha_file_read(history_path(0xB), 4096, &text, &err), FHA_OK);
	assert_string_equal(text, "# fawkes_ha: reserved, never promoted\n");
	free(text);
}

static void
write_text(uint32_t timeline, const char *text)
{
	FhaError err;

	assert_int_equal(fha_file_replace(history_path(timeline), text, strlen(text), &err), FHA_OK);
}

static void
placeholders_at_the_end_of_a_row_are_dropped(void **state)
{
	static const char of_1_1[] = "1\tFFFFFFFF/FF000000\tfawkes_ha: reserved, never promoted\n";
	static const uint32_t kept[] = {5, 6, 8, 9, 0xB, 0xC};
	static const uint32_t dropped[] = {2, 3, 0xD, 0xE};
	char path[FHA_PATH_SIZE + 64];
	FhaError err;

	(void) state;
	assert_int_equal(fha_timeline_reserve(config.data_directory, 1, 4, &err), FHA_OK);
	assert_int_equal(fha_timeline_reserve(config.data_directory, 4, 6, &err), FHA_OK);
	write_history(6);
	write_text(8, of_1_1);
	write_history(9);
	/* Real ones that are not of PostgreSQL's making: empty, and longer than a placeholder. */
	write_text(0xB, "");
	(void) snprintf(path, sizeof(path), "1\t0/1\t%0200d\n%s", 0, of_1_1);
	write_text(0xC, path);
	write_text(0xD, of_1_1);
	write_text(0xE, of_1_1);
	assert_int_equal(fha_timeline_drop_placeholders(config.data_directory, &err), FHA_OK);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_true(has_history(kept[i]));
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		assert_false(has_history(dropped[i]));
	assert_int_equal(fha_timeline_drop_placeholders(config.data_directory, &err), FHA_OK);
}

static void
nothing_between_nothing_made(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(fha_timeline_reserve(config.data_directory, 4, 5, &err), FHA_OK);
	assert_int_equal(fha_timeline_reserve(config.data_directory, 4, 4, &err), FHA_OK);
	assert_int_equal(fha_timeline_reserve(config.data_directory, 4, 3, &err), FHA_OK);
	assert_int_equal(fha_timeline_reserve(config.data_directory, UINT32_MAX - 1, UINT32_MAX, &err),
					 FHA_OK);
	/* Millions of files would be made for a damaged record. */
	assert_int_equal(fha_timeline_reserve(config.data_directory, 1, 20000, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "too far"));
	for (uint32_t timeline = 1; timeline < 8; timeline++)
		assert_false(has_history(timeline));
}

static void
reserving_never_touches_real_history(void **state)
{
	FhaError err;

	(void) state;
	write_history(2);
	write_history(4);
	write_history(6);
	assert_int_equal(fha_timeline_reserve(config.data_directory, 3, 6, &err), FHA_OK);
	assert_true(has_history(5));
	assert_real(2);
	assert_real(4);
	assert_real(6);
	/* A standby gets what is above its own timeline from its leader, or must never have it. */
	assert_int_equal(fha_timeline_unreserve(config.data_directory, 3, &err), FHA_OK);
	assert_real(2);
	assert_false(has_history(4));
	assert_false(has_history(5));
	assert_false(has_history(6));
}

static void
only_history_above_current_is_removed(void **state)
{
	char path[FHA_PATH_SIZE + 64];
	FhaError err;

	(void) state;
	assert_int_equal(fha_timeline_reserve(config.data_directory, 2, 0x1F, &err), FHA_OK);
	/* As a segment, a partial one, or a name that only begins like a history file would be. */
	(void) snprintf(path, sizeof(path), "%s/pg_wal/0000001C.history.bak", config.data_directory);
	assert_int_equal(fha_file_replace(path, "fawkes_ha: reserved, never promoted", 35, &err),
					 FHA_OK);
	assert_int_equal(fha_timeline_unreserve(config.data_directory, 0x1A, &err), FHA_OK);
	for (uint32_t timeline = 3; timeline < 0x1F; timeline++)
		assert_int_equal(has_history(timeline), timeline <= 0x1A);
	assert_int_equal(access(path, F_OK), 0);
	/* Again: nothing is left to do. */
	assert_int_equal(fha_timeline_unreserve(config.data_directory, 0x1A, &err), FHA_OK);
	assert_true(has_history(0x1A));
}

/* Reserving is repeated after a crash in the middle of it. */
static void
reserving_again_changes_nothing(void **state)
{
	struct stat first;
	struct stat second;
	FhaError err;

	(void) state;
	assert_int_equal(fha_timeline_reserve(config.data_directory, 2, 5, &err), FHA_OK);
	assert_int_equal(stat(history_path(3), &first), 0);
	assert_int_equal(fha_timeline_reserve(config.data_directory, 2, 6, &err), FHA_OK);
	assert_int_equal(stat(history_path(3), &second), 0);
	assert_true(first.st_ino == second.st_ino);
	assert_true(has_history(5));
}

static void
a_missing_directory_is_an_error(void **state)
{
	FhaError err;

	(void) state;
	(void) strncat(config.data_directory, "/gone", 6);
	assert_int_equal(fha_timeline_reserve(config.data_directory, 2, 5, &err), FHA_IO);
	assert_int_equal(fha_timeline_unreserve(config.data_directory, 2, &err), FHA_IO);
	assert_int_equal(fha_timeline_drop_placeholders(config.data_directory, &err), FHA_IO);
	assert_non_null(strstr(err.text, "pg_wal"));
}

static void
write_mark(const char *text)
{
	char path[FHA_PATH_SIZE];
	FhaError err;

	assert_int_equal(fha_state_path(&config, "promoting", path, sizeof(path), &err), FHA_OK);
	assert_int_equal(fha_file_replace(path, text, strlen(text), &err), FHA_OK);
}

static void
s7_a_mark_names_the_timeline_that_a_promotion_leaves(void **state)
{
	uint32_t leaving = 7;
	FhaError err;

	(void) state;
	assert_int_equal(fha_promotion_read(&config, &leaving, &err), FHA_NOT_FOUND);
	assert_int_equal(leaving, 0);
	assert_int_equal(fha_promotion_mark(&config, 12, &err), FHA_OK);
	assert_int_equal(fha_promotion_read(&config, &leaving, &err), FHA_OK);
	assert_int_equal(leaving, 12);
	assert_int_equal(fha_promotion_unmark(&config, &err), FHA_OK);
	assert_int_equal(fha_promotion_unmark(&config, &err), FHA_OK);
	assert_int_equal(fha_promotion_read(&config, &leaving, &err), FHA_NOT_FOUND);
}

static void
s7_a_mark_that_names_no_timeline_is_not_heeded(void **state)
{
	uint32_t leaving = 7;
	FhaError err;

	(void) state;
	write_mark("0\n");
	assert_int_equal(fha_promotion_read(&config, &leaving, &err), FHA_INVALID);
	assert_int_equal(leaving, 0);
	write_mark("three\n");
	assert_int_equal(fha_promotion_read(&config, &leaving, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "promoting"));
}

static void
assert_text(uint32_t timeline, const char *wanted)
{
	FhaError err;
	char *text;

	assert_int_equal(fha_file_read(history_path(timeline), 4096, &text, &err), FHA_OK);
	assert_string_equal(text, wanted);
	free(text);
}

#define OF_2 "# fawkes_ha: timeline 2 is 00000000000000a2\n"
#define OF_3 "# fawkes_ha: timeline 3 is 00000000000000a3\n"

/* PostgreSQL copies the parent's history into that of the timeline that it makes. */
static void
a_promotion_copies_the_identity(void **state)
{
	FhaError err;

	(void) state;
	/* The first timeline has no history: PostgreSQL looks for one only to copy it. */
	assert_int_equal(fha_timeline_identify(config.data_directory, 1, 2, "00000000000000a2", &err),
					 FHA_OK);
	assert_text(1, OF_2);
	write_text(2, OF_2 "\n1\t0/3000000\tno recovery target specified");
	assert_int_equal(fha_timeline_identify(config.data_directory, 2, 3, "00000000000000b3", &err),
					 FHA_OK);
	/* That promotion did not come to its end. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			fha_timeline_identify(config.data_directory, 2, 3, "00000000000000a3", &err), FHA_OK);
	assert_text(2, OF_2 "\n1\t0/3000000\tno recovery target specified\n" OF_3);
	/* The history of a timeline was received, its WAL was not: PostgreSQL takes it for the parent all the same. */
	write_history(4);
	assert_int_equal(fha_timeline_reserve(config.data_directory, 2, 4, &err), FHA_OK);
	assert_int_equal(fha_timeline_identify(config.data_directory, 2, 6, "00000000000000a6", &err),
					 FHA_OK);
	assert_text(3, "# fawkes_ha: reserved, never promoted\n");
	assert_text(4, "1\t0/3000000\tno recovery target specified\n"
				   "# fawkes_ha: timeline 6 is 00000000000000a6\n");
	assert_false(has_history(5));
	assert_int_equal(fha_timeline_identify(config.data_directory, 2, 6, "", &err), FHA_OK);
	assert_real(4);
	/* A take by 1.1 has none. */
	assert_int_equal(fha_timeline_identify(config.data_directory, 2, 3, "", &err), FHA_OK);
	assert_text(2, OF_2 "\n1\t0/3000000\tno recovery target specified\n");
}

static void
no_identity_is_written_without_a_place_for_it(void **state)
{
	FhaError err;

	(void) state;
	/* One that is still to be received would not be asked for. */
	assert_int_equal(fha_timeline_identify(config.data_directory, 4, 5, "00000000000000a5", &err),
					 FHA_OK);
	assert_false(has_history(4));
	assert_int_equal(fha_timeline_identify(config.data_directory, 1, 5, "", &err), FHA_OK);
	assert_false(has_history(1));
	/* Whoever may write into the lock writes no line of a history. */
	assert_int_equal(fha_timeline_identify(config.data_directory, 1, 5, "\n9\t0/1\tx-----x", &err),
					 FHA_OK);
	assert_false(has_history(1));
	write_history(4);
	assert_int_equal(chmod(history_path(4), 0), 0);
	if (geteuid() != 0)
		assert_int_equal(
			fha_timeline_identify(config.data_directory, 4, 5, "00000000000000a5", &err), FHA_IO);
}

static void
identities_are_read_back(void **state)
{
	FhaLineageStep steps[] = {{.timeline = 1}, {.timeline = 2}, {.timeline = 3}, {.timeline = 5}};

	(void) state;
	fha_timeline_identities(config.data_directory, 3, steps, 4);
	assert_string_equal(steps[2].id, "");
	write_text(3, OF_2 "1\t0/3000000\tx\n# fawkes_ha: timeline 3 is 00000000000000b3\n" OF_3
					   "# fawkes_ha: timeline 5 is 00000000000000A5\n"
					   "# fawkes_ha: timeline 5 is 00000000000000a55\n"
					   "# fawkes_ha: timeline 5 is 00000000000000a5 \n"
					   "# fawkes_ha: timeline 5 is a5\n"
					   "2\t0/5000000\tx\n# fawkes_ha: timeline 1 is 00000000000000a1");
	fha_timeline_identities(config.data_directory, 3, steps, 4);
	assert_string_equal(steps[0].id, "00000000000000a1");
	assert_string_equal(steps[1].id, "00000000000000a2");
	assert_string_equal(steps[2].id, "00000000000000a3");
	assert_string_equal(steps[3].id, "");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(slot_names_are_what_postgres_allows),
		TEST(conninfo_names_host_port_and_us),
		TEST(nobody_is_told_the_password_who_has_no_verifier),
		TEST(conninfo_quotes_the_path),
		TEST(what_is_no_address_is_refused),
		TEST(an_overlong_conninfo_is_refused),
		TEST(follow_conf_names_the_leader),
		TEST(only_what_differs_is_a_change),
		TEST(commands_of_recovery_are_taken_and_given_back),
		TEST(follow_write_that_cannot_write_says_so),
		TEST(placeholders_are_made_between),
		TEST(placeholders_at_the_end_of_a_row_are_dropped),
		TEST(a_promotion_copies_the_identity),
		TEST(no_identity_is_written_without_a_place_for_it),
		TEST(identities_are_read_back),
		TEST(nothing_between_nothing_made),
		TEST(reserving_never_touches_real_history),
		TEST(only_history_above_current_is_removed),
		TEST(reserving_again_changes_nothing),
		TEST(a_missing_directory_is_an_error),
		TEST(s7_a_mark_names_the_timeline_that_a_promotion_leaves),
		TEST(s7_a_mark_that_names_no_timeline_is_not_heeded),
	};

	return cmocka_run_group_tests_name("follow", tests, NULL, NULL);
}
