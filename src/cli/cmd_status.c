/*
 * cmd_status.c: `fawkes-ha status` and `fawkes-ha rules`.
 *
 * Reads the lock alone, so that it works with no server running.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "cli/cluster.h"
#include "cli/rejoin.h"
#include "cli/status_ask.h"
#include "core/decide.h"
#include "node/state.h"
#include "record/request.h"
#include "record/snapshot.h"
#include "show/overview.h"

/* Of a terminal that somebody has beside a log. */
#define WIDTH 96
/* At a lease that seems to have lapsed. */
#define LOOKS 5
/* Clocks that are kept do not differ by more. */
#define FUTURE_MS 1000

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

static void
print_age(int64_t ms, char *out, size_t size)
{
	if (ms < 0)
		(void) snprintf(out, size, "-");
	else if (ms < 10 * 1000)
		(void) snprintf(out, size, "%" PRId64 ".%" PRId64 " s", ms / 1000, ms % 1000 / 100);
	else if (ms < 600 * 1000)
		(void) snprintf(out, size, "%" PRId64 " s", ms / 1000);
	else
		(void) snprintf(out, size, "%" PRId64 " min", ms / (60 * 1000));
}

/* Words of `text`, in lines of WIDTH that begin with `indent` spaces; the cursor is at `used`. */
static void
print_wrapped(const char *text, int indent, int used)
{
	while (*text != '\0')
	{
		int length = (int) strcspn(text, " ");

		if (used > indent && used + 1 + length > WIDTH)
		{
			cli_line("%s", "");
			cli_part("%*s", indent, "");
			used = indent;
		}
		else if (used > indent)
			used += cli_part(" ");
		used += cli_part("%.*s", length, text);
		text += length;
		text += strspn(text, " ");
	}
	(void) putchar('\n');
}

/* Wide enough for the longest name. */
static int
name_width(const Cluster *cluster)
{
	int width = (int) strlen("member");

	for (size_t i = 0; i < cluster->member_count; i++)
		if ((int) strlen(cluster->members[i].member) > width)
			width = (int) strlen(cluster->members[i].member);
	return width;
}

static void
print_member(const FhaOutlook *outlook, const FhaMember *member, int width)
{
	FhaShown shown;
	char lsn[FHA_LSN_TEXT_SIZE] = "-";
	char timeline[16] = "-";
	char lag[32];
	char age[32];

	fha_overview_member(outlook, member, &shown);
	/* A node that stopped does not know its position any more. */
	if (member->position.timeline != 0)
	{
		fha_lsn_print(shown.lsn, lsn, sizeof(lsn));
		(void) snprintf(timeline, sizeof(timeline), "%" PRIu32, member->position.timeline);
	}
	print_lag(shown.lag_bytes, lag, sizeof(lag));
	print_age(shown.role == FHA_SHOWN_SILENT ? -1 : shown.age_ms, age, sizeof(age));
	cli_line("%-*s %-8s %-8s %8s  %-12s %7s %7s  %s", width, member->member,
			 fha_shown_role_name(shown.role), shown.holds ? "holds it" : "", timeline, lsn, lag,
			 age, member->address);
	(void) cli_part("    ");
	print_wrapped(shown.state, 4, 4);
}

static void
print_findings(const FhaOutlook *outlook)
{
	static FhaFinding findings[FHA_FINDINGS_MAX];
	size_t count = fha_findings(outlook, findings);

	for (size_t i = 0; i < count; i++)
	{
		if (i == 0)
			cli_line("%s", "");
		(void) cli_part("%-8s  ", fha_severity_name(findings[i].severity));
		print_wrapped(findings[i].what, 10, 10);
		(void) cli_part("          do: ");
		print_wrapped(findings[i].todo, 14, 14);
	}
}

/* Where a browser and Prometheus look; of a node that is not there nothing answers. */
static void
print_exporters(const FhaOutlook *outlook)
{
	bool any = false;

	for (size_t i = 0; i < outlook->member_count; i++)
	{
		const FhaMember *member = &outlook->members[i];
		FhaShown shown;

		fha_overview_member(outlook, member, &shown);
		if (member->exporter[0] == '\0' || shown.stopped || shown.role == FHA_SHOWN_SILENT)
			continue;
		if (!any)
			(void) puts("\nstatus page and metrics:");
		cli_line("    %s %s", member->member, member->exporter);
		any = true;
	}
}

static void
print_request(const FhaRequest *request)
{
	char words[FHA_REQUEST_WORDS_SIZE];

	if (request->kind == FHA_REQUEST_NONE || request->state > FHA_REQUEST_RUNNING)
		return;
	fha_request_words(request, words);
	cli_line("%s, asked for by %s at %s, is %s%s%s", words, request->requested_by,
			 request->requested_at, fha_request_state_name(request->state),
			 request->message[0] == '\0' ? "" : ": ", request->message);
}

static void
print_table(const Cluster *cluster, const FhaOutlook *outlook)
{
	const FhaCluster *record = &cluster->record;
	int width = name_width(cluster);
	int64_t age_s = fha_age_s(record->renewed_at, outlook->wall_s);

	cli_line("cluster %s   term %" PRIu64 "   timeline %" PRIu32, record->cluster, record->term,
			 record->timeline);
	(void) cli_part("lease: %s %s, renewed %s",
					record->released ? "released by"
					: outlook->held  ? "held by"
									 : "last held by",
					record->holder, record->renewed_at);
	if (!outlook->held && !record->released && age_s < 0)
		(void) cli_part(", LAPSED: not renewed (its clock is ahead)");
	else if (!outlook->held && !record->released)
		(void) cli_part(", LAPSED: not renewed for %" PRId64 " s", age_s);
	(void) putchar('\n');
	if (record->paused && record->pause_reason[0] != '\0')
		cli_line("PAUSED: %s", record->pause_reason);
	else if (record->paused)
		cli_line("%s", "PAUSED");
	print_request(&record->request);
	cli_line("%s", "");
	cli_line("%-*s %-8s %-8s %8s  %-12s %7s %7s  %s", width, "member", "role", "lease", "timeline",
			 "LSN", "lag", "age", "address");
	for (size_t i = 0; i < cluster->member_count; i++)
		print_member(outlook, &cluster->members[i], width);
	print_exporters(outlook);
	print_findings(outlook);
}

static int
print_json(const Cluster *cluster, bool held)
{
	static FhaSnapshot snapshot = {.decision = "", .because = "", .known = true};
	char *text;
	FhaError err;

	snapshot.lease_is_free = !held;
	snapshot.cluster = cluster->record;
	snapshot.member_count = cluster->member_count;
	memcpy(snapshot.members, cluster->members, cluster->member_count * sizeof(FhaMember));
	/* What of a damaged history can be read is shown. */
	if ((cluster->history_json != NULL &&
		 fha_history_glean(cluster->history_json, strlen(cluster->history_json), snapshot.history,
						   &snapshot.history_count, &err) == FHA_NO_MEMORY) ||
		fha_snapshot_print(&snapshot, &text, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	(void) puts(text);
	free(text);
	return CLI_OK;
}

/*
 * Is the lease held?  The record's time is of the holder's clock, which may be wrong: when it says that
 * the lease has lapsed, or lies in the future, watching decides.  A lease that is held is renewed
 * several times in a third of its duration.
 */
static int
look_whether_held(Cluster *cluster, const CliOptions *options, bool *held)
{
	int64_t age_ms = fha_age_ms(cluster->record.renewed_at, fha_wall_ms());
	int64_t pause_ms = cluster->record.lease_duration_ms / (3 * LOOKS);
	char seen[FHA_ID_SIZE];
	int result = CLI_OK;

	memcpy(seen, cluster->record.nonce, sizeof(seen));
	*held = !cluster->record.released && age_ms >= -FUTURE_MS &&
			age_ms <= cluster->record.lease_duration_ms;
	for (int i = 0; i < LOOKS && result == CLI_OK && !*held && !cluster->record.released; i++)
	{
		(void) poll(NULL, 0, (int) pause_ms);
		result = cluster_read(cluster, options);
		*held = strcmp(seen, cluster->record.nonce) != 0 && !cluster->record.released;
	}
	return result;
}

/*
 * S1b: a new state directory's node writes no record while the one before might live.  Only on its own
 * machine can be seen that it runs.
 */
static bool
waits_here(const Cluster *cluster, const FhaConfig *config)
{
	char liveness[FHA_UUID_SIZE];

	if (config->data_directory[0] == '\0' || !fha_is_supervised(config) ||
		fha_liveness_identity(config, liveness, sizeof(liveness), NULL) != FHA_OK)
		return false;
	for (size_t i = 0; i < cluster->member_count; i++)
		if (strcmp(cluster->members[i].member, config->member_name) == 0)
			return cluster->members[i].liveness[0] != '\0' &&
				   strcmp(cluster->members[i].liveness, liveness) != 0;
	return false;
}

/* CLI_OK, or CLI_FAILED when nobody can write, as far as the records tell. */
static int
status_show(Cluster *cluster, const CliOptions *options)
{
	const FhaConfig *config = &options->config;
	FhaOutlook outlook = {
		.record = &cluster->record,
		.members = cluster->members,
		.lease_age_ms = -1,
		/* Without a node the members' setting is not known. */
		.max_lag_bytes = config->member_name[0] == '\0' ? 0 : config->max_lag_on_failover_bytes,
	};
	int result = look_whether_held(cluster, options, &outlook.held);

	if (result != CLI_OK)
		return result;
	outlook.member_count = cluster->member_count;
	outlook.wall_s = (int64_t) time(NULL);
	if (waits_here(cluster, config))
		outlook.waits = config->member_name;
	if (options->json)
		result = print_json(cluster, outlook.held);
	else
		print_table(cluster, &outlook);
	if (result == CLI_OK && (!outlook.held || fha_overview_is_out(&outlook)))
		result = CLI_FAILED;
	return result;
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
	if (result == CLI_OK)
		result = status_show(&cluster, options);
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
		char when[FHA_FACTS_SIZE];
		char unless[FHA_FACTS_SIZE];

		fha_facts_print(rule->when, when, sizeof(when));
		fha_facts_print(rule->unless, unless, sizeof(unless));
		(void) printf(
			"%2zu  %s\n    when [%s]%s%s%s\n    lease: %s, fence: %s, PostgreSQL: %s\n    \"%s\"\n",
			i + 1, rule->id, when, unless[0] == '\0' ? "" : " unless [", unless,
			unless[0] == '\0' ? "" : "]", fha_lease_action_name(rule->lease),
			fha_fence_action_name(rule->fence), fha_node_action_name(rule->node), rule->because);
	}
	return CLI_OK;
}

const CliCommand command_status = {
	"status",
	"-D DATA | --lock URI --cluster NAME  [--ask] [-o json]",
	"show the cluster: members, roles, positions, the lease; status 1 when nobody can write",
	run_status,
	"Dsluoa",
	NULL,
	false,
};

const CliCommand command_rules = {
	"rules", "", "print the rules that every node decides by", run_rules, "", NULL, false,
};
