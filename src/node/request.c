/*
 * request.c: what operators request, as the node loop sees it: written into the record by the
 * member that was asked, answered and followed by the holder, done by whom it concerns.
 */
#include "node/private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/tame.h"
#include "config/cluster_conf.h"
#include "record/record.h"
#include "record/request.h"

bool
node_request_moves_lease(const FhaRequest *request)
{
	return request->kind == FHA_REQUEST_SWITCHOVER || request->kind == FHA_REQUEST_FAILOVER;
}

static bool
has_ended(const FhaRequest *request)
{
	return request->state == FHA_REQUEST_DONE || request->state == FHA_REQUEST_FAILED;
}

static void FHA_PRINTF(3, 4)
	answer(FhaRequest *request, FhaRequestState state, const char *format, ...)
{
	va_list args;

	request->state = state;
	va_start(args, format);
	(void) vsnprintf(request->message, sizeof(request->message), format, args);
	va_end(args);
}

void
node_request_settle(const FhaNode *node, FhaRequest *request, bool reclaim)
{
	const char *self = node->world.self.member;
	bool meant = request->target[0] == '\0' || strcmp(request->target, self) == 0;
	/* A holder whose server is down releases for it: nobody came, and it would release again. */
	bool in_vain = request->kind == FHA_REQUEST_FAILOVER && node->world.cluster.released &&
				   strcmp(request->target, self) != 0;

	if (!node_request_moves_lease(request) || has_ended(request) ||
		(reclaim && request->state == FHA_REQUEST_PENDING && !in_vain))
		return;
	if (meant && !reclaim)
	{
		answer(request, FHA_REQUEST_RUNNING, "%s holds the lease", self);
		(void) snprintf(request->target, sizeof(request->target), "%s", self);
	}
	else
		answer(request, FHA_REQUEST_FAILED, "%s leads: the target did not take the lease in time",
			   self);
}

static void
answer_handover(const FhaNode *node, FhaRequest *request, int64_t now_ms)
{
	const FhaWorld *world = &node->world;
	const char *self = world->self.member;
	int successor = fha_successor_find(world, request->target);

	if (request->state != FHA_REQUEST_PENDING)
		return;
	if (fha_failover_is_in_vain(world, now_ms))
	{
		answer(request, FHA_REQUEST_FAILED,
			   "%s comes to lead: nobody took the lease while it let it lapse", self);
		return;
	}
	if (world->pg.state != FHA_PG_PRIMARY)
		return;
	if (strcmp(request->target, self) == 0)
		answer(request, FHA_REQUEST_DONE, "%s leads already", self);
	else if (!world->pg.supervised)
		answer(request, FHA_REQUEST_FAILED,
			   "%s has no supervisor: stop it with pg_ctl, and a standby takes over", self);
	else if (successor < 0 && request->kind == FHA_REQUEST_FAILOVER)
		/* The role is taken away all the same; if nobody takes it up, it comes back. */
		answer(request, FHA_REQUEST_RUNNING, "%s gives its role up to %s, which does not stream",
			   self, request->target[0] == '\0' ? "the best standby" : request->target);
	else if (successor < 0 && request->target[0] == '\0')
		answer(request, FHA_REQUEST_FAILED, "no standby streams from %s at this moment", self);
	else if (successor < 0)
		answer(request, FHA_REQUEST_FAILED, "%s does not stream from %s at this moment",
			   request->target, self);
	else if (world->pg.prepared || request->kind == FHA_REQUEST_FAILOVER)
	{
		(void) snprintf(request->target, sizeof(request->target), "%s",
						world->members[successor].member);
		answer(request, FHA_REQUEST_RUNNING, "%s hands over to %s", self, request->target);
	}
}

/* The holder knows of itself without its record. */
static bool
has_restarted(const FhaWorld *world, const char *name)
{
	if (strcmp(name, world->self.member) == 0)
		return strcmp(world->pg.started_for, world->cluster.request.id) == 0 &&
			   world->pg.state == FHA_PG_PRIMARY;
	return fha_has_carried_out(world, name);
}

/* What keeps a member from coming back, and what takes it away; "" where it says nothing. */
static void
say_why_not(const FhaWorld *world, const char *name, char *out, size_t size)
{
	const char *why = strcmp(name, world->self.member) == 0 ? world->pg.no_start : "";
	const char *suspects = why[0] == '\0' ? "" : world->pg.suspects;

	for (size_t i = 0; i < world->member_count && why[0] == '\0'; i++)
		if (strcmp(world->members[i].member, name) == 0)
		{
			why = world->members[i].no_start;
			suspects = world->members[i].suspects;
		}
	out[0] = '\0';
	if (why[0] != '\0')
		(void) snprintf(out, size, ": PostgreSQL does not start there%s%.40s%s: %.90s",
						suspects[0] == '\0' ? "" : " (fawkes-ha reset ", suspects,
						suspects[0] == '\0' ? "" : "?)", why);
}

/*
 * Has a standby no slot or walsender here, and is a setting waiting for a restart?  Standbys first
 * would wait for what only this restart brings.
 */
static bool
lacks_room(const FhaWorld *world)
{
	int64_t standbys = (int64_t) world->cluster.member_count - 1;

	return world->pg.pending_restart &&
		   ((world->pg.max_slots != 0 && world->pg.max_slots < standbys) ||
			(world->pg.max_senders != 0 && world->pg.max_senders < standbys));
}

static void
answer_restart(const FhaNode *node, FhaRequest *request)
{
	const FhaWorld *world = &node->world;
	const FhaCluster *cluster = &world->cluster;
	size_t wanted = 0;
	size_t done = 0;
	const char *next = "";
	char why[FHA_SENTENCE_SIZE];

	if (request->state == FHA_REQUEST_PENDING)
	{
		request->primary_first = world->pg.limits_lowered || lacks_room(world);
		answer(request, FHA_REQUEST_RUNNING, "begun%s",
			   lacks_room(world) ? ", with the primary: standbys find no room there before"
			   : world->pg.limits_lowered
				   ? ", with the primary: standbys need its lowered settings first"
				   : "");
		return;
	}
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		const char *name = cluster->members[i];

		/* A server that nobody starts again is stopped by nobody: it is restarted by hand. */
		if (strcmp(name, world->self.member) == 0
				? !world->pg.supervised ||
					  (request->target[0] != '\0' && strcmp(request->target, name) != 0)
				: !fha_must_restart(world, name))
			continue;
		wanted++;
		if (has_restarted(world, name))
			done++;
		else if (next[0] == '\0' || fha_restarts_before(cluster, name, next))
			next = name;
	}
	if (done == wanted && (world->pg.supervised || request->target[0] != '\0'))
		answer(request, FHA_REQUEST_DONE, "%zu of %zu restarted", done, wanted);
	else if (done == wanted)
		answer(request, wanted == 0 ? FHA_REQUEST_FAILED : FHA_REQUEST_DONE,
			   "%zu of %zu restarted; %s has no supervisor: restart it with pg_ctl", done, wanted,
			   world->self.member);
	else
	{
		say_why_not(world, next, why, sizeof(why));
		answer(request, FHA_REQUEST_RUNNING, "%zu of %zu restarted, waiting for %s%s", done, wanted,
			   next, why);
		/* What had no room may have been cut within a letter. */
		fha_tame(request->message);
	}
}

static void
answer_reinit(const FhaNode *node, FhaRequest *request)
{
	const FhaWorld *world = &node->world;

	if (request->kind == FHA_REQUEST_REINIT && request->state == FHA_REQUEST_PENDING)
		answer(request, FHA_REQUEST_RUNNING, "%s copies the data of %s", request->target,
			   world->self.member);
	else if (request->kind == FHA_REQUEST_REINIT ? fha_has_carried_out(world, request->target)
												 : fha_streams(world, request->target))
		answer(request, FHA_REQUEST_DONE, "%s streams from %s", request->target,
			   world->self.member);
	else if (request->state == FHA_REQUEST_PENDING)
		answer(request, FHA_REQUEST_RUNNING, "%s tries again", request->target);
}

static bool
member_has_record(const FhaWorld *world, const char *name)
{
	for (size_t i = 0; i < world->member_count; i++)
		if (strcmp(world->members[i].member, name) == 0)
			return true;
	return false;
}

/* Its record goes first (node_request_tombstone): else it would be listed again at once. */
static void
answer_remove(const FhaNode *node, FhaCluster *cluster, FhaRequest *request)
{
	if (member_has_record(&node->world, request->target))
		return;
	fha_member_unlist(cluster, request->target);
	answer(request, FHA_REQUEST_DONE, "%s is not a member any more", request->target);
}

static bool
is_late(const FhaNode *node, const FhaRequest *request, int64_t now_ms)
{
	/* A handover that has begun stops this server: there is no way back from it by a clock. */
	if (node_request_moves_lease(request) && request->state == FHA_REQUEST_RUNNING)
		return false;
	return request->time_limit_ms > 0 && strcmp(request->id, node->request_seen) == 0 &&
		   now_ms - node->world.request_seen_at_ms > request->time_limit_ms;
}

void
node_request_answer(const FhaNode *node, FhaCluster *cluster, int64_t now_ms)
{
	FhaRequest *request = &cluster->request;
	const FhaWorld *world = &node->world;
	FhaError err;
	char plan[FHA_PLAN_SIZE];

	if (request->kind == FHA_REQUEST_NONE || has_ended(request))
		return;
	if (is_late(node, request, now_ms))
	{
		char last[FHA_SENTENCE_SIZE];

		memcpy(last, request->message, sizeof(last));
		answer(request, FHA_REQUEST_FAILED, "not finished in %" PRId64 " s%s%.150s",
			   request->time_limit_ms / 1000, last[0] == '\0' ? "" : "; last: ", last);
		return;
	}
	if (node_request_moves_lease(request))
	{
		answer_handover(node, request, now_ms);
		return;
	}
	/* Whoever wrote it may have seen less than we do.  Who is to be removed and has no record any more, is. */
	if (request->state == FHA_REQUEST_PENDING &&
		(request->kind != FHA_REQUEST_REMOVE || member_has_record(world, request->target)) &&
		fha_request_check(&world->cluster, world->members, world->member_count, node->config.lock,
						  request, plan, &err) != FHA_OK)
	{
		answer(request, FHA_REQUEST_FAILED, "%.190s", err.text);
		return;
	}
	if (request->kind == FHA_REQUEST_RESTART)
		answer_restart(node, request);
	else if (request->kind == FHA_REQUEST_REMOVE)
		answer_remove(node, cluster, request);
	else
		answer_reinit(node, request);
}

FhaCode
node_write_request(FhaNode *node, int64_t now_ms, FhaError *err)
{
	FhaCode code = node_write_begin(node, PENDING_REQUEST, err);

	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: no memory */
	/* The holder's nonce stays: it shows which of the holder's own writes arrived. */
	memcpy(node->write.cluster.nonce, node->world.cluster.nonce, sizeof(node->write.cluster.nonce));
	if (node->request.kind != FHA_REQUEST_SET && node->request.kind != FHA_REQUEST_RESET)
		return fha_request_enter(&node->write.cluster, &node->request, err);
	return node_settings_change(node, &node->write.cluster, now_ms, err);
}

bool
node_request_tombstone(const FhaNode *node, const Held **held, char **text)
{
	const FhaRequest *request = &node->world.cluster.request;
	FhaMember member;

	if (request->kind != FHA_REQUEST_REMOVE || request->state != FHA_REQUEST_PENDING ||
		!fha_lease_is_mine(&node->world))
		return false;
	for (size_t i = 0; i < node->world.member_count; i++)
		if (strcmp(node->world.members[i].member, request->target) == 0)
		{
			member = node->world.members[i];
			member.removed = true;
			member.role = FHA_ROLE_DOWN;
			member.data_incarnation[0] = '\0';
			member.rule[0] = '\0';
			(void) snprintf(member.state, sizeof(member.state), "removed by %.60s",
							request->requested_by);
			*held = &node->others[i];
			return fha_member_print(&member, text, NULL) == FHA_OK;
		}
	return false;
}

void
node_request_notice(FhaNode *node, int64_t now_ms)
{
	const FhaRequest *request = &node->world.cluster.request;

	if (strcmp(node->request_seen, request->id) == 0)
		return;
	memcpy(node->request_seen, request->id, sizeof(node->request_seen));
	node->world.request_seen_at_ms = now_ms;
}

void
node_request_remember(FhaNode *node, const ClusterWrite *write)
{
	const FhaRequest *request = &write->cluster.request;
	const FhaRequest *before = &node->world.cluster.request;
	FhaHistoryEntry *entry;

	if (write->pending == PENDING_REQUEST)
	{
		node->request_waits = false;
		if (!fha_request_is_done_at_once(node->request.kind))
			return;
		request = &node->request;
	}
	else if (request->kind == FHA_REQUEST_NONE || !has_ended(request) ||
			 (strcmp(before->id, request->id) == 0 && has_ended(before)) ||
			 (node_request_moves_lease(request) && request->state == FHA_REQUEST_DONE))
		return; /* a lease that moved has its entry from who took it */
	entry = node_history_room(node);
	if (entry != NULL)
		fha_history_of_request(&write->cluster, request, node_wall_ms(node), entry);
}
