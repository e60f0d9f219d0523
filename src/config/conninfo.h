/*
 * conninfo.h: the connection string from one member's PostgreSQL to another's.
 */
#ifndef FHA_CONFIG_CONNINFO_H
#define FHA_CONFIG_CONNINFO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

#define FHA_REPLICATION_USER "fawkes_replication"

/*
 * How members prove to each other who they are, as words of a connection string.  `tls`: with
 * fawkes_ha.tls; `postgres`: the major version of the PostgreSQL whose libpq reads them.
 */
FHA_API const char *fha_conninfo_terms(bool tls, int postgres);

/*
 * host=... port=... of an address "host:port" ("[::1]:5432" for IPv6), with our user, password
 * file and application_name, as a connection string.  INVALID: not an address, or too long.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_conninfo(const FhaConfig *config, const char *address,
											const char *application_name, char *out, size_t size,
											FhaError *err);

/* Append text to `out`, with each of `special` doubled, or behind `escape`; false when it does not fit. */
bool fha_append_quoted(char *out, size_t size, size_t *used, const char *text, const char *special,
					   char escape);

#endif
