/*
 * node_request_test.c: what the holder answers to requests, by what it knows; what a node keeps of
 * the record, and tells of it.
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
#include "config/cluster_conf.h"
#include "config/config.h"
#include "core/decide.h"
#include "node/private.h"

#define ID "0123456789abcdef"
#define NOW_MS 1000000

static char directory[] = "/tmp/fha-request-XXXXXX";
static FhaNode node;
static FhaCluster *const cluster = &node.world.cluster;
static FhaRequest *const standing = &node.world.cluster.request;

static void
add_member(const char *name, FhaRole role)
{
	FhaMember *member = &node.world.members[node.world.member_count++];

	(void) snprintf(member->member, sizeof(member->member), "%s", name);
	(void) snprintf(member->cluster, sizeof(member->cluster), "c");
	(void) snprintf(member->incarnation, sizeof(member->incarnation), "00000000000000aa");
	member->role = role;
	member->supervised = true;
	(void) snprintf(cluster->members[cluster->member_count++], FHA_NAME_SIZE, "%s", name);
}

/* n1 leads, n2 streams, n3 is there. */
static int
settle(void **state)
{
	(void) state;
	memset(&node, 0, sizeof(node));
	node.clock = &fha_kernel_clock;
	fha_config_defaults(&node.config);
	(void) snprintf(node.config.cluster_name, sizeof(node.config.cluster_name), "c");
	(void) snprintf(node.config.member_name, sizeof(node.config.member_name), "n1");
	(void) snprintf(node.config.state_directory, sizeof(node.config.state_directory), "%s",
					directory);
	(void) snprintf(node.world.self.member, sizeof(node.world.self.member), "n1");
	(void) snprintf(node.world.self.incarnation, sizeof(node.world.self.incarnation),
					"00000000000000aa");
	(void) snprintf(cluster->holder, sizeof(cluster->holder), "n1");
	memcpy(cluster->incarnation, node.world.self.incarnation, sizeof(cluster->incarnation));
	cluster->term = 3;
	cluster->timeline = 2;
	add_member("n1", FHA_ROLE_PRIMARY);
	add_member("n2", FHA_ROLE_STANDBY);
	add_member("n3", FHA_ROLE_STANDBY);
	node.world.watch.seen = true;
	node.world.pg.state = FHA_PG_PRIMARY;
	node.world.pg.supervised = true;
	node.world.pg.standby_count = 1;
	(void) snprintf(node.world.pg.standbys[0].member, FHA_NAME_SIZE, "n2");
	return 0;
}

static void
make_request(FhaRequestKind kind, const char *target)
{
	memset(standing, 0, sizeof(*standing));
	standing->kind = kind;
	standing->state = FHA_REQUEST_PENDING;
	memcpy(standing->id, ID, sizeof(standing->id));
	(void) snprintf(standing->requested_by, sizeof(standing->requested_by), "test");
	(void) snprintf(standing->target, sizeof(standing->target), "%s", target);
}

static FhaRequestState
answer_at(int64_t now_ms)
{
	node_request_answer(&node, cluster, now_ms);
	return standing->state;
}

static void
carried_out(const char *name)
{
	for (size_t i = 0; i < node.world.member_count; i++)
		if (strcmp(node.world.members[i].member, name) == 0)
		{
			memcpy(node.world.members[i].carried_out, standing->id, sizeof(standing->id));
			(void) snprintf(cluster->standbys[cluster->standby_count++].member, FHA_NAME_SIZE, "%s",
							name);
		}
}

#define SAYS(text)                                                    \
	do                                                                \
	{                                                                 \
		if (strstr(standing->message, text) == NULL)                  \
			fail_msg("\"%s\" lacks \"%s\"", standing->message, text); \
	} while (0)

static void
a_restart_counts_whom_it_waits_for(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("begun");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("0 of 3 restarted, waiting for n2");
	carried_out("n2");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("1 of 3 restarted, waiting for n3");
	/* What keeps it away is said, and what may have brought that about. */
	(void) snprintf(node.world.members[2].no_start, FHA_SENTENCE_SIZE, "no memory");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("waiting for n3: PostgreSQL does not start there: no memory");
	(void) snprintf(node.world.members[2].suspects, FHA_SUSPECTS_SIZE, "shared_buffers");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("n3: PostgreSQL does not start there (fawkes-ha reset shared_buffers?): no memory");
	carried_out("n3");
	(void) snprintf(node.world.pg.no_start, FHA_SENTENCE_SIZE, "no certificate");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("waiting for n1: PostgreSQL does not start there: no certificate");
	/* It restarted, and does not stream yet. */
	cluster->standby_count = 0;
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("0 of 3 restarted, waiting for n2");
	memcpy(node.world.pg.started_for, standing->id, sizeof(node.world.pg.started_for));
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	carried_out("n2");
	carried_out("n3");
	assert_int_equal(answer_at(1000), FHA_REQUEST_DONE);
	SAYS("3 of 3");
}

static void
lowered_limits_restart_the_primary_first(void **state)
{
	(void) state;
	node.world.pg.limits_lowered = true;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	assert_true(standing->primary_first);
	SAYS("with the primary");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("0 of 3 restarted, waiting for n1");
}

/* Standbys that find no slot or walsender cannot stream before the primary has been restarted. */
static void
a_primary_without_room_is_restarted_first(void **state)
{
	(void) state;
	node.world.pg.max_slots = 1;
	node.world.pg.max_senders = 16;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	assert_false(standing->primary_first); /* a restart would change nothing */
	node.world.pg.pending_restart = true;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	assert_true(standing->primary_first);
	SAYS("with the primary: standbys find no room there before");
	node.world.pg.max_slots = 2;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	assert_false(standing->primary_first);
	node.world.pg.max_senders = 1;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	assert_true(standing->primary_first);
}

static void
a_reinit_ends_when_the_copy_streams(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_REINIT, "n2");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("n2 copies the data of n1");
	/* That it streams is no sign: it did so before. */
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	carried_out("n2");
	assert_int_equal(answer_at(1000), FHA_REQUEST_DONE);
	SAYS("n2 streams from n1");
}

static void
a_rejoin_ends_when_it_streams(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_REJOIN, "n3");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("n3 tries again");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	(void) snprintf(node.world.pg.standbys[0].member, FHA_NAME_SIZE, "n3");
	assert_int_equal(answer_at(1000), FHA_REQUEST_DONE);
}

static void
a_member_goes_after_its_record(void **state)
{
	const Held *held = NULL;
	char *text = NULL;

	(void) state;
	node.world.members[2].role = FHA_ROLE_DOWN;
	(void) snprintf(node.others[2].version, sizeof(node.others[2].version), "5");
	make_request(FHA_REQUEST_REMOVE, "n3");
	assert_int_equal(answer_at(1000), FHA_REQUEST_PENDING);
	assert_true(node_request_tombstone(&node, &held, &text));
	assert_ptr_equal(held, &node.others[2]);
	assert_non_null(strstr(text, "removed by test"));
	assert_null(strstr(text, "\"rule\""));
	free(text);
	node.world.member_count = 2;
	assert_false(node_request_tombstone(&node, &held, &text));
	assert_int_equal(answer_at(1000), FHA_REQUEST_DONE);
	assert_int_equal(cluster->member_count, 2);
	assert_string_equal(cluster->members[1], "n2");
	assert_false(node_request_tombstone(&node, &held, &text));
}

static void
who_never_had_data_goes_too(void **state)
{
	const Held *held = NULL;
	char *text = NULL;

	(void) state;
	cluster->member_count = 2;
	node.world.members[2].role = FHA_ROLE_DOWN;
	make_request(FHA_REQUEST_REMOVE, "n3");
	assert_int_equal(answer_at(1000), FHA_REQUEST_PENDING);
	assert_true(node_request_tombstone(&node, &held, &text));
	free(text);
	node.world.member_count = 2;
	assert_int_equal(answer_at(1000), FHA_REQUEST_DONE);
	SAYS("n3 is not a member any more");
	assert_int_equal(cluster->member_count, 2);
}

static void
what_cannot_be_is_refused(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_REINIT, "n9");
	assert_int_equal(answer_at(1000), FHA_REQUEST_FAILED);
	SAYS("n9");
}

static void
what_takes_too_long_fails_with_its_last_state(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_REINIT, "n2");
	standing->time_limit_ms = 5000;
	node_request_notice(&node, 1000);
	assert_int_equal(answer_at(6000), FHA_REQUEST_RUNNING);
	node_request_notice(&node, 6000);
	assert_int_equal(answer_at(6001), FHA_REQUEST_FAILED);
	SAYS("not finished in 5 s; last: n2 copies");
}

/* The rules stop no server that nobody starts again, so nobody waits for it. */
static void
a_restart_leaves_out_a_primary_without_a_supervisor(void **state)
{
	(void) state;
	node.world.pg.supervised = false;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("0 of 2 restarted, waiting for n2");
	carried_out("n2");
	carried_out("n3");
	assert_int_equal(answer_at(1000), FHA_REQUEST_DONE);
	SAYS("2 of 2 restarted; n1 has no supervisor: restart it with pg_ctl");
	make_request(FHA_REQUEST_RESTART, "");
	for (size_t i = 0; i < node.world.member_count; i++)
		node.world.members[i].supervised = false;
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	assert_int_equal(answer_at(1000), FHA_REQUEST_FAILED);
	SAYS("0 of 0 restarted; n1 has no supervisor");
}

static void
a_handover_is_answered_by_who_leads(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_SWITCHOVER, "n1");
	assert_int_equal(answer_at(1000), FHA_REQUEST_DONE);
	SAYS("leads already");
	make_request(FHA_REQUEST_SWITCHOVER, "n2");
	node.world.pg.supervised = false;
	assert_int_equal(answer_at(1000), FHA_REQUEST_FAILED);
	SAYS("no supervisor");
	node.world.pg.supervised = true;
	node.world.pg.standby_count = 0;
	make_request(FHA_REQUEST_SWITCHOVER, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_FAILED);
	SAYS("no standby streams");
	make_request(FHA_REQUEST_SWITCHOVER, "n2");
	assert_int_equal(answer_at(1000), FHA_REQUEST_FAILED);
	SAYS("n2 does not stream");
	/* Who takes the role away needs no standby that streams: only one that takes it up. */
	make_request(FHA_REQUEST_FAILOVER, "n2");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("n1 gives its role up to n2, which does not stream");
	assert_string_equal(standing->target, "n2");
	make_request(FHA_REQUEST_FAILOVER, "");
	assert_int_equal(answer_at(1000), FHA_REQUEST_RUNNING);
	SAYS("to the best standby");
	assert_string_equal(standing->target, "");
}

static void
who_takes_the_lease_settles_the_request(void **state)
{
	FhaRequest request;

	(void) state;
	make_request(FHA_REQUEST_SWITCHOVER, "");
	request = *standing;
	node_request_settle(&node, &request, true);
	assert_int_equal(request.state, FHA_REQUEST_PENDING);
	node_request_settle(&node, &request, false);
	assert_int_equal(request.state, FHA_REQUEST_RUNNING);
	assert_string_equal(request.target, "n1");
	request = *standing;
	(void) snprintf(request.target, sizeof(request.target), "n2");
	node_request_settle(&node, &request, false);
	assert_int_equal(request.state, FHA_REQUEST_FAILED);
	/* One that has ended stays as it is. */
	request.message[0] = '\0';
	node_request_settle(&node, &request, false);
	assert_string_equal(request.message, "");
}

/* Its server is down, so it released for the request; what it takes back it would release for ever. */
static void
a_failover_that_nobody_took_up_ends(void **state)
{
	FhaRequest request;

	(void) state;
	cluster->released = true;
	make_request(FHA_REQUEST_FAILOVER, "");
	request = *standing;
	node_request_settle(&node, &request, true);
	assert_int_equal(request.state, FHA_REQUEST_FAILED);
	make_request(FHA_REQUEST_FAILOVER, "n2");
	request = *standing;
	node_request_settle(&node, &request, true);
	assert_int_equal(request.state, FHA_REQUEST_FAILED);
	/* This member is whom it names: the request is done when it leads. */
	make_request(FHA_REQUEST_FAILOVER, "n1");
	request = *standing;
	node_request_settle(&node, &request, true);
	assert_int_equal(request.state, FHA_REQUEST_PENDING);
	/* It was not released: others have not been asked yet. */
	cluster->released = false;
	make_request(FHA_REQUEST_FAILOVER, "n2");
	request = *standing;
	node_request_settle(&node, &request, true);
	assert_int_equal(request.state, FHA_REQUEST_PENDING);
}

/* S9: this holder let the lease lapse for it, and nobody came. */
static void
a_failover_that_a_lapse_did_not_bring_about_ends(void **state)
{
	int64_t room_ms;

	(void) state;
	fha_node_configure(&node, &node.config);
	room_ms = 3 * node.config.lease_duration_ms + 3 * node.config.release_wait_ms;
	node.world.led_at_ms = 1000;
	make_request(FHA_REQUEST_FAILOVER, "n2");
	node_request_notice(&node, 2000);
	node.world.pg.state = FHA_PG_STANDBY;
	assert_int_equal(answer_at(2000 + room_ms - 1), FHA_REQUEST_PENDING);
	assert_int_equal(answer_at(2000 + room_ms), FHA_REQUEST_FAILED);
	SAYS("n1 comes to lead: nobody took the lease while it let it lapse");
}

static void
settings_of_all_members_become_the_nodes_own(void **state)
{
	static const char own[] = "fawkes_ha.cluster_name = 'c'\n";
	FhaConfig config;
	FhaError err = {.text = ""};
	char path[128];
	FILE *out;

	(void) state;
	(void) snprintf(path, sizeof(path), "%s/fawkes_ha.conf", directory);
	out = fopen(path, "w");
	assert_non_null(out);
	assert_true(fputs(own, out) >= 0);
	assert_int_equal(fclose(out), 0);

	/* None yet: the file is made, which is no change. */
	assert_int_equal(node_settings_remember(&node, NOW_MS, &err), FHA_OK);
	assert_int_equal(node.settings_changes, 0);
	cluster->setting_count = 2;
	(void) snprintf(cluster->settings[0].name, FHA_SETTING_NAME_SIZE, "fawkes_ha.retry_period");
	(void) snprintf(cluster->settings[0].value, FHA_SETTING_VALUE_SIZE, "1234ms");
	(void) snprintf(cluster->settings[1].name, FHA_SETTING_NAME_SIZE, "work_mem");
	(void) snprintf(cluster->settings[1].value, FHA_SETTING_VALUE_SIZE, "it's\\");
	assert_int_equal(node_settings_remember(&node, NOW_MS, &err), FHA_OK);
	assert_int_equal(node.settings_changes, 1);
	assert_string_equal(fha_node_setting(&node, "Work_Mem"), "it's\\");
	assert_null(fha_node_setting(&node, "maintenance_work_mem"));
	/* A node that starts finds the file as it should be. */
	node.settings_written = false;
	assert_int_equal(node_settings_remember(&node, NOW_MS, &err), FHA_OK);
	assert_int_equal(node.settings_changes, 1);
	cluster->setting_count = 1;
	assert_int_equal(node_settings_remember(&node, NOW_MS, &err), FHA_OK);
	assert_int_equal(node.settings_changes, 2);

	fha_config_defaults(&config);
	(void) snprintf(config.state_directory, sizeof(config.state_directory), "%s", directory);
	if (fha_settings_read(&config, &err) != FHA_OK)
		fail_msg("%s", err.text);
	assert_int_equal(config.retry_period_ms, 1234);
	assert_string_equal(config.cluster_name, "c");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fha_settings_read(&config, &err), FHA_NOT_FOUND);
	(void) snprintf(path, sizeof(path), "%s/cluster.conf", directory);
	assert_int_equal(unlink(path), 0);
}

static void
health_is_what_the_node_knows(void **state)
{
	FhaHealth health;

	(void) state;
	node.world.watch.seen = false;
	node.world.pg.system_identifier = 0;
	memset(&health, 0, sizeof(health));
	fha_node_health(&node, &health);
	assert_false(health.known);
	assert_int_equal(health.system_identifier, 0);

	node.world.watch.seen = true;
	cluster->system_identifier = 42;
	cluster->paused = true;
	cluster->released = true;
	node.rule = fha_decide(0);
	fha_node_health(&node, &health);
	assert_true(health.known);
	assert_false(health.led);
	assert_true(health.paused);
	assert_int_equal(health.system_identifier, 42);
	assert_string_equal(health.holder, "n1");
	assert_int_equal(health.term, 3);
	assert_string_equal(health.because, node.rule->because);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, settle)
	const struct CMUnitTest tests[] = {
		TEST(a_restart_counts_whom_it_waits_for),
		TEST(lowered_limits_restart_the_primary_first),
		TEST(a_primary_without_room_is_restarted_first),
		TEST(a_reinit_ends_when_the_copy_streams),
		TEST(a_rejoin_ends_when_it_streams),
		TEST(a_member_goes_after_its_record),
		TEST(who_never_had_data_goes_too),
		TEST(what_cannot_be_is_refused),
		TEST(what_takes_too_long_fails_with_its_last_state),
		TEST(a_restart_leaves_out_a_primary_without_a_supervisor),
		TEST(a_handover_is_answered_by_who_leads),
		TEST(who_takes_the_lease_settles_the_request),
		TEST(a_failover_that_nobody_took_up_ends),
		TEST(a_failover_that_a_lapse_did_not_bring_about_ends),
		TEST(settings_of_all_members_become_the_nodes_own),
		TEST(health_is_what_the_node_knows),
	};
	int failed;

	if (mkdtemp(directory) == NULL)
		return 1;
	failed = cmocka_run_group_tests_name("requests of operators", tests, NULL, NULL);
	(void) rmdir(directory);
	return failed;
}
