/*
 * node.c: the node loop.  See node.h.
 *
 * One request of the lock is in flight at a time.  What the lock answers moves
 * the world; the world decides; the decision starts the next request.
 */
#include "node/private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/lsn.h"
#include "core/timing.h"
#include "record/record.h"
#include "record/snapshot.h"

static uint64_t
timeline_later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int64_t
node_now_ms(const FhaNode *node)
{
	return node->clock->now_ms(node->clock->context);
}

int64_t
node_wall_ms(const FhaNode *node)
{
	return node->clock->wall_ms(node->clock->context);
}

void
node_wall_time(const FhaNode *node, char out[FHA_TIME_SIZE])
{
	fha_wall_print(node_wall_ms(node), out, FHA_TIME_SIZE);
}

FhaCode
node_random_hex(const FhaNode *node, char *out, size_t size, FhaError *err)
{
	return node->clock->random_hex(node->clock->context, out, size, err);
}

void
node_news(FhaNode *node, const char *id, const char *format, ...)
{
	va_list args;
	char *news;
	int used;

	if (node->news_count == NEWS_MAX)
	{
		memmove(node->news[0], node->news[1], sizeof(node->news) - sizeof(node->news[0]));
		node->news_count--;
	}
	news = node->news[node->news_count++];
	used = snprintf(news, FHA_NEWS_SIZE, FHA_LOG_ID_FORMAT, id);
	va_start(args, format);
	(void) vsnprintf(news + used, FHA_NEWS_SIZE - (size_t) used, format, args);
	va_end(args);
}

bool
fha_node_news(FhaNode *node, char *out, size_t size)
{
	if (node->news_count == 0)
		return false;
	(void) snprintf(out, size, "%s", node->news[0]);
	memmove(node->news[0], node->news[1], sizeof(node->news) - sizeof(node->news[0]));
	node->news_count--;
	return true;
}

void
fha_node_configure(FhaNode *node, const FhaConfig *config)
{
	FhaSelf *self = &node->world.self;

	node->config = *config;
	self->lease_duration_ms = config->lease_duration_ms;
	self->renew_deadline_ms = config->renew_deadline_ms;
	self->retry_period_ms = config->retry_period_ms;
	self->election_wait_ms = config->election_wait_ms;
	self->release_wait_ms = config->release_wait_ms;
	self->max_lag_bytes = config->max_lag_on_failover_bytes;
	node->promises.rekey = true;
}

static void
node_know(FhaNode *node, const FhaState *state)
{
	FhaSelf *self = &node->world.self;

	node->state = *state;
	memcpy(self->cluster_uuid, state->cluster_uuid, sizeof(self->cluster_uuid));
	memcpy(self->data_incarnation, state->data_incarnation, sizeof(self->data_incarnation));
	memcpy(self->cloned_for, state->cloned_for, sizeof(self->cloned_for));
	self->highest_term = state->highest_term;
}

FhaCode
fha_node_reload(FhaNode *node, FhaError *err)
{
	FhaState state;
	FhaCode code = fha_state_flush(&node->config, err);

	if (code == FHA_OK)
		code = fha_state_load(&node->config, &state, err);
	if (code == FHA_NOT_FOUND)
	{
		memset(&state, 0, sizeof(state));
		(void) snprintf(state.member, sizeof(state.member), "%s", node->config.member_name);
		(void) snprintf(state.cluster, sizeof(state.cluster), "%s", node->config.cluster_name);
		code = FHA_OK;
	}
	if (code != FHA_OK)
		return code;
	if (state.highest_term < node->state.highest_term)
	{
		/* A job that replaced the data wrote the file while this node learned of a term. */
		state.highest_term = node->state.highest_term;
		code = fha_state_save(&node->config, &state, err);
	}
	node_know(node, &state);
	node_saved_tell(node);
	return code;
}

/* The file as it is: a job may have given the data a new incarnation since this node read it. */
static FhaCode
newest_state(const FhaNode *node, FhaState *out, FhaError *err)
{
	FhaCode code = fha_state_load(&node->config, out, err);

	if (code == FHA_NOT_FOUND)
	{
		*out = node->state;
		code = FHA_OK;
	}
	out->highest_term = timeline_later(out->highest_term, node->state.highest_term);
	return code;
}

FhaCode
node_term_heed(FhaNode *node, uint64_t term, FhaError *err)
{
	FhaState state;
	FhaCode code;

	if (term <= node->state.highest_term)
		return FHA_OK;
	code = newest_state(node, &state, err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the file is damaged */
	state.highest_term = term;
	code = fha_state_save(&node->config, &state, err);
	if (code == FHA_OK)
		node_know(node, &state);
	return code;
}

void
node_nudge(FhaNode *node)
{
	(void) eventfd_write(node->nudge, 1);
}

FhaCode
node_wait_for(FhaNode *node, int fd, FhaError *err)
{
	struct epoll_event interest = {.events = EPOLLIN};

	if (node->epoll == 0)
		node->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (node->epoll < 0 || epoll_ctl(node->epoll, EPOLL_CTL_ADD, fd, &interest) != 0)
		return fha_error_errno(err, FHA_IO, "epoll"); /* LCOV_EXCL_LINE: the kernel refuses */
	return FHA_OK;
}

FhaCode
fha_node_open(FhaNode **out, const FhaConfig *config, const FhaClock *clock,
			  const char *incarnation, bool liveness_held, FhaError *err)
{
	FhaNode *node = calloc(1, sizeof(*node));
	FhaCode code;

	*out = NULL;
	if (node == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	node->clock = clock;
	node->speakers = &node->alone;
	fha_node_configure(node, config);
	(void) snprintf(node->world.self.cluster, FHA_NAME_SIZE, "%s", config->cluster_name);
	(void) snprintf(node->world.self.member, FHA_NAME_SIZE, "%s", config->member_name);
	(void) snprintf(node->world.self.incarnation, FHA_ID_SIZE, "%s", incarnation);
	node->world.self.bootstrap = fha_config_may_found(config);
	node->world.self.liveness_held = liveness_held;
	node->nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	code = node_wait_for(node, node->nudge, err);
	if (code == FHA_OK)
		code = clock->boot_id(clock->context, node->world.self.boot_id,
							  sizeof(node->world.self.boot_id), err);
	if (code == FHA_OK)
		code = fha_liveness_identity(config, node->world.self.liveness,
									 sizeof(node->world.self.liveness), err);
	if (code == FHA_OK)
		code = fha_node_reload(node, err);
	if (code == FHA_OK)
		code = node_settings_open(node, err);
	if (code == FHA_OK)
		node_keep_open(node);
	if (code == FHA_OK)
		code = fha_lock_open(&node->lock, config->lock, config->cluster_name, true, err);
	if (code == FHA_OK)
		code = node_wait_for(node, fha_lock_fd(node->lock), err);
	if (code == FHA_OK)
		code = node_pods_open(node, err);
	if (code == FHA_OK)
		code = fha_writer_open(&node->keeper, err);
	if (code == FHA_OK)
		code = node_wait_for(node, fha_writer_fd(node->keeper), err);
	if (code == FHA_OK)
		code = node_promises_open(node, err);
	if (code != FHA_OK)
	{
		fha_node_close(node);
		return code;
	}
	node->reread = true;
	*out = node;
	return FHA_OK;
}

void
fha_node_close(FhaNode *node)
{
	if (node == NULL)
		return;
	node_pods_close(node);
	node_promises_close(node);
	fha_writer_close(node->keeper);
	if (node->lock != NULL)
		fha_lock_close(node->lock);
	if (node->nudge > 0)
		(void) close(node->nudge);
	if (node->epoll > 0)
		(void) close(node->epoll);
	node_held_clear(&node->cluster);
	node_held_clear(&node->history);
	node_held_clear(&node->own);
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		node_held_clear(&node->others[i]);
	free(node);
}

void
fha_node_share(FhaNode *node, FhaSpeakers *speakers)
{
	node->speakers = speakers;
}

int
fha_node_fd(const FhaNode *node)
{
	return node->epoll;
}

void
fha_node_liveness_held(FhaNode *node, bool held)
{
	node->world.self.liveness_held = held;
}

uint64_t
fha_node_changes(const FhaNode *node)
{
	return node->changes;
}

/* S7: a term that was seen is never forgotten; it is on disk before it is acted upon. */
static FhaCode
remember_term(FhaNode *node, FhaError *err)
{
	FhaState state;
	const FhaCluster *cluster = &node->world.cluster;
	bool joined = node->state.cluster_uuid[0] == '\0' && !node->world.pg.empty &&
				  node->world.pg.system_identifier != 0 &&
				  node->world.pg.system_identifier == cluster->system_identifier;
	FhaCode code;

	if (cluster->term <= node->state.highest_term && !joined)
		return FHA_OK;
	code = newest_state(node, &state, err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the file is damaged */
	if (strcmp(state.cluster_uuid, cluster->cluster_uuid) != 0 && state.cluster_uuid[0] != '\0')
		/* LCOV_EXCL_START: a restored copy: test_attacks_identity */
		return FHA_OK; /* another cluster's terms say nothing about ours */
	if (cluster->term > state.highest_term)
		state.highest_term = cluster->term;
	/* LCOV_EXCL_STOP */
	if (joined)
	{
		memcpy(state.cluster_uuid, cluster->cluster_uuid, sizeof(state.cluster_uuid));
		if (state.data_incarnation[0] == '\0')
		{
			code =
				node_random_hex(node, state.data_incarnation, sizeof(state.data_incarnation), err);
			if (code != FHA_OK)
				return code; /* LCOV_EXCL_LINE: the kernel refuses */
		}
	}
	code = fha_state_save(&node->config, &state, err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the kernel refuses */
	node_know(node, &state);
	return FHA_OK;
}

static void
node_drain(FhaNode *node)
{
	FhaLockEvent event;
	eventfd_t nudges;

	(void) eventfd_read(node->nudge, &nudges);
	while (fha_lock_step(node->lock, &event) == FHA_OK)
	{
		/* After the event was read: its sender wrote earlier, so no lease lapses too early here (S1). */
		int64_t now_ms = node_now_ms(node);

		switch (event.kind)
		{
			case FHA_LOCK_ANSWER:
				node_answered(node, &event, now_ms);
				break;
			case FHA_LOCK_CHANGE:
				node_watch_told(node, &event.records[0], now_ms);
				break;
			case FHA_LOCK_SYNCED:
				node->synced = true;
				break;
		}
	}
}

static void
node_send(FhaNode *node, PendingWrite pending, const FhaLockRequest *request, int64_t now_ms)
{
	FhaError err;

	if (fha_lock_start(node->lock, request, &err) == FHA_OK)
		node->pending = pending;
	else
	{
		/* LCOV_EXCL_START: our own requests are valid */
		node->retry_at_ms = now_ms + node->config.retry_period_ms;
		node_news(node, "lock_refused", "the lock refused a request: %s", err.text);
		/* LCOV_EXCL_STOP */
	}
}

static void
send_read(FhaNode *node, PendingWrite pending, const char *name, int64_t now_ms)
{
	FhaLockRequest request = {.verb = FHA_LOCK_GET,
							  .name = name,
							  .deadline_at_ms =
								  now_ms + FHA_ANSWER_PERIODS * node->config.retry_period_ms};

	node_send(node, pending, &request, now_ms);
}

static void
node_read_cluster(FhaNode *node, int64_t now_ms)
{
	char name[FHA_RECORD_NAME_SIZE];

	node->known_term = fha_members_term(&node->world);
	fha_record_name_cluster(node->config.cluster_name, name, sizeof(name));
	send_read(node, PENDING_READ_CLUSTER, name, now_ms);
}

static void
send_text(FhaNode *node, PendingWrite pending, const char *name, const char *version,
		  const char *text, int64_t now_ms)
{
	FhaLockRequest request = {.verb = version[0] == '\0' ? FHA_LOCK_CREATE : FHA_LOCK_SWAP,
							  .name = name,
							  .version = version,
							  .data = text,
							  .size = strlen(text),
							  .deadline_at_ms =
								  now_ms + FHA_ANSWER_PERIODS * node->config.retry_period_ms};

	node_send(node, pending, &request, now_ms);
}

static void
send_cluster(FhaNode *node, FhaCode built, int64_t now_ms, FhaError *err)
{
	char name[FHA_RECORD_NAME_SIZE];
	char *text = NULL;

	if (built == FHA_OK)
		built = fha_cluster_print(&node->write.cluster, &text, err);
	if (built == FHA_OK && node->write.pending == PENDING_TAKE)
		built = node_promises_contend(node, now_ms, err);
	if (built == FHA_AGAIN)
	{
		free(text);
		return;
	}
	if (built != FHA_OK)
	{
		free(text);
		node->retry_at_ms = now_ms + node->config.retry_period_ms;
		node_news(node, "lease_not_written", "the lease could not be written: %s", err->text);
		return;
	}
	fha_record_name_cluster(node->config.cluster_name, name, sizeof(name));
	node->write.sent_at_ms = now_ms;
	node->write.renew_deadline_ms = node->world.self.renew_deadline_ms;
	if (node->write.pending == PENDING_RENEW || node->write.pending == PENDING_TAKE)
		fha_tenure_sending(&node->world.tenure, now_ms, node->write.renew_deadline_ms,
						   node->write.cluster.lease_duration_ms);
	send_text(node, node->write.pending, name, node->world.watch.version, text, now_ms);
	free(text);
}

static void
read_member(FhaNode *node, int64_t now_ms)
{
	char name[FHA_RECORD_NAME_SIZE];

	fha_record_name_member(node->config.cluster_name, node->config.member_name, name, sizeof(name));
	send_read(node, PENDING_READ_MEMBER, name, now_ms);
}

static void
send_member(FhaNode *node, const FhaMember *member, int64_t now_ms)
{
	char name[FHA_RECORD_NAME_SIZE];
	char *text = NULL;

	node->published = *member;
	node->published_at_ms = now_ms;
	node_wall_time(node, node->published.updated_at);
	memcpy(node->published.lease_seen_at, node->world.cluster.renewed_at,
		   sizeof(node->published.lease_seen_at));
	if (fha_member_print(&node->published, &text, NULL) != FHA_OK)
		return;
	fha_record_name_member(node->config.cluster_name, node->config.member_name, name, sizeof(name));
	send_text(node, PENDING_MEMBER, name, node->own.version, text, now_ms);
	free(text);
}

static bool
send_tombstone(FhaNode *node, int64_t now_ms)
{
	char name[FHA_RECORD_NAME_SIZE];
	const Held *held;
	char *text;

	if (!node_members_tombstone(node, now_ms, &held, &text) &&
		!node_request_tombstone(node, &held, &text))
		return false;
	fha_record_name_member(node->config.cluster_name,
						   node->buried[0] != '\0' ? node->buried
												   : node->world.cluster.request.target,
						   name, sizeof(name));
	send_text(node, PENDING_TOMBSTONE, name, held->version, text, now_ms);
	free(text);
	return true;
}

static void
send_history(FhaNode *node, int64_t now_ms)
{
	char name[FHA_RECORD_NAME_SIZE];
	char *text = NULL;
	FhaError err;
	const char *old = node->history.text;
	FhaHistoryEntry *entry = &node->entries[0];
	FhaCode code;

	/* What happened to a node, and not to the lease, was noted without them. */
	if (entry->term == 0)
	{
		entry->term = node->world.cluster.term;
		entry->timeline = node->world.cluster.timeline;
	}
	/* A write of unknown fate that did arrive. */
	if (old != NULL && fha_history_has(old, strlen(old), entry))
	{
		node_history_written(node);
		return;
	}
	code = fha_history_append(node->config.cluster_name, old, old == NULL ? 0 : strlen(old), entry,
							  &text, &err);
	if (code != FHA_OK)
	{
		node_news(node, "history_unusable", "the history record cannot be used: %s", err.text);
		node->history_retry_at_ms = now_ms + node->config.retry_period_ms;
		if (code != FHA_NO_MEMORY)
			node->entry_count = 0;
		return;
	}
	fha_record_name_history(node->config.cluster_name, name, sizeof(name));
	send_text(node, PENDING_HISTORY, name, node->history.version, text, now_ms);
	free(text);
}

/* What the decision wants of the lease; true when a request was started. */
static bool
send_lease_write(FhaNode *node, FhaFacts facts, int64_t now_ms, FhaError *err)
{
	bool due = now_ms >= node->renewed_at_ms + node->config.retry_period_ms;

	switch (node->rule->lease)
	{
		case FHA_LEASE_LEAVE:
			return false;
		case FHA_LEASE_RENEW:
			if (!due && !node_renewal_is_urgent(node, now_ms))
				return false;
			node->renewed_at_ms = now_ms;
			send_cluster(node, node_write_renew(node, now_ms, err), now_ms, err);
			return true;
		case FHA_LEASE_TAKE:
			/* What was watched must stand there still: the same version may come again after a
			 * restore of the lock, under a holder that lives. */
			if (now_ms >= node->read_at_ms + node->config.retry_period_ms)
			{
				node_read_cluster(node, now_ms);
				return true;
			}
			node->renewed_at_ms = now_ms;
			send_cluster(node, node_write_take(node, facts, err), now_ms, err);
			return true;
		case FHA_LEASE_RELEASE:
			send_cluster(node, node_write_release(node, err), now_ms, err);
			return true;
	}
	return false; /* LCOV_EXCL_LINE: every lease action has its case */
}

/* A member knows a later term than the record was last seen with: has the record moved on? */
static bool
members_know_more(const FhaNode *node)
{
	uint64_t known = fha_members_term(&node->world);

	return known > node->world.cluster.term && known > node->world.others_term;
}

static void
send_pending(FhaNode *node, FhaFacts facts, int64_t now_ms, FhaError *err)
{
	FhaMember member;
	char name[FHA_RECORD_NAME_SIZE];
	bool hinted = node->hinted[0] != '\0' && strcmp(node->hinted, node->world.watch.version) != 0;

	if (node->pending != PENDING_NONE)
		return;
	if (now_ms >= node->retry_at_ms)
	{
		int64_t poll_at_ms = node->read_at_ms + FHA_POLL_LEASES * node->config.lease_duration_ms;

		if (node->reread || hinted || now_ms >= poll_at_ms || members_know_more(node) ||
			node_promises_owe_a_read(node))
		{
			node->hinted[0] = '\0';
			node_read_cluster(node, now_ms);
			return;
		}
		if (node->synced && send_lease_write(node, facts, now_ms, err))
			return;
		if (node->request_waits && node->world.watch.seen && !node->world.watch.absent)
		{
			FhaCode code = node_write_request(node, now_ms, err);

			if (code == FHA_CONFLICT || code == FHA_INVALID)
			{
				node->request_waits = false;
				node->refused = node->request;
				(void) snprintf(node->refused.message, sizeof(node->refused.message), "%.*s",
								(int) sizeof(node->refused.message) - 1, err->text);
				node_news(node, "request_refused", "a request was refused: %s", err->text);
			}
			else
			{
				send_cluster(node, code, now_ms, err);
				return;
			}
		}
	}
	if (!node->synced || (facts & FHA_DUPLICATE) != 0)
		return;
	if ((facts & FHA_TAKEN) != 0)
	{
		/* One that is gone before the watch looked is a change that it never tells. */
		if (now_ms >= node->member_retry_at_ms)
		{
			node->member_retry_at_ms =
				now_ms + FHA_HEARTBEAT_LEASES * node->config.lease_duration_ms;
			read_member(node, now_ms);
		}
		return;
	}
	node_member_fill(node, facts, now_ms, &member);
	if (now_ms >= node->member_retry_at_ms && node->world.watch.seen)
	{
		if (node->own_reread)
		{
			read_member(node, now_ms);
			return;
		}
		if (node->published_at_ms == 0 || node_member_differs(&member, &node->published) ||
			now_ms >= node->published_at_ms + FHA_HEARTBEAT_LEASES * node->config.lease_duration_ms)
		{
			send_member(node, &member, now_ms);
			return;
		}
	}
	if (now_ms >= node->member_retry_at_ms && send_tombstone(node, now_ms))
		return;
	if (node->entry_count > 0 && now_ms >= node->history_retry_at_ms)
	{
		if (node->history_reread)
		{
			/* LCOV_EXCL_START: only who lost a race for the record reads it */
			fha_record_name_history(node->config.cluster_name, name, sizeof(name));
			send_read(node, PENDING_READ_HISTORY, name, now_ms);
			/* LCOV_EXCL_STOP */
		}
		else
			send_history(node, now_ms);
	}
}

static void
tell_shortfall(FhaNode *node)
{
	FhaPosition wanted = fha_wanted(&node->world);
	char has_lsn[FHA_LSN_TEXT_SIZE];
	char wanted_lsn[FHA_LSN_TEXT_SIZE];

	if (node->world.pg.too_small)
	{
		node_news(node, "standby_limited",
				  "this standby cannot be promoted: max_connections, max_worker_processes, "
				  "max_wal_senders, max_prepared_transactions or max_locks_per_transaction is "
				  "smaller than its primary's, and replay stands still: raise it and restart");
		return;
	}
	fha_lsn_print(node->world.pg.position.lsn, has_lsn, sizeof(has_lsn));
	fha_lsn_print(wanted.lsn, wanted_lsn, sizeof(wanted_lsn));
	node_news(node, "shortfall",
			  "this standby has %s on timeline %u; a successor needs %s on timeline %u", has_lsn,
			  node->world.pg.position.timeline, wanted_lsn, wanted.timeline);
}

static void
tell_terms(FhaNode *node)
{
	const FhaWorld *world = &node->world;

	node_news(
		node, "lock_shows_older_term", "the lock shows term %llu; this node has seen term %llu",
		(unsigned long long) world->cluster.term, (unsigned long long) world->self.highest_term);
	for (size_t i = 0; i < world->member_count; i++)
		if (world->members[i].highest_term == world->others_term && world->others_term != 0)
			node_news(node, "member_saw_term", "%s has seen term %llu", world->members[i].member,
					  (unsigned long long) world->others_term);
}

/* Why the holder of a record that is gone does not write it anew; others come back meanwhile. */
static void
node_tell_missing(FhaNode *node)
{
	const char *missing = fha_missing_find(&node->world);

	if (missing == NULL || strcmp(missing, node->missing_told) == 0)
		return;
	(void) snprintf(node->missing_told, sizeof(node->missing_told), "%s", missing);
	node_news(node, "holder_waits_for_member",
			  "%s is on the list, has no record now, and may have led later: start it, or put "
			  "back the record.json of the member that saw the highest term",
			  missing);
}

static FhaFacts
node_decide(FhaNode *node, int64_t now_ms)
{
	FhaFacts facts;
	const FhaRule *before = node->rule;

	if (!fha_lease_is_free(&node->world, now_ms))
		node->world.found_free_at_ms = 0;
	else if (node->world.found_free_at_ms == 0)
		node->world.found_free_at_ms = now_ms;
	if (!fha_lease_is_mine(&node->world))
		node->world.led_at_ms = 0;
	else if (node->world.led_at_ms == 0 ||
			 (node->rule != NULL && node->rule->fence == FHA_FENCE_OPEN))
		node->world.led_at_ms = now_ms;
	node_request_notice(node, now_ms);
	facts = fha_observe(&node->world, now_ms);
	node->rule = fha_decide(facts);
	if (node->rule != before)
	{
		node->decided_at_ms = now_ms;
		node->changes++;
		node_news(node, node->rule->id, "%s", node->rule->because);
		if ((facts & (FHA_STANDBY | FHA_FREE | FHA_FIT)) == (FHA_STANDBY | FHA_FREE))
			tell_shortfall(node);
		if ((facts & FHA_STALE) != 0)
			tell_terms(node);
	}
	if ((facts & (FHA_PRIMARY | FHA_ABSENT | FHA_RECLAIM)) == (FHA_PRIMARY | FHA_ABSENT))
		node_tell_missing(node);
	/* Whatever gives the lease up shuts the fence for good: only a later renewal opens it. */
	/* analyzer: fha_decide() never returns NULL */
	if (node->rule->node == FHA_NODE_STOP || node->rule->lease == FHA_LEASE_RELEASE)
		fha_tenure_shut(&node->world.tenure, now_ms);
	return facts;
}

/*
 * When does send_pending() have something to send next?  What is due and waits for a retry is due at the
 * retry: a moment that has passed would have the loop turn without a pause until then.
 */
static int64_t
pending_wake_at_ms(const FhaNode *node, FhaFacts facts, int64_t now_ms)
{
	int64_t lease_at_ms = node->read_at_ms + FHA_POLL_LEASES * node->config.lease_duration_ms;
	int64_t heartbeat_at_ms =
		node->published_at_ms + FHA_HEARTBEAT_LEASES * node->config.lease_duration_ms;
	int64_t wake_at_ms;

	if (node->synced && node->rule->lease != FHA_LEASE_LEAVE)
		lease_at_ms = fha_sooner(lease_at_ms, node->renewed_at_ms + node->config.retry_period_ms);
	wake_at_ms = lease_at_ms > node->retry_at_ms ? lease_at_ms : node->retry_at_ms;
	if (node->synced && node->published_at_ms != 0 && (facts & (FHA_DUPLICATE | FHA_TAKEN)) == 0)
		wake_at_ms = fha_sooner(wake_at_ms, heartbeat_at_ms > node->member_retry_at_ms
												? heartbeat_at_ms
												: node->member_retry_at_ms);
	if (node->retry_at_ms > now_ms)
		wake_at_ms = fha_sooner(wake_at_ms, node->retry_at_ms);
	if (node->member_retry_at_ms > now_ms)
		wake_at_ms = fha_sooner(wake_at_ms, node->member_retry_at_ms);
	if (node->history_retry_at_ms > now_ms)
		wake_at_ms = fha_sooner(wake_at_ms, node->history_retry_at_ms);
	return wake_at_ms;
}

static FhaPosition
namesake_began(const FhaWorld *world)
{
	const FhaLineageStep *steps = world->pg.lineage;
	int at = fha_lineage_find_namesake(&world->cluster, steps, world->pg.lineage_count);

	return at > 0 ? (FhaPosition){steps[at - 1].timeline, steps[at - 1].end} : (FhaPosition){0, 0};
}

static void
fill_action(const FhaNode *node, FhaFacts facts, int64_t now_ms, FhaHostAction *action)
{
	const FhaWorld *world = &node->world;
	const FhaCluster *cluster = &world->cluster;
	int64_t wake_at_ms;

	memset(action, 0, sizeof(*action));
	/* Not before the watch has told who else there is. */
	action->node = node->synced ? node->rule->node : FHA_NODE_HOLD;
	action->rule = node->rule->id;
	action->because = node->rule->because;
	action->write_ends_at_ms =
		node->rule->fence == FHA_FENCE_OPEN ? world->tenure.write_ends_at_ms : 0;
	action->timeline = cluster->timeline;
	memcpy(action->timeline_id, cluster->timeline_id, sizeof(action->timeline_id));
	action->term = cluster->term;
	action->read = world->watch.seen;
	action->holds_lease = (facts & FHA_MINE) != 0;
	action->leads_soon = (facts & (FHA_MINE | FHA_PRIMARY)) == FHA_MINE ||
						 (facts & (FHA_STANDBY | FHA_FREE | FHA_FIT | FHA_LISTED | FHA_PAUSED)) ==
							 (FHA_STANDBY | FHA_FREE | FHA_FIT | FHA_LISTED);
	action->contested = (facts & (FHA_STANDBY | FHA_FREE)) == (FHA_STANDBY | FHA_FREE);
	action->alone = node->pods.alone;
	action->released = cluster->released && strcmp(cluster->holder, world->self.member) == 0;
	action->told = (facts & (FHA_DUPLICATE | FHA_TAKEN)) != 0 ||
				   (node->pending == PENDING_NONE && node->published_at_ms != 0 &&
					strcmp(node->published.rule, node->rule->id) == 0);
	action->position = cluster->position;
	if ((facts & FHA_NAMESAKE) != 0)
		action->apart = namesake_began(world);
	memcpy(action->cluster_uuid, cluster->cluster_uuid, sizeof(action->cluster_uuid));
	action->prepare_stop =
		(facts & (FHA_MINE | FHA_PRIMARY)) == (FHA_MINE | FHA_PRIMARY) && fha_stop_is_near(world);
	action->promoted =
		action->holds_lease && (facts & (FHA_PRIMARY | FHA_LINEAGE)) == (FHA_PRIMARY | FHA_LINEAGE);
	action->checkpoint =
		(facts & FHA_PRIMARY) != 0 && action->write_ends_at_ms > 0 && !world->pg.rewindable;
	action->settings_changes = node->settings_changes;
	if (cluster->request.state == FHA_REQUEST_RUNNING &&
		!node_request_moves_lease(&cluster->request))
	{
		memcpy(action->request_id, cluster->request.id, sizeof(action->request_id));
		action->requested = (facts & FHA_REQUESTED) != 0;
		action->reinit = (facts & FHA_REINIT) != 0;
	}
	action->member_count = cluster->member_count;
	memcpy(action->members, cluster->members, sizeof(action->members));
	if ((facts & FHA_LED) != 0)
		for (size_t i = 0; i < world->member_count; i++)
			if (strcmp(world->members[i].member, cluster->holder) == 0)
			{
				memcpy(action->leader, cluster->holder, sizeof(action->leader));
				memcpy(action->leader_address, world->members[i].address,
					   sizeof(action->leader_address));
			}
	wake_at_ms =
		fha_sooner(fha_observe_again_at_ms(world, now_ms), fha_lock_wake_at_ms(node->lock));
	wake_at_ms = fha_sooner(wake_at_ms, node_lag_wake_at_ms(node, now_ms));
	wake_at_ms = fha_sooner(wake_at_ms, node_pods_wake_at_ms(node, now_ms));
	wake_at_ms = fha_sooner(wake_at_ms, node_promises_wake_at_ms(node, facts, now_ms));
	if (node->pending == PENDING_NONE)
		wake_at_ms = fha_sooner(wake_at_ms, pending_wake_at_ms(node, facts, now_ms));
	action->wake_at_ms = wake_at_ms > now_ms ? wake_at_ms : now_ms;
}

FhaCode
fha_node_step(FhaNode *node, const FhaPgView *view, FhaHostAction *action, FhaError *err)
{
	int64_t now_ms;
	FhaFacts facts;
	FhaCode code = FHA_OK;
	FhaError local = {.code = FHA_OK};

	node->world.pg = *view;
	node->refused.kind = FHA_REQUEST_NONE;
	node_drain(node);
	now_ms = node_now_ms(node);
	node_promises_look(node, now_ms);
	node_promises_hear(node, now_ms);
	node_absence_tell(node, now_ms);
	if (node->world.watch.seen && !node->world.watch.absent)
	{
		code = remember_term(node, err);
		node_keep_record(node);
	}
	facts = node_decide(node, now_ms);
	node_members_listen(node, now_ms);
	node_lag_step(node, now_ms);
	node_pods_step(node, facts, now_ms);
	if (code == FHA_OK)
		code = node_settings_remember(node, now_ms, err);
	if (code == FHA_OK)
		send_pending(node, facts, now_ms, &local);
	node_promises_keep(node, now_ms);
	if (code == FHA_OK)
		node_promises_ask(node, facts, now_ms);
	/* The write just begun may have shut the tenure: the host action says so at once. */
	fill_action(node, facts, now_ms, action);
	if (code != FHA_OK)
	{
		/* LCOV_EXCL_START: the kernel refuses */
		action->node = FHA_NODE_HOLD;
		action->write_ends_at_ms = 0;
		action->checkpoint = false;
		action->wake_at_ms = now_ms + node->config.retry_period_ms;
		/* LCOV_EXCL_STOP */
	}
	node->host_shuts_at_ms = action->write_ends_at_ms;
	return code;
}

bool
fha_node_takes_requests(const FhaNode *node)
{
	return !node->request_waits && node->entry_count < HISTORY_QUEUE / 2;
}

const FhaRequest *
fha_node_refused(const FhaNode *node)
{
	return node->refused.kind == FHA_REQUEST_NONE ? NULL : &node->refused;
}

FhaCode
fha_node_request(FhaNode *node, const FhaRequest *request, FhaError *err)
{
	if (!fha_node_takes_requests(node))
		return fha_error(err, FHA_CONFLICT, "another request waits to be written");
	node->request = *request;
	node->request_waits = true;
	return FHA_OK;
}

FhaCode
fha_node_snapshot(const FhaNode *node, FhaSnapshot *out, FhaError *err)
{
	const FhaWorld *world = &node->world;
	int64_t now_ms = node_now_ms(node); /* asked for between steps */
	int64_t left_ms = world->tenure.write_ends_at_ms - now_ms;
	FhaError damage = {.code = FHA_OK};

	memset(out, 0, sizeof(*out));
	memcpy(out->member, world->self.member, sizeof(out->member));
	memcpy(out->incarnation, world->self.incarnation, sizeof(out->incarnation));
	out->decision = node->rule == NULL ? "hold" : fha_node_action_name(node->rule->node);
	out->rule = node->rule == NULL ? NULL : node->rule->id;
	out->because = node->rule == NULL ? "starting" : node->rule->because;
	out->fence_open = node->rule != NULL && node->rule->fence == FHA_FENCE_OPEN;
	out->fence_left_ms = out->fence_open && left_ms > 0 ? left_ms : 0;
	out->lease_is_free = fha_lease_is_free(world, now_ms);
	out->known = node->cluster.text != NULL;
	out->cluster = world->cluster;
	/* What of a damaged history can be read is shown. */
	if (node->history.text != NULL &&
		fha_history_glean(node->history.text, strlen(node->history.text), out->history,
						  &out->history_count, &damage) == FHA_NO_MEMORY)
		return fha_error(err, FHA_NO_MEMORY, "%s", damage.text);
	out->measured = true;
	for (size_t i = 0; i < world->member_count; i++)
	{
		const FhaMember *member = &world->members[i];

		if (node->others[i].text != NULL)
			out->members[out->member_count++] = *member;
		if (member->role == FHA_ROLE_STANDBY)
			node_lag_show(node, i, &out->lags[out->lag_count++]);
		if (node->others[i].heard && strcmp(member->member, node->config.member_name) != 0)
		{
			FhaHeard *heard = &out->heard[out->heard_count++];

			memcpy(heard->member, member->member, sizeof(heard->member));
			heard->at_ms = node->others[i].changed_at_ms;
		}
	}
	return FHA_OK;
}
