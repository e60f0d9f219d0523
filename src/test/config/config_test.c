/*
 * config_test.c: settings from text, and what is refused.
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

#include "config/config.h"

static char directory[] = "/tmp/fha-config-XXXXXX";
static char file[64];

static int
make_directory(void **state)
{
	(void) state;
	if (mkdtemp(directory) == NULL)
		return -1;
	(void) snprintf(file, sizeof(file), "%s/fawkes_ha.conf", directory);
	return 0;
}

static int
remove_directory(void **state)
{
	(void) state;
	(void) unlink(file);
	return rmdir(directory);
}

static void
write_file(const char *content, size_t size)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(content, 1, size, out), size);
	assert_int_equal(fclose(out), 0);
}

static FhaCode
read_text(FhaConfig *config, const char *content, FhaError *err)
{
	fha_config_defaults(config);
	(void) snprintf(config->data_directory, sizeof(config->data_directory), "/srv/pg/data");
	write_file(content, strlen(content));
	return fha_config_read(config, file, err);
}

static void
assert_read(FhaConfig *config, const char *content)
{
	FhaError err = {.text = ""};

	if (read_text(config, content, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

/* The text is refused, and the sentence names the line and contains each of the words. */
static void
assert_refused(const char *content, int line, const char *words)
{
	FhaConfig config;
	FhaError err = {.text = ""};
	char place[128];

	(void) snprintf(place, sizeof(place), "%s:%d: ", file, line);
	assert_int_equal(read_text(&config, content, &err), FHA_INVALID);
	if (strstr(err.text, place) == NULL || strstr(err.text, words) == NULL)
		fail_msg("\"%s\" says neither \"%s\" nor \"%s\"", err.text, place, words);
}

static void
defaults_are_those_of_a_directory_lock(void **state)
{
	FhaConfig config;

	(void) state;
	fha_config_defaults(&config);
	assert_int_equal(config.lease_duration_ms, 3000);
	assert_int_equal(config.renew_deadline_ms, 2000);
	assert_int_equal(config.retry_period_ms, 500);
	assert_int_equal(config.election_wait_ms, 300);
	assert_int_equal(config.release_wait_ms, 1000);
	assert_int_equal(config.max_lag_on_failover_bytes, 16 << 20);
	assert_int_equal(config.shutdown_timeout_ms, 60000);
	assert_int_equal(config.port, 5432);
	assert_string_equal(config.bootstrap, "none");
	assert_int_equal(fha_timing_check(config.lease_duration_ms, config.renew_deadline_ms,
									  config.retry_period_ms, NULL),
					 FHA_OK);
}

static void
assert_times(const FhaConfig *config, int64_t lease_duration_ms, int64_t renew_deadline_ms,
			 int64_t retry_period_ms)
{
	assert_int_equal(config->lease_duration_ms, lease_duration_ms);
	assert_int_equal(config->renew_deadline_ms, renew_deadline_ms);
	assert_int_equal(config->retry_period_ms, retry_period_ms);
}

/* Wherever the lock's line stands, and whichever of the times are set. */
static void
times_that_are_not_set_are_the_locks(void **state)
{
	FhaConfig config;
	FhaError err;

	(void) state;
	assert_read(&config, "fawkes_ha.lock = 'kubernetes:?namespace=fawkes'\n");
	assert_times(&config, 15000, 10000, 2000);
	assert_read(&config, "fawkes_ha.renew_deadline = 9s\n"
						 "fawkes_ha.lock = 'kubernetes:/kubeconfig'\n"
						 "fawkes_ha.retry_period = 1s\n");
	assert_times(&config, 15000, 9000, 1000);
	assert_int_equal(fha_config_set(&config, "fawkes_ha.lock", "dir:/lock", &err), FHA_OK);
	assert_times(&config, 3000, 9000, 1000);
	fha_config_defaults(&config);
	assert_int_equal(fha_config_set(&config, "fawkes_ha.lock", "kubernetes:", &err), FHA_OK);
	assert_int_equal(fha_config_set(&config, "fawkes_ha.lock", "", &err), FHA_OK);
	assert_times(&config, 3000, 2000, 500);
}

static void
reads_a_whole_file(void **state)
{
	FhaConfig config;
	FhaError err;

	(void) state;
	assert_read(&config, "# a node\r\n"
						 "\n"
						 "fawkes_ha.cluster_name = 'demo'   # comment\n"
						 "FAWKES_HA.Member_Name n1\n"
						 "fawkes_ha.lock='dir:/tmp/it''s\\'\\\\lock'\n"
						 "fawkes_ha.address = '127.0.0.1:5501'\n"
						 "  fawkes_ha.bootstrap\tinitdb\n"
						 "fawkes_ha.lease_duration = 4s\n"
						 "fawkes_ha.renew_deadline = '1.5 s'\n"
						 "fawkes_ha.retry_period = 100\n"
						 "fawkes_ha.election_wait = 250ms\n"
						 "fawkes_ha.release_wait = 2s\n"
						 "fawkes_ha.max_lag_on_failover = 1GB\n"
						 "fawkes_ha.shutdown_timeout = 1min\n"
						 "fawkes_ha.shutdown_timeout = 3600\n"
						 "fawkes_ha.fenced_reads = on\n"
						 "fawkes_ha.listen = '127.0.0.1:8008'\n"
						 "other.thing = 'tab\\tline\\n\\101'\n"
						 "port = 5501\n"
						 "unix_socket_directories = ' /tmp/a , /tmp/b'\n"
						 "work_mem = '4MB'\n"
						 "other.thing = -1.5e-6\n"
						 "other.thing = 0x1F");
	assert_string_equal(config.cluster_name, "demo");
	assert_string_equal(config.member_name, "n1");
	assert_string_equal(config.lock, "dir:/tmp/it's'\\lock");
	assert_string_equal(config.address, "127.0.0.1:5501");
	assert_string_equal(config.bootstrap, "initdb");
	assert_int_equal(config.lease_duration_ms, 4000);
	assert_int_equal(config.renew_deadline_ms, 1500);
	assert_int_equal(config.retry_period_ms, 100);
	assert_int_equal(config.election_wait_ms, 250);
	assert_int_equal(config.release_wait_ms, 2000);
	assert_int_equal(config.max_lag_on_failover_bytes, INT64_C(1) << 30);
	assert_int_equal(config.shutdown_timeout_ms, 3600000);
	assert_string_equal(config.listen, "127.0.0.1:8008");
	assert_int_equal(config.port, 5501);
	assert_string_equal(config.socket_directory, "/tmp/a");
	assert_string_equal(config.state_directory, "/srv/pg/data.fawkes_ha");
	assert_int_equal(fha_config_check(&config, &err), FHA_OK);
}

static void
refuses_bad_syntax(void **state)
{
	(void) state;
	assert_refused("\n\n= 3\n", 3, "name = value");
	assert_refused("port\n", 1, "value is missing");
	assert_refused("port =   # none\n", 1, "value is missing");
	assert_refused("fawkes_ha.lock = 'dir:/x\nport = 1\n", 1, "closing single quote");
	assert_refused("fawkes_ha.lock = 'dir:/x\\", 1, "closing single quote");
	assert_refused("fawkes_ha.lock = 'a\\000b'\n", 1, "zero byte");
	assert_refused("port = 1\nfawkes_ha.lease_duration = 3 s\n", 2, "single quotes");
	/* PostgreSQL would not read it either. */
	assert_refused("fawkes_ha.address = 127.0.0.1:5432\n", 1, "single quotes");
	assert_refused("fawkes_ha.state_directory = /srv\n", 1, "single quotes");
	assert_refused("\xEF\xBB\xBFport = 1\n", 1, "byte order mark");
	assert_refused("port = 1\n\xEF\xBB\xBF\n", 2, "byte order mark");
	assert_refused("include 'more.conf'\n", 1, "copy the settings");
	assert_refused("include_if_exists = 'more.conf'\n", 1, "copy the settings");
}

static void
refuses_bad_values(void **state)
{
	char text[4096];

	(void) state;
	assert_refused("fawkes_ha.cluster_name = 'Demo'\n", 1, "not a name");
	assert_refused("fawkes_ha.member_name = 'n_1'\n", 1, "not a name");
	assert_refused("fawkes_ha.address = 'nowhere'\n", 1, "host:port");
	assert_refused("fawkes_ha.address = 'a b:1'\n", 1, "host:port");
	assert_refused("fawkes_ha.address = ':5432'\n", 1, "host:port");
	assert_refused("fawkes_ha.address = 'h:0'\n", 1, "host:port");
	assert_refused("fawkes_ha.address = 'h:65536'\n", 1, "host:port");
	assert_refused("fawkes_ha.address = 'h:pg'\n", 1, "host:port");
	assert_refused("fawkes_ha.listen = 'localhost'\n", 1, "fawkes_ha.listen");
	assert_refused("fawkes_ha.lock = 'nowhere'\n", 1, "fawkes_ha.lock");
	assert_refused("fawkes_ha.lease_duration = '90000000000000000min'\n", 1, "lease_duration");
	assert_refused("fawkes_ha.address = '[::1:5432'\n", 1, "host:port");
	assert_refused("fawkes_ha.pod = 'Db-1'\n", 1, "is not the name of a pod");
	assert_refused("fawkes_ha.pod = 'a/../b'\n", 1, "is not the name of a pod");
	assert_refused("fawkes_ha.pod = '.a'\n", 1, "is not the name of a pod");
	assert_refused("fawkes_ha.pod = 'a-'\n", 1, "is not the name of a pod");
	assert_refused("fawkes_ha.bootstrap = 'yes'\n", 1, "\"initdb\", \"none\"");
	assert_refused("fawkes_ha.bootstrap = 'initdb:'\n", 1, "founds");
	assert_refused("fawkes_ha.database = 'template1'\n", 1, "cannot be given an owner");
	(void) snprintf(text, sizeof(text), "fawkes_ha.database = '%064d'\n", 0);
	assert_refused(text, 1, "at most 63 bytes");
	assert_refused("fawkes_ha.tls = maybe\n", 1, "on or off");
	assert_refused("fawkes_ha.password_file = 'here'\n", 1, "absolute");
	assert_refused("fawkes_ha.state_directory = 'here'\n", 1, "absolute");
	assert_refused("fawkes_ha.fenced_reads = maybe\n", 1, "on or off");
	assert_refused("port = 70000\n", 1, "1 to 65535");
	assert_refused("port = 5432ms\n", 1, "give a number");
	assert_refused("port = -1\n", 1, "give a number");
	(void) snprintf(text, sizeof(text), "unix_socket_directories = '/%01100d'\n", 0);
	assert_refused(text, 1, "too long");
	(void) snprintf(text, sizeof(text), "unix_socket_directories = '/%02000d'\n", 0);
	assert_refused(text, 1, "too long");
	(void) snprintf(text, sizeof(text), "port = %02000d\n", 0);
	assert_refused(text, 1, "too long");
	(void) snprintf(text, sizeof(text), "x%0100d = 1\n", 0);
	assert_refused(text, 1, "too long");
}

static void
refuses_amounts_out_of_range(void **state)
{
	(void) state;
	assert_refused("fawkes_ha.lease_duration = 999ms\n", 1, "1s to 10min");
	assert_refused("fawkes_ha.lease_duration = 601s\n", 1, "1s to 10min");
	assert_refused("fawkes_ha.renew_deadline = 499\n", 1, "500ms to 10min");
	assert_refused("fawkes_ha.retry_period = 49\n", 1, "50ms to 1min");
	assert_refused("fawkes_ha.election_wait = 9\n", 1, "10ms to 1min");
	assert_refused("fawkes_ha.release_wait = 2min\n", 1, "100ms to 1min");
	assert_refused("fawkes_ha.max_lag_on_failover = 2TB\n", 1, "0kB to 1TB");
	assert_refused("fawkes_ha.max_lag_on_failover = 1mb\n", 1, "unit of B, kB");
	assert_refused("fawkes_ha.shutdown_timeout = 0\n", 1, "1s to 1h");
	assert_refused("fawkes_ha.lease_duration = 3sec\n", 1, "unit of ms");
	assert_refused("fawkes_ha.lease_duration = 99999999999999999999999s\n", 1, "makes no sense");
	assert_refused("fawkes_ha.lease_duration = 3\n", 1,
				   "out of range: 1s to 10min is allowed; without a unit it counts ms");
	assert_refused("fawkes_ha.shutdown_timeout = 3601\n", 1, "without a unit it counts s");
	assert_refused("fawkes_ha.max_lag_on_failover = 9000000000000\n", 1,
				   "without a unit it counts kB");
	assert_refused("fawkes_ha.lease_duration = 1h\n", 1, "is allowed");
	assert_refused("fawkes_ha.max_lag_on_failover = 9000000000000000000TB\n", 1, "makes no sense");
}

static void
names_the_closest_setting(void **state)
{
	(void) state;
	assert_refused("fawkes_ha.lease_duraton = 3s\n", 1,
				   "did you mean \"fawkes_ha.lease_duration\"");
	assert_refused("fawkes_ha.max_lag = 1MB\n", 1, "did you mean");
	assert_refused("fawkes_ha.memername = n1\n", 1, "did you mean \"fawkes_ha.member_name\"");
}

static void
caps_the_file(void **state)
{
	static char big[FHA_CONFIG_FILE_MAX + 1];
	FhaConfig config;
	FhaError err;

	(void) state;
	memset(big, '\n', sizeof(big));
	fha_config_defaults(&config);
	write_file(big, FHA_CONFIG_FILE_MAX);
	assert_int_equal(fha_config_read(&config, file, &err), FHA_OK);
	write_file(big, FHA_CONFIG_FILE_MAX + 1);
	assert_int_equal(fha_config_read(&config, file, &err), FHA_INVALID);
	write_file("port = 1\0port = 2", 17);
	assert_int_equal(fha_config_read(&config, file, &err), FHA_INVALID);
	assert_int_equal(fha_config_read(&config, "/nonexistent/file", &err), FHA_NOT_FOUND);
}

static void
plain_numbers_count_as_postgresql_counts_them(void **state)
{
	FhaConfig config;
	FhaError err;

	(void) state;
	fha_config_defaults(&config);
	assert_int_equal(fha_config_set(&config, "fawkes_ha.max_lag_on_failover", "16", &err), FHA_OK);
	assert_int_equal(config.max_lag_on_failover_bytes, 16 * 1024);
	assert_int_equal(fha_config_set(&config, "fawkes_ha.max_lag_on_failover", "16B", &err), FHA_OK);
	assert_int_equal(config.max_lag_on_failover_bytes, 16);
	assert_int_equal(fha_config_set(&config, "fawkes_ha.lease_duration", "1500", &err), FHA_OK);
	assert_int_equal(config.lease_duration_ms, 1500);
	assert_int_equal(fha_config_set(&config, "fawkes_ha.lease_duration", "0.5 min", &err), FHA_OK);
	assert_int_equal(config.lease_duration_ms, 30000);
	assert_int_equal(fha_config_set(&config, "shared_buffers", "anything", &err), FHA_OK);
	assert_int_equal(fha_config_set(&config, "unix_socket_directories", "\"/a,b\", /c", &err),
					 FHA_OK);
	assert_string_equal(config.socket_directory, "/a,b");
	assert_int_equal(fha_config_set(&config, "unix_socket_directories", "", &err), FHA_OK);
	assert_string_equal(config.socket_directory, "");
}

static void
knows_who_founds(void **state)
{
	static const struct
	{
		const char *bootstrap;
		bool may;
	} cases[] = {{"none", false}, {"initdb", true}, {"initdb:n1", true}, {"initdb:n10", false}};
	FhaConfig config;
	FhaError err;

	(void) state;
	fha_config_defaults(&config);
	assert_false(fha_config_may_found(&config));
	assert_int_equal(fha_config_set(&config, "fawkes_ha.member_name", "n1", &err), FHA_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		assert_int_equal(fha_config_set(&config, "fawkes_ha.bootstrap", cases[i].bootstrap, &err),
						 FHA_OK);
		assert_int_equal(fha_config_may_found(&config), cases[i].may);
	}
}

static void
takes_what_is_given_from_outside(void **state)
{
	FhaConfig config;

	(void) state;
	assert_read(&config, "fawkes_ha.password_file = '/run/password'\n"
						 "fawkes_ha.credentials_directory = '/run/owner'\n"
						 "fawkes_ha.database = 'Focal Board'\n"
						 "fawkes_ha.readonly_credentials_directory = '/run/reader'\n"
						 "fawkes_ha.tls = on\n"
						 "fawkes_ha.tls_directory = '/run/tls'\n");
	assert_string_equal(config.password_file, "/run/password");
	assert_string_equal(config.credentials_directory, "/run/owner");
	assert_string_equal(config.readonly_credentials_directory, "/run/reader");
	assert_string_equal(config.database, "Focal Board");
	assert_true(config.tls);
	assert_string_equal(config.tls_directory, "/run/tls");
	assert_read(&config, "fawkes_ha.tls = on\nfawkes_ha.tls = No\n");
	assert_false(config.tls);
}

static void
set(FhaConfig *config, const char *name, const char *value)
{
	FhaError err;

	if (fha_config_set(config, name, value, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

static void
sane(FhaConfig *config)
{
	fha_config_defaults(config);
	(void) snprintf(config->data_directory, sizeof(config->data_directory), "/srv/pg/data");
	set(config, "fawkes_ha.cluster_name", "demo");
	set(config, "fawkes_ha.member_name", "n1");
	set(config, "fawkes_ha.lock", "dir:/srv/lock");
	set(config, "fawkes_ha.address", "[::1]:5432");
}

static void
assert_check_says(const FhaConfig *config, const char *words)
{
	FhaError err = {.text = ""};

	assert_int_equal(fha_config_check(config, &err), FHA_INVALID);
	if (strstr(err.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, words);
	assert_true(strlen(err.text) < sizeof(err.text) - 1);
}

static void
checks_what_single_settings_cannot(void **state)
{
	FhaConfig config;
	FhaError err;
	char path[FHA_PATH_SIZE];

	(void) state;
	sane(&config);
	assert_int_equal(fha_config_check(&config, &err), FHA_OK);

	set(&config, "fawkes_ha.cluster_name", "");
	assert_check_says(&config, "cluster_name is not set");
	sane(&config);
	set(&config, "fawkes_ha.member_name", "");
	assert_check_says(&config, "member_name is not set");
	sane(&config);
	set(&config, "fawkes_ha.lock", "");
	assert_check_says(&config, "lock is not set");
	sane(&config);
	set(&config, "fawkes_ha.address", "");
	assert_check_says(&config, "address is not set");
	sane(&config);
	set(&config, "fawkes_ha.pod", "db-demo-dev-1");
	assert_check_says(&config, "not of Kubernetes");
	set(&config, "fawkes_ha.lock", "kubernetes:");
	assert_int_equal(fha_config_check(&config, &err), FHA_OK);

	sane(&config);
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "-x");
	assert_check_says(&config, "cluster_name");
	sane(&config);
	(void) snprintf(config.member_name, sizeof(config.member_name), "x-");
	assert_check_says(&config, "member_name");
	sane(&config);
	(void) snprintf(config.address, sizeof(config.address), "x");
	assert_check_says(&config, "host:port");
	sane(&config);
	config.data_directory[0] = '\0';
	assert_check_says(&config, "data directory");

	sane(&config);
	set(&config, "fawkes_ha.state_directory", "/srv/pg/data/ha");
	assert_check_says(&config, "inside the data directory");
	set(&config, "fawkes_ha.state_directory", "/srv/pg/data/");
	assert_check_says(&config, "inside the data directory");
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "/srv/pg/data/");
	set(&config, "fawkes_ha.state_directory", "/srv/pg/data/ha");
	assert_check_says(&config, "inside the data directory");
	config.state_directory[0] = '\0';
	memset(config.data_directory, 'd', sizeof(config.data_directory) - 1);
	config.data_directory[0] = '/';
	config.data_directory[sizeof(config.data_directory) - 1] = '\0';
	assert_check_says(&config, "too long");
	sane(&config);
	set(&config, "fawkes_ha.state_directory", "/srv/pg/data-ha");
	assert_int_equal(fha_config_check(&config, &err), FHA_OK);

	sane(&config);
	set(&config, "port", "5432");
	(void) snprintf(path, sizeof(path), "/%091d", 0);
	set(&config, "unix_socket_directories", path); /* 92 + strlen("/.s.PGSQL.5432") = 106 */
	assert_int_equal(fha_config_check(&config, &err), FHA_OK);
	set(&config, "port", "54321");
	assert_int_equal(fha_config_check(&config, &err), FHA_OK);
	(void) snprintf(path, sizeof(path), "/%092d", 0);
	set(&config, "unix_socket_directories", path);
	assert_check_says(&config, "at most 107");
}

static void
checks_timings_together(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(fha_timing_check(3000, 2999, 500, &err), FHA_OK);
	assert_int_equal(fha_timing_check(3000, 3000, 500, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "renew_deadline"));
	assert_int_equal(fha_timing_check(3000, 1200, 999, &err), FHA_OK);
	assert_int_equal(fha_timing_check(3000, 1200, 1000, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "retry_period"));
	assert_int_equal(fha_timing_check(15000, 10000, 2000, &err), FHA_OK);
}

static void
knows_valid_names(void **state)
{
	char name[FHA_NAME_SIZE + 1];

	(void) state;
	assert_true(fha_name_is_valid("a"));
	assert_true(fha_name_is_valid("db-focalboard-dev"));
	assert_true(fha_name_is_valid("0-1"));
	assert_false(fha_name_is_valid(""));
	assert_false(fha_name_is_valid("-a"));
	assert_false(fha_name_is_valid("a-"));
	assert_false(fha_name_is_valid("a.b"));
	assert_false(fha_name_is_valid("A"));
	memset(name, 'a', sizeof(name));
	name[FHA_NAME_SIZE - 1] = '\0';
	assert_true(fha_name_is_valid(name));
	name[FHA_NAME_SIZE - 1] = 'a';
	name[FHA_NAME_SIZE] = '\0';
	assert_false(fha_name_is_valid(name));
}

static void
long_paths_do_not_crowd_out_the_sentence(void **state)
{
	FhaConfig config;
	FhaError err = {.text = ""};
	char deep[256];
	char path[320];
	FILE *out;

	(void) state;
	(void) snprintf(deep, sizeof(deep), "%s/%0200d", directory, 0);
	(void) snprintf(path, sizeof(path), "%s", deep);
	out = fopen(path, "w");
	assert_non_null(out);
	(void) fputs("fawkes_ha.lease_duraton = 3s\n", out);
	assert_int_equal(fclose(out), 0);
	fha_config_defaults(&config);
	assert_int_equal(fha_config_read(&config, path, &err), FHA_INVALID);
	(void) unlink(path);
	assert_non_null(strstr(err.text, ":1: "));
	assert_non_null(strstr(err.text, "did you mean \"fawkes_ha.lease_duration\"?"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_those_of_a_directory_lock),
		cmocka_unit_test(times_that_are_not_set_are_the_locks),
		cmocka_unit_test(reads_a_whole_file),
		cmocka_unit_test(refuses_bad_syntax),
		cmocka_unit_test(refuses_bad_values),
		cmocka_unit_test(refuses_amounts_out_of_range),
		cmocka_unit_test(names_the_closest_setting),
		cmocka_unit_test(caps_the_file),
		cmocka_unit_test(knows_who_founds),
		cmocka_unit_test(takes_what_is_given_from_outside),
		cmocka_unit_test(plain_numbers_count_as_postgresql_counts_them),
		cmocka_unit_test(checks_what_single_settings_cannot),
		cmocka_unit_test(checks_timings_together),
		cmocka_unit_test(knows_valid_names),
		cmocka_unit_test(long_paths_do_not_crowd_out_the_sentence),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
