/*
 * http_call.h: one HTTP request of a store, or of what gives it credentials, and the answer.
 *
 * Make it, add headers (fha_http_request_header on call->request), start it.  fha_http_call_step tells
 * its owner the end.  Nothing is sent twice: a try after this one is the business of store.c.
 */
#ifndef FHA_STORE_HTTP_CALL_H
#define FHA_STORE_HTTP_CALL_H

#include "http/request.h"
#include "store/text.h"

/* Bytes of an answer that is kept, if the owner wants no other limit. */
#define FHA_HTTP_ANSWER_MAX (1024 * 1024)

typedef struct FhaHttpCall FhaHttpCall;

typedef struct FhaHttpAsk
{
	const char *method; /* "GET", "HEAD", "PUT", "POST", "DELETE" */
	const char *url;    /* http: or https: */
	const char *ca;     /* PEM; NULL: the system's */
	const char *body;   /* stays as it is until the call is dropped; NULL: none */
	size_t body_size;
	int64_t deadline_at_ms; /* on fha_now_ms */
	int64_t silence_ms;     /* so long without a byte, sent or received, ends it; 0: never */
	size_t answer_max;      /* bytes that are kept; 0: FHA_HTTP_ANSWER_MAX */

	/* The head of the answer is there.  False: the call ends, with what was put into call->code and
	 * call->error.  NULL: nothing to look at. */
	bool (*headed)(FhaHttpCall *call);
	/* Bytes of a 2xx answer, in order, each once; NULL: they are kept.  Fewer than `size` taken: the
	 * call pauses until fha_http_call_go_on. */
	size_t (*take)(const char *data, size_t size, void *owner);
	/* The whole answer is there, or none will come.  It may drop the call. */
	void (*ended)(FhaHttpCall *call);
	void *owner;
} FhaHttpAsk;

struct FhaHttpCall
{
	FhaHttpRequest request;
	FhaHttpAsk ask; /* without its texts */

	/* OK: there is a whole answer, with any status.  TIMEOUT, IO, PROTOCOL, NO_MEMORY: there is none. */
	FhaCode code;
	FhaError error; /* when code is not OK; printable, without headers and query */
	int status;     /* 0: the head did not come */
	bool sent;      /* the server may have read it */
	FhaText body;   /* what was kept */
	uint64_t taken; /* bytes that `take` took */

	size_t head_size;
	size_t skipped; /* bytes of a paused piece that were taken before */
	bool paused;
	bool too_long;
	bool refused; /* by `headed`, or by `take`, which then sets it together with code and error */
};

/* *call is zero or dropped before; drop it in any case. */
void fha_http_call_make(FhaHttpCall *call, const FhaHttpAsk *ask);
/* False: no memory; nothing is on its way. */
FHA_MUST_CHECK bool fha_http_call_start(FhaHttpClient *client, FhaHttpCall *call);
void fha_http_call_drop(FhaHttpClient *client, FhaHttpCall *call);

/* There is room again; bytes may come at once. */
void fha_http_call_go_on(FhaHttpCall *call);

/* Do what can be done without waiting, and tell the ends of all calls of this client. */
void fha_http_call_step(FhaHttpClient *client);

/* Of the answer.  False, and out is "": there is none, or it does not fit. */
bool fha_http_call_header(const FhaHttpCall *call, const char *name, char *out, size_t size);
/* False: not a number. */
bool fha_http_call_header_u64(const FhaHttpCall *call, const char *name, uint64_t *out);
/* How long the server wants us to wait; 0: it does not say. */
int64_t fha_http_call_retry_after_ms(const FhaHttpCall *call);
/* The server's clock; false: it does not say. */
bool fha_http_call_date(const FhaHttpCall *call, int64_t *seconds);

#endif
