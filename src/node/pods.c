/*
 * pods.c: what the node is to clients, and the labels of pods that say so.
 *
 * Nothing here has a part in the lease: a label that cannot be written is tried again, with pauses.
 */
#include "node/private.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* For one request; the lock's are far shorter. */
#define TIME_MS 5000
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

/* LCOV_EXCL_START: a real API server has its tests, test_routing.py */
static void
pods_finish(FhaNode *node, int64_t now_ms)
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
			node_news(node, "pods_labelled_again", "the labels of pods can be seen to again");
		pods->failing = false;
		if (task->verb == FHA_ROUTING_LABEL)
			node_news(node, "pod_labelled", "pod %s is labelled %s", task->pod,
					  fha_serves_name(task->serves));
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
				node_news(node, "pods_not_listed",
						  "the pods of the cluster could not be listed, which is tried again with "
						  "pauses: %s",
						  event.error.text);
			else
				node_news(node, "pod_not_labelled",
						  "pod %s could not be labelled, which is tried again with pauses: %s",
						  task->pod, event.error.text);
		}
		fha_routing_failed(&pods->routing, task, own, absent, now_ms);
	}
	task->verb = FHA_ROUTING_NOTHING;
}

static void
pods_begin(FhaNode *node, bool may_lead, int64_t now_ms)
{
	NodePods *pods = &node->pods;
	FhaRoutingTask *task = &pods->task;
	FhaError err;

	fha_routing_next(&pods->routing, &node->world, &node->lag.freshness, may_lead,
					 node_lag_limit_ms(node), now_ms, task);
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
	const FhaFacts nothing_counts =
		FHA_UNREAD | FHA_STALE | FHA_FOREIGN | FHA_DUPLICATE | FHA_TAKEN;

	const bool leads = (facts & (FHA_MINE | FHA_SAFE)) == (FHA_MINE | FHA_SAFE);

	node->pods.alone =
		fha_routing_alone(&node->pods.watch, &node->world, leads, node_lag_limit_ms(node), now_ms);
	/* LCOV_EXCL_START: as above */
	if (node->pods.client == NULL)
		return;
	if (node->pods.task.verb != FHA_ROUTING_NOTHING)
		pods_finish(node, now_ms);
	if (node->pods.task.verb == FHA_ROUTING_NOTHING && node->synced &&
		(facts & nothing_counts) == 0 && !node->world.watch.absent)
		pods_begin(node, leads, now_ms);
	/* LCOV_EXCL_STOP */
}

int64_t
node_pods_wake_at_ms(const FhaNode *node, int64_t now_ms)
{
	const NodePods *pods = &node->pods;
	int64_t wake_at_ms;
	int64_t other_at_ms;

	if (pods->client == NULL)
		return INT64_MAX;
	/* LCOV_EXCL_START: as above */
	wake_at_ms = fha_pods_wake_at_ms(pods->client);
	other_at_ms = fha_routing_again_at_ms(&pods->routing, now_ms);
	return other_at_ms < wake_at_ms ? other_at_ms : wake_at_ms;
	/* LCOV_EXCL_STOP */
}

FhaServes
node_pods_serves(const FhaNode *node, FhaFacts facts)
{
	return fha_routing_own(&node->world, &node->lag.freshness,
						   (facts & (FHA_MINE | FHA_SAFE)) == (FHA_MINE | FHA_SAFE));
}
