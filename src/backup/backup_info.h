/*
 * backup_info.h: backup.info, which says what a base backup is: barman's lines of key=value, with values as Python shows them.
 *
 * Written are the keys that barman 3.4.0 knows, because no version of barman reads a file with a key that is new to it.
 * What is ours stands in comments, `# fawkes_ha.KEY=VALUE`, which each of its versions skips.
 * Read is what 3.4.0 to 3.19 write; keys that are not known are skipped.
 *
 * Since 3.19 the file is written twice: with STARTED as soon as the backup began, and with DONE, or FAILED, at its end.
 */
#ifndef FHA_BACKUP_INFO_H
#define FHA_BACKUP_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/layout.h"
#include "base/err.h"
#include "core/api.h"
#include "core/sizes.h"

#define FHA_BACKUP_INFO_MAX (1024 * 1024) /* bytes of a file that is read */
#define FHA_BACKUP_LABEL_MAX 65536        /* bytes; PostgreSQL's have some 300 */
#define FHA_TABLESPACES_MAX 1000
#define FHA_BACKUP_TEXT_SIZE 256 /* mode, names, error */
#define FHA_DEFAULT_SEGMENT_SIZE (16 * 1024 * 1024)

typedef enum FhaBackupStatus
{
	FHA_BACKUP_EMPTY,
	FHA_BACKUP_STARTED,
	FHA_BACKUP_WAITING_FOR_WALS, /* barman's own server: its data is complete */
	FHA_BACKUP_DONE,
	FHA_BACKUP_SYNCING,
	FHA_BACKUP_FAILED,
	FHA_BACKUP_OTHER /* a word that is not known here */
} FhaBackupStatus;

/* As in the file; "": OTHER. */
FHA_API const char *fha_backup_status_name(FhaBackupStatus status);

typedef struct FhaTablespace
{
	uint32_t oid;
	char name[FHA_DATABASE_SIZE];
	char location[FHA_PATH_SIZE]; /* where it was */
} FhaTablespace;

/* What is not told is 0 or "". */
typedef struct FhaBackupInfo
{
	FhaBackupStatus status;
	int64_t version; /* of PostgreSQL, as 150014 */
	uint64_t systemid;
	uint32_t timeline;
	uint64_t segment_size; /* of WAL, in bytes; FHA_DEFAULT_SEGMENT_SIZE if it is not told */
	int64_t
		begin_time_us; /* microseconds since 1970; what is written without an offset is taken for UTC */
	int64_t end_time_us;
	uint64_t begin_lsn;
	uint64_t end_lsn;
	char begin_wal
		[FHA_WAL_NAME_SIZE]; /* the first and the last segment without which it cannot be used */
	char end_wal[FHA_WAL_NAME_SIZE];
	int64_t size; /* bytes of the data directory */
	char mode[FHA_BACKUP_TEXT_SIZE];
	char server_name[FHA_BACKUP_TEXT_SIZE];
	char backup_name[FHA_BACKUP_TEXT_SIZE]; /* that a person gave it */
	char error[FHA_BACKUP_TEXT_SIZE];       /* why it failed; cut if it is longer */
	char pgdata[FHA_PATH_SIZE];
	char config_file[FHA_PATH_SIZE];
	char hba_file[FHA_PATH_SIZE];
	char ident_file[FHA_PATH_SIZE];
	char *backup_label; /* NULL: there is none */
	FhaTablespace *tablespaces;
	size_t tablespace_count;
	bool is_snapshot;                   /* of disks, which are in no object store; read only */
	char parent_id[FHA_BACKUP_ID_SIZE]; /* of an incremental backup: the one that it is on top of */
	char key_id[FHA_BACKUP_TEXT_SIZE];  /* ours: what it is encrypted with */
	char member[FHA_NAME_SIZE];         /* ours: which member made it */
} FhaBackupInfo;

/*
 * PROTOCOL and a text with line and key if it is no such file, NO_MEMORY.  *out is to be freed after OK alone.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_backup_info_parse(const char *data, size_t size,
													 FhaBackupInfo *out, FhaError *err);

/*
 * *out is to be freed.  INVALID: a text that cannot stand in such a file, which is named: not UTF-8, with a line break or
 * with blanks around it.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_backup_info_print(const FhaBackupInfo *info, char **out,
													 FhaError *err);

/* What it owns, and not itself. */
FHA_API void fha_backup_info_free(FhaBackupInfo *info);

/* Where it began and ended, with the names of segments.  end_lsn is behind the last byte, as pg_backup_stop says it. */
FHA_API void fha_backup_info_set_begin(FhaBackupInfo *info, uint32_t timeline, uint64_t lsn);
FHA_API void fha_backup_info_set_end(FhaBackupInfo *info, uint64_t lsn);

/*
 * Does a backup that is DONE say all that a restore and retention need, and does it agree with itself?  PROTOCOL and
 * the text if not.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_backup_info_check(const FhaBackupInfo *info, FhaError *err);

/* "2026-11-22 06:38:51.123456+00:00"; the fraction is left out if it is none.  false: it is no time. */
FHA_API bool fha_backup_time_parse(const char *text, int64_t *us);
#define FHA_BACKUP_TIME_SIZE 33
FHA_API void fha_backup_time_print(int64_t us, char out[FHA_BACKUP_TIME_SIZE]);

#endif
