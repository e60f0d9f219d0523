/*
 * member_fuzz.c: what comes over HTTP: the query of a health path, questions and answers of members.
 */
#include "test/fuzz/fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "peer/protocol.h"
#include "show/health.h"

static const FhaKey key;

static void
lag(const char *text, size_t size)
{
	FhaError err;
	FhaLagLimit limit = {-1, -1};

	if (fha_health_lag_limit(text, size, &limit, &err) != FHA_OK)
		FUZZ_MUST(err.code == FHA_INVALID && err.text[0] != '\0');
	else
		FUZZ_MUST(limit.bytes >= 0 && limit.ms >= 0);
}

static void
question(const char *text, size_t size)
{
	static FhaQuestion first;
	static FhaQuestion second;
	FhaError err;
	char mac[FHA_MAC_TEXT_SIZE];
	char *once;
	char *twice;

	if (fha_question_parse(text, size, &first, &err) != FHA_OK)
	{
		FUZZ_MUST(err.code == FHA_PROTOCOL && err.text[0] != '\0');
		return;
	}
	FUZZ_MUST(fha_question_print(&first, &key, &once, mac, &err) == FHA_OK);
	FUZZ_MUST(strlen(mac) == FHA_MAC_TEXT_SIZE - 1);
	FUZZ_MUST(fha_question_parse(once, strlen(once), &second, &err) == FHA_OK);
	FUZZ_MUST(fha_question_print(&second, &key, &twice, mac, &err) == FHA_OK);
	FUZZ_MUST(strcmp(once, twice) == 0);
	free(once);
	free(twice);
}

/* Signed by whoever has the key, it is read; else it is denied before that. */
static void
reply(const char *text, size_t size)
{
	static const FhaQuestion asked = {.kind = "status",
									  .cluster = "c",
									  .from = "n1",
									  .to = "n2",
									  .nonce = "00000000000000000000000000000001"};
	static FhaReply out;
	unsigned char bytes[FHA_MAC_BYTES];
	char mac[FHA_MAC_TEXT_SIZE];
	FhaError err;
	FhaCode code;

	FUZZ_NEEDS(HMAC(EVP_sha256(), key.answer, sizeof(key.answer), (const unsigned char *) text,
					size, bytes, NULL) != NULL);
	for (size_t i = 0; i < FHA_MAC_BYTES; i++)
		(void) snprintf(mac + 2 * i, 3, "%02x", bytes[i]);
	code = fha_reply_parse(&asked, &key, text, size, mac, &out, &err);
	FUZZ_MUST(code == FHA_OK ||
			  ((code == FHA_PROTOCOL || code == FHA_DENIED) && err.text[0] != '\0'));
	mac[size % (FHA_MAC_TEXT_SIZE - 1)] ^= 1;
	FUZZ_MUST(fha_reply_parse(&asked, &key, text, size, mac, &out, &err) == FHA_DENIED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > FHA_MEMBER_BODY_MAX)
		return 0;
	text = fuzz_string(data, size);
	lag(text, size);
	question(text, size);
	reply(text, size);
	free(text);
	return 0;
}
