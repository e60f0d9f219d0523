/*
 * maintenance_role.c: the role that other members connect as.  See maintenance_role.h.
 *
 * Only the verifier of the password enters a statement: nothing that logs it learns the password.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "libpq/crypt.h"
#include "utils/builtins.h"

#include "config/conninfo.h"
#include "config/pgpass.h"
#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/report.h"
#include "pg/session.h"
#include "pg/maintenance_role.h"

#define ROLE FHA_REPLICATION_USER
#define ATTRIBUTES                                                                          \
	"LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS INHERIT CONNECTION " \
	"LIMIT -1 VALID UNTIL 'infinity'"
/* What pg_rewind's documentation asks for; and that a base backup of a standby has its last segment archived soon.  No more. */
#define FUNCTIONS                                                                            \
	"pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean), " \
	"pg_catalog.pg_read_binary_file(text), "                                                 \
	"pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean), "                        \
	"pg_catalog.pg_switch_wal()"

/* NULL, and it was logged, when pgpass has none. */
static char *
read_password(void)
{
	FhaConfig config;
	FhaError err;
	char *password = palloc0(FHA_PGPASS_SIZE);

	guc_config(&config);
	if (fha_password_read(&config, password, FHA_PGPASS_SIZE, &err) == FHA_OK)
		return password;
	ereport(LOG, report_line("replication_password_not_set",
							 "the password of role \"%s\" cannot be set: %s", ROLE, err.text));
	return NULL;
}

/* pg_hba.conf wants SCRAM: another verifier of the same password lets nobody in. */
static bool
password_fits(const char *stored, const char *password)
{
	const char *detail = NULL;

	return stored != NULL && get_password_type(stored) == PASSWORD_TYPE_SCRAM_SHA_256 &&
		   plain_crypt_verify(ROLE, stored, password, &detail) == STATUS_OK;
}

void
maintenance_keep_role(void)
{
	char *password = read_password();
	char *secret = "";
	bool there;
	bool right;

	session_begin();
	/* Not get_role_password: a role that has expired would get its password again each time. */
	session_query("SELECT rolpassword, rolcanlogin AND rolreplication AND rolinherit "
				  "AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls) "
				  "AND rolconnlimit = -1 AND coalesce(rolvaliduntil, 'infinity') = 'infinity' "
				  "FROM pg_authid WHERE rolname = $1",
				  ROLE);
	there = SPI_processed > 0;
	right = session_holds(2);
	if (password != NULL && !password_fits(session_answer(1), password))
	{
		secret = encrypt_password(PASSWORD_TYPE_SCRAM_SHA_256, ROLE, password);
		secret = psprintf(" PASSWORD %s", quote_literal_cstr(secret));
		right = false;
	}
	if (password != NULL)
		explicit_bzero(password, strlen(password));
	if (!right && (there || secret[0] != '\0'))
	{
		session_order(
			psprintf("%s ROLE " ROLE " " ATTRIBUTES "%s", there ? "ALTER" : "CREATE", secret));
		ereport(LOG, report_line("replication_role_ready", "role \"%s\" is ready", ROLE));
	}
	else if (!there)
		ereport(ERROR, errmsg("role \"%s\" cannot be made without its password", ROLE));
	session_commit();
}

/* Each row of `query` is a statement, to be carried out, and said. */
static void
put_right(const char *query)
{
	uint64 count;
	SPITupleTable *found;

	session_query(query, ROLE);
	count = SPI_processed;
	found = SPI_tuptable;
	for (uint64 i = 0; i < count; i++)
	{
		char *statement = SPI_getvalue(found->vals[i], found->tupdesc, 1);

		session_order(statement);
		ereport(LOG, report_line("replication_role_mended", "role \"%s\" is put right: %s", ROLE,
								 statement));
	}
}

void
maintenance_keep_role_rights(void)
{
	session_begin();
	/* They would count for pg_rewind's session. */
	put_right("SELECT 'ALTER ROLE " ROLE
			  "' || coalesce(' IN DATABASE ' || quote_ident(datname), '') || "
			  "' RESET ALL' FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole "
			  "LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE rolname = $1");
	/* Members of it would read all files of the server. */
	put_right("SELECT format('REVOKE %I FROM %I%s CASCADE', g.rolname, m.rolname, "
			  "coalesce(' GRANTED BY ' || quote_ident(b.rolname), '')) "
			  "FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid "
			  "JOIN pg_roles m ON m.oid = a.member LEFT JOIN pg_roles b ON b.oid = a.grantor "
			  "WHERE g.rolname = $1 OR m.rolname = $1 AND g.rolname <> '" COMPAT_RESERVED_ROLE "'");
	put_right("SELECT format('GRANT CONNECT ON DATABASE %I TO " ROLE "', current_database()) "
			  "WHERE NOT has_database_privilege($1, current_database(), 'CONNECT')");
	put_right("SELECT 'GRANT EXECUTE ON FUNCTION " FUNCTIONS " TO " ROLE "' "
			  "WHERE EXISTS (SELECT FROM unnest(ARRAY['pg_ls_dir(text, boolean, boolean)', "
			  "'pg_stat_file(text, boolean)', 'pg_read_binary_file(text)', "
			  "'pg_read_binary_file(text, bigint, bigint, boolean)', 'pg_switch_wal()']) f "
			  "WHERE NOT has_function_privilege($1, f, 'EXECUTE'))");
	if (COMPAT_RESERVED_ROLE[0] != '\0')
		put_right("SELECT 'GRANT " COMPAT_RESERVED_ROLE " TO " ROLE "' "
				  "WHERE NOT pg_has_role($1, '" COMPAT_RESERVED_ROLE "', 'USAGE')");
	session_commit();
}
