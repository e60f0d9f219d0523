/*
 * s3_test.c: the driver of S3 and of Google's store: what it asks, and what it makes of answers that real
 * stores give seldom.  The server gives the replies of a script, and keeps what it was asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/encode.h"
#include "store/s3/lists.h"
#include "store/s3/reason.h"
#include "store/s3/s3.h"
#include "test/http/https_server.h"
#include "test/store/await.h"

#define REPLIES 12

typedef struct Reply
{
	int status;
	bool hang_up; /* behind the body, whatever its length was said to be */
	char head[400];
	char body[3000];
} Reply;

/* In memory that all processes share. */
typedef struct Script
{
	_Atomic int asked;
	int count;
	Reply replies[REPLIES];
	char seen[REPLIES][17000];
} Script;

static Script *script;
static Identity identity;
static char folder[] = "/tmp/fha-s3-test-XXXXXX";
static FhaStore *store;
static FhaStoreAnswer answer;

static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	static const Reply unexpected = {.status = 500};
	static char head[1000];
	int number = atomic_fetch_add(&script->asked, 1);
	/* A copy: the test goes on, and writes another script, as soon as it has read the answer's last byte. */
	const Reply copy = number < script->count ? script->replies[number] : unexpected;
	const Reply *reply = &copy;
	bool is_head = strcmp(request->method, "HEAD") == 0;

	(void) snprintf(script->seen[number % REPLIES], sizeof(script->seen[0]), "%s%s", request->head,
					request->body);
	(void) snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\n", reply->status);
	https_send(ssl, head);
	https_send(ssl, reply->head);
	if (strstr(reply->head, "Content-Length") == NULL && strstr(reply->head, "chunked") == NULL)
	{
		(void) snprintf(head, sizeof(head), "Content-Length: %zu\r\n",
						is_head ? 0 : strlen(reply->body));
		https_send(ssl, head);
	}
	https_send(ssl, "\r\n");
	if (!is_head)
		https_send(ssl, reply->body);
	return !reply->hang_up;
}

/* --- the test's side */

static void
begin(void)
{
	script->count = 0;
	atomic_store(&script->asked, 0);
}

static Reply *
say(int status, const char *head, const char *body)
{
	Reply *reply = &script->replies[script->count++];

	NEEDED(script->count <= REPLIES && strlen(body) < sizeof(reply->body));
	*reply = (Reply){.status = status};
	(void) snprintf(reply->head, sizeof(reply->head), "%s", head);
	(void) snprintf(reply->body, sizeof(reply->body), "%s", body);
	return reply;
}

static void
say_error(int status, const char *head, const char *word)
{
	char body[300];

	(void) snprintf(body, sizeof(body),
					"<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>so %s</Message></Error>",
					word, word);
	(void) say(status, head, body);
}

static bool
saw(int number, const char *text)
{
	return strcasestr(script->seen[number], text) != NULL;
}

static void
assert_saw(int number, const char *text)
{
	if (!saw(number, text))
		fail_msg("not \"%s\" in: %s", text, script->seen[number]);
}

static const char *
file_of(const char *name, const char *text)
{
	static char path[100];
	FILE *file;

	(void) snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "we");
	NEEDED(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
	return path;
}

static FhaStoreSettings
settings_of(const char *url)
{
	FhaStoreSettings settings = {.region = "eu-west-3",
								 .path_style = true,
								 .identity = FHA_STORE_BY_KEY,
								 .access.text = (char *) (uintptr_t) "access",
								 .secret.text = (char *) (uintptr_t) "s3cret"};

	NEEDED(fha_store_url_parse(&settings, url, NULL) == FHA_OK);
	(void) snprintf(settings.endpoint, sizeof(settings.endpoint), "https://127.0.0.1:%d",
					server_port);
	(void) snprintf(settings.ca_file, sizeof(settings.ca_file), "%s",
					file_of("ca.pem", identity.cert_pem));
	return settings;
}

static void
open_store(const FhaStoreSettings *settings)
{
	FhaError err = {FHA_OK, ""};

	fha_store_close(store);
	store = NULL;
	if (fha_store_open(&store, settings, &err) != FHA_OK)
		fail_msg("%s", err.text);
	begin();
}

static void
open_usual(void)
{
	FhaStoreSettings settings = settings_of("s3://bkt/pre");

	open_store(&settings);
}

static FhaCode
ask(FhaStoreRequest request)
{
	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	return fha_store_call(store, &request, &answer);
}

static FhaText taken;

static size_t
take_all(const char *data, size_t size, void *owner)
{
	(void) owner;
	fha_text_add_bytes(&taken, data, size);
	return size;
}

static FhaStoreRequest
a_get(uint64_t offset, uint64_t length)
{
	fha_text_release(&taken);
	return (FhaStoreRequest){
		.verb = FHA_STORE_GET, .key = "a", .offset = offset, .length = length, .take = take_all};
}

static FhaStoreRequest
a_put(bool if_absent)
{
	return (FhaStoreRequest){
		.verb = FHA_STORE_PUT, .key = "a", .data = "data", .size = 4, .if_absent = if_absent};
}

static const FhaStorePart two_parts[] = {{1, 5242880, "\"t1\""}, {2, 7, "\"t2\""}};

static FhaStoreRequest
a_complete(bool if_absent)
{
	return (FhaStoreRequest){.verb = FHA_STORE_COMPLETE,
							 .key = "a",
							 .upload = "up/1",
							 .parts = two_parts,
							 .part_count = 2,
							 .if_absent = if_absent};
}

static FhaStoreRequest
a_delete(size_t count)
{
	static const char *const keys[] = {"a&b", "c", "d"};

	return (FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = keys, .key_count = count};
}

static FhaStoreRequest
a_stat(void)
{
	return (FhaStoreRequest){.verb = FHA_STORE_STAT, .key = "a"};
}

/* --- what is asked */

static void
writes_are_asked_as_s3_wants(void **state)
{
	(void) state;
	open_usual();
	(void) say(200, "ETag: \"x\"\r\n", "");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_PUT,
										   .key = "a b+c//%~",
										   .data = "data",
										   .size = 4,
										   .if_absent = true}),
					 FHA_OK);
	assert_saw(0, "PUT /bkt/pre/a%20b%2Bc//%25~ HTTP/1.1\r\n");
	assert_saw(0, "\r\ncontent-md5: jXd/OF09/siBXSD3SWAm3A==\r\n");
	assert_saw(0, "\r\nif-none-match: *\r\n");
	assert_saw(0, "\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\n");
	assert_saw(0, "\r\nContent-Type: application/octet-stream\r\n");
	assert_saw(0, "\r\nAuthorization: AWS4-HMAC-SHA256 Credential=access/");
	assert_saw(0, "/eu-west-3/s3/aws4_request, SignedHeaders=content-md5;host;if-none-match;"
				  "x-amz-content-sha256;x-amz-date, Signature=");
	assert_false(saw(0, "checksum") || saw(0, "s3cret") || saw(0, "Expect"));
	begin();
	(void) say(200, "", "");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_PUT, .key = "e", .data = ""}), FHA_OK);
	assert_saw(0, "\r\nContent-Length: 0\r\n");
	assert_saw(0, "\r\nx-amz-content-sha256: "
				  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n");
	assert_false(saw(0, "if-none-match") || saw(0, "content-md5"));
	begin();
	(void) say(
		200, "",
		"<DeleteResult><Error><Key>pre/c</Key><Code>NoSuchKey</Code></Error></DeleteResult>");
	assert_int_equal(ask(a_delete(3)), FHA_OK);
	assert_saw(0, "POST /bkt?delete= HTTP/1.1\r\n");
	assert_saw(0, "\r\ncontent-md5: ");
	assert_saw(
		0, "<Delete><Quiet>true</Quiet><Object><Key>pre/a&amp;b</Key></Object><Object><Key>pre/c"
		   "</Key></Object>");
	begin();
	(void) say(204, "", "");
	assert_int_equal(ask(a_delete(1)), FHA_OK);
	assert_saw(0, "DELETE /bkt/pre/a%26b HTTP/1.1\r\n");
	/* What XML cannot hold is deleted one by one; what is gone is as good as deleted. */
	begin();
	(void) say(204, "", "");
	say_error(404, "", "NoSuchKey");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_DELETE,
										   .keys = (const char *const[]){"\x01", "b"},
										   .key_count = 2}),
					 FHA_OK);
	assert_saw(0, "DELETE /bkt/pre/%01 HTTP/1.1\r\n");
	assert_saw(1, "DELETE /bkt/pre/b HTTP/1.1\r\n");
}

static void
uploads_are_asked_as_s3_wants(void **state)
{
	(void) state;
	open_usual();
	(void) say(
		200, "",
		"<InitiateMultipartUploadResult><UploadId>up/1</UploadId></InitiateMultipartUploadResult>");
	assert_int_equal(ask((FhaStoreRequest){
						 .verb = FHA_STORE_BEGIN, .key = "a", .part_size = FHA_STORE_PART_MIN}),
					 FHA_OK);
	assert_string_equal(answer.upload, "up/1");
	assert_saw(0, "POST /bkt/pre/a?uploads= HTTP/1.1\r\n");
	begin();
	(void) say(200, "ETag: \"tag\"\r\n", "");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_PART,
										   .key = "a",
										   .upload = "up/1",
										   .number = 2,
										   .part_size = FHA_STORE_PART_MIN,
										   .data = "part",
										   .size = 4}),
					 FHA_OK);
	assert_string_equal(answer.tag, "\"tag\"");
	assert_saw(0, "PUT /bkt/pre/a?partNumber=2&uploadId=up%2F1 HTTP/1.1\r\n");
	assert_saw(0, "\r\ncontent-md5: ");
	begin();
	(void) say(200, "",
			   "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>2</"
			   "NextPartNumberMarker>"
			   "<Part><PartNumber>1</PartNumber><ETag>\"t1\"</ETag><Size>5242880</Size></Part>"
			   "<Part><PartNumber>2</PartNumber><LastModified>2026-01-01T00:00:01Z</"
			   "LastModified><ETag>\"new\"</ETag><Size>7</Size></Part>"
			   "<Part><PartNumber>2</PartNumber><LastModified>2026-01-01T00:00:00Z</"
			   "LastModified><ETag>\"old\"</ETag><Size>8</Size></Part>"
			   "<Part><PartNumber>3</PartNumber><ETag>\"old\"</ETag><Size>8</Size></Part>"
			   "<Part><PartNumber>3</PartNumber><LastModified>2026-01-01T00:00:02Z</"
			   "LastModified><ETag>\"newer\"</ETag><Size>7</Size></Part>"
			   "</ListPartsResult>");
	assert_int_equal(
		ask((FhaStoreRequest){.verb = FHA_STORE_PARTS, .key = "a", .upload = "up/1", .page = "9"}),
		FHA_OK);
	assert_saw(0,
			   "GET /bkt/pre/a?max-parts=1000&part-number-marker=9&uploadId=up%2F1 HTTP/1.1\r\n");
	assert_int_equal(answer.part_count, 3);
	assert_string_equal(answer.parts[2].tag, "\"newer\"");
	assert_int_equal(answer.parts[0].size, 5242880);
	assert_string_equal(answer.parts[1].tag, "\"new\"");
	assert_string_equal(answer.next, "2");
	begin();
	(void) say(200, "",
			   "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>");
	assert_int_equal(ask(a_complete(true)), FHA_OK);
	assert_saw(0, "POST /bkt/pre/a?uploadId=up%2F1 HTTP/1.1\r\n");
	assert_saw(0, "\r\nif-none-match: *\r\n");
	assert_saw(0, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;t1&quot;</"
				  "ETag></Part>");
	begin();
	(void) say(204, "", "");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_ABORT, .key = "a", .upload = "up/1"}),
					 FHA_OK);
	assert_saw(0, "DELETE /bkt/pre/a?uploadId=up%2F1 HTTP/1.1\r\n");
	begin();
	say_error(404, "", "NoSuchUpload");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_ABORT, .key = "a", .upload = "up/1"}),
					 FHA_OK);
	begin();
	(void) say(
		200, "",
		"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>pre/x "
		"y</NextKeyMarker>"
		"<NextUploadIdMarker>u/2</NextUploadIdMarker><Upload><Key>pre/x "
		"y</Key><UploadId>u/2</UploadId>"
		"<Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>");
	(void) say(200, "",
			   "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></"
			   "ListMultipartUploadsResult>");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_UPLOADS, .key = "x"}), FHA_OK);
	assert_saw(0, "GET /bkt?max-uploads=1000&prefix=pre%2Fx&uploads= HTTP/1.1\r\n");
	assert_int_equal(answer.object_count, 1);
	assert_string_equal(answer.objects[0].key, "x y");
	assert_string_equal(answer.objects[0].upload, "u/2");
	assert_int_equal(answer.objects[0].modified_s, 1767225600);
	{
		char next[200];

		(void) snprintf(next, sizeof(next), "%s", answer.next);
		assert_int_equal(
			ask((FhaStoreRequest){.verb = FHA_STORE_UPLOADS, .key = "x", .page = next}), FHA_OK);
	}
	assert_saw(1, "GET "
				  "/bkt?key-marker=pre%2Fx%20y&max-uploads=1000&prefix=pre%2Fx&upload-id-marker=u%"
				  "2F2&uploads= HTTP/1.1\r\n");
	assert_null(answer.next);
}

static void
reads_are_asked_as_s3_wants(void **state)
{
	(void) state;
	open_usual();
	(void) say(200, "Content-Length: 77\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "");
	assert_int_equal(ask(a_stat()), FHA_OK);
	assert_saw(0, "HEAD /bkt/pre/a HTTP/1.1\r\n");
	assert_int_equal(answer.size, 77);
	assert_int_equal(answer.modified_s, 784111777);
	begin();
	(void) say(206, "Content-Range: bytes 3-5/10\r\nETag: \"x\"\r\n", "345");
	assert_int_equal(ask(a_get(3, 3)), FHA_OK);
	assert_saw(0, "\r\nrange: bytes=3-5\r\n");
	assert_string_equal(taken.data, "345");
	assert_int_equal(answer.size, 10);
	begin();
	(void) say(200, "",
			   "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a+b</"
			   "NextContinuationToken>"
			   "<Contents><Key>pre/</Key><Size>0</Size></Contents><Contents><Key>pre/x&lt;+%20</"
			   "Key><LastModified>2026-01-01T00:00:00.000Z</"
			   "LastModified><Size>12</Size></Contents>"
			   "<CommonPrefixes><Prefix>pre/y/</Prefix></CommonPrefixes></ListBucketResult>");
	assert_int_equal(ask((FhaStoreRequest){
						 .verb = FHA_STORE_LIST, .key = "x y", .delimiter = true, .page = "p&q"}),
					 FHA_OK);
	assert_saw(0, "GET "
				  "/bkt?continuation-token=p%26q&delimiter=%2F&list-type=2&max-keys=1000&prefix="
				  "pre%2Fx%20y HTTP/1.1\r\n");
	assert_int_equal(answer.object_count, 2);
	assert_string_equal(answer.objects[0].key, "x<+%20");
	assert_int_equal(answer.objects[0].size, 12);
	assert_true(answer.objects[1].is_folder);
	assert_string_equal(answer.objects[1].key, "y/");
	assert_string_equal(answer.next, "a+b");
	/* A key that XML cannot hold: all keys are asked for encoded from now on. */
	begin();
	(void) say(200, "",
			   "<ListBucketResult><Contents><Key>pre/&#1;</Key></Contents></ListBucketResult>");
	(void) say(200, "",
			   "<ListBucketResult><Contents><Key>pre%2F%01+%2B</Key><Size>1</Size></Contents></"
			   "ListBucketResult>");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_LIST, .key = ""}), FHA_OK);
	assert_saw(1, "encoding-type=url");
	assert_string_equal(answer.objects[0].key, "\x01 +");
	begin();
	(void) say(200, "", "<ListMultipartUploadsResult/>");
	assert_int_equal(ask((FhaStoreRequest){.verb = FHA_STORE_UPLOADS}), FHA_OK);
	assert_saw(0, "GET /bkt?encoding-type=url&max-uploads");
}

/* --- refusals */

/* Ends at once, with one request. */
static void
refused(FhaStoreRequest request, FhaCode code, const char *why)
{
	FhaCode got = ask(request);

	if (got != code || strstr(answer.error.text, why) == NULL)
		fail_msg("%d: %s; %d asked, then %s", got, answer.error.text, atomic_load(&script->asked),
				 script->seen[0]);
	assert_int_equal(atomic_load(&script->asked), script->count);
	assert_null(strstr(answer.error.text, "s3cret"));
	begin();
}

/* After this reply the same request is sent again, and succeeds. */
static void
tried_again(FhaStoreRequest request)
{
	(void) say(200, request.verb == FHA_STORE_STAT ? "Content-Length: 3\r\n" : "", "");
	if (ask(request) != FHA_OK)
		fail_msg("%s", answer.error.text);
	assert_int_equal(answer.tries, 2);
	begin();
}

static void
refusals_are_understood(void **state)
{
	(void) state;
	open_usual();
	say_error(412, "", "PreconditionFailed");
	refused(a_put(true), FHA_CONFLICT, "there is an object");
	(void) say(412, "", "");
	refused(a_put(true), FHA_CONFLICT, "there is an object");
	say_error(403, "", "AccessDenied");
	refused(a_put(false), FHA_DENIED, "HTTP status 403 AccessDenied: so AccessDenied");
	say_error(403, "", "SignatureDoesNotMatch");
	refused(a_put(false), FHA_DENIED,
			"refuses the credentials: HTTP status 403 SignatureDoesNotMatch");
	(void) say(403, "", "");
	refused(a_stat(), FHA_DENIED, "refuses the credentials");
	say_error(404, "", "NoSuchBucket");
	refused(a_get(0, 0), FHA_INVALID, "there is no bucket \"bkt\"");
	say_error(404, "", "NoSuchKey");
	refused(a_get(0, 0), FHA_NOT_FOUND, "no such object");
	say_error(404, "", "NoSuchUpload");
	refused(a_complete(false), FHA_NOT_FOUND, "NoSuchUpload");
	say_error(507, "", "InsufficientStorage");
	refused(a_put(false), FHA_FULL, "InsufficientStorage");
	(void) say(507, "", "");
	refused(a_put(false), FHA_FULL, "507");
	say_error(403, "", "QuotaExceeded");
	refused(a_put(false), FHA_FULL, "QuotaExceeded");
	say_error(400, "", "EntityTooSmall");
	refused(a_complete(false), FHA_INVALID, "EntityTooSmall");
	say_error(404, "", "NoSuchConfiguration");
	refused(a_put(false), FHA_INVALID, "NoSuchConfiguration");
	say_error(501, "", "NotImplemented");
	refused(a_put(false), FHA_INVALID, "NotImplemented");
	say_error(416, "", "InvalidRange");
	refused(a_put(false), FHA_INVALID, "InvalidRange");
	(void) say(416, "Content-Range: bytes */5\r\n", "");
	refused(a_get(6, 1), FHA_INVALID, "behind the object's end");
	(void) say(403, "", "<Error><Code>Access");
	refused(a_put(false), FHA_DENIED, "HTTP status 403");
	say_error(200, "", "AccessDenied");
	refused(a_complete(false), FHA_DENIED, "AccessDenied");
	(void) say(
		200, "",
		"<DeleteResult><Error><Key>pre/c</Key><Code>AccessDenied</Code></Error></DeleteResult>");
	refused(a_delete(2), FHA_DENIED, "did not delete \"pre/c\": AccessDenied");
	(void) say(200, "", "<DeleteResult><Error><Key>pre/c</Key></Error></DeleteResult>");
	refused(a_delete(2), FHA_INVALID, "does not say why");
}

static void
what_may_get_better_is_tried_again(void **state)
{
	static const char *const words[] = {"ConditionalRequestConflict", "OperationAborted"};

	(void) state;
	open_usual();
	say_error(503, "", "SlowDown");
	tried_again(a_put(true));
	(void) say(503, "Retry-After: 1\r\n", "");
	tried_again(a_put(true));
	(void) say(429, "", "");
	tried_again(a_stat());
	for (size_t i = 0; i < 2; i++)
	{
		say_error(409, "", words[i]);
		tried_again(a_put(true));
	}
	say_error(400, "", "BadDigest");
	tried_again(a_put(true));
	say_error(500, "", "InternalError");
	tried_again(a_put(false));
	(void) say(502, "", "<html>bad gateway");
	tried_again(a_stat());
	(void) say(404, "Content-Type: text/html\r\n", "<html>nothing");
	tried_again(a_put(false));
	(void) say(412, "", "");
	tried_again(a_put(false));
	(void) say(200, "",
			   "<DeleteResult><Error><Key>pre/c</Key><Code>InternalError</Code></"
			   "Error><Error><Key>pre/c</Key><Code>SlowDown</Code></Error></DeleteResult>");
	(void) say(200, "", "<DeleteResult/>");
	assert_int_equal(ask(a_delete(2)), FHA_OK);
	assert_int_equal(answer.tries, 2);
}

/* The first try ends so, and another one would follow. */
static void
try_ends(FhaStoreRequest request, FhaCode code)
{
	FhaStoreCall *call;

	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	assert_int_equal(fha_store_start(store, &request, &call, NULL), FHA_OK);
	while (call->tries == 0 || call->state == FHA_STORE_CALL_TRIES)
	{
		assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
		await_store(store);
	}
	assert_int_equal(call->state, FHA_STORE_CALL_WAITS);
	if (call->result.code != code)
		fail_msg("%d: %s", call->result.code, call->result.error.text);
	fha_store_cancel(store, call);
	assert_int_equal(atomic_load(&script->asked), script->count);
	begin();
}

static void
what_may_have_been_applied_is_unknown(void **state)
{
	(void) state;
	open_usual();
	say_error(500, "", "InternalError");
	try_ends(a_put(true), FHA_UNKNOWN);
	say(200, "Content-Length: 10\r\n", "")->hang_up = true;
	try_ends(a_put(false), FHA_UNKNOWN);
	say_error(200, "", "InternalError");
	try_ends(a_complete(false), FHA_UNKNOWN);
	(void) say(200, "", "<Other/>");
	try_ends(a_complete(false), FHA_UNKNOWN);
	(void) say(200, "", "<InitiateMultipartUploadResult/>");
	try_ends(
		(FhaStoreRequest){.verb = FHA_STORE_BEGIN, .key = "a", .part_size = FHA_STORE_PART_MIN},
		FHA_UNKNOWN);
	(void) say(200, "", "");
	try_ends((FhaStoreRequest){.verb = FHA_STORE_PART,
							   .key = "a",
							   .upload = "u",
							   .number = 1,
							   .part_size = FHA_STORE_PART_MIN,
							   .data = "x",
							   .size = 1},
			 FHA_UNKNOWN);
	/* Of an own write the answer was lost, and the next try meets it. */
	say(200, "Content-Length: 10\r\n", "")->hang_up = true;
	say_error(412, "", "PreconditionFailed");
	assert_int_equal(ask(a_put(true)), FHA_CONFLICT);
	assert_true(answer.may_be_own);
}

/* --- reading */

static void
a_reading_goes_on_where_it_was_cut(void **state)
{
	(void) state;
	open_usual();
	say(200, "Content-Length: 10\r\nETag: \"x\"\r\n", "0123")->hang_up = true;
	(void) say(206, "Content-Range: bytes 4-9/10\r\nETag: \"x\"\r\n", "456789");
	assert_int_equal(ask(a_get(0, 0)), FHA_OK);
	assert_saw(1, "\r\nrange: bytes=4-\r\n");
	assert_saw(1, "\r\nif-match: \"x\"\r\n");
	assert_string_equal(taken.data, "0123456789");
	/* It was replaced in between. */
	begin();
	say(200, "Content-Length: 10\r\nETag: \"x\"\r\n", "0123")->hang_up = true;
	say_error(412, "", "PreconditionFailed");
	refused(a_get(0, 0), FHA_CONFLICT, "replaced");
	/* Weak tags are compared, and not asked for. */
	say(200, "Content-Length: 10\r\nETag: W/\"x\"\r\n", "0123")->hang_up = true;
	(void) say(206, "Content-Range: bytes 4-9/10\r\nETag: W/\"y\"\r\n", "456789");
	assert_int_equal(ask(a_get(0, 0)), FHA_CONFLICT);
	assert_false(saw(1, "if-match"));
}

static void
a_range_that_is_not_ours_is_refused(void **state)
{
	static const char *const wrong[] = {"Content-Range: bytes 3-5/10\r\n",
										"Content-Range: bytes 2-5/10\r\n",
										"Content-Range: bytes 2-4/4\r\n",
										"Content-Range: bytes 2-4/*\r\n",
										"Content-Range: bytes 2-4/10\r\nContent-Length: 4\r\n",
										""};

	(void) state;
	open_usual();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
	{
		(void) say(206, wrong[i], "234");
		(void) say(206, "Content-Range: bytes 2-4/10\r\n", "234");
		assert_int_equal(ask(a_get(2, 3)), FHA_OK);
		assert_int_equal(answer.tries, 2);
		assert_string_equal(taken.data, "234");
		begin();
	}
	(void) say(200, "", "0123456789");
	try_ends(a_get(2, 0), FHA_PROTOCOL);
	(void) say(200, "", "0123456789");
	try_ends(a_get(0, 3), FHA_PROTOCOL);
	(void) say(206, "Content-Range: bytes 0-9/10\r\n", "0123456789");
	try_ends(a_get(0, 0), FHA_PROTOCOL);
	(void) say(200, "Transfer-Encoding: chunked\r\n", "1\r\n0\r\n0\r\n\r\n");
	try_ends(a_get(0, 0), FHA_PROTOCOL);
	/* More than it said. */
	(void) say(206, "Content-Range: bytes 2-4/10\r\nTransfer-Encoding: chunked\r\n",
			   "5\r\n23456\r\n0\r\n\r\n");
	try_ends(a_get(2, 3), FHA_PROTOCOL);
	/* As long as the object: the whole of it is the range. */
	(void) say(200, "", "012");
	assert_int_equal(ask(a_get(0, 3)), FHA_OK);
	begin();
	/* Nothing stands at the end, and that is no error; not every store says how large the object is. */
	(void) say(416, "Content-Range: bytes */10\r\n", "");
	assert_int_equal(ask(a_get(10, 0)), FHA_OK);
	assert_int_equal(answer.size, 10);
	begin();
	say_error(416, "", "InvalidRange");
	(void) say(200, "Content-Length: 10\r\n", "");
	assert_int_equal(ask(a_get(10, 5)), FHA_OK);
	assert_saw(1, "HEAD /bkt/pre/a HTTP/1.1\r\n");
	begin();
	say_error(416, "", "InvalidRange");
	(void) say(200, "Transfer-Encoding: chunked\r\n", "");
	try_ends(a_get(10, 5), FHA_PROTOCOL);
	(void) say(200, "Transfer-Encoding: chunked\r\n", "");
	try_ends(a_stat(), FHA_PROTOCOL);
}

static size_t
take_three(const char *data, size_t size, void *owner)
{
	size_t count = size < 3 ? size : 3;

	(void) owner;
	fha_text_add_bytes(&taken, data, count);
	return count;
}

static void
a_taker_can_pause(void **state)
{
	FhaStoreRequest request = a_get(0, 0);
	FhaStoreCall *call;

	(void) state;
	open_usual();
	(void) say(200, "", "0123456789");
	request.take = take_three;
	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	assert_int_equal(fha_store_start(store, &request, &call, NULL), FHA_OK);
	while (fha_store_step(store, &answer) == FHA_AGAIN)
	{
		fha_store_resume(store, call);
		await_store(store);
	}
	assert_int_equal(answer.code, FHA_OK);
	assert_string_equal(taken.data, "0123456789");
}

static void
no_bucket_is_no_proof_that_an_object_is_absent(void **state)
{
	(void) state;
	open_usual();
	(void) say(404, "", "");
	try_ends(a_delete(1), FHA_PROTOCOL);
	(void) say(404, "", "");
	(void) say(404, "", "");
	refused(a_stat(), FHA_INVALID, "there is no bucket");
	(void) say(404, "", "");
	(void) say(403, "", "");
	refused(a_stat(), FHA_NOT_FOUND, "no such object");
	/* Now the bucket is known. */
	(void) say(404, "", "");
	refused(a_stat(), FHA_NOT_FOUND, "no such object");
	open_usual();
	(void) say(404, "", "");
	(void) say(200, "", "");
	refused(a_stat(), FHA_NOT_FOUND, "no such object");
	open_usual();
	(void) say(404, "", "");
	(void) say(500, "", "");
	(void) say(404, "", "");
	(void) say(200, "", "");
	assert_int_equal(ask(a_stat()), FHA_NOT_FOUND);
	assert_saw(1, "HEAD /bkt HTTP/1.1\r\n");
}

/* --- what a store lacks, and what we have wrong */

static void
a_store_without_conditions_is_looked_at_first(void **state)
{
	(void) state;
	open_usual();
	assert_false(fha_store_creates_weakly(store));
	say_error(501, "", "NotImplemented");
	(void) say(404, "", "");
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(true)), FHA_OK);
	assert_true(fha_store_creates_weakly(store));
	assert_saw(1, "HEAD /bkt/pre/a HTTP/1.1\r\n");
	assert_saw(2, "PUT /bkt/pre/a HTTP/1.1\r\n");
	assert_false(saw(2, "if-none-match"));
	begin();
	(void) say(200, "", "");
	refused(a_put(true), FHA_CONFLICT, "there is an object");
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_saw(0, "PUT ");
	begin();
	(void) say(404, "", "");
	say_error(501, "", "NotImplemented");
	refused(a_put(true), FHA_INVALID, "NotImplemented");
}

static void
a_wrong_clock_is_corrected_by_the_stores(void **state)
{
	char head[60] = "Date: ";
	int64_t their_s = fha_wall_ms() / 1000 - 7200;

	(void) state;
	open_usual();
	fha_http_date_print(their_s, head + 6, sizeof(head) - 9);
	(void) strcat(head, "\r\n");
	say_error(403, head, "RequestTimeTooSkewed");
	(void) say(200, head, "");
	assert_int_equal(ask(a_put(true)), FHA_OK);
	assert_int_equal(answer.tries, 2);
	assert_in_range(-fha_store_clock_offset_s(store), 7100, 7300);
	/* A refusal by the same clock has another reason. */
	begin();
	say_error(403, head, "AccessDenied");
	refused(a_put(true), FHA_DENIED, "AccessDenied");
	/* A clock that is right is not corrected, whatever the store says. */
	open_usual();
	say_error(403, "", "RequestTimeTooSkewed");
	refused(a_put(true), FHA_DENIED, "RequestTimeTooSkewed");
	assert_int_equal(fha_store_clock_offset_s(store), 0);
}

static void
the_right_region_is_told_or_taken(void **state)
{
	FhaStoreSettings settings = settings_of("s3://bkt/pre");

	(void) state;
	open_usual();
	(void) say(
		400, "",
		"<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>us-west-2"
		"</Region></Error>");
	refused(a_put(false), FHA_INVALID,
			"the bucket is in the region us-west-2: set that: HTTP status 400");
	(void) say(400, "x-amz-bucket-region: us-west-2\r\n", "");
	refused(a_stat(), FHA_INVALID, "the bucket is in the region us-west-2");
	(void) say(301, "Location: https://elsewhere/\r\n", "");
	refused(a_get(0, 0), FHA_INVALID, "endpoint or region is another one");
	(void) say(403, "x-amz-bucket-region: eu-west-3\r\n", "");
	refused(a_stat(), FHA_DENIED, "refuses the credentials");
	settings.region[0] = '\0';
	open_store(&settings);
	(void) say(301, "x-amz-bucket-region: us-west-2\r\n", "");
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_saw(0, "/us-east-1/s3/");
	assert_saw(1, "/us-west-2/s3/");
	begin();
	(void) say(301, "x-amz-bucket-region: us-west-1\r\n", "");
	refused(a_put(false), FHA_INVALID, "us-west-1");
}

static void
keys_in_files_are_read_again(void **state)
{
	FhaStoreSettings settings = settings_of("s3://bkt/pre");

	(void) state;
	settings.access.text = settings.secret.text = NULL;
	(void) strcpy(settings.access.file, file_of("access", "one\n"));
	(void) strcpy(settings.secret.file, file_of("secret", "s1\n"));
	(void) strcpy(settings.token.file, file_of("token", "session1\n"));
	open_store(&settings);
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_saw(0, "Credential=one/");
	assert_saw(0, "\r\nx-amz-security-token: session1\r\n");
	(void) file_of("access", "another\n");
	begin();
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_saw(0, "Credential=another/");
	begin();
	say_error(403, "", "ExpiredToken");
	refused(a_put(false), FHA_DENIED, "ExpiredToken");
	/* The keys of this request were replaced while it was under way. */
	say_error(403, "", "InvalidAccessKeyId");
	(void) say(200, "", "");
	{
		FhaStoreRequest request = a_put(false);

		request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
		assert_int_equal(fha_store_start(store, &request, NULL, NULL), FHA_OK);
		assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
		(void) file_of("access", "third-key\n");
		while (fha_store_step(store, &answer) == FHA_AGAIN)
			await_store(store);
	}
	assert_int_equal(answer.code, FHA_OK);
	assert_int_equal(answer.tries, 2);
	assert_saw(1, "Credential=third-key/");
}

static void
credentials_are_fetched_for_a_store(void **state)
{
	FhaStoreSettings settings = settings_of("s3://bkt/pre");
	char url[100];
	static const char keys[] =
		"{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":"
		"\"2999-01-01T00:00:00Z\"}";
	char body[200];

	(void) state;
	(void) snprintf(url, sizeof(url), "https://127.0.0.1:%d/agent", server_port);
	assert_int_equal(setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1), 0);
	assert_int_equal(setenv("AWS_REGION", "eu-north-1", 1), 0);
	settings.identity = FHA_STORE_BY_SURROUNDINGS;
	settings.region[0] = '\0';
	open_store(&settings);
	(void) snprintf(body, sizeof(body), keys, "fetched");
	(void) say(200, "", body);
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_saw(0, "GET /agent HTTP/1.1\r\n");
	assert_saw(1, "Credential=fetched/");
	assert_saw(1, "/eu-north-1/s3/");
	/* They are refused: just now they were good, so that others would not help. */
	begin();
	say_error(403, "", "ExpiredToken");
	refused(a_put(false), FHA_DENIED, "ExpiredToken");
	/* Keys of another generation than those that are there are no reason to fetch any. */
	assert_true(fha_s3_identity_refused(&((FhaS3 *) store)->identity, 0));
	((FhaS3 *) store)->identity.credentials.got_at_ms -= 60000;
	say_error(403, "", "ExpiredToken");
	(void) snprintf(body, sizeof(body), keys, "fresh");
	(void) say(200, "", body);
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_saw(2, "Credential=fresh/");
	/* None to be had. */
	begin();
	open_store(&settings);
	(void) say(403, "", "");
	refused(a_put(false), FHA_DENIED, "gave no credentials");
	refused(a_put(false), FHA_DENIED, "gave no credentials");
	assert_int_equal(unsetenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"), 0);
	assert_int_equal(setenv("AWS_ACCESS_KEY_ID", "environ", 1), 0);
	assert_int_equal(setenv("AWS_SECRET_ACCESS_KEY", "x", 1), 0);
	(void) strcpy(settings.region, "ap-south-1");
	open_store(&settings);
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_saw(0, "Credential=environ/");
	assert_saw(0, "/ap-south-1/s3/");
	begin();
	say_error(403, "", "ExpiredToken");
	refused(a_put(false), FHA_DENIED, "ExpiredToken");
	assert_int_equal(unsetenv("AWS_ACCESS_KEY_ID"), 0);
}

/* --- Google's store */

static void
google_has_conditions_of_its_own(void **state)
{
	FhaStoreSettings settings = settings_of("gs://bkt/pre");

	(void) state;
	open_store(&settings);
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(true)), FHA_OK);
	assert_saw(0, "\r\nx-goog-if-generation-match: 0\r\n");
	assert_saw(0, "\r\nAuthorization: GOOG4-HMAC-SHA256 Credential=access/");
	assert_saw(0, "/auto/storage/goog4_request, ");
	assert_saw(0, "\r\nx-goog-content-sha256: UNSIGNED-PAYLOAD\r\n");
	assert_false(saw(0, "x-amz"));
	assert_false(fha_store_creates_weakly(store));
	/* Of a multipart upload it has none. */
	begin();
	(void) say(404, "", "");
	(void) say(200, "", "<CompleteMultipartUploadResult/>");
	assert_int_equal(ask(a_complete(true)), FHA_OK);
	assert_saw(0, "HEAD ");
	assert_false(saw(1, "if-generation-match"));
	assert_true(fha_store_creates_weakly(store));
	begin();
	(void) say(200, "", "");
	refused(a_complete(true), FHA_CONFLICT, "there is an object");
	(void) say(204, "", "");
	(void) say(204, "", "");
	assert_int_equal(ask(a_delete(2)), FHA_OK);
	assert_saw(1, "DELETE /bkt/pre/c HTTP/1.1\r\n");
	begin();
	say(200, "Content-Length: 10\r\nETag: \"x\"\r\nx-goog-generation: 17\r\n", "0123")->hang_up =
		true;
	(void) say(206, "Content-Range: bytes 4-9/10\r\nETag: \"x\"\r\nx-goog-generation: 17\r\n",
			   "456789");
	assert_int_equal(ask(a_get(0, 0)), FHA_OK);
	assert_saw(1, "\r\nx-goog-if-generation-match: 17\r\n");
}

static void
google_takes_tokens(void **state)
{
	FhaStoreSettings settings = settings_of("gs://bkt/pre");
	char json[300];
	char *path;

	(void) state;
	(void) snprintf(json, sizeof(json),
					"{\"type\":\"authorized_user\",\"client_id\":\"c\",\"client_secret\":\"s\","
					"\"refresh_token\":"
					"\"r\",\"token_uri\":\"https://127.0.0.1:%d/token\"}",
					server_port);
	settings.identity = FHA_STORE_BY_SERVICE_ACCOUNT;
	settings.access.text = NULL;
	settings.secret.text = json;
	open_store(&settings);
	(void) say(200, "", "{\"access_token\":\"ya29\",\"expires_in\":3599}");
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(true)), FHA_OK);
	assert_saw(0, "POST /token HTTP/1.1\r\n");
	assert_saw(1, "\r\nAuthorization: Bearer ya29\r\n");
	assert_false(saw(1, "x-goog-content-sha256"));
	/* A file, that the environment names, and that is replaced. */
	path = strdup(file_of("google.json", json));
	assert_non_null(path);
	assert_int_equal(setenv("GOOGLE_APPLICATION_CREDENTIALS", path, 1), 0);
	settings.identity = FHA_STORE_BY_SURROUNDINGS;
	settings.secret.text = NULL;
	open_store(&settings);
	(void) say(200, "", "{\"access_token\":\"one\",\"expires_in\":3599}");
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(true)), FHA_OK);
	assert_saw(1, "Bearer one\r\n");
	(void) strcat(json, "\n");
	(void) file_of("google.json", json);
	begin();
	(void) say(200, "", "{\"access_token\":\"two\",\"expires_in\":3599}");
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(true)), FHA_OK);
	assert_saw(1, "Bearer two\r\n");
	free(path);
}

/* --- settings */

static void
not_opened(const FhaStoreSettings *settings, FhaCode code, const char *why)
{
	FhaStore *other;
	FhaError err = {FHA_OK, ""};
	FhaCode got = fha_store_open(&other, settings, &err);

	if (got != code || strstr(err.text, why) == NULL)
		fail_msg("%d: %s", got, err.text);
}

static void
settings_that_cannot_be_are_refused(void **state)
{
	FhaStoreSettings settings = settings_of("s3://bkt");
	FhaStoreSettings usual = settings;

	(void) state;
	(void) strcpy(settings.endpoint, "https://host/path");
	not_opened(&settings, FHA_INVALID, "the store's endpoint");
	(void) strcpy(settings.endpoint, "ftp://host");
	not_opened(&settings, FHA_INVALID, "the store's endpoint");
	settings = usual;
	settings.secret.text = NULL;
	not_opened(&settings, FHA_INVALID, "a key's name and its secret");
	(void) strcpy(settings.secret.file, "/nowhere/secret");
	not_opened(&settings, FHA_NOT_FOUND, "/nowhere/secret");
	settings = usual;
	settings.secret.text = (char *) (uintptr_t) "s3cret of two words";
	not_opened(&settings, FHA_INVALID, "a character that no token has");
	settings = usual;
	(void) strcpy(settings.ca_file, file_of("none.pem", "nothing"));
	not_opened(&settings, FHA_INVALID, "CERTIFICATE");
	(void) strcpy(settings.ca_file, "/nowhere/ca");
	not_opened(&settings, FHA_NOT_FOUND, "/nowhere/ca");
	settings = usual;
	settings.identity = FHA_STORE_BY_SERVICE_ACCOUNT;
	not_opened(&settings, FHA_INVALID, "takes no credentials of that kind");
	settings.identity = FHA_STORE_BY_SAS;
	not_opened(&settings, FHA_INVALID, "takes no credentials of that kind");
	settings = settings_of("gs://bkt");
	settings.identity = FHA_STORE_BY_SERVICE_ACCOUNT;
	not_opened(&settings, FHA_INVALID, "no JSON of the type");
	(void) strcpy(settings.secret.file, "/nowhere/json");
	not_opened(&settings, FHA_NOT_FOUND, "/nowhere/json");
}

static void
a_public_bucket_wants_no_keys(void **state)
{
	FhaStoreSettings settings = settings_of("s3://bkt");

	(void) state;
	settings.identity = FHA_STORE_BY_NOTHING;
	open_store(&settings);
	(void) say(200, "", "");
	assert_int_equal(ask(a_put(false)), FHA_OK);
	assert_false(saw(0, "Authorization") || saw(0, "x-amz"));
	begin();
	say_error(403, "", "InvalidSecurity");
	refused(a_put(false), FHA_DENIED, "wants credentials");
}

static void
several_calls_are_under_way(void **state)
{
	FhaStoreRequest request = a_put(false);
	unsigned ended = 0;

	(void) state;
	open_usual();
	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	for (int i = 0; i < 4; i++)
	{
		(void) say(200, "", "");
		assert_int_equal(fha_store_start(store, &request, NULL, NULL), FHA_OK);
	}
	while (ended < 4)
		if (fha_store_step(store, &answer) == FHA_OK)
		{
			assert_int_equal(answer.code, FHA_OK);
			ended++;
		}
		else
			await_store(store);
}

static void
nobody_answers(void **state)
{
	FhaStoreSettings settings = settings_of("s3://bkt/pre");

	(void) state;
	/* Without TLS a body has its hash in the signature. */
	settings.ca_file[0] = '\0';
	(void) strcpy(settings.endpoint, "http://127.0.0.1:1");
	open_store(&settings);
	try_ends(a_put(false), FHA_IO);
	/* Where a bucket is a host, its own path is a '/'. */
	settings.path_style = false;
	(void) strcpy(settings.endpoint, "http://localhost:1");
	open_store(&settings);
	try_ends((FhaStoreRequest){.verb = FHA_STORE_LIST, .key = ""}, FHA_IO);
	assert_string_equal(((FhaS3 *) store)->base, "http://bkt.localhost:1");
}

static void
address_is(FhaStoreKind kind, const char *bucket, const char *endpoint, const char *region,
		   const char *wanted, bool path_style)
{
	FhaS3 s3;

	memset(&s3, 0, sizeof(s3));
	s3.google = kind == FHA_STORE_GCS;
	(void) snprintf(s3.store.settings.bucket, sizeof(s3.store.settings.bucket), "%s", bucket);
	(void) snprintf(s3.store.settings.endpoint, sizeof(s3.store.settings.endpoint), "%s", endpoint);
	(void) snprintf(s3.region, sizeof(s3.region), "%s", region);
	assert_int_equal(fha_s3_address(&s3, NULL), FHA_OK);
	assert_string_equal(s3.base, wanted);
	assert_int_equal(s3.store.settings.path_style, path_style);
}

static void
addresses_are_of_either_style(void **state)
{
	(void) state;
	address_is(FHA_STORE_S3, "bkt", "", "", "https://bkt.s3.us-east-1.amazonaws.com", false);
	address_is(FHA_STORE_S3, "bkt", "", "cn-north-1", "https://bkt.s3.cn-north-1.amazonaws.com.cn",
			   false);
	address_is(FHA_STORE_S3, "b.k", "", "eu-west-3", "https://s3.eu-west-3.amazonaws.com", true);
	address_is(FHA_STORE_S3, "bkt", "https://s.example:443", "", "https://bkt.s.example", false);
	address_is(FHA_STORE_S3, "bkt", "http://s.example:443", "", "http://bkt.s.example:443", false);
	address_is(FHA_STORE_S3, "bkt", "http://10.0.0.1:9000", "", "http://10.0.0.1:9000", true);
	address_is(FHA_STORE_S3, "bkt", "http://[::1]:80", "", "http://[::1]", true);
	address_is(FHA_STORE_GCS, "bkt", "", "", "https://storage.googleapis.com", true);
}

/* --- the middle of things */

static void
a_row_of_deletions_can_be_cut(void **state)
{
	FhaStoreRequest request = {
		.verb = FHA_STORE_DELETE, .keys = (const char *const[]){"\x01", "b", "c"}, .key_count = 3};
	FhaStoreCall *call;

	(void) state;
	open_usual();
	(void) say(204, "", "");
	(void) say(503, "Retry-After: 3\r\n", "");
	try_ends(request, FHA_AGAIN);
	/* What a row has done stays done, wherever it is cut. */
	(void) say(204, "", "");
	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	assert_int_equal(fha_store_start(store, &request, &call, NULL), FHA_OK);
	while (call->try_ == NULL || !((FhaS3Try *) call->try_)->applied)
	{
		await_store(store);
		assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
	}
	assert_true(fha_store_s3_driver.cancel(store, call));
	call->state = FHA_STORE_CALL_WAITS;
	fha_store_cancel(store, call);
}

/* The last one that asks the server: what is cancelled may arrive at any time. */
static void
a_call_can_be_cancelled(void **state)
{
	FhaStoreRequest request = a_put(false);
	FhaStoreCall *call;

	(void) state;
	open_usual();
	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	assert_int_equal(fha_store_start(store, &request, &call, NULL), FHA_OK);
	assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
	assert_true(fha_store_fd(store) >= 0);
	assert_true(fha_store_wake_at_ms(store) <= request.deadline_at_ms);
	fha_store_cancel(store, call);
	assert_int_equal(fha_store_start(store, &request, &call, NULL), FHA_OK);
	assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
	fha_store_close(store);
	store = NULL;
}

/* --- answers that make no sense */

static void
lists_are_held_to_what_they_are(void **state)
{
	static const FhaStoreSettings settings = {.prefix = "pre"};
	static const char *const lists[] = {
		"<ListBucketResult><Contents><Key>other/a</Key></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>pre/%zz</Key></Contents></ListBucketResult>",
		"<ListBucketResult><Contents><Key>pre/a</Key><Size>-1</Size></Contents></ListBucketResult>",
		"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
		"<Other/>",
		"no XML"};
	static const char *const uploads[] = {
		"<ListMultipartUploadsResult><Upload><Key>other</Key><UploadId>u</UploadId></Upload></"
		"ListMultipartUploadsResult>",
		"<Other/>"};
	static const char *const parts[] = {
		"<ListPartsResult><Part><PartNumber>0</PartNumber><ETag>x</ETag></Part></ListPartsResult>",
		"<ListPartsResult><Part><PartNumber>1</PartNumber></Part></ListPartsResult>",
		"<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>"};
	FhaStoreResult result = {.code = FHA_OK};
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
	{
		assert_int_equal(
			fha_s3_read_list(lists[i], strlen(lists[i]), true, &settings, &result, &err),
			FHA_PROTOCOL);
		fha_store_result_release(&result);
	}
	for (size_t i = 0; i < sizeof(uploads) / sizeof(uploads[0]); i++)
	{
		assert_int_equal(
			fha_s3_read_uploads(uploads[i], strlen(uploads[i]), false, &settings, &result, &err),
			FHA_PROTOCOL);
		fha_store_result_release(&result);
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
	{
		assert_int_equal(fha_s3_read_parts(parts[i], strlen(parts[i]), &result, &err),
						 FHA_PROTOCOL);
		fha_store_result_release(&result);
	}
	assert_int_equal(fha_s3_read_deleted("<Other/>", 8, &err), FHA_PROTOCOL);
}

static void
a_status_without_words_has_a_meaning(void **state)
{
	FhaS3Reason reason;

	(void) state;
	fha_s3_reason(&reason, 408, NULL, 0);
	assert_int_equal(reason.cause, FHA_S3_CAUSE_UNSURE);
	fha_s3_reason(&reason, 405, NULL, 0);
	assert_int_equal(reason.code, FHA_INVALID);
	fha_s3_reason(&reason, 199, NULL, 0);
	assert_int_equal(reason.code, FHA_PROTOCOL);
	fha_s3_reason(&reason, 404, "<html/>", 7);
	assert_int_equal(reason.code, FHA_PROTOCOL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_are_asked_as_s3_wants),
		cmocka_unit_test(uploads_are_asked_as_s3_wants),
		cmocka_unit_test(reads_are_asked_as_s3_wants),
		cmocka_unit_test(refusals_are_understood),
		cmocka_unit_test(what_may_get_better_is_tried_again),
		cmocka_unit_test(what_may_have_been_applied_is_unknown),
		cmocka_unit_test(a_reading_goes_on_where_it_was_cut),
		cmocka_unit_test(a_range_that_is_not_ours_is_refused),
		cmocka_unit_test(a_taker_can_pause),
		cmocka_unit_test(no_bucket_is_no_proof_that_an_object_is_absent),
		cmocka_unit_test(a_store_without_conditions_is_looked_at_first),
		cmocka_unit_test(a_wrong_clock_is_corrected_by_the_stores),
		cmocka_unit_test(the_right_region_is_told_or_taken),
		cmocka_unit_test(keys_in_files_are_read_again),
		cmocka_unit_test(credentials_are_fetched_for_a_store),
		cmocka_unit_test(google_has_conditions_of_its_own),
		cmocka_unit_test(google_takes_tokens),
		cmocka_unit_test(settings_that_cannot_be_are_refused),
		cmocka_unit_test(a_public_bucket_wants_no_keys),
		cmocka_unit_test(several_calls_are_under_way),
		cmocka_unit_test(nobody_answers),
		cmocka_unit_test(addresses_are_of_either_style),
		cmocka_unit_test(a_row_of_deletions_can_be_cut),
		cmocka_unit_test(a_call_can_be_cancelled),
		cmocka_unit_test(lists_are_held_to_what_they_are),
		cmocka_unit_test(a_status_without_words_has_a_meaning),
	};
	char command[100];
	int failures;

	script = mmap(NULL, sizeof(*script), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEEDED(script != MAP_FAILED && mkdtemp(folder) != NULL);
	identity_init(&identity, "store", "IP:127.0.0.1");
	https_server_start(&identity, &identity);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	fha_store_close(store);
	fha_text_release(&taken);
	https_server_stop();
	identity_release(&identity);
	(void) snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	(void) !system(command);
	return failures;
}
