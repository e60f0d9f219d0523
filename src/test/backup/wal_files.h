/*
 * wal_files.h: a pg_wal with files, for the tests of the archive.
 */
#ifndef WAL_FILES_H
#define WAL_FILES_H

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/layout.h"
#include "test/backup/streams.h"

#define WAL_SEGMENT_BYTES ((size_t) 1024 * 1024)
#define WAL_PATH_SIZE 256
#define WAL_SYSTEMID UINT64_C(7012345678901234567)

/* PostgreSQL's XLogLongPageHeaderData. */
typedef struct WalHeader
{
	uint16_t magic, info;
	uint32_t timeline;
	uint64_t position;
	uint32_t rest, padding;
	uint64_t systemid;
	uint32_t segment_size, block_size;
} WalHeader;

static char wal_directory[64];

static inline int
wal_remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void) status;
	(void) kind;
	(void) where;
	return remove(path);
}

static inline void
wal_remove_tree(const char *path)
{
	(void) nftw(path, wal_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Where nothing is flushed to a disk. */
static inline void
wal_make_directory(void)
{
	char path[80];

	(void) snprintf(wal_directory, sizeof(wal_directory), "%s/fha-wal-XXXXXX",
					access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(wal_directory) == NULL)
		abort();
	(void) snprintf(path, sizeof(path), "%s/archive_status", wal_directory);
	if (mkdir(path, 0700) != 0)
		abort();
}

static inline void
wal_path(const char *name, char out[WAL_PATH_SIZE])
{
	(void) snprintf(out, WAL_PATH_SIZE, "%s/%s", wal_directory, name);
}

static inline void
wal_write(const char *name, const char *data, size_t size)
{
	char path[WAL_PATH_SIZE];
	FILE *file;

	wal_path(name, path);
	/* Another file, even if it comes within one tick of the kernel's clock. */
	(void) unlink(path);
	file = fopen(path, "w");
	if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
		abort();
}

/* The header that a segment of that name begins with. */
static inline WalHeader
wal_header(const char *name)
{
	FhaWalFile file;
	WalHeader header = {.magic = 0xd110,
						.info = 2,
						.systemid = WAL_SYSTEMID,
						.segment_size = WAL_SEGMENT_BYTES,
						.block_size = 8192};

	if (!fha_wal_file_parse(name, &file))
		abort();
	header.timeline = file.timeline;
	header.position = ((uint64_t) file.log << 32) + file.segment * WAL_SEGMENT_BYTES;
	return header;
}

/* What a segment of that name has; another seed: other content.  Free it. */
static inline Bytes
wal_segment(const char *name, unsigned seed)
{
	Bytes bytes = bytes_like_pages(WAL_SEGMENT_BYTES);
	WalHeader header = wal_header(name);

	memcpy(bytes.data, &header, sizeof(header));
	memcpy(bytes.data + WAL_SEGMENT_BYTES / 2, &seed, sizeof(seed));
	return bytes;
}

static inline void
wal_make_segment(const char *name, unsigned seed)
{
	Bytes bytes = wal_segment(name, seed);

	wal_write(name, bytes.data, bytes.size);
	bytes_free(&bytes);
}

#endif
