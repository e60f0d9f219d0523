/*
 * archived.c: which WAL is in the archive, and which of its files a server sends there.  See archived.h.
 */
#include "core/archived.h"

#include <string.h>

static const FhaLineageStep *
archived_step(FhaLineage lineage, uint32_t timeline)
{
	for (size_t i = 0; i < lineage.count; i++)
		if (lineage.steps[i].timeline == timeline)
			return lineage.steps + i;
	return NULL;
}

static uint64_t
step_end(const FhaLineageStep *step)
{
	return step->end == 0 ? UINT64_MAX : step->end;
}

/* No timeline of this history is so new: its history file has not been read here yet. */
static bool
is_beyond(FhaLineage lineage, uint32_t timeline)
{
	return lineage.count == 0 || timeline > lineage.steps[lineage.count - 1].timeline;
}

/*
 * A timeline of that number which was promoted apart is another one (S7).  The oldest step may lack its identity, and
 * a record of 1.1 has none.
 */
static bool
is_namesake(FhaLineage own, const FhaLineageStep *mine, const FhaLineageStep *theirs)
{
	return strcmp(mine->id, theirs->id) != 0 && theirs->id[0] != '\0' &&
		   (mine->id[0] != '\0' || mine != own.steps);
}

/*
 * Has the history that goes on this WAL at all, in a file of this name?  What lies behind the point where the timeline
 * was left is a fork.  The segment with that point has, behind it, what was never written, or a fork too; the next
 * timeline's segment has all that was before.
 */
typedef enum Belongs
{
	BELONGS,
	BELONGS_IN_PART,
	BELONGS_NOT
} Belongs;

static Belongs
file_belongs(const FhaWalSpan *file, const FhaLineageStep *step)
{
	if (step == NULL || file->begin >= step_end(step))
		return BELONGS_NOT;
	return file->end > step_end(step) ? BELONGS_IN_PART : BELONGS;
}

FhaArchiveDuty
fha_archive_duty_of_leader(const FhaWalSpan *file, FhaLineage own)
{
	Belongs belongs;

	if (own.count == 0)
		return FHA_ARCHIVE_HOLD;
	/* It came from a leader whose timeline this one does not come of. */
	if (is_beyond(own, file->timeline))
		return FHA_ARCHIVE_DONE;
	/* Those of timelines that were reserved and never led, too: recovery asks for one after the other. */
	if (file->kind == FHA_WAL_HISTORY)
		return FHA_ARCHIVE_SEND;
	belongs = file_belongs(file, archived_step(own, file->timeline));
	if (belongs == BELONGS || (belongs == BELONGS_IN_PART && file->kind == FHA_WAL_PARTIAL))
		return FHA_ARCHIVE_SEND;
	return FHA_ARCHIVE_DONE;
}

/* Up to there all WAL of the leader's history is in the archive; 0: nothing is known. */
static uint64_t
archived_end(FhaLineage leader, FhaPosition archived)
{
	const FhaLineageStep *step = archived_step(leader, archived.timeline);

	if (step == NULL)
		return 0;
	return archived.lsn < step_end(step) ? archived.lsn : step_end(step);
}

FhaArchiveDuty
fha_archive_duty_of_standby(const FhaWalSpan *file, FhaLineage own, FhaLineage leader,
							FhaPosition archived)
{
	const FhaLineageStep *mine = archived_step(own, file->timeline);
	const FhaLineageStep *theirs = archived_step(leader, file->timeline);
	uint64_t end = archived_end(leader, archived);
	uint64_t needed = file->end;

	if (file->kind == FHA_WAL_HISTORY)
		return end > 0 && archived.timeline >= file->timeline ? FHA_ARCHIVE_DONE : FHA_ARCHIVE_HOLD;
	if (is_beyond(own, file->timeline))
		return FHA_ARCHIVE_HOLD;
	switch (file_belongs(file, mine))
	{
		case BELONGS_NOT:
			return FHA_ARCHIVE_DONE;
		case BELONGS_IN_PART:
			needed = step_end(mine);
			break;
		case BELONGS:
			break;
	}
	if (theirs == NULL || is_namesake(own, mine, theirs) || needed > step_end(theirs))
		return FHA_ARCHIVE_HOLD;
	return needed <= end ? FHA_ARCHIVE_DONE : FHA_ARCHIVE_HOLD;
}

bool
fha_archived_advance(FhaPosition *archived, const FhaWalSpan *file, FhaLineage own)
{
	uint64_t end = archived_end(own, *archived);

	if (file->kind != FHA_WAL_SEGMENT || end < file->begin || end == 0)
		return false;
	if (file->timeline >= archived->timeline && file->end > end)
		*archived = (FhaPosition){file->timeline, file->end};
	return true;
}
