/*
 * lock.c: from a uri to a driver, and what all drivers have in common.
 */
#include "lock/driver.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static const FhaLockDriver *const drivers[FHA_LOCK_SCHEMES] = {
	[FHA_LOCK_DIR] = &fha_lock_dir_driver,
	[FHA_LOCK_KUBERNETES] = &fha_lock_kube_driver,
};

bool
fha_lock_verb_writes(FhaLockVerb verb)
{
	return verb == FHA_LOCK_CREATE || verb == FHA_LOCK_SWAP;
}

bool
fha_record_set_add(FhaRecordSet *set, const char *name, const char *version, const char *data,
				   size_t size)
{
	FhaRecord *row;
	char *copy;

	if (set->count == set->room)
	{
		size_t room = set->room == 0 ? 1 : set->room * 2;
		FhaRecord *rows = realloc(set->rows, room * sizeof(*rows));

		if (rows == NULL)
			return false;
		set->rows = rows;
		set->room = room;
	}
	copy = malloc(size + 1);
	if (copy == NULL)
		return false;
	if (size > 0)
		memcpy(copy, data, size);
	copy[size] = '\0';
	row = &set->rows[set->count++];
	(void) snprintf(row->name, sizeof(row->name), "%s", name);
	(void) snprintf(row->version, sizeof(row->version), "%s", version);
	row->size = size;
	row->data = copy;
	return true;
}

void
fha_record_set_release(FhaRecordSet *set)
{
	for (size_t i = 0; i < set->count; i++)
		free(set->rows[i].data);
	free(set->rows);
	*set = (FhaRecordSet){0};
}

FhaCode
fha_lock_answer(FhaLock *lock, FhaLockEvent *event, FhaCode code, const char *text)
{
	lock->busy = false;
	*event = (FhaLockEvent){.kind = FHA_LOCK_ANSWER,
							.verb = lock->verb,
							.code = code,
							.count = lock->records.count,
							.records = lock->records.rows};
	(void) fha_error(&event->error, code, "%s", text);
	return FHA_OK;
}

FhaCode
fha_lock_open(FhaLock **out, const char *uri, const char *cluster, bool watch, FhaError *err)
{
	const char *rest;
	FhaLockScheme scheme;
	FhaCode code = fha_lock_uri_scheme(uri, &scheme, &rest, err);

	*out = NULL;
	return code == FHA_OK
			   ? drivers[scheme]->open(out, rest, cluster == NULL ? "" : cluster, watch, err)
			   : code;
}

void
fha_lock_close(FhaLock *lock)
{
	if (lock == NULL)
		return;
	fha_record_set_release(&lock->records);
	lock->driver->close(lock);
}

int
fha_lock_fd(const FhaLock *lock)
{
	return lock->driver->fd(lock);
}

int64_t
fha_lock_wake_at_ms(const FhaLock *lock)
{
	return lock->driver->wake_at_ms(lock);
}

bool
fha_lock_busy(const FhaLock *lock)
{
	return lock->busy;
}

static FhaCode
check_write(const FhaLockRequest *request, FhaError *err)
{
	if (request->data == NULL || request->size == 0)
		return fha_error(err, FHA_INVALID, "record \"%s\": a write needs data", request->name);
	if (request->size > FHA_RECORD_DATA_MAX)
		return fha_error(err, FHA_INVALID, "record \"%s\": %zu bytes are more than %d",
						 request->name, request->size, FHA_RECORD_DATA_MAX);
	if (request->verb == FHA_LOCK_SWAP &&
		(request->version == NULL || request->version[0] == '\0' ||
		 strnlen(request->version, FHA_VERSION_SIZE) == FHA_VERSION_SIZE))
		return fha_error(err, FHA_INVALID, "record \"%s\": a swap names the version it replaces",
						 request->name);
	return FHA_OK;
}

FhaCode
fha_lock_start(FhaLock *lock, const FhaLockRequest *request, FhaError *err)
{
	FhaCode code;

	if (lock->busy)
		return fha_error(err, FHA_INVALID, "a request is already in flight");
	if ((unsigned) request->verb > FHA_LOCK_LIST)
		return fha_error(err, FHA_INVALID, "there is no request %d", (int) request->verb);
	if (request->verb != FHA_LOCK_LIST &&
		(request->name == NULL || !fha_record_name_valid(request->name)))
		return fha_error(err, FHA_INVALID, "\"%.80s\" cannot be the name of a record",
						 request->name == NULL ? "" : request->name);
	if (fha_lock_verb_writes(request->verb))
	{
		code = check_write(request, err);
		if (code != FHA_OK)
			return code;
	}
	fha_record_set_release(&lock->records);
	code = lock->driver->start(lock, request, err);
	if (code == FHA_OK)
	{
		lock->busy = true;
		lock->verb = request->verb;
		lock->deadline_at_ms = request->deadline_at_ms;
	}
	return code;
}

FhaCode
fha_lock_step(FhaLock *lock, FhaLockEvent *event)
{
	fha_record_set_release(&lock->records);
	return lock->driver->step(lock, event);
}

static int
poll_timeout(int64_t wake_at_ms)
{
	int64_t left_ms;

	if (wake_at_ms == INT64_MAX)
		return -1; /* LCOV_EXCL_LINE: a driver has a wish at all times */
	left_ms = wake_at_ms - fha_now_ms();
	return left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int) left_ms;
}

FhaCode
fha_lock_call(FhaLock *lock, const FhaLockRequest *request, FhaLockEvent *event)
{
	FhaError err;
	FhaCode code = fha_lock_start(lock, request, &err);

	if (code != FHA_OK)
	{
		*event = (FhaLockEvent){.kind = FHA_LOCK_ANSWER, .verb = request->verb, .code = code};
		event->error = err;
		return code;
	}
	for (;;)
	{
		struct pollfd wait = {.fd = fha_lock_fd(lock), .events = POLLIN};

		if (fha_lock_step(lock, event) == FHA_AGAIN)
			(void) poll(&wait, 1, poll_timeout(fha_lock_wake_at_ms(lock)));
		else if (event->kind == FHA_LOCK_ANSWER)
			return event->code;
	}
}
