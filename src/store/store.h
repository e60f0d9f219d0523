/*
 * store.h: an object store: named byte strings that are written whole, read in ranges, listed and deleted.
 *
 * Nothing here blocks.  A call is started, and fha_store_step tells its end.
 * The host calls fha_store_step whenever the descriptor is readable or fha_store_wake_at_ms has come.
 * Calls run side by side, and their ends come in any order.
 *
 * A call is made of tries.  A try that was throttled, met a fault of the store or lost its connection is repeated until the
 * call's deadline.  The pause before the next try is the one that the store asked for, else one that grows.
 * What will not get better (DENIED, NOT_FOUND, CONFLICT, INVALID, FULL) ends the call at once.
 *
 * Drivers: src/store/settings.h has the urls.  The conformance suite in src/test/store runs against each driver.
 *
 * Keys are relative to the store's prefix.  They are UTF-8 without NUL, and prefix, '/' and key fit FHA_STORE_KEY_SIZE.
 * Every byte is kept as it is ("a//b", " ", "+", "%").  A directory and Azure cannot hold all keys: such a key is INVALID there.
 */
#ifndef FHA_STORE_STORE_H
#define FHA_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/settings.h"

typedef struct FhaStore FhaStore;
typedef struct FhaStoreCall FhaStoreCall;

#define FHA_STORE_UPLOAD_SIZE 1025 /* an upload's name, as the store gave it */
#define FHA_STORE_TAG_SIZE 130     /* of a part (ETag, block id) */
#define FHA_STORE_PAGE_SIZE 4097   /* the name of a page, as the driver gave it */
#define FHA_STORE_LIST_MAX 1000    /* objects in one answer */
#define FHA_STORE_DELETE_MAX 1000  /* keys in one call */
#define FHA_STORE_CALLS_MAX 64     /* calls at a time */
#define FHA_STORE_PART_MIN (5 * 1024 * 1024)
#define FHA_STORE_WRITE_MAX INT64_C(5368709120) /* bytes of one PUT and of one part: 5 GiB */
#define FHA_STORE_PARTS_MAX 10000

typedef enum FhaStoreVerb
{
	FHA_STORE_STAT,   /* size and time of `key` */
	FHA_STORE_GET,    /* bytes [offset, offset + length) of `key`, or up to its end */
	FHA_STORE_PUT,    /* `key` with `data`; with if_absent: CONFLICT if there is one */
	FHA_STORE_LIST,   /* objects whose key begins with `key`, in the order of their bytes; a page */
	FHA_STORE_DELETE, /* `keys`; an absent one counts as deleted */
	FHA_STORE_BEGIN,  /* a multipart upload of `key`: `upload` in the answer */
	FHA_STORE_PART, /* part `number` of `upload`: `tag` in the answer.  The same number again replaces it */
	FHA_STORE_PARTS,    /* the parts that `upload` has, in order; a page */
	FHA_STORE_COMPLETE, /* `parts` become the object; with if_absent: CONFLICT if there is one */
	FHA_STORE_ABORT,    /* `upload` and its parts are dropped; an absent one counts as dropped */
	FHA_STORE_UPLOADS   /* uploads that were begun and neither completed nor aborted; a page */
} FhaStoreVerb;

#define FHA_STORE_VERBS (FHA_STORE_UPLOADS + 1)

typedef struct FhaStorePart
{
	unsigned number; /* from 1 */
	uint64_t size;
	char tag[FHA_STORE_TAG_SIZE];
} FhaStorePart;

typedef struct FhaStoreObject
{
	char *key;          /* relative to the store's prefix; of a folder: with its '/' at the end */
	bool is_folder;     /* LIST with a delimiter: a common beginning */
	uint64_t size;      /* 0 of a folder and of an upload */
	int64_t modified_s; /* seconds since 1970, by the store's clock; 0: not told */
	char *upload;       /* UPLOADS only; else NULL */
} FhaStoreObject;

/*
 * Bytes of a GET, in order, each once, whatever was tried again.
 * Returns how many were taken: fewer than `size` pause the call until fha_store_resume.
 * Called from fha_store_step alone, and calls nothing of the store.
 */
typedef size_t (*FhaStoreTake)(const char *data, size_t size, void *owner);

typedef struct FhaStoreRequest
{
	FhaStoreVerb verb;
	const char *key;         /* copied; LIST, UPLOADS: NULL is "" */
	const char *const *keys; /* DELETE: copied */
	size_t key_count;
	const char *
		data; /* PUT, PART: NOT copied.  It stays as it is until the call has ended or was cancelled */
	size_t size; /* PART: at least 1 */
	bool if_absent;
	bool delimiter; /* LIST: up to the next '/' behind `key`; longer keys show as a folder */
	uint64_t offset;
	uint64_t length;    /* 0: to the end */
	FhaStoreTake take;  /* GET */
	const char *page;   /* LIST, PARTS, UPLOADS: `next` of the page before; NULL: the first */
	const char *upload; /* PART, PARTS, COMPLETE, ABORT: with the `key` that it was begun with */
	uint64_t part_size; /* BEGIN, PART: of each part but the last, which may be smaller */
	unsigned number;    /* PART */
	const FhaStorePart *parts; /* COMPLETE: 1, 2, ... without a gap; copied */
	size_t part_count;
	int64_t deadline_at_ms; /* of the whole call, with all its tries; on fha_now_ms */
	void *owner;            /* returned with the answer */
} FhaStoreRequest;

/*
 * How a call ended.  It owns its fields until the next step, start or close of the same store.
 *
 * OK.  A write is durable by then.
 * CONFLICT (PUT, COMPLETE with if_absent): there is an object, and it was not replaced.  With may_be_own, an earlier try of this
 *   call may have written it, and its answer was lost: compare.
 * CONFLICT (GET): the object was replaced between two tries.  What was taken is the beginning of the old one.
 * NOT_FOUND (STAT, GET, PART, PARTS, COMPLETE).  INVALID: what was asked is wrong for this store, as a GET that begins
 *   behind the end.  DENIED: credentials or rights; the text says which.  FULL: quota, bucket or disk.
 * TIMEOUT: the deadline passed.  IO, PROTOCOL, NO_MEMORY: it passed, and the last try ended like this.
 * UNKNOWN: a write may have been applied.  After each other code but OK and CONFLICT, a write was certainly not applied.
 *   A DELETE of several keys is the exception: some of them may be deleted.
 */
typedef struct FhaStoreAnswer
{
	FhaStoreCall *call; /* a name; there is nothing behind it any more */
	void *owner;
	FhaStoreVerb verb;
	FhaCode code;
	FhaError error; /* no secret and no signed url in it */
	unsigned tries; /* 0: the deadline passed before the first */
	bool may_be_own;
	uint64_t size; /* STAT, GET: of the whole object */
	int64_t modified_s;
	const FhaStoreObject *objects; /* LIST, UPLOADS */
	size_t object_count;
	const FhaStorePart *parts; /* PARTS */
	size_t part_count;
	const char
		*next; /* of the next page; NULL: there is none.  A page may be empty and have a next one */
	const char *upload; /* BEGIN */
	const char *tag;    /* PART */
} FhaStoreAnswer;

/*
 * The store that the settings (copied) name.  Nothing is sent yet.  INVALID, IO, NO_MEMORY.
 * Its descriptor, threads and sockets are closed on exec; after a fork, the child does not use it.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_store_open(FhaStore **out, const FhaStoreSettings *settings,
											  FhaError *err);

/* Cancels every call.  Waits for nobody (at most 100 ms, so that healthy threads have ended).  NULL is allowed. */
FHA_API void fha_store_close(FhaStore *store);

/* Readable when fha_store_step has something to do; the same descriptor from open to close. */
FHA_API int fha_store_fd(const FhaStore *store);

/* Call fha_store_step at this time even if the descriptor is silent; INT64_MAX: never.  Each call here may change it. */
FHA_API int64_t fha_store_wake_at_ms(const FhaStore *store);

/*
 * Start a call; *call (may be NULL) is its name for resume and cancel.
 * INVALID: nothing was started.  CONFLICT: FHA_STORE_CALLS_MAX are under way.  NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_store_start(FhaStore *store, const FhaStoreRequest *request,
											   FhaStoreCall **call, FhaError *err);

/* The next call that has ended: OK and *answer filled, or AGAIN.  Call it until it says AGAIN. */
FHA_API FHA_MUST_CHECK FhaCode fha_store_step(FhaStore *store, FhaStoreAnswer *answer);

/*
 * Is a call between two tries?  Then *why says how the last one failed, and is left as it is otherwise.  A host can show that before the
 * deadline ends the call.
 */
FHA_API bool fha_store_call_waits(const FhaStoreCall *call, FhaError *why);

/* The taker of a paused GET takes again; the next step brings the bytes. */
FHA_API void fha_store_resume(FhaStore *store, FhaStoreCall *call);

/* Its end is not told.  A write may be applied for a while yet, but never in part. */
FHA_API void fha_store_cancel(FhaStore *store, FhaStoreCall *call);

/*
 * For callers that may block: start, and wait for the answer.  Returns the answer's code.
 * INVALID if another call is under way.  A taker that pauses waits for the deadline.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_store_call(FhaStore *store, const FhaStoreRequest *request,
											  FhaStoreAnswer *answer);

/* Has this store turned out to know no conditional write?  Then if_absent looks first, and two writers at once may both succeed. */
FHA_API bool fha_store_creates_weakly(const FhaStore *store);

/* Seconds that this machine's clock is behind the store's, if the store refused it for that; 0: it did not. */
FHA_API int64_t fha_store_clock_offset_s(const FhaStore *store);

#endif
