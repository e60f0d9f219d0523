/*
 * speakers.c: which processes have spoken for a node.  See speakers.h.
 */
#include "node/speakers.h"

#include <stdio.h>
#include <string.h>

#define COUNT_DIGITS 6
#define COUNT_MASK UINT64_C(0xFFFFFF)
#define TAGGED (UINT64_C(1) << 48) /* or a tag of zeros would be none */
#define DIGITS "0123456789abcdef"

/* Its tag and its count as one number; 0: it is no nonce. */
static uint64_t
speaker_number(const char *nonce)
{
	unsigned long long number;

	if (strspn(nonce, DIGITS) < 2 * COUNT_DIGITS || sscanf(nonce, "%12llx", &number) != 1)
		return 0;
	return number | TAGGED;
}

static bool
speaker_is_same(uint64_t a, uint64_t b)
{
	return (a & ~COUNT_MASK) == (b & ~COUNT_MASK);
}

static void
speaker_put(FhaSpeakers *speakers, uint64_t number)
{
	uint32_t count = atomic_load(&speakers->count);

	if (count > 0 &&
		speaker_is_same(atomic_load(&speakers->newest[(count - 1) % FHA_SPEAKERS_MAX]), number))
		count--;
	/* Its end between these two loses the one that spoke longest ago, and this one has sent nothing yet. */
	atomic_store(&speakers->newest[count % FHA_SPEAKERS_MAX], number);
	atomic_store(&speakers->count, count + 1);
}

void
fha_speakers_note(FhaSpeakers *speakers, const char *nonce)
{
	speaker_put(speakers, speaker_number(nonce));
}

void
fha_speakers_note_silent(FhaSpeakers *speakers, const char *nonce)
{
	uint64_t number = speaker_number(nonce);

	/* How far it has counted is not known. */
	if (number != 0)
		speaker_put(speakers, number | COUNT_MASK);
}

bool
fha_speakers_know(const FhaSpeakers *speakers, const char *nonce)
{
	uint64_t number = speaker_number(nonce);

	for (size_t i = 0; i < FHA_SPEAKERS_MAX && number != 0; i++)
	{
		uint64_t newest = atomic_load(&speakers->newest[i]);

		if (speaker_is_same(newest, number) && number <= newest)
			return true;
	}
	return false;
}

bool
fha_speakers_are_none(const FhaSpeakers *speakers)
{
	return atomic_load(&speakers->count) == 0;
}
