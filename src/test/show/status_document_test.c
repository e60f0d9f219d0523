/*
 * status_document_test.c: what people are shown of a cluster: findings, lag over time, the document, the page.
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

#include "base/json.h"
#include "record/record.h"
#include "show/overview.h"
#include "show/page.h"
#include "show/status_document.h"
#include "test/show/snapshot_text.h"

#define WALL_S 1763899200 /* 2025-11-23T12:00:00Z */
#define FRESH "2025-11-23T11:59:58.000Z"
#define STALE "2025-11-23T11:30:00.000Z"
#define NOW_MS 1000000
#define MB (1024 * 1024)

static FhaCluster record;
static FhaMember members[FHA_MEMBERS_MAX];
static FhaOutlook outlook;
static FhaFinding findings[FHA_FINDINGS_MAX];
static FhaLagRing ring;

static void
name_member(FhaMember *member, const char *name, FhaRole role)
{
	memset(member, 0, sizeof(*member));
	(void) snprintf(member->cluster, sizeof(member->cluster), "db");
	(void) snprintf(member->member, sizeof(member->member), "%s", name);
	(void) snprintf(member->incarnation, sizeof(member->incarnation), "0123456789abcdef");
	(void) snprintf(member->address, sizeof(member->address), "127.0.0.1:1");
	(void) snprintf(member->state, sizeof(member->state), "as ever");
	(void) snprintf(member->updated_at, sizeof(member->updated_at), FRESH);
	member->role = role;
	member->serves = role == FHA_ROLE_PRIMARY ? FHA_SERVES_PRIMARY : FHA_SERVES_REPLICA;
	member->position = (FhaPosition){2, 0x5000000};
	member->replayed = 0x5000000;
}

/* n1 leads, n2 streams from it: nothing is wrong. */
static int
set_up(void **state)
{
	(void) state;
	memset(&record, 0, sizeof(record));
	memset(&ring, 0, sizeof(ring));
	(void) snprintf(record.cluster, sizeof(record.cluster), "db");
	(void) snprintf(record.cluster_uuid, sizeof(record.cluster_uuid),
					"0123456789abcdef0123456789abcdef");
	(void) snprintf(record.holder, sizeof(record.holder), "n1");
	(void) snprintf(record.incarnation, sizeof(record.incarnation), "0123456789abcdef");
	(void) snprintf(record.renewed_at, sizeof(record.renewed_at), FRESH);
	record.lease_duration_ms = 3000;
	record.term = record.lineage_term = 2;
	record.timeline = 2;
	record.position = (FhaPosition){2, 0x5000000};
	record.standby_count = 1;
	(void) snprintf(record.standbys[0].member, FHA_NAME_SIZE, "n2");
	record.standbys[0].lsn = 0x5000000;
	name_member(&members[0], "n1", FHA_ROLE_PRIMARY);
	name_member(&members[1], "n2", FHA_ROLE_STANDBY);
	(void) snprintf(members[1].rule, sizeof(members[1].rule), "follows");
	outlook = (FhaOutlook){.record = &record,
						   .members = members,
						   .member_count = 2,
						   .wall_s = WALL_S,
						   .held = true,
						   .lease_age_ms = 500,
						   .max_lag_bytes = 16 * MB,
						   .local = true,
						   .agent = true,
						   .agent_age_ms = 100,
						   .postgres = FHA_PG_PRIMARY,
						   .fence_open = true};
	return 0;
}

/* The names of all findings, in their order. */
static const char *
names(void)
{
	static char text[2000];
	size_t count = fha_findings(&outlook, findings);

	text[0] = '\0';
	for (size_t i = 0; i < count; i++)
	{
		size_t used = strlen(text);

		assert_true(findings[i].what[0] != '\0' && findings[i].todo[0] != '\0');
		(void) snprintf(text + used, sizeof(text) - used, "%s%s", i == 0 ? "" : " ",
						findings[i].name);
	}
	return text;
}

static void
test_nothing_is_wrong(void **state)
{
	(void) state;
	assert_string_equal(names(), "");
	outlook.local = false;
	outlook.agent = outlook.fence_open = false;
	assert_string_equal(names(), "");
}

static void
test_findings_of_the_server(void **state)
{
	(void) state;
	outlook.agent = false;
	assert_string_equal(names(), "agent_gone");
	outlook.agent = true;
	outlook.agent_age_ms = 10000;
	assert_string_equal(names(), "");
	outlook.agent_age_ms = 10001;
	assert_string_equal(names(), "agent_hangs");
	assert_string_equal(findings[0].what, "this server's agent has done nothing for 10 s");
	record.lease_duration_ms = 15000;
	assert_string_equal(names(), "");
	outlook.agent_age_ms = 45001;
	assert_string_equal(names(), "agent_hangs");
	outlook.agent_age_ms = 0;
	outlook.fence_open = false;
	assert_string_equal(names(), "fence_shut");
	outlook.postgres = FHA_PG_STANDBY;
	assert_string_equal(names(), "");
	outlook.postgres = FHA_PG_BUSY;
	assert_string_equal(names(), "not_serving");
	outlook.postgres = FHA_PG_DOWN;
	assert_string_equal(names(), "not_serving");
	outlook.postgres = FHA_PG_STANDBY;
	outlook.promised = true;
	assert_string_equal(names(), "led_by_promises");
	outlook.promised = false;
	outlook.record = NULL;
	assert_string_equal(names(), "nothing_known");
}

static void
test_findings_of_the_lease(void **state)
{
	(void) state;
	outlook.lease_age_ms = 1500;
	assert_string_equal(names(), "");
	outlook.lease_age_ms = 1501;
	assert_string_equal(names(), "lease_expires");
	assert_string_equal(findings[0].what,
						"the lease is near its end: n1 has not renewed it for 1.5 s of 3.0 s");
	outlook.held = false;
	outlook.lease_age_ms = 4000;
	assert_string_equal(names(), "no_primary silent");
	assert_string_equal(findings[1].what, "n1 is silent: it does not renew its lease");
	assert_int_equal(findings[0].severity, FHA_CRITICAL);
	assert_string_equal(findings[0].what, "nobody leads: n1 has not renewed the lease for 4 s");
	outlook.lease_age_ms = -1;
	assert_string_equal(names(), "no_primary silent");
	assert_string_equal(findings[0].what, "nobody leads: n1 has not renewed the lease for 2 s");
	/* Seen by itself it is there, and fenced.  While elections are paused waiting helps nobody. */
	outlook.self = "n1";
	record.paused = true;
	assert_string_equal(names(), "no_primary fenced paused");
	assert_non_null(strstr(findings[0].todo, "fawkes-ha resume: "));
	record.paused = false;
	assert_null(strstr((names(), findings[0].todo), "resume"));
	record.released = true;
	assert_string_equal(names(), "no_primary fenced");
	assert_string_equal(findings[0].what, "nobody leads: n1 released the lease");
	/* Stopped cleanly, with more than anybody who runs has. */
	record.release_final = true;
	record.release = (FhaPosition){1000, UINT64_MAX - 1};
	assert_string_equal(names(), "end_missing fenced");
	assert_non_null(strstr(findings[0].what, "has all of its WAL: start n1"));
	record.released = false;
	assert_string_equal(names(), "end_missing fenced");
	set_up(NULL);
	record.standby_count = 0;
	assert_string_equal(names(), "no_fit_standby cut_off");
	/* The holder's list is older than the standby's word. */
	members[1].streaming = true;
	(void) snprintf(members[1].following, sizeof(members[1].following), "n1");
	assert_string_equal(names(), "");
	(void) snprintf(record.renewed_at, sizeof(record.renewed_at), "2025-11-23T11:59:58.001Z");
	assert_string_equal(names(), "no_fit_standby cut_off");
	/* A leader that is new has yet to be found by its standbys. */
	(void) snprintf(record.acquired_at, sizeof(record.acquired_at), "2025-11-23T11:59:57.000Z");
	assert_string_equal(names(), "");
	(void) snprintf(record.acquired_at, sizeof(record.acquired_at), "2025-11-23T11:59:56.000Z");
	assert_string_equal(names(), "no_fit_standby cut_off");
	set_up(NULL);
	record.paused = true;
	(void) snprintf(record.pause_reason, sizeof(record.pause_reason), "new switch");
	assert_string_equal(names(), "paused");
	assert_string_equal(findings[0].what, "failover is paused: new switch");
	record.paused = false;
	record.request.kind = FHA_REQUEST_SWITCHOVER;
	(void) snprintf(record.request.target, sizeof(record.request.target), "n2");
	(void) snprintf(record.request.requested_by, sizeof(record.request.requested_by), "me");
	assert_string_equal(names(), "request");
	assert_string_equal(findings[0].what,
						"a request is under way: switchover to n2, asked for by me, is pending");
	record.request.state = FHA_REQUEST_DONE;
	assert_string_equal(names(), "");
}

/* The lease is held and renewed, and its holder takes no writes. */
static void
test_a_holder_that_does_not_serve(void **state)
{
	(void) state;
	members[0].role = FHA_ROLE_DOWN;
	outlook.local = false;
	assert_true(fha_overview_is_out(&outlook));
	assert_string_equal(names(), "no_writes");
	assert_int_equal(findings[0].severity, FHA_CRITICAL);
	assert_string_equal(findings[0].what,
						"nobody can write: n1 holds the lease, and says: as ever");
	record.paused = true;
	assert_string_equal(names(), "no_writes paused");
	assert_non_null(strstr(findings[0].todo, "fawkes-ha resume: "));
	/* It is being promoted, until it has written its lineage; its own record follows. */
	set_up(NULL);
	members[0].role = FHA_ROLE_STANDBY;
	record.lineage_term = record.term - 1;
	assert_true(fha_overview_is_out(&outlook));
	record.lineage_term = record.term;
	assert_false(fha_overview_is_out(&outlook));
	assert_string_equal(names(), "");
	/* Nobody holds it: that is another finding.  A holder without a record is not judged. */
	set_up(NULL);
	members[0].role = FHA_ROLE_DOWN;
	outlook.held = false;
	assert_false(fha_overview_is_out(&outlook));
	outlook.held = true;
	(void) snprintf(members[0].member, sizeof(members[0].member), "n7");
	assert_false(fha_overview_is_out(&outlook));
}

/* Nobody else has anything to lead with, so no failover is spoken of. */
static void
test_a_cluster_that_is_being_founded(void **state)
{
	(void) state;
	record.term = record.timeline = 1;
	record.lineage_term = 0;
	record.standby_count = 0;
	outlook.local = false;
	outlook.member_count = 1;
	members[0].role = FHA_ROLE_DOWN;
	assert_true(fha_overview_is_out(&outlook));
	assert_string_equal(names(), "no_writes");
	assert_string_equal(
		findings[0].what,
		"nobody can write yet: the first member of the cluster is being started: n1 "
		"holds the lease, and says: as ever");
	assert_null(strstr(findings[0].todo, "failover"));
	outlook.held = false;
	assert_string_equal(names(), "no_primary down");
	assert_non_null(strstr(findings[0].todo, "start the member that is named"));
	record.released = true;
	assert_string_equal(names(), "no_primary down");
	assert_non_null(strstr(findings[0].todo, "start the member that is named"));
}

static const FhaShown *
shown(size_t index)
{
	static FhaShown one;

	fha_overview_member(&outlook, &members[index], &one);
	return &one;
}

static void
test_what_a_member_said_last_is_doubted(void **state)
{
	(void) state;
	assert_true(shown(0)->holds);
	assert_int_equal(shown(0)->role, FHA_SHOWN_PRIMARY);
	outlook.held = false;
	assert_false(shown(0)->holds);
	assert_int_equal(shown(0)->role, FHA_SHOWN_SILENT);
	assert_string_equal(shown(0)->state, "it does not renew its lease; last: as ever");
	/* Another one leads: who was killed has not written since, who is fenced has. */
	set_up(NULL);
	(void) snprintf(record.acquired_at, sizeof(record.acquired_at), "2025-11-23T11:59:58.500Z");
	members[1].role = FHA_ROLE_PRIMARY;
	assert_int_equal(shown(1)->role, FHA_SHOWN_SILENT);
	assert_string_equal(shown(1)->state, "no sign of it since it lost the lease; last: as ever");
	outlook.self = "n2";
	assert_int_equal(shown(1)->role, FHA_SHOWN_FENCED);
	outlook.self = "n3";
	(void) snprintf(members[1].updated_at, sizeof(members[1].updated_at),
					"2025-11-23T11:59:59.000Z");
	assert_int_equal(shown(1)->role, FHA_SHOWN_FENCED);
	assert_string_equal(shown(1)->state, "lost the lease; last: as ever");
	/* A node that was stopped is not missed, whatever stood in its last record. */
	members[1].role = FHA_ROLE_DOWN;
	(void) snprintf(members[1].rule, sizeof(members[1].rule), "stop_releases");
	assert_int_equal(shown(1)->role, FHA_SHOWN_DOWN);
	assert_string_equal(shown(1)->state, "its node was stopped");
	assert_string_equal(names(), "stopped");
	/* What it says in words counts of a member of 1.1 alone, which publishes no rule. */
	(void) snprintf(members[1].rule, sizeof(members[1].rule), "start_fails");
	(void) snprintf(members[1].state, sizeof(members[1].state), "this node stops: and so on");
	assert_false(shown(1)->stopped);
	(void) snprintf(members[1].rule, sizeof(members[1].rule), "a_rule_of_a_later_version");
	assert_false(shown(1)->stopped);
	members[1].rule[0] = '\0';
	assert_true(shown(1)->stopped);
	(void) snprintf(members[1].state, sizeof(members[1].state), "another sentence");
	assert_false(shown(1)->stopped);
	/* A standby that streams from nobody does not follow. */
	set_up(NULL);
	record.standby_count = 0;
	assert_string_equal(shown(1)->state, "does not stream; says: as ever");
	members[1].unattended = true;
	record.standby_count = 1;
	assert_string_equal(names(), "unattended");
	assert_string_equal(findings[0].what, "n2 runs without its supervisor");
	members[1].unattended = false;
	members[1].exporter_fails = true;
	assert_string_equal(names(), "no_exporter");
	assert_string_equal(findings[0].what, "n2 shows no status page and no metrics");
	/* Of the leader alone: a standby sends nothing. */
	set_up(NULL);
	(void) snprintf(members[1].archive_trouble, FHA_SENTENCE_SIZE, "no route");
	assert_string_equal(names(), "");
	(void) snprintf(members[0].archive_trouble, FHA_SENTENCE_SIZE, "the bucket is full");
	assert_string_equal(names(), "archive_fails");
	assert_string_equal(findings[0].what, "n1 cannot archive WAL: the bucket is full");
	members[0].wal_lasts_ms = 119 * 60000;
	assert_string_equal(names(), "archive_fails");
	assert_string_equal(findings[0].what, "n1 cannot archive WAL: the bucket is full; at this rate "
										  "its disk is full in 119 min");
	members[0].wal_lasts_ms = INT64_C(50) * 3600000;
	assert_string_equal(names(), "archive_fails");
	assert_string_equal(findings[0].what, "n1 cannot archive WAL: the bucket is full; at this rate "
										  "its disk is full in 50 h");
	/* Which of the settings of all members may be why is said; to serve nobody is no news then. */
	set_up(NULL);
	members[1].role = FHA_ROLE_DOWN;
	assert_string_equal(names(), "down");
	(void) snprintf(members[1].no_start, FHA_SENTENCE_SIZE, "no memory");
	assert_string_equal(names(), "does_not_start");
	assert_string_equal(findings[0].what, "n2 cannot start PostgreSQL: no memory");
	(void) snprintf(members[1].suspects, FHA_SUSPECTS_SIZE, "shared_buffers, ssl");
	assert_string_equal(names(), "does_not_start");
	assert_string_equal(findings[0].what, "n2 cannot start PostgreSQL: no memory; set for all "
										  "members since it ran: shared_buffers, ssl");
	/* Its state directory is new: what it says of itself is of the one before. */
	set_up(NULL);
	members[1].role = FHA_ROLE_DOWN;
	(void) snprintf(members[1].rule, sizeof(members[1].rule), "stopped");
	assert_string_equal(names(), "stopped");
	assert_string_equal(findings[0].what, "n2 was stopped");
	outlook.waits = "n2";
	assert_string_equal(names(), "waits");
	assert_string_equal(findings[0].what,
						"n2 runs here, and waits beside a record of its name from another state "
						"directory: in 9 s at the most it takes it over");
	(void) snprintf(members[1].updated_at, sizeof(members[1].updated_at), STALE);
	members[1].role = FHA_ROLE_STANDBY;
	assert_string_equal(names(), "waits");
	/* A record without data that nobody writes any more: somebody's try to join. */
	set_up(NULL);
	members[1].role = FHA_ROLE_DOWN;
	(void) snprintf(members[1].updated_at, sizeof(members[1].updated_at), STALE);
	assert_string_equal(names(), "silent");
	assert_string_equal(findings[0].what,
						"n2 is silent: no sign of it for 1800 s, and it has no data");
	assert_non_null(strstr(findings[0].todo, "fawkes-ha remove"));
}

static void
test_times_of_records(void **state)
{
	(void) state;
	assert_int_equal(fha_age_s(FRESH, WALL_S), 2);
	assert_int_equal(fha_age_s("yesterday", WALL_S), -1);
	assert_int_equal(fha_age_ms("2025-11-23T11:59:58.250Z", WALL_S * INT64_C(1000) + 1), 1751);
	assert_int_equal(fha_age_ms("2025-11-23T12:00:01Z", WALL_S * INT64_C(1000)), -1000);
	assert_true(fha_age_ms("", WALL_S * INT64_C(1000)) == INT64_MIN);
}

/* Of one that does not stream the time goes on. */
static void
test_age_of_what_a_standby_shows(void **state)
{
	FhaLag *listed = &record.standbys[0].lag[FHA_REPLAYED];

	(void) state;
	assert_int_equal(shown(0)->age_ms, -1);
	assert_int_equal(shown(1)->age_ms, -1);
	*listed = (FhaLag){true, 700};
	assert_int_equal(shown(1)->age_ms, 700);
	record.standbys[0].replayed = record.position.lsn;
	assert_int_equal(shown(1)->age_ms, 0);
	listed->ms = 3001;
	assert_int_equal(shown(1)->age_ms, 3001);
	members[1].lag[FHA_REPLAYED] = (FhaLag){true, 6800};
	record.standby_count = 0;
	assert_int_equal(shown(1)->age_ms, 8800);
	outlook.wall_s += 6;
	assert_int_equal(shown(1)->age_ms, 14800);
}

static void
test_findings_of_members(void **state)
{
	(void) state;
	(void) snprintf(members[1].updated_at, sizeof(members[1].updated_at), STALE);
	assert_string_equal(names(), "silent");
	assert_string_equal(findings[0].member, "n2");
	assert_string_equal(findings[0].what, "n2 is silent: no sign of it for 1800 s");
	set_up(NULL);
	members[1].role = FHA_ROLE_PRIMARY;
	assert_string_equal(names(), "fenced");
	members[1].role = FHA_ROLE_DOWN;
	assert_string_equal(names(), "down");
	assert_string_equal(findings[0].what, "n2 serves nobody: as ever");
	(void) snprintf(record.acquired_at, sizeof(record.acquired_at), "2025-11-23T11:59:57.000Z");
	assert_string_equal(names(), "");
	record.acquired_at[0] = '\0';
	members[1].role = FHA_ROLE_STANDBY;
	record.standbys[0].member[0] = 'x';
	assert_string_equal(names(), "cut_off");
	set_up(NULL);
	members[1].serves = FHA_SERVES_UNHEALTHY;
	assert_string_equal(names(), "unhealthy");
	(void) snprintf(record.acquired_at, sizeof(record.acquired_at), "2025-11-23T11:59:57.000Z");
	assert_string_equal(names(), "");
	set_up(NULL);
	members[1].pending_restart = true;
	assert_string_equal(names(), "pending_restart");
	set_up(NULL);
	/* A slot for each member, and one of a copy. */
	record.member_count = 2;
	members[0].max_slots = 3;
	members[0].max_senders = 3;
	assert_string_equal(names(), "");
	members[0].max_slots = 2;
	assert_string_equal(names(), "no_room");
	assert_string_equal(findings[0].what,
						"n1 has too little room for the members: max_replication_slots = 2, and 3 "
						"are needed at least");
	members[0].max_slots = 3;
	members[0].max_senders = 1;
	assert_string_equal(names(), "no_room");
	assert_non_null(strstr(findings[0].what, "max_wal_senders = 1"));
	set_up(NULL);
	(void) snprintf(members[0].trouble, sizeof(members[0].trouble),
					"there is no slot for n2: full");
	assert_string_equal(names(), "no_slot");
	assert_string_equal(findings[0].what,
						"n1 cannot be followed by all members: there is no slot for n2: full");
	/* It leads no more. */
	(void) snprintf(record.holder, sizeof(record.holder), "n2");
	assert_null(strstr(names(), "no_slot"));
	set_up(NULL);
	/* A standby that replays nothing because its primary has more. */
	members[1].limits = (FhaLimits){{100, 8, 16, 0, 64}};
	assert_string_equal(names(), "");
	members[1].limits_needed = (FhaLimits){{100, 8, 16, 5, 128}};
	assert_string_equal(names(), "cannot_be_promoted");
	assert_string_equal(findings[0].what, "n2 cannot be promoted: max_prepared_transactions 0 < 5");
	members[1].limits_needed = members[1].limits;
	assert_string_equal(names(), "");
	set_up(NULL);
	record.position.lsn = 0x5000000 + 16 * MB;
	assert_string_equal(names(), "");
	record.position.lsn++;
	assert_string_equal(names(), "far_behind");
	assert_string_equal(findings[0].what, "n2 is too far behind to be elected in a failover: "
										  "16777217 bytes, 16777216 are allowed");
	outlook.max_lag_bytes = 0;
	assert_string_equal(names(), "");
}

/* The worst first, and no more than there is room for. */
static void
test_findings_are_bounded(void **state)
{
	(void) state;
	for (size_t i = 1; i < FHA_MEMBERS_MAX; i++)
	{
		char name[FHA_NAME_SIZE];

		(void) snprintf(name, sizeof(name), "m%zu", i);
		name_member(&members[i], name, FHA_ROLE_PRIMARY);
		members[i].pending_restart = true;
	}
	outlook.member_count = FHA_MEMBERS_MAX;
	outlook.fence_open = false;
	assert_int_equal(fha_findings(&outlook, findings), FHA_FINDINGS_MAX);
	assert_string_equal(findings[0].name, "fence_shut");
	for (size_t i = 1; i < FHA_FINDINGS_MAX; i++)
		assert_true(findings[i].severity >= findings[i - 1].severity);
}

static void
test_ring_keeps_the_newest(void **state)
{
	(void) state;
	for (int i = 0; i < FHA_LAG_RING_SAMPLES + 7; i++)
	{
		fha_lag_ring_begin(&ring, i * FHA_LAG_RING_PERIOD_MS);
		assert_int_equal(ring.at_ms[fha_lag_ring_place(&ring, ring.count - 1)],
						 i * FHA_LAG_RING_PERIOD_MS);
		fha_lag_ring_put(&ring, "n2", i, 2 * i);
		if (i == 20)
			fha_lag_ring_put(&ring, "n3", FHA_LAG_UNSEEN, 9);
	}
	assert_int_equal(ring.count, FHA_LAG_RING_SAMPLES);
	for (size_t i = 0; i < ring.count; i++)
	{
		size_t place = fha_lag_ring_place(&ring, i);

		assert_int_equal(ring.tracks[0].ms[place], i + 7);
		assert_int_equal(ring.tracks[0].bytes[place], 2 * (i + 7));
		assert_int_equal(ring.tracks[1].bytes[place], i + 7 == 20 ? 9 : FHA_LAG_UNSEEN);
	}
	/* Who has no value left gives its place to another. */
	for (int i = 0; i < 20; i++)
		fha_lag_ring_begin(&ring, 1000000 + i);
	assert_string_equal(ring.tracks[1].member, "");
	assert_string_equal(ring.tracks[0].member, "n2");
	fha_lag_ring_put(&ring, "n4", 1, 1);
	assert_string_equal(ring.tracks[1].member, "n4");
	assert_int_equal(ring.tracks[1].ms[fha_lag_ring_place(&ring, 0)], FHA_LAG_UNSEEN);
}

static void
test_ring_is_bounded(void **state)
{
	char name[FHA_NAME_SIZE];

	(void) state;
	fha_lag_ring_begin(&ring, 1);
	for (int i = 0; i <= FHA_MEMBERS_MAX; i++)
	{
		(void) snprintf(name, sizeof(name), "n%d", i);
		fha_lag_ring_put(&ring, name, i, i);
	}
	for (int i = 0; i < FHA_MEMBERS_MAX; i++)
		assert_int_equal(ring.tracks[i].ms[0], i);
}

/* Those two members' and the cluster's records, with more keys; "" for none. */
static FhaSnapshot *
snapshot_with(const char *more)
{
	static FhaSnapshot snapshot;
	char *texts[2];
	char *cluster;
	char *whole;

	assert_int_equal(fha_cluster_print(&record, &cluster, NULL), FHA_OK);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(fha_member_print(&members[1 - i], &texts[i], NULL), FHA_OK);
	assert_true(asprintf(&whole, "{%s\"member\": \"n2\", \"cluster\": %s, \"members\": [%s, %s]}",
						 more, cluster, texts[0], texts[1]) > 0);
	assert_true(snapshot_read(whole, &snapshot));
	free(cluster);
	free(texts[0]);
	free(texts[1]);
	free(whole);
	return &snapshot;
}

static const FhaVitals standby = {.at_ms = NOW_MS - 100,
								  .postgres = FHA_PG_STANDBY,
								  .decision = "hold",
								  .rule = "follows",
								  .because = "as ever",
								  .known = true,
								  .renewed_at_ms = NOW_MS - 1000,
								  .lease_ms = 3000};
static const FhaFenceState shut;

static struct json_object *
document_of(const FhaSnapshot *snapshot, const FhaVitals *vitals, const FhaFenceState *fence,
			bool agent)
{
	FhaStatusInput input = {.snapshot = snapshot,
							.vitals = vitals,
							.fence = fence,
							.agent = agent,
							.now_ms = NOW_MS,
							.wall_s = WALL_S,
							.ring = &ring};
	struct json_object *object;
	char *text;

	assert_int_equal(fha_status_document(&input, &text, NULL), FHA_OK);
	object = fha_json_parse(text, strlen(text), NULL);
	assert_non_null(object);
	free(text);
	return object;
}

/* The value at a path like "lease/remaining_ms" or "members/0/role", as text. */
static const char *
value_at(struct json_object *object, const char *path)
{
	struct json_object *value;
	char pointer[100];

	(void) snprintf(pointer, sizeof(pointer), "/%s", path);
	if (json_pointer_get(object, pointer, &value) != 0)
		return "absent";
	return json_object_get_string(value);
}

static void
test_document(void **state)
{
	const FhaSnapshot *snapshot = snapshot_with(
		"\"history\": [{\"event\": \"bootstrap\"}, "
		"{\"event\": \"failover\", \"reason\": \"<img src=x>\"}], "
		"\"lag\": [{\"member\": \"n2\", \"streaming\": true, \"write\": {}, "
		"\"flush\": {\"bytes\": 5}, \"replay\": {\"fresh_ms\": 970000, \"bytes\": 7}}, "
		"{\"member\": \"n1\", \"replay\": {\"fresh_ms\": 998000, "
		"\"whole_until_ms\": 1000000, \"bytes\": 0}}], ");
	struct json_object *object;

	(void) state;
	fha_status_sample(&ring, snapshot, NOW_MS - 5000);
	fha_status_sample(&ring, NULL, NOW_MS);
	object = document_of(snapshot, &standby, &shut, true);
	assert_string_equal(value_at(object, "cluster"), "db");
	assert_string_equal(value_at(object, "member"), "n2");
	assert_string_equal(value_at(object, "at"), "2025-11-23T12:00:00Z");
	assert_string_equal(value_at(object, "role"), "standby");
	assert_string_equal(value_at(object, "agent/age_ms"), "100");
	assert_string_equal(value_at(object, "lease/holder"), "n1");
	assert_string_equal(value_at(object, "lease/held"), "true");
	assert_string_equal(value_at(object, "lease/remaining_ms"), "2000");
	assert_string_equal(value_at(object, "rule"), "follows");
	assert_string_equal(value_at(object, "members/0/member"), "n1");
	assert_string_equal(value_at(object, "members/0/rule"), "absent");
	assert_string_equal(value_at(object, "members/1/rule"), "follows");
	assert_string_equal(value_at(object, "members/0/lag_bytes"), "absent");
	assert_string_equal(value_at(object, "members/0/replay/ms"), "0");
	assert_string_equal(value_at(object, "members/1/member"), "n2");
	assert_string_equal(value_at(object, "members/1/replay/ms"), "30000");
	assert_string_equal(value_at(object, "members/1/replay/bytes"), "7");
	assert_string_equal(value_at(object, "members/1/flush/bytes"), "5");
	assert_string_equal(value_at(object, "members/1/write"), "absent");
	assert_string_equal(value_at(object, "lag/age_ms"), "[ 5000, 0 ]");
	assert_string_equal(value_at(object, "lag/members/0/ms"), "[ 25000, -1 ]");
	assert_string_equal(value_at(object, "lag/members/0/bytes"), "[ 7, -1 ]");
	assert_string_equal(value_at(object, "history/0/reason"), "<img src=x>");
	assert_string_equal(value_at(object, "history/1/event"), "bootstrap");
	assert_string_equal(value_at(object, "findings"), "[ ]");
	json_object_put(object);
}

static const FhaServerFacts *
facts_of(bool archives)
{
	static FhaServerFacts facts;
	static const struct
	{
		const char *name, *labels;
		double value;
	} rows[] = {
		{"cnpg_pg_postmaster_start_time", "", 1763899000.7},
		{"cnpg_pg_connections", "", 12},
		{"cnpg_pg_settings_setting", "name=\"max_connections\"", 100},
		{"cnpg_pg_settings_setting", "name=\"max_connections_of_another\"", 7},
		{"cnpg_backends_max_tx_duration_seconds", "datname=\"a\"", 3.9},
		{"cnpg_backends_max_tx_duration_seconds", "datname=\"b\"", 1},
		{"cnpg_pg_database_xid_age", "datname=\"a\"", 5},
		{"cnpg_pg_database_xid_age", "datname=\"b\"", 70},
		{"kubelet_volume_stats_capacity_bytes", "persistentvolumeclaim=\"n2\"", 1000},
		{"kubelet_volume_stats_available_bytes", "persistentvolumeclaim=\"n2\"", 400},
		{"kubelet_volume_stats_capacity_bytes", "persistentvolumeclaim=\"n2-wal\"", 50},
		{"kubelet_volume_stats_available_bytes", "nothing=\"n2\"", 9},
		{"cnpg_collector_up", "", 1},
		{"cnpg_pg_replication_slots_pg_wal_lsn_diff", "slot_type=\"x\"", 1e9},
		{"cnpg_pg_stat_archiver_last_archived_time", "", 5},
		{"cnpg_pg_stat_archiver_last_failed_time", "", -1},
	};

	fha_facts_begin(&facts);
	(void) snprintf(facts.postgres, sizeof(facts.postgres), "15.4");
	facts.age_ms = 300;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) - (archives ? 0 : 2); i++)
		fha_facts_take(&facts, rows[i].name, rows[i].labels, rows[i].value, "n2");
	/* Of many slots those that keep the most. */
	for (int i = 0; i < FHA_FACT_SLOTS_MAX + 4; i++)
	{
		char labels[40];

		(void) snprintf(labels, sizeof(labels), "slot_name=\"s%d\"", i);
		fha_facts_take(&facts, "cnpg_pg_replication_slots_pg_wal_lsn_diff", labels,
					   i % 2 == 0 ? i : 100 - i, "n2");
	}
	return &facts;
}

static struct json_object *
document_with(const FhaServerFacts *facts)
{
	const FhaSnapshot *snapshot = snapshot_with("");
	FhaStatusInput input = {.snapshot = snapshot,
							.vitals = &standby,
							.fence = &shut,
							.agent = true,
							.now_ms = NOW_MS,
							.wall_s = WALL_S,
							.ring = &ring,
							.server = facts};
	struct json_object *object;
	char *text;

	assert_int_equal(fha_status_document(&input, &text, NULL), FHA_OK);
	object = fha_json_parse(text, strlen(text), NULL);
	assert_non_null(object);
	free(text);
	return object;
}

static void
test_document_of_the_server(void **state)
{
	FhaServerFacts nothing;
	struct json_object *object = document_with(facts_of(true));

	(void) state;
	assert_string_equal(value_at(object, "server/postgres"), "15.4");
	assert_string_equal(value_at(object, "server/fawkes_ha"), FAWKES_HA_VERSION);
	assert_string_equal(value_at(object, "server/age_ms"), "300");
	assert_string_equal(value_at(object, "server/started_at"), "1763899000");
	assert_string_equal(value_at(object, "server/connections"), "12");
	assert_string_equal(value_at(object, "server/max_connections"), "100");
	assert_string_equal(value_at(object, "server/longest_transaction_s"), "3");
	assert_string_equal(value_at(object, "server/xid_age"), "70");
	assert_string_equal(value_at(object, "server/archiving"), "works");
	assert_string_equal(value_at(object, "server/data_volume/bytes"), "1000");
	assert_string_equal(value_at(object, "server/data_volume/free"), "400");
	assert_string_equal(value_at(object, "server/wal_volume/bytes"), "50");
	assert_string_equal(value_at(object, "server/wal_volume/free"), "absent");
	assert_string_equal(value_at(object, "server/slots/0/name"), "s1");
	assert_string_equal(value_at(object, "server/slots/0/bytes"), "99");
	assert_string_equal(value_at(object, "server/slots/5/name"), "s11");
	assert_string_equal(value_at(object, "server/slots/6/name"), "s10");
	assert_string_equal(value_at(object, "server/slots/7/bytes"), "8");
	assert_string_equal(value_at(object, "server/slots/8"), "absent");
	json_object_put(object);
	object = document_with(facts_of(false));
	assert_string_equal(value_at(object, "server/archiving"), "off");
	json_object_put(object);
	fha_facts_begin(&nothing);
	nothing.postgres[0] = '\0';
	object = document_with(&nothing);
	assert_string_equal(value_at(object, "server/postgres"), "absent");
	assert_string_equal(value_at(object, "server/connections"), "absent");
	assert_string_equal(value_at(object, "server/archiving"), "absent");
	assert_string_equal(value_at(object, "server/data_volume"), "absent");
	assert_string_equal(value_at(object, "server/slots"), "[ ]");
	json_object_put(object);
	object = document_with(NULL);
	assert_string_equal(value_at(object, "server"), "absent");
	json_object_put(object);
}

/* What the holder shows is when it stops by itself, not when others may begin. */
static void
test_document_of_the_holder(void **state)
{
	FhaVitals holder = standby;
	FhaFenceState fence = {.open = true, .left_ms = 1234};
	const FhaSnapshot *snapshot = snapshot_with("");
	struct json_object *object;

	(void) state;
	holder.postgres = FHA_PG_PRIMARY;
	holder.mine = true;
	object = document_of(snapshot, &holder, &fence, true);
	assert_string_equal(value_at(object, "lease/remaining_ms"), "1234");
	assert_string_equal(value_at(object, "lease/mine"), "true");
	assert_string_equal(value_at(object, "fence/left_ms"), "1234");
	json_object_put(object);
	/* A dead agent's lease is not held for ever. */
	holder.renewed_at_ms = NOW_MS - 3000;
	object = document_of(snapshot, &holder, &shut, false);
	assert_string_equal(value_at(object, "lease/held"), "false");
	assert_string_equal(value_at(object, "lease/remaining_ms"), "0");
	assert_string_equal(value_at(object, "findings/0/name"), "agent_gone");
	assert_string_equal(value_at(object, "findings/1/name"), "no_primary");
	json_object_put(object);
}

static void
test_document_ages(void **state)
{
	FhaVitals vitals = standby;
	const FhaSnapshot *snapshot = snapshot_with("");
	struct json_object *object;

	(void) state;
	vitals.renewed_at_ms = NOW_MS - 3000;
	object = document_of(snapshot, &vitals, &shut, true);
	assert_string_equal(value_at(object, "lease/held"), "false");
	json_object_put(object);
	vitals.renewed_at_ms = NOW_MS - 2999;
	object = document_of(snapshot, &vitals, &shut, true);
	assert_string_equal(value_at(object, "lease/held"), "true");
	assert_string_equal(value_at(object, "lease/remaining_ms"), "1");
	json_object_put(object);
}

/* Writes go on while the lock is away: the page says so on the holder and on whoever has promised. */
static void
test_document_by_promises(void **state)
{
	FhaVitals vitals = standby;
	FhaFenceState fence = {.open = true, .left_ms = 1234};
	const FhaSnapshot *snapshot = snapshot_with("");
	struct json_object *object;

	(void) state;
	vitals.mine = vitals.promised = true;
	vitals.postgres = FHA_PG_PRIMARY;
	vitals.renewed_at_ms = NOW_MS - 60000;
	object = document_of(snapshot, &vitals, &fence, true);
	assert_string_equal(value_at(object, "lease/held"), "true");
	assert_string_equal(value_at(object, "lease/promised"), "true");
	assert_string_equal(value_at(object, "lease/remaining_ms"), "1234");
	assert_string_equal(value_at(object, "members/0/role"), "primary");
	assert_string_equal(value_at(object, "findings/0/name"), "led_by_promises");
	assert_string_equal(value_at(object, "findings/1"), "absent");
	json_object_put(object);
	/* Its fence shuts: no promise holds any more. */
	object = document_of(snapshot, &vitals, &shut, true);
	assert_string_equal(value_at(object, "lease/held"), "false");
	assert_string_equal(value_at(object, "lease/promised"), "false");
	assert_string_equal(value_at(object, "findings/0/name"), "no_primary");
	assert_string_equal(value_at(object, "findings/1/name"), "fence_shut");
	assert_string_equal(value_at(object, "findings/2/name"), "silent");
	assert_string_equal(value_at(object, "findings/3"), "absent");
	json_object_put(object);

	vitals = standby;
	vitals.renewed_at_ms = NOW_MS - 60000;
	vitals.bound_ends_at_ms = NOW_MS + 800;
	object = document_of(snapshot, &vitals, &shut, true);
	assert_string_equal(value_at(object, "lease/held"), "true");
	assert_string_equal(value_at(object, "lease/remaining_ms"), "800");
	assert_string_equal(value_at(object, "findings/0/name"), "led_by_promises");
	assert_string_equal(
		value_at(object, "findings/0/what"),
		"the lock does not answer; the primary goes on as long as all other members promise: "
		"this one has promised n1 not to contend");
	assert_string_equal(value_at(object, "findings/1"), "absent");
	json_object_put(object);
	/* A promise that outlives the outage is none that anything hangs on. */
	vitals.renewed_at_ms = NOW_MS - 100;
	object = document_of(snapshot, &vitals, &shut, true);
	assert_string_equal(value_at(object, "lease/remaining_ms"), "2900");
	assert_string_equal(value_at(object, "findings"), "[ ]");
	json_object_put(object);
	vitals.renewed_at_ms = NOW_MS - 60000;
	vitals.bound_ends_at_ms = NOW_MS;
	object = document_of(snapshot, &vitals, &shut, true);
	assert_string_equal(value_at(object, "lease/held"), "false");
	assert_string_equal(value_at(object, "findings/0/name"), "no_primary");
	json_object_put(object);
}

/* Of what the lock has, the holder's clock alone tells how long a member was silent. */
static void
test_silence_by_the_holders_clock(void **state)
{
	(void) state;
	outlook.local = false;
	members[1].term = record.term;
	(void) snprintf(members[1].updated_at, FHA_TIME_SIZE, STALE);
	assert_string_equal(names(), "silent");
	(void) snprintf(members[1].lease_seen_at, FHA_TIME_SIZE, "2025-11-23T11:59:40.000Z");
	assert_string_equal(names(), "");
	(void) snprintf(members[1].lease_seen_at, FHA_TIME_SIZE, "2025-11-23T11:59:39.000Z");
	assert_string_equal(names(), "silent");
	assert_string_equal(findings[0].what, "n2 is silent: no sign of it for 19 s");
	/* Its clock is ahead by an hour. */
	(void) snprintf(members[1].updated_at, FHA_TIME_SIZE, "2025-11-23T13:00:00.000Z");
	assert_string_equal(names(), "silent");
	/* Another holder's clock compares with nothing: then this machine's has to do. */
	members[1].term--;
	assert_string_equal(names(), "");
	members[1].term++;
	(void) snprintf(record.renewed_at, FHA_TIME_SIZE, "?");
	assert_string_equal(names(), "");
	(void) snprintf(record.renewed_at, FHA_TIME_SIZE, "2025-11-23T11:59:30.000Z");
	assert_string_equal(names(), "");
}

/* A holder that died with a clock ahead of ours has renewed in our future. */
static void
test_a_lapse_in_the_future(void **state)
{
	(void) state;
	outlook.local = false;
	outlook.held = false;
	outlook.lease_age_ms = -1;
	(void) snprintf(record.renewed_at, FHA_TIME_SIZE, "2025-11-23T12:01:00.000Z");
	record.paused = true;
	assert_string_equal(names(), "no_primary silent paused");
	assert_string_equal(findings[0].what, "nobody leads: n1 does not renew the lease");
	assert_string_equal(findings[2].what, "failover is paused");
}

/* What a standby shows grows old while nobody renews: the holder's last word on it does not. */
static void
test_age_without_a_leader(void **state)
{
	FhaShown shown;

	(void) state;
	record.standbys[0].lag[FHA_REPLAYED] = (FhaLag){.known = true, .ms = 0};
	members[1].lag[FHA_REPLAYED] = (FhaLag){.known = true, .ms = 27000};
	fha_overview_member(&outlook, &members[1], &shown);
	assert_int_equal(shown.age_ms, 0);
	outlook.held = false;
	fha_overview_member(&outlook, &members[1], &shown);
	assert_int_equal(shown.age_ms, 29000);
}

static const char *
role_heard(const char *heard, const FhaVitals *vitals)
{
	static char role[20];
	struct json_object *object;
	char more[200];

	(void) snprintf(more, sizeof(more), "\"heard\": %s, ", heard);
	object = document_of(snapshot_with(more), vitals, &shut, true);
	assert_string_equal(value_at(object, "members/1/member"), "n2");
	assert_string_equal(value_at(object, "members/1/role"), "standby");
	(void) snprintf(role, sizeof(role), "%s", value_at(object, "members/0/role"));
	json_object_put(object);
	return role;
}

/* A member whose clock is wrong is neither silent for that, nor well for ever. */
static void
test_silence_by_our_own_clock(void **state)
{
	FhaVitals vitals = standby;

	(void) state;
	(void) snprintf(members[0].updated_at, FHA_TIME_SIZE, STALE);
	assert_string_equal(role_heard("[]", &vitals), "silent");
	assert_string_equal(role_heard("[7, {}, {\"member\": \"n1\", \"at_ms\": 999000}]", &vitals),
						"primary");
	(void) snprintf(members[0].updated_at, FHA_TIME_SIZE, "2025-11-23T15:00:00.000Z");
	assert_string_equal(role_heard("[{\"member\": \"n2\", \"at_ms\": 970000}]", &vitals),
						"primary");
	assert_string_equal(role_heard("[{\"member\": \"n1\", \"at_ms\": 981900}]", &vitals),
						"primary");
	assert_string_equal(role_heard("[{\"member\": \"n1\", \"at_ms\": 980900}]", &vitals), "silent");
	/* What could not be written is no silence. */
	vitals.first_answer_at_ms = NOW_MS - 100;
	assert_string_equal(role_heard("[{\"member\": \"n1\", \"at_ms\": 900000}]", &vitals),
						"primary");
	/* Of itself a member knows by its agent's last turn. */
	vitals = standby;
	(void) snprintf(members[0].updated_at, FHA_TIME_SIZE, FRESH);
	(void) snprintf(members[1].updated_at, FHA_TIME_SIZE, STALE);
	assert_string_equal(role_heard("[]", &vitals), "primary");
}

/* Without a snapshot, or with one without a record of the cluster, there is a document all the same. */
static void
test_document_of_nothing(void **state)
{
	static FhaSnapshot without = {.decision = "hold", .because = "starting", .member_count = 2};
	const FhaSnapshot *const snapshots[] = {NULL, &without};
	FhaVitals none = {.at_ms = 0};

	(void) state;
	for (size_t i = 0; i < sizeof(snapshots) / sizeof(snapshots[0]); i++)
	{
		struct json_object *object = document_of(snapshots[i], &none, &shut, false);

		assert_string_equal(value_at(object, "lease"), "absent");
		assert_string_equal(value_at(object, "members"), "[ ]");
		assert_string_equal(value_at(object, "agent/age_ms"), "absent");
		assert_string_equal(value_at(object, "findings/0/name"), "agent_gone");
		assert_string_equal(value_at(object, "findings/1/name"), "nothing_known");
		json_object_put(object);
	}
}

static void
test_page_files(void **state)
{
	static const char *const paths[] = {"/", "/page.css", "/page.js", "/plot.js", "/icon.svg"};
	FhaPageFile file;
	bool csp = false;

	(void) state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
	{
		assert_true(fha_page_file(paths[i], &file));
		assert_true(file.size > 100 && memchr(file.body, '\0', file.size) == NULL);
		assert_int_equal(file.body[file.size - 1], '\n');
	}
	assert_true(fha_page_file("/", &file));
	assert_memory_equal(file.body, "<!DOCTYPE html>", 15);
	assert_false(fha_page_file("/page.html", &file));
	assert_false(fha_page_file("", &file));
	for (const FhaHttpHeader *header = fha_page_headers(); header->name != NULL; header++)
		if (strcmp(header->name, "Content-Security-Policy") == 0)
		{
			csp = true;
			assert_non_null(strstr(header->value, "default-src 'none'"));
			assert_null(strstr(header->value, "unsafe"));
		}
	assert_true(csp);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_is_wrong, set_up),
		cmocka_unit_test_setup(test_findings_of_the_server, set_up),
		cmocka_unit_test_setup(test_findings_of_the_lease, set_up),
		cmocka_unit_test_setup(test_findings_of_members, set_up),
		cmocka_unit_test_setup(test_age_of_what_a_standby_shows, set_up),
		cmocka_unit_test_setup(test_times_of_records, set_up),
		cmocka_unit_test_setup(test_what_a_member_said_last_is_doubted, set_up),
		cmocka_unit_test_setup(test_a_holder_that_does_not_serve, set_up),
		cmocka_unit_test_setup(test_a_cluster_that_is_being_founded, set_up),
		cmocka_unit_test_setup(test_findings_are_bounded, set_up),
		cmocka_unit_test_setup(test_ring_keeps_the_newest, set_up),
		cmocka_unit_test_setup(test_ring_is_bounded, set_up),
		cmocka_unit_test_setup(test_document, set_up),
		cmocka_unit_test_setup(test_document_of_the_holder, set_up),
		cmocka_unit_test_setup(test_document_of_the_server, set_up),
		cmocka_unit_test_setup(test_document_ages, set_up),
		cmocka_unit_test_setup(test_document_by_promises, set_up),
		cmocka_unit_test_setup(test_silence_by_our_own_clock, set_up),
		cmocka_unit_test_setup(test_silence_by_the_holders_clock, set_up),
		cmocka_unit_test_setup(test_a_lapse_in_the_future, set_up),
		cmocka_unit_test_setup(test_age_without_a_leader, set_up),
		cmocka_unit_test_setup(test_document_of_nothing, set_up),
		cmocka_unit_test(test_page_files),
	};

	return cmocka_run_group_tests_name("status_document", tests, NULL, NULL);
}
