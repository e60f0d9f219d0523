/*
 * send.c: a call as a transfer of libcurl.  See kube/client_private.h.
 *
 * HTTP/1.1: each call under way has a connection of its own, kept for the next one.  With HTTP/2 one
 * connection that has gone silent would hold up the renewal together with the watch.
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
		curl_easy_getinfo(call->request.curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
		status >= 200)
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
set_options(const FhaKube *kube, CURL *curl, FhaKubeTransfer *call, int64_t now_ms)
{
	return curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 15L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 5L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, before_sending) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PREREQDATA, call) == CURLE_OK &&
		   set_reuse(kube, curl, now_ms);
}

static void
make_request(const FhaKube *kube, FhaKubeTransfer *call, int64_t now_ms)
{
	static const char *const methods[] = {[FHA_KUBE_CREATE] = "POST",
										  [FHA_KUBE_UPDATE] = "PUT",
										  [FHA_KUBE_PATCH] = "PATCH",
										  [FHA_KUBE_DELETE] = "DELETE",
										  [FHA_KUBE_WATCH] = NULL};
	FhaHttpRequest *request = &call->request;
	int64_t left_ms = call->deadline_ms - now_ms;

	fha_http_request_make(
		request,
		&(FhaHttpParts){
			.url = call->url,
			.scheme = "https",
			.method = methods[call->verb],
			.body = call->body,
			.body_size = call->body_size,
			.tls = {kube->ca.text, kube->client_cert.text, kube->client_key.text},
			/* The deadline is ours to keep; libcurl shares out the time among addresses. */
			.connect_ms = left_ms < CONNECT_MAX_MS ? left_ms : CONNECT_MAX_MS,
			.take_header = take_header,
			.take_body = take_body,
			.owner = call});
	fha_http_request_header(request, "Accept: application/json");
	if (call->body != NULL)
		fha_http_request_header(request, call->verb == FHA_KUBE_PATCH
											 ? "Content-Type: application/merge-patch+json"
											 : "Content-Type: application/json");
	if (kube->token.text != NULL)
		fha_http_request_bearer(request, kube->token.text);
	if (request->curl != NULL && !set_options(kube, request->curl, call, now_ms))
		request->failed = true; /* LCOV_EXCL_LINE: no memory */
}

void
fha_kube_hang_up(FhaKube *kube, FhaKubeTransfer *call)
{
	fha_http_request_drop(&kube->client, &call->request);
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
	call->event.status = 0;
	fha_kube_answer_release(&call->answer);
	(void) fha_kube_secret_refresh(&kube->token, NULL, false);
	(void) fha_kube_secret_refresh(&kube->ca, "CERTIFICATE", false);
	/* A pair of which one half is still the old one makes no connection, and the next call tries again. */
	(void) fha_kube_secret_refresh(&kube->client_cert, "CERTIFICATE", false);
	(void) fha_kube_secret_refresh(&kube->client_key, "PRIVATE KEY", false);
	make_request(kube, call, now_ms);
	return fha_http_request_start(&kube->client, &call->request);
}
