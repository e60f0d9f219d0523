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
#include "overview.h"
#include "request.h"
#include "status_ask.h"

static void
print_lag(int64_t lag, char *out, size_t size)
{
	if (lag < 0)
		(void) snprintf(out, size, "-");
	else if (lag < 1024)
		(void) snprintf(out, size, "%" PRId64 " B", lag);
	else if (lag < 1024 * 1024)
		(void) snprintf(out, size, "%" PRId64 " kB", lag / 1024);
	else
		(void) snprintf(out, size, "%" PRId64 " MB", lag / (1024 * 1024));
}

/* How old is what a standby shows, as the newer of the two records had it when it was written? */
static void
print_age(const FhaCluster *record, const FhaMember *member, char *out, size_t size)
{
	FhaLag lag = member->lag[FHA_REPLAYED];

	for (size_t i = 0; i < record->standby_count && !record->released; i++)
		if (strcmp(record->standbys[i].member, member->member) == 0 &&
			record->standbys[i].lag[FHA_REPLAYED].known)
			lag = record->standbys[i].lag[FHA_REPLAYED];
	if (member->role != FHA_ROLE_STANDBY || !lag.known)
		(void) snprintf(out, size, "-");
	else if (lag.ms < 10 * 1000)
		(void) snprintf(out, size, "%" PRId64 ".%" PRId64 " s", lag.ms / 1000, lag.ms % 1000 / 100);
	else if (lag.ms < 600 * 1000)
		(void) snprintf(out, size, "%" PRId64 " s", lag.ms / 1000);
	else
		(void) snprintf(out, size, "%" PRId64 " min", lag.ms / (60 * 1000));
}

static void
print_member(const FhaCluster *record, const FhaMember *member, int64_t wall_s)
{
	FhaShown shown;
	char lsn[FHA_LSN_TEXT_SIZE];
	char lag[32];
	char age[32] = "-";

	fha_overview_member(record, member, wall_s, &shown);
	fha_lsn_print(shown.lsn, lsn, sizeof(lsn));
	print_lag(shown.lag_bytes, lag, sizeof(lag));
	if (strcmp(shown.role, "silent") != 0)
		print_age(record, member, age, sizeof(age));
	(void) printf("%-12s %-8s %-9s %8" PRIu32 "  %-14s %8s %8s  %-21s %s\n", member->member,
				  shown.role, shown.holds ? "holds it" : "", member->position.timeline, lsn, lag,
				  age, member->address, shown.state);
}

static void
print_findings(const Cluster *cluster, const FhaConfig *config, bool held, int64_t wall_s)
{
	static FhaFinding findings[FHA_FINDINGS_MAX];
	FhaOutlook outlook = {
		.record = &cluster->record,
		.members = cluster->members,
		.member_count = cluster->member_count,
		.wall_s = wall_s,
		.held = held,
		.lease_age_ms = -1,
		/* Without a node the members' setting is not known. */
		.max_lag_bytes = config->member_name[0] == '\0' ? 0 : config->max_lag_bytes,
	};
	size_t count = fha_findings(&outlook, findings);

	for (size_t i = 0; i < count; i++)
		(void) printf("%s%-8s  %s\n          do: %s\n", i == 0 ? "\n" : "",
					  fha_severity_name(findings[i].severity), findings[i].what, findings[i].todo);
}

/* Where a browser and Prometheus look. */
static void
print_exporters(const Cluster *cluster)
{
	bool any = false;

	for (size_t i = 0; i < cluster->member_count; i++)
		if (cluster->members[i].exporter[0] != '\0')
		{
			(void) printf("%s  %s %s",
						  any ? "" : "\nstatus page and metrics:", cluster->members[i].member,
						  cluster->members[i].exporter);
			any = true;
		}
	if (any)
		(void) putchar('\n');
}

/* CLI_OK, or CLI_FAILED when the lease does not look held. */
static int
print_table(const Cluster *cluster, const FhaConfig *config)
{
	const FhaCluster *record = &cluster->record;
	int64_t wall_s = (int64_t) time(NULL);
	int64_t age = fha_age_s(record->renewed_at, wall_s);
	bool stale = age > 2 * (record->lease_duration_ms / 1000 + 1);

	(void) printf("cluster %s   term %" PRIu64 "   timeline %" PRIu32 "   lease: %s %s, renewed %s",
				  record->cluster, record->term, record->timeline,
				  record->released ? "released by" : "held by", record->holder, record->renewed_at);
	if (stale)
		(void) printf(", LAPSED: not renewed for %" PRId64 " s", age);
	(void) putchar('\n');
	if (record->paused)
		(void) printf("PAUSED: %s\n", record->pause_reason);
	if (record->request.kind != FHA_REQUEST_NONE && record->request.state <= FHA_REQUEST_RUNNING)
		(void) printf(
			"%s to %s, asked for by %s at %s, is %s\n", fha_request_kind_name(record->request.kind),
			record->request.target[0] == '\0' ? "the best standby" : record->request.target,
			record->request.requested_by, record->request.requested_at,
			fha_request_state_name(record->request.state));
	(void) printf("\n%-12s %-8s %-9s %8s  %-14s %8s %8s  %-21s %s\n", "member", "role", "lease",
				  "timeline", "LSN", "lag", "age", "address", "state");
	for (size_t i = 0; i < cluster->member_count; i++)
		print_member(record, &cluster->members[i], wall_s);
	print_exporters(cluster);
	print_findings(cluster, config, !stale && !record->released, wall_s);
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
		result = print_table(&cluster, &options->config);
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
