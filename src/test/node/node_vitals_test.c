/*
 * node_vitals_test.c: what the node loop counts and says for who measures.
 */
#include "test/node/players.h"

static int
set_up_listeners(void **state)
{
	players_listen = true;
	return set_up(state);
}

static FhaVitals
vitals_of(const Player *player)
{
	FhaVitals vitals;

	fha_node_vitals(player->node, &vitals);
	return vitals;
}

static uint64_t
takeovers_of(const Player *player)
{
	FhaVitals vitals = vitals_of(player);
	uint64_t count = 0;

	for (size_t i = 0; i < FHA_TAKEOVER_COUNT; i++)
		count += vitals.takeovers[i];
	return count;
}

static Player *
another_than(const Player *leader)
{
	return leader == &players[0] ? &players[1] : &players[0];
}

/* All have flushed what the leader has. */
static void
all_catch_up(void)
{
	const Player *from = leader();

	for (int i = 0; i < NODES; i++)
		players[i].view.position.lsn = from->view.position.lsn;
}

/* Its PostgreSQL is killed: the supervisor's loop sees it down. */
static void
kill_postgres(Player *player)
{
	player->view.state = FHA_PG_DOWN;
	player->view.required = player->view.position;
	player->action.write_ends_at_ms = 0;
}

static void
make_request(Player *player, FhaRequestKind kind, const Player *target)
{
	FhaRequest request = {.kind = kind, .id = "0123456789abcdef", .requested_by = "test"};
	FhaError err;

	if (target != NULL)
		(void) snprintf(request.target, sizeof(request.target), "%s", target->config.member_name);
	assert_int_equal(fha_node_request(player->node, &request, &err), FHA_OK);
}

static void
a_holder_counts_its_renewals(void **state)
{
	Player *holder;
	FhaVitals before;
	FhaVitals after;
	uint64_t in_buckets = 0;

	(void) state;
	start_cluster();
	holder = leader();
	before = vitals_of(holder);
	TURN_UNTIL(vitals_of(holder).renewals[FHA_RENEWAL_CONFIRMED] >=
			   before.renewals[FHA_RENEWAL_CONFIRMED] + 3);
	after = vitals_of(holder);
	assert_int_equal(after.renewal_count, after.renewals[FHA_RENEWAL_CONFIRMED]);
	for (size_t i = 0; i < FHA_RENEWAL_BUCKETS; i++)
		in_buckets += after.renewal_buckets[i];
	assert_int_equal(in_buckets, after.renewal_count);
	assert_true(after.renewed_at_ms > before.renewed_at_ms);
	assert_true(after.renewed_at_ms <= after.at_ms);
	assert_true(after.known && after.mine && !after.released && !after.promised);
	assert_int_equal(after.lease_ms, LEASE_MS);
	assert_int_equal(after.renew_deadline_ms, DEADLINE_MS);
	assert_int_equal(after.takeovers[FHA_TAKEOVER_BOOTSTRAP], 1);
	assert_int_equal(takeovers_of(holder), 1);
	assert_string_equal(after.decision, "hold");
	assert_string_equal(after.because, "this member leads");
	assert_true(after.decided_at_ms > 0 && after.decided_at_ms <= after.at_ms);
	assert_int_equal(after.streaming, NODES - 1);
}

static void
a_standby_sees_the_lease_and_counts_nothing(void **state)
{
	Player *standby;
	FhaVitals vitals;
	int64_t seen_at_ms;

	(void) state;
	start_cluster();
	standby = another_than(leader());
	seen_at_ms = vitals_of(standby).renewed_at_ms;
	TURN_UNTIL(vitals_of(standby).renewed_at_ms > seen_at_ms);
	TURN_UNTIL(vitals_of(standby).members[FHA_ROLE_STANDBY] == NODES - 1 &&
			   vitals_of(standby).members[FHA_ROLE_PRIMARY] == 1);
	vitals = vitals_of(standby);
	assert_true(vitals.known && !vitals.mine);
	assert_int_equal(vitals.members[FHA_ROLE_DOWN], 0);
	assert_int_equal(vitals.without_data, 0);
	assert_int_equal(vitals.term, 1);
	assert_int_equal(vitals.postgres, FHA_PG_STANDBY);
	assert_int_equal(takeovers_of(standby), 0);
	for (size_t i = 0; i < FHA_RENEWAL_COUNT; i++)
		assert_int_equal(vitals.renewals[i], 0);
}

static void
who_has_no_data_is_counted(void **state)
{
	Player *cloned = &players[NODES - 1];

	(void) state;
	start_cluster();
	if (cloned == leader())
		cloned = another_than(cloned);
	kill_postgres(cloned);
	cloned->view.empty = true;
	cloned->copying = true;
	TURN_UNTIL(vitals_of(cloned).without_data == 1);
	cloned->copying = false;
	TURN_UNTIL(all_settled() && vitals_of(leader()).without_data == 0);
}

/* It leads if it must, takes its restore_command away for that, and serves nobody meanwhile. */
static void
a_cold_standby_leads_and_serves_nobody(void **state)
{
	Player *old;
	Player *next;

	(void) state;
	start_cluster();
	old = leader();
	all_catch_up();
	for (int i = 0; i < NODES; i++)
		if (&players[i] != old)
			players[i].view.cold = true;
	next = another_than(old);
	TURN_UNTIL(vitals_of(next).postgres == FHA_PG_BUSY);
	assert_false(next->action.leads_soon);
	old->absent = true;
	TURN_UNTIL(next->action.leads_soon || another_than(next)->action.leads_soon);
	TURN_UNTIL(leader() != NULL && leader() != old);
	assert_false(leader()->action.leads_soon);
}

/* Its record still says that it is a standby. */
static bool
is_heard_by(const Player *who, const Player *whom)
{
	static FhaSnapshot snapshot;

	assert_int_equal(fha_node_snapshot(who->node, &snapshot, NULL), FHA_OK);
	for (size_t i = 0; i < snapshot.heard_count; i++)
		if (strcmp(snapshot.heard[i].member, whom->node->config.member_name) == 0)
			return true;
	return false;
}

static void
who_writes_no_record_is_silent(void **state)
{
	Player *holder;
	Player *dead;

	(void) state;
	start_cluster();
	holder = leader();
	dead = another_than(holder);
	assert_int_equal(vitals_of(holder).silent, 0);
	/* A record that another one replaced is of somebody who lives: since when is told as well. */
	TURN_UNTIL(is_heard_by(holder, dead));
	assert_false(is_heard_by(holder, holder));
	dead->absent = true;
	TURN_UNTIL(vitals_of(holder).silent == 1);
	assert_int_equal(vitals_of(holder).members[FHA_ROLE_STANDBY], NODES - 1);
	for (int i = 0; i < NODES; i++)
		if (!players[i].absent)
			TURN_UNTIL(vitals_of(&players[i]).silent == 1);
	dead->absent = false;
	TURN_UNTIL(all_settled() && vitals_of(holder).silent == 0);
}

/* Nobody renews, so the lock has nothing to tell: it answers all the same. */
static void
a_dead_leader_is_silent_while_nobody_leads(void **state)
{
	Player *holder;

	(void) state;
	start_cluster();
	holder = leader();
	make_request(holder, FHA_REQUEST_PAUSE, NULL);
	TURN_UNTIL(vitals_of(another_than(holder)).paused);
	holder->absent = true;
	for (int i = 0; i < NODES; i++)
		if (!players[i].absent)
			TURN_UNTIL(vitals_of(&players[i]).silent == 1);
}

static void
a_take_is_counted_by_why_it_was_free(void **state)
{
	Player *old;
	Player *next;

	(void) state;
	start_cluster();
	old = leader();
	old->absent = true;
	TURN_UNTIL(leader() != NULL && leader() != old);
	next = leader();
	assert_int_equal(vitals_of(next).takeovers[FHA_TAKEOVER_LAPSED], 1);
	old->absent = false;
	TURN_UNTIL(all_settled());
	assert_int_equal(takeovers_of(old), 1);

	old = next;
	all_catch_up();
	kill_postgres(old);
	(void) snprintf(old->view.ended, sizeof(old->view.ended), "PostgreSQL was killed");
	TURN_UNTIL(leader() != NULL && leader() != old);
	next = leader();
	/* Why is in the history, and since when. */
	TURN_UNTIL(next->node->history.text != NULL &&
			   strstr(next->node->history.text, " s before: PostgreSQL was killed") != NULL);
	assert_non_null(strstr(next->node->history.text, "the lease had lapsed: renewed last "));
	assert_int_equal(vitals_of(next).takeovers[FHA_TAKEOVER_RELEASED], 1);
	TURN_UNTIL(all_settled());

	old = next;
	all_catch_up();
	next = another_than(old);
	make_request(next, FHA_REQUEST_SWITCHOVER, next);
	TURN_UNTIL(leader() == next);
	assert_int_equal(vitals_of(next).takeovers[FHA_TAKEOVER_SWITCHOVER], 1);
	assert_int_equal(vitals_of(next).term, 4);
}

/* Nobody else has what it acknowledged: it is given away, and taken back in the same term. */
static void
a_reclaim_is_no_failover(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	old->view.position.lsn += 500;
	kill_postgres(old);
	TURN_UNTIL(leader() != NULL);
	assert_ptr_equal(leader(), old);
	assert_int_equal(vitals_of(old).takeovers[FHA_TAKEOVER_RECLAIM], 1);
	assert_int_equal(vitals_of(old).takeovers[FHA_TAKEOVER_RELEASED], 0);
}

/* The lag limit holds the only candidate back, until somebody asks for it. */
static void
a_requested_failover_is_counted_as_one(void **state)
{
	Player *old;
	Player *next;

	(void) state;
	start_cluster();
	old = leader();
	next = another_than(old);
	old->view.position.lsn += 5000;
	TURN_UNTIL(vitals_of(old).renewals[FHA_RENEWAL_CONFIRMED] > 0 &&
			   next->node->world.cluster.position.lsn == old->view.position.lsn);
	old->absent = true;
	TURN_UNTIL(strstr(next->action.because, "would lose more than allowed") != NULL);
	make_request(next, FHA_REQUEST_FAILOVER, next);
	TURN_UNTIL(leader() == next);
	assert_int_equal(vitals_of(next).takeovers[FHA_TAKEOVER_REQUESTED], 1);
	assert_int_equal(takeovers_of(next), 1);
}

/* S10: what an outage of the lock looks like, to the holder and to who promised. */
static void
an_outage_of_the_lock_shows(void **state)
{
	char here[80];
	char away[80];
	Player *holder;
	Player *standby;
	uint64_t confirmed;
	int64_t bound_at_ms;

	(void) state;
	start_cluster();
	holder = leader();
	standby = another_than(holder);
	(void) snprintf(here, sizeof(here), "%s/lock", root);
	(void) snprintf(away, sizeof(away), "%s/away", root);
	/* On a busy machine it may have promised before. */
	bound_at_ms = vitals_of(standby).bound_ends_at_ms;
	assert_int_equal(rename(here, away), 0);
	TURN_UNTIL(vitals_of(holder).promised);
	confirmed = vitals_of(holder).renewals[FHA_RENEWAL_CONFIRMED];
	assert_true(vitals_of(holder).lock_errors > 0);
	assert_true(vitals_of(holder).renewals[FHA_RENEWAL_FAILED] +
					vitals_of(holder).renewals[FHA_RENEWAL_UNKNOWN] >
				0);
	assert_true(vitals_of(standby).bound_ends_at_ms > bound_at_ms);
	assert_false(vitals_of(standby).promised);
	assert_int_equal(rename(away, here), 0);
	TURN_UNTIL(!vitals_of(holder).promised &&
			   vitals_of(holder).renewals[FHA_RENEWAL_CONFIRMED] > confirmed);
	assert_int_equal(takeovers_of(holder), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_holder_counts_its_renewals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_standby_sees_the_lease_and_counts_nothing, set_up,
										tear_down),
		cmocka_unit_test_setup_teardown(who_has_no_data_is_counted, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cold_standby_leads_and_serves_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_writes_no_record_is_silent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dead_leader_is_silent_while_nobody_leads, set_up,
										tear_down),
		cmocka_unit_test_setup_teardown(a_take_is_counted_by_why_it_was_free, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reclaim_is_no_failover, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_requested_failover_is_counted_as_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_outage_of_the_lock_shows, set_up_listeners, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
