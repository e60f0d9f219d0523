/*
 * cmd_backup.c: `fawkes-ha backup`: a base backup of a member's data, into the store of the cluster's settings.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "backup/base_backup.h"
#include "backup/place.h"
#include "backup/removal.h"
#include "base/clock.h"
#include "base/lsn.h"
#include "cli/backup_progress.h"
#include "cli/backup_server.h"
#include "cli/cluster.h"
#include "config/state_directory.h"
#include "show/overview.h"

/* A server that was lost, or one that cannot be reached, makes room for the next one. */
#define BACKUP_TRIES 3
#define BACKUP_REMOVE_MS (60 * 1000)
#define BACKUP_LOOK_MS 250
/* Since the last byte of a server that owes some. */
#define BACKUP_SILENCE_MS (10 * 60 * 1000)

typedef struct BackupJob
{
	const CliOptions *options;
	const Cluster *cluster;
	FhaBackupPlace place;
	FhaStore *store;
	char where[2 * FHA_PATH_SIZE]; /* the store's url, for people */
	int note;                      /* the lock, and what the file says: BackupNote */
	int64_t began_at_ms;
	BackupProgress progress;
} BackupJob;

/* --- being told to stop */

static volatile sig_atomic_t stop_asked;

static void
stop_now(int number)
{
	/* The second time it is meant. */
	if (stop_asked)
		(void) signal(number, SIG_DFL);
	stop_asked = 1;
}

static void
stop_listen(void)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = stop_now};

	(void) signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		(void) sigaction(wanted[i], &action, NULL);
}

/* --- what is under way here, on disk */

/*
 * <state>/backup: locked by the one backup that this member makes. It says which one that is, so that the next one can remove
 * what a killed one left: nobody else can know that it is not being made any more.
 */
static int
note_open(BackupJob *job)
{
	char path[FHA_PATH_SIZE];
	FhaError err;

	if (fha_state_path(&job->options->config, "backup", path, sizeof(path), &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_USAGE;
	}
	job->note = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (job->note < 0)
	{
		cli_complain("could not open \"%s\": %s", path, strerror(errno));
		return CLI_FAILED;
	}
	if (flock(job->note, LOCK_EX | LOCK_NB) == 0)
		return CLI_OK;
	cli_complain(errno == EWOULDBLOCK ? "this member makes a base backup already"
									  : "could not lock \"%s\"",
				 path);
	return CLI_REFUSED;
}

/* id "": nothing is under way. */
static bool
note_write(const BackupJob *job, const char *id)
{
	char text[sizeof(job->where) + FHA_BACKUP_ID_SIZE + FHA_SERVER_NAME_SIZE + 3] = "";
	int size = 0;

	if (id[0] != '\0')
		size = snprintf(text, sizeof(text), "%s\n%s\n%s\n", id, job->where, job->place.server);
	return pwrite(job->note, text, (size_t) size, 0) == size &&
		   ftruncate(job->note, (off_t) size) == 0 && fsync(job->note) == 0;
}

/* The id of a backup that was begun here, in the same place, and did not come to its end; false: there is none. */
static bool
note_read(const BackupJob *job, char id[FHA_BACKUP_ID_SIZE])
{
	char text[sizeof(job->where) + FHA_BACKUP_ID_SIZE + FHA_SERVER_NAME_SIZE + 4];
	char expected[sizeof(text)];
	ssize_t size = pread(job->note, text, sizeof(text) - 1, 0);

	if (size < FHA_BACKUP_ID_SIZE)
		return false;
	text[size] = '\0';
	memcpy(id, text, FHA_BACKUP_ID_SIZE - 1);
	id[FHA_BACKUP_ID_SIZE - 1] = '\0';
	(void) snprintf(expected, sizeof(expected), "\n%s\n%s\n", job->where, job->place.server);
	return fha_backup_id_parse(id, NULL) && strcmp(text + FHA_BACKUP_ID_SIZE - 1, expected) == 0;
}

/* --- what an interrupted one left */

typedef struct BackupText
{
	char *data; /* FHA_BACKUP_INFO_MAX */
	size_t size;
} BackupText;

static size_t
left_take(const char *data, size_t size, void *owner)
{
	BackupText *text = owner;

	if (size > FHA_BACKUP_INFO_MAX - text->size)
		return size;
	memcpy(text->data + text->size, data, size);
	text->size += size;
	return size;
}

/* Is it ours, and not DONE?  NOT_FOUND: there is none. */
static FhaCode
left_judge(const BackupJob *job, const char *id, bool *is_half, FhaError *err)
{
	FhaObjectName name = {.kind = FHA_OBJECT_BACKUP_INFO};
	BackupText text = {.data = malloc(FHA_BACKUP_INFO_MAX)};
	char key[FHA_OBJECT_KEY_SIZE];
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = key,
							   .take = left_take,
							   .owner = &text,
							   .deadline_at_ms = fha_now_ms() + BACKUP_REMOVE_MS};
	FhaStoreAnswer answer;
	FhaBackupInfo info;
	FhaCode code;

	if (text.data == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	memcpy(name.backup_id, id, sizeof(name.backup_id));
	fha_layout_key(job->place.server, &name, key);
	code = fha_store_call(job->store, &request, &answer);
	if (code != FHA_OK)
		*err = answer.error;
	else
		code = fha_backup_info_parse(text.data, text.size, &info, err);
	if (code == FHA_OK)
	{
		*is_half = info.status == FHA_BACKUP_STARTED &&
				   strcmp(info.member, job->options->config.member_name) == 0 &&
				   (job->cluster->record.system_identifier == 0 ||
					info.systemid == job->cluster->record.system_identifier);
		fha_backup_info_free(&info);
	}
	free(text.data);
	return code;
}

static void
backup_wait(const struct pollfd *wanted, size_t count, int64_t wake_at_ms)
{
	struct pollfd fds[FHA_BASE_BACKUP_FDS + 1];
	int64_t left_ms = wake_at_ms - fha_now_ms();

	memcpy(fds, wanted, count * sizeof(*fds));
	left_ms = left_ms < 0 ? 0 : left_ms > BACKUP_LOOK_MS ? BACKUP_LOOK_MS : left_ms;
	(void) poll(fds, count, (int) left_ms);
}

static FhaCode
left_remove(const BackupJob *job, const char *id, FhaError *err)
{
	struct pollfd wanted = {.fd = fha_store_fd(job->store), .events = POLLIN};
	FhaRemoval *removal;
	FhaCode code = fha_removal_open(&removal, job->store, job->place.server, id,
									fha_now_ms() + BACKUP_REMOVE_MS, err);

	if (code != FHA_OK)
		return code;
	while ((code = fha_removal_step(removal, err)) == FHA_AGAIN)
		backup_wait(&wanted, 1, fha_store_wake_at_ms(job->store));
	fha_removal_close(removal);
	return code;
}

static void
left_clean_up(const BackupJob *job)
{
	char id[FHA_BACKUP_ID_SIZE];
	bool is_half = false;
	FhaError err;
	FhaCode code;

	if (!note_read(job, id))
		return;
	code = left_judge(job, id, &is_half, &err);
	if (code == FHA_OK && is_half)
		code = left_remove(job, id, &err);
	if (code == FHA_OK && is_half)
		cli_line("removed what the interrupted base backup %s had left", id);
	if (code == FHA_OK || code == FHA_NOT_FOUND)
		(void) note_write(job, "");
	else
		cli_complain("base backup %s was interrupted, and what is left of it could not be removed: "
					 "%s",
					 id, err.text);
}

/* --- whom to ask */

typedef struct BackupSource
{
	const FhaMember *member;
	int64_t rank; /* the smallest is the best */
} BackupSource;

static int
source_by_rank(const void *a, const void *b)
{
	int64_t left = ((const BackupSource *) a)->rank;
	int64_t right = ((const BackupSource *) b)->rank;

	return left < right ? -1 : left > right;
}

/* This machine's own standby, then the one that is behind least, then the primary; -1: it does not count. */
static int64_t
source_rank(const BackupJob *job, const FhaOutlook *outlook, const FhaMember *member)
{
	FhaShown shown;

	fha_overview_member(outlook, member, &shown);
	if (shown.stopped || member->address[0] == '\0')
		return -1;
	if (shown.role == FHA_SHOWN_PRIMARY && shown.holds)
		return INT64_MAX;
	if (shown.role != FHA_SHOWN_STANDBY || !shown.streaming)
		return -1;
	if (strcmp(member->member, job->options->config.member_name) == 0)
		return 0;
	return shown.lag_bytes < 0 ? INT64_MAX - 1 : 1 + shown.lag_bytes;
}

static size_t
source_list(const BackupJob *job, BackupSource out[FHA_MEMBERS_MAX])
{
	const Cluster *cluster = job->cluster;
	FhaOutlook outlook = {.record = &cluster->record,
						  .members = cluster->members,
						  .member_count = cluster->member_count,
						  .wall_s = (int64_t) time(NULL),
						  .held = !cluster->record.released,
						  .lease_age_ms = -1};
	size_t count = 0;

	for (size_t i = 0; i < cluster->member_count; i++)
	{
		const FhaMember *member = &cluster->members[i];
		int64_t rank = source_rank(job, &outlook, member);

		if (job->options->target[0] != '\0')
			rank = strcmp(member->member, job->options->target) == 0 ? 0 : -1;
		if (rank >= 0)
			out[count++] = (BackupSource){.member = member, .rank = rank};
	}
	qsort(out, count, sizeof(*out), source_by_rank);
	return count;
}

/* --- from the server into the store */

/* AGAIN: wait. */
static FhaCode
transfer_give(FhaBaseBackup *backup, BackupMessage *message, FhaError *err)
{
	size_t taken;
	FhaCode code;

	switch (message->kind)
	{
		case BACKUP_MESSAGE_ARCHIVE:
			return fha_base_backup_archive(backup, message->oid, err);
		case BACKUP_MESSAGE_MANIFEST:
			return fha_base_backup_manifest(backup, err);
		case BACKUP_MESSAGE_END:
			return fha_base_backup_end(backup, message->timeline, message->end_lsn,
									   fha_wall_ms() * 1000, err);
		case BACKUP_MESSAGE_DATA:
			break;
	}
	code = fha_base_backup_write(backup, message->data, message->size, &taken, err);
	message->data += taken;
	message->size -= taken;
	return code == FHA_OK && message->size > 0 ? FHA_AGAIN : code;
}

/* server NULL: it has more than can be taken now. */
static void
transfer_wait(const FhaBaseBackup *backup, const BackupServer *server)
{
	struct pollfd wanted[FHA_BASE_BACKUP_FDS + 1];
	int fds[FHA_BASE_BACKUP_FDS];
	size_t count = fha_base_backup_fds(backup, fds);

	for (size_t i = 0; i < count; i++)
		wanted[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	if (server != NULL)
		wanted[count++] = (struct pollfd){.fd = backup_server_fd(server), .events = POLLIN};
	backup_wait(wanted, count, fha_base_backup_wake_at_ms(backup));
}

/* The id is in the note before anything of it can be in the store; another one, if that was taken, right after it. */
static void
transfer_note(const BackupJob *job, const FhaBaseBackup *backup, char noted[FHA_BACKUP_ID_SIZE])
{
	const char *id = fha_base_backup_id(backup);

	if (id[0] == '\0' || strcmp(id, noted) == 0)
		return;
	memcpy(noted, id, FHA_BACKUP_ID_SIZE);
	(void) note_write(job, id);
}

/*
 * OK: it is DONE.  *server_failed: it is the server's fault, so another try may help.
 */
static FhaCode
backup_transfer(BackupJob *job, FhaBaseBackup *backup, BackupServer *server, uint64_t expected,
				bool *server_failed, FhaError *err)
{
	BackupMessage message = {.size = 0};
	char noted[FHA_BACKUP_ID_SIZE] = "";
	bool has_message = false;
	bool is_ended = false;
	int64_t heard_at_ms = fha_now_ms();
	FhaCode code;

	while ((code = fha_base_backup_step(backup, err)) == FHA_AGAIN)
	{
		bool is_idle = false;

		transfer_note(job, backup, noted);
		backup_progress_show(&job->progress, fha_base_backup_count(backup).read, expected);
		if (stop_asked)
			return fha_error(err, FHA_IO, "it was interrupted");
		if (!has_message && !is_ended)
		{
			code = backup_server_next(server, &message, err);
			has_message = code == FHA_OK;
			is_idle = code == FHA_AGAIN;
			if (has_message)
				heard_at_ms = fha_now_ms();
			else if (is_idle && fha_now_ms() - heard_at_ms > BACKUP_SILENCE_MS)
				code = fha_error(err, FHA_TIMEOUT, "the server sends nothing any more");
			*server_failed = code != FHA_OK && code != FHA_AGAIN;
			if (*server_failed)
				return code;
		}
		code = has_message ? transfer_give(backup, &message, err) : FHA_AGAIN;
		if (code == FHA_OK)
		{
			is_ended = message.kind == BACKUP_MESSAGE_END;
			has_message = false;
		}
		else if (code != FHA_AGAIN)
			return code;
		else
			transfer_wait(backup, is_idle ? server : NULL);
	}
	return code;
}

/* What there is of it goes; what cannot be removed now, the note tells the next backup. */
static void
backup_give_up(const BackupJob *job, FhaBaseBackup *backup)
{
	FhaError err;
	FhaCode code;

	fha_base_backup_abandon(backup, fha_now_ms() + BACKUP_REMOVE_MS);
	while ((code = fha_base_backup_step(backup, &err)) == FHA_AGAIN)
		transfer_wait(backup, NULL);
	if (code == FHA_OK)
		(void) note_write(job, "");
	else
		cli_complain("what there is of it is left in the store, and the next base backup of this "
					 "member removes it: %s",
					 err.text);
}

/* --- the end */

static int
backup_report_json(const BackupJob *job, const FhaBaseBackup *backup, const char *from)
{
	FhaError err;
	char *text;

	if (fha_base_backup_print(backup, from, fha_now_ms() - job->began_at_ms, &text, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	(void) puts(text);
	free(text);
	return CLI_OK;
}

static int
backup_report(const BackupJob *job, const FhaBaseBackup *backup, const char *from)
{
	FhaBaseBackupCount count = fha_base_backup_count(backup);
	const FhaBackupInfo *info = fha_base_backup_info(backup);
	int64_t took_ms = fha_now_ms() - job->began_at_ms;
	char size[BACKUP_SIZE_TEXT_SIZE];
	char stored[BACKUP_SIZE_TEXT_SIZE];

	if (job->options->json)
		return backup_report_json(job, backup, from);
	backup_size_print((uint64_t) info->size, size);
	backup_size_print(count.stored, stored);
	cli_line("base backup %s is in %s: %s of %s, stored as %s, in %" PRId64 ".%" PRId64 " s",
			 fha_base_backup_id(backup), job->where, size, from, stored, took_ms / 1000,
			 took_ms % 1000 / 100);
	cli_line("it can be recovered once the WAL from %s to %s is archived, too", info->begin_wal,
			 info->end_wal);
	return CLI_OK;
}

/* A standby cannot end the segment that the backup needs last; until it is full, it would not be archived. */
static void
backup_switch_wal(const BackupJob *job, const FhaMember *source)
{
	const Cluster *cluster = job->cluster;
	FhaError err;

	if (strcmp(source->member, cluster->record.holder) == 0)
		return;
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		if (strcmp(cluster->members[i].member, cluster->record.holder) == 0 &&
			backup_server_switch_wal(&job->options->config, cluster->members[i].address, &err) !=
				FHA_OK)
			cli_complain("%s did not end its segment of WAL, which is archived when it is full: %s",
						 cluster->record.holder, err.text);
	}
}

/* --- one try */

static FhaCode
backup_open(BackupJob *job, FhaBackupInfo *info, uint64_t expected, FhaBaseBackup **out,
			FhaError *err)
{
	const FhaConfig *config = &job->options->config;
	FhaBaseBackupSettings settings = {.store = job->store,
									  .server = job->place.server,
									  .keys = job->place.is_sealed ? &job->place.keys : NULL,
									  .compression = job->place.data_compression,
									  .level = job->place.data_level,
									  .workers = job->place.data_jobs,
									  .expected_size = expected};
	char id[FHA_BACKUP_ID_SIZE];

	(void) snprintf(info->member, sizeof(info->member), "%s", config->member_name);
	(void) snprintf(info->pgdata, sizeof(info->pgdata), "%s", config->data_directory);
	fha_backup_id_print(info->begin_time_us / 1000000, id);
	if (!note_write(job, id))
		return fha_error_errno(err, FHA_IO,
							   "could not note the base backup in the state directory");
	return fha_base_backup_open(out, &settings, info, err);
}

/* CLI_OK, or a failure that was said; *again: another try may help. */
static int
backup_try(BackupJob *job, const FhaMember *source, bool *again)
{
	BackupServerSettings settings = {.config = &job->options->config,
									 .address = source->address,
									 .systemid = job->cluster->record.system_identifier,
									 .timeline = job->cluster->record.position.timeline,
									 .max_rate = job->place.max_rate};
	BackupServer *server = NULL;
	FhaBaseBackup *backup = NULL;
	FhaBackupInfo info;
	uint64_t expected = 0;
	FhaError err = {.code = FHA_OK};
	int result = CLI_FAILED;
	FhaCode code = backup_server_open(&server, &settings, &stop_asked, &info, &expected, &err);

	*again = code != FHA_OK && !stop_asked;
	if (code == FHA_OK)
	{
		job->progress = (BackupProgress){.what = "backed up"};
		code = backup_open(job, &info, expected, &backup, &err);
		fha_backup_info_free(&info);
	}
	if (code == FHA_OK)
		code = backup_transfer(job, backup, server, expected, again, &err);
	backup_server_close(server);
	backup_progress_end(&job->progress);
	if (code == FHA_OK)
	{
		(void) note_write(job, "");
		backup_switch_wal(job, source);
		result = backup_report(job, backup, source->member);
	}
	else
	{
		cli_complain("the base backup of %s failed: %s", source->member, err.text);
		if (backup != NULL)
			backup_give_up(job, backup);
	}
	fha_base_backup_close(backup);
	return result;
}

/* A member that fails goes behind the others. */
static int
backup_make(BackupJob *job)
{
	BackupSource sources[FHA_MEMBERS_MAX] = {{.rank = 0}};
	size_t count = source_list(job, sources);
	bool again = true;
	int result = CLI_FAILED;

	if (count == 0)
	{
		cli_complain(job->options->target[0] != '\0'
						 ? "there is no member \"%s\" in the cluster"
						 : "no member is there that could be backed up; see fawkes-ha status",
					 job->options->target);
		return CLI_REFUSED;
	}
	for (size_t i = 0; i < BACKUP_TRIES && again && result != CLI_OK && !stop_asked; i++)
		result = backup_try(job, sources[i % count].member, &again);
	return result;
}

static int
backup_in_place(BackupJob *job)
{
	FhaError err;
	int result;

	fha_store_url_print(&job->place.store, job->where, sizeof(job->where));
	if (fha_store_open(&job->store, &job->place.store, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	result = note_open(job);
	if (result == CLI_OK)
	{
		left_clean_up(job);
		result = backup_make(job);
	}
	if (job->note >= 0)
		(void) close(job->note);
	fha_store_close(job->store);
	return result;
}

static int
run_backup(CliOptions *options, int argc, char **argv)
{
	static Cluster cluster;
	static BackupJob job;
	FhaError err;
	int result;

	(void) argc;
	(void) argv;
	job = (BackupJob){
		.options = options, .cluster = &cluster, .note = -1, .began_at_ms = fha_now_ms()};
	if (options->config.member_name[0] == '\0')
	{
		cli_complain("which member?  Give -D DATA of one, as the user that runs it");
		return CLI_USAGE;
	}
	stop_listen();
	if (fha_backup_place_read(&job.place, &options->config, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_USAGE;
	}
	result = cluster_open(&cluster, options);
	if (result == CLI_OK)
		result = cluster_read(&cluster, options);
	if (result == CLI_OK)
		result = backup_in_place(&job);
	cluster_close(&cluster);
	fha_backup_place_release(&job.place);
	return result;
}

const CliCommand command_backup = {
	"backup",
	"-D DATA [--from MEMBER] [-o json]",
	"make a base backup and store it where fawkes_ha.backup_store says",
	run_backup,
	"DsluFo",
	NULL,
	false,
};
