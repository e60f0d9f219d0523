/*
 * node_pods.c: what the node is to clients, and the labels of pods that say so.
 *
 * Nothing here has a part in the lease: a label that cannot be written is tried again, with pauses.
 */
#include "node_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"

/* For one request; the lock's are far shorter. */
#define TIME_MS 5000
/* The lease's renewals tell standbys where the leader is: so often at the least. */
#define LEAST_PERIODS 3

static int64_t
limit_ms(const FhaNode *node)
{
	int64_t least_ms = LEAST_PERIODS * node->config.retry_period_ms;

	return node->config.max_replica_lag_ms > least_ms ? node->config.max_replica_lag_ms : least_ms;
}

FhaCode
node_pods_open(FhaNode *node, FhaError *err)
{
	NodePods *pods = &node->pods;
	FhaCode code;

	(void) snprintf(node->world.self.pod, sizeof(node->world.self.pod), "%s", node->config.pod);
	code = fha_pods_open(&pods->client, node->config.lock, node->config.cluster_name, err);
	if (code == FHA_NOT_FOUND)
		return FHA_OK;
	/* LCOV_EXCL_START: a real API server has its tests, test_routing.py */
	return code == FHA_OK ? node_wait_for(node, fha_pods_fd(pods->client), err) : code;
	/* LCOV_EXCL_STOP */
}

void
node_pods_close(FhaNode *node)
{
	if (node->pods.client != NULL)
		fha_pods_close(node->pods.client); /* LCOV_EXCL_LINE: as above */
}

/* What this standby has heard of its leader's position, from the record and from the stream. */
static void
take_samples(FhaNode *node, int64_t now_ms)
{
	NodePods *pods = &node->pods;
	const FhaWorld *world = &node->world;
	const FhaPgView *pg = &world->pg;
	bool streams = pg->state == FHA_PG_STANDBY && pg->streaming &&
				   strcmp(pg->following, world->cluster.holder) == 0;

	if (pods->term != world->cluster.term)
		fha_freshness_new_term(&pods->freshness);
	pods->term = world->cluster.term;
	/* Only who streams can replay what it hears of; the first stamp is of the connection. */
	if (streams && pods->streamed)
	{
		if (strcmp(pods->heard_version, world->watch.version) != 0 &&
			world->cluster.position.timeline == pg->position.timeline)
			fha_freshness_sample(&pods->freshness, world->cluster.position.lsn, limit_ms(node),
								 now_ms);
		if (pods->heard_stamp != pg->heard_stamp && pg->heard_lsn != 0)
			fha_freshness_sample(&pods->freshness, pg->heard_lsn, limit_ms(node), now_ms);
	}
	pods->streamed = streams;
	pods->heard_stamp = pg->heard_stamp;
	memcpy(pods->heard_version, world->watch.version, sizeof(pods->heard_version));
}

static void
judge(FhaNode *node, int64_t now_ms)
{
	FhaFreshness *freshness = &node->pods.freshness;
	bool was_fit = freshness->fit;

	if (node->world.pg.state != FHA_PG_STANDBY)
		return;
	fha_freshness_judge(freshness, node->world.pg.replayed, limit_ms(node), now_ms);
	if (was_fit && !freshness->fit)
	{
		node->pods.lapsed = true;
		node_news(node,
				  "what this standby shows is older than max_replica_lag (%lld ms): it is "
				  "unhealthy to readers until it has caught up",
				  (long long) limit_ms(node));
	}
	else if (freshness->fit && node->pods.lapsed)
	{
		node->pods.lapsed = false;
		node_news(node, "this standby has caught up: it is a replica to readers again");
	}
}

/* LCOV_EXCL_START: a real API server has its tests, test_routing.py */
static void
finish(FhaNode *node, int64_t now_ms)
{
	static FhaPodsEvent event;
	NodePods *pods = &node->pods;
	FhaRoutingTask *task = &pods->task;
	const char *own = node->world.self.pod;

	if (fha_pods_step(pods->client, &event) != FHA_OK)
		return;
	if (event.code == FHA_OK)
	{
		if (pods->failing)
			node_news(node, "the labels of pods can be seen to again");
		pods->failing = false;
		if (task->verb == FHA_ROUTING_LABEL)
			node_news(node, "pod %s is labelled %s", task->pod, fha_serves_name(task->serves));
		fha_routing_done(&pods->routing, task, own, event.found, event.count, now_ms);
	}
	else
	{
		bool absent = event.code == FHA_NOT_FOUND;

		/* A pod that is gone is no trouble, unless it is our own. */
		if (!pods->failing && (!absent || strcmp(task->pod, own) == 0))
		{
			pods->failing = true;
			if (task->verb == FHA_ROUTING_LOOK)
				node_news(node,
						  "the pods of the cluster could not be listed, which is tried again with "
						  "pauses: %s",
						  event.error.text);
			else
				node_news(node,
						  "pod %s could not be labelled, which is tried again with pauses: %s",
						  task->pod, event.error.text);
		}
		fha_routing_failed(&pods->routing, task, own, absent, now_ms);
	}
	task->verb = FHA_ROUTING_NOTHING;
}

static void
begin(FhaNode *node, bool may_lead, int64_t now_ms)
{
	NodePods *pods = &node->pods;
	FhaRoutingTask *task = &pods->task;
	FhaError err;

	fha_routing_next(&pods->routing, &node->world, &pods->freshness, may_lead, limit_ms(node),
					 now_ms, task);
	if (task->verb == FHA_ROUTING_NOTHING ||
		fha_pods_start(pods->client, task, now_ms + TIME_MS, &err) == FHA_OK)
		return;
	fha_routing_failed(&pods->routing, task, node->world.self.pod, false, now_ms);
	task->verb = FHA_ROUTING_NOTHING;
}
/* LCOV_EXCL_STOP */

void
node_pods_step(FhaNode *node, FhaFacts facts, int64_t now_ms)
{
	const FhaFacts nothing_counts = FHA_UNREAD | FHA_STALE | FHA_FOREIGN | FHA_TWIN;

	const bool leads = (facts & (FHA_MINE | FHA_SAFE)) == (FHA_MINE | FHA_SAFE);

	take_samples(node, now_ms);
	judge(node, now_ms);
	node->pods.alone =
		fha_routing_alone(&node->pods.watch, &node->world, leads, limit_ms(node), now_ms);
	/* LCOV_EXCL_START: as above */
	if (node->pods.client == NULL)
		return;
	if (node->pods.task.verb != FHA_ROUTING_NOTHING)
		finish(node, now_ms);
	if (node->pods.task.verb == FHA_ROUTING_NOTHING && node->synced &&
		(facts & nothing_counts) == 0 && !node->world.watch.absent)
		begin(node, leads, now_ms);
	/* LCOV_EXCL_STOP */
}

int64_t
node_pods_wake_ms(const FhaNode *node, int64_t now_ms)
{
	const NodePods *pods = &node->pods;
	int64_t wake_ms = INT64_MAX;
	int64_t other_ms;

	if (node->world.pg.state == FHA_PG_STANDBY)
		wake_ms = now_ms + limit_ms(node) / 4;
	if (pods->client == NULL)
		return wake_ms;
	/* LCOV_EXCL_START: as above */
	other_ms = fha_pods_wake_ms(pods->client);
	if (other_ms < wake_ms)
		wake_ms = other_ms;
	other_ms = fha_routing_again_ms(&pods->routing, now_ms);
	return other_ms < wake_ms ? other_ms : wake_ms;
	/* LCOV_EXCL_STOP */
}

FhaServes
node_pods_serves(const FhaNode *node, FhaFacts facts)
{
	return fha_routing_own(&node->world, &node->pods.freshness,
						   (facts & (FHA_MINE | FHA_SAFE)) == (FHA_MINE | FHA_SAFE));
}
