/*
 * files.h: the records of a directory lock as files; all of it may block.
 *
 * A record is "<name>.<version>", the version in 20 digits, written aside as
 * ".tmp.<pid>.<nonce>", flushed, and made visible by link(2), which fails when
 * the version exists.  The newest FHA_DIR_KEEP versions of a record stay; older
 * ones are deleted in ascending order, so while a version exists, no later one
 * has been deleted.
 */
#ifndef FHA_LOCK_DIR_FILES_H
#define FHA_LOCK_DIR_FILES_H

#include <sys/stat.h>

#include "lock/lock.h"

#define FHA_DIR_KEEP 16
#define FHA_DIR_SUFFIX 21                            /* a dot and 20 digits */
#define FHA_DIR_NAME_SIZE (256 - FHA_DIR_SUFFIX)     /* what a file name leaves for the record's */
#define FHA_DIR_TABLE_MAX (2 * FHA_RECORD_COUNT_MAX) /* the records that are, and those just gone */

typedef struct FhaDirFiles
{
	const char *path;
	int fd; /* -1: not open */
	struct stat identity;
	char *buffer;
} FhaDirFiles;

/* Newest versions by record, sorted by name. */
typedef struct FhaDirEntry
{
	char name[FHA_RECORD_NAME_SIZE];
	uint64_t version; /* 0: there is none */
	uint64_t told;    /* the watch: what the other side knows */
} FhaDirEntry;

typedef struct FhaDirTable
{
	FhaDirEntry *rows;
	size_t count;
	size_t room;
} FhaDirTable;

/* The entry of that name, made with zeros if need be; NULL: no memory, or FHA_DIR_TABLE_MAX. */
FhaDirEntry *fha_dir_table_put(FhaDirTable *table, const char *name);
void fha_dir_table_delete(FhaDirTable *table, FhaDirEntry *entry);
void fha_dir_table_release(FhaDirTable *table);

/* INVALID unless the open directory is on a local filesystem. */
FhaCode fha_dir_check_local(int fd, const char *path, FhaError *err);

/* INVALID if every user of the machine may write the open directory: any file there is a record. */
FhaCode fha_dir_check_closed(int fd, const char *path, FhaError *err);

/* "name.00000000000000000007" into its parts; name has FHA_RECORD_NAME_SIZE bytes. */
bool fha_dir_file_parse(const char *file, char *name, uint64_t *version);

FhaCode fha_dir_files_init(FhaDirFiles *files, const char *path, FhaError *err);

/* Could a directory that cannot be opened, with this errno, be there later without a changed setting? */
bool fha_dir_may_come_back(int error);

/* Open the path, again if it is another directory by now; *anew: it is.  INVALID, DENIED, IO. */
FhaCode fha_dir_files_open(FhaDirFiles *files, bool *anew, FhaError *err);

/* Set `version` of all rows to what the directory has; rows of new records are added. */
FhaCode fha_dir_files_scan(const FhaDirFiles *files, FhaDirTable *table, FhaError *err);

/* The newest version of one record, 0 if there is none. */
FhaCode fha_dir_files_newest(const FhaDirFiles *files, const char *name, uint64_t *version,
							 FhaError *err);

/* One version; data has FHA_RECORD_DATA_MAX + 1 bytes.  NOT_FOUND; PROTOCOL: empty or too long. */
FhaCode fha_dir_files_read(const FhaDirFiles *files, const char *name, uint64_t version, char *data,
						   size_t *size, FhaError *err);

/*
 * Replace `version` (0: create) by version + 1.  Codes as of FhaLockEvent.  What root writes belongs to
 * the owner of the version that it replaces, or of the directory.
 */
FhaCode fha_dir_files_write(const FhaDirFiles *files, const char *name, uint64_t version,
							const char *data, size_t size, FhaError *err);

/* Delete what nobody needs: old versions of the record, temporary files of dead writers. */
void fha_dir_files_prune(const FhaDirFiles *files, const char *name);

#endif
