/*
 * store_test.c: the life of a call, on a store in memory and in played time; and whether the suite notices stores that are wrong.
 */
#include "test/store/conformance.c"
#include "test/store/memory_store.c"
#include "test/store/played.h"

static void
memory_make(void)
{
	memory_clear();
	memory_script_count = memory_script_at = memory_tried = 0;
}

static const StoreFixture memory_fixture = {
	.make = memory_make,
	.unmake = memory_clear,
	.open = memory_open,
	.holds_any_key = true,
	.page_objects = 2 * FHA_STORE_LIST_MAX + 3,
	.cut_body = memory_cut_body,
	.lose_answer = memory_lose_answer,
	.hang = memory_hang,
	.release = memory_release,
};

/* --- stores that are wrong on purpose */

static const StoreCase *
case_named(const char *name)
{
	for (size_t i = 0; i < store_case_count; i++)
		if (strcmp(store_cases[i].name, name) == 0)
			return &store_cases[i];
	fail_msg("no case %s", name);
	return NULL;
}

static void
test_suite_notices(void **state)
{
	StoreSuite suite;

	(void) state;
	for (int fault = MEMORY_RIGHT + 1; fault < MEMORY_FAULTS; fault++)
	{
		bool noticed;

		world.fault = (MemoryFault) fault;
		noticed =
			!store_case_run(case_named(memory_faults[fault].case_name), &memory_fixture, &suite);
		world.fault = MEMORY_RIGHT;
		if (!noticed)
			fail_msg("case %s does not notice a store in which %s", memory_faults[fault].case_name,
					 memory_faults[fault].what);
		assert_string_not_equal(suite.complaint, "");
	}
}

/* --- tries */

static FhaStore *store;

static int
setup(void **state)
{
	(void) state;
	memory_make();
	store = memory_open();
	return 0;
}

static int
teardown(void **state)
{
	(void) state;
	fha_store_close(store);
	memory_clear();
	return 0;
}

static void
script(size_t count, MemoryScript row)
{
	for (size_t i = 0; i < count; i++)
		memory_script[memory_script_count++] = row;
}

static FhaCode
ask(FhaStoreRequest request, int64_t wait_ms)
{
	request.deadline_at_ms = fha_now_ms() + wait_ms;
	return fha_store_call(store, &request, &answer);
}

static FhaCode
ask_stat(int64_t wait_ms)
{
	return ask((FhaStoreRequest){.verb = FHA_STORE_STAT, .key = "a"}, wait_ms);
}

static FhaCode
ask_create(int64_t wait_ms)
{
	return ask(
		(FhaStoreRequest){
			.verb = FHA_STORE_PUT, .key = "a", .data = "x", .size = 1, .if_absent = true},
		wait_ms);
}

/* Each pause is longer than the one before could be short, up to a limit; no two stores pause alike. */
static void
test_pauses_grow(void **state)
{
	int64_t longest_ms = FHA_STORE_PAUSE_MIN_MS;

	(void) state;
	script(14, (MemoryScript){.code = FHA_IO});
	assert_int_equal(ask_create(600000), FHA_OK);
	assert_int_equal(answer.tries, 15);
	assert_int_equal(memory_tried, 15);
	for (size_t i = 1; i < memory_tried; i++)
	{
		int64_t pause_ms = memory_tried_at_ms[i] - memory_tried_at_ms[i - 1];

		assert_in_range(pause_ms, longest_ms / 2, longest_ms);
		longest_ms =
			longest_ms * 2 < FHA_STORE_PAUSE_MAX_MS ? longest_ms * 2 : FHA_STORE_PAUSE_MAX_MS;
	}
}

static void
test_pauses_differ(void **state)
{
	int64_t pauses_ms[8];
	bool differ = false;

	(void) state;
	for (int i = 0; i < 8; i++)
	{
		FhaStore *other = memory_open();
		FhaStoreRequest request = {
			.verb = FHA_STORE_STAT, .key = "a", .deadline_at_ms = fha_now_ms() + 10000};

		memory_tried = 0;
		script(3, (MemoryScript){.code = FHA_AGAIN});
		assert_int_equal(fha_store_call(other, &request, &answer), FHA_NOT_FOUND);
		pauses_ms[i] = memory_tried_at_ms[3] - memory_tried_at_ms[2];
		differ = differ || pauses_ms[i] != pauses_ms[0];
		fha_store_close(other);
	}
	assert_true(differ);
}

static void
test_store_says_when(void **state)
{
	(void) state;
	script(1, (MemoryScript){.code = FHA_AGAIN, .retry_after_ms = 70000});
	assert_int_equal(ask_create(100000), FHA_OK);
	assert_int_equal(memory_tried_at_ms[1] - memory_tried_at_ms[0], 70000);
	/* Longer than there is time: the call ends at once. */
	memory_tried = 0;
	script(1, (MemoryScript){.code = FHA_AGAIN, .retry_after_ms = 70000});
	assert_int_equal(ask_create(60000), FHA_TIMEOUT);
	assert_int_equal(answer.tries, 1);
	assert_string_equal(answer.error.text, "as the script says");
	assert_int_equal(fha_now_ms() - memory_tried_at_ms[0], 0);
}

/* The last pauses are cut, so that a call does not wait for its deadline in vain. */
static void
test_last_tries(void **state)
{
	int64_t begun_at_ms = fha_now_ms();

	(void) state;
	script(30, (MemoryScript){.code = FHA_IO});
	assert_int_equal(ask_stat(30000), FHA_IO);
	assert_true(answer.tries > 8);
	assert_in_range(memory_tried_at_ms[memory_tried - 1] - begun_at_ms, 29800, 30000);
}

static void
test_what_is_final(void **state)
{
	static const FhaCode final[] = {FHA_CONFLICT, FHA_NOT_FOUND, FHA_DENIED, FHA_INVALID, FHA_FULL};

	(void) state;
	for (size_t i = 0; i < sizeof(final) / sizeof(final[0]); i++)
	{
		script(1, (MemoryScript){.code = final[i]});
		assert_int_equal(ask_create(100000), final[i]);
		assert_int_equal(answer.tries, 1);
		assert_int_equal(answer.error.code, final[i]);
		assert_false(answer.may_be_own);
		script(1, (MemoryScript){.code = final[i], .refused = true});
		assert_int_equal(ask_create(100000), final[i]);
	}
}

static void
test_what_is_tried_again(void **state)
{
	static const FhaCode again[] = {FHA_AGAIN,    FHA_IO,        FHA_TIMEOUT,
									FHA_PROTOCOL, FHA_NO_MEMORY, FHA_UNKNOWN};

	(void) state;
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
	{
		script(2, (MemoryScript){.code = again[i], .refused = i % 2 == 1});
		assert_int_equal(ask_stat(100000), FHA_NOT_FOUND);
		assert_int_equal(answer.tries, 3);
	}
}

/* What the deadline makes of the last try, of a read and of a write. */
static void
test_deadline_codes(void **state)
{
	static const struct
	{
		FhaCode last, read, write;
	} rows[] = {
		{FHA_AGAIN, FHA_TIMEOUT, FHA_TIMEOUT},         {FHA_IO, FHA_IO, FHA_IO},
		{FHA_TIMEOUT, FHA_TIMEOUT, FHA_TIMEOUT},       {FHA_PROTOCOL, FHA_PROTOCOL, FHA_PROTOCOL},
		{FHA_NO_MEMORY, FHA_NO_MEMORY, FHA_NO_MEMORY}, {FHA_UNKNOWN, FHA_TIMEOUT, FHA_UNKNOWN}};

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		memory_script_count = memory_script_at = 0;
		script(20, (MemoryScript){.code = rows[i].last});
		assert_int_equal(ask_stat(1000), rows[i].read);
		memory_script_count = memory_script_at = 0;
		script(20, (MemoryScript){.code = rows[i].last});
		assert_int_equal(ask_create(1000), rows[i].write);
		assert_string_equal(answer.error.text, "as the script says");
	}
}

/* A try that may have been applied stays in the answer, whatever the next ones say. */
static void
test_doubt_stays(void **state)
{
	(void) state;
	script(1, (MemoryScript){.code = FHA_UNKNOWN});
	script(1, (MemoryScript){.code = FHA_DENIED});
	assert_int_equal(ask_create(100000), FHA_UNKNOWN);
	assert_int_equal(answer.tries, 2);
	script(1, (MemoryScript){.code = FHA_UNKNOWN});
	script(20, (MemoryScript){.code = FHA_IO});
	assert_int_equal(ask_create(1000), FHA_UNKNOWN);
	memory_script_count = memory_script_at = 0;
	world.loses_answer = true;
	assert_int_equal(ask_create(100000), FHA_CONFLICT);
	assert_true(answer.may_be_own);
	assert_int_equal(ask_create(100000), FHA_CONFLICT);
	assert_false(answer.may_be_own);
	/* Of a read there is none. */
	script(1, (MemoryScript){.code = FHA_UNKNOWN});
	script(1, (MemoryScript){.code = FHA_DENIED});
	assert_int_equal(ask_stat(100000), FHA_DENIED);
}

static void
test_completed_by_an_earlier_try(void **state)
{
	FhaStorePart part = {.number = 1, .size = 1, .tag = "t"};
	FhaStoreRequest request = {
		.verb = FHA_STORE_COMPLETE, .key = "a", .upload = "u", .parts = &part, .part_count = 1};

	(void) state;
	assert_int_equal(ask(request, 100000), FHA_NOT_FOUND);
	script(1, (MemoryScript){.code = FHA_UNKNOWN});
	assert_int_equal(ask(request, 100000), FHA_UNKNOWN);
	assert_non_null(strstr(answer.error.text, "may have completed it"));
}

static void
test_hangs_until_the_deadline(void **state)
{
	int64_t begun_at_ms = fha_now_ms();

	(void) state;
	world.hangs = true;
	assert_int_equal(ask_stat(5000), FHA_TIMEOUT);
	assert_int_equal(fha_now_ms() - begun_at_ms, 5000);
	assert_int_equal(ask_create(5000), FHA_UNKNOWN);
	world.hangs = false;
}

static void
test_a_body_that_ends_early(void **state)
{
	Taken taken = {0};

	(void) state;
	memory_store("a", "0123456789", 10);
	world.fault = MEMORY_BODY_ENDS_EARLY;
	assert_int_equal(
		ask((FhaStoreRequest){.verb = FHA_STORE_GET, .key = "a", .take = take, .owner = &taken}, 1),
		FHA_IO);
	world.fault = MEMORY_RIGHT;
	assert_string_equal(answer.error.text, "the answer ended at byte 5 of 10");
	assert_int_equal(taken.size, 5);
	taken_release(&taken);
}

static void
test_open(void **state)
{
	FhaStoreSettings settings = {.kind = FHA_STORE_KINDS};
	FhaStore *other = NULL;
	FhaError err = {0};

	(void) state;
	assert_int_equal(fha_store_open(&other, &settings, &err), FHA_INVALID);
	settings = (FhaStoreSettings){.kind = FHA_STORE_S3, .region = "somewhere"};
	assert_int_equal(fha_store_open_driver(&other, &memory_driver, &settings, &err), FHA_INVALID);
	assert_null(other);
	fha_store_close(NULL);
	assert_false(fha_store_creates_weakly(store));
	store->creates_weakly = true;
	assert_true(fha_store_creates_weakly(store));
}

/* --- what a driver hands over */

typedef struct Got
{
	FhaStoreCall *call;
	Taken taken;
	FhaError err;
} Got;

/* A GET of bytes [10, 20) of which the driver has heard nothing yet. */
static void
got_start(Got *got)
{
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = "a",
							   .offset = 10,
							   .length = 10,
							   .take = take,
							   .owner = &got->taken,
							   .deadline_at_ms = fha_now_ms() + 1000};

	*got = (Got){0};
	world.hangs = true;
	assert_int_equal(fha_store_start(store, &request, &got->call, NULL), FHA_OK);
	assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
}

static void
got_end(Got *got)
{
	fha_store_cancel(store, got->call);
	taken_release(&got->taken);
	world.hangs = false;
}

static void
test_bytes(void **state)
{
	Got got;
	uint64_t offset;
	uint64_t length;

	(void) state;
	got_start(&got);
	assert_int_equal(fha_store_call_bytes(got.call, 10, "0", 1, &got.err), FHA_PROTOCOL);
	assert_int_equal(fha_store_call_object(got.call, "v1", 30, 7, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_bytes(got.call, 11, "1", 1, &got.err), FHA_PROTOCOL);
	assert_int_equal(fha_store_call_bytes(got.call, 10, "01234", 5, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_bytes(got.call, 12, "23456", 5, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_bytes(got.call, 0, "xxxxx", 5, &got.err), FHA_OK);
	fha_store_call_range(got.call, &offset, &length);
	assert_int_equal(offset, 17);
	assert_int_equal(length, 3);
	assert_int_equal(fha_store_call_bytes(got.call, 17, "789X", 4, &got.err), FHA_PROTOCOL);
	assert_int_equal(fha_store_call_bytes(got.call, 29, "XX", 2, &got.err), FHA_PROTOCOL);
	got.taken.at_once = 1;
	assert_int_equal(fha_store_call_bytes(got.call, 17, "789", 3, &got.err), FHA_AGAIN);
	assert_int_equal(fha_store_call_bytes(got.call, 17, "789", 3, &got.err), FHA_AGAIN);
	assert_int_equal(got.taken.size, 8);
	assert_memory_equal(got.taken.data, "01234567", 8);
	got_end(&got);
}

/* The driver says that the try of a hung GET has ended. */
static void
got_ends(Got *got, FhaCode code)
{
	got->call->result.code = code;
	((MemoryStore *) store)->ended[0] = got->call;
	((MemoryStore *) store)->ended_count = 1;
}

/* All bytes came, and then the connection broke: they are all. */
static void
test_cut_behind_the_last_byte(void **state)
{
	Got got;

	(void) state;
	got_start(&got);
	assert_int_equal(fha_store_call_object(got.call, "v1", 20, 7, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_bytes(got.call, 10, "0123456789", 10, &got.err), FHA_OK);
	got_ends(&got, FHA_IO);
	assert_int_equal(fha_store_step(store, &answer), FHA_OK);
	assert_int_equal(answer.code, FHA_OK);
	assert_int_equal(answer.size, 20);
	taken_release(&got.taken);
}

static void
test_no_size(void **state)
{
	Got got;

	(void) state;
	got_start(&got);
	got_ends(&got, FHA_OK);
	assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
	assert_int_equal(got.call->result.code, FHA_PROTOCOL);
	got_end(&got);
}

/* A host that comes late finds the deadline passed in a pause. */
static void
test_deadline_in_a_pause(void **state)
{
	FhaStoreRequest request = {
		.verb = FHA_STORE_STAT, .key = "a", .deadline_at_ms = fha_now_ms() + 10000};

	(void) state;
	script(1, (MemoryScript){.code = FHA_PROTOCOL});
	assert_int_equal(fha_store_start(store, &request, NULL, NULL), FHA_OK);
	assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
	assert_int_equal(fha_store_step(store, &answer), FHA_AGAIN);
	assert_in_range(fha_store_wake_at_ms(store) - fha_now_ms(), 1, FHA_STORE_PAUSE_MIN_MS);
	played_now_ms += 10000;
	assert_int_equal(fha_store_step(store, &answer), FHA_OK);
	assert_int_equal(answer.code, FHA_PROTOCOL);
	assert_int_equal(answer.tries, 1);
}

static void
test_resume_wakes(void **state)
{
	Got got;

	(void) state;
	got_start(&got);
	fha_store_resume(store, got.call);
	assert_true(fha_store_wake_at_ms(store) > fha_now_ms());
	got.taken.at_once = 1;
	assert_int_equal(fha_store_call_object(got.call, "v1", 20, 7, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_bytes(got.call, 10, "01", 2, &got.err), FHA_AGAIN);
	fha_store_resume(store, got.call);
	assert_int_equal(fha_store_wake_at_ms(store), 0);
	got_end(&got);
}

static void
test_object(void **state)
{
	static const char long_tag[] =
		"0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789";
	Got got;

	(void) state;
	got_start(&got);
	assert_int_equal(fha_store_call_object(got.call, long_tag, 30, 7, &got.err), FHA_PROTOCOL);
	assert_int_equal(fha_store_call_object(got.call, "v", UINT64_MAX, 7, &got.err), FHA_PROTOCOL);
	assert_int_equal(fha_store_call_object(got.call, "v1", 30, 7, &got.err), FHA_OK);
	/* As long as nothing was taken, any will do. */
	assert_int_equal(fha_store_call_object(got.call, "v2", 31, 7, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_bytes(got.call, 10, "0", 1, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_object(got.call, "v2", 31, 7, &got.err), FHA_OK);
	assert_int_equal(fha_store_call_object(got.call, "v2", 30, 7, &got.err), FHA_CONFLICT);
	assert_int_equal(fha_store_call_object(got.call, "v1", 31, 7, &got.err), FHA_CONFLICT);
	assert_int_equal(fha_store_call_object(got.call, "", 31, 7, &got.err), FHA_CONFLICT);
	got_end(&got);
}

static void
test_results(void **state)
{
	FhaStoreSettings settings = {.prefix = "p/q"};
	FhaStoreObject object = {.size = 1};
	FhaStoreResult result = {0};
	FhaError err;
	char tag[FHA_STORE_TAG_SIZE + 1];

	(void) state;
	assert_int_equal(fha_store_add_object(&result, &settings, "p/q/a", 5, &object, &err), FHA_OK);
	assert_string_equal(result.objects[0].key, "a");
	assert_int_equal(fha_store_add_object(&result, &settings, "p/q/", 4, &object, &err),
					 FHA_PROTOCOL);
	assert_int_equal(fha_store_add_object(&result, &settings, "p/qa/b", 6, &object, &err),
					 FHA_PROTOCOL);
	assert_int_equal(fha_store_add_object(&result, &settings, "x/q/a", 5, &object, &err),
					 FHA_PROTOCOL);
	assert_int_equal(fha_store_add_object(&result, &settings, "p/q/\xff", 5, &object, &err),
					 FHA_PROTOCOL);
	while (result.object_count < FHA_STORE_LIST_MAX)
		assert_int_equal(fha_store_add_object(&result, &settings, "p/q/a", 5, &object, &err),
						 FHA_OK);
	assert_int_equal(fha_store_add_object(&result, &settings, "p/q/a", 5, &object, &err),
					 FHA_PROTOCOL);
	memset(tag, 't', sizeof(tag));
	tag[FHA_STORE_TAG_SIZE] = '\0';
	assert_int_equal(fha_store_add_part(&result, 0, 1, "t", &err), FHA_PROTOCOL);
	assert_int_equal(fha_store_add_part(&result, FHA_STORE_PARTS_MAX + 1, 1, "t", &err),
					 FHA_PROTOCOL);
	assert_int_equal(fha_store_add_part(&result, 1, 1, "", &err), FHA_PROTOCOL);
	assert_int_equal(fha_store_add_part(&result, 1, 1, tag, &err), FHA_PROTOCOL);
	for (unsigned i = 1; i <= FHA_STORE_LIST_MAX; i++)
		assert_int_equal(fha_store_add_part(&result, i, 1, "t", &err), FHA_OK);
	assert_int_equal(fha_store_add_part(&result, 1, 1, "t", &err), FHA_PROTOCOL);
	assert_int_equal(fha_store_set_text(&result.next, "", 10, &err), FHA_PROTOCOL);
	assert_int_equal(fha_store_set_text(&result.next, "0123456789", 10, &err), FHA_PROTOCOL);
	assert_int_equal(fha_store_set_text(&result.next, "012345678", 10, &err), FHA_OK);
	assert_int_equal(fha_store_set_text(&result.next, "next", 10, &err), FHA_OK);
	assert_string_equal(result.next, "next");
	fha_store_result_release(&result);
	assert_null(result.objects);
}

/* A prefix goes before each key, and counts against its length. */
static void
test_prefix(void **state)
{
	FhaStoreSettings settings = {.prefix = "p/q"};
	const char *keys[] = {"a", "b"};
	FhaStoreRequest request = {.verb = FHA_STORE_DELETE, .keys = keys, .key_count = 2};
	char key[FHA_STORE_KEY_SIZE];
	FhaStoreAsked *asked = fha_store_asked_make(&request, &settings);

	(void) state;
	assert_string_equal(asked->full_keys[1], "p/q/b");
	fha_store_asked_hold(asked);
	fha_store_asked_release(asked);
	assert_string_equal(asked->request.keys[0], "a");
	fha_store_asked_release(asked);
	request = (FhaStoreRequest){.verb = FHA_STORE_LIST, .page = "next"};
	asked = fha_store_asked_make(&request, &settings);
	assert_string_equal(asked->full_key, "p/q/");
	assert_string_equal(asked->request.page, "next");
	fha_store_asked_release(asked);
	/* "p/q/" and 1020 bytes are 1024. */
	memset(key, 'k', sizeof(key));
	key[1020] = '\0';
	request = (FhaStoreRequest){.verb = FHA_STORE_STAT, .key = key};
	assert_int_equal(fha_store_request_check(&request, &settings, NULL), FHA_OK);
	key[1020] = 'k';
	key[1021] = '\0';
	assert_int_equal(fha_store_request_check(&request, &settings, NULL), FHA_INVALID);
}

/* --- urls and settings */

typedef struct UrlRow
{
	const char *url;
	FhaStoreKind kind;
	const char *bucket, *account, *prefix, *path, *endpoint;
	const char *printed; /* NULL: as it was given */
} UrlRow;

static void
test_urls(void **state)
{
	static const UrlRow rows[] = {
		{"s3://bucket", FHA_STORE_S3, "bucket", "", "", "", "", NULL},
		{"s3://bucket//", FHA_STORE_S3, "bucket", "", "", "", "", "s3://bucket"},
		{"s3://a.b-c_D/x/y//z/", FHA_STORE_S3, "a.b-c_D", "", "x/y//z", "", "",
		 "s3://a.b-c_D/x/y//z"},
		{"gs://bucket/p", FHA_STORE_GCS, "bucket", "", "p", "", "", NULL},
		{"https://me.blob.core.windows.net/c/p", FHA_STORE_AZURE, "c", "me", "p", "",
		 "https://me.blob.core.windows.net", NULL},
		{"http://127.0.0.1:10000/me/c/p/q", FHA_STORE_AZURE, "c", "me", "p/q", "",
		 "http://127.0.0.1:10000", NULL},
		{"dir:/a/b", FHA_STORE_DIR, "", "", "", "/a/b", "", NULL},
		{"dir:/a?b#c@d/", FHA_STORE_DIR, "", "", "", "/a?b#c@d", "", "dir:/a?b#c@d"},
		{"dir:/", FHA_STORE_DIR, "", "", "", "/", "", NULL},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		FhaStoreSettings settings = {0};
		char printed[FHA_STORE_KEY_SIZE];

		assert_int_equal(fha_store_url_parse(&settings, rows[i].url, NULL), FHA_OK);
		assert_int_equal(settings.kind, rows[i].kind);
		assert_string_equal(settings.bucket, rows[i].bucket);
		assert_string_equal(settings.account, rows[i].account);
		assert_string_equal(settings.prefix, rows[i].prefix);
		assert_string_equal(settings.path, rows[i].path);
		assert_string_equal(settings.endpoint, rows[i].endpoint);
		fha_store_url_print(&settings, printed, sizeof(printed));
		assert_string_equal(printed, rows[i].printed == NULL ? rows[i].url : rows[i].printed);
	}
}

static void
test_urls_refused(void **state)
{
	static const char *const urls[] = {
		"",
		"s3:",
		"s3://",
		"s3:///x",
		"s3://.a/x",
		"s3://a b/",
		"s3://a/\xff",
		"ftp://a/b",
		"dir:relative",
		"dir:",
		"/a/b",
		"https://",
		"https://h",
		"https://h/account",
		"https:///a/c",
		"gs://x?y",
		"http://h/a b/c",
		"S3://bucket/p",
		"s3://a:b/c",
		"https://.blob.core.windows.net/c",
	};
	static const char *const secret_urls[] = {"s3://SECRET@bucket/x", "s3://b/x?k=SECRET",
											  "https://me.blob.core.windows.net/c?sig=SECRET",
											  "https://h/a/c#SECRET"};
	char long_url[2 * FHA_PATH_SIZE];
	FhaStoreSettings settings = {0};
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		assert_int_equal(fha_store_url_parse(&settings, urls[i], &err), FHA_INVALID);
	for (size_t i = 0; i < sizeof(secret_urls) / sizeof(secret_urls[0]); i++)
	{
		assert_int_equal(fha_store_url_parse(&settings, secret_urls[i], &err), FHA_INVALID);
		assert_null(strstr(err.text, "SECRET"));
	}
	memset(long_url, 'x', sizeof(long_url));
	long_url[sizeof(long_url) - 1] = '\0';
	memcpy(long_url, "dir:/", 5);
	assert_int_equal(fha_store_url_parse(&settings, long_url, &err), FHA_INVALID);
	memcpy(long_url, "s3://b/", 7);
	assert_int_equal(fha_store_url_parse(&settings, long_url, &err), FHA_INVALID);
	memcpy(long_url, "s3://bxx", 8);
	assert_int_equal(fha_store_url_parse(&settings, long_url, &err), FHA_INVALID);
	memcpy(long_url, "https://", 8);
	assert_int_equal(fha_store_url_parse(&settings, long_url, &err), FHA_INVALID);
}

static void
test_settings_are_copied(void **state)
{
	char access[] = "access";
	char secret[] = "secret";
	FhaStoreSettings settings = {.kind = FHA_STORE_S3,
								 .bucket = "b",
								 .identity = FHA_STORE_BY_KEY,
								 .access = {.text = access},
								 .secret = {.text = secret, .file = "/a/file"}};
	FhaStoreSettings copy;

	(void) state;
	assert_int_equal(fha_store_settings_copy(&copy, &settings, NULL), FHA_OK);
	secret[0] = 'X';
	assert_string_equal(copy.secret.text, "secret");
	assert_string_equal(copy.secret.file, "/a/file");
	assert_string_equal(copy.access.text, "access");
	assert_null(copy.token.text);
	fha_store_settings_release(&copy);
	assert_null(copy.secret.text);
	assert_string_equal(copy.bucket, "");
}

#define TRY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest more[] = {
		cmocka_unit_test(test_suite_notices),
		TRY(test_pauses_grow),
		TRY(test_pauses_differ),
		TRY(test_store_says_when),
		TRY(test_last_tries),
		TRY(test_what_is_final),
		TRY(test_what_is_tried_again),
		TRY(test_deadline_codes),
		TRY(test_doubt_stays),
		TRY(test_completed_by_an_earlier_try),
		TRY(test_hangs_until_the_deadline),
		TRY(test_a_body_that_ends_early),
		TRY(test_open),
		TRY(test_bytes),
		TRY(test_object),
		TRY(test_cut_behind_the_last_byte),
		TRY(test_no_size),
		TRY(test_deadline_in_a_pause),
		TRY(test_resume_wakes),
		TRY(test_results),
		TRY(test_prefix),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_urls_refused),
		cmocka_unit_test(test_settings_are_copied),
	};

	return store_suite_main(&memory_fixture, more, sizeof(more) / sizeof(more[0]));
}
