/*
 * decide_test.c: the rule table against the safety rules, in every world there is.
 *
 * Worlds are taken in sets that one rule decides alike: a set is split only by a fact that a rule or a
 * law names, so that another fact costs little.  `decide_test each` takes them one by one.
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
static const FhaFacts data[] = {0, FHA_EMPTY, FHA_DAMAGED, FHA_FOREIGN, FHA_DIVERGED,
								  FHA_DIVERGED | FHA_NAMESAKE, FHA_DUPLICATE, FHA_TAKEN};
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

/* --- what no rule may do in no world */

static bool
opens(const FhaRule *rule)
{
	return rule->fence == FHA_FENCE_OPEN;
}

static bool
takes(const FhaRule *rule)
{
	return rule->lease == FHA_LEASE_TAKE;
}

static bool
renews(const FhaRule *rule)
{
	return rule->lease == FHA_LEASE_RENEW;
}

static bool
releases(const FhaRule *rule)
{
	return rule->lease == FHA_LEASE_RELEASE;
}

static bool
has_to_do_with_the_lease(const FhaRule *rule)
{
	return rule->lease != FHA_LEASE_LEAVE;
}

static bool
founds(const FhaRule *rule)
{
	return rule->node == FHA_NODE_INITDB;
}

static bool
promotes(const FhaRule *rule)
{
	return rule->node == FHA_NODE_PROMOTE;
}

static bool
stops(const FhaRule *rule)
{
	return rule->node == FHA_NODE_STOP;
}

static bool
clones(const FhaRule *rule)
{
	return rule->node == FHA_NODE_CLONE;
}

static bool
replaces_data(const FhaRule *rule)
{
	return clones(rule) || rule->node == FHA_NODE_REWIND;
}

static bool
goes_by_timelines(const FhaRule *rule)
{
	return rule->node == FHA_NODE_REWIND || rule->node == FHA_NODE_FOLLOW;
}

static bool
starts_primary(const FhaRule *rule)
{
	return rule->node == FHA_NODE_START_PRIMARY;
}

static bool
starts_standby(const FhaRule *rule)
{
	return rule->node == FHA_NODE_START_STANDBY;
}

static bool
starts(const FhaRule *rule)
{
	return starts_primary(rule) || starts_standby(rule);
}

static bool
begins(const FhaRule *rule)
{
	return starts(rule) || replaces_data(rule);
}

static bool
has_to_do_with_the_node(const FhaRule *rule)
{
	return rule->node != FHA_NODE_HOLD;
}

static bool
does_anything(const FhaRule *rule)
{
	return has_to_do_with_the_lease(rule) || has_to_do_with_the_node(rule);
}

/* A rule that does it breaks the law in a world that has `all`, none of `none`, one of `any`, and lacks one of `lacks`. */
typedef struct Law
{
	const char *text;
	bool (*does)(const FhaRule *rule);
	FhaFacts all;
	FhaFacts none;
	FhaFacts any;   /* 0: no matter */
	FhaFacts lacks; /* 0: no matter */
} Law;

static const Law laws[] = {
	{"S1: the fence opens only for a primary whose renewal is confirmed and not lapsed", opens,
	 .lacks = FHA_PRIMARY | FHA_MINE | FHA_SAFE},
	{"S7: the fence opens only on the reserved timeline, with its lineage recorded", opens,
	 .lacks = FHA_LINEAGE | FHA_PUBLISHED},
	{"S2: the fence is shut while the node gives the lease away, or is not what it seems", opens,
	 .any = FHA_STOPPING | FHA_HANDOVER | FHA_STALE | FHA_FOREIGN,
	 .lacks = FHA_PLAIN | FHA_HANDOVER},
	{"S2: the fence is shut before the server stops for a restart", opens, .all = FHA_RESTART,
	 .lacks = FHA_PLAIN},
	{"S1: another member's lease shuts the fence", opens, .all = FHA_PRIMARY,
	 .none = FHA_MINE | FHA_UNREAD | FHA_FREE | FHA_ABSENT | FHA_BLANK},
	{"S1: a lease is taken only when it is free or long absent", takes,
	 .none = FHA_FREE | FHA_ABSENT, .lacks = FHA_MINE | FHA_BEYOND},
	{"S1: only the holder renews", renews, .lacks = FHA_MINE},
	{"the holder releases only when its last process is gone and its WAL's end is known", releases,
	 .lacks = FHA_MINE | FHA_DOWN | FHA_POSITION},
	{"S1: only a standby that holds a confirmed lease is promoted", promotes,
	 .lacks = FHA_STANDBY | FHA_MINE | FHA_SAFE},
	{"S7: nothing is started before it is known what it has", starts,
	 .lacks = FHA_DOWN | FHA_POSITION},
	{"S7: only the holder starts as a primary, on the timeline of its term", starts_primary,
	 .lacks = FHA_DOWN | FHA_MINE | FHA_LINEAGE},
	{"S7: initdb only for a cluster that has no data, under its lease", founds,
	 .lacks = FHA_DOWN | FHA_EMPTY | FHA_MINE | FHA_UNINITIALISED},
	{"S7: an empty directory is never elected, and founds a cluster only when told to", takes,
	 .all = FHA_EMPTY, .none = FHA_BOOTSTRAP},
	{"S7: an empty directory never takes the lease of a cluster with data", takes, .all = FHA_EMPTY,
	 .none = FHA_ABSENT | FHA_UNINITIALISED},
	{"S11: data is replaced only when nothing runs and another member leads", replaces_data,
	 .lacks = FHA_DOWN | FHA_LED},
	{"S11: a holder's data is not replaced", replaces_data, .all = FHA_MINE},
	{"S11: data that can go on is replaced by a clone only when an operator asks", clones,
	 .none = FHA_EMPTY | FHA_DAMAGED | FHA_REINIT | FHA_STRANDED | FHA_NAMESAKE},
	{"S7: a timeline that only by its number is the leader's is neither followed nor rewound",
	 goes_by_timelines, .all = FHA_NAMESAKE},
	{"pause: nobody is elected", takes, .all = FHA_PAUSED,
	 .none = FHA_ABSENT | FHA_UNINITIALISED | FHA_MINE | FHA_PRIMARY},
	{"pause: nothing is started that nobody asked for", begins, .all = FHA_PAUSED,
	 .none = FHA_REQUESTED | FHA_UNINITIALISED, .lacks = FHA_MINE | FHA_HANDOVER},
	{"S7: data that the lineage has not is not elected", takes, .all = FHA_DIVERGED,
	 .none = FHA_RECLAIM | FHA_ABSENT | FHA_MINE},
	{"S7: diverged data does not start to stream", starts_standby, .all = FHA_DIVERGED},
	{"a standby that lacks what a successor needs is not elected", takes,
	 .all = FHA_STANDBY | FHA_FREE, .none = FHA_FIT},
	{"S1b: a node whose name another one has does nothing", does_anything, .all = FHA_DUPLICATE},
	{"S1b: a node whose record would stand on another's does nothing", does_anything,
	 .all = FHA_TAKEN},
	{"S7: nothing is done on the word of an old copy, or to another cluster's data", does_anything,
	 .any = FHA_STALE | FHA_FOREIGN},
	{"what nobody would start again is not stopped", stops, .all = FHA_PRIMARY | FHA_PLAIN},
	{"S9: a holder that does not come to lead does not keep the lease", has_to_do_with_the_lease,
	 .all = FHA_MINE | FHA_STUCK, .none = FHA_JOB | FHA_STOPPING, .any = FHA_BUSY | FHA_STANDBY},
	{"what failed is not tried again before its pause is over", has_to_do_with_the_node,
	 .all = FHA_DOWN | FHA_FAILING},
	{"one job at a time on a data directory", has_to_do_with_the_node, .all = FHA_JOB},
};

static bool
is_broken(const Law *law, FhaFacts facts)
{
	return (facts & law->all) == law->all && (facts & law->none) == 0 &&
		   (law->any == 0 || (facts & law->any) != 0) &&
		   (law->lacks == 0 || (facts & law->lacks) != law->lacks);
}

static void
complain(const Law *law, FhaFacts facts, const FhaRule *rule)
{
	char text[512];

	fha_facts_print(facts, text, sizeof(text));
	fail_msg("%s\n  world: %s\n  rule: %s", law->text, text, rule->because);
}

/* --- every world.  A set of worlds: `ones` hold in all of them, `free` in some; the rest in none. */

/* Facts of one row hold together. */
static FhaFacts
row_of(FhaFacts facts)
{
	for (size_t i = 0; i < COUNT(always); i++)
		if ((always[i] & facts) != 0)
			return always[i];
	for (size_t i = 0; i < COUNT(with_record); i++)
		if ((with_record[i] & facts) != 0)
			return with_record[i];
	fail_msg("no row has these facts: %llx", (unsigned long long) facts);
	return facts;
}

static uint64_t
size_of(FhaFacts free)
{
	uint64_t size = 1;

	for (FhaFacts left = free; left != 0; left &= ~row_of(left & -left))
		size *= 2;
	return size;
}

typedef void (*Visit)(FhaFacts ones, FhaFacts free);

static void
every_base(Visit visit)
{
	FhaFacts free_always = 0;
	FhaFacts free_with_record = 0;

	for (size_t i = 0; i < COUNT(always); i++)
		free_always |= always[i];
	for (size_t i = 0; i < COUNT(with_record); i++)
		free_with_record |= with_record[i];
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
						visit(servers[s] | data[d] | leases[l] | requested[a],
							  free_always | (record ? free_with_record : 0));
			}
}

/* What the worlds have shown. */
static struct
{
	uint64_t count;     /* of the worlds of all bases */
	uint64_t decided;   /* of those that a rule was found for */
	uint64_t hits[256]; /* of each rule */
	bool visited;       /* all of them, and none breaks a law */
} worlds;

/* Is there one in the set that breaks it?  Only facts that the law names are told apart. */
static void
check_law(const Law *law, FhaFacts ones, FhaFacts free, const FhaRule *rule)
{
	FhaFacts open = (law->all | law->none | law->any | law->lacks) & free;
	FhaFacts row;

	if ((law->all & ~(ones | free)) != 0 || (law->none & ones) != 0)
		return;
	if (open == 0)
	{
		if (is_broken(law, ones))
			complain(law, ones, rule);
		return;
	}
	row = row_of(open & -open);
	check_law(law, ones | row, free & ~row, rule);
	check_law(law, ones, free & ~row, rule);
}

/* All of a set whose worlds are decided by this rule. */
static void
check_set(FhaFacts ones, FhaFacts free, const FhaRule *rule)
{
	uint64_t size = size_of(free);

	worlds.decided += size;
	worlds.hits[rule - fha_rule(0)] += size;
	/* A set ends where a rule tells worlds apart: fha_decide is asked on both sides. */
	if (fha_decide(ones) != rule || fha_decide(ones | free) != rule)
		fail_msg("another rule than the first that matches was chosen: %s", rule->because);
	for (size_t i = 0; i < COUNT(laws); i++)
		if (laws[i].does(rule))
			check_law(&laws[i], ones, free, rule);
}

/* From that rule on: the ones before it match in no world of the set. */
static void
split_by_rules(FhaFacts ones, FhaFacts free, size_t number)
{
	for (;; number++)
	{
		const FhaRule *rule = fha_rule(number);
		FhaFacts open = (rule->when | rule->unless) & free;
		FhaFacts row;

		if ((rule->when & ~(ones | free)) != 0 || (rule->unless & ones) != 0)
			continue;
		if (open == 0)
		{
			check_set(ones, free, rule);
			return;
		}
		row = row_of(open & -open);
		split_by_rules(ones | row, free & ~row, number);
		split_by_rules(ones, free & ~row, number);
		return;
	}
}

static void
split_base(FhaFacts ones, FhaFacts free)
{
	worlds.count += size_of(free);
	split_by_rules(ones, free, 0);
}

/* Once, because there are many; the one that fails does so for each test. */
static void
visit_worlds(void)
{
	assert_true(fha_rule_count() <= COUNT(worlds.hits));
	if (!worlds.visited)
		every_base(split_base);
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
	assert_true(worlds.decided == worlds.count);
}

/* The same one by one, as slow as it is simple.  The free rows of `left` have still to be chosen. */
static void
check_each(FhaFacts facts, FhaFacts left)
{
	const FhaRule *rule;
	FhaFacts row;

	if (left != 0)
	{
		row = row_of(left & -left);
		check_each(facts | row, left & ~row);
		check_each(facts, left & ~row);
		return;
	}
	rule = fha_decide(facts);
	worlds.count++;
	worlds.hits[rule - fha_rule(0)]++;
	for (size_t i = 0; i < COUNT(laws); i++)
		if (laws[i].does(rule) && is_broken(&laws[i], facts))
			complain(&laws[i], facts, rule);
}

static void
each_world_by_itself(void **state)
{
	uint64_t count;
	uint64_t hits[COUNT(worlds.hits)];

	(void) state;
	visit_worlds();
	count = worlds.count;
	memcpy(hits, worlds.hits, sizeof(hits));
	worlds.count = 0;
	memset(worlds.hits, 0, sizeof(worlds.hits));
	every_base(check_each);
	assert_true(worlds.count == count);
	assert_memory_equal(worlds.hits, hits, sizeof(hits));
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

/* With an argument: what takes a minute. */
int
main(int argc, char **argv)
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
	const struct CMUnitTest slow[] = {cmocka_unit_test(each_world_by_itself)};

	(void) argv;
	return argc > 1 ? cmocka_run_group_tests_name("every world", slow, NULL, NULL)
					: cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
