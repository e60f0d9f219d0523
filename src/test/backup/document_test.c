/*
 * document_test.c: a catalogue as a program reads it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "backup/document.h"
#include "test/backup/archive.h"

static struct json_object *
document(const Archive *archive, const char *retention)
{
	FhaCatalogue *catalogue = archive_catalogue(archive);
	FhaRetentionPolicy policy;
	FhaRetention *plan;
	struct json_object *object;
	char why[FHA_SENTENCE_SIZE];
	char *text;
	FhaError err;

	assert_true(fha_retention_policy_parse(retention, &policy, why));
	plan = fha_retention_plan(catalogue, &policy, NOW_S);
	assert_non_null(plan);
	assert_int_equal(fha_backup_document(catalogue, plan, &text, &err), FHA_OK);
	object = json_tokener_parse(text);
	assert_non_null(object);
	free(text);
	fha_retention_free(plan);
	fha_catalogue_free(catalogue);
	return object;
}

static struct json_object *
element(struct json_object *from, const char *key, size_t index)
{
	return json_object_array_get_idx(json_object_object_get(from, key), index);
}

static void
assert_text(struct json_object *from, const char *key, const char *value)
{
	assert_string_equal(json_object_get_string(json_object_object_get(from, key)), value);
}

static void
assert_number(struct json_object *from, const char *key, int64_t value)
{
	assert_true(json_object_object_get_ex(from, key, NULL));
	assert_true(json_object_get_int64(json_object_object_get(from, key)) == value);
}

static void
says_what_there_is_and_what_can_be_recovered(void **state)
{
	Archive archive = {0};
	FhaBackupInfo info = archive_info(1, 3, 4, 9);
	struct json_object *object;
	struct json_object *one;
	struct json_object *recovery;

	(void) state;
	(void) snprintf(info.member, sizeof(info.member), "n2");
	info.size = 12345;
	archive_backup(&archive, "20261101T000000", &info);
	info = archive_info(1, 7, 7, 1);
	archive_backup(&archive, "20261102T000000", &info);
	archive_add(&archive, "base/20261103T000000/data.tar.gz", NULL);
	archive_segments(&archive, 1, 3, 8);
	archive_segments(&archive, 1, 11, 12);
	object = document(&archive, "1");
	assert_text(object, "server", SERVER);
	assert_int_equal(json_object_array_length(json_object_object_get(object, "backups")), 3);

	one = element(object, "backups", 0);
	assert_text(one, "id", "20261101T000000");
	assert_text(one, "state", "usable");
	assert_text(one, "began", "2026-11-20 23:53:20+00:00");
	assert_text(one, "begin_lsn", "0/3000028");
	assert_text(one, "begin_wal", "000000010000000000000003");
	assert_text(one, "member", "n2");
	assert_number(one, "timeline", 1);
	assert_number(one, "size_bytes", 12345);
	assert_number(one, "stored_bytes", 200);
	assert_true(json_object_get_boolean(json_object_object_get(one, "goes")));
	assert_false(json_object_object_get_ex(one, "why", NULL));
	recovery = json_object_object_get(one, "recovery");
	assert_text(recovery, "from_lsn", "0/4000138");
	assert_text(recovery, "to_lsn", "0/9000000");
	one = json_object_object_get(recovery, "gap");
	assert_text(one, "first", "000000010000000000000009");
	assert_text(one, "last", "00000001000000000000000A");

	one = element(object, "backups", 1);
	assert_false(json_object_get_boolean(json_object_object_get(one, "goes")));
	assert_text(one, "reason", fha_retention_reason(FHA_STAYS_IN_COUNT));

	one = element(object, "backups", 2);
	assert_text(one, "state", "running");
	assert_true(json_object_object_get_ex(one, "why", NULL));
	assert_false(json_object_object_get_ex(one, "recovery", NULL));
	assert_false(json_object_object_get_ex(one, "began", NULL));

	one = element(object, "wal", 0);
	assert_number(one, "timeline", 1);
	assert_number(one, "segments", 8);
	assert_text(one, "last", "00000001000000000000000C");
	(void) json_object_put(object);
	archive_free(&archive);
}

static void
an_empty_store_has_empty_lists(void **state)
{
	Archive archive = {0};
	struct json_object *object = document(&archive, "");

	(void) state;
	assert_int_equal(json_object_array_length(json_object_object_get(object, "backups")), 0);
	assert_int_equal(json_object_array_length(json_object_object_get(object, "wal")), 0);
	(void) json_object_put(object);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_there_is_and_what_can_be_recovered),
		cmocka_unit_test(an_empty_store_has_empty_lists),
	};

	return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}
