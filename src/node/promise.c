/*
 * promise.c: promises between members while the lock does not answer (S10).
 *
 * A holder whose renewals get no answer asks everybody else on the list not to take the lease for
 * a lease duration.  When all have promised, that is as good as a renewal sent when the questions
 * were: nobody who may contend does.  docs/design.md has the argument.
 *
 * A promise counts only of the data that the list names, and only from a member none of whose
 * own attempts at the lease may still arrive.  It is on disk before it is given; and so is, before
 * it asks, what the holder may come to count on.
 */
#include "node/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/state_directory.h"
#include "core/timing.h"

/* So long the loop waits for its disk; what takes longer is waited for without it. */
#define DISK_WAIT_MS 50

/* --- this node's own word, on disk */

/* Whom the holder asked that spoke for this node before, if there was one. */
static void
find_peers(FhaNode *node)
{
	FhaError err;
	FhaCode code = fha_peers_load(&node->config, &node->promises.peers, &err);

	if (code != FHA_OK && code != FHA_NOT_FOUND)
		node_news(node, "peers_unreadable", "%s", err.text);
}

FhaCode
node_promises_open(FhaNode *node, FhaError *err)
{
	Promises *promises = &node->promises;
	FhaPromiseFile *file = &promises->file;
	const char *boot_id = node->world.self.boot_id;
	/* The process that promised what is on disk ended before this look. */
	int64_t now_ms = node_now_ms(node);
	FhaCode code = fha_writer_open(&promises->writer, err);

	if (code == FHA_OK)
		code = node_wait_for(node, fha_writer_fd(promises->writer), err);
	if (code == FHA_OK)
		code = fha_promise_file_load(&node->config, file, err);
	if (code != FHA_OK && code != FHA_NOT_FOUND)
		return code;
	node->clock->time_namespace(node->clock->context, promises->time_namespace,
								sizeof(promises->time_namespace));
	node->world.bound_ends_at_ms =
		fha_promise_file_ends_at_ms(file, boot_id, promises->time_namespace, now_ms);
	promises->lost_take = file->contended[0] != '\0';
	node->world.heard_term = file->heard_term;
	memcpy(node->world.heard_from, file->heard_from, sizeof(node->world.heard_from));
	node->world.heard = file->heard;
	if (file->for_ms != 0 && !fha_promise_file_is_of(file, boot_id, promises->time_namespace))
	{
		memcpy(file->boot_id, boot_id, sizeof(file->boot_id));
		memcpy(file->time_namespace, promises->time_namespace, sizeof(file->time_namespace));
		file->ends_at_ms = node->world.bound_ends_at_ms;
		code = fha_promise_file_save(&node->config, file, err);
		if (code != FHA_OK)
			return code; /* LCOV_EXCL_LINE: the kernel refuses */
	}
	promises->durable = *file;
	find_peers(node);
	return FHA_OK;
}

void
node_promises_close(FhaNode *node)
{
	fha_peer_client_close(node->promises.client);
	node->promises.client = NULL;
	/* What is under way must not replace what the next owner writes. */
	fha_writer_close(node->promises.writer);
	node->promises.writer = NULL;
}

/* Did a write end, perhaps within wait_ms? */
static void
look_at_disk(FhaNode *node, int64_t now_ms, int64_t wait_ms)
{
	Promises *promises = &node->promises;
	FhaError err;
	FhaCode code = fha_writer_step(promises->writer, wait_ms, &err);

	if (code == FHA_AGAIN)
		return;
	promises->writes = false;
	promises->failed[0] = '\0';
	if (code == FHA_OK)
	{
		promises->durable = promises->written;
		return;
	}
	(void) snprintf(promises->failed, sizeof(promises->failed), "%.180s", err.text);
	promises->write_again_at_ms = now_ms + node->config.retry_period_ms;
}

/* Have bond.json say what it should; how that ends is seen later. */
static void
promise_keep(FhaNode *node, int64_t now_ms)
{
	Promises *promises = &node->promises;
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	FhaError err;
	FhaCode code;

	look_at_disk(node, now_ms, 0);
	if (promises->writes || fha_promise_file_is_same(&promises->file, &promises->durable) ||
		now_ms < promises->write_again_at_ms)
		return;
	code = fha_state_path(&node->config, "bond.json", path, sizeof(path), &err);
	if (code == FHA_OK)
		code = fha_promise_file_print(&promises->file, &text, &err);
	if (code == FHA_OK)
		code = fha_writer_start(promises->writer, path, text, &err);
	free(text);
	promises->writes = code == FHA_OK;
	if (promises->writes)
		promises->written = promises->file;
	else
	{
		/* LCOV_EXCL_START: no memory, no thread */
		(void) snprintf(promises->failed, sizeof(promises->failed), "%.180s", err.text);
		promises->write_again_at_ms = now_ms + node->config.retry_period_ms;
		/* LCOV_EXCL_STOP */
	}
}

/* Bound for for_ms from now on, and as long again: then the disk has time to write the next one. */
static void
promise_bind(FhaNode *node, int64_t now_ms, int64_t for_ms)
{
	FhaPromiseFile *file = &node->promises.file;
	int64_t left_ms = node->world.bound_ends_at_ms - now_ms;
	bool mine =
		fha_promise_file_is_of(file, node->world.self.boot_id, node->promises.time_namespace);

	/* An earlier promise was for longer. */
	if (left_ms > for_ms)
		for_ms = left_ms;
	if (mine && file->for_ms >= for_ms && file->ends_at_ms >= now_ms + for_ms + for_ms / 2)
		return;
	memcpy(file->boot_id, node->world.self.boot_id, sizeof(file->boot_id));
	memcpy(file->time_namespace, node->promises.time_namespace, sizeof(file->time_namespace));
	file->for_ms = for_ms;
	file->ends_at_ms = now_ms + 2 * for_ms;
}

/* Whoever starts from what is on disk for certain is bound until then, and anywhere else for_ms. */
static bool
disk_binds(const FhaNode *node, int64_t ends_at_ms, int64_t for_ms)
{
	const FhaPromiseFile *durable = &node->promises.durable;

	return fha_promise_file_is_of(durable, node->world.self.boot_id,
								  node->promises.time_namespace) &&
		   durable->ends_at_ms >= ends_at_ms && durable->for_ms >= for_ms;
}

static const char *
contended_version(const FhaNode *node)
{
	const char *version = node->world.watch.version;

	return version[0] == '\0' ? FHA_PROMISE_FILE_ABSENT : version;
}

FhaCode
node_promises_contend(FhaNode *node, int64_t now_ms, FhaError *err)
{
	Promises *promises = &node->promises;
	const char *version = contended_version(node);

	(void) snprintf(promises->file.contended, sizeof(promises->file.contended), "%s", version);
	promises->takes = true;
	promise_keep(node, now_ms);
	if (strcmp(promises->durable.contended, version) != 0)
		look_at_disk(node, now_ms, DISK_WAIT_MS);
	if (strcmp(promises->durable.contended, version) == 0)
	{
		promises->takes = false;
		return FHA_OK;
	}
	return promises->failed[0] != '\0' ? fha_error(err, FHA_IO, "%s", promises->failed) : FHA_AGAIN;
}

/* The term that the record shows goes to the disk first, for the next owner finds no attempt there any more. */
static void
forget_take(FhaNode *node, int64_t now_ms)
{
	const FhaWorld *world = &node->world;
	FhaError err;

	if (strcmp(world->cluster.cluster_uuid, world->self.cluster_uuid) == 0 &&
		node_term_heed(node, world->cluster.term, &err) != FHA_OK)
		return;
	node->promises.file.contended[0] = '\0';
	node->promises.lost_take = false;
	node->promises.takes = false;
	promise_keep(node, now_ms);
}

void
node_promises_settled(FhaNode *node, FhaCode code, int64_t now_ms)
{
	if (code == FHA_UNKNOWN)
		node->promises.lost_take = true;
	/* One that came too late may have come second to the one that was lost: only a read tells. */
	else if (code == FHA_OK || !node->promises.lost_take)
		forget_take(node, now_ms);
}

void
node_promises_look(FhaNode *node, int64_t now_ms)
{
	look_at_disk(node, now_ms, 0);
}

void
node_promises_keep(FhaNode *node, int64_t now_ms)
{
	/* A take that waited for the disk, and is not wanted any more, was never sent. */
	if (node->promises.takes && node->rule->lease != FHA_LEASE_TAKE)
	{
		node->promises.takes = false;
		node_promises_settled(node, FHA_IO, now_ms);
	}
	promise_keep(node, now_ms);
}

/* Is this version, "" for an absent record, another one than that which this node tried to replace? */
static bool
shows_the_end(const FhaNode *node, const char *version)
{
	const char *contended = node->promises.file.contended;

	return contended[0] != '\0' &&
		   strcmp(contended, version[0] == '\0' ? FHA_PROMISE_FILE_ABSENT : version) != 0;
}

bool
node_promises_owe_a_read(const FhaNode *node)
{
	/* The watch may be behind: it is reason to read, and not an answer. */
	return node->world.watch.seen && shows_the_end(node, node->world.watch.version);
}

void
node_promises_read(FhaNode *node, const char *version, int64_t now_ms)
{
	if (shows_the_end(node, version))
		forget_take(node, now_ms);
}

/* --- who is asked */

/* Of what is on disk, what the record showed, and what other members say. */
static uint64_t
highest_term(const FhaWorld *world)
{
	uint64_t highest = world->self.highest_term;

	if (strcmp(world->cluster.cluster_uuid, world->self.cluster_uuid) != 0)
		return highest;
	if (world->cluster.term > highest)
		highest = world->cluster.term;
	return world->others_term > highest ? world->others_term : highest;
}

/* Why not; NULL: it can. */
static const char *
cannot_promise(const FhaNode *node, const FhaQuestion *asked, int64_t now_ms)
{
	const FhaWorld *world = &node->world;
	const FhaCluster *cluster = &world->cluster;
	const FhaPromiseTerms *terms = &asked->promise;

	if (world->self.cluster_uuid[0] == '\0' ||
		strcmp(world->self.cluster_uuid, terms->cluster_uuid) != 0)
		return "this member's data is of another cluster, or of none yet";
	/* S1b: a promise binds this node, and the other is the one that contends. */
	if (fha_has_duplicate(world, now_ms))
		return "another node lives under this member's name";
	if (terms->duration_ms <= 0 || terms->duration_ms > FHA_LEASE_MAX_MS)
		return "nobody promises for so long";
	if (terms->term < highest_term(world))
		return "this member has seen a later term";
	if (node->promises.file.contended[0] != '\0')
		return "this member has tried to take the lease, and does not know yet how that ended";
	if (!world->watch.seen || world->watch.absent || cluster->term != terms->term)
		return NULL;
	if (strcmp(cluster->holder, asked->from) != 0 ||
		strcmp(cluster->incarnation, asked->from_incarnation) != 0)
		return "another holds the lease of that term";
	if (cluster->released)
		return "the lease of that term was released";
	/* Its holder may be cut off from the lock, and not know of it. */
	if (cluster->request.kind == FHA_REQUEST_FAILOVER &&
		cluster->request.state == FHA_REQUEST_PENDING)
		return "an operator has asked for a failover";
	return NULL;
}

/*
 * A member whose fence may be open leads an older term than the one that it is asked for: the lock
 * was put back to an older copy.  It gives way, and promises when its fence is shut.
 */
static bool
gives_way(FhaNode *node, int64_t now_ms)
{
	if (now_ms >= node->host_shuts_at_ms)
		return false;
	fha_tenure_end(&node->world.tenure, now_ms);
	node_nudge(node);
	return true;
}

/* The caller was there: who succeeds it may have to have that much. */
static void
hear_position(FhaNode *node, const FhaQuestion *asked)
{
	FhaWorld *world = &node->world;
	FhaPromiseFile *file = &node->promises.file;
	const FhaPromiseTerms *terms = &asked->promise;
	/* An end that it could not read says nothing, and is no reason to forget what it told before. */
	FhaPosition told =
		fha_position_is_known(terms->position) ? terms->position : (FhaPosition){0, 0};

	if (terms->term < world->heard_term ||
		(terms->term == world->heard_term && strcmp(asked->from, world->heard_from) == 0 &&
		 fha_position_compare(told, world->heard) <= 0))
		return;
	world->heard_term = file->heard_term = terms->term;
	memcpy(world->heard_from, asked->from, sizeof(world->heard_from));
	memcpy(file->heard_from, asked->from, sizeof(file->heard_from));
	world->heard = file->heard = told;
}

static void
promise_give(FhaNode *node, const FhaQuestion *asked, int64_t now_ms, FhaPromise *out)
{
	int64_t for_ms = asked->promise.duration_ms;

	hear_position(node, asked);
	promise_bind(node, now_ms, for_ms);
	promise_keep(node, now_ms);
	if (!disk_binds(node, now_ms + for_ms, for_ms))
	{
		look_at_disk(node, now_ms, DISK_WAIT_MS);
		promise_keep(node, now_ms);
	}
	/* A second look: from now on, and not from before it was on disk. */
	now_ms = node_now_ms(node);
	if (disk_binds(node, now_ms + for_ms, for_ms))
	{
		if (now_ms + for_ms > node->world.bound_ends_at_ms)
			node->world.bound_ends_at_ms = now_ms + for_ms;
		out->given = true;
		return;
	}
	out->soon = node->promises.failed[0] == '\0';
	(void) snprintf(out->why, sizeof(out->why), "%s",
					out->soon ? "this member's word is not on its disk yet: ask again"
							  : node->promises.failed);
}

void
fha_node_promise(FhaNode *node, const FhaQuestion *asked, FhaPromise *out)
{
	/* Asked between steps.  If the disk is slow below, a fence that shut since still counts as open. */
	int64_t now_ms = node_now_ms(node);
	const char *why = cannot_promise(node, asked, now_ms);
	FhaError err;

	memset(out, 0, sizeof(*out));
	memcpy(out->data_incarnation, node->world.self.data_incarnation, sizeof(out->data_incarnation));
	if (why != NULL)
		(void) snprintf(out->why, sizeof(out->why), "%s", why);
	/* S7: of the term that is promised no lower one is led or taken thereafter, by nobody here. */
	else if (node_term_heed(node, asked->promise.term, &err) != FHA_OK)
		(void) snprintf(out->why, sizeof(out->why), "%.180s", err.text);
	else if (gives_way(node, now_ms))
		(void) snprintf(out->why, sizeof(out->why),
						"this member leads an older term, and gives way: ask again");
	else
		promise_give(node, asked, now_ms, out);
}

/* --- who asks */

/* May this holder count on promises?  Not while a request is about to take the lease from it. */
static bool
wants_promises(const FhaNode *node, FhaFacts facts)
{
	const FhaFacts leading = FHA_PRIMARY | FHA_MINE | FHA_LINEAGE | FHA_PUBLISHED;
	const FhaRequest *request = &node->world.cluster.request;

	return (facts & leading) == leading && (facts & FHA_STOPPING) == 0 &&
		   node->rule->lease == FHA_LEASE_RENEW && node->world.cluster.member_count > 1 &&
		   node->world.tenure.duration_ms != 0 &&
		   !(node_request_moves_lease(request) && request->state <= FHA_REQUEST_RUNNING);
}

/*
 * Did this node lead by promises until its PostgreSQL died, or this process's predecessor did, a moment
 * ago?  Then the others are asked to wait on, because no standby may have what was acknowledged
 * last.  Not for ever: over all processes for a lease at the most since a holder that lived wrote
 * peers.json.  Not if PostgreSQL cannot start here: then another has to lead.  Whoever has read the
 * record decides by that.
 */
static bool
asks_on(const FhaNode *node, int64_t now_ms)
{
	const FhaPeers *peers = &node->promises.peers;
	const FhaSelf *self = &node->world.self;
	const FhaPgView *pg = &node->world.pg;
	bool is_led_here = !pg->failed && !pg->stopping && !pg->job && !pg->empty && !pg->damaged &&
					   pg->state != FHA_PG_STANDBY;

	return !node->world.watch.seen && is_led_here && peers->count > 0 &&
		   strcmp(peers->boot_id, self->boot_id) == 0 &&
		   strcmp(peers->time_namespace, node->promises.time_namespace) == 0 &&
		   strcmp(peers->cluster_uuid, self->cluster_uuid) == 0 &&
		   peers->term == self->highest_term && now_ms >= peers->written_at_ms &&
		   now_ms < peers->written_at_ms + peers->duration_ms;
}

/* Everybody else on the list, as the record and the members' own say. */
static void
list_peers(FhaNode *node)
{
	const FhaWorld *world = &node->world;
	const FhaCluster *cluster = &world->cluster;
	FhaPeers *peers = &node->promises.peers;

	memcpy(peers->boot_id, world->self.boot_id, sizeof(peers->boot_id));
	memcpy(peers->time_namespace, node->promises.time_namespace, sizeof(peers->time_namespace));
	memcpy(peers->cluster_uuid, cluster->cluster_uuid, sizeof(peers->cluster_uuid));
	memcpy(peers->incarnation, world->self.incarnation, sizeof(peers->incarnation));
	peers->system_identifier = cluster->system_identifier;
	peers->term = cluster->term;
	peers->duration_ms = world->tenure.duration_ms;
	peers->count = 0;
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		FhaPeer *peer = &peers->of[peers->count];

		if (strcmp(cluster->members[i], world->self.member) == 0)
			continue;
		memset(peer, 0, sizeof(*peer));
		memcpy(peer->member, cluster->members[i], sizeof(peer->member));
		for (size_t j = 0; j < world->member_count; j++)
			if (strcmp(world->members[j].member, peer->member) == 0)
				memcpy(peer->listener, world->members[j].listener, sizeof(peer->listener));
		peers->count++;
	}
}

/* On disk for whoever speaks for this node next; while the disk is busy, the last one stands. */
static void
keep_peers(FhaNode *node, int64_t now_ms)
{
	FhaPeers *peers = &node->promises.peers;
	int64_t before_at_ms = peers->written_at_ms;
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	FhaCode code;

	if (before_at_ms <= now_ms && now_ms < before_at_ms + peers->duration_ms / FHA_PEERS_PARTS)
		return;
	peers->written_at_ms = now_ms;
	code = fha_state_path(&node->config, "peers.json", path, sizeof(path), NULL);
	if (code == FHA_OK)
		code = fha_peers_print(peers, &text, NULL);
	if (code == FHA_OK)
		code = fha_writer_start(node->keeper, path, text, NULL);
	free(text);
	if (code != FHA_OK)
		peers->written_at_ms = before_at_ms;
}

static int64_t
unconfirmed_at_ms(const FhaNode *node)
{
	return node->confirmed_at_ms + FHA_UNCONFIRMED_PERIODS * node->config.retry_period_ms;
}

/* Its own disk is asked first, for it may be slow. */
static int64_t
binds_at_ms(const FhaNode *node)
{
	return node->confirmed_at_ms +
		   (2 * FHA_UNCONFIRMED_PERIODS - 1) * node->config.retry_period_ms / 2;
}

static bool
is_peer(const FhaPeers *peers, const char *member)
{
	for (size_t i = 0; i < peers->count; i++)
		if (strcmp(peers->of[i].member, member) == 0)
			return true;
	return false;
}

/* When the next question is due. */
static int64_t
asks_at_ms(const FhaNode *node)
{
	const Promises *promises = &node->promises;
	int64_t next_at_ms = promises->client == NULL ? promises->next_at_ms : INT64_MAX;

	for (size_t i = 0; promises->client != NULL && i < promises->count; i++)
		if (promises->of[i].asked_at_ms == 0 && promises->of[i].next_at_ms < next_at_ms &&
			is_peer(&promises->peers, promises->of[i].member))
			next_at_ms = promises->of[i].next_at_ms;
	return next_at_ms > unconfirmed_at_ms(node) ? next_at_ms : unconfirmed_at_ms(node);
}

int64_t
node_promises_wake_at_ms(const FhaNode *node, FhaFacts facts, int64_t now_ms)
{
	int64_t wake_at_ms = INT64_MAX;

	if (node->promises.client != NULL)
		wake_at_ms = fha_peer_client_wake_at_ms(node->promises.client);
	if (!wants_promises(node, facts) && !asks_on(node, now_ms))
		return wake_at_ms;
	if (asks_at_ms(node) < wake_at_ms)
		wake_at_ms = asks_at_ms(node);
	return binds_at_ms(node) < wake_at_ms && now_ms < binds_at_ms(node) ? binds_at_ms(node)
																		: wake_at_ms;
}

static Promised *
promised_by(Promises *promises, const char *member)
{
	for (size_t i = 0; i < promises->count; i++)
		if (strcmp(promises->of[i].member, member) == 0)
			return &promises->of[i];
	if (promises->count == FHA_MEMBERS_MAX)
		return NULL; /* LCOV_EXCL_LINE: more members than may be */
	memset(&promises->of[promises->count], 0, sizeof(Promised));
	(void) snprintf(promises->of[promises->count].member, FHA_NAME_SIZE, "%s", member);
	return &promises->of[promises->count++];
}

/* When this member, with this data, was asked for what it promised; 0: it has not, INT64_MAX: it is us. */
static int64_t
member_promised_at_ms(FhaNode *node, const char *member, const char *data)
{
	const Promised *promised;

	if (strcmp(member, node->world.self.member) == 0)
		return INT64_MAX;
	promised = promised_by(&node->promises, member);
	if (promised == NULL || promised->sent_at_ms == 0 ||
		/* The lease was made longer since. */
		promised->for_ms < node->world.tenure.duration_ms || strcmp(promised->data, data) != 0)
		return 0;
	return promised->sent_at_ms;
}

/* When the oldest of the promises of all that are on this list was asked for; 0: one is missing. */
static int64_t
promised_at_ms(FhaNode *node, const FhaCluster *list)
{
	int64_t oldest_at_ms = INT64_MAX;

	for (size_t i = 0; i < list->member_count; i++)
	{
		int64_t sent_at_ms = member_promised_at_ms(node, list->members[i], list->member_data[i]);

		if (sent_at_ms < oldest_at_ms)
			oldest_at_ms = sent_at_ms;
	}
	return oldest_at_ms == INT64_MAX ? 0 : oldest_at_ms;
}

void
node_promises_lost(FhaNode *node, const FhaCluster *list)
{
	Promises *promises = &node->promises;

	if (strcmp(promises->late_version, node->world.watch.version) != 0)
		promises->late_count = 0;
	memcpy(promises->late_version, node->world.watch.version, sizeof(promises->late_version));
	for (size_t i = 0; i < list->member_count; i++)
	{
		size_t at = 0;

		while (at < promises->late_count && at < LATE_MEMBERS_MAX &&
			   (strcmp(promises->late[at].member, list->members[i]) != 0 ||
				strcmp(promises->late[at].data, list->member_data[i]) != 0))
			at++;
		if (at < LATE_MEMBERS_MAX && at == promises->late_count)
		{
			memcpy(promises->late[at].member, list->members[i], FHA_NAME_SIZE);
			memcpy(promises->late[at].data, list->member_data[i], FHA_ID_SIZE);
		}
		if (at == promises->late_count)
			promises->late_count++;
	}
}

/*
 * As promised_at_ms, of all that a lost write may yet put on the list.  A read that shows the version
 * which it was to replace does not say that it will not come: only another version does.
 */
static int64_t
late_promised_at_ms(FhaNode *node)
{
	const Promises *promises = &node->promises;
	int64_t oldest_at_ms = INT64_MAX;

	if (strcmp(promises->late_version, node->world.watch.version) != 0)
		return INT64_MAX;
	if (promises->late_count > LATE_MEMBERS_MAX)
		return 0; /* LCOV_EXCL_LINE: so many lists in one version of the record */
	for (size_t i = 0; i < promises->late_count; i++)
	{
		int64_t sent_at_ms =
			member_promised_at_ms(node, promises->late[i].member, promises->late[i].data);

		if (sent_at_ms < oldest_at_ms)
			oldest_at_ms = sent_at_ms;
	}
	return oldest_at_ms;
}

/* Of every list that may stand in the record: as last seen, and as our own writes may have made it. */
static int64_t
all_promised_at_ms(FhaNode *node)
{
	int64_t oldest_at_ms = promised_at_ms(node, &node->world.cluster);
	const ClusterWrite *writes[] = {node->unknown ? &node->lost : NULL,
									node->pending == PENDING_RENEW ? &node->write : NULL};

	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
	{
		int64_t also_at_ms;

		if (writes[i] == NULL)
			continue;
		also_at_ms = promised_at_ms(node, &writes[i]->cluster);
		if (also_at_ms < oldest_at_ms)
			oldest_at_ms = also_at_ms;
	}
	if (late_promised_at_ms(node) < oldest_at_ms)
		oldest_at_ms = late_promised_at_ms(node);
	return oldest_at_ms;
}

static void
promise_hear(FhaNode *node, const FhaPeerCallEvent *event, int64_t now_ms)
{
	Promised *promised = promised_by(&node->promises, event->member);
	const FhaPromise *promise = &event->reply.promise;
	const char *why = event->code != FHA_OK ? event->error.text : promise->why;

	if (promised == NULL)
		return; /* LCOV_EXCL_LINE: nobody else was asked */
	if (event->code == FHA_OK && promise->given)
		why = "";
	if (event->code == FHA_OK && promise->given && node->promises.counts)
	{
		promised->sent_at_ms = promised->asked_at_ms;
		promised->for_ms = promised->asked_for_ms;
		memcpy(promised->data, promise->data_incarnation, sizeof(promised->data));
	}
	/* It may have another password by now, or we do. */
	if (event->code == FHA_DENIED)
		node->promises.rekey = true;
	promised->soon = event->code == FHA_OK && promise->soon ? promised->soon + 1 : 0;
	if (promised->soon > 0)
		promised->next_at_ms = now_ms + node->config.retry_period_ms / FHA_SOON_PARTS;
	/* That is no news, unless it goes on. */
	if (promised->soon > 0 && promised->soon <= FHA_SOON_PARTS)
		why = promised->told;
	promised->asked_at_ms = 0;
	if (strncmp(promised->told, why, 190) == 0)
		return;
	(void) snprintf(promised->told, sizeof(promised->told), "%.190s", why);
	if (why[0] != '\0')
		node_news(node, "promise_refused", "%s does not promise not to contend: %s",
				  promised->member, why);
}

void
node_promises_hear(FhaNode *node, int64_t now_ms)
{
	Promises *promises = &node->promises;
	FhaPeerCallEvent event;
	int64_t sent_at_ms;

	if (promises->client == NULL)
		return;
	while (fha_peer_client_step(promises->client, &event) == FHA_OK)
		promise_hear(node, &event, now_ms);
	sent_at_ms = all_promised_at_ms(node);
	if (sent_at_ms == 0 || !fha_lease_is_mine(&node->world))
		return;
	/* This data may soon be on a machine that knows nothing of it. */
	if (!disk_binds(node, sent_at_ms + node->world.tenure.duration_ms,
					node->world.tenure.duration_ms))
		return;
	fha_tenure_promised(&node->world.tenure, sent_at_ms);
	if (node->world.tenure.promised && !promises->told)
	{
		promises->told = true;
		node_news(node, "promises_given",
				  "the lock does not answer: all other members promise not to contend");
	}
}

static void
stop_asking(FhaNode *node)
{
	Promises *promises = &node->promises;

	if (promises->client == NULL)
		return;
	if (promises->told)
		node_news(node, "promises_ended", "promises of other members are not counted on any more");
	fha_peer_client_close(promises->client);
	promises->client = NULL;
	promises->count = 0;
	promises->told = false;
}

static FhaCode
begin_asking(FhaNode *node, bool counts, FhaError *err)
{
	const FhaSelf *self = &node->world.self;
	const FhaPeers *peers = &node->promises.peers;
	FhaPeerCaller caller;
	FhaCode code;

	memset(&caller, 0, sizeof(caller));
	memcpy(caller.cluster, self->cluster, sizeof(caller.cluster));
	memcpy(caller.member, self->member, sizeof(caller.member));
	/* Of the holder: it may have died with the supervisor that named it. */
	memcpy(caller.incarnation, peers->incarnation, sizeof(caller.incarnation));
	caller.system_identifier = peers->system_identifier;
	node->promises.counts = counts;
	code = fha_key_read(&node->config, &caller.key, err);
	if (code == FHA_OK)
		code = fha_peer_client_open(&node->promises.client, &caller, err);
	if (code == FHA_OK)
		code = node_wait_for(node, fha_peer_client_fd(node->promises.client), err);
	if (code != FHA_OK)
		stop_asking(node);
	else if (!counts)
		node_news(
			node, "promises_asked_after_end",
			"the lock does not answer, and PostgreSQL led by promises a moment ago: all other "
			"members are asked to leave it the lease for at most a lease more");
	return code;
}

/* The password may have been changed since the asking began. */
static void
look_at_key(FhaNode *node, int64_t now_ms)
{
	FhaKey key;

	if (!node->promises.rekey)
		return;
	node->promises.rekey = false;
	if (fha_key_read(&node->config, &key, NULL) == FHA_OK &&
		!fha_peer_client_has_key(node->promises.client, &key))
		fha_peer_client_new_key(node->promises.client, &key,
								now_ms + node->config.lease_duration_ms);
}

static void
ask_one(FhaNode *node, const FhaPeer *peer, int64_t now_ms)
{
	const FhaPeers *peers = &node->promises.peers;
	FhaPromiseTerms terms = {.term = peers->term,
							 .duration_ms = peers->duration_ms,
							 .position = node->world.pg.position};
	Promised *promised = promised_by(&node->promises, peer->member);
	FhaPeerCallEvent event = {.code = FHA_OK};

	if (promised == NULL || promised->asked_at_ms != 0 || now_ms < promised->next_at_ms)
		return;
	memcpy(terms.cluster_uuid, peers->cluster_uuid, sizeof(terms.cluster_uuid));
	promised->asked_at_ms = now_ms;
	promised->next_at_ms = now_ms + node->config.retry_period_ms;
	promised->asked_for_ms = terms.duration_ms;
	event.code =
		peer->listener[0] == '\0'
			? fha_error(&event.error, FHA_NOT_FOUND, "it has no listener (fawkes_ha.listen)")
			: fha_peer_call_start(
				  node->promises.client, peer->listener, peer->member, FHA_KIND_PROMISE, &terms,
				  now_ms + FHA_ANSWER_PERIODS * node->config.retry_period_ms, &event.error);
	if (event.code == FHA_OK)
		return;
	(void) snprintf(event.member, sizeof(event.member), "%s", peer->member);
	promise_hear(node, &event, now_ms);
}

void
node_promises_ask(FhaNode *node, FhaFacts facts, int64_t now_ms)
{
	Promises *promises = &node->promises;
	bool leads = wants_promises(node, facts);
	FhaError err;
	FhaCode code = FHA_OK;

	if (leads && now_ms >= binds_at_ms(node))
	{
		promise_bind(node, now_ms, node->world.tenure.duration_ms);
		promise_keep(node, now_ms);
		list_peers(node);
		keep_peers(node, now_ms);
	}
	if ((leads && now_ms < unconfirmed_at_ms(node)) || (!leads && !asks_on(node, now_ms)))
	{
		stop_asking(node);
		return;
	}
	if (promises->counts != leads)
		stop_asking(node);
	if (promises->client == NULL)
	{
		if (now_ms < promises->next_at_ms)
			return;
		promises->next_at_ms = now_ms + node->config.retry_period_ms;
		code = begin_asking(node, leads, &err);
	}
	if (code == FHA_OK && promises->failed[0] != '\0')
		code = fha_error(&err, FHA_IO, "%s", promises->failed);
	if (code != FHA_OK)
	{
		if (!promises->told_why)
			node_news(node, "promises_not_asked", "no promises are asked for: %s", err.text);
		promises->told_why = true;
		return;
	}
	promises->told_why = false;
	look_at_key(node, now_ms);
	for (size_t i = 0; i < promises->peers.count; i++)
		ask_one(node, &promises->peers.of[i], now_ms);
}
