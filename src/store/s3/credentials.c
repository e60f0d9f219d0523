/*
 * credentials.c: see store/s3/credentials.h.
 */
#include "store/s3/credentials.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/tame.h"

#define CREDENTIALS_TRY_MS 10000
#define CREDENTIALS_PAUSE_MS 1000
/* With old ones that are still good there is no hurry. */
#define CREDENTIALS_LONG_PAUSE_MS 15000
/* So long before they expire others are asked for, and they are not used any more. */
#define CREDENTIALS_EARLY_MS (15 * 60 * 1000)
#define CREDENTIALS_LATE_MS (60 * 1000)

static void
credentials_release_ask(FhaCredentialsAsk *ask)
{
	fha_text_release(&ask->url);
	fha_text_release(&ask->header);
	fha_text_release(&ask->type);
	fha_text_release(&ask->body);
}

static void
credentials_hang_up(FhaCredentials *credentials)
{
	fha_http_call_drop(credentials->client, &credentials->call);
	credentials_release_ask(&credentials->ask);
	credentials->asking = false;
}

static void
credentials_fail(FhaCredentials *credentials, int64_t now_ms)
{
	bool usable = credentials->has && now_ms < credentials->expires_at_ms;

	credentials->again_at_ms = now_ms + (usable ? CREDENTIALS_LONG_PAUSE_MS : CREDENTIALS_PAUSE_MS);
	credentials_hang_up(credentials);
}

static void
credentials_keep(FhaCredentials *credentials, int64_t lives_ms, int64_t now_ms)
{
	int64_t early_ms = lives_ms / 4 < CREDENTIALS_EARLY_MS ? lives_ms / 4 : CREDENTIALS_EARLY_MS;
	int64_t late_ms = lives_ms / 10 < CREDENTIALS_LATE_MS ? lives_ms / 10 : CREDENTIALS_LATE_MS;

	credentials->has = true;
	credentials->generation++;
	credentials->got_at_ms = now_ms;
	credentials->again_at_ms = 0;
	credentials->failure.code = FHA_OK;
	credentials->refresh_at_ms = lives_ms == INT64_MAX ? INT64_MAX : now_ms + lives_ms - early_ms;
	credentials->expires_at_ms = lives_ms == INT64_MAX ? INT64_MAX : now_ms + lives_ms - late_ms;
	credentials_hang_up(credentials);
}

static void credentials_send(FhaCredentials *credentials, bool first);

static void
credentials_ended(FhaHttpCall *call)
{
	FhaCredentials *credentials = call->ask.owner;
	int64_t lives_ms = INT64_MAX;
	FhaCode code = call->code;

	if (code == FHA_OK)
		code =
			credentials->source->take(credentials->owner, call, &lives_ms, &credentials->failure);
	else
		credentials->failure = call->error;
	if (code == FHA_OK)
		credentials_keep(credentials, lives_ms, fha_now_ms());
	else if (code == FHA_AGAIN)
	{
		credentials_hang_up(credentials);
		credentials_send(credentials, false);
	}
	else
		credentials_fail(credentials, fha_now_ms());
}

static void
credentials_make(FhaCredentials *credentials)
{
	FhaCredentialsAsk *ask = &credentials->ask;
	bool has_body = strcmp(ask->method, "GET") != 0;

	fha_http_call_make(&credentials->call,
					   &(FhaHttpAsk){.method = ask->method,
									 .url = fha_text_string(&ask->url),
									 .ca = credentials->ca,
									 .body = has_body ? fha_text_string(&ask->body) : NULL,
									 .body_size = ask->body.size,
									 .deadline_at_ms = fha_now_ms() + CREDENTIALS_TRY_MS,
									 .ended = credentials_ended,
									 .owner = credentials});
	if (ask->header.size > 0)
		fha_http_request_header(&credentials->call.request, ask->header.data);
	if (has_body)
		fha_http_request_header(&credentials->call.request,
								ask->type.size > 0 ? ask->type.data : "Content-Type:");
}

static void
credentials_send(FhaCredentials *credentials, bool first)
{
	FhaCredentialsAsk *ask = &credentials->ask;
	FhaCode code = credentials->source->ask(credentials->owner, first, ask, &credentials->failure);

	if (code == FHA_OK &&
		(ask->url.failed || ask->header.failed || ask->type.failed || ask->body.failed))
		/* LCOV_EXCL_START: no memory */
		code = fha_error(&credentials->failure, FHA_NO_MEMORY, "out of memory");
	/* LCOV_EXCL_STOP */
	if (code == FHA_OK)
	{
		credentials_make(credentials);
		credentials->asking = fha_http_call_start(credentials->client, &credentials->call);
		if (!credentials->asking)
			/* LCOV_EXCL_START: no memory */
			code = fha_error(&credentials->failure, FHA_NO_MEMORY, "out of memory");
		/* LCOV_EXCL_STOP */
	}
	if (code != FHA_OK)
		credentials_fail(credentials, fha_now_ms());
}

FhaCode
fha_credentials_want(FhaCredentials *credentials, FhaError *err)
{
	int64_t now_ms = fha_now_ms();
	bool usable = credentials->has && now_ms < credentials->expires_at_ms;

	if (!credentials->asking && now_ms >= credentials->again_at_ms &&
		(!usable || now_ms >= credentials->refresh_at_ms))
		credentials_send(credentials, true);
	if (usable)
		return FHA_OK;
	if (credentials->asking)
		return FHA_AGAIN;
	return fha_error(err, credentials->failure.code, "%s", credentials->failure.text);
}

void
fha_credentials_distrust(FhaCredentials *credentials)
{
	credentials->has = false;
}

void
fha_credentials_close(FhaCredentials *credentials)
{
	if (credentials->client != NULL)
		credentials_hang_up(credentials);
}

char *
fha_credentials_text(struct json_object *from, const char *key)
{
	struct json_object *value = NULL;
	char *copy;

	if (!json_object_object_get_ex(from, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return NULL;
	copy = strdup(json_object_get_string(value));
	/* json-c frees its text as it is. */
	OPENSSL_cleanse((char *) (uintptr_t) json_object_get_string(value),
					(size_t) json_object_get_string_len(value));
	return copy;
}

FhaCode
fha_credentials_refusal(const FhaHttpCall *call, const char *who, const char *words, FhaError *err)
{
	char said[130];
	FhaCode code = FHA_IO;

	fha_copy_printable(said, sizeof(said), words, strlen(words));
	if (call->status >= 400 && call->status < 500 && call->status != 408 && call->status != 429)
		code = FHA_DENIED;
	else if (call->status < 500)
		code = FHA_PROTOCOL;
	return fha_error(err, code, "%s gave no credentials: HTTP status %d%s%s", who, call->status,
					 said[0] == '\0' ? "" : ": ", said);
}
