/*
 * node_promise.c: promises between members while the lock does not answer (S10).
 *
 * A holder whose renewals get no answer asks everybody else on the list not to take the lease for
 * a lease duration.  When all have promised, that is as good as a renewal sent when the questions
 * were: nobody who may contend does.  docs/design.md has the argument.
 *
 * A promise counts only of the data that the list names, and only from a member none of whose
 * own attempts at the lease may still arrive.  It is on disk before it is given; and so is, before
 * it asks, what the holder may come to count on.
 */
#include "node_private.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

/* A renewal that is not confirmed for so many retry periods is reason to ask. */
#define SILENT_PERIODS 2
/* Who is asked has so many retry periods to answer. */
#define ANSWER_PERIODS 2

/* --- this node's own word, on disk */

FhaCode
node_promises_open(FhaNode *node, FhaError *err)
{
	Promises *promises = &node->promises;
	FhaBond *bond = &promises->bond;
	const char *boot_id = node->world.self.boot_id;
	int64_t now_ms = fha_now_ms();
	FhaCode code = fha_bond_load(&node->config, bond, err);

	if (code != FHA_OK && code != FHA_NOT_FOUND)
		return code;
	node->world.bound_until_ms = fha_bond_until_ms(bond, boot_id, now_ms);
	promises->lost_take = bond->contended[0] != '\0';
	if (bond->for_ms != 0 && strcmp(bond->boot_id, boot_id) != 0)
	{
		memcpy(bond->boot_id, boot_id, sizeof(bond->boot_id));
		bond->until_ms = node->world.bound_until_ms;
		code = fha_bond_save(&node->config, bond, err);
		if (code != FHA_OK)
			return code; /* LCOV_EXCL_LINE: the kernel refuses */
	}
	return FHA_OK;
}

void
node_promises_close(FhaNode *node)
{
	fha_ask_close(node->promises.ask);
	node->promises.ask = NULL;
}

/* Bound until now + for_ms, on disk. */
static FhaCode
bind_until(FhaNode *node, int64_t now_ms, int64_t for_ms, FhaError *err)
{
	FhaBond bond = node->promises.bond;
	FhaCode code;

	memcpy(bond.boot_id, node->world.self.boot_id, sizeof(bond.boot_id));
	bond.for_ms = for_ms;
	bond.until_ms = now_ms + for_ms;
	if (bond.until_ms < node->world.bound_until_ms)
	{
		/* An earlier promise was for longer. */
		bond.until_ms = node->world.bound_until_ms;
		bond.for_ms = bond.until_ms - now_ms;
	}
	code = fha_bond_save(&node->config, &bond, err);
	if (code == FHA_OK)
		node->promises.bond = bond;
	return code;
}

FhaCode
node_promises_contend(FhaNode *node, FhaError *err)
{
	FhaBond bond = node->promises.bond;
	const char *version = node->world.watch.version;
	FhaCode code;

	(void) snprintf(bond.contended, sizeof(bond.contended), "%s",
					version[0] == '\0' ? FHA_BOND_ABSENT : version);
	code = fha_bond_save(&node->config, &bond, err);
	if (code == FHA_OK)
		node->promises.bond = bond;
	return code;
}

/* The file says so with what is next written to it: until then a node that starts again reads. */
static void
forget_take(FhaNode *node)
{
	node->promises.bond.contended[0] = '\0';
	node->promises.lost_take = false;
}

void
node_promises_settled(FhaNode *node, FhaCode code)
{
	bool version_is_gone = code == FHA_OK || code == FHA_CONFLICT || code == FHA_NOT_FOUND;

	if (code == FHA_UNKNOWN)
		node->promises.lost_take = true;
	else if (version_is_gone || !node->promises.lost_take)
		forget_take(node);
}

/* Is this version, "" for an absent record, another one than that which this node tried to replace? */
static bool
shows_the_end(const FhaNode *node, const char *version)
{
	const char *contended = node->promises.bond.contended;

	return contended[0] != '\0' &&
		   strcmp(contended, version[0] == '\0' ? FHA_BOND_ABSENT : version) != 0;
}

bool
node_promises_owe_a_read(const FhaNode *node)
{
	/* The watch may be behind: it is reason to read, and not an answer. */
	return node->world.watch.seen && shows_the_end(node, node->world.watch.version);
}

void
node_promises_read(FhaNode *node, const char *version)
{
	if (shows_the_end(node, version))
		forget_take(node);
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
cannot_promise(const FhaNode *node, const FhaQuestion *asked)
{
	const FhaWorld *world = &node->world;
	const FhaCluster *cluster = &world->cluster;
	const FhaPromiseTerms *terms = &asked->promise;

	if (world->self.cluster_uuid[0] == '\0' ||
		strcmp(world->self.cluster_uuid, terms->cluster_uuid) != 0)
		return "this member's data is of another cluster, or of none yet";
	if (terms->duration_ms <= 0 || terms->duration_ms > FHA_LEASE_MAX_MS)
		return "nobody promises for so long";
	if (terms->term < highest_term(world))
		return "this member has seen a later term";
	if (node->promises.bond.contended[0] != '\0')
		return "this member has tried to take the lease, and does not know yet how that ended";
	if (!world->watch.seen || world->watch.absent || cluster->term != terms->term)
		return NULL;
	if (strcmp(cluster->holder, asked->from) != 0 ||
		strcmp(cluster->incarnation, asked->from_incarnation) != 0)
		return "another holds the lease of that term";
	if (cluster->released)
		return "the lease of that term was released";
	return NULL;
}

/*
 * A member whose fence may be open leads an older term than the one that it is asked for: the lock
 * was put back to an older copy.  It gives way, and promises when its fence is shut.
 */
static bool
gives_way(FhaNode *node, int64_t now_ms)
{
	if (now_ms >= node->allowed_until_ms)
		return false;
	fha_tenure_end(&node->world.tenure, now_ms);
	node_nudge(node);
	return true;
}

void
fha_node_promise(FhaNode *node, const FhaQuestion *asked, FhaPromise *out)
{
	const char *why = cannot_promise(node, asked);
	int64_t now_ms = fha_now_ms();
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
	else if (bind_until(node, now_ms, asked->promise.duration_ms, &err) != FHA_OK)
		(void) snprintf(out->why, sizeof(out->why), "%.180s", err.text);
	else
	{
		/* From now on, and not from before it was on disk. */
		int64_t until_ms = fha_now_ms() + asked->promise.duration_ms;

		if (until_ms > node->world.bound_until_ms)
			node->world.bound_until_ms = until_ms;
		out->given = true;
	}
}

/* --- who asks */

/* May this holder count on promises?  Not while an order is about to take the lease from it. */
static bool
wants_promises(const FhaNode *node, FhaFacts facts)
{
	const FhaFacts leading = FHA_PRIMARY | FHA_MINE | FHA_LINEAGE | FHA_PUBLISHED;
	const FhaOrderSlip *request = &node->world.cluster.request;

	return (facts & leading) == leading && (facts & FHA_STOPPING) == 0 &&
		   node->rule->lease == FHA_LEASE_RENEW && node->world.cluster.member_count > 1 &&
		   node->world.tenure.duration_ms != 0 &&
		   !(node_request_moves_lease(request) && request->state <= FHA_REQUEST_RUNNING);
}

static int64_t
asks_from_ms(const FhaNode *node)
{
	int64_t silent_ms = node->confirmed_ms + SILENT_PERIODS * node->config.retry_period_ms;

	return silent_ms > node->promises.next_ms ? silent_ms : node->promises.next_ms;
}

int64_t
node_promises_wake_ms(const FhaNode *node, FhaFacts facts)
{
	int64_t wake_ms = INT64_MAX;

	if (node->promises.ask != NULL)
		wake_ms = fha_ask_wake_ms(node->promises.ask);
	if (wants_promises(node, facts) && asks_from_ms(node) < wake_ms)
		wake_ms = asks_from_ms(node);
	return wake_ms;
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

/* When the oldest of the promises of all that are on this list was asked for; 0: one is missing. */
static int64_t
promised_ms(FhaNode *node, const FhaCluster *list)
{
	int64_t oldest_ms = INT64_MAX;

	for (size_t i = 0; i < list->member_count; i++)
	{
		const Promised *promised;

		if (strcmp(list->members[i], node->world.self.member) == 0)
			continue;
		promised = promised_by(&node->promises, list->members[i]);
		if (promised == NULL || promised->sent_ms == 0 ||
			/* The lease was made longer since. */
			promised->for_ms < node->world.tenure.duration_ms ||
			strcmp(promised->data, list->member_data[i]) != 0)
			return 0;
		if (promised->sent_ms < oldest_ms)
			oldest_ms = promised->sent_ms;
	}
	return oldest_ms == INT64_MAX ? 0 : oldest_ms;
}

/* Of every list that may stand in the record: as last seen, and as our own writes may have made it. */
static int64_t
all_promised_ms(FhaNode *node)
{
	int64_t oldest_ms = promised_ms(node, &node->world.cluster);
	const ClusterWrite *writes[] = {node->unknown ? &node->lost : NULL,
									node->errand == ERRAND_RENEW ? &node->write : NULL};

	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
	{
		int64_t also_ms;

		if (writes[i] == NULL)
			continue;
		also_ms = promised_ms(node, &writes[i]->cluster);
		if (also_ms < oldest_ms)
			oldest_ms = also_ms;
	}
	return oldest_ms;
}

static void
hear(FhaNode *node, const FhaAskEvent *event)
{
	Promised *promised = promised_by(&node->promises, event->member);
	const FhaPromise *promise = &event->reply.promise;
	const char *why = event->code != FHA_OK ? event->error.text : promise->why;

	if (promised == NULL)
		return; /* LCOV_EXCL_LINE: nobody else was asked */
	if (event->code == FHA_OK && promise->given)
	{
		promised->sent_ms = promised->asked_ms;
		promised->for_ms = promised->asked_for_ms;
		memcpy(promised->data, promise->data_incarnation, sizeof(promised->data));
		why = "";
	}
	promised->asked_ms = 0;
	if (strncmp(promised->told, why, 190) == 0)
		return;
	(void) snprintf(promised->told, sizeof(promised->told), "%.190s", why);
	if (why[0] != '\0')
		node_news(node, "%s does not promise not to contend: %s", promised->member, why);
}

void
node_promises_hear(FhaNode *node)
{
	Promises *promises = &node->promises;
	FhaAskEvent event;
	int64_t sent_ms;

	if (promises->ask == NULL)
		return;
	while (fha_ask_step(promises->ask, &event) == FHA_OK)
		hear(node, &event);
	sent_ms = all_promised_ms(node);
	if (sent_ms == 0 || !fha_lease_is_mine(&node->world))
		return;
	fha_tenure_promised(&node->world.tenure, sent_ms);
	if (node->world.tenure.promised && !promises->told)
	{
		promises->told = true;
		node_news(node, "the lock does not answer: all other members promise not to contend");
	}
}

static void
stop_asking(FhaNode *node)
{
	Promises *promises = &node->promises;

	if (promises->ask == NULL)
		return;
	if (promises->told)
		node_news(node, "promises of other members are not counted on any more");
	fha_ask_close(promises->ask);
	promises->ask = NULL;
	promises->count = 0;
	promises->told = false;
}

static FhaCode
begin_asking(FhaNode *node, FhaError *err)
{
	const FhaSelf *self = &node->world.self;
	FhaAsker asker;
	FhaCode code;

	memset(&asker, 0, sizeof(asker));
	memcpy(asker.cluster, self->cluster, sizeof(asker.cluster));
	memcpy(asker.member, self->member, sizeof(asker.member));
	memcpy(asker.incarnation, self->incarnation, sizeof(asker.incarnation));
	asker.system_identifier = node->world.cluster.system_identifier;
	code = fha_key_read(&node->config, &asker.key, err);
	if (code == FHA_OK)
		code = fha_ask_open(&node->promises.ask, &asker, err);
	if (code == FHA_OK)
		code = node_wait_for(node, fha_ask_fd(node->promises.ask), err);
	if (code != FHA_OK)
		stop_asking(node);
	return code;
}

static void
ask_one(FhaNode *node, const char *name, int64_t now_ms)
{
	FhaWorld *world = &node->world;
	FhaPromiseTerms terms = {.term = world->cluster.term, .duration_ms = world->tenure.duration_ms};
	Promised *promised = promised_by(&node->promises, name);
	const char *address = "";
	FhaAskEvent event = {.code = FHA_OK};

	if (strcmp(name, world->self.member) == 0 || promised == NULL || promised->asked_ms != 0)
		return;
	memcpy(terms.cluster_uuid, world->cluster.cluster_uuid, sizeof(terms.cluster_uuid));
	for (size_t i = 0; i < world->member_count; i++)
		if (strcmp(world->members[i].member, name) == 0)
			address = world->members[i].listener;
	promised->asked_ms = now_ms;
	promised->asked_for_ms = terms.duration_ms;
	event.code =
		address[0] == '\0'
			? fha_error(&event.error, FHA_NOT_FOUND, "it has no listener (fawkes_ha.listen)")
			: fha_ask_start(node->promises.ask, address, name, FHA_KIND_PROMISE, &terms,
							now_ms + ANSWER_PERIODS * node->config.retry_period_ms, &event.error);
	if (event.code == FHA_OK)
		return;
	(void) snprintf(event.member, sizeof(event.member), "%s", name);
	hear(node, &event);
}

void
node_promises_ask(FhaNode *node, FhaFacts facts, int64_t now_ms)
{
	Promises *promises = &node->promises;
	const FhaCluster *cluster = &node->world.cluster;
	FhaError err;
	FhaCode code = FHA_OK;

	if (!wants_promises(node, facts) ||
		now_ms < node->confirmed_ms + SILENT_PERIODS * node->config.retry_period_ms)
	{
		stop_asking(node);
		return;
	}
	if (now_ms < promises->next_ms)
		return;
	promises->next_ms = now_ms + node->config.retry_period_ms;
	if (promises->ask == NULL)
		code = begin_asking(node, &err);
	/* Before anybody is asked: this data may soon be on a machine that knows nothing of it. */
	if (code == FHA_OK)
		code = bind_until(node, now_ms, node->world.tenure.duration_ms, &err);
	if (code != FHA_OK)
	{
		if (!promises->told_why)
			node_news(node, "no promises are asked for: %s", err.text);
		promises->told_why = true;
		return;
	}
	promises->told_why = false;
	for (size_t i = 0; i < cluster->member_count; i++)
		ask_one(node, cluster->members[i], now_ms);
}
