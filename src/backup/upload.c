/*
 * upload.c: a stream becomes an object of a store.  See backup/upload.h.
 */
#include "backup/upload.h"

#include <stdlib.h>
#include <string.h>

#include "backup/parts.h"
#include "base/clock.h"

typedef enum UploadState
{
	UPLOAD_FILLS, /* the first part, of which it is not known whether it is all */
	UPLOAD_PUTS,  /* it was all: one call */
	UPLOAD_BEGINS,
	UPLOAD_SENDS,
	UPLOAD_COMPLETES,
	UPLOAD_LOOKS, /* whether it was completed: that answer was lost */
	UPLOAD_IS_DONE
} UploadState;

/* A call that is under way; call NULL: the place is free. */
typedef struct UploadCall
{
	FhaStoreCall *call;
	unsigned number; /* of its part; 0: it sends none */
	size_t size;
} UploadCall;

struct FhaUpload
{
	FhaStore *store;
	int64_t patience_ms;
	size_t part_size;
	FhaParts *parts;
	UploadState state;
	FhaPart first; /* waits for the upload to begin */
	bool has_last; /* the last part was handed to the store */
	UploadCall calls[FHA_PARTS_MAX];
	unsigned call_count;
	FhaStorePart *sent; /* by number */
	size_t sent_count;
	size_t sent_room;
	uint64_t stored;
	FhaError error;
	char name[FHA_STORE_UPLOAD_SIZE];
	char key[FHA_STORE_KEY_SIZE];
};

FhaCode
fha_upload_open(FhaUpload **out, FhaStore *store, const FhaUploadSettings *settings, FhaError *err)
{
	FhaUpload *upload;
	FhaCode code;

	*out = NULL;
	if (strlen(settings->key) >= FHA_STORE_KEY_SIZE)
		return fha_error(err, FHA_INVALID, "the key \"%.60s...\" is too long", settings->key);
	upload = calloc(1, sizeof(*upload));
	if (upload == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	upload->store = store;
	upload->patience_ms = settings->patience_ms;
	upload->part_size = settings->part_size;
	memcpy(upload->key, settings->key, strlen(settings->key) + 1);
	code = fha_parts_open(&upload->parts, settings->part_size, settings->part_count, err);
	if (code == FHA_OK)
		*out = upload;
	else
		fha_upload_close(upload);
	return code;
}

void
fha_upload_close(FhaUpload *upload)
{
	if (upload == NULL)
		return;
	for (size_t i = 0; i < FHA_PARTS_MAX; i++)
	{
		if (upload->calls[i].call != NULL)
			fha_store_cancel(upload->store, upload->calls[i].call);
	}
	fha_parts_close(upload->parts);
	free(upload->sent);
	free(upload);
}

static void
upload_fail(FhaUpload *upload, FhaCode code, const FhaError *because)
{
	if (upload->error.code == FHA_OK)
		(void) fha_error(&upload->error, code, "could not store \"%.100s\": %.120s", upload->key,
						 because->text);
}

/* --- calls */

static UploadCall *
upload_find(FhaUpload *upload, const FhaStoreCall *call)
{
	size_t i = 0;

	while (i < FHA_PARTS_MAX && upload->calls[i].call != call)
		i++;
	return i == FHA_PARTS_MAX ? NULL : &upload->calls[i];
}

static void
upload_start(FhaUpload *upload, const FhaPart *part, FhaStoreRequest *request)
{
	UploadCall *place = upload_find(upload, NULL);
	FhaError err = {.code = FHA_CONFLICT, .text = "too many calls are under way"};
	FhaCode code = FHA_CONFLICT;

	request->key = upload->key;
	request->deadline_at_ms = fha_now_ms() + upload->patience_ms;
	request->owner = upload;
	/* There are as many places as buffers, and a call that sends no part runs alone. */
	if (place != NULL)
		code = fha_store_start(upload->store, request, &place->call, &err);
	if (code != FHA_OK)
	{
		upload_fail(upload, code, &err);
		return;
	}
	place->number = part == NULL ? 0 : part->number;
	place->size = part == NULL ? 0 : part->size;
	upload->call_count++;
}

static void
upload_call(FhaUpload *upload, FhaStoreVerb verb)
{
	FhaStoreRequest request = {.verb = verb, .part_size = upload->part_size};

	if (verb == FHA_STORE_COMPLETE)
	{
		request.upload = upload->name;
		request.parts = upload->sent;
		request.part_count = upload->sent_count;
	}
	upload_start(upload, NULL, &request);
}

static bool
upload_make_room(FhaUpload *upload, unsigned number)
{
	size_t room = upload->sent_room == 0 ? 64 : 2 * upload->sent_room;
	FhaStorePart *grown;

	if (number <= upload->sent_room)
		return true;
	grown = realloc(upload->sent, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	upload->sent = grown;
	upload->sent_room = room;
	return true;
}

static void
upload_send(FhaUpload *upload, const FhaPart *part)
{
	FhaStoreRequest request = {.verb = FHA_STORE_PART,
							   .upload = upload->name,
							   .part_size = upload->part_size,
							   .number = part->number,
							   .data = part->data,
							   .size = part->size};
	FhaError err;

	if (part->number > FHA_STORE_PARTS_MAX)
	{
		(void) fha_error(&err, FHA_INVALID, "it has more than %d parts of %zu bytes",
						 FHA_STORE_PARTS_MAX, upload->part_size);
		upload_fail(upload, FHA_INVALID, &err);
		return;
	}
	if (!upload_make_room(upload, part->number))
	{
		(void) fha_error(&err, FHA_NO_MEMORY, "out of memory");
		upload_fail(upload, FHA_NO_MEMORY, &err);
		return;
	}
	upload->sent_count = part->number;
	upload->has_last = part->is_last;
	upload_start(upload, part, &request);
}

static void
upload_put(FhaUpload *upload, const FhaPart *part)
{
	FhaStoreRequest request = {.verb = FHA_STORE_PUT, .data = part->data, .size = part->size};

	upload->state = UPLOAD_PUTS;
	upload_start(upload, part, &request);
}

/* --- answers */

static void
upload_part_stored(FhaUpload *upload, const UploadCall *ended, const FhaStoreAnswer *answer)
{
	FhaStorePart *part = &upload->sent[ended->number - 1];

	*part = (FhaStorePart){.number = ended->number, .size = ended->size};
	memcpy(part->tag, answer->tag, strlen(answer->tag) + 1);
	upload->stored += ended->size;
	fha_parts_release(upload->parts, ended->number);
}

/* Only an upload that was completed makes the object appear, and no one else writes this key. */
static void
upload_was_completed(FhaUpload *upload, const FhaStoreAnswer *answer)
{
	FhaError err;

	if (answer->size == upload->stored)
		upload->state = UPLOAD_IS_DONE;
	else
	{
		(void) fha_error(&err, FHA_PROTOCOL, "the store has %llu bytes of it, and %llu were sent",
						 (unsigned long long) answer->size, (unsigned long long) upload->stored);
		upload_fail(upload, FHA_PROTOCOL, &err);
	}
}

static void
upload_go_on(FhaUpload *upload, const UploadCall *ended, const FhaStoreAnswer *answer)
{
	switch (answer->verb)
	{
		case FHA_STORE_BEGIN:
			memcpy(upload->name, answer->upload, strlen(answer->upload) + 1);
			upload->state = UPLOAD_SENDS;
			upload_send(upload, &upload->first);
			break;
		case FHA_STORE_PART:
			upload_part_stored(upload, ended, answer);
			break;
		case FHA_STORE_STAT:
			upload_was_completed(upload, answer);
			break;
		default: /* PUT, COMPLETE */
			upload->stored += ended->size;
			upload->state = UPLOAD_IS_DONE;
			break;
	}
}

void
fha_upload_answer(FhaUpload *upload, const FhaStoreAnswer *answer)
{
	UploadCall *place = upload_find(upload, answer->call);
	UploadCall ended;

	if (place == NULL)
		return;
	ended = *place;
	*place = (UploadCall){.call = NULL};
	upload->call_count--;
	if (answer->code == FHA_OK)
		upload_go_on(upload, &ended, answer);
	else if (answer->code == FHA_UNKNOWN && answer->verb == FHA_STORE_COMPLETE)
	{
		upload->state = UPLOAD_LOOKS;
		upload_call(upload, FHA_STORE_STAT);
	}
	else
		upload_fail(upload, answer->code, &answer->error);
}

/* --- step */

static void
upload_hand_out(FhaUpload *upload)
{
	FhaPart part;

	if (upload->state == UPLOAD_FILLS && fha_parts_next(upload->parts, &part))
	{
		if (part.is_last)
			upload_put(upload, &part);
		else
		{
			upload->first = part;
			upload->state = UPLOAD_BEGINS;
			upload_call(upload, FHA_STORE_BEGIN);
		}
	}
	while (upload->state == UPLOAD_SENDS && upload->error.code == FHA_OK &&
		   fha_parts_next(upload->parts, &part))
		upload_send(upload, &part);
	if (upload->state == UPLOAD_SENDS && upload->error.code == FHA_OK && upload->has_last &&
		upload->call_count == 0)
	{
		upload->state = UPLOAD_COMPLETES;
		upload_call(upload, FHA_STORE_COMPLETE);
	}
}

FhaCode
fha_upload_step(FhaUpload *upload, FhaStream *from, FhaError *err)
{
	FhaCode code = FHA_OK;

	if (upload->error.code == FHA_OK && upload->state < UPLOAD_COMPLETES)
		code = fha_parts_fill(upload->parts, from, &upload->error);
	if (code == FHA_OK || code == FHA_AGAIN)
		upload_hand_out(upload);
	if (upload->error.code != FHA_OK)
	{
		if (err != NULL)
			*err = upload->error;
		return upload->error.code;
	}
	return upload->state == UPLOAD_IS_DONE ? FHA_OK : FHA_AGAIN;
}

uint64_t
fha_upload_taken(const FhaUpload *upload)
{
	return fha_parts_taken(upload->parts);
}

uint64_t
fha_upload_stored(const FhaUpload *upload)
{
	return upload->stored;
}
