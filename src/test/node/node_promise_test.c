/*
 * node_promise_test.c: S10, promises between members while the lock does not answer.
 */
#include "test/node/players.h"

#include "config/state_directory.h"
#include "node/promise_file.h"

#define OUTAGE_LEASES 4
#define LONG_LEASES 5

static int
set_up_listeners(void **state)
{
	players_listen = true;
	return set_up(state);
}

/* Nobody reaches the lock, or everybody does again. */
static void
lock_out(bool out)
{
	char here[80];
	char away[80];

	(void) snprintf(here, sizeof(here), "%s/lock", root);
	(void) snprintf(away, sizeof(away), "%s/away", root);
	assert_int_equal(out ? rename(here, away) : rename(away, here), 0);
}

static void
turn_for(int64_t time_ms)
{
	int64_t end_at_ms = fha_now_ms() + time_ms;

	while (fha_now_ms() < end_at_ms)
		turn();
}

static void
start_again(Player *player)
{
	fha_node_close(player->node);
	player_open(player, false);
}

static Player *
a_standby(void)
{
	for (int i = 0; i < NODES; i++)
		if (&players[i] != leader() && players[i].view.state == FHA_PG_STANDBY)
			return &players[i];
	fail_msg("no standby");
	return NULL;
}

static bool
leads_by_promises(const Player *player)
{
	return is_open(player) && player->node->world.tenure.promised;
}

static int
promotions(void)
{
	int count = 0;

	for (int i = 0; i < NODES; i++)
		count += players[i].promotions;
	return count;
}

static void
a_holder_leads_on_while_all_promise(void **state)
{
	Player *old;
	int before;

	(void) state;
	start_cluster();
	old = leader();
	before = promotions();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	turn_for(OUTAGE_LEASES * LEASE_MS);
	/* Longer than any renewal lasts, and nobody else leads. */
	TURN_UNTIL(leads_by_promises(old));
	assert_string_equal(old->action.because,
						"this member leads on while the lock does not answer: all other members "
						"promise not to contend");
	lock_out(false);
	TURN_UNTIL(is_open(old) && !old->node->world.tenure.promised);
	TURN_UNTIL(all_settled());
	assert_ptr_equal(leader(), old);
	assert_int_equal(old->node->world.cluster.term, 1);
	assert_int_equal(promotions(), before);
}

static void
one_that_is_missing_shuts_the_fence(void **state)
{
	Player *old;
	Player *dead;

	(void) state;
	start_cluster();
	old = leader();
	dead = a_standby();
	dead->absent = true;
	lock_out(true);
	TURN_UNTIL(!is_open(old));
	turn_for(OUTAGE_LEASES * LEASE_MS);
	assert_null(leader());
	lock_out(false);
	TURN_UNTIL(leader() != NULL);
	dead->absent = false;
	TURN_UNTIL(all_settled());
}

/* The holder alone is cut off, when it has had promises; the others reach the lock and see it lapse. */
static void
who_promised_waits_for_as_long(void **state)
{
	Player *old;
	int64_t bound_at_ms;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	turn_for(OUTAGE_LEASES * LEASE_MS);
	TURN_UNTIL(leads_by_promises(old));
	old->absent = true;
	bound_at_ms = a_standby()->node->world.bound_ends_at_ms;
	assert_true(bound_at_ms >= old->action.write_ends_at_ms);
	lock_out(false);
	/* turn() asserts one writer; here the record, unchanged for leases, is not free at once. */
	TURN_UNTIL(leader() != NULL && leader() != old);
	assert_true(leader()->opened_at_ms >= old->action.write_ends_at_ms);
	assert_true(leader()->opened_at_ms >= bound_at_ms);
	old->absent = false;
	TURN_UNTIL(all_settled());
}

/* Whoever speaks for a member next is there in spite of the outage: it promises. */
static void
a_member_that_starts_in_an_outage(void **state)
{
	char sentence[512];
	Player *old;
	bool told = false;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	for (int i = 0; i < NODES; i++)
		if (&players[i] != old)
			start_again(&players[i]);
	turn_for(OUTAGE_LEASES * LEASE_MS);
	TURN_UNTIL(leads_by_promises(old));
	while (fha_node_news(a_standby()->node, sentence, sizeof(sentence)))
		told = told || strstr(sentence, "is not there: mount it") != NULL;
	assert_true(told);
	lock_out(false);
	/* Whether the first renewal comes before a promise ends is the machine's, not this test's. */
	TURN_UNTIL(all_settled() && !leader()->node->world.tenure.promised);
}

/* --- who asks on when PostgreSQL has died */

static void
keep_peers_file(const Player *player, const char *text)
{
	char path[FHA_PATH_SIZE];
	FhaError err;

	assert_int_equal(fha_state_path(&player->config, "peers.json", path, sizeof(path), &err),
					 FHA_OK);
	assert_int_equal(fha_file_replace(path, text, strlen(text), &err), FHA_OK);
}

/* As a holder that lives a moment ago would have written it. */
static void
keep_fresh_peers(const Player *player, const FhaPeers *peers, int64_t age_ms)
{
	FhaPeers fresh = *peers;
	char *text;
	FhaError err;

	fresh.written_at_ms = fha_now_ms() - age_ms;
	assert_int_equal(fha_peers_print(&fresh, &text, &err), FHA_OK);
	keep_peers_file(player, text);
	free(text);
}

static bool
all_are_bound_until(const Player *besides, int64_t ends_at_ms)
{
	for (int i = 0; i < NODES; i++)
		if (&players[i] != besides && players[i].node->world.bound_ends_at_ms < ends_at_ms)
			return false;
	return true;
}

/* Its list as another process finds it. */
static FhaPeers
peers_of(const Player *player)
{
	FhaPeers peers;
	FhaError err;
	FhaCode code = fha_peers_load(&player->config, &peers, &err);

	assert_true(code == FHA_OK || code == FHA_NOT_FOUND);
	assert_true(code == FHA_OK || peers.count == 0);
	return peers;
}

/*
 * A process that has not read the record speaks for the node now.  The lease is longer here, because
 * a busy machine takes a part of a short one to begin to ask.
 */
static FhaPeers
sit_anew(Player *player)
{
	FhaPeers peers;

	/* Which may be writing it. */
	fha_node_close(player->node);
	peers = peers_of(player);
	peers.duration_ms = LONG_LEASES * LEASE_MS;
	keep_fresh_peers(player, &peers, 0);
	player_open(player, false);
	return peers_of(player);
}

/* PostgreSQL is dead: it is the supervisor. */
static FhaPeers
die(Player *player)
{
	player->view.state = FHA_PG_DOWN;
	player->view.required = player->view.position;
	return sit_anew(player);
}

static void
the_others_wait_on_for_who_dies(void **state)
{
	Player *old;
	FhaPeers peers;
	int64_t died_at_ms;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old) && peers_of(old).count == NODES - 1);
	assert_true(peers_of(old).written_at_ms <= fha_now_ms());
	assert_int_equal(peers_of(old).duration_ms, LEASE_MS);
	/* A holder that lives writes it anew. */
	peers = peers_of(old);
	TURN_UNTIL(peers_of(old).written_at_ms > peers.written_at_ms);
	peers = die(old);
	died_at_ms = fha_now_ms();
	TURN_UNTIL(all_are_bound_until(old, died_at_ms + LONG_LEASES * LEASE_MS));
	/* Another process asks on, and no longer than the first would have. */
	start_again(old);
	TURN_UNTIL(old->node->promises.count == NODES - 1);
	while (old->node->promises.client != NULL)
	{
		turn();
		assert_true(fha_now_ms() < died_at_ms + BOUND_MS);
		/* It leads by no answer. */
		assert_false(is_open(old));
		for (size_t i = 0; i < old->node->promises.count; i++)
			assert_int_equal(old->node->promises.of[i].sent_at_ms, 0);
	}
	assert_true(fha_now_ms() >= peers.written_at_ms + LONG_LEASES * LEASE_MS);
	start_again(old);
	for (int64_t end_at_ms = fha_now_ms() + LEASE_MS; fha_now_ms() < end_at_ms; turn())
		assert_null(old->node->promises.client);
	assert_int_equal(peers_of(old).written_at_ms, peers.written_at_ms);
	lock_out(false);
	TURN_UNTIL(all_settled());
}

/* A backend crashed: the agent of the same server finds the list, and goes on in its term. */
static void
a_server_that_restarts_in_an_outage_leads_on(void **state)
{
	Player *old;
	int64_t died_at_ms;
	int before;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old) && peers_of(old).count == NODES - 1);
	before = promotions();
	(void) sit_anew(old);
	died_at_ms = fha_now_ms();
	TURN_UNTIL(all_are_bound_until(old, died_at_ms + LONG_LEASES * LEASE_MS));
	assert_false(is_open(old));
	lock_out(false);
	TURN_UNTIL(is_open(old));
	/* Nobody was faster. */
	assert_int_equal(promotions(), before);
	/* If it asks again already, it does so as a holder. */
	assert_true(old->node->promises.client == NULL || old->node->promises.counts);
	TURN_UNTIL(all_settled());
}

static bool
asks(Player *player)
{
	bool asks = false;

	start_again(player);
	for (int i = 0; i < 5; i++)
	{
		turn();
		asks = asks || player->node->promises.client != NULL;
	}
	return asks;
}

static void
nobody_is_asked_to_wait_in_vain(void **state)
{
	Player *old;
	FhaPgView view;
	FhaPeers good;
	FhaPeers peers;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old) && peers_of(old).count == NODES - 1);
	good = die(old);
	view = old->view;
#define ASKS_WITH(field, value) \
	(old->view = view, old->view.field = (value), keep_fresh_peers(old, &good, 0), asks(old))
	/* Another has to lead, or this node says so itself. */
	assert_false(ASKS_WITH(failed, true));
	assert_false(ASKS_WITH(stopping, true));
	assert_false(ASKS_WITH(job, true));
	assert_false(ASKS_WITH(empty, true));
	assert_false(ASKS_WITH(damaged, true));
	assert_false(ASKS_WITH(state, FHA_PG_STANDBY));
	assert_true(ASKS_WITH(state, FHA_PG_BUSY));
	old->view = view;
	/* Another lease, another clock. */
#define ASKS_AFTER(change) (peers = good, (change), keep_fresh_peers(old, &peers, 0), asks(old))
	assert_false(ASKS_AFTER(peers.term--));
	assert_false(ASKS_AFTER(peers.cluster_uuid[0] ^= 1));
	assert_false(ASKS_AFTER(peers.boot_id[0] ^= 1));
	assert_false(ASKS_AFTER(peers.time_namespace[0] ^= 1));
	assert_false(ASKS_AFTER(peers.count = 0));
	keep_fresh_peers(old, &good, LONG_LEASES * LEASE_MS);
	assert_false(asks(old));
	keep_fresh_peers(old, &good, -100 * LEASE_MS);
	assert_false(asks(old));
	keep_fresh_peers(old, &good, 0);
	assert_true(asks(old));
	/* Whoever has seen the record decides by it, also while the lock is away again. */
	lock_out(false);
	TURN_UNTIL(old->node->world.watch.seen);
	lock_out(true);
	assert_null(old->node->promises.client);
	lock_out(false);
	TURN_UNTIL(all_settled());
}

static void
a_damaged_list_keeps_nobody_from_starting(void **state)
{
	static const char *const damaged[] = {"",
										  "[]",
										  "{\"term\": \"x\"}",
										  "{\"written_ms\": -1}",
										  "{\"members\": [3]}",
										  "{\"members\": [{\"member\": 3}]}"};
	char sentence[512];

	(void) state;
	player_make(0, "initdb");
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
	{
		keep_peers_file(&players[0], damaged[i]);
		start_again(&players[0]);
		assert_int_equal(players[0].node->promises.peers.count, 0);
		assert_true(fha_node_news(players[0].node, sentence, sizeof(sentence)));
		assert_non_null(strstr(sentence, "peers.json\" cannot be used"));
	}
}

/* --- who is asked */

static FhaQuestion
question_of(const Player *holder)
{
	FhaQuestion asked = {.kind = FHA_KIND_PROMISE};
	const FhaWorld *world = &holder->node->world;

	memcpy(asked.from, world->self.member, sizeof(asked.from));
	memcpy(asked.from_incarnation, world->self.incarnation, sizeof(asked.from_incarnation));
	memcpy(asked.promise.cluster_uuid, world->cluster.cluster_uuid,
		   sizeof(asked.promise.cluster_uuid));
	asked.promise.term = world->cluster.term;
	asked.promise.duration_ms = LEASE_MS;
	return asked;
}

static const char *
refusal(Player *player, const FhaQuestion *asked)
{
	static FhaPromise promise;
	int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;

	do
	{
		fha_node_promise(player->node, asked, &promise);
		pass(1);
		assert_true(fha_now_ms() < give_up_at_ms);
	} while (promise.soon);
	assert_string_equal(promise.data_incarnation, player->node->state.data_incarnation);
	assert_true(promise.given == (promise.why[0] == '\0'));
	return promise.why;
}

static void
a_promise_outlives_its_giver(void **state)
{
	Player *standby;
	FhaQuestion asked;
	FhaPromiseFile file;
	FhaError err;
	int64_t bound_at_ms;

	(void) state;
	start_cluster();
	standby = a_standby();
	asked = question_of(leader());
	asked.promise.duration_ms = 100 * LEASE_MS;
	assert_string_equal(refusal(standby, &asked), "");
	bound_at_ms = standby->node->world.bound_ends_at_ms;
	assert_true(bound_at_ms > fha_now_ms() + 50 * LEASE_MS);
	/* A shorter one afterwards does not shorten it. */
	asked.promise.duration_ms = LEASE_MS;
	assert_string_equal(refusal(standby, &asked), "");
	assert_int_equal(standby->node->world.bound_ends_at_ms, bound_at_ms);
	start_again(standby);
	assert_true(standby->node->world.bound_ends_at_ms > fha_now_ms() + 50 * LEASE_MS);

	/* Another boot, or another machine: nobody knows how long ago it was given. */
	assert_int_equal(fha_promise_file_load(&standby->config, &file, &err), FHA_OK);
	memset(file.boot_id, 'f', sizeof(file.boot_id) - 1);
	file.ends_at_ms = 1;
	file.for_ms = 70 * LEASE_MS;
	assert_int_equal(fha_promise_file_save(&standby->config, &file, &err), FHA_OK);
	start_again(standby);
	assert_true(standby->node->world.bound_ends_at_ms > fha_now_ms() + 60 * LEASE_MS);
	/* It counts from the first start there. */
	bound_at_ms = standby->node->world.bound_ends_at_ms;
	start_again(standby);
	assert_int_equal(standby->node->world.bound_ends_at_ms, bound_at_ms);

	/* A container with another offset to the clock; also what was written by a release that noted none. */
	assert_int_equal(fha_promise_file_load(&standby->config, &file, &err), FHA_OK);
	file.time_namespace[0] = '\0';
	file.ends_at_ms = 1;
	assert_int_equal(fha_promise_file_save(&standby->config, &file, &err), FHA_OK);
	start_again(standby);
	assert_true(standby->node->world.bound_ends_at_ms > fha_now_ms() + 60 * LEASE_MS);
}

static void
what_may_not_be_promised(void **state)
{
	Player *standby;
	FhaQuestion good;
	FhaQuestion asked;

	(void) state;
	start_cluster();
	standby = a_standby();
	good = question_of(leader());
	assert_string_equal(refusal(standby, &good), "");

	asked = good;
	asked.promise.cluster_uuid[0] ^= 1;
	assert_string_equal(refusal(standby, &asked),
						"this member's data is of another cluster, or of none yet");
	asked = good;
	asked.promise.duration_ms = 0;
	assert_string_equal(refusal(standby, &asked), "nobody promises for so long");
	asked.promise.duration_ms = FHA_LEASE_MAX_MS + 1;
	assert_string_equal(refusal(standby, &asked), "nobody promises for so long");
	asked = good;
	asked.promise.term = 0;
	assert_string_equal(refusal(standby, &asked), "this member has seen a later term");
	asked = good;
	asked.from_incarnation[0] ^= 1;
	assert_string_equal(refusal(standby, &asked), "another holds the lease of that term");
	asked = good;
	asked.from[0] = 'x';
	assert_string_equal(refusal(standby, &asked), "another holds the lease of that term");
	/* The holder itself, asked by who held the term before. */
	asked = question_of(standby);
	assert_string_equal(refusal(leader(), &asked), "another holds the lease of that term");
	standby->node->world.cluster.released = true;
	assert_string_equal(refusal(standby, &good), "the lease of that term was released");
	standby->node->world.cluster.released = false;
	/* Who asked for it knows that the holder loses what it goes on to acknowledge. */
	standby->node->world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	assert_string_equal(refusal(standby, &good), "an operator has asked for a failover");
	standby->node->world.cluster.request.state = FHA_REQUEST_FAILED;
	assert_string_equal(refusal(standby, &good), "");
	memset(&standby->node->world.cluster.request, 0, sizeof(FhaRequest));
	/* A later term that the record showed and that is not on disk yet; that a member knows of. */
	standby->node->world.cluster.term++;
	assert_string_equal(refusal(standby, &good), "this member has seen a later term");
	standby->node->world.cluster.term--;
	standby->node->world.others_term = good.promise.term + 1;
	assert_string_equal(refusal(standby, &good), "this member has seen a later term");
	standby->node->world.others_term = 0;
	assert_string_equal(refusal(standby, &good), "");
}

/* S1b, S10: another node lives under its name, with the same data; that one would contend. */
static void
a_duplicate_does_not_promise(void **state)
{
	Player *standby;
	FhaWorld *world;
	FhaQuestion good;
	FhaMember *own;

	(void) state;
	start_cluster();
	standby = a_standby();
	world = &standby->node->world;
	good = question_of(leader());
	own = world->members;
	while (strcmp(own->member, world->self.member) != 0)
		own++;
	own->incarnation[0] ^= 1;
	own->liveness[0] ^= 1;
	world->self.spoken = false;
	assert_string_equal(refusal(standby, &good), "another node lives under this member's name");
	/* It came back in its own directory. */
	own->liveness[0] ^= 1;
	assert_string_equal(refusal(standby, &good), "");
}

/* S7: once a term is promised, a lower one is led and promised by nobody here, also after a restart. */
static void
a_promised_term_is_the_lowest_from_then_on(void **state)
{
	Player *standby;
	FhaQuestion good;
	FhaQuestion asked;
	FhaState saved;
	FhaError err;

	(void) state;
	start_cluster();
	standby = a_standby();
	good = question_of(leader());
	asked = good;
	asked.promise.term++;
	assert_string_equal(refusal(standby, &asked), "");
	assert_int_equal(fha_state_load(&standby->config, &saved, &err), FHA_OK);
	assert_int_equal(saved.highest_term, asked.promise.term);
	assert_string_equal(refusal(standby, &good), "this member has seen a later term");
	TURN_UNTIL(strstr(standby->action.because, "older term") != NULL);
	start_again(standby);
	assert_string_equal(refusal(standby, &good), "this member has seen a later term");
	/* What cannot be kept is not promised. */
	asked.promise.term = INT64_MAX;
	assert_non_null(strstr(refusal(standby, &asked), "too large"));
}

/* The lock was put back to an older copy, and this member leads a term that is over. */
static void
who_leads_a_lower_term_gives_way(void **state)
{
	Player *old;
	FhaQuestion asked;

	(void) state;
	start_cluster();
	old = leader();
	asked = question_of(a_standby());
	asked.promise.term++;
	assert_true(is_open(old));
	assert_string_equal(refusal(old, &asked),
						"this member leads an older term, and gives way: ask again");
	assert_string_equal(refusal(old, &asked),
						"this member leads an older term, and gives way: ask again");
	turn();
	assert_false(is_open(old));
	assert_string_equal(refusal(old, &asked), "");
	turn_for(OUTAGE_LEASES * LEASE_MS);
	assert_false(is_open(old));
}

static void
contend(FhaNode *node)
{
	int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;
	FhaError err;
	FhaCode code;

	do
	{
		code = node_promises_contend(node, fha_now_ms(), &err);
		pass(1);
		assert_true(fha_now_ms() < give_up_at_ms);
	} while (code == FHA_AGAIN);
	assert_int_equal(code, FHA_OK);
}

static void
who_may_still_get_the_lease_does_not_promise(void **state)
{
	static const char doubt[] =
		"this member has tried to take the lease, and does not know yet how that ended";
	Player *standby;
	FhaQuestion asked;
	FhaNode *node;
	char version[FHA_VERSION_SIZE];

	(void) state;
	start_cluster();
	standby = a_standby();
	asked = question_of(leader());
	node = standby->node;
	memcpy(version, node->world.watch.version, sizeof(version));
	contend(node);
	assert_string_equal(refusal(standby, &asked), doubt);
	/* It is on disk: the next owner knows of it. */
	start_again(standby);
	node = standby->node;
	assert_string_equal(refusal(standby, &asked), doubt);
	/* The record as it was: the take may still arrive. */
	node_promises_read(node, version, fha_now_ms());
	assert_string_equal(refusal(standby, &asked), doubt);
	/* That another attempt was refused says nothing of the first. */
	node_promises_settled(node, FHA_IO, fha_now_ms());
	assert_string_equal(refusal(standby, &asked), doubt);
	/* Nor that it came too late: the first may be what it came second to. */
	node_promises_settled(node, FHA_CONFLICT, fha_now_ms());
	assert_string_equal(refusal(standby, &asked), doubt);
	node_promises_settled(node, FHA_NOT_FOUND, fha_now_ms());
	assert_string_equal(refusal(standby, &asked), doubt);
	node_promises_read(node, "another", fha_now_ms());
	assert_string_equal(refusal(standby, &asked), "");
	/* An attempt that was answered, with none lost before it, is over. */
	contend(node);
	node_promises_settled(node, FHA_CONFLICT, fha_now_ms());
	assert_string_equal(refusal(standby, &asked), "");
	/* And that is on disk, so that the next owner promises, though the lock may be away then. */
	contend(node);
	node_promises_settled(node, FHA_OK, fha_now_ms());
	TURN_UNTIL(node->promises.durable.contended[0] == '\0');
	start_again(standby);
	node = standby->node;
	assert_string_equal(node->promises.file.contended, "");

	contend(node);
	node_promises_settled(node, FHA_IO, fha_now_ms());
	assert_string_equal(refusal(standby, &asked), "");
	contend(node);
	node_promises_settled(node, FHA_UNKNOWN, fha_now_ms());
	node_promises_settled(node, FHA_DENIED, fha_now_ms());
	assert_string_equal(refusal(standby, &asked), doubt);
	node_promises_read(node, "another", fha_now_ms());
	assert_string_equal(refusal(standby, &asked), "");
}

/* Else an owner that dies in between leaves one that would promise below its own node's term. */
static void
the_term_is_on_disk_before_a_take_is_forgotten(void **state)
{
	Player *standby;
	FhaNode *node;
	char path[FHA_PATH_SIZE];
	char aside[FHA_PATH_SIZE + 8];
	FhaState saved;
	FhaError err;

	(void) state;
	start_cluster();
	standby = a_standby();
	node = standby->node;
	contend(node);
	/* Its take was lost, and has won. */
	node->world.cluster.term++;
	assert_int_equal(fha_state_path(&standby->config, "node.json", path, sizeof(path), &err),
					 FHA_OK);
	(void) snprintf(aside, sizeof(aside), "%s.aside", path);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	node_promises_read(node, "another", fha_now_ms());
	assert_string_not_equal(node->promises.file.contended, "");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(aside, path), 0);
	node_promises_read(node, "another", fha_now_ms());
	assert_string_equal(node->promises.file.contended, "");
	assert_int_equal(fha_state_load(&standby->config, &saved, &err), FHA_OK);
	assert_int_equal(saved.highest_term, node->world.cluster.term);
}

/* The watch tells a process that starts the newest version before its first read is sent. */
static void
a_take_whose_end_is_not_known_is_read_about(void **state)
{
	Player *standby;
	FhaQuestion asked;

	(void) state;
	start_cluster();
	standby = a_standby();
	asked = question_of(leader());
	contend(standby->node);
	start_again(standby);
	standby->node->reread = false;
	standby->node->read_at_ms = fha_now_ms();
	TURN_UNTIL(standby->node->promises.file.contended[0] == '\0');
	assert_string_equal(refusal(standby, &asked), "");
}

static void
what_cannot_be_written_down_is_not_promised(void **state)
{
	Player *standby;
	FhaQuestion asked;
	char path[FHA_PATH_SIZE];
	FhaError err;

	(void) state;
	start_cluster();
	standby = a_standby();
	asked = question_of(leader());
	/* A directory in the place of the file. */
	assert_int_equal(fha_state_path(&standby->config, "bond.json", path, sizeof(path), &err),
					 FHA_OK);
	(void) unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_non_null(strstr(refusal(standby, &asked), "bond.json"));
	assert_int_equal(standby->node->world.bound_ends_at_ms, 0);
	assert_int_equal(rmdir(path), 0);
}

static void
a_damaged_promise_file_is_told(void **state)
{
	static const char *const damaged[] = {"",
										  "[]",
										  "{\"for_ms\": -1}",
										  "{\"until_ms\": \"x\"}",
										  "{\"for_ms\": 600001}",
										  "{\"contended\": 3}"};
	FhaConfig *config = &players[0].config;
	char path[FHA_PATH_SIZE];
	FhaPromiseFile file;
	FhaError err;

	(void) state;
	player_make(0, "initdb");
	assert_int_equal(fha_state_path(config, "bond.json", path, sizeof(path), &err), FHA_OK);
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
	{
		assert_int_equal(fha_file_replace(path, damaged[i], strlen(damaged[i]), &err), FHA_OK);
		assert_int_equal(fha_promise_file_load(config, &file, &err), FHA_INVALID);
		assert_non_null(strstr(err.text, "bond.json"));
		fha_node_close(players[0].node);
		assert_int_equal(fha_node_open(&players[0].node, config, played_clock(),
									   players[0].incarnation, true, &err),
						 FHA_INVALID);
	}
}

/* While it leads by promises the record's position is as old as the outage. */
static void
who_promises_knows_where_the_holder_was(void **state)
{
	FhaQuestion asked;
	Player *old;
	Player *standby;
	uint64_t lsn;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	old->view.position.lsn += 5000;
	lsn = old->view.position.lsn;
	for (int i = 0; i < NODES; i++)
		if (&players[i] != old)
			TURN_UNTIL(players[i].node->world.heard.lsn == lsn);
	/* A process that stays the owner after it knows it too. */
	standby = a_standby();
	/* A supervisor that cannot read the end of its WAL asks on. */
	asked = question_of(old);
	asked.promise.position = (FhaPosition){old->view.position.timeline, FHA_LSN_UNREAD};
	assert_string_equal(refusal(standby, &asked), "");
	assert_int_equal(standby->node->world.heard.lsn, lsn);
	TURN_UNTIL(standby->node->promises.durable.heard.lsn == lsn);
	old->absent = true;
	lock_out(false);
	start_again(standby);
	assert_int_equal(standby->node->world.heard.lsn, lsn);
	assert_int_equal(standby->node->world.heard_term, 1);
	assert_string_equal(standby->node->world.heard_from, old->config.member_name);
	/* max_lag_bytes is 1000: nobody may lead. */
	TURN_UNTIL(strstr(standby->action.because, "would lose more than allowed") != NULL);
	turn_for(OUTAGE_LEASES * LEASE_MS);
	assert_null(leader());
	standby->view.position.lsn = lsn - 900;
	TURN_UNTIL(leader() == standby);
	assert_non_null(strstr(standby->node->entry_count > 0 ? standby->node->entries[0].reason
														  : standby->node->history.text,
						   "900 bytes of WAL more when it last asked"));
	old->absent = false;
	TURN_UNTIL(all_settled());
}

/* --- who asks */

/* Somebody who answers, and does not promise. */
static void
a_refusal_is_no_promise(void **state)
{
	Player *old;
	Player *standby;

	(void) state;
	start_cluster();
	old = leader();
	standby = a_standby();
	lock_out(true);
	/* A read that was on its way would end what follows; nobody is asked yet. */
	turn_for(RETRY_MS / 2);
	(void) snprintf(standby->node->promises.file.contended, FHA_VERSION_SIZE, "1");
	standby->node->promises.lost_take = true;
	TURN_UNTIL(!is_open(old));
	turn_for(OUTAGE_LEASES * LEASE_MS);
	assert_null(leader());
	lock_out(false);
	TURN_UNTIL(all_settled());
}

/* This data may soon be on a machine that knows nothing of it. */
static void
a_holder_s_own_word_is_on_disk_before_it_counts(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	old->node->promises.write_again_at_ms = INT64_MAX / 2;
	lock_out(true);
	TURN_UNTIL(!is_open(old));
	turn_for(OUTAGE_LEASES * LEASE_MS);
	assert_null(leader());
	old->node->promises.write_again_at_ms = 0;
	TURN_UNTIL(leads_by_promises(old));
	lock_out(false);
	TURN_UNTIL(all_settled());
}

/* While a disk is slow nobody waits for it, and what it has already is enough. */
static void
a_slow_disk_is_asked_in_advance(void **state)
{
	Player *standby;
	FhaQuestion asked;
	FhaPromise promise;
	int64_t ends_at_ms;

	(void) state;
	start_cluster();
	standby = a_standby();
	asked = question_of(leader());
	standby->node->promises.write_again_at_ms = INT64_MAX / 2;
	fha_node_promise(standby->node, &asked, &promise);
	assert_true(promise.soon && !promise.given);
	assert_string_equal(promise.why, "this member's word is not on its disk yet: ask again");
	assert_int_equal(standby->node->world.bound_ends_at_ms, 0);
	standby->node->promises.write_again_at_ms = 0;
	assert_string_equal(refusal(standby, &asked), "");
	/* As long again, from what is there. */
	standby->node->promises.write_again_at_ms = INT64_MAX / 2;
	ends_at_ms = fha_now_ms() + LEASE_MS / 2;
	while (fha_now_ms() < ends_at_ms)
	{
		fha_node_promise(standby->node, &asked, &promise);
		assert_true(promise.given);
		pass(1);
	}
	pass(LEASE_MS);
	fha_node_promise(standby->node, &asked, &promise);
	assert_false(promise.given);
}

/* A member that says so is asked again soon, and that is no refusal. */
static void
who_waits_for_its_disk_is_asked_again(void **state)
{
	char sentence[512];
	Player *old;
	int most_soon = 0;

	(void) state;
	/* More than a member waits for it, and much less than a lease. */
	disk_takes_ms = 60;
	start_cluster();
	old = leader();
	lock_out(true);
	while (!leads_by_promises(old))
	{
		for (size_t i = 0; i < old->node->promises.count; i++)
			if (old->node->promises.of[i].soon > most_soon)
				most_soon = old->node->promises.of[i].soon;
		turn();
		assert_true(fha_now_ms() < old->opened_at_ms + BOUND_MS);
	}
	assert_true(most_soon > 0);
	while (fha_node_news(old->node, sentence, sizeof(sentence)))
		assert_null(strstr(sentence, "does not promise"));
	lock_out(false);
	TURN_UNTIL(all_settled());
}

/* A take that waits for the disk is not sent, and forgotten when it is not wanted any more. */
static void
a_take_waits_for_the_disk(void **state)
{
	Player *standby;
	FhaNode *node;
	FhaError err;

	(void) state;
	start_cluster();
	standby = a_standby();
	node = standby->node;
	node->promises.write_again_at_ms = INT64_MAX / 2;
	leader()->absent = true;
	TURN_UNTIL(leader() == NULL);
	assert_int_equal(node_promises_contend(node, fha_now_ms(), &err), FHA_AGAIN);
	assert_string_not_equal(node->promises.file.contended, "");
	node_promises_keep(node, fha_now_ms());
	assert_string_equal(node->promises.file.contended, "");
	TURN_UNTIL(leader() != NULL);
	assert_ptr_not_equal(leader(), standby);
	node->promises.write_again_at_ms = 0;
	for (int i = 0; i < NODES; i++)
		players[i].absent = false;
	TURN_UNTIL(all_settled());
}

static void
give_password(Player *player, const char *line)
{
	char path[FHA_PATH_SIZE];
	FhaError err;

	assert_int_equal(fha_state_path(&player->config, "pgpass", path, sizeof(path), &err), FHA_OK);
	assert_int_equal(fha_file_replace(path, line, strlen(line), &err), FHA_OK);
}

/* One member after another has the new one: whoever is first, the holder or another, leads on or promises. */
static void
a_new_password_in_an_outage(void **state)
{
	char line[80];
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	for (int first = 0; first < NODES; first++)
	{
		(void) snprintf(line, sizeof(line), "*:*:*:fawkes_replication:another-%d\n", first);
		for (int i = 0; i < NODES; i++)
		{
			Player *player = &players[(first + i) % NODES];

			give_password(player, line);
			/* The holder is not told to reload. */
			if (player != old)
				fha_listener_reload(player->listener, &player->config);
			turn_for(LEASE_MS / 2);
		}
		turn_for(2 * LEASE_MS);
		TURN_UNTIL(leads_by_promises(old));
	}
	lock_out(false);
	TURN_UNTIL(all_settled());
	assert_ptr_equal(leader(), old);
}

/* The lease became longer while the answer was under way. */
static void
a_promise_for_less_does_not_count(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	while (is_open(old))
	{
		for (size_t i = 0; i < old->node->promises.count; i++)
		{
			old->node->promises.of[i].asked_for_ms = LEASE_MS - 1;
			old->node->promises.of[i].for_ms = LEASE_MS - 1;
		}
		turn();
		assert_true(fha_now_ms() < old->opened_at_ms + BOUND_MS);
	}
	lock_out(false);
	TURN_UNTIL(all_settled());
}

/* Data that the list does not name may be a copy that nobody has promised for. */
static void
only_the_data_on_the_list_can_promise(void **state)
{
	Player *old;
	Player *standby;

	(void) state;
	start_cluster();
	old = leader();
	standby = a_standby();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	standby->node->world.self.data_incarnation[0] ^= 1;
	standby->node->state.data_incarnation[0] ^= 1;
	TURN_UNTIL(!is_open(old));
	turn_for(OUTAGE_LEASES * LEASE_MS);
	assert_null(leader());
	standby->node->state.data_incarnation[0] ^= 1;
	standby->node->world.self.data_incarnation[0] ^= 1;
	/* Nobody has taken the lease meanwhile, and all promise: it leads again. */
	TURN_UNTIL(leads_by_promises(old));
	lock_out(false);
	TURN_UNTIL(all_settled());
	assert_ptr_equal(leader(), old);
}

/* A write of ours that got no answer may have put somebody on the list. */
static void
who_may_be_on_the_list_must_promise_too(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	old->node->unknown = true;
	old->node->lost = old->node->write;
	old->node->lost.cluster = old->node->world.cluster;
	assert_true(fha_member_list(&old->node->lost.cluster, "n9", "00000000000000aa"));
	TURN_UNTIL(!is_open(old));
	old->node->unknown = false;
	TURN_UNTIL(leads_by_promises(old));
	lock_out(false);
	TURN_UNTIL(all_settled());
}

/* A read that shows the version which the lost write was to replace does not say that it will not come. */
static void
who_a_late_write_may_list_must_promise_too(void **state)
{
	FhaCluster list;
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	list = old->node->world.cluster;
	assert_true(fha_member_list(&list, "n9", "00000000000000aa"));
	node_promises_lost(old->node, &list);
	node_promises_lost(old->node, &list);
	assert_int_equal(old->node->promises.late_count, NODES + 1);
	old->node->unknown = false;
	TURN_UNTIL(!is_open(old));
	/* Another version stands there now: it comes too late. */
	(void) snprintf(old->node->promises.late_version, sizeof(old->node->promises.late_version),
					"before");
	TURN_UNTIL(leads_by_promises(old));
	/* Lists of an earlier version are forgotten. */
	node_promises_lost(old->node, &old->node->world.cluster);
	assert_int_equal(old->node->promises.late_count, NODES);
	lock_out(false);
	TURN_UNTIL(all_settled());
}

/* A request to hand over: whoever gets the lease relies on this holder's silence. */
static void
a_request_to_hand_over_ends_it(void **state)
{
	Player *old;

	(void) state;
	start_cluster();
	old = leader();
	lock_out(true);
	TURN_UNTIL(leads_by_promises(old));
	old->node->world.cluster.request.kind = FHA_REQUEST_FAILOVER;
	old->node->world.cluster.request.state = FHA_REQUEST_PENDING;
	(void) snprintf(old->node->world.cluster.request.target, FHA_NAME_SIZE, "%s",
					old->config.member_name);
	TURN_UNTIL(!is_open(old));
	old->node->world.cluster.request.kind = FHA_REQUEST_NONE;
	lock_out(false);
	TURN_UNTIL(all_settled());
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_listeners, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_holder_leads_on_while_all_promise),
		TEST(one_that_is_missing_shuts_the_fence),
		TEST(who_promised_waits_for_as_long),
		TEST(a_member_that_starts_in_an_outage),
		TEST(the_others_wait_on_for_who_dies),
		TEST(a_server_that_restarts_in_an_outage_leads_on),
		TEST(nobody_is_asked_to_wait_in_vain),
		TEST(a_damaged_list_keeps_nobody_from_starting),
		TEST(a_promise_outlives_its_giver),
		TEST(what_may_not_be_promised),
		TEST(a_duplicate_does_not_promise),
		TEST(a_promised_term_is_the_lowest_from_then_on),
		TEST(who_leads_a_lower_term_gives_way),
		TEST(who_may_still_get_the_lease_does_not_promise),
		TEST(the_term_is_on_disk_before_a_take_is_forgotten),
		TEST(a_take_whose_end_is_not_known_is_read_about),
		TEST(what_cannot_be_written_down_is_not_promised),
		TEST(a_damaged_promise_file_is_told),
		TEST(who_promises_knows_where_the_holder_was),
		TEST(a_refusal_is_no_promise),
		TEST(a_holder_s_own_word_is_on_disk_before_it_counts),
		TEST(a_slow_disk_is_asked_in_advance),
		TEST(who_waits_for_its_disk_is_asked_again),
		TEST(a_take_waits_for_the_disk),
		TEST(a_new_password_in_an_outage),
		TEST(a_promise_for_less_does_not_count),
		TEST(only_the_data_on_the_list_can_promise),
		TEST(who_may_be_on_the_list_must_promise_too),
		TEST(who_a_late_write_may_list_must_promise_too),
		TEST(a_request_to_hand_over_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
