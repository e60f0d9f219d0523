/*
 * follow.c: the files by which PostgreSQL is made to follow, or to choose a timeline.
 */
#include "node/follow.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/lsn.h"
#include "config/conninfo.h"
#include "config/state_directory.h"

/*
 * It names no parent: a startup process that finds it between the reservation and the promotion does
 * not go over to it ("is not a child of"), so it never becomes the parent of a timeline.  Those of
 * 1.1 end in the same words, and name a parent.
 */
#define RESERVED "fawkes_ha: reserved, never promoted\n"
#define PLACEHOLDER "# " RESERVED
#define PLACEHOLDER_MAX 128 /* bytes; a real history that is as short ends in other words */
/* In a timeline's history; its number and its identity follow. */
#define IDENTITY "# fawkes_ha: timeline "
#define IDENTITY_SIZE 80
#define HISTORY_MAX (1024 * 1024) /* bytes; a line has about 60 */
/* More terms than any node misses; each costs a small file. */
#define RESERVED_MAX 10000
#define MARK_MAX 32 /* bytes */

void
fha_slot_name(const char *member, char *out, size_t size)
{
	(void) snprintf(out, size, "fawkes_ha_%s", member);
	for (char *c = out; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
}

FhaCode
fha_follow_write(const FhaConfig *config, const FhaState *state, const char *leader_address,
				 bool *changed, FhaError *err)
{
	char application[FHA_NAME_SIZE + FHA_ID_SIZE];
	char slot[FHA_SLOT_NAME_SIZE];
	char conninfo[FHA_CONNINFO_SIZE];
	char text[2 * FHA_CONNINFO_SIZE];
	char path[FHA_PATH_SIZE];
	char *before = NULL;
	size_t used;
	FhaCode code;

	*changed = false;
	(void) snprintf(application, sizeof(application), "%s_%s", config->member_name,
					state->data_incarnation);
	fha_slot_name(config->member_name, slot, sizeof(slot));
	code = fha_conninfo(config, leader_address, application, conninfo, sizeof(conninfo), err);
	if (code == FHA_OK)
		code = fha_state_path(config, "follow.conf", path, sizeof(path), err);
	if (code != FHA_OK)
		return code;
	used = (size_t) snprintf(text, sizeof(text),
							 "# Written by fawkes_ha whenever the leader changes.\n"
							 "recovery_target_timeline = 'latest'\n"
							 "primary_slot_name = '%s'\nprimary_conninfo = '",
							 slot);
	if (!fha_append_quoted(text, sizeof(text), &used, conninfo, "'\\", '\0') ||
		!fha_append_quoted(text, sizeof(text), &used, "'\n", "", '\0'))
		/* LCOV_EXCL_START: the text has room for the longest */
		return fha_error(err, FHA_INVALID, "the connection string to %s is too long",
						 leader_address);
	/* LCOV_EXCL_STOP */
	if (fha_file_read(path, sizeof(text), &before, NULL) == FHA_OK && strcmp(before, text) == 0)
	{
		free(before);
		return FHA_OK;
	}
	free(before);
	*changed = true;
	return fha_file_replace(path, text, strlen(text), err);
}

static const char commands_off[] = "restore_command = ''\narchive_cleanup_command = ''\n";
static const char end_command_off[] = "recovery_end_command = ''\n";

FhaCode
fha_follow_commands(const FhaConfig *config, FhaCommands wanted, bool *changed, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char text[2 * FHA_CONNINFO_SIZE + sizeof(commands_off) + sizeof(end_command_off)];
	char *content = NULL;
	const char *before;
	const char *off;
	size_t length;
	FhaCode code = fha_state_path(config, "follow.conf", path, sizeof(path), err);

	*changed = false;
	if (code == FHA_OK)
		code = fha_file_read(path, sizeof(text), &content, err);
	if (code != FHA_OK && code != FHA_NOT_FOUND)
		return code;
	before = content == NULL ? "" : content;
	code = FHA_OK;
	if (wanted == FHA_COMMANDS_OFF && strstr(before, end_command_off) != NULL)
		wanted = FHA_COMMANDS_ALL_OFF;
	/* Ours is the end of the file. */
	off = strstr(before, commands_off);
	length = off == NULL ? strlen(before) : (size_t) (off - before);
	if ((size_t) snprintf(text, sizeof(text), "%.*s%s%s", (int) length, before,
						  wanted == FHA_COMMANDS_KEPT ? "" : commands_off,
						  wanted == FHA_COMMANDS_ALL_OFF ? end_command_off : "") >= sizeof(text))
		/* LCOV_EXCL_START: fha_follow_write leaves room */
		code = fha_error(err, FHA_INVALID, "\"%.150s\" is too long", path);
	/* LCOV_EXCL_STOP */
	else if (strcmp(text, before) != 0)
	{
		*changed = true;
		code = fha_file_replace(path, text, strlen(text), err);
	}
	free(content);
	return code;
}

static void
history_path(const char *data_directory, uint32_t timeline, char *out, size_t size)
{
	char name[FHA_WAL_NAME_SIZE];

	fha_timeline_history_name(timeline, name);
	(void) snprintf(out, size, "%s/pg_wal/%s", data_directory, name);
}

FhaCode
fha_timeline_reserve(const char *data_directory, uint32_t current, uint32_t wanted, FhaError *err)
{
	char path[FHA_PATH_SIZE + 40];

	if (wanted > current && wanted - current > RESERVED_MAX)
		return fha_error(err, FHA_INVALID,
						 "timeline %u is too far from this node's %u: the lock's record is damaged",
						 wanted, current);
	for (uint32_t timeline = current; timeline + 1 < wanted;)
	{
		FhaCode code;

		timeline++;

		history_path(data_directory, timeline, path, sizeof(path));
		if (access(path, F_OK) == 0)
			continue;
		code = fha_file_replace(path, PLACEHOLDER, strlen(PLACEHOLDER), err);
		if (code != FHA_OK)
			return code;
	}
	return FHA_OK;
}

/* NOT_FOUND for a real history, and for none. */
static FhaCode
find_placeholder(const char *path, FhaError *err)
{
	char *text;
	FhaCode code = fha_file_read(path, PLACEHOLDER_MAX, &text, err);
	size_t length;

	if (code != FHA_OK)
		return code == FHA_INVALID ? FHA_NOT_FOUND : code;
	length = strlen(text);
	if (length < strlen(RESERVED) || strcmp(text + length - strlen(RESERVED), RESERVED) != 0)
		code = FHA_NOT_FOUND;
	free(text);
	return code;
}

/* Texts of the lock come into a file that PostgreSQL reads: nothing but what a take makes. */
static bool
is_identity(const char *id)
{
	return strlen(id) == FHA_ID_SIZE - 1 && strspn(id, "0123456789abcdef") == FHA_ID_SIZE - 1;
}

/* Does this line name the identity of a timeline? */
static bool
parse_identity(const char *line, uint32_t *timeline, char id[FHA_ID_SIZE])
{
	unsigned number;
	int length = 0;

	if (sscanf(line, IDENTITY "%10u is %16[0-9a-f]%n", &number, id, &length) != 2 ||
		!is_identity(id) || (line[length] != '\0' && line[length] != '\n'))
		return false;
	*timeline = number;
	return true;
}

/* What others have said of that timeline goes: their promotion did not come to its end. */
static size_t
without_identity_of(char *text, uint32_t timeline)
{
	char id[FHA_ID_SIZE];
	uint32_t named;
	size_t used = 0;

	for (size_t at = 0; text[at] != '\0';)
	{
		size_t length = strcspn(text + at, "\n");

		length += text[at + length] == '\n' ? 1 : 0;
		if (!parse_identity(text + at, &named, id) || named != timeline)
		{
			memmove(text + used, text + at, length);
			used += length;
		}
		at += length;
	}
	return used;
}

/* The history at that path, which there is, or which may be made, says so for that timeline. */
static FhaCode
identify_in(const char *path, bool may_make, uint32_t timeline, const char *id, FhaError *err)
{
	char *before = NULL;
	char *text;
	size_t used;
	FhaCode code = fha_file_read(path, HISTORY_MAX, &before, err);

	if (code == FHA_NOT_FOUND && (!may_make || !is_identity(id)))
		return FHA_OK;
	if (code != FHA_OK && code != FHA_NOT_FOUND)
		return code;
	text = malloc((before == NULL ? 0 : strlen(before)) + IDENTITY_SIZE);
	if (text == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		free(before);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
		/* LCOV_EXCL_STOP */
	}
	text[0] = '\0';
	if (before != NULL)
		memcpy(text, before, strlen(before) + 1);
	used = without_identity_of(text, timeline);
	if (is_identity(id))
		used += (size_t) snprintf(text + used, IDENTITY_SIZE, "%s" IDENTITY "%u is %s\n",
								  used > 0 && text[used - 1] != '\n' ? "\n" : "",
								  (unsigned) timeline, id);
	code = before != NULL && strlen(before) == used && memcmp(before, text, used) == 0
			   ? FHA_OK
			   : fha_file_replace(path, text, used, err);
	free(before);
	free(text);
	return code;
}

FhaCode
fha_timeline_identify(const char *data_directory, uint32_t current, uint32_t timeline,
					  const char *id, FhaError *err)
{
	char path[FHA_PATH_SIZE + 40];
	FhaCode code;

	history_path(data_directory, current, path, sizeof(path));
	/* Only the first timeline has none: any other's is still to be received, and ours would hide it. */
	code = identify_in(path, current == 1, timeline, id, err);
	for (uint32_t later = current;
		 code == FHA_OK && later + 1 < timeline && later - current < RESERVED_MAX;)
	{
		later++;
		history_path(data_directory, later, path, sizeof(path));
		code = find_placeholder(path, err);
		if (code == FHA_NOT_FOUND)
			code = identify_in(path, false, timeline, id, err);
	}
	return code;
}

void
fha_timeline_identities(const char *data_directory, uint32_t timeline, FhaLineageStep *steps,
						size_t count)
{
	char path[FHA_PATH_SIZE + 40];
	char *text = NULL;

	history_path(data_directory, timeline, path, sizeof(path));
	if (fha_file_read(path, HISTORY_MAX, &text, NULL) != FHA_OK)
		return;
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
	{
		char id[FHA_ID_SIZE];
		uint32_t named;

		if (parse_identity(line, &named, id))
			for (size_t i = 0; i < count; i++)
				if (steps[i].timeline == named)
					memcpy(steps[i].id, id, sizeof(steps[i].id));
		if (line[strcspn(line, "\n")] == '\0')
			break;
	}
	free(text);
}

/* This one and those right before it, if it is the last of a row. */
static FhaCode
drop_row(const char *data_directory, uint32_t last, FhaError *err)
{
	char path[FHA_PATH_SIZE + 40];

	history_path(data_directory, last + 1, path, sizeof(path));
	if (access(path, F_OK) == 0 || errno != ENOENT)
		return FHA_OK;
	for (uint32_t timeline = last; timeline > 1; timeline--)
	{
		FhaCode code;

		history_path(data_directory, timeline, path, sizeof(path));
		code = find_placeholder(path, err);
		if (code == FHA_OK)
			code = fha_file_remove(path, err);
		if (code != FHA_OK)
			return code == FHA_NOT_FOUND ? FHA_OK : code;
	}
	return FHA_OK;
}

FhaCode
fha_timeline_drop_placeholders(const char *data_directory, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	DIR *directory;
	struct dirent *entry;
	FhaCode code = FHA_OK;

	(void) snprintf(path, sizeof(path), "%s/pg_wal", data_directory);
	directory = opendir(path);
	if (directory == NULL)
		return fha_error_errno(err, FHA_IO, "could not open %s", path);
	while (code == FHA_OK && (entry = readdir(directory)) != NULL)
	{
		uint32_t timeline;

		if (fha_timeline_history_parse(entry->d_name, &timeline))
			code = drop_row(data_directory, timeline, err);
	}
	(void) closedir(directory);
	return code;
}

FhaCode
fha_timeline_unreserve(const char *data_directory, uint32_t current, FhaError *err)
{
	char path[FHA_PATH_SIZE + 40];
	DIR *directory;
	struct dirent *entry;
	FhaCode code;

	(void) snprintf(path, sizeof(path), "%s/pg_wal", data_directory);
	directory = opendir(path);
	if (directory == NULL)
		return fha_error_errno(err, FHA_IO, "could not open %s", path);
	while ((entry = readdir(directory)) != NULL)
	{
		uint32_t timeline;

		if (!fha_timeline_history_parse(entry->d_name, &timeline))
			continue;
		history_path(data_directory, timeline, path, sizeof(path));
		if (timeline > current && unlink(path) != 0 && errno != ENOENT)
		{
			/* LCOV_EXCL_START: the kernel refuses */
			code = fha_error_errno(err, FHA_IO, "could not remove %s", path);
			(void) closedir(directory);
			return code;
			/* LCOV_EXCL_STOP */
		}
	}
	/* For good: the mark that says whose they were is removed next. */
	code = fsync(dirfd(directory)) == 0
			   ? FHA_OK
			   : fha_error_errno(err, FHA_IO, "could not flush %s/pg_wal", data_directory);
	(void) closedir(directory);
	return code;
}

FhaCode
fha_promotion_mark(const FhaConfig *config, uint32_t leaving, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char text[16];
	FhaCode code = fha_state_path(config, "promoting", path, sizeof(path), err);

	(void) snprintf(text, sizeof(text), "%u\n", (unsigned) leaving);
	return code == FHA_OK ? fha_file_replace(path, text, strlen(text), err) : code;
}

FhaCode
fha_promotion_unmark(const FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	FhaCode code = fha_state_path(config, "promoting", path, sizeof(path), err);

	return code == FHA_OK ? fha_file_remove(path, err) : code;
}

FhaCode
fha_promotion_read(const FhaConfig *config, uint32_t *leaving, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	unsigned timeline = 0;
	FhaCode code = fha_state_path(config, "promoting", path, sizeof(path), err);

	*leaving = 0;
	if (code == FHA_OK)
		code = fha_file_read(path, MARK_MAX, &text, err);
	if (code == FHA_OK && (sscanf(text, "%u", &timeline) != 1 || timeline == 0))
		code = fha_error(err, FHA_INVALID, "%.180s names no timeline: it is not heeded", path);
	free(text);
	if (code == FHA_OK)
		*leaving = timeline;
	return code;
}
