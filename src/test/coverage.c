/*
 * coverage.c: lets the lock's child leave its counts, which it otherwise takes with it.
 *
 * It ends by _exit, or by the SIGKILL that follows the end of its socket at once.  Linked into the
 * unit tests of `make coverage` alone.
 */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES 100

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
int __real_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number);

void
__wrap__exit(int status)
{
	struct rlimit limit;

	/* One test lets no file grow. */
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
		__gcov_dump();
	__real__exit(status);
}

/* A child that can end by itself gets a moment for it. */
int
__wrap_kill(pid_t pid, int number)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	siginfo_t info = {.si_pid = 0};

	for (int i = 0; number == SIGKILL && i < TRIES; i++)
	{
		if (waitid(P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0)
			break;
		(void) nanosleep(&moment, NULL);
	}
	return __real_kill(pid, number);
}
