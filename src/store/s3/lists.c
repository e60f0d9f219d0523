/*
 * lists.c: see store/s3/lists.h.
 */
#include "store/s3/lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/tame.h"
#include "store/encode.h"
#include "store/xml.h"

typedef struct PageReader
{
	const FhaStoreSettings *settings;
	FhaStoreResult *result;
	bool encoded;
	/* Of the element that is being read. */
	char key[FHA_XML_TEXT_SIZE];
	FhaStoreObject object;
	FhaStorePart part;
	/* When the part was written, and the one before it, to the fraction that the store tells. */
	char written[40];
	char written_before[40];
	char upload[FHA_STORE_UPLOAD_SIZE];
	/* Of the page. */
	bool rooted; /* the outermost element is the one that was asked for */
	bool truncated;
	FhaText next_key;
	FhaText next_upload;
	/* Of the first failure. */
	char refusal[64];
	FhaCode code;
	FhaError *err;
} PageReader;

static void
listing_fail(PageReader *reader, FhaCode code)
{
	if (reader->code == FHA_OK)
		reader->code = code;
}

/* Into reader->key; a '+' is a blank in keys that come encoded. */
static void
listing_take_key(PageReader *reader, const char *text)
{
	(void) snprintf(reader->key, sizeof(reader->key), "%s", text);
	if (!reader->encoded)
		return;
	for (char *at = reader->key; *at != '\0'; at++)
		if (*at == '+')
			*at = ' ';
	if (!fha_percent_decode(reader->key))
		listing_fail(reader, fha_error(reader->err, FHA_PROTOCOL,
									   "the store lists a key that is not encoded well"));
}

static uint64_t
listing_number(PageReader *reader, const char *text)
{
	char *end;
	uint64_t number = strtoull(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || number > INT64_MAX)
		listing_fail(reader, fha_error(reader->err, FHA_PROTOCOL,
									   "the store lists a size that is no number"));
	return number;
}

/* Consoles, and SeaweedFS, make an object of the folder itself that is the store's prefix. */
static bool
listing_is_marker(const PageReader *reader)
{
	size_t length = strlen(reader->settings->prefix);

	return length > 0 && strncmp(reader->key, reader->settings->prefix, length) == 0 &&
		   strcmp(reader->key + length, "/") == 0;
}

static void
listing_add(PageReader *reader, bool is_folder)
{
	reader->object.is_folder = is_folder;
	if (reader->code == FHA_OK && !listing_is_marker(reader))
		listing_fail(reader,
					 fha_store_add_object(reader->result, reader->settings, reader->key,
										  strlen(reader->key), &reader->object, reader->err));
	reader->object = (FhaStoreObject){.key = NULL};
	reader->key[0] = '\0';
}

static FhaCode
listing_read(const char *body, size_t size, void (*end)(void *, const char *, const char *),
			 PageReader *reader, FhaError *err)
{
	FhaXmlReader xml = {.end = end, .owner = reader};
	FhaCode code;

	reader->err = err;
	code = fha_xml_read(body, size, &xml, err);
	if (code != FHA_OK)
		return code;
	if (reader->code == FHA_OK && !reader->rooted)
		return fha_error(err, FHA_PROTOCOL, "the store's answer is another one than asked for");
	return reader->code;
}

/* Where the next page begins, if this one says that there is one. */
static FhaCode
listing_end_page(PageReader *reader, FhaCode code)
{
	if (code == FHA_OK && reader->truncated)
		code = fha_store_set_text(&reader->result->next, fha_text_string(&reader->next_key),
								  FHA_STORE_PAGE_SIZE, reader->err);
	fha_text_release(&reader->next_key);
	fha_text_release(&reader->next_upload);
	return code;
}

/* --- objects */

static void
listing_take_object(void *owner, const char *path, const char *text)
{
	PageReader *reader = owner;
	const char *name = strchr(path, '/') == NULL ? "" : strchr(path, '/') + 1;

	if (strcmp(path, "ListBucketResult") == 0)
		reader->rooted = true;
	else if (strcmp(name, "Contents/Key") == 0 || strcmp(name, "CommonPrefixes/Prefix") == 0)
		listing_take_key(reader, text);
	else if (strcmp(name, "Contents/Size") == 0)
		reader->object.size = listing_number(reader, text);
	else if (strcmp(name, "Contents/LastModified") == 0)
		(void) fha_iso_time_parse(text, &reader->object.modified_s);
	else if (strcmp(name, "Contents") == 0)
		listing_add(reader, false);
	else if (strcmp(name, "CommonPrefixes") == 0)
		listing_add(reader, true);
	else if (strcmp(name, "IsTruncated") == 0)
		reader->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextContinuationToken") == 0)
		fha_text_add(&reader->next_key, text);
}

FhaCode
fha_s3_read_list(const char *body, size_t size, bool encoded, const FhaStoreSettings *settings,
				 FhaStoreResult *result, FhaError *err)
{
	PageReader reader = {.settings = settings, .result = result, .encoded = encoded};

	return listing_end_page(&reader, listing_read(body, size, listing_take_object, &reader, err));
}

/* --- uploads */

static void
listing_take_upload(void *owner, const char *path, const char *text)
{
	PageReader *reader = owner;
	const char *name = strchr(path, '/') == NULL ? "" : strchr(path, '/') + 1;

	if (strcmp(path, "ListMultipartUploadsResult") == 0)
		reader->rooted = true;
	else if (strcmp(name, "Upload/Key") == 0)
		listing_take_key(reader, text);
	else if (strcmp(name, "Upload/UploadId") == 0)
		(void) snprintf(reader->upload, sizeof(reader->upload), "%s", text);
	else if (strcmp(name, "Upload/Initiated") == 0)
		(void) fha_iso_time_parse(text, &reader->object.modified_s);
	else if (strcmp(name, "Upload") == 0)
	{
		reader->object.upload = reader->upload;
		listing_add(reader, false);
		reader->upload[0] = '\0';
	}
	else if (strcmp(name, "IsTruncated") == 0)
		reader->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextKeyMarker") == 0)
	{
		listing_take_key(reader, text);
		fha_percent_encode(&reader->next_key, reader->key, "");
		reader->key[0] = '\0';
	}
	else if (strcmp(name, "NextUploadIdMarker") == 0)
		fha_text_add(&reader->next_upload, text);
}

FhaCode
fha_s3_read_uploads(const char *body, size_t size, bool encoded, const FhaStoreSettings *settings,
					FhaStoreResult *result, FhaError *err)
{
	PageReader reader = {.settings = settings, .result = result, .encoded = encoded};
	FhaCode code;

	code = listing_read(body, size, listing_take_upload, &reader, err);
	fha_text_add_format(&reader.next_key, "/%s", fha_text_string(&reader.next_upload));
	return listing_end_page(&reader, code);
}

/* --- parts */

/* SeaweedFS lists a part that was replaced beside the one that stands for it: the later one counts. */
static void
listing_add_part(PageReader *reader)
{
	FhaStoreResult *result = reader->result;
	size_t count = result->part_count;
	bool again = count > 0 && result->parts[count - 1].number == reader->part.number;

	if (!again && reader->code == FHA_OK)
		listing_fail(reader, fha_store_add_part(result, reader->part.number, reader->part.size,
												reader->part.tag, reader->err));
	else if (again && strcmp(reader->written, reader->written_before) >= 0)
		result->parts[count - 1] = reader->part;
	if (!again || strcmp(reader->written, reader->written_before) >= 0)
		memcpy(reader->written_before, reader->written, sizeof(reader->written));
	reader->part = (FhaStorePart){.number = 0};
	reader->written[0] = '\0';
}

static void
listing_take_part(void *owner, const char *path, const char *text)
{
	PageReader *reader = owner;
	const char *name = strchr(path, '/') == NULL ? "" : strchr(path, '/') + 1;

	if (strcmp(path, "ListPartsResult") == 0)
		reader->rooted = true;
	else if (strcmp(name, "Part/PartNumber") == 0)
		reader->part.number = (unsigned) listing_number(reader, text);
	else if (strcmp(name, "Part/Size") == 0)
		reader->part.size = listing_number(reader, text);
	else if (strcmp(name, "Part/ETag") == 0)
		(void) snprintf(reader->part.tag, sizeof(reader->part.tag), "%s", text);
	else if (strcmp(name, "Part/LastModified") == 0)
		(void) snprintf(reader->written, sizeof(reader->written), "%s", text);
	else if (strcmp(name, "Part") == 0)
		listing_add_part(reader);
	else if (strcmp(name, "IsTruncated") == 0)
		reader->truncated = strcmp(text, "true") == 0;
	else if (strcmp(name, "NextPartNumberMarker") == 0)
		fha_text_add(&reader->next_key, text);
}

FhaCode
fha_s3_read_parts(const char *body, size_t size, FhaStoreResult *result, FhaError *err)
{
	PageReader reader = {.result = result};

	return listing_end_page(&reader, listing_read(body, size, listing_take_part, &reader, err));
}

/* --- one upload */

static void
listing_take_begin(void *owner, const char *path, const char *text)
{
	PageReader *reader = owner;

	if (strcmp(path, "InitiateMultipartUploadResult") == 0)
		reader->rooted = true;
	else if (strcmp(path, "InitiateMultipartUploadResult/UploadId") == 0)
		fha_text_add(&reader->next_upload, text);
}

FhaCode
fha_s3_read_begin(const char *body, size_t size, FhaStoreResult *result, FhaError *err)
{
	PageReader reader = {.result = result};
	FhaCode code;

	code = listing_read(body, size, listing_take_begin, &reader, err);
	if (code == FHA_OK)
		code = fha_store_set_text(&result->upload, fha_text_string(&reader.next_upload),
								  FHA_STORE_UPLOAD_SIZE, err);
	return listing_end_page(&reader, code);
}

static void
listing_take_complete(void *owner, const char *path, const char *text)
{
	PageReader *reader = owner;

	(void) text;
	if (strcmp(path, "CompleteMultipartUploadResult") == 0)
		reader->rooted = true;
}

FhaCode
fha_s3_read_complete(const char *body, size_t size, FhaError *err)
{
	PageReader reader = {.code = FHA_OK};

	return listing_end_page(&reader, listing_read(body, size, listing_take_complete, &reader, err));
}

/* --- keys that are not deleted */

static FhaCode
deleted_code(const char *word)
{
	if (strcmp(word, "NoSuchKey") == 0)
		return FHA_OK;
	if (strcmp(word, "AccessDenied") == 0)
		return FHA_DENIED;
	if (strcmp(word, "InternalError") == 0 || strcmp(word, "SlowDown") == 0 ||
		strcmp(word, "OperationAborted") == 0)
		return FHA_AGAIN;
	return FHA_INVALID;
}

static void
listing_take_deleted(void *owner, const char *path, const char *text)
{
	PageReader *reader = owner;
	char key[100];
	FhaCode code;

	if (strcmp(path, "DeleteResult") == 0)
		reader->rooted = true;
	else if (strcmp(path, "DeleteResult/Error/Key") == 0)
		listing_take_key(reader, text);
	else if (strcmp(path, "DeleteResult/Error/Code") == 0)
		fha_copy_printable(reader->refusal, sizeof(reader->refusal), text, strlen(text));
	else if (strcmp(path, "DeleteResult/Error") == 0)
	{
		code = deleted_code(reader->refusal);
		fha_copy_printable(key, sizeof(key), reader->key, strlen(reader->key));
		/* What will not get better is told before what may. */
		if (code != FHA_OK && (reader->code == FHA_OK || reader->code == FHA_AGAIN))
			reader->code =
				fha_error(reader->err, code, "the store did not delete \"%s\": %s", key,
						  reader->refusal[0] == '\0' ? "it does not say why" : reader->refusal);
		reader->refusal[0] = '\0';
	}
}

FhaCode
fha_s3_read_deleted(const char *body, size_t size, FhaError *err)
{
	PageReader reader = {.code = FHA_OK};

	return listing_end_page(&reader, listing_read(body, size, listing_take_deleted, &reader, err));
}
