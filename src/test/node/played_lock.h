/*
 * played_lock.h: a directory lock without a child: what is asked for is done at once, in the files that
 * the driver's child writes, and is answered at the next step.
 *
 * The program is linked with --wrap=fha_lock_open.  It is included after cmocka.h.
 */
#ifndef FHA_PLAYED_LOCK_H
#define FHA_PLAYED_LOCK_H

#include <inttypes.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "lock/dir/files.h"
#include "lock/driver.h"

/* How soon a directory that is not there is looked for again. */
#define LOOK_AGAIN_MS 200
#define TOLD_NOTHING UINT64_MAX

static int played_events; /* that were told, of any lock */

typedef struct PlayedLock
{
	FhaLock base;
	char path[PATH_MAX];
	FhaDirFiles files;
	char data[FHA_RECORD_DATA_MAX + 1];
	int epoll;
	int answered; /* eventfd: there is an answer */
	FhaCode code;
	FhaError error;
	FhaRecordSet answer;
	/* The watch. */
	bool watch;
	int inotify;             /* -1: the directory was never there */
	int64_t next_look_at_ms; /* it is read then; INT64_MAX: when it changes */
	bool synced;
	FhaDirTable records;
} PlayedLock;

static void
played_lock_wait_for(PlayedLock *lock, int fd)
{
	struct epoll_event interest = {.events = EPOLLIN};

	assert_int_equal(epoll_ctl(lock->epoll, EPOLL_CTL_ADD, fd, &interest), 0);
}

/* Another directory than before: everything is told anew. */
static void
played_lock_watch(PlayedLock *lock)
{
	const uint32_t events = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
							IN_MOVE_SELF | IN_ONLYDIR;

	if (lock->inotify >= 0)
		(void) close(lock->inotify);
	lock->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	assert_true(inotify_add_watch(lock->inotify, lock->path, events) >= 0);
	played_lock_wait_for(lock, lock->inotify);
	for (size_t i = 0; i < lock->records.count; i++)
		lock->records.rows[i].told = TOLD_NOTHING;
	lock->next_look_at_ms = 0;
	lock->synced = false;
}

static FhaCode
played_lock_enter(PlayedLock *lock, FhaError *err)
{
	bool anew;
	FhaCode code = fha_dir_files_open(&lock->files, &anew, err);

	if (code == FHA_OK && anew && lock->watch)
		played_lock_watch(lock);
	return code;
}

static void
played_lock_add(PlayedLock *lock, FhaRecordSet *set, const char *name, uint64_t version,
				size_t size)
{
	char text[FHA_VERSION_SIZE] = "";

	if (version != 0)
		(void) snprintf(text, sizeof(text), "%" PRIu64, version);
	assert_true(fha_record_set_add(set, name, text, lock->data, size));
}

static FhaCode
played_lock_get(PlayedLock *lock, const char *name, FhaError *err)
{
	uint64_t version = 0;
	size_t size = 0;
	FhaCode code = fha_dir_files_newest(&lock->files, name, &version, err);

	if (code == FHA_OK && version == 0)
		return fha_error(err, FHA_NOT_FOUND, "there is no record \"%.120s\"", name);
	if (code == FHA_OK)
		code = fha_dir_files_read(&lock->files, name, version, lock->data, &size, err);
	if (code == FHA_OK)
		played_lock_add(lock, &lock->answer, name, version, size);
	return code;
}

static FhaCode
played_lock_start(FhaLock *base, const FhaLockRequest *request, FhaError *err)
{
	PlayedLock *lock = (PlayedLock *) base;
	uint64_t version = 0;

	(void) err;
	assert_int_not_equal(request->verb, FHA_LOCK_LIST);
	lock->error = (FhaError){.code = FHA_OK};
	if (request->verb == FHA_LOCK_SWAP)
		version = strtoull(request->version, NULL, 10);
	lock->code = played_lock_enter(lock, &lock->error);
	if (lock->code == FHA_OK && request->verb == FHA_LOCK_GET)
		lock->code = played_lock_get(lock, request->name, &lock->error);
	else if (lock->code == FHA_OK)
	{
		lock->code = fha_dir_files_write(&lock->files, request->name, version, request->data,
										 request->size, &lock->error);
		if (lock->code == FHA_OK)
		{
			played_lock_add(lock, &lock->answer, request->name, version + 1, 0);
			fha_dir_files_prune(&lock->files, request->name);
		}
	}
	return eventfd_write(lock->answered, 1) == 0 ? FHA_OK : FHA_IO;
}

static void
played_lock_look(PlayedLock *lock)
{
	_Alignas(struct inotify_event) char events[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
	FhaError err;

	while (lock->inotify >= 0 && read(lock->inotify, events, sizeof(events)) > 0)
		lock->next_look_at_ms = 0;
	if (fha_now_ms() < lock->next_look_at_ms)
		return;
	lock->next_look_at_ms = INT64_MAX;
	if (played_lock_enter(lock, &err) == FHA_OK)
		assert_int_equal(fha_dir_files_scan(&lock->files, &lock->records, &err), FHA_OK);
	else
		lock->next_look_at_ms = fha_now_ms() + LOOK_AGAIN_MS;
}

/* The next record that changed, then SYNCED. */
static FhaCode
played_lock_tell(PlayedLock *lock, FhaLockEvent *event)
{
	FhaError err;

	for (size_t i = 0; i < lock->records.count; i++)
	{
		FhaDirEntry *entry = &lock->records.rows[i];
		size_t size = 0;

		if (entry->version == entry->told)
			continue;
		if (entry->version != 0 && fha_dir_files_read(&lock->files, entry->name, entry->version,
													  lock->data, &size, &err) == FHA_NOT_FOUND)
			continue; /* it is gone since: the next look tells */
		entry->told = entry->version;
		played_lock_add(lock, &lock->base.records, entry->name, entry->version, size);
		if (entry->version == 0)
			fha_dir_table_delete(&lock->records, entry);
		*event =
			(FhaLockEvent){.kind = FHA_LOCK_CHANGE, .count = 1, .records = lock->base.records.rows};
		return FHA_OK;
	}
	if (lock->synced)
		return FHA_AGAIN;
	lock->synced = true;
	*event = (FhaLockEvent){.kind = FHA_LOCK_SYNCED};
	return FHA_OK;
}

static FhaCode
played_lock_step(FhaLock *base, FhaLockEvent *event)
{
	PlayedLock *lock = (PlayedLock *) base;
	eventfd_t answers;
	FhaCode code = FHA_AGAIN;

	if (eventfd_read(lock->answered, &answers) == 0)
	{
		base->records = lock->answer;
		lock->answer = (FhaRecordSet){0};
		code = fha_lock_answer(base, event, lock->code, lock->error.text);
	}
	else if (lock->watch)
	{
		played_lock_look(lock);
		if (lock->files.fd >= 0)
			code = played_lock_tell(lock, event);
	}
	if (code == FHA_OK)
		played_events++;
	return code;
}

static int
played_lock_fd(const FhaLock *base)
{
	return ((const PlayedLock *) base)->epoll;
}

static int64_t
played_lock_wake_at_ms(const FhaLock *base)
{
	const PlayedLock *lock = (const PlayedLock *) base;

	return lock->watch ? lock->next_look_at_ms : INT64_MAX;
}

static void
played_lock_close(FhaLock *base)
{
	PlayedLock *lock = (PlayedLock *) base;

	fha_record_set_release(&lock->answer);
	fha_dir_table_release(&lock->records);
	if (lock->files.fd >= 0)
		(void) close(lock->files.fd);
	if (lock->inotify >= 0)
		(void) close(lock->inotify);
	(void) close(lock->answered);
	(void) close(lock->epoll);
	free(lock->files.buffer);
	free(lock);
}

static const FhaLockDriver played_lock_driver = {.close = played_lock_close,
												 .fd = played_lock_fd,
												 .wake_at_ms = played_lock_wake_at_ms,
												 .start = played_lock_start,
												 .step = played_lock_step};

FhaCode __wrap_fha_lock_open(FhaLock **out, const char *uri, const char *cluster, bool watch,
							 FhaError *err);
FhaCode
__wrap_fha_lock_open(FhaLock **out, const char *uri, const char *cluster, bool watch, FhaError *err)
{
	PlayedLock *lock = calloc(1, sizeof(*lock));

	(void) cluster;
	assert_non_null(lock);
	assert_int_equal(strncmp(uri, "dir:/", 5), 0);
	(void) snprintf(lock->path, sizeof(lock->path), "%s", uri + 4);
	lock->base.driver = &played_lock_driver;
	lock->watch = watch;
	lock->inotify = -1;
	lock->epoll = epoll_create1(EPOLL_CLOEXEC);
	lock->answered = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	played_lock_wait_for(lock, lock->answered);
	assert_int_equal(fha_dir_files_init(&lock->files, lock->path, err), FHA_OK);
	*out = &lock->base;
	return FHA_OK;
}

#endif
