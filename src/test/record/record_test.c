/*
 * record_test.c: records as JSON: what we print comes back, and nothing else comes in.
 *
 * Hostile text is parsed from a buffer of exactly its size, so that the
 * sanitizer sees a byte read too many.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "record/history.h"
#include "record/record.h"
#include "record/request.h"
#include "record/snapshot.h"

#define TEXT_SIZE (64 * 1024)

/* Small and complete; hostile cases replace one piece of it. */
static const char cluster_text[] =
	"{\"kind\":\"cluster\",\"cluster\":\"db\",\"cluster_uuid\":\"c0ffee\","
	"\"system_identifier\":\"4711\",\"holder\":\"n1\",\"incarnation\":\"1111\",\"boot_id\":\"b1\","
	"\"nonce\":\"ab\",\"lease_duration_ms\":3000,\"released\":true,"
	"\"release\":{\"timeline\":5,\"lsn\":\"0/10\"},\"release_to\":\"n2\",\"term\":\"7\","
	"\"timeline\":6,\"lineage_term\":\"6\",\"lineage\":[{\"timeline\":5,\"end\":\"0/0\"}],"
	"\"position\":{\"timeline\":5,\"lsn\":\"0/20\"},\"members\":[\"n1\",\"n2\"],"
	"\"standbys\":[{\"member\":\"n2\",\"lsn\":\"0/30\"}],\"paused\":true,"
	"\"pause_reason\":\"work\",\"request\":{\"id\":\"f00d\",\"kind\":\"switchover\","
	"\"target\":\"n2\",\"requested_by\":\"eve\",\"requested_at\":\"now\",\"state\":\"pending\","
	"\"message\":\"m\"},\"acquired_at\":\"then\",\"renewed_at\":\"now\"}";

static const char member_text[] =
	"{\"kind\":\"member\",\"cluster\":\"db\",\"member\":\"n1\",\"incarnation\":\"1111\","
	"\"data_incarnation\":\"da7a\",\"address\":\"h1:5432\",\"role\":\"primary\","
	"\"state\":\"it "
	"leads\",\"rule\":\"leads\",\"term\":\"7\",\"timeline\":5,\"lsn\":\"0/10\",\"replayed\":\"0/"
	"8\","
	"\"following\":\"n2\",\"candidate_for\":\"v1\",\"rewindable\":true,\"updated_at\":\"now\"}";

static FhaCode
parse_cluster(const char *data, size_t size, FhaCluster *out, FhaError *err)
{
	char *exact = malloc(size == 0 ? 1 : size);
	FhaCode code;

	assert_non_null(exact);
	memcpy(exact, data, size);
	err->code = FHA_OK;
	code = fha_cluster_parse(exact, size, out, err);
	free(exact);
	assert_int_equal(err->code, code);
	return code;
}

static FhaCode
parse_member(const char *data, size_t size, FhaMember *out, FhaError *err)
{
	char *exact = malloc(size == 0 ? 1 : size);
	FhaCode code;

	assert_non_null(exact);
	memcpy(exact, data, size);
	err->code = FHA_OK;
	code = fha_member_parse(exact, size, out, err);
	free(exact);
	assert_int_equal(err->code, code);
	return code;
}

/* The text with one piece, which must be there, replaced; returns its size. */
static size_t
replace(const char *text, const char *from, const char *to, char *out)
{
	const char *at = strstr(text, from);
	size_t before;
	size_t rest;

	if (at == NULL)
		fail_msg("the test's text has no %s", from);
	before = (size_t) (at - text);
	rest = strlen(at + strlen(from));
	assert_true(before + strlen(to) + rest < TEXT_SIZE);
	memcpy(out, text, before);
	memcpy(out + before, to, strlen(to));
	memcpy(out + before + strlen(to), at + strlen(from), rest + 1);
	return before + strlen(to) + rest;
}

/* Fill a field to its last byte with what is awkward in JSON: quotes, controls, UTF-8. */
static void
fill(char *out, size_t size)
{
	static const char awkward[] = "a\"\\/\b\n\t\x01\x7f<&'\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98";
	size_t used = 0;

	memset(out, 0, size);
	while (used + sizeof(awkward) <= size)
	{
		memcpy(out + used, awkward, sizeof(awkward) - 1);
		used += sizeof(awkward) - 1;
	}
	memset(out + used, 'z', size - 1 - used);
}

static void
fill_lag(FhaLag lag[FHA_STAGES])
{
	lag[FHA_WRITTEN] = (FhaLag){true, 0};
	lag[FHA_FLUSHED] = (FhaLag){true, 1234};
	lag[FHA_REPLAYED] = (FhaLag){true, FHA_LAG_MAX_MS};
}

static void
fill_cluster(FhaCluster *cluster)
{
	memset(cluster, 0, sizeof(*cluster));
	fill(cluster->cluster, sizeof(cluster->cluster));
	fill(cluster->cluster_uuid, sizeof(cluster->cluster_uuid));
	cluster->system_identifier = UINT64_MAX;
	fill(cluster->holder, sizeof(cluster->holder));
	fill(cluster->incarnation, sizeof(cluster->incarnation));
	fill(cluster->boot_id, sizeof(cluster->boot_id));
	fill(cluster->nonce, sizeof(cluster->nonce));
	cluster->lease_duration_ms = 3600 * 1000;
	cluster->released = true;
	cluster->release_final = true;
	cluster->release = (FhaPosition){UINT32_MAX, UINT64_MAX};
	fill(cluster->release_to, sizeof(cluster->release_to));
	fill(cluster->release_because, sizeof(cluster->release_because));
	cluster->term = FHA_TERM_MAX;
	cluster->timeline = UINT32_MAX - 1;
	cluster->lineage_term = FHA_TERM_MAX - 1;
	cluster->lineage_count = FHA_LINEAGE_MAX;
	for (uint32_t i = 0; i < FHA_LINEAGE_MAX; i++)
	{
		cluster->lineage[i].timeline = i + 1;
		cluster->lineage[i].end = (UINT64_C(1) << 32) * i + i;
		fill(cluster->lineage[i].id, FHA_ID_SIZE);
	}
	fill(cluster->timeline_id, sizeof(cluster->timeline_id));
	cluster->position = (FhaPosition){7, UINT64_C(0x16B374D848)};
	cluster->archived = (FhaPosition){6, UINT64_MAX - 1};
	cluster->member_count = FHA_MEMBERS_MAX;
	cluster->standby_count = FHA_MEMBERS_MAX;
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
	{
		fill(cluster->members[i], FHA_NAME_SIZE);
		cluster->members[i][0] = (char) ('0' + i);
		fill(cluster->member_data[i], FHA_ID_SIZE);
		fill(cluster->standbys[i].member, FHA_NAME_SIZE);
		cluster->standbys[i].member[0] = (char) ('1' + i);
		cluster->standbys[i].lsn = UINT64_MAX - i;
		cluster->standbys[i].written = UINT64_MAX;
		cluster->standbys[i].replayed = UINT64_MAX - 2 * i;
		fill_lag(cluster->standbys[i].lag);
	}
	cluster->paused = true;
	fill(cluster->pause_reason, sizeof(cluster->pause_reason));
	cluster->setting_count = 2;
	(void) snprintf(cluster->settings[0].name, FHA_SETTING_NAME_SIZE, "max_connections");
	(void) snprintf(cluster->settings[0].value, FHA_SETTING_VALUE_SIZE, "200");
	(void) snprintf(cluster->settings[1].name, FHA_SETTING_NAME_SIZE, "work_mem");
	(void) snprintf(cluster->settings[1].value, FHA_SETTING_VALUE_SIZE, "'4 \"MB'");
	cluster->settings_signature.serial = UINT64_MAX;
	fill(cluster->settings_signature.key_id, FHA_KEY_ID_SIZE);
	fill(cluster->settings_signature.mac, FHA_MAC_TEXT_SIZE);
	cluster->request.kind = FHA_REQUEST_FAILOVER;
	cluster->request.primary_first = true;
	cluster->request.state = FHA_REQUEST_FAILED;
	fill(cluster->request.id, sizeof(cluster->request.id));
	fill(cluster->request.target, sizeof(cluster->request.target));
	fill(cluster->request.requested_by, sizeof(cluster->request.requested_by));
	fill(cluster->request.requested_at, sizeof(cluster->request.requested_at));
	fill(cluster->request.message, sizeof(cluster->request.message));
	fill(cluster->acquired_at, sizeof(cluster->acquired_at));
	fill(cluster->renewed_at, sizeof(cluster->renewed_at));
}

static void
fill_member(FhaMember *member)
{
	memset(member, 0, sizeof(*member));
	member->unattended = true;
	member->streaming = true;
	fill(member->cluster, sizeof(member->cluster));
	fill(member->member, sizeof(member->member));
	fill(member->incarnation, sizeof(member->incarnation));
	fill(member->data_incarnation, sizeof(member->data_incarnation));
	fill(member->address, sizeof(member->address));
	fill(member->pod, sizeof(member->pod));
	member->serves = FHA_SERVES_REPLICA;
	member->exporter_fails = true;
	member->role = FHA_ROLE_PRIMARY;
	fill(member->state, sizeof(member->state));
	fill(member->cluster_uuid, sizeof(member->cluster_uuid));
	fill(member->lease_seen_at, sizeof(member->lease_seen_at));
	member->term = FHA_TERM_MAX;
	member->highest_term = FHA_TERM_MAX - 4;
	member->position = (FhaPosition){UINT32_MAX, UINT64_MAX};
	fill(member->timeline_id, sizeof(member->timeline_id));
	member->written = UINT64_MAX - 3;
	member->replayed = UINT64_MAX - 1;
	fill_lag(member->lag);
	member->lag[FHA_FLUSHED] = (FhaLag){false, 0};
	member->oldest_wal = UINT64_MAX - 2;
	fill(member->carried_out, sizeof(member->carried_out));
	fill(member->following, sizeof(member->following));
	fill(member->candidate_for, sizeof(member->candidate_for));
	fill(member->rule, sizeof(member->rule));
	member->rewindable = true;
	member->slots = 1;
	member->max_slots = 262143;
	member->max_senders = 262143;
	fill(member->trouble, sizeof(member->trouble));
	fill(member->archive_trouble, sizeof(member->archive_trouble));
	member->wal_lasts_ms = INT64_MAX;
	fill(member->no_start, sizeof(member->no_start));
	fill(member->suspects, sizeof(member->suspects));
	for (size_t i = 0; i < FHA_LIMITS; i++)
		member->limits.value[i] = member->limits_needed.value[i] = INT32_MAX;
	fill(member->updated_at, sizeof(member->updated_at));
}

/* Structs are compared as bytes: parse clears them first, so that padding is equal too. */
static void
assert_cluster_returns(const FhaCluster *cluster)
{
	static FhaCluster back;
	FhaError err;
	char *text;

	assert_int_equal(fha_cluster_print(cluster, &text, &err), FHA_OK);
	if (parse_cluster(text, strlen(text), &back, &err) != FHA_OK)
		fail_msg("%s: %s", err.text, text);
	assert_memory_equal(&back, cluster, sizeof(back));
	free(text);
}

static void
a_full_cluster_comes_back(void **state)
{
	static FhaCluster cluster;

	(void) state;
	fill_cluster(&cluster);
	assert_cluster_returns(&cluster);
}

static void
a_sparse_cluster_comes_back(void **state)
{
	static FhaCluster cluster;

	(void) state;
	memset(&cluster, 0, sizeof(cluster));
	cluster.cluster[0] = 'c';
	cluster.holder[0] = 'h';
	cluster.lease_duration_ms = 100;
	cluster.term = 1;
	cluster.timeline = 1;
	assert_cluster_returns(&cluster);
	for (int kind = FHA_REQUEST_SWITCHOVER; kind <= FHA_REQUEST_FAILOVER; kind++)
		for (int at = FHA_REQUEST_PENDING; at <= FHA_REQUEST_FAILED; at++)
		{
			cluster.request.kind = (FhaRequestKind) kind;
			cluster.request.state = (FhaRequestState) at;
			assert_cluster_returns(&cluster);
		}
}

static void
a_member_comes_back(void **state)
{
	static FhaMember member;
	static FhaMember back;
	FhaError err;
	char *text;

	(void) state;
	fill_member(&member);
	for (int role = FHA_ROLE_PRIMARY; role >= FHA_ROLE_DOWN; role--)
	{
		member.role = (FhaRole) role;
		assert_int_equal(fha_member_print(&member, &text, &err), FHA_OK);
		if (parse_member(text, strlen(text), &back, &err) != FHA_OK)
			fail_msg("%s: %s", err.text, text);
		assert_memory_equal(&back, &member, sizeof(back));
		free(text);
	}
}

static void
the_small_texts_are_good(void **state)
{
	static FhaCluster cluster;
	static FhaMember member;
	FhaError err;
	char *text;

	(void) state;
	assert_int_equal(parse_cluster(cluster_text, strlen(cluster_text), &cluster, &err), FHA_OK);
	assert_int_equal(cluster.release.timeline, 5);
	assert_false(cluster.release_final);
	assert_int_equal(cluster.request.kind, FHA_REQUEST_SWITCHOVER);
	/* Of version 1.1: no identity is known, and none is written. */
	assert_string_equal(cluster.timeline_id, "");
	assert_string_equal(cluster.lineage[0].id, "");
	assert_int_equal(fha_cluster_print(&cluster, &text, &err), FHA_OK);
	assert_null(strstr(text, "timeline_id"));
	assert_null(strstr(text, "\"end\":\"0/0\",\"id\""));
	assert_int_equal(cluster.archived.timeline, 0);
	assert_null(strstr(text, "archived"));
	free(text);
	assert_int_equal(parse_member(member_text, strlen(member_text), &member, &err), FHA_OK);
	assert_int_equal(member.role, FHA_ROLE_PRIMARY);
}

typedef struct Hostile
{
	const char *from;
	const char *to;
	const char *named; /* what the error's text must name */
} Hostile;

#define TOO_LONG_NAME "\"0123456789012345678901234567890123456789x\""

static const Hostile hostile_clusters[] = {
	/* wrong types */
	{"\"cluster\":\"db\"", "\"cluster\":7", "cluster"},
	{"\"cluster_uuid\":\"c0ffee\"", "\"cluster_uuid\":[]", "cluster_uuid"},
	{"\"system_identifier\":\"4711\"", "\"system_identifier\":4711", "system_identifier"},
	{"\"holder\":\"n1\"", "\"holder\":{}", "holder"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":\"3000\"", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":3000.5", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":3e3", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":true", "lease_duration_ms"},
	{"\"released\":true", "\"released\":\"true\"", "released"},
	{"\"released\":true", "\"released\":1", "released"},
	{"\"release\":{\"timeline\":5,\"lsn\":\"0/10\"}", "\"release\":[]", "release"},
	{"\"release\":{\"timeline\":5,", "\"release\":{\"timeline\":\"5\",", "timeline"},
	{"\"release\":{\"timeline\":5,", "\"release\":{\"final\":1,\"timeline\":5,", "final"},
	{"\"term\":\"7\"", "\"term\":7", "term"},
	{"\"term\":\"7\"", "\"term\":\"9223372036854775807\"", "term"},
	{"\"lineage_term\":\"6\"", "\"lineage_term\":\"18446744073709551615\"", "lineage_term"},
	{"\"timeline\":6,", "\"timeline\":\"6\",", "timeline"},
	{"\"lineage\":[{\"timeline\":5,\"end\":\"0/0\"}]", "\"lineage\":{}", "lineage"},
	{"\"lineage\":[{\"timeline\":5,\"end\":\"0/0\"}]", "\"lineage\":[null]", "lineage"},
	{"\"lineage\":[{\"timeline\":5,\"end\":\"0/0\"}]", "\"lineage\":[[5,0]]", "lineage"},
	{"\"end\":\"0/0\"", "\"end\":0", "end"},
	{"\"end\":\"0/0\"", "\"end\":\"0/0\",\"id\":3", "id"},
	{"\"end\":\"0/0\"", "\"end\":\"0/0\",\"id\":\"00000000000000a55\"", "id"},
	{"\"timeline\":6,", "\"timeline\":6,\"timeline_id\":6,", "timeline_id"},
	{"\"members\":[\"n1\"", "\"members\":[1", "members"},
	{"\"members\":[\"n1\"", "\"members\":[null", "members"},
	{"\"members\":[\"n1\",\"n2\"]", "\"members\":\"n1\"", "members"},
	{"\"standbys\":[{", "\"standbys\":[\"n2\",{", "standbys"},
	{"\"paused\":true", "\"paused\":0", "paused"},
	{"\"paused\":true", "\"paused\":true,\"settings\":[7]", "settings"},
	{"\"paused\":true",
	 "\"paused\":true,\"settings\":[{\"name\":\"work_mem\",\"value\":\"1\\n2\"}]", "settings"},
	{"\"paused\":true",
	 "\"paused\":true,\"settings\":[{\"name\":\"data_directory\",\"value\":\"/\"}]", "settings"},
	{"\"request\":{", "\"request\":\"now\",\"x\":{", "request"},
	/* missing */
	{"\"kind\":\"cluster\"", "\"kind\":\"member\"", "cluster"},
	{"\"kind\":\"cluster\",", "", "cluster"},
	{"\"cluster\":\"db\",", "", "cluster"},
	{"\"holder\":\"n1\"", "\"holder\":\"\"", "holder"},
	{"\"holder\":\"n1\"", "\"holder\":null", "holder"},
	{"\"term\":\"7\"", "\"term\":\"0\"", "term"},
	{"\"term\":\"7\",", "", "term"},
	{"\"timeline\":6,", "\"timeline\":0,", "timeline"},
	{"\"lease_duration_ms\":3000,", "", "lease_duration_ms"},
	{",\"state\":\"pending\"", "", "request"},
	/* too long */
	{"\"holder\":\"n1\"", "\"holder\":" TOO_LONG_NAME, "holder"},
	{"\"members\":[\"n1\"", "\"members\":[" TOO_LONG_NAME, "members"},
	{"\"standbys\":[{\"member\":\"n2\"", "\"standbys\":[{\"member\":" TOO_LONG_NAME, "member"},
	{"\"nonce\":\"ab\"", "\"nonce\":\"01234567890123456\"", "nonce"},
	{"\"kind\":\"switchover\"", "\"kind\":\"switchoverswitchover\"", "kind"},
	/* NUL */
	{"\"holder\":\"n1\"", "\"holder\":\"n1\\u0000\"", "holder"},
	{"\"holder\":\"n1\"", "\"holder\":\"\\u0000n1\"", "holder"},
	{"\"members\":[\"n1\"", "\"members\":[\"n1\\u0000x\"", "members"},
	{"\"lsn\":\"0/10\"", "\"lsn\":\"0/10\\u0000\"", "lsn"},
	{"\"term\":\"7\"", "\"term\":\"7\\u0000\"", "term"},
	/* out of range: nobody may make observers wait for ever, or not at all */
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":0", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":99", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":-3000", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":3600001", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":31536000000", "lease_duration_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":9223372036854775807", "_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":18446744073709551615", "_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":99999999999999999999999", "_ms"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":-99999999999999999999999", "_ms"},
	{"\"timeline\":6,", "\"timeline\":-1,", "timeline"},
	{"\"timeline\":6,", "\"timeline\":4294967296,", "timeline"},
	{"\"release\":{\"timeline\":5,", "\"release\":{\"timeline\":4294967301,", "timeline"},
	{"\"term\":\"7\"", "\"term\":\"18446744073709551616\"", "term"},
	{"\"term\":\"7\"", "\"term\":\"-7\"", "term"},
	{"\"term\":\"7\"", "\"term\":\" 7\"", "term"},
	{"\"term\":\"7\"", "\"term\":\"+7\"", "term"},
	{"\"term\":\"7\"", "\"term\":\"0x7\"", "term"},
	{"\"term\":\"7\"", "\"term\":\"7e1\"", "term"},
	/* texts that mean nothing */
	{"\"lsn\":\"0/10\"", "\"lsn\":\"10\"", "lsn"},
	{"\"lsn\":\"0/10\"", "\"lsn\":\"0/10/\"", "lsn"},
	{"\"state\":\"pending\"", "\"state\":\"waiting\"", "request"},
	{"\"state\":\"pending\"", "\"state\":\"\"", "request"},
	{"\"kind\":\"switchover\"", "\"kind\":\"none\"", "request"},
	{"\"kind\":\"switchover\"", "\"kind\":\"coup\"", "request"},
	/* not one JSON object */
	{"{\"kind\":\"cluster\"", "[{\"kind\":\"cluster\"", "JSON"},
	{"\"renewed_at\":\"now\"}", "\"renewed_at\":\"now\"}}", "JSON"},
	{"\"renewed_at\":\"now\"}", "\"renewed_at\":\"now\"} x", "JSON"},
	{"\"renewed_at\":\"now\"}", "\"renewed_at\":\"now\"}{}", "JSON"},
	{"\"renewed_at\":\"now\"}", "\"renewed_at\":\"now\",}", "JSON"},
	{"\"renewed_at\":\"now\"}", "\"renewed_at\":'now'}", "JSON"},
	{"\"renewed_at\":\"now\"}", "\"renewed_at\":\"now\"/* */}", "JSON"},
	{"\"renewed_at\":\"now\"}", "\"renewed_at\":NaN}", "finite"},
	{"\"lease_duration_ms\":3000", "\"lease_duration_ms\":03000", "JSON"},
	/* deep nesting, where nobody looks */
	{"\"kind\":\"cluster\"", "\"kind\":\"cluster\",\"x\":[[[[[[[[1]]]]]]]]", "JSON"},
	{"\"kind\":\"cluster\"",
	 "\"kind\":\"cluster\",\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":1}}}}}}}}",
	 "JSON"},
	/* not UTF-8: cut, stray, overlong, a surrogate, beyond Unicode */
	{"\"nonce\":\"ab\"", "\"nonce\":\"a\xc3\"", "JSON"},
	{"\"nonce\":\"ab\"", "\"nonce\":\"\x80\"", "JSON"},
	{"\"nonce\":\"ab\"", "\"nonce\":\"\xff\xfe\"", "JSON"},
	{"\"members\":[\"n1\"", "\"members\":[\"n\xe2\x82\"", "JSON"},
};

static void
hostile_clusters_are_refused(void **state)
{
	static FhaCluster cluster;
	static char text[TEXT_SIZE];

	(void) state;
	for (size_t i = 0; i < sizeof(hostile_clusters) / sizeof(hostile_clusters[0]); i++)
	{
		const Hostile *hostile = &hostile_clusters[i];
		size_t size = replace(cluster_text, hostile->from, hostile->to, text);
		FhaError err;

		if (parse_cluster(text, size, &cluster, &err) != FHA_PROTOCOL)
			fail_msg("accepted: %s", hostile->to);
		if (strstr(err.text, hostile->named) == NULL)
			fail_msg("%s: \"%s\" does not name %s", hostile->to, err.text, hostile->named);
	}
}

static void
hostile_members_are_refused(void **state)
{
	static const Hostile cases[] = {
		{"\"kind\":\"member\"", "\"kind\":\"cluster\"", "member"},
		{"\"cluster\":\"db\"", "\"cluster\":\"\"", "cluster"},
		{"\"member\":\"n1\"", "\"member\":\"\"", "member"},
		{"\"member\":\"n1\",", "", "member"},
		{"\"member\":\"n1\"", "\"member\":" TOO_LONG_NAME, "member"},
		{"\"member\":\"n1\"", "\"member\":\"n1\\u0000\"", "member"},
		{"\"role\":\"primary\"", "\"role\":true", "role"},
		{"\"role\":\"primary\"", "\"role\":\"primaryprimaryprimary\"", "role"},
		{"\"term\":\"7\"", "\"term\":7", "term"},
		{"\"term\":\"7\"", "\"term\":\"9223372036854775807\"", "term"},
		{"\"term\":\"7\"", "\"term\":\"7\",\"highest_term\":\"4611686018427387905\"",
		 "highest_term"},
		{"\"timeline\":5", "\"timeline\":-5", "timeline"},
		{"\"lsn\":\"0/10\"", "\"lsn\":\"0/123456789\"", "lsn"},
		{"\"replayed\":\"0/8\"", "\"replayed\":\"8\"", "replayed"},
		{"\"rewindable\":true", "\"rewindable\":\"yes\"", "rewindable"},
		{"\"candidate_for\":\"v1\"", "\"candidate_for\":1", "candidate_for"},
		{"\"rule\":\"leads\"", "\"rule\":1", "rule"},
	};
	static FhaMember member;
	static char text[TEXT_SIZE];
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		size_t size = replace(member_text, cases[i].from, cases[i].to, text);

		if (parse_member(text, size, &member, &err) != FHA_PROTOCOL)
			fail_msg("accepted: %s", cases[i].to);
		if (strstr(err.text, cases[i].named) == NULL)
			fail_msg("%s: \"%s\" does not name %s", cases[i].to, err.text, cases[i].named);
	}
	/* An unknown role must not look like a leader. */
	assert_int_equal(
		parse_member(text,
					 replace(member_text, "\"role\":\"primary\"", "\"role\":\"emperor\"", text),
					 &member, &err),
		FHA_OK);
	assert_int_equal(member.role, FHA_ROLE_DOWN);
}

/* Unknown keys are a newer version's; a key that comes twice counts once, as the last. */
static void
what_is_tolerated(void **state)
{
	static FhaCluster cluster;
	static char text[TEXT_SIZE];
	FhaError err;
	size_t size;

	(void) state;
	size = replace(cluster_text, "\"kind\":\"cluster\"",
				   "\"kind\":\"cluster\",\"future\":[{\"x\":[1.5,null]}]", text);
	assert_int_equal(parse_cluster(text, size, &cluster, &err), FHA_OK);
	size = replace(cluster_text, "\"term\":\"7\"", "\"term\":\"7\",\"term\":\"8\"", text);
	/* Which of the two would count? */
	assert_int_equal(parse_cluster(text, size, &cluster, &err), FHA_PROTOCOL);
	size = replace(cluster_text, "\"term\":\"7\"", "\"term\":\"8\",\"term\":7", text);
	assert_int_equal(parse_cluster(text, size, &cluster, &err), FHA_PROTOCOL);
	size = replace(cluster_text, "{\"kind\":\"cluster\"", " \t\r\n{ \"kind\" : \"cluster\"", text);
	memcpy(text + size, " \n", 3);
	assert_int_equal(parse_cluster(text, size + 2, &cluster, &err), FHA_OK);
	/* The text's own NUL is text after it. */
	assert_int_equal(parse_cluster(cluster_text, sizeof(cluster_text), &cluster, &err),
					 FHA_PROTOCOL);
	/* Who wants no error text gives none. */
	assert_int_equal(fha_cluster_parse("[]", 2, &cluster, NULL), FHA_PROTOCOL);
}

/* The cluster record with an array of count copies of item in place of key's own. */
static FhaCode
parse_with_array(const char *key, const char *item, int count)
{
	static FhaCluster cluster;
	static char text[TEXT_SIZE];
	const char *at = strstr(cluster_text, key);
	const char *rest;
	size_t used;
	FhaError err;
	FhaCode code;

	assert_non_null(at);
	at = strchr(at, '[');
	rest = strchr(at, ']');
	used = (size_t) (at - cluster_text);
	memcpy(text, cluster_text, used);
	for (int i = 0; i < count; i++)
	{
		text[used++] = i == 0 ? '[' : ',';
		memcpy(text + used, item, strlen(item));
		used += strlen(item);
	}
	memcpy(text + used, rest, strlen(rest) + 1);
	code = parse_cluster(text, strlen(text), &cluster, &err);
	if (code != FHA_OK && strstr(err.text, key) == NULL)
		fail_msg("%s does not name %s", err.text, key);
	return code;
}

static void
sixty_four_and_no_more(void **state)
{
	(void) state;
	assert_int_equal(parse_with_array("\"members\"", "\"n1\"", 64), FHA_OK);
	assert_int_equal(parse_with_array("\"members\"", "\"n1\"", 65), FHA_PROTOCOL);
	assert_int_equal(parse_with_array("\"standbys\"", "{\"member\":\"n\"}", 64), FHA_OK);
	assert_int_equal(parse_with_array("\"standbys\"", "{\"member\":\"n\"}", 65), FHA_PROTOCOL);
	assert_int_equal(parse_with_array("\"lineage\"", "{\"timeline\":1}", 64), FHA_OK);
	assert_int_equal(parse_with_array("\"lineage\"", "{\"timeline\":1}", 65), FHA_PROTOCOL);
}

static void
every_prefix_is_refused(void **state)
{
	static FhaCluster cluster;
	static FhaMember member;
	FhaError err;

	(void) state;
	for (size_t size = 0; size < strlen(cluster_text); size++)
		if (parse_cluster(cluster_text, size, &cluster, &err) != FHA_PROTOCOL)
			fail_msg("%zu bytes of the cluster record are enough", size);
	for (size_t size = 0; size < strlen(member_text); size++)
		if (parse_member(member_text, size, &member, &err) != FHA_PROTOCOL)
			fail_msg("%zu bytes of the member record are enough", size);
}

/* No byte of a record may be damaged to one that no JSON text has; other damage must not crash. */
static void
every_damaged_byte_is_survived(void **state)
{
	static const char never[] = {'\0', '\x80', '\xc3', '\xff'};
	static const char maybe[] = {'"', '\\', '{', '}', '[', ']',   ',',
								 ':', '0',  '-', 'e', ' ', '\x01'};
	static FhaCluster cluster;
	static char text[sizeof(cluster_text)];
	FhaError err;

	(void) state;
	for (size_t at = 0; at < strlen(cluster_text); at++)
	{
		memcpy(text, cluster_text, sizeof(text));
		for (size_t i = 0; i < sizeof(never); i++)
		{
			text[at] = never[i];
			if (parse_cluster(text, strlen(cluster_text), &cluster, &err) != FHA_PROTOCOL)
				fail_msg("byte %zu may be %02x", at, (unsigned) (unsigned char) never[i]);
		}
		for (size_t i = 0; i < sizeof(maybe); i++)
		{
			text[at] = maybe[i];
			(void) parse_cluster(text, strlen(cluster_text), &cluster, &err);
		}
	}
}

/* A record that we wrote and nobody can read would stop the cluster: a text may have been cut. */
static void
what_is_printed_can_be_read(void **state)
{
	static FhaCluster cluster;
	static FhaCluster back;
	FhaError err;
	FhaCode code;
	char *text;

	(void) state;
	assert_int_equal(parse_cluster(cluster_text, strlen(cluster_text), &cluster, &err), FHA_OK);
	memcpy(cluster.pause_reason, "caf\xc3", 5);
	if (fha_cluster_print(&cluster, &text, &err) != FHA_OK)
		return; /* refusing it is as good */
	code = parse_cluster(text, strlen(text), &back, &err);
	free(text);
	assert_int_equal(code, FHA_OK);
}

static FhaHistoryEntry
entry_of(uint64_t term)
{
	FhaHistoryEntry entry = {.term = term, .timeline = 5};

	memcpy(entry.event, "failover", 9);
	memcpy(entry.member, "n2", 3);
	memcpy(entry.from, "n1", 3);
	memcpy(entry.request, "f00d", 5);
	memcpy(entry.requested_by, "eve", 4);
	memcpy(entry.reason, "\"why\"", 6);
	memcpy(entry.at, "now", 4);
	return entry;
}

static void
read_entries(const char *text, size_t *count, uint64_t *first, uint64_t *last)
{
	FhaError err = {.code = FHA_OK};
	struct json_object *object = fha_json_parse(text, strlen(text), &err);
	struct json_object *entries;

	assert_non_null(object);
	entries = fha_json_array(object, "entries", FHA_HISTORY_MAX, &err);
	assert_non_null(entries);
	*count = json_object_array_length(entries);
	fha_json_u64(json_object_array_get_idx(entries, 0), "term", first, &err);
	fha_json_u64(json_object_array_get_idx(entries, *count - 1), "term", last, &err);
	assert_int_equal(err.code, FHA_OK);
	json_object_put(object);
}

static void
history_keeps_the_newest_hundred(void **state)
{
	char *text = NULL;
	FhaError err;

	(void) state;
	for (uint64_t term = 1; term <= 150; term++)
	{
		FhaHistoryEntry entry = entry_of(term);
		char *longer;
		size_t count;
		uint64_t first = 0;
		uint64_t last = 0;

		assert_int_equal(
			fha_history_append("db", text, text == NULL ? 0 : strlen(text), &entry, &longer, &err),
			FHA_OK);
		free(text);
		text = longer;
		read_entries(text, &count, &first, &last);
		assert_int_equal(count, term < 100 ? term : 100);
		assert_int_equal(last, term);
		assert_int_equal(first, term < 100 ? 1 : term - 99);
	}
	assert_non_null(strstr(text, "\"kind\":\"history\""));
	assert_non_null(strstr(text, "\"cluster\":\"db\""));
	assert_non_null(strstr(text, "\"event\":\"failover\""));
	assert_non_null(strstr(text, "\"member\":\"n2\",\"from\":\"n1\",\"reason\":\"\\\"why\\\"\""));
	assert_non_null(strstr(text, "\"request\":\"f00d\",\"requested_by\":\"eve\""));
	free(text);
}

static void
an_entry_is_found_again(void **state)
{
	FhaHistoryEntry entry = entry_of(1);
	FhaHistoryEntry other = entry_of(1);
	FhaError err;
	char *text;

	(void) state;
	assert_int_equal(fha_history_append("db", NULL, 0, &entry, &text, &err), FHA_OK);
	assert_true(fha_history_has(text, strlen(text), &entry));
	other.at[strlen(other.at) - 2] ^= 1;
	assert_false(fha_history_has(text, strlen(text), &other));
	assert_false(fha_history_has("[]", 2, &entry));
	assert_false(fha_history_has("rubbish", 7, &entry));
	free(text);
}

static void
an_entry_without_a_request_has_none(void **state)
{
	FhaHistoryEntry entry = entry_of(1);
	FhaError err;
	char *text;

	(void) state;
	entry.request[0] = '\0';
	assert_int_equal(fha_history_append("db", NULL, 0, &entry, &text, &err), FHA_OK);
	assert_null(strstr(text, "request"));
	free(text);
}

static void
a_damaged_history_is_refused(void **state)
{
	static const char *const damaged[] = {
		"",
		"{",
		"[]",
		"null",
		"{}",
		"{\"kind\":\"cluster\",\"entries\":[]}",
		"{\"kind\":\"history\",\"entries\":{}}",
		"{\"kind\":\"history\",\"entries\":\"none\"}",
		"{\"kind\":\"history\",\"entries\":[]} x",
		"{\"kind\":\"history\",\"entries\":[null]}",
		"{\"kind\":\"history\",\"entries\":[{\"a\":[NaN]}]}",
		"{\"kind\":\"history\",\"entries\":[{\"term\":\"1\"},\"\xff\"]}",
	};
	FhaHistoryEntry entry = entry_of(1);

	(void) state;
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
	{
		FhaError err = {.code = FHA_OK};
		char untouched[] = "untouched";
		char *text = untouched;

		if (fha_history_append("db", damaged[i], strlen(damaged[i]), &entry, &text, &err) !=
			FHA_PROTOCOL)
			fail_msg("not refused as damaged: %s (%s)", damaged[i], err.text);
		assert_null(text);
		assert_int_equal(err.code, FHA_PROTOCOL);
	}
	/* 101 entries are not ours. */
	{
		static char text[4096] = "{\"kind\":\"history\",\"entries\":[1";
		size_t used = strlen(text);
		char *out;

		for (int i = 0; i < 100; i++, used += 2)
			memcpy(text + used, ",1", 2);
		memcpy(text + used, "]}", 3);
		assert_int_equal(fha_history_append("db", text, used + 2, &entry, &out, NULL),
						 FHA_PROTOCOL);
	}
}

/* The text of a snapshot, in which each of these stands. */
static void
assert_shows(const FhaSnapshot *snapshot, const char *const *wanted, size_t count)
{
	FhaError err;
	char *text;

	assert_int_equal(fha_snapshot_print(snapshot, &text, &err), FHA_OK);
	for (size_t i = 0; i < count; i++)
		if (strstr(text, wanted[i]) == NULL)
			fail_msg("%s is not in %s", wanted[i], text);
	free(text);
}

static void
a_snapshot_has_the_records(void **state)
{
	static FhaSnapshot snapshot = {.member = "n1",
								   .incarnation = "1111",
								   .decision = "hold",
								   .rule = "leads",
								   .because = "this member \"leads\"",
								   .fence_open = true,
								   .fence_left_ms = 1234,
								   .known = true,
								   .member_count = 2,
								   .history_count = 1,
								   .history = {{.event = "failover", .term = 7}}};
	const char *wanted[5] = {
		"\"member\":\"n1\",\"incarnation\":\"1111\",\"decision\":\"hold\","
		"\"rule\":\"leads\",\"because\":\"this member \\\"leads\\\"\",\"fence_open\":true,"
		"\"fence_left_ms\":1234,",
		"\"history\":[{\"at\":\"\",\"event\":\"failover\",\"term\":\"7\","};
	char *cluster;
	char *members;
	char *member;
	FhaError err;

	(void) state;
	assert_int_equal(fha_cluster_parse(cluster_text, strlen(cluster_text), &snapshot.cluster, &err),
					 FHA_OK);
	assert_int_equal(fha_member_parse(member_text, strlen(member_text), &snapshot.members[0], &err),
					 FHA_OK);
	snapshot.members[1] = snapshot.members[0];
	(void) snprintf(snapshot.members[1].member, FHA_NAME_SIZE, "n2");
	assert_int_equal(fha_cluster_print(&snapshot.cluster, &cluster, &err), FHA_OK);
	assert_int_equal(fha_member_print(&snapshot.members[0], &member, &err), FHA_OK);
	assert_true(asprintf(&members, "\"members\":[%s,{\"kind\":\"member\",", member) > 0);
	wanted[2] = cluster;
	wanted[3] = members;
	wanted[4] = "\"member\":\"n2\"";
	assert_shows(&snapshot, wanted, 5);
	free(cluster);
	free(member);
	free(members);
}

static void
a_snapshot_of_a_node_has_what_it_measured(void **state)
{
	static FhaSnapshot snapshot = {.decision = "hold",
								   .because = "",
								   .measured = true,
								   .lag_count = 1,
								   .lags = {{.member = "n2",
											 .streaming = true,
											 .fresh_at_ms = {0, 5, 0},
											 .bytes = {-1, 7, -1}}},
								   .heard_count = 1,
								   .heard = {{.member = "n3", .at_ms = 9}}};
	static const char *const wanted[] = {
		"\"lag\":[{\"member\":\"n2\",\"streaming\":true,\"write\":{},"
		"\"flush\":{\"fresh_ms\":5,\"bytes\":7},\"replay\":{}}]",
		"\"heard\":[{\"member\":\"n3\",\"at_ms\":9}]"};

	(void) state;
	assert_shows(&snapshot, wanted, 2);
}

static void
a_snapshot_of_nothing(void **state)
{
	static FhaSnapshot snapshot = {.member = "n1", .decision = "hold", .because = "starting"};
	FhaError err;
	char *text;

	(void) state;
	assert_int_equal(fha_snapshot_print(&snapshot, &text, &err), FHA_OK);
	assert_string_equal(text, "{\"member\":\"n1\",\"incarnation\":\"\",\"decision\":\"hold\","
							  "\"because\":\"starting\",\"fence_open\":false,\"fence_left_ms\":0,"
							  "\"lease_is_free\":false,\"members\":[]}");
	free(text);
}

/* A history of 1.1 says nothing of states, and none is made up. */
static void
an_entry_of_1_1_comes_back(void **state)
{
	static const char text[] =
		"{\"kind\":\"history\",\"entries\":[{\"event\":\"restart\",\"request\":\"1111\","
		"\"requested_by\":\"eve\",\"result\":\"failed: not so\"}]}";
	static FhaSnapshot snapshot = {.decision = "", .because = ""};
	FhaError err;
	char *out;

	(void) state;
	assert_int_equal(
		fha_history_parse(text, strlen(text), snapshot.history, &snapshot.history_count, &err),
		FHA_OK);
	assert_int_equal(fha_snapshot_print(&snapshot, &out, &err), FHA_OK);
	assert_non_null(strstr(out, "\"requested_by\":\"eve\",\"result\":\"failed: not so\"}"));
	assert_null(strstr(out, "\"state\""));
	free(out);
}

/* One entry that is of a later version, or damaged, hides none of the newer ones. */
static void
what_of_a_history_can_be_read_is_gleaned(void **state)
{
	static const char text[] =
		"{\"kind\":\"history\",\"entries\":[{\"event\":\"bootstrap\"},7,"
		"{\"event\":\"an event whose name is too long\"},{\"term\":1},{\"event\":\"failover\"}]}";
	static FhaHistoryEntry entries[FHA_HISTORY_MAX];
	FhaError err = {.code = FHA_OK};
	size_t count;

	(void) state;
	assert_int_equal(fha_history_glean(text, strlen(text), entries, &count, &err), FHA_OK);
	assert_int_equal(count, 2);
	assert_string_equal(entries[0].event, "bootstrap");
	assert_string_equal(entries[1].event, "failover");
	assert_int_equal(fha_history_parse(text, strlen(text), entries, &count, &err), FHA_PROTOCOL);
	assert_int_equal(fha_history_glean("{}", 2, entries, &count, &err), FHA_PROTOCOL);
	assert_int_equal(count, 0);
}

static void
text_beyond_every_record_is_refused_unread(void **state)
{
	char *text = malloc(FHA_JSON_SIZE_MAX);
	FhaError err = {.code = FHA_OK};

	(void) state;
	assert_non_null(text);
	memset(text, ' ', FHA_JSON_SIZE_MAX);
	memcpy(text, "{}", 2);
	assert_null(fha_json_parse(text, FHA_JSON_SIZE_MAX, &err));
	assert_int_equal(err.code, FHA_PROTOCOL);
	assert_non_null(strstr(err.text, "too long"));
	free(text);
}

static void
names_of_records_differ(void **state)
{
	char name[FHA_NAME_SIZE];
	char out[128];

	(void) state;
	fha_record_name_cluster("db", out, sizeof(out));
	assert_string_equal(out, "db");
	fha_record_name_member("db", "n1", out, sizeof(out));
	assert_string_equal(out, "db-n1");
	fha_record_name_history("db", out, sizeof(out));
	assert_string_equal(out, "db.history");
	/* 128 is always enough. */
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	fha_record_name_member(name, name, out, sizeof(out));
	assert_int_equal(strlen(out), 2 * (FHA_NAME_SIZE - 1) + 1);
}

/* A cluster's record with this in its request. */
static FhaCode
parse_request(const char *fields, FhaRequest *out, FhaError *err)
{
	static FhaCluster cluster;
	char text[1024];
	FhaCode code;

	(void) snprintf(text, sizeof(text),
					"{\"kind\":\"cluster\",\"cluster\":\"db\",\"holder\":\"n1\",\"term\":\"1\","
					"\"timeline\":1,\"lease_duration_ms\":3000,\"request\":{%s}}",
					fields);
	err->code = FHA_OK;
	code = fha_cluster_parse(text, strlen(text), &cluster, err);
	*out = cluster.request;
	return code;
}

static void
requests_are_parsed(void **state)
{
#define PENDING "\"state\":\"pending\","
	static const char *const refused[] = {
		"\"id\":\"f00d\",\"kind\":\"failover\"",
		PENDING "\"id\":\"f00d\",\"kind\":\"none\"",
		PENDING "\"id\":\"f00d\",\"kind\":\"coup\"",
		PENDING "\"id\":7,\"kind\":\"failover\"",
		PENDING "\"id\":\"01234567890123456\",\"kind\":\"failover\"",
		PENDING "\"id\":\"f\\u0000\",\"kind\":\"failover\"",
		PENDING "\"id\":\"f00d\",\"kind\":\"failover\",\"target\":" TOO_LONG_NAME,
		PENDING "\"id\":\"f00d\",\"kind\":\"failover\",\"requested_by\":"
				"\"0123456789012345678901234567890123456789012345678901234567890123\"",
		PENDING "\"id\":\"f00d\",\"kind\":\"failover\",\"requested_by\":\"\xc3\"",
		"\"state\":\"lost\",\"id\":\"f00d\",\"kind\":\"failover\"",
	};
	FhaRequest request;
	FhaError err;

	(void) state;
	assert_int_equal(parse_request(PENDING
								   "\"id\":\"f00d\",\"kind\":\"failover\",\"target\":\"n2\","
								   "\"requested_by\":\"eve\",\"message\":\"soon\"",
								   &request, &err),
					 FHA_OK);
	assert_int_equal(request.kind, FHA_REQUEST_FAILOVER);
	assert_int_equal(request.state, FHA_REQUEST_PENDING);
	assert_string_equal(request.id, "f00d");
	assert_string_equal(request.target, "n2");
	assert_string_equal(request.requested_by, "eve");
	assert_string_equal(request.message, "soon");
	assert_int_equal(parse_request(PENDING "\"id\":\"f\",\"kind\":\"switchover\"", &request, &err),
					 FHA_OK);
	assert_int_equal(request.kind, FHA_REQUEST_SWITCHOVER);
	assert_string_equal(request.target, "");
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (parse_request(refused[i], &request, &err) != FHA_PROTOCOL || err.code != FHA_PROTOCOL)
			fail_msg("accepted: %s", refused[i]);
}

static void
names_of_kinds_are_their_own(void **state)
{
	FhaRequestKind kind = FHA_REQUEST_NONE;
	FhaRequestState slip_state = FHA_REQUEST_PENDING;

	(void) state;
	assert_true(fha_request_kind_parse("switchover", &kind));
	assert_int_equal(kind, FHA_REQUEST_SWITCHOVER);
	assert_true(fha_request_kind_parse("failover", &kind));
	assert_int_equal(kind, FHA_REQUEST_FAILOVER);
	assert_false(fha_request_kind_parse("none", &kind));
	assert_false(fha_request_kind_parse("", &kind));
	assert_false(fha_request_kind_parse("Failover", &kind));
	assert_string_equal(fha_request_kind_name(FHA_REQUEST_NONE), "none");
	assert_string_equal(fha_request_state_name(FHA_REQUEST_PENDING), "pending");
	assert_string_equal(fha_request_state_name(FHA_REQUEST_FAILED), "failed");
	assert_true(fha_request_state_parse("failed", &slip_state));
	assert_int_equal(slip_state, FHA_REQUEST_FAILED);
	assert_false(fha_request_state_parse("failed: not so", &slip_state));
	assert_int_equal(slip_state, FHA_REQUEST_FAILED);
	assert_string_equal(fha_role_name(FHA_ROLE_DOWN), "down");
	assert_string_equal(fha_role_name(FHA_ROLE_STANDBY), "standby");
	assert_string_equal(fha_role_name(FHA_ROLE_PRIMARY), "primary");
}

static void
check_owner(const char *text, const char *wanted)
{
	FhaRecordOwner owner;
	char said[FHA_OWNER_TEXT_SIZE];

	assert_int_equal(fha_record_owner(text, text == NULL ? 0 : strlen(text), &owner),
					 wanted != NULL);
	if (wanted == NULL)
		return;
	fha_record_owner_print(&owner, said);
	assert_string_equal(said, wanted);
}

static void
a_record_says_whose_it_is(void **state)
{
	(void) state;
	check_owner("{\"kind\":\"cluster\",\"cluster\":\"db-demo-dev\",\"term\":true}",
				"cluster \"db-demo-dev\"");
	check_owner("{\"kind\":\"member\",\"cluster\":\"a-b\",\"member\":\"c\",\"lsn\":1}",
				"member \"c\" of cluster \"a-b\"");
	check_owner("{\"kind\":\"history\",\"cluster\":\"db\",\"entries\":[]}",
				"a record \"history\" of cluster \"db\"");
	check_owner(NULL, NULL);
	check_owner("{\"kind\":\"member\",\"cluster\":\"a-b\",\"mem", NULL);
	check_owner("{\"cluster\":\"a-b\",\"member\":\"c\"}", NULL);
	check_owner("{\"kind\":\"member\",\"member\":\"c\"}", NULL);
	check_owner("{\"kind\":\"member\",\"cluster\":7}", NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_cluster_comes_back),
		cmocka_unit_test(a_sparse_cluster_comes_back),
		cmocka_unit_test(a_member_comes_back),
		cmocka_unit_test(the_small_texts_are_good),
		cmocka_unit_test(hostile_clusters_are_refused),
		cmocka_unit_test(hostile_members_are_refused),
		cmocka_unit_test(what_is_tolerated),
		cmocka_unit_test(sixty_four_and_no_more),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(every_damaged_byte_is_survived),
		cmocka_unit_test(what_is_printed_can_be_read),
		cmocka_unit_test(history_keeps_the_newest_hundred),
		cmocka_unit_test(an_entry_is_found_again),
		cmocka_unit_test(an_entry_without_a_request_has_none),
		cmocka_unit_test(a_damaged_history_is_refused),
		cmocka_unit_test(a_snapshot_has_the_records),
		cmocka_unit_test(a_snapshot_of_a_node_has_what_it_measured),
		cmocka_unit_test(a_snapshot_of_nothing),
		cmocka_unit_test(text_beyond_every_record_is_refused_unread),
		cmocka_unit_test(an_entry_of_1_1_comes_back),
		cmocka_unit_test(what_of_a_history_can_be_read_is_gleaned),
		cmocka_unit_test(names_of_records_differ),
		cmocka_unit_test(a_record_says_whose_it_is),
		cmocka_unit_test(requests_are_parsed),
		cmocka_unit_test(names_of_kinds_are_their_own),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
