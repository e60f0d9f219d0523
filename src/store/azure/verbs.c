/*
 * verbs.c: what the requests of a try are, and what their answers mean.  See store/azure/private.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/azure/private.h"
#include "store/encode.h"

/* Azure's, since version 2019-12-12. */
#define BLOCK_MAX (UINT64_C(4000) * 1024 * 1024)

/* --- uploads that are known to be there: their parts go without a look at the blocks */

static char *
azure_known_find(FhaAzure *azure, const char *upload)
{
	for (size_t i = 0; i < FHA_AZURE_KNOWN_MAX; i++)
		if (strcmp(azure->known[i], upload) == 0)
			return azure->known[i];
	return NULL;
}

static void
azure_known_add(FhaAzure *azure, const char *upload)
{
	if (azure_known_find(azure, upload) != NULL)
		return;
	memcpy(azure->known[azure->known_next], upload, FHA_AZURE_UPLOAD_SIZE);
	azure->known_next = (azure->known_next + 1) % FHA_AZURE_KNOWN_MAX;
}

static void
azure_known_remove(FhaAzure *azure, const char *upload)
{
	char *known = azure_known_find(azure, upload);

	if (known != NULL)
		known[0] = '\0';
}

/* --- the requests of a try */

/* The first end of a try counts; its other requests are broken off. */
void
fha_azure_try_end(FhaAzureTry *try_, FhaCode code)
{
	for (size_t i = 0; i < try_->slot_count; i++)
		fha_azure_drop(&try_->slots[i]);
	if (try_->ended)
		return;
	try_->call->result.code = code;
	try_->ended = true;
}

void
fha_azure_slot_send(FhaAzureSlot *slot, FhaAzureWhat what)
{
	FhaAzureTry *try_ = slot->try_;
	FhaCode code;

	slot->what = what;
	code = fha_azure_send(slot, &try_->call->result.error);
	if (code != FHA_OK)
		fha_azure_try_end(try_, code);
}

/* The next blob to delete goes out in this slot; the last answer ends the try. */
static void
azure_delete_next(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;
	const FhaStoreAsked *asked = try_->call->asked;

	if (try_->key_next < asked->request.key_count)
	{
		slot->key = asked->full_keys[try_->key_next++];
		fha_azure_slot_send(slot, FHA_AZURE_DELETE);
		return;
	}
	for (size_t i = 0; i < try_->slot_count; i++)
		if (try_->slots[i].busy || try_->slots[i].waits)
			return;
	fha_azure_try_end(try_, FHA_OK);
}

static int
azure_compare_uploads(const void *left, const void *right)
{
	const FhaStoreObject *one = left;
	const FhaStoreObject *other = right;
	int by_key = strcmp(one->key, other->key);

	return by_key != 0 ? by_key : strcmp(one->upload, other->upload);
}

static void
azure_uploads_end(FhaAzureTry *try_)
{
	FhaStoreResult *result = &try_->call->result;

	result->next = try_->names.next;
	try_->names.next = NULL;
	if (result->object_count > 1)
		qsort(result->objects, result->object_count, sizeof(*result->objects),
			  azure_compare_uploads);
	fha_azure_try_end(try_, FHA_OK);
}

/* The blocks of the next name that may have some are asked for in this slot. */
static void
azure_uploads_next(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;
	const char *prefix = try_->azure->store.settings.prefix;
	const FhaStoreResult *names = &try_->names;

	while (try_->key_next < names->object_count && names->objects[try_->key_next].size != 0)
		try_->key_next++;
	if (try_->key_next < names->object_count)
	{
		fha_text_clear(&slot->body);
		fha_text_add_format(&slot->body, "%s%s%s", prefix, prefix[0] == '\0' ? "" : "/",
							names->objects[try_->key_next++].key);
		slot->key = fha_text_string(&slot->body);
		fha_azure_slot_send(slot, FHA_AZURE_BLOCKS);
		return;
	}
	for (size_t i = 0; i < try_->slot_count; i++)
		if (try_->slots[i].busy || try_->slots[i].waits)
			return;
	azure_uploads_end(try_);
}

static void
azure_try_fan_out(FhaAzureTry *try_, void (*next)(FhaAzureSlot *slot))
{
	for (size_t i = 0; i < try_->slot_count && !try_->ended; i++)
		next(&try_->slots[i]);
}

/* --- answers that are what was wanted */

static FhaCode
azure_protocol(FhaStoreResult *result, const char *what)
{
	return fha_error(&result->error, FHA_PROTOCOL, "%s", what);
}

static void
azure_take_properties(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;
	FhaStoreResult *result = &try_->call->result;
	char text[40];
	FhaCode code = FHA_OK;

	if (!fha_http_call_header_u64(&slot->call, "Content-Length", &result->size))
		code = azure_protocol(result, "Azure did not say how large the blob is");
	if (fha_http_call_header(&slot->call, "Last-Modified", text, sizeof(text)))
		(void) !fha_http_date_parse(text, &result->modified_s);
	fha_azure_try_end(try_, code);
}

static void
azure_upload_gone(FhaAzureTry *try_)
{
	fha_azure_try_end(try_, fha_error(&try_->call->result.error, FHA_NOT_FOUND,
									  "the upload is not there any more"));
}

/* A COMPLETE finds no upload, or a blob in its way: is that blob its own? */
static void
azure_take_proof(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;
	const FhaStoreRequest *request = &try_->call->asked->request;
	FhaError *err = &try_->call->result.error;
	char upload[FHA_AZURE_UPLOAD_SIZE + 1];

	if (fha_http_call_header(&slot->call, FHA_AZURE_UPLOAD_META, upload, sizeof(upload)) &&
		strcmp(upload, request->upload) == 0)
		fha_azure_try_end(try_, FHA_OK);
	else if (request->if_absent)
		fha_azure_try_end(try_, fha_error(err, FHA_CONFLICT, "there is such an object already"));
	else
		azure_upload_gone(try_);
}

/* All of the body, or none: libcurl has seen to its own length. */
static void
azure_take_end(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;

	if (slot->call.taken == try_->expected)
		fha_azure_try_end(try_, FHA_OK);
	else
		fha_azure_try_end(try_, fha_error(&try_->call->result.error, FHA_IO,
										  "the answer has %" PRIu64 " bytes instead of %" PRIu64,
										  slot->call.taken, try_->expected));
}

static void
azure_take_list(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;
	FhaStoreResult *result = &try_->call->result;
	bool uploads = try_->call->asked->request.verb == FHA_STORE_UPLOADS;
	FhaCode code = fha_azure_list_read(fha_text_string(&slot->call.body), slot->call.body.size,
									   &try_->azure->store.settings,
									   uploads ? &try_->names : result, &result->error);

	if (code != FHA_OK || !uploads)
		fha_azure_try_end(try_, code);
	else
	{
		fha_azure_drop(slot);
		azure_try_fan_out(try_, azure_uploads_next);
	}
}

static FhaCode
azure_add_parts(FhaStoreCall *call, const FhaAzureBlock *blocks, size_t count)
{
	const FhaStoreRequest *request = &call->asked->request;
	unsigned after = request->page == NULL ? 0 : (unsigned) strtoul(request->page, NULL, 10);
	char tag[FHA_AZURE_BLOCK_ID_SIZE];
	char page[16];
	FhaCode code = FHA_OK;

	for (size_t i = 0; code == FHA_OK && i < count; i++)
	{
		if (blocks[i].number <= after)
			continue;
		if (call->result.part_count == FHA_STORE_LIST_MAX)
		{
			(void) snprintf(page, sizeof(page), "%u", blocks[i - 1].number);
			return fha_store_set_text(&call->result.next, page, FHA_STORE_PAGE_SIZE,
									  &call->result.error);
		}
		fha_azure_block_id(request->upload, blocks[i].number, tag);
		code = fha_store_add_part(&call->result, blocks[i].number, blocks[i].size, tag,
								  &call->result.error);
	}
	return code;
}

static bool
azure_has_parts(const FhaStoreRequest *request, const FhaAzureBlock *blocks, size_t count)
{
	char tag[FHA_AZURE_BLOCK_ID_SIZE];
	size_t at = 0;

	for (size_t i = 0; i < request->part_count; i++)
	{
		const FhaStorePart *part = &request->parts[i];

		while (at < count && blocks[at].number < part->number)
			at++;
		fha_azure_block_id(request->upload, part->number, tag);
		if (at == count || blocks[at].number != part->number || blocks[at].size != part->size ||
			strcmp(tag, part->tag) != 0)
			return false;
	}
	return true;
}

static void
azure_add_uploads(FhaAzureSlot *slot, const FhaAzureBlocks *blocks)
{
	FhaAzureTry *try_ = slot->try_;
	FhaStoreResult *result = &try_->call->result;
	FhaCode code = FHA_OK;

	for (size_t i = 0; code == FHA_OK && i < blocks->count; i++)
	{
		char upload[FHA_AZURE_UPLOAD_SIZE];
		size_t parts;

		memcpy(upload, blocks->blocks[i].upload, sizeof(upload));
		if ((i == 0 || strcmp(upload, blocks->blocks[i - 1].upload) != 0) &&
			fha_azure_blocks_of(blocks, upload, &parts) != NULL)
			code = fha_store_add_object(
				result, &try_->azure->store.settings, slot->key, strlen(slot->key),
				&(FhaStoreObject){.modified_s = fha_azure_upload_began_s(upload), .upload = upload},
				&result->error);
	}
	if (code != FHA_OK)
	{
		fha_azure_try_end(try_, code);
		return;
	}
	fha_azure_drop(slot);
	azure_uploads_next(slot);
}

/* Of one upload: what its verb does with the blocks. */
static void
azure_use_blocks(FhaAzureSlot *slot, const FhaAzureBlock *blocks, size_t count)
{
	FhaAzureTry *try_ = slot->try_;
	const FhaStoreRequest *request = &try_->call->asked->request;

	if (request->verb == FHA_STORE_COMPLETE && blocks == NULL)
		fha_azure_slot_send(slot, FHA_AZURE_PROPERTIES);
	else if (request->verb == FHA_STORE_COMPLETE && !azure_has_parts(request, blocks, count))
		fha_azure_try_end(try_, fha_error(&try_->call->result.error, FHA_INVALID,
										  "the upload does not have all the parts that are to "
										  "become the object"));
	else if (request->verb == FHA_STORE_COMPLETE)
		fha_azure_slot_send(slot, FHA_AZURE_COMMIT);
	else if (blocks == NULL && request->verb == FHA_STORE_ABORT)
		fha_azure_try_end(try_, FHA_OK);
	else if (blocks == NULL)
		fha_azure_try_end(try_, fha_error(&try_->call->result.error, FHA_NOT_FOUND,
										  "there is no such upload of this key"));
	else if (request->verb == FHA_STORE_PARTS)
		fha_azure_try_end(try_, azure_add_parts(try_->call, blocks, count));
	else
	{
		if (request->verb == FHA_STORE_PART)
			azure_known_add(try_->azure, request->upload);
		slot->number = request->verb == FHA_STORE_PART ? request->number : FHA_AZURE_BLOCK_ABORTED;
		fha_azure_slot_send(slot, FHA_AZURE_BLOCK);
	}
}

/* there: the name has blocks, or a blob. */
static void
azure_take_blocks(FhaAzureSlot *slot, bool there)
{
	FhaAzureTry *try_ = slot->try_;
	FhaAzureBlocks blocks = {.count = 0};
	const FhaAzureBlock *own = NULL;
	size_t count = 0;
	FhaCode code = FHA_OK;

	if (there)
		code = fha_azure_blocks_read(fha_text_string(&slot->call.body), slot->call.body.size,
									 &blocks, &try_->call->result.error);
	if (code != FHA_OK)
		fha_azure_try_end(try_, code);
	else if (try_->call->asked->request.verb == FHA_STORE_UPLOADS)
		azure_add_uploads(slot, &blocks);
	else
	{
		if (blocks.count > 0)
			own = fha_azure_blocks_of(&blocks, try_->call->asked->request.upload, &count);
		fha_http_call_drop(&try_->azure->client, &slot->call);
		slot->busy = false;
		azure_use_blocks(slot, own, count);
	}
	fha_azure_blocks_release(&blocks);
}

static void
azure_take_block(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;
	const FhaStoreRequest *request = &try_->call->asked->request;
	FhaStoreResult *result = &try_->call->result;
	FhaCode code = FHA_OK;

	if (request->verb == FHA_STORE_PART)
		fha_azure_block_id(request->upload, request->number, result->tag);
	else if (request->verb == FHA_STORE_ABORT)
		azure_known_remove(try_->azure, request->upload);
	else
	{
		azure_known_add(try_->azure, try_->upload);
		code = fha_store_set_text(&result->upload, try_->upload, FHA_STORE_UPLOAD_SIZE,
								  &result->error);
	}
	fha_azure_try_end(try_, code);
}

static void
azure_take_answer(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;

	switch (slot->what)
	{
		case FHA_AZURE_PROPERTIES:
			if (try_->call->asked->request.verb == FHA_STORE_COMPLETE)
				azure_take_proof(slot);
			else
				azure_take_properties(slot);
			break;
		case FHA_AZURE_GET:
			azure_take_end(slot);
			break;
		case FHA_AZURE_PUT:
			fha_azure_try_end(try_, FHA_OK);
			break;
		case FHA_AZURE_LIST:
			azure_take_list(slot);
			break;
		case FHA_AZURE_BLOCKS:
			azure_take_blocks(slot, true);
			break;
		case FHA_AZURE_BLOCK:
			azure_take_block(slot);
			break;
		case FHA_AZURE_COMMIT:
			azure_known_remove(try_->azure, try_->call->asked->request.upload);
			fha_azure_try_end(try_, FHA_OK);
			break;
		case FHA_AZURE_DELETE:
			fha_azure_drop(slot);
			azure_delete_next(slot);
			break;
	}
}

/* --- answers that are not */

/* A GET that begins behind the end, or at it: "Content-Range: bytes * / SIZE" says where that is. */
static bool
azure_take_behind(FhaAzureSlot *slot)
{
	FhaStoreCall *call = slot->try_->call;
	char text[64];
	uint64_t size;

	if (!fha_http_call_header(&slot->call, "Content-Range", text, sizeof(text)) ||
		sscanf(text, "bytes */%" SCNu64, &size) != 1)
		return false;
	fha_azure_try_end(slot->try_, fha_store_call_object(call, "", size, 0, &call->result.error));
	return true;
}

/* Who we are has changed, so that another try may fare better? */
static bool
azure_renew_access(FhaAzureSlot *slot, int status)
{
	FhaAzure *azure = slot->try_->azure;
	FhaError err;

	if (azure->store.settings.identity == FHA_STORE_BY_SURROUNDINGS)
		return status == 401 && fha_azure_tokens_refused(&azure->tokens, slot->generation);
	return fha_secret_refresh(&azure->secret, NULL, true) &&
		   fha_azure_take_access(azure, &err) == FHA_OK;
}

/* What a missing blob, or one that is in the way, means to this verb; false: nothing of its own. */
static bool
azure_take_refusal(FhaAzureSlot *slot, FhaCode code)
{
	switch (slot->what)
	{
		case FHA_AZURE_BLOCKS:
			if (code == FHA_NOT_FOUND)
				azure_take_blocks(slot, false);
			return code == FHA_NOT_FOUND;
		case FHA_AZURE_DELETE:
			if (code == FHA_NOT_FOUND)
				azure_take_answer(slot);
			return code == FHA_NOT_FOUND;
		case FHA_AZURE_COMMIT:
			if (code != FHA_NOT_FOUND && code != FHA_CONFLICT)
				return false;
			fha_azure_drop(slot);
			fha_azure_slot_send(slot, FHA_AZURE_PROPERTIES);
			return true;
		case FHA_AZURE_GET:
			return slot->call.status == 416 && azure_take_behind(slot);
		case FHA_AZURE_PROPERTIES:
			if (code == FHA_NOT_FOUND &&
				slot->try_->call->asked->request.verb == FHA_STORE_COMPLETE)
				azure_upload_gone(slot->try_);
			return slot->try_->ended;
		case FHA_AZURE_PUT:
		case FHA_AZURE_LIST:
		case FHA_AZURE_BLOCK:
			break;
	}
	return false;
}

static void
azure_take_fault(FhaAzureSlot *slot)
{
	FhaAzureTry *try_ = slot->try_;
	FhaStoreResult *result = &try_->call->result;
	FhaHttpCall *call = &slot->call;
	FhaAzureFault fault;
	char word[FHA_AZURE_WORD_SIZE];
	int64_t theirs_s;
	int64_t off_s = 0;
	FhaCode code;

	(void) !fha_http_call_header(call, "x-ms-error-code", word, sizeof(word));
	fha_azure_fault_read(call->status, word, fha_text_string(&call->body), call->body.size, &fault);
	if (fha_http_call_date(call, &theirs_s))
		off_s = theirs_s - fha_wall_ms() / 1000;
	code = fha_azure_fault_judge(&fault, fha_azure_writes(slot->what), off_s, &result->error);
	if (azure_take_refusal(slot, code))
		return;
	if (code == FHA_DENIED && azure_renew_access(slot, call->status))
		code = FHA_AGAIN;
	result->retry_after_ms = fha_http_call_retry_after_ms(call);
	fha_azure_try_end(try_, code);
}

static bool
azure_is_success(FhaAzureWhat what, int status)
{
	static const int statuses[] = {
		[FHA_AZURE_PROPERTIES] = 200, [FHA_AZURE_GET] = 200,    [FHA_AZURE_PUT] = 201,
		[FHA_AZURE_LIST] = 200,       [FHA_AZURE_BLOCKS] = 200, [FHA_AZURE_BLOCK] = 201,
		[FHA_AZURE_COMMIT] = 201,     [FHA_AZURE_DELETE] = 202,
	};

	return status == statuses[what] || (what == FHA_AZURE_GET && status == 206);
}

void
fha_azure_answered(FhaHttpCall *call)
{
	FhaAzureSlot *slot = call->ask.owner;
	FhaAzureTry *try_ = slot->try_;
	FhaStoreResult *result = &try_->call->result;

	slot->busy = false;
	if (call->code != FHA_OK)
	{
		FhaCode code = call->code;

		result->error = call->error;
		if (fha_azure_writes(slot->what) && call->sent && code != FHA_NO_MEMORY)
			code = FHA_UNKNOWN;
		fha_azure_try_end(try_, code);
	}
	else if (azure_is_success(slot->what, call->status))
		azure_take_answer(slot);
	else if (call->status < 300)
		fha_azure_try_end(try_,
						  fha_error(&result->error,
									fha_azure_writes(slot->what) ? FHA_UNKNOWN : FHA_PROTOCOL,
									"HTTP status %d: this is not Azure's answer", call->status));
	else
		azure_take_fault(slot);
}

/* --- the bytes of a GET */

static bool
azure_read_range(FhaAzureSlot *slot, uint64_t *size)
{
	FhaAzureTry *try_ = slot->try_;
	char text[80];
	char more;
	uint64_t last;
	uint64_t offset;
	uint64_t length;

	fha_store_call_range(try_->call, &offset, &length);
	if (slot->call.status == 200)
	{
		try_->from = 0;
		if (!fha_http_call_header_u64(&slot->call, "Content-Length", size))
			return false;
		try_->expected = *size;
		return offset == 0 && length == 0;
	}
	if (!fha_http_call_header(&slot->call, "Content-Range", text, sizeof(text)) ||
		sscanf(text, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64 "%c", &try_->from, &last, size,
			   &more) != 3 ||
		try_->from != offset || last >= *size)
		return false;
	/* Azurite's answer to what begins at the end is empty. */
	try_->expected = last + 1 - try_->from;
	if (last + 1 < try_->from)
		return false;
	return try_->expected == (length == 0 || length > *size - offset ? *size - offset : length);
}

bool
fha_azure_headed(FhaHttpCall *call)
{
	FhaAzureSlot *slot = call->ask.owner;
	FhaStoreCall *asked = slot->try_->call;
	char identity[FHA_STORE_TAG_SIZE];
	char text[40];
	int64_t modified_s = 0;
	uint64_t size;

	if (call->status != 200 && call->status != 206)
		return true;
	if (!azure_read_range(slot, &size))
	{
		call->code = fha_error(&call->error, FHA_PROTOCOL,
							   "Azure answers with other bytes than were asked for");
		return false;
	}
	(void) !fha_http_call_header(call, "ETag", identity, sizeof(identity));
	if (fha_http_call_header(call, "Last-Modified", text, sizeof(text)))
		(void) !fha_http_date_parse(text, &modified_s);
	call->code = fha_store_call_object(asked, identity, size, modified_s, &call->error);
	return call->code == FHA_OK;
}

size_t
fha_azure_take(const char *data, size_t size, void *owner)
{
	FhaAzureSlot *slot = owner;
	FhaAzureTry *try_ = slot->try_;
	FhaCode code = fha_store_call_bytes(try_->call, try_->from + slot->call.taken, data, size,
										&try_->call->result.error);

	if (code == FHA_OK)
		return size;
	try_->broken = code != FHA_AGAIN;
	return 0;
}

/* --- the first request of a try */

/*
 * A url's "." and ".." are gone before Azure sees the key, and it makes '/' of a backslash.
 * Control characters come back from a list in a form of their own, which emulators do not have.
 */
static bool
azure_key_valid(const char *key)
{
	for (const char *at = key; *at != '\0'; at++)
		if ((unsigned char) *at < ' ' || *at == '\x7f' || *at == '\\')
			return false;
	for (const char *at = key; at != NULL; at = strchr(at, '/'))
	{
		at += *at == '/' ? 1 : 0;
		if (strncmp(at, "./", 2) == 0 || strncmp(at, "../", 3) == 0 || strcmp(at, ".") == 0 ||
			strcmp(at, "..") == 0)
			return false;
	}
	return true;
}

FhaCode
fha_azure_check_keys(const FhaStoreAsked *asked, FhaError *err)
{
	FhaStoreVerb verb = asked->request.verb;
	bool valid = verb == FHA_STORE_LIST || verb == FHA_STORE_UPLOADS || asked->full_key == NULL ||
				 azure_key_valid(asked->full_key);

	for (size_t i = 0; i < asked->request.key_count; i++)
		valid = valid && azure_key_valid(asked->full_keys[i]);
	if (valid)
		return FHA_OK;
	return fha_error(err, FHA_INVALID,
					 "Azure has no keys with \".\" or \"..\" as a folder, '\\', or control "
					 "characters");
}

static FhaCode
azure_begin(FhaAzureTry *try_, FhaError *err)
{
	FhaCode code;

	if (try_->call->asked->request.part_size > BLOCK_MAX)
		return fha_error(err, FHA_INVALID, "Azure's parts have 4000 MiB at most");
	code = fha_azure_upload_new(try_->upload, fha_wall_ms() / 1000, err);
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: no random numbers */
	try_->slots[0].number = FHA_AZURE_BLOCK_BEGUN;
	fha_azure_slot_send(&try_->slots[0], FHA_AZURE_BLOCK);
	return FHA_OK;
}

/* PART, PARTS, COMPLETE, ABORT. */
static FhaCode
azure_begin_upload(FhaAzureTry *try_, FhaError *err)
{
	const FhaStoreRequest *request = &try_->call->asked->request;
	FhaAzureSlot *slot = &try_->slots[0];

	if (!fha_azure_upload_valid(request->upload))
	{
		if (request->verb != FHA_STORE_ABORT)
			return fha_error(err, FHA_NOT_FOUND, "there is no such upload");
		fha_azure_try_end(try_, FHA_OK);
		return FHA_OK;
	}
	slot->number = request->number;
	fha_azure_slot_send(slot, request->verb == FHA_STORE_PART &&
									  azure_known_find(try_->azure, request->upload) != NULL
								  ? FHA_AZURE_BLOCK
								  : FHA_AZURE_BLOCKS);
	return FHA_OK;
}

FhaCode
fha_azure_try_begin(FhaAzureTry *try_, FhaError *err)
{
	switch (try_->call->asked->request.verb)
	{
		case FHA_STORE_STAT:
			fha_azure_slot_send(&try_->slots[0], FHA_AZURE_PROPERTIES);
			break;
		case FHA_STORE_GET:
			fha_azure_slot_send(&try_->slots[0], FHA_AZURE_GET);
			break;
		case FHA_STORE_PUT:
			fha_azure_slot_send(&try_->slots[0], FHA_AZURE_PUT);
			break;
		case FHA_STORE_LIST:
		case FHA_STORE_UPLOADS:
			fha_azure_slot_send(&try_->slots[0], FHA_AZURE_LIST);
			break;
		case FHA_STORE_DELETE:
			azure_try_fan_out(try_, azure_delete_next);
			break;
		case FHA_STORE_BEGIN:
			return azure_begin(try_, err);
		case FHA_STORE_PART:
		case FHA_STORE_PARTS:
		case FHA_STORE_COMPLETE:
		case FHA_STORE_ABORT:
			return azure_begin_upload(try_, err);
	}
	return FHA_OK;
}
