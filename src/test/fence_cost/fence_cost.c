/*
 * fence_cost.c: a stopwatch around the fence, in a real server under a real load.
 *
 * The fence stands in four places: statement start (two hooks), transaction callbacks,
 * and what is sent to the client.  At each of them this library stands twice, between
 * PostgreSQL and the fence (outer) and between the fence and PostgreSQL (inner); the watch
 * runs from the one to the other and stops while PostgreSQL's own code runs.  Each start of
 * the watch is a lap.  A server without the fence has the same laps with nothing in them:
 * they say what a lap itself costs, and the benchmark subtracts it.
 *
 * Preload it before fawkes_ha: hooks and callbacks set now are the inner ones.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "access/xact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "libpq/auth.h"
#include "libpq/libpq.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "replication/walsender.h"
#include "tcop/utility.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

#define BUCKETS 65536 /* of 1 ns; the last one takes all that is longer */

/* All replies of one kind; test/bench_fence.py knows this layout. */
typedef struct Replies
{
	pg_atomic_uint64 count;
	pg_atomic_uint64 laps;
	pg_atomic_uint64 by_ns[BUCKETS];
} Replies;

/* Replies that acknowledged a commit with a transaction id, and all others. */
enum
{
	REPLY_COMMIT,
	REPLY_OTHER,
	REPLY_KINDS
};

static Replies *replies; /* the file "fence_cost" in the data directory */

static bool runs = false; /* the watch */
static int64 since_at_ns;
static int64 spent_ns = 0; /* since the last reply */
static uint64 laps = 0;
static bool committed = false;
static bool reply_ends = false; /* ReadyForQuery was put */

static ClientAuthentication_hook_type previous_authentication = NULL;
static ExecutorStart_hook_type below_executor_start = NULL;
static ExecutorStart_hook_type above_executor_start = NULL;
static ProcessUtility_hook_type below_process_utility = NULL;
static ProcessUtility_hook_type above_process_utility = NULL;
static const PQcommMethods *below_comm;
static const PQcommMethods *above_comm = NULL;

static int64
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Let it run, or not; whether it ran before. */
static bool
set_watch(bool run)
{
	bool ran = runs;
	int64 now;

	if (run == ran)
		return ran;
	now = now_ns();
	if (run)
	{
		laps++;
		since_at_ns = now;
	}
	else
		spent_ns += now - since_at_ns;
	runs = run;
	return ran;
}

static void
note_reply(void)
{
	Replies *kind = &replies[committed ? REPLY_COMMIT : REPLY_OTHER];

	pg_atomic_fetch_add_u64(&kind->count, 1);
	pg_atomic_fetch_add_u64(&kind->laps, laps);
	pg_atomic_fetch_add_u64(&kind->by_ns[Min(spent_ns, BUCKETS - 1)], 1);
	spent_ns = 0;
	laps = 0;
	committed = false;
	reply_ends = false;
}

static void
inner_executor_start(QueryDesc *query, int flags)
{
	bool ran = set_watch(false);

	if (below_executor_start)
		below_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	set_watch(ran);
}

static void
outer_executor_start(QueryDesc *query, int flags)
{
	bool ran = set_watch(true);

	above_executor_start(query, flags);
	set_watch(ran);
}

static void
inner_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *dest,
					  QueryCompletion *completion)
{
	ProcessUtility_hook_type next =
		below_process_utility ? below_process_utility : standard_ProcessUtility;
	bool ran = set_watch(false);

	next(statement, text, read_only_tree, context, params, environment, dest, completion);
	set_watch(ran);
}

static void
outer_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *dest,
					  QueryCompletion *completion)
{
	bool ran = set_watch(true);

	above_process_utility(statement, text, read_only_tree, context, params, environment, dest,
						  completion);
	set_watch(ran);
}

static int
inner_flush(void)
{
	bool ran = set_watch(false);
	int result = below_comm->flush();

	set_watch(ran);
	return result;
}

static int
inner_flush_if_writable(void)
{
	bool ran = set_watch(false);
	int result = below_comm->flush_if_writable();

	set_watch(ran);
	return result;
}

static int
inner_putmessage(char type, const char *body, size_t size)
{
	bool ran = set_watch(false);
	int result = below_comm->putmessage(type, body, size);

	set_watch(ran);
	return result;
}

static void
inner_putmessage_noblock(char type, const char *body, size_t size)
{
	bool ran = set_watch(false);

	below_comm->putmessage_noblock(type, body, size);
	set_watch(ran);
}

static int
outer_flush(void)
{
	bool ran = set_watch(true);
	int result = above_comm->flush();

	set_watch(ran);
	if (reply_ends)
		note_reply();
	return result;
}

static int
outer_flush_if_writable(void)
{
	bool ran = set_watch(true);
	int result = above_comm->flush_if_writable();

	set_watch(ran);
	return result;
}

static int
outer_putmessage(char type, const char *body, size_t size)
{
	bool ran = set_watch(true);
	int result = above_comm->putmessage(type, body, size);

	set_watch(ran);
	if (type == 'Z')
		reply_ends = true;
	return result;
}

static void
outer_putmessage_noblock(char type, const char *body, size_t size)
{
	bool ran = set_watch(true);

	above_comm->putmessage_noblock(type, body, size);
	set_watch(ran);
}

/* Callbacks run in the reverse order of their registration. */
static void
outer_xact_callback(XactEvent event, void *argument)
{
	set_watch(true);
}

static void
install_outer(void)
{
	static PQcommMethods ours;

	above_comm = PqCommMethods;
	ours = *above_comm;
	ours.flush = outer_flush;
	ours.flush_if_writable = outer_flush_if_writable;
	ours.putmessage = outer_putmessage;
	ours.putmessage_noblock = outer_putmessage_noblock;
	PqCommMethods = &ours;
	above_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = outer_executor_start;
	above_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = outer_process_utility;
	RegisterXactCallback(outer_xact_callback, NULL);
}

/* The first one in a client's backend comes after its authentication, when the fence has wrapped. */
static void
inner_xact_callback(XactEvent event, void *argument)
{
	if (below_comm == NULL)
		return;
	set_watch(false);
	if (above_comm == NULL)
		install_outer();
	if (event == XACT_EVENT_COMMIT && TransactionIdIsValid(GetTopTransactionIdIfAny()))
		committed = true;
}

/* The fence's own hook calls this one first, then wraps what it finds. */
static void
authentication(Port *port, int status)
{
	static PQcommMethods ours;

	if (previous_authentication)
		previous_authentication(port, status);
	if (status != STATUS_OK || am_walsender)
		return;
	below_comm = PqCommMethods;
	ours = *below_comm;
	ours.flush = inner_flush;
	ours.flush_if_writable = inner_flush_if_writable;
	ours.putmessage = inner_putmessage;
	ours.putmessage_noblock = inner_putmessage_noblock;
	PqCommMethods = &ours;
}

void
_PG_init(void)
{
	int fd;

	if (!process_shared_preload_libraries_in_progress)
		return;
	fd = open("fence_cost", O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0 || ftruncate(fd, REPLY_KINDS * sizeof(Replies)) != 0)
		ereport(FATAL, (errmsg("could not make the benchmark's file \"fence_cost\": %m")));
	replies = mmap(NULL, REPLY_KINDS * sizeof(Replies), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (replies == MAP_FAILED)
		ereport(FATAL, (errmsg("could not map the benchmark's file: %m")));
	close(fd);

	previous_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = authentication;
	below_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = inner_executor_start;
	below_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = inner_process_utility;
	RegisterXactCallback(inner_xact_callback, NULL);
}
