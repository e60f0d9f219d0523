/*
 * lag.c: how old is what members have.
 *
 * Three know of a standby's lag: the standby, which is told where the leader is by the cluster's
 * record and by the stream; the leader, which gets its replies; and whoever reads what these two
 * write into their records, and adds the time since it saw that.  Each is right or says too much,
 * so the least of them counts.  Every node measures on its own CLOCK_BOOTTIME: nobody's wall clock
 * has a part in it.
 */
#include "node/private.h"

#include <string.h>

#include "core/timing.h"
#include "record/snapshot.h"

/* While something is on its way this node looks so often: replay wakes nobody. */
#define LOOK_MS 250

int64_t
node_lag_limit_ms(const FhaNode *node)
{
	int64_t least_ms = FHA_HEARD_PERIODS * node->config.retry_period_ms;

	return node->config.max_replica_lag_ms > least_ms ? node->config.max_replica_lag_ms : least_ms;
}

/*
 * Who has all that its leader is known to have is not behind: the leader would be heard of if it had
 * more.  For so long after it was; then its age counts, for it may be cut off.
 */
static int64_t
heard_limit_ms(const FhaNode *node)
{
	int64_t limit_ms = FHA_HEARD_PERIODS * node->config.retry_period_ms;

	return limit_ms > FHA_HEARD_LEAST_MS ? limit_ms : FHA_HEARD_LEAST_MS;
}

/* What this standby has heard of its leader's position, from the record and from the stream. */
static void
take_samples(FhaNode *node, int64_t now_ms)
{
	NodeLag *lag = &node->lag;
	const FhaWorld *world = &node->world;
	const FhaPgView *pg = &world->pg;
	bool streams = pg->state == FHA_PG_STANDBY && pg->streaming &&
				   strcmp(pg->following, world->cluster.holder) == 0;

	if (lag->term != world->cluster.term)
		fha_freshness_new_term(&lag->freshness);
	lag->term = world->cluster.term;
	/* Only who streams can get what it hears of; the first stamp is of the connection. */
	if (streams && lag->streamed)
	{
		if (strcmp(lag->heard_sign, world->watch.sign) != 0 &&
			world->cluster.position.timeline == pg->position.timeline)
			fha_freshness_sample(&lag->freshness, world->cluster.position.lsn, now_ms);
		if (lag->heard_stamp != pg->heard_stamp && pg->heard_lsn != 0)
			fha_freshness_sample(&lag->freshness, pg->heard_lsn, now_ms);
	}
	lag->streamed = streams;
	lag->heard_stamp = pg->heard_stamp;
	memcpy(lag->heard_sign, world->watch.sign, sizeof(lag->heard_sign));
}

static void
lag_judge(FhaNode *node, int64_t now_ms)
{
	FhaFreshness *freshness = &node->lag.freshness;
	const FhaPgView *pg = &node->world.pg;
	const uint64_t reached[FHA_STAGES] = {pg->written, pg->position.lsn, pg->replayed};
	int64_t fresh_at_ms = freshness->fresh_at_ms[FHA_REPLAYED];
	bool was_fit = freshness->fit;

	if (pg->state != FHA_PG_STANDBY)
		return;
	fha_freshness_reached(freshness, reached);
	fha_freshness_judge(freshness, node_lag_limit_ms(node), now_ms);
	if (freshness->fresh_at_ms[FHA_REPLAYED] != fresh_at_ms ||
		node->lag.waits != (freshness->count > 0))
		node->changes++;
	node->lag.waits = freshness->count > 0;
	if (was_fit && !freshness->fit)
	{
		node->lag.lapsed = true;
		node_news(node, "replica_too_old",
				  "what this standby shows is older than max_replica_lag (%lld ms): it is "
				  "unhealthy to readers until it has caught up",
				  (long long) node_lag_limit_ms(node));
	}
	else if (freshness->fit && node->lag.lapsed)
	{
		node->lag.lapsed = false;
		node_news(node, "replica_caught_up",
				  "this standby has caught up: it is a replica to readers again");
	}
}

/* The index of what is kept for that member, of a free place for ""; FHA_MEMBERS_MAX: none. */
static size_t
find_kept(const NodeLag *lag, const char *member)
{
	size_t i = 0;

	while (i < FHA_MEMBERS_MAX && strcmp(lag->standbys[i].member, member) != 0)
		i++;
	return i;
}

static const FhaStandby *
find_standby(const FhaStandby *standbys, size_t count, const char *member)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(standbys[i].member, member) == 0)
			return &standbys[i];
	return NULL;
}

static Held *
find_held(FhaNode *node, const char *member)
{
	for (size_t i = 0; i < node->world.member_count; i++)
		if (strcmp(node->world.members[i].member, member) == 0)
			return &node->others[i];
	return NULL;
}

static void
forget_who_is_gone(FhaNode *node)
{
	const FhaPgView *pg = &node->world.pg;

	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		if (node->lag.standbys[i].member[0] != '\0' &&
			find_standby(pg->standbys, pg->standby_count, node->lag.standbys[i].member) == NULL)
			memset(&node->lag.standbys[i], 0, sizeof(node->lag.standbys[i]));
}

/*
 * A standby's reply says what it had when it was sent.  Without a new one its lag grows, although
 * the old one says that it has all that an idle leader ever sent.
 */
static void
hear_replies(FhaNode *node, int64_t now_ms)
{
	const FhaPgView *pg = &node->world.pg;

	forget_who_is_gone(node);
	for (size_t i = 0; i < pg->standby_count; i++)
	{
		const FhaStandby *standby = &pg->standbys[i];
		const uint64_t reached[FHA_STAGES] = {standby->written, standby->lsn, standby->replayed};
		size_t at = find_kept(&node->lag, standby->member);
		Held *held = find_held(node, standby->member);
		StandbyLag *kept;

		if (at == FHA_MEMBERS_MAX)
		{
			at = find_kept(&node->lag, "");
			memcpy(node->lag.standbys[at].member, standby->member, FHA_NAME_SIZE);
			node->lag.standbys[at].stamp = standby->stamp;
		}
		kept = &node->lag.standbys[at];
		fha_freshness_sample(&kept->freshness, pg->position.lsn, now_ms);
		if (kept->stamp == standby->stamp)
			continue;
		kept->stamp = standby->stamp;
		fha_freshness_reached(&kept->freshness, reached);
		node->changes++;
		for (int stage = 0; held != NULL && stage < FHA_STAGES; stage++)
			if (kept->freshness.fresh_at_ms[stage] > held->fresh_at_ms[stage])
				held->fresh_at_ms[stage] = kept->freshness.fresh_at_ms[stage];
	}
}

void
node_lag_step(FhaNode *node, int64_t now_ms)
{
	take_samples(node, now_ms);
	lag_judge(node, now_ms);
	hear_replies(node, now_ms);
}

/* Is WAL on its way, to here or to a standby of this leader? */
static bool
is_moving(const FhaNode *node)
{
	const FhaPgView *pg = &node->world.pg;

	if (pg->state == FHA_PG_STANDBY)
		return pg->streaming && node->lag.freshness.count > 0;
	for (size_t i = 0; i < pg->standby_count; i++)
		if (pg->standbys[i].replayed < pg->position.lsn)
			return true;
	return false;
}

int64_t
node_lag_wake_at_ms(const FhaNode *node, int64_t now_ms)
{
	if (is_moving(node))
		return now_ms + LOOK_MS;
	return node->world.pg.state == FHA_PG_STANDBY ? now_ms + node_lag_limit_ms(node) / 4
												  : INT64_MAX;
}

static void
lag_age(Held *held, const FhaLag lag[FHA_STAGES], int64_t now_ms)
{
	for (int stage = 0; stage < FHA_STAGES; stage++)
		if (lag[stage].known && now_ms - lag[stage].ms > held->fresh_at_ms[stage])
			held->fresh_at_ms[stage] = now_ms - lag[stage].ms;
}

void
node_lag_member_told(FhaNode *node, const FhaMember *member, Held *held, int64_t now_ms)
{
	/* What is seen at first, or after an outage of the lock, may have been written long before. */
	if (node->first_heard_at_ms != 0 &&
		now_ms - node->first_heard_at_ms > FHA_POLL_LEASES * node->config.lease_duration_ms)
		lag_age(held, member->lag, now_ms);
}

void
node_lag_cluster_told(FhaNode *node, int64_t now_ms)
{
	const FhaCluster *cluster = &node->world.cluster;

	/* As above.  A primary knows from its standbys themselves. */
	if (cluster->released || fha_lease_is_mine(&node->world) ||
		now_ms - node->read_at_ms > FHA_POLL_LEASES * node->config.lease_duration_ms)
		return;
	for (size_t i = 0; i < cluster->standby_count; i++)
	{
		Held *held = find_held(node, cluster->standbys[i].member);

		if (held != NULL)
			lag_age(held, cluster->standbys[i].lag, now_ms);
	}
}

static void
lag_measure(const FhaFreshness *freshness, FhaLag out[FHA_STAGES], int64_t now_ms)
{
	for (int stage = 0; stage < FHA_STAGES; stage++)
	{
		int64_t ms = fha_freshness_lag_ms(freshness, (FhaStage) stage, now_ms);

		out[stage] = (FhaLag){ms != FHA_LAG_UNKNOWN, ms != FHA_LAG_UNKNOWN ? ms : 0};
	}
}

void
node_lag_own(const FhaNode *node, FhaLag out[FHA_STAGES], int64_t now_ms)
{
	if (node->world.pg.state == FHA_PG_STANDBY)
		lag_measure(&node->lag.freshness, out, now_ms);
}

void
node_lag_standby(const FhaNode *node, FhaStandby *standby, int64_t now_ms)
{
	size_t at = find_kept(&node->lag, standby->member);

	if (at < FHA_MEMBERS_MAX)
		lag_measure(&node->lag.standbys[at].freshness, standby->lag, now_ms);
}

static void
lag_reach(uint64_t reached[FHA_STAGES], uint64_t written, uint64_t flushed, uint64_t replayed)
{
	const uint64_t lsn[FHA_STAGES] = {written, flushed, replayed};

	for (int stage = 0; stage < FHA_STAGES; stage++)
		if (lsn[stage] > reached[stage])
			reached[stage] = lsn[stage];
}

/* In bytes behind that position, with what `reached` says; and is that all there is? */
static void
lag_compare(const FhaNode *node, FhaPosition leader, uint32_t timeline,
			const uint64_t reached[FHA_STAGES], FhaMemberLag *out)
{
	for (int stage = 0; stage < FHA_STAGES; stage++)
	{
		out->bytes[stage] = -1;
		out->whole_ends_at_ms[stage] = 0;
		if (reached[stage] == 0 || leader.timeline == 0 || leader.timeline != timeline)
			continue;
		out->bytes[stage] =
			leader.lsn > reached[stage] ? (int64_t) (leader.lsn - reached[stage]) : 0;
		if (out->bytes[stage] == 0 && out->streaming && out->fresh_at_ms[stage] != 0)
			out->whole_ends_at_ms[stage] = out->fresh_at_ms[stage] + heard_limit_ms(node);
	}
}

/* Its own are of this moment, and of what the stream told. */
static void
show_own(const FhaNode *node, FhaMemberLag *out)
{
	const FhaPgView *pg = &node->world.pg;
	FhaPosition leader = node->world.cluster.position;
	uint64_t reached[FHA_STAGES] = {0};

	memcpy(out->member, node->world.self.member, sizeof(out->member));
	memcpy(out->fresh_at_ms, node->lag.freshness.fresh_at_ms, sizeof(out->fresh_at_ms));
	out->streaming = pg->streaming;
	lag_reach(reached, pg->written, pg->position.lsn, pg->replayed);
	if (pg->streaming && pg->heard_lsn > leader.lsn)
		leader.lsn = pg->heard_lsn;
	lag_compare(node, leader, pg->position.timeline, reached, out);
}

void
node_lag_show(const FhaNode *node, size_t index, FhaMemberLag *out)
{
	const FhaWorld *world = &node->world;
	const FhaMember *member = &world->members[index];
	bool mine = fha_lease_is_mine(world);
	const FhaStandby *standby =
		mine ? find_standby(world->pg.standbys, world->pg.standby_count, member->member)
			 : find_standby(world->cluster.standbys, world->cluster.standby_count, member->member);
	uint64_t reached[FHA_STAGES] = {0};

	if (strcmp(member->member, world->self.member) == 0)
	{
		show_own(node, out);
		return;
	}
	memcpy(out->member, member->member, sizeof(out->member));
	memcpy(out->fresh_at_ms, node->others[index].fresh_at_ms, sizeof(out->fresh_at_ms));
	out->streaming = standby != NULL && !world->cluster.released;
	lag_reach(reached, member->written, member->position.lsn, member->replayed);
	if (standby != NULL)
		lag_reach(reached, standby->written, standby->lsn, standby->replayed);
	lag_compare(node, mine ? world->pg.position : world->cluster.position,
				member->position.timeline, reached, out);
}

void
node_lag_own_shown(const FhaNode *node, FhaLag out[FHA_STAGES], int64_t now_ms)
{
	FhaMemberLag lag = {.member = ""};

	if (node->world.pg.state != FHA_PG_STANDBY)
		return;
	show_own(node, &lag);
	for (int stage = 0; stage < FHA_STAGES; stage++)
		out[stage] = lag.fresh_at_ms[stage] == 0
						 ? (FhaLag){false, 0}
						 : (FhaLag){true, fha_lag_shown_ms(lag.fresh_at_ms[stage],
														   lag.whole_ends_at_ms[stage], now_ms)};
}
