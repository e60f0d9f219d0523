/*
 * maintenance_owner.c: the owner of the application's database.  See maintenance_owner.h.
 *
 * Only the verifier of a password enters a statement: nothing that logs it learns the password.
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "libpq/crypt.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "utils/builtins.h"

#include "config/conninfo.h"
#include "pg/guc.h"
#include "pg/report.h"
#include "pg/session.h"
#include "pg/maintenance_exporter.h"
#include "pg/maintenance_given.h"
#include "pg/maintenance_owner.h"

static char *
owner_read_credential(const char *name, size_t most)
{
	FhaError err;
	char *line = maintenance_read_credential(guc_credentials_directory, name, most, &err);

	if (line == NULL)
		ereport(LOG,
				report_line("owner_left_alone",
							"the owner of fawkes_ha.database is left as it is: %s", err.text),
				errhint("fawkes_ha.credentials_directory wants the files username and password."));
	return line;
}

/* PostgreSQL's superuser and the exporter have no password, and the replication role its own. */
static bool
may_be_owner(const char *name)
{
	if (strcmp(name, "postgres") != 0 && strcmp(name, FHA_REPLICATION_USER) != 0 &&
		strcmp(name, EXPORTER_ROLE) != 0 && strncmp(name, "pg_", 3) != 0)
		return true;
	ereport(LOG,
			report_line("owner_impossible", "role \"%s\" cannot be the owner of fawkes_ha.database",
						name),
			errhint("Name another one in the file username of fawkes_ha.credentials_directory."));
	return false;
}

static void
owner_keep_password(const char *name, const char *password)
{
	const char *detail = NULL;
	const char *verb = "ALTER";
	char *stored;
	char *secret;

	/* Not get_role_password: a role that has expired would get its password again each time. */
	session_query("SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1", name);
	stored = session_answer(1);
	if (SPI_processed == 0)
		verb = "CREATE";
	else if (stored != NULL && plain_crypt_verify(name, stored, password, &detail) == STATUS_OK)
		return;
	secret = encrypt_password(PASSWORD_TYPE_SCRAM_SHA_256, name, password);
	session_order(psprintf("%s ROLE %s LOGIN PASSWORD %s", verb, quote_identifier(name),
						   quote_literal_cstr(secret)));
	ereport(LOG,
			report_line("owner_password_set",
						"role \"%s\" has the password of fawkes_ha.credentials_directory", name));
}

/* Its own owner already, the name of whom to make it, or nothing there yet. */
static void
keep_database(const char *owner)
{
	char *current;

	session_query(
		"SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = $1",
		guc_database);
	current = session_answer(1);
	if (current == NULL)
	{
		/* Not through SPI, which refuses what cannot be in a transaction block.  There is none. */
		CreatedbStmt *statement = makeNode(CreatedbStmt);

		statement->dbname = guc_database;
		statement->options =
			list_make1(makeDefElem("owner", (Node *) makeString(pstrdup(owner)), -1));
		createdb(make_parsestate(NULL), statement);
		ereport(LOG, report_line("database_made", "database \"%s\" is made for role \"%s\"",
								 guc_database, owner));
	}
	else if (strcmp(current, owner) != 0)
	{
		session_order(psprintf("ALTER DATABASE %s OWNER TO %s", quote_identifier(guc_database),
							   quote_identifier(owner)));
		ereport(LOG, report_line("database_given", "database \"%s\" belongs to role \"%s\"",
								 guc_database, owner));
	}
}

void
maintenance_keep_owner(void)
{
	char *name;
	char *password;

	if (guc_credentials_directory[0] == '\0')
		return;
	name = owner_read_credential("username", NAMEDATALEN - 1);
	password = name == NULL ? NULL : owner_read_credential("password", FHA_PASSWORD_SIZE - 1);
	if (password == NULL || !may_be_owner(name))
		return;
	session_begin();
	owner_keep_password(name, password);
	explicit_bzero(password, strlen(password));
	session_commit();
	if (guc_database[0] == '\0')
		return;
	session_begin();
	keep_database(name);
	session_commit();
}
