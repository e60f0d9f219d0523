/*
 * own_metrics.c: what fawkes_ha measures of itself, for SQL and for the exporter.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "base/clock.h"
#include "pg/fence.h"
#include "pg/own_metrics.h"
#include "pg/shmem.h"

PG_FUNCTION_INFO_V1(fawkes_ha_own_metrics);

void
own_metrics_publish(const FhaVitals *vitals)
{
	uint64 count = pg_atomic_read_u64(&fawkes_shared->vitals_count) + 1;

	pg_write_barrier(); /* the last count is seen before anything of these */
	fawkes_shared->vitals[count % 2] = *vitals;
	pg_write_barrier();
	pg_atomic_write_u64(&fawkes_shared->vitals_count, count);
}

bool
own_metrics_read(FhaVitals *vitals, FhaFenceState *fence, bool *agent)
{
	uint64 count;

	if (fawkes_shared == NULL)
		return false;
	/* What was copied is whole unless the agent ended a turn meanwhile. */
	do
	{
		count = pg_atomic_read_u64(&fawkes_shared->vitals_count);
		pg_read_barrier();
		*vitals = fawkes_shared->vitals[count % 2];
		pg_read_barrier();
	} while (pg_atomic_read_u64(&fawkes_shared->vitals_count) != count);
	*agent = *(volatile pid_t *) &fawkes_shared->agent_pid != 0;
	fence_state(fence);
	return true;
}

void
own_metrics_list(FhaMetricSink sink, void *argument)
{
	FhaVitals vitals;
	FhaFenceState fence;
	bool agent;

	if (own_metrics_read(&vitals, &fence, &agent))
		fha_metrics_list(&vitals, &fence, agent, fha_now_ms(), sink, argument);
}

static void
json_push(JsonbParseState **state, JsonbIteratorToken token, const char *text)
{
	JsonbValue value = {.type = jbvString};

	value.val.string.val = unconstify(char *, text);
	value.val.string.len = (int) strlen(text);
	pushJsonbValue(state, token, &value);
}

static Datum
labels_of(const FhaMetric *metric)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (size_t i = 0; i < metric->label_count; i++)
	{
		json_push(&state, WJB_KEY, metric->labels[i].name);
		json_push(&state, WJB_VALUE, metric->labels[i].value);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

static void
put_row(void *argument, const FhaMetric *metric)
{
	ReturnSetInfo *result = argument;
	bool nulls[5] = {false};
	Datum values[5];

	values[0] = CStringGetTextDatum(psprintf("%s%s", metric->family, metric->suffix));
	values[1] = CStringGetTextDatum(metric->type);
	values[2] = CStringGetTextDatum(metric->help);
	values[3] = labels_of(metric);
	values[4] = Float8GetDatum(metric->value);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

Datum
fawkes_ha_own_metrics(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	own_metrics_list(put_row, fcinfo->resultinfo);
	return (Datum) 0;
}
