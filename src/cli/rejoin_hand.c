/*
 * rejoin_hand.c: `fawkes-ha rejoin` on a stopped server that no supervisor looks after: what the
 * supervisor would do before it starts it as a standby.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cluster.h"
#include "cli/postgres.h"
#include "cli/process.h"
#include "cli/rejoin.h"
#include "cli/rejoin_internal.h"
#include "core/observe.h"
#include "node/follow.h"
#include "node/state.h"

#define WAL_MS (60 * 1000)

static const FhaMember *
find_leader(const Cluster *cluster)
{
	for (size_t i = 0; i < cluster->member_count; i++)
		if (strcmp(cluster->members[i].member, cluster->record.holder) == 0 &&
			cluster->members[i].role == FHA_ROLE_PRIMARY && cluster->members[i].rewindable)
			return &cluster->members[i];
	return NULL;
}

/* Nothing of this server may run: two would write the same files. */
static FhaCode
take_liveness(const FhaConfig *config, int *liveness_fd, FhaError *err)
{
	FhaCode code = fha_liveness_take(config, liveness_fd, err);
	pid_t pid = code == FHA_OK ? postgres_running(config) : 0;

	if (code == FHA_CONFLICT || pid != 0)
		return fha_error(err, FHA_CONFLICT, "PostgreSQL still runs on \"%.120s\": stop it first",
						 config->data_directory);
	return code;
}

static FhaCode
find_position(const CliOptions *options, const char *bindir, FhaPosition *out, FhaError *err)
{
	PgControl control;
	FhaStopped stopped = {.read = false};
	FhaEndSearch search;
	FhaCode code = postgres_control(bindir, options->config.data_directory, &control, err);
	uint32_t hollow;

	if (code != FHA_OK)
		return code;
	postgres_tell(&control, &stopped);
	search = fha_stopped_search(&stopped, false, (FhaPosition){0, 0});
	return postgres_end_of_all_wal(bindir, options->config.data_directory, &control, search.newest,
								   search.from, fha_now_ms() + WAL_MS, out, &hollow, err);
}

static FhaCode
make_standby(const CliOptions *options, const char *leader_address, FhaError *err)
{
	char path[FHA_PATH_SIZE + 32];
	FhaState state;
	bool changed;
	FhaCode code = fha_state_load(&options->config, &state, err);

	(void) snprintf(path, sizeof(path), "%s/standby.signal", options->config.data_directory);
	if (code == FHA_OK)
		code = fha_follow_write(&options->config, &state, leader_address, &changed, err);
	return code == FHA_OK ? fha_file_replace(path, "", 0, err) : code;
}

/* S7: has it a timeline that only by its number is the leader's?  No rewind can tell them apart. */
static bool
is_apart(const CliOptions *options, const Cluster *cluster, FhaPosition position, RejoinPlan *plan)
{
	FhaLineageStep steps[FHA_LINEAGE_MAX];
	size_t count = postgres_lineage(options->config.data_directory, position.timeline, steps);
	int at = fha_lineage_find_namesake(&cluster->record, steps, count);

	if (at > 0)
		plan->apart = (FhaPosition){steps[at - 1].timeline, steps[at - 1].end};
	plan->end = position.lsn;
	return at >= 0;
}

static int
hand_mend(const CliOptions *options, RejoinPlan *plan, const Cluster *cluster, FhaError *err)
{
	FhaPosition position = {0, 0};
	bool damaged = rejoin_is_damaged(&options->config) != 0;
	bool diverged;
	bool apart;

	if (!damaged && find_position(options, plan->bindir, &position, err) != FHA_OK)
		return CLI_FAILED;
	apart = !damaged && is_apart(options, cluster, position, plan);
	diverged =
		!damaged && !apart &&
		!fha_lineage_holds(&cluster->record, position,
						   postgres_origin(options->config.data_directory, position.timeline));
	if (options->dry_run)
	{
		cli_line("would do: %s, then make this a standby of %s",
				 damaged ? "copy the leader's data (a rewind did not end well)"
				 : apart ? "copy the leader's data (this data has a timeline that has the number "
						   "of one of the leader's and is another); its WAL since is kept in "
						   "the state directory"
				 : diverged ? "rewind this data, which has WAL that the leader has not; that "
							  "WAL is kept in the state directory"
							: "nothing to the data, which the leader's history contains",
				 cluster->record.holder);
		return CLI_OK;
	}
	if (diverged && rejoin_rewind(plan) != 0)
		damaged = rejoin_is_damaged(&options->config) != 0;
	else
		diverged = false;
	if ((damaged || apart) && rejoin_clone(plan) == 0)
		diverged = damaged = apart = false;
	if (diverged || damaged || apart)
	{
		(void) fha_error(err, FHA_IO, "neither a rewind nor a copy of %s's data succeeded",
						 cluster->record.holder);
		return CLI_FAILED;
	}
	if (make_standby(options, plan->leader_address, err) != FHA_OK)
		return CLI_FAILED;
	cli_line("%s is a standby of %s: start it", options->config.member_name,
			 cluster->record.holder);
	return CLI_OK;
}

int
rejoin_by_hand(const CliOptions *options)
{
	static Cluster cluster;
	RejoinPlan plan = {.config = &options->config};
	char bindir[FHA_PATH_SIZE];
	const FhaMember *leader;
	FhaError err = {.code = FHA_OK};
	int liveness_fd = -1;
	int result = cluster_open(&cluster, options);

	if (result == CLI_OK)
		result = cluster_read(&cluster, options);
	if (result == CLI_OK)
	{
		leader = find_leader(&cluster);
		plan.bindir = bindir;
		if (leader == NULL)
			(void) fha_error(&err, FHA_CONFLICT,
							 "no member leads that could be followed; see fawkes-ha status");
		else if (fha_config_check(&options->config, &err) == FHA_OK &&
				 postgres_find(options->bindir, bindir, sizeof(bindir), &err) == FHA_OK &&
				 take_liveness(&options->config, &liveness_fd, &err) == FHA_OK)
		{
			(void) snprintf(plan.leader_address, sizeof(plan.leader_address), "%s",
							leader->address);
			memcpy(plan.cluster_uuid, cluster.record.cluster_uuid, sizeof(plan.cluster_uuid));
			result = hand_mend(options, &plan, &cluster, &err);
		}
		if (err.code != FHA_OK)
		{
			cli_complain("%s", err.text);
			result = err.code == FHA_CONFLICT ? CLI_REFUSED : CLI_FAILED;
		}
	}
	if (liveness_fd >= 0)
		(void) close(liveness_fd);
	cluster_close(&cluster);
	return result;
}
