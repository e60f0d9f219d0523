/*
 * azure_sign_test.c: Shared Key's string to sign, the signature, the url; and connection strings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "store/azure/connection.h"
#include "store/azure/sign.h"
#include "store/encode.h"

#define EMULATOR_KEY \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

static void
assert_signs(const FhaAzureAsk *ask, const char *account, const char *expected)
{
	FhaText text = {.data = NULL};

	fha_azure_string_to_sign(&text, ask, account);
	assert_string_equal(fha_text_string(&text), expected);
	fha_text_release(&text);
}

/* "Authorize with Shared Key" shows it: the metadata of a container. */
static FhaAzureAsk
ask_of_metadata(void)
{
	FhaAzureAsk ask = {.method = "GET", .path = "/mycontainer"};

	fha_azure_add_query(&ask, "restype", "container");
	fha_azure_add_query(&ask, "comp", "metadata");
	fha_azure_add_query(&ask, "timeout", "20");
	fha_azure_add_query(&ask, "marker", NULL);
	fha_azure_add_header(&ask, "x-ms-version", "2015-02-21");
	fha_azure_add_header(&ask, "x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
	fha_azure_add_header(&ask, "if-match", NULL);
	return ask;
}

static void
the_documents_example(void **state)
{
	FhaAzureAsk ask = ask_of_metadata();

	(void) state;
	assert_signs(&ask, "myaccount",
				 "GET\n\n\n\n\n\n\n\n\n\n\n\n"
				 "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
				 "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20");
}

static void
lengths_are_signed_unless_they_are_zero(void **state)
{
	FhaAzureAsk ask = {.method = "PUT", .path = "/c/b", .size = 11};

	(void) state;
	fha_azure_add_header(&ask, "content-type", "text/plain; charset=UTF-8");
	fha_azure_add_header(&ask, "x-ms-blob-type", "BlockBlob");
	assert_signs(&ask, "a",
				 "PUT\n\n\n11\n\ntext/plain; charset=UTF-8\n\n\n\n\n\n\n"
				 "x-ms-blob-type:BlockBlob\n/a/c/b");
	ask.size = 0;
	assert_signs(&ask, "a",
				 "PUT\n\n\n\n\ntext/plain; charset=UTF-8\n\n\n\n\n\n\n"
				 "x-ms-blob-type:BlockBlob\n/a/c/b");
}

static void
conditions_and_ranges_have_their_lines(void **state)
{
	FhaAzureAsk ask = {.method = "GET", .path = "/c/b"};

	(void) state;
	fha_azure_add_header(&ask, "range", "bytes=0-9");
	fha_azure_add_header(&ask, "if-none-match", "*");
	fha_azure_add_header(&ask, "if-match", "\"0x8\"");
	assert_signs(&ask, "a", "GET\n\n\n\n\n\n\n\n\"0x8\"\n*\n\nbytes=0-9\n/a/c/b");
}

/* The emulator's account stands in the path, and once more before it; the path is signed encoded, the query not. */
static void
an_emulators_path(void **state)
{
	FhaAzureAsk ask = {.method = "GET", .path = "/devstoreaccount1/c/a%20b"};

	(void) state;
	fha_azure_add_query(&ask, "prefix", "a b/+");
	assert_signs(&ask, "devstoreaccount1",
				 "GET\n\n\n\n\n\n\n\n\n\n\n\n/devstoreaccount1/devstoreaccount1/c/a%20b\n"
				 "prefix:a b/+");
}

static void
the_signature_is_hmac(void **state)
{
	FhaAzureAsk ask = ask_of_metadata();
	FhaText text = {.data = NULL};
	size_t size;
	unsigned char *key = fha_base64_decode(EMULATOR_KEY, &size);

	(void) state;
	assert_true(fha_azure_sign(&text, &ask, "myaccount", key, size));
	assert_string_equal(fha_text_string(&text),
						"SharedKey myaccount:1u9lui2jDxj0+fpbHjQ5m5NnastJRSYM+PSmfi8TXx4=");
	fha_text_release(&text);
	free(key);
}

static void
assert_url(const FhaAzureAsk *ask, const char *sas, const char *expected)
{
	FhaText text = {.data = NULL};

	fha_azure_url(&text, "https://h:1", ask, sas);
	assert_string_equal(fha_text_string(&text), expected);
	fha_text_release(&text);
}

static void
the_url_is_encoded(void **state)
{
	FhaAzureAsk ask = {.method = "GET", .path = "/c"};

	(void) state;
	assert_url(&ask, NULL, "https://h:1/c");
	assert_url(&ask, "sv=1&sig=x%3D", "https://h:1/c?sv=1&sig=x%3D");
	fha_azure_add_query(&ask, "comp", "list");
	fha_azure_add_query(&ask, "prefix", "a b/+&\xc3\xa4");
	assert_url(&ask, NULL, "https://h:1/c?comp=list&prefix=a%20b%2F%2B%26%C3%A4");
	assert_url(&ask, "sig=x", "https://h:1/c?comp=list&prefix=a%20b%2F%2B%26%C3%A4&sig=x");
}

/* --- connection strings */

static void
assert_connects(const char *text, const char *base, const char *account, const char *key,
				const char *sas)
{
	FhaAzureConnection connection;
	FhaError err;

	assert_int_equal(fha_azure_connection_parse(text, &connection, &err), FHA_OK);
	assert_string_equal(connection.base, base);
	assert_string_equal(connection.account, account);
	assert_string_equal(connection.key == NULL ? "-" : connection.key, key);
	assert_string_equal(connection.sas == NULL ? "-" : connection.sas, sas);
	fha_azure_connection_release(&connection);
	assert_null(connection.key);
}

static void
connection_strings(void **state)
{
	(void) state;
	assert_connects("DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=QUI=;"
					"EndpointSuffix=core.chinacloudapi.cn",
					"https://acc.blob.core.chinacloudapi.cn", "acc", "QUI=", "-");
	assert_connects("AccountName=acc;AccountKey=QUI=", "https://acc.blob.core.windows.net", "acc",
					"QUI=", "-");
	assert_connects("defaultendpointsprotocol=HTTP;accountname=acc;accountkey=QUI=",
					"http://acc.blob.core.windows.net", "acc", "QUI=", "-");
	/* As an emulator's, in an editor's lines. */
	assert_connects(" AccountName=acc;\n AccountKey=QUI= ;;\n"
					"BlobEndpoint=http://127.0.0.1:10000/acc/;\nQueueEndpoint=http://x;\n",
					"http://127.0.0.1:10000/acc", "acc", "QUI=", "-");
	assert_connects("BlobEndpoint=https://h;SharedAccessSignature=sv=1&sig=a%3D", "https://h", "",
					"-", "sv=1&sig=a%3D");
	assert_connects("BlobEndpoint=https://h/;SharedAccessSignature=?sig=a", "https://h", "", "-",
					"sig=a");
	assert_connects("UseDevelopmentStorage=true", "http://127.0.0.1:10000/devstoreaccount1",
					"devstoreaccount1", EMULATOR_KEY, "-");
}

static void
assert_refuses(const char *text, const char *word)
{
	FhaAzureConnection connection;
	FhaError err;

	assert_int_equal(fha_azure_connection_parse(text, &connection, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, word));
	assert_null(strstr(err.text, "QUI"));
	fha_azure_connection_release(&connection);
}

static void
connection_strings_that_are_none(void **state)
{
	static char text[6000];

	(void) state;
	assert_refuses("", "neither AccountKey");
	assert_refuses("QUI", "NAME=");
	assert_refuses("AccountName=acc;=QUI", "NAME=");
	assert_refuses("AccountName=acc;AccountKey=", "AccountKey");
	assert_refuses("AccountName=acc", "neither AccountKey");
	assert_refuses("AccountKey=QUI=", "AccountName");
	assert_refuses("AccountName=a/b;AccountKey=QUI=", "AccountName");
	assert_refuses("AccountName=;AccountKey=QUI=", "AccountName");
	assert_refuses("SharedAccessSignature=sig=QUI", "names no server");
	assert_refuses("AccountName=acc;AccountKey=QUI=;BlobEndpoint=", "names no server");
	assert_refuses("AccountName=acc;AccountKey=QUI=;BlobEndpoint=ftp://h", "names no server");
	assert_refuses("AccountName=acc;AccountKey=QUI=;BlobEndpoint=https://", "names no server");
	assert_refuses("AccountName=acc;AccountKey=QUI=;BlobEndpoint=https://u@h", "names no server");
	assert_refuses("AccountName=acc;AccountKey=QUI=;BlobEndpoint=https://h/?QUI",
				   "names no server");
	assert_refuses("AccountName=acc;AccountKey=QUI=;EndpointSuffix=a b", "names no server");
	assert_refuses("BlobEndpoint=https://h;SharedAccessSignature=QUI", "SharedAccessSignature");
	assert_refuses("BlobEndpoint=https://h;SharedAccessSignature=?", "SharedAccessSignature");
	memset(text, 'a', sizeof(text) - 1);
	memcpy(text, "AccountName=a;AccountKey=", 25);
	assert_refuses(text, "too long");
	memcpy(text, "AccountKey=QUI=;AccountName=", 28);
	assert_refuses(text, "AccountName");
	memcpy(text, "AccountName=a;AccountKey=QUI=;BlobEndpoint=https://", 51);
	assert_refuses(text, "names no server");
}

static void
a_sas_is_recognised(void **state)
{
	(void) state;
	assert_true(fha_azure_sas_valid("sig=x"));
	assert_true(fha_azure_sas_valid("sv=2021-12-02&sig=x%3D"));
	assert_false(fha_azure_sas_valid("sv=2021-12-02"));
	assert_false(fha_azure_sas_valid("mysig=x"));
	assert_false(fha_azure_sas_valid("sig=x\n"));
	assert_false(fha_azure_sas_valid("https://h/c?sig=x"));
	assert_false(fha_azure_sas_valid(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documents_example),
		cmocka_unit_test(lengths_are_signed_unless_they_are_zero),
		cmocka_unit_test(conditions_and_ranges_have_their_lines),
		cmocka_unit_test(an_emulators_path),
		cmocka_unit_test(the_signature_is_hmac),
		cmocka_unit_test(the_url_is_encoded),
		cmocka_unit_test(connection_strings),
		cmocka_unit_test(connection_strings_that_are_none),
		cmocka_unit_test(a_sas_is_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
