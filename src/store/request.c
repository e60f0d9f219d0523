/*
 * request.c: what may be asked of a store, checked and copied before a driver sees it.
 */
#include "store/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tame.h"

bool
fha_store_key_valid(const char *key, size_t size)
{
	size_t length;

	for (size_t at = 0; at < size; at += length)
	{
		length = key[at] == '\0' ? 0 : fha_utf8_length(key + at);
		if (length == 0 || length > size - at)
			return false;
	}
	return size > 0;
}

/* --- checks */

static size_t
request_key_max(const FhaStoreSettings *settings)
{
	size_t prefix = strlen(settings->prefix);

	return FHA_STORE_KEY_SIZE - 1 - (prefix == 0 ? 0 : prefix + 1);
}

static FhaCode
request_check_key(const char *key, bool may_be_empty, const FhaStoreSettings *settings,
				  FhaError *err)
{
	size_t max = request_key_max(settings);
	size_t length = key == NULL ? 0 : strnlen(key, max + 1);

	if (length == 0 && may_be_empty)
		return FHA_OK;
	if (length == 0)
		return fha_error(err, FHA_INVALID, "a key is missing");
	if (length > max)
		return fha_error(err, FHA_INVALID, "the key \"%.60s...\" is longer than %zu bytes", key,
						 max);
	if (!fha_store_key_valid(key, length))
		return fha_error(err, FHA_INVALID, "a key is no UTF-8");
	return FHA_OK;
}

static FhaCode
request_check_keys(const FhaStoreRequest *request, const FhaStoreSettings *settings, FhaError *err)
{
	FhaCode code = FHA_OK;

	if (request->keys == NULL || request->key_count == 0 ||
		request->key_count > FHA_STORE_DELETE_MAX)
		return fha_error(err, FHA_INVALID, "%zu keys to delete: 1 to %d are allowed",
						 request->key_count, FHA_STORE_DELETE_MAX);
	for (size_t i = 0; code == FHA_OK && i < request->key_count; i++)
		code = request_check_key(request->keys[i], false, settings, err);
	return code;
}

static FhaCode
request_check_text(const char *text, const char *what, size_t size, FhaError *err)
{
	if (text == NULL || text[0] == '\0' || strnlen(text, size) == size)
		return fha_error(err, FHA_INVALID, "%s is missing, or longer than %zu bytes", what,
						 size - 1);
	return FHA_OK;
}

static FhaCode
request_check_page(const FhaStoreRequest *request, FhaError *err)
{
	return request->page == NULL
			   ? FHA_OK
			   : request_check_text(request->page, "the page", FHA_STORE_PAGE_SIZE, err);
}

static FhaCode
request_check_get(const FhaStoreRequest *request, FhaError *err)
{
	if (request->take == NULL)
		return fha_error(err, FHA_INVALID, "a GET needs a taker");
	if (request->offset > INT64_MAX || request->length > INT64_MAX - request->offset)
		return fha_error(err, FHA_INVALID, "no object has so many bytes");
	return FHA_OK;
}

static FhaCode
request_check_data(const FhaStoreRequest *request, FhaError *err)
{
	if (request->data == NULL && request->size > 0)
		return fha_error(err, FHA_INVALID, "the data is missing");
	if (request->size > FHA_STORE_WRITE_MAX)
		return fha_error(err, FHA_INVALID, "%zu bytes are more than one write may have: use parts",
						 request->size);
	return FHA_OK;
}

static FhaCode
request_check_part_size(const FhaStoreRequest *request, FhaError *err)
{
	if (request->part_size < FHA_STORE_PART_MIN || request->part_size > FHA_STORE_WRITE_MAX)
		return fha_error(err, FHA_INVALID, "parts of %llu bytes: %d to %lld are allowed",
						 (unsigned long long) request->part_size, FHA_STORE_PART_MIN,
						 (long long) FHA_STORE_WRITE_MAX);
	return FHA_OK;
}

static FhaCode
request_check_part(const FhaStoreRequest *request, FhaError *err)
{
	FhaCode code = request_check_part_size(request, err);

	if (code == FHA_OK)
		code = request_check_data(request, err);
	if (code != FHA_OK)
		return code;
	if (request->number == 0 || request->number > FHA_STORE_PARTS_MAX)
		return fha_error(err, FHA_INVALID, "part %u: 1 to %d are allowed", request->number,
						 FHA_STORE_PARTS_MAX);
	if (request->size == 0 || request->size > request->part_size)
		return fha_error(err, FHA_INVALID, "part %u has %zu bytes: 1 to %llu are allowed",
						 request->number, request->size, (unsigned long long) request->part_size);
	return FHA_OK;
}

static bool
request_parts_fit(const FhaStorePart *parts, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		bool is_last = i == count - 1;

		if (parts[i].number != i + 1 || parts[i].size == 0 || parts[i].size > parts[0].size ||
			(!is_last && (parts[i].size != parts[0].size || parts[i].size < FHA_STORE_PART_MIN)) ||
			parts[i].tag[0] == '\0' ||
			strnlen(parts[i].tag, FHA_STORE_TAG_SIZE) == FHA_STORE_TAG_SIZE)
			return false;
	}
	return true;
}

static FhaCode
request_check_complete(const FhaStoreRequest *request, FhaError *err)
{
	if (request->parts == NULL || request->part_count == 0 ||
		request->part_count > FHA_STORE_PARTS_MAX)
		return fha_error(err, FHA_INVALID, "%zu parts: 1 to %d are allowed", request->part_count,
						 FHA_STORE_PARTS_MAX);
	if (!request_parts_fit(request->parts, request->part_count))
		return fha_error(err, FHA_INVALID,
						 "the parts are not 1, 2, 3 and so on, all but the last of one size");
	return FHA_OK;
}

static bool
request_has_upload(FhaStoreVerb verb)
{
	return verb == FHA_STORE_PART || verb == FHA_STORE_PARTS || verb == FHA_STORE_COMPLETE ||
		   verb == FHA_STORE_ABORT;
}

/* What is particular to the verb, once its names are good. */
static FhaCode
request_check_verb(const FhaStoreRequest *request, FhaError *err)
{
	switch (request->verb)
	{
		case FHA_STORE_GET:
			return request_check_get(request, err);
		case FHA_STORE_PUT:
			return request_check_data(request, err);
		case FHA_STORE_LIST:
		case FHA_STORE_PARTS:
		case FHA_STORE_UPLOADS:
			return request_check_page(request, err);
		case FHA_STORE_BEGIN:
			return request_check_part_size(request, err);
		case FHA_STORE_PART:
			return request_check_part(request, err);
		case FHA_STORE_COMPLETE:
			return request_check_complete(request, err);
		case FHA_STORE_STAT:
		case FHA_STORE_DELETE:
		case FHA_STORE_ABORT:
			break;
	}
	return FHA_OK;
}

FhaCode
fha_store_request_check(const FhaStoreRequest *request, const FhaStoreSettings *settings,
						FhaError *err)
{
	bool is_list = request->verb == FHA_STORE_LIST || request->verb == FHA_STORE_UPLOADS;
	FhaCode code;

	if ((unsigned) request->verb >= FHA_STORE_VERBS)
		return fha_error(err, FHA_INVALID, "there is no request %d", (int) request->verb);
	code = request->verb == FHA_STORE_DELETE
			   ? request_check_keys(request, settings, err)
			   : request_check_key(request->key, is_list, settings, err);
	if (code == FHA_OK && request_has_upload(request->verb))
		code = request_check_text(request->upload, "the upload's name", FHA_STORE_UPLOAD_SIZE, err);
	return code == FHA_OK ? request_check_verb(request, err) : code;
}

/* --- copies */

static bool
asked_copy_text(const char **text)
{
	*text = *text == NULL ? NULL : strdup(*text);
	return *text != NULL;
}

/* Prefix, '/' and key in one text; NULL: no memory. */
static char *
asked_full_key(const FhaStoreSettings *settings, const char *key)
{
	size_t size = strlen(settings->prefix) + 1 + strlen(key) + 1;
	char *full = malloc(size);

	if (full != NULL)
		(void) snprintf(full, size, "%s%s%s", settings->prefix,
						settings->prefix[0] == '\0' ? "" : "/", key);
	return full;
}

/* In two arrays of `count` texts, which belong to *asked even if it is false: no memory. */
static bool
asked_copy_keys(FhaStoreAsked *asked, const FhaStoreSettings *settings)
{
	FhaStoreRequest *request = &asked->request;
	const char *const *from = request->keys;
	size_t count = request->key_count;
	char **keys = calloc(count, sizeof(*keys));

	request->keys = (const char *const *) keys;
	asked->full_keys = calloc(count, sizeof(*asked->full_keys));
	if (keys == NULL || asked->full_keys == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
	{
		keys[i] = strdup(from[i]);
		/* analyzer: both belong to *asked, which is released after a failure */
		asked->full_keys[i] = asked_full_key(settings, from[i]);
		if (keys[i] == NULL || asked->full_keys[i] == NULL)
			return false;
	}
	return true;
}

static bool
asked_copy_parts(FhaStoreRequest *request)
{
	size_t size = request->part_count * sizeof(*request->parts);
	FhaStorePart *parts = malloc(size);

	if (parts != NULL)
		memcpy(parts, request->parts, size);
	request->parts = parts;
	return parts != NULL;
}

/* A request in which nothing belongs to another yet, so that what was copied can be released at any time. */
static FhaStoreRequest
asked_begin(const FhaStoreRequest *request)
{
	FhaStoreRequest own = *request;

	if (own.verb == FHA_STORE_DELETE)
		own.key = NULL;
	else
	{
		own.key = own.key == NULL ? "" : own.key;
		own.keys = NULL;
		own.key_count = 0;
	}
	if (!request_has_upload(own.verb))
		own.upload = NULL;
	if (own.verb != FHA_STORE_LIST && own.verb != FHA_STORE_PARTS && own.verb != FHA_STORE_UPLOADS)
		own.page = NULL;
	if (own.verb != FHA_STORE_COMPLETE)
	{
		own.parts = NULL;
		own.part_count = 0;
	}
	return own;
}

FhaStoreAsked *
fha_store_asked_make(const FhaStoreRequest *request, const FhaStoreSettings *settings)
{
	FhaStoreAsked *asked = calloc(1, sizeof(*asked));
	FhaStoreRequest *own;
	bool whole = true;

	if (asked == NULL)
		return NULL;
	atomic_init(&asked->holders, 1);
	own = &asked->request;
	*own = asked_begin(request);
	if (own->key != NULL)
	{
		asked->full_key = asked_full_key(settings, own->key);
		whole = asked_copy_text(&own->key) && asked->full_key != NULL;
	}
	/* Each is copied even after a failure: what is not a copy must not be released. */
	if (own->keys != NULL)
		whole = asked_copy_keys(asked, settings) && whole;
	if (own->upload != NULL)
		whole = asked_copy_text(&own->upload) && whole;
	if (own->page != NULL)
		whole = asked_copy_text(&own->page) && whole;
	if (own->parts != NULL)
		whole = asked_copy_parts(own) && whole;
	if (whole)
		return asked;
	fha_store_asked_release(asked);
	return NULL;
}

void
fha_store_asked_hold(FhaStoreAsked *asked)
{
	(void) atomic_fetch_add(&asked->holders, 1);
}

static void
asked_release_keys(char **keys, size_t count)
{
	for (size_t i = 0; keys != NULL && i < count; i++)
		free(keys[i]);
	free(keys);
}

void
fha_store_asked_release(FhaStoreAsked *asked)
{
	FhaStoreRequest *request;

	if (asked == NULL || atomic_fetch_sub(&asked->holders, 1) != 1)
		return;
	request = &asked->request;
	free((char *) (uintptr_t) request->key);
	free((char *) (uintptr_t) request->upload);
	free((char *) (uintptr_t) request->page);
	free((FhaStorePart *) (uintptr_t) request->parts);
	asked_release_keys((char **) (uintptr_t) request->keys, request->key_count);
	asked_release_keys(asked->full_keys, request->key_count);
	free(asked->full_key);
	free(asked);
}
