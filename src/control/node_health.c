/*
 * node_health.c: what the node loop knows, for the listener.
 */
#include <stdio.h>
#include <string.h>

#include "node_private.h"

#include "clock.h"

void
fha_node_health(const FhaNode *node, FhaHealth *out)
{
	const FhaWorld *world = &node->world;
	int64_t now_ms = fha_now_ms();

	(void) snprintf(out->incarnation, sizeof(out->incarnation), "%s", world->self.incarnation);
	out->postgres = world->pg.state;
	out->position = world->pg.position;
	out->replayed = world->pg.replayed;
	(void) snprintf(out->following, sizeof(out->following), "%s", world->pg.following);
	out->system_identifier = world->pg.system_identifier;
	if (node->rule != NULL)
	{
		out->decision = fha_node_order_name(node->rule->node);
		out->because = node->rule->because;
		if (node->rule->fence == FHA_FENCE_OPEN)
			out->fence_left_ms = world->tenure.write_until_ms - now_ms;
	}
	out->known = world->watch.seen && !world->watch.absent;
	if (!out->known)
		return;
	if (out->system_identifier == 0)
		out->system_identifier = world->cluster.system_identifier;
	out->led = !world->cluster.released &&
			   !fha_watch_lapsed(&world->watch, world->self.lease_duration_ms, now_ms);
	memcpy(out->holder, world->cluster.holder, sizeof(out->holder));
	out->term = world->cluster.term;
	out->timeline = world->cluster.timeline;
	out->leader = world->cluster.position;
	out->paused = world->cluster.paused;
}
