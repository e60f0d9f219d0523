/*
 * fetch_test.c: WAL files come out of an archive whole and as their names say, or not at all; and "not there" is said only if it is proved.
 * The spool: what is fetched ahead of recovery.
 *
 * The store is one in memory, in played time.
 */
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <bzlib.h>
#include <cmocka.h>

#include "backup/compress.h"
#include "backup/fetch.h"
#include "backup/spool.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/lsn.h"
#include "test/backup/streams.h"
#include "test/store/memory_store.c"

#define SEGMENT ((size_t) 1048576)
#define SYSTEM UINT64_C(7445301234567890123)
#define NAME "000000020000000100000003"
#define FOLDER "db-x/wals/0000000200000001/"
#define KEY FOLDER NAME
#define LETTERS "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
#define NUMBERS "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static int64_t played_now_ms = 1000000;

int64_t __wrap_fha_now_ms(void);
int64_t
__wrap_fha_now_ms(void)
{
	return played_now_ms;
}

static FhaStore *store;
static FhaFetch *fetch;
static FhaFetchSettings settings;
static FhaFetchAnswer answer;
static FhaSealKeys keys;
static char directory[] = "/tmp/fetch-test-XXXXXX";
static char target[100];

/* --- a segment as PostgreSQL begins it */

static void
segment_number(Bytes *segment, size_t at, uint64_t value, size_t size)
{
	memcpy(segment->data + at, &value, size);
}

static Bytes
segment_of(uint32_t timeline, uint64_t number)
{
	Bytes segment = bytes_like_pages(SEGMENT);

	segment_number(&segment, 0, 0xD110, 2);
	segment_number(&segment, 2, 0x0006, 2);
	segment_number(&segment, 4, timeline, 4);
	segment_number(&segment, 8, number * SEGMENT, 8);
	segment_number(&segment, 24, SYSTEM, 8);
	segment_number(&segment, 32, SEGMENT, 4);
	segment_number(&segment, 36, 8192, 4);
	return segment;
}

/* Of timeline 2, the segment 1/03: of those of 1 MiB, 4096 have the upper half 0. */
static Bytes
segment_make(void)
{
	return segment_of(2, 4096 + 3);
}

static Bytes
packed(FhaCompression compression, const Bytes *plain)
{
	Bytes out = {.data = NULL};
	FhaStream *stream;
	FhaError err;

	if (compression == FHA_COMPRESSION_BZIP2)
	{
		unsigned size = (unsigned) plain->size * 2;

		out.data = malloc(size);
		assert_int_equal(
			BZ2_bzBuffToBuffCompress(out.data, &size, plain->data, (unsigned) plain->size, 1, 0, 0),
			BZ_OK);
		out.size = size;
	}
	else if (compression == FHA_COMPRESSION_XZ)
	{
		out.data = malloc(plain->size * 2);
		assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC64, NULL,
												 (const uint8_t *) plain->data, plain->size,
												 (uint8_t *) out.data, &out.size, plain->size * 2),
						 LZMA_OK);
	}
	else
	{
		assert_int_equal(fha_compress_open(&stream, compression, 0, 0, &err), FHA_OK);
		assert_int_equal(stream_pass(stream, plain->data, plain->size, 65536, NULL, &out, &err),
						 FHA_OK);
	}
	return out;
}

static void
put(const char *key, FhaCompression compression, const Bytes *plain)
{
	Bytes bytes = packed(compression, plain);

	memory_store(key, bytes.data, bytes.size);
	bytes_free(&bytes);
}

static void
put_segment(const char *key, FhaCompression compression)
{
	Bytes segment = segment_make();

	put(key, compression, &segment);
	bytes_free(&segment);
}

static void
put_sealed(const char *key, const char *keys_text)
{
	Bytes segment = segment_make();
	Bytes bytes = {.data = NULL};
	FhaSealKeys its;
	FhaStream *stream;
	FhaError err;

	assert_int_equal(fha_seal_keys_parse(&its, keys_text, &err), FHA_OK);
	assert_int_equal(fha_seal_open(&stream, &its.keys[0], key, &err), FHA_OK);
	assert_int_equal(stream_pass(stream, segment.data, segment.size, 65536, NULL, &bytes, &err),
					 FHA_OK);
	memory_store(key, bytes.data, bytes.size);
	bytes_free(&bytes);
	bytes_free(&segment);
}

/* --- a fetch */

static void
reopen(void)
{
	fha_fetch_close(fetch);
	assert_int_equal(fha_fetch_open(&fetch, store, &settings, NULL), FHA_OK);
}

static int
setup(void **state)
{
	(void) state;
	memory_clear();
	memory_script_count = memory_script_at = memory_tried = 0;
	strcpy(directory, "/tmp/fetch-test-XXXXXX");
	assert_non_null(mkdtemp(directory));
	(void) snprintf(target, sizeof(target), "%s/RECOVERYXLOG", directory);
	store = memory_open();
	settings = (FhaFetchSettings){.server = "db-x", .segment_size = SEGMENT, .systemid = SYSTEM};
	fetch = NULL;
	reopen();
	return 0;
}

static int
teardown(void **state)
{
	char command[100];

	(void) state;
	fha_fetch_close(fetch);
	fha_store_close(store);
	memory_clear();
	(void) snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static void
start(const char *file)
{
	const FhaFetchFile asked = {
		.file = file, .path = target, .deadline_at_ms = played_now_ms + 5000, .owner = target};

	assert_int_equal(fha_fetch_start(fetch, &asked, NULL), FHA_OK);
}

/* Time passes until the file has ended. */
static FhaCode
ended(void)
{
	for (int steps = 0; steps < 1000; steps++)
	{
		int64_t wake_at_ms;

		if (fha_fetch_step(fetch, &answer) == FHA_OK)
			return answer.code;
		wake_at_ms = fha_fetch_wake_at_ms(fetch);
		assert_true(wake_at_ms != INT64_MAX);
		if (wake_at_ms > played_now_ms)
			played_now_ms = wake_at_ms;
	}
	fail_msg("it does not end");
	return FHA_AGAIN;
}

static FhaCode
fetched(const char *file)
{
	start(file);
	return ended();
}

/* What is in the directory, beside "." and "..". */
static unsigned
files(void)
{
	char command[100];
	unsigned count = 99;
	FILE *pipe;

	(void) snprintf(command, sizeof(command), "ls -A %s | wc -l", directory);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%u", &count), 1);
	(void) pclose(pipe);
	return count;
}

static void
assert_target_is(const Bytes *plain)
{
	struct stat seen;
	char *data = malloc(plain->size);
	int fd = open(target, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &seen), 0);
	assert_int_equal(seen.st_size, plain->size);
	assert_int_equal(read(fd, data, plain->size), plain->size);
	assert_memory_equal(data, plain->data, plain->size);
	(void) close(fd);
	free(data);
	assert_int_equal(files(), 1);
}

static void
assert_fetched(const char *file)
{
	Bytes segment = segment_make();

	if (fetched(file) != FHA_OK)
		fail_msg("%s", answer.error.text);
	assert_ptr_equal(answer.owner, target);
	assert_string_equal(answer.file, file);
	assert_int_equal(answer.size, SEGMENT);
	assert_target_is(&segment);
	bytes_free(&segment);
	assert_int_equal(unlink(target), 0);
}

/* It failed like this, and there is no file, whole or half. */
static void
assert_fails(const char *file, FhaCode code, const char *words)
{
	assert_int_equal(fetched(file), code);
	if (strstr(answer.error.text, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, answer.error.text);
	assert_int_equal(answer.size, 0);
	assert_int_equal(files(), 0);
}

/* --- tests */

static void
each_compression_is_found(void **state)
{
	static const struct
	{
		const char *suffix;
		FhaCompression compression;
	} each[] = {{"", FHA_COMPRESSION_NONE},      {".gz", FHA_COMPRESSION_GZIP},
				{".zst", FHA_COMPRESSION_ZSTD},  {".lz4", FHA_COMPRESSION_LZ4},
				{".bz2", FHA_COMPRESSION_BZIP2}, {".xz", FHA_COMPRESSION_XZ}};
	char suffix[FHA_FETCH_SUFFIX_SIZE];

	(void) state;
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
	{
		char key[100];

		memory_clear();
		reopen();
		(void) snprintf(key, sizeof(key), KEY "%s", each[i].suffix);
		put_segment(key, each[i].compression);
		assert_fetched(NAME);
		fha_fetch_suffix(fetch, suffix);
		assert_string_equal(suffix, each[i].suffix);
		/* The next one is asked for under this name first, and no listing is needed. */
		memory_tried = 0;
		assert_fetched(NAME);
		assert_int_equal(memory_tried, 1);
		reopen();
		fha_fetch_guess(fetch, each[i].suffix);
		memory_tried = 0;
		assert_fetched(NAME);
		assert_int_equal(memory_tried, 1);
	}
	fha_fetch_guess(fetch, ".zip");
	assert_fetched(NAME);
}

static void
a_history_file_is_found(void **state)
{
	static const char text[] = "1\t0/3000000\tno recovery target specified\n";
	static const char snappy[] = "\xff\x06\x00\x00sNaPpY\x01-\x00\x00)P\xd3\xe4"
								 "1\t0/3000000\tno recovery target specified\n";
	const Bytes plain = {.data = (char *) (uintptr_t) text, .size = sizeof(text) - 1};

	(void) state;
	memory_store("db-x/wals/00000002.history.snappy", snappy, sizeof(snappy) - 1);
	assert_int_equal(fetched("00000002.history"), FHA_OK);
	assert_target_is(&plain);
	put("db-x/wals/00000003.history", FHA_COMPRESSION_NONE, &plain);
	assert_int_equal(fetched("00000003.history"), FHA_OK);
	assert_int_equal(unlink(target), 0);
	assert_fails("00000004.history", FHA_NOT_FOUND, "not in the archive");
	memory_store("db-x/wals/00000005.history", "", 0);
	assert_fails("00000005.history", FHA_INVALID, "is empty");
	{
		Bytes bytes = packed(FHA_COMPRESSION_GZIP, &plain);

		memory_store("db-x/wals/00000006.history.gz", bytes.data, bytes.size - 1);
		assert_fails("00000006.history", FHA_INVALID, "");
		bytes_free(&bytes);
	}
}

/* barman-cloud 3.19.0 gave the label of a backup for the segment. */
static void
a_label_is_no_segment(void **state)
{
	Bytes label = {.data = (char *) (uintptr_t) "START WAL LOCATION", .size = 18};

	(void) state;
	put(KEY ".00000028.backup.gz", FHA_COMPRESSION_GZIP, &label);
	put(KEY ".partial.gz", FHA_COMPRESSION_GZIP, &label);
	put(KEY ".gz.old", FHA_COMPRESSION_NONE, &label);
	assert_fails(NAME, FHA_NOT_FOUND, "not in the archive");
	put_segment(KEY ".zst", FHA_COMPRESSION_ZSTD);
	assert_fetched(NAME);
	assert_int_equal(fetched(NAME ".00000028.backup"), FHA_OK);
	assert_target_is(&label);
}

static void
what_is_not_listed_is_proved_absent(void **state)
{
	(void) state;
	assert_fails(NAME, FHA_IO, "nothing of the server \"db-x\"");
	memory_store("db-xy/wals/x", "x", 1);
	assert_fails(NAME, FHA_IO, "nothing of the server \"db-x\"");
	memory_store("db-x/base/20261122T063851/backup.info", "x", 1);
	assert_fails(NAME, FHA_NOT_FOUND, "not in the archive");
}

static void
fail_next(size_t count, FhaCode code)
{
	for (size_t i = 0; i < count; i++)
		memory_script[memory_script_count++] = (MemoryScript){.code = code};
}

/* Each call fails in turn: the guess, the listing, the proof. */
static void
no_fault_is_taken_for_not_there(void **state)
{
	static const FhaCode codes[] = {FHA_DENIED, FHA_IO, FHA_PROTOCOL, FHA_TIMEOUT, FHA_AGAIN};

	(void) state;
	memory_store("db-x/base/20261122T063851/backup.info", "x", 1);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		for (size_t before = 0; before < 3; before++)
		{
			memory_script_count = memory_script_at = 0;
			fail_next(before, FHA_OK);
			fail_next(29, codes[i]);
			(void) fetched(NAME);
			assert_int_not_equal(answer.code, FHA_OK);
			assert_int_not_equal(answer.code, FHA_NOT_FOUND);
			assert_int_equal(files(), 0);
		}
	/* A listing says that a page is missing, and nothing answers then. */
	memory_script_count = memory_script_at = 0;
	memory_hang();
	assert_fails(NAME, FHA_TIMEOUT, "");
	memory_release();
	assert_fails(NAME, FHA_NOT_FOUND, "");
}

static void
what_is_cut_is_read_on(void **state)
{
	(void) state;
	put_segment(KEY ".gz", FHA_COMPRESSION_GZIP);
	memory_cut_body(70000);
	assert_fetched(NAME);
	world.fault = MEMORY_BODY_ENDS_EARLY;
	(void) fetched(NAME);
	world.fault = MEMORY_RIGHT;
	assert_int_not_equal(answer.code, FHA_OK);
	assert_int_not_equal(answer.code, FHA_NOT_FOUND);
	assert_int_equal(files(), 0);
}

static void
half_objects_are_no_files(void **state)
{
	Bytes segment = segment_make();
	Bytes bytes = packed(FHA_COMPRESSION_GZIP, &segment);
	Bytes half = {.data = segment.data, .size = SEGMENT / 2};
	Bytes more = {.data = NULL};

	(void) state;
	memory_store(KEY ".gz", bytes.data, bytes.size / 2);
	assert_fails(NAME, FHA_INVALID, "");
	bytes.data[bytes.size / 2] ^= 1;
	memory_store(KEY ".gz", bytes.data, bytes.size);
	assert_fails(NAME, FHA_INVALID, "");
	memory_store(KEY ".gz", "", 0);
	assert_fails(NAME, FHA_INVALID, "");
	put(KEY ".gz", FHA_COMPRESSION_GZIP, &half);
	assert_fails(NAME, FHA_INVALID, "has 524288 bytes instead of 1048576");
	bytes_add(&more, segment.data, SEGMENT);
	bytes_add(&more, "x", 1);
	put(KEY ".gz", FHA_COMPRESSION_GZIP, &more);
	assert_fails(NAME, FHA_INVALID, "more than 1048576 bytes");
	settings.segment_size = 0;
	reopen();
	assert_fails(NAME, FHA_INVALID, "has 1048577 bytes instead of 1048576");
	bytes_free(&more);
	bytes_free(&bytes);
	bytes_free(&segment);
}

/* PostgreSQL would take each of these for the end of the archive. */
static void
a_segment_is_what_its_name_says(void **state)
{
	static const struct
	{
		size_t at, size;
		uint64_t value;
		const char *words;
	} each[] = {
		{0, 2, 0, "does not begin as"},
		{0, 2, 0xD010, "does not begin as"},
		{2, 2, 0x0004, "does not begin as"},
		{4, 4, 3, "it is of timeline 3 at 1/300000"},
		{4, 4, 0, "it is of timeline 0 at"},
		{8, 8, (UINT64_C(4096) + 4) * SEGMENT, "it is of timeline 2 at 1/400000"},
		{24, 8, SYSTEM + 1, "of the system 7445301234567890124"},
		{32, 4, 2 * SEGMENT, "segments of 2097152 bytes"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
	{
		Bytes segment = segment_make();

		segment_number(&segment, each[i].at, each[i].value, each[i].size);
		put(KEY ".gz", FHA_COMPRESSION_GZIP, &segment);
		assert_fails(NAME, FHA_INVALID, each[i].words);
		bytes_free(&segment);
	}
	/* The first segment of a timeline begins with pages of the one before. */
	{
		Bytes segment = segment_make();

		segment_number(&segment, 4, 1, 4);
		put(KEY ".gz", FHA_COMPRESSION_GZIP, &segment);
		assert_int_equal(fetched(NAME), FHA_OK);
		assert_int_equal(fha_fetch_check(&settings, NAME, target, NULL), FHA_OK);
		assert_int_equal(fha_fetch_check(&settings, "000000020000000100000004", target, NULL),
						 FHA_INVALID);
		assert_int_equal(truncate(target, 1000), 0);
		assert_int_equal(fha_fetch_check(&settings, NAME, target, NULL), FHA_INVALID);
		assert_int_equal(unlink(target), 0);
		assert_int_equal(fha_fetch_check(&settings, NAME, target, NULL), FHA_NOT_FOUND);
		assert_int_equal(fha_fetch_check(&settings, "x", target, NULL), FHA_INVALID);
		bytes_free(&segment);
	}
}

static void
what_is_sealed_wants_its_key(void **state)
{
	(void) state;
	put_sealed(KEY ".tink", LETTERS);
	assert_fails(NAME, FHA_DENIED, "there is no key");
	assert_int_equal(fha_seal_keys_parse(&keys, NUMBERS, NULL), FHA_OK);
	settings.keys = &keys;
	reopen();
	assert_fails(NAME, FHA_DENIED, "no key opens");
	assert_int_equal(fha_seal_keys_parse(&keys, NUMBERS "\n" LETTERS, NULL), FHA_OK);
	reopen();
	assert_fetched(NAME);
	/* What is not sealed is read as well: the archive may be older than the key. */
	memory_clear();
	put_segment(KEY ".gz", FHA_COMPRESSION_GZIP);
	assert_fetched(NAME);
}

static void
two_do_not_write_the_same_file(void **state)
{
	char aside[FHA_FETCH_ASIDE_SIZE];
	int fd;

	(void) state;
	put_segment(KEY ".gz", FHA_COMPRESSION_GZIP);
	assert_true(fha_fetch_aside(target, aside));
	assert_false(fha_fetch_is_under_way(target));
	fd = open(aside, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "half", 4), 4);
	/* A dead one's is taken over, a live one's is not. */
	assert_false(fha_fetch_is_under_way(target));
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_true(fha_fetch_is_under_way(target));
	assert_int_equal(fetched(NAME), FHA_CONFLICT);
	assert_int_equal(files(), 1);
	(void) close(fd);
	assert_fetched(NAME);
}

static void
what_is_given_up_leaves_nothing(void **state)
{
	(void) state;
	put_segment(KEY ".gz", FHA_COMPRESSION_GZIP);
	memory_hang();
	start(NAME);
	assert_int_equal(fha_fetch_count(fetch), 1);
	assert_true(fha_fetch_is_under_way(target));
	assert_true(fha_fetch_fd(fetch) >= 0);
	reopen();
	assert_int_equal(files(), 0);
	memory_release();
	memory_lose_answer(); /* which is a matter of writes alone */
	assert_fetched(NAME);
	assert_int_equal(fha_fetch_count(fetch), 0);
}

static void
a_disk_that_refuses_is_told(void **state)
{
	(void) state;
	put_segment(KEY ".gz", FHA_COMPRESSION_GZIP);
	(void) snprintf(target, sizeof(target), "%s/absent/RECOVERYXLOG", directory);
	assert_fails(NAME, FHA_IO, "could not create");
}

static void
what_cannot_be_asked_for(void **state)
{
	FhaFetchFile asked = {.file = "RECOVERYXLOG", .path = target};
	FhaFetch *none;

	(void) state;
	assert_int_equal(fha_fetch_start(fetch, &asked, NULL), FHA_INVALID);
	asked.file = NAME ".gz";
	assert_int_equal(fha_fetch_start(fetch, &asked, NULL), FHA_INVALID);
	settings.server = "a/b";
	assert_int_equal(fha_fetch_open(&none, store, &settings, NULL), FHA_INVALID);
	assert_null(none);
	fha_fetch_close(NULL);
	memory_hang();
	for (int i = 0; i < FHA_FETCH_MAX; i++)
	{
		char path[100];

		(void) snprintf(path, sizeof(path), "%s/%d", directory, i);
		asked = (FhaFetchFile){.file = NAME, .path = path, .deadline_at_ms = played_now_ms + 1};
		assert_int_equal(fha_fetch_start(fetch, &asked, NULL), FHA_OK);
	}
	assert_int_equal(fha_fetch_start(fetch, &asked, NULL), FHA_CONFLICT);
}

/* --- the spool */

static FhaSpool spool;
static FhaKeeper *keeper;

static void
put_number(uint32_t timeline, uint64_t number)
{
	Bytes segment = segment_of(timeline, number);
	char name[FHA_WAL_NAME_SIZE];
	char key[100];

	fha_segment_name(timeline, number * SEGMENT, SEGMENT, name);
	(void) snprintf(key, sizeof(key), "db-x/wals/%.16s/%s.gz", name, name);
	put(key, FHA_COMPRESSION_GZIP, &segment);
	bytes_free(&segment);
}

/* pg_wal, where the spool is, and a keeper that may hold so many segments. */
static void
keep(unsigned segments)
{
	char wal[64];

	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", directory);
	assert_true(mkdir(wal, 0700) == 0 || errno == EEXIST);
	(void) snprintf(target, sizeof(target), "%s/RECOVERYXLOG", wal);
	assert_true(fha_spool_place(&spool, target));
	spool.segment_size = SEGMENT;
	reopen();
	assert_int_equal(fha_keeper_open(&keeper, &spool, fetch, segments * SEGMENT, NULL), FHA_OK);
	fetch = NULL; /* it is the keeper's */
}

static int
spool_teardown(void **state)
{
	fha_keeper_close(keeper);
	keeper = NULL;
	return teardown(state);
}

static bool
is_there(uint32_t timeline, uint64_t number)
{
	char name[FHA_WAL_NAME_SIZE];
	char path[FHA_PATH_SIZE + 64];

	fha_segment_name(timeline, number * SEGMENT, SEGMENT, name);
	(void) snprintf(path, sizeof(path), "%s/%s", spool.path, name);
	return access(path, F_OK) == 0;
}

/* How many of timeline's segments from 0 to 99 are there. */
static unsigned
held(uint32_t timeline)
{
	unsigned count = 0;

	for (uint64_t i = 0; i < 100; i++)
		count += is_there(timeline, i);
	return count;
}

/* The keeper goes on for a second of its time. */
static FhaCode
kept(void)
{
	int64_t end_at_ms = played_now_ms + 1000;
	FhaCode code = FHA_AGAIN;

	while (code == FHA_AGAIN && played_now_ms < end_at_ms)
	{
		int64_t wake_at_ms;

		code = fha_keeper_step(keeper, &wake_at_ms);
		if (wake_at_ms > played_now_ms)
			played_now_ms = wake_at_ms;
	}
	return code;
}

/* A call of the restore_command for a segment: from the spool alone. */
static FhaCode
taken(uint32_t timeline, uint64_t number)
{
	char name[FHA_WAL_NAME_SIZE];
	FhaCode code;

	fha_segment_name(timeline, number * SEGMENT, SEGMENT, name);
	code = fha_spool_take(&spool, &settings, name, target);
	fha_spool_say(&spool, name, ".gz", false);
	return code;
}

static void
what_comes_next_is_there(void **state)
{
	char suffix[FHA_FETCH_SUFFIX_SIZE];

	(void) state;
	for (uint64_t i = 1; i <= 20; i++)
		put_number(1, i);
	keep(5);
	assert_false(fha_spool_last_suffix(&spool, suffix));
	/* Until a call says where recovery is, nothing is fetched. */
	assert_int_equal(kept(), FHA_AGAIN);
	assert_int_equal(held(1), 0);
	assert_int_equal(taken(1, 1), FHA_NOT_FOUND);
	assert_true(fha_spool_last_suffix(&spool, suffix));
	assert_string_equal(suffix, ".gz");
	assert_int_equal(kept(), FHA_AGAIN);
	for (uint64_t i = 2; i <= 20; i++)
	{
		assert_true(held(1) <= 5);
		assert_false(is_there(1, i - 1));
		assert_int_equal(taken(1, i), FHA_OK);
		assert_int_equal(unlink(target), 0);
		assert_int_equal(kept(), FHA_AGAIN);
	}
	/* At the archive's end, what is archived then is asked for again when recovery has moved. */
	assert_int_equal(held(1), 0);
	put_number(1, 21);
	put_number(1, 22);
	assert_int_equal(taken(1, 21), FHA_NOT_FOUND);
	assert_int_equal(kept(), FHA_AGAIN);
	assert_int_equal(taken(1, 22), FHA_OK);
}

static void
another_timeline_begins_anew(void **state)
{
	(void) state;
	for (uint64_t i = 1; i <= 9; i++)
		put_number(1, i);
	for (uint64_t i = 4; i <= 9; i++)
		put_number(2, i);
	keep(4);
	(void) taken(1, 3);
	(void) kept();
	assert_true(is_there(1, 4));
	assert_int_equal(taken(2, 4), FHA_NOT_FOUND);
	(void) kept();
	assert_int_equal(held(1), 0);
	assert_int_equal(held(2), 4);
	assert_int_equal(taken(2, 5), FHA_OK);
	/* Back, as after a restart of the server. */
	assert_int_equal(taken(1, 1), FHA_NOT_FOUND);
	(void) kept();
	assert_int_equal(held(2), 0);
	assert_true(is_there(1, 2));
}

/* When a call last said what it wants, in milliseconds: the keeper tells calls apart by that. */
static int64_t
said_at_ms(void)
{
	char path[FHA_PATH_SIZE + 64];
	struct stat found;

	(void) snprintf(path, sizeof(path), "%s/at", spool.path);
	assert_int_equal(stat(path, &found), 0);
	return (int64_t) found.st_mtim.tv_sec * 1000 + found.st_mtim.tv_nsec / 1000000;
}

static void
what_a_call_cannot_wait_for_is_fetched(void **state)
{
	int64_t before_ms;

	(void) state;
	for (uint64_t i = 1; i <= 3; i++)
		put_number(1, i);
	keep(4);
	/* The store fails when the keeper tries, and later does not. */
	fail_next(32, FHA_DENIED);
	fha_spool_say(&spool, "000000010000000000000001", ".gz", true);
	before_ms = said_at_ms();
	(void) kept();
	assert_int_equal(held(1), 0);
	memory_script_count = memory_script_at = 0;
	do
		fha_spool_say(&spool, "000000010000000000000001", ".gz", true);
	while (said_at_ms() == before_ms);
	(void) kept();
	assert_int_equal(taken(1, 1), FHA_OK);
}

static void
a_half_file_is_not_taken(void **state)
{
	char path[FHA_PATH_SIZE + 64];
	char aside[FHA_FETCH_ASIDE_SIZE];
	int fd;

	(void) state;
	put_number(1, 1);
	keep(4);
	fha_spool_say(&spool, "000000010000000000000001", ".gz", true);
	(void) kept();
	(void) snprintf(path, sizeof(path), "%s/000000010000000000000001", spool.path);
	assert_int_equal(truncate(path, 5000), 0);
	assert_int_equal(taken(1, 1), FHA_NOT_FOUND);
	assert_int_not_equal(access(target, F_OK), 0);
	/* One that is under way is waited for. */
	(void) snprintf(path, sizeof(path), "%s/000000010000000000000002", spool.path);
	assert_true(fha_fetch_aside(path, aside));
	fd = open(aside, O_RDWR | O_CREAT, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(taken(1, 2), FHA_AGAIN);
	(void) close(fd);
	assert_int_equal(taken(1, 2), FHA_NOT_FOUND);
}

static void
there_is_one_keeper_and_it_leaves_nothing(void **state)
{
	int fd;

	(void) state;
	for (uint64_t i = 1; i <= 5; i++)
		put_number(1, i);
	keep(4);
	assert_int_equal(fha_spool_keep(&spool), -1); /* no directory yet */
	(void) taken(1, 1);
	fd = fha_spool_keep(&spool);
	assert_true(fd >= 0);
	assert_int_equal(fha_spool_keep(&spool), -1);
	(void) kept();
	assert_int_equal(held(1), 4);
	for (int seconds = 0; kept() == FHA_AGAIN; seconds++)
		assert_true(seconds < 40);
	fha_keeper_close(keeper);
	keeper = NULL;
	(void) close(fd);
	assert_int_not_equal(access(spool.path, F_OK), 0);
	fha_keeper_close(NULL);
}

static void
there_is_no_spool_outside_pg_wal(void **state)
{
	(void) state;
	assert_true(fha_spool_place(&spool, "pg_wal/RECOVERYXLOG"));
	assert_string_equal(spool.path, "pg_wal/" FHA_SPOOL_DIRECTORY);
	assert_true(fha_spool_place(&spool, "/data/pg_wal/RECOVERYXLOG"));
	assert_false(fha_spool_place(&spool, "RECOVERYXLOG"));
	assert_false(fha_spool_place(&spool, "/tmp/RECOVERYXLOG"));
	assert_false(fha_spool_place(&spool, "/tmp/my_pg_wal/RECOVERYXLOG"));
	/* It is of no use, and nothing breaks. */
	(void) snprintf(spool.path, sizeof(spool.path), "/proc/nothing/pg_wal");
	fha_spool_say(&spool, NAME, ".gz", false);
	assert_int_equal(fha_spool_keep(&spool), -1);
	assert_int_equal(fha_spool_take(&spool, &settings, NAME, target), FHA_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_compression_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_history_file_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(a_label_is_no_segment, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_listed_is_proved_absent, setup, teardown),
		cmocka_unit_test_setup_teardown(no_fault_is_taken_for_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_cut_is_read_on, setup, teardown),
		cmocka_unit_test_setup_teardown(half_objects_are_no_files, setup, teardown),
		cmocka_unit_test_setup_teardown(a_segment_is_what_its_name_says, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_sealed_wants_its_key, setup, teardown),
		cmocka_unit_test_setup_teardown(two_do_not_write_the_same_file, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_given_up_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_disk_that_refuses_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_asked_for, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_next_is_there, setup, spool_teardown),
		cmocka_unit_test_setup_teardown(another_timeline_begins_anew, setup, spool_teardown),
		cmocka_unit_test_setup_teardown(what_a_call_cannot_wait_for_is_fetched, setup,
										spool_teardown),
		cmocka_unit_test_setup_teardown(a_half_file_is_not_taken, setup, spool_teardown),
		cmocka_unit_test_setup_teardown(there_is_one_keeper_and_it_leaves_nothing, setup,
										spool_teardown),
		cmocka_unit_test_setup_teardown(there_is_no_spool_outside_pg_wal, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
