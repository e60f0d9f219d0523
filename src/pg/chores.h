/*
 * chores.h: what a primary does for its cluster by SQL: the role that standbys and pg_rewind connect
 * as, the application's owner, who may only read, the role that metrics are read as, the extension.
 */
#ifndef FAWKES_CHORES_H
#define FAWKES_CHORES_H

#include "postgres.h"

/* What one who does them has at the most; then it is ended, whatever it waits for. */
#define CHORES_MS 60000

/*
 * As a worker with a database connection, in no database yet: do them in the database of
 * fawkes_shared->maintenance, note there that it is done, and return.  Nothing while another does them.
 */
extern void chores_do(void);

#endif
