/*
 * fawkes_ha.c: what PostgreSQL loads.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"

#include "node/watermark.h"
#include "pg/agent.h"
#include "pg/archive.h"
#include "pg/compat.h"
#include "pg/exporter.h"
#include "pg/fence.h"
#include "pg/guc.h"
#include "pg/last_words.h"
#include "pg/login.h"
#include "pg/readonly.h"
#include "pg/refuse.h"
#include "pg/report.h"
#include "pg/serve.h"
#include "pg/shmem.h"
#include "pg/standby_limits.h"
#include "pg/maintenance.h"
#include "pg/maintenance_exporter.h"

PG_MODULE_MAGIC;

extern void _PG_init(void);

/*
 * The descriptor that an environment variable names; -1 when it is not set.
 * Children of COPY ... PROGRAM and archive_command must not inherit it.
 */
static int
inherited_descriptor(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	long fd;

	if (text == NULL || text[0] == '\0')
		return -1;
	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || fd <= STDERR_FILENO || fd > INT_MAX)
		ereport(FATAL, (errcode(ERRCODE_CONFIG_FILE_ERROR),
						errmsg("environment variable %s = \"%s\" is not a file descriptor's number",
							   variable, text),
						errhint("Only \"fawkes-ha run\" sets it; unset it to start PostgreSQL "
								"by hand.")));
	if (fcntl((int) fd, F_SETFD, FD_CLOEXEC) != 0)
		ereport(FATAL, (errcode_for_file_access(),
						errmsg("file descriptor %ld of environment variable %s is not usable: %m",
							   fd, variable),
						errhint("Only \"fawkes-ha run\" sets it; unset it to start PostgreSQL "
								"by hand.")));
	return (int) fd;
}

/* Every process of PostgreSQL inherits the mapping itself, so that it costs nobody a system call. */
static FhaWatermark *
map_watermark(FhaSpeakers **speakers)
{
	int fd = inherited_descriptor(FHA_ENV_WATERMARK_FD);
	struct stat status;
	void *page;

	*speakers = NULL;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &status) != 0 || status.st_size < (off_t) FHA_WATERMARK_LEAST)
		ereport(
			FATAL,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("file descriptor %d of environment variable %s is not the supervisor's page",
					fd, FHA_ENV_WATERMARK_FD)));
	page = mmap(NULL, sizeof(FhaWatermark), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		ereport(FATAL,
				(errcode_for_file_access(), errmsg("could not map the supervisor's page: %m")));
	if (status.st_size >= (off_t) sizeof(FhaWatermark))
		*speakers = &((FhaWatermark *) page)->speakers;
	return page;
}

/* Without a cluster there is no fence: what was once a member must not become a second primary. */
static void
refuse_inert_member(void)
{
	char path[MAXPGPATH];
	char file[MAXPGPATH + 16];

	guc_state_path(path, sizeof(path));
	snprintf(file, sizeof(file), "%s/node.json", path);
	if (access(file, F_OK) != 0)
		return;
	ereport(FATAL,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("this data directory belongs to a member of a cluster, but "
					"fawkes_ha.cluster_name is not set"),
			 errdetail("The file \"%s\" exists.", file),
			 errhint("Start it with \"fawkes-ha run\", or, to take it out of the cluster for good, "
					 "remove that file.")));
}

/* PostgreSQL says only that there are too many workers, not whose place is missing, nor what follows. */
static void
preload_tell_missing(const char *name, const char *consequence)
{
	CompatWorkerIterator at;

	compat_each_worker(at)
	{
		if (strcmp(compat_worker(at)->rw_worker.bgw_name, name) == 0)
			return;
	}
	ereport(LOG, (report_line("worker_missing", "%s cannot run: %s", name, consequence),
				  errdetail("max_worker_processes is %d, and other libraries have taken them all.",
							max_worker_processes),
				  errhint("Raise max_worker_processes and start the server again.")));
}

void
_PG_init(void)
{
	FhaSpeakers *speakers;

	guc_define();
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (guc_cluster_name[0] == '\0')
	{
		if (IsPostmasterEnvironment && !IsBinaryUpgrade)
			refuse_inert_member();
		return;
	}
	guc_check_together();
	limits_raise();
	(void) inherited_descriptor(FHA_ENV_LIVENESS_FD);
	serve_inherit(inherited_descriptor(FHA_ENV_LISTEN_FD));
	fence_watermark = map_watermark(&speakers);
	last_words_install_hook();
	shmem_install_hooks();
	refuse_install_hooks();
	fence_install_hooks();
	login_install_hooks();
	maintenance_exporter_install_hooks();
	readonly_install_hooks();
	archive_set_up(getenv(FHA_ENV_INCARNATION) != NULL);
	agent_register(speakers);
	maintenance_register();
	exporter_register();
	if (IsPostmasterEnvironment)
	{
		preload_tell_missing("fawkes_ha agent", "this server will acknowledge no write");
		preload_tell_missing("fawkes_ha steward", "no standby will stream from this server");
	}
}
