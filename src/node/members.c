/*
 * members.c: who is on the list, and who has been silent for too long to stay on it.
 */
#include "node/private.h"

#include <stdio.h>
#include <string.h>

#include "core/timing.h"
#include "record/record.h"

static int64_t
timeout_ms(const FhaNode *node)
{
	int64_t least_ms = fha_silent_after_ms(node->config.lease_duration_ms);

	return node->config.member_timeout_ms > least_ms ? node->config.member_timeout_ms : least_ms;
}

void
node_members_listen(FhaNode *node, int64_t now_ms)
{
	int64_t quiet_ms = now_ms - node->read_at_ms;

	/* What a lock tells that was quiet for a lease may be as old as that. */
	if (quiet_ms > FHA_POLL_LEASES * node->config.lease_duration_ms)
		node->first_heard_at_ms = now_ms;
	/* While it does not answer nobody can write: silence does not count.  While nobody renews it is only quiet. */
	if (quiet_ms > FHA_UNREACHED_LEASES * node->config.lease_duration_ms)
		node->first_answer_at_ms = now_ms;
}

static int64_t
silent_at_ms(const FhaNode *node, size_t i)
{
	return node->others[i].changed_at_ms > node->first_answer_at_ms ? node->others[i].changed_at_ms
																	: node->first_answer_at_ms;
}

bool
node_members_silent(const FhaNode *node, size_t i, int64_t now_ms)
{
	return strcmp(node->world.members[i].member, node->world.self.member) != 0 &&
		   fha_is_silent(now_ms - silent_at_ms(node, i), node->config.lease_duration_ms);
}

bool
node_members_tombstone(FhaNode *node, int64_t now_ms, const Held **held, char **text)
{
	const FhaWorld *world = &node->world;

	node->buried[0] = '\0';
	if (node->rule->fence != FHA_FENCE_OPEN || world->cluster.paused)
		return false;
	for (size_t i = 0; i < world->member_count; i++)
	{
		const char *name = world->members[i].member;
		FhaMember member;

		if (strcmp(name, world->self.member) == 0 || fha_streams(world, name) ||
			now_ms - silent_at_ms(node, i) <= timeout_ms(node))
			continue;
		/* Whom nobody else could replace stays: who is not on the list is never elected. */
		if (fha_member_is_listed(&world->cluster, name) && world->pg.standby_count == 0)
			continue;
		member = world->members[i];
		member.removed = true;
		member.role = FHA_ROLE_DOWN;
		member.serves = FHA_SERVES_NOTHING;
		member.data_incarnation[0] = '\0';
		member.rule[0] = '\0';
		(void) snprintf(member.state, sizeof(member.state),
						"silent for more than member_timeout (%lld s)",
						(long long) (timeout_ms(node) / 1000));
		memcpy(node->buried, member.member, sizeof(node->buried));
		*held = &node->others[i];
		return fha_member_print(&member, text, NULL) == FHA_OK;
	}
	return false;
}

void
node_members_buried(FhaNode *node)
{
	FhaHistoryEntry *entry = node->buried[0] == '\0' ? NULL : node_history_room(node);

	if (entry == NULL)
		return; /* an operator's removal has the entry of its request */
	node_news(node, "silent_member_removed",
			  "%s was silent for more than member_timeout (%lld s): it is taken off the list, and "
			  "on it again when it writes its record",
			  node->buried, (long long) (timeout_ms(node) / 1000));
	node_wall_time(node, entry->at);
	(void) snprintf(entry->event, sizeof(entry->event), "remove");
	memcpy(entry->member, node->buried, sizeof(entry->member));
	(void) snprintf(entry->reason, sizeof(entry->reason),
					"silent for more than member_timeout (%lld s)",
					(long long) (timeout_ms(node) / 1000));
	entry->term = node->world.cluster.term;
	entry->timeline = node->world.cluster.timeline;
	node->buried[0] = '\0';
}

void
node_members_strike(const FhaNode *node, FhaCluster *cluster)
{
	const FhaWorld *world = &node->world;

	for (size_t i = cluster->member_count; i-- > 0;)
	{
		bool known = strcmp(cluster->members[i], world->self.member) == 0;

		for (size_t j = 0; j < world->member_count && !known; j++)
			known = strcmp(cluster->members[i], world->members[j].member) == 0;
		if (!known)
			fha_member_unlist(cluster, cluster->members[i]);
	}
}
