/*
 * postgres_conf.c: the configuration file that PostgreSQL is started with.
 *
 * Defaults, the user's files, then what we decide: PostgreSQL takes the last.
 * It lies in the state directory, because a file in the data directory would be
 * cloned with the leader's paths in it.
 */
#include "postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "files.h"
#include "state.h"

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
quote(const char *path, char *out, size_t size, FhaError *err)
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
is_managed(const char *line)
{
	static const char *const names[] = {"primary_conninfo", "primary_slot_name",
										"promote_trigger_file", "recovery_target"};
	size_t length;

	line += strspn(line, " \t");
	length = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (length == strlen(names[i]) && strncasecmp(line, names[i], length) == 0)
			return true;
	return strncasecmp(line, "recovery_target_", strlen("recovery_target_")) == 0;
}

/* ALTER SYSTEM beats every file of ours, so what it says about managed names has to go. */
static FhaCode
strip_auto_file(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_MAX + 32];
	char *content;
	const char *line;
	char *kept;
	size_t used = 0;
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/postgresql.auto.conf", config->data_directory);
	code = fha_file_read(path, AUTO_FILE_MAX, &content, err);
	if (code == FHA_NOT_FOUND)
		return FHA_OK;
	if (code != FHA_OK)
		return code;
	kept = malloc(strlen(content) + 1);
	if (kept == NULL)
	{
		free(content);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	for (line = content; *line != '\0';)
	{
		size_t length = strcspn(line, "\n");

		length += line[length] == '\n';
		if (!is_managed(line))
		{
			memcpy(kept + used, line, length);
			used += length;
		}
		line += length;
	}
	if (used != strlen(content))
		code = fha_file_replace(path, kept, used, err);
	free(kept);
	free(content);
	return code;
}

static int
major_version(const FhaConfig *config)
{
	char path[FHA_PATH_MAX + 32];
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
	char path[FHA_PATH_MAX];
	FhaCode code = fha_state_path(config, "follow.conf", path, sizeof(path), err);

	return code != FHA_OK || files_exists(path) ? code : fha_file_replace(path, "", 0, err);
}

FhaCode
postgres_configure(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_MAX];
	char data[2 * FHA_PATH_MAX];
	char state[2 * FHA_PATH_MAX];
	char content[12 * FHA_PATH_MAX];
	char tls[5 * FHA_PATH_MAX] = "";
	int length;
	FhaCode code = fha_state_directory(config, path, sizeof(path), err);

	if (code == FHA_OK)
		code = quote(path, state, sizeof(state), err);
	if (code == FHA_OK)
		code = quote(config->data_directory, data, sizeof(data), err);
	if (code == FHA_OK)
		code = fha_state_path(config, "postgresql.conf", path, sizeof(path), err);
	if (code == FHA_OK)
		code = strip_auto_file(config, err);
	if (code == FHA_OK)
		code = make_follow_file(config, err);
	if (code != FHA_OK)
		return code;
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
					  "include_if_exists '%s/fawkes_ha.conf'\n"
					  "include_if_exists '%s/cluster.conf'\n"
					  "%s%s%s"
					  "include_if_exists '%s/follow.conf'\n",
					  defaults, major_version(config) >= 16 ? RESERVED : "",
					  access(USUAL_SOCKETS, W_OK) == 0 ? "" : "unix_socket_directories = '/tmp'\n",
					  data, state, state, managed, tls,
					  /* Gone in 16, where naming it is an error. */
					  major_version(config) == 15 ? "promote_trigger_file = ''\n" : "", state);
	if ((size_t) length >= sizeof(content))
		return fha_error(err, FHA_INVALID, "the paths of this node are too long");
	return fha_file_replace(path, content, (size_t) length, err);
}
