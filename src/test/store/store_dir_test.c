/*
 * store_dir_test.c: the suite on a directory, and what a directory alone can meet.
 *
 * The linker puts itself before the calls to the kernel: nothing is flushed in truth, and a test says which call fails.
 */
#include "store/dir/uploads.h"
#include "test/store/conformance.c"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

/* --- the kernel's answers */

typedef struct Kernel
{
	pthread_mutex_t lock;
	pthread_cond_t released;
	bool hangs;
	bool cuts; /* pread, once */
	uint64_t left;
	bool loses; /* the flush behind the next link or rename fails */
	bool published;
	int pwrite_errno, linkat_errno, renameat2_errno; /* 0: as it is */
	int fsync_errno, folder_errno;
	bool link_is_made; /* though linkat says EEXIST */
	bool shorn;        /* each pwrite takes half */
	bool no_thread;
	bool is_root, owner_fails;
	bool pwrite_hangs;
	unsigned pwrites;
	unsigned owned;
	char log[256]; /* F: a file flushed, D: a folder, L: a link, R: a rename */
} Kernel;

static Kernel kernel = {.lock = PTHREAD_MUTEX_INITIALIZER, .released = PTHREAD_COND_INITIALIZER};

static void
kernel_note(char what)
{
	size_t length = strlen(kernel.log);

	if (length + 1 < sizeof(kernel.log))
		kernel.log[length] = what;
}

static void
kernel_lock(void)
{
	(void) pthread_mutex_lock(&kernel.lock);
}

static void
kernel_unlock(void)
{
	(void) pthread_mutex_unlock(&kernel.lock);
}

static int
kernel_fails(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

int __wrap_fsync(int fd);
int
__wrap_fsync(int fd)
{
	struct stat status;
	bool is_folder = fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
	int result;

	kernel_lock();
	kernel_note(is_folder ? 'D' : 'F');
	result = kernel_fails(kernel.loses && kernel.published        ? EIO
						  : is_folder && kernel.folder_errno != 0 ? kernel.folder_errno
																  : kernel.fsync_errno);
	if (kernel.published)
		kernel.loses = kernel.published = false;
	kernel_unlock();
	return result;
}

ssize_t __real_pread(int fd, void *out, size_t size, off_t at);
ssize_t __wrap_pread(int fd, void *out, size_t size, off_t at);
ssize_t
__wrap_pread(int fd, void *out, size_t size, off_t at)
{
	bool fails = false;

	kernel_lock();
	if (kernel.cuts)
	{
		fails = kernel.left == 0;
		kernel.cuts = !fails;
		if (size > kernel.left && !fails)
			size = (size_t) kernel.left;
		kernel.left -= fails ? 0 : size;
	}
	kernel_unlock();
	return fails ? kernel_fails(EIO) : __real_pread(fd, out, size, at);
}

ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t at);
ssize_t
__wrap_pwrite(int fd, const void *data, size_t size, off_t at)
{
	int error;

	kernel_lock();
	kernel.pwrites++;
	while (kernel.pwrite_hangs)
		(void) pthread_cond_wait(&kernel.released, &kernel.lock);
	error = kernel.pwrite_errno;
	if (error == EINTR)
		kernel.pwrite_errno = 0;
	if (kernel.shorn && size > 1)
		size /= 2;
	kernel_unlock();
	return error != 0 ? kernel_fails(error) : __real_pwrite(fd, data, size, at);
}

int __real_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int __wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags);
int
__wrap_linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	int error;
	int result;

	kernel_lock();
	error = kernel.linkat_errno;
	kernel_note('L');
	result = error != 0 ? kernel_fails(error) : __real_linkat(from_fd, from, to_fd, to, flags);
	if (result == 0 && kernel.loses)
		kernel.published = true;
	if (kernel.link_is_made)
		result = kernel_fails(EEXIST);
	kernel_unlock();
	return result;
}

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int
__wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	int result;

	kernel_lock();
	kernel_note('R');
	result = __real_renameat(from_fd, from, to_fd, to);
	if (result == 0 && kernel.loses)
		kernel.published = true;
	kernel_unlock();
	return result;
}

int __real_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int __wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int
__wrap_renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	int error;

	kernel_lock();
	error = kernel.renameat2_errno;
	kernel_unlock();
	return error != 0 ? kernel_fails(error) : __real_renameat2(from_fd, from, to_fd, to, flags);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int
__wrap_open(const char *path, int flags, ...)
{
	kernel_lock();
	while (kernel.hangs)
		(void) pthread_cond_wait(&kernel.released, &kernel.lock);
	kernel_unlock();
	return __real_open(path, flags);
}

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t
__wrap_geteuid(void)
{
	bool is_root;

	kernel_lock();
	is_root = kernel.is_root;
	kernel_unlock();
	return is_root ? 0 : __real_geteuid();
}

int __wrap_fchown(int fd, uid_t user, gid_t group);
int
__wrap_fchown(int fd, uid_t user, gid_t group)
{
	bool fails;

	(void) fd;
	(void) group;
	kernel_lock();
	kernel.owned++;
	fails = kernel.owner_fails || user != __real_geteuid();
	kernel_unlock();
	return fails ? kernel_fails(EPERM) : 0;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
						  void *(*function)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
						  void *(*function)(void *), void *argument);
int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
					  void *(*function)(void *), void *argument)
{
	return kernel.no_thread ? EAGAIN
							: __real_pthread_create(thread, attributes, function, argument);
}

/* --- the fixture */

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void) status;
	(void) kind;
	(void) where;
	return remove(path);
}

static void
dir_make_in(const char *place)
{
	(void) snprintf(root, sizeof(root), "%s/fha-store-XXXXXX", place);
	if (mkdtemp(root) == NULL)
		abort();
}

/* Thousands of files take their time on a disk. */
static void
dir_make(void)
{
	dir_make_in(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
}

static void
dir_unmake(void)
{
	if (nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		abort();
}

static FhaStore *
dir_open(void)
{
	FhaStoreSettings settings = {0};
	FhaStore *store;
	char url[80];

	(void) snprintf(url, sizeof(url), "dir:%s", root);
	if (fha_store_url_parse(&settings, url, NULL) != FHA_OK ||
		fha_store_open(&store, &settings, NULL) != FHA_OK)
		abort();
	return store;
}

static void
dir_cut_body(uint64_t after)
{
	kernel_lock();
	kernel.cuts = true;
	kernel.left = after;
	kernel_unlock();
}

static void
dir_lose_answer(void)
{
	kernel_lock();
	kernel.loses = true;
	kernel_unlock();
}

static void
dir_hang(void)
{
	kernel_lock();
	kernel.hangs = true;
	kernel_unlock();
}

static void
dir_release(void)
{
	kernel_lock();
	kernel.hangs = kernel.pwrite_hangs = false;
	(void) pthread_cond_broadcast(&kernel.released);
	kernel_unlock();
}

static const StoreFixture dir_fixture = {
	.make = dir_make,
	.unmake = dir_unmake,
	.open = dir_open,
	.page_objects = FHA_STORE_LIST_MAX + 5,
	.cut_body = dir_cut_body,
	.lose_answer = dir_lose_answer,
	.hang = dir_hang,
	.release = dir_release,
};

/* --- what a directory alone can meet */

static StoreSuite own;

static int
setup_in(const char *place)
{
	make_big();
	if (place == NULL)
		dir_make();
	else
		dir_make_in(place);
	own = (StoreSuite){.fixture = &dir_fixture, .store = dir_open()};
	return 0;
}

static int
setup(void **state)
{
	(void) state;
	return setup_in(NULL);
}

/* Older kernels do not tell when a folder of a tmpfs was born. */
static int
setup_on_disk(void **state)
{
	(void) state;
	return setup_in("/tmp");
}

static int
teardown(void **state)
{
	(void) state;
	fha_store_close(own.store);
	dir_unmake();
	kernel_lock();
	kernel.pwrite_errno = kernel.linkat_errno = kernel.renameat2_errno = 0;
	kernel.fsync_errno = kernel.folder_errno = 0;
	kernel.link_is_made = kernel.shorn = kernel.no_thread = false;
	kernel.is_root = kernel.owner_fails = false;
	kernel_unlock();
	return 0;
}

static const char *
path_of(const char *name)
{
	static char path[2048];

	(void) snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static void
make_file(const char *name)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	(void) fclose(file);
}

/* Names in a folder of the root, without "." and "..". */
static unsigned
names_in(const char *folder)
{
	DIR *open_folder = opendir(path_of(folder));
	unsigned count = 0;

	assert_non_null(open_folder);
	while (readdir(open_folder) != NULL)
		count++;
	(void) closedir(open_folder);
	return count - 2;
}

static void
assert_holds(const char *key, const char *text)
{
	if (!has_text(&own, key, text))
		fail_msg("%s", own.complaint);
}

static FhaCode
create(const char *key, const char *text)
{
	return put(&own, key, text, strlen(text), true);
}

static FhaCode
soon(FhaStoreRequest request)
{
	request.deadline_at_ms = fha_now_ms() + HANG_MS;
	return fha_store_call(own.store, &request, &answer);
}

static void
test_durable(void **state)
{
	(void) state;
	memset(kernel.log, 0, sizeof(kernel.log));
	/* The file, the new folder's name, and then the object's. */
	assert_int_equal(create("f/a", "x"), FHA_OK);
	assert_string_equal(kernel.log, "FDLD");
	memset(kernel.log, 0, sizeof(kernel.log));
	assert_int_equal(create("f/b", "x"), FHA_OK);
	assert_string_equal(kernel.log, "FLD");
	memset(kernel.log, 0, sizeof(kernel.log));
	assert_int_equal(put_text(&own, "f/b", "y"), FHA_OK);
	assert_string_equal(kernel.log, "FRD");
	memset(kernel.log, 0, sizeof(kernel.log));
	/* What is in the way counts as safe for the caller. */
	assert_int_equal(create("f/b", "x"), FHA_CONFLICT);
	assert_string_equal(kernel.log, "FLD");
	memset(kernel.log, 0, sizeof(kernel.log));
	assert_int_equal(delete_key(&own, "f/b"), FHA_OK);
	assert_string_equal(kernel.log, "D");
	/* Another handle does not know whether the folder's name was flushed. */
	fha_store_close(own.store);
	own.store = dir_open();
	memset(kernel.log, 0, sizeof(kernel.log));
	assert_int_equal(create("f/c", "x"), FHA_OK);
	assert_string_equal(kernel.log, "FDLD");
}

static void
test_full(void **state)
{
	static const int errors[] = {ENOSPC, EDQUOT, EFBIG};
	Parts parts;

	(void) state;
	assert_int_equal(begin(&own, "p", &parts), FHA_OK);
	for (size_t i = 0; i < 3; i++)
	{
		kernel.pwrite_errno = errors[i];
		assert_int_equal(create("a", "x"), FHA_FULL);
		assert_int_equal(answer.tries, 1);
		assert_int_equal(put_part(&own, "p", &parts, 1, "x", 1), FHA_FULL);
		kernel.pwrite_errno = 0;
	}
	/* A disk may tell so only when it is flushed. */
	kernel.fsync_errno = ENOSPC;
	assert_int_equal(create("a", "x"), FHA_FULL);
	kernel.fsync_errno = 0;
	assert_int_equal(stat_key(&own, "a"), FHA_NOT_FOUND);
	assert_int_equal(names_in(FHA_STORE_HIDDEN), 1);
	assert_int_equal(create("a", "x"), FHA_OK);
	assert_int_equal(put_part(&own, "p", &parts, 1, "x", 1), FHA_OK);
}

static void
test_failing_disk(void **state)
{
	(void) state;
	kernel.pwrite_errno = EIO;
	assert_int_equal(
		soon((FhaStoreRequest){.verb = FHA_STORE_PUT, .key = "a", .data = "x", .size = 1}), FHA_IO);
	kernel.pwrite_errno = EROFS;
	assert_int_equal(create("a", "x"), FHA_DENIED);
	kernel.pwrite_errno = EINTR;
	kernel.shorn = true;
	assert_int_equal(create("a", "shorn"), FHA_OK);
	assert_holds("a", "shorn");
	kernel.linkat_errno = ENAMETOOLONG;
	assert_int_equal(create("b", "x"), FHA_INVALID);
	kernel.linkat_errno = ENOMEM;
	assert_int_equal(
		soon((FhaStoreRequest){
			.verb = FHA_STORE_PUT, .key = "b", .data = "x", .size = 1, .if_absent = true}),
		FHA_NO_MEMORY);
	/* A folder that is removed again and again. */
	kernel.linkat_errno = ENOENT;
	assert_int_equal(
		soon((FhaStoreRequest){
			.verb = FHA_STORE_PUT, .key = "b", .data = "x", .size = 1, .if_absent = true}),
		FHA_TIMEOUT);
	kernel.linkat_errno = 0;
	/* A filesystem on a network may not be able to flush a folder. */
	kernel.folder_errno = EINVAL;
	assert_int_equal(create("f/g/b", "x"), FHA_OK);
	kernel.folder_errno = EIO;
	assert_int_equal(
		soon((FhaStoreRequest){.verb = FHA_STORE_PUT, .key = "c", .data = "x", .size = 1}),
		FHA_UNKNOWN);
	assert_int_equal(names_in(FHA_STORE_HIDDEN), 0);
}

static void
test_no_hard_links(void **state)
{
	(void) state;
	kernel.linkat_errno = EPERM;
	assert_int_equal(create("f/a", "mine"), FHA_OK);
	assert_int_equal(create("f/a", "yours"), FHA_CONFLICT);
	assert_holds("f/a", "mine");
	/* A filesystem that can do neither has no safe create. */
	kernel.renameat2_errno = EINVAL;
	assert_int_equal(
		soon((FhaStoreRequest){
			.verb = FHA_STORE_PUT, .key = "f/b", .data = "x", .size = 1, .if_absent = true}),
		FHA_IO);
	assert_int_equal(stat_key(&own, "f/b"), FHA_NOT_FOUND);
}

/* Over NFS, a link that was made can be answered as one that was there before. */
static void
test_link_was_made(void **state)
{
	(void) state;
	kernel.link_is_made = true;
	assert_int_equal(create("a", "mine"), FHA_OK);
	assert_holds("a", "mine");
	assert_int_equal(create("a", "yours"), FHA_CONFLICT);
}

static void
test_links_are_not_followed(void **state)
{
	char outside[] = "/tmp/fha-outside-XXXXXX";
	char file[64];
	Taken taken = {0};

	(void) state;
	assert_non_null(mkdtemp(outside));
	(void) snprintf(file, sizeof(file), "%s/a", outside);
	assert_int_equal(symlink(outside, path_of("folder")), 0);
	assert_int_equal(symlink(file, path_of("file")), 0);
	assert_int_equal(create("folder/a", "x"), FHA_INVALID);
	assert_int_equal(create("file", "x"), FHA_INVALID);
	assert_int_equal(get(&own, "folder/a", 0, 0, &taken), FHA_NOT_FOUND);
	assert_int_equal(get(&own, "file", 0, 0, &taken), FHA_NOT_FOUND);
	assert_true(lists(&own, "", NULL, 0));
	assert_int_equal(delete_key(&own, "folder/a"), FHA_OK);
	assert_int_equal(put_text(&own, "file", "file"), FHA_OK);
	assert_holds("file", "file");
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(rmdir(outside), 0);
}

static void
test_places_that_are_not_for_objects(void **state)
{
	const char *keys[] = {"a"};

	(void) state;
	assert_int_equal(mkdir(path_of("lost+found"), 0700), 0);
	assert_int_equal(mkdir(path_of("empty"), 0700), 0);
	assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
	assert_int_equal(create("a", "a"), FHA_OK);
	assert_true(lists(&own, "", keys, 1));
	assert_true(lists(&own, "lost", NULL, 0));
	assert_true(lists(&own, FHA_STORE_HIDDEN "/", NULL, 0));
	assert_true(shows(&own, "", keys, 1));
	assert_int_equal(create("lost+found/a", "x"), FHA_INVALID);
	assert_int_equal(create("lost+found2", "x"), FHA_OK);
	assert_int_equal(stat_key(&own, "pipe"), FHA_NOT_FOUND);
	assert_int_equal(create("pipe", "x"), FHA_INVALID);
	assert_int_equal(create("empty", "x"), FHA_INVALID);
	assert_int_equal(put_text(&own, "empty", "x"), FHA_INVALID);
	assert_int_equal(delete_key(&own, "empty"), FHA_OK);
	assert_int_equal(delete_key(&own, "a//b"), FHA_OK);
	assert_int_equal(create("a/b", "x"), FHA_INVALID);
}

static void
test_deep_and_long_keys(void **state)
{
	char deep[3 * FHA_STORE_DEPTH_MAX];
	char name[300];
	size_t length = 2 * FHA_STORE_DEPTH_MAX;

	(void) state;
	for (size_t i = 0; i < length; i += 2)
		memcpy(deep + i, "d/", 2);
	(void) snprintf(deep + length, sizeof(deep) - length, "x");
	assert_int_equal(create(deep, "x"), FHA_OK);
	assert_holds(deep, "x");
	assert_true(call(&own, (FhaStoreRequest){.verb = FHA_STORE_LIST}) == FHA_OK &&
				answer.object_count == 1);
	assert_string_equal(answer.objects[0].key, deep);
	assert_int_equal(delete_key(&own, deep), FHA_OK);
	assert_int_equal(access(path_of("d"), F_OK), -1);
	(void) snprintf(deep + length, sizeof(deep) - length, "d/x");
	assert_int_equal(create(deep, "x"), FHA_INVALID);
	/* Nor is it listed if another hand puts it there. */
	for (size_t i = 1; i < strlen(deep); i += 2)
	{
		deep[i] = '\0';
		assert_int_equal(mkdir(path_of(deep), 0700), 0);
		deep[i] = '/';
	}
	make_file(deep);
	assert_true(lists(&own, "", NULL, 0));
	assert_true(shows(&own, "", NULL, 0));
	assert_true(shows(&own, "d/", NULL, 0));
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_int_equal(create(name, "x"), FHA_INVALID);
	name[255] = '\0';
	assert_int_equal(create(name, "x"), FHA_OK);
	assert_holds(name, "x");
}

static void
test_root_is_not_there(void **state)
{
	FhaStoreSettings settings = {.kind = FHA_STORE_DIR, .path = "relative"};
	FhaStoreRequest request = {.verb = FHA_STORE_STAT, .key = "a"};
	FhaStore *other;
	char away[80];

	(void) state;
	(void) snprintf(away, sizeof(away), "%s.away", root);
	assert_int_equal(rename(root, away), 0);
	assert_int_equal(soon(request), FHA_IO);
	assert_non_null(strstr(answer.error.text, "is not there: mount it"));
	assert_int_equal(rename(away, root), 0);
	assert_int_equal(soon(request), FHA_NOT_FOUND);
	assert_int_equal(fha_store_open(&other, &settings, NULL), FHA_INVALID);
}

static void
test_closed_to_others(void **state)
{
	struct stat status;

	(void) state;
	(void) umask(0);
	assert_int_equal(create("f/a", "x"), FHA_OK);
	(void) umask(022);
	assert_int_equal(stat(path_of("f"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_int_equal(stat(path_of("f/a"), &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(chmod(root, 0777), 0);
	assert_int_equal(stat_key(&own, "f/a"), FHA_INVALID);
	assert_non_null(strstr(answer.error.text, "chmod 700"));
	assert_int_equal(chmod(root, 0700), 0);
}

/* What root writes is read by the server. */
static void
test_owner(void **state)
{
	Parts parts;

	(void) state;
	kernel.is_root = true;
	kernel.owned = 0;
	assert_int_equal(create("f/a", "x"), FHA_OK);
	/* The hidden folder, the file, and its folder. */
	assert_int_equal(kernel.owned, 3);
	assert_int_equal(begin(&own, "b", &parts), FHA_OK);
	assert_int_equal(put_part(&own, "b", &parts, 1, "x", 1), FHA_OK);
	assert_int_equal(kernel.owned, 7);
	kernel.owner_fails = true;
	assert_int_not_equal(
		soon((FhaStoreRequest){.verb = FHA_STORE_PUT, .key = "c", .data = "x", .size = 1}), FHA_OK);
	assert_int_not_equal(
		soon((FhaStoreRequest){.verb = FHA_STORE_BEGIN, .key = "c", .part_size = PART}), FHA_OK);
	assert_int_equal(stat_key(&own, "c"), FHA_NOT_FOUND);
}

static void
test_no_thread(void **state)
{
	(void) state;
	kernel.no_thread = true;
	assert_int_equal(soon((FhaStoreRequest){.verb = FHA_STORE_STAT, .key = "a"}), FHA_IO);
	assert_non_null(strstr(answer.error.text, "no thread"));
	kernel.no_thread = false;
	assert_int_equal(stat_key(&own, "a"), FHA_NOT_FOUND);
}

/* More calls than threads hang; what was not begun was certainly not applied. */
static void
test_more_than_the_threads_hang(void **state)
{
	FhaStoreRequest request = {.verb = FHA_STORE_PUT, .key = "a", .data = "x", .size = 1};
	unsigned unknown = 0;
	unsigned timeout = 0;

	(void) state;
	dir_hang();
	request.deadline_at_ms = fha_now_ms() + HANG_MS;
	for (int i = 0; i < 12; i++)
		assert_int_equal(fha_store_start(own.store, &request, NULL, NULL), FHA_OK);
	while (unknown + timeout < 12)
	{
		if (fha_store_step(own.store, &answer) == FHA_AGAIN)
			await_store(own.store);
		else if (answer.code == FHA_UNKNOWN)
			unknown++;
		else if (answer.code == FHA_TIMEOUT)
			timeout++;
		else
			fail();
	}
	assert_int_equal(unknown, 8);
	/* What hangs outlives the store. */
	fha_store_close(own.store);
	dir_release();
	own.store = dir_open();
	assert_true(is_whole_or_absent(&own, "a", "x", 1));
}

static void
test_late_writer_of_a_part(void **state)
{
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
	FhaStoreRequest request = {.verb = FHA_STORE_PART,
							   .key = "a",
							   .number = 1,
							   .part_size = PART,
							   .data = "new",
							   .size = 3};
	char name[FHA_STORE_UPLOAD_SIZE + 32];
	Parts parts;
	int fd;

	(void) state;
	assert_int_equal(begin(&own, "a", &parts), FHA_OK);
	assert_int_equal(put_part(&own, "a", &parts, 1, "old", 3), FHA_OK);
	(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%s/data", parts.upload);
	fd = __real_open(path_of(name), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &range), 0);
	request.upload = parts.upload;
	assert_int_equal(soon(request), FHA_TIMEOUT);
	assert_non_null(strstr(answer.error.text, "has not ended yet"));
	assert_int_equal(soon((FhaStoreRequest){.verb = FHA_STORE_COMPLETE,
											.key = "a",
											.upload = parts.upload,
											.parts = parts.rows,
											.part_count = 1}),
					 FHA_TIMEOUT);
	(void) close(fd);
	assert_int_equal(put_part(&own, "a", &parts, 1, "new", 3), FHA_OK);
	assert_int_equal(of_upload(&own, FHA_STORE_COMPLETE, "a", &parts, 1, true), FHA_OK);
	assert_holds("a", "new");
}

/* A process that died between the object and the end of its upload. */
static void
test_completed_and_not_cleaned(void **state)
{
	char name[FHA_STORE_UPLOAD_SIZE + 32];
	char data[2048];
	Parts parts;

	(void) state;
	assert_int_equal(begin(&own, "a", &parts), FHA_OK);
	assert_int_equal(put_part(&own, "a", &parts, 1, "whole", 5), FHA_OK);
	(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%s/data", parts.upload);
	(void) snprintf(data, sizeof(data), "%s", path_of(name));
	assert_int_equal(link(data, path_of("a")), 0);
	assert_int_equal(put_part(&own, "a", &parts, 1, "other", 5), FHA_NOT_FOUND);
	assert_holds("a", "whole");
	assert_int_equal(of_upload(&own, FHA_STORE_COMPLETE, "a", &parts, 1, true), FHA_OK);
	assert_holds("a", "whole");
	assert_int_equal(names_in(FHA_STORE_HIDDEN), 0);
}

static void
test_strange_uploads(void **state)
{
	static const char *const names[] = {"../../etc", "0123456789abcdeg", "0123456789abcdef0", "x"};
	FhaStoreRequest request = {
		.verb = FHA_STORE_PART, .key = "a", .number = 1, .data = "x", .size = 1};
	Parts parts = {0};

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		(void) snprintf(parts.upload, sizeof(parts.upload), "%s", names[i]);
		assert_int_equal(put_part(&own, "a", &parts, 1, "x", 1), FHA_NOT_FOUND);
		assert_int_equal(of_upload(&own, FHA_STORE_ABORT, "a", &parts, 0, false), FHA_OK);
	}
	assert_int_equal(begin(&own, "a", &parts), FHA_OK);
	assert_int_equal(put_part(&own, "b", &parts, 1, "x", 1), FHA_NOT_FOUND);
	request.upload = parts.upload;
	request.part_size = PART + 1;
	assert_int_equal(call(&own, request), FHA_INVALID);
	assert_int_equal(put_part(&own, "a", &parts, 1, big, PART), FHA_OK);
	assert_int_equal(put_part(&own, "a", &parts, 2, big, PART), FHA_OK);
}

static void
make_old(const char *name)
{
	const struct timespec long_ago[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	assert_int_equal(utimensat(AT_FDCWD, path_of(name), long_ago, 0), 0);
}

static void
test_sweep(void **state)
{
	Parts parts;
	char name[FHA_STORE_UPLOAD_SIZE + 32];

	(void) state;
	assert_int_equal(mkdir(path_of(FHA_STORE_HIDDEN), 0700), 0);
	make_file(FHA_STORE_HIDDEN "/put.0000000000000000");
	make_file(FHA_STORE_HIDDEN "/put.0000000000000001");
	make_file(FHA_STORE_HIDDEN "/of-another-hand");
	assert_int_equal(mkdir(path_of(FHA_STORE_HIDDEN "/0000000000000002"), 0700), 0);
	make_file(FHA_STORE_HIDDEN "/0000000000000002/data");
	make_old(FHA_STORE_HIDDEN "/put.0000000000000000");
	make_old(FHA_STORE_HIDDEN "/of-another-hand");
	make_old(FHA_STORE_HIDDEN "/0000000000000002");
	/* One that goes on is left, however old it is. */
	assert_int_equal(begin(&own, "a", &parts), FHA_OK);
	(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%s", parts.upload);
	make_old(name);
	fha_store_close(own.store);
	own.store = dir_open();
	assert_int_equal(create("a", "x"), FHA_OK);
	fha_store_close(own.store);
	own.store = dir_open();
	assert_int_equal(names_in(FHA_STORE_HIDDEN), 3);
	assert_int_equal(access(path_of(name), F_OK), 0);
}

/* More names in one folder than a page has. */
static void
test_a_flat_folder(void **state)
{
	const unsigned count = 2 * FHA_STORE_LIST_MAX + 7;
	char name[32];

	(void) state;
	assert_int_equal(mkdir(path_of("flat"), 0700), 0);
	for (unsigned i = 0; i < count; i++)
	{
		(void) snprintf(name, sizeof(name), "flat/%05u", i * 7919 % count);
		make_file(name);
	}
	assert_true(pages_are_whole(&own, "flat/", count));
	assert_true(pages_are_whole(&own, "", count));
	/* A folder of folders without an object shows nothing, however many these are. */
	assert_int_equal(mkdir(path_of("a"), 0700), 0);
	for (unsigned i = 0; i < FHA_STORE_LIST_MAX + 5; i++)
	{
		(void) snprintf(name, sizeof(name), "a/%05u", i);
		assert_int_equal(mkdir(path_of(name), 0700), 0);
	}
	make_file("a/99999");
	assert_true(pages_are_whole(&own, "a/", 1));
	assert_true(pages_are_whole(&own, "", count + 1));
}

static void
test_pages_of_parts(void **state)
{
	char name[FHA_STORE_UPLOAD_SIZE + 64];
	char next[FHA_STORE_PAGE_SIZE];
	FhaStoreRequest request = {.verb = FHA_STORE_PARTS, .key = "a"};
	Parts parts;

	(void) state;
	assert_int_equal(begin(&own, "a", &parts), FHA_OK);
	for (unsigned i = 1; i <= FHA_STORE_LIST_MAX + 3; i++)
	{
		(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%s/%05u.5242880.%016x", parts.upload,
						i, i);
		make_file(name);
	}
	(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%s/00001.x", parts.upload);
	make_file(name);
	request.upload = parts.upload;
	assert_int_equal(call(&own, request), FHA_OK);
	assert_int_equal(answer.part_count, FHA_STORE_LIST_MAX);
	assert_non_null(answer.next);
	(void) snprintf(next, sizeof(next), "%s", answer.next);
	request.page = next;
	assert_int_equal(call(&own, request), FHA_OK);
	assert_int_equal(answer.part_count, 3);
	assert_int_equal(answer.parts[0].number, FHA_STORE_LIST_MAX + 1);
	assert_null(answer.next);
}

static void
test_pages_of_uploads(void **state)
{
	char name[80];
	char next[FHA_STORE_PAGE_SIZE];
	FhaStoreRequest request = {.verb = FHA_STORE_UPLOADS};
	FILE *file;

	(void) state;
	assert_int_equal(mkdir(path_of(FHA_STORE_HIDDEN), 0700), 0);
	for (unsigned i = 1; i <= FHA_STORE_LIST_MAX + 3; i++)
	{
		(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%016x", i);
		assert_int_equal(mkdir(path_of(name), 0700), 0);
		(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%016x/key", i);
		file = fopen(path_of(name), "w");
		assert_non_null(file);
		/* One is nothing that we have written. */
		(void) fputs(i == 2 ? "5242880" : "5242880\na", file);
		(void) fclose(file);
	}
	assert_int_equal(call(&own, request), FHA_OK);
	assert_int_equal(answer.object_count, FHA_STORE_LIST_MAX);
	(void) snprintf(next, sizeof(next), "%s", answer.next);
	request.page = next;
	assert_int_equal(call(&own, request), FHA_OK);
	assert_int_equal(answer.object_count, 2);
	assert_null(answer.next);
}

static void
test_parts_of_another_size(void **state)
{
	FhaStoreRequest request = {.verb = FHA_STORE_BEGIN, .key = "a", .part_size = PART + 1};
	char name[FHA_STORE_UPLOAD_SIZE + 32];
	Parts parts = {0};

	(void) state;
	assert_int_equal(call(&own, request), FHA_OK);
	(void) snprintf(parts.upload, sizeof(parts.upload), "%s", answer.upload);
	for (unsigned i = 1; i <= 2; i++)
	{
		request = (FhaStoreRequest){.verb = FHA_STORE_PART,
									.key = "a",
									.upload = parts.upload,
									.number = i,
									.part_size = PART + 1,
									.data = big,
									.size = PART};
		assert_int_equal(call(&own, request), FHA_OK);
		parts.rows[i - 1] = (FhaStorePart){.number = i, .size = PART};
		(void) snprintf(parts.rows[i - 1].tag, FHA_STORE_TAG_SIZE, "%s", answer.tag);
	}
	assert_int_equal(of_upload(&own, FHA_STORE_COMPLETE, "a", &parts, 2, true), FHA_INVALID);
	/* An upload without its data. */
	(void) snprintf(name, sizeof(name), FHA_STORE_HIDDEN "/%s/data", parts.upload);
	assert_int_equal(unlink(path_of(name)), 0);
	assert_int_equal(call(&own, request), FHA_NOT_FOUND);
	assert_int_equal(of_upload(&own, FHA_STORE_COMPLETE, "a", &parts, 1, true), FHA_NOT_FOUND);
	assert_int_equal(of_upload(&own, FHA_STORE_ABORT, "a", &parts, 0, false), FHA_OK);
}

/* A write that is cancelled in the middle is never finished. */
static void
assert_given_up(FhaStoreRequest request)
{
	FhaStoreCall *started;
	char *copy = malloc(PART);
	unsigned before = kernel.pwrites;

	assert_non_null(copy);
	memcpy(copy, big, PART);
	request.data = copy;
	request.size = PART;
	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	kernel.pwrite_hangs = true;
	assert_int_equal(fha_store_start(own.store, &request, &started, NULL), FHA_OK);
	assert_int_equal(fha_store_step(own.store, &answer), FHA_AGAIN);
	for (bool reached = false; !reached;)
	{
		kernel_lock();
		reached = kernel.pwrites > before;
		kernel_unlock();
		await(-1, fha_now_ms() + 1);
	}
	fha_store_cancel(own.store, started);
	free(copy);
	dir_release();
	fha_store_close(own.store);
	own.store = dir_open();
}

static void
test_given_up(void **state)
{
	Parts parts;

	(void) state;
	assert_given_up((FhaStoreRequest){.verb = FHA_STORE_PUT, .key = "f/a"});
	assert_int_equal(stat_key(&own, "f/a"), FHA_NOT_FOUND);
	assert_int_equal(names_in(FHA_STORE_HIDDEN), 0);
	assert_int_equal(begin(&own, "b", &parts), FHA_OK);
	assert_given_up((FhaStoreRequest){.verb = FHA_STORE_PART,
									  .key = "b",
									  .upload = parts.upload,
									  .number = 1,
									  .part_size = PART});
	assert_true(has_parts(&own, "b", &parts, 0));
}

/* What has ended and was not told yet. */
static void
test_cancel_at_the_end(void **state)
{
	FhaStoreRequest request = {
		.verb = FHA_STORE_STAT, .key = "a", .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	struct pollfd readable = {.events = POLLIN};
	FhaStoreCall *started;

	(void) state;
	assert_int_equal(fha_store_start(own.store, &request, &started, NULL), FHA_OK);
	assert_int_equal(fha_store_step(own.store, &answer), FHA_AGAIN);
	readable.fd = fha_store_fd(own.store);
	assert_int_equal(poll(&readable, 1, AWAIT_MAX_MS), 1);
	fha_store_cancel(own.store, started);
	assert_int_equal(fha_store_step(own.store, &answer), FHA_AGAIN);
}

#define OWN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest more[] = {
		cmocka_unit_test_setup_teardown(test_durable, setup_on_disk, teardown),
		OWN(test_full),
		OWN(test_failing_disk),
		OWN(test_no_hard_links),
		OWN(test_link_was_made),
		OWN(test_links_are_not_followed),
		OWN(test_places_that_are_not_for_objects),
		OWN(test_deep_and_long_keys),
		OWN(test_root_is_not_there),
		OWN(test_closed_to_others),
		OWN(test_owner),
		OWN(test_no_thread),
		OWN(test_more_than_the_threads_hang),
		OWN(test_late_writer_of_a_part),
		OWN(test_completed_and_not_cleaned),
		OWN(test_strange_uploads),
		OWN(test_sweep),
		OWN(test_a_flat_folder),
		OWN(test_pages_of_parts),
		OWN(test_pages_of_uploads),
		OWN(test_parts_of_another_size),
		OWN(test_given_up),
		OWN(test_cancel_at_the_end),
	};

	return store_suite_main(&dir_fixture, more, sizeof(more) / sizeof(more[0]));
}
