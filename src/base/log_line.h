/*
 * log_line.h: the shape of a line in the log, the same from the extension and from the supervisor:
 *
 *     TIME [WHO] LEVEL:  [id] sentence
 *
 * A program knows a line by its id, which never gets another meaning; the sentence is for people.
 * WHO is a process of PostgreSQL, or the supervisor's member.  LEVEL is LOG or WARNING; what has
 * another level is an answer to somebody, and has an SQLSTATE.
 */
#ifndef FHA_LOG_LINE_H
#define FHA_LOG_LINE_H

#include "core/world.h"

/* An id is of [a-z_], and belongs to one sentence.  A rule's sentence has the rule's. */
#define FHA_LOG_ID_FORMAT "[%s] "
/* With brackets, blank and NUL. */
#define FHA_LOG_ID_SIZE (FHA_RULE_ID_SIZE + 3)

#endif
