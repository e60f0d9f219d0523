/*
 * peers.c: whom a holder asks for promises.  See peers.h.
 */
#include "node/peers.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "config/state_directory.h"

#define PEERS_FILE_MAX 32768

static void
peers_read_members(struct json_object *from, FhaPeers *out, FhaError *err)
{
	struct json_object *array = fha_json_array(from, "members", FHA_MEMBERS_MAX, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *member = fha_json_element(array, i, "members", err);

		if (member == NULL)
			return;
		fha_json_text(member, "member", out->of[i].member, FHA_NAME_SIZE, err);
		fha_json_text(member, "listener", out->of[i].listener, FHA_ADDRESS_SIZE, err);
		out->count = i + 1;
	}
}

FhaCode
fha_peers_load(const FhaConfig *config, FhaPeers *out, FhaError *err)
{
	FhaError inner = {.code = FHA_OK};
	char path[FHA_PATH_SIZE];
	struct json_object *object;
	char *text;
	FhaCode code;

	memset(out, 0, sizeof(*out));
	code = fha_state_path(config, "peers.json", path, sizeof(path), err);
	if (code == FHA_OK)
		code = fha_file_read(path, PEERS_FILE_MAX, &text, err);
	if (code != FHA_OK)
		return code;
	object = fha_json_parse(text, strlen(text), &inner);
	free(text);
	if (object != NULL)
	{
		fha_json_text(object, "boot_id", out->boot_id, sizeof(out->boot_id), &inner);
		fha_json_text(object, "time_namespace", out->time_namespace, sizeof(out->time_namespace),
					  &inner);
		fha_json_int(object, "written_ms", 0, INT64_MAX / 2, &out->written_at_ms, &inner);
		fha_json_text(object, "cluster_uuid", out->cluster_uuid, sizeof(out->cluster_uuid), &inner);
		fha_json_u64(object, "system_identifier", &out->system_identifier, &inner);
		fha_json_text(object, "incarnation", out->incarnation, sizeof(out->incarnation), &inner);
		fha_json_u64(object, "term", &out->term, &inner);
		fha_json_int(object, "duration_ms", 0, FHA_LEASE_MAX_MS, &out->duration_ms, &inner);
		peers_read_members(object, out, &inner);
		json_object_put(object);
	}
	if (inner.code == FHA_OK)
		return FHA_OK;
	memset(out, 0, sizeof(*out));
	return fha_error(err, inner.code == FHA_NO_MEMORY ? FHA_NO_MEMORY : FHA_INVALID,
					 "\"%.120s\" cannot be used: %.60s", path, inner.text);
}

FhaCode
fha_peers_print(const FhaPeers *peers, char **out, FhaError *err)
{
	struct json_object *object = json_object_new_object();
	struct json_object *members = json_object_new_array();
	bool failed = false;

	fha_json_put_text(object, "boot_id", peers->boot_id, &failed);
	fha_json_put_text(object, "time_namespace", peers->time_namespace, &failed);
	fha_json_put_int(object, "written_ms", peers->written_at_ms, &failed);
	fha_json_put_text(object, "cluster_uuid", peers->cluster_uuid, &failed);
	fha_json_put_u64(object, "system_identifier", peers->system_identifier, &failed);
	fha_json_put_text(object, "incarnation", peers->incarnation, &failed);
	fha_json_put_u64(object, "term", peers->term, &failed);
	fha_json_put_int(object, "duration_ms", peers->duration_ms, &failed);
	for (size_t i = 0; i < peers->count; i++)
	{
		struct json_object *member = json_object_new_object();

		fha_json_put_text(member, "member", peers->of[i].member, &failed);
		fha_json_put_text(member, "listener", peers->of[i].listener, &failed);
		fha_json_append(members, member, &failed);
	}
	fha_json_put(object, "members", members, &failed);
	*out = fha_json_finish(object, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}
