/*
 * node_test.c: the node loop without PostgreSQL.  What is asserted is order and outcome, never a
 * duration from above.
 */
#include "test/node/players.h"

#include "config/state_directory.h"
#include "record/record.h"

static void
one_founds_and_the_others_clone(void **state)
{
	int64_t began_at_ms = fha_now_ms();

	(void) state;
	start_cluster();
	/* S1: an absent record is watched as long as a stale one. */
	assert_true(leader()->opened_at_ms - began_at_ms >= LEASE_MS);
	assert_int_equal(leader()->node->world.cluster.term, 1);
}

static void
a_silent_leader_is_replaced_after_its_lease(void **state)
{
	Player *old;
	int64_t ends_at_ms;

	(void) state;
	start_cluster();
	old = leader();
	ends_at_ms = old->action.write_ends_at_ms;
	old->absent = true;
	TURN_UNTIL(leader() != NULL && leader() != old);
	assert_true(leader()->opened_at_ms >= ends_at_ms);
	assert_int_equal(leader()->node->world.cluster.term, 2);
	assert_int_equal(leader()->view.position.timeline, 2);
	/* It wakes up: its fence is shut, it stops, and comes back as a standby. */
	old->absent = false;
	TURN_UNTIL(all_settled());
	assert_int_equal(old->stops, 1);
	for (int i = 0; i < NODES; i++)
	{
		FhaState saved;
		FhaError err;

		assert_int_equal(fha_state_load(&players[i].config, &saved, &err), FHA_OK);
		assert_int_equal(saved.highest_term, 2);
	}
}

/* Whoever writes into the record is not its holder. */
static void
s1_requests_without_end_keep_no_dead_holder_alive(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_SET, .setting = {.name = "work_mem", .value = "1MB"}};
	int64_t next_at_ms = 0;
	int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;
	Player *old;
	Player *asked;
	Player *next;
	FhaError err;

	(void) state;
	start_cluster();
	old = leader();
	asked = old == &players[0] ? &players[1] : &players[0];
	old->absent = true;
	while ((next = leader()) == NULL || next == old)
	{
		assert_true(fha_now_ms() < give_up_at_ms);
		if (fha_now_ms() >= next_at_ms && !asked->node->request_waits)
		{
			next_at_ms = fha_now_ms() + LEASE_MS / 3;
			assert_int_equal(fha_random_hex(request.id, sizeof(request.id), &err), FHA_OK);
			assert_int_equal(fha_node_request(asked->node, &request, &err), FHA_OK);
		}
		turn();
	}
	assert_true(next->opened_at_ms >= old->action.write_ends_at_ms);
}

/* What was seen before a sleep, or before a restore of the lock, is no reason to take what a holder renews. */
static void
s1_a_lapsed_lease_is_looked_at_before_it_is_taken(void **state)
{
	Player *old;
	int takes = 0;

	(void) state;
	start_cluster();
	old = leader();
	old->absent = true;
	/* They come to take it long after their last look. */
	for (int i = 0; i < NODES; i++)
		players[i].node->world.bound_ends_at_ms = fha_now_ms() + LEASE_MS + 4 * RETRY_MS;
	while (leader() == NULL || leader() == old)
	{
		turn();
		for (int i = 0; i < NODES; i++)
		{
			const FhaNode *node = players[i].node;

			if (players[i].absent || node->pending != PENDING_TAKE)
				continue;
			takes++;
			assert_true(node->write.sent_at_ms < node->read_at_ms + RETRY_MS);
		}
	}
	assert_true(takes > 0);
}

static void
a_released_lease_goes_to_the_best(void **state)
{
	Player *old;
	Player *best = NULL;

	(void) state;
	start_cluster();
	old = leader();
	for (int i = NODES - 1; i >= 0; i--)
		if (&players[i] != old)
			best = &players[i];
	best->view.position.lsn += 50;
	old->view.position.lsn += 50;
	TURN_UNTIL(old->node->world.cluster.position.lsn == old->view.position.lsn);
	/* Its PostgreSQL is killed: the supervisor's loop sees it down. */
	old->view.state = FHA_PG_DOWN;
	old->view.required = old->view.position;
	old->action.write_ends_at_ms = 0;
	TURN_UNTIL(leader() != NULL);
	assert_ptr_equal(leader(), best);
	TURN_UNTIL(all_settled());
}

static void
what_nobody_has_stays_with_who_has_it(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	/* Acknowledged here, flushed nowhere else: no standby may lead (in time), so it starts again. */
	old->view.position.lsn += 500;
	old->view.state = FHA_PG_DOWN;
	old->view.required = old->view.position;
	old->action.write_ends_at_ms = 0;
	TURN_UNTIL(leader() != NULL);
	assert_ptr_equal(leader(), old);
	assert_int_equal(old->node->world.cluster.term, 1);
}

/* Its PostgreSQL is told to stop, and ends with this WAL, as told: `clean`, or not; until it has released. */
static void
release_at(Player *player, bool clean, uint64_t lsn)
{
	player->view.stopping = true;
	turn();
	player->view.state = FHA_PG_DOWN;
	player->view.standby_count = 0;
	player->view.clean = clean;
	player->view.position.lsn = lsn;
	player->view.required = player->view.position;
	player->action.write_ends_at_ms = 0;
	fha_node_liveness_held(player->node, true);
	TURN_UNTIL(player->node->world.cluster.released);
}

static void
end_player(Player *player)
{
	/* A stopped node is told from a silent one by its last word. */
	TURN_UNTIL(player->action.told);
	assert_string_equal(player->node->published.rule, "stopped");
	assert_string_equal(player->node->published.state, fha_rule_find("stopped")->because);
	player->absent = true;
}

static void
stop_player(Player *player, bool clean)
{
	release_at(player, clean, player->view.position.lsn);
	end_player(player);
}

/* The next life of a stopped node. */
static void
start_player(Player *player)
{
	FhaError err;

	fha_node_close(player->node);
	assert_int_equal(fha_random_hex(player->incarnation, sizeof(player->incarnation), &err),
					 FHA_OK);
	player->view.stopping = false;
	player->absent = false;
	player_open(player, true);
}

static void
nobody_leads_for(int64_t ms)
{
	int64_t ends_at_ms = fha_now_ms() + ms;

	while (fha_now_ms() < ends_at_ms)
	{
		turn();
		assert_null(leader());
	}
}

/* However long it takes, until the member that has it is started. */
static void
what_a_clean_stop_has_is_waited_for(void **state)
{
	Player *old;
	Player *standby;

	(void) state;
	start_cluster();
	old = leader();
	standby = old == &players[0] ? &players[1] : &players[0];
	old->view.position.lsn += 50;
	stop_player(old, true);
	assert_true(old->node->world.cluster.release_final);
	nobody_leads_for(5 * old->config.release_wait_ms);
	assert_non_null(strstr(standby->action.because, "stopped cleanly"));
	start_player(old);
	TURN_UNTIL(leader() != NULL);
	assert_ptr_equal(leader(), old);
	assert_int_equal(old->node->world.cluster.term, 1);
	assert_false(old->node->world.cluster.release_final);
}

/* After a crash, as after failed starts, patience ends and the lag limit holds. */
static void
what_a_crash_left_is_waited_for_in_vain(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	old->view.position.lsn += 50;
	stop_player(old, false);
	assert_false(old->node->world.cluster.release_final);
	TURN_UNTIL(leader() != NULL && leader() != old);
}

static void
a_person_gives_up_what_a_clean_stop_has(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_FAILOVER, .id = "0123456789abcdef"};
	Player *old;
	Player *standby;
	const char *text;
	FhaError err;

	(void) state;
	start_cluster();
	old = leader();
	standby = old == &players[0] ? &players[1] : &players[0];
	old->view.position.lsn += 50;
	stop_player(old, true);
	assert_int_equal(fha_node_request(standby->node, &request, &err), FHA_OK);
	TURN_UNTIL(leader() != NULL);
	TURN_UNTIL((text = leader() == NULL ? NULL : leader()->node->history.text) != NULL &&
			   strstr(text, "had 50 bytes of WAL more at its release") != NULL);
	assert_false(leader()->node->world.cluster.release_final);
}

/* Far behind, and nobody streams: the role is taken away all the same, and the cost is in the history. */
static void
a_forced_failover_needs_nobody_that_streams(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_FAILOVER, .id = "0123456789abcdef"};
	Player *old;
	Player *standby;
	const char *text;
	FhaError err;

	(void) state;
	start_cluster();
	old = leader();
	standby = old == &players[0] ? &players[1] : &players[0];
	old->unreachable = true;
	TURN_UNTIL(old->node->world.cluster.standby_count == 0);
	old->view.position.lsn += 5000;
	TURN_UNTIL(old->node->world.cluster.position.lsn == old->view.position.lsn);
	assert_int_equal(fha_node_request(standby->node, &request, &err), FHA_OK);
	TURN_UNTIL(leader() != NULL && leader() != old);
	TURN_UNTIL((text = leader() == NULL ? NULL : leader()->node->history.text) != NULL &&
			   strstr(text, "had 5000 bytes of WAL more at its release") != NULL);
	TURN_UNTIL(leader()->node->world.cluster.request.state == FHA_REQUEST_DONE);
}

/* Nobody takes it up: it comes back to who gave it up, who has everything. */
static void
a_forced_failover_that_nobody_takes_up_comes_back(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_FAILOVER, .id = "0123456789abcdef"};
	Player *old;
	FhaError err;

	(void) state;
	start_cluster();
	old = leader();
	for (int i = 0; i < NODES; i++)
		players[i].absent = &players[i] != old;
	TURN_UNTIL(old->node->world.cluster.standby_count == 0);
	assert_int_equal(fha_node_request(old->node, &request, &err), FHA_OK);
	TURN_UNTIL(old->node->world.cluster.released);
	TURN_UNTIL(leader() == old);
	assert_int_equal(old->node->world.cluster.term, 1);
	TURN_UNTIL(old->node->world.cluster.request.state == FHA_REQUEST_FAILED);
}

/* Who takes the lease of a clean stop and never leads leaves it to nobody who has less. */
static void
the_end_of_a_clean_stop_outlives_who_took_it(void **state)
{
	Player *old;
	Player *taker = NULL;
	Player *third = NULL;

	(void) state;
	start_cluster();
	old = leader();
	for (int i = 0; i < NODES; i++)
		if (&players[i] != old && taker == NULL)
			taker = &players[i];
		else if (&players[i] != old)
			third = &players[i];
	old->view.position.lsn += 50;
	taker->view.position.lsn += 50;
	third->absent = true;
	stop_player(old, true);
	while (!fha_lease_is_mine(&taker->node->world))
	{
		/* Not turn(): it would be promoted in the same step. */
		step(taker);
		pass(TURN_MS);
	}
	taker->absent = true;
	third->absent = false;
	nobody_leads_for(3 * LEASE_MS);
	start_player(old);
	TURN_UNTIL(leader() != NULL);
	assert_ptr_equal(leader(), old);
	assert_int_equal(old->node->world.cluster.term, 3);
	assert_false(old->node->world.cluster.release_final);
}

/* The lease is taken back by whom it was released, whose server has not started yet. */
static void
take_back(Player *player)
{
	start_player(player);
	while (!fha_lease_is_mine(&player->node->world))
	{
		/* Not turn(): it would start in the same step. */
		step(player);
		pass(TURN_MS);
	}
}

/* S7: the same of a holder that takes it back in its term, and dies, or is stopped while it starts. */
static void
the_end_of_a_clean_stop_outlives_who_took_it_back(void **state)
{
	Player *old;
	FhaPosition end;

	(void) state;
	start_cluster();
	old = leader();
	old->view.position.lsn += 50;
	end = old->view.position;
	stop_player(old, true);
	take_back(old);
	old->absent = true;
	nobody_leads_for(3 * LEASE_MS + 5 * old->config.release_wait_ms);
	take_back(old);
	stop_player(old, false);
	assert_true(old->node->world.cluster.release_final);
	assert_int_equal(fha_position_compare(old->node->world.cluster.release, end), 0);
	nobody_leads_for(5 * old->config.release_wait_ms);
	start_player(old);
	/* Others are asked for no less until it has told that it leads again. */
	while (leader() == NULL)
	{
		turn();
		assert_false(is_open(old) && old->node->world.cluster.release_final);
	}
	assert_ptr_equal(leader(), old);
	assert_int_equal(old->node->world.cluster.term, 1);
	assert_false(old->node->world.cluster.release_final);
}

/* The end of whose WAL could not be read asks for what its last renewal told. */
static void
an_end_that_cannot_be_read_asks_for_the_last_renewal_s(void **state)
{
	Player *old;
	uint64_t told;

	(void) state;
	start_cluster();
	old = leader();
	TURN_UNTIL(old->node->world.cluster.position.lsn == old->view.position.lsn);
	told = old->view.position.lsn;
	/* A server that runs tells its position: no renewal says that it was not read. */
	release_at(old, true, FHA_LSN_UNREAD);
	/* Now: a successor may take the lease in the next turn. */
	assert_false(old->node->world.cluster.release_final);
	assert_int_equal(old->node->world.cluster.release.lsn, told);
	assert_int_equal(old->node->world.cluster.position.lsn, told);
	end_player(old);
	TURN_UNTIL(leader() != NULL);
}

static void
a_switchover_goes_where_it_was_asked_to(void **state)
{
	FhaRequest request = {
		.kind = FHA_REQUEST_SWITCHOVER, .id = "0123456789abcdef", .requested_by = "test"};
	Player *old;
	Player *target = NULL;
	FhaError err;

	(void) state;
	start_cluster();
	old = leader();
	for (int i = 0; i < NODES; i++)
		if (&players[i] != old)
			target = &players[i];
	(void) snprintf(request.target, sizeof(request.target), "%s", target->config.member_name);
	assert_int_equal(fha_node_request(target->node, &request, &err), FHA_OK);
	TURN_UNTIL(leader() != NULL && leader() != old);
	assert_ptr_equal(leader(), target);
	TURN_UNTIL(all_settled());
	assert_int_equal(leader()->node->world.cluster.request.state, FHA_REQUEST_DONE);
	assert_int_equal(old->stops, 1);
}

static void
a_switchover_to_nobody_is_refused(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_SWITCHOVER, .id = "0123456789abcdef", .target = "n9"};
	Player *old;
	FhaError err;

	(void) state;
	start_cluster();
	old = leader();
	assert_int_equal(fha_node_request(old->node, &request, &err), FHA_OK);
	TURN_UNTIL(old->node->world.cluster.request.state == FHA_REQUEST_FAILED);
	assert_non_null(strstr(old->node->world.cluster.request.message, "n9"));
	assert_ptr_equal(leader(), old);
}

static void
an_older_term_is_refused(void **state)
{
	Player *first;
	char old_record[PATH_MAX];
	char command[3 * PATH_MAX];

	(void) state;
	start_cluster();
	first = leader();
	/* Keep an early copy of the record, let terms pass, then put it back. */
	(void) snprintf(old_record, sizeof(old_record), "%s/old", root);
	(void) snprintf(command, sizeof(command), "cp $(ls %s/lock/db-test.0* | tail -1) %s", root,
					old_record);
	assert_int_equal(system(command), 0);
	first->absent = true;
	TURN_UNTIL(leader() != NULL && leader() != first);
	TURN_UNTIL(leader()->node->state.highest_term == 2);
	(void) snprintf(command, sizeof(command),
					"rm %s/lock/db-test.0* && cp %s %s/lock/db-test.00000000000000009999", root,
					old_record, root);
	assert_int_equal(system(command), 0);
	TURN_UNTIL(players[0].absent || strstr(players[0].action.because, "older term") != NULL);
	TURN_UNTIL(players[1].absent || strstr(players[1].action.because, "older term") != NULL);
	assert_null(leader());
	/* Whoever held that term knows of no later one but by the records of the others. */
	first->absent = false;
	assert_int_equal(first->node->state.highest_term, 1);
	while (strstr(first->action.because, "older term") == NULL)
	{
		turn();
		assert_null(leader());
	}
	assert_int_equal(first->node->world.others_term, 2);
}

static void
another_cluster_s_data_is_left_alone(void **state)
{
	(void) state;
	start_cluster();
	for (int i = 0; i < NODES; i++)
		if (&players[i] != leader())
		{
			players[i].view.system_identifier = 815;
			TURN_UNTIL(strstr(players[i].action.because, "another cluster") != NULL);
			assert_int_equal(players[i].action.node, FHA_NODE_HOLD);
			break;
		}
}

/* S7: before it is known what a stopped server has, nothing is started. */
static void
a_lone_primary_starts_again_in_its_term(void **state)
{
	Player *only = &players[0];
	FhaPosition position;
	int64_t ends_at_ms;

	(void) state;
	player_make(0, "initdb");
	TURN_UNTIL(is_open(only));
	position = only->view.position;
	only->view.state = FHA_PG_DOWN;
	only->view.position = (FhaPosition){0, 0};
	only->action.write_ends_at_ms = 0;
	ends_at_ms = fha_now_ms() + 2 * LEASE_MS;
	TURN_UNTIL(fha_now_ms() > ends_at_ms);
	assert_int_equal(only->view.state, FHA_PG_DOWN);
	only->view.position = only->view.required = position;
	TURN_UNTIL(is_open(only));
	assert_int_equal(only->promotions, 0);
	assert_int_equal(only->node->world.cluster.term, 1);
}

/* S7: a timeline that no term reserved is never led from; the holder begins a term that reserves one. */
static void
a_holder_past_its_timeline_begins_a_new_term(void **state)
{
	Player *only = &players[0];

	(void) state;
	player_make(0, "initdb");
	TURN_UNTIL(is_open(only));
	only->view.state = FHA_PG_DOWN;
	only->view.position.timeline = 7;
	only->view.required = only->view.position;
	only->action.write_ends_at_ms = 0;
	TURN_UNTIL(is_open(only));
	assert_int_equal(only->promotions, 1);
	assert_int_equal(only->node->world.cluster.term, 2);
	assert_int_equal(only->view.position.timeline, 8);
}

/* S9: PostgreSQL that fails to start does not keep the others from leading. */
static void
a_failing_holder_makes_room(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	old->view.state = FHA_PG_DOWN;
	old->view.required = old->view.position;
	old->view.failing = true;
	old->action.write_ends_at_ms = 0;
	/* As after a reclaim: the record shows no standby. */
	old->node->world.cluster.standby_count = 0;
	TURN_UNTIL(leader() != NULL && leader() != old);
	old->view.failing = false;
	TURN_UNTIL(all_settled());
}

/* A failover replaces what nobody has begun, and nothing replaces what somebody has. */
static void
a_failover_replaces_a_pending_switchover(void **state)
{
	FhaRequest standing = {.kind = FHA_REQUEST_SWITCHOVER, .state = FHA_REQUEST_PENDING, .id = "1"};
	FhaRequest failover = {.kind = FHA_REQUEST_FAILOVER, .id = "2"};
	FhaRequest switchover = {.kind = FHA_REQUEST_SWITCHOVER, .id = "3"};

	(void) state;
	assert_false(fha_request_is_in_the_way(&standing, &failover));
	assert_true(fha_request_is_in_the_way(&standing, &switchover));
	standing.state = FHA_REQUEST_RUNNING;
	assert_true(fha_request_is_in_the_way(&standing, &failover));
	standing.state = FHA_REQUEST_DONE;
	assert_false(fha_request_is_in_the_way(&standing, &switchover));
}

/* S1b: the same name with another incarnation waits, unless the liveness lock proves its death. */
static void
another_incarnation_waits(void **state)
{
	Player *old;
	FhaNode *dead;
	int64_t ends_at_ms;

	(void) state;
	start_cluster();
	for (int i = 0; i < NODES; i++)
		if (&players[i] != leader())
		{
			fha_node_close(players[i].node);
			players[i].node = NULL;
		}
	old = leader();
	ends_at_ms = old->action.write_ends_at_ms;
	dead = old->node;
	(void) snprintf(old->incarnation, sizeof(old->incarnation), "feedfeedfeedfeed");
	player_open(old, false);
	fha_node_close(dead);
	old->view.supervised = false; /* or it would stop, and then hold its own liveness lock */
	old->action.write_ends_at_ms = 0;
	old->opened_at_ms = 0;
	TURN_UNTIL(is_open(old));
	assert_true(old->opened_at_ms >= ends_at_ms);
	assert_int_equal(old->node->world.cluster.term, 1);
}

/* One that neither leads nor is `other`. */
static Player *
follower(const Player *other)
{
	for (int i = 0; i < NODES; i++)
		if (&players[i] != other && !is_open(&players[i]))
			return &players[i];
	return NULL;
}

/* A leader that has archived nothing since its start knows of no position: what was told stays. */
static void
what_is_archived_goes_with_renewals(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	old->view.archived = (FhaPosition){1, 700};
	TURN_UNTIL(follower(NULL)->node->world.cluster.archived.lsn == 700);
	old->view.archived = (FhaPosition){0, 0};
	for (int i = 0; i < NODES; i++)
		players[i].view.position.lsn += 50;
	TURN_UNTIL(old->node->world.cluster.position.lsn == old->view.position.lsn);
	assert_int_equal(old->node->world.cluster.archived.lsn, 700);
	/* The next leader goes on from there. */
	old->view.state = FHA_PG_DOWN;
	old->view.required = old->view.position;
	old->action.write_ends_at_ms = 0;
	TURN_UNTIL(leader() != NULL && leader() != old);
	TURN_UNTIL(all_settled());
	assert_int_equal(leader()->node->world.cluster.archived.lsn, 700);
}

/* The news that a node has told, up to the one with this text. */
static bool
has_told(FhaNode *node, const char *text)
{
	char line[512];

	while (fha_node_news(node, line, sizeof(line)))
		if (strstr(line, text) != NULL)
			return true;
	return false;
}

/* A machine that was copied with its memory: same boot, same incarnation, same liveness lock. */
static void
s1b_a_renewal_that_was_never_ours_is_a_duplicate_s(void **state)
{
	char command[4 * PATH_MAX];
	char incarnation[FHA_ID_SIZE];
	char said[FHA_SENTENCE_SIZE + 80] = "";
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	memcpy(incarnation, old->incarnation, sizeof(incarnation));
	(void) snprintf(command, sizeof(command),
					"cd %s/lock && sed 's/\"nonce\":\"\\([0-9a-f]\\{6\\}\\)[0-9a-f]*\"/"
					"\"nonce\":\"\\1000000ffff\"/' $(ls db-test.0* | tail -1) >../copied && "
					"sed -i 's/000000ffff/7ffff0ffff/' ../copied && "
					"cp ../copied db-test.00000000000000099999",
					root);
	assert_int_equal(system(command), 0);
	TURN_UNTIL(strcmp(old->node->world.self.incarnation, incarnation) != 0);
	assert_false(is_open(old));
	while (strstr(said, "copied while it ran") == NULL &&
		   fha_node_news(old->node, said, sizeof(said)))
		;
	assert_non_null(strstr(said, "copied while it ran"));
	TURN_UNTIL(leader() != NULL);
	assert_ptr_not_equal(leader(), old);
}

/* What a process has written itself, however long ago, and what its predecessor wrote. */
static void
s1b_no_nonce_of_ours_is_a_duplicate_s(void **state)
{
	FhaNode *node;
	FhaError err;
	char first[FHA_ID_SIZE];
	char own[FHA_ID_SIZE];

	(void) state;
	player_make(0, "none");
	node = players[0].node;
	assert_int_equal(node_write_begin(node, PENDING_RENEW, &err), FHA_OK);
	memcpy(first, node->write.cluster.nonce, sizeof(first));
	assert_false(node_nonce_is_another_s(node, first));
	for (int i = 0; i < 2 * NONCES_KEPT; i++)
	{
		assert_int_equal(node_write_begin(node, PENDING_RENEW, &err), FHA_OK);
		memcpy(own, node->write.cluster.nonce, sizeof(own));
		assert_false(node_nonce_is_another_s(node, own));
	}
	assert_false(node_nonce_is_another_s(node, first));
	/* The same count with another end; the next count; another process. */
	own[FHA_ID_SIZE - 2] = own[FHA_ID_SIZE - 2] == '0' ? '1' : '0';
	assert_true(node_nonce_is_another_s(node, own));
	memcpy(own, node->write.cluster.nonce, sizeof(own));
	(void) snprintf(own + 6, sizeof(own) - 6, "%06x", (unsigned) node->nonce_count + 1);
	assert_true(node_nonce_is_another_s(node, own));
	assert_true(node_nonce_is_another_s(node, "fffffe0000010000"));
	fha_speakers_note(&players[0].speakers, "fffffe0000010000");
	assert_false(node_nonce_is_another_s(node, "fffffe0000010000"));
}

/* The process that speaks for this player ends, and another one begins. */
static void
speak_anew(Player *player)
{
	fha_node_close(player->node);
	player_open(player, false);
}

/* The record is written in this node's name, as that version. */
static void
write_in_its_name(const char *nonce, int version)
{
	char command[4 * PATH_MAX];

	(void) snprintf(command, sizeof(command),
					"cd %s/lock && sed 's/\"nonce\":\"[0-9a-f]*\"/\"nonce\":\"%s\"/' "
					"$(ls db-test.0* | tail -1) >../late && cp ../late db-test.%020d",
					root, nonce, version);
	assert_int_equal(system(command), 0);
}

/* Its newest write was late, and the one after it has read what stood there before. */
static void
s1b_a_late_write_of_any_process_of_ours_is_no_duplicate_s(void **state)
{
	char incarnation[FHA_ID_SIZE];
	char nonce[FHA_ID_SIZE];
	Player *player;
	FhaError err;

	(void) state;
	start_cluster();
	player = leader();
	memcpy(incarnation, player->incarnation, sizeof(incarnation));
	speak_anew(player);
	assert_int_equal(node_write_begin(player->node, PENDING_RENEW, &err), FHA_OK);
	memcpy(nonce, player->node->write.cluster.nonce, sizeof(nonce));
	speak_anew(player);
	TURN_UNTIL(is_open(player));
	write_in_its_name(nonce, 99999);
	TURN_UNTIL(atoi(player->node->world.watch.version) > 99999);
	assert_string_equal(player->node->world.self.incarnation, incarnation);
	assert_true(is_open(player));
	/* The copy of that process has counted on. */
	(void) snprintf(nonce + 6, sizeof(nonce) - 6, "0000ff0000");
	write_in_its_name(nonce, 199999);
	TURN_UNTIL(strcmp(player->node->world.self.incarnation, incarnation) != 0);
	assert_false(is_open(player));
}

/* A machine was copied while it ran, and on both another process speaks now: the copy's has written. */
static void
s1b_what_a_process_reads_first_may_be_a_duplicate_s(void **state)
{
	char incarnation[FHA_ID_SIZE];
	Player *player;

	(void) state;
	start_cluster();
	player = leader();
	memcpy(incarnation, player->incarnation, sizeof(incarnation));
	write_in_its_name("abcdef0000010000", 99999);
	speak_anew(player);
	TURN_UNTIL(strcmp(player->node->world.self.incarnation, incarnation) != 0);
	assert_false(is_open(player));
	/* Processes of version 1.1 note nothing. */
	memset(&player->speakers, 0, sizeof(player->speakers));
	speak_anew(player);
	TURN_UNTIL(player->node->world.watch.seen);
	assert_string_equal(player->node->world.self.incarnation, incarnation);
}

/*
 * S1b: in a state directory of its own, so that no liveness lock tells; who was first says so when
 * it wakes.
 */
static void
a_namesake_waits_and_the_first_tells(void **state)
{
	Player *player;
	FhaNode *first;
	FhaError err;

	(void) state;
	start_cluster();
	player = follower(NULL);
	first = player->node;
	TURN_UNTIL(first->published_at_ms != 0);
	(void) snprintf(player->config.state_directory, sizeof(player->config.state_directory),
					"%s/namesake", root);
	assert_int_equal(fha_state_prepare(&player->config, &err), FHA_OK);
	(void) snprintf(player->incarnation, sizeof(player->incarnation), "feedfeedfeedfeed");
	player_open(player, false);
	player->view.supervised = false;
	TURN_UNTIL(has_told(player->node, "another node that lives has this member's name"));
	TURN_UNTIL(player->node->world.self.spoken);
	fha_node_close(player->node);
	player->node = first;
	TURN_UNTIL(has_told(first, "calls itself"));
}

/* A player of another cluster in the same lock. */
static void
player_of(int index, const char *cluster, const char *member)
{
	Player *player = &players[index];
	FhaConfig *config = &player->config;
	FhaError err;

	player_make(index, "initdb");
	fha_node_close(player->node);
	(void) snprintf(config->cluster_name, sizeof(config->cluster_name), "%s", cluster);
	(void) snprintf(config->member_name, sizeof(config->member_name), "%s", member);
	(void) snprintf(config->state_directory, sizeof(config->state_directory), "%s/of-%d", root,
					index);
	assert_int_equal(fha_state_prepare(config, &err), FHA_OK);
	player_open(player, true);
}

/* `script` in the lock's directory; $N is that record's name. */
static void
shell_in_lock(const char *record, const char *script)
{
	char command[PATH_MAX];

	(void) snprintf(command, sizeof(command), "cd %s/lock && N=%s && %s", root, record, script);
	assert_int_equal(system(command), 0);
}

#define FOREIGN_VERSION "00000000000000099999"
#define IS_UNTOUCHED "test $(ls $N.0* | tail -1) = $N." FOREIGN_VERSION

/* For some leases the other one leads nothing, writes nothing, and says nothing more of that record. */
static void
leads_undisturbed(Player *first, Player *other)
{
	int64_t ends_at_ms = fha_now_ms() + 3 * LEASE_MS;

	while (fha_now_ms() < ends_at_ms)
	{
		turn();
		assert_ptr_not_equal(leader(), other);
		assert_false(has_told(other->node, "in the lock is"));
	}
	TURN_UNTIL(leader() == first);
	assert_false(other->node->world.self.spoken);
	assert_true(other->node->world.watch.absent);
}

/* "db-test-x" is a cluster, and member "x" of cluster "db-test" would have its record there. */
static void
s1b_a_member_writes_over_no_other_cluster_s_record(void **state)
{
	(void) state;
	player_of(0, "db-test-x", "n1");
	TURN_UNTIL(leader() != NULL);
	player_of(1, "db-test", "x");
	TURN_UNTIL(has_told(players[1].node, "the record \"db-test-x\" in the lock is cluster "
										 "\"db-test-x\": give this member another member_name"));
	leads_undisturbed(&players[0], &players[1]);
	/* It can be stopped all the same; and goes on when the other cluster is gone. */
	assert_true(players[1].action.told);
	players[0].absent = true;
	players[0].has_action = false; /* another cluster's fence may be open beside this one's */
	shell_in_lock("db-test-x", "rm $N.*");
	TURN_UNTIL(leader() == &players[1]);
}

static void
s1b_two_clusters_members_of_one_record_name(void **state)
{
	(void) state;
	player_of(0, "a-b", "c");
	TURN_UNTIL(leader() != NULL && players[0].node->world.self.spoken);
	player_of(1, "a", "b-c");
	TURN_UNTIL(has_told(players[1].node,
						"the record \"a-b-c\" in the lock is member \"c\" of cluster \"a-b\""));
	leads_undisturbed(&players[0], &players[1]);
	/* The record of a living member is replaced, as by a version that does not look. */
	players[1].absent = true;
	shell_in_lock("a-b-c", "echo '{\"kind\":\"member\",\"cluster\":\"a\",\"member\":\"b-c\"}' "
						   ">../new && mv ../new $N." FOREIGN_VERSION);
	TURN_UNTIL(has_told(players[0].node, "is member \"b-c\" of cluster \"a\""));
	TURN_UNTIL(leader() == NULL);
	shell_in_lock("a-b-c", IS_UNTOUCHED);
	shell_in_lock("a-b-c", "rm $N.*");
	TURN_UNTIL(leader() == &players[0]);
}

static void
a_cluster_is_not_founded_where_a_member_writes(void **state)
{
	char line[512];
	int64_t ends_at_ms;

	(void) state;
	player_of(0, "a", "b-c");
	TURN_UNTIL(leader() != NULL && players[0].node->world.self.spoken);
	player_of(1, "a-b-c", "n1");
	TURN_UNTIL(has_told(players[1].node, "the record \"a-b-c\" in the lock is member \"b-c\" of "
										 "cluster \"a\": give that member another member_name"));
	ends_at_ms = fha_now_ms() + 3 * LEASE_MS;
	while (fha_now_ms() < ends_at_ms)
	{
		turn();
		assert_ptr_not_equal(leader(), &players[1]);
		while (fha_node_news(players[1].node, line, sizeof(line)))
			if (strstr(line, "delete") != NULL || strstr(line, "in the lock is") != NULL)
				fail_msg("%s", line);
	}
	TURN_UNTIL(leader() == &players[0]);
}

static void
a_garbled_record_of_a_member_is_written_over(void **state)
{
	(void) state;
	shell_in_lock("db-test-n1", "echo '{\"kind\":\"clu' >$N.00000000000000000007");
	player_make(0, "initdb");
	TURN_UNTIL(leader() != NULL && players[0].node->world.self.spoken);
}

/* Neither a person's removal nor the silence of a member replaces what is another cluster's now. */
static void
what_became_another_cluster_s_is_not_removed(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_REMOVE, .id = "0123456789abcdef"};
	char record[FHA_RECORD_NAME_SIZE];
	Player *gone;
	Player *first;
	int64_t ends_at_ms;
	FhaError err;

	(void) state;
	start_cluster();
	gone = follower(NULL);
	TURN_UNTIL(gone->node->world.self.spoken);
	gone->absent = true;
	fha_record_name_member("db-test", gone->config.member_name, record, sizeof(record));
	shell_in_lock(record, "echo '{\"kind\":\"cluster\",\"cluster\":\"'$N'\"}' >../new && mv ../new "
						  "$N." FOREIGN_VERSION);
	TURN_UNTIL((first = leader()) != NULL && first->node->world.member_count == NODES - 1);
	memcpy(request.target, gone->config.member_name, sizeof(request.target));
	assert_int_equal(fha_node_request(first->node, &request, &err), FHA_OK);
	TURN_UNTIL(!first->node->request_waits);
	ends_at_ms = fha_now_ms() + 3 * LEASE_MS;
	while (fha_now_ms() < ends_at_ms)
		turn();
	shell_in_lock(record, IS_UNTOUCHED);
}

/* The leader of a settled cluster, whose neighbours are gone: nobody hurries it. */
static FhaNode *
lone_leader(void)
{
	Player *player;

	start_cluster();
	player = leader();
	for (int i = 0; i < NODES; i++)
		if (&players[i] != player)
		{
			fha_node_close(players[i].node);
			players[i].node = NULL;
		}
	return player->node;
}

static void
s1_a_slow_answer_counts_from_the_sending(void **state)
{
	FhaNode *node;

	(void) state;
	node = lone_leader();
	for (int i = 0; i < 3; i++)
	{
		TURN_UNTIL(node->pending == PENDING_RENEW);
		pass(20);
		/* step() looks at what it adds. */
		TURN_UNTIL(node->pending != PENDING_RENEW);
	}
}

/* The time that a read of the record adds, after a write of unknown fate or without one. */
static int64_t
read_adds_ms(FhaNode *node, bool unknown, const char *nonce)
{
	int64_t before_at_ms;

	TURN_UNTIL(node->pending == PENDING_NONE);
	before_at_ms = node->world.tenure.write_ends_at_ms;
	node->reread = true;
	node->unknown = unknown;
	node->lost = node->write;
	node->lost.pending = PENDING_RENEW;
	node->lost.cluster = node->world.cluster;
	node->lost.sent_at_ms = before_at_ms - DEADLINE_MS + 7;
	if (nonce != NULL)
		(void) snprintf(node->lost.cluster.nonce, FHA_ID_SIZE, "%s", nonce);
	TURN_UNTIL(!node->reread && node->pending != PENDING_READ_CLUSTER);
	return node->world.tenure.write_ends_at_ms - before_at_ms;
}

static void
s1_a_read_extends_by_nothing_but_our_own_lost_write(void **state)
{
	FhaNode *node;

	(void) state;
	node = lone_leader();
	assert_int_equal(read_adds_ms(node, false, NULL), 0);
	assert_int_equal(read_adds_ms(node, true, "0123456789abcdef"), 0);
	assert_int_equal(read_adds_ms(node, true, NULL), 7);
}

/* A plain server is not stopped, which would shut the fence as well. */
static void
s1_a_lost_lease_leaves_no_time(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	old->view.supervised = false;
	old->absent = true;
	TURN_UNTIL(leader() != NULL);
	old->absent = false;
	TURN_UNTIL(strcmp(old->node->world.cluster.holder, old->config.member_name) != 0);
	assert_int_equal(old->node->world.tenure.write_ends_at_ms, 0);
}

static void
s1_a_handover_shuts_before_it_is_written(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_SWITCHOVER, .id = "0123456789abcdef"};
	Player *old;
	FhaError err;

	(void) state;
	start_cluster();
	old = leader();
	assert_int_equal(fha_node_request(old->node, &request, &err), FHA_OK);
	TURN_UNTIL(old->node->pending == PENDING_RENEW &&
			   old->node->write.cluster.request.state == FHA_REQUEST_RUNNING);
	assert_int_equal(old->action.write_ends_at_ms, 0);
}

static bool
knows(const Player *player, const char *member)
{
	for (size_t i = 0; i < player->node->world.member_count; i++)
		if (strcmp(player->node->world.members[i].member, member) == 0)
			return true;
	return false;
}

/* Its record is marked before it leaves the list; the others hear of it by the lock. */
static void
a_removed_member_is_forgotten_by_all(void **state)
{
	FhaRequest request = {
		.kind = FHA_REQUEST_REMOVE, .id = "0123456789abcdef", .requested_by = "eve"};
	Player *first;
	Player *gone;
	Player *other;
	FhaHistoryEntry entries[FHA_HISTORY_MAX];
	uint64_t changes;
	size_t before;
	size_t count;
	FhaError err;

	(void) state;
	start_cluster();
	first = leader();
	gone = follower(NULL);
	other = follower(gone);
	gone->absent = true;
	TURN_UNTIL(first->node->world.cluster.standby_count == 1);
	memcpy(request.target, gone->config.member_name, sizeof(request.target));
	changes = fha_node_changes(other->node);
	assert_int_equal(fha_node_request(first->node, &request, &err), FHA_OK);
	TURN_UNTIL(!knows(first, request.target) && !knows(other, request.target));
	TURN_UNTIL(other->node->world.cluster.member_count == 2);
	assert_true(fha_node_changes(other->node) > changes);
	TURN_UNTIL(first->node->history.text != NULL &&
			   strstr(first->node->history.text, "\"eve\"") != NULL);
	assert_int_equal(fha_history_parse(first->node->history.text, strlen(first->node->history.text),
									   entries, &count, &err),
					 FHA_OK);
	assert_string_equal(entries[count - 1].event, "remove");
	assert_string_equal(entries[count - 1].member, request.target);

	/* As if its reply had been lost: it is not written twice. */
	first->node->entries[0] = entries[count - 1];
	first->node->entry_count = 1;
	TURN_UNTIL(first->node->entry_count == 0);
	before = count;
	assert_int_equal(fha_history_parse(first->node->history.text, strlen(first->node->history.text),
									   entries, &count, &err),
					 FHA_OK);
	assert_int_equal(count, before);
}

static void
a_silent_member_leaves_the_list_and_comes_back(void **state)
{
	FhaHistoryEntry entries[FHA_HISTORY_MAX];
	Player *first;
	Player *gone;
	size_t count;
	FhaError err;

	(void) state;
	start_cluster();
	first = leader();
	gone = follower(NULL);
	gone->absent = true;
	first->node->config.member_timeout_ms = 1;
	TURN_UNTIL(!knows(first, gone->config.member_name));
	TURN_UNTIL(first->node->world.cluster.member_count == 2);
	TURN_UNTIL(first->node->history.text != NULL &&
			   strstr(first->node->history.text, "member_timeout") != NULL);
	assert_int_equal(fha_history_parse(first->node->history.text, strlen(first->node->history.text),
									   entries, &count, &err),
					 FHA_OK);
	assert_string_equal(entries[count - 1].event, "remove");
	assert_string_equal(entries[count - 1].member, gone->config.member_name);
	first->node->config.member_timeout_ms = BOUND_MS;
	gone->absent = false;
	TURN_UNTIL(first->node->world.cluster.member_count == 3);
}

static bool
is_to_be_struck(FhaNode *node, int64_t now_ms)
{
	const Held *held;
	char *text;

	if (!node_members_tombstone(node, now_ms, &held, &text))
		return false;
	free(text);
	return true;
}

/* Silence is not enough: it must be the member's own, and somebody else must be there to take over. */
static void
who_stays_on_the_list(void **state)
{
	Player *first;
	FhaNode *node;
	FhaPgView *pg;
	int64_t later_at_ms;
	size_t listed;

	(void) state;
	start_cluster();
	first = leader();
	node = first->node;
	pg = &node->world.pg;
	later_at_ms = fha_now_ms() + node->config.member_timeout_ms + BOUND_MS;
	TURN_UNTIL(pg->standby_count == 2);
	assert_false(is_to_be_struck(node, later_at_ms));
	pg->standby_count = 1;
	assert_false(is_to_be_struck(node, later_at_ms - 2 * BOUND_MS));
	assert_true(is_to_be_struck(node, later_at_ms));
	assert_string_not_equal(node->buried, pg->standbys[0].member);
	assert_string_not_equal(node->buried, first->config.member_name);
	pg->standby_count = 0;
	assert_false(is_to_be_struck(node, later_at_ms));
	/* One that is on no list could replace nobody. */
	listed = node->world.cluster.member_count;
	node->world.cluster.member_count = 1;
	assert_true(is_to_be_struck(node, later_at_ms));
	node->world.cluster.member_count = listed;
	pg->standby_count = 1;
	node->world.cluster.paused = true;
	assert_false(is_to_be_struck(node, later_at_ms));
	node->world.cluster.paused = false;
	node_members_listen(node, later_at_ms); /* the lock has not answered since */
	assert_false(is_to_be_struck(node, later_at_ms));
}

/* By a person's hands. */
static void
a_deleted_record_of_a_member_is_forgotten(void **state)
{
	Player *gone;
	char command[160];

	(void) state;
	start_cluster();
	gone = follower(NULL);
	TURN_UNTIL(knows(leader(), gone->config.member_name));
	gone->absent = true;
	(void) snprintf(command, sizeof(command), "rm -f %s/lock/db-test-%s.*", root,
					gone->config.member_name);
	/* A write that was on its way may put one back. */
	TURN_UNTIL(system(command) == 0 && !knows(leader(), gone->config.member_name));
}

static bool
keeps(Player *player, FhaCluster *out)
{
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	bool has = false;

	if (fha_state_path(&player->config, "record.json", path, sizeof(path), NULL) == FHA_OK &&
		fha_file_read(path, 1 << 20, &text, NULL) == FHA_OK)
		has = fha_cluster_parse(text, strlen(text), out, NULL) == FHA_OK;
	free(text);
	return has;
}

/* Another life of this node, that finds this text as its copy of the record. */
static void
open_with_copy(Player *player, const char *text)
{
	char path[FHA_PATH_SIZE];
	FhaError err;

	fha_node_close(player->node);
	if (fha_state_path(&player->config, "record.json", path, sizeof(path), &err) != FHA_OK ||
		fha_file_replace(path, text, strlen(text), &err) != FHA_OK)
		fail_msg("%s", err.text);
	player_open(player, false);
}

/* People put it back: it has all members, and a record that was tampered with does not replace it. */
static void
the_copy_of_the_record_follows_terms_and_members(void **state)
{
	static FhaCluster copy;
	static FhaCluster other;
	Player *player;
	FhaError err;
	char *text;

	(void) state;
	start_cluster();
	player = leader();
	TURN_UNTIL(keeps(player, &copy) && copy.member_count == NODES);
	assert_int_equal(copy.lineage_term, copy.term);
	/* The record in the lock differs in what makes no other copy. */
	copy.paused = true;
	(void) snprintf(copy.pause_reason, sizeof(copy.pause_reason), "this is the copy");
	player = follower(NULL);
	assert_int_equal(fha_cluster_print(&copy, &text, &err), FHA_OK);
	open_with_copy(player, text);
	free(text);
	TURN_UNTIL(player->node->world.watch.seen);
	for (int i = 0; i < 5; i++)
		turn();
	assert_true(keeps(player, &other));
	assert_string_equal(other.pause_reason, copy.pause_reason);
	/* Of another list, lineage or cluster, or none at all: not the copy of this record. */
	for (int i = 0; i < 4; i++)
	{
		other = copy;
		if (i == 0)
			other.member_count--;
		else if (i == 1)
			other.lineage_term--;
		else if (i == 2)
			other.cluster_uuid[0] = 'x';
		else
			(void) snprintf(other.member_data[0], FHA_ID_SIZE, "another");
		assert_int_equal(fha_cluster_print(&other, &text, &err), FHA_OK);
		open_with_copy(player, text);
		free(text);
		TURN_UNTIL(keeps(player, &other) && !other.paused);
		assert_int_equal(other.member_count, NODES);
	}
	open_with_copy(player, "garbage");
	TURN_UNTIL(keeps(player, &other));
	assert_int_equal(other.member_count, NODES);
}

/* The newest text of a record, and its version; free it. */
static char *
text_in_lock(const char *name, char version[FHA_VERSION_SIZE])
{
	FhaLockRequest request = {.verb = FHA_LOCK_GET, .name = name};
	FhaLockEvent event;
	FhaLock *lock;
	FhaError err;
	char *text;

	request.deadline_at_ms = fha_now_ms() + BOUND_MS;
	assert_int_equal(fha_lock_open(&lock, players[0].config.lock, NULL, false, &err), FHA_OK);
	assert_int_equal(fha_lock_call(lock, &request, &event), FHA_OK);
	text = strdup(event.records[0].data);
	assert_non_null(text);
	(void) snprintf(version, FHA_VERSION_SIZE, "%s", event.records[0].version);
	fha_lock_close(lock);
	return text;
}

static void
put_into_lock(const char *name, const char *text)
{
	FhaLockRequest request = {.verb = FHA_LOCK_SWAP, .name = name};
	char version[FHA_VERSION_SIZE];
	FhaLockEvent event;
	FhaLock *lock;
	FhaError err;

	free(text_in_lock(name, version));
	request.version = version;
	request.data = text;
	request.size = strlen(text);
	request.deadline_at_ms = fha_now_ms() + BOUND_MS;
	assert_int_equal(fha_lock_open(&lock, players[0].config.lock, NULL, false, &err), FHA_OK);
	assert_int_equal(fha_lock_call(lock, &request, &event), FHA_OK);
	fha_lock_close(lock);
}

/*
 * The lock is put back to before term 2, and who never heard of that takes it again: the same number, from the
 * same place, and another timeline.
 */
static void
s7_a_term_that_the_lock_forgot_is_taken_again(void **state)
{
	static FhaCluster copy;
	char forgotten[FHA_ID_SIZE];
	char version[FHA_VERSION_SIZE];
	char name[FHA_RECORD_NAME_SIZE];
	Player *old;
	Player *first;
	Player *second;
	char *record;
	char *own;

	(void) state;
	start_cluster();
	old = leader();
	assert_string_equal(old->node->world.cluster.timeline_id, "");
	first = follower(NULL);
	second = follower(first);
	fha_record_name_member("db-test", first->config.member_name, name, sizeof(name));
	record = text_in_lock("db-test", version);
	own = text_in_lock(name, version);
	old->absent = second->absent = true;
	TURN_UNTIL(leader() == first);
	TURN_UNTIL(keeps(first, &copy) && copy.term == 2 && copy.lineage_term == 2);
	memcpy(forgotten, copy.timeline_id, sizeof(forgotten));
	assert_int_equal(strlen(forgotten), FHA_ID_SIZE - 1);
	assert_string_equal(first->action.timeline_id, forgotten);
	first->absent = true;
	/* That one is dead. */
	TURN_UNTIL(fha_now_ms() >= first->action.write_ends_at_ms);
	put_into_lock("db-test", record);
	put_into_lock(name, own);
	second->absent = false;
	TURN_UNTIL(leader() == second);
	assert_int_equal(second->node->world.cluster.term, 2);
	assert_int_equal(second->view.position.timeline, first->view.position.timeline);
	assert_true(second->view.position.lsn == first->view.position.lsn);
	assert_string_not_equal(second->node->world.cluster.timeline_id, forgotten);
	first->absent = old->absent = false;
	first->clones = 0;
	TURN_UNTIL(all_settled());
	assert_ptr_equal(leader(), second);
	assert_int_equal(first->clones, 1);
	assert_int_equal(first->rewinds, 0);
	/* The copy that people put back is of the term as it is now. */
	TURN_UNTIL(keeps(first, &copy) && strcmp(copy.timeline_id, forgotten) != 0);
	assert_int_equal(copy.term, 2);
	free(record);
	free(own);
}

/* Whoever of 1.1 writes into the record leaves out what it does not know. */
static void
s7_the_leader_tells_identities_again(void **state)
{
	FhaCluster cluster;
	char version[FHA_VERSION_SIZE];
	char id[FHA_ID_SIZE];
	Player *next;
	FhaError err;
	char *text;

	(void) state;
	start_cluster();
	next = leader();
	next->absent = true;
	TURN_UNTIL(leader() != NULL && leader() != next);
	next = leader();
	TURN_UNTIL(next->node->world.cluster.lineage_term == 2);
	memcpy(id, next->node->world.cluster.timeline_id, sizeof(id));
	text = text_in_lock("db-test", version);
	assert_int_equal(fha_cluster_parse(text, strlen(text), &cluster, &err), FHA_OK);
	free(text);
	cluster.timeline_id[0] = '\0';
	cluster.lineage[1].id[0] = '\0';
	assert_int_equal(fha_cluster_print(&cluster, &text, &err), FHA_OK);
	put_into_lock("db-test", text);
	free(text);
	TURN_UNTIL(next->node->world.cluster.timeline_id[0] == '\0');
	TURN_UNTIL(strcmp(next->node->world.cluster.timeline_id, id) == 0);
	assert_string_equal(next->node->world.cluster.lineage[1].id, id);
	assert_ptr_equal(leader(), next);
}

/* The cluster goes on without it: what it tells is for people. */
static void
a_damaged_history_stops_nothing(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_PAUSE, .id = "0123456789abcdef"};
	FhaLockRequest garbage = {
		.verb = FHA_LOCK_SWAP, .name = "db-test.history", .data = "garbage", .size = 7};
	FhaLockEvent event;
	FhaLock *lock;
	FhaNode *node;
	FhaError err;

	(void) state;
	node = lone_leader();
	TURN_UNTIL(node->entry_count == 0 && node->history.version[0] != '\0');
	assert_int_equal(fha_lock_open(&lock, players[0].config.lock, NULL, false, &err), FHA_OK);
	garbage.version = node->history.version;
	garbage.deadline_at_ms = fha_now_ms() + BOUND_MS;
	assert_int_equal(fha_lock_call(lock, &garbage, &event), FHA_OK);
	fha_lock_close(lock);
	TURN_UNTIL(strcmp(node->history.text, "garbage") == 0);
	assert_int_equal(fha_node_request(node, &request, &err), FHA_OK);
	TURN_UNTIL(node->world.cluster.paused);
	TURN_UNTIL(has_told(node, "the history record cannot be used"));
	TURN_UNTIL(leader() != NULL);
}

/* What cannot be entered is told, in the step that finds it out; until then no other is taken. */
static void
a_request_in_the_way_is_told(void **state)
{
	FhaRequest standing = {.kind = FHA_REQUEST_RESTART, .id = "0123456789abcdef"};
	FhaRequest late = {.kind = FHA_REQUEST_RESTART, .id = "fedcba9876543210"};
	FhaNode *node;
	FhaError err;

	(void) state;
	node = lone_leader();
	assert_true(fha_node_takes_requests(node));
	assert_int_equal(fha_node_request(node, &standing, &err), FHA_OK);
	assert_false(fha_node_takes_requests(node));
	TURN_UNTIL(strcmp(node->world.cluster.request.id, standing.id) == 0);
	TURN_UNTIL(fha_node_takes_requests(node));
	assert_null(fha_node_refused(node));
	assert_int_equal(fha_node_request(node, &late, &err), FHA_OK);
	TURN_UNTIL(fha_node_refused(node) != NULL);
	assert_string_equal(fha_node_refused(node)->id, late.id);
	assert_true(fha_node_refused(node)->message[0] != '\0');
	assert_true(fha_node_takes_requests(node));
	TURN_UNTIL(fha_node_refused(node) == NULL);
	/* What becomes of a request is told by the history: without room there, none is taken. */
	node->entry_count = HISTORY_QUEUE / 2;
	assert_int_equal(fha_node_request(node, &late, &err), FHA_CONFLICT);
	node->entry_count = 0;
}

/* Read from its beginning by an agent that has just come: the second entry follows the first. */
static void
entries_follow_one_another(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_PAUSE, .id = "0123456789abcdef"};
	FhaNode *node;
	FhaError err;

	(void) state;
	node = lone_leader();
	assert_int_equal(fha_node_request(node, &request, &err), FHA_OK);
	TURN_UNTIL(node->world.cluster.paused);
	TURN_UNTIL(fha_node_takes_requests(node));
	request = (FhaRequest){.kind = FHA_REQUEST_RESUME, .id = "fedcba9876543210"};
	assert_int_equal(fha_node_request(node, &request, &err), FHA_OK);
	TURN_UNTIL(node->history.text != NULL && strstr(node->history.text, "resume") != NULL);
	assert_true(strstr(node->history.text, "pause") < strstr(node->history.text, "resume"));
}

/* What is carried out by members is in their host actions, by its name, until it has ended. */
static void
a_restart_is_an_action_of_whom_it_names(void **state)
{
	FhaRequest request = {.kind = FHA_REQUEST_RESTART, .id = "0123456789abcdef"};
	FhaRequest other = {.kind = FHA_REQUEST_PAUSE, .id = "fedcba9876543210"};
	Player *first;
	Player *target;
	FhaError err;

	(void) state;
	start_cluster();
	first = leader();
	target = follower(NULL);
	memcpy(request.target, target->config.member_name, sizeof(request.target));
	assert_int_equal(fha_node_request(first->node, &request, &err), FHA_OK);
	assert_int_equal(fha_node_request(first->node, &other, &err), FHA_CONFLICT);
	TURN_UNTIL(strcmp(first->action.request_id, request.id) == 0);
	/* What cannot be entered beside it is let go, and told in the log. */
	other = (FhaRequest){.kind = FHA_REQUEST_SWITCHOVER, .id = "fedcba9876543210"};
	assert_int_equal(fha_node_request(first->node, &other, &err), FHA_OK);
	TURN_UNTIL(!first->node->request_waits);
	assert_int_equal(first->node->world.cluster.request.kind, FHA_REQUEST_RESTART);
	TURN_UNTIL(target->action.requested);
	assert_false(target->action.reinit);
	assert_false(first->action.requested);
	assert_false(follower(target)->action.requested);
}

/* People read afterwards what a failover has cost. */
static void
what_a_successor_lacks_is_in_the_history(void **state)
{
	Player *old;
	const char *text;

	(void) state;
	start_cluster();
	old = leader();
	old->view.position.lsn += 500;
	TURN_UNTIL(old->node->world.cluster.position.lsn == old->view.position.lsn);
	TURN_UNTIL(follower(NULL)->node->world.cluster.position.lsn == old->view.position.lsn);
	old->absent = true;
	TURN_UNTIL(leader() != NULL);
	TURN_UNTIL((text = leader() == NULL ? NULL : leader()->node->history.text) != NULL &&
			   strstr(text, "had 500 bytes of WAL more at its last renewal") != NULL);
}

static void
what_a_rewind_has_saved_is_in_the_history(void **state)
{
	static const char saved[] = "500 bytes of WAL past 0/10 on timeline 1 are in \"here\"";
	char path[FHA_PATH_SIZE];
	char slots[FHA_PATH_SIZE];
	const char *text;
	Player *other;
	FhaError err;

	(void) state;
	start_cluster();
	other = leader() == &players[0] ? &players[1] : &players[0];
	assert_int_equal(fha_state_path(&other->config, "saved-wal", path, sizeof(path), &err), FHA_OK);
	assert_int_equal(fha_state_path(&other->config, "removed-slots", slots, sizeof(slots), &err),
					 FHA_OK);
	assert_int_equal(fha_file_replace(path, saved, strlen(saved), &err), FHA_OK);
	assert_int_equal(fha_file_replace(slots, "cdc", 3, &err), FHA_OK);
	assert_int_equal(fha_node_reload(other->node, &err), FHA_OK);
	assert_int_equal(fha_node_reload(other->node, &err), FHA_OK);
	assert_int_equal(other->node->entry_count, 2);
	TURN_UNTIL((text = leader() == NULL ? NULL : leader()->node->history.text) != NULL &&
			   strstr(text, "wal saved") != NULL && strstr(text, "500 bytes") != NULL);
	TURN_UNTIL((text = leader() == NULL ? NULL : leader()->node->history.text) != NULL &&
			   strstr(text, "slots removed") != NULL && strstr(text, "cdc") != NULL);
	assert_null(strstr(text, "\"term\":\"0\""));
	assert_null(strstr(text, "\"timeline\":0"));
	TURN_UNTIL(access(path, F_OK) != 0 && access(slots, F_OK) != 0);
}

/* A member that is down may have led since, for all that is known: it is named. */
static void
who_may_have_led_is_named(void **state)
{
	char command[2 * PATH_MAX];
	Player *old;
	Player *down;
	char named[FHA_SENTENCE_SIZE];

	(void) state;
	start_cluster();
	old = leader();
	down = old == &players[0] ? &players[1] : &players[0];
	down->absent = true;
	turn();
	(void) snprintf(command, sizeof(command), "rm -f %s/lock/*", root);
	/* A renewal that was on its way may put one back. */
	TURN_UNTIL(system(command) == 0 && old->node->world.watch.absent);
	/* As if it had slept since its last renewal. */
	old->node->world.confirmed_at_ms = 1;
	TURN_UNTIL(strstr(old->action.because, "the cluster has no record: put back") != NULL);
	/* The third member may not have written its record again when the first is named. */
	(void) snprintf(named, sizeof(named),
					"%s is on the list, has no record now, and may have led later",
					down->config.member_name);
	TURN_UNTIL(has_told(old->node, named));
	down->absent = false;
	TURN_UNTIL(leader() != NULL);
	assert_ptr_equal(leader(), old);
	assert_int_equal(old->node->world.cluster.term, 1);
}

/* What the listener shows is the fence (S1), and a leader only while its lease is good. */
static void
s1_health_follows_the_fence_and_the_lease(void **state)
{
	FhaHealth health = {.cluster = ""};
	Player *old;
	Player *third;

	(void) state;
	start_cluster();
	old = leader();
	TURN_UNTIL((fha_node_health(old->node, &health), health.fence_left_ms > 0));
	assert_true(health.fence_left_ms <= DEADLINE_MS);
	third = follower(old);
	health.fence_left_ms = 0;
	TURN_UNTIL((fha_node_health(third->node, &health), health.led));
	assert_true(health.fence_left_ms <= 0);
	assert_string_equal(health.holder, old->config.member_name);
	for (int i = 0; i < NODES; i++)
		players[i].view.too_small = &players[i] != old;
	old->absent = true;
	TURN_UNTIL((fha_node_health(third->node, &health), !health.led));
	/* Nobody who cannot be promoted takes it. */
	TURN_UNTIL(has_told(third->node, "this standby cannot be promoted: max_connections"));
	assert_null(leader());
	for (int i = 0; i < NODES; i++)
		players[i].view.too_small = false;
	TURN_UNTIL(leader() != NULL && leader() != old);
}

static FhaServes
serves(const Player *teller, const char *name)
{
	for (size_t i = 0; i < teller->node->world.member_count; i++)
		if (strcmp(teller->node->world.members[i].member, name) == 0)
			return teller->node->world.members[i].serves;
	return FHA_SERVES_NOTHING;
}

/* The record tells it where the leader is all the same; what it has of that, it cannot know. */
static void
a_standby_that_does_not_stream_ages(void **state)
{
	Player *first;
	Player *standby;

	(void) state;
	start_cluster();
	first = leader();
	standby = first == &players[0] ? &players[1] : &players[0];
	TURN_UNTIL(serves(first, first->config.member_name) == FHA_SERVES_PRIMARY);
	TURN_UNTIL(serves(first, standby->config.member_name) == FHA_SERVES_UNHEALTHY);
	standby->view.streaming = true;
	standby->view.replayed = UINT64_MAX;
	TURN_UNTIL(serves(first, standby->config.member_name) == FHA_SERVES_REPLICA);
	standby->view.streaming = false;
	TURN_UNTIL(serves(first, standby->config.member_name) == FHA_SERVES_UNHEALTHY);
	standby->view.streaming = true;
	TURN_UNTIL(serves(first, standby->config.member_name) == FHA_SERVES_REPLICA);
}

/* An outage of the lock is nothing to somebody who streams. */
static void
messages_of_the_stream_keep_a_standby_fresh(void **state)
{
	Player *standby;
	int64_t ends_at_ms;

	(void) state;
	start_cluster();
	standby = leader() == &players[0] ? &players[1] : &players[0];
	standby->view.too_small = true; /* it does not take the lease */
	standby->view.streaming = true;
	standby->view.heard_lsn = 1;
	standby->view.replayed = UINT64_MAX;
	TURN_UNTIL(standby->node->lag.freshness.fit);
	for (int i = 0; i < NODES; i++)
		if (&players[i] != standby)
			players[i].absent = true;
	ends_at_ms = fha_now_ms() + 2 * standby->config.max_replica_lag_ms;
	while (fha_now_ms() < ends_at_ms)
	{
		standby->view.heard_stamp++;
		turn();
		assert_true(standby->node->lag.freshness.fit);
	}
	TURN_UNTIL(!standby->node->lag.freshness.fit);
}

static void
a_lost_request_is_found_in_the_record(void **state)
{
	FhaNode *node;

	(void) state;
	node = lone_leader();
	TURN_UNTIL(node->pending == PENDING_NONE);
	node->request = (FhaRequest){.kind = FHA_REQUEST_RESTART};
	memcpy(node->request.id, node->world.cluster.request.id, FHA_ID_SIZE);
	node->request_waits = true;
	node->reread = true;
	node->unknown = true;
	node->lost = node->write;
	node->lost.pending = PENDING_REQUEST;
	node->lost.cluster = node->world.cluster;
	TURN_UNTIL(!node->unknown && node->pending != PENDING_READ_CLUSTER);
	assert_false(node->request_waits);
}

/* A copy of the data without the node's own directory: it learns whose it is. */
static void
data_without_a_state_joins_its_cluster(void **state)
{
	FhaState own = {.highest_term = 0};
	Player *third = &players[2];
	FhaError err;

	(void) state;
	player_make(0, "initdb");
	player_make(1, "none");
	TURN_UNTIL(leader() == &players[0] && players[1].view.state == FHA_PG_STANDBY);
	player_make(2, "none");
	memcpy(own.member, third->config.member_name, sizeof(own.member));
	memcpy(own.cluster, third->config.cluster_name, sizeof(own.cluster));
	assert_int_equal(fha_state_save(&third->config, &own, &err), FHA_OK);
	assert_int_equal(fha_node_reload(third->node, &err), FHA_OK);
	third->view.empty = false;
	third->view.system_identifier = 4711;
	third->view.position = (FhaPosition){1, 100};
	TURN_UNTIL(all_settled());
	assert_int_equal(fha_state_load(&third->config, &own, &err), FHA_OK);
	assert_string_equal(own.cluster_uuid, players[0].node->world.cluster.cluster_uuid);
	assert_int_equal(strlen(own.data_incarnation), sizeof(own.data_incarnation) - 1);
	/* S7: a job that read the file before the term was noted there writes it without. */
	assert_int_equal(own.highest_term, 1);
	own.highest_term = 0;
	assert_int_equal(fha_state_save(&third->config, &own, &err), FHA_OK);
	assert_int_equal(fha_node_reload(third->node, &err), FHA_OK);
	assert_int_equal(fha_state_load(&third->config, &own, &err), FHA_OK);
	assert_int_equal(own.highest_term, 1);
}

/* The other way round: what a job wrote is not undone by a term that is noted before the node reads it. */
static void
a_term_is_noted_beside_what_a_job_wrote(void **state)
{
	Player *only = &players[0];
	FhaState own;
	FhaError err;

	(void) state;
	player_make(0, "initdb");
	TURN_UNTIL(is_open(only));
	assert_int_equal(fha_state_load(&only->config, &own, &err), FHA_OK);
	memcpy(own.data_incarnation, "00000000000000aa", FHA_ID_SIZE);
	assert_int_equal(fha_state_save(&only->config, &own, &err), FHA_OK);
	assert_int_equal(node_term_heed(only->node, 7, &err), FHA_OK);
	assert_int_equal(fha_state_load(&only->config, &own, &err), FHA_OK);
	assert_int_equal(own.highest_term, 7);
	assert_string_equal(own.data_incarnation, "00000000000000aa");
}

static ino_t
directory_of(const Player *player)
{
	struct stat info;

	assert_int_equal(stat(player->config.state_directory, &info), 0);
	return info.st_ino;
}

/* A process that was killed between a rename and its flush has left a name that a power cut takes back. */
static void
s7_what_was_left_is_flushed_before_it_is_believed(void **state)
{
	Player *only = &players[0];
	FhaError err;

	(void) state;
	player_make(0, "initdb");
	TURN_UNTIL(is_open(only));
	fha_node_close(only->node);
	only->node = NULL;
	flushed = 0;
	player_open(only, true);
	assert_int_equal(flushed, directory_of(only));
	/* After a job too, and what cannot be flushed is not believed. */
	flushed = 0;
	assert_int_equal(fha_node_reload(only->node, &err), FHA_OK);
	assert_int_equal(flushed, directory_of(only));
	flushes_fail = true;
	assert_int_equal(fha_node_reload(only->node, &err), FHA_IO);
	flushes_fail = false;
}

static void
settings_whose_flush_failed_are_flushed_again(void **state)
{
	FhaSettings wanted = {.count = 1, .settings = {{.name = "work_mem", .value = "8MB"}}};
	Player *only = &players[0];
	bool changed;
	FhaError err;

	(void) state;
	player_make(0, "initdb");
	flushes_fail = true;
	assert_int_equal(fha_settings_write(&only->config, &wanted, &changed, &err), FHA_IO);
	assert_true(changed);
	flushes_fail = false;
	flushed = 0;
	assert_int_equal(fha_settings_write(&only->config, &wanted, &changed, &err), FHA_OK);
	assert_false(changed);
	assert_int_equal(flushed, directory_of(only));
}

static int64_t
since_boot_ms(void)
{
	struct timespec boot;

	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
	return (int64_t) boot.tv_sec * 1000 + boot.tv_nsec / 1000000;
}

static void
s3_time_is_counted_since_boot(void **state)
{
	int64_t before_at_ms = since_boot_ms();
	int64_t now_ms = fha_kernel_clock.now_ms(fha_kernel_clock.context);

	(void) state;
	assert_in_range(now_ms, before_at_ms, since_boot_ms());
}

/* What a host is to do about a promotion, once it is over. */
static void
s7_a_promotion_is_over_when_its_primary_leads(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	for (int i = 0; i < NODES; i++)
		assert_int_equal(players[i].action.promoted, &players[i] == old);
	assert_false(old->action.checkpoint);
	old->view.rewindable = false;
	step(old);
	assert_true(is_open(old));
	assert_true(old->action.checkpoint);
	/* Another one leads: this primary is on another timeline, its fence is shut, and others rewind to that one. */
	old->absent = true;
	TURN_UNTIL(leader() != NULL && leader() != old);
	assert_true(leader()->action.promoted);
	old->absent = false;
	old->view.rewindable = false;
	TURN_UNTIL(!old->action.holds_lease);
	assert_false(old->action.promoted);
	assert_false(old->action.checkpoint);
	TURN_UNTIL(all_settled());
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(one_founds_and_the_others_clone),
		TEST(a_silent_leader_is_replaced_after_its_lease),
		TEST(s1_requests_without_end_keep_no_dead_holder_alive),
		TEST(s1_a_lapsed_lease_is_looked_at_before_it_is_taken),
		TEST(what_is_archived_goes_with_renewals),
		TEST(a_released_lease_goes_to_the_best),
		TEST(what_nobody_has_stays_with_who_has_it),
		TEST(what_a_clean_stop_has_is_waited_for),
		TEST(what_a_crash_left_is_waited_for_in_vain),
		TEST(a_person_gives_up_what_a_clean_stop_has),
		TEST(the_end_of_a_clean_stop_outlives_who_took_it),
		TEST(the_end_of_a_clean_stop_outlives_who_took_it_back),
		TEST(a_forced_failover_needs_nobody_that_streams),
		TEST(a_forced_failover_that_nobody_takes_up_comes_back),
		TEST(an_end_that_cannot_be_read_asks_for_the_last_renewal_s),
		TEST(a_switchover_goes_where_it_was_asked_to),
		TEST(a_switchover_to_nobody_is_refused),
		TEST(an_older_term_is_refused),
		TEST(another_cluster_s_data_is_left_alone),
		TEST(a_lone_primary_starts_again_in_its_term),
		TEST(a_holder_past_its_timeline_begins_a_new_term),
		TEST(a_failing_holder_makes_room),
		TEST(a_failover_replaces_a_pending_switchover),
		TEST(another_incarnation_waits),
		TEST(s1b_a_renewal_that_was_never_ours_is_a_duplicate_s),
		TEST(s1b_no_nonce_of_ours_is_a_duplicate_s),
		TEST(s1b_a_late_write_of_any_process_of_ours_is_no_duplicate_s),
		TEST(s1b_what_a_process_reads_first_may_be_a_duplicate_s),
		TEST(s1b_a_member_writes_over_no_other_cluster_s_record),
		TEST(s1b_two_clusters_members_of_one_record_name),
		TEST(a_cluster_is_not_founded_where_a_member_writes),
		TEST(a_garbled_record_of_a_member_is_written_over),
		TEST(what_became_another_cluster_s_is_not_removed),
		TEST(a_namesake_waits_and_the_first_tells),
		TEST(s1_a_slow_answer_counts_from_the_sending),
		TEST(s1_a_read_extends_by_nothing_but_our_own_lost_write),
		TEST(s1_a_lost_lease_leaves_no_time),
		TEST(s1_a_handover_shuts_before_it_is_written),
		TEST(a_removed_member_is_forgotten_by_all),
		TEST(a_silent_member_leaves_the_list_and_comes_back),
		TEST(who_stays_on_the_list),
		TEST(a_deleted_record_of_a_member_is_forgotten),
		TEST(the_copy_of_the_record_follows_terms_and_members),
		TEST(s7_a_term_that_the_lock_forgot_is_taken_again),
		TEST(s7_the_leader_tells_identities_again),
		TEST(a_damaged_history_stops_nothing),
		TEST(a_request_in_the_way_is_told),
		TEST(entries_follow_one_another),
		TEST(a_restart_is_an_action_of_whom_it_names),
		TEST(what_a_successor_lacks_is_in_the_history),
		TEST(what_a_rewind_has_saved_is_in_the_history),
		TEST(who_may_have_led_is_named),
		TEST(s1_health_follows_the_fence_and_the_lease),
		TEST(a_standby_that_does_not_stream_ages),
		TEST(messages_of_the_stream_keep_a_standby_fresh),
		TEST(a_lost_request_is_found_in_the_record),
		TEST(data_without_a_state_joins_its_cluster),
		TEST(a_term_is_noted_beside_what_a_job_wrote),
		TEST(s7_what_was_left_is_flushed_before_it_is_believed),
		TEST(settings_whose_flush_failed_are_flushed_again),
		TEST(s3_time_is_counted_since_boot),
		TEST(s7_a_promotion_is_over_when_its_primary_leads),
	};

	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
