/*
 * retention.h: what of a store a policy lets go, and what keeps the rest.
 *
 * Kept are, by a window, each usable backup that ended in it and the newest one before it, because the window's first moments are
 * recovered with that; by a count, the newest so many usable ones.  So the newest usable backup is kept in any case.  Only what is usable counts: a backup whose archive
 * or WAL is missing takes no other's place.  Kept are, besides:
 *
 * - what a person keeps (annotations/keep), and what an incremental backup that is kept stands on;
 * - what is running, whoever makes it, and what is complete and waits for its last WAL;
 * - what is damaged, until it is older than each backup that the policy keeps;
 * - all WAL that recovery can get to from a backup that is kept, on each timeline that comes of its own; of one that is kept as
 *   standalone, that from its begin to its end;
 * - history files, and objects that are not of the layout.
 *
 * Nothing goes beside a backup of which is not known what it needs (FOREIGN).
 */
#ifndef FHA_BACKUP_RETENTION_H
#define FHA_BACKUP_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/catalogue.h"
#include "core/retention_policy.h"

typedef enum FhaRetentionReason
{
	/* stays */
	FHA_STAYS_IN_WINDOW,
	FHA_STAYS_FOR_WINDOW, /* the newest before its start */
	FHA_STAYS_IN_COUNT,
	FHA_STAYS_NO_POLICY,
	FHA_STAYS_KEPT,   /* by a person */
	FHA_STAYS_PARENT, /* another one stands on it: `because` */
	FHA_STAYS_RUNNING,
	FHA_STAYS_WAITING,
	FHA_STAYS_DAMAGED,
	FHA_STAYS_FOREIGN,  /* `because` is FOREIGN */
	FHA_STAYS_SNAPSHOT, /* its data is not in this store */
	FHA_STAYS_NEEDED,   /* WAL, by the backup `because` */
	FHA_STAYS_LABEL,    /* WAL: the label of `because` */
	FHA_STAYS_HISTORY,
	FHA_STAYS_UNSURE, /* WAL of which is not known whether something needs it */
	FHA_STAYS_OTHER,  /* it is not of the layout */
	/* goes */
	FHA_GOES_OLD,
	FHA_GOES_HALF,
	FHA_GOES_DAMAGED,
	FHA_GOES_BEFORE, /* WAL before the first that is needed: of `because` */
	FHA_GOES_BRANCH  /* WAL of a branch that no backup leads to, older than the oldest kept one */
} FhaRetentionReason;

FHA_API bool fha_retention_goes(FhaRetentionReason reason);

/* For people, without a full stop; the backup `because` stands behind it. */
FHA_API const char *fha_retention_reason(FhaRetentionReason reason);

/* What becomes of a backup, or of an object of WAL. */
typedef struct FhaRetentionVerdict
{
	FhaRetentionReason reason;
	const FhaBackup *because; /* NULL: the reason names none */
} FhaRetentionVerdict;

typedef struct FhaRetention FhaRetention;

/* The catalogue is finished, and stays as it is for as long as the plan.  NULL: no memory.  now_s: seconds since 1970. */
FHA_API FhaRetention *fha_retention_plan(const FhaCatalogue *catalogue,
										 const FhaRetentionPolicy *policy, int64_t now_s);
FHA_API void fha_retention_free(FhaRetention *plan);

/* By the backup's place in the catalogue. */
FHA_API FhaRetentionVerdict fha_retention_backup(const FhaRetention *plan, size_t index);

/*
 * The keys of base backups that go, in the order in which they are to be deleted: backup after backup, oldest first, and the
 * backup.info of each last, so that what is left of an interrupted deletion can be recognised.  They go before any WAL.
 */
FHA_API size_t fha_retention_key_count(const FhaRetention *plan);
FHA_API const char *fha_retention_key(const FhaRetention *plan, size_t index);

/*
 * Of a key under SERVER/wals/, as it is listed once more.  So WAL may be deleted page by page, whatever there is of it.  What was archived
 * after the plan was made is never judged to go.  modified_s: by the store's clock; 0: not told.
 */
FHA_API FhaRetentionVerdict fha_retention_wal(const FhaRetention *plan, const char *key,
											  int64_t modified_s);

#endif
