/*
 * readonly.c: which sessions may only read, and where.  See readonly.h.
 *
 * Decided once for each session and again when a role or membership changes.  Whether a statement
 * is one that reads is readonly_rules.c's to say.
 */
#include "postgres.h"

#include <signal.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "executor/executor.h"
#include "libpq/auth.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/readonly.h"
#include "pg/report.h"
#include "pg/shmem.h"

static ClientAuthentication_hook_type previous_client_authentication = NULL;
static ExecutorStart_hook_type previous_executor_start = NULL;
static ExecutorCheckPerms_hook_type previous_check_perms = NULL;
static ProcessUtility_hook_type previous_process_utility = NULL;
static object_access_hook_type previous_object_access = NULL;
static get_relation_stats_hook_type previous_relation_stats = NULL;

/* The last decision: about whom, and does it still count? */
static Oid decided_for = InvalidOid;
static bool decided = false;
static bool changed = false;
static bool reads_only = false;

/* Who logged in here: a superuser who has become somebody else since then keeps the session. */
static Oid login_role = InvalidOid;

static void
forget_decision(Datum argument, int cache, uint32 hash)
{
	decided = false;
	changed = true;
}

static bool
is_in_group(Oid role)
{
	Oid group = get_role_oid(READONLY_GROUP, true);

	return OidIsValid(group) && is_member_of_role_nosuper(role, group) && !superuser_arg(role);
}

/* A primary that is the only one who can serve reads, and is told to. */
static bool
primary_serves(void)
{
	return guc_readonly_when_alone && pg_atomic_read_u32(&fawkes_shared->is_alone) != 0;
}

static void
readonly_unregister(int code, Datum argument)
{
	pg_atomic_write_u32(&fawkes_readers[compat_proc_number()], 0);
}

/* The agent ends who stands there. */
static void
register_session(void)
{
	static bool prepared = false;

	if (!prepared)
		before_shmem_exit(readonly_unregister, (Datum) 0);
	prepared = true;
	pg_atomic_write_u32(&fawkes_readers[compat_proc_number()], (uint32) MyProcPid);
}

static void
readonly_decide(Oid user)
{
	static bool listens = false;
	bool reads;

	if (!listens)
	{
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, forget_decision, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, forget_decision, (Datum) 0);
		listens = true;
	}
	/* What changes during the look counts at the next statement; an error leaves it undecided. */
	changed = false;
	reads = is_in_group(user);
	decided_for = user;
	decided = !changed;
	reads_only = reads;
	if (user != login_role)
		return;
	readonly_hold_settings(reads_only);
	if (reads_only)
		register_session();
	else
		readonly_unregister(0, (Datum) 0);
}

/* In a transaction that has failed nothing can be read. */
static pg_noinline bool
readonly_look(Oid user)
{
	if (IsTransactionState())
		readonly_decide(user);
	return reads_only && decided_for == user;
}

/* For everybody else this is all that it costs. */
static inline bool
is_reader(void)
{
	Oid user = GetSessionUserId();

	if (likely(decided && decided_for == user))
		return reads_only;
	return readonly_look(user);
}

/*
 * Ahead of whatever a reader does.  Nothing that a session can set lasts beyond this: SQL may only
 * turn a transaction to writing before its first snapshot, and that is a statement before the next.
 */
static void
readonly_enforce(void)
{
	if (GetSessionUserId() == login_role && !RecoveryInProgress() && !primary_serves())
		ereport(FATAL, (errcode(ERRCODE_ADMIN_SHUTDOWN),
						errmsg("this session may only read, and this server is the primary now"),
						errhint("Connect again; a connection string that names all members finds a "
								"standby.")));
	XactReadOnly = true;
}

static void
readonly_executor_start(QueryDesc *query, int flags)
{
	if (is_reader())
		readonly_enforce();
	if (previous_executor_start)
		previous_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

static void
readonly_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
						 ProcessUtilityContext context, ParamListInfo params,
						 QueryEnvironment *environment, DestReceiver *dest,
						 QueryCompletion *completion)
{
	ProcessUtility_hook_type next =
		previous_process_utility ? previous_process_utility : standard_ProcessUtility;

	readonly_check_group(statement->utilityStmt);
	/* In a transaction that has failed, only its end is let through by PostgreSQL. */
	if (is_reader() && IsTransactionState())
	{
		readonly_enforce();
		readonly_check_utility(statement->utilityStmt);
	}
	next(statement, text, read_only_tree, context, params, environment, dest, completion);
}

static pg_noinline void
check_tables(List *wanted_tables)
{
	int user_context;
	Oid user;
	ListCell *cell;

	GetUserIdAndSecContext(&user, &user_context);
	/* The rights of a function's owner are not the reader's. */
	if ((user_context & SECURITY_LOCAL_USERID_CHANGE) != 0)
		return;
	foreach (cell, wanted_tables)
	{
		CompatPermission *wanted = lfirst(cell);

		if (!compat_is_table(wanted) || (wanted->requiredPerms & ACL_SELECT) == 0)
			continue;
		readonly_check_statistics(wanted->relid);
		/* The rights of a view's owner are not the reader's either. */
		if (!OidIsValid(wanted->checkAsUser))
			readonly_check_table(wanted->relid, wanted->selectedCols);
	}
}

static bool
check_perms(COMPAT_CHECK_PERMS_ARGUMENTS)
{
	if (previous_check_perms && !previous_check_perms(COMPAT_CHECK_PERMS_PASSED))
		return false;
	if (is_reader())
		check_tables(compat_permissions);
	return true;
}

/*
 * The planner calls an operator's function with values of a table before anybody asks whether the
 * table may be read: pg_read_all_data is enough for it, and anybody may make an operator that tells.
 */
static inline bool
hides_statistics(const RangeTblEntry *entry)
{
	return is_reader() && entry->rtekind == RTE_RELATION && !readonly_may_estimate(entry->relid);
}

static bool
relation_stats(PlannerInfo *root, RangeTblEntry *entry, AttrNumber column, VariableStatData *found)
{
	return hides_statistics(entry) ||
		   (previous_relation_stats && previous_relation_stats(root, entry, column, found));
}

/* The same where no other library asks, so that one argument is kept across the call instead of four. */
static bool
relation_stats_alone(PlannerInfo *root, RangeTblEntry *entry, AttrNumber column,
					 VariableStatData *found)
{
	return hides_statistics(entry);
}

static void
object_access(ObjectAccessType access, Oid class, Oid object, int part, void *argument)
{
	if (previous_object_access)
		previous_object_access(access, class, object, part, argument);
	if (access == OAT_NAMESPACE_SEARCH || !is_reader())
		return;
	readonly_enforce();
	if (access == OAT_FUNCTION_EXECUTE)
		readonly_check_function(object);
	else
		readonly_refuse_change();
}

/* pg_database by name, as PostgreSQL itself does it before it has a database. */
static bool
may_connect(Oid role, const char *database)
{
	Relation relation = table_open(DatabaseRelationId, AccessShareLock);
	bool may = false;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_database_datname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(database));
	scan = systable_beginscan(relation, DatabaseNameIndexId, criticalSharedRelcachesBuilt, NULL, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool is_null;
		Datum acl =
			heap_getattr(tuple, Anum_pg_database_datacl, RelationGetDescr(relation), &is_null);

		may = !is_null && readonly_is_granted_by_name(DatumGetAclP(acl), role, ACL_CONNECT);
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return may;
}

/* 57P03 makes libpq try its next host. */
static void
refuse_primary(const char *role)
{
	ereport(
		FATAL,
		(errcode(ERRCODE_CANNOT_CONNECT_NOW),
		 errmsg("role \"%s\" may only read, and this server is the primary", role),
		 errdetail("Roles in %s are served by standbys%s.", READONLY_GROUP,
				   guc_readonly_when_alone ? " while one is fit" : ""),
		 errhint("On Kubernetes connect to the Service %s-ro; elsewhere name all members in the "
				 "connection string.",
				 guc_cluster_name)));
}

static void
readonly_authentication(Port *port, int status)
{
	Oid role;

	if (previous_client_authentication)
		previous_client_authentication(port, status);
	if (status != STATUS_OK)
		return;
	role = get_role_oid(port->user_name, true);
	login_role = role;
	if (!OidIsValid(role) || !is_in_group(role))
		return;
	if (am_walsender)
		ereport(FATAL, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" may only read, and replicate nothing", port->user_name),
						errdetail("It is a member of %s.", READONLY_GROUP)));
	if (!RecoveryInProgress() && !primary_serves())
		refuse_primary(port->user_name);
	if (!may_connect(role, port->database_name))
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for database \"%s\"", port->database_name),
				 errdetail("Role \"%s\" is a member of %s; what PUBLIC may does not count for it.",
						   port->user_name, READONLY_GROUP),
				 errhint("A superuser may GRANT CONNECT ON DATABASE to it by name.")));
	readonly_hold_settings(true);
	register_session();
}

void
readonly_keep_sessions(bool primary, bool alone)
{
	static int before = 0;
	int count = 0;

	pg_atomic_write_u32(&fawkes_shared->is_alone, alone);
	if (primary && !primary_serves())
	{
		for (int i = 0; i < MaxBackends; i++)
		{
			uint32 pid = pg_atomic_read_u32(&fawkes_readers[i]);

			if (pid != 0 && kill((pid_t) pid, SIGTERM) == 0)
				count++;
		}
		if (count > before)
			ereport(LOG,
					report_line("readonly_sessions_ended",
								"read-only sessions are ended, for this server is the primary: %d",
								count));
	}
	before = count;
}

void
readonly_install_hooks(void)
{
	previous_client_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = readonly_authentication;
	previous_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = readonly_executor_start;
	previous_check_perms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = check_perms;
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = readonly_process_utility;
	previous_object_access = object_access_hook;
	object_access_hook = object_access;
	previous_relation_stats = get_relation_stats_hook;
	get_relation_stats_hook = previous_relation_stats ? relation_stats : relation_stats_alone;
}
