/*
 * rejoin_internal.h: what the files rejoin*.c share; nobody else's.
 */
#ifndef CLI_REJOIN_INTERNAL_H
#define CLI_REJOIN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/rejoin.h"
#include "core/rewind.h"

#define REJOIN_ROLE "fawkes_replication"
#define REJOIN_CONNINFO_SIZE (4 * FHA_PATH_SIZE)

/* The end of what a program wrote to stderr. */
typedef struct RejoinWords
{
	char text[4096];
	size_t used;
	bool quiet; /* not to our log */
} RejoinWords;

/* One line of the supervisor's log. */
/* A line of the supervisor's log, with that id, or a line for the person who typed the command. */
void rejoin_say(const char *id, const char *format, ...) FHA_PRINTF(2, 3);

/* Say it, and return the exit status of a job that failed. */
int rejoin_fail(const char *id, const char *what, const FhaError *err);

/* Run to the end, its stderr passed on to our log unless words->quiet.  IO: its status was not 0. */
FHA_MUST_CHECK FhaCode rejoin_run(const char *const argv[], RejoinWords *words, FhaError *err);

/* The leader answered, and said no: not that it is busy for a moment, nor that it was not reached. */
bool rejoin_is_refusal(const char *words);

/* How a rewind has ended whose program failed with these words. */
FhaRewindEnd rejoin_judge(const char *words);

/* Count one refusal of the leader's.  Returns how many came in a row; 0: it could not be kept. */
int rejoin_count_refusal(const FhaConfig *config);

/* A rewind, or a clone, is done. */
void rejoin_forget_refusals(const FhaConfig *config);

/* How to reach the leader as fawkes_replication; checks the pgpass. */
FHA_MUST_CHECK FhaCode rejoin_conninfo(const RejoinPlan *plan, const char *database, char *out,
									   size_t size, FhaError *err);

/* <data><suffix>, beside what the data directory really is. */
FHA_MUST_CHECK FhaCode rejoin_sibling(const FhaConfig *config, const char *suffix, char *out,
									  size_t size, FhaError *err);

/* INVALID: the data directory cannot be swapped (a mount point, links in it). */
FHA_MUST_CHECK FhaCode rejoin_check_place(const FhaConfig *config, FhaError *err);

/* S11: a copy of the WAL from plan->apart on, and a note of it for the history of the cluster. */
FHA_MUST_CHECK FhaCode rejoin_save_wal(const RejoinPlan *plan, FhaError *err);

FHA_MUST_CHECK FhaCode rejoin_mark_damaged(const FhaConfig *config, FhaError *err);
FHA_MUST_CHECK FhaCode rejoin_mark_usable(const FhaConfig *config, FhaError *err);
FHA_MUST_CHECK FhaCode rejoin_new_incarnation(const RejoinPlan *plan, FhaError *err);

/* The node's own configuration files, aside in <state>/kept while something is under way. */
FHA_MUST_CHECK FhaCode rejoin_keep_own(const FhaConfig *config, FhaError *err);
FHA_MUST_CHECK FhaCode rejoin_restore_own(const FhaConfig *config, const char *data, FhaError *err);
void rejoin_forget_own(const FhaConfig *config);

/* Append our line to pg_ident.conf, unless the user of the system is mapped already. */
FHA_MUST_CHECK FhaCode rejoin_map_user(const char *data, FhaError *err);

/* pg_hba.conf and pg_ident.conf of a new cluster. */
FHA_MUST_CHECK FhaCode rejoin_access_rules(const char *data, bool tls, FhaError *err);

#endif
