/*
 * schedule_fuzz.c: a schedule and a policy of retention, as a user writes them.
 */
#include "test/fuzz/fuzz.h"

#include "core/calendar.h"
#include "core/cron.h"
#include "core/retention_policy.h"

#define AFTER_S INT64_C(1796000000)

static void
check_schedule(const char *text)
{
	FhaCron cron;
	char why[FHA_SENTENCE_SIZE];
	int64_t next;

	if (!fha_cron_parse(text, &cron, why))
	{
		FUZZ_MUST(why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
		return;
	}
	next = fha_cron_next(&cron, AFTER_S);
	FUZZ_MUST(next == -1 || next > AFTER_S);
	/* It is a time of the schedule, and the first one. */
	if (next != -1 && cron.every_s == 0)
		FUZZ_MUST(fha_cron_next(&cron, next - 1) == next);
	FUZZ_MUST(fha_cron_next(&cron, INT64_MAX) == -1);
	FUZZ_MUST(fha_cron_next(&cron, INT64_MIN) == -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	FhaRetentionPolicy policy;
	char why[FHA_SENTENCE_SIZE];

	check_schedule(text);
	if (fha_retention_policy_parse(text, &policy, why))
		FUZZ_MUST(policy.window_s == 0 || policy.count == 0);
	else
		FUZZ_MUST(why[0] != '\0');
	free(text);
	return 0;
}
