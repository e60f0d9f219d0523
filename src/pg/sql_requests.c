/*
 * sql_requests.c: what SQL requests: handed to the agent, which puts it into the cluster's record for
 * whoever leads; then we wait for the answer to return the same way.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/tame.h"
#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/report.h"
#include "pg/shmem.h"
#include "pg/sql.h"
#include "record/request.h"

PG_FUNCTION_INFO_V1(fawkes_ha_switchover);
PG_FUNCTION_INFO_V1(fawkes_ha_failover);
PG_FUNCTION_INFO_V1(fawkes_ha_restart);
PG_FUNCTION_INFO_V1(fawkes_ha_reinit);
PG_FUNCTION_INFO_V1(fawkes_ha_rejoin);
PG_FUNCTION_INFO_V1(fawkes_ha_remove_member);
PG_FUNCTION_INFO_V1(fawkes_ha_pause);
PG_FUNCTION_INFO_V1(fawkes_ha_resume);
PG_FUNCTION_INFO_V1(fawkes_ha_set_setting);
PG_FUNCTION_INFO_V1(fawkes_ha_reset_setting);
PG_FUNCTION_INFO_V1(fawkes_ha_try_switchover);
PG_FUNCTION_INFO_V1(fawkes_ha_try_pause);
PG_FUNCTION_INFO_V1(fawkes_ha_try_resume);
PG_FUNCTION_INFO_V1(fawkes_ha_try_set_setting);
PG_FUNCTION_INFO_V1(fawkes_ha_try_reset_setting);

/* More would overflow the milliseconds of a wait, and nobody waits for days. */
#define WAIT_SECONDS_MAX 86400

/* A record may change without a new snapshot being told to us; this bounds the delay. */
#define LOOK_AGAIN_MS 1000

/* What an answer to a request may be. */
typedef struct Answer
{
	bool done;
	bool failed;
	char *message;
} Answer;

static void
raise_no_agent(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this server is not a running member of a cluster"),
			 guc_cluster_name[0] == '\0'
				 ? errhint("Set fawkes_ha.cluster_name and add fawkes_ha to "
						   "shared_preload_libraries.")
				 : errhint("Its agent does not run, or has not seen the lock yet; look into the "
						   "server's log.")));
}

/* False: another one lies there, which the agent has not taken yet. */
static bool
lay_down(const FhaRequest *request)
{
	bool is_gone;
	bool free_now;

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	is_gone = fawkes_shared->agent_latch == NULL;
	free_now = fawkes_shared->request.kind == FHA_REQUEST_NONE;
	if (free_now && !is_gone)
	{
		fawkes_shared->request = *request;
		SetLatch(fawkes_shared->agent_latch);
	}
	LWLockRelease(fawkes_shared->lock);
	if (is_gone)
		raise_no_agent();
	return free_now;
}

/* Hand a request to the agent; it takes one at a time, and others wait for it until `end`. */
static void
sql_put_request(const FhaRequest *asked, TimestampTz end)
{
	FhaRequest request = *asked;

	/* A database may have another encoding; records, and what is signed of them, are of UTF-8. */
	fha_utf8_mend(request.target);
	fha_utf8_mend(request.requested_by);
	fha_utf8_mend(request.reason);
	fha_utf8_mend(request.setting.value);
	ConditionVariablePrepareToSleep(&fawkes_shared->snapshot_changed);
	while (!lay_down(&request))
	{
		long left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		if (left_ms <= 0)
			ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
							errmsg("another request is on its way to the agent"),
							errdetail("This one was not given to it in all the time."),
							errhint("Look into the server's log for what the agent waits for.")));
		(void) ConditionVariableTimedSleep(&fawkes_shared->snapshot_changed,
										   Min(left_ms, LOOK_AGAIN_MS), PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
	ConditionVariableCancelSleep();
}

/* A request that the agent has not taken yet is taken back.  False: it is under way. */
static bool
take_back_request(const char *id)
{
	bool found;

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	found = fawkes_shared->request.kind != FHA_REQUEST_NONE &&
			strcmp(fawkes_shared->request.id, id) == 0;
	if (found)
		fawkes_shared->request.kind = FHA_REQUEST_NONE;
	LWLockRelease(fawkes_shared->lock);
	return found;
}

static void
take_back_at_error(int code, Datum id)
{
	(void) take_back_request(DatumGetCString(id));
}

/* A history that a member of 1.1 wrote has no states: its sentences begin with them. */
static FhaRequestState
state_in_1_1(const char *result)
{
	return strncmp(result, "failed: ", 8) == 0 ? FHA_REQUEST_FAILED : FHA_REQUEST_DONE;
}

static void
end_answer(Answer *answer, FhaRequestState state)
{
	answer->failed = state == FHA_REQUEST_FAILED;
	answer->done = state > FHA_REQUEST_RUNNING;
}

/* In the cluster's record while it is the latest request, in its history afterwards. */
static void
find_answer(const FhaSnapshot *snapshot, const char *id, Answer *answer)
{
	const FhaRequest *request = &snapshot->cluster.request;

	if (snapshot->known && request->kind != FHA_REQUEST_NONE && strcmp(request->id, id) == 0)
	{
		end_answer(answer, request->state);
		answer->message = pstrdup(request->message);
		return;
	}
	for (size_t i = snapshot->history_count; i > 0; i--)
	{
		const FhaHistoryEntry *entry = &snapshot->history[i - 1];
		const char *result = entry->result;
		const char *message = strchr(result, ' ');

		if (strcmp(entry->request, id) != 0)
			continue;
		end_answer(answer,
				   entry->state == FHA_REQUEST_PENDING ? state_in_1_1(result) : entry->state);
		if (message != NULL)
			answer->message = pstrdup(message + 1);
		return;
	}
}

/* The agent could not enter it into the record, and said why.  message: in the current memory context. */
static void
find_refusal(const char *id, Answer *answer)
{
	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	for (int i = 0; i < REFUSALS; i++)
		if (strcmp(fawkes_shared->refusals[i].request, id) == 0)
		{
			answer->done = answer->failed = true;
			answer->message = pstrdup(fawkes_shared->refusals[i].why);
		}
	LWLockRelease(fawkes_shared->lock);
}

static void
wait_for_answer(const char *id, TimestampTz end, Answer *answer)
{
	MemoryContext turn =
		AllocSetContextCreate(CurrentMemoryContext, "fawkes_ha answer", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(turn);
	uint64 seen = 0;

	ConditionVariablePrepareToSleep(&fawkes_shared->snapshot_changed);
	for (;;)
	{
		long left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		uint64 count;
		FhaSnapshot *snapshot = sql_snapshot(&count);

		if (snapshot != NULL && count != seen)
			find_answer(snapshot, id, answer);
		if (!answer->done)
			find_refusal(id, answer);
		seen = count;
		if (answer->done || left_ms <= 0)
			break;
		MemoryContextReset(turn);
		(void) ConditionVariableTimedSleep(&fawkes_shared->snapshot_changed,
										   Min(left_ms, LOOK_AGAIN_MS), PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
	ConditionVariableCancelSleep();
	MemoryContextSwitchTo(caller);
}

static void
raise_timeout(const char *kind, int wait_seconds, bool taken_back)
{
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("%s was not answered within %d s", kind, wait_seconds),
			 taken_back ? errdetail("The agent had not taken the request, which is withdrawn.")
						: errdetail("The request stands and may still be carried out."),
			 taken_back ? errhint("Look into the server's log for what the agent waits for.")
						: errhint("SELECT fawkes_ha.snapshot() -> 'cluster' -> 'request' shows its "
								  "state.")));
}

/* What the records show of the cluster, as the library knows it; palloc'ed. */
static FhaSnapshot *
sql_read_cluster(void)
{
	uint64 count;
	FhaSnapshot *snapshot = sql_snapshot(&count);

	if (snapshot == NULL || !snapshot->known)
		raise_no_agent();
	return snapshot;
}

static void
sql_refuse(const char *kind, int sqlstate, const char *reason, const char *hint)
{
	ereport(ERROR, (errcode(sqlstate), errmsg("%s was refused: %s", kind, reason),
					hint == NULL ? 0 : errhint("%s", hint)));
}

/* Errors for what the records already show to be wrong; what takes a decision is the leader's. */
static void
sql_check(const FhaSnapshot *view, const FhaRequest *request, bool force, char *plan)
{
	const char *kind = fha_request_kind_name(request->kind);
	FhaError error;

	if (fha_request_check(&view->cluster, view->members, view->member_count, guc_lock, request,
						  plan, &error) != FHA_OK)
		sql_refuse(kind, ERRCODE_INVALID_PARAMETER_VALUE, error.text,
				   "fawkes_ha.members shows the members and what they are.");
	if (fha_request_is_done_at_once(request->kind))
		return;
	if (request->kind == FHA_REQUEST_FAILOVER)
	{
		if (!view->lease_is_free && !force)
			sql_refuse(kind, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					   psprintf("%s holds the lease", view->cluster.holder),
					   "fawkes_ha.switchover() moves its role; force => true takes it away.");
	}
	else if (view->lease_is_free)
		sql_refuse(kind, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				   "nobody holds the lease, so nobody can see to it",
				   "fawkes_ha.failover() makes a standby lead.");
}

static char *
sql_carry_out(FhaRequest *request, int wait_seconds, bool dry_run, bool force)
{
	const char *kind = fha_request_kind_name(request->kind);
	Answer answer = {false, false, NULL};
	const FhaSnapshot *view;
	char plan[FHA_PLAN_SIZE];
	char warning[FHA_PLAN_SIZE];
	FhaError error;
	TimestampTz end;

	if (wait_seconds < 1 || wait_seconds > WAIT_SECONDS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("wait_seconds = %d is out of range", wait_seconds),
						errdetail("1 to %d is allowed.", WAIT_SECONDS_MAX)));
	view = sql_read_cluster();
	sql_check(view, request, force, plan);
	if (fha_request_warning(&view->cluster, view->members, view->member_count, request, warning))
		ereport(WARNING, errmsg("%s", warning),
				errhint("A restart of that member gives it as much."));
	if (dry_run)
		return psprintf("would do: %s", plan);
	if (fha_random_hex(request->id, sizeof(request->id), &error) != FHA_OK)
		fha_report(ERROR, &error);
	request->state = FHA_REQUEST_PENDING;
	request->time_limit_ms = (int64) wait_seconds * 1000;
	strlcpy(request->requested_by, GetUserNameFromId(GetSessionUserId(), false),
			sizeof(request->requested_by));
	fha_wall_time(request->requested_at, sizeof(request->requested_at));

	end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) wait_seconds * 1000);
	sql_put_request(request, end);
	/* A cancelled wait must not leave a request behind that nobody has begun. */
	PG_ENSURE_ERROR_CLEANUP(take_back_at_error, CStringGetDatum(request->id));
	{
		wait_for_answer(request->id, end, &answer);
	}
	PG_END_ENSURE_ERROR_CLEANUP(take_back_at_error, CStringGetDatum(request->id));

	if (!answer.done)
		raise_timeout(kind, wait_seconds, take_back_request(request->id));
	if (answer.failed)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("%s was not carried out: %s", kind,
							   answer.message != NULL ? answer.message : "no reason was given")));
	return answer.message != NULL ? answer.message : pstrdup("done");
}

/* An argument of type text into a field of fixed size; NULL counts as "". */
static void
sql_take_text(FunctionCallInfo fcinfo, int number, const char *name, char *out, size_t size)
{
	char *given;

	out[0] = '\0';
	if (number < 0 || PG_ARGISNULL(number))
		return;
	given = text_to_cstring(PG_GETARG_TEXT_PP(number));
	if (strlen(given) >= size)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is too long", name),
						errdetail("At most %zu bytes are allowed.", size - 1)));
	strlcpy(out, given, size);
}

static bool
sql_is_true(FunctionCallInfo fcinfo, int number)
{
	return PG_NARGS() > number && !PG_ARGISNULL(number) && PG_GETARG_BOOL(number);
}

static int
wait_of(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? 60 : PG_GETARG_INT32(number);
}

/* (member, wait_seconds, reason [, dry_run [, force]]) from argument `first` on; dry: one that comes before. */
static Datum
ask_about_member(FunctionCallInfo fcinfo, FhaRequestKind kind, int first, bool dry)
{
	FhaRequest request = {.kind = kind};

	sql_take_text(fcinfo, first, "the member's name", request.target, sizeof(request.target));
	sql_take_text(fcinfo, first + 2, "the reason", request.reason, sizeof(request.reason));
	PG_RETURN_TEXT_P(cstring_to_text(sql_carry_out(&request, wait_of(fcinfo, first + 1),
												   dry || sql_is_true(fcinfo, first + 3),
												   sql_is_true(fcinfo, first + 4))));
}

/* (reason, wait_seconds), as above */
static Datum
ask_about_cluster(FunctionCallInfo fcinfo, FhaRequestKind kind, int first, bool dry)
{
	FhaRequest request = {.kind = kind};

	sql_take_text(fcinfo, first, "the reason", request.reason, sizeof(request.reason));
	PG_RETURN_TEXT_P(
		cstring_to_text(sql_carry_out(&request, wait_of(fcinfo, first + 1), dry, false)));
}

/* PostgreSQL's own settings are PostgreSQL's to judge; it raises the error. */
static void
check_value(const FhaSetting *setting)
{
	if (GetConfigOption(setting->name, true, false) == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("unrecognized configuration parameter \"%s\"", setting->name)));
	(void) set_config_option(setting->name, setting->value, PGC_POSTMASTER, PGC_S_TEST,
							 GUC_ACTION_SET, false, ERROR, false);
}

/*
 * archive_command and its kin are run by the operating system's user, so the right to call this is
 * not enough: what ALTER SYSTEM asks for is asked for here.
 */
static void
check_right(const char *setting)
{
	if (superuser() || pg_parameter_aclcheck(setting, GetUserId(), ACL_ALTER_SYSTEM) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set parameter \"%s\" for all members", setting),
			 errdetail("It takes what ALTER SYSTEM takes, because a setting may run programs."),
			 errhint("GRANT ALTER SYSTEM ON PARAMETER %s TO %s.", quote_identifier(setting),
					 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* (name, value, wait_seconds, reason); reset: (name, wait_seconds, reason); as above */
static Datum
ask_about_setting(FunctionCallInfo fcinfo, FhaRequestKind kind, int first, bool dry)
{
	FhaRequest request = {.kind = kind};
	bool reset = kind == FHA_REQUEST_RESET;
	int next = first + (reset ? 1 : 2);
	char name[FHA_SETTING_NAME_SIZE];
	char value[FHA_SETTING_VALUE_SIZE] = "";
	FhaError error;

	sql_take_text(fcinfo, first, "the setting's name", name, sizeof(name));
	if (!reset)
		sql_take_text(fcinfo, first + 1, "the value", value, sizeof(value));
	sql_take_text(fcinfo, next + 1, "the reason", request.reason, sizeof(request.reason));
	if (fha_request_setting(reset ? name : psprintf("%s=%s", name, value), reset, &request.setting,
							&error) != FHA_OK)
		sql_refuse(fha_request_kind_name(kind), ERRCODE_INVALID_PARAMETER_VALUE, error.text, NULL);
	check_right(request.setting.name);
	if (!reset)
		check_value(&request.setting);
	PG_RETURN_TEXT_P(cstring_to_text(sql_carry_out(&request, wait_of(fcinfo, next), dry, false)));
}

Datum
fawkes_ha_switchover(PG_FUNCTION_ARGS)
{
	return ask_about_member(fcinfo, FHA_REQUEST_SWITCHOVER, 0, false);
}

Datum
fawkes_ha_failover(PG_FUNCTION_ARGS)
{
	return ask_about_member(fcinfo, FHA_REQUEST_FAILOVER, 0, false);
}

Datum
fawkes_ha_restart(PG_FUNCTION_ARGS)
{
	return ask_about_member(fcinfo, FHA_REQUEST_RESTART, 0, false);
}

Datum
fawkes_ha_reinit(PG_FUNCTION_ARGS)
{
	return ask_about_member(fcinfo, FHA_REQUEST_REINIT, 0, false);
}

Datum
fawkes_ha_rejoin(PG_FUNCTION_ARGS)
{
	return ask_about_member(fcinfo, FHA_REQUEST_REJOIN, 0, false);
}

Datum
fawkes_ha_remove_member(PG_FUNCTION_ARGS)
{
	return ask_about_member(fcinfo, FHA_REQUEST_REMOVE, 0, false);
}

Datum
fawkes_ha_pause(PG_FUNCTION_ARGS)
{
	return ask_about_cluster(fcinfo, FHA_REQUEST_PAUSE, 0, false);
}

Datum
fawkes_ha_resume(PG_FUNCTION_ARGS)
{
	return ask_about_cluster(fcinfo, FHA_REQUEST_RESUME, 0, false);
}

Datum
fawkes_ha_set_setting(PG_FUNCTION_ARGS)
{
	return ask_about_setting(fcinfo, FHA_REQUEST_SET, 0, false);
}

Datum
fawkes_ha_reset_setting(PG_FUNCTION_ARGS)
{
	return ask_about_setting(fcinfo, FHA_REQUEST_RESET, 0, false);
}

/* The same with dry_run before the others: overloads, so that grants on the former stay. */

Datum
fawkes_ha_try_switchover(PG_FUNCTION_ARGS)
{
	return ask_about_member(fcinfo, FHA_REQUEST_SWITCHOVER, 1, sql_is_true(fcinfo, 0));
}

Datum
fawkes_ha_try_pause(PG_FUNCTION_ARGS)
{
	return ask_about_cluster(fcinfo, FHA_REQUEST_PAUSE, 1, sql_is_true(fcinfo, 0));
}

Datum
fawkes_ha_try_resume(PG_FUNCTION_ARGS)
{
	return ask_about_cluster(fcinfo, FHA_REQUEST_RESUME, 1, sql_is_true(fcinfo, 0));
}

Datum
fawkes_ha_try_set_setting(PG_FUNCTION_ARGS)
{
	return ask_about_setting(fcinfo, FHA_REQUEST_SET, 1, sql_is_true(fcinfo, 0));
}

Datum
fawkes_ha_try_reset_setting(PG_FUNCTION_ARGS)
{
	return ask_about_setting(fcinfo, FHA_REQUEST_RESET, 1, sql_is_true(fcinfo, 0));
}
