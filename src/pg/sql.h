/*
 * sql.h: what the SQL functions share.
 */
#ifndef FAWKES_SQL_H
#define FAWKES_SQL_H

/* The agent's snapshot as JSON text, palloc'ed; NULL: there is none.  *count: which one it is. */
extern char *sql_snapshot(uint64 *count);

#endif
