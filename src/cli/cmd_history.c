/*
 * cmd_history.c: `fawkes-ha history`: what happened, who asked, why, and how it ended.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cluster.h"

static void
print_entry(const FhaHistoryEntry *entry)
{
	(void) cli_part("%-24s  %-10s  %-12s term %" PRIu64 ", timeline %" PRIu32, entry->at,
					entry->event, entry->member, entry->term, entry->timeline);
	if (entry->from[0] != '\0')
		(void) cli_part(", after %s", entry->from);
	if (entry->requested_by[0] != '\0')
		(void) cli_part("; asked for by %s", entry->requested_by);
	if (entry->reason[0] != '\0')
		(void) cli_part("; %s", entry->reason);
	if (entry->result[0] != '\0')
		(void) cli_part("; %s", entry->result);
	(void) putchar('\n');
}

static int
run_history(CliOptions *options, int argc, char **argv)
{
	static Cluster cluster;
	static FhaHistoryEntry entries[FHA_HISTORY_MAX];
	size_t count = 0;
	FhaError err;
	int result = cluster_open(&cluster, options);

	(void) argc;
	(void) argv;
	if (result == CLI_OK)
		result = cluster_read(&cluster, options);
	if (result == CLI_OK && cluster.history_json != NULL && options->json)
		(void) puts(cluster.history_json);
	else if (result == CLI_OK && cluster.history_json != NULL)
	{
		if (fha_history_parse(cluster.history_json, strlen(cluster.history_json), entries, &count,
							  &err) != FHA_OK)
		{
			cli_complain("the history cannot be read: %s", err.text);
			result = CLI_FAILED;
		}
		for (size_t i = 0; i < count; i++)
			print_entry(&entries[i]);
	}
	cluster_close(&cluster);
	return result;
}

const CliCommand command_history = {
	"history",
	"-D DATA | --lock URI --cluster NAME  [-o json]",
	"show the last 100 things that happened: who asked, when, why, and how it ended",
	run_history,
	"Dsluo",
	NULL,
	false,
};
