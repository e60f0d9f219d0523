/*
 * kube_answer_fuzz.c: what an API server says: Status objects, and a watch's lines in pieces.
 *
 * The first byte chooses the status, the second how long the pieces are.  However a stream is cut
 * into pieces, the lines are the same; and of a server's words only printable ones are told.
 */
#include "test/fuzz/fuzz.h"

#include "kube/answer.h"

/* Does the server itself say that it did, or that it did nothing? */
static bool
is_certain(int status)
{
	static const int refusals[] = {400, 401, 403, 404, 409, 413, 415, 422, 429};

	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (status == refusals[i])
			return true;
	return status >= 200 && status < 300;
}

static void
check_verdict(uint8_t choice, const char *text, size_t size)
{
	static const int statuses[] = {200, 301, 400, 401, 403, 404, 408,
								   409, 410, 422, 429, 500, 503, 999};
	int status = statuses[choice % (sizeof(statuses) / sizeof(statuses[0]))];

	for (FhaKubeVerb verb = FHA_KUBE_GET; verb <= FHA_KUBE_WATCH; verb++)
	{
		FhaError err = {FHA_PROTOCOL, "something else"};
		FhaCode code = fha_kube_verdict(verb, status, text, size, &err);

		FUZZ_MUST(err.code == code && (code == FHA_OK) == (err.text[0] == '\0'));
		FUZZ_MUST((code == FHA_UNKNOWN) == (fha_kube_is_write(verb) && !is_certain(status)));
		for (const char *at = err.text; *at != '\0'; at++)
			FUZZ_MUST(*at >= ' ' && *at <= '~');
	}
}

/* All lines, each with an end, into `out`, which has room. */
static size_t
collect(const char *text, size_t size, size_t piece, char *out)
{
	FhaKubeAnswer answer = {.data = NULL};
	size_t used = 0;
	size_t left;

	for (size_t at = 0; at < size; at += piece)
	{
		const char *line;
		size_t length;

		FUZZ_NEEDS(fha_kube_answer_add(&answer, text + at, size - at < piece ? size - at : piece));
		while ((line = fha_kube_answer_line(&answer, &length)) != NULL)
		{
			FUZZ_MUST(length > 0 && line[length] == '\0' && memchr(line, '\n', length) == NULL);
			memcpy(out + used, line, length);
			used += length;
			out[used++] = '\n';
		}
		FUZZ_MUST(!fha_kube_answer_has_line(&answer));
	}
	(void) fha_kube_answer_rest(&answer, &left);
	FUZZ_MUST(left <= size);
	fha_kube_answer_release(&answer);
	return used;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	char *whole;
	char *pieces;
	size_t used;

	if (size < 3)
		return 0;
	text = fuzz_string(data + 2, size - 2);
	check_verdict(data[0], text, size - 2);
	whole = malloc(size);
	pieces = malloc(size);
	FUZZ_NEEDS(whole != NULL && pieces != NULL);
	used = collect(text, size - 2, size, whole);
	FUZZ_MUST(collect(text, size - 2, 1u + data[1] % 16u, pieces) == used);
	FUZZ_MUST(memcmp(whole, pieces, used) == 0);
	free(whole);
	free(pieces);
	free(text);
	return 0;
}
