/*
 * shmem.c: one structure in the main shared memory segment.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "compat.h"
#include "shmem.h"

FawkesShared *fawkes_shared = NULL;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

static void
request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(sizeof(FawkesShared));
	RequestNamedLWLockTranche("fawkes_ha", 1);
}

static void
startup(void)
{
	bool found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	fawkes_shared = ShmemInitStruct("fawkes_ha", sizeof(FawkesShared), &found);
	if (!found)
	{
		memset(fawkes_shared, 0, sizeof(FawkesShared));
		fawkes_shared->lock = &GetNamedLWLockTranche("fawkes_ha")->lock;
		ConditionVariableInit(&fawkes_shared->snapshot_changed);
		fence_create(&fawkes_shared->fence);
	}
	else
		fence_attach(&fawkes_shared->fence);
	LWLockRelease(AddinShmemInitLock);
}

void
shmem_install_hooks(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = startup;
}
