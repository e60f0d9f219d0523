/*
 * encode.h: how stores write keys, digests and times in their requests and answers.
 */
#ifndef FHA_STORE_ENCODE_H
#define FHA_STORE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/text.h"

/*
 * RFC 3986: all bytes but letters, digits, "-._~" and those of `kept` become %XX, in upper case.
 * This is the encoding that signatures are made of.
 */
void fha_percent_encode(FhaText *to, const char *text, const char *kept);

/* In place; "+" stays.  False: a '%' without two hex digits, or a NUL. */
FHA_MUST_CHECK bool fha_percent_decode(char *text);

/* With '=' at its end; url: with "-_", and without '='. */
void fha_base64_encode(FhaText *to, const void *data, size_t size, bool url);

/* Of text that is exactly that; free it with fha_secret_free.  NULL: it is none, or no memory. */
unsigned char *fha_base64_decode(const char *text, size_t *size);

/* In lower case. */
void fha_hex_encode(FhaText *to, const unsigned char *data, size_t size);

#define FHA_SHA256_BYTES 32
#define FHA_MD5_BYTES 16

/* False: OpenSSL refuses. */
FHA_MUST_CHECK bool fha_sha256(const void *data, size_t size, unsigned char out[FHA_SHA256_BYTES]);
/* A checksum of S3's and Azure's, no protection; so it works where FIPS is demanded, too. */
FHA_MUST_CHECK bool fha_md5(const void *data, size_t size, unsigned char out[FHA_MD5_BYTES]);
FHA_MUST_CHECK bool fha_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
									unsigned char out[FHA_SHA256_BYTES]);

#define FHA_HTTP_DATE_SIZE 30  /* Sun, 06 Nov 1994 08:49:37 GMT */
#define FHA_BASIC_TIME_SIZE 17 /* 19941106T084937Z */

/* Seconds since 1970; in English whatever the locale. */
void fha_http_date_print(int64_t seconds, char *out, size_t size);
void fha_basic_time_print(int64_t seconds, char *out, size_t size);

/* False, and *seconds untouched: it is none. */
bool fha_http_date_parse(const char *text, int64_t *seconds);
/* "1994-11-06T08:49:37Z", with or without a fraction, which is dropped. */
bool fha_iso_time_parse(const char *text, int64_t *seconds);

#endif
