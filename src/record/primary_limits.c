/*
 * primary_limits.c: settings of which a standby may not have less than its primary.  See primary_limits.h.
 */
#include "record/primary_limits.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const names[FHA_LIMITS] = {
	"max_connections",           "max_worker_processes",      "max_wal_senders",
	"max_prepared_transactions", "max_locks_per_transaction",
};

const char *
fha_limit_name(size_t index)
{
	return names[index];
}

bool
fha_limits_lack(const FhaLimits *has, const FhaLimits *needs, char out[FHA_LACK_SIZE])
{
	out[0] = '\0';
	/* The first of them is never 0 in a server. */
	if (has->value[0] == 0 || needs->value[0] == 0)
		return false;
	for (size_t i = 0; i < FHA_LIMITS; i++)
	{
		if (has->value[i] >= needs->value[i])
			continue;
		(void) snprintf(out, FHA_LACK_SIZE, "%s %" PRId64 " < %" PRId64, names[i], has->value[i],
						needs->value[i]);
		return true;
	}
	return false;
}
