/*
 * exporter_status.h: the status page and its JSON, for the exporter.
 */
#ifndef FAWKES_EXPORTER_STATUS_H
#define FAWKES_EXPORTER_STATUS_H

#include "postgres.h"

#include "http/server.h"
#include "show/status_document.h"

/* Take a sample of the standbys' lag if one is due; when the next one is (CLOCK_BOOTTIME). */
extern int64 exporter_status_sample(void);

/* The JSON of /status, with what is known of this server.  Neither raises an error. */
extern void exporter_status_document(const FhaServerFacts *facts, FhaAnswer *out);

/* One of the page's files; false: it has none of that path. */
extern bool exporter_status_file(const char *path, FhaAnswer *out);

#endif
