/*
 * routing_test.c: who labels which pod how; no API server is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/routing.h"
#include "kube/pods.h"

#define LIMIT_MS 4000
#define SET_TEXT(to, text) strcpy(to, text)

static FhaWorld world;
static FhaRouting routing;
static FhaFreshness freshness;
static FhaRoutingTask task;
static bool safe;
static int64_t now_ms;

/* n1 holds the lease of term 3 and is primary; n2 and n3 stream and serve reads.  We are `member`. */
static void
begin(const char *member)
{
	memset(&world, 0, sizeof(world));
	memset(&routing, 0, sizeof(routing));
	memset(&freshness, 0, sizeof(freshness));
	SET_TEXT(world.self.member, member);
	SET_TEXT(world.self.incarnation, "1");
	SET_TEXT(world.self.pod, member);
	world.self.pod[0] = 'p';
	world.watch.seen = true;
	SET_TEXT(world.cluster.holder, "n1");
	SET_TEXT(world.cluster.incarnation, "1");
	world.cluster.term = 3;
	world.member_count = 3;
	for (size_t i = 0; i < 3; i++)
	{
		FhaMember *one = &world.members[i];

		one->member[0] = 'n';
		one->pod[0] = 'p';
		one->member[1] = one->pod[1] = (char) ('1' + i);
		one->serves = i == 0 ? FHA_SERVES_PRIMARY : FHA_SERVES_REPLICA;
	}
	world.pg.state = strcmp(member, "n1") == 0 ? FHA_PG_PRIMARY : FHA_PG_STANDBY;
	world.pg.standby_count = 2;
	SET_TEXT(world.pg.standbys[0].member, "n2");
	SET_TEXT(world.pg.standbys[1].member, "n3");
	freshness.fit = true;
	safe = true;
	now_ms = 1000;
}

static void
next(void)
{
	fha_routing_next(&routing, &world, &freshness, safe, LIMIT_MS, now_ms, &task);
}

static void
assert_nothing(void)
{
	next();
	assert_int_equal(task.verb, FHA_ROUTING_NOTHING);
}

/* The next task is this one, and it succeeds. */
static void
assert_label(const char *pod, FhaServes serves)
{
	next();
	assert_int_equal(task.verb, FHA_ROUTING_LABEL);
	assert_string_equal(task.pod, pod);
	assert_string_equal(fha_serves_name(task.serves), fha_serves_name(serves));
	fha_routing_done(&routing, &task, world.self.pod, NULL, 0, now_ms);
}

static void
assert_look(FhaServes p1, FhaServes p2, FhaServes p3)
{
	FhaPod pods[] = {{"p1", p1}, {"p2", p2}, {"p3", p3}};

	next();
	assert_int_equal(task.verb, FHA_ROUTING_LOOK);
	fha_routing_done(&routing, &task, world.self.pod, pods, 3, now_ms);
}

static void
lead_at_rest(void)
{
	begin("n1");
	assert_label("p1", FHA_SERVES_PRIMARY);
	assert_look(FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA, FHA_SERVES_REPLICA);
	assert_nothing();
}

/* Before anything else; then nobody else is primary any more. */
static void
a_new_primary_takes_the_label_from_the_old_one(void **state)
{
	(void) state;
	begin("n1");
	SET_TEXT(world.members[1].pod, "p2");
	world.members[1].serves = FHA_SERVES_PRIMARY;
	world.pg.standby_count = 1;
	SET_TEXT(world.pg.standbys[0].member, "n3");
	assert_label("p1", FHA_SERVES_PRIMARY);
	assert_look(FHA_SERVES_PRIMARY, FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA);
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	assert_nothing();
}

/* While it is promoted already: connections that come now find a primary in a moment. */
static void
a_standby_that_holds_the_lease_is_routed_to(void **state)
{
	(void) state;
	begin("n1");
	world.pg.state = FHA_PG_STANDBY;
	assert_label("p1", FHA_SERVES_PRIMARY);
}

static void
who_cannot_prove_its_lease_writes_nothing(void **state)
{
	(void) state;
	begin("n1");
	safe = false;
	assert_nothing();
	lead_at_rest();
	world.members[1].serves = FHA_SERVES_UNHEALTHY;
	safe = false;
	assert_nothing();
	/* Much may have happened meanwhile. */
	safe = true;
	assert_look(FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA, FHA_SERVES_REPLICA);
	assert_label("p2", FHA_SERVES_UNHEALTHY);
}

/* PostgreSQL starts again under the lease: who is asked for meanwhile says so itself. */
static void
a_holder_that_is_down_says_nothing(void **state)
{
	(void) state;
	begin("n1");
	world.pg.state = FHA_PG_DOWN;
	assert_nothing();
}

static void
nobody_but_the_holder_is_ever_primary(void **state)
{
	(void) state;
	for (int serves = FHA_SERVES_NOTHING; serves <= FHA_SERVES_PRIMARY; serves++)
		for (int pg = FHA_PG_DOWN; pg <= FHA_PG_PRIMARY; pg++)
			for (int bits = 0; bits < 8; bits++)
			{
				begin("n2");
				routing.own = (FhaServes) serves;
				world.pg.state = (FhaPgState) pg;
				freshness.fit = (bits & 1) != 0;
				safe = (bits & 2) != 0;
				world.cluster.released = (bits & 4) != 0;
				next();
				if (task.verb == FHA_ROUTING_NOTHING)
					continue;
				assert_int_equal(task.verb, FHA_ROUTING_LABEL);
				assert_string_equal(task.pod, "p2");
				assert_int_not_equal(task.serves, FHA_SERVES_PRIMARY);
			}
	begin("n1");
	SET_TEXT(world.cluster.incarnation, "another life");
	assert_label("p1", FHA_SERVES_UNHEALTHY);
}

static void
a_standby_says_whether_it_serves_reads(void **state)
{
	(void) state;
	begin("n2");
	assert_label("p2", FHA_SERVES_REPLICA);
	assert_nothing();
	freshness.fit = false;
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	freshness.fit = true;
	assert_label("p2", FHA_SERVES_REPLICA);
	/* It has everything, and lets nobody in. */
	world.pg.cold = true;
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	world.pg.cold = false;
	assert_label("p2", FHA_SERVES_REPLICA);
	world.pg.state = FHA_PG_BUSY;
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	assert_nothing();
}

static void
the_primary_says_who_is_cut_off(void **state)
{
	(void) state;
	lead_at_rest();
	world.pg.standby_count = 1; /* n3 does not stream any more */
	now_ms += LIMIT_MS;
	assert_nothing();
	now_ms += 1;
	assert_label("p3", FHA_SERVES_UNHEALTHY);
	assert_nothing();
	world.pg.standby_count = 2;
	assert_label("p3", FHA_SERVES_REPLICA);
	assert_nothing();
}

/* Standbys of a leader that is gone have as long to find the new one. */
static void
a_new_term_begins_with_patience(void **state)
{
	(void) state;
	begin("n1");
	world.pg.standby_count = 0;
	assert_label("p1", FHA_SERVES_PRIMARY);
	assert_look(FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA, FHA_SERVES_REPLICA);
	now_ms += LIMIT_MS;
	assert_nothing();
	now_ms += 1;
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	assert_label("p3", FHA_SERVES_UNHEALTHY);
}

/* Two who write the same pod's label end with what its member's record says. */
static void
the_records_have_the_last_word(void **state)
{
	(void) state;
	lead_at_rest();
	world.members[1].serves = FHA_SERVES_UNHEALTHY;
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	assert_nothing();
	now_ms += FHA_ROUTING_LOOK_MS;
	assert_look(FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA, FHA_SERVES_NOTHING);
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	assert_label("p3", FHA_SERVES_REPLICA);
	assert_nothing();
}

/* Somebody's hand. */
static void
labels_are_put_right(void **state)
{
	(void) state;
	lead_at_rest();
	now_ms += FHA_ROUTING_LOOK_MS;
	assert_look(FHA_SERVES_REPLICA, FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA);
	assert_label("p1", FHA_SERVES_PRIMARY);
	assert_label("p2", FHA_SERVES_REPLICA);
	assert_nothing();
	assert_int_equal(fha_routing_again_at_ms(&routing, now_ms), now_ms + FHA_ROUTING_LOOK_MS);
}

static void
a_pod_of_no_member_is_left_alone_unless_it_is_primary(void **state)
{
	(void) state;
	begin("n1");
	world.member_count = 1;
	assert_label("p1", FHA_SERVES_PRIMARY);
	assert_look(FHA_SERVES_PRIMARY, FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA);
	assert_label("p2", FHA_SERVES_UNHEALTHY);
	assert_nothing();
}

static void
a_failure_is_tried_again_with_growing_pauses(void **state)
{
	int64_t pause_ms = FHA_ROUTING_RETRY_MS;

	(void) state;
	begin("n1");
	for (int i = 0; i < 10; i++)
	{
		next();
		assert_int_equal(task.verb, FHA_ROUTING_LABEL);
		fha_routing_failed(&routing, &task, world.self.pod, false, now_ms);
		assert_int_equal(fha_routing_again_at_ms(&routing, now_ms), now_ms + pause_ms);
		now_ms += pause_ms - 1;
		assert_nothing();
		now_ms += 1;
		pause_ms =
			pause_ms * 2 < FHA_ROUTING_RETRY_MOST_MS ? pause_ms * 2 : FHA_ROUTING_RETRY_MOST_MS;
	}
	/* A lease that was won does not wait for the end of a pause. */
	next();
	fha_routing_failed(&routing, &task, world.self.pod, false, now_ms);
	assert_nothing();
	world.cluster.term++;
	assert_label("p1", FHA_SERVES_PRIMARY);
}

/* It must not keep the others from theirs. */
static void
a_pod_that_is_gone_is_forgotten(void **state)
{
	(void) state;
	lead_at_rest();
	world.members[1].serves = FHA_SERVES_UNHEALTHY;
	world.members[2].serves = FHA_SERVES_UNHEALTHY;
	next();
	assert_string_equal(task.pod, "p2");
	fha_routing_failed(&routing, &task, world.self.pod, true, now_ms);
	assert_label("p3", FHA_SERVES_UNHEALTHY);
	assert_nothing();
}

static void
without_pods_nothing_is_asked(void **state)
{
	(void) state;
	begin("n1");
	world.self.pod[0] = '\0';
	for (size_t i = 0; i < 3; i++)
		world.members[i].pod[0] = '\0';
	assert_nothing();
	begin("n2");
	world.self.pod[0] = '\0';
	assert_nothing();
	/* A primary on a machine of its own, and members with pods. */
	begin("n1");
	world.self.pod[0] = world.members[0].pod[0] = '\0';
	assert_look(FHA_SERVES_NOTHING, FHA_SERVES_PRIMARY, FHA_SERVES_REPLICA);
	assert_label("p2", FHA_SERVES_REPLICA);
}

static void
labels_as_json(void **state)
{
	static const char list[] =
		"{\"kind\":\"PodList\",\"items\":["
		"{\"metadata\":{\"name\":\"a-1\",\"labels\":{\"cnpg.io/"
		"instanceRole\":\"primary\",\"role\":\"primary\"}}},"
		"{\"metadata\":{\"name\":\"a-2\",\"labels\":{\"cnpg.io/"
		"instanceRole\":\"replica\",\"role\":\"primary\"}}},"
		"{\"metadata\":{\"name\":\"a-3\",\"labels\":{\"cnpg.io/"
		"instanceRole\":\"teapot\",\"role\":\"teapot\"}}},"
		"{\"metadata\":{\"name\":\"../secrets/x\"}},{\"metadata\":{\"name\":\"a-4\"}},"
		"{\"metadata\":{\"name\":\"pooler-1\",\"labels\":{\"cnpg.io/podRole\":\"pooler\"}}},"
		"{\"metadata\":{\"name\":\"a-5\",\"labels\":{\"cnpg.io/podRole\":\"instance\"}}}]}";
	static FhaPod found[FHA_PODS_MAX];
	size_t count;
	FhaError err;
	char *text;

	(void) state;
	assert_int_equal(fha_pod_list_parse(list, strlen(list), found, &count, &err), FHA_OK);
	assert_int_equal(count, 5);
	assert_string_equal(found[4].name, "a-5");
	assert_string_equal(found[0].name, "a-1");
	assert_int_equal(found[0].serves, FHA_SERVES_PRIMARY);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(found[i].serves, FHA_SERVES_NOTHING);
	assert_int_equal(fha_pod_list_parse("{}", 2, found, &count, &err), FHA_PROTOCOL);
	assert_int_equal(fha_pod_list_parse("{\"items\":[1]}", 13, found, &count, &err), FHA_PROTOCOL);
	assert_int_equal(fha_pod_list_parse("{", 1, found, &count, NULL), FHA_PROTOCOL);
	assert_int_equal(fha_pod_patch_print("db-2", FHA_SERVES_REPLICA, &text, &err), FHA_OK);
	assert_string_equal(text, "{\"metadata\":{\"labels\":{\"cnpg.io/instanceRole\":\"replica\","
							  "\"role\":\"replica\",\"cnpg.io/instanceName\":\"db-2\"}}}");
	free(text);
}

static bool
is_alone(FhaAlone *alone)
{
	return fha_routing_alone(alone, &world, safe, LIMIT_MS, now_ms);
}

static void
a_leader_is_alone_when_no_standby_has_served_for_a_while(void **state)
{
	FhaAlone alone = {0};

	(void) state;
	begin("n1");
	assert_false(is_alone(&alone));
	now_ms += LIMIT_MS + 1;
	assert_false(is_alone(&alone));
	/* One that streams and is not fit, and one that was fit and does not stream. */
	world.members[1].serves = FHA_SERVES_UNHEALTHY;
	world.pg.standby_count = 1;
	now_ms += LIMIT_MS;
	assert_false(is_alone(&alone));
	now_ms += 1;
	assert_true(is_alone(&alone));
	world.members[1].serves = FHA_SERVES_REPLICA;
	assert_false(is_alone(&alone));
}

static void
a_new_leader_is_not_alone_before_others_could_come(void **state)
{
	FhaAlone alone = {0};

	(void) state;
	begin("n1");
	world.pg.standby_count = 0;
	assert_false(is_alone(&alone));
	now_ms += LIMIT_MS + 1;
	assert_true(is_alone(&alone));
	/* Nobody who is not certain of its lease is. */
	safe = false;
	assert_false(is_alone(&alone));
	safe = true;
	assert_false(is_alone(&alone));
	now_ms += LIMIT_MS + 1;
	assert_true(is_alone(&alone));
	world.cluster.term++;
	assert_false(is_alone(&alone));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_primary_takes_the_label_from_the_old_one),
		cmocka_unit_test(a_standby_that_holds_the_lease_is_routed_to),
		cmocka_unit_test(who_cannot_prove_its_lease_writes_nothing),
		cmocka_unit_test(a_holder_that_is_down_says_nothing),
		cmocka_unit_test(nobody_but_the_holder_is_ever_primary),
		cmocka_unit_test(a_standby_says_whether_it_serves_reads),
		cmocka_unit_test(the_primary_says_who_is_cut_off),
		cmocka_unit_test(a_new_term_begins_with_patience),
		cmocka_unit_test(the_records_have_the_last_word),
		cmocka_unit_test(labels_are_put_right),
		cmocka_unit_test(a_pod_of_no_member_is_left_alone_unless_it_is_primary),
		cmocka_unit_test(a_failure_is_tried_again_with_growing_pauses),
		cmocka_unit_test(a_pod_that_is_gone_is_forgotten),
		cmocka_unit_test(without_pods_nothing_is_asked),
		cmocka_unit_test(labels_as_json),
		cmocka_unit_test(a_leader_is_alone_when_no_standby_has_served_for_a_while),
		cmocka_unit_test(a_new_leader_is_not_alone_before_others_could_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
