/*
 * restore_files.c: archives become a data directory.  See restore.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cli/files.h"
#include "cli/postgres.h"
#include "cli/process.h"
#include "cli/restore.h"
#include "record/primary_limits.h"

#define SETTINGS_NAME "fawkes_ha_restore.conf"
/* A download is tried again for so long: a store that is gone for a while is waited for. */
#define RESTORE_PATIENCE_MS INT64_C(86400000)
#define RESTORE_SAY_MS 5000
#define RESTORE_LOOK_MS 200
#define RESTORE_WAL_WAIT_S 600
#define RESTORE_TEXT_SIZE 16384
#define RESTORE_PROGRAM_MS 30000

/* --- places */

static FhaCode
restore_path(const Restore *self, const char *name, char out[FHA_PATH_SIZE], FhaError *err)
{
	if ((size_t) snprintf(out, FHA_PATH_SIZE, "%s/%s", self->data, name) < FHA_PATH_SIZE)
		return FHA_OK;
	return fha_error(err, FHA_INVALID, "the path \"%.100s...\" is too long", self->data);
}

/* "OLD=NEW", where OLD is a tablespace's directory or name. */
static FhaCode
restore_map_tablespace(Restore *self, const char *mapping, FhaError *err)
{
	const char *new = strrchr(mapping, '=');

	if (new == NULL || new[1] != '/' || strlen(new + 1) >= FHA_PATH_SIZE)
		return fha_error(err, FHA_INVALID,
						 "--tablespace takes OLD=NEW with an absolute path, not \"%.100s\"",
						 mapping);
	for (size_t i = 0; i < self->tablespace_count; i++)
	{
		const FhaTablespace *of = self->tablespaces[i].of;
		size_t length = (size_t) (new - mapping);

		if ((strlen(of->name) == length && memcmp(of->name, mapping, length) == 0) ||
			(strlen(of->location) == length && memcmp(of->location, mapping, length) == 0))
		{
			(void) snprintf(self->tablespaces[i].path, FHA_PATH_SIZE, "%s", new + 1);
			return FHA_OK;
		}
	}
	return fha_error(err, FHA_INVALID, "the backup has no tablespace \"%.*s\"",
					 (int) (new - mapping), mapping);
}

/* Never where they were: that may be the live cluster's. */
static FhaCode
restore_plan_tablespaces(Restore *self, FhaError *err)
{
	const FhaBackupInfo *info = &self->backup->info;
	const CliRestore *asked = &self->options->restore;
	FhaCode code = FHA_OK;

	self->tablespaces = calloc(info->tablespace_count + 1, sizeof(*self->tablespaces));
	if (self->tablespaces == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	self->tablespace_count = info->tablespace_count;
	for (size_t i = 0; i < self->tablespace_count; i++)
	{
		self->tablespaces[i].of = &info->tablespaces[i];
		(void) snprintf(self->tablespaces[i].path, FHA_PATH_SIZE, "%.900s.tablespaces/%" PRIu32,
						self->data, info->tablespaces[i].oid);
	}
	for (size_t i = 0; code == FHA_OK && i < asked->tablespace_count; i++)
		code = restore_map_tablespace(self, asked->tablespaces[i], err);
	for (size_t i = 0; code == FHA_OK && i < self->tablespace_count; i++)
		if (!files_is_empty(self->tablespaces[i].path))
			code = fha_error(err, FHA_INVALID,
							 "\"%.150s\" is not empty: a tablespace goes into a new directory",
							 self->tablespaces[i].path);
	return code;
}

static const char *
restore_directory_of(const Restore *self, const FhaObjectName *name)
{
	if (name->kind == FHA_OBJECT_DATA)
		return self->data;
	for (size_t i = 0; name->kind == FHA_OBJECT_TABLESPACE && i < self->tablespace_count; i++)
		if (self->tablespaces[i].of->oid == name->oid)
			return self->tablespaces[i].path;
	return NULL;
}

FhaCode
restore_plan_places(Restore *self, FhaError *err)
{
	const FhaBackup *backup = self->backup;
	char marker[FHA_PATH_SIZE];
	FhaCode code = restore_path(self, RESTORING, marker, err);

	if (code == FHA_OK && self->data[0] != '/')
		return fha_error(err, FHA_INVALID, "\"%.100s\" is no absolute path", self->data);
	if (code == FHA_OK && files_exists(marker))
		return fha_error(err, FHA_INVALID,
						 "\"%.100s\" has half of a restore: remove it, and begin again",
						 self->data);
	if (code == FHA_OK && !files_is_empty(self->data))
		return fha_error(err, FHA_INVALID,
						 "\"%.100s\" is not empty: a restore makes a new data directory",
						 self->data);
	if (code == FHA_OK)
		code = restore_plan_tablespaces(self, err);
	if (code != FHA_OK)
		return code;
	self->archives = calloc(backup->object_count + 1, sizeof(*self->archives));
	if (self->archives == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	for (size_t i = 0; i < backup->object_count; i++)
	{
		const FhaBackupObject *object = &backup->objects[i];
		const char *directory = restore_directory_of(self, &object->name);

		if (directory == NULL)
			continue;
		self->archives[self->archive_count++] =
			(RestoreArchive){.object = object, .directory = directory};
		self->stored_bytes += object->size;
	}
	return FHA_OK;
}

/* With the directories above it. */
static FhaCode
restore_make_directory(const char *path, FhaError *err)
{
	char parent[FHA_PATH_SIZE];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		(void) snprintf(parent, sizeof(parent), "%.*s", (int) (slash - path), path);
		if (mkdir(parent, 0700) != 0 && errno != EEXIST)
			return fha_error_errno(err, FHA_IO, "could not make \"%.150s\"", parent);
	}
	return files_make_directory(path, err);
}

/* --- archives */

/* One of the archives has it. */
static FhaCode
restore_keep(FhaHeldFile *out, FhaHeldFile held, FhaError *err)
{
	if (held.size == 0 || out->data != NULL)
		return FHA_OK;
	out->data = malloc(held.size);
	if (out->data == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	memcpy(out->data, held.data, held.size);
	out->size = held.size;
	return FHA_OK;
}

static bool
restore_has_failed(Restore *self)
{
	bool has_failed;

	(void) pthread_mutex_lock(&self->mutex);
	has_failed = self->failed.code != FHA_OK;
	(void) pthread_mutex_unlock(&self->mutex);
	return has_failed;
}

static FhaCode
restore_extract(Restore *self, FhaStore *store, const RestoreArchive *archive, FhaError *err)
{
	const FhaExtractSettings settings = {
		.key = archive->object->key,
		.name = &archive->object->name,
		.keys = self->place.is_sealed ? &self->place.keys : NULL,
		.directory = archive->directory,
		.patience_ms = RESTORE_PATIENCE_MS,
	};
	FhaExtract *extract;
	uint64_t told = 0;
	FhaCode code = fha_extract_open(&extract, store, &settings, err);

	if (code != FHA_OK)
		return code;
	while ((code = fha_extract_step(extract, err)) == FHA_AGAIN)
	{
		struct pollfd readable = {.fd = fha_extract_fd(extract), .events = POLLIN};
		int64_t wait_ms = fha_extract_wake_at_ms(extract) - fha_now_ms();

		atomic_fetch_add(&self->stored, fha_extract_stored(extract) - told);
		told = fha_extract_stored(extract);
		if (restore_has_failed(self))
			break;
		(void) poll(&readable, 1,
					wait_ms < 0                 ? 0
					: wait_ms > RESTORE_LOOK_MS ? RESTORE_LOOK_MS
												: (int) wait_ms);
	}
	atomic_fetch_add(&self->stored, fha_extract_stored(extract) - told);
	(void) pthread_mutex_lock(&self->mutex);
	if (code == FHA_OK)
		code = restore_keep(&self->control, fha_extract_control(extract), err);
	if (code == FHA_OK)
		code = restore_keep(&self->label, fha_extract_label(extract), err);
	if (code == FHA_OK)
		code = restore_keep(&self->conf, fha_extract_conf(extract), err);
	(void) pthread_mutex_unlock(&self->mutex);
	fha_extract_close(extract);
	return code;
}

/* A thread: one archive after another. */
static void *
restore_work(void *argument)
{
	Restore *self = argument;
	FhaStore *store = NULL;
	FhaError err = {.text = ""};
	FhaCode code = fha_store_open(&store, &self->place.store, &err);

	(void) pthread_mutex_lock(&self->mutex);
	while (code == FHA_OK && self->failed.code == FHA_OK && self->next < self->archive_count)
	{
		const RestoreArchive *archive = &self->archives[self->next++];

		(void) pthread_mutex_unlock(&self->mutex);
		code = restore_extract(self, store, archive, &err);
		(void) pthread_mutex_lock(&self->mutex);
		if (code != FHA_OK && code != FHA_AGAIN && self->failed.code == FHA_OK)
			(void) fha_error(&self->failed, code, "%.80s: %.140s", archive->object->key, err.text);
	}
	if (code != FHA_OK && code != FHA_AGAIN && self->failed.code == FHA_OK)
		self->failed = err;
	self->busy--;
	(void) pthread_mutex_unlock(&self->mutex);
	fha_store_close(store);
	return NULL;
}

/* What is done and what is left, for people and logs. */
static void
restore_say(Restore *self, int64_t began_at_ms)
{
	uint64_t done = atomic_load(&self->stored);
	int64_t passed_ms = fha_now_ms() - began_at_ms;
	double left_s = done == 0 ? 0
							  : (double) passed_ms / 1000 / (double) done *
									(double) (self->stored_bytes - done);

	cli_complain("restored %" PRIu64 " of %" PRIu64 " MiB, %.0f s left", done >> 20,
				 self->stored_bytes >> 20, left_s);
}

static bool
restore_is_busy(Restore *self)
{
	bool is_busy;

	(void) pthread_mutex_lock(&self->mutex);
	is_busy = self->busy > 0;
	(void) pthread_mutex_unlock(&self->mutex);
	return is_busy;
}

static FhaCode
restore_archives(Restore *self, FhaError *err)
{
	pthread_t threads[16];
	size_t count = self->place.data_jobs < 16 ? self->place.data_jobs : 16;
	size_t started = 0;
	int64_t began_at_ms = fha_now_ms();
	int64_t say_at_ms = began_at_ms + RESTORE_SAY_MS;
	sigset_t all;
	sigset_t before;

	(void) pthread_mutex_init(&self->mutex, NULL);
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_BLOCK, &all, &before);
	self->busy = count;
	while (started < count && pthread_create(&threads[started], NULL, restore_work, self) == 0)
		started++;
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void) pthread_mutex_lock(&self->mutex);
	self->busy -= count - started;
	(void) pthread_mutex_unlock(&self->mutex);
	while (restore_is_busy(self))
	{
		(void) poll(NULL, 0, RESTORE_LOOK_MS);
		if (fha_now_ms() < say_at_ms)
			continue;
		restore_say(self, began_at_ms);
		say_at_ms += RESTORE_SAY_MS;
	}
	for (size_t i = 0; i < started; i++)
		(void) pthread_join(threads[i], NULL);
	(void) pthread_mutex_destroy(&self->mutex);
	*err = self->failed;
	if (started == 0)
		return fha_error(err, FHA_IO, "no thread could be started");
	if (self->failed.code == FHA_OK && self->control.size == 0)
		return fha_error(err, FHA_INVALID, "the backup has no pg_control");
	if (self->failed.code == FHA_OK && self->label.size == 0)
		return fha_error(err, FHA_INVALID, "the backup has no backup_label");
	return self->failed.code;
}

/* --- what the archives do not have */

static FhaCode
restore_make_links(const Restore *self, FhaError *err)
{
	static const char *const directories[] = {
		"pg_wal",
		"pg_wal/archive_status",
		"pg_tblspc",
		"pg_replslot",
		"pg_stat",
		"pg_stat_tmp",
		"pg_notify",
		"pg_serial",
		"pg_snapshots",
		"pg_subtrans",
		"pg_dynshmem",
		"pg_twophase",
		"pg_commit_ts",
		"pg_logical",
		"pg_logical/snapshots",
		"pg_logical/mappings",
	};
	char path[FHA_PATH_SIZE];
	FhaCode code = FHA_OK;

	for (size_t i = 0; code == FHA_OK && i < sizeof(directories) / sizeof(directories[0]); i++)
	{
		code = restore_path(self, directories[i], path, err);
		if (code == FHA_OK)
			code = files_make_directory(path, err);
	}
	for (size_t i = 0; code == FHA_OK && i < self->tablespace_count; i++)
	{
		char name[40];

		(void) snprintf(name, sizeof(name), "pg_tblspc/%" PRIu32, self->tablespaces[i].of->oid);
		code = restore_path(self, name, path, err);
		if (code == FHA_OK && symlink(self->tablespaces[i].path, path) != 0)
			code = fha_error_errno(err, FHA_IO, "could not make \"%.150s\"", path);
	}
	return code;
}

/* A text of settings that grows. */
typedef struct Text
{
	char data[RESTORE_TEXT_SIZE];
	size_t used;
} Text;

static void
text_set(Text *text, const char *name, const char *value)
{
	text->used += (size_t) snprintf(text->data + text->used, 200, "%s = '", name);
	for (; *value != '\0' && text->used < sizeof(text->data) - 300; value++)
	{
		if (*value == '\'')
			text->data[text->used++] = *value;
		if (*value == '\\')
			text->data[text->used++] = *value;
		text->data[text->used++] = *value;
	}
	text->used += (size_t) snprintf(text->data + text->used, 10, "'\n");
}

/* What restore-wal goes by; no secret is in it. */
static FhaCode
restore_write_settings(const Restore *self, FhaError *err)
{
	const FhaConfig *config = &self->config;
	const char *const settings[][2] = {
		{"fawkes_ha.backup_store", config->backup_store},
		{"fawkes_ha.backup_server_name", self->place.server},
		{"fawkes_ha.backup_endpoint", config->backup_endpoint},
		{"fawkes_ha.backup_endpoint_ca_file", config->backup_endpoint_ca_file},
		{"fawkes_ha.backup_region", config->backup_region},
		{"fawkes_ha.backup_credentials_directory", config->backup_credentials_directory},
		{"fawkes_ha.backup_key_file", config->backup_key_file},
	};
	static Text text;
	char path[FHA_PATH_SIZE];
	FhaCode code = restore_path(self, SETTINGS_NAME, path, err);

	text.used = 0;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (settings[i][1][0] != '\0')
			text_set(&text, settings[i][0], settings[i][1]);
	return code == FHA_OK ? fha_file_replace(path, text.data, text.used, err) : code;
}

static FhaCode
restore_append(const Restore *self, const char *name, const Text *text, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char *before = NULL;
	char *whole = NULL;
	FhaCode code = restore_path(self, name, path, err);

	if (code == FHA_OK)
		code = fha_file_read(path, 4 << 20, &before, err);
	if (code == FHA_NOT_FOUND)
		code = FHA_OK;
	if (code == FHA_OK && asprintf(&whole, "%s\n%.*s", before == NULL ? "" : before,
								   (int) text->used, text->data) < 0)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory");
	else if (code == FHA_OK && whole != NULL)
		code = fha_file_replace(path, whole, strlen(whole), err);
	free(before);
	free(whole);
	return code;
}

static void
restore_set_target(const Restore *self, Text *text)
{
	const CliRestore *asked = &self->options->restore;
	char number[FHA_BACKUP_TIME_SIZE];

	text_set(text, "recovery_target", asked->immediate ? "immediate" : "");
	text_set(text, "recovery_target_lsn", asked->lsn == NULL ? "" : asked->lsn);
	text_set(text, "recovery_target_xid", asked->xid == NULL ? "" : asked->xid);
	text_set(text, "recovery_target_name", asked->name == NULL ? "" : asked->name);
	number[0] = '\0';
	if (asked->time != NULL)
		fha_backup_time_print(self->target_us, number);
	text_set(text, "recovery_target_time", number);
	/* Not "latest": that may be a branch to which this backup does not lead. */
	(void) snprintf(number, sizeof(number), "%" PRIu32, self->recovery.timeline);
	text_set(text, "recovery_target_timeline", number);
	text_set(text, "recovery_target_action", "promote");
}

static FhaCode
restore_write_recovery(const Restore *self, FhaError *err)
{
	static Text text;
	char program[FHA_PATH_SIZE] = "";
	char command[2 * FHA_PATH_SIZE];
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (length < 0)
		return fha_error_errno(err, FHA_IO, "could not read /proc/self/exe");
	(void) snprintf(command, sizeof(command),
					"\"%s\" restore-wal --config " SETTINGS_NAME " --wait %d \"%%f\" \"%%p\"",
					program, RESTORE_WAL_WAIT_S);
	text.used = (size_t) snprintf(text.data, 200, "# fawkes-ha restore: backup %s of %.120s\n",
								  self->backup->id, self->place.server);
	text_set(&text, "restore_command", command);
	restore_set_target(self, &text);
	/* What the old cluster was to others, this one is not. */
	text_set(&text, "archive_cleanup_command", "");
	text_set(&text, "recovery_end_command", "");
	text_set(&text, "primary_conninfo", "");
	text_set(&text, "primary_slot_name", "");
	text_set(&text, "synchronous_standby_names", "");
	text_set(&text, "archive_mode", "off");
	return restore_append(self, "postgresql.auto.conf", &text, err);
}

/* May the text say, by itself or in another file, where the data is? */
static bool
restore_conf_names_place(const FhaHeldFile *conf)
{
	const char *at = conf->data;
	const char *end = at + conf->size;

	while (at < end)
	{
		const char *newline = memchr(at, '\n', (size_t) (end - at));

		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		if ((end - at >= 14 && strncasecmp(at, "data_directory", 14) == 0) ||
			(end - at >= 7 && strncasecmp(at, "include", 7) == 0))
			return true;
		if (newline == NULL)
			return false;
		at = newline + 1;
	}
	return false;
}

/* With such a line the live server's data would be started, so the last word is the new place. */
static FhaCode
restore_write_conf(const Restore *self, FhaError *err)
{
	static Text text;
	char path[FHA_PATH_SIZE];
	char *whole;
	FhaCode code = restore_path(self, "postgresql.conf", path, err);

	if (code != FHA_OK || self->conf.size == 0)
		return code;
	text.used = 0;
	if (restore_conf_names_place(&self->conf))
		text_set(&text, "data_directory", self->data);
	if (asprintf(&whole, "%.*s\n%.*s", (int) self->conf.size, self->conf.data, (int) text.used,
				 text.data) < 0)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	code = fha_file_replace(path, whole, strlen(whole), err);
	free(whole);
	return code;
}

/* Debian has them in /etc, so that no backup has them. */
static FhaCode
restore_write_missing(const Restore *self, FhaError *err)
{
	static const char *const files[][2] = {
		{"postgresql.conf", "# Made by fawkes-ha restore: the backup has none.\n"},
		{"pg_hba.conf", "# Made by fawkes-ha restore: the backup has none.\nlocal all all peer\n"},
		{"pg_ident.conf", "# Made by fawkes-ha restore: the backup has none.\n"},
		{"recovery.signal", ""},
	};
	FhaCode code = FHA_OK;

	for (size_t i = 0; code == FHA_OK && i < sizeof(files) / sizeof(files[0]); i++)
	{
		char path[FHA_PATH_SIZE];

		code = restore_path(self, files[i][0], path, err);
		if (code == FHA_OK && !files_exists(path))
			code = fha_file_replace(path, files[i][1], strlen(files[i][1]), err);
	}
	return code;
}

/* --- limits, without which recovery would stop */

/* What pg_control says of it: "max_connections setting:  100"; 0: nothing. */
static int
restore_limit_of(const char *control, const char *name)
{
	char line[100];
	const char *at;

	(void) snprintf(line, sizeof(line), "\n%s setting:",
					strcmp(name, "max_prepared_transactions") == 0   ? "max_prepared_xacts"
					: strcmp(name, "max_locks_per_transaction") == 0 ? "max_locks_per_xact"
																	 : name);
	at = strstr(control, line);
	return at == NULL ? 0 : atoi(at + strlen(line));
}

/* What the restored files say, without its newline; "": PostgreSQL does not tell. */
static void
restore_setting(const Restore *self, const char *bindir, const char *name, char *out, size_t size)
{
	char program[FHA_PATH_SIZE + 16];
	const char *const argv[] = {program, "-D", self->data, "-C", name, NULL};
	int status = -1;

	(void) snprintf(program, sizeof(program), "%s/postgres", bindir);
	if (process_run(argv, fha_now_ms() + RESTORE_PROGRAM_MS, out, size, NULL, 0, &status, NULL) !=
			FHA_OK ||
		status != 0)
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* pg_control lies below the marker until all is written. */
static FhaCode
restore_write_limits(const Restore *self, FhaError *err)
{
	static Text text;
	static char control[RESTORE_TEXT_SIZE];
	char bindir[FHA_PATH_SIZE];
	char program[FHA_PATH_SIZE + 16];
	char marker[FHA_PATH_SIZE];
	const char *const argv[] = {program, "-D", marker, NULL};
	int status = -1;
	FhaCode code = restore_path(self, RESTORING, marker, err);

	if (code == FHA_OK)
		code = postgres_find(self->options->bindir, bindir, sizeof(bindir), err);
	if (code != FHA_OK)
		return code;
	(void) snprintf(program, sizeof(program), "%s/pg_controldata", bindir);
	code = process_run(argv, fha_now_ms() + RESTORE_PROGRAM_MS, control, sizeof(control), NULL, 0,
					   &status, err);
	if (code == FHA_OK && status != 0)
		code = fha_error(err, FHA_INVALID, "pg_controldata cannot read the backup's pg_control");
	text.used = 0;
	for (size_t i = 0; code == FHA_OK && i < FHA_LIMITS; i++)
	{
		const char *name = fha_limit_name(i);
		int needed = restore_limit_of(control, name);
		char value[16];

		restore_setting(self, bindir, name, value, sizeof(value));
		if (needed <= atoi(value))
			continue;
		(void) snprintf(value, sizeof(value), "%d", needed);
		text_set(&text, name, value);
	}
	return code == FHA_OK && text.used > 0
			   ? restore_append(self, "postgresql.auto.conf", &text, err)
			   : code;
}

/* --- in order */

static FhaCode
restore_flush(const char *directory, FhaError *err)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FhaCode code = FHA_OK;

	if (fd < 0 || syncfs(fd) != 0)
		code = fha_error_errno(err, FHA_IO, "could not flush \"%.150s\"", directory);
	if (fd >= 0)
		(void) close(fd);
	return code;
}

static FhaCode
restore_write_held(const Restore *self, const char *name, const FhaHeldFile *held, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = restore_path(self, name, path, err);

	return code == FHA_OK ? fha_file_replace(path, held->data, held->size, err) : code;
}

static FhaCode
restore_make_places(const Restore *self, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = restore_make_directory(self->data, err);

	if (code == FHA_OK && chmod(self->data, 0700) != 0)
		code = fha_error_errno(err, FHA_IO, "could not set the rights of \"%.150s\"", self->data);
	/* From here on the directory says that it is half a restore. */
	if (code == FHA_OK)
		code = restore_path(self, RESTORING "/global", path, err);
	if (code == FHA_OK)
		code = restore_make_directory(path, err);
	if (code == FHA_OK)
		code = restore_flush(self->data, err);
	for (size_t i = 0; code == FHA_OK && i < self->tablespace_count; i++)
		code = restore_make_directory(self->tablespaces[i].path, err);
	return code;
}

/* pg_control last: with it, a server would start. */
static FhaCode
restore_complete(const Restore *self, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = restore_flush(self->data, err);

	for (size_t i = 0; code == FHA_OK && i < self->tablespace_count; i++)
		code = restore_flush(self->tablespaces[i].path, err);
	if (code == FHA_OK)
		code = restore_write_held(self, "backup_label", &self->label, err);
	if (code == FHA_OK)
		code = restore_write_held(self, "global/pg_control", &self->control, err);
	if (code == FHA_OK)
		code = restore_path(self, RESTORING, path, err);
	if (code == FHA_OK)
		code = files_remove_tree(path, err);
	return code == FHA_OK ? files_sync_directory(self->data, err) : code;
}

FhaCode
restore_carry_out(Restore *self, FhaError *err)
{
	static FhaCode (*const steps[])(const Restore *, FhaError *) = {
		restore_make_links,    restore_write_settings, restore_write_recovery, restore_write_conf,
		restore_write_missing, restore_write_limits,   restore_complete,
	};
	FhaCode code = restore_make_places(self, err);

	if (code == FHA_OK)
		code = restore_archives(self, err);
	if (code == FHA_OK)
		code = restore_write_held(self, RESTORING "/global/pg_control", &self->control, err);
	for (size_t i = 0; code == FHA_OK && i < sizeof(steps) / sizeof(steps[0]); i++)
		code = steps[i](self, err);
	if (code != FHA_OK)
		return code;
	cli_line("\"%s\" is ready: start PostgreSQL there, and it recovers and is promoted",
			 self->data);
	cli_line(
		"it does not archive (archive_mode = off), because it would write into the archive that it "
		"came from: give it a place of its own first");
	return FHA_OK;
}
