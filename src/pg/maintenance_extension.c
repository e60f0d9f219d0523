/*
 * maintenance_extension.c: the extension in the databases that fawkes_ha looks after.  See
 * maintenance_extension.h.
 */
#include "postgres.h"

#include <signal.h>

#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"

#include "pg/chores.h"
#include "pg/report.h"
#include "pg/session.h"
#include "pg/maintenance_extension.h"

PGDLLEXPORT void fawkes_ha_extension_main(Datum argument);

void
maintenance_keep_extension(void)
{
	const char *verb;
	char *installed;
	char *wanted;
	bool taken;

	session_begin();
	/* No row: it is there, or this server is too old for the version that is. */
	session_query(
		"SELECT e.extversion, a.default_version, "
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
		session_commit();
		return;
	}
	installed = session_answer(1);
	wanted = session_answer(2);
	taken = session_holds(3);
	if (installed == NULL && taken)
	{
		/* Functions in it would be found in the place of PostgreSQL's. */
		ereport(LOG, (errcode(ERRCODE_DUPLICATE_SCHEMA),
					  report_line("extension_not_made",
								  "extension \"fawkes_ha\" is not made in database \"%s\": schema "
								  "\"fawkes_ha\" is there, and not an empty one of a superuser",
								  get_database_name(MyDatabaseId)),
					  errhint("Drop or rename the schema.")));
		session_commit();
		return;
	}
	verb = installed == NULL ? "CREATE EXTENSION fawkes_ha" : "ALTER EXTENSION fawkes_ha UPDATE";
	session_order(verb);
	ereport(LOG, report_line("extension_made",
							 "extension \"fawkes_ha\" is in database \"%s\" in version %s",
							 get_database_name(MyDatabaseId), wanted));
	session_commit();
}

void
maintenance_send_extension(const char *database)
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

	session_begin();
	session_query("SELECT FROM pg_database WHERE datname = $1 AND datallowconn", database);
	there = SPI_processed > 0;
	session_commit();
	if (!there)
		return;
	strlcpy(worker.bgw_extra, database, sizeof(worker.bgw_extra));
	/* No free worker slot: the maintenance worker comes again. */
	(void) RegisterDynamicBackgroundWorker(&worker, NULL);
}

void
fawkes_ha_extension_main(Datum argument)
{
	/* Who uses the extension holds up an update; another one comes. */
	SessionTerms terms = {
		.database = MyBgworkerEntry->bgw_extra, .lock_timeout = "5s", .limit_ms = CHORES_MS};

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	session_open(&terms);
	pgstat_report_activity(STATE_RUNNING, "fawkes_ha extension");
	maintenance_keep_extension();
	proc_exit(0);
}
