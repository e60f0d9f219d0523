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

/* At more than these one connection (of that address) is broken off. */
#define CONNECTIONS_MAX 64
#define CONNECTIONS_PER_ADDRESS 32
/* What libmicrohttpd accepts before it comes to the next step; then others wait in the kernel. */
#define CONNECTIONS_LIMIT (CONNECTIONS_MAX + 32)
/* The part of the process's descriptors that strangers may take; the agent renews the lease with others. */
#define DESCRIPTORS_PART 4
/* Request line, headers and answer's headers of one connection. */
#define HEADERS_MAX 8192

/* 1.2 with forward secrecy and authenticated ciphers, or 1.3: what every client of ten years has. */
#define TLS_PRIORITIES                                               \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:" \
	"+ECDHE-ECDSA:+DHE-RSA:-CIPHER-ALL:+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305"

/* The less it has of an answer, the sooner it goes when there are too many. */
typedef enum Progress
{
	SENDS_REQUEST,
	READS_ANSWER,
	AWAITS_ANSWER,
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
	char query[FHA_QUERY_SIZE];
	bool query_is_long;    /* longer than that */
	const FhaRoute *route; /* NULL: its request's headers have not been seen, or were refused */
	char *body;
	size_t body_size;
	size_t body_room;
	struct MHD_Connection *waits; /* suspended: its answer is not there yet */
} Client;

struct FhaListener
{
	struct MHD_Daemon *daemon;
	int epoll;
	FhaService service;
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
	client->query_is_long = length >= FHA_QUERY_SIZE;
	if (length > 0 && !client->query_is_long)
		memcpy(client->query, mark + 1, length);
	client->query[client->query_is_long ? 0 : length] = '\0';
	return NULL;
}

void
fha_answer_say(FhaAnswer *out, int status, const char *text)
{
	out->status = status;
	out->type = "text/plain";
	out->fixed = text;
	out->size = strlen(text);
}

void
fha_answer_give(FhaAnswer *out, int status, char *text)
{
	out->status = status;
	out->text = text;
	out->size = text == NULL ? 0 : strlen(text);
}

/* A browser takes an answer for nothing that it is not, and shows it to no other site's page. */
static bool
add_headers(struct MHD_Response *response, const FhaAnswer *answer)
{
	static const FhaHttpHeader not_kept[] = {{"Cache-Control", "no-store"}, {NULL, NULL}};
	const FhaHttpHeader *header = answer->headers == NULL ? not_kept : answer->headers;
	bool added =
		MHD_add_response_header(response, "Content-Type", answer->type) == MHD_YES &&
		MHD_add_response_header(response, "Connection", "close") == MHD_YES &&
		MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES &&
		MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin") == MHD_YES;

	for (; added && header->name != NULL; header++)
		added = MHD_add_response_header(response, header->name, header->value) == MHD_YES;
	return added && (answer->header == NULL ||
					 MHD_add_response_header(response, answer->header, answer->value) == MHD_YES);
}

/* Its text is free'd here. */
static enum MHD_Result
client_respond(struct MHD_Connection *connection, const FhaAnswer *answer)
{
	enum MHD_Result result = MHD_NO;
	struct MHD_Response *response;

	if (answer->text == NULL && answer->fixed == NULL)
		return MHD_NO; /* LCOV_EXCL_LINE: no memory */
	response =
		answer->text != NULL
			? MHD_create_response_from_buffer(answer->size, answer->text, MHD_RESPMEM_MUST_FREE)
			: MHD_create_response_from_buffer(answer->size, (void *) (uintptr_t) answer->fixed,
											  MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		free(answer->text);
		return MHD_NO;
		/* LCOV_EXCL_STOP */
	}
	if (add_headers(response, answer))
		result = MHD_queue_response(connection, (unsigned) answer->status, response);
	MHD_destroy_response(response);
	return result;
}

/* With a header, or without (NULL). */
static enum MHD_Result
client_refuse(struct MHD_Connection *connection, int status, const char *text, const char *header,
			  const char *value)
{
	FhaAnswer answer = {.header = header};

	fha_answer_say(&answer, status, text);
	(void) snprintf(answer.value, sizeof(answer.value), "%s", value == NULL ? "" : value);
	return client_respond(connection, &answer);
}

/* --- which route */

static const struct
{
	const char *name;
	unsigned method;
} methods[] = {{"GET", FHA_GET}, {"HEAD", FHA_HEAD}, {"OPTIONS", FHA_OPTIONS}, {"POST", FHA_POST}};

#define METHODS (sizeof(methods) / sizeof(methods[0]))

/* 0: one that no route has. */
static unsigned
method_of(const char *name)
{
	for (size_t i = 0; i < METHODS; i++)
		if (strcmp(methods[i].name, name) == 0)
			return methods[i].method;
	return 0;
}

/* NULL: none; *allowed: the methods that the path has, 0: it is not there. */
static const FhaRoute *
route_of(const FhaRoute *routes, const char *path, unsigned method, unsigned *allowed)
{
	const char *decides = NULL;

	*allowed = 0;
	for (const FhaRoute *route = routes; route->path != NULL; route++)
	{
		if (decides == NULL && (route->below ? strncmp(path, route->path, strlen(route->path)) == 0
											 : strcmp(path, route->path) == 0))
			decides = route->path;
		if (decides == NULL || strcmp(decides, route->path) != 0)
			continue;
		*allowed |= route->methods;
		if ((route->methods & method) != 0)
			return route;
	}
	return NULL;
}

static enum MHD_Result
client_refuse_method(struct MHD_Connection *connection, unsigned allowed)
{
	FhaAnswer answer = {.type = "text/plain", .header = "Allow"};
	char *text;
	size_t used = 0;

	for (size_t i = 0; i < METHODS; i++)
		if ((allowed & methods[i].method) != 0)
			used += (size_t) snprintf(answer.value + used, sizeof(answer.value) - used, "%s%s",
									  used == 0 ? "" : ", ", methods[i].name);
	if (asprintf(&text, "possible here: %s\n", answer.value) < 0)
		text = NULL; /* LCOV_EXCL_LINE: no memory */
	fha_answer_give(&answer, 405, text);
	return client_respond(connection, &answer);
}

/* --- who may ask */

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

	return client->at_loopback && listener->service.certificate == NULL &&
		   listener->service.token == NULL && host != NULL && !is_name_of_this_machine(host);
}

/* True: it was refused, or could not be. */
static bool
is_refused(const FhaListener *listener, struct MHD_Connection *connection, const Client *client,
		   enum MHD_Result *result)
{
	const FhaService *service = &listener->service;

	if (client->route->asker == FHA_ASKER_ANYBODY)
		return false;
	if (is_misled(listener, connection, client))
		*result = client_refuse(connection, 421,
								"here this is known as localhost, or by its address\n", NULL, NULL);
	else if (service->client_ca != NULL && !has_certificate(connection))
		*result = client_refuse(connection, 403, "a client certificate is wanted\n", NULL, NULL);
	else if (service->token != NULL && !has_token(connection, service->token))
		*result = client_refuse(connection, 401, "a bearer token is wanted\n", "WWW-Authenticate",
								"Bearer");
	else
		return false;
	return true;
}

/* --- one request */

static enum MHD_Result
client_answer(const FhaListener *listener, struct MHD_Connection *connection, Client *client,
			  const char *path)
{
	const FhaRoute *route = client->route;
	FhaAnswer out = {.type = route->type};
	FhaAsked asked = {.route = route,
					  .path = path,
					  .query = client->query,
					  .body = client->body,
					  .size = client->body_size};

	if (route->header != NULL)
		asked.header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, route->header);
	client->progress = READS_ANSWER;
	route->answer(listener->service.argument, &asked, &out);
	if (out.status != 0)
		return client_respond(connection, &out);
	client->progress = AWAITS_ANSWER;
	client->waits = connection;
	MHD_suspend_connection(connection);
	return MHD_YES;
}

/* May its body come? */
static enum MHD_Result
client_begin_body(struct MHD_Connection *connection, Client *client)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
	unsigned long size;

	if (length == NULL)
		return client_refuse(connection, 411, "Content-Length is missing\n", NULL, NULL);
	size = strtoul(length, NULL, 10);
	if (size > client->route->body_max)
		return client_refuse(connection, 413, "the body is too long\n", NULL, NULL);
	client->body_room = size;
	client->body = malloc(size + 1);
	return client->body == NULL ? MHD_NO : MHD_YES;
}

/* The request's headers are there. */
static enum MHD_Result
client_begin(const FhaListener *listener, struct MHD_Connection *connection, Client *client,
			 const char *path, const char *verb)
{
	enum MHD_Result result;
	unsigned allowed;

	if (client->query_is_long)
		return client_refuse(connection, 414, "the query is too long\n", NULL, NULL);
	client->route = route_of(listener->service.routes, path, method_of(verb), &allowed);
	if (client->route == NULL)
		return allowed == 0 ? client_refuse(connection, 404, "there is no such path\n", NULL, NULL)
							: client_refuse_method(connection, allowed);
	if (is_refused(listener, connection, client, &result))
		return result;
	return client->route->body_max > 0 ? client_begin_body(connection, client)
									   : client_answer(listener, connection, client, path);
}

static enum MHD_Result
client_handle(void *argument, struct MHD_Connection *connection, const char *path, const char *verb,
			  const char *version, const char *data, size_t *size, void **context)
{
	const FhaListener *listener = argument;
	Client *client = client_of(connection);

	(void) version;
	(void) context;
	if (client == NULL)
		return MHD_NO; /* LCOV_EXCL_LINE: one beyond the limit */
	if (client->route == NULL)
		return client_begin(listener, connection, client, path, verb);
	if (*size == 0)
		return client_answer(listener, connection, client, path);
	if (*size > client->body_room - client->body_size)
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

/* `tls`: options of the library besides those that always hold. */
static FhaCode
start_daemon(FhaListener *listener, int fd, unsigned flags, const struct MHD_OptionItem *tls,
			 FhaError *err)
{
	const union MHD_DaemonInfo *info;

	listener->limit = connections_limit();
	listener->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | flags, 0, NULL, NULL, client_handle, listener,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned) listener->limit,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) HEADERS_MAX, MHD_OPTION_NOTIFY_CONNECTION,
		connection_changed, listener, MHD_OPTION_URI_LOG_CALLBACK, note_query, listener,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	info = listener->daemon == NULL
			   ? NULL
			   : MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL)
		return fha_error(err, FHA_IO, "the HTTP server could not be started");
	listener->epoll = info->epoll_fd;
	return FHA_OK;
}

/* The flags that go with them. */
static unsigned
tls_options(const FhaService *service, struct MHD_OptionItem out[5])
{
	size_t count = 0;

	out[0] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	if (service->certificate == NULL)
		return 0;
	out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0,
										   (void *) (uintptr_t) service->certificate};
	out[count++] =
		(struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) service->key};
	out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
										   (void *) (uintptr_t) TLS_PRIORITIES};
	if (service->client_ca != NULL)
		out[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0,
											   (void *) (uintptr_t) service->client_ca};
	out[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	return MHD_USE_TLS;
}

FhaCode
fha_listener_serve(FhaListener **out, int fd, const FhaService *service, FhaError *err)
{
	struct MHD_OptionItem tls[5];
	unsigned flags = tls_options(service, tls);
	FhaListener *listener = calloc(1, sizeof(*listener));
	FhaCode code;

	*out = NULL;
	if (listener == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	code = start_daemon(listener, fd, flags, tls, err);
	if (code != FHA_OK)
	{
		fha_listener_close(listener);
		return service->certificate == NULL
				   ? code
				   : fha_error(err, FHA_INVALID, "the certificate, its key or the CA is refused");
	}
	listener->service = *service;
	*out = listener;
	return FHA_OK;
}

void
fha_listener_ask_again(FhaListener *listener)
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
	fha_listener_ask_again(listener);
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
			now_ms >= client->accepted_at_ms + listener->service.connection_ms)
			break_off(client);
	}
	(void) MHD_run(listener->daemon);
}

int64_t
fha_listener_wake_at_ms(const FhaListener *listener)
{
	int64_t wake_at_ms = INT64_MAX;
	MHD_UNSIGNED_LONG_LONG timeout;

	for (size_t i = 0; i < CONNECTIONS_LIMIT; i++)
	{
		const Client *client = &listener->clients[i];

		if (client->used && !client->broken &&
			client->accepted_at_ms + listener->service.connection_ms < wake_at_ms)
			wake_at_ms = client->accepted_at_ms + listener->service.connection_ms;
	}
	/* It may hold bytes that it has read already: then no descriptor becomes readable. */
	if (MHD_get_timeout(listener->daemon, &timeout) == MHD_YES &&
		/* LCOV_EXCL_START: whether it has read ahead is up to it */
		fha_now_ms() + (int64_t) timeout < wake_at_ms)
		wake_at_ms = fha_now_ms() + (int64_t) timeout;
	/* LCOV_EXCL_STOP */
	return wake_at_ms;
}
