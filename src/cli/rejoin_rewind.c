/*
 * rejoin_rewind.c: mend a data directory that left the cluster's history.
 *
 * First everything that changes nothing which cannot be had again: crash
 * recovery, a dry run that finds the fork, a copy of the WAL past it and of the
 * node's own files.  Then <state>/damaged, then pg_rewind itself.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "cli/files.h"
#include "cli/postgres.h"
#include "cli/process.h"
#include "cli/rejoin_internal.h"
#include "config/state_directory.h"
#include "node/state.h"

/* What a person may still want to look at, and what a disk can be asked to hold. */
#define SAVED_BYTES_MAX (UINT64_C(1) << 30)
#define SAVED_DIRECTORIES_MAX 3
#define SAVED_PREFIX "wal-past-fork-"

/* The leader's first checkpoint after its promotion, until which pg_rewind sees no fork. */
#define CHECKPOINT_WAIT_MS 120000
#define CHECKPOINT_LOOK_MS 500

typedef struct Fork
{
	bool found; /* false: there is nothing to rewind */
	uint32_t timeline;
	uint64_t position;
	uint64_t end; /* of the WAL here; 0: at the last checkpoint, because nothing came after it */
} Fork;

/*
 * Where SQL is asked: the leader's maintenance worker gives our role its rights in "postgres", or in
 * "template1" when that is not there or lets nobody in.
 */
static const char *const databases[] = {"postgres", "template1"};

/* A failed run of a program: a system error is no verdict. */
static FhaRewindEnd
rewind_judge(FhaCode code, const char *words)
{
	return code == FHA_IO ? rejoin_judge(words) : FHA_REWIND_SILENT;
}

/* A standby's signal files go: neither recovery here nor pg_rewind accepts them (S11). */
static FhaCode
remove_signals(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE + 32];
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/standby.signal", config->data_directory);
	code = fha_file_remove(path, err);
	if (code != FHA_OK)
		return code;
	(void) snprintf(path, sizeof(path), "%s/recovery.signal", config->data_directory);
	return fha_file_remove(path, err);
}

/*
 * Crash recovery, as pg_rewind would do it, but before it may change anything; and also after a
 * standby's clean stop, when pg_rewind would believe the minimum recovery point, while the WAL on
 * disk goes on past the fork.
 */
static FhaCode
rewind_recover(const RejoinPlan *plan, RejoinWords *words, FhaError *err)
{
	const FhaConfig *config = plan->config;
	char program[FHA_PATH_SIZE + 32];
	char path[FHA_PATH_SIZE];
	char file[FHA_PATH_SIZE + 16];
	PgControl control;
	const char *argv[] = {program,     "--single", "-D", config->data_directory,
						  "-c",        file,       "-c", "archive_mode=off",
						  "template1", NULL};
	FhaCode code;

	words->text[0] = '\0';
	code = postgres_control(plan->bindir, config->data_directory, &control, err);
	if (code != FHA_OK || (control.clean && control.was_primary))
		return code;
	code = fha_state_path(config, "postgresql.conf", path, sizeof(path), err);
	if (code != FHA_OK)
		return code;
	rejoin_say("rewind_refused", "finishing the recovery of \"%s\" first", config->data_directory);
	(void) snprintf(program, sizeof(program), "%s/postgres", plan->bindir);
	(void) snprintf(file, sizeof(file), "config_file=%s", path);
	code = postgres_forgive_dead(config, err);
	return code == FHA_OK ? rejoin_run(argv, words, err) : code;
}

/*
 * Until the leader's control file shows the timeline it writes: before the
 * checkpoint that follows a promotion, pg_rewind takes the leader for one that
 * never left our timeline and finds nothing to do.
 */
static FhaCode
await_checkpoint(const RejoinPlan *plan, const char *database, RejoinWords *words, FhaError *err)
{
	static const char query[] =
		"SELECT pg_is_in_recovery() OR (SELECT timeline_id FROM pg_control_checkpoint())"
		" <> ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int";
	char program[FHA_PATH_SIZE + 32];
	char conninfo[REJOIN_CONNINFO_SIZE];
	char out[64];
	const char *argv[] = {program, "-XAtw", "-d", conninfo, "-c", query, NULL};
	int64_t deadline_at_ms = fha_now_ms() + CHECKPOINT_WAIT_MS;
	FhaCode code = rejoin_conninfo(plan, database, conninfo, sizeof(conninfo), err);
	int status;

	words->text[0] = '\0';
	if (code != FHA_OK)
		return code;
	(void) snprintf(program, sizeof(program), "%s/psql", plan->bindir);
	for (;;)
	{
		code = process_run(argv, deadline_at_ms, out, sizeof(out), words->text, sizeof(words->text),
						   &status, err);
		if (code != FHA_OK)
			return code;
		if (status != 0)
			return fha_error(err, FHA_IO, "could not ask the leader: %.*s",
							 (int) strcspn(words->text, "\n"), words->text);
		if (out[0] == 'f')
			return FHA_OK;
		if (fha_now_ms() >= deadline_at_ms)
			return fha_error(err, FHA_TIMEOUT,
							 "the leader has made no checkpoint since its promotion");
		(void) usleep(CHECKPOINT_LOOK_MS * 1000);
	}
}

/* *database: the first that lets us in. */
static FhaRewindEnd
ask_leader(const RejoinPlan *plan, const char **database, FhaError *err)
{
	RejoinWords words = {.quiet = true};
	FhaCode code = FHA_OK;

	for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]); i++)
	{
		*database = databases[i];
		code = await_checkpoint(plan, *database, &words, err);
		if (code == FHA_OK)
			return FHA_REWIND_DONE;
		if (code != FHA_IO || !rejoin_is_refusal(words.text))
			return FHA_REWIND_SILENT;
	}
	return FHA_REWIND_REFUSED;
}

static FhaCode
run_rewind(const RejoinPlan *plan, const char *database, bool dry, RejoinWords *words,
		   FhaError *err)
{
	const FhaConfig *config = plan->config;
	char program[FHA_PATH_SIZE + 32];
	char target[FHA_PATH_SIZE + 32];
	char path[FHA_PATH_SIZE];
	char file[FHA_PATH_SIZE + 32];
	char conninfo[REJOIN_CONNINFO_SIZE];
	char source[REJOIN_CONNINFO_SIZE + 32];
	char restore[FHA_PATH_SIZE];
	const char *argv[8] = {program, target, source, file};
	size_t count = 4;
	FhaCode code = rejoin_conninfo(plan, database, conninfo, sizeof(conninfo), err);

	words->text[0] = '\0';
	if (code == FHA_OK)
		code = fha_state_path(config, "postgresql.conf", path, sizeof(path), err);
	/* From the archive comes what this node has recycled; -c is an error without a command. */
	if (code == FHA_OK)
		code = postgres_setting(config, plan->bindir, "restore_command", restore, sizeof(restore),
								err);
	if (code != FHA_OK)
		return code;
	if (restore[0] != '\0')
		argv[count++] = "--restore-target-wal";
	if (dry)
		argv[count++] = "--dry-run";
	argv[count] = NULL;
	(void) snprintf(program, sizeof(program), "%s/pg_rewind", plan->bindir);
	(void) snprintf(target, sizeof(target), "--target-pgdata=%s", config->data_directory);
	(void) snprintf(source, sizeof(source), "--source-server=%s", conninfo);
	(void) snprintf(file, sizeof(file), "--config-file=%s", path);
	return rejoin_run(argv, words, err);
}

static FhaRewindEnd
find_fork(const RejoinPlan *plan, const char *database, Fork *fork, FhaError *err)
{
	static const char sign[] = "servers diverged at WAL location ";
	RejoinWords words = {.quiet = true}; /* it speaks as if it had rewound */
	const char *at;
	unsigned high;
	unsigned low;
	FhaCode code = run_rewind(plan, database, true, &words, err);

	memset(fork, 0, sizeof(*fork));
	if (code != FHA_OK)
	{
		cli_lines(stderr, words.text);
		return rewind_judge(code, words.text);
	}
	if (strstr(words.text, "no rewind required") != NULL)
		return FHA_REWIND_DONE;
	at = strstr(words.text, sign);
	if (at == NULL || sscanf(at + strlen(sign), "%8X/%8X on timeline %" SCNu32, &high, &low,
							 &fork->timeline) != 3)
	{
		(void) fha_error(err, FHA_PROTOCOL, "pg_rewind does not say where the servers diverged");
		return FHA_REWIND_SILENT;
	}
	fork->position = (uint64_t) high << 32 | low;
	fork->found = true;
	return FHA_REWIND_DONE;
}

typedef struct Segment
{
	uint64_t number;
	char name[32];
} Segment;

static int
newest_first(const void *a, const void *b)
{
	const Segment *left = a;
	const Segment *right = b;

	if (left->number != right->number)
		return left->number < right->number ? 1 : -1;
	return strcmp(right->name, left->name);
}

/*
 * The segments past the fork with something in them, and the history files of the
 * timelines they are on (number 0).  Returns how many, -1 without memory.
 */
static int
list_segments(const char *directory, const Fork *fork, const PgControl *control, Segment **out)
{
	uint64_t first = fork->position / control->wal_segment_size;
	uint64_t last = fork->end / control->wal_segment_size;
	const struct dirent *entry;
	int count = 0;
	int room = 0;
	DIR *wal = opendir(directory);

	*out = NULL;
	while (wal != NULL && (entry = readdir(wal)) != NULL)
	{
		uint32_t timeline;
		uint64_t number = 0;

		if (fha_segment_parse(entry->d_name, control->wal_segment_size, &timeline, &number))
		{
			if (timeline < fork->timeline || number < first || number > last)
				continue;
		}
		else if (!fha_timeline_history_parse(entry->d_name, &timeline) || timeline < fork->timeline)
			continue;
		if (count == room)
		{
			Segment *bigger = realloc(*out, (size_t) (room + 64) * sizeof(**out));

			if (bigger == NULL)
			{
				(void) closedir(wal);
				return -1;
			}
			*out = bigger;
			room += 64;
		}
		(*out)[count].number = number == 0 ? UINT64_MAX : number;
		(void) snprintf((*out)[count++].name, sizeof((*out)->name), "%.24s", entry->d_name);
	}
	if (wal != NULL)
		(void) closedir(wal);
	if (count > 0)
		qsort(*out, (size_t) count, sizeof(**out), newest_first);
	return count;
}

/* Remove the oldest of what earlier rewinds saved, so that with the next one there are three. */
static FhaCode
forget_oldest_saved(const char *state, FhaError *err)
{
	for (;;)
	{
		char oldest[2 * FHA_PATH_SIZE] = "";
		const struct dirent *entry;
		struct timespec least = {0, 0};
		int count = 0;
		FhaCode code;
		DIR *directory = opendir(state);

		while (directory != NULL && (entry = readdir(directory)) != NULL)
		{
			char path[2 * FHA_PATH_SIZE];
			struct stat status;

			if (strncmp(entry->d_name, SAVED_PREFIX, strlen(SAVED_PREFIX)) != 0)
				continue;
			(void) snprintf(path, sizeof(path), "%s/%s", state, entry->d_name);
			if (lstat(path, &status) != 0)
				continue;
			if (count++ == 0 || status.st_mtim.tv_sec < least.tv_sec ||
				(status.st_mtim.tv_sec == least.tv_sec && status.st_mtim.tv_nsec < least.tv_nsec))
			{
				least = status.st_mtim;
				(void) snprintf(oldest, sizeof(oldest), "%s", path);
			}
		}
		if (directory != NULL)
			(void) closedir(directory);
		if (count < SAVED_DIRECTORIES_MAX)
			return FHA_OK;
		rejoin_say("recovery_finished_first", "removing \"%s\", the oldest of %d", oldest, count);
		code = files_remove_tree(oldest, err);
		if (code != FHA_OK)
			return code;
	}
}

/* For the history of the cluster, which the node loop writes. */
static FhaCode
note_saved(const FhaConfig *config, const Fork *fork, const char *saved, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char text[FHA_SENTENCE_SIZE];
	uint64_t bytes = fork->end > fork->position ? fork->end - fork->position : 0;
	FhaCode code = fha_state_path(config, "saved-wal", path, sizeof(path), err);

	(void) snprintf(text, sizeof(text),
					"%" PRIu64 " bytes of WAL past %" PRIX64 "/%" PRIX64 " on timeline %" PRIu32
					" are in %.130s",
					bytes, fork->position >> 32, fork->position & 0xFFFFFFFF, fork->timeline,
					saved);
	return code == FHA_OK ? fha_file_replace(path, text, strlen(text), err) : code;
}

/* S11: nothing is destroyed to recover; the rows only this node had are in this WAL. */
static FhaCode
save_wal(const RejoinPlan *plan, Fork *fork, FhaError *err)
{
	const FhaConfig *config = plan->config;
	char state[FHA_PATH_SIZE];
	char saved[FHA_PATH_SIZE + 64];
	char wal[FHA_PATH_SIZE + 16];
	char from[2 * FHA_PATH_SIZE];
	char to[2 * FHA_PATH_SIZE];
	PgControl control;
	Segment *segments;
	uint64_t bytes = 0;
	int copied = 0;
	int count;
	FhaCode code = postgres_control(plan->bindir, config->data_directory, &control, err);

	if (code == FHA_OK)
		code = fha_state_directory(config, state, sizeof(state), err);
	if (code != FHA_OK)
		return code;
	if (fork->end == 0)
		fork->end = control.checkpoint;
	(void) snprintf(wal, sizeof(wal), "%s/pg_wal", config->data_directory);
	(void) snprintf(saved, sizeof(saved), "%s/" SAVED_PREFIX "%" PRIu32 "-%016" PRIX64, state,
					fork->timeline, fork->position);
	count = list_segments(wal, fork, &control, &segments);
	if (count < 0)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	code = files_remove_tree(saved, err);
	if (code == FHA_OK)
		code = forget_oldest_saved(state, err);
	if (code == FHA_OK)
		code = files_make_directory(saved, err);
	for (int i = 0; code == FHA_OK && i < count; i++)
	{
		bool segment = segments[i].number != UINT64_MAX;

		if (segment && bytes + control.wal_segment_size > SAVED_BYTES_MAX)
			continue;
		bytes += segment ? control.wal_segment_size : 0;
		(void) snprintf(from, sizeof(from), "%s/%s", wal, segments[i].name);
		(void) snprintf(to, sizeof(to), "%s/%s", saved, segments[i].name);
		code = files_copy(from, to, err);
		copied++;
	}
	free(segments);
	if (code == FHA_OK)
		code = files_sync_directory(saved, err);
	if (code == FHA_OK)
		code = note_saved(config, fork, saved, err);
	if (code == FHA_OK && copied < count)
		rejoin_say("saved_wal_removed",
				   "saved the newest %d of %d files of WAL past the fork in \"%s\"", copied, count,
				   saved);
	else if (code == FHA_OK)
		rejoin_say("wal_saved_in_part", "saved %d files of WAL past the fork in \"%s\"", copied,
				   saved);
	return code;
}

FhaCode
rejoin_save_wal(const RejoinPlan *plan, FhaError *err)
{
	Fork fork = {.found = true,
				 .timeline = plan->apart.timeline,
				 .position = plan->apart.lsn,
				 .end = plan->end == FHA_LSN_UNREAD ? 0 : plan->end};

	return save_wal(plan, &fork, err);
}

static FhaRewindEnd
rewind_mend(const RejoinPlan *plan, const char *database, FhaError *err)
{
	const FhaConfig *config = plan->config;
	RejoinWords words = {.quiet = false};

	if (rejoin_keep_own(config, err) != FHA_OK || rejoin_mark_damaged(config, err) != FHA_OK)
		return FHA_REWIND_NOT_BEGUN;
	/* From here on `damaged` stays, whatever happens, until all is well: then a clone follows. */
	if (run_rewind(plan, database, false, &words, err) != FHA_OK ||
		rejoin_restore_own(config, config->data_directory, err) != FHA_OK ||
		files_sync_directory(config->data_directory, err) != FHA_OK ||
		rejoin_new_incarnation(plan, err) != FHA_OK || rejoin_mark_usable(config, err) != FHA_OK)
		return FHA_REWIND_HALF_DONE;
	rejoin_forget_own(config);
	rejoin_forget_refusals(config);
	return FHA_REWIND_DONE;
}

static FhaRewindEnd
rewind_data(const RejoinPlan *plan, FhaError *err)
{
	const FhaConfig *config = plan->config;
	RejoinWords words = {.quiet = false};
	const char *database;
	FhaRewindEnd end;
	FhaCode code;
	Fork fork;

	if (rejoin_is_damaged(config))
	{
		(void) fha_error(err, FHA_INVALID, "an earlier try did not end: a clone is needed");
		return FHA_REWIND_HALF_DONE;
	}
	if (rejoin_check_passfile(config, err) != FHA_OK || postgres_configure(config, err) != FHA_OK ||
		remove_signals(config, err) != FHA_OK)
		return FHA_REWIND_NOT_BEGUN;
	code = rewind_recover(plan, &words, err);
	if (code != FHA_OK)
		return rewind_judge(code, words.text);
	end = ask_leader(plan, &database, err);
	if (end == FHA_REWIND_DONE)
		end = find_fork(plan, database, &fork, err);
	if (end != FHA_REWIND_DONE)
		return end;
	if (!fork.found)
	{
		(void) fha_error(err, FHA_INVALID,
						 "this node left the leader's history, but pg_rewind finds no fork");
		return FHA_REWIND_NO_FORK;
	}
	rejoin_say("wal_saved",
			   "left the leader's history at %" PRIX64 "/%" PRIX64 " on timeline %" PRIu32,
			   fork.position >> 32, fork.position & 0xFFFFFFFF, fork.timeline);
	if (save_wal(plan, &fork, err) != FHA_OK)
		return FHA_REWIND_NOT_BEGUN;
	return rewind_mend(plan, database, err);
}

int
rejoin_rewind(void *plan)
{
	const RejoinPlan *of = plan;
	int64_t began_at_ms = fha_now_ms();
	FhaError err = {.text = ""};
	FhaError second;
	FhaRewindEnd end;

	rejoin_say("history_left", "rewinding to %s", of->leader_address);
	end = rewind_data(of, &err);
	if (end == FHA_REWIND_DONE)
	{
		rejoin_say("rewind_begins", "done after %" PRId64 " ms", fha_now_ms() - began_at_ms);
		return 0;
	}
	if (!fha_rewind_needs_clone(end,
								end == FHA_REWIND_REFUSED ? rejoin_count_refusal(of->config) : 0))
		return rejoin_fail("rewind_postponed", "could not rewind yet", &err);
	if (end == FHA_REWIND_REFUSED)
		rejoin_say(
			"rewind_done",
			"the leader has refused a rewind again and again: a clone needs no session of SQL");
	/* Cannot be rewound: the mark makes the supervisor clone. */
	if (rejoin_keep_own(of->config, &second) != FHA_OK ||
		rejoin_mark_damaged(of->config, &second) != FHA_OK)
		rejoin_say("rewind_refusals_not_kept", "%s", second.text);
	return rejoin_fail("rewind_failed", "could not rewind, a clone is needed", &err);
}
