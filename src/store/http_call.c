/*
 * http_call.c: see store/http_call.h.
 */
#include "store/http_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/encode.h"

/* Real ones are below 4 kB. */
#define HEAD_MAX (64 * 1024)
#define CONNECT_MAX_MS 15000
/* No store means a longer one. */
#define RETRY_AFTER_MAX_S 3600

/* libcurl would send it a second time, over a new connection, if an old one ended without an answer. */
static int
http_call_before_sending(void *argument, char *remote, char *local, int remote_port, int local_port)
{
	FhaHttpCall *call = argument;

	(void) remote;
	(void) local;
	(void) remote_port;
	(void) local_port;
	if (call->sent)
		return CURL_PREREQFUNC_ABORT;
	call->sent = true;
	return CURL_PREREQFUNC_OK;
}

static size_t
http_call_take_header(char *data, size_t one, size_t size, void *argument)
{
	FhaHttpCall *call = argument;
	long status = 0;

	(void) one;
	call->head_size += size;
	call->too_long = call->head_size > HEAD_MAX;
	/* An empty line ends it; heads before the last are 1xx, and lines after it are a trailer. */
	if (call->status == 0 && size <= 2 && (data[0] == '\r' || data[0] == '\n') &&
		curl_easy_getinfo(call->request.curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
		status >= 200)
	{
		call->status = (int) status;
		call->refused = call->ask.headed != NULL && !call->ask.headed(call);
	}
	return call->too_long || call->refused ? 0 : size;
}

static size_t
http_call_keep(FhaHttpCall *call, const char *data, size_t size)
{
	call->too_long = call->body.size + size > call->ask.answer_max;
	if (call->too_long)
		return 0;
	fha_text_add_bytes(&call->body, data, size);
	return call->body.failed ? 0 : size;
}

static size_t
http_call_take_body(char *data, size_t one, size_t size, void *argument)
{
	FhaHttpCall *call = argument;
	size_t taken;

	(void) one;
	if (call->ask.take == NULL || call->status < 200 || call->status > 299)
		return http_call_keep(call, data, size);
	/* A piece whose beginning was taken comes again from its beginning. */
	if (call->skipped >= size)
	{
		/* LCOV_EXCL_START: libcurl gives it again in pieces as large as before */
		call->skipped -= size;
		return size;
		/* LCOV_EXCL_STOP */
	}
	taken = call->ask.take(data + call->skipped, size - call->skipped, call->ask.owner);
	if (call->refused)
		return 0;
	call->taken += taken;
	call->skipped += taken;
	if (call->skipped < size)
	{
		call->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	call->skipped = 0;
	return size;
}

/* A body of a PUT goes out in pieces of this size. */
#define SEND_BYTES (256L * 1024L)

static bool
http_call_set_options(FhaHttpCall *call, const FhaHttpAsk *ask)
{
	CURL *curl = call->request.curl;
	bool is_head = strcmp(ask->method, "HEAD") == 0;

	return curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, http_call_before_sending) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_PREREQDATA, call) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
		   curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES) == CURLE_OK &&
		   (!is_head || (curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL) == CURLE_OK &&
						 curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) == CURLE_OK)) &&
		   (ask->silence_ms == 0 ||
			(curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
			 curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
							  (long) ((ask->silence_ms + 999) / 1000)) == CURLE_OK));
}

void
fha_http_call_make(FhaHttpCall *call, const FhaHttpAsk *ask)
{
	bool is_secure = strncmp(ask->url, "https:", 6) == 0;
	int64_t left_ms = ask->deadline_at_ms - fha_now_ms();

	memset(call, 0, sizeof(*call));
	call->ask = *ask;
	call->ask.method = call->ask.url = call->ask.ca = call->ask.body = NULL;
	if (ask->answer_max == 0)
		call->ask.answer_max = FHA_HTTP_ANSWER_MAX;
	/* 0 would be no limit. */
	if (left_ms < 1)
		left_ms = 1;
	fha_http_request_make(
		&call->request,
		&(FhaHttpParts){.url = ask->url,
						.scheme = is_secure ? "https" : "http",
						.method = ask->method,
						.body = ask->body,
						.body_size = ask->body_size,
						/* It is copied, and not changed. */
						.tls = {.ca = is_secure ? (char *) (uintptr_t) ask->ca : NULL},
						.connect_ms = left_ms < CONNECT_MAX_MS ? left_ms : CONNECT_MAX_MS,
						.whole_ms = left_ms,
						.take_header = http_call_take_header,
						.take_body = http_call_take_body,
						.owner = call});
	if (call->request.curl != NULL && !http_call_set_options(call, ask))
		call->request.failed = true; /* LCOV_EXCL_LINE: no memory */
}

bool
fha_http_call_start(FhaHttpClient *client, FhaHttpCall *call)
{
	return fha_http_request_start(client, &call->request);
}

void
fha_http_call_drop(FhaHttpClient *client, FhaHttpCall *call)
{
	fha_http_request_drop(client, &call->request);
	fha_text_release(&call->body);
}

void
fha_http_call_go_on(FhaHttpCall *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	(void) curl_easy_pause(call->request.curl, CURLPAUSE_CONT);
}

static void
http_call_finish(FhaHttpCall *call, CURLcode result)
{
	const char *why =
		call->request.problem[0] != '\0' ? call->request.problem : curl_easy_strerror(result);

	if (call->refused)
		; /* `headed` or `take` has said why */
	else if (call->too_long)
		call->code = fha_error(&call->error, FHA_PROTOCOL, "the answer is too long");
	else if (call->body.failed || result == CURLE_OUT_OF_MEMORY)
		/* LCOV_EXCL_START: no memory */
		call->code = fha_error(&call->error, FHA_NO_MEMORY, "out of memory");
	/* LCOV_EXCL_STOP */
	else if (result == CURLE_OK && call->status != 0)
		call->code = FHA_OK;
	/* For libcurl a head that is cut off is an answer. */
	else if (result == CURLE_OK)
		call->code =
			fha_error(&call->error, FHA_IO, "the connection ended in the head of the answer");
	else if (result == CURLE_ABORTED_BY_CALLBACK)
		call->code = fha_error(&call->error, FHA_IO, "the connection ended without an answer");
	else
		call->code = fha_error(
			&call->error, result == CURLE_OPERATION_TIMEDOUT ? FHA_TIMEOUT : FHA_IO, "%s", why);
}

void
fha_http_call_step(FhaHttpClient *client)
{
	FhaHttpCall *call;
	CURLcode result;

	fha_http_client_drive(client);
	while ((call = fha_http_client_next(client, &result)) != NULL)
	{
		http_call_finish(call, result);
		call->ask.ended(call);
	}
}

bool
fha_http_call_header(const FhaHttpCall *call, const char *name, char *out, size_t size)
{
	struct curl_header *header;

	out[0] = '\0';
	if (call->request.curl == NULL || call->status == 0 ||
		curl_easy_header(call->request.curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK ||
		strlen(header->value) >= size)
		return false;
	(void) snprintf(out, size, "%s", header->value);
	return true;
}

bool
fha_http_call_header_u64(const FhaHttpCall *call, const char *name, uint64_t *out)
{
	char text[24];
	char *end;

	if (!fha_http_call_header(call, name, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return false;
	*out = strtoull(text, &end, 10);
	return *end == '\0';
}

int64_t
fha_http_call_retry_after_ms(const FhaHttpCall *call)
{
	curl_off_t seconds = 0;

	if (call->request.curl == NULL ||
		curl_easy_getinfo(call->request.curl, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK ||
		seconds < 0)
		return 0;
	return 1000 * (int64_t) (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
}

bool
fha_http_call_date(const FhaHttpCall *call, int64_t *seconds)
{
	char text[40];

	return fha_http_call_header(call, "Date", text, sizeof(text)) &&
		   fha_http_date_parse(text, seconds);
}
