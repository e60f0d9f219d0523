/*
 * client.h: libcurl's transfers in the host's loop: one descriptor, and a time.
 *
 * The transfers come from http/request.h; their owners are peer/client.h and kube/client.h.
 */
#ifndef FHA_HTTP_CLIENT_H
#define FHA_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include <curl/curl.h>

#include "base/err.h"

typedef struct FhaHttpClient
{
	CURLM *multi;
	int epoll;           /* readable when there is something to do */
	int64_t timer_at_ms; /* libcurl wants to be called then; INT64_MAX: no wish */
} FhaHttpClient;

/* IO; then, too, it wants its release.  It may not move in between: libcurl knows its address. */
FHA_MUST_CHECK FhaCode fha_http_client_init(FhaHttpClient *client, FhaError *err);
/* After the last transfer was dropped. */
void fha_http_client_release(FhaHttpClient *client);

/* Begin a transfer.  False: no memory. */
FHA_MUST_CHECK bool fha_http_client_start(FhaHttpClient *client, CURL *curl);
/* End it, whether it has ended by itself or not; *curl is freed and NULL afterwards. */
void fha_http_client_drop(FhaHttpClient *client, CURL **curl);

/* Do what can be done without waiting. */
void fha_http_client_drive(FhaHttpClient *client);
/* The next transfer that has ended: its CURLOPT_PRIVATE and how it ended; NULL: none. */
void *fha_http_client_next(FhaHttpClient *client, CURLcode *result);

#endif
