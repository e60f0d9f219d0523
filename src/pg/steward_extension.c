/*
 * steward_extension.c: the extension in the databases that fawkes_ha looks after.  See
 * steward_extension.h.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "steward_extension.h"

/* Who uses the extension holds up an update; another one comes. */
#define LOCK_TIMEOUT "5s"

PGDLLEXPORT void fawkes_ha_extension_main(Datum argument);

static void
begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	/* A database's owner may have set these for it, to have a superuser do what it may not. */
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("role", "none", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("transaction_read_only", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_USERSET, PGC_S_SESSION);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* The first row's column, or NULL. */
static char *
answer(int column)
{
	return SPI_processed == 0 ? NULL
							  : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

static void
run(const char *sql, const char *argument)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(argument == NULL ? "" : argument)};
	int result =
		SPI_execute_with_args(sql, argument == NULL ? 0 : 1, types, values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
}

void
steward_keep_extension(void)
{
	const char *verb;
	char *installed;
	char *wanted;
	bool taken;

	begin();
	/* No row: it is there, or this server is too old for the version that is. */
	run("SELECT e.extversion, a.default_version, "
		"n.oid IS NOT NULL AND (NOT (SELECT rolsuper FROM pg_roles WHERE oid = n.nspowner) "
		"OR EXISTS (SELECT FROM pg_class WHERE relnamespace = n.oid) "
		"OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = n.oid) "
		"OR EXISTS (SELECT FROM pg_operator WHERE oprnamespace = n.oid) "
		"OR EXISTS (SELECT FROM pg_type WHERE typnamespace = n.oid)) "
		"FROM pg_available_extensions() a LEFT JOIN pg_extension e ON e.extname = a.name "
		"LEFT JOIN pg_namespace n ON n.nspname = 'fawkes_ha' "
		"WHERE a.name = 'fawkes_ha' AND (e.extversion IS NULL OR "
		"e.extversion <> a.default_version AND EXISTS (SELECT FROM "
		"pg_extension_update_paths('fawkes_ha') p WHERE p.source = e.extversion "
		"AND p.target = a.default_version AND p.path IS NOT NULL))",
		NULL);
	if (SPI_processed == 0)
	{
		commit();
		return;
	}
	installed = answer(1);
	wanted = answer(2);
	/* analyzer: never NULL */
	taken = answer(3)[0] == 't';
	if (installed == NULL && taken)
	{
		/* Functions in it would be found in the place of PostgreSQL's. */
		ereport(LOG, (errcode(ERRCODE_DUPLICATE_SCHEMA),
					  errmsg("extension \"fawkes_ha\" is not made in database \"%s\": schema "
							 "\"fawkes_ha\" is there, and not an empty one of a superuser",
							 get_database_name(MyDatabaseId)),
					  errhint("Drop or rename the schema, or make the extension yourself.")));
		commit();
		return;
	}
	verb = installed == NULL ? "CREATE EXTENSION fawkes_ha" : "ALTER EXTENSION fawkes_ha UPDATE";
	run(verb, NULL);
	ereport(LOG, errmsg("extension \"fawkes_ha\" is in database \"%s\" in version %s",
						get_database_name(MyDatabaseId), wanted));
	commit();
}

void
steward_send_extension(const char *database)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "fawkes_ha",
		.bgw_function_name = "fawkes_ha_extension_main",
		.bgw_name = "fawkes_ha extension",
		.bgw_type = "fawkes_ha extension",
	};
	bool there;

	begin();
	run("SELECT FROM pg_database WHERE datname = $1 AND datallowconn", database);
	there = SPI_processed > 0;
	commit();
	if (!there)
		return;
	strlcpy(worker.bgw_extra, database, sizeof(worker.bgw_extra));
	/* No free worker slot: the steward comes again. */
	(void) RegisterDynamicBackgroundWorker(&worker, NULL);
}

void
fawkes_ha_extension_main(Datum argument)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(MyBgworkerEntry->bgw_extra, NULL, 0);
	pgstat_report_activity(STATE_RUNNING, "fawkes_ha extension");
	steward_keep_extension();
	proc_exit(0);
}
