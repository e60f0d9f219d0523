/*
 * sql.c: the functions that SQL calls.
 *
 * Questions are answered from the snapshot that the agent publishes, read by
 * PostgreSQL's own jsonb.  Orders are handed to the agent, which puts them into
 * the cluster's record for whoever leads; then we wait for the answer to return
 * the same way.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "clock.h"
#include "compat.h"
#include "decide.h"
#include "guc.h"
#include "report.h"
#include "shmem.h"

PG_FUNCTION_INFO_V1(fawkes_ha_snapshot);
PG_FUNCTION_INFO_V1(fawkes_ha_fence);
PG_FUNCTION_INFO_V1(fawkes_ha_rules);
PG_FUNCTION_INFO_V1(fawkes_ha_switchover);
PG_FUNCTION_INFO_V1(fawkes_ha_failover);

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

/* The published document; NULL when there is none.  *count: which one it is. */
static Jsonb *
read_snapshot(uint64 *count)
{
	char *text = NULL;

	*count = 0;
	if (fawkes_shared == NULL)
		return NULL;
	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	*count = fawkes_shared->snapshot_count;
	if (fawkes_shared->agent_pid != 0 && fawkes_shared->snapshot_size > 0)
		text = pnstrdup(fawkes_shared->snapshot, fawkes_shared->snapshot_size);
	LWLockRelease(fawkes_shared->lock);
	if (text == NULL)
		return NULL;
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/* A key's text in an object; NULL when there is no such text. */
static char *
text_of(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	if (object == NULL || !JsonContainerIsObject(object) ||
		getKeyJsonValueFromContainer(object, key, strlen(key), &value) == NULL ||
		value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

/* A key's object or array; NULL when there is none. */
static JsonbContainer *
container_of(JsonbContainer *object, const char *key)
{
	JsonbValue value;

	if (object == NULL || !JsonContainerIsObject(object) ||
		getKeyJsonValueFromContainer(object, key, strlen(key), &value) == NULL ||
		value.type != jbvBinary)
		return NULL;
	return value.val.binary.data;
}

Datum
fawkes_ha_snapshot(PG_FUNCTION_ARGS)
{
	uint64 count;
	Jsonb *snapshot = read_snapshot(&count);

	if (snapshot == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(snapshot);
}

Datum
fawkes_ha_fence(PG_FUNCTION_ARGS)
{
	TupleDesc description;
	Datum values[3];
	bool nulls[3] = {false, false, false};

	if (fawkes_shared == NULL)
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &description) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = BoolGetDatum(fence_is_open());
	values[1] = Int64GetDatum(fence_left_ms());
	values[2] = LSNGetDatum(fence_acked_lsn());
	nulls[2] = fence_acked_lsn() == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(description), values, nulls)));
}

Datum
fawkes_ha_rules(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (size_t i = 0; i < fha_rule_count(); i++)
	{
		const FhaRule *rule = fha_rule(i);
		char when[1024];
		char unless[1024];
		Datum values[7];
		bool nulls[7] = {false};

		fha_facts_print(rule->when, when, sizeof(when));
		fha_facts_print(rule->unless, unless, sizeof(unless));
		values[0] = Int32GetDatum((int32) i + 1);
		values[1] = CStringGetTextDatum(when);
		values[2] = CStringGetTextDatum(unless);
		values[3] = CStringGetTextDatum(fha_lease_order_name(rule->lease));
		values[4] = CStringGetTextDatum(fha_fence_order_name(rule->fence));
		values[5] = CStringGetTextDatum(fha_node_order_name(rule->node));
		values[6] = CStringGetTextDatum(rule->because);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Is the name in the cluster's list of members?  *list: all of them, for people. */
static bool
is_member(JsonbContainer *members, const char *name, char **list)
{
	StringInfoData names;
	bool found = false;
	uint32 count =
		members != NULL && JsonContainerIsArray(members) ? JsonContainerSize(members) : 0;

	initStringInfo(&names);
	for (uint32 i = 0; i < count; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(members, i);
		char *member;

		if (value == NULL || value->type != jbvString)
			continue;
		member = pnstrdup(value->val.string.val, value->val.string.len);
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", member);
		found = found || strcmp(member, name) == 0;
	}
	*list = names.data;
	return found;
}

/* Errors for what the record already shows to be wrong; what takes a decision is the leader's. */
static void
check_target(JsonbContainer *cluster, const char *kind, const char *target)
{
	char *holder = text_of(cluster, "holder");
	char *list;

	if (target[0] == '\0')
		return;
	if (!is_member(container_of(cluster, "members"), target, &list))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("there is no member \"%s\" in the cluster", target),
						errdetail("The members are: %s.", list),
						errhint("Name one of them, or none for the best standby.")));
	if (holder != NULL && strcmp(holder, target) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("member \"%s\" is the primary already", target),
				 errhint("Name another member for the %s, or none for the best standby.", kind)));
}

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

/* Hand a request to the agent; it takes one at a time. */
static void
put_request(const char *kind, const char *id, const char *target)
{
	StringInfoData text;
	char at[32];
	bool busy;
	bool is_gone;

	fha_wall_time(at, sizeof(at));
	initStringInfo(&text);
	appendStringInfo(&text, "{\"id\":\"%s\",\"kind\":\"%s\",\"target\":", id, kind);
	escape_json(&text, target);
	appendStringInfoString(&text, ",\"requested_by\":");
	escape_json(&text, GetUserNameFromId(GetSessionUserId(), false));
	appendStringInfo(&text, ",\"requested_at\":\"%s\"}", at);
	if (text.len >= REQUEST_SIZE)
		elog(ERROR, "request of %d bytes is too long", text.len);

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	is_gone = fawkes_shared->agent_latch == NULL;
	busy = fawkes_shared->request[0] != '\0';
	if (!busy && !is_gone)
	{
		memcpy(fawkes_shared->request, text.data, text.len + 1);
		SetLatch(fawkes_shared->agent_latch);
	}
	LWLockRelease(fawkes_shared->lock);
	if (is_gone)
		raise_no_agent();
	if (busy)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("another request is on its way to the agent"),
						errhint("Try again in a moment.")));
}

/* A request that the agent has not taken yet is taken back.  False: it is under way. */
static bool
take_back_request(const char *id)
{
	bool found;

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	found = strstr(fawkes_shared->request, id) != NULL;
	if (found)
		fawkes_shared->request[0] = '\0';
	LWLockRelease(fawkes_shared->lock);
	return found;
}

static void
take_back_at_error(int code, Datum id)
{
	(void) take_back_request(DatumGetCString(id));
}

/* In the cluster's record while it is the latest request, in its history afterwards. */
static void
find_answer(Jsonb *snapshot, const char *id, Answer *answer)
{
	JsonbContainer *request = container_of(container_of(&snapshot->root, "cluster"), "request");
	JsonbContainer *history = container_of(&snapshot->root, "history");
	char *seen = text_of(request, "id");

	if (seen != NULL && strcmp(seen, id) == 0)
	{
		char *state = text_of(request, "state");

		answer->failed = state != NULL && strcmp(state, "failed") == 0;
		answer->done = answer->failed || (state != NULL && strcmp(state, "done") == 0);
		answer->message = text_of(request, "message");
		return;
	}
	for (uint32 i = history != NULL && JsonContainerIsArray(history) ? JsonContainerSize(history)
																	 : 0;
		 i > 0; i--)
	{
		JsonbValue *entry = getIthJsonbValueFromContainer(history, i - 1);
		char *entry_id;

		if (entry == NULL || entry->type != jbvBinary)
			continue;
		entry_id = text_of(entry->val.binary.data, "request");
		if (entry_id != NULL && strcmp(entry_id, id) == 0)
		{
			answer->done = true;
			answer->message = text_of(entry->val.binary.data, "reason");
			return;
		}
	}
}

static void
wait_for_answer(const char *id, int wait_seconds, Answer *answer)
{
	TimestampTz end =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) wait_seconds * 1000);
	MemoryContext turn =
		AllocSetContextCreate(CurrentMemoryContext, "fawkes_ha answer", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(turn);
	uint64 seen = 0;

	ConditionVariablePrepareToSleep(&fawkes_shared->snapshot_changed);
	for (;;)
	{
		long left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);
		uint64 count;
		Jsonb *snapshot = read_snapshot(&count);

		if (snapshot != NULL && count != seen)
			find_answer(snapshot, id, answer);
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

static Datum
request(FunctionCallInfo fcinfo, const char *kind)
{
	const char *target = PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0));
	int wait_seconds = PG_ARGISNULL(1) ? 60 : PG_GETARG_INT32(1);
	Answer answer = {false, false, NULL};
	char id[17];
	FhaError error;
	uint64 count;
	Jsonb *snapshot = read_snapshot(&count);

	if (wait_seconds < 1 || wait_seconds > WAIT_SECONDS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("wait_seconds = %d is out of range", wait_seconds),
						errdetail("1 to %d is allowed.", WAIT_SECONDS_MAX)));
	if (snapshot == NULL || container_of(&snapshot->root, "cluster") == NULL)
		raise_no_agent();
	check_target(container_of(&snapshot->root, "cluster"), kind, target);
	if (fha_random_hex(id, sizeof(id), &error) != FHA_OK)
		fha_report(ERROR, &error);

	put_request(kind, id, target);
	/* A cancelled wait must not leave a request behind that nobody has begun. */
	PG_ENSURE_ERROR_CLEANUP(take_back_at_error, CStringGetDatum(id));
	{
		wait_for_answer(id, wait_seconds, &answer);
	}
	PG_END_ENSURE_ERROR_CLEANUP(take_back_at_error, CStringGetDatum(id));

	if (!answer.done)
		raise_timeout(kind, wait_seconds, take_back_request(id));
	if (answer.failed)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("%s was not carried out: %s", kind,
							   answer.message != NULL ? answer.message : "no reason was given")));
	PG_RETURN_TEXT_P(cstring_to_text(answer.message != NULL ? answer.message : "done"));
}

Datum
fawkes_ha_switchover(PG_FUNCTION_ARGS)
{
	return request(fcinfo, "switchover");
}

Datum
fawkes_ha_failover(PG_FUNCTION_ARGS)
{
	return request(fcinfo, "failover");
}
