/*
 * fence_probe.c: a test's hands inside the server.
 *
 * The test maps <data directory>/fence_probe and writes its wishes there, for a
 * shut fence admits no SQL.  A worker takes the agent's part and moves the fence;
 * one backend can be stopped, or the fence shut under it, at a named place.
 *
 * Preload it before fawkes_ha: then it has taken all places for workers, so that the agent
 * finds no room, and our callbacks run after the fence's.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "libpq/auth.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "pg/compat.h"
#include "pg/shmem.h"
#include "record/request.h"
#include "test/show/snapshot_text.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);
extern PGDLLEXPORT void fence_probe_main(Datum argument);
extern PGDLLEXPORT void fence_probe_commit_main(Datum argument);
extern PGDLLEXPORT void fence_probe_nothing_main(Datum argument);
PG_FUNCTION_INFO_V1(fence_probe_launch);

/* test/test_fence.py knows this layout. */
typedef struct Control
{
	/* For the worker: open for so long (ms), 0 shuts; done when taken == wanted. */
	volatile int64 open_ms;
	volatile uint32 wanted;
	volatile uint32 taken;
	/* For one backend: what to do when it comes to the place. */
	volatile uint32 pid;
	volatile uint32 place; /* an XactEvent */
	volatile uint32 action;
	volatile uint32 arrived;
	/* Read by the test. */
	volatile uint64 acked_lsn;
	/* For the worker in the agent's place: publish the file "snapshot"; take requests. */
	volatile uint32 publish_wanted;
	volatile uint32 publish_taken;
	volatile uint32 takes_requests;
	volatile uint32 request_size; /* of the last one taken */
	char request[2048];           /* as JSON */
	/* The worker that fence_probe_launch starts: commit what was asked for; it was told to others. */
	volatile uint32 worker_go;
	volatile uint32 worker_told;
	/* For the worker in the agent's place: a shut fence is expected to open for so long (ms). */
	volatile int64 expected_ms;
} Control;

enum
{
	ACTION_NONE,
	ACTION_SHUT,  /* shut the fence and go on */
	ACTION_STOP,  /* wait until the action is NONE */
	ACTION_ERROR, /* shut it and raise an error, as a serialization failure would */
	ACTION_WARN   /* shut it and warn, as an unlink that fails would */
};

static Control *control;
static shmem_startup_hook_type previous_shmem_startup = NULL;

static FawkesShared *
shared(void)
{
	static FawkesShared *found = NULL;
	bool exists;

	if (found == NULL)
	{
		LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
		found = ShmemInitStruct("fawkes_ha", sizeof(FawkesShared), &exists);
		LWLockRelease(AddinShmemInitLock);
	}
	return found;
}

static FenceShared *
fence(void)
{
	return &shared()->fence;
}

static void
move_fence(int64 open_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	pg_atomic_write_u64(&fence()->expected_ends_at_ms,
						now.tv_sec * 1000 + now.tv_nsec / 1000000 + control->expected_ms);
	pg_atomic_write_u64(&fence()->write_ends_at_ms,
						open_ms == 0 ? 0 : now.tv_sec * 1000 + now.tv_nsec / 1000000 + open_ms);
}

static void
xact_callback(XactEvent event, void *argument)
{
	uint32 action;

	if (control->pid != MyProcPid || control->place != event || control->action == ACTION_NONE)
		return;
	if (control->action == ACTION_STOP)
	{
		control->arrived = 1;
		while (control->action == ACTION_STOP)
			pg_usleep(1000);
		return;
	}
	move_fence(0);
	control->arrived = 1;
	action = control->action;
	control->action = ACTION_NONE;
	if (action == ACTION_ERROR)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("probe's error")));
	if (action == ACTION_WARN)
		ereport(WARNING, (errmsg("probe's warning")));
}

/* As published.c does it, with a file's content for a snapshot. */
static void
publish(void)
{
	static char text[192 * 1024];
	uint64 count = pg_atomic_read_u64(&shared()->snapshot_count) + 1;
	FILE *file = fopen("snapshot", "r");
	size_t size;

	if (file == NULL)
		elog(ERROR, "could not open the test's file \"snapshot\": %m");
	size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	(void) snapshot_read(text, &shared()->snapshots[count % 2]);
	/* Text that lies at the same address in each process. */
	shared()->snapshots[count % 2].decision = "renew";
	shared()->snapshots[count % 2].because = "this member leads";
	pg_atomic_write_u64(&shared()->snapshot_count, count);
	LWLockAcquire(shared()->lock, LW_EXCLUSIVE);
	shared()->agent_pid = MyProcPid;
	shared()->agent_latch = MyLatch;
	LWLockRelease(shared()->lock);
	ConditionVariableBroadcast(&shared()->snapshot_changed);
}

static void
take_request(void)
{
	LWLockAcquire(shared()->lock, LW_EXCLUSIVE);
	if (shared()->request.kind != FHA_REQUEST_NONE)
	{
		const FhaRequest *request = &shared()->request;

		snprintf(control->request, sizeof(control->request),
				 "{\"id\": \"%s\", \"kind\": \"%s\", \"target\": \"%s\", \"requested_by\": \"%s\"}",
				 request->id, fha_request_kind_name(request->kind), request->target,
				 request->requested_by);
		control->request_size = strlen(control->request);
		shared()->request.kind = FHA_REQUEST_NONE;
	}
	LWLockRelease(shared()->lock);
}

void
fence_probe_main(Datum argument)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	for (;;)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		control->acked_lsn = pg_atomic_read_u64(&fence()->acked_lsn);
		if (control->taken != control->wanted)
		{
			move_fence(control->open_ms);
			control->taken = control->wanted;
		}
		if (control->publish_taken != control->publish_wanted)
		{
			publish();
			control->publish_taken = control->publish_wanted;
		}
		if (control->takes_requests)
			take_request();
	}
}

/* Like an extension's worker: commits by SPI, and tells others by a way of its own. */
void
fence_probe_commit_main(Datum argument)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection("postgres", NULL, 0);
	while (!control->worker_go)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(1000);
	}
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_execute("INSERT INTO worked VALUES (1)", false, 0);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	CHECK_FOR_INTERRUPTS();
	control->worker_told = 1;
	proc_exit(0);
}

/* Takes a place at the start, so that the agent finds none, and gives it up for later workers. */
void
fence_probe_nothing_main(Datum argument)
{
	proc_exit(0);
}

static void
name_worker(BackgroundWorker *worker, const char *name, const char *function)
{
	strlcpy(worker->bgw_name, name, BGW_MAXLEN);
	strlcpy(worker->bgw_type, name, BGW_MAXLEN);
	strlcpy(worker->bgw_library_name, "fence_probe", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, BGW_MAXLEN);
}

Datum
fence_probe_launch(PG_FUNCTION_ARGS)
{
	BackgroundWorker worker = {.bgw_flags =
								   BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
							   .bgw_start_time = BgWorkerStart_RecoveryFinished,
							   .bgw_restart_time = BGW_NEVER_RESTART,
							   .bgw_notify_pid = MyProcPid};
	BackgroundWorkerHandle *handle;
	pid_t pid;

	control->worker_go = 0;
	control->worker_told = 0;
	name_worker(&worker, "fence probe commits", "fence_probe_commit_main");
	if (!RegisterDynamicBackgroundWorker(&worker, &handle) ||
		WaitForBackgroundWorkerStartup(handle, &pid) != BGWH_STARTED)
		elog(ERROR, "the worker was not started");
	PG_RETURN_INT32(pid);
}

/* As a module does that is loaded after the fence and does not call the hook that it found. */
static void
break_login_hook(void)
{
	if (previous_shmem_startup)
		previous_shmem_startup();
	ClientAuthentication_hook = NULL;
}

void
_PG_init(void)
{
	BackgroundWorker worker = {.bgw_flags = BGWORKER_SHMEM_ACCESS,
							   .bgw_start_time = BgWorkerStart_PostmasterStart,
							   .bgw_restart_time = 1};
	BackgroundWorker nothing = {.bgw_flags = BGWORKER_SHMEM_ACCESS,
								.bgw_start_time = BgWorkerStart_PostmasterStart,
								.bgw_restart_time = BGW_NEVER_RESTART};
	int fd;

	if (!process_shared_preload_libraries_in_progress)
		return;
	fd = open("fence_probe", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		ereport(FATAL, (errmsg("could not open the test's file \"fence_probe\": %m")));
	control = mmap(NULL, sizeof(Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (control == MAP_FAILED)
		ereport(FATAL, (errmsg("could not map the test's file: %m")));
	close(fd);

	name_worker(&worker, "fence probe", "fence_probe_main");
	RegisterBackgroundWorker(&worker);
	name_worker(&nothing, "fence probe nothing", "fence_probe_nothing_main");
	for (int i = 1; i < max_worker_processes; i++)
		RegisterBackgroundWorker(&nothing);
	if (getenv("FENCE_PROBE_BREAKS_LOGIN_HOOK") != NULL)
	{
		previous_shmem_startup = shmem_startup_hook;
		shmem_startup_hook = break_login_hook;
	}
	RegisterXactCallback(xact_callback, NULL);
}
