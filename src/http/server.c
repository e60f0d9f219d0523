/*
 * server.c: the HTTP server, on libmicrohttpd.  See http/server.h.
 */
#include "http/server.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/clock.h"

/* From the accept to the last byte of the answer. */
#define CONNECTION_MS 2000
/* At more than these one connection (of that address) is broken off. */
#define CONNECTIONS_MAX 64
#define CONNECTIONS_PER_ADDRESS 32
/* What libmicrohttpd accepts before it comes to the next step; then others wait in the kernel. */
#define CONNECTIONS_LIMIT (CONNECTIONS_MAX + 32)
/* The part of the process's descriptors that strangers may take; the agent renews the lease with others. */
#define DESCRIPTORS_PART 4
/* Request line, headers and answer's headers of one connection. */
#define HEADERS_MAX 8192
#define QUERY_MAX 256

/* 1.2 with forward secrecy and authenticated ciphers, or 1.3: what every client of ten years has. */
#define TLS_PRIORITIES                                               \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:" \
	"+ECDHE-ECDSA:+DHE-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305"

/* The less it has of an answer, the sooner it goes when there are too many. */
typedef enum Progress
{
	SENDS_REQUEST,
	READS_ANSWER,
	AWAITS_PAGE,
} Progress;

typedef struct Client
{
	bool used;
	bool broken; /* shut down; libmicrohttpd closes it when it next looks */
	int fd;
	int64_t accepted_at_ms;
	uint64_t number;         /* counts connections: many come in one millisecond */
	struct in6_addr address; /* an IPv4 address in its first bytes */
	Progress progress;
	bool at_loopback; /* it reached this machine by an address that only this machine has */
	bool begun;       /* its request's headers have been seen */
	char query[QUERY_MAX];
	size_t query_size; /* QUERY_MAX: too long */
	char *body;
	size_t body_size;
	struct MHD_Connection *waits; /* suspended: its page is not there yet */
} Client;

struct FhaListener
{
	struct MHD_Daemon *daemon;
	int epoll;
	FhaService service; /* ask NULL: pages */
	FhaPages pages;
	int64_t connection_ms;
	uint64_t connections; /* so far */
	size_t limit;         /* CONNECTIONS_LIMIT, or what the process's descriptors allow */
	Client clients[CONNECTIONS_LIMIT];
};

/* It is asked about again at the next step. */
static void
client_resume(Client *client)
{
	struct MHD_Connection *waits = client->waits;

	client->waits = NULL;
	if (waits != NULL)
		MHD_resume_connection(waits);
}

static void
break_off(Client *client)
{
	client->broken = true;
	client_resume(client);
	(void) shutdown(client->fd, SHUT_RDWR);
}

static bool
goes_before(const Client *client, const Client *other)
{
	return client->progress != other->progress ? client->progress < other->progress
											   : client->number < other->number;
}

/*
 * Strangers who send nothing must not cost the scraper its answer, who waits for the page by then;
 * among equals the oldest goes.  The newest stays: it had no time yet.
 */
static void
break_one(FhaListener *listener, const Client *newest, bool of_its_address, size_t allowed)
{
	Client *first = NULL;
	size_t count = 0;

	for (size_t i = 0; i < CONNECTIONS_LIMIT; i++)
	{
		Client *client = &listener->clients[i];

		if (!client->used || client->broken ||
			(of_its_address &&
			 memcmp(&client->address, &newest->address, sizeof(newest->address)) != 0))
			continue;
		count++;
		if (client == newest)
			continue;
		if (first == NULL || goes_before(client, first))
			first = client;
	}
	if (first != NULL && count > allowed)
		break_off(first);
}

/* Of the connection's own end. */
static bool
is_loopback(int fd)
{
	struct sockaddr_storage own = {0};
	struct sockaddr_in6 six;
	struct sockaddr_in four;
	socklen_t size = sizeof(own);

	if (getsockname(fd, (struct sockaddr *) &own, &size) != 0)
		return false; /* LCOV_EXCL_LINE: it was accepted */
	memcpy(&six, &own, sizeof(six));
	memcpy(&four, &own, sizeof(four));
	if (own.ss_family == AF_INET)
		return (ntohl(four.sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
	/* LCOV_EXCL_START: a host with IPv6 */
	return own.ss_family == AF_INET6 &&
		   (IN6_IS_ADDR_LOOPBACK(&six.sin6_addr) ||
			(IN6_IS_ADDR_V4MAPPED(&six.sin6_addr) && six.sin6_addr.s6_addr[12] == IN_LOOPBACKNET));
	/* LCOV_EXCL_STOP */
}

static void
client_connected(FhaListener *listener, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *fd =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *from =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	Client *client = listener->clients;

	while (client < listener->clients + CONNECTIONS_LIMIT && client->used)
		client++;
	*context = NULL;
	if (fd == NULL || from == NULL || client == listener->clients + CONNECTIONS_LIMIT)
		return; /* LCOV_EXCL_LINE: libmicrohttpd has the same limit */
	memset(client, 0, sizeof(*client));
	client->used = true;
	client->fd = fd->connect_fd;
	client->accepted_at_ms = fha_now_ms();
	client->number = ++listener->connections;
	client->at_loopback = is_loopback(client->fd);
	if (from->client_addr->sa_family == AF_INET6)
	{
		struct sockaddr_in6 address;

		/* LCOV_EXCL_START: a host with IPv6 */
		memcpy(&address, from->client_addr, sizeof(address));
		client->address = address.sin6_addr;
		/* LCOV_EXCL_STOP */
	}
	else if (from->client_addr->sa_family == AF_INET)
	{
		struct sockaddr_in address;

		memcpy(&address, from->client_addr, sizeof(address));
		memcpy(&client->address, &address.sin_addr, sizeof(address.sin_addr));
	}
	*context = client;
	break_one(listener, client, true,
			  CONNECTIONS_PER_ADDRESS * listener->limit / CONNECTIONS_LIMIT);
	break_one(listener, client, false, CONNECTIONS_MAX * listener->limit / CONNECTIONS_LIMIT);
}

static void
connection_changed(void *argument, struct MHD_Connection *connection, void **context,
				   enum MHD_ConnectionNotificationCode code)
{
	Client *client = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		client_connected(argument, connection, context);
	else if (client != NULL)
	{
		free(client->body);
		client->body = NULL;
		client->used = false;
	}
}

static Client *
client_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* The only place where libmicrohttpd shows the query as it came. */
static void *
note_query(void *argument, const char *uri, struct MHD_Connection *connection)
{
	Client *client = client_of(connection);
	const char *mark = strchr(uri, '?');
	size_t length = mark == NULL ? 0 : strlen(mark + 1);

	(void) argument;
	if (client == NULL)
		return NULL; /* LCOV_EXCL_LINE: one beyond the limit */
	client->query_size = length < QUERY_MAX ? length : QUERY_MAX;
	if (client->query_size < QUERY_MAX && length > 0)
		memcpy(client->query, mark + 1, length);
	client->query[length < QUERY_MAX ? length : 0] = '\0';
	return NULL;
}

/* A browser takes an answer for nothing that it is not, and shows it to no other site's page. */
static bool
add_headers(struct MHD_Response *response, const char *type)
{
	return MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
		   MHD_add_response_header(response, "Connection", "close") == MHD_YES &&
		   MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
		   MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin") ==
			   MHD_YES;
}

/* `text` (free'd here; NULL: out of memory, nothing is sent) with headers that are always the same. */
static enum MHD_Result
client_respond(struct MHD_Connection *connection, int status, char *text, const char *type,
			   const char *name, const char *value)
{
	struct MHD_Response *response;
	enum MHD_Result result = MHD_NO;

	if (text == NULL)
		return MHD_NO; /* LCOV_EXCL_LINE: no memory */
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (response == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		free(text);
		return MHD_NO;
		/* LCOV_EXCL_STOP */
	}
	if (add_headers(response, type) &&
		MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES &&
		(name == NULL || MHD_add_response_header(response, name, value) == MHD_YES))
		result = MHD_queue_response(connection, (unsigned) status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
client_refuse(struct MHD_Connection *connection, int status, const char *text, const char *name,
			  const char *value)
{
	return client_respond(connection, status, strdup(text), "text/plain", name, value);
}

static enum MHD_Result
send_answer(struct MHD_Connection *connection, const FhaAnswer *answer)
{
	return client_respond(connection, answer->status, answer->text, answer->type, answer->header,
						  answer->value);
}

static enum MHD_Result
answer_question(const FhaService *service, struct MHD_Connection *connection, Client *client,
				const char *path, const char *verb)
{
	FhaAnswer answer = {.status = 0};

	if (client->query_size == QUERY_MAX)
		return client_refuse(connection, 414, "the query is too long\n", NULL, NULL);
	client->progress = READS_ANSWER;
	service->ask(service->argument, path, client->query, verb, &answer);
	return send_answer(connection, &answer);
}

/* The headers of what is posted: may its body come? */
static enum MHD_Result
begin_body(const FhaService *service, struct MHD_Connection *connection, const char *verb,
		   Client *client)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
	unsigned long size;

	if (strcmp(verb, "POST") != 0)
		return client_refuse(connection, 405, service->not_posted, "Allow", "POST");
	if (length == NULL)
		return client_refuse(connection, 411, "Content-Length is missing\n", NULL, NULL);
	size = strtoul(length, NULL, 10);
	if (size > service->body_max)
		return client_refuse(connection, 413, service->too_long, NULL, NULL);
	client->body = malloc(service->body_max);
	return client->body == NULL ? MHD_NO : MHD_YES;
}

static enum MHD_Result
answer_posted(const FhaService *service, struct MHD_Connection *connection, const Client *client)
{
	FhaAnswer answer = {.status = 0};

	service->post(service->argument, client->body, client->body_size,
				  MHD_lookup_connection_value(connection, MHD_HEADER_KIND, service->post_header),
				  &answer);
	return send_answer(connection, &answer);
}

/* `Authorization: Bearer TOKEN`, compared in a time that tells nothing. */
static bool
has_token(struct MHD_Connection *connection, const char *token)
{
	static const char scheme[] = "Bearer ";
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");

	if (value == NULL || strncasecmp(value, scheme, strlen(scheme)) != 0)
		return false;
	value += strlen(scheme);
	return strlen(value) == strlen(token) && CRYPTO_memcmp(value, token, strlen(token)) == 0;
}

/* Was its certificate signed by the authority that this listener was given, and for a client? */
static bool
has_certificate(struct MHD_Connection *connection)
{
	gnutls_typed_vdata_st wanted = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
									.data = (unsigned char *) (uintptr_t) GNUTLS_KP_TLS_WWW_CLIENT};
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	unsigned status = 0;

	return info != NULL &&
		   gnutls_certificate_verify_peers(info->tls_session, &wanted, 1, &status) ==
			   GNUTLS_E_SUCCESS &&
		   status == 0;
}

/* An address, or the one name that no server of names is asked for; with a port or without. */
static bool
is_name_of_this_machine(const char *host)
{
	bool bracket = host[0] == '[';
	const char *start = bracket ? host + 1 : host;
	size_t length = strcspn(start, bracket ? "]" : ":");
	const char *rest = start + length;
	char name[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	if (length >= sizeof(name) || (bracket && *rest++ != ']') ||
		(*rest != '\0' && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")] != '\0')))
		return false;
	memcpy(name, start, length);
	name[length] = '\0';
	return inet_pton(bracket ? AF_INET6 : AF_INET, name, &ignored) == 1 ||
		   (!bracket && strcasecmp(name, "localhost") == 0);
}

/*
 * Did a browser take another site's name for this machine's address?  That site's page could then
 * read ours, as if it were its own.  Where a client has to prove who it is, or the server does, the
 * page could not; other addresses than the loopback's are reached by names that we do not know.
 */
static bool
is_misled(const FhaListener *listener, struct MHD_Connection *connection, const Client *client)
{
	const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");

	return client->at_loopback && listener->pages.certificate == NULL &&
		   listener->pages.token == NULL && host != NULL && !is_name_of_this_machine(host);
}

static enum MHD_Result
send_page(struct MHD_Connection *connection, FhaPage *page)
{
	enum MHD_Result result = MHD_NO;
	struct MHD_Response *response =
		page->text != NULL
			? MHD_create_response_from_buffer(page->size, page->text, MHD_RESPMEM_MUST_FREE)
			: MHD_create_response_from_buffer(page->size, (void *) (uintptr_t) page->fixed,
											  MHD_RESPMEM_PERSISTENT);

	if (response == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		free(page->text);
		return MHD_NO;
		/* LCOV_EXCL_STOP */
	}
	if (add_headers(response, page->type) &&
		(page->headers != NULL ||
		 MHD_add_response_header(response, "Cache-Control", "no-store") == MHD_YES))
		result = MHD_YES;
	for (size_t i = 0; page->headers != NULL && page->headers[i].name != NULL; i++)
		if (MHD_add_response_header(response, page->headers[i].name, page->headers[i].value) !=
			MHD_YES)
			result = MHD_NO; /* LCOV_EXCL_LINE: no memory */
	if (result == MHD_YES)
		result = MHD_queue_response(connection, (unsigned) page->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
answer_page(FhaListener *listener, struct MHD_Connection *connection, Client *client,
			const char *path, const char *verb)
{
	FhaPage page = {.status = 0};

	client->progress = READS_ANSWER;
	if (is_misled(listener, connection, client))
		return client_refuse(connection, 421,
							 "here this is known as localhost, or by its address\n", NULL, NULL);
	if (strcmp(verb, "GET") != 0 && strcmp(verb, "HEAD") != 0)
		return client_refuse(connection, 405, "pages are only read\n", "Allow", "GET, HEAD");
	if (listener->pages.client_ca != NULL && !has_certificate(connection))
		return client_refuse(connection, 403, "a client certificate is wanted\n", NULL, NULL);
	if (listener->pages.token != NULL && !has_token(connection, listener->pages.token))
		return client_refuse(connection, 401, "a bearer token is wanted\n", "WWW-Authenticate",
							 "Bearer");
	listener->pages.answer(listener->pages.argument, path, &page);
	if (page.status != 0)
		return send_page(connection, &page);
	client->progress = AWAITS_PAGE;
	client->waits = connection;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static enum MHD_Result
client_handle(void *argument, struct MHD_Connection *connection, const char *path, const char *verb,
			  const char *version, const char *data, size_t *size, void **context)
{
	FhaListener *listener = argument;
	const FhaService *service = &listener->service;
	Client *client = client_of(connection);

	(void) version;
	(void) context;
	if (client == NULL)
		return MHD_NO; /* LCOV_EXCL_LINE: one beyond the limit */
	if (service->ask == NULL)
		return answer_page(listener, connection, client, path, verb);
	if (strcmp(path, service->post_path) != 0)
		return answer_question(service, connection, client, path, verb);
	if (!client->begun)
	{
		client->begun = true;
		return begin_body(service, connection, verb, client);
	}
	if (*size == 0)
	{
		client->progress = READS_ANSWER;
		return answer_posted(service, connection, client);
	}
	if (*size > service->body_max - client->body_size)
		return MHD_NO; /* LCOV_EXCL_LINE: libmicrohttpd keeps to the size that begin_body saw */
	memcpy(client->body + client->body_size, data, *size);
	client->body_size += *size;
	*size = 0;
	return MHD_YES;
}

static size_t
connections_limit(void)
{
	struct rlimit descriptors;

	if (getrlimit(RLIMIT_NOFILE, &descriptors) != 0 ||
		descriptors.rlim_cur / DESCRIPTORS_PART >= CONNECTIONS_LIMIT)
		return CONNECTIONS_LIMIT;
	return (size_t) descriptors.rlim_cur / DESCRIPTORS_PART;
}

/* `more`: options of the library besides those that always hold. */
static FhaCode
start_daemon(FhaListener *listener, int fd, unsigned flags, const struct MHD_OptionItem *more,
			 FhaError *err)
{
	const union MHD_DaemonInfo *info;

	listener->limit = connections_limit();
	listener->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | flags, 0, NULL, NULL, client_handle, listener, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned) listener->limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t) HEADERS_MAX, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, listener,
		MHD_OPTION_URI_LOG_CALLBACK, note_query, listener, MHD_OPTION_ARRAY, more, MHD_OPTION_END);
	info = listener->daemon == NULL
			   ? NULL
			   : MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL)
		return fha_error(err, FHA_IO, "the HTTP server could not be started");
	listener->epoll = info->epoll_fd;
	return FHA_OK;
}

FhaCode
fha_listener_open_service(FhaListener **out, int fd, const FhaService *service, FhaError *err)
{
	static const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	FhaListener *listener = calloc(1, sizeof(*listener));
	FhaCode code;

	*out = NULL;
	if (listener == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	listener->connection_ms = CONNECTION_MS;
	code = start_daemon(listener, fd, 0, none, err);
	if (code != FHA_OK)
	{
		/* LCOV_EXCL_START: libmicrohttpd refuses */
		fha_listener_close(listener);
		return code;
		/* LCOV_EXCL_STOP */
	}
	listener->service = *service;
	*out = listener;
	return FHA_OK;
}

FhaCode
fha_listener_open_pages(FhaListener **out, int fd, const FhaPages *pages, FhaError *err)
{
	struct MHD_OptionItem tls[5] = {{MHD_OPTION_END, 0, NULL}};
	FhaListener *listener = calloc(1, sizeof(*listener));
	unsigned flags = MHD_ALLOW_SUSPEND_RESUME;
	size_t count = 0;
	FhaCode code;

	*out = NULL;
	if (listener == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	listener->pages = *pages;
	listener->connection_ms = pages->connection_ms;
	if (pages->certificate != NULL)
	{
		flags |= MHD_USE_TLS;
		tls[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0,
											   (void *) (uintptr_t) pages->certificate};
		tls[count++] =
			(struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) pages->key};
		tls[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
											   (void *) (uintptr_t) TLS_PRIORITIES};
		if (pages->client_ca != NULL)
			tls[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0,
												   (void *) (uintptr_t) pages->client_ca};
		tls[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	}
	code = start_daemon(listener, fd, flags, tls, err);
	if (code != FHA_OK)
	{
		fha_listener_close(listener);
		return pages->certificate == NULL
				   ? code
				   : fha_error(err, FHA_INVALID, "the certificate, its key or the CA is refused");
	}
	*out = listener;
	return FHA_OK;
}

void
fha_listener_wake_pages(FhaListener *listener)
{
	for (size_t i = 0; i < CONNECTIONS_LIMIT; i++)
		if (listener->clients[i].used)
			client_resume(&listener->clients[i]);
}

void
fha_listener_close(FhaListener *listener)
{
	if (listener == NULL)
		return;
	fha_listener_wake_pages(listener);
	if (listener->daemon != NULL)
	{
		/* Else the socket would be closed with the daemon. */
		(void) MHD_quiesce_daemon(listener->daemon);
		MHD_stop_daemon(listener->daemon);
	}
	if (listener->service.close != NULL)
		listener->service.close(listener->service.argument);
	free(listener);
}

void *
fha_listener_argument(const FhaListener *listener)
{
	return listener->service.argument;
}

int
fha_listener_fd(const FhaListener *listener)
{
	return listener->epoll;
}

void
fha_listener_step(FhaListener *listener)
{
	int64_t now_ms = fha_now_ms();

	for (size_t i = 0; i < CONNECTIONS_LIMIT; i++)
	{
		Client *client = &listener->clients[i];

		if (client->used && !client->broken &&
			now_ms >= client->accepted_at_ms + listener->connection_ms)
			break_off(client);
	}
	(void) MHD_run(listener->daemon);
}

int64_t
fha_listener_wake_ms(const FhaListener *listener)
{
	int64_t wake_ms = INT64_MAX;
	MHD_UNSIGNED_LONG_LONG timeout;

	for (size_t i = 0; i < CONNECTIONS_LIMIT; i++)
	{
		const Client *client = &listener->clients[i];

		if (client->used && !client->broken &&
			client->accepted_at_ms + listener->connection_ms < wake_ms)
			wake_ms = client->accepted_at_ms + listener->connection_ms;
	}
	/* It may hold bytes that it has read already: then no descriptor becomes readable. */
	if (MHD_get_timeout(listener->daemon, &timeout) == MHD_YES &&
		/* LCOV_EXCL_START: whether it has read ahead is up to it */
		fha_now_ms() + (int64_t) timeout < wake_ms)
		wake_ms = fha_now_ms() + (int64_t) timeout;
	/* LCOV_EXCL_STOP */
	return wake_ms;
}
