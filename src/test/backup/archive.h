/*
 * archive.h: stores as listings, for tests of the catalogue and of retention.
 *
 * An archive is a list of objects in the order of their keys; a catalogue is made of it as a program would, page by page.
 */
#ifndef TEST_BACKUP_ARCHIVE_H
#define TEST_BACKUP_ARCHIVE_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backup/catalogue.h"
#include "base/lsn.h"

#define SERVER "db-x"
#define SEGMENT ((uint64_t) FHA_DEFAULT_SEGMENT_SIZE)
#define DAY_S INT64_C(86400)
#define NOW_S INT64_C(1796000000) /* 2026-11-30 */

typedef struct Object
{
	char key[200];
	char *data; /* NULL: nobody looks */
	int64_t modified_s;
} Object;

typedef struct Archive
{
	Object *objects;
	size_t count;
	size_t room;
} Archive;

static inline void
archive_put(Archive *archive, const char *key, const char *data, int64_t modified_s)
{
	Object *object;

	if (archive->count == archive->room)
	{
		archive->room = archive->room * 2 + 64;
		archive->objects = realloc(archive->objects, archive->room * sizeof(Object));
		assert_non_null(archive->objects);
	}
	object = &archive->objects[archive->count++];
	(void) snprintf(object->key, sizeof(object->key), "%s", key);
	object->data = data == NULL ? NULL : strdup(data);
	object->modified_s = modified_s;
}

static inline void
archive_remove(Archive *archive, const char *key)
{
	for (size_t i = 0; i < archive->count; i++)
		if (strcmp(archive->objects[i].key, key) == 0)
		{
			free(archive->objects[i].data);
			memmove(&archive->objects[i], &archive->objects[i + 1],
					(archive->count - i - 1) * sizeof(Object));
			archive->count--;
			return;
		}
	fail_msg("%s is not there", key);
}

static inline void
archive_free(Archive *archive)
{
	for (size_t i = 0; i < archive->count; i++)
		free(archive->objects[i].data);
	free(archive->objects);
	*archive = (Archive){0};
}

/* key: behind "db-x/". */
static inline void
archive_add(Archive *archive, const char *key, const char *data)
{
	char whole[200];

	(void) snprintf(whole, sizeof(whole), SERVER "/%s", key);
	archive_put(archive, whole, data, NOW_S);
}

static inline void
archive_segment_at(Archive *archive, uint32_t timeline, uint64_t number, const char *suffix,
				   int64_t modified_s)
{
	char name[FHA_WAL_NAME_SIZE];
	char key[200];

	fha_segment_name(timeline, number * SEGMENT, SEGMENT, name);
	(void) snprintf(key, sizeof(key), SERVER "/wals/%.16s/%s%s", name, name, suffix);
	archive_put(archive, key, NULL, modified_s);
}

static inline void
archive_segments(Archive *archive, uint32_t timeline, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i <= last; i++)
		archive_segment_at(archive, timeline, i, ".gz", NOW_S);
}

/* lines: "1\t0/5000000\treason\n" and so on. */
static inline void
archive_history(Archive *archive, uint32_t timeline, const char *lines)
{
	char key[60];

	(void) snprintf(key, sizeof(key), "wals/%08" PRIX32 ".history.gz", timeline);
	archive_add(archive, key, lines);
}

/* A backup that is done: within the segments first to last, that ended so many days ago. */
static inline FhaBackupInfo
archive_info(uint32_t timeline, uint64_t first, uint64_t last, int64_t days_ago)
{
	FhaBackupInfo info = {.status = FHA_BACKUP_DONE,
						  .segment_size = SEGMENT,
						  .begin_time_us = (NOW_S - days_ago * DAY_S - 3600) * 1000000,
						  .end_time_us = (NOW_S - days_ago * DAY_S) * 1000000};

	fha_backup_info_set_begin(&info, timeline, first * SEGMENT + 0x28);
	fha_backup_info_set_end(&info, last * SEGMENT + 0x138);
	return info;
}

static inline void
archive_put_info(Archive *archive, const char *id, const FhaBackupInfo *info)
{
	FhaError err;
	char key[60];
	char *text;

	assert_int_equal(fha_backup_info_print(info, &text, &err), FHA_OK);
	(void) snprintf(key, sizeof(key), "base/%s/backup.info", id);
	archive_add(archive, key, text);
	free(text);
}

/* With its data; in the order of keys. */
static inline void
archive_backup(Archive *archive, const char *id, const FhaBackupInfo *info)
{
	char key[60];

	archive_put_info(archive, id, info);
	(void) snprintf(key, sizeof(key), "base/%s/data.tar.gz", id);
	archive_add(archive, key, NULL);
}

static inline bool
archive_is_wal(const Object *object)
{
	return fha_layout_parse(SERVER, object->key).kind == FHA_OBJECT_WAL;
}

static inline void
archive_add_to(FhaCatalogue *catalogue, const Archive *archive, bool wal)
{
	FhaError err;

	for (size_t i = 0; i < archive->count; i++)
		if (archive_is_wal(&archive->objects[i]) == wal)
			assert_int_equal(fha_catalogue_add(catalogue, archive->objects[i].key, 100,
											   archive->objects[i].modified_s, &err),
							 FHA_OK);
}

static inline void
archive_put_contents(FhaCatalogue *catalogue, const Object *object)
{
	FhaObjectName name = fha_layout_parse(SERVER, object->key);
	size_t size = object->data == NULL ? 0 : strlen(object->data);
	FhaCode code = FHA_OK;
	FhaError err;

	if (object->data == NULL)
		return;
	if (name.kind == FHA_OBJECT_BACKUP_INFO)
		code = fha_catalogue_put_info(catalogue, name.backup_id, object->data, size, &err);
	else if (name.kind == FHA_OBJECT_KEEP)
		code = fha_catalogue_put_keep(catalogue, name.backup_id, object->data, size, &err);
	else if (name.kind == FHA_OBJECT_WAL && name.wal.kind == FHA_WAL_HISTORY)
		code = fha_catalogue_put_history(catalogue, name.wal.timeline, object->data, size, &err);
	assert_int_equal(code, FHA_OK);
}

static inline FhaCatalogue *
archive_catalogue(const Archive *archive)
{
	FhaCatalogue *catalogue = fha_catalogue_new(SERVER);

	assert_non_null(catalogue);
	archive_add_to(catalogue, archive, false);
	for (size_t i = 0; i < archive->count; i++)
		if (!archive_is_wal(&archive->objects[i]))
			archive_put_contents(catalogue, &archive->objects[i]);
	archive_add_to(catalogue, archive, true);
	for (size_t i = 0; i < archive->count; i++)
		if (archive_is_wal(&archive->objects[i]))
			archive_put_contents(catalogue, &archive->objects[i]);
	fha_catalogue_finish(catalogue, NOW_S);
	return catalogue;
}

#endif
