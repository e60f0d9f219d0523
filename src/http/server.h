/*
 * server.h: the HTTP server.  What a member answers: peer/listener.h; the exporter: pages.
 *
 * Runs in its host's loop, without threads and without waiting: the host polls one descriptor.  One request per connection; every connection has a deadline, and when there are
 * too many the oldest one goes, so that whoever asks at once is answered however many dawdle.
 */
#ifndef FHA_HTTP_SERVER_H
#define FHA_HTTP_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct FhaListener FhaListener;

#define FHA_ANSWER_VALUE_SIZE 80

/* To one request of a service. */
typedef struct FhaAnswer
{
	int status; /* HTTP */
	const char *type;
	char *text;         /* malloc'ed, the listener frees it; NULL: out of memory, nothing is sent */
	const char *header; /* static: one more, with this value; NULL: none */
	char value[FHA_ANSWER_VALUE_SIZE];
} FhaAnswer;

/* What such a listener answers: each path is asked, and something is posted to one. */
typedef struct FhaService
{
	/* query: what stands behind "?", not decoded; "" for none. */
	void (*ask)(void *argument, const char *path, const char *query, const char *verb,
				FhaAnswer *out);
	/* value: of the request's post_header; NULL: it has none. */
	void (*post)(void *argument, const char *body, size_t size, const char *value, FhaAnswer *out);
	const char *post_path; /* static, as the rest */
	const char *post_header;
	size_t body_max;
	const char *not_posted;        /* the answer to another verb than POST there */
	const char *too_long;          /* to a body of more than body_max bytes */
	void (*close)(void *argument); /* the listener is closed; NULL: nothing is to do */
	void *argument;
} FhaService;

/* Answer on `fd`, a listening socket that stays the caller's.  IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_listener_open_service(FhaListener **out, int fd,
												 const FhaService *service, FhaError *err);

/* The service's. */
void *fha_listener_argument(const FhaListener *listener);

typedef struct FhaPageHeader
{
	const char *name;
	const char *value;
} FhaPageHeader;

typedef struct FhaPage
{
	int status; /* HTTP; 0: not yet, ask again after fha_listener_wake_pages */
	const char *type;
	char *text;        /* malloc'ed, the listener frees it; else `fixed` */
	const char *fixed; /* static */
	size_t size;
	const FhaPageHeader *headers; /* static, the last one's name is NULL; NULL: none */
} FhaPage;

/* What a listener of pages answers: GET and HEAD only. */
typedef struct FhaPages
{
	void (*answer)(void *argument, const char *path, FhaPage *out);
	void *argument;
	int64_t connection_ms;   /* from the accept to the last byte of the answer */
	const char *certificate; /* PEM; NULL: no TLS.  The caller's, until the listener is closed */
	const char *key;
	const char *client_ca; /* NULL: no certificate is wanted of clients */
	const char *token;     /* that clients must bring (RFC 6750), the caller's; NULL: none */
} FhaPages;

/* As above.  INVALID: the certificate, key or CA cannot be used. */
FHA_API FHA_MUST_CHECK FhaCode fha_listener_open_pages(FhaListener **out, int fd,
													   const FhaPages *pages, FhaError *err);

/* Ask again for all pages that were not yet there. */
FHA_API void fha_listener_wake_pages(FhaListener *listener);

/* Accept no more, break off what is unfinished.  NULL is allowed. */
FHA_API void fha_listener_close(FhaListener *listener);

/* Readable when fha_listener_step has something to do. */
FHA_API int fha_listener_fd(const FhaListener *listener);

/* Whatever can be done without waiting. */
FHA_API void fha_listener_step(FhaListener *listener);

/* Step again at the latest then. */
FHA_API int64_t fha_listener_wake_ms(const FhaListener *listener);

#endif
