/*
 * rejoin_own.c: the files of a data directory that belong to the node, not to the
 * cluster: its configuration and who may log in.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/files.h"
#include "cli/rejoin_internal.h"
#include "config/state_directory.h"
#include "node/state.h"

#define OWN_PASSWORD_SIZE 49 /* 48 hex digits */
#define CONFIG_COPY_MAX (1024 * 1024)

/*
 * The node's own files.  They are copied aside before the first thing is changed
 * and taken from there until it has succeeded, however many tries that takes: a
 * half-done rewind has the leader's files in the data directory.
 */
static const char *const own_files[] = {"postgresql.conf", "pg_hba.conf", "pg_ident.conf",
										"postgresql.auto.conf"};

#define OWN_COUNT (sizeof(own_files) / sizeof(own_files[0]))

FhaCode
rejoin_keep_own(const FhaConfig *config, FhaError *err)
{
	char kept[FHA_PATH_SIZE];
	char from[2 * FHA_PATH_SIZE];
	char to[2 * FHA_PATH_SIZE];
	FhaCode code = fha_state_path(config, "kept", kept, sizeof(kept), err);

	if (code != FHA_OK || rejoin_is_damaged(config))
		return code;
	code = files_remove_tree(kept, err);
	if (code == FHA_OK)
		code = files_make_directory(kept, err);
	for (size_t i = 0; code == FHA_OK && i < OWN_COUNT; i++)
	{
		(void) snprintf(from, sizeof(from), "%s/%s", config->data_directory, own_files[i]);
		(void) snprintf(to, sizeof(to), "%s/%s", kept, own_files[i]);
		code = files_copy(from, to, err);
		if (code == FHA_NOT_FOUND)
			code = FHA_OK;
	}
	return code == FHA_OK ? files_sync_directory(kept, err) : code;
}

FhaCode
rejoin_restore_own(const FhaConfig *config, const char *data, FhaError *err)
{
	char kept[FHA_PATH_SIZE];
	char from[2 * FHA_PATH_SIZE];
	char to[2 * FHA_PATH_SIZE];
	FhaCode code = fha_state_path(config, "kept", kept, sizeof(kept), err);

	for (size_t i = 0; code == FHA_OK && i < OWN_COUNT; i++)
	{
		char *content;

		(void) snprintf(from, sizeof(from), "%s/%s", kept, own_files[i]);
		(void) snprintf(to, sizeof(to), "%s/%s", data, own_files[i]);
		code = fha_file_read(from, CONFIG_COPY_MAX, &content, err);
		if (code == FHA_NOT_FOUND)
		{
			code = FHA_OK;
			continue;
		}
		if (code == FHA_OK)
		{
			code = fha_file_replace(to, content, strlen(content), err);
			free(content);
		}
	}
	return code;
}

void
rejoin_forget_own(const FhaConfig *config)
{
	char kept[FHA_PATH_SIZE];
	FhaError err;

	if (fha_state_path(config, "kept", kept, sizeof(kept), &err) != FHA_OK ||
		files_remove_tree(kept, &err) != FHA_OK)
		rejoin_say("kept_files_not_removed", "%s", err.text);
}

FhaCode
rejoin_map_user(const char *data, FhaError *err)
{
	const struct passwd *user = getpwuid(geteuid());
	char path[FHA_PATH_SIZE + 32];
	char line[320];
	char *old = NULL;
	char *content;
	FhaCode code;

	if (user == NULL)
		return fha_error(err, FHA_INVALID, "user %u has no name: add one to /etc/passwd",
						 (unsigned) geteuid());
	(void) snprintf(line, sizeof(line), "fawkes_ha  \"%.128s\"  postgres\n", user->pw_name);
	(void) snprintf(path, sizeof(path), "%s/pg_ident.conf", data);
	code = fha_file_read(path, CONFIG_COPY_MAX, &old, err);
	if (code == FHA_OK && strstr(old, line) != NULL)
	{
		free(old);
		return FHA_OK;
	}
	if (code != FHA_OK && code != FHA_NOT_FOUND)
		return code;
	content = malloc((old == NULL ? 0 : strlen(old)) + strlen(line) + 2);
	if (content == NULL)
	{
		free(old);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	(void) sprintf(content, "%s\n%s", old == NULL ? "" : old, line);
	code = fha_file_replace(path, content, strlen(content), err);
	free(content);
	free(old);
	return code;
}

FhaCode
rejoin_access_rules(const char *data, bool tls, FhaError *err)
{
	/* A connection that no line matches is refused. */
	const char *host = tls ? "hostssl" : "host   ";
	char rules[1024];
	int length =
		snprintf(rules, sizeof(rules),
				 "# Made by fawkes-ha at bootstrap; yours from now on.\n"
				 "# The superuser logs in by peer only, as the user that runs PostgreSQL.\n"
				 "local   all         postgres                     peer map=fawkes_ha\n"
				 "local   all         all                          scram-sha-256\n"
				 "%s replication " REJOIN_ROLE " all       scram-sha-256\n"
				 "%s all         all                all       scram-sha-256\n",
				 host, host);
	char path[FHA_PATH_SIZE + 32];
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/pg_hba.conf", data);
	code = fha_file_replace(path, rules, (size_t) length, err);
	return code == FHA_OK ? rejoin_map_user(data, err) : code;
}

FhaCode
rejoin_make_password(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char password[OWN_PASSWORD_SIZE];
	char line[OWN_PASSWORD_SIZE + 63];
	FhaCode code = fha_state_path(config, "pgpass", path, sizeof(path), err);

	if (code != FHA_OK || files_exists(path))
		return code;
	code = fha_random_hex(password, sizeof(password), err);
	if (code != FHA_OK)
		return code;
	(void) snprintf(line, sizeof(line), "*:*:*:" REJOIN_ROLE ":%s\n", password);
	return fha_file_replace(path, line, strlen(line), err);
}
