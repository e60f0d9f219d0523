/*
 * cmd_backups.c: `fawkes-ha backups`: what there is in the store of backups, and what can be recovered with it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backup/document.h"
#include "backup/inventory.h"
#include "backup/place.h"
#include "base/clock.h"
#include "cli/cli.h"

#define US INT64_C(1000000)

/* "1.5 GiB" */
static const char *
backups_size(uint64_t bytes, char out[20])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	double amount = (double) bytes;
	size_t unit = 0;

	for (; amount >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		amount /= 1024;
	(void) snprintf(out, 20, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
	return out;
}

/* To the second; "-": not known. */
static const char *
backups_time(int64_t us, char out[FHA_BACKUP_TIME_SIZE])
{
	if (us == 0)
		(void) snprintf(out, FHA_BACKUP_TIME_SIZE, "-");
	else
		fha_backup_time_print(us - us % US, out);
	return out;
}

static void
backups_print_backup(const FhaBackup *backup, FhaRetentionVerdict verdict)
{
	char ended[FHA_BACKUP_TIME_SIZE];
	char size[20];
	char stored[20];

	(void) cli_part("%-15s  %-8s  %-25s  %9s  %9s  ", backup->id,
					fha_backup_state_name(backup->state),
					backups_time(backup->has_info ? backup->info.end_time_us : 0, ended),
					backup->has_info ? backups_size((uint64_t) backup->info.size, size) : "-",
					backups_size(backup->stored_bytes, stored));
	if (backup->why[0] != '\0')
		(void) cli_part("%s; ", backup->why);
	cli_line("%s%s%s%s", fha_retention_goes(verdict.reason) ? "goes: " : "stays: ",
			 fha_retention_reason(verdict.reason), verdict.because == NULL ? "" : " ",
			 verdict.because == NULL ? "" : verdict.because->id);
}

/* The moments from a backup on; the gap that ends them. */
static void
backups_print_recovery(const FhaCatalogue *catalogue, const FhaBackup *backup)
{
	FhaRecovery recovery;
	char from[FHA_BACKUP_TIME_SIZE];
	char to[FHA_BACKUP_TIME_SIZE];

	if (!fha_catalogue_recovery(catalogue, backup, 0, &recovery))
		return;
	cli_line("%-15s  from %s to about %s, on timeline %" PRIu32, backup->id,
			 backups_time(recovery.from_us, from), backups_time(recovery.to_s * US, to),
			 recovery.timeline);
	if (recovery.has_gap)
		cli_line("%-15s  not beyond: WAL %s to %s is missing, %" PRIu64 " segments", "",
				 recovery.gap.first, recovery.gap.last, recovery.gap.count);
}

static void
backups_print_wal(const FhaCatalogue *catalogue)
{
	for (size_t i = 0; i < fha_catalogue_timeline_count(catalogue); i++)
	{
		FhaArchivedTimeline timeline = fha_catalogue_timeline(catalogue, i);
		char stored[20];

		cli_line("timeline %-6" PRIu32 "  %s to %s, %" PRIu64 " segments, %s%s", timeline.timeline,
				 timeline.first[0] == '\0' ? "-" : timeline.first,
				 timeline.last[0] == '\0' ? "-" : timeline.last, timeline.segment_count,
				 backups_size(timeline.stored_bytes, stored),
				 timeline.has_history || timeline.timeline == 1 ? "" : ", without its history");
	}
}

/* Is there one that a cluster can be recovered with? */
static bool
backups_print_table(const FhaCatalogue *catalogue, const FhaRetention *plan)
{
	bool is_recoverable = false;

	cli_line("%-15s  %-8s  %-25s  %9s  %9s  %s", "backup", "state", "ended", "size", "stored",
			 "retention");
	for (size_t i = 0; i < fha_catalogue_count(catalogue); i++)
	{
		const FhaBackup *backup = fha_catalogue_backup(catalogue, i);

		backups_print_backup(backup, fha_retention_backup(plan, i));
		is_recoverable = is_recoverable || backup->state == FHA_BACKUP_USABLE;
	}
	cli_line("%s", "");
	cli_line("%s", "can be recovered:");
	if (!is_recoverable)
		cli_line("%s", "nothing: there is no usable base backup");
	for (size_t i = 0; i < fha_catalogue_count(catalogue); i++)
		backups_print_recovery(catalogue, fha_catalogue_backup(catalogue, i));
	cli_line("%s", "");
	cli_line("%s", "archived WAL:");
	backups_print_wal(catalogue);
	return is_recoverable;
}

/* The catalogue with what the policy would make of it. */
static int
backups_show(const CliOptions *options, const FhaConfig *config, const FhaCatalogue *catalogue)
{
	FhaRetentionPolicy policy;
	FhaRetention *plan;
	char why[FHA_SENTENCE_SIZE];
	char *text;
	FhaError err;
	bool is_good;

	if (!fha_retention_policy_parse(config->backup_retention, &policy, why))
	{
		cli_complain("fawkes_ha.backup_retention: %s", why);
		return CLI_USAGE;
	}
	plan = fha_retention_plan(catalogue, &policy, fha_wall_ms() / 1000);
	if (plan == NULL)
	{
		cli_complain("out of memory");
		return CLI_FAILED;
	}
	if (!options->json)
		is_good = backups_print_table(catalogue, plan);
	else if ((is_good = fha_backup_document(catalogue, plan, &text, &err) == FHA_OK))
	{
		(void) puts(text);
		free(text);
	}
	else
		cli_complain("%s", err.text);
	fha_retention_free(plan);
	return is_good ? CLI_OK : CLI_FAILED;
}

static int
run_backups(CliOptions *options, int argc, char **argv)
{
	FhaConfig config = options->config;
	FhaBackupPlace place;
	FhaStore *store = NULL;
	FhaCatalogue *catalogue;
	FhaError err;
	FhaCode code = FHA_OK;
	int result = CLI_FAILED;

	(void) argc;
	(void) argv;
	if (config.data_directory[0] == '\0')
		code = settings_file_read(&options->given, &config, &err);
	if (code == FHA_OK)
		code = fha_backup_place_read(&place, &config, &err);
	if (code != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_USAGE;
	}
	code = fha_store_open(&store, &place.store, &err);
	if (code == FHA_OK)
		code = fha_inventory_read(&catalogue, store, place.server,
								  place.is_sealed ? &place.keys : NULL, fha_wall_ms() / 1000,
								  fha_now_ms() + options->wait_s * INT64_C(1000), &err);
	if (code == FHA_OK)
	{
		result = backups_show(options, &config, catalogue);
		fha_catalogue_free(catalogue);
	}
	else
		cli_complain("the store could not be read: %s", err.text);
	fha_store_close(store);
	fha_backup_place_release(&place);
	return result;
}

const CliCommand command_backups = {
	"backups",
	"-D DATA | --config FILE [-c NAME=VALUE]...  [--wait SECONDS]  [-o json]",
	"show the backups in the store, what can be recovered with them, and what retention makes of "
	"them",
	run_backups,
	"Dsgcwo",
	NULL,
	false,
};
