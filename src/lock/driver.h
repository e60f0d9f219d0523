/*
 * driver.h: what a driver of the lock provides, and what lock.c does for it.
 *
 * lock.c checks every request before a driver sees it, owns the records of the
 * last event, and knows whether a request is in flight.  A driver's own handle
 * begins with a struct FhaLock.
 */
#ifndef FHA_LOCK_DRIVER_H
#define FHA_LOCK_DRIVER_H

#include "lock/lock.h"

typedef struct FhaRecordSet
{
	FhaRecord *rows;
	size_t count;
	size_t room;
} FhaRecordSet;

typedef struct FhaLockDriver
{
	/* rest: of the uri, behind its scheme */
	FhaCode (*open)(FhaLock **out, const char *rest, const char *cluster, bool watch,
					FhaError *err); /* cluster: "": all */
	void (*close)(FhaLock *lock);
	int (*fd)(const FhaLock *lock);
	int64_t (*wake_at_ms)(const FhaLock *lock);
	/* The request is valid and none is in flight; busy, verb and deadline_at_ms are set after OK. */
	FhaCode (*start)(FhaLock *lock, const FhaLockRequest *request, FhaError *err);
	FhaCode (*step)(FhaLock *lock, FhaLockEvent *event);
} FhaLockDriver;

struct FhaLock
{
	const FhaLockDriver *driver;
	bool busy;
	FhaLockVerb verb;
	int64_t deadline_at_ms;
	FhaRecordSet records; /* of the last event */
};

extern const FhaLockDriver fha_lock_dir_driver;
extern const FhaLockDriver fha_lock_kube_driver;

bool fha_lock_verb_writes(FhaLockVerb verb);

/* Append a copy, data with a NUL behind it; false: out of memory, the set is as it was. */
FHA_MUST_CHECK bool fha_record_set_add(FhaRecordSet *set, const char *name, const char *version,
									   const char *data, size_t size);
void fha_record_set_release(FhaRecordSet *set);

/* Fill the event that ends the request in flight; its records are those of the lock. */
FhaCode fha_lock_answer(FhaLock *lock, FhaLockEvent *event, FhaCode code, const char *text);

#endif
