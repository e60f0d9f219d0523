/*
 * postgres.h: PostgreSQL's own programs and files, as the supervisor needs them.
 */
#ifndef CLI_POSTGRES_H
#define CLI_POSTGRES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "config/config.h"
#include "core/stopped.h"
#include "core/world.h"

typedef struct PgControl
{
	uint64_t system_identifier;
	bool clean;       /* "shut down" or "shut down in recovery" */
	bool was_primary; /* it wrote WAL of its own; false for a copy that never started */
	uint32_t
		timeline; /* newest that the control file knows: of the checkpoint or minimum recovery */
	uint64_t checkpoint; /* start of the latest checkpoint record */
	uint64_t redo;       /* its REDO location */
	uint32_t checkpoint_timeline;
	uint64_t min_recovery; /* minimum recovery ending location; 0: none */
	uint32_t wal_segment_size;
	uint32_t wal_block_size;
} PgControl;

/* Directory of postgres, initdb, ...: --bin, this command's own, what pg_config says, PATH's. */
FHA_MUST_CHECK FhaCode postgres_find(const char *wanted, char *bindir, size_t size, FhaError *err);

/*
 * pg_controldata.  NOT_FOUND: no data directory there (absent or empty); INVALID: it cannot be
 * read, or is of another major version than the programs; TIMEOUT.
 */
FHA_MUST_CHECK FhaCode postgres_control(const char *bindir, const char *data, PgControl *out,
										FhaError *err);

/* What the control file says, into what the lease's decision goes by. */
void postgres_tell(const PgControl *control, FhaStopped *out);

/*
 * End of the valid WAL on `timeline`, reading from `start` (the last position known
 * to be good, a record's start or not) with pg_waldump.  The end of the last
 * whole record; a following page header is not counted.  Waits for no missing
 * segment.  NOT_FOUND: no whole record of that timeline near `start`; PROTOCOL:
 * pg_waldump contradicts itself; TIMEOUT after deadline_at_ms.
 */
FHA_MUST_CHECK FhaCode postgres_end_of_wal(const char *bindir, const char *data, uint32_t timeline,
										   uint64_t start, int64_t deadline_at_ms, uint64_t *end,
										   FhaError *err);

/*
 * S7: the same for the newest timeline, `newest` or an older one, that the directory has WAL of.
 * The control file of a standby that was killed knows that of its last restartpoint; recovery goes
 * on with whatever lies in pg_wal, past the fork too.
 *
 * A standby that changes timelines receives the whole segment anew, in a file of the new
 * timeline.  One that was interrupted before the fork has less in it than in the file before: *hollow
 * is the oldest such timeline, 0 if there is none.
 */
FHA_MUST_CHECK FhaCode postgres_end_of_all_wal(const char *bindir, const char *data,
											   const PgControl *control, uint32_t newest,
											   uint64_t start, int64_t deadline_at_ms,
											   FhaPosition *end, uint32_t *hollow, FhaError *err);

/*
 * Where a start begins to read WAL, by backup_label, if that segment is not in pg_wal; 0: it is, or there
 * is no such label.  pg_rewind may remove segments that its source does not have.
 */
uint64_t postgres_lacking(const char *data);

/* Where `timeline` leaves which one before, by the last line of its history here; timeline 0: that does not tell. */
FhaPosition postgres_origin(const char *data, uint32_t timeline);

/*
 * The ancestors of `timeline`, oldest first, and itself with an open end, by its history here: the newest
 * ones, with their identities.  How many; 1 if there is no history.
 */
size_t postgres_lineage(const char *data, uint32_t timeline, FhaLineageStep out[FHA_LINEAGE_MAX]);

/*
 * Recovery prefers a newer timeline's file even if that has no record, or those of a promotion that did
 * not come to its end: remove the segments of `hollow` and of newer timelines.  For the holder of the liveness lock, while PostgreSQL is down.
 */
FHA_MUST_CHECK FhaCode postgres_drop_hollow(const char *data, uint32_t hollow, FhaError *err);

/*
 * Write <state>/postgresql.conf: sensible defaults first (so that the user's own
 * settings win), then the user's postgresql.conf of the data directory, then
 * fawkes_ha.conf, cluster.conf and follow.conf.  Take the FHA_STRIPPED of settings.def out of
 * postgresql.auto.conf, and move the FHA_MOVED to commands.conf.
 */
FHA_MUST_CHECK FhaCode postgres_configure(const FhaConfig *config, FhaError *err);

/*
 * A setting as the next start would have it (postgres -C), without its newline.
 * INVALID with PostgreSQL's own words: it does not accept its files.
 */
FHA_MUST_CHECK FhaCode postgres_setting(const FhaConfig *config, const char *bindir,
										const char *name, char *out, size_t size, FhaError *err);

/* Would PostgreSQL take NAME = VALUE over its files?  INVALID with its own words if not. */
FHA_MUST_CHECK FhaCode postgres_accepts(const FhaConfig *config, const char *bindir,
										const FhaSetting *setting, FhaError *err);

/* The postmaster that works in the data directory: its pid, or 0. */
pid_t postgres_running(const FhaConfig *config);

/*
 * Make sure that lock files of a dead server do not keep the next one, a child of this process,
 * from starting.  For the holder of the liveness lock; postgres_start does it itself.
 */
FHA_MUST_CHECK FhaCode postgres_forgive_dead(const FhaConfig *config, FhaError *err);

/* What a postmaster inherits; watermark.h says under which names it finds them.  listen: -1 for none. */
typedef struct PostgresFds
{
	int liveness;
	int watermark;
	int listen;
} PostgresFds;

/*
 * Start a postmaster: fork, setsid-free, exec postgres -D data -c config_file=<state>/postgresql.conf
 * -c shared_preload_libraries=<the user's, with fawkes_ha> and the settings that must hold.
 * fds are inherited and named in the environment (watermark.h), with the incarnation.
 * Everything else is close-on-exec.  Refuses (INVALID) when the user's settings break a promise:
 * wal_level = minimal, fsync = off, full_page_writes = off, hot_standby = off.
 * standby: writes or removes standby.signal first (and removes recovery.signal).
 */
FHA_MUST_CHECK FhaCode postgres_start(const FhaConfig *config, const char *bindir, bool standby,
									  const PostgresFds *fds, const char *incarnation,
									  pid_t *postmaster, FhaError *err);

#endif
