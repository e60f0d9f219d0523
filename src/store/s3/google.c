/*
 * google.c: see store/s3/google.h.
 */
#include "store/s3/google.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/clock.h"
#include "base/json.h"
#include "store/encode.h"

#define GOOGLE_SCOPE "https://www.googleapis.com/auth/devstorage.read_write"
#define GOOGLE_METADATA_HOST "metadata.google.internal"
#define GOOGLE_FORM "Content-Type: application/x-www-form-urlencoded"
/* Of a JWT; Google's own limit is an hour. */
#define GOOGLE_PROOF_S 3600
/* A difference of clocks that Google minds. */
#define GOOGLE_SKEW_S 240

/* --- the file */

static FhaCode
google_need(const char *value, const char *key, FhaError *err)
{
	if (value != NULL && value[0] != '\0')
		return FHA_OK;
	return fha_error(err, FHA_INVALID, "the file of Google's credentials has no \"%s\"", key);
}

static FhaCode
google_need_url(const char *url, const char *key, FhaError *err)
{
	if (url != NULL && strncmp(url, "https://", 8) == 0)
		return FHA_OK;
	return fha_error(err, FHA_INVALID,
					 "\"%s\" in the file of Google's credentials is no https: url", key);
}

static FhaCode
google_read_service_account(FhaGoogle *google, struct json_object *json, FhaError *err)
{
	FhaCode code;

	google->kind = FHA_GOOGLE_SERVICE_ACCOUNT;
	google->email = fha_credentials_text(json, "client_email");
	google->key = fha_credentials_text(json, "private_key");
	google->key_id = fha_credentials_text(json, "private_key_id");
	google->token_url = fha_credentials_text(json, "token_uri");
	code = google_need(google->email, "client_email", err);
	if (code == FHA_OK)
		code = google_need(google->key, "private_key", err);
	if (code == FHA_OK)
		code = fha_secret_check_pem(google->key, "PRIVATE KEY",
									"private_key of Google's credentials", err);
	return code == FHA_OK ? google_need_url(google->token_url, "token_uri", err) : code;
}

static FhaCode
google_read_external(FhaGoogle *google, struct json_object *json, FhaError *err)
{
	struct json_object *from = NULL;
	FhaCode code;

	google->kind = FHA_GOOGLE_EXTERNAL;
	google->audience = fha_credentials_text(json, "audience");
	google->subject_type = fha_credentials_text(json, "subject_token_type");
	google->token_url = fha_credentials_text(json, "token_url");
	google->impersonate_url = fha_credentials_text(json, "service_account_impersonation_url");
	if (json_object_object_get_ex(json, "credential_source", &from) &&
		json_object_is_type(from, json_type_object))
		google->subject_file = fha_credentials_text(from, "file");
	code = google_need(google->audience, "audience", err);
	if (code == FHA_OK)
		code = google_need(google->subject_type, "subject_token_type", err);
	if (code == FHA_OK)
		code = google_need(google->subject_file, "credential_source.file", err);
	if (code == FHA_OK && google->impersonate_url != NULL)
		code = google_need_url(google->impersonate_url, "service_account_impersonation_url", err);
	return code == FHA_OK ? google_need_url(google->token_url, "token_url", err) : code;
}

static FhaCode
google_read_user(FhaGoogle *google, struct json_object *json, FhaError *err)
{
	FhaCode code;

	google->kind = FHA_GOOGLE_USER;
	google->client = fha_credentials_text(json, "client_id");
	google->client_secret = fha_credentials_text(json, "client_secret");
	google->refresh = fha_credentials_text(json, "refresh_token");
	google->token_url = fha_credentials_text(json, "token_uri");
	if (google->token_url == NULL)
		google->token_url = strdup("https://oauth2.googleapis.com/token");
	code = google_need(google->client, "client_id", err);
	if (code == FHA_OK)
		code = google_need(google->client_secret, "client_secret", err);
	if (code == FHA_OK)
		code = google_need(google->refresh, "refresh_token", err);
	return code == FHA_OK ? google_need_url(google->token_url, "token_uri", err) : code;
}

static FhaCode
google_read(FhaGoogle *google, const char *text, FhaError *err)
{
	struct json_object *json = fha_json_parse(text, strlen(text), NULL);
	char *type = json == NULL ? NULL : fha_credentials_text(json, "type");
	FhaCode code;

	if (type != NULL && strcmp(type, "service_account") == 0)
		code = google_read_service_account(google, json, err);
	else if (type != NULL && strcmp(type, "external_account") == 0)
		code = google_read_external(google, json, err);
	else if (type != NULL && strcmp(type, "authorized_user") == 0)
		code = google_read_user(google, json, err);
	else
		code = fha_error(err, FHA_INVALID,
						 "Google's credentials are no JSON of the type service_account, "
						 "external_account or authorized_user");
	free(type);
	json_object_put(json);
	return code;
}

FhaCode
fha_google_open(FhaGoogle *google, const char *json, const char *metadata_host, FhaError *err)
{
	FhaCode code;

	memset(google, 0, sizeof(*google));
	if (json == NULL)
	{
		google->kind = FHA_GOOGLE_METADATA;
		google->metadata_host = metadata_host != NULL ? metadata_host : getenv("GCE_METADATA_HOST");
		if (google->metadata_host == NULL || google->metadata_host[0] == '\0')
			google->metadata_host = GOOGLE_METADATA_HOST;
		return FHA_OK;
	}
	code = google_read(google, json, err);
	if (code != FHA_OK)
		fha_google_close(google);
	return code;
}

void
fha_google_close(FhaGoogle *google)
{
	char *const secrets[] = {google->token_url,    google->email,           google->key,
							 google->key_id,       google->client,          google->client_secret,
							 google->refresh,      google->audience,        google->subject_type,
							 google->subject_file, google->impersonate_url, google->token};

	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		fha_secret_free(secrets[i]);
	fha_text_release(&google->federated);
	memset(google, 0, sizeof(*google));
}

/* --- requests */

/* RS256 of what *proof has, behind a '.'. */
static FhaCode
google_sign(const FhaGoogle *google, FhaText *proof, FhaError *err)
{
	/* No question at the terminal. */
	static char no_password[] = "";
	BIO *bio = BIO_new_mem_buf(google->key, -1);
	EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char signature[1024];
	size_t size = sizeof(signature);
	bool done = key != NULL && context != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA &&
				EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
				EVP_DigestSign(context, signature, &size, (const unsigned char *) proof->data,
							   proof->size) == 1;

	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	BIO_free(bio);
	if (!done)
		return fha_error(err, FHA_INVALID,
						 "private_key of Google's credentials is no RSA key that can sign");
	fha_text_add(proof, ".");
	fha_base64_encode(proof, signature, size, true);
	return FHA_OK;
}

/* A text of ours in JSON; the file's own texts, escaped. */
static void
google_add_json(FhaText *out, const char *key, const char *value)
{
	struct json_object *text = json_object_new_string(value);

	fha_text_add_format(out, ",\"%s\":%s", key,
						text == NULL ? "null" : json_object_to_json_string(text));
	json_object_put(text);
}

static FhaCode
google_prove(const FhaGoogle *google, FhaText *proof, FhaError *err)
{
	int64_t now_s = fha_wall_ms() / 1000 + google->offset_s;
	FhaText part = {.data = NULL};

	fha_text_add(&part, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
	if (google->key_id != NULL)
		google_add_json(&part, "kid", google->key_id);
	fha_text_add(&part, "}");
	fha_base64_encode(proof, part.data, part.size, true);
	fha_text_add(proof, ".");
	fha_text_clear(&part);
	fha_text_add_format(&part, "{\"iat\":%lld,\"exp\":%lld", (long long) now_s,
						(long long) now_s + GOOGLE_PROOF_S);
	google_add_json(&part, "iss", google->email);
	google_add_json(&part, "scope", GOOGLE_SCOPE);
	google_add_json(&part, "aud", google->token_url);
	fha_text_add(&part, "}");
	fha_base64_encode(proof, part.data, part.size, true);
	fha_text_release(&part);
	return google_sign(google, proof, err);
}

static void
google_add_form(FhaText *body, const char *name, const char *value)
{
	fha_text_add_format(body, "%s%s=", body->size == 0 ? "" : "&", name);
	fha_percent_encode(body, value, "");
}

static FhaCode
google_ask_with_key(const FhaGoogle *google, FhaText *body, FhaError *err)
{
	FhaText proof = {.data = NULL};
	FhaCode code = google_prove(google, &proof, err);

	google_add_form(body, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
	google_add_form(body, "assertion", fha_text_string(&proof));
	fha_text_release(&proof);
	return code;
}

static FhaCode
google_ask_exchange(const FhaGoogle *google, FhaText *body, FhaError *err)
{
	char *subject;
	FhaCode code = fha_secret_read(google->subject_file, FHA_TOKEN_MAX, &subject, NULL, err);

	if (code == FHA_OK)
		code = fha_secret_trim_token(subject, google->subject_file, err);
	if (code == FHA_OK)
	{
		google_add_form(body, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
		google_add_form(body, "audience", google->audience);
		google_add_form(body, "scope",
						google->impersonate_url == NULL
							? GOOGLE_SCOPE
							: "https://www.googleapis.com/auth/cloud-platform");
		google_add_form(body, "requested_token_type",
						"urn:ietf:params:oauth:token-type:access_token");
		google_add_form(body, "subject_token_type", google->subject_type);
		google_add_form(body, "subject_token", subject);
	}
	fha_secret_free(subject);
	return code;
}

static FhaCode
google_ask_user(const FhaGoogle *google, FhaText *body)
{
	google_add_form(body, "grant_type", "refresh_token");
	google_add_form(body, "client_id", google->client);
	google_add_form(body, "client_secret", google->client_secret);
	google_add_form(body, "refresh_token", google->refresh);
	return FHA_OK;
}

static FhaCode
google_ask(void *owner, bool first, FhaCredentialsAsk *out, FhaError *err)
{
	FhaGoogle *google = owner;

	if (first)
	{
		google->step = 0;
		google->corrected = false;
	}
	if (google->kind == FHA_GOOGLE_METADATA)
	{
		out->method = "GET";
		fha_text_add_format(
			&out->url, "%s%s/computeMetadata/v1/instance/service-accounts/default/token",
			strstr(google->metadata_host, "://") == NULL ? "http://" : "", google->metadata_host);
		fha_text_add(&out->header, "Metadata-Flavor: Google");
		return FHA_OK;
	}
	out->method = "POST";
	if (google->kind == FHA_GOOGLE_EXTERNAL && google->step == 1)
	{
		fha_text_add(&out->url, google->impersonate_url);
		fha_text_add_format(&out->header, "Authorization: Bearer %s",
							fha_text_string(&google->federated));
		fha_text_add(&out->type, "Content-Type: application/json");
		fha_text_add(&out->body, "{\"scope\":[\"" GOOGLE_SCOPE "\"]}");
		return FHA_OK;
	}
	fha_text_add(&out->url, google->token_url);
	fha_text_add(&out->type, GOOGLE_FORM);
	if (google->kind == FHA_GOOGLE_SERVICE_ACCOUNT)
		return google_ask_with_key(google, &out->body, err);
	if (google->kind == FHA_GOOGLE_EXTERNAL)
		return google_ask_exchange(google, &out->body, err);
	return google_ask_user(google, &out->body);
}

/* --- answers */

/* With the step of impersonation: {"accessToken", "expireTime"}; else {"access_token", "expires_in"}. */
static FhaCode
google_take_token(FhaGoogle *google, const FhaHttpCall *call, struct json_object *json,
				  int64_t *lives_ms, FhaError *err)
{
	bool impersonated = google->step == 1;
	char *token = fha_credentials_text(json, impersonated ? "accessToken" : "access_token");
	char *expires = fha_credentials_text(json, "expireTime");
	struct json_object *seconds = NULL;
	int64_t now_s = fha_wall_ms() / 1000;
	int64_t until_s = 0;

	(void) fha_http_call_date(call, &now_s);
	/* Of the metadata server: the rest of a token's life, which may be over soon. */
	if (!impersonated && json_object_object_get_ex(json, "expires_in", &seconds))
		until_s = now_s + json_object_get_int64(seconds);
	else if (impersonated && expires != NULL)
		(void) fha_iso_time_parse(expires, &until_s);
	free(expires);
	if (token == NULL || until_s <= now_s || until_s > now_s + 86400 ||
		fha_secret_trim_token(token, "the answer", NULL) != FHA_OK)
	{
		fha_secret_free(token);
		return fha_error(err, FHA_PROTOCOL, "Google's answer has no token that is valid");
	}
	if (google->kind == FHA_GOOGLE_EXTERNAL && google->step == 0 && google->impersonate_url != NULL)
	{
		fha_text_clear(&google->federated);
		fha_text_add(&google->federated, token);
		fha_secret_free(token);
		google->step = 1;
		return FHA_AGAIN;
	}
	fha_secret_free(google->token);
	google->token = token;
	*lives_ms = 1000 * (until_s - now_s);
	return FHA_OK;
}

/* Is our clock so wrong that Google refuses what we sign?  Then the next one is signed by Google's clock. */
static bool
google_corrects_clock(FhaGoogle *google, const FhaHttpCall *call)
{
	int64_t their_s;
	int64_t off_s;

	if (google->kind != FHA_GOOGLE_SERVICE_ACCOUNT || google->corrected || call->status != 400 ||
		!fha_http_call_date(call, &their_s))
		return false;
	off_s = their_s - (fha_wall_ms() / 1000 + google->offset_s);
	if (off_s > -GOOGLE_SKEW_S && off_s < GOOGLE_SKEW_S)
		return false;
	google->offset_s += off_s;
	google->corrected = true;
	return true;
}

static FhaCode
google_refusal(const FhaHttpCall *call, struct json_object *json, FhaError *err)
{
	char words[200] = "";
	struct json_object *value = NULL;

	if (json != NULL && json_object_object_get_ex(json, "error", &value) &&
		json_object_is_type(value, json_type_object))
		json = value;
	if (json != NULL &&
		(json_object_object_get_ex(json, "error_description", &value) ||
		 json_object_object_get_ex(json, "message", &value) ||
		 json_object_object_get_ex(json, "error", &value)) &&
		json_object_is_type(value, json_type_string))
		(void) snprintf(words, sizeof(words), "%s", json_object_get_string(value));
	return fha_credentials_refusal(call, "Google", words, err);
}

static FhaCode
google_take(void *owner, const FhaHttpCall *call, int64_t *lives_ms, FhaError *err)
{
	FhaGoogle *google = owner;
	struct json_object *json = fha_json_parse(fha_text_string(&call->body), call->body.size, err);
	FhaCode code;

	if (call->status == 200 && json != NULL)
		code = google_take_token(google, call, json, lives_ms, err);
	else if (call->status == 200)
		code = err->code;
	else if (google_corrects_clock(google, call))
		code = FHA_AGAIN;
	else
		code = google_refusal(call, json, err);
	json_object_put(json);
	return code;
}

const FhaCredentialsSource fha_google_source = {google_ask, google_take};
