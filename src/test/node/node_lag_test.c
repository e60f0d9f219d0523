/*
 * node_lag_test.c: what a node knows of members' lag, from itself, from replies and from records.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "node/private.h"
#include "record/snapshot.h"

#define LEASE_MS 3000
#define NOW INT64_C(1000000)

static FhaNode node;
static FhaWorld *const world = &node.world;
static FhaCluster *const cluster = &node.world.cluster;
static FhaPgView *const pg = &node.world.pg;

static FhaMember *
add_member(const char *name, FhaRole role)
{
	FhaMember *member = &world->members[world->member_count++];

	(void) snprintf(member->member, sizeof(member->member), "%s", name);
	member->role = role;
	member->position = (FhaPosition){2, 700};
	member->written = 800;
	member->replayed = 600;
	return member;
}

static void
list_standby(FhaStandby *standbys, size_t *count, const char *name)
{
	FhaStandby *standby = &standbys[(*count)++];

	(void) snprintf(standby->member, sizeof(standby->member), "%s", name);
	standby->written = 900;
	standby->lsn = 800;
	standby->replayed = 700;
	standby->stamp = 1;
}

/* n1 leads at 1000, n2 and n3 stream; the lock has answered for long.  This is `self`. */
static void
be(const char *self)
{
	memset(&node, 0, sizeof(node));
	fha_config_defaults(&node.config);
	node.config.lease_duration_ms = LEASE_MS;
	node.first_heard_at_ms = NOW - 10 * LEASE_MS;
	node.read_at_ms = NOW - 500;
	(void) snprintf(world->self.member, sizeof(world->self.member), "%s", self);
	(void) snprintf(world->self.incarnation, sizeof(world->self.incarnation), "00000000000000%s",
					self);
	(void) snprintf(cluster->holder, sizeof(cluster->holder), "n1");
	(void) snprintf(cluster->incarnation, sizeof(cluster->incarnation), "00000000000000n1");
	cluster->term = 3;
	cluster->timeline = 2;
	cluster->position = (FhaPosition){2, 1000};
	world->watch.seen = true;
	add_member("n1", FHA_ROLE_PRIMARY);
	add_member("n2", FHA_ROLE_STANDBY);
	add_member("n3", FHA_ROLE_STANDBY);
	list_standby(cluster->standbys, &cluster->standby_count, "n2");
	list_standby(cluster->standbys, &cluster->standby_count, "n3");
	pg->position = (FhaPosition){2, 1000};
	pg->written = 1000;
	pg->replayed = 1000;
	pg->state = FHA_PG_STANDBY;
	if (strcmp(self, "n1") == 0)
	{
		pg->state = FHA_PG_PRIMARY;
		list_standby(pg->standbys, &pg->standby_count, "n2");
		list_standby(pg->standbys, &pg->standby_count, "n3");
	}
	else
		(void) snprintf(pg->following, sizeof(pg->following), "n1");
	assert_int_equal(fha_lease_is_mine(world), strcmp(self, "n1") == 0);
}

static FhaMemberLag
shown(size_t index)
{
	FhaMemberLag lag;

	memset(&lag, 0x55, sizeof(lag));
	node_lag_show(&node, index, &lag);
	assert_string_equal(lag.member, world->members[index].member);
	return lag;
}

static void
set_lag(FhaLag lag[FHA_STAGES], int64_t write_ms, int64_t flush_ms, int64_t replay_ms)
{
	lag[FHA_WRITTEN] = (FhaLag){true, write_ms};
	lag[FHA_FLUSHED] = (FhaLag){true, flush_ms};
	lag[FHA_REPLAYED] = (FhaLag){true, replay_ms};
}

static void
assert_fresh(size_t index, int64_t write_ms, int64_t flush_ms, int64_t replay_ms)
{
	FhaMemberLag lag = shown(index);

	assert_int_equal(lag.fresh_at_ms[FHA_WRITTEN], write_ms);
	assert_int_equal(lag.fresh_at_ms[FHA_FLUSHED], flush_ms);
	assert_int_equal(lag.fresh_at_ms[FHA_REPLAYED], replay_ms);
}

static void
a_record_ages_from_the_moment_in_which_it_was_seen(void **state)
{
	FhaMember *n2 = &world->members[1];

	(void) state;
	be("n3");
	set_lag(n2->lag, 10, 20, 5000);
	assert_fresh(1, 0, 0, 0);
	node_lag_member_told(&node, n2, &node.others[1], NOW);
	assert_fresh(1, NOW - 10, NOW - 20, NOW - 5000);
	/* Nothing known of one of them. */
	n2->lag[FHA_WRITTEN].known = false;
	set_lag(n2->lag, 0, 30, 40);
	n2->lag[FHA_WRITTEN].known = false;
	node_lag_member_told(&node, n2, &node.others[1], NOW + 6000);
	assert_fresh(1, NOW - 10, NOW + 5970, NOW + 5960);
}

/* It may have been written long before: by somebody who is cut off since. */
static void
a_record_that_was_there_before_us_says_nothing(void **state)
{
	FhaMember *n2 = &world->members[1];

	(void) state;
	be("n3");
	set_lag(n2->lag, 0, 0, 0);
	node.first_heard_at_ms = 0;
	node_lag_member_told(&node, n2, &node.others[1], NOW);
	node.first_heard_at_ms = NOW - LEASE_MS;
	node_lag_member_told(&node, n2, &node.others[1], NOW);
	assert_fresh(1, 0, 0, 0);
	node_lag_member_told(&node, n2, &node.others[1], NOW + 1);
	assert_fresh(1, NOW + 1, NOW + 1, NOW + 1);
}

static void
a_renewal_tells_of_the_standbys(void **state)
{
	(void) state;
	be("n3");
	set_lag(cluster->standbys[0].lag, 100, 200, 300);
	/* After an outage of the lock it is as old as nobody knows; a release says nothing of standbys. */
	node.read_at_ms = NOW - LEASE_MS - 1;
	node_lag_cluster_told(&node, NOW);
	node.read_at_ms = NOW - LEASE_MS;
	cluster->released = true;
	node_lag_cluster_told(&node, NOW);
	assert_fresh(1, 0, 0, 0);
	cluster->released = false;
	node_lag_cluster_told(&node, NOW);
	assert_fresh(1, NOW - 100, NOW - 200, NOW - 300);
	/* Of what the standby says itself the better counts, each for itself. */
	set_lag(world->members[1].lag, 50, 250, 3000);
	node_lag_member_told(&node, &world->members[1], &node.others[1], NOW);
	assert_fresh(1, NOW - 50, NOW - 200, NOW - 300);
	/* Who is gone from the leader's list is not forgotten, and ages. */
	cluster->standby_count = 0;
	node_lag_cluster_told(&node, NOW + 9000);
	assert_fresh(1, NOW - 50, NOW - 200, NOW - 300);
}

static void
a_reply_counts_once(void **state)
{
	FhaStandby *n2 = &pg->standbys[0];
	FhaStandby in_record;

	(void) state;
	be("n1");
	n2->written = n2->lsn = n2->replayed = 1000; /* all that there is, for ever: an idle leader */
	node_lag_step(&node, NOW);
	assert_fresh(1, 0, 0, 0); /* when it was sent is not known */
	in_record = *n2;
	node_lag_standby(&node, &in_record, NOW);
	assert_false(in_record.lag[FHA_REPLAYED].known);
	n2->stamp++;
	node_lag_step(&node, NOW + 1000);
	assert_fresh(1, NOW + 1000, NOW + 1000, NOW + 1000);
	for (int i = 2; i < 30; i++)
		node_lag_step(&node, NOW + 1000 * i);
	assert_fresh(1, NOW + 1000, NOW + 1000, NOW + 1000);
	node_lag_standby(&node, &in_record, NOW + 30000);
	assert_true(in_record.lag[FHA_REPLAYED].known);
	assert_int_equal(in_record.lag[FHA_REPLAYED].ms, 29000);
	n2->stamp++;
	node_lag_step(&node, NOW + 30000);
	assert_fresh(1, NOW + 30000, NOW + 30000, NOW + 30000);
	/* The other has not replied. */
	assert_fresh(2, 0, 0, 0);
}

static void
replies_tell_what_was_written_flushed_and_replayed(void **state)
{
	FhaStandby *n2 = &pg->standbys[0];

	(void) state;
	be("n1");
	for (int i = 0; i < 4; i++, n2->stamp++)
	{
		pg->position.lsn = 700 + 100 * (uint64_t) i;
		if (i == 3)
			n2->written = 900, n2->lsn = 800, n2->replayed = 700;
		else
			n2->written = n2->lsn = n2->replayed = 100;
		node_lag_step(&node, NOW + 1000 * i);
	}
	assert_fresh(1, NOW + 2000, NOW + 1000, NOW);
	assert_int_equal(shown(1).bytes[FHA_WRITTEN], 100);
	assert_int_equal(shown(1).bytes[FHA_FLUSHED], 200);
	assert_int_equal(shown(1).bytes[FHA_REPLAYED], 300);
	assert_true(shown(1).streaming);
	/* Gone, it keeps what is known of it, and comes back as somebody whose next reply counts. */
	pg->standby_count = 0;
	node_lag_step(&node, NOW + 4000);
	assert_false(shown(1).streaming);
	pg->standby_count = 2;
	node_lag_step(&node, NOW + 5000);
	assert_fresh(1, NOW + 2000, NOW + 1000, NOW);
	n2->stamp++;
	n2->written = n2->lsn = n2->replayed = 1000;
	node_lag_step(&node, NOW + 6000);
	assert_fresh(1, NOW + 6000, NOW + 6000, NOW + 6000);
	/* Who does not lead has no standbys. */
	pg->standby_count = 0;
	pg->state = FHA_PG_STANDBY;
	node_lag_step(&node, NOW + 7000);
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		assert_string_equal(node.lag.standbys[i].member, "");
}

static void
bytes_are_counted_from_the_leaders_position(void **state)
{
	(void) state;
	be("n3");
	/* Of record and list the newer: the list; and then the record. */
	assert_int_equal(shown(1).bytes[FHA_WRITTEN], 100);
	assert_int_equal(shown(1).bytes[FHA_FLUSHED], 200);
	assert_int_equal(shown(1).bytes[FHA_REPLAYED], 300);
	assert_true(shown(1).streaming);
	cluster->standby_count = 0;
	assert_false(shown(1).streaming);
	assert_int_equal(shown(1).bytes[FHA_WRITTEN], 200);
	assert_int_equal(shown(1).bytes[FHA_FLUSHED], 300);
	assert_int_equal(shown(1).bytes[FHA_REPLAYED], 400);
	/* An older release's record has no such key: unknown is not none. */
	world->members[1].written = 0;
	assert_int_equal(shown(1).bytes[FHA_WRITTEN], -1);
	/* Another timeline's numbers say nothing. */
	world->members[1].position.timeline = 1;
	for (int stage = 0; stage < FHA_STAGES; stage++)
		assert_int_equal(shown(1).bytes[stage], -1);
	/* Its own are of this moment, and of what the stream told. */
	assert_int_equal(shown(2).bytes[FHA_REPLAYED], 0);
	pg->streaming = true;
	pg->heard_lsn = 1500;
	pg->replayed = 400;
	assert_int_equal(shown(2).bytes[FHA_WRITTEN], 500);
	assert_int_equal(shown(2).bytes[FHA_REPLAYED], 1100);
	assert_true(shown(2).streaming);
}

static void
a_standby_knows_its_own(void **state)
{
	FhaLag lag[FHA_STAGES];

	(void) state;
	be("n3");
	pg->streaming = true;
	pg->replayed = 0;
	memset(lag, 0, sizeof(lag));
	node_lag_step(&node, NOW);
	node_lag_own(&node, lag, NOW);
	assert_false(lag[FHA_WRITTEN].known);
	/* An operator's write says nothing of where the leader is at this moment. */
	memcpy(world->watch.version, "2", 2);
	node_lag_step(&node, NOW + 200);
	node_lag_own(&node, lag, NOW + 200);
	assert_false(lag[FHA_WRITTEN].known);
	memcpy(world->watch.sign, "2", 2);
	node_lag_step(&node, NOW + 500);
	node_lag_own(&node, lag, NOW + 800);
	assert_true(lag[FHA_WRITTEN].known);
	assert_int_equal(lag[FHA_WRITTEN].ms, 300);
	assert_int_equal(lag[FHA_FLUSHED].ms, 300);
	assert_false(lag[FHA_REPLAYED].known);
	assert_fresh(2, NOW + 500, NOW + 500, 0);
	/* A primary has none, whatever it had before. */
	memset(lag, 0, sizeof(lag));
	pg->state = FHA_PG_PRIMARY;
	node_lag_own(&node, lag, NOW + 800);
	assert_false(lag[FHA_WRITTEN].known);
}

static void
assert_whole(size_t index, int64_t write_ms, int64_t flush_ms, int64_t replay_ms)
{
	FhaMemberLag lag = shown(index);

	assert_int_equal(lag.whole_ends_at_ms[FHA_WRITTEN], write_ms);
	assert_int_equal(lag.whole_ends_at_ms[FHA_FLUSHED], flush_ms);
	assert_int_equal(lag.whole_ends_at_ms[FHA_REPLAYED], replay_ms);
}

static int64_t
own_ms(FhaStage stage, int64_t now_ms)
{
	FhaLag lag[FHA_STAGES] = {{false, 0}};

	node_lag_own_shown(&node, lag, now_ms);
	return lag[stage].known ? lag[stage].ms : -1;
}

/* A standby of an idle leader, which is heard of twice a second, and then not at all. */
static void
who_has_everything_has_no_lag_while_the_leader_is_heard(void **state)
{
	int64_t changes;

	(void) state;
	be("n3");
	node.config.retry_period_ms = 2000;
	pg->streaming = true;
	assert_int_equal(own_ms(FHA_REPLAYED, NOW), -1);
	node_lag_step(&node, NOW);
	memcpy(world->watch.sign, "2", 2);
	node_lag_step(&node, NOW + 500);
	assert_whole(2, NOW + 6500, NOW + 6500, NOW + 6500);
	assert_int_equal(own_ms(FHA_REPLAYED, NOW + 2499), 0);
	assert_int_equal(own_ms(FHA_REPLAYED, NOW + 6500), 0);
	assert_int_equal(own_ms(FHA_REPLAYED, NOW + 6501), 6001);
	/* The record says what was measured: others add the time since, and judge by themselves. */
	{
		FhaLag lag[FHA_STAGES] = {{false, 0}};

		node_lag_own(&node, lag, NOW + 2500);
		assert_int_equal(lag[FHA_REPLAYED].ms, 2000);
	}
	/* More was written, and is not replayed: at once, and this node says so. */
	changes = (int64_t) node.changes;
	pg->heard_stamp = 7;
	pg->heard_lsn = 1500;
	pg->written = 1500;
	pg->position.lsn = 1500;
	node_lag_step(&node, NOW + 1000);
	assert_true((int64_t) node.changes > changes);
	assert_int_equal(own_ms(FHA_FLUSHED, NOW + 1100), 0);
	assert_int_equal(own_ms(FHA_REPLAYED, NOW + 1100), 600);
	assert_int_equal(node_lag_wake_at_ms(&node, NOW + 1100), NOW + 1350);
	/* It is, and the stream ends. */
	pg->replayed = 1500;
	node_lag_step(&node, NOW + 1250);
	assert_int_equal(own_ms(FHA_REPLAYED, NOW + 1300), 0);
	assert_true(node_lag_wake_at_ms(&node, NOW + 1250) > NOW + 1500);
	pg->streaming = false;
	node_lag_step(&node, NOW + 1300);
	assert_int_equal(own_ms(FHA_REPLAYED, NOW + 1300), 300);
	/* A primary has none to speak of. */
	pg->state = FHA_PG_PRIMARY;
	assert_int_equal(own_ms(FHA_REPLAYED, NOW + 1300), -1);
}

static void
a_leader_sees_none_of_who_has_everything(void **state)
{
	FhaStandby *n2 = &pg->standbys[0];

	(void) state;
	be("n1");
	node.config.retry_period_ms = 500;
	node_lag_step(&node, NOW);
	n2->written = n2->lsn = 1000;
	n2->replayed = 900;
	n2->stamp++;
	node_lag_step(&node, NOW + 1000);
	assert_whole(1, NOW + 4000, NOW + 4000, 0);
	assert_int_equal(node_lag_wake_at_ms(&node, NOW), NOW + 250);
	pg->position.lsn = 1001;
	assert_whole(1, 0, 0, 0);
	pg->position.lsn = 1000;
	n2->replayed = 1000;
	pg->standbys[1].replayed = 1000;
	assert_int_equal(node_lag_wake_at_ms(&node, NOW), INT64_MAX);
}

/* By the leader's list alone: who is not on it streams from nobody. */
static void
who_reads_records_sees_none_of_who_streams_and_has_everything(void **state)
{
	FhaMember *n2 = &world->members[1];

	(void) state;
	be("n3");
	node.config.retry_period_ms = 500;
	n2->written = n2->replayed = n2->position.lsn = 1000;
	set_lag(n2->lag, 700, 700, 700);
	node_lag_member_told(&node, n2, &node.others[1], NOW);
	assert_whole(1, NOW + 2300, NOW + 2300, NOW + 2300);
	cluster->released = true;
	assert_whole(1, 0, 0, 0);
	cluster->released = false;
	cluster->standby_count = 0;
	assert_whole(1, 0, 0, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_ages_from_the_moment_in_which_it_was_seen),
		cmocka_unit_test(a_record_that_was_there_before_us_says_nothing),
		cmocka_unit_test(a_renewal_tells_of_the_standbys),
		cmocka_unit_test(a_reply_counts_once),
		cmocka_unit_test(replies_tell_what_was_written_flushed_and_replayed),
		cmocka_unit_test(bytes_are_counted_from_the_leaders_position),
		cmocka_unit_test(a_standby_knows_its_own),
		cmocka_unit_test(who_has_everything_has_no_lag_while_the_leader_is_heard),
		cmocka_unit_test(a_leader_sees_none_of_who_has_everything),
		cmocka_unit_test(who_reads_records_sees_none_of_who_streams_and_has_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
