/*
 * report.h: the one crossing from the library's errors to PostgreSQL's.
 */
#ifndef FAWKES_REPORT_H
#define FAWKES_REPORT_H

#include "postgres.h"

#include "base/err.h"
#include "base/log_line.h"

/* The SQLSTATE that fits a code of the library. */
extern int fha_sqlstate(FhaCode code);

/* ereport what the library said; level: ERROR or above, so it does not return. */
extern void fha_report(int level, const FhaError *error);

/* errmsg of what is LOG or WARNING, with its id (base/log_line.h), a string as the format. */
#define report_line(id, ...) errmsg("[" id "] " __VA_ARGS__)

/* Log what the library said, as the line with that id. */
extern void fha_report_as(const char *id, const FhaError *error);

#endif
