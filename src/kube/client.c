/*
 * client.c: calls to the API server, from their start to their one end.  See kube/client.h.
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
take_over(FhaKubeSecret *secret, char **text, const char *path)
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
	take_over(&kube->token, &kube->config.token, kube->config.token_file);
	take_over(&kube->ca, &kube->config.ca, kube->config.ca_file);
	take_over(&kube->client_cert, &kube->config.client_cert, kube->config.client_cert_file);
	take_over(&kube->client_key, &kube->config.client_key, kube->config.client_key_file);
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
forget(FhaKube *kube, FhaKubeTransfer *call)
{
	fha_kube_hang_up(kube, call);
	free(call->url);
	free(call->body);
	fha_kube_answer_release(&call->answer);
	memset(call, 0, sizeof(*call));
}

static void
release_held(FhaKube *kube)
{
	if (kube->held != NULL)
		forget(kube, kube->held);
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
	for (size_t i = 0; i < FHA_KUBE_CALLS_MAX; i++)
		forget(kube, &kube->calls[i]);
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
fha_kube_start(FhaKube *kube, const FhaKubeCall *wanted, unsigned *id, FhaError *err)
{
	FhaKubeTransfer *call = kube->calls;
	int64_t now_ms = fha_now_ms();
	size_t size = strlen(kube->config.server) + strlen(wanted->path) + 1;

	release_held(kube);
	while (call < kube->calls + FHA_KUBE_CALLS_MAX && call->id != 0)
		call++;
	if (call == kube->calls + FHA_KUBE_CALLS_MAX)
		return fha_error(err, FHA_CONFLICT, "too many requests to the API server are under way");
	if (!is_path(wanted->path) || wanted->body_size > FHA_KUBE_ANSWER_MAX)
		return fha_error(err, FHA_INVALID,
						 "\"%.100s\" is no path of the API, or its body is too long", wanted->path);
	call->verb = wanted->verb;
	call->answer_max = wanted->answer_max != 0 ? wanted->answer_max : FHA_KUBE_ANSWER_MAX;
	call->deadline_ms = wanted->deadline_ms;
	call->silence_ms = wanted->silence_ms;
	call->url = malloc(size);
	/* analyzer: forget() frees it, and the body */
	if (call->url != NULL)
		(void) snprintf(call->url, size, "%s%s", kube->config.server, wanted->path);
	if (fha_kube_is_write(wanted->verb) &&
		(wanted->body != NULL || wanted->verb != FHA_KUBE_DELETE))
	{
		call->body_size = wanted->body == NULL ? 0 : wanted->body_size;
		call->body = malloc(call->body_size + 1);
		/* analyzer: the same */
		if (call->body != NULL && call->body_size > 0)
			memcpy(call->body, wanted->body, call->body_size);
	}
	/* One whose deadline has passed ends in the next step. */
	if (call->url == NULL ||
		(call->body == NULL && fha_kube_is_write(wanted->verb) &&
		 (wanted->body != NULL || wanted->verb != FHA_KUBE_DELETE)) ||
		(now_ms < call->deadline_ms && !fha_kube_send(kube, call, now_ms)))
	{
		/* LCOV_EXCL_START: no memory */
		forget(kube, call);
		return fha_error(err, FHA_NO_MEMORY, "a request to the API server could not be made");
		/* LCOV_EXCL_STOP */
	}
	if (++kube->last_id == 0)
		kube->last_id = 1; /* LCOV_EXCL_LINE: after four thousand million calls */
	call->id = kube->last_id;
	*id = call->id;
	return FHA_OK;
}

void
fha_kube_cancel(FhaKube *kube, unsigned id)
{
	release_held(kube);
	for (size_t i = 0; i < FHA_KUBE_CALLS_MAX; i++)
		if (id != 0 && kube->calls[i].id == id)
			forget(kube, &kube->calls[i]);
}

/* --- how a call ends */

static void
end(FhaKube *kube, FhaKubeTransfer *call, FhaCode code)
{
	call->event.code = code;
	call->ended = true;
	fha_kube_hang_up(kube, call);
}

/* No answer, or none that is whole. */
static void
fail(FhaKube *kube, FhaKubeTransfer *call, FhaCode code, const char *why)
{
	FhaError *err = &call->event.error;

	kube->failed_ms = fha_now_ms();
	if (fha_kube_is_write(call->verb) && call->sent)
		code = fha_error(err, FHA_UNKNOWN, "the API server may have carried it out: %s", why);
	else
		code = fha_error(err, code, "%s", why);
	if (!fha_kube_is_stream(call))
		fha_kube_answer_release(&call->answer);
	end(kube, call, code);
}

/* Is there time for another try in wait_ms?  Then it is planned. */
static bool
try_again(FhaKube *kube, FhaKubeTransfer *call, int64_t now_ms, int64_t wait_ms)
{
	if (wait_ms >= call->deadline_ms - now_ms)
		return false;
	fha_kube_hang_up(kube, call);
	call->again_ms = now_ms + wait_ms;
	return true;
}

/* In milliseconds; 0: the answer does not say, or its status gives it no meaning. */
static int64_t
retry_after(const FhaKubeTransfer *call)
{
	curl_off_t seconds = 0;

	if ((call->event.status != 429 && call->event.status != 503) ||
		curl_easy_getinfo(call->request.curl, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK ||
		seconds < 0)
		return 0;
	return 1000 * (int64_t) (seconds < RETRY_AFTER_MAX_S ? seconds : RETRY_AFTER_MAX_S);
}

/* An answer that is there in whole. */
static void
settle(FhaKube *kube, FhaKubeTransfer *call, int64_t now_ms)
{
	FhaKubeEvent *event = &call->event;
	const char *body;
	size_t size;

	event->retry_after_ms = retry_after(call);
	if (event->status == 429 &&
		try_again(kube, call, now_ms,
				  event->retry_after_ms > 0 ? event->retry_after_ms : RETRY_AFTER_MS))
		return;
	if (event->status == 401 && !call->token_again &&
		fha_kube_secret_refresh(&kube->token, NULL, true))
	{
		call->token_again = true;
		if (try_again(kube, call, now_ms, 0))
			return;
	}
	body = fha_kube_answer_rest(&call->answer, &size);
	if (fha_kube_is_stream(call) && size > 0 && body[size - 1] != '\n')
		fail(kube, call, FHA_IO, "the watch ended in the middle of a line");
	else
		end(kube, call, fha_kube_verdict(call->verb, event->status, body, size, &event->error));
}

static void
finish(FhaKube *kube, FhaKubeTransfer *call, CURLcode result, int64_t now_ms)
{
	char why[CURL_ERROR_SIZE];

	(void) snprintf(why, sizeof(why), "%s",
					call->request.problem[0] != '\0' ? call->request.problem
													 : curl_easy_strerror(result));
	if (result == CURLE_OK && call->headed)
		settle(kube, call, now_ms);
	/* For libcurl a head that is cut off is an answer. */
	else if (result == CURLE_OK)
		fail(kube, call, FHA_IO, "the connection ended in the head of the answer");
	else if (call->too_long)
		fail(kube, call, FHA_PROTOCOL, "the answer is too long");
	else if (call->no_memory || result == CURLE_OUT_OF_MEMORY)
		fail(kube, call, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	else if (result == CURLE_ABORTED_BY_CALLBACK)
		fail(kube, call, FHA_IO, "the connection ended without an answer");
	else
		fail(kube, call, result == CURLE_OPERATION_TIMEDOUT ? FHA_TIMEOUT : FHA_IO, why);
}

/* When the call wants to be looked at even if nothing comes. */
static int64_t
call_wake_ms(const FhaKubeTransfer *call)
{
	if (call->id == 0 || call->ended)
		return INT64_MAX;
	if (call->again_ms != 0)
		return call->again_ms;
	if (!fha_kube_is_stream(call))
		return call->deadline_ms;
	return call->silence_ms == 0 || call->paused ? INT64_MAX : call->heard_ms + call->silence_ms;
}

int64_t
fha_kube_wake_ms(const FhaKube *kube)
{
	int64_t wake_ms = kube->client.timer_ms;

	for (size_t i = 0; i < FHA_KUBE_CALLS_MAX; i++)
	{
		int64_t its_ms = call_wake_ms(&kube->calls[i]);

		if (its_ms < wake_ms)
			wake_ms = its_ms;
	}
	return wake_ms;
}

static void
wake(FhaKube *kube, FhaKubeTransfer *call, int64_t now_ms)
{
	if (call->again_ms != 0)
	{
		if (now_ms < call->deadline_ms && fha_kube_send(kube, call, now_ms))
			return;
		/* What was answered 429 or 401 was not carried out. */
		call->sent = false; /* LCOV_EXCL_LINE: no memory, or a step that comes much too late */
	}
	if (fha_kube_is_stream(call))
		fail(kube, call, FHA_TIMEOUT, "the watch has gone silent");
	else if (now_ms < call->deadline_ms)
		fail(kube, call, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	else
		fail(kube, call, FHA_TIMEOUT, "the API server did not answer in time");
}

/* --- events */

static void
drive(FhaKube *kube)
{
	FhaKubeTransfer *call;
	CURLcode result;
	int64_t now_ms;

	for (call = kube->calls; call < kube->calls + FHA_KUBE_CALLS_MAX; call++)
		if (call->paused && !fha_kube_answer_has_line(&call->answer))
		{
			call->paused = false;
			(void) curl_easy_pause(call->request.curl, CURLPAUSE_CONT);
		}
	fha_http_client_drive(&kube->client);
	now_ms = fha_now_ms();
	while ((call = fha_http_client_next(&kube->client, &result)) != NULL)
		finish(kube, call, result, now_ms);
	/* What came in time was seen above, however late this step is. */
	for (call = kube->calls; call < kube->calls + FHA_KUBE_CALLS_MAX; call++)
		if (now_ms >= call_wake_ms(call))
			wake(kube, call, now_ms);
}

/* A line of a watch, or its end when there is none left. */
static bool
tell_watch(FhaKube *kube, FhaKubeTransfer *call, FhaKubeEvent *event)
{
	size_t size;
	const char *line = fha_kube_answer_line(&call->answer, &size);

	if (line != NULL && size > call->answer_max)
	{
		fha_kube_answer_release(&call->answer);
		fail(kube, call, FHA_PROTOCOL, "a line of the watch is too long");
		line = NULL;
	}
	if (line != NULL)
	{
		event->id = call->id;
		event->status = call->event.status;
		event->data = line;
		event->size = size;
		return true;
	}
	if (!call->ended)
		return false;
	*event = call->event;
	event->id = call->id;
	event->ended = true;
	event->data = "";
	kube->held = call;
	return true;
}

FhaCode
fha_kube_step(FhaKube *kube, FhaKubeEvent *event)
{
	FhaKubeTransfer *call;

	memset(event, 0, sizeof(*event));
	release_held(kube);
	drive(kube);
	/* A renewal's end is not to wait behind the lines of a watch. */
	for (call = kube->calls; call < kube->calls + FHA_KUBE_CALLS_MAX; call++)
		if (call->ended && !fha_kube_is_stream(call))
		{
			*event = call->event;
			event->id = call->id;
			event->ended = true;
			event->data = fha_kube_answer_rest(&call->answer, &event->size);
			kube->held = call;
			return FHA_OK;
		}
	for (call = kube->calls; call < kube->calls + FHA_KUBE_CALLS_MAX; call++)
		if (fha_kube_is_stream(call) && tell_watch(kube, call, event))
			return FHA_OK;
	return FHA_AGAIN;
}
