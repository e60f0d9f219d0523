/*
 * s3_answer_fuzz.c: answers of a store of S3's kind: lists, uploads, parts, refusals, and STS's credentials.
 *
 * The first byte chooses the answer.  Whatever the bytes are, a key that is told begins with the store's prefix,
 * is valid, and pages and texts are within their caps; of a store's words only printable ones are told.
 */
#include "test/fuzz/fuzz.h"

#include "store/s3/aws.h"
#include "store/s3/lists.h"
#include "store/s3/reason.h"

static void
check_printable(const char *text)
{
	for (; *text != '\0'; text++)
		FUZZ_MUST(*text >= ' ' && *text <= '~');
}

static void
check_result(FhaCode code, const FhaStoreResult *result, const FhaError *err)
{
	FUZZ_MUST(code == FHA_OK || code == FHA_PROTOCOL);
	if (code != FHA_OK)
		check_printable(err->text);
	FUZZ_MUST(result->object_count <= FHA_STORE_LIST_MAX &&
			  result->part_count <= FHA_STORE_LIST_MAX);
	for (size_t i = 0; i < result->object_count; i++)
		FUZZ_MUST(fha_store_key_valid(result->objects[i].key, strlen(result->objects[i].key)));
	for (size_t i = 0; i < result->part_count; i++)
		FUZZ_MUST(result->parts[i].number >= 1 && result->parts[i].number <= FHA_STORE_PARTS_MAX);
	if (result->next != NULL)
		FUZZ_MUST(result->next[0] != '\0' && strlen(result->next) < FHA_STORE_PAGE_SIZE);
	if (result->upload != NULL)
		FUZZ_MUST(result->upload[0] != '\0' && strlen(result->upload) < FHA_STORE_UPLOAD_SIZE);
}

static void
check_reason(uint8_t choice, const char *text, size_t size)
{
	static const int statuses[] = {200, 301, 400, 401, 403, 404, 409,
								   412, 416, 429, 500, 501, 503, 507};
	FhaS3Reason reason;

	fha_s3_reason(&reason, statuses[choice % (sizeof(statuses) / sizeof(statuses[0]))], text, size);
	FUZZ_MUST(reason.code != FHA_OK);
	check_printable(reason.word);
	check_printable(reason.message);
	check_printable(reason.region);
}

/* Keys of a role: never half of a pair. */
static void
check_credentials(uint8_t choice, const char *text, size_t size)
{
	FhaAws aws;
	FhaHttpCall call;
	FhaAwsEnvironment environment = {.token_file = "x", .role = "r"};
	FhaError err = {FHA_OK, ""};
	int64_t lives_ms = 0;
	FhaCode code;

	if (choice % 2 == 0)
		environment = (FhaAwsEnvironment){.full_uri = "https://x/"};
	memset(&call, 0, sizeof(call));
	call.status = choice % 4 < 2 ? 200 : 403;
	fha_text_add_bytes(&call.body, text, size);
	FUZZ_NEEDS(fha_aws_open(&aws, &environment, &err) == FHA_OK);
	code = fha_aws_source.take(&aws, &call, &lives_ms, &err);
	if (code == FHA_OK)
		FUZZ_MUST(aws.keys.access != NULL && aws.keys.secret != NULL && lives_ms > 0);
	else
		check_printable(err.text);
	fha_aws_close(&aws);
	fha_text_release(&call.body);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const FhaStoreSettings settings = {.prefix = "pre"};
	FhaStoreResult result = {.code = FHA_OK};
	FhaError err = {FHA_OK, ""};
	FhaCode code = FHA_OK;
	char *text;

	if (size < 2)
		return 0;
	text = fuzz_string(data + 1, size - 1);
	switch (data[0] % 8)
	{
		case 0:
		case 1:
			code = fha_s3_read_list(text, size - 1, data[0] % 2 == 1, &settings, &result, &err);
			break;
		case 2:
			code = fha_s3_read_uploads(text, size - 1, data[0] > 100, &settings, &result, &err);
			break;
		case 3:
			code = fha_s3_read_parts(text, size - 1, &result, &err);
			break;
		case 4:
			code = fha_s3_read_begin(text, size - 1, &result, &err);
			break;
		case 5:
			(void) fha_s3_read_deleted(text, size - 1, &err);
			(void) fha_s3_read_complete(text, size - 1, &err);
			break;
		case 6:
			check_reason(data[0] / 8, text, size - 1);
			break;
		default:
			check_credentials(data[0] / 8, text, size - 1);
	}
	check_result(code, &result, &err);
	fha_store_result_release(&result);
	free(text);
	return 0;
}
