/*
 * record_fuzz.c: the lock's records, and requests from SQL.
 *
 * Whatever is accepted is printed as something that is accepted too, and says the same: what a
 * member reads, changes and writes back must not spoil the record for the others.
 */
#include "test/fuzz/fuzz.h"

#include "base/json.h"
#include "lock/lock.h"
#include "record/history.h"
#include "record/record.h"
#include "record/request.h"
#include "record/snapshot.h"

static void
cluster(const char *text, size_t size)
{
	static FhaCluster first;
	static FhaCluster second;
	FhaError err;
	char *once;
	char *twice;

	if (fha_cluster_parse(text, size, &first, &err) != FHA_OK)
	{
		FUZZ_MUST(err.code == FHA_PROTOCOL && err.text[0] != '\0');
		return;
	}
	FUZZ_MUST(first.member_count <= FHA_MEMBERS_MAX && first.standby_count <= FHA_MEMBERS_MAX);
	FUZZ_MUST(first.lineage_count <= FHA_LINEAGE_MAX);
	FUZZ_MUST(first.lease_duration_ms >= 100 && first.lease_duration_ms <= 3600 * 1000);
	FUZZ_MUST(first.term != 0 && first.timeline != 0 && first.holder[0] != '\0');
	FUZZ_MUST(fha_cluster_print(&first, &once, &err) == FHA_OK);
	FUZZ_MUST(fha_cluster_parse(once, strlen(once), &second, &err) == FHA_OK);
	FUZZ_MUST(fha_cluster_print(&second, &twice, &err) == FHA_OK);
	FUZZ_MUST(strcmp(once, twice) == 0);
	free(once);
	free(twice);
}

static void
member(const char *text, size_t size)
{
	static FhaMember first;
	static FhaMember second;
	FhaError err;
	char *once;
	char *twice;

	if (fha_member_parse(text, size, &first, &err) != FHA_OK)
	{
		FUZZ_MUST(err.code == FHA_PROTOCOL && err.text[0] != '\0');
		return;
	}
	FUZZ_MUST(first.member[0] != '\0' && first.cluster[0] != '\0');
	FUZZ_MUST(fha_member_print(&first, &once, &err) == FHA_OK);
	FUZZ_MUST(fha_member_parse(once, strlen(once), &second, &err) == FHA_OK);
	FUZZ_MUST(fha_member_print(&second, &twice, &err) == FHA_OK);
	FUZZ_MUST(strcmp(once, twice) == 0);
	free(once);
	free(twice);
}

/* Entries behind "entries", without the library's own opinion of the rest. */
static size_t
entry_count(const char *text)
{
	struct json_object *object = fha_json_parse(text, strlen(text), NULL);
	struct json_object *entries = NULL;
	size_t count;

	FUZZ_MUST(object != NULL && json_object_object_get_ex(object, "entries", &entries));
	count = json_object_array_length(entries);
	json_object_put(object);
	return count;
}

static void
history(const char *text, size_t size)
{
	const FhaHistoryEntry entry = {.at = "2026-11-22T20:24:15.123Z",
								   .event = "failover",
								   .member = "n2",
								   .from = "n1",
								   .reason = "the lease had lapsed",
								   .term = 7,
								   .timeline = 7};
	static FhaHistoryEntry entries[FHA_HISTORY_MAX];
	size_t count = 0;
	FhaError err;
	char *once;
	char *twice;

	if (fha_history_append("db-demo-dev", text, size, &entry, &once, &err) != FHA_OK)
	{
		FUZZ_MUST(err.code == FHA_PROTOCOL && err.text[0] != '\0' && once == NULL);
		return;
	}
	FUZZ_MUST(fha_history_parse(once, strlen(once), entries, &count, &err) != FHA_OK ||
			  count <= FHA_HISTORY_MAX);
	FUZZ_MUST(entry_count(once) >= 1 && entry_count(once) <= FHA_HISTORY_MAX);
	FUZZ_MUST(fha_history_append("db-demo-dev", once, strlen(once), &entry, &twice, &err) ==
			  FHA_OK);
	FUZZ_MUST(entry_count(twice) == entry_count(once) + 1 || entry_count(twice) == FHA_HISTORY_MAX);
	free(once);
	free(twice);
}

/* What could be read of the lock stands in the snapshot, which must stay one JSON object. */
static void
snapshot(const char *text, size_t size)
{
	static FhaSnapshot snapshot;
	struct json_object *object;
	FhaError err;
	char *out;

	memset(&snapshot, 0, sizeof(snapshot));
	snapshot.decision = "hold";
	snapshot.because = "this standby follows";
	snapshot.known = fha_cluster_parse(text, size, &snapshot.cluster, &err) == FHA_OK;
	snapshot.member_count = fha_member_parse(text, size, &snapshot.members[0], &err) == FHA_OK;
	(void) !fha_history_glean(text, size, snapshot.history, &snapshot.history_count, &err);
	FUZZ_MUST(fha_snapshot_print(&snapshot, &out, &err) == FHA_OK);
	object = json_tokener_parse(out);
	FUZZ_MUST(json_object_is_type(object, json_type_object));
	json_object_put(object);
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > FHA_RECORD_DATA_MAX)
		return 0;
	text = fuzz_string(data, size);
	cluster(text, size);
	member(text, size);
	history(text, size);
	snapshot(text, size);
	free(text);
	return 0;
}
