/*
 * json.c: typed, capped reads over json-c.  See json.h.
 */
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/printbuf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/tame.h"

/*
 * As fha_json_parse, with *problem and *end from the tokener.  Json-c (0.16) does not look whether
 * its buffer can grow, and would hand out strings that were cut: it gets all that it can need first.
 */
static struct json_object *
json_parse(const char *data, size_t size, int depth, enum json_tokener_error *problem, size_t *end)
{
	struct json_tokener *tokener = json_tokener_new_ex(depth);
	struct json_object *object;

	*problem = json_tokener_error_size;
	if (tokener == NULL)
		return NULL;
	if (printbuf_memset(tokener->pb, 0, 0, (int) size + 1) != 0)
	{
		json_tokener_free(tokener);
		return NULL;
	}
	printbuf_reset(tokener->pb);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
										JSON_TOKENER_ALLOW_TRAILING_CHARS);
	object = json_tokener_parse_ex(tokener, data, (int) size);
	*problem = json_tokener_get_error(tokener);
	*end = json_tokener_get_parse_end(tokener);
	json_tokener_free(tokener);
	return object;
}

/* Members of all objects in the text: each has one colon that is in no string. */
static size_t
count_colons(const char *data, size_t size)
{
	size_t count = 0;
	bool quoted = false;

	for (size_t i = 0; i < size; i++)
	{
		if (data[i] == '"')
			quoted = !quoted;
		else if (quoted && data[i] == '\\')
			i++;
		else if (!quoted && data[i] == ':')
			count++;
	}
	return count;
}

static size_t
count_members(struct json_object *object)
{
	size_t count = 0;

	if (json_object_is_type(object, json_type_object))
	{
		json_object_object_foreach(object, key, value)
		{
			(void) key;
			count += 1 + count_members(value);
		}
	}
	else if (json_object_is_type(object, json_type_array))
		for (size_t i = 0; i < json_object_array_length(object); i++)
			count += count_members(json_object_array_get_idx(object, i));
	return count;
}

/* Json-c takes NaN and Infinity, which JSON does not have: NaN is not even equal to itself. */
static bool
is_finite(struct json_object *object)
{
	if (json_object_is_type(object, json_type_double))
		return isfinite(json_object_get_double(object));
	if (json_object_is_type(object, json_type_object))
	{
		json_object_object_foreach(object, key, value)
		{
			(void) key;
			if (!is_finite(value))
				return false;
		}
	}
	else if (json_object_is_type(object, json_type_array))
		for (size_t i = 0; i < json_object_array_length(object); i++)
			if (!is_finite(json_object_array_get_idx(object, i)))
				return false;
	return true;
}

/* Is there memory for all that a text of this size becomes? */
static bool
has_room(size_t size)
{
	void *probe = malloc(64 * size);

	free(probe);
	return probe != NULL;
}

static struct json_object *
parse_to(const char *data, size_t size, int depth, FhaError *err)
{
	if (size >= FHA_JSON_SIZE_MAX)
	{
		(void) fha_error(err, FHA_PROTOCOL, "JSON text of %zu bytes is too long", size);
		return NULL;
	}
	for (int tries = 0;; tries++)
	{
		enum json_tokener_error problem;
		struct json_object *object;
		const char *why = "a key stands there twice";
		size_t end = 0;

		errno = 0;
		object = json_parse(data, size, depth, &problem, &end);
		/* Json-c (0.16) has no code for it. */
		if (errno == ENOMEM)
		{
			json_object_put(object);
			break;
		}
		while (end < size && strchr(" \t\r\n", data[end]) != NULL && data[end] != '\0')
			end++;
		if (problem != json_tokener_success)
			why = json_tokener_error_desc(problem);
		else if (end != size || !json_object_is_type(object, json_type_object))
			why = "something else, or text after it";
		else if (!is_finite(object))
			why = "a number is not finite";
		else if (count_members(object) == count_colons(data, size))
			return object;
		json_object_put(object);
		/* It also drops what finds no memory, without a word: again, if there is some. */
		if (!has_room(size))
			break; /* LCOV_EXCL_LINE: no memory */
		if (tries > 0)
		{
			(void) fha_error(err, FHA_PROTOCOL, "not a JSON object: %s", why);
			return NULL;
		}
	}
	(void) fha_error(err, FHA_NO_MEMORY, "out of memory");
	return NULL;
}

struct json_object *
fha_json_parse(const char *data, size_t size, FhaError *err)
{
	return parse_to(data, size, FHA_JSON_DEPTH, err);
}

struct json_object *
fha_json_parse_deep(const char *data, size_t size, FhaError *err)
{
	return parse_to(data, size, FHA_JSON_DEPTH_OTHERS, err);
}

static void
json_complain(FhaError *err, const char *key, const char *what)
{
	if (err->code == FHA_OK)
		(void) fha_error(err, FHA_PROTOCOL, "key \"%s\" %s", key, what);
}

static struct json_object *
json_find(struct json_object *from, const char *key, enum json_type type, FhaError *err)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(from, key, &value) || value == NULL)
		return NULL;
	if (!json_object_is_type(value, type))
	{
		json_complain(err, key, "has the wrong type");
		return NULL;
	}
	return value;
}

void
fha_json_text(struct json_object *from, const char *key, char *out, size_t size, FhaError *err)
{
	struct json_object *value = json_find(from, key, json_type_string, err);
	size_t length;

	if (value == NULL)
		return;
	length = (size_t) json_object_get_string_len(value);
	if (length >= size || strlen(json_object_get_string(value)) != length)
	{
		json_complain(err, key, "is too long, or has a NUL in it");
		return;
	}
	memcpy(out, json_object_get_string(value), length + 1);
}

void
fha_json_int(struct json_object *from, const char *key, int64_t min, int64_t max, int64_t *out,
			 FhaError *err)
{
	struct json_object *value = json_find(from, key, json_type_int, err);
	int64_t number;

	if (value == NULL)
		return;
	number = json_object_get_int64(value);
	if (number < min || number > max)
		json_complain(err, key, "is out of range");
	else
		*out = number;
}

void
fha_json_bool(struct json_object *from, const char *key, bool *out, FhaError *err)
{
	struct json_object *value = json_find(from, key, json_type_boolean, err);

	if (value != NULL)
		*out = json_object_get_boolean(value);
}

void
fha_json_lsn(struct json_object *from, const char *key, uint64_t *out, FhaError *err)
{
	char text[FHA_LSN_TEXT_SIZE] = "";

	fha_json_text(from, key, text, sizeof(text), err);
	if (text[0] != '\0' && !fha_lsn_parse(text, out))
		json_complain(err, key, "is not an LSN");
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
		json_complain(err, key, "is not a number");
	else
		*out = number;
}

struct json_object *
fha_json_object(struct json_object *from, const char *key, FhaError *err)
{
	return json_find(from, key, json_type_object, err);
}

struct json_object *
fha_json_array(struct json_object *from, const char *key, size_t max, FhaError *err)
{
	struct json_object *value = json_find(from, key, json_type_array, err);

	if (value != NULL && json_object_array_length(value) > max)
	{
		json_complain(err, key, "has too many elements");
		return NULL;
	}
	return value;
}

void
fha_json_kind(struct json_object *from, const char *wanted, FhaError *err)
{
	char kind[FHA_WORD_SIZE] = "";

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

/* Bytes that are no UTF-8 (a name of the system's, a text that was cut) become '?': one of them
 * would make the whole record unreadable for everybody. */
void
fha_json_put_text(struct json_object *to, const char *key, const char *value, bool *failed)
{
	char *copy = strdup(value);

	if (copy != NULL)
		fha_utf8_mend(copy);
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
fha_json_print(struct json_object *object, int flags)
{
	const char *built = json_object_to_json_string_ext(object, flags);
	char *text = built == NULL ? NULL : strdup(built);
	struct json_object *again;
	enum json_tokener_error problem;
	size_t end = 0;

	if (text == NULL)
		return NULL;
	/* Json-c (0.16) leaves out what finds no memory: only what reads as the same is complete. */
	again = json_parse(text, strlen(text), JSON_TOKENER_DEFAULT_DEPTH, &problem, &end);
	if (problem != json_tokener_success || end != strlen(text) || !json_object_equal(object, again))
	{
		free(text);
		text = NULL;
	}
	json_object_put(again);
	return text;
}

char *
fha_json_finish(struct json_object *object, bool failed, FhaError *err)
{
	char *text = NULL;

	if (object != NULL && !failed)
		text = fha_json_print(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	json_object_put(object);
	if (text == NULL)
		(void) fha_error(err, FHA_NO_MEMORY, "out of memory");
	return text;
}
