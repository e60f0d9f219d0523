/*
 * torture_archive_test.c: no memory and a failing disk on the way of WAL into an archive, at each place in turn.
 *
 * Whatever fails, OK means that the archive has the content of the file, and nothing that it has is replaced.  The next try goes well.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/archive.h"
#include "backup/compress.h"
#include "base/clock.h"
#include "test/backup/wal_files.h"
#include "test/store/memory_store.c"
#include "test/torture/torture.h"

#define MOST 3000
#define BOUND_MS 20000
#define FOLDER "db/wals/0000000100000000/"

static const char file[] = "000000010000000000000001";
static int64_t played_now_ms = 1000000;

int64_t __wrap_fha_now_ms(void);
int64_t
__wrap_fha_now_ms(void)
{
	return played_now_ms;
}

#define REPLACE(type, failed, name, parameters, arguments)             \
	type __real_##name parameters;                                     \
	type __wrap_##name parameters;                                     \
	type __wrap_##name parameters                                      \
	{                                                                  \
		return torture_strikes() ? (failed) : __real_##name arguments; \
	}

REPLACE(ssize_t, -1, pread, (int fd, void *out, size_t size, off_t at), (fd, out, size, at))
REPLACE(int, -1, fstatat, (int fd, const char *path, struct stat *out, int flags),
		(fd, path, out, flags))

/* ASan begins no thread without memory: nothing fails until the thread is at its work. */
static struct
{
	sem_t begun;
	void *(*work)(void *);
} begins;

static void *
begin_work(void *argument)
{
	void *(*work)(void *) = begins.work;

	(void) sem_post(&begins.begun);
	return work(argument);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *),
						  void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *),
						  void *argument);
int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*work)(void *),
					  void *argument)
{
	int failed;

	torture_pause(true);
	begins.work = work;
	failed = __real_pthread_create(thread, how, begin_work, argument);
	while (failed == 0 && sem_wait(&begins.begun) != 0)
		continue;
	torture_pause(false);
	return failed;
}

/* --- a store that itself has memory */

static FhaCode
calm_start(FhaStore *store, FhaStoreCall *call, FhaError *err)
{
	FhaCode code;

	torture_pause(true);
	code = memory_driver.start(store, call, err);
	torture_pause(false);
	return code;
}

FhaCode __wrap_fha_store_open(FhaStore **out, const FhaStoreSettings *settings, FhaError *err);
FhaCode
__wrap_fha_store_open(FhaStore **out, const FhaStoreSettings *settings, FhaError *err)
{
	static FhaStoreDriver calm_driver;

	(void) settings;
	(void) err;
	calm_driver = memory_driver;
	calm_driver.start = calm_start;
	torture_pause(true);
	*out = memory_open();
	(*out)->driver = &calm_driver;
	torture_pause(false);
	return FHA_OK;
}

/* --- scenes */

typedef struct Scene
{
	const char *key; /* what the archive has before; NULL: nothing */
	FhaCompression compression;
	unsigned seed; /* of its content */
	FhaCode expected;
} Scene;

static void
make(const Scene *scene)
{
	FhaStream *stream;
	Bytes content = wal_segment(file, scene->seed);
	Bytes packed = {.data = NULL};

	memory_clear();
	if (scene->key != NULL)
	{
		assert_int_equal(fha_compress_open(&stream, scene->compression, 0, 0, NULL), FHA_OK);
		assert_int_equal(
			stream_pass(stream, content.data, content.size, 65536, NULL, &packed, NULL), FHA_OK);
		memory_store(scene->key, packed.data, packed.size);
	}
	bytes_free(&content);
	bytes_free(&packed);
}

static FhaCode
run(FhaArchive *archive, FhaError *err)
{
	FhaCode code = fha_archive_send(archive, file, NULL, 0, err);

	if (code != FHA_OK)
		return code;
	while ((code = fha_archive_step(archive, file, err)) == FHA_AGAIN)
	{
		struct pollfd ready = {.fd = fha_archive_fd(archive), .events = POLLIN};
		int64_t wake_at_ms = fha_archive_wake_at_ms(archive);

		if (wake_at_ms > played_now_ms &&
			poll(&ready, 1, wake_at_ms == INT64_MAX ? BOUND_MS : 1) == 0)
		{
			assert_true(wake_at_ms != INT64_MAX);
			played_now_ms = wake_at_ms;
		}
	}
	return code;
}

/* What is there is the file, and one object. */
static void
check(void)
{
	Bytes expected = wal_segment(file, 1);
	Bytes content = {.data = NULL};
	FhaObjectName name;
	FhaStream *stream;

	assert_int_equal(world.object_count, 1);
	name = fha_layout_parse("db", world.objects[0].key);
	assert_int_equal(name.kind, FHA_OBJECT_WAL);
	assert_int_equal(fha_decompress_open(&stream, name.compression, NULL), FHA_OK);
	assert_int_equal(stream_pass(stream, world.objects[0].now.data, world.objects[0].now.size,
								 65536, NULL, &content, NULL),
					 FHA_OK);
	assert_true(bytes_are(&content, expected.data, expected.size));
	bytes_free(&content);
	bytes_free(&expected);
}

/* Does something fail?  Then once more without. */
static bool
act(const Scene *scene)
{
	static const FhaStoreSettings store = {.kind = FHA_STORE_S3};
	const FhaArchiveSettings settings = {.store = &store,
										 .server = "db",
										 .compression = FHA_COMPRESSION_GZIP,
										 .parallel = 1,
										 .directory = wal_directory,
										 .segment_size = WAL_SEGMENT_BYTES,
										 .systemid = WAL_SYSTEMID,
										 .patience_ms = 1000};
	FhaError err = {.code = FHA_OK, .text = ""};
	FhaArchive *archive;
	FhaCode code = fha_archive_open(&archive, &settings, &err);
	bool struck;

	if (code == FHA_OK)
		code = run(archive, &err);
	struck = torture_end();
	if (code != scene->expected)
	{
		assert_true(struck);
		assert_int_not_equal(code, FHA_OK);
		assert_int_not_equal(code, FHA_CONFLICT);
		assert_string_not_equal(err.text, "");
	}
	if (archive == NULL)
		assert_int_equal(fha_archive_open(&archive, &settings, &err), FHA_OK);
	assert_int_equal(run(archive, &err), scene->expected);
	if (scene->expected == FHA_OK)
		check();
	else
		assert_int_equal(world.versions, 1);
	fha_archive_close(archive);
	return struck;
}

static void
each_place(void **state)
{
	static const Scene scenes[] = {
		{NULL, FHA_COMPRESSION_GZIP, 1, FHA_OK},
		{FOLDER "000000010000000000000001.gz", FHA_COMPRESSION_GZIP, 1, FHA_OK},
		{FOLDER "000000010000000000000001.zst", FHA_COMPRESSION_ZSTD, 1, FHA_OK},
		{FOLDER "000000010000000000000001.gz", FHA_COMPRESSION_GZIP, 2, FHA_CONFLICT},
	};

	(void) state;
	wal_make_segment(file, 1);
	for (size_t i = 0; i < 2 * sizeof(scenes) / sizeof(scenes[0]); i++)
	{
		bool struck = true;
		long n;

		for (n = 1; struck && n < MOST; n++)
		{
			int before;

			make(&scenes[i / 2]);
			before = torture_descriptors();
			if (i % 2 == 0)
				torture_allocations(n, false);
			else
				torture_calls(n, (TortureFault){.error = EIO});
			struck = act(&scenes[i / 2]);
			assert_int_equal(torture_descriptors(), before);
		}
		assert_in_range(n, 4, MOST - 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_place)};
	int failed;

	wal_make_directory();
	(void) sem_init(&begins.begun, 0, 0);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	memory_clear();
	wal_remove_tree(wal_directory);
	return failed;
}
