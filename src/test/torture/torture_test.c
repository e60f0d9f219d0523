/*
 * torture_test.c: no memory and a failing disk, at each place in turn.
 *
 * Each scene is run with its first allocation (or call to the kernel) failing, then with its second,
 * until none fails any more.  Whatever fails, the scene ends with a code and a text, nothing leaks
 * (ASan's leak check at the end, and the count of open descriptors), and what is then on disk is
 * the old or the new, whole.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/compress.h"
#include "backup/parts.h"
#include "backup/seal.h"
#include "backup/tar_filter.h"
#include "base/clock.h"
#include "config/state_directory.h"
#include "lock/dir/files.h"
#include "node/follow.h"
#include "node/node.h"
#include "node/state.h"
#include "record/history.h"
#include "record/record.h"
#include "record/request.h"
#include "record/snapshot.h"
#include "test/torture/torture.h"

/* Far more than any scene has of either: a scene that never ends is a failure. */
#define MOST 20000

static char root[] = "/tmp/fha-torture-XXXXXX";
static FhaConfig config;

/* What is done, and fails; and what must be true whenever it did.  `code` is what run returned. */
typedef struct Scene
{
	FhaCode (*run)(FhaError *err);
	void (*check)(FhaCode code, bool struck);
	bool parses; /* json-c (0.16) leaks what it could not add to an object */
} Scene;

static void
act(const Scene *scene, int before, bool *struck)
{
	FhaError err = {.code = FHA_OK, .text = ""};
	FhaCode code;

	torture_leaks(scene->parses);
	code = scene->run(&err);
	torture_leaks(false);
	*struck = torture_end();
	if (code != FHA_OK)
	{
		assert_true(*struck);
		assert_string_not_equal(err.text, "");
	}
	if (torture_descriptors() != before)
		fail_msg("descriptors are left open: %d before, %d after", before, torture_descriptors());
	if (scene->check != NULL)
		scene->check(code, *struck);
}

/* Each allocation fails, alone and with all that follow; at last none does and all is well. */
static void
without_memory(const Scene *scene)
{
	for (int lasting = 0; lasting <= 1; lasting++)
	{
		bool struck = true;
		long n;

		for (n = 1; struck && n < MOST; n++)
		{
			int before = torture_descriptors();

			torture_allocations(n, lasting != 0);
			act(scene, before, &struck);
		}
		assert_true(n > 2 && n < MOST);
	}
}

/* Each call fails, with each of these errors. */
static void
with_failing_calls(const Scene *scene)
{
	static const TortureFault faults[] = {{.error = ENOSPC}, {.error = EIO}, {ENOSPC, true}};

	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		bool struck = true;
		long n;

		for (n = 1; struck && n < MOST; n++)
		{
			int before = torture_descriptors();

			torture_calls(n, faults[i]);
			act(scene, before, &struck);
		}
		assert_true(n > 2 && n < MOST);
	}
}

/* --- records */

static FhaCluster cluster;
static FhaMember member;
static char *cluster_text;
static char *member_text;
static char *history_text;
static const FhaHistoryEntry entry = {.at = "2026-11-22T20:24:15.123Z",
									  .event = "failover",
									  .member = "n2",
									  .from = "n1",
									  .request = "04fc67d2f72928db",
									  .requested_by = "somebody",
									  .reason = "the lease had lapsed",
									  .term = 7,
									  .timeline = 7};

static void
fill_records(void)
{
	FhaError err;
	char *shorter;

	memset(&cluster, 0, sizeof(cluster));
	(void) snprintf(cluster.cluster, sizeof(cluster.cluster), "db-test");
	(void) snprintf(cluster.cluster_uuid, sizeof(cluster.cluster_uuid), "%032d", 7);
	(void) snprintf(cluster.holder, sizeof(cluster.holder), "n1");
	cluster.system_identifier = 4711;
	cluster.lease_duration_ms = 3000;
	cluster.released = cluster.paused = true;
	cluster.release = (FhaPosition){3, 0x5000518};
	cluster.term = cluster.lineage_term = 3;
	cluster.timeline = 3;
	cluster.lineage_count = 2;
	cluster.lineage[0] = (FhaLineageStep){.timeline = 2, .end = 0x5000330};
	cluster.lineage[1] = (FhaLineageStep){.timeline = 3, .end = 0};
	cluster.member_count = 1;
	(void) snprintf(cluster.members[0], FHA_NAME_SIZE, "n1");
	cluster.standby_count = 1;
	cluster.standbys[0] = (FhaStandby){.member = "n2", .lsn = 0x5000518};
	(void) snprintf(cluster.pause_reason, sizeof(cluster.pause_reason),
					"a reason that is longer "
					"than any short string");
	cluster.request = (FhaRequest){.kind = FHA_REQUEST_SWITCHOVER,
								   .state = FHA_REQUEST_RUNNING,
								   .id = "04fc67d2f72928db",
								   .message = "n1 hands over to whoever is the best of all"};
	memset(&member, 0, sizeof(member));
	(void) snprintf(member.cluster, sizeof(member.cluster), "db-test");
	(void) snprintf(member.member, sizeof(member.member), "n1");
	(void) snprintf(member.state, sizeof(member.state),
					"a sentence that is longer than forty "
					"bytes, as most of them are");
	assert_int_equal(fha_cluster_print(&cluster, &cluster_text, &err), FHA_OK);
	assert_int_equal(fha_member_print(&member, &member_text, &err), FHA_OK);
	assert_int_equal(fha_history_append("db-test", NULL, 0, &entry, &shorter, &err), FHA_OK);
	assert_int_equal(
		fha_history_append("db-test", shorter, strlen(shorter), &entry, &history_text, &err),
		FHA_OK);
	free(shorter);
}

static FhaCluster cluster_read;
static FhaMember member_read;

static FhaCode
read_cluster(FhaError *err)
{
	return fha_cluster_parse(cluster_text, strlen(cluster_text), &cluster_read, err);
}

/* Half a record must not pass for the record. */
static void
check_cluster(FhaCode code, bool struck)
{
	(void) struck;
	if (code == FHA_OK)
		assert_memory_equal(&cluster_read, &cluster, sizeof(cluster));
	else
		assert_int_equal(code, FHA_NO_MEMORY);
}

static FhaCode
read_member(FhaError *err)
{
	return fha_member_parse(member_text, strlen(member_text), &member_read, err);
}

static void
check_member(FhaCode code, bool struck)
{
	(void) struck;
	if (code == FHA_OK)
		assert_memory_equal(&member_read, &member, sizeof(member));
	else
		assert_int_equal(code, FHA_NO_MEMORY);
}

static char *printed;
static const char *expected;

static void
check_printed(FhaCode code, bool struck)
{
	(void) struck;
	if (code == FHA_OK)
		assert_string_equal(printed, expected);
	else
	{
		assert_int_equal(code, FHA_NO_MEMORY);
		assert_null(printed);
	}
	free(printed);
	printed = NULL;
}

static FhaCode
print_cluster(FhaError *err)
{
	return fha_cluster_print(&cluster, &printed, err);
}

static FhaCode
print_member(FhaError *err)
{
	return fha_member_print(&member, &printed, err);
}

static char *one_entry;

static FhaCode
append_history(FhaError *err)
{
	return fha_history_append("db-test", one_entry, strlen(one_entry), &entry, &printed, err);
}

static FhaCode
print_snapshot(FhaError *err)
{
	static FhaSnapshot snapshot = {.member = "n1",
								   .incarnation = "0123456789abcdef",
								   .decision = "hold",
								   .because = "this standby follows",
								   .known = true,
								   .member_count = 1,
								   .history_count = 1};

	snapshot.cluster = cluster;
	snapshot.members[0] = member;
	snapshot.history[0] = entry;
	return fha_snapshot_print(&snapshot, &printed, err);
}

static void
records_without_memory(void **state)
{
	FhaError err;
	char *whole;

	(void) state;
	fill_records();
	without_memory(&(Scene){.run = read_cluster, .check = check_cluster, .parses = true});
	without_memory(&(Scene){.run = read_member, .check = check_member, .parses = true});
	expected = cluster_text;
	without_memory(&(Scene){.run = print_cluster, .check = check_printed, .parses = true});
	expected = member_text;
	without_memory(&(Scene){.run = print_member, .check = check_printed, .parses = true});
	assert_int_equal(fha_history_append("db-test", NULL, 0, &entry, &one_entry, &err), FHA_OK);
	expected = history_text;
	without_memory(&(Scene){.run = append_history, .check = check_printed, .parses = true});
	assert_int_equal(print_snapshot(&err), FHA_OK);
	expected = whole = printed;
	printed = NULL;
	without_memory(&(Scene){.run = print_snapshot, .check = check_printed, .parses = true});
	free(whole);
	free(one_entry);
	free(cluster_text);
	free(member_text);
	free(history_text);
}

/* --- the state directory */

static const FhaState old_state = {.member = "n1",
								   .cluster = "db-test",
								   .cluster_uuid = "00000000000000000000000000000007",
								   .data_incarnation = "0123456789abcdef",
								   .highest_term = 3};
static FhaState new_state;

static FhaCode
save_state(FhaError *err)
{
	return fha_state_save(&config, &new_state, err);
}

static bool
same_state(const FhaState *a, const FhaState *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* The old or the new, and the new one if it was said to be saved.  Then the old one again. */
static void
check_saved(FhaCode code, bool struck)
{
	FhaState found;
	FhaError err;

	(void) struck;
	if (fha_state_load(&config, &found, &err) != FHA_OK)
		fail_msg("%s", err.text);
	assert_true(same_state(&found, &new_state) ||
				(code != FHA_OK && same_state(&found, &old_state)));
	assert_int_equal(fha_state_save(&config, &old_state, &err), FHA_OK);
}

static FhaState loaded;

static FhaCode
load_state(FhaError *err)
{
	return fha_state_load(&config, &loaded, err);
}

/* What cannot be read now is not called damaged: a person would remove it. */
static void
check_loaded(FhaCode code, bool struck)
{
	(void) struck;
	if (code == FHA_OK)
		assert_true(same_state(&loaded, &old_state));
	else
		assert_true(code == FHA_NO_MEMORY || code == FHA_IO);
}

static FhaCode
prepare_state(FhaError *err)
{
	return fha_state_prepare(&config, err);
}

static FhaCode
hold_locks(FhaError *err)
{
	FhaOwnership ownership;
	char identity[FHA_UUID_SIZE];
	int liveness;
	FhaCode code = fha_ownership_open(&config, &ownership, err);

	if (code == FHA_OK)
	{
		assert_true(fha_ownership_take(&ownership));
		fha_ownership_write_pid(&ownership);
		(void) fha_ownership_read_pid(&ownership);
		fha_ownership_close(&ownership);
		code = fha_liveness_identity(&config, identity, sizeof(identity), err);
	}
	if (code == FHA_OK)
		code = fha_liveness_take(&config, &liveness, err);
	if (code == FHA_OK)
		(void) close(liveness);
	return code;
}

static void
state_files_survive(void **state)
{
	FhaError err;

	(void) state;
	new_state = old_state;
	new_state.highest_term = 4;
	assert_int_equal(fha_state_save(&config, &old_state, &err), FHA_OK);
	without_memory(&(Scene){.run = save_state, .check = check_saved, .parses = true});
	with_failing_calls(&(Scene){.run = save_state, .check = check_saved});
	without_memory(&(Scene){.run = load_state, .check = check_loaded, .parses = true});
	with_failing_calls(&(Scene){.run = load_state, .check = check_loaded});
	with_failing_calls(&(Scene){.run = prepare_state, .check = NULL});
	with_failing_calls(&(Scene){.run = hold_locks, .check = NULL});
}

/* --- settings and follow.conf */

static FhaConfig settings;

static FhaCode
read_settings(FhaError *err)
{
	char path[FHA_PATH_SIZE];

	fha_config_defaults(&settings);
	(void) snprintf(path, sizeof(path), "%s/fawkes_ha.conf", root);
	return fha_config_read(&settings, path, err);
}

static void
check_settings(FhaCode code, bool struck)
{
	(void) struck;
	if (code == FHA_OK)
		assert_string_equal(settings.member_name, "n7");
	else
		assert_true(code == FHA_NO_MEMORY || code == FHA_IO);
}

static FhaCode
follow(FhaError *err)
{
	bool changed;

	return fha_follow_write(&config, &old_state, "127.0.0.1:5702", &changed, err);
}

/* One of the two leaders, whole: a server that reads half a file follows nobody. */
static void
check_follow(FhaCode code, bool struck)
{
	char path[FHA_PATH_SIZE];
	char *text;
	bool changed;
	FhaError err;

	(void) struck;
	assert_int_equal(fha_state_path(&config, "follow.conf", path, sizeof(path), &err), FHA_OK);
	assert_int_equal(fha_file_read(path, 8192, &text, &err), FHA_OK);
	if (strstr(text, "port=5702 ") == NULL)
	{
		assert_int_not_equal(code, FHA_OK);
		assert_non_null(strstr(text, "port=5701 "));
	}
	assert_non_null(strstr(text, "pgpass'''\n"));
	free(text);
	assert_int_equal(fha_follow_write(&config, &old_state, "127.0.0.1:5701", &changed, &err),
					 FHA_OK);
}

static FhaCode
reserve(FhaError *err)
{
	return fha_timeline_reserve(config.data_directory, 3, 6, err);
}

/* PostgreSQL reads such a file: it is whole or not there. */
static void
check_reserved(FhaCode code, bool struck)
{
	char path[FHA_PATH_SIZE + 40];
	char *text;
	FhaError err;

	(void) struck;
	for (unsigned timeline = 4; timeline <= 5; timeline++)
	{
		(void) snprintf(path, sizeof(path), "%s/pg_wal/%08X.history", config.data_directory,
						timeline);
		if (fha_file_read(path, 256, &text, &err) == FHA_OK)
		{
			assert_string_equal(text, "# fawkes_ha: reserved, never promoted\n");
			free(text);
		}
		else
			assert_int_not_equal(code, FHA_OK);
	}
	assert_int_equal(fha_timeline_unreserve(config.data_directory, 3, &err), FHA_OK);
}

static FhaCode
unreserve(FhaError *err)
{
	return fha_timeline_unreserve(config.data_directory, 3, err);
}

static FhaCode
drop(FhaError *err)
{
	return fha_timeline_drop_placeholders(config.data_directory, err);
}

static void
check_dropped(FhaCode code, bool struck)
{
	char path[FHA_PATH_SIZE + 40];
	FhaError err;

	(void) struck;
	for (unsigned timeline = 4; code == FHA_OK && timeline <= 5; timeline++)
	{
		(void) snprintf(path, sizeof(path), "%s/pg_wal/%08X.history", config.data_directory,
						timeline);
		assert_int_not_equal(access(path, F_OK), 0);
	}
	assert_int_equal(fha_timeline_reserve(config.data_directory, 3, 6, &err), FHA_OK);
}

static FhaCode
remove_mark(FhaError *err)
{
	char path[FHA_PATH_SIZE];

	(void) snprintf(path, sizeof(path), "%s/promoting", root);
	return fha_file_remove(path, err);
}

static size_t not_flushed;

/* S7: what is removed does not come back: a directory that was not flushed is no success. */
static void
check_removed(FhaCode code, bool struck)
{
	assert_true(struck || code == FHA_OK);
	if (code != FHA_OK)
		not_flushed++;
}

static void
settings_and_follow_conf_survive(void **state)
{
	char path[FHA_PATH_SIZE];
	bool changed;
	FhaError err;

	(void) state;
	(void) snprintf(path, sizeof(path), "%s/fawkes_ha.conf", root);
	assert_int_equal(fha_file_replace(path, "fawkes_ha.member_name = 'n7'\n", 29, &err), FHA_OK);
	without_memory(&(Scene){.run = read_settings, .check = check_settings});
	with_failing_calls(&(Scene){.run = read_settings, .check = check_settings});
	assert_int_equal(fha_follow_write(&config, &old_state, "127.0.0.1:5701", &changed, &err),
					 FHA_OK);
	without_memory(&(Scene){.run = follow, .check = check_follow});
	with_failing_calls(&(Scene){.run = follow, .check = check_follow});
	with_failing_calls(&(Scene){.run = reserve, .check = check_reserved});
	check_dropped(FHA_IO, true);
	with_failing_calls(&(Scene){.run = drop, .check = check_dropped});
	with_failing_calls(&(Scene){.run = unreserve, .check = check_removed});
	/* The flush, with each of three errors. */
	assert_int_equal(not_flushed, 3);
	with_failing_calls(&(Scene){.run = remove_mark, .check = check_removed});
	/* Opening the directory, too. */
	assert_int_equal(not_flushed, 9);
}

/* --- the lock's files */

static uint64_t version;

static FhaCode
write_record(FhaError *err)
{
	char path[128];
	FhaDirFiles files;
	bool anew;
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/lock", root);
	code = fha_dir_files_init(&files, path, err);
	if (code == FHA_OK)
		code = fha_dir_files_open(&files, &anew, err);
	if (code == FHA_OK)
		code = fha_dir_files_write(&files, "db-test", version, "{\"a\":\"new\"}", 11, err);
	if (code == FHA_OK)
		fha_dir_files_prune(&files, "db-test");
	if (files.fd >= 0)
		(void) close(files.fd);
	free(files.buffer);
	return code;
}

/* "Certainly not applied" must be true, and whatever can be seen is whole. */
static void
check_record(FhaCode code, bool struck)
{
	static char data[FHA_RECORD_DATA_MAX + 1];
	char path[128];
	FhaDirFiles files;
	uint64_t newest;
	size_t size;
	FhaError err;
	bool anew;

	(void) struck;
	(void) snprintf(path, sizeof(path), "%s/lock", root);
	assert_int_equal(fha_dir_files_init(&files, path, &err), FHA_OK);
	assert_int_equal(fha_dir_files_open(&files, &anew, &err), FHA_OK);
	assert_int_equal(fha_dir_files_newest(&files, "db-test", &newest, &err), FHA_OK);
	if (code == FHA_OK)
		assert_int_equal(newest, version + 1);
	else if (code != FHA_UNKNOWN)
		assert_int_equal(newest, version);
	if (newest > 0)
	{
		assert_int_equal(fha_dir_files_read(&files, "db-test", newest, data, &size, &err), FHA_OK);
		assert_int_equal(size, 11);
		assert_memory_equal(data, "{\"a\":\"new\"}", 11);
	}
	version = newest;
	(void) close(files.fd);
	free(files.buffer);
}

static FhaCode
read_record(FhaError *err)
{
	static char data[FHA_RECORD_DATA_MAX + 1];
	char path[128];
	FhaDirFiles files;
	FhaDirTable table = {0};
	uint64_t newest = 0;
	size_t size = 0;
	bool anew;
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/lock", root);
	code = fha_dir_files_init(&files, path, err);
	if (code == FHA_OK)
		code = fha_dir_files_open(&files, &anew, err);
	if (code == FHA_OK)
		code = fha_dir_files_scan(&files, &table, err);
	if (code == FHA_OK)
		code = fha_dir_files_newest(&files, "db-test", &newest, err);
	if (code == FHA_OK)
	{
		assert_int_equal(newest, version);
		code = fha_dir_files_read(&files, "db-test", newest, data, &size, err);
	}
	if (code == FHA_OK)
		assert_int_equal(size, 11);
	if (files.fd >= 0)
		(void) close(files.fd);
	free(files.buffer);
	fha_dir_table_release(&table);
	return code;
}

static void
the_lock_survives(void **state)
{
	(void) state;
	with_failing_calls(&(Scene){.run = write_record, .check = check_record});
	without_memory(&(Scene){.run = write_record, .check = check_record});
	with_failing_calls(&(Scene){.run = read_record, .check = NULL});
	without_memory(&(Scene){.run = read_record, .check = NULL});
}

/* --- streams of backups */

#define STREAM_TEXT \
	"1 0/3000000 no recovery target specified, 2 0/3000000 no recovery target specified"

typedef struct Passing
{
	char data[4096];
	size_t size;
} Passing;

/* All of it through the stream, which is closed. */
static FhaCode
pass_stream(FhaStream *stream, Passing *passing, FhaError *err)
{
	Passing in = *passing;
	const char *data;
	size_t size;
	FhaCode code = fha_stream_write(stream, in.data, in.size, &size, err);

	passing->size = 0;
	if (code == FHA_OK)
		code = fha_stream_finish(stream, err);
	while (code == FHA_OK)
	{
		code = fha_stream_look(stream, &data, &size, err);
		if (code != FHA_OK || size == 0)
			break;
		assert_true(size <= sizeof(passing->data) - passing->size);
		memcpy(passing->data + passing->size, data, size);
		passing->size += size;
		fha_stream_drop(stream, size);
	}
	fha_stream_close(stream);
	return code;
}

static FhaCompression compression;
static int compression_level;

static FhaCode
compress_and_back(FhaError *err)
{
	Passing passing = {.size = sizeof(STREAM_TEXT)};
	FhaStream *stream;
	FhaCode code = fha_compress_open(&stream, compression, compression_level, 0, err);

	memcpy(passing.data, STREAM_TEXT, sizeof(STREAM_TEXT));
	if (code == FHA_OK)
		code = pass_stream(stream, &passing, err);
	if (code == FHA_OK)
		code = fha_decompress_open(&stream, compression, err);
	if (code == FHA_OK)
		code = pass_stream(stream, &passing, err);
	if (code == FHA_OK)
		assert_string_equal(passing.data, STREAM_TEXT);
	return code;
}

static FhaCode
read_foreign(FhaError *err)
{
	Passing passing = {.size = 0};
	FhaStream *stream;
	FhaCode code = fha_decompress_open(&stream, compression, err);

	if (code != FHA_OK)
		return code;
	code = pass_stream(stream, &passing, err);
	/* There is nothing to read. */
	return code == FHA_INVALID ? FHA_OK : code;
}

static FhaCode
seal_and_back(FhaError *err)
{
	static FhaSealKeys keys;
	Passing passing = {.size = sizeof(STREAM_TEXT)};
	FhaStream *stream;
	FhaCode code = fha_seal_keys_parse(&keys, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", err);

	memcpy(passing.data, STREAM_TEXT, sizeof(STREAM_TEXT));
	if (code == FHA_OK)
		code = fha_seal_open(&stream, &keys.keys[0], "x", err);
	if (code == FHA_OK)
		code = pass_stream(stream, &passing, err);
	if (code == FHA_OK)
		code = fha_unseal_open(&stream, &keys, "x", err);
	if (code == FHA_OK)
		code = pass_stream(stream, &passing, err);
	return code;
}

static FhaCode
open_others(FhaError *err)
{
	FhaStream *links[1];
	FhaStream *stream;
	FhaParts *parts;
	FhaCode code = fha_tar_filter_open(&stream, &(FhaTarFilterSettings){.owner = NULL}, err);

	if (code != FHA_OK)
		return code;
	links[0] = stream;
	code = fha_chain_open(&stream, links, 1, err);
	if (code != FHA_OK)
		return code;
	fha_stream_close(stream);
	code = fha_parts_open(&parts, 100, 3, err);
	if (code == FHA_OK)
		fha_parts_close(parts);
	return code;
}

static void
streams_without_memory(void **state)
{
	static const FhaCompression foreign[] = {FHA_COMPRESSION_BZIP2, FHA_COMPRESSION_XZ,
											 FHA_COMPRESSION_SNAPPY};
	static const FhaCompression own[] = {FHA_COMPRESSION_NONE, FHA_COMPRESSION_GZIP,
										 FHA_COMPRESSION_GZIP, FHA_COMPRESSION_LZ4,
										 FHA_COMPRESSION_ZSTD};
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
	{
		compression = own[i];
		compression_level = own[i] == FHA_COMPRESSION_GZIP ? (int) i * 2 : 0;
		without_memory(&(Scene){.run = compress_and_back});
	}
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
	{
		compression = foreign[i];
		without_memory(&(Scene){.run = read_foreign});
	}
	without_memory(&(Scene){.run = open_others});
	/* libcrypto (3.0) crashes if what it makes once, at its first use, finds no memory. */
	assert_int_equal(seal_and_back(&err), FHA_OK);
	without_memory(&(Scene){.run = seal_and_back});
}

static int
set_up(void **state)
{
	char path[128];
	FhaError err;

	(void) state;
	if (mkdtemp(root) == NULL)
		return -1;
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "%s/data", root);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "db-test");
	(void) snprintf(config.member_name, sizeof(config.member_name), "n1");
	(void) snprintf(path, sizeof(path), "%s/lock", root);
	if (mkdir(path, 0700) != 0 || mkdir(config.data_directory, 0700) != 0)
		return -1;
	(void) snprintf(path, sizeof(path), "%s/data/pg_wal", root);
	if (mkdir(path, 0700) != 0)
		return -1;
	return fha_state_prepare(&config, &err) == FHA_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	char command[64];

	(void) state;
	(void) snprintf(command, sizeof(command), "rm -rf '%s'", root);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_without_memory),           cmocka_unit_test(state_files_survive),
		cmocka_unit_test(settings_and_follow_conf_survive), cmocka_unit_test(the_lock_survives),
		cmocka_unit_test(streams_without_memory),
	};

	return cmocka_run_group_tests_name("torture", tests, set_up, tear_down);
}
