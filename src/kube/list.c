/*
 * list.c: see kube/list.h.
 */
#include "kube/list.h"

#include <string.h>

#include "base/json.h"

FhaCode
fha_kube_object_read(struct json_object *object, char name[FHA_KUBE_NAME_SIZE],
					 char version[FHA_VERSION_SIZE], FhaError *err)
{
	FhaError local = {0};
	struct json_object *metadata = fha_json_object(object, "metadata", &local);

	name[0] = '\0';
	version[0] = '\0';
	if (metadata != NULL)
	{
		fha_json_text(metadata, "name", name, FHA_KUBE_NAME_SIZE, &local);
		fha_json_text(metadata, "resourceVersion", version, FHA_VERSION_SIZE, &local);
	}
	return local.code == FHA_OK ? FHA_OK : fha_error(err, local.code, "%s", local.text);
}

FhaCode
fha_kube_list_parse(const char *data, size_t size, size_t max, struct json_object **items,
					char version[FHA_VERSION_SIZE], FhaError *err)
{
	FhaError local = {0};
	struct json_object *list = fha_json_parse_deep(data, size, &local);
	struct json_object *metadata = NULL;
	char rest[2048] = "";

	*items = NULL;
	version[0] = '\0';
	if (list != NULL)
		metadata = fha_json_object(list, "metadata", &local);
	if (metadata != NULL)
	{
		fha_json_text(metadata, "resourceVersion", version, FHA_VERSION_SIZE, &local);
		fha_json_text(metadata, "continue", rest, sizeof(rest), &local);
	}
	if (list != NULL)
		*items = fha_json_array(list, "items", max, &local);
	if (local.code == FHA_OK && rest[0] != '\0')
		(void) fha_error(&local, FHA_PROTOCOL, "there are more than %zu", max);
	if (local.code == FHA_OK && version[0] == '\0')
		(void) fha_error(&local, FHA_PROTOCOL, "it has no version");
	if (local.code != FHA_OK)
		*items = NULL;
	/* Go prints an empty list as null. */
	else
		*items = *items == NULL ? json_object_new_array() : json_object_get(*items);
	if (local.code == FHA_OK && *items == NULL)
		(void) fha_error(&local, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	json_object_put(list);
	return local.code == FHA_OK
			   ? FHA_OK
			   : fha_error(err, local.code, "the API server's list: %s", local.text);
}

FhaCode
fha_kube_line_parse(const char *data, size_t size, FhaKubeChange *change,
					struct json_object **object, char version[FHA_VERSION_SIZE], FhaError *err)
{
	static const struct
	{
		const char *type;
		FhaKubeChange change;
	} types[] = {{"ERROR", FHA_KUBE_REFUSED},
				 {"BOOKMARK", FHA_KUBE_BOOKMARK},
				 {"DELETED", FHA_KUBE_DELETED}};
	FhaError local = {0};
	struct json_object *line = fha_json_parse_deep(data, size, &local);
	char name[FHA_KUBE_NAME_SIZE];
	char type[FHA_WORD_SIZE] = "";

	*change = FHA_KUBE_CHANGED;
	*object = NULL;
	version[0] = '\0';
	if (line != NULL)
	{
		fha_json_text(line, "type", type, sizeof(type), &local);
		*object = json_object_get(fha_json_object(line, "object", &local));
		json_object_put(line);
		if (*object == NULL)
			(void) fha_error(&local, FHA_PROTOCOL, "it has no object");
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i].type) == 0)
			*change = types[i].change;
	if (local.code == FHA_OK && *change != FHA_KUBE_REFUSED)
		local.code = fha_kube_object_read(*object, name, version, &local);
	if (local.code == FHA_OK)
		return FHA_OK;
	json_object_put(*object);
	*object = NULL;
	return fha_error(err, local.code, "a line of the watch: %s", local.text);
}
