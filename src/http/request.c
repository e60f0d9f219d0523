/*
 * request.c: see http/request.h.
 */
#include "http/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

static void
set_blob(FhaHttpRequest *request, CURLoption option, char *pem)
{
	struct curl_blob blob = {.data = pem, .flags = CURL_BLOB_COPY};

	if (pem == NULL)
		return;
	blob.len = strlen(pem);
	if (curl_easy_setopt(request->curl, option, &blob) != CURLE_OK)
		request->failed = true; /* LCOV_EXCL_LINE: no memory */
}

static bool
set_tls(FhaHttpRequest *request, const FhaHttpTls *tls)
{
	CURL *curl = request->curl;

	set_blob(request, CURLOPT_CAINFO_BLOB, tls->ca);
	set_blob(request, CURLOPT_SSLCERT_BLOB, tls->cert);
	set_blob(request, CURLOPT_SSLKEY_BLOB, tls->key);
	/* With a CA of its own, the system's folder of certificates is worth nothing. */
	return (tls->ca == NULL || curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK) &&
		   /* No question at the terminal, whatever the key is like. */
		   curl_easy_setopt(curl, CURLOPT_KEYPASSWD, "") == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
}

static bool
set_body(CURL *curl, const FhaHttpParts *parts)
{
	return (parts->body == NULL ||
			(curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long) parts->body_size) == CURLE_OK &&
			 curl_easy_setopt(curl, CURLOPT_POSTFIELDS, parts->body) == CURLE_OK)) &&
		   curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, parts->method) == CURLE_OK;
}

static bool
set_common(CURL *curl, const FhaHttpParts *parts)
{
	return curl_easy_setopt(curl, CURLOPT_URL, parts->url) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, parts->scheme) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
		   /* The environment is no place to be told where the lock or a member is. */
		   curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_USERAGENT, "fawkes-ha/" FAWKES_HA_VERSION) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
		   /* A name lookup that hangs must not hold up the end. */
		   curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long) parts->connect_ms) ==
			   CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) parts->whole_ms) == CURLE_OK;
}

static bool
set_takers(FhaHttpRequest *request, const FhaHttpParts *parts)
{
	CURL *curl = request->curl;

	return curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, parts->take_header) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_HEADERDATA, parts->owner) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, parts->take_body) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_WRITEDATA, parts->owner) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, request->problem) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PRIVATE, parts->owner) == CURLE_OK;
}

void
fha_http_request_make(FhaHttpRequest *request, const FhaHttpParts *parts)
{
	memset(request, 0, sizeof(*request));
	request->curl = curl_easy_init();
	if (request->curl == NULL || !set_common(request->curl, parts) ||
		!set_body(request->curl, parts) || !set_takers(request, parts) ||
		!set_tls(request, &parts->tls))
		request->failed = true; /* LCOV_EXCL_LINE: no memory */
	/* Not to wait for "100 Continue". */
	fha_http_request_header(request, "Expect:");
}

void
fha_http_request_header(FhaHttpRequest *request, const char *header)
{
	struct curl_slist *more = curl_slist_append(request->headers, header);

	if (more == NULL)
		request->failed = true; /* LCOV_EXCL_LINE: no memory */
	else
		request->headers = more;
}

void
fha_http_request_bearer(FhaHttpRequest *request, const char *token)
{
	static const char bearer[] = "Authorization: Bearer ";
	size_t size = sizeof(bearer) + strlen(token);
	char *header = malloc(size);

	if (header == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		request->failed = true;
		return;
		/* LCOV_EXCL_STOP */
	}
	(void) snprintf(header, size, "%s%s", bearer, token);
	fha_http_request_header(request, header);
	OPENSSL_cleanse(header, size);
	free(header);
}

bool
fha_http_request_start(FhaHttpClient *client, FhaHttpRequest *request)
{
	if (!request->failed &&
		curl_easy_setopt(request->curl, CURLOPT_HTTPHEADER, request->headers) == CURLE_OK &&
		fha_http_client_start(client, request->curl))
		return true;
	/* LCOV_EXCL_START: no memory */
	fha_http_request_drop(client, request);
	return false;
	/* LCOV_EXCL_STOP */
}

void
fha_http_request_drop(FhaHttpClient *client, FhaHttpRequest *request)
{
	fha_http_client_drop(client, &request->curl);
	for (struct curl_slist *header = request->headers; header != NULL; header = header->next)
		OPENSSL_cleanse(header->data, strlen(header->data));
	curl_slist_free_all(request->headers);
	request->headers = NULL;
}
