/*
 * steward.c: SQL chores.  See steward.h.
 *
 * On a primary: the role that standbys and pg_rewind connect as, one slot
 * per member, the application's owner, who may only read, the role that metrics are read
 * as, and the extension.  On a standby: no slot of ours, for nobody streams from here and an old
 * one would keep WAL for ever.
 */
#include "postgres.h"

#include <signal.h>
#include <stdlib.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/crypt.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "clock.h"
#include "compat.h"
#include "follow.h"
#include "guc.h"
#include "report.h"
#include "shmem.h"
#include "state.h"
#include "steward.h"
#include "steward_exporter.h"
#include "steward_extension.h"
#include "steward_owner.h"
#include "steward_readonly.h"

/* A user may have dropped a slot or the role: look again this often. */
#define VISIT_EVERY_MS (60 * 1000)
#define RETRY_MS 2000
#define SLOT_PREFIX "fawkes_ha_"

PGDLLEXPORT void fawkes_ha_steward_main(Datum argument);

/* A member's slot that is of no use to it any more: the steward makes it anew. */
static bool
has_lost_slot(void)
{
	bool found = false;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots && !found; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		SpinLockAcquire(&slot->mutex);
		found = slot->in_use && slot->active_pid == 0 && compat_slot_is_lost(slot) &&
				strncmp(NameStr(slot->data.name), SLOT_PREFIX, strlen(SLOT_PREFIX)) == 0;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(ReplicationSlotControlLock);
	return found;
}

void
steward_keep(StewardState *state, const FhaOrder *order, const FhaPgView *view, bool supervised)
{
	int64 now_ms = fha_now_ms();
	bool may = (view->state == FHA_PG_PRIMARY && order->write_until_ms > 0) ||
			   view->state == FHA_PG_STANDBY;
	bool news = state->role != view->state || state->member_count != order->member_count ||
				(view->state == FHA_PG_PRIMARY && (state->term != order->term || has_lost_slot()));
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_ConsistentState,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = "fawkes_ha",
		.bgw_function_name = "fawkes_ha_steward_main",
		.bgw_name = "fawkes_ha steward",
		.bgw_type = "fawkes_ha steward",
	};

	if (!may || order->node != FHA_NODE_HOLD)
		return;
	if (state->visited_ms != 0 &&
		now_ms < state->visited_ms + (news ? RETRY_MS / 10 : VISIT_EVERY_MS))
		return;
	if (!news && view->state == FHA_PG_STANDBY)
		return;
	state->visited_ms = now_ms;
	/* No free worker slot: tried again at the next turn. */
	if (!RegisterDynamicBackgroundWorker(&worker, NULL))
		return;
	state->term = order->term;
	state->role = view->state;
	state->member_count = order->member_count;
}

static void
run(const char *sql, int count, Oid *types, Datum *values)
{
	int result = SPI_execute_with_args(sql, count, types, values, NULL, false, 0);

	if (result < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
}

/* NULL, and it was logged, when pgpass has none. */
static char *
read_password(void)
{
	FhaConfig config;
	FhaError err;
	char *password = palloc0(FHA_PGPASS_MAX);

	guc_config(&config);
	if (fha_password_read(&config, password, FHA_PGPASS_MAX, &err) == FHA_OK)
		return password;
	ereport(LOG, errmsg("the password of role \"%s\" cannot be set: %s", FHA_REPLICATION_USER,
						err.text));
	return NULL;
}

static void
keep_role(void)
{
	char *password = read_password();
	char *detail = NULL;
	char *stored;
	const char *verb = "ALTER";
	char *secret;

	if (password == NULL)
		return;
	SPI_execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = '" FHA_REPLICATION_USER "'", true,
				0);
	if (SPI_processed == 0)
		verb = "CREATE";
	else
	{
		stored = get_role_password(FHA_REPLICATION_USER, (const char **) &detail);
		if (stored != NULL && plain_crypt_verify(FHA_REPLICATION_USER, stored, password,
												 (const char **) &detail) == STATUS_OK)
			return;
	}
	/* Only the verifier enters the statement: nothing that logs it learns the password. */
	secret = encrypt_password(PASSWORD_TYPE_SCRAM_SHA_256, FHA_REPLICATION_USER, password);
	run(psprintf("%s ROLE " FHA_REPLICATION_USER " LOGIN REPLICATION PASSWORD %s", verb,
				 quote_literal_cstr(secret)),
		0, NULL, NULL);
	/* What pg_rewind's documentation asks for, and no more. */
	run("GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean), "
		"pg_catalog.pg_stat_file(text, boolean), pg_catalog.pg_read_binary_file(text), "
		"pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO " FHA_REPLICATION_USER,
		0, NULL, NULL);
	ereport(LOG, errmsg("role \"%s\" is ready", FHA_REPLICATION_USER));
}

static char *
copy_snapshot(void)
{
	char *copy;

	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	copy = pnstrdup(fawkes_shared->snapshot, fawkes_shared->snapshot_size);
	LWLockRelease(fawkes_shared->lock);
	return copy;
}

static void
keep_slots(bool primary)
{
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[2];
	char *snapshot = copy_snapshot();

	if (snapshot[0] == '\0')
		return;
	values[0] = CStringGetTextDatum(snapshot);
	values[1] = CStringGetTextDatum(primary ? guc_member_name : "");
#define WANTED                                                                       \
	"SELECT '" SLOT_PREFIX "' || pg_catalog.replace(m, '-', '_') AS name "           \
	"FROM pg_catalog.jsonb_array_elements_text($1::jsonb #> '{cluster,members}') m " \
	"WHERE $2 <> '' AND m <> $2"
#define OURS                                                                             \
	"slot_type = 'physical' AND NOT active AND pg_catalog.starts_with(slot_name::text, " \
	"'" SLOT_PREFIX "')"
	run("SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM "
		"pg_catalog.pg_replication_slots WHERE " OURS " AND slot_name NOT IN (" WANTED ")",
		2, types, values);
	/* What a member missed is gone: its new slot keeps WAL from when it streams again. */
	if (primary)
		run("SELECT pg_catalog.pg_create_physical_replication_slot(slot_name) FROM "
			"(SELECT slot_name FROM pg_catalog.pg_replication_slots "
			"WHERE " OURS " AND wal_status = 'lost' OFFSET 0) lost "
			"WHERE pg_catalog.pg_drop_replication_slot(slot_name) IS NOT NULL",
			0, NULL, NULL);
	if (primary)
		run("SELECT pg_catalog.pg_create_physical_replication_slot(name, true) FROM (" WANTED ") w "
			"WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = name)",
			2, types, values);
}

/* What an operator has to mend must not keep the rest from being done. */
static void
try(void (*chore)(void))
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		chore();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		FlushErrorState();
		MemoryContextSwitchTo(context);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
}

static void
send_extension(void)
{
	if (guc_database[0] != '\0')
		steward_send_extension(guc_database);
}

void
fawkes_ha_steward_main(Datum argument)
{
	bool primary;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection("postgres", NULL, 0);
	primary = !RecoveryInProgress();
	pgstat_report_activity(STATE_RUNNING, "fawkes_ha steward");

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (primary)
		keep_role();
	keep_slots(primary);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (primary)
	{
		LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
		fawkes_shared->ready_timeline = GetWALInsertionTimeLine();
		LWLockRelease(fawkes_shared->lock);
		try(steward_keep_owner);
		try(steward_keep_readonly);
		try(steward_keep_exporter);
		try(steward_keep_extension);
		try(send_extension);
	}
	proc_exit(0);
}
