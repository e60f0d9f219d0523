/*
 * rejoin.h: jobs on a stopped data directory: make it, copy it, mend it.
 *
 * Each runs in a child process (process_job), blocks as long as it takes and
 * writes its progress to stderr, which is the supervisor's log.  Each writes the
 * file <state>/damaged before the data directory stops being usable and removes
 * it when it is usable again, so that a kill in the middle is seen at the next
 * start.  Each makes a new data incarnation in node.json at its end.
 */
#ifndef CLI_REJOIN_H
#define CLI_REJOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"
#include "config/config.h"
#include "core/world.h"

typedef struct RejoinPlan
{
	const FhaConfig *config;
	const char *bindir;
	char leader_address[FHA_ADDRESS_SIZE]; /* host:port */
	char cluster_uuid[FHA_UUID_SIZE];
	char cloned_for[FHA_ID_SIZE]; /* the reinit that asks for it; "" for none */
	/* A clone of data that no rewind can mend: its WAL from there on, up to `end`, is saved before.  Timeline
	 * 0: nothing is. */
	FhaPosition apart;
	uint64_t end;
} RejoinPlan;

/* What jobs say is for that member's log from now on; else for a person. */
void rejoin_log_as(const char *member);

/* initdb (checksums, scram, peer for the superuser) and our pg_hba/pg_ident.  Exit status. */
int rejoin_initdb(void *plan);

/*
 * pg_basebackup beside the data directory, then swap: the old one stays as <data>.old (S11).  WAL that
 * the plan names is kept longer than that.
 */
int rejoin_clone(void *plan);

/* pg_rewind in place; the WAL past the fork and the node's own files are kept (S11). */
int rejoin_rewind(void *plan);

/* `fawkes-ha rejoin` without one: mend the data and make it a standby, which is not started. */
int rejoin_by_hand(const CliOptions *options);

/* Remove <data>.old once the new data streams. */
void rejoin_forget_old(const FhaConfig *config);

/* Did a rewind fail for good (WAL gone, ...), so that a clone is needed? <state>/damaged exists. */
int rejoin_is_damaged(const FhaConfig *config);

/* libpq ignores a pgpass that it cannot read or that others may: say so.  NOT_FOUND: no pgpass. */
FHA_MUST_CHECK FhaCode rejoin_check_passfile(const FhaConfig *config, FhaError *err);

/* pgpass, once, by the member that bootstraps; maintenance gives its password to the role. */
FHA_MUST_CHECK FhaCode rejoin_make_password(const FhaConfig *config, FhaError *err);

#endif
