/*
 * archive.c: PostgreSQL's archiver sends WAL through us.  See archive.h.
 *
 * No error leaves a callback, because that would end the archiver.  A wait is interrupted by a stop, a reload, and
 * whatever PostgreSQL asks each of its processes for.
 */
#include "postgres.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogarchive.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/pgarch.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"

#include "backup/archive.h"
#include "backup/layout.h"
#include "backup/place.h"
#include "backup/ready.h"
#include "base/clock.h"
#include "base/log_limit.h"
#include "core/archived.h"
#include "core/observe.h"
#include "pg/archive.h"
#include "pg/compat.h"
#include "pg/drain.h"
#include "pg/fence.h"
#include "pg/guc.h"
#include "pg/published.h"
#include "pg/report.h"
#include "pg/shmem.h"

/* The leader's position comes with its renewals, and nobody wakes the archiver for it. */
#define HOLD_POLL_MS 500
/* A fence that shuts wakes nobody either. */
#define SEND_POLL_MS 100
#define MEMORY_SIZE ((size_t) 64 << 20)
/* PostgreSQL's archiver hears of a failure after that; status shows it from the first try on. */
#define PATIENCE_MS 60000
/* PostgreSQL's archiver waits for a minute when a file has failed some times; a store is mended sooner perhaps. */
#define RETRY_MS 5000
/* Before that too little WAL was written to say how much it will be. */
#define RATE_LEAST_MS 10000

#define STATUS_DIRECTORY XLOGDIR "/archive_status"

/* What the archiver keeps between two files. */
typedef struct Sender
{
	FhaArchive *archive; /* NULL: to be opened */
	FhaConfig config;    /* with these settings it was opened */
	FhaBackupPlace place;
	FhaReady ready;
	FhaPosition archived;
	bool latch_was_set; /* PostgreSQL's own loop has to see it too */
} Sender;

static Sender sender;

/* One file, and how this server stands to it. */
typedef struct Errand
{
	const char *file;
	FhaWalSpan span;
	size_t own_count;
	FhaLineageStep own[FHA_LINEAGE_MAX];
} Errand;

static void
sender_close(void)
{
	fha_archive_close(sender.archive);
	if (sender.archive != NULL)
		fha_backup_place_release(&sender.place);
	sender.archive = NULL;
}

static void
archiver_leave(void)
{
	sender_close();
	proc_exit(0); /* the postmaster starts another one, unless it is stopping */
}

/* As the archiver itself does between two files; another library needs another archiver. */
static void
archiver_reload(void)
{
	char *library = pstrdup(XLogArchiveLibrary);
	bool is_other;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	is_other = strcmp(library, XLogArchiveLibrary) != 0;
	pfree(library);
	if (is_other)
		archiver_leave();
	sender_close(); /* who waits for it begins again, with the new settings */
}

/* fd: PGINVALID_SOCKET for none.  May end the process. */
static void
archiver_wait(pgsocket fd, int64 ends_at_ms)
{
	int wanted = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
	int64 left_ms = Max(ends_at_ms - fha_now_ms(), 0);

	if (fd != PGINVALID_SOCKET)
		wanted |= WL_SOCKET_READABLE;
	if (WaitLatchOrSocket(MyLatch, wanted, fd, (long) left_ms, PG_WAIT_EXTENSION) & WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		sender.latch_was_set = true;
	}
	CHECK_FOR_INTERRUPTS();
	if (ShutdownRequestPending)
		archiver_leave();
	if (ConfigReloadPending)
		archiver_reload();
}

/* Told at once, because nothing else may happen that makes the agent look. */
static void
trouble_tell(const char *trouble)
{
	ArchiveShared *shared = &fawkes_shared->archive;
	bool is_news;

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	is_news = strcmp(shared->trouble, trouble) != 0;
	if (is_news && shared->trouble[0] == '\0')
	{
		shared->trouble_at_ms = fha_now_ms();
		shared->trouble_lsn = RecoveryInProgress() ? 0 : GetFlushRecPtr(NULL);
	}
	strlcpy(shared->trouble, trouble, sizeof(shared->trouble));
	if (is_news && fawkes_shared->agent_latch != NULL)
		SetLatch(fawkes_shared->agent_latch);
	LWLockRelease(fawkes_shared->lock);
}

/* False: PostgreSQL tries again, after a pause that grows. */
static bool
archive_fails(const char *file, const FhaError *err)
{
	static FhaLogLimit limit;
	uint64 withheld = 0;

	trouble_tell(err->text);
	if (fha_log_may(&limit, err->text, fha_now_ms(), &withheld))
		ereport(WARNING, (errcode(fha_sqlstate(err->code)),
						  report_line("archive_fails", "WAL file \"%s\" is not archived: %s", file,
									  err->text),
						  errhint("It stays in pg_wal until it is archived.")));
	return false;
}

static bool
errand_begin(Errand *errand, const char *file)
{
	FhaWalFile parsed;
	uint64 number;

	memset(errand, 0, sizeof(*errand));
	errand->file = file;
	if (!fha_wal_file_parse(file, &parsed))
		return false;
	number = (uint64) parsed.log * XLogSegmentsPerXLogId(wal_segment_size) + parsed.segment;
	errand->span.kind = parsed.kind;
	errand->span.timeline = parsed.timeline;
	errand->span.begin = number * wal_segment_size + parsed.offset;
	errand->span.end = errand->span.begin;
	if (parsed.kind == FHA_WAL_SEGMENT || parsed.kind == FHA_WAL_PARTIAL)
		errand->span.end += wal_segment_size;
	return true;
}

static FhaLineage
errand_lineage(const Errand *errand)
{
	return (FhaLineage){.count = errand->own_count, .steps = errand->own};
}

static void
errand_read_lineage(Errand *errand)
{
	LWLockAcquire(fawkes_shared->lock, LW_SHARED);
	errand->own_count = fawkes_shared->archive.lineage_count;
	memcpy(errand->own, fawkes_shared->archive.lineage, sizeof(errand->own));
	LWLockRelease(fawkes_shared->lock);
}

static FhaArchiveDuty
duty_on_standby(const Errand *errand)
{
	static FhaSnapshot snapshot;
	uint64 count;
	FhaLineage leader;

	if (!published_read(&snapshot, &count) || !snapshot.known)
		return FHA_ARCHIVE_HOLD;
	leader = (FhaLineage){.count = snapshot.cluster.lineage_count, snapshot.cluster.lineage};
	return fha_archive_duty_of_standby(&errand->span, errand_lineage(errand), leader,
									   snapshot.cluster.archived);
}

/*
 * An open fence says that the lease is valid in the term that this server was promoted in: it opens only on that term's
 * timeline (S7), after the agent has told the lineage.  So the fence is asked first, and the lineage read then.
 */
static FhaArchiveDuty
errand_duty(Errand *errand)
{
	if (RecoveryInProgress())
	{
		errand_read_lineage(errand);
		return duty_on_standby(errand);
	}
	if (!fence_is_open())
		return FHA_ARCHIVE_HOLD;
	pg_read_barrier();
	errand_read_lineage(errand);
	return fha_archive_duty_of_leader(&errand->span, errand_lineage(errand));
}

/* Is there such a file in pg_wal/archive_status? */
static bool
has_status(const char *file, const char *status)
{
	char path[MAXPGPATH];

	snprintf(path, sizeof(path), STATUS_DIRECTORY "/%s.%s", file, status);
	return access(path, F_OK) == 0;
}

static FhaCode
sender_open(FhaError *err)
{
	static FhaConfig config;
	FhaArchiveSettings settings;
	FhaCode code;

	guc_config(&config);
	if (sender.archive != NULL && memcmp(&config, &sender.config, sizeof(config)) == 0)
		return FHA_OK;
	sender_close();
	sender.config = config;
	code = fha_backup_place_read(&sender.place, &config, err);
	if (code != FHA_OK)
		return code;
	settings = (FhaArchiveSettings){
		.store = &sender.place.store,
		.server = sender.place.server,
		.keys = sender.place.is_sealed ? &sender.place.keys : NULL,
		.compression = sender.place.wal_compression,
		.level = sender.place.wal_level,
		.parallel = sender.place.wal_parallel,
		.memory = MEMORY_SIZE,
		.directory = XLOGDIR,
		.segment_size = wal_segment_size,
		.systemid = GetSystemIdentifier(),
		.patience_ms = PATIENCE_MS,
	};
	code = fha_archive_open(&sender.archive, &settings, err);
	if (code != FHA_OK)
		fha_backup_place_release(&sender.place);
	return code;
}

/* The next ones that are ready, as far as this server is to send them. */
static size_t
find_ahead(const Errand *errand, const char **ahead, size_t wanted)
{
	const char *ready[FHA_ARCHIVE_AHEAD_MAX];
	size_t count = 0;
	size_t used = 0;
	FhaError err;

	if (fha_ready_after(&sender.ready, XLOGDIR, errand->file, wanted, ready, &count, &err) !=
		FHA_OK)
		archive_fails(errand->file, &err); /* and yet this one can be sent, and what is known */
	for (size_t i = 0; i < count; i++)
	{
		Errand next;

		if (errand_begin(&next, ready[i]) &&
			fha_archive_duty_of_leader(&next.span, errand_lineage(errand)) == FHA_ARCHIVE_SEND)
			ahead[used++] = ready[i];
	}
	return used;
}

/*
 * OK: the file is in the archive.  AGAIN: this server may not send any more, or was given other settings: nothing is
 * known of the file.
 */
static FhaCode
send_file(const Errand *errand, FhaError *err)
{
	const char *ahead[FHA_ARCHIVE_AHEAD_MAX];
	FhaError why;
	FhaCode code = sender_open(err);

	if (code == FHA_OK)
		code = fha_archive_send(sender.archive, errand->file, ahead,
								find_ahead(errand, ahead, FHA_ARCHIVE_AHEAD_MAX), err);
	while (code == FHA_OK)
	{
		code = fha_archive_step(sender.archive, errand->file, err);
		if (code != FHA_AGAIN)
			return code;
		if (fha_archive_trouble(sender.archive, &why))
			trouble_tell(why.text);
		archiver_wait(fha_archive_fd(sender.archive),
					  Min(fha_archive_wake_at_ms(sender.archive), fha_now_ms() + SEND_POLL_MS));
		if (sender.archive == NULL || !fence_is_open())
			return FHA_AGAIN;
		code = FHA_OK;
	}
	return code;
}

/* For people; once for each file. */
static void
tell_conflict(const Errand *errand, const FhaError *err)
{
	ereport(LOG, (report_line("archive_has_another", "the archive has another \"%s\": %s",
							  errand->file, err->text),
				  errdetail("Recovery does not need this one, so it is not archived.")));
}

static FhaCode
file_send_history(const Errand *errand, uint32 timeline, FhaError *err)
{
	Errand history = *errand;
	char name[MAXFNAMELEN];

	TLHistoryFileName(name, timeline);
	history.file = name;
	history.span.timeline = timeline;
	return send_file(&history, err);
}

/*
 * A promotion writes the identity of the timeline that it makes into the history file of the one that it leaves, so
 * members have that with and without.  Recovery to a later timeline reads that one's own history, which lists all.
 */
static bool
is_left_timeline(const Errand *errand, uint32 timeline)
{
	return timeline < errand->own[errand->own_count - 1].timeline;
}

/*
 * Recovery finds the newest timeline by asking for one number after the other, so those that were reserved and never
 * led must be there, too.  PostgreSQL does not know that these files are to be archived.  None of them may be the newest
 * one there, from which recovery could not begin: so they come after the history of the timeline that did lead.
 * Where the archive has a real one of their number, that will do.
 */
static FhaCode
send_histories(const Errand *errand, FhaError *err)
{
	size_t i = 0;
	uint32 number;
	FhaCode code;

	while (i + 1 < errand->own_count && errand->own[i].timeline < errand->span.timeline)
		i++;
	code = file_send_history(errand, errand->own[i].timeline, err);
	if (code == FHA_CONFLICT && is_left_timeline(errand, errand->own[i].timeline))
		code = FHA_OK;
	number = i == 0 ? errand->span.timeline : errand->own[i - 1].timeline + 1;
	for (; code == FHA_OK && number < errand->own[i].timeline; number++)
	{
		char path[MAXPGPATH];

		TLHistoryFilePath(path, number);
		if (access(path, F_OK) == 0)
			code = file_send_history(errand, number, err);
		if (code == FHA_CONFLICT)
			code = FHA_OK;
	}
	return code;
}

static bool
is_sent_later(const Errand *errand, const char *name)
{
	Errand other;

	if (strlen(name) > MAXFNAMELEN || !errand_begin(&other, name) ||
		fha_archive_duty_of_leader(&other.span, errand_lineage(errand)) != FHA_ARCHIVE_SEND ||
		has_status(name, "done"))
		return false;
	if (other.span.kind == FHA_WAL_HISTORY)
		return has_status(name, "ready");
	return other.span.kind == FHA_WAL_SEGMENT && other.span.begin < errand->span.begin;
}

/*
 * Is any WAL before this file not in the archive yet?  A segment that a crash left without a status is made
 * ready here, for PostgreSQL would do so only when it wants to remove it.
 */
static bool
is_any_missing(const Errand *errand)
{
	DIR *directory = AllocateDir(XLOGDIR);
	struct dirent *entry;
	bool is_missing = directory == NULL;

	while (directory != NULL && (entry = ReadDirExtended(directory, XLOGDIR, LOG)) != NULL)
	{
		if (!is_sent_later(errand, entry->d_name))
			continue;
		is_missing = true;
		if (!has_status(entry->d_name, "ready"))
			XLogArchiveNotify(entry->d_name);
	}
	if (directory != NULL)
		FreeDir(directory);
	return is_missing;
}

static void
note_archived(const Errand *errand)
{
	const FhaWalSpan *span = &errand->span;

	trouble_tell("");
	if (span->kind != FHA_WAL_SEGMENT)
		return;
	/* With a new timeline its history must be there, too. */
	if (span->timeline != sender.archived.timeline ||
		!fha_archived_advance(&sender.archived, span, errand_lineage(errand)))
	{
		if (is_any_missing(errand))
			return;
		sender.archived = (FhaPosition){span->timeline, span->end};
	}
	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	fawkes_shared->archive.archived = sender.archived;
	LWLockRelease(fawkes_shared->lock);
}

/* True: PostgreSQL may forget the file.  false: it failed. *again: neither, ask once more. */
static bool
errand_send(const Errand *errand, bool *again)
{
	FhaError err;
	FhaCode code = errand->span.kind == FHA_WAL_HISTORY ? send_histories(errand, &err)
														: send_file(errand, &err);

	/* Recovery never asks for it, and two failovers from one timeline leave two of one name. */
	if (code == FHA_CONFLICT && errand->span.kind == FHA_WAL_PARTIAL)
	{
		tell_conflict(errand, &err);
		code = FHA_OK;
	}
	/* Who has lost the lease meanwhile says nothing: the next leader sends the file. */
	*again = code == FHA_AGAIN || (code == FHA_OK && !fence_is_open());
	if (*again)
		return false;
	if (code != FHA_OK)
		return archive_fails(errand->file, &err);
	note_archived(errand);
	return true;
}

static bool
archive_one(const char *file)
{
	static Errand errand;
	bool again = true;
	bool sent = false;

	if (!errand_begin(&errand, file))
	{
		FhaError err;

		(void) fha_error(&err, FHA_INVALID, "PostgreSQL has no file of this name");
		return archive_fails(file, &err);
	}
	while (again)
	{
		if (guc_backup_store[0] == '\0')
		{
			trouble_tell("");
			return true;
		}
		switch (errand_duty(&errand))
		{
			case FHA_ARCHIVE_DONE:
				return true;
			case FHA_ARCHIVE_SEND:
				sent = errand_send(&errand, &again);
				break;
			case FHA_ARCHIVE_HOLD:
				/* It stays ready, and who leads next has it too. */
				if (drain_is_postmaster_stopping())
					archiver_leave();
				sender_close();
				archiver_wait(PGINVALID_SOCKET, fha_now_ms() + HOLD_POLL_MS);
				break;
		}
	}
	return sent;
}

/* Never an error, which in 15 and 16 ends the archiver. */
static bool
archive_file(COMPAT_ARCHIVE_ARGUMENT const char *file, const char *path)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		done = archive_one(file);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		EmitErrorReport();
		FlushErrorState();
		LWLockReleaseAll();
	}
	PG_END_TRY();
	if (sender.latch_was_set)
		SetLatch(MyLatch);
	sender.latch_was_set = false;
	return done;
}

static bool
archive_is_configured(COMPAT_ARCHIVE_ONLY_ARGUMENT)
{
	static FhaLogLimit limit;
	const char *lack = NULL;
	uint64 withheld = 0;

	if (fawkes_shared == NULL)
		lack = "This server is no member of a cluster: shared_preload_libraries and "
			   "fawkes_ha.cluster_name say to which it belongs.";
	else if (XLogArchiveCommand[0] != '\0')
		lack = "archive_command is set, too: empty it, or archive_library.";
	if (lack == NULL)
		return true;
	compat_archive_errdetail("%s", lack);
	if (fha_log_may(&limit, lack, fha_now_ms(), &withheld))
		ereport(WARNING, (report_line("archive_not_configured", "fawkes_ha archives no WAL"),
						  errdetail("%s", lack)));
	return false;
}

static void
archive_shutdown(COMPAT_ARCHIVE_ONLY_ARGUMENT)
{
	sender_close();
}

COMPAT_ARCHIVE_MODULE(archive_is_configured, archive_file, archive_shutdown)

/* Has nobody said anything about this setting? */
static bool
is_untouched(const char *name)
{
	int count;
	struct config_generic **variables = compat_guc_variables(&count);

	for (int i = 0; i < count; i++)
		if (strcmp(variables[i]->name, name) == 0)
			return variables[i]->source == PGC_S_DEFAULT;
	return false;
}

static bool
is_archiving_ours(void)
{
	return is_untouched("archive_mode") && is_untouched("archive_library") &&
		   XLogArchiveCommand[0] == '\0' && wal_level >= WAL_LEVEL_REPLICA;
}

/* The user's own files may say otherwise, so they are read by now; ours could only stand before them. */
void
archive_set_up(bool supervised)
{
	if (!supervised || guc_backup_store[0] == '\0' || !is_archiving_ours())
		return;
	SetConfigOption("archive_mode", "always", PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
	SetConfigOption("archive_library", "fawkes_ha", PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
	if (is_untouched("archive_timeout"))
		SetConfigOption("archive_timeout", "5min", PGC_POSTMASTER, PGC_S_DYNAMIC_DEFAULT);
}

bool
archive_needs_restart(void)
{
	return guc_backup_store[0] != '\0' && XLogArchiveMode == ARCHIVE_MODE_OFF &&
		   is_archiving_ours();
}

/* At the rate since archiving began to fail; 0: not known, or nothing is written. */
static int64
volume_lasts_ms(const ArchiveShared *shared, uint64 lsn)
{
	struct statvfs volume;
	int64 lasted_ms = fha_now_ms() - shared->trouble_at_ms;

	if (shared->trouble_lsn == 0 || lsn <= shared->trouble_lsn || lasted_ms < RATE_LEAST_MS ||
		statvfs(XLOGDIR, &volume) != 0)
		return 0;
	return (int64) ((double) volume.f_bavail * volume.f_frsize / (lsn - shared->trouble_lsn) *
					lasted_ms);
}

void
archive_exchange(FhaPgView *view)
{
	static int64 woken_at_ms = 0;
	ArchiveShared *shared = &fawkes_shared->archive;
	bool fails;

	LWLockAcquire(fawkes_shared->lock, LW_EXCLUSIVE);
	shared->lineage_count = view->lineage_count;
	memcpy(shared->lineage, view->lineage, sizeof(shared->lineage));
	fails = view->state == FHA_PG_PRIMARY && shared->trouble[0] != '\0';
	if (view->state == FHA_PG_PRIMARY)
		view->archived = shared->archived;
	if (fails)
	{
		strlcpy(view->archive_trouble, shared->trouble, sizeof(view->archive_trouble));
		view->wal_lasts_ms = volume_lasts_ms(shared, view->position.lsn);
	}
	LWLockRelease(fawkes_shared->lock);
	if (fails && fha_now_ms() >= woken_at_ms + RETRY_MS)
	{
		woken_at_ms = fha_now_ms();
		PgArchWakeup();
	}
}
