/*
 * sign_v4.c: see store/s3/sign_v4.h.
 */
#include "store/s3/sign_v4.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "store/encode.h"

/* "20130524": the first digits of the time. */
#define SIGN_DAY_SIZE 9

void
fha_query_add(FhaText *query, const char *name, const char *value)
{
	if (query->size > 0)
		fha_text_add(query, "&");
	fha_percent_encode(query, name, "");
	fha_text_add(query, "=");
	fha_percent_encode(query, value, "");
}

static void
sign_add_names(const FhaSignV4 *what, FhaText *out)
{
	for (size_t i = 0; i < what->header_count; i++)
		fha_text_add_format(out, "%s%s", i == 0 ? "" : ";", what->headers[i].name);
}

/* White space around a value goes, and some of it inside becomes one blank. */
static void
sign_add_value(FhaText *out, const char *value)
{
	bool pending = false;

	value += strspn(value, " \t");
	for (; *value != '\0'; value++)
	{
		bool blank = *value == ' ' || *value == '\t';

		if (!blank)
		{
			if (pending)
				fha_text_add(out, " ");
			fha_text_add_bytes(out, value, 1);
		}
		pending = blank;
	}
}

static void
sign_canonical(const FhaSignV4 *what, FhaText *out)
{
	fha_text_add_format(out, "%s\n%s\n%s\n", what->method, what->path, what->query);
	for (size_t i = 0; i < what->header_count; i++)
	{
		fha_text_add_format(out, "%s:", what->headers[i].name);
		sign_add_value(out, what->headers[i].value);
		fha_text_add(out, "\n");
	}
	fha_text_add(out, "\n");
	sign_add_names(what, out);
	fha_text_add_format(out, "\n%s", what->payload);
}

static void
sign_scope(const FhaSignV4 *what, const char *day, FhaText *out)
{
	fha_text_add_format(out, "%s/%s/%s/%s", day, what->region, what->service,
						what->google ? "goog4_request" : "aws4_request");
}

static bool
sign_derive(const FhaSignV4 *what, const char *day, unsigned char key[FHA_SHA256_BYTES])
{
	const char *const words[] = {day, what->region, what->service,
								 what->google ? "goog4_request" : "aws4_request"};
	FhaText first = {.data = NULL};
	bool done;

	fha_text_add_format(&first, "%s%s", what->google ? "GOOG4" : "AWS4", what->secret);
	done =
		!first.failed && fha_hmac_sha256(first.data, first.size, words[0], strlen(words[0]), key);
	fha_text_release(&first);
	for (size_t i = 1; done && i < sizeof(words) / sizeof(words[0]); i++)
		done = fha_hmac_sha256(key, FHA_SHA256_BYTES, words[i], strlen(words[i]), key);
	return done;
}

bool
fha_sign_v4(const FhaSignV4 *what, FhaText *out)
{
	const char *algorithm = what->google ? "GOOG4-HMAC-SHA256" : "AWS4-HMAC-SHA256";
	unsigned char digest[FHA_SHA256_BYTES];
	unsigned char key[FHA_SHA256_BYTES];
	char time[FHA_BASIC_TIME_SIZE];
	char day[SIGN_DAY_SIZE];
	FhaText text = {.data = NULL};
	bool done;

	fha_basic_time_print(what->wall_s, time, sizeof(time));
	(void) snprintf(day, sizeof(day), "%.8s", time);
	sign_canonical(what, &text);
	done = !text.failed && fha_sha256(text.data, text.size, digest);
	fha_text_clear(&text);
	fha_text_add_format(&text, "%s\n%s\n", algorithm, time);
	sign_scope(what, day, &text);
	fha_text_add(&text, "\n");
	fha_hex_encode(&text, digest, sizeof(digest));
	done = done && !text.failed && sign_derive(what, day, key) &&
		   fha_hmac_sha256(key, sizeof(key), text.data, text.size, digest);
	OPENSSL_cleanse(key, sizeof(key));
	fha_text_release(&text);
	fha_text_add_format(out, "%s Credential=%s/", algorithm, what->access);
	sign_scope(what, day, out);
	fha_text_add(out, ", SignedHeaders=");
	sign_add_names(what, out);
	fha_text_add(out, ", Signature=");
	fha_hex_encode(out, digest, sizeof(digest));
	return done && !out->failed;
}
