/*
 * encode.c: see store/encode.h.
 */
#include "store/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
								   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* --- percent */

static bool
byte_is_plain(char byte)
{
	return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
		   (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

void
fha_percent_encode(FhaText *to, const char *text, const char *kept)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *text != '\0'; text++)
	{
		unsigned char byte = (unsigned char) *text;
		char coded[3] = {'%', digits[byte >> 4], digits[byte & 15]};

		if (byte_is_plain(*text) || strchr(kept, *text) != NULL)
			fha_text_add_bytes(to, text, 1);
		else
			fha_text_add_bytes(to, coded, sizeof(coded));
	}
}

static int
digit_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

bool
fha_percent_decode(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++)
	{
		if (*text == '%')
		{
			int high = digit_value(text[1]);
			int low = high < 0 ? -1 : digit_value(text[2]);

			if (low < 0 || (high == 0 && low == 0))
				return false;
			*to++ = (char) (16 * high + low);
			text += 2;
		}
		else
			*to++ = *text;
	}
	*to = '\0';
	return true;
}

/* --- base64, hex */

void
fha_base64_encode(FhaText *to, const void *data, size_t size, bool url)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const char of_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	const char *letters = url ? of_url : plain;
	const unsigned char *from = data;

	for (size_t at = 0; at < size; at += 3)
	{
		size_t left = size - at < 3 ? size - at : 3;
		unsigned bits = (unsigned) from[at] << 16;
		char four[4];

		if (left > 1)
			bits |= (unsigned) from[at + 1] << 8;
		if (left > 2)
			bits |= from[at + 2];
		for (unsigned i = 0; i < 4; i++)
			four[i] = i <= left ? letters[(bits >> (18 - 6 * i)) & 63] : '=';
		fha_text_add_bytes(to, four, url ? left + 1 : 4);
	}
}

unsigned char *
fha_base64_decode(const char *text, size_t *size)
{
	size_t length = strlen(text);
	unsigned char *out;
	int decoded;

	*size = 0;
	/* OpenSSL takes white space around it, too. */
	if (length % 4 != 0 || length > 1024 * 1024 || strpbrk(text, " \t\r\n") != NULL)
		return NULL;
	out = malloc(length / 4 * 3 + 1);
	if (out == NULL)
		return NULL; /* LCOV_EXCL_LINE: no memory */
	decoded = EVP_DecodeBlock(out, (const unsigned char *) text, (int) length);
	if (decoded < 0)
	{
		free(out);
		return NULL;
	}
	for (size_t i = 0; i < 2 && length > i && text[length - 1 - i] == '='; i++)
		decoded--;
	out[decoded] = '\0';
	*size = (size_t) decoded;
	return out;
}

void
fha_hex_encode(FhaText *to, const unsigned char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		fha_text_add_format(to, "%02x", data[i]);
}

/* --- digests */

bool
fha_sha256(const void *data, size_t size, unsigned char out[FHA_SHA256_BYTES])
{
	return EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL) == 1;
}

bool
fha_md5(const void *data, size_t size, unsigned char out[FHA_MD5_BYTES])
{
	return EVP_Q_digest(NULL, "MD5", "-fips", data, size, out, NULL) == 1;
}

bool
fha_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
				unsigned char out[FHA_SHA256_BYTES])
{
	return key_size <= 1024 * 1024 &&
		   HMAC(EVP_sha256(), key, (int) key_size, data, size, out, NULL) != NULL;
}

/* --- times */

static struct tm
utc_of(int64_t seconds)
{
	time_t at = (time_t) seconds;
	struct tm utc;

	memset(&utc, 0, sizeof(utc));
	(void) gmtime_r(&at, &utc);
	return utc;
}

void
fha_http_date_print(int64_t seconds, char *out, size_t size)
{
	struct tm utc = utc_of(seconds);

	(void) snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[utc.tm_wday],
					utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
					utc.tm_sec);
}

void
fha_basic_time_print(int64_t seconds, char *out, size_t size)
{
	struct tm utc = utc_of(seconds);

	(void) snprintf(out, size, "%04d%02d%02dT%02d%02d%02dZ", utc.tm_year + 1900, utc.tm_mon + 1,
					utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

/* `year` is the calendar's, month from 0. */
static bool
utc_take(struct tm *utc, int year, int month, int64_t *seconds)
{
	utc->tm_year = year - 1900;
	utc->tm_mon = month;
	if (year < 1970 || year > 9999 || utc->tm_mday < 1 || utc->tm_mday > 31 || utc->tm_hour < 0 ||
		utc->tm_hour > 23 || utc->tm_min < 0 || utc->tm_min > 59 || utc->tm_sec < 0 ||
		utc->tm_sec > 60)
		return false;
	*seconds = (int64_t) timegm(utc);
	return true;
}

bool
fha_http_date_parse(const char *text, int64_t *seconds)
{
	struct tm utc;
	char month_name[4];
	int year;

	memset(&utc, 0, sizeof(utc));
	if (strlen(text) < FHA_HTTP_DATE_SIZE - 1 ||
		sscanf(text + 4, " %2d %3s %4d %2d:%2d:%2d GMT", &utc.tm_mday, month_name, &year,
			   &utc.tm_hour, &utc.tm_min, &utc.tm_sec) != 6)
		return false;
	for (int month = 0; month < 12; month++)
		if (strcmp(months[month], month_name) == 0)
			return utc_take(&utc, year, month, seconds);
	return false;
}

bool
fha_iso_time_parse(const char *text, int64_t *seconds)
{
	struct tm utc;
	int year;
	int month;

	memset(&utc, 0, sizeof(utc));
	return sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &year, &month, &utc.tm_mday, &utc.tm_hour,
				  &utc.tm_min, &utc.tm_sec) == 6 &&
		   month >= 1 && month <= 12 && utc_take(&utc, year, month - 1, seconds);
}
