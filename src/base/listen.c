/*
 * listen.c: the listener's address and socket.  See listen.h.
 */
#include "base/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Connections that wait until the ownership lock has changed hands. */
#define BACKLOG 256

typedef struct Place
{
	bool any; /* "*" */
	struct sockaddr_storage address;
	socklen_t size;
	uint16_t port;
} Place;

static bool
parse_port(const char *text, uint16_t *out)
{
	size_t digits = strspn(text, "0123456789");
	long number;

	if (digits == 0 || digits > 5 || text[digits] != '\0')
		return false;
	number = strtol(text, NULL, 10);
	*out = (uint16_t) number;
	return number >= 1 && number <= 65535;
}

static bool
listen_parse(const char *listen, Place *out)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(listen, ':');
	size_t length = colon == NULL ? 0 : (size_t) (colon - listen);

	memset(out, 0, sizeof(*out));
	if (length == 0 || length >= sizeof(host) || !parse_port(colon + 1, &out->port))
		return false;
	memcpy(host, listen, length);
	host[length] = '\0';
	v4.sin_port = v6.sin6_port = htons(out->port);
	out->any = strcmp(host, "*") == 0;
	if (out->any)
		v6.sin6_addr = in6addr_any;
	if (host[0] == '[' && host[length - 1] == ']')
	{
		host[length - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1)
			return false;
	}
	else if (!out->any)
	{
		if (inet_pton(AF_INET, host, &v4.sin_addr) != 1)
			return false;
		memcpy(&out->address, &v4, sizeof(v4));
		out->size = sizeof(v4);
		return true;
	}
	memcpy(&out->address, &v6, sizeof(v6));
	out->size = sizeof(v6);
	return true;
}

FhaCode
fha_listen_check(const char *listen, FhaError *err)
{
	Place place;

	if (listen[0] == '\0' || listen_parse(listen, &place))
		return FHA_OK;
	return fha_error(err, FHA_INVALID,
					 "\"%.60s\" is not an IP address and a port: write for example "
					 "\"127.0.0.1:8008\", \"[::1]:8008\" or \"*:8008\"",
					 listen);
}

static int
listen_open_socket(const Place *place)
{
	const int on = 1;
	const int off = 0;
	int family = place->address.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int reason;

	if (fd < 0)
		return -1; /* LCOV_EXCL_LINE: the kernel refuses */
	/* Or a restart would have to wait until the last connection is forgotten. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(family != AF_INET6 || /* LCOV_EXCL_LINE: a host with IPv6 */
		 setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, place->any ? &off : &on, sizeof(on)) == 0) &&
		bind(fd, (const struct sockaddr *) &place->address, place->size) == 0 &&
		listen(fd, BACKLOG) == 0)
		return fd;
	reason = errno;
	(void) close(fd);
	errno = reason;
	return -1;
}

FhaCode
fha_listen_open(const char *setting, const char *listen, int *fd, FhaError *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	Place place;

	*fd = -1;
	if (!listen_parse(listen, &place))
		return fha_listen_check(listen, err);
	*fd = listen_open_socket(&place);
	if (*fd < 0 && place.any && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
	{
		/* A host without IPv6. */
		/* LCOV_EXCL_START: a host without IPv6 */
		v4.sin_port = htons(place.port);
		memcpy(&place.address, &v4, sizeof(v4));
		place.size = sizeof(v4);
		*fd = listen_open_socket(&place);
		/* LCOV_EXCL_STOP */
	}
	if (*fd >= 0)
		return FHA_OK;
	return fha_error_errno(err, FHA_IO, "could not listen on fawkes_ha.%s = \"%.60s\"", setting,
						   listen);
}

void
fha_listen_public(const char *listen, const char *address, char *out, size_t size)
{
	const char *colon = strrchr(address, ':');
	Place place;
	bool any;
	int length;

	out[0] = '\0';
	if (listen[0] == '\0' || !listen_parse(listen, &place))
		return;
	any = place.any;
	if (place.address.ss_family == AF_INET)
	{
		struct sockaddr_in v4;

		memcpy(&v4, &place.address, sizeof(v4));
		any = any || v4.sin_addr.s_addr == htonl(INADDR_ANY);
	}
	else
	{
		struct sockaddr_in6 v6;

		memcpy(&v6, &place.address, sizeof(v6));
		any = any || IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
	}
	if (!any)
		length = snprintf(out, size, "%s", listen);
	else if (colon != NULL)
		length = snprintf(out, size, "%.*s:%u", (int) (colon - address), address, place.port);
	else
		return;
	if (length < 0 || (size_t) length >= size)
		out[0] = '\0';
}
