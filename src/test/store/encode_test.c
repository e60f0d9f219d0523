/*
 * encode_test.c: texts, encodings, digests, times and XML, against published values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/secret.h"
#include "store/encode.h"
#include "store/xml.h"

static void
text_is(FhaText *text, const char *wanted)
{
	assert_string_equal(fha_text_string(text), wanted);
	assert_int_equal(text->size, strlen(wanted));
	assert_false(text->failed);
	fha_text_release(text);
}

static void
a_text_grows(void **state)
{
	FhaText text = {.data = NULL};
	char large[3000];

	(void) state;
	text_is(&text, "");
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	fha_text_add(&text, "a");
	fha_text_add_bytes(&text, "", 0);
	fha_text_add_format(&text, "%d%s", 7, large);
	fha_text_add_bytes(&text, "yz", 1);
	assert_int_equal(text.size, 3002);
	assert_memory_equal(text.data, "a7x", 3);
	assert_string_equal(text.data + 3000, "xy");
	fha_text_clear(&text);
	assert_string_equal(fha_text_string(&text), "");
	fha_text_add(&text, "again");
	text_is(&text, "again");
}

static void
percent_is(const char *text, const char *kept, const char *wanted)
{
	FhaText out = {.data = NULL};
	char back[100];

	fha_percent_encode(&out, text, kept);
	assert_string_equal(fha_text_string(&out), wanted);
	(void) snprintf(back, sizeof(back), "%s", fha_text_string(&out));
	assert_true(fha_percent_decode(back));
	assert_string_equal(back, text);
	fha_text_release(&out);
}

static void
percent_encoding_is_that_of_rfc_3986(void **state)
{
	char text[20];

	(void) state;
	percent_is("azAZ09-._~", "", "azAZ09-._~");
	percent_is("a b+c=d%20//?uploads", "/", "a%20b%2Bc%3Dd%2520//%3Fuploads");
	percent_is("a/b", "", "a%2Fb");
	percent_is("\xc3\xa4\x01\xff", "", "%C3%A4%01%FF");
	percent_is("", "", "");
	(void) strcpy(text, "%e1%88%B4+");
	assert_true(fha_percent_decode(text));
	assert_string_equal(text, "\xe1\x88\xb4+");
	for (const char *const *wrong = (const char *const[]){"%", "a%2", "%zz", "%2z", "%00", NULL};
		 *wrong != NULL; wrong++)
	{
		(void) strcpy(text, *wrong);
		assert_false(fha_percent_decode(text));
	}
}

/* RFC 4648, section 10. */
static void
base64_is_that_of_rfc_4648(void **state)
{
	static const char *const pairs[][2] = {{"", ""},
										   {"f", "Zg=="},
										   {"fo", "Zm8="},
										   {"foo", "Zm9v"},
										   {"foob", "Zm9vYg=="},
										   {"fooba", "Zm9vYmE="},
										   {"foobar", "Zm9vYmFy"}};
	static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zm9v\n===", "Z*==", "Zg== Zg=", NULL};
	FhaText text = {.data = NULL};
	size_t size;

	(void) state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
	{
		unsigned char *back = fha_base64_decode(pairs[i][1], &size);

		assert_non_null(back);
		assert_int_equal(size, strlen(pairs[i][0]));
		assert_string_equal((char *) back, pairs[i][0]);
		fha_secret_free((char *) back);
		fha_base64_encode(&text, pairs[i][0], strlen(pairs[i][0]), false);
		text_is(&text, pairs[i][1]);
	}
	fha_base64_encode(&text, "\xfb\xff\xbe?", 4, true);
	text_is(&text, "-_--Pw");
	fha_base64_encode(&text, "\xfb\xff\xbe?", 4, false);
	text_is(&text, "+/++Pw==");
	for (size_t i = 0; wrong[i] != NULL; i++)
		assert_null(fha_base64_decode(wrong[i], &size));
}

/* RFC 4231, case 2; FIPS 180; RFC 1321. */
static void
digests_are_the_published_ones(void **state)
{
	unsigned char digest[FHA_SHA256_BYTES];
	FhaText text = {.data = NULL};

	(void) state;
	assert_true(fha_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest));
	fha_hex_encode(&text, digest, sizeof(digest));
	text_is(&text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_true(fha_sha256("", 0, digest));
	fha_hex_encode(&text, digest, sizeof(digest));
	text_is(&text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_true(fha_md5("abc", 3, digest));
	fha_hex_encode(&text, digest, FHA_MD5_BYTES);
	text_is(&text, "900150983cd24fb0d6963f7d28e17f72");
}

static void
times_are_in_english(void **state)
{
	char out[FHA_HTTP_DATE_SIZE];
	int64_t seconds = 1;

	(void) state;
	fha_http_date_print(784111777, out, sizeof(out));
	assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_true(fha_http_date_parse(out, &seconds));
	assert_int_equal(seconds, 784111777);
	fha_basic_time_print(784111777, out, sizeof(out));
	assert_string_equal(out, "19941106T084937Z");
	assert_true(fha_iso_time_parse("1994-11-06T08:49:37.123Z", &seconds));
	assert_int_equal(seconds, 784111777);
	assert_true(fha_iso_time_parse("2000-02-29T00:00:00Z", &seconds));
	assert_int_equal(seconds, 951782400);
	for (const char *const *wrong =
			 (const char *const[]){
				 "", "Sun", "Sun, 06 Nix 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
				 "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT", NULL};
		 *wrong != NULL; wrong++)
		assert_false(fha_http_date_parse(*wrong, &seconds));
	for (const char *const *wrong = (const char *const[]){"", "1994-13-06T08:49:37Z", "1994-11-06",
														  "1994-11-06T08:61:37Z", NULL};
		 *wrong != NULL; wrong++)
		assert_false(fha_iso_time_parse(*wrong, &seconds));
	assert_int_equal(seconds, 951782400);
}

/* --- XML */

static void
note_begin(void *owner, const char *path, const char *const *attributes)
{
	fha_text_add_format(owner, "<%s", path);
	for (; attributes[0] != NULL; attributes += 2)
		fha_text_add_format(owner, " %s=%s", attributes[0], attributes[1]);
}

static void
note_end(void *owner, const char *path, const char *text)
{
	fha_text_add_format(owner, ">%s=%s;", path, text);
}

static FhaCode
xml_read(const char *data, FhaText *seen, FhaError *err)
{
	FhaXmlReader reader = {.begin = note_begin, .end = note_end, .owner = seen};

	return fha_xml_read(data, strlen(data), &reader, err);
}

static void
xml_is_told_element_by_element(void **state)
{
	FhaText seen = {.data = NULL};
	FhaXmlReader reader = {.end = note_end, .owner = &seen};
	FhaError err;

	(void) state;
	assert_int_equal(
		xml_read("<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\">\n <b t='1'>x &amp;\n</b> "
				 "<n:c xmlns:n='urn:y'/></a>\n",
				 &seen, &err),
		FHA_OK);
	text_is(&seen, "<a xmlns=urn:x<a/b t=1>a/b=x &\n;<a/c xmlns:n=urn:y>a/c=;>a=;");
	assert_int_equal(fha_xml_read("<a>1</a>", 8, &reader, &err), FHA_OK);
	text_is(&seen, ">a=1;");
}

static void
xml_refused(const char *data, const char *why)
{
	FhaText seen = {.data = NULL};
	FhaError err = {FHA_OK, ""};

	assert_int_equal(xml_read(data, &seen, &err), FHA_PROTOCOL);
	assert_non_null(strstr(err.text, why));
	fha_text_release(&seen);
}

static void
xml_has_caps(void **state)
{
	static char large[FHA_XML_SIZE_MAX + 2];
	FhaText seen = {.data = NULL};
	FhaText wide = {.data = NULL};

	(void) state;
	xml_refused("", "no whole XML");
	xml_refused("<a><b></a>", "no whole XML");
	xml_refused("<a>", "no whole XML");
	xml_refused("<!DOCTYPE a [<!ENTITY b \"xxxx\">]><a>&b;</a>", "DOCTYPE");
	xml_refused("<a><a><a><a><a><a><a><a><a><a><a><a><a>", "nested too deep");
	memset(large, 'x', FHA_XML_TEXT_SIZE + 10);
	memcpy(large, "<a>", 3);
	xml_refused(large, "too long");
	memset(large, 'x', FHA_XML_PATH_SIZE + 10);
	memcpy(large, "<", 1);
	memcpy(large + FHA_XML_PATH_SIZE + 10, ">", 2);
	xml_refused(large, "nested too deep");
	memset(large, ' ', sizeof(large) - 1);
	xml_refused(large, "too long");
	/* White space between elements counts for none of them. */
	fha_text_add(&wide, "<a>");
	for (int i = 0; i < 3000; i++)
		fha_text_add(&wide, "\n    <b/>");
	fha_text_add(&wide, "</a>");
	assert_int_equal(xml_read(fha_text_string(&wide), &seen, NULL), FHA_OK);
	fha_text_release(&wide);
	fha_text_release(&seen);
}

static void
a_text_in_xml_comes_back(void **state)
{
	static const char text[] = "a<b>&\"'\r\n\t \xc3\xa4%]]>";
	static const char *const cannot[] = {"\x01",
										 "\x1f",
										 "\xff",
										 "\xc3",
										 "\xc0\x80",
										 "\xed\xa0\x80",
										 "\xef\xbf\xbf",
										 "\xe0\x80\x80",
										 "\xf0\x80\x80\x80",
										 "\xf4\x90\x80\x80",
										 NULL};
	FhaText document = {.data = NULL};
	FhaText seen = {.data = NULL};
	FhaXmlReader reader = {.end = note_end, .owner = &seen};

	(void) state;
	fha_text_add(&document, "<k>");
	fha_xml_add(&document, text);
	fha_text_add(&document, "</k>");
	assert_int_equal(fha_xml_read(document.data, document.size, &reader, NULL), FHA_OK);
	assert_memory_equal(seen.data + 3, text, sizeof(text) - 1);
	assert_true(fha_xml_can_hold(text));
	assert_true(fha_xml_can_hold("\xe1\x88\xb4\xf0\x9f\x98\x80"));
	for (size_t i = 0; cannot[i] != NULL; i++)
		assert_false(fha_xml_can_hold(cannot[i]));
	fha_text_release(&document);
	fha_text_release(&seen);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_grows),
		cmocka_unit_test(percent_encoding_is_that_of_rfc_3986),
		cmocka_unit_test(base64_is_that_of_rfc_4648),
		cmocka_unit_test(digests_are_the_published_ones),
		cmocka_unit_test(times_are_in_english),
		cmocka_unit_test(xml_is_told_element_by_element),
		cmocka_unit_test(xml_has_caps),
		cmocka_unit_test(a_text_in_xml_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
