/*
 * config.c: settings from text.
 *
 * Reads PostgreSQL's file syntax as guc-file.l does, so that both agree about
 * every file; what they could disagree about (includes) is refused.
 */
#include "config/config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <stdio.h>

#include "base/listen.h"
#include "config/lock_uri.h"
#include "config/state_directory.h"
#include "core/compression.h"
#include "core/cron.h"
#include "core/retention_policy.h"
#include "store/settings.h"

#define FOUNDER "initdb:"

/* sockaddr_un.sun_path has 108 bytes with its NUL. */
#define SOCKET_PATH_SIZE 108

/* A line of fawkes_ha.conf: the longest value is a path. */
#define VALUE_SIZE (FHA_PATH_SIZE + FHA_ADDRESS_SIZE)

typedef enum Kind
{
	KIND_TEXT,
	KIND_FLAG,
	KIND_ms, /* a time; a number without a unit counts milliseconds, */
	KIND_s,  /* seconds */
	KIND_kB, /* bytes; a number without a unit counts kB */
	KIND_count,
	KIND_PORT,
	KIND_FIRST_PATH
} Kind;

typedef struct Setting
{
	const char *name;
	Kind kind;
	FhaTextKind text; /* of a KIND_TEXT */
	size_t offset;
	size_t size;
	int64_t least;
	int64_t most;
	const char *range; /* least to most, as a person would write it */
} Setting;

#define FIELD(field) \
	.offset = offsetof(FhaConfig, field), .size = sizeof(((FhaConfig *) NULL)->field)
#define WITHIN(from, to)                               \
	.least = FHA_AMOUNT(from), .most = FHA_AMOUNT(to), \
	.range = FHA_AMOUNT_TEXT(from) " to " FHA_AMOUNT_TEXT(to)

/* clang-format off */
static const Setting settings[] = {
#define FHA_TEXT(name, kind, ...) \
	{ FHA_SETTING_PREFIX #name, KIND_TEXT, FIELD(name), .text = FHA_TEXT_##kind },
#define FHA_NUMBER(name, unit, initial, from, to, ...) \
	{ FHA_SETTING_PREFIX #name, KIND_##unit, FIELD(FHA_FIELD(name, unit)), WITHIN(from, to) },
#define FHA_FLAG(name, ...) { FHA_SETTING_PREFIX #name, KIND_FLAG, FIELD(name) },
#include "config/settings.def"
	/* PostgreSQL's own. */
	{ "port", KIND_PORT, FIELD(port), .least = 1, .most = 65535, .range = "1 to 65535" },
	{ "unix_socket_directories", KIND_FIRST_PATH, FIELD(socket_directory) },
};
/* clang-format on */

#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

typedef struct Unit
{
	const char *name;
	int64_t factor;
} Unit;

static const Unit time_units[] = {
	{"ms", FHA_UNIT_ms}, {"s", FHA_UNIT_s}, {"min", FHA_UNIT_min}, {"h", FHA_UNIT_h}, {NULL, 0}};
static const Unit byte_units[] = {{"B", FHA_UNIT_B},   {"kB", FHA_UNIT_kB}, {"MB", FHA_UNIT_MB},
								  {"GB", FHA_UNIT_GB}, {"TB", FHA_UNIT_TB}, {NULL, 0}};

/* What is usual depends on the lock. */
static const struct
{
	size_t offset;
	size_t usual;
} lease_times[] = {
#define FHA_LEASE_TIME(name, unit, ...) \
	{offsetof(FhaConfig, FHA_FIELD(name, unit)), offsetof(FhaTimes, FHA_FIELD(name, unit))},
#include "config/settings.def"
};

#define LEASE_TIME_COUNT (sizeof(lease_times) / sizeof(lease_times[0]))

/* Members refuse to be told of longer ones. */
#define FHA_LEASE_TIME(name, unit, initial, on_kubernetes, least, most, ...) \
	_Static_assert(FHA_AMOUNT(most) <= FHA_LEASE_MAX_MS, #name);
#include "config/settings.def"

/* Whichever time of the lease nobody has set is the lock's. */
static void
follow_lock(FhaConfig *config)
{
	FhaTimes usual = fha_lock_times(config->lock);

	for (size_t i = 0; i < LEASE_TIME_COUNT; i++)
		if ((config->times_set & 1U << i) == 0)
			memcpy((char *) config + lease_times[i].offset, (char *) &usual + lease_times[i].usual,
				   sizeof(int64_t));
}

void
fha_config_defaults(FhaConfig *config)
{
	memset(config, 0, sizeof(*config));
	config->port = 5432;
	follow_lock(config);
#define FHA_TEXT(name, kind, initial, ...) \
	(void) snprintf(config->name, sizeof(config->name), "%s", initial);
#define FHA_NUMBER(name, unit, initial, ...) config->FHA_FIELD(name, unit) = FHA_AMOUNT(initial);
#define FHA_LEASE_TIME(...)
#define FHA_FLAG(name, initial, ...) config->name = FHA_FLAG_##initial;
#include "config/settings.def"
}

bool
fha_name_is_valid(const char *name)
{
	size_t length = strnlen(name, FHA_NAME_SIZE);

	/* analyzer: strnlen() has seen so many of its bytes */
	if (length == 0 || length >= FHA_NAME_SIZE || name[0] == '-' || name[length - 1] == '-')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

bool
fha_pod_name_is_valid(const char *name)
{
	size_t length = strnlen(name, FHA_POD_SIZE);

	if (length == 0 || length >= FHA_POD_SIZE || strchr("-.", name[0]) != NULL ||
		strchr("-.", name[length - 1]) != NULL)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == length;
}

/*
 * host:port, host as a name, an IPv4 address or an IPv6 address in brackets.
 * Nothing else, because the text ends up in a conninfo.
 */
bool
fha_address_is_valid(const char *address)
{
	static const char host_set[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	const char *port = address;
	size_t digits;
	long number;

	if (*port == '[')
	{
		size_t length = strspn(port + 1, "0123456789abcdefABCDEF:.");

		if (length < 2 || port[1 + length] != ']')
			return false;
		port += length + 2;
	}
	else
	{
		size_t length = strspn(port, host_set);

		if (length == 0)
			return false;
		port += length;
	}
	if (*port++ != ':')
		return false;
	digits = strspn(port, "0123456789");
	if (digits == 0 || digits > 5 || port[digits] != '\0')
		return false;
	number = strtol(port, NULL, 10);
	return number >= 1 && number <= 65535;
}

/* "1.5 s" into *out in the smallest unit, rounded; without a unit it counts in `plain`. */
static bool
parse_amount(const char *text, const Unit *units, int64_t plain, int64_t *out)
{
	const char *at = text;
	int64_t whole = 0;
	int64_t thousandths = 0;
	int64_t factor = plain;

	if (!isdigit((unsigned char) *at))
		return false;
	/* analyzer: parse_value() has filled the text when it returns NULL */
	for (; isdigit((unsigned char) *at); at++)
	{
		if (whole > INT64_MAX / 100)
			return false;
		whole = whole * 10 + (*at - '0');
	}
	if (*at == '.')
	{
		int64_t weight = 100;

		for (at++; isdigit((unsigned char) *at); at++, weight /= 10)
			thousandths += (*at - '0') * weight;
	}
	at += strspn(at, " \t");
	if (*at != '\0')
	{
		while (units->name != NULL && strcmp(units->name, at) != 0)
			units++;
		if (units->name == NULL)
			return false;
		factor = units->factor;
	}
	if (whole > (INT64_MAX / 2) / factor)
		return false;
	*out = whole * factor + (thousandths * factor + 500) / 1000;
	return true;
}

static bool
parse_boolean(const char *text, bool *out)
{
	static const char *const words[] = {"off", "on", "false", "true", "no", "yes", "0", "1"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0)
		{
			*out = i % 2 == 1;
			return true;
		}
	return false;
}

static bool
is_bootstrap(const char *text)
{
	return strcmp(text, "initdb") == 0 || strcmp(text, "none") == 0 ||
		   (strncmp(text, FOUNDER, strlen(FOUNDER)) == 0 &&
			fha_name_is_valid(text + strlen(FOUNDER)));
}

bool
fha_config_may_found(const FhaConfig *config)
{
	const char *text = config->bootstrap;

	return strcmp(text, "initdb") == 0 ||
		   (strncmp(text, FOUNDER, strlen(FOUNDER)) == 0 &&
			strcmp(text + strlen(FOUNDER), config->member_name) == 0);
}

/* The owner of PostgreSQL's own databases is its superuser. */
static bool
is_database(const char *name)
{
	static const char *const own[] = {"postgres", "template0", "template1"};

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(name, own[i]) == 0)
			return false;
	return strlen(name) < FHA_DATABASE_SIZE;
}

/* Edit distance, for names short enough; the two rows are all that is needed. */
static size_t
name_distance(const char *a, const char *b)
{
	size_t row[64];
	size_t width = strlen(b);

	if (width >= sizeof(row) / sizeof(row[0]))
		return SIZE_MAX; /* LCOV_EXCL_LINE: our own names are shorter */
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 0; a[i] != '\0'; i++)
	{
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < width; j++)
		{
			size_t best = diagonal + (tolower((unsigned char) a[i]) == b[j] ? 0 : 1);

			diagonal = row[j + 1];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (diagonal + 1 < best)
				best = diagonal + 1;
			row[j + 1] = best;
		}
	}
	return row[width];
}

static FhaCode
unknown_name(const char *name, FhaError *err)
{
	const char *closest = settings[0].name;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < SETTING_COUNT; i++)
	{
		size_t far = name_distance(name, settings[i].name);

		if (far < least)
		{
			least = far;
			closest = settings[i].name;
		}
	}
	return fha_error(err, FHA_INVALID, "there is no setting \"%.60s\"; did you mean \"%s\"?", name,
					 closest);
}

static FhaCode
set_text(FhaConfig *config, const Setting *setting, const char *value, size_t length, FhaError *err)
{
	char *field = (char *) config + setting->offset;

	if (length >= setting->size)
		return fha_error(err, FHA_INVALID, "%s is too long: at most %zu characters", setting->name,
						 setting->size - 1);
	memcpy(field, value, length);
	field[length] = '\0';
	return FHA_OK;
}

/*
 * The first of unix_socket_directories, which PostgreSQL splits at commas.  A
 * quoted element keeps its quotes' content; "" means no socket at all.
 */
static FhaCode
set_first_path(FhaConfig *config, const Setting *setting, const char *value, FhaError *err)
{
	size_t length;

	value += strspn(value, " \t");
	if (*value == '"')
		return set_text(config, setting, value + 1, strcspn(value + 1, "\""), err);
	length = strcspn(value, ",");
	while (length > 0 && isspace((unsigned char) value[length - 1]))
		length--;
	return set_text(config, setting, value, length, err);
}

static FhaCode
set_number(FhaConfig *config, const Setting *setting, const char *value, FhaError *err)
{
	static const Unit no_units[] = {{NULL, 0}};
	const Unit *units = no_units;
	const char *hint = "";
	const char *read_as = ""; /* of a number without a unit */
	int64_t plain = 1;
	int64_t amount;

	if (setting->kind == KIND_ms || setting->kind == KIND_s)
	{
		units = time_units;
		plain = setting->kind == KIND_ms ? FHA_UNIT_ms : FHA_UNIT_s; /* as PostgreSQL does */
		hint = " with a unit of ms, s, min or h";
		read_as = plain == 1 ? "; without a unit it counts ms" : "; without a unit it counts s";
	}
	else if (setting->kind == KIND_kB)
	{
		units = byte_units;
		plain = FHA_UNIT_kB;
		hint = " with a unit of B, kB, MB, GB or TB";
		read_as = "; without a unit it counts kB";
	}
	if (!parse_amount(value, units, plain, &amount))
		return fha_error(err, FHA_INVALID, "%s = \"%.40s\" makes no sense: give a number%s",
						 setting->name, value, hint);
	if (amount < setting->least || amount > setting->most)
		return fha_error(err, FHA_INVALID, "%s = \"%.40s\" is out of range: %s is allowed%s",
						 setting->name, value, setting->range,
						 value[strspn(value, "0123456789.+- ")] == '\0' ? read_as : "");
	if (setting->kind == KIND_PORT)
	{
		int port = (int) amount;

		memcpy((char *) config + setting->offset, &port, sizeof(port));
	}
	else
		memcpy((char *) config + setting->offset, &amount, sizeof(amount));
	for (size_t i = 0; i < LEASE_TIME_COUNT; i++)
		if (lease_times[i].offset == setting->offset)
			config->times_set |= 1U << i;
	return FHA_OK;
}

/* Of a kind that core reads.  false: *why says what it may be. */
static bool
is_understood(FhaTextKind kind, const char *value, char why[FHA_SENTENCE_SIZE])
{
	FhaRetentionPolicy policy;
	FhaCompression compression;
	FhaCron cron;
	int level;

	if (kind == FHA_TEXT_COMPRESSION)
		return fha_compression_parse(value, &compression, &level, why);
	if (kind == FHA_TEXT_BACKUP_SCHEDULE)
		return fha_cron_parse(value, &cron, why);
	return fha_retention_policy_parse(value, &policy, why);
}

/* May that stand there?  INVALID. */
static FhaCode
setting_check_text(const Setting *setting, const char *value, FhaError *err)
{
	char why[FHA_SENTENCE_SIZE];
	FhaStoreSettings store;
	FhaError reason;

	switch (setting->text)
	{
		case FHA_TEXT_NAME:
			if (value[0] != '\0' && !fha_name_is_valid(value))
				return fha_error(err, FHA_INVALID,
								 "%s = \"%.50s\" is not a name: at most %d of a-z, 0-9 and "
								 "\"-\", and no \"-\" at either end",
								 setting->name, value, FHA_NAME_SIZE - 1);
			break;
		case FHA_TEXT_PATH:
			if (value[0] != '\0' && value[0] != '/')
				return fha_error(err, FHA_INVALID,
								 "%s = \"%.80s\" is not an absolute path: start it with \"/\"",
								 setting->name, value);
			break;
		case FHA_TEXT_ADDRESS:
			if (value[0] != '\0' && !fha_address_is_valid(value))
				return fha_error(err, FHA_INVALID,
								 "%s = \"%.80s\" is not host:port: write for example "
								 "\"10.0.0.1:5432\" or \"[fd00::1]:5432\"",
								 setting->name, value);
			break;
		case FHA_TEXT_POD:
			if (value[0] != '\0' && !fha_pod_name_is_valid(value))
				return fha_error(err, FHA_INVALID,
								 "%s = \"%.40s\" is not the name of a pod: in a pod write its "
								 "metadata.name, elsewhere leave it empty",
								 setting->name, value);
			break;
		case FHA_TEXT_BOOTSTRAP:
			if (!is_bootstrap(value))
				return fha_error(err, FHA_INVALID,
								 "%s = \"%.60s\" is not known: use \"initdb\", \"none\" or "
								 "\"initdb:\" and the name of the member that founds the cluster",
								 setting->name, value);
			break;
		case FHA_TEXT_DATABASE:
			if (!is_database(value))
				return fha_error(err, FHA_INVALID,
								 "%s = \"%.70s\" cannot be given an owner: use a name of at most "
								 "%d bytes that is not postgres, template0 or template1",
								 setting->name, value, FHA_DATABASE_SIZE - 1);
			break;
		case FHA_TEXT_LISTEN:
			if (fha_listen_check(value, &reason) != FHA_OK)
				return fha_error(err, FHA_INVALID, "%s: %.200s", setting->name, reason.text);
			break;
		case FHA_TEXT_LOCK:
			if (value[0] != '\0' && fha_lock_check(value, &reason) != FHA_OK)
				return fha_error(err, FHA_INVALID, "%s: %.200s", setting->name, reason.text);
			break;
		case FHA_TEXT_STORE_ENDPOINT:
			if (value[0] != '\0' && strncmp(value, "https://", 8) != 0 &&
				strncmp(value, "http://", 7) != 0)
				return fha_error(err, FHA_INVALID,
								 "%s = \"%.80s\" is not where a store answers: write "
								 "\"https://host\" or \"https://host:port\"",
								 setting->name, value);
			break;
		case FHA_TEXT_STORE_URL:
			if (value[0] != '\0' && fha_store_url_parse(&store, value, &reason) != FHA_OK)
				return fha_error(err, FHA_INVALID, "%s: %.200s", setting->name, reason.text);
			break;
		case FHA_TEXT_COMPRESSION:
		case FHA_TEXT_BACKUP_SCHEDULE:
		case FHA_TEXT_RETENTION:
			if (value[0] != '\0' && !is_understood(setting->text, value, why))
				return fha_error(err, FHA_INVALID, "%s: %.200s", setting->name, why);
			break;
		case FHA_TEXT_STORE_REGION:
		case FHA_TEXT_SERVER_NAME:
			break;
	}
	return FHA_OK;
}

static FhaCode
set_flag(FhaConfig *config, const Setting *setting, const char *value, FhaError *err)
{
	bool on;

	if (!parse_boolean(value, &on))
		return fha_error(err, FHA_INVALID, "%s = \"%.40s\" makes no sense: use on or off",
						 setting->name, value);
	memcpy((char *) config + setting->offset, &on, sizeof(on));
	return FHA_OK;
}

FhaCode
fha_config_set(FhaConfig *config, const char *name, const char *value, FhaError *err)
{
	const Setting *setting = settings;
	FhaCode code;

	while (setting < settings + SETTING_COUNT && strcasecmp(setting->name, name) != 0)
		setting++;
	if (setting == settings + SETTING_COUNT)
	{
		if (strncasecmp(name, FHA_SETTING_PREFIX, strlen(FHA_SETTING_PREFIX)) == 0)
			return unknown_name(name, err);
		return FHA_OK; /* PostgreSQL's own */
	}
	if (setting->kind == KIND_FLAG)
		return set_flag(config, setting, value, err);
	if (setting->kind == KIND_FIRST_PATH)
		return set_first_path(config, setting, value, err);
	if (setting->kind != KIND_TEXT)
		return set_number(config, setting, value, err);
	code = setting_check_text(setting, value, err);
	if (code == FHA_OK)
		code = set_text(config, setting, value, strlen(value), err);
	if (code == FHA_OK && setting->text == FHA_TEXT_LOCK)
		follow_lock(config);
	return code;
}

/* One escape of a quoted value, *at behind the backslash; returns the character. */
static char
value_unescape(const char **at)
{
	static const char letters[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";
	const char *letter;

	if (**at >= '0' && **at <= '7')
	{
		unsigned code = 0;

		for (int i = 0; i < 3 && **at >= '0' && **at <= '7'; i++)
			code = code * 8 + (unsigned) (*(*at)++ - '0');
		return (char) (unsigned char) code;
	}
	letter = strchr(letters, **at);
	if (letter != NULL && *letter != '\0')
	{
		(*at)++;
		return meanings[letter - letters];
	}
	return *(*at)++;
}

/* PostgreSQL's rule: a word that begins with a letter, or a number with its unit. */
static size_t
unquoted_length(const char *at)
{
	static const char digits[] = "0123456789";
	size_t length;

	if (isalpha((unsigned char) *at) || *at == '_')
		return strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
						  "0123456789_-.:/");
	length = strspn(at, "+-") > 0 ? 1 : 0;
	length += strspn(at + length, digits);
	if (at[length] == '.')
	{
		length++;
		length += strspn(at + length, digits);
		if (at[length] == 'e' || at[length] == 'E')
		{
			length++;
			length += strspn(at + length, "+-") > 0 ? 1 : 0;
			length += strspn(at + length, digits);
		}
		return length;
	}
	while (isalnum((unsigned char) at[length]))
		length++;
	return length;
}

/* The value that begins at *at into `value`, *at behind it.  NULL, or what is wrong with it. */
static const char *
parse_value(const char **at, char *value, size_t size)
{
	size_t used = 0;

	if (**at != '\'')
	{
		size_t length = unquoted_length(*at);

		if (length == 0)
			return "the value is missing or must stand in single quotes";
		if (length >= size)
			return "the value is too long";
		memcpy(value, *at, length);
		value[length] = '\0';
		*at += length;
		return NULL;
	}

	for ((*at)++;;)
	{
		char c = *(*at)++;

		if (c == '\0')
			return "the closing single quote is missing";
		if (c == '\'')
		{
			if (**at != '\'')
				break;
			(*at)++;
		}
		else if (c == '\\')
		{
			if (**at == '\0')
				return "the closing single quote is missing";
			c = value_unescape(at);
			if (c == '\0')
				return "a value cannot contain a zero byte";
		}
		if (used + 1 >= size)
			return "the value is too long";
		value[used++] = c;
	}
	value[used] = '\0';
	return NULL;
}

/* `line` ends with a NUL.  Syntax only; *name is empty for a line without a setting. */
static const char *
parse_line(const char *line, char *name, size_t name_size, char *value, size_t value_size)
{
	static const char blank[] = " \t\r\f\v";
	const char *wrong;
	size_t length;

	name[0] = '\0';
	line += strspn(line, blank);
	if (*line == '\0' || *line == '#')
		return NULL;
	length = strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$");
	if (strncmp(line, "\xEF\xBB\xBF", 3) == 0)
		return "a byte order mark stands here, which editors do not show: save the file without it";
	if (length == 0 || isdigit((unsigned char) line[0]))
		return "a setting's name is expected here: write name = value";
	if (length >= name_size)
		return "the setting's name is too long";
	memcpy(name, line, length);
	name[length] = '\0';

	line += length;
	line += strspn(line, blank);
	if (*line == '=')
		line++;
	line += strspn(line, blank);
	wrong = parse_value(&line, value, value_size);
	if (wrong != NULL)
		return wrong;
	line += strspn(line, blank);
	if (*line != '\0' && *line != '#')
		return "there is text behind the value: put the value in single quotes, or # before it";
	return NULL;
}

static FhaCode
apply_line(FhaConfig *config, const char *line, FhaError *err)
{
	char name[FHA_SETTING_NAME_SIZE];
	char value[VALUE_SIZE];
	const char *wrong = parse_line(line, name, sizeof(name), value, sizeof(value));

	if (wrong != NULL)
		return fha_error(err, FHA_INVALID, "%s", wrong);
	if (name[0] == '\0')
		return FHA_OK;
	if (strncasecmp(name, "include", 7) == 0)
		return fha_error(err, FHA_INVALID,
						 "\"%s\" is not possible in this file: copy the settings into it", name);
	return fha_config_set(config, name, value, err);
}

/* "…/long/path/fawkes_ha.conf": the end of a path is what tells files apart. */
static const char *
path_tail(const char *path)
{
	size_t length = strlen(path);

	return length > 80 ? path + length - 80 : path;
}

FhaCode
fha_config_read(FhaConfig *config, const char *path, FhaError *err)
{
	FhaError inner = {.code = FHA_OK};
	FhaCode code;
	char *content;
	char *line;
	int number = 1;

	code = fha_file_read(path, FHA_CONFIG_FILE_MAX, &content, err);
	if (code != FHA_OK)
		return code;
	for (line = content; line != NULL; number++)
	{
		char *end = strchr(line, '\n');

		if (end != NULL)
			*end = '\0';
		code = apply_line(config, line, &inner);
		if (code != FHA_OK)
		{
			(void) fha_error(err, code, "%s:%d: %.150s", path_tail(path), number, inner.text);
			break;
		}
		line = end == NULL ? NULL : end + 1;
	}
	free(content);
	if (code == FHA_OK && config->state_directory[0] == '\0' && config->data_directory[0] != '\0')
		code = fha_state_directory(config, config->state_directory, sizeof(config->state_directory),
								   err);
	return code;
}

FhaCode
fha_timing_check(int64_t lease_duration_ms, int64_t renew_deadline_ms, int64_t retry_period_ms,
				 FhaError *err)
{
	if (renew_deadline_ms >= lease_duration_ms)
		return fha_error(err, FHA_INVALID,
						 "renew_deadline (%lld ms) must be below lease_duration (%lld ms): else a "
						 "holder may still write when others take the lease; two thirds is usual",
						 (long long) renew_deadline_ms, (long long) lease_duration_ms);
	if (retry_period_ms * 12 >= renew_deadline_ms * 10)
		return fha_error(err, FHA_INVALID,
						 "1.2 times retry_period (%lld ms) must be below renew_deadline (%lld ms): "
						 "else one late reply costs the lease; a quarter is usual",
						 (long long) retry_period_ms, (long long) renew_deadline_ms);
	return FHA_OK;
}

/* Is `path` the directory `root` or below it?  By text: neither needs to exist. */
static bool
lies_in(const char *path, const char *root)
{
	size_t length = strlen(root);

	while (length > 1 && root[length - 1] == '/')
		length--;
	return strncmp(path, root, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

FhaCode
fha_config_check(const FhaConfig *config, FhaError *err)
{
	char state[FHA_PATH_SIZE];
	FhaCode code;

	if (config->cluster_name[0] == '\0')
		return fha_error(err, FHA_INVALID,
						 "fawkes_ha.cluster_name is not set: every member needs the same one");
	if (!fha_name_is_valid(config->cluster_name))
		return fha_error(err, FHA_INVALID, "fawkes_ha.cluster_name = \"%s\" is not a valid name",
						 config->cluster_name);
	if (config->member_name[0] == '\0')
		return fha_error(err, FHA_INVALID,
						 "fawkes_ha.member_name is not set: give each member a name of its own");
	if (!fha_name_is_valid(config->member_name))
		return fha_error(err, FHA_INVALID, "fawkes_ha.member_name = \"%s\" is not a valid name",
						 config->member_name);
	if (config->lock[0] == '\0')
		return fha_error(
			err, FHA_INVALID,
			"fawkes_ha.lock is not set: for one machine write \"dir:/some/directory\", in a pod "
			"\"kubernetes:\"");
	if (config->pod[0] != '\0' && strncmp(config->lock, "kubernetes:", 11) != 0)
		return fha_error(err, FHA_INVALID,
						 "fawkes_ha.pod is set, but fawkes_ha.lock is not of Kubernetes: there are "
						 "no pods to label; leave it empty");
	if (config->address[0] == '\0')
		return fha_error(err, FHA_INVALID,
						 "fawkes_ha.address is not set: give the host:port under which the other "
						 "members reach this one");
	if (!fha_address_is_valid(config->address))
		return fha_error(err, FHA_INVALID, "fawkes_ha.address = \"%s\" is not host:port",
						 config->address);
	if (config->data_directory[0] != '/')
		return fha_error(
			err, FHA_INVALID,
			"the data directory \"%.80s\" is not an absolute path: start it with \"/\"",
			config->data_directory);
	code = fha_state_directory(config, state, sizeof(state), err);
	if (code != FHA_OK)
		return code;
	if (lies_in(state, config->data_directory))
		return fha_error(
			err, FHA_INVALID,
			"fawkes_ha.state_directory \"%.80s\" lies inside the data directory, where "
			"a rewind would overwrite it: choose a place beside it",
			state);
	if (config->socket_directory[0] == '/')
	{
		int length = snprintf(NULL, 0, "%s/.s.PGSQL.%d", config->socket_directory, config->port);

		if (length >= SOCKET_PATH_SIZE)
			return fha_error(
				err, FHA_INVALID,
				"the socket's path in unix_socket_directories has %d bytes, at most %d "
				"are possible: choose a shorter directory",
				length, SOCKET_PATH_SIZE - 1);
	}
	return fha_timing_check(config->lease_duration_ms, config->renew_deadline_ms,
							config->retry_period_ms, err);
}
