/*
 * maintenance.c: slots, and who sends for the chores of SQL.  See maintenance.h.
 */
#include "postgres.h"

#include <signal.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/clock.h"
#include "pg/chores.h"
#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/report.h"
#include "pg/session.h"
#include "pg/shmem.h"
#include "pg/maintenance.h"
#include "pg/maintenance_slots.h"

/* A user may have dropped a slot, or changed the role: look again this often. */
#define LOOK_MS 2000
#define VISIT_EVERY_MS (60 * 1000)
/* After a visit that failed; twice as long each time, up to the usual. */
#define RETRY_MS 2000
/* Beyond the deadline that it has itself: a stopped process, or one that the disk holds. */
#define HANGS_MS (CHORES_MS + 10 * 1000)

PGDLLEXPORT void fawkes_ha_maintenance_main(Datum argument);

static BackgroundWorkerHandle *chores; /* NULL: nobody was sent */
static int64 sent_at_ms;
static bool ended; /* it was told to end */
static bool reloaded;

/* --- the agent's side */

void
maintenance_register(void)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = 1,
		.bgw_library_name = "fawkes_ha",
		.bgw_function_name = "fawkes_ha_maintenance_main",
		.bgw_name = "fawkes_ha steward",
		.bgw_type = "fawkes_ha steward",
	};

	RegisterBackgroundWorker(&worker);
}

void
maintenance_tell(const FhaHostAction *action, const FhaPgView *view)
{
	static MaintenanceTask now;
	MaintenanceTask *told = &fawkes_shared->maintenance.task;
	bool may = action->node == FHA_NODE_HOLD &&
			   ((view->state == FHA_PG_PRIMARY && action->write_ends_at_ms > 0) ||
				view->state == FHA_PG_STANDBY);

	memset(&now, 0, sizeof(now));
	now.role = may ? view->state : FHA_PG_DOWN;
	now.term = action->term;
	now.member_count = action->member_count;
	for (size_t i = 0; i < action->member_count; i++)
		strlcpy(now.members[i], action->members[i], sizeof(now.members[i]));
	/* Only we write it. */
	if (memcmp(told, &now, sizeof(now)) == 0)
		return;
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	memcpy(told, &now, sizeof(now));
	if (fawkes_shared->maintenance.latch != NULL)
		SetLatch(fawkes_shared->maintenance.latch);
	LWLockRelease(fawkes_shared->lock);
}

/* --- the chores of SQL */

/*
 * Where: "postgres", or, when that is not there or lets nobody in, another one; pg_rewind comes to
 * the same (rejoin_rewind.c), so its rights have to be made there.
 */
static int
database_rank(const FormData_pg_database *database)
{
	bool open =
		database->datallowconn && database->datconnlimit != 0 && database->datconnlimit >= -1;

	if (!open)
		return 0;
	return strcmp(NameStr(database->datname), "postgres") == 0    ? 3
		   : strcmp(NameStr(database->datname), "template1") == 0 ? 2
																  : 1;
}

static void
choose_database(char out[NAMEDATALEN])
{
	Relation relation = table_open(DatabaseRelationId, AccessShareLock);
	TableScanDesc scan = table_beginscan_catalog(relation, 0, NULL);
	HeapTuple tuple;
	int best = 0;

	strlcpy(out, "postgres", NAMEDATALEN);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		const FormData_pg_database *database = (Form_pg_database) GETSTRUCT(tuple);

		if (database_rank(database) > best)
		{
			best = database_rank(database);
			strlcpy(out, NameStr(database->datname), NAMEDATALEN);
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
}

/* What has come of the one that was sent.  True: it is still there. */
static bool
mind_chores(void)
{
	pid_t pid;

	if (chores == NULL)
		return false;
	if (GetBackgroundWorkerPid(chores, &pid) == BGWH_STOPPED)
	{
		pfree(chores);
		chores = NULL;
		return false;
	}
	if (fha_now_ms() >= sent_at_ms + HANGS_MS && !ended)
	{
		ereport(LOG,
				report_line("chores_hang",
							"fawkes_ha chores (PID %d) are not done after %d s: they are ended",
							(int) pid, HANGS_MS / 1000),
				errhint("Look for a stopped process or a disk that hangs."));
		TerminateBackgroundWorker(chores);
		ended = true;
	}
	return true;
}

/* Are they due?  If so, the visit is noted as begun. */
static bool
begin_visit(const char *database)
{
	MaintenanceShared *shared = &fawkes_shared->maintenance;
	int64 now_ms = fha_now_ms();
	int64 pause_ms;
	bool fresh;
	bool due;

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	fresh = shared->began_at_ms == 0 || reloaded || shared->term != shared->task.term;
	pause_ms =
		shared->done ? VISIT_EVERY_MS : Min(VISIT_EVERY_MS, RETRY_MS << Min(shared->failures, 5));
	due = shared->chores_pid == 0 && (fresh || now_ms >= shared->began_at_ms + pause_ms);
	if (due)
	{
		shared->failures = fresh || shared->done ? 0 : shared->failures + 1;
		shared->began_at_ms = now_ms;
		shared->term = shared->task.term;
		shared->done = false;
		strlcpy(shared->database, database, NAMEDATALEN);
		reloaded = false;
	}
	LWLockRelease(fawkes_shared->lock);
	return due;
}

/*
 * Parallel queries of one user may have all workers for as long as it likes.  A session cannot change
 * its database, so the next worker begins with the chores, in a place that is ours.
 */
static void
do_it_ourselves(void)
{
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	fawkes_shared->maintenance.by_itself = true;
	LWLockRelease(fawkes_shared->lock);
	ereport(
		LOG,
		report_line("chores_without_worker",
					"no background worker is free: the maintenance worker does the chores itself"),
		errdetail("All of max_worker_processes (%d) are in use, by parallel queries for example.",
				  max_worker_processes),
		errhint("Raise max_worker_processes, or lower max_parallel_workers for who uses them."));
	proc_exit(1);
}

static void
keep_chores(const char *database)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "fawkes_ha",
		.bgw_function_name = "fawkes_ha_chores_main",
		.bgw_name = "fawkes_ha chores",
		.bgw_type = "fawkes_ha chores",
		.bgw_notify_pid = MyProcPid,
	};

	if (mind_chores() || !begin_visit(database))
		return;
	ended = false;
	sent_at_ms = fha_now_ms();
	MemoryContextSwitchTo(TopMemoryContext);
	if (!RegisterDynamicBackgroundWorker(&worker, &chores))
		do_it_ourselves();
}

/* --- the worker */

static void
forget_worker(int code, Datum argument)
{
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	if (fawkes_shared->maintenance.pid == MyProcPid)
	{
		fawkes_shared->maintenance.pid = 0;
		fawkes_shared->maintenance.latch = NULL;
	}
	LWLockRelease(fawkes_shared->lock);
}

/* True: the chores come first. */
static bool
begin_work(void)
{
	bool by_itself;

	before_shmem_exit(forget_worker, (Datum) 0);
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	fawkes_shared->maintenance.pid = MyProcPid;
	fawkes_shared->maintenance.latch = MyLatch;
	by_itself = fawkes_shared->maintenance.by_itself;
	fawkes_shared->maintenance.by_itself = false;
	LWLockRelease(fawkes_shared->lock);
	return by_itself;
}

static void
copy_task(MaintenanceTask *out)
{
	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	*out = fawkes_shared->maintenance.task;
	if (fawkes_shared->agent_pid == 0)
		out->role = FHA_PG_DOWN;
	LWLockRelease(fawkes_shared->lock);
}

static void
maintenance_tell_trouble(const char *trouble)
{
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	strlcpy(fawkes_shared->maintenance.trouble, trouble, TROUBLE_SIZE);
	LWLockRelease(fawkes_shared->lock);
}

static void
look_around(void)
{
	static MaintenanceTask task;
	char database[NAMEDATALEN];
	char trouble[TROUBLE_SIZE] = "";

	copy_task(&task);
	if (task.role != FHA_PG_PRIMARY && task.role != FHA_PG_STANDBY)
		return;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	maintenance_keep_slots(&task, trouble);
	choose_database(database);
	CommitTransactionCommand();
	maintenance_tell_trouble(trouble);
	if (task.role == FHA_PG_PRIMARY)
		keep_chores(database);
}

void
fawkes_ha_maintenance_main(Datum argument)
{
	SessionTerms terms = {.lock_timeout = "0"};

	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	if (begin_work())
	{
		chores_do();
		proc_exit(1); /* with 0 the postmaster would never start us again */
	}
	session_open(&terms);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	for (;;)
	{
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			/* A password that was given to this node may be another. */
			reloaded = true;
		}
		if (ShutdownRequestPending)
			proc_exit(1);
		look_around();
		pgstat_report_activity(STATE_IDLE, NULL);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, LOOK_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}
