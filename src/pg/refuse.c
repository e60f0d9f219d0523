/*
 * refuse.c: statements that no member may carry out, whoever leads.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"
#include "tcop/utility.h"

#include "pg/guc.h"
#include "pg/refuse.h"

static ProcessUtility_hook_type previous_process_utility = NULL;

/*
 * ALTER SYSTEM beats the file that the supervisor writes, and would have this
 * member follow, or be, somebody else at its next start.  What has to be on would be off after a
 * reload on a plain server, and would keep a supervisor from starting the next one.  RESET only
 * takes such a line away.
 */
static void
refuse_managed_setting(const AlterSystemStmt *statement)
{
	const VariableSetStmt *set = statement->setstmt;
	unsigned traits;

	if (set->name == NULL || set->kind == VAR_RESET || set->kind == VAR_SET_DEFAULT)
		return;
	if (pg_strcasecmp(set->name, "synchronous_standby_names") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM),
				 errmsg("parameter \"synchronous_standby_names\" cannot be set"),
				 errdetail("Replication is asynchronous in this release.  A standby's "
						   "application_name changes with each copy of its data, and any other "
						   "list, '*' too, counts clients that are no members.")));
	traits = fha_setting_traits(set->name, strlen(set->name));
	if ((traits & FHA_ON) != 0)
		ereport(ERROR, (errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM),
						errmsg("parameter \"%s\" has to be on with fawkes_ha", set->name),
						errhint("Leave it to its default.")));
	if ((traits & FHA_NOT_ALTERED) != 0)
		ereport(ERROR, (errcode(ERRCODE_CANT_CHANGE_RUNTIME_PARAM),
						errmsg("parameter \"%s\" is managed by fawkes_ha", set->name),
						errdetail("A value in postgresql.auto.conf would override the cluster's."),
						errhint("Change it in fawkes_ha.conf in the member's state directory.")));
}

/*
 * A tablespace has the same path on every member.  With a lock that is a directory all of them are
 * on one machine, and would write the same files.
 */
static void
refuse_shared_tablespace(const CreateTableSpaceStmt *statement)
{
	if (statement->location[0] == '\0' || strncmp(guc_lock, "dir:", 4) != 0)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("fawkes_ha does not support tablespaces outside the data directory"),
		 errdetail("The members of this cluster are on one machine; each of them would write the "
				   "same files in \"%s\".",
				   statement->location)));
}

static void
refuse_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *environment, DestReceiver *dest,
					   QueryCompletion *completion)
{
	Node *node = statement->utilityStmt;
	ProcessUtility_hook_type next =
		previous_process_utility ? previous_process_utility : standard_ProcessUtility;

	if (IsA(node, AlterSystemStmt))
		refuse_managed_setting((AlterSystemStmt *) node);
	if (IsA(node, CreateTableSpaceStmt))
		refuse_shared_tablespace((CreateTableSpaceStmt *) node);
	next(statement, text, read_only_tree, context, params, environment, dest, completion);
}

/* Ours is called after those that are installed later: a shut fence refuses first. */
void
refuse_install_hooks(void)
{
	previous_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = refuse_process_utility;
}
