/*
 * wal_source.h: a file of pg_wal, to be read from its first byte to its last, and held to what its name says.
 */
#ifndef FHA_BACKUP_WAL_SOURCE_H
#define FHA_BACKUP_WAL_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "backup/wal_page.h"
#include "base/err.h"

/* Bytes of a history file or a label, which have some hundreds. */
#define FHA_WAL_TEXT_MAX ((uint64_t) 1024 * 1024)

/* What changes when a file is written again, or is another one. */
typedef struct FhaWalIdentity
{
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified;
} FhaWalIdentity;

typedef struct FhaWalSource
{
	int fd;
	const char *name; /* the caller's */
	uint64_t size;
	FhaWalIdentity identity;
} FhaWalSource;

/*
 * The file `name`, which is one of layout.h, in the open directory.  `name` stays as it is until the source is closed.
 * NOT_FOUND.  INVALID: it is no file, or not as large as a segment is, or empty; or a segment's first page says another place, another size of
 * segments or another cluster.  IO.  The source is to be closed after OK alone.
 */
FHA_MUST_CHECK FhaCode fha_wal_source_open(FhaWalSource *out, int directory, const char *name,
										   const FhaWalRules *rules, FhaError *err);

/* `size` bytes from `at` on, all of which it has.  IO: the file became shorter, or cannot be read. */
FHA_MUST_CHECK FhaCode fha_wal_source_read(const FhaWalSource *source, uint64_t at, char *out,
										   size_t size, FhaError *err);

/* All was read: IO if the file was changed meanwhile. */
FHA_MUST_CHECK FhaCode fha_wal_source_check(const FhaWalSource *source, FhaError *err);

void fha_wal_source_close(FhaWalSource *source);

/* OK: the file of that name still has this identity.  AGAIN: it was changed, or is another one.  NOT_FOUND, IO. */
FHA_MUST_CHECK FhaCode fha_wal_identity_check(int directory, const char *name,
											  const FhaWalIdentity *identity, FhaError *err);

#endif
