/*
 * place_test.c: settings and files of credentials, and the place that follows from them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/place.h"

#define KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"

static char directory[] = "/tmp/fawkes-place-XXXXXX";
static FhaConfig config;
static FhaBackupPlace place;
static FhaError err;

static int
start(void **state)
{
	(void) state;
	memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
	fha_config_defaults(&config);
	err.text[0] = '\0';
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static const char *
path_of(const char *name)
{
	static char path[200];

	(void) snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void
put_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int
finish(void **state)
{
	char command[100];

	(void) state;
	(void) snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

static void
set(const char *name, const char *value)
{
	if (fha_config_set(&config, name, value, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

static void
assert_place(void)
{
	if (fha_backup_place_read(&place, &config, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

static void
assert_refused(FhaCode code, const char *words)
{
	assert_int_equal(fha_backup_place_read(&place, &config, &err), code);
	if (strstr(err.text, words) == NULL)
		fail_msg("\"%s\" has no \"%s\"", err.text, words);
}

static void
without_a_store_there_is_no_place(void **state)
{
	(void) state;
	assert_refused(FHA_NOT_FOUND, "fawkes_ha.backup_store is not set");
}

static void
a_directory_takes_the_clusters_name_and_the_usual_ways(void **state)
{
	(void) state;
	set("fawkes_ha.cluster_name", "db-demo-dev");
	set("fawkes_ha.backup_store", "dir:/some/where");
	assert_place();
	assert_int_equal(place.store.kind, FHA_STORE_DIR);
	assert_int_equal(place.store.identity, FHA_STORE_BY_NOTHING);
	assert_string_equal(place.store.path, "/some/where");
	assert_string_equal(place.server, "db-demo-dev");
	assert_int_equal(place.wal_compression, FHA_COMPRESSION_GZIP);
	assert_int_equal(place.data_compression, FHA_COMPRESSION_GZIP);
	assert_int_equal(place.wal_level, 0);
	assert_int_equal(place.wal_parallel, 4);
	assert_int_equal(place.data_jobs, 2);
	assert_true(place.max_rate == 0);
	assert_false(place.is_sealed);
	fha_backup_place_release(&place);
}

static void
each_setting_counts(void **state)
{
	(void) state;
	set("fawkes_ha.cluster_name", "db-demo-dev");
	set("fawkes_ha.backup_store", "s3://bucket/prefix/");
	set("fawkes_ha.backup_server_name", "Other Name");
	set("fawkes_ha.backup_endpoint", "https://minio:9000");
	set("fawkes_ha.backup_endpoint_ca_file", "/ca.pem");
	set("fawkes_ha.backup_region", "eu-central-1");
	set("fawkes_ha.archive_compression", "zstd:5");
	set("fawkes_ha.archive_max_parallel", "8");
	set("fawkes_ha.backup_compression", "lz4");
	set("fawkes_ha.backup_jobs", "3");
	set("fawkes_ha.backup_max_rate", "10MB");
	put_file("keys", KEY);
	set("fawkes_ha.backup_key_file", path_of("keys"));
	assert_place();
	assert_string_equal(place.store.bucket, "bucket");
	assert_string_equal(place.store.prefix, "prefix");
	assert_string_equal(place.store.endpoint, "https://minio:9000");
	assert_true(place.store.path_style);
	assert_string_equal(place.store.ca_file, "/ca.pem");
	assert_string_equal(place.store.region, "eu-central-1");
	assert_int_equal(place.store.identity, FHA_STORE_BY_SURROUNDINGS);
	assert_string_equal(place.server, "Other Name");
	assert_int_equal(place.wal_compression, FHA_COMPRESSION_ZSTD);
	assert_int_equal(place.wal_level, 5);
	assert_int_equal(place.wal_parallel, 8);
	assert_int_equal(place.data_compression, FHA_COMPRESSION_LZ4);
	assert_int_equal(place.data_level, 0);
	assert_int_equal(place.data_jobs, 3);
	assert_true(place.max_rate == 10 * 1024 * 1024);
	assert_true(place.is_sealed);
	assert_int_equal(place.keys.count, 1);
	fha_backup_place_release(&place);
	assert_int_equal(place.keys.count, 0);
}

static void
the_files_say_who_we_are(void **state)
{
	static const struct
	{
		const char *store;
		const char *files[3];
		FhaStoreIdentity identity;
		bool has_access;
		bool has_token;
	} known[] = {
		{"s3://b", {"access_key_id", "secret_access_key"}, FHA_STORE_BY_KEY, true, false},
		{"s3://b",
		 {"access_key_id", "secret_access_key", "session_token"},
		 FHA_STORE_BY_KEY,
		 true,
		 true},
		{"gs://b", {"application_credentials"}, FHA_STORE_BY_SERVICE_ACCOUNT, false, false},
		{"gs://b", {"access_key_id", "secret_access_key"}, FHA_STORE_BY_KEY, true, false},
		{"https://a.blob.core.windows.net/c", {"account_key"}, FHA_STORE_BY_KEY, false, false},
		{"https://a.blob.core.windows.net/c", {"sas_token"}, FHA_STORE_BY_SAS, false, false},
		{"https://a.blob.core.windows.net/c",
		 {"connection_string"},
		 FHA_STORE_BY_CONNECTION_STRING,
		 false,
		 false},
	};

	(void) state;
	set("fawkes_ha.cluster_name", "db-demo-dev");
	set("fawkes_ha.backup_credentials_directory", directory);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
	{
		for (size_t j = 0; j < 3 && known[i].files[j] != NULL; j++)
			put_file(known[i].files[j], "x");
		set("fawkes_ha.backup_store", known[i].store);
		assert_place();
		assert_int_equal(place.store.identity, known[i].identity);
		assert_int_equal(place.store.access.file[0] != '\0', known[i].has_access);
		assert_int_equal(place.store.token.file[0] != '\0', known[i].has_token);
		assert_int_equal(strncmp(place.store.secret.file, directory, strlen(directory)), 0);
		fha_backup_place_release(&place);
		for (size_t j = 0; j < 3 && known[i].files[j] != NULL; j++)
			assert_int_equal(unlink(path_of(known[i].files[j])), 0);
	}
}

static void
files_that_do_not_say_who_we_are_are_told(void **state)
{
	(void) state;
	set("fawkes_ha.cluster_name", "db-demo-dev");
	set("fawkes_ha.backup_store", "s3://b");
	set("fawkes_ha.backup_credentials_directory", directory);
	assert_refused(FHA_INVALID, "access_key_id and secret_access_key");
	put_file("access_key_id", "x");
	assert_refused(FHA_INVALID, "access_key_id and secret_access_key");
	set("fawkes_ha.backup_store", "https://a.blob.core.windows.net/c");
	put_file("account_key", "x");
	put_file("sas_token", "x");
	assert_refused(FHA_INVALID, "has both account_key and sas_token");
}

static void
what_cannot_be_is_refused_with_its_name(void **state)
{
	(void) state;
	set("fawkes_ha.cluster_name", "db-demo-dev");
	set("fawkes_ha.backup_store", "dir:/d");
	set("fawkes_ha.backup_server_name", "a/b");
	assert_refused(FHA_INVALID, "fawkes_ha.backup_server_name");
	set("fawkes_ha.backup_server_name", "");
	set("fawkes_ha.backup_key_file", path_of("none"));
	assert_refused(FHA_INVALID, "fawkes_ha.backup_key_file");
	put_file("keys", "short\n");
	set("fawkes_ha.backup_key_file", path_of("keys"));
	assert_refused(FHA_INVALID, "fawkes_ha.backup_key_file");
	assert_null(strstr(err.text, "short"));
}

static void
settings_are_checked_as_they_are_set(void **state)
{
	static const char *const bad[][3] = {
		{"fawkes_ha.backup_store", "ftp://x", "s3://BUCKET"},
		{"fawkes_ha.backup_store", "s3://key:secret@bucket", "credentials"},
		{"fawkes_ha.backup_endpoint", "minio:9000", "https://host"},
		{"fawkes_ha.backup_key_file", "keys", "absolute path"},
		{"fawkes_ha.archive_compression", "gzip:10", "gzip:1 to gzip:9"},
		{"fawkes_ha.backup_compression", "xz", "use gzip"},
		{"fawkes_ha.backup_schedule", "0 0 25 * * *", "hour"},
		{"fawkes_ha.backup_retention", "30y", "only d, w or m"},
		{"fawkes_ha.archive_max_parallel", "0", "1 to 32"},
		{"fawkes_ha.backup_jobs", "many", "give a number"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		assert_int_equal(fha_config_set(&config, bad[i][0], bad[i][1], &err), FHA_INVALID);
		if (strstr(err.text, bad[i][0]) == NULL || strstr(err.text, bad[i][2]) == NULL)
			fail_msg("\"%s\" has no %s or no \"%s\"", err.text, bad[i][0], bad[i][2]);
	}
	assert_null(strstr(err.text, "secret"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(without_a_store_there_is_no_place, start, finish),
		cmocka_unit_test_setup_teardown(a_directory_takes_the_clusters_name_and_the_usual_ways,
										start, finish),
		cmocka_unit_test_setup_teardown(each_setting_counts, start, finish),
		cmocka_unit_test_setup_teardown(the_files_say_who_we_are, start, finish),
		cmocka_unit_test_setup_teardown(files_that_do_not_say_who_we_are_are_told, start, finish),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused_with_its_name, start, finish),
		cmocka_unit_test_setup_teardown(settings_are_checked_as_they_are_set, start, finish),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
