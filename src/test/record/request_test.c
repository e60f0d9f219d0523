/*
 * request_test.c: what operators may request, and what becomes of it in the record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "record/history.h"
#include "record/record.h"
#include "record/request.h"

static FhaCluster cluster;
static FhaMember members[3];
static FhaError err;
static const char *lock;

/* n1 leads, n2 streams, n3 is down and has no supervisor. */
static int
settle(void **state)
{
	(void) state;
	memset(&cluster, 0, sizeof(cluster));
	memset(members, 0, sizeof(members));
	lock = "dir:/lock";
	(void) snprintf(cluster.cluster, sizeof(cluster.cluster), "db");
	(void) snprintf(cluster.holder, sizeof(cluster.holder), "n1");
	cluster.term = 7;
	cluster.timeline = 5;
	cluster.position = (FhaPosition){5, 0x6000000};
	cluster.member_count = 3;
	for (int i = 0; i < 3; i++)
	{
		(void) snprintf(cluster.members[i], FHA_NAME_SIZE, "n%d", i + 1);
		(void) snprintf(members[i].member, FHA_NAME_SIZE, "n%d", i + 1);
		members[i].supervised = i != 2;
		members[i].position = (FhaPosition){5, 0x5000000};
		members[i].role = i == 0 ? FHA_ROLE_PRIMARY : i == 1 ? FHA_ROLE_STANDBY : FHA_ROLE_DOWN;
	}
	cluster.standby_count = 1;
	(void) snprintf(cluster.standbys[0].member, FHA_NAME_SIZE, "n2");
	return 0;
}

static FhaRequest
make(FhaRequestKind kind, const char *target)
{
	FhaRequest request = {.kind = kind, .state = FHA_REQUEST_PENDING};

	(void) snprintf(request.id, sizeof(request.id), "f00d");
	(void) snprintf(request.target, sizeof(request.target), "%s", target);
	return request;
}

static void
assert_check(FhaRequestKind kind, const char *target, FhaCode wanted, const char *words)
{
	FhaRequest request = make(kind, target);
	char plan[FHA_PLAN_SIZE] = "";
	FhaCode code = fha_request_check(&cluster, members, 3, lock, &request, plan, &err);

	if (code != wanted || strstr(code == FHA_OK ? plan : err.text, words) == NULL)
		fail_msg("%s %s: code %d, \"%s\"", fha_request_kind_name(kind), target, (int) code,
				 code == FHA_OK ? plan : err.text);
}

static void
what_cannot_be_is_refused_with_a_sentence(void **state)
{
	(void) state;
	for (FhaRequestKind kind = FHA_REQUEST_SWITCHOVER; kind <= FHA_REQUEST_REMOVE; kind++)
		assert_check(kind, "n9", FHA_INVALID,
					 "there is no member \"n9\" in db: the members are n1");
	for (FhaRequestKind kind = FHA_REQUEST_REINIT; kind <= FHA_REQUEST_REMOVE; kind++)
	{
		assert_check(kind, "", FHA_INVALID, "whom?");
		assert_check(kind, "n1", FHA_INVALID, "n1 is the primary: make another member lead");
	}
	assert_check(FHA_REQUEST_SWITCHOVER, "n1", FHA_INVALID, "primary already");
	assert_check(FHA_REQUEST_FAILOVER, "n1", FHA_INVALID, "primary already");
	assert_check(FHA_REQUEST_RESTART, "n3", FHA_INVALID, "n3 has no supervisor");
	assert_check(FHA_REQUEST_REINIT, "n3", FHA_INVALID, "n3 has no supervisor");
	assert_check(FHA_REQUEST_REMOVE, "n2", FHA_INVALID, "n2 streams from n1: stop it first");
	assert_check(FHA_REQUEST_PAUSE, "n2", FHA_INVALID, "takes no member");
	assert_check(FHA_REQUEST_RESUME, "", FHA_INVALID, "not paused");
	cluster.paused = true;
	assert_check(FHA_REQUEST_PAUSE, "", FHA_INVALID, "paused already");
	assert_check(FHA_REQUEST_SWITCHOVER, "n2", FHA_INVALID, "resume first");
	/* Whoever released the lease does not lead. */
	cluster.released = true;
	assert_check(FHA_REQUEST_FAILOVER, "n1", FHA_OK, "n1 takes the lease");
}

/* After a write that got no answer, the record tells whether it arrived. */
static void
what_a_record_has_is_in_effect(void **state)
{
	FhaRequest request = make(FHA_REQUEST_PAUSE, "");

	(void) state;
	assert_false(fha_request_is_in_effect(&cluster, &request));
	cluster.paused = true;
	assert_true(fha_request_is_in_effect(&cluster, &request));
	(void) snprintf(cluster.pause_reason, sizeof(cluster.pause_reason), "another's");
	assert_false(fha_request_is_in_effect(&cluster, &request));
	request = make(FHA_REQUEST_RESUME, "");
	assert_false(fha_request_is_in_effect(&cluster, &request));
	cluster.paused = false;
	assert_true(fha_request_is_in_effect(&cluster, &request));
	request = make(FHA_REQUEST_RESET, "");
	(void) snprintf(request.setting.name, sizeof(request.setting.name), "work_mem");
	(void) snprintf(request.setting.value, sizeof(request.setting.value), "8MB");
	assert_true(fha_request_is_in_effect(&cluster, &request));
	request.kind = FHA_REQUEST_SET;
	assert_false(fha_request_is_in_effect(&cluster, &request));
	cluster.settings[cluster.setting_count++] = request.setting;
	assert_true(fha_request_is_in_effect(&cluster, &request));
	cluster.settings[0].value[0] = '9';
	assert_false(fha_request_is_in_effect(&cluster, &request));
	request.kind = FHA_REQUEST_RESET;
	assert_false(fha_request_is_in_effect(&cluster, &request));
	request = make(FHA_REQUEST_SWITCHOVER, "n2");
	assert_false(fha_request_is_in_effect(&cluster, &request));
	memcpy(cluster.request.id, request.id, sizeof(request.id));
	assert_true(fha_request_is_in_effect(&cluster, &request));
}

/* Who never got data is on no list; its record is to be taken away all the same. */
static void
a_member_that_never_had_data_can_be_removed(void **state)
{
	(void) state;
	cluster.member_count = 2;
	assert_check(FHA_REQUEST_REMOVE, "n3", FHA_OK, "it cannot lead");
	assert_check(FHA_REQUEST_REINIT, "n3", FHA_INVALID, "there is no member \"n3\"");
	assert_check(FHA_REQUEST_REMOVE, "n9", FHA_INVALID, "there is no member \"n9\"");
}

static void
a_request_is_told_with_whom_it_concerns(void **state)
{
	static const struct
	{
		FhaRequestKind kind;
		const char *target;
		const char *words;
	} cases[] = {
		{FHA_REQUEST_SWITCHOVER, "n2", "switchover to n2"},
		{FHA_REQUEST_SWITCHOVER, "", "switchover to the best standby"},
		{FHA_REQUEST_FAILOVER, "", "failover to the best standby"},
		{FHA_REQUEST_RESTART, "", "restart of all members"},
		{FHA_REQUEST_RESTART, "n1", "restart of n1"},
		{FHA_REQUEST_REINIT, "n3", "reinit of n3"},
		{FHA_REQUEST_PAUSE, "", "pause"},
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		FhaRequest request = {.kind = cases[i].kind};
		char words[FHA_REQUEST_WORDS_SIZE];

		(void) snprintf(request.target, sizeof(request.target), "%s", cases[i].target);
		fha_request_words(&request, words);
		assert_string_equal(words, cases[i].words);
	}
}

static void
a_dry_run_says_what_would_be(void **state)
{
	(void) state;
	assert_check(FHA_REQUEST_SWITCHOVER, "", FHA_OK, "n1 stops after a checkpoint and the best");
	assert_check(FHA_REQUEST_FAILOVER, "n2", FHA_OK, "16777216 bytes of WAL behind");
	assert_check(FHA_REQUEST_FAILOVER, "", FHA_OK, "the best standby takes the lease of n1");
	assert_check(FHA_REQUEST_FAILOVER, "", FHA_OK, "by its record n2 is 16777216 bytes of WAL");
	/* What it released asks for more than its last renewal did. */
	cluster.released = true;
	cluster.release = (FhaPosition){5, UINT64_C(0x7000000)};
	assert_check(FHA_REQUEST_FAILOVER, "", FHA_OK, "by its record n2 is 33554432 bytes of WAL");
	cluster.released = false;
	cluster.position = (FhaPosition){5, 0};
	assert_check(FHA_REQUEST_FAILOVER, "n2", FHA_OK, "no standby has is lost");
	(void) settle(NULL);
	assert_check(FHA_REQUEST_RESTART, "", FHA_OK,
				 "n2, n3 (yours: no supervisor), and last the primary n1,");
	assert_check(FHA_REQUEST_RESTART, "n1", FHA_OK, "nobody can write meanwhile");
	assert_check(FHA_REQUEST_REINIT, "n2", FHA_OK, "at 0/5000000 on timeline 5, is replaced");
	assert_check(FHA_REQUEST_REJOIN, "n2", FHA_OK, "tries again at once");
	assert_check(FHA_REQUEST_REMOVE, "n3", FHA_OK, "it cannot lead");
	assert_check(FHA_REQUEST_PAUSE, "", FHA_OK, "n1 goes on leading");
	cluster.paused = true;
	assert_check(FHA_REQUEST_RESUME, "", FHA_OK, "elections and restarts go on");
}

static void
resume_ends_a_pause_and_its_reason(void **state)
{
	FhaRequest request = make(FHA_REQUEST_PAUSE, "");

	(void) state;
	(void) snprintf(request.reason, sizeof(request.reason), "new disks");
	assert_int_equal(fha_request_enter(&cluster, &request, &err), FHA_OK);
	assert_true(cluster.paused);
	assert_string_equal(cluster.pause_reason, "new disks");
	request = make(FHA_REQUEST_RESUME, "");
	assert_int_equal(fha_request_enter(&cluster, &request, &err), FHA_OK);
	assert_false(cluster.paused);
	assert_string_equal(cluster.pause_reason, "");
	assert_string_equal(request.message, "elections go on");
}

static void
one_at_a_time_but_for_what_is_done_at_once(void **state)
{
	FhaRequest request = make(FHA_REQUEST_RESTART, "");

	(void) state;
	assert_int_equal(fha_request_enter(&cluster, &request, &err), FHA_OK);
	assert_int_equal(cluster.request.kind, FHA_REQUEST_RESTART);
	request = make(FHA_REQUEST_REINIT, "n2");
	(void) snprintf(request.id, sizeof(request.id), "beef");
	assert_int_equal(fha_request_enter(&cluster, &request, &err), FHA_CONFLICT);
	request = make(FHA_REQUEST_PAUSE, "");
	(void) snprintf(request.id, sizeof(request.id), "beef");
	(void) snprintf(request.reason, sizeof(request.reason), "why");
	assert_int_equal(fha_request_enter(&cluster, &request, &err), FHA_OK);
	assert_int_equal(request.state, FHA_REQUEST_DONE);
	assert_true(cluster.paused);
	assert_string_equal(cluster.pause_reason, "why");
	assert_int_equal(cluster.request.kind, FHA_REQUEST_RESTART);
	/* A failover replaces what nobody has begun, and nothing else. */
	request = make(FHA_REQUEST_FAILOVER, "n2");
	(void) snprintf(request.id, sizeof(request.id), "beef");
	cluster.request.state = FHA_REQUEST_RUNNING;
	assert_int_equal(fha_request_enter(&cluster, &request, &err), FHA_CONFLICT);
	cluster.request.state = FHA_REQUEST_PENDING;
	assert_int_equal(fha_request_enter(&cluster, &request, &err), FHA_OK);
	assert_int_equal(cluster.request.kind, FHA_REQUEST_FAILOVER);
}

static FhaCode
set(const char *text, bool reset)
{
	FhaRequest request = make(reset ? FHA_REQUEST_RESET : FHA_REQUEST_SET, "");
	char plan[FHA_PLAN_SIZE];
	FhaCode code = fha_request_setting(text, reset, &request.setting, &err);

	if (code == FHA_OK)
		code = fha_request_check(&cluster, members, 3, lock, &request, plan, &err);
	return code == FHA_OK ? fha_request_enter(&cluster, &request, &err) : code;
}

static void
settings_of_all_members(void **state)
{
	static const char *const refused[] = {
		"",
		"=1",
		"work_mem",
		"work mem=1",
		"port=1",
		"PORT=1",
		"fsync=off",
		"primary_conninfo=x",
		"Recovery_Target_Time=x",
		"fawkes_ha.lock=dir:/x",
		"fawkes_ha.nonsense=1",
		"work_mem=1\nport = 1",
		"fawkes_ha.lease_duration=1h",
		"fawkes_ha.renew_deadline=3s",
	};
	static const char *const never[] = {
		"ssl",
		"krb_server_keyfile",
		"unix_socket_group",
		"ssl_cert_file",
		"ssl_key_file",
		"PRE_auth_delay",
		"post_auth_delay",
		"debug_discard_caches",
		"ignore_system_indexes",
		"allow_system_table_mods",
		"data_sync_retry",
		"ignore_checksum_failure",
		"ignore_invalid_pages",
		"zero_damaged_pages",
	};
	char text[FHA_SETTING_VALUE_SIZE + 32];

	(void) state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (set(refused[i], false) != FHA_INVALID)
			fail_msg("taken: %s", refused[i]);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
	{
		(void) snprintf(text, sizeof(text), "%s=1", never[i]);
		if (set(text, false) != FHA_INVALID ||
			strstr(err.text, "cannot be set for all members: it ") == NULL)
			fail_msg("taken: %s: %s", never[i], err.text);
		/* In a record of an earlier version it may stand: it can be read, and taken back. */
		(void) snprintf(cluster.settings[0].name, FHA_SETTING_NAME_SIZE, "%s", never[i]);
		cluster.setting_count = 1;
		assert_true(fha_setting_is_valid(&cluster.settings[0]));
		assert_int_equal(set(never[i], true), FHA_OK);
	}
	assert_int_equal(cluster.setting_count, 0);
	assert_int_equal(set("fawkes_ha.lease_duration=6s", false), FHA_OK);
	assert_int_equal(set("fawkes_ha.renew_deadline=4s", false), FHA_OK);
	/* Each alone would be sound. */
	assert_int_equal(set("fawkes_ha.lease_duration", true), FHA_INVALID);
	assert_int_equal(set("fawkes_ha.renew_deadline", true), FHA_OK);
	assert_int_equal(set("Work_Mem=1MB", false), FHA_OK);
	assert_int_equal(set("work_mem=2MB", false), FHA_OK);
	assert_int_equal(cluster.setting_count, 2);
	assert_string_equal(cluster.settings[1].value, "2MB");
	assert_int_equal(set("work_mem", true), FHA_OK);
	assert_int_equal(set("work_mem", true), FHA_INVALID);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "work_mem=", 9);
	assert_int_equal(set(text, false), FHA_INVALID);
	for (int i = 1; i < FHA_SETTINGS_MAX; i++)
	{
		(void) snprintf(text, sizeof(text), "my.setting%d=1", i);
		assert_int_equal(set(text, false), FHA_OK);
	}
	assert_int_equal(set("my.last=1", false), FHA_INVALID);
	assert_non_null(strstr(err.text, "no more than 32"));
}

static const char *
warning_of(FhaRequestKind kind, const char *target)
{
	static char warning[FHA_PLAN_SIZE];
	FhaRequest request = make(kind, target);

	bool warns = fha_request_warning(&cluster, members, 3, &request, warning);

	assert_int_equal(warns, warning[0] != '\0');
	return warning;
}

/* Who has less than the new primary replays nothing after it, and cannot lead until it is restarted. */
static void
a_handover_to_a_larger_member_warns(void **state)
{
	static const FhaRequestKind kinds[] = {FHA_REQUEST_SWITCHOVER, FHA_REQUEST_FAILOVER};

	(void) state;
	members[0].limits = members[1].limits = (FhaLimits){{100, 8, 16, 0, 64}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		members[1].limits.value[0] = 100; /* n3 says nothing of itself */
		assert_string_equal(warning_of(kinds[i], "n2"), "");
		members[1].limits.value[0] = 200;
		assert_string_equal(warning_of(kinds[i], "n2"),
							"once n2 leads, n1 cannot be promoted before it is restarted: "
							"max_connections 100 < 200");
		assert_string_equal(warning_of(kinds[i], "n3"), "");
		/* Whoever it will be. */
		assert_non_null(strstr(warning_of(kinds[i], ""), "once n2 leads, n1 cannot"));
	}
	assert_string_equal(warning_of(FHA_REQUEST_RESTART, "n2"), "");
	cluster.member_count = 1;
	assert_string_equal(warning_of(FHA_REQUEST_SWITCHOVER, "n2"), "");
}

/* Members that cannot stream, copy or run their agents are no members. */
static void
what_leaves_members_no_room_is_refused(void **state)
{
	static const char *const names[] = {"max_replication_slots", "Max_Wal_Senders"};
	static const char *const no_digits[] = {
		"max_wal_senders=2.2",  "max_wal_senders=0x2",       "max_replication_slots= 2",
		"max_wal_senders=2 ",   "max_worker_processes=5e-1", "max_wal_senders=+2",
		"max_wal_senders=lots", "max_replication_slots=",
	};

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		char text[80];

		(void) snprintf(text, sizeof(text), "%s=3", names[i]);
		assert_int_equal(set(text, false), FHA_INVALID);
		assert_non_null(strstr(err.text, " = 3 is too few: 4 are needed at least"));
		(void) snprintf(text, sizeof(text), "%s=4", names[i]);
		assert_int_equal(set(text, false), FHA_OK);
	}
	/* PostgreSQL does not start with fewer slots than there are. */
	members[0].slots = 7;
	assert_int_equal(set("max_replication_slots=6", false), FHA_INVALID);
	assert_non_null(strstr(err.text, "7 are needed"));
	assert_int_equal(set("max_replication_slots=7", false), FHA_OK);
	assert_int_equal(set("max_wal_senders=6", false), FHA_OK);
	assert_int_equal(set("max_worker_processes=6", false), FHA_INVALID);
	assert_int_equal(set("max_worker_processes=7", false), FHA_OK);
	/* PostgreSQL takes all but the last two, as another number than its first digits say. */
	for (size_t i = 0; i < sizeof(no_digits) / sizeof(no_digits[0]); i++)
	{
		if (set(no_digits[i], false) != FHA_INVALID)
			fail_msg("taken: %s", no_digits[i]);
		assert_non_null(strstr(err.text, "is to be given in digits, not as"));
	}
	assert_int_equal(set("max_wal_senders", true), FHA_OK);
}

/* No fixed list names standbys whose application_name is another with each copy of the data. */
static void
synchronous_standbys_are_refused_until_there_is_a_mode_for_them(void **state)
{
	(void) state;
	assert_int_equal(set("synchronous_standby_names=ANY 1 (n1, n2)", false), FHA_INVALID);
	assert_non_null(strstr(err.text, "synchronous_standby_names"));
	assert_non_null(strstr(err.text, "asynchronous"));
	assert_int_equal(set("Synchronous_Standby_Names=*", false), FHA_INVALID);
	assert_int_equal(set("synchronous_standby_names=", false), FHA_OK);
	/* One that an earlier release took can be read, and taken back. */
	(void) snprintf(cluster.settings[0].value, FHA_SETTING_VALUE_SIZE, "*");
	assert_true(fha_setting_is_valid(&cluster.settings[0]));
	assert_int_equal(set("synchronous_standby_names", true), FHA_OK);
}

/* What is not set has the times that are usual on the lock. */
static void
times_must_fit_those_of_the_lock(void **state)
{
	(void) state;
	assert_int_equal(set("fawkes_ha.renew_deadline=9s", false), FHA_INVALID);
	lock = "kubernetes:/kubeconfig";
	assert_int_equal(set("fawkes_ha.renew_deadline=9s", false), FHA_OK);
	assert_int_equal(set("fawkes_ha.lease_duration=8s", false), FHA_INVALID);
}

static void
its_text_comes_back(void **state)
{
	FhaRequest request = make(FHA_REQUEST_SET, "");
	static FhaCluster back;
	char *text;

	(void) state;
	(void) snprintf(request.reason, sizeof(request.reason), "a \"reason\"");
	(void) snprintf(request.setting.name, sizeof(request.setting.name), "work_mem");
	(void) snprintf(request.setting.value, sizeof(request.setting.value), "'");
	request.time_limit_ms = 5000;
	cluster.request = request;
	cluster.lease_duration_ms = 3000;
	assert_int_equal(fha_cluster_print(&cluster, &text, &err), FHA_OK);
	assert_int_equal(fha_cluster_parse(text, strlen(text), &back, &err), FHA_OK);
	free(text);
	assert_memory_equal(&back.request, &request, sizeof(request));
}

static void
history_keeps_who_why_and_how_it_ended(void **state)
{
	static const char damaged[] = "{\"kind\":\"history\",\"entries\":[1]}";
	static const char of_1_1[] = "{\"kind\":\"history\",\"entries\":[{\"request\":\"1111\","
								 "\"result\":\"failed: not so\"}]}";
	static FhaHistoryEntry entries[FHA_HISTORY_MAX];
	FhaRequest request = make(FHA_REQUEST_REMOVE, "n3");
	FhaHistoryEntry entry;
	char *text = NULL;
	size_t count;

	(void) state;
	request.state = FHA_REQUEST_FAILED;
	(void) snprintf(request.requested_by, sizeof(request.requested_by), "eve");
	(void) snprintf(request.reason, sizeof(request.reason), "old disk");
	(void) snprintf(request.message, sizeof(request.message), "not so");
	fha_history_of_request(&cluster, &request, INT64_C(1798650062003), &entry);
	for (int i = 0; i < FHA_HISTORY_MAX + 5; i++)
	{
		char *more;

		entry.timeline = (uint32_t) i;
		assert_int_equal(
			fha_history_append("db", text, text == NULL ? 0 : strlen(text), &entry, &more, &err),
			FHA_OK);
		free(text);
		text = more;
	}
	assert_int_equal(fha_history_parse(text, strlen(text), entries, &count, &err), FHA_OK);
	free(text);
	assert_int_equal(count, FHA_HISTORY_MAX);
	assert_int_equal(entries[0].timeline, 5);
	assert_string_equal(entries[99].at, "2026-12-30T17:01:02.003Z");
	assert_string_equal(entries[99].event, "remove");
	assert_string_equal(entries[99].member, "n3");
	assert_string_equal(entries[99].requested_by, "eve");
	assert_string_equal(entries[99].reason, "old disk");
	assert_string_equal(entries[99].result, "failed: not so");
	assert_int_equal(entries[99].state, FHA_REQUEST_FAILED);
	/* A member of 1.1 writes none. */
	assert_int_equal(fha_history_parse(of_1_1, strlen(of_1_1), entries, &count, &err), FHA_OK);
	assert_string_equal(entries[0].result, "failed: not so");
	assert_int_equal(entries[0].state, FHA_REQUEST_PENDING);
	assert_int_equal(fha_history_parse(damaged, strlen(damaged), entries, &count, &err),
					 FHA_PROTOCOL);
	assert_non_null(strstr(err.text, "entries"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_cannot_be_is_refused_with_a_sentence, settle),
		cmocka_unit_test_setup(a_member_that_never_had_data_can_be_removed, settle),
		cmocka_unit_test_setup(what_a_record_has_is_in_effect, settle),
		cmocka_unit_test_setup(a_request_is_told_with_whom_it_concerns, settle),
		cmocka_unit_test_setup(a_dry_run_says_what_would_be, settle),
		cmocka_unit_test_setup(resume_ends_a_pause_and_its_reason, settle),
		cmocka_unit_test_setup(one_at_a_time_but_for_what_is_done_at_once, settle),
		cmocka_unit_test_setup(settings_of_all_members, settle),
		cmocka_unit_test_setup(a_handover_to_a_larger_member_warns, settle),
		cmocka_unit_test_setup(what_leaves_members_no_room_is_refused, settle),
		cmocka_unit_test_setup(synchronous_standbys_are_refused_until_there_is_a_mode_for_them,
							   settle),
		cmocka_unit_test_setup(times_must_fit_those_of_the_lock, settle),
		cmocka_unit_test_setup(its_text_comes_back, settle),
		cmocka_unit_test_setup(history_keeps_who_why_and_how_it_ended, settle),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
