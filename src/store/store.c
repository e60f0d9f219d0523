/*
 * store.c: from settings to a driver, and the life of a call: its tries, pauses, deadline and end.
 */
#include "store/driver.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Before the deadline: a pause is cut so that one more try fits, but not a shorter one. */
#define STORE_LAST_PAUSE_MIN_MS 50

static const FhaStoreDriver *const store_drivers[FHA_STORE_KINDS] = {
	[FHA_STORE_S3] = &fha_store_s3_driver,
	[FHA_STORE_AZURE] = &fha_store_azure_driver,
	[FHA_STORE_GCS] = &fha_store_s3_driver,
	[FHA_STORE_DIR] = &fha_store_dir_driver,
};

bool
fha_store_verb_writes(FhaStoreVerb verb)
{
	switch (verb)
	{
		case FHA_STORE_STAT:
		case FHA_STORE_GET:
		case FHA_STORE_LIST:
		case FHA_STORE_PARTS:
		case FHA_STORE_UPLOADS:
			return false;
		case FHA_STORE_PUT:
		case FHA_STORE_DELETE:
		case FHA_STORE_BEGIN:
		case FHA_STORE_PART:
		case FHA_STORE_COMPLETE:
		case FHA_STORE_ABORT:
			break;
	}
	return true;
}

/* --- open, close, and what a host waits for */

static FhaCode
store_seed(FhaStore *store, FhaError *err)
{
	char hex[FHA_ID_SIZE];
	FhaCode code = fha_random_hex(hex, sizeof(hex), err);

	if (code == FHA_OK)
		store->chance = strtoull(hex, NULL, 16) | 1;
	return code;
}

FhaCode
fha_store_open_driver(FhaStore **out, const FhaStoreDriver *driver,
					  const FhaStoreSettings *settings, FhaError *err)
{
	FhaStore *store = calloc(1, driver->handle_size);
	FhaCode code;

	*out = NULL;
	if (store == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	store->driver = driver;
	code = store_seed(store, err);
	if (code == FHA_OK)
		code = fha_store_settings_copy(&store->settings, settings, err);
	if (code == FHA_OK)
		code = driver->open(store, err);
	if (code == FHA_OK)
	{
		*out = store;
		return FHA_OK;
	}
	fha_store_settings_release(&store->settings);
	free(store);
	return code;
}

FhaCode
fha_store_open(FhaStore **out, const FhaStoreSettings *settings, FhaError *err)
{
	*out = NULL;
	if ((unsigned) settings->kind >= FHA_STORE_KINDS || store_drivers[settings->kind] == NULL)
		return fha_error(err, FHA_INVALID, "no store of this kind is built in");
	return fha_store_open_driver(out, store_drivers[settings->kind], settings, err);
}

static void
store_call_free(FhaStoreCall *call)
{
	if (call == NULL)
		return;
	fha_store_result_release(&call->result);
	fha_store_asked_release(call->asked);
	free(call);
}

static void
store_release_told(FhaStore *store)
{
	store_call_free(store->told);
	store->told = NULL;
}

static void
store_unlink_call(FhaStore *store, FhaStoreCall *call)
{
	FhaStoreCall **link = &store->calls;

	while (*link != call)
		link = &(*link)->next;
	*link = call->next;
	store->call_count--;
}

void
fha_store_cancel(FhaStore *store, FhaStoreCall *call)
{
	if (call->state == FHA_STORE_CALL_TRIES)
		(void) store->driver->cancel(store, call);
	store_unlink_call(store, call);
	store_call_free(call);
}

void
fha_store_close(FhaStore *store)
{
	if (store == NULL)
		return;
	while (store->calls != NULL)
		fha_store_cancel(store, store->calls);
	store_release_told(store);
	store->driver->close(store);
	fha_store_settings_release(&store->settings);
	free(store);
}

int
fha_store_fd(const FhaStore *store)
{
	return store->driver->fd(store);
}

static int64_t
store_call_wake_at_ms(const FhaStoreCall *call)
{
	int64_t deadline_at_ms = call->asked->request.deadline_at_ms;

	if (call->state == FHA_STORE_CALL_ENDED || call->resume_wanted)
		return 0;
	if (call->state == FHA_STORE_CALL_WAITS && call->again_at_ms < deadline_at_ms)
		return call->again_at_ms;
	return deadline_at_ms;
}

int64_t
fha_store_wake_at_ms(const FhaStore *store)
{
	int64_t wake_at_ms = store->driver->wake_at_ms(store);

	for (const FhaStoreCall *call = store->calls; call != NULL; call = call->next)
	{
		int64_t its_at_ms = store_call_wake_at_ms(call);

		if (its_at_ms < wake_at_ms)
			wake_at_ms = its_at_ms;
	}
	return wake_at_ms;
}

bool
fha_store_creates_weakly(const FhaStore *store)
{
	return store->creates_weakly;
}

int64_t
fha_store_clock_offset_s(const FhaStore *store)
{
	return store->clock_offset_s;
}

/* --- start */

FhaCode
fha_store_start(FhaStore *store, const FhaStoreRequest *request, FhaStoreCall **out, FhaError *err)
{
	FhaStoreCall *call;
	FhaCode code;

	if (out != NULL)
		*out = NULL;
	store_release_told(store);
	code = fha_store_request_check(request, &store->settings, err);
	if (code != FHA_OK)
		return code;
	if (store->call_count == FHA_STORE_CALLS_MAX)
		return fha_error(err, FHA_CONFLICT, "%d calls to the store are under way already",
						 FHA_STORE_CALLS_MAX);
	call = calloc(1, sizeof(*call));
	if (call == NULL || (call->asked = fha_store_asked_make(request, &store->settings)) == NULL)
	{
		free(call);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	call->store = store;
	call->next = store->calls;
	store->calls = call;
	store->call_count++;
	if (out != NULL)
		*out = call;
	return FHA_OK;
}

/* --- the end of a call */

static void
store_end(FhaStoreCall *call, FhaCode code)
{
	call->result.code = code;
	call->result.error.code = code;
	call->state = FHA_STORE_CALL_ENDED;
}

/* A try that may have been applied makes a failure uncertain, but a conflict shows an object. */
static void
store_end_failed(FhaStoreCall *call, FhaCode code)
{
	bool writes = fha_store_verb_writes(call->asked->request.verb);

	if (call->unsure && code != FHA_CONFLICT)
		code = FHA_UNKNOWN;
	else if (code == FHA_AGAIN || (code == FHA_UNKNOWN && !writes))
		code = FHA_TIMEOUT;
	store_end(call, code);
}

static void
store_end_at_deadline(FhaStore *store, FhaStoreCall *call)
{
	FhaCode code = FHA_TIMEOUT;

	if (call->state == FHA_STORE_CALL_TRIES && store->driver->cancel(store, call))
		call->unsure = true;
	if (call->state == FHA_STORE_CALL_TRIES || call->tries == 0)
		(void) fha_error(&call->result.error, code, "the store did not answer before the deadline");
	else
		code = call->result.code;
	call->try_ = NULL;
	store_end_failed(call, code);
}

/* --- the end of a try */

static uint64_t
store_random(FhaStore *store)
{
	store->chance ^= store->chance << 13;
	store->chance ^= store->chance >> 7;
	store->chance ^= store->chance << 17;
	return store->chance;
}

/* Between half and all of a pause that doubles: clients that failed together do not come back together. */
static int64_t
store_pause_ms(FhaStore *store, unsigned tries)
{
	int64_t longest_ms = FHA_STORE_PAUSE_MIN_MS;

	for (unsigned i = 1; i < tries && longest_ms < FHA_STORE_PAUSE_MAX_MS; i++)
		longest_ms *= 2;
	if (longest_ms > FHA_STORE_PAUSE_MAX_MS)
		longest_ms = FHA_STORE_PAUSE_MAX_MS;
	return longest_ms / 2 + (int64_t) (store_random(store) % (uint64_t) (longest_ms / 2 + 1));
}

static void
store_try_again(FhaStore *store, FhaStoreCall *call, int64_t now_ms)
{
	int64_t left_ms = call->asked->request.deadline_at_ms - now_ms;
	int64_t pause_ms = store_pause_ms(store, call->tries);

	if (pause_ms >= left_ms)
		pause_ms = left_ms / 2;
	if (pause_ms < call->result.retry_after_ms)
		pause_ms = call->result.retry_after_ms;
	if (pause_ms >= left_ms || left_ms < 2 * STORE_LAST_PAUSE_MIN_MS)
		store_end_failed(call, call->result.code);
	else
	{
		call->again_at_ms = now_ms + pause_ms;
		call->state = FHA_STORE_CALL_WAITS;
	}
}

/* Where the bytes end that were asked for. */
static uint64_t
store_get_end(const FhaStoreCall *call)
{
	const FhaStoreRequest *request = &call->asked->request;

	if (request->length != 0 && request->length < call->size - request->offset)
		return request->offset + request->length;
	return call->size;
}

/* A GET that the driver takes for whole. */
static FhaCode
store_get_judge(const FhaStoreCall *call, FhaError *err)
{
	const FhaStoreRequest *request = &call->asked->request;
	uint64_t at = request->offset + call->taken;

	if (!call->identified)
		return fha_error(err, FHA_PROTOCOL, "the store did not say how large the object is");
	if (request->offset > call->size)
		return fha_error(err, FHA_INVALID, "byte %llu is behind the object's end at %llu",
						 (unsigned long long) request->offset, (unsigned long long) call->size);
	if (at < store_get_end(call))
		return fha_error(err, FHA_IO, "the answer ended at byte %llu of %llu",
						 (unsigned long long) at, (unsigned long long) store_get_end(call));
	return FHA_OK;
}

/* A try that failed after the last byte that was wanted has brought all. */
static bool
store_get_is_whole(const FhaStoreCall *call)
{
	const FhaStoreRequest *request = &call->asked->request;

	return request->verb == FHA_STORE_GET && call->identified && request->offset <= call->size &&
		   request->offset + call->taken == store_get_end(call);
}

/* The upload that an earlier try may have completed is not there any more. */
static bool
store_may_be_completed(const FhaStoreCall *call)
{
	return call->asked->request.verb == FHA_STORE_COMPLETE && call->unsure &&
		   call->result.code == FHA_NOT_FOUND;
}

static void
store_try_ended(FhaStore *store, FhaStoreCall *call, int64_t now_ms)
{
	FhaStoreResult *result = &call->result;

	call->try_ = NULL;
	call->paused = false;
	call->resume_wanted = false;
	if (result->code == FHA_OK && call->asked->request.verb == FHA_STORE_GET)
		result->code = store_get_judge(call, &result->error);
	if (store_may_be_completed(call))
		(void) fha_error(&result->error, FHA_UNKNOWN,
						 "the upload is gone: an earlier try may have completed it");
	switch (result->code)
	{
		case FHA_OK:
			store_end(call, FHA_OK);
			break;
		case FHA_CONFLICT:
		case FHA_NOT_FOUND:
		case FHA_DENIED:
		case FHA_INVALID:
		case FHA_FULL:
			store_end_failed(call, result->code);
			break;
		case FHA_UNKNOWN:
			call->unsure = fha_store_verb_writes(call->asked->request.verb);
			store_try_again(store, call, now_ms);
			break;
		case FHA_AGAIN:
		case FHA_TIMEOUT:
		case FHA_IO:
		case FHA_PROTOCOL:
		case FHA_NO_MEMORY:
			if (store_get_is_whole(call))
				store_end(call, FHA_OK);
			else
				store_try_again(store, call, now_ms);
			break;
	}
}

static void
store_try(FhaStore *store, FhaStoreCall *call, int64_t now_ms)
{
	FhaCode code;

	fha_store_result_release(&call->result);
	call->tries++;
	call->state = FHA_STORE_CALL_TRIES;
	code = store->driver->start(store, call, &call->result.error);
	if (code != FHA_OK)
	{
		call->result.code = code;
		store_try_ended(store, call, now_ms);
	}
}

/* --- step */

static void
store_resume_wanted(FhaStore *store)
{
	for (FhaStoreCall *call = store->calls; call != NULL; call = call->next)
		if (call->resume_wanted)
		{
			call->resume_wanted = false;
			call->paused = false;
			store->driver->resume(store, call);
		}
}

static void
store_turn(FhaStore *store)
{
	int64_t now_ms;
	FhaStoreCall *ended;

	store_resume_wanted(store);
	while ((ended = store->driver->step(store)) != NULL)
		store_try_ended(store, ended, fha_now_ms());
	now_ms = fha_now_ms();
	for (FhaStoreCall *call = store->calls; call != NULL; call = call->next)
	{
		if (call->state == FHA_STORE_CALL_ENDED)
			continue;
		if (call->asked->request.deadline_at_ms <= now_ms)
			store_end_at_deadline(store, call);
		else if (call->state == FHA_STORE_CALL_WAITS && call->again_at_ms <= now_ms)
			store_try(store, call, now_ms);
	}
}

static void
store_answer(FhaStore *store, FhaStoreCall *call, FhaStoreAnswer *answer)
{
	const FhaStoreRequest *request = &call->asked->request;
	const FhaStoreResult *result = &call->result;
	bool is_get = request->verb == FHA_STORE_GET;
	bool ok = result->code == FHA_OK;

	store_unlink_call(store, call);
	store->told = call;
	*answer =
		(FhaStoreAnswer){.call = call,
						 .owner = request->owner,
						 .verb = request->verb,
						 .code = result->code,
						 .tries = call->tries,
						 .may_be_own = result->code == FHA_CONFLICT && call->unsure,
						 .size = is_get ? call->size : result->size,
						 .modified_s = is_get ? call->modified_s : result->modified_s,
						 .objects = ok ? result->objects : NULL,
						 .object_count = ok ? result->object_count : 0,
						 .parts = ok ? result->parts : NULL,
						 .part_count = ok ? result->part_count : 0,
						 .next = ok ? result->next : NULL,
						 .upload = request->verb == FHA_STORE_BEGIN && ok ? result->upload : NULL,
						 .tag = request->verb == FHA_STORE_PART && ok ? result->tag : NULL};
	if (!ok)
		answer->error = result->error;
}

FhaCode
fha_store_step(FhaStore *store, FhaStoreAnswer *answer)
{
	FhaStoreCall *ended = NULL;

	store_release_told(store);
	store_turn(store);
	/* The oldest first: new calls stand in front. */
	for (FhaStoreCall *call = store->calls; call != NULL; call = call->next)
		if (call->state == FHA_STORE_CALL_ENDED)
			ended = call;
	if (ended == NULL)
		return FHA_AGAIN;
	store_answer(store, ended, answer);
	return FHA_OK;
}

bool
fha_store_call_waits(const FhaStoreCall *call, FhaError *why)
{
	if (call->state != FHA_STORE_CALL_WAITS || call->tries == 0)
		return false;
	*why = call->result.error;
	why->code = call->result.code;
	return true;
}

void
fha_store_resume(FhaStore *store, FhaStoreCall *call)
{
	(void) store;
	if (call->state == FHA_STORE_CALL_TRIES && call->paused)
		call->resume_wanted = true;
}

static int
store_poll_timeout(int64_t wake_at_ms)
{
	int64_t left_ms = wake_at_ms - fha_now_ms();

	return left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int) left_ms;
}

FhaCode
fha_store_call(FhaStore *store, const FhaStoreRequest *request, FhaStoreAnswer *answer)
{
	FhaCode code;

	*answer = (FhaStoreAnswer){.verb = request->verb, .owner = request->owner};
	code = store->calls != NULL
			   ? fha_error(&answer->error, FHA_INVALID, "another call is under way")
			   : fha_store_start(store, request, NULL, &answer->error);
	if (code != FHA_OK)
		return answer->code = code;
	while (fha_store_step(store, answer) == FHA_AGAIN)
	{
		struct pollfd wait = {.fd = fha_store_fd(store), .events = POLLIN};

		(void) poll(&wait, 1, store_poll_timeout(fha_store_wake_at_ms(store)));
	}
	return answer->code;
}

/* --- a GET's bytes */

void
fha_store_call_range(const FhaStoreCall *call, uint64_t *offset, uint64_t *length)
{
	const FhaStoreRequest *request = &call->asked->request;

	*offset = request->offset + call->taken;
	*length = request->length == 0 ? 0 : request->length - call->taken;
}

FhaCode
fha_store_call_object(FhaStoreCall *call, const char *identity, uint64_t size, int64_t modified_s,
					  FhaError *err)
{
	size_t length = strlen(identity);

	if (length >= sizeof(call->identity) || size > INT64_MAX)
		return fha_error(err, FHA_PROTOCOL, "the store's answer has an ETag or a size too long");
	if (!call->identified)
	{
		memcpy(call->identity, identity, length + 1);
		call->size = size;
		call->modified_s = modified_s;
		call->identified = true;
		return FHA_OK;
	}
	/* Nothing was taken: a later object is as good. */
	if (call->taken == 0)
	{
		call->identified = false;
		return fha_store_call_object(call, identity, size, modified_s, err);
	}
	if (identity[0] == '\0')
		return fha_error(err, FHA_CONFLICT,
						 "the store does not name the object's version, so that a reading that was "
						 "cut cannot go on");
	if (size != call->size || strcmp(identity, call->identity) != 0)
		return fha_error(err, FHA_CONFLICT,
						 "the object was replaced while it was read, after byte %llu",
						 (unsigned long long) (call->asked->request.offset + call->taken));
	return FHA_OK;
}

FhaCode
fha_store_call_bytes(FhaStoreCall *call, uint64_t at, const char *data, size_t size, FhaError *err)
{
	const FhaStoreRequest *request = &call->asked->request;
	uint64_t wanted = request->offset + call->taken;
	size_t known;
	size_t taken;

	if (!call->identified || at > wanted)
		return fha_error(err, FHA_PROTOCOL, "the store's answer leaves out bytes");
	if (size > call->size || at > call->size - size || at + size > store_get_end(call))
		return fha_error(err, FHA_PROTOCOL, "the store's answer is longer than it said");
	if (at + size <= wanted)
		return FHA_OK;
	if (call->paused)
		return FHA_AGAIN;
	known = (size_t) (wanted - at);
	taken = request->take(data + known, size - known, request->owner);
	call->taken += taken;
	if (taken >= size - known)
		return FHA_OK;
	call->paused = true;
	return FHA_AGAIN;
}
