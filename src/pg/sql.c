/*
 * sql.c: what SQL asks, answered from the snapshot that the agent publishes, and from the fence.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/pg_lsn.h"

#include "base/clock.h"
#include "core/decide.h"
#include "pg/compat.h"
#include "pg/published.h"
#include "pg/report.h"
#include "pg/shmem.h"
#include "pg/sql.h"

PG_FUNCTION_INFO_V1(fawkes_ha_snapshot);
PG_FUNCTION_INFO_V1(fawkes_ha_fence);
PG_FUNCTION_INFO_V1(fawkes_ha_rules);
PG_FUNCTION_INFO_V1(fawkes_ha_rule_id);
PG_FUNCTION_INFO_V1(fawkes_ha_boottime_ms);

FhaSnapshot *
sql_snapshot(uint64 *count)
{
	FhaSnapshot *snapshot;

	*count = 0;
	if (fawkes_shared == NULL || *(volatile pid_t *) &fawkes_shared->agent_pid == 0)
		return NULL;
	snapshot = palloc(sizeof(*snapshot));
	if (published_read(snapshot, count))
		return snapshot;
	pfree(snapshot);
	return NULL;
}

Datum
fawkes_ha_snapshot(PG_FUNCTION_ARGS)
{
	uint64 count;
	FhaSnapshot *snapshot = sql_snapshot(&count);
	char *printed;
	char *text;
	FhaError error;

	if (snapshot == NULL)
		PG_RETURN_NULL();
	if (fha_snapshot_print(snapshot, &printed, &error) != FHA_OK)
		fha_report(ERROR, &error);
	pfree(snapshot);
	text = MemoryContextStrdup(CurrentMemoryContext, printed);
	free(printed);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
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
fawkes_ha_boottime_ms(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(fha_now_ms());
}

Datum
fawkes_ha_rules(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (size_t i = 0; i < fha_rule_count(); i++)
	{
		const FhaRule *rule = fha_rule(i);
		char when[FHA_FACTS_SIZE];
		char unless[FHA_FACTS_SIZE];
		Datum values[7];
		bool nulls[7] = {false};

		fha_facts_print(rule->when, when, sizeof(when));
		fha_facts_print(rule->unless, unless, sizeof(unless));
		values[0] = Int32GetDatum((int32) i + 1);
		values[1] = CStringGetTextDatum(when);
		values[2] = CStringGetTextDatum(unless);
		values[3] = CStringGetTextDatum(fha_lease_action_name(rule->lease));
		values[4] = CStringGetTextDatum(fha_fence_action_name(rule->fence));
		values[5] = CStringGetTextDatum(fha_node_action_name(rule->node));
		values[6] = CStringGetTextDatum(rule->because);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Apart, because the row of rules() cannot grow without dropping what is made of it. */
Datum
fawkes_ha_rule_id(PG_FUNCTION_ARGS)
{
	int32 position = PG_GETARG_INT32(0);

	if (position < 1 || (size_t) position > fha_rule_count())
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(fha_rule((size_t) position - 1)->id));
}
