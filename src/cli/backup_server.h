/*
 * backup_server.h: a member's PostgreSQL that sends a base backup, by libpq and the replication protocol.
 */
#ifndef CLI_BACKUP_SERVER_H
#define CLI_BACKUP_SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/backup_info.h"
#include "base/err.h"
#include "config/config.h"

typedef struct BackupServer BackupServer;

typedef struct BackupServerSettings
{
	const FhaConfig *config;
	const char *address;
	uint64_t systemid; /* that it must have; 0: not known */
	uint32_t timeline; /* that it must be on; 0: not known */
	uint64_t max_rate; /* bytes a second; 0: none */
} BackupServerSettings;

/*
 * Connect, and begin a base backup: afterwards *info says where and when it began, what server it is, and its tablespaces;
 * to be freed by fha_backup_info_free.  *expected: bytes that it will send, as it estimates.
 * Waits for the server's checkpoint; *ends not 0, as a signal's handler may set it, ends that.  IO and the server's own words; DENIED:
 * it is not the server that was wanted.
 */
FHA_MUST_CHECK FhaCode backup_server_open(BackupServer **out, const BackupServerSettings *settings,
										  const volatile sig_atomic_t *ends, FhaBackupInfo *info,
										  uint64_t *expected, FhaError *err);

typedef enum BackupMessageKind
{
	BACKUP_MESSAGE_ARCHIVE,
	BACKUP_MESSAGE_MANIFEST,
	BACKUP_MESSAGE_DATA,
	BACKUP_MESSAGE_END
} BackupMessageKind;

typedef struct BackupMessage
{
	BackupMessageKind kind;
	uint32_t oid;     /* ARCHIVE; 0: of the data directory */
	const char *data; /* DATA */
	size_t size;
	uint32_t timeline; /* END */
	uint64_t end_lsn;
} BackupMessage;

/* The next message, until the next call.  AGAIN: none is here yet.  IO: the connection is lost, or the server's own words. */
FHA_MUST_CHECK FhaCode backup_server_next(BackupServer *server, BackupMessage *out, FhaError *err);

/* Readable when there may be a message. */
int backup_server_fd(const BackupServer *server);

/* It may be in the middle of it: the server then ends its part.  NULL is allowed. */
void backup_server_close(BackupServer *server);

/* Have the primary there finish its segment of WAL, so that it is archived. */
FHA_MUST_CHECK FhaCode backup_server_switch_wal(const FhaConfig *config, const char *address,
												FhaError *err);

#endif
