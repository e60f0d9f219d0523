/*
 * backend_cpu.c: the CPU time that backends of the database "bench" use, from their login to their end.
 *
 * Nothing of it runs in a transaction.  test/bench_fence.py preloads it into a server with the
 * fence and into one without, and divides by the transactions that pgbench counts.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fmgr.h"
#include "libpq/auth.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

/* All sessions since it was cleared; test/bench_fence.py knows this layout. */
typedef struct Sessions
{
	pg_atomic_uint64 begun;
	pg_atomic_uint64 ended;
	pg_atomic_uint64 cpu_ns; /* of those that have ended */
} Sessions;

static Sessions *sessions; /* the file "backend_cpu" in the data directory */
static int64 at_login_ns;
static ClientAuthentication_hook_type previous_authentication = NULL;

static int64
cpu_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64) used.tv_sec * 1000000000 + used.tv_nsec;
}

static void
note_end(int code, Datum argument)
{
	pg_atomic_fetch_add_u64(&sessions->cpu_ns, cpu_ns() - at_login_ns);
	pg_atomic_fetch_add_u64(&sessions->ended, 1);
}

static void
authentication(Port *port, int status)
{
	if (previous_authentication)
		previous_authentication(port, status);
	if (status != STATUS_OK || strcmp(port->database_name, "bench") != 0)
		return;
	pg_atomic_fetch_add_u64(&sessions->begun, 1);
	on_proc_exit(note_end, 0);
	at_login_ns = cpu_ns();
}

void
_PG_init(void)
{
	int fd;

	if (!process_shared_preload_libraries_in_progress)
		return;
	fd = open("backend_cpu", O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
	if (fd < 0 || ftruncate(fd, sizeof(Sessions)) != 0)
		ereport(FATAL, (errmsg("could not make the benchmark's file \"backend_cpu\": %m")));
	sessions = mmap(NULL, sizeof(Sessions), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (sessions == MAP_FAILED)
		ereport(FATAL, (errmsg("could not map the benchmark's file: %m")));
	close(fd);
	previous_authentication = ClientAuthentication_hook;
	ClientAuthentication_hook = authentication;
}
