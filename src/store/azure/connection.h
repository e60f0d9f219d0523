/*
 * connection.h: Azure's connection strings, as they are copied from its portal.
 */
#ifndef FHA_STORE_AZURE_CONNECTION_H
#define FHA_STORE_AZURE_CONNECTION_H

#include "base/err.h"
#include "store/settings.h"

#define FHA_AZURE_BASE_SIZE (FHA_URL_SIZE + FHA_STORE_BUCKET_SIZE + 1)

/* What a connection string says of the Blob service; NULL and "": nothing. */
typedef struct FhaAzureConnection
{
	char base[FHA_AZURE_BASE_SIZE]; /* "https://host[:port][/path]", without '/' at its end */
	char account[FHA_STORE_BUCKET_SIZE];
	char *key; /* in base64; with it there is an account */
	char *sas; /* without '?' */
} FhaAzureConnection;

/*
 * "AccountName=...;AccountKey=...;EndpointSuffix=...", "BlobEndpoint=...;SharedAccessSignature=...", or
 * "UseDevelopmentStorage=true".  Names in any case; those of other services count for nothing.
 * INVALID: the text says which part, and no value of it.  NO_MEMORY.  Release it in any case.
 */
FHA_MUST_CHECK FhaCode fha_azure_connection_parse(const char *text, FhaAzureConnection *out,
												  FhaError *err);
/* Secrets are overwritten; it is empty afterwards. */
void fha_azure_connection_release(FhaAzureConnection *connection);

/* A shared access signature as a url's query has it: nothing that ends it. */
bool fha_azure_sas_valid(const char *sas);

#endif
