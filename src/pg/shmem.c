/*
 * shmem.c: what we have in the main shared memory segment.
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/leftover_slots.h"
#include "pg/shmem.h"

FawkesShared *fawkes_shared = NULL;
pg_atomic_uint32 *fawkes_readers = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static Size
readers_size(void)
{
	return mul_size(sizeof(pg_atomic_uint32), MaxBackends);
}

static void
shmem_request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(sizeof(FawkesShared));
	RequestAddinShmemSpace(readers_size());
	RequestNamedLWLockTranche("fawkes_ha", 1);
}

/*
 * The postmaster makes its memory anew after a process died.  In the middle of a promotion that
 * would bring up a primary on the timeline that was being left (S7): end, and be started as a standby.
 */
static void
refuse_half_promotion(void)
{
	static bool made_before = false;
	char path[MAXPGPATH];
	size_t used;

	if (made_before)
	{
		guc_state_path(path, sizeof(path));
		used = strlen(path);
		snprintf(path + used, sizeof(path) - used, "/promoting");
		if (access(path, F_OK) == 0)
			ereport(FATAL, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("a process died during a promotion"),
							errhint("The supervisor starts this server as a standby; by hand, make "
									"standby.signal first.")));
	}
	made_before = true;
}

static void
shmem_startup(void)
{
	bool found;

	if (previous_startup)
		previous_startup();
	if (!IsUnderPostmaster)
	{
		refuse_half_promotion();
		leftover_slots_remove();
	}
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	fawkes_shared = ShmemInitStruct("fawkes_ha", sizeof(FawkesShared), &found);
	if (!found)
	{
		memset(fawkes_shared, 0, sizeof(FawkesShared));
		pg_atomic_init_u32(&fawkes_shared->is_alone, 0);
		pg_atomic_init_u32(&fawkes_shared->exporter_fails, 0);
		pg_atomic_init_u64(&fawkes_shared->vitals_count, 0);
		pg_atomic_init_u64(&fawkes_shared->snapshot_count, 0);
		fawkes_shared->lock = &GetNamedLWLockTranche("fawkes_ha")->lock;
		ConditionVariableInit(&fawkes_shared->snapshot_changed);
		fence_create(&fawkes_shared->fence);
	}
	else
		fence_attach(&fawkes_shared->fence);
	fawkes_readers = ShmemInitStruct("fawkes_ha readers", readers_size(), &found);
	for (int i = 0; i < MaxBackends && !found; i++)
		pg_atomic_init_u32(&fawkes_readers[i], 0);
	LWLockRelease(AddinShmemInitLock);
}

void
shmem_install_hooks(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = shmem_request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}
