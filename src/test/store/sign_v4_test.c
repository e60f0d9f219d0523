/*
 * sign_v4_test.c: signatures against the values that AWS and Google publish, and against libcurl's own.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/encode.h"
#include "store/http_call.h"
#include "store/s3/sign_v4.h"
#include "test/http/https_server.h"

#define HEADER_COUNT(headers) (sizeof(headers) / sizeof((headers)[0]))

static void
signature_is(const FhaSignV4 *what, const char *names, const char *signature)
{
	FhaText out = {.data = NULL};
	char wanted[200];

	assert_true(fha_sign_v4(what, &out));
	(void) snprintf(wanted, sizeof(wanted), ", SignedHeaders=%s, Signature=%s", names, signature);
	assert_non_null(strstr(fha_text_string(&out), ", SignedHeaders="));
	assert_string_equal(strstr(fha_text_string(&out), ", SignedHeaders="), wanted);
	fha_text_release(&out);
}

/* --- "Signature Calculations for the Authorization Header" of the S3 API reference */

static const FhaSignV4 s3_example = {.access = "AKIAIOSFODNN7EXAMPLE",
									 .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
									 .region = "us-east-1",
									 .service = "s3",
									 .method = "GET",
									 .path = "/",
									 .query = "",
									 .payload = FHA_SIGN_V4_EMPTY,
									 .wall_s = 1369353600};

#define S3_HOST                                  \
	{                                            \
		"host", "examplebucket.s3.amazonaws.com" \
	}
#define S3_DATE                          \
	{                                    \
		"x-amz-date", "20130524T000000Z" \
	}
#define S3_EMPTY                                  \
	{                                             \
		"x-amz-content-sha256", FHA_SIGN_V4_EMPTY \
	}

static void
examples_of_s3_are_signed_as_published(void **state)
{
	static const char put_hash[] =
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	const FhaSignV4Header get_headers[] = {S3_HOST, {"range", "bytes=0-9"}, S3_EMPTY, S3_DATE};
	const FhaSignV4Header put_headers[] = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
										   S3_HOST,
										   {"x-amz-content-sha256", put_hash},
										   S3_DATE,
										   {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
	const FhaSignV4Header list_headers[] = {S3_HOST, S3_EMPTY, S3_DATE};
	FhaSignV4 what = s3_example;
	FhaText text = {.data = NULL};
	FhaText out = {.data = NULL};

	(void) state;
	what.path = "/test.txt";
	what.headers = get_headers;
	what.header_count = HEADER_COUNT(get_headers);
	signature_is(&what, "host;range;x-amz-content-sha256;x-amz-date",
				 "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	assert_true(fha_sign_v4(&what, &out));
	assert_non_null(strstr(out.data, "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
									 "us-east-1/s3/aws4_request, "));
	assert_null(strstr(out.data, what.secret));
	fha_text_release(&out);

	fha_percent_encode(&text, "/test$file.text", "/");
	what.method = "PUT";
	what.path = text.data;
	what.payload = put_hash;
	what.headers = put_headers;
	what.header_count = HEADER_COUNT(put_headers);
	signature_is(&what, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
				 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	fha_text_clear(&text);

	what = s3_example;
	what.headers = list_headers;
	what.header_count = HEADER_COUNT(list_headers);
	fha_query_add(&text, "lifecycle", "");
	what.query = text.data;
	signature_is(&what, "host;x-amz-content-sha256;x-amz-date",
				 "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	fha_text_clear(&text);
	fha_query_add(&text, "max-keys", "2");
	fha_query_add(&text, "prefix", "J");
	signature_is(&what, "host;x-amz-content-sha256;x-amz-date",
				 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
	fha_text_release(&text);
}

/* --- the suite of test vectors for Signature Version 4 */

static const FhaSignV4 suite = {.access = "AKIDEXAMPLE",
								.secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
								.region = "us-east-1",
								.service = "service",
								.method = "GET",
								.path = "/",
								.query = "",
								.payload = FHA_SIGN_V4_EMPTY,
								.wall_s = 1440938160};

#define SUITE_HOST                      \
	{                                   \
		"host", "example.amazonaws.com" \
	}
#define SUITE_DATE                       \
	{                                    \
		"x-amz-date", "20150830T123600Z" \
	}

static void
vectors_of_the_suite_are_signed_as_published(void **state)
{
	const FhaSignV4Header plain[] = {SUITE_HOST, SUITE_DATE};
	const FhaSignV4Header trimmed[] = {
		SUITE_HOST, {"my-header1", " value1"}, {"my-header2", " \"a   b   c\" "}, SUITE_DATE};
	static const struct
	{
		const char *method, *path, *query, *signature;
	} vectors[] = {
		/* get-vanilla */
		{"GET", "/", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		/* get-vanilla-empty-query-key */
		{"GET", "/", "Param1=value1",
		 "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
		/* get-vanilla-query-order-key-case */
		{"GET", "/", "Param1=value1&Param2=value2",
		 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		/* get-unreserved */
		{"GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "",
		 "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		/* get-utf8 */
		{"GET", "/%E1%88%B4", "",
		 "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		/* get-vanilla-utf8-query */
		{"GET", "/", "%E1%88%B4=bar",
		 "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		/* post-vanilla */
		{"POST", "/", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"}};
	FhaSignV4 what = suite;

	(void) state;
	what.headers = plain;
	what.header_count = HEADER_COUNT(plain);
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
	{
		what.method = vectors[i].method;
		what.path = vectors[i].path;
		what.query = vectors[i].query;
		signature_is(&what, "host;x-amz-date", vectors[i].signature);
	}
	/* get-header-value-trim */
	what = suite;
	what.headers = trimmed;
	what.header_count = HEADER_COUNT(trimmed);
	signature_is(&what, "host;my-header1;my-header2;x-amz-date",
				 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

/* --- libcurl's signature of the same request, where it is right: a sorted query, no odd characters */

static char sent_head[8192];

static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	static char text[9000];

	/* Said back, so that the test's own process sees it. */
	(void) snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
					strlen(request->head), request->head);
	https_send(ssl, text);
	return true;
}

static size_t
keep_head(char *data, size_t one, size_t size, void *argument)
{
	(void) one;
	(void) argument;
	strncat(sent_head, data, size);
	return size;
}

static void
copy_header(const char *name, char *out, size_t size)
{
	const char *at = strcasestr(sent_head, name);
	size_t length;

	assert_non_null(at);
	at += strlen(name);
	length = strcspn(at, "\r\n");
	assert_in_range(length, 1, size - 1);
	memcpy(out, at, length);
	out[length] = '\0';
}

static void
libcurl_signs_alike(void **state)
{
	Identity *identity = *state;
	CURL *curl = curl_easy_init();
	struct curl_blob ca = {identity->cert_pem, strlen(identity->cert_pem), CURL_BLOB_COPY};
	char url[100];
	char host[60];
	char date[40];
	char theirs[600];
	FhaText ours = {.data = NULL};
	FhaSignV4Header headers[] = {{"host", host}, {"x-amz-date", date}};
	FhaSignV4 what = s3_example;
	struct tm utc;

	(void) snprintf(url, sizeof(url), "https://127.0.0.1:%d/a/b?prefix=x", server_port);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_URL, url), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_CAINFO_BLOB, &ca), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, "aws:amz:eu-west-3:execute-api"),
					 CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_USERNAME, what.access), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_PASSWORD, what.secret), CURLE_OK);
	assert_int_equal(curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_head), CURLE_OK);
	assert_int_equal(curl_easy_perform(curl), CURLE_OK);
	curl_easy_cleanup(curl);
	copy_header("\r\nHost: ", host, sizeof(host));
	copy_header("\r\nX-Amz-Date: ", date, sizeof(date));
	copy_header("\r\nAuthorization: ", theirs, sizeof(theirs));
	memset(&utc, 0, sizeof(utc));
	assert_non_null(strptime(date, "%Y%m%dT%H%M%SZ", &utc));
	what.region = "eu-west-3";
	what.service = "execute-api";
	what.path = "/a/b";
	what.query = "prefix=x";
	what.headers = headers;
	what.header_count = HEADER_COUNT(headers);
	what.wall_s = timegm(&utc);
	assert_true(fha_sign_v4(&what, &ours));
	assert_string_equal(ours.data, theirs);
	fha_text_release(&ours);
}

/* --- Google's dialect: no published values of HMAC, so one that other steps lead to */

static void
google_has_its_own_words(void **state)
{
	const FhaSignV4Header headers[] = {{"host", "storage.googleapis.com"},
									   {"x-goog-date", "20201214T065529Z"}};
	FhaSignV4 what = {.google = true,
					  .access = "GOOG1EXAMPLE",
					  .secret = "secret",
					  .region = "auto",
					  .service = "storage",
					  .method = "GET",
					  .path = "/",
					  .query = "",
					  .headers = headers,
					  .header_count = 2,
					  .payload = FHA_SIGN_V4_UNSIGNED,
					  .wall_s = 1607928929};
	static const char canonical[] =
		"GET\n/\n\nhost:storage.googleapis.com\nx-goog-date:20201214T065529Z\n\n"
		"host;x-goog-date\nUNSIGNED-PAYLOAD";
	unsigned char key[FHA_SHA256_BYTES];
	FhaText text = {.data = NULL};
	FhaText wanted = {.data = NULL};
	FhaText out = {.data = NULL};

	(void) state;
	assert_true(fha_sha256(canonical, strlen(canonical), key));
	fha_text_add(&text, "GOOG4-HMAC-SHA256\n20201214T065529Z\n"
						"20201214/auto/storage/goog4_request\n");
	fha_hex_encode(&text, key, sizeof(key));
	assert_true(fha_hmac_sha256("GOOG4secret", 11, "20201214", 8, key));
	assert_true(fha_hmac_sha256(key, sizeof(key), "auto", 4, key));
	assert_true(fha_hmac_sha256(key, sizeof(key), "storage", 7, key));
	assert_true(fha_hmac_sha256(key, sizeof(key), "goog4_request", 13, key));
	assert_true(fha_hmac_sha256(key, sizeof(key), text.data, text.size, key));
	fha_text_add(&wanted, "GOOG4-HMAC-SHA256 Credential=GOOG1EXAMPLE/20201214/auto/storage/"
						  "goog4_request, SignedHeaders=host;x-goog-date, Signature=");
	fha_hex_encode(&wanted, key, sizeof(key));
	assert_true(fha_sign_v4(&what, &out));
	assert_string_equal(out.data, wanted.data);
	fha_text_release(&text);
	fha_text_release(&wanted);
	fha_text_release(&out);
}

int
main(void)
{
	static Identity identity;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_s3_are_signed_as_published),
		cmocka_unit_test(vectors_of_the_suite_are_signed_as_published),
		cmocka_unit_test_prestate(libcurl_signs_alike, &identity),
		cmocka_unit_test(google_has_its_own_words),
	};
	int failures;

	identity_init(&identity, "signer", "IP:127.0.0.1");
	https_server_start(&identity, &identity);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	https_server_stop();
	identity_release(&identity);
	return failures;
}
