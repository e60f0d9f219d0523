/*
 * write.c: what a node writes into the lock's records.
 *
 * Every write is built on the record as last read, so that nobody's field is
 * ever reverted; the lock refuses it if that was not the newest.
 */
#include "node/private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/listen.h"
#include "config/state_directory.h"
#include "record/request.h"
#include "show/overview.h"

/* What others leave in the state directory for the history of the cluster, which the node loop writes. */
static const struct
{
	const char *file;
	const char *event;
} saved[] = {{"saved-wal", "wal saved"}, {"removed-slots", "slots removed"}};
#define NONCE_COUNT_MAX UINT32_C(0xFFFFFF)

/* 6 hex digits of this process, 6 that count, 4 that a copy of this process does not have as well. */
static FhaCode
make_nonce(FhaNode *node, char out[FHA_ID_SIZE], FhaError *err)
{
	char random[FHA_ID_SIZE];
	FhaCode code = node_random_hex(node, random, sizeof(random), err);

	if (code != FHA_OK)
		return code;
	if (node->nonce_count == 0)
		(void) snprintf(node->nonce_tag, sizeof(node->nonce_tag), "%.6s", random);
	node->nonce_count = (node->nonce_count + 1) & NONCE_COUNT_MAX;
	(void) snprintf(out, FHA_ID_SIZE, "%s%06x%.4s", node->nonce_tag, (unsigned) node->nonce_count,
					random + 6);
	memcpy(node->nonces[node->nonce_count % NONCES_KEPT], out, FHA_ID_SIZE);
	fha_speakers_note(node->speakers, out);
	return FHA_OK;
}

bool
node_nonce_is_another_s(const FhaNode *node, const char *nonce)
{
	unsigned count = 0;
	uint32_t age;

	if (strncmp(nonce, node->nonce_tag, NONCE_TAG_SIZE - 1) != 0 || node->nonce_count == 0)
		return !fha_speakers_know(node->speakers, nonce);
	(void) sscanf(nonce + NONCE_TAG_SIZE - 1, "%6x", &count);
	/* Old ones come back when a lock is restored; those that are yet to come were another's. */
	age = (node->nonce_count - count) & NONCE_COUNT_MAX;
	return age > NONCE_COUNT_MAX / 2 ||
		   (age < NONCES_KEPT && strcmp(node->nonces[count % NONCES_KEPT], nonce) != 0);
}

FhaCode
node_write_begin(FhaNode *node, PendingWrite pending, FhaError *err)
{
	ClusterWrite *write = &node->write;

	memset(write, 0, sizeof(*write));
	write->pending = pending;
	write->cluster = node->world.cluster;
	(void) snprintf(write->previous_holder, sizeof(write->previous_holder), "%s",
					node->world.cluster.holder);
	return make_nonce(node, write->cluster.nonce, err);
}

static void
become_holder(const FhaNode *node, FhaCluster *cluster)
{
	const FhaSelf *self = &node->world.self;

	(void) snprintf(cluster->holder, sizeof(cluster->holder), "%s", self->member);
	(void) snprintf(cluster->incarnation, sizeof(cluster->incarnation), "%s", self->incarnation);
	(void) snprintf(cluster->boot_id, sizeof(cluster->boot_id), "%s", self->boot_id);
	(void) snprintf(cluster->liveness, sizeof(cluster->liveness), "%s", self->liveness);
	cluster->lease_duration_ms = self->lease_duration_ms;
	cluster->released = false;
	cluster->release_to[0] = '\0';
	cluster->release_because[0] = '\0';
	cluster->standby_count = 0;
	node_wall_time(node, cluster->acquired_at);
	memcpy(cluster->renewed_at, cluster->acquired_at, sizeof(cluster->renewed_at));
}

static void
forget_release(FhaCluster *cluster)
{
	cluster->release = (FhaPosition){0, 0};
	cluster->release_final = false;
}

FhaCode
node_write_take(FhaNode *node, FhaFacts facts, FhaError *err)
{
	const FhaPgView *pg = &node->world.pg;
	ClusterWrite *write = &node->write;
	FhaCluster *cluster = &write->cluster;
	FhaCode code = node_write_begin(node, PENDING_TAKE, err);
	bool keeps_end = false;

	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: no memory */
	if (node->world.watch.absent && (facts & FHA_RECLAIM) == 0)
	{
		char nonce[FHA_ID_SIZE];

		memcpy(nonce, cluster->nonce, sizeof(nonce));
		memset(cluster, 0, sizeof(*cluster));
		memcpy(cluster->nonce, nonce, sizeof(nonce));
		(void) snprintf(cluster->cluster, sizeof(cluster->cluster), "%s",
						node->config.cluster_name);
		code = node_random_hex(node, cluster->cluster_uuid, sizeof(cluster->cluster_uuid), err);
		if (code != FHA_OK)
			return code; /* LCOV_EXCL_LINE: the kernel refuses */
		cluster->term = node->state.highest_term + 1;
		/* initdb always makes timeline 1; an existing primary brings its own. */
		cluster->timeline = pg->empty ? 1 : pg->position.timeline;
		(void) snprintf(cluster->timeline_id, sizeof(cluster->timeline_id), "%s",
						fha_timeline_identity(pg));
		cluster->system_identifier = pg->empty ? 0 : pg->system_identifier;
		write->founding = true;
		write->previous_holder[0] = '\0';
	}
	else if ((facts & FHA_RECLAIM) != 0)
	{
		/* Nobody else was ever given this term: its timeline is still ours alone (S7). */
		write->reclaim = true;
		keeps_end = cluster->release_final;
	}
	else
	{
		/* Until this member has led, the next must have all of the last clean stop's WAL too. */
		keeps_end =
			cluster->release_final && fha_position_compare(pg->position, cluster->release) >= 0;
		cluster->term++;
		if (cluster->system_identifier != 0)
		{
			if (pg->position.timeline > cluster->timeline)
				cluster->timeline = pg->position.timeline;
			cluster->timeline++;
			/* S7: the number may have been reserved before, by a term that the lock forgot. */
			memcpy(cluster->timeline_id, cluster->nonce, sizeof(cluster->timeline_id));
		}
		if (fha_position_is_known(pg->position))
			cluster->position = pg->position;
	}
	if (!keeps_end)
		forget_release(cluster);
	become_holder(node, cluster);
	(void) fha_member_list(cluster, node->world.self.member, node->world.self.data_incarnation);
	node_request_settle(node, &cluster->request, write->reclaim);
	return FHA_OK;
}

static bool
may_publish_lineage(const FhaNode *node)
{
	const FhaPgView *pg = &node->world.pg;

	return pg->state == FHA_PG_PRIMARY && pg->lineage_count > 0 &&
		   fha_timeline_is_reserved(&node->world.cluster, pg) &&
		   !fha_lineage_is_published(&node->world.cluster);
}

/* Has it data that the list does not have under its name (S10)? */
static bool
unlisted_member(const FhaNode *node, size_t i)
{
	const FhaMember *member = &node->world.members[i];

	return member->data_incarnation[0] != '\0' &&
		   strcmp(member->member, node->world.self.member) != 0 &&
		   !fha_member_is_listed_as(&node->world.cluster, member->member, member->data_incarnation);
}

bool
node_renewal_is_urgent(const FhaNode *node, int64_t now_ms)
{
	const FhaWorld *world = &node->world;
	FhaCluster answered = world->cluster;

	if (may_publish_lineage(node))
		return true;
	if (world->pg.state == FHA_PG_PRIMARY &&
		(world->pg.standby_count > 0) != (world->cluster.standby_count > 0))
		return true;
	for (size_t i = 0; i < world->member_count; i++)
		if (unlisted_member(node, i))
			return true;
	node_request_answer(node, &answered, now_ms);
	return answered.request.state != world->cluster.request.state ||
		   strcmp(answered.request.message, world->cluster.request.message) != 0;
}

/*
 * S7: by this server's own history, whose copies the others have.  A member of 1.1 that writes into the record
 * leaves out what it does not know: so it is told each time.
 */
static void
tell_lineage(FhaCluster *cluster, const FhaPgView *pg)
{
	cluster->lineage_count = pg->lineage_count;
	memcpy(cluster->lineage, pg->lineage, sizeof(cluster->lineage));
	(void) snprintf(cluster->timeline_id, sizeof(cluster->timeline_id), "%s",
					fha_timeline_identity(pg));
}

FhaCode
node_write_renew(FhaNode *node, int64_t now_ms, FhaError *err)
{
	const FhaPgView *pg = &node->world.pg;
	FhaCluster *cluster = &node->write.cluster;
	FhaCode code = node_write_begin(node, PENDING_RENEW, err);

	if (code != FHA_OK)
		return code;
	cluster->lease_duration_ms = node->world.self.lease_duration_ms;
	if (cluster->system_identifier == 0 && !pg->empty)
		cluster->system_identifier = pg->system_identifier;
	if (may_publish_lineage(node))
	{
		forget_release(cluster);
		cluster->lineage_term = cluster->term;
		if (node_request_moves_lease(&cluster->request) &&
			cluster->request.state == FHA_REQUEST_RUNNING &&
			strcmp(cluster->request.target, node->world.self.member) == 0)
		{
			cluster->request.state = FHA_REQUEST_DONE;
			(void) snprintf(cluster->request.message, sizeof(cluster->request.message), "%s leads",
							node->world.self.member);
		}
	}
	if (pg->state == FHA_PG_PRIMARY && fha_timeline_is_reserved(cluster, pg))
	{
		cluster->position = pg->position;
		/* Not known is no news: what the leader before told stays true. */
		if (fha_position_is_known(pg->archived))
			cluster->archived = pg->archived;
		if (pg->lineage_count > 0 && cluster->lineage_term == cluster->term)
			tell_lineage(cluster, pg);
		cluster->standby_count = 0;
		for (size_t i = 0; i < pg->standby_count; i++)
			if (fha_member_is_listed(cluster, pg->standbys[i].member))
			{
				FhaStandby *standby = &cluster->standbys[cluster->standby_count++];

				*standby = pg->standbys[i];
				node_lag_standby(node, standby, now_ms);
			}
	}
	node_members_strike(node, cluster);
	(void) fha_member_list(cluster, node->world.self.member, node->world.self.data_incarnation);
	for (size_t i = 0; i < node->world.member_count; i++)
		if (unlisted_member(node, i))
			(void) fha_member_list(cluster, node->world.members[i].member,
								   node->world.members[i].data_incarnation);
	node_settings_keep(node, cluster, now_ms);
	node_request_answer(node, cluster, now_ms);
	if (cluster->request.state == FHA_REQUEST_RUNNING &&
		node->world.cluster.request.state == FHA_REQUEST_PENDING &&
		node_request_moves_lease(&cluster->request))
		/* From the decision on nothing more is acknowledged, and only a later renewal could
		 * change that. */
		fha_tenure_shut(&node->world.tenure, now_ms);
	node_wall_time(node, cluster->renewed_at);
	return FHA_OK;
}

FhaCode
node_write_release(FhaNode *node, FhaError *err)
{
	const FhaPgView *pg = &node->world.pg;
	FhaCluster *cluster = &node->write.cluster;
	FhaCode code = node_write_begin(node, PENDING_RELEASE, err);

	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: no memory */
	cluster->released = true;
	if (fha_position_is_known(pg->position))
		cluster->position = pg->position;
	/* What cannot be read is at least what the last renewal told; and who never led in its term
	 * gives on what it was given. */
	if (!cluster->release_final)
	{
		cluster->release = fha_position_is_known(pg->required) ? pg->required : cluster->position;
		/* An operator who takes the role away gives up what no standby has. */
		cluster->release_final = pg->clean && !pg->failing && fha_position_is_known(pg->required) &&
								 !(cluster->request.kind == FHA_REQUEST_FAILOVER &&
								   cluster->request.state <= FHA_REQUEST_RUNNING);
	}
	cluster->release_to[0] = '\0';
	memcpy(cluster->release_because, pg->ended, sizeof(cluster->release_because));
	if (node_request_moves_lease(&cluster->request) &&
		cluster->request.state <= FHA_REQUEST_RUNNING)
		(void) snprintf(cluster->release_to, sizeof(cluster->release_to), "%s",
						cluster->request.target);
	node_wall_time(node, cluster->renewed_at);
	return FHA_OK;
}

static void
fill_exporter(const FhaConfig *config, FhaMember *out)
{
	char place[FHA_ADDRESS_SIZE];

	fha_listen_public(config->exporter_listen, config->address, place, sizeof(place));
	if (place[0] != '\0')
		(void) snprintf(out->exporter, sizeof(out->exporter), "http%s://%s/",
						config->exporter_tls_directory[0] == '\0' ? "" : "s", place);
}

void
node_member_fill(const FhaNode *node, FhaFacts facts, int64_t now_ms, FhaMember *out)
{
	const FhaWorld *world = &node->world;

	memset(out, 0, sizeof(*out));
	(void) snprintf(out->cluster, sizeof(out->cluster), "%s", world->self.cluster);
	(void) snprintf(out->member, sizeof(out->member), "%s", world->self.member);
	(void) snprintf(out->incarnation, sizeof(out->incarnation), "%s", world->self.incarnation);
	(void) snprintf(out->liveness, sizeof(out->liveness), "%s", world->self.liveness);
	if (!world->pg.empty)
		(void) snprintf(out->data_incarnation, sizeof(out->data_incarnation), "%s",
						node->state.data_incarnation);
	memcpy(out->cluster_uuid, world->self.cluster_uuid, sizeof(out->cluster_uuid));
	(void) snprintf(out->address, sizeof(out->address), "%s", node->config.address);
	fha_listen_public(node->config.listen, node->config.address, out->listener,
					  sizeof(out->listener));
	/* The page where it should be is another program's then, or another member's. */
	if (!world->pg.exporter_fails)
		fill_exporter(&node->config, out);
	(void) snprintf(out->pod, sizeof(out->pod), "%s", world->self.pod);
	out->serves = node_pods_serves(node, facts);
	out->role = world->pg.state == FHA_PG_PRIMARY   ? FHA_ROLE_PRIMARY
				: world->pg.state == FHA_PG_STANDBY ? FHA_ROLE_STANDBY
													: FHA_ROLE_DOWN;
	if (node->rule != NULL)
	{
		(void) snprintf(out->state, sizeof(out->state), "%s", node->rule->because);
		(void) snprintf(out->rule, sizeof(out->rule), "%s", node->rule->id);
	}
	out->term = world->cluster.term;
	out->highest_term = world->self.highest_term;
	out->position = world->pg.position;
	(void) snprintf(out->timeline_id, sizeof(out->timeline_id), "%s",
					fha_timeline_identity(&world->pg));
	out->written = world->pg.written;
	out->replayed = world->pg.replayed;
	node_lag_own(node, out->lag, now_ms);
	out->oldest_wal = world->pg.oldest_wal;
	/* A primary follows nobody, whom its server followed before. */
	if (world->pg.state != FHA_PG_PRIMARY)
		(void) snprintf(out->following, sizeof(out->following), "%s", world->pg.following);
	if ((facts & (FHA_STANDBY | FHA_FREE)) == (FHA_STANDBY | FHA_FREE))
		(void) snprintf(out->candidate_for, sizeof(out->candidate_for), "%s", world->watch.version);
	out->rewindable = world->pg.rewindable;
	out->supervised = world->pg.supervised;
	out->unattended = world->pg.unattended;
	out->exporter_fails = world->pg.exporter_fails;
	out->streaming = world->pg.state == FHA_PG_STANDBY && world->pg.streaming;
	out->pending_restart = world->pg.pending_restart;
	out->slots = world->pg.slots;
	out->max_slots = world->pg.max_slots;
	out->max_senders = world->pg.max_senders;
	out->format = FHA_RECORD_FORMAT;
	memcpy(out->trouble, world->pg.trouble, sizeof(out->trouble));
	memcpy(out->archive_trouble, world->pg.archive_trouble, sizeof(out->archive_trouble));
	out->wal_lasts_ms = world->pg.wal_lasts_ms;
	memcpy(out->no_start, world->pg.no_start, sizeof(out->no_start));
	memcpy(out->suspects, world->pg.suspects, sizeof(out->suspects));
	out->limits = world->pg.limits;
	out->limits_needed = world->pg.limits_needed;
	memcpy(out->carried_out,
		   world->cluster.request.kind == FHA_REQUEST_REINIT ? world->self.cloned_for
															 : world->pg.started_for,
		   sizeof(out->carried_out));
}

/* Positions move all the time: they go with the heartbeat, or with anything else. */
bool
node_member_differs(const FhaMember *a, const FhaMember *b)
{
	return a->role != b->role || a->serves != b->serves || strcmp(a->pod, b->pod) != 0 ||
		   a->term != b->term || a->highest_term != b->highest_term ||
		   a->rewindable != b->rewindable || a->position.timeline != b->position.timeline ||
		   strcmp(a->timeline_id, b->timeline_id) != 0 || strcmp(a->rule, b->rule) != 0 ||
		   strcmp(a->incarnation, b->incarnation) != 0 ||
		   strcmp(a->data_incarnation, b->data_incarnation) != 0 ||
		   strcmp(a->address, b->address) != 0 || strcmp(a->listener, b->listener) != 0 ||
		   strcmp(a->following, b->following) != 0 ||
		   strcmp(a->candidate_for, b->candidate_for) != 0 ||
		   strcmp(a->carried_out, b->carried_out) != 0 || a->supervised != b->supervised ||
		   a->unattended != b->unattended || a->exporter_fails != b->exporter_fails ||
		   a->streaming != b->streaming || a->pending_restart != b->pending_restart ||
		   a->max_slots != b->max_slots || a->max_senders != b->max_senders ||
		   a->format != b->format || strcmp(a->trouble, b->trouble) != 0 ||
		   strcmp(a->archive_trouble, b->archive_trouble) != 0 ||
		   strcmp(a->no_start, b->no_start) != 0 || strcmp(a->suspects, b->suspects) != 0 ||
		   memcmp(&a->limits, &b->limits, sizeof(a->limits)) != 0 ||
		   memcmp(&a->limits_needed, &b->limits_needed, sizeof(a->limits_needed)) != 0;
}

/*
 * What the last leader had beyond us, by its release or its last renewal: async mode's stated limit,
 * or what an operator gave up.
 */
static void
tell_loss(FhaNode *node, const ClusterWrite *take, FhaHistoryEntry *entry)
{
	const FhaCluster *before = &node->world.cluster;
	FhaPosition had = fha_wanted(&node->world);
	FhaPosition mine = node->world.pg.position;
	const char *when = before->released                 ? "at its release"
					   : had.lsn > before->position.lsn ? "when it last asked for promises"
														: "at its last renewal";
	size_t used = strlen(entry->reason);
	unsigned long long behind;

	if (take->founding || take->reclaim || !fha_position_is_known(had) ||
		fha_position_compare(mine, had) >= 0 || mine.lsn >= had.lsn)
		return;
	behind = had.lsn - mine.lsn;
	(void) snprintf(entry->reason + used, sizeof(entry->reason) - used,
					"; %s had %llu bytes of WAL more %s than this member", take->previous_holder,
					behind, when);
	node_news(node, "acknowledged_wal_lost",
			  "%s had %llu bytes of WAL more %s: what it acknowledged there is lost",
			  take->previous_holder, behind, when);
}

/* Why the lease was there to be taken, and since when: by wall clocks, for people. */
static void
tell_why(const FhaNode *node, const ClusterWrite *take, char *out, size_t size)
{
	const FhaCluster *before = &node->world.cluster;
	const char *because = before->release_because;
	int64_t age_ms = fha_age_ms(before->renewed_at, node_wall_ms(node));
	char when[48] = "";

	if (age_ms >= 0 && age_ms < INT64_C(1000) * 3600 * 24)
		(void) snprintf(when, sizeof(when), " %" PRId64 ".%" PRId64 " s before", age_ms / 1000,
						age_ms % 1000 / 100);
	if (take->founding)
		(void) snprintf(out, size, "no cluster was there");
	else if (before->released)
		(void) snprintf(out, size, "the lease was released%s%s%s", when,
						because[0] == '\0' ? "" : ": ", because);
	else
		(void) snprintf(out, size, "the lease had lapsed%s%s",
						when[0] == '\0' ? "" : ": renewed last", when);
}

FhaHistoryEntry *
node_history_room(FhaNode *node)
{
	FhaHistoryEntry *entry;

	if (node->entry_count == HISTORY_QUEUE)
		return NULL; /* LCOV_EXCL_LINE: so many entries wait only without a lock */
	entry = &node->entries[node->entry_count++];
	memset(entry, 0, sizeof(*entry));
	return entry;
}

static bool
is_queued(const FhaNode *node, const char *event)
{
	for (size_t i = 0; i < node->entry_count; i++)
		if (strcmp(node->entries[i].event, event) == 0)
			return true;
	return false;
}

void
node_saved_tell(FhaNode *node)
{
	for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++)
	{
		FhaHistoryEntry *entry;
		char path[FHA_PATH_SIZE];
		char *text = NULL;

		if (is_queued(node, saved[i].event) ||
			fha_state_path(&node->config, saved[i].file, path, sizeof(path), NULL) != FHA_OK ||
			fha_file_read(path, FHA_SENTENCE_SIZE, &text, NULL) != FHA_OK)
			continue;
		entry = node_history_room(node);
		if (entry != NULL)
		{
			node_wall_time(node, entry->at);
			(void) snprintf(entry->event, sizeof(entry->event), "%s", saved[i].event);
			(void) snprintf(entry->member, sizeof(entry->member), "%s", node->config.member_name);
			(void) snprintf(entry->reason, sizeof(entry->reason), "%s", text);
		}
		free(text);
	}
}

void
node_history_written(FhaNode *node)
{
	char path[FHA_PATH_SIZE];

	for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++)
		if (strcmp(node->entries[0].event, saved[i].event) == 0 &&
			fha_state_path(&node->config, saved[i].file, path, sizeof(path), NULL) == FHA_OK)
			(void) unlink(path);
	memmove(&node->entries[0], &node->entries[1], sizeof(node->entries) - sizeof(node->entries[0]));
	node->entry_count--;
}

void
node_history_queue(FhaNode *node, const ClusterWrite *take)
{
	FhaHistoryEntry *entry;
	const FhaRequest *request = &take->cluster.request;
	bool asked = node_request_moves_lease(request) && request->state == FHA_REQUEST_RUNNING;
	char why[98];

	entry = node_history_room(node);
	if (entry == NULL)
		return; /* LCOV_EXCL_LINE: so many entries wait only without a lock */
	node_wall_time(node, entry->at);
	(void) snprintf(entry->event, sizeof(entry->event), "%s",
					take->founding  ? "bootstrap"
					: take->reclaim ? "reclaim"
					: asked         ? fha_request_kind_name(request->kind)
									: "failover");
	(void) snprintf(entry->member, sizeof(entry->member), "%s", node->world.self.member);
	(void) snprintf(entry->from, sizeof(entry->from), "%s", take->previous_holder);
	tell_why(node, take, why, sizeof(why));
	(void) snprintf(entry->reason, sizeof(entry->reason), "%.100s%s%s",
					asked ? request->reason : "", asked && request->reason[0] != '\0' ? "; " : "",
					why);
	if (asked)
	{
		memcpy(entry->request, request->id, sizeof(entry->request));
		memcpy(entry->requested_by, request->requested_by, sizeof(entry->requested_by));
		entry->state = FHA_REQUEST_DONE;
		(void) snprintf(entry->result, sizeof(entry->result), "done: %s took the lease",
						node->world.self.member);
	}
	entry->term = take->cluster.term;
	entry->timeline = take->cluster.timeline;
	tell_loss(node, take, entry);
}
