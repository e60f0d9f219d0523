/*
 * overview.c: members as people are shown them.  See overview.h.
 */
#include "overview.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "record.h"

/* Twice the heartbeat of node.c, and a little. */
#define SILENT_LEASES 5

int64_t
fha_age_s(const char *wall_time, int64_t wall_s)
{
	struct tm then = {.tm_isdst = 0};
	const char *rest = strptime(wall_time, "%Y-%m-%dT%H:%M:%S", &then);

	return rest == NULL ? -1 : wall_s - (int64_t) timegm(&then);
}

/* Standbys' own records are written on change and now and then; the leader's list is fresher. */
static void
look_up(const FhaCluster *record, const FhaMember *member, FhaShown *out)
{
	out->lsn = member->position.lsn;
	out->streaming = false;
	if (out->holds && record->position.lsn > out->lsn)
		out->lsn = record->position.lsn;
	for (size_t i = 0; i < record->standby_count; i++)
		if (strcmp(record->standbys[i].member, member->member) == 0)
		{
			out->streaming = true;
			if (record->standbys[i].lsn > out->lsn)
				out->lsn = record->standbys[i].lsn;
		}
}

/* Members write at least every second lease: silence for longer is worth a word. */
static bool
is_silent(const FhaCluster *record, const FhaShown *shown)
{
	return shown->silent_s > SILENT_LEASES * (record->lease_duration_ms / 1000 + 1);
}

void
fha_overview_member(const FhaCluster *record, const FhaMember *member, int64_t wall_s,
					FhaShown *out)
{
	out->holds = strcmp(record->holder, member->member) == 0 && !record->released;
	out->role = fha_role_name(member->role);
	out->silent_s = fha_age_s(member->updated_at, wall_s);
	look_up(record, member, out);
	out->lag_bytes = -1;
	if (member->role == FHA_ROLE_STANDBY && record->position.lsn != 0)
		out->lag_bytes =
			record->position.lsn > out->lsn ? (int64_t) (record->position.lsn - out->lsn) : 0;
	(void) snprintf(out->state, sizeof(out->state), "%s", member->state);
	/* What a member last said of itself is not what it is: it may be gone, or know no better. */
	if (is_silent(record, out) && strstr(member->state, "this node stops") == NULL)
	{
		out->role = "silent";
		(void) snprintf(out->state, sizeof(out->state), "no sign of it for %" PRId64 " s; last: %s",
						out->silent_s, member->state);
	}
	else if (member->role == FHA_ROLE_PRIMARY && !out->holds)
	{
		out->role = "fenced";
		(void) snprintf(out->state, sizeof(out->state), "lost the lease; last: %s", member->state);
	}
	else if (member->role == FHA_ROLE_STANDBY && member->serves == FHA_SERVES_UNHEALTHY)
		(void) snprintf(out->state, sizeof(out->state), "%s; unhealthy to readers", member->state);
}
