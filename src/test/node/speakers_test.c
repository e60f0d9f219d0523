/*
 * speakers_test.c: which processes have spoken for a node, and how far each counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/sizes.h"
#include "node/speakers.h"

static FhaSpeakers speakers;

static int
set_up(void **state)
{
	(void) state;
	memset(&speakers, 0, sizeof(speakers));
	return 0;
}

static const char *
nonce_of(int process, int count)
{
	static char nonce[FHA_ID_SIZE];

	(void) snprintf(nonce, sizeof(nonce), "%06x%06x0000", (unsigned) process, (unsigned) count);
	return nonce;
}

static void
each_counts_up_to_its_newest(void **state)
{
	(void) state;
	assert_true(fha_speakers_are_none(&speakers));
	/* A tag of zeros is a tag. */
	assert_false(fha_speakers_know(&speakers, nonce_of(0, 0)));
	fha_speakers_note(&speakers, nonce_of(0, 1));
	fha_speakers_note(&speakers, nonce_of(0, 2));
	assert_false(fha_speakers_are_none(&speakers));
	fha_speakers_note(&speakers, nonce_of(7, 1));
	assert_int_equal(speakers.count, 2);
	assert_true(fha_speakers_know(&speakers, nonce_of(0, 1)));
	assert_true(fha_speakers_know(&speakers, nonce_of(0, 2)));
	assert_false(fha_speakers_know(&speakers, nonce_of(0, 3)));
	assert_true(fha_speakers_know(&speakers, nonce_of(7, 1)));
	assert_false(fha_speakers_know(&speakers, nonce_of(7, 2)));
	assert_false(fha_speakers_know(&speakers, nonce_of(8, 1)));
}

static void
the_newest_processes_are_kept(void **state)
{
	(void) state;
	for (int process = 0; process <= FHA_SPEAKERS_MAX; process++)
		fha_speakers_note(&speakers, nonce_of(process, 1));
	assert_false(fha_speakers_know(&speakers, nonce_of(0, 1)));
	for (int process = 1; process <= FHA_SPEAKERS_MAX; process++)
		assert_true(fha_speakers_know(&speakers, nonce_of(process, 1)));
}

static void
what_notes_nothing_may_count_on(void **state)
{
	(void) state;
	fha_speakers_note_silent(&speakers, nonce_of(7, 1));
	assert_true(fha_speakers_know(&speakers, nonce_of(7, 9)));
	assert_false(fha_speakers_know(&speakers, nonce_of(8, 1)));
}

static void
what_is_no_nonce_is_nobody_s(void **state)
{
	(void) state;
	fha_speakers_note_silent(&speakers, "ab");
	fha_speakers_note_silent(&speakers, "no nonce at all.");
	assert_true(fha_speakers_are_none(&speakers));
	assert_false(fha_speakers_know(&speakers, ""));
	assert_false(fha_speakers_know(&speakers, "0x00000000000000"));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_counts_up_to_its_newest),
		TEST(the_newest_processes_are_kept),
		TEST(what_notes_nothing_may_count_on),
		TEST(what_is_no_nonce_is_nobody_s),
	};

	return cmocka_run_group_tests_name("speakers", tests, NULL, NULL);
}
