/*
 * cluster.c: the cluster's record as JSON.  See record.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "record/fields.h"
#include "record/record.h"
#include "record/request.h"
#include "record/request_json.h"

/* An array of texts that are shorter than `size`, each into its place of `size` bytes; how many. */
static size_t
read_texts(struct json_object *from, const char *key, char *out, size_t size, FhaError *err)
{
	struct json_object *array = fha_json_array(from, key, FHA_MEMBERS_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count; i++)
	{
		struct json_object *text = json_object_array_get_idx(array, i);

		if (!json_object_is_type(text, json_type_string) ||
			(size_t) json_object_get_string_len(text) >= size ||
			strlen(json_object_get_string(text)) != (size_t) json_object_get_string_len(text))
		{
			if (err->code == FHA_OK)
				(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" has an element that cannot be",
								 key);
			return 0;
		}
		(void) snprintf(out + i * size, size, "%s", json_object_get_string(text));
	}
	return count;
}

static void
cluster_read_members(struct json_object *from, void *record, FhaError *err)
{
	FhaCluster *out = record;
	size_t data;

	out->member_count = read_texts(from, "members", out->members[0], FHA_NAME_SIZE, err);
	data = read_texts(from, "member_data", out->member_data[0], FHA_ID_SIZE, err);
	if (err->code == FHA_OK && data != out->member_count && data != 0)
		(void) fha_error(err, FHA_PROTOCOL,
						 "keys \"members\" and \"member_data\" differ in length");
}

static void
cluster_put_members(struct json_object *to, const void *record, bool *failed)
{
	const FhaCluster *cluster = record;
	struct json_object *members = json_object_new_array();
	struct json_object *data = json_object_new_array();

	for (size_t i = 0; i < cluster->member_count; i++)
	{
		fha_json_append(members, json_object_new_string(cluster->members[i]), failed);
		fha_json_append(data, json_object_new_string(cluster->member_data[i]), failed);
	}
	fha_json_put(to, "members", members, failed);
	fha_json_put(to, "member_data", data, failed);
}

static void
read_release(struct json_object *from, void *record, FhaError *err)
{
	FhaCluster *out = record;
	struct json_object *object = fha_json_object(from, "release", err);

	if (object != NULL)
	{
		fha_fields_read(object, &fha_position_fields, &out->release, err);
		fha_json_bool(object, "final", &out->release_final, err);
	}
	fha_json_text(from, "release_to", out->release_to, sizeof(out->release_to), err);
	fha_json_text(from, "release_because", out->release_because, sizeof(out->release_because), err);
}

/* Releases of 1.1 have no "final"; and a final one stands in the record of who holds the lease next. */
static void
put_release(struct json_object *to, const void *record, bool *failed)
{
	const FhaCluster *cluster = record;
	struct json_object *object;

	if (!cluster->released && !cluster->release_final)
		return;
	object = json_object_new_object();
	fha_fields_put(object, &fha_position_fields, &cluster->release, failed);
	if (cluster->release_final)
		fha_json_put_bool(object, "final", true, failed);
	fha_json_put(to, "release", object, failed);
	if (!cluster->released)
		return;
	fha_json_put_text(to, "release_to", cluster->release_to, failed);
	if (cluster->release_because[0] != '\0')
		fha_json_put_text(to, "release_because", cluster->release_because, failed);
}

static void
read_pause_reason(struct json_object *from, void *record, FhaError *err)
{
	FhaCluster *out = record;

	fha_json_text(from, "pause_reason", out->pause_reason, sizeof(out->pause_reason), err);
}

static void
put_pause_reason(struct json_object *to, const void *record, bool *failed)
{
	const FhaCluster *cluster = record;

	if (cluster->paused)
		fha_json_put_text(to, "pause_reason", cluster->pause_reason, failed);
}

static void
cluster_read_request(struct json_object *from, void *record, FhaError *err)
{
	fha_request_read(from, &((FhaCluster *) record)->request, err);
}

static void
cluster_put_request(struct json_object *to, const void *record, bool *failed)
{
	fha_request_put(to, &((const FhaCluster *) record)->request, failed);
}

static void
read_standby_lag(struct json_object *from, void *record, FhaError *err)
{
	fha_lag_read(from, ((FhaStandby *) record)->lag, err);
}

static void
put_standby_lag(struct json_object *to, const void *record, bool *failed)
{
	fha_lag_put(to, ((const FhaStandby *) record)->lag, failed);
}

static const FhaField lineage_rows[] = {
	FHA_FIELD(FhaLineageStep, TIMELINE, timeline),
	FHA_FIELD(FhaLineageStep, LSN, end),
	FHA_OPTIONAL(FhaLineageStep, TEXT, id),
};
static const FhaFields lineage = FHA_FIELDS(lineage_rows);

static const FhaField standby_rows[] = {
	FHA_FIELD(FhaStandby, TEXT, member),
	FHA_FIELD(FhaStandby, LSN, lsn),
	FHA_OPTIONAL(FhaStandby, LSN, written),
	FHA_OPTIONAL(FhaStandby, LSN, replayed),
	FHA_FIELD_BY(read_standby_lag, put_standby_lag),
};
static const FhaFields standby = FHA_FIELDS(standby_rows);

static const FhaField setting_rows[] = {
	FHA_FIELD(FhaSetting, TEXT, name),
	FHA_FIELD(FhaSetting, TEXT, value),
};
static const FhaFields setting = FHA_FIELDS(setting_rows);

static const FhaField signature_rows[] = {
	FHA_FIELD(FhaSignature, U64, serial),
	FHA_FIELD(FhaSignature, TEXT, key_id),
	FHA_FIELD(FhaSignature, TEXT, mac),
};
static const FhaFields signature = FHA_FIELDS(signature_rows);

/* One of an array of structs, and how many there may be. */
#define OBJECTS(member, count_, max_)                                                        \
	.key = #member, .kind = FHA_FIELD_OBJECTS, .offset = offsetof(FhaCluster, member),       \
	.size = sizeof(((FhaCluster *) NULL)->member[0]), .count = offsetof(FhaCluster, count_), \
	.max = (max_)

static const FhaField rows[] = {
	FHA_FIELD(FhaCluster, TEXT, cluster),
	FHA_FIELD(FhaCluster, TEXT, cluster_uuid),
	FHA_FIELD(FhaCluster, U64, system_identifier),
	FHA_FIELD(FhaCluster, TEXT, holder),
	FHA_FIELD(FhaCluster, TEXT, incarnation),
	FHA_FIELD(FhaCluster, TEXT, boot_id),
	{.key = "life", .kind = FHA_FIELD_TEXT, FHA_FIELD_AT(FhaCluster, liveness)},
	FHA_FIELD(FhaCluster, TEXT, nonce),
	/* Nobody may make observers wait for ever, or not at all. */
	FHA_FIELD_INT_OF(FhaCluster, lease_duration_ms, 100, 3600 * 1000),
	FHA_FIELD(FhaCluster, BOOL, released),
	FHA_FIELD_BY(read_release, put_release),
	FHA_FIELD(FhaCluster, TERM, term),
	FHA_FIELD(FhaCluster, TIMELINE, timeline),
	FHA_OPTIONAL(FhaCluster, TEXT, timeline_id),
	FHA_FIELD(FhaCluster, TERM, lineage_term),
	{FHA_FIELD_OBJECT_OF(FhaCluster, position), .fields = &fha_position_fields},
	{FHA_FIELD_OBJECT_OF(FhaCluster, archived), .optional = true, .fields = &fha_position_fields},
	{OBJECTS(lineage, lineage_count, FHA_LINEAGE_MAX), .fields = &lineage},
	FHA_FIELD_BY(cluster_read_members, cluster_put_members),
	{OBJECTS(standbys, standby_count, FHA_MEMBERS_MAX), .fields = &standby},
	FHA_FIELD(FhaCluster, BOOL, paused),
	FHA_FIELD_BY(read_pause_reason, put_pause_reason),
	FHA_FIELD_BY(cluster_read_request, cluster_put_request),
	{OBJECTS(settings, setting_count, FHA_SETTINGS_MAX), .optional = true, .fields = &setting},
	{FHA_FIELD_OBJECT_OF(FhaCluster, settings_signature), .optional = true, .fields = &signature},
	FHA_FIELD(FhaCluster, TEXT, acquired_at),
	FHA_FIELD(FhaCluster, TEXT, renewed_at),
};
static const FhaFields fields = FHA_FIELDS(rows);

FhaCode
fha_cluster_parse(const char *data, size_t size, FhaCluster *out, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(data, size, &local);

	memset(out, 0, sizeof(*out));
	if (object != NULL)
	{
		fha_json_kind(object, "cluster", &local);
		fha_fields_read(object, &fields, out, &local);
		json_object_put(object);
	}
	for (size_t i = 0; local.code == FHA_OK && i < out->setting_count; i++)
		if (!fha_setting_is_valid(&out->settings[i]))
			(void) fha_error(&local, FHA_PROTOCOL, "key \"settings\" has one that cannot be used");
	if (local.code == FHA_OK &&
		(out->cluster[0] == '\0' || out->holder[0] == '\0' || out->term == 0 ||
		 out->timeline == 0 || out->lease_duration_ms == 0))
		(void) fha_error(&local, FHA_PROTOCOL,
						 "the cluster record lacks cluster, holder, term, timeline or "
						 "lease_duration_ms");
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

struct json_object *
fha_cluster_object(const FhaCluster *cluster, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_json_put_text(object, "kind", "cluster", failed);
	fha_fields_put(object, &fields, cluster, failed);
	return object;
}

FhaCode
fha_cluster_print(const FhaCluster *cluster, char **out, FhaError *err)
{
	bool failed = false;
	struct json_object *object = fha_cluster_object(cluster, &failed);

	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
