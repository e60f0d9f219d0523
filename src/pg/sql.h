/*
 * sql.h: what the SQL functions share.
 */
#ifndef FAWKES_SQL_H
#define FAWKES_SQL_H

#include "record/snapshot.h"

/* The snapshot of an agent that runs, palloc'ed; NULL: there is none.  *count: which one it is. */
extern FhaSnapshot *sql_snapshot(uint64 *count);

#endif
