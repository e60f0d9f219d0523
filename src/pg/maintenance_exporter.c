/*
 * maintenance_exporter.c: the role that metrics are read as.  See maintenance_exporter.h.
 *
 * PostgreSQL 15 starts no background worker as a role that may not log in.  So it may, and who
 * comes over a connection is refused: whatever pg_hba.conf says, and whatever password it got.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "libpq/auth.h"
#include "libpq/libpq-be.h"

#include "pg/report.h"
#include "pg/session.h"
#include "pg/maintenance_exporter.h"

static ClientAuthentication_hook_type previous_client_authentication = NULL;

static void
exporter_authentication(Port *port, int status)
{
	if (previous_client_authentication)
		previous_client_authentication(port, status);
	if (status == STATUS_OK && strcmp(port->user_name, EXPORTER_ROLE) == 0)
		ereport(FATAL, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
						errmsg("role \"" EXPORTER_ROLE "\" is for background workers alone"),
						errhint("Log in as another member of pg_monitor.")));
}

void
maintenance_exporter_install_hooks(void)
{
	previous_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = exporter_authentication;
}

void
maintenance_keep_exporter(void)
{
	bool there;
	bool as_it_should_be;

	session_begin();
	session_query("SELECT rolcanlogin AND rolinherit AND NOT rolsuper AND NOT rolcreatedb "
				  "AND NOT rolcreaterole AND NOT rolreplication AND NOT rolbypassrls "
				  "AND rolconnlimit = -1 AND rolpassword IS NULL "
				  "AND pg_catalog.pg_has_role(oid, 'pg_monitor', 'USAGE') "
				  "FROM pg_catalog.pg_authid WHERE rolname = $1",
				  EXPORTER_ROLE);
	there = SPI_processed > 0;
	as_it_should_be = session_holds(1);
	if (!as_it_should_be)
	{
		session_order(
			psprintf("%s ROLE " EXPORTER_ROLE " LOGIN INHERIT NOSUPERUSER NOCREATEDB "
					 "NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT -1 PASSWORD NULL",
					 there ? "ALTER" : "CREATE"));
		session_order("GRANT pg_monitor TO " EXPORTER_ROLE);
		ereport(LOG, report_line("exporter_role_ready", "role \"%s\" is ready", EXPORTER_ROLE));
	}
	session_commit();
}
