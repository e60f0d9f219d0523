/*
 * server.h: the HTTP server: a listener, and the table of routes that it answers.
 *
 * What a member answers stands in peer/listener.c, what the exporter answers in pg/exporter.c.
 *
 * Runs in its host's loop, without threads and without waiting: the host polls one descriptor.  One request per connection; every connection has a deadline, and when there are
 * too many the oldest one goes, so that whoever asks at once is answered however many dawdle.
 */
#ifndef FHA_HTTP_SERVER_H
#define FHA_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct FhaListener FhaListener;
typedef struct FhaRoute FhaRoute;

/* A query, its NUL included, on every path: 414 beyond it. */
#define FHA_QUERY_SIZE 256
#define FHA_ANSWER_VALUE_SIZE 80

typedef struct FhaHttpHeader
{
	const char *name;
	const char *value;
} FhaHttpHeader;

/* Methods of a route, added up. */
#define FHA_GET (1u << 0)
#define FHA_HEAD (1u << 1) /* as GET; the server leaves the body out */
#define FHA_OPTIONS (1u << 2)
#define FHA_POST (1u << 3)

/* Who may ask.  A row that says nothing says the first. */
typedef enum FhaAsker
{
	/*
	 * Who proves what the service wants, a token or a certificate: else 401 or 403.  Where it wants
	 * neither and has no TLS: no browser that was led here under another site's name, 421.
	 */
	FHA_ASKER_PROVEN,
	FHA_ASKER_ANYBODY, /* or the handler finds out, as by a MAC of the body */
} FhaAsker;

/* One request, for a handler; it ends with the answer. */
typedef struct FhaAsked
{
	const FhaRoute *route;
	const char *path;
	const char *query; /* what stands behind "?", not decoded; "" for none */
	const char *body;  /* without a NUL; NULL: the route takes none */
	size_t size;
	const char *header; /* value of the route's header; NULL: it has none */
} FhaAsked;

/* A handler is given one that has the route's type, and all else zero. */
typedef struct FhaAnswer
{
	int status; /* HTTP; 0: not yet, ask again after fha_listener_ask_again */
	const char *type;
	char *text;        /* malloc'ed, the listener frees it; else `fixed` */
	const char *fixed; /* static; NULL as well: out of memory, nothing is sent */
	size_t size;
	const FhaHttpHeader
		*headers;       /* static, the last one's name is NULL; NULL: Cache-Control alone */
	const char *header; /* static: one more, with this value; NULL: none */
	char value[FHA_ANSWER_VALUE_SIZE];
} FhaAnswer;

/*
 * One path, or several methods of one, or all paths that begin alike.  The first row that fits a path
 * decides, with all other rows that have its `path`: so those with `below` stand last.
 *
 * The server sees to what all rows have in common: 404, 405 with Allow, HEAD, 414, 411 and 413, who
 * may ask, Content-Type, what browsers are told.  Handlers run inside of it: they do not wait, and in
 * the extension they raise no error.
 */
struct FhaRoute
{
	const char *path; /* NULL: the end of the table */
	bool below;       /* all paths that begin so, too */
	unsigned methods;
	FhaAsker asker;
	size_t body_max;    /* bytes, with a Content-Length; 0: no body is read */
	const char *header; /* of the request, for the handler; NULL: none */
	const char *type;   /* Content-Type */
	void (*answer)(void *argument, const FhaAsked *asked, FhaAnswer *out);
	int what; /* the handler's own: tells rows apart that share it */
};

/* All of it is the caller's until the listener is closed. */
typedef struct FhaService
{
	const FhaRoute *routes;
	void *argument;                /* of all handlers, and of close */
	void (*close)(void *argument); /* the listener is closed; NULL: nothing is to do */
	int64_t connection_ms;         /* from the accept to the last byte of the answer */
	const char *certificate;       /* PEM; NULL: no TLS */
	const char *key;
	const char *client_ca; /* that signs clients' certificates; NULL: no certificate is wanted */
	const char *token;     /* that clients must bring (RFC 6750); NULL: none */
} FhaService;

/*
 * Answer on `fd`, a listening socket that stays the caller's.  After a failure close was not called.
 * INVALID: the certificate, key or CA cannot be used.  IO, NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_listener_serve(FhaListener **out, int fd,
												  const FhaService *service, FhaError *err);

/* The service's. */
void *fha_listener_argument(const FhaListener *listener);

/* Plain text; `text` is static. */
FHA_API void fha_answer_say(FhaAnswer *out, int status, const char *text);

/* `text` is malloc'ed, and the listener frees it; NULL: out of memory. */
FHA_API void fha_answer_give(FhaAnswer *out, int status, char *text);

/* Ask again all handlers that said "not yet". */
FHA_API void fha_listener_ask_again(FhaListener *listener);

/* Accept no more, break off what is unfinished.  NULL is allowed. */
FHA_API void fha_listener_close(FhaListener *listener);

/* Readable when fha_listener_step has something to do. */
FHA_API int fha_listener_fd(const FhaListener *listener);

/* Whatever can be done without waiting. */
FHA_API void fha_listener_step(FhaListener *listener);

/* Step again at the latest then. */
FHA_API int64_t fha_listener_wake_at_ms(const FhaListener *listener);

#endif
