/*
 * maintenance_slots.c: slots of the members.  See maintenance_slots.h.
 *
 * Not by SQL: a slot is shared memory and a file, and a primary without slots has no standby,
 * whatever is the matter with its databases.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "base/clock.h"
#include "node/follow.h"
#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/maintenance_slots.h"
#include "pg/report.h"

#define SLOT_PREFIX "fawkes_ha_"
/* The same failure is told again after this. */
#define TELL_EVERY_MS (10 * 60 * 1000)

typedef struct Slot
{
	char name[NAMEDATALEN];
	bool lost;
	bool used;
} Slot;

static void
make_slot(const char *name)
{
	/* Until its file says from where it keeps WAL, an error takes it away again. */
	compat_create_slot(name);
	ReplicationSlotReserveWal();
	ReplicationSlotMarkDirty();
	ReplicationSlotSave();
	ReplicationSlotPersist();
	ReplicationSlotRelease();
}

static void
drop_slot(const char *name)
{
	ReplicationSlotDrop(name, true);
}

/* An error of one slot is told now and then, and costs no other slot anything; its text or NULL. */
static char *
try_slot(void (*act)(const char *name), const char *name)
{
	static int64 told_at_ms = 0;
	static char told[TROUBLE_SIZE];
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char *volatile why = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		act(name);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (MyReplicationSlot != NULL)
			ReplicationSlotRelease();
		why = pstrdup(error->message);
		if (told_at_ms == 0 || fha_now_ms() >= told_at_ms + TELL_EVERY_MS ||
			strncmp(told, why, sizeof(told) - 1) != 0)
		{
			told_at_ms = fha_now_ms();
			strlcpy(told, why, sizeof(told));
			ereport(LOG,
					report_line("slot_failed", "replication slot \"%s\" cannot be seen to: %s",
								name, why),
					error->hint == NULL ? 0 : errhint("%s", error->hint));
		}
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return why;
}

/* Ours, as they stand; how many. */
static int
list_slots(Slot *out)
{
	int count = 0;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		Slot *found = &out[count];

		if (!slot->in_use || SlotIsLogical(slot) ||
			strncmp(NameStr(slot->data.name), SLOT_PREFIX, strlen(SLOT_PREFIX)) != 0)
			continue;
		strlcpy(found->name, NameStr(slot->data.name), sizeof(found->name));
		SpinLockAcquire(&slot->mutex);
		found->used = slot->active_pid != 0;
		found->lost = compat_slot_is_lost(slot);
		SpinLockRelease(&slot->mutex);
		count++;
	}
	LWLockRelease(ReplicationSlotControlLock);
	return count;
}

static bool
slot_is_among(const char *name, const Slot *slots, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(slots[i].name, name) == 0)
			return true;
	return false;
}

/* The names of those that a primary's members want; how many. */
static int
list_wanted(const MaintenanceTask *task, Slot *out)
{
	int count = 0;

	for (size_t i = 0; task->role == FHA_PG_PRIMARY && i < task->member_count; i++)
		if (strcmp(task->members[i], guc_member_name) != 0)
			fha_slot_name(task->members[i], out[count++].name, sizeof(out[0].name));
	return count;
}

/* It goes into a record: in plain characters, whatever language the server speaks. */
static void
slots_tell_trouble(char trouble[TROUBLE_SIZE], const char *slot, const char *why)
{
	snprintf(trouble, TROUBLE_SIZE, "there is no slot \"%s\": %s", slot, why);
	for (char *c = trouble; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void
maintenance_keep_slots(const MaintenanceTask *task, char trouble[TROUBLE_SIZE])
{
	static Slot wanted[FHA_MEMBERS_MAX];
	Slot *slots = palloc(sizeof(Slot) * (max_replication_slots + 1));
	int count = list_slots(slots);
	int wanted_count = list_wanted(task, wanted);

	trouble[0] = '\0';
	for (int i = 0; i < count; i++)
		if (!slots[i].used &&
			(slots[i].lost || !slot_is_among(slots[i].name, wanted, wanted_count)))
		{
			(void) try_slot(drop_slot, slots[i].name);
			slots[i].name[0] = '\0';
		}
	/* What a member missed is gone: its new slot keeps WAL from when it streams again. */
	for (int i = 0; i < wanted_count; i++)
	{
		char *why = slot_is_among(wanted[i].name, slots, count)
						? NULL
						: try_slot(make_slot, wanted[i].name);

		if (why != NULL && trouble[0] == '\0')
			slots_tell_trouble(trouble, wanted[i].name, why);
	}
	pfree(slots);
}
