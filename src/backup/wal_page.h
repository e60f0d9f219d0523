/*
 * wal_page.h: what the first page of a segment says, held to its file's name.
 */
#ifndef FHA_BACKUP_WAL_PAGE_H
#define FHA_BACKUP_WAL_PAGE_H

#include <stdint.h>

#include "backup/layout.h"
#include "base/err.h"

#define FHA_WAL_PAGE_SIZE 40 /* XLogLongPageHeaderData, the same in PostgreSQL 15 to 18 */

/* What a segment must be. */
typedef struct FhaWalRules
{
	uint64_t segment_size; /* in bytes; 0: what a segment says of itself */
	uint64_t systemid;     /* of the cluster; 0: any */
} FhaWalRules;

/*
 * The first bytes, and the size, of the segment `file`, or of its .partial, which is as large.
 * INVALID: it is damaged, or it is the segment of another name, size or cluster; the text names it as `name`.
 */
FHA_MUST_CHECK FhaCode fha_wal_page_check(const FhaWalRules *rules, const FhaWalFile *file,
										  const char *name, const char page[FHA_WAL_PAGE_SIZE],
										  uint64_t size, FhaError *err);

#endif
