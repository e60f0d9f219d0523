/*
 * listener_pages_test.c: a listener that shows pages, and browsers, in one loop over real sockets.
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
#define SHORT_MS 300

static FhaListener *listener;
static int listen_fd;
static uint16_t port;
static bool ready; /* /later is there */
static int asked;

static const FhaPageHeader headers[] = {
	{"X-Own", "yes"}, {"Cache-Control", "no-cache"}, {NULL, NULL}};

static void
answer(void *argument, const char *path, FhaPage *out)
{
	(void) argument;
	asked++;
	out->status = 200;
	out->type = "text/plain";
	if (strcmp(path, "/fixed") == 0)
	{
		out->fixed = "fixed";
		out->size = 5;
		out->headers = headers;
	}
	else if (strcmp(path, "/later") == 0 && !ready)
		out->status = 0;
	else
	{
		out->text = strdup(path);
		assert_non_null(out->text);
		out->size = strlen(path);
	}
}

static void
open_pages(const FhaPages *pages)
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
	if (fha_listener_open_pages(&listener, listen_fd, pages, &err) != FHA_OK)
		fail_msg("%s", err.text);
}

static void
close_pages(void)
{
	fha_listener_close(listener);
	(void) close(listen_fd);
}

static void
turn(void)
{
	struct pollfd wait = {.fd = fha_listener_fd(listener), .events = POLLIN};
	int64_t left_ms = fha_listener_wake_ms(listener) - fha_now_ms();

	(void) poll(&wait, 1, left_ms < 0 ? 0 : left_ms > 2 ? 2 : (int) left_ms);
	fha_listener_step(listener);
}

/* A browser: plain, or over TLS. */
typedef struct Browser
{
	int fd;
	SSL *ssl;
	char got[8192];
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
	int64_t until_ms = fha_now_ms() + BOUND_MS;

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
		assert_true(fha_now_ms() < until_ms);
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
	int64_t until_ms = fha_now_ms() + BOUND_MS;

	while (!receive(browser))
	{
		assert_true(fha_now_ms() < until_ms);
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

static const FhaPages plain = {.answer = answer, .connection_ms = BOUND_MS};

static void
pages_and_their_headers(void **state)
{
	const char *got;

	(void) state;
	open_pages(&plain);
	got = get(NULL, "GET /made HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(has_status(got, 200));
	assert_non_null(strstr(got, "\r\n\r\n/made"));
	assert_non_null(strstr(got, "Cache-Control: no-store"));
	assert_non_null(strstr(got, "X-Content-Type-Options: nosniff"));
	assert_non_null(strstr(got, "Cross-Origin-Resource-Policy: same-origin"));
	got = get(NULL, "GET /fixed?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_non_null(strstr(got, "\r\n\r\nfixed"));
	assert_non_null(strstr(got, "X-Own: yes"));
	assert_null(strstr(got, "no-store"));
	got = get(NULL, "HEAD /fixed HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(has_status(got, 200));
	assert_null(strstr(got, "\r\n\r\nfixed"));
	got = get(NULL, "POST /fixed HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
	assert_true(has_status(got, 405));
	close_pages();
}

static void
a_page_that_is_not_there_yet(void **state)
{
	Browser first, second;

	(void) state;
	open_pages(&plain);
	browse(&first, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
	browse(&second, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
	while (asked < 2)
		turn();
	for (int i = 0; i < 20; i++)
		turn();
	assert_int_equal(asked, 2);
	assert_false(receive(&first));
	ready = true;
	fha_listener_wake_pages(listener);
	assert_true(has_status(finish(&first), 200));
	assert_true(has_status(finish(&second), 200));
	close_pages();
}

/* Who waits is broken off at the deadline; a listener that closes leaves nobody suspended. */
static void
a_page_that_never_comes(void **state)
{
	FhaPages pages = plain;
	Browser browser;

	(void) state;
	pages.connection_ms = SHORT_MS;
	open_pages(&pages);
	assert_string_equal(get(NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n"), "");
	browse(&browser, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
	asked = 0;
	while (asked < 1)
		turn();
	close_pages();
	leave(&browser);
}

/* Of 100 who come from as many addresses and send nothing, none costs a scraper its answer. */
static void
strangers_do_not_break_off_who_waits(void **state)
{
	static Browser strangers[100];
	Browser waiting, reading;

	(void) state;
	open_pages(&plain);
	browse(&waiting, NULL, "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
	while (asked < 1)
		turn();
	for (uint32_t i = 0; i < 100; i++)
	{
		browse_from(&strangers[i], INADDR_LOOPBACK + 1 + i, i % 2 == 0 ? "" : "GET / HTTP/1.1\r\n");
		turn();
	}
	browse(&reading, NULL, "GET /made HTTP/1.1\r\nHost: localhost\r\n\r\n");
	assert_true(has_status(finish(&reading), 200));
	assert_false(receive(&waiting));
	assert_true(receive(&strangers[0]));
	ready = true;
	fha_listener_wake_pages(listener);
	assert_true(has_status(finish(&waiting), 200));
	for (int i = 0; i < 100; i++)
		leave(&strangers[i]);
	close_pages();
}

/* Of those who all wait, the oldest goes. */
static void
who_waits_longest_goes(void **state)
{
	static Browser waiting[70];

	(void) state;
	open_pages(&plain);
	for (uint32_t i = 0; i < 70; i++)
	{
		browse_from(&waiting[i], INADDR_LOOPBACK + 1 + i,
					"GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n");
		while (asked <= (int) i)
			turn();
	}
	assert_true(receive(&waiting[0]));
	ready = true;
	fha_listener_wake_pages(listener);
	assert_true(has_status(finish(&waiting[69]), 200));
	for (int i = 0; i < 69; i++)
		leave(&waiting[i]);
	close_pages();
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
	FhaPages pages = plain;

	(void) state;
	open_pages(&plain);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert_int_equal(status_for_host(ours[i]), 200);
	asked = 0;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(status_for_host(others[i]), 421);
	assert_int_equal(asked, 0);
	assert_non_null(strstr(get(NULL, "GET / HTTP/1.0\r\n\r\n"), " 200 "));
	close_pages();
	pages.token = "secret";
	open_pages(&pages);
	assert_true(has_status(
		get(NULL, "GET / HTTP/1.1\r\nHost: db.example\r\nAuthorization: bearer secret\r\n\r\n"),
		200));
	close_pages();
}

static void
a_token(void **state)
{
	FhaPages pages = plain;

	(void) state;
	pages.token = "secret";
	open_pages(&pages);
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
	close_pages();
}

static void
certificates(void **state)
{
	static Identity own, client, foreign;
	FhaPages pages = plain;
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	const char *request = "GET /tls HTTP/1.1\r\nHost: localhost\r\n\r\n";

	(void) state;
	identity_init(&own, "own", "IP:127.0.0.1");
	identity_init(&client, "client", "DNS:client");
	identity_init(&foreign, "foreign", "DNS:foreign");
	pages.certificate = own.cert_pem;
	pages.key = own.key_pem;
	pages.client_ca = client.cert_pem;
	open_pages(&pages);
	assert_true(has_status(get(tls, request), 403));
	assert_int_equal(SSL_CTX_use_certificate(tls, foreign.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(tls, foreign.key), 1);
	assert_true(has_status(get(tls, request), 403));
	assert_int_equal(SSL_CTX_use_certificate(tls, client.cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(tls, client.key), 1);
	assert_true(has_status(get(tls, request), 200));
	close_pages();
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
	FhaPages pages = plain;
	const char *request = "GET /tls HTTP/1.1\r\nHost: a\r\n\r\n";

	(void) state;
	identity_init(&own, "own", "IP:127.0.0.1");
	identity_make(&server, "server", "DNS:server", EVP_EC_gen("P-256"), "serverAuth");
	identity_make(&client, "client", "DNS:client", EVP_EC_gen("P-256"), "clientAuth");
	pages.certificate = own.cert_pem;
	pages.key = own.key_pem;
	for (int i = 0; i < 2; i++)
	{
		SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

		pages.client_ca = authorities[i]->cert_pem;
		open_pages(&pages);
		assert_int_equal(SSL_CTX_use_certificate(tls, authorities[i]->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(tls, authorities[i]->key), 1);
		assert_true(has_status(get(tls, request), i == 0 ? 403 : 200));
		close_pages();
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
	int64_t until_ms = fha_now_ms() + BOUND_MS;
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
		assert_true(fha_now_ms() < until_ms);
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
	FhaPages pages = plain;

	(void) state;
	identity_make(&own, "own", "IP:127.0.0.1", EVP_RSA_gen(2048), NULL);
	pages.certificate = own.cert_pem;
	pages.key = own.key_pem;
	open_pages(&pages);
	assert_false(agrees(TLS1_VERSION, "ALL:@SECLEVEL=0"));
	assert_false(agrees(TLS1_1_VERSION, "ALL:@SECLEVEL=0"));
	assert_false(agrees(TLS1_2_VERSION, "kRSA:@SECLEVEL=0"));
	assert_false(agrees(TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA:@SECLEVEL=0"));
	assert_true(agrees(TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384"));
	assert_true(agrees(TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305"));
	assert_true(agrees(TLS1_3_VERSION, "DEFAULT"));
	close_pages();
	identity_release(&own);
}

static void
a_certificate_that_cannot_be_used(void **state)
{
	FhaPages pages = plain;
	FhaError err;

	(void) state;
	open_pages(&plain);
	close_pages();
	pages.certificate = "no certificate";
	pages.key = "no key";
	assert_int_equal(fha_listener_open_pages(&listener, -1, &pages, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "certificate"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_and_their_headers),
		cmocka_unit_test(a_page_that_is_not_there_yet),
		cmocka_unit_test(a_page_that_never_comes),
		cmocka_unit_test(strangers_do_not_break_off_who_waits),
		cmocka_unit_test(who_waits_longest_goes),
		cmocka_unit_test(another_sites_name_is_not_ours),
		cmocka_unit_test(a_token),
		cmocka_unit_test(certificates),
		cmocka_unit_test(a_servers_certificate_is_no_clients),
		cmocka_unit_test(old_tls_is_not_spoken),
		cmocka_unit_test(a_certificate_that_cannot_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
