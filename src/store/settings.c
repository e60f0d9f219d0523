/*
 * settings.c: the url of a store, and copies of its settings that take their secrets with them.
 */
#include "store/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "store/driver.h"

#define SETTINGS_AZURE_HOST ".blob.core.windows.net"
/* Of every cloud of Azure's: the account stands before it. */
#define SETTINGS_AZURE_LABEL ".blob."

static const char settings_allowed[] =
	"s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, https://ACCOUNT" SETTINGS_AZURE_HOST
	"/CONTAINER/PREFIX or dir:/absolute/path";

/* --- the url */

/* Letters, digits, '.', '-' and '_': in a bucket's name; the first one of another kind. */
static size_t
settings_name_length(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
}

/* The name up to the next '/' or the end; *rest: what is behind that.  False: it is none, or too long. */
static bool
settings_take_name(const char **rest, char *out, size_t size)
{
	size_t length = settings_name_length(*rest);
	char end = (*rest)[length];

	if (length == 0 || length >= size || (end != '/' && end != '\0') || (*rest)[0] == '.')
		return false;
	memcpy(out, *rest, length);
	out[length] = '\0';
	*rest += length + (end == '/' ? 1 : 0);
	return true;
}

/* Without the slashes at its ends. */
static FhaCode
settings_take_prefix(FhaStoreSettings *out, const char *rest, FhaError *err)
{
	size_t length;

	while (*rest == '/')
		rest++;
	length = strlen(rest);
	while (length > 0 && rest[length - 1] == '/')
		length--;
	/* Half is left to keys. */
	if (length >= FHA_STORE_KEY_SIZE / 2 || (length > 0 && !fha_store_key_valid(rest, length)))
		return fha_error(err, FHA_INVALID,
						 "the store's prefix is no UTF-8, or longer than %d bytes",
						 FHA_STORE_KEY_SIZE / 2 - 1);
	memcpy(out->prefix, rest, length);
	out->prefix[length] = '\0';
	return FHA_OK;
}

static FhaCode
settings_take_bucket(FhaStoreSettings *out, FhaStoreKind kind, const char *rest, FhaError *err)
{
	if (!settings_take_name(&rest, out->bucket, sizeof(out->bucket)))
		return fha_error(err, FHA_INVALID, "the store's url names no bucket: %s", settings_allowed);
	out->kind = kind;
	return settings_take_prefix(out, rest, err);
}

static FhaCode
settings_take_path(FhaStoreSettings *out, const char *path, FhaError *err)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	if (path[0] != '/' || length >= sizeof(out->path))
		return fha_error(err, FHA_INVALID,
						 "a directory as the store is an absolute path of at most %zu bytes: %s",
						 sizeof(out->path) - 1, settings_allowed);
	memcpy(out->path, path, length);
	out->path[length] = '\0';
	out->kind = FHA_STORE_DIR;
	return FHA_OK;
}

/* "host[:port]/..." of Azure; scheme: with its "://". */
static FhaCode
settings_take_azure(FhaStoreSettings *out, const char *scheme, const char *rest, FhaError *err)
{
	size_t host = strcspn(rest, "/");
	const char *path = rest + host + (rest[host] == '/' ? 1 : 0);
	bool own = memmem(rest, host, SETTINGS_AZURE_LABEL, sizeof(SETTINGS_AZURE_LABEL) - 1) != NULL;
	const char *account = own ? rest : path;
	size_t length = strcspn(account, own ? "." : "/");

	if (host == 0 || (size_t) snprintf(out->endpoint, sizeof(out->endpoint), "%s%.*s", scheme,
									   (int) host, rest) >= sizeof(out->endpoint))
		return fha_error(err, FHA_INVALID, "the store's url names no host: %s", settings_allowed);
	if (length == 0 || length >= sizeof(out->account) || settings_name_length(account) < length)
		return fha_error(err, FHA_INVALID, "the store's url names no account: %s",
						 settings_allowed);
	memcpy(out->account, account, length);
	out->account[length] = '\0';
	if (!own)
		path += length + (path[length] == '/' ? 1 : 0);
	return settings_take_bucket(out, FHA_STORE_AZURE, path, err);
}

FhaCode
fha_store_url_parse(FhaStoreSettings *out, const char *url, FhaError *err)
{
	out->bucket[0] = out->account[0] = out->prefix[0] = out->path[0] = '\0';
	if (strncmp(url, "dir:", 4) == 0)
		return settings_take_path(out, url + 4, err);
	if (strpbrk(url, "?#@") != NULL)
		return fha_error(
			err, FHA_INVALID,
			"the store's url has a '?', '#' or '@': credentials have settings of their "
			"own");
	if (strncmp(url, "s3://", 5) == 0)
		return settings_take_bucket(out, FHA_STORE_S3, url + 5, err);
	if (strncmp(url, "gs://", 5) == 0)
		return settings_take_bucket(out, FHA_STORE_GCS, url + 5, err);
	if (strncmp(url, "https://", 8) == 0)
		return settings_take_azure(out, "https://", url + 8, err);
	if (strncmp(url, "http://", 7) == 0)
		return settings_take_azure(out, "http://", url + 7, err);
	return fha_error(err, FHA_INVALID, "the store's url is none of %s", settings_allowed);
}

void
fha_store_url_print(const FhaStoreSettings *settings, char *out, size_t size)
{
	const char *slash = settings->prefix[0] == '\0' ? "" : "/";

	switch (settings->kind)
	{
		case FHA_STORE_DIR:
			(void) snprintf(out, size, "dir:%s", settings->path);
			break;
		case FHA_STORE_AZURE:
		{
			bool own = strstr(settings->endpoint, SETTINGS_AZURE_LABEL) != NULL;

			(void) snprintf(out, size, "%s/%s%s%s%s%s", settings->endpoint,
							own ? "" : settings->account, own ? "" : "/", settings->bucket, slash,
							settings->prefix);
			break;
		}
		case FHA_STORE_S3:
		case FHA_STORE_GCS:
		default:
			(void) snprintf(out, size, "%s://%s%s%s", settings->kind == FHA_STORE_GCS ? "gs" : "s3",
							settings->bucket, slash, settings->prefix);
			break;
	}
}

/* --- copies */

static bool
settings_copy_secret(FhaStoreSecret *secret)
{
	secret->text = secret->text == NULL ? NULL : strdup(secret->text);
	return secret->text != NULL;
}

FhaCode
fha_store_settings_copy(FhaStoreSettings *out, const FhaStoreSettings *from, FhaError *err)
{
	FhaStoreSecret *secrets[] = {&out->access, &out->secret, &out->token};
	bool whole = true;

	*out = *from;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
	{
		bool is_there = secrets[i]->text != NULL;

		whole = (settings_copy_secret(secrets[i]) || !is_there) && whole;
	}
	if (whole)
		return FHA_OK;
	fha_store_settings_release(out);
	return fha_error(err, FHA_NO_MEMORY, "out of memory");
}

void
fha_store_settings_release(FhaStoreSettings *settings)
{
	fha_secret_free(settings->access.text);
	fha_secret_free(settings->secret.text);
	fha_secret_free(settings->token.text);
	memset(settings, 0, sizeof(*settings));
}
