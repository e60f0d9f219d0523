/*
 * rejoin.c: jobs on a stopped data directory: make it, copy it, mend it.
 *
 * Who calls holds the liveness lock, and what we start inherits it.
 */
#include "cli/rejoin.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/files.h"
#include "cli/postgres.h"
#include "cli/process.h"
#include "cli/rejoin_internal.h"
#include "config/conninfo.h"
#include "config/state_directory.h"
#include "node/follow.h"
#include "node/state.h"

/* Whose supervisor's log is written; "": a person reads it. */
static char logged_as[FHA_NAME_SIZE];

void
rejoin_log_as(const char *member)
{
	(void) snprintf(logged_as, sizeof(logged_as), "%s", member);
}

FHA_PRINTF(3, 0)
static void
rejoin_log(const char *level, const char *id, const char *format, va_list args)
{
	char begin[CLI_LOG_BEGIN_SIZE];

	if (logged_as[0] == '\0')
		(void) fputs("fawkes-ha: ", stderr);
	else
		(void) fputs(cli_log_begin(begin, logged_as, level, id), stderr);
	(void) cli_write(stderr, format, args);
	(void) fputc('\n', stderr);
}

void
rejoin_say(const char *id, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rejoin_log("LOG", id, format, args);
	va_end(args);
}

FHA_PRINTF(2, 3)
static void
rejoin_warn(const char *id, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rejoin_log("WARNING", id, format, args);
	va_end(args);
}

int
rejoin_fail(const char *id, const char *what, const FhaError *err)
{
	rejoin_warn(id, "%s: %s", what, err->text);
	return 1;
}

/* A program's complaints go to our log as they come; their end is kept to be looked at. */
static void
pass_on(void *argument, const char *bytes, size_t size)
{
	RejoinWords *words = argument;
	size_t room = sizeof(words->text) - 1;

	if (!words->quiet)
		(void) fwrite(bytes, 1, size, stderr);
	if (size > room)
	{
		bytes += size - room;
		size = room;
	}
	if (words->used + size > room)
	{
		size_t drop = words->used + size - room;

		memmove(words->text, words->text + drop, words->used - drop);
		words->used -= drop;
	}
	memcpy(words->text + words->used, bytes, size);
	words->used += size;
	words->text[words->used] = '\0';
}

FhaCode
rejoin_run(const char *const argv[], RejoinWords *words, FhaError *err)
{
	ProcessOutput none = {NULL, NULL};
	ProcessOutput log = {pass_on, words};
	const char *name = strrchr(argv[0], '/');
	char ending[48];
	int status;
	FhaCode code;

	words->used = 0;
	words->text[0] = '\0';
	/* No deadline: as long as it takes.  The connection has timeouts of its own. */
	code = process_stream(argv, INT64_MAX, none, log, &status, err);
	if (code != FHA_OK || status == 0)
		return code;
	process_describe(status, ending, sizeof(ending));
	return fha_error(err, FHA_IO, "%s %s", name == NULL ? argv[0] : name + 1, ending);
}

/*
 * What a database, a role or an operator on the path could change about our session is stated, as in
 * the extension's own (pg/session.h).  libpq takes a backslash before a blank of one value.
 */
#define OPTIONS                                                                                \
	"-c search_path=pg_catalog,pg_temp -c role=none -c statement_timeout=0 -c lock_timeout=0 " \
	"-c default_transaction_isolation=read\\ committed -c default_transaction_deferrable=off"

/* Add `word` to a conninfo in quotes. */
static bool
rejoin_add_quoted(char *out, size_t size, const char *name, const char *word, size_t length)
{
	size_t used = strlen(out);
	int put = snprintf(out + used, size - used, "%s%s='", used == 0 ? "" : " ", name);

	if (put < 0 || (size_t) put >= size - used)
		return false;
	used += (size_t) put;
	for (size_t i = 0; i < length; i++)
	{
		if (used + 4 > size)
			return false;
		if (word[i] == '\'' || word[i] == '\\')
			out[used++] = '\\';
		out[used++] = word[i];
	}
	out[used++] = '\'';
	out[used] = '\0';
	return true;
}

FhaCode
rejoin_check_passfile(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	struct stat status;
	FhaCode code = fha_state_path(config, "pgpass", path, sizeof(path), err);

	if (code != FHA_OK)
		return code;
	if (stat(path, &status) != 0)
	{
		if (errno != ENOENT)
			return fha_error_errno(err, FHA_IO, "could not look at \"%.120s\"", path);
		return fha_error(err, FHA_NOT_FOUND,
						 "there is no \"%.110s\": copy the file pgpass from the state directory of "
						 "the cluster's first member (mode 0600)",
						 path);
	}
	if (!S_ISREG(status.st_mode))
		return fha_error(err, FHA_INVALID, "\"%.120s\" is not a regular file", path);
	if (access(path, R_OK) != 0)
		return fha_error_errno(err, FHA_IO,
							   "could not read \"%.100s\" (mode %04o, owner %u; this is user "
							   "%u: chown or chmod 600 it)",
							   path, (unsigned) status.st_mode & 07777, (unsigned) status.st_uid,
							   (unsigned) geteuid());
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return fha_error(err, FHA_INVALID,
						 "libpq ignores \"%.90s\", because others may use it: chmod 600 %.90s",
						 path, path);
	return FHA_OK;
}

FhaCode
rejoin_conninfo(const RejoinPlan *plan, const char *database, char *out, size_t size, FhaError *err)
{
	const char *address = plan->leader_address;
	const char *colon = strrchr(address, ':');
	const char *terms = fha_conninfo_terms(plan->config->tls, FHA_POSTGRES);
	char passfile[FHA_PATH_SIZE];
	size_t host;
	FhaCode code = fha_state_path(plan->config, "pgpass", passfile, sizeof(passfile), err);

	if (code == FHA_OK)
		code = rejoin_check_passfile(plan->config, err);
	if (code != FHA_OK)
		return code;
	if (colon == NULL || colon == address)
		return fha_error(err, FHA_INVALID, "the leader's address \"%.80s\" is not host:port",
						 address);
	host = (size_t) (colon - address);
	if (address[0] == '[' && host > 2 && address[host - 1] == ']')
	{
		address++;
		host -= 2;
	}
	out[0] = '\0';
	if (!rejoin_add_quoted(out, size, "host", address, host) ||
		!rejoin_add_quoted(out, size, "port", colon + 1, strlen(colon + 1)) ||
		!rejoin_add_quoted(out, size, "user", REJOIN_ROLE, strlen(REJOIN_ROLE)) ||
		!rejoin_add_quoted(out, size, "dbname", database, strlen(database)) ||
		!rejoin_add_quoted(out, size, "passfile", passfile, strlen(passfile)) ||
		!rejoin_add_quoted(out, size, "application_name", "fawkes_ha_clone",
						   strlen("fawkes_ha_clone")) ||
		!rejoin_add_quoted(out, size, "options", OPTIONS, strlen(OPTIONS)) ||
		!rejoin_add_quoted(out, size, "connect_timeout", "10", 2) ||
		!rejoin_add_quoted(out, size, "keepalives_idle", "10", 2) ||
		!rejoin_add_quoted(out, size, "keepalives_interval", "5", 1) ||
		!rejoin_add_quoted(out, size, "keepalives_count", "3", 1) ||
		!rejoin_add_quoted(out, size, "tcp_user_timeout", "30000", 5) ||
		strlen(out) + strlen(terms) + 2 > size)
		return fha_error(err, FHA_INVALID, "the connection string would be too long");
	(void) strcat(strcat(out, " "), terms);
	return FHA_OK;
}

FhaCode
rejoin_sibling(const FhaConfig *config, const char *suffix, char *out, size_t size, FhaError *err)
{
	char resolved[PATH_MAX];
	const char *base = config->data_directory;
	size_t length;

	/* A link to another volume: the sibling must lie on that volume. */
	if (realpath(base, resolved) != NULL)
		base = resolved;
	length = strlen(base);
	while (length > 1 && base[length - 1] == '/')
		length--;
	if ((size_t) snprintf(out, size, "%.*s%s", (int) length, base, suffix) >= size)
		return fha_error(err, FHA_INVALID, "the data directory's path is too long");
	return FHA_OK;
}

FhaCode
rejoin_mark_damaged(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = fha_state_path(config, "damaged", path, sizeof(path), err);

	/* From here on the directory is between two states: a stop of the node waits for the end. */
	(void) signal(SIGTERM, SIG_IGN);
	return code == FHA_OK ? fha_file_replace(path, "", 0, err) : code;
}

FhaCode
rejoin_mark_usable(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = fha_state_path(config, "damaged", path, sizeof(path), err);

	return code == FHA_OK ? fha_file_remove(path, err) : code;
}

int
rejoin_is_damaged(const FhaConfig *config)
{
	char path[FHA_PATH_SIZE];

	return fha_state_path(config, "damaged", path, sizeof(path), NULL) == FHA_OK &&
		   files_exists(path);
}

/*
 * S4b: votes belong to data.  Saved before the new data can be used: an
 * incarnation that nobody has counted yet does no harm to the old data.
 */
FhaCode
rejoin_new_incarnation(const RejoinPlan *plan, FhaError *err)
{
	FhaState state;
	FhaCode code = fha_state_load(plan->config, &state, err);

	if (code == FHA_NOT_FOUND)
	{
		memset(&state, 0, sizeof(state));
		(void) snprintf(state.member, sizeof(state.member), "%s", plan->config->member_name);
		(void) snprintf(state.cluster, sizeof(state.cluster), "%s", plan->config->cluster_name);
	}
	else if (code != FHA_OK)
		return code;
	if (plan->cluster_uuid[0] != '\0')
		memcpy(state.cluster_uuid, plan->cluster_uuid, sizeof(state.cluster_uuid));
	memcpy(state.cloned_for, plan->cloned_for, sizeof(state.cloned_for));
	code = fha_random_hex(state.data_incarnation, sizeof(state.data_incarnation), err);
	return code == FHA_OK ? fha_state_save(plan->config, &state, err) : code;
}

static const char *
locale_argument(void)
{
	locale_t locale = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t) 0);

	if (locale == (locale_t) 0)
		return "--locale=C";
	freelocale(locale);
	return "--locale=C.UTF-8";
}

static FhaCode
rejoin_by_initdb(const RejoinPlan *plan, FhaError *err)
{
	const FhaConfig *config = plan->config;
	char program[FHA_PATH_SIZE + 32];
	char fresh[FHA_PATH_SIZE];
	char place[FHA_PATH_SIZE];
	RejoinWords words = {.quiet = false};
	const char *argv[] = {program,
						  "-D",
						  fresh,
						  "-U",
						  "postgres",
						  "--auth-local=peer",
						  "--auth-host=scram-sha-256",
						  "--data-checksums",
						  "--encoding=UTF8",
						  locale_argument(),
						  NULL};
	FhaCode code;

	if (!files_is_empty(config->data_directory))
		return fha_error(err, FHA_INVALID,
						 "the data directory \"%.110s\" is not empty: nothing is ever overwritten",
						 config->data_directory);
	(void) snprintf(program, sizeof(program), "%s/initdb", plan->bindir);
	code = rejoin_check_place(config, err);
	if (code == FHA_OK)
		code = rejoin_sibling(config, ".clone", fresh, sizeof(fresh), err);
	if (code == FHA_OK)
		code = files_remove_tree(fresh, err);
	if (code == FHA_OK)
		code = rejoin_make_password(config, err);
	if (code == FHA_OK)
		code = rejoin_run(argv, &words, err);
	if (code == FHA_OK)
		code = rejoin_access_rules(fresh, config->tls, err);
	if (code == FHA_OK)
		code = rejoin_new_incarnation(plan, err);
	/* An empty directory gives way to a rename; a whole cluster appears at once, or none. */
	if (code == FHA_OK)
		code = rejoin_sibling(config, "", place, sizeof(place), err);
	if (code == FHA_OK)
		code = files_rename(fresh, place, err);
	return code == FHA_OK ? rejoin_mark_usable(config, err) : code;
}

int
rejoin_initdb(void *plan)
{
	const RejoinPlan *of = plan;
	FhaError err;

	rejoin_say("initdb_begins", "making a new cluster in \"%s\"", of->config->data_directory);
	if (rejoin_by_initdb(of, &err) != FHA_OK)
		return rejoin_fail("initdb_failed", "could not make a new cluster", &err);
	rejoin_say("initdb_done", "made a new cluster");
	return 0;
}

/* The old data goes aside, the new takes its place; `damaged` covers the moment between. */
static FhaCode
rejoin_swap(const RejoinPlan *plan, const char *fresh, FhaError *err)
{
	const FhaConfig *config = plan->config;
	char current[FHA_PATH_SIZE];
	char old[FHA_PATH_SIZE];
	FhaCode code = rejoin_sibling(config, "", current, sizeof(current), err);

	if (code == FHA_OK)
		code = rejoin_sibling(config, ".old", old, sizeof(old), err);
	if (code == FHA_OK)
		code = rejoin_mark_damaged(config, err);
	if (code == FHA_OK)
		code = rejoin_new_incarnation(plan, err);
	if (code == FHA_OK && !files_is_empty(current))
	{
		/* Only now: until there is something to keep, what was kept before stays. */
		code = files_remove_tree(old, err);
		if (code == FHA_OK)
			code = files_rename(current, old, err);
	}
	if (code == FHA_OK)
		code = files_rename(fresh, current, err);
	return code == FHA_OK ? rejoin_mark_usable(config, err) : code;
}

/*
 * pg_basebackup marks the WAL that it fetched as archived.  The leader may not have come to that yet, and this member
 * is the next leader perhaps: so it keeps what it has until the leader has told that it is in the archive.
 */
static FhaCode
rejoin_hold_wal(const FhaConfig *config, const char *fresh, FhaError *err)
{
	char directory[FHA_PATH_SIZE + 32];
	FhaCode code = FHA_OK;
	const struct dirent *entry;
	DIR *listed;

	if (config->backup_store[0] == '\0')
		return FHA_OK;
	(void) snprintf(directory, sizeof(directory), "%s/pg_wal/archive_status", fresh);
	listed = opendir(directory);
	if (listed == NULL)
		return fha_error_errno(err, FHA_IO, "could not open \"%.120s\"", directory);
	while (code == FHA_OK && (entry = readdir(listed)) != NULL)
	{
		char done[FHA_PATH_SIZE + 320];
		char ready[FHA_PATH_SIZE + 320];
		size_t length = strlen(entry->d_name);

		if (length < 5 || strcmp(entry->d_name + length - 5, ".done") != 0)
			continue;
		(void) snprintf(done, sizeof(done), "%s/%s", directory, entry->d_name);
		(void) snprintf(ready, sizeof(ready), "%s/%.*s.ready", directory, (int) length - 5,
						entry->d_name);
		code = files_rename(done, ready, err);
	}
	(void) closedir(listed);
	return code;
}

static FhaCode
rejoin_by_clone(const RejoinPlan *plan, FhaError *err)
{
	const FhaConfig *config = plan->config;
	char program[FHA_PATH_SIZE + 32];
	char fresh[FHA_PATH_SIZE];
	char conninfo[REJOIN_CONNINFO_SIZE];
	RejoinWords words = {.quiet = false};
	bool had_data = !files_is_empty(config->data_directory) || rejoin_is_damaged(config);
	/* -w: nobody is there to type a password, and a question would wait for ever. */
	const char *argv[] = {program, "-w",     "-D", fresh, "-X", "stream", "--checkpoint=fast",
						  "-d",    conninfo, NULL};
	FhaCode code = rejoin_conninfo(plan, "replication", conninfo, sizeof(conninfo), err);

	(void) snprintf(program, sizeof(program), "%s/pg_basebackup", plan->bindir);
	if (code == FHA_OK)
		code = rejoin_check_place(config, err);
	if (code == FHA_OK && plan->apart.timeline != 0 && !rejoin_is_damaged(config))
		code = rejoin_save_wal(plan, err);
	if (code == FHA_OK)
		code = rejoin_sibling(config, ".clone", fresh, sizeof(fresh), err);
	if (code == FHA_OK)
		code = files_remove_tree(fresh, err);
	if (code == FHA_OK && had_data)
		code = rejoin_keep_own(config, err);
	if (code == FHA_OK)
		code = rejoin_run(argv, &words, err);
	if (code == FHA_OK && had_data)
		code = rejoin_restore_own(config, fresh, err);
	if (code == FHA_OK)
		code = rejoin_map_user(fresh, err);
	if (code == FHA_OK)
		code = rejoin_hold_wal(config, fresh, err);
	if (code == FHA_OK)
		code = files_sync_directory(fresh, err);
	if (code == FHA_OK)
		code = rejoin_swap(plan, fresh, err);
	if (code == FHA_OK)
	{
		rejoin_forget_own(config);
		rejoin_forget_refusals(config);
	}
	return code;
}

int
rejoin_clone(void *plan)
{
	const RejoinPlan *of = plan;
	int64_t began_at_ms = fha_now_ms();
	FhaError err;

	rejoin_say("clone_begins", "cloning from %s", of->leader_address);
	if (rejoin_by_clone(of, &err) != FHA_OK)
		return rejoin_fail("clone_failed", "could not clone", &err);
	rejoin_say("clone_done", "cloned in %" PRId64 " ms", fha_now_ms() - began_at_ms);
	return 0;
}

static int
remove_old(void *path)
{
	FhaError err;

	if (files_remove_tree(path, &err) == FHA_OK)
		return 0;
	return rejoin_fail("old_data_not_removed", "could not remove the old data directory", &err);
}

void
rejoin_forget_old(const FhaConfig *config)
{
	static char old[FHA_PATH_SIZE];
	FhaError err;

	if (rejoin_sibling(config, ".old", old, sizeof(old), &err) != FHA_OK || !files_exists(old))
		return;
	rejoin_say("old_data_removed", "removing the old data directory \"%s\"", old);
	if (process_job(remove_old, old, -1, &err) < 0)
		rejoin_say("old_data_not_removed", "%s", err.text);
}
