/*
 * supervisor.h: the state of `fawkes-ha run`, shared by its parts:
 * cmd_run.c (signals and the main loop), supervisor.c (what to do with
 * PostgreSQL now), supervisor_stop.c (ending it), supervisor_rest.c (what keeps
 * it from ending), supervisor_no_start.c (why it does not start), supervisor_listen.c and
 * supervisor_mounts.c.
 */
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/postgres.h"
#include "cli/rejoin.h"
#include "config/cluster_conf.h"
#include "core/starts.h"
#include "core/stopped.h"
#include "http/server.h"
#include "node/leave.h"
#include "node/node.h"
#include "node/state.h"
#include "node/watermark.h"

/* What tells one content of a file that is given from outside from another; zero: no file. */
typedef struct MountedFile
{
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
} MountedFile;

#define MOUNTED_FILES 8

/* What holds up a server that stops (supervisor_rest.c); zeroed: it does not stop. */
typedef struct Rest
{
	int64_t looked_at_ms; /* at its processes; 0: not yet */
	int64_t told_at_ms;   /* programs of its sessions were told to end; 0: not yet */
	int64_t
		alone_at_ms; /* since then only the archiver is left, and has got on; 0: there is more */
	int64_t first_at_ms;         /* when that was first seen */
	pid_t command;               /* that the archiver ran then */
	int64_t archiver_told_at_ms; /* the archiver was told to end; 0: not yet */
} Rest;

typedef struct Supervisor
{
	FhaConfig config;
	const SettingsFile *given; /* what fawkes_ha.conf is made of */
	char bindir[FHA_PATH_SIZE];
	char incarnation[FHA_ID_SIZE];

	FhaOwnership ownership;
	int64_t own_again_at_ms; /* the lock could not be opened: not before then */
	FhaNode *node;           /* open while we hold it */
	FhaHostAction action;
	bool has_action; /* the node has said what to do since we took it */
	int agent_pidfd;
	pid_t agent_pid;

	int listen_fd;              /* the member's listening socket; -1: none */
	bool listen_passed;         /* the running PostgreSQL has inherited it */
	bool listen_failed;         /* it could not be opened, and that was told */
	int64_t listen_again_at_ms; /* after a failure: not before then */
	FhaListener *listener;      /* while we answer on it: no agent does */

	int liveness_fd; /* >= 0: the liveness lock was taken afresh, no PostgreSQL process is left */
	int watermark_fd;
	FhaWatermark *watermark;
	bool watermark_counts; /* a postmaster of ours has used it since it was cleared */
	bool old_forgotten;    /* since the last start */

	char ended[FHA_CAUSE_SIZE];       /* how the last PostgreSQL did; "": not seen */
	char no_start[FHA_SENTENCE_SIZE]; /* why it does not start; "": it did, or was not tried */
	char suspects[FHA_SUSPECTS_SIZE]; /* settings of all members that may be why */
	FhaSettings tried;                /* of all members, at the last start */
	FhaSettings ran;                  /* at the last start of a server that came up */
	pid_t postmaster;                 /* our child; 0: none */
	pid_t foreign;                    /* a postmaster that somebody else started; 0: none */
	int64_t started_at_ms;            /* when the postmaster was started */
	int64_t orphaned_at_ms; /* a dead postmaster's processes were first seen; 0: none are known */
	bool library_seen;      /* its agent has claimed the ownership lock */
	int64_t busy_at_ms;     /* it runs without an agent since then; 0: it has one */

	pid_t job;
	int64_t job_told_at_ms; /* when it was told to end; 0: not yet */
	FhaNodeAction job_kind;
	RejoinPlan plan;

	/* The stopped data directory, read once after each end. */
	FhaStopped stopped;
	char unreadable[FHA_SENTENCE_SIZE]; /* why it was not; "": it was, or was not tried */
	bool look_at_once;        /* a job has failed: what it left is known before the pause is over */
	bool liveness_unreadable; /* not held by others: it cannot be opened or locked */
	PgControl control;

	FhaStarts starts;

	MountedFile mounted[MOUNTED_FILES];
	int64_t looked_at_ms;      /* at the files that are given from outside; 0: not yet */
	int64_t certificate_at_ms; /* when the certificate was last looked at */
	char refused[256];         /* why the certificate that was given is not taken; "" */

	bool stopping;
	bool hurry;                  /* told so twice: nothing is prepared */
	int64_t prepare_asked_at_ms; /* when PostgreSQL was asked to prepare; 0: not yet */
	int64_t stop_began_at_ms;    /* when the current way of stopping began */
	Rest rest;                   /* of a server that stops */
	int stop_stage;              /* 0: not yet, 1: fast, 2: immediate, 3: SIGKILL */
	FhaLeave leave;
} Supervisor;

/* A line of the supervisor's log, on stderr: it is lost, and counted, when its reader does not read. */
void supervisor_say(const Supervisor *self, const char *id, const char *format, ...)
	FHA_PRINTF(3, 4);
/* The same with level WARNING: something failed, or wants a person. */
void supervisor_warn(const Supervisor *self, const char *id, const char *format, ...)
	FHA_PRINTF(3, 4);
/* What the node loop says, which has its id. */
void supervisor_pass(const Supervisor *self, const char *news);

/* Read the settings again; those that cannot be used change nothing. */
FhaCode supervisor_reload(Supervisor *self, FhaError *err);

/* Of a node whose settings are given from outside: what a volume's group was given is taken back. */
FhaCode supervisor_close_volume(const Supervisor *self, FhaError *err);

/*
 * Make pgpass and the certificate of what is given from outside.  *changed: one was another before.
 * INVALID, NOT_FOUND: what the settings name is not there or is not what they say; IO, NO_MEMORY.
 */
FhaCode supervisor_take_mounts(Supervisor *self, bool *changed, FhaError *err);

/* Take the settings and all else that is given from outside anew, PostgreSQL too. */
void supervisor_take_news(Supervisor *self);

/* Look now and then whether something that is given from outside has changed. */
void supervisor_mind_mounts(Supervisor *self);

/* PostgreSQL is about to be started: with which settings of all members? */
void supervisor_note_settings(Supervisor *self);

/* It did not start, and why, in PostgreSQL's own words where it left some: for status and requests. */
void supervisor_note_no_start(Supervisor *self, const char *why);

/* A server that had come up has ended: what it was started with did. */
void supervisor_note_run(Supervisor *self);

/* Reap whatever ended, and note what that means. */
void supervisor_reap(Supervisor *self);

/* Is nothing of PostgreSQL left?  Takes the liveness lock afresh if it can be had. */
void supervisor_check_liveness(Supervisor *self);

/* Take or release the ownership lock; open or close the node loop with it. */
void supervisor_mind_ownership(Supervisor *self);

/*
 * One turn of the node loop, if we hold the ownership lock, and its host action.  Returns when to be
 * called again.
 */
int64_t supervisor_turn(Supervisor *self);

/* Open the listening socket, and answer on it, while no agent does. */
void supervisor_mind_listener(Supervisor *self);

/* Stop, step by step: fast, immediate, SIGKILL, each with its deadline. */
void supervisor_mind_stop(Supervisor *self);

/* End what keeps `server`, which stops fast, from ending: programs, and the archiver. */
void supervisor_mind_rest(Supervisor *self, pid_t server);

/* Has a stopping node nothing more to do?  Asked in each turn. */
bool supervisor_is_done(Supervisor *self);

#endif
