/*
 * decide_test.c: the rule table against the safety rules, in every world there is.
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/decide.h"
#include "core/world.h"

/* clang-format off */
/* Of each of these groups one row holds in any world; the rest combine freely. */
static const FhaFacts servers[] = {
	FHA_DOWN, FHA_DOWN | FHA_POSITION, FHA_DOWN | FHA_FAILING, FHA_DOWN | FHA_POSITION | FHA_FAILING,
	FHA_BUSY, FHA_BUSY | FHA_RECOVERING, FHA_BUSY | FHA_RECOVERING | FHA_FOLLOWING,
	FHA_STANDBY, FHA_STANDBY | FHA_SMALL, FHA_STANDBY | FHA_FOLLOWING, FHA_PRIMARY,
};
static const FhaFacts data[] = {0, FHA_EMPTY, FHA_DAMAGED, FHA_FOREIGN, FHA_DIVERGED, FHA_DUPLICATE, FHA_TAKEN};
static const FhaFacts leases[] = {
	FHA_UNREAD, FHA_ABSENT, FHA_ABSENT | FHA_RECLAIM, FHA_BLANK, FHA_BLANK | FHA_RECLAIM,
	FHA_MINE, FHA_MINE | FHA_BEYOND, FHA_MINE | FHA_STUCK,
	FHA_MINE | FHA_SAFE, FHA_MINE | FHA_SAFE | FHA_BEYOND, FHA_MINE | FHA_SAFE | FHA_STUCK,
	FHA_MINE | FHA_SAFE | FHA_PROMISED, FHA_FREE, FHA_FREE | FHA_RECLAIM,
	FHA_FREE | FHA_AWAITED, FHA_BOUND, 0,
};
/* Facts that need a record, and facts of the node. */
static const FhaFacts with_record[] = {
	FHA_STALE, FHA_UNINITIALISED, FHA_LINEAGE, FHA_PUBLISHED, FHA_LED | FHA_REWINDABLE, FHA_PAUSED,
	FHA_HANDOVER, FHA_SUCCESSOR, FHA_LISTED, FHA_FIT, FHA_TURN,
};
/* What an operator may have requested of this member; of a holder never a reinit. */
static const FhaFacts requested[] = {0, FHA_REQUESTED, FHA_REQUESTED | FHA_RESTART, FHA_REQUESTED | FHA_REINIT,
								  FHA_STRANDED};
static const FhaFacts always[] = {FHA_STOPPING, FHA_JOB, FHA_PLAIN, FHA_BOOTSTRAP};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef void (*Visit)(FhaFacts facts, const FhaRule *rule);

static void
every_combination(FhaFacts base, bool record, Visit visit)
{
	unsigned free_bits = (unsigned) (COUNT(always) + (record ? COUNT(with_record) : 0));

	for (uint32_t bits = 0; bits < (1u << free_bits); bits++)
	{
		FhaFacts facts = base;

		for (unsigned i = 0; i < free_bits; i++)
			if ((bits & (1u << i)) != 0)
				facts |= i < COUNT(always) ? always[i] : with_record[i - COUNT(always)];
		visit(facts, fha_decide(facts));
	}
}

static void
every_world(Visit visit)
{
	for (size_t s = 0; s < COUNT(servers); s++)
		for (size_t d = 0; d < COUNT(data); d++)
			for (size_t l = 0; l < COUNT(leases); l++)
			{
				bool record = (leases[l] & (FHA_UNREAD | FHA_ABSENT | FHA_BLANK)) == 0;

				/* A server cannot run on a directory that is not there. */
				if ((servers[s] & (FHA_STANDBY | FHA_PRIMARY)) != 0 && data[d] == FHA_EMPTY)
					continue;
				for (size_t a = 0; a < (record ? COUNT(requested) : 1); a++)
					if ((requested[a] & (FHA_REINIT | FHA_STRANDED)) == 0 ||
						(leases[l] & FHA_MINE) == 0)
						every_combination(servers[s] | data[d] | leases[l] | requested[a], record,
										  visit);
			}
}

/* What the worlds have shown. */
static struct
{
	size_t count;
	size_t hits[256]; /* of each rule */
	bool visited;     /* all of them, and none breaks a rule of safety */
} worlds;

#define HAS(facts, wanted) (((facts) & (wanted)) == (wanted))

static void
check_safety(FhaFacts facts, const FhaRule *rule)
{
	const char *broken = NULL;

	worlds.count++;
	worlds.hits[rule - fha_rule(0)]++;
	if (rule->fence == FHA_FENCE_OPEN && !HAS(facts, FHA_PRIMARY | FHA_MINE | FHA_SAFE))
		broken = "S1: the fence opens only for a primary whose renewal is confirmed and not lapsed";
	else if (rule->fence == FHA_FENCE_OPEN && !HAS(facts, FHA_LINEAGE | FHA_PUBLISHED))
		broken = "S7: the fence opens only on the reserved timeline, with its lineage recorded";
	else if (rule->fence == FHA_FENCE_OPEN &&
			 (facts & (FHA_STOPPING | FHA_HANDOVER | FHA_STALE | FHA_FOREIGN)) != 0 &&
			 !HAS(facts, FHA_PLAIN | FHA_HANDOVER))
		broken =
			"S2: the fence is shut while the node gives the lease away, or is not what it seems";
	else if (rule->lease == FHA_LEASE_TAKE && (facts & (FHA_FREE | FHA_ABSENT)) == 0 &&
			 !HAS(facts, FHA_MINE | FHA_BEYOND))
		broken = "S1: a lease is taken only when it is free or long absent";
	else if (rule->lease == FHA_LEASE_RENEW && (facts & FHA_MINE) == 0)
		broken = "S1: only the holder renews";
	else if (rule->lease == FHA_LEASE_RELEASE && !HAS(facts, FHA_MINE | FHA_DOWN | FHA_POSITION))
		broken =
			"the holder releases only when its last process is gone and its WAL's end is known";
	else if (rule->node == FHA_NODE_PROMOTE && !HAS(facts, FHA_STANDBY | FHA_MINE | FHA_SAFE))
		broken = "S1: only a standby that holds a confirmed lease is promoted";
	else if ((rule->node == FHA_NODE_START_PRIMARY || rule->node == FHA_NODE_START_STANDBY) &&
			 !HAS(facts, FHA_DOWN | FHA_POSITION))
		broken = "S7: nothing is started before it is known what it has";
	else if (rule->node == FHA_NODE_START_PRIMARY && !HAS(facts, FHA_DOWN | FHA_MINE | FHA_LINEAGE))
		broken = "S7: only the holder starts as a primary, on the timeline of its term";
	else if (rule->node == FHA_NODE_INITDB &&
			 !HAS(facts, FHA_DOWN | FHA_EMPTY | FHA_MINE | FHA_UNINITIALISED))
		broken = "S7: initdb only for a cluster that has no data, under its lease";
	else if (HAS(facts, FHA_EMPTY) && rule->lease == FHA_LEASE_TAKE && (facts & FHA_BOOTSTRAP) == 0)
		broken = "S7: an empty directory is never elected, and founds a cluster only when told to";
	else if (HAS(facts, FHA_EMPTY) && rule->lease == FHA_LEASE_TAKE &&
			 (facts & (FHA_ABSENT | FHA_UNINITIALISED)) == 0)
		broken = "S7: an empty directory never takes the lease of a cluster with data";
	else if ((rule->node == FHA_NODE_CLONE || rule->node == FHA_NODE_REWIND) &&
			 (!HAS(facts, FHA_DOWN | FHA_LED) || (facts & FHA_MINE) != 0))
		broken = "S11: data is replaced only when nothing runs and another member leads";
	else if (rule->node == FHA_NODE_CLONE &&
			 (facts & (FHA_EMPTY | FHA_DAMAGED | FHA_REINIT | FHA_STRANDED)) == 0)
		broken = "S11: data that can go on is replaced by a clone only when an operator asks";
	else if ((facts & FHA_PAUSED) != 0 && rule->lease == FHA_LEASE_TAKE &&
			 (facts & (FHA_ABSENT | FHA_UNINITIALISED | FHA_MINE | FHA_PRIMARY)) == 0)
		broken = "pause: nobody is elected";
	else if ((facts & FHA_PAUSED) != 0 && (facts & (FHA_REQUESTED | FHA_UNINITIALISED)) == 0 &&
			 (rule->node == FHA_NODE_START_PRIMARY || rule->node == FHA_NODE_START_STANDBY ||
			  rule->node == FHA_NODE_CLONE || rule->node == FHA_NODE_REWIND) &&
			 !HAS(facts, FHA_MINE | FHA_HANDOVER))
		broken = "pause: nothing is started that nobody asked for";
	else if ((facts & FHA_RESTART) != 0 && rule->fence == FHA_FENCE_OPEN && !HAS(facts, FHA_PLAIN))
		broken = "S2: the fence is shut before the server stops for a restart";
	else if (HAS(facts, FHA_DIVERGED) && rule->lease == FHA_LEASE_TAKE &&
			 (facts & (FHA_RECLAIM | FHA_ABSENT | FHA_MINE)) == 0)
		broken = "S7: data that the lineage has not is not elected";
	else if (HAS(facts, FHA_DIVERGED) && rule->node == FHA_NODE_START_STANDBY)
		broken = "S7: diverged data does not start to stream";
	else if (HAS(facts, FHA_STANDBY | FHA_FREE) && (facts & FHA_FIT) == 0 &&
			 rule->lease == FHA_LEASE_TAKE)
		broken = "a standby that lacks what a successor needs is not elected";
	else if (HAS(facts, FHA_DUPLICATE) &&
			 (rule->lease != FHA_LEASE_LEAVE || rule->node != FHA_NODE_HOLD))
		broken = "S1b: a node whose name another one has does nothing";
	else if (HAS(facts, FHA_TAKEN) &&
			 (rule->lease != FHA_LEASE_LEAVE || rule->node != FHA_NODE_HOLD))
		broken = "S1b: a node whose record would stand on another's does nothing";
	else if ((facts & (FHA_STALE | FHA_FOREIGN)) != 0 &&
			 (rule->lease != FHA_LEASE_LEAVE || rule->node != FHA_NODE_HOLD))
		broken = "S7: nothing is done on the word of an old copy, or to another cluster's data";
	else if (HAS(facts, FHA_PRIMARY) && rule->node == FHA_NODE_STOP && HAS(facts, FHA_PLAIN))
		broken = "what nobody would start again is not stopped";
	else if (HAS(facts, FHA_MINE | FHA_STUCK) && (facts & (FHA_BUSY | FHA_STANDBY)) != 0 &&
			 (facts & FHA_JOB) == 0 && (facts & FHA_STOPPING) == 0 &&
			 rule->lease != FHA_LEASE_LEAVE)
		broken = "S9: a holder that does not come to lead does not keep the lease";
	else if (HAS(facts, FHA_DOWN | FHA_FAILING) && rule->node != FHA_NODE_HOLD)
		broken = "what failed is not tried again before its pause is over";
	else if ((facts & FHA_JOB) != 0 && rule->node != FHA_NODE_HOLD)
		broken = "one job at a time on a data directory";
	else if ((facts & FHA_PRIMARY) != 0 &&
			 (facts & (FHA_MINE | FHA_UNREAD | FHA_FREE | FHA_ABSENT | FHA_BLANK)) == 0 &&
			 rule->fence != FHA_FENCE_SHUT)
		broken = "S1: another member's lease shuts the fence";
	if (broken != NULL)
	{
		char text[512];

		fha_facts_print(facts, text, sizeof(text));
		fail_msg("%s\n  world: %s\n  rule: %s", broken, text, rule->because);
	}
}

/* Once, because there are many; the one that fails does so for each test. */
static void
visit_worlds(void)
{
	assert_true(fha_rule_count() <= COUNT(worlds.hits));
	if (!worlds.visited)
		every_world(check_safety);
	worlds.visited = true;
}

static void
every_rule_is_reached(void **state)
{
	(void) state;
	visit_worlds();
	for (size_t i = 0; i < fha_rule_count(); i++)
		if (worlds.hits[i] == 0)
			fail_msg("no world reaches rule %zu: %s", i + 1, fha_rule(i)->because);
}

static void
no_world_breaks_a_safety_rule(void **state)
{
	(void) state;
	visit_worlds();
	assert_true(worlds.count > 1000000);
}

static void
sentences_are_their_own(void **state)
{
	(void) state;
	for (size_t i = 0; i < fha_rule_count(); i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(fha_rule(i)->because, fha_rule(j)->because) == 0)
				fail_msg("rules %zu and %zu say the same: %s", j + 1, i + 1, fha_rule(i)->because);
}

/* Other members and other programs know a rule by its id. */
static void
ids_are_their_own(void **state)
{
	(void) state;
	for (size_t i = 0; i < fha_rule_count(); i++)
	{
		const char *id = fha_rule(i)->id;

		assert_in_range(strlen(id), 1, FHA_RULE_ID_SIZE - 1);
		assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz_"), strlen(id));
		/* The first with that id, so no two have it. */
		assert_ptr_equal(fha_rule_find(id), fha_rule(i));
	}
	assert_null(fha_rule_find(""));
	assert_null(fha_rule_find("a rule of a later version"));
}

static void
facts_have_names(void **state)
{
	char text[512];

	(void) state;
	fha_facts_print(FHA_PRIMARY | FHA_MINE | FHA_SAFE, text, sizeof(text));
	assert_string_equal(text, "primary mine safe");
	fha_facts_print(FHA_POSITION, text, sizeof(text));
	assert_string_equal(text, "position");
	fha_facts_print(FHA_PRIMARY | FHA_MINE, text, 10);
	assert_string_equal(text, "primary");
	text[0] = 'x';
	fha_facts_print(FHA_PRIMARY, text, 0);
	assert_int_equal(text[0], 'x');
}

static void
actions_have_names(void **state)
{
	(void) state;
	assert_string_equal(fha_lease_action_name(FHA_LEASE_LEAVE), "leave");
	assert_string_equal(fha_lease_action_name(FHA_LEASE_RELEASE), "release");
	assert_string_equal(fha_fence_action_name(FHA_FENCE_SHUT), "shut");
	assert_string_equal(fha_fence_action_name(FHA_FENCE_OPEN), "open");
	assert_string_equal(fha_node_action_name(FHA_NODE_HOLD), "hold");
	assert_string_equal(fha_node_action_name(FHA_NODE_START_STANDBY), "start standby");
	assert_string_equal(fha_node_action_name(FHA_NODE_STOP), "stop");
}

/* Three things keep a standby from a free lease for good, and each has its sentence. */
static void
why_a_standby_does_not_take_a_free_lease(void **state)
{
	const FhaFacts standby = FHA_STANDBY | FHA_FREE;

	(void) state;
	assert_string_equal(fha_decide(standby)->id, "not_listed");
	assert_string_equal(fha_decide(standby | FHA_SMALL)->id, "not_listed");
	assert_string_equal(fha_decide(standby | FHA_LISTED | FHA_SMALL)->id, "too_small");
	assert_string_equal(fha_decide(standby | FHA_LISTED)->id, "would_lose");
	assert_string_equal(fha_decide(standby | FHA_LISTED | FHA_FIT)->id, "awaits_turn");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(why_a_standby_does_not_take_a_free_lease),
		cmocka_unit_test(every_rule_is_reached),
		cmocka_unit_test(no_world_breaks_a_safety_rule),
		cmocka_unit_test(sentences_are_their_own),
		cmocka_unit_test(ids_are_their_own),
		cmocka_unit_test(facts_have_names),
		cmocka_unit_test(actions_have_names),
	};

	return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
