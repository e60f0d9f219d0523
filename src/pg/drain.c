/*
 * drain.c: a walsender's last words when the postmaster was killed.
 *
 * A walsender that finds the postmaster dead exits at once, and what backends
 * flushed and acknowledged in the same instant stays behind.  Then no standby
 * could lead without losing it, and the outage would last until this node had
 * recovered.  So before it exits, it sends what is flushed: no backend
 * acknowledges anything after the postmaster's death (fence.c), so there is an end
 * to it.
 */
#include "postgres.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "access/timeline.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "libpq/libpq.h"
#include "libpq/libpq-be.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "pg/compat.h"
#include "pg/drain.h"
#include "pg/fence.h"

/* The supervisor's grace for orphans is 100 ms; a standby that does not read gets no more. */
#define DRAIN_MS 60
/* Backends that were in a commit have flushed it, or see the death, within this. */
#define QUIET_MS 3
/* As much as PostgreSQL's own walsender puts into one message. */
#define CHUNK_SIZE (XLOG_BLCKSZ * 16)
#define BEHIND_MAX (16 * 1024 * 1024)
/* A walsender that was told to end looks so often, each time after so long, whether all are. */
#define PATIENCE_MS 10
#define PATIENCE_TIMES 30

static timer_t again;
static volatile sig_atomic_t waited = 0;
static void (*previous_on_terminate)(int signal_number) = NULL;

/* Read WAL of one segment straight from its file: at most *size bytes. */
static bool
read_wal(TimeLineID timeline, XLogRecPtr from, char *out, size_t *size)
{
	char path[MAXPGPATH];
	XLogSegNo segment;
	uint32 offset = XLogSegmentOffset(from, wal_segment_size);
	ssize_t got;
	int fd;

	*size = Min(*size, wal_segment_size - offset);
	XLByteToSeg(from, segment, wal_segment_size);
	XLogFilePath(path, timeline, segment, wal_segment_size);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = pg_pread(fd, out, *size, offset);
	close(fd);
	return got == (ssize_t) *size;
}

/* One message of the streaming protocol: "w", its start, our end, our time, the WAL. */
static bool
send_chunk(TimeLineID timeline, XLogRecPtr from, XLogRecPtr flushed, size_t *size)
{
	static char message[1 + 3 * sizeof(int64) + CHUNK_SIZE];
	const size_t header = 1 + 3 * sizeof(int64);
	uint64 fields[3] = {pg_hton64(from), pg_hton64(flushed), pg_hton64(GetCurrentTimestamp())};

	*size = Min(flushed - from, CHUNK_SIZE);
	message[0] = 'w';
	memcpy(message + 1, fields, sizeof(fields));
	if (!read_wal(timeline, from, message + header, size))
		return false;
	pq_putmessage_noblock('d', message, header + *size);
	return true;
}

static bool
flush_until(int64 ends_at_ms)
{
	while (pq_is_send_pending())
	{
		struct pollfd wait = {.fd = MyProcPort->sock, .events = POLLOUT};
		int64 left_ms = ends_at_ms - fha_now_ms();

		if (pq_flush_if_writable() != 0 || left_ms <= 0)
			return false;
		if (pq_is_send_pending())
			(void) poll(&wait, 1, (int) left_ms);
	}
	return true;
}

static void
drain_at_exit(int code, Datum argument)
{
	TimeLineID timeline;
	XLogRecPtr sent;
	XLogRecPtr begin;
	XLogRecPtr flushed;
	bool streaming;
	int64 ends_at_ms = fha_now_ms() + DRAIN_MS;
	int64 quiet_at_ms = fha_now_ms() + QUIET_MS;

	if (MyWalSnd == NULL || MyProcPort == NULL || PostmasterIsAliveInternal() ||
		RecoveryInProgress())
		return;
	SpinLockAcquire(&MyWalSnd->mutex);
	sent = MyWalSnd->sentPtr;
	streaming = MyWalSnd->state == WALSNDSTATE_STREAMING;
	SpinLockRelease(&MyWalSnd->mutex);
	flushed = GetFlushRecPtr(&timeline);
	begin = (XLogRecPtr) DatumGetUInt64(argument);
	/* One that still serves the end of an older timeline must not be continued with this one's. */
	if (!streaming || sent <= begin || flushed - sent > BEHIND_MAX)
		return;
	while (fha_now_ms() < ends_at_ms && (sent < flushed || fha_now_ms() < quiet_at_ms))
	{
		size_t size;

		if (sent < flushed)
		{
			if (!send_chunk(timeline, sent, flushed, &size) || !flush_until(ends_at_ms))
				return;
			sent += size;
			quiet_at_ms = fha_now_ms() + QUIET_MS;
		}
		else
			(void) poll(NULL, 0, 1);
		/* Its pipe, which woke us, is closed a little before it is gone for backends. */
		if (fence_has_postmaster())
			quiet_at_ms = fha_now_ms() + QUIET_MS;
		flushed = GetFlushRecPtr(NULL);
	}
}

bool
drain_is_postmaster_stopping(void)
{
	static const char wanted[] = "stopping";
	char text[MAXPGPATH * 2];
	ssize_t size;
	ssize_t begin;
	int fd = open("postmaster.pid", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	size = read(fd, text, sizeof(text));
	close(fd);
	while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
		size--;
	begin = size;
	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	return size - begin == sizeof(wanted) - 1 && memcmp(text + begin, wanted, size - begin) == 0;
}

/*
 * SIGTERM for all processes at once, as service managers send it, would end the walsenders while
 * sessions are still told of their commits, and before the shutdown's own WAL: no standby would
 * have the end.  In a shutdown the postmaster ends walsenders itself, last and by another signal, so
 * one that is told by somebody else stays.  The postmaster hears of it at the same time: whoever
 * terminates a single walsender is obeyed when that has not happened after a moment.
 *
 * A walsender that does not stream, because it sends a base backup or was asked for nothing, answers
 * the postmaster's other signal with a SIGTERM to itself.  The shutdown waits until it is gone.
 */
static void
on_terminate(int signal_number, siginfo_t *info, void *context)
{
	static const struct itimerspec soon = {.it_value = {.tv_nsec = PATIENCE_MS * 1000000}};
	int saved_errno = errno;

	if (info->si_code == SI_USER && info->si_pid == MyProcPid)
		previous_on_terminate(signal_number);
	else if (drain_is_postmaster_stopping())
		waited = 0;
	else if (waited < PATIENCE_TIMES && timer_settime(again, 0, &soon, NULL) == 0)
		waited++;
	else
	{
		waited = 0;
		previous_on_terminate(signal_number);
	}
	errno = saved_errno;
}

static void
outlive_sigterm(void)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGTERM};
	struct sigaction action;

	if (sigaction(SIGTERM, NULL, &action) != 0 || (action.sa_flags & SA_SIGINFO) != 0 ||
		action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN ||
		timer_create(CLOCK_MONOTONIC, &event, &again) != 0)
		return;
	previous_on_terminate = action.sa_handler;
	action.sa_flags |= SA_SIGINFO;
	action.sa_sigaction = on_terminate;
	(void) sigaction(SIGTERM, &action, NULL);
}

void
drain_register(void)
{
	TimeLineID timeline;
	ListCell *cell;

	outlive_sigterm();
	/* A cascading walsender has nothing to add; and its timeline may change under it. */
	if (RecoveryInProgress())
		return;
	timeline = GetWALInsertionTimeLine();
	foreach (cell, readTimeLineHistory(timeline))
	{
		TimeLineHistoryEntry *entry = lfirst(cell);

		if (entry->tli == timeline)
			before_shmem_exit(drain_at_exit, UInt64GetDatum(entry->begin));
	}
}
