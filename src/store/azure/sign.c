/*
 * sign.c: Shared Key of the Blob service, as since version 2015-02-21.  See store/azure/sign.h.
 */
#include "store/azure/sign.h"

#include <assert.h>
#include <string.h>

#include "store/encode.h"

static void
ask_add_pair(FhaAzurePair *pairs, size_t *count, const char *name, const char *value)
{
	if (value == NULL)
		return;
	assert(*count < FHA_AZURE_PAIRS_MAX);
	pairs[(*count)++] = (FhaAzurePair){name, value};
}

void
fha_azure_add_query(FhaAzureAsk *ask, const char *name, const char *value)
{
	ask_add_pair(ask->query, &ask->query_count, name, value);
}

void
fha_azure_add_header(FhaAzureAsk *ask, const char *name, const char *value)
{
	ask_add_pair(ask->headers, &ask->header_count, name, value);
}

void
fha_azure_url(FhaText *to, const char *origin, const FhaAzureAsk *ask, const char *sas)
{
	char separator = '?';

	fha_text_add(to, origin);
	fha_text_add(to, ask->path);
	for (size_t i = 0; i < ask->query_count; i++)
	{
		fha_text_add_bytes(to, &separator, 1);
		fha_text_add(to, ask->query[i].name);
		fha_text_add(to, "=");
		fha_percent_encode(to, ask->query[i].value, "");
		separator = '&';
	}
	if (sas != NULL)
	{
		fha_text_add_bytes(to, &separator, 1);
		fha_text_add(to, sas);
	}
}

/* The next pair after `before` by name, NULL: the first; NULL: there is none. */
static const FhaAzurePair *
ask_next_pair(const FhaAzurePair *pairs, size_t count, const FhaAzurePair *before)
{
	const FhaAzurePair *next = NULL;

	for (const FhaAzurePair *pair = pairs; pair < pairs + count; pair++)
		if ((before == NULL || strcmp(pair->name, before->name) > 0) &&
			(next == NULL || strcmp(pair->name, next->name) < 0))
			next = pair;
	return next;
}

static void
ask_add_standard(FhaText *to, const FhaAzureAsk *ask)
{
	static const char *const names[] = {"content-encoding",
										"content-language",
										"content-length",
										"content-md5",
										"content-type",
										"date",
										"if-modified-since",
										"if-match",
										"if-none-match",
										"if-unmodified-since",
										"range"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		/* Of an empty body nothing is said. */
		if (strcmp(names[i], "content-length") == 0 && ask->size > 0)
			fha_text_add_format(to, "%zu", ask->size);
		for (size_t j = 0; j < ask->header_count; j++)
			if (strcmp(ask->headers[j].name, names[i]) == 0)
				fha_text_add(to, ask->headers[j].value);
		fha_text_add(to, "\n");
	}
}

void
fha_azure_string_to_sign(FhaText *to, const FhaAzureAsk *ask, const char *account)
{
	const FhaAzurePair *pair = NULL;

	fha_text_add(to, ask->method);
	fha_text_add(to, "\n");
	ask_add_standard(to, ask);
	while ((pair = ask_next_pair(ask->headers, ask->header_count, pair)) != NULL)
		if (strncmp(pair->name, "x-ms-", 5) == 0)
			fha_text_add_format(to, "%s:%s\n", pair->name, pair->value);
	fha_text_add_format(to, "/%s", account);
	fha_text_add(to, ask->path);
	while ((pair = ask_next_pair(ask->query, ask->query_count, pair)) != NULL)
		fha_text_add_format(to, "\n%s:%s", pair->name, pair->value);
}

bool
fha_azure_sign(FhaText *to, const FhaAzureAsk *ask, const char *account, const unsigned char *key,
			   size_t key_size)
{
	unsigned char mac[FHA_SHA256_BYTES];
	FhaText text = {.data = NULL};
	bool done;

	fha_azure_string_to_sign(&text, ask, account);
	done = !text.failed && fha_hmac_sha256(key, key_size, text.data, text.size, mac);
	fha_text_release(&text);
	if (!done)
		return false; /* LCOV_EXCL_LINE: no memory */
	fha_text_add_format(to, "SharedKey %s:", account);
	fha_base64_encode(to, mac, sizeof(mac), false);
	return !to->failed;
}
