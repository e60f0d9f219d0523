/*
 * packer.h: WAL files become objects, in threads: read, compressed, sealed, and held in memory.
 *
 * The threads block all signals and call nothing of the host.  They begin when there is work for them.
 */
#ifndef FHA_BACKUP_PACKER_H
#define FHA_BACKUP_PACKER_H

#include "backup/seal.h"
#include "backup/wal_source.h"

#define FHA_PACKER_THREADS_MAX 8

typedef struct FhaPacker FhaPacker;

typedef struct FhaPackerSettings
{
	int directory; /* pg_wal; open for as long as the packer is */
	FhaWalRules rules;
	FhaCompression compression;
	int level;
	const FhaSealKey *key; /* copied; NULL: not sealed */
	unsigned threads;      /* 1 to FHA_PACKER_THREADS_MAX */
} FhaPackerSettings;

/* How it ended with a file. */
typedef struct FhaPacked
{
	void *owner;
	FhaCode code; /* NOT_FOUND, INVALID, IO, NO_MEMORY */
	FhaError error;
	FhaWalIdentity identity; /* of what was read */
	char *data;              /* the receiver's to free; NULL after a failure */
	size_t size;
} FhaPacked;

/* INVALID: no such level, or a compression that is only read.  IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_packer_open(FhaPacker **out, const FhaPackerSettings *settings,
									   FhaError *err);

/* Waits for the piece that each thread reads or packs.  NULL is allowed. */
void fha_packer_close(FhaPacker *packer);

/* Readable when a file has ended. */
int fha_packer_fd(const FhaPacker *packer);

/*
 * Begin with a file, once there is a thread for it; those that were begun before come first.  key: the object's, for the seal; both are copied.
 * NO_MEMORY; IO: there is no thread.
 */
FHA_MUST_CHECK FhaCode fha_packer_start(FhaPacker *packer, const char *name, const char *key,
										void *owner, FhaError *err);

/* The next file that has ended; false: none. */
bool fha_packer_step(FhaPacker *packer, FhaPacked *out);

#endif
