/*
 * object.c: a record as a Lease object, and back.
 */
#include "lock/kube/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "kube/list.h"

#define ANNOTATION "fawkes-ha/record"
#define MICRO_TIME_SIZE 40
#define DIGEST_SIZE 17 /* 16 hex digits */
/* Seconds that a Lease's field holds. */
#define SECONDS_MAX 2000000000

/* Kubernetes' MicroTime, six digits: a write that changes nothing would get no new version. */
static void
print_micro_time(char *out)
{
	struct timespec now;
	struct tm utc;
	char whole[24];

	(void) clock_gettime(CLOCK_REALTIME, &now);
	(void) gmtime_r(&now.tv_sec, &utc);
	(void) strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &utc);
	(void) snprintf(out, MICRO_TIME_SIZE, "%s.%06dZ", whole, (int) (now.tv_nsec / 1000));
}

static const char *
object_text_of(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(object, key, &value) &&
				   json_object_is_type(value, json_type_string)
			   ? json_object_get_string(value)
			   : "";
}

static bool
is_cluster(struct json_object *record)
{
	return record != NULL && strcmp(object_text_of(record, "kind"), "cluster") == 0;
}

/*
 * Written into the record of a Lease that a foreign candidate holds: no member is its holder, in no
 * incarnation.
 */
static bool
is_held_by_foreigner(struct json_object *record)
{
	struct json_object *incarnation = NULL;

	return is_cluster(record) && json_object_object_get_ex(record, "incarnation", &incarnation) &&
		   object_text_of(record, "incarnation")[0] == '\0';
}

static bool
is_released(struct json_object *record)
{
	struct json_object *value = NULL;

	return json_object_object_get_ex(record, "released", &value) && json_object_get_boolean(value);
}

/*
 * What other tools read; a record that is no JSON of ours has no holder.  Of a foreign holder it is
 * left as it stands: its renewals are what that one wrote, and nothing else.
 */
static void
put_spec(struct json_object *lease, const FhaLockRequest *request, bool *failed)
{
	struct json_object *spec = json_object_new_object();
	struct json_object *record = fha_json_parse(request->data, request->size, NULL);
	char now[MICRO_TIME_SIZE];
	const char *holder = record == NULL ? "" : object_text_of(record, "member");

	if (is_held_by_foreigner(record))
	{
		json_object_put(record);
		json_object_put(spec);
		return;
	}
	print_micro_time(now);
	fha_json_put_text(spec, "renewTime", now, failed);
	if (is_cluster(record))
	{
		struct json_object *duration = NULL;
		struct json_object *acquired = NULL;
		char acquired_at[MICRO_TIME_SIZE];
		int64_t term = strtoll(object_text_of(record, "term"), NULL, 10);
		int64_t seconds = 1;

		holder = is_released(record) ? "" : object_text_of(record, "holder");
		if (json_object_object_get_ex(record, "lease_duration_ms", &duration))
			seconds = (json_object_get_int64(duration) - 1) / 1000 + 1;
		fha_json_put_int(spec, "leaseDurationSeconds",
						 seconds < 1             ? 1
						 : seconds > SECONDS_MAX ? SECONDS_MAX
												 : seconds,
						 failed);
		fha_json_put_int(spec, "leaseTransitions",
						 term < 0           ? 0
						 : term > INT32_MAX ? INT32_MAX
											: term,
						 failed);
		/* "2026-11-22T17:00:00.123Z" lacks three digits. */
		if (json_object_object_get_ex(record, "acquired_at", &acquired) &&
			json_object_get_string_len(acquired) == 24)
		{
			(void) snprintf(acquired_at, sizeof(acquired_at), "%.23s000Z",
							json_object_get_string(acquired));
			fha_json_put_text(spec, "acquireTime", acquired_at, failed);
		}
	}
	if (holder[0] != '\0')
		fha_json_put_text(spec, "holderIdentity", holder, failed);
	else if (json_object_object_add(spec, "holderIdentity", NULL) != 0)
		*failed = true; /* LCOV_EXCL_LINE: no memory */
	json_object_put(record);
	fha_json_put(lease, "spec", spec, failed);
}

FhaCode
fha_lease_print(const FhaLockRequest *request, const char *cluster, char **out, FhaError *err)
{
	struct json_object *lease = json_object_new_object();
	struct json_object *metadata = json_object_new_object();
	struct json_object *labels = json_object_new_object();
	struct json_object *annotations = json_object_new_object();
	bool failed = false;

	fha_json_put_text(labels, FHA_LEASE_LABEL_MANAGER, FHA_LEASE_MANAGER, &failed);
	if (cluster[0] != '\0')
		fha_json_put_text(labels, FHA_LEASE_LABEL_CLUSTER, cluster, &failed);
	fha_json_put(annotations, ANNOTATION,
				 json_object_new_string_len(request->data, (int) request->size), &failed);
	if (request->verb == FHA_LOCK_SWAP)
		fha_json_put_text(metadata, "resourceVersion", request->version, &failed);
	fha_json_put_text(metadata, "name", request->name, &failed);
	fha_json_put(metadata, "labels", labels, &failed);
	fha_json_put(metadata, "annotations", annotations, &failed);
	fha_json_put_text(lease, "apiVersion", "coordination.k8s.io/v1", &failed);
	fha_json_put_text(lease, "kind", "Lease", &failed);
	fha_json_put(lease, "metadata", metadata, &failed);
	put_spec(lease, request, &failed);
	*out = fha_json_finish(lease, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}

/* FNV-1a in 16 hex digits. */
static void
print_digest(const char *text, char out[DIGEST_SIZE])
{
	uint64_t digest = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		digest = (digest ^ (unsigned char) *text) * UINT64_C(0x100000001b3);
	(void) snprintf(out, DIGEST_SIZE, "%016" PRIx64, digest);
}

/*
 * S1: whoever the Lease names holds it.  Nobody named by it, and by the record somebody: that one
 * still believes it, so the lease ends by observation only.  A foreign holder knows no nonce of ours: the
 * digest of all that it may have written stands for it, for client-go changes nothing but renewTime.
 */
static char *
with_foreign_holder(struct json_object *lease, const char *data)
{
	static const char *const ours[] = {"incarnation", "boot_id", "life"};
	char digest[DIGEST_SIZE];
	FhaError none = {0};
	struct json_object *spec = fha_json_object(lease, "spec", &none);
	struct json_object *record = fha_json_parse(data, strlen(data), NULL);
	const char *holder = spec == NULL ? "" : object_text_of(spec, "holderIdentity");
	bool failed = false;
	int64_t duration_ms = 0;
	int64_t seconds = 0;
	char *text = NULL;

	if (!is_cluster(record) || holder[0] == '\0' ||
		(!is_released(record) && !is_held_by_foreigner(record) &&
		 strcmp(object_text_of(record, "holder"), holder) == 0))
	{
		json_object_put(record);
		return strdup(data);
	}
	fha_json_int(record, "lease_duration_ms", 0, INT32_MAX, &duration_ms, &none);
	fha_json_int(spec, "leaseDurationSeconds", 0, SECONDS_MAX, &seconds, &none);
	if (seconds * 1000 > duration_ms)
		duration_ms = seconds * 1000;
	fha_json_put_text(record, "holder", holder, &failed);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		fha_json_put_text(record, ours[i], "", &failed);
	print_digest(json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PLAIN), digest);
	fha_json_put_text(record, "nonce", digest, &failed);
	fha_json_put_bool(record, "released", false, &failed);
	fha_json_put_int(record, "lease_duration_ms", duration_ms, &failed);
	if (!failed)
		text = fha_json_print(record, 0);
	json_object_put(record);
	return text;
}

FhaCode
fha_lease_read(struct json_object *lease, FhaRecordSet *set, FhaError *err)
{
	FhaError local = {0};
	struct json_object *metadata = fha_json_object(lease, "metadata", &local);
	struct json_object *annotations =
		metadata == NULL ? NULL : fha_json_object(metadata, "annotations", &local);
	struct json_object *data = NULL;
	char name[FHA_RECORD_NAME_SIZE] = "";
	char version[FHA_VERSION_SIZE] = "";
	const char *text = "";
	char *kept = NULL;
	size_t size = 0;
	bool added;

	if (metadata != NULL)
	{
		fha_json_text(metadata, "name", name, sizeof(name), &local);
		fha_json_text(metadata, "resourceVersion", version, sizeof(version), &local);
	}
	if (local.code != FHA_OK || name[0] == '\0' || version[0] == '\0')
		return fha_error(err, FHA_PROTOCOL, "the API server's answer is no Lease%s%s",
						 local.text[0] == '\0' ? "" : ": ", local.text);
	if (annotations != NULL && json_object_object_get_ex(annotations, ANNOTATION, &data) &&
		json_object_is_type(data, json_type_string))
	{
		text = json_object_get_string(data);
		size = (size_t) json_object_get_string_len(data);
		/* What has a NUL in it, or is too long, is not ours. */
		if (strlen(text) != size || size > FHA_RECORD_DATA_MAX)
			size = 0;
	}
	if (size > 0)
	{
		kept = with_foreign_holder(lease, text);
		if (kept == NULL)
			return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
		text = kept;
		size = strlen(kept);
	}
	added = fha_record_set_add(set, name, version, text, size);
	free(kept);
	return added ? FHA_OK : fha_error(err, FHA_NO_MEMORY, "out of memory");
}

FhaCode
fha_lease_parse(const char *data, size_t size, FhaRecordSet *set, FhaError *err)
{
	FhaError local;
	struct json_object *lease = fha_json_parse_deep(data, size, &local);
	FhaCode code;

	if (lease == NULL)
		return fha_error(err, local.code, "the API server's answer: %s", local.text);
	code = fha_lease_read(lease, set, err);
	json_object_put(lease);
	return code;
}

FhaCode
fha_lease_list_parse(const char *data, size_t size, FhaRecordSet *set, FhaError *err)
{
	struct json_object *items;
	char version[FHA_VERSION_SIZE];
	FhaCode code = fha_kube_list_parse(data, size, FHA_RECORD_COUNT_MAX, &items, version, err);

	for (size_t i = 0; code == FHA_OK && i < json_object_array_length(items); i++)
		if (json_object_is_type(json_object_array_get_idx(items, i), json_type_object))
			code = fha_lease_read(json_object_array_get_idx(items, i), set, err);
	if (code != FHA_OK)
		fha_record_set_release(set);
	json_object_put(items);
	return code;
}
