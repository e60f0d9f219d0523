/*
 * result.c: what a try brings: objects, parts and texts, held to the caps of an answer.
 */
#include "store/driver.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more row in an array of rows; NULL: no memory, and the array is as it was. */
static void *
result_grow(void *rows, size_t count, size_t *room, size_t row_size)
{
	size_t more = *room == 0 ? 16 : *room * 2;

	if (count < *room)
		return rows;
	rows = realloc(rows, more * row_size);
	if (rows != NULL)
		*room = more;
	return rows;
}

static char *
result_copy(const char *text, size_t length)
{
	char *copy = malloc(length + 1);

	if (copy != NULL)
	{
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return copy;
}

/* Behind the store's prefix; NULL: the key does not begin with it. */
static const char *
result_relative(const FhaStoreSettings *settings, const char *key, size_t *size)
{
	size_t prefix = strlen(settings->prefix);

	if (prefix == 0)
		return key;
	if (*size <= prefix + 1 || memcmp(key, settings->prefix, prefix) != 0 || key[prefix] != '/')
		return NULL;
	*size -= prefix + 1;
	return key + prefix + 1;
}

FhaCode
fha_store_add_object(FhaStoreResult *result, const FhaStoreSettings *settings, const char *key,
					 size_t key_size, const FhaStoreObject *object, FhaError *err)
{
	FhaStoreObject *rows;
	FhaStoreObject *row;

	key = result_relative(settings, key, &key_size);
	if (key == NULL || key_size >= FHA_STORE_KEY_SIZE || !fha_store_key_valid(key, key_size))
		return fha_error(err, FHA_PROTOCOL, "the store lists a key that was not asked for");
	if (result->object_count == FHA_STORE_LIST_MAX)
		return fha_error(err, FHA_PROTOCOL, "the store lists more than %d objects at once",
						 FHA_STORE_LIST_MAX);
	rows = result_grow(result->objects, result->object_count, &result->object_room, sizeof(*rows));
	if (rows == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	result->objects = rows;
	row = &rows[result->object_count];
	*row = *object;
	row->key = result_copy(key, key_size);
	/* analyzer: both belong to the row, which counts once both are there */
	row->upload = object->upload == NULL ? NULL : strdup(object->upload);
	/* analyzer: the same */
	if (row->key == NULL || (row->upload == NULL && object->upload != NULL))
	{
		free(row->key);
		free(row->upload);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	result->object_count++;
	return FHA_OK;
}

FhaCode
fha_store_add_part(FhaStoreResult *result, unsigned number, uint64_t size, const char *tag,
				   FhaError *err)
{
	size_t length = strlen(tag);
	FhaStorePart *rows;

	if (number == 0 || number > FHA_STORE_PARTS_MAX || length == 0 || length >= FHA_STORE_TAG_SIZE)
		return fha_error(err, FHA_PROTOCOL, "the store lists a part that cannot be");
	if (result->part_count == FHA_STORE_LIST_MAX)
		return fha_error(err, FHA_PROTOCOL, "the store lists more than %d parts at once",
						 FHA_STORE_LIST_MAX);
	rows = result_grow(result->parts, result->part_count, &result->part_room, sizeof(*rows));
	if (rows == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	result->parts = rows;
	rows[result->part_count] = (FhaStorePart){.number = number, .size = size};
	memcpy(rows[result->part_count].tag, tag, length + 1);
	result->part_count++;
	return FHA_OK;
}

FhaCode
fha_store_set_text(char **out, const char *text, size_t size, FhaError *err)
{
	size_t length = strnlen(text, size);

	if (length == 0 || length == size)
		return fha_error(err, FHA_PROTOCOL,
						 "the store's answer has an empty name, or one too long");
	free(*out);
	*out = result_copy(text, length);
	return *out == NULL ? fha_error(err, FHA_NO_MEMORY, "out of memory") : FHA_OK;
}

void
fha_store_result_release(FhaStoreResult *result)
{
	for (size_t i = 0; i < result->object_count; i++)
	{
		free(result->objects[i].key);
		free(result->objects[i].upload);
	}
	free(result->objects);
	free(result->parts);
	free(result->next);
	free(result->upload);
	*result = (FhaStoreResult){.code = FHA_OK};
}
