/*
 * azure_test.c: the Azure driver against a server that says what Azure says seldom.
 *
 * The blob's name says what happens to its requests.  Most faults happen once: the server counts
 * the requests of a test, and does well from the second on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/azure/private.h"
#include "test/http/https_server.h"
#include "test/store/await.h"

#define ACCOUNT_KEY "c2VjcmV0IGtleQ=="
#define UPLOAD "6b0de81d30d21e66d6fc8fb97eacdabe"
#define OTHER_UPLOAD "6b0de81dd1320c45eddb813b9b638314"
#define PART_SIZE ((size_t) FHA_STORE_PART_MIN)

/* --- the server */

static char sas_path[64];

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	NEEDED(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void
answer(SSL *ssl, const HttpsRequest *request, const char *status, const char *heads,
	   const char *body)
{
	static char text[8192];

	(void) snprintf(text, sizeof(text), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status,
					strlen(body), heads);
	https_send(ssl, text);
	if (strcmp(request->method, "HEAD") != 0)
		https_send(ssl, body);
}

static void
fault(SSL *ssl, const HttpsRequest *request, const char *status, const char *word, const char *more)
{
	char heads[300];
	char body[300];

	(void) snprintf(heads, sizeof(heads), "x-ms-error-code: %s\r\n%s", word, more);
	(void) snprintf(body, sizeof(body), "<Error><Code>%s</Code><Message>Sorry.</Message></Error>",
					word);
	answer(ssl, request, status, heads, body);
}

static void
chunks(SSL *ssl, const char *heads, const char *first, const char *second)
{
	char text[600];

	(void) snprintf(text, sizeof(text),
					"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\nETag: \"1\"\r\n\r\n"
					"%zx\r\n%s\r\n%zx\r\n%s\r\n0\r\n\r\n",
					heads, strlen(first), first, strlen(second), second);
	https_send(ssl, text);
}

/* "0123456789", or what was asked for of it. */
static void
answer_digits(SSL *ssl, const HttpsRequest *request)
{
	const char *range = strstr(request->head, "\r\nrange: bytes=");
	unsigned from = 0;
	unsigned last = 9;
	char digits[] = "0123456789";
	char heads[100] = "ETag: \"1\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

	if (range != NULL)
	{
		NEEDED(sscanf(range + 15, "%u-%u", &from, &last) >= 1 && from <= last && last < 10);
		(void) snprintf(heads, sizeof(heads), "ETag: \"1\"\r\nContent-Range: bytes %u-%u/10\r\n",
						from, last);
	}
	digits[last + 1] = '\0';
	answer(ssl, request, range == NULL ? "200 OK" : "206 Partial", heads, digits + from);
}

/* A body that ends early, and what a server may say to the rest; false: the connection ends. */
static bool
get_fault(SSL *ssl, const HttpsRequest *request, const char *name, int count)
{
	static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"1\"\r\n\r\n";

	if (count > 1 && strcmp(name, "replaced") == 0)
		fault(ssl, request, "412 X", "ConditionNotMet", "");
	else if (count > 1)
		answer_digits(ssl, request);
	else if (strcmp(name, "cut") == 0 || strcmp(name, "replaced") == 0)
	{
		https_send(ssl, whole);
		https_send(ssl, "01234");
		return false;
	}
	else if (strcmp(name, "long") == 0)
		chunks(ssl, "206 X\r\nContent-Range: bytes 2-4/10", "23", "456");
	else if (strcmp(name, "short") == 0)
		chunks(ssl, "206 X\r\nContent-Range: bytes 2-9/10", "23", "4");
	else if (strcmp(name, "whole") == 0)
	{
		https_send(ssl, whole);
		https_send(ssl, "0123456789");
	}
	else if (strcmp(name, "endless") == 0)
		chunks(ssl, "200 OK", "01", "2");
	else if (strcmp(name, "elsewhere") == 0)
		answer(ssl, request, "206 X", "Content-Range: bytes 1-9/10\r\n", "123456789");
	else if (strcmp(name, "odd") == 0)
		answer(ssl, request, "204 X", "", "");
	else
		fault(ssl, request, "416 X", "InvalidRange", "");
	return true;
}

static void
list_one(SSL *ssl, const HttpsRequest *request, const char *prefix)
{
	if (strcmp(prefix, "damaged") == 0)
		answer(ssl, request, "200 OK", "", "<EnumerationResults><Blobs>");
	else if (strstr(request->path, "include=uncommittedblobs") != NULL)
		answer(ssl, request, "200 OK", "",
			   "<EnumerationResults><Blobs><Blob><Name>pre/blocks-b</Name></Blob>"
			   "<Blob><Name>pre/full</Name><Properties><Content-Length>5</Content-Length>"
			   "</Properties></Blob><Blob><Name>pre/gone</Name></Blob>"
			   "<Blob><Name>pre/blocks-a</Name></Blob></Blobs><NextMarker>more</NextMarker>"
			   "</EnumerationResults>");
	else
		answer(ssl, request, "200 OK", "",
			   "<EnumerationResults><Blobs><Blob><Name>pre/x</Name></Blob></Blobs>"
			   "</EnumerationResults>");
}

static void
add_block(char *to, size_t size, const char *upload, unsigned number, unsigned bytes)
{
	char id[FHA_AZURE_BLOCK_ID_SIZE];
	size_t used = strlen(to);

	fha_azure_block_id(upload, number, id);
	(void) snprintf(to + used, size - used, "<Block><Name>%s</Name><Size>%u</Size></Block>", id,
					bytes);
}

static void
answer_blocks(SSL *ssl, const HttpsRequest *request, const char *name)
{
	char text[4000] = "<BlockList><UncommittedBlocks>";

	add_block(text, sizeof(text), UPLOAD, FHA_AZURE_BLOCK_BEGUN, 1);
	add_block(text, sizeof(text), OTHER_UPLOAD, FHA_AZURE_BLOCK_BEGUN, 1);
	if (strcmp(name, "blocks-a") != 0)
		add_block(text, sizeof(text), OTHER_UPLOAD, FHA_AZURE_BLOCK_ABORTED, 1);
	add_block(text, sizeof(text), UPLOAD, 1, (unsigned) PART_SIZE);
	if (strcmp(name, "part-lost") != 0)
		add_block(text, sizeof(text), UPLOAD, 2, 3);
	(void) snprintf(text + strlen(text), sizeof(text) - strlen(text),
					"</UncommittedBlocks></BlockList>");
	answer(ssl, request, "200 OK", "", text);
}

static bool
commit_fault(SSL *ssl, const HttpsRequest *request, const char *name)
{
	bool commits = strcmp(request->method, "PUT") == 0;
	int count;

	if (!commits && strcmp(request->method, "HEAD") == 0)
	{
		if (strcmp(name, "part-lost") == 0)
			fault(ssl, request, "404 X", "BlobNotFound", "");
		else
			answer(ssl, request, "200 OK",
				   strstr(name, "own") != NULL ? "x-ms-meta-fha_upload: " UPLOAD "\r\n"
											   : "x-ms-meta-fha_upload: " OTHER_UPLOAD "\r\n",
				   "");
		return true;
	}
	count = atomic_fetch_add(&shared->marked, 1) + 1;
	/* The first commit is carried out, and its answer is lost: there are no blocks any more. */
	if (strcmp(name, "own-lost") == 0 && commits)
		return false;
	if (!commits && (strcmp(name, "own-lost") != 0 || count == 1))
		answer_blocks(ssl, request, name);
	else if (!commits)
		fault(ssl, request, "404 X", "BlobNotFound", "");
	else
		fault(ssl, request, "409 X", "BlobAlreadyExists", "");
	return true;
}

/* What has nothing to do with what is asked. */
static bool
any_fault(SSL *ssl, const HttpsRequest *request, const char *name)
{
	int count = atomic_fetch_add(&shared->marked, 1) + 1;

	if (count > 1 && strcmp(name, "twice") == 0)
		fault(ssl, request, "409 X", "BlobAlreadyExists", "");
	else if (count > 1)
		answer(ssl, request, strcmp(request->method, "PUT") == 0 ? "201 X" : "200 OK", "", "");
	else if (strcmp(name, "busy") == 0)
		fault(ssl, request, "503 X", "ServerBusy", "Retry-After: 1\r\n");
	else if (strcmp(name, "internal") == 0 || strcmp(name, "twice") == 0)
		fault(ssl, request, "500 X", "InternalError", "");
	else if (strcmp(name, "odd-put") == 0)
		answer(ssl, request, "200 OK", "", "");
	else if (strcmp(name, "proxy") == 0)
		answer(ssl, request, "404 X", "", "<html>");
	else
		return false;
	return true;
}

static bool
denied(SSL *ssl, const HttpsRequest *request, const char *name)
{
	if (strcmp(name, "clock") == 0)
		fault(ssl, request, "403 X", "AuthenticationFailed",
			  "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	else if (strcmp(name, "key") == 0)
		fault(ssl, request, "403 X", "AuthenticationFailed", "");
	else if (strcmp(name, "container") == 0)
		fault(ssl, request, "404 X", "ContainerNotFound", "");
	else if (strcmp(name, "token") == 0 &&
			 strstr(request->head, "Authorization: Bearer token-2\r\n") == NULL)
		fault(ssl, request, "401 X", "InvalidAuthenticationInfo", "");
	else if (strcmp(name, "sas?sv=1&sig=old") == 0 || strcmp(name, "denied") == 0)
	{
		write_file(sas_path, "sv=1&sig=new");
		fault(ssl, request, "403 X", "AuthenticationFailed", "");
	}
	else
		return false;
	return true;
}

/* Does the request prove who sends it, by what the test has? */
static bool
is_proven(const HttpsRequest *request)
{
	bool version = strstr(request->head, "\r\nx-ms-version: " FHA_AZURE_VERSION "\r\n") != NULL;
	bool key = strstr(request->head, "\r\nauthorization: SharedKey acc:") != NULL;
	bool token = strstr(request->head, "\r\nAuthorization: Bearer token-") != NULL;
	bool sas = strstr(request->path, "sig=") != NULL;

	return version && strstr(request->head, "\r\nx-ms-date: ") != NULL && key + token + sas == 1;
}

static bool
answer_token(SSL *ssl, const HttpsRequest *request)
{
	static const char *const refused = "{\"error\":\"no_identity\"}";
	char body[100];

	(void) snprintf(body, sizeof(body), "{\"access_token\":\"token-%d\",\"expires_in\":3600}",
					atomic_fetch_add(&shared->marked, 1) + 1);
	if (strncmp(request->path, "/none/", 6) == 0)
		answer(ssl, request, "400 X", "", refused);
	else
		answer(ssl, request, "200 OK", "", body);
	return true;
}

static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	static const char blob[] = "/acc/cont/pre/";
	const char *path = request->path;
	char name[200];

	if (strstr(path, "/metadata/identity/") != NULL)
		return answer_token(ssl, request);
	if (!is_proven(request))
	{
		fault(ssl, request, "403 X", "Unproven", "");
		return true;
	}
	if (strncmp(path, "/acc/cont?", 10) == 0)
	{
		list_one(ssl, request, strstr(path, "prefix=pre%2Fdamaged") != NULL ? "damaged" : "");
		return true;
	}
	NEEDED(strncmp(path, blob, strlen(blob)) == 0);
	(void) snprintf(name, sizeof(name), "%s", path + strlen(blob));
	if (strncmp(name, "sas", 3) != 0)
		name[strcspn(name, "?")] = '\0';
	if (denied(ssl, request, name))
		return true;
	if (strncmp(name, "get-", 4) == 0)
		return get_fault(ssl, request, name + 4, atomic_fetch_add(&shared->marked, 1) + 1);
	if (strncmp(name, "any-", 4) == 0)
		return any_fault(ssl, request, name + 4);
	if (strncmp(name, "own", 3) == 0 || strncmp(name, "others", 6) == 0 ||
		strncmp(name, "part-lost", 9) == 0)
		return commit_fault(ssl, request, name);
	if (strncmp(name, "blocks", 6) == 0 && strcmp(request->method, "GET") == 0)
		answer_blocks(ssl, request, name);
	else if (strncmp(name, "hang", 4) == 0)
		(void) pause();
	else if (strcmp(request->method, "DELETE") == 0)
	{
		(void) atomic_fetch_add(&shared->marked, 1);
		if (name[1] == '1')
			fault(ssl, request, "404 X", "BlobNotFound", "");
		else
			answer(ssl, request, "202 X", "", "");
	}
	else if (strcmp(request->method, "PUT") == 0)
		answer(ssl, request, "201 X", "", "");
	else if (strcmp(name, "digits") == 0)
		answer_digits(ssl, request);
	else if (strcmp(name, "unsized") == 0)
		https_send(ssl, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	else if (strncmp(name, "sas", 3) == 0)
		answer(ssl, request, "200 OK", "", "");
	else
		fault(ssl, request, "404 X", "BlobNotFound", "");
	return true;
}

/* --- the client */

static Identity identity;
static char ca_path[64];
static FhaStore *store;
static FhaStoreAnswer told;

static FhaStoreSettings
settings_of(FhaStoreIdentity by, char *secret)
{
	static char url[100];
	FhaStoreSettings settings = {.identity = by, .secret = {.text = secret}};
	FhaError err;

	(void) snprintf(url, sizeof(url), "https://127.0.0.1:%d/acc/cont/pre", server_port);
	assert_int_equal(fha_store_url_parse(&settings, url, &err), FHA_OK);
	(void) snprintf(settings.ca_file, sizeof(settings.ca_file), "%s", ca_path);
	return settings;
}

static void
open_as(FhaStoreIdentity by, char *secret)
{
	FhaStoreSettings settings = settings_of(by, secret);
	FhaError err;

	atomic_store(&shared->marked, 0);
	assert_int_equal(fha_store_open(&store, &settings, &err), FHA_OK);
}

static int
open_with_key(void **state)
{
	(void) state;
	open_as(FHA_STORE_BY_KEY, (char[]){ACCOUNT_KEY});
	return 0;
}

static int
close_store(void **state)
{
	(void) state;
	fha_store_close(store);
	store = NULL;
	return 0;
}

static char taken[64];
static size_t taken_size;
static size_t taken_at_once;

static size_t
take(const char *data, size_t size, void *owner)
{
	size_t count = taken_at_once != 0 && taken_at_once < size ? taken_at_once : size;

	assert_true(taken_size + count < sizeof(taken));
	assert_null(owner);
	memcpy(taken + taken_size, data, count);
	taken_size += count;
	taken[taken_size] = '\0';
	return count;
}

static FhaCode
call_until(FhaStoreRequest request, int64_t ms)
{
	FhaCode code;

	request.deadline_at_ms = fha_now_ms() + ms;
	request.take = take;
	taken_size = 0;
	taken[0] = '\0';
	code = fha_store_call(store, &request, &told);
	assert_null(strstr(told.error.text, "sig="));
	assert_null(strstr(told.error.text, "SharedKey"));
	return code;
}

static FhaCode
call(FhaStoreVerb verb, const char *key)
{
	static FhaStorePart parts[2] = {{.number = 1, .size = PART_SIZE}, {.number = 2, .size = 3}};

	fha_azure_block_id(UPLOAD, 1, parts[0].tag);
	fha_azure_block_id(UPLOAD, 2, parts[1].tag);
	return call_until((FhaStoreRequest){.verb = verb,
										.key = key,
										.upload = UPLOAD,
										.data = "abc",
										.size = 3,
										.number = 1,
										.part_size = PART_SIZE,
										.parts = parts,
										.part_count = 2},
					  AWAIT_MAX_MS);
}

/* Has a call ended? */
static bool
step_once(void)
{
	await_store(store);
	return fha_store_step(store, &told) == FHA_OK;
}

/* How the first try of a call ends that would be tried again. */
static FhaCode
try_once(FhaStoreVerb verb, const char *key)
{
	FhaStoreRequest request = {
		.verb = verb, .key = key, .take = take, .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	FhaStoreCall *name;
	FhaCode code;
	FhaError err;

	assert_int_equal(fha_store_start(store, &request, &name, &err), FHA_OK);
	do
		assert_false(step_once());
	while (name->state != FHA_STORE_CALL_WAITS || name->tries == 0);
	code = name->result.code;
	fha_store_cancel(store, name);
	return code;
}

/* --- reads */

static void
properties_are_read(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_STAT, "digits"), FHA_OK);
	assert_int_equal(told.size, 10);
	assert_int_equal(told.modified_s, 784111777);
	assert_int_equal(call(FHA_STORE_STAT, "none"), FHA_NOT_FOUND);
	assert_int_equal(try_once(FHA_STORE_STAT, "unsized"), FHA_PROTOCOL);
}

static void
assert_gets(const char *key, uint64_t offset, uint64_t length, const char *expected)
{
	atomic_store(&shared->marked, 0);
	assert_int_equal(call_until(
						 (FhaStoreRequest){
							 .verb = FHA_STORE_GET, .key = key, .offset = offset, .length = length},
						 AWAIT_MAX_MS),
					 FHA_OK);
	assert_string_equal(taken, expected);
	assert_int_equal(told.size, 10);
	assert_int_equal(told.tries, strcmp(key, "digits") == 0 ? 1 : 2);
}

static void
a_get_goes_on_where_it_was_cut(void **state)
{
	(void) state;
	assert_gets("digits", 0, 0, "0123456789");
	assert_gets("get-cut", 0, 0, "0123456789");
	assert_gets("get-short", 2, 0, "23456789");
	/* More than it said it would send. */
	assert_gets("get-whole", 3, 0, "3456789");
	assert_gets("get-elsewhere", 3, 0, "3456789");
	assert_gets("get-endless", 0, 0, "0123456789");
	assert_gets("get-odd", 0, 0, "0123456789");
}

static void
a_get_of_too_many_bytes(void **state)
{
	(void) state;
	assert_int_equal(
		call_until(
			(FhaStoreRequest){.verb = FHA_STORE_GET, .key = "get-long", .offset = 2, .length = 3},
			AWAIT_MAX_MS),
		FHA_OK);
	assert_string_equal(taken, "234");
}

static void
a_get_of_another_blob(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_GET, "get-replaced"), FHA_CONFLICT);
	assert_string_equal(taken, "01234");
}

static void
a_range_that_is_refused_without_a_size(void **state)
{
	(void) state;
	assert_int_equal(
		call_until((FhaStoreRequest){.verb = FHA_STORE_GET, .key = "get-none", .offset = 20},
				   AWAIT_MAX_MS),
		FHA_INVALID);
}

static void
a_taker_that_pauses(void **state)
{
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = "digits",
							   .take = take,
							   .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	FhaStoreCall *name;
	FhaError err;

	(void) state;
	taken_size = 0;
	taken_at_once = 3;
	assert_int_equal(fha_store_start(store, &request, &name, &err), FHA_OK);
	while (!step_once())
		if (name->paused)
			fha_store_resume(store, name);
	taken_at_once = 0;
	assert_int_equal(told.code, FHA_OK);
	assert_string_equal(taken, "0123456789");
	assert_int_equal(told.tries, 1);
}

static void
lists_are_read(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_LIST, ""), FHA_OK);
	assert_int_equal(told.object_count, 1);
	assert_string_equal(told.objects[0].key, "x");
	assert_int_equal(try_once(FHA_STORE_LIST, "damaged"), FHA_PROTOCOL);
	assert_int_equal(try_once(FHA_STORE_UPLOADS, "damaged"), FHA_PROTOCOL);
}

static void
uploads_are_listed(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_UPLOADS, ""), FHA_OK);
	assert_int_equal(told.object_count, 3);
	assert_string_equal(told.objects[0].key, "blocks-a");
	assert_string_equal(told.objects[0].upload, UPLOAD);
	assert_int_equal(told.objects[0].modified_s, 0x6b0de81d);
	assert_string_equal(told.objects[1].key, "blocks-a");
	assert_string_equal(told.objects[1].upload, OTHER_UPLOAD);
	assert_string_equal(told.objects[2].key, "blocks-b");
	assert_string_equal(told.objects[2].upload, UPLOAD);
	assert_string_equal(told.next, "more");
}

/* --- writes */

static void
what_may_get_better_is_tried_again(void **state)
{
	static const char *const keys[] = {"any-busy", "any-internal", "any-odd-put", "any-proxy",
									   "any-cut"};

	(void) state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		atomic_store(&shared->marked, 0);
		assert_int_equal(call(FHA_STORE_PUT, keys[i]), FHA_OK);
		assert_int_equal(told.tries, 2);
	}
}

static void
a_conflict_may_be_ones_own(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_PUT, "any-twice"), FHA_CONFLICT);
	assert_true(told.may_be_own);
}

/* The deadline comes when the server has the request. */
static FhaCode
call_that_hangs(FhaStoreVerb verb)
{
	FhaStoreRequest request = {
		.verb = verb, .key = "hang", .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	FhaStoreCall *name;
	FhaError err;

	atomic_store(&shared->requests, 0);
	assert_int_equal(fha_store_start(store, &request, &name, &err), FHA_OK);
	while (atomic_load(&shared->requests) == 0)
		assert_false(step_once());
	name->asked->request.deadline_at_ms = fha_now_ms();
	while (!step_once())
		;
	return told.code;
}

static void
a_write_without_an_answer_is_unknown(void **state)
{
	(void) state;
	assert_int_equal(call_that_hangs(FHA_STORE_PUT), FHA_UNKNOWN);
	assert_int_equal(call_that_hangs(FHA_STORE_STAT), FHA_TIMEOUT);
}

static void
a_call_can_be_cancelled(void **state)
{
	FhaStoreRequest request = {
		.verb = FHA_STORE_PUT, .key = "hang", .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	FhaStoreCall *name;
	FhaError err;

	(void) state;
	assert_int_equal(fha_store_start(store, &request, &name, &err), FHA_OK);
	assert_false(step_once());
	fha_store_cancel(store, name);
	assert_false(step_once());
	assert_int_equal(fha_store_start(store, &request, &name, &err), FHA_OK);
	/* The close that follows cancels it. */
	assert_false(step_once());
}

static void
many_deletions(void **state)
{
	static char names[100][8];
	const char *keys[100];

	(void) state;
	for (size_t i = 0; i < 100; i++)
	{
		(void) snprintf(names[i], sizeof(names[i]), "k%zu", i);
		keys[i] = names[i];
	}
	assert_int_equal(
		call_until((FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = keys, .key_count = 100},
				   AWAIT_MAX_MS),
		FHA_OK);
	assert_int_equal(atomic_load(&shared->marked), 100);
	keys[50] = "denied";
	assert_int_equal(
		call_until((FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = keys, .key_count = 100},
				   AWAIT_MAX_MS),
		FHA_DENIED);
}

/* --- uploads */

static void
parts_are_listed(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_PARTS, "blocks"), FHA_OK);
	assert_int_equal(told.part_count, 2);
	assert_int_equal(told.parts[0].size, PART_SIZE);
	assert_int_equal(told.parts[1].number, 2);
	assert_int_equal(call_until((FhaStoreRequest){.verb = FHA_STORE_PARTS,
												  .key = "blocks",
												  .upload = UPLOAD,
												  .page = "1"},
								AWAIT_MAX_MS),
					 FHA_OK);
	assert_int_equal(told.part_count, 1);
	assert_int_equal(call(FHA_STORE_PARTS, "none"), FHA_NOT_FOUND);
	assert_int_equal(call_until((FhaStoreRequest){.verb = FHA_STORE_PARTS,
												  .key = "blocks",
												  .upload = "of another store"},
								AWAIT_MAX_MS),
					 FHA_NOT_FOUND);
}

static void
an_absent_upload_counts_as_aborted(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_PART, "blocks"), FHA_OK);
	assert_int_equal(call(FHA_STORE_ABORT, "blocks"), FHA_OK);
	assert_int_equal(call(FHA_STORE_ABORT, "none"), FHA_OK);
	assert_int_equal(call_until((FhaStoreRequest){.verb = FHA_STORE_ABORT,
												  .key = "blocks",
												  .upload = "of another store"},
								AWAIT_MAX_MS),
					 FHA_OK);
	assert_int_equal(call(FHA_STORE_PART, "none"), FHA_NOT_FOUND);
}

/* A part of an upload that was seen goes without a look at the blocks. */
static void
an_upload_is_known_after_its_beginning(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_BEGIN, "new"), FHA_OK);
	assert_true(fha_azure_upload_valid(told.upload));
	assert_int_equal(call_until((FhaStoreRequest){.verb = FHA_STORE_BEGIN,
												  .key = "new",
												  .part_size = FHA_STORE_WRITE_MAX},
								AWAIT_MAX_MS),
					 FHA_INVALID);
	assert_int_equal(call(FHA_STORE_PART, "blocks"), FHA_OK);
	assert_string_equal(told.tag, "ZmhhLjZiMGRlODFkMzBkMjFlNjZkNmZjOGZiOTdlYWNkYWJlLjAwMDAx");
	atomic_store(&shared->requests, 0);
	assert_int_equal(call(FHA_STORE_PART, "blocks"), FHA_OK);
	assert_int_equal(atomic_load(&shared->requests), 1);
}

static void
a_complete_looks_for_its_parts(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_COMPLETE, "blocks"), FHA_OK);
	assert_int_equal(call(FHA_STORE_COMPLETE, "part-lost"), FHA_INVALID);
	assert_int_equal(call(FHA_STORE_COMPLETE, "none"), FHA_NOT_FOUND);
	assert_non_null(strstr(told.error.text, "not there any more"));
}

static void
a_complete_recognises_its_own_blob(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_COMPLETE, "own-lost"), FHA_OK);
	assert_int_equal(told.tries, 2);
	assert_int_equal(call(FHA_STORE_COMPLETE, "own"), FHA_OK);
	assert_int_equal(call(FHA_STORE_COMPLETE, "others"), FHA_NOT_FOUND);
}

static void
a_complete_that_comes_second(void **state)
{
	FhaStorePart parts[1] = {{.number = 1, .size = PART_SIZE}};

	(void) state;
	fha_azure_block_id(UPLOAD, 1, parts[0].tag);
	assert_int_equal(call_until((FhaStoreRequest){.verb = FHA_STORE_COMPLETE,
												  .key = "others",
												  .upload = UPLOAD,
												  .parts = parts,
												  .part_count = 1,
												  .if_absent = true},
								AWAIT_MAX_MS),
					 FHA_CONFLICT);
}

/* --- who we are */

static void
refusals_say_what_to_do(void **state)
{
	(void) state;
	assert_int_equal(call(FHA_STORE_STAT, "clock"), FHA_DENIED);
	assert_non_null(strstr(told.error.text, "clock"));
	assert_int_equal(call(FHA_STORE_GET, "key"), FHA_DENIED);
	assert_null(strstr(told.error.text, "clock"));
	assert_int_equal(call(FHA_STORE_STAT, "container"), FHA_INVALID);
	assert_non_null(strstr(told.error.text, "create it"));
	assert_int_equal(call(FHA_STORE_STAT, "a/../b"), FHA_INVALID);
	assert_int_equal(call(FHA_STORE_STAT, "a/."), FHA_INVALID);
	assert_int_equal(call(FHA_STORE_STAT, "./a"), FHA_INVALID);
	assert_int_equal(call(FHA_STORE_STAT, "a\nb"), FHA_INVALID);
	assert_int_equal(call(FHA_STORE_STAT, "a\\b"), FHA_INVALID);
	assert_int_equal(call(FHA_STORE_LIST, ".."), FHA_OK);
	assert_int_equal(call(FHA_STORE_STAT, "..."), FHA_NOT_FOUND);
}

static void
a_connection_string(void **state)
{
	char text[200];

	(void) state;
	(void) snprintf(text, sizeof(text),
					"AccountName=acc;AccountKey=" ACCOUNT_KEY
					";BlobEndpoint=https://127.0.0.1:%d/acc",
					server_port);
	open_as(FHA_STORE_BY_CONNECTION_STRING, text);
	assert_int_equal(call(FHA_STORE_STAT, "digits"), FHA_OK);
}

/* What is refused is read again from its file; a file that changed is read before. */
static void
a_sas_that_changes(void **state)
{
	FhaStoreSettings settings = settings_of(FHA_STORE_BY_SAS, NULL);
	FhaError err;

	(void) state;
	write_file(sas_path, "?sv=1&sig=old\n");
	(void) snprintf(settings.secret.file, sizeof(settings.secret.file), "%s", sas_path);
	assert_int_equal(fha_store_open(&store, &settings, &err), FHA_OK);
	assert_int_equal(call(FHA_STORE_STAT, "sas"), FHA_OK);
	assert_int_equal(told.tries, 2);
	/* What is none is not used. */
	write_file(sas_path, "sv=1&signature=other");
	assert_int_equal(call(FHA_STORE_STAT, "sas"), FHA_OK);
	assert_int_equal(told.tries, 1);
}

static FhaAzureEnvironment *
environment_of_store(void)
{
	return &((FhaAzure *) store)->tokens.environment;
}

static void
open_with_identity(char *url, size_t size, const char *path)
{
	open_as(FHA_STORE_BY_SURROUNDINGS, NULL);
	(void) snprintf(url, size, "https://127.0.0.1:%d%s", server_port, path);
	*environment_of_store() = (FhaAzureEnvironment){.metadata = url};
}

static void
a_token_is_waited_for_and_replaced(void **state)
{
	char url[80];

	(void) state;
	open_with_identity(url, sizeof(url), "");
	assert_int_equal(call(FHA_STORE_STAT, "digits"), FHA_OK);
	assert_int_equal(told.tries, 1);
	/* A young one that is refused was never good; however slow this test is, it is young. */
	((FhaAzure *) store)->tokens.got_at_ms += 1000000;
	assert_int_equal(call(FHA_STORE_STAT, "token"), FHA_DENIED);
	((FhaAzure *) store)->tokens.got_at_ms -= 1060000;
	assert_int_equal(call(FHA_STORE_STAT, "token"), FHA_NOT_FOUND);
	assert_int_equal(told.tries, 2);
}

static void
a_missing_token_is_told(void **state)
{
	static const char *const keys[] = {"k0", "k1", "k2"};
	char url[80];

	(void) state;
	open_with_identity(url, sizeof(url), "/none");
	assert_int_equal(
		call_until((FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = keys, .key_count = 3},
				   AWAIT_MAX_MS),
		FHA_DENIED);
	assert_non_null(strstr(told.error.text, "no_identity"));
	environment_of_store()->metadata = "nowhere";
	assert_int_equal(call(FHA_STORE_STAT, "digits"), FHA_INVALID);
}

static void
assert_does_not_open(FhaStoreSettings settings, const char *word)
{
	FhaStore *none;
	FhaError err;

	assert_int_equal(fha_store_open(&none, &settings, &err), FHA_INVALID);
	assert_null(none);
	assert_non_null(strstr(err.text, word));
	assert_null(strstr(err.text, "QUI"));
}

static void
settings_that_are_refused(void **state)
{
	FhaStoreSettings settings = settings_of(FHA_STORE_BY_KEY, (char[]){ACCOUNT_KEY});

	(void) state;
	(void) snprintf(settings.bucket, sizeof(settings.bucket), "ab");
	assert_does_not_open(settings, "container");
	(void) snprintf(settings.bucket, sizeof(settings.bucket), "Upper");
	assert_does_not_open(settings, "container");
	assert_does_not_open(settings_of(FHA_STORE_BY_SERVICE_ACCOUNT, NULL), "Azure takes");
	assert_does_not_open(settings_of(FHA_STORE_BY_KEY, NULL), "missing");
	assert_does_not_open(settings_of(FHA_STORE_BY_KEY, (char[]){"QUI!"}), "base64");
	assert_does_not_open(settings_of(FHA_STORE_BY_SAS, (char[]){"QUI"}), "SAS");
	assert_does_not_open(settings_of(FHA_STORE_BY_CONNECTION_STRING, NULL), "missing");
	assert_does_not_open(settings_of(FHA_STORE_BY_CONNECTION_STRING, (char[]){"QUI"}), "NAME=");
	settings = settings_of(FHA_STORE_BY_KEY, (char[]){ACCOUNT_KEY});
	settings.account[0] = '\0';
	assert_does_not_open(settings, "account");
	settings = settings_of(FHA_STORE_BY_KEY, NULL);
	(void) snprintf(settings.secret.file, sizeof(settings.secret.file), "/nonexistent/key");
	assert_does_not_open(settings, "/nonexistent/key");
	settings = settings_of(FHA_STORE_BY_KEY, (char[]){ACCOUNT_KEY});
	(void) snprintf(settings.ca_file, sizeof(settings.ca_file), "%s", sas_path);
	write_file(sas_path, "no certificate");
	assert_does_not_open(settings, sas_path);
}

static int
set_up(void **state)
{
	(void) state;
	(void) snprintf(ca_path, sizeof(ca_path), "/tmp/fha-azure-ca-%d", (int) getpid());
	(void) snprintf(sas_path, sizeof(sas_path), "/tmp/fha-azure-sas-%d", (int) getpid());
	identity_init(&identity, "azure", "IP:127.0.0.1");
	write_file(ca_path, identity.cert_pem);
	https_server_start(&identity, &identity);
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	https_server_stop();
	identity_release(&identity);
	(void) unlink(ca_path);
	(void) unlink(sas_path);
	return 0;
}

#define WITH_KEY(test) cmocka_unit_test_setup_teardown(test, open_with_key, close_store)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_KEY(properties_are_read),
		WITH_KEY(a_get_goes_on_where_it_was_cut),
		WITH_KEY(a_get_of_too_many_bytes),
		WITH_KEY(a_get_of_another_blob),
		WITH_KEY(a_range_that_is_refused_without_a_size),
		WITH_KEY(a_taker_that_pauses),
		WITH_KEY(lists_are_read),
		WITH_KEY(uploads_are_listed),
		WITH_KEY(what_may_get_better_is_tried_again),
		WITH_KEY(a_conflict_may_be_ones_own),
		WITH_KEY(a_write_without_an_answer_is_unknown),
		WITH_KEY(a_call_can_be_cancelled),
		WITH_KEY(many_deletions),
		WITH_KEY(parts_are_listed),
		WITH_KEY(an_absent_upload_counts_as_aborted),
		WITH_KEY(an_upload_is_known_after_its_beginning),
		WITH_KEY(a_complete_looks_for_its_parts),
		WITH_KEY(a_complete_recognises_its_own_blob),
		WITH_KEY(a_complete_that_comes_second),
		WITH_KEY(refusals_say_what_to_do),
		cmocka_unit_test_teardown(a_connection_string, close_store),
		cmocka_unit_test_teardown(a_sas_that_changes, close_store),
		cmocka_unit_test_teardown(a_token_is_waited_for_and_replaced, close_store),
		cmocka_unit_test_teardown(a_missing_token_is_told, close_store),
		cmocka_unit_test(settings_that_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
