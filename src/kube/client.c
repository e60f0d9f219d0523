/*
 * client.c: requests to the API server, from their start to their one end.  See kube/client.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/client_private.h"

#define URL_PATH_MAX 2048
/* Of a 429 that does not say. */
#define RETRY_AFTER_MS 1000
/* No server means a longer one. */
#define RETRY_AFTER_MAX_S 86400

static void
secret_take_over(FhaSecret *secret, char **text, const char *path)
{
	secret->text = *text;
	*text = NULL;
	memcpy(secret->path, path, sizeof(secret->path));
}

FhaCode
fha_kube_open(FhaKube **out, FhaKubeConfig *config, FhaError *err)
{
	FhaKube *kube = calloc(1, sizeof(*kube));
	FhaCode code;

	*out = NULL;
	if (kube == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		fha_kube_config_release(config);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
		/* LCOV_EXCL_STOP */
	}
	kube->config = *config;
	memset(config, 0, sizeof(*config));
	secret_take_over(&kube->token, &kube->config.token, kube->config.token_file);
	secret_take_over(&kube->ca, &kube->config.ca, kube->config.ca_file);
	secret_take_over(&kube->client_cert, &kube->config.client_cert, kube->config.client_cert_file);
	secret_take_over(&kube->client_key, &kube->config.client_key, kube->config.client_key_file);
	code = fha_http_client_init(&kube->client, err);
	if (code == FHA_OK && kube->config.server[0] == '\0')
		code = fha_error(err, FHA_INVALID, "the configuration names no server");
	if (code != FHA_OK)
	{
		fha_kube_close(kube);
		return code;
	}
	*out = kube;
	return FHA_OK;
}

static void
transfer_forget(FhaKube *kube, FhaKubeTransfer *transfer)
{
	fha_kube_hang_up(kube, transfer);
	free(transfer->url);
	free(transfer->body);
	fha_kube_answer_release(&transfer->answer);
	memset(transfer, 0, sizeof(*transfer));
}

static void
release_held(FhaKube *kube)
{
	if (kube->held != NULL)
		transfer_forget(kube, kube->held);
	kube->held = NULL;
}

FhaCode
fha_kube_open_of_lock(FhaKube **out, const char *uri, FhaError *err)
{
	FhaKubeConfig config;
	FhaKubePlace place;
	FhaLockScheme scheme;
	const char *rest;
	FhaCode code;

	*out = NULL;
	if (fha_lock_uri_scheme(uri, &scheme, &rest, NULL) != FHA_OK || scheme != FHA_LOCK_KUBERNETES)
		return fha_error(err, FHA_NOT_FOUND, "the lock is not of Kubernetes");
	code = fha_kube_place_parse(rest, &place, err);
	if (code == FHA_OK)
		code = fha_kube_config_of(&place, &config, err);
	return code == FHA_OK ? fha_kube_open(out, &config, err) : code;
}

void
fha_kube_close(FhaKube *kube)
{
	if (kube == NULL)
		return;
	for (size_t i = 0; i < FHA_KUBE_REQUESTS_MAX; i++)
		transfer_forget(kube, &kube->transfers[i]);
	fha_http_client_release(&kube->client);
	fha_secret_free(kube->token.text);
	fha_secret_free(kube->ca.text);
	fha_secret_free(kube->client_cert.text);
	fha_secret_free(kube->client_key.text);
	fha_kube_config_release(&kube->config);
	free(kube);
}

int
fha_kube_fd(const FhaKube *kube)
{
	return kube->client.epoll;
}

const char *
fha_kube_namespace(const FhaKube *kube)
{
	return kube->config.namespace_;
}

static bool
is_path(const char *path)
{
	size_t length = strlen(path);

	if (path[0] != '/' || length > URL_PATH_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (path[i] <= ' ' || path[i] > '~' || path[i] == '#')
			return false;
	return true;
}

FhaCode
fha_kube_start(FhaKube *kube, const FhaKubeRequest *wanted, unsigned *id, FhaError *err)
{
	FhaKubeTransfer *transfer = kube->transfers;
	int64_t now_ms = fha_now_ms();
	size_t size = strlen(kube->config.server) + strlen(wanted->path) + 1;

	release_held(kube);
	while (transfer < kube->transfers + FHA_KUBE_REQUESTS_MAX && transfer->id != 0)
		transfer++;
	if (transfer == kube->transfers + FHA_KUBE_REQUESTS_MAX)
		return fha_error(err, FHA_CONFLICT, "too many requests to the API server are under way");
	if (!is_path(wanted->path) || wanted->body_size > FHA_KUBE_ANSWER_MAX)
		return fha_error(err, FHA_INVALID,
						 "\"%.100s\" is no path of the API, or its body is too long", wanted->path);
	transfer->verb = wanted->verb;
	transfer->answer_max = wanted->answer_max != 0 ? wanted->answer_max : FHA_KUBE_ANSWER_MAX;
	transfer->deadline_at_ms = wanted->deadline_at_ms;
	transfer->silence_ms = wanted->silence_ms;
	transfer->url = malloc(size);
	/* analyzer: transfer_forget() frees it, and the body */
	if (transfer->url != NULL)
		(void) snprintf(transfer->url, size, "%s%s", kube->config.server, wanted->path);
	if (fha_kube_is_write(wanted->verb) &&
		(wanted->body != NULL || wanted->verb != FHA_KUBE_DELETE))
	{
		transfer->body_size = wanted->body == NULL ? 0 : wanted->body_size;
		transfer->body = malloc(transfer->body_size + 1);
		/* analyzer: the same */
		if (transfer->body != NULL && transfer->body_size > 0)
			memcpy(transfer->body, wanted->body, transfer->body_size);
	}
	/* One whose deadline has passed ends in the next step. */
	if (transfer->url == NULL ||
		(transfer->body == NULL && fha_kube_is_write(wanted->verb) &&
		 (wanted->body != NULL || wanted->verb != FHA_KUBE_DELETE)) ||
		(now_ms < transfer->deadline_at_ms && !fha_kube_send(kube, transfer, now_ms)))
	{
		/* LCOV_EXCL_START: no memory */
		transfer_forget(kube, transfer);
		return fha_error(err, FHA_NO_MEMORY, "a request to the API server could not be made");
		/* LCOV_EXCL_STOP */
	}
	if (++kube->last_id == 0)
		kube->last_id = 1; /* LCOV_EXCL_LINE: after four thousand million requests */
	transfer->id = kube->last_id;
	*id = transfer->id;
	return FHA_OK;
}

void
fha_kube_cancel(FhaKube *kube, unsigned id)
{
	release_held(kube);
	for (size_t i = 0; i < FHA_KUBE_REQUESTS_MAX; i++)
		if (id != 0 && kube->transfers[i].id == id)
			transfer_forget(kube, &kube->transfers[i]);
}

/* --- how a request ends */

static void
transfer_end(FhaKube *kube, FhaKubeTransfer *transfer, FhaCode code)
{
	transfer->event.code = code;
	transfer->ended = true;
	fha_kube_hang_up(kube, transfer);
}

/* No answer, or none that is whole. */
static void
transfer_fail(FhaKube *kube, FhaKubeTransfer *transfer, FhaCode code, const char *why)
{
	FhaError *err = &transfer->event.error;

	kube->failed_at_ms = fha_now_ms();
	if (fha_kube_is_write(transfer->verb) && transfer->sent)
		code = fha_error(err, FHA_UNKNOWN, "the API server may have carried it out: %s", why);
	else
		code = fha_error(err, code, "%s", why);
	if (!fha_kube_is_stream(transfer))
		fha_kube_answer_release(&transfer->answer);
	transfer_end(kube, transfer, code);
}

/* Is there time for another try in wait_ms?  Then it is planned. */
static bool
try_again(FhaKube *kube, FhaKubeTransfer *transfer, int64_t now_ms, int64_t wait_ms)
{
	if (wait_ms >= transfer->deadline_at_ms - now_ms)
		return false;
	fha_kube_hang_up(kube, transfer);
	transfer->again_at_ms = now_ms + wait_ms;
	return true;
}

/* In milliseconds; 0: the answer does not say, or its status gives it no meaning. */
static int64_t
retry_after(const FhaKubeTransfer *transfer)
{
	curl_off_t seconds = 0;

	if ((transfer->event.status != 429 && transfer->event.status != 503) ||
		curl_easy_getinfo(transfer->request.curl, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK ||
		seconds < 0)
		return 0;
	return 1000 * (int64_t) (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
}

/* An answer that is there in whole. */
static void
transfer_settle(FhaKube *kube, FhaKubeTransfer *transfer, int64_t now_ms)
{
	FhaKubeEvent *event = &transfer->event;
	const char *body;
	size_t size;

	event->retry_after_ms = retry_after(transfer);
	if (event->status == 429 &&
		try_again(kube, transfer, now_ms,
				  event->retry_after_ms > 0 ? event->retry_after_ms : RETRY_AFTER_MS))
		return;
	if (event->status == 401 && !transfer->token_again &&
		fha_secret_refresh(&kube->token, NULL, true))
	{
		transfer->token_again = true;
		if (try_again(kube, transfer, now_ms, 0))
			return;
	}
	body = fha_kube_answer_rest(&transfer->answer, &size);
	if (fha_kube_is_stream(transfer) && size > 0 && body[size - 1] != '\n')
		transfer_fail(kube, transfer, FHA_IO, "the watch ended in the middle of a line");
	else
		transfer_end(kube, transfer,
					 fha_kube_verdict(transfer->verb, event->status, body, size, &event->error));
}

static void
transfer_finish(FhaKube *kube, FhaKubeTransfer *transfer, CURLcode result, int64_t now_ms)
{
	char why[CURL_ERROR_SIZE];

	(void) snprintf(why, sizeof(why), "%s",
					transfer->request.problem[0] != '\0' ? transfer->request.problem
														 : curl_easy_strerror(result));
	if (result == CURLE_OK && transfer->headed)
		transfer_settle(kube, transfer, now_ms);
	/* For libcurl a head that is cut off is an answer. */
	else if (result == CURLE_OK)
		transfer_fail(kube, transfer, FHA_IO, "the connection ended in the head of the answer");
	else if (transfer->too_long)
		transfer_fail(kube, transfer, FHA_PROTOCOL, "the answer is too long");
	else if (transfer->no_memory || result == CURLE_OUT_OF_MEMORY)
		transfer_fail(kube, transfer, FHA_NO_MEMORY,
					  "out of memory"); /* LCOV_EXCL_LINE: no memory */
	else if (result == CURLE_ABORTED_BY_CALLBACK)
		transfer_fail(kube, transfer, FHA_IO, "the connection ended without an answer");
	else
		transfer_fail(kube, transfer, result == CURLE_OPERATION_TIMEDOUT ? FHA_TIMEOUT : FHA_IO,
					  why);
}

/* When the request wants to be looked at even if nothing comes. */
static int64_t
transfer_wake_at_ms(const FhaKubeTransfer *transfer)
{
	if (transfer->id == 0 || transfer->ended)
		return INT64_MAX;
	if (transfer->again_at_ms != 0)
		return transfer->again_at_ms;
	if (!fha_kube_is_stream(transfer))
		return transfer->deadline_at_ms;
	return transfer->silence_ms == 0 || transfer->paused
			   ? INT64_MAX
			   : transfer->heard_at_ms + transfer->silence_ms;
}

int64_t
fha_kube_wake_at_ms(const FhaKube *kube)
{
	int64_t wake_at_ms = kube->client.timer_at_ms;

	for (size_t i = 0; i < FHA_KUBE_REQUESTS_MAX; i++)
	{
		int64_t its_at_ms = transfer_wake_at_ms(&kube->transfers[i]);

		if (its_at_ms < wake_at_ms)
			wake_at_ms = its_at_ms;
	}
	return wake_at_ms;
}

static void
transfer_wake(FhaKube *kube, FhaKubeTransfer *transfer, int64_t now_ms)
{
	if (transfer->again_at_ms != 0)
	{
		if (now_ms < transfer->deadline_at_ms && fha_kube_send(kube, transfer, now_ms))
			return;
		/* What was answered 429 or 401 was not carried out. */
		transfer->sent = false; /* LCOV_EXCL_LINE: no memory, or a step that comes much too late */
	}
	if (fha_kube_is_stream(transfer))
		transfer_fail(kube, transfer, FHA_TIMEOUT, "the watch has gone silent");
	else if (now_ms < transfer->deadline_at_ms)
		transfer_fail(kube, transfer, FHA_NO_MEMORY,
					  "out of memory"); /* LCOV_EXCL_LINE: no memory */
	else
		transfer_fail(kube, transfer, FHA_TIMEOUT, "the API server did not answer in time");
}

/* --- events */

static void
kube_drive(FhaKube *kube)
{
	FhaKubeTransfer *transfer;
	CURLcode result;
	int64_t now_ms;

	for (transfer = kube->transfers; transfer < kube->transfers + FHA_KUBE_REQUESTS_MAX; transfer++)
		if (transfer->paused && !fha_kube_answer_has_line(&transfer->answer))
		{
			transfer->paused = false;
			(void) curl_easy_pause(transfer->request.curl, CURLPAUSE_CONT);
		}
	fha_http_client_drive(&kube->client);
	now_ms = fha_now_ms();
	while ((transfer = fha_http_client_next(&kube->client, &result)) != NULL)
		transfer_finish(kube, transfer, result, now_ms);
	/* What came in time was seen above, however late this step is. */
	for (transfer = kube->transfers; transfer < kube->transfers + FHA_KUBE_REQUESTS_MAX; transfer++)
		if (now_ms >= transfer_wake_at_ms(transfer))
			transfer_wake(kube, transfer, now_ms);
}

/* A line of a watch, or its end when there is none left. */
static bool
tell_watch(FhaKube *kube, FhaKubeTransfer *transfer, FhaKubeEvent *event)
{
	size_t size;
	const char *line = fha_kube_answer_line(&transfer->answer, &size);

	if (line != NULL && size > transfer->answer_max)
	{
		fha_kube_answer_release(&transfer->answer);
		transfer_fail(kube, transfer, FHA_PROTOCOL, "a line of the watch is too long");
		line = NULL;
	}
	if (line != NULL)
	{
		event->id = transfer->id;
		event->status = transfer->event.status;
		event->data = line;
		event->size = size;
		return true;
	}
	if (!transfer->ended)
		return false;
	*event = transfer->event;
	event->id = transfer->id;
	event->ended = true;
	event->data = "";
	kube->held = transfer;
	return true;
}

FhaCode
fha_kube_step(FhaKube *kube, FhaKubeEvent *event)
{
	FhaKubeTransfer *transfer;

	memset(event, 0, sizeof(*event));
	release_held(kube);
	kube_drive(kube);
	/* A renewal's end is not to wait behind the lines of a watch. */
	for (transfer = kube->transfers; transfer < kube->transfers + FHA_KUBE_REQUESTS_MAX; transfer++)
		if (transfer->ended && !fha_kube_is_stream(transfer))
		{
			*event = transfer->event;
			event->id = transfer->id;
			event->ended = true;
			event->data = fha_kube_answer_rest(&transfer->answer, &event->size);
			kube->held = transfer;
			return FHA_OK;
		}
	for (transfer = kube->transfers; transfer < kube->transfers + FHA_KUBE_REQUESTS_MAX; transfer++)
		if (fha_kube_is_stream(transfer) && tell_watch(kube, transfer, event))
			return FHA_OK;
	return FHA_AGAIN;
}
