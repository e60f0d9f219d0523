/*
 * guc.c: the settings, as PostgreSQL sees them.
 *
 * What a text may be is known to the library only, which reads the same settings
 * before PostgreSQL runs; here are names, units and ranges of numbers.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/guc.h"

#include "config/lock_uri.h"
#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/report.h"

#define PREFIX "fawkes_ha."

char *guc_cluster_name = NULL;
char *guc_member_name = NULL;
char *guc_lock = NULL;
char *guc_address = NULL;
char *guc_listen = NULL;
char *guc_pod = NULL;
char *guc_state_directory = NULL;
char *guc_bootstrap = NULL;
char *guc_password_file = NULL;
char *guc_credentials_directory = NULL;
char *guc_readonly_credentials_directory = NULL;
char *guc_database = NULL;
char *guc_tls_directory = NULL;
char *guc_exporter_listen = NULL;
char *guc_exporter_tls_directory = NULL;
char *guc_exporter_client_ca_file = NULL;
char *guc_exporter_token_file = NULL;
bool guc_tls = false;
int guc_lease_duration_ms = 0;
int guc_renew_deadline_ms = 0;
int guc_retry_period_ms = 0;
int guc_election_wait_ms = 300;
int guc_release_wait_ms = 1000;
int guc_max_lag_kb = 16 * 1024;
int guc_max_replica_lag_ms = 30 * 1000;
int guc_member_timeout_ms = 30 * 60 * 1000;
int guc_shutdown_timeout_s = 60;
bool guc_fenced_reads = false;
bool guc_readonly_when_alone = false;

static bool
check_text(const char *name, const char *value)
{
	FhaConfig scratch;
	FhaError error;

	fha_config_defaults(&scratch);
	if (fha_config_set(&scratch, name, value, &error) == FHA_OK)
		return true;
	GUC_check_errdetail("%s.", error.text);
	return false;
}

/* PostgreSQL does not tell a check hook which setting it checks. */
#define CHECK_HOOK(setting)                                                   \
	static bool check_##setting(char **value, void **extra, GucSource source) \
	{                                                                         \
		return check_text(PREFIX #setting, *value);                           \
	}

/* clang-format off */
CHECK_HOOK(cluster_name)
CHECK_HOOK(member_name)
CHECK_HOOK(lock)
CHECK_HOOK(address)
CHECK_HOOK(listen)
CHECK_HOOK(pod)
CHECK_HOOK(state_directory)
CHECK_HOOK(bootstrap)
CHECK_HOOK(password_file)
CHECK_HOOK(credentials_directory)
CHECK_HOOK(readonly_credentials_directory)
CHECK_HOOK(database)
CHECK_HOOK(tls_directory)
CHECK_HOOK(exporter_listen)
CHECK_HOOK(exporter_tls_directory)
CHECK_HOOK(exporter_client_ca_file)
CHECK_HOOK(exporter_token_file)

static const struct
{
	const char *name;
	const char *description;
	char **variable;
	const char *initial;
	GucStringCheckHook check;
} texts[] = {
	{ PREFIX "cluster_name",    "Name of the cluster; empty: fawkes_ha does nothing.",        &guc_cluster_name,    "",     check_cluster_name },
	{ PREFIX "member_name",     "Name of this member in the cluster.",                        &guc_member_name,     "",     check_member_name },
	{ PREFIX "lock",            "Where the cluster's lock is, for example dir:/some/path.",   &guc_lock,            "",     check_lock },
	{ PREFIX "address",         "host:port under which other members reach this one.",        &guc_address,         "",     check_address },
	{ PREFIX "listen",          "IP address and port where this member answers HTTP; empty: nowhere.", &guc_listen, "",     check_listen },
	{ PREFIX "pod",             "Name of this member's pod; empty: it has none.",             &guc_pod,             "",     check_pod },
	{ PREFIX "state_directory", "Directory of the member's own state; empty: beside the data directory.", &guc_state_directory, "", check_state_directory },
	{ PREFIX "bootstrap",       "Who founds a new cluster: initdb, initdb:member or none.", &guc_bootstrap,     "none", check_bootstrap },
	{ PREFIX "password_file",   "File with the replication password; empty: pgpass is made by hand.", &guc_password_file, "", check_password_file },
	{ PREFIX "credentials_directory", "Directory with username and password of the role that owns fawkes_ha.database.", &guc_credentials_directory, "", check_credentials_directory },
	{ PREFIX "readonly_credentials_directory", "Directory with username and password of a role that may only read fawkes_ha.database.", &guc_readonly_credentials_directory, "", check_readonly_credentials_directory },
	{ PREFIX "database",        "Database that the primary makes for the role in fawkes_ha.credentials_directory.", &guc_database, "", check_database },
	{ PREFIX "tls_directory",   "Directory with tls.crt and tls.key; empty: the supervisor makes a certificate.", &guc_tls_directory, "", check_tls_directory },
	{ PREFIX "exporter_listen", "IP address and port where the exporter answers HTTP; empty: nowhere.", &guc_exporter_listen, "127.0.0.1:9187", check_exporter_listen },
	{ PREFIX "exporter_tls_directory", "Directory with tls.crt and tls.key of the exporter; empty: it speaks no TLS.", &guc_exporter_tls_directory, "", check_exporter_tls_directory },
	{ PREFIX "exporter_client_ca_file", "Authority of the certificates that the exporter wants of clients; empty: it wants none.", &guc_exporter_client_ca_file, "", check_exporter_client_ca_file },
	{ PREFIX "exporter_token_file", "File with the token that the exporter wants of clients; empty: it wants none.", &guc_exporter_token_file, "", check_exporter_token_file },
};

#define SECOND 1000
#define MINUTE (60 * SECOND)

static const struct
{
	const char *name;
	const char *description;
	int *variable;
	int initial; /* 0: the lock's, of lock.h */
	int least;
	int most;
	int unit;
} numbers[] = {
	{ PREFIX "lease_duration",      "How long others wait before they take a lease that is not renewed.", &guc_lease_duration_ms,  0,          SECOND, 10 * MINUTE,    GUC_UNIT_MS },
	{ PREFIX "renew_deadline",      "How long after the last renewal this member may acknowledge writes.", &guc_renew_deadline_ms, 0,          500,    10 * MINUTE,    GUC_UNIT_MS },
	{ PREFIX "retry_period",        "How often the lease is renewed.",                                    &guc_retry_period_ms,    0,          50,     MINUTE,         GUC_UNIT_MS },
	{ PREFIX "election_wait",       "How long a candidate waits for the positions of the others.",        &guc_election_wait_ms,   300,        10,     MINUTE,         GUC_UNIT_MS },
	{ PREFIX "release_wait",        "How long a released lease is kept for a member that has everything.", &guc_release_wait_ms,   SECOND,     100,    MINUTE,         GUC_UNIT_MS },
	{ PREFIX "max_lag_on_failover", "How far behind a standby may be and still be elected.",              &guc_max_lag_kb,         16 * 1024,  0,      1024 * 1024 * 1024, GUC_UNIT_KB },
	{ PREFIX "max_replica_lag",     "How old a standby's data may be while it serves reads.",             &guc_max_replica_lag_ms, 30 * SECOND, SECOND,    24 * 60 * MINUTE, GUC_UNIT_MS },
	{ PREFIX "member_timeout",      "How long a member may be silent before it is taken off the list.",   &guc_member_timeout_ms,  30 * MINUTE, 10 * SECOND, 168 * 60 * MINUTE, GUC_UNIT_MS },
	{ PREFIX "shutdown_timeout",    "How long a fast shutdown may take before it becomes immediate.",     &guc_shutdown_timeout_s, 60,         1,      3600,           GUC_UNIT_S },
};
/* clang-format on */

/* Where files, the lock and other processes are is nobody's who only logs in, as with data_directory. */
static bool
is_shown_to_all(const char *name)
{
	static const char *const shown[] = {"cluster_name", "member_name", "pod", "bootstrap",
										"database"};

	for (int i = 0; i < lengthof(shown); i++)
		if (strcmp(name + strlen(PREFIX), shown[i]) == 0)
			return true;
	return false;
}

/* What nobody sets of them depends on the lock, which is known by now and stays. */
static int
initial_number(int *variable, int otherwise)
{
	FhaTimes usual = fha_lock_times(guc_lock);

	return variable == &guc_lease_duration_ms   ? (int) usual.lease_duration_ms
		   : variable == &guc_renew_deadline_ms ? (int) usual.renew_deadline_ms
		   : variable == &guc_retry_period_ms   ? (int) usual.retry_period_ms
												: otherwise;
}

void
guc_define(void)
{
	/* Loaded later, the library is inert and PostgreSQL allows no PGC_POSTMASTER setting any more. */
	GucContext fixed = process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP;

	for (int i = 0; i < lengthof(texts); i++)
		DefineCustomStringVariable(
			texts[i].name, texts[i].description, NULL, texts[i].variable, texts[i].initial, fixed,
			is_shown_to_all(texts[i].name) ? 0 : GUC_SUPERUSER_ONLY, texts[i].check, NULL, NULL);
	for (int i = 0; i < lengthof(numbers); i++)
		DefineCustomIntVariable(numbers[i].name, numbers[i].description, NULL, numbers[i].variable,
								initial_number(numbers[i].variable, numbers[i].initial),
								numbers[i].least, numbers[i].most, PGC_SIGHUP, numbers[i].unit,
								NULL, NULL, NULL);
	DefineCustomBoolVariable(PREFIX "tls",
							 "Encrypt the connections of hosts, and refuse those that are not.",
							 NULL, &guc_tls, false, fixed, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(PREFIX "fenced_reads",
							 "Allow reads on a former primary whose lease lapsed.",
							 "Clients may then see rows that the cluster's primary never had.",
							 &guc_fenced_reads, false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(PREFIX "readonly_when_alone",
							 "Let read-only roles in on the primary while no standby serves reads.",
							 "Their sessions there end when one does.", &guc_readonly_when_alone,
							 false, PGC_SIGHUP, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("fawkes_ha");
}

void
guc_timing(int64 *lease_duration_ms, int64 *renew_deadline_ms, int64 *retry_period_ms)
{
	static int64 sane[3] = {0, 0, 0};
	static int64 refused[3] = {0, 0, 0};
	int64 wanted[3] = {guc_lease_duration_ms, guc_renew_deadline_ms, guc_retry_period_ms};
	FhaError error;

	if (fha_timing_check(wanted[0], wanted[1], wanted[2], &error) == FHA_OK)
		memcpy(sane, wanted, sizeof(sane));
	else if (memcmp(refused, wanted, sizeof(refused)) != 0)
	{
		memcpy(refused, wanted, sizeof(refused));
		ereport(LOG, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					  errmsg("new timings of the lease were not taken: %s", error.text),
					  errdetail("In effect remain lease_duration %lld ms, renew_deadline %lld ms, "
								"retry_period %lld ms.",
								(long long) sane[0], (long long) sane[1], (long long) sane[2])));
	}
	*lease_duration_ms = sane[0];
	*renew_deadline_ms = sane[1];
	*retry_period_ms = sane[2];
}

void
guc_state_path(char *out, size_t size)
{
	if (guc_state_directory != NULL && guc_state_directory[0] != '\0')
		strlcpy(out, guc_state_directory, size);
	else
		snprintf(out, size, "%s.fawkes_ha", DataDir);
}

static void
set_config(FhaConfig *config, const char *name, const char *value)
{
	FhaError error;

	/* Each value has passed its check hook, or is PostgreSQL's own. */
	if (fha_config_set(config, name, value, &error) != FHA_OK)
		fha_report(FATAL, &error);
}

void
guc_config(FhaConfig *config)
{
	fha_config_defaults(config);
	for (int i = 0; i < lengthof(texts); i++)
		set_config(config, texts[i].name, *texts[i].variable);
	set_config(config, "unix_socket_directories", Unix_socket_directories);
	guc_state_path(config->state_directory, sizeof(config->state_directory));
	strlcpy(config->data_directory, DataDir, sizeof(config->data_directory));
	config->port = PostPortNumber;
	config->tls = guc_tls;
	guc_timing(&config->lease_duration_ms, &config->renew_deadline_ms, &config->retry_period_ms);
	config->election_wait_ms = guc_election_wait_ms;
	config->release_wait_ms = guc_release_wait_ms;
	config->max_lag_on_failover_bytes = (int64) guc_max_lag_kb * 1024;
	config->max_replica_lag_ms = guc_max_replica_lag_ms;
	config->member_timeout_ms = guc_member_timeout_ms;
	config->shutdown_timeout_ms = (int64) guc_shutdown_timeout_s * 1000;
}

void
guc_check_together(void)
{
	FhaConfig config;
	FhaError error;

	if (fha_timing_check(guc_lease_duration_ms, guc_renew_deadline_ms, guc_retry_period_ms,
						 &error) != FHA_OK)
		fha_report(FATAL, &error);
	guc_config(&config);
	if (fha_config_check(&config, &error) != FHA_OK)
		fha_report(FATAL, &error);
}
