/*
 * cluster.c: the cluster as the lock shows it.  See cluster.h.
 */
#include "cli/cluster.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define CALL_WAIT_MS 5000

int
cluster_open(Cluster *cluster, const CliOptions *options)
{
	FhaError err;

	memset(cluster, 0, sizeof(*cluster));
	if (options->config.lock[0] == '\0' || options->config.cluster_name[0] == '\0')
	{
		cli_complain("which cluster?  Give -D DATA of a member, or --lock URI --cluster NAME");
		return CLI_USAGE;
	}
	if (fha_lock_open(&cluster->lock, options->config.lock, options->config.cluster_name, false,
					  &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_NO_LOCK;
	}
	return CLI_OK;
}

static void
cluster_forget(Cluster *cluster)
{
	free(cluster->history_json);
	cluster->history_json = NULL;
	cluster->member_count = 0;
	cluster->version[0] = '\0';
	cluster->history_version[0] = '\0';
}

void
cluster_close(Cluster *cluster)
{
	cluster_forget(cluster);
	if (cluster->lock != NULL)
		fha_lock_close(cluster->lock);
}

static int
records_by_name(const void *a, const void *b)
{
	return strcmp((*(const FhaRecord *const *) a)->name, (*(const FhaRecord *const *) b)->name);
}

static int
take_record(Cluster *cluster, const CliOptions *options, const FhaRecord *record)
{
	const char *wanted = options->config.cluster_name;
	char cluster_name[FHA_RECORD_NAME_SIZE];
	char history_name[FHA_RECORD_NAME_SIZE];
	FhaError err;

	fha_record_name_cluster(wanted, cluster_name, sizeof(cluster_name));
	fha_record_name_history(wanted, history_name, sizeof(history_name));
	if (strcmp(record->name, cluster_name) == 0)
	{
		if (fha_cluster_parse(record->data, record->size, &cluster->record, &err) != FHA_OK)
		{
			FhaRecordOwner by;
			char text[FHA_OWNER_TEXT_SIZE];

			if (fha_record_owner(record->data, record->size, &by) && by.member[0] != '\0')
			{
				fha_record_owner_print(&by, text);
				cli_complain("the record \"%s\" in the lock is %s: give that member another "
							 "member_name, or this cluster another name or lock",
							 record->name, text);
			}
			else
				cli_complain("the cluster record cannot be used: %s", err.text);
			return CLI_FAILED;
		}
		memcpy(cluster->version, record->version, sizeof(cluster->version));
	}
	else if (strcmp(record->name, history_name) == 0)
	{
		cluster->history_json = strdup(record->data);
		memcpy(cluster->history_version, record->version, sizeof(cluster->history_version));
	}
	else if (cluster->member_count < FHA_MEMBERS_MAX)
	{
		FhaMember *member = &cluster->members[cluster->member_count];

		if (fha_member_parse(record->data, record->size, member, NULL) == FHA_OK &&
			strcmp(member->cluster, wanted) == 0 && !member->removed)
			cluster->member_count++;
	}
	return CLI_OK;
}

int
cluster_read(Cluster *cluster, const CliOptions *options)
{
	FhaLockRequest request = {.verb = FHA_LOCK_LIST, .deadline_at_ms = fha_now_ms() + CALL_WAIT_MS};
	const FhaRecord *sorted[FHA_RECORD_COUNT_MAX];
	FhaLockEvent event;
	int result = CLI_OK;

	cluster_forget(cluster);
	if (fha_lock_call(cluster->lock, &request, &event) != FHA_OK)
	{
		cli_complain("the lock did not answer: %s", event.error.text);
		return CLI_NO_LOCK;
	}
	for (size_t i = 0; i < event.count; i++)
		sorted[i] = &event.records[i];
	qsort(sorted, event.count, sizeof(sorted[0]), records_by_name);
	for (size_t i = 0; i < event.count && result == CLI_OK; i++)
		result = take_record(cluster, options, sorted[i]);
	if (result == CLI_OK && cluster->version[0] == '\0')
	{
		cli_complain("there is no cluster \"%s\" in %s", options->config.cluster_name,
					 options->config.lock);
		result = CLI_FAILED;
	}
	return result;
}

static FhaCode
write_record(Cluster *cluster, const char *name, const char *version, const char *text,
			 FhaLockEvent *event)
{
	FhaLockRequest request = {.verb = version[0] == '\0' ? FHA_LOCK_CREATE : FHA_LOCK_SWAP,
							  .name = name,
							  .version = version,
							  .data = text,
							  .size = strlen(text),
							  .deadline_at_ms = fha_now_ms() + CALL_WAIT_MS};

	return fha_lock_call(cluster->lock, &request, event);
}

FhaCode
cluster_swap(Cluster *cluster, const FhaCluster *changed, FhaLockEvent *event)
{
	char *text;
	FhaCode code = fha_cluster_print(changed, &text, &event->error);

	if (code != FHA_OK)
		return code;
	code = write_record(cluster, changed->cluster, cluster->version, text, event);
	free(text);
	return code;
}

void
cluster_remember(Cluster *cluster, const CliOptions *options, const FhaHistoryEntry *entry)
{
	char name[FHA_RECORD_NAME_SIZE];
	FhaLockEvent event = {.error = {.text = ""}};
	FhaCode code = FHA_CONFLICT;

	fha_record_name_history(cluster->record.cluster, name, sizeof(name));
	for (int i = 0; i < CLUSTER_TRIES && (code == FHA_CONFLICT || code == FHA_UNKNOWN); i++)
	{
		const char *old;
		char *text;

		if (cluster_read(cluster, options) != CLI_OK)
			break;
		old = cluster->history_json;
		/* A write of unknown fate that did arrive. */
		if (old != NULL && fha_history_has(old, strlen(old), entry))
			return;
		code = fha_history_append(cluster->record.cluster, old, old == NULL ? 0 : strlen(old),
								  entry, &text, &event.error);
		if (code != FHA_OK)
			break;
		code = write_record(cluster, name, cluster->history_version, text, &event);
		free(text);
	}
	if (code != FHA_OK)
		cli_complain("it is done; only the history does not say so%s%s",
					 event.error.text[0] == '\0' ? "" : ": ", event.error.text);
}
