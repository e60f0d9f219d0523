/*
 * catalogue.h: what base backups and WAL there are in a store, and what can be recovered with them.
 *
 * Values in, values out.  Given are, in this order: a listing of SERVER/base/, with what fha_layout_keep_with_slash names; the bytes of
 * each backup.info and keep; a listing of SERVER/wals/; the bytes of each history file.  Then comes fha_catalogue_finish.
 * A listing may have any order; that of keys costs least.  A segment takes no memory: what is kept are runs of segments without a gap.
 *
 * Numbers of segments are positions divided by the size of segments, as fha_segment_parse has them.
 */
#ifndef FHA_BACKUP_CATALOGUE_H
#define FHA_BACKUP_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/backup_info.h"
#include "backup/layout.h"
#include "base/err.h"
#include "core/api.h"
#include "core/sizes.h"

#define FHA_BACKUPS_MAX 10000
#define FHA_BACKUP_OBJECTS_MAX 100000 /* of one backup */
#define FHA_TIMELINES_MAX 10000
#define FHA_WAL_RUNS_MAX 100000       /* of a timeline */
#define FHA_HISTORY_MAX (1024 * 1024) /* bytes of a history file that are read */

/* Nothing of a backup without an end has changed for so long, or its WAL was not archived in that time: it is given up. */
#define FHA_BACKUP_ABANDONED_S (7 * INT64_C(86400))

typedef enum FhaBackupState
{
	FHA_BACKUP_USABLE,
	FHA_BACKUP_RUNNING, /* or its end was not told yet */
	FHA_BACKUP_WAITING, /* it is complete, and its last WAL is not archived yet */
	FHA_BACKUP_HALF,    /* it failed, or was abandoned */
	FHA_BACKUP_DAMAGED, /* it was complete, and something of it is missing */
	FHA_BACKUP_FOREIGN  /* what it needs is not known here: nothing may be deleted beside it */
} FhaBackupState;

/* "usable", ... */
FHA_API const char *fha_backup_state_name(FhaBackupState state);

typedef enum FhaKeep
{
	FHA_KEEP_NOT,
	FHA_KEEP_STANDALONE, /* with the WAL from its begin to its end */
	FHA_KEEP_FULL /* with all WAL from its begin on; what else such a file says is taken for this */
} FhaKeep;

typedef struct FhaBackupObject
{
	char *key; /* as it was listed */
	FhaObjectName name;
	uint64_t size;
	int64_t modified_s;
} FhaBackupObject;

typedef struct FhaBackup
{
	char id[FHA_BACKUP_ID_SIZE];
	FhaBackupState state;
	char why[FHA_SENTENCE_SIZE]; /* of every state but USABLE */
	bool has_info;               /* it was read, and info is what it said */
	FhaBackupInfo info;
	bool is_positioned; /* it is known where it began */
	uint64_t first;     /* numbers of the segments that it needs at least */
	uint64_t last;      /* RUNNING: as the first */
	FhaKeep keep;
	uint64_t stored_bytes;
	int64_t changed_s; /* the newest of its objects, by the store's clock; 0: not told */
	FhaBackupObject *objects;
	size_t object_count;
} FhaBackup;

typedef struct FhaCatalogue FhaCatalogue;

/* NULL: no memory. */
FHA_API FhaCatalogue *fha_catalogue_new(const char *server);
FHA_API void fha_catalogue_free(FhaCatalogue *catalogue);

/*
 * One object of a listing.  OK, also for what is not of this layout, which is only counted; NO_MEMORY; PROTOCOL: more than one of the
 * limits above, and the catalogue is of no use.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_catalogue_add(FhaCatalogue *catalogue, const char *key,
												 uint64_t size, int64_t modified_s, FhaError *err);

/*
 * The bytes of an object that was listed.  What cannot be understood is no error: it makes the backup FOREIGN, its keep a full
 * one, the timeline one without a history.  NO_MEMORY; NOT_FOUND: no such object was listed.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_catalogue_put_info(FhaCatalogue *catalogue, const char *id,
													  const char *data, size_t size, FhaError *err);
FHA_API FHA_MUST_CHECK FhaCode fha_catalogue_put_keep(FhaCatalogue *catalogue, const char *id,
													  const char *data, size_t size, FhaError *err);
FHA_API FHA_MUST_CHECK FhaCode fha_catalogue_put_history(FhaCatalogue *catalogue, uint32_t timeline,
														 const char *data, size_t size,
														 FhaError *err);

/*
 * A backup without an end that is certainly not being made any more: the caller asked its maker.  Others count as
 * abandoned after FHA_BACKUP_ABANDONED_S.
 */
FHA_API void fha_catalogue_put_ended(FhaCatalogue *catalogue, const char *id);

/* now_s: seconds since 1970.  Only then have backups a state. */
FHA_API void fha_catalogue_finish(FhaCatalogue *catalogue, int64_t now_s);

/* --- what there is */

/* Whose it is. */
FHA_API const char *fha_catalogue_server(const FhaCatalogue *catalogue);

/* Oldest first, by their ids. */
FHA_API size_t fha_catalogue_count(const FhaCatalogue *catalogue);
FHA_API const FhaBackup *fha_catalogue_backup(const FhaCatalogue *catalogue, size_t index);
FHA_API const FhaBackup *fha_catalogue_find(const FhaCatalogue *catalogue, const char *id);

/* In bytes; that of the newest backup. */
FHA_API uint64_t fha_catalogue_segment_size(const FhaCatalogue *catalogue);

typedef struct FhaArchivedTimeline
{
	uint32_t timeline;
	bool has_history; /* the first timeline needs none */
	uint64_t segment_count;
	uint64_t stored_bytes;
	char first[FHA_WAL_NAME_SIZE]; /* "": it has no segment */
	char last[FHA_WAL_NAME_SIZE];
	int64_t last_stored_s; /* by the store's clock; 0: not told */
} FhaArchivedTimeline;

FHA_API size_t fha_catalogue_timeline_count(const FhaCatalogue *catalogue);
FHA_API FhaArchivedTimeline fha_catalogue_timeline(const FhaCatalogue *catalogue, size_t index);

/* Objects that are nothing of this layout. */
FHA_API size_t fha_catalogue_other_count(const FhaCatalogue *catalogue);

/* --- what can be recovered */

/* What another timeline is to one, seen from a segment of that one. */
typedef enum FhaKinship
{
	FHA_KIN_SAME,
	FHA_KIN_DESCENDANT, /* recovery gets from there to it */
	FHA_KIN_ANCESTOR,
	FHA_KIN_OTHER,  /* neither, as a branch that left it before */
	FHA_KIN_UNKNOWN /* there is no history that says */
} FhaKinship;

FHA_API FhaKinship fha_catalogue_kinship(const FhaCatalogue *catalogue, uint32_t timeline,
										 uint64_t number, uint32_t other);

/* Segments that are missing between others. */
typedef struct FhaWalGap
{
	char first[FHA_WAL_NAME_SIZE];
	char last[FHA_WAL_NAME_SIZE];
	uint64_t count;
	uint64_t next; /* the number behind it */
} FhaWalGap;

typedef struct FhaRecovery
{
	uint32_t timeline; /* the one that was asked for */
	uint64_t from_lsn; /* the backup's end: no earlier moment can be recovered with it */
	int64_t from_us;
	uint64_t to_lsn; /* the end of the last segment that has no gap before it */
	int64_t to_s;    /* when that was stored, by the store's clock; 0: not known */
	bool has_gap;    /* newer WAL is there, and cannot be reached */
	FhaWalGap gap;   /* the first one */
} FhaRecovery;

/*
 * The newest timeline that recovery gets to from that backup; its own at least.
 */
FHA_API uint32_t fha_catalogue_latest_timeline(const FhaCatalogue *catalogue,
											   const FhaBackup *backup);

/* timeline: a descendant of the backup's or that itself; 0: the newest.  false: the backup is not usable, or does not get there. */
FHA_API bool fha_catalogue_recovery(const FhaCatalogue *catalogue, const FhaBackup *backup,
									uint32_t timeline, FhaRecovery *out);

/* The first gap from the segment `number` on, on the way from that backup to that timeline; false: there is none. */
FHA_API bool fha_catalogue_next_gap(const FhaCatalogue *catalogue, const FhaBackup *backup,
									uint32_t timeline, uint64_t number, FhaWalGap *out);

#endif
