/*
 * archive.h: archive_library = 'fawkes_ha': WAL files on their way into the object store.
 *
 * PostgreSQL's archiver calls it, one file after the other.  A primary sends while its lease is valid; a standby
 * keeps what the leader has not sent yet (core/archived.h).
 */
#ifndef FAWKES_ARCHIVE_H
#define FAWKES_ARCHIVE_H

#include "postgres.h"

#include "core/world.h"

/* In the main shared memory segment, under FawkesShared's lock. */
typedef struct ArchiveShared
{
	/* By the agent: of the timeline that this server is on. */
	size_t lineage_count;
	FhaLineageStep lineage[FHA_LINEAGE_MAX];
	/* By the archiver. */
	FhaPosition archived; /* as in FhaCluster; timeline 0: it has sent nothing yet */
	char trouble
		[FHA_SENTENCE_SIZE]; /* why a file does not get into the archive; "": nothing is known */
	int64 trouble_at_ms;     /* since when, with where the WAL ended then */
	uint64 trouble_lsn;
} ArchiveShared;

/*
 * In the postmaster of a supervised server: with a store and no word of the user's about archiving, archive_mode is
 * always and the library ours.
 */
extern void archive_set_up(bool supervised);

/* A store is set, and this server, which was started without one, archives nothing until it is restarted. */
extern bool archive_needs_restart(void);

/* For the agent, with a view of this turn: what the archiver needs of it, and what the archiver says. */
extern void archive_exchange(FhaPgView *view);

#endif
