/*
 * send.c: a try's request: its method, its url, its headers and its signature.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "store/encode.h"
#include "store/s3/s3.h"
#include "store/s3/sign_v4.h"
#include "store/xml.h"

#define SEND_HEADERS 12
#define SEND_VALUE_SIZE 160 /* of a header that we make ourselves */

/* What is to be said, before it is signed. */
typedef struct S3Message
{
	const char *method;
	const char *key; /* with the store's prefix; NULL: the bucket */
	FhaText query;
	const char *body; /* NULL: none */
	size_t body_size;
	FhaSignV4Header headers[SEND_HEADERS];
	size_t header_count;
	char values[SEND_HEADERS][SEND_VALUE_SIZE];
} S3Message;

/* --- where */

/* Is it a name of a bucket that a certificate for *.host covers? */
static bool
message_bucket_is_label(const char *bucket)
{
	return strchr(bucket, '.') == NULL && strchr(bucket, '_') == NULL;
}

static bool
message_host_is_number(const char *host)
{
	return host[0] == '[' || host[strspn(host, "0123456789.")] == ':' ||
		   host[strspn(host, "0123456789.")] == '\0';
}

FhaCode
fha_s3_address(FhaS3 *s3, FhaError *err)
{
	FhaStoreSettings *settings = &s3->store.settings;
	char usual[FHA_URL_SIZE];
	const char *endpoint = settings->endpoint;
	const char *host;
	const char *port;
	size_t length;

	if (s3->google)
		(void) snprintf(usual, sizeof(usual), "https://storage.googleapis.com");
	else
		(void) snprintf(usual, sizeof(usual), "https://s3.%s.amazonaws.com%s",
						s3->region[0] == '\0' ? "us-east-1" : s3->region,
						strncmp(s3->region, "cn-", 3) == 0 ? ".cn" : "");
	if (endpoint[0] == '\0')
		endpoint = usual;
	host = strstr(endpoint, "://");
	port = strncmp(endpoint, "https:", 6) == 0 ? ":443" : ":80";
	if (host == NULL || strpbrk(host + 3, "/?#@ ") != NULL || host[3] == '\0' ||
		(strncmp(endpoint, "https:", 6) != 0 && strncmp(endpoint, "http:", 5) != 0))
		return fha_error(err, FHA_INVALID,
						 "the store's endpoint is not as https://host:port, without a path");
	host += 3;
	length = strlen(host);
	/* libcurl leaves the scheme's own port out of the header that is signed. */
	if (length > strlen(port) && strcmp(host + length - strlen(port), port) == 0)
		length -= strlen(port);
	if (!message_bucket_is_label(settings->bucket) || message_host_is_number(host) ||
		(s3->google && settings->endpoint[0] == '\0'))
		settings->path_style = true;
	(void) snprintf(s3->base, sizeof(s3->base), "%.*s%s%s%.*s", (int) (host - endpoint), endpoint,
					settings->path_style ? "" : settings->bucket, settings->path_style ? "" : ".",
					(int) length, host);
	return FHA_OK;
}

static void
message_add_path(const FhaS3 *s3, const char *key, FhaText *out)
{
	if (s3->store.settings.path_style)
	{
		fha_text_add(out, "/");
		fha_percent_encode(out, s3->store.settings.bucket, "");
	}
	if (key != NULL)
	{
		fha_text_add(out, "/");
		fha_percent_encode(out, key, "/");
	}
	else if (!s3->store.settings.path_style)
		fha_text_add(out, "/");
}

/* --- what */

/* value: stays until the message is sent. */
static void
message_add_header(S3Message *message, const char *name, const char *value)
{
	message->headers[message->header_count++] = (FhaSignV4Header){name, value};
}

/* Room for a value of our own, of the header that is added next. */
static char *
message_value(S3Message *message)
{
	return message->values[message->header_count];
}

static void
message_range(FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreCall *call = attempt->call;
	const FhaS3 *s3 = attempt->s3;

	fha_store_call_range(call, &attempt->first, &attempt->length);
	attempt->at = attempt->first;
	if (attempt->length > 0)
		(void) snprintf(message_value(message), SEND_VALUE_SIZE, "bytes=%llu-%llu",
						(unsigned long long) attempt->first,
						(unsigned long long) (attempt->first + attempt->length - 1));
	else if (attempt->first > 0)
		(void) snprintf(message_value(message), SEND_VALUE_SIZE, "bytes=%llu-",
						(unsigned long long) attempt->first);
	if (attempt->length > 0 || attempt->first > 0)
		message_add_header(message, "range", message_value(message));
	/* A weak tag can be compared, but stores match none. */
	if (call->identified && call->identity[0] != '\0' && call->identity[0] != 'W')
		message_add_header(message,
						   s3->google && call->identity[0] != '"' ? "x-goog-if-generation-match"
																  : "if-match",
						   call->identity);
}

/* Of a write that must not replace anything.  Google's store knows it of one request alone, but not of a multipart upload. */
static void
message_condition(const FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;

	if (!request->if_absent || attempt->looked)
		return;
	if (attempt->s3->google)
		message_add_header(message, "x-goog-if-generation-match", "0");
	else
		message_add_header(message, "if-none-match", "*");
}

static void
message_list(const FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;
	FhaText *query = &message->query;

	message->key = NULL;
	if (request->page != NULL)
		fha_query_add(query, "continuation-token", request->page);
	if (request->delimiter)
		fha_query_add(query, "delimiter", "/");
	if (attempt->s3->lists_encoded)
		fha_query_add(query, "encoding-type", "url");
	fha_query_add(query, "list-type", "2");
	fha_query_add(query, "max-keys", "1000");
	fha_query_add(query, "prefix", attempt->call->asked->full_key);
}

/* A page's name is the key, encoded, a '/' and the upload. */
static void
message_uploads(const FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;
	FhaText *query = &message->query;
	const char *slash = request->page == NULL ? NULL : strchr(request->page, '/');

	message->key = NULL;
	if (attempt->s3->lists_encoded)
		fha_query_add(query, "encoding-type", "url");
	if (slash != NULL)
	{
		fha_text_add_format(query, "%skey-marker=%.*s", query->size > 0 ? "&" : "",
							(int) (slash - request->page), request->page);
	}
	fha_query_add(query, "max-uploads", "1000");
	fha_query_add(query, "prefix", attempt->call->asked->full_key);
	if (slash != NULL)
		fha_query_add(query, "upload-id-marker", slash + 1);
	fha_query_add(query, "uploads", "");
}

/* Can the keys be deleted by one request?  Google's store takes no list. */
static bool
message_can_list_keys(const FhaS3Try *attempt)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;

	if (attempt->s3->google || request->key_count == 1 || attempt->one_by_one)
		return false;
	for (size_t i = 0; i < request->key_count; i++)
		if (!fha_xml_can_hold(attempt->call->asked->full_keys[i]))
			return false;
	return true;
}

static void
message_delete(FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreAsked *asked = attempt->call->asked;

	if (!message_can_list_keys(attempt))
	{
		attempt->one_by_one = true;
		message->method = "DELETE";
		message->key = asked->full_keys[attempt->deleted];
		return;
	}
	message->method = "POST";
	message->key = NULL;
	fha_query_add(&message->query, "delete", "");
	fha_text_clear(&attempt->body);
	fha_text_add(&attempt->body, "<Delete><Quiet>true</Quiet>");
	for (size_t i = 0; i < asked->request.key_count; i++)
	{
		fha_text_add(&attempt->body, "<Object><Key>");
		fha_xml_add(&attempt->body, asked->full_keys[i]);
		fha_text_add(&attempt->body, "</Key></Object>");
	}
	fha_text_add(&attempt->body, "</Delete>");
	message->body = fha_text_string(&attempt->body);
	message->body_size = attempt->body.size;
}

static void
message_complete(FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;

	message->method = "POST";
	fha_query_add(&message->query, "uploadId", request->upload);
	fha_text_clear(&attempt->body);
	fha_text_add(&attempt->body, "<CompleteMultipartUpload>");
	for (size_t i = 0; i < request->part_count; i++)
	{
		fha_text_add_format(&attempt->body, "<Part><PartNumber>%u</PartNumber><ETag>",
							request->parts[i].number);
		fha_xml_add(&attempt->body, request->parts[i].tag);
		fha_text_add(&attempt->body, "</ETag></Part>");
	}
	fha_text_add(&attempt->body, "</CompleteMultipartUpload>");
	message->body = fha_text_string(&attempt->body);
	message->body_size = attempt->body.size;
	message_condition(attempt, message);
}

static void
message_part(const FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;
	char number[16];

	(void) snprintf(number, sizeof(number), "%u", request->number);
	message->method = "PUT";
	message->body = request->data;
	message->body_size = request->size;
	fha_query_add(&message->query, "partNumber", number);
	fha_query_add(&message->query, "uploadId", request->upload);
}

static void
message_main(FhaS3Try *attempt, S3Message *message)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;

	message->method = "GET";
	switch (request->verb)
	{
		case FHA_STORE_STAT:
			message->method = "HEAD";
			break;
		case FHA_STORE_GET:
			message_range(attempt, message);
			break;
		case FHA_STORE_PUT:
			message->method = "PUT";
			message->body = request->size == 0 ? "" : request->data;
			message->body_size = request->size;
			message_condition(attempt, message);
			break;
		case FHA_STORE_LIST:
			message_list(attempt, message);
			break;
		case FHA_STORE_DELETE:
			message_delete(attempt, message);
			break;
		case FHA_STORE_BEGIN:
			message->method = "POST";
			message->body = "";
			fha_query_add(&message->query, "uploads", "");
			break;
		case FHA_STORE_PART:
			message_part(attempt, message);
			break;
		case FHA_STORE_PARTS:
			fha_query_add(&message->query, "max-parts", "1000");
			if (request->page != NULL)
				fha_query_add(&message->query, "part-number-marker", request->page);
			fha_query_add(&message->query, "uploadId", request->upload);
			break;
		case FHA_STORE_COMPLETE:
			message_complete(attempt, message);
			break;
		case FHA_STORE_ABORT:
			message->method = "DELETE";
			fha_query_add(&message->query, "uploadId", request->upload);
			break;
		case FHA_STORE_UPLOADS:
			message_uploads(attempt, message);
			break;
	}
}

/* --- signature */

static bool
message_add_digests(const FhaS3 *s3, const FhaS3Keys *keys, S3Message *message,
					const char **payload)
{
	bool is_secure = strncmp(s3->base, "https:", 6) == 0;
	unsigned char digest[FHA_SHA256_BYTES];
	FhaText text = {.data = NULL};
	bool has_md5 = false;
	bool done = true;

	if (message->body_size > 0 && fha_md5(message->body, message->body_size, digest))
	{
		fha_base64_encode(&text, digest, FHA_MD5_BYTES, false);
		(void) snprintf(message_value(message), SEND_VALUE_SIZE, "%s", fha_text_string(&text));
		message_add_header(message, "content-md5", message_value(message));
		has_md5 = true;
	}
	fha_text_release(&text);
	if (keys->access == NULL)
		return true;
	/*
	 * Of a body whose MD5 the store checks, and that TLS protects on its way, no second digest is made:
	 * it would cost as much as all else that is done with a byte here.
	 */
	if (message->body_size == 0)
		fha_text_add(&text, FHA_SIGN_V4_EMPTY);
	else if (is_secure && has_md5)
		fha_text_add(&text, FHA_SIGN_V4_UNSIGNED);
	else
	{
		done = fha_sha256(message->body, message->body_size, digest);
		fha_hex_encode(&text, digest, sizeof(digest));
	}
	(void) snprintf(message_value(message), SEND_VALUE_SIZE, "%s", fha_text_string(&text));
	*payload = message_value(message);
	message_add_header(message, s3->google ? "x-goog-content-sha256" : "x-amz-content-sha256",
					   *payload);
	done = done && !text.failed;
	fha_text_release(&text);
	return done;
}

static int
header_compare(const void *a, const void *b)
{
	return strcmp(((const FhaSignV4Header *) a)->name, ((const FhaSignV4Header *) b)->name);
}

static bool
message_sign(FhaS3Try *attempt, S3Message *message, const FhaS3Keys *keys, FhaText *authorization)
{
	FhaS3 *s3 = attempt->s3;
	FhaText path = {.data = NULL};
	const char *payload;
	bool done;

	attempt->signed_s = fha_wall_ms() / 1000 + s3->offset_s;
	if (!message_add_digests(s3, keys, message, &payload))
		return false; /* LCOV_EXCL_LINE: no memory */
	if (keys->bearer != NULL)
	{
		fha_text_add_format(authorization, "Bearer %s", keys->bearer);
		return !authorization->failed;
	}
	if (keys->access == NULL)
		return true;
	message_add_header(message, "host", strstr(s3->base, "://") + 3);
	fha_basic_time_print(attempt->signed_s, message_value(message), SEND_VALUE_SIZE);
	message_add_header(message, s3->google ? "x-goog-date" : "x-amz-date", message_value(message));
	if (keys->session != NULL)
		message_add_header(message, "x-amz-security-token", keys->session);
	qsort(message->headers, message->header_count, sizeof(message->headers[0]), header_compare);
	message_add_path(s3, message->key, &path);
	done = !path.failed && fha_sign_v4(&(FhaSignV4){.google = s3->google,
													.access = keys->access,
													.secret = keys->secret,
													.region = s3->google              ? "auto"
															  : s3->region[0] == '\0' ? "us-east-1"
																					  : s3->region,
													.service = s3->google ? "storage" : "s3",
													.method = message->method,
													.path = path.data,
													.query = fha_text_string(&message->query),
													.headers = message->headers,
													.header_count = message->header_count,
													.payload = payload,
													.wall_s = attempt->signed_s},
									   authorization);
	fha_text_release(&path);
	return done;
}

/* --- sending */

static void
message_add_to_request(FhaS3Try *attempt, const char *name, const char *value)
{
	FhaText header = {.data = NULL};

	fha_text_add_format(&header, "%s: %s", name, value);
	if (header.failed)
		attempt->http.request.failed = true; /* LCOV_EXCL_LINE: no memory */
	else
		fha_http_request_header(&attempt->http.request, header.data);
	fha_text_release(&header);
}

static void
message_ended(FhaHttpCall *http)
{
	FhaS3Try *attempt = http->ask.owner;

	attempt->state = fha_s3_settle(attempt) == FHA_OK ? FHA_S3_ENDED : FHA_S3_WAITS;
}

/* To put an object together of its parts, a store may take minutes, in which it says nothing. */
static int64_t
message_silence_ms(FhaStoreVerb verb)
{
	return verb == FHA_STORE_COMPLETE ? 0 : FHA_STORE_STALL_MS;
}

static void
message_make(FhaS3Try *attempt, const S3Message *message, const FhaText *authorization)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;
	FhaS3 *s3 = attempt->s3;
	bool is_get = request->verb == FHA_STORE_GET && attempt->step == FHA_S3_MAIN;
	bool is_list = request->verb == FHA_STORE_LIST || request->verb == FHA_STORE_UPLOADS;

	fha_text_clear(&attempt->url);
	fha_text_add(&attempt->url, s3->base);
	message_add_path(s3, message->key, &attempt->url);
	if (message->query.size > 0)
		fha_text_add_format(&attempt->url, "?%s", message->query.data);
	fha_http_call_drop(&s3->client, &attempt->http);
	fha_http_call_make(&attempt->http,
					   &(FhaHttpAsk){.method = message->method,
									 .url = fha_text_string(&attempt->url),
									 .ca = s3->ca.text,
									 .body = message->body,
									 .body_size = message->body_size,
									 .deadline_at_ms = request->deadline_at_ms,
									 .silence_ms = message_silence_ms(request->verb),
									 .answer_max = is_list ? FHA_XML_SIZE_MAX : 0,
									 .headed = is_get ? fha_s3_headed : NULL,
									 .take = is_get ? fha_s3_take : NULL,
									 .ended = message_ended,
									 .owner = attempt});
	for (size_t i = 0; i < message->header_count; i++)
		if (strcmp(message->headers[i].name, "host") != 0)
			message_add_to_request(attempt, message->headers[i].name, message->headers[i].value);
	if (authorization->size > 0)
		message_add_to_request(attempt, "Authorization", authorization->data);
	if (message->body != NULL)
		fha_http_request_header(&attempt->http.request,
								message->body == fha_text_string(&attempt->body)
									? "Content-Type: application/xml"
									: "Content-Type: application/octet-stream");
	if (attempt->url.failed || attempt->body.failed)
		attempt->http.request.failed = true; /* LCOV_EXCL_LINE: no memory */
}

/* Must an object be looked for before it is created? */
static bool
message_looks_first(const FhaS3Try *attempt)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;

	return request->if_absent && !attempt->looked &&
		   (request->verb == FHA_STORE_PUT || request->verb == FHA_STORE_COMPLETE) &&
		   (attempt->s3->knows_no_condition ||
			(attempt->s3->google && request->verb == FHA_STORE_COMPLETE));
}

FhaCode
fha_s3_send(FhaS3Try *attempt, FhaError *err)
{
	FhaS3 *s3 = attempt->s3;
	S3Message message = {.key = attempt->call->asked->full_key};
	FhaText authorization = {.data = NULL};
	FhaS3Keys keys;
	FhaCode code;

	(void) fha_secret_refresh(&s3->ca, "CERTIFICATE", false);
	code = fha_s3_identity_want(&s3->identity, s3->ca.text, &keys, err);
	if (code != FHA_OK)
		return code;
	attempt->generation = keys.generation;
	if (attempt->step == FHA_S3_MAIN && message_looks_first(attempt))
		attempt->step = FHA_S3_LOOK;
	if (attempt->step == FHA_S3_MAIN)
		message_main(attempt, &message);
	else
		message.method = "HEAD";
	if (attempt->step == FHA_S3_BUCKET)
		message.key = NULL;
	if (message_sign(attempt, &message, &keys, &authorization))
		message_make(attempt, &message, &authorization);
	else
		code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	if (code == FHA_OK && !fha_http_call_start(&s3->client, &attempt->http))
		code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	fha_text_release(&message.query);
	fha_text_release(&authorization);
	if (code == FHA_OK)
		attempt->state = FHA_S3_SENT;
	return code;
}
