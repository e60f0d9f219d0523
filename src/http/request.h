/*
 * request.h: a request, built once for all clients; http/client.h carries it out.
 *
 * Common to all: HTTP/1.1, no redirect, no proxy from the environment, no signal, TLS 1.2 and later with the
 * server's certificate and name verified.  A failure while it is built is remembered and told by the
 * start.
 */
#ifndef FHA_HTTP_REQUEST_H
#define FHA_HTTP_REQUEST_H

#include "http/client.h"

/* Bytes of the answer; fewer than `size` taken: the transfer ends.  one: always 1 (libcurl's). */
typedef size_t (*FhaHttpTake)(char *data, size_t one, size_t size, void *owner);

/* Texts in PEM; each may be NULL. */
typedef struct FhaHttpTls
{
	char *ca; /* NULL: the system's */
	char *cert;
	char *key; /* without a password */
} FhaHttpTls;

typedef struct FhaHttpParts
{
	const char *url;
	const char *scheme; /* the only one that the url may have: "http", "https" */
	const char *method; /* NULL: GET, or POST if there is a body */
	const char *body;   /* NULL: none; it must stay until the request is dropped */
	size_t body_size;
	FhaHttpTls tls;          /* copied */
	int64_t connect_ms;      /* 0: libcurl's 300 s */
	int64_t whole_ms;        /* from the start to the end of the answer; 0: no limit */
	FhaHttpTake take_header; /* NULL: they are dropped */
	FhaHttpTake take_body;
	void *owner; /* of both; and what fha_http_client_next tells */
} FhaHttpParts;

typedef struct FhaHttpRequest
{
	CURL *curl; /* NULL: nothing is on its way.  More options may be set before the start */
	struct curl_slist *headers;
	char problem[CURL_ERROR_SIZE]; /* libcurl's sentence, if it had one */
	bool failed;
} FhaHttpRequest;

/* *request is dropped or zero before; drop it afterwards in any case. */
void fha_http_request_make(FhaHttpRequest *request, const FhaHttpParts *parts);

/* "Name: value"; "Name:" takes one of libcurl's out. */
void fha_http_request_header(FhaHttpRequest *request, const char *header);
/* "Authorization: Bearer ..."; all headers are overwritten when the request is dropped. */
void fha_http_request_bearer(FhaHttpRequest *request, const char *token);

/* False: no memory, now or while it was built; nothing is on its way. */
FHA_MUST_CHECK bool fha_http_request_start(FhaHttpClient *client, FhaHttpRequest *request);

/* Whether it has ended or not. */
void fha_http_request_drop(FhaHttpClient *client, FhaHttpRequest *request);

#endif
