/*
 * promise_file.h: bond.json of the state directory: what this node must not forget of its promises
 * (S10).
 *
 * A file of its own: node.json is also written by jobs that replace the data.
 */
#ifndef FHA_NODE_PROMISE_FILE_H
#define FHA_NODE_PROMISE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "core/world.h"
#include "lock/lock.h"
#include "node/state.h"

/* Stands in `contended` for a record that was absent: no driver has such a version. */
#define FHA_PROMISE_FILE_ABSENT "-"

typedef struct FhaPromiseFile
{
	/* Until then, on the clock of that boot, this node takes no lease that was not released: it
	 * promised so, or was promised so itself and may have led by it.  After another boot, for
	 * as long as for_ms from its start: the data may have come from a machine that still runs. */
	char boot_id[FHA_UUID_SIZE];
	/* A container may have been given an offset of its own to that clock: as for another boot. */
	char time_namespace[FHA_TIME_NAMESPACE_SIZE];
	int64_t ends_at_ms;
	int64_t for_ms;
	/* The version of the cluster's record on which it last tried to take the lease; "": how that
	 * ended is known.  While it is not, a promise would be worth nothing. */
	char contended[FHA_VERSION_SIZE];
	/* Where the holder of that term was when it last asked: later than what the record says. */
	uint64_t heard_term; /* 0: nothing was heard */
	char heard_from[FHA_NAME_SIZE];
	FhaPosition heard;
} FhaPromiseFile;

/* NOT_FOUND: nothing ever bound it; *out is zeroed.  INVALID: the file is damaged.  IO. */
FHA_MUST_CHECK FhaCode fha_promise_file_load(const FhaConfig *config, FhaPromiseFile *out,
											 FhaError *err);

/* The file's text: free it.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_promise_file_print(const FhaPromiseFile *file, char **out,
											  FhaError *err);

/* On disk when it returns OK.  IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_promise_file_save(const FhaConfig *config, const FhaPromiseFile *file,
											 FhaError *err);

bool fha_promise_file_is_same(const FhaPromiseFile *a, const FhaPromiseFile *b);

/* Do the times in the file belong to this clock: this boot's, in this time namespace? */
bool fha_promise_file_is_of(const FhaPromiseFile *file, const char *boot_id,
							const char *time_namespace);

/* Until when this boot (`boot_id`), which begins to look at now_ms, is bound. */
int64_t fha_promise_file_ends_at_ms(const FhaPromiseFile *file, const char *boot_id,
									const char *time_namespace, int64_t now_ms);

#endif
