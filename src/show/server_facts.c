/*
 * server_facts.c: from rows of metrics to the few values that the status page shows of its server.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "show/status_document.h"

void
fha_facts_begin(FhaServerFacts *facts)
{
	*facts = (FhaServerFacts){
		.age_ms = -1,
		.started_at = NAN,
		.connections = NAN,
		.max_connections = NAN,
		.longest_transaction_s = NAN,
		.xid_age = NAN,
		.archived = NAN,
		.archive_failed = NAN,
		.data_bytes = NAN,
		.data_free = NAN,
		.wal_bytes = NAN,
		.wal_free = NAN,
	};
}

/* The value of a label as it stands there; false: it is not there, or does not fit. */
static bool
label_find(const char *labels, const char *name, char *out, size_t size)
{
	char begin[40];
	const char *from;
	size_t length;

	(void) snprintf(begin, sizeof(begin), "%s=\"", name);
	from = strstr(labels, begin);
	if (from == NULL)
		return false;
	from += strlen(begin);
	length = strcspn(from, "\"");
	if (length >= size)
		return false;
	memcpy(out, from, length);
	out[length] = '\0';
	return true;
}

static void
take_most(double *to, double value)
{
	if (isnan(*to) || value > *to)
		*to = value;
}

static void
take_slot(FhaServerFacts *facts, const char *labels, double bytes)
{
	char name[FHA_FACT_TEXT_SIZE];
	size_t at = 0;

	if (!label_find(labels, "slot_name", name, sizeof(name)))
		return;
	while (at < facts->slot_count && facts->slots[at].bytes >= bytes)
		at++;
	if (at == FHA_FACT_SLOTS_MAX)
		return;
	if (facts->slot_count < FHA_FACT_SLOTS_MAX)
		facts->slot_count++;
	memmove(&facts->slots[at + 1], &facts->slots[at],
			(facts->slot_count - at - 1) * sizeof(facts->slots[0]));
	memcpy(facts->slots[at].name, name, sizeof(name));
	facts->slots[at].bytes = bytes;
}

static void
take_volume(FhaServerFacts *facts, bool free, const char *labels, double value, const char *claim)
{
	char name[320];

	if (!label_find(labels, "persistentvolumeclaim", name, sizeof(name)))
		return;
	if (strcmp(name, claim) == 0)
		*(free ? &facts->data_free : &facts->data_bytes) = value;
	else
		*(free ? &facts->wal_free : &facts->wal_bytes) = value;
}

void
fha_facts_take(FhaServerFacts *facts, const char *name, const char *labels, double value,
			   const char *claim)
{
	char setting[FHA_FACT_TEXT_SIZE];

	if (strcmp(name, "cnpg_pg_postmaster_start_time") == 0)
		facts->started_at = value;
	else if (strcmp(name, "cnpg_pg_connections") == 0)
		facts->connections = value;
	else if (strcmp(name, "cnpg_pg_settings_setting") == 0 &&
			 label_find(labels, "name", setting, sizeof(setting)) &&
			 strcmp(setting, "max_connections") == 0)
		facts->max_connections = value;
	else if (strcmp(name, "cnpg_backends_max_tx_duration_seconds") == 0)
		take_most(&facts->longest_transaction_s, value);
	else if (strcmp(name, "cnpg_pg_database_xid_age") == 0)
		take_most(&facts->xid_age, value);
	else if (strcmp(name, "cnpg_pg_stat_archiver_last_archived_time") == 0)
		facts->archived = value;
	else if (strcmp(name, "cnpg_pg_stat_archiver_last_failed_time") == 0)
		facts->archive_failed = value;
	else if (strcmp(name, "cnpg_pg_replication_slots_pg_wal_lsn_diff") == 0)
		take_slot(facts, labels, value);
	else if (strcmp(name, "kubelet_volume_stats_capacity_bytes") == 0)
		take_volume(facts, false, labels, value, claim);
	else if (strcmp(name, "kubelet_volume_stats_available_bytes") == 0)
		take_volume(facts, true, labels, value, claim);
}
