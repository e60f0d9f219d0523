/*
 * credentials.h: credentials that are fetched: asked for when they are wanted, and replaced before they
 * expire, while the old ones are still used.
 *
 * One request at a time, on the HTTP client of the store.  What is asked and what an answer means is the
 * business of a source (aws.h, google.h).
 */
#ifndef FHA_STORE_S3_CREDENTIALS_H
#define FHA_STORE_S3_CREDENTIALS_H

#include <json-c/json.h>

#include "store/http_call.h"

/* One request; the texts are released, and so overwritten, by whoever called `ask`. */
typedef struct FhaCredentialsAsk
{
	const char *method;
	FhaText url;
	FhaText header; /* "Name: value"; empty: none */
	FhaText type;   /* "Content-Type: ..." with a body */
	FhaText body;
} FhaCredentialsAsk;

typedef struct FhaCredentialsSource
{
	/* The next request; `first`: of a new attempt. */
	FhaCode (*ask)(void *owner, bool first, FhaCredentialsAsk *out, FhaError *err);
	/*
	 * A whole answer.  OK: the source has new credentials, that are good for *lives_ms (INT64_MAX: for
	 * ever).  AGAIN: it wants another request.  Else: why there are none; DENIED if trying again will
	 * not help.
	 */
	FhaCode (*take)(void *owner, const FhaHttpCall *call, int64_t *lives_ms, FhaError *err);
} FhaCredentialsSource;

/* The first four are set by the caller, and all else is zero. */
typedef struct FhaCredentials
{
	FhaHttpClient *client;
	const FhaCredentialsSource *source;
	void *owner;    /* the source's */
	const char *ca; /* PEM; NULL: the system's */
	bool asking;
	bool has;            /* the source has some, until expires_at_ms */
	unsigned generation; /* of those it has: one more with each */
	int64_t got_at_ms;
	int64_t refresh_at_ms;
	int64_t expires_at_ms;
	int64_t again_at_ms; /* after a failure: no request before */
	FhaError failure;
	FhaCredentialsAsk ask;
	FhaHttpCall call;
} FhaCredentials;

/*
 * OK: the source has usable credentials.  AGAIN: they are being fetched; ask again after the next
 * fha_http_call_step.  Else: why there are none.
 */
FHA_MUST_CHECK FhaCode fha_credentials_want(FhaCredentials *credentials, FhaError *err);
/* The store refuses them: the next want fetches others. */
void fha_credentials_distrust(FhaCredentials *credentials);
/* Nothing is on its way any more. */
void fha_credentials_close(FhaCredentials *credentials);

/* A copy of a member (free it with fha_secret_free), whose original is overwritten; NULL: none, or no text. */
char *fha_credentials_text(struct json_object *from, const char *key);

/* A refusal in the words of the one that was asked: its status, and what `words` has of printable. */
FHA_MUST_CHECK FhaCode fha_credentials_refusal(const FhaHttpCall *call, const char *who,
											   const char *words, FhaError *err);

#endif
