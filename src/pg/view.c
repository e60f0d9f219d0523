/*
 * view.c: what the agent sees of its own PostgreSQL.  See view.h.
 */
#include "postgres.h"

#include "access/timeline.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecovery.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "replication/walreceiver.h"
#include "replication/walsender_private.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "core/observe.h"
#include "node/follow.h"
#include "pg/compat.h"
#include "pg/shmem.h"
#include "pg/standby_limits.h"
#include "pg/view.h"

#define OLDEST_WAL_MS 5000
/* It comes back within a second. */
#define MAINTENANCE_ABSENT_MS (10 * 1000)
/* A standby tries to stream twice a second; conflicts with readers end in 30 s by default. */
#define STALLED_MS (35 * 1000)

bool
view_has_checkpoint(uint32 timeline, uint64 redo)
{
	bool valid;
	ControlFileData *control = get_controlfile(DataDir, &valid);
	bool has = valid && control->checkPointCopy.ThisTimeLineID == timeline &&
			   control->checkPointCopy.redo >= redo;

	pfree(control);
	return has;
}

/* Does a walsender of this process stream, caught up with what there was when it began?  What it heard. */
static bool
is_streaming(pid_t pid, FhaStandby *standby)
{
	bool streaming = false;

	for (int i = 0; i < max_wal_senders && !streaming; i++)
	{
		WalSnd *sender = &WalSndCtl->walsnds[i];

		SpinLockAcquire(&sender->mutex);
		streaming = sender->pid == pid && sender->state == WALSNDSTATE_STREAMING;
		if (streaming)
		{
			standby->written = sender->write;
			standby->replayed = sender->apply;
			standby->stamp = sender->replyTime;
		}
		SpinLockRelease(&sender->mutex);
	}
	return streaming;
}

/* Each member streams through a slot of its own: that names it, and says what it has flushed. */
static void
fill_standbys(FhaPgView *view, const FhaHostAction *action)
{
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (size_t i = 0; i < action->member_count; i++)
	{
		char name[FHA_SLOT_NAME_SIZE];

		fha_slot_name(action->members[i], name, sizeof(name));
		for (int j = 0; j < max_replication_slots; j++)
		{
			ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[j];
			pid_t pid;
			XLogRecPtr flushed;

			if (!slot->in_use || strcmp(NameStr(slot->data.name), name) != 0)
				continue;
			SpinLockAcquire(&slot->mutex);
			pid = slot->active_pid;
			flushed = slot->data.restart_lsn;
			SpinLockRelease(&slot->mutex);
			if (pid != 0 && is_streaming(pid, &view->standbys[view->standby_count]))
			{
				FhaStandby *standby = &view->standbys[view->standby_count++];

				strlcpy(standby->member, action->members[i], sizeof(standby->member));
				standby->lsn = flushed;
			}
		}
	}
	LWLockRelease(ReplicationSlotControlLock);
}

/*
 * The ancestors of our timeline, oldest first, and the timeline itself with an open end; where it began.
 * By the history file that this node has, which may be another's than the leader's of that number.
 */
static void
fill_lineage(FhaPgView *view)
{
	static TimeLineID known = 0;
	static size_t count = 0;
	static FhaLineageStep steps[FHA_LINEAGE_MAX];

	if (known != view->position.timeline)
	{
		List *history = readTimeLineHistory(view->position.timeline); /* newest first */

		count = Min(list_length(history), FHA_LINEAGE_MAX);
		memset(steps, 0, sizeof(steps));
		for (size_t i = 0; i < count; i++)
		{
			TimeLineHistoryEntry *entry = list_nth(history, count - 1 - i);

			steps[i].timeline = entry->tli;
			steps[i].end = entry->end;
		}
		fha_timeline_identities(DataDir, view->position.timeline, steps, count);
		/* That of any but the first may not have been received yet. */
		if (count > 1 || view->state == FHA_PG_PRIMARY)
			known = view->position.timeline;
	}
	view->lineage_count = count;
	memcpy(view->lineage, steps, sizeof(steps));
	view->origin = fha_lineage_origin(steps, count);
}

/* The oldest segment on disk, looked for now and then: nothing of it is older than that. */
static XLogRecPtr
oldest_wal(void)
{
	static XLogRecPtr oldest = InvalidXLogRecPtr;
	static int64 looked_at_ms = 0;
	XLogSegNo least = PG_UINT64_MAX;
	DIR *directory;
	struct dirent *entry;

	if (oldest != InvalidXLogRecPtr && fha_now_ms() < looked_at_ms + OLDEST_WAL_MS)
		return oldest;
	looked_at_ms = fha_now_ms();
	directory = AllocateDir(XLOGDIR);
	while ((entry = ReadDirExtended(directory, XLOGDIR, LOG)) != NULL)
	{
		TimeLineID timeline;
		XLogSegNo segment;

		if (!IsXLogFileName(entry->d_name))
			continue;
		XLogFromFileName(entry->d_name, &timeline, &segment, wal_segment_size);
		least = Min(least, segment);
	}
	FreeDir(directory);
	if (least != PG_UINT64_MAX)
		XLogSegNoOffsetToRecPtr(least, 0, wal_segment_size, oldest);
	return oldest;
}

/* Why others cannot stream from this primary, as its maintenance says, or as its absence does. */
static void
fill_trouble(FhaPgView *view)
{
	static int64 seen_at_ms = 0;
	const MaintenanceShared *maintenance = &fawkes_shared->maintenance;
	int64 now_ms = fha_now_ms();

	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	if (seen_at_ms == 0 || maintenance->pid != 0)
		seen_at_ms = now_ms;
	if (now_ms >= seen_at_ms + MAINTENANCE_ABSENT_MS)
		strlcpy(view->trouble, "its maintenance worker does not run, see its log",
				sizeof(view->trouble));
	else if (maintenance->trouble[0] != '\0')
		strlcpy(view->trouble, maintenance->trouble, sizeof(view->trouble));
	else if (!maintenance->done && maintenance->failures > 1)
		strlcpy(view->trouble, "the chores of its maintenance worker fail, see its log",
				sizeof(view->trouble));
	LWLockRelease(fawkes_shared->lock);
}

static void
fill_primary(FhaPgView *view, const FhaHostAction *action)
{
	static TimeLineID rewindable = 0;
	TimeLineID timeline;

	view->state = FHA_PG_PRIMARY;
	view->position.lsn = GetFlushRecPtr(&timeline);
	view->position.timeline = timeline;
	view->written = view->position.lsn;
	view->replayed = view->position.lsn;
	view->oldest_wal = oldest_wal();
	if (rewindable != timeline && fawkes_shared->ready_timeline == timeline &&
		view_has_checkpoint(timeline, 0))
		rewindable = timeline;
	view->rewindable = rewindable == timeline;
	fill_lineage(view);
	fill_trouble(view);
	if (action != NULL)
		fill_standbys(view, action);
}

/*
 * A receiver calls itself streaming before it connects, which takes minutes when nobody answers;
 * what pg_stat_wal_receiver shows, it shows once it is connected.
 */
bool
view_is_streaming(void)
{
	bool streaming;

	SpinLockAcquire(&WalRcv->mutex);
	streaming = WalRcv->walRcvState == WALRCV_STREAMING && WalRcv->ready_to_display;
	SpinLockRelease(&WalRcv->mutex);
	return streaming;
}

/* A receiver calls itself streaming before it is connected; the sender's first message tells. */
bool
view_has_streamed(void)
{
	XLogRecPtr told;

	SpinLockAcquire(&WalRcv->mutex);
	told = WalRcv->latestWalEnd;
	SpinLockRelease(&WalRcv->mutex);
	return told != InvalidXLogRecPtr && WalRcvStreaming();
}

static bool
is_stalled(XLogRecPtr position)
{
	static XLogRecPtr seen = InvalidXLogRecPtr;
	static int64 moved_at_ms = 0;
	int64 now_ms = fha_now_ms();

	if (moved_at_ms == 0 || position != seen)
	{
		seen = position;
		moved_at_ms = now_ms;
	}
	return now_ms >= moved_at_ms + STALLED_MS;
}

/*
 * Could this server be promoted?  Consistent data is what that takes.  A snapshot for readers may
 * never come: it waits for a transaction with many subtransactions, which a dead primary never ends.
 */
static bool
is_consistent(XLogRecPtr replayed)
{
	static bool consistent = false;
	bool valid;
	ControlFileData *control;

	if (consistent)
		return true;
	control = get_controlfile(DataDir, &valid);
	consistent = valid && control->state == DB_IN_ARCHIVE_RECOVERY && !control->backupEndRequired &&
				 XLogRecPtrIsInvalid(control->backupStartPoint) &&
				 XLogRecPtrIsInvalid(control->backupEndPoint) &&
				 !XLogRecPtrIsInvalid(control->minRecoveryPoint) &&
				 control->minRecoveryPoint <= replayed;
	pfree(control);
	return consistent;
}

/*
 * S5's trap: what the receiver says is not the position after a restart, when it reads the start
 * of a segment; what was replayed is not it while replay lags.  The higher of both is.
 */
static void
fill_standby(FhaPgView *view)
{
	TimeLineID replay_timeline;
	TimeLineID receive_timeline = 0;
	XLogRecPtr replayed = GetXLogReplayRecPtr(&replay_timeline);
	XLogRecPtr received = GetWalRcvFlushRecPtr(NULL, &receive_timeline);
	XLogRecPtr written = GetWalRcvWriteRecPtr();

	view->replayed = replayed;
	view->position.timeline = replay_timeline;
	view->position.lsn = replayed;
	if (receive_timeline > replay_timeline ||
		(receive_timeline == replay_timeline && received > replayed))
	{
		view->position.timeline = receive_timeline;
		view->position.lsn = received;
	}
	fill_lineage(view);
	/* Since a receiver began it is 0 until something comes. */
	view->written = view->position.lsn;
	if (receive_timeline == view->position.timeline && written > view->written)
		view->written = written;
	view->streaming = view_is_streaming();
	SpinLockAcquire(&WalRcv->mutex);
	view->heard_lsn = WalRcv->latestWalEnd;
	view->heard_stamp = WalRcv->lastMsgReceiptTime;
	SpinLockRelease(&WalRcv->mutex);
	view->stalled = is_stalled(view->position.lsn);
	view->cold = !HotStandbyActive();
	view->state = !view->cold || is_consistent(replayed) ? FHA_PG_STANDBY : FHA_PG_BUSY;
	view->recovering = view->state == FHA_PG_BUSY;
	view->too_small = GetRecoveryPauseState() == RECOVERY_PAUSED && limits_are_smaller();
	if (view->too_small)
		limits_wanted(&view->limits_needed);
}

static void
fill_room(FhaPgView *view)
{
	view->max_slots = max_replication_slots;
	view->max_senders = max_wal_senders;
	limits_running(&view->limits);
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
		view->slots += ReplicationSlotCtl->replication_slots[i].in_use;
	LWLockRelease(ReplicationSlotControlLock);
}

void
view_fill(FhaPgView *view, const FhaHostAction *action)
{
	memset(view, 0, sizeof(*view));
	fill_room(view);
	view->system_identifier = GetSystemIdentifier();
	if (!RecoveryInProgress())
		fill_primary(view, action);
	/* Before its first record it may wait for ever already: for the checkpoint that a rewind goes back to. */
	else if (GetRecoveryState() == RECOVERY_STATE_ARCHIVE ||
			 GetWalRcvFlushRecPtr(NULL, NULL) != InvalidXLogRecPtr)
		fill_standby(view);
	else
		view->state = FHA_PG_BUSY;
}
