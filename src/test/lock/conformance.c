/*
 * conformance.c: the suite that every driver of the lock passes.
 *
 * Other processes report by exit code only: an assertion there would go on with
 * the suite.
 */
#include "test/lock/conformance.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* Far more than anything here needs: a machine under load must not fail a test. */
#define LONG_MS 60000
#define SHORT_MS 300
#define RACERS 16
#define ROUNDS 40
#define WRITERS 4
#define WRITES 500
#define WATCH_ROUNDS 300
#define LATER_VERSIONS 100

static char uri[512];

int
conformance_setup(void **state)
{
	const Fixture *fixture = *state;

	fixture->make(uri, sizeof(uri));
	return 0;
}

int
conformance_teardown(void **state)
{
	const Fixture *fixture = *state;

	fixture->unmake();
	return 0;
}

static void
wait_a_moment(void)
{
	const struct timespec moment = {.tv_nsec = 1000000};

	(void) nanosleep(&moment, NULL);
}

static FhaLock *
open_lock(bool watch)
{
	FhaLock *lock = NULL;
	FhaError err = {0};

	if (fha_lock_open(&lock, uri, NULL, watch, &err) != FHA_OK)
	{
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return lock;
}

static FhaLockRequest
request_of(FhaLockVerb verb, const char *name, const char *version, const char *data)
{
	return (FhaLockRequest){.verb = verb,
							.name = name,
							.version = version,
							.data = data,
							.size = data == NULL ? 0 : strlen(data),
							.deadline_at_ms = fha_now_ms() + LONG_MS};
}

static FhaCode
call(FhaLock *lock, FhaLockVerb verb, const char *name, const char *version, const char *data,
	 FhaLockEvent *event)
{
	FhaLockRequest request = request_of(verb, name, version, data);

	return fha_lock_call(lock, &request, event);
}

static FhaCode
get(FhaLock *lock, const char *name, char *version, char *data, size_t size)
{
	FhaLockEvent event;
	FhaCode code = call(lock, FHA_LOCK_GET, name, NULL, NULL, &event);

	if (code == FHA_OK)
	{
		(void) snprintf(version, FHA_VERSION_SIZE, "%s", event.records[0].version);
		(void) snprintf(data, size, "%s", event.records[0].data);
	}
	return code;
}

/* CREATE, or SWAP of *version; then the new version is in it. */
static FhaCode
put(FhaLock *lock, const char *name, char *version, const char *data)
{
	FhaLockEvent event;
	FhaCode code = call(lock, version[0] == '\0' ? FHA_LOCK_CREATE : FHA_LOCK_SWAP, name, version,
						data, &event);

	if (code == FHA_OK)
		(void) snprintf(version, FHA_VERSION_SIZE, "%s", event.records[0].version);
	return code;
}

static void
assert_newest(const char *name, const char *data)
{
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE];
	char found[256] = "";

	assert_int_equal(get(lock, name, version, found, sizeof(found)), FHA_OK);
	assert_string_equal(found, data);
	fha_lock_close(lock);
}

/* The next event, within LONG_MS. */
static FhaCode
next_event(FhaLock *lock, FhaLockEvent *event)
{
	int64_t ends_at_ms = fha_now_ms() + LONG_MS;

	while (fha_now_ms() < ends_at_ms)
	{
		struct pollfd wait = {.fd = fha_lock_fd(lock), .events = POLLIN};
		int64_t now_ms;
		int64_t wake_at_ms;

		if (fha_lock_step(lock, event) == FHA_OK)
			return FHA_OK;
		now_ms = fha_now_ms();
		wake_at_ms =
			fha_lock_wake_at_ms(lock) < ends_at_ms ? fha_lock_wake_at_ms(lock) : ends_at_ms;
		(void) poll(&wait, 1, wake_at_ms > now_ms ? (int) (wake_at_ms - now_ms) : 0);
	}
	return FHA_AGAIN;
}

void
test_basics(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockEvent event;
	char first[FHA_VERSION_SIZE] = "";
	char second[FHA_VERSION_SIZE];
	char other[FHA_VERSION_SIZE] = "";

	(void) state;
	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &event), FHA_OK);
	assert_int_equal(event.count, 0);
	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_NOT_FOUND);
	assert_int_equal(call(lock, FHA_LOCK_SWAP, "a", "1", "{}", &event), FHA_NOT_FOUND);
	assert_int_equal(put(lock, "a", first, "{\"a\":1}"), FHA_OK);
	assert_string_not_equal(first, "");
	assert_int_equal(call(lock, FHA_LOCK_CREATE, "a", NULL, "{}", &event), FHA_CONFLICT);
	memcpy(second, first, sizeof(second));
	assert_int_equal(put(lock, "a", second, "{\"a\":2}"), FHA_OK);
	assert_string_not_equal(first, second);
	assert_int_equal(put(lock, "a-1.b", other, "{\"b\":1}"), FHA_OK);

	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_OK);
	assert_int_equal(event.kind, FHA_LOCK_ANSWER);
	assert_int_equal(event.verb, FHA_LOCK_GET);
	assert_int_equal(event.count, 1);
	assert_string_equal(event.records[0].name, "a");
	assert_string_equal(event.records[0].version, second);
	assert_string_equal(event.records[0].data, "{\"a\":2}");

	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &event), FHA_OK);
	assert_int_equal(event.count, 2);
	for (size_t i = 0; i < 2; i++)
	{
		bool is_a = strcmp(event.records[i].name, "a") == 0;

		assert_string_equal(event.records[i].name, is_a ? "a" : "a-1.b");
		assert_string_equal(event.records[i].version, is_a ? second : other);
		assert_string_equal(event.records[i].data, is_a ? "{\"a\":2}" : "{\"b\":1}");
	}
	assert_false(fha_lock_busy(lock));
	fha_lock_close(lock);
}

void
test_large_records(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockEvent event;
	char *data = malloc(FHA_RECORD_DATA_MAX + 1);

	(void) state;
	memset(data, 'x', FHA_RECORD_DATA_MAX);
	data[FHA_RECORD_DATA_MAX] = '\0';
	for (char name[] = "a"; name[0] <= 'e'; name[0]++)
	{
		data[0] = name[0];
		assert_int_equal(call(lock, FHA_LOCK_CREATE, name, NULL, data, &event), FHA_OK);
	}
	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &event), FHA_OK);
	assert_int_equal(event.count, 5);
	for (size_t i = 0; i < event.count; i++)
	{
		data[0] = event.records[i].name[0];
		assert_int_equal(event.records[i].size, FHA_RECORD_DATA_MAX);
		assert_string_equal(event.records[i].data, data);
	}
	fha_lock_close(lock);
	free(data);
}

void
test_lost_update(void **state)
{
	FhaLock *one = open_lock(false);
	FhaLock *two = open_lock(false);
	char base[FHA_VERSION_SIZE] = "";

	(void) state;
	assert_int_equal(put(one, "lease", base, "{\"n\":0}"), FHA_OK);
	for (int i = 0; i < 20; i++)
	{
		FhaLockRequest request = request_of(FHA_LOCK_SWAP, "lease", base, "{\"by\":1}");
		FhaLockEvent events[2];
		int winner;

		assert_int_equal(fha_lock_start(one, &request, NULL), FHA_OK);
		request.data = "{\"by\":2}";
		assert_int_equal(fha_lock_start(two, &request, NULL), FHA_OK);
		assert_true(fha_lock_busy(one));
		assert_int_equal(next_event(one, &events[0]), FHA_OK);
		assert_int_equal(next_event(two, &events[1]), FHA_OK);
		winner = events[0].code == FHA_OK ? 0 : 1;
		assert_int_equal(events[winner].code, FHA_OK);
		assert_int_equal(events[1 - winner].code, FHA_CONFLICT);
		assert_newest("lease", winner == 0 ? "{\"by\":1}" : "{\"by\":2}");
		(void) snprintf(base, sizeof(base), "%s", events[winner].records[0].version);
	}
	fha_lock_close(one);
	fha_lock_close(two);
}

void
test_stale_version(void **state)
{
	FhaLock *lock = open_lock(false);
	char old[FHA_VERSION_SIZE];
	char now[FHA_VERSION_SIZE] = "";

	(void) state;
	assert_int_equal(put(lock, "a", now, "{\"n\":0}"), FHA_OK);
	memcpy(old, now, sizeof(old));
	for (int i = 0; i < 40; i++)
	{
		assert_int_equal(put(lock, "a", now, "{\"n\":1}"), FHA_OK);
		/* Both while the old version is kept somewhere and when it is long gone. */
		assert_int_equal(put(lock, "a", old, "{\"n\":2}"), FHA_CONFLICT);
	}
	assert_newest("a", "{\"n\":1}");
	fha_lock_close(lock);
}

/* A read-modify-write that is tried again after its read got old must not undo a neighbour. */
void
test_no_revert(void **state)
{
	FhaLock *mine = open_lock(false);
	FhaLock *theirs = open_lock(false);
	char version[FHA_VERSION_SIZE] = "";
	char stale[FHA_VERSION_SIZE];
	char data[64];

	(void) state;
	assert_int_equal(put(mine, "a", version, "{\"mine\":1,\"theirs\":1}"), FHA_OK);
	memcpy(stale, version, sizeof(stale));
	assert_int_equal(put(theirs, "a", version, "{\"mine\":1,\"theirs\":2}"), FHA_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(mine, "a", stale, "{\"mine\":2,\"theirs\":1}"), FHA_CONFLICT);
	assert_int_equal(get(mine, "a", stale, data, sizeof(data)), FHA_OK);
	assert_string_equal(data, "{\"mine\":1,\"theirs\":2}");
	assert_int_equal(put(mine, "a", stale, "{\"mine\":2,\"theirs\":2}"), FHA_OK);
	assert_newest("a", "{\"mine\":2,\"theirs\":2}");
	fha_lock_close(mine);
	fha_lock_close(theirs);
}

/* What exists is told, then SYNCED without what does not, then changes. */
void
test_watch_order(void **state)
{
	FhaLock *writer = open_lock(false);
	FhaLock *watcher;
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "";
	bool told = false;

	(void) state;
	assert_int_equal(put(writer, "present", version, "{\"n\":1}"), FHA_OK);
	watcher = open_lock(true);
	for (;;)
	{
		assert_int_equal(next_event(watcher, &event), FHA_OK);
		if (event.kind == FHA_LOCK_SYNCED)
			break;
		assert_int_equal(event.kind, FHA_LOCK_CHANGE);
		assert_string_equal(event.records[0].name, "present");
		assert_string_equal(event.records[0].version, version);
		assert_string_equal(event.records[0].data, "{\"n\":1}");
		told = true;
	}
	assert_true(told);
	assert_int_equal(call(watcher, FHA_LOCK_GET, "absent", NULL, NULL, &event), FHA_NOT_FOUND);
	version[0] = '\0';
	assert_int_equal(put(writer, "absent", version, "{\"n\":2}"), FHA_OK);
	assert_int_equal(next_event(watcher, &event), FHA_OK);
	assert_int_equal(event.kind, FHA_LOCK_CHANGE);
	assert_string_equal(event.records[0].name, "absent");
	assert_string_equal(event.records[0].version, version);
	fha_lock_close(writer);
	fha_lock_close(watcher);
}

/* One record of its own and one that all fight for. */
static int
write_much(int number)
{
	FhaLock *lock = open_lock(false);
	char own[16];
	char version[FHA_VERSION_SIZE] = "";
	char shared[FHA_VERSION_SIZE];
	char data[64];

	(void) snprintf(own, sizeof(own), "own-%d", number);
	for (int i = 0; i < WRITES; i++)
	{
		(void) snprintf(data, sizeof(data), "{\"writer\":%d,\"n\":%d}", number, i);
		if (put(lock, own, version, data) != FHA_OK)
			return 1;
		if (i % 5 == 0)
		{
			char ignored[64];
			FhaCode code = get(lock, "shared", shared, ignored, sizeof(ignored));

			if (code == FHA_NOT_FOUND)
				shared[0] = '\0';
			else if (code != FHA_OK)
				return 2;
			code = put(lock, "shared", shared, data);
			if (code != FHA_OK && code != FHA_CONFLICT && code != FHA_UNKNOWN)
				return 3;
		}
	}
	fha_lock_close(lock);
	return 0;
}

static void
start_processes(pid_t *pids, int count, int (*work)(int))
{
	for (int i = 0; i < count; i++)
	{
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			_exit(work(i));
	}
}

static void
assert_processes_succeed(const pid_t *pids, int count)
{
	for (int i = 0; i < count; i++)
	{
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

typedef struct Told
{
	char name[32];
	char version[FHA_VERSION_SIZE];
	char data[64];
} Told;

static void
remember(Told *told, size_t size, const FhaRecord *record)
{
	for (size_t i = 0; i < size; i++)
	{
		if (told[i].name[0] != '\0' && strcmp(told[i].name, record->name) != 0)
			continue;
		(void) snprintf(told[i].name, sizeof(told[i].name), "%.31s", record->name);
		(void) snprintf(told[i].version, sizeof(told[i].version), "%s", record->version);
		(void) snprintf(told[i].data, sizeof(told[i].data), "%.63s", record->data);
		return;
	}
	fail_msg("more records than there should be");
}

static bool
was_told(const Told *told, size_t size, const FhaRecord *record)
{
	for (size_t i = 0; i < size; i++)
		if (strcmp(told[i].name, record->name) == 0)
			return strcmp(told[i].version, record->version) == 0 &&
				   strcmp(told[i].data, record->data) == 0;
	return false;
}

/* Nobody writes any more: the watcher comes to what is there, and says nothing else. */
static void
assert_catches_up(FhaLock *watcher, Told *told, size_t size)
{
	FhaLock *lock = open_lock(false);
	FhaLockEvent now;
	FhaLockEvent event;

	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &now), FHA_OK);
	assert_int_equal(now.count, size);
	for (size_t i = 0; i < now.count;)
	{
		if (was_told(told, size, &now.records[i]))
			i++;
		else
		{
			assert_int_equal(next_event(watcher, &event), FHA_OK);
			if (event.kind == FHA_LOCK_CHANGE)
				remember(told, size, &event.records[0]);
		}
	}
	while (fha_lock_step(watcher, &event) == FHA_OK)
		if (event.kind == FHA_LOCK_CHANGE)
			remember(told, size, &event.records[0]);
	for (size_t i = 0; i < now.count; i++)
		assert_true(was_told(told, size, &now.records[i]));
	fha_lock_close(lock);
}

void
test_watch_misses_nothing(void **state)
{
	FhaLock *watcher = open_lock(true);
	Told told[WRITERS + 1] = {0};
	pid_t pids[WRITERS];
	FhaLockEvent event;
	int living = WRITERS;
	int changes = 0;

	(void) state;
	start_processes(pids, WRITERS, write_much);
	while (living > 0)
	{
		struct pollfd wait = {.fd = fha_lock_fd(watcher), .events = POLLIN};
		int status;

		(void) poll(&wait, 1, 10);
		while (fha_lock_step(watcher, &event) == FHA_OK)
		{
			if (event.kind != FHA_LOCK_CHANGE)
				continue;
			remember(told, WRITERS + 1, &event.records[0]);
			changes++;
		}
		for (int i = 0; i < WRITERS; i++)
		{
			if (pids[i] == 0 || waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			assert_int_equal(status, 0);
			pids[i] = 0;
			living--;
		}
	}
	assert_catches_up(watcher, told, WRITERS + 1);
	assert_true(changes > WRITERS);
	fha_lock_close(watcher);
}

/* Nobody reads while thousands of changes come: the last of each is told, and soon. */
void
test_watch_slow_reader(void **state)
{
	FhaLock *watcher = open_lock(true);
	Told told[WRITERS + 1] = {0};
	pid_t pids[WRITERS];

	(void) state;
	start_processes(pids, WRITERS, write_much);
	assert_processes_succeed(pids, WRITERS);
	assert_catches_up(watcher, told, WRITERS + 1);
	fha_lock_close(watcher);
}

/* No later change helps out: each of few simultaneous writes is told, to an old and a new watch. */
void
test_watch_every_write(void **state)
{
	static const char *const names[WRITERS] = {"a", "b", "c", "d"};
	FhaLock *writers[WRITERS];
	FhaLock *watcher = open_lock(true);
	char versions[WRITERS][FHA_VERSION_SIZE] = {0};

	(void) state;
	for (int i = 0; i < WRITERS; i++)
		writers[i] = open_lock(false);
	for (int round = 0; round < WATCH_ROUNDS; round++)
	{
		FhaLockEvent event;
		bool told[WRITERS] = {false};
		int missing = WRITERS;

		for (int i = 0; i < WRITERS; i++)
		{
			FhaLockRequest request = request_of(round == 0 ? FHA_LOCK_CREATE : FHA_LOCK_SWAP,
												names[i], versions[i], "{\"n\":1}");

			assert_int_equal(fha_lock_start(writers[i], &request, NULL), FHA_OK);
		}
		if (round % 2 == 1)
		{
			fha_lock_close(watcher);
			watcher = open_lock(true);
		}
		for (int i = 0; i < WRITERS; i++)
		{
			assert_int_equal(next_event(writers[i], &event), FHA_OK);
			assert_int_equal(event.code, FHA_OK);
			(void) snprintf(versions[i], sizeof(versions[i]), "%s", event.records[0].version);
		}
		while (missing > 0)
		{
			assert_int_equal(next_event(watcher, &event), FHA_OK);
			for (int i = 0; i < WRITERS && event.kind == FHA_LOCK_CHANGE; i++)
			{
				if (told[i] || strcmp(event.records[0].name, names[i]) != 0 ||
					strcmp(event.records[0].version, versions[i]) != 0)
					continue;
				told[i] = true;
				missing--;
			}
		}
	}
	for (int i = 0; i < WRITERS; i++)
		fha_lock_close(writers[i]);
	fha_lock_close(watcher);
}

static char *shared_version; /* in memory that all processes share */
static _Atomic int *shared_numbers;

static void
share_memory(void)
{
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	shared_version = memory;
	shared_numbers = (_Atomic int *) (void *) (memory + FHA_VERSION_SIZE);
}

static void
unshare_memory(void)
{
	(void) munmap(shared_version, 4096);
}

/* Write "lease" once, as the holder that something happens to; its code is its exit code. */
static int
write_as_victim(int number)
{
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE];

	(void) number;
	memcpy(version, shared_version, sizeof(version));
	return (int) put(lock, "lease", version, "{\"by\":\"victim\"}");
}

static pid_t
start_victim(const Fixture *fixture)
{
	pid_t pid;

	fixture->write_hold();
	start_processes(&pid, 1, write_as_victim);
	while (!fixture->write_held())
	{
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
		wait_a_moment();
	}
	return pid;
}

void
test_writer_killed(void **state)
{
	const Fixture *fixture = *state;
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE] = "";
	pid_t victim;

	share_memory();
	assert_int_equal(put(lock, "lease", version, "{\"n\":1}"), FHA_OK);
	memcpy(shared_version, version, sizeof(version));
	victim = start_victim(fixture);
	assert_int_equal(kill(victim, SIGKILL), 0);
	assert_int_equal(waitpid(victim, NULL, 0), victim);
	assert_int_equal(put(lock, "lease", version, "{\"n\":2}"), FHA_OK);
	assert_int_equal(put(lock, "lease", version, "{\"n\":3}"), FHA_OK);
	fixture->write_release();
	assert_newest("lease", "{\"n\":3}");
	fha_lock_close(lock);
	unshare_memory();
}

/* S1: who slept in a write blocks nobody, and does not win when it wakes. */
static void
stop_and_wake(const Fixture *fixture, const char *version_before)
{
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE];
	pid_t victim;
	int status;

	memcpy(shared_version, version_before, FHA_VERSION_SIZE);
	memcpy(version, version_before, FHA_VERSION_SIZE);
	victim = start_victim(fixture);
	assert_int_equal(kill(victim, SIGSTOP), 0);
	for (int i = 0; i < LATER_VERSIONS; i++)
		assert_int_equal(put(lock, "lease", version, "{\"by\":\"other\"}"), FHA_OK);
	fixture->write_release();
	assert_int_equal(kill(victim, SIGCONT), 0);
	assert_int_equal(waitpid(victim, &status, 0), victim);
	assert_true(WIFEXITED(status));
	assert_true(WEXITSTATUS(status) == FHA_CONFLICT || WEXITSTATUS(status) == FHA_UNKNOWN);
	assert_newest("lease", "{\"by\":\"other\"}");
	assert_int_equal(put(lock, "lease", version, "{\"by\":\"another\"}"), FHA_OK);
	assert_newest("lease", "{\"by\":\"another\"}");
	fha_lock_close(lock);
}

void
test_writer_stopped_in_swap(void **state)
{
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE] = "";

	share_memory();
	for (int i = 0; i < 5; i++)
		assert_int_equal(put(lock, "lease", version, "{\"n\":1}"), FHA_OK);
	fha_lock_close(lock);
	stop_and_wake(*state, version);
	unshare_memory();
}

void
test_writer_stopped_in_create(void **state)
{
	char version[FHA_VERSION_SIZE] = "";

	share_memory();
	stop_and_wake(*state, version);
	unshare_memory();
}

/* shared_numbers: [0] the round, [1] finished in it, [2] winners, [3] the winner. */
static int
race(int number)
{
	FhaLock *lock = open_lock(false);
	char data[32];

	(void) snprintf(data, sizeof(data), "{\"by\":%d}", number);
	for (int round = 1; round <= ROUNDS; round++)
	{
		char version[FHA_VERSION_SIZE];
		FhaCode code;

		while (atomic_load(&shared_numbers[0]) < round)
			wait_a_moment();
		memcpy(version, shared_version, sizeof(version));
		code = put(lock, "lease", version, data);
		if (code == FHA_OK)
		{
			atomic_fetch_add(&shared_numbers[2], 1);
			atomic_store(&shared_numbers[3], number);
		}
		else if (code != FHA_CONFLICT)
			return 1;
		atomic_fetch_add(&shared_numbers[1], 1);
	}
	fha_lock_close(lock);
	return 0;
}

/* The first round is a race to create. */
void
test_race(void **state)
{
	FhaLock *lock = open_lock(false);
	pid_t pids[RACERS];

	(void) state;
	share_memory();
	start_processes(pids, RACERS, race);
	for (int round = 1; round <= ROUNDS; round++)
	{
		char expected[32];
		char found[32];

		atomic_store(&shared_numbers[1], 0);
		atomic_store(&shared_numbers[2], 0);
		atomic_store(&shared_numbers[0], round);
		for (int64_t ends_at_ms = fha_now_ms() + LONG_MS; atomic_load(&shared_numbers[1]) < RACERS;)
		{
			assert_true(fha_now_ms() < ends_at_ms);
			wait_a_moment();
		}
		assert_int_equal(atomic_load(&shared_numbers[2]), 1);
		(void) snprintf(expected, sizeof(expected), "{\"by\":%d}", atomic_load(&shared_numbers[3]));
		assert_int_equal(get(lock, "lease", shared_version, found, sizeof(found)), FHA_OK);
		assert_string_equal(found, expected);
	}
	assert_processes_succeed(pids, RACERS);
	fha_lock_close(lock);
	unshare_memory();
}

/* Applied, but nobody says so: UNKNOWN, and who reads back finds its nonce. */
/* Until the write arrives and its answer does not: on a busy machine a short deadline may end before it is done. */
static void
lose_reply(const Fixture *fixture, FhaLock *lock, FhaLockRequest *request)
{
	FhaLockEvent event;
	FhaCode code;
	char version[FHA_VERSION_SIZE];
	char data[64] = "";
	int64_t time_ms = SHORT_MS;

	do
	{
		assert_true(time_ms < LONG_MS);
		fixture->reply_lose();
		request->deadline_at_ms = fha_now_ms() + time_ms;
		assert_int_equal(fha_lock_call(lock, request, &event), FHA_UNKNOWN);
		code = get(lock, request->name, version, data, sizeof(data));
		assert_true(code == FHA_OK || code == FHA_NOT_FOUND);
		time_ms *= 4;
	} while (strcmp(data, request->data) != 0);
}

void
test_reply_lost(void **state)
{
	const Fixture *fixture = *state;
	FhaLock *lock = open_lock(false);
	FhaLockRequest request = request_of(FHA_LOCK_CREATE, "lease", NULL, "{\"nonce\":\"one\"}");
	char version[FHA_VERSION_SIZE];
	char data[64];

	lose_reply(fixture, lock, &request);
	assert_int_equal(get(lock, "lease", version, data, sizeof(data)), FHA_OK);
	assert_string_equal(data, "{\"nonce\":\"one\"}");

	request = request_of(FHA_LOCK_SWAP, "lease", version, "{\"nonce\":\"two\"}");
	lose_reply(fixture, lock, &request);
	/* Sent again without reading back, it comes second to itself. */
	assert_int_equal(put(lock, "lease", version, "{\"nonce\":\"two\"}"), FHA_CONFLICT);
	assert_int_equal(get(lock, "lease", version, data, sizeof(data)), FHA_OK);
	assert_string_equal(data, "{\"nonce\":\"two\"}");
	fha_lock_close(lock);
}

static void
assert_refused(FhaLock *lock, const FhaLockRequest *request)
{
	FhaError err = {0};

	assert_int_equal(fha_lock_start(lock, request, &err), FHA_INVALID);
	assert_int_equal(err.code, FHA_INVALID);
	assert_true(err.text[0] != '\0');
	assert_false(fha_lock_busy(lock));
}

void
test_hostile_requests(void **state)
{
	static const char *const names[] = {
		"",  "/",   "../x", "a/b", ".",         "..",     ".a",       "a.", "-a",   "a-",
		"A", "a_b", "a b",  "a\n", "a\xc3\xa4", "%2e%2e", ".tmp.1.2", "a*", "a\\b", "~"};
	static const char *const versions[] = {
		"", "0", "-1", "+1", " 1", "1 ", "0x1", "01", "1e3", "99999999999999999999999999999"};
	FhaLock *lock = open_lock(false);
	FhaLockRequest request;
	FhaLockEvent event;
	char name[FHA_RECORD_NAME_SIZE + 1];
	char version[FHA_VERSION_SIZE] = "";
	char *large = calloc(1, FHA_RECORD_DATA_MAX + 1);

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (FhaLockVerb verb = FHA_LOCK_GET; verb <= FHA_LOCK_SWAP; verb++)
		{
			request = request_of(verb, names[i], "1", "{}");
			assert_refused(lock, &request);
		}
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	request = request_of(FHA_LOCK_CREATE, name, NULL, "{}");
	assert_refused(lock, &request);
	request = request_of(FHA_LOCK_GET, NULL, NULL, NULL);
	assert_refused(lock, &request);
	request = request_of((FhaLockVerb) 77, "a", NULL, NULL);
	assert_refused(lock, &request);
	request = request_of(FHA_LOCK_CREATE, "a", NULL, "");
	assert_refused(lock, &request);
	request = request_of(FHA_LOCK_CREATE, "a", NULL, NULL);
	assert_refused(lock, &request);
	request.data = large;
	request.size = FHA_RECORD_DATA_MAX + 1;
	assert_refused(lock, &request);
	request = request_of(FHA_LOCK_SWAP, "a", NULL, "{}");
	assert_refused(lock, &request);

	/* A version is opaque: what was never one is refused or is not the newest. */
	assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
	{
		FhaCode code = call(lock, FHA_LOCK_SWAP, "a", versions[i], "{}", &event);

		assert_true(code == FHA_INVALID || code == FHA_CONFLICT);
	}
	assert_newest("a", "{\"n\":1}");

	request = request_of(FHA_LOCK_GET, "a", NULL, NULL);
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_INVALID);
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.code, FHA_OK);
	fha_lock_close(lock);
	free(large);
}

static void
assert_answer_at_deadline(FhaLock *lock, FhaLockVerb verb, FhaCode expected)
{
	FhaLockRequest request = request_of(verb, "a", "1", "{\"n\":2}");
	FhaLockEvent event;

	request.deadline_at_ms = fha_now_ms() + SHORT_MS;
	assert_int_equal(fha_lock_call(lock, &request, &event), expected);
	assert_true(fha_now_ms() >= request.deadline_at_ms);
	assert_true(fha_now_ms() < request.deadline_at_ms + 5000);
	assert_true(event.error.text[0] != '\0');
}

/* The time that it takes to close a lock that does not answer. */
static int64_t
hanging_close_ms(const Fixture *fixture, FhaLock *lock)
{
	int64_t start_at_ms;
	int64_t end_at_ms;

	fixture->lock_hang();
	start_at_ms = fha_now_ms();
	fha_lock_close(lock);
	end_at_ms = fha_now_ms();
	fixture->write_release();
	return end_at_ms - start_at_ms;
}

/* A lock that does not answer costs each request its deadline, and the caller nothing. */
void
test_hang(void **state)
{
	const Fixture *fixture = *state;
	FhaLock *lock = open_lock(true);
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "";
	int fd = fha_lock_fd(lock);

	assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	fixture->lock_hang();
	assert_answer_at_deadline(lock, FHA_LOCK_GET, FHA_TIMEOUT);
	fixture->write_release();
	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_OK);
	fixture->lock_hang();
	assert_answer_at_deadline(lock, FHA_LOCK_SWAP, FHA_UNKNOWN);
	fixture->write_release();
	/* The watch has started again by itself. */
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.kind, FHA_LOCK_CHANGE);
	assert_string_equal(event.records[0].name, "a");
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.kind, FHA_LOCK_SYNCED);
	assert_int_equal(fd, fha_lock_fd(lock));

	/* A busy machine may make one of them long, and not all. */
	for (int tries = 1; hanging_close_ms(fixture, lock) >= 1000; tries++)
	{
		assert_true(tries < 3);
		lock = open_lock(true);
	}
}
