/*
 * leftover_slots.c: slots of others in a former primary's data directory.  See leftover_slots.h.
 */
#include "postgres.h"

#include <unistd.h>

#include "catalog/pg_control.h"
#include "common/controldata_utils.h"
#include "common/file_utils.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/fd.h"

#include "config/state_directory.h"
#include "core/world.h"
#include "node/state.h"
#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/leftover_slots.h"
#include "pg/report.h"

#define SLOTS "pg_replslot"
#define OURS "fawkes_ha_"
/* Of ReplicationSlotOnDisk, which slot.c keeps to itself. */
#define STATE_MAGIC 0x1051CA1

typedef struct State
{
	uint32 magic;
	uint32 checksum;
	uint32 version;
	uint32 length;
	ReplicationSlotPersistentData slot;
} State;

/* True: the server starts as a standby.  *led: in this data directory it was a primary before. */
static bool
becomes_standby(bool *led)
{
	bool valid;
	ControlFileData *control;

	if (access("standby.signal", F_OK) != 0)
		return false;
	control = get_controlfile(DataDir, &valid);
	*led = control->state != DB_SHUTDOWNED_IN_RECOVERY && control->state != DB_IN_ARCHIVE_RECOVERY;
	pfree(control);
	return valid;
}

/* What cannot be read is left to PostgreSQL, which says so. */
static bool
read_state(const char *name, State *out)
{
	char path[MAXPGPATH];
	int fd;
	ssize_t got;

	snprintf(path, sizeof(path), SLOTS "/%s/state", name);
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return false;
	got = read(fd, out, sizeof(*out));
	CloseTransientFile(fd);
	return got == sizeof(*out) && out->magic == STATE_MAGIC &&
		   strncmp(NameStr(out->slot.name), name, NAMEDATALEN) == 0;
}

/* For the history of the cluster, which the node loop writes, and then removes this. */
static void
note_removed(const char *name)
{
	FhaConfig config;
	char path[FHA_PATH_SIZE];
	char text[FHA_SENTENCE_SIZE];
	char *before = NULL;
	FhaError error;
	FhaCode code;

	guc_config(&config);
	code = fha_state_path(&config, "removed-slots", path, sizeof(path), &error);
	if (code == FHA_OK && fha_file_read(path, sizeof(text), &before, NULL) == FHA_OK)
		snprintf(text, sizeof(text), "%s, %s", before, name);
	else
		snprintf(text, sizeof(text), "logical slots of a former primary: %s", name);
	free(before);
	if (code == FHA_OK)
		code = fha_file_replace(path, text, strlen(text), &error);
	if (code != FHA_OK)
		fha_report_as("slot_history_not_kept", &error);
}

static void
remove_slot(const char *name)
{
	char path[MAXPGPATH];
	char doomed[MAXPGPATH];

	snprintf(path, sizeof(path), SLOTS "/%s", name);
	snprintf(doomed, sizeof(doomed), SLOTS "/%s.tmp", name);
	/* PostgreSQL removes a directory of that name itself, should we not come to it. */
	if (rename(path, doomed) != 0)
	{
		ereport(LOG, errcode_for_file_access(),
				report_line("slot_not_renamed", "could not rename \"%s\": %m", path));
		return;
	}
	fsync_fname(SLOTS, true);
	(void) rmtree(doomed, true);
	ereport(LOG,
			report_line(
				"logical_slot_removed",
				"logical replication slot \"%s\" is removed: it was made on a primary, and this "
				"server is a standby now",
				name),
			errhint("Slots do not move with the role: its consumer makes it anew on the primary."));
	note_removed(name);
}

void
leftover_slots_remove(void)
{
	bool led;
	DIR *directory;
	struct dirent *entry;

	if (!becomes_standby(&led) || (COMPAT_STANDBY_DECODES && !led))
		return;
	directory = AllocateDir(SLOTS);
	while ((entry = ReadDirExtended(directory, SLOTS, LOG)) != NULL)
	{
		State state;

		if (strspn(entry->d_name, "abcdefghijklmnopqrstuvwxyz0123456789_") !=
				strlen(entry->d_name) ||
			!read_state(entry->d_name, &state))
			continue;
		if (OidIsValid(state.slot.database))
			remove_slot(entry->d_name);
		else if (led && strncmp(entry->d_name, OURS, strlen(OURS)) != 0)
			ereport(
				LOG,
				report_line("slot_keeps_wal",
							"replication slot \"%s\" stays, and keeps WAL of this standby, up to "
							"max_slot_wal_keep_size",
							entry->d_name),
				errhint("Drop it here if its consumer now follows the new primary."));
	}
	FreeDir(directory);
}
