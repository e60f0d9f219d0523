/*
 * send.c: a request as a transfer of libcurl.  See kube/client_private.h.
 *
 * HTTP/1.1: each request under way has a connection of its own, kept for the next one.  With HTTP/2
 * one connection that has gone silent would hold up the renewal together with the watch.
 */
#include "base/clock.h"
#include "kube/client_private.h"

/* A real one is below 2 kB. */
#define HEAD_MAX (64 * 1024)
/* libcurl's own: a connection that was idle for longer is not taken again. */
#define IDLE_MAX_S 118
#define CONNECT_MAX_MS 60000

/* --- what libcurl calls */

bool
fha_kube_is_stream(const FhaKubeTransfer *transfer)
{
	return transfer->verb == FHA_KUBE_WATCH && transfer->event.status == 200;
}

/*
 * The request is about to be sent.  libcurl would send it a second time, over a new connection, if an
 * old one ended without an answer.  To a write the server may then say "conflict" because of the
 * first time.
 */
static int
before_sending(void *argument, char *remote, char *local, int remote_port, int local_port)
{
	FhaKubeTransfer *transfer = argument;

	(void) remote;
	(void) local;
	(void) remote_port;
	(void) local_port;
	if (transfer->sent && fha_kube_is_write(transfer->verb))
		return CURL_PREREQFUNC_ABORT;
	transfer->sent = true;
	return CURL_PREREQFUNC_OK;
}

static size_t
transfer_take_header(char *data, size_t one, size_t size, void *argument)
{
	FhaKubeTransfer *transfer = argument;
	long status = 0;

	(void) one;
	transfer->head_size += size;
	transfer->too_long = transfer->head_size > HEAD_MAX;
	/* An empty line ends it; heads before the last are 1xx. */
	if (size <= 2 && (data[0] == '\r' || data[0] == '\n') &&
		curl_easy_getinfo(transfer->request.curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
		status >= 200)
	{
		transfer->headed = true;
		transfer->event.status = (int) status;
		transfer->heard_at_ms = fha_now_ms();
	}
	return transfer->too_long ? 0 : size;
}

static size_t
transfer_take_body(char *data, size_t one, size_t size, void *argument)
{
	FhaKubeTransfer *transfer = argument;
	size_t left = transfer->answer.size - transfer->answer.taken;

	(void) one;
	transfer->heard_at_ms = fha_now_ms();
	/* Lines are taken one in a step: what is more than one can be has to wait. */
	if (fha_kube_is_stream(transfer) && left + size > transfer->answer_max &&
		fha_kube_answer_has_line(&transfer->answer))
	{
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (left + size >
		transfer->answer_max + (fha_kube_is_stream(transfer) ? CURL_MAX_WRITE_SIZE : 0))
	{
		transfer->too_long = true;
		return 0;
	}
	transfer->no_memory = !fha_kube_answer_add(&transfer->answer, data, size);
	return transfer->no_memory ? 0 : size;
}

/* --- sending */

/*
 * A connection that is idle since before another one went bad has perhaps gone the same way, and only
 * time would show: it is not taken.  libcurl counts in whole seconds.
 */
static bool
set_reuse(const FhaKube *kube, CURL *curl, int64_t now_ms)
{
	int64_t seconds = (now_ms - kube->failed_at_ms) / 1000;

	if (kube->failed_at_ms == 0 || seconds > IDLE_MAX_S)
		return true;
	return curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, seconds == 0 ? 1L : 0L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, seconds == 0 ? 0L : (long) seconds - 1) ==
			   CURLE_OK;
}

static bool
set_options(const FhaKube *kube, CURL *curl, FhaKubeTransfer *transfer, int64_t now_ms)
{
	return curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 15L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 5L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_sending) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PREREQDATA, transfer) == CURLE_OK &&
		   set_reuse(kube, curl, now_ms);
}

static void
transfer_make_request(const FhaKube *kube, FhaKubeTransfer *transfer, int64_t now_ms)
{
	static const char *const methods[] = {[FHA_KUBE_CREATE] = "POST",
										  [FHA_KUBE_UPDATE] = "PUT",
										  [FHA_KUBE_PATCH] = "PATCH",
										  [FHA_KUBE_DELETE] = "DELETE",
										  [FHA_KUBE_WATCH] = NULL};
	FhaHttpRequest *request = &transfer->request;
	int64_t left_ms = transfer->deadline_at_ms - now_ms;

	fha_http_request_make(
		request,
		&(FhaHttpParts){
			.url = transfer->url,
			.scheme = "https",
			.method = methods[transfer->verb],
			.body = transfer->body,
			.body_size = transfer->body_size,
			.tls = {kube->ca.text, kube->client_cert.text, kube->client_key.text},
			/* The deadline is ours to keep; libcurl shares out the time among addresses. */
			.connect_ms = left_ms < CONNECT_MAX_MS ? left_ms : CONNECT_MAX_MS,
			.take_header = transfer_take_header,
			.take_body = transfer_take_body,
			.owner = transfer});
	fha_http_request_header(request, "Accept: application/json");
	if (transfer->body != NULL)
		fha_http_request_header(request, transfer->verb == FHA_KUBE_PATCH
											 ? "Content-Type: application/merge-patch+json"
											 : "Content-Type: application/json");
	if (kube->token.text != NULL)
		fha_http_request_bearer(request, kube->token.text);
	if (request->curl != NULL && !set_options(kube, request->curl, transfer, now_ms))
		request->failed = true; /* LCOV_EXCL_LINE: no memory */
}

void
fha_kube_hang_up(FhaKube *kube, FhaKubeTransfer *transfer)
{
	fha_http_request_drop(&kube->client, &transfer->request);
}

bool
fha_kube_send(FhaKube *kube, FhaKubeTransfer *transfer, int64_t now_ms)
{
	transfer->sent = false;
	transfer->headed = false;
	transfer->head_size = 0;
	transfer->too_long = false;
	transfer->no_memory = false;
	transfer->paused = false;
	transfer->again_at_ms = 0;
	transfer->event.status = 0;
	fha_kube_answer_release(&transfer->answer);
	(void) fha_secret_refresh(&kube->token, NULL, false);
	(void) fha_secret_refresh(&kube->ca, "CERTIFICATE", false);
	/* A pair with one half still the old one makes no connection; the next request tries again. */
	(void) fha_secret_refresh(&kube->client_cert, "CERTIFICATE", false);
	(void) fha_secret_refresh(&kube->client_key, "PRIVATE KEY", false);
	transfer_make_request(kube, transfer, now_ms);
	return fha_http_request_start(&kube->client, &transfer->request);
}
