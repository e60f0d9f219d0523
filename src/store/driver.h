/*
 * driver.h: what a driver of an object store provides, and what store.c does for it.
 *
 * store.c checks each request before a driver sees it, copies its texts, owns the answer, repeats tries, and keeps deadlines.
 * A driver carries out one try of a call: FhaStoreDriver.start begins it, FhaStoreDriver.step tells that it has ended.
 * In between, the driver has filled call->result.  Several tries are under way at a time, one of each call.
 *
 * The result's code says what follows:
 * OK, CONFLICT, NOT_FOUND, DENIED, INVALID, FULL: final.
 * AGAIN: the store says "later" (429, 503, 409 of a conditional write, an expired token that was replaced).  Certainly not applied.
 * IO, TIMEOUT, PROTOCOL, NO_MEMORY: it failed, and a write was certainly not applied.  Tried again.
 * UNKNOWN: a write failed, and may have been applied.  Tried again.
 *
 * A try that stalls is its driver's to end after FHA_STORE_STALL_MS without a byte, if another one could go better.
 * A driver's own handle begins with a struct FhaStore.
 */
#ifndef FHA_STORE_DRIVER_H
#define FHA_STORE_DRIVER_H

#include <stdatomic.h>

#include "store/store.h"

#define FHA_STORE_STALL_MS 20000
/* Longest pauses: the first, and any; a store that asks for more gets more. */
#define FHA_STORE_PAUSE_MIN_MS 100
#define FHA_STORE_PAUSE_MAX_MS 20000

/* A request as it was checked, with its own copies of all texts, for store.c, drivers and their threads. */
typedef struct FhaStoreAsked
{
	FhaStoreRequest
		request; /* its `data` is the caller's: after a cancel it is not there any more */
	atomic_int holders;
	char *
		full_key; /* with the store's prefix; LIST, UPLOADS: the same of the beginning; DELETE: NULL */
	char **full_keys; /* DELETE */
} FhaStoreAsked;

/* What a try brought.  Zero when a try starts; a driver fills it, and store.c releases it. */
typedef struct FhaStoreResult
{
	FhaCode code;
	FhaError error;
	int64_t retry_after_ms; /* what the store asked for; 0: nothing */
	uint64_t size;
	int64_t modified_s;
	FhaStoreObject *objects;
	size_t object_count, object_room;
	FhaStorePart *parts;
	size_t part_count, part_room;
	char *next;   /* NULL: none; malloc'ed */
	char *upload; /* malloc'ed */
	char tag[FHA_STORE_TAG_SIZE];
} FhaStoreResult;

typedef enum FhaStoreCallState
{
	FHA_STORE_CALL_WAITS, /* for again_at_ms */
	FHA_STORE_CALL_TRIES,
	FHA_STORE_CALL_ENDED
} FhaStoreCallState;

struct FhaStoreCall
{
	FhaStore *store;
	FhaStoreCall *next;
	FhaStoreAsked *asked;
	FhaStoreResult result;
	void *try_; /* the driver's, NULL when no try is under way */
	unsigned tries;
	/* A GET's: what is known of the object, and how far its taker is. */
	bool identified;
	char identity[FHA_STORE_TAG_SIZE]; /* "": not told; for If-Match */
	uint64_t size;
	int64_t modified_s;
	uint64_t taken;
	bool paused;
	bool resume_wanted;
	/* store.c's alone. */
	FhaStoreCallState state;
	int64_t again_at_ms;
	bool unsure; /* an earlier try of a write may have been applied */
};

typedef struct FhaStoreDriver
{
	size_t handle_size; /* of the driver's own handle: store.c allocates it, zeroed */
	/* store->settings is filled.  Sends nothing and waits for nothing.  After a failure close is not called. */
	FhaCode (*open)(FhaStore *store, FhaError *err);
	/* No try is under way; the handle is store.c's to free. */
	void (*close)(FhaStore *store);
	int (*fd)(const FhaStore *store);
	int64_t (*wake_at_ms)(const FhaStore *store);
	/* Begin a try.  Other than OK: it has ended with that code, and step does not tell it. */
	FhaCode (*start)(FhaStore *store, FhaStoreCall *call, FhaError *err);
	/* The next call whose try has ended, with its result; NULL: none. */
	FhaStoreCall *(*step)(FhaStore *store);
	/* The taker takes again.  Called from fha_store_step. */
	void (*resume)(FhaStore *store, FhaStoreCall *call);
	/*
	 * End a try: the driver touches neither the call nor its data afterwards.  May a write have been applied, or be applied yet?
	 * Not before its first byte was sent.
	 */
	bool (*cancel)(FhaStore *store, FhaStoreCall *call);
} FhaStoreDriver;

struct FhaStore
{
	const FhaStoreDriver *driver;
	FhaStoreSettings settings;
	bool creates_weakly; /* a driver sets it */
	int64_t
		clock_offset_s; /* a driver sets it: by how much our clock is behind the store's; 0: it is good enough */
	/* store.c's alone. */
	FhaStoreCall *calls;
	unsigned call_count;
	FhaStoreCall *told; /* whose answer is being read */
	uint64_t chance;
};

extern const FhaStoreDriver fha_store_dir_driver;
extern const FhaStoreDriver fha_store_azure_driver;
extern const FhaStoreDriver fha_store_s3_driver; /* also of Google's store */

/* As fha_store_open, with this driver. */
FHA_MUST_CHECK FhaCode fha_store_open_driver(FhaStore **out, const FhaStoreDriver *driver,
											 const FhaStoreSettings *settings, FhaError *err);

bool fha_store_verb_writes(FhaStoreVerb verb);

/* Is it a request that a driver may get?  INVALID says what is wrong. */
FHA_MUST_CHECK FhaCode fha_store_request_check(const FhaStoreRequest *request,
											   const FhaStoreSettings *settings, FhaError *err);

/* With copies of all texts, held once; NULL: no memory. */
FhaStoreAsked *fha_store_asked_make(const FhaStoreRequest *request,
									const FhaStoreSettings *settings);
/* A thread that may outlive its call holds what was asked. */
void fha_store_asked_hold(FhaStoreAsked *asked);
void fha_store_asked_release(FhaStoreAsked *asked);

/*
 * A GET: from where this try reads, and how much; *length 0: to the end.
 * A try of which nothing is left is never started.
 */
void fha_store_call_range(const FhaStoreCall *call, uint64_t *offset, uint64_t *length);

/*
 * A GET: which object this try found, before its first byte; size: of the whole object.  identity: what changes with the content (an ETag, a
 * generation); "": not told.  Other than OK: the try ends with that code: CONFLICT, the object is another one than before.
 */
FHA_MUST_CHECK FhaCode fha_store_call_object(FhaStoreCall *call, const char *identity,
											 uint64_t size, int64_t modified_s, FhaError *err);

/*
 * A GET: bytes of the object from `at` on.  What the taker has already is left out.
 * OK: all were taken.  AGAIN: the call is paused: give the same bytes again after resume, from `at` or from any later byte that was not
 * taken.  PROTOCOL: more than was asked, or a gap; the try ends.
 */
FHA_MUST_CHECK FhaCode fha_store_call_bytes(FhaStoreCall *call, uint64_t at, const char *data,
											size_t size, FhaError *err);

/*
 * Fill a result.  key: with the store's prefix, whose absence is PROTOCOL; not a string's end but key_size counts.
 * PROTOCOL: more than a page may have, or no valid key.  NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_store_add_object(FhaStoreResult *result,
											const FhaStoreSettings *settings, const char *key,
											size_t key_size, const FhaStoreObject *object,
											FhaError *err);
FHA_MUST_CHECK FhaCode fha_store_add_part(FhaStoreResult *result, unsigned number, uint64_t size,
										  const char *tag, FhaError *err);
/* Into *out: result->next or result->upload.  PROTOCOL: empty, or not below size. */
FHA_MUST_CHECK FhaCode fha_store_set_text(char **out, const char *text, size_t size, FhaError *err);
void fha_store_result_release(FhaStoreResult *result);

/* Valid UTF-8 without NUL that is not empty. */
bool fha_store_key_valid(const char *key, size_t size);

#endif
