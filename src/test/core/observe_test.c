/*
 * observe_test.c: from small worlds to facts.
 *
 * Most tests start from one settled world and state which bits a change adds
 * and removes; every other bit must stay.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/decide.h"
#include "core/observe.h"
#include "core/timing.h"

#define NOW 100000
#define DURATION_MS 3000
#define ELECTION_MS 100
#define RELEASE_MS 1000
#define LAG 1000
#define TIMELINE 5
#define LSN 100000

static FhaWorld world;

#define SET_TEXT(field, text) set_text(field, sizeof(field), text)

static void
set_text(char *out, size_t size, const char *text)
{
	assert_true(strlen(text) < size);
	memset(out, 0, size);
	memcpy(out, text, strlen(text));
}

static void
set_member(FhaMember *member, const char *name, FhaRole role, const char *address)
{
	SET_TEXT(member->cluster, "db");
	SET_TEXT(member->member, name);
	SET_TEXT(member->data_incarnation, "da7a000000000001");
	SET_TEXT(member->address, address);
	member->role = role;
	member->position = (FhaPosition){TIMELINE, LSN};
}

/* n1 leads; we are n2, a standby that follows it; n3 is another.  Term 7 reserved timeline 5. */
static void
settle(void)
{
	FhaSelf *self = &world.self;
	FhaCluster *cluster = &world.cluster;

	memset(&world, 0, sizeof(world));
	SET_TEXT(self->cluster, "db");
	SET_TEXT(self->member, "n2");
	SET_TEXT(self->incarnation, "2222222222222222");
	SET_TEXT(self->boot_id, "b002");
	SET_TEXT(self->liveness, "fe01:2a");
	SET_TEXT(self->cluster_uuid, "c0ffee");
	self->highest_term = 7;
	self->lease_duration_ms = DURATION_MS;
	self->renew_deadline_ms = 2000;
	self->retry_period_ms = 500;
	self->election_wait_ms = ELECTION_MS;
	self->release_wait_ms = RELEASE_MS;
	self->max_lag_bytes = LAG;

	world.pg.state = FHA_PG_STANDBY;
	world.pg.supervised = true;
	world.pg.system_identifier = 4711;
	world.pg.position = (FhaPosition){TIMELINE, LSN};
	SET_TEXT(world.pg.following, "n1");
	world.pg.following_term = 7;

	fha_watch_saw(&world.watch, "v1", "v1", DURATION_MS, NOW - 100);

	SET_TEXT(cluster->cluster, "db");
	SET_TEXT(cluster->cluster_uuid, "c0ffee");
	cluster->system_identifier = 4711;
	SET_TEXT(cluster->holder, "n1");
	SET_TEXT(cluster->incarnation, "1111111111111111");
	SET_TEXT(cluster->boot_id, "b001");
	SET_TEXT(cluster->liveness, "fe01:11");
	cluster->lease_duration_ms = DURATION_MS;
	cluster->term = 7;
	cluster->timeline = TIMELINE;
	cluster->lineage_term = 7;
	cluster->lineage_count = 3;
	cluster->lineage[0] = (FhaLineageStep){.timeline = 1, .end = 30000};
	cluster->lineage[1] = (FhaLineageStep){.timeline = 3, .end = 60000};
	cluster->lineage[2] = (FhaLineageStep){.timeline = TIMELINE, .end = 0};
	cluster->position = (FhaPosition){TIMELINE, LSN};
	cluster->member_count = 3;
	for (size_t i = 0; i < 3; i++)
		SET_TEXT(cluster->members[i], i == 0 ? "n1" : i == 1 ? "n2" : "n3");
	cluster->standby_count = 1;
	SET_TEXT(cluster->standbys[0].member, "n2");
	cluster->standbys[0].lsn = LSN;

	world.member_count = 2;
	set_member(&world.members[0], "n1", FHA_ROLE_PRIMARY, "h1:5432");
	world.members[0].rewindable = true;
	set_member(&world.members[1], "n3", FHA_ROLE_STANDBY, "h3:5432");
}

#define SETTLED                                                                             \
	(FHA_STANDBY | FHA_LINEAGE | FHA_PUBLISHED | FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING | \
	 FHA_LISTED | FHA_FIT)

static void
assert_facts(FhaFacts wanted, const char *change, int line)
{
	FhaFacts facts = fha_observe(&world, NOW);

	if (facts != wanted)
	{
		char missing[512];
		char extra[512];

		fha_facts_print(wanted & ~facts, missing, sizeof(missing));
		fha_facts_print(facts & ~wanted, extra, sizeof(extra));
		fail_msg("line %d: %s: missing [%s], too many [%s]", line, change, missing, extra);
	}
}

/* In the world as it is, after these changes, exactly these bits are added and removed. */
#define CHANGE(base, adds, removes, ...)                                                 \
	do                                                                                   \
	{                                                                                    \
		__VA_ARGS__;                                                                     \
		assert_facts(((base) | (adds)) & ~(FhaFacts) (removes), #__VA_ARGS__, __LINE__); \
	} while (0)

/* The same, from the settled world. */
#define FACTS(adds, removes, ...)                    \
	do                                               \
	{                                                \
		settle();                                    \
		CHANGE(SETTLED, adds, removes, __VA_ARGS__); \
	} while (0)

static FhaFacts
fact(FhaFacts wanted, int64_t now_ms)
{
	return fha_observe(&world, now_ms) & wanted;
}

static void
postgres_is_in_one_state(void **state)
{
	(void) state;
	FACTS(0, 0, (void) 0);
	FACTS(FHA_DOWN | FHA_POSITION, FHA_STANDBY, world.pg.state = FHA_PG_DOWN);
	FACTS(FHA_BUSY, FHA_STANDBY, world.pg.state = FHA_PG_BUSY);
	FACTS(FHA_PRIMARY, FHA_STANDBY, world.pg.state = FHA_PG_PRIMARY);
	/* The end of the WAL is one of a stopped server, and not always known. */
	FACTS(FHA_DOWN, FHA_STANDBY | FHA_LINEAGE | FHA_FIT, world.pg.state = FHA_PG_DOWN,
		  world.pg.position.timeline = 0);
	FACTS(FHA_STOPPING, 0, world.pg.stopping = true);
	FACTS(FHA_JOB, 0, world.pg.job = true);
	FACTS(FHA_FAILING, 0, world.pg.failing = true);
	FACTS(FHA_RECOVERING, 0, world.pg.recovering = true);
	FACTS(FHA_PLAIN, 0, world.pg.supervised = false);
}

static void
data_is_at_most_one_of_four(void **state)
{
	(void) state;
	FACTS(FHA_EMPTY, FHA_LINEAGE | FHA_FIT, world.pg.empty = true,
		  world.pg.position = (FhaPosition){0, 0});
	FACTS(FHA_DAMAGED, 0, world.pg.damaged = true);
	FACTS(FHA_DIVERGED, FHA_LINEAGE, world.pg.position = (FhaPosition){3, 60001},
		  world.cluster.position.lsn = 60000);
	/* The first that holds is the only one. */
	FACTS(FHA_EMPTY, FHA_LINEAGE | FHA_FIT, world.pg.empty = true, world.pg.damaged = true,
		  world.pg.system_identifier = 815, world.pg.position.timeline = 0);
	FACTS(FHA_DAMAGED, 0, world.pg.damaged = true, world.pg.system_identifier = 815);
	FACTS(FHA_FOREIGN, FHA_LINEAGE, world.pg.system_identifier = 815,
		  world.pg.position.timeline = 4);
}

static void
s7_an_empty_directory_is_never_fit(void **state)
{
	(void) state;
	settle();
	world.pg.empty = true;
	/* Not even with a position that somebody forgot to clear, or by an explicit failover. */
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	world.pg.position = (FhaPosition){0, 0};
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	world.cluster.released = true;
	assert_int_equal(fact(FHA_FIT, NOW), 0);
}

/* What raised max_connections and its like bring: nobody asks it to lead, a failover by name neither. */
static void
what_cannot_be_promoted_is_never_fit(void **state)
{
	(void) state;
	settle();
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
	assert_int_equal(fact(FHA_SMALL, NOW), 0);
	world.pg.too_small = true;
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	assert_int_equal(fact(FHA_SMALL, NOW), FHA_SMALL);
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	assert_int_equal(fact(FHA_FIT, NOW), 0);
}

/* The dead holder's node with an older copy of its data: it waits and competes like anybody. */
static void
s7_an_older_copy_is_not_the_holder_s_data(void **state)
{
	(void) state;
	settle();
	world.pg.state = FHA_PG_DOWN;
	SET_TEXT(world.cluster.holder, "n2");
	SET_TEXT(world.cluster.boot_id, "b002");
	SET_TEXT(world.cluster.liveness, "fe01:2a");
	world.self.liveness_held = true;
	assert_true(fha_lease_is_free(&world, NOW));
	assert_int_equal(fact(FHA_RECLAIM, NOW), FHA_RECLAIM);
	world.cluster.position.lsn = LSN + 1;
	assert_false(fha_lease_is_free(&world, NOW));
	assert_int_equal(fact(FHA_RECLAIM, NOW), 0);
	/* Once the lease has lapsed, the others publish their positions, and it is not first. */
	world.found_free_at_ms = NOW;
	assert_int_equal(fact(FHA_TURN, NOW), 0);
	world.cluster.position.lsn = LSN;
	assert_int_equal(fact(FHA_TURN, NOW), FHA_TURN);
}

static void
s7_another_cluster_s_data_is_foreign(void **state)
{
	(void) state;
	FACTS(FHA_FOREIGN, 0, world.pg.system_identifier = 815);
	FACTS(FHA_FOREIGN, 0, SET_TEXT(world.self.cluster_uuid, "decaf"));
	/* What is not known yet accuses nobody. */
	FACTS(0, 0, world.pg.system_identifier = 0);
	FACTS(FHA_UNINITIALISED, 0, world.cluster.system_identifier = 0);
	FACTS(0, 0, world.self.cluster_uuid[0] = '\0');
	/* But a directory that has joined another cluster is foreign to one without data too. */
	FACTS(FHA_FOREIGN | FHA_UNINITIALISED, 0, world.cluster.system_identifier = 0,
		  SET_TEXT(world.self.cluster_uuid, "decaf"));
}

static void
s7_a_lower_term_is_stale(void **state)
{
	(void) state;
	FACTS(FHA_STALE, 0, world.self.highest_term = 8);
	FACTS(0, 0, world.self.highest_term = 6);
	FACTS(FHA_STALE, 0, world.others_term = 8);
	FACTS(0, 0, world.others_term = 7);
}

/* Of this cluster's term a member knows; another cluster's terms say nothing about ours. */
static void
s7_members_know_terms(void **state)
{
	(void) state;
	settle();
	assert_int_equal(fha_members_term(&world), 0);
	world.members[0].highest_term = 9;
	assert_int_equal(fha_members_term(&world), 0);
	SET_TEXT(world.members[0].cluster_uuid, "decaf");
	assert_int_equal(fha_members_term(&world), 0);
	memcpy(world.members[0].cluster_uuid, world.cluster.cluster_uuid, FHA_UUID_SIZE);
	assert_int_equal(fha_members_term(&world), 9);
	world.cluster.cluster_uuid[0] = world.members[0].cluster_uuid[0] = '\0';
	assert_int_equal(fha_members_term(&world), 0);
}

static const FhaPosition UNKNOWN = {0, 0};

static void
s7_lineage_holds_up_to_each_end(void **state)
{
	static const struct
	{
		FhaPosition position;
		bool held;
	} cases[] = {
		{{1, 1}, true},
		{{1, 30000}, true},
		{{1, 30001}, false},
		{{2, 1}, false}, /* reserved once, never promoted */
		{{3, 60000}, true},
		{{3, 60001}, false},
		{{4, 1}, false},
		{{TIMELINE, 1}, true},
		{{TIMELINE, UINT64_MAX}, true},
		{{6, 1}, false},
	};

	(void) state;
	settle();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (fha_lineage_holds(&world.cluster, cases[i].position, UNKNOWN) != cases[i].held)
			fail_msg("%u/%llu: %d expected", cases[i].position.timeline,
					 (unsigned long long) cases[i].position.lsn, cases[i].held);
	/* No lineage at all: only the tip is known. */
	world.cluster.lineage_count = 0;
	assert_true(fha_lineage_holds(&world.cluster, (FhaPosition){TIMELINE, LSN}, UNKNOWN));
	assert_false(fha_lineage_holds(&world.cluster, (FhaPosition){3, 1}, UNKNOWN));
}

/* A promotion by hand took the number that a term reserved later: only where it began tells the two apart. */
static void
s7_a_timeline_of_another_origin_is_not_the_leader_s(void **state)
{
	static const struct
	{
		uint32_t timeline;
		FhaPosition origin;
		bool held;
	} cases[] = {
		{TIMELINE, {3, 60000}, true},
		{TIMELINE, {3, 59999}, false},
		{TIMELINE, {3, 60001}, false},
		{TIMELINE, {1, 60000}, false},
		{3, {1, 30000}, true},
		{3, {1, 29999}, false},
		{1, {7, 1}, true}, /* the record knows of none before it */
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		settle();
		world.pg.position = (FhaPosition){cases[i].timeline, 1};
		world.pg.origin = cases[i].origin;
		if (fha_lineage_holds(&world.cluster, world.pg.position, world.pg.origin) != cases[i].held)
			fail_msg("%zu: %d expected", i, cases[i].held);
		assert_int_equal((fha_observe(&world, NOW) & FHA_DIVERGED) == 0, cases[i].held);
	}
}

#define ID_3 "00000000000000a3"
#define ID_5 "00000000000000a5"

/* As settled, and each timeline has an identity, here and in the record. */
static void
settle_identities(void)
{
	settle();
	SET_TEXT(world.cluster.lineage[1].id, ID_3);
	SET_TEXT(world.cluster.timeline_id, ID_5);
	world.pg.lineage_count = 3;
	memcpy(world.pg.lineage, world.cluster.lineage, sizeof(world.pg.lineage));
	SET_TEXT(world.pg.lineage[2].id, ID_5);
	world.pg.origin = (FhaPosition){3, 60000};
}

#define IDENTITIES(adds, removes, ...)               \
	do                                               \
	{                                                \
		settle_identities();                         \
		CHANGE(SETTLED, adds, removes, __VA_ARGS__); \
	} while (0)

/* The lock was put back, and a term that it had forgotten was taken again: the number and the origin are the same. */
static void
s7_a_timeline_of_another_identity_is_not_the_leader_s(void **state)
{
	(void) state;
	IDENTITIES(0, 0, (void) 0);
	IDENTITIES(FHA_DIVERGED | FHA_NAMESAKE, FHA_LINEAGE,
			   SET_TEXT(world.pg.lineage[2].id, "00000000000000b5"));
	/* Nothing of it was received but where it begins. */
	IDENTITIES(FHA_DIVERGED | FHA_NAMESAKE, FHA_LINEAGE,
			   SET_TEXT(world.pg.lineage[2].id, "00000000000000b5"),
			   world.pg.position.lsn = world.cluster.position.lsn = 60000);
	assert_int_equal(
		fha_lineage_find_namesake(&world.cluster, world.pg.lineage, world.pg.lineage_count), 2);
	/* The leader's is a child of that number by now; or ours is. */
	IDENTITIES(FHA_DIVERGED | FHA_NAMESAKE, 0,
			   SET_TEXT(world.pg.lineage[1].id, "00000000000000b3"));
	assert_int_equal(
		fha_lineage_find_namesake(&world.cluster, world.pg.lineage, world.pg.lineage_count), 1);
	IDENTITIES(FHA_DIVERGED | FHA_NAMESAKE, FHA_LINEAGE,
			   world.pg.lineage[1] = (FhaLineageStep){.timeline = 3, .id = "00000000000000b3"},
			   world.pg.lineage_count = 2, world.pg.position = (FhaPosition){3, 50000},
			   world.cluster.position.lsn = 50000);
	/* Past the leader's timeline, and on it as far as that goes: a rewind mends it. */
	IDENTITIES(FHA_DIVERGED, FHA_LINEAGE, world.pg.position = (FhaPosition){6, LSN + 1},
			   world.pg.lineage[3] = (FhaLineageStep){.timeline = 6, .id = "00000000000000b6"},
			   world.pg.lineage_count = 4);
	/* Of a promotion by hand, at the very place: the leader's has an identity in each copy of its history. */
	IDENTITIES(FHA_DIVERGED | FHA_NAMESAKE, 0, world.pg.lineage[2].id[0] = '\0');
	/* No history was copied with the data; the leader's timeline is 1.1's: nothing is known. */
	IDENTITIES(0, 0, world.pg.lineage[0] = (FhaLineageStep){.timeline = TIMELINE},
			   world.pg.lineage_count = 1);
	IDENTITIES(0, 0, world.pg.lineage_count = 0);
	IDENTITIES(0, 0, world.cluster.timeline_id[0] = '\0');
	IDENTITIES(0, 0, world.cluster.timeline_id[0] = '\0', world.pg.lineage[2].id[0] = '\0');
}

/* A holder that streamed the other timeline before it took the lease goes on from there, in a new term. */
static void
s7_a_holder_on_another_timeline_of_its_number_is_beyond_it(void **state)
{
	(void) state;
	IDENTITIES(FHA_MINE | FHA_BEYOND, FHA_LINEAGE | FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING,
			   SET_TEXT(world.cluster.holder, "n2"),
			   SET_TEXT(world.cluster.incarnation, "2222222222222222"),
			   world.cluster.standby_count = 0,
			   SET_TEXT(world.pg.lineage[2].id, "00000000000000b5"));
	assert_string_equal(fha_timeline_identity(&world.pg), "00000000000000b5");
	world.pg.position.timeline = 4;
	assert_string_equal(fha_timeline_identity(&world.pg), "");
}

/* Term 8 reserved timeline 6, and nobody was promoted to it yet: 5 goes on without an end. */
static void
s7_an_unpublished_tip_leaves_the_newest_step_open(void **state)
{
	(void) state;
	settle();
	world.cluster.term = 8;
	world.cluster.timeline = 6;
	assert_true(fha_lineage_holds(&world.cluster, (FhaPosition){TIMELINE, UINT64_MAX}, UNKNOWN));
	assert_true(fha_lineage_holds(&world.cluster, (FhaPosition){6, 1}, UNKNOWN));
	assert_false(fha_lineage_holds(&world.cluster, (FhaPosition){3, 60001}, UNKNOWN));
	assert_facts(FHA_STANDBY | FHA_LISTED | FHA_FIT, "term 8 is not published", __LINE__);
}

static void
the_holder_s_own_data_is_not_diverged(void **state)
{
	(void) state;
	FACTS(FHA_MINE, FHA_LINEAGE | FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING,
		  SET_TEXT(world.cluster.holder, "n2"),
		  SET_TEXT(world.cluster.incarnation, "2222222222222222"), world.cluster.standby_count = 0,
		  world.pg.position = (FhaPosition){4, LSN});
}

static void
s7_lineage_is_our_timeline_being_the_reserved_one(void **state)
{
	(void) state;
	FACTS(0, FHA_LINEAGE, world.pg.position = (FhaPosition){3, 60000},
		  world.cluster.position.lsn = 60000);
	FACTS(0, FHA_PUBLISHED | FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING,
		  world.cluster.lineage_term = 6);
}

static void
without_a_record_little_is_known(void **state)
{
	(void) state;
	FACTS(FHA_UNREAD, SETTLED & ~FHA_STANDBY, memset(&world.watch, 0, sizeof(world.watch)));
	/* What the record seemed to say means nothing while it is absent. */
	FACTS(FHA_BLANK, SETTLED & ~FHA_STANDBY, memset(&world.watch, 0, sizeof(world.watch)),
		  fha_watch_saw(&world.watch, "", "", 0, NOW - DURATION_MS + 1),
		  world.cluster.paused = true, SET_TEXT(world.self.cluster_uuid, "decaf"));
	FACTS(FHA_ABSENT, SETTLED & ~FHA_STANDBY, memset(&world.watch, 0, sizeof(world.watch)),
		  fha_watch_saw(&world.watch, "", "", 0, NOW - DURATION_MS));
}

static void
s1_a_sign_is_what_the_holder_changes(void **state)
{
	FhaCluster cluster;
	char before[FHA_WATCH_SIGN_SIZE];
	char sign[FHA_WATCH_SIGN_SIZE];

	(void) state;
	settle();
	cluster = world.cluster;
	fha_cluster_sign(&cluster, before);
	/* What operators, other members and tools write. */
	cluster.paused = true;
	cluster.request.kind = FHA_REQUEST_FAILOVER;
	cluster.setting_count = 1;
	cluster.member_count--;
	fha_cluster_sign(&cluster, sign);
	assert_string_equal(sign, before);
	for (int field = 0; field < 5; field++)
	{
		cluster = world.cluster;
		if (field == 0)
			SET_TEXT(cluster.holder, "n");
		else if (field == 1)
			SET_TEXT(cluster.incarnation, "");
		else if (field == 2)
			SET_TEXT(cluster.nonce, "0123456789abcdef");
		else if (field == 3)
			cluster.released = true;
		else
			cluster.lease_duration_ms = 30;
		fha_cluster_sign(&cluster, sign);
		assert_string_not_equal(sign, before);
	}
	cluster.lease_duration_ms = INT64_MAX;
	memset(cluster.holder, 'h', sizeof(cluster.holder) - 1);
	memset(cluster.incarnation, 'i', sizeof(cluster.incarnation) - 1);
	memset(cluster.nonce, 'n', sizeof(cluster.nonce) - 1);
	fha_cluster_sign(&cluster, sign);
	assert_non_null(strstr(sign, "n/h9223372036854775807"));
}

static void
s1_free_after_watching_it_unchanged(void **state)
{
	(void) state;
	FACTS(0, 0, world.watch.last_sign_at_ms = NOW - DURATION_MS + 1);
	FACTS(FHA_FREE, 0, world.watch.last_sign_at_ms = NOW - DURATION_MS);
	/* The recorded duration is longer than ours: it counts. */
	FACTS(0, 0, world.watch.last_sign_at_ms = NOW - DURATION_MS,
		  world.watch.recorded_duration_ms = DURATION_MS + 1);
	FACTS(FHA_FREE, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING, world.cluster.released = true);
}

static void
s1_a_failover_request_does_not_free_the_lease(void **state)
{
	(void) state;
	FACTS(0, 0, world.cluster.request.kind = FHA_REQUEST_FAILOVER,
		  SET_TEXT(world.cluster.request.target, "n2"));
	assert_false(fha_lease_is_free(&world, NOW));
}

static void
s1_safe_before_write_until(void **state)
{
	(void) state;
	settle();
	SET_TEXT(world.cluster.holder, "n2");
	SET_TEXT(world.cluster.incarnation, "2222222222222222");
	world.tenure.write_ends_at_ms = NOW + 1;
	assert_int_equal(fact(FHA_MINE | FHA_SAFE, NOW), FHA_MINE | FHA_SAFE);
	assert_int_equal(fact(FHA_MINE | FHA_SAFE, NOW + 1), FHA_MINE);
	/* What is left of a tenure makes nobody else's lease safe. */
	SET_TEXT(world.cluster.holder, "n1");
	assert_int_equal(fact(FHA_MINE | FHA_SAFE, NOW), 0);
	SET_TEXT(world.cluster.holder, "n2");
	world.cluster.released = true;
	assert_int_equal(fact(FHA_MINE | FHA_SAFE, NOW), 0);
}

/* Every combination of who wrote the record, what we can prove, and how long it was watched. */
static void
s1b_incarnations(void **state)
{
	(void) state;
	for (unsigned bits = 0; bits < 128; bits++)
	{
		bool name = (bits & 1) != 0;
		bool incarnation = (bits & 2) != 0;
		bool boot = (bits & 4) != 0;
		bool liveness = (bits & 8) != 0;
		bool lapsed = (bits & 16) != 0;
		bool released = (bits & 32) != 0;
		bool file = (bits & 64) != 0; /* a copied directory has another liveness lock */
		bool mine = name && incarnation && !released;
		bool free_wanted = !mine && (released || lapsed || (name && boot && liveness && file));

		settle();
		SET_TEXT(world.cluster.holder, name ? "n2" : "n1");
		SET_TEXT(world.cluster.incarnation, incarnation ? "2222222222222222" : "9999999999999999");
		SET_TEXT(world.cluster.boot_id, boot ? "b002" : "b009");
		SET_TEXT(world.cluster.liveness, file ? "fe01:2a" : "fe01:99");
		world.self.liveness_held = liveness;
		world.cluster.released = released;
		world.watch.last_sign_at_ms = lapsed ? NOW - DURATION_MS : NOW - DURATION_MS + 1;
		if (fha_lease_is_mine(&world) != mine || fha_lease_is_free(&world, NOW) != free_wanted)
			fail_msg(
				"name %d, incarnation %d, boot %d, liveness %d, file %d, lapsed %d, released %d",
				name, incarnation, boot, liveness, file, lapsed, released);
		assert_int_equal(fact(FHA_MINE, NOW) != 0, mine);
		assert_int_equal(fact(FHA_FREE, NOW) != 0, free_wanted);
	}
	/* An absent record is nobody's and is not free: its cluster fields mean nothing. */
	settle();
	fha_watch_saw(&world.watch, "", "", 0, 0);
	SET_TEXT(world.cluster.holder, "n2");
	SET_TEXT(world.cluster.incarnation, "2222222222222222");
	world.cluster.released = true;
	assert_false(fha_lease_is_mine(&world));
	assert_false(fha_lease_is_free(&world, NOW));
}

static void
reclaim_needs_our_name_and_that_term_s_timeline(void **state)
{
	(void) state;
	/* An older incarnation of ours held it: not free yet, and not another leader's. */
	FACTS(FHA_RECLAIM, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING,
		  SET_TEXT(world.cluster.holder, "n2"));
	FACTS(FHA_RECLAIM | FHA_FREE, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING,
		  SET_TEXT(world.cluster.holder, "n2"),
		  SET_TEXT(world.cluster.incarnation, "2222222222222222"), world.cluster.released = true);
	FACTS(FHA_FREE, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING | FHA_LINEAGE | FHA_FIT,
		  SET_TEXT(world.cluster.holder, "n2"), world.cluster.released = true,
		  world.pg.position = (FhaPosition){3, 60000}, world.cluster.position.lsn = 1);
}

/* The record of our name is another directory's, and was written a moment ago. */
static void
meet_duplicate(void)
{
	settle();
	set_member(&world.members[1], "n2", FHA_ROLE_STANDBY, "h9:5432");
	SET_TEXT(world.members[1].incarnation, "9999999999999999");
	SET_TEXT(world.members[1].liveness, "fe01:99");
	fha_watch_saw(&world.own, "v9", "v9", 0, NOW - 100);
}

static void
s1b_a_living_node_of_our_name_is_a_duplicate(void **state)
{
	(void) state;
#define DUPLICATE(adds, ...) CHANGE(SETTLED, adds, 0, meet_duplicate(), __VA_ARGS__)
	DUPLICATE(FHA_DUPLICATE, (void) 0);
	assert_true(fha_observe_again_at_ms(&world, NOW) <= NOW - 100 + 3 * DURATION_MS);
	DUPLICATE(FHA_DUPLICATE, world.own.last_sign_at_ms = NOW - 3 * DURATION_MS + 1);
	/* It may be told to write less often than we are. */
	DUPLICATE(FHA_DUPLICATE, world.cluster.lease_duration_ms = 2 * DURATION_MS,
			  world.own.last_sign_at_ms = NOW - 5 * DURATION_MS);
	/* It has not written for so long that it is gone. */
	DUPLICATE(0, world.own.last_sign_at_ms = NOW - 3 * DURATION_MS);
	/* We were there first, or it is this directory's, or this very node's. */
	DUPLICATE(0, world.self.spoken = true);
	DUPLICATE(0, SET_TEXT(world.members[1].liveness, "fe01:2a"));
	DUPLICATE(0, SET_TEXT(world.members[1].incarnation, "2222222222222222"));
	DUPLICATE(0, world.members[1].liveness[0] = '\0');
	/* The record of our name is another cluster's: ended by no time, and whether we spoke or not. */
	DUPLICATE(FHA_TAKEN, world.own_taken = true);
	DUPLICATE(FHA_TAKEN, world.own_taken = true, world.self.spoken = true,
			  world.own.last_sign_at_ms = 0);
}

/* Our own lease, and then no record any more. */
static void
vanish(void)
{
	settle();
	world.pg.state = FHA_PG_PRIMARY;
	SET_TEXT(world.cluster.holder, "n2");
	SET_TEXT(world.cluster.incarnation, "2222222222222222");
	world.self.highest_term = world.cluster.term;
	fha_watch_saw(&world.watch, "", "", 0, NOW - DURATION_MS);
}

static void
s7_a_vanished_record_is_its_last_holder_s(void **state)
{
	(void) state;
	vanish();
	assert_facts(FHA_PRIMARY | FHA_ABSENT | FHA_RECLAIM, "we held it", __LINE__);
	/* Not before it was watched for as long as a stale one. */
	assert_int_equal(fact(FHA_ABSENT, NOW - 1), 0);
#define NOT_OURS(...)                                                   \
	do                                                                  \
	{                                                                   \
		vanish();                                                       \
		__VA_ARGS__;                                                    \
		assert_facts(FHA_PRIMARY | FHA_ABSENT, #__VA_ARGS__, __LINE__); \
	} while (0)
	NOT_OURS(SET_TEXT(world.cluster.holder, "n1"));
	NOT_OURS(SET_TEXT(world.cluster.incarnation, "3333333333333333"));
	NOT_OURS(world.cluster.released = true);
	NOT_OURS(world.self.highest_term++);
	NOT_OURS(world.cluster.lineage_term--);
	NOT_OURS(world.pg.position.timeline--);
	/* Whoever was listed must have been heard, and must not have seen a later term. */
	NOT_OURS(world.members[0].term = world.cluster.term + 1);
	NOT_OURS(world.members[0].highest_term = world.cluster.term + 1);
	NOT_OURS(world.member_count = 1);
	assert_string_equal(fha_missing_find(&world), "n3");
	/* Unless it was gone before anybody, also one that was not heard of, could see the lease lapse. */
	world.confirmed_at_ms = world.watch.last_sign_at_ms - world.self.renew_deadline_ms + 1;
	assert_facts(FHA_PRIMARY | FHA_ABSENT | FHA_RECLAIM, "gone at once", __LINE__);
	assert_null(fha_missing_find(&world));
	world.confirmed_at_ms--;
	assert_facts(FHA_PRIMARY | FHA_ABSENT, "gone later", __LINE__);
	NOT_OURS(world.confirmed_at_ms = world.watch.last_sign_at_ms,
			 world.members[0].term = world.cluster.term + 1);
}

static void
a_leader_is_led_by_when_it_says_where(void **state)
{
	(void) state;
	FACTS(0, FHA_REWINDABLE, world.members[0].rewindable = false);
	FACTS(0, FHA_FOLLOWING, SET_TEXT(world.pg.following, "n3"));
	FACTS(0, FHA_FOLLOWING, world.pg.following_term = 6);
	FACTS(0, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING, world.members[0].address[0] = '\0');
	FACTS(0, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING, world.members[0].role = FHA_ROLE_STANDBY);
	FACTS(0, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING, world.members[0].position.timeline = 3);
	FACTS(0, FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING, SET_TEXT(world.members[0].member, "n9"));
}

/* S10: what lapsed is not free for who promised; what was given away, or is its own, is. */
static void
s10_a_promise_holds_back_who_gave_it(void **state)
{
	(void) state;
	settle();
	world.watch.last_sign_at_ms = NOW - DURATION_MS;
	world.bound_ends_at_ms = NOW + 1;
	assert_false(fha_lease_is_free(&world, NOW));
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_BOUND);
	assert_int_equal(fha_observe_again_at_ms(&world, NOW), NOW + 1);
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW + 1), FHA_FREE);
	world.watch.last_sign_at_ms = NOW - DURATION_MS + 1;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), 0);
}

/* S10: what an older copy of the record shows as released may be led again by promises. */
static void
s10_a_promise_outlasts_an_older_release(void **state)
{
	FhaPosition told = {.lsn = 1000};

	(void) state;
	settle();
	told.timeline = world.cluster.timeline;
	world.cluster.released = true;
	world.cluster.release = told;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	/* A process that has just started, and was not asked: it would hold up a switchover to it. */
	world.bound_ends_at_ms = NOW + 1;
	world.heard_term = 0;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	/* A member of 1.1 asks without its position. */
	world.heard_term = world.cluster.term;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	world.heard = told;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_BOUND);
	assert_int_equal(fha_observe_again_at_ms(&world, NOW), NOW + 1);
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW + 1), FHA_FREE);
	world.cluster.release.lsn = FHA_LSN_UNREAD;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_BOUND);
	/* It stopped after it had asked: that was its own word. */
	world.cluster.release.lsn = told.lsn + 1;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	/* Another member led since, and let go; or the copy is of a term before. */
	world.cluster.release = told;
	world.heard_term = world.cluster.term - 1;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	world.heard_term = world.cluster.term + 1;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_BOUND);
	/* The lock was put back and gave the term to another: that one's release is no word of the asker's. */
	world.heard_term = world.cluster.term;
	world.cluster.release.lsn = told.lsn + 1;
	SET_TEXT(world.heard_from, "n1");
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	SET_TEXT(world.heard_from, "n3");
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_BOUND);
}

/* S10: a successor needs what the holder of the record's term had, and not what another of that number had. */
static void
s10_only_the_holder_s_own_word_is_needed(void **state)
{
	(void) state;
	settle();
	world.heard_term = world.cluster.term;
	world.heard = (FhaPosition){TIMELINE, LSN + 10 * LAG};
	assert_int_equal(fha_holder_position(&world).lsn, world.heard.lsn);
	SET_TEXT(world.heard_from, "n1");
	assert_int_equal(fha_holder_position(&world).lsn, world.heard.lsn);
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	SET_TEXT(world.heard_from, "n3");
	assert_int_equal(fha_holder_position(&world).lsn, LSN);
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
}

/* S1: an older copy of the record, from before the holder took back what it had released. */
static void
s1_a_release_that_was_taken_back_is_waited_out(void **state)
{
	FhaPosition end = {.lsn = 1000};

	(void) state;
	settle();
	end.timeline = world.cluster.timeline;
	world.cluster.released = world.cluster.release_final = true;
	world.cluster.release = world.pg.position = end;
	world.heard_term = 0;
	world.watch.last_sign_at_ms = NOW - DURATION_MS + 1;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	/* This data goes on behind the end. */
	world.pg.position.lsn++;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), 0);
	assert_int_equal(fha_observe_again_at_ms(&world, NOW), NOW + 1);
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW + 1), FHA_FREE);
	/* A crash leaves an end that a standby may be past. */
	world.cluster.release_final = false;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	/* Another timeline, of another leader. */
	world.cluster.release_final = true;
	world.pg.position.timeline++;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
	/* The holder told that it leads from there on. */
	world.pg.position = world.heard = end;
	world.heard_term = world.cluster.term;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), 0);
	world.heard.lsn--;
	assert_int_equal(fact(FHA_BOUND | FHA_FREE, NOW), FHA_FREE);
}

static void
s10_the_list_names_data(void **state)
{
	FhaCluster list = {.member_count = 0};

	(void) state;
	assert_true(fha_member_list(&list, "n1", "a"));
	assert_true(fha_member_list(&list, "n2", "b"));
	assert_true(fha_member_list(&list, "n3", "c"));
	assert_true(fha_member_list(&list, "n2", "d"));
	assert_int_equal(list.member_count, 3);
	assert_true(fha_member_is_listed_as(&list, "n2", "d"));
	assert_false(fha_member_is_listed_as(&list, "n2", "b"));
	assert_false(fha_member_is_listed_as(&list, "n4", ""));
	fha_member_unlist(&list, "n1");
	fha_member_unlist(&list, "n1");
	assert_int_equal(list.member_count, 2);
	assert_true(fha_member_is_listed_as(&list, "n2", "d"));
	assert_true(fha_member_is_listed_as(&list, "n3", "c"));
	list.member_count = FHA_MEMBERS_MAX;
	assert_false(fha_member_list(&list, "n5", "e"));
}

static void
lists_pauses_and_founding(void **state)
{
	(void) state;
	FACTS(0, FHA_LISTED, SET_TEXT(world.cluster.members[1], "n22"));
	FACTS(0, FHA_LISTED, SET_TEXT(world.cluster.members[1], "n"));
	/* S10: a name alone may be that of a copy. */
	FACTS(0, FHA_LISTED, SET_TEXT(world.cluster.member_data[1], "dddddddddddddddd"));
	FACTS(0, FHA_LISTED, SET_TEXT(world.self.data_incarnation, "dddddddddddddddd"));
	FACTS(0, 0, SET_TEXT(world.cluster.member_data[1], "dddddddddddddddd"),
		  SET_TEXT(world.self.data_incarnation, "dddddddddddddddd"));
	FACTS(FHA_PAUSED, 0, world.cluster.paused = true);
	FACTS(FHA_UNINITIALISED, 0, world.cluster.system_identifier = 0);
	/* BOOTSTRAP: told to, belonging to no cluster, and no member has data. */
	FACTS(0, 0, world.self.bootstrap = true, world.self.cluster_uuid[0] = '\0');
	FACTS(FHA_BOOTSTRAP, 0, world.self.bootstrap = true, world.self.cluster_uuid[0] = '\0',
		  world.members[0].data_incarnation[0] = '\0', world.members[1].data_incarnation[0] = '\0');
	FACTS(0, 0, world.self.bootstrap = true, world.members[0].data_incarnation[0] = '\0',
		  world.members[1].data_incarnation[0] = '\0');
	FACTS(0, 0, world.self.cluster_uuid[0] = '\0', world.members[0].data_incarnation[0] = '\0',
		  world.members[1].data_incarnation[0] = '\0');
}

static void
handover_and_successor_are_the_holder_s(void **state)
{
	FhaFacts mine = (SETTLED | FHA_MINE) & ~(FHA_LED | FHA_REWINDABLE | FHA_FOLLOWING);

	(void) state;
#define HOLD()                                      \
	settle(), SET_TEXT(world.cluster.holder, "n2"), \
		SET_TEXT(world.cluster.incarnation, "2222222222222222")
	CHANGE(mine, FHA_SUCCESSOR, 0, HOLD());
	CHANGE(mine, 0, 0, HOLD(), world.cluster.standby_count = 0);
	CHANGE(mine, FHA_SUCCESSOR | FHA_HANDOVER, 0, HOLD(),
		   world.cluster.request.kind = FHA_REQUEST_SWITCHOVER,
		   world.cluster.request.state = FHA_REQUEST_RUNNING,
		   SET_TEXT(world.cluster.request.target, "n3"));
	CHANGE(mine, FHA_SUCCESSOR | FHA_HANDOVER, 0, HOLD(),
		   world.cluster.request.kind = FHA_REQUEST_FAILOVER,
		   world.cluster.request.state = FHA_REQUEST_RUNNING,
		   SET_TEXT(world.cluster.request.target, "n3"));
	/* To ourselves: that is the request that brought us here. */
	CHANGE(mine, FHA_SUCCESSOR, 0, HOLD(), world.cluster.request.kind = FHA_REQUEST_SWITCHOVER,
		   world.cluster.request.state = FHA_REQUEST_RUNNING,
		   SET_TEXT(world.cluster.request.target, "n2"));
	for (int i = FHA_REQUEST_PENDING; i <= FHA_REQUEST_FAILED; i++)
		if (i != FHA_REQUEST_RUNNING)
			CHANGE(mine, FHA_SUCCESSOR, 0, HOLD(),
				   world.cluster.request.kind = FHA_REQUEST_SWITCHOVER,
				   world.cluster.request.state = (FhaRequestState) i,
				   SET_TEXT(world.cluster.request.target, "n3"));
	/* Not the holder: neither. */
	FACTS(0, 0, world.cluster.request.kind = FHA_REQUEST_SWITCHOVER,
		  world.cluster.request.state = FHA_REQUEST_RUNNING,
		  SET_TEXT(world.cluster.request.target, "n3"));
}

static void
s5_positions_are_compared_by_timeline_first(void **state)
{
	static const FhaPosition ascending[] = {
		{0, 0}, {0, UINT64_MAX}, {1, 1}, {1, UINT64_MAX}, {2, 0}, {UINT32_MAX, 0},
	};

	(void) state;
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++)
			assert_int_equal(fha_position_compare(ascending[i], ascending[j]), i < j   ? -1
																			   : i > j ? 1
																					   : 0);
}

static void
fit_up_to_the_lag_limit(void **state)
{
	(void) state;
	settle();
	world.cluster.position.lsn = LSN + LAG;
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
	world.cluster.position.lsn = LSN + LAG + 1;
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	world.self.max_lag_bytes = 0;
	world.cluster.position.lsn = LSN;
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
	world.cluster.position.lsn = LSN + 1;
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	world.self.max_lag_bytes = INT64_MAX;
	world.cluster.position.lsn = UINT64_MAX / 2;
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
}

/* Any released position is what was acknowledged: who has not got it waits, then loses by the rule. */
static void
fit_after_a_release_means_to_have_its_position(void **state)
{
	int64_t patient_ms = NOW + 3 * RELEASE_MS;

	(void) state;
	settle();
	world.cluster.released = true;
	world.found_free_at_ms = NOW;
	world.cluster.release = (FhaPosition){TIMELINE, LSN};
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
	world.cluster.release.lsn = LSN + 1;
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	assert_int_equal(fact(FHA_FIT, patient_ms - 1), 0);
	assert_int_equal(fact(FHA_FIT, patient_ms), FHA_FIT);
	/* A higher LSN on an older timeline is not "higher" (S5). */
	world.cluster.release = (FhaPosition){TIMELINE, LSN};
	world.pg.position = (FhaPosition){3, LSN + 1};
	assert_int_equal(fact(FHA_FIT, patient_ms - 1), 0);
	/* Then the lag rule, from the furthest that anybody is known to have got. */
	world.pg.position = (FhaPosition){TIMELINE, LSN};
	world.cluster.release.lsn = LSN + LAG;
	assert_int_equal(fact(FHA_FIT, patient_ms), FHA_FIT);
	world.cluster.release.lsn = LSN + LAG + 1;
	assert_int_equal(fact(FHA_FIT, patient_ms), 0);
	world.cluster.release.lsn = LSN + LAG;
	world.cluster.position.lsn = LSN + LAG;
	assert_int_equal(fact(FHA_FIT, patient_ms), FHA_FIT);
	world.cluster.position.lsn = LSN + LAG + 1;
	assert_int_equal(fact(FHA_FIT, patient_ms), 0);
	world.cluster.position.lsn = LSN;
	/* Not seen to be free yet: not even patience helps. */
	world.found_free_at_ms = 0;
	assert_int_equal(fact(FHA_FIT, patient_ms), 0);
}

/* S10: the holder had led by promises, and could not read the end of its WAL. */
static void
s10_a_release_is_no_less_than_what_was_told(void **state)
{
	int64_t patient_ms = NOW + 3 * RELEASE_MS;

	(void) state;
	settle();
	world.cluster.released = true;
	world.found_free_at_ms = NOW;
	world.cluster.release = world.cluster.position;
	world.heard_term = world.cluster.term;
	world.heard = (FhaPosition){TIMELINE, LSN + LAG};
	assert_int_equal(fha_wanted(&world).lsn, LSN + LAG);
	assert_int_equal(fact(FHA_FIT, NOW), 0);
	assert_int_equal(fact(FHA_FIT, patient_ms - 1), 0);
	assert_int_equal(fact(FHA_FIT, patient_ms), FHA_FIT);
	world.heard.lsn++;
	assert_int_equal(fact(FHA_FIT, patient_ms), 0);
	/* What was acknowledged is enough, wherever the WAL ends, and whether that could be read or not. */
	world.cluster.position.lsn = LSN - 1;
	assert_int_equal(fha_wanted(&world).lsn, LSN);
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
	world.cluster.position.lsn = LSN + LAG + 1;
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
	world.cluster.position.lsn = LSN;
	world.heard.lsn = FHA_LSN_UNREAD;
	assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
}

/* A release that says nothing asks for what the last renewal told; and with that unknown, for a person. */
static void
nothing_known_is_never_nothing_needed(void **state)
{
	const FhaPosition unknown[] = {
		{0, 0}, {TIMELINE, 0}, {0, LSN}, {TIMELINE, FHA_LSN_UNREAD}, {TIMELINE + 1, 0}};
	int64_t patient_ms = NOW + 10 * RELEASE_MS;

	(void) state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
	{
		settle();
		assert_false(fha_position_is_known(unknown[i]));
		world.cluster.released = true;
		world.found_free_at_ms = NOW;
		world.cluster.release = unknown[i];
		assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
		world.cluster.position.lsn = LSN + 1;
		assert_int_equal(fact(FHA_FIT, NOW), 0);
		assert_int_equal(fact(FHA_FIT, patient_ms), FHA_FIT);
		world.cluster.position.lsn = LSN + LAG + 1;
		assert_int_equal(fact(FHA_FIT, patient_ms), 0);
		world.cluster.position = unknown[i];
		assert_int_equal(fact(FHA_FIT, patient_ms), 0);
		world.cluster.released = false;
		assert_int_equal(fact(FHA_FIT, patient_ms), 0);
		world.cluster.request.kind = FHA_REQUEST_FAILOVER;
		assert_int_equal(fact(FHA_FIT, NOW), FHA_FIT);
	}
}

/* A planned stop loses nothing: only a person gives up what the stopped server has. */
static void
a_clean_stop_waits_for_who_has_its_end(void **state)
{
	int64_t patient_ms = NOW + 1000000;

	(void) state;
	settle();
	world.cluster.released = true;
	world.cluster.release_final = true;
	world.cluster.release = (FhaPosition){TIMELINE, LSN};
	world.found_free_at_ms = NOW;
	assert_int_equal(fact(FHA_FIT | FHA_AWAITED, NOW), FHA_FIT);
	world.cluster.release.lsn = LSN + 1;
	assert_int_equal(fact(FHA_FIT | FHA_AWAITED, patient_ms), FHA_AWAITED);
	/* Nor when a member that has it took the lease, and was lost before it led. */
	world.cluster.released = false;
	assert_int_equal(fact(FHA_FIT | FHA_AWAITED, patient_ms), FHA_AWAITED);
	world.cluster.release.lsn = LSN;
	assert_int_equal(fact(FHA_FIT | FHA_AWAITED, patient_ms), FHA_FIT);
	world.cluster.release.timeline = TIMELINE + 1;
	assert_int_equal(fact(FHA_FIT | FHA_AWAITED, patient_ms), FHA_AWAITED);
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	assert_int_equal(fact(FHA_FIT | FHA_AWAITED, NOW), FHA_FIT);
	SET_TEXT(world.cluster.request.target, "n3");
	assert_int_equal(fact(FHA_FIT | FHA_AWAITED, NOW), FHA_AWAITED);
}

static bool
is_missing(bool held)
{
	return fha_end_is_missing(&world.cluster, world.members, world.member_count, held);
}

static void
an_end_is_missing_when_no_standby_has_it(void **state)
{
	(void) state;
	settle();
	world.members[0].role = FHA_ROLE_DOWN;
	assert_false(is_missing(false));
	world.cluster.release_final = true;
	world.cluster.release = (FhaPosition){TIMELINE, LSN + 1};
	assert_true(is_missing(false));
	assert_false(is_missing(true));
	world.cluster.released = true;
	assert_true(is_missing(true));
	assert_int_equal(fha_needed(&world.cluster).lsn, LSN + 1);
	world.members[1].position.lsn = LSN + 1;
	assert_false(is_missing(true));
	/* By its number alone that is the place in this history. */
	SET_TEXT(world.cluster.timeline_id, ID_5);
	SET_TEXT(world.members[1].timeline_id, "00000000000000b5");
	assert_true(is_missing(true));
	SET_TEXT(world.members[1].timeline_id, ID_5);
	assert_false(is_missing(true));
	/* One that is down has it, and does not lead. */
	world.members[1].role = FHA_ROLE_DOWN;
	assert_true(is_missing(true));
}

/* S10: whose data is not what the list has under its name has promised nothing that counts. */
static void
s10_an_operator_may_name_a_member_with_other_data(void **state)
{
	(void) state;
	settle();
	SET_TEXT(world.self.data_incarnation, "0therda7a0000000");
	SET_TEXT(world.cluster.member_data[1], "da7a000000000001");
	assert_int_equal(fact(FHA_LISTED, NOW), 0);
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	assert_int_equal(fact(FHA_LISTED, NOW), 0);
	SET_TEXT(world.cluster.request.target, "n2");
	assert_int_equal(fact(FHA_LISTED, NOW), FHA_LISTED);
	SET_TEXT(world.cluster.request.target, "n3");
	assert_int_equal(fact(FHA_LISTED, NOW), 0);
	SET_TEXT(world.cluster.request.target, "n2");
	world.cluster.request.kind = FHA_REQUEST_SWITCHOVER;
	assert_int_equal(fact(FHA_LISTED, NOW), 0);
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	SET_TEXT(world.self.data_incarnation, "");
	assert_int_equal(fact(FHA_LISTED, NOW), 0);
	/* A name that is not on the list never: it may be a clone of a leader that does not ask it. */
	SET_TEXT(world.self.data_incarnation, "0therda7a0000000");
	SET_TEXT(world.cluster.members[1], "n4");
	assert_int_equal(fact(FHA_LISTED, NOW), 0);
}

static void
an_explicit_failover_lifts_lag_and_pause(void **state)
{
	(void) state;
	settle();
	world.cluster.paused = true;
	world.cluster.position.lsn = LSN + 10 * LAG;
	assert_int_equal(fact(FHA_FIT | FHA_PAUSED, NOW), FHA_PAUSED);
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	assert_int_equal(fact(FHA_FIT | FHA_PAUSED, NOW), FHA_FIT);
	world.cluster.released = true;
	world.cluster.release = world.cluster.position;
	assert_int_equal(fact(FHA_FIT | FHA_PAUSED, NOW), FHA_FIT);
	/* Only until it is done, and only a failover. */
	world.cluster.request.state = FHA_REQUEST_RUNNING;
	assert_int_equal(fact(FHA_FIT | FHA_PAUSED, NOW), FHA_FIT);
	world.cluster.released = false;
	assert_int_equal(fact(FHA_FIT | FHA_PAUSED, NOW), FHA_PAUSED);
	for (int i = FHA_REQUEST_DONE; i <= FHA_REQUEST_FAILED; i++)
	{
		world.cluster.request.state = (FhaRequestState) i;
		assert_int_equal(fact(FHA_FIT | FHA_PAUSED, NOW), FHA_PAUSED);
	}
	world.cluster.request.state = FHA_REQUEST_PENDING;
	world.cluster.request.kind = FHA_REQUEST_SWITCHOVER;
	assert_int_equal(fact(FHA_FIT | FHA_PAUSED, NOW), FHA_PAUSED);
}

/* The settled world after n1 fell silent: free since NOW. */
static void
elect(void)
{
	settle();
	world.watch.last_sign_at_ms = NOW - DURATION_MS;
	world.found_free_at_ms = NOW;
}

/* n3 says for this version of the record where it is. */
static void
publish(uint32_t timeline, uint64_t lsn)
{
	world.members[1].position = (FhaPosition){timeline, lsn};
	SET_TEXT(world.members[1].candidate_for, "v1");
}

/* FHA_TURN is added exactly at at_ms after NOW; -1: not within the test's time. */
static void
assert_turn_from(int64_t at_ms, int line)
{
	for (int64_t ms = 0; ms <= 4 * RELEASE_MS; ms++)
	{
		bool turn = fact(FHA_TURN, NOW + ms) != 0;

		if (turn != (at_ms >= 0 && ms >= at_ms))
			fail_msg("line %d: turn is %d after %lld ms", line, turn, (long long) ms);
	}
}

#define TURN_FROM(at_ms) assert_turn_from(at_ms, __LINE__)

static void
no_turn_while_it_is_not_free(void **state)
{
	(void) state;
	elect();
	world.found_free_at_ms = 0;
	publish(TIMELINE, LSN - 1);
	TURN_FROM(-1);
}

static void
the_best_goes_at_once_when_all_have_published(void **state)
{
	(void) state;
	elect();
	publish(TIMELINE, LSN - 1);
	TURN_FROM(0);
	/* S5: an older timeline is lower, whatever its LSN. */
	publish(TIMELINE - 1, LSN + 1000);
	TURN_FROM(0);
	/* Equal: the lower name.  We are n2. */
	publish(TIMELINE, LSN);
	TURN_FROM(0);
	SET_TEXT(world.members[1].member, "n0");
	SET_TEXT(world.cluster.members[2], "n0");
	TURN_FROM(2 * ELECTION_MS);
	/* A single candidate waits for nobody. */
	elect();
	world.cluster.member_count = 2;
	TURN_FROM(0);
}

static void
who_has_not_published_is_waited_for(void **state)
{
	(void) state;
	elect();
	TURN_FROM(ELECTION_MS);
	/* For another version is not for this one. */
	publish(TIMELINE, LSN + 1);
	SET_TEXT(world.members[1].candidate_for, "v0");
	TURN_FROM(ELECTION_MS);
	/* Nor is a member without a record forgotten. */
	elect();
	world.member_count = 1;
	TURN_FROM(ELECTION_MS);
}

static void
a_better_one_has_twice_the_time(void **state)
{
	(void) state;
	elect();
	publish(TIMELINE, LSN + 1);
	TURN_FROM(2 * ELECTION_MS);
	publish(TIMELINE + 1, 1);
	TURN_FROM(2 * ELECTION_MS);
	/* On another timeline of a number of this history: its position is none. */
	publish(3, 1);
	world.pg.position = (FhaPosition){1, 1};
	TURN_FROM(2 * ELECTION_MS);
	SET_TEXT(world.cluster.lineage[1].id, ID_3);
	SET_TEXT(world.members[1].timeline_id, "00000000000000b3");
	TURN_FROM(0);
	world.pg.position = (FhaPosition){TIMELINE, LSN};
	publish(TIMELINE + 1, 1);
	/* Not on the list: it may not contend, and is not waited for. */
	SET_TEXT(world.cluster.members[2], "n4");
	world.cluster.member_count = 2;
	TURN_FROM(0);
	/* The former holder is not waited for either. */
	elect();
	publish(TIMELINE, LSN - 1);
	world.members[0].position = (FhaPosition){TIMELINE, LSN + 1};
	SET_TEXT(world.members[0].candidate_for, "v1");
	TURN_FROM(0);
}

static void
the_release_s_target_goes_first(void **state)
{
	(void) state;
	elect();
	world.cluster.released = true;
	SET_TEXT(world.cluster.release_to, "n2");
	publish(TIMELINE, LSN + 1);
	/* We at once, although n3 has more. */
	TURN_FROM(0);
	/* Its wait over, the target is a candidate like any other. */
	world.self.election_wait_ms = RELEASE_MS;
	for (int64_t ms = 0; ms <= 3 * RELEASE_MS; ms++)
		assert_int_equal(fact(FHA_TURN, NOW + ms) != 0, ms < RELEASE_MS || ms >= 2 * RELEASE_MS);
	/* Another target: we wait for it, and then by the usual rules. */
	elect();
	world.cluster.released = true;
	SET_TEXT(world.cluster.release_to, "n3");
	TURN_FROM(RELEASE_MS);
	publish(TIMELINE, LSN - 1);
	TURN_FROM(RELEASE_MS);
}

static void
the_releaser_waits(void **state)
{
	(void) state;
	elect();
	SET_TEXT(world.cluster.holder, "n2");
	world.cluster.released = true;
	publish(TIMELINE, LSN - 1);
	TURN_FROM(RELEASE_MS);
	/* That nobody streamed at the last renewal does not say that nobody can lead. */
	world.cluster.standby_count = 0;
	TURN_FROM(RELEASE_MS);
	/* Not given away, but lapsed, or a dead self's: take it back at once. */
	world.cluster.standby_count = 1;
	world.cluster.released = false;
	TURN_FROM(0);
	/* The target's time is over first. */
	world.cluster.released = true;
	SET_TEXT(world.cluster.release_to, "n3");
	TURN_FROM(RELEASE_MS);
	/* An operator took the role away: others have longer. */
	world.cluster.release_to[0] = '\0';
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	world.cluster.request.state = FHA_REQUEST_RUNNING;
	TURN_FROM(3 * RELEASE_MS);
}

/* S9: who holds the lease and does not come to lead lets others have it. */
static void
a_holder_that_does_not_lead_is_stuck(void **state)
{
	(void) state;
	elect();
	SET_TEXT(world.cluster.holder, "n2");
	SET_TEXT(world.cluster.incarnation, "2222222222222222");
	world.led_at_ms = NOW;
	assert_int_equal(fact(FHA_MINE | FHA_STUCK, NOW + 10 * DURATION_MS - 1), FHA_MINE);
	assert_int_equal(fact(FHA_STUCK, NOW + 10 * DURATION_MS), FHA_STUCK);
	/* Alone it has nobody to make room for. */
	world.cluster.member_count = 1;
	assert_int_equal(fact(FHA_STUCK, NOW + 10 * DURATION_MS), 0);
	/* A failover ends its patience at once, one to itself does not. */
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	world.cluster.request.state = FHA_REQUEST_PENDING;
	SET_TEXT(world.cluster.request.target, "n3");
	assert_int_equal(fact(FHA_STUCK, NOW), FHA_STUCK);
	SET_TEXT(world.cluster.request.target, "n2");
	assert_int_equal(fact(FHA_STUCK, NOW), 0);
	/* Whoever is not the holder is not stuck. */
	SET_TEXT(world.cluster.holder, "n1");
	world.cluster.member_count = 3;
	assert_int_equal(fact(FHA_STUCK, NOW + 10 * DURATION_MS), 0);
}

/* Others have a lapse, a promise and their turns; then the holder is the only one that can lead. */
#define ROOM_MS (3 * DURATION_MS + 3 * RELEASE_MS)

/* S9: if the others do not take the lease, the holder tries again: nobody is stuck for ever. */
static void
a_holder_that_nobody_follows_tries_again(void **state)
{
	int64_t patience_ms = 10 * DURATION_MS;

	(void) state;
	elect();
	SET_TEXT(world.cluster.holder, "n2");
	SET_TEXT(world.cluster.incarnation, "2222222222222222");
	world.pg.state = FHA_PG_STANDBY;
	world.led_at_ms = NOW;
	for (int64_t at_ms = NOW + patience_ms; at_ms < NOW + 10 * patience_ms;
		 at_ms += ROOM_MS + patience_ms)
	{
		assert_int_equal(fact(FHA_STUCK, at_ms - 1), 0);
		assert_int_equal(fact(FHA_STUCK, at_ms), FHA_STUCK);
		assert_int_equal(fact(FHA_STUCK, at_ms + ROOM_MS - 1), FHA_STUCK);
		assert_int_equal(fact(FHA_STUCK, at_ms + ROOM_MS), 0);
	}
	/* A failover has its room from the moment in which it was seen ... */
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	world.cluster.request.state = FHA_REQUEST_PENDING;
	SET_TEXT(world.cluster.request.target, "n3");
	world.request_seen_at_ms = NOW + DURATION_MS;
	assert_int_equal(fact(FHA_STUCK, NOW + DURATION_MS), FHA_STUCK);
	assert_int_equal(fact(FHA_STUCK, NOW + DURATION_MS + ROOM_MS - 1), FHA_STUCK);
	assert_int_equal(fact(FHA_STUCK, NOW + DURATION_MS + ROOM_MS), 0);
	/* ... or in which this member became the holder. */
	world.request_seen_at_ms = NOW - patience_ms;
	assert_int_equal(fact(FHA_STUCK, NOW + ROOM_MS - 1), FHA_STUCK);
	assert_int_equal(fact(FHA_STUCK, NOW + ROOM_MS), 0);
}

/* S9: a failover is in vain when the others have had their room, and not before. */
static void
a_failover_is_in_vain_when_the_others_had_their_room(void **state)
{
	(void) state;
	elect();
	SET_TEXT(world.cluster.holder, "n2");
	SET_TEXT(world.cluster.incarnation, "2222222222222222");
	world.led_at_ms = world.request_seen_at_ms = NOW;
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	world.cluster.request.state = FHA_REQUEST_PENDING;
	SET_TEXT(world.cluster.request.target, "n3");
	for (FhaPgState pg = FHA_PG_DOWN; pg <= FHA_PG_PRIMARY; pg++)
	{
		bool comes_to_lead = pg == FHA_PG_BUSY || pg == FHA_PG_STANDBY;

		world.pg.state = pg;
		assert_false(fha_failover_is_in_vain(&world, NOW + ROOM_MS - 1));
		assert_int_equal(fha_failover_is_in_vain(&world, NOW + ROOM_MS), comes_to_lead);
	}
	/* A node that is being stopped releases the lease for it. */
	world.pg.state = FHA_PG_BUSY;
	world.pg.stopping = true;
	assert_false(fha_failover_is_in_vain(&world, NOW + ROOM_MS));
	world.pg.stopping = false;
	/* This member is whom it names, or it was answered, or another holds the lease. */
	SET_TEXT(world.cluster.request.target, "n2");
	assert_false(fha_failover_is_in_vain(&world, NOW + ROOM_MS));
	SET_TEXT(world.cluster.request.target, "n3");
	world.cluster.request.state = FHA_REQUEST_RUNNING;
	assert_false(fha_failover_is_in_vain(&world, NOW + ROOM_MS));
	world.cluster.request.state = FHA_REQUEST_PENDING;
	SET_TEXT(world.cluster.holder, "n1");
	assert_false(fha_failover_is_in_vain(&world, NOW + ROOM_MS));
}

static void
an_explicit_failover_s_target_goes_first(void **state)
{
	(void) state;
	elect();
	world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	SET_TEXT(world.cluster.request.target, "n2");
	publish(TIMELINE, LSN + 1);
	for (int64_t ms = 0; ms < RELEASE_MS; ms++)
		assert_int_equal(fact(FHA_TURN, NOW + ms), FHA_TURN);
	SET_TEXT(world.cluster.request.target, "n3");
	for (int64_t ms = 0; ms < RELEASE_MS; ms++)
		assert_int_equal(fact(FHA_TURN, NOW + ms), 0);
	/* Without a target it is an election. */
	world.cluster.request.target[0] = '\0';
	TURN_FROM(2 * ELECTION_MS);
}

static void
the_successor_is_the_listed_standby_that_has_most(void **state)
{
	(void) state;
	settle();
	SET_TEXT(world.self.member, "n1");
	world.member_count = 3;
	set_member(&world.members[0], "n2", FHA_ROLE_STANDBY, "h2:5432");
	set_member(&world.members[2], "n4", FHA_ROLE_STANDBY, "h4:5432");
	assert_int_equal(fha_successor_find(&world, ""), -1);
	world.pg.standby_count = 3;
	SET_TEXT(world.pg.standbys[0].member, "n2");
	world.pg.standbys[0].lsn = LSN;
	SET_TEXT(world.pg.standbys[1].member, "n3");
	world.pg.standbys[1].lsn = LSN + 1;
	SET_TEXT(world.pg.standbys[2].member, "n4"); /* not on the list */
	world.pg.standbys[2].lsn = LSN + 2;
	assert_int_equal(fha_successor_find(&world, ""), 1);
	assert_int_equal(fha_successor_find(&world, "n2"), 0);
	assert_int_equal(fha_successor_find(&world, "n4"), -1);
	assert_int_equal(fha_successor_find(&world, "n9"), -1);
	world.pg.standbys[0].lsn = LSN + 5;
	assert_int_equal(fha_successor_find(&world, ""), 0);
	/* Never ourselves. */
	SET_TEXT(world.self.member, "n2");
	assert_int_equal(fha_successor_find(&world, "n2"), -1);
	assert_int_equal(fha_successor_find(&world, ""), 1);
}

static uint32_t seed;

static uint32_t
below(uint32_t limit)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % limit;
}

static bool
coin(void)
{
	return below(2) == 0;
}

static void
random_name(char *out)
{
	static const char *const names[] = {"n1", "n2", "n3", ""};

	set_text(out, FHA_NAME_SIZE, names[below(4)]);
}

static FhaPosition
random_position(void)
{
	return (FhaPosition){below(4) + 3, below(40)};
}

/* Anything that matters to time, with every wait short enough to be stepped through. */
static void
make_random_world(void)
{
	FhaCluster *cluster = &world.cluster;

	settle();
	world.pg.state = (FhaPgState) below(4);
	world.pg.position = random_position();
	world.pg.empty = below(8) == 0;
	world.self.liveness_held = coin();
	world.self.lease_duration_ms = below(60);
	world.self.election_wait_ms = below(40);
	world.self.release_wait_ms = below(40);
	world.self.max_lag_bytes = below(20);
	memset(&world.watch, 0, sizeof(world.watch));
	if (below(8) != 0)
		fha_watch_saw(&world.watch, below(4) == 0 ? "" : "v1", "s1", below(60), NOW - below(60));
	world.tenure.write_ends_at_ms = coin() ? NOW + below(60) - 20 : 0;
	world.found_free_at_ms = coin() ? NOW - below(60) : 0;
	random_name(cluster->holder);
	if (below(4) == 0)
		SET_TEXT(cluster->holder, "n2");
	if (coin())
		SET_TEXT(cluster->incarnation, "2222222222222222");
	if (coin())
		SET_TEXT(cluster->boot_id, "b002");
	if (coin())
		SET_TEXT(cluster->liveness, "fe01:2a");
	world.led_at_ms = coin() ? NOW - below(600) : 0;
	world.request_seen_at_ms = coin() ? NOW - below(600) : 0;
	cluster->released = coin();
	cluster->release = random_position();
	random_name(cluster->release_to);
	cluster->position = random_position();
	cluster->standby_count = below(2);
	cluster->member_count = below(4);
	cluster->paused = coin();
	cluster->request.kind = (FhaRequestKind) below(3);
	cluster->request.state = (FhaRequestState) below(4);
	random_name(cluster->request.target);
	world.member_count = below(3);
	for (size_t i = 0; i < 2; i++)
	{
		random_name(world.members[i].member);
		world.members[i].position = random_position();
		SET_TEXT(world.members[i].candidate_for, coin() ? "v1" : "v0");
	}
}

static void
fail_with_world(FhaFacts before, FhaFacts after, int run, int64_t begins_at_ms, int64_t at_ms)
{
	char text[512];
	char then[512];

	fha_facts_print(before, text, sizeof(text));
	fha_facts_print(after, then, sizeof(then));
	fail_msg("run %d (seed 1): asked at %+lld, changed at %+lld, again said %+lld\n  %s\n  %s\n"
			 "  since %+lld, duration %lld/%lld, write_until %+lld, free %+lld, election %lld, "
			 "release %lld",
			 run, (long long) (begins_at_ms - NOW), (long long) (at_ms - NOW),
			 (long long) (fha_observe_again_at_ms(&world, begins_at_ms) - NOW), text, then,
			 (long long) (world.watch.last_sign_at_ms - NOW),
			 (long long) world.self.lease_duration_ms, (long long) world.watch.recorded_duration_ms,
			 (long long) (world.tenure.write_ends_at_ms - NOW),
			 (long long) (world.found_free_at_ms - NOW), (long long) world.self.election_wait_ms,
			 (long long) world.self.release_wait_ms);
}

/*
 * A node sleeps until fha_observe_again_at_ms: a fact that changed before would be seen too late.
 * Each world is stepped through ms by ms, from wake to wake, longer than any of its waits.
 */
static void
no_fact_changes_before_the_promised_moment(void **state)
{
	static const FhaFacts timed[] = {FHA_ABSENT, FHA_BLANK, FHA_FREE, FHA_SAFE,
									 FHA_FIT,    FHA_TURN,  FHA_STUCK};
	size_t seen[sizeof(timed) / sizeof(timed[0])] = {0};

	(void) state;
	seed = 1;
	for (int run = 0; run < 20000; run++)
	{
		int64_t asked_at_ms = NOW;
		int64_t again_at_ms;
		FhaFacts facts;

		make_random_world();
		again_at_ms = fha_observe_again_at_ms(&world, NOW);
		facts = fha_observe(&world, NOW);
		for (int64_t now_ms = NOW; now_ms <= NOW + 250; now_ms++)
		{
			FhaFacts now = fha_observe(&world, now_ms);

			assert_true(again_at_ms > asked_at_ms);
			if (now != facts && now_ms < again_at_ms)
				fail_with_world(facts, now, run, asked_at_ms, now_ms);
			if (now_ms < again_at_ms)
				continue;
			for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
				if (((now ^ facts) & timed[i]) != 0)
					seen[i]++;
			/* The node wakes, and notes since when the lease is free, as node.c does. */
			if (!fha_lease_is_free(&world, now_ms))
				world.found_free_at_ms = 0;
			else if (world.found_free_at_ms == 0)
				world.found_free_at_ms = now_ms;
			asked_at_ms = now_ms;
			facts = fha_observe(&world, now_ms);
			again_at_ms = fha_observe_again_at_ms(&world, now_ms);
		}
	}
	/* The worlds were not too tame to show anything. */
	for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
		if (seen[i] < 100)
			fail_msg("fact %zu changed only %zu times", i, seen[i]);
}

#define ID "00000000000f00d1"

/* n1 leads, we are n2; a restart of all is under way. */
static void
make_request(FhaRequestKind kind, const char *target)
{
	settle();
	world.cluster.request.kind = kind;
	world.cluster.request.state = FHA_REQUEST_RUNNING;
	SET_TEXT(world.cluster.request.id, ID);
	SET_TEXT(world.cluster.request.target, target);
	world.member_count = 3;
	set_member(&world.members[2], "n2", FHA_ROLE_STANDBY, "h2:5432");
	world.cluster.standby_count = 2;
	SET_TEXT(world.cluster.standbys[1].member, "n3");
	for (size_t i = 0; i < 3; i++)
		world.members[i].supervised = true;
}

static void
become(const char *name)
{
	SET_TEXT(world.self.member, name);
	if (strcmp(name, "n1") == 0)
	{
		SET_TEXT(world.self.incarnation, "1111111111111111");
		world.pg.state = FHA_PG_PRIMARY;
	}
}

static void
a_restart_goes_from_one_to_the_next(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_RESTART, "");
	assert_int_equal(fact(FHA_RESTART | FHA_REQUESTED, NOW), FHA_RESTART | FHA_REQUESTED);
	world.cluster.request.state = FHA_REQUEST_PENDING;
	assert_int_equal(fact(FHA_RESTART | FHA_REQUESTED, NOW), 0);
	make_request(FHA_REQUEST_RESTART, "");
	SET_TEXT(world.pg.started_for, ID);
	assert_int_equal(fact(FHA_RESTART, NOW), 0);

	/* n3 waits for n2, which must have restarted and stream again. */
	make_request(FHA_REQUEST_RESTART, "");
	become("n3");
	assert_int_equal(fact(FHA_RESTART | FHA_REQUESTED, NOW), FHA_REQUESTED);
	SET_TEXT(world.members[2].carried_out, ID);
	assert_int_equal(fact(FHA_RESTART, NOW), FHA_RESTART);
	world.cluster.standby_count = 0;
	assert_int_equal(fact(FHA_RESTART, NOW), 0);

	/* The primary waits for both, and for its checkpoint. */
	make_request(FHA_REQUEST_RESTART, "");
	become("n1");
	assert_false(fha_stop_is_near(&world));
	SET_TEXT(world.members[1].carried_out, ID);
	SET_TEXT(world.members[2].carried_out, ID);
	assert_true(fha_stop_is_near(&world));
	assert_int_equal(fact(FHA_RESTART, NOW), 0);
	world.pg.prepared = true;
	assert_int_equal(fact(FHA_RESTART, NOW), FHA_RESTART);
	/* Nobody waits for a member whose restart nobody could request. */
	world.members[1].carried_out[0] = '\0';
	assert_int_equal(fact(FHA_RESTART, NOW), 0);
	world.members[1].supervised = false;
	assert_int_equal(fact(FHA_RESTART, NOW), FHA_RESTART);
}

static void
lowered_limits_begin_with_the_primary(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_RESTART, "");
	world.cluster.request.primary_first = true;
	assert_int_equal(fact(FHA_RESTART, NOW), 0);
	SET_TEXT(world.members[0].carried_out, ID);
	world.pg.replayed = LSN - 1; /* not yet what the primary had after its restart */
	assert_int_equal(fact(FHA_RESTART, NOW), 0);
	/* Its own restart is what lets it replay. */
	world.pg.too_small = true;
	assert_int_equal(fact(FHA_RESTART, NOW), FHA_RESTART);
	world.pg.too_small = false;
	world.pg.replayed = LSN;
	assert_int_equal(fact(FHA_RESTART, NOW), FHA_RESTART);
	make_request(FHA_REQUEST_RESTART, "");
	world.cluster.request.primary_first = true;
	become("n1");
	world.pg.prepared = true;
	assert_int_equal(fact(FHA_RESTART, NOW), FHA_RESTART);
}

static void
what_names_a_member_concerns_nobody_else(void **state)
{
	(void) state;
	make_request(FHA_REQUEST_RESTART, "n3");
	assert_int_equal(fact(FHA_RESTART | FHA_REQUESTED, NOW), 0);
	make_request(FHA_REQUEST_RESTART, "n2");
	assert_int_equal(fact(FHA_RESTART | FHA_REQUESTED, NOW), FHA_RESTART | FHA_REQUESTED);
	make_request(FHA_REQUEST_REINIT, "n3");
	assert_int_equal(fact(FHA_REINIT | FHA_REQUESTED, NOW), 0);
	make_request(FHA_REQUEST_REINIT, "n2");
	assert_int_equal(fact(FHA_REINIT | FHA_REQUESTED, NOW), FHA_REINIT | FHA_REQUESTED);
	SET_TEXT(world.self.cloned_for, ID);
	assert_int_equal(fact(FHA_REINIT | FHA_REQUESTED, NOW), FHA_REQUESTED);
	make_request(FHA_REQUEST_REJOIN, "n2");
	assert_int_equal(fact(FHA_RESTART | FHA_REINIT | FHA_REQUESTED, NOW), FHA_REQUESTED);
	/* A holder is never made a copy of another. */
	make_request(FHA_REQUEST_REINIT, "n1");
	become("n1");
	assert_int_equal(fact(FHA_REINIT, NOW), 0);
	/* None of them moves the lease. */
	make_request(FHA_REQUEST_RESTART, "");
	become("n1");
	assert_int_equal(fact(FHA_HANDOVER, NOW), 0);
}

static void
stranded_when_the_leader_has_not_the_wal(void **state)
{
	(void) state;
	settle();
	world.members[0].oldest_wal = LSN + 1;
	assert_int_equal(fact(FHA_STRANDED, NOW), 0); /* what a running standby has is not all known */
	world.pg.stalled = true;
	assert_int_equal(fact(FHA_STRANDED, NOW), FHA_STRANDED);
	world.pg.stalled = false;
	world.pg.state = FHA_PG_DOWN;
	assert_int_equal(fact(FHA_STRANDED, NOW), FHA_STRANDED);
	world.members[0].oldest_wal = LSN;
	assert_int_equal(fact(FHA_STRANDED, NOW), 0);
	world.pg.lacking = LSN;
	assert_int_equal(fact(FHA_STRANDED, NOW), 0);
	world.pg.lacking = LSN - 1;
	assert_int_equal(fact(FHA_STRANDED, NOW), FHA_STRANDED);
	world.pg.lacking = 0;
	world.members[0].oldest_wal = 0;
	assert_int_equal(fact(FHA_STRANDED, NOW), 0);
	world.members[0].oldest_wal = LSN + 1;
	world.pg.position.timeline = 0;
	assert_int_equal(fact(FHA_STRANDED, NOW), 0);
}

/* In status, in metrics and for member_timeout alike: three records that did not come. */
static void
silent_is_more_than_six_leases(void **state)
{
	(void) state;
	assert_int_equal(fha_silent_after_ms(3000), 18000);
	assert_false(fha_is_silent(18000, 3000));
	assert_true(fha_is_silent(18001, 3000));
	/* Not known. */
	assert_false(fha_is_silent(-1000, 3000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(postgres_is_in_one_state),
		cmocka_unit_test(data_is_at_most_one_of_four),
		cmocka_unit_test(s7_an_empty_directory_is_never_fit),
		cmocka_unit_test(what_cannot_be_promoted_is_never_fit),
		cmocka_unit_test(s7_an_older_copy_is_not_the_holder_s_data),
		cmocka_unit_test(s7_another_cluster_s_data_is_foreign),
		cmocka_unit_test(s7_a_lower_term_is_stale),
		cmocka_unit_test(s7_members_know_terms),
		cmocka_unit_test(s7_lineage_holds_up_to_each_end),
		cmocka_unit_test(s7_a_timeline_of_another_origin_is_not_the_leader_s),
		cmocka_unit_test(s7_an_unpublished_tip_leaves_the_newest_step_open),
		cmocka_unit_test(the_holder_s_own_data_is_not_diverged),
		cmocka_unit_test(s7_lineage_is_our_timeline_being_the_reserved_one),
		cmocka_unit_test(s7_a_timeline_of_another_identity_is_not_the_leader_s),
		cmocka_unit_test(s7_a_holder_on_another_timeline_of_its_number_is_beyond_it),
		cmocka_unit_test(without_a_record_little_is_known),
		cmocka_unit_test(s1_free_after_watching_it_unchanged),
		cmocka_unit_test(s1_a_sign_is_what_the_holder_changes),
		cmocka_unit_test(s1_a_failover_request_does_not_free_the_lease),
		cmocka_unit_test(s1_safe_before_write_until),
		cmocka_unit_test(s1b_incarnations),
		cmocka_unit_test(reclaim_needs_our_name_and_that_term_s_timeline),
		cmocka_unit_test(s1b_a_living_node_of_our_name_is_a_duplicate),
		cmocka_unit_test(s7_a_vanished_record_is_its_last_holder_s),
		cmocka_unit_test(a_leader_is_led_by_when_it_says_where),
		cmocka_unit_test(s10_a_promise_holds_back_who_gave_it),
		cmocka_unit_test(s10_a_promise_outlasts_an_older_release),
		cmocka_unit_test(s10_only_the_holder_s_own_word_is_needed),
		cmocka_unit_test(s1_a_release_that_was_taken_back_is_waited_out),
		cmocka_unit_test(s10_the_list_names_data),
		cmocka_unit_test(lists_pauses_and_founding),
		cmocka_unit_test(handover_and_successor_are_the_holder_s),
		cmocka_unit_test(s5_positions_are_compared_by_timeline_first),
		cmocka_unit_test(fit_up_to_the_lag_limit),
		cmocka_unit_test(fit_after_a_release_means_to_have_its_position),
		cmocka_unit_test(s10_a_release_is_no_less_than_what_was_told),
		cmocka_unit_test(nothing_known_is_never_nothing_needed),
		cmocka_unit_test(a_clean_stop_waits_for_who_has_its_end),
		cmocka_unit_test(an_end_is_missing_when_no_standby_has_it),
		cmocka_unit_test(s10_an_operator_may_name_a_member_with_other_data),
		cmocka_unit_test(an_explicit_failover_lifts_lag_and_pause),
		cmocka_unit_test(no_turn_while_it_is_not_free),
		cmocka_unit_test(the_best_goes_at_once_when_all_have_published),
		cmocka_unit_test(who_has_not_published_is_waited_for),
		cmocka_unit_test(a_better_one_has_twice_the_time),
		cmocka_unit_test(the_release_s_target_goes_first),
		cmocka_unit_test(the_releaser_waits),
		cmocka_unit_test(a_holder_that_does_not_lead_is_stuck),
		cmocka_unit_test(a_holder_that_nobody_follows_tries_again),
		cmocka_unit_test(a_failover_is_in_vain_when_the_others_had_their_room),
		cmocka_unit_test(an_explicit_failover_s_target_goes_first),
		cmocka_unit_test(the_successor_is_the_listed_standby_that_has_most),
		cmocka_unit_test(no_fact_changes_before_the_promised_moment),
		cmocka_unit_test(a_restart_goes_from_one_to_the_next),
		cmocka_unit_test(lowered_limits_begin_with_the_primary),
		cmocka_unit_test(what_names_a_member_concerns_nobody_else),
		cmocka_unit_test(stranded_when_the_leader_has_not_the_wal),
		cmocka_unit_test(silent_is_more_than_six_leases),
	};

	return cmocka_run_group_tests_name("observe", tests, NULL, NULL);
}
