/*
 * archive_test.c: WAL files on their way into an archive: a store in memory, in played time, and a directory.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backup/archive.h"
#include "backup/compress.h"
#include "backup/others.h"
#include "backup/packer.h"
#include "base/clock.h"
#include "test/backup/wal_files.h"
#include "test/store/memory_store.c"

#define BOUND_MS 20000
#define PATIENCE_MS 3000
#define SERVER "db-1"
#define FOLDER SERVER "/wals/0000000100000000/"

static const char first[] = "000000010000000000000001";
static const char second[] = "000000010000000000000002";
static const char third[] = "000000010000000000000003";

/* --- what the linker puts before the library */

static bool plays; /* a store in memory, and its time */
static int64_t played_now_ms;
static unsigned packs;

int64_t __real_fha_now_ms(void);
int64_t __wrap_fha_now_ms(void);
int64_t
__wrap_fha_now_ms(void)
{
	return plays ? played_now_ms : __real_fha_now_ms();
}

FhaCode __real_fha_store_open(FhaStore **out, const FhaStoreSettings *settings, FhaError *err);
FhaCode __wrap_fha_store_open(FhaStore **out, const FhaStoreSettings *settings, FhaError *err);
FhaCode
__wrap_fha_store_open(FhaStore **out, const FhaStoreSettings *settings, FhaError *err)
{
	if (!plays)
		return __real_fha_store_open(out, settings, err);
	*out = memory_open();
	return FHA_OK;
}

FhaCode __real_fha_packer_start(FhaPacker *packer, const char *name, const char *key, void *owner,
								FhaError *err);
FhaCode __wrap_fha_packer_start(FhaPacker *packer, const char *name, const char *key, void *owner,
								FhaError *err);
FhaCode
__wrap_fha_packer_start(FhaPacker *packer, const char *name, const char *key, void *owner,
						FhaError *err)
{
	packs++;
	return __real_fha_packer_start(packer, name, key, owner, err);
}

/* --- an archive */

static FhaArchive *archive;
static FhaSealKeys keys, other_keys;
static FhaStoreSettings store;
static FhaError err;
static char store_directory[64];

static const FhaArchiveSettings usual = {
	.store = &store,
	.server = SERVER,
	.compression = FHA_COMPRESSION_GZIP,
	.parallel = 4,
	.memory = 64 * WAL_SEGMENT_BYTES,
	.directory = wal_directory,
	.segment_size = WAL_SEGMENT_BYTES,
	.systemid = WAL_SYSTEMID,
	.patience_ms = PATIENCE_MS,
};

static void
script_clear(void)
{
	memory_script_count = memory_script_at = memory_tried = 0;
}

/* The next tries of all bring this. */
static void
script(size_t count, FhaCode code)
{
	for (size_t i = 0; i < count; i++)
		memory_script[memory_script_count++] = (MemoryScript){.code = code};
}

static void
reopen(FhaArchiveSettings settings)
{
	fha_archive_close(archive);
	assert_int_equal(fha_archive_open(&archive, &settings, &err), FHA_OK);
}

static int
set_up(void **state)
{
	(void) state;
	plays = true;
	played_now_ms = 1000000;
	packs = 0;
	memory_clear();
	script_clear();
	wal_make_directory();
	assert_int_equal(
		fha_seal_keys_parse(&keys, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", &err), FHA_OK);
	assert_int_equal(
		fha_seal_keys_parse(&other_keys, "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", &err),
		FHA_OK);
	reopen(usual);
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	fha_archive_close(archive);
	archive = NULL;
	memory_clear();
	world.fault = MEMORY_RIGHT;
	wal_remove_tree(wal_directory);
	return 0;
}

/* What it waits for comes, or its time. */
static void
wait_for(FhaArchive *it)
{
	struct pollfd ready = {.fd = fha_archive_fd(it), .events = POLLIN};
	int64_t wake_at_ms = fha_archive_wake_at_ms(it);
	bool is_timed = plays && wake_at_ms != INT64_MAX;

	if (wake_at_ms <= fha_now_ms())
		return;
	if (poll(&ready, 1, is_timed ? 2 : BOUND_MS) == 0)
	{
		assert_true(is_timed);
		played_now_ms = wake_at_ms;
	}
}

static FhaCode
finish_it(FhaArchive *it, const char *file)
{
	for (;;)
	{
		FhaCode code = fha_archive_step(it, file, &err);

		if (code != FHA_AGAIN)
			return code;
		wait_for(it);
	}
}

static FhaCode
finish(const char *file)
{
	return finish_it(archive, file);
}

static FhaCode
archive_one(const char *file)
{
	assert_int_equal(fha_archive_send(archive, file, NULL, 0, &err), FHA_OK);
	return finish(file);
}

static void
assert_said(FhaCode code, const char *part)
{
	assert_int_equal(err.code, code);
	if (strstr(err.text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

/* Steps until so many tries were made; the store may not answer. */
static void
tries_are(size_t count, const char *file)
{
	for (int i = 0; memory_tried < count; i++)
	{
		struct pollfd ready = {.fd = fha_archive_fd(archive), .events = POLLIN};

		assert_int_equal(fha_archive_step(archive, file, &err), FHA_AGAIN);
		assert_in_range(i, 0, 10000);
		(void) poll(&ready, 1, 2);
	}
}

/* --- objects */

/* The bytes as an object of that key has them; free it. */
static Bytes
packed(const Bytes *content, FhaCompression compression, const FhaSealKeys *by, const char *key)
{
	FhaStream *stream;
	Bytes small = {.data = NULL};
	Bytes sealed = {.data = NULL};

	assert_int_equal(fha_compress_open(&stream, compression, 0, 0, &err), FHA_OK);
	assert_int_equal(stream_pass(stream, content->data, content->size, 65536, NULL, &small, &err),
					 FHA_OK);
	if (by == NULL)
		return small;
	assert_int_equal(fha_seal_open(&stream, &by->keys[0], key, &err), FHA_OK);
	assert_int_equal(stream_pass(stream, small.data, small.size, 65536, NULL, &sealed, &err),
					 FHA_OK);
	bytes_free(&small);
	return sealed;
}

/* It lies in the store. */
static void
put_object(const char *key, const Bytes *content, FhaCompression compression, const FhaSealKeys *by)
{
	Bytes bytes = packed(content, compression, by, key);

	memory_store(key, bytes.data, bytes.size);
	bytes_free(&bytes);
}

static void
put_segment(const char *key, const char *name, unsigned seed, FhaCompression compression,
			const FhaSealKeys *by)
{
	Bytes bytes = wal_segment(name, seed);

	put_object(key, &bytes, compression, by);
	bytes_free(&bytes);
}

static Bytes
file_bytes(const char *name)
{
	char path[WAL_PATH_SIZE];
	Bytes bytes = {.data = NULL};
	char piece[65536];
	size_t got;
	FILE *file;

	wal_path(name, path);
	file = fopen(path, "r");
	assert_non_null(file);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		bytes_add(&bytes, piece, got);
	(void) fclose(file);
	return bytes;
}

/* An object's bytes are the file's. */
static void
assert_object_is(const char *key, const MemoryBytes *object, const char *name)
{
	FhaObjectName parsed = fha_layout_parse(SERVER, key);
	Bytes small = {.data = NULL};
	Bytes content = {.data = NULL};
	Bytes expected = file_bytes(name);
	FhaStream *stream;

	assert_int_equal(parsed.kind, FHA_OBJECT_WAL);
	if (parsed.encrypted)
	{
		assert_int_equal(fha_unseal_open(&stream, &keys, key, &err), FHA_OK);
		assert_int_equal(stream_pass(stream, object->data, object->size, 65536, NULL, &small, &err),
						 FHA_OK);
	}
	else
		bytes_add(&small, object->data, object->size);
	assert_int_equal(fha_decompress_open(&stream, parsed.compression, &err), FHA_OK);
	assert_int_equal(stream_pass(stream, small.data, small.size, 65536, NULL, &content, &err),
					 FHA_OK);
	assert_true(bytes_are(&content, expected.data, expected.size));
	bytes_free(&small);
	bytes_free(&content);
	bytes_free(&expected);
}

static void
assert_archived(const char *key, const char *name)
{
	const MemoryObject *object = memory_object(key);

	if (object == NULL)
		fail_msg("no object \"%s\"", key);
	else
		assert_object_is(key, &object->now, name);
}

static size_t
objects(void)
{
	size_t count = 0;

	for (size_t i = 0; i < world.object_count; i++)
		count += !world.objects[i].deleted;
	return count;
}

/* --- what is archived */

static void
each_compression_sealed_or_not(void **state)
{
	static const FhaCompression compressions[] = {FHA_COMPRESSION_NONE, FHA_COMPRESSION_GZIP,
												  FHA_COMPRESSION_LZ4, FHA_COMPRESSION_ZSTD};

	(void) state;
	wal_make_segment(first, 1);
	for (size_t i = 0; i < 8; i++)
	{
		FhaArchiveSettings settings = usual;
		FhaArchiveCount count;
		char key[FHA_OBJECT_KEY_SIZE];

		memory_clear();
		settings.compression = compressions[i / 2];
		settings.keys = i % 2 == 0 ? NULL : &keys;
		reopen(settings);
		assert_int_equal(archive_one(first), FHA_OK);
		(void) snprintf(key, sizeof(key), FOLDER "%s%s%s", first,
						fha_compression_suffix(settings.compression),
						i % 2 == 0 ? "" : FHA_ENCRYPTED_SUFFIX);
		assert_archived(key, first);
		assert_int_equal(objects(), 1);
		count = fha_archive_count(archive);
		assert_true(count.files == 1 && count.bytes == WAL_SEGMENT_BYTES && count.compared == 0);
		assert_int_equal(count.stored_bytes, memory_object(key)->now.size);
	}
}

static void
each_kind_of_file(void **state)
{
	(void) state;
	wal_write("00000002.history", "1\t0/1000\tno reason\n", 19);
	wal_write("000000010000000000000002.00000028.backup", "START WAL LOCATION: 0/2\n", 24);
	wal_make_segment("000000010000000000000003.partial", 3);
	assert_int_equal(archive_one("00000002.history"), FHA_OK);
	assert_archived(SERVER "/wals/00000002.history.gz", "00000002.history");
	assert_int_equal(archive_one("000000010000000000000002.00000028.backup"), FHA_OK);
	assert_archived(FOLDER "000000010000000000000002.00000028.backup.gz",
					"000000010000000000000002.00000028.backup");
	assert_int_equal(archive_one("000000010000000000000003.partial"), FHA_OK);
	assert_archived(FOLDER "000000010000000000000003.partial.gz",
					"000000010000000000000003.partial");
}

typedef struct Wrong
{
	const char *what;
	size_t at; /* of the header */
	char byte;
} Wrong;

/* Of these nothing is sent. */
static void
a_file_that_is_not_what_its_name_says(void **state)
{
	static const Wrong wrongs[] = {{"another segment", offsetof(WalHeader, position) + 2, 1},
								   {"another timeline", offsetof(WalHeader, timeline), 2},
								   {"no long header", offsetof(WalHeader, info), 0},
								   {"another size", offsetof(WalHeader, segment_size), 1},
								   {"another cluster", offsetof(WalHeader, systemid), 1}};
	char path[WAL_PATH_SIZE];
	Bytes bytes = wal_segment(first, 1);

	(void) state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++)
	{
		char before = bytes.data[wrongs[i].at];

		bytes.data[wrongs[i].at] = wrongs[i].byte;
		wal_write(first, bytes.data, bytes.size);
		bytes.data[wrongs[i].at] = before;
		if (archive_one(first) != FHA_INVALID)
			fail_msg("%s", wrongs[i].what);
		assert_said(FHA_INVALID, first);
	}
	wal_write(first, bytes.data, bytes.size - 1);
	assert_int_equal(archive_one(first), FHA_INVALID);
	assert_said(FHA_INVALID, "1048575 bytes instead of 1048576");
	bytes_add(&bytes, "x", 1);
	wal_write(first, bytes.data, bytes.size);
	assert_int_equal(archive_one(first), FHA_INVALID);
	bytes_free(&bytes);
	wal_write("00000002.history", "", 0);
	assert_int_equal(archive_one("00000002.history"), FHA_INVALID);
	assert_int_equal(archive_one(second), FHA_NOT_FOUND);
	wal_path(second, path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(archive_one(second), FHA_INVALID);
	wal_path(third, path);
	assert_int_equal(mkfifo(path, 0700), 0);
	assert_int_equal(archive_one(third), FHA_INVALID);
	assert_int_equal(objects(), 0);
	assert_int_equal(fha_archive_send(archive, "xlogtemp.1", NULL, 0, &err), FHA_INVALID);
}

/* --- what is there already */

static void
the_same_content_is_archived(void **state)
{
	(void) state;
	wal_make_segment(first, 1);
	put_segment(FOLDER "000000010000000000000001.gz", first, 1, FHA_COMPRESSION_GZIP, NULL);
	assert_int_equal(archive_one(first), FHA_OK);
	assert_int_equal(fha_archive_count(archive).compared, 1);
	assert_int_equal(fha_archive_count(archive).stored_bytes, 0);
	/* Sealed, no two objects have the same bytes. */
	put_segment(FOLDER "000000010000000000000002.gz.tink", second, 1, FHA_COMPRESSION_GZIP, &keys);
	wal_make_segment(second, 1);
	reopen((FhaArchiveSettings){.store = &store,
								.server = SERVER,
								.keys = &keys,
								.compression = FHA_COMPRESSION_GZIP,
								.parallel = 1,
								.directory = wal_directory,
								.segment_size = WAL_SEGMENT_BYTES,
								.patience_ms = PATIENCE_MS});
	assert_int_equal(archive_one(second), FHA_OK);
	assert_int_equal(fha_archive_count(archive).compared, 1);
}

static void
assert_conflict(const Bytes *content)
{
	static const char key[] = FOLDER "000000010000000000000001.gz";
	Bytes before = {.data = NULL};

	put_object(key, content, FHA_COMPRESSION_GZIP, NULL);
	bytes_add(&before, memory_object(key)->now.data, memory_object(key)->now.size);
	assert_int_equal(archive_one(first), FHA_CONFLICT);
	assert_said(FHA_CONFLICT, key);
	assert_said(FHA_CONFLICT, "000000010000000000000001 of this server");
	assert_said(FHA_CONFLICT, "nothing was replaced");
	assert_true(bytes_are(&before, memory_object(key)->now.data, memory_object(key)->now.size));
	bytes_free(&before);
}

static void
other_content_is_a_conflict(void **state)
{
	static const size_t places[] = {100, WAL_SEGMENT_BYTES / 2, WAL_SEGMENT_BYTES - 1};
	Bytes bytes = wal_segment(first, 1);

	(void) state;
	wal_make_segment(first, 1);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		bytes.data[places[i]] ^= 1;
		assert_conflict(&bytes);
		bytes.data[places[i]] ^= 1;
	}
	bytes_add(&bytes, "x", 1);
	assert_conflict(&bytes);
	bytes.size -= 2;
	assert_conflict(&bytes);
	bytes.size = 0;
	assert_conflict(&bytes);
	bytes_free(&bytes);
	assert_int_equal(fha_archive_count(archive).files, 0);
}

/* An object that a writer of another kind left half. */
static void
a_damaged_object_is_told_and_left(void **state)
{
	static const char key[] = FOLDER "000000010000000000000001.gz";
	MemoryObject *object;

	(void) state;
	wal_make_segment(first, 1);
	put_segment(key, first, 1, FHA_COMPRESSION_GZIP, NULL);
	object = memory_object(key);
	object->now.size -= 9;
	assert_int_equal(archive_one(first), FHA_CONFLICT);
	assert_said(FHA_CONFLICT, "is damaged (gzip that ends too early); nothing was replaced");
	object->now.data[object->now.size / 2] ^= 1;
	assert_int_equal(archive_one(first), FHA_CONFLICT);
	object->now.size = 0;
	assert_int_equal(archive_one(first), FHA_CONFLICT);
	assert_said(FHA_CONFLICT, "is damaged");
	/* What an operator does. */
	object->deleted = true;
	assert_int_equal(archive_one(first), FHA_IO);
	assert_int_equal(archive_one(first), FHA_OK);
	assert_archived(key, first);
}

/* After a change of the compression or of the encryption no file lies there twice. */
static void
a_file_under_another_key(void **state)
{
	FhaArchiveSettings settings = usual;

	(void) state;
	wal_make_segment(first, 1);
	put_segment(FOLDER "000000010000000000000001.zst", first, 1, FHA_COMPRESSION_ZSTD, NULL);
	assert_int_equal(archive_one(first), FHA_OK);
	wal_make_segment(second, 2);
	put_segment(FOLDER "000000010000000000000002", second, 1, FHA_COMPRESSION_NONE, NULL);
	reopen(usual);
	assert_int_equal(archive_one(second), FHA_CONFLICT);
	assert_said(FHA_CONFLICT, FOLDER "000000010000000000000002\"");
	wal_make_segment(third, 1);
	put_segment(FOLDER "000000010000000000000003.gz.tink", third, 1, FHA_COMPRESSION_GZIP, &keys);
	reopen(usual);
	assert_int_equal(archive_one(third), FHA_CONFLICT);
	assert_said(FHA_CONFLICT, "encrypted, and without a key");
	settings.keys = &other_keys;
	reopen(settings);
	assert_int_equal(archive_one(third), FHA_CONFLICT);
	assert_said(FHA_CONFLICT, "cannot be opened");
	settings.keys = &keys;
	settings.compression = FHA_COMPRESSION_LZ4;
	reopen(settings);
	assert_int_equal(archive_one(third), FHA_OK);
	wal_write("00000002.history", "1\t0/1000\tno reason\n", 19);
	memory_store(SERVER "/wals/00000002.history", "1\t0/1000\tno reason\n", 19);
	assert_int_equal(archive_one("00000002.history"), FHA_OK);
	assert_int_equal(objects(), 4);
	/* With other keys the object has the very key that would be written. */
	assert_int_equal(packs, 1);
}

/* A listing has pages; and it is not believed for ever. */
static void
a_listing_of_several_pages(void **state)
{
	char key[FHA_OBJECT_KEY_SIZE];

	(void) state;
	for (unsigned i = 0; i < FHA_STORE_LIST_MAX + 10; i++)
	{
		(void) snprintf(key, sizeof(key), FOLDER "0000000100000000%08X.lz4", i + 0x100);
		memory_store(key, "x", 1);
	}
	wal_make_segment("000000010000000000000FFF", 1);
	put_segment(FOLDER "000000010000000000000FFF.zst", "000000010000000000000FFF", 1,
				FHA_COMPRESSION_ZSTD, NULL);
	assert_int_equal(archive_one("000000010000000000000FFF"), FHA_OK);
	assert_int_equal(fha_archive_count(archive).compared, 1);
	wal_make_segment(first, 1);
	put_segment(FOLDER "000000010000000000000001.zst", first, 2, FHA_COMPRESSION_ZSTD, NULL);
	played_now_ms += FHA_OTHERS_GOOD_MS + 1;
	assert_int_equal(archive_one(first), FHA_CONFLICT);
}

/* A directory of the archive is listed once, whatever lies in it. */
static void
a_listing_serves_many_files(void **state)
{
	char name[FHA_WAL_FILE_SIZE];

	(void) state;
	for (unsigned i = 0; i < 8; i++)
	{
		(void) snprintf(name, sizeof(name), "00000001000000000000000%X", i);
		wal_make_segment(name, i);
		assert_int_equal(archive_one(name), FHA_OK);
	}
	assert_int_equal(memory_tried, 1 + 8);
}

/* --- order */

static void
each_file_is_told_when_it_is_asked_for(void **state)
{
	static const char *const ahead[] = {second, "no name", third, third};

	(void) state;
	wal_make_segment(first, 1);
	wal_make_segment(second, 2);
	wal_make_segment(third, 3);
	assert_int_equal(fha_archive_send(archive, first, ahead, 4, &err), FHA_OK);
	assert_int_equal(fha_archive_step(archive, second, &err), FHA_INVALID);
	assert_int_equal(finish(first), FHA_OK);
	for (;;)
	{
		assert_int_equal(fha_archive_step(archive, second, &err), FHA_INVALID);
		assert_int_equal(fha_archive_step(archive, first, &err), FHA_OK);
		if (objects() == 3)
			break;
		wait_for(archive);
	}
	/* They are told at once then, and not sent again. */
	assert_int_equal(memory_tried, 4);
	assert_int_equal(fha_archive_send(archive, second, ahead + 2, 1, &err), FHA_OK);
	assert_int_equal(finish(second), FHA_OK);
	assert_int_equal(archive_one(third), FHA_OK);
	assert_int_equal(memory_tried, 4);
	assert_int_equal(packs, 3);
}

/* The first one is refused for a while, and those after it get on. */
static void
a_file_waits_for_its_own_answer(void **state)
{
	static const char *const ahead[] = {second};

	(void) state;
	wal_make_segment(first, 1);
	wal_make_segment(second, 2);
	memory_hang();
	assert_int_equal(fha_archive_send(archive, first, NULL, 0, &err), FHA_OK);
	tries_are(1, first);
	memory_release();
	played_now_ms += PATIENCE_MS;
	assert_int_equal(finish(first), FHA_TIMEOUT);
	script_clear();
	assert_int_equal(fha_archive_send(archive, first, NULL, 0, &err), FHA_OK);
	tries_are(1, first);
	memory_hang();
	tries_are(2, first);
	/* Its PUT has no answer; that of the second one has. */
	memory_release();
	assert_int_equal(fha_archive_send(archive, first, ahead, 1, &err), FHA_OK);
	tries_are(3, first);
	assert_non_null(memory_object(FOLDER "000000010000000000000002.gz"));
	for (int i = 0; i < 5; i++)
		assert_int_equal(fha_archive_step(archive, first, &err), FHA_AGAIN);
	assert_null(memory_object(FOLDER "000000010000000000000001.gz"));
	played_now_ms += PATIENCE_MS;
	assert_int_equal(finish(first), FHA_UNKNOWN);
	assert_int_equal(fha_archive_send(archive, first, ahead, 1, &err), FHA_OK);
	assert_int_equal(finish(first), FHA_OK);
	assert_archived(FOLDER "000000010000000000000001.gz", first);
}

/* --- the store fails */

typedef struct StoreFailure
{
	FhaCode code;
	FhaCode told; /* OK: it is tried again, with success */
	FhaCode lasting;
} StoreFailure;

/* place: of the try that fails: the listing, the PUT, the GET. */
static void
play_failure(const StoreFailure *failure, size_t place, size_t count, FhaCode expected)
{
	script_clear();
	memory_clear();
	reopen(usual);
	if (place == 2)
		put_segment(FOLDER "000000010000000000000001.gz", first, 1, FHA_COMPRESSION_GZIP, NULL);
	script(place, FHA_OK);
	script(count, failure->code);
	if (archive_one(first) != expected)
		fail_msg("try %zu brings %d %zu times: %d and not %d (%s)", place, failure->code, count,
				 err.code, expected, err.text);
	if (expected == FHA_OK)
		return;
	assert_said(expected, "as the script says");
	/* It begins again when it is sent again. */
	script_clear();
	if (place < 2)
		assert_null(memory_object(FOLDER "000000010000000000000001.gz"));
	assert_int_equal(archive_one(first), FHA_OK);
	assert_archived(FOLDER "000000010000000000000001.gz", first);
}

static void
each_failure_of_the_store(void **state)
{
	static const StoreFailure failures[] = {
		{FHA_DENIED, FHA_DENIED, FHA_DENIED},    {FHA_FULL, FHA_FULL, FHA_FULL},
		{FHA_INVALID, FHA_INVALID, FHA_INVALID}, {FHA_NOT_FOUND, FHA_INVALID, FHA_INVALID},
		{FHA_AGAIN, FHA_OK, FHA_TIMEOUT},        {FHA_IO, FHA_OK, FHA_IO},
		{FHA_TIMEOUT, FHA_OK, FHA_TIMEOUT},      {FHA_PROTOCOL, FHA_OK, FHA_PROTOCOL},
		{FHA_NO_MEMORY, FHA_OK, FHA_NO_MEMORY}};

	(void) state;
	wal_make_segment(first, 1);
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
	{
		for (size_t place = 0; place < 3; place++)
		{
			bool is_gone = place == 2 && failures[i].code == FHA_NOT_FOUND;

			play_failure(&failures[i], place, 1, is_gone ? FHA_IO : failures[i].told);
			play_failure(&failures[i], place, 28, is_gone ? FHA_IO : failures[i].lasting);
		}
	}
	play_failure(&(StoreFailure){.code = FHA_UNKNOWN}, 1, 1, FHA_OK);
	play_failure(&(StoreFailure){.code = FHA_UNKNOWN}, 1, 28, FHA_UNKNOWN);
}

/* The answer of a write that was applied is lost. */
static void
an_answer_that_is_lost(void **state)
{
	(void) state;
	wal_make_segment(first, 1);
	memory_lose_answer();
	assert_int_equal(archive_one(first), FHA_OK);
	assert_archived(FOLDER "000000010000000000000001.gz", first);
	assert_int_equal(fha_archive_count(archive).compared, 1);
}

/* A body that ends early is no end of an object. */
static void
a_comparison_that_is_cut(void **state)
{
	(void) state;
	wal_make_segment(first, 1);
	put_segment(FOLDER "000000010000000000000001.gz", first, 1, FHA_COMPRESSION_GZIP, NULL);
	memory_cut_body(1000);
	assert_int_equal(archive_one(first), FHA_OK);
	world.fault = MEMORY_BODY_ENDS_EARLY;
	reopen(usual);
	assert_int_equal(archive_one(first), FHA_IO);
	world.fault = MEMORY_RIGHT;
	assert_int_equal(archive_one(first), FHA_OK);
}

/* A retry finds what was packed. */
static void
nothing_is_packed_twice(void **state)
{
	static const char *const ahead[] = {second};

	(void) state;
	wal_make_segment(first, 1);
	wal_make_segment(second, 1);
	script(1, FHA_OK);
	script(8, FHA_DENIED);
	for (int i = 0; i < 3; i++)
	{
		assert_int_equal(fha_archive_send(archive, first, ahead, 1, &err), FHA_OK);
		assert_int_equal(finish(first), FHA_DENIED);
	}
	script_clear();
	assert_int_equal(fha_archive_send(archive, first, ahead, 1, &err), FHA_OK);
	assert_int_equal(finish(first), FHA_OK);
	assert_int_equal(archive_one(second), FHA_OK);
	assert_int_equal(packs, 2);
}

/* While calls are still tried again. */
static void
trouble_shows_at_once(void **state)
{
	FhaError why;

	(void) state;
	wal_make_segment(first, 1);
	for (size_t place = 0; place < 2; place++)
	{
		script_clear();
		memory_clear();
		reopen(usual);
		assert_false(fha_archive_trouble(archive, &why));
		script(place, FHA_OK);
		script(2, FHA_IO);
		assert_int_equal(fha_archive_send(archive, first, NULL, 0, &err), FHA_OK);
		while (!fha_archive_trouble(archive, &why))
		{
			assert_int_equal(fha_archive_step(archive, first, &err), FHA_AGAIN);
			wait_for(archive);
		}
		assert_int_equal(why.code, FHA_IO);
		assert_string_equal(why.text, "as the script says");
		assert_int_equal(finish(first), FHA_OK);
		assert_false(fha_archive_trouble(archive, &why));
	}
	script(1, FHA_DENIED);
	wal_make_segment(second, 1);
	assert_int_equal(archive_one(second), FHA_DENIED);
	assert_true(fha_archive_trouble(archive, &why));
	assert_int_equal(why.code, FHA_DENIED);
}

/* --- what lies in pg_wal changes */

static void
a_file_that_changes(void **state)
{
	static const char *const ahead[] = {second};

	(void) state;
	wal_make_segment(first, 1);
	wal_make_segment(second, 2);
	assert_int_equal(fha_archive_send(archive, first, ahead, 1, &err), FHA_OK);
	assert_int_equal(finish(first), FHA_OK);
	while (objects() < 2)
	{
		assert_int_equal(fha_archive_step(archive, first, &err), FHA_OK);
		wait_for(archive);
	}
	/* What was archived ahead is not what is asked for. */
	wal_make_segment(second, 3);
	assert_int_equal(archive_one(second), FHA_CONFLICT);
	/* What was packed is not what is asked for. */
	wal_make_segment(third, 4);
	script(1, FHA_DENIED);
	assert_int_equal(archive_one(third), FHA_DENIED);
	wal_make_segment(third, 5);
	assert_int_equal(archive_one(third), FHA_OK);
	assert_archived(FOLDER "000000010000000000000003.gz", third);
}

/* --- caps */

static void
send_many(unsigned count)
{
	static char names[FHA_ARCHIVE_AHEAD_MAX + 8][FHA_WAL_FILE_SIZE];
	const char *ahead[FHA_ARCHIVE_AHEAD_MAX + 8];

	for (unsigned i = 0; i < count; i++)
	{
		(void) snprintf(names[i], sizeof(names[i]), "0000000100000000%08X", i + 2);
		ahead[i] = names[i];
		wal_make_segment(names[i], i);
	}
	wal_make_segment(first, 1);
	assert_int_equal(fha_archive_send(archive, first, ahead, count, &err), FHA_OK);
}

/* Steps until so much was packed and tried, with a store that answers nothing; and no more is. */
static void
settle(unsigned packed, size_t tried)
{
	struct pollfd ready = {.fd = fha_archive_fd(archive), .events = POLLIN};
	bool is_there;

	do
	{
		assert_int_equal(fha_archive_step(archive, first, &err), FHA_AGAIN);
		is_there = packs >= packed && memory_tried >= tried;
	} while (poll(&ready, 1, is_there ? 100 : BOUND_MS) == 1);
	assert_int_equal(packs, packed);
	assert_int_equal(memory_tried, tried);
}

static void
memory_and_calls_have_a_cap(void **state)
{
	FhaArchiveSettings settings = usual;

	(void) state;
	settings.compression = FHA_COMPRESSION_NONE;
	settings.memory = 5 * WAL_SEGMENT_BYTES;
	settings.parallel = 3;
	reopen(settings);
	send_many(12);
	tries_are(1, first);
	memory_hang();
	/* Four whole segments and what one more could become are above five. */
	settle(4, 1 + 3);
	/* The one that is asked for is packed and sent in any case. */
	settings.memory = 0;
	reopen(settings);
	memory_release();
	script_clear();
	packs = 0;
	send_many(12);
	assert_int_equal(finish(first), FHA_OK);
	assert_int_equal(packs, 1);
}

static void
more_than_there_is_room_for(void **state)
{
	(void) state;
	send_many(FHA_ARCHIVE_AHEAD_MAX + 8);
	assert_int_equal(finish(first), FHA_OK);
	while (objects() < 1 + FHA_ARCHIVE_AHEAD_MAX)
	{
		assert_int_equal(fha_archive_step(archive, first, &err), FHA_OK);
		wait_for(archive);
	}
	assert_int_equal(packs, 1 + FHA_ARCHIVE_AHEAD_MAX);
}

/* What is named no more is not sent, and what is under way is given up. */
static void
what_is_named_no_more_is_dropped(void **state)
{
	(void) state;
	send_many(6);
	tries_are(1, first);
	memory_hang();
	tries_are(4, first);
	memory_release();
	memory_tried = 0;
	wal_make_segment("000000010000000000000020", 1);
	assert_int_equal(archive_one("000000010000000000000020"), FHA_OK);
	assert_int_equal(memory_tried, 1);
	assert_int_equal(objects(), 1);
	/* They are as new when they are named again. */
	send_many(2);
	assert_int_equal(finish(first), FHA_OK);
	/* Closed in the middle. */
	send_many(20);
	fha_archive_close(archive);
	archive = NULL;
}

static void
settings_that_cannot_be(void **state)
{
	FhaArchiveSettings wrong[8];
	FhaArchive *none;

	(void) state;
	for (size_t i = 0; i < 8; i++)
		wrong[i] = usual;
	wrong[0].server = "a/b";
	wrong[1].parallel = 0;
	wrong[2].parallel = FHA_ARCHIVE_PARALLEL_MAX + 1;
	wrong[3].segment_size = 0;
	wrong[4].patience_ms = 0;
	wrong[5].level = 40;
	wrong[6].compression = FHA_COMPRESSION_XZ;
	wrong[7].directory = "/nonexistent/pg_wal";
	for (size_t i = 0; i < 8; i++)
	{
		assert_int_equal(fha_archive_open(&none, &wrong[i], &err), i < 7 ? FHA_INVALID : FHA_IO);
		assert_null(none);
	}
	assert_int_equal(fha_archive_step(archive, first, &err), FHA_INVALID);
}

/* --- a directory as the store */

static void
open_directory(FhaArchive **out)
{
	FhaArchiveSettings settings = usual;

	store = (FhaStoreSettings){.kind = FHA_STORE_DIR};
	(void) snprintf(store.path, sizeof(store.path), "%s", store_directory);
	settings.patience_ms = BOUND_MS;
	assert_int_equal(fha_archive_open(out, &settings, &err), FHA_OK);
}

static int
set_up_directory(void **state)
{
	(void) set_up(state);
	fha_archive_close(archive);
	archive = NULL;
	plays = false;
	(void) snprintf(store_directory, sizeof(store_directory), "%s/fha-store-XXXXXX",
					access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	return mkdtemp(store_directory) == NULL;
}

static int
tear_down_directory(void **state)
{
	(void) tear_down(state);
	wal_remove_tree(store_directory);
	memset(&store, 0, sizeof(store));
	return 0;
}

static void
assert_in_directory(const char *name)
{
	char key[FHA_OBJECT_KEY_SIZE];
	char path[FHA_OBJECT_KEY_SIZE + 64];
	Bytes bytes = {.data = NULL};
	MemoryBytes object;
	char piece[65536];
	size_t got;
	FILE *file;

	(void) snprintf(key, sizeof(key), FOLDER "%s.gz", name);
	(void) snprintf(path, sizeof(path), "%s/%s", store_directory, key);
	file = fopen(path, "r");
	assert_non_null(file);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		bytes_add(&bytes, piece, got);
	(void) fclose(file);
	object = (MemoryBytes){.data = bytes.data, .size = bytes.size};
	assert_object_is(key, &object, name);
	bytes_free(&bytes);
}

static void
files_into_a_directory(void **state)
{
	static const char *const all[] = {first, second, third, "000000010000000000000004"};

	(void) state;
	for (unsigned i = 0; i < 4; i++)
		wal_make_segment(all[i], i);
	open_directory(&archive);
	for (size_t i = 0; i < 4; i++)
	{
		assert_int_equal(fha_archive_send(archive, all[i], all + i + 1, 3 - i, &err), FHA_OK);
		assert_int_equal(finish(all[i]), FHA_OK);
		assert_in_directory(all[i]);
	}
	assert_int_equal(fha_archive_count(archive).files, 4);
}

/* Both at once, as a former leader and the new one would.  The first segment is the same in both directories, the second is not. */
static void
two_archivers_of_one_segment(void **state)
{
	char other_directory[sizeof(wal_directory)];
	FhaArchive *two[2];

	(void) state;
	wal_make_segment(first, 1);
	wal_make_segment(second, 1);
	open_directory(&two[0]);
	memcpy(other_directory, wal_directory, sizeof(other_directory));
	wal_make_directory();
	wal_make_segment(first, 1);
	wal_make_segment(second, 2);
	open_directory(&two[1]);
	for (unsigned round = 0; round < 2; round++)
	{
		const char *file = round == 0 ? first : second;
		FhaCode codes[2];

		for (size_t i = 0; i < 2; i++)
			assert_int_equal(fha_archive_send(two[i], file, NULL, 0, &err), FHA_OK);
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(fha_archive_step(two[i], file, &err), FHA_AGAIN);
		for (size_t i = 0; i < 2; i++)
			codes[i] = finish_it(two[i], file);
		assert_true(codes[0] == FHA_OK || codes[1] == FHA_OK);
		assert_int_equal(codes[0] == FHA_OK ? codes[1] : codes[0],
						 round == 0 ? FHA_OK : FHA_CONFLICT);
	}
	fha_archive_close(two[0]);
	fha_archive_close(two[1]);
	wal_remove_tree(other_directory);
}

int
main(void)
{
#define PLAYED(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ON_DISK(name) cmocka_unit_test_setup_teardown(name, set_up_directory, tear_down_directory)
	const struct CMUnitTest tests[] = {
		PLAYED(each_compression_sealed_or_not),
		PLAYED(each_kind_of_file),
		PLAYED(a_file_that_is_not_what_its_name_says),
		PLAYED(the_same_content_is_archived),
		PLAYED(other_content_is_a_conflict),
		PLAYED(a_damaged_object_is_told_and_left),
		PLAYED(a_file_under_another_key),
		PLAYED(a_listing_of_several_pages),
		PLAYED(a_listing_serves_many_files),
		PLAYED(each_file_is_told_when_it_is_asked_for),
		PLAYED(a_file_waits_for_its_own_answer),
		PLAYED(each_failure_of_the_store),
		PLAYED(an_answer_that_is_lost),
		PLAYED(a_comparison_that_is_cut),
		PLAYED(nothing_is_packed_twice),
		PLAYED(trouble_shows_at_once),
		PLAYED(a_file_that_changes),
		PLAYED(memory_and_calls_have_a_cap),
		PLAYED(more_than_there_is_room_for),
		PLAYED(what_is_named_no_more_is_dropped),
		PLAYED(settings_that_cannot_be),
		ON_DISK(files_into_a_directory),
		ON_DISK(two_archivers_of_one_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
