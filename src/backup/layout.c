/*
 * layout.c: what the objects of backups are called.  See layout.h.
 */
#include "backup/layout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/calendar.h"

static const char capitals[] = "0123456789ABCDEF";
static const char digits[] = "0123456789";

/* --- files of the WAL archive */

/* The eight digits at *text, which moves on behind them. */
static bool
layout_hex(const char **text, uint32_t *out)
{
	uint32_t number = 0;

	for (int i = 0; i < 8; i++)
	{
		const char *digit = (*text)[i] == '\0' ? NULL : strchr(capitals, (*text)[i]);

		if (digit == NULL)
			return false;
		number = number << 4 | (uint32_t) (digit - capitals);
	}
	*text += 8;
	*out = number;
	return true;
}

bool
fha_wal_file_parse(const char *name, FhaWalFile *out)
{
	FhaWalFile file = {FHA_WAL_SEGMENT, 0, 0, 0, 0};

	if (!layout_hex(&name, &file.timeline) || file.timeline == 0)
		return false;
	if (strcmp(name, ".history") == 0)
		file.kind = FHA_WAL_HISTORY;
	else if (!layout_hex(&name, &file.log) || !layout_hex(&name, &file.segment))
		return false;
	else if (strcmp(name, ".partial") == 0)
		file.kind = FHA_WAL_PARTIAL;
	else if (name[0] == '.')
	{
		name++;
		if (!layout_hex(&name, &file.offset) || strcmp(name, ".backup") != 0)
			return false;
		file.kind = FHA_WAL_LABEL;
	}
	else if (name[0] != '\0')
		return false;
	*out = file;
	return true;
}

void
fha_wal_file_name(const FhaWalFile *file, char out[FHA_WAL_FILE_SIZE])
{
	int used = snprintf(out, FHA_WAL_FILE_SIZE, "%08" PRIX32, file->timeline);

	if (file->kind != FHA_WAL_HISTORY)
		used += snprintf(out + used, (size_t) (FHA_WAL_FILE_SIZE - used), "%08" PRIX32 "%08" PRIX32,
						 file->log, file->segment);
	if (file->kind == FHA_WAL_LABEL)
		used +=
			snprintf(out + used, (size_t) (FHA_WAL_FILE_SIZE - used), ".%08" PRIX32, file->offset);
	(void) snprintf(out + used, (size_t) (FHA_WAL_FILE_SIZE - used), "%s",
					file->kind == FHA_WAL_HISTORY   ? ".history"
					: file->kind == FHA_WAL_PARTIAL ? ".partial"
					: file->kind == FHA_WAL_LABEL   ? ".backup"
													: "");
}

/* --- building keys */

bool
fha_server_name_is_valid(const char *server)
{
	size_t size = strlen(server);

	if (size == 0 || size >= FHA_SERVER_NAME_SIZE || strcmp(server, ".") == 0 ||
		strcmp(server, "..") == 0)
		return false;
	for (; *server != '\0'; server++)
		if (*server == '/' || (unsigned char) *server < ' ' || *server == 0x7f)
			return false;
	return true;
}

void
fha_layout_base(const char *server, char out[FHA_OBJECT_KEY_SIZE])
{
	(void) snprintf(out, FHA_OBJECT_KEY_SIZE, "%s/base/", server);
}

void
fha_layout_wals(const char *server, char out[FHA_OBJECT_KEY_SIZE])
{
	(void) snprintf(out, FHA_OBJECT_KEY_SIZE, "%s/wals/", server);
}

/* As printf, behind what is there. */
FHA_PRINTF(2, 3)
static void
layout_add(char out[FHA_OBJECT_KEY_SIZE], const char *format, ...)
{
	size_t used = strlen(out);
	va_list args;

	va_start(args, format);
	(void) vsnprintf(out + used, FHA_OBJECT_KEY_SIZE - used, format, args);
	va_end(args);
}

static void
layout_add_archive(const FhaObjectName *name, char out[FHA_OBJECT_KEY_SIZE])
{
	if (name->kind == FHA_OBJECT_DATA)
		layout_add(out, "data");
	else
		layout_add(out, "%" PRIu32, name->oid);
	if (name->part > 0)
		layout_add(out, "_%04u", name->part);
	layout_add(out, ".tar");
}

static void
layout_add_wal(const FhaWalFile *file, char out[FHA_OBJECT_KEY_SIZE])
{
	char text[FHA_WAL_FILE_SIZE];

	fha_wal_file_name(file, text);
	if (file->kind != FHA_WAL_HISTORY)
		layout_add(out, "%.*s/", FHA_WAL_FOLDER_SIZE - 1, text);
	layout_add(out, "%s", text);
}

void
fha_layout_key(const char *server, const FhaObjectName *name, char out[FHA_OBJECT_KEY_SIZE])
{
	if (name->kind == FHA_OBJECT_WAL)
	{
		fha_layout_wals(server, out);
		layout_add_wal(&name->wal, out);
	}
	else
	{
		fha_layout_base(server, out);
		layout_add(out, "%s/", name->backup_id);
		if (name->kind == FHA_OBJECT_BACKUP_INFO)
			layout_add(out, "backup.info");
		else if (name->kind == FHA_OBJECT_KEEP)
			layout_add(out, "annotations/keep");
		else if (name->kind == FHA_OBJECT_MANIFEST)
			layout_add(out, "backup_manifest");
		else
			layout_add_archive(name, out);
	}
	layout_add(out, "%s%s", fha_compression_suffix(name->compression),
			   name->encrypted ? FHA_ENCRYPTED_SUFFIX : "");
}

void
fha_layout_keep_with_slash(const char *server, const char *backup_id, char out[FHA_OBJECT_KEY_SIZE])
{
	(void) snprintf(out, FHA_OBJECT_KEY_SIZE, "/%s/base/%s/annotations/keep", server, backup_id);
}

/* --- parsing keys */

/* Is `name` the next part of *key?  *key moves on behind it and its slashes. */
static bool
layout_step(const char **key, const char *name)
{
	size_t size = strlen(name);

	if (strncmp(*key, name, size) != 0 || (*key)[size] != '/')
		return false;
	*key += size;
	*key += strspn(*key, "/");
	return true;
}

/* The suffixes at the end of `text`, which are cut off. */
static void
layout_cut_suffixes(char *text, FhaObjectName *name)
{
	static const char encrypted[] = FHA_ENCRYPTED_SUFFIX;
	size_t size = strlen(text);

	if (size >= sizeof(encrypted) && strcmp(text + size - (sizeof(encrypted) - 1), encrypted) == 0)
	{
		name->encrypted = true;
		size -= sizeof(encrypted) - 1;
		text[size] = '\0';
	}
	for (int i = FHA_COMPRESSION_NONE + 1; i < FHA_COMPRESSIONS; i++)
	{
		const char *ending = fha_compression_suffix((FhaCompression) i);
		size_t suffix = strlen(ending);

		if (size > suffix && strcmp(text + size - suffix, ending) == 0)
		{
			name->compression = (FhaCompression) i;
			text[size - suffix] = '\0';
			return;
		}
	}
}

/* A decimal number without zeros in front; digits behind *text are left to the caller. */
static bool
layout_number(const char **text, uint32_t *out)
{
	size_t size = strspn(*text, digits);
	uint64_t number = 0;

	if (size == 0 || size > 10 || (*text)[0] == '0')
		return false;
	for (size_t i = 0; i < size; i++)
		number = number * 10 + (uint64_t) ((*text)[i] - '0');
	if (number > UINT32_MAX)
		return false;
	*text += size;
	*out = (uint32_t) number;
	return true;
}

/* "_0001": four digits, and more only if they are needed. */
static bool
layout_part(const char **text, unsigned *out)
{
	size_t size = strspn(*text, digits);
	unsigned number = 0;

	if (size < 4 || size > 5 || (size == 5 && (*text)[0] == '0'))
		return false;
	for (size_t i = 0; i < size; i++)
		number = number * 10 + (unsigned) ((*text)[i] - '0');
	*text += size;
	*out = number;
	return number > 0;
}

/* text: without its suffixes. */
static bool
layout_parse_archive(const char *text, FhaObjectName *name)
{
	if (strncmp(text, "data", 4) == 0)
	{
		name->kind = FHA_OBJECT_DATA;
		text += 4;
	}
	else if (layout_number(&text, &name->oid))
		name->kind = FHA_OBJECT_TABLESPACE;
	else
		return false;
	if (text[0] == '_')
	{
		text++;
		if (!layout_part(&text, &name->part))
			return false;
	}
	return strcmp(text, ".tar") == 0;
}

/* key: behind "base/". */
static FhaObjectName
layout_parse_base(const char *key)
{
	FhaObjectName name = {.kind = FHA_OBJECT_OTHER};
	FhaObjectName found;
	size_t size = strcspn(key, "/");
	char text[FHA_OBJECT_KEY_SIZE];

	if (size != FHA_BACKUP_ID_SIZE - 1 || key[size] != '/')
		return name;
	memcpy(name.backup_id, key, size);
	name.backup_id[size] = '\0';
	if (!fha_backup_id_parse(name.backup_id, NULL))
		return (FhaObjectName){.kind = FHA_OBJECT_OTHER};
	key += size;
	key += strspn(key, "/");
	name.kind = FHA_OBJECT_IN_BACKUP;
	if (strcmp(key, "backup.info") == 0)
		name.kind = FHA_OBJECT_BACKUP_INFO;
	else if (layout_step(&key, "annotations"))
	{
		if (strcmp(key, "keep") == 0)
			name.kind = FHA_OBJECT_KEEP;
	}
	else
	{
		(void) snprintf(text, sizeof(text), "%s", key);
		found = name;
		layout_cut_suffixes(text, &found);
		found.kind = FHA_OBJECT_MANIFEST;
		if (strcmp(text, "backup_manifest") == 0 || layout_parse_archive(text, &found))
			return found;
	}
	return name;
}

/* key: behind "wals/". */
static FhaObjectName
layout_parse_wal(const char *key)
{
	const FhaObjectName other = {.kind = FHA_OBJECT_OTHER};
	FhaObjectName name = {.kind = FHA_OBJECT_WAL};
	size_t folder = strcspn(key, "/");
	const char *file = key + folder + strspn(key + folder, "/");
	char text[FHA_OBJECT_KEY_SIZE];

	if (key[folder] == '\0')
		file = key;
	(void) snprintf(text, sizeof(text), "%s", file);
	layout_cut_suffixes(text, &name);
	if (!fha_wal_file_parse(text, &name.wal))
		return other;
	/* A file in another folder than its own is found by no reader. */
	if (name.wal.kind == FHA_WAL_HISTORY
			? file != key
			: file == key || folder != FHA_WAL_FOLDER_SIZE - 1 || strncmp(key, file, folder) != 0)
		return other;
	return name;
}

FhaObjectName
fha_layout_parse(const char *server, const char *key)
{
	if (strlen(key) < FHA_OBJECT_KEY_SIZE)
	{
		key += strspn(key, "/");
		if (layout_step(&key, server))
		{
			if (layout_step(&key, "base"))
				return layout_parse_base(key);
			if (layout_step(&key, "wals"))
				return layout_parse_wal(key);
		}
	}
	return (FhaObjectName){.kind = FHA_OBJECT_OTHER};
}

/* --- ids of backups */

void
fha_backup_id_print(int64_t started_s, char out[FHA_BACKUP_ID_SIZE])
{
	FhaDate date = fha_date_of(started_s);

	/* What a date has is known to fit; the compiler is told so. */
	(void) snprintf(out, FHA_BACKUP_ID_SIZE, "%04u%02u%02uT%02u%02u%02u",
					(unsigned) date.year % 10000, (unsigned) date.month % 100,
					(unsigned) date.day % 100, (unsigned) date.hour % 100,
					(unsigned) date.minute % 100, (unsigned) date.second % 100);
}

static int
layout_digits(const char *text, int count)
{
	int number = 0;

	for (int i = 0; i < count; i++)
		number = number * 10 + (text[i] - '0');
	return number;
}

bool
fha_backup_id_parse(const char *id, int64_t *started_s)
{
	FhaDate date = {0};

	if (strspn(id, digits) != 8 || id[8] != 'T' || strspn(id + 9, digits) != 6 || id[15] != '\0')
		return false;
	date.year = layout_digits(id, 4);
	date.month = layout_digits(id + 4, 2);
	date.day = layout_digits(id + 6, 2);
	date.hour = layout_digits(id + 9, 2);
	date.minute = layout_digits(id + 11, 2);
	date.second = layout_digits(id + 13, 2);
	if (!fha_date_is_valid(&date))
		return false;
	if (started_s != NULL)
		*started_s = fha_date_seconds(&date);
	return true;
}
