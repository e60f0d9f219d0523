/*
 * report.h: the one crossing from the library's errors to PostgreSQL's.
 */
#ifndef FAWKES_REPORT_H
#define FAWKES_REPORT_H

#include "postgres.h"

#include "base/err.h"

/* The SQLSTATE that fits a code of the library. */
extern int fha_sqlstate(FhaCode code);

/* ereport what the library said.  Returns unless level is ERROR or above. */
extern void fha_report(int level, const FhaError *error);

#endif
