/*
 * server_test.c: a listener with routes of its own, and browsers, in one loop over real sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/in.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "http/server.h"
#include "test/http/identity.h"

#define BOUND_MS 30000

static FhaListener *listener;
static int64_t ahead_ms; /* that the clock was put forward by */
static int listen_fd;
static uint16_t port;
static bool ready; /* /later is there */
static int asked;

int64_t __real_fha_now_ms(void);
int64_t __wrap_fha_now_ms(void);

int64_t
__wrap_fha_now_ms(void)
{
	return __real_fha_now_ms() + ahead_ms;
}

static const FhaHttpHeader headers[] = {
	{"X-Own", "yes"}, {"Cache-Control", "no-cache"}, {NULL, NULL}};

static void
answer_made(void *argument, const FhaAsked *given, FhaAnswer *out)
{
	(void) argument;
	asked++;
	fha_answer_give(out, 200, strdup(given->path));
}

static void
answer_fixed(void *argument, const FhaAsked *given, FhaAnswer *out)
{
	(void) argument, (void) given;
	asked++;
	fha_answer_say(out, 200, "fixed");
	out->headers = headers;
	out->header = "X-More";
	(void) snprintf(out->value, sizeof(out->value), "more");
}

static void
answer_later(void *argument, const FhaAsked *given, FhaAnswer *out)
{
	(void) argument, (void) given;
	asked++;
	if (ready)
		fha_answer_say(out, 200, "later");
}

/* What it was given. */
static void
answer_echo(void *argument, const FhaAsked *given, FhaAnswer *out)
{
	char *text;

	asked++;
	assert_ptr_equal(argument, &listener);
	assert_true(asprintf(&text, "%d|%s|%s|%.*s|%s", given->route->what, given->path, given->query,
						 (int) given->size, given->body == NULL ? "" : given->body,
						 given->header == NULL ? "-" : given->header) > 0);
	fha_answer_give(out, 202, text);
}

static const FhaRoute routes[] = {
	{.path = "/fixed", .methods = FHA_GET | FHA_HEAD, .answer = answer_fixed},
	{.path = "/later", .methods = FHA_GET, .answer = answer_later},
	{.path = "/open",
	 .methods = FHA_GET | FHA_OPTIONS,
	 .asker = FHA_ASKER_ANYBODY,
	 .type = "text/plain",
	 .answer = answer_made},
	{.path = "/both",
	 .methods = FHA_GET,
	 .header = "X-Asked",
	 .type = "text/x-read",
	 .answer = answer_echo,
	 .what = 1},
	{.path = "/both",
	 .methods = FHA_POST,
	 .body_max = 12000,
	 .header = "X-Asked",
	 .type = "text/x-written",
	 .answer = answer_echo,
	 .what = 2},
	{.path = "/tree/leaf", .methods = FHA_POST, .type = "text/plain", .answer = answer_made},
	{.path = "/tree/",
	 .below = true,
	 .methods = FHA_GET,
	 .type = "text/plain",
	 .answer = answer_echo,
	 .what = 3},
	{.path = "/tree/",
	 .below = true,
	 .methods = FHA_POST,
	 .body_max = 10,
	 .type = "text/plain",
	 .answer = answer_echo,
	 .what = 4},
	{.path = "/", .methods = FHA_GET, .type = "text/plain", .answer = answer_made},
	{.path = NULL},
};

static void
open_service(const FhaService *service)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t length = sizeof(at);
	FhaError err = {.text = ""};

	listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(listen_fd >= 0);
	assert_int_equal(bind(listen_fd, (struct sockaddr *) &at, length), 0);
	assert_int_equal(listen(listen_fd, 128), 0);
	assert_int_equal(getsockname(listen_fd, (struct sockaddr *) &at, &length), 0);
	port = at.sin_port;
	ready = false;
	asked = 0;
	if (fha_listener_serve(&listener, listen_fd, service, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

static void
close_service(void)
{
	fha_listener_close(listener);
	(void) close(listen_fd);
}

static void
turn(void)
{
	struct pollfd wait = {.fd = fha_listener_fd(listener), .events = POLLIN};
	int64_t left_ms = fha_listener_wake_at_ms(listener) - fha_now_ms();

	(void) poll(&wait, 1, left_ms < 0 ? 0 : left_ms > 2 ? 2 : (int) left_ms);
	fha_listener_step(listener);
}

/* A browser: plain, or over TLS. */
typedef struct Browser
{
	int fd;
	SSL *ssl;
	char got[16000];
	size_t size;
} Browser;

/* From a loopback address of its own. */
static void
browse_from(Browser *browser, uint32_t from, const char *request)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(from)}};
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr = {htonl(INADDR_LOOPBACK)}};

	memset(browser, 0, sizeof(*browser));
	browser->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(browser->fd, (struct sockaddr *) &own, sizeof(own)), 0);
	assert_int_equal(connect(browser->fd, (struct sockaddr *) &at, sizeof(at)), 0);
	assert_int_equal(fcntl(browser->fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(send(browser->fd, request, strlen(request), 0), (ssize_t) strlen(request));
}

static void
browse(Browser *browser, SSL_CTX *tls, const char *request)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int64_t ends_at_ms = fha_now_ms() + BOUND_MS;

	memset(browser, 0, sizeof(*browser));
	browser->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(browser->fd, (struct sockaddr *) &at, sizeof(at)), 0);
	assert_int_equal(fcntl(browser->fd, F_SETFL, O_NONBLOCK), 0);
	if (tls == NULL)
	{
		assert_int_equal(send(browser->fd, request, strlen(request), 0), (ssize_t) strlen(request));
		return;
	}
	browser->ssl = SSL_new(tls);
	assert_non_null(browser->ssl);
	assert_int_equal(SSL_set_fd(browser->ssl, browser->fd), 1);
	SSL_set_connect_state(browser->ssl);
	while (SSL_write(browser->ssl, request, (int) strlen(request)) <= 0)
	{
		assert_true(fha_now_ms() < ends_at_ms);
		turn();
	}
}

/* True: the other side has closed. */
static bool
receive(Browser *browser)
{
	size_t room = sizeof(browser->got) - 1 - browser->size;
	char *at = browser->got + browser->size;
	ssize_t got = browser->ssl == NULL ? recv(browser->fd, at, room, 0)
									   : SSL_read(browser->ssl, at, (int) room);

	if (got > 0)
	{
		browser->size += (size_t) got;
		return false;
	}
	if (browser->ssl == NULL)
		return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
	return SSL_get_error(browser->ssl, (int) got) != SSL_ERROR_WANT_READ;
}

static void
leave(Browser *browser)
{
	SSL_free(browser->ssl);
	(void) close(browser->fd);
}

/* The whole answer, as text. */
static const char *
finish(Browser *browser)
{
	int64_t ends_at_ms = fha_now_ms() + BOUND_MS;

	while (!receive(browser))
	{
		assert_true(fha_now_ms() < ends_at_ms);
		turn();
	}
	leave(browser);
	return browser->got;
}

static const char *
get(SSL_CTX *tls, const char *request)
{
	static Browser browser;

	browse(&browser, tls, request);
	return finish(&browser);
}

static bool
has_status(const char *got, int status)
{
	char start[32];

	(void) snprintf(start, sizeof(start), "HTTP/1.1 %d ", status);
	return strncmp(got, start, strlen(start)) == 0;
}

static const FhaService plain = {
	.routes = routes, .argument = &listener, .connection_ms = BOUND_MS};

static void
answers_and_their_headers(void **state)
{
	const char *got;

	(void) state;
	open_service(&plain);
	got = get(NULL, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(has_status(got, 200));
	assert_non_null(strstr(got, "\r\n\r\n/"));
	assert_non_null(strstr(got, "Cache-Control: no-store"));
	assert_non_null(strstr(got, "X-Content-Type-Options: nosniff"));
	assert_non_null(strstr(got, "Cross-Origin-Resource-Policy: same-origin"));
	got = get(NULL, "GET /fixed?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_non_null(strstr(got, "\r\n\r\nfixed"));
	assert_non_null(strstr(got, "X-Own: yes"));
	assert_non_null(strstr(got, "X-More: more"));
	assert_null(strstr(got, "no-store"));
	got = get(NULL, "HEAD /fixed HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(has_status(got, 200));
	assert_null(strstr(got, "\r\n\r\nfixed"));
	close_service();
}

/* Each row has what it says, and no row has to say what all have in common. */
static void
each_route_has_its_methods(void **state)
{
	static const struct
	{
		const char *request; /* its first line, without the version */
		int status;
		const char *part; /* of the answer */
	} cases[] = {
		{"GET /both", 202, "Content-Type: text/x-read"},
		{"GET /both", 202, "\r\n\r\n1|/both|||-"},
		{"GET /both?a=%20b&c", 202, "\r\n\r\n1|/both|a=%20b&c||-"},
		{"HEAD /both", 405, "Allow: GET, POST\r\n"},
		{"HEAD /fixed", 200, "Content-Length: 5"},
		{"OPTIONS /open", 200, "\r\n\r\n/open"},
		{"OPTIONS /fixed", 405, "Allow: GET, HEAD\r\n"},
		{"DELETE /open", 405, "Allow: GET, OPTIONS\r\n"},
		{"BREW /open", 405, "possible here: GET, OPTIONS\n"},
		{"GET /nowhere", 404, "there is no such path\n"},
		{"BREW /nowhere", 404, "there is no such path\n"},
		{"GET /both/", 404, ""},
		{"GET /Both", 404, ""},
		{"GET /bot", 404, ""},
		/* All that begins so; but what has a row of its own is that row's. */
		{"GET /tree/", 202, "3|/tree/|"},
		{"GET /tree/a/b?c", 202, "3|/tree/a/b|c|"},
		{"GET /tree", 404, ""},
		{"GET /tree/leaf", 405, "Allow: POST\r\n"},
		{"POST /tree/leaf", 200, "\r\n\r\n/tree/leaf"},
		{"PUT /tree/a", 405, "Allow: GET, POST\r\n"},
	};

	(void) state;
	open_service(&plain);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char request[128];
		const char *got;

		(void) snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
						cases[i].request);
		asked = 0;
		got = get(NULL, request);
		if (!has_status(got, cases[i].status) || strstr(got, cases[i].part) == NULL)
			fail_msg("%s: %s", cases[i].request, got);
		assert_int_equal(asked, cases[i].status < 400);
	}
	close_service();
}

/* All of it, and never more than the row allows. */
static void
bodies_are_read_to_their_cap(void **state)
{
	static char request[16000];
	const char *got;
	int used;

	(void) state;
	open_service(&plain);
	got = get(NULL, "POST /both?q HTTP/1.1\r\nHost: localhost\r\nX-Asked: a header\r\n"
					"Content-Length: 5\r\n\r\nhello");
	assert_true(has_status(got, 202));
	assert_non_null(strstr(got, "Content-Type: text/x-written"));
	assert_non_null(strstr(got, "\r\n\r\n2|/both|q|hello|a header"));
	got = get(NULL, "POST /both HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
	assert_non_null(strstr(got, "\r\n\r\n2|/both|||-"));
	/* More than libmicrohttpd holds at once. */
	used = snprintf(request, sizeof(request),
					"POST /both HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12000\r\n\r\n");
	memset(request + used, 'x', 12000);
	request[used + 11999] = 'y';
	got = get(NULL, request);
	assert_true(has_status(got, 202));
	assert_int_equal(strspn(strstr(got, "|xxx") + 1, "x"), 11999);
	asked = 0;
	got = get(NULL, "POST /tree/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n"
					"hello world");
	assert_true(has_status(got, 413));
	got = get(NULL, "POST /both HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12001\r\n\r\n");
	assert_true(has_status(got, 413));
	got = get(NULL, "POST /both HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
					"chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
	assert_true(has_status(got, 411));
	/* A row without a body answers what has one, and reads nothing of it. */
	got = get(NULL, "GET /open HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello");
	assert_true(has_status(got, 200));
	assert_int_equal(asked, 1);
	close_service();
}

static void
queries_have_a_cap_on_every_path(void **state)
{
	char request[512];
	static const char *const paths[] = {"/fixed", "/open", "/nowhere"};

	(void) state;
	open_service(&plain);
	for (size_t i = 0; i < 3; i++)
	{
		(void) snprintf(request, sizeof(request),
						"GET %s?%0256d HTTP/1.1\r\nHost: localhost\r\n\r\n", paths[i], 1);
		assert_true(has_status(get(NULL, request), 414));
	}
	assert_int_equal(asked, 0);
	(void) snprintf(request, sizeof(request),
					"GET /both?%0255d HTTP/1.1\r\nHost: localhost\r\n\r\n", 1);
	assert_non_null(strstr(get(NULL, request), "0001|"));
	close_service();
}

static void
an_answer_that_is_not_there_yet(void **state)
{
	Browser first, second;

	(void) state;
	open_service(&plain);
	browse(&first, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
	browse(&second, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
	while (asked < 2)
		turn();
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(asked, 2);
	assert_false(receive(&first));
	ready = true;
	fha_listener_ask_again(listener);
	assert_true(has_status(finish(&first), 200));
	assert_true(has_status(finish(&second), 200));
	close_service();
}

/* Who waits is broken off at the deadline; a listener that closes leaves nobody suspended. */
static void
an_answer_that_never_comes(void **state)
{
	Browser browser;

	(void) state;
	open_service(&plain);
	for (int i = 0; i < 2; i++)
	{
		browse(&browser, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
		asked = 0;
		while (asked < 1)
			turn();
		if (i == 0)
		{
			ahead_ms += plain.connection_ms;
			assert_string_equal(finish(&browser), "");
		}
	}
	close_service();
	leave(&browser);
}

/* An unfinished request ends by the deadline, and not before. */
static void
who_dawdles_makes_room(void **state)
{
	static Browser dawdlers[40];
	const size_t count = sizeof(dawdlers) / sizeof(dawdlers[0]);
	size_t ended = 0;

	(void) state;
	open_service(&plain);
	for (size_t i = 0; i < count; i++)
	{
		browse(&dawdlers[i], NULL, i % 2 == 0 ? "" : "GET / HTTP/1.1\r\n");
		turn();
	}
	assert_true(has_status(get(NULL, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200));
	/* Of one address 32 may be there: the oldest were broken off for the newest. */
	for (size_t i = 0; i < count; i++)
		ended += receive(&dawdlers[i]);
	assert_int_equal(ended, count + 1 - 32);
	assert_true(receive(&dawdlers[0]));
	assert_false(receive(&dawdlers[count - 1]));
	ahead_ms += plain.connection_ms;
	for (size_t i = 0; i < count; i++)
		assert_string_equal(finish(&dawdlers[i]), "");
	close_service();
}

static size_t
open_descriptors(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The host of a listener needs descriptors for its own work, however few it has. */
static void
strangers_take_a_quarter_of_the_descriptors(void **state)
{
	static Browser strangers[40];
	const size_t count = sizeof(strangers) / sizeof(strangers[0]);
	struct rlimit few;
	struct rlimit before;
	size_t own;

	(void) state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){100, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	open_service(&plain);
	own = open_descriptors();
	for (size_t i = 0; i < count; i++)
	{
		browse(&strangers[i], NULL, "");
		turn();
	}
	assert_true(open_descriptors() <= own + count + few.rlim_cur / 4);
	assert_true(has_status(get(NULL, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200));
	ahead_ms += plain.connection_ms;
	for (size_t i = 0; i < count; i++)
		assert_string_equal(finish(&strangers[i]), "");
	close_service();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* Of 100 who come from as many addresses and send nothing, none costs a scraper its answer. */
static void
strangers_do_not_break_off_who_waits(void **state)
{
	static Browser strangers[100];
	Browser waiting, reading;

	(void) state;
	open_service(&plain);
	browse(&waiting, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
	while (asked < 1)
		turn();
	for (uint32_t i = 0; i < 100; i++)
	{
		browse_from(&strangers[i], INADDR_LOOPBACK + 1 + i, i % 2 == 0 ? "" : "GET / HTTP/1.1\r\n");
		turn();
	}
	browse(&reading, NULL, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(has_status(finish(&reading), 200));
	assert_false(receive(&waiting));
	assert_true(receive(&strangers[0]));
	ready = true;
	fha_listener_ask_again(listener);
	assert_true(has_status(finish(&waiting), 200));
	for (int i = 0; i < 100; i++)
		leave(&strangers[i]);
	close_service();
}

/* Of those who all wait, the oldest goes. */
static void
who_waits_longest_goes(void **state)
{
	static Browser waiting[70];

	(void) state;
	open_service(&plain);
	for (uint32_t i = 0; i < 70; i++)
	{
		browse_from(&waiting[i], INADDR_LOOPBACK + 1 + i,
					"GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
		while (asked <= (int) i)
			turn();
	}
	assert_true(receive(&waiting[0]));
	ready = true;
	fha_listener_ask_again(listener);
	assert_true(has_status(finish(&waiting[69]), 200));
	for (int i = 0; i < 69; i++)
		leave(&waiting[i]);
	close_service();
}

static int
status_for_host(const char *host)
{
	char request[128];

	(void) snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host);
	return atoi(get(NULL, request) + strlen("HTTP/1.1 "));
}

/* A page of evil.example, whose name leads to 127.0.0.1 by now, reads nothing. */
static void
another_sites_name_is_not_ours(void **state)
{
	static const char *const ours[] = {"localhost", "LocalHost:9187", "127.0.0.1", "127.0.0.1:9187",
									   "[::1]",     "[::1]:9187",     "10.0.0.1"};
	static const char *const others[] = {"evil.example",
										 "evil.example:9187",
										 "localhost.evil.example",
										 "127.0.0.1.evil.example",
										 "localhost4",
										 "[evil.example]",
										 "[127.0.0.1]",
										 "[",
										 "[]",
										 "::1",
										 "[::1",
										 "[localhost]",
										 "localhost:80.evil.example",
										 "127.0.0.1:evil",
										 "[::1].evil.example.of.a.name.that.is.long"};
	FhaService service = plain;

	(void) state;
	open_service(&plain);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_int_equal(status_for_host(ours[i]), 200);
	asked = 0;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(status_for_host(others[i]), 421);
	assert_int_equal(asked, 0);
	assert_non_null(strstr(get(NULL, "GET / HTTP/1.0\r\n\r\n"), " 200 "));
	close_service();
	service.token = "secret";
	open_service(&service);
	assert_true(has_status(
		get(NULL, "GET / HTTP/1.1\r\nHost: db.example\r\nAuthorization: bearer secret\r\n\r\n"),
		200));
	close_service();
}

static void
a_token(void **state)
{
	FhaService service = plain;

	(void) state;
	service.token = "secret";
	open_service(&service);
	assert_true(has_status(get(NULL, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), 401));
	assert_true(has_status(
		get(NULL, "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic secret\r\n\r\n"),
		401));
	assert_true(has_status(
		get(NULL, "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secreT\r\n\r\n"),
		401));
	assert_int_equal(asked, 0);
	assert_true(has_status(
		get(NULL, "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: bearer secret\r\n\r\n"),
		200));
	close_service();
}

/* A row may be for everybody, beside others that are not. */
static void
what_is_for_everybody_wants_no_token(void **state)
{
	FhaService service = plain;

	(void) state;
	service.token = "secret";
	open_service(&service);
	assert_true(has_status(get(NULL, "GET /open HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200));
	assert_true(has_status(get(NULL, "GET /fixed HTTP/1.1\r\nHost: localhost\r\n\r\n"), 401));
	close_service();
	open_service(&plain);
	assert_true(has_status(get(NULL, "GET /open HTTP/1.1\r\nHost: n2\r\n\r\n"), 200));
	assert_true(has_status(get(NULL, "GET /fixed HTTP/1.1\r\nHost: n2\r\n\r\n"), 421));
	close_service();
}

static void
certificates(void **state)
{
	static Identity own, client, foreign;
	FhaService service = plain;
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	const char *request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

	(void) state;
	identity_init(&own, "own", "IP:127.0.0.1");
	identity_init(&client, "client", "DNS:client");
	identity_init(&foreign, "foreign", "DNS:foreign");
	service.certificate = own.cert_pem;
	service.key = own.key_pem;
	service.client_ca = client.cert_pem;
	open_service(&service);
	assert_true(has_status(get(tls, request), 403));
	assert_int_equal(SSL_CTX_use_certificate(tls, foreign.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(tls, foreign.key), 1);
	assert_true(has_status(get(tls, request), 403));
	assert_int_equal(SSL_CTX_use_certificate(tls, client.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(tls, client.key), 1);
	assert_true(has_status(get(tls, request), 200));
	close_service();
	SSL_CTX_free(tls);
	identity_release(&own);
	identity_release(&client);
	identity_release(&foreign);
}

static void
a_servers_certificate_is_no_clients(void **state)
{
	static Identity own, server, client;
	static Identity *const authorities[] = {&server, &client};
	FhaService service = plain;
	const char *request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

	(void) state;
	identity_init(&own, "own", "IP:127.0.0.1");
	identity_make(&server, "server", "DNS:server", EVP_EC_gen("P-256"), "serverAuth");
	identity_make(&client, "client", "DNS:client", EVP_EC_gen("P-256"), "clientAuth");
	service.certificate = own.cert_pem;
	service.key = own.key_pem;
	for (int i = 0; i < 2; i++)
	{
		SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

		service.client_ca = authorities[i]->cert_pem;
		open_service(&service);
		assert_int_equal(SSL_CTX_use_certificate(tls, authorities[i]->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(tls, authorities[i]->key), 1);
		assert_true(has_status(get(tls, request), i == 0 ? 403 : 200));
		close_service();
		SSL_CTX_free(tls);
	}
	identity_release(&own);
	identity_release(&server);
	identity_release(&client);
}

/* Does a client that knows nothing better come to an agreement? */
static bool
agrees(int version, const char *ciphers)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	Browser browser = {0};
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_port = port, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int64_t ends_at_ms = fha_now_ms() + BOUND_MS;
	int result;
	bool agreed;

	assert_int_equal(SSL_CTX_set_min_proto_version(tls, TLS1_VERSION), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(tls, version), 1);
	assert_int_equal(SSL_CTX_set_cipher_list(tls, ciphers), 1);
	browser.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(browser.fd, (struct sockaddr *) &at, sizeof(at)), 0);
	assert_int_equal(fcntl(browser.fd, F_SETFL, O_NONBLOCK), 0);
	browser.ssl = SSL_new(tls);
	assert_int_equal(SSL_set_fd(browser.ssl, browser.fd), 1);
	while ((result = SSL_connect(browser.ssl)) != 1 &&
		   SSL_get_error(browser.ssl, result) == SSL_ERROR_WANT_READ)
	{
		assert_true(fha_now_ms() < ends_at_ms);
		turn();
	}
	agreed = result == 1;
	ERR_clear_error();
	leave(&browser);
	SSL_CTX_free(tls);
	return agreed;
}

/* What was recorded cannot be read with the key later, and nothing older than 1.2 is spoken. */
static void
old_tls_is_not_spoken(void **state)
{
	static Identity own;
	FhaService service = plain;

	(void) state;
	identity_make(&own, "own", "IP:127.0.0.1", EVP_RSA_gen(2048), NULL);
	service.certificate = own.cert_pem;
	service.key = own.key_pem;
	open_service(&service);
	assert_false(agrees(TLS1_VERSION, "ALL:@SECLEVEL=0"));
	assert_false(agrees(TLS1_1_VERSION, "ALL:@SECLEVEL=0"));
	assert_false(agrees(TLS1_2_VERSION, "kRSA:@SECLEVEL=0"));
	assert_false(agrees(TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA:@SECLEVEL=0"));
	assert_true(agrees(TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384"));
	assert_true(agrees(TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305"));
	assert_true(agrees(TLS1_3_VERSION, "DEFAULT"));
	close_service();
	identity_release(&own);
}

static void
a_certificate_that_cannot_be_used(void **state)
{
	FhaService service = plain;
	FhaError err;

	(void) state;
	open_service(&plain);
	close_service();
	service.certificate = "no certificate";
	service.key = "no key";
	assert_int_equal(fha_listener_serve(&listener, -1, &service, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "certificate"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_and_their_headers),
		cmocka_unit_test(each_route_has_its_methods),
		cmocka_unit_test(bodies_are_read_to_their_cap),
		cmocka_unit_test(queries_have_a_cap_on_every_path),
		cmocka_unit_test(an_answer_that_is_not_there_yet),
		cmocka_unit_test(an_answer_that_never_comes),
		cmocka_unit_test(who_dawdles_makes_room),
		cmocka_unit_test(strangers_take_a_quarter_of_the_descriptors),
		cmocka_unit_test(strangers_do_not_break_off_who_waits),
		cmocka_unit_test(who_waits_longest_goes),
		cmocka_unit_test(another_sites_name_is_not_ours),
		cmocka_unit_test(a_token),
		cmocka_unit_test(what_is_for_everybody_wants_no_token),
		cmocka_unit_test(certificates),
		cmocka_unit_test(a_servers_certificate_is_no_clients),
		cmocka_unit_test(old_tls_is_not_spoken),
		cmocka_unit_test(a_certificate_that_cannot_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
