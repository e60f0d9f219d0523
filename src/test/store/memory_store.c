/*
 * memory_store.c: an object store in memory, which can be wrong on purpose; included by tests.
 *
 * The suite must notice each fault, because a driver's test on a real store is worth no more than what it would notice.
 */
#include "store/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef enum MemoryFault
{
	MEMORY_RIGHT,
	MEMORY_NO_PRECONDITION,
	MEMORY_NO_PRECONDITION_OF_PARTS,
	MEMORY_CONFLICT_THAT_WRITES,
	MEMORY_WRONG_LENGTH,
	MEMORY_WRONG_STAT,
	MEMORY_BODY_ENDS_EARLY,
	MEMORY_BODY_TOO_LONG,
	MEMORY_BODY_SHIFTED,
	MEMORY_RANGE_IGNORED,
	MEMORY_STALE,
	MEMORY_EMPTY_IS_ABSENT,
	MEMORY_KEYS_DECODED,
	MEMORY_KEYS_MERGED,
	MEMORY_LIST_LEAVES_OUT,
	MEMORY_LIST_REPEATS,
	MEMORY_LIST_UNSORTED,
	MEMORY_LIST_ENDS_EARLY,
	MEMORY_LIST_HAS_DELETED,
	MEMORY_FOLDERS_REPEAT,
	MEMORY_DELETES_ONE,
	MEMORY_LOST_PART,
	MEMORY_PARTS_IN_ORDER_OF_ARRIVAL,
	MEMORY_PART_NOT_REPLACED,
	MEMORY_PART_UNCHECKED,
	MEMORY_UPLOAD_STAYS,
	MEMORY_ABORT_KEEPS,
	MEMORY_REPLACED_UNNOTICED,
	MEMORY_FAULTS
} MemoryFault;

/* And the case of the suite that must notice it. */
static const struct
{
	const char *what, *case_name;
} memory_faults[MEMORY_FAULTS] = {
	{"nothing is wrong", ""},
	{"a create replaces", "create"},
	{"a multipart create replaces", "multipart_over_an_object"},
	{"a create that is refused writes", "create"},
	{"a GET says another length", "basics"},
	{"a STAT says another length", "basics"},
	{"a body ends early", "basics"},
	{"a body has more than was asked", "ranges"},
	{"a body begins one byte late", "ranges"},
	{"a range is ignored", "ranges"},
	{"a GET brings what was replaced", "basics"},
	{"an empty object is none", "empty"},
	{"the escapes in a key are decoded", "keys"},
	{"two slashes in a key become one", "keys"},
	{"a page leaves one out", "pages"},
	{"a page repeats one", "pages"},
	{"a list is not in order", "beginnings"},
	{"a list ends after its first page", "pages"},
	{"a list shows what was deleted", "delete"},
	{"a folder shows once for each object in it", "folders"},
	{"a batch deletes its first key alone", "delete"},
	{"a part is lost", "multipart_refused"},
	{"parts stand in the order of their arrival", "multipart_resumed"},
	{"a part that is sent again is left as it was", "multipart"},
	{"the tag of a part is not compared", "multipart_refused"},
	{"an upload that was completed is still listed", "multipart_aborted"},
	{"an upload that was aborted can be completed", "multipart_aborted"},
	{"a GET that was cut goes on with any object", "replaced_after_a_cut"},
};

/* --- what is there, for all handles */

typedef struct MemoryBytes
{
	char *data;
	size_t size;
} MemoryBytes;

typedef struct MemoryObject
{
	char *key;
	MemoryBytes now, before;
	unsigned version;
	bool deleted;
} MemoryObject;

typedef struct MemoryPart
{
	unsigned number;
	unsigned version;
	MemoryBytes bytes;
} MemoryPart;

typedef struct MemoryUpload
{
	char name[24];
	char *key;
	MemoryPart parts[8];
	unsigned part_count;
	bool over, aborted;
} MemoryUpload;

#define MEMORY_OBJECTS_MAX 4096
#define MEMORY_UPLOADS_MAX 32

typedef struct MemoryWorld
{
	MemoryFault fault;
	MemoryObject objects[MEMORY_OBJECTS_MAX]; /* sorted by key */
	size_t object_count;
	MemoryUpload uploads[MEMORY_UPLOADS_MAX];
	size_t upload_count;
	unsigned versions;
	/* Of the next try of the kind. */
	bool cuts;
	uint64_t cut_after;
	bool loses_answer;
	bool hangs;
} MemoryWorld;

static MemoryWorld world;

typedef struct MemoryStore
{
	FhaStore store;
	int fd;
	FhaStoreCall *ended[FHA_STORE_CALLS_MAX];
	size_t ended_count;
} MemoryStore;

/* Scripted results of tries: the tests of store.c say what the next ones bring. */
typedef struct MemoryScript
{
	FhaCode code; /* FHA_OK: as the store says */
	int64_t retry_after_ms;
	bool refused; /* by start */
} MemoryScript;

static MemoryScript memory_script[32];
static size_t memory_script_count, memory_script_at;
static int64_t memory_tried_at_ms[64];
static size_t memory_tried;

static void
memory_set(MemoryBytes *bytes, const char *data, size_t size)
{
	free(bytes->data);
	bytes->data = malloc(size + 1);
	if (bytes->data == NULL)
		abort();
	if (size > 0)
		memcpy(bytes->data, data, size);
	bytes->size = size;
}

static void
memory_clear(void)
{
	MemoryFault fault = world.fault;

	for (size_t i = 0; i < world.object_count; i++)
	{
		free(world.objects[i].key);
		free(world.objects[i].now.data);
		free(world.objects[i].before.data);
	}
	for (size_t i = 0; i < world.upload_count; i++)
	{
		free(world.uploads[i].key);
		for (unsigned j = 0; j < world.uploads[i].part_count; j++)
			free(world.uploads[i].parts[j].bytes.data);
	}
	memset(&world, 0, sizeof(world));
	world.fault = fault;
}

/* --- keys */

static int
memory_hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The key as this store takes it; free it. */
static char *
memory_key(const char *key)
{
	char *out = strdup(key);
	char *to = out;

	if (out == NULL)
		abort();
	for (const char *from = key; *from != '\0'; from++)
	{
		if (world.fault == MEMORY_KEYS_DECODED && *from == '+')
			*to++ = ' ';
		else if (world.fault == MEMORY_KEYS_DECODED && *from == '%' && memory_hex(from[1]) >= 0 &&
				 memory_hex(from[2]) >= 0)
		{
			*to++ = (char) (memory_hex(from[1]) * 16 + memory_hex(from[2]));
			from += 2;
		}
		else if (world.fault == MEMORY_KEYS_MERGED && *from == '/' && from[1] == '/')
			continue;
		else
			*to++ = *from;
	}
	*to = '\0';
	return out;
}

static size_t
memory_find(const char *key, bool *found)
{
	size_t low = 0;
	size_t high = world.object_count;

	while (low < high)
	{
		size_t middle = (low + high) / 2;
		int order = strcmp(key, world.objects[middle].key);

		if (order == 0)
		{
			*found = !world.objects[middle].deleted;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	*found = false;
	return low;
}

static MemoryObject *
memory_object(const char *asked)
{
	char *key = memory_key(asked);
	bool found;
	size_t at = memory_find(key, &found);

	free(key);
	if (!found || (world.fault == MEMORY_EMPTY_IS_ABSENT && world.objects[at].now.size == 0))
		return NULL;
	return &world.objects[at];
}

static void
memory_store(const char *asked, const char *data, size_t size)
{
	char *key = memory_key(asked);
	bool found;
	size_t at = memory_find(key, &found);
	MemoryObject *object = &world.objects[at];

	if (at == world.object_count || strcmp(object->key, key) != 0)
	{
		if (world.object_count == MEMORY_OBJECTS_MAX)
			abort();
		memmove(object + 1, object, (world.object_count - at) * sizeof(*object));
		world.object_count++;
		*object = (MemoryObject){.key = key};
	}
	else
		free(key);
	if (found)
		memory_set(&object->before, object->now.data, object->now.size);
	memory_set(&object->now, data, size);
	object->deleted = false;
	object->version = ++world.versions;
}

/* --- verbs on objects */

static FhaCode
memory_put(const FhaStoreRequest *request)
{
	bool exists = memory_object(request->key) != NULL;
	bool refuses = exists && request->if_absent && world.fault != MEMORY_NO_PRECONDITION;

	if (!refuses || world.fault == MEMORY_CONFLICT_THAT_WRITES)
		memory_store(request->key, request->data, request->size);
	return refuses ? FHA_CONFLICT : FHA_OK;
}

static FhaCode
memory_stat(const FhaStoreRequest *request, FhaStoreResult *result)
{
	const MemoryObject *object = memory_object(request->key);

	if (object == NULL)
		return FHA_NOT_FOUND;
	result->size = object->now.size + (world.fault == MEMORY_WRONG_STAT ? 1 : 0);
	result->modified_s = 1;
	return FHA_OK;
}

typedef struct MemoryReading
{
	const char *data;
	uint64_t at, end;
	bool is_cut;
} MemoryReading;

static MemoryReading
memory_reading(FhaStoreCall *call, const MemoryObject *object)
{
	const MemoryBytes *bytes =
		world.fault == MEMORY_STALE && object->before.data != NULL ? &object->before : &object->now;
	MemoryReading reading = {.data = bytes->data, .end = bytes->size};
	uint64_t length;

	fha_store_call_range(call, &reading.at, &length);
	if (world.fault == MEMORY_RANGE_IGNORED)
		reading.at = 0;
	else if (length != 0 && reading.at < reading.end && length < reading.end - reading.at &&
			 world.fault != MEMORY_BODY_TOO_LONG)
		reading.end = reading.at + length;
	if (world.cuts && reading.at + world.cut_after < reading.end)
	{
		reading.end = reading.at + world.cut_after;
		reading.is_cut = true;
	}
	world.cuts = false;
	return reading;
}

/* A GET goes on in steps, so that it can pause: where it is stands in call->try_. */
typedef struct MemoryGet
{
	unsigned version;
	uint64_t at; /* of the object, as the store takes it */
	uint64_t pretended;
	MemoryReading reading;
} MemoryGet;

static FhaCode
memory_get_begin(FhaStoreCall *call)
{
	const MemoryObject *object = memory_object(call->asked->request.key);
	MemoryGet *get;

	if (object == NULL)
		return FHA_NOT_FOUND;
	get = calloc(1, sizeof(*get));
	if (get == NULL)
		abort();
	get->version = object->version;
	get->reading = memory_reading(call, object);
	get->at = get->reading.at;
	get->pretended = object->now.size + (world.fault == MEMORY_WRONG_LENGTH ? 1 : 0);
	if (world.fault == MEMORY_STALE && object->before.data != NULL)
		get->pretended = object->before.size;
	if (world.fault == MEMORY_RANGE_IGNORED)
		get->at = call->asked->request.offset + call->taken;
	call->try_ = get;
	return FHA_OK;
}

/* AGAIN: paused. */
static FhaCode
memory_get_go_on(FhaStoreCall *call)
{
	MemoryGet *get = call->try_;
	FhaError *err = &call->result.error;
	bool early = world.fault == MEMORY_BODY_ENDS_EARLY;
	char identity[32];
	FhaCode code;

	(void) snprintf(identity, sizeof(identity), "v%u",
					world.fault == MEMORY_REPLACED_UNNOTICED ? 0 : get->version);
	code = fha_store_call_object(call, identity, get->pretended, 1, err);
	while (code == FHA_OK && get->reading.at < get->reading.end)
	{
		uint64_t left = get->reading.end - get->reading.at;
		size_t size = left < 65536 ? (size_t) left : 65536;
		const char *data = get->reading.data + get->reading.at;

		if (early && left <= size)
			size /= 2;
		if (world.fault == MEMORY_BODY_SHIFTED && left > size)
			data++;
		code = fha_store_call_bytes(call, get->at, data, size, err);
		if (code != FHA_OK)
			return code;
		get->at += size;
		get->reading.at += size;
		if (early && left - size < 65536)
			break;
	}
	if (code == FHA_OK && get->reading.is_cut)
		return fha_error(err, FHA_IO, "the connection was cut");
	return code;
}

static FhaCode
memory_delete(const FhaStoreRequest *request)
{
	size_t count = world.fault == MEMORY_DELETES_ONE ? 1 : request->key_count;

	for (size_t i = 0; i < count; i++)
	{
		MemoryObject *object = memory_object(request->keys[i]);

		if (object != NULL)
			object->deleted = true;
	}
	return FHA_OK;
}

/* --- lists */

static bool
memory_is_listed(const MemoryObject *object, const FhaStoreRequest *request)
{
	return (!object->deleted || world.fault == MEMORY_LIST_HAS_DELETED) &&
		   strncmp(object->key, request->key, strlen(request->key)) == 0;
}

/* As it shows: an object, or the folder up to the delimiter. */
static FhaStoreObject
memory_row(const MemoryObject *object, const FhaStoreRequest *request, size_t *length)
{
	const char *slash = request->delimiter ? strchr(object->key + strlen(request->key), '/') : NULL;

	*length = slash == NULL ? strlen(object->key) : (size_t) (slash + 1 - object->key);
	return (FhaStoreObject){
		.is_folder = slash != NULL, .size = slash == NULL ? object->now.size : 0, .modified_s = 1};
}

static bool
memory_same_row(const FhaStoreResult *result, const char *key, size_t length)
{
	const FhaStoreObject *last =
		result->object_count == 0 ? NULL : &result->objects[result->object_count - 1];

	return world.fault != MEMORY_FOLDERS_REPEAT && last != NULL && last->is_folder &&
		   strlen(last->key) == length && memcmp(last->key, key, length) == 0;
}

static void
memory_swap_first(FhaStoreResult *result)
{
	FhaStoreObject first;

	if (world.fault != MEMORY_LIST_UNSORTED || result->object_count < 2)
		return;
	first = result->objects[0];
	result->objects[0] = result->objects[1];
	result->objects[1] = first;
}

static FhaCode
memory_list(FhaStore *store, const FhaStoreRequest *request, FhaStoreResult *result)
{
	const char *after = request->page == NULL ? "" : request->page;
	bool skips = world.fault == MEMORY_LIST_LEAVES_OUT && request->page != NULL;
	size_t from = 0;
	FhaCode code = FHA_OK;

	while (from < world.object_count && strcmp(world.objects[from].key, after) <= 0)
		from++;
	if (world.fault == MEMORY_LIST_REPEATS && request->page != NULL && from > 0)
		from--;
	for (size_t i = from; code == FHA_OK && i < world.object_count; i++)
	{
		const MemoryObject *object = &world.objects[i];
		size_t length;
		FhaStoreObject row;

		if (!memory_is_listed(object, request))
			continue;
		if (skips)
		{
			skips = false;
			continue;
		}
		row = memory_row(object, request, &length);
		if (memory_same_row(result, object->key, length))
			continue;
		if (result->object_count == FHA_STORE_LIST_MAX)
		{
			if (world.fault != MEMORY_LIST_ENDS_EARLY)
				code = fha_store_set_text(&result->next, world.objects[i - 1].key,
										  FHA_STORE_PAGE_SIZE, &result->error);
			break;
		}
		code = fha_store_add_object(result, &store->settings, object->key, length, &row,
									&result->error);
	}
	memory_swap_first(result);
	return code;
}

/* --- uploads */

static MemoryUpload *
memory_upload(const FhaStoreRequest *request)
{
	for (size_t i = 0; i < world.upload_count; i++)
	{
		MemoryUpload *upload = &world.uploads[i];

		if (strcmp(upload->name, request->upload) == 0 && strcmp(upload->key, request->key) == 0 &&
			(!upload->over || (world.fault == MEMORY_ABORT_KEEPS && upload->aborted)))
			return upload;
	}
	return NULL;
}

static FhaCode
memory_begin(const FhaStoreRequest *request, FhaStoreResult *result)
{
	MemoryUpload *upload = &world.uploads[world.upload_count++];

	if (world.upload_count == MEMORY_UPLOADS_MAX)
		abort();
	(void) snprintf(upload->name, sizeof(upload->name), "upload-%zu", world.upload_count);
	upload->key = strdup(request->key);
	return fha_store_set_text(&result->upload, upload->name, FHA_STORE_UPLOAD_SIZE, &result->error);
}

static MemoryPart *
memory_part(MemoryUpload *upload, unsigned number)
{
	for (unsigned i = 0; i < upload->part_count; i++)
		if (upload->parts[i].number == number)
			return &upload->parts[i];
	return NULL;
}

static void
memory_tag(const MemoryPart *part, char *out)
{
	(void) snprintf(out, FHA_STORE_TAG_SIZE, "tag-%u", part->version);
}

static FhaCode
memory_put_part(const FhaStoreRequest *request, FhaStoreResult *result)
{
	MemoryUpload *upload = memory_upload(request);
	MemoryPart *part = upload == NULL ? NULL : memory_part(upload, request->number);
	bool is_new = part == NULL;

	if (upload == NULL)
		return FHA_NOT_FOUND;
	if (is_new)
	{
		if (upload->part_count == 8)
			abort();
		part = &upload->parts[upload->part_count++];
		part->number = request->number;
	}
	if (is_new || world.fault != MEMORY_PART_NOT_REPLACED)
		memory_set(&part->bytes, request->data, request->size);
	part->version = ++world.versions;
	memory_tag(part, result->tag);
	return FHA_OK;
}

static FhaCode
memory_parts(const FhaStoreRequest *request, FhaStoreResult *result)
{
	MemoryUpload *upload = memory_upload(request);
	FhaCode code = FHA_OK;

	if (upload == NULL)
		return FHA_NOT_FOUND;
	for (unsigned number = 1; code == FHA_OK && number <= 8; number++)
	{
		const MemoryPart *part = memory_part(upload, number);
		char tag[FHA_STORE_TAG_SIZE];

		if (part == NULL)
			continue;
		memory_tag(part, tag);
		code = fha_store_add_part(result, number, part->bytes.size, tag, &result->error);
	}
	return code;
}

/* The parts in one; false: one of them is not like this. */
static bool
memory_join(MemoryUpload *upload, const FhaStoreRequest *request, MemoryBytes *out)
{
	*out = (MemoryBytes){0};
	for (size_t i = 0; i < request->part_count; i++)
	{
		const FhaStorePart *wanted = &request->parts[i];
		const MemoryPart *part = memory_part(upload, wanted->number);
		char tag[FHA_STORE_TAG_SIZE];

		if (part == NULL)
			return world.fault == MEMORY_PART_UNCHECKED;
		memory_tag(part, tag);
		if (strcmp(tag, wanted->tag) != 0 && world.fault != MEMORY_PART_UNCHECKED)
			return false;
		if (world.fault == MEMORY_PARTS_IN_ORDER_OF_ARRIVAL && i < upload->part_count)
			part = &upload->parts[i];
		if (world.fault == MEMORY_LOST_PART && i == 1)
			continue;
		out->data = realloc(out->data, out->size + part->bytes.size + 1);
		if (out->data == NULL)
			abort();
		memcpy(out->data + out->size, part->bytes.data, part->bytes.size);
		out->size += part->bytes.size;
	}
	return true;
}

static FhaCode
memory_complete(const FhaStoreRequest *request)
{
	MemoryUpload *upload = memory_upload(request);
	MemoryBytes whole;

	if (upload == NULL)
		return FHA_NOT_FOUND;
	if (!memory_join(upload, request, &whole))
	{
		free(whole.data);
		return FHA_INVALID;
	}
	if (request->if_absent && memory_object(request->key) != NULL &&
		world.fault != MEMORY_NO_PRECONDITION_OF_PARTS)
	{
		free(whole.data);
		return FHA_CONFLICT;
	}
	memory_store(request->key, whole.data, whole.size);
	free(whole.data);
	upload->over = true;
	return FHA_OK;
}

static FhaCode
memory_abort(const FhaStoreRequest *request)
{
	MemoryUpload *upload = memory_upload(request);

	if (upload != NULL)
		upload->over = upload->aborted = true;
	return FHA_OK;
}

static FhaCode
memory_list_uploads(FhaStore *store, const FhaStoreRequest *request, FhaStoreResult *result)
{
	FhaCode code = FHA_OK;

	for (size_t i = 0; code == FHA_OK && i < world.upload_count; i++)
	{
		MemoryUpload *upload = &world.uploads[i];
		FhaStoreObject row = {.upload = upload->name, .modified_s = 1};

		if ((!upload->over || world.fault == MEMORY_UPLOAD_STAYS) &&
			strncmp(upload->key, request->key, strlen(request->key)) == 0)
			code = fha_store_add_object(result, &store->settings, upload->key, strlen(upload->key),
										&row, &result->error);
	}
	return code;
}

/* --- the driver */

static FhaCode
memory_open_driver(FhaStore *store, FhaError *err)
{
	MemoryStore *memory = (MemoryStore *) store;

	if (store->settings.region[0] != '\0')
		return fha_error(err, FHA_INVALID, "this store has no region");
	memory->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return FHA_OK;
}

static void
memory_close_driver(FhaStore *store)
{
	(void) close(((MemoryStore *) store)->fd);
}

static int
memory_fd(const FhaStore *store)
{
	return ((const MemoryStore *) store)->fd;
}

static int64_t
memory_wake_at_ms(const FhaStore *store)
{
	return ((const MemoryStore *) store)->ended_count > 0 ? 0 : INT64_MAX;
}

static FhaCode
memory_carry_out(FhaStore *store, FhaStoreCall *call)
{
	const FhaStoreRequest *request = &call->asked->request;
	FhaStoreResult *result = &call->result;

	switch (request->verb)
	{
		case FHA_STORE_STAT:
			return memory_stat(request, result);
		case FHA_STORE_GET:
			return memory_get_begin(call);
		case FHA_STORE_PUT:
			return memory_put(request);
		case FHA_STORE_LIST:
			return memory_list(store, request, result);
		case FHA_STORE_DELETE:
			return memory_delete(request);
		case FHA_STORE_BEGIN:
			return memory_begin(request, result);
		case FHA_STORE_PART:
			return memory_put_part(request, result);
		case FHA_STORE_PARTS:
			return memory_parts(request, result);
		case FHA_STORE_COMPLETE:
			return memory_complete(request);
		case FHA_STORE_ABORT:
			return memory_abort(request);
		case FHA_STORE_UPLOADS:
			break;
	}
	return memory_list_uploads(store, request, result);
}

static void
memory_end(MemoryStore *memory, FhaStoreCall *call, FhaCode code)
{
	if (world.loses_answer && fha_store_verb_writes(call->asked->request.verb))
	{
		world.loses_answer = false;
		code = FHA_UNKNOWN;
	}
	call->result.code = code;
	memory->ended[memory->ended_count++] = call;
}

static FhaCode
memory_start(FhaStore *store, FhaStoreCall *call, FhaError *err)
{
	MemoryStore *memory = (MemoryStore *) store;
	const MemoryScript *script =
		memory_script_at < memory_script_count ? &memory_script[memory_script_at++] : NULL;

	if (memory_tried < 64)
		memory_tried_at_ms[memory_tried++] = fha_now_ms();
	if (script != NULL && script->refused)
		return fha_error(err, script->code, "refused");
	if (world.hangs)
		return FHA_OK;
	if (script != NULL && script->code != FHA_OK)
	{
		call->result.retry_after_ms = script->retry_after_ms;
		(void) fha_error(&call->result.error, script->code, "as the script says");
		memory_end(memory, call, script->code);
		return FHA_OK;
	}
	memory_end(memory, call, memory_carry_out(store, call));
	return FHA_OK;
}

static FhaStoreCall *
memory_step(FhaStore *store)
{
	MemoryStore *memory = (MemoryStore *) store;

	while (memory->ended_count > 0)
	{
		FhaStoreCall *call = memory->ended[--memory->ended_count];

		if (call->asked->request.verb == FHA_STORE_GET && call->try_ != NULL)
		{
			FhaCode code = memory_get_go_on(call);

			if (code == FHA_AGAIN)
				continue;
			call->result.code = code;
			free(call->try_);
		}
		return call;
	}
	return NULL;
}

static void
memory_resume(FhaStore *store, FhaStoreCall *call)
{
	MemoryStore *memory = (MemoryStore *) store;

	memory->ended[memory->ended_count++] = call;
}

static bool
memory_cancel(FhaStore *store, FhaStoreCall *call)
{
	MemoryStore *memory = (MemoryStore *) store;
	size_t kept = 0;

	for (size_t i = 0; i < memory->ended_count; i++)
		if (memory->ended[i] != call)
			memory->ended[kept++] = memory->ended[i];
	memory->ended_count = kept;
	free(call->try_);
	return fha_store_verb_writes(call->asked->request.verb);
}

static const FhaStoreDriver memory_driver = {
	.handle_size = sizeof(MemoryStore),
	.open = memory_open_driver,
	.close = memory_close_driver,
	.fd = memory_fd,
	.wake_at_ms = memory_wake_at_ms,
	.start = memory_start,
	.step = memory_step,
	.resume = memory_resume,
	.cancel = memory_cancel,
};

/* --- its fixture */

static FhaStore *
memory_open(void)
{
	FhaStoreSettings settings = {.kind = FHA_STORE_S3};
	FhaStore *store;

	if (fha_store_open_driver(&store, &memory_driver, &settings, NULL) != FHA_OK)
		abort();
	return store;
}

static inline void
memory_cut_body(uint64_t after)
{
	world.cuts = true;
	world.cut_after = after;
}

static inline void
memory_lose_answer(void)
{
	world.loses_answer = true;
}

static inline void
memory_hang(void)
{
	world.hangs = true;
}

static inline void
memory_release(void)
{
	world.hangs = false;
}
