/*
 * json.c: typed, capped reads over json-c.  See json.h.
 */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record.h"

struct json_object *
fha_json_parse(const char *data, size_t size, FhaError *err)
{
	struct json_tokener *tokener;
	struct json_object *object;
	enum json_tokener_error problem;
	size_t end;

	if (size > INT_MAX)
	{
		(void) fha_error(err, FHA_PROTOCOL, "JSON text of %zu bytes is too long", size);
		return NULL;
	}
	tokener = json_tokener_new_ex(FHA_JSON_DEPTH);
	if (tokener == NULL)
	{
		(void) fha_error(err, FHA_NO_MEMORY, "out of memory");
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
										JSON_TOKENER_ALLOW_TRAILING_CHARS);
	object = json_tokener_parse_ex(tokener, data, (int) size);
	problem = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	while (end < size && strchr(" \t\r\n", data[end]) != NULL && data[end] != '\0')
		end++;
	if (problem != json_tokener_success || !json_object_is_type(object, json_type_object) ||
		end != size)
	{
		(void) fha_error(err, FHA_PROTOCOL, "not a JSON object: %s",
						 problem != json_tokener_success ? json_tokener_error_desc(problem)
														 : "something else, or text after it");
		json_object_put(object);
		return NULL;
	}
	return object;
}

static void
complain(FhaError *err, const char *key, const char *what)
{
	if (err->code == FHA_OK)
		(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" %s", key, what);
}

static struct json_object *
find(struct json_object *from, const char *key, enum json_type type, FhaError *err)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(from, key, &value) || value == NULL)
		return NULL;
	if (!json_object_is_type(value, type))
	{
		complain(err, key, "has the wrong type");
		return NULL;
	}
	return value;
}

void
fha_json_text(struct json_object *from, const char *key, char *out, size_t size, FhaError *err)
{
	struct json_object *value = find(from, key, json_type_string, err);
	size_t length;

	if (value == NULL)
		return;
	length = (size_t) json_object_get_string_len(value);
	if (length >= size || strlen(json_object_get_string(value)) != length)
	{
		complain(err, key, "is too long, or has a NUL in it");
		return;
	}
	memcpy(out, json_object_get_string(value), length + 1);
}

void
fha_json_int(struct json_object *from, const char *key, int64_t min, int64_t max, int64_t *out,
			 FhaError *err)
{
	struct json_object *value = find(from, key, json_type_int, err);
	int64_t number;

	if (value == NULL)
		return;
	number = json_object_get_int64(value);
	if (number < min || number > max)
		complain(err, key, "is out of range");
	else
		*out = number;
}

void
fha_json_bool(struct json_object *from, const char *key, bool *out, FhaError *err)
{
	struct json_object *value = find(from, key, json_type_boolean, err);

	if (value != NULL)
		*out = json_object_get_boolean(value);
}

void
fha_json_lsn(struct json_object *from, const char *key, uint64_t *out, FhaError *err)
{
	char text[FHA_LSN_TEXT_SIZE] = "";

	fha_json_text(from, key, text, sizeof(text), err);
	if (text[0] != '\0' && !fha_lsn_parse(text, out))
		complain(err, key, "is not an LSN");
}

void
fha_json_u64(struct json_object *from, const char *key, uint64_t *out, FhaError *err)
{
	char text[24] = "";
	char *end;
	unsigned long long number;

	fha_json_text(from, key, text, sizeof(text), err);
	if (text[0] == '\0')
		return;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || strspn(text, "0123456789") != strlen(text))
		complain(err, key, "is not a number");
	else
		*out = number;
}

struct json_object *
fha_json_object(struct json_object *from, const char *key, FhaError *err)
{
	return find(from, key, json_type_object, err);
}

struct json_object *
fha_json_array(struct json_object *from, const char *key, size_t max, FhaError *err)
{
	struct json_object *value = find(from, key, json_type_array, err);

	if (value != NULL && json_object_array_length(value) > max)
	{
		complain(err, key, "has too many elements");
		return NULL;
	}
	return value;
}

void
fha_json_kind(struct json_object *from, const char *wanted, FhaError *err)
{
	char kind[16] = "";

	fha_json_text(from, "kind", kind, sizeof(kind), err);
	if (err->code == FHA_OK && strcmp(kind, wanted) != 0)
		(void) fha_error(err, FHA_PROTOCOL, "not a record of kind \"%s\"", wanted);
}

struct json_object *
fha_json_element(struct json_object *array, size_t index, const char *key, FhaError *err)
{
	struct json_object *object = json_object_array_get_idx(array, index);

	if (!json_object_is_type(object, json_type_object))
	{
		(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" has an element that is no object", key);
		return NULL;
	}
	return object;
}

void
fha_json_append(struct json_object *array, struct json_object *value, bool *failed)
{
	if (array == NULL || value == NULL || json_object_array_add(array, value) != 0)
	{
		json_object_put(value);
		*failed = true;
	}
}

void
fha_json_put(struct json_object *to, const char *key, struct json_object *value, bool *failed)
{
	if (value == NULL || to == NULL || json_object_object_add(to, key, value) != 0)
	{
		json_object_put(value);
		*failed = true;
	}
}

/* Length of the UTF-8 character at text, 0 if it is none. */
static size_t
utf8_length(const unsigned char *text)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = text[0] < 0x80   ? 1
					: text[0] < 0xc0 ? 0
					: text[0] < 0xe0 ? 2
					: text[0] < 0xf0 ? 3
					: text[0] < 0xf8 ? 4
									 : 0;
	uint32_t code = length < 2 ? text[0] : text[0] & (0x7fu >> length);

	for (size_t i = 1; i < length; i++)
	{
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fu);
	}
	return length == 0 || code < least[length] || code > 0x10ffff ||
				   (code >= 0xd800 && code <= 0xdfff)
			   ? 0
			   : length;
}

/* Bytes that are no UTF-8 (a name of the system's, a text that was cut) become '?': one of them
 * would make the whole record unreadable for everybody. */
void
fha_json_put_text(struct json_object *to, const char *key, const char *value, bool *failed)
{
	char *copy = strdup(value);

	for (char *at = copy; at != NULL && *at != '\0';)
	{
		size_t length = utf8_length((const unsigned char *) at);

		if (length == 0)
			*at = '?';
		at += length == 0 ? 1 : length;
	}
	fha_json_put(to, key, copy == NULL ? NULL : json_object_new_string(copy), failed);
	free(copy);
}

void
fha_json_put_int(struct json_object *to, const char *key, int64_t value, bool *failed)
{
	fha_json_put(to, key, json_object_new_int64(value), failed);
}

void
fha_json_put_bool(struct json_object *to, const char *key, bool value, bool *failed)
{
	fha_json_put(to, key, json_object_new_boolean(value), failed);
}

void
fha_json_put_lsn(struct json_object *to, const char *key, uint64_t value, bool *failed)
{
	char text[FHA_LSN_TEXT_SIZE];

	fha_lsn_print(value, text, sizeof(text));
	fha_json_put_text(to, key, text, failed);
}

void
fha_json_put_u64(struct json_object *to, const char *key, uint64_t value, bool *failed)
{
	char text[24];

	(void) snprintf(text, sizeof(text), "%" PRIu64, value);
	fha_json_put_text(to, key, text, failed);
}

char *
fha_json_finish(struct json_object *object, bool failed, FhaError *err)
{
	char *text = NULL;

	if (object != NULL && !failed)
	{
		const char *built = json_object_to_json_string_ext(
			object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

		if (built != NULL)
			text = strdup(built);
	}
	json_object_put(object);
	if (text == NULL)
		(void) fha_error(err, FHA_NO_MEMORY, "out of memory");
	return text;
}
