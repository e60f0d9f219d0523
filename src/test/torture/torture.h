/*
 * torture.h: the n-th allocation or call to the kernel fails, for each n in turn.
 *
 * malloc and its kin are those of the whole program, so that json-c's fail as well; open, write and
 * their kin are those of the sources under test (the linker's --wrap; see TORTURE_WRAPS in the
 * Makefile).  Counters lie in shared memory: the lock's child process counts too.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* How a call fails. */
typedef struct TortureFault
{
	int error;  /* errno */
	bool shorn; /* a write first takes half of the bytes */
} TortureFault;

/* The n-th allocation from now on fails (n counts from 1; `lasting`: and each one after it). */
void torture_allocations(long n, bool lasting);

/* The n-th call to the kernel from now on fails. */
void torture_calls(long n, TortureFault fault);

/* For a test that replaces more calls: does this one fail?  Then errno says how. */
bool torture_strikes(void);

/* What the test does by itself fails in no case; in none of the threads. */
void torture_pause(bool paused);

/* Nothing fails any more; did anything? */
bool torture_end(void);

/* Are leaks of what is allocated from now on forgiven? */
void torture_leaks(bool forgiven);

/* How many descriptors this process has open. */
int torture_descriptors(void);

#endif
