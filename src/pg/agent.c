/*
 * agent.c: the worker that speaks for the node while PostgreSQL runs.
 *
 * No database connection: it sees PostgreSQL through shared memory, runs the
 * node loop of the library, moves the fence, and tells the postmaster to
 * promote, follow or stop.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker_internals.h"
#include "postmaster/bgwriter.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "storage/procsignal.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/log_limit.h"
#include "core/prepare.h"
#include "node/follow.h"
#include "node/watermark.h"
#include "node/node.h"
#include "node/state.h"
#include "pg/agent.h"
#include "pg/archive.h"
#include "pg/commands.h"
#include "pg/compat.h"
#include "pg/drain.h"
#include "pg/evict.h"
#include "pg/fence.h"
#include "pg/guc.h"
#include "pg/own_metrics.h"
#include "pg/published.h"
#include "pg/readonly.h"
#include "pg/report.h"
#include "pg/serve.h"
#include "pg/shmem.h"
#include "pg/standby_limits.h"
#include "pg/maintenance.h"
#include "pg/view.h"
#include "record/record.h"
#include "record/request.h"

/* Promotion ends without a signal to us: look this often while it lasts. */
#define PROMOTION_POLL_MS 5
/* Replay that stands still for this long during a promotion waits for readers. */
#define READERS_WAIT_MS 500
/* While the lease is free, the last WAL of a dying leader may still be coming in. */
#define CONTEST_POLL_MS 10
/* From the end of recovery to the first commit: one write of the record, and one more that was lost. */
#define ADMISSION_MS 1000
/* The supervisor releases the ownership lock within one turn of its loop. */
#define OWNERSHIP_POLL_MS 10
/* Any other shutdown than a smart one ends this process sooner. */
#define SMART_STOP_MS 1000

PGDLLEXPORT void fawkes_ha_agent_main(Datum argument);

/* Fixed in the postmaster, so that a restarted agent is the same one (S1b). */
static char incarnation[FHA_ID_SIZE];
static bool supervised;
static FhaSpeakers *speakers; /* NULL: nothing is shared */

/* What this agent has already done about its host actions. */
typedef struct Progress
{
	uint64 promoted_term;
	int64 promoted_at_ms;
	int64 promotion_at_ms; /* when the promotion of that term began */
	bool promotion_marked; /* perhaps: an agent before this one may have done it */
	uint64 replayed;
	int64 replayed_at_ms; /* when replay was last seen to move */
	bool stop_sent;
	int64 stop_seen_at_ms; /* when somebody else's request to stop was first seen; 0: none was */
	uint32 checkpointed_timeline;
	char following[FHA_NAME_SIZE];
	char following_address[FHA_ADDRESS_SIZE];
	uint64 following_term;
	FhaPrepare prepare;
	uint64 published;
	uint64 settings_changes; /* of the host actions, as last seen */
	bool needs_restart;      /* as of the last reload */
	Commands commands;
} Progress;

static bool
has_worker(const char *function)
{
	CompatWorkerIterator at;

	compat_each_worker(at)
	{
		if (strcmp(compat_worker(at)->rw_worker.bgw_function_name, function) == 0)
			return true;
	}
	return false;
}

/* For agents alone.  A crash of a backend, which makes the server's shared memory anew, does not end it. */
static FhaSpeakers *
make_speakers(void)
{
	void *memory =
		mmap(NULL, sizeof(FhaSpeakers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		ereport(FATAL, (errcode(ERRCODE_OUT_OF_MEMORY),
						errmsg("could not make memory that agents share: %m")));
	return memory;
}

void
agent_register(FhaSpeakers *with_supervisor)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS,
		.bgw_start_time = BgWorkerStart_PostmasterStart,
		.bgw_restart_time = 1,
		.bgw_library_name = "fawkes_ha",
		.bgw_function_name = "fawkes_ha_agent_main",
		.bgw_name = "fawkes_ha agent",
		.bgw_type = "fawkes_ha agent",
	};
	const char *given = getenv(FHA_ENV_INCARNATION);
	FhaError err;

	supervised = given != NULL;
	if (supervised)
	{
		if (strlen(given) != FHA_ID_SIZE - 1 ||
			strspn(given, "0123456789abcdef") != FHA_ID_SIZE - 1)
			ereport(FATAL, errcode(ERRCODE_CONFIG_FILE_ERROR),
					errmsg("environment variable %s is not an incarnation", FHA_ENV_INCARNATION),
					errhint("Only \"fawkes-ha run\" sets it; unset it."));
		strlcpy(incarnation, given, sizeof(incarnation));
	}
	else if (fha_random_hex(incarnation, sizeof(incarnation), &err) != FHA_OK)
		fha_report(FATAL, &err);
	speakers = supervised ? with_supervisor : make_speakers();
	RegisterBackgroundWorker(&worker);
	/* PostgreSQL leaves out what it has no room for: the fence would stay shut, and nothing say why. */
	if (IsPostmasterEnvironment && !has_worker(worker.bgw_function_name))
		ereport(supervised ? FATAL : WARNING,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 report_line("no_worker_for_agent",
							 "max_worker_processes = %d leaves no room for the fawkes_ha agent",
							 max_worker_processes),
				 errdetail("Other libraries of shared_preload_libraries have taken all of it."),
				 errhint("Raise max_worker_processes; fawkes_ha itself uses up to 6.")));
}

/* Each turn, and nobody is woken: what depends on the time is reckoned by who reads it. */
static void
publish_vitals(const FhaNode *node)
{
	FhaVitals vitals;

	fha_node_vitals(node, &vitals);
	own_metrics_publish(&vitals);
}

/* Its session waits, and the record says nothing of it. */
static void
agent_tell_refusal(const FhaNode *node)
{
	const FhaRequest *refused = fha_node_refused(node);
	Refusal *refusal;

	if (refused == NULL)
		return;
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	refusal = &fawkes_shared->refusals[fawkes_shared->refusal_count++ % REFUSALS];
	strlcpy(refusal->request, refused->id, sizeof(refusal->request));
	strlcpy(refusal->why, refused->message, sizeof(refusal->why));
	LWLockRelease(fawkes_shared->lock);
	ConditionVariableBroadcast(&fawkes_shared->snapshot_changed);
}

/* A request that comes while there is no room stays where it is, and others wait behind it. */
static void
take_request(FhaNode *node)
{
	FhaRequest request;
	FhaError err;

	if (!fha_node_takes_requests(node))
		return;
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	request = fawkes_shared->request;
	fawkes_shared->request.kind = FHA_REQUEST_NONE;
	LWLockRelease(fawkes_shared->lock);
	if (request.kind == FHA_REQUEST_NONE)
		return;
	ConditionVariableBroadcast(&fawkes_shared->snapshot_changed);
	/* When it came to be carried out, and not when its session began to wait. */
	fha_wall_time(request.requested_at, sizeof(request.requested_at));
	if (fha_node_request(node, &request, &err) != FHA_OK)
		fha_report_as("request_failed", &err);
}

/*
 * S7: if a process dies during a promotion, the postmaster would start over as a primary on the
 * timeline that was being left.  While this file is there it ends instead (shmem.c), and the
 * supervisor learns what is left of the promotion: whatever lies beyond the timeline named in it.
 */
static bool
mark_promotion(const FhaConfig *config, uint32 leaving)
{
	FhaError err;
	FhaCode code = fha_promotion_mark(config, leaving, &err);

	if (code != FHA_OK)
		fha_report_as("promotion_not_marked", &err);
	return code == FHA_OK;
}

static bool
unmark_promotion(const FhaConfig *config)
{
	static FhaLogLimit limit;
	FhaError err;
	uint64 withheld = 0;
	FhaCode code = fha_promotion_unmark(config, &err);

	if (code != FHA_OK && fha_log_may(&limit, err.text, fha_now_ms(), &withheld))
		fha_report_as("promotion_mark_not_removed", &err);
	return code == FHA_OK;
}

/*
 * S9: with max_standby_streaming_delay = -1 a reader in the way of replay would keep the whole
 * cluster without a leader.  PostgreSQL's own way to resolve such a conflict; a reader that is in
 * no transaction ignores it.
 */
static void
end_readers(const FhaPgView *view, Progress *progress)
{
	int64 now_ms = fha_now_ms();

	if (progress->replayed_at_ms == 0 || view->replayed != progress->replayed)
	{
		progress->replayed = view->replayed;
		progress->replayed_at_ms = now_ms;
	}
	/* With all replayed, or while a command of recovery runs, readers hold up nothing. */
	if (now_ms < progress->replayed_at_ms + READERS_WAIT_MS ||
		view->replayed >= view->position.lsn || progress->commands.running != 0)
		return;
	progress->replayed_at_ms = now_ms;
	ereport(LOG, report_line(
					 "promotion_cancels_readers",
					 "replay stands still during the promotion: the readers here are cancelled"));
	CancelDBBackends(InvalidOid, PROCSIG_RECOVERY_CONFLICT_SNAPSHOT, true);
}

static void
agent_promote(const FhaConfig *config, const FhaHostAction *action, const FhaPgView *view,
			  Progress *progress)
{
	char path[FHA_PATH_SIZE];
	FhaError err;
	int64 now_ms = fha_now_ms();
	FILE *file;

	if (progress->promoted_term == action->term)
		end_readers(view, progress);
	else
		progress->replayed_at_ms = 0;
	if (progress->promoted_term == action->term && now_ms < progress->promoted_at_ms + 1000)
		return;
	/* Before the placeholders: by the mark the supervisor knows that they are ours to remove. */
	if (progress->promoted_term != action->term && !mark_promotion(config, view->position.timeline))
		return;
	progress->promotion_marked = true;
	/* Once: the promotion may be copying the file by now. */
	if (progress->promoted_term != action->term &&
		fha_timeline_identify(config->data_directory, view->position.timeline, action->timeline,
							  action->timeline_id, &err) != FHA_OK)
	{
		fha_report(LOG, &err);
		return;
	}
	if (fha_timeline_reserve(config->data_directory, view->position.timeline, action->timeline,
							 &err) != FHA_OK)
	{
		fha_report_as("timeline_not_reserved", &err);
		return;
	}
	snprintf(path, sizeof(path), "%s/promote", DataDir);
	file = fopen(path, "w");
	if (file == NULL || fclose(file) != 0)
	{
		ereport(LOG, errcode_for_file_access(),
				report_line("promote_file_not_written", "could not write \"%s\": %m", path));
		return;
	}
	if (progress->promoted_term != action->term)
	{
		progress->promotion_at_ms = now_ms;
		ereport(LOG, report_line("promotion_begins", "promoting to timeline %u for term %llu",
								 action->timeline, (unsigned long long) action->term));
	}
	progress->promoted_term = action->term;
	progress->promoted_at_ms = now_ms;
	kill(PostmasterPid, SIGUSR1);
}

static void
agent_follow(const FhaConfig *config, const FhaHostAction *action, Progress *progress)
{
	FhaState state;
	FhaError err;
	bool changed;

	if (fha_state_load(config, &state, &err) != FHA_OK ||
		fha_follow_write(config, &state, action->leader_address, &changed, &err) != FHA_OK)
	{
		fha_report_as("follow_failed", &err);
		return;
	}
	commands_are_back(&progress->commands);
	strlcpy(progress->following, action->leader, sizeof(progress->following));
	strlcpy(progress->following_address, action->leader_address,
			sizeof(progress->following_address));
	progress->following_term = action->term;
	/* Also when the file was right already: an agent may have died between the two. */
	kill(PostmasterPid, SIGHUP);
	ereport(LOG, report_line("follows_leader", "following %s at %s", action->leader,
							 action->leader_address));
}

/* A leader may come back in its term under another address: a pod's is new with the pod. */
static void
forget_old_address(const FhaHostAction *action, Progress *progress)
{
	if (action->leader_address[0] != '\0' &&
		strcmp(action->leader_address, progress->following_address) != 0)
		progress->following[0] = '\0';
}

/* Has the supervisor been told to stop the node, and asks for a checkpoint first? */
static bool
is_stop_asked(void)
{
	return fence_watermark != NULL && atomic_load(&fence_watermark->stop_asked) != 0;
}

static void
prepare_stop(const FhaHostAction *action, const FhaPgView *view, FhaPrepare *prepare)
{
	FhaPrepareFacts facts = {
		.handover = action->prepare_stop,
		.asked = is_stop_asked(),
		.writes = action->write_ends_at_ms > 0,
		.made = prepare->checkpoints > 0 && !prepare->prepared &&
				view_has_checkpoint(view->position.timeline, prepare->begun),
		.lsn = view->position.lsn,
	};

	if (fha_prepare_is_enough(prepare, &facts))
		atomic_store(&fence_watermark->stop_prepared, 1);
	if (fha_prepare_step(prepare, &facts))
		RequestCheckpoint(CHECKPOINT_FORCE | CHECKPOINT_IMMEDIATE);
}

/*
 * A smart shutdown (SIGTERM for the postmaster) lets nobody in any more and waits for each session, without
 * end.  Meanwhile we would go on to lead, or could be elected, with a server that takes no client.
 */
static void
hasten_stop(Progress *progress)
{
	int64 now_ms = fha_now_ms();

	if (progress->stop_sent || !drain_is_postmaster_stopping())
		return;
	if (progress->stop_seen_at_ms == 0)
		progress->stop_seen_at_ms = now_ms;
	else if (now_ms >= progress->stop_seen_at_ms + SMART_STOP_MS)
	{
		ereport(LOG,
				report_line(
					"smart_shutdown",
					"somebody asked PostgreSQL to stop when its sessions have ended, and it lets "
					"nobody in meanwhile: it stops now"));
		kill(PostmasterPid, SIGINT);
		progress->stop_sent = true;
	}
}

static void
agent_act(const FhaConfig *config, const FhaHostAction *action, const FhaPgView *view,
		  Progress *progress)
{
	/* Before the fence opens: what was acknowledged is no half promotion's, whatever else is known. */
	if (progress->promotion_marked && action->promoted)
		progress->promotion_marked = !unmark_promotion(config);
	if (action->write_ends_at_ms > 0)
		fence_open(action->write_ends_at_ms);
	else
		fence_shut();
	if (action->holds_lease && view->state != FHA_PG_PRIMARY)
		fence_expect(fha_now_ms() + ADMISSION_MS);
	/* A plain server, which nobody stops. */
	if (view->state == FHA_PG_PRIMARY && action->node == FHA_NODE_HOLD)
		evict_sessions(action->leader);
	readonly_keep_sessions(view->state == FHA_PG_PRIMARY, action->alone);

	commands_mind(&progress->commands, config, action, view,
				  action->node == FHA_NODE_PROMOTE && progress->promoted_term == action->term
					  ? progress->promotion_at_ms
					  : 0);
	switch (action->node)
	{
		case FHA_NODE_PROMOTE:
			agent_promote(config, action, view, progress);
			break;
		case FHA_NODE_FOLLOW:
			agent_follow(config, action, progress);
			break;
		case FHA_NODE_STOP:
			if (!progress->stop_sent)
				kill(PostmasterPid, SIGINT);
			progress->stop_sent = true;
			break;
		case FHA_NODE_HOLD:
		case FHA_NODE_INITDB:
		case FHA_NODE_CLONE:
		case FHA_NODE_REWIND:
		case FHA_NODE_START_PRIMARY:
		case FHA_NODE_START_STANDBY:
			break;
	}
	hasten_stop(progress);
	if (action->settings_changes != progress->settings_changes)
		kill(PostmasterPid, SIGHUP);
	progress->settings_changes = action->settings_changes;
	prepare_stop(action, view, &progress->prepare);
	if (fence_watermark != NULL && view->state == FHA_PG_STANDBY && view_has_streamed())
		atomic_store(&fence_watermark->streaming, 1);
	if (action->checkpoint && progress->checkpointed_timeline != view->position.timeline)
	{
		RequestCheckpoint(CHECKPOINT_FORCE | CHECKPOINT_IMMEDIATE);
		progress->checkpointed_timeline = view->position.timeline;
	}
	maintenance_tell(action, view);
}

static void
say_news(FhaNode *node)
{
	static FhaLogLimit limit;
	char news[FHA_NEWS_SIZE];
	uint64 withheld = 0;

	while (fha_node_news(node, news, sizeof(news)))
		if (fha_log_may(&limit, news, fha_now_ms(), &withheld))
			ereport(LOG, errmsg("%s", news));
}

/* How long may we wait?  Promotion and checkpoints end without waking us. */
static long
agent_patience_ms(const FhaHostAction *action, const FhaPgView *view)
{
	int64 left_ms = action->wake_at_ms - fha_now_ms();

	if (action->node == FHA_NODE_PROMOTE || action->prepare_stop || is_stop_asked())
		left_ms = Min(left_ms, PROMOTION_POLL_MS);
	else if (action->contested)
		left_ms = Min(left_ms, CONTEST_POLL_MS);
	else if (view->state == FHA_PG_BUSY || action->checkpoint)
		left_ms = Min(left_ms, 10 * PROMOTION_POLL_MS);
	return (long) Max(left_ms, 0);
}

/* True: somebody has woken us. */
static bool
wait_for(pgsocket fd, long timeout_ms)
{
	int wanted = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
	int happened;

	if (fd != PGINVALID_SOCKET)
		wanted |= WL_SOCKET_READABLE;
	happened = WaitLatchOrSocket(MyLatch, wanted, fd, timeout_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		proc_exit(1); /* with 0 the postmaster would never start us again */
	return (happened & WL_LATCH_SET) != 0;
}

/* Until the node's next turn.  Who asks over HTTP is answered meanwhile, and makes it turn no sooner. */
static void
wait_for_turn(long timeout_ms)
{
	int64 ends_at_ms = fha_now_ms() + timeout_ms;
	int64 left_ms = timeout_ms;
	bool woken;

	do
	{
		left_ms = Min(ends_at_ms, serve_wake_at_ms()) - fha_now_ms();
		woken = wait_for(serve_fd(), (long) Max(left_ms, 0));
	} while (serve_step() && !woken && fha_now_ms() < ends_at_ms);
}

/* Of a member's own files; "set" and ALTER SYSTEM refuse it. */
static void
warn_of_synchronous_standbys(void)
{
	static bool warned = false;
	bool set = SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';

	if (set && !warned)
		ereport(
			WARNING,
			(report_line("foreign_synchronous_names",
						 "synchronous_standby_names = '%s' is not fawkes_ha's",
						 SyncRepStandbyNames),
			 errdetail("A failover does not look at it, and a standby's application_name changes "
					   "with each copy of its data: commits may wait for ever.")));
	warned = set;
}

static void
forget_agent(int code, Datum argument)
{
	if (fawkes_shared != NULL && fawkes_shared->agent_pid == MyProcPid)
	{
		fawkes_shared->agent_latch = NULL;
		fawkes_shared->agent_pid = 0;
	}
}

/* S1: one process speaks for the node.  The claim tells the supervisor that we are here. */
static void
take_ownership(const FhaConfig *config, FhaOwnership *ownership)
{
	FhaError err;

	if (fha_state_prepare(config, &err) != FHA_OK ||
		fha_ownership_open(config, ownership, &err) != FHA_OK)
		fha_report(ERROR, &err);
	while (!fha_ownership_claim(ownership))
		(void) wait_for(PGINVALID_SOCKET, OWNERSHIP_POLL_MS);
	fha_ownership_write_pid(ownership);
	while (!fha_ownership_take(ownership))
		(void) wait_for(PGINVALID_SOCKET, OWNERSHIP_POLL_MS);
}

void
fawkes_ha_agent_main(Datum argument)
{
	static FhaPgView view;
	static FhaHostAction action;
	static FhaConfig config;
	Progress progress = {.promotion_marked = true};
	FhaOwnership ownership;
	FhaNode *node;
	FhaError err;
	MemoryContext turn;
	bool has_action = false;

	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	before_shmem_exit(forget_agent, (Datum) 0);

	guc_config(&config);
	config.supervised = supervised;
	take_ownership(&config, &ownership);
	if (fha_node_open(&node, &config, &fha_kernel_clock, incarnation, false, &err) != FHA_OK)
		fha_report(ERROR, &err);
	if (speakers != NULL)
		fha_node_share(node, speakers);
	serve_begin(&config, node);

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	fawkes_shared->agent_pid = MyProcPid;
	fawkes_shared->agent_latch = MyLatch;
	LWLockRelease(fawkes_shared->lock);
	turn = AllocSetContextCreate(TopMemoryContext, "fawkes_ha turn", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(turn);

	progress.needs_restart = limits_need_restart() || archive_needs_restart();
	warn_of_synchronous_standbys();
	for (;;)
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			guc_config(&config);
			config.supervised = supervised;
			fha_node_configure(node, &config);
			progress.needs_restart = limits_need_restart() || archive_needs_restart();
			warn_of_synchronous_standbys();
			serve_reload(&config);
		}
		take_request(node);
		view_fill(&view, has_action ? &action : NULL);
		archive_exchange(&view);
		/* Started by hand, it is started again all the same if a supervisor watches over it. */
		view.supervised = supervised || fha_ownership_is_guarded(&ownership);
		view.unattended = supervised && !fha_ownership_is_guarded(&ownership);
		view.exporter_fails = pg_atomic_read_u32(&fawkes_shared->exporter_fails) != 0;
		view.prepared = progress.prepare.prepared;
		forget_old_address(&action, &progress);
		strlcpy(view.following, progress.following, sizeof(view.following));
		if (fence_watermark != NULL)
			memcpy(view.started_for, fence_watermark->started_for, sizeof(view.started_for));
		view.pending_restart = progress.needs_restart;
		view.limits_lowered = progress.needs_restart && limits_are_lowered(node);
		view.following_term = progress.following_term;
		if (fha_node_step(node, &view, &action, &err) != FHA_OK)
			fha_report_as("step_failed", &err);
		has_action = true;
		agent_act(&config, &action, &view, &progress);
		say_news(node);
		publish_vitals(node);
		published_put(node, &progress.published);
		agent_tell_refusal(node);
		if (fha_node_takes_requests(node) && fawkes_shared->request.kind != FHA_REQUEST_NONE)
			SetLatch(MyLatch); /* it came while there was no room */
		wait_for_turn(agent_patience_ms(&action, &view));
		MemoryContextReset(turn);
	}
}
