/*
 * read.c: what the lock's answers and its watch make of the world.
 *
 * A read shows a record as it is; a write of ours that was confirmed counts from its
 * sending (S1); what nobody knows is read back before anything is decided.
 */
#include "node/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/record.h"
#include "record/request.h"

void
node_held_clear(Held *held)
{
	free(held->text);
	held->text = NULL;
	held->version[0] = '\0';
}

static bool
held_set(Held *held, const FhaRecord *record)
{
	char *text = NULL;

	if (record->data != NULL)
	{
		text = strdup(record->data);
		if (text == NULL)
			return false; /* LCOV_EXCL_LINE: no memory */
	}
	free(held->text);
	held->text = text;
	memcpy(held->version, record->version, sizeof(held->version));
	return true;
}

static void
tell_leader(FhaNode *node, const FhaCluster *before)
{
	const FhaCluster *now = &node->world.cluster;

	if (before->term == now->term && before->released == now->released &&
		strcmp(before->holder, now->holder) == 0)
		return;
	if (now->released)
		node_news(node, "lease_released", "%s released the lease of term %llu", now->holder,
				  (unsigned long long) now->term);
	else
		node_news(node, "lease_held", "%s holds the lease: term %llu, timeline %u", now->holder,
				  (unsigned long long) now->term, now->timeline);
}

/* The world now has this cluster record, read or written by us. */
static void
cluster_adopt(FhaNode *node, const FhaCluster *cluster, const char *version, int64_t now_ms)
{
	FhaCluster before = node->world.cluster;
	char sign[FHA_WATCH_SIGN_SIZE];
	bool was_mine = fha_lease_is_mine(&node->world);
	/* Others write into the record too; what the leader says of its standbys is as old as this. */
	bool renewed = strcmp(cluster->renewed_at, node->world.cluster.renewed_at) != 0;

	node->world.cluster = *cluster;
	if (renewed)
		node_lag_cluster_told(node, now_ms);
	fha_cluster_sign(cluster, sign);
	fha_watch_saw(&node->world.watch, version, sign, cluster->lease_duration_ms, now_ms);
	/* Kept, it would look like news after our next write. */
	if (strcmp(node->hinted, version) == 0)
		node->hinted[0] = '\0';
	node->read_at_ms = now_ms;
	node->changes++;
	if (was_mine && !fha_lease_is_mine(&node->world))
		fha_tenure_end(&node->world.tenure, now_ms);
	tell_leader(node, &before);
}

/*
 * S1b: another process holds the lease with our identity.  Whoever sees that begins anew as somebody
 * else: the lease is the other's, and our name too for as long as that one writes its record.
 */
static void
meet_duplicate(FhaNode *node, int64_t now_ms)
{
	FhaSelf *self = &node->world.self;
	FhaError err;

	fha_tenure_end(&node->world.tenure, now_ms);
	if (node_random_hex(node, self->incarnation, sizeof(self->incarnation), &err) != FHA_OK)
		self->incarnation[0] = '\0'; /* LCOV_EXCL_LINE: the kernel refuses */
	self->liveness[0] = '\0';
	self->spoken = false;
	node_news(node, "lease_renewed_by_copy",
			  "the lease was renewed in this process's name by another one: was this machine "
			  "copied while it ran?  This node gives the lease up");
}

/* A record was read: if it names us, is it by us, or by a process that spoke for this node before? */
static void
heed_nonce(FhaNode *node, const FhaCluster *cluster, int64_t now_ms)
{
	const FhaWorld *world = &node->world;

	if (cluster->released || strcmp(cluster->holder, world->self.member) != 0 ||
		strcmp(cluster->incarnation, world->self.incarnation) != 0)
		return;
	if (fha_speakers_are_none(node->speakers))
		fha_speakers_note_silent(node->speakers, cluster->nonce);
	else if (node_nonce_is_another_s(node, cluster->nonce))
		meet_duplicate(node, now_ms);
}

static FhaTakeover
cluster_takeover(const FhaNode *node, const ClusterWrite *take)
{
	const FhaRequest *request = &take->cluster.request;

	if (take->founding)
		return FHA_TAKEOVER_BOOTSTRAP;
	if (take->reclaim)
		return FHA_TAKEOVER_RECLAIM;
	if (node_request_moves_lease(request) && request->state == FHA_REQUEST_RUNNING)
		return request->kind == FHA_REQUEST_SWITCHOVER ? FHA_TAKEOVER_SWITCHOVER
													   : FHA_TAKEOVER_REQUESTED;
	return node->world.cluster.released ? FHA_TAKEOVER_RELEASED : FHA_TAKEOVER_LAPSED;
}

/* A renewal or a take of ours is now known to stand in the record. */
static void
renewal_confirm(FhaNode *node, const ClusterWrite *write)
{
	if (write->pending == PENDING_RENEW || write->pending == PENDING_TAKE)
	{
		node->confirmed_at_ms = write->sent_at_ms;
		node->world.confirmed_at_ms = write->sent_at_ms;
		fha_tenure_confirm(&node->world.tenure, write->sent_at_ms, write->renew_deadline_ms,
						   write->cluster.lease_duration_ms);
	}
	if (write->pending == PENDING_TAKE)
	{
		node->counted.takeovers[cluster_takeover(node, write)]++;
		node_history_queue(node, write);
	}
	node_request_remember(node, write);
}

/* Does a member of another cluster have this cluster's name for its record?  Said once. */
static bool
cluster_is_taken(FhaNode *node, const FhaRecord *record)
{
	FhaRecordOwner by;
	char text[FHA_OWNER_TEXT_SIZE];
	bool taken = record->version[0] != '\0' && fha_record_owner(record->data, record->size, &by) &&
				 by.member[0] != '\0' && strcmp(by.kind, "member") == 0;

	if (taken && !node->name_taken)
	{
		fha_record_owner_print(&by, text);
		node_news(node, "cluster_record_taken",
				  "the record \"%s\" in the lock is %s: give that member another member_name, or "
				  "this cluster another name or lock",
				  node->config.cluster_name, text);
	}
	node->name_taken = taken;
	return taken;
}

/*
 * A read shows the record as it is.  It never extends the fence by itself; if it shows our own
 * write whose reply was lost, that write counts from its own sending (S1).
 */
static void
cluster_read(FhaNode *node, const FhaRecord *record, int64_t now_ms)
{
	FhaCluster cluster;
	FhaError err = {.code = FHA_OK};

	node->reread = false;
	if (cluster_is_taken(node, record))
	{
		/* As below; and a member that may live is not to be deleted. */
		node->read_at_ms = now_ms;
		node->retry_at_ms = now_ms + node->config.retry_period_ms;
		node->reread = true;
		return;
	}
	if (record->version[0] == '\0')
	{
		node->unknown = false;
		fha_watch_saw(&node->world.watch, "", "", 0, now_ms);
		fha_tenure_end(&node->world.tenure, now_ms);
		node_held_clear(&node->cluster);
		node->read_at_ms = now_ms;
		node->changes++;
		return;
	}
	if (fha_cluster_parse(record->data, record->size, &cluster, &err) != FHA_OK ||
		strcmp(cluster.cluster, node->config.cluster_name) != 0)
	{
		/* Nothing is concluded from a record that cannot be read: the fence shuts by time. */
		node_news(node, "cluster_record_unusable",
				  "the cluster record cannot be used: %s; repair it, or delete version %s of it",
				  err.code != FHA_OK ? err.text : "it is another cluster's", record->version);
		node->read_at_ms = now_ms;
		node->retry_at_ms = now_ms + node->config.retry_period_ms;
		node->reread = true;
		return;
	}
	if (node->unknown && strcmp(cluster.nonce, node->lost.cluster.nonce) == 0 &&
		strcmp(cluster.incarnation, node->lost.cluster.incarnation) == 0 &&
		strcmp(cluster.holder, node->lost.cluster.holder) == 0 &&
		node->lost.pending != PENDING_REQUEST)
		renewal_confirm(node, &node->lost);
	else if (node->unknown && node->lost.pending == PENDING_REQUEST &&
			 !fha_request_is_done_at_once(node->request.kind) &&
			 strcmp(cluster.request.id, node->lost.cluster.request.id) == 0)
		renewal_confirm(node, &node->lost);
	node->unknown = false;
	if (!held_set(&node->cluster, record))
	{
		/* LCOV_EXCL_START: no memory */
		node->reread = true;
		return;
		/* LCOV_EXCL_STOP */
	}
	heed_nonce(node, &cluster, now_ms);
	cluster_adopt(node, &cluster, record->version, now_ms);
}

static FhaMember *
member_slot(FhaNode *node, const char *name, Held **held)
{
	FhaWorld *world = &node->world;

	for (size_t i = 0; i < world->member_count; i++)
		if (strcmp(world->members[i].member, name) == 0)
		{
			*held = &node->others[i];
			return &world->members[i];
		}
	if (world->member_count == FHA_MEMBERS_MAX)
		return NULL; /* LCOV_EXCL_LINE: a member more than may be */
	*held = &node->others[world->member_count];
	return &world->members[world->member_count++];
}

static void
member_gone(FhaNode *node, const char *name)
{
	FhaWorld *world = &node->world;
	char expected[FHA_RECORD_NAME_SIZE];

	for (size_t i = 0; i < world->member_count; i++)
	{
		fha_record_name_member(node->config.cluster_name, world->members[i].member, expected,
							   sizeof(expected));
		if (strcmp(expected, name) != 0)
			continue; /* LCOV_EXCL_LINE: members before the one that went */
		node_held_clear(&node->others[i]);
		world->member_count--;
		world->members[i] = world->members[world->member_count];
		node->others[i] = node->others[world->member_count];
		memset(&node->others[world->member_count], 0, sizeof(Held));
		return;
	}
}

/* Does that record say that it is no record of this cluster's member of that name? */
static bool
is_another_s(const FhaNode *node, const FhaRecord *record, FhaRecordOwner *by)
{
	char name[FHA_RECORD_NAME_SIZE];

	if (record->version[0] == '\0' || !fha_record_owner(record->data, record->size, by))
		return false;
	fha_record_name_member(by->cluster, by->member, name, sizeof(name));
	return strcmp(by->kind, "member") != 0 || strcmp(by->cluster, node->config.cluster_name) != 0 ||
		   strcmp(record->name, name) != 0;
}

/* What stands under our name is another's: written over, it would be gone for that one. */
static void
own_taken_by(FhaNode *node, const FhaRecord *record, const FhaRecordOwner *by)
{
	char text[FHA_OWNER_TEXT_SIZE];

	node->own.version[0] = '\0';
	if (node->world.own_taken)
		return;
	node->world.own_taken = true;
	fha_record_owner_print(by, text);
	node_news(node, "member_record_taken",
			  "the record \"%s\" in the lock is %s: give this member another member_name, or this "
			  "cluster another name or lock",
			  record->name, text);
}

static void
own_read(FhaNode *node, const FhaRecord *record, const FhaMember *member, int64_t now_ms)
{
	char sign[FHA_WATCH_SIGN_SIZE] = "";

	node->world.own_taken = false;
	memcpy(node->own.version, record->version, sizeof(node->own.version));
	if (member != NULL)
		(void) snprintf(sign, sizeof(sign), "%s/%s", member->incarnation, member->updated_at);
	fha_watch_saw(&node->world.own, record->version, sign, 0, now_ms);
}

/* Any record that is neither the cluster's nor the history's: a member's, if it says so. */
static void
member_read(FhaNode *node, const FhaRecord *record, int64_t now_ms)
{
	char own[FHA_RECORD_NAME_SIZE];
	FhaMember member;
	FhaMember *slot;
	FhaRecordOwner by;
	Held *held;
	bool another_s = is_another_s(node, record, &by);
	bool readable = record->version[0] != '\0' &&
					fha_member_parse(record->data, record->size, &member, NULL) == FHA_OK;

	fha_record_name_member(node->config.cluster_name, node->config.member_name, own, sizeof(own));
	if (strcmp(record->name, own) == 0)
	{
		node->own_reread = false;
		if (another_s)
			own_taken_by(node, record, &by);
		else
			own_read(node, record, readable ? &member : NULL, now_ms);
	}
	node->changes++;
	/* Other clusters share the lock, and one of theirs may stand where a member's stood. */
	if (record->version[0] == '\0' || another_s)
	{
		member_gone(node, record->name);
		return;
	}
	if (!readable)
		return;
	if (strcmp(record->name, own) == 0 && node->world.self.spoken &&
		strcmp(member.incarnation, node->world.self.incarnation) != 0)
		node_news(node, "name_in_use_elsewhere",
				  "another node, at %s, calls itself %s too: give it another member_name",
				  member.address, member.member);
	if (member.removed)
	{
		member_gone(node, record->name);
		return;
	}
	slot = member_slot(node, member.member, &held);
	if (slot == NULL)
		return; /* LCOV_EXCL_LINE: a member more than may be */
	/* A tool that puts an annotation on a dead member's Lease makes a version, and no sign of life. */
	if (held->text == NULL || strcmp(held->text, record->data) != 0)
	{
		held->changed_at_ms = now_ms;
		held->heard = held->text != NULL;
		if (strcmp(slot->data_incarnation, member.data_incarnation) != 0)
			memset(held->fresh_at_ms, 0, sizeof(held->fresh_at_ms));
		node_lag_member_told(node, &member, held, now_ms);
	}
	if (held_set(held, record))
		*slot = member;
}

static void
history_read(FhaNode *node, const FhaRecord *record)
{
	node->history_reread = false;
	if (record->version[0] == '\0')
		node_held_clear(&node->history); /* LCOV_EXCL_LINE: a person deleted it */
	else if (!held_set(&node->history, record))
		node->history_reread = true; /* LCOV_EXCL_LINE: no memory */
	node->changes++;
}

/* A name in a setting may be wrong: clusters that are there help to see it. */
static void
stranger_note(FhaNode *node, const FhaRecord *record)
{
	FhaCluster *other;

	if ((node->world.watch.seen && !node->world.watch.absent) ||
		node->stranger_count == NODE_STRANGERS || record->size == 0)
		return;
	other = malloc(sizeof(*other));
	if (other != NULL && fha_cluster_parse(record->data, record->size, other, NULL) == FHA_OK &&
		strcmp(other->cluster, record->name) == 0)
	{
		bool known = false;

		for (size_t i = 0; i < node->stranger_count; i++)
			known = known || strcmp(node->strangers[i], other->cluster) == 0;
		if (!known)
			memcpy(node->strangers[node->stranger_count++], other->cluster, FHA_NAME_SIZE);
	}
	free(other);
}

void
node_absence_tell(FhaNode *node, int64_t now_ms)
{
	char names[NODE_STRANGERS * (FHA_NAME_SIZE + 2)] = "";
	size_t used = 0;

	if (!node->synced || !node->world.watch.seen || !node->world.watch.absent ||
		!node->world.pg.empty || node->world.self.bootstrap)
	{
		node->absent_at_ms = 0;
		node->absence_told = false;
		return;
	}
	if (node->absent_at_ms == 0)
		node->absent_at_ms = now_ms;
	if (node->absence_told || now_ms - node->absent_at_ms < node->config.lease_duration_ms)
		return;
	node->absence_told = true;
	for (size_t i = 0; i < node->stranger_count; i++)
		used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s", i == 0 ? "" : ", ",
								  node->strangers[i]);
	if (node->stranger_count > 0)
		node_news(
			node, "cluster_unknown_others_there",
			"there is no cluster \"%s\" in this lock, but %s: is fawkes_ha.cluster_name right?",
			node->config.cluster_name, names);
	else
		node_news(node, "cluster_unknown",
				  "there is no cluster \"%s\" in this lock: its founder has not started "
				  "(fawkes_ha.bootstrap), or fawkes_ha.lock or fawkes_ha.cluster_name is wrong",
				  node->config.cluster_name);
}

void
node_watch_told(FhaNode *node, const FhaRecord *record, int64_t now_ms)
{
	char cluster[FHA_RECORD_NAME_SIZE];
	char history[FHA_RECORD_NAME_SIZE];

	fha_record_name_cluster(node->config.cluster_name, cluster, sizeof(cluster));
	fha_record_name_history(node->config.cluster_name, history, sizeof(history));
	if (strcmp(record->name, history) == 0)
		history_read(node, record);
	else if (strcmp(record->name, cluster) != 0)
	{
		stranger_note(node, record);
		member_read(node, record, now_ms);
	}
	else if (fha_lease_is_mine(&node->world) || node->pending != PENDING_NONE)
	{
		/* The watch may be behind our own writes: it is a hint to look, never an answer. */
		if (strcmp(record->version, node->world.watch.version) != 0)
			memcpy(node->hinted, record->version, sizeof(node->hinted));
	}
	else
		cluster_read(node, record, now_ms);
}

static void
count_renewal(FhaVitals *counted, FhaCode code, int64_t latency_ms)
{
	if (code == FHA_OK)
		fha_vitals_renewed(counted, latency_ms);
	counted->renewals[code == FHA_OK                                  ? FHA_RENEWAL_CONFIRMED
					  : code == FHA_CONFLICT || code == FHA_NOT_FOUND ? FHA_RENEWAL_CONFLICT
					  : code == FHA_UNKNOWN                           ? FHA_RENEWAL_UNKNOWN
																	  : FHA_RENEWAL_FAILED]++;
}

static void
cluster_written(FhaNode *node, const FhaLockEvent *event, int64_t now_ms)
{
	ClusterWrite *write = &node->write;
	FhaRecord record = {.size = 0};
	char *text = NULL;

	if (write->pending == PENDING_RENEW)
		count_renewal(&node->counted, event->code, now_ms - write->sent_at_ms);
	switch (event->code)
	{
		case FHA_OK:
			renewal_confirm(node, write);
			if (fha_cluster_print(&write->cluster, &text, NULL) == FHA_OK)
			{
				memcpy(record.version, event->records[0].version, sizeof(record.version));
				record.data = text;
				record.size = strlen(text);
				if (!held_set(&node->cluster, &record))
					node->reread = true; /* LCOV_EXCL_LINE: no memory */
				free(text);
			}
			cluster_adopt(node, &write->cluster, event->records[0].version, now_ms);
			break;
		case FHA_CONFLICT:
		case FHA_NOT_FOUND:
			node->reread = true;
			break;
		case FHA_UNKNOWN:
			node->unknown = true;
			node->lost = *write;
			node_promises_lost(node, &write->cluster);
			node->reread = true;
			node_news(node, "lease_write_unanswered", "a write of the lease got no answer: %s",
					  event->error.text);
			break;
		default:
			node->retry_at_ms = now_ms + node->config.retry_period_ms;
			node_news(node, "lease_not_written", "the lease could not be written: %s",
					  event->error.text);
			break;
	}
	/* The record is known now as it stands, if it is. */
	if (write->pending == PENDING_TAKE)
		node_promises_settled(node, event->code, now_ms);
}

void
node_answered(FhaNode *node, const FhaLockEvent *event, int64_t now_ms)
{
	PendingWrite pending = node->pending;
	FhaRecord gone = {.version = ""};
	const FhaRecord *now;
	bool read_ok = event->code == FHA_OK && event->count == 1;
	bool absent = event->code == FHA_NOT_FOUND;
	int64_t retry_at_ms = now_ms + node->config.retry_period_ms;

	node->pending = PENDING_NONE;
	if (event->code != FHA_OK && event->code != FHA_CONFLICT && !absent)
		node->counted.lock_errors++;
	switch (pending)
	{
		/* LCOV_EXCL_START: nothing was asked for */
		case PENDING_NONE:
			break;
		/* LCOV_EXCL_STOP */
		case PENDING_READ_CLUSTER:
			if (read_ok || absent)
			{
				now = read_ok ? &event->records[0] : &gone;
				cluster_read(node, now, now_ms);
				/* What cannot be used tells of no term. */
				if (strcmp(node->world.watch.version, now->version) == 0)
					node_promises_read(node, now->version, now_ms);
				node->world.others_term = node->known_term;
			}
			else
			{
				node->retry_at_ms = retry_at_ms;
				node_news(node, "lease_not_read", "the lease could not be read: %s",
						  event->error.text);
			}
			break;
		case PENDING_RENEW:
		case PENDING_TAKE:
		case PENDING_RELEASE:
		case PENDING_REQUEST:
			cluster_written(node, event, now_ms);
			break;
		case PENDING_READ_MEMBER:
			if (read_ok)
				member_read(node, &event->records[0], now_ms);
			else if (absent)
			{
				node->own_reread = false;
				node->own.version[0] = '\0';
				node->world.own_taken = false;
			}
			else
				node->member_retry_at_ms = retry_at_ms; /* LCOV_EXCL_LINE: the lock says nothing */
			break;
		case PENDING_MEMBER:
			if (read_ok)
			{
				memcpy(node->own.version, event->records[0].version, sizeof(node->own.version));
				node->world.self.spoken = true;
				break;
			}
			node->published_at_ms = 0;
			node->own_reread = true;
			if (event->code != FHA_CONFLICT && !absent)
			{
				node->member_retry_at_ms = retry_at_ms;
				node_news(node, "member_record_not_written",
						  "this member's record could not be written: %s", event->error.text);
			}
			break;
		case PENDING_TOMBSTONE:
			if (read_ok)
				node_members_buried(node);
			if (!read_ok && event->code != FHA_CONFLICT && !absent)
				node->member_retry_at_ms = retry_at_ms; /* LCOV_EXCL_LINE: the lock says nothing */
			break;
		/* LCOV_EXCL_START: only who lost a race for the record reads it */
		case PENDING_READ_HISTORY:
			gone.data = NULL;
			if (read_ok || absent)
				history_read(node, read_ok ? &event->records[0] : &gone);
			else
				node->history_retry_at_ms = retry_at_ms;
			break;
		/* LCOV_EXCL_STOP */
		case PENDING_HISTORY:
			if (read_ok)
				node_history_written(node);
			else
				node->history_retry_at_ms = retry_at_ms; /* LCOV_EXCL_LINE: the lock says nothing */
			node->history_reread = true;
			break;
	}
}
