/*
 * catalogue.c: what there is in a store.  See catalogue.h.
 */
#include "backup/catalogue.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"

/* Segments are counted within 4 GB, as in their names. */
#define COUNTED_WITHIN UINT64_C(0x100000000)

#define SECOND_US INT64_C(1000000)

/* Segments first to last, all of them there. */
typedef struct WalRun
{
	uint64_t first;
	uint64_t last;
	int64_t last_stored_s;
} WalRun;

/* A timeline was left for the next one at `end`. */
typedef struct TimelineStep
{
	uint32_t timeline;
	uint64_t end;
} TimelineStep;

typedef struct Timeline
{
	uint32_t timeline;
	bool is_listed; /* its history file */
	bool has_history;
	TimelineStep *steps; /* its ancestors, oldest first */
	size_t step_count;
	WalRun *runs; /* in order, with a gap between each two */
	size_t run_count;
	size_t run_room;
	uint64_t stored_bytes;
} Timeline;

/* What is kept of a backup besides what others see. */
typedef struct CatalogueBackup
{
	FhaBackup shown;
	size_t object_room;
	bool info_is_read; /* or could not be understood */
	bool ended;
	char trouble[FHA_SENTENCE_SIZE]; /* why its backup.info cannot be understood */
} CatalogueBackup;

struct FhaCatalogue
{
	char server[FHA_SERVER_NAME_SIZE];
	uint64_t segment_size; /* 0: no segment was listed yet */
	size_t other_count;
	CatalogueBackup **backups; /* by id */
	size_t backup_count;
	size_t backup_room;
	Timeline *timelines; /* by number */
	size_t timeline_count;
	size_t timeline_room;
};

static const char *const states[] = {
	[FHA_BACKUP_USABLE] = "usable",   [FHA_BACKUP_RUNNING] = "running",
	[FHA_BACKUP_WAITING] = "waiting", [FHA_BACKUP_HALF] = "half",
	[FHA_BACKUP_DAMAGED] = "damaged", [FHA_BACKUP_FOREIGN] = "foreign",
};

const char *
fha_backup_state_name(FhaBackupState state)
{
	return states[state];
}

/* --- memory */

/* LCOV_EXCL_START: no memory */
static FhaCode
catalogue_no_memory(FhaError *err)
{
	return fha_error(err, FHA_NO_MEMORY, "no memory for the catalogue of backups");
}
/* LCOV_EXCL_STOP */

/* Room for one more element of `size` bytes; NULL: no memory, and *array is as it was. */
static void *
catalogue_grow(void *array, size_t count, size_t *room, size_t size)
{
	size_t more = *room == 0 ? 4 : *room * 2;
	void *grown;

	if (count < *room)
		return array;
	grown = realloc(array, more * size);
	if (grown != NULL)
		*room = more;
	return grown;
}

FhaCatalogue *
fha_catalogue_new(const char *server)
{
	FhaCatalogue *catalogue = calloc(1, sizeof(*catalogue));

	if (catalogue != NULL)
		(void) snprintf(catalogue->server, sizeof(catalogue->server), "%s", server);
	return catalogue;
}

static void
catalogue_free_backup(CatalogueBackup *backup)
{
	for (size_t i = 0; i < backup->shown.object_count; i++)
		free(backup->shown.objects[i].key);
	free(backup->shown.objects);
	fha_backup_info_free(&backup->shown.info);
	free(backup);
}

void
fha_catalogue_free(FhaCatalogue *catalogue)
{
	if (catalogue == NULL)
		return;
	for (size_t i = 0; i < catalogue->backup_count; i++)
		catalogue_free_backup(catalogue->backups[i]);
	for (size_t i = 0; i < catalogue->timeline_count; i++)
	{
		free(catalogue->timelines[i].steps);
		free(catalogue->timelines[i].runs);
	}
	free(catalogue->backups);
	free(catalogue->timelines);
	free(catalogue);
}

/* --- backups */

/* Where the backup of that id is, or would be. */
static size_t
catalogue_place(const FhaCatalogue *catalogue, const char *id)
{
	size_t low = 0;
	size_t high = catalogue->backup_count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (strcmp(catalogue->backups[middle]->shown.id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static CatalogueBackup *
catalogue_find(const FhaCatalogue *catalogue, const char *id)
{
	size_t place = catalogue_place(catalogue, id);

	return place < catalogue->backup_count && strcmp(catalogue->backups[place]->shown.id, id) == 0
			   ? catalogue->backups[place]
			   : NULL;
}

static FhaCode
catalogue_make_backup(FhaCatalogue *catalogue, const char *id, CatalogueBackup **out, FhaError *err)
{
	size_t place = catalogue_place(catalogue, id);
	CatalogueBackup **backups;
	CatalogueBackup *backup;

	*out = catalogue_find(catalogue, id);
	if (*out != NULL)
		return FHA_OK;
	if (catalogue->backup_count == FHA_BACKUPS_MAX)
		return fha_error(err, FHA_PROTOCOL, "there are more than %d base backups of \"%s\"",
						 FHA_BACKUPS_MAX, catalogue->server);
	backups = catalogue_grow(catalogue->backups, catalogue->backup_count, &catalogue->backup_room,
							 sizeof(*backups));
	if (backups == NULL)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	catalogue->backups = backups;
	backup = calloc(1, sizeof(*backup));
	if (backup == NULL)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	(void) snprintf(backup->shown.id, sizeof(backup->shown.id), "%s", id);
	memmove(backups + place + 1, backups + place,
			(catalogue->backup_count - place) * sizeof(*backups));
	backups[place] = backup;
	catalogue->backup_count++;
	*out = backup;
	return FHA_OK;
}

static FhaCode
catalogue_add_object(FhaCatalogue *catalogue, const FhaObjectName *name, const char *key,
					 uint64_t size, int64_t modified_s, FhaError *err)
{
	CatalogueBackup *backup;
	FhaBackupObject *objects;
	FhaCode code = catalogue_make_backup(catalogue, name->backup_id, &backup, err);

	if (code != FHA_OK)
		return code;
	if (backup->shown.object_count == FHA_BACKUP_OBJECTS_MAX)
		return fha_error(err, FHA_PROTOCOL, "base backup %s has more than %d objects",
						 name->backup_id, FHA_BACKUP_OBJECTS_MAX);
	objects = catalogue_grow(backup->shown.objects, backup->shown.object_count,
							 &backup->object_room, sizeof(*objects));
	if (objects == NULL)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	backup->shown.objects = objects;
	objects += backup->shown.object_count;
	*objects = (FhaBackupObject){strdup(key), *name, size, modified_s};
	if (objects->key == NULL)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	backup->shown.object_count++;
	backup->shown.stored_bytes += size;
	if (modified_s > backup->shown.changed_s)
		backup->shown.changed_s = modified_s;
	/* Until its bytes are known. */
	if (name->kind == FHA_OBJECT_KEEP)
		backup->shown.keep = FHA_KEEP_FULL;
	return FHA_OK;
}

static FhaCode
catalogue_not_listed(const char *id, const char *what, FhaError *err)
{
	return fha_error(err, FHA_NOT_FOUND, "no %s of base backup %s was listed", what, id);
}

static bool
catalogue_has(const FhaBackup *backup, FhaObjectKind kind)
{
	for (size_t i = 0; i < backup->object_count; i++)
		if (backup->objects[i].name.kind == kind)
			return true;
	return false;
}

FhaCode
fha_catalogue_put_info(FhaCatalogue *catalogue, const char *id, const char *data, size_t size,
					   FhaError *err)
{
	CatalogueBackup *backup = catalogue_find(catalogue, id);
	FhaBackupInfo info;
	FhaError trouble;
	FhaCode code;

	if (backup == NULL || !catalogue_has(&backup->shown, FHA_OBJECT_BACKUP_INFO))
		return catalogue_not_listed(id, "backup.info", err);
	code = fha_backup_info_parse(data, size, &info, &trouble);
	if (code == FHA_NO_MEMORY)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	backup->info_is_read = true;
	fha_backup_info_free(&backup->shown.info);
	backup->shown.has_info = code == FHA_OK;
	if (code == FHA_OK)
		backup->shown.info = info;
	else
		(void) snprintf(backup->trouble, sizeof(backup->trouble), "%.*s",
						(int) sizeof(backup->trouble) - 1, trouble.text);
	return FHA_OK;
}

FhaCode
fha_catalogue_put_keep(FhaCatalogue *catalogue, const char *id, const char *data, size_t size,
					   FhaError *err)
{
	static const char standalone[] = "standalone";
	CatalogueBackup *backup = catalogue_find(catalogue, id);

	if (backup == NULL || !catalogue_has(&backup->shown, FHA_OBJECT_KEEP))
		return catalogue_not_listed(id, "keep", err);
	while (size > 0 && strchr(" \t\r\n", data[size - 1]) != NULL && data[size - 1] != '\0')
		size--;
	backup->shown.keep = size == sizeof(standalone) - 1 && memcmp(data, standalone, size) == 0
							 ? FHA_KEEP_STANDALONE
							 : FHA_KEEP_FULL;
	return FHA_OK;
}

void
fha_catalogue_put_ended(FhaCatalogue *catalogue, const char *id)
{
	CatalogueBackup *backup = catalogue_find(catalogue, id);

	if (backup != NULL)
		backup->ended = true;
}

/* --- timelines and their WAL */

static size_t
catalogue_timeline_place(const FhaCatalogue *catalogue, uint32_t timeline)
{
	size_t low = 0;
	size_t high = catalogue->timeline_count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (catalogue->timelines[middle].timeline < timeline)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static Timeline *
catalogue_find_timeline(const FhaCatalogue *catalogue, uint32_t timeline)
{
	size_t place = catalogue_timeline_place(catalogue, timeline);

	return place < catalogue->timeline_count && catalogue->timelines[place].timeline == timeline
			   ? &catalogue->timelines[place]
			   : NULL;
}

static FhaCode
catalogue_make_timeline(FhaCatalogue *catalogue, uint32_t timeline, Timeline **out, FhaError *err)
{
	size_t place = catalogue_timeline_place(catalogue, timeline);
	Timeline *timelines;

	*out = catalogue_find_timeline(catalogue, timeline);
	if (*out != NULL)
		return FHA_OK;
	if (catalogue->timeline_count == FHA_TIMELINES_MAX)
		return fha_error(err, FHA_PROTOCOL, "the WAL archive of \"%s\" has more than %d timelines",
						 catalogue->server, FHA_TIMELINES_MAX);
	timelines = catalogue_grow(catalogue->timelines, catalogue->timeline_count,
							   &catalogue->timeline_room, sizeof(*timelines));
	if (timelines == NULL)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	catalogue->timelines = timelines;
	memmove(timelines + place + 1, timelines + place,
			(catalogue->timeline_count - place) * sizeof(*timelines));
	timelines[place] = (Timeline){.timeline = timeline};
	catalogue->timeline_count++;
	*out = &timelines[place];
	return FHA_OK;
}

/* The last run that begins at `number` or before; run_count: there is none. */
static size_t
catalogue_run_before(const Timeline *timeline, uint64_t number)
{
	size_t low = 0;
	size_t high = timeline->run_count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (timeline->runs[middle].first <= number)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? timeline->run_count : low - 1;
}

static FhaCode
catalogue_insert_run(Timeline *timeline, size_t place, uint64_t number, int64_t modified_s,
					 FhaError *err)
{
	WalRun *runs;

	if (timeline->run_count == FHA_WAL_RUNS_MAX)
		return fha_error(err, FHA_PROTOCOL,
						 "the WAL archive has more than %d gaps on timeline %" PRIu32,
						 FHA_WAL_RUNS_MAX, timeline->timeline);
	runs = catalogue_grow(timeline->runs, timeline->run_count, &timeline->run_room, sizeof(*runs));
	if (runs == NULL)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	timeline->runs = runs;
	memmove(runs + place + 1, runs + place, (timeline->run_count - place) * sizeof(*runs));
	runs[place] = (WalRun){number, number, modified_s};
	timeline->run_count++;
	return FHA_OK;
}

/* The run at `place` has grown: does it meet the next? */
static void
catalogue_join_runs(Timeline *timeline, size_t place)
{
	WalRun *run = &timeline->runs[place];

	if (place + 1 == timeline->run_count || run[1].first != run->last + 1)
		return;
	run->last = run[1].last;
	run->last_stored_s = run[1].last_stored_s;
	memmove(run + 1, run + 2, (timeline->run_count - place - 2) * sizeof(*run));
	timeline->run_count--;
}

static FhaCode
catalogue_add_number(Timeline *timeline, uint64_t number, int64_t modified_s, FhaError *err)
{
	size_t place = catalogue_run_before(timeline, number);
	bool is_first = place == timeline->run_count;
	WalRun *run = is_first ? NULL : &timeline->runs[place];

	if (run != NULL && number <= run->last)
		return FHA_OK; /* in two compressions */
	if (run != NULL && number == run->last + 1)
	{
		run->last = number;
		run->last_stored_s = modified_s;
		catalogue_join_runs(timeline, place);
		return FHA_OK;
	}
	place = is_first ? 0 : place + 1;
	if (place < timeline->run_count && timeline->runs[place].first == number + 1)
	{
		timeline->runs[place].first = number;
		return FHA_OK;
	}
	return catalogue_insert_run(timeline, place, number, modified_s, err);
}

/* The size of the newest backup's segments, from the first segment that is listed on. */
static void
catalogue_fix_segment_size(FhaCatalogue *catalogue)
{
	if (catalogue->segment_size != 0)
		return;
	catalogue->segment_size = FHA_DEFAULT_SEGMENT_SIZE;
	for (size_t i = catalogue->backup_count; i > 0; i--)
	{
		const FhaBackup *backup = &catalogue->backups[i - 1]->shown;

		if (backup->has_info && fha_backup_info_check(&backup->info, NULL) == FHA_OK)
		{
			catalogue->segment_size = backup->info.segment_size;
			return;
		}
	}
}

static FhaCode
catalogue_add_wal(FhaCatalogue *catalogue, const FhaWalFile *file, uint64_t size,
				  int64_t modified_s, FhaError *err)
{
	Timeline *timeline;
	uint64_t within;
	FhaCode code;

	catalogue_fix_segment_size(catalogue);
	within = COUNTED_WITHIN / catalogue->segment_size;
	if (file->segment >= within)
	{
		catalogue->other_count++;
		return FHA_OK;
	}
	code = catalogue_make_timeline(catalogue, file->timeline, &timeline, err);
	if (code != FHA_OK)
		return code;
	timeline->stored_bytes += size;
	if (file->kind == FHA_WAL_HISTORY)
		timeline->is_listed = true;
	if (file->kind != FHA_WAL_SEGMENT)
		return FHA_OK;
	return catalogue_add_number(timeline, file->log * within + file->segment, modified_s, err);
}

FhaCode
fha_catalogue_add(FhaCatalogue *catalogue, const char *key, uint64_t size, int64_t modified_s,
				  FhaError *err)
{
	FhaObjectName name = fha_layout_parse(catalogue->server, key);

	if (name.kind == FHA_OBJECT_WAL)
		return catalogue_add_wal(catalogue, &name.wal, size, modified_s, err);
	if (name.kind != FHA_OBJECT_OTHER)
		return catalogue_add_object(catalogue, &name, key, size, modified_s, err);
	catalogue->other_count++;
	return FHA_OK;
}

/* One line of a history file: a number, a position and what else there is; false: it is none. */
static bool
catalogue_history_step(char *line, TimelineStep *out)
{
	char *tab = strchr(line, '\t');
	char *end;
	unsigned long number;

	if (tab == NULL || line[0] < '0' || line[0] > '9')
		return false;
	number = strtoul(line, &end, 10);
	if (end != tab || number == 0 || number > UINT32_MAX)
		return false;
	end = tab + 1 + strcspn(tab + 1, "\t");
	*end = '\0';
	out->timeline = (uint32_t) number;
	return fha_lsn_parse(tab + 1, &out->end);
}

/* text: may be changed.  OK; PROTOCOL: it is no history of that timeline; NO_MEMORY. */
static FhaCode
catalogue_read_history(Timeline *timeline, char *text)
{
	size_t room = 0;

	for (char *next; text != NULL; text = next)
	{
		TimelineStep step;
		TimelineStep *steps;

		next = strchr(text, '\n');
		if (next != NULL)
			*next++ = '\0';
		text += strspn(text, " \t\r");
		if (text[0] == '\0' || text[0] == '#')
			continue;
		if (!catalogue_history_step(text, &step) || step.timeline >= timeline->timeline ||
			timeline->step_count == FHA_TIMELINES_MAX ||
			(timeline->step_count > 0 &&
			 (step.timeline <= timeline->steps[timeline->step_count - 1].timeline ||
			  step.end < timeline->steps[timeline->step_count - 1].end)))
			return FHA_PROTOCOL;
		steps = catalogue_grow(timeline->steps, timeline->step_count, &room, sizeof(*steps));
		if (steps == NULL)
			return FHA_NO_MEMORY; /* LCOV_EXCL_LINE: no memory */
		timeline->steps = steps;
		steps[timeline->step_count++] = step;
	}
	return timeline->step_count > 0 ? FHA_OK : FHA_PROTOCOL;
}

FhaCode
fha_catalogue_put_history(FhaCatalogue *catalogue, uint32_t timeline, const char *data, size_t size,
						  FhaError *err)
{
	Timeline *found = catalogue_find_timeline(catalogue, timeline);
	char *text;
	FhaCode code;

	if (found == NULL || !found->is_listed)
		return fha_error(err, FHA_NOT_FOUND, "no history of timeline %" PRIu32 " was listed",
						 timeline);
	free(found->steps);
	found->steps = NULL;
	found->step_count = 0;
	found->has_history = false;
	if (size > FHA_HISTORY_MAX)
		return FHA_OK;
	text = malloc(size + 1);
	if (text == NULL)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	code = strlen(text) == size ? catalogue_read_history(found, text) : FHA_PROTOCOL;
	free(text);
	if (code == FHA_NO_MEMORY)
		return catalogue_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	found->has_history = code == FHA_OK;
	if (!found->has_history)
		found->step_count = 0;
	return FHA_OK;
}

/* --- which timeline comes of which */

/* Where `timeline` was left on the way to that one; NULL: it is no known ancestor. */
static const TimelineStep *
catalogue_step(const Timeline *descendant, uint32_t timeline)
{
	for (size_t i = 0; i < descendant->step_count; i++)
		if (descendant->steps[i].timeline == timeline)
			return &descendant->steps[i];
	return NULL;
}

/* Is it known what it comes of?  The first timeline comes of none. */
static bool
catalogue_is_known(const Timeline *timeline, uint32_t number)
{
	return number == 1 || (timeline != NULL && timeline->has_history);
}

FhaKinship
fha_catalogue_kinship(const FhaCatalogue *catalogue, uint32_t timeline, uint64_t number,
					  uint32_t other)
{
	const Timeline *later = catalogue_find_timeline(catalogue, timeline > other ? timeline : other);
	const TimelineStep *step;

	if (timeline == other)
		return FHA_KIN_SAME;
	/* A descendant has the larger number. */
	if (!catalogue_is_known(later, timeline > other ? timeline : other))
		return FHA_KIN_UNKNOWN;
	step = later == NULL ? NULL : catalogue_step(later, timeline > other ? other : timeline);
	if (step == NULL)
		return FHA_KIN_OTHER;
	if (timeline > other)
		return FHA_KIN_ANCESTOR;
	return step->end / fha_catalogue_segment_size(catalogue) >= number ? FHA_KIN_DESCENDANT
																	   : FHA_KIN_OTHER;
}

uint32_t
fha_catalogue_latest_timeline(const FhaCatalogue *catalogue, const FhaBackup *backup)
{
	uint32_t own = backup->info.timeline;

	for (size_t i = catalogue->timeline_count; i > 0; i--)
	{
		const Timeline *timeline = &catalogue->timelines[i - 1];
		const TimelineStep *step = catalogue_step(timeline, own);

		/* One that left before the backup's end cannot be reached from it. */
		if (timeline->timeline > own && step != NULL && step->end >= backup->info.end_lsn)
			return timeline->timeline;
	}
	return own;
}

/* --- the way from a backup to a timeline */

/* Of the way: which timeline has the segments from `first` to `last`.  last < first: none. */
typedef struct WayPiece
{
	uint32_t number;
	const Timeline *timeline; /* NULL: nothing of it is there */
	uint64_t first;
	uint64_t last;
} WayPiece;

/*
 * The index-th piece of the way; false: there is none.  The segment in which a timeline was left is the next
 * one's: that has what was written before, too.  The last piece ends with the newest segment.
 */
static bool
catalogue_way(const FhaCatalogue *catalogue, const FhaBackup *backup, const Timeline *target,
			  size_t index, WayPiece *out)
{
	uint64_t segment_size = fha_catalogue_segment_size(catalogue);
	const TimelineStep *own = catalogue_step(target, backup->info.timeline);
	size_t skipped = own == NULL ? target->step_count : (size_t) (own - target->steps);
	size_t piece = skipped + index;

	if (piece > target->step_count)
		return false;
	out->first = index == 0 ? backup->first : target->steps[piece - 1].end / segment_size;
	if (piece < target->step_count)
	{
		out->number = target->steps[piece].timeline;
		out->timeline = catalogue_find_timeline(catalogue, out->number);
		out->last = target->steps[piece].end / segment_size - 1;
		if (target->steps[piece].end < segment_size)
		{
			out->first = 1;
			out->last = 0;
		}
	}
	else
	{
		out->number = target->timeline;
		out->timeline = target;
		out->last = target->run_count == 0 ? 0 : target->runs[target->run_count - 1].last;
		if (target->run_count == 0)
			out->first = 1;
	}
	return true;
}

/* The first segment from `first` to `last` that is missing, and the last one in a row; false: none is. */
static bool
catalogue_missing(const Timeline *timeline, uint64_t first, uint64_t last, uint64_t *from,
				  uint64_t *to)
{
	size_t place;

	if (first > last)
		return false;
	*from = first;
	*to = last;
	if (timeline == NULL)
		return true;
	place = catalogue_run_before(timeline, first);
	if (place < timeline->run_count && timeline->runs[place].last >= first)
		*from = timeline->runs[place].last + 1;
	place = place == timeline->run_count ? 0 : place + 1;
	if (place < timeline->run_count && timeline->runs[place].first <= last)
		*to = timeline->runs[place].first - 1;
	return *from <= last;
}

/* The timeline that is asked for, if recovery gets there from the backup. */
static const Timeline *
catalogue_target(const FhaCatalogue *catalogue, const FhaBackup *backup, uint32_t timeline)
{
	uint32_t own = backup->info.timeline;
	uint32_t wanted = timeline == 0 ? fha_catalogue_latest_timeline(catalogue, backup) : timeline;
	const Timeline *target = catalogue_find_timeline(catalogue, wanted);
	const TimelineStep *step = target == NULL ? NULL : catalogue_step(target, own);

	if (wanted == own || (step != NULL && step->end >= backup->info.end_lsn))
		return target;
	return NULL;
}

static void
catalogue_fill_gap(const FhaCatalogue *catalogue, uint32_t timeline, uint64_t from, uint64_t to,
				   FhaWalGap *out)
{
	uint64_t size = fha_catalogue_segment_size(catalogue);

	fha_segment_name(timeline, from * size, size, out->first);
	fha_segment_name(timeline, to * size, size, out->last);
	out->count = to - from + 1;
	out->next = to + 1;
}

/* The first gap on the way from `number` on, up to the segment `end`. */
static bool
catalogue_gap(const FhaCatalogue *catalogue, const FhaBackup *backup, const Timeline *target,
			  uint64_t number, uint64_t end, FhaWalGap *out)
{
	WayPiece piece;

	for (size_t i = 0; catalogue_way(catalogue, backup, target, i, &piece); i++)
	{
		uint64_t first = piece.first < number ? number : piece.first;
		uint64_t last = piece.last > end ? end : piece.last;
		uint64_t from;
		uint64_t to;

		if (catalogue_missing(piece.timeline, first, last, &from, &to))
		{
			catalogue_fill_gap(catalogue, piece.number, from, to, out);
			return true;
		}
	}
	return false;
}

/* The newest segment on the way; false: there is none. */
static bool
catalogue_newest(const FhaCatalogue *catalogue, const FhaBackup *backup, const Timeline *target,
				 uint64_t *number)
{
	bool found = false;
	WayPiece piece;

	for (size_t i = 0; catalogue_way(catalogue, backup, target, i, &piece); i++)
	{
		size_t run = piece.timeline == NULL || piece.first > piece.last
						 ? 0
						 : catalogue_run_before(piece.timeline, piece.last);

		if (piece.timeline == NULL || piece.first > piece.last ||
			run == piece.timeline->run_count || piece.timeline->runs[run].last < piece.first)
			continue;
		*number = piece.timeline->runs[run].last > piece.last ? piece.last
															  : piece.timeline->runs[run].last;
		found = true;
	}
	return found;
}

bool
fha_catalogue_next_gap(const FhaCatalogue *catalogue, const FhaBackup *backup, uint32_t timeline,
					   uint64_t number, FhaWalGap *out)
{
	const Timeline *target =
		backup->has_info ? catalogue_target(catalogue, backup, timeline) : NULL;
	uint64_t newest;

	return target != NULL && catalogue_newest(catalogue, backup, target, &newest) &&
		   catalogue_gap(catalogue, backup, target, number, newest, out);
}

/* When the last segment of a run was stored; 0: `number` is not the last one of a run. */
static int64_t
catalogue_stored_s(const FhaCatalogue *catalogue, const FhaBackup *backup, const Timeline *target,
				   uint64_t number)
{
	WayPiece piece;

	for (size_t i = 0; catalogue_way(catalogue, backup, target, i, &piece); i++)
	{
		size_t run;

		if (piece.timeline == NULL || number < piece.first || number > piece.last)
			continue;
		run = catalogue_run_before(piece.timeline, number);
		if (run < piece.timeline->run_count && piece.timeline->runs[run].last == number)
			return piece.timeline->runs[run].last_stored_s;
	}
	return 0;
}

bool
fha_catalogue_recovery(const FhaCatalogue *catalogue, const FhaBackup *backup, uint32_t timeline,
					   FhaRecovery *out)
{
	const Timeline *target =
		backup->state == FHA_BACKUP_USABLE ? catalogue_target(catalogue, backup, timeline) : NULL;
	uint64_t size = fha_catalogue_segment_size(catalogue);
	uint64_t newest;
	uint64_t last;

	if (target == NULL || !catalogue_newest(catalogue, backup, target, &newest))
		return false;
	*out = (FhaRecovery){.timeline = target->timeline,
						 .from_lsn = backup->info.end_lsn,
						 .from_us = backup->info.end_time_us};
	out->has_gap = catalogue_gap(catalogue, backup, target, backup->first, newest, &out->gap);
	last = out->has_gap ? out->gap.next - out->gap.count - 1 : newest;
	out->to_lsn = last * size > UINT64_MAX - size ? UINT64_MAX : (last + 1) * size;
	out->to_s = catalogue_stored_s(catalogue, backup, target, last);
	/* A timeline that lacks what the backup itself needs. */
	return last >= backup->last;
}

/* --- states */

static void catalogue_judge(FhaBackup *backup, FhaBackupState state, const char *format, ...)
	FHA_PRINTF(3, 4);

static void
catalogue_judge(FhaBackup *backup, FhaBackupState state, const char *format, ...)
{
	va_list args;

	backup->state = state;
	va_start(args, format);
	(void) vsnprintf(backup->why, sizeof(backup->why), format, args);
	va_end(args);
}

/* The parts of one archive; 0: there is none, or one in between is missing. */
static unsigned
catalogue_parts(const FhaBackup *backup, FhaObjectKind kind, uint32_t oid)
{
	unsigned count = 0;
	unsigned highest = 0;

	for (size_t i = 0; i < backup->object_count; i++)
	{
		const FhaObjectName *name = &backup->objects[i].name;

		if (name->kind != kind || name->oid != oid)
			continue;
		count++;
		if (name->part > highest)
			highest = name->part;
	}
	/* In two compressions there are more than needed, and which is whole is not known. */
	return count > highest ? count : 0;
}

static bool
catalogue_has_archives(FhaBackup *backup)
{
	if (catalogue_parts(backup, FHA_OBJECT_DATA, 0) == 0)
	{
		catalogue_judge(backup, FHA_BACKUP_DAMAGED,
						"the archive of its data directory is missing, or a part of it");
		return false;
	}
	for (size_t i = 0; i < backup->info.tablespace_count; i++)
		if (catalogue_parts(backup, FHA_OBJECT_TABLESPACE, backup->info.tablespaces[i].oid) == 0)
		{
			catalogue_judge(backup, FHA_BACKUP_DAMAGED,
							"the archive of tablespace %" PRIu32 " is missing, or a part of it",
							backup->info.tablespaces[i].oid);
			return false;
		}
	return true;
}

/* Is the WAL there without which it is of no use? */
static void
catalogue_judge_wal(const FhaCatalogue *catalogue, FhaBackup *backup, int64_t now_s)
{
	const Timeline *own = catalogue_find_timeline(catalogue, backup->info.timeline);
	const Timeline *latest = catalogue_target(catalogue, backup, 0);
	const Timeline *ways[2] = {latest, own};
	uint64_t newest = 0;
	bool is_there = false;
	FhaWalGap gap = {0};

	for (size_t i = 0; i < 2; i++)
	{
		uint64_t reached;

		if (ways[i] == NULL || !catalogue_newest(catalogue, backup, ways[i], &reached))
			continue;
		is_there = true;
		if (reached > newest)
			newest = reached;
		if (reached >= backup->last &&
			!catalogue_gap(catalogue, backup, ways[i], backup->first, backup->last, &gap))
		{
			backup->state = FHA_BACKUP_USABLE;
			return;
		}
	}
	if (is_there && newest > backup->last && gap.count > 0)
		catalogue_judge(backup, FHA_BACKUP_DAMAGED,
						"WAL is missing in the archive that it needs, from %s to %s", gap.first,
						gap.last);
	else if (now_s - backup->info.end_time_us / SECOND_US > FHA_BACKUP_ABANDONED_S)
		catalogue_judge(backup, FHA_BACKUP_DAMAGED,
						"the WAL from %s to %s, which it needs, was not archived within %d days",
						backup->info.begin_wal, backup->info.end_wal,
						(int) (FHA_BACKUP_ABANDONED_S / 86400));
	else
		catalogue_judge(backup, FHA_BACKUP_WAITING,
						"the WAL from %s to %s, which it needs, is not archived yet",
						backup->info.begin_wal, backup->info.end_wal);
}

/* Of a backup that says that it is complete. */
static void
catalogue_judge_done(const FhaCatalogue *catalogue, FhaBackup *backup, int64_t now_s)
{
	uint32_t timeline;
	FhaError err;

	if (fha_backup_info_check(&backup->info, &err) != FHA_OK)
		catalogue_judge(backup, FHA_BACKUP_FOREIGN, "its backup.info is of no use: %.150s",
						err.text);
	else if (backup->info.segment_size != fha_catalogue_segment_size(catalogue))
		catalogue_judge(backup, FHA_BACKUP_FOREIGN,
						"its WAL has segments of another size than that of newer backups");
	else
	{
		(void) fha_segment_parse(backup->info.begin_wal, backup->info.segment_size, &timeline,
								 &backup->first);
		(void) fha_segment_parse(backup->info.end_wal, backup->info.segment_size, &timeline,
								 &backup->last);
		backup->is_positioned = true;
		if (backup->info.is_snapshot)
			catalogue_judge(backup, FHA_BACKUP_DAMAGED,
							"it is a snapshot of disks, which is not in this store");
		else if (catalogue_has_archives(backup))
			catalogue_judge_wal(catalogue, backup, now_s);
	}
}

/* Of a backup whose end was not told. */
static void
catalogue_judge_unfinished(CatalogueBackup *backup, int64_t now_s)
{
	FhaBackup *shown = &backup->shown;
	uint32_t timeline;

	if (backup->ended)
		catalogue_judge(shown, FHA_BACKUP_HALF, "it was interrupted");
	else if (shown->changed_s > 0 && now_s - shown->changed_s > FHA_BACKUP_ABANDONED_S)
		catalogue_judge(shown, FHA_BACKUP_HALF,
						"it did not end, and nothing of it changed for %d days",
						(int) (FHA_BACKUP_ABANDONED_S / 86400));
	else
		catalogue_judge(shown, FHA_BACKUP_RUNNING, "%s",
						shown->has_info
							? "it is not said to have ended"
							: "it has no backup.info, which some tools write at the end");
	if (shown->state == FHA_BACKUP_RUNNING && shown->has_info && shown->info.segment_size > 0 &&
		fha_segment_parse(shown->info.begin_wal, shown->info.segment_size, &timeline,
						  &shown->first))
	{
		shown->last = shown->first;
		shown->is_positioned = true;
	}
}

static void
catalogue_judge_one(const FhaCatalogue *catalogue, CatalogueBackup *backup, int64_t now_s)
{
	FhaBackup *shown = &backup->shown;

	shown->why[0] = '\0';
	shown->is_positioned = false;
	shown->first = 0;
	shown->last = 0;
	if (!shown->has_info && backup->info_is_read)
		catalogue_judge(shown, FHA_BACKUP_FOREIGN, "%.190s", backup->trouble);
	else if (!shown->has_info && catalogue_has(shown, FHA_OBJECT_BACKUP_INFO))
		catalogue_judge(shown, FHA_BACKUP_FOREIGN, "its backup.info was not read");
	else if (!shown->has_info)
		catalogue_judge_unfinished(backup, now_s);
	else
		switch (shown->info.status)
		{
			case FHA_BACKUP_DONE:
			case FHA_BACKUP_WAITING_FOR_WALS:
				catalogue_judge_done(catalogue, shown, now_s);
				break;
			case FHA_BACKUP_FAILED:
				catalogue_judge(shown, FHA_BACKUP_HALF, "it failed: %.180s",
								shown->info.error[0] == '\0' ? "no reason was told"
															 : shown->info.error);
				break;
			case FHA_BACKUP_OTHER:
				catalogue_judge(shown, FHA_BACKUP_FOREIGN, "its status is not known here");
				break;
			case FHA_BACKUP_EMPTY:
			case FHA_BACKUP_STARTED:
			case FHA_BACKUP_SYNCING:
				catalogue_judge_unfinished(backup, now_s);
				break;
		}
}

/* An incremental backup is of no use without all that it stands on.  Parents are older, so they were judged before. */
static void
catalogue_judge_parent(const FhaCatalogue *catalogue, FhaBackup *backup)
{
	const CatalogueBackup *parent;

	if (backup->info.parent_id[0] == '\0' ||
		(backup->state != FHA_BACKUP_USABLE && backup->state != FHA_BACKUP_WAITING))
		return;
	parent = strcmp(backup->info.parent_id, backup->id) < 0
				 ? catalogue_find(catalogue, backup->info.parent_id)
				 : NULL;
	if (parent == NULL ||
		(parent->shown.state != FHA_BACKUP_USABLE && parent->shown.state != FHA_BACKUP_WAITING))
		catalogue_judge(backup, FHA_BACKUP_DAMAGED,
						"it stands on base backup %s, which is not there or of no use",
						backup->info.parent_id);
}

void
fha_catalogue_finish(FhaCatalogue *catalogue, int64_t now_s)
{
	catalogue_fix_segment_size(catalogue);
	for (size_t i = 0; i < catalogue->backup_count; i++)
	{
		catalogue_judge_one(catalogue, catalogue->backups[i], now_s);
		catalogue_judge_parent(catalogue, &catalogue->backups[i]->shown);
	}
}

/* --- what there is */

const char *
fha_catalogue_server(const FhaCatalogue *catalogue)
{
	return catalogue->server;
}

size_t
fha_catalogue_count(const FhaCatalogue *catalogue)
{
	return catalogue->backup_count;
}

const FhaBackup *
fha_catalogue_backup(const FhaCatalogue *catalogue, size_t index)
{
	return &catalogue->backups[index]->shown;
}

const FhaBackup *
fha_catalogue_find(const FhaCatalogue *catalogue, const char *id)
{
	const CatalogueBackup *backup = catalogue_find(catalogue, id);

	return backup == NULL ? NULL : &backup->shown;
}

uint64_t
fha_catalogue_segment_size(const FhaCatalogue *catalogue)
{
	return catalogue->segment_size == 0 ? FHA_DEFAULT_SEGMENT_SIZE : catalogue->segment_size;
}

size_t
fha_catalogue_timeline_count(const FhaCatalogue *catalogue)
{
	return catalogue->timeline_count;
}

FhaArchivedTimeline
fha_catalogue_timeline(const FhaCatalogue *catalogue, size_t index)
{
	const Timeline *timeline = &catalogue->timelines[index];
	uint64_t size = fha_catalogue_segment_size(catalogue);
	FhaArchivedTimeline out = {.timeline = timeline->timeline,
							   .has_history = timeline->has_history,
							   .stored_bytes = timeline->stored_bytes};

	for (size_t i = 0; i < timeline->run_count; i++)
		out.segment_count += timeline->runs[i].last - timeline->runs[i].first + 1;
	if (timeline->run_count > 0)
	{
		const WalRun *last = &timeline->runs[timeline->run_count - 1];

		fha_segment_name(timeline->timeline, timeline->runs[0].first * size, size, out.first);
		fha_segment_name(timeline->timeline, last->last * size, size, out.last);
		out.last_stored_s = last->last_stored_s;
	}
	return out;
}

size_t
fha_catalogue_other_count(const FhaCatalogue *catalogue)
{
	return catalogue->other_count;
}
