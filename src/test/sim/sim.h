/*
 * sim.h: whole clusters of the real node loop in simulated time, in one thread.
 *
 * The product's objects are linked as they are.  Three of them are left out, and what stands here takes
 * their names: the directory's driver of the lock (sim_lock.c), questions between members
 * (sim_peer_client.c), the writer of small files (sim_writer.c).  The clock (sim_clock.c) is an
 * argument.  A host (sim_host.c) stands for supervisor, agent and PostgreSQL; sim_disk.c for the disk of
 * its state directory; sim_judge.c holds what happens against the promises; sim.c and sim_machine.c draw
 * faults from the seed, sim_operator.c what operators ask for; sim_trials.c strikes a cluster that is at
 * rest again.  docs/testing.md says how to run it.
 *
 * Two times: sim_us, in microseconds, is the world's, and no node sees it.  Each host has a clock of
 * its own, in milliseconds, with an offset and a rate.
 */
#ifndef FHA_SIM_H
#define FHA_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "core/prepare.h"
#include "core/starts.h"
#include "core/stopped.h"
#include "node/leave.h"
#include "node/node.h"
#include "node/speakers.h"
#include "node/state.h"

#define SIM_HOSTS 8
#define SIM_MEMBERS 5 /* and what is copied from them */
#define SIM_MS INT64_C(1000)
#define SIM_S INT64_C(1000000)
#define SIM_NEVER INT64_MAX

/* --- the world's time, chance and events */

extern int64_t sim_us;

/* 0 to below - 1; from low to high. */
uint64_t sim_draw(uint64_t below);
int64_t sim_between(int64_t low, int64_t high);
/* True so many times in a hundred. */
bool sim_chance(int percent);

/* The next of the stream whose state that is. */
uint64_t sim_random(uint64_t *state);

/* Random hexadecimal digits, as many as fit. */
void sim_hex(char *out, size_t size);

typedef void (*SimAct)(void *argument);

/*
 * Run act(argument) at at_us.  host: whose event it is, because a paused or busy host has it
 * later; -1: nobody's.  argument is malloc'ed in one piece, and freed after the act.
 */
void sim_at(int64_t at_us, int host, SimAct act, void *argument);

/* What is planned before ends_at_us happens, and it is that time. */
void sim_run_until(int64_t ends_at_us);

/* A world without members, whose chance is drawn from the seed; and its end. */
void sim_begin(uint64_t seed);
void sim_end(void);

/* A line of the trace; host -1: nobody's. */
void sim_trace(int host, const char *format, ...) FHA_PRINTF(2, 3);

/* A property does not hold: the scenario ends. */
void sim_fail(const char *format, ...) FHA_PRINTF(1, 2);
bool sim_failed(void);

/* malloc, or the end of the program. */
void *sim_alloc(size_t size);

/* The argument of an act that is about a host: its number, malloc'ed. */
int *sim_number(int value);

/* What is usual in a scenario; drawn anew for each, so that rare things come together in some. */
typedef struct SimHabits
{
	int late_lock;     /* percent of messages from and to the lock that take up to two seconds */
	int late_letters;  /* of members' questions and answers; up to a second */
	int lost_letters;  /* of those */
	int late_wal;      /* of the WAL on its way to a standby; up to 1.5 s */
	int late_commits;  /* of commits whose client waits for long; up to 3 s */
	int own_records;   /* of moments in which a primary with a shut fence writes all the same */
	int slow_writes;   /* of writes to the disk ... */
	int64_t slow_us;   /* ... so long at the most */
	bool apart_clocks; /* clocks run as differently as they may */
	int strikes[16];   /* the weight of each kind of fault */
	bool
		come_and_go; /* members lose their disk, come new, and are taken off the list when they are away */
	int64_t pause_us; /* the longest between two faults */
	bool tries_again; /* a second trial follows */
	bool
		keeps_releases; /* the copy of the lock that is put back is often one of a released lease */
} SimHabits;

extern SimHabits sim_habits;

/* --- WAL, as numbered records */

typedef struct SimRecord
{
	uint64_t lsn;         /* of its end */
	uint64_t timeline_id; /* by the history file of its timeline; 0: that has none */
	uint32_t timeline;
	uint32_t id; /* no two records of a scenario have the same */
} SimRecord;

typedef struct SimWal
{
	SimRecord *of;
	size_t count;
	size_t room;
} SimWal;

/* --- a member: a machine with a supervisor and PostgreSQL */

typedef enum SimPhase
{
	SIM_DOWN,     /* no process of PostgreSQL is left */
	SIM_ORPHANS,  /* its postmaster is gone, others are not */
	SIM_STARTING, /* recovers */
	SIM_STANDBY,
	SIM_PRIMARY,
	SIM_STOPPING
} SimPhase;

typedef enum SimSpeaker
{
	SIM_NOBODY,
	SIM_SUPERVISOR,
	SIM_AGENT
} SimSpeaker;

/* Where a process may be stopped within its turn. */
typedef enum SimStep
{
	SIM_STEP_DECIDE,  /* it has looked at PostgreSQL */
	SIM_STEP_DISK,    /* a file is about to change */
	SIM_STEP_SEND,    /* a request to the lock is about to be sent */
	SIM_STEP_PROMISE, /* what it promised is about to be answered */
	SIM_STEP_ACT,     /* what it decided is about to be done */
	SIM_STEPS         /* any of them */
} SimStep;

typedef struct SimHost
{
	int index;
	bool is_copy; /* of another machine, with its name ... */
	int original; /* ... of that one */
	bool gone;    /* for good */
	bool plain;   /* PostgreSQL alone, for sim_situations.c: no supervisor, no agent */
	FhaConfig config;

	/* The machine. */
	FhaClock clock; /* for its node */
	char boot_id[FHA_UUID_SIZE];
	char time_namespace[FHA_TIME_NAMESPACE_SIZE];
	int64_t boot_at_us;   /* when it was started */
	int64_t boot_at_ms;   /* what its clock said then */
	int64_t rate_ppm;     /* how fast that runs; 1000000: as the world's */
	int64_t paused_until; /* all its processes */
	int64_t busy_until;   /* its node loop waits for the disk until then */
	bool dead;            /* all ended within this event: what it still does, nobody sees */
	int pause_in; /* before the so manyth step of that kind from now it is stopped; 0: it is not */
	SimStep pause_step;
	int64_t pause_us;
	bool pause_is_alone; /* and only the process that speaks */
	bool paused_inside;  /* that was in this event */
	bool slow_disk;
	bool cut_from_lock;
	bool refused_by_lock; /* the lock answers, with errors */
	bool writes_lost;     /* its writes never come to the lock; its reads do */
	bool writes_late;     /* they take about as long as it waits for them */
	bool deaf;            /* its WAL receiver stands still */
	int64_t password_us;  /* its replication password was changed then; 0: never */

	/* Supervisor and agent. */
	bool supervised; /* the supervisor runs */
	char incarnation[FHA_ID_SIZE];
	FhaSpeakers speakers;
	SimSpeaker speaker;
	FhaNode *node;
	bool killed; /* its node is being killed: no write is waited for */
	int64_t agent_paused_until;
	int64_t speaker_paused_until;
	uint64_t node_number; /* changes with each node */
	bool carries;         /* it was stopped between a decision and its being carried out */
	FhaHostAction action;
	bool has_action;
	bool stopping;
	bool down; /* a person stopped it */
	int64_t turn_at_us;
	bool job;
	uint64_t job_life; /* of the supervisor that began it */
	uint64_t life;     /* of the supervisor */
	FhaStarts starts;
	FhaStopped stopped;
	FhaLeave leave;
	FhaConfig own; /* without what is set for all members */
	uint64_t settings_changes;
	bool broken;         /* PostgreSQL does not start */
	bool end_unread;     /* the end of its WAL cannot be read */
	int64_t recovery_us; /* so long does recovery take; 0: as long as is usual */

	/* PostgreSQL: its processes ... */
	SimPhase phase;
	uint64_t server; /* which one; changes with each start and each end */
	int64_t started_us;
	bool came_up; /* its agent has come */
	bool promoting;
	uint32_t promoting_from; /* the timeline that it leaves */
	uint64_t timeline_id;    /* of the timeline that it was told to promote to */
	int64_t promoted_at_us;
	char following[FHA_NAME_SIZE]; /* as the agent knows */
	uint64_t following_term;
	bool streaming;
	uint64_t stream_next; /* records before that are here or on their way */
	int64_t stream_at_us; /* the newest of them comes then */
	uint64_t heard_lsn;
	int64_t heard_stamp;
	int64_t rewindable_at_us;
	FhaPrepare prepare;
	int64_t prepared_at_us; /* the checkpoint that was begun last is there then */
	char started_for[FHA_ID_SIZE];
	/* ... the ack watermark's page ... */
	bool watermark_counts;
	uint64_t acked_lsn;
	/* ... and the disk. */
	bool empty;
	bool clean;
	bool was_primary;
	bool was_up;   /* its last server has been a primary, since the last clean release */
	bool recovers; /* its start found no data of a primary that was shut down */
	int leader;    /* that follow.conf names; -1: none */
	SimWal wal;

	/* The fence, in the world's time: open from ... to before. */
	int64_t open_from;
	int64_t open_until;
	uint64_t open_term;
} SimHost;

extern SimHost sim_hosts[SIM_HOSTS];
extern int sim_host_count;
extern SimHost *sim_here; /* whose code runs; NULL: nobody's */
extern bool sim_cut[SIM_HOSTS][SIM_HOSTS];
extern char sim_root[64];

/* The time at this host: the world's, or when its wait for the disk ends. */
int64_t sim_host_us(const SimHost *host);
int64_t sim_host_ms(const SimHost *host, int64_t at_us);
/* Until then the process that speaks for it is stopped. */
int64_t sim_host_stopped_until(const SimHost *host);
/* When its clock shows that; SIM_NEVER for a time that is too far. */
int64_t sim_world_us(const SimHost *host, int64_t clock_ms);
/* The wall clock, which is right everywhere, in milliseconds since the epoch. */
int64_t sim_wall_ms(int64_t at_us);
/* Those two, chance, and the boot, as a node is given them. */
FhaClock sim_clock(SimHost *host);

/* -1: there is none of that name. */
int sim_host_named(const char *name);
void sim_host_make(int index, int members);
void sim_host_start(SimHost *host);   /* its supervisor */
void sim_start_again(void *argument); /* an act: the supervisor of the host of that number */
void sim_host_stop(SimHost *host);    /* SIGTERM for the supervisor */
void sim_host_kill(SimHost *host);    /* kill -9 of everything */
/* kill -9 of its supervisor; PostgreSQL goes on with its agent. */
void sim_host_kill_supervisor(SimHost *host);
void sim_host_reboot(SimHost *host); /* after that: another boot, another clock */
void sim_host_boot(SimHost *host);   /* none of its processes runs */
/* Its machine is replaced: all is killed, data and state directory are empty. */
void sim_host_replace(SimHost *host);
/* It has another name from now on, and for that an empty state directory; its data stays. */
void sim_host_rename(SimHost *host);
/* A machine with the same name, and what is on its disks at this moment; NULL: there is no room. */
SimHost *sim_host_copy(const SimHost *host);
/* Are there two machines with its name? */
bool sim_host_has_twin(const SimHost *host);
/* Does the list have it with the data that it has now?  Only then its promises count. */
bool sim_host_is_listed(const SimHost *host, const FhaCluster *cluster);
/* The copy is found out.  The one of both that led last, or was promoted, is left, else the original. */
void sim_host_remove_twin(SimHost *copy);
void sim_host_move(
	SimHost *host); /* after that: in the same boot another clock, in another time namespace */
/* What a fault has done to it is mended; what was killed stays so. */
void sim_host_mend(SimHost *host);
/* It follows a leader that has all that this host has. */
bool sim_host_is_spare(const SimHost *host);
void sim_host_kill_postgres(SimHost *host);
void sim_host_wake(SimHost *host);
void sim_host_turn(SimHost *host);
void sim_host_end(SimHost *host); /* of the scenario */
/* Its pgpass gets the cluster's second password. */
void sim_host_new_password(SimHost *host);
/* Its own settings have these times of the lease from now on. */
void sim_host_set_lease(SimHost *host, int64_t lease_duration_ms, int64_t renew_deadline_ms);
/* A primary was shut down cleanly here, and its supervisor could read the end of its WAL. */
bool sim_host_knows_end(const SimHost *host);
FhaPosition sim_wal_end(const SimWal *wal);

/* --- the lock */

extern bool sim_lock_outage; /* for all */
extern bool sim_lock_stalls; /* watches tell nothing */
extern int sim_lock_loss;    /* percent of replies that are lost */
void sim_lock_clear(void);
/* The cluster's record; false: there is none.  *version: of it. */
bool sim_lock_read(FhaCluster *out, uint64_t *version);
/* Another program writes into the cluster's record, and changes nothing that we know. */
void sim_lock_touch(void);
/* All records are deleted. */
void sim_lock_delete(void);
/* Keep a copy of all records; put it back, as a restore of the lock's machine does. */
void sim_lock_keep(void);
bool sim_lock_put_back(void);
/* Has the cluster's record a version that it also had before that? */
bool sim_lock_is_at_old_version(void);
/* The command that asked for it withdraws what nobody has begun. */
void sim_lock_withdraw(const char *request_id);
/* An operator lets elections go on, if they are paused. */
void sim_lock_resume(void);
/* A person puts back the cluster's record of the highest term, if that is not there. */
void sim_lock_mend(void);

/* --- the disk of state directories (sim_disk.c) */

typedef enum SimDiskEnd
{
	SIM_KILL,
	SIM_POWER_CUT
} SimDiskEnd;

void sim_disk_clear(void);
/* Before the so manyth call from now by which a file of the host changes, all ends there; 0: it does not. */
void sim_disk_end_in(SimHost *host, SimDiskEnd end, int calls);
bool sim_disk_ends(const SimHost *host); /* will it? */
void sim_disk_end(SimHost *host);        /* now, as was said last */
/* Its files are what the end has left.  Returns which end that was. */
SimDiskEnd sim_disk_goes_on(SimHost *host);
/* Another process speaks for the host: what it reads is what stands there. */
void sim_disk_heed(SimHost *host);
/* What that has read, and a power cut would take back, must not be acted upon. */
void sim_disk_check(const SimHost *host);
/* Calls fail with ENOSPC or EIO, some of them; 0: none does. */
void sim_disk_fails(SimHost *host, int error);
/* An empty one. */
void sim_disk_replace(SimHost *host);
/* One with the files of the other, as processes read them there. */
void sim_disk_copy(SimHost *to, const SimHost *from);

/* --- faults of one machine (sim_machine.c), by a chance of their own */

uint64_t sim_machine_draw(uint64_t below);
void sim_machine_clear(uint64_t seed);
void sim_machine_begin(void);
/* The host's code has come to such a step. */
void sim_machine_step(SimHost *host, SimStep step);
/* After each event: what ended within it is down, and starts later; what was stopped is. */
void sim_machine_look(void);
/* An event that shall not come after the last fault? */
bool sim_machine_is_fault(SimAct act);
void sim_machine_mend(void);

/* --- what operators ask for, by the same chance (sim_operator.c) */

void sim_operator_ask(SimHost *host, FhaRequestKind kind);
/* From now on elections are not paused for long. */
void sim_operator_mend(void);

/* --- the judge */

void judge_clear(void);
/* Host's fence was opened, moved or shut: as its fields say. */
void judge_fence(const SimHost *host);
void judge_commit(const SimHost *host, const SimRecord *record);
/* This host's disk has those records now. */
void judge_has(const SimHost *host, size_t from);
/* Its disk is another one. */
void judge_has_nothing(const SimHost *host);
/* Its state directory is another one. */
void judge_forgets(const SimHost *host);
/* Its client was told so. */
void judge_acknowledged(const SimHost *host, uint32_t id, uint64_t lsn);
/* It was shut down cleanly, and its release of the lease, with the end of its WAL, has come to the lock. */
void judge_released(const SimHost *host);
/*
 * This member is a primary, and the cluster's record says now that it leads and that a successor needs
 * nothing more.  If it has all that the last clean release had, a later failover is like any other.
 */
void judge_told_lineage(const SimHost *host);
/* An operator accepts losses, from now until a newer term is led. */
void judge_forced(void);
/* This member's write has taken the lease that stood in `before`. */
void judge_took(const SimHost *host, const FhaCluster *before);
/* It has promised the holder of that term not to contend, and was told where that is. */
void judge_promised(const SimHost *host, const FhaPromiseTerms *asked);
/* It has acted upon a record of that term: it leads no lower one. */
void judge_saw(const SimHost *host, uint64_t term);
/* From now on nothing at all may be lost. */
void judge_strict(bool strict);
/* The lock was put back to an older copy: an older term may be led again. */
void judge_rolled_back(void);
/* Is its fence open at this moment? */
bool judge_leads(const SimHost *host);
/* Does one lead, and do all others have what it has? */
bool judge_is_settled(void);
size_t judge_count(void);
size_t judge_lost(void);
size_t judge_terms(void);

/* --- the play */

void sim_run_until(int64_t ends_at_us);
/* A host, or an agent, that is stopped between two steps goes on at once.  A stop within a step has passed by its clock. */
void sim_rouse(SimHost *host);
/* An operator asks this member for a switchover or failover; target "": to anybody.  False: it takes no request. */
bool sim_ask(SimHost *host, FhaRequestKind kind, const char *target, int64_t time_limit_us);
/* All faults end, and everybody is started. */
void sim_heal(void);
/* Until judge_is_settled(); false: not by then. */
bool sim_settles_by(int64_t ends_at_us);
/* One trial of a cluster that is at rest. */
void sim_try(void);
/* After that, one of those that came later. */
void sim_try_another(void);

#endif
