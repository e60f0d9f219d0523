/*
 * maintenance_readonly.c: the reporting tools' role.  See maintenance_readonly.h.
 *
 * Only the verifier of a password enters a statement: nothing that logs it learns the password.
 */
#include "postgres.h"

#include <unistd.h>

#include "commands/dbcommands.h"
#include "libpq/crypt.h"
#include "miscadmin.h"

#include "node/state.h"
#include "pg/guc.h"
#include "pg/readonly.h"
#include "pg/report.h"
#include "pg/session.h"
#include "pg/maintenance_given.h"
#include "pg/maintenance_readonly.h"

/* A Secret that is optional and is not there is mounted as an empty directory. */
static bool
is_given(void)
{
	char path[FHA_PATH_SIZE + 16];

	if (guc_readonly_credentials_directory[0] == '\0')
		return false;
	snprintf(path, sizeof(path), "%s/username", guc_readonly_credentials_directory);
	return access(path, F_OK) == 0;
}

/* NULL: the role has this password already. */
static char *
make_verifier(const char *role, const char *password)
{
	const char *detail = NULL;
	char *stored;

	/* Not get_role_password: a role that has expired would get its password again each time. */
	session_query("SELECT rolpassword FROM pg_authid WHERE rolname = $1", role);
	stored = session_answer(1);
	if (stored != NULL && plain_crypt_verify(role, stored, password, &detail) == STATUS_OK)
		return NULL;
	return encrypt_password(PASSWORD_TYPE_SCRAM_SHA_256, role, password);
}

static char *
readonly_read_credential(const char *name, size_t most)
{
	FhaError err;
	char *line = maintenance_read_credential(guc_readonly_credentials_directory, name, most, &err);

	if (line == NULL)
		ereport(LOG,
				report_line("reader_left_alone", "the role that may only read is left as it is: %s",
							err.text),
				errhint("fawkes_ha.readonly_credentials_directory wants the files username and "
						"password."));
	return line;
}

static void
keep_given(void)
{
	char *name = readonly_read_credential("username", NAMEDATALEN - 1);
	char *password =
		name == NULL ? NULL : readonly_read_credential("password", FHA_PASSWORD_SIZE - 1);

	if (password == NULL)
		return;
	if (guc_database[0] == '\0' || !OidIsValid(get_database_oid(guc_database, true)))
		ereport(LOG,
				report_line("reader_without_database",
							"role \"%s\", which may only read, is not made", name),
				errhint("fawkes_ha.database names the database that it is to read."));
	else if (readonly_keep_role(name, &guc_database, 1, false, make_verifier(name, password)))
		ereport(LOG, report_line("reader_made",
								 "role \"%s\" may read database \"%s\" with the password of "
								 "fawkes_ha.readonly_credentials_directory",
								 name, guc_database));
	explicit_bzero(password, strlen(password));
}

void
maintenance_keep_readonly(void)
{
	session_begin();
	readonly_keep_group();
	if (is_given())
		keep_given();
	session_commit();
}
