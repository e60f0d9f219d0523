/*
 * readonly_role.c: making a role that may read, and nothing else.  See readonly.h.
 *
 * pg_read_all_data alone reads what any owner will create later; ALTER DEFAULT PRIVILEGES knows
 * only owners that are named.  It counts in every database, so a database takes the role only if
 * it was granted CONNECT by name.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/crypt.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/readonly.h"
#include "pg/report.h"
#include "pg/shmem.h"
#include "pg/sql.h"
#include "record/snapshot.h"

PG_FUNCTION_INFO_V1(fawkes_ha_setup_readonly_role);

/* What a role of ours is: besides LOGIN nothing, and no rights but to read. */
#define ATTRIBUTES "LOGIN INHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"

/*
 * What it may use of a server at most, unless it was given other bounds.  A standby whose disk is
 * full ends, so temporary files are the bound that counts: connections times temp_file_limit, which
 * a role cannot raise for itself.  No statement_timeout: reports take hours.
 */
#define CONNECTIONS_MAX 20
static const struct
{
	const char *name;
	const char *value;
} limits[] = {
	{"temp_file_limit", "1GB"},
	{"idle_in_transaction_session_timeout", "10min"},
};

static void
role_query(const char *sql, const char *argument)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(argument)};
	int result = SPI_execute_with_args(sql, 1, types, values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
}

static void
role_order(const char *sql)
{
	int result = SPI_execute(sql, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
}

/* The first column of a row of the last query; NULL: no such row, or NULL. */
static char *
role_answer(uint64 row)
{
	return SPI_processed <= row ? NULL
								: SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
}

static bool
role_is_true(const char *sql, const char *argument)
{
	char *value;

	role_query(sql, argument);
	value = role_answer(0);
	return value != NULL && strcmp(value, "t") == 0;
}

static bool
keep_limits(const char *role)
{
	const char *quoted = quote_identifier(role);
	bool changed = false;

	if (role_is_true("SELECT rolconnlimit = -1 FROM pg_catalog.pg_roles WHERE rolname = $1", role))
	{
		role_order(psprintf("ALTER ROLE %s CONNECTION LIMIT %d", quoted, CONNECTIONS_MAX));
		changed = true;
	}
	for (int i = 0; i < lengthof(limits); i++)
	{
		if (role_is_true(
				psprintf("SELECT true FROM pg_catalog.pg_roles r, pg_catalog.unnest(rolconfig) "
						 "c WHERE rolname = $1 AND pg_catalog.starts_with(c, '%s=')",
						 limits[i].name),
				role))
			continue;
		role_order(
			psprintf("ALTER ROLE %s SET %s = '%s'", quoted, limits[i].name, limits[i].value));
		changed = true;
	}
	return changed;
}

/* Those that an earlier version made have none. */
static void
keep_all_limits(void)
{
	char **roles;
	int count;

	role_query(
		"SELECT r.rolname FROM pg_catalog.pg_roles r WHERE NOT r.rolsuper AND "
		"r.rolconfig OPERATOR(pg_catalog.@>) '{default_transaction_read_only=on}' AND "
		"(SELECT pg_catalog.count(DISTINCT g.rolname) FROM pg_catalog.pg_auth_members m JOIN "
		"pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid AND "
		"g.rolname IN ($1, 'pg_read_all_data')) = 2",
		READONLY_GROUP);
	count = (int) SPI_processed;
	roles = palloc(sizeof(char *) * (count + 1));
	for (int i = 0; i < count; i++)
		roles[i] = role_answer(i);
	for (int i = 0; i < count; i++)
		if (keep_limits(roles[i]))
			ereport(LOG,
					report_line("readonly_role_limited",
								"role \"%s\", which may only read, has limits now", roles[i]),
					errhint("ALTER ROLE sets others: CONNECTION LIMIT, temp_file_limit, "
							"idle_in_transaction_session_timeout."));
}

void
readonly_keep_group(void)
{
	if (OidIsValid(get_role_oid(READONLY_GROUP, true)))
	{
		keep_all_limits();
		return;
	}
	role_order("CREATE ROLE " READONLY_GROUP " NOLOGIN");
	role_order(
		"COMMENT ON ROLE " READONLY_GROUP
		" IS 'its members may only read, from standbys; see fawkes_ha.setup_readonly_role()'");
	ereport(LOG, report_line("readonly_group_made", "role \"%s\" is made", READONLY_GROUP));
}

/* A role that somebody has made for something else keeps what it has. */
static void
refuse_foreign(const char *role)
{
	if (strlen(role) == 0 || strlen(role) >= NAMEDATALEN || strncmp(role, "pg_", 3) == 0 ||
		strncmp(role, "fawkes_", 7) == 0 || strcmp(role, "public") == 0 ||
		strcmp(role, "none") == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"%s\" cannot be a role that may only read", role),
						errhint("Take another name, of at most %d bytes.", NAMEDATALEN - 1)));
	if (role_is_true(
			"SELECT rolsuper OR NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m JOIN "
			"pg_catalog.pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid AND g.rolname = "
			"'" READONLY_GROUP "') FROM pg_catalog.pg_roles r WHERE rolname = $1",
			role))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("role \"%s\" exists and is not a member of %s", role, READONLY_GROUP),
				 errhint("Take another name.  To have an existing role read and do nothing else, "
						 "GRANT %s TO it, and CONNECT ON DATABASE by name.",
						 READONLY_GROUP)));
}

static bool
keep_attributes(const char *role)
{
	const char *quoted = quote_identifier(role);

	if (!role_is_true("SELECT true FROM pg_catalog.pg_roles WHERE rolname = $1", role))
		role_order(psprintf("CREATE ROLE %s " ATTRIBUTES, quoted));
	else if (role_is_true("SELECT rolcanlogin AND rolinherit AND NOT (rolsuper OR rolcreatedb OR "
						  "rolcreaterole OR rolreplication OR rolbypassrls) AND coalesce("
						  "rolconfig @> '{default_transaction_read_only=on}', false) "
						  "FROM pg_catalog.pg_roles WHERE rolname = $1",
						  role))
		return false;
	else
		role_order(psprintf("ALTER ROLE %s " ATTRIBUTES, quoted));
	/* So that libpq and drivers know it, who ask for target_session_attrs=read-only. */
	role_order(psprintf("ALTER ROLE %s SET default_transaction_read_only = on", quoted));
	return true;
}

static bool
keep_membership(const char *role, const char *group)
{
	if (role_is_true(
			psprintf("SELECT true FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r "
					 "ON r.oid = m.member JOIN pg_catalog.pg_roles g ON g.oid = m.roleid "
					 "WHERE r.rolname = $1 AND g.rolname = '%s' LIMIT 1",
					 group),
			role))
		return false;
	role_order(psprintf("GRANT %s TO %s", group, quote_identifier(role)));
	return true;
}

static bool
role_is_among(const char *name, char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static bool
keep_databases(const char *role, char **databases, int count, bool exactly)
{
	bool changed = false;
	char **granted;
	int granted_count;

	role_query("SELECT d.datname FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a, "
			   "pg_catalog.pg_roles r WHERE r.rolname = $1 AND a.grantee = r.oid AND "
			   "a.privilege_type = 'CONNECT'",
			   role);
	granted_count = (int) SPI_processed;
	granted = palloc(sizeof(char *) * (granted_count + 1));
	for (int i = 0; i < granted_count; i++)
		granted[i] = role_answer(i);
	for (int i = 0; i < count; i++)
	{
		if (role_is_among(databases[i], granted, granted_count))
			continue;
		role_order(psprintf("GRANT CONNECT ON DATABASE %s TO %s", quote_identifier(databases[i]),
							quote_identifier(role)));
		changed = true;
	}
	for (int i = 0; i < granted_count && exactly; i++)
	{
		if (role_is_among(granted[i], databases, count))
			continue;
		role_order(psprintf("REVOKE CONNECT ON DATABASE %s FROM %s", quote_identifier(granted[i]),
							quote_identifier(role)));
		changed = true;
	}
	return changed;
}

bool
readonly_keep_role(const char *role, char **databases, int count, bool exactly,
				   const char *verifier)
{
	bool changed;

	readonly_keep_group();
	refuse_foreign(role);
	changed = keep_attributes(role);
	/* The group first: there is no moment in which it reads and is not held to it. */
	changed |= keep_membership(role, READONLY_GROUP);
	changed |= keep_membership(role, "pg_read_all_data");
	changed |= keep_limits(role);
	changed |= keep_databases(role, databases, count, exactly);
	if (verifier == NULL)
		return changed;
	role_order(psprintf("ALTER ROLE %s PASSWORD %s", quote_identifier(role),
						quote_literal_cstr(verifier)));
	return true;
}

/* --- SQL */

static void
refuse_standby(void)
{
	uint64 count;
	FhaSnapshot *snapshot = sql_snapshot(&count);
	const char *address = "";

	for (size_t i = 0; snapshot != NULL && snapshot->known && i < snapshot->member_count; i++)
		if (strcmp(snapshot->members[i].member, snapshot->cluster.holder) == 0)
			address = snapshot->members[i].address;
	ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
					errmsg("cannot set up a role on a standby"),
					address[0] == '\0' ? errhint("Call the function on the primary.")
									   : errhint("Call the function on the primary, %s, at %s.",
												 snapshot->cluster.holder, address)));
}

static void
refuse_argument(const char *problem, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", problem),
					hint == NULL ? 0 : errhint("%s", hint)));
}

/* palloc'ed names of databases that are there; NULL is the current one. */
static char **
take_databases(ArrayType *given, int *count)
{
	Datum *values;
	bool *nulls;
	char **names;

	if (given == NULL)
	{
		names = palloc(sizeof(char *));
		names[0] = get_database_name(MyDatabaseId);
		*count = 1;
		return names;
	}
	deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, count);
	if (*count == 0)
		refuse_argument("no database is named", "Leave the argument out for the current one.");
	names = palloc(sizeof(char *) * *count);
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			refuse_argument("the name of a database is NULL", NULL);
		names[i] = TextDatumGetCString(values[i]);
		(void) get_database_oid(names[i], false);
	}
	return names;
}

/* The statement has a password in it then: it must not follow the error into the log. */
static void
refuse_plaintext(const char *role)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the verifier for role \"%s\" is not one of SCRAM-SHA-256", role),
			 errdetail("A password in a statement would end up in logs and views."),
			 errhint("Leave it out, and set the password with psql's \\password, which makes a "
					 "verifier of it, as libpq's PQencryptPasswordConn() does."),
			 errhidestmt(true), errhidecontext(true)));
}

static char *
role_say(const char *role, char **databases, int count)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "role \"%s\" may read", role);
	for (int i = 0; i < count; i++)
		appendStringInfo(&text, "%s %s", i == 0 ? "" : ",", databases[i]);
	if (role_is_true("SELECT rolpassword IS NULL FROM pg_catalog.pg_authid WHERE rolname = $1",
					 role))
		appendStringInfoString(&text, "; it has no password yet: psql's \\password sets one");
	return text.data;
}

/* (role, databases, verifier) */
Datum
fawkes_ha_setup_readonly_role(PG_FUNCTION_ARGS)
{
	char *role = PG_ARGISNULL(0) ? pstrdup("") : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *verifier = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	MemoryContext caller = CurrentMemoryContext;
	char **databases;
	int count;
	char *said;
	Oid user;
	int user_context;

	if (verifier != NULL && get_password_type(verifier) != PASSWORD_TYPE_SCRAM_SHA_256)
		refuse_plaintext(role);
	if (fawkes_shared == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("this server is not a member of a cluster"),
						errdetail("Only a member holds such a role to what it may do."),
						errhint("Set fawkes_ha.cluster_name and add fawkes_ha to "
								"shared_preload_libraries.")));
	if (RecoveryInProgress())
		refuse_standby();
	databases = take_databases(PG_ARGISNULL(1) ? NULL : PG_GETARG_ARRAYTYPE_P(1), &count);

	/* Whoever may call this may have this done, and nothing else. */
	GetUserIdAndSecContext(&user, &user_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, user_context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	(void) readonly_keep_role(role, databases, count, true, verifier);
	said = MemoryContextStrdup(caller, role_say(role, databases, count));
	SPI_finish();
	SetUserIdAndSecContext(user, user_context);
	PG_RETURN_TEXT_P(cstring_to_text(said));
}
