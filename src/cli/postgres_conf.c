/*
 * postgres_conf.c: the configuration file that PostgreSQL is started with.
 *
 * Defaults, the user's files, then what we decide: PostgreSQL takes the last.
 * It lies in the state directory, because a file in the data directory would be
 * cloned with the leader's paths in it.
 */
#include "cli/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "config/settings.h"
#include "config/state_directory.h"
#include "node/state.h"

/* postgresql.auto.conf has some lines; somebody who has a megabyte needs other help. */
#define AUTO_FILE_MAX (1024 * 1024)

/* Defaults that the user may override: replication and pg_rewind work, a standby notices soon. */
static const char defaults[] = "wal_level = replica\n"
							   "hot_standby = on\n"
							   "max_wal_senders = 16\n"
							   "max_replication_slots = 16\n"
							   "max_worker_processes = 16\n"
							   "wal_log_hints = on\n"
							   "wal_keep_size = '512MB'\n"
							   "max_slot_wal_keep_size = '4GB'\n"
							   "wal_retrieve_retry_interval = '500ms'\n"
							   "wal_receiver_timeout = '10s'\n"
							   "wal_receiver_status_interval = '1s'\n"
							   "wal_sender_timeout = '10s'\n"
							   "password_encryption = 'scram-sha-256'\n";

/* 16 keeps them for who has pg_use_reserved_connections, as members that rewind do. */
#define RESERVED "reserved_connections = 2\n"

/* Where Debian's PostgreSQL puts its socket; not every user may. */
#define USUAL_SOCKETS "/var/run/postgresql"

/* Whom to follow is ours to say: what stands elsewhere is blanked before follow.conf. */
static const char managed[] = "primary_conninfo = ''\n"
							  "primary_slot_name = ''\n"
							  "recovery_target = ''\n"
							  "recovery_target_lsn = ''\n"
							  "recovery_target_name = ''\n"
							  "recovery_target_time = ''\n"
							  "recovery_target_xid = ''\n"
							  "recovery_target_timeline = 'latest'\n";

/* A path for PostgreSQL's quotes: ' and \ are doubled. */
static FhaCode
path_quote(const char *path, char *out, size_t size, FhaError *err)
{
	size_t used = 0;

	for (; *path != '\0'; path++)
	{
		if (used + 3 > size)
			return fha_error(err, FHA_INVALID, "the path is too long");
		if (*path == '\n')
			return fha_error(err, FHA_INVALID, "a path with a line break cannot be used");
		if (*path == '\'' || *path == '\\')
			out[used++] = *path;
		out[used++] = *path;
	}
	out[used] = '\0';
	return FHA_OK;
}

static bool
has_trait(const char *line, unsigned traits)
{
	size_t length;

	line += strspn(line, " \t");
	length = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
	return (fha_setting_traits(line, length) & traits) != 0;
}

static bool
is_command(const char *line)
{
	return has_trait(line, FHA_MOVED);
}

/* The lines for which wanted() is `is`, in a copy: free it.  NULL: no memory. */
static char *
pick_lines(const char *content, bool (*wanted)(const char *line), bool is)
{
	char *picked = malloc(strlen(content) + 2);
	size_t used = 0;

	while (picked != NULL && *content != '\0')
	{
		size_t length = strcspn(content, "\n");

		length += content[length] == '\n';
		if (wanted(content) == is)
		{
			memcpy(picked + used, content, length);
			used += length;
		}
		content += length;
	}
	if (picked != NULL)
		picked[used] = '\0';
	return picked;
}

static bool
is_ours(const char *line)
{
	return has_trait(line, FHA_STRIPPED | FHA_MOVED);
}

/* Where the commands of recovery stand that were in postgresql.auto.conf; the newest are all there are. */
static FhaCode
move_commands(const FhaConfig *config, const char *found, FhaError *err)
{
	static const char head[] = "# These stood in postgresql.auto.conf, where nothing can switch "
							   "them off for a promotion.\n"
							   "# Yours to change; what fawkes_ha.conf says comes over it.\n";
	char path[FHA_PATH_SIZE];
	char *text;
	size_t size;
	FhaCode code = fha_state_path(config, "commands.conf", path, sizeof(path), err);

	if (code != FHA_OK || found[0] == '\0')
		return code;
	size = sizeof(head) + strlen(found);
	text = malloc(size);
	if (text == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	(void) snprintf(text, size, "%s%s", head, found);
	code = fha_file_replace(path, text, strlen(text), err);
	free(text);
	return code;
}

/* ALTER SYSTEM beats every file of ours, so what it says about managed names has to go. */
static FhaCode
strip_auto_file(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE + 32];
	char *content;
	char *kept;
	char *found;
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/postgresql.auto.conf", config->data_directory);
	code = fha_file_read(path, AUTO_FILE_MAX, &content, err);
	if (code == FHA_NOT_FOUND)
		return FHA_OK;
	if (code != FHA_OK)
		return code;
	kept = pick_lines(content, is_ours, false);
	found = pick_lines(content, is_command, true);
	if (kept == NULL || found == NULL)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory");
	else
	{
		/* First there, then not here: a crash between the two loses nothing. */
		code = move_commands(config, found, err);
		if (code == FHA_OK && strlen(kept) != strlen(content))
			code = fha_file_replace(path, kept, strlen(kept), err);
	}
	free(found);
	free(kept);
	free(content);
	return code;
}

static int
major_version(const FhaConfig *config)
{
	char path[FHA_PATH_SIZE + 32];
	char *content;
	int version = 0;

	(void) snprintf(path, sizeof(path), "%s/PG_VERSION", config->data_directory);
	if (fha_file_read(path, 64, &content, NULL) == FHA_OK)
	{
		version = (int) strtol(content, NULL, 10);
		free(content);
	}
	return version;
}

/* An empty one is no news to PostgreSQL's log, a missing one is, at every reload. */
static FhaCode
make_follow_file(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = fha_state_path(config, "follow.conf", path, sizeof(path), err);

	return code != FHA_OK || files_exists(path) ? code : fha_file_replace(path, "", 0, err);
}

FhaCode
postgres_configure(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char data[2 * FHA_PATH_SIZE];
	char state[2 * FHA_PATH_SIZE];
	char content[12 * FHA_PATH_SIZE];
	char tls[5 * FHA_PATH_SIZE] = "";
	char moved[2 * FHA_PATH_SIZE + 64] = "";
	int length;
	FhaCode code = fha_state_directory(config, path, sizeof(path), err);

	if (code == FHA_OK)
		code = path_quote(path, state, sizeof(state), err);
	if (code == FHA_OK)
		code = path_quote(config->data_directory, data, sizeof(data), err);
	if (code == FHA_OK)
		code = fha_state_path(config, "postgresql.conf", path, sizeof(path), err);
	if (code == FHA_OK)
		code = strip_auto_file(config, err);
	if (code == FHA_OK)
		code = make_follow_file(config, err);
	if (code == FHA_OK)
		code = fha_state_path(config, "commands.conf", moved, sizeof(moved), err);
	if (code != FHA_OK)
		return code;
	if (!files_exists(moved))
		moved[0] = '\0';
	else
		(void) snprintf(moved, sizeof(moved), "include '%s/commands.conf'\n", state);
	if (config->tls)
		(void) snprintf(tls, sizeof(tls),
						"ssl = on\n"
						"ssl_cert_file = '%s/server.crt'\n"
						"ssl_key_file = '%s/server.key'\n",
						state, state);
	length = snprintf(content, sizeof(content),
					  "# Made by fawkes-ha at each start: changes here are lost.\n"
					  "%s%s%s"
					  "include_if_exists '%s/postgresql.conf'\n"
					  "%s"
					  "include_if_exists '%s/fawkes_ha.conf'\n"
					  "include_if_exists '%s/cluster.conf'\n"
					  "%s%s%s"
					  "include_if_exists '%s/follow.conf'\n",
					  defaults, major_version(config) >= 16 ? RESERVED : "",
					  access(USUAL_SOCKETS, W_OK) == 0 ? "" : "unix_socket_directories = '/tmp'\n",
					  data, moved, state, state, managed, tls,
					  /* Gone in 16, where naming it is an error. */
					  major_version(config) == 15 ? "promote_trigger_file = ''\n" : "", state);
	if ((size_t) length >= sizeof(content))
		return fha_error(err, FHA_INVALID, "the paths of this node are too long");
	return fha_file_replace(path, content, (size_t) length, err);
}
