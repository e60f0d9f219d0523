/*
 * follow.c: the files by which PostgreSQL is made to follow, or to choose a timeline.
 */
#include "follow.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "file.h"
#include "lsn.h"
#include "state_directory.h"

/* Far beyond any position: a placeholder's timeline never comes before what a node has. */
#define PLACEHOLDER "%u\tFFFFFFFF/FF000000\tfawkes_ha: reserved, never promoted\n"
#define CONNINFO_MAX 2048
/* More terms than any node misses; each costs a small file. */
#define RESERVED_MAX 10000

void
fha_slot_name(const char *member, char *out, size_t size)
{
	(void) snprintf(out, size, "fawkes_ha_%s", member);
	for (char *c = out; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
}

/* Append text with each of `special` doubled or escaped; false when it does not fit. */
static bool
append_quoted(char *out, size_t size, size_t *used, const char *text, const char *special,
			  char escape)
{
	for (; *text != '\0'; text++)
	{
		if (*used + 3 > size)
			return false;
		if (strchr(special, *text) != NULL)
			out[(*used)++] = escape == '\0' ? *text : escape;
		out[(*used)++] = *text;
	}
	out[*used] = '\0';
	return true;
}

static FhaCode
not_an_address(const char *address, FhaError *err)
{
	(void) fha_error(err, FHA_INVALID, "\"%s\" is not host:port", address);
	return FHA_INVALID;
}

static FhaCode
split_address(const char *address, char *host, size_t host_size, char *port, size_t port_size,
			  FhaError *err)
{
	const char *colon = strrchr(address, ':');
	const char *start = address;
	size_t length;

	if (colon == NULL || colon == address || colon[1] == '\0')
		return not_an_address(address, err);
	length = (size_t) (colon - address);
	if (start[0] == '[' && start[length - 1] == ']')
	{
		start++;
		length -= 2;
	}
	if (length == 0 || length >= host_size || strlen(colon + 1) >= port_size ||
		strspn(colon + 1, "0123456789") != strlen(colon + 1))
		return not_an_address(address, err);
	/* A line break would end the line in follow.conf, and with it the server's configuration. */
	for (size_t i = 0; i < length; i++)
		if ((unsigned char) start[i] < ' ' || start[i] == '[')
			return not_an_address(address, err);
	memcpy(host, start, length);
	host[length] = '\0';
	(void) snprintf(port, port_size, "%s", colon + 1);
	return FHA_OK;
}

/*
 * Whoever has a leader's address answers there: after a forged record, or on the port of a server
 * that is down.  So the other side has to prove by SCRAM that it has a verifier of the password, and
 * is not told the password because it asks.  libpq can insist on that with TLS alone before 16.  With
 * TLS no authority vouches for a certificate: who cannot bind the channel to the password has no
 * verifier of it, so that nobody can stand between.  Certificates in a home directory and tickets of
 * Kerberos are somebody else's: no file can have the name that is given for them.
 */
#define NOTHING_OF_HOME \
	" gssencmode=disable sslcert=/dev/null/none sslkey=/dev/null/none sslrootcert=/dev/null/none"

const char *
fha_conninfo_terms(bool tls, int postgres)
{
	if (tls)
		return "sslmode=require channel_binding=require" NOTHING_OF_HOME;
	if (postgres >= 16)
		return "sslmode=prefer require_auth=scram-sha-256" NOTHING_OF_HOME;
	return "sslmode=prefer" NOTHING_OF_HOME;
}

FhaCode
fha_conninfo(const FhaConfig *config, const char *address, const char *application_name, char *out,
			 size_t size, FhaError *err)
{
	char host[FHA_ADDRESS_MAX + 1];
	char port[8];
	char passfile[FHA_PATH_MAX];
	size_t used;
	FhaCode code = split_address(address, host, sizeof(host), port, sizeof(port), err);

	if (code == FHA_OK)
		code = fha_state_path(config, "pgpass", passfile, sizeof(passfile), err);
	if (code != FHA_OK)
		return code;
	/* A standby that cannot reach its leader must notice it within seconds, not hours. */
	used = (size_t) snprintf(out, size,
							 "port=%s user=" FHA_REPLICATION_USER " application_name=%s "
							 "connect_timeout=3 keepalives_idle=5 keepalives_interval=2 "
							 "keepalives_count=3 %s host='",
							 port, application_name, fha_conninfo_terms(config->tls, FHA_POSTGRES));
	if (used < size && append_quoted(out, size, &used, host, "'\\", '\\') &&
		append_quoted(out, size, &used, "' passfile='", "", '\0') &&
		append_quoted(out, size, &used, passfile, "'\\", '\\') &&
		append_quoted(out, size, &used, "'", "", '\0'))
		return FHA_OK;
	return fha_error(err, FHA_INVALID, "the connection string to %s is too long", address);
}

FhaCode
fha_follow_write(const FhaConfig *config, const FhaState *state, const char *leader_address,
				 bool *changed, FhaError *err)
{
	char application[FHA_NAME_MAX + FHA_INCARNATION_SIZE + 2];
	char slot[FHA_SLOT_NAME_SIZE];
	char conninfo[CONNINFO_MAX];
	char text[2 * CONNINFO_MAX];
	char path[FHA_PATH_MAX];
	char *before = NULL;
	size_t used;
	FhaCode code;

	*changed = false;
	(void) snprintf(application, sizeof(application), "%s_%s", config->member_name,
					state->data_incarnation);
	fha_slot_name(config->member_name, slot, sizeof(slot));
	code = fha_conninfo(config, leader_address, application, conninfo, sizeof(conninfo), err);
	if (code == FHA_OK)
		code = fha_state_path(config, "follow.conf", path, sizeof(path), err);
	if (code != FHA_OK)
		return code;
	used = (size_t) snprintf(text, sizeof(text),
							 "# Written by fawkes_ha whenever the leader changes.\n"
							 "recovery_target_timeline = 'latest'\n"
							 "primary_slot_name = '%s'\nprimary_conninfo = '",
							 slot);
	if (!append_quoted(text, sizeof(text), &used, conninfo, "'\\", '\0') ||
		!append_quoted(text, sizeof(text), &used, "'\n", "", '\0'))
		/* LCOV_EXCL_START: the text has room for the longest */
		return fha_error(err, FHA_INVALID, "the connection string to %s is too long",
						 leader_address);
	/* LCOV_EXCL_STOP */
	if (fha_file_read(path, sizeof(text), &before, NULL) == FHA_OK && strcmp(before, text) == 0)
	{
		free(before);
		return FHA_OK;
	}
	free(before);
	*changed = true;
	return fha_file_replace(path, text, strlen(text), err);
}

static const char commands_off[] = "restore_command = ''\narchive_cleanup_command = ''\n";
static const char end_command_off[] = "recovery_end_command = ''\n";

FhaCode
fha_follow_commands(const FhaConfig *config, FhaCommands wanted, bool *changed, FhaError *err)
{
	char path[FHA_PATH_MAX];
	char text[2 * CONNINFO_MAX + sizeof(commands_off) + sizeof(end_command_off)];
	char *content = NULL;
	const char *before;
	const char *off;
	size_t length;
	FhaCode code = fha_state_path(config, "follow.conf", path, sizeof(path), err);

	*changed = false;
	if (code == FHA_OK)
		code = fha_file_read(path, sizeof(text), &content, err);
	if (code != FHA_OK && code != FHA_NOT_FOUND)
		return code;
	before = content == NULL ? "" : content;
	code = FHA_OK;
	if (wanted == FHA_COMMANDS_OFF && strstr(before, end_command_off) != NULL)
		wanted = FHA_COMMANDS_ALL_OFF;
	/* Ours is the end of the file. */
	off = strstr(before, commands_off);
	length = off == NULL ? strlen(before) : (size_t) (off - before);
	if ((size_t) snprintf(text, sizeof(text), "%.*s%s%s", (int) length, before,
						  wanted == FHA_COMMANDS_KEPT ? "" : commands_off,
						  wanted == FHA_COMMANDS_ALL_OFF ? end_command_off : "") >= sizeof(text))
		/* LCOV_EXCL_START: fha_follow_write leaves room */
		code = fha_error(err, FHA_INVALID, "\"%.150s\" is too long", path);
	/* LCOV_EXCL_STOP */
	else if (strcmp(text, before) != 0)
	{
		*changed = true;
		code = fha_file_replace(path, text, strlen(text), err);
	}
	free(content);
	return code;
}

static void
history_path(const char *data_directory, uint32_t timeline, char *out, size_t size)
{
	char name[FHA_WAL_NAME_SIZE];

	fha_timeline_history_name(timeline, name);
	(void) snprintf(out, size, "%s/pg_wal/%s", data_directory, name);
}

FhaCode
fha_timeline_reserve(const char *data_directory, uint32_t current, uint32_t wanted, FhaError *err)
{
	char path[FHA_PATH_MAX + 40];
	char text[128];

	if (wanted > current && wanted - current > RESERVED_MAX)
		return fha_error(err, FHA_INVALID,
						 "timeline %u is too far from this node's %u: the lock's record is damaged",
						 wanted, current);
	for (uint32_t timeline = current; timeline + 1 < wanted;)
	{
		FhaCode code;

		timeline++;

		history_path(data_directory, timeline, path, sizeof(path));
		if (access(path, F_OK) == 0)
			continue;
		(void) snprintf(text, sizeof(text), PLACEHOLDER, current);
		code = fha_file_replace(path, text, strlen(text), err);
		if (code != FHA_OK)
			return code;
	}
	return FHA_OK;
}

FhaCode
fha_timeline_unreserve(const char *data_directory, uint32_t current, FhaError *err)
{
	char path[FHA_PATH_MAX + 40];
	DIR *directory;
	struct dirent *entry;
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/pg_wal", data_directory);
	directory = opendir(path);
	if (directory == NULL)
		return fha_error_errno(err, FHA_IO, "could not open %s", path);
	while ((entry = readdir(directory)) != NULL)
	{
		uint32_t timeline;

		if (!fha_timeline_history_parse(entry->d_name, &timeline))
			continue;
		history_path(data_directory, timeline, path, sizeof(path));
		if (timeline > current && unlink(path) != 0 && errno != ENOENT)
		{
			/* LCOV_EXCL_START: the kernel refuses */
			code = fha_error_errno(err, FHA_IO, "could not remove %s", path);
			(void) closedir(directory);
			return code;
			/* LCOV_EXCL_STOP */
		}
	}
	/* For good: the mark that says whose they were is removed next. */
	code = fsync(dirfd(directory)) == 0
			   ? FHA_OK
			   : fha_error_errno(err, FHA_IO, "could not flush %s/pg_wal", data_directory);
	(void) closedir(directory);
	return code;
}

FhaCode
fha_password_read(const FhaConfig *config, char *out, size_t size, FhaError *err)
{
	char path[FHA_PATH_MAX];
	char *text = NULL;
	size_t used = 0;
	int field = 0;
	FhaCode code = fha_state_path(config, "pgpass", path, sizeof(path), err);

	if (code == FHA_OK)
		code = fha_file_read(path, FHA_PGPASS_MAX, &text, err);
	if (code != FHA_OK)
		return code;
	for (const char *c = text; *c != '\0' && *c != '\n' && used < size; c++)
	{
		if (*c == '\\' && c[1] != '\0')
			c++;
		else if (*c == ':' && field < 4)
		{
			field++;
			continue;
		}
		if (field == 4)
			out[used++] = *c;
	}
	explicit_bzero(text, strlen(text));
	free(text);
	if (used == 0 || used == size)
		return fha_error(err, FHA_INVALID, "\"%.150s\" has no password in its first line", path);
	out[used] = '\0';
	return FHA_OK;
}
