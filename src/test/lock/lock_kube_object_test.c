/*
 * lock_kube_object_test.c: records as Leases, and Leases that others have written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "lock/kube/object.h"

#define HELD                                                                                     \
	"{\"kind\":\"cluster\",\"holder\":\"n1\",\"incarnation\":\"1\",\"released\":false,\"term\":" \
	"\"7\",\"lease_duration_ms\":2500,\"acquired_at\":\"2026-11-22T17:00:00.123Z\"}"
#define RELEASED "{\"kind\":\"cluster\",\"holder\":\"n1\",\"released\":true}"

static FhaRecordSet set;
static FhaError err;

static int
set_up(void **state)
{
	(void) state;
	memset(&err, 0, sizeof(err));
	return 0;
}

static int
tear_down(void **state)
{
	(void) state;
	fha_record_set_release(&set);
	return 0;
}

static struct json_object *
printed(FhaLockVerb verb, const char *cluster, const char *data)
{
	FhaLockRequest request = {
		.verb = verb, .name = "db", .version = "42", .data = data, .size = strlen(data)};
	struct json_object *lease;
	char *text;

	assert_int_equal(fha_lease_print(&request, cluster, &text, &err), FHA_OK);
	lease = fha_json_parse_deep(text, strlen(text), &err);
	assert_non_null(lease);
	free(text);
	return lease;
}

static const char *
text_at(struct json_object *from, const char *object, const char *key)
{
	struct json_object *inner = json_object_object_get(from, object);

	return json_object_get_string(json_object_object_get(inner, key));
}

static void
assert_spec(const char *data, const char *holder, const char *seconds, const char *transitions)
{
	struct json_object *lease = printed(FHA_LOCK_SWAP, "", data);
	const char *found = text_at(lease, "spec", "holderIdentity");

	assert_string_equal(found == NULL ? "" : found, holder);
	found = text_at(lease, "spec", "leaseDurationSeconds");
	assert_string_equal(found == NULL ? "" : found, seconds);
	found = text_at(lease, "spec", "leaseTransitions");
	assert_string_equal(found == NULL ? "" : found, transitions);
	assert_int_equal(strlen(text_at(lease, "spec", "renewTime")), 27);
	json_object_put(lease);
}

static void
other_tools_see_who_holds_it(void **state)
{
	struct json_object *lease = printed(FHA_LOCK_SWAP, "db", HELD);

	(void) state;
	assert_string_equal(text_at(lease, "metadata", "resourceVersion"), "42");
	assert_string_equal(text_at(lease, "spec", "acquireTime"), "2026-11-22T17:00:00.123000Z");
	json_object_put(lease);
	assert_spec(HELD, "n1", "3", "7");
	assert_spec(RELEASED, "", "1", "0");
	assert_spec("{\"kind\":\"member\",\"member\":\"n2\"}", "n2", "", "");
	assert_spec("no JSON", "", "", "");
	assert_spec(
		"{\"kind\":\"cluster\",\"lease_duration_ms\":9000000000000000,\"term\":\"99999999999\"}",
		"", "2000000000", "2147483647");
	/* A new one is created whatever is there, by no version. */
	lease = printed(FHA_LOCK_CREATE, "db", HELD);
	assert_null(text_at(lease, "metadata", "resourceVersion"));
	json_object_put(lease);
}

/* A Lease whose annotation is `data` and whose spec is `spec`. */
static char *
lease_of(const char *data, const char *spec)
{
	struct json_object *lease = printed(FHA_LOCK_SWAP, "", data);
	char *text;

	json_object_object_add(lease, "spec", json_tokener_parse(spec));
	text = strdup(json_object_to_json_string(lease));
	json_object_put(lease);
	return text;
}

static const FhaRecord *
parsed(const char *data, const char *spec)
{
	char *text = lease_of(data, spec);

	fha_record_set_release(&set);
	assert_int_equal(fha_lease_parse(text, strlen(text), &set, &err), FHA_OK);
	free(text);
	assert_int_equal(set.count, 1);
	return &set.rows[0];
}

static void
s1_whoever_the_lease_names_holds_it(void **state)
{
	const FhaRecord *record = parsed(HELD, "{\"holderIdentity\":\"n1\"}");

	(void) state;
	assert_string_equal(record->name, "db");
	assert_string_equal(record->version, "42");
	assert_string_equal(record->data, HELD);
	/* A foreign candidate, for as long as it says. */
	record = parsed(HELD, "{\"holderIdentity\":\"other\",\"leaseDurationSeconds\":15}");
	assert_non_null(strstr(record->data, "\"holder\":\"other\""));
	assert_non_null(strstr(record->data, "\"lease_duration_ms\":15000"));
	assert_non_null(strstr(record->data, "\"incarnation\":\"\""));
	record = parsed(RELEASED, "{\"holderIdentity\":\"n1\"}");
	assert_non_null(strstr(record->data, "\"released\":false"));
	/* Taken out by hand: that does not make it free. */
	record = parsed(HELD, "{\"holderIdentity\":\"\"}");
	assert_string_equal(record->data, HELD);
	record = parsed(HELD, "null");
	assert_string_equal(record->data, HELD);
	record = parsed("{\"kind\":\"member\",\"member\":\"n2\"}", "{\"holderIdentity\":\"x\"}");
	assert_non_null(strstr(record->data, "n2"));
}

/* client-go changes renewTime alone: each change is a sign of life, and nobody else makes one. */
static void
s1_a_foreign_holder_s_renewals_are_seen(void **state)
{
	static const char first[] = "{\"holderIdentity\":\"other\",\"renewTime\":\"1\"}";
	static const char second[] = "{\"holderIdentity\":\"other\",\"renewTime\":\"2\"}";
	char *seen[3];
	struct json_object *lease;

	(void) state;
	seen[0] = strdup(parsed(HELD, first)->data);
	seen[1] = strdup(parsed(HELD, first)->data);
	seen[2] = strdup(parsed(HELD, second)->data);
	assert_string_equal(seen[0], seen[1]);
	assert_string_not_equal(seen[0], seen[2]);
	assert_non_null(strstr(seen[0], "\"nonce\":\""));
	assert_null(strstr(seen[0], "\"nonce\":\"\""));
	/* A member's request goes into the record as it was read: the renewals are seen as before ... */
	assert_string_equal(parsed(seen[0], second)->data, seen[2]);
	/* ... and not made by the member. */
	lease = printed(FHA_LOCK_SWAP, "db", seen[0]);
	assert_null(json_object_object_get(lease, "spec"));
	json_object_put(lease);
	for (size_t i = 0; i < 3; i++)
		free(seen[i]);
}

static void
assert_unparsed(const char *text)
{
	assert_int_equal(fha_lease_parse(text, strlen(text), &set, &err), FHA_PROTOCOL);
	assert_int_equal(set.count, 0);
	assert_true(err.text[0] != '\0');
}

static void
what_is_not_ours_is_there_and_empty(void **state)
{
	static const char plain[] = "{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"1\"}}";
	static const char nul[] = "{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"1\","
							  "\"annotations\":{\"fawkes-ha/record\":\"a\\u0000b\"}}}";

	(void) state;
	assert_int_equal(fha_lease_parse(plain, strlen(plain), &set, &err), FHA_OK);
	assert_int_equal(fha_lease_parse(nul, strlen(nul), &set, &err), FHA_OK);
	assert_int_equal(set.rows[0].size, 0);
	assert_int_equal(set.rows[1].size, 0);
	fha_record_set_release(&set);
	assert_unparsed("");
	assert_unparsed("{}");
	assert_unparsed("{\"metadata\":{\"name\":\"x\"}}");
	assert_unparsed("{\"metadata\":7}");
}

static FhaCode
list_of(const char *text)
{
	return fha_lease_list_parse(text, strlen(text), &set, &err);
}

static void
a_list_is_whole_or_none(void **state)
{
	static const char item[] = "{\"metadata\":{\"name\":\"x\",\"resourceVersion\":\"1\"}}";
	char text[512];

	(void) state;
	(void) snprintf(text, sizeof(text),
					"{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[%s,%s]}", item, item);
	assert_int_equal(list_of(text), FHA_OK);
	assert_int_equal(set.count, 2);
	fha_record_set_release(&set);
	(void) snprintf(text, sizeof(text),
					"{\"metadata\":{\"resourceVersion\":\"9\",\"continue\":\"c\"},\"items\":[%s]}",
					item);
	assert_int_equal(list_of(text), FHA_PROTOCOL);
	(void) snprintf(text, sizeof(text), "{\"metadata\":{},\"items\":[%s]}", item);
	assert_int_equal(list_of(text), FHA_PROTOCOL);
	(void) snprintf(text, sizeof(text),
					"{\"metadata\":{\"resourceVersion\":\"9\"},\"items\":[%s,{}]}", item);
	assert_int_equal(list_of(text), FHA_PROTOCOL);
	assert_int_equal(list_of("{\"items\":[]}"), FHA_PROTOCOL);
	assert_int_equal(list_of("[]"), FHA_PROTOCOL);
	assert_int_equal(set.count, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(other_tools_see_who_holds_it), TEST(s1_whoever_the_lease_names_holds_it),
		TEST(s1_a_foreign_holder_s_renewals_are_seen), TEST(what_is_not_ours_is_there_and_empty),
		TEST(a_list_is_whole_or_none)};

	return cmocka_run_group_tests_name("lock_kube_object", tests, NULL, NULL);
}
