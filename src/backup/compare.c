/*
 * compare.c: is an object of the archive the file that lies in pg_wal?  See backup/compare.h.
 */
#include "backup/compare.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/unpack.h"

#define COMPARE_PIECE ((size_t) 64 * 1024)

struct FhaCompare
{
	FhaWalSource source;
	char name[FHA_WAL_FILE_SIZE];
	char key[FHA_OBJECT_KEY_SIZE];
	FhaStream *content;
	uint64_t at;  /* how many bytes of the file were compared */
	FhaCode code; /* once it is decided; else OK */
	FhaError error;
	char piece[COMPARE_PIECE]; /* of the file */
};

FhaCode
fha_compare_open(FhaCompare **out, int directory, const char *name, const FhaWalRules *rules,
				 const FhaObjectName *object, const char *key, const FhaSealKeys *keys,
				 FhaError *err)
{
	FhaCompare *compare;
	FhaCode code;

	*out = NULL;
	if (object->encrypted && keys == NULL)
		return fha_error(
			err, FHA_CONFLICT,
			"\"%.120s\" is there already and encrypted, and without a key it cannot be "
			"compared with %s",
			key, name);
	compare = calloc(1, sizeof(*compare));
	if (compare == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	(void) snprintf(compare->name, sizeof(compare->name), "%s", name);
	(void) snprintf(compare->key, sizeof(compare->key), "%s", key);
	code = fha_wal_source_open(&compare->source, directory, compare->name, rules, err);
	if (code == FHA_OK)
	{
		code = fha_unpack_open(&compare->content, object, keys, key, err);
		if (code == FHA_OK)
		{
			*out = compare;
			return FHA_OK;
		}
		fha_wal_source_close(&compare->source);
	}
	free(compare);
	return code;
}

void
fha_compare_close(FhaCompare *compare)
{
	if (compare == NULL)
		return;
	fha_stream_close(compare->content);
	fha_wal_source_close(&compare->source);
	free(compare);
}

/* --- what comes of it */

static void
compare_differs(FhaCompare *compare)
{
	compare->code =
		fha_error(&compare->error, FHA_CONFLICT,
				  "%s of this server is not \"%.90s\" of the archive, from byte %" PRIu64
				  " on: another server archives there, too; nothing was replaced",
				  compare->name, compare->key, compare->at);
}

/* The stream of the object's content has failed. */
static void
compare_fails(FhaCompare *compare, FhaCode code, const FhaError *why)
{
	if (code == FHA_INVALID || code == FHA_DENIED)
		compare->code =
			fha_error(&compare->error, FHA_CONFLICT,
					  "\"%.80s\" is there already, and %s (%.50s); nothing was replaced: move it "
					  "away, and %s is archived",
					  compare->key, code == FHA_DENIED ? "cannot be opened" : "is damaged",
					  why->text, compare->name);
	else
		compare->code =
			fha_error(&compare->error, code, "\"%.120s\": %.100s", compare->key, why->text);
}

/* --- bytes */

static size_t
compare_equal_bytes(const char *a, const char *b, size_t size)
{
	size_t equal = 0;

	while (equal < size && a[equal] == b[equal])
		equal++;
	return equal;
}

/* Content of the object against what follows in the file. */
static void
compare_content(FhaCompare *compare, const char *data, size_t size)
{
	while (size > 0 && compare->code == FHA_OK)
	{
		uint64_t left = compare->source.size - compare->at;
		size_t some = size < COMPARE_PIECE ? size : COMPARE_PIECE;
		size_t equal;

		if (some > left)
			some = (size_t) left;
		compare->code = fha_wal_source_read(&compare->source, compare->at, compare->piece, some,
											&compare->error);
		if (compare->code != FHA_OK)
			return;
		equal = memcmp(data, compare->piece, some) == 0
					? some
					: compare_equal_bytes(data, compare->piece, some);
		compare->at += equal;
		if (equal < some || some == 0)
			compare_differs(compare);
		data += equal;
		size -= equal;
	}
}

/* What has come out of the object.  true: it was its end. */
static bool
compare_drain(FhaCompare *compare)
{
	while (compare->code == FHA_OK)
	{
		const char *data;
		size_t size;
		FhaError why;
		FhaCode code = fha_stream_look(compare->content, &data, &size, &why);

		if (code == FHA_AGAIN)
			return false;
		if (code != FHA_OK)
			compare_fails(compare, code, &why);
		else if (size == 0)
			return true;
		else
		{
			compare_content(compare, data, size);
			fha_stream_drop(compare->content, size);
		}
	}
	return false;
}

size_t
fha_compare_take(const char *data, size_t size, void *owner)
{
	FhaCompare *compare = owner;
	size_t at = 0;

	while (at < size && compare->code == FHA_OK)
	{
		size_t taken;
		FhaError why;
		FhaCode code = fha_stream_write(compare->content, data + at, size - at, &taken, &why);

		at += taken;
		if (code != FHA_OK)
			compare_fails(compare, code, &why);
		(void) compare_drain(compare);
	}
	return size;
}

bool
fha_compare_is_decided(const FhaCompare *compare)
{
	return compare->code != FHA_OK;
}

FhaCode
fha_compare_end(FhaCompare *compare, FhaWalIdentity *identity, FhaError *err)
{
	FhaError why;
	FhaCode code = compare->code == FHA_OK ? fha_stream_finish(compare->content, &why) : FHA_OK;

	if (code != FHA_OK)
		compare_fails(compare, code, &why);
	if (compare_drain(compare) && compare->at < compare->source.size)
		compare_differs(compare);
	if (compare->code == FHA_OK)
		compare->code = fha_wal_source_check(&compare->source, &compare->error);
	if (compare->code != FHA_OK && err != NULL)
		*err = compare->error;
	*identity = compare->source.identity;
	return compare->code;
}
