/*
 * players.h: several nodes, one directory lock, servers that are only a few variables.
 *
 * Leases are short, 400 ms, and time passes with the turns alone (played_time.h).  The lock is in this
 * process (played_lock.h), and the disk takes as long as is said here.  The program is linked with --wrap=
 * for each function that is here as __wrap_.
 */
#ifndef FHA_PLAYERS_H
#define FHA_PLAYERS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/writer.h"
#include "config/state_directory.h"
#include "lock/lock.h"
#include "node/node.h"
#include "node/private.h"
#include "node/state.h"
#include "peer/client.h"
#include "peer/listener.h"
#include "record/history.h"
#include "record/record.h"
#include "record/request.h"

#include "test/node/played_time.h"

#include "test/node/played_lock.h"

#define NODES 3
#define LEASE_MS 400
#define DEADLINE_MS 250
#define RETRY_MS 50
#define BOUND_MS 20000
/* So much time passes in a turn in which nothing more is to be done; else a millisecond. */
#define TURN_MS 5
/* Fewer turns than pass until a retry. */
#define HURRIES_MAX 5
/* What a write to the disk takes, if no test says otherwise. */
#define DISK_MS 2
/* So long the kernel may take to carry a few bytes from this process to itself. */
#define CARRY_MS 10000
#define PGPASS "*:*:*:fawkes_replication:a-password\n"

/* A node whose PostgreSQL is played: it does each host action at once. */
typedef struct Player
{
	FhaConfig config;
	FhaNode *node;
	FhaPgView view;
	FhaHostAction action;
	char incarnation[FHA_ID_SIZE];
	FhaSpeakers speakers;
	int listen_fd; /* where it answers, if players_listen; else -1 */
	FhaListener *listener;
	bool unreachable; /* nobody streams from it */
	bool copying;     /* a job on its data lasts until this is taken back */
	bool absent;      /* not stepped: stopped, cut off or dead */
	bool has_action;
	int stops; /* how often it was told to stop */
	int promotions;
	int clones; /* and initdb */
	int rewinds;
	int64_t asked_at_ms;  /* when the newest question of a promise was sent */
	int64_t opened_at_ms; /* first time the fence was open in this leadership */
	int hurries;          /* steps in a row after which it wanted the next one at once */
} Player;

FhaCode __real_fha_writer_start(FhaWriter *writer, const char *path, const char *text,
								FhaError *err);
FhaCode __wrap_fha_writer_start(FhaWriter *writer, const char *path, const char *text,
								FhaError *err);
FhaCode __real_fha_writer_step(FhaWriter *writer, int64_t wait_ms, FhaError *err);
FhaCode __wrap_fha_writer_step(FhaWriter *writer, int64_t wait_ms, FhaError *err);

static int64_t disk_takes_ms = DISK_MS;
static int64_t disk_free_at_ms; /* until then the disk is busy */

/* The thread ends before any time passes; that is noticed when the disk has taken its time. */
FhaCode
__wrap_fha_writer_start(FhaWriter *writer, const char *path, const char *text, FhaError *err)
{
	FhaCode code = __real_fha_writer_start(writer, path, text, err);
	struct pollfd ended = {.fd = fha_writer_fd(writer), .events = POLLIN};

	if (code != FHA_OK)
		return code;
	assert_int_equal(poll(&ended, 1, -1), 1);
	disk_free_at_ms = fha_now_ms() + disk_takes_ms;
	return FHA_OK;
}

FhaCode
__wrap_fha_writer_step(FhaWriter *writer, int64_t wait_ms, FhaError *err)
{
	int64_t left_ms = disk_free_at_ms - fha_now_ms();

	if (left_ms > 0)
		pass(wait_ms < left_ms ? wait_ms : left_ms);
	return fha_now_ms() < disk_free_at_ms ? FHA_AGAIN : __real_fha_writer_step(writer, 0, err);
}

int __wrap_fsync(int fd);
static ino_t flushed;     /* the directory that was flushed last */
static bool flushes_fail; /* of directories */

/* It is only noted, because the disk may be busy with others. */
int
__wrap_fsync(int fd)
{
	struct stat info;

	assert_int_equal(fstat(fd, &info), 0);
	if (!S_ISDIR(info.st_mode))
		return 0;
	if (flushes_fail)
	{
		errno = EIO;
		return -1;
	}
	flushed = info.st_ino;
	return 0;
}

static char root[64];
static bool players_listen; /* those that are made from now on have a listener */
static Player players[NODES];

static int
remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
	(void) info;
	(void) type;
	(void) walk;
	return remove(path);
}

static void
player_open(Player *player, bool liveness_held)
{
	FhaError err;

	if (fha_node_open(&player->node, &player->config, played_clock(), player->incarnation,
					  liveness_held, &err) != FHA_OK)
		fail_msg("%s", err.text);
	fha_node_share(player->node, &player->speakers);
	player->has_action = false;
}

static void
player_tell(void *argument, FhaHealth *out)
{
	const Player *player = argument;

	fha_node_health(player->node, out);
	(void) snprintf(out->cluster, sizeof(out->cluster), "%s", player->config.cluster_name);
	(void) snprintf(out->member, sizeof(out->member), "%s", player->config.member_name);
}

static void
player_promise(void *argument, const FhaQuestion *asked, FhaPromise *out)
{
	fha_node_promise(((Player *) argument)->node, asked, out);
}

static void
player_listen(Player *player)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(at);
	char path[FHA_PATH_SIZE];
	FhaError err;

	player->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(player->listen_fd, (struct sockaddr *) &at, length), 0);
	assert_int_equal(listen(player->listen_fd, 128), 0);
	assert_int_equal(getsockname(player->listen_fd, (struct sockaddr *) &at, &length), 0);
	(void) snprintf(player->config.listen, sizeof(player->config.listen), "127.0.0.1:%d",
					ntohs(at.sin_port));
	if (fha_state_path(&player->config, "pgpass", path, sizeof(path), &err) != FHA_OK ||
		fha_file_replace(path, PGPASS, strlen(PGPASS), &err) != FHA_OK ||
		fha_listener_open(&player->listener, player->listen_fd, &player->config, player_tell,
						  player_promise, player, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

static void
player_make(int index, const char *bootstrap)
{
	Player *player = &players[index];
	FhaConfig *config = &player->config;
	FhaError err;

	memset(player, 0, sizeof(*player));
	fha_config_defaults(config);
	(void) snprintf(config->cluster_name, sizeof(config->cluster_name), "db-test");
	(void) snprintf(config->member_name, sizeof(config->member_name), "n%d", index + 1);
	(void) snprintf(config->lock, sizeof(config->lock), "dir:%s/lock", root);
	(void) snprintf(config->address, sizeof(config->address), "127.0.0.1:%d", 6001 + index);
	(void) snprintf(config->data_directory, sizeof(config->data_directory), "%s/n%d", root,
					index + 1);
	(void) snprintf(config->state_directory, sizeof(config->state_directory), "%s/n%d.state", root,
					index + 1);
	(void) snprintf(config->bootstrap, sizeof(config->bootstrap), "%s", bootstrap);
	config->lease_duration_ms = LEASE_MS;
	config->renew_deadline_ms = DEADLINE_MS;
	config->retry_period_ms = RETRY_MS;
	config->election_wait_ms = 100;
	config->release_wait_ms = 300;
	config->max_lag_on_failover_bytes = 1000;
	config->max_replica_lag_ms = 600;
	config->supervised = true;
	if (fha_state_prepare(config, &err) != FHA_OK ||
		fha_random_hex(player->incarnation, sizeof(player->incarnation), &err) != FHA_OK)
		fail_msg("%s", err.text);
	player->view.state = FHA_PG_DOWN;
	player->view.supervised = true;
	player->view.empty = true;
	player->listen_fd = -1;
	if (players_listen)
		player_listen(player);
	player_open(player, true);
}

/* Data as a clone of the cluster would leave it. */
static void
player_give_data(Player *player, const char *uuid, uint32_t timeline, uint64_t lsn)
{
	FhaState state = {.highest_term = 0};
	FhaError err;

	memcpy(state.member, player->config.member_name, sizeof(state.member));
	memcpy(state.cluster, player->config.cluster_name, sizeof(state.cluster));
	(void) snprintf(state.cluster_uuid, sizeof(state.cluster_uuid), "%s", uuid);
	(void) snprintf(state.data_incarnation, sizeof(state.data_incarnation), "da7a%.12s",
					player->incarnation);
	if (fha_state_save(&player->config, &state, &err) != FHA_OK ||
		fha_node_reload(player->node, &err) != FHA_OK)
		fail_msg("%s", err.text);
	player->view.empty = false;
	player->view.system_identifier = 4711;
	player->view.position = (FhaPosition){timeline, lsn};
	player->view.replayed = lsn;
}

static bool
is_open(const Player *player)
{
	return !player->absent && player->has_action && fha_now_ms() < player->action.write_ends_at_ms;
}

/* S1: at no moment may two fences be open; an absent player's runs out by its own deadline. */
static void
assert_one_writer(void)
{
	int writers = 0;

	for (int i = 0; i < NODES; i++)
		if (players[i].node != NULL && players[i].has_action &&
			fha_now_ms() < players[i].action.write_ends_at_ms)
			writers++;
	assert_true(writers <= 1);
}

/* S7: before a term is acted upon. */
static void
assert_term_is_on_disk(const Player *player)
{
	FhaState state;
	FhaError err;

	assert_int_equal(fha_state_load(&player->config, &state, &err), FHA_OK);
	assert_true(state.highest_term >= player->action.term);
}

/* As the history file that comes from the leader says. */
static void
be_on_timeline(FhaPgView *view, const FhaHostAction *action)
{
	view->lineage_count = 1;
	view->lineage[0] = (FhaLineageStep){.timeline = action->timeline, .end = 0};
	memcpy(view->lineage[0].id, action->timeline_id, FHA_ID_SIZE);
}

static void
obey(Player *player)
{
	const FhaHostAction *action = &player->action;
	FhaPgView *view = &player->view;

	switch (action->node)
	{
		case FHA_NODE_INITDB:
		case FHA_NODE_CLONE:
		case FHA_NODE_REWIND:
			if (player->copying)
				break;
			player->clones += action->node == FHA_NODE_REWIND ? 0 : 1;
			player->rewinds += action->node == FHA_NODE_REWIND ? 1 : 0;
			be_on_timeline(view, action);
			player_give_data(player, action->cluster_uuid,
							 action->node == FHA_NODE_INITDB ? 1 : action->timeline, 100);
			break;
		case FHA_NODE_START_PRIMARY:
			view->state = FHA_PG_PRIMARY;
			fha_node_liveness_held(player->node, false);
			break;
		case FHA_NODE_START_STANDBY:
			view->state = FHA_PG_STANDBY;
			fha_node_liveness_held(player->node, false);
			break;
		case FHA_NODE_PROMOTE:
			assert_term_is_on_disk(player);
			player->promotions++;
			view->lineage_count = 1;
			view->lineage[0] =
				(FhaLineageStep){.timeline = view->position.timeline, .end = view->position.lsn};
			view->position.timeline = action->timeline;
			view->position.lsn += 10;
			view->state = FHA_PG_PRIMARY;
			view->lineage[1] = (FhaLineageStep){.timeline = action->timeline, .end = 0};
			memcpy(view->lineage[1].id, action->timeline_id, FHA_ID_SIZE);
			view->lineage_count = 2;
			break;
		case FHA_NODE_FOLLOW:
			(void) snprintf(view->following, sizeof(view->following), "%s", action->leader);
			view->following_term = action->term;
			view->position.timeline = action->timeline;
			be_on_timeline(view, action);
			break;
		case FHA_NODE_STOP:
			player->stops++;
			view->state = FHA_PG_DOWN;
			view->required = view->position;
			view->clean = true;
			view->standby_count = 0;
			view->following[0] = '\0';
			fha_node_liveness_held(player->node, true);
			break;
		case FHA_NODE_HOLD:
			break;
	}
	if (view->state == FHA_PG_PRIMARY && view->lineage_count < 2)
		view->lineage[view->lineage_count++] =
			(FhaLineageStep){.timeline = view->position.timeline, .end = 0};
	view->rewindable = view->state == FHA_PG_PRIMARY;
	view->prepared = action->prepare_stop;
	if (is_open(player) && player->opened_at_ms == 0)
		player->opened_at_ms = fha_now_ms();
	if (action->node != FHA_NODE_HOLD)
		return;
	if (view->state != FHA_PG_PRIMARY)
		player->opened_at_ms = 0;
}

/* Standbys that follow this player, as its walsenders would say. */
static void
connect_standbys(Player *leader)
{
	leader->view.standby_count = 0;
	if (leader->view.state != FHA_PG_PRIMARY || leader->unreachable)
		return;
	for (int i = 0; i < NODES; i++)
		if (players[i].node != NULL && !players[i].absent &&
			players[i].view.state == FHA_PG_STANDBY &&
			strcmp(players[i].view.following, leader->config.member_name) == 0)
		{
			FhaStandby *standby = &leader->view.standbys[leader->view.standby_count++];

			memcpy(standby->member, players[i].config.member_name, sizeof(standby->member));
			standby->lsn = players[i].view.position.lsn;
		}
}

static void
note_questions(Player *player)
{
	const Promises *promises = &player->node->promises;

	for (size_t i = 0; i < promises->count; i++)
		if (promises->of[i].asked_at_ms > player->asked_at_ms)
			player->asked_at_ms = promises->of[i].asked_at_ms;
}

/*
 * What is due is done in the step that finds it due, or begun, or waits for a moment that comes: a loop
 * that is told to turn at once again and again takes a whole core.
 */
static void
note_hurry(Player *player)
{
	bool hurries =
		player->action.wake_at_ms <= fha_now_ms() && player->node->pending == PENDING_NONE;

	player->hurries = hurries ? player->hurries + 1 : 0;
	if (player->hurries > HURRIES_MAX)
		fail_msg("%s turns without a pause: %s", player->config.member_name,
				 player->action.because);
}

/*
 * S1: what a step adds to the fence's time is counted from the sending of a write.  S3: it looks at the
 * clock after each event of the lock, and then once.
 */
static void
step(Player *player)
{
	FhaNode *node = player->node;
	int64_t before_at_ms = node->world.tenure.write_ends_at_ms;
	int64_t sent_at_ms = node->write.sent_at_ms;
	int64_t lost_at_ms = node->lost.sent_at_ms;
	int64_t after_at_ms;
	FhaError err;

	note_questions(player);
	played_looks = played_events = 0;
	if (fha_node_step(node, &player->view, &player->action, &err) != FHA_OK)
		fail_msg("%s", err.text);
	note_hurry(player);
	assert_int_equal(played_looks, played_events + 1);
	player->has_action = true;
	after_at_ms = node->world.tenure.write_ends_at_ms;
	if (after_at_ms > before_at_ms)
		assert_true(
			after_at_ms == sent_at_ms + DEADLINE_MS || after_at_ms == lost_at_ms + DEADLINE_MS ||
			(node->world.tenure.promised && after_at_ms <= player->asked_at_ms + DEADLINE_MS));
}

static bool
is_there(const char *member)
{
	for (int i = 0; i < NODES; i++)
		if (players[i].node != NULL && !players[i].absent && players[i].listener != NULL &&
			strcmp(players[i].config.member_name, member) == 0)
			return true;
	return false;
}

/* A question of it, or the answer, is under way to one who will see it. */
static bool
awaits(const Player *player)
{
	const Promises *promises = &player->node->promises;

	if (promises->client == NULL ||
		fha_peer_client_wake_at_ms(promises->client) <= fha_now_ms() + TURN_MS)
		return false;
	for (size_t i = 0; i < promises->count; i++)
		if (promises->of[i].asked_at_ms != 0 && is_there(promises->of[i].member))
			return true;
	return false;
}

/* The time that a turn takes. */
static void
pass_turn(void)
{
	struct pollfd fds[2 * NODES];
	bool awaited = false;
	bool again = false;

	for (int i = 0; i < NODES; i++)
	{
		const Player *player = &players[i];
		bool there = player->node != NULL && !player->absent;
		bool listens = there && player->listener != NULL;

		fds[2 * i] =
			(struct pollfd){.fd = there ? fha_node_fd(player->node) : -1, .events = POLLIN};
		fds[2 * i + 1] = (struct pollfd){.fd = listens ? fha_listener_fd(player->listener) : -1,
										 .events = POLLIN};
		awaited = awaited || (there && awaits(player));
		again = again || (listens && fha_listener_wake_at_ms(player->listener) <= fha_now_ms());
	}
	if (poll(fds, 2 * NODES, awaited && !again ? CARRY_MS : 0) > 0)
		again = true;
	pass(again ? 1 : TURN_MS);
}

static void
turn(void)
{
	for (int i = 0; i < NODES; i++)
	{
		Player *player = &players[i];

		if (player->node == NULL || player->absent)
			continue;
		connect_standbys(player);
		if (player->listener != NULL)
			fha_listener_step(player->listener);
		step(player);
		assert_one_writer();
		obey(player);
	}
	pass_turn();
}

static Player *
leader(void)
{
	for (int i = 0; i < NODES; i++)
		if (players[i].node != NULL && is_open(&players[i]))
			return &players[i];
	return NULL;
}

#define TURN_UNTIL(condition)                                \
	do                                                       \
	{                                                        \
		int64_t give_up_at_ms = fha_now_ms() + BOUND_MS;     \
		while (!(condition))                                 \
		{                                                    \
			if (fha_now_ms() > give_up_at_ms)                \
				fail_msg("never came true: %s", #condition); \
			turn();                                          \
		}                                                    \
	} while (0)

static bool
all_settled(void)
{
	int standbys = 0;
	int present = 0;
	Player *first = leader();

	for (int i = 0; i < NODES; i++)
	{
		if (players[i].node == NULL || players[i].absent)
			continue;
		present++;
		if (players[i].view.state == FHA_PG_STANDBY && first != NULL &&
			strcmp(players[i].view.following, first->config.member_name) == 0)
			standbys++;
	}
	return first != NULL && standbys == present - 1 &&
		   first->node->world.cluster.member_count == NODES &&
		   first->node->world.cluster.standby_count == (size_t) standbys;
}

static int
set_up(void **state)
{
	char lock[80];

	(void) state;
	disk_takes_ms = DISK_MS;
	(void) snprintf(root, sizeof(root), "/tmp/fha_node_test_XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	(void) snprintf(lock, sizeof(lock), "%s/lock", root);
	return mkdir(lock, 0700);
}

static int
tear_down(void **state)
{
	(void) state;
	for (int i = 0; i < NODES; i++)
	{
		fha_node_close(players[i].node);
		players[i].node = NULL;
		fha_listener_close(players[i].listener);
		players[i].listener = NULL;
		if (players[i].listen_fd > 0)
			(void) close(players[i].listen_fd);
		players[i].listen_fd = -1;
	}
	return nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void
start_cluster(void)
{
	for (int i = 0; i < NODES; i++)
		player_make(i, "initdb");
	TURN_UNTIL(all_settled());
}

#endif
