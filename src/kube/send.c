/*
 * send.c: a call as a transfer of libcurl.  See kube/client_private.h.
 *
 * HTTP/1.1: each call under way has a connection of its own, kept for the next one.  With HTTP/2 one
 * connection that has gone silent would hold up the renewal together with the watch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "kube/client_private.h"

/* A real one is below 2 kB. */
#define HEAD_MAX (64 * 1024)
/* libcurl's own: a connection that was idle for longer is not taken again. */
#define IDLE_MAX_S 118
#define CONNECT_MAX_MS 60000

/* --- what libcurl calls */

bool
fha_kube_is_stream(const FhaKubeTransfer *call)
{
	return call->verb == FHA_KUBE_WATCH && call->event.status == 200;
}

/*
 * The request is about to be sent.  libcurl would send it a second time, over a new connection, if an
 * old one ended without an answer.  To a write the server may then say "conflict" because of the
 * first time.
 */
static int
before_sending(void *argument, char *remote, char *local, int remote_port, int local_port)
{
	FhaKubeTransfer *call = argument;

	(void) remote;
	(void) local;
	(void) remote_port;
	(void) local_port;
	if (call->sent && fha_kube_is_write(call->verb))
		return CURL_PREREQFUNC_ABORT;
	call->sent = true;
	return CURL_PREREQFUNC_OK;
}

static size_t
take_header(char *data, size_t one, size_t size, void *argument)
{
	FhaKubeTransfer *call = argument;
	long status = 0;

	(void) one;
	call->head_size += size;
	call->too_long = call->head_size > HEAD_MAX;
	/* An empty line ends it; heads before the last are 1xx. */
	if (size <= 2 && (data[0] == '\r' || data[0] == '\n') &&
		curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status >= 200)
	{
		call->headed = true;
		call->event.status = (int) status;
		call->heard_ms = fha_now_ms();
	}
	return call->too_long ? 0 : size;
}

static size_t
take_body(char *data, size_t one, size_t size, void *argument)
{
	FhaKubeTransfer *call = argument;
	size_t left = call->answer.size - call->answer.taken;

	(void) one;
	call->heard_ms = fha_now_ms();
	/* Lines are taken one in a step: what is more than one can be has to wait. */
	if (fha_kube_is_stream(call) && left + size > call->answer_max &&
		fha_kube_answer_has_line(&call->answer))
	{
		call->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (left + size > call->answer_max + (fha_kube_is_stream(call) ? CURL_MAX_WRITE_SIZE : 0))
	{
		call->too_long = true;
		return 0;
	}
	call->no_memory = !fha_kube_answer_add(&call->answer, data, size);
	return call->no_memory ? 0 : size;
}

/* --- sending */

static bool
add_header(FhaKubeTransfer *call, const char *header)
{
	struct curl_slist *more = curl_slist_append(call->headers, header);

	if (more != NULL)
		call->headers = more;
	return more != NULL;
}

static bool
add_headers(const FhaKube *kube, FhaKubeTransfer *call)
{
	static const char bearer[] = "Authorization: Bearer ";
	bool added = add_header(call, "Accept: application/json") && add_header(call, "Expect:");

	if (added && call->body != NULL)
		added = add_header(call, call->verb == FHA_KUBE_PATCH
									 ? "Content-Type: application/merge-patch+json"
									 : "Content-Type: application/json");
	if (added && kube->token.text != NULL)
	{
		size_t size = sizeof(bearer) + strlen(kube->token.text);
		char *header = malloc(size);

		added = header != NULL;
		if (added)
		{
			(void) snprintf(header, size, "%s%s", bearer, kube->token.text);
			added = add_header(call, header);
			fha_secret_free(header);
		}
	}
	return added;
}

static bool
set_blob(CURL *curl, CURLoption option, char *pem)
{
	struct curl_blob blob = {.data = pem, .flags = CURL_BLOB_COPY};

	if (pem == NULL)
		return true;
	blob.len = strlen(pem);
	return curl_easy_setopt(curl, option, &blob) == CURLE_OK;
}

static bool
set_tls(const FhaKube *kube, CURL *curl)
{
	/* With a CA of its own, the system's folder of certificates is worth nothing. */
	return (kube->ca.text == NULL || curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK) &&
		   set_blob(curl, CURLOPT_CAINFO_BLOB, kube->ca.text) &&
		   set_blob(curl, CURLOPT_SSLCERT_BLOB, kube->client_cert.text) &&
		   set_blob(curl, CURLOPT_SSLKEY_BLOB, kube->client_key.text) &&
		   /* No question at the terminal, whatever the key is like. */
		   curl_easy_setopt(curl, CURLOPT_KEYPASSWD, "") == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
}

/*
 * A connection that is idle since before another one went bad has perhaps gone the same way, and only
 * time would show: it is not taken.  libcurl counts in whole seconds.
 */
static bool
set_reuse(const FhaKube *kube, CURL *curl, int64_t now_ms)
{
	int64_t seconds = (now_ms - kube->failed_ms) / 1000;

	if (kube->failed_ms == 0 || seconds > IDLE_MAX_S)
		return true;
	return curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, seconds == 0 ? 1L : 0L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, seconds == 0 ? 0L : (long) seconds - 1) ==
			   CURLE_OK;
}

static bool
set_method(const FhaKubeTransfer *call)
{
	static const char *const methods[] = {[FHA_KUBE_CREATE] = "POST",
										  [FHA_KUBE_UPDATE] = "PUT",
										  [FHA_KUBE_PATCH] = "PATCH",
										  [FHA_KUBE_DELETE] = "DELETE"};
	CURL *curl = call->curl;

	if (!fha_kube_is_write(call->verb))
		return true;
	return curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, methods[call->verb]) == CURLE_OK &&
		   (call->body == NULL ||
			(curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long) call->body_size) == CURLE_OK &&
			 curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body) == CURLE_OK));
}

static bool
set_options(const FhaKube *kube, FhaKubeTransfer *call, int64_t now_ms)
{
	CURL *curl = call->curl;
	int64_t left = call->deadline_ms - now_ms;
	long left_ms = left < CONNECT_MAX_MS ? (long) left : CONNECT_MAX_MS;

	return curl_easy_setopt(curl, CURLOPT_URL, call->url) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
		   /* The environment is no place to be told where the lock is. */
		   curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_USERAGENT, "fawkes-ha/" FAWKES_HA_VERSION) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
		   /* A name lookup that hangs must not hold up the end. */
		   curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
		   /* The deadline is ours to keep; libcurl shares out the time among addresses. */
		   curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, left_ms) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 15L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 5L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_sending) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PREREQDATA, call) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_HEADERDATA, call) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_WRITEDATA, call) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->problem) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PRIVATE, call) == CURLE_OK && set_tls(kube, curl) &&
		   set_reuse(kube, curl, now_ms) && set_method(call);
}

void
fha_kube_hang_up(FhaKube *kube, FhaKubeTransfer *call)
{
	fha_http_client_drop(&kube->client, &call->curl);
	/* The token is in one of them. */
	for (struct curl_slist *header = call->headers; header != NULL; header = header->next)
		OPENSSL_cleanse(header->data, strlen(header->data));
	curl_slist_free_all(call->headers);
	call->headers = NULL;
}

bool
fha_kube_send(FhaKube *kube, FhaKubeTransfer *call, int64_t now_ms)
{
	call->sent = false;
	call->headed = false;
	call->head_size = 0;
	call->too_long = false;
	call->no_memory = false;
	call->paused = false;
	call->again_ms = 0;
	call->problem[0] = '\0';
	call->event.status = 0;
	fha_kube_answer_release(&call->answer);
	(void) fha_kube_secret_refresh(&kube->token, NULL, false);
	(void) fha_kube_secret_refresh(&kube->ca, "CERTIFICATE", false);
	/* A pair of which one half is still the old one makes no connection, and the next call tries again. */
	(void) fha_kube_secret_refresh(&kube->client_cert, "CERTIFICATE", false);
	(void) fha_kube_secret_refresh(&kube->client_key, "PRIVATE KEY", false);
	call->curl = curl_easy_init();
	if (call->curl != NULL && add_headers(kube, call) && set_options(kube, call, now_ms) &&
		fha_http_client_start(&kube->client, call->curl))
		return true;
	/* LCOV_EXCL_START: no memory */
	fha_kube_hang_up(kube, call);
	return false;
	/* LCOV_EXCL_STOP */
}
