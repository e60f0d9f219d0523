/*
 * fence_worker.c: the fence in processes without a client.
 *
 * A commit of theirs is acknowledged by ways of their own: a subscription's worker confirms it to
 * the publisher, which then never sends it again; another extension's may write to a socket.  So
 * the ack watermark is raised at the commit itself, and a process whose commit came too late for the
 * lease ends at the first place where it may: before it tells anybody, unless it does so without ever
 * looking for interrupts.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/walreceiver.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"

#include "pg/fence.h"
#include "pg/report.h"

/* The names of its members are macros too: hence the parentheses around each call. */
static WalReceiverFunctionsType *original = NULL;
static WalReceiverFunctionsType ours;

static void
say_why(void)
{
	fence_count_refusal(FHA_REFUSED_REPLY);
	ereport(LOG,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 report_line("worker_ended_unanswered", "ending a worker before it tells of a commit"),
			 errdetail("The lease was no longer known to be valid.")));
}

/*
 * A commit without an xid is none, but for COMMIT PREPARED: a subscription's worker runs it inside
 * an empty transaction of its own.  Autovacuum tells nobody.
 */
void
fence_worker_committed(uint64 end_lsn)
{
	static uint64 last = 0;

	if (MyBackendType == B_AUTOVAC_WORKER || end_lsn == last ||
		(!TransactionIdIsValid(GetTopTransactionIdIfAny()) && !IsLogicalWorker()))
		return;
	last = end_lsn;
	if (!fence_refuses())
	{
		fence_raise_acked(end_lsn);
		return;
	}
	/* Here it must not end: the transaction is not over, and its abort would panic the server. */
	say_why();
	InterruptPending = true;
	ProcDiePending = true;
	SetLatch(MyLatch);
}

/* A subscription's worker may have slept since its commit: so before each word, not only there. */
static void
test_word(void)
{
	if (!fence_refuses_still())
		return;
	say_why();
	proc_exit(1);
}

/* A worker that starts where another has ended would confirm what that one had committed. */
static bool
start_streaming(WalReceiverConn *connection, const WalRcvStreamOptions *options)
{
	test_word();
	return (original->walrcv_startstreaming)(connection, options);
}

static void
send_word(WalReceiverConn *connection, const char *buffer, int size)
{
	test_word();
	(original->walrcv_send)(connection, buffer, size);
}

static WalRcvExecResult *
fence_execute(WalReceiverConn *connection, const char *query, const int result_count,
			  const Oid *result_types)
{
	test_word();
	return (original->walrcv_exec)(connection, query, result_count, result_types);
}

void
fence_worker_wrap(void)
{
	if (WalReceiverFunctions == NULL || WalReceiverFunctions == &ours || !IsLogicalWorker())
		return;
	original = WalReceiverFunctions;
	ours = *original;
	ours.walrcv_startstreaming = start_streaming;
	ours.walrcv_send = send_word;
	ours.walrcv_exec = fence_execute;
	WalReceiverFunctions = &ours;
}
