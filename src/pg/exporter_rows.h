/*
 * exporter_rows.h: what collectors have sent, by database, for the exporter.
 */
#ifndef FAWKES_EXPORTER_ROWS_H
#define FAWKES_EXPORTER_ROWS_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "show/prometheus.h"
#include "show/status_document.h"

/* A query that fails, by the name that its collector gives it. */
typedef struct Failure
{
	struct Failure *next;
	char *what;
	uint64 count;
	uint64 collection;  /* the newest in which it failed, by its number */
	int64 logged_at_ms; /* 0: never */
} Failure;

typedef struct Rows
{
	struct Rows *next;
	char database[NAMEDATALEN];
	bool named;          /* on the list that is coming */
	bool exists;         /* it was on the newest whole list */
	StringInfoData good; /* messages of the newest whole collection, each behind its size */
	StringInfoData coming;
	int64 began_at_ms;
	int64 got_at_ms; /* when the newest whole collection ended; 0: none has */
	int64 got_wall;  /* seconds since the epoch */
	int64 took_ms;
	uint64 collections;
	uint64 lost; /* rows beyond the cap */
	bool up;     /* the newest collection was whole */
	bool failing;
	Failure *failures;
} Rows;

/* In the current memory context, for as long as it lives. */
extern Rows *rows_database(const char *name);

/* A collection begins. */
extern void rows_begin(Rows *rows);

/*
 * A message of a collector for `rows`; a database's name joins the list at *databases.  True: it was
 * the last of its collection.  What cannot be understood is skipped.
 */
extern bool rows_take(Rows *rows, Rows **databases, const char *message, Size size);

/* The collection, or a query of it, failed: counted, and logged now and then. */
extern void rows_failed(Rows *rows, const char *what, const char *why);

/* What the page shows of this server, from the newest rows of the first database.  Raises no error. */
extern void rows_facts(const Rows *databases, FhaServerFacts *facts);

/* One of fawkes_ha's own, with its cluster as a label; a sink of metrics.h, `page` is a FhaPrometheus. */
extern void rows_own_metric(void *page, const FhaMetric *metric);

/*
 * All values of all databases, and what the exporter says of itself; `shared` scrapes had a collection
 * that was there, `waited` had one of their own.  Raises no error.
 */
extern void rows_show(const Rows *databases, uint64 shared, uint64 waited, FhaPrometheus *page);

#endif
