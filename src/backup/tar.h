/*
 * tar.h: reads a tar archive as it comes: entries one after another, with safe paths.
 *
 * It knows ustar, pax headers and GNU's long names, sizes in octal, in base 256 and of pax.  What it does not know, it refuses:
 * sparse files, devices, and types that the caller did not allow.
 *
 * A path is safe: relative, without ".." and "." in it, and so is what a link leads to.  A link that is made as it stands,
 * in a directory that was empty, therefore leads nowhere outside, and neither does a file written through it.
 */
#ifndef FHA_BACKUP_TAR_H
#define FHA_BACKUP_TAR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FHA_TAR_BLOCK 512
#define FHA_TAR_PATH_SIZE 4096
/* Of an entry's headers, with pax's and GNU's. */
#define FHA_TAR_HEADERS_SIZE ((size_t) 32 * 1024)

typedef enum FhaTarType
{
	FHA_TAR_FILE = 1,
	FHA_TAR_DIRECTORY = 2,
	FHA_TAR_SYMLINK = 4,
	FHA_TAR_LINK = 8,   /* to an earlier entry */
	FHA_TAR_OTHER = 16, /* a device, a pipe: never allowed */
	FHA_TAR_ANY_LINK =
		32 /* no type: allowed with it are links to anywhere, which the caller drops or refuses */
} FhaTarType;

typedef struct FhaTarEntry
{
	FhaTarType type;
	char path
		[FHA_TAR_PATH_SIZE]; /* "base/1/1259": without "./" in front and "/" behind; "": the top directory */
	char link[FHA_TAR_PATH_SIZE]; /* where a link leads to, as it stands in the archive */
	uint64_t size;                /* of a file's content */
	unsigned mode;                /* of the rights alone */
	int64_t modified_s;           /* since 1970 */
} FhaTarEntry;

typedef enum FhaTarEvent
{
	FHA_TAR_MORE,  /* all input was read */
	FHA_TAR_ENTRY, /* an entry begins: fha_tar_entry */
	FHA_TAR_DATA,  /* a part of its content */
	FHA_TAR_DONE,  /* its content is complete */
	FHA_TAR_END    /* of the archive; only zeros may follow */
} FhaTarEvent;

typedef struct FhaTar FhaTar;

/* `allowed`: types of FhaTarType, or'ed.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_tar_open(FhaTar **out, unsigned allowed, FhaError *err);

/* NULL is allowed. */
void fha_tar_close(FhaTar *tar);

/*
 * What comes next in *size bytes at *data, which move on.  FHA_TAR_DATA: *part_size bytes at *part, in the input.
 * INVALID: it is no archive, is damaged, has a path that is not safe, or a type that is not allowed.
 */
FHA_MUST_CHECK FhaCode fha_tar_next(FhaTar *tar, const char **data, size_t *size,
									FhaTarEvent *event, const char **part, size_t *part_size,
									FhaError *err);

/* The input is at its end.  INVALID: the archive is not: it was cut off. */
FHA_MUST_CHECK FhaCode fha_tar_finish(const FhaTar *tar, FhaError *err);

/* The entry that began last; until the call that follows its FHA_TAR_DONE. */
const FhaTarEntry *fha_tar_entry(const FhaTar *tar);

/* The headers of that entry, as they stood in the archive: whole blocks, at most FHA_TAR_HEADERS_SIZE. */
const char *fha_tar_headers(const FhaTar *tar, size_t *size);

#endif
