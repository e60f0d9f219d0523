/*
 * layout.h: what the objects of backups are called, which is barman-cloud's way.
 *
 * Keys are relative to the store's prefix and begin with the server's name:
 *
 *     SERVER/base/20261122T063851/backup.info
 *     SERVER/base/20261122T063851/data.tar.gz               the base directory; data_0001.tar.gz: its second part
 *     SERVER/base/20261122T063851/16411.tar.gz              a tablespace, by its OID; parts as above
 *     SERVER/base/20261122T063851/annotations/keep
 *     SERVER/wals/0000000100000000/000000010000000000000037.gz
 *     SERVER/wals/0000000100000000/000000010000000000000038.00000028.backup.gz
 *     SERVER/wals/0000000100000000/000000010000000000000039.partial.gz
 *     SERVER/wals/00000002.history.gz                       in no folder
 *
 * Compression is told by the suffix alone.  What is encrypted has FHA_ENCRYPTED_SUFFIX behind it, and each version of
 * barman-cloud skips that.
 */
#ifndef FHA_BACKUP_LAYOUT_H
#define FHA_BACKUP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api.h"
#include "core/archived.h"
#include "core/compression.h"
#include "core/sizes.h"

#define FHA_BACKUP_ID_SIZE 16      /* 20261122T063851 */
#define FHA_WAL_FILE_SIZE 41       /* of a segment with an offset and ".backup" */
#define FHA_WAL_FOLDER_SIZE 17     /* 16 hex digits */
#define FHA_OBJECT_KEY_SIZE 1025   /* relative to the store's prefix */
#define FHA_ARCHIVE_PART_MAX 99999 /* of an archive, which is split above 100 GB */

#define FHA_ENCRYPTED_SUFFIX ".tink"

/* A file of the WAL archive, whatever it is compressed with. */
typedef struct FhaWalFile
{
	FhaWalKind kind;
	uint32_t timeline;
	uint32_t log;     /* the upper and ... */
	uint32_t segment; /* ... the lower half of the number in its name; HISTORY: 0 */
	uint32_t offset;  /* LABEL: in the segment */
} FhaWalFile;

/* As PostgreSQL calls it in pg_wal: capitals, no suffix of a compression.  false: PostgreSQL has no such file. */
FHA_API bool fha_wal_file_parse(const char *name, FhaWalFile *out);
FHA_API void fha_wal_file_name(const FhaWalFile *file, char out[FHA_WAL_FILE_SIZE]);

typedef enum FhaObjectKind
{
	FHA_OBJECT_OTHER,     /* not of this layout, or of another server: nothing may be said of it */
	FHA_OBJECT_IN_BACKUP, /* in a backup's folder, and not known here */
	FHA_OBJECT_BACKUP_INFO, /* written last and deleted last */
	FHA_OBJECT_MANIFEST,    /* backup_manifest, which barman-cloud does not have */
	FHA_OBJECT_DATA,
	FHA_OBJECT_TABLESPACE,
	FHA_OBJECT_KEEP, /* its bytes are "full" or "standalone" */
	FHA_OBJECT_WAL
} FhaObjectKind;

typedef struct FhaObjectName
{
	FhaObjectKind kind;
	char backup_id[FHA_BACKUP_ID_SIZE]; /* but for WAL and OTHER */
	uint32_t oid;                       /* TABLESPACE */
	unsigned part;  /* DATA, TABLESPACE: 0 is the first, which has no number in its name */
	FhaWalFile wal; /* WAL */
	FhaCompression compression; /* DATA, TABLESPACE, WAL, MANIFEST */
	bool encrypted;
} FhaObjectName;

/* May it be the name of a server: not empty, not "." and "..", no '/', no control characters, and not too long? */
FHA_API bool fha_server_name_is_valid(const char *server);

/* The beginnings of all keys of base backups and of WAL: "SERVER/base/" and "SERVER/wals/".  The server's name is valid. */
FHA_API void fha_layout_base(const char *server, char out[FHA_OBJECT_KEY_SIZE]);
FHA_API void fha_layout_wals(const char *server, char out[FHA_OBJECT_KEY_SIZE]);

/* Of any kind but OTHER and IN_BACKUP.  The server's name and the object's are valid, so it always fits. */
FHA_API void fha_layout_key(const char *server, const FhaObjectName *name,
							char out[FHA_OBJECT_KEY_SIZE]);

/*
 * The same with the slash that barman-cloud-backup-keep puts in front of the server's name when its URL ends with "/".
 * barman-cloud finds a backup's keep under one of the two alone, so both are looked for.
 */
FHA_API void fha_layout_keep_with_slash(const char *server, const char *backup_id,
										char out[FHA_OBJECT_KEY_SIZE]);

/* Slashes count once, wherever they stand.  What is strange is OTHER, or IN_BACKUP in a backup's folder. */
FHA_API FhaObjectName fha_layout_parse(const char *server, const char *key);

/* The beginning of a backup, UTC; those of barman-cloud are in its own local time. */
FHA_API void fha_backup_id_print(int64_t started_s, char out[FHA_BACKUP_ID_SIZE]);

/* false: it is no id; *started_s may be NULL. */
FHA_API bool fha_backup_id_parse(const char *id, int64_t *started_s);

#endif
