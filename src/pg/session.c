/*
 * session.c: the one door by which a worker of ours comes into a database.  See session.h.
 *
 * An operator or function in a schema that stands on the path is taken in place of PostgreSQL's
 * whenever its types fit better, and then runs as a superuser.  So the path is ours, whatever the
 * database's owner set.  Login event triggers (17) are fired for clients alone; the others are
 * superusers' own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/wait_event.h"

#include "pg/compat.h"
#include "pg/report.h"
#include "pg/session.h"

static volatile sig_atomic_t is_late = false;
static uint32 late_for; /* what it waited for at its deadline */

/* --- the end of one that hangs */

static void
end_late(void)
{
	is_late = true;
	late_for = *my_wait_event_info;
	die(SIGTERM);
}

static void
tell_late(int code, Datum limit_ms)
{
	const char *type = pgstat_get_wait_event_type(late_for);
	const char *event = pgstat_get_wait_event(late_for);

	if (is_late)
		ereport(LOG,
				report_line("worker_too_slow", "%s was ended: it was not done in %d ms%s%s%s%s",
							MyBgworkerEntry->bgw_name, DatumGetInt32(limit_ms),
							type == NULL ? "" : ", and waited for ", type == NULL ? "" : type,
							type == NULL ? "" : " ", type == NULL || event == NULL ? "" : event));
}

static void
set_deadline(int limit_ms)
{
	if (limit_ms == 0)
		return;
	before_shmem_exit(tell_late, Int32GetDatum(limit_ms));
	enable_timeout_after(RegisterTimeout(USER_TIMEOUT, end_late), limit_ms);
}

/* --- settings */

/* An override replaces reset_val too, by which who shows settings tells the server's from ours. */
static GucSource source = PGC_S_OVERRIDE;

static void
session_set(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, source, GUC_ACTION_SET, true, WARNING, false);
}

/* PostgreSQL's own value of a setting, as text; NULL: it has none. */
static const char *
initial_value(struct config_generic *variable)
{
	switch (variable->vartype)
	{
		case PGC_BOOL:
			return ((struct config_bool *) variable)->boot_val ? "on" : "off";
		case PGC_INT:
			return psprintf("%d", ((struct config_int *) variable)->boot_val);
		case PGC_REAL:
			return psprintf("%.17g", ((struct config_real *) variable)->boot_val);
		case PGC_STRING:
			return ((struct config_string *) variable)->boot_val;
		case PGC_ENUM:
			return config_enum_lookup_by_value((struct config_enum *) variable,
											   ((struct config_enum *) variable)->boot_val);
	}
	return NULL;
}

/*
 * What ALTER DATABASE or ALTER ROLE set is undone, whatever it is: a database's owner would weaken
 * the verifiers that are made in it, or have each transaction time out.
 */
static void
forget_settings(void)
{
	int count;
	struct config_generic **variables = compat_guc_variables(&count);

	for (int i = 0; i < count; i++)
	{
		const char *value;

		if (variables[i]->source < PGC_S_GLOBAL || variables[i]->source > PGC_S_DATABASE_USER ||
			variables[i]->context < PGC_SUSET)
			continue;
		value = initial_value(variables[i]);
		if (value != NULL)
			session_set(variables[i]->name, value);
	}
}

static void
state_settings(const SessionTerms *terms)
{
	forget_settings();
	/* These count whoever set them, in the server's configuration too. */
	session_set("search_path", "pg_catalog, pg_temp");
	session_set("role", "none");
	session_set("session_replication_role", "origin");
	session_set("row_security", "on");
	session_set("standard_conforming_strings", "on");
	session_set("default_transaction_read_only", terms->read_only ? "on" : "off");
	session_set("default_transaction_isolation", "read committed");
	session_set("default_transaction_deferrable", "off");
	/* Standbys need what is made here before they can stream, and so confirm anything. */
	session_set("synchronous_commit", "local");
	session_set("statement_timeout", "0");
	session_set("lock_timeout", terms->lock_timeout);
	session_set("idle_in_transaction_session_timeout", "0");
	session_set("idle_session_timeout", "0");
	compat_no_transaction_timeout(session_set);
}

void
session_open(const SessionTerms *terms)
{
	set_deadline(terms->limit_ms);
	BackgroundWorkerInitializeConnection(terms->database, terms->role,
										 terms->role == NULL ? BGWORKER_BYPASS_ALLOWCONN : 0);
	if (terms->read_only)
		source = PGC_S_SESSION;
	state_settings(terms);
}

/* --- transactions */

void
session_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
session_commit(void)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

void
session_order(const char *sql)
{
	int result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

void
session_query(const char *sql, const char *argument)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(argument == NULL ? "" : argument)};
	int result =
		SPI_execute_with_args(sql, argument == NULL ? 0 : 1, types, values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
}

char *
session_answer(int column)
{
	return SPI_processed == 0 ? NULL
							  : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

bool
session_holds(int column)
{
	const char *answer = session_answer(column);

	return answer != NULL && answer[0] == 't';
}

bool
session_try(void (*chore)(void))
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		chore();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		FlushErrorState();
		MemoryContextSwitchTo(context);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return done;
}
