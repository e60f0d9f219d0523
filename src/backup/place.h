/*
 * place.h: where a cluster's backups are and how they are stored, as its settings say it.
 *
 * The store's credentials are files in fawkes_ha.backup_credentials_directory, named as follows; which there are says who we are:
 *
 *     access_key_id, secret_access_key[, session_token]     S3; Google's HMAC keys without a token
 *     application_credentials                                Google: a service account's JSON
 *     connection_string | account_key | sas_token            Azure
 *
 * Without that setting the surroundings say it: environment, web identity, metadata server.
 */
#ifndef FHA_BACKUP_PLACE_H
#define FHA_BACKUP_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "backup/seal.h"
#include "config/config.h"
#include "core/compression.h"
#include "store/settings.h"

typedef struct FhaBackupPlace
{
	FhaStoreSettings store;
	char server[FHA_SERVER_NAME_SIZE]; /* its name in the store, which is valid */
	bool is_sealed;
	FhaSealKeys keys; /* if it is sealed */
	FhaCompression wal_compression;
	int wal_level; /* 0: the usual one */
	unsigned wal_parallel;
	FhaCompression data_compression;
	int data_level;
	unsigned data_jobs;
	uint64_t max_rate; /* bytes a second; 0: as many as there are */
} FhaBackupPlace;

/*
 * NOT_FOUND: no store is set.  INVALID: a setting or a file, which is named.  IO, NO_MEMORY.
 * *out has secrets, and is to be released, after OK alone.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_backup_place_read(FhaBackupPlace *out, const FhaConfig *config,
													 FhaError *err);

/* Overwrites the secrets. */
FHA_API void fha_backup_place_release(FhaBackupPlace *place);

#endif
