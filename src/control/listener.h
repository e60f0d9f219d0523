/*
 * listener.h: the member's HTTP listener: health paths, and questions of other members.
 *
 * Runs in the loop of whoever has the seat, without threads and without waiting: the host polls
 * one descriptor.  One request per connection; every connection has a deadline, and when there are
 * too many the oldest one goes, so that whoever asks at once is answered however many dawdle.
 */
#ifndef FHA_LISTENER_H
#define FHA_LISTENER_H

#include <stdint.h>

#include "config.h"
#include "err.h"
#include "health.h"
#include "member.h"
#include "page.h"

typedef struct FhaListener FhaListener;

/* Fill in what is known at this moment; called once for each answer. */
typedef void (*FhaTell)(void *argument, FhaHealth *out);

/*
 * Answer on `fd`, a listening socket that stays the caller's; `argument` is for both callbacks.  A pgpass that cannot be read is
 * no failure: members' questions are then answered with 503.  IO, NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_listener_open(FhaListener **out, int fd, const FhaConfig *config,
												 FhaTell tell, FhaGivePromise promise,
												 void *argument, FhaError *err);

typedef struct FhaPage
{
	int status; /* HTTP; 0: not yet, ask again after fha_listener_wake_pages */
	const char *type;
	char *text;        /* malloc'ed, the listener frees it; else `fixed` */
	const char *fixed; /* static */
	size_t size;
	const FhaPageHeader *headers; /* static, the last one's name is NULL; NULL: none */
} FhaPage;

/* What such a listener answers, instead of health and members' questions: GET and HEAD only. */
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

/* pgpass may have changed: read the cluster key again. */
FHA_API void fha_listener_reload(FhaListener *listener, const FhaConfig *config);

/* Accept no more, break off what is unfinished.  NULL is allowed. */
FHA_API void fha_listener_close(FhaListener *listener);

/* Readable when fha_listener_step has something to do. */
FHA_API int fha_listener_fd(const FhaListener *listener);

/* Whatever can be done without waiting. */
FHA_API void fha_listener_step(FhaListener *listener);

/* Step again at the latest then. */
FHA_API int64_t fha_listener_wake_ms(const FhaListener *listener);

#endif
