/*
 * process.h: run programs, with a deadline.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/*
 * Run argv[0] (a path) and wait for its end, LC_ALL=C, stdin from /dev/null, its stdout
 * into out (cut at out_size - 1, always terminated) and its stderr into errors likewise
 * (either may be NULL: thrown away).  *status is as from waitpid.  After deadline_ms (on fha_now_ms)
 * it and its process group are killed: TIMEOUT.  Blocks: the caller chooses short deadlines.
 */
FHA_MUST_CHECK FhaCode process_run(const char *const argv[], int64_t deadline_ms, char *out,
								   size_t out_size, char *errors, size_t errors_size, int *status,
								   FhaError *err);

/*
 * Fork a child that runs work(argument) in a process group of its own and exits with what it
 * returns; it dies with its parent.  Returns its pid, or -1 with *err filled.
 */
pid_t process_job(int (*work)(void *argument), void *argument, FhaError *err);

/*
 * SIGKILL every child of this process (a subreaper: so also orphans of a dead postmaster) except
 * `spare` (0: none).  Returns how many were signalled.  Reaping is the caller's.
 */
int process_kill_children(pid_t spare);

#endif
