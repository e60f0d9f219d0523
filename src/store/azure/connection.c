/*
 * connection.c: see store/azure/connection.h.
 */
#include "store/azure/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/secret.h"

/* Azurite's account, and its key, which are the same everywhere and published: they guard nothing. */
#define EMULATED_BASE "http://127.0.0.1:10000/devstoreaccount1"
#define EMULATED_ACCOUNT "devstoreaccount1"
#define EMULATED_KEY \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
/* A key has 88 characters, a SAS some hundreds. */
#define VALUE_MAX 4096

typedef enum ConnectionName
{
	NAME_PROTOCOL,
	NAME_ACCOUNT,
	NAME_KEY,
	NAME_SUFFIX,
	NAME_ENDPOINT,
	NAME_SAS,
	NAME_DEVELOPMENT,
	NAME_COUNT
} ConnectionName;

static const char *const connection_names[NAME_COUNT] = {
	"DefaultEndpointsProtocol", "AccountName",  "AccountKey",
	"EndpointSuffix",           "BlobEndpoint", "SharedAccessSignature",
	"UseDevelopmentStorage",
};

/* The parts that count, where they stand in the text; NULL: it has none of that name. */
typedef struct ConnectionParts
{
	const char *at[NAME_COUNT];
	size_t length[NAME_COUNT];
} ConnectionParts;

static bool
connection_is(const ConnectionParts *parts, ConnectionName name, const char *word)
{
	return parts->length[name] == strlen(word) &&
		   strncasecmp(parts->at[name], word, strlen(word)) == 0;
}

/* Printable, without a space and what ends a url's path. */
static bool
connection_is_plain(const char *text, const char *refused)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~' || strchr(refused, *text) != NULL)
			return false;
	return true;
}

static bool
connection_take_part(ConnectionParts *parts, const char *at, size_t length)
{
	const char *equals = memchr(at, '=', length);
	size_t name = equals == NULL ? 0 : (size_t) (equals - at);

	if (name == 0)
		return false;
	for (int i = 0; i < NAME_COUNT; i++)
		if (strlen(connection_names[i]) == name && strncasecmp(connection_names[i], at, name) == 0)
		{
			parts->at[i] = equals + 1;
			parts->length[i] = length - name - 1;
		}
	return true;
}

/* Spaces and line breaks around a part come from an editor, or from a Secret. */
static bool
connection_split(ConnectionParts *parts, const char *text)
{
	memset(parts, 0, sizeof(*parts));
	for (;;)
	{
		size_t length;

		text += strspn(text, " \t\r\n;");
		if (*text == '\0')
			return true;
		length = strcspn(text, ";");
		while (strchr(" \t\r\n", text[length - 1]) != NULL)
			length--;
		if (!connection_take_part(parts, text, length))
			return false;
		text += length;
	}
}

static FhaCode
connection_take_secret(const ConnectionParts *parts, ConnectionName name, char **out, FhaError *err)
{
	size_t skipped = parts->length[name] > 0 && parts->at[name][0] == '?' ? 1 : 0;

	if (parts->at[name] == NULL)
		return FHA_OK;
	if (parts->length[name] == skipped || parts->length[name] > VALUE_MAX)
		return fha_error(err, FHA_INVALID, "%s in Azure's connection string is empty or too long",
						 connection_names[name]);
	*out = strndup(parts->at[name] + skipped, parts->length[name] - skipped);
	if (*out == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	return FHA_OK;
}

static bool
connection_take_account(const ConnectionParts *parts, FhaAzureConnection *out)
{
	size_t length = parts->length[NAME_ACCOUNT];

	if (parts->at[NAME_ACCOUNT] == NULL)
		return true;
	if (length == 0 || length >= sizeof(out->account))
		return false;
	memcpy(out->account, parts->at[NAME_ACCOUNT], length);
	out->account[length] = '\0';
	for (const char *at = out->account; *at != '\0'; at++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", *at) == NULL)
			return false;
	return true;
}

/* The endpoint that is written out, else that of the account. */
static bool
connection_take_base(const ConnectionParts *parts, FhaAzureConnection *out)
{
	const char *suffix = parts->at[NAME_SUFFIX];
	int length = (int) parts->length[NAME_SUFFIX];
	const char *host;
	int size;

	if (suffix == NULL)
	{
		suffix = "core.windows.net";
		length = (int) strlen(suffix);
	}
	if (parts->at[NAME_ENDPOINT] != NULL)
		size = snprintf(out->base, sizeof(out->base), "%.*s", (int) parts->length[NAME_ENDPOINT],
						parts->at[NAME_ENDPOINT]);
	else
		size = snprintf(out->base, sizeof(out->base), "%s://%s.blob.%.*s",
						connection_is(parts, NAME_PROTOCOL, "http") ? "http" : "https",
						out->account, length, suffix);
	while (size > 0 && (size_t) size < sizeof(out->base) && out->base[size - 1] == '/')
		out->base[--size] = '\0';
	host = strstr(out->base, "://");
	return (size_t) size < sizeof(out->base) && host != NULL && host[3] != '/' && host[3] != '\0' &&
		   (strncmp(out->base, "http://", 7) == 0 || strncmp(out->base, "https://", 8) == 0) &&
		   connection_is_plain(out->base, "?#@\\");
}

static FhaCode
connection_take_emulator(FhaAzureConnection *out, FhaError *err)
{
	(void) snprintf(out->base, sizeof(out->base), "%s", EMULATED_BASE);
	(void) snprintf(out->account, sizeof(out->account), "%s", EMULATED_ACCOUNT);
	out->key = strdup(EMULATED_KEY);
	if (out->key == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	return FHA_OK;
}

FhaCode
fha_azure_connection_parse(const char *text, FhaAzureConnection *out, FhaError *err)
{
	ConnectionParts parts;
	FhaCode code;

	memset(out, 0, sizeof(*out));
	if (!connection_split(&parts, text))
		return fha_error(err, FHA_INVALID,
						 "Azure's connection string has a part without \"NAME=\": copy all of it, "
						 "as \"DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...\"");
	if (connection_is(&parts, NAME_DEVELOPMENT, "true"))
		return connection_take_emulator(out, err);
	code = connection_take_secret(&parts, NAME_KEY, &out->key, err);
	if (code == FHA_OK)
		code = connection_take_secret(&parts, NAME_SAS, &out->sas, err);
	if (code != FHA_OK)
		return code;
	if (out->key == NULL && out->sas == NULL)
		return fha_error(err, FHA_INVALID,
						 "Azure's connection string has neither AccountKey nor "
						 "SharedAccessSignature");
	if (!connection_take_account(&parts, out) || (out->key != NULL && out->account[0] == '\0'))
		return fha_error(
			err, FHA_INVALID,
			"AccountName in Azure's connection string is missing, or no account's name");
	if ((parts.at[NAME_ENDPOINT] == NULL && out->account[0] == '\0') ||
		!connection_take_base(&parts, out))
		return fha_error(err, FHA_INVALID,
						 "Azure's connection string names no server: it has neither a usable "
						 "BlobEndpoint nor AccountName");
	if (out->sas != NULL && !fha_azure_sas_valid(out->sas))
		return fha_error(err, FHA_INVALID,
						 "SharedAccessSignature in Azure's connection string is none");
	return FHA_OK;
}

void
fha_azure_connection_release(FhaAzureConnection *connection)
{
	fha_secret_free(connection->key);
	fha_secret_free(connection->sas);
	memset(connection, 0, sizeof(*connection));
}

bool
fha_azure_sas_valid(const char *sas)
{
	const char *signature = strstr(sas, "sig=");

	return signature != NULL && (signature == sas || signature[-1] == '&') &&
		   connection_is_plain(sas, "#?\"");
}
