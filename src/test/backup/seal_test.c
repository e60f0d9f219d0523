/*
 * seal_test.c: what is sealed opens with its key and as its object alone, and what is cut off, damaged or moved is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "backup/seal.h"
#include "test/backup/streams.h"

#define SEGMENT ((size_t) 1048576)
#define HEADER 40
#define TAG 16
/* Of bytes in the first segment, and in each other. */
#define FIRST (SEGMENT - HEADER - TAG)
#define OTHER (SEGMENT - TAG)

/* 32 bytes each: 0 to 31, and 32 times "k". */
#define NUMBERS "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define LETTERS "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="

static FhaSealKeys
keys_of(const char *text)
{
	FhaSealKeys keys;
	FhaError err = {.text = ""};

	if (fha_seal_keys_parse(&keys, text, &err) != FHA_OK)
		fail_msg("%s", err.text);
	return keys;
}

static Bytes
sealed(const char *keys_text, const char *object, const char *data, size_t size, size_t cut)
{
	FhaSealKeys keys = keys_of(keys_text);
	FhaStream *stream;
	Bytes out = {.data = NULL};
	FhaError err;

	assert_int_equal(fha_seal_open(&stream, &keys.keys[0], object, &err), FHA_OK);
	assert_int_equal(stream_pass(stream, data, size, cut, NULL, &out, &err), FHA_OK);
	assert_int_equal(out.size, fha_sealed_size(size));
	return out;
}

static FhaCode
unsealed(const char *keys_text, const char *object, const char *data, size_t size, size_t cut,
		 Bytes *out, FhaError *err)
{
	FhaSealKeys keys = keys_of(keys_text);
	FhaStream *stream;

	*out = (Bytes){.data = NULL};
	assert_int_equal(fha_unseal_open(&stream, &keys, object, err), FHA_OK);
	return stream_pass(stream, data, size, cut, NULL, out, err);
}

static void
what_is_sealed_opens(void **state)
{
	static const size_t sizes[] = {0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + OTHER};
	Bytes plain = bytes_like_pages(FIRST + OTHER);
	Bytes back;
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		Bytes box = sealed(NUMBERS, "a/b", plain.data, sizes[i], 300007);

		assert_int_equal(unsealed(NUMBERS, "a/b", box.data, box.size, 300007, &back, &err), FHA_OK);
		assert_true(bytes_are(&back, plain.data, sizes[i]));
		bytes_free(&back);
		bytes_free(&box);
	}
	bytes_free(&plain);
}

static void
each_cut_and_each_way_to_end_early(void **state)
{
	static const char text[] = "START WAL LOCATION: 0/2000028";
	Bytes back;
	FhaError err;
	Bytes box = sealed(NUMBERS, "x", text, sizeof(text), 1);

	(void) state;
	for (size_t cut = 1; cut <= box.size; cut++)
	{
		assert_int_equal(unsealed(NUMBERS, "x", box.data, box.size, cut, &back, &err), FHA_OK);
		assert_true(bytes_are(&back, text, sizeof(text)));
		bytes_free(&back);
	}
	for (size_t size = 0; size < box.size; size++)
	{
		FhaCode code = unsealed(NUMBERS, "x", box.data, size, 1000, &back, &err);

		assert_int_equal(code, size < HEADER + TAG ? FHA_INVALID : FHA_DENIED);
		assert_int_equal(back.size, 0);
	}
	for (size_t at = 0; at < box.size; at++)
	{
		box.data[at] ^= 4;
		assert_int_equal(unsealed(NUMBERS, "x", box.data, box.size, 1000, &back, &err),
						 at == 0 ? FHA_INVALID : FHA_DENIED);
		assert_int_equal(back.size, 0);
		box.data[at] ^= 4;
	}
	bytes_free(&box);
}

/* Before the second segment is there. */
static void
another_key_is_told_at_the_first_segment(void **state)
{
	Bytes plain = bytes_like_pages(FIRST + 10);
	Bytes box = sealed(NUMBERS, "db/wals/1", plain.data, plain.size, 100000);
	FhaSealKeys keys = keys_of(LETTERS);
	Bytes back;
	FhaError err;
	FhaStream *stream;
	size_t taken;

	(void) state;
	assert_int_equal(fha_unseal_open(&stream, &keys, "db/wals/1", &err), FHA_OK);
	assert_int_equal(fha_stream_write(stream, box.data, SEGMENT + 1, &taken, &err), FHA_DENIED);
	assert_non_null(strstr(err.text, "no key opens \"db/wals/1\": it was sealed with another key"));
	fha_stream_close(stream);
	/* One of the ring opens it. */
	assert_int_equal(
		unsealed(LETTERS "\n" NUMBERS "\n", "db/wals/1", box.data, box.size, 99999, &back, &err),
		FHA_OK);
	assert_true(bytes_are(&back, plain.data, plain.size));
	bytes_free(&back);
	bytes_free(&box);
	bytes_free(&plain);
}

static void
an_object_does_not_stand_in_for_another(void **state)
{
	Bytes box = sealed(NUMBERS, "db/wals/1", "abc", 3, 3);
	Bytes back;
	FhaError err;

	(void) state;
	assert_int_equal(unsealed(NUMBERS, "db/wals/2", box.data, box.size, 3, &back, &err),
					 FHA_DENIED);
	assert_int_equal(back.size, 0);
	bytes_free(&box);
}

/* What three segments become when somebody had their hands on them. */
static void
segments_have_their_places(void **state)
{
	Bytes plain = bytes_like_pages(FIRST + 3 * OTHER);
	Bytes box = sealed(NUMBERS, "x", plain.data, plain.size, 500000);
	Bytes back;
	FhaError err;
	Bytes other = {.data = NULL};

	(void) state;
	/* The last one, or more, are gone. */
	for (size_t size = SEGMENT; size <= 3 * SEGMENT; size += SEGMENT)
	{
		FhaCode code = unsealed(NUMBERS, "x", box.data, size, 500000, &back, &err);

		assert_int_equal(code, size == SEGMENT ? FHA_DENIED : FHA_INVALID);
		assert_true(back.size <= FIRST + OTHER);
		bytes_free(&back);
	}
	/* In the middle of the second. */
	assert_int_equal(unsealed(NUMBERS, "x", box.data, SEGMENT + 5, 500000, &back, &err),
					 FHA_INVALID);
	bytes_free(&back);
	/* Two changed places, and neither is the last, which has a mark. */
	bytes_add(&other, box.data, SEGMENT);
	bytes_add(&other, box.data + 2 * SEGMENT, SEGMENT);
	bytes_add(&other, box.data + SEGMENT, SEGMENT);
	bytes_add(&other, box.data + 3 * SEGMENT, box.size - 3 * SEGMENT);
	assert_int_equal(unsealed(NUMBERS, "x", other.data, other.size, 500000, &back, &err),
					 FHA_INVALID);
	assert_non_null(strstr(err.text, "in its segment 1"));
	assert_true(bytes_are(&back, plain.data, FIRST));
	bytes_free(&back);
	bytes_free(&other);
	/* Something follows the last one. */
	bytes_add(&box, "more", 4);
	assert_int_equal(unsealed(NUMBERS, "x", box.data, box.size, 500000, &back, &err), FHA_INVALID);
	bytes_free(&back);
	bytes_free(&box);
	bytes_free(&plain);
}

static void
the_same_bytes_are_sealed_differently(void **state)
{
	Bytes one = sealed(NUMBERS, "x", "abc", 3, 3);
	Bytes two = sealed(NUMBERS, "x", "abc", 3, 3);

	(void) state;
	assert_false(bytes_are(&one, two.data, two.size));
	bytes_free(&one);
	bytes_free(&two);
}

static void
a_file_of_keys(void **state)
{
	FhaSealKeys keys = keys_of("# since March\n" NUMBERS " \r\n\n" LETTERS);
	static const char *const wrong[][2] = {
		{"", "no key in it"},
		{"# none\n", "no key in it"},
		{NUMBERS "\n" NUMBERS "x", "line 2 is no key: 32 bytes in base64"},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", "line 1 is no key"},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", "line 1 is no key"},
		{"AAECAwQFBgcICQoLDA0O!xAREhMUFRYXGBkaGxwdHh8=", "line 1 is no key"},
		{" " NUMBERS, "line 1 is no key"},
	};
	FhaError err;
	char many[FHA_SEAL_KEYS_MAX * 46 + 60] = "";
	char path[] = "/tmp/fha-seal-XXXXXX";
	int fd = mkstemp(path);

	(void) state;
	assert_int_equal(keys.count, 2);
	assert_int_equal(keys.keys[0].bytes[31], 31);
	assert_int_equal(strlen(keys.keys[0].id), FHA_SEAL_ID_SIZE - 1);
	assert_string_not_equal(keys.keys[0].id, keys.keys[1].id);
	assert_ptr_equal(fha_seal_keys_find(&keys, keys.keys[1].id), &keys.keys[1]);
	assert_null(fha_seal_keys_find(&keys, "0123456789abcdef"));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
	{
		assert_int_equal(fha_seal_keys_parse(&keys, wrong[i][0], &err), FHA_INVALID);
		assert_non_null(strstr(err.text, wrong[i][1]));
		assert_null(strstr(err.text, "AAEC"));
		assert_int_equal(keys.count, 0);
	}
	for (int i = 0; i <= FHA_SEAL_KEYS_MAX; i++)
		(void) strcat(many, NUMBERS "\n");
	assert_int_equal(fha_seal_keys_parse(&keys, many, &err), FHA_INVALID);
	assert_string_equal(err.text, "more than 16 keys");
	assert_int_equal(fha_seal_keys_parse(&keys, many + 45, &err), FHA_OK);

	assert_int_equal(write(fd, "x\n" NUMBERS, 46), 46);
	assert_int_equal(fha_seal_keys_read(&keys, path, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "fha-seal-"));
	assert_non_null(strstr(err.text, "line 1 is no key"));
	assert_int_equal(pwrite(fd, "#", 1, 0), 1);
	assert_int_equal(fha_seal_keys_read(&keys, path, &err), FHA_OK);
	assert_int_equal(keys.count, 1);
	(void) close(fd);
	(void) unlink(path);
	assert_int_equal(fha_seal_keys_read(&keys, path, &err), FHA_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_opens),
		cmocka_unit_test(each_cut_and_each_way_to_end_early),
		cmocka_unit_test(another_key_is_told_at_the_first_segment),
		cmocka_unit_test(an_object_does_not_stand_in_for_another),
		cmocka_unit_test(segments_have_their_places),
		cmocka_unit_test(the_same_bytes_are_sealed_differently),
		cmocka_unit_test(a_file_of_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
