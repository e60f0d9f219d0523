/*
 * health.c: what the listener says of its member.  See health.h.
 */
#include "show/health.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "record/record.h"

/* As other parameters of a query, one that is longer is nobody's. */
#define LAG_TEXT_SIZE 33

typedef struct Verdict
{
	bool good;
	const char *because;
} Verdict;

const char *
fha_pg_state_name(FhaPgState state)
{
	switch (state)
	{
		case FHA_PG_DOWN:
			return "down";
		case FHA_PG_BUSY:
			return "busy";
		case FHA_PG_STANDBY:
			return "standby";
		case FHA_PG_PRIMARY:
			return "primary";
	}
	return "busy"; /* LCOV_EXCL_LINE: every state has its case */
}

static FhaCode
bad_lag(const char *text, size_t size, FhaError *err)
{
	/* It comes from outside and goes back there: only what prints. */
	char shown[LAG_TEXT_SIZE];
	size_t length = size < LAG_TEXT_SIZE ? size : LAG_TEXT_SIZE - 1;

	for (size_t i = 0; i < length; i++)
		shown[i] = isalnum((unsigned char) text[i]) ? text[i] : '?';
	shown[length] = '\0';
	return fha_error(
		err, FHA_INVALID,
		"lag=%s makes no sense: give bytes, a number with kB, MB, GB or TB, or one with "
		"ms, s, min, h or d",
		shown);
}

static FhaCode
parse_lag(const char *text, size_t size, FhaLagLimit *out, FhaError *err)
{
	static const struct
	{
		const char *name;
		int64_t factor;
		bool time;
	} units[] = {
		{"", 1, false},
		{"B", 1, false},
		{"kB", 1024, false},
		{"MB", 1024 * 1024, false},
		{"GB", 1024 * 1024 * 1024, false},
		{"TB", INT64_C(1024) * 1024 * 1024 * 1024, false},
		{"ms", 1, true},
		{"s", 1000, true},
		{"min", 60 * 1000, true},
		{"h", 3600 * 1000, true},
		{"d", 24 * 3600 * 1000, true},
	};
	int64_t number = 0;
	size_t unit = 0;
	size_t at = 0;

	for (; at < size && isdigit((unsigned char) text[at]); at++)
	{
		int digit = text[at] - '0';

		if (number > (INT64_MAX - digit) / 10)
			return bad_lag(text, size, err);
		number = number * 10 + digit;
	}
	while (unit < sizeof(units) / sizeof(units[0]) &&
		   (strlen(units[unit].name) != size - at ||
			strncasecmp(units[unit].name, text + at, size - at) != 0))
		unit++;
	if (at == 0 || unit == sizeof(units) / sizeof(units[0]) ||
		number > (INT64_MAX - 1) / units[unit].factor)
		return bad_lag(text, size, err);
	*(units[unit].time ? &out->ms : &out->bytes) = number * units[unit].factor;
	return FHA_OK;
}

FhaCode
fha_health_lag_limit(const char *query, size_t size, FhaLagLimit *out, FhaError *err)
{
	size_t at = 0;
	bool found = false;

	*out = (FhaLagLimit){INT64_MAX, INT64_MAX};
	while (at < size)
	{
		const char *end = memchr(query + at, '&', size - at);
		size_t length = end == NULL ? size - at : (size_t) (end - (query + at));

		if (length >= 3 && memcmp(query + at, "lag", 3) == 0 &&
			(length == 3 || query[at + 3] == '='))
		{
			if (found)
				return fha_error(err, FHA_INVALID, "lag is given twice");
			found = true;
			if (length < 4 || length - 4 >= LAG_TEXT_SIZE)
				return bad_lag(query + at + (length < 4 ? 3 : 4), length < 4 ? 0 : length - 4, err);
			if (parse_lag(query + at + 4, length - 4, out, err) != FHA_OK)
				return FHA_INVALID;
		}
		at += length + 1;
	}
	return FHA_OK;
}

int64_t
fha_health_lag(const FhaHealth *health)
{
	/* Never "received = replayed": a standby that is cut off would have no lag at all. */
	if (health->postgres != FHA_PG_STANDBY || !health->led || health->leader.timeline == 0 ||
		health->leader.timeline != health->position.timeline)
		return FHA_HEALTH_LAG_UNKNOWN;
	if (health->replayed >= health->leader.lsn)
		return 0;
	return (int64_t) (health->leader.lsn - health->replayed);
}

/* S1: not the role, for a primary has one until it stops; the fence, at this moment. */
static Verdict
is_primary(const FhaHealth *health)
{
	if (health->postgres != FHA_PG_PRIMARY)
		return (Verdict){false, "not a primary"};
	if (health->fence_left_ms <= 0)
		return (Verdict){false, "the fence is shut: no valid lease"};
	return (Verdict){true, "primary, and the fence is open"};
}

static Verdict
is_replica(const FhaHealth *health)
{
	if (health->postgres != FHA_PG_STANDBY)
		return (Verdict){false, "not a standby that accepts connections"};
	if (!health->streaming)
		return (Verdict){false, "a standby that does not stream"};
	return (Verdict){true, "a standby that streams"};
}

static Verdict
is_either(const FhaHealth *health)
{
	return health->postgres == FHA_PG_PRIMARY ? is_primary(health) : is_replica(health);
}

static Verdict
is_alive(const FhaHealth *health)
{
	return (Verdict){true, health->agent ? "the agent answers" : "the supervisor answers"};
}

static void
health_put_position(struct json_object *to, const char *key, FhaPosition position, bool *failed)
{
	struct json_object *object;

	if (position.timeline == 0)
		return;
	object = json_object_new_object();
	fha_json_put_int(object, "timeline", position.timeline, failed);
	fha_json_put_lsn(object, "lsn", position.lsn, failed);
	fha_json_put(to, key, object, failed);
}

static void
put_fence(struct json_object *to, const FhaHealth *health, bool *failed)
{
	struct json_object *fence = json_object_new_object();
	bool open = is_primary(health).good;

	fha_json_put_bool(fence, "open", open, failed);
	fha_json_put_int(fence, "left_ms", open ? health->fence_left_ms : 0, failed);
	fha_json_put(to, "fence", fence, failed);
}

/* What the cluster's record says, once it has been seen. */
static void
health_put_lease(struct json_object *to, const FhaHealth *health, bool *failed)
{
	struct json_object *lease;

	if (!health->known)
		return;
	lease = json_object_new_object();
	fha_json_put_text(lease, "holder", health->holder, failed);
	fha_json_put_bool(lease, "held", health->led, failed);
	fha_json_put_u64(lease, "term", health->term, failed);
	fha_json_put_int(lease, "timeline", health->timeline, failed);
	fha_json_put_bool(lease, "paused", health->paused, failed);
	fha_json_put(to, "lease", lease, failed);
}

struct json_object *
fha_health_object(const FhaHealth *health, bool *failed)
{
	struct json_object *object = json_object_new_object();
	int64_t lag = fha_health_lag(health);

	fha_json_put_text(object, "cluster", health->cluster, failed);
	fha_json_put_text(object, "member", health->member, failed);
	fha_json_put_text(object, "incarnation", health->incarnation, failed);
	fha_json_put_u64(object, "system_identifier", health->system_identifier, failed);
	fha_json_put_text(object, "answered_by", health->agent ? "agent" : "supervisor", failed);
	fha_json_put_text(object, "role", fha_pg_state_name(health->postgres), failed);
	fha_json_put_bool(object, "ready", is_either(health).good, failed);
	fha_json_put_text(object, "decision", health->decision, failed);
	if (health->rule != NULL)
		fha_json_put_text(object, "rule", health->rule, failed);
	fha_json_put_text(object, "because", health->because, failed);
	put_fence(object, health, failed);
	health_put_position(object, "position", health->position, failed);
	if (health->position.timeline != 0)
		fha_json_put_lsn(object, "replayed", health->replayed, failed);
	fha_json_put_bool(object, "streaming", health->streaming, failed);
	fha_json_put_text(object, "following", health->following, failed);
	if (lag != FHA_HEALTH_LAG_UNKNOWN)
		fha_json_put_int(object, "lag_bytes", lag, failed);
	fha_lag_put(object, health->lag, failed);
	health_put_lease(object, health, failed);
	return object;
}

char *
fha_health_print(const FhaHealth *health)
{
	bool failed = false;
	struct json_object *object = fha_health_object(health, &failed);

	return fha_json_finish(object, failed, NULL);
}

static Verdict
health_judge(const FhaHealth *health, FhaHealthCheck check)
{
	switch (check)
	{
		case FHA_CHECK_ALIVE:
			return is_alive(health);
		case FHA_CHECK_READY:
			return is_either(health);
		case FHA_CHECK_PRIMARY:
			return is_primary(health);
		case FHA_CHECK_REPLICA:
			return is_replica(health);
	}
	return (Verdict){false, "unknown"}; /* LCOV_EXCL_LINE: every check has its case */
}

static int
health_say(char **text, int status, const char *because)
{
	if (asprintf(text, "%s\n", because) < 0)
		*text = NULL; /* LCOV_EXCL_LINE: no memory */
	return status;
}

/* 200: nothing stands against it; else as fha_health_check. */
static int
check_lag(const FhaHealth *health, const char *query, char **text)
{
	FhaError err;
	FhaLagLimit limit;
	bool in_time;
	int64_t lag;
	char because[120];

	if (fha_health_lag_limit(query, strlen(query), &limit, &err) != FHA_OK)
		return health_say(text, 400, err.text);
	in_time = limit.ms != INT64_MAX;
	lag = !in_time                          ? fha_health_lag(health)
		  : health->lag[FHA_REPLAYED].known ? health->lag[FHA_REPLAYED].ms
											: FHA_HEALTH_LAG_UNKNOWN;
	if (lag <= (in_time ? limit.ms : limit.bytes))
		return 200;
	if (lag == FHA_HEALTH_LAG_UNKNOWN)
		(void) snprintf(because, sizeof(because), "the lag is not known");
	else
		(void) snprintf(because, sizeof(because), "%lld %s behind the leader, %lld are allowed",
						(long long) lag, in_time ? "ms" : "bytes",
						(long long) (in_time ? limit.ms : limit.bytes));
	return health_say(text, 503, because);
}

int
fha_health_check(const FhaHealth *health, FhaHealthCheck check, const char *query, char **text)
{
	Verdict verdict = health_judge(health, check);

	if (check == FHA_CHECK_REPLICA)
	{
		int status = check_lag(health, query, text);

		/* Nonsense is told whatever this member is; a lag only of a healthy standby. */
		if (status == 400 || (status == 503 && verdict.good))
			return status;
		if (status == 503)
			free(*text);
	}
	return health_say(text, verdict.good ? 200 : 503, verdict.because);
}
