/*
 * cmd_restore.c: `fawkes-ha restore`: a new data directory out of a store, which PostgreSQL then recovers to where it shall.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backup/inventory.h"
#include "base/clock.h"
#include "base/lsn.h"
#include "cli/files.h"
#include "cli/restore.h"

#define RESTORE_READ_MS 600000

/* --- what is asked for */

static int
restore_refuse_usage(const char *option, const char *value, const char *wants)
{
	cli_complain("%s takes %s, not \"%s\"", option, wants, value);
	return CLI_USAGE;
}

/* At most one target, and each as PostgreSQL takes it. */
static int
restore_read_target(Restore *self)
{
	const CliRestore *asked = &self->options->restore;
	char *end;
	int targets = (asked->time != NULL) + (asked->lsn != NULL) + (asked->xid != NULL) +
				  (asked->name != NULL) + asked->immediate;

	if (targets > 1)
	{
		cli_complain("a restore has one target: --to-time, --to-lsn, --to-xid, --to-name or "
					 "--immediate");
		return CLI_USAGE;
	}
	if (asked->time != NULL && !fha_backup_time_parse(asked->time, &self->target_us))
		return restore_refuse_usage("--to-time", asked->time,
									"a time as 2026-11-22 06:38:51.5+00:00");
	if (asked->lsn != NULL && !fha_lsn_parse(asked->lsn, &self->target_lsn))
		return restore_refuse_usage("--to-lsn", asked->lsn, "a position as 16/B374D848");
	if (asked->xid != NULL && asked->xid[strspn(asked->xid, "0123456789")] != '\0')
		return restore_refuse_usage("--to-xid", asked->xid, "a number");
	if (asked->timeline != NULL)
	{
		self->timeline = (uint32_t) strtoul(asked->timeline, &end, 10);
		if (*end != '\0' || self->timeline == 0)
			return restore_refuse_usage("--timeline", asked->timeline, "a number from 1 on");
	}
	return CLI_OK;
}

/* --- which backup */

/* Does a recovery that begins with this backup get there?  why: if not. */
static bool
restore_can_begin_with(Restore *self, const FhaBackup *backup, char *why, size_t size)
{
	char ended[FHA_BACKUP_TIME_SIZE];

	if (backup->state != FHA_BACKUP_USABLE)
		(void) snprintf(why, size, "it is %s: %s", fha_backup_state_name(backup->state),
						backup->why);
	else if (backup->info.parent_id[0] != '\0')
		(void) snprintf(why, size, "it is an incremental one, of %s", backup->info.parent_id);
	else if (backup->info.is_snapshot)
		(void) snprintf(why, size, "its data is a snapshot of disks, and not in this store");
	else if (!fha_catalogue_recovery(self->catalogue, backup, self->timeline, &self->recovery))
		(void) snprintf(why, size, "it does not lead to timeline %" PRIu32, self->timeline);
	else if (self->target_us != 0 && backup->info.end_time_us > self->target_us)
	{
		fha_backup_time_print(backup->info.end_time_us, ended);
		(void) snprintf(why, size, "it ended at %s", ended);
	}
	else if (self->target_lsn != 0 && backup->info.end_lsn > self->target_lsn)
		(void) snprintf(why, size, "it ended behind that position");
	else if (self->target_lsn != 0 && self->recovery.to_lsn < self->target_lsn)
		(void) snprintf(why, size, "the WAL from it on ends before that position");
	else
		return true;
	return false;
}

/* The newest one: recovery then has least to do. */
static int
restore_choose(Restore *self)
{
	const char *wanted = self->options->restore.backup;
	size_t count = fha_catalogue_count(self->catalogue);
	char why[400];

	for (size_t i = count; i > 0 && self->backup == NULL; i--)
	{
		const FhaBackup *backup = fha_catalogue_backup(self->catalogue, i - 1);

		if (wanted != NULL && strcmp(backup->id, wanted) != 0)
			continue;
		if (restore_can_begin_with(self, backup, why, sizeof(why)))
			self->backup = backup;
		else
			cli_complain("backup %s cannot be taken: %s", backup->id, why);
	}
	if (self->backup != NULL)
		return CLI_OK;
	cli_complain(wanted != NULL ? "there is no usable backup %s of %s for this target"
								: "there is no usable backup%s of %s for this target",
				 wanted != NULL ? wanted : "", self->place.server);
	return CLI_FAILED;
}

/* Before anything is downloaded. */
static int
restore_check_key(const Restore *self)
{
	const char *id = self->backup->info.key_id;

	if (id[0] == '\0')
		return CLI_OK;
	if (!self->place.is_sealed)
		cli_complain("backup %s is encrypted with the key %s, and there is no key: set "
					 "fawkes_ha.backup_key_file",
					 self->backup->id, id);
	else if (fha_seal_keys_find(&self->place.keys, id) == NULL)
		cli_complain("backup %s is encrypted with the key %s, which is not in \"%s\"",
					 self->backup->id, id, self->config.backup_key_file);
	else
		return CLI_OK;
	return CLI_FAILED;
}

static FhaCode
restore_read_store(Restore *self, FhaError *err)
{
	FhaCode code = fha_store_open(&self->store, &self->place.store, err);

	if (code == FHA_OK)
		code = fha_inventory_read(&self->catalogue, self->store, self->place.server,
								  self->place.is_sealed ? &self->place.keys : NULL,
								  fha_wall_ms() / 1000, fha_now_ms() + RESTORE_READ_MS, err);
	return code;
}

/* --- the plan */

static void
restore_print_size(const char *what, uint64_t bytes)
{
	(void) printf("%s%.1f MiB\n", what, (double) bytes / (1 << 20));
}

static void
restore_print_target(const Restore *self)
{
	const CliRestore *asked = &self->options->restore;
	char text[FHA_BACKUP_TIME_SIZE];

	if (asked->time != NULL)
	{
		fha_backup_time_print(self->target_us, text);
		cli_line("target       the time %s", text);
	}
	else if (asked->lsn != NULL)
		cli_line("target       the position %s", asked->lsn);
	else if (asked->xid != NULL)
		cli_line("target       the transaction %s; --backup for an older one than this",
				 asked->xid);
	else if (asked->name != NULL)
		cli_line("target       the restore point %s; --backup for an older one than this",
				 asked->name);
	else
		cli_line("target       %s", asked->immediate ? "the end of the backup" : "all there is");
}

static void
restore_print_plan(const Restore *self)
{
	const FhaBackupInfo *info = &self->backup->info;
	uint64_t segment_size = info->segment_size;
	uint64_t to_lsn = self->target_lsn != 0              ? self->target_lsn
					  : self->options->restore.immediate ? info->end_lsn
														 : self->recovery.to_lsn;
	char ended[FHA_BACKUP_TIME_SIZE];
	char lsn[FHA_LSN_TEXT_SIZE];

	fha_backup_time_print(info->end_time_us, ended);
	cli_line("backup       %s of %s, ended %s, PostgreSQL %d", self->backup->id, self->place.server,
			 ended, (int) (info->version / 10000));
	restore_print_target(self);
	(void) printf("archives     %zu, ", self->archive_count);
	restore_print_size("", self->stored_bytes);
	fha_lsn_print(to_lsn, lsn, sizeof(lsn));
	cli_line("wal          from %s, timeline %" PRIu32 ", to %s%s", info->begin_wal,
			 self->recovery.timeline, lsn, self->target_us != 0 ? " at most" : "");
	restore_print_size("wal          at most ",
					   to_lsn - info->begin_lsn / segment_size * segment_size);
	if (self->recovery.has_gap)
		cli_line("gap          WAL from %s to %s is missing: recovery ends there at the latest",
				 self->recovery.gap.first, self->recovery.gap.last);
	cli_line("data         %s", self->data);
	for (size_t i = 0; i < self->tablespace_count; i++)
		cli_line("tablespace   %s (%s) in %s", self->tablespaces[i].of->name,
				 self->tablespaces[i].of->location, self->tablespaces[i].path);
}

/* --- the command */

static FhaCode
restore_prepare(Restore *self, FhaError *err)
{
	FhaCode code = settings_file_read(&self->options->given, &self->config, err);

	if (code == FHA_OK)
		code = fha_backup_place_read(&self->place, &self->config, err);
	self->has_place = code == FHA_OK;
	if (code == FHA_OK)
		code = restore_read_store(self, err);
	return code;
}

static int
restore_run(Restore *self)
{
	FhaError err = {.text = ""};
	FhaCode code;
	int result = restore_read_target(self);

	if (result != CLI_OK)
		return result;
	code = restore_prepare(self, &err);
	if (code != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	result = restore_choose(self);
	if (result == CLI_OK)
		result = restore_check_key(self);
	if (result != CLI_OK)
		return result;
	code = restore_plan_places(self, &err);
	if (code == FHA_OK)
		restore_print_plan(self);
	if (code == FHA_OK && self->options->dry_run)
		return CLI_OK;
	if (code == FHA_OK)
		code = restore_carry_out(self, &err);
	if (code != FHA_OK)
		cli_complain("%s", err.text);
	return code == FHA_OK ? CLI_OK : CLI_FAILED;
}

static int
run_restore(CliOptions *options, int argc, char **argv)
{
	static Restore self;
	int result;

	(void) argc;
	(void) argv;
	self.options = options;
	self.data = options->operand;
	self.config = options->config;
	result = restore_run(&self);
	free(self.archives);
	free(self.tablespaces);
	free(self.control.data);
	free(self.label.data);
	free(self.conf.data);
	fha_catalogue_free(self.catalogue);
	fha_store_close(self.store);
	if (self.has_place)
		fha_backup_place_release(&self.place);
	return result;
}

const CliCommand command_restore = {
	"restore",
	"--config FILE [-c NAME=VALUE] [--to-time TIME | --to-lsn LSN | --to-xid XID | --to-name NAME "
	"| "
	"--immediate] [--timeline NUMBER] [--backup ID] [--tablespace OLD=NEW] [--bin DIR] [--dry-run] "
	"DATA",
	"make a new data directory of a backup in a store, which recovers from the archive when it is "
	"started",
	run_restore,
	"gcbnTLXNIZBY",
	"DATA",
	true,
};
