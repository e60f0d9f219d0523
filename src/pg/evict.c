/*
 * evict.c: sessions on a former primary that nobody stops.  See evict.h.
 *
 * A fenced session answers each statement with 25006, which no pool takes for the end of a
 * connection: it would stay with this server for as long as its connections may live.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"

#include "pg/compat.h"
#include "pg/evict.h"
#include "pg/guc.h"
#include "pg/report.h"

/* The pids of all client sessions. */
static int
find_sessions(pid_t *pids)
{
	int count = 0;

	LWLockAcquire(ProcArrayLock, LW_SHARED);
	for (int i = 0; i < MaxBackends; i++)
	{
		const PGPROC *proc = &ProcGlobal->allProcs[i];

		if (proc->pid != 0 && OidIsValid(proc->databaseId) && compat_is_session(proc))
			pids[count++] = proc->pid;
	}
	LWLockRelease(ProcArrayLock);
	return count;
}

void
evict_sessions(const char *leader)
{
	static int before = 0;
	pid_t *pids;
	int count;

	if (leader[0] == '\0' || guc_fenced_reads)
	{
		before = 0;
		return;
	}
	pids = palloc(sizeof(pid_t) * MaxBackends);
	count = find_sessions(pids);
	for (int i = 0; i < count; i++)
		kill(pids[i], SIGTERM);
	pfree(pids);
	if (count > before)
		ereport(LOG, report_line("sessions_ended", "sessions are ended, because %s leads now: %d",
								 leader, count));
	before = count;
}
