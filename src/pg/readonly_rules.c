/*
 * readonly_rules.c: what a session that may only read can do.  See readonly.h.
 *
 * PostgreSQL's read-only transaction keeps tables from being written.  It lets pass what has no
 * rows: large objects (15), locks, notifications, files, signals, and whatever a function in C
 * does; EXPLAIN ANALYZE CREATE TABLE AS even makes a table.  So statements are allowed by a list,
 * and functions by one rule: what is VOLATILE and not in a trusted language is refused, unless it
 * is known to be harmless or granted by name.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext_data.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "pg/compat.h"
#include "pg/readonly.h"

static const char *
reader_name(void)
{
	return GetUserNameFromId(GetSessionUserId(), false);
}

static void
refuse_utility(const Node *statement)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("cannot execute %s: role \"%s\" may only read",
						   GetCommandTagName(CreateCommandTag((Node *) statement)), reader_name()),
					errdetail("It is a member of %s.", READONLY_GROUP)));
}

void
readonly_refuse_change(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot make or change anything: role \"%s\" may only read", reader_name()),
			 errdetail("It is a member of %s.", READONLY_GROUP)));
}

/* --- statements */

/* Does one of the modes of BEGIN or SET TRANSACTION ask for READ WRITE? */
static bool
asks_to_write(const List *modes)
{
	ListCell *cell;

	foreach (cell, modes)
	{
		const DefElem *mode = lfirst(cell);

		if (strcmp(mode->defname, "transaction_read_only") == 0 && IsA(mode->arg, A_Const) &&
			intVal(&((A_Const *) mode->arg)->val) == 0)
			return true;
	}
	return false;
}

static bool
is_off(const char *value)
{
	bool on;

	return !parse_bool(value, &on) || !on;
}

static bool
may_set(const VariableSetStmt *statement)
{
	const char *value;

	if (statement->kind == VAR_SET_MULTI)
		return !asks_to_write(statement->args);
	if (statement->kind != VAR_SET_VALUE)
		return true;
	value = ExtractSetVariableArgs((VariableSetStmt *) statement);
	if (pg_strcasecmp(statement->name, "transaction_read_only") == 0 ||
		pg_strcasecmp(statement->name, "default_transaction_read_only") == 0)
		return !is_off(value);
	if (pg_strcasecmp(statement->name, "role") == 0)
		return strcmp(value, "none") == 0 || strcmp(value, reader_name()) == 0;
	return pg_strcasecmp(statement->name, "session_authorization") != 0;
}

static bool
may_control(const TransactionStmt *statement)
{
	switch (statement->kind)
	{
		case TRANS_STMT_PREPARE:
		case TRANS_STMT_COMMIT_PREPARED:
		case TRANS_STMT_ROLLBACK_PREPARED:
			return false;
		default:
			return !asks_to_write(statement->options);
	}
}

/* Statements within EXECUTE, EXPLAIN and functions are tested on their own. */
static bool
may_run(const Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_TransactionStmt:
			return may_control((const TransactionStmt *) statement);
		case T_VariableSetStmt:
			return may_set((const VariableSetStmt *) statement);
		case T_CopyStmt:
			return !((const CopyStmt *) statement)->is_from &&
				   !((const CopyStmt *) statement)->is_program &&
				   ((const CopyStmt *) statement)->filename == NULL;
		case T_LockStmt: /* pg_dump's, no stronger than SELECT's own */
			return ((const LockStmt *) statement)->mode == AccessShareLock;
		case T_ClosePortalStmt:
		case T_DeallocateStmt:
		case T_DeclareCursorStmt:
		case T_DiscardStmt:
		case T_ExecuteStmt:
		case T_ExplainStmt:
		case T_FetchStmt:
		case T_PrepareStmt:
		case T_UnlistenStmt:
		case T_VariableShowStmt:
			return true;
		default:
			return false;
	}
}

void
readonly_check_utility(const Node *statement)
{
	if (!may_run(statement))
		refuse_utility(statement);
}

/* --- rights */

bool
readonly_is_granted_by_name(const Acl *acl, Oid role, AclMode right)
{
	const AclItem *items = ACL_DAT(acl);

	for (int i = 0; i < ACL_NUM(acl); i++)
		if ((ACLITEM_GET_PRIVS(items[i]) & right) != 0 && items[i].ai_grantee != ACL_ID_PUBLIC &&
			has_privs_of_role(role, items[i].ai_grantee))
			return true;
	return false;
}

/* --- functions */

/* PostgreSQL's own that are VOLATILE for what they see, not for what they do. */
static bool
is_harmless(const char *name)
{
	static const char *const names[] = {"array_sample",
										"array_shuffle",
										"clock_timestamp",
										"current_query",
										"currtid2",
										"currval",
										"cursor_to_xml",
										"cursor_to_xmlschema",
										"gen_random_uuid",
										"lastval",
										"pg_blocking_pids",
										"pg_collation_actual_version",
										"pg_control_checkpoint",
										"pg_control_init",
										"pg_control_recovery",
										"pg_control_system",
										"pg_current_wal_flush_lsn",
										"pg_current_wal_insert_lsn",
										"pg_current_wal_lsn",
										"pg_database_collation_actual_version",
										"pg_database_size",
										"pg_get_sequence_data",
										"pg_get_wait_events",
										"pg_get_wal_replay_pause_state",
										"pg_indexes_size",
										"pg_is_in_recovery",
										"pg_is_wal_replay_paused",
										"pg_jit_available",
										"pg_last_committed_xact",
										"pg_last_wal_receive_lsn",
										"pg_last_wal_replay_lsn",
										"pg_last_xact_replay_timestamp",
										"pg_lock_status",
										"pg_notification_queue_usage",
										"pg_partition_ancestors",
										"pg_partition_tree",
										"pg_prepared_xact",
										"pg_relation_size",
										"pg_safe_snapshot_blocking_pids",
										"pg_sequence_last_value",
										"pg_sleep",
										"pg_stat_clear_snapshot",
										"pg_table_size",
										"pg_tablespace_size",
										"pg_total_relation_size",
										"pg_xact_commit_timestamp",
										"pg_xact_commit_timestamp_origin",
										"pg_xact_status",
										"query_to_xml",
										"query_to_xml_and_xmlschema",
										"query_to_xmlschema",
										"random",
										"random_normal",
										"set_config",
										"setseed",
										"timeofday",
										"ts_rewrite",
										"ts_stat",
										"txid_status",
										"uuidv4",
										"uuidv7"};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return strncmp(name, "pg_stat_get_", strlen("pg_stat_get_")) == 0;
}

static bool
is_trusted(Oid language)
{
	HeapTuple tuple = SearchSysCache1(LANGOID, ObjectIdGetDatum(language));
	bool trusted;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for language %u", language);
	trusted = ((Form_pg_language) GETSTRUCT(tuple))->lanpltrusted;
	ReleaseSysCache(tuple);
	return trusted;
}

/* Either of these takes a transaction id, although it is not called VOLATILE. */
static bool
may_do_more_than_read(Oid function, const FormData_pg_proc *form)
{
	if (function == F_TXID_CURRENT || function == F_PG_CURRENT_XACT_ID)
		return true;
	if (form->provolatile != PROVOLATILE_VOLATILE || is_trusted(form->prolang))
		return false;
	return function >= FirstNormalObjectId || !is_harmless(NameStr(form->proname));
}

void
readonly_check_function(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool may;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	may = !may_do_more_than_read(function, (Form_pg_proc) GETSTRUCT(tuple));
	if (!may)
	{
		bool is_null;
		Datum acl = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proacl, &is_null);

		may = !is_null &&
			  readonly_is_granted_by_name(DatumGetAclP(acl), GetSessionUserId(), ACL_EXECUTE);
	}
	ReleaseSysCache(tuple);
	if (!may)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s: role \"%s\" may only read",
						get_func_name(function), reader_name()),
				 errdetail("The function is VOLATILE and may do what no read-only transaction "
						   "prevents; what PUBLIC may does not count for members of %s.",
						   READONLY_GROUP),
				 errhint("If it is harmless: GRANT EXECUTE ON FUNCTION %s TO %s.",
						 format_procedure(function), quote_identifier(reader_name()))));
}

/* --- tables */

/* May each of these columns be read by a grant of its own? */
static bool
may_read_columns(Oid table, const Bitmapset *columns, Oid role)
{
	int bit = -1;

	if (bms_is_empty((Bitmapset *) columns))
		return false;
	while ((bit = bms_next_member((Bitmapset *) columns, bit)) >= 0)
	{
		AttrNumber column = bit + FirstLowInvalidHeapAttributeNumber;
		HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(table), Int16GetDatum(column));
		bool is_null = true;
		bool may;
		Datum acl = (Datum) 0;

		if (HeapTupleIsValid(tuple))
			acl = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attacl, &is_null);
		may =
			!is_null && aclmask(DatumGetAclP(acl), role, InvalidOid, ACL_SELECT, ACLMASK_ANY) != 0;
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		if (!may)
			return false;
	}
	return true;
}

/*
 * pg_read_all_data, which the role has for the sake of all tables to come, reads pg_authid as well,
 * with everybody's verifiers, and pg_largeobject.  What came with PostgreSQL is as it is without it.
 */
static bool
may_read_table(Oid table, const Bitmapset *columns)
{
	Oid role = GetUserId();
	HeapTuple tuple;
	Datum acl;
	bool is_null;
	bool may;

	if (table >= FirstNormalObjectId)
		return true;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	acl = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &is_null);
	may = !is_null && aclmask(DatumGetAclP(acl), role, ((Form_pg_class) GETSTRUCT(tuple))->relowner,
							  ACL_SELECT, ACLMASK_ANY) != 0;
	ReleaseSysCache(tuple);
	return may || may_read_columns(table, columns, role);
}

void
readonly_check_table(Oid table, const Bitmapset *columns)
{
	if (!may_read_table(table, columns))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(table)),
				 errdetail("Of what is PostgreSQL's own, members of %s read what everybody reads.",
						   READONLY_GROUP)));
}

/*
 * pg_stats and its kin show values of every table that has_column_privilege() says yes to, and with
 * pg_read_all_data it says yes to pg_authid.
 */
void
readonly_check_statistics(Oid table)
{
	if (table == StatisticRelationId || table == StatisticExtDataRelationId)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(table)),
				 errdetail("Statistics hold values of all tables, those with passwords too; "
						   "members of %s do not read them.",
						   READONLY_GROUP),
				 errhint("A function with SECURITY DEFINER may show them what they need of it.")));
}

bool
readonly_may_estimate(Oid table)
{
	return may_read_table(table, NULL);
}

/* --- settings */

/* With these a session has the server log plans, values or lines without end. */
static const char *const log_fillers[] = {
	"debug_print_parse",
	"debug_print_plan",
	"debug_print_rewritten",
	"log_parameter_max_length_on_error",
	"trace_sort",
};

static bool
fills_log(const struct config_generic *setting)
{
	for (int i = 0; i < lengthof(log_fillers); i++)
		if (strcmp(setting->name, log_fillers[i]) == 0)
			return true;
	return false;
}

/* By the context, because SET is only one of the ways: set_config() and a login's options are others. */
void
readonly_hold_settings(bool held)
{
	static bool are_held = false;
	struct config_generic **settings;
	int count;

	if (held == are_held)
		return;
	settings = compat_guc_variables(&count);
	for (int i = 0; i < count; i++)
		if (fills_log(settings[i]))
			settings[i]->context = held ? PGC_SUSET : PGC_USERSET;
	are_held = held;
}

/* --- the group */

static bool
is_group(const char *name)
{
	return name != NULL && strcmp(name, READONLY_GROUP) == 0;
}

static bool
drops_group(const DropRoleStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->roles)
		if (is_group(((const RoleSpec *) lfirst(cell))->rolename))
			return true;
	return false;
}

/* A reader without the group keeps pg_read_all_data, and nothing holds it to reading any more. */
void
readonly_check_group(const Node *statement)
{
	const char *what = NULL;

	if (IsA(statement, DropRoleStmt) && drops_group((const DropRoleStmt *) statement))
		what = "dropped";
	if (IsA(statement, RenameStmt) && ((const RenameStmt *) statement)->renameType == OBJECT_ROLE &&
		is_group(((const RenameStmt *) statement)->subname))
		what = "renamed";
	if (what != NULL)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" cannot be %s", READONLY_GROUP, what),
						errdetail("Its members may only read because they are in it."),
						errhint("To free one of them, REVOKE %s FROM it.  The group itself goes "
								"with the library: drop it when fawkes_ha is not preloaded.",
								READONLY_GROUP)));
}
