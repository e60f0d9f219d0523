/*
 * restore.h: the parts of `fawkes-ha restore`: what is asked for and found (cmd_restore.c), and how it becomes files (restore_files.c).
 *
 * Nothing that is there is written into: the data directory and those of tablespaces are new, or empty.  While a restore is under way
 * there is a directory RESTORING in it, and no pg_control, without which no server starts.
 */
#ifndef CLI_RESTORE_H
#define CLI_RESTORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "backup/catalogue.h"
#include "backup/extract.h"
#include "backup/place.h"
#include "cli/cli.h"
#include "store/store.h"

#define RESTORING "fawkes_ha_restoring"

typedef struct RestoreArchive
{
	const FhaBackupObject *object;
	const char *directory;
} RestoreArchive;

typedef struct RestoreTablespace
{
	const FhaTablespace *of;
	char path[FHA_PATH_SIZE]; /* where it shall be */
} RestoreTablespace;

typedef struct Restore
{
	const CliOptions *options;
	const char *data; /* the new data directory */
	FhaConfig config;
	bool has_place;
	FhaBackupPlace place;
	FhaStore *store;
	FhaCatalogue *catalogue;
	const FhaBackup *backup;
	FhaRecovery recovery;
	int64_t target_us;   /* 0: no time was asked for */
	uint64_t target_lsn; /* 0: none */
	uint32_t timeline;   /* 0: the newest that the backup leads to */
	RestoreArchive *archives;
	size_t archive_count;
	uint64_t stored_bytes; /* of them */
	RestoreTablespace *tablespaces;
	size_t tablespace_count;
	FhaHeldFile control, label, conf;
	/* The threads'. */
	pthread_mutex_t mutex;
	size_t next;     /* archive */
	size_t busy;     /* threads */
	FhaError failed; /* the first one */
	atomic_uint_fast64_t stored;
} Restore;

/* Which archives go where.  INVALID: a directory that is not empty, a tablespace that is not of the backup, an archive that is missing. */
FHA_MUST_CHECK FhaCode restore_plan_places(Restore *self, FhaError *err);

/* All of it. */
FHA_MUST_CHECK FhaCode restore_carry_out(Restore *self, FhaError *err);

#endif
