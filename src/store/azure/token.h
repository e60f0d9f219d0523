/*
 * token.h: tokens of Microsoft Entra for the Blob service, from what a machine or a pod is given.
 *
 * One source, by the first of these that the environment names:
 * 1. a client's secret: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET;
 * 2. workload identity, as AKS gives it to a pod: the same with AZURE_FEDERATED_TOKEN_FILE;
 * 3. a managed identity of App Service and its kin: IDENTITY_ENDPOINT, IDENTITY_HEADER;
 * 4. a managed identity of a virtual machine: its metadata service.
 * AZURE_CLIENT_ID chooses among a machine's identities in 3 and 4; AZURE_AUTHORITY_HOST is another
 * cloud's authority in 1 and 2.
 *
 * A token is replaced before it expires, while the old one is still used.
 */
#ifndef FHA_STORE_AZURE_TOKEN_H
#define FHA_STORE_AZURE_TOKEN_H

#include "base/secret.h"
#include "store/http_call.h"

/* The environment's words, not copied; NULL or "": not set. */
typedef struct FhaAzureEnvironment
{
	const char *tenant;
	const char *client;
	const char *client_secret;
	const char *token_file;
	const char *authority;
	const char *identity_endpoint;
	const char *identity_header;
	const char *metadata; /* scheme and host of the metadata service; NULL: the usual one */
} FhaAzureEnvironment;

/* Of this process. */
void fha_azure_environment(FhaAzureEnvironment *out);

/* One request for a token.  Release it with fha_azure_token_ask_release. */
typedef struct FhaAzureTokenAsk
{
	FhaText url;
	FhaText body;    /* empty: a GET */
	FhaText header;  /* "Name: value"; empty: none */
	const char *who; /* who is asked, for a sentence */
} FhaAzureTokenAsk;

/* INVALID: the file with the pod's token cannot be used, or a url is none.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_azure_token_ask(const FhaAzureEnvironment *environment,
										   FhaAzureTokenAsk *out, FhaError *err);
void fha_azure_token_ask_release(FhaAzureTokenAsk *ask);

/*
 * The answer: *token (free it with fha_secret_free) and for how long it is good.
 * DENIED: the authority's refusal, in its words.  AGAIN: later.  PROTOCOL, NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_azure_token_read(int status, const char *data, size_t size,
											int64_t wall_s, char **token, int64_t *lives_ms,
											FhaError *err);

typedef struct FhaAzureTokens
{
	FhaHttpClient *client;
	const FhaSecret *ca; /* its text: PEM for https; NULL: the system's */
	FhaAzureEnvironment environment;
	void (*changed)(void *owner); /* there is a token, or why there is none: the failure */
	void *owner;

	char *text;          /* NULL: none yet */
	unsigned generation; /* of it: one more with each */
	int64_t got_at_ms;
	int64_t refresh_at_ms;
	int64_t expires_at_ms;
	FhaAzureTokenAsk ask;
	FhaHttpCall call;
	bool asking;
	bool urgent;      /* no usable token: `changed` is waited for */
	FhaError failure; /* of the last request; OK: it brought a token */
} FhaAzureTokens;

/* client, ca, environment, changed and owner are set by the caller, and all else is zero. */
void fha_azure_tokens_close(FhaAzureTokens *tokens);

/*
 * A usable token, NULL: none now.  Then a request for one is on its way, and `changed` will be called;
 * or it could not be made, which *err tells (else it is OK).
 */
const char *fha_azure_tokens_get(FhaAzureTokens *tokens, FhaError *err);

/*
 * The service does not take the token of this generation: no call uses it any more.  False: it is so
 * young that another one will fare no better.
 */
bool fha_azure_tokens_refused(FhaAzureTokens *tokens, unsigned generation);

#endif
