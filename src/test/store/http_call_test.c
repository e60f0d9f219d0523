/*
 * http_call_test.c: what is certain of one HTTP request, against a server that says what real ones say
 * seldom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/http_call.h"
#include "test/http/https_server.h"
#include "test/store/await.h"

static Identity identity;
static FhaHttpClient client;
static int ends;

static void
answer_with(SSL *ssl, const char *head, const char *body)
{
	char text[512];

	(void) snprintf(text, sizeof(text), "HTTP/1.1 %s\r\n\r\n", head);
	https_send(ssl, text);
	https_send(ssl, body);
}

static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	static char text[20000];
	const char *path = request->path;

	if (strncmp(path, "/echo", 5) == 0)
	{
		(void) snprintf(text, sizeof(text),
						"HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"x\"\r\n\r\n",
						strlen(request->method) + 1 + strlen(request->body));
		https_send(ssl, text);
		if (strcmp(request->method, "HEAD") != 0)
		{
			(void) snprintf(text, sizeof(text), "%s %s", request->method, request->body);
			https_send(ssl, text);
		}
	}
	else if (strcmp(path, "/busy") == 0)
		answer_with(ssl,
					"503 Slow Down\r\nRetry-After: 7\r\nDate: Sun, 06 Nov 1994 08:49:37 "
					"GMT\r\nX-Number: 12x\r\nContent-Length: 4",
					"slow");
	else if (strcmp(path, "/short") == 0)
	{
		answer_with(ssl, "200 OK\r\nContent-Length: 10", "half");
		return false;
	}
	else if (strcmp(path, "/chunks") == 0)
	{
		answer_with(ssl, "200 OK\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n5\r\nwor");
		return false;
	}
	else if (strcmp(path, "/head") == 0)
	{
		https_send(ssl, "HTTP/1.1 200 OK\r\nContent-Le");
		return false;
	}
	else if (strcmp(path, "/nothing") == 0)
		return false;
	else if (strcmp(path, "/once") == 0)
	{
		/* The second request of a connection gets no answer. */
		if (request->nth > 1)
			return false;
		answer_with(ssl, "200 OK\r\nContent-Length: 0", "");
	}
	else if (strcmp(path, "/silent") == 0)
	{
		answer_with(ssl, "200 OK\r\nContent-Length: 10", "half");
		(void) pause();
	}
	else if (strcmp(path, "/large") == 0)
	{
		answer_with(ssl, "200 OK\r\nContent-Length: 200000", "");
		for (int i = 0; i < 20000; i++)
		{
			(void) snprintf(text, sizeof(text), "%09d\n", i);
			https_send(ssl, text);
		}
	}
	else if (strcmp(path, "/heads") == 0)
	{
		memset(text, 'x', sizeof(text) - 1);
		https_send(ssl, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < 5; i++)
		{
			https_send(ssl, "X-Long: ");
			https_send(ssl, text);
			https_send(ssl, "\r\n");
		}
		https_send(ssl, "\r\n");
	}
	return true;
}

static void
note_end(FhaHttpCall *call)
{
	assert_true(call->ask.owner == call);
	ends++;
}

static FhaHttpAsk
ask_of(FhaHttpCall *call, const char *method, const char *path)
{
	static char url[200];

	(void) snprintf(url, sizeof(url), "https://127.0.0.1:%d%s", server_port, path);
	return (FhaHttpAsk){.method = method,
						.url = url,
						.ca = identity.cert_pem,
						.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS,
						.ended = note_end,
						.owner = call};
}

static void
step_until_end(void)
{
	int before = ends;
	int64_t until_at_ms = fha_now_ms() + AWAIT_MAX_MS;

	for (;;)
	{
		fha_http_call_step(&client);
		if (ends > before)
			return;
		assert_true(fha_now_ms() < until_at_ms);
		await_client(&client);
	}
}

static void
carry_out(FhaHttpCall *call, const FhaHttpAsk *ask)
{
	fha_http_call_make(call, ask);
	assert_true(fha_http_call_start(&client, call));
	step_until_end();
}

static void
asked(FhaHttpCall *call, const char *method, const char *path)
{
	FhaHttpAsk ask = ask_of(call, method, path);

	carry_out(call, &ask);
}

static void
each_method_is_sent(void **state)
{
	static const char *const methods[] = {"GET", "PUT", "POST", "DELETE"};
	FhaHttpCall call;
	uint64_t length;
	char tag[8];

	(void) state;
	for (size_t i = 0; i < 4; i++)
	{
		FhaHttpAsk ask = ask_of(&call, methods[i], "/echo");
		char wanted[20];

		if (i == 1 || i == 2)
		{
			ask.body = "bodily";
			ask.body_size = 4;
		}
		carry_out(&call, &ask);
		(void) snprintf(wanted, sizeof(wanted), "%s %s", methods[i],
						ask.body == NULL ? "" : "bodi");
		assert_int_equal(call.code, FHA_OK);
		assert_int_equal(call.status, 200);
		assert_string_equal(fha_text_string(&call.body), wanted);
		assert_true(call.sent);
		fha_http_call_drop(&client, &call);
	}
	asked(&call, "HEAD", "/echo");
	assert_int_equal(call.code, FHA_OK);
	assert_int_equal(call.body.size, 0);
	assert_true(fha_http_call_header_u64(&call, "content-length", &length));
	assert_int_equal(length, 5);
	assert_true(fha_http_call_header(&call, "etag", tag, sizeof(tag)));
	assert_string_equal(tag, "\"x\"");
	assert_false(fha_http_call_header(&call, "etag", tag, 3));
	assert_string_equal(tag, "");
	assert_false(fha_http_call_header(&call, "X-None", tag, sizeof(tag)));
	assert_false(fha_http_call_header_u64(&call, "ETag", &length));
	fha_http_call_drop(&client, &call);
	fha_http_call_drop(&client, &call);
}

static void
what_a_busy_server_says_is_there(void **state)
{
	FhaHttpCall call;
	int64_t seconds;
	uint64_t number;

	(void) state;
	asked(&call, "GET", "/busy");
	assert_int_equal(call.code, FHA_OK);
	assert_int_equal(call.status, 503);
	assert_string_equal(fha_text_string(&call.body), "slow");
	assert_int_equal(fha_http_call_retry_after_ms(&call), 7000);
	assert_true(fha_http_call_date(&call, &seconds));
	assert_int_equal(seconds, 784111777);
	assert_false(fha_http_call_header_u64(&call, "X-Number", &number));
	fha_http_call_drop(&client, &call);
	assert_int_equal(fha_http_call_retry_after_ms(&call), 0);
}

static void
ends_as(const char *path, FhaCode code, const char *why)
{
	FhaHttpCall call;

	asked(&call, "GET", path);
	assert_int_equal(call.code, code);
	assert_int_equal(call.error.code, code);
	if (strstr(call.error.text, why) == NULL)
		fail_msg("%s: %s", path, call.error.text);
	assert_true(call.sent);
	fha_http_call_drop(&client, &call);
}

static void
an_answer_that_is_not_whole_is_none(void **state)
{
	(void) state;
	ends_as("/short", FHA_IO, "");
	ends_as("/chunks", FHA_IO, "");
	ends_as("/head", FHA_IO, "in the head");
	ends_as("/nothing", FHA_IO, "");
	ends_as("/heads", FHA_PROTOCOL, "too long");
}

static void
nothing_is_sent_twice(void **state)
{
	FhaHttpCall call;
	int requests;

	(void) state;
	asked(&call, "PUT", "/once");
	assert_int_equal(call.code, FHA_OK);
	fha_http_call_drop(&client, &call);
	requests = atomic_load(&shared->requests);
	asked(&call, "PUT", "/once");
	assert_int_equal(call.code, FHA_IO);
	assert_true(call.sent);
	assert_string_equal(call.error.text, "the connection ended without an answer");
	assert_int_equal(atomic_load(&shared->requests), requests + 1);
	fha_http_call_drop(&client, &call);
}

static void
silence_and_the_deadline_end_a_call(void **state)
{
	FhaHttpCall call;
	FhaHttpAsk ask = ask_of(&call, "GET", "/silent");

	(void) state;
	ask.silence_ms = 1000;
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_TIMEOUT);
	assert_int_equal(call.status, 200);
	fha_http_call_drop(&client, &call);
	ask = ask_of(&call, "GET", "/silent");
	ask.deadline_at_ms = fha_now_ms() + 100;
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_TIMEOUT);
	fha_http_call_drop(&client, &call);
	ask.deadline_at_ms = fha_now_ms() - 100;
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_TIMEOUT);
	assert_false(call.sent);
	fha_http_call_drop(&client, &call);
}

static void
a_stranger_and_nobody_are_no_server(void **state)
{
	FhaHttpCall call;
	FhaHttpAsk ask = ask_of(&call, "GET", "/echo");

	(void) state;
	ask.ca = NULL;
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_IO);
	assert_false(call.sent);
	assert_non_null(strstr(call.error.text, "certificate"));
	fha_http_call_drop(&client, &call);
	ask.url = "http://127.0.0.1:1/";
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_IO);
	assert_false(call.sent);
	fha_http_call_drop(&client, &call);
}

/* --- bytes that are taken */

static FhaText taken;
static size_t room;

static size_t
take_some(const char *data, size_t size, void *owner)
{
	size_t some = size < room ? size : room;

	(void) owner;
	fha_text_add_bytes(&taken, data, some);
	room -= some;
	return some;
}

static void
bytes_are_taken_as_there_is_room(void **state)
{
	FhaHttpCall call;
	FhaHttpAsk ask = ask_of(&call, "GET", "/large");
	int before = ends;

	(void) state;
	ask.take = take_some;
	fha_http_call_make(&call, &ask);
	assert_true(fha_http_call_start(&client, &call));
	while (ends == before)
	{
		fha_http_call_step(&client);
		if (call.paused)
		{
			room = 7001;
			fha_http_call_go_on(&call);
			fha_http_call_go_on(&call);
		}
		await_client(&client);
	}
	assert_int_equal(call.code, FHA_OK);
	assert_int_equal(call.taken, 200000);
	assert_int_equal(taken.size, 200000);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(strtol(taken.data + 10 * (size_t) i, NULL, 10), i);
	fha_text_release(&taken);
	fha_http_call_drop(&client, &call);
	/* Of an answer that is no 2xx nothing is taken; and what is kept has its limit. */
	room = 1000;
	ask = ask_of(&call, "GET", "/busy");
	ask.take = take_some;
	carry_out(&call, &ask);
	assert_int_equal(call.taken, 0);
	assert_int_equal(call.body.size, 4);
	fha_http_call_drop(&client, &call);
	ask = ask_of(&call, "GET", "/large");
	ask.answer_max = 1000;
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_PROTOCOL);
	assert_non_null(strstr(call.error.text, "too long"));
	fha_http_call_drop(&client, &call);
}

static bool
refuse(FhaHttpCall *call)
{
	call->code = fha_error(&call->error, FHA_INVALID, "not that one");
	return call->status != 200;
}

static void
a_head_can_be_refused(void **state)
{
	FhaHttpCall call;
	FhaHttpAsk ask = ask_of(&call, "GET", "/large");

	(void) state;
	ask.headed = refuse;
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_INVALID);
	assert_string_equal(call.error.text, "not that one");
	assert_int_equal(call.body.size, 0);
	fha_http_call_drop(&client, &call);
	ask = ask_of(&call, "GET", "/busy");
	ask.headed = refuse;
	carry_out(&call, &ask);
	assert_int_equal(call.code, FHA_OK);
	fha_http_call_drop(&client, &call);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_method_is_sent),
		cmocka_unit_test(what_a_busy_server_says_is_there),
		cmocka_unit_test(an_answer_that_is_not_whole_is_none),
		cmocka_unit_test(nothing_is_sent_twice),
		cmocka_unit_test(silence_and_the_deadline_end_a_call),
		cmocka_unit_test(a_stranger_and_nobody_are_no_server),
		cmocka_unit_test(bytes_are_taken_as_there_is_room),
		cmocka_unit_test(a_head_can_be_refused),
	};
	int failures;

	identity_init(&identity, "store", "IP:127.0.0.1");
	https_server_start(&identity, &identity);
	NEEDED(fha_http_client_init(&client, NULL) == FHA_OK);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	fha_http_client_release(&client);
	https_server_stop();
	identity_release(&identity);
	return failures;
}
