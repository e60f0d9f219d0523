/*
 * exporter_rows.c: what collectors have sent, by database.  See exporter_rows.h.
 */
#include "postgres.h"

#include <time.h>

#include "utils/guc.h"

#include "base/clock.h"
#include "pg/collector.h"
#include "pg/exporter_rows.h"
#include "pg/guc.h"
#include "pg/report.h"

/* Of one database: far more than 1000 tables make, far less than would hurt. */
#define ROWS_BYTES_MAX (4 * 1024 * 1024)
#define FAILURES_MAX 200
#define LOG_EVERY_MS (10 * 60 * 1000)

Rows *
rows_database(const char *name)
{
	Rows *rows = palloc0(sizeof(*rows));

	strlcpy(rows->database, name, sizeof(rows->database));
	rows->exists = true;
	initStringInfo(&rows->good);
	initStringInfo(&rows->coming);
	return rows;
}

void
rows_begin(Rows *rows)
{
	resetStringInfo(&rows->coming);
	rows->began_at_ms = fha_now_ms();
	rows->collections++;
	rows->up = false;
}

void
rows_failed(Rows *rows, const char *what, const char *why)
{
	Failure *failure = rows->failures;
	int count = 0;

	for (; failure != NULL && strcmp(failure->what, what) != 0; failure = failure->next)
		count++;
	if (failure == NULL)
	{
		if (count == FAILURES_MAX)
			return;
		failure = palloc0(sizeof(*failure));
		failure->what = pstrdup(what);
		failure->next = rows->failures;
		rows->failures = failure;
	}
	failure->count++;
	failure->collection = rows->collections;
	if (failure->logged_at_ms != 0 && fha_now_ms() < failure->logged_at_ms + LOG_EVERY_MS)
		return;
	failure->logged_at_ms = fha_now_ms();
	ereport(LOG, report_line("metrics_failed", "metrics of database \"%s\": %s: %s", rows->database,
							 what, why));
}

static void
note_database(Rows **databases, const char *name)
{
	Rows **at = databases;

	while (*at != NULL && strcmp((*at)->database, name) != 0)
		at = &(*at)->next;
	if (*at == NULL)
		*at = rows_database(name);
	(*at)->named = (*at)->exists = true;
}

/* Of a database that is gone nothing is shown. */
static void
end_list(Rows *databases)
{
	for (Rows *rows = databases->next; rows != NULL; rows = rows->next)
	{
		rows->exists = rows->named;
		rows->named = false;
	}
}

static void
end_collection(Rows *rows)
{
	StringInfoData old = rows->good;

	rows->good = rows->coming;
	rows->coming = old;
	resetStringInfo(&rows->coming);
	rows->got_at_ms = fha_now_ms();
	rows->got_wall = (int64) time(NULL);
	rows->took_ms = rows->got_at_ms - rows->began_at_ms;
	rows->up = true;
}

/* The strings behind the kind; false when there are not so many. */
static bool
rows_split(const char *message, Size size, const char **texts, int count)
{
	const char *end = message + size;

	for (int i = 0; i < count; i++)
	{
		const char *stop = message < end ? memchr(message, '\0', end - message) : NULL;

		if (stop == NULL)
			return false;
		texts[i] = message;
		message = stop + 1;
	}
	return true;
}

bool
rows_take(Rows *rows, Rows **databases, const char *message, Size size)
{
	const char *texts[2];
	int length = (int) size;

	switch (size == 0 ? '\0' : message[0])
	{
		case COLLECTOR_ROW:
			if (rows->coming.len + size > ROWS_BYTES_MAX)
			{
				rows->lost++;
				return false;
			}
			appendBinaryStringInfo(&rows->coming, (const char *) &length, sizeof(length));
			appendBinaryStringInfo(&rows->coming, message, length);
			return false;
		case COLLECTOR_DATABASE:
			if (rows_split(message + 1, size - 1, texts, 1))
				note_database(databases, texts[0]);
			return false;
		case COLLECTOR_ERROR:
			if (rows_split(message + 1, size - 1, texts, 2))
				rows_failed(rows, texts[0], texts[1]);
			return false;
		case COLLECTOR_END:
			if (rows == *databases)
				end_list(rows);
			end_collection(rows);
			return true;
		default:
			return false;
	}
}

/* The next of the rows that begin at *at: its name, type, help and labels; false: there is none. */
static bool
next_row(const char **at, const char *end, const char **texts, double *value)
{
	int length;

	while (*at + sizeof(length) <= end)
	{
		const char *row = *at + sizeof(length);

		memcpy(&length, *at, sizeof(length));
		*at = row + length;
		if (length > (int) sizeof(*value) + 1 &&
			rows_split(row + 1 + sizeof(*value), length - 1 - sizeof(*value), texts, 4))
		{
			memcpy(value, row + 1, sizeof(*value));
			return true;
		}
	}
	return false;
}

static void
show_collected(const Rows *rows, FhaPrometheus *page)
{
	const char *at = rows->good.data;
	const char *end = at + rows->good.len;
	const char *texts[4];
	double value;

	while (next_row(&at, end, texts, &value))
		fha_prometheus_add(page, texts[0], texts[1], texts[2], texts[3], value);
}

void
rows_facts(const Rows *databases, FhaServerFacts *facts)
{
	const char *claim = guc_pod[0] == '\0' ? guc_member_name : guc_pod;
	const char *at = databases->good.data;
	const char *end = at + databases->good.len;
	const char *texts[4];
	double value;

	fha_facts_begin(facts);
	strlcpy(facts->postgres, GetConfigOption("server_version", true, false),
			sizeof(facts->postgres));
	/* Behind it packagers say who they are. */
	facts->postgres[strcspn(facts->postgres, " ")] = '\0';
	if (databases->got_at_ms == 0)
		return;
	facts->age_ms = fha_now_ms() - databases->got_at_ms;
	while (next_row(&at, end, texts, &value))
		fha_facts_take(facts, texts[0], texts[3], value, claim);
}

void
rows_own_metric(void *page, const FhaMetric *metric)
{
	FhaMetric labelled = *metric;

	if (guc_cluster_name[0] != '\0' && labelled.label_count < FHA_METRIC_LABELS_MAX)
		labelled.labels[labelled.label_count++] = (FhaMetricLabel){"cluster", guc_cluster_name};
	fha_prometheus_metric(page, &labelled);
}

static void
rows_put(FhaPrometheus *page, const char *family, const char *type, const char *help,
		 const char *label, const char *label_value, double value)
{
	FhaMetric metric = {.family = family, .suffix = "", .type = type, .help = help, .value = value};

	if (label != NULL)
		metric.labels[metric.label_count++] = (FhaMetricLabel){label, label_value};
	if (strncmp(family, "fawkes_ha_", strlen("fawkes_ha_")) == 0)
		rows_own_metric(page, &metric);
	else
		fha_prometheus_metric(page, &metric);
}

static void
show_failures(const Rows *rows, FhaPrometheus *page)
{
	for (const Failure *failure = rows->failures; failure != NULL; failure = failure->next)
	{
		char name[2 * NAMEDATALEN + 300];

		snprintf(name, sizeof(name), "%s/%s", rows->database, failure->what);
		rows_put(page, "cnpg_collector_collection_errors_total", "counter",
				 "Collections and queries that failed, by database and query.", "collector", name,
				 (double) failure->count);
		rows_put(page, "cnpg_errors_total", "counter", "Queries of users' metrics that failed.",
				 "errorUserQueries", name, (double) failure->count);
	}
}

/* Until the newest collection is whole, what failed in the one before counts. */
static bool
has_failed(const Rows *rows)
{
	for (const Failure *failure = rows->failures; failure != NULL; failure = failure->next)
		if (failure->collection + (rows->up ? 0 : 1) >= rows->collections)
			return true;
	return !rows->up && rows->got_at_ms == 0;
}

void
rows_show(const Rows *databases, uint64 shared, uint64 waited, FhaPrometheus *page)
{
	/* The first is postgres.  Slow queries of users end a collection late, and it answers all the same. */
	bool up = databases->up || databases->coming.len > 0;
	bool failing = false;
	double collections = 0;
	double lost = 0;

	for (const Rows *rows = databases; rows != NULL; rows = rows->next)
	{
		if (!rows->exists)
			continue;
		show_collected(rows, page);
		show_failures(rows, page);
		collections += (double) rows->collections;
		lost += (double) rows->lost;
		failing |= has_failed(rows);
		if (rows->got_at_ms == 0)
			continue;
		rows_put(page, "fawkes_ha_exporter_age_seconds", "gauge",
				 "Time since what is shown of this database was collected.", "datname",
				 rows->database, (double) (fha_now_ms() - rows->got_at_ms) / 1000);
		rows_put(page, "cnpg_collector_collection_duration_seconds", "gauge",
				 "How long the newest collection took, by database.", "collector", rows->database,
				 (double) rows->took_ms / 1000);
	}
	rows_put(page, "cnpg_collector_collections_total", "counter", "Collections that were begun.",
			 NULL, NULL, collections);
	rows_put(page, "cnpg_collector_last_collection_error", "gauge",
			 "1 if a query of the newest collection failed, 0 else.", NULL, NULL, failing);
	rows_put(page, "cnpg_last_error", "gauge",
			 "1 if a query of the newest collection failed, 0 else.", NULL, NULL, failing);
	rows_put(page, "cnpg_collector_up", "gauge", "1 if PostgreSQL answers its collector, 0 else.",
			 "cluster", guc_cluster_name, up);
	rows_put(page, "cnpg_last_update_timestamp", "gauge",
			 "When the newest collection ended, in seconds since the epoch; 0: none did.", NULL,
			 NULL, (double) databases->got_wall);
	rows_put(page, "cnpg_cache_hits", "gauge", "Scrapes that shared a collection.", NULL, NULL,
			 (double) shared);
	rows_put(page, "cnpg_cache_miss", "gauge", "Scrapes that waited for a collection.", NULL, NULL,
			 (double) waited);
	rows_put(page, "fawkes_ha_exporter_rows_dropped_total", "counter",
			 "Rows of metrics that were left out: too many, or not as the format wants them.", NULL,
			 NULL, lost + (double) (page->refused + page->overflow));
}
