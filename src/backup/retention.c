/*
 * retention.c: what a policy lets go.  See retention.h.
 */
#include "backup/retention.h"

#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"

#define SECOND_US INT64_C(1000000)
#define DAY_S INT64_C(86400)

/* Of the WAL, what a backup needs. */
typedef enum RetentionNeed
{
	NEEDS_NOTHING,
	NEEDS_OWN, /* from its begin to its end */
	NEEDS_ALL, /* from its begin on */
	NEEDS_UNKNOWN
} RetentionNeed;

typedef struct RetentionBackup
{
	const FhaBackup *backup;
	FhaRetentionVerdict verdict;
	RetentionNeed need;
} RetentionBackup;

struct FhaRetention
{
	const FhaCatalogue *catalogue;
	RetentionBackup *backups; /* as in the catalogue: oldest first */
	size_t count;
	const FhaBackup *blocker; /* FOREIGN; NULL: there is none */
	const FhaBackup *unknown; /* it runs, and where it began is not known; NULL: there is none */
	int64_t
		oldest_us; /* when the first of those began that need all WAL; INT64_MAX: there is none */
	const char **keys;
	size_t key_count;
};

static const char *const reasons[] = {
	[FHA_STAYS_IN_WINDOW] = "it is in the recovery window",
	[FHA_STAYS_FOR_WINDOW] = "the recovery window begins with it",
	[FHA_STAYS_IN_COUNT] = "it is among the newest that are kept",
	[FHA_STAYS_NO_POLICY] = "there is no policy of retention",
	[FHA_STAYS_KEPT] = "somebody keeps it",
	[FHA_STAYS_PARENT] = "an incremental backup stands on it",
	[FHA_STAYS_RUNNING] = "it is being made",
	[FHA_STAYS_WAITING] = "its last WAL is not archived yet",
	[FHA_STAYS_DAMAGED] = "it is damaged, and no older than what is kept",
	[FHA_STAYS_FOREIGN] = "what a backup needs is not known",
	[FHA_STAYS_SNAPSHOT] = "its data is a snapshot of disks",
	[FHA_STAYS_NEEDED] = "a backup needs it",
	[FHA_STAYS_LABEL] = "it is the label of a backup",
	[FHA_STAYS_HISTORY] = "histories of timelines are always kept",
	[FHA_STAYS_UNSURE] = "it is not known to be of no use",
	[FHA_STAYS_OTHER] = "it is nothing of a backup or of the WAL",
	[FHA_GOES_OLD] = "the policy does not need it any more",
	[FHA_GOES_HALF] = "it did not end",
	[FHA_GOES_DAMAGED] = "it is damaged, and older than what is kept",
	[FHA_GOES_BEFORE] = "it is older than the first backup that is kept",
	[FHA_GOES_BRANCH] = "it is of a branch to which no backup leads",
};

bool
fha_retention_goes(FhaRetentionReason reason)
{
	return reason >= FHA_GOES_OLD;
}

const char *
fha_retention_reason(FhaRetentionReason reason)
{
	return reasons[reason];
}

/* --- which backups stay */

static void
retention_judge(RetentionBackup *one, FhaRetentionReason reason, RetentionNeed need)
{
	one->verdict.reason = reason;
	one->need = need;
}

/* Usable ones, from the newest on. */
static void
retention_apply_policy(FhaRetention *plan, const FhaRetentionPolicy *policy, int64_t now_s)
{
	int64_t start_us = (now_s - policy->window_s) * SECOND_US;
	unsigned count = 0;
	bool is_reached = false; /* the newest one before the window */

	for (size_t i = plan->count; i > 0; i--)
	{
		RetentionBackup *one = &plan->backups[i - 1];
		bool is_before = one->backup->info.end_time_us < start_us;

		if (one->backup->state != FHA_BACKUP_USABLE)
			continue;
		count++;
		if (policy->window_s == 0 && policy->count == 0)
			retention_judge(one, FHA_STAYS_NO_POLICY, NEEDS_ALL);
		else if (policy->count > 0 && count <= policy->count)
			retention_judge(one, FHA_STAYS_IN_COUNT, NEEDS_ALL);
		else if (policy->window_s > 0 && !is_reached)
			retention_judge(one, is_before ? FHA_STAYS_FOR_WINDOW : FHA_STAYS_IN_WINDOW, NEEDS_ALL);
		else
			retention_judge(one, FHA_GOES_OLD, NEEDS_NOTHING);
		is_reached = is_reached || is_before;
	}
}

/* Of those that are not usable. */
static void
retention_judge_others(FhaRetention *plan)
{
	for (size_t i = 0; i < plan->count; i++)
	{
		RetentionBackup *one = &plan->backups[i];

		switch (one->backup->state)
		{
			case FHA_BACKUP_USABLE:
				break;
			case FHA_BACKUP_RUNNING:
				retention_judge(one, FHA_STAYS_RUNNING,
								one->backup->is_positioned ? NEEDS_ALL : NEEDS_UNKNOWN);
				break;
			case FHA_BACKUP_WAITING:
				retention_judge(one, FHA_STAYS_WAITING, NEEDS_ALL);
				break;
			case FHA_BACKUP_HALF:
				retention_judge(one, FHA_GOES_HALF, NEEDS_NOTHING);
				break;
			case FHA_BACKUP_DAMAGED:
				retention_judge(one, FHA_GOES_DAMAGED, NEEDS_NOTHING);
				if (one->backup->info.is_snapshot)
					retention_judge(one, FHA_STAYS_SNAPSHOT, NEEDS_ALL);
				break;
			case FHA_BACKUP_FOREIGN:
				retention_judge(one, FHA_STAYS_FOREIGN, NEEDS_UNKNOWN);
				break;
		}
	}
}

static void
retention_obey_keeps(FhaRetention *plan)
{
	for (size_t i = 0; i < plan->count; i++)
	{
		RetentionBackup *one = &plan->backups[i];

		if (one->backup->keep == FHA_KEEP_NOT || !fha_retention_goes(one->verdict.reason))
			continue;
		/* A half one has no end, and what it would need is nothing that it can use. */
		retention_judge(one, FHA_STAYS_KEPT,
						one->backup->state == FHA_BACKUP_HALF      ? NEEDS_NOTHING
						: one->backup->keep == FHA_KEEP_STANDALONE ? NEEDS_OWN
																   : NEEDS_ALL);
	}
}

/* The oldest moment from which on all WAL is needed. */
static void
retention_find_oldest(FhaRetention *plan)
{
	plan->oldest_us = INT64_MAX;
	for (size_t i = 0; i < plan->count; i++)
		if (plan->backups[i].need == NEEDS_ALL &&
			plan->backups[i].backup->info.begin_time_us < plan->oldest_us)
			plan->oldest_us = plan->backups[i].backup->info.begin_time_us;
}

/* A damaged backup may be all that a person has of its time: it goes when what is kept is newer. */
static void
retention_spare_damaged(FhaRetention *plan)
{
	for (size_t i = 0; i < plan->count; i++)
	{
		RetentionBackup *one = &plan->backups[i];

		if (one->verdict.reason == FHA_GOES_DAMAGED &&
			(plan->oldest_us == INT64_MAX || one->backup->info.end_time_us >= plan->oldest_us))
			retention_judge(one, FHA_STAYS_DAMAGED, NEEDS_NOTHING);
	}
}

static RetentionBackup *
retention_find(FhaRetention *plan, const char *id)
{
	for (size_t i = 0; i < plan->count; i++)
		if (strcmp(plan->backups[i].backup->id, id) == 0)
			return &plan->backups[i];
	return NULL;
}

/* From the newest on: a parent is older than what stands on it. */
static void
retention_spare_parents(FhaRetention *plan)
{
	for (size_t i = plan->count; i > 0; i--)
	{
		const RetentionBackup *one = &plan->backups[i - 1];
		RetentionBackup *parent = one->backup->has_info && one->backup->info.parent_id[0] != '\0'
									  ? retention_find(plan, one->backup->info.parent_id)
									  : NULL;

		if (parent == NULL || parent >= one || fha_retention_goes(one->verdict.reason) ||
			!fha_retention_goes(parent->verdict.reason))
			continue;
		retention_judge(parent, FHA_STAYS_PARENT, NEEDS_OWN);
		parent->verdict.because = one->backup;
	}
}

/* Beside a backup of which is not known what it needs, everything stays. */
static void
retention_block(FhaRetention *plan)
{
	for (size_t i = 0; i < plan->count; i++)
	{
		const RetentionBackup *one = &plan->backups[i];

		if (one->backup->state == FHA_BACKUP_FOREIGN)
			plan->blocker = one->backup;
		else if (one->need == NEEDS_UNKNOWN)
			plan->unknown = one->backup;
	}
	for (size_t i = 0; i < plan->count && plan->blocker != NULL; i++)
		if (fha_retention_goes(plan->backups[i].verdict.reason))
		{
			plan->backups[i].verdict.reason = FHA_STAYS_FOREIGN;
			plan->backups[i].verdict.because = plan->blocker;
		}
}

/* --- the keys of those that go */

/* In which order the objects of a backup are deleted; -1: such an object is not. */
static int
retention_turn(FhaObjectKind kind)
{
	switch (kind)
	{
		case FHA_OBJECT_DATA:
		case FHA_OBJECT_TABLESPACE:
			return 0;
		case FHA_OBJECT_MANIFEST:
		case FHA_OBJECT_KEEP:
			return 1;
		case FHA_OBJECT_BACKUP_INFO:
			return 2;
		case FHA_OBJECT_IN_BACKUP:
		case FHA_OBJECT_OTHER:
		case FHA_OBJECT_WAL:
			break;
	}
	return -1;
}

static bool
retention_list_keys(FhaRetention *plan)
{
	size_t room = 0;

	for (size_t i = 0; i < plan->count; i++)
		room += plan->backups[i].backup->object_count;
	plan->keys = malloc((room + 1) * sizeof(*plan->keys));
	if (plan->keys == NULL)
		return false; /* LCOV_EXCL_LINE: no memory */
	for (size_t i = 0; i < plan->count; i++)
	{
		const FhaBackup *backup = plan->backups[i].backup;

		if (!fha_retention_goes(plan->backups[i].verdict.reason))
			continue;
		for (int turn = 0; turn <= 2; turn++)
			for (size_t j = 0; j < backup->object_count; j++)
				if (retention_turn(backup->objects[j].name.kind) == turn)
					plan->keys[plan->key_count++] = backup->objects[j].key;
	}
	return true;
}

FhaRetention *
fha_retention_plan(const FhaCatalogue *catalogue, const FhaRetentionPolicy *policy, int64_t now_s)
{
	FhaRetention *plan = calloc(1, sizeof(*plan));
	bool is_made;

	if (plan == NULL)
		return NULL; /* LCOV_EXCL_LINE: no memory */
	plan->catalogue = catalogue;
	plan->count = fha_catalogue_count(catalogue);
	plan->backups = calloc(plan->count + 1, sizeof(*plan->backups));
	is_made = plan->backups != NULL;
	if (is_made)
	{
		for (size_t i = 0; i < plan->count; i++)
			plan->backups[i].backup = fha_catalogue_backup(catalogue, i);
		retention_apply_policy(plan, policy, now_s);
		retention_judge_others(plan);
		retention_obey_keeps(plan);
		retention_find_oldest(plan);
		retention_spare_damaged(plan);
		retention_spare_parents(plan);
		retention_block(plan);
		is_made = retention_list_keys(plan);
	}
	if (is_made)
		return plan;
	fha_retention_free(plan); /* LCOV_EXCL_LINE: no memory */
	return NULL;              /* LCOV_EXCL_LINE: no memory */
}

void
fha_retention_free(FhaRetention *plan)
{
	if (plan == NULL)
		return;
	free(plan->backups);
	free((void *) plan->keys);
	free(plan);
}

FhaRetentionVerdict
fha_retention_backup(const FhaRetention *plan, size_t index)
{
	return plan->backups[index].verdict;
}

size_t
fha_retention_key_count(const FhaRetention *plan)
{
	return plan->key_count;
}

const char *
fha_retention_key(const FhaRetention *plan, size_t index)
{
	return plan->keys[index];
}

/* --- WAL */

/* Can recovery with that backup want the segment? */
static bool
retention_needs(const FhaRetention *plan, const RetentionBackup *one, uint32_t timeline,
				uint64_t number)
{
	const FhaBackup *backup = one->backup;
	FhaKinship kinship;

	if (one->need == NEEDS_NOTHING || number < backup->first ||
		(one->need == NEEDS_OWN && number > backup->last))
		return false;
	kinship =
		fha_catalogue_kinship(plan->catalogue, backup->info.timeline, backup->first, timeline);
	/* A timeline comes of one with a smaller number. */
	return kinship == FHA_KIN_SAME || kinship == FHA_KIN_DESCENDANT ||
		   (kinship == FHA_KIN_UNKNOWN && timeline > backup->info.timeline);
}

/* Is the segment on the way to that backup's begin?  What a timeline has behind the place where it was left is not. */
static bool
retention_is_before(const FhaRetention *plan, const RetentionBackup *one, uint32_t timeline,
					uint64_t number)
{
	FhaKinship kinship;

	if (one->need != NEEDS_ALL)
		return false;
	kinship = fha_catalogue_kinship(plan->catalogue, timeline, number, one->backup->info.timeline);
	return kinship == FHA_KIN_DESCENDANT ||
		   (kinship == FHA_KIN_SAME && number < one->backup->first);
}

static FhaRetentionVerdict
retention_segment(const FhaRetention *plan, uint32_t timeline, uint64_t number, int64_t modified_s)
{
	const RetentionBackup *before = NULL;

	for (size_t i = 0; i < plan->count; i++)
	{
		const RetentionBackup *one = &plan->backups[i];

		if (retention_needs(plan, one, timeline, number))
			return (FhaRetentionVerdict){FHA_STAYS_NEEDED, one->backup};
		if (before == NULL && retention_is_before(plan, one, timeline, number))
			before = one;
	}
	if (before != NULL)
		return (FhaRetentionVerdict){FHA_GOES_BEFORE, before->backup};
	/* A clock of the store may differ from that of the server. */
	if (plan->oldest_us != INT64_MAX && modified_s > 0 &&
		modified_s < plan->oldest_us / SECOND_US - DAY_S)
		return (FhaRetentionVerdict){FHA_GOES_BRANCH, NULL};
	return (FhaRetentionVerdict){FHA_STAYS_UNSURE, NULL};
}

/* The backup that is kept and begins there; NULL: there is none. */
static const FhaBackup *
retention_labelled(const FhaRetention *plan, uint32_t timeline, uint64_t number)
{
	for (size_t i = 0; i < plan->count; i++)
	{
		const FhaBackup *backup = plan->backups[i].backup;

		if (!fha_retention_goes(plan->backups[i].verdict.reason) && backup->is_positioned &&
			backup->info.timeline == timeline && backup->first == number)
			return backup;
	}
	return NULL;
}

FhaRetentionVerdict
fha_retention_wal(const FhaRetention *plan, const char *key, int64_t modified_s)
{
	FhaObjectName name = fha_layout_parse(fha_catalogue_server(plan->catalogue), key);
	const FhaBackup *labelled;
	uint64_t within = UINT64_C(0x100000000) / fha_catalogue_segment_size(plan->catalogue);
	uint64_t number = name.wal.log * within + name.wal.segment;

	if (name.kind != FHA_OBJECT_WAL || name.wal.segment >= within)
		return (FhaRetentionVerdict){FHA_STAYS_OTHER, NULL};
	if (name.wal.kind == FHA_WAL_HISTORY)
		return (FhaRetentionVerdict){FHA_STAYS_HISTORY, NULL};
	if (plan->blocker != NULL)
		return (FhaRetentionVerdict){FHA_STAYS_FOREIGN, plan->blocker};
	if (plan->unknown != NULL)
		return (FhaRetentionVerdict){FHA_STAYS_RUNNING, plan->unknown};
	labelled =
		name.wal.kind == FHA_WAL_LABEL ? retention_labelled(plan, name.wal.timeline, number) : NULL;
	if (labelled != NULL)
		return (FhaRetentionVerdict){FHA_STAYS_LABEL, labelled};
	return retention_segment(plan, name.wal.timeline, number, modified_s);
}
