/*
 * backup_info.c: backup.info.  See backup_info.h.
 */
#include "backup/backup_info.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lsn.h"
#include "base/tame.h"
#include "core/calendar.h"

#define OURS "# fawkes_ha."
#define SECOND_US INT64_C(1000000)
#define ERROR_TEXT_MAX 60 /* bytes of a value that an error shows */

static const char blanks[] = " \t\r\n\v\f";
static const char digits[] = "0123456789";

static const char *const statuses[] = {
	[FHA_BACKUP_EMPTY] = "EMPTY",
	[FHA_BACKUP_STARTED] = "STARTED",
	[FHA_BACKUP_WAITING_FOR_WALS] = "WAITING_FOR_WALS",
	[FHA_BACKUP_DONE] = "DONE",
	[FHA_BACKUP_SYNCING] = "SYNCING",
	[FHA_BACKUP_FAILED] = "FAILED",
	[FHA_BACKUP_OTHER] = "",
};

const char *
fha_backup_status_name(FhaBackupStatus status)
{
	return statuses[status];
}

/* --- times */

/* Exactly `count` digits at *text, which moves on. */
static bool
info_digits(const char **text, int count, int *out)
{
	*out = 0;
	for (int i = 0; i < count; i++, (*text)++)
	{
		if (**text < '0' || **text > '9')
			return false;
		*out = *out * 10 + (**text - '0');
	}
	return true;
}

static bool
info_char(const char **text, const char *any)
{
	if (**text == '\0' || strchr(any, **text) == NULL)
		return false;
	(*text)++;
	return true;
}

/* ".123456", or nothing; what is finer than a microsecond is cut. */
static bool
info_fraction(const char **text, int64_t *us)
{
	int64_t unit = SECOND_US;

	*us = 0;
	if (!info_char(text, ".,"))
		return true;
	if (strspn(*text, digits) == 0)
		return false;
	for (; **text >= '0' && **text <= '9'; (*text)++)
	{
		unit /= 10;
		*us += (**text - '0') * unit;
	}
	return true;
}

/* "+01:00", "+0100", "+01", "Z", or nothing. */
static bool
info_offset(const char **text, int64_t *seconds)
{
	int hours;
	int minutes = 0;
	bool west;

	*seconds = 0;
	if (**text == '\0' || info_char(text, "Z"))
		return true;
	west = **text == '-';
	if (!info_char(text, "+-") || !info_digits(text, 2, &hours))
		return false;
	if (**text != '\0')
	{
		(void) info_char(text, ":");
		if (!info_digits(text, 2, &minutes))
			return false;
	}
	*seconds = (hours * 60 + minutes) * 60;
	if (west)
		*seconds = -*seconds;
	return hours <= 24 && minutes <= 59;
}

bool
fha_backup_time_parse(const char *text, int64_t *us)
{
	FhaDate date = {0};
	int64_t fraction_us = 0;
	int64_t offset_s;

	if (!info_digits(&text, 4, &date.year) || !info_char(&text, "-") ||
		!info_digits(&text, 2, &date.month) || !info_char(&text, "-") ||
		!info_digits(&text, 2, &date.day) || !info_char(&text, " T") ||
		!info_digits(&text, 2, &date.hour) || !info_char(&text, ":") ||
		!info_digits(&text, 2, &date.minute))
		return false;
	if (info_char(&text, ":") &&
		(!info_digits(&text, 2, &date.second) || !info_fraction(&text, &fraction_us)))
		return false;
	text += strspn(text, " ");
	if (!info_offset(&text, &offset_s) || *text != '\0' || !fha_date_is_valid(&date))
		return false;
	*us = (fha_date_seconds(&date) - offset_s) * SECOND_US + fraction_us;
	return true;
}

void
fha_backup_time_print(int64_t us, char out[FHA_BACKUP_TIME_SIZE])
{
	int64_t seconds = us / SECOND_US - (us % SECOND_US < 0 ? 1 : 0);
	unsigned fraction = (unsigned) (us - seconds * SECOND_US);
	FhaDate date = fha_date_of(seconds);
	int used;

	/* What a date has is known to fit; the compiler is told so. */
	used = snprintf(out, FHA_BACKUP_TIME_SIZE, "%04u-%02u-%02u %02u:%02u:%02u",
					(unsigned) date.year % 10000, (unsigned) date.month % 100,
					(unsigned) date.day % 100, (unsigned) date.hour % 100,
					(unsigned) date.minute % 100, (unsigned) date.second % 100);
	if (fraction > 0)
		used += snprintf(out + used, (size_t) (FHA_BACKUP_TIME_SIZE - used), ".%06u",
						 fraction % (unsigned) SECOND_US);
	(void) snprintf(out + used, (size_t) (FHA_BACKUP_TIME_SIZE - used), "+00:00");
}

/* LCOV_EXCL_START: no memory */
static FhaCode
info_no_memory(FhaError *err)
{
	return fha_error(err, FHA_NO_MEMORY, "no memory for backup.info");
}
/* LCOV_EXCL_STOP */

/* --- which key is which field */

typedef enum InfoType
{
	INFO_TEXT, /* an array; what is too long is an error */
	INFO_CUT,  /* the same, cut */
	INFO_INT,  /* int64_t, not negative */
	INFO_U64,
	INFO_U32,
	INFO_SEGMENT_SIZE,
	INFO_TIME,
	INFO_LSN,
	INFO_STATUS,
	INFO_LABEL,
	INFO_TABLESPACES,
	INFO_SNAPSHOT,
	INFO_BEGIN_OFFSET, /* follows from the position */
	INFO_END_OFFSET,
	INFO_NONE, /* is written as None, because barman's own files have it */
	INFO_SKIP  /* is not written */
} InfoType;

typedef struct InfoKey
{
	const char *key;
	InfoType type;
	size_t at;
	size_t size;
} InfoKey;

#define FIELD(name) offsetof(FhaBackupInfo, name), sizeof(((FhaBackupInfo *) NULL)->name)

/* In the order in which they are written. */
static const InfoKey keys[] = {
	{"backup_label", INFO_LABEL, FIELD(backup_label)},
	{"backup_name", INFO_TEXT, FIELD(backup_name)},
	{"begin_offset", INFO_BEGIN_OFFSET, FIELD(begin_lsn)},
	{"begin_time", INFO_TIME, FIELD(begin_time_us)},
	{"begin_wal", INFO_TEXT, FIELD(begin_wal)},
	{"begin_xlog", INFO_LSN, FIELD(begin_lsn)},
	{"compression", INFO_NONE, 0, 0},
	{"config_file", INFO_TEXT, FIELD(config_file)},
	{"copy_stats", INFO_NONE, 0, 0},
	{"deduplicated_size", INFO_NONE, 0, 0},
	{"end_offset", INFO_END_OFFSET, FIELD(end_lsn)},
	{"end_time", INFO_TIME, FIELD(end_time_us)},
	{"end_wal", INFO_TEXT, FIELD(end_wal)},
	{"end_xlog", INFO_LSN, FIELD(end_lsn)},
	{"error", INFO_CUT, FIELD(error)},
	{"hba_file", INFO_TEXT, FIELD(hba_file)},
	{"ident_file", INFO_TEXT, FIELD(ident_file)},
	{"included_files", INFO_NONE, 0, 0},
	{"mode", INFO_TEXT, FIELD(mode)},
	{"parent_backup_id", INFO_SKIP, FIELD(parent_id)},
	{"pgdata", INFO_TEXT, FIELD(pgdata)},
	{"server_name", INFO_TEXT, FIELD(server_name)},
	{"size", INFO_INT, FIELD(size)},
	{"snapshots_info", INFO_SNAPSHOT, FIELD(is_snapshot)},
	{"status", INFO_STATUS, FIELD(status)},
	{"systemid", INFO_U64, FIELD(systemid)},
	{"tablespaces", INFO_TABLESPACES, FIELD(tablespaces)},
	{"timeline", INFO_U32, FIELD(timeline)},
	{"version", INFO_INT, FIELD(version)},
	{"xlog_segment_size", INFO_SEGMENT_SIZE, FIELD(segment_size)},
};

/* In comments. */
static const InfoKey our_keys[] = {
	{"key_id", INFO_TEXT, FIELD(key_id)},
	{"member", INFO_TEXT, FIELD(member)},
	{"parent_backup_id", INFO_TEXT, FIELD(parent_id)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const InfoKey *
info_find(const InfoKey *from, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(from[i].key, key) == 0)
			return &from[i];
	return NULL;
}

/* --- reading Python's literals */

/* A code point as UTF-8; false: there is none of that number, or it is a NUL. */
static bool
info_put_character(uint32_t character, char **out)
{
	unsigned char *to = (unsigned char *) *out;

	if (character == 0 || character > 0x10FFFF || (character >= 0xD800 && character <= 0xDFFF))
		return false;
	if (character < 0x80)
		*to++ = (unsigned char) character;
	else if (character < 0x800)
	{
		*to++ = (unsigned char) (0xC0 | character >> 6);
		*to++ = (unsigned char) (0x80 | (character & 0x3F));
	}
	else
	{
		if (character < 0x10000)
			*to++ = (unsigned char) (0xE0 | character >> 12);
		else
		{
			*to++ = (unsigned char) (0xF0 | character >> 18);
			*to++ = (unsigned char) (0x80 | (character >> 12 & 0x3F));
		}
		*to++ = (unsigned char) (0x80 | (character >> 6 & 0x3F));
		*to++ = (unsigned char) (0x80 | (character & 0x3F));
	}
	*out = (char *) to;
	return true;
}

/* Behind the backslash: each takes at least as many bytes as it puts. */
static bool
info_escape(const char **text, char **out)
{
	static const char simple[] = "nrtabfv\\'\"";
	static const char meant[] = "\n\r\t\a\b\f\v\\'\"";
	const char *found = **text == '\0' ? NULL : strchr(simple, **text);
	int count = **text == 'x' ? 2 : **text == 'u' ? 4 : **text == 'U' ? 8 : 0;
	uint32_t character = 0;

	if (found != NULL)
	{
		*(*out)++ = meant[found - simple];
		(*text)++;
		return true;
	}
	if (count == 0)
		return false;
	for ((*text)++; count > 0; count--, (*text)++)
	{
		static const char hex[] = "0123456789abcdefABCDEF";
		const char *digit = **text == '\0' ? NULL : strchr(hex, **text);

		if (digit == NULL)
			return false;
		character = character << 4 | (uint32_t) (digit - hex >= 16 ? digit - hex - 6 : digit - hex);
	}
	return info_put_character(character, out);
}

/* A string at *text, into `out`, which has as much room as the text has bytes. */
static bool
info_string(const char **text, char *out)
{
	char quote = **text;

	if (!info_char(text, "'\""))
		return false;
	while (**text != quote)
	{
		if (**text == '\0')
			return false;
		if (**text != '\\')
			*out++ = *(*text)++;
		else
		{
			(*text)++;
			if (!info_escape(text, &out))
				return false;
		}
	}
	(*text)++;
	*out = '\0';
	return true;
}

static bool
info_number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t number = 0;
	size_t size = strspn(text, digits);

	if (size == 0 || size > 20 || text[size] != '\0')
		return false;
	for (; *text != '\0'; text++)
	{
		uint64_t digit = (uint64_t) (*text - '0');

		if (number > (max - digit) / 10)
			return false;
		number = number * 10 + digit;
	}
	*out = number;
	return true;
}

static void
info_skip_blanks(const char **text)
{
	*text += strspn(*text, blanks);
}

/* A string for a field of `size` bytes.  scratch: as much room as the text has. */
static bool
info_string_into(const char **text, char *scratch, char *out, size_t size)
{
	info_skip_blanks(text);
	if (!info_string(text, scratch) || strlen(scratch) >= size)
		return false;
	memcpy(out, scratch, strlen(scratch) + 1);
	info_skip_blanks(text);
	return true;
}

/* ('name', 16411, '/path'); the number may be quoted. */
static bool
info_tablespace(const char **text, char *scratch, FhaTablespace *out)
{
	char closing = **text == '(' ? ')' : ']';
	char oid[11] = "";
	uint64_t number;
	size_t size;

	*out = (FhaTablespace){0};
	if (!info_char(text, "([") || !info_string_into(text, scratch, out->name, sizeof(out->name)) ||
		!info_char(text, ","))
		return false;
	info_skip_blanks(text);
	size = strspn(*text, digits);
	if (size > 0 && size < sizeof(oid))
	{
		memcpy(oid, *text, size);
		*text += size;
		info_skip_blanks(text);
	}
	else if (!info_string_into(text, scratch, oid, sizeof(oid)))
		return false;
	if (!info_number(oid, UINT32_MAX, &number) || !info_char(text, ",") ||
		!info_string_into(text, scratch, out->location, sizeof(out->location)))
		return false;
	out->oid = (uint32_t) number;
	/* Python's tuples may end with a comma. */
	(void) info_char(text, ",");
	info_skip_blanks(text);
	if (**text != closing)
		return false;
	(*text)++;
	info_skip_blanks(text);
	return number > 0;
}

static FhaCode
info_tablespaces(const char *text, char *scratch, FhaBackupInfo *out)
{
	FhaTablespace one;

	free(out->tablespaces);
	out->tablespaces = NULL;
	out->tablespace_count = 0;
	if (!info_char(&text, "["))
		return FHA_PROTOCOL;
	info_skip_blanks(&text);
	while (*text != ']')
	{
		FhaTablespace *more;

		if (out->tablespace_count == FHA_TABLESPACES_MAX || !info_tablespace(&text, scratch, &one))
			return FHA_PROTOCOL;
		more = realloc(out->tablespaces, (out->tablespace_count + 1) * sizeof(one));
		if (more == NULL)
			return FHA_NO_MEMORY; /* LCOV_EXCL_LINE: no memory */
		out->tablespaces = more;
		out->tablespaces[out->tablespace_count++] = one;
		if (!info_char(&text, ",") && *text != ']')
			return FHA_PROTOCOL;
		info_skip_blanks(&text);
	}
	return text[1] == '\0' ? FHA_OK : FHA_PROTOCOL;
}

static FhaCode
info_label(const char *text, char *scratch, FhaBackupInfo *out)
{
	if (!info_string(&text, scratch) || *text != '\0' || strlen(scratch) > FHA_BACKUP_LABEL_MAX)
		return FHA_PROTOCOL;
	free(out->backup_label);
	out->backup_label = strdup(scratch);
	return out->backup_label == NULL ? FHA_NO_MEMORY : FHA_OK;
}

/* --- reading the file */

static FhaBackupStatus
info_status(const char *text)
{
	for (int i = FHA_BACKUP_EMPTY; i < FHA_BACKUP_OTHER; i++)
		if (strcmp(statuses[i], text) == 0)
			return (FhaBackupStatus) i;
	return FHA_BACKUP_OTHER;
}

static FhaCode
info_text(const InfoKey *key, const char *value, char *out)
{
	size_t size = strlen(value);

	if (size >= key->size)
	{
		if (key->type != INFO_CUT)
			return FHA_PROTOCOL;
		size = key->size - 1;
	}
	memcpy(out, value, size);
	out[size] = '\0';
	fha_utf8_mend(out); /* a character may have been cut */
	return FHA_OK;
}

/* scratch: room for all of the value. */
static FhaCode
info_read_value(const InfoKey *key, const char *value, char *scratch, FhaBackupInfo *out)
{
	void *at = (char *) out + key->at;
	uint64_t number;

	switch (key->type)
	{
		case INFO_TEXT:
		case INFO_CUT:
			return info_text(key, value, at);
		case INFO_INT:
			if (!info_number(value, INT64_MAX, &number))
				return FHA_PROTOCOL;
			*(int64_t *) at = (int64_t) number;
			return FHA_OK;
		case INFO_U64:
		case INFO_SEGMENT_SIZE:
			return info_number(value, UINT64_MAX, at) ? FHA_OK : FHA_PROTOCOL;
		case INFO_U32:
			if (!info_number(value, UINT32_MAX, &number))
				return FHA_PROTOCOL;
			*(uint32_t *) at = (uint32_t) number;
			return FHA_OK;
		case INFO_TIME:
			return fha_backup_time_parse(value, at) ? FHA_OK : FHA_PROTOCOL;
		case INFO_LSN:
			return fha_lsn_parse(value, at) ? FHA_OK : FHA_PROTOCOL;
		case INFO_STATUS:
			out->status = info_status(value);
			return FHA_OK;
		case INFO_LABEL:
			return info_label(value, scratch, out);
		case INFO_TABLESPACES:
			return info_tablespaces(value, scratch, out);
		case INFO_SNAPSHOT:
			out->is_snapshot = true;
			return FHA_OK;
		case INFO_SKIP:
			return info_text(key, value, at);
		case INFO_BEGIN_OFFSET:
		case INFO_END_OFFSET:
		case INFO_NONE:
			break;
	}
	return FHA_OK;
}

/* In place: without the blanks around it. */
static char *
info_trim(char *text)
{
	size_t size;

	text += strspn(text, blanks);
	size = strlen(text);
	while (size > 0 && strchr(blanks, text[size - 1]) != NULL)
		size--;
	text[size] = '\0';
	return text;
}

static FhaCode
info_refuse_value(int line, const char *key, char *value, FhaError *err)
{
	if (strlen(value) > ERROR_TEXT_MAX)
		value[ERROR_TEXT_MAX] = '\0';
	fha_tame(value);
	return fha_error(err, FHA_PROTOCOL, "backup.info, line %d: %s cannot be \"%s\"", line, key,
					 value);
}

static FhaCode
info_line(int line, char *text, char *scratch, FhaBackupInfo *out, FhaError *err)
{
	const InfoKey *from = keys;
	size_t count = COUNT(keys);
	const InfoKey *key;
	char *value;
	FhaCode code;

	text = info_trim(text);
	if (strncmp(text, OURS, sizeof(OURS) - 1) == 0)
	{
		text += sizeof(OURS) - 1;
		from = our_keys;
		count = COUNT(our_keys);
	}
	else if (text[0] == '\0' || text[0] == '#')
		return FHA_OK;
	value = strchr(text, '=');
	if (value == NULL)
		return from == our_keys
				   ? FHA_OK
				   : fha_error(err, FHA_PROTOCOL, "backup.info, line %d has no \"=\"", line);
	*value = '\0';
	value = info_trim(value + 1);
	key = info_find(from, count, info_trim(text));
	if (key == NULL || strcmp(value, "None") == 0)
		return FHA_OK;
	code = info_read_value(key, value, scratch, out);
	if (code == FHA_NO_MEMORY)
		return info_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	return code == FHA_OK ? FHA_OK : info_refuse_value(line, key->key, value, err);
}

static bool
info_is_utf8(const char *text)
{
	while (*text != '\0')
	{
		size_t size = fha_utf8_length(text);

		if (size == 0)
			return false;
		text += size;
	}
	return true;
}

static FhaCode
info_parse_text(char *text, char *scratch, FhaBackupInfo *out, FhaError *err)
{
	FhaCode code = FHA_OK;

	for (int line = 1; code == FHA_OK && text != NULL; line++)
	{
		char *end = strchr(text, '\n');

		if (end != NULL)
			*end++ = '\0';
		code = info_line(line, text, scratch, out, err);
		text = end;
	}
	if (code == FHA_OK && out->parent_id[0] != '\0' && !fha_backup_id_parse(out->parent_id, NULL))
		code = fha_error(err, FHA_PROTOCOL, "backup.info: parent_backup_id is no id of a backup");
	return code;
}

FhaCode
fha_backup_info_parse(const char *data, size_t size, FhaBackupInfo *out, FhaError *err)
{
	char *text;
	char *scratch;
	FhaCode code;

	*out = (FhaBackupInfo){.segment_size = FHA_DEFAULT_SEGMENT_SIZE};
	if (size > FHA_BACKUP_INFO_MAX)
		return fha_error(err, FHA_PROTOCOL, "backup.info has %zu bytes, and at most %d are read",
						 size, FHA_BACKUP_INFO_MAX);
	text = malloc(size + 1);
	scratch = malloc(size + 1);
	if (text == NULL || scratch == NULL)
		code = info_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	else
	{
		if (size > 0)
			memcpy(text, data, size);
		text[size] = '\0';
		if (strlen(text) != size || !info_is_utf8(text))
			code = fha_error(err, FHA_PROTOCOL, "backup.info is no text in UTF-8");
		else
			code = info_parse_text(text, scratch, out, err);
	}
	free(text);
	free(scratch);
	if (code != FHA_OK)
		fha_backup_info_free(out);
	return code;
}

void
fha_backup_info_free(FhaBackupInfo *info)
{
	free(info->backup_label);
	free(info->tablespaces);
	info->backup_label = NULL;
	info->tablespaces = NULL;
	info->tablespace_count = 0;
}

/* --- writing */

/* As Python's repr: with quotes of the kind that the text has not. */
static void
info_print_string(FILE *file, const char *text)
{
	char quote = strchr(text, '\'') != NULL && strchr(text, '"') == NULL ? '"' : '\'';

	(void) fputc(quote, file);
	for (; *text != '\0'; text++)
	{
		if (*text == '\n')
			(void) fputs("\\n", file);
		else if (*text == '\t')
			(void) fputs("\\t", file);
		else if (*text == '\r')
			(void) fputs("\\r", file);
		else if ((unsigned char) *text < ' ' || *text == 0x7f)
			(void) fprintf(file, "\\x%02x", (unsigned) (unsigned char) *text);
		else
		{
			if (*text == quote || *text == '\\')
				(void) fputc('\\', file);
			(void) fputc(*text, file);
		}
	}
	(void) fputc(quote, file);
}

static void
info_print_tablespaces(FILE *file, const FhaBackupInfo *info)
{
	for (size_t i = 0; i < info->tablespace_count; i++)
	{
		(void) fputs(i == 0 ? "[(" : ", (", file);
		info_print_string(file, info->tablespaces[i].name);
		(void) fprintf(file, ", %" PRIu32 ", ", info->tablespaces[i].oid);
		info_print_string(file, info->tablespaces[i].location);
		(void) fputs(")", file);
	}
	(void) fputs(info->tablespace_count == 0 ? "None" : "]", file);
}

static void
info_print_number(FILE *file, bool is_told, uint64_t number)
{
	if (is_told)
		(void) fprintf(file, "%" PRIu64, number);
	else
		(void) fputs("None", file);
}

static void
info_print_value(FILE *file, const InfoKey *key, const FhaBackupInfo *info)
{
	const void *at = (const char *) info + key->at;
	uint64_t number;
	char text[FHA_BACKUP_TIME_SIZE];

	switch (key->type)
	{
		case INFO_TEXT:
		case INFO_CUT:
			(void) fputs(*(const char *) at == '\0' ? "None" : at, file);
			return;
		case INFO_INT:
			info_print_number(file, *(const int64_t *) at > 0, (uint64_t) * (const int64_t *) at);
			return;
		case INFO_U64:
		case INFO_SEGMENT_SIZE:
			number = *(const uint64_t *) at;
			info_print_number(file, number > 0, number);
			return;
		case INFO_U32:
			info_print_number(file, *(const uint32_t *) at > 0, *(const uint32_t *) at);
			return;
		case INFO_BEGIN_OFFSET:
		case INFO_END_OFFSET:
			number = *(const uint64_t *) at;
			info_print_number(file, number > 0, number % info->segment_size);
			return;
		case INFO_TIME:
			fha_backup_time_print(*(const int64_t *) at, text);
			(void) fputs(*(const int64_t *) at == 0 ? "None" : text, file);
			return;
		case INFO_LSN:
			fha_lsn_print(*(const uint64_t *) at, text, sizeof(text));
			(void) fputs(*(const uint64_t *) at == 0 ? "None" : text, file);
			return;
		case INFO_STATUS:
			(void) fputs(statuses[info->status], file);
			return;
		case INFO_LABEL:
			if (info->backup_label != NULL && info->backup_label[0] != '\0')
			{
				info_print_string(file, info->backup_label);
				return;
			}
			break;
		case INFO_TABLESPACES:
			info_print_tablespaces(file, info);
			return;
		case INFO_SNAPSHOT:
		case INFO_SKIP:
		case INFO_NONE:
			break;
	}
	(void) fputs("None", file);
}

/* A text without quotes is read back without the blanks around it, and "None" is nothing. */
static bool
info_can_be_written(const char *text)
{
	size_t size = strlen(text);

	return size == 0 ||
		   (info_is_utf8(text) && strpbrk(text, "\r\n") == NULL && strcmp(text, "None") != 0 &&
			strchr(blanks, text[0]) == NULL && strchr(blanks, text[size - 1]) == NULL);
}

static FhaCode
info_check_texts(const InfoKey *from, size_t count, const FhaBackupInfo *info, FhaError *err)
{
	for (size_t i = 0; i < count; i++)
		if ((from[i].type == INFO_TEXT || from[i].type == INFO_CUT) &&
			!info_can_be_written((const char *) info + from[i].at))
			return fha_error(
				err, FHA_INVALID,
				"%s cannot stand in backup.info: it is not UTF-8, has a line break, has "
				"blanks around it or is None",
				from[i].key);
	return FHA_OK;
}

static FhaCode
info_check(const FhaBackupInfo *info, FhaError *err)
{
	FhaCode code = info_check_texts(keys, COUNT(keys), info, err);

	if (code == FHA_OK)
		code = info_check_texts(our_keys, COUNT(our_keys), info, err);
	if (code != FHA_OK)
		return code;
	if (info->segment_size == 0 || info->status == FHA_BACKUP_OTHER || info->is_snapshot)
		return fha_error(
			err, FHA_INVALID,
			"backup.info is not written without a size of segments, with a status that "
			"is not known, or for a snapshot");
	if (info->backup_label != NULL && !info_is_utf8(info->backup_label))
		return fha_error(err, FHA_INVALID, "backup_label is not UTF-8");
	for (size_t i = 0; i < info->tablespace_count; i++)
		if (!info_is_utf8(info->tablespaces[i].name) ||
			!info_is_utf8(info->tablespaces[i].location))
			return fha_error(err, FHA_INVALID,
							 "the tablespace %" PRIu32 " has a name or a path that is not UTF-8",
							 info->tablespaces[i].oid);
	return FHA_OK;
}

FhaCode
fha_backup_info_print(const FhaBackupInfo *info, char **out, FhaError *err)
{
	size_t size;
	FILE *file;
	FhaCode code = info_check(info, err);

	*out = NULL;
	if (code != FHA_OK)
		return code;
	file = open_memstream(out, &size);
	if (file == NULL)
		return info_no_memory(err); /* LCOV_EXCL_LINE: no memory */
	for (size_t i = 0; i < COUNT(our_keys); i++)
		if (*((const char *) info + our_keys[i].at) != '\0')
		{
			(void) fprintf(file, OURS "%s=", our_keys[i].key);
			info_print_value(file, &our_keys[i], info);
			(void) fputs("\n", file);
		}
	for (size_t i = 0; i < COUNT(keys); i++)
	{
		if (keys[i].type == INFO_SKIP || keys[i].type == INFO_SNAPSHOT ||
			(strcmp(keys[i].key, "backup_name") == 0 && info->backup_name[0] == '\0'))
			continue;
		(void) fprintf(file, "%s=", keys[i].key);
		info_print_value(file, &keys[i], info);
		(void) fputs("\n", file);
	}
	if (fclose(file) == 0)
		return FHA_OK;
	free(*out);                 /* LCOV_EXCL_LINE: no memory */
	*out = NULL;                /* LCOV_EXCL_LINE: no memory */
	return info_no_memory(err); /* LCOV_EXCL_LINE: no memory */
}

/* --- positions */

void
fha_backup_info_set_begin(FhaBackupInfo *info, uint32_t timeline, uint64_t lsn)
{
	info->timeline = timeline;
	info->begin_lsn = lsn;
	fha_segment_name(timeline, lsn, info->segment_size, info->begin_wal);
}

void
fha_backup_info_set_end(FhaBackupInfo *info, uint64_t lsn)
{
	info->end_lsn = lsn;
	fha_segment_name(info->timeline, lsn == 0 ? 0 : lsn - 1, info->segment_size, info->end_wal);
}

static bool
info_is_segment_size(uint64_t size)
{
	return size >= 1024 * 1024 && size <= 1024 * 1024 * 1024 && (size & (size - 1)) == 0;
}

/* A position at the beginning of a segment may be named by that, or as the end of the one before. */
static bool
info_agrees(const char *name, uint32_t timeline, uint64_t lsn, uint64_t segment_size)
{
	uint32_t of;
	uint64_t number;

	return fha_segment_parse(name, segment_size, &of, &number) && of == timeline &&
		   (number == lsn / segment_size || number == (lsn - 1) / segment_size);
}

FhaCode
fha_backup_info_check(const FhaBackupInfo *info, FhaError *err)
{
	if (!info_is_segment_size(info->segment_size))
		return fha_error(err, FHA_PROTOCOL,
						 "xlog_segment_size is %" PRIu64
						 ", and no power of two from 1 MiB to 1 GiB",
						 info->segment_size);
	if (info->timeline == 0 || info->begin_lsn == 0 || info->end_lsn == 0 ||
		info->begin_time_us == 0 || info->end_time_us == 0 || info->begin_wal[0] == '\0' ||
		info->end_wal[0] == '\0')
		return fha_error(err, FHA_PROTOCOL,
						 "it does not say its timeline, and where and when it began and ended");
	if (info->end_lsn <= info->begin_lsn || info->end_time_us < info->begin_time_us)
		return fha_error(err, FHA_PROTOCOL, "it ends before it begins");
	if (!info_agrees(info->begin_wal, info->timeline, info->begin_lsn, info->segment_size))
		return fha_error(err, FHA_PROTOCOL, "begin_wal is not where begin_xlog and timeline say");
	if (!info_agrees(info->end_wal, info->timeline, info->end_lsn, info->segment_size))
		return fha_error(err, FHA_PROTOCOL, "end_wal is not where end_xlog and timeline say");
	return FHA_OK;
}
