/*
 * chores.c: what a primary does for its cluster by SQL.  See chores.h.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"

#include "pg/chores.h"
#include "pg/guc.h"
#include "pg/session.h"
#include "pg/shmem.h"
#include "pg/maintenance_exporter.h"
#include "pg/maintenance_extension.h"
#include "pg/maintenance_owner.h"
#include "pg/maintenance_readonly.h"
#include "pg/maintenance_role.h"

PGDLLEXPORT void fawkes_ha_chores_main(Datum argument);

static void
chores_leave(int code, Datum argument)
{
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	if (fawkes_shared->maintenance.chores_pid == MyProcPid)
		fawkes_shared->maintenance.chores_pid = 0;
	LWLockRelease(fawkes_shared->lock);
}

/* Never two at once: false, and another is at it. */
static bool
chores_enter(char database[NAMEDATALEN])
{
	bool mine;

	before_shmem_exit(chores_leave, (Datum) 0);
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	mine = fawkes_shared->maintenance.chores_pid == 0;
	if (mine)
		fawkes_shared->maintenance.chores_pid = MyProcPid;
	strlcpy(database, fawkes_shared->maintenance.database, NAMEDATALEN);
	LWLockRelease(fawkes_shared->lock);
	return mine;
}

/* What others need of this primary's databases is there. */
static void
note_done(void)
{
	TimeLineID timeline = GetWALInsertionTimeLine();

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	fawkes_shared->ready_timeline = timeline;
	fawkes_shared->maintenance.done = true;
	LWLockRelease(fawkes_shared->lock);
}

static void
send_extension(void)
{
	if (guc_database[0] != '\0')
		maintenance_send_extension(guc_database);
}

void
chores_do(void)
{
	SessionTerms terms = {.lock_timeout = "5s", .limit_ms = CHORES_MS};
	char database[NAMEDATALEN];

	if (!chores_enter(database))
		return;
	terms.database = database;
	session_open(&terms);
	pgstat_report_activity(STATE_RUNNING, "fawkes_ha chores");
	if (RecoveryInProgress())
		return;
	if (session_try(maintenance_keep_role))
		note_done();
	(void) session_try(maintenance_keep_role_rights);
	(void) session_try(maintenance_keep_owner);
	(void) session_try(maintenance_keep_readonly);
	(void) session_try(maintenance_keep_exporter);
	/* Elsewhere it would be in every database that is made from this one. */
	if (strcmp(database, "postgres") == 0)
		(void) session_try(maintenance_keep_extension);
	(void) session_try(send_extension);
}

void
fawkes_ha_chores_main(Datum argument)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	chores_do();
	proc_exit(0);
}
