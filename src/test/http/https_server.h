/*
 * https_server.h: a server that says what a real API server cannot be made to say.
 *
 * A child process on a port of its own, one more for each connection.  The request's path names what
 * it does (kube_server.h); counters that all of them share tell what arrived.
 */
#ifndef HTTPS_SERVER_H
#define HTTPS_SERVER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "test/http/identity.h"

/* What all processes see. */
typedef struct Shared
{
	_Atomic int connections;
	_Atomic int requests;
	_Atomic int marked; /* requests that a test counts */
} Shared;

typedef struct HttpsRequest
{
	int connection; /* counted from 1 */
	int nth;        /* in its connection, from 1 */
	char method[16];
	char path[256];
	char head[8192];
	char body[8192];
	char client[64]; /* the name in its certificate, "" if it has none */
} HttpsRequest;

static Shared *shared;
static pid_t server_process;
static int server_port;

/* The test's own: answer one request; false: the connection ends. */
static bool https_answer(SSL *ssl, const HttpsRequest *request);

static void
https_send(SSL *ssl, const char *text)
{
	(void) SSL_write(ssl, text, (int) strlen(text));
}

static bool
read_request(SSL *ssl, HttpsRequest *out)
{
	const char *length_text;
	size_t used = 0;
	size_t length;
	char *end;

	for (out->head[0] = '\0'; (end = strstr(out->head, "\r\n\r\n")) == NULL;)
	{
		int got = SSL_read(ssl, out->head + used, (int) (sizeof(out->head) - 1 - used));

		if (got <= 0)
			return false;
		used += (size_t) got;
		out->head[used] = '\0';
	}
	end += 4;
	length_text = strcasestr(out->head, "\r\ncontent-length:");
	length = length_text == NULL ? 0 : (size_t) strtol(length_text + 17, NULL, 10);
	used -= (size_t) (end - out->head);
	NEEDED(length < sizeof(out->body) && used <= length);
	memcpy(out->body, end, used);
	*end = '\0';
	while (used < length)
	{
		int got = SSL_read(ssl, out->body + used, (int) (length - used));

		if (got <= 0)
			return false;
		used += (size_t) got;
	}
	out->body[length] = '\0';
	return sscanf(out->head, "%15s %255s", out->method, out->path) == 2;
}

static void
serve_connection(SSL_CTX *context, int fd, int number)
{
	static HttpsRequest request;
	SSL *ssl = SSL_new(context);
	X509 *client;
	int on = 1;

	/* Else the second packet of an answer waits until the first is acknowledged, 40 ms. */
	NEEDED(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	NEEDED(ssl != NULL && SSL_set_fd(ssl, fd) == 1);
	if (SSL_accept(ssl) != 1)
		_exit(0);
	client = SSL_get0_peer_certificate(ssl);
	if (client != NULL)
		(void) X509_NAME_get_text_by_NID(X509_get_subject_name(client), NID_commonName,
										 request.client, sizeof(request.client));
	request.connection = number;
	while (read_request(ssl, &request))
	{
		request.nth++;
		atomic_fetch_add(&shared->requests, 1);
		if (!https_answer(ssl, &request))
			break;
	}
	(void) SSL_shutdown(ssl);
	_exit(0);
}

static void
serve(int listen_fd, const Identity *identity, const Identity *client)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	(void) signal(SIGCHLD, SIG_IGN);
	(void) signal(SIGPIPE, SIG_IGN);
	NEEDED(SSL_CTX_use_certificate(context, identity->cert) == 1);
	NEEDED(SSL_CTX_use_PrivateKey(context, identity->key) == 1);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	NEEDED(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), client->cert) == 1);
	for (;;)
	{
		int fd = accept(listen_fd, NULL, NULL);
		int number = atomic_fetch_add(&shared->connections, 1) + 1;

		NEEDED(fd >= 0);
		switch (fork())
		{
			case 0:
				(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
				serve_connection(context, fd, number);
				break;
			default:
				(void) close(fd);
		}
	}
}

static void
https_server_start(const Identity *identity, const Identity *client)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEEDED(shared != MAP_FAILED);
	NEEDED(bind(fd, (struct sockaddr *) &address, size) == 0 && listen(fd, 16) == 0);
	NEEDED(getsockname(fd, (struct sockaddr *) &address, &size) == 0);
	server_port = ntohs(address.sin_port);
	server_process = fork();
	NEEDED(server_process >= 0);
	if (server_process == 0)
	{
		(void) prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve(fd, identity, client);
	}
	(void) close(fd);
}

static void
https_server_stop(void)
{
	(void) kill(server_process, SIGKILL);
	(void) munmap(shared, sizeof(*shared));
}

#endif
