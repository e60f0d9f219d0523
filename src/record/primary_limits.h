/*
 * primary_limits.h: settings of which a standby may not have less than its primary.
 *
 * PostgreSQL's standby stops replaying at the record in which its primary says that it has more, and
 * cannot be promoted until it is restarted with as much.
 */
#ifndef FHA_RECORD_PRIMARY_LIMITS_H
#define FHA_RECORD_PRIMARY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/api.h"
#include "core/world.h"

/* For a sentence of fha_limits_lack. */
#define FHA_LACK_SIZE 80

/* The name of limit `index`, below FHA_LIMITS. */
FHA_API const char *fha_limit_name(size_t index);

/*
 * Has `has` less than `needs` of any?  Then out says of which first: "max_connections 100 < 200"; else
 * it is "".  What is not known lacks nothing.
 */
FHA_API bool fha_limits_lack(const FhaLimits *has, const FhaLimits *needs, char out[FHA_LACK_SIZE]);

#endif
