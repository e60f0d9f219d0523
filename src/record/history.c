/*
 * history.c: the history record.  See history.h.
 */
#include "record/history.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "record/fields.h"
#include "record/request.h"

/* What is known of the request, if it was one. */
static void
history_read_request(struct json_object *from, void *record, FhaError *err)
{
	FhaHistoryEntry *out = record;
	char state[FHA_WORD_SIZE] = "";

	fha_json_text(from, "request", out->request, sizeof(out->request), err);
	fha_json_text(from, "requested_by", out->requested_by, sizeof(out->requested_by), err);
	fha_json_text(from, "state", state, sizeof(state), err);
	(void) fha_request_state_parse(state, &out->state);
}

static void
history_put_request(struct json_object *to, const void *record, bool *failed)
{
	const FhaHistoryEntry *entry = record;

	if (entry->request[0] == '\0')
		return;
	fha_json_put_text(to, "request", entry->request, failed);
	fha_json_put_text(to, "requested_by", entry->requested_by, failed);
	/* One that has not ended is in no history: a member of 1.1 does not say. */
	if (entry->state != FHA_REQUEST_PENDING)
		fha_json_put_text(to, "state", fha_request_state_name(entry->state), failed);
}

static const FhaField rows[] = {
	FHA_FIELD(FhaHistoryEntry, TEXT, at),
	FHA_FIELD(FhaHistoryEntry, TEXT, event),
	FHA_FIELD(FhaHistoryEntry, U64, term),
	FHA_FIELD(FhaHistoryEntry, TIMELINE, timeline),
	FHA_FIELD(FhaHistoryEntry, TEXT, member),
	FHA_FIELD(FhaHistoryEntry, TEXT, from),
	FHA_FIELD(FhaHistoryEntry, TEXT, reason),
	FHA_FIELD_BY(history_read_request, history_put_request),
	FHA_OPTIONAL(FhaHistoryEntry, TEXT, result),
};
static const FhaFields fields = FHA_FIELDS(rows);

struct json_object *
fha_history_entry_object(const FhaHistoryEntry *entry, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_fields_put(object, &fields, entry, failed);
	return object;
}

FhaCode
fha_history_append(const char *cluster, const char *old, size_t old_size,
				   const FhaHistoryEntry *entry, char **out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *before = NULL;
	struct json_object *entries = NULL;
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();
	bool failed = false;
	size_t count = 0;

	*out = NULL;
	if (old != NULL)
	{
		before = fha_json_parse(old, old_size, &local);
		if (before != NULL)
		{
			fha_json_kind(before, "history", &local);
			entries = fha_json_array(before, "entries", FHA_HISTORY_MAX, &local);
		}
		if (local.code != FHA_OK)
			goto out;
		count = entries == NULL ? 0 : json_object_array_length(entries);
	}
	for (size_t i = count >= FHA_HISTORY_MAX ? count - FHA_HISTORY_MAX + 1 : 0; i < count; i++)
	{
		struct json_object *kept = fha_json_element(entries, i, "entries", &local);

		if (kept == NULL)
			goto out;
		fha_json_append(list, json_object_get(kept), &failed);
	}
	fha_json_append(list, fha_history_entry_object(entry, &failed), &failed);
	fha_json_put_text(object, "kind", "history", &failed);
	fha_json_put_text(object, "cluster", cluster, &failed);
	fha_json_put(object, "entries", list, &failed);
	*out = fha_json_finish(object, failed, &local);
	object = list = NULL;
out:
	json_object_put(object);
	json_object_put(list);
	json_object_put(before);
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

bool
fha_history_has(const char *data, size_t size, const FhaHistoryEntry *entry)
{
	FhaError err = {.code = FHA_OK};
	bool failed = false;
	bool found = false;
	struct json_object *sought = fha_history_entry_object(entry, &failed);
	struct json_object *record = fha_json_parse(data, size, &err);
	struct json_object *entries =
		record == NULL ? NULL : fha_json_array(record, "entries", FHA_HISTORY_MAX, &err);

	for (size_t i = 0;
		 !failed && !found && entries != NULL && i < json_object_array_length(entries); i++)
		found = json_object_equal(json_object_array_get_idx(entries, i), sought) != 0;
	json_object_put(record);
	json_object_put(sought);
	return found;
}

/* skips: entries that cannot be read are left out; else the first of them ends it. */
static FhaCode
history_entries(const char *data, size_t size, bool skips, FhaHistoryEntry *out, size_t *count,
				FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *record = fha_json_parse(data, size, &local);
	struct json_object *entries = NULL;

	*count = 0;
	if (record != NULL)
	{
		fha_json_kind(record, "history", &local);
		entries = fha_json_array(record, "entries", FHA_HISTORY_MAX, &local);
	}
	for (size_t i = 0;
		 local.code == FHA_OK && entries != NULL && i < json_object_array_length(entries); i++)
	{
		struct json_object *object = fha_json_element(entries, i, "entries", &local);
		FhaHistoryEntry *entry = &out[*count];

		memset(entry, 0, sizeof(*entry));
		if (object != NULL)
			fha_fields_read(object, &fields, entry, &local);
		if (object != NULL && (local.code == FHA_OK || !skips))
			(*count)++;
		if (skips && local.code == FHA_PROTOCOL)
			local.code = FHA_OK;
	}
	json_object_put(record);
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

FhaCode
fha_history_parse(const char *data, size_t size, FhaHistoryEntry *out, size_t *count, FhaError *err)
{
	return history_entries(data, size, false, out, count, err);
}

FhaCode
fha_history_glean(const char *data, size_t size, FhaHistoryEntry *out, size_t *count, FhaError *err)
{
	return history_entries(data, size, true, out, count, err);
}

void
fha_history_of_request(const FhaCluster *cluster, const FhaRequest *request, int64_t wall_ms,
					   FhaHistoryEntry *out)
{
	memset(out, 0, sizeof(*out));
	fha_wall_print(wall_ms, out->at, sizeof(out->at));
	(void) snprintf(out->event, sizeof(out->event), "%s", fha_request_kind_name(request->kind));
	(void) snprintf(out->member, sizeof(out->member), "%s", request->target);
	memcpy(out->request, request->id, sizeof(out->request));
	memcpy(out->requested_by, request->requested_by, sizeof(out->requested_by));
	memcpy(out->reason, request->reason, sizeof(out->reason));
	(void) snprintf(out->result, sizeof(out->result), "%s: %.180s",
					fha_request_state_name(request->state), request->message);
	out->state = request->state;
	out->term = cluster->term;
	out->timeline = cluster->timeline;
}
