/*
 * routing.c: which label should which pod have.  See routing.h.
 */
#include "core/routing.h"

#include <string.h>

static const char *const names[] = {"", "unhealthy", "replica", "primary"};

const char *
fha_serves_name(FhaServes serves)
{
	return names[serves];
}

FhaServes
fha_serves_parse(const char *name)
{
	for (int i = FHA_SERVES_UNHEALTHY; i <= FHA_SERVES_PRIMARY; i++)
		if (strcmp(names[i], name) == 0)
			return (FhaServes) i;
	return FHA_SERVES_NOTHING;
}

FhaServes
fha_routing_own(const FhaWorld *world, const FhaFreshness *freshness, bool may_lead)
{
	if (fha_lease_is_mine(world))
		/* Whoever cannot prove its lease writes nothing; one that is promoted is routed to already. */
		return may_lead && (world->pg.state == FHA_PG_PRIMARY || world->pg.state == FHA_PG_STANDBY)
				   ? FHA_SERVES_PRIMARY
				   : FHA_SERVES_NOTHING;
	if (world->pg.state == FHA_PG_STANDBY && !world->pg.cold && freshness->fit)
		return FHA_SERVES_REPLICA;
	return FHA_SERVES_UNHEALTHY;
}

static const FhaMember *
member_of(const FhaWorld *world, const char *pod)
{
	for (size_t i = 0; i < world->member_count; i++)
		if (strcmp(world->members[i].pod, pod) == 0)
			return &world->members[i];
	return NULL;
}

/* Keep when each member was last seen to stream; one that is new counts from now on. */
static void
watch_streams(FhaRouting *routing, const FhaWorld *world, int64_t now_ms)
{
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
	{
		const char *name = i < world->member_count ? world->members[i].member : "";

		if (strcmp(routing->members[i], name) != 0)
		{
			memcpy(routing->members[i], name, strlen(name) + 1);
			routing->streamed_at_ms[i] = now_ms;
		}
		else if (name[0] != '\0' && fha_streams(world, name))
			routing->streamed_at_ms[i] = now_ms;
	}
}

bool
fha_routing_alone(FhaAlone *alone, const FhaWorld *world, bool leads, int64_t limit_ms,
				  int64_t now_ms)
{
	bool served = !alone->leads || alone->term != world->cluster.term;

	for (size_t i = 0; i < world->member_count && !served; i++)
		served = world->members[i].serves == FHA_SERVES_REPLICA &&
				 fha_streams(world, world->members[i].member);
	alone->leads = leads;
	alone->term = world->cluster.term;
	if (served)
		alone->served_at_ms = now_ms;
	return leads && now_ms - alone->served_at_ms > limit_ms;
}

/* What the holder takes another's pod for; NOTHING: it has no word about it. */
static FhaServes
pod_wanted(const FhaRouting *routing, const FhaWorld *world, const FhaPod *pod, int64_t limit_ms,
		   int64_t now_ms)
{
	const FhaMember *member = member_of(world, pod->name);

	if (member == NULL)
		return pod->serves == FHA_SERVES_PRIMARY ? FHA_SERVES_UNHEALTHY : FHA_SERVES_NOTHING;
	if (member->serves != FHA_SERVES_REPLICA ||
		now_ms - routing->streamed_at_ms[member - world->members] > limit_ms)
		return FHA_SERVES_UNHEALTHY;
	return FHA_SERVES_REPLICA;
}

static bool
fix_others(FhaRouting *routing, const FhaWorld *world, int64_t limit_ms, int64_t now_ms,
		   FhaRoutingTask *task)
{
	for (size_t i = 0; i < routing->count; i++)
	{
		const FhaPod *pod = &routing->pods[i];
		FhaServes serves = pod_wanted(routing, world, pod, limit_ms, now_ms);

		if (serves == FHA_SERVES_NOTHING || serves == pod->serves)
			continue;
		task->verb = FHA_ROUTING_LABEL;
		memcpy(task->pod, pod->name, sizeof(task->pod));
		task->serves = serves;
		return true;
	}
	return false;
}

static bool
somebody_has_a_pod(const FhaWorld *world)
{
	for (size_t i = 0; i < world->member_count; i++)
		if (world->members[i].pod[0] != '\0')
			return true;
	return false;
}

static void
try_at_once(FhaRouting *routing)
{
	routing->retry_at_ms = 0;
	routing->pause_ms = 0;
}

void
fha_routing_next(FhaRouting *routing, const FhaWorld *world, const FhaFreshness *freshness,
				 bool may_lead, int64_t limit_ms, int64_t now_ms, FhaRoutingTask *task)
{
	FhaServes own = fha_routing_own(world, freshness, may_lead);
	bool leads = own == FHA_SERVES_PRIMARY;

	memset(task, 0, sizeof(*task));
	if (leads && (!routing->leads || routing->term != world->cluster.term))
	{
		/* A new term: nothing that was known of others' pods counts. */
		routing->count = 0;
		routing->next_look_at_ms = 0;
		routing->term = world->cluster.term;
		memset(routing->members, 0, sizeof(routing->members));
		try_at_once(routing);
	}
	routing->leads = leads;
	if (leads)
		watch_streams(routing, world, now_ms);
	if (now_ms < routing->retry_at_ms)
		return;
	if (world->self.pod[0] != '\0' && own != FHA_SERVES_NOTHING && own != routing->own)
	{
		task->verb = FHA_ROUTING_LABEL;
		memcpy(task->pod, world->self.pod, sizeof(task->pod));
		task->serves = own;
		return;
	}
	if (!leads || (world->self.pod[0] == '\0' && !somebody_has_a_pod(world)))
		return;
	if (fix_others(routing, world, limit_ms, now_ms, task))
		return;
	if (now_ms >= routing->next_look_at_ms)
		task->verb = FHA_ROUTING_LOOK;
}

static FhaPod *
find_pod(FhaRouting *routing, const char *name)
{
	for (size_t i = 0; i < routing->count; i++)
		if (strcmp(routing->pods[i].name, name) == 0)
			return &routing->pods[i];
	return NULL;
}

void
fha_routing_done(FhaRouting *routing, const FhaRoutingTask *task, const char *own_pod,
				 const FhaPod *pods, size_t count, int64_t now_ms)
{
	FhaPod *pod;

	try_at_once(routing);
	if (task->verb == FHA_ROUTING_LOOK)
	{
		routing->count = 0;
		for (size_t i = 0; i < count; i++)
			if (strcmp(pods[i].name, own_pod) == 0)
				routing->own = pods[i].serves;
			else
				routing->pods[routing->count++] = pods[i];
		routing->next_look_at_ms = now_ms + FHA_ROUTING_LOOK_MS;
		return;
	}
	if (strcmp(task->pod, own_pod) == 0)
		routing->own = task->serves;
	else if ((pod = find_pod(routing, task->pod)) != NULL)
		pod->serves = task->serves;
}

void
fha_routing_failed(FhaRouting *routing, const FhaRoutingTask *task, const char *own_pod,
				   bool absent, int64_t now_ms)
{
	FhaPod *pod = find_pod(routing, task->pod);

	if (absent && pod != NULL && strcmp(task->pod, own_pod) != 0)
	{
		*pod = routing->pods[--routing->count];
		return;
	}
	routing->pause_ms = routing->pause_ms == 0 ? FHA_ROUTING_RETRY_MS : 2 * routing->pause_ms;
	if (routing->pause_ms > FHA_ROUTING_RETRY_MOST_MS)
		routing->pause_ms = FHA_ROUTING_RETRY_MOST_MS;
	routing->retry_at_ms = now_ms + routing->pause_ms;
}

int64_t
fha_routing_again_at_ms(const FhaRouting *routing, int64_t now_ms)
{
	int64_t again_at_ms = INT64_MAX;

	if (routing->retry_at_ms > now_ms)
		again_at_ms = routing->retry_at_ms;
	if (routing->leads && routing->next_look_at_ms > now_ms &&
		routing->next_look_at_ms < again_at_ms)
		again_at_ms = routing->next_look_at_ms;
	return again_at_ms;
}
