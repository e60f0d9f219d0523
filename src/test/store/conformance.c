/*
 * conformance.c: the suite that every driver of an object store passes.
 */
#include "test/store/conformance.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* Far more than anything here needs: a machine under load must not fail a test. */
#define LONG_MS 60000
#define PART ((size_t) FHA_STORE_PART_MIN)
#define BIG_SIZE (2 * PART + 123457)

static char *big; /* BIG_SIZE bytes, in which each place has a look of its own */

/* --- complaints */

static bool
complain(StoreSuite *suite, const char *condition, int line)
{
	if (suite->complaint[0] == '\0')
		(void) snprintf(suite->complaint, sizeof(suite->complaint), "line %d: not (%s)", line,
						condition);
	return false;
}

#define EXPECT(condition)                                 \
	do                                                    \
	{                                                     \
		if (!(condition))                                 \
			return complain(suite, #condition, __LINE__); \
	} while (0)

/* Of a case's part, which has complained itself. */
#define EXPECT_PART(part) \
	do                    \
	{                     \
		if (!(part))      \
			return false; \
	} while (0)

/* --- calls */

static FhaStoreAnswer answer;

static FhaCode
call(StoreSuite *suite, FhaStoreRequest request)
{
	request.deadline_at_ms = fha_now_ms() + LONG_MS;
	return fha_store_call(suite->store, &request, &answer);
}

static FhaCode
put(StoreSuite *suite, const char *key, const char *data, size_t size, bool if_absent)
{
	return call(
		suite,
		(FhaStoreRequest){
			.verb = FHA_STORE_PUT, .key = key, .data = data, .size = size, .if_absent = if_absent});
}

static FhaCode
put_text(StoreSuite *suite, const char *key, const char *text)
{
	return put(suite, key, text, strlen(text), false);
}

static FhaCode
stat_key(StoreSuite *suite, const char *key)
{
	return call(suite, (FhaStoreRequest){.verb = FHA_STORE_STAT, .key = key});
}

static FhaCode
delete_key(StoreSuite *suite, const char *key)
{
	return call(suite, (FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = &key, .key_count = 1});
}

typedef struct Taken
{
	char *data;
	size_t size, room;
	size_t at_once; /* 0: all; else so many, and then a pause */
} Taken;

static size_t
take(const char *data, size_t size, void *owner)
{
	Taken *taken = owner;
	size_t count = taken->at_once != 0 && taken->at_once < size ? taken->at_once : size;

	if (taken->size + count > taken->room)
	{
		taken->room = (taken->size + count) * 2;
		taken->data = realloc(taken->data, taken->room);
		if (taken->data == NULL)
			abort();
	}
	if (count > 0)
		memcpy(taken->data + taken->size, data, count);
	taken->size += count;
	return count;
}

static void
taken_release(Taken *taken)
{
	free(taken->data);
	*taken = (Taken){0};
}

static FhaCode
get(StoreSuite *suite, const char *key, uint64_t offset, uint64_t length, Taken *taken)
{
	return call(suite, (FhaStoreRequest){.verb = FHA_STORE_GET,
										 .key = key,
										 .offset = offset,
										 .length = length,
										 .take = take,
										 .owner = taken});
}

/* Is this the object? */
static bool
has_bytes(StoreSuite *suite, const char *key, const char *data, size_t size)
{
	Taken taken = {0};
	FhaCode code = get(suite, key, 0, 0, &taken);
	bool same = taken.size == size && (size == 0 || memcmp(taken.data, data, size) == 0);

	taken_release(&taken);
	EXPECT(code == FHA_OK);
	EXPECT(answer.size == size);
	EXPECT(same);
	EXPECT(stat_key(suite, key) == FHA_OK);
	EXPECT(answer.size == size);
	return true;
}

static bool
has_text(StoreSuite *suite, const char *key, const char *text)
{
	return has_bytes(suite, key, text, strlen(text));
}

/* --- objects */

static bool
case_basics(StoreSuite *suite)
{
	Taken taken = {0};

	EXPECT(stat_key(suite, "a") == FHA_NOT_FOUND);
	EXPECT(get(suite, "a", 0, 0, &taken) == FHA_NOT_FOUND);
	EXPECT(taken.size == 0);
	EXPECT(put_text(suite, "a", "first") == FHA_OK);
	EXPECT_PART(has_text(suite, "a", "first"));
	EXPECT(put_text(suite, "a", "the second") == FHA_OK);
	EXPECT_PART(has_text(suite, "a", "the second"));
	EXPECT(put_text(suite, "folder/b", "b") == FHA_OK);
	EXPECT_PART(has_text(suite, "folder/b", "b"));
	EXPECT(stat_key(suite, "folder") == FHA_NOT_FOUND);
	EXPECT(stat_key(suite, "folder/b/c") == FHA_NOT_FOUND);
	EXPECT(delete_key(suite, "a") == FHA_OK);
	EXPECT(stat_key(suite, "a") == FHA_NOT_FOUND);
	EXPECT(delete_key(suite, "a") == FHA_OK);
	EXPECT_PART(has_text(suite, "folder/b", "b"));
	return true;
}

static bool
case_empty(StoreSuite *suite)
{
	Taken taken = {0};

	EXPECT(put(suite, "empty", NULL, 0, true) == FHA_OK);
	EXPECT_PART(has_text(suite, "empty", ""));
	EXPECT(get(suite, "empty", 0, 10, &taken) == FHA_OK);
	EXPECT(taken.size == 0);
	EXPECT(put(suite, "empty", "x", 1, true) == FHA_CONFLICT);
	EXPECT_PART(has_text(suite, "empty", ""));
	return true;
}

static bool
case_create(StoreSuite *suite)
{
	EXPECT(put(suite, "a", "mine", 4, true) == FHA_OK);
	EXPECT(put(suite, "a", "yours", 5, true) == FHA_CONFLICT);
	EXPECT(!answer.may_be_own);
	EXPECT_PART(has_text(suite, "a", "mine"));
	EXPECT(put(suite, "a", "mine", 4, true) == FHA_CONFLICT);
	EXPECT(delete_key(suite, "a") == FHA_OK);
	EXPECT(put(suite, "a", "new", 3, true) == FHA_OK);
	EXPECT_PART(has_text(suite, "a", "new"));
	return true;
}

static bool
has_range(StoreSuite *suite, uint64_t offset, uint64_t length, size_t expected)
{
	Taken taken = {0};
	FhaCode code = get(suite, "big", offset, length, &taken);
	bool same = taken.size == expected &&
				(expected == 0 || memcmp(taken.data, big + offset, expected) == 0);

	taken_release(&taken);
	EXPECT(code == FHA_OK);
	EXPECT(same);
	EXPECT(answer.size == BIG_SIZE);
	return true;
}

static bool
case_ranges(StoreSuite *suite)
{
	Taken taken = {0};

	EXPECT(put(suite, "big", big, BIG_SIZE, false) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "big", big, BIG_SIZE));
	EXPECT_PART(has_range(suite, 0, 1, 1));
	EXPECT_PART(has_range(suite, 1, 7, 7));
	EXPECT_PART(has_range(suite, PART - 1, 2, 2));
	EXPECT_PART(has_range(suite, 12345, PART, PART));
	EXPECT_PART(has_range(suite, BIG_SIZE - 1, 1, 1));
	EXPECT_PART(has_range(suite, BIG_SIZE - 5, 100, 5));
	EXPECT_PART(has_range(suite, BIG_SIZE - 5, 0, 5));
	EXPECT_PART(has_range(suite, BIG_SIZE, 0, 0));
	EXPECT_PART(has_range(suite, BIG_SIZE, 5, 0));
	EXPECT(get(suite, "big", BIG_SIZE + 1, 1, &taken) == FHA_INVALID);
	EXPECT(taken.size == 0);
	return true;
}

/* --- multipart */

typedef struct Parts
{
	char upload[FHA_STORE_UPLOAD_SIZE];
	FhaStorePart rows[3];
} Parts;

static FhaCode
begin(StoreSuite *suite, const char *key, Parts *parts)
{
	FhaCode code =
		call(suite, (FhaStoreRequest){.verb = FHA_STORE_BEGIN, .key = key, .part_size = PART});

	*parts = (Parts){0};
	if (code == FHA_OK)
		(void) snprintf(parts->upload, sizeof(parts->upload), "%s", answer.upload);
	return code;
}

static FhaCode
put_part(StoreSuite *suite, const char *key, Parts *parts, unsigned number, const char *data,
		 size_t size)
{
	FhaStorePart *row = &parts->rows[number - 1];
	FhaCode code = call(suite, (FhaStoreRequest){.verb = FHA_STORE_PART,
												 .key = key,
												 .upload = parts->upload,
												 .number = number,
												 .part_size = PART,
												 .data = data,
												 .size = size});

	if (code == FHA_OK)
	{
		row->number = number;
		row->size = size;
		(void) snprintf(row->tag, sizeof(row->tag), "%s", answer.tag);
	}
	return code;
}

/* Part `number` of big. */
static FhaCode
put_big_part(StoreSuite *suite, const char *key, Parts *parts, unsigned number)
{
	size_t from = (number - 1) * PART;

	return put_part(suite, key, parts, number, big + from, number == 3 ? BIG_SIZE - from : PART);
}

static FhaCode
of_upload(StoreSuite *suite, FhaStoreVerb verb, const char *key, const Parts *parts, size_t count,
		  bool if_absent)
{
	return call(suite, (FhaStoreRequest){.verb = verb,
										 .key = key,
										 .upload = parts->upload,
										 .parts = parts->rows,
										 .part_count = count,
										 .if_absent = if_absent});
}

static bool
has_uploads(StoreSuite *suite, const char *beginning, size_t count)
{
	EXPECT(call(suite, (FhaStoreRequest){.verb = FHA_STORE_UPLOADS, .key = beginning}) == FHA_OK);
	EXPECT(answer.object_count == count);
	for (size_t i = 0; i < count; i++)
	{
		EXPECT(answer.objects[i].upload != NULL);
		EXPECT(strncmp(answer.objects[i].key, beginning, strlen(beginning)) == 0);
	}
	return true;
}

static bool
has_parts(StoreSuite *suite, const char *key, const Parts *parts, size_t count)
{
	EXPECT(of_upload(suite, FHA_STORE_PARTS, key, parts, 0, false) == FHA_OK);
	EXPECT(answer.part_count == count);
	EXPECT(answer.next == NULL);
	for (size_t i = 0; i < count; i++)
	{
		const FhaStorePart *row = &parts->rows[answer.parts[i].number - 1];

		EXPECT(i == 0 || answer.parts[i].number > answer.parts[i - 1].number);
		EXPECT(answer.parts[i].size == row->size);
		EXPECT(strcmp(answer.parts[i].tag, row->tag) == 0);
	}
	return true;
}

static bool
case_multipart(StoreSuite *suite)
{
	Parts parts;

	EXPECT_PART(has_uploads(suite, "", 0));
	EXPECT(begin(suite, "f/big", &parts) == FHA_OK);
	EXPECT_PART(has_uploads(suite, "", 1));
	EXPECT_PART(has_uploads(suite, "f/b", 1));
	EXPECT_PART(has_uploads(suite, "g", 0));
	EXPECT_PART(has_parts(suite, "f/big", &parts, 0));
	EXPECT(put_big_part(suite, "f/big", &parts, 3) == FHA_OK);
	EXPECT(put_big_part(suite, "f/big", &parts, 1) == FHA_OK);
	EXPECT(put_part(suite, "f/big", &parts, 2, big, PART) == FHA_OK);
	EXPECT_PART(has_parts(suite, "f/big", &parts, 3));
	EXPECT(put_big_part(suite, "f/big", &parts, 2) == FHA_OK);
	EXPECT_PART(has_parts(suite, "f/big", &parts, 3));
	EXPECT(stat_key(suite, "f/big") == FHA_NOT_FOUND);
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "f/big", &parts, 3, true) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "f/big", big, BIG_SIZE));
	EXPECT_PART(has_uploads(suite, "", 0));
	EXPECT(put_big_part(suite, "f/big", &parts, 1) == FHA_NOT_FOUND);
	EXPECT(of_upload(suite, FHA_STORE_ABORT, "f/big", &parts, 0, false) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "f/big", big, BIG_SIZE));
	return true;
}

/* --- running */

#define CASE(name)         \
	{                      \
#name, case_##name \
	}

const StoreCase store_cases[] = {
	CASE(basics), CASE(empty), CASE(create), CASE(ranges), CASE(multipart),
};
const size_t store_case_count = sizeof(store_cases) / sizeof(store_cases[0]);

static void
make_big(void)
{
	uint64_t seed = 88172645463325252U;

	if (big != NULL)
		return;
	big = malloc(BIG_SIZE + sizeof(seed));
	if (big == NULL)
		abort();
	for (size_t i = 0; i < BIG_SIZE; i += sizeof(seed))
	{
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		memcpy(big + i, &seed, sizeof(seed));
	}
}

bool
store_case_run(const StoreCase *one, const StoreFixture *fixture, StoreSuite *suite)
{
	bool ok;

	make_big();
	*suite = (StoreSuite){.fixture = fixture};
	fixture->make();
	suite->store = fixture->open();
	ok = one->run(suite);
	if (!ok && answer.code != FHA_OK)
		(void) snprintf(suite->complaint + strlen(suite->complaint),
						sizeof(suite->complaint) - strlen(suite->complaint), "; last answer: %s",
						answer.error.text);
	fha_store_close(suite->store);
	fixture->unmake();
	return ok;
}

static const StoreFixture *running;

static void
run_case(void **state)
{
	StoreSuite suite;

	if (!store_case_run(*state, running, &suite))
		fail_msg("%s", suite.complaint);
}

int
store_suite_main(const StoreFixture *fixture, const struct CMUnitTest *more, size_t more_count)
{
	size_t count = store_case_count + more_count;
	struct CMUnitTest *tests = calloc(count, sizeof(*tests));
	int failed;

	if (tests == NULL)
		abort();
	running = fixture;
	for (size_t i = 0; i < store_case_count; i++)
		tests[i] = (struct CMUnitTest){.name = store_cases[i].name,
									   .test_func = run_case,
									   .initial_state = (void *) (uintptr_t) &store_cases[i]};
	if (more_count > 0)
		memcpy(tests + store_case_count, more, more_count * sizeof(*tests));
	failed = _cmocka_run_group_tests("store", tests, count, NULL, NULL);
	free(tests);
	free(big);
	return failed;
}
