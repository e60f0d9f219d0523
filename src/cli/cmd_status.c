/*
 * cmd_status.c: `fawkes-ha status` and `fawkes-ha rules`.
 *
 * Reads the lock alone, so that it works with no server running.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cluster.h"
#include "decide.h"
#include "request.h"
#include "status_ask.h"

/* Twice the heartbeat of node.c, and a little. */
#define SILENT_LEASES 5

static void
print_lag(const FhaCluster *record, const FhaMember *member, char *out, size_t size)
{
	uint64_t lag;

	if (member->role != FHA_ROLE_STANDBY || record->position.lsn == 0)
	{
		(void) snprintf(out, size, "-");
		return;
	}
	lag = record->position.lsn > member->position.lsn ? record->position.lsn - member->position.lsn
													  : 0;
	if (lag < 1024)
		(void) snprintf(out, size, "%" PRIu64 " B", lag);
	else if (lag < 1024 * 1024)
		(void) snprintf(out, size, "%" PRIu64 " kB", lag / 1024);
	else
		(void) snprintf(out, size, "%" PRIu64 " MB", lag / (1024 * 1024));
}

/* Standbys' own records are written on change and now and then; the leader's list is fresher. */
static uint64_t
newest_lsn(const FhaCluster *record, const FhaMember *member)
{
	uint64_t lsn = member->position.lsn;

	if (strcmp(record->holder, member->member) == 0 && record->position.lsn > lsn)
		lsn = record->position.lsn;
	for (size_t i = 0; i < record->standby_count; i++)
		if (strcmp(record->standbys[i].member, member->member) == 0 &&
			record->standbys[i].lsn > lsn)
			lsn = record->standbys[i].lsn;
	return lsn;
}

/* Seconds since a record's wall-clock time, for people; -1 when it cannot be read. */
static long
seconds_since(const char *wall_time)
{
	struct tm then = {.tm_isdst = 0};
	const char *rest = strptime(wall_time, "%Y-%m-%dT%H:%M:%S", &then);

	return rest == NULL ? -1 : (long) (time(NULL) - timegm(&then));
}

/* Members write at least every second lease: silence for longer is worth a word. */
static bool
is_silent(const FhaCluster *record, const FhaMember *member, long *seconds)
{
	*seconds = seconds_since(member->updated_at);
	return *seconds > SILENT_LEASES * (record->lease_duration_ms / 1000 + 1);
}

static void
print_member(const FhaCluster *record, const FhaMember *written)
{
	FhaMember member = *written;
	bool holds = strcmp(record->holder, member.member) == 0 && !record->released;
	const char *role = fha_role_name(member.role);
	char state[FHA_SENTENCE_SIZE + 60];
	char lsn[FHA_LSN_TEXT_SIZE];
	char lag[32];
	long seconds;

	member.position.lsn = newest_lsn(record, &member);
	fha_lsn_print(member.position.lsn, lsn, sizeof(lsn));
	print_lag(record, &member, lag, sizeof(lag));
	(void) snprintf(state, sizeof(state), "%s", member.state);
	/* What a member last said of itself is not what it is: it may be gone, or know no better. */
	if (is_silent(record, &member, &seconds) && strstr(member.state, "this node stops") == NULL)
	{
		role = "silent";
		(void) snprintf(state, sizeof(state), "no sign of it for %ld s; last: %s", seconds,
						member.state);
	}
	else if (member.role == FHA_ROLE_PRIMARY && !holds)
	{
		role = "fenced";
		(void) snprintf(state, sizeof(state), "lost the lease; last: %s", member.state);
	}
	else if (member.role == FHA_ROLE_STANDBY && member.serves == FHA_SERVES_UNHEALTHY)
		(void) snprintf(state, sizeof(state), "%s; unhealthy to readers", member.state);
	(void) printf("%-12s %-8s %-9s %8" PRIu32 "  %-14s %8s  %-21s %s\n", member.member, role,
				  holds ? "holds it" : "", member.position.timeline, lsn, lag, member.address,
				  state);
}

/* CLI_OK, or CLI_FAILED when the lease does not look held. */
static int
print_table(const Cluster *cluster)
{
	const FhaCluster *record = &cluster->record;
	long age = seconds_since(record->renewed_at);
	bool stale = age > 2 * (record->lease_duration_ms / 1000 + 1);

	(void) printf("cluster %s   term %" PRIu64 "   timeline %" PRIu32 "   lease: %s %s, renewed %s",
				  record->cluster, record->term, record->timeline,
				  record->released ? "released by" : "held by", record->holder, record->renewed_at);
	(void) printf(stale ? ", LAPSED: not renewed for %ld s\n" : "\n", age);
	if (record->paused)
		(void) printf("PAUSED: %s\n", record->pause_reason);
	if (record->request.kind != FHA_REQUEST_NONE && record->request.state <= FHA_REQUEST_RUNNING)
		(void) printf(
			"%s to %s, asked for by %s at %s, is %s\n", fha_request_kind_name(record->request.kind),
			record->request.target[0] == '\0' ? "the best standby" : record->request.target,
			record->request.requested_by, record->request.requested_at,
			fha_request_state_name(record->request.state));
	(void) printf("\n%-12s %-8s %-9s %8s  %-14s %8s  %-21s %s\n", "member", "role", "lease",
				  "timeline", "LSN", "lag", "address", "state");
	for (size_t i = 0; i < cluster->member_count; i++)
		print_member(record, &cluster->members[i]);
	return stale || record->released ? CLI_FAILED : CLI_OK;
}

static int
print_json(const Cluster *cluster)
{
	const char *members[FHA_MEMBERS_MAX];
	FhaSnapshot snapshot = {
		.member = "",
		.incarnation = "",
		.decision = "",
		.because = "",
		.cluster = cluster->cluster_json,
		.history = cluster->history_json,
		.members = members,
		.member_count = cluster->member_count,
	};
	char *text;
	FhaError err;

	for (size_t i = 0; i < cluster->member_count; i++)
		members[i] = cluster->json[i];
	if (fha_snapshot_print(&snapshot, &text, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	(void) puts(text);
	free(text);
	return CLI_OK;
}

static int
run_status(CliOptions *options, int argc, char **argv)
{
	static Cluster cluster;
	int result;

	(void) argc;
	(void) argv;
	if (options->ask && options->json)
	{
		cli_complain("--ask shows a table; for JSON ask the members' listeners for /status");
		return CLI_USAGE;
	}
	result = cluster_open(&cluster, options);
	if (result == CLI_OK)
		result = cluster_read(&cluster, options);
	if (result == CLI_OK && options->json)
		result = print_json(&cluster);
	else if (result == CLI_OK)
		result = print_table(&cluster);
	if (options->ask && !options->json && (result == CLI_OK || result == CLI_FAILED) &&
		cluster.version[0] != '\0')
	{
		int asked = status_ask(&cluster, options);

		result = asked == CLI_OK ? result : asked;
	}
	cluster_close(&cluster);
	return result;
}

static int
run_rules(CliOptions *options, int argc, char **argv)
{
	(void) options;
	(void) argc;
	(void) argv;
	for (size_t i = 0; i < fha_rule_count(); i++)
	{
		const FhaRule *rule = fha_rule(i);
		char when[256];
		char unless[256];

		fha_facts_print(rule->when, when, sizeof(when));
		fha_facts_print(rule->unless, unless, sizeof(unless));
		(void) printf(
			"%2zu  when [%s]%s%s%s\n    lease: %s, fence: %s, PostgreSQL: %s\n    \"%s\"\n", i + 1,
			when, unless[0] == '\0' ? "" : " unless [", unless, unless[0] == '\0' ? "" : "]",
			fha_lease_order_name(rule->lease), fha_fence_order_name(rule->fence),
			fha_node_order_name(rule->node), rule->because);
	}
	return CLI_OK;
}

const CliCommand command_status = {
	"status",
	"-D DATA | --lock URI --cluster NAME  [--ask] [-o json]",
	"show the cluster: members, roles, positions, the lease; status 1 when nobody holds it",
	run_status,
	false,
};

const CliCommand command_rules = {
	"rules", "", "print the rules that every node decides by", run_rules, false,
};
