/*
 * backup_server.c: a member's PostgreSQL that sends a base backup.  See backup_server.h.
 */
#include "cli/backup_server.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "cli/rejoin.h"
#include "config/conninfo.h"

#define SERVER_NAME_PREFIX "fawkes_ha_backup_"
#define SERVER_CONNINFO_SIZE (2 * FHA_PATH_SIZE + FHA_ADDRESS_SIZE + 1024)
#define SERVER_CONNECT_MS 20000
#define SERVER_ANSWER_MS 60000
/* A checkpoint of a large and busy server. */
#define SERVER_CHECKPOINT_MS (60 * 60 * 1000)
#define SERVER_LOOK_MS 500
#define KB UINT64_C(1024)
/* What MAX_RATE takes. */
#define SERVER_RATE_MIN_KB UINT64_C(32)
#define SERVER_RATE_MAX_KB UINT64_C(1048576)

struct BackupServer
{
	PGconn *connection;
	char *message; /* of libpq; NULL: none */
};

/* --- waiting */

/* Until the socket is ready.  false: the deadline came, or *ends. */
static bool
server_wait(const PGconn *connection, short events, int64_t deadline_at_ms,
			const volatile sig_atomic_t *ends)
{
	struct pollfd wanted = {.fd = PQsocket(connection), .events = events};

	while (ends == NULL || !*ends)
	{
		int64_t left_ms = deadline_at_ms - fha_now_ms();

		if (left_ms <= 0)
			return false;
		if (poll(&wanted, 1, left_ms < SERVER_LOOK_MS ? (int) left_ms : SERVER_LOOK_MS) > 0)
			return true;
	}
	return false;
}

static FhaCode
server_fail(const PGconn *connection, const char *what, FhaError *err)
{
	char words[160];
	const char *said = PQerrorMessage(connection);

	(void) snprintf(words, sizeof(words), "%s", said[0] == '\0' ? "no reason was told" : said);
	words[strcspn(words, "\n")] = '\0';
	return fha_error(err, FHA_IO, "%s: %s", what, words);
}

/* The next result of a query; NULL: there is none, or it did not come in time (*code). */
static PGresult *
server_result(PGconn *connection, int64_t wait_ms, const volatile sig_atomic_t *ends, FhaCode *code)
{
	int64_t deadline_at_ms = fha_now_ms() + wait_ms;

	*code = FHA_OK;
	while (PQisBusy(connection))
	{
		if (!server_wait(connection, POLLIN, deadline_at_ms, ends))
		{
			*code = FHA_TIMEOUT;
			return NULL;
		}
		if (!PQconsumeInput(connection))
			break;
	}
	return PQgetResult(connection);
}

/* As wanted, or failed with the server's words; the caller clears *out after OK. */
static FhaCode
server_take(PGconn *connection, ExecStatusType wanted, int64_t wait_ms,
			const volatile sig_atomic_t *ends, PGresult **out, FhaError *err)
{
	FhaCode code;

	*out = server_result(connection, wait_ms, ends, &code);
	if (code != FHA_OK)
		return fha_error(err, code,
						 ends != NULL && *ends ? "it was interrupted"
											   : "the server did not answer in time");
	if (*out != NULL && PQresultStatus(*out) == wanted)
		return FHA_OK;
	PQclear(*out);
	*out = NULL;
	return server_fail(connection, "the server refused", err);
}

/* One statement with one answer. */
static FhaCode
server_ask(PGconn *connection, const char *query, PGresult **out, FhaError *err)
{
	PGresult *rest;
	FhaCode code;

	if (!PQsendQuery(connection, query))
		return server_fail(connection, "could not ask the server", err);
	code = server_take(connection, PGRES_TUPLES_OK, SERVER_ANSWER_MS, NULL, out, err);
	while (code == FHA_OK &&
		   (rest = server_result(connection, SERVER_ANSWER_MS, NULL, &code)) != NULL)
		PQclear(rest);
	return code;
}

static const char *
server_value(const PGresult *result, int row, int column)
{
	return row < PQntuples(result) && column < PQnfields(result) ? PQgetvalue(result, row, column)
																 : "";
}

/* --- connecting */

/* What the environment says is meant for programs of people. */
static void
server_forget_environment(void)
{
	extern char **environ;
	size_t at = 0;

	while (environ != NULL && environ[at] != NULL)
	{
		char name[64];
		size_t length = strcspn(environ[at], "=");

		if (strncmp(environ[at], "PG", 2) == 0 && length < sizeof(name))
		{
			memcpy(name, environ[at], length);
			name[length] = '\0';
			(void) unsetenv(name);
		}
		else
			at++;
	}
}

static void
server_ignore_notice(void *argument, const char *message)
{
	(void) argument;
	(void) message;
}

/* database: words of a connection string. */
static FhaCode
server_conninfo(const FhaConfig *config, const char *address, const char *database, char *out,
				FhaError *err)
{
	char name[sizeof(SERVER_NAME_PREFIX) + 16] = SERVER_NAME_PREFIX;
	FhaCode code = rejoin_check_passfile(config, err);
	size_t used;

	if (code == FHA_OK)
		code = fha_random_hex(name + strlen(name), 17, err);
	if (code == FHA_OK)
		code = fha_conninfo(config, address, name, out, SERVER_CONNINFO_SIZE, err);
	if (code != FHA_OK)
		return code;
	used = strlen(out);
	if ((size_t) snprintf(out + used, SERVER_CONNINFO_SIZE - used, " %s target_session_attrs=any",
						  database) >= SERVER_CONNINFO_SIZE - used)
		return fha_error(err, FHA_INVALID, "the connection string is too long");
	return FHA_OK;
}

static FhaCode
server_connect(const FhaConfig *config, const char *address, const char *database, PGconn **out,
			   FhaError *err)
{
	char conninfo[SERVER_CONNINFO_SIZE];
	int64_t deadline_at_ms = fha_now_ms() + SERVER_CONNECT_MS;
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	FhaCode code = server_conninfo(config, address, database, conninfo, err);

	*out = NULL;
	if (code != FHA_OK)
		return code;
	server_forget_environment();
	*out = PQconnectStart(conninfo);
	if (*out == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	(void) PQsetNoticeProcessor(*out, server_ignore_notice, NULL);
	while (
		PQstatus(*out) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
		state != PGRES_POLLING_FAILED &&
		server_wait(*out, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_at_ms, NULL))
		state = PQconnectPoll(*out);
	if (state == PGRES_POLLING_OK)
		return FHA_OK;
	code = server_fail(*out, "could not connect", err);
	PQfinish(*out);
	*out = NULL;
	return code;
}

/* --- what server it is */

static FhaCode
server_identify(PGconn *connection, const BackupServerSettings *settings, FhaBackupInfo *info,
				FhaError *err)
{
	PGresult *result;
	FhaCode code = server_ask(connection, "IDENTIFY_SYSTEM", &result, err);

	if (code != FHA_OK)
		return code;
	info->systemid = strtoull(server_value(result, 0, 0), NULL, 10);
	info->timeline = (uint32_t) strtoul(server_value(result, 0, 1), NULL, 10);
	PQclear(result);
	info->version = PQserverVersion(connection);
	if (settings->systemid != 0 && info->systemid != settings->systemid)
		return fha_error(err, FHA_DENIED, "that server has the data of another cluster");
	if (settings->timeline != 0 && info->timeline != settings->timeline)
		return fha_error(err, FHA_DENIED,
						 "that server is on timeline %" PRIu32 ", and the cluster on %" PRIu32,
						 info->timeline, settings->timeline);
	return FHA_OK;
}

/* "16MB", as SHOW has it. */
static FhaCode
server_segment_size(PGconn *connection, FhaBackupInfo *info, FhaError *err)
{
	PGresult *result;
	char *unit;
	FhaCode code = server_ask(connection, "SHOW wal_segment_size", &result, err);

	if (code != FHA_OK)
		return code;
	info->segment_size = strtoull(server_value(result, 0, 0), &unit, 10);
	info->segment_size *= strcmp(unit, "GB") == 0 ? KB * KB * KB : KB * KB;
	if (strcmp(unit, "MB") != 0 && strcmp(unit, "GB") != 0)
		code = fha_error(err, FHA_PROTOCOL, "the server's wal_segment_size is \"%.20s\"",
						 server_value(result, 0, 0));
	PQclear(result);
	return code;
}

/* Names are for people, and for barman's own restore: without them a tablespace is called by its OID. */
static void
server_name_tablespaces(const BackupServerSettings *settings, FhaBackupInfo *info)
{
	PGconn *connection;
	PGresult *result = NULL;

	if (info->tablespace_count == 0 ||
		server_connect(settings->config, settings->address, "dbname=postgres", &connection, NULL) !=
			FHA_OK)
		return;
	if (server_ask(connection, "SELECT oid, spcname FROM pg_catalog.pg_tablespace", &result,
				   NULL) == FHA_OK)
	{
		for (int row = 0; row < PQntuples(result); row++)
		{
			uint32_t oid = (uint32_t) strtoul(server_value(result, row, 0), NULL, 10);

			for (size_t i = 0; i < info->tablespace_count; i++)
			{
				if (info->tablespaces[i].oid == oid)
					(void) snprintf(info->tablespaces[i].name, sizeof(info->tablespaces[i].name),
									"%s", server_value(result, row, 1));
			}
		}
		PQclear(result);
	}
	PQfinish(connection);
}

/* --- the begin of a backup */

static FhaCode
server_position(const PGresult *result, uint64_t *lsn, uint32_t *timeline, FhaError *err)
{
	if (!fha_lsn_parse(server_value(result, 0, 0), lsn))
		return fha_error(err, FHA_PROTOCOL,
						 "the server did not say where the backup begins or "
						 "ends");
	*timeline = (uint32_t) strtoul(server_value(result, 0, 1), NULL, 10);
	return FHA_OK;
}

static FhaCode
server_take_begin(PGconn *connection, const volatile sig_atomic_t *ends, FhaBackupInfo *info,
				  FhaError *err)
{
	PGresult *result;
	uint32_t timeline = 0;
	uint64_t lsn = 0;
	FhaCode code =
		server_take(connection, PGRES_TUPLES_OK, SERVER_CHECKPOINT_MS, ends, &result, err);

	if (code != FHA_OK)
		return code;
	code = server_position(result, &lsn, &timeline, err);
	PQclear(result);
	if (code == FHA_OK)
		fha_backup_info_set_begin(info, timeline, lsn);
	return code;
}

/* A row for each tablespace, and one without an OID for the data directory; sizes in kB. */
static FhaCode
server_take_tablespaces(PGconn *connection, FhaBackupInfo *info, uint64_t *expected, FhaError *err)
{
	PGresult *result;
	FhaCode code = server_take(connection, PGRES_TUPLES_OK, SERVER_ANSWER_MS, NULL, &result, err);

	*expected = 0;
	if (code != FHA_OK)
		return code;
	info->tablespaces = calloc((size_t) PQntuples(result) + 1, sizeof(*info->tablespaces));
	for (int row = 0; info->tablespaces != NULL && code == FHA_OK && row < PQntuples(result); row++)
	{
		FhaTablespace *out = &info->tablespaces[info->tablespace_count];

		*expected += strtoull(server_value(result, row, 2), NULL, 10) * KB;
		if (PQgetisnull(result, row, 0))
			continue;
		info->tablespace_count++;
		out->oid = (uint32_t) strtoul(server_value(result, row, 0), NULL, 10);
		(void) snprintf(out->name, sizeof(out->name), "%" PRIu32, out->oid);
		if ((size_t) snprintf(out->location, sizeof(out->location), "%s",
							  server_value(result, row, 1)) >= sizeof(out->location))
			code = fha_error(err, FHA_INVALID, "the path of tablespace %" PRIu32 " is too long",
							 out->oid);
	}
	PQclear(result);
	return info->tablespaces == NULL ? fha_error(err, FHA_NO_MEMORY, "out of memory") : code;
}

/*
 * WAIT is off: whether the last WAL is in the archive is the archive's to say, and the primary waits without an end if that fails.
 * TABLESPACE_MAP is off, so that the manifest does not name it, which no backup has.
 */
static FhaCode
server_ask_for_backup(PGconn *connection, uint64_t max_rate, FhaError *err)
{
	char command[300];
	char rate[40] = "";
	uint64_t rate_kb = max_rate / KB;

	if (rate_kb < SERVER_RATE_MIN_KB)
		rate_kb = SERVER_RATE_MIN_KB;
	if (rate_kb > SERVER_RATE_MAX_KB)
		rate_kb = SERVER_RATE_MAX_KB;
	if (max_rate > 0)
		(void) snprintf(rate, sizeof(rate), ", MAX_RATE %" PRIu64, rate_kb);
	(void) snprintf(command, sizeof(command),
					"BASE_BACKUP (LABEL 'fawkes-ha backup', PROGRESS, CHECKPOINT 'fast', WAIT 0, "
					"MANIFEST 'yes', TARGET 'client'%s)",
					rate);
	return PQsendQuery(connection, command)
			   ? FHA_OK
			   : server_fail(connection, "could not ask for a base backup", err);
}

static FhaCode
server_begin(PGconn *connection, const BackupServerSettings *settings,
			 const volatile sig_atomic_t *ends, FhaBackupInfo *info, uint64_t *expected,
			 FhaError *err)
{
	PGresult *result = NULL;
	FhaCode code = server_identify(connection, settings, info, err);

	if (code == FHA_OK)
		code = server_segment_size(connection, info, err);
	info->begin_time_us = fha_wall_ms() * 1000;
	if (code == FHA_OK)
		code = server_ask_for_backup(connection, settings->max_rate, err);
	if (code == FHA_OK)
		code = server_take_begin(connection, ends, info, err);
	if (code == FHA_OK)
		code = server_take_tablespaces(connection, info, expected, err);
	if (code == FHA_OK)
		code = server_take(connection, PGRES_COPY_OUT, SERVER_ANSWER_MS, NULL, &result, err);
	PQclear(result);
	return code;
}

FhaCode
backup_server_open(BackupServer **out, const BackupServerSettings *settings,
				   const volatile sig_atomic_t *ends, FhaBackupInfo *info, uint64_t *expected,
				   FhaError *err)
{
	BackupServer *server = calloc(1, sizeof(*server));
	FhaCode code;

	*out = NULL;
	*info = (FhaBackupInfo){.mode = "concurrent", .server_name = "cloud"};
	if (server == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	code = server_connect(settings->config, settings->address,
						  "dbname=replication replication=true", &server->connection, err);
	if (code == FHA_OK)
		code = server_begin(server->connection, settings, ends, info, expected, err);
	if (code == FHA_OK)
	{
		server_name_tablespaces(settings, info);
		*out = server;
		return FHA_OK;
	}
	backup_server_close(server);
	fha_backup_info_free(info);
	return code;
}

/* --- messages */

static void
server_forget_message(BackupServer *server)
{
	if (server->message != NULL)
		PQfreemem(server->message);
	server->message = NULL;
}

/* All was sent: where did it end? */
static FhaCode
server_take_end(BackupServer *server, BackupMessage *out, FhaError *err)
{
	PGresult *result;
	FhaCode code =
		server_take(server->connection, PGRES_TUPLES_OK, SERVER_ANSWER_MS, NULL, &result, err);

	if (code != FHA_OK)
		return code;
	out->kind = BACKUP_MESSAGE_END;
	code = server_position(result, &out->end_lsn, &out->timeline, err);
	PQclear(result);
	while (code == FHA_OK &&
		   (result = server_result(server->connection, SERVER_ANSWER_MS, NULL, &code)) != NULL)
	{
		if (PQresultStatus(result) == PGRES_FATAL_ERROR)
			code = server_fail(server->connection, "the server did not end the backup", err);
		PQclear(result);
	}
	return code;
}

/* "base.tar", "16411.tar" */
static FhaCode
server_archive(const char *name, BackupMessage *out, FhaError *err)
{
	char *end;

	out->kind = BACKUP_MESSAGE_ARCHIVE;
	if (strcmp(name, "base.tar") == 0)
		return FHA_OK;
	out->oid = (uint32_t) strtoul(name, &end, 10);
	if (out->oid == 0 || strcmp(end, ".tar") != 0)
		return fha_error(err, FHA_PROTOCOL, "the server sends an archive \"%.60s\"", name);
	return FHA_OK;
}

FhaCode
backup_server_next(BackupServer *server, BackupMessage *out, FhaError *err)
{
	for (;;)
	{
		int size;

		server_forget_message(server);
		*out = (BackupMessage){.oid = 0};
		size = PQgetCopyData(server->connection, &server->message, 1);
		if (size == 0)
		{
			if (!PQconsumeInput(server->connection))
				return server_fail(server->connection, "the connection to the server is lost", err);
			size = PQgetCopyData(server->connection, &server->message, 1);
		}
		if (size == 0)
			return FHA_AGAIN;
		if (size == -1)
			return server_take_end(server, out, err);
		if (size < 0)
			return server_fail(server->connection, "the server ended the base backup", err);
		out->data = server->message + 1;
		out->size = (size_t) size - 1;
		/* libpq puts a NUL behind it. */
		switch (server->message[0])
		{
			case 'n':
				return server_archive(out->data, out, err);
			case 'm':
				out->kind = BACKUP_MESSAGE_MANIFEST;
				return FHA_OK;
			case 'd':
				out->kind = BACKUP_MESSAGE_DATA;
				return FHA_OK;
			case 'p': /* how far it is, which is counted here */
				break;
			default:
				return fha_error(err, FHA_PROTOCOL, "the server sends what is not known here");
		}
	}
}

int
backup_server_fd(const BackupServer *server)
{
	return PQsocket(server->connection);
}

void
backup_server_close(BackupServer *server)
{
	if (server == NULL)
		return;
	server_forget_message(server);
	if (server->connection != NULL)
		PQfinish(server->connection);
	free(server);
}

FhaCode
backup_server_switch_wal(const FhaConfig *config, const char *address, FhaError *err)
{
	PGconn *connection;
	PGresult *result = NULL;
	FhaCode code = server_connect(config, address, "dbname=postgres", &connection, err);

	if (code != FHA_OK)
		return code;
	code = server_ask(connection, "SELECT pg_catalog.pg_switch_wal()", &result, err);
	if (code == FHA_OK)
		PQclear(result);
	PQfinish(connection);
	return code;
}
