/*
 * fetch.h: files of the WAL archive on their way out of a store.
 *
 * An archive may hold a file as X, X.gz, X.zst, X.lz4, X.bz2, X.xz or X.snappy, and each of them sealed.  The name that the file before
 * had is asked for first.  If there is no such object, a listing says what there is; "X.00000028.backup.gz" is another file.
 *
 * A file appears at its path whole, checked and flushed, or not at all.  Until then it is written beside it, as fha_fetch_aside names it,
 * under a lock of the kernel (flock), so that two processes do not write the same file, and what a dead one left is recognised.
 *
 * NOT_FOUND is proved: the store has listed what there is of the server, and there is something, but not this file.  A store that has
 * nothing of the server at all is the wrong one, or a directory where nothing is mounted.
 */
#ifndef FHA_BACKUP_FETCH_H
#define FHA_BACKUP_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "backup/seal.h"
#include "base/err.h"
#include "core/api.h"
#include "core/sizes.h"
#include "store/store.h"

#define FHA_FETCH_MAX 16         /* files at a time */
#define FHA_FETCH_SUFFIX_SIZE 16 /* ".snappy.tink" */
#define FHA_FETCH_ASIDE_SIZE (FHA_PATH_SIZE + 16)

typedef struct FhaFetch FhaFetch;

typedef struct FhaFetchSettings
{
	const char *server;      /* copied */
	const FhaSealKeys *keys; /* copied; NULL: what is sealed cannot be opened */
	uint64_t segment_size;   /* in bytes; 0: what a segment says of itself */
	uint64_t systemid;       /* of the cluster whose WAL it must be; 0: any */
} FhaFetchSettings;

typedef struct FhaFetchFile
{
	const char *file; /* as PostgreSQL calls it */
	const char *path; /* where it shall be; what is there is replaced */
	int64_t deadline_at_ms;
	void *owner; /* returned with the answer */
} FhaFetchFile;

/*
 * OK.  NOT_FOUND: proved.  CONFLICT: another process is writing this very file.  DENIED: rights, or no key opens it.
 * INVALID: it is damaged, or it is not what its name says; the text says what.  Else as an FhaStoreAnswer; IO, too, of the disk.
 */
typedef struct FhaFetchAnswer
{
	void *owner;
	char file[FHA_WAL_NAME_SIZE + 16];
	FhaCode code;
	FhaError error;
	uint64_t size; /* of the file; 0 without it */
} FhaFetchAnswer;

/* `store` is used by this alone until it is closed, and stays open then.  INVALID: the server's name.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_fetch_open(FhaFetch **out, FhaStore *store,
											  const FhaFetchSettings *settings, FhaError *err);

/* What is under way is given up, and nothing is left of it.  NULL is allowed. */
FHA_API void fha_fetch_close(FhaFetch *fetch);

/* Start a file.  INVALID: no such file can be.  CONFLICT: FHA_FETCH_MAX are under way.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_fetch_start(FhaFetch *fetch, const FhaFetchFile *file,
											   FhaError *err);

/* The next file that has ended, one way or the other: OK and *answer filled, or AGAIN.  Call it until it says AGAIN. */
FHA_API FHA_MUST_CHECK FhaCode fha_fetch_step(FhaFetch *fetch, FhaFetchAnswer *answer);

/* Files that were started and whose end was not told. */
FHA_API size_t fha_fetch_count(const FhaFetch *fetch);

/* Of the store: when to step. */
FHA_API int fha_fetch_fd(const FhaFetch *fetch);
FHA_API int64_t fha_fetch_wake_at_ms(const FhaFetch *fetch);

/* What stands behind the name of the file that was found last (".gz", ".zst.tink", ""), and how to tell the next one.  What is none is no guess. */
FHA_API void fha_fetch_suffix(const FhaFetch *fetch, char out[FHA_FETCH_SUFFIX_SIZE]);
FHA_API void fha_fetch_guess(FhaFetch *fetch, const char *suffix);

/* Where a file that shall be at `path` is written.  false: the path is too long. */
FHA_API bool fha_fetch_aside(const char *path, char out[FHA_FETCH_ASIDE_SIZE]);

/* Is a process writing the file of that path now? */
FHA_API bool fha_fetch_is_under_way(const char *path);

/*
 * Is the file at `path` a whole segment or a history file of that name, as far as size and first page tell?  INVALID; NOT_FOUND; IO.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_fetch_check(const FhaFetchSettings *settings, const char *file,
											   const char *path, FhaError *err);

#endif
