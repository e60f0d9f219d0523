/*
 * world_fuzz.c: what a node concludes from the records of others.
 *
 * One line about this node, then the cluster's record and members' records, a line each.  The
 * arithmetic must hold for any numbers that the records' reader lets in.
 */
#include "test/fuzz/fuzz.h"

#include <inttypes.h>

#include "core/decide.h"
#include "core/observe.h"
#include "record/record.h"

#define NOW INT64_C(1000000)

/* "STATE TIMELINE LSN REQUIRED SINCE": SINCE is how long ago the record was first seen as it is. */
static void
own_line(const char *line, FhaWorld *world)
{
	unsigned state = 0;
	unsigned since = 0;

	(void) sscanf(line, "%u %" SCNu32 " %" SCNx64 " %" SCNx64 " %u", &state,
				  &world->pg.position.timeline, &world->pg.position.lsn, &world->pg.required.lsn,
				  &since);
	world->pg.state = (FhaPgState) (state % 4);
	world->pg.empty = (state & 4) != 0;
	world->pg.supervised = (state & 16) != 0;
	world->pg.stopping = (state & 32) != 0;
	world->self.liveness_held = (state & 64) != 0;
	world->pg.required.timeline = world->pg.required.lsn == 0 ? 0 : world->pg.position.timeline;
	world->watch.last_sign_at_ms = NOW - since % 100000;
}

static void
conclude(const FhaWorld *world)
{
	FhaFacts facts = fha_observe(world, NOW);
	const FhaRule *rule = fha_decide(facts);
	char text[512];
	int successor = fha_successor_find(world, world->cluster.request.target);

	FUZZ_MUST(fha_observe_again_at_ms(world, NOW) > NOW);
	FUZZ_MUST(!(fha_lease_is_free(world, NOW) && fha_lease_is_mine(world)));
	FUZZ_MUST(rule->fence == FHA_FENCE_SHUT || fha_lease_is_mine(world));
	FUZZ_MUST(rule->fence == FHA_FENCE_SHUT || fha_tenure_is_safe(&world->tenure, NOW));
	FUZZ_MUST(successor >= -1 && successor < (int) world->member_count);
	fha_facts_print(facts, text, sizeof(text));
	(void) fha_lineage_holds(&world->cluster, world->pg.position, world->pg.origin);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FhaWorld world;
	char *text = fuzz_string(data, size);
	char *rest = text;
	char *line = strsep(&rest, "\n");
	const char *record = rest == NULL ? NULL : strsep(&rest, "\n");

	memset(&world, 0, sizeof(world));
	world.self = (FhaSelf){.cluster = "db-demo-dev",
						   .member = "n1",
						   .incarnation = "5dd7498d81da249a",
						   .boot_id = "d5b4c059d1f64d61ac1743a58d2561b9",
						   .cluster_uuid = "790ddf5aeeb7a6fc2d37c466a12dc5de",
						   .highest_term = 3,
						   .lease_duration_ms = 3000,
						   .renew_deadline_ms = 2000,
						   .retry_period_ms = 500,
						   .election_wait_ms = 300,
						   .release_wait_ms = 1000,
						   .max_lag_bytes = 16 << 20};
	own_line(line, &world);
	if (record != NULL && fha_cluster_parse(record, strlen(record), &world.cluster, NULL) == FHA_OK)
	{
		world.watch.seen = true;
		(void) snprintf(world.watch.version, sizeof(world.watch.version), "17");
		world.watch.recorded_duration_ms = world.cluster.lease_duration_ms;
		if (fha_lease_is_mine(&world))
			fha_tenure_confirm(&world.tenure, NOW - 100, 2000, world.cluster.lease_duration_ms);
		if (fha_lease_is_free(&world, NOW))
			world.found_free_at_ms = world.watch.last_sign_at_ms + 1;
		while (rest != NULL && world.member_count < FHA_MEMBERS_MAX)
		{
			const char *member = strsep(&rest, "\n");

			if (fha_member_parse(member, strlen(member), &world.members[world.member_count],
								 NULL) == FHA_OK)
				world.member_count++;
		}
	}
	conclude(&world);
	free(text);
	return 0;
}
