/*
 * own_metrics.c: what fawkes_ha measures of itself, for SQL and for the exporter.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "clock.h"
#include "fence.h"
#include "own_metrics.h"
#include "shmem.h"

PG_FUNCTION_INFO_V1(fawkes_ha_own_metrics);

void
own_metrics_list(FhaMetricSink sink, void *argument)
{
	FhaVitals vitals;
	FhaFenceState fence;
	bool agent;

	if (fawkes_shared == NULL)
		return;
	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	vitals = fawkes_shared->vitals;
	agent = fawkes_shared->agent_pid != 0;
	LWLockRelease(fawkes_shared->lock);
	fence_state(&fence);
	fha_metrics_list(&vitals, &fence, agent, fha_now_ms(), sink, argument);
}

static void
push(JsonbParseState **state, JsonbIteratorToken token, const char *text)
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
		push(&state, WJB_KEY, metric->labels[i].name);
		push(&state, WJB_VALUE, metric->labels[i].value);
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
