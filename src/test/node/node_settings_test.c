/*
 * node_settings_test.c: which settings of all members a node takes from the record.
 *
 * The record is what an attacker may write; pgpass and cluster.conf are what the node has itself.
 */
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

#include "base/clock.h"
#include "config/config.h"
#include "node/private.h"
#include "record/request.h"

#define UUID "0123456789abcdef0123456789abcdef"

static char directory[] = "/tmp/fha-settings-XXXXXX";
static char pgpass[64];
static char conf[64];
static FhaNode node;
static int64_t now_ms = 1000000;
static FhaCluster *const cluster = &node.world.cluster;
static FhaError err;

static void
write_pgpass(const char *password)
{
	FILE *out = fopen(pgpass, "w");

	assert_non_null(out);
	assert_true(fprintf(out, "*:*:*:fawkes_replication:%s\n", password) > 0);
	assert_int_equal(fclose(out), 0);
}

static FhaKey
key_of(const char *password)
{
	FhaKey key;

	write_pgpass(password);
	assert_int_equal(fha_key_read(&node.config, &key, &err), FHA_OK);
	return key;
}

static void
begin_node(void)
{
	memset(&node, 0, sizeof(node));
	node.clock = &fha_kernel_clock;
	fha_config_defaults(&node.config);
	(void) snprintf(node.config.cluster_name, sizeof(node.config.cluster_name), "c");
	(void) snprintf(node.config.state_directory, sizeof(node.config.state_directory), "%s",
					directory);
	(void) snprintf(node.world.self.member, sizeof(node.world.self.member), "n1");
	(void) snprintf(cluster->cluster, sizeof(cluster->cluster), "c");
	(void) snprintf(cluster->cluster_uuid, sizeof(cluster->cluster_uuid), UUID);
	(void) snprintf(cluster->members[0], FHA_NAME_SIZE, "n1");
	cluster->member_count = 1;
	node.world.watch.seen = true;
	assert_int_equal(node_settings_open(&node, &err), FHA_OK);
}

static int
settle(void **state)
{
	(void) state;
	write_pgpass("secret");
	(void) unlink(conf);
	begin_node();
	return 0;
}

static void
set(const char *name, const char *value)
{
	(void) snprintf(cluster->settings[0].name, FHA_SETTING_NAME_SIZE, "%s", name);
	(void) snprintf(cluster->settings[0].value, FHA_SETTING_VALUE_SIZE, "%s", value);
	cluster->setting_count = 1;
}

static void
sign_as(const char *password, uint64_t serial)
{
	FhaKey key = key_of(password);

	cluster->settings_signature.serial = serial;
	assert_int_equal(fha_settings_sign(cluster, &key, &err), FHA_OK);
	write_pgpass("secret");
}

static const char *
taken(const char *name)
{
	const char *value;

	assert_int_equal(node_settings_remember(&node, now_ms, &err), FHA_OK);
	value = fha_node_setting(&node, name);
	return value == NULL ? "" : value;
}

/* As the primary's next renewal has it. */
static void
renew(void)
{
	FhaCluster next = *cluster;

	node_settings_keep(&node, &next, now_ms);
	*cluster = next;
	assert_int_equal(node_settings_remember(&node, now_ms, &err), FHA_OK);
}

static void
what_is_signed_is_taken(void **state)
{
	(void) state;
	set("archive_command", "cp %p /a/%f");
	sign_as("secret", 1);
	assert_string_equal(taken("archive_command"), "cp %p /a/%f");
	/* By the next process too: the file says what was taken, and who signed it. */
	begin_node();
	assert_int_equal(node.settings.signature.serial, 1);
	assert_string_equal(node.settings.cluster_uuid, UUID);
	assert_string_equal(fha_node_setting(&node, "archive_command"), "cp %p /a/%f");
}

static void
what_another_key_signed_is_not(void **state)
{
	(void) state;
	set("work_mem", "1MB");
	sign_as("secret", 1);
	assert_string_equal(taken("work_mem"), "1MB");
	set("work_mem", "2MB");
	sign_as("guess", 2);
	assert_string_equal(taken("work_mem"), "1MB");
	assert_int_equal(node.news_count, 1);
	assert_non_null(strstr(node.news[0], "not signed with this member's cluster key"));
	/* Said once, however often the record is looked at. */
	assert_string_equal(taken("work_mem"), "1MB");
	assert_int_equal(node.news_count, 1);
	/* The same key's name on it does not help. */
	(void) snprintf(cluster->settings_signature.key_id, FHA_KEY_ID_SIZE, "%s",
					node.settings.signature.key_id);
	assert_string_equal(taken("work_mem"), "1MB");
}

static void
each_part_is_signed(void **state)
{
	FhaCluster good;

	(void) state;
	set("work_mem", "1MB");
	sign_as("secret", 7);
	good = *cluster;
	assert_true(fha_settings_are_signed(&good, &(FhaKey){0}) == false);
	cluster->settings_signature.serial = 8;
	assert_string_equal(taken("work_mem"), "");
	*cluster = good;
	cluster->settings[0].value[0] = '9';
	assert_string_equal(taken("work_mem"), "");
	*cluster = good;
	cluster->settings[0].name[0] = 'W';
	assert_string_equal(taken("work_mem"), "");
	*cluster = good;
	cluster->cluster_uuid[0] = 'f';
	assert_string_equal(taken("work_mem"), "");
	*cluster = good;
	cluster->setting_count = 0;
	assert_string_equal(taken("work_mem"), "");
	*cluster = good;
	assert_string_equal(taken("work_mem"), "1MB");
}

static void
nothing_older_is_taken(void **state)
{
	FhaCluster old;

	(void) state;
	set("archive_command", "old");
	sign_as("secret", 1);
	old = *cluster;
	assert_string_equal(taken("archive_command"), "old");
	set("archive_command", "new");
	sign_as("secret", 2);
	assert_string_equal(taken("archive_command"), "new");
	/* A restored lock, or a replay by somebody who may write it. */
	*cluster = old;
	assert_string_equal(taken("archive_command"), "new");
	set("archive_command", "other");
	sign_as("secret", 2);
	assert_string_equal(taken("archive_command"), "new");
	memset(&cluster->settings_signature, 0, sizeof(cluster->settings_signature));
	assert_string_equal(taken("archive_command"), "new");
	assert_non_null(strstr(node.news[0], "older than what this member has"));
}

static void
nothing_signed_is_replaced_by_something_that_is_not(void **state)
{
	(void) state;
	set("work_mem", "1MB");
	sign_as("secret", 1);
	assert_string_equal(taken("work_mem"), "1MB");
	memset(&cluster->settings_signature, 0, sizeof(cluster->settings_signature));
	set("work_mem", "2MB");
	assert_string_equal(taken("work_mem"), "1MB");
	assert_non_null(strstr(node.news[0], "not signed any more"));
}

static void
an_unsigned_record_brings_no_program(void **state)
{
	static const char *const programs[] = {"archive_command", "Archive_Library",
										   "session_preload_libraries", "ssl_passphrase_command"};

	(void) state;
	set("work_mem", "3MB");
	assert_string_equal(taken("work_mem"), "3MB"); /* of members of 1.1 */
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
	{
		set(programs[i], "evil");
		assert_string_equal(taken(programs[i]), "");
	}
	assert_non_null(strstr(node.news[0], "runs a program or loads a library"));
}

/* cluster.conf as version 1.1 wrote it. */
static void
what_was_there_before_an_upgrade_stays(void **state)
{
	FILE *out = fopen(conf, "w");

	(void) state;
	assert_non_null(out);
	assert_true(fputs("# Written by fawkes_ha: settings of all members, changed by fawkes-ha set.\n"
					  "archive_command = 'cp ''%p'' \\\\\\\\a'\n",
					  out) >= 0);
	assert_int_equal(fclose(out), 0);
	begin_node();
	set("archive_command", "cp '%p' \\\\a");
	assert_string_equal(taken("archive_command"), "cp '%p' \\\\a");
	assert_int_equal(node.news_count, 0);
	assert_int_equal(node.settings_changes, 0);
}

static void
a_file_of_something_else_is_no_memory(void **state)
{
	static const char *const texts[] = {"", "work_mem = 'a", "work_mem: 'a'", "work_mem = 'a' # b",
										"# signed: x\nnonsense\n"};

	(void) state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
	{
		FILE *out = fopen(conf, "w");

		assert_non_null(out);
		assert_true(fputs(texts[i], out) >= 0);
		assert_int_equal(fclose(out), 0);
		begin_node();
		assert_int_equal(node.settings.count, 0);
		assert_int_equal(node.settings.signature.serial, 0);
	}
}

static void
the_holder_signs_when_all_members_do(void **state)
{
	FhaMember *other = &node.world.members[0];

	(void) state;
	set("work_mem", "1MB");
	assert_string_equal(taken("work_mem"), "1MB");
	(void) snprintf(cluster->members[1], FHA_NAME_SIZE, "n2");
	cluster->member_count = 2;
	renew(); /* n2 has no record */
	assert_int_equal(cluster->settings_signature.serial, 0);
	(void) snprintf(other->member, sizeof(other->member), "n2");
	node.world.member_count = 1;
	renew(); /* n2 is of 1.1 and would drop it */
	assert_int_equal(cluster->settings_signature.serial, 0);
	other->format = FHA_RECORD_FORMAT;
	renew();
	assert_int_equal(cluster->settings_signature.serial, 1);
	assert_true(fha_settings_are_signed(cluster, &node.key));
	renew();
	assert_int_equal(cluster->settings_signature.serial, 1);
	assert_int_equal(node.settings_changes, 1);
}

static void
the_holder_puts_back_what_it_has(void **state)
{
	(void) state;
	set("work_mem", "1MB");
	sign_as("secret", 4);
	assert_string_equal(taken("work_mem"), "1MB");
	set("archive_command", "evil");
	memset(&cluster->settings_signature, 0, sizeof(cluster->settings_signature));
	assert_string_equal(taken("archive_command"), "");
	renew();
	assert_int_equal(cluster->setting_count, 1);
	assert_string_equal(cluster->settings[0].name, "work_mem");
	assert_int_equal(cluster->settings_signature.serial, 5);
	assert_true(fha_settings_are_signed(cluster, &node.key));
	assert_int_equal(node.entry_count, 1);
	assert_string_equal(node.entries[0].event, "settings");
}

/* New on an unsigned cluster: what it may not use itself it leaves to the members that have it. */
static void
a_holder_without_a_memory_takes_nothing_away(void **state)
{
	(void) state;
	set("archive_command", "of version 1.1");
	assert_string_equal(taken("archive_command"), "");
	renew();
	assert_int_equal(cluster->setting_count, 1);
	assert_int_equal(cluster->settings_signature.serial, 0);
	assert_int_equal(node.entry_count, 0);
}

static void
a_new_password_is_waited_for(void **state)
{
	(void) state;
	set("work_mem", "1MB");
	sign_as("secret", 1);
	assert_string_equal(taken("work_mem"), "1MB");
	/* Signed by a member that has the new one already. */
	set("work_mem", "2MB");
	sign_as("second", 2);
	assert_string_equal(taken("work_mem"), "1MB");
	renew();
	assert_int_equal(cluster->settings_signature.serial, 2);
	/* It comes here: within a lease it is read. */
	write_pgpass("second");
	now_ms += node.config.lease_duration_ms;
	assert_string_equal(taken("work_mem"), "2MB");
	/* It never comes: what nobody here can check does not stay. */
	set("work_mem", "3MB");
	sign_as("third", 3);
	write_pgpass("second");
	assert_string_equal(taken("work_mem"), "2MB");
	now_ms += 11 * INT64_C(60000);
	renew();
	assert_string_equal(cluster->settings[0].value, "2MB");
	assert_int_equal(cluster->settings_signature.serial, 3);
}

static void
the_holder_signs_again_after_a_new_password(void **state)
{
	(void) state;
	set("work_mem", "1MB");
	sign_as("secret", 1);
	assert_string_equal(taken("work_mem"), "1MB");
	write_pgpass("second");
	renew();
	assert_int_equal(cluster->settings_signature.serial, 1);
	now_ms += 60000;
	renew();
	assert_int_equal(cluster->settings_signature.serial, 2);
	assert_true(fha_settings_are_signed(cluster, &node.key));
	/* Without pgpass the key that is known stays. */
	assert_int_equal(unlink(pgpass), 0);
	now_ms += 60000;
	renew();
	assert_int_equal(cluster->settings_signature.serial, 2);
}

static void
a_change_is_signed(void **state)
{
	FhaCluster next;

	(void) state;
	assert_string_equal(taken("work_mem"), "");
	renew();
	assert_int_equal(cluster->settings_signature.serial, 1);
	node.request.kind = FHA_REQUEST_SET;
	(void) snprintf(node.request.setting.name, FHA_SETTING_NAME_SIZE, "archive_command");
	(void) snprintf(node.request.setting.value, FHA_SETTING_VALUE_SIZE, "true");
	next = *cluster;
	assert_int_equal(node_settings_change(&node, &next, now_ms, &err), FHA_OK);
	assert_int_equal(next.settings_signature.serial, 2);
	*cluster = next;
	assert_string_equal(taken("archive_command"), "true");
	/* Nothing is signed that somebody else has put there. */
	(void) snprintf(next.settings[0].value, FHA_SETTING_VALUE_SIZE, "evil");
	assert_int_equal(node_settings_change(&node, &next, now_ms, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "the primary puts its own back"));
	/* Without a password there is no key to sign with. */
	assert_int_equal(unlink(pgpass), 0);
	node.key_known = false;
	node.key_read_at_ms = 0;
	next = *cluster;
	assert_int_equal(node_settings_change(&node, &next, now_ms, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "pgpass"));
	renew();
	assert_int_equal(cluster->settings_signature.serial, 2);
}

/* What is remembered of another cluster binds nobody; its record is another matter altogether. */
static void
a_serial_is_of_one_cluster(void **state)
{
	(void) state;
	set("work_mem", "1MB");
	sign_as("secret", 9);
	assert_string_equal(taken("work_mem"), "1MB");
	cluster->cluster_uuid[0] = 'f';
	set("work_mem", "2MB");
	sign_as("secret", 1);
	(void) snprintf(node.world.self.cluster_uuid, FHA_UUID_SIZE, UUID);
	assert_string_equal(taken("work_mem"), "1MB");
	node.world.self.cluster_uuid[0] = 'f'; /* it has joined it */
	assert_string_equal(taken("work_mem"), "2MB");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_is_signed_is_taken, settle),
		cmocka_unit_test_setup(what_another_key_signed_is_not, settle),
		cmocka_unit_test_setup(each_part_is_signed, settle),
		cmocka_unit_test_setup(nothing_older_is_taken, settle),
		cmocka_unit_test_setup(nothing_signed_is_replaced_by_something_that_is_not, settle),
		cmocka_unit_test_setup(an_unsigned_record_brings_no_program, settle),
		cmocka_unit_test_setup(what_was_there_before_an_upgrade_stays, settle),
		cmocka_unit_test_setup(a_file_of_something_else_is_no_memory, settle),
		cmocka_unit_test_setup(the_holder_signs_when_all_members_do, settle),
		cmocka_unit_test_setup(the_holder_puts_back_what_it_has, settle),
		cmocka_unit_test_setup(a_holder_without_a_memory_takes_nothing_away, settle),
		cmocka_unit_test_setup(a_new_password_is_waited_for, settle),
		cmocka_unit_test_setup(the_holder_signs_again_after_a_new_password, settle),
		cmocka_unit_test_setup(a_change_is_signed, settle),
		cmocka_unit_test_setup(a_serial_is_of_one_cluster, settle),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	(void) snprintf(pgpass, sizeof(pgpass), "%s/pgpass", directory);
	(void) snprintf(conf, sizeof(conf), "%s/cluster.conf", directory);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	(void) unlink(pgpass);
	(void) unlink(conf);
	(void) rmdir(directory);
	return failed;
}
