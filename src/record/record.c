/*
 * record.c: what all records of the lock have: their names, and whose they are.  See record.h.
 */
#include "record/record.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

void
fha_record_name_cluster(const char *cluster, char *out, size_t size)
{
	(void) snprintf(out, size, "%s", cluster);
}

void
fha_record_name_member(const char *cluster, const char *member, char *out, size_t size)
{
	(void) snprintf(out, size, "%s-%s", cluster, member);
}

void
fha_record_name_history(const char *cluster, char *out, size_t size)
{
	(void) snprintf(out, size, "%s.history", cluster);
}

bool
fha_record_owner(const char *data, size_t size, FhaRecordOwner *out)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *object = size == 0 ? NULL : fha_json_parse(data, size, &local);

	memset(out, 0, sizeof(*out));
	if (object == NULL)
		return false;
	fha_json_text(object, "kind", out->kind, sizeof(out->kind), &local);
	fha_json_text(object, "cluster", out->cluster, sizeof(out->cluster), &local);
	fha_json_text(object, "member", out->member, sizeof(out->member), &local);
	json_object_put(object);
	return local.code == FHA_OK && out->kind[0] != '\0' && out->cluster[0] != '\0';
}

void
fha_record_owner_print(const FhaRecordOwner *owner, char out[FHA_OWNER_TEXT_SIZE])
{
	if (owner->member[0] != '\0')
		(void) snprintf(out, FHA_OWNER_TEXT_SIZE, "%s \"%s\" of cluster \"%s\"", owner->kind,
						owner->member, owner->cluster);
	else if (strcmp(owner->kind, "cluster") == 0)
		(void) snprintf(out, FHA_OWNER_TEXT_SIZE, "cluster \"%s\"", owner->cluster);
	else
		(void) snprintf(out, FHA_OWNER_TEXT_SIZE, "a record \"%s\" of cluster \"%s\"", owner->kind,
						owner->cluster);
}
