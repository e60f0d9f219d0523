/*
 * observe.c: from what a node knows to the facts that decide.  See observe.h.
 */
#include "core/observe.h"

#include <string.h>

#include "core/timing.h"

static bool
text_same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool
world_has_record(const FhaWorld *world)
{
	return world->watch.seen && !world->watch.absent;
}

static bool
holder_has_my_name(const FhaWorld *world)
{
	return world_has_record(world) && text_same(world->cluster.holder, world->self.member);
}

bool
fha_lease_is_mine(const FhaWorld *world)
{
	return holder_has_my_name(world) && !world->cluster.released &&
		   text_same(world->cluster.incarnation, world->self.incarnation);
}

static char *
text_append(char *at, const char *text)
{
	size_t length = strlen(text);

	memcpy(at, text, length);
	at[length] = '/';
	return at + length + 1;
}

void
fha_cluster_sign(const FhaCluster *cluster, char out[FHA_WATCH_SIGN_SIZE])
{
	char digits[20];
	uint64_t rest = (uint64_t) cluster->lease_duration_ms;
	size_t count = 0;
	char *at = text_append(out, cluster->holder);

	_Static_assert(FHA_NAME_SIZE + 2 * FHA_ID_SIZE + 2 + sizeof(digits) < FHA_WATCH_SIGN_SIZE,
				   "a sign is never cut off");
	at = text_append(at, cluster->incarnation);
	at = text_append(at, cluster->nonce);
	*at++ = cluster->released ? 'r' : 'h';
	do
		digits[count++] = (char) ('0' + rest % 10);
	while ((rest /= 10) > 0);
	while (count > 0)
		*at++ = digits[--count];
	*at = '\0';
}

/*
 * S7: the data of the record's holder has everything up to the position that it wrote there.  An
 * older copy that was restored in its place has not, and is a candidate like any other.
 */
static bool
has_what_the_record_shows(const FhaWorld *world)
{
	return fha_position_compare(world->pg.position, world->cluster.position) >= 0;
}

/*
 * S1b: another incarnation of our name waits like any candidate, unless this process took the very
 * liveness lock that the record names (a copied directory has another) and the record was written
 * in this boot: then nobody of that node can live.
 */
static bool
is_my_dead_self(const FhaWorld *world)
{
	return holder_has_my_name(world) && world->self.liveness_held &&
		   text_same(world->cluster.boot_id, world->self.boot_id) &&
		   text_same(world->cluster.liveness, world->self.liveness) &&
		   has_what_the_record_shows(world);
}

static bool
has_lapsed(const FhaWorld *world, int64_t now_ms)
{
	return fha_watch_lapsed(&world->watch, world->self.lease_duration_ms, now_ms);
}

/* Has a lock that was put back given the term of the last question to another holder? */
static bool
is_another_s_question(const FhaWorld *world)
{
	return world->heard_from[0] != '\0' && !text_same(world->heard_from, world->cluster.holder);
}

/*
 * S10: is this release later than the last question that the holder of its term asked, as far as is known
 * here?  An older copy of the record, put back, may show one that it has taken back since.  A server that
 * stops writes WAL after what its question told; one that starts begins at the end of its release.  Without
 * a question of this term there is no promise to it: a process that has just started is bound by precaution.
 * A member of 1.1 asks without its position, and its release counts.
 */
static bool
is_released_since_asked(const FhaWorld *world)
{
	const FhaCluster *cluster = &world->cluster;

	if (world->heard_term != cluster->term)
		return world->heard_term < cluster->term;
	if (is_another_s_question(world))
		return false;
	return !fha_position_is_known(world->heard) ||
		   (fha_position_is_known(cluster->release) &&
			fha_position_compare(cluster->release, world->heard) > 0);
}

/*
 * S1: a clean stop ends all WAL of its term.  If more of it is here, or was told of, the holder took the
 * lease back since: this is an older copy of the record, put back, and the holder may still lead.
 */
static bool
is_release_outrun(const FhaWorld *world)
{
	const FhaCluster *cluster = &world->cluster;
	FhaPosition mine = world->pg.position;

	if (!cluster->release_final || !fha_position_is_known(cluster->release))
		return false;
	if (mine.timeline == cluster->release.timeline && mine.lsn > cluster->release.lsn)
		return true;
	return world->heard_term == cluster->term && fha_position_is_known(world->heard) &&
		   fha_position_compare(world->heard, cluster->release) >= 0;
}

static bool
is_let_go(const FhaWorld *world)
{
	return world->cluster.released && !is_release_outrun(world);
}

bool
fha_lease_is_free(const FhaWorld *world, int64_t now_ms)
{
	bool bound = now_ms < world->bound_ends_at_ms;

	if (!world_has_record(world) || fha_lease_is_mine(world))
		return false;
	if (is_let_go(world))
		return !bound || is_released_since_asked(world);
	/* S10: the holder may count on a promise for as long as it does not let the lease go itself. */
	return is_my_dead_self(world) || (has_lapsed(world, now_ms) && !bound);
}

uint64_t
fha_members_term(const FhaWorld *world)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < world->member_count; i++)
	{
		const FhaMember *member = &world->members[i];

		if (member->highest_term > highest && member->cluster_uuid[0] != '\0' &&
			text_same(member->cluster_uuid, world->cluster.cluster_uuid))
			highest = member->highest_term;
	}
	return highest;
}

int
fha_position_compare(FhaPosition a, FhaPosition b)
{
	if (a.timeline != b.timeline)
		return a.timeline < b.timeline ? -1 : 1;
	if (a.lsn != b.lsn)
		return a.lsn < b.lsn ? -1 : 1;
	return 0;
}

FhaPosition
fha_holder_position(const FhaWorld *world)
{
	const FhaCluster *cluster = &world->cluster;

	return world->heard_term == cluster->term && !is_another_s_question(world) &&
				   fha_position_compare(world->heard, cluster->position) > 0
			   ? world->heard
			   : cluster->position;
}

static bool
is_of_another_origin(const FhaCluster *cluster, uint32_t timeline, FhaPosition origin)
{
	for (size_t i = 1; origin.timeline != 0 && i < cluster->lineage_count; i++)
		if (cluster->lineage[i].timeline == timeline)
			return cluster->lineage[i - 1].timeline != origin.timeline ||
				   cluster->lineage[i - 1].end != origin.lsn;
	return false;
}

bool
fha_lineage_holds(const FhaCluster *cluster, FhaPosition position, FhaPosition origin)
{
	if (is_of_another_origin(cluster, position.timeline, origin))
		return false;
	/* The tip's term may have had no leader yet: then the tip is the newest recorded step. */
	if (position.timeline == cluster->timeline)
		return true;
	for (size_t i = 0; i < cluster->lineage_count; i++)
		if (cluster->lineage[i].timeline == position.timeline)
			return cluster->lineage[i].end == 0 || position.lsn <= cluster->lineage[i].end;
	return false;
}

/* The identity of the record's timeline of that number; "": not known, or there is none. */
static const char *
identity_in(const FhaCluster *cluster, uint32_t timeline)
{
	if (timeline == cluster->timeline)
		return cluster->timeline_id;
	for (size_t i = 0; i < cluster->lineage_count; i++)
		if (cluster->lineage[i].timeline == timeline)
			return cluster->lineage[i].id;
	return "";
}

static bool
are_others(const char *a, const char *b)
{
	return a[0] != '\0' && b[0] != '\0' && !text_same(a, b);
}

int
fha_lineage_find_namesake(const FhaCluster *cluster, const FhaLineageStep *steps, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		const char *leader_s = identity_in(cluster, steps[i].timeline);

		if (are_others(steps[i].id, leader_s))
			return (int) i;
		/* A history that names the parent, and no identity: of a promotion by hand, or by 1.1. */
		if (i > 0 && steps[i].id[0] == '\0' && leader_s[0] != '\0')
			return (int) i;
	}
	return -1;
}

static bool
has_namesake(const FhaWorld *world)
{
	return fha_lineage_find_namesake(&world->cluster, world->pg.lineage, world->pg.lineage_count) >=
		   0;
}

/* Is its position of none of the record's timelines, although their numbers say so? */
static bool
is_on_namesake(const FhaCluster *cluster, const FhaMember *member)
{
	return are_others(member->timeline_id, identity_in(cluster, member->position.timeline));
}

FhaPosition
fha_lineage_origin(const FhaLineageStep *steps, size_t count)
{
	return count < 2 ? (FhaPosition){0, 0}
					 : (FhaPosition){steps[count - 2].timeline, steps[count - 2].end};
}

const char *
fha_timeline_identity(const FhaPgView *pg)
{
	for (size_t i = 0; i < pg->lineage_count; i++)
		if (pg->lineage[i].timeline == pg->position.timeline)
			return pg->lineage[i].id;
	return "";
}

bool
fha_timeline_is_reserved(const FhaCluster *cluster, const FhaPgView *pg)
{
	return pg->position.timeline == cluster->timeline &&
		   !are_others(fha_timeline_identity(pg), cluster->timeline_id);
}

bool
fha_lineage_is_published(const FhaCluster *cluster)
{
	return cluster->lineage_term == cluster->term && !cluster->release_final;
}

/* Where the list has this name; member_count: nowhere. */
static size_t
listed_at(const FhaCluster *cluster, const char *name)
{
	size_t at = 0;

	while (at < cluster->member_count && !text_same(cluster->members[at], name))
		at++;
	return at;
}

bool
fha_member_is_listed(const FhaCluster *cluster, const char *name)
{
	return listed_at(cluster, name) < cluster->member_count;
}

bool
fha_member_is_listed_as(const FhaCluster *cluster, const char *name, const char *data)
{
	size_t at = listed_at(cluster, name);

	return at < cluster->member_count && text_same(cluster->member_data[at], data);
}

bool
fha_member_list(FhaCluster *cluster, const char *name, const char *data)
{
	size_t at = listed_at(cluster, name);

	if (at == FHA_MEMBERS_MAX)
		return false;
	if (at == cluster->member_count)
	{
		cluster->member_count++;
		memcpy(cluster->members[at], name, strlen(name) + 1);
	}
	memcpy(cluster->member_data[at], data, strlen(data) + 1);
	return true;
}

void
fha_member_unlist(FhaCluster *cluster, const char *name)
{
	size_t at = listed_at(cluster, name);

	if (at == cluster->member_count)
		return;
	cluster->member_count--;
	for (; at < cluster->member_count; at++)
	{
		memcpy(cluster->members[at], cluster->members[at + 1], FHA_NAME_SIZE);
		memcpy(cluster->member_data[at], cluster->member_data[at + 1], FHA_ID_SIZE);
	}
}

static const FhaMember *
world_find_member(const FhaWorld *world, const char *name)
{
	for (size_t i = 0; i < world->member_count; i++)
		if (text_same(world->members[i].member, name))
			return &world->members[i];
	return NULL;
}

static int64_t
duplicate_gone_at_ms(const FhaWorld *world)
{
	int64_t lease_ms = world->self.lease_duration_ms;

	if (world_has_record(world) && world->cluster.lease_duration_ms > lease_ms)
		lease_ms = world->cluster.lease_duration_ms;
	return world->own.last_sign_at_ms + FHA_DUPLICATE_LEASES * lease_ms;
}

bool
fha_has_duplicate(const FhaWorld *world, int64_t now_ms)
{
	const FhaMember *named = world_find_member(world, world->self.member);

	return named != NULL && !world->self.spoken && world->own.seen && named->liveness[0] != '\0' &&
		   !text_same(named->incarnation, world->self.incarnation) &&
		   !text_same(named->liveness, world->self.liveness) &&
		   now_ms < duplicate_gone_at_ms(world);
}

static bool
some_member_has_data(const FhaWorld *world)
{
	for (size_t i = 0; i < world->member_count; i++)
		if (world->members[i].data_incarnation[0] != '\0')
			return true;
	return false;
}

static bool
is_foreign(const FhaWorld *world)
{
	const FhaCluster *cluster = &world->cluster;

	if (!world_has_record(world) || world->pg.empty)
		return false;
	if (world->self.cluster_uuid[0] != '\0' &&
		!text_same(world->self.cluster_uuid, cluster->cluster_uuid))
		return true;
	return cluster->system_identifier != 0 && world->pg.system_identifier != 0 &&
		   cluster->system_identifier != world->pg.system_identifier;
}

/* An explicit failover names a target, or lets anybody lead: it lifts the lag limit and the pause,
 * never S1. */
static bool
is_failover_requested(const FhaWorld *world)
{
	const FhaRequest *request = &world->cluster.request;

	return request->kind == FHA_REQUEST_FAILOVER && request->state == FHA_REQUEST_PENDING;
}

/* Still to be done, or begun by a holder that has given the lease up for it. */
static bool
is_failover_open(const FhaWorld *world)
{
	const FhaRequest *request = &world->cluster.request;

	return is_failover_requested(world) ||
		   (request->kind == FHA_REQUEST_FAILOVER && request->state == FHA_REQUEST_RUNNING &&
			world->cluster.released);
}

static bool
is_failover_to_me(const FhaWorld *world)
{
	const char *target = world->cluster.request.target;

	return is_failover_open(world) && (target[0] == '\0' || text_same(target, world->self.member));
}

/*
 * S10: may this member contend?  With the data that the list names; or with other data under a name
 * that is on the list, if an operator names it: whose data is not the list's has promised nothing
 * that a holder could count.
 */
static bool
is_listed(const FhaWorld *world)
{
	const FhaCluster *cluster = &world->cluster;
	const FhaSelf *self = &world->self;

	return fha_member_is_listed_as(cluster, self->member, self->data_incarnation) ||
		   (is_failover_to_me(world) && cluster->request.target[0] != '\0' &&
			self->data_incarnation[0] != '\0' && fha_member_is_listed(cluster, self->member));
}

/* A switchover that we agreed to, or a failover that finds our PostgreSQL down. */
static bool
is_handover_requested(const FhaWorld *world)
{
	const FhaRequest *request = &world->cluster.request;

	if ((request->kind != FHA_REQUEST_SWITCHOVER && request->kind != FHA_REQUEST_FAILOVER) ||
		text_same(request->target, world->self.member))
		return false;
	return request->state == FHA_REQUEST_RUNNING ||
		   (is_failover_requested(world) && world->pg.state == FHA_PG_DOWN);
}

static int64_t
world_later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
world_patience_ms(const FhaWorld *world)
{
	return FHA_STUCK_LEASES * world->self.lease_duration_ms;
}

/* In this time every other member has seen the lease lapse, and has had its turn. */
static int64_t
room_ms(const FhaWorld *world)
{
	return FHA_ROOM_LEASES * world->self.lease_duration_ms +
		   world_later(FHA_TARGET_WAITS * world->self.release_wait_ms,
					   FHA_ELECTION_WAITS * world->self.election_wait_ms);
}

static int64_t
turns_ms(const FhaWorld *world)
{
	return world_later(room_ms(world) + world_patience_ms(world), 1);
}

/*
 * S9: a holder whose PostgreSQL does not come to lead keeps everybody else from it.  Its patience ends
 * at this moment: INT64_MAX for never.  A failover that was asked for ends it at once.
 */
static int64_t
stuck_at_ms(const FhaWorld *world)
{
	if (is_failover_requested(world) && !is_failover_to_me(world))
		return world_later(world->led_at_ms, world->request_seen_at_ms);
	if (world->led_at_ms == 0 || world->cluster.member_count <= 1)
		return INT64_MAX;
	return world->led_at_ms + world_patience_ms(world);
}

/*
 * S9: others have room, then the holder tries again, because they may be unable to lead, and so in
 * turns: nobody waits for ever for what does not come.
 */
static bool
is_stuck(const FhaWorld *world, int64_t now_ms)
{
	int64_t begins_at_ms = stuck_at_ms(world);

	return now_ms >= begins_at_ms && (now_ms - begins_at_ms) % turns_ms(world) < room_ms(world);
}

/* When is_stuck() changes next. */
static int64_t
stuck_again_at_ms(const FhaWorld *world, int64_t now_ms)
{
	int64_t begins_at_ms = stuck_at_ms(world);
	int64_t turn_at_ms;

	if (now_ms < begins_at_ms)
		return begins_at_ms;
	turn_at_ms = now_ms - (now_ms - begins_at_ms) % turns_ms(world);
	return turn_at_ms + (is_stuck(world, now_ms) ? room_ms(world) : turns_ms(world));
}

bool
fha_failover_is_in_vain(const FhaWorld *world, int64_t now_ms)
{
	return is_failover_requested(world) && !is_failover_to_me(world) && fha_lease_is_mine(world) &&
		   !world->pg.stopping &&
		   (world->pg.state == FHA_PG_BUSY || world->pg.state == FHA_PG_STANDBY) &&
		   now_ms >= stuck_at_ms(world) + room_ms(world);
}

static int64_t
free_for(const FhaWorld *world, int64_t now_ms)
{
	return world->found_free_at_ms == 0 ? 0 : now_ms - world->found_free_at_ms;
}

bool
fha_position_is_known(FhaPosition position)
{
	return position.timeline != 0 && position.lsn != 0 && position.lsn != FHA_LSN_UNREAD;
}

FhaPosition
fha_needed(const FhaCluster *cluster)
{
	return (cluster->released || cluster->release_final) && fha_position_is_known(cluster->release)
			   ? cluster->release
			   : cluster->position;
}

/*
 * A release that knows neither what was acknowledged nor where the WAL ends asks for what the last renewal
 * told.  If the holder has led by promises since, it has told more.
 */
static bool
is_release_outdated(const FhaWorld *world)
{
	const FhaCluster *cluster = &world->cluster;
	FhaPosition heard = fha_holder_position(world);

	return cluster->released && fha_position_is_known(heard) &&
		   fha_position_compare(fha_needed(cluster), cluster->position) == 0 &&
		   fha_position_compare(heard, cluster->position) > 0;
}

FhaPosition
fha_wanted(const FhaWorld *world)
{
	FhaPosition needed = fha_needed(&world->cluster);
	FhaPosition heard = fha_holder_position(world);
	bool counts = !world->cluster.released || is_release_outdated(world);

	return counts && fha_position_compare(heard, needed) > 0 ? heard : needed;
}

bool
fha_end_is_missing(const FhaCluster *cluster, const FhaMember *members, size_t count, bool held)
{
	if (!cluster->release_final || (held && !cluster->released))
		return false;
	for (size_t i = 0; i < count; i++)
		if (members[i].role == FHA_ROLE_STANDBY && !is_on_namesake(cluster, &members[i]) &&
			fha_position_compare(members[i].position, cluster->release) >= 0)
			return false;
	return true;
}

/* Has this member what the last clean stop left? */
static bool
has_final_end(const FhaWorld *world)
{
	return !world->cluster.release_final ||
		   fha_position_compare(world->pg.position, world->cluster.release) >= 0;
}

/* May this member lead without losing more than it should? */
static bool
is_fit(const FhaWorld *world, int64_t now_ms)
{
	const FhaCluster *cluster = &world->cluster;
	FhaPosition mine = world->pg.position;
	FhaPosition wanted = fha_needed(cluster);
	FhaPosition heard = fha_holder_position(world);

	if (world->pg.empty || mine.timeline == 0 || world->pg.too_small)
		return false;
	if (is_failover_to_me(world))
		return true;
	/* Nothing known is never nothing needed, and no patience makes up for it. */
	if (!fha_position_is_known(wanted) || !has_final_end(world))
		return false;
	if (is_release_outdated(world))
		wanted = fha_wanted(world);
	if (cluster->released || cluster->release_final)
	{
		/* Whoever released reads what was acknowledged: only a member that has it may lead
		 * while the releaser can still take the lease back itself. */
		if (fha_position_compare(mine, wanted) >= 0)
			return true;
		if (free_for(world, now_ms) < FHA_TARGET_WAITS * world->self.release_wait_ms)
			return false;
	}
	/* Then the limit counts from the furthest that is known of anybody. */
	if (fha_position_is_known(heard) && fha_position_compare(heard, wanted) > 0)
		wanted = heard;
	return mine.lsn + (uint64_t) world->self.max_lag_bytes >= wanted.lsn;
}

/* Is `a` a better candidate than us?  Position, then name (S5's order, without its votes). */
static bool
is_better(const FhaWorld *world, const FhaMember *a)
{
	int order = fha_position_compare(a->position, world->pg.position);

	if (is_on_namesake(&world->cluster, a))
		return false;
	if (order != 0)
		return order > 0;
	return strcmp(a->member, world->self.member) < 0;
}

/*
 * Has everybody who could be better had the chance to say so?
 *
 * Candidates publish their position for the version of the record that they see as free.  When all
 * have, the best goes at once; otherwise after election_wait; and whoever is still there after
 * twice that goes whether or not a better one was heard, for it did not act.
 */
static bool
is_my_turn(const FhaWorld *world, int64_t now_ms)
{
	const FhaCluster *cluster = &world->cluster;
	int64_t waited = free_for(world, now_ms);
	const char *target =
		is_failover_requested(world) ? cluster->request.target : cluster->release_to;
	bool all_published = true;

	if (world->found_free_at_ms == 0)
		return false;
	if (target[0] != '\0' && cluster->released && waited < world->self.release_wait_ms)
		return text_same(target, world->self.member);
	/* A target that never comes does not keep the lease free for ever. */
	if (is_failover_requested(world) && target[0] != '\0' &&
		waited < FHA_TARGET_WAITS * world->self.release_wait_ms)
		return text_same(target, world->self.member);
	if (holder_has_my_name(world) && has_what_the_record_shows(world))
		/* We gave it away: others first, but not for ever; longer if an operator wants another. */
		return !cluster->released || waited >= (is_failover_open(world) ? FHA_TARGET_WAITS : 1) *
												   world->self.release_wait_ms;
	if (waited >= FHA_ELECTION_WAITS * world->self.election_wait_ms)
		return true;
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		const char *name = cluster->members[i];
		const FhaMember *other = world_find_member(world, name);

		if (text_same(name, world->self.member) || text_same(name, cluster->holder))
			continue;
		if (other == NULL || !text_same(other->candidate_for, world->watch.version))
			all_published = false;
		else if (is_better(world, other))
			return false;
	}
	return all_published || waited >= world->self.election_wait_ms;
}

int
fha_successor_find(const FhaWorld *world, const char *target)
{
	int best = -1;
	uint64_t best_lsn = 0;

	for (size_t i = 0; i < world->member_count; i++)
	{
		const FhaMember *member = &world->members[i];

		if (text_same(member->member, world->self.member) ||
			!fha_member_is_listed(&world->cluster, member->member) ||
			(target[0] != '\0' && !text_same(member->member, target)))
			continue;
		for (size_t j = 0; j < world->pg.standby_count; j++)
		{
			const FhaStandby *standby = &world->pg.standbys[j];

			if (text_same(standby->member, member->member) && (best < 0 || standby->lsn > best_lsn))
			{
				best = (int) i;
				best_lsn = standby->lsn;
			}
		}
	}
	return best;
}

static bool
streams_by_record(const FhaWorld *world, const char *name)
{
	for (size_t i = 0; i < world->cluster.standby_count; i++)
		if (text_same(world->cluster.standbys[i].member, name))
			return true;
	return false;
}

bool
fha_has_carried_out(const FhaWorld *world, const char *name)
{
	const FhaMember *member = world_find_member(world, name);

	return member != NULL && text_same(member->carried_out, world->cluster.request.id) &&
		   (member->role == FHA_ROLE_PRIMARY || streams_by_record(world, name));
}

bool
fha_must_restart(const FhaWorld *world, const char *name)
{
	const FhaMember *member = world_find_member(world, name);

	return fha_member_is_listed(&world->cluster, name) && member != NULL && member->supervised &&
		   (world->cluster.request.target[0] == '\0' ||
			text_same(world->cluster.request.target, name));
}

int64_t
fha_room_needed(const FhaCluster *cluster)
{
	return (int64_t) cluster->member_count + 1;
}

bool
fha_restarts_before(const FhaCluster *cluster, const char *a, const char *b)
{
	if (text_same(a, cluster->holder))
		return cluster->request.primary_first;
	if (text_same(b, cluster->holder))
		return !cluster->request.primary_first;
	return strcmp(a, b) < 0;
}

/*
 * One member at a time: each waits until all before it stream again.  The primary comes last, but
 * first when it lowers what a standby may not have less of: then the standbys also wait until
 * they have replayed that it did.
 */
static bool
is_restart_next(const FhaWorld *world)
{
	const FhaCluster *cluster = &world->cluster;
	const FhaRequest *request = &cluster->request;
	const char *self = world->self.member;

	if (request->kind != FHA_REQUEST_RESTART || request->state != FHA_REQUEST_RUNNING ||
		text_same(world->pg.started_for, request->id) ||
		(request->target[0] != '\0' && !text_same(request->target, self)))
		return false;
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		const char *name = cluster->members[i];

		if (text_same(name, self) || !fha_restarts_before(cluster, name, self) ||
			!fha_must_restart(world, name))
			continue;
		if (!fha_has_carried_out(world, name))
			return false;
		if (text_same(name, cluster->holder) && !world->pg.too_small &&
			world->pg.replayed < world_find_member(world, name)->position.lsn)
			return false;
	}
	return true;
}

bool
fha_stop_is_near(const FhaWorld *world)
{
	const FhaRequest *request = &world->cluster.request;

	return (request->kind == FHA_REQUEST_SWITCHOVER && request->state == FHA_REQUEST_PENDING) ||
		   is_restart_next(world);
}

/* A primary stops once its checkpoint is made. */
static bool
is_restart_due(const FhaWorld *world)
{
	return is_restart_next(world) && (world->pg.state != FHA_PG_PRIMARY || world->pg.prepared);
}

static bool
is_requested(const FhaWorld *world)
{
	const FhaRequest *request = &world->cluster.request;

	if (request->state != FHA_REQUEST_RUNNING)
		return false;
	return request->kind == FHA_REQUEST_RESTART
			   ? fha_must_restart(world, world->self.member)
			   : (request->kind == FHA_REQUEST_REINIT || request->kind == FHA_REQUEST_REJOIN) &&
					 text_same(request->target, world->self.member);
}

static bool
is_reinit_due(const FhaWorld *world)
{
	const FhaRequest *request = &world->cluster.request;

	return request->kind == FHA_REQUEST_REINIT && request->state == FHA_REQUEST_RUNNING &&
		   text_same(request->target, world->self.member) &&
		   !text_same(world->self.cloned_for, request->id);
}

static FhaFacts
observe_postgres(const FhaWorld *world, int64_t now_ms)
{
	const FhaPgView *pg = &world->pg;
	FhaFacts facts = 0;

	switch (pg->state)
	{
		case FHA_PG_DOWN:
			facts |= FHA_DOWN;
			break;
		case FHA_PG_BUSY:
			facts |= FHA_BUSY;
			break;
		case FHA_PG_STANDBY:
			facts |= FHA_STANDBY;
			if (pg->too_small)
				facts |= FHA_SMALL;
			break;
		case FHA_PG_PRIMARY:
			facts |= FHA_PRIMARY;
			break;
	}
	if (world->own_taken)
		facts |= FHA_TAKEN;
	else if (fha_has_duplicate(world, now_ms))
		facts |= FHA_DUPLICATE;
	else if (pg->empty)
		facts |= FHA_EMPTY;
	else if (pg->damaged)
		facts |= FHA_DAMAGED;
	else if (is_foreign(world))
		facts |= FHA_FOREIGN;
	else if (world_has_record(world) && !fha_lease_is_mine(world) && has_namesake(world))
		facts |= FHA_DIVERGED | FHA_NAMESAKE;
	else if (world_has_record(world) && pg->position.timeline != 0 && !fha_lease_is_mine(world) &&
			 !fha_lineage_holds(&world->cluster, pg->position, pg->origin))
		facts |= FHA_DIVERGED;
	if (pg->stopping)
		facts |= FHA_STOPPING;
	if (pg->job)
		facts |= FHA_JOB;
	if (pg->recovering)
		facts |= FHA_RECOVERING;
	if (pg->failing)
		facts |= FHA_FAILING;
	if (!pg->supervised)
		facts |= FHA_PLAIN;
	if (pg->position.timeline != 0 && pg->state == FHA_PG_DOWN)
		facts |= FHA_POSITION;
	return facts;
}

static FhaFacts
observe_lease(const FhaWorld *world, int64_t now_ms)
{
	if (!world->watch.seen)
		return FHA_UNREAD;
	if (world->watch.absent)
		return fha_watch_lapsed(&world->watch, world->self.lease_duration_ms, now_ms) ? FHA_ABSENT
																					  : FHA_BLANK;
	if (fha_lease_is_mine(world))
	{
		if (!fha_tenure_is_safe(&world->tenure, now_ms))
			return FHA_MINE;
		return FHA_MINE | FHA_SAFE | (world->tenure.promised ? FHA_PROMISED : 0);
	}
	if (fha_lease_is_free(world, now_ms))
		return FHA_FREE;
	return is_let_go(world) || has_lapsed(world, now_ms) ? FHA_BOUND : 0;
}

/* We began to found this cluster ourselves, and did not get to its data. */
static bool
is_own_uninitialised(const FhaWorld *world)
{
	return world_has_record(world) && world->cluster.system_identifier == 0 &&
		   text_same(world->self.cluster_uuid, world->cluster.cluster_uuid);
}

/*
 * S7: was the record gone so soon after our last confirmed renewal that nobody, heard of or not, can
 * have seen the lease lapse in between?
 */
static bool
vanished_under_us(const FhaWorld *world)
{
	return world->confirmed_at_ms != 0 &&
		   world->watch.last_sign_at_ms < world->confirmed_at_ms + world->self.renew_deadline_ms;
}

const char *
fha_missing_find(const FhaWorld *world)
{
	const FhaCluster *last = &world->cluster;

	for (size_t i = 0; i < last->member_count && !vanished_under_us(world); i++)
		if (!text_same(last->members[i], world->self.member) &&
			world_find_member(world, last->members[i]) == NULL)
			return last->members[i];
	return NULL;
}

/*
 * S7: the record vanished while this process held the lease, and nobody who was listed has seen a
 * later term, or can have: then nobody was given this term but us.
 */
static bool
held_what_vanished(const FhaWorld *world)
{
	const FhaCluster *last = &world->cluster;

	if (!world->watch.absent || last->term == 0 || last->term != world->self.highest_term ||
		last->released || last->lineage_term != last->term ||
		!text_same(last->holder, world->self.member) ||
		!text_same(last->incarnation, world->self.incarnation) ||
		!fha_timeline_is_reserved(last, &world->pg))
		return false;
	for (size_t i = 0; i < last->member_count; i++)
	{
		const FhaMember *member = world_find_member(world, last->members[i]);

		if (member != NULL && (member->term > last->term || member->highest_term > last->term))
			return false;
	}
	return fha_missing_find(world) == NULL;
}

/*
 * Only of a stopped server is the end of its WAL known for certain.  One that has stood still for
 * long is worth a look: it is stopped, and started again if it has what it needs after all.
 */
static bool
is_stranded(const FhaWorld *world, const FhaMember *leader)
{
	uint64_t goes_on_at = world->pg.position.lsn;

	/* A rewind goes back to a checkpoint before the fork, and removes what the leader does not have. */
	if (world->pg.lacking != 0 && world->pg.lacking < goes_on_at)
		goes_on_at = world->pg.lacking;
	return (world->pg.state == FHA_PG_DOWN || world->pg.stalled) &&
		   world->pg.position.timeline != 0 && goes_on_at < leader->oldest_wal;
}

FhaFacts
fha_observe(const FhaWorld *world, int64_t now_ms)
{
	const FhaCluster *cluster = &world->cluster;
	FhaFacts facts = observe_postgres(world, now_ms) | observe_lease(world, now_ms);
	bool mine = (facts & FHA_MINE) != 0;

	if (world->self.bootstrap && !some_member_has_data(world) &&
		(world->self.cluster_uuid[0] == '\0' || is_own_uninitialised(world)))
		facts |= FHA_BOOTSTRAP;
	if (!world_has_record(world))
		return held_what_vanished(world) ? facts | FHA_RECLAIM : facts;

	if (cluster->term < world->self.highest_term)
		facts |= FHA_STALE;
	if (cluster->term < world->others_term)
		facts |= FHA_STALE;
	if (cluster->system_identifier == 0)
		facts |= FHA_UNINITIALISED;
	if (fha_timeline_is_reserved(cluster, &world->pg))
		facts |= FHA_LINEAGE;
	else if (mine && world->pg.position.timeline >= cluster->timeline)
		facts |= FHA_BEYOND;
	if (fha_lineage_is_published(cluster))
		facts |= FHA_PUBLISHED;
	if (cluster->paused && !is_failover_to_me(world))
		facts |= FHA_PAUSED;
	if (holder_has_my_name(world) && !mine && (facts & FHA_LINEAGE) != 0 &&
		has_what_the_record_shows(world))
		facts |= FHA_RECLAIM;
	if (mine && is_stuck(world, now_ms))
		facts |= FHA_STUCK;
	if (mine && is_handover_requested(world))
		facts |= FHA_HANDOVER;
	if (is_requested(world))
		facts |= FHA_REQUESTED;
	if (is_restart_due(world))
		facts |= FHA_RESTART;
	if (is_reinit_due(world) && !mine)
		facts |= FHA_REINIT;
	if (mine && cluster->standby_count > 0)
		facts |= FHA_SUCCESSOR;
	if (!holder_has_my_name(world) && !cluster->released && (facts & FHA_PUBLISHED) != 0)
	{
		const FhaMember *leader = world_find_member(world, cluster->holder);

		if (leader != NULL && leader->address[0] != '\0' && leader->role == FHA_ROLE_PRIMARY &&
			leader->position.timeline == cluster->timeline)
		{
			facts |= FHA_LED;
			if (is_stranded(world, leader))
				facts |= FHA_STRANDED;
			if (leader->rewindable)
				facts |= FHA_REWINDABLE;
			if (text_same(world->pg.following, cluster->holder) &&
				world->pg.following_term == cluster->term)
				facts |= FHA_FOLLOWING;
		}
	}
	if (is_listed(world))
		facts |= FHA_LISTED;
	if (is_fit(world, now_ms))
		facts |= FHA_FIT;
	else if (!has_final_end(world))
		facts |= FHA_AWAITED;
	if (is_my_turn(world, now_ms))
		facts |= FHA_TURN;
	return facts;
}

static int64_t
earliest_after(int64_t best, int64_t candidate, int64_t now_ms)
{
	return candidate > now_ms && candidate < best ? candidate : best;
}

bool
fha_streams(const FhaWorld *world, const char *name)
{
	for (size_t i = 0; i < world->pg.standby_count; i++)
		if (strcmp(world->pg.standbys[i].member, name) == 0)
			return true;
	return false;
}

int64_t
fha_observe_again_at_ms(const FhaWorld *world, int64_t now_ms)
{
	int64_t again_at_ms = INT64_MAX;

	again_at_ms = earliest_after(
		again_at_ms, fha_watch_lapses_at_ms(&world->watch, world->self.lease_duration_ms), now_ms);
	again_at_ms = earliest_after(again_at_ms, world->tenure.write_ends_at_ms, now_ms);
	again_at_ms = earliest_after(again_at_ms, world->bound_ends_at_ms, now_ms);
	if (fha_has_duplicate(world, now_ms))
		again_at_ms = earliest_after(again_at_ms, duplicate_gone_at_ms(world), now_ms);
	if (fha_lease_is_mine(world))
		again_at_ms = earliest_after(again_at_ms, stuck_again_at_ms(world, now_ms), now_ms);
	if (world->found_free_at_ms != 0)
	{
		again_at_ms = earliest_after(
			again_at_ms, world->found_free_at_ms + world->self.election_wait_ms, now_ms);
		again_at_ms = earliest_after(
			again_at_ms,
			world->found_free_at_ms + FHA_ELECTION_WAITS * world->self.election_wait_ms, now_ms);
		again_at_ms = earliest_after(again_at_ms,
									 world->found_free_at_ms + world->self.release_wait_ms, now_ms);
		again_at_ms = earliest_after(
			again_at_ms, world->found_free_at_ms + FHA_TARGET_WAITS * world->self.release_wait_ms,
			now_ms);
	}
	return again_at_ms;
}
