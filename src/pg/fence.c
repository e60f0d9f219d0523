/*
 * fence.c: who may write, and who may see.
 *
 * The fence stands at login (login.c), at statement start and at PRE_COMMIT, where
 * a transaction can still abort.  What happens after the commit record is in
 * fence_send.c.  Knows nothing of the lease: the agent moves one number.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "libpq/libpq-be.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "tcop/utility.h"

#include "pg/compat.h"
#include "pg/fence.h"
#include "pg/guc.h"
#include "pg/login.h"

/* A primary that is to be admitted is looked at so often. */
#define ADMISSION_POLL_US 2000

FhaWatermark *fence_watermark = NULL;

static FenceShared *shared = NULL;

/* Only a process that hears of the postmaster's death need not ask the kernel each time. */
static volatile sig_atomic_t maybe_orphaned = true;
static bool hears_of_death = false;
static void (*previous_on_death)(int signal_number) = NULL;

static ExecutorStart_hook_type previous_executor_start = NULL;
static ProcessUtility_hook_type previous_process_utility = NULL;

/* What a statement does, as far as a shut fence cares. */
typedef enum StatementKind
{
	STATEMENT_CONTROL, /* ends or begins a transaction; lasting work is tested at PRE_COMMIT */
	STATEMENT_READ,
	STATEMENT_WRITE
} StatementKind;

/* Straight to the vDSO: this runs several times per commit. */
static int64
fence_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
fence_create(FenceShared *new_shared)
{
	pg_atomic_init_u64(&new_shared->write_ends_at_ms, 0);
	pg_atomic_init_u64(&new_shared->expected_ends_at_ms, 0);
	pg_atomic_init_u64(&new_shared->acked_lsn, 0);
	for (int i = 0; i < FHA_REFUSAL_COUNT; i++)
		pg_atomic_init_u64(&new_shared->refusals[i], 0);
	fence_attach(new_shared);
}

void
fence_attach(FenceShared *new_shared)
{
	shared = new_shared;
}

void
fence_open(int64 write_ends_at_ms)
{
	pg_atomic_write_u64(&shared->write_ends_at_ms, (uint64) write_ends_at_ms);
	pg_memory_barrier();
}

void
fence_shut(void)
{
	pg_atomic_write_u64(&shared->write_ends_at_ms, 0);
	pg_memory_barrier();
}

void
fence_expect(int64 ends_at_ms)
{
	pg_atomic_write_u64(&shared->expected_ends_at_ms, (uint64) ends_at_ms);
}

/*
 * The kernel's word.  PostmasterIsAlive() reads a pipe when it was signalled, and that pipe is also
 * open in a process that was forked just before and has not closed it yet: then it says
 * "alive", once and for good.
 */
bool
fence_has_postmaster(void)
{
	if (!maybe_orphaned || !IsUnderPostmaster)
		return true;
	/* Before the question: a death during it counts. */
	maybe_orphaned = !hears_of_death;
	if (getppid() == PostmasterPid)
		return true;
	maybe_orphaned = true;
	return false;
}

static void
on_postmaster_death(int signal_number)
{
	maybe_orphaned = true;
	previous_on_death(signal_number);
}

/*
 * In the step in which the kernel takes the postmaster from its children it sends them a signal that
 * PostgreSQL has asked for.  A process that was stopped handles it before anything else when it
 * wakes.  Until the first test the flag stands, for the postmaster may have died already.
 */
void
fence_hear_of_postmaster_death(void)
{
	int number = 0;
	struct sigaction action;

	if (prctl(PR_GET_PDEATHSIG, &number) != 0 || number == 0 ||
		sigaction(number, NULL, &action) != 0 || (action.sa_flags & SA_SIGINFO) != 0 ||
		action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
		return;
	previous_on_death = action.sa_handler;
	action.sa_handler = on_postmaster_death;
	hears_of_death = sigaction(number, &action, NULL) == 0;
}

/*
 * S1: only while now < write_ends_at.  The deadline is read before the clock, and the
 * clock last, so that a process stopped before it finds the fence shut.  A dead postmaster
 * shuts it as well: the supervisor hands over within milliseconds of its death,
 * while its backends live until they next look.
 */
bool
fence_is_open(void)
{
	uint64 write_ends_at_ms;

	if (shared == NULL || !fence_has_postmaster())
		return false;
	write_ends_at_ms = pg_atomic_read_u64(&shared->write_ends_at_ms);
	return (uint64) fence_now_ms() < write_ends_at_ms;
}

bool
fence_refuses(void)
{
	return !fence_is_open() && shared != NULL && !RecoveryInProgress();
}

/* A standby that is promoted is in nobody's way meanwhile: its readers need not go elsewhere. */
static pg_noinline bool
fence_stays_shut(void)
{
	while (fence_refuses())
	{
		if ((uint64) fence_now_ms() >= pg_atomic_read_u64(&shared->expected_ends_at_ms))
			return true;
		CHECK_FOR_INTERRUPTS();
		pg_usleep(ADMISSION_POLL_US);
	}
	return false;
}

/* Each statement and each row comes here, and nearly all find the fence open: the wait is elsewhere. */
bool
fence_refuses_still(void)
{
	return !fence_is_open() && fence_stays_shut();
}

int64
fence_left_ms(void)
{
	int64 left_ms;

	if (!fence_is_open())
		return 0;
	left_ms = (int64) pg_atomic_read_u64(&shared->write_ends_at_ms) - fence_now_ms();
	return Max(left_ms, 0);
}

uint64
fence_acked_lsn(void)
{
	if (shared == NULL)
		return 0;
	return fence_watermark ? atomic_load(&fence_watermark->acked_lsn)
						   : pg_atomic_read_u64(&shared->acked_lsn);
}

/* Before the acknowledgement leaves, never after: the ack watermark may only be too high. */
void
fence_raise_acked(uint64 lsn)
{
	uint64 seen;

	if (fence_watermark != NULL)
	{
		seen = atomic_load(&fence_watermark->acked_lsn);
		while (seen < lsn && !atomic_compare_exchange_weak(&fence_watermark->acked_lsn, &seen, lsn))
			;
		return;
	}
	seen = pg_atomic_read_u64(&shared->acked_lsn);
	while (seen < lsn && !pg_atomic_compare_exchange_u64(&shared->acked_lsn, &seen, lsn))
		;
}

void
fence_count_refusal(FhaRefusal where)
{
	pg_atomic_fetch_add_u64(&shared->refusals[where], 1);
}

void
fence_state(FhaFenceState *out)
{
	memset(out, 0, sizeof(*out));
	if (shared == NULL)
		return;
	out->left_ms = fence_left_ms();
	out->open = out->left_ms > 0;
	for (int i = 0; i < FHA_REFUSAL_COUNT; i++)
		out->refusals[i] = pg_atomic_read_u64(&shared->refusals[i]);
}

void
fence_raise_refusal(FhaRefusal where, const char *what)
{
	fence_count_refusal(where);
	ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					errmsg("cannot execute %s: this server may not act as the primary", what),
					errdetail("Its lease on the cluster is not known to be valid."),
					errhint("Reconnect; the cluster's primary is elsewhere or not yet admitted.")));
}

/*
 * S2b is about what clients see.  Our own workers, autovacuum and apply workers
 * show nothing to anybody and may read; a physical walsender serves standbys.
 */
static bool
is_client(void)
{
	return MyProcPort != NULL && (!am_walsender || am_db_walsender);
}

static inline bool
reads_pass(void)
{
	return guc_fenced_reads || !is_client();
}

static void
test_statement(StatementKind kind, Node *statement)
{
	if (kind == STATEMENT_CONTROL || IsParallelWorker())
		return;
	if (kind == STATEMENT_READ && reads_pass())
		return;
	if (fence_refuses_still())
		fence_raise_refusal(FHA_REFUSED_STATEMENT, GetCommandTagName(CreateCommandTag(statement)));
}

static void
fence_executor_start(QueryDesc *query, int flags)
{
	/* Reads do not pass in a client's session, so that their kind is not asked for there. */
	bool passes = reads_pass() && CommandIsReadOnly(query->plannedstmt);

	if (!passes)
		test_statement(STATEMENT_WRITE, (Node *) query->plannedstmt);
	if (previous_executor_start)
		previous_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

static StatementKind
transaction_statement_kind(const TransactionStmt *statement)
{
	switch (statement->kind)
	{
		case TRANS_STMT_PREPARE:
		case TRANS_STMT_COMMIT_PREPARED:
		case TRANS_STMT_ROLLBACK_PREPARED:
			return STATEMENT_WRITE;
		default:
			return STATEMENT_CONTROL;
	}
}

/*
 * Whatever is not known to be harmless counts as a write: DROP DATABASE, VACUUM,
 * CREATE INDEX CONCURRENTLY and ALTER SYSTEM do lasting work before any commit.
 * The statements inside EXECUTE, EXPLAIN, CALL and DO are tested on their own.
 */
static StatementKind
utility_kind(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
			return transaction_statement_kind((const TransactionStmt *) statement);
		case T_CopyStmt:
			return ((const CopyStmt *) statement)->is_from ? STATEMENT_WRITE : STATEMENT_READ;
		case T_CallStmt:
		case T_ClosePortalStmt:
		case T_ConstraintsSetStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_DiscardStmt:
		case T_DoStmt:
		case T_ExecuteStmt:
		case T_ExplainStmt:
		case T_FetchStmt:
		case T_ListenStmt:
		case T_LoadStmt:
		case T_LockStmt:
		case T_PrepareStmt:
		case T_UnlistenStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
			return STATEMENT_READ;
		default:
			return STATEMENT_WRITE;
	}
}

static void
fence_committed(uint64 end_lsn)
{
	if (MyProcPort == NULL)
		fence_worker_committed(end_lsn);
	else
		fence_send_committed(end_lsn);
}

/*
 * COMMIT PREPARED writes its record while the transaction around it is still in
 * progress, before PRE_COMMIT (S2), and an error may follow the record.
 * XactLastRecEnd tells whether anything was written.
 */
static void
end_prepared(XLogRecPtr before)
{
	if (XactLastRecEnd != before)
		fence_committed(XactLastRecEnd);
	else
		fence_send_commit_ended();
}

static bool
finishes_prepared(const Node *statement)
{
	const TransactionStmt *transaction = (const TransactionStmt *) statement;

	return IsA(statement, TransactionStmt) && (transaction->kind == TRANS_STMT_COMMIT_PREPARED ||
											   transaction->kind == TRANS_STMT_ROLLBACK_PREPARED);
}

static void
fence_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *dest,
					  QueryCompletion *completion)
{
	Node *node = statement->utilityStmt;
	ProcessUtility_hook_type next =
		previous_process_utility ? previous_process_utility : standard_ProcessUtility;
	XLogRecPtr before;

	test_statement(utility_kind(node), node);
	if (!finishes_prepared(node))
	{
		next(statement, text, read_only_tree, context, params, environment, dest, completion);
		return;
	}
	before = XactLastRecEnd;
	fence_send_commit_begins(true);
	PG_TRY();
	{
		next(statement, text, read_only_tree, context, params, environment, dest, completion);
	}
	PG_CATCH();
	{
		end_prepared(before);
		PG_RE_THROW();
	}
	PG_END_TRY();
	end_prepared(before);
}

/*
 * S2: an error while the transaction can still abort.  One without an xid has
 * left no commit record, so that there is nothing to promise; what else it may
 * have done was tested when its statements started.
 */
static void
test_commit(const char *what)
{
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()) && fence_refuses())
		fence_raise_refusal(FHA_REFUSED_COMMIT, what);
	fence_send_commit_begins(false);
}

/* Before the first commit of a process. */
static void
fence_guard(void)
{
	if (MyProcPort == NULL)
		fence_worker_wrap();
	else
		login_is_due();
}

/*
 * Parallel workers commit nothing of their own.  The xid is looked at again after
 * the commit, because NOTIFY and other modules' callbacks take one after ours.
 */
static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			fence_guard();
			test_commit("COMMIT");
			break;
		case XACT_EVENT_PRE_PREPARE:
			test_commit("PREPARE TRANSACTION");
			break;
		case XACT_EVENT_COMMIT:
			if (TransactionIdIsValid(GetTopTransactionIdIfAny()) || MyProcPort == NULL)
				fence_committed(XactLastCommitEnd);
			else
				fence_send_commit_ended();
			break;
		case XACT_EVENT_PREPARE:
			/* XactLastRecEnd is reset already; EndPrepare has flushed its record. */
			fence_committed(GetFlushRecPtr(NULL));
			break;
		case XACT_EVENT_ABORT:
			fence_send_commit_ended();
			break;
		default:
			break;
	}
}

void
fence_install_hooks(void)
{
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = fence_executor_start;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = fence_process_utility;
	RegisterXactCallback(xact_callback, NULL);
}
