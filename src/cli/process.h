/*
 * process.h: run programs, with a deadline.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Run argv[0] (a path) and wait for its end, LC_ALL=C, stdin from /dev/null, its stdout
 * into out (cut at out_size - 1, always terminated) and its stderr into errors likewise
 * (either may be NULL: thrown away).  *status is as from waitpid.  After deadline_at_ms (on fha_now_ms)
 * it and its process group are killed: TIMEOUT.  Blocks: the caller chooses short deadlines.
 * It and its process group die with this process, and inherit what is not close-on-exec: the
 * liveness lock.
 */
FHA_MUST_CHECK FhaCode process_run(const char *const argv[], int64_t deadline_at_ms, char *out,
								   size_t out_size, char *errors, size_t errors_size, int *status,
								   FhaError *err);

/* Told what a program wrote, piece by piece. */
typedef void (*ProcessSink)(void *argument, const char *bytes, size_t size);

typedef struct ProcessOutput
{
	ProcessSink sink; /* NULL: thrown away */
	void *argument;
} ProcessOutput;

/* As process_run, for programs that write more than one wants to keep. */
FHA_MUST_CHECK FhaCode process_stream(const char *const argv[], int64_t deadline_at_ms,
									  ProcessOutput out, ProcessOutput errors, int *status,
									  FhaError *err);

/* "exited with status 1", "was killed by signal 9". */
void process_describe(int status, char *out, size_t size);

/*
 * This process's environment for a program of PostgreSQL: without what would send it to another
 * server (PGHOST, PGDATA, ...), with `extra` ("NAME=value", NULL at the end; may be NULL) in place
 * of what had those names.  The strings are not copied; free the array.  NULL: out of memory.
 */
char **process_environment(const char *const extra[]);

/*
 * While process_run and process_stream wait: call serve(argument) when fd is readable, and now and
 * then.  fd -1: nothing.  A job does not inherit it.
 */
void process_serve_meanwhile(int fd, void (*serve)(void *argument), void *argument);

/*
 * Until it is called again with NULL: a program that process_run or process_stream waits for is
 * killed (TIMEOUT) soon after asked() says so.
 */
void process_end_when(bool (*asked)(void));

/*
 * Between fork and exec, or in a job: default signals and an empty mask, as a program expects.
 */
void process_reset_signals(void);

/*
 * Fork a child that runs work(argument) in a process group of its own and exits with what it
 * returns; it dies with its parent.  It keeps stdin, stdout, stderr and keep_fd (-1: none) and no
 * other descriptor.  Returns its pid, or -1 with *err filled.
 */
pid_t process_job(int (*work)(void *argument), void *argument, int keep_fd, FhaError *err);

/*
 * SIGKILL every process other than this one that has the file open.  With the node's liveness lock
 * these are exactly PostgreSQL's processes and what they started.  Parents do not tell: the orphans
 * of a dead postmaster come to the supervisor that started it, but go to init if that one is dead
 * too.  Of other users' processes nothing is seen.  Returns how many were signalled; reaping is the
 * caller's.
 */
int process_kill_holders(const char *path);

/*
 * Is this directory the current one of the process?  A postmaster's is the data directory; of a
 * zombie, or of whoever has the number by now, it is not.
 */
bool process_works_in(pid_t pid, const char *directory);

/*
 * Has the process mapped a file with this in its path, though it may have been deleted since?  1, 0;
 * -1: that cannot be read.
 */
int process_maps(pid_t pid, const char *part);

/* Its title, as ps shows it; "" for one that is gone. */
void process_title(pid_t pid, char *out, size_t size);

typedef struct ProcessEntry
{
	pid_t pid;
	pid_t parent;
} ProcessEntry;

/* All processes of this machine, at most `max` of them; how many. */
size_t process_list(ProcessEntry *out, size_t max);

/*
 * Send `number` to each descendant of `root` in the list, root itself not, that does not have the file
 * open: with the node's liveness lock these are programs that PostgreSQL's processes have started.
 * Only if root has it open itself.  How many.
 */
int process_signal_programs(const ProcessEntry *list, size_t count, pid_t root, const char *path,
							int number);

/*
 * What the variable `name` was when the process was started, into out.  False, and out as it was:
 * it had none, the value does not fit, or the process is gone or another user's.
 */
bool process_read_environment(pid_t pid, const char *name, char *out, size_t size);

#endif
