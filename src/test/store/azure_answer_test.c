/*
 * azure_answer_test.c: what Azure says: blocks and whose they are, lists, refusals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "store/azure/answer.h"
#include "store/text.h"

#define UPLOAD_A "6b0de81d30d21e66d6fc8fb97eacdabe"
#define UPLOAD_B "6b0de81dd1320c45eddb813b9b638314"

/* --- uploads and blocks */

static void
names_of_uploads(void **state)
{
	char upload[FHA_AZURE_UPLOAD_SIZE];
	char other[FHA_AZURE_UPLOAD_SIZE];
	FhaError err;

	(void) state;
	assert_int_equal(fha_azure_upload_new(upload, 1700000000, &err), FHA_OK);
	assert_int_equal(fha_azure_upload_new(other, 1700000000, &err), FHA_OK);
	assert_string_not_equal(upload, other);
	assert_true(fha_azure_upload_valid(upload));
	assert_int_equal(fha_azure_upload_began_s(upload), 1700000000);
	assert_false(fha_azure_upload_valid(""));
	assert_false(fha_azure_upload_valid(UPLOAD_A "0"));
	assert_false(fha_azure_upload_valid("6b0de81d30d21e66d6fc8fb97eacdabX"));
}

static void
ids_of_blocks(void **state)
{
	char id[FHA_AZURE_BLOCK_ID_SIZE];

	(void) state;
	fha_azure_block_id(UPLOAD_A, 7, id);
	assert_string_equal(id, "ZmhhLjZiMGRlODFkMzBkMjFlNjZkNmZjOGZiOTdlYWNkYWJlLjAwMDA3");
	/* Nothing in it that a query or XML writes otherwise. */
	assert_int_equal(strlen(id), FHA_AZURE_BLOCK_ID_SIZE - 1);
	fha_azure_block_id(UPLOAD_B, FHA_AZURE_BLOCK_ABORTED, id);
	assert_null(strpbrk(id, "+/="));
}

static void
add_block(FhaText *to, const char *upload, unsigned number, const char *size)
{
	char id[FHA_AZURE_BLOCK_ID_SIZE];

	fha_azure_block_id(upload, number, id);
	fha_text_add_format(to, "<Block><Name>%s</Name><Size>%s</Size></Block>", id, size);
}

static FhaCode
read_blocks(const char *inner, FhaAzureBlocks *blocks)
{
	FhaText text = {.data = NULL};
	FhaError err;
	FhaCode code;

	fha_text_add_format(&text,
						"<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList><CommittedBlocks/>"
						"<UncommittedBlocks>%s</UncommittedBlocks></BlockList>",
						inner);
	code = fha_azure_blocks_read(text.data, text.size, blocks, &err);
	fha_text_release(&text);
	return code;
}

static void
blocks_of_several_uploads(void **state)
{
	FhaText text = {.data = NULL};
	FhaAzureBlocks blocks;
	const FhaAzureBlock *parts;
	size_t count;

	(void) state;
	add_block(&text, UPLOAD_B, 2, "7");
	add_block(&text, UPLOAD_B, FHA_AZURE_BLOCK_BEGUN, "1");
	add_block(&text, UPLOAD_A, 10, "5");
	add_block(&text, UPLOAD_A, FHA_AZURE_BLOCK_BEGUN, "1");
	add_block(&text, UPLOAD_A, 9, "5242880");
	/* Not ours: of another program, of another length, with other letters. */
	fha_text_add(&text, "<Block><Name>MDAwMDE=</Name><Size>9</Size></Block>"
						"<Block><Name>!!</Name><Size>9</Size></Block>");
	fha_text_add(&text, "<Block><Name>ZmhhLjZiMGRlODFkMzBkMjFlNjZkNmZjOGZiOTdlYWNkYWJlLjAwMDAx"
						"</Name><Size>3</Size></Block>");
	assert_int_equal(read_blocks(text.data, &blocks), FHA_OK);
	fha_text_release(&text);
	assert_int_equal(blocks.count, 6);
	parts = fha_azure_blocks_of(&blocks, UPLOAD_A, &count);
	assert_non_null(parts);
	assert_int_equal(count, 3);
	assert_int_equal(parts[0].number, 1);
	assert_int_equal(parts[1].number, 9);
	assert_int_equal(parts[1].size, 5242880);
	assert_int_equal(parts[2].number, 10);
	parts = fha_azure_blocks_of(&blocks, UPLOAD_B, &count);
	assert_non_null(parts);
	assert_int_equal(count, 1);
	assert_int_equal(parts[0].size, 7);
	assert_null(fha_azure_blocks_of(&blocks, "6b0de81d30d21e66d6fc8fb97eacdabf", &count));
	fha_azure_blocks_release(&blocks);
}

static void
an_aborted_upload_is_none(void **state)
{
	FhaText text = {.data = NULL};
	FhaAzureBlocks blocks;
	size_t count;

	(void) state;
	add_block(&text, UPLOAD_A, FHA_AZURE_BLOCK_BEGUN, "1");
	add_block(&text, UPLOAD_A, 1, "5");
	add_block(&text, UPLOAD_A, FHA_AZURE_BLOCK_ABORTED, "1");
	/* Of this one the beginning was lost with a week, or was never there. */
	add_block(&text, UPLOAD_B, 1, "5");
	assert_int_equal(read_blocks(text.data, &blocks), FHA_OK);
	fha_text_release(&text);
	assert_null(fha_azure_blocks_of(&blocks, UPLOAD_A, &count));
	assert_null(fha_azure_blocks_of(&blocks, UPLOAD_B, &count));
	fha_azure_blocks_release(&blocks);
}

static void
blocks_that_make_no_sense(void **state)
{
	FhaAzureBlocks blocks;
	FhaError err;

	(void) state;
	assert_int_equal(read_blocks("", &blocks), FHA_OK);
	assert_int_equal(blocks.count, 0);
	assert_int_equal(read_blocks("<Block><Name>MDAwMDE=</Name></Block>", &blocks), FHA_PROTOCOL);
	fha_azure_blocks_release(&blocks);
	assert_int_equal(read_blocks("<Block><Name>MDAwMDE=</Name><Size>-1</Size></Block>", &blocks),
					 FHA_PROTOCOL);
	fha_azure_blocks_release(&blocks);
	assert_int_equal(
		read_blocks("<Block><Name>MDAwMDE=</Name><Size>99999999999999999999</Size></Block>",
					&blocks),
		FHA_PROTOCOL);
	fha_azure_blocks_release(&blocks);
	assert_int_equal(fha_azure_blocks_read("<html/>", 7, &blocks, &err), FHA_PROTOCOL);
	fha_azure_blocks_release(&blocks);
	assert_int_equal(fha_azure_blocks_read("<BlockList>", 11, &blocks, &err), FHA_PROTOCOL);
	fha_azure_blocks_release(&blocks);
}

/* --- lists */

static FhaStoreSettings settings = {.prefix = "pre"};

static FhaCode
read_list(const char *inner, FhaStoreResult *result, FhaError *err)
{
	FhaText text = {.data = NULL};
	FhaCode code;

	memset(result, 0, sizeof(*result));
	fha_text_add_format(&text,
						"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>"
						"<EnumerationResults ServiceEndpoint=\"https://h/\" ContainerName=\"c\">%s"
						"</EnumerationResults>",
						inner);
	code = fha_azure_list_read(text.data, text.size, &settings, result, err);
	fha_text_release(&text);
	return code;
}

static void
a_list_is_read(void **state)
{
	FhaStoreResult result;
	FhaError err;

	(void) state;
	assert_int_equal(
		read_list("<Prefix>pre/</Prefix><Blobs>"
				  "<Blob><Name>pre/a &amp; b</Name><Properties>"
				  "<Last-Modified>Sun, 06 Nov 1994 08:49:37 GMT</Last-Modified>"
				  "<Etag>0x1</Etag><Content-Length>17</Content-Length>"
				  "<BlobType>BlockBlob</BlobType></Properties></Blob>"
				  "<BlobPrefix><Name>pre/folder/</Name></BlobPrefix>"
				  "<Blob><Name Encoded=\"true\">pre/%01%25</Name><Properties>"
				  "<Content-Length>0</Content-Length></Properties></Blob>"
				  "<Blob><Name Encoded=\"false\">pre/%41</Name><Properties/></Blob>"
				  "<Blob><Name>pre/directory</Name><Properties><Content-Length>0</Content-Length>"
				  "<ResourceType>directory</ResourceType></Properties></Blob>"
				  "</Blobs><NextMarker>2!abc=</NextMarker>",
				  &result, &err),
		FHA_OK);
	assert_int_equal(result.object_count, 4);
	assert_string_equal(result.objects[0].key, "a & b");
	assert_int_equal(result.objects[0].size, 17);
	assert_int_equal(result.objects[0].modified_s, 784111777);
	assert_false(result.objects[0].is_folder);
	assert_string_equal(result.objects[1].key, "folder/");
	assert_true(result.objects[1].is_folder);
	assert_string_equal(result.objects[2].key, "\001%");
	assert_string_equal(result.objects[3].key, "%41");
	assert_string_equal(result.next, "2!abc=");
	fha_store_result_release(&result);

	assert_int_equal(read_list("<Blobs/><NextMarker/>", &result, &err), FHA_OK);
	assert_int_equal(result.object_count, 0);
	assert_null(result.next);
	fha_store_result_release(&result);
}

static void
lists_that_make_no_sense(void **state)
{
	static const char *const lists[] = {
		"<Blobs><Blob><Properties/></Blob></Blobs>",
		"<Blobs><Blob><Name></Name></Blob></Blobs>",
		"<Blobs><Blob><Name>other/a</Name></Blob></Blobs>",
		"<Blobs><BlobPrefix/></Blobs>",
		"<Blobs><Blob><Name Encoded=\"true\">pre/%00</Name></Blob></Blobs>",
		"<Blobs><Blob><Name Encoded=\"true\">pre/%4</Name></Blob></Blobs>",
		"<Blobs><Blob><Name>pre/a</Name><Properties><Content-Length>x</Content-Length>"
		"</Properties></Blob></Blobs>",
		"<Blobs><Blob><Name>pre/a</Name><Properties><Last-Modified>now</Last-Modified>"
		"</Properties></Blob></Blobs>",
		"<Blobs>",
	};
	FhaStoreResult result;
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
	{
		assert_int_equal(read_list(lists[i], &result, &err), FHA_PROTOCOL);
		fha_store_result_release(&result);
	}
	memset(&result, 0, sizeof(result));
	assert_int_equal(fha_azure_list_read("<html/>", 7, &settings, &result, &err), FHA_PROTOCOL);
	fha_store_result_release(&result);
}

/* --- refusals */

static FhaCode
judge(int status, const char *word, bool writes, int64_t clock_off_s, FhaError *err)
{
	FhaAzureFault fault;

	fha_azure_fault_read(status, word, "", 0, &fault);
	return fha_azure_fault_judge(&fault, writes, clock_off_s, err);
}

static void
refusals_have_codes(void **state)
{
	static const struct
	{
		int status;
		const char *word;
		FhaCode read;
		FhaCode write;
	} rows[] = {
		{404, "BlobNotFound", FHA_NOT_FOUND, FHA_NOT_FOUND},
		{404, "ContainerNotFound", FHA_INVALID, FHA_INVALID},
		{404, "", FHA_PROTOCOL, FHA_PROTOCOL},
		{302, "", FHA_PROTOCOL, FHA_PROTOCOL},
		{409, "BlobAlreadyExists", FHA_CONFLICT, FHA_CONFLICT},
		{412, "ConditionNotMet", FHA_CONFLICT, FHA_CONFLICT},
		{412, "LeaseIdMissing", FHA_DENIED, FHA_DENIED},
		{400, "InvalidBlockList", FHA_NOT_FOUND, FHA_NOT_FOUND},
		{400, "SomethingNew", FHA_INVALID, FHA_INVALID},
		{403, "SomethingNew", FHA_DENIED, FHA_DENIED},
		{401, "SomethingNew", FHA_DENIED, FHA_DENIED},
		{403, "AuthenticationFailed", FHA_DENIED, FHA_DENIED},
		{408, "", FHA_IO, FHA_UNKNOWN},
		{429, "", FHA_AGAIN, FHA_AGAIN},
		{500, "InternalError", FHA_IO, FHA_UNKNOWN},
		{500, "OperationTimedOut", FHA_IO, FHA_UNKNOWN},
		{502, "", FHA_IO, FHA_UNKNOWN},
		{503, "ServerBusy", FHA_AGAIN, FHA_AGAIN},
		/* A proxy's: nothing says that it was not passed on. */
		{503, "", FHA_IO, FHA_UNKNOWN},
		{507, "", FHA_FULL, FHA_FULL},
	};
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		assert_int_equal(judge(rows[i].status, rows[i].word, false, 0, &err), rows[i].read);
		assert_int_equal(judge(rows[i].status, rows[i].word, true, 0, &err), rows[i].write);
		assert_int_equal(err.code, rows[i].write);
	}
}

static void
a_wrong_clock_is_no_wrong_key(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(judge(403, "AuthenticationFailed", false, 3600, &err), FHA_DENIED);
	assert_non_null(strstr(err.text, "clock is 60 minutes slow"));
	assert_int_equal(judge(403, "AuthenticationFailed", false, -1200, &err), FHA_DENIED);
	assert_non_null(strstr(err.text, "clock is 20 minutes fast"));
	assert_int_equal(judge(403, "AuthenticationFailed", false, 600, &err), FHA_DENIED);
	assert_non_null(strstr(err.text, "the key, SAS or token is wrong or has expired"));
	assert_int_equal(judge(404, "BlobNotFound", false, 3600, &err), FHA_NOT_FOUND);
	assert_null(strstr(err.text, "clock"));
}

static void
sentences_of_refusals(void **state)
{
	static const char body[] =
		"<?xml version=\"1.0\"?><Error><Code>Odd</Code><Message>It is\nodd.</Message>"
		"<AuthenticationErrorDetail>signed was secret</AuthenticationErrorDetail></Error>";
	FhaAzureFault fault;
	FhaError err;

	(void) state;
	fha_azure_fault_read(400, "", body, sizeof(body) - 1, &fault);
	assert_string_equal(fault.word, "Odd");
	assert_int_equal(fha_azure_fault_judge(&fault, false, 0, &err), FHA_INVALID);
	assert_string_equal(err.text, "Azure answers 400 Odd: It is odd.");
	fha_azure_fault_read(400, "OfHead", body, sizeof(body) - 1, &fault);
	assert_string_equal(fault.word, "OfHead");
	fha_azure_fault_read(502, "", "<html>", 6, &fault);
	assert_int_equal(fha_azure_fault_judge(&fault, false, 0, &err), FHA_IO);
	assert_non_null(strstr(err.text, "not Azure's answer"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_uploads),
		cmocka_unit_test(ids_of_blocks),
		cmocka_unit_test(blocks_of_several_uploads),
		cmocka_unit_test(an_aborted_upload_is_none),
		cmocka_unit_test(blocks_that_make_no_sense),
		cmocka_unit_test(a_list_is_read),
		cmocka_unit_test(lists_that_make_no_sense),
		cmocka_unit_test(refusals_have_codes),
		cmocka_unit_test(a_wrong_clock_is_no_wrong_key),
		cmocka_unit_test(sentences_of_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
