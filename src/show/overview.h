/*
 * overview.h: a cluster as people are shown it: what each member is, what is wrong, what to do.
 *
 * The command and the status page say the same in the same words.  What is wrong is a table of
 * findings; each row is a pure test of what is known.
 */
#ifndef FHA_SHOW_OVERVIEW_H
#define FHA_SHOW_OVERVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api.h"
#include "core/world.h"

#define FHA_FINDINGS_MAX 100
#define FHA_SHOWN_WHY_SIZE 80
#define FHA_SHOWN_STATE_SIZE (FHA_SENTENCE_SIZE + FHA_SHOWN_WHY_SIZE + 10)
#define FHA_FINDING_SIZE 500

/* What the table's tests look at. */
typedef struct FhaOutlook
{
	const FhaCluster *record; /* NULL: not seen */
	const FhaMember *members;
	size_t member_count;
	int64_t wall_s;
	const char *self;      /* who asks; NULL: none of these */
	const char *waits;     /* a member that runs here beside an older record of its name; or NULL */
	bool held;             /* neither released nor lapsed, as who asks sees it */
	int64_t lease_age_ms;  /* since the renewal; -1: not known so closely */
	int64_t max_lag_bytes; /* that a new primary may have; 0: not known */

	/* For how many seconds that member was silent, by a clock that no other machine has set; -1: not known. */
	int64_t (*silence_s)(const void *known, const char *member);
	const void *known; /* what it is given; silence_s NULL: wall clocks alone tell */

	/* What one member says of itself; local false: nobody's. */
	bool local;
	bool agent;           /* its agent runs */
	int64_t agent_age_ms; /* since the agent's last turn */
	FhaPgState postgres;
	bool fence_open;
	bool promised; /* it leads by the promises of the others */
	bool bound;    /* it has promised the holder not to contend, and the lease is not renewed */
} FhaOutlook;

/* FhaRole, as far as a member is believed. */
typedef enum FhaShownRole
{
	FHA_SHOWN_DOWN = FHA_ROLE_DOWN,
	FHA_SHOWN_STANDBY = FHA_ROLE_STANDBY,
	FHA_SHOWN_PRIMARY = FHA_ROLE_PRIMARY,
	FHA_SHOWN_SILENT, /* no sign of it */
	FHA_SHOWN_FENCED  /* a primary without the lease */
} FhaShownRole;

FHA_API const char *fha_shown_role_name(FhaShownRole role);

/* A member as the records show it. */
typedef struct FhaShown
{
	FhaShownRole role;
	bool holds;     /* the lease, and that is held */
	bool streaming; /* on the holder's list, at its last renewal; or it says so, later than that */
	bool stopped;   /* its node was stopped by somebody, and is not missed */
	uint64_t lsn;   /* the newest that anybody knows of it */
	int64_t lag_bytes; /* of a standby, behind the holder's last renewal; -1: not known */
	int64_t age_ms;    /* of what a standby shows, at this moment; -1: not known */
	int64_t silent_s;  /* since it wrote its record; -1: not known */
	char why[FHA_SHOWN_WHY_SIZE]; /* it is silent or fenced */
	char state[FHA_SHOWN_STATE_SIZE];
} FhaShown;

/* Seconds from a record's wall-clock time to wall_s (time()), for people; -1: it cannot be read. */
FHA_API int64_t fha_age_s(const char *wall_time, int64_t wall_s);

/* The same in milliseconds; INT64_MIN: it cannot be read. */
FHA_API int64_t fha_age_ms(const char *wall_time, int64_t wall_ms);

/* outlook: with the cluster's record, held, wall_s and self. */
FHA_API void fha_overview_member(const FhaOutlook *outlook, const FhaMember *member, FhaShown *out);

/* Somebody holds the lease, and is no primary by its own record: nobody can write. */
FHA_API bool fha_overview_is_out(const FhaOutlook *outlook);

typedef enum FhaSeverity
{
	FHA_CRITICAL, /* no writes, or soon */
	FHA_WARNING,  /* a failover would go badly, or a member is lost */
	FHA_NOTICE,   /* to be known */
	FHA_SEVERITY_COUNT
} FhaSeverity;

FHA_API const char *fha_severity_name(FhaSeverity severity);

typedef struct FhaFinding
{
	const char *name; /* static; one word for programs */
	FhaSeverity severity;
	char member[FHA_NAME_SIZE]; /* whom it is about; "": the cluster, or who asks */
	char what[FHA_FINDING_SIZE];
	const char *todo; /* static */
} FhaFinding;

/* The worst first; how many: at most FHA_FINDINGS_MAX into out. */
FHA_API size_t fha_findings(const FhaOutlook *outlook, FhaFinding *out);

#endif
