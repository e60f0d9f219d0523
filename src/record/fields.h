/*
 * fields.h: a record's fields as rows, from which it is read and printed.
 *
 * A key that is missing leaves its field as it is, so that records of other versions can be read; a key that no
 * row has is passed over.  Errors are those of base/json.h: the first one stays.
 */
#ifndef FHA_RECORD_FIELDS_H
#define FHA_RECORD_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct json_object;
struct FhaFields;

typedef enum FhaFieldKind
{
	FHA_FIELD_TEXT,     /* char[size] */
	FHA_FIELD_BOOL,     /* bool */
	FHA_FIELD_INT,      /* int64_t, from min to max */
	FHA_FIELD_TIMELINE, /* uint32_t */
	FHA_FIELD_U64,      /* uint64_t, as decimal text */
	FHA_FIELD_TERM,     /* the same, up to FHA_TERM_MAX */
	FHA_FIELD_LSN,      /* uint64_t */
	FHA_FIELD_OBJECT,   /* a struct with `fields` of its own */
	FHA_FIELD_OBJECTS, /* an array of those: size bytes each, at most max; how many stands at `count` */
	FHA_FIELD_OWN      /* by `read` and `put`, which get the whole record */
} FhaFieldKind;

typedef struct FhaField
{
	const char *key;
	FhaFieldKind kind;
	bool
		optional; /* not printed while it is zero, "", none; of an OBJECT: while its first field is */
	size_t offset;
	size_t size;
	int64_t min;
	int64_t max;
	size_t count; /* the offset of a size_t */
	const struct FhaFields *fields;
	void (*read)(struct json_object *from, void *record, FhaError *err);
	void (*put)(struct json_object *to, const void *record, bool *failed);
} FhaField;

typedef struct FhaFields
{
	const FhaField *rows; /* in the order in which they are printed */
	size_t count;
} FhaFields;

#define FHA_FIELDS(rows)                         \
	{                                            \
		(rows), sizeof(rows) / sizeof((rows)[0]) \
	}

/* Rows of a struct `type`; the key is the member's name, or given. */
#define FHA_FIELD_AT(type, member) \
	.offset = offsetof(type, member), .size = sizeof(((type *) NULL)->member)
#define FHA_FIELD(type, kind_, member)                                        \
	{                                                                         \
		.key = #member, .kind = FHA_FIELD_##kind_, FHA_FIELD_AT(type, member) \
	}
#define FHA_OPTIONAL(type, kind_, member)                                                       \
	{                                                                                           \
		.key = #member, .kind = FHA_FIELD_##kind_, .optional = true, FHA_FIELD_AT(type, member) \
	}

#define FHA_FIELD_INT_OF(type, member, min_, max_)                                        \
	{                                                                                     \
		.key = #member, .kind = FHA_FIELD_INT, FHA_FIELD_AT(type, member), .min = (min_), \
		.max = (max_)                                                                     \
	}
/* Without braces: optional and fields may follow. */
#define FHA_FIELD_OBJECT_OF(type, member) \
	.key = #member, .kind = FHA_FIELD_OBJECT, FHA_FIELD_AT(type, member)
#define FHA_FIELD_BY(read_, put_)                             \
	{                                                         \
		.kind = FHA_FIELD_OWN, .read = (read_), .put = (put_) \
	}

void fha_fields_read(struct json_object *from, const FhaFields *fields, void *record,
					 FhaError *err);
void fha_fields_put(struct json_object *to, const FhaFields *fields, const void *record,
					bool *failed);

/* The rows of an FhaPosition. */
extern const FhaFields fha_position_fields;

#endif
