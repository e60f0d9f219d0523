/*
 * token.c: see store/azure/token.h.
 */
#include "store/azure/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"
#include "base/tame.h"
#include "store/encode.h"

#define AUTHORITY "https://login.microsoftonline.com"
#define METADATA "http://169.254.169.254"
#define RESOURCE "https://storage.azure.com/"
#define ASSERTION "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
/* A token has 2 kB. */
#define ANSWER_MAX (64 * 1024)
#define ASK_MS 15000
/* So long before a token expires it is replaced; of a short one, half its life before. */
#define REFRESH_MS (5 * 60 * 1000)
/* After a failure, while the old token is still good. */
#define AGAIN_MS 10000
/* A token that is refused at this age was never good. */
#define YOUNG_MS 10000
/* Nobody means a longer one. */
#define LIVES_MAX_S (48 * 60 * 60)

void
fha_azure_environment(FhaAzureEnvironment *out)
{
	*out = (FhaAzureEnvironment){.tenant = getenv("AZURE_TENANT_ID"),
								 .client = getenv("AZURE_CLIENT_ID"),
								 .client_secret = getenv("AZURE_CLIENT_SECRET"),
								 .token_file = getenv("AZURE_FEDERATED_TOKEN_FILE"),
								 .authority = getenv("AZURE_AUTHORITY_HOST"),
								 .identity_endpoint = getenv("IDENTITY_ENDPOINT"),
								 .identity_header = getenv("IDENTITY_HEADER")};
}

static bool
token_is_set(const char *word)
{
	return word != NULL && word[0] != '\0';
}

/* "name=value" of a form or a query, with what separates it from the one before. */
static void
token_add_pair(FhaText *to, const char *separator, const char *name, const char *value)
{
	fha_text_add(to, separator);
	fha_text_add(to, name);
	fha_text_add(to, "=");
	fha_percent_encode(to, value, "");
}

/* An authority's answer to who proves to be a client: RFC 6749, 4.4, and RFC 7523, 2.2. */
static FhaCode
token_ask_authority(const FhaAzureEnvironment *environment, FhaAzureTokenAsk *out, FhaError *err)
{
	const char *host = token_is_set(environment->authority) ? environment->authority : AUTHORITY;
	size_t length = strlen(host);
	char *assertion = NULL;
	FhaCode code = FHA_OK;

	out->who = "Azure's authority";
	while (length > 0 && host[length - 1] == '/')
		length--;
	fha_text_add_bytes(&out->url, host, length);
	fha_text_add(&out->url, "/");
	fha_percent_encode(&out->url, environment->tenant, "");
	fha_text_add(&out->url, "/oauth2/v2.0/token");
	token_add_pair(&out->body, "", "grant_type", "client_credentials");
	token_add_pair(&out->body, "&", "client_id", environment->client);
	token_add_pair(&out->body, "&", "scope", RESOURCE ".default");
	if (token_is_set(environment->client_secret))
	{
		token_add_pair(&out->body, "&", "client_secret", environment->client_secret);
		return FHA_OK;
	}
	/* Its file is replaced every hour or so. */
	code = fha_secret_read(environment->token_file, FHA_TOKEN_MAX, &assertion, NULL, err);
	if (code == FHA_OK)
		code = fha_secret_trim_token(assertion, environment->token_file, err);
	if (code == FHA_OK)
	{
		token_add_pair(&out->body, "&", "client_assertion_type", ASSERTION);
		token_add_pair(&out->body, "&", "client_assertion", assertion);
	}
	fha_secret_free(assertion);
	if (code == FHA_NOT_FOUND || code == FHA_IO)
		code = err->code = FHA_INVALID;
	return code;
}

static void
token_ask_app_service(const FhaAzureEnvironment *environment, FhaAzureTokenAsk *out)
{
	out->who = "the identity endpoint";
	fha_text_add(&out->url, environment->identity_endpoint);
	token_add_pair(&out->url, strchr(environment->identity_endpoint, '?') == NULL ? "?" : "&",
				   "api-version", "2019-08-01");
	token_add_pair(&out->url, "&", "resource", RESOURCE);
	if (token_is_set(environment->client))
		token_add_pair(&out->url, "&", "client_id", environment->client);
	fha_text_add_format(&out->header, "X-IDENTITY-HEADER: %s", environment->identity_header);
}

static void
token_ask_metadata(const FhaAzureEnvironment *environment, FhaAzureTokenAsk *out)
{
	out->who = "the machine's metadata service";
	fha_text_add(&out->url, environment->metadata != NULL ? environment->metadata : METADATA);
	fha_text_add(&out->url, "/metadata/identity/oauth2/token");
	token_add_pair(&out->url, "?", "api-version", "2018-02-01");
	token_add_pair(&out->url, "&", "resource", RESOURCE);
	if (token_is_set(environment->client))
		token_add_pair(&out->url, "&", "client_id", environment->client);
	fha_text_add(&out->header, "Metadata: true");
}

FhaCode
fha_azure_token_ask(const FhaAzureEnvironment *environment, FhaAzureTokenAsk *out, FhaError *err)
{
	bool is_client = token_is_set(environment->tenant) && token_is_set(environment->client);
	FhaCode code = FHA_OK;

	memset(out, 0, sizeof(*out));
	if (is_client &&
		(token_is_set(environment->client_secret) || token_is_set(environment->token_file)))
		code = token_ask_authority(environment, out, err);
	else if (token_is_set(environment->identity_endpoint) &&
			 token_is_set(environment->identity_header))
		token_ask_app_service(environment, out);
	else
		token_ask_metadata(environment, out);
	if (code == FHA_OK && (out->url.failed || out->body.failed || out->header.failed))
		code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	if (code == FHA_OK && strncmp(fha_text_string(&out->url), "https://", 8) != 0 &&
		strncmp(fha_text_string(&out->url), "http://", 7) != 0)
		code = fha_error(err, FHA_INVALID, "the url of %s in the environment is none", out->who);
	/* Behind "http:" everybody on the way would read the secret; a machine's own services have no TLS. */
	if (code == FHA_OK && out->body.size > 0 &&
		strncmp(fha_text_string(&out->url), "https://", 8) != 0)
		code = fha_error(err, FHA_INVALID, "AZURE_AUTHORITY_HOST must be a https: url");
	return code;
}

void
fha_azure_token_ask_release(FhaAzureTokenAsk *ask)
{
	fha_text_release(&ask->url);
	fha_text_release(&ask->body);
	fha_text_release(&ask->header);
}

/* --- answers */

/* A number, or one as a text; 0: neither. */
static int64_t
token_number(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value) ||
		!(json_object_is_type(value, json_type_int) ||
		  json_object_is_type(value, json_type_string)))
		return 0;
	return json_object_get_int64(value);
}

static const char *
token_word(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, json_type_string))
		return "";
	return json_object_get_string(value);
}

static FhaCode
token_refusal(int status, struct json_object *answer, FhaError *err)
{
	char word[48] = "";
	char message[140] = "";

	if (answer != NULL)
	{
		const char *text = token_word(answer, "error");

		fha_copy_printable(word, sizeof(word), text, strlen(text));
		text = token_word(answer, "error_description");
		fha_copy_printable(message, sizeof(message), text, strlen(text));
	}
	/* 404 and 410: the metadata service is not ready yet. */
	return fha_error(
		err,
		status == 429 || status >= 500 || status == 404 || status == 410 ? FHA_AGAIN : FHA_DENIED,
		"HTTP status %d %s%s%s", status, word, message[0] == '\0' ? "" : ": ", message);
}

/* From the number of seconds that are left, or from when it ends. */
static bool
token_take(struct json_object *answer, int64_t wall_s, char **token, int64_t *lives_ms)
{
	const char *text = token_word(answer, "access_token");
	int64_t seconds = token_number(answer, "expires_in");
	size_t length = strlen(text);

	if (seconds <= 0)
		seconds = token_number(answer, "expires_on") - wall_s;
	if (length == 0 || length > FHA_TOKEN_MAX || seconds <= 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	*lives_ms = 1000 * (seconds < LIVES_MAX_S ? seconds : LIVES_MAX_S);
	*token = strdup(text);
	return true;
}

FhaCode
fha_azure_token_read(int status, const char *data, size_t size, int64_t wall_s, char **token,
					 int64_t *lives_ms, FhaError *err)
{
	struct json_object *answer = fha_json_parse(data, size, NULL);
	FhaCode code = FHA_OK;

	*token = NULL;
	if (status != 200)
		code = token_refusal(status, answer, err);
	else if (answer == NULL || !token_take(answer, wall_s, token, lives_ms))
		code = fha_error(err, FHA_PROTOCOL, "the answer has no token that can be used");
	else if (*token == NULL)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	if (answer != NULL)
		json_object_put(answer);
	return code;
}

/* --- the token in use */

static void
tokens_drop_call(FhaAzureTokens *tokens)
{
	fha_http_call_drop(tokens->client, &tokens->call);
	fha_azure_token_ask_release(&tokens->ask);
	tokens->asking = false;
}

void
fha_azure_tokens_close(FhaAzureTokens *tokens)
{
	tokens_drop_call(tokens);
	fha_secret_free(tokens->text);
	tokens->text = NULL;
}

static void
tokens_forget(FhaAzureTokens *tokens)
{
	fha_secret_free(tokens->text);
	tokens->text = NULL;
	tokens->refresh_at_ms = tokens->expires_at_ms = 0;
}

static void
tokens_answered(FhaHttpCall *call)
{
	FhaAzureTokens *tokens = call->ask.owner;
	int64_t now_ms = fha_now_ms();
	int64_t lives_ms = 0;
	char *token = NULL;
	FhaError err = {.code = FHA_OK};
	FhaCode code = call->code;
	bool urgent = tokens->urgent;

	if (code == FHA_OK)
		code = fha_azure_token_read(call->status, fha_text_string(&call->body), call->body.size,
									fha_wall_ms() / 1000, &token, &lives_ms, &err);
	else
		err = call->error;
	tokens->failure.code = FHA_OK;
	tokens->refresh_at_ms = now_ms + AGAIN_MS;
	if (code != FHA_OK)
		(void) fha_error(&tokens->failure, code, "no token from %s: %s", tokens->ask.who, err.text);
	else
	{
		tokens_forget(tokens);
		tokens->text = token;
		tokens->generation++;
		tokens->got_at_ms = now_ms;
		tokens->expires_at_ms = now_ms + lives_ms;
		tokens->refresh_at_ms =
			tokens->expires_at_ms - (lives_ms > 2 * REFRESH_MS ? REFRESH_MS : lives_ms / 2);
	}
	tokens_drop_call(tokens);
	tokens->urgent = false;
	if (urgent)
		tokens->changed(tokens->owner);
	/* analyzer: a token is given with OK alone */
}

/* False, with *err: it cannot be made. */
static bool
tokens_begin(FhaAzureTokens *tokens, int64_t now_ms, FhaError *err)
{
	FhaAzureTokenAsk *ask = &tokens->ask;
	bool is_form;

	if (fha_azure_token_ask(&tokens->environment, ask, err) != FHA_OK)
	{
		fha_azure_token_ask_release(ask);
		return false;
	}
	is_form = ask->body.size > 0;
	fha_http_call_make(&tokens->call,
					   &(FhaHttpAsk){.method = is_form ? "POST" : "GET",
									 .url = fha_text_string(&ask->url),
									 .ca = tokens->ca->text,
									 .body = is_form ? fha_text_string(&ask->body) : NULL,
									 .body_size = ask->body.size,
									 .deadline_at_ms = now_ms + ASK_MS,
									 .answer_max = ANSWER_MAX,
									 .ended = tokens_answered,
									 .owner = tokens});
	fha_http_request_header(&tokens->call.request, "Accept: application/json");
	if (ask->header.size > 0)
		fha_http_request_header(&tokens->call.request, fha_text_string(&ask->header));
	tokens->asking = fha_http_call_start(tokens->client, &tokens->call);
	if (!tokens->asking)
	{
		/* LCOV_EXCL_START: no memory */
		tokens_drop_call(tokens);
		(void) fha_error(err, FHA_NO_MEMORY, "out of memory");
		/* LCOV_EXCL_STOP */
	}
	return tokens->asking;
}

const char *
fha_azure_tokens_get(FhaAzureTokens *tokens, FhaError *err)
{
	int64_t now_ms = fha_now_ms();
	bool usable = tokens->text != NULL && now_ms < tokens->expires_at_ms;

	err->code = FHA_OK;
	if (!tokens->asking && (!usable || now_ms >= tokens->refresh_at_ms) &&
		!tokens_begin(tokens, now_ms, err))
		tokens->refresh_at_ms = now_ms + AGAIN_MS;
	if (usable)
	{
		err->code = FHA_OK;
		return tokens->text;
	}
	tokens->urgent = true;
	return NULL;
}

bool
fha_azure_tokens_refused(FhaAzureTokens *tokens, unsigned generation)
{
	bool is_old = fha_now_ms() - tokens->got_at_ms > YOUNG_MS;

	/* By now there may be another one. */
	if (tokens->generation != generation)
		return true;
	if (is_old)
		tokens_forget(tokens);
	return is_old;
}
