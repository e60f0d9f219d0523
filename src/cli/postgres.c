/*
 * postgres.c: find PostgreSQL's programs, read its control file, start it.
 */
#include "cli/postgres.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/process.h"
#include "config/state_directory.h"
#include "node/watermark.h"
#include "node/state.h"

/* Programs that only read a file or two. */
#define POSTMASTER_PID_MAX 4096
#define QUICK_MS 10000

/* What PostgreSQL can be built with, or initdb asked for. */
#define WAL_BLOCK_LEAST 1024
#define WAL_BLOCK_MOST (64 * 1024)
#define WAL_SEGMENT_LEAST (1024 * 1024)
#define WAL_SEGMENT_MOST (1024 * 1024 * 1024)

#define LIBRARY "fawkes_ha"
#define LIBRARY_LIST_SIZE 2048

static bool
is_program(const char *directory, const char *name)
{
	char path[FHA_PATH_SIZE + 32];

	return (size_t) snprintf(path, sizeof(path), "%s/%s", directory, name) < sizeof(path) &&
		   access(path, X_OK) == 0;
}

/* The first directory of PATH that has the program. */
static bool
search_path(const char *name, char *out, size_t size)
{
	const char *path = getenv("PATH");

	while (path != NULL && *path != '\0')
	{
		size_t length = strcspn(path, ":");

		if (length > 0 && length < size)
		{
			memcpy(out, path, length);
			out[length] = '\0';
			if (is_program(out, name))
				return true;
		}
		path += length + (path[length] == ':');
	}
	return false;
}

static bool
ask_pg_config(char *bindir, size_t size)
{
	char directory[FHA_PATH_SIZE];
	char program[FHA_PATH_SIZE + 32];
	const char *argv[] = {program, "--bindir", NULL};
	int status;

	if (!search_path("pg_config", directory, sizeof(directory)))
		return false;
	(void) snprintf(program, sizeof(program), "%s/pg_config", directory);
	if (process_run(argv, fha_now_ms() + QUICK_MS, bindir, size, NULL, 0, &status, NULL) !=
			FHA_OK ||
		status != 0)
		return false;
	bindir[strcspn(bindir, "\n")] = '\0';
	return is_program(bindir, "postgres");
}

/* make install puts this command beside its server's programs: of several versions, ours. */
static bool
own_directory(char *bindir, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", bindir, size - 1);
	char *slash;

	if (length <= 0)
		return false;
	bindir[length] = '\0';
	slash = strrchr(bindir, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return is_program(bindir, "postgres");
}

FhaCode
postgres_find(const char *wanted, char *bindir, size_t size, FhaError *err)
{
	char link[FHA_PATH_SIZE + 32];
	char resolved[PATH_MAX];

	if (wanted != NULL && wanted[0] != '\0')
	{
		if (!is_program(wanted, "postgres"))
			return fha_error(err, FHA_INVALID,
							 "there is no program postgres in \"%.120s\": name the directory that "
							 "pg_config --bindir prints",
							 wanted);
		if ((size_t) snprintf(bindir, size, "%s", wanted) >= size)
			return fha_error(err, FHA_INVALID, "the path of PostgreSQL's programs is too long");
		return FHA_OK;
	}
	if (own_directory(bindir, size) || ask_pg_config(bindir, size))
		return FHA_OK;
	if (search_path("postgres", bindir, size))
	{
		/* A link in /usr/bin: the others lie beside what it points to. */
		(void) snprintf(link, sizeof(link), "%s/postgres", bindir);
		if (realpath(link, resolved) != NULL && strlen(resolved) < size)
		{
			*strrchr(resolved, '/') = '\0';
			memcpy(bindir, resolved, strlen(resolved) + 1);
		}
		return FHA_OK;
	}
	return fha_error(err, FHA_NOT_FOUND,
					 "found no PostgreSQL: not beside this command, nor pg_config or postgres in "
					 "PATH; name the directory of its programs with --bin");
}

static bool
is_absent_or_empty(const char *path)
{
	const struct dirent *entry;
	bool empty = true;
	DIR *directory = opendir(path);

	if (directory == NULL)
		return errno == ENOENT;
	while (empty && (entry = readdir(directory)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
				strcmp(entry->d_name, "lost+found") == 0;
	(void) closedir(directory);
	return empty;
}

static bool
file_exists(const char *directory, const char *name)
{
	char path[FHA_PATH_SIZE + 32];

	(void) snprintf(path, sizeof(path), "%s/%s", directory, name);
	return access(path, F_OK) == 0;
}

/* The value behind "label:" at the beginning of a line; NULL: no such line. */
static const char *
find_value(const char *text, const char *label)
{
	size_t length = strlen(label);

	while (text != NULL)
	{
		if (strncmp(text, label, length) == 0 && text[length] == ':')
			return text + length + 1 + strspn(text + length + 1, " ");
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	return NULL;
}

static bool
get_number(const char *text, const char *label, uint64_t *out)
{
	const char *value = find_value(text, label);

	return value != NULL && sscanf(value, "%" SCNu64, out) == 1;
}

static bool
get_small(const char *text, const char *label, uint32_t *out)
{
	const char *value = find_value(text, label);

	return value != NULL && sscanf(value, "%" SCNu32, out) == 1;
}

static bool
get_position(const char *text, const char *label, uint64_t *out)
{
	const char *value = find_value(text, label);
	unsigned high;
	unsigned low;

	if (value == NULL || sscanf(value, "%8X/%8X", &high, &low) != 2)
		return false;
	*out = (uint64_t) high << 32 | low;
	return true;
}

static bool
is_state(const char *text, const char *state)
{
	const char *value = find_value(text, "Database cluster state");

	return value != NULL && strcspn(value, "\n") == strlen(state) &&
		   strncmp(value, state, strlen(state)) == 0;
}

static bool
is_power_of_two(uint32_t number, uint32_t least, uint32_t most)
{
	return number >= least && number <= most && (number & (number - 1)) == 0;
}

/*
 * Programs of another major version read the files wrongly: they find damage where there is none.
 * A version that cannot be told is left to what they say.
 */
static FhaCode
check_version(const char *program, const char *bindir, const char *data, FhaError *err)
{
	const char *argv[] = {program, "--version", NULL};
	char path[FHA_PATH_SIZE + 32];
	char text[256];
	char *made_by = NULL;
	int data_major = 0;
	int major = 0;
	int status;

	(void) snprintf(path, sizeof(path), "%s/PG_VERSION", data);
	if (fha_file_read(path, 64, &made_by, NULL) != FHA_OK)
		return FHA_OK;
	data_major = (int) strtol(made_by, NULL, 10);
	free(made_by);
	if (process_run(argv, fha_now_ms() + QUICK_MS, text, sizeof(text), NULL, 0, &status, NULL) !=
			FHA_OK ||
		status != 0 || sscanf(text, "%*s (PostgreSQL) %d", &major) != 1 || major == data_major)
		return FHA_OK;
	return fha_error(
		err, FHA_INVALID,
		"the programs in \"%.80s\" are of PostgreSQL %d, but \"%.80s\" is of %d: name the "
		"directory of the right ones with --bin",
		bindir, major, data, data_major);
}

void
postgres_tell(const PgControl *control, FhaStopped *out)
{
	out->system_identifier = control->system_identifier;
	out->clean = control->clean;
	out->was_primary = control->was_primary;
	out->timeline = control->timeline;
	out->checkpoint = control->checkpoint;
	out->redo = control->redo;
	out->min_recovery = control->min_recovery;
}

FhaCode
postgres_control(const char *bindir, const char *data, PgControl *out, FhaError *err)
{
	char program[FHA_PATH_SIZE + 32];
	char control[FHA_PATH_SIZE + 32];
	const char *argv[] = {program, "-D", data, NULL};
	char text[8192];
	char errors[160];
	uint32_t recovery_timeline = 0;
	FhaCode code;
	int status;

	memset(out, 0, sizeof(*out));
	if (is_absent_or_empty(data))
		return fha_error(err, FHA_NOT_FOUND, "there is no data directory \"%.120s\"", data);
	(void) snprintf(control, sizeof(control), "%s/global/pg_control", data);
	if (access(control, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return fha_error(
			err, FHA_INVALID,
			"the data directory \"%.120s\" is not empty and holds no data of PostgreSQL: "
			"nothing is ever overwritten; empty it, or name another with -D",
			data);
	(void) snprintf(program, sizeof(program), "%s/pg_controldata", bindir);
	code = check_version(program, bindir, data, err);
	if (code == FHA_OK)
		code = process_run(argv, fha_now_ms() + QUICK_MS, text, sizeof(text), errors,
						   sizeof(errors), &status, err);
	if (code != FHA_OK)
		return code;
	if (status != 0)
		return fha_error(err, FHA_INVALID, "\"%.60s\" is no data directory that can be read: %.*s",
						 data, (int) strcspn(errors, "\n"), errors);
	if (strstr(text, "WARNING: ") != NULL)
		return fha_error(err, FHA_INVALID,
						 "the control file of \"%.100s\" is damaged: let this member be cloned "
						 "anew, or restore it from a backup",
						 data);
	if (!get_number(text, "Database system identifier", &out->system_identifier) ||
		!get_position(text, "Latest checkpoint location", &out->checkpoint) ||
		!get_position(text, "Latest checkpoint's REDO location", &out->redo) ||
		!get_small(text, "Latest checkpoint's TimeLineID", &out->checkpoint_timeline) ||
		!get_position(text, "Minimum recovery ending location", &out->min_recovery) ||
		!get_small(text, "Min recovery ending loc's timeline", &recovery_timeline) ||
		!get_small(text, "Bytes per WAL segment", &out->wal_segment_size) ||
		!get_small(text, "WAL block size", &out->wal_block_size) ||
		!is_power_of_two(out->wal_block_size, WAL_BLOCK_LEAST, WAL_BLOCK_MOST) ||
		!is_power_of_two(out->wal_segment_size, WAL_SEGMENT_LEAST, WAL_SEGMENT_MOST))
		return fha_error(err, FHA_PROTOCOL, "pg_controldata in \"%.100s\" says too little", bindir);
	out->timeline =
		recovery_timeline > out->checkpoint_timeline ? recovery_timeline : out->checkpoint_timeline;
	out->clean = is_state(text, "shut down") || is_state(text, "shut down in recovery");
	/* pg_basebackup and pg_rewind copy the source's control file: backup_label tells. */
	out->was_primary = (is_state(text, "in production") || is_state(text, "shut down") ||
						is_state(text, "shutting down") || is_state(text, "in crash recovery")) &&
					   !file_exists(data, "backup_label");
	return FHA_OK;
}

/* postgres -C NAME, over its files with the assignment `more`, if that is not NULL. */
static FhaCode
postgres_ask_setting(const FhaConfig *config, const char *bindir, const char *name,
					 const char *more, char *out, size_t size, FhaError *err)
{
	char program[FHA_PATH_SIZE + 32];
	char file[FHA_PATH_SIZE + 16];
	char path[FHA_PATH_SIZE];
	char errors[1024];
	const char *argv[] = {
		program, "-C", name, "-D", config->data_directory, "-c", file, more == NULL ? NULL : "-c",
		more,    NULL};
	const char *words;
	FhaCode code = fha_state_path(config, "postgresql.conf", path, sizeof(path), err);
	int status;

	if (code != FHA_OK)
		return code;
	(void) snprintf(program, sizeof(program), "%s/postgres", bindir);
	(void) snprintf(file, sizeof(file), "config_file=%s", path);
	code =
		process_run(argv, fha_now_ms() + QUICK_MS, out, size, errors, sizeof(errors), &status, err);
	if (code != FHA_OK)
		return code;
	if (status != 0)
	{
		words = strstr(errors, "LOG:  ");
		if (words == NULL)
			words = strstr(errors, "FATAL:  ");
		words = words == NULL ? errors : strchr(words, ':') + 3;
		return fha_error(err, FHA_INVALID, "PostgreSQL does not accept its settings: %.*s",
						 (int) strcspn(words, "\n"), words);
	}
	out[strcspn(out, "\n")] = '\0';
	return FHA_OK;
}

FhaCode
postgres_setting(const FhaConfig *config, const char *bindir, const char *name, char *out,
				 size_t size, FhaError *err)
{
	return postgres_ask_setting(config, bindir, name, NULL, out, size, err);
}

FhaCode
postgres_accepts(const FhaConfig *config, const char *bindir, const FhaSetting *setting,
				 FhaError *err)
{
	char more[FHA_SETTING_NAME_SIZE + FHA_SETTING_VALUE_SIZE + 2];
	char value[FHA_SETTING_VALUE_SIZE];

	(void) snprintf(more, sizeof(more), "%s=%s", setting->name, setting->value);
	return postgres_ask_setting(config, bindir, setting->name, more, value, sizeof(value), err);
}

pid_t
postgres_running(const FhaConfig *config)
{
	char path[FHA_PATH_SIZE + 32];
	char *text = NULL;
	long pid;

	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", config->data_directory);
	if (fha_file_read(path, POSTMASTER_PID_MAX, &text, NULL) != FHA_OK)
		return 0;
	pid = strtol(text, NULL, 10);
	free(text);
	/* Our own number stands there after postgres_forgive_dead, and we may work in that directory. */
	return pid > 1 && pid != getpid() && process_works_in((pid_t) pid, config->data_directory)
			   ? (pid_t) pid
			   : 0;
}

/* Settings that break a promise; see S4b (fsync), S7 and pg_rewind (full_page_writes), S5. */
static FhaCode
refuse_broken_promises(const FhaConfig *config, const char *bindir, FhaError *err)
{
	static const struct
	{
		const char *name;
		const char *bad;
		const char *because;
	} rules[] = {
		{"wal_level", "minimal", "standbys need the whole WAL: use \"replica\" or \"logical\""},
		{"fsync", "off", "acknowledged rows would be lost in a crash: use on"},
		{"full_page_writes", "off", "pg_rewind and crash recovery need them: use on"},
		{"hot_standby", "off", "a standby must be readable to be watched: use on"},
	};
	char value[64];

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
	{
		FhaCode code = postgres_setting(config, bindir, rules[i].name, value, sizeof(value), err);

		if (code != FHA_OK)
			return code;
		if (strcmp(value, rules[i].bad) == 0)
			return fha_error(err, FHA_INVALID, "%s = %s is set, but %s", rules[i].name, value,
							 rules[i].because);
	}
	return FHA_OK;
}

/* Is the library in the list, as an element of its own? */
static bool
lists_library(const char *list)
{
	while (*list != '\0')
	{
		size_t length;

		list += strspn(list, " \t,\"");
		length = strcspn(list, " \t,\"");
		if (length == strlen(LIBRARY) && strncmp(list, LIBRARY, length) == 0)
			return true;
		list += length;
	}
	return false;
}

static FhaCode
preload_setting(const FhaConfig *config, const char *bindir, char *out, size_t size, FhaError *err)
{
	char users[LIBRARY_LIST_SIZE];
	FhaCode code =
		postgres_setting(config, bindir, "shared_preload_libraries", users, sizeof(users), err);
	int length;

	if (code != FHA_OK)
		return code;
	if (lists_library(users))
		length = snprintf(out, size, "shared_preload_libraries=%s", users);
	else
		length = snprintf(out, size, "shared_preload_libraries=%s%s" LIBRARY, users,
						  users[0] == '\0' ? "" : ",");
	if (strlen(users) == sizeof(users) - 1 || (size_t) length >= size)
		return fha_error(err, FHA_INVALID, "shared_preload_libraries is too long");
	return FHA_OK;
}

/* Make or remove standby.signal, durably: with the wrong one a primary starts as a second one. */
static FhaCode
set_signal_file(const FhaConfig *config, bool standby, FhaError *err)
{
	char path[FHA_PATH_SIZE + 32];
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/recovery.signal", config->data_directory);
	code = fha_file_remove(path, err);
	if (code != FHA_OK)
		return code;
	(void) snprintf(path, sizeof(path), "%s/standby.signal", config->data_directory);
	return standby ? fha_file_replace(path, "", 0, err) : fha_file_remove(path, err);
}

/* In the child.  Reports errno through `failure` if exec is not possible. */
static void
exec_postmaster(char *const argv[], char *const environment[], const PostgresFds *fds, int failure)
{
	int null = open("/dev/null", O_RDONLY);
	int reason;

	/* A group of its own: Ctrl-C at a terminal is for the supervisor alone. */
	(void) setpgid(0, 0);
	process_reset_signals();
	if (null >= 0)
	{
		(void) dup2(null, STDIN_FILENO);
		if (null > STDERR_FILENO)
			(void) close(null);
	}
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0 && fcntl(fds->liveness, F_SETFD, 0) == 0 &&
		fcntl(fds->watermark, F_SETFD, 0) == 0 &&
		(fds->listen < 0 || fcntl(fds->listen, F_SETFD, 0) == 0))
		(void) execve(argv[0], argv, environment);
	reason = errno;
	if (write(failure, &reason, sizeof(reason)) < 0)
		_exit(126);
	_exit(127);
}

static FhaCode
spawn_postmaster(char *const argv[], const char *const extra[], const PostgresFds *fds,
				 pid_t *postmaster, FhaError *err)
{
	char **environment = process_environment(extra);
	FhaCode code = FHA_OK;
	int failure[2];
	int reason;
	pid_t child;

	if (environment == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	if (pipe2(failure, O_CLOEXEC) != 0)
	{
		code = fha_error_errno(err, FHA_IO, "could not make a pipe");
		free(environment);
		return code;
	}
	(void) fflush(NULL);
	child = fork();
	if (child == 0)
		exec_postmaster(argv, environment, fds, failure[1]);
	if (child < 0)
		code = fha_error_errno(err, FHA_IO, "could not start a process");
	(void) close(failure[1]);
	if (child > 0)
	{
		(void) setpgid(child, child);
		if (read(failure[0], &reason, sizeof(reason)) == (ssize_t) sizeof(reason))
		{
			(void) waitpid(child, NULL, 0);
			errno = reason;
			code = fha_error_errno(err, FHA_IO, "could not run %.120s", argv[0]);
		}
	}
	(void) close(failure[0]);
	free(environment);
	if (code == FHA_OK)
		*postmaster = child;
	return code;
}

FhaCode
postgres_start(const FhaConfig *config, const char *bindir, bool standby, const PostgresFds *fds,
			   const char *incarnation, pid_t *postmaster, FhaError *err)
{
	char program[FHA_PATH_SIZE + 32];
	char data[FHA_PATH_SIZE];
	char option_d[] = "-D";
	char option_c[] = "-c";
	char fsync_on[] = "fsync=on";
	char pages_on[] = "full_page_writes=on";
	char hot_standby[] = "hot_standby=on";
	char path[FHA_PATH_SIZE];
	char config_file[FHA_PATH_SIZE + 32];
	char data_directory[FHA_PATH_SIZE + 32];
	char state_directory[FHA_PATH_SIZE + 40];
	char libraries[LIBRARY_LIST_SIZE + 64];
	char liveness[48];
	char watermark[48];
	char listen[48];
	char name[80];
	/* On the command line, so that neither ALTER SYSTEM nor a reload can change it. */
	char *const argv[] = {program,   option_d,       data,     option_c,        config_file,
						  option_c,  data_directory, option_c, state_directory, option_c,
						  libraries, option_c,       fsync_on, option_c,        pages_on,
						  option_c,  hot_standby,    NULL};
	const char *const extra[] = {liveness, watermark, name, listen, NULL};
	FhaCode code = fha_state_path(config, "postgresql.conf", path, sizeof(path), err);

	*postmaster = -1;
	if (code != FHA_OK)
		return code;
	(void) snprintf(config_file, sizeof(config_file), "config_file=%s", path);
	code = fha_state_directory(config, path, sizeof(path), err);
	if (code != FHA_OK)
		return code;
	(void) snprintf(state_directory, sizeof(state_directory), "fawkes_ha.state_directory=%s", path);
	(void) snprintf(program, sizeof(program), "%s/postgres", bindir);
	(void) snprintf(data, sizeof(data), "%s", config->data_directory);
	(void) snprintf(data_directory, sizeof(data_directory), "data_directory=%s", data);
	(void) snprintf(liveness, sizeof(liveness), FHA_ENV_LIVENESS_FD "=%d", fds->liveness);
	(void) snprintf(watermark, sizeof(watermark), FHA_ENV_WATERMARK_FD "=%d", fds->watermark);
	/* Empty rather than absent: a number from our own environment must not be believed. */
	(void) snprintf(listen, sizeof(listen), FHA_ENV_LISTEN_FD "=");
	if (fds->listen >= 0)
		(void) snprintf(listen, sizeof(listen), FHA_ENV_LISTEN_FD "=%d", fds->listen);
	(void) snprintf(name, sizeof(name), FHA_ENV_INCARNATION "=%s", incarnation);

	code = refuse_broken_promises(config, bindir, err);
	if (code == FHA_OK)
		code = preload_setting(config, bindir, libraries, sizeof(libraries), err);
	if (code == FHA_OK)
		code = set_signal_file(config, standby, err);
	if (code == FHA_OK)
		code = postgres_forgive_dead(config, err);
	if (code == FHA_OK)
		code = spawn_postmaster(argv, extra, fds, postmaster, err);
	return code;
}
