/*
 * snapshot_text.h: a snapshot of its JSON, for tests that are given one as text.
 *
 * By json-c and by what the library exports: a module of PostgreSQL includes it, too.
 */
#ifndef FHA_SNAPSHOT_TEXT_H
#define FHA_SNAPSHOT_TEXT_H

#include <string.h>

#include <json-c/json.h>

#include "record/history.h"
#include "record/record.h"
#include "record/snapshot.h"

/* NULL: there is none. */
static struct json_object *
snapshot_key(struct json_object *from, const char *key)
{
	struct json_object *value = NULL;

	if (json_object_is_type(from, json_type_object))
		(void) json_object_object_get_ex(from, key, &value);
	return value;
}

static int64_t
snapshot_number(struct json_object *from, const char *key, int64_t missing)
{
	struct json_object *value = snapshot_key(from, key);

	return value == NULL ? missing : json_object_get_int64(value);
}

static size_t
snapshot_count(struct json_object *array)
{
	return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

/* False: it names no member. */
static bool
snapshot_name(struct json_object *from, const char *key, char out[FHA_NAME_SIZE])
{
	struct json_object *name = snapshot_key(from, key);

	if (!json_object_is_type(name, json_type_string) ||
		(size_t) json_object_get_string_len(name) >= FHA_NAME_SIZE)
		return false;
	memcpy(out, json_object_get_string(name), (size_t) json_object_get_string_len(name) + 1);
	return true;
}

static void
snapshot_lags(struct json_object *all, FhaSnapshot *out)
{
	static const char *const stages[] = {"write", "flush", "replay"};

	for (size_t i = 0; i < snapshot_count(all); i++)
	{
		FhaMemberLag *lag = &out->lags[out->lag_count];
		struct json_object *object = json_object_array_get_idx(all, i);

		if (!snapshot_name(object, "member", lag->member))
			continue;
		out->lag_count++;
		lag->streaming = json_object_get_boolean(snapshot_key(object, "streaming")) != 0;
		for (int stage = 0; stage < FHA_STAGES; stage++)
		{
			struct json_object *one = snapshot_key(object, stages[stage]);

			lag->fresh_at_ms[stage] = snapshot_number(one, "fresh_ms", 0);
			lag->whole_ends_at_ms[stage] = snapshot_number(one, "whole_until_ms", 0);
			lag->bytes[stage] = snapshot_number(one, "bytes", -1);
		}
	}
}

static void
snapshot_heard(struct json_object *all, FhaSnapshot *out)
{
	for (size_t i = 0; i < snapshot_count(all); i++)
	{
		FhaHeard *heard = &out->heard[out->heard_count];
		struct json_object *object = json_object_array_get_idx(all, i);

		if (!snapshot_name(object, "member", heard->member))
			continue;
		out->heard_count++;
		heard->at_ms = snapshot_number(object, "at_ms", 0);
	}
}

static void
snapshot_history(struct json_object *entries, FhaSnapshot *out)
{
	struct json_object *record = json_object_new_object();
	const char *text;

	(void) json_object_object_add(record, "kind", json_object_new_string("history"));
	(void) json_object_object_add(record, "entries", json_object_get(entries));
	text = json_object_to_json_string(record);
	(void) !fha_history_glean(text, strlen(text), out->history, &out->history_count, NULL);
	json_object_put(record);
}

/* Static text, as a snapshot has it: until the next call. */
static const char *
snapshot_static(struct json_object *from, const char *key, char *out, size_t size)
{
	struct json_object *value = snapshot_key(from, key);

	out[0] = '\0';
	if (json_object_is_type(value, json_type_string))
		strncat(out, json_object_get_string(value), size - 1);
	return out;
}

/* Whether the cluster's record is in it; text ends with a NUL. */
static bool
snapshot_read(const char *text, FhaSnapshot *out)
{
	static char decision[64];
	static char because[FHA_SENTENCE_SIZE];
	struct json_object *from = json_tokener_parse(text);
	struct json_object *members = snapshot_key(from, "members");
	struct json_object *incarnation = snapshot_key(from, "incarnation");
	const char *one = json_object_to_json_string(snapshot_key(from, "cluster"));

	memset(out, 0, sizeof(*out));
	out->decision = snapshot_static(from, "decision", decision, sizeof(decision));
	out->because = snapshot_static(from, "because", because, sizeof(because));
	(void) snapshot_name(from, "member", out->member);
	if (incarnation != NULL)
		strncat(out->incarnation, json_object_get_string(incarnation),
				sizeof(out->incarnation) - 1);
	out->lease_is_free = json_object_get_boolean(snapshot_key(from, "lease_is_free")) != 0;
	out->known = fha_cluster_parse(one, strlen(one), &out->cluster, NULL) == FHA_OK;
	for (size_t i = 0; i < snapshot_count(members) && i < FHA_MEMBERS_MAX; i++)
	{
		one = json_object_to_json_string(json_object_array_get_idx(members, i));
		if (fha_member_parse(one, strlen(one), &out->members[out->member_count], NULL) == FHA_OK)
			out->member_count++;
	}
	out->measured = true;
	snapshot_lags(snapshot_key(from, "lag"), out);
	snapshot_heard(snapshot_key(from, "heard"), out);
	snapshot_history(snapshot_key(from, "history"), out);
	json_object_put(from);
	return out->known;
}

#endif
