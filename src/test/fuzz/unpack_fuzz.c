/*
 * unpack_fuzz.c: what comes back of compressed and of sealed bytes.
 *
 * The first byte tells of which format the rest is, the second one in which cuts it comes; neither what comes out nor whether it is
 * damaged depends on them.
 */
#include "test/fuzz/fuzz.h"

#include "backup/compress.h"
#include "backup/seal.h"

#define MOST ((size_t) 4 * 1024 * 1024)
#define SEALED (FHA_COMPRESSION_LZ4 + 1)
#define KEYS (SEALED + 1)

/* What came out of it. */
typedef struct Result
{
	uint64_t sum;
	size_t size;
	FhaCode code;
} Result;

static FhaStream *
open_stage(int kind)
{
	FhaSealKeys keys;
	FhaStream *stream;

	if (kind != SEALED)
	{
		FUZZ_NEEDS(fha_decompress_open(&stream, (FhaCompression) kind, NULL) == FHA_OK);
		return stream;
	}
	FUZZ_NEEDS(fha_seal_keys_parse(&keys, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", NULL) ==
			   FHA_OK);
	FUZZ_NEEDS(fha_unseal_open(&stream, &keys, "object", NULL) == FHA_OK);
	return stream;
}

/* A bomb is left alone after MOST. */
static Result
unpack(int kind, const char *data, size_t size, size_t cut)
{
	FhaStream *stream = open_stage(kind);
	Result result = {.code = FHA_OK};
	FhaError err = {.text = ""};
	size_t at = 0;

	while (result.size < MOST)
	{
		const char *made;
		size_t some = 0;

		if (at < size)
			result.code =
				fha_stream_write(stream, data + at, cut < size - at ? cut : size - at, &some, &err);
		else
			result.code = fha_stream_finish(stream, &err);
		at += some;
		if (result.code == FHA_OK)
			result.code = fha_stream_look(stream, &made, &some, &err);
		if ((result.code != FHA_OK && result.code != FHA_AGAIN) ||
			(result.code == FHA_OK && some == 0))
			break;
		if (result.code == FHA_AGAIN)
			continue;
		some = some < MOST - result.size ? some : MOST - result.size;
		for (size_t i = 0; i < some; i++)
			result.sum = (result.sum ^ (unsigned char) made[i]) * 0x100000001b3u;
		result.size += some;
		fha_stream_drop(stream, some);
	}
	FUZZ_MUST(result.code == FHA_OK ||
			  (err.text[0] != '\0' && (result.code == FHA_INVALID || result.code == FHA_DENIED)));
	fha_stream_close(stream);
	return result;
}

static void
read_keys(const uint8_t *data, size_t size)
{
	char *text = fuzz_string(data, size);
	FhaSealKeys keys;

	if (fha_seal_keys_parse(&keys, text, NULL) == FHA_OK)
		FUZZ_MUST(keys.count > 0 && keys.count <= FHA_SEAL_KEYS_MAX &&
				  fha_seal_keys_find(&keys, keys.keys[keys.count - 1].id) != NULL);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Result whole;
	Result cut;
	int kind;

	if (size < 2)
		return 0;
	kind = data[0] % (KEYS + 1);
	if (kind == KEYS)
	{
		read_keys(data + 2, size - 2);
		return 0;
	}
	whole = unpack(kind, (const char *) data + 2, size - 2, size);
	cut = unpack(kind, (const char *) data + 2, size - 2, (size_t) data[1] + 1);
	/* What is damaged may have given more before, or less. */
	FUZZ_MUST(whole.code == cut.code);
	FUZZ_MUST(whole.code != FHA_OK || (whole.size == cut.size && whole.sum == cut.sum));
	return 0;
}
