/*
 * sign.h: a request to Azure's Blob service as its method, path, query and headers; its url, and
 * its signature with the account's key (Shared Key).
 */
#ifndef FHA_STORE_AZURE_SIGN_H
#define FHA_STORE_AZURE_SIGN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api.h"
#include "store/text.h"

/* Old enough for every cloud and emulator, and new enough for "Encoded" names in lists. */
#define FHA_AZURE_VERSION "2021-12-02"

#define FHA_AZURE_PAIRS_MAX 12

typedef struct FhaAzurePair
{
	const char *name;  /* in lower case */
	const char *value; /* not encoded */
} FhaAzurePair;

/* All texts stay the caller's. */
typedef struct FhaAzureAsk
{
	const char *method;
	const char *path; /* of the url, encoded; begins with '/' */
	size_t size;      /* of the body */
	FhaAzurePair query[FHA_AZURE_PAIRS_MAX];
	size_t query_count;
	FhaAzurePair headers[FHA_AZURE_PAIRS_MAX]; /* all that are signed or sent, but authorization */
	size_t header_count;
} FhaAzureAsk;

/* value NULL: nothing is added. */
void fha_azure_add_query(FhaAzureAsk *ask, const char *name, const char *value);
void fha_azure_add_header(FhaAzureAsk *ask, const char *name, const char *value);

/* origin: scheme, host and port.  sas: as it stands in a url, without '?'; NULL: none. */
void fha_azure_url(FhaText *to, const char *origin, const FhaAzureAsk *ask, const char *sas);

void fha_azure_string_to_sign(FhaText *to, const FhaAzureAsk *ask, const char *account);

/* "SharedKey ACCOUNT:SIGNATURE", for the header Authorization.  False: OpenSSL refuses, or no memory. */
FHA_MUST_CHECK bool fha_azure_sign(FhaText *to, const FhaAzureAsk *ask, const char *account,
								   const unsigned char *key, size_t key_size);

#endif
