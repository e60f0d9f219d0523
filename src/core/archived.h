/*
 * archived.h: which WAL is in the archive, and which of its files a server sends there.
 *
 * The leader alone sends, and tells how far it has come.  A standby keeps what the leader may not have sent yet,
 * so that the next leader can.  Lineages are those of FhaCluster and FhaPgView: oldest first, the last step open.
 */
#ifndef FHA_ARCHIVED_H
#define FHA_ARCHIVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api.h"
#include "core/world.h"

typedef enum FhaWalKind
{
	FHA_WAL_SEGMENT,
	FHA_WAL_PARTIAL, /* the last segment of a timeline, as far as that was written */
	FHA_WAL_LABEL,   /* .backup: where a base backup began, for people */
	FHA_WAL_HISTORY
} FhaWalKind;

/* The WAL of a file: of a LABEL the place that it tells, of a HISTORY none but the timeline. */
typedef struct FhaWalSpan
{
	FhaWalKind kind;
	uint32_t timeline;
	uint64_t begin; /* its first byte, and that behind its last */
	uint64_t end;
} FhaWalSpan;

typedef struct FhaLineage
{
	size_t count; /* 0: not known */
	const FhaLineageStep *steps;
} FhaLineage;

typedef enum FhaArchiveDuty
{
	FHA_ARCHIVE_HOLD, /* it is kept, and asked about again later */
	FHA_ARCHIVE_SEND,
	FHA_ARCHIVE_DONE /* it is there, or no history that goes on has this WAL: nothing is sent */
} FhaArchiveDuty;

/*
 * What a primary does with a file.  The caller has made sure that it leads: its lease is valid in the term for
 * which it was promoted, and `own` is the lineage of that timeline.
 */
FHA_API FhaArchiveDuty fha_archive_duty_of_leader(const FhaWalSpan *file, FhaLineage own);

/*
 * What a standby does with it: HOLD or DONE.  leader: the lineage in the cluster's record; archived: the position
 * there.  Never DONE for WAL that its own history has and that the archive may lack.
 */
FHA_API FhaArchiveDuty fha_archive_duty_of_standby(const FhaWalSpan *file, FhaLineage own,
												   FhaLineage leader, FhaPosition archived);

/*
 * The file is in the archive now: does that move the position on without a gap?  false: WAL may be missing between the
 * position and this file, or the position is not known; who has looked for what is missing sets it by itself.
 */
FHA_API bool fha_archived_advance(FhaPosition *archived, const FhaWalSpan *file, FhaLineage own);

#endif
