/*
 * guc.c: the settings, as PostgreSQL sees them.
 *
 * The rows of settings.def become PostgreSQL's parameters.  What a text may be is known to the
 * library only, which reads the same settings before PostgreSQL runs.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/guc.h"

#include "config/lock_uri.h"
#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/report.h"

#define FHA_TEXT(name, ...) char *guc_##name = NULL;
#define FHA_NUMBER(name, unit, ...) int guc_##name##_##unit = 0;
#define FHA_FLAG(name, ...) bool guc_##name = false;
#include "config/settings.def"

static bool
guc_check_text(const char *name, const char *value)
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
#define FHA_TEXT(name, ...)                                                \
	static bool check_##name(char **value, void **extra, GucSource source) \
	{                                                                      \
		return guc_check_text(FHA_SETTING_PREFIX #name, *value);           \
	}
#include "config/settings.def"

static GucContext
context_of(unsigned traits)
{
	/* Loaded later, the library is inert and PostgreSQL allows no PGC_POSTMASTER setting any more. */
	return (traits & FHA_START) != 0 && process_shared_preload_libraries_in_progress
			   ? PGC_POSTMASTER
			   : PGC_SIGHUP;
}

/* Where files, the lock and other processes are is nobody's who only logs in, as with data_directory. */
static bool
is_shown_to_all(FhaTextKind kind)
{
	return kind == FHA_TEXT_NAME || kind == FHA_TEXT_POD || kind == FHA_TEXT_BOOTSTRAP ||
		   kind == FHA_TEXT_DATABASE || kind == FHA_TEXT_COMPRESSION ||
		   kind == FHA_TEXT_BACKUP_SCHEDULE || kind == FHA_TEXT_RETENTION;
}

#define UNIT_OF_ms GUC_UNIT_MS
#define UNIT_OF_s GUC_UNIT_S
#define UNIT_OF_kB GUC_UNIT_KB
#define UNIT_OF_count 0
/* initial in milliseconds, bytes or things. */
#define DEFINE_NUMBER(name, unit, initial, least, most, traits, help, meaning)              \
	DefineCustomIntVariable(FHA_SETTING_PREFIX #name, help, NULL, &guc_##name##_##unit,     \
							(int) ((initial) / FHA_UNIT_##unit),                            \
							(int) (FHA_AMOUNT(least) / FHA_UNIT_##unit),                    \
							(int) (FHA_AMOUNT(most) / FHA_UNIT_##unit), context_of(traits), \
							UNIT_OF_##unit, NULL, NULL, NULL);

void
guc_define(void)
{
	FhaTimes usual;

#define FHA_TEXT(name, kind, initial, traits, help, ...)                                \
	DefineCustomStringVariable(                                                         \
		FHA_SETTING_PREFIX #name, help, NULL, &guc_##name, initial, context_of(traits), \
		is_shown_to_all(FHA_TEXT_##kind) ? 0 : GUC_SUPERUSER_ONLY, check_##name, NULL, NULL);
#include "config/settings.def"
	/* The lock is known by now, and stays. */
	usual = fha_lock_times(guc_lock);
#define FHA_NUMBER(name, unit, initial, ...) \
	DEFINE_NUMBER(name, unit, FHA_AMOUNT(initial), __VA_ARGS__)
#define FHA_LEASE_TIME(name, unit, initial, on_kubernetes, ...) \
	DEFINE_NUMBER(name, unit, usual.FHA_FIELD(name, unit), __VA_ARGS__)
#define FHA_FLAG(name, initial, traits, help, detail, ...)                        \
	DefineCustomBoolVariable(FHA_SETTING_PREFIX #name, help, detail, &guc_##name, \
							 FHA_FLAG_##initial, context_of(traits), 0, NULL, NULL, NULL);
#include "config/settings.def"
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
					  report_line("timings_not_taken",
								  "new timings of the lease were not taken: %s", error.text),
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
#define FHA_TEXT(name, ...) set_config(config, FHA_SETTING_PREFIX #name, guc_##name);
#define FHA_NUMBER(name, unit, ...) \
	config->FHA_FIELD(name, unit) = guc_##name##_##unit * FHA_UNIT_##unit;
#define FHA_LEASE_TIME(...)
#define FHA_FLAG(name, ...) config->name = guc_##name;
#include "config/settings.def"
	guc_timing(&config->lease_duration_ms, &config->renew_deadline_ms, &config->retry_period_ms);
	set_config(config, "unix_socket_directories", Unix_socket_directories);
	guc_state_path(config->state_directory, sizeof(config->state_directory));
	strlcpy(config->data_directory, DataDir, sizeof(config->data_directory));
	config->port = PostPortNumber;
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
