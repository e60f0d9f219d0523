/*
 * health.c: what the node loop knows, for the listener and for who measures.  Both ask between steps, so
 * each answer begins with a look at the clock.
 */
#include <stdio.h>
#include <string.h>

#include "node/private.h"

/* To whom it matters whether they can connect. */
static FhaPgState
shown_state(const FhaWorld *world)
{
	return world->pg.cold ? FHA_PG_BUSY : world->pg.state;
}

void
fha_node_health(const FhaNode *node, FhaHealth *out)
{
	const FhaWorld *world = &node->world;
	int64_t now_ms = node_now_ms(node);

	(void) snprintf(out->incarnation, sizeof(out->incarnation), "%s", world->self.incarnation);
	out->postgres = shown_state(world);
	out->position = world->pg.position;
	out->replayed = world->pg.replayed;
	node_lag_own_shown(node, out->lag, now_ms);
	/* A primary follows nobody, whom its server followed before. */
	(void) snprintf(out->following, sizeof(out->following), "%s",
					world->pg.state == FHA_PG_PRIMARY ? "" : world->pg.following);
	out->system_identifier = world->pg.system_identifier;
	if (node->rule != NULL)
	{
		out->decision = fha_node_action_name(node->rule->node);
		out->rule = node->rule->id;
		out->because = node->rule->because;
		if (node->rule->fence == FHA_FENCE_OPEN)
			out->fence_left_ms = world->tenure.write_ends_at_ms - now_ms;
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

void
fha_node_vitals(const FhaNode *node, FhaVitals *out)
{
	const FhaWorld *world = &node->world;

	*out = node->counted;
	out->at_ms = node_now_ms(node);
	out->postgres = shown_state(world);
	out->pending_restart = world->pg.pending_restart;
	out->unattended = world->pg.unattended;
	if (node->rule != NULL)
	{
		out->decision = fha_node_action_name(node->rule->node);
		out->rule = node->rule->id;
		out->because = node->rule->because;
		out->decided_at_ms = node->decided_at_ms;
	}
	out->known = world->watch.seen && !world->watch.absent;
	if (!out->known)
		return;
	out->mine = fha_lease_is_mine(world);
	out->released = world->cluster.released;
	out->end_missing = fha_end_is_missing(&world->cluster, world->members, world->member_count,
										  !fha_lease_is_free(world, out->at_ms));
	memcpy(out->holder, world->cluster.holder, sizeof(out->holder));
	out->paused = world->cluster.paused;
	out->promised = out->mine && world->tenure.promised;
	out->term = world->cluster.term;
	out->timeline = world->cluster.timeline;
	out->lease_ms = world->cluster.lease_duration_ms;
	out->renew_deadline_ms = node->config.renew_deadline_ms;
	out->bound_ends_at_ms = world->bound_ends_at_ms;
	out->first_answer_at_ms = node->first_answer_at_ms;
	out->renewed_at_ms = out->mine ? node->confirmed_at_ms : world->watch.last_sign_at_ms;
	out->streaming = world->pg.standby_count;
	for (size_t i = 0; i < world->member_count; i++)
	{
		out->members[world->members[i].role]++;
		if (world->members[i].data_incarnation[0] == '\0')
			out->without_data++;
		if (node_members_silent(node, i, out->at_ms))
			out->silent++;
	}
}
