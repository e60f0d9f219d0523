/*
 * health.h: what the listener says of its member.
 *
 * Pure: from what the node knows at one moment to a status code and a text, so that every answer
 * can be tested without a socket.  No SQL is behind any of it.
 */
#ifndef FHA_SHOW_HEALTH_H
#define FHA_SHOW_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/world.h"

#define FHA_HEALTH_LAG_UNKNOWN INT64_MAX

/* What the node knows at the moment of an answer. */
typedef struct FhaHealth
{
	char cluster[FHA_NAME_SIZE];
	char member[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE];
	uint64_t system_identifier; /* of the data, else of the cluster's record; 0: unknown */
	bool agent;                 /* the agent answers; else the supervisor */

	FhaPgState postgres;
	int64_t fence_left_ms; /* S1: until write_ends_at, as it is at this moment; <= 0: shut */
	bool streaming;        /* a standby: WAL is coming in */
	char following[FHA_NAME_SIZE];
	FhaPosition position; /* timeline 0: unknown */
	uint64_t replayed;
	FhaLag lag[FHA_STAGES]; /* of a standby */

	const char *decision; /* static texts */
	const char *rule;     /* NULL: nothing is decided yet */
	const char *because;

	bool
		led; /* the record was seen, and names a holder whose lease has not lapsed or been released */
	bool known; /* the record was seen: what follows comes from it */
	char holder[FHA_NAME_SIZE];
	uint64_t term;
	uint32_t timeline;
	FhaPosition leader; /* of the holder, at its last renewal */
	bool paused;
} FhaHealth;

/* What a member is asked for. */
typedef enum FhaHealthCheck
{
	FHA_CHECK_ALIVE,   /* does somebody speak for the node? */
	FHA_CHECK_READY,   /* a primary or a replica, as below */
	FHA_CHECK_PRIMARY, /* S1: its fence is open at this moment */
	FHA_CHECK_REPLICA, /* a standby that streams, within the `lag` of the query */
} FhaHealthCheck;

/*
 * An HTTP status: 200, 503, or 400 for a `lag` that makes no sense.  query: what stands behind "?",
 * not decoded; "" for none.  *text says why: free it; NULL: out of memory.
 */
FHA_API int fha_health_check(const FhaHealth *health, FhaHealthCheck check, const char *query,
							 char **text);

/* The JSON of /status, as text: free it; NULL: out of memory. */
FHA_API char *fha_health_print(const FhaHealth *health);

/* How much lag is allowed; INT64_MAX: any. */
typedef struct FhaLagLimit
{
	int64_t bytes;
	int64_t ms;
} FhaLagLimit;

/*
 * The `lag` of a query of `size` bytes ("lag=16MB&x=1"): a number with B, kB, MB, GB or TB, in units
 * of 1024, or without a unit, is bytes; one with ms, s, min, h or d is time.  INVALID on nonsense.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_health_lag_limit(const char *query, size_t size,
													FhaLagLimit *out, FhaError *err);

/* How far replay is behind the leader's last renewal, in bytes; FHA_HEALTH_LAG_UNKNOWN. */
FHA_API int64_t fha_health_lag(const FhaHealth *health);

/* The JSON of /status (docs/status.schema.json); the caller puts it.  What is not known is left out. */
struct json_object *fha_health_object(const FhaHealth *health, bool *failed);

FHA_API const char *fha_pg_state_name(FhaPgState state);

#endif
