/*
 * conformance.c: the suite that every driver of an object store passes.
 */
#include "test/store/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/store/await.h"

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
	request.deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
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

static bool
case_multipart_over_an_object(StoreSuite *suite)
{
	Parts parts;

	EXPECT(put_text(suite, "a", "there") == FHA_OK);
	EXPECT(begin(suite, "a", &parts) == FHA_OK);
	EXPECT(put_big_part(suite, "a", &parts, 1) == FHA_OK);
	EXPECT(put_part(suite, "a", &parts, 2, "end", 3) == FHA_OK);
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &parts, 2, true) == FHA_CONFLICT);
	EXPECT_PART(has_text(suite, "a", "there"));
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &parts, 1, false) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "a", big, PART));
	return true;
}

static bool
case_multipart_refused(StoreSuite *suite)
{
	Parts parts;
	Parts changed;

	EXPECT(begin(suite, "a", &parts) == FHA_OK);
	EXPECT(put_big_part(suite, "a", &parts, 1) == FHA_OK);
	EXPECT(put_big_part(suite, "a", &parts, 2) == FHA_OK);
	changed = parts;
	changed.rows[0].tag[0] = changed.rows[0].tag[0] == 'a' ? 'b' : 'a';
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &changed, 2, false) == FHA_INVALID);
	changed = parts;
	changed.rows[2] = changed.rows[1];
	changed.rows[2].number = 3;
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &changed, 3, false) == FHA_INVALID);
	EXPECT(stat_key(suite, "a") == FHA_NOT_FOUND);
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &parts, 2, false) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "a", big, 2 * PART));
	return true;
}

static bool
case_multipart_resumed(StoreSuite *suite)
{
	Parts parts;

	EXPECT(begin(suite, "f/a", &parts) == FHA_OK);
	EXPECT(put_big_part(suite, "f/a", &parts, 2) == FHA_OK);
	fha_store_close(suite->store);
	suite->store = suite->fixture->open();
	EXPECT_PART(has_uploads(suite, "f/", 1));
	EXPECT(strcmp(answer.objects[0].key, "f/a") == 0);
	EXPECT(strcmp(answer.objects[0].upload, parts.upload) == 0);
	EXPECT_PART(has_parts(suite, "f/a", &parts, 1));
	EXPECT(put_big_part(suite, "f/a", &parts, 3) == FHA_OK);
	EXPECT(put_big_part(suite, "f/a", &parts, 1) == FHA_OK);
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "f/a", &parts, 3, false) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "f/a", big, BIG_SIZE));
	return true;
}

static bool
case_multipart_aborted(StoreSuite *suite)
{
	Parts one;
	Parts other;

	EXPECT(begin(suite, "a", &one) == FHA_OK);
	EXPECT(begin(suite, "a", &other) == FHA_OK);
	EXPECT(strcmp(one.upload, other.upload) != 0);
	EXPECT(put_part(suite, "a", &one, 1, "one", 3) == FHA_OK);
	EXPECT(put_part(suite, "a", &other, 1, "other", 5) == FHA_OK);
	EXPECT_PART(has_uploads(suite, "a", 2));
	EXPECT(of_upload(suite, FHA_STORE_ABORT, "a", &one, 0, false) == FHA_OK);
	EXPECT_PART(has_uploads(suite, "a", 1));
	EXPECT(put_part(suite, "a", &one, 1, "one", 3) == FHA_NOT_FOUND);
	EXPECT(of_upload(suite, FHA_STORE_PARTS, "a", &one, 0, false) == FHA_NOT_FOUND);
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &one, 1, false) == FHA_NOT_FOUND);
	EXPECT(of_upload(suite, FHA_STORE_ABORT, "a", &one, 0, false) == FHA_OK);
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &other, 1, true) == FHA_OK);
	EXPECT_PART(has_text(suite, "a", "other"));
	EXPECT_PART(has_uploads(suite, "", 0));
	return true;
}

/* --- several at a time */

/* All of them side by side; the code of each is left in codes[], and `owner` is used for it.  False: one could not be started. */
static bool
run_together(StoreSuite *suite, FhaStoreRequest *requests, FhaCode *codes, size_t count)
{
	size_t started = 0;
	size_t ended = 0;

	while (ended < count)
	{
		while (started < count && started - ended < FHA_STORE_CALLS_MAX)
		{
			requests[started].owner = &codes[started];
			requests[started].deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS;
			if (fha_store_start(suite->store, &requests[started], NULL, &answer.error) != FHA_OK)
				return false;
			started++;
		}
		while (fha_store_step(suite->store, &answer) == FHA_OK)
		{
			*(FhaCode *) answer.owner = answer.code;
			ended++;
		}
		if (ended < count)
			await_store(suite->store);
	}
	return true;
}

#define RACERS 8

static bool
case_create_race(StoreSuite *suite)
{
	FhaStoreRequest requests[RACERS];
	FhaCode codes[RACERS];
	char texts[RACERS][32];
	size_t winner = RACERS;

	for (size_t i = 0; i < RACERS; i++)
	{
		(void) snprintf(texts[i], sizeof(texts[i]), "by racer %zu", i);
		requests[i] = (FhaStoreRequest){.verb = FHA_STORE_PUT,
										.key = "f/race",
										.data = texts[i],
										.size = strlen(texts[i]),
										.if_absent = true};
	}
	EXPECT(run_together(suite, requests, codes, RACERS));
	for (size_t i = 0; i < RACERS; i++)
	{
		EXPECT(codes[i] == FHA_OK || codes[i] == FHA_CONFLICT);
		EXPECT(codes[i] == FHA_CONFLICT || winner == RACERS);
		if (codes[i] == FHA_OK)
			winner = i;
	}
	EXPECT(winner < RACERS);
	EXPECT_PART(has_text(suite, "f/race", texts[winner]));
	return true;
}

static bool
case_parts_together(StoreSuite *suite)
{
	FhaStoreRequest requests[3];
	FhaCode codes[3];
	Parts parts;

	EXPECT(begin(suite, "a", &parts) == FHA_OK);
	for (unsigned i = 0; i < 3; i++)
		requests[i] = (FhaStoreRequest){.verb = FHA_STORE_PART,
										.key = "a",
										.upload = parts.upload,
										.number = i + 1,
										.part_size = PART,
										.data = big + i * PART,
										.size = i == 2 ? BIG_SIZE - 2 * PART : PART};
	EXPECT(run_together(suite, requests, codes, 3));
	for (size_t i = 0; i < 3; i++)
		EXPECT(codes[i] == FHA_OK);
	EXPECT(of_upload(suite, FHA_STORE_PARTS, "a", &parts, 0, false) == FHA_OK);
	EXPECT(answer.part_count == 3);
	memcpy(parts.rows, answer.parts, sizeof(parts.rows));
	EXPECT(of_upload(suite, FHA_STORE_COMPLETE, "a", &parts, 3, false) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "a", big, BIG_SIZE));
	return true;
}

/* --- keys and lists */

/* In the order of their bytes. */
static const char *const held_keys[] = {
	" b",
	"!",
	"#frag",
	"$x",
	"%2F",
	"%zz",
	"&a=b;c",
	"'",
	"(1)*",
	"+",
	",",
	".hidden",
	"...",
	":@",
	"<a>",
	"=",
	"?list-type=2",
	"A",
	"[1]",
	"^`{|}",
	"a b+c",
	"a\"b",
	"a-b",
	"a.b",
	"a/b",
	"a/b-c/d",
	"a/b.d",
	"a0",
	"e\xcc\x81",
	"uploads",
	"~",
	"\xc3\xa9",
	"\xe6\x97\xa5\xe6\x9c\xac/\xf0\x9f\x90\x98",
};

/* What a store may refuse as INVALID, but not mistake for another. */
static const char *const odd_keys[] = {
	"/a", "a/",    "a//b", "./x",  "../x", "x/../y", "x/./y",           "x/..",
	"a",  "a/b/c", "\x01", "a\nb", "\x7f", "a\tb",   ".fawkes-store/a", "\\",
};

#define HELD_COUNT (sizeof(held_keys) / sizeof(held_keys[0]))
#define ODD_COUNT (sizeof(odd_keys) / sizeof(odd_keys[0]))

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* Exactly these keys, sorted by the caller or not. */
static bool
lists(StoreSuite *suite, const char *beginning, const char **keys, size_t count)
{
	if (count > 0)
		qsort(keys, count, sizeof(*keys), compare_texts);
	EXPECT(call(suite, (FhaStoreRequest){.verb = FHA_STORE_LIST, .key = beginning}) == FHA_OK);
	for (size_t i = 0; i < count && i < answer.object_count; i++)
	{
		EXPECT(strcmp(answer.objects[i].key, keys[i]) == 0);
		EXPECT(!answer.objects[i].is_folder);
		EXPECT(answer.objects[i].size == strlen(keys[i]));
	}
	EXPECT(answer.object_count == count);
	EXPECT(answer.next == NULL);
	return true;
}

static bool
case_keys(StoreSuite *suite)
{
	const char *keys[HELD_COUNT + ODD_COUNT];
	size_t count = 0;

	for (size_t i = 0; i < HELD_COUNT; i++)
	{
		EXPECT(put_text(suite, held_keys[i], held_keys[i]) == FHA_OK);
		keys[count++] = held_keys[i];
	}
	EXPECT_PART(lists(suite, "", keys, count));
	for (size_t i = 0; i < ODD_COUNT; i++)
	{
		FhaCode code = put(suite, odd_keys[i], odd_keys[i], strlen(odd_keys[i]), true);

		EXPECT(code == FHA_OK || (code == FHA_INVALID && !suite->fixture->holds_any_key));
		if (code == FHA_OK)
			keys[count++] = odd_keys[i];
		else
			EXPECT(stat_key(suite, odd_keys[i]) != FHA_OK);
	}
	for (size_t i = 0; i < count; i++)
		EXPECT_PART(has_text(suite, keys[i], keys[i]));
	EXPECT_PART(lists(suite, "", keys, count));
	for (size_t i = 0; i < count; i++)
		EXPECT(delete_key(suite, keys[i]) == FHA_OK);
	EXPECT_PART(lists(suite, "", keys, 0));
	return true;
}

static bool
case_beginnings(StoreSuite *suite)
{
	const char *all[] = {"a", "ab", "b/c", "b/cd/e", "b/cd/f", "b/d", "bc"};
	const char *of_a[] = {"a", "ab"};
	const char *of_b[] = {"b/c", "b/cd/e", "b/cd/f", "b/d"};
	const char *of_bc[] = {"b/c", "b/cd/e", "b/cd/f"};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		EXPECT(put_text(suite, all[i], all[i]) == FHA_OK);
	EXPECT_PART(lists(suite, "", all, 7));
	EXPECT_PART(lists(suite, "a", of_a, 2));
	EXPECT_PART(lists(suite, "b/", of_b, 4));
	EXPECT_PART(lists(suite, "b/c", of_bc, 3));
	EXPECT_PART(lists(suite, "b/cd/", of_bc + 1, 2));
	EXPECT_PART(lists(suite, "b/cd/x", NULL, 0));
	EXPECT_PART(lists(suite, "c/", NULL, 0));
	EXPECT_PART(lists(suite, "..", NULL, 0));
	return true;
}

/* What a list with a delimiter shows; folders end in '/'. */
static bool
shows(StoreSuite *suite, const char *beginning, const char *const *expected, size_t count)
{
	EXPECT(call(suite, (FhaStoreRequest){
						   .verb = FHA_STORE_LIST, .key = beginning, .delimiter = true}) == FHA_OK);
	EXPECT(answer.object_count == count);
	for (size_t i = 0; i < count; i++)
	{
		const FhaStoreObject *found = NULL;

		for (size_t j = 0; j < count; j++)
			if (strcmp(answer.objects[j].key, expected[i]) == 0)
				found = &answer.objects[j];
		EXPECT(found != NULL);
		EXPECT(found->is_folder == (expected[i][strlen(expected[i]) - 1] == '/'));
	}
	return true;
}

static bool
case_folders(StoreSuite *suite)
{
	static const char *const all[] = {"a", "b/c/d/e", "b/c/f", "b/g", "bh/i", "b-j"};
	static const char *const top[] = {"a", "b-j", "b/", "bh/"};
	static const char *const of_b[] = {"b/c/", "b/g"};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		EXPECT(put_text(suite, all[i], all[i]) == FHA_OK);
	EXPECT_PART(shows(suite, "", top, 4));
	EXPECT_PART(shows(suite, "b", top + 1, 3));
	EXPECT_PART(shows(suite, "b/", of_b, 2));
	EXPECT_PART(shows(suite, "b/c", of_b, 1));
	EXPECT(delete_key(suite, "b/c/d/e") == FHA_OK);
	EXPECT_PART(shows(suite, "b/", of_b, 2));
	EXPECT(delete_key(suite, "b/c/f") == FHA_OK);
	EXPECT_PART(shows(suite, "b/", of_b + 1, 1));
	return true;
}

static void
page_key(char *out, size_t size, unsigned number)
{
	(void) snprintf(out, size, "p/%02u/%05u", number % 7, number);
}

/* All pages: each key in its order, once. */
static bool
pages_are_whole(StoreSuite *suite, const char *beginning, unsigned count)
{
	char last[64] = "";
	char next[FHA_STORE_PAGE_SIZE] = "";
	unsigned seen = 0;

	for (unsigned pages = 0; pages == 0 || next[0] != '\0'; pages++)
	{
		EXPECT(pages <= 2 + count / 10);
		EXPECT(call(suite, (FhaStoreRequest){.verb = FHA_STORE_LIST,
											 .key = beginning,
											 .page = pages == 0 ? NULL : next}) == FHA_OK);
		EXPECT(answer.object_count <= FHA_STORE_LIST_MAX);
		for (size_t i = 0; i < answer.object_count; i++)
		{
			EXPECT(strcmp(answer.objects[i].key, last) > 0);
			(void) snprintf(last, sizeof(last), "%s", answer.objects[i].key);
		}
		seen += (unsigned) answer.object_count;
		(void) snprintf(next, sizeof(next), "%s", answer.next == NULL ? "" : answer.next);
	}
	EXPECT(seen == count);
	return true;
}

static bool
delete_pages(StoreSuite *suite, char (*keys)[32], unsigned count)
{
	const char *names[FHA_STORE_DELETE_MAX];

	for (unsigned from = 0; from < count; from += FHA_STORE_DELETE_MAX)
	{
		unsigned some = count - from < FHA_STORE_DELETE_MAX ? count - from : FHA_STORE_DELETE_MAX;

		for (unsigned i = 0; i < some; i++)
			names[i] = keys[from + i];
		EXPECT(call(suite, (FhaStoreRequest){.verb = FHA_STORE_DELETE,
											 .keys = names,
											 .key_count = some}) == FHA_OK);
	}
	return true;
}

/* The rows are of `count` objects, and belong to the caller. */
static bool
fill_and_list_pages(StoreSuite *suite, FhaStoreRequest *requests, FhaCode *codes, char (*keys)[32],
					unsigned count)
{
	for (unsigned i = 0; i < count; i++)
	{
		page_key(keys[i], sizeof(keys[i]), i);
		requests[i] =
			(FhaStoreRequest){.verb = FHA_STORE_PUT, .key = keys[i], .data = "x", .size = 1};
	}
	EXPECT(put_text(suite, "o", "before") == FHA_OK);
	EXPECT(put_text(suite, "q", "behind") == FHA_OK);
	EXPECT(run_together(suite, requests, codes, count));
	for (unsigned i = 0; i < count; i++)
		EXPECT(codes[i] == FHA_OK);
	EXPECT_PART(pages_are_whole(suite, "p/", count));
	EXPECT_PART(pages_are_whole(suite, "", count + 2));
	EXPECT_PART(delete_pages(suite, keys, count - 1));
	EXPECT_PART(pages_are_whole(suite, "p/", 1));
	EXPECT_PART(pages_are_whole(suite, "", 3));
	return true;
}

static bool
case_pages(StoreSuite *suite)
{
	unsigned count = suite->fixture->page_objects;
	FhaStoreRequest *requests = calloc(count, sizeof(*requests));
	FhaCode *codes = calloc(count, sizeof(*codes));
	char(*keys)[32] = calloc(count, sizeof(*keys));
	bool ok = requests != NULL && codes != NULL && keys != NULL &&
			  fill_and_list_pages(suite, requests, codes, keys, count);

	free(requests);
	free(codes);
	free(keys);
	return ok;
}

static bool
case_delete(StoreSuite *suite)
{
	const char *keys[] = {"a", "absent", "f/b", "f/absent/x", "f/c", "a"};
	const char *rest[] = {"f/d"};

	for (size_t i = 0; i < 5; i += 2)
		EXPECT(put_text(suite, keys[i], "x") == FHA_OK);
	EXPECT(put_text(suite, "f/d", "f/d") == FHA_OK);
	EXPECT(call(suite, (FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = keys, .key_count = 6}) ==
		   FHA_OK);
	EXPECT_PART(lists(suite, "", rest, 1));
	return true;
}

/* --- the host's side */

static bool
case_backpressure(StoreSuite *suite)
{
	Taken taken = {.at_once = 1000003};
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = "big",
							   .offset = 1,
							   .take = take,
							   .owner = &taken,
							   .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	FhaStoreCall *started;
	unsigned pauses = 0;
	bool same;

	EXPECT(put(suite, "big", big, BIG_SIZE, true) == FHA_OK);
	/* Of a store that gives smaller pieces, each is cut. */
	taken.at_once = 4099;
	EXPECT(fha_store_start(suite->store, &request, &started, NULL) == FHA_OK);
	while (fha_store_step(suite->store, &answer) == FHA_AGAIN)
	{
		if (started->paused)
		{
			pauses++;
			/* Now and then a step comes before the taker is ready: nothing is given to it. */
			if (pauses % 16 == 0)
			{
				size_t before = taken.size;

				EXPECT(fha_store_step(suite->store, &answer) == FHA_AGAIN);
				EXPECT(taken.size == before);
			}
			fha_store_resume(suite->store, started);
		}
		else
			await_store(suite->store);
	}
	same = taken.size == BIG_SIZE - 1 && memcmp(taken.data, big + 1, taken.size) == 0;
	taken_release(&taken);
	EXPECT(answer.code == FHA_OK);
	EXPECT(same);
	EXPECT(pauses > 100);
	return true;
}

static bool
is_refused(StoreSuite *suite, FhaStoreRequest request)
{
	EXPECT(call(suite, request) == FHA_INVALID);
	EXPECT(answer.tries == 0);
	EXPECT(answer.error.text[0] != '\0');
	return true;
}

static bool
case_hostile(StoreSuite *suite)
{
	static char long_text[FHA_STORE_PAGE_SIZE + 10];
	const char *key = "a";
	const char *no_keys[] = {NULL};
	FhaStorePart row = {.number = 2, .size = 3, .tag = "t"};

	memset(long_text, 'x', sizeof(long_text) - 1);
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = (FhaStoreVerb) 99, .key = key}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_STAT}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_STAT, .key = ""}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_STAT, .key = long_text}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_STAT, .key = "\xff"}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_STAT, .key = "a\xc3"}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_LIST, .key = "\xff"}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_LIST, .page = ""}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_LIST, .page = long_text}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_GET, .key = key}));
	EXPECT_PART(is_refused(
		suite,
		(FhaStoreRequest){
			.verb = FHA_STORE_GET, .key = key, .take = take, .offset = INT64_MAX, .length = 1}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_PUT, .key = key, .size = 1}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_PUT,
													.key = key,
													.data = key,
													.size = (size_t) FHA_STORE_WRITE_MAX + 1}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = &key}));
	EXPECT_PART(is_refused(
		suite, (FhaStoreRequest){.verb = FHA_STORE_DELETE, .keys = no_keys, .key_count = 1}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_DELETE,
													.keys = &key,
													.key_count = FHA_STORE_DELETE_MAX + 1}));
	EXPECT_PART(is_refused(
		suite, (FhaStoreRequest){.verb = FHA_STORE_BEGIN, .key = key, .part_size = PART - 1}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_ABORT, .key = key}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_PART,
													.key = key,
													.upload = "u",
													.number = 0,
													.part_size = PART,
													.data = key,
													.size = 1}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_PART,
													.key = key,
													.upload = "u",
													.number = 1,
													.part_size = PART,
													.data = big,
													.size = PART + 1}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_PART,
													.key = key,
													.upload = "u",
													.number = 1,
													.part_size = PART,
													.size = 1}));
	EXPECT_PART(is_refused(
		suite, (FhaStoreRequest){.verb = FHA_STORE_COMPLETE, .key = key, .upload = "u"}));
	EXPECT_PART(is_refused(suite, (FhaStoreRequest){.verb = FHA_STORE_COMPLETE,
													.key = key,
													.upload = "u",
													.parts = &row,
													.part_count = 1}));
	EXPECT_PART(lists(suite, "", NULL, 0));
	return true;
}

static bool
case_deadline(StoreSuite *suite)
{
	FhaStoreRequest request = {.verb = FHA_STORE_PUT, .key = "a", .data = "x", .size = 1};

	EXPECT(fha_store_call(suite->store, &request, &answer) == FHA_TIMEOUT);
	EXPECT(answer.tries == 0);
	EXPECT(stat_key(suite, "a") == FHA_NOT_FOUND);
	return true;
}

static bool
case_cancel(StoreSuite *suite)
{
	FhaStoreCall *calls[4];
	Taken taken = {.at_once = 10};
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = "big",
							   .take = take,
							   .owner = &taken,
							   .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};

	EXPECT(put(suite, "big", big, BIG_SIZE, true) == FHA_OK);
	for (size_t i = 0; i < 4; i++)
		EXPECT(fha_store_start(suite->store, &request, &calls[i], NULL) == FHA_OK);
	fha_store_cancel(suite->store, calls[0]);
	while (!calls[2]->paused || !calls[3]->paused)
	{
		EXPECT(fha_store_step(suite->store, &answer) == FHA_AGAIN);
		if (!calls[2]->paused || !calls[3]->paused)
			await_store(suite->store);
	}
	fha_store_cancel(suite->store, calls[2]);
	fha_store_resume(suite->store, calls[3]);
	fha_store_cancel(suite->store, calls[3]);
	fha_store_cancel(suite->store, calls[1]);
	taken_release(&taken);
	EXPECT(fha_store_step(suite->store, &answer) == FHA_AGAIN);
	EXPECT_PART(has_bytes(suite, "big", big, BIG_SIZE));
	return true;
}

/* The object is whole, or there is none. */
static bool
is_whole_or_absent(StoreSuite *suite, const char *key, const char *data, size_t size)
{
	if (stat_key(suite, key) == FHA_NOT_FOUND)
		return true;
	return has_bytes(suite, key, data, size);
}

static bool
case_close_in_the_middle(StoreSuite *suite)
{
	static const char *const keys[] = {"a", "b", "f/c", "f/d"};
	char *copy = malloc(BIG_SIZE);

	if (copy == NULL)
		abort();
	memcpy(copy, big, BIG_SIZE);
	for (size_t i = 0; i < 4; i++)
	{
		FhaStoreRequest request = {.verb = FHA_STORE_PUT,
								   .key = keys[i],
								   .data = copy,
								   .size = BIG_SIZE,
								   .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};

		EXPECT(fha_store_start(suite->store, &request, NULL, NULL) == FHA_OK);
	}
	EXPECT(fha_store_step(suite->store, &answer) == FHA_AGAIN || answer.code == FHA_OK);
	fha_store_close(suite->store);
	free(copy);
	suite->store = suite->fixture->open();
	for (size_t i = 0; i < 4; i++)
		EXPECT_PART(is_whole_or_absent(suite, keys[i], big, BIG_SIZE));
	return true;
}

static bool
case_full_house(StoreSuite *suite)
{
	FhaStoreRequest request = {
		.verb = FHA_STORE_STAT, .key = "a", .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	unsigned ended = 0;

	for (unsigned i = 0; i < FHA_STORE_CALLS_MAX; i++)
		EXPECT(fha_store_start(suite->store, &request, NULL, NULL) == FHA_OK);
	EXPECT(fha_store_start(suite->store, &request, NULL, NULL) == FHA_CONFLICT);
	EXPECT(fha_store_call(suite->store, &request, &answer) == FHA_INVALID);
	while (ended < FHA_STORE_CALLS_MAX)
	{
		if (fha_store_step(suite->store, &answer) == FHA_AGAIN)
			await_store(suite->store);
		else
		{
			EXPECT(answer.code == FHA_NOT_FOUND);
			ended++;
		}
	}
	EXPECT(stat_key(suite, "a") == FHA_NOT_FOUND);
	return true;
}

/* --- what goes wrong on the way */

static bool
case_cut(StoreSuite *suite)
{
	if (suite->fixture->cut_body == NULL)
		return true;
	EXPECT(put(suite, "big", big, BIG_SIZE, true) == FHA_OK);
	suite->fixture->cut_body(0);
	EXPECT_PART(has_bytes(suite, "big", big, BIG_SIZE));
	suite->fixture->cut_body(PART + 3);
	EXPECT_PART(has_range(suite, 5, 2 * PART, 2 * PART));
	EXPECT(answer.tries > 1);
	return true;
}

/* Steps until so much was taken and the try has ended. */
static bool
step_until_cut(StoreSuite *suite, const FhaStoreCall *started, const Taken *taken)
{
	while (taken->size == 0 || started->state != FHA_STORE_CALL_WAITS)
	{
		EXPECT(fha_store_step(suite->store, &answer) == FHA_AGAIN);
		if (taken->size == 0 || started->state != FHA_STORE_CALL_WAITS)
			await_store(suite->store);
	}
	return true;
}

static bool
case_replaced_after_a_cut(StoreSuite *suite)
{
	Taken taken = {0};
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = "big",
							   .take = take,
							   .owner = &taken,
							   .deadline_at_ms = fha_now_ms() + AWAIT_MAX_MS};
	StoreSuite other = *suite;
	FhaStoreCall *started;
	FhaCode code;
	bool is_old;

	if (suite->fixture->cut_body == NULL)
		return true;
	EXPECT(put(suite, "big", big, BIG_SIZE - 1, true) == FHA_OK);
	suite->fixture->cut_body(PART);
	EXPECT(fha_store_start(suite->store, &request, &started, NULL) == FHA_OK);
	EXPECT_PART(step_until_cut(suite, started, &taken));
	other.store = suite->fixture->open();
	code = put(&other, "big", big + 1, BIG_SIZE - 1, false);
	fha_store_close(other.store);
	EXPECT(code == FHA_OK);
	while (fha_store_step(suite->store, &answer) == FHA_AGAIN)
		await_store(suite->store);
	is_old =
		taken.size > 0 && taken.size < BIG_SIZE - 1 && memcmp(taken.data, big, taken.size) == 0;
	taken_release(&taken);
	EXPECT(answer.code == FHA_CONFLICT);
	EXPECT(is_old);
	return true;
}

static bool
case_lost_answers(StoreSuite *suite)
{
	Parts parts;
	FhaCode code;

	if (suite->fixture->lose_answer == NULL)
		return true;
	suite->fixture->lose_answer();
	code = put(suite, "a", "mine", 4, true);
	EXPECT(code == FHA_OK || (code == FHA_CONFLICT && answer.may_be_own));
	EXPECT_PART(has_text(suite, "a", "mine"));
	suite->fixture->lose_answer();
	EXPECT(put_text(suite, "a", "replaced") == FHA_OK);
	EXPECT_PART(has_text(suite, "a", "replaced"));
	EXPECT(begin(suite, "b", &parts) == FHA_OK);
	EXPECT(put_part(suite, "b", &parts, 1, "part", 4) == FHA_OK);
	suite->fixture->lose_answer();
	code = of_upload(suite, FHA_STORE_COMPLETE, "b", &parts, 1, true);
	EXPECT(code == FHA_OK || code == FHA_UNKNOWN || (code == FHA_CONFLICT && answer.may_be_own));
	EXPECT_PART(has_text(suite, "b", "part"));
	return true;
}

#define HANG_MS 150

static bool
case_hang(StoreSuite *suite)
{
	FhaStoreRequest request = {.verb = FHA_STORE_STAT, .key = "a"};
	char *copy;

	if (suite->fixture->hang == NULL)
		return true;
	EXPECT(put_text(suite, "a", "x") == FHA_OK);
	suite->fixture->hang();
	request.deadline_at_ms = fha_now_ms() + HANG_MS;
	EXPECT(fha_store_call(suite->store, &request, &answer) == FHA_TIMEOUT);
	copy = malloc(PART);
	if (copy == NULL)
		abort();
	memcpy(copy, big, PART);
	request = (FhaStoreRequest){.verb = FHA_STORE_PUT,
								.key = "f/b",
								.data = copy,
								.size = PART,
								.deadline_at_ms = fha_now_ms() + HANG_MS};
	EXPECT(fha_store_call(suite->store, &request, &answer) == FHA_UNKNOWN ||
		   answer.code == FHA_TIMEOUT);
	free(copy);
	suite->fixture->release();
	EXPECT_PART(has_text(suite, "a", "x"));
	EXPECT_PART(is_whole_or_absent(suite, "f/b", big, PART));
	EXPECT(put(suite, "f/b", big, PART, false) == FHA_OK);
	EXPECT_PART(has_bytes(suite, "f/b", big, PART));
	return true;
}

/* --- running */

#define CASE(name)         \
	{                      \
#name, case_##name \
	}

const StoreCase store_cases[] = {
	CASE(basics),
	CASE(empty),
	CASE(create),
	CASE(create_race),
	CASE(ranges),
	CASE(backpressure),
	CASE(keys),
	CASE(beginnings),
	CASE(folders),
	CASE(pages),
	CASE(delete),
	CASE(multipart),
	CASE(parts_together),
	CASE(multipart_over_an_object),
	CASE(multipart_refused),
	CASE(multipart_resumed),
	CASE(multipart_aborted),
	CASE(hostile),
	CASE(deadline),
	CASE(cancel),
	CASE(close_in_the_middle),
	CASE(full_house),
	CASE(cut),
	CASE(replaced_after_a_cut),
	CASE(lost_answers),
	CASE(hang),
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

	const StoreCase *one = *state;
	char name[64];

	(void) snprintf(name, sizeof(name), "%s ", one->name);
	if (running->left_out != NULL && strstr(running->left_out, name) != NULL)
		skip();
	if (!store_case_run(one, running, &suite))
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
