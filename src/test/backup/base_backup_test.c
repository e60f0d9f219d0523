/*
 * base_backup_test.c: what a server sends becomes objects of a store; a store that fails, a server that sends something else,
 * and a death at each call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backup/base_backup.h"
#include "backup/compress.h"
#include "backup/removal.h"
#include "backup/tar.h"
#include "base/clock.h"
#include "test/backup/archive.h"
#include "test/backup/tar_entries.h"
#include "test/store/memory_store.c"

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define TABLESPACE 16411u
#define BEGAN_S INT64_C(1795329531)
#define ID "20261122T063851"
#define NEXT_ID "20261122T063852"
#define LABEL "START WAL LOCATION: 0/5000028 (file 000000010000000000000005)\n"
#define MANIFEST "{ \"PostgreSQL-Backup-Manifest-Version\": 1 }\n"
#define TWO_PARTS (6 * 1024 * 1024)
#define FOLDER SERVER "/base/" ID "/"

/* --- calls of the store, counted */

typedef struct Watch
{
	unsigned calls;
	unsigned dies_at;   /* before it is started; 0: never */
	bool is_noted;      /* into `story` */
	FhaStoreVerb loses; /* the answer to that is lost, once; STAT: none */
	char story[4000];
} Watch;

static Watch watch;

FhaCode __real_fha_store_start(FhaStore *store, const FhaStoreRequest *request, FhaStoreCall **call,
							   FhaError *err);
FhaCode __wrap_fha_store_start(FhaStore *store, const FhaStoreRequest *request, FhaStoreCall **call,
							   FhaError *err);

static void
watch_note(const FhaStoreRequest *request)
{
	static const char *const verbs[] = {"stat", "get",   "put",      "list",  "delete", "begin",
										"part", "parts", "complete", "abort", "uploads"};
	const char *slash = request->key == NULL ? NULL : strrchr(request->key, '/');
	size_t used = strlen(watch.story);

	(void) snprintf(watch.story + used, sizeof(watch.story) - used, "%s%s %s",
					used == 0 ? "" : ", ", verbs[request->verb], slash == NULL ? "-" : slash + 1);
	if (request->verb == FHA_STORE_DELETE && request->key_count == 1)
	{
		used = strlen(watch.story);
		(void) snprintf(watch.story + used, sizeof(watch.story) - used, "(%s)",
						strrchr(request->keys[0], '/') + 1);
	}
}

FhaCode
__wrap_fha_store_start(FhaStore *store, const FhaStoreRequest *request, FhaStoreCall **call,
					   FhaError *err)
{
	if (++watch.calls == watch.dies_at)
		(void) kill(getpid(), SIGKILL);
	if (watch.is_noted)
		watch_note(request);
	if (watch.loses != FHA_STORE_STAT && request->verb == watch.loses)
		memory_lose_answer();
	return __real_fha_store_start(store, request, call, err);
}

/* --- a directory as the store */

static char root[64];

static int
remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void) status;
	(void) kind;
	(void) where;
	return remove(path);
}

static int
set_up(void **state)
{
	(void) state;
	(void) snprintf(root, sizeof(root), "%s/fha-backup-XXXXXX",
					access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	watch = (Watch){.calls = 0};
	memory_script_count = memory_script_at = memory_tried = 0;
	return mkdtemp(root) == NULL ? -1 : 0;
}

static int
tear_down(void **state)
{
	(void) state;
	memory_clear();
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static FhaStore *
directory(void)
{
	FhaStoreSettings settings = {.kind = FHA_STORE_DIR};
	FhaStore *store;
	FhaError err;

	(void) snprintf(settings.path, sizeof(settings.path), "%s", root);
	if (fha_store_open(&store, &settings, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return store;
}

/* What a call brings, which must work. */
static FhaStoreAnswer
call(FhaStore *store, FhaStoreRequest request)
{
	FhaStoreAnswer answer;

	request.deadline_at_ms = fha_now_ms() + STREAMS_BOUND_MS;
	if (fha_store_call(store, &request, &answer) != FHA_OK)
		fail_msg("%s", answer.error.text);
	return answer;
}

static size_t
take_bytes(const char *data, size_t size, void *owner)
{
	bytes_add(owner, data, size);
	return size;
}

static Bytes
object(FhaStore *store, const char *key)
{
	Bytes bytes = {.data = NULL};

	(void) call(store, (FhaStoreRequest){
						   .verb = FHA_STORE_GET, .key = key, .take = take_bytes, .owner = &bytes});
	return bytes;
}

static bool
is_empty(FhaStore *store)
{
	return call(store, (FhaStoreRequest){.verb = FHA_STORE_LIST}).object_count == 0 &&
		   call(store, (FhaStoreRequest){.verb = FHA_STORE_UPLOADS}).object_count == 0;
}

/* --- what the server sends */

/* bulk: bytes of a file that cannot be compressed. */
static Bytes
data_archive(size_t bulk)
{
	Bytes tar = {.data = NULL};
	Chance chance = {.state = 3};
	char *noise;
	char size[24];

	add_file(&tar, "backup_label", LABEL);
	add_file(&tar, "PG_VERSION", "15\n");
	add_entry(&tar, "pg_tblspc/16411", '2', "", "/srv/t");
	(void) snprintf(size, sizeof(size), "%011zo", bulk);
	add_header(&tar, "base/1/1259", '0', size, "");
	noise = malloc(bulk);
	assert_non_null(noise);
	for (size_t i = 0; i < bulk; i++)
		noise[i] = (char) chance_next(&chance);
	bytes_add(&tar, noise, bulk);
	free(noise);
	add_padding(&tar);
	add_file(&tar, "base/1/1260", "rows");
	add_file(&tar, "global/pg_control", "control");
	add_end(&tar);
	return tar;
}

static Bytes
tablespace_archive(void)
{
	Bytes tar = {.data = NULL};

	add_entry(&tar, "PG_15_202209061/", '5', "", "");
	add_file(&tar, "PG_15_202209061/5/16412", "more rows");
	add_end(&tar);
	return tar;
}

typedef struct Server
{
	Bytes data;
	Bytes tablespace;
	bool no_tablespace;
	bool no_manifest;
	bool twice; /* the tablespace */
	uint32_t timeline;
	uint64_t end_lsn;
} Server;

static Server
server_with(size_t bulk)
{
	return (Server){.data = data_archive(bulk),
					.tablespace = tablespace_archive(),
					.timeline = 1,
					.end_lsn = 0x5000138};
}

static void
server_free(Server *server)
{
	bytes_free(&server->data);
	bytes_free(&server->tablespace);
}

static FhaCode
wait_on(const FhaBaseBackup *backup, FhaError *err)
{
	struct pollfd fds[FHA_BASE_BACKUP_FDS];
	int numbers[FHA_BASE_BACKUP_FDS];
	size_t count = fha_base_backup_fds(backup, numbers);
	int64_t left_ms = fha_base_backup_wake_at_ms(backup) - fha_now_ms();

	for (size_t i = 0; i < count; i++)
		fds[i] = (struct pollfd){.fd = numbers[i], .events = POLLIN};
	left_ms = left_ms < 0 ? 0 : left_ms > STREAMS_BOUND_MS ? STREAMS_BOUND_MS : left_ms;
	if (poll(fds, count, (int) left_ms) == 0 && left_ms == STREAMS_BOUND_MS)
		return fha_error(err, FHA_TIMEOUT, "nothing moves any more");
	return FHA_OK;
}

/* Until it has an end. */
static FhaCode
step_to_the_end(FhaBaseBackup *backup, FhaError *err)
{
	FhaCode code;

	while ((code = fha_base_backup_step(backup, err)) == FHA_AGAIN)
	{
		code = wait_on(backup, err);
		if (code != FHA_OK)
			break;
	}
	return code;
}

/* Say it until it is heard; returns when something fails. */
#define SAY(said)                                     \
	do                                                \
	{                                                 \
		for (;;)                                      \
		{                                             \
			code = fha_base_backup_step(backup, err); \
			if (code == FHA_AGAIN)                    \
				code = (said);                        \
			if (code != FHA_AGAIN)                    \
				break;                                \
			code = wait_on(backup, err);              \
			if (code != FHA_OK)                       \
				return code;                          \
		}                                             \
		if (code != FHA_OK)                           \
			return code;                              \
	} while (0)

static FhaCode
send_bytes(FhaBaseBackup *backup, const char *data, size_t size, FhaError *err)
{
	size_t at = 0;

	while (at < size)
	{
		size_t some = size - at < 32768 ? size - at : 32768;
		size_t taken;
		FhaCode code = fha_base_backup_step(backup, err);

		if (code == FHA_AGAIN)
			code = fha_base_backup_write(backup, data + at, some, &taken, err);
		if (code == FHA_OK && taken == 0)
			code = wait_on(backup, err);
		if (code != FHA_OK)
			return code;
		at += taken;
	}
	return FHA_OK;
}

static FhaCode
send_archive(FhaBaseBackup *backup, uint32_t oid, const Bytes *archive, FhaError *err)
{
	FhaCode code;

	SAY(fha_base_backup_archive(backup, oid, err));
	return send_bytes(backup, archive->data, archive->size, err);
}

static FhaCode
send_manifest(FhaBaseBackup *backup, FhaError *err)
{
	FhaCode code;

	SAY(fha_base_backup_manifest(backup, err));
	return send_bytes(backup, MANIFEST, strlen(MANIFEST), err);
}

/* All of it, as BASE_BACKUP does; OK: it is DONE. */
static FhaCode
serve(FhaBaseBackup *backup, const Server *server, FhaError *err)
{
	FhaCode code = FHA_OK;

	if (!server->no_tablespace)
		code = send_archive(backup, TABLESPACE, &server->tablespace, err);
	if (code == FHA_OK && server->twice)
		code = send_archive(backup, TABLESPACE, &server->tablespace, err);
	if (code == FHA_OK)
		code = send_archive(backup, FHA_DATA_DIRECTORY, &server->data, err);
	if (code != FHA_OK)
		return code;
	if (!server->no_manifest)
		code = send_manifest(backup, err);
	if (code != FHA_OK)
		return code;
	SAY(fha_base_backup_end(backup, server->timeline, server->end_lsn,
							(BEGAN_S + 60) * INT64_C(1000000), err));
	return step_to_the_end(backup, err);
}

static FhaBackupInfo
begun(void)
{
	static FhaTablespace tablespace = {.oid = TABLESPACE, .name = "t", .location = "/srv/t"};
	FhaBackupInfo info = {.version = 150014,
						  .systemid = 7445301234567890123u,
						  .segment_size = SEGMENT,
						  .begin_time_us = BEGAN_S * 1000000 + 123456,
						  .mode = "concurrent",
						  .server_name = "cloud",
						  .pgdata = "/data",
						  .member = "a",
						  .tablespaces = &tablespace,
						  .tablespace_count = 1};

	fha_backup_info_set_begin(&info, 1, 0x5000028);
	return info;
}

static FhaBaseBackupSettings
settings_of(FhaStore *store)
{
	return (FhaBaseBackupSettings){.store = store,
								   .server = SERVER,
								   .compression = FHA_COMPRESSION_GZIP,
								   .workers = 2,
								   .patience_ms = STREAMS_BOUND_MS};
}

static FhaBaseBackup *
backup_of(const FhaBaseBackupSettings *settings)
{
	FhaBackupInfo info = begun();
	FhaBaseBackup *backup;
	FhaError err;

	if (fha_base_backup_open(&backup, settings, &info, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return backup;
}

static void
assert_backed_up(FhaBaseBackup *backup, const Server *server)
{
	FhaError err;

	if (serve(backup, server, &err) != FHA_OK)
		fail_msg("%s", err.text);
	assert_int_equal(fha_base_backup_step(backup, &err), FHA_OK);
}

/* --- what is in the store, as the catalogue sees it */

static FhaCatalogue *
catalogue_of(FhaStore *store, bool has_ended, bool has_wal)
{
	FhaCatalogue *catalogue = fha_catalogue_new(SERVER);
	FhaStoreAnswer answer = call(store, (FhaStoreRequest){.verb = FHA_STORE_LIST});
	bool has_info = false;
	FhaError err;

	for (size_t i = 0; i < answer.object_count; i++)
	{
		has_info |= strcmp(answer.objects[i].key, FOLDER "backup.info") == 0;
		assert_int_equal(fha_catalogue_add(catalogue, answer.objects[i].key, answer.objects[i].size,
										   BEGAN_S, &err),
						 FHA_OK);
	}
	if (has_info)
	{
		Bytes info = object(store, FOLDER "backup.info");

		assert_int_equal(fha_catalogue_put_info(catalogue, ID, info.data, info.size, &err), FHA_OK);
		bytes_free(&info);
	}
	if (has_ended)
		fha_catalogue_put_ended(catalogue, ID);
	if (has_wal)
		assert_int_equal(fha_catalogue_add(
							 catalogue, SERVER "/wals/0000000100000000/000000010000000000000005.gz",
							 1, BEGAN_S, &err),
						 FHA_OK);
	fha_catalogue_finish(catalogue, BEGAN_S + 100);
	return catalogue;
}

static FhaBackupState
state_of(FhaStore *store, bool has_ended, bool has_wal)
{
	FhaCatalogue *catalogue = catalogue_of(store, has_ended, has_wal);
	FhaBackupState state;

	assert_int_equal(fha_catalogue_count(catalogue), 1);
	state = fha_catalogue_backup(catalogue, 0)->state;
	fha_catalogue_free(catalogue);
	return state;
}

/* The object unpacked: name is without the endings of `compression` and of encryption. */
static Bytes
unpacked(FhaStore *store, const char *name, FhaCompression compression, const FhaSealKeys *keys)
{
	FhaStream *links[2] = {NULL, NULL};
	FhaStream *chain;
	Bytes stored;
	Bytes back = {.data = NULL};
	char key[200];
	FhaError err;

	(void) snprintf(key, sizeof(key), FOLDER "%s%s%s", name, fha_compression_suffix(compression),
					keys == NULL ? "" : FHA_ENCRYPTED_SUFFIX);
	stored = object(store, key);
	assert_int_equal(fha_decompress_open(&links[keys == NULL ? 0 : 1], compression, &err), FHA_OK);
	if (keys != NULL)
		assert_int_equal(fha_unseal_open(&links[0], keys, key, &err), FHA_OK);
	assert_int_equal(fha_chain_open(&chain, links, keys == NULL ? 1 : 2, &err), FHA_OK);
	if (stream_pass(chain, stored.data, stored.size, 100000, NULL, &back, &err) != FHA_OK)
		fail_msg("%s: %s", key, err.text);
	bytes_free(&stored);
	return back;
}

/* The paths of its entries, each with ";". */
static void
assert_entries(const Bytes *archive, const char *expected)
{
	char story[1000] = "";
	const char *data = archive->data;
	size_t size = archive->size;
	FhaTarEvent event = FHA_TAR_DONE;
	FhaTar *tar;
	FhaError err;

	assert_int_equal(fha_tar_open(&tar, FHA_TAR_FILE | FHA_TAR_DIRECTORY, &err), FHA_OK);
	while (event != FHA_TAR_MORE)
	{
		const char *part;
		size_t part_size;

		assert_int_equal(fha_tar_next(tar, &data, &size, &event, &part, &part_size, &err), FHA_OK);
		if (event == FHA_TAR_ENTRY)
		{
			(void) strcat(story, fha_tar_entry(tar)->path);
			(void) strcat(story, ";");
		}
	}
	assert_int_equal(fha_tar_finish(tar, &err), FHA_OK);
	fha_tar_close(tar);
	assert_string_equal(story, expected);
}

static void
assert_object(FhaStore *store, const char *name, FhaCompression compression,
			  const FhaSealKeys *keys, const char *entries)
{
	Bytes back = unpacked(store, name, compression, keys);

	assert_entries(&back, entries);
	bytes_free(&back);
}

/* --- a backup that goes well */

static void
a_backup_is_in_the_store(void **state)
{
	static const FhaCompression compressions[] = {FHA_COMPRESSION_NONE, FHA_COMPRESSION_GZIP,
												  FHA_COMPRESSION_ZSTD};
	FhaSealKeys keys;
	FhaError err;

	(void) state;
	assert_int_equal(fha_seal_keys_parse(&keys, KEY, &err), FHA_OK);
	for (size_t i = 0; i < 6; i++)
	{
		FhaStore *store = directory();
		FhaBaseBackupSettings settings = settings_of(store);
		const FhaSealKeys *of = i % 2 == 0 ? NULL : &keys;
		Server server = server_with(300000);
		FhaBaseBackup *backup;
		FhaRemoval *removal;
		Bytes manifest;
		FhaCode code;

		settings.compression = compressions[i / 2];
		settings.keys = of;
		backup = backup_of(&settings);
		assert_backed_up(backup, &server);
		assert_string_equal(fha_base_backup_id(backup), ID);
		assert_int_equal(fha_base_backup_count(backup).objects, 3);
		assert_int_equal(fha_base_backup_count(backup).read,
						 server.data.size + server.tablespace.size + strlen(MANIFEST));
		fha_base_backup_close(backup);
		assert_object(store, "data.tar", settings.compression, of,
					  "PG_VERSION;base/1/1259;base/1/1260;global/pg_control;backup_label;");
		assert_object(store, "16411.tar", settings.compression, of,
					  "PG_15_202209061;PG_15_202209061/5/16412;");
		manifest = unpacked(store, "backup_manifest", settings.compression, of);
		assert_true(bytes_are(&manifest, MANIFEST, strlen(MANIFEST)));
		bytes_free(&manifest);
		assert_int_equal(state_of(store, false, true), FHA_BACKUP_USABLE);
		assert_int_equal(state_of(store, false, false), FHA_BACKUP_WAITING);
		assert_int_equal(
			fha_removal_open(&removal, store, SERVER, ID, fha_now_ms() + STREAMS_BOUND_MS, &err),
			FHA_OK);
		while ((code = fha_removal_step(removal, &err)) == FHA_AGAIN)
			(void) poll(&(struct pollfd){.fd = fha_store_fd(store), .events = POLLIN}, 1, 100);
		assert_int_equal(code, FHA_OK);
		fha_removal_close(removal);
		assert_true(is_empty(store));
		fha_store_close(store);
		server_free(&server);
	}
}

static void
what_backup_info_says(void **state)
{
	FhaStore *store = directory();
	FhaBaseBackupSettings settings = settings_of(store);
	Server server = server_with(1000);
	FhaBaseBackup *backup = backup_of(&settings);
	FhaBackupInfo info;
	Bytes text;
	char *json;
	FhaError err;

	(void) state;
	assert_string_equal(fha_base_backup_id(backup), "");
	assert_backed_up(backup, &server);
	text = object(store, FOLDER "backup.info");
	assert_int_equal(fha_backup_info_parse(text.data, text.size, &info, &err), FHA_OK);
	assert_int_equal(info.status, FHA_BACKUP_DONE);
	assert_string_equal(info.backup_label, LABEL);
	assert_string_equal(info.begin_wal, "000000010000000000000005");
	assert_string_equal(info.end_wal, "000000010000000000000005");
	assert_int_equal(info.end_lsn, 0x5000138);
	assert_int_equal(info.end_time_us, (BEGAN_S + 60) * 1000000);
	/* Of the files, without the tar around them. */
	assert_int_equal(info.size, strlen(LABEL) + 3 + 1000 + 4 + 7 + 9);
	assert_string_equal(info.member, "a");
	assert_string_equal(info.key_id, "");
	assert_int_equal(info.tablespace_count, 1);
	assert_string_equal(info.tablespaces[0].location, "/srv/t");
	fha_backup_info_free(&info);
	bytes_free(&text);
	assert_int_equal(fha_base_backup_print(backup, "b", 1500, &json, &err), FHA_OK);
	assert_non_null(strstr(json, "\"id\":\"" ID "\""));
	assert_non_null(strstr(json, "\"from\":\"b\""));
	assert_non_null(strstr(json, "\"duration_ms\":1500"));
	free(json);
	fha_base_backup_close(backup);
	fha_store_close(store);
	server_free(&server);
}

static void
what_cannot_be_begun(void **state)
{
	FhaStore *store = directory();
	FhaBaseBackupSettings settings = settings_of(store);
	FhaBackupInfo info = begun();
	FhaBaseBackup *backup;
	FhaRemoval *removal;
	FhaError err;
	size_t taken;

	(void) state;
	settings.server = "a/b";
	assert_int_equal(fha_base_backup_open(&backup, &settings, &info, &err), FHA_INVALID);
	assert_int_equal(fha_removal_open(&removal, store, "a/b", ID, 1, &err), FHA_INVALID);
	assert_int_equal(fha_removal_open(&removal, store, SERVER, "x", 1, &err), FHA_INVALID);
	settings.server = SERVER;
	info.tablespace_count = FHA_TABLESPACES_MAX + 1;
	assert_int_equal(fha_base_backup_open(&backup, &settings, &info, &err), FHA_INVALID);
	/* Bytes of nothing, and two manifests. */
	backup = backup_of(&settings);
	assert_int_equal(fha_base_backup_write(backup, "x", 1, &taken, &err), FHA_INVALID);
	assert_int_equal(fha_base_backup_archive(backup, TABLESPACE, &err), FHA_INVALID);
	fha_base_backup_close(backup);
	backup = backup_of(&settings);
	assert_int_equal(send_manifest(backup, &err), FHA_OK);
	assert_int_equal(send_manifest(backup, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "two manifests"));
	fha_base_backup_close(backup);
	fha_base_backup_close(NULL);
	fha_removal_close(NULL);
	fha_store_close(store);
}

/* backup.info first and last; what comes before it is whole before the next begins. */
static void
the_order_of_calls(void **state)
{
	FhaStore *store = memory_open();
	FhaBaseBackupSettings settings = settings_of(store);
	Server server = server_with(TWO_PARTS);
	FhaBaseBackup *backup = backup_of(&settings);

	(void) state;
	watch.is_noted = true;
	assert_backed_up(backup, &server);
	assert_string_equal(watch.story,
						"put backup.info, put 16411.tar.gz, begin data.tar.gz, part data.tar.gz, "
						"part data.tar.gz, complete data.tar.gz, "
						"put backup_manifest.gz, put backup.info");
	assert_object(store, "data.tar", FHA_COMPRESSION_GZIP, NULL,
				  "PG_VERSION;base/1/1259;base/1/1260;global/pg_control;backup_label;");
	fha_base_backup_close(backup);
	fha_store_close(store);
	server_free(&server);
}

static void
a_large_archive_is_split(void **state)
{
	FhaStore *store = directory();
	FhaBaseBackupSettings settings = settings_of(store);
	Server server = server_with(300000);
	FhaBaseBackup *backup;

	(void) state;
	settings.archive_size = 100000;
	backup = backup_of(&settings);
	assert_backed_up(backup, &server);
	assert_int_equal(fha_base_backup_count(backup).objects, 4);
	fha_base_backup_close(backup);
	assert_object(store, "data.tar", FHA_COMPRESSION_GZIP, NULL, "PG_VERSION;base/1/1259;");
	assert_object(store, "data_0001.tar", FHA_COMPRESSION_GZIP, NULL,
				  "base/1/1260;global/pg_control;backup_label;");
	assert_int_equal(state_of(store, false, true), FHA_BACKUP_USABLE);
	fha_store_close(store);
	server_free(&server);
}

/* --- ids */

static void
an_id_of_another_backup_is_left_alone(void **state)
{
	FhaStore *store = directory();
	FhaBaseBackupSettings settings = settings_of(store);
	Server server = server_with(1000);
	FhaBaseBackup *backup = backup_of(&settings);
	Bytes theirs;
	FhaError err;

	(void) state;
	(void) call(store, (FhaStoreRequest){.verb = FHA_STORE_PUT,
										 .key = FOLDER "backup.info",
										 .data = "theirs",
										 .size = 6});
	assert_backed_up(backup, &server);
	assert_string_equal(fha_base_backup_id(backup), NEXT_ID);
	fha_base_backup_close(backup);
	/* One that has not claimed its id removes nothing. */
	backup = backup_of(&settings);
	assert_int_equal(fha_base_backup_step(backup, &err), FHA_AGAIN);
	fha_base_backup_abandon(backup, fha_now_ms() + STREAMS_BOUND_MS);
	assert_int_equal(fha_base_backup_step(backup, &err), FHA_OK);
	fha_base_backup_close(backup);
	theirs = object(store, FOLDER "backup.info");
	assert_true(bytes_are(&theirs, "theirs", 6));
	bytes_free(&theirs);
	fha_store_close(store);
	server_free(&server);
}

/* The answer was lost: it is our own, unless its bytes are another's. */
static void
a_claim_whose_answer_was_lost(void **state)
{
	Server server = server_with(1000);

	(void) state;
	for (int theirs = 0; theirs <= 1; theirs++)
	{
		FhaStore *store = memory_open();
		FhaBaseBackupSettings settings = settings_of(store);
		FhaBaseBackup *backup = backup_of(&settings);

		if (theirs != 0)
			(void) call(store, (FhaStoreRequest){.verb = FHA_STORE_PUT,
												 .key = FOLDER "backup.info",
												 .data = "theirs",
												 .size = 6});
		memory_lose_answer();
		assert_backed_up(backup, &server);
		assert_string_equal(fha_base_backup_id(backup), theirs != 0 ? NEXT_ID : ID);
		fha_base_backup_close(backup);
		fha_store_close(store);
		memory_clear();
	}
	server_free(&server);
}

/* --- a store that fails for a while */

static void
each_try_that_fails_is_made_again(void **state)
{
	static const FhaCode codes[] = {FHA_AGAIN, FHA_IO, FHA_UNKNOWN};
	Server server = server_with(TWO_PARTS);

	(void) state;
	for (size_t at = 0; at < 24; at++)
	{
		FhaStore *store = memory_open();
		FhaBaseBackupSettings settings = settings_of(store);
		FhaBaseBackup *backup = backup_of(&settings);

		memset(memory_script, 0, sizeof(memory_script));
		memory_script[at / 3].code = codes[at % 3];
		memory_script_at = 0;
		memory_script_count = 32;
		assert_backed_up(backup, &server);
		memory_script_count = 0;
		fha_base_backup_close(backup);
		assert_object(store, "data.tar", FHA_COMPRESSION_GZIP, NULL,
					  "PG_VERSION;base/1/1259;base/1/1260;global/pg_control;backup_label;");
		assert_int_equal(state_of(store, false, true), FHA_BACKUP_USABLE);
		fha_store_close(store);
		memory_clear();
	}
	server_free(&server);
}

/* The upload is gone when it is completed again: the object tells that it was. */
static void
an_upload_whose_completion_was_lost(void **state)
{
	FhaStore *store = memory_open();
	FhaBaseBackupSettings settings = settings_of(store);
	Server server = server_with(TWO_PARTS);
	FhaBaseBackup *backup = backup_of(&settings);
	FhaError err;

	(void) state;
	watch.is_noted = true;
	assert_int_equal(send_archive(backup, TABLESPACE, &server.tablespace, &err), FHA_OK);
	assert_int_equal(send_archive(backup, FHA_DATA_DIRECTORY, &server.data, &err), FHA_OK);
	watch.loses = FHA_STORE_COMPLETE;
	assert_int_equal(send_manifest(backup, &err), FHA_OK);
	assert_non_null(strstr(watch.story, "complete data.tar.gz, stat data.tar.gz"));
	fha_base_backup_close(backup);
	fha_store_close(store);
	server_free(&server);
}

static void
a_store_that_refuses_ends_it(void **state)
{
	Server server = server_with(TWO_PARTS);

	(void) state;
	for (size_t at = 0; at < 8; at++)
	{
		FhaStore *store = memory_open();
		FhaBaseBackupSettings settings = settings_of(store);
		FhaBaseBackup *backup = backup_of(&settings);
		FhaError err;

		memset(memory_script, 0, sizeof(memory_script));
		memory_script[at].code = FHA_FULL;
		memory_script_at = 0;
		memory_script_count = 32;
		assert_int_equal(serve(backup, &server, &err), FHA_FULL);
		assert_non_null(strstr(err.text, "could not store "));
		assert_non_null(strstr(err.text, "as the script says"));
		assert_int_equal(fha_base_backup_step(backup, &err), FHA_FULL);
		memory_script_count = 0;
		fha_base_backup_abandon(backup, fha_now_ms() + STREAMS_BOUND_MS);
		if (at < 7)
		{
			assert_int_equal(step_to_the_end(backup, &err), FHA_OK);
			assert_true(is_empty(store));
		}
		else
			/* What was sent as DONE may be. */
			assert_int_equal(fha_base_backup_step(backup, &err), FHA_FULL);
		fha_base_backup_close(backup);
		fha_store_close(store);
		memory_clear();
	}
	server_free(&server);
}

/* --- a server that sends something else */

static void
assert_server_refused(const Server *server, const char *words)
{
	FhaStore *store = directory();
	FhaBaseBackupSettings settings = settings_of(store);
	FhaBaseBackup *backup = backup_of(&settings);
	FhaError err;
	FhaCode code = serve(backup, server, &err);

	assert_true(code == FHA_INVALID || code == FHA_PROTOCOL);
	if (strstr(err.text, words) == NULL)
		fail_msg("\"%s\" has no \"%s\"", err.text, words);
	/* It is not DONE, and goes. */
	assert_int_equal(state_of(store, true, true), FHA_BACKUP_HALF);
	fha_base_backup_abandon(backup, fha_now_ms() + STREAMS_BOUND_MS);
	assert_int_equal(step_to_the_end(backup, &err), FHA_OK);
	assert_true(is_empty(store));
	fha_base_backup_close(backup);
	fha_store_close(store);
}

static void
what_is_not_whole_is_not_done(void **state)
{
	Server server = server_with(1000);
	Server other;

	(void) state;
	other = server;
	other.no_tablespace = true;
	assert_server_refused(&other, "did not send tablespace 16411");
	other = server;
	other.no_manifest = true;
	assert_server_refused(&other, "did not send a manifest");
	other = server;
	other.twice = true;
	assert_server_refused(&other, "archive of tablespace 16411, which was not expected");
	other = server;
	other.timeline = 2;
	assert_server_refused(&other, "went over to timeline 2");
	other = server;
	other.end_lsn = 0x5000000;
	assert_server_refused(&other, "ends before it begins");
	other = server;
	other.data.size -= 2048;
	assert_server_refused(&other, "ends too early");
	other = server;
	other.data = server.tablespace;
	assert_server_refused(&other, "no backup_label");
	server_free(&server);
}

/* --- a death at each call */

/*
 * Each step is a program of its own, and this one has no thread: what forks from one that has may find a lock that is held for ever.
 */
static int
in_child(bool (*work)(const Server *server), const Server *server, unsigned dies_at)
{
	pid_t child = fork();
	int status;

	if (child == 0)
	{
		watch = (Watch){.dies_at = dies_at};
		_exit(work(server) ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return status;
}

static bool
child_makes(const Server *server)
{
	FhaBaseBackupSettings settings = settings_of(directory());
	FhaError err;

	return serve(backup_of(&settings), server, &err) == FHA_OK;
}

static bool
child_removes(const Server *server)
{
	FhaStore *store = directory();
	FhaRemoval *removal;
	FhaError err;
	FhaCode code =
		fha_removal_open(&removal, store, SERVER, ID, fha_now_ms() + STREAMS_BOUND_MS, &err);

	(void) server;
	while (code == FHA_OK && (code = fha_removal_step(removal, &err)) == FHA_AGAIN)
	{
		(void) poll(&(struct pollfd){.fd = fha_store_fd(store), .events = POLLIN}, 1, 100);
		code = FHA_OK;
	}
	return code == FHA_OK;
}

static bool
child_finds_nothing(const Server *server)
{
	(void) server;
	return is_empty(directory());
}

static bool
child_finds_half(const Server *server)
{
	(void) server;
	return state_of(directory(), true, true) == FHA_BACKUP_HALF;
}

static bool
child_finds_it_usable(const Server *server)
{
	(void) server;
	return state_of(directory(), true, true) == FHA_BACKUP_USABLE;
}

/* Of three archives and backup.info: what lacks one of them is not usable. */
static bool
child_finds_it_going(const Server *server)
{
	FhaStore *store = directory();
	size_t count = call(store, (FhaStoreRequest){.verb = FHA_STORE_LIST}).object_count;

	(void) server;
	return count == 0 || count == 4 || state_of(store, true, true) != FHA_BACKUP_USABLE;
}

/* What is left is half, or it is all there; and it can be removed, by a program that dies at each of its calls, too. */
static void
a_death_at_each_call(void **state)
{
	Server server = server_with(TWO_PARTS);
	unsigned number = 0;
	int status;

	(void) state;
	do
	{
		unsigned step = 1;

		status = in_child(child_makes, &server, ++number);
		(void) in_child(!WIFSIGNALED(status) ? child_finds_it_usable
						: number == 1        ? child_finds_nothing
											 : child_finds_half,
						&server, 0);
		while (WIFSIGNALED(in_child(child_removes, &server, step++)))
			(void) in_child(child_finds_it_going, &server, 0);
		(void) in_child(child_finds_nothing, &server, 0);
	} while (WIFSIGNALED(status));
	assert_int_equal(number, 9);
	server_free(&server);
}

/* --- what is given up */

static void
what_is_abandoned_is_gone(void **state)
{
	FhaStore *store = directory();
	FhaBaseBackupSettings settings = settings_of(store);
	Server server = server_with(TWO_PARTS);
	FhaBaseBackup *backup = backup_of(&settings);
	FhaError err;

	(void) state;
	watch.is_noted = true;
	assert_int_equal(send_archive(backup, TABLESPACE, &server.tablespace, &err), FHA_OK);
	assert_int_equal(send_archive(backup, FHA_DATA_DIRECTORY, &server.data, &err), FHA_OK);
	while (strstr(watch.story, "part data.tar.gz") == NULL)
	{
		assert_int_equal(fha_base_backup_step(backup, &err), FHA_AGAIN);
		assert_int_equal(wait_on(backup, &err), FHA_OK);
	}
	watch.story[0] = '\0';
	fha_base_backup_abandon(backup, fha_now_ms() + STREAMS_BOUND_MS);
	assert_int_equal(step_to_the_end(backup, &err), FHA_OK);
	assert_string_equal(watch.story, "uploads , abort data.tar.gz, list , delete (16411.tar.gz), "
									 "delete (backup.info)");
	assert_int_equal(fha_base_backup_step(backup, &err), FHA_OK);
	watch.is_noted = false;
	assert_true(is_empty(store));
	fha_base_backup_close(backup);
	fha_store_close(store);
	server_free(&server);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, before there is a thread. */
		cmocka_unit_test_setup_teardown(a_death_at_each_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_backup_is_in_the_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_backup_info_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_cannot_be_begun, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_order_of_calls, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_large_archive_is_split, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_id_of_another_backup_is_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_claim_whose_answer_was_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_try_that_fails_is_made_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_upload_whose_completion_was_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_store_that_refuses_ends_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_whole_is_not_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_abandoned_is_gone, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
