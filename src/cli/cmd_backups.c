/*
 * cmd_backups.c: what there is in the store of backups, and what becomes of it: `fawkes-ha backups`, `backup-prune`,
 * `backup-keep` and `backup-unkeep`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backup/document.h"
#include "backup/inventory.h"
#include "backup/place.h"
#include "backup/prune.h"
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

/* A store that was read, and what the policy makes of it. */
typedef struct Backups
{
	const CliOptions *options;
	FhaConfig config;
	FhaBackupPlace place;
	FhaStore *store;
	FhaCatalogue *catalogue;
	FhaRetention *plan;
	int64_t deadline_at_ms;
} Backups;

static int
backups_show(Backups *backups)
{
	char *text;
	FhaError err;

	if (!backups->options->json)
		return backups_print_table(backups->catalogue, backups->plan) ? CLI_OK : CLI_FAILED;
	if (fha_backup_document(backups->catalogue, backups->plan, &text, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	(void) puts(text);
	free(text);
	return CLI_OK;
}

static int
backups_prune(Backups *backups)
{
	bool dry_run = backups->options->dry_run;
	FhaPruned pruned;
	char size[20];
	FhaError err;
	FhaCode code;

	for (size_t i = 0; i < fha_catalogue_count(backups->catalogue); i++)
		backups_print_backup(fha_catalogue_backup(backups->catalogue, i),
							 fha_retention_backup(backups->plan, i));
	code = fha_prune(backups->store, backups->place.server, backups->plan, dry_run, &pruned,
					 backups->deadline_at_ms, &err);
	cli_line("%s: %" PRIu64 " objects of base backups, and %" PRIu64 " of WAL, with %s",
			 dry_run ? "would be deleted" : "deleted", pruned.backup_objects, pruned.wal_objects,
			 backups_size(pruned.wal_bytes, size));
	if (code == FHA_OK)
		return CLI_OK;
	cli_complain("%s; what is left goes with the next backup-prune", err.text);
	return CLI_FAILED;
}

static int
backups_set_keep(Backups *backups, FhaKeep keep)
{
	const char *id = backups->options->operand;
	FhaError err;

	if (fha_catalogue_find(backups->catalogue, id) == NULL)
	{
		cli_complain("there is no base backup %s; `fawkes-ha backups` shows them", id);
		return CLI_FAILED;
	}
	if (fha_backup_set_keep(backups->store, backups->place.server, id, keep,
							backups->deadline_at_ms, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	cli_line("base backup %s is %s", id,
			 keep == FHA_KEEP_NOT ? "kept by retention alone"
								  : "kept, with all WAL from its begin");
	return CLI_OK;
}

static int
backups_keep(Backups *backups)
{
	return backups_set_keep(backups, FHA_KEEP_FULL);
}

static int
backups_unkeep(Backups *backups)
{
	return backups_set_keep(backups, FHA_KEEP_NOT);
}

static int
backups_plan(Backups *backups, const FhaRetentionPolicy *policy, int (*work)(Backups *backups))
{
	FhaError err;
	int result = CLI_FAILED;
	FhaCode code = fha_inventory_read(&backups->catalogue, backups->store, backups->place.server,
									  backups->place.is_sealed ? &backups->place.keys : NULL,
									  fha_wall_ms() / 1000, backups->deadline_at_ms, &err);

	if (code != FHA_OK)
	{
		cli_complain("the store could not be read: %s", err.text);
		return CLI_FAILED;
	}
	backups->plan = fha_retention_plan(backups->catalogue, policy, fha_wall_ms() / 1000);
	if (backups->plan == NULL)
		cli_complain("out of memory");
	else
		result = work(backups);
	fha_retention_free(backups->plan);
	fha_catalogue_free(backups->catalogue);
	return result;
}

/* The settings are read, then the store, and then comes the work. */
static int
backups_run(const CliOptions *options, int (*work)(Backups *backups))
{
	Backups backups = {.options = options,
					   .config = options->config,
					   .deadline_at_ms = fha_now_ms() + options->wait_s * INT64_C(1000)};
	FhaRetentionPolicy policy;
	char why[FHA_SENTENCE_SIZE];
	FhaError err;
	FhaCode code = FHA_OK;
	int result = CLI_FAILED;

	if (backups.config.data_directory[0] == '\0')
		code = settings_file_read(&options->given, &backups.config, &err);
	if (code == FHA_OK &&
		!fha_retention_policy_parse(backups.config.backup_retention, &policy, why))
		code = fha_error(&err, FHA_INVALID, "fawkes_ha.backup_retention: %s", why);
	if (code == FHA_OK)
		code = fha_backup_place_read(&backups.place, &backups.config, &err);
	if (code != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_USAGE;
	}
	if (fha_store_open(&backups.store, &backups.place.store, &err) == FHA_OK)
		result = backups_plan(&backups, &policy, work);
	else
		cli_complain("the store could not be read: %s", err.text);
	fha_store_close(backups.store);
	fha_backup_place_release(&backups.place);
	return result;
}

static int
run_backups(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return backups_run(options, backups_show);
}

static int
run_backup_prune(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return backups_run(options, backups_prune);
}

static int
run_backup_keep(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return backups_run(options, backups_keep);
}

static int
run_backup_unkeep(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return backups_run(options, backups_unkeep);
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

const CliCommand command_backup_prune = {
	"backup-prune",
	"-D DATA | --config FILE [-c NAME=VALUE]...  [--wait SECONDS]  [--dry-run]",
	"delete the backups and the WAL that fawkes_ha.backup_retention lets go",
	run_backup_prune,
	"Dsgcwn",
	NULL,
	false,
};

const CliCommand command_backup_keep = {
	"backup-keep",
	"-D DATA | --config FILE [-c NAME=VALUE]...  [--wait SECONDS]  ID",
	"keep a base backup, with all WAL from its begin on, whatever retention says",
	run_backup_keep,
	"Dsgcw",
	"ID",
	true,
};

const CliCommand command_backup_unkeep = {
	"backup-unkeep",
	"-D DATA | --config FILE [-c NAME=VALUE]...  [--wait SECONDS]  ID",
	"leave a base backup that was kept to retention again",
	run_backup_unkeep,
	"Dsgcw",
	"ID",
	true,
};
