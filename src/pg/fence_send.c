/*
 * fence_send.c: the fence between a commit record and its acknowledgement.
 *
 * After the commit record an error would panic the server (S2), so here the
 * fence can only withhold: nothing is sent, the backend ends without a word, and
 * the client learns "unknown", never "done" and never "refused".
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"

#include "pg/compat.h"
#include "pg/fence.h"
#include "pg/fence_message.h"
#include "pg/guc.h"
#include "pg/report.h"

/* PostgreSQL's own buffer has this size; more is never left waiting in it while a test is due. */
#define UNSENT_MAX 8192

/* A blocked client is looked at again this often, so that a lapse ends its backend. */
#define LOOK_AGAIN_MS 1000

static const PQcommMethods *original;

/*
 * `committing`: a commit record may be written at any moment, or has just been.
 * `unacked`: records were written whose acknowledgement has not left for certain.
 * They are apart because an error ends the first, never the second: a pipeline, a
 * string of statements or a procedure may commit, then fail.
 */
static enum { COMMIT_NONE, COMMIT_SOON, COMMIT_NOW } committing = COMMIT_NONE;
static bool unacked = false;
static uint64 unacked_lsn = 0;

/*
 * ReadyForQuery stands in the buffer, behind everything that acknowledges.  Only
 * its flush ends `unacked`: a NOTICE flushes before CommandComplete is put, and a
 * commit at Sync has no message but this one.
 */
static bool ready_for_query = false;

/* Upper limit of what was put since the buffer was last known to be empty, while testing. */
static size_t unsent = 0;

/* A message was swallowed: the protocol is broken for good, only the end is left. */
static bool lapsed = false;

/* Calls between PostgreSQL's methods, e.g. putmessage_noblock to putmessage, are not new sends. */
static bool inside = false;

void
fence_send_commit_begins(bool record_is_near)
{
	committing = record_is_near ? COMMIT_NOW : COMMIT_SOON;
}

void
fence_send_committed(uint64 end_lsn)
{
	committing = COMMIT_NONE;
	unacked = true;
	unacked_lsn = Max(unacked_lsn, end_lsn);
	ready_for_query = false;
}

void
fence_send_commit_ended(void)
{
	committing = COMMIT_NONE;
}

/*
 * Is anything that leaves now a word about a commit?  Between PRE_COMMIT and the
 * record the transaction is still in progress: its errors are true and may pass.
 * What a logical walsender sends is always such a word.
 */
static bool
must_withhold(void)
{
	return unacked || committing == COMMIT_NOW ||
		   (committing == COMMIT_SOON && !IsTransactionState()) || am_db_walsender;
}

/*
 * Nothing has lapsed and nothing is to be withheld: so it is for nearly every message.  This test has no
 * call in it, so that the message's arguments stay in registers.
 */
static inline bool
is_unconcerned(void)
{
	return !(lapsed || unacked || committing != COMMIT_NONE || am_db_walsender);
}

/*
 * End without a word, unless that would abort a transaction whose commit record
 * is written: then at the next message, for PostgreSQL holds interrupts from
 * before the record until the transaction is over.
 */
static pg_noinline void
send_withhold(void)
{
	lapsed = true;
	if (InterruptHoldoffCount > 0 || CritSectionCount > 0)
		return;
	whereToSendOutput = DestNone;
	fence_count_refusal(FHA_REFUSED_REPLY);
	ereport(LOG,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 report_line("connection_closed_unanswered", "closing a connection without a reply"),
			 errdetail("The lease was no longer known to be valid when the client was to be "
					   "told of a commit.")));
	proc_exit(1);
}

/*
 * What is put while a test is due waits in the buffer, and the flush tests it: a test of its own
 * here would cost each commit more readings of the clock and forbid nothing.
 */
static bool
send_swallows(void)
{
	if (lapsed)
		send_withhold();
	return lapsed;
}

/* S2: the test before everything that leaves.  False: it must not. */
static bool
may_leave(void)
{
	if (!lapsed && !fence_refuses())
		return true;
	send_withhold();
	return false;
}

/* What was put has left altogether. */
static void
note_empty(void)
{
	unsent = 0;
	if (ready_for_query && committing == COMMIT_NONE)
	{
		unacked = false;
		unacked_lsn = 0;
	}
	ready_for_query = false;
}

/*
 * A process stopped between the tests and the send acknowledges when it wakes, however
 * late: hence nothing stands between them, and the clock is read last.  A system call
 * there is where the kernel switches processes, and a stop finds the most of them.
 */
static int
flush_once(void)
{
	volatile int result = 0; /* lives through PG_TRY */

	if (unacked)
	{
		/* Tested here too, so that the ack watermark does not name what is then withheld. */
		if (!may_leave())
			return 0;
		fence_raise_acked(unacked_lsn);
	}
	PG_TRY();
	{
		inside = true;
		if (may_leave())
			result = original->flush_if_writable();
	}
	PG_FINALLY();
	{
		inside = false;
	}
	PG_END_TRY();
	if (!lapsed && result == 0 && !original->is_send_pending())
		note_empty();
	return result;
}

static int
fence_flush_if_writable(void)
{
	if (inside || !(lapsed || must_withhold()))
		return original->flush_if_writable();
	return flush_once();
}

/* As secure_write waits, but not past the lease. */
static void
wait_for_client(void)
{
	WaitEvent event = {0};
	int64 left_ms = fence_left_ms(); /* 0 on a standby, where nothing lapses */
	long timeout_ms = left_ms > 0 ? Min(left_ms + 1, LOOK_AGAIN_MS) : LOOK_AGAIN_MS;

	ModifyWaitEvent(FeBeWaitSet, FeBeWaitSetSocketPos, WL_SOCKET_WRITEABLE, NULL);
	if (WaitEventSetWait(FeBeWaitSet, timeout_ms, &event, 1, WAIT_EVENT_CLIENT_WRITE) == 0)
		return;
	if (event.events & WL_POSTMASTER_DEATH)
		ereport(FATAL, (errcode(ERRCODE_ADMIN_SHUTDOWN),
						errmsg("terminating connection due to unexpected postmaster exit")));
	if (event.events & WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		ProcessClientWriteInterrupt(true);
	}
}

/*
 * PostgreSQL's flush sleeps in the middle of sending when the client does not
 * read, and goes on whenever that ends.  Ours tests again after each sleep.
 */
static pg_noinline int
flush_tested(void)
{
	for (;;)
	{
		int result = flush_once();

		if (lapsed || result != 0 || !original->is_send_pending())
			return result;
		wait_for_client();
	}
}

static int
fence_flush(void)
{
	if (inside || !(lapsed || must_withhold()))
		return original->flush();
	return flush_tested();
}

/* Answers to what may pass at statement start pass. */
static pg_noinline bool
tag_is_harmless(const char *tag)
{
	static const char *const harmless[] = {"BEGIN",  "START TRANSACTION", "ROLLBACK",
										   "COMMIT", "SAVEPOINT",         "RELEASE"};

	for (int i = 0; i < lengthof(harmless); i++)
		if (tag[0] == harmless[i][0] && strcmp(tag, harmless[i]) == 0)
			return true;
	return false;
}

/* The tag of a statement with rows ends with their number; no harmless one ends with a digit. */
static inline bool
tag_counts(const char *tag, size_t size)
{
	return size >= 2 && tag[size - 2] >= '0' && tag[size - 2] <= '9';
}

/*
 * S2b: rows, their description, their count and a function's result tell what a
 * lapsed primary contains.
 */
static inline bool
shows_something(char type, const char *body, size_t size)
{
	if (type == 'C')
		return tag_counts(body, size) || !tag_is_harmless(body);
	return type == 'D' || type == 'T' || type == 'd' || type == 'V';
}

/* Whether this server serves from a standby or as the primary is no secret. */
static inline bool
is_parameter(char type, const char *body)
{
	return type == 'S' && strcmp(body, "in_hot_standby") != 0;
}

/* Types of the messages that test_read looks at: the others are the steps of the protocol. */
static inline bool
may_show(char type)
{
	return type == 'D' || type == 'T' || type == 'C' || type == 'd' || type == 'V' || type == 'A' ||
		   type == 'S';
}

/*
 * S2b.  Raises an error where one can be raised; the error's own message comes back here.  A
 * notification or a setting's new value stands outside any query, and has nobody to tell an error
 * to: a function may have put a row's content into either.
 */
static pg_noinline void
test_read(char type, const char *body, size_t size)
{
	if (guc_fenced_reads || InterruptHoldoffCount > 0 || CritSectionCount > 0)
		return;
	if ((type == 'A' || is_parameter(type, body)) && fence_refuses_still())
		send_withhold();
	else if (shows_something(type, body, size) && fence_refuses_still())
		fence_raise_refusal(FHA_REFUSED_STATEMENT, "a query");
}

/* An error or a notice.  A function of its own, because the guard of its buffer costs each call. */
static pg_noinline int
put_report(char type, const char *body, size_t size)
{
	char hidden[FENCE_MESSAGE_SIZE];

	if (!guc_fenced_reads && fence_refuses())
	{
		/* A notice can be left out; its statement ends with an error. */
		if (type == 'N')
			return 0;
		size = fence_message_hide(body, size, hidden);
		body = hidden;
	}
	return original->putmessage(type, body, size);
}

static inline int
put_shown(char type, const char *body, size_t size)
{
	if (type == 'E' || type == 'N')
		return put_report(type, body, size);
	if (may_show(type))
		test_read(type, body, size);
	return original->putmessage(type, body, size);
}

/*
 * Never by the original while a test is due: it sends a full buffer by itself,
 * untested.  putmessage_noblock enlarges the buffer instead.
 */
static void
put_withheld(char type, const char *body, size_t size)
{
	PG_TRY();
	{
		inside = true;
		original->putmessage_noblock(type, body, size);
	}
	PG_FINALLY();
	{
		inside = false;
	}
	PG_END_TRY();
	unsent += size + 5;
	if (type == 'Z')
		ready_for_query = true;
}

static pg_noinline int
put_tested(char type, const char *body, size_t size)
{
	if (!(lapsed || must_withhold()))
		return put_shown(type, body, size);
	if (send_swallows())
		return 0;
	if (unsent + size > UNSENT_MAX && unsent > 0)
	{
		if (fence_flush() != 0)
			return EOF;
		if (lapsed)
			return 0;
	}
	put_withheld(type, body, size);
	return 0;
}

static int
fence_putmessage(char type, const char *body, size_t size)
{
	if (inside)
		return original->putmessage(type, body, size);
	return is_unconcerned() ? put_shown(type, body, size) : put_tested(type, body, size);
}

static void
fence_putmessage_noblock(char type, const char *body, size_t size)
{
	if (inside)
		original->putmessage_noblock(type, body, size);
	else if (!(lapsed || must_withhold()))
	{
		test_read(type, body, size);
		original->putmessage_noblock(type, body, size);
	}
	else if (!send_swallows())
		put_withheld(type, body, size);
}

void
fence_send_wrap(void)
{
	static PQcommMethods ours;

	original = PqCommMethods;
	ours = *original;
	ours.flush = fence_flush;
	ours.flush_if_writable = fence_flush_if_writable;
	ours.putmessage = fence_putmessage;
	ours.putmessage_noblock = fence_putmessage_noblock;
	PqCommMethods = &ours;
}
