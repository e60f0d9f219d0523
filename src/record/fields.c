/*
 * fields.c: see record/fields.h.
 */
#include "record/fields.h"

#include "base/json.h"
#include "core/world.h"

static const FhaField position[] = {
	FHA_FIELD(FhaPosition, TIMELINE, timeline),
	FHA_FIELD(FhaPosition, LSN, lsn),
};
const FhaFields fha_position_fields = FHA_FIELDS(position);

static void
read_objects(struct json_object *from, const FhaField *field, char *record, FhaError *err)
{
	struct json_object *array = fha_json_array(from, field->key, (size_t) field->max, err);
	size_t count = array == NULL ? 0 : json_object_array_length(array);
	size_t *read = (size_t *) (void *) (record + field->count);

	for (size_t i = 0; i < count && err->code == FHA_OK; i++)
	{
		struct json_object *object = fha_json_element(array, i, field->key, err);

		if (object == NULL)
			return;
		fha_fields_read(object, field->fields, record + field->offset + i * field->size, err);
		*read = i + 1;
	}
}

/* A term that no node could write down must not be taken from the lock: it would keep the node from all else. */
static void
read_term(struct json_object *from, const char *key, uint64_t *out, FhaError *err)
{
	fha_json_u64(from, key, out, err);
	if (err->code == FHA_OK && *out > FHA_TERM_MAX)
		(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" is too large", key);
}

static void
read_timeline(struct json_object *from, const char *key, uint32_t *out, FhaError *err)
{
	int64_t number = *out;

	fha_json_int(from, key, 0, UINT32_MAX, &number, err);
	*out = (uint32_t) number;
}

static void
read_field(struct json_object *from, const FhaField *field, char *record, FhaError *err)
{
	void *value = record + field->offset;
	struct json_object *object;

	switch (field->kind)
	{
		case FHA_FIELD_TEXT:
			fha_json_text(from, field->key, value, field->size, err);
			break;
		case FHA_FIELD_BOOL:
			fha_json_bool(from, field->key, value, err);
			break;
		case FHA_FIELD_INT:
			fha_json_int(from, field->key, field->min, field->max, value, err);
			break;
		case FHA_FIELD_TIMELINE:
			read_timeline(from, field->key, value, err);
			break;
		case FHA_FIELD_U64:
			fha_json_u64(from, field->key, value, err);
			break;
		case FHA_FIELD_TERM:
			read_term(from, field->key, value, err);
			break;
		case FHA_FIELD_LSN:
			fha_json_lsn(from, field->key, value, err);
			break;
		case FHA_FIELD_OBJECT:
			object = fha_json_object(from, field->key, err);
			if (object != NULL)
				fha_fields_read(object, field->fields, value, err);
			break;
		case FHA_FIELD_OBJECTS:
			read_objects(from, field, record, err);
			break;
		case FHA_FIELD_OWN:
			field->read(from, record, err);
			break;
	}
}

void
fha_fields_read(struct json_object *from, const FhaFields *fields, void *record, FhaError *err)
{
	for (size_t i = 0; i < fields->count; i++)
		read_field(from, &fields->rows[i], record, err);
}

static bool
field_is_empty(const FhaField *field, const char *record)
{
	const void *value = record + field->offset;

	switch (field->kind)
	{
		case FHA_FIELD_TEXT:
			return *(const char *) value == '\0';
		case FHA_FIELD_BOOL:
			return !*(const bool *) value;
		case FHA_FIELD_INT:
			return *(const int64_t *) value == 0;
		case FHA_FIELD_TIMELINE:
			return *(const uint32_t *) value == 0;
		case FHA_FIELD_U64:
		case FHA_FIELD_TERM:
		case FHA_FIELD_LSN:
			return *(const uint64_t *) value == 0;
		case FHA_FIELD_OBJECT:
			return field_is_empty(&field->fields->rows[0], value);
		case FHA_FIELD_OBJECTS:
			return *(const size_t *) (const void *) (record + field->count) == 0;
		case FHA_FIELD_OWN:
			break;
	}
	return false;
}

static struct json_object *
object_of(const FhaFields *fields, const void *record, bool *failed)
{
	struct json_object *object = json_object_new_object();

	fha_fields_put(object, fields, record, failed);
	return object;
}

static void
put_objects(struct json_object *to, const FhaField *field, const char *record, bool *failed)
{
	struct json_object *array = json_object_new_array();
	size_t count = *(const size_t *) (const void *) (record + field->count);

	for (size_t i = 0; i < count; i++)
		fha_json_append(array,
						object_of(field->fields, record + field->offset + i * field->size, failed),
						failed);
	fha_json_put(to, field->key, array, failed);
}

static void
put_field(struct json_object *to, const FhaField *field, const char *record, bool *failed)
{
	const void *value = record + field->offset;

	switch (field->kind)
	{
		case FHA_FIELD_TEXT:
			fha_json_put_text(to, field->key, value, failed);
			break;
		case FHA_FIELD_BOOL:
			fha_json_put_bool(to, field->key, *(const bool *) value, failed);
			break;
		case FHA_FIELD_INT:
			fha_json_put_int(to, field->key, *(const int64_t *) value, failed);
			break;
		case FHA_FIELD_TIMELINE:
			fha_json_put_int(to, field->key, *(const uint32_t *) value, failed);
			break;
		case FHA_FIELD_U64:
		case FHA_FIELD_TERM:
			fha_json_put_u64(to, field->key, *(const uint64_t *) value, failed);
			break;
		case FHA_FIELD_LSN:
			fha_json_put_lsn(to, field->key, *(const uint64_t *) value, failed);
			break;
		case FHA_FIELD_OBJECT:
			fha_json_put(to, field->key, object_of(field->fields, value, failed), failed);
			break;
		case FHA_FIELD_OBJECTS:
			put_objects(to, field, record, failed);
			break;
		case FHA_FIELD_OWN:
			field->put(to, record, failed);
			break;
	}
}

void
fha_fields_put(struct json_object *to, const FhaFields *fields, const void *record, bool *failed)
{
	for (size_t i = 0; i < fields->count; i++)
		if (!fields->rows[i].optional || !field_is_empty(&fields->rows[i], record))
			put_field(to, &fields->rows[i], record, failed);
}
