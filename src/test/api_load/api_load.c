/*
 * api_load.c: many clusters of three members on one API server: the library's node loop and its
 * Lease driver as they are, and servers that are only a few variables.  test/bench_api.py starts it.
 *
 *     api_load LOCK DIRECTORY CLUSTERS SECONDS
 *
 * Says "settled" when each cluster has its primary and two standbys that stream, and after SECONDS
 * what the renewals took, as one JSON object.  State directories are made in DIRECTORY.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "node/private.h"

#define MEMBERS 3
#define CLUSTERS_MAX 1000
#define SETTLE_MS (180 * 1000)
#define SAMPLES_MAX (1024 * 1024)

typedef struct Player
{
	FhaConfig config;
	FhaNode *node;
	FhaPgView view;
	FhaHostAction action;
	int64_t sent_at_ns;      /* of the renewal under way; 0: none */
	int64_t confirmed_at_ns; /* of the last that was confirmed */
	bool open;               /* the fence, when it was last looked at */
} Player;

static Player *players;
static size_t player_count;
static double *samples_ms;
static size_t sample_count;
static struct
{
	size_t late;
	size_t unconfirmed;
	size_t shut;
	size_t requests;
	size_t sent_bytes;
	size_t received_bytes;
} counted;

static int64_t
now_ns(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
give_up(const char *what, const FhaError *err)
{
	(void) fprintf(stderr, "api_load: %s%s%s\n", what, err == NULL ? "" : ": ",
				   err == NULL ? "" : err->text);
	exit(1);
}

/* --- libcurl's bytes, TLS and all: its calls come here */

__attribute__((visibility("default"))) ssize_t
send(int fd, const void *data, size_t size, int flags)
{
	ssize_t done = sendto(fd, data, size, flags, NULL, 0);

	counted.sent_bytes += done > 0 ? (size_t) done : 0;
	return done;
}

__attribute__((visibility("default"))) ssize_t
recv(int fd, void *data, size_t size, int flags)
{
	ssize_t done = recvfrom(fd, data, size, flags, NULL, NULL);

	counted.received_bytes += done > 0 ? (size_t) done : 0;
	return done;
}

/* --- what the node asks of the lock */

FhaCode __real_fha_lock_start(FhaLock *lock, const FhaLockRequest *request, FhaError *err);
FhaCode __wrap_fha_lock_start(FhaLock *lock, const FhaLockRequest *request, FhaError *err);
FhaCode __real_fha_lock_step(FhaLock *lock, FhaLockEvent *event);
FhaCode __wrap_fha_lock_step(FhaLock *lock, FhaLockEvent *event);

static Player *stepped; /* whose turn it is */

FhaCode
__wrap_fha_lock_start(FhaLock *lock, const FhaLockRequest *request, FhaError *err)
{
	FhaCode code = __real_fha_lock_start(lock, request, err);

	counted.requests++;
	if (stepped != NULL && code == FHA_OK && request->verb == FHA_LOCK_SWAP &&
		strcmp(request->name, stepped->config.cluster_name) == 0)
		stepped->sent_at_ns = now_ns();
	return code;
}

FhaCode
__wrap_fha_lock_step(FhaLock *lock, FhaLockEvent *event)
{
	FhaCode code = __real_fha_lock_step(lock, event);
	int64_t at_ns = now_ns();

	if (stepped == NULL || code != FHA_OK || event->kind != FHA_LOCK_ANSWER ||
		stepped->sent_at_ns == 0)
		return code;
	if (sample_count < SAMPLES_MAX)
		samples_ms[sample_count++] = (double) (at_ns - stepped->sent_at_ns) / 1e6;
	if (event->code != FHA_OK)
		counted.unconfirmed++;
	else
	{
		if (stepped->confirmed_at_ns != 0 &&
			at_ns - stepped->confirmed_at_ns > 2 * stepped->config.retry_period_ms * 1000000)
			counted.late++;
		stepped->confirmed_at_ns = at_ns;
	}
	stepped->sent_at_ns = 0;
	return code;
}

/* --- the played servers */

static void
make(Player *player, const char *lock, const char *directory, size_t number)
{
	FhaConfig *config = &player->config;
	char incarnation[FHA_ID_SIZE];
	FhaError err;

	fha_config_defaults(config);
	(void) snprintf(config->cluster_name, sizeof(config->cluster_name), "db-load-%zu",
					number / MEMBERS);
	(void) snprintf(config->member_name, sizeof(config->member_name), "%.30s-%zu",
					config->cluster_name, number % MEMBERS + 1);
	(void) snprintf(config->address, sizeof(config->address), "127.0.0.1:%zu", 5432 + number);
	(void) snprintf(config->data_directory, sizeof(config->data_directory), "%s/%s", directory,
					config->member_name);
	(void) snprintf(config->state_directory, sizeof(config->state_directory), "%s/%s.state",
					directory, config->member_name);
	(void) snprintf(config->bootstrap, sizeof(config->bootstrap), "%s",
					number % MEMBERS == 0 ? "initdb" : "none");
	config->supervised = true;
	player->view.state = FHA_PG_DOWN;
	player->view.supervised = true;
	player->view.empty = true;
	if (fha_config_set(config, "fawkes_ha.lock", lock, &err) != FHA_OK ||
		fha_state_prepare(config, &err) != FHA_OK ||
		fha_random_hex(incarnation, sizeof(incarnation), &err) != FHA_OK ||
		fha_node_open(&player->node, config, &fha_kernel_clock, incarnation, true, &err) != FHA_OK)
		give_up("a node could not be made", &err);
}

static void
give_data(Player *player)
{
	FhaState state = {.highest_term = 0};
	FhaError err;

	memcpy(state.member, player->config.member_name, sizeof(state.member));
	memcpy(state.cluster, player->config.cluster_name, sizeof(state.cluster));
	memcpy(state.cluster_uuid, player->action.cluster_uuid, sizeof(state.cluster_uuid));
	if (fha_random_hex(state.data_incarnation, sizeof(state.data_incarnation), &err) != FHA_OK ||
		fha_state_save(&player->config, &state, &err) != FHA_OK ||
		fha_node_reload(player->node, &err) != FHA_OK)
		give_up("a node's state could not be kept", &err);
	player->view.empty = false;
	player->view.system_identifier = 4711;
	player->view.position = (FhaPosition){player->action.timeline, 0x3000000};
	player->view.replayed = player->view.position.lsn;
}

/* It does its host action at once; true: it did something. */
static bool
obey(Player *player)
{
	FhaPgView *view = &player->view;
	const FhaHostAction *action = &player->action;

	switch (action->node)
	{
		case FHA_NODE_INITDB:
		case FHA_NODE_CLONE:
			give_data(player);
			return true;
		case FHA_NODE_START_PRIMARY:
			view->state = FHA_PG_PRIMARY;
			view->rewindable = true;
			view->lineage_count = 1;
			view->lineage[0] = (FhaLineageStep){.timeline = view->position.timeline, .end = 0};
			fha_node_liveness_held(player->node, false);
			return true;
		case FHA_NODE_START_STANDBY:
			view->state = FHA_PG_STANDBY;
			fha_node_liveness_held(player->node, false);
			return true;
		case FHA_NODE_FOLLOW:
			if (strcmp(view->following, action->leader) == 0)
				return false;
			memcpy(view->following, action->leader, sizeof(view->following));
			view->following_term = action->term;
			return true;
		case FHA_NODE_PROMOTE:
		case FHA_NODE_STOP:
		case FHA_NODE_REWIND:
			(void) fprintf(stderr, "api_load: %s: %s\n", player->config.member_name,
						   action->because);
			give_up("the API server is too slow for so many clusters: a primary changed", NULL);
			return false;
		case FHA_NODE_HOLD:
			return false;
	}
	return false;
}

/* Who follows a primary, as its walsenders would say; true: somebody new. */
static bool
connect_standbys(size_t first)
{
	FhaPgView *leader = NULL;
	const char *name = NULL;
	size_t count = 0;
	bool more;

	for (size_t i = first; i < first + MEMBERS; i++)
		if (players[i].view.state == FHA_PG_PRIMARY)
		{
			leader = &players[i].view;
			name = players[i].config.member_name;
		}
	if (leader == NULL)
		return false;
	for (size_t i = first; i < first + MEMBERS; i++)
		if (players[i].view.state == FHA_PG_STANDBY && strcmp(players[i].view.following, name) == 0)
		{
			FhaStandby *standby = &leader->standbys[count++];

			(void) snprintf(standby->member, sizeof(standby->member), "%s",
							players[i].config.member_name);
			standby->lsn = leader->position.lsn;
		}
	more = count > leader->standby_count;
	leader->standby_count = count;
	return more;
}

static void
step(Player *player)
{
	bool open;
	FhaError err;

	stepped = player;
	if (fha_node_step(player->node, &player->view, &player->action, &err) != FHA_OK)
		give_up(player->config.member_name, &err);
	stepped = NULL;
	open = fha_now_ms() < player->action.write_ends_at_ms;
	if (player->open && !open)
		counted.shut++;
	player->open = open;
	if (obey(player))
		player->action.wake_at_ms = 0;
}

static bool
settled(void)
{
	for (size_t i = 0; i < player_count; i += MEMBERS)
		if (players[i].node->world.cluster.standby_count != MEMBERS - 1 ||
			players[i].node->world.cluster.member_count != MEMBERS || !players[i].open)
			return false;
	return true;
}

/* Each node is stepped when its descriptor or its own time says so, as its host would. */
static void
turn(struct pollfd *fds)
{
	int64_t next_at_ms = INT64_MAX;
	int64_t now_ms = fha_now_ms();
	int64_t wait_ms;

	for (size_t i = 0; i < player_count; i++)
	{
		Player *player = &players[i];

		if (fds[i].revents != 0 || now_ms >= player->action.wake_at_ms)
			step(player);
		if (i % MEMBERS == MEMBERS - 1 && connect_standbys(i - MEMBERS + 1))
			players[i - MEMBERS + 1].action.wake_at_ms = 0;
	}
	for (size_t i = 0; i < player_count; i++)
		if (players[i].action.wake_at_ms < next_at_ms)
			next_at_ms = players[i].action.wake_at_ms;
	wait_ms = next_at_ms - fha_now_ms();
	(void) poll(fds, player_count, wait_ms < 0 ? 0 : wait_ms > 1000 ? 1000 : (int) wait_ms);
}

static int
by_size(const void *a, const void *b)
{
	double difference = *(const double *) a - *(const double *) b;

	return difference < 0 ? -1 : difference > 0;
}

static double
share(double part)
{
	return samples_ms[(size_t) ((double) (sample_count - 1) * part)];
}

static void
report(double seconds)
{
	if (sample_count == 0 || counted.received_bytes == 0)
		give_up("nothing was measured", NULL);
	qsort(samples_ms, sample_count, sizeof(*samples_ms), by_size);
	(void) printf("{\"renewals\": %zu, \"unconfirmed\": %zu, \"late\": %zu, \"fences_shut\": %zu, "
				  "\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"min_ms\": %.2f, \"max_ms\": %.2f, "
				  "\"requests\": %zu, \"sent_bytes\": %zu, \"received_bytes\": %zu, "
				  "\"seconds\": %.3f}\n",
				  sample_count, counted.unconfirmed, counted.late, counted.shut, share(0.5),
				  share(0.99), samples_ms[0], samples_ms[sample_count - 1], counted.requests,
				  counted.sent_bytes, counted.received_bytes, seconds);
}

int
main(int argc, char **argv)
{
	long clusters = argc == 5 ? strtol(argv[3], NULL, 10) : 0;
	double seconds = argc == 5 ? strtod(argv[4], NULL) : 0;
	struct pollfd *fds;
	int64_t begun_at_ns;
	int64_t give_up_at_ms;

	if (clusters < 1 || clusters > CLUSTERS_MAX || seconds <= 0)
		give_up("usage: api_load LOCK DIRECTORY CLUSTERS SECONDS", NULL);
	player_count = (size_t) clusters * MEMBERS;
	players = calloc(player_count, sizeof(*players));
	fds = calloc(player_count, sizeof(*fds));
	samples_ms = calloc(SAMPLES_MAX, sizeof(*samples_ms));
	if (players == NULL || fds == NULL || samples_ms == NULL)
		give_up("out of memory", NULL);
	for (size_t i = 0; i < player_count; i++)
	{
		make(&players[i], argv[1], argv[2], i);
		fds[i] = (struct pollfd){.fd = fha_node_fd(players[i].node), .events = POLLIN};
	}
	give_up_at_ms = fha_now_ms() + SETTLE_MS;
	while (!settled())
	{
		if (fha_now_ms() > give_up_at_ms)
			give_up("not every cluster has its primary and two standbys", NULL);
		turn(fds);
	}
	(void) puts("settled");
	(void) fflush(stdout);
	sample_count = 0;
	memset(&counted, 0, sizeof(counted));
	begun_at_ns = now_ns();
	while ((double) (now_ns() - begun_at_ns) < seconds * 1e9)
		turn(fds);
	report((double) (now_ns() - begun_at_ns) / 1e9);
	for (size_t i = 0; i < player_count; i++)
		fha_node_close(players[i].node);
	return 0;
}
