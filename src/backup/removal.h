/*
 * removal.h: one base backup goes from a store, whole or half: first uploads that were not completed, then its objects,
 * and backup.info last, so that what is left of an interrupted removal is still recognised as half.
 *
 * Which backup may go is the caller's decision: one that is DONE by retention.h, one that is not by its maker alone.
 */
#ifndef FHA_BACKUP_REMOVAL_H
#define FHA_BACKUP_REMOVAL_H

#include <stdint.h>

#include "backup/layout.h"
#include "base/err.h"
#include "store/store.h"

typedef struct FhaRemoval FhaRemoval;

/*
 * The store's calls and answers are the removal's alone until it is closed.  server: valid; id: of a backup.
 * deadline_at_ms: of all of it, on fha_now_ms.  INVALID, NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_removal_open(FhaRemoval **out, FhaStore *store,
												const char *server, const char *id,
												int64_t deadline_at_ms, FhaError *err);

/*
 * OK: nothing of it is left.  AGAIN: until the store's descriptor is readable or its time has come.
 * Else as the store refuses; a removal of the same backup later goes on with what is left.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_removal_step(FhaRemoval *removal, FhaError *err);

/* Cancels its call.  NULL is allowed. */
FHA_API void fha_removal_close(FhaRemoval *removal);

#endif
