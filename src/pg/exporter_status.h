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

/* One of the page's files, or /status, with what is known of this server; false: another path.  Raises no error. */
extern bool exporter_status_answer(const char *path, const FhaServerFacts *facts, FhaPage *page);

#endif
