/*
 * lock.h: the lock, as named records with conditional writes and a watch.
 *
 * A record is a JSON object (as bytes: the lock does not look inside) under a
 * name, with an opaque version that changes with every write.  A write names
 * the version it replaces and is applied only if that is still the newest one,
 * so no retry can revert what somebody else wrote.
 *
 * Nothing here blocks: one request at a time is started, and fha_lock_step is
 * called whenever the descriptor is readable or fha_lock_wake_at_ms has come.
 *
 * Two drivers have this shape: "dir:/path" (records are files, for one machine)
 * and "kubernetes:" (records are Lease objects).  The conformance suite in
 * src/test/lock runs against any of them.
 */
#ifndef FHA_LOCK_LOCK_H
#define FHA_LOCK_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "config/lock_uri.h"

/* Limits: what annotations hold, and a cluster's size. */
#define FHA_RECORD_DATA_MAX (240 * 1024) /* bytes of one record */
#define FHA_RECORD_COUNT_MAX 512         /* records that one list may return */

typedef struct FhaLock FhaLock;

typedef struct FhaRecord
{
	char name[FHA_RECORD_NAME_SIZE];
	char version[FHA_VERSION_SIZE]; /* "" in a change event: the record was deleted */
	size_t size;
	char *data; /* size bytes and a NUL */
} FhaRecord;

typedef enum FhaLockVerb
{
	FHA_LOCK_GET,    /* newest version of `name` */
	FHA_LOCK_CREATE, /* first version of `name`; CONFLICT if there is one */
	FHA_LOCK_SWAP,   /* replace `version` of `name` by `data`; CONFLICT if it is not the newest */
	FHA_LOCK_LIST    /* every record */
} FhaLockVerb;

typedef struct FhaLockRequest
{
	FhaLockVerb verb;
	const char *name;
	const char *version; /* SWAP only */
	const char *data;    /* CREATE and SWAP: `size` bytes, copied */
	size_t size;
	int64_t deadline_at_ms; /* on fha_now_ms; then a read is TIMEOUT and a write UNKNOWN */
} FhaLockRequest;

typedef enum FhaLockEventKind
{
	FHA_LOCK_ANSWER, /* to the request that was started */
	FHA_LOCK_CHANGE, /* the watch: a record as it is now; records[0] */
	FHA_LOCK_SYNCED  /* the watch: everything that existed at its start has been told */
} FhaLockEventKind;

/*
 * What a step brought.  The event owns its records until the next step, the
 * next start or the close of the same lock, whichever comes first.
 *
 * ANSWER codes: OK; CONFLICT (certainly not applied); NOT_FOUND (GET, or SWAP of
 * a record that does not exist at all); UNKNOWN (a write whose fate nobody knows:
 * timeout, lost reply, or applied but already replaced: read back); TIMEOUT
 * (reads); IO, DENIED, PROTOCOL, NO_MEMORY with the text in error.  A write that
 * ends as IO, DENIED or NO_MEMORY was certainly not applied.
 * After OK of CREATE and SWAP, records[0] has the new version (and no data).
 */
typedef struct FhaLockEvent
{
	FhaLockEventKind kind;
	FhaLockVerb verb; /* ANSWER: of the request */
	FhaCode code;     /* ANSWER only */
	FhaError error;
	size_t count;
	FhaRecord *records;
} FhaLockEvent;

/*
 * Open the lock that `uri` names ("dir:/absolute/path": a directory that exists, closed to other
 * users, on a local filesystem; with watch it may also appear later, and until then every request
 * ends as IO; "kubernetes:" in a pod, "kubernetes:/kubeconfig" elsewhere, and behind a
 * "?" separated by "&": context=NAME, namespace=NAME, cluster=NAME).  cluster: whose records are
 * wanted; NULL: everybody's.  A directory shows those of all clusters to everybody, Leases are left
 * out by label, and what stands in the uri goes before.  Does not wait for the
 * lock to answer.  With watch, change events come from the first step on: first
 * every record that exists, then SYNCED, then each change.  Several changes of
 * one record may be told as one, the last is always told.  A record that exists
 * but cannot be read is told with size 0.  After a lost watch the driver starts it
 * again by itself and tells everything anew, with SYNCED.
 *
 * Errors: INVALID (uri, network filesystem), IO, NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_lock_open(FhaLock **out, const char *uri, const char *cluster,
											 bool watch, FhaError *err);

/*
 * Ends the watch and drops a request in flight (its fate is then unknown).  Waits for
 * nobody (at most 5 ms, so that a healthy helper process does not stay a zombie).
 */
FHA_API void fha_lock_close(FhaLock *lock);

/* Readable when fha_lock_step has something to do; the same descriptor from open to close. */
FHA_API int fha_lock_fd(const FhaLock *lock);

/*
 * Call fha_lock_step at this time even if the descriptor is silent; INT64_MAX: never.
 * Every step and start may change it.
 */
FHA_API int64_t fha_lock_wake_at_ms(const FhaLock *lock);

/* Is a request started and not yet answered? */
FHA_API bool fha_lock_busy(const FhaLock *lock);

/*
 * Start one request.  INVALID (a bad name or version, too much data, busy): nothing was
 * started.  In a directory, names have at most 234 characters.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_lock_start(FhaLock *lock, const FhaLockRequest *request,
											  FhaError *err);

/* The next event: OK and *event filled, or AGAIN.  Call it until it says AGAIN. */
FHA_API FHA_MUST_CHECK FhaCode fha_lock_step(FhaLock *lock, FhaLockEvent *event);

/*
 * For callers that may block (the command line): start and wait for the answer,
 * throwing away change events.  Returns the answer's code, *event as by step.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_lock_call(FhaLock *lock, const FhaLockRequest *request,
											 FhaLockEvent *event);

#endif
