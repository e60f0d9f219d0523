/*
 * standby_limits.c: settings of which a standby may not have less than its primary.  See standby_limits.h.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/twophase.h"
#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "replication/walsender.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "pg/compat.h"
#include "pg/report.h"
#include "pg/standby_limits.h"

typedef struct Limit
{
	const char *name;
	const int *running;
	size_t offset; /* of the primary's value in the control file */
} Limit;

/* In the order of fha_limit_name. */
static const Limit limits[FHA_LIMITS] = {
	{"max_connections", &MaxConnections, offsetof(ControlFileData, MaxConnections)},
	{"max_worker_processes", &max_worker_processes,
	 offsetof(ControlFileData, max_worker_processes)},
	{"max_wal_senders", &max_wal_senders, offsetof(ControlFileData, max_wal_senders)},
	{"max_prepared_transactions", &max_prepared_xacts,
	 offsetof(ControlFileData, max_prepared_xacts)},
	{"max_locks_per_transaction", &max_locks_per_xact,
	 offsetof(ControlFileData, max_locks_per_xact)},
};

static int
wanted_by(const ControlFileData *control, const Limit *limit)
{
	int wanted;

	memcpy(&wanted, (const char *) control + limit->offset, sizeof(wanted));
	return wanted;
}

bool
limits_are_smaller(void)
{
	bool valid;
	ControlFileData *control = get_controlfile(DataDir, &valid);
	bool smaller = false;

	for (int i = 0; valid && i < lengthof(limits); i++)
		smaller = smaller || *limits[i].running < wanted_by(control, &limits[i]);
	pfree(control);
	return smaller;
}

void
limits_running(FhaLimits *out)
{
	for (int i = 0; i < lengthof(limits); i++)
		out->value[i] = *limits[i].running;
}

void
limits_wanted(FhaLimits *out)
{
	bool valid;
	ControlFileData *control = get_controlfile(DataDir, &valid);

	for (int i = 0; valid && i < lengthof(limits); i++)
		out->value[i] = wanted_by(control, &limits[i]);
	pfree(control);
}

/*
 * PostgreSQL refuses to start a standby with less than the newest value that its control file has
 * seen, though it has yet to replay the WAL in which the primary lowers it.  Its own value comes
 * into force at the first start after that.
 */
void
limits_raise(void)
{
	char path[MAXPGPATH];
	bool valid;
	ControlFileData *control;

	snprintf(path, sizeof(path), "%s/standby.signal", DataDir);
	if (access(path, F_OK) != 0)
		return;
	control = get_controlfile(DataDir, &valid);
	for (int i = 0; valid && i < lengthof(limits); i++)
	{
		int wanted = wanted_by(control, &limits[i]);
		char text[16];

		if (wanted <= *limits[i].running)
			continue;
		snprintf(text, sizeof(text), "%d", wanted);
		ereport(LOG,
				(report_line("limit_raised", "%s is raised from %d to %d, which the primary has",
							 limits[i].name, *limits[i].running, wanted),
				 errhint("A lower value counts once the primary has it, and this standby is "
						 "restarted after that.")));
		SetConfigOption(limits[i].name, text, PGC_POSTMASTER, PGC_S_OVERRIDE);
	}
	pfree(control);
}

bool
limits_need_restart(void)
{
	int count;
	struct config_generic **variables = compat_guc_variables(&count);

	for (int i = 0; i < count; i++)
		if ((variables[i]->status & GUC_PENDING_RESTART) != 0)
			return true;
	return false;
}

bool
limits_are_lowered(const FhaNode *node)
{
	for (int i = 0; i < lengthof(limits); i++)
	{
		const char *text = fha_node_setting(node, limits[i].name);
		int wanted;

		if (text != NULL && parse_int(text, &wanted, 0, NULL) && wanted < *limits[i].running)
			return true;
	}
	return false;
}
