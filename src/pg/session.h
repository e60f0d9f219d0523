/*
 * session.h: the one door by which a worker of ours comes into a database.
 *
 * A session is made of what others may set: the server's configuration, the database's and the
 * role's settings.  Our workers are superusers, or look at what users have made: what such a setting
 * could change about them is stated here, before the first transaction.
 */
#ifndef FAWKES_SESSION_H
#define FAWKES_SESSION_H

#include "postgres.h"

typedef struct SessionTerms
{
	const char *database; /* NULL: none, so that nobody's DROP DATABASE waits; shared catalogues */
	const char *role; /* NULL: PostgreSQL's superuser, whom ALLOW_CONNECTIONS does not keep out */
	bool read_only;
	const char *lock_timeout; /* "0": none */
	int limit_ms;             /* of the whole process: it is ended, and the log says why; 0: none */
} SessionTerms;

/*
 * Once in a worker with BGWORKER_BACKEND_DATABASE_CONNECTION, whose signals are unblocked and whose
 * SIGTERM is `die`.  FATAL when PostgreSQL refuses the connection.
 */
extern void session_open(const SessionTerms *terms);

/* A transaction with SPI and a snapshot; commit it, or let an error end it. */
extern void session_begin(void);
extern void session_commit(void);

/* SPI_execute of one statement that changes something; an error unless it succeeds. */
extern void session_order(const char *sql);

/* A query with `argument` (a text, or NULL for none) as $1. */
extern void session_query(const char *sql, const char *argument);

/* What the last query found: column `column` of its first row; NULL: no row, or NULL. */
extern char *session_answer(int column);

/* The same of a boolean; NULL is false. */
extern bool session_holds(int column);

/*
 * In no transaction: what a person has to mend must not keep the rest from being done.  False: it
 * failed, and the error was logged.
 */
extern bool session_try(void (*chore)(void));

#endif
