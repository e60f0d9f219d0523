/*
 * sign_v4.h: AWS Signature Version 4, and Google's dialect of it.
 *
 * What is signed is what is sent: the caller gives the path and the query as they stand in the url.  libcurl
 * can sign, too; the version of Debian 12 signs queries and keys as it finds them, and stores refuse that.
 */
#ifndef FHA_STORE_S3_SIGN_V4_H
#define FHA_STORE_S3_SIGN_V4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/text.h"

/* Of a body that no hash stands for; only where TLS protects it. */
#define FHA_SIGN_V4_UNSIGNED "UNSIGNED-PAYLOAD"
/* Of an empty body. */
#define FHA_SIGN_V4_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

typedef struct FhaSignV4Header
{
	const char *name; /* in lower case */
	const char *value;
} FhaSignV4Header;

typedef struct FhaSignV4
{
	bool google;        /* GOOG4-HMAC-SHA256 */
	const char *access; /* the key's name */
	const char *secret;
	const char *region;
	const char *service;
	const char *method;
	const char *path;  /* encoded; begins with '/' */
	const char *query; /* encoded and in order, as fha_query_add makes it; "": none */
	const FhaSignV4Header
		*headers; /* all that are signed, "host" among them, in the order of names */
	size_t header_count;
	const char *payload; /* SHA-256 of the body in hex, or FHA_SIGN_V4_UNSIGNED */
	int64_t wall_s;      /* of the header with the date */
} FhaSignV4;

/* The value of the header Authorization, behind what *out has.  False: no memory, or OpenSSL refuses. */
FHA_MUST_CHECK bool fha_sign_v4(const FhaSignV4 *what, FhaText *out);

/* One more parameter of a query; the caller adds them in the order of their names' bytes. */
void fha_query_add(FhaText *query, const char *name, const char *value);

#endif
