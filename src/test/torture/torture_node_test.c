/*
 * torture_node_test.c: the node loop and its lock's child in a storm: one allocation or call to the
 * kernel after another fails, wherever it happens to be.
 *
 * While it lasts nothing crashes and node.json is whole; afterwards the node comes to lead as if
 * nothing had been.  Time passes with the turns alone: played_time.h.
 */
#include <errno.h>
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

#include "base/clock.h"
#include "node/node.h"
#include "node/private.h"
#include "node/state.h"
#include "test/torture/torture.h"

#include "test/node/played_time.h"

#define STRIKES 400
#define BOUND_MS 60000
/* Time that passes in a turn, and what it waits for the lock's child if that is asked for anything. */
#define TURN_MS 5
#define CHILD_MS 20

static char root[] = "/tmp/fha-torture-XXXXXX";
static FhaConfig config;
static FhaNode *node;
static FhaPgView view;
static bool leads;

/* PostgreSQL is played: it does each host action at once. */
static void
obey(const FhaHostAction *action)
{
	FhaState state = {.highest_term = action->term, .data_incarnation = "0123456789abcdef"};
	FhaError err;

	switch (action->node)
	{
		case FHA_NODE_INITDB:
			memcpy(state.member, config.member_name, sizeof(state.member));
			memcpy(state.cluster, config.cluster_name, sizeof(state.cluster));
			memcpy(state.cluster_uuid, action->cluster_uuid, sizeof(state.cluster_uuid));
			assert_int_equal(fha_state_save(&config, &state, &err), FHA_OK);
			assert_int_equal(fha_node_reload(node, &err), FHA_OK);
			view.empty = false;
			view.system_identifier = 4711;
			view.position = view.required = (FhaPosition){1, 100};
			break;
		case FHA_NODE_START_PRIMARY:
		case FHA_NODE_PROMOTE:
			view.position.timeline = action->timeline;
			view.lineage_count = 1;
			view.lineage[0] = (FhaLineageStep){.timeline = view.position.timeline, .end = 0};
			view.state = FHA_PG_PRIMARY;
			view.rewindable = true;
			fha_node_liveness_held(node, false);
			break;
		case FHA_NODE_START_STANDBY:
			view.state = FHA_PG_STANDBY;
			fha_node_liveness_held(node, false);
			break;
		case FHA_NODE_STOP:
			view.state = FHA_PG_DOWN;
			fha_node_liveness_held(node, true);
			break;
		default:
			break;
	}
}

/* One turn of the loop; true when something failed in it. */
static bool
turn(void)
{
	FhaError err = {.code = FHA_OK, .text = ""};
	struct pollfd wait = {.fd = fha_node_fd(node), .events = POLLIN};
	FhaHostAction action;
	FhaCode code = fha_node_step(node, &view, &action, &err);
	bool struck;
	char news[512];
	static FhaSnapshot snapshot;

	if (code != FHA_OK)
	{
		assert_string_not_equal(err.text, "");
		assert_int_equal(action.write_ends_at_ms, 0);
		assert_int_equal(action.node, FHA_NODE_HOLD);
	}
	if (fha_node_snapshot(node, &snapshot, &err) != FHA_OK)
		assert_int_equal(err.code, FHA_NO_MEMORY);
	pass(poll(&wait, 1, node->pending == PENDING_NONE ? 1 : CHILD_MS) > 0 ? 1 : TURN_MS);
	struck = torture_end();
	while (fha_node_news(node, news, sizeof(news)))
		assert_string_not_equal(news, "");
	obey(&action);
	leads = action.holds_lease && fha_now_ms() < action.write_ends_at_ms;
	return struck;
}

static void
node_file_is_whole(void)
{
	FhaState state;
	FhaError err;
	FhaCode code = fha_state_load(&config, &state, &err);

	if (code != FHA_OK && code != FHA_NOT_FOUND)
		fail_msg("%s", err.text);
}

static void
until_it_leads(void)
{
	leads = false;
	for (int64_t give_up_at_ms = fha_now_ms() + BOUND_MS; !leads; (void) turn())
		assert_true(fha_now_ms() < give_up_at_ms);
}

/* Strikes at places that depend on the round, so that none is for ever spared. */
static void
storm(bool memory)
{
	static const TortureFault faults[] = {{.error = ENOSPC}, {.error = EIO}, {ENOSPC, true}};
	int strikes = 0;
	int before = torture_descriptors();

	for (long round = 0; strikes < STRIKES; round++)
	{
		long n = 1 + round * 7 % 61;

		assert_true(round < 100L * STRIKES);
		if (memory)
			torture_allocations(n, round % 5 == 0);
		else
			torture_calls(n, faults[round % 3]);
		if (turn())
			strikes++;
		node_file_is_whole();
	}
	until_it_leads();
	for (int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;
		 torture_descriptors() > before && fha_now_ms() < give_up_at_ms;)
		(void) turn(); /* a file is on its way to the disk */
	/* A child that could not be started or was lost is replaced. */
	assert_true(torture_descriptors() <= before);
}

static void
the_node_survives_without_memory(void **state)
{
	(void) state;
	torture_leaks(true); /* json-c (0.16) leaks what it could not add to an object */
	storm(true);
	torture_leaks(false);
}

static void
the_node_survives_a_failing_disk(void **state)
{
	(void) state;
	storm(false);
}

static void
opening_fails_as_a_whole(void **state)
{
	FhaError err;
	bool struck = true;
	int opened = 0;

	(void) state;
	fha_node_close(node);
	node = NULL;
	torture_leaks(true);
	for (long n = 1; struck; n++)
	{
		int before = torture_descriptors();
		FhaCode code;

		torture_allocations(n, false);
		code = fha_node_open(&node, &config, played_clock(), "0123456789abcdef", true, &err);
		struck = torture_end();
		if (code == FHA_OK)
			opened++;
		else
			assert_true(struck && node == NULL && err.text[0] != '\0');
		fha_node_close(node);
		node = NULL;
		assert_int_equal(torture_descriptors(), before);
	}
	torture_leaks(false);
	assert_true(opened >= 1);
}

static int
set_up(void **state)
{
	char path[64];
	FhaError err;

	(void) state;
	if (mkdtemp(root) == NULL)
		return -1;
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "%s/data", root);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "db-test");
	(void) snprintf(config.member_name, sizeof(config.member_name), "n1");
	(void) snprintf(config.lock, sizeof(config.lock), "dir:%s/lock", root);
	(void) snprintf(config.address, sizeof(config.address), "127.0.0.1:6001");
	(void) snprintf(config.bootstrap, sizeof(config.bootstrap), "initdb");
	config.lease_duration_ms = 400;
	config.renew_deadline_ms = 250;
	config.retry_period_ms = 20;
	config.supervised = true;
	(void) snprintf(path, sizeof(path), "%s/lock", root);
	if (mkdir(path, 0700) != 0 || fha_state_prepare(&config, &err) != FHA_OK)
		return -1;
	view = (FhaPgView){.state = FHA_PG_DOWN, .supervised = true, .empty = true};
	return fha_node_open(&node, &config, played_clock(), "0123456789abcdef", true, &err) == FHA_OK
			   ? 0
			   : -1;
}

static int
tear_down(void **state)
{
	char command[64];

	(void) state;
	fha_node_close(node);
	(void) snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_node_survives_a_failing_disk),
		cmocka_unit_test(the_node_survives_without_memory),
		cmocka_unit_test(opening_fails_as_a_whole),
	};

	return cmocka_run_group_tests_name("torture of the node", tests, set_up, tear_down);
}
