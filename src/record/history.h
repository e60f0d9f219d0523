/*
 * history.h: the record of what happened to a cluster: who asked, when, why, and how it ended.
 */
#ifndef FHA_RECORD_HISTORY_H
#define FHA_RECORD_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/world.h"

#define FHA_HISTORY_MAX 100 /* entries kept; annotations are capped at 256 KiB */

typedef struct FhaHistoryEntry
{
	char at[FHA_TIME_SIZE];
	char event[FHA_WORD_SIZE];  /* bootstrap, failover, reclaim, or a request's kind */
	char member[FHA_NAME_SIZE]; /* who led after it; of other requests: whom it was about */
	char from[FHA_NAME_SIZE];
	char request[FHA_ID_SIZE];
	char requested_by[FHA_REQUESTER_SIZE];
	char reason[FHA_SENTENCE_SIZE];
	FhaRequestState state; /* of a request: done or failed; pending: a member of 1.1 does not say */
	char result
		[FHA_SENTENCE_SIZE]; /* that state and its message, for people; "" without a request */
	uint64_t term;
	uint32_t timeline;
} FhaHistoryEntry;

/* The history record with one entry more; old may be NULL (no record yet).  *out: free it. */
FHA_API FHA_MUST_CHECK FhaCode fha_history_append(const char *cluster, const char *old,
												  size_t old_size, const FhaHistoryEntry *entry,
												  char **out, FhaError *err);

/* Has an earlier write of this very entry arrived?  False for what is no history record. */
FHA_API bool fha_history_has(const char *data, size_t size, const FhaHistoryEntry *entry);

/* The entries of a history record, oldest first, into out[FHA_HISTORY_MAX].  PROTOCOL, NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_history_parse(const char *data, size_t size,
												 FhaHistoryEntry *out, size_t *count,
												 FhaError *err);

/* The same, without the entries that cannot be read.  PROTOCOL: it is no history record. */
FHA_API FHA_MUST_CHECK FhaCode fha_history_glean(const char *data, size_t size,
												 FhaHistoryEntry *out, size_t *count,
												 FhaError *err);

/* An entry as it stands in the record. */
struct json_object;
struct json_object *fha_history_entry_object(const FhaHistoryEntry *entry, bool *failed);

/* The entry for a request that has ended as it says, at wall_ms (fha_wall_ms). */
FHA_API void fha_history_of_request(const FhaCluster *cluster, const FhaRequest *request,
									int64_t wall_ms, FhaHistoryEntry *out);

#endif
