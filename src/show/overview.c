/*
 * overview.c: members as people are shown them.  See overview.h.
 */
#include "show/overview.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/decide.h"
#include "core/timing.h"

int64_t
fha_age_s(const char *wall_time, int64_t wall_s)
{
	struct tm then = {.tm_isdst = 0};
	const char *rest = strptime(wall_time, "%Y-%m-%dT%H:%M:%S", &then);

	return rest == NULL ? -1 : wall_s - (int64_t) timegm(&then);
}

int64_t
fha_age_ms(const char *wall_time, int64_t wall_ms)
{
	struct tm then = {.tm_isdst = 0};
	const char *rest = strptime(wall_time, "%Y-%m-%dT%H:%M:%S", &then);
	unsigned ms = 0;

	if (rest == NULL)
		return INT64_MIN;
	(void) sscanf(rest, ".%3u", &ms);
	return wall_ms - (int64_t) timegm(&then) * 1000 - ms;
}

/* Times of records have one form: they compare as texts do.  An unknown one is older than nothing. */
static bool
is_older(const char *wall_time, const char *than)
{
	return than[0] != '\0' && strcmp(wall_time, than) < 0;
}

/* Standbys' own records are written on change and now and then; the leader's list is fresher. */
static void
look_up(const FhaCluster *record, const FhaMember *member, FhaShown *out)
{
	out->lsn = member->position.lsn;
	out->streaming = !record->released && member->streaming && member->role == FHA_ROLE_STANDBY &&
					 strcmp(member->following, record->holder) == 0 &&
					 !is_older(member->updated_at, record->renewed_at);
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

/* As the newer of the two records has it: the leader's is of its last renewal, so it counts while it renews. */
static int64_t
age_ms(const FhaOutlook *outlook, const FhaMember *member, const FhaShown *shown)
{
	const FhaCluster *record = outlook->record;
	const FhaLag *own = &member->lag[FHA_REPLAYED];

	if (member->role != FHA_ROLE_STANDBY)
		return -1;
	for (size_t i = 0; i < record->standby_count && outlook->held; i++)
	{
		const FhaStandby *standby = &record->standbys[i];
		FhaLag lag = standby->lag[FHA_REPLAYED];

		if (strcmp(standby->member, member->member) != 0 || !lag.known)
			continue;
		return standby->replayed >= record->position.lsn && lag.ms <= record->lease_duration_ms
				   ? 0
				   : lag.ms;
	}
	return own->known ? own->ms + (shown->silent_s > 0 ? shown->silent_s * 1000 : 0) : -1;
}

/*
 * In seconds.  A member names the renewal that it saw when it wrote, so both times are of the holder's
 * clock.  Wall clocks of two machines differ: they count only where nothing better is known.
 */
static int64_t
silence_s(const FhaOutlook *outlook, const FhaMember *member)
{
	const FhaCluster *record = outlook->record;
	int64_t known_s =
		outlook->silence_s == NULL ? -1 : outlook->silence_s(outlook->known, member->member);
	int64_t renewed_age_ms = fha_age_ms(record->renewed_at, 0);
	int64_t seen_age_ms = fha_age_ms(member->lease_seen_at, 0);

	if (known_s >= 0)
		return known_s;
	if (outlook->held && member->term == record->term && renewed_age_ms != INT64_MIN &&
		seen_age_ms >= renewed_age_ms)
		return (seen_age_ms - renewed_age_ms) / 1000;
	return fha_age_s(member->updated_at, outlook->wall_s);
}

/* What a member last said of itself is not what it is: it may be gone, or know no better. */
static void
member_doubt(const FhaOutlook *outlook, const FhaMember *member, FhaShown *out)
{
	const FhaCluster *record = outlook->record;
	bool self = outlook->self != NULL && strcmp(outlook->self, member->member) == 0;
	bool holder = strcmp(record->holder, member->member) == 0;
	bool leads = member->role == FHA_ROLE_PRIMARY;

	if (fha_is_silent(out->silent_s * 1000, record->lease_duration_ms))
	{
		out->role = FHA_SHOWN_SILENT;
		(void) snprintf(out->why, sizeof(out->why), "no sign of it for %" PRId64 " s",
						out->silent_s);
	}
	else if (leads && holder && !record->released && !outlook->held)
	{
		out->role = self ? FHA_SHOWN_FENCED : FHA_SHOWN_SILENT;
		(void) snprintf(out->why, sizeof(out->why), "it does not renew its lease");
	}
	else if (leads && !holder && !self && is_older(member->updated_at, record->acquired_at))
	{
		out->role = FHA_SHOWN_SILENT;
		(void) snprintf(out->why, sizeof(out->why), "no sign of it since it lost the lease");
	}
	else if (leads && !out->holds)
	{
		out->role = FHA_SHOWN_FENCED;
		(void) snprintf(out->why, sizeof(out->why), "lost the lease");
	}
}

const char *
fha_shown_role_name(FhaShownRole role)
{
	static const char *const names[] = {"down", "standby", "primary", "silent", "fenced"};

	return names[role];
}

/* 1.1's members publish no ids: this sentence of theirs is known for as long as they are in a cluster with us. */
static bool
was_stopping_in_1_1(const FhaMember *member)
{
	static const char begins[] = "this node stops";

	return member->rule[0] == '\0' && strncmp(member->state, begins, sizeof(begins) - 1) == 0;
}

/* Did it follow a rule of nodes that somebody stops? */
static bool
was_stopping(const FhaMember *member)
{
	const FhaRule *rule = fha_rule_find(member->rule);

	return rule == NULL ? was_stopping_in_1_1(member) : (rule->when & FHA_STOPPING) != 0;
}

void
fha_overview_member(const FhaOutlook *outlook, const FhaMember *member, FhaShown *out)
{
	const FhaCluster *record = outlook->record;

	out->holds = strcmp(record->holder, member->member) == 0 && !record->released && outlook->held;
	out->role = (FhaShownRole) member->role;
	out->silent_s = silence_s(outlook, member);
	look_up(record, member, out);
	out->lag_bytes = -1;
	if (member->role == FHA_ROLE_STANDBY && record->position.lsn != 0)
		out->lag_bytes =
			record->position.lsn > out->lsn ? (int64_t) (record->position.lsn - out->lsn) : 0;
	out->age_ms = age_ms(outlook, member, out);
	out->why[0] = '\0';
	out->stopped = member->role == FHA_ROLE_DOWN && !out->holds && was_stopping(member);
	if (!out->stopped)
		member_doubt(outlook, member, out);
	if (out->stopped)
		(void) snprintf(out->state, sizeof(out->state), "its node was stopped");
	else if (out->why[0] != '\0')
		(void) snprintf(out->state, sizeof(out->state), "%s; last: %s", out->why, member->state);
	else if (member->role == FHA_ROLE_STANDBY && outlook->held && !out->holds && !out->streaming)
		(void) snprintf(out->state, sizeof(out->state), "does not stream; says: %s", member->state);
	else
		(void) snprintf(out->state, sizeof(out->state), "%s%s", member->state,
						member->role == FHA_ROLE_STANDBY && member->serves == FHA_SERVES_UNHEALTHY
							? "; unhealthy to readers"
							: "");
}

bool
fha_overview_is_out(const FhaOutlook *outlook)
{
	const FhaCluster *record = outlook->record;

	for (size_t i = 0; outlook->held && i < outlook->member_count; i++)
	{
		const FhaMember *member = &outlook->members[i];

		/* Promoted, it writes the lineage first, and its own record after that. */
		if (strcmp(member->member, record->holder) == 0)
			return member->role == FHA_ROLE_DOWN ||
				   (member->role == FHA_ROLE_STANDBY && record->lineage_term != record->term);
	}
	return false;
}
