/*
 * lock_test.c: the directory lock, by the suite for all drivers and by its own tests.
 */
#include "test/lock/conformance.c"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <dirent.h>

#include "base/fs.h"
#include "lock/dir/files.h"
#include "lock/driver.h"

typedef enum Trick
{
	TRICK_NONE,
	TRICK_HOLD,   /* stop before link */
	TRICK_MUTE,   /* stop after it */
	TRICK_DIE,    /* die after it */
	TRICK_REFUSE, /* fail with EIO */
	TRICK_LATE    /* somebody writes just after a scan */
} Trick;

/* In shared memory: set by the suite, done by whichever process comes first. */
typedef struct Tricks
{
	_Atomic int trick;
	_Atomic pid_t held;
	_Atomic long allocations_left; /* then one fails; negative: none does */
	_Atomic bool root;             /* whom geteuid names */
	_Atomic int given;             /* files that root gave away */
	_Atomic uid_t given_to;
} Tricks;

static Tricks *tricks;
static char path[256];

int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
ssize_t __real_getdents64(int fd, void *buffer, size_t size);
ssize_t __wrap_getdents64(int fd, void *buffer, size_t size);
uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
int __real_fchown(int fd, uid_t user, gid_t group);
int __wrap_fchown(int fd, uid_t user, gid_t group);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);

static void
plant(const char *file, const char *data)
{
	char name[600];
	int fd;

	(void) snprintf(name, sizeof(name), "%s/%s", path, file);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, strlen(data)), strlen(data));
	(void) close(fd);
}

int
__wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	int trick = atomic_exchange(&tricks->trick, TRICK_NONE);
	int result;

	if (trick == TRICK_REFUSE)
	{
		errno = EIO;
		return -1;
	}
	if (trick == TRICK_HOLD)
	{
		atomic_store(&tricks->held, getpid());
		(void) raise(SIGSTOP);
	}
	result = __real_linkat(from_fd, from, to_fd, to, flags);
	if (trick == TRICK_MUTE)
		(void) raise(SIGSTOP);
	if (trick == TRICK_DIE)
		(void) raise(SIGKILL);
	return result;
}

ssize_t
__wrap_getdents64(int fd, void *buffer, size_t size)
{
	ssize_t got = __real_getdents64(fd, buffer, size);
	int expected = TRICK_LATE;

	if (got == 0 && atomic_compare_exchange_strong(&tricks->trick, &expected, TRICK_NONE))
		plant("late.00000000000000000001", "{}");
	return got;
}

static bool
out_of_memory(void)
{
	return tricks != NULL && atomic_load(&tricks->allocations_left) >= 0 &&
		   atomic_fetch_sub(&tricks->allocations_left, 1) == 0;
}

/* Root, as far as the driver can tell; what it gives away is noted. */
uid_t
__wrap_geteuid(void)
{
	return tricks != NULL && tricks->root ? 0 : __real_geteuid();
}

int
__wrap_fchown(int fd, uid_t user, gid_t group)
{
	if (!tricks->root)
		return __real_fchown(fd, user, group);
	tricks->given_to = user;
	tricks->given++;
	return 0;
}

void *
__wrap_malloc(size_t size)
{
	return out_of_memory() ? NULL : __real_malloc(size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return out_of_memory() ? NULL : __real_realloc(old, size);
}

/* State letter, parent and name of a process; false: no such process. */
static bool
process_read(pid_t pid, char *state, pid_t *parent, char *name)
{
	char file[64];
	FILE *stream;
	bool good;
	int number;

	(void) snprintf(file, sizeof(file), "/proc/%d/stat", (int) pid);
	stream = fopen(file, "re");
	if (stream == NULL)
		return false;
	good = fscanf(stream, "%*d (%15[^)]) %c %d", name, state, &number) == 3;
	(void) fclose(stream);
	*parent = number;
	return good;
}

static bool
process_is(pid_t pid, const char *states)
{
	char state = 0;
	char name[16];
	pid_t parent;

	return process_read(pid, &state, &parent, name) && strchr(states, state) != NULL;
}

static bool
process_gone(pid_t pid)
{
	char state = 0;
	char name[16];
	pid_t parent;

	return !process_read(pid, &state, &parent, name) || state == 'Z';
}

/* The living I/O process of `owner`; 0: none. */
static pid_t
child_of(pid_t owner)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;

	assert_non_null(proc);
	while ((entry = readdir(proc)) != NULL)
	{
		pid_t pid = (pid_t) strtol(entry->d_name, NULL, 10);
		pid_t parent;
		char name[16];
		char state = 0;

		if (pid > 0 && process_read(pid, &state, &parent, name) && parent == owner &&
			state != 'Z' && strcmp(name, "fawkes_ha lock") == 0)
			found = pid;
	}
	(void) closedir(proc);
	return found;
}

static pid_t
wait_for_child(pid_t owner)
{
	pid_t pid;

	for (int64_t ends_at_ms = fha_now_ms() + LONG_MS; (pid = child_of(owner)) == 0;)
	{
		assert_true(fha_now_ms() < ends_at_ms);
		wait_a_moment();
	}
	return pid;
}

static void
wait_gone(pid_t pid)
{
	for (int64_t ends_at_ms = fha_now_ms() + LONG_MS; !process_gone(pid);)
	{
		assert_true(fha_now_ms() < ends_at_ms);
		wait_a_moment();
	}
}

/* A lock that is closed has killed its child and does not wait for it: what a test before has left goes. */
static void
end_children(void)
{
	pid_t pid;

	while ((pid = child_of(getpid())) != 0)
	{
		(void) kill(pid, SIGKILL);
		wait_a_moment();
	}
}

static void
dir_make(char *out, size_t size)
{
	const char *top = getenv("TMPDIR");

	end_children();
	(void) snprintf(path, sizeof(path), "%s/fawkes-lock.XXXXXX", top == NULL ? "/tmp" : top);
	if (mkdtemp(path) == NULL)
		abort();
	(void) snprintf(out, size, "dir:%s", path);
	atomic_store(&tricks->trick, TRICK_NONE);
	atomic_store(&tricks->held, 0);
	atomic_store(&tricks->allocations_left, -1);
}

static void
empty_directory(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		(void) unlinkat(dirfd(dir), entry->d_name, 0);
	(void) closedir(dir);
}

static void
dir_unmake(void)
{
	empty_directory(path);
	(void) rmdir(path);
}

static void
dir_write_hold(void)
{
	atomic_store(&tricks->held, 0);
	atomic_store(&tricks->trick, TRICK_HOLD);
}

static bool
dir_write_held(void)
{
	pid_t held = atomic_load(&tricks->held);

	return held != 0 && process_is(held, "T");
}

static void
dir_write_release(void)
{
	pid_t held = atomic_exchange(&tricks->held, 0);

	if (held != 0)
		(void) kill(held, SIGCONT);
}

static void
dir_reply_lose(void)
{
	atomic_store(&tricks->trick, TRICK_MUTE);
}

static void
dir_lock_hang(void)
{
	pid_t pid = wait_for_child(getpid());

	assert_int_equal(kill(pid, SIGSTOP), 0);
	while (!process_is(pid, "T"))
		wait_a_moment();
}

static Fixture directory = {.make = dir_make,
							.unmake = dir_unmake,
							.write_hold = dir_write_hold,
							.write_held = dir_write_held,
							.write_release = dir_write_release,
							.reply_lose = dir_reply_lose,
							.lock_hang = dir_lock_hang};

static size_t
count_files(const char *prefix)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			count++;
	(void) closedir(dir);
	return count;
}

static void
wait_for_files(const char *prefix, size_t count)
{
	for (int64_t ends_at_ms = fha_now_ms() + LONG_MS; count_files(prefix) != count;)
	{
		assert_true(fha_now_ms() < ends_at_ms);
		wait_a_moment();
	}
}

static void
wait_synced(FhaLock *lock)
{
	FhaLockEvent event;

	do
		assert_int_equal(next_event(lock, &event), FHA_OK);
	while (event.kind != FHA_LOCK_SYNCED);
}

static void
wait_told(FhaLock *lock, const char *name)
{
	FhaLockEvent event;

	do
		assert_int_equal(next_event(lock, &event), FHA_OK);
	while (event.kind != FHA_LOCK_CHANGE || strcmp(event.records[0].name, name) != 0);
}

static void
test_uri(void **state)
{
	static const char *const bad[] = {"",
									  "dir",
									  "dir:",
									  "dir:relative",
									  "k8s:a",
									  "dir:/etc/hosts",
									  "/tmp/lock",
									  "DIR:/tmp",
									  "dir:/no/such/parent"};
	FhaLock *lock;
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		FhaCode code = fha_lock_open(&lock, bad[i], NULL, false, &err);

		assert_true(code == FHA_INVALID || code == FHA_IO);
		assert_null(lock);
		assert_true(err.text[0] != '\0');
	}
	/* A typing error must not make a second lock. */
	assert_int_equal(
		fha_lock_open(&lock, "dir:/tmp/fawkes-lock-that-nobody-made", NULL, false, &err), FHA_IO);
	assert_non_null(strstr(err.text, "it must exist"));
	assert_int_equal(access("/tmp/fawkes-lock-that-nobody-made", F_OK), -1);
	/* A path that is no directory is no missing mount: also for those that wait for one. */
	assert_int_equal(fha_lock_open(&lock, "dir:/etc/hosts", NULL, true, &err), FHA_IO);
	assert_int_equal(fha_lock_open(&lock, "dir:/etc/hosts/lock", NULL, true, &err), FHA_IO);
	assert_null(lock);
	fha_lock_close(NULL);
}

/* Who watches may be there before the directory is: a mount that is missing is an outage. */
static void
test_a_directory_that_is_not_there_yet(void **state)
{
	char away[sizeof(path) + 8];
	FhaLockEvent event;
	FhaLock *lock;

	(void) state;
	plant("a.00000000000000000001", "{\"n\":1}");
	(void) snprintf(away, sizeof(away), "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	lock = open_lock(true);
	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_IO);
	assert_non_null(strstr(event.error.text, "is not there: mount it"));
	assert_int_equal(call(lock, FHA_LOCK_CREATE, "b", NULL, "{}", &event), FHA_IO);
	assert_int_equal(access(path, F_OK), -1);
	/* What is looked at when it comes is what else is looked at when it is opened. */
	assert_int_equal(chmod(away, 0777), 0);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_INVALID);
	assert_non_null(strstr(event.error.text, "chmod 700"));
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.kind, FHA_LOCK_CHANGE);
	assert_string_equal(event.records[0].name, "a");
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.kind, FHA_LOCK_SYNCED);
	assert_int_equal(call(lock, FHA_LOCK_CREATE, "b", NULL, "{}", &event), FHA_OK);
	fha_lock_close(lock);
}

static void
test_network_filesystems(void **state)
{
	static const long shared[] = {0x6969,     0x517b,     0xff534d42, 0xfe534d42,
								  0x65735546, 0x01021997, 0x5346414f, 0x00c36400,
								  0x7461636f, 0x01161970, 0x0bd00bd0, (int) 0xff534d42};
	static const long local[] = {0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630};
	int fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void) state;
	for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
		assert_true(fha_fs_is_network(shared[i]));
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		assert_false(fha_fs_is_network(local[i]));
	assert_int_equal(fha_dir_check_local(fd, "/tmp", NULL), FHA_OK);
	(void) close(fd);
}

static void
test_file_names(void **state)
{
	static const char *const bad[] = {"",
									  "a",
									  ".00000000000000000001",
									  "a.0000000000000000001",
									  "a.00000000000000000000",
									  "a.0000000000000000000x",
									  "a.-0000000000000000001",
									  "a.18446744073709551615",
									  "a.99999999999999999999",
									  "a.09223372036854775807",
									  "A.00000000000000000001",
									  "a_b.00000000000000000001",
									  "a-.00000000000000000001",
									  ".tmp.1.00000000000000000001",
									  "a.00000000000000000001~"};
	char name[FHA_RECORD_NAME_SIZE];
	uint64_t version;

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(fha_dir_file_parse(bad[i], name, &version));
	assert_true(fha_dir_file_parse("a.00000000000000000001.00000000000000000042", name, &version));
	assert_string_equal(name, "a.00000000000000000001");
	assert_int_equal(version, 42);
	assert_true(fha_dir_file_parse("a.09223372036854775806", name, &version));
	assert_true(version == INT64_MAX - 1);
}

/* Someone else's files neither count nor get lost. */
static void
test_foreign_files(void **state)
{
	FhaLock *lock = open_lock(true);
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "";

	(void) state;
	plant("README", "hello");
	plant("a.99999999999999999999", "{}");
	plant("a.7", "{}");
	plant("A.00000000000000000009", "{}");
	assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	assert_string_equal(version, "1");
	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &event), FHA_OK);
	assert_int_equal(event.count, 1);
	for (int i = 0; i < 40; i++)
		assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	assert_int_equal(count_files("README"), 1);
	assert_int_equal(count_files("a.7"), 1);
	fha_lock_close(lock);
}

static void
test_damaged_files(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLock *watcher;
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "1";
	char *large = malloc(FHA_RECORD_DATA_MAX + 2);

	(void) state;
	memset(large, 'x', FHA_RECORD_DATA_MAX + 1);
	large[FHA_RECORD_DATA_MAX + 1] = '\0';
	plant("empty.00000000000000000001", "");
	plant("large.00000000000000000001", large);
	assert_int_equal(call(lock, FHA_LOCK_GET, "empty", NULL, NULL, &event), FHA_PROTOCOL);
	assert_non_null(strstr(event.error.text, "empty.00000000000000000001"));
	assert_int_equal(call(lock, FHA_LOCK_GET, "large", NULL, NULL, &event), FHA_PROTOCOL);
	assert_non_null(strstr(event.error.text, "large.00000000000000000001"));
	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &event), FHA_PROTOCOL);
	/* The watch says that there is something, and a write repairs it. */
	watcher = open_lock(true);
	for (int i = 0; i < 2; i++)
	{
		assert_int_equal(next_event(watcher, &event), FHA_OK);
		assert_int_equal(event.kind, FHA_LOCK_CHANGE);
		assert_string_equal(event.records[0].version, "1");
		assert_int_equal(event.records[0].size, 0);
	}
	assert_int_equal(put(lock, "empty", version, "{\"n\":1}"), FHA_OK);
	assert_newest("empty", "{\"n\":1}");
	fha_lock_close(watcher);
	fha_lock_close(lock);
	free(large);
}

static void
test_pruning(void **state)
{
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE] = "";
	char name[600];
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	(void) state;
	plant(".tmp.1.old", "x");
	plant(".tmp.1.new", "x");
	(void) snprintf(name, sizeof(name), "%s/.tmp.1.old", path);
	assert_int_equal(utimensat(AT_FDCWD, name, old, 0), 0);
	for (int i = 0; i < 3 * FHA_DIR_KEEP; i++)
		assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	wait_for_files("a.", FHA_DIR_KEEP);
	wait_for_files(".tmp.", 1);
	assert_int_equal(count_files(".tmp.1.new"), 1);
	assert_int_equal(count_files("a.00000000000000000048"), 1);
	assert_int_equal(count_files("a.00000000000000000033"), 1);
	fha_lock_close(lock);
}

/* While a version that a sleeper may build on exists, no later one goes. */
static void
test_pruning_ascends(void **state)
{
	FhaDirFiles files;
	bool anew;

	(void) state;
	for (int i = 1; i <= 40; i++)
	{
		char file[64];

		(void) snprintf(file, sizeof(file), "a.%020d", i);
		if (i != 5)
			plant(file, "{}");
	}
	/* Version 4 cannot be deleted: it is a directory.  So 6 and later stay. */
	{
		char name[600];

		(void) snprintf(name, sizeof(name), "%s/a.%020d", path, 4);
		assert_int_equal(unlink(name), 0);
		assert_int_equal(mkdir(name, 0700), 0);
		assert_int_equal(fha_dir_files_init(&files, path, NULL), FHA_OK);
		assert_int_equal(fha_dir_files_open(&files, &anew, NULL), FHA_OK);
		(void) snprintf(name, sizeof(name), "%s/a.%020d", path, 5);
		plant("a.00000000000000000005", "{}");
		fha_dir_files_prune(&files, "a");
		assert_int_equal(count_files("a.0000000000000000000"), 6);
		(void) snprintf(name, sizeof(name), "%s/a.%020d", path, 4);
		assert_int_equal(rmdir(name), 0);
		fha_dir_files_prune(&files, "a");
		assert_int_equal(count_files("a."), FHA_DIR_KEEP);
	}
	(void) close(files.fd);
	free(files.buffer);
}

/* Nothing is above the sleeper's link: the scan cannot tell, its predecessor can (S1). */
static void
test_predecessor_gone(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockRequest request;
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "";

	(void) state;
	assert_int_equal(put(lock, "lease", version, "{\"n\":1}"), FHA_OK);
	dir_write_hold();
	request = request_of(FHA_LOCK_SWAP, "lease", version, "{\"n\":2}");
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
	while (!dir_write_held())
		wait_a_moment();
	{
		char name[600];

		(void) snprintf(name, sizeof(name), "%s/lease.%020d", path, 1);
		assert_int_equal(unlink(name), 0);
		/* Another file under the predecessor's name is not the predecessor. */
		plant("lease.00000000000000000001", "{}");
	}
	dir_write_release();
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.code, FHA_UNKNOWN);
	fha_lock_close(lock);
}

/* Another one's write of the same version gets between the scan and the link. */
static void
test_overtaken(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockRequest request;
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "";

	(void) state;
	assert_int_equal(put(lock, "lease", version, "{\"n\":1}"), FHA_OK);
	dir_write_hold();
	request = request_of(FHA_LOCK_SWAP, "lease", version, "{\"n\":2}");
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
	while (!dir_write_held())
		wait_a_moment();
	plant("lease.00000000000000000002", "{\"by\":2}");
	dir_write_release();
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.code, FHA_CONFLICT);
	assert_newest("lease", "{\"by\":2}");
	fha_lock_close(lock);
}

static void
test_replaced_at_once(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockEvent event;
	FhaLockRequest request;

	(void) state;
	/* Version 2 appears between the scan and the link of version 1: applied or not, not newest. */
	request = request_of(FHA_LOCK_CREATE, "lease", NULL, "{\"n\":1}");
	dir_write_hold();
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
	while (!dir_write_held())
		wait_a_moment();
	plant("lease.00000000000000000002", "{\"n\":2}");
	dir_write_release();
	assert_int_equal(next_event(lock, &event), FHA_OK);
	assert_int_equal(event.code, FHA_UNKNOWN);
	assert_newest("lease", "{\"n\":2}");
	fha_lock_close(lock);
}

static void
test_child_dies(void **state)
{
	FhaLock *lock;
	FhaLockRequest request;
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "";
	FhaLock *writer = open_lock(false);
	pid_t child;
	int fd;

	(void) state;
	assert_int_equal(put(writer, "kept", version, "{\"n\":1}"), FHA_OK);
	version[0] = '\0';
	assert_int_equal(put(writer, "lost", version, "{\"n\":1}"), FHA_OK);
	fha_lock_close(writer);
	end_children();

	lock = open_lock(true);
	fd = fha_lock_fd(lock);
	wait_told(lock, "lost");
	child = wait_for_child(getpid());
	/* What is sent to a whole process group does not end it. */
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(kill(child, SIGINT), 0);
	assert_int_equal(kill(child, SIGHUP), 0);
	assert_int_equal(kill(child, SIGQUIT), 0);
	assert_int_equal(call(lock, FHA_LOCK_GET, "kept", NULL, NULL, &event), FHA_OK);
	assert_int_equal(child_of(getpid()), child);

	/* Idle: started again, tells everything anew, and what is gone meanwhile. */
	assert_int_equal(kill(child, SIGKILL), 0);
	wait_gone(child);
	{
		char name[600];
		bool kept = false;
		bool lost = false;

		(void) snprintf(name, sizeof(name), "%s/lost.%020d", path, 1);
		assert_int_equal(unlink(name), 0);
		for (;;)
		{
			assert_int_equal(next_event(lock, &event), FHA_OK);
			if (event.kind == FHA_LOCK_SYNCED)
				break;
			if (strcmp(event.records[0].name, "kept") == 0)
				kept = event.records[0].version[0] != '\0';
			else
				lost = event.records[0].version[0] == '\0';
		}
		assert_true(kept);
		assert_true(lost);
	}

	/* In a read: the read is done again. */
	dir_lock_hang();
	child = child_of(getpid());
	request = request_of(FHA_LOCK_GET, "kept", NULL, NULL);
	assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
	assert_int_equal(kill(child, SIGKILL), 0);
	do
		assert_int_equal(next_event(lock, &event), FHA_OK);
	while (event.kind != FHA_LOCK_ANSWER);
	assert_int_equal(event.code, FHA_OK);

	/* In a write: nobody knows, at once. */
	atomic_store(&tricks->trick, TRICK_DIE);
	version[0] = '\0';
	assert_int_equal(put(lock, "new", version, "{\"n\":2}"), FHA_UNKNOWN);
	assert_newest("new", "{\"n\":2}");
	assert_int_equal(fd, fha_lock_fd(lock));
	fha_lock_close(lock);
}

/* A write whose deadline passed is over: its process cannot apply it later. */
static void
test_deadline_kills(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockRequest request = request_of(FHA_LOCK_CREATE, "a", NULL, "{\"n\":1}");
	FhaLockEvent event;
	pid_t child = wait_for_child(getpid());

	(void) state;
	dir_write_hold();
	request.deadline_at_ms = fha_now_ms() + SHORT_MS;
	assert_int_equal(fha_lock_call(lock, &request, &event), FHA_UNKNOWN);
	wait_gone(child);
	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_NOT_FOUND);
	fha_lock_close(lock);
}

/* What is written between the first scan and the first wait is told. */
static void
test_watch_after_scan(void **state)
{
	FhaLock *lock;

	(void) state;
	atomic_store(&tricks->trick, TRICK_LATE);
	lock = open_lock(true);
	wait_told(lock, "late");
	fha_lock_close(lock);
}

/* It holds nothing of ours, and ends when we do, even if it is stopped. */
static void
test_child_is_alone(void **state)
{
	int ready[2];
	int inherited = open("/dev/null", O_RDONLY);
	char name[64];
	char byte;
	pid_t owner;
	pid_t child;
	DIR *dir;
	struct dirent *entry;
	size_t count = 0;

	(void) state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	owner = fork();
	if (owner == 0)
	{
		FhaLock *lock = open_lock(true);

		wait_synced(lock);
		(void) !write(ready[1], "x", 1);
		for (;;)
			(void) pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	child = wait_for_child(owner);
	(void) snprintf(name, sizeof(name), "/proc/%d/fd", (int) child);
	dir = opendir(name);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	(void) closedir(dir);
	assert_int_equal(count, 6); /* 0, 1, 2, the socket, the directory, inotify */
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(kill(owner, SIGKILL), 0);
	assert_int_equal(waitpid(owner, NULL, 0), owner);
	wait_gone(child);
	(void) close(inherited);
	(void) close(ready[0]);
	(void) close(ready[1]);
}

/* Every disposition of SIGCHLD that a host may have. */
static void
test_sigchld(void **state)
{
	FhaLock *lock;
	char version[FHA_VERSION_SIZE] = "";
	pid_t child;

	(void) state;
	assert_true(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	lock = open_lock(false);
	child = wait_for_child(getpid());
	assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	assert_int_equal(kill(child, SIGKILL), 0);
	wait_gone(child);
	assert_int_equal(put(lock, "a", version, "{\"n\":2}"), FHA_OK);
	fha_lock_close(lock);
	end_children();
	assert_true(signal(SIGCHLD, SIG_DFL) != SIG_ERR);

	/* A subreaper that takes whatever ends. */
	lock = open_lock(false);
	child = wait_for_child(getpid());
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(put(lock, "a", version, "{\"n\":3}"), FHA_OK);
	fha_lock_close(lock);
	end_children();
}

static void
test_directory_replaced(void **state)
{
	FhaLock *lock = open_lock(true);
	FhaLockEvent event;
	FhaLockRequest request;
	bool gone = false;
	bool there = false;

	(void) state;
	plant("a.00000000000000000001", "{\"n\":1}");
	wait_told(lock, "a");
	dir_unmake();
	for (int i = 0; i < 2;)
	{
		if (!fha_lock_busy(lock))
		{
			request = request_of(i == 0 ? FHA_LOCK_GET : FHA_LOCK_CREATE, "a", NULL, "{}");
			assert_int_equal(fha_lock_start(lock, &request, NULL), FHA_OK);
		}
		assert_int_equal(next_event(lock, &event), FHA_OK);
		if (event.kind == FHA_LOCK_CHANGE)
			gone = gone || event.records[0].version[0] == '\0';
		if (event.kind != FHA_LOCK_ANSWER)
			continue;
		assert_int_equal(event.code, FHA_IO);
		i++;
	}
	assert_int_equal(mkdir(path, 0700), 0);
	plant("b.00000000000000000001", "{\"n\":2}");
	while (!gone || !there)
	{
		assert_int_equal(next_event(lock, &event), FHA_OK);
		if (event.kind != FHA_LOCK_CHANGE)
			continue;
		if (strcmp(event.records[0].name, "a") == 0)
			gone = event.records[0].version[0] == '\0';
		else
			there = event.records[0].version[0] != '\0';
	}
	fha_lock_close(lock);
}

static void
test_long_name(void **state)
{
	FhaLock *lock = open_lock(true);
	FhaLockRequest request;
	FhaLockEvent event;
	char name[FHA_DIR_NAME_SIZE + 1];
	char version[FHA_VERSION_SIZE] = "";

	(void) state;
	memset(name, 'a', sizeof(name));
	name[FHA_DIR_NAME_SIZE] = '\0';
	request = request_of(FHA_LOCK_CREATE, name, NULL, "{}");
	assert_refused(lock, &request);
	name[FHA_DIR_NAME_SIZE - 1] = '\0';
	assert_int_equal(put(lock, name, version, "{\"n\":1}"), FHA_OK);
	assert_newest(name, "{\"n\":1}");
	assert_int_equal(call(lock, FHA_LOCK_GET, name, NULL, NULL, &event), FHA_OK);
	fha_lock_close(lock);
}

static void
test_too_many_records(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockEvent event;

	(void) state;
	for (int i = 0; i < FHA_RECORD_COUNT_MAX; i++)
	{
		char file[64];

		(void) snprintf(file, sizeof(file), "r%d.%020d", i, 1);
		plant(file, "{}");
	}
	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &event), FHA_OK);
	assert_int_equal(event.count, FHA_RECORD_COUNT_MAX);
	plant("one-more.00000000000000000001", "{}");
	assert_int_equal(call(lock, FHA_LOCK_LIST, NULL, NULL, NULL, &event), FHA_PROTOCOL);
	fha_lock_close(lock);
}

/* A write that the system refuses is certain, and leaves the old version alone. */
static int
write_beyond_limit(int number)
{
	const struct rlimit limit = {.rlim_cur = 100, .rlim_max = 100};
	FhaLock *lock;
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "1";
	char data[200];

	(void) number;
	memset(data, 'x', sizeof(data));
	data[sizeof(data) - 1] = '\0';
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 1;
	lock = open_lock(false);
	if (call(lock, FHA_LOCK_SWAP, "a", version, data, &event) != FHA_IO)
		return 2;
	if (put(lock, "a", version, "{\"n\":2}") != FHA_OK)
		return 3;
	fha_lock_close(lock);
	return 0;
}

static void
test_file_too_large(void **state)
{
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE] = "";
	pid_t pid;

	(void) state;
	assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	start_processes(&pid, 1, write_beyond_limit);
	assert_processes_succeed(&pid, 1);
	assert_newest("a", "{\"n\":2}");
	assert_int_equal(count_files(".tmp."), 0);
	fha_lock_close(lock);
}

#define NOT_PERMITTED 77

static bool
write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");
	bool written = file != NULL && fputs(text, file) >= 0;

	return file != NULL && fclose(file) == 0 && written;
}

/* Namespaces of our own, in which an ordinary user may mount a small disk. */
static bool
enter_namespaces(void)
{
	char user[40];
	char group[40];

	(void) snprintf(user, sizeof(user), "%u %u 1", (unsigned) getuid(), (unsigned) getuid());
	(void) snprintf(group, sizeof(group), "%u %u 1", (unsigned) getgid(), (unsigned) getgid());
	if (getuid() == 0)
		return unshare(CLONE_NEWNS) == 0;
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && write_file("/proc/self/uid_map", user) &&
		   write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/gid_map", group);
}

static bool
may_mount(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter_namespaces() ? 0 : NOT_PERMITTED);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static int
fill_disk(int number)
{
	FhaLock *lock;
	FhaLockEvent event;
	char version[FHA_VERSION_SIZE] = "";
	static char large[100001];

	(void) number;
	if (!enter_namespaces() || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		mount("none", path, "tmpfs", 0, "size=64k,mode=700") != 0)
		return NOT_PERMITTED;
	memset(large, 'x', sizeof(large) - 1);
	lock = open_lock(false);
	if (put(lock, "a", version, "{\"n\":1}") != FHA_OK)
		return 1;
	if (call(lock, FHA_LOCK_SWAP, "a", version, large, &event) != FHA_IO ||
		strstr(event.error.text, "No space left") == NULL)
		return 2;
	if (put(lock, "a", version, "{\"n\":2}") != FHA_OK)
		return 3;
	if (call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event) != FHA_OK ||
		strcmp(event.records[0].data, "{\"n\":2}") != 0)
		return 4;
	if (count_files(".tmp.") != 0)
		return 5;
	fha_lock_close(lock);
	return 0;
}

static void
test_disk_full(void **state)
{
	int status;
	pid_t pid;

	(void) state;
	start_processes(&pid, 1, fill_disk);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
write_without_permission(int number)
{
	FhaLock *lock;
	FhaLockEvent event;

	(void) number;
	if (getuid() == 0 && setuid(65534) != 0)
		return 1;
	lock = open_lock(false);
	if (call(lock, FHA_LOCK_SWAP, "a", "1", "{}", &event) != FHA_DENIED)
		return 2;
	if (call(lock, FHA_LOCK_CREATE, "b", NULL, "{}", &event) != FHA_DENIED)
		return 3;
	fha_lock_close(lock);
	return 0;
}

static void
test_denied(void **state)
{
	pid_t pid;

	(void) state;
	plant("a.00000000000000000001", "{\"n\":1}");
	assert_int_equal(chmod(path, 0555), 0);
	start_processes(&pid, 1, write_without_permission);
	assert_processes_succeed(&pid, 1);
	assert_int_equal(chmod(path, 0700), 0);
	assert_newest("a", "{\"n\":1}");
}

/* An error of link(2) itself on a failing disk leaves the fate open. */
/* A command typed by root: what it writes belongs to the nodes' user, else no member could read it. */
static void
test_root_gives_away(void **state)
{
	char version[FHA_VERSION_SIZE] = "";
	FhaLock *lock;

	(void) state;
	tricks->root = true;
	lock = open_lock(false);
	for (int written = 1; written <= 2; written++)
	{
		assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
		assert_int_equal(tricks->given, getuid() == 0 ? 0 : written);
		assert_int_equal(tricks->given_to, getuid());
	}
	fha_lock_close(lock);
	tricks->root = false;
}

/* What a stray owner keeps from us is told with the owner, what a mode does with the mode. */
static void
test_file_of_another(void **state)
{
	FhaLock *lock;
	FhaLockEvent event;
	char file[sizeof(path) + 40];

	(void) state;
	if (getuid() == 0)
		return; /* who may read everything */
	plant("a.00000000000000000001", "{\"n\":1}");
	(void) snprintf(file, sizeof(file), "%s/a.00000000000000000001", path);
	assert_int_equal(chmod(file, 0), 0);
	lock = open_lock(false);
	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_DENIED);
	assert_non_null(strstr(event.error.text, "(mode 0000): chmod 600 it"));
	tricks->root = true; /* to us; the file is not root's */
	assert_int_equal(call(lock, FHA_LOCK_GET, "a", NULL, NULL, &event), FHA_DENIED);
	assert_non_null(strstr(event.error.text, "it belongs to user "));
	tricks->root = false;
	fha_lock_close(lock);
}

static void
test_open_to_everybody(void **state)
{
	FhaError err;
	FhaLock *lock;

	(void) state;
	assert_int_equal(chmod(path, 01777), 0);
	assert_int_equal(fha_lock_open(&lock, uri, NULL, false, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "chmod 700"));
	assert_int_equal(chmod(path, 0770), 0);
	assert_int_equal(fha_lock_open(&lock, uri, NULL, false, &err), FHA_OK);
	fha_lock_close(lock);
	assert_int_equal(chmod(path, 0700), 0);
}

static void
test_link_fails(void **state)
{
	FhaLock *lock = open_lock(false);
	FhaLockEvent event;

	(void) state;
	atomic_store(&tricks->trick, TRICK_REFUSE);
	assert_int_equal(call(lock, FHA_LOCK_CREATE, "a", NULL, "{}", &event), FHA_UNKNOWN);
	assert_int_equal(call(lock, FHA_LOCK_CREATE, "a", NULL, "{}", &event), FHA_OK);
	fha_lock_close(lock);
}

/* The n-th allocation of either side fails, for every n: nothing is lost or made up. */
static void
test_out_of_memory(void **state)
{
	bool exhausted = true;

	(void) state;
	plant("a.00000000000000000001", "{\"n\":1}");
	plant("b.00000000000000000001", "{\"n\":1}");
	for (long n = 0; exhausted; n++)
	{
		char uri_now[300];
		FhaLock *lock = NULL;
		FhaLockEvent event;
		FhaLockRequest request;
		FhaError err;
		char version[FHA_VERSION_SIZE] = "";
		char before[64];
		char after[64];
		FhaCode code;
		bool told = false;
		FhaLock *helper = open_lock(false);

		assert_true(n < 1000);
		assert_int_equal(get(helper, "a", version, before, sizeof(before)), FHA_OK);
		(void) snprintf(uri_now, sizeof(uri_now), "dir:%s", path);
		atomic_store(&tricks->allocations_left, n);
		code = fha_lock_open(&lock, uri_now, NULL, true, &err);
		if (code != FHA_OK)
		{
			atomic_store(&tricks->allocations_left, -1);
			assert_int_equal(code, FHA_NO_MEMORY);
			assert_null(lock);
			fha_lock_close(helper);
			continue;
		}
		for (bool a = false, b = false, synced = false; !synced || !a || !b;)
		{
			/* SYNCED promises that both were told. */
			assert_int_equal(next_event(lock, &event), FHA_OK);
			synced = event.kind == FHA_LOCK_SYNCED;
			assert_true(!synced || (a && b));
			a = a || (!synced && event.records[0].name[0] == 'a');
			b = b || (!synced && event.records[0].name[0] == 'b');
		}
		request = request_of(FHA_LOCK_LIST, NULL, NULL, NULL);
		code = fha_lock_call(lock, &request, &event);
		assert_true(code == FHA_OK || code == FHA_NO_MEMORY);
		if (code == FHA_OK)
			assert_int_equal(event.count, 2);
		(void) snprintf(after, sizeof(after), "{\"n\":\"%ld\"}", n);
		request = request_of(FHA_LOCK_SWAP, "a", version, after);
		code = fha_lock_call(lock, &request, &event);
		assert_true(code == FHA_OK || code == FHA_UNKNOWN || code == FHA_NO_MEMORY);
		exhausted = atomic_load(&tricks->allocations_left) < 0;
		atomic_store(&tricks->allocations_left, -1);
		if (code == FHA_OK)
			assert_int_equal(event.count, 1);
		if (code == FHA_NO_MEMORY)
			assert_newest("a", before);
		/* A change that found no memory is told again. */
		assert_int_equal(put(helper, "b", memcpy(version, "", 1), "{}"), FHA_CONFLICT);
		assert_int_equal(get(helper, "b", version, before, sizeof(before)), FHA_OK);
		assert_int_equal(put(helper, "b", version, "{\"n\":3}"), FHA_OK);
		while (!told)
		{
			assert_int_equal(next_event(lock, &event), FHA_OK);
			told = event.kind == FHA_LOCK_CHANGE && strcmp(event.records[0].name, "b") == 0 &&
				   strcmp(event.records[0].version, version) == 0;
		}
		fha_lock_close(lock);
		fha_lock_close(helper);
	}
}

static void
test_latency(void **state)
{
	FhaLock *lock = open_lock(false);
	char version[FHA_VERSION_SIZE] = "";
	struct timespec start;
	struct timespec end;
	const int count = 200;

	(void) state;
	assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	(void) clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < count; i++)
		assert_int_equal(put(lock, "a", version, "{\"n\":1}"), FHA_OK);
	(void) clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("# one swap: %ld us\n",
				  ((end.tv_sec - start.tv_sec) * 1000000 + (end.tv_nsec - start.tv_nsec) / 1000) /
					  count);
	fha_lock_close(lock);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		CONFORMANCE(test_basics, &directory), CONFORMANCE(test_large_records, &directory),
		CONFORMANCE(test_lost_update, &directory), CONFORMANCE(test_stale_version, &directory),
		CONFORMANCE(test_no_revert, &directory), CONFORMANCE(test_watch_order, &directory),
		CONFORMANCE(test_watch_misses_nothing, &directory),
		CONFORMANCE(test_watch_slow_reader, &directory),
		CONFORMANCE(test_watch_every_write, &directory),
		CONFORMANCE(test_writer_killed, &directory),
		CONFORMANCE(test_writer_stopped_in_swap, &directory),
		CONFORMANCE(test_writer_stopped_in_create, &directory), CONFORMANCE(test_race, &directory),
		CONFORMANCE(test_reply_lost, &directory), CONFORMANCE(test_hostile_requests, &directory),
		CONFORMANCE(test_hang, &directory), CONFORMANCE(test_uri, &directory),
		CONFORMANCE(test_network_filesystems, &directory), CONFORMANCE(test_file_names, &directory),
		CONFORMANCE(test_foreign_files, &directory), CONFORMANCE(test_damaged_files, &directory),
		CONFORMANCE(test_pruning, &directory), CONFORMANCE(test_pruning_ascends, &directory),
		CONFORMANCE(test_predecessor_gone, &directory), CONFORMANCE(test_overtaken, &directory),
		CONFORMANCE(test_replaced_at_once, &directory), CONFORMANCE(test_child_dies, &directory),
		CONFORMANCE(test_deadline_kills, &directory),
		CONFORMANCE(test_watch_after_scan, &directory),
		CONFORMANCE(test_child_is_alone, &directory), CONFORMANCE(test_sigchld, &directory),
		CONFORMANCE(test_directory_replaced, &directory), CONFORMANCE(test_long_name, &directory),
		CONFORMANCE(test_too_many_records, &directory),
		CONFORMANCE(test_file_too_large, &directory), CONFORMANCE(test_denied, &directory),
		CONFORMANCE(test_root_gives_away, &directory),
		CONFORMANCE(test_a_directory_that_is_not_there_yet, &directory),
		CONFORMANCE(test_file_of_another, &directory),
		CONFORMANCE(test_open_to_everybody, &directory), CONFORMANCE(test_link_fails, &directory),
		CONFORMANCE(test_out_of_memory, &directory), CONFORMANCE(test_latency, &directory),
		/* the last one: see below */
		CONFORMANCE(test_disk_full, &directory)};
	size_t count = sizeof(tests) / sizeof(tests[0]);

	tricks = mmap(NULL, sizeof(*tricks), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tricks == MAP_FAILED)
		return 1;
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (!may_mount())
	{
		/* In a chroot the kernel has no namespaces for anybody but root. */
		(void) fprintf(stderr, "# no namespaces here: test_disk_full is left out; "
							   "test_file_too_large meets the same code\n");
		count--;
	}
	return _cmocka_run_group_tests("lock", tests, count, NULL, NULL);
}
