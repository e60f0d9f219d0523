/*
 * maintenance_given.h: user names and passwords from files that are given to us.
 */
#ifndef FAWKES_MAINTENANCE_GIVEN_H
#define FAWKES_MAINTENANCE_GIVEN_H

#include "postgres.h"

#include "base/err.h"

/* The file `name` of `directory`: one line of at most `most` bytes, palloc'ed; NULL and err if not. */
extern char *maintenance_read_credential(const char *directory, const char *name, size_t most,
										 FhaError *err);

#endif
