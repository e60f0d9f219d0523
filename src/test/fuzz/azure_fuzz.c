/*
 * azure_fuzz.c: what Azure says, and what people paste: connection strings, lists, blocks, refusals,
 * tokens.  The first byte chooses.
 */
#include "test/fuzz/fuzz.h"

#include "base/secret.h"
#include "store/azure/answer.h"
#include "store/azure/connection.h"
#include "store/azure/token.h"

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

static void
check_connection(const char *text)
{
	FhaAzureConnection connection;
	FhaError err = {.code = FHA_OK};
	FhaCode code = fha_azure_connection_parse(text, &connection, &err);

	FUZZ_MUST(code == FHA_OK || (code == FHA_INVALID && err.text[0] != '\0'));
	if (code == FHA_OK)
	{
		FUZZ_MUST(connection.key != NULL || connection.sas != NULL);
		FUZZ_MUST(connection.key == NULL || connection.account[0] != '\0');
		FUZZ_MUST(strncmp(connection.base, "http", 4) == 0 && is_printable(connection.base));
		FUZZ_MUST(strpbrk(connection.base, "?#@ ") == NULL);
		FUZZ_MUST(connection.sas == NULL || fha_azure_sas_valid(connection.sas));
	}
	fha_azure_connection_release(&connection);
}

static void
check_blocks(const char *data, size_t size)
{
	FhaAzureBlocks blocks;
	FhaError err;
	FhaCode code = fha_azure_blocks_read(data, size, &blocks, &err);

	FUZZ_MUST(code == FHA_OK || code == FHA_PROTOCOL);
	for (size_t i = 0; code == FHA_OK && i < blocks.count; i++)
	{
		const FhaAzureBlock *parts;
		size_t count;

		FUZZ_MUST(fha_azure_upload_valid(blocks.blocks[i].upload));
		FUZZ_MUST(blocks.blocks[i].number <= FHA_AZURE_BLOCK_ABORTED);
		parts = fha_azure_blocks_of(&blocks, blocks.blocks[i].upload, &count);
		FUZZ_MUST(parts == NULL || parts + count <= blocks.blocks + blocks.count);
	}
	fha_azure_blocks_release(&blocks);
}

static void
check_list(const char *data, size_t size)
{
	const FhaStoreSettings settings = {.prefix = "p"};
	FhaStoreResult result = {.code = FHA_OK};
	FhaError err;
	FhaCode code = fha_azure_list_read(data, size, &settings, &result, &err);

	FUZZ_MUST(code == FHA_OK || code == FHA_PROTOCOL);
	FUZZ_MUST(result.object_count <= FHA_STORE_LIST_MAX);
	for (size_t i = 0; i < result.object_count; i++)
		FUZZ_MUST(fha_store_key_valid(result.objects[i].key, strlen(result.objects[i].key)));
	FUZZ_MUST(result.next == NULL || result.next[0] != '\0');
	fha_store_result_release(&result);
}

static void
check_fault(const char *text, size_t size, unsigned choice)
{
	static const int statuses[] = {302, 400, 401, 403, 404, 408, 409, 412, 429, 500, 503, 507};
	FhaAzureFault fault;
	FhaError err = {.code = FHA_OK};
	FhaCode code;

	fha_azure_fault_read(statuses[choice % (sizeof(statuses) / sizeof(statuses[0]))], "", text,
						 size, &fault);
	code = fha_azure_fault_judge(&fault, (choice & 16) != 0, 0, &err);
	FUZZ_MUST(code != FHA_OK && code == err.code);
	FUZZ_MUST(code != FHA_UNKNOWN || (choice & 16) != 0);
	FUZZ_MUST(is_printable(err.text));
}

static void
check_token(const char *data, size_t size)
{
	FhaError err = {.code = FHA_OK};
	int64_t lives_ms = 0;
	char *token;
	FhaCode code = fha_azure_token_read(200, data, size, 1700000000, &token, &lives_ms, &err);

	FUZZ_MUST(code == FHA_OK || code == FHA_PROTOCOL);
	FUZZ_MUST((code == FHA_OK) == (token != NULL && lives_ms > 0));
	FUZZ_MUST(token == NULL || (token[0] != '\0' && is_printable(token)));
	fha_secret_free(token);
	(void) !fha_azure_token_read(400, data, size, 1700000000, &token, &lives_ms, &err);
	FUZZ_MUST(is_printable(err.text));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size < 1)
		return 0;
	text = fuzz_string(data + 1, size - 1);
	switch (data[0] % 8)
	{
		case 0:
			check_connection(text);
			break;
		case 1:
			check_blocks(text, size - 1);
			break;
		case 2:
			check_list(text, size - 1);
			break;
		case 3:
			check_token(text, size - 1);
			break;
		default:
			check_fault(text, size - 1, data[0]);
			break;
	}
	free(text);
	return 0;
}
