/*
 * postgres_wal.c: where does the WAL of a stopped server end?
 *
 * pg_waldump is the reader, so that every version understands its own records.
 * It is run twice: once quietly over everything, which is fast and says in its
 * error where the last good record begins, and once for that record alone, whose
 * length gives the end.
 */
#include "cli/postgres.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "cli/process.h"
#include "core/observe.h"
#include "node/follow.h"
#include "node/state.h"

/* Sizes of the headers of a WAL page: unchanged since PostgreSQL 9.3. */
#define PAGE_HEADER 24
#define SEGMENT_HEADER 40

/* PostgreSQL's XLogRecordMaxSize is a little less. */
#define RECORD_MOST (1024ul * 1024 * 1024)

#define LABEL_MAX 4096            /* bytes of backup_label */
#define HISTORY_MAX (1024 * 1024) /* bytes of a timeline's history; a line has about 60 */
/* No timeline leaves another there: what 1.1 wrote for a timeline that a promotion skips. */
#define RESERVED_FORK UINT64_C(0xFFFFFFFF00000000)

/* Of a line that pg_waldump prints, all that matters stands at its beginning. */
#define DUMP_LINE_SIZE 512

typedef struct WalReader
{
	const char *bindir;
	char directory[FHA_PATH_SIZE + 16]; /* pg_wal */
	uint32_t timeline;
	uint64_t segment_size;
	uint64_t page_size;
	int64_t deadline_at_ms;
} WalReader;

/* What one run of pg_waldump said. */
typedef struct WalDump
{
	int status;
	char errors[1024];
	char line[DUMP_LINE_SIZE];       /* the last whole line of a record */
	char unfinished[DUMP_LINE_SIZE]; /* the line that is coming in */
	size_t unfinished_size;
	size_t error_size;
} WalDump;

static void
take_lines(void *argument, const char *bytes, size_t size)
{
	WalDump *dump = argument;

	for (size_t i = 0; i < size; i++)
	{
		if (bytes[i] != '\n')
		{
			if (dump->unfinished_size < sizeof(dump->unfinished) - 1)
				dump->unfinished[dump->unfinished_size++] = bytes[i];
			continue;
		}
		dump->unfinished[dump->unfinished_size] = '\0';
		if (strncmp(dump->unfinished, "rmgr: ", 6) == 0)
			memcpy(dump->line, dump->unfinished, dump->unfinished_size + 1);
		dump->unfinished_size = 0;
	}
}

/* The end of what it complained about. */
static void
take_errors(void *argument, const char *bytes, size_t size)
{
	WalDump *dump = argument;
	size_t room = sizeof(dump->errors) - 1;

	if (size > room)
	{
		bytes += size - room;
		size = room;
	}
	if (dump->error_size + size > room)
	{
		size_t drop = dump->error_size + size - room;

		memmove(dump->errors, dump->errors + drop, dump->error_size - drop);
		dump->error_size -= drop;
	}
	memcpy(dump->errors + dump->error_size, bytes, size);
	dump->error_size += size;
	dump->errors[dump->error_size] = '\0';
}

/*
 * Both segments are named: left to itself, pg_waldump asks any file of the directory for the
 * segment size, and one that was made in advance is still all zeros.
 */
static FhaCode
run_waldump(const WalReader *reader, uint64_t start, uint64_t limit, bool quiet, WalDump *dump,
			FhaError *err)
{
	char program[FHA_PATH_SIZE + 16];
	char from[24];
	char to[24];
	char first[FHA_WAL_NAME_SIZE];
	char last[FHA_WAL_NAME_SIZE];
	const char *argv[] = {program, "-p", reader->directory,   "-s", from, "-e", to,
						  first,   last, quiet ? "-q" : NULL, NULL};
	ProcessOutput out = {take_lines, dump};
	ProcessOutput errors = {take_errors, dump};

	memset(dump, 0, sizeof(*dump));
	(void) snprintf(program, sizeof(program), "%s/pg_waldump", reader->bindir);
	fha_segment_name(reader->timeline, start, reader->segment_size, first);
	fha_segment_name(reader->timeline, limit - 1, reader->segment_size, last);
	(void) snprintf(from, sizeof(from), "%" PRIX64 "/%" PRIX64, start >> 32, start & 0xFFFFFFFF);
	(void) snprintf(to, sizeof(to), "%" PRIX64 "/%" PRIX64, limit >> 32, limit & 0xFFFFFFFF);
	return process_stream(argv, reader->deadline_at_ms, out, errors, &dump->status, err);
}

/*
 * The segments of our timeline that lie one after the other: moves *start to the
 * first one if its own is missing (it is then on the timeline before), and sets
 * *limit to the end of the last one.  pg_waldump would wait 5 s for a missing file.
 */
static FhaCode
find_limit(const WalReader *reader, uint64_t *start, uint64_t *limit, FhaError *err)
{
	/* Of the byte before it: an end at a segment's end is followed by no file at all. */
	uint64_t wanted = (*start == 0 ? 0 : *start - 1) / reader->segment_size;
	uint64_t first = UINT64_MAX;
	uint64_t last;
	const struct dirent *entry;
	uint64_t *numbers = NULL;
	size_t count = 0;
	size_t room = 0;
	DIR *directory = opendir(reader->directory);
	bool grown = true;

	if (directory == NULL)
		return fha_error_errno(err, FHA_IO, "could not open \"%.120s\"", reader->directory);
	while ((entry = readdir(directory)) != NULL)
	{
		uint32_t timeline;
		uint64_t number;

		if (!fha_segment_parse(entry->d_name, reader->segment_size, &timeline, &number) ||
			timeline != reader->timeline || number < wanted)
			continue;
		if (count == room)
		{
			uint64_t *bigger;

			room = room == 0 ? 256 : room * 2;
			bigger = realloc(numbers, room * sizeof(*numbers));
			if (bigger == NULL)
			{
				free(numbers);
				(void) closedir(directory);
				return fha_error(err, FHA_NO_MEMORY, "out of memory");
			}
			numbers = bigger;
		}
		numbers[count++] = number;
		if (number < first)
			first = number;
	}
	(void) closedir(directory);
	if (count == 0)
	{
		free(numbers);
		return fha_error(err, FHA_NOT_FOUND,
						 "there is no WAL of timeline %" PRIu32 " from %" PRIX64 "/%" PRIX64 " on",
						 reader->timeline, *start >> 32, *start & 0xFFFFFFFF);
	}
	last = first;
	while (grown)
	{
		grown = false;
		for (size_t i = 0; i < count; i++)
			if (numbers[i] == last + 1)
			{
				last = numbers[i];
				grown = true;
			}
	}
	free(numbers);
	if (first != wanted)
		*start = first * reader->segment_size;
	*limit = (last + 1) * reader->segment_size;
	return FHA_OK;
}

/* A segment that was made and not yet written is all zeros; a page begins with its magic. */
static bool
is_begun(const WalReader *reader, uint64_t position)
{
	char name[FHA_WAL_NAME_SIZE];
	char path[FHA_PATH_SIZE + 64];
	uint16_t magic = 0;
	FILE *file;

	fha_segment_name(reader->timeline, position, reader->segment_size, name);
	(void) snprintf(path, sizeof(path), "%s/%s", reader->directory, name);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fread(&magic, sizeof(magic), 1, file) != 1)
		magic = 0;
	(void) fclose(file);
	return magic != 0;
}

static bool
parse_position(const char *text, uint64_t *out)
{
	unsigned high;
	unsigned low;

	if (sscanf(text, "%8X/%8X", &high, &low) != 2)
		return false;
	*out = (uint64_t) high << 32 | low;
	return true;
}

/* Where a record of `length` bytes that begins at `position` ends, page headers counted. */
static uint64_t
record_end(const WalReader *reader, uint64_t position, uint64_t length)
{
	for (;;)
	{
		uint64_t page_end = (position / reader->page_size + 1) * reader->page_size;
		uint64_t room = page_end - position;

		if (length <= room)
			return position + ((length + 7) & ~UINT64_C(7));
		length -= room;
		position = page_end + (page_end % reader->segment_size == 0 ? SEGMENT_HEADER : PAGE_HEADER);
	}
}

/* The end of the record that a line describes. */
static bool
end_of_line(const WalReader *reader, const char *line, uint64_t *begin, uint64_t *end)
{
	const char *length_text = strstr(line, "len (rec/tot):");
	const char *lsn_text = strstr(line, ", lsn: ");
	unsigned long record;
	unsigned long total;

	if (length_text == NULL || lsn_text == NULL ||
		sscanf(length_text, "len (rec/tot): %lu/ %lu", &record, &total) != 2 ||
		total > RECORD_MOST || !parse_position(lsn_text + strlen(", lsn: "), begin))
		return false;
	*end = record_end(reader, *begin, total);
	/* A switch record claims the rest of its segment. */
	if (strncmp(line, "rmgr: XLOG ", 11) == 0 && strstr(line, ", desc: SWITCH") != NULL)
		*end = (*end + reader->segment_size - 1) / reader->segment_size * reader->segment_size;
	return true;
}

/* A position behind a page's header is the page's start: no record lies between. */
static uint64_t
without_header(const WalReader *reader, uint64_t position)
{
	uint64_t header =
		position % reader->segment_size == SEGMENT_HEADER ? SEGMENT_HEADER : PAGE_HEADER;

	return position % reader->page_size == header ? position - header : position;
}

/* The position that xlogreader ends most of its sentences with: "... at 0/1234560: ...". */
static bool
complained_at(const char *errors, uint64_t *out)
{
	const char *at = strstr(errors, "error in WAL record at ");
	bool found = false;

	if (at == NULL)
		return false;
	at = strstr(at, ": ");
	while (at != NULL && (at = strstr(at, " at ")) != NULL)
	{
		at += strlen(" at ");
		found = parse_position(at, out) || found;
	}
	return found;
}

static FhaCode
last_error(const WalDump *dump, FhaError *err)
{
	size_t length = strlen(dump->errors);
	const char *text = length > 180 ? dump->errors + length - 180 : dump->errors;

	return fha_error(err, FHA_IO, "pg_waldump: %.*s", (int) strcspn(text, "\n"), text);
}

/*
 * The last record from `start` on: *end is OK, or NOT_FOUND when no record begins
 * at or behind start.
 */
static FhaCode
last_record(const WalReader *reader, uint64_t start, uint64_t limit, uint64_t *begin, uint64_t *end,
			WalDump *dump, FhaError *err)
{
	FhaCode code = run_waldump(reader, start, limit, false, dump, err);

	if (code != FHA_OK)
		return code;
	if (!WIFEXITED(dump->status))
		return fha_error(err, FHA_IO, "pg_waldump was killed");
	if (dump->line[0] == '\0' || !end_of_line(reader, dump->line, begin, end))
	{
		if (strstr(dump->errors, "could not find a valid record after") != NULL ||
			dump->errors[0] == '\0')
			return fha_error(err, FHA_NOT_FOUND, "no record from %" PRIX64 "/%" PRIX64 " on",
							 start >> 32, start & 0xFFFFFFFF);
		return last_error(dump, err);
	}
	return FHA_OK;
}

/* Errors of the disk are not the end of the WAL, whatever pg_waldump makes of them. */
static bool
is_disk_error(const char *errors)
{
	return strstr(errors, "could not read") != NULL || strstr(errors, "could not open") != NULL ||
		   strstr(errors, "out of memory") != NULL;
}

/*
 * As last_record, but from wherever a record is found: the end of the WAL itself
 * has none, so look at its page, its segment, and ever more segments before it.
 */
static FhaCode
search_back(const WalReader *reader, uint64_t start, uint64_t limit, uint64_t *begin, uint64_t *end,
			WalDump *dump, FhaError *err)
{
	static const uint64_t segments[] = {0, 1, 2, 8, 64};
	uint64_t before = start == 0 ? 0 : start - 1;
	uint64_t from = before / reader->page_size * reader->page_size;
	FhaCode code;

	for (size_t i = 0; i <= sizeof(segments) / sizeof(segments[0]); i++)
	{
		if (i > 0)
		{
			uint64_t number = before / reader->segment_size;

			if (segments[i - 1] > number)
				break;
			from = (number - segments[i - 1]) * reader->segment_size;
		}
		if (from == 0 || !is_begun(reader, from))
			break;
		code = last_record(reader, from, limit, begin, end, dump, err);
		if (code != FHA_NOT_FOUND)
			return code;
	}
	return fha_error(err, FHA_NOT_FOUND,
					 "found no whole record of timeline %" PRIu32 " near %" PRIX64 "/%" PRIX64,
					 reader->timeline, start >> 32, start & 0xFFFFFFFF);
}

static FhaCode
wal_find_end(const WalReader *reader, uint64_t start, uint64_t *end, FhaError *err)
{
	uint64_t begin = 0;
	uint64_t limit = 0;
	uint64_t where;
	WalDump dump;
	const char *at;
	FhaCode code = find_limit(reader, &start, &limit, err);

	if (code != FHA_OK)
		return code;
	if (!is_begun(reader, start))
		return search_back(reader, start, limit, &begin, end, &dump, err);
	code = run_waldump(reader, start, limit, true, &dump, err);
	if (code != FHA_OK)
		return code;
	if (is_disk_error(dump.errors))
		return last_error(&dump, err);
	at = strstr(dump.errors, "error in WAL record at ");
	if (at != NULL && parse_position(at + strlen("error in WAL record at "), &begin) && begin != 0)
		code = last_record(reader, begin, limit, &begin, end, &dump, err);
	else if (WIFEXITED(dump.status) && WEXITSTATUS(dump.status) == 0)
		code = search_back(reader, limit, limit, &begin, end, &dump, err);
	else
		code = search_back(reader, start, limit, &begin, end, &dump, err);
	if (code != FHA_OK)
		return code;
	if (is_disk_error(dump.errors))
		return last_error(&dump, err);
	if (complained_at(dump.errors, &where) && without_header(reader, where) != *end)
		return fha_error(err, FHA_PROTOCOL,
						 "the last record ends at %" PRIX64 "/%" PRIX64
						 ", but pg_waldump stopped at %" PRIX64 "/%" PRIX64,
						 *end >> 32, *end & 0xFFFFFFFF, where >> 32, where & 0xFFFFFFFF);
	return FHA_OK;
}

FhaCode
postgres_end_of_wal(const char *bindir, const char *data, uint32_t timeline, uint64_t start,
					int64_t deadline_at_ms, uint64_t *end, FhaError *err)
{
	PgControl control;
	WalReader reader;
	FhaCode code = postgres_control(bindir, data, &control, err);

	if (code != FHA_OK)
		return code;
	reader = (WalReader){.bindir = bindir,
						 .timeline = timeline,
						 .segment_size = control.wal_segment_size,
						 .page_size = control.wal_block_size,
						 .deadline_at_ms = deadline_at_ms};
	if ((size_t) snprintf(reader.directory, sizeof(reader.directory), "%s/pg_wal", data) >=
		sizeof(reader.directory))
		return fha_error(err, FHA_INVALID, "the data directory's path is too long");
	return wal_find_end(&reader, start, end, err);
}

/*
 * The newest timeline, `newest` or an older one, that has segments from `start` on; *first: where
 * the first of them begins.  0: none.
 */
static uint32_t
newest_timeline(const char *directory, const PgControl *control, uint32_t newest, uint64_t start,
				uint64_t *first)
{
	uint32_t found = 0;
	const struct dirent *entry;
	DIR *wal = opendir(directory);

	while (wal != NULL && (entry = readdir(wal)) != NULL)
	{
		uint32_t timeline;
		uint64_t number;

		if (!fha_segment_parse(entry->d_name, control->wal_segment_size, &timeline, &number))
			continue;
		if (timeline > newest || timeline < found || number < start / control->wal_segment_size)
			continue;
		if (timeline > found || number * control->wal_segment_size < *first)
			*first = number * control->wal_segment_size;
		found = timeline;
	}
	if (wal != NULL)
		(void) closedir(wal);
	return found;
}

uint64_t
postgres_lacking(const char *data)
{
	char path[FHA_PATH_SIZE + 40];
	char segment[FHA_WAL_NAME_SIZE];
	char *text = NULL;
	unsigned high;
	unsigned low;
	uint64_t start = 0;

	(void) snprintf(path, sizeof(path), "%s/backup_label", data);
	if (fha_file_read(path, LABEL_MAX, &text, NULL) != FHA_OK)
		return 0;
	if (sscanf(text, "START WAL LOCATION: %X/%X (file %24[0-9A-F])", &high, &low, segment) == 3)
	{
		(void) snprintf(path, sizeof(path), "%s/pg_wal/%s", data, segment);
		if (access(path, F_OK) != 0 && errno == ENOENT)
			start = (uint64_t) high << 32 | low;
	}
	free(text);
	return start;
}

static void
add_step(FhaLineageStep out[FHA_LINEAGE_MAX], size_t *count, uint32_t timeline, uint64_t end)
{
	if (*count == FHA_LINEAGE_MAX)
	{
		memmove(out, out + 1, (FHA_LINEAGE_MAX - 1) * sizeof(out[0]));
		(*count)--;
	}
	out[(*count)++] = (FhaLineageStep){.timeline = timeline, .end = end};
}

size_t
postgres_lineage(const char *data, uint32_t timeline, FhaLineageStep out[FHA_LINEAGE_MAX])
{
	char path[FHA_PATH_SIZE + 40];
	char name[FHA_WAL_NAME_SIZE];
	char *text = NULL;
	char *save = NULL;
	size_t count = 0;

	fha_timeline_history_name(timeline, name);
	(void) snprintf(path, sizeof(path), "%s/pg_wal/%s", data, name);
	if (timeline > 1 && fha_file_read(path, HISTORY_MAX, &text, NULL) == FHA_OK)
		for (char *line = strtok_r(text, "\n", &save); line != NULL;
			 line = strtok_r(NULL, "\n", &save))
		{
			unsigned parent;
			unsigned high;
			unsigned low;

			if (sscanf(line, "%u %X/%X", &parent, &high, &low) == 3 && parent < timeline)
				add_step(out, &count, parent, (uint64_t) high << 32 | low);
		}
	free(text);
	/* A placeholder of 1.1 names a parent. */
	if (count > 0 && out[count - 1].end >= RESERVED_FORK)
		count = 0;
	add_step(out, &count, timeline, 0);
	fha_timeline_identities(data, timeline, out, count);
	return count;
}

FhaPosition
postgres_origin(const char *data, uint32_t timeline)
{
	FhaLineageStep steps[FHA_LINEAGE_MAX];
	size_t count = postgres_lineage(data, timeline, steps);

	return fha_lineage_origin(steps, count);
}

FhaCode
postgres_end_of_all_wal(const char *bindir, const char *data, const PgControl *control,
						uint32_t newest, uint64_t start, int64_t deadline_at_ms, FhaPosition *end,
						uint32_t *hollow, FhaError *err)
{
	char directory[FHA_PATH_SIZE + 16];
	uint64_t first = 0;

	*hollow = 0;
	(void) snprintf(directory, sizeof(directory), "%s/pg_wal", data);
	while ((end->timeline = newest_timeline(directory, control, newest, start, &first)) >
		   control->timeline)
	{
		uint64_t fork = postgres_origin(data, end->timeline).lsn;
		FhaCode code =
			postgres_end_of_wal(bindir, data, end->timeline, first > start ? first : start,
								deadline_at_ms, &end->lsn, err);

		if (fork > start && (code == FHA_NOT_FOUND || (code == FHA_OK && end->lsn < fork)))
			*hollow = end->timeline;
		/* A segment that was made, and got no record: look at the timeline before. */
		else if (code != FHA_NOT_FOUND)
			return code;
		newest = end->timeline - 1;
	}
	end->timeline = control->timeline;
	return postgres_end_of_wal(bindir, data, end->timeline, start, deadline_at_ms, &end->lsn, err);
}

FhaCode
postgres_drop_hollow(const char *data, uint32_t hollow, FhaError *err)
{
	char path[FHA_PATH_SIZE + 48];
	const struct dirent *entry;
	FhaCode code = FHA_OK;
	DIR *wal;

	(void) snprintf(path, sizeof(path), "%s/pg_wal", data);
	wal = opendir(path);
	if (wal == NULL)
		return fha_error_errno(err, FHA_IO, "could not open %s", path);
	while (code == FHA_OK && (entry = readdir(wal)) != NULL)
	{
		uint32_t timeline;

		if (!fha_segment_parse(entry->d_name, 0, &timeline, NULL) || timeline < hollow)
			continue;
		(void) snprintf(path, sizeof(path), "%s/pg_wal/%s", data, entry->d_name);
		if (unlink(path) != 0 && errno != ENOENT)
			code = fha_error_errno(err, FHA_IO, "could not remove %s", path);
	}
	(void) closedir(wal);
	return code;
}
