/*
 * kube_watch_test.c: lists and watches of any resource, as events of a client.
 *
 * Through a client and TLS: lock/lock_kube_test.c.  Against a real API server: test/test_kube_lock.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/clock.h"
#include "kube/watch.h"

#define OBJECT(name, version) \
	"{\"metadata\":{\"name\":\"" name "\",\"resourceVersion\":\"" version "\"},\"data\":{}}"
#define LIST(version, items) \
	"{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":[" items "]}"
#define LINE(type, object) "{\"type\":\"" type "\",\"object\":" object "}"

static const FhaKubeResource config_maps = {.path = "/api/v1/namespaces/ns/configmaps",
											.selector = "labelSelector=a%3Db",
											.object_max = 4096,
											.list_max = 65536,
											.count_max = 3};

static FhaKube *kube;
static FhaKubeWatch *watch;
static unsigned requests; /* ids that the client has given so far */

static int
set_up(void **state)
{
	FhaKubeConfig config = {.server = "https://127.0.0.1:1", .namespace_ = "ns"};
	FhaError err;

	(void) state;
	assert_int_equal(fha_kube_open(&kube, &config, &err), FHA_OK);
	assert_int_equal(fha_kube_watch_open(&watch, kube, &config_maps, &err), FHA_OK);
	requests = 0;
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	fha_kube_watch_close(watch);
	fha_kube_close(kube);
	return 0;
}

/* What the request under way brought, or how it ended. */
static void
hear(const char *text, bool ended, int status)
{
	FhaKubeEvent event = {.id = requests,
						  .ended = ended,
						  .status = status,
						  .code = status == 200 ? FHA_OK : FHA_PROTOCOL,
						  .data = text,
						  .size = strlen(text)};

	assert_true(fha_kube_watch_hear(watch, &event));
	if (ended)
		fha_kube_cancel(kube, requests);
}

static void
begin(void)
{
	fha_kube_watch_begin(watch);
	requests++;
	assert_true(fha_kube_watch_wake_at_ms(watch) == INT64_MAX);
}

static void
assert_news(FhaKubeNewsKind kind, const char *name)
{
	FhaKubeNews news;

	assert_true(fha_kube_watch_wake_at_ms(watch) <= fha_now_ms());
	assert_true(fha_kube_watch_next(watch, &news));
	assert_int_equal(news.kind, kind);
	if (kind != FHA_KUBE_NEWS_SYNCED)
		assert_string_equal(news.name, name);
	assert_true((kind == FHA_KUBE_NEWS_OBJECT) == (news.object != NULL));
	if (news.object != NULL)
		assert_non_null(json_object_object_get(news.object, "data"));
}

static void
assert_no_news(void)
{
	FhaKubeNews news;

	assert_false(fha_kube_watch_next(watch, &news));
}

/* A list after a pause, as the next thing. */
static void
assert_pauses(void)
{
	assert_no_news();
	assert_true(fha_kube_watch_wake_at_ms(watch) > fha_now_ms());
}

static void
list(const char *text)
{
	begin();
	hear(text, true, 200);
}

static void
all_is_told_and_then_each_change(void **state)
{
	(void) state;
	list(LIST("7", OBJECT("a", "5") "," OBJECT("b", "6")));
	assert_news(FHA_KUBE_NEWS_OBJECT, "a");
	assert_news(FHA_KUBE_NEWS_OBJECT, "b");
	assert_news(FHA_KUBE_NEWS_SYNCED, NULL);
	assert_no_news();
	begin();
	hear(LINE("MODIFIED", OBJECT("a", "8")), false, 200);
	assert_news(FHA_KUBE_NEWS_OBJECT, "a");
	hear(LINE("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"9\"}}"), false, 200);
	assert_no_news();
	hear(LINE("ADDED", OBJECT("c", "10")), false, 200);
	assert_news(FHA_KUBE_NEWS_OBJECT, "c");
	hear(LINE("DELETED", OBJECT("b", "11")), false, 200);
	assert_news(FHA_KUBE_NEWS_GONE, "b");
	assert_no_news();
	fha_kube_watch_restart(watch);
	/* What was listed before, and what came by the watch, is gone if the list does not have it. */
	list(LIST("12", "7," OBJECT("d", "12")));
	assert_news(FHA_KUBE_NEWS_OBJECT, "d");
	assert_news(FHA_KUBE_NEWS_GONE, "a");
	assert_news(FHA_KUBE_NEWS_GONE, "c");
	assert_news(FHA_KUBE_NEWS_SYNCED, NULL);
}

static void
an_empty_list_is_a_list(void **state)
{
	(void) state;
	list("{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":null}");
	assert_news(FHA_KUBE_NEWS_SYNCED, NULL);
	assert_no_news();
}

static void
another_request_s_event_is_not_taken(void **state)
{
	FhaKubeEvent event = {.id = 77, .ended = true, .data = ""};

	(void) state;
	begin();
	assert_false(fha_kube_watch_hear(watch, &event));
}

/* Each makes a list anew the next thing, after a pause. */
static void
what_cannot_be_told_is_listed_anew(void **state)
{
	static const char *const lines[] = {
		LINE("ADDED", OBJECT("d", "8")), /* more than there may be */
		LINE("ADDED", "{\"metadata\":{\"resourceVersion\":\"8\"}}"),
		LINE("ADDED", "{\"metadata\":{\"name\":\"a\"}}"),
		LINE("DELETED", "{\"metadata\":{\"name\":7}}"),
		LINE("ERROR", "{\"code\":410}"),
		"no JSON",
	};

	(void) state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
	{
		list(LIST("7", OBJECT("a", "4") "," OBJECT("b", "5") "," OBJECT("c", "6")));
		assert_news(FHA_KUBE_NEWS_OBJECT, "a");
		assert_news(FHA_KUBE_NEWS_OBJECT, "b");
		assert_news(FHA_KUBE_NEWS_OBJECT, "c");
		assert_news(FHA_KUBE_NEWS_SYNCED, NULL);
		begin();
		hear(lines[i], false, 200);
		assert_pauses();
		fha_kube_watch_restart(watch);
	}
	begin();
	hear("{}", true, 410);
	assert_pauses();
	fha_kube_watch_restart(watch);
	list(LIST("8", "{\"metadata\":{\"name\":\"a\"}}"));
	assert_pauses();
}

static void
what_the_host_cannot_use_is_listed_anew(void **state)
{
	(void) state;
	list(LIST("7", OBJECT("a", "4") "," OBJECT("b", "5")));
	assert_news(FHA_KUBE_NEWS_OBJECT, "a");
	fha_kube_watch_refuse(watch);
	assert_pauses();
}

static void
assert_no_list(const char *text)
{
	char version[FHA_VERSION_SIZE];
	struct json_object *items;
	FhaError err;

	if (fha_kube_list_parse(text, strlen(text), 1, &items, version, &err) != FHA_PROTOCOL)
		fail_msg("taken: %s", text);
	assert_null(items);
}

static void
a_list_is_whole_or_none(void **state)
{
	(void) state;
	assert_no_list("[]");
	assert_no_list("{\"items\":[]}");
	assert_no_list("{\"metadata\":{},\"items\":[]}");
	assert_no_list(LIST("7", OBJECT("a", "1") "," OBJECT("b", "2")));
	assert_no_list("{\"metadata\":{\"resourceVersion\":\"7\",\"continue\":\"c\"},\"items\":[]}");
	assert_no_list("{\"metadata\":{\"resourceVersion\":7},\"items\":[]}");
	assert_no_list("{\"metadata\":{\"resourceVersion\":\"7\"},\"items\":{}}");
}

static void
assert_no_line(const char *text)
{
	char version[FHA_VERSION_SIZE];
	struct json_object *object;
	FhaKubeChange change;
	FhaError err;

	if (fha_kube_line_parse(text, strlen(text), &change, &object, version, &err) != FHA_PROTOCOL)
		fail_msg("taken: %s", text);
	assert_null(object);
	assert_non_null(strstr(err.text, "a line of the watch"));
}

static void
a_line_has_an_object_with_a_version(void **state)
{
	(void) state;
	assert_no_line("{");
	assert_no_line("{}");
	assert_no_line(LINE("ADDED", "7"));
	assert_no_line(LINE("ADDED", "{\"metadata\":{\"resourceVersion\":7}}"));
	assert_no_line("{\"type\":7,\"object\":{}}");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_is_told_and_then_each_change),        TEST(an_empty_list_is_a_list),
		TEST(another_request_s_event_is_not_taken),    TEST(what_cannot_be_told_is_listed_anew),
		TEST(what_the_host_cannot_use_is_listed_anew), TEST(a_list_is_whole_or_none),
		TEST(a_line_has_an_object_with_a_version),
	};

	return cmocka_run_group_tests_name("kube_watch", tests, NULL, NULL);
}
