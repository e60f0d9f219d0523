/*
 * json.h: typed, capped reads over json-c, and writes that remember failure.
 */
#ifndef FHA_BASE_JSON_H
#define FHA_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "base/err.h"

/* Nesting of our own records is four; anything deeper is not ours. */
#define FHA_JSON_DEPTH 8
/* Far above any record (FHA_RECORD_DATA_MAX) and file of ours. */
#define FHA_JSON_SIZE_MAX (16 * 1024 * 1024)

/*
 * Parse one object that fills data exactly (white space around it allowed).
 * NULL and *err (PROTOCOL or NO_MEMORY) otherwise.  The caller puts it.
 */
struct json_object *fha_json_parse(const char *data, size_t size, FhaError *err);
/* The same for what others nest deeper: Kubernetes' objects. */
#define FHA_JSON_DEPTH_OTHERS 32
struct json_object *fha_json_parse_deep(const char *data, size_t size, FhaError *err);

/*
 * Reads of one key into the caller's variable.  A missing key (or null) leaves the
 * variable as it is; a wrong type or a value over its size sets *err, once: the
 * first error stays, so that a caller reads everything and looks at the end.
 */
void fha_json_text(struct json_object *from, const char *key, char *out, size_t size,
				   FhaError *err);
void fha_json_int(struct json_object *from, const char *key, int64_t min, int64_t max, int64_t *out,
				  FhaError *err);
void fha_json_bool(struct json_object *from, const char *key, bool *out, FhaError *err);
void fha_json_lsn(struct json_object *from, const char *key, uint64_t *out, FhaError *err);
/* Unsigned 64-bit numbers stand as decimal text: JSON readers round large numbers. */
void fha_json_u64(struct json_object *from, const char *key, uint64_t *out, FhaError *err);
/* NULL if missing; of another type: *err. */
struct json_object *fha_json_object(struct json_object *from, const char *key, FhaError *err);
struct json_object *fha_json_array(struct json_object *from, const char *key, size_t max,
								   FhaError *err);

/* The key "kind" must say what is wanted. */
void fha_json_kind(struct json_object *from, const char *wanted, FhaError *err);
/* One element of an array of objects (`key` is for the complaint); NULL and *err if it is none. */
struct json_object *fha_json_element(struct json_object *array, size_t index, const char *key,
									 FhaError *err);

/* Writes: any failure sets *failed. */
void fha_json_put(struct json_object *to, const char *key, struct json_object *value, bool *failed);
void fha_json_append(struct json_object *array, struct json_object *value, bool *failed);
void fha_json_put_text(struct json_object *to, const char *key, const char *value, bool *failed);
void fha_json_put_int(struct json_object *to, const char *key, int64_t value, bool *failed);
void fha_json_put_bool(struct json_object *to, const char *key, bool value, bool *failed);
void fha_json_put_lsn(struct json_object *to, const char *key, uint64_t value, bool *failed);
void fha_json_put_u64(struct json_object *to, const char *key, uint64_t value, bool *failed);

/* The whole text (free it), which was seen to read as the same object; NULL: out of memory. */
char *fha_json_print(struct json_object *object, int flags);

/* The text of a finished object (free it), which is put in any case; NULL and *err on failure. */
char *fha_json_finish(struct json_object *object, bool failed, FhaError *err);

#endif
