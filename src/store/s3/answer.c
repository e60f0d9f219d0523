/*
 * answer.c: what the end of a request means for its try.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/encode.h"
#include "store/s3/lists.h"
#include "store/s3/reason.h"
#include "store/s3/s3.h"

/* Stores refuse what is further off: 15 minutes. */
#define ANSWER_SKEW_S (10 * 60)

/* --- a GET's head and bytes */

static bool
answer_refuse(FhaHttpCall *http, FhaCode code)
{
	http->code = code;
	return false;
}

/* Its content changes with it: Google's generation, else the ETag. */
static void
answer_identity(const FhaS3Try *attempt, char *out, size_t size)
{
	const FhaHttpCall *http = &attempt->http;

	if (!attempt->s3->google || !fha_http_call_header(http, "x-goog-generation", out, size))
		(void) fha_http_call_header(http, "ETag", out, size);
}

static int64_t
answer_modified_s(const FhaHttpCall *http)
{
	char text[40];
	int64_t seconds = 0;

	if (fha_http_call_header(http, "Last-Modified", text, sizeof(text)))
		(void) fha_http_date_parse(text, &seconds);
	return seconds;
}

/* "bytes 5-9/10"; false: it is no such text. */
static bool
answer_content_range(const FhaHttpCall *http, uint64_t *first, uint64_t *last, uint64_t *size)
{
	unsigned long long numbers[3];
	char text[80];
	int used = 0;

	if (!fha_http_call_header(http, "Content-Range", text, sizeof(text)) ||
		sscanf(text, "bytes %llu-%llu/%llu%n", &numbers[0], &numbers[1], &numbers[2], &used) != 3 ||
		text[used] != '\0' || numbers[0] > numbers[1] || numbers[1] >= numbers[2])
		return false;
	*first = numbers[0];
	*last = numbers[1];
	*size = numbers[2];
	return true;
}

/* Is it the range that was asked for, and as long as it says? */
static bool
answer_range_is_ours(FhaS3Try *attempt, uint64_t *size)
{
	const FhaHttpCall *http = &attempt->http;
	uint64_t first;
	uint64_t last;
	uint64_t end;
	uint64_t length;

	if (!answer_content_range(http, &first, &last, size))
		return false;
	end = attempt->length == 0 || attempt->length > *size - first ? *size : first + attempt->length;
	return first == attempt->first && last + 1 == end &&
		   (!fha_http_call_header_u64(http, "Content-Length", &length) || length == end - first);
}

bool
fha_s3_headed(FhaHttpCall *http)
{
	FhaS3Try *attempt = http->ask.owner;
	char identity[FHA_STORE_TAG_SIZE];
	uint64_t size = 0;

	if (http->status < 200 || http->status > 299)
		return true;
	if (http->status == 206)
	{
		if ((attempt->first == 0 && attempt->length == 0) || !answer_range_is_ours(attempt, &size))
			return answer_refuse(http, fha_error(&http->error, FHA_PROTOCOL,
												 "the store sends another range than asked for"));
	}
	else if (http->status != 200 || !fha_http_call_header_u64(http, "Content-Length", &size))
		return answer_refuse(http, fha_error(&http->error, FHA_PROTOCOL,
											 "the store does not say how large the object is"));
	else if (attempt->first > 0 || (attempt->length > 0 && size > attempt->length))
		return answer_refuse(http,
							 fha_error(&http->error, FHA_PROTOCOL,
									   "the store sends the whole object in place of a range"));
	answer_identity(attempt, identity, sizeof(identity));
	http->code =
		fha_store_call_object(attempt->call, identity, size, answer_modified_s(http), &http->error);
	return http->code == FHA_OK;
}

size_t
fha_s3_take(const char *data, size_t size, void *owner)
{
	FhaS3Try *attempt = owner;
	FhaHttpCall *http = &attempt->http;
	FhaError err = {FHA_OK, ""};
	FhaCode code = fha_store_call_bytes(attempt->call, attempt->at, data, size, &err);

	if (code == FHA_AGAIN)
		return 0;
	if (code != FHA_OK)
	{
		http->refused = true;
		http->code = code;
		http->error = err;
		return 0;
	}
	attempt->at += size;
	return size;
}

/* --- ends */

static FhaCode
answer_end(FhaS3Try *attempt, FhaCode code)
{
	attempt->call->result.code = code;
	return FHA_OK;
}

static bool
answer_writes(const FhaS3Try *attempt)
{
	return fha_store_verb_writes(attempt->call->asked->request.verb) &&
		   attempt->step == FHA_S3_MAIN;
}

/* The next step of the same try. */
static FhaCode
answer_go_on(FhaS3Try *attempt, FhaS3Step step)
{
	attempt->step = step;
	return FHA_AGAIN;
}

static FhaCode
answer_fail(FhaS3Try *attempt, FhaCode code, const char *why)
{
	return answer_end(attempt, fha_error(&attempt->call->result.error, code, "%s", why));
}

static FhaCode
answer_no_bucket(FhaS3Try *attempt)
{
	return answer_end(attempt,
					  fha_error(&attempt->call->result.error, FHA_INVALID,
								"there is no bucket \"%s\"", attempt->s3->store.settings.bucket));
}

/* No whole answer. */
static FhaCode
answer_of_failure(FhaS3Try *attempt)
{
	const FhaHttpCall *http = &attempt->http;
	FhaCode code = http->code;

	if (answer_writes(attempt) && http->sent)
		code = FHA_UNKNOWN;
	return answer_fail(attempt, code, http->error.text);
}

/* --- refusals */

/* With the store's words, if it had some. */
static FhaCode
answer_say(FhaS3Try *attempt, FhaCode code, const FhaS3Reason *reason, const char *more)
{
	return answer_end(attempt, fha_error(&attempt->call->result.error, code,
										 "%sHTTP status %d%s%s%s%s", more, attempt->http.status,
										 reason->word[0] == '\0' ? "" : " ", reason->word,
										 reason->message[0] == '\0' ? "" : ": ", reason->message));
}

/* By how much the store's clock is off what the request said. */
static int64_t
answer_skew_s(const FhaS3Try *attempt)
{
	int64_t their_s;

	return fha_http_call_date(&attempt->http, &their_s) ? their_s - attempt->signed_s : 0;
}

/* A clock so wrong that every signature is refused: the store's is the one that counts. */
static bool
answer_corrects_clock(FhaS3Try *attempt, const FhaS3Reason *reason)
{
	int64_t skew_s = answer_skew_s(attempt);

	if (attempt->http.status != 403 && attempt->http.status != 400)
		return false;
	if (skew_s > -ANSWER_SKEW_S && skew_s < ANSWER_SKEW_S &&
		strcmp(reason->word, "RequestTimeTooSkewed") != 0)
		return false;
	if (skew_s == 0)
		return false;
	attempt->s3->offset_s = attempt->signed_s + skew_s - fha_wall_ms() / 1000;
	attempt->s3->store.clock_offset_s = attempt->s3->offset_s;
	return true;
}

static FhaCode
answer_of_identity(FhaS3Try *attempt, const FhaS3Reason *reason)
{
	if (fha_s3_identity_refused(&attempt->s3->identity, attempt->generation))
		return answer_say(attempt, FHA_AGAIN, reason, "the store wants other credentials: ");
	if (attempt->s3->identity.who == FHA_S3_NOBODY)
		return answer_say(attempt, FHA_DENIED, reason, "the store wants credentials: ");
	return answer_say(attempt, FHA_DENIED, reason, "the store refuses the credentials: ");
}

/* The bucket's region, from the head or from the words. */
static FhaCode
answer_of_region(FhaS3Try *attempt, FhaS3Reason *reason)
{
	FhaS3 *s3 = attempt->s3;
	char more[FHA_STORE_REGION_SIZE + 60];

	if (reason->region[0] == '\0')
		(void) fha_http_call_header(&attempt->http, "x-amz-bucket-region", reason->region,
									sizeof(reason->region));
	if (reason->region[0] == '\0')
		return answer_say(attempt, FHA_INVALID, reason,
						  "the store's endpoint or region is another one: ");
	if (s3->store.settings.region[0] == '\0' && strcmp(s3->region, reason->region) != 0 &&
		!s3->region_found)
	{
		(void) snprintf(s3->region, sizeof(s3->region), "%s", reason->region);
		s3->region_found = true;
		if (fha_s3_address(s3, NULL) == FHA_OK)
			return answer_go_on(attempt, attempt->step);
	}
	(void) snprintf(more, sizeof(more),
					"the bucket is in the region %s: set that: ", reason->region);
	return answer_say(attempt, FHA_INVALID, reason, more);
}

/* Behind the end is an error, at the end there is just nothing: store.c tells them apart by the size. */
static FhaCode
answer_of_range(FhaS3Try *attempt, const FhaS3Reason *reason)
{
	FhaHttpCall *http = &attempt->http;
	char text[80];
	unsigned long long size;
	int used = 0;

	if (attempt->call->asked->request.verb != FHA_STORE_GET)
		return answer_say(attempt, FHA_INVALID, reason, "");
	if (fha_http_call_header(http, "Content-Range", text, sizeof(text)) &&
		sscanf(text, "bytes */%llu%n", &size, &used) == 1 && text[used] == '\0')
		return answer_end(attempt, fha_store_call_object(attempt->call, "", size, 0,
														 &attempt->call->result.error));
	/* Not every store says how large the object is. */
	return answer_go_on(attempt, FHA_S3_SIZE);
}

static FhaCode
answer_of_condition(FhaS3Try *attempt, const FhaS3Reason *reason)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;

	if (request->verb == FHA_STORE_GET)
		return answer_fail(attempt, FHA_CONFLICT, "the object was replaced while it was read");
	if (request->if_absent)
		return answer_fail(attempt, FHA_CONFLICT, "there is an object of this name");
	return answer_say(attempt, FHA_PROTOCOL, reason, "");
}

static FhaCode
answer_of_unknown_condition(FhaS3Try *attempt, const FhaS3Reason *reason)
{
	const FhaStoreRequest *request = &attempt->call->asked->request;

	if (!request->if_absent || attempt->looked)
		return answer_say(attempt, FHA_INVALID, reason, "");
	attempt->s3->knows_no_condition = true;
	attempt->s3->store.creates_weakly = true;
	return answer_go_on(attempt, FHA_S3_MAIN);
}

static FhaCode
answer_of_not_found(FhaS3Try *attempt, const FhaS3Reason *reason)
{
	FhaStoreVerb verb = attempt->call->asked->request.verb;

	if (attempt->step == FHA_S3_LOOK)
	{
		attempt->looked = true;
		attempt->s3->store.creates_weakly = true;
		return answer_go_on(attempt, FHA_S3_MAIN);
	}
	if (attempt->step == FHA_S3_MAIN && verb == FHA_STORE_STAT)
		return attempt->s3->bucket_seen
				   ? answer_fail(attempt, FHA_NOT_FOUND, "there is no such object")
				   : answer_go_on(attempt, FHA_S3_BUCKET);
	return answer_say(attempt, FHA_PROTOCOL, reason, "");
}

static FhaCode answer_of_success(FhaS3Try *attempt);

/* A 404 of a write that wants something gone is what it wants, once the bucket is known. */
static bool
answer_is_gone(const FhaS3Try *attempt, const FhaS3Reason *reason)
{
	FhaStoreVerb verb = attempt->call->asked->request.verb;

	return attempt->http.status == 404 && attempt->step == FHA_S3_MAIN &&
		   ((verb == FHA_STORE_ABORT && reason->code == FHA_NOT_FOUND) ||
			(verb == FHA_STORE_DELETE && attempt->one_by_one && reason->code == FHA_NOT_FOUND));
}

static FhaCode
answer_of_code(FhaS3Try *attempt, const FhaS3Reason *reason)
{
	FhaStoreResult *result = &attempt->call->result;
	FhaCode code = reason->code;

	if (code == FHA_AGAIN)
		result->retry_after_ms = fha_http_call_retry_after_ms(&attempt->http);
	if (code == FHA_NOT_FOUND && attempt->step != FHA_S3_LOOK)
	{
		attempt->s3->bucket_seen = true;
		return answer_say(attempt, code, reason, "there is no such object or upload: ");
	}
	return answer_say(attempt, code, reason, "");
}

/* To a HEAD no words come, but the bucket's region does. */
static bool
answer_is_elsewhere(const FhaS3Try *attempt)
{
	char region[FHA_STORE_REGION_SIZE];
	int status = attempt->http.status;

	return (status == 400 || status == 403) &&
		   fha_http_call_header(&attempt->http, "x-amz-bucket-region", region, sizeof(region)) &&
		   strcmp(region, attempt->s3->region[0] == '\0' ? "us-east-1" : attempt->s3->region) != 0;
}

static FhaCode
answer_of_refusal(FhaS3Try *attempt, int status)
{
	FhaHttpCall *http = &attempt->http;
	FhaS3Reason reason;

	fha_s3_reason(&reason, status, http->body.data, http->body.size);
	if (reason.word[0] == '\0' && answer_is_elsewhere(attempt))
		reason.cause = FHA_S3_CAUSE_REGION;
	if (answer_is_gone(attempt, &reason))
		return answer_of_success(attempt);
	if (answer_corrects_clock(attempt, &reason))
		return answer_say(attempt, FHA_AGAIN, &reason, "this machine's clock is wrong: ");
	switch (reason.cause)
	{
		case FHA_S3_CAUSE_IDENTITY:
			return answer_of_identity(attempt, &reason);
		case FHA_S3_CAUSE_REGION:
			return answer_of_region(attempt, &reason);
		case FHA_S3_CAUSE_BUCKET:
			return answer_no_bucket(attempt);
		case FHA_S3_CAUSE_NOT_FOUND:
			return answer_of_not_found(attempt, &reason);
		case FHA_S3_CAUSE_RANGE:
			return answer_of_range(attempt, &reason);
		case FHA_S3_CAUSE_CONDITION:
			return answer_of_condition(attempt, &reason);
		case FHA_S3_CAUSE_UNKNOWN_CONDITION:
			return answer_of_unknown_condition(attempt, &reason);
		case FHA_S3_CAUSE_UNSURE:
			/* A store that says when to come again has done nothing yet. */
			if (fha_http_call_retry_after_ms(http) > 0)
				reason.code = FHA_AGAIN;
			else if (answer_writes(attempt))
				return answer_say(attempt, FHA_UNKNOWN, &reason, "");
			break;
		case FHA_S3_CAUSE_CODE:
			break;
	}
	return answer_of_code(attempt, &reason);
}

/* --- successes */

static FhaCode
answer_of_stat(FhaS3Try *attempt)
{
	FhaStoreResult *result = &attempt->call->result;

	if (!fha_http_call_header_u64(&attempt->http, "Content-Length", &result->size))
		return answer_fail(attempt, FHA_PROTOCOL, "the store does not say how large the object is");
	result->modified_s = answer_modified_s(&attempt->http);
	return answer_end(attempt, FHA_OK);
}

static FhaCode
answer_of_part(FhaS3Try *attempt)
{
	FhaStoreResult *result = &attempt->call->result;

	if (!fha_http_call_header(&attempt->http, "ETag", result->tag, sizeof(result->tag)))
		return answer_fail(attempt, FHA_UNKNOWN, "the store gives a part no ETag");
	return answer_end(attempt, FHA_OK);
}

static FhaCode
answer_of_list(FhaS3Try *attempt)
{
	FhaS3 *s3 = attempt->s3;
	const FhaStoreSettings *settings = &s3->store.settings;
	FhaStoreResult *result = &attempt->call->result;
	const FhaText *body = &attempt->http.body;
	bool objects = attempt->call->asked->request.verb == FHA_STORE_LIST;
	FhaCode code = (objects ? fha_s3_read_list : fha_s3_read_uploads)(
		fha_text_string(body), body->size, s3->lists_encoded, settings, result, &result->error);

	/* A key with a control character cannot stand in XML as it is. */
	if (code == FHA_PROTOCOL && !s3->lists_encoded)
	{
		fha_store_result_release(result);
		s3->lists_encoded = true;
		return answer_go_on(attempt, FHA_S3_MAIN);
	}
	return answer_end(attempt, code);
}

/* A 200 is no more than the news that the store has begun; the end of it stands in the body. */
static FhaCode
answer_of_complete(FhaS3Try *attempt)
{
	FhaStoreResult *result = &attempt->call->result;
	const FhaText *body = &attempt->http.body;
	FhaS3Reason reason;
	FhaCode code;

	fha_s3_reason(&reason, 500, body->data, body->size);
	if (reason.word[0] != '\0')
		return answer_of_refusal(attempt, 500);
	code = fha_s3_read_complete(fha_text_string(body), body->size, &result->error);
	if (code == FHA_OK)
		return answer_end(attempt, FHA_OK);
	return answer_end(attempt, result->error.code = FHA_UNKNOWN);
}

static FhaCode
answer_of_delete(FhaS3Try *attempt)
{
	FhaStoreResult *result = &attempt->call->result;
	const FhaText *body = &attempt->http.body;

	if (!attempt->one_by_one)
		return answer_end(attempt,
						  fha_s3_read_deleted(fha_text_string(body), body->size, &result->error));
	attempt->applied = true;
	if (++attempt->deleted < attempt->call->asked->request.key_count)
		return answer_go_on(attempt, FHA_S3_MAIN);
	return answer_end(attempt, FHA_OK);
}

static FhaCode
answer_of_success(FhaS3Try *attempt)
{
	FhaStoreResult *result = &attempt->call->result;
	const FhaText *body = &attempt->http.body;

	switch (attempt->call->asked->request.verb)
	{
		case FHA_STORE_STAT:
			return answer_of_stat(attempt);
		case FHA_STORE_PART:
			return answer_of_part(attempt);
		case FHA_STORE_LIST:
		case FHA_STORE_UPLOADS:
			return answer_of_list(attempt);
		case FHA_STORE_PARTS:
			return answer_end(attempt, fha_s3_read_parts(fha_text_string(body), body->size, result,
														 &result->error));
		case FHA_STORE_BEGIN:
			if (fha_s3_read_begin(fha_text_string(body), body->size, result, &result->error) !=
				FHA_OK)
				return answer_end(attempt, result->error.code = FHA_UNKNOWN);
			return answer_end(attempt, FHA_OK);
		case FHA_STORE_COMPLETE:
			return answer_of_complete(attempt);
		case FHA_STORE_DELETE:
			return answer_of_delete(attempt);
		case FHA_STORE_GET:
		case FHA_STORE_PUT:
		case FHA_STORE_ABORT:
			break;
	}
	return answer_end(attempt, FHA_OK);
}

/* --- the other steps */

static FhaCode
answer_of_look(FhaS3Try *attempt)
{
	attempt->s3->store.creates_weakly = true;
	return answer_fail(attempt, FHA_CONFLICT, "there is an object of this name");
}

static FhaCode
answer_of_bucket(FhaS3Try *attempt)
{
	if (attempt->http.status == 404)
		return answer_no_bucket(attempt);
	/* Who may not look at a bucket is told that it is there all the same. */
	attempt->s3->bucket_seen = true;
	return answer_fail(attempt, FHA_NOT_FOUND, "there is no such object");
}

/* The object's size, after a range that does not begin in it. */
static FhaCode
answer_of_size(FhaS3Try *attempt)
{
	FhaStoreResult *result = &attempt->call->result;
	uint64_t size;

	if (!fha_http_call_header_u64(&attempt->http, "Content-Length", &size))
		return answer_fail(attempt, FHA_PROTOCOL, "the store does not say how large the object is");
	return answer_end(attempt, fha_store_call_object(attempt->call, "", size, 0, &result->error));
}

FhaCode
fha_s3_settle(FhaS3Try *attempt)
{
	const FhaHttpCall *http = &attempt->http;
	bool good = http->code == FHA_OK && http->status >= 200 && http->status <= 299;

	if (http->code != FHA_OK)
		return answer_of_failure(attempt);
	if (attempt->step == FHA_S3_BUCKET && (good || http->status == 403 || http->status == 404))
		return answer_of_bucket(attempt);
	if (!good)
		return answer_of_refusal(attempt, http->status);
	attempt->s3->bucket_seen = true;
	if (attempt->step == FHA_S3_LOOK)
		return answer_of_look(attempt);
	if (attempt->step == FHA_S3_SIZE)
		return answer_of_size(attempt);
	return answer_of_success(attempt);
}
