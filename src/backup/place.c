/*
 * place.c: where a cluster's backups are.  See place.h.
 */
#include "backup/place.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backup/layout.h"

/* What a kind of store may be told, and by which files. */
typedef struct PlaceIdentity
{
	FhaStoreKind kind;
	FhaStoreIdentity identity;
	const char *access; /* NULL: it takes none */
	const char *secret;
	const char *token; /* it may be missing */
} PlaceIdentity;

static const PlaceIdentity identities[] = {
	{FHA_STORE_S3, FHA_STORE_BY_KEY, "access_key_id", "secret_access_key", "session_token"},
	{FHA_STORE_GCS, FHA_STORE_BY_SERVICE_ACCOUNT, NULL, "application_credentials", NULL},
	{FHA_STORE_GCS, FHA_STORE_BY_KEY, "access_key_id", "secret_access_key", NULL},
	{FHA_STORE_AZURE, FHA_STORE_BY_CONNECTION_STRING, NULL, "connection_string", NULL},
	{FHA_STORE_AZURE, FHA_STORE_BY_KEY, NULL, "account_key", NULL},
	{FHA_STORE_AZURE, FHA_STORE_BY_SAS, NULL, "sas_token", NULL},
};

/* What was set, and a file that is not there is looked for by these names. */
static const char *const identity_files[FHA_STORE_KINDS] = {
	[FHA_STORE_S3] = "access_key_id and secret_access_key",
	[FHA_STORE_GCS] = "application_credentials, or access_key_id and secret_access_key",
	[FHA_STORE_AZURE] = "connection_string, account_key or sas_token",
};

/* Is there such a file?  Its path into *out; name NULL: none is wanted, which is good. */
static bool
place_has_file(const char *directory, const char *name, char out[FHA_PATH_SIZE])
{
	out[0] = '\0';
	if (name == NULL)
		return true;
	if (snprintf(out, FHA_PATH_SIZE, "%s/%s", directory, name) < FHA_PATH_SIZE &&
		access(out, F_OK) == 0)
		return true;
	out[0] = '\0';
	return false;
}

static FhaCode
place_take_credentials(FhaStoreSettings *store, const char *directory, FhaError *err)
{
	const PlaceIdentity *found = NULL;

	for (size_t i = 0; i < sizeof(identities) / sizeof(identities[0]); i++)
	{
		const PlaceIdentity *row = &identities[i];
		FhaStoreSettings with = *store;

		if (row->kind != store->kind || !place_has_file(directory, row->access, with.access.file) ||
			!place_has_file(directory, row->secret, with.secret.file))
			continue;
		if (found != NULL)
			return fha_error(err, FHA_INVALID,
							 "fawkes_ha.backup_credentials_directory \"%.60s\" has both %s and %s: "
							 "leave one of them",
							 directory, found->secret, row->secret);
		if (row->token != NULL)
			(void) place_has_file(directory, row->token, with.token.file);
		with.identity = row->identity;
		*store = with;
		found = row;
	}
	if (found == NULL)
		return fha_error(
			err, FHA_INVALID,
			"fawkes_ha.backup_credentials_directory \"%.60s\" lacks the store's credentials: it "
			"takes the files %s",
			directory, identity_files[store->kind]);
	return FHA_OK;
}

static FhaCode
place_take_store(FhaStoreSettings *store, const FhaConfig *config, FhaError *err)
{
	FhaCode code = fha_store_url_parse(store, config->backup_store, err);

	if (code != FHA_OK)
		return code;
	if (config->backup_endpoint[0] != '\0')
	{
		memcpy(store->endpoint, config->backup_endpoint, sizeof(store->endpoint));
		store->path_style = true;
	}
	memcpy(store->ca_file, config->backup_endpoint_ca_file, sizeof(store->ca_file));
	memcpy(store->region, config->backup_region, sizeof(store->region));
	if (store->kind == FHA_STORE_DIR)
		return FHA_OK;
	if (config->backup_credentials_directory[0] != '\0')
		return place_take_credentials(store, config->backup_credentials_directory, err);
	store->identity = FHA_STORE_BY_SURROUNDINGS;
	return FHA_OK;
}

static FhaCode
place_take_compression(const char *name, const char *text, FhaCompression *out, int *level,
					   FhaError *err)
{
	char why[FHA_SENTENCE_SIZE];

	if (!fha_compression_parse(text, out, level, why))
		return fha_error(err, FHA_INVALID, "fawkes_ha.%s: %s", name, why);
	return FHA_OK;
}

static FhaCode
place_take_server(FhaBackupPlace *out, const FhaConfig *config, FhaError *err)
{
	const char *name =
		config->backup_server_name[0] != '\0' ? config->backup_server_name : config->cluster_name;

	if (!fha_server_name_is_valid(name))
		return fha_error(
			err, FHA_INVALID,
			"fawkes_ha.backup_server_name = \"%.60s\" cannot be a folder in a store: it has no "
			"\"/\" and no control characters, and is not \".\" or \"..\"",
			name);
	(void) snprintf(out->server, sizeof(out->server), "%s", name);
	return FHA_OK;
}

FhaCode
fha_backup_place_read(FhaBackupPlace *out, const FhaConfig *config, FhaError *err)
{
	FhaCode code;

	memset(out, 0, sizeof(*out));
	if (config->backup_store[0] == '\0')
		return fha_error(err, FHA_NOT_FOUND,
						 "fawkes_ha.backup_store is not set: there is nowhere to keep backups");
	code = place_take_store(&out->store, config, err);
	if (code == FHA_OK)
		code = place_take_server(out, config, err);
	if (code == FHA_OK)
		code = place_take_compression("archive_compression", config->archive_compression,
									  &out->wal_compression, &out->wal_level, err);
	if (code == FHA_OK)
		code = place_take_compression("backup_compression", config->backup_compression,
									  &out->data_compression, &out->data_level, err);
	if (code == FHA_OK && config->backup_key_file[0] != '\0')
	{
		FhaError why;

		code = fha_seal_keys_read(&out->keys, config->backup_key_file, &why);
		out->is_sealed = code == FHA_OK;
		/* NOT_FOUND means that there is no store. */
		if (code != FHA_OK)
			code = fha_error(err, code == FHA_NOT_FOUND ? FHA_INVALID : code,
							 "fawkes_ha.backup_key_file: %.160s", why.text);
	}
	out->wal_parallel = (unsigned) config->archive_max_parallel;
	out->data_jobs = (unsigned) config->backup_jobs;
	out->max_rate = (uint64_t) config->backup_max_rate_bytes;
	return code;
}

void
fha_backup_place_release(FhaBackupPlace *place)
{
	fha_store_settings_release(&place->store);
	fha_seal_keys_forget(&place->keys);
	memset(place, 0, sizeof(*place));
}
