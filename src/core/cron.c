/*
 * cron.c: schedules.  See cron.h.
 */
#include "core/cron.h"

#include <stddef.h>
#include <string.h>

#include "core/calendar.h"

enum
{
	SECOND,
	MINUTE,
	HOUR,
	DAY,
	MONTH,
	WEEKDAY
};

static const struct
{
	const char *name;
	unsigned first;
	unsigned last;
	const char *last_text;
	const char *words; /* three letters each, of the numbers from `first` on; NULL: it has none */
} fields[FHA_CRON_FIELDS] = {
	{"second", 0, 59, "59", NULL},
	{"minute", 0, 59, "59", NULL},
	{"hour", 0, 23, "23", NULL},
	{"day of the month", 1, 31, "31", NULL},
	{"month", 1, 12, "12", "janfebmaraprmayjunjulaugsepoctnovdec"},
	{"weekday", 0, 6, "6", "sunmontuewedthufrisat"},
};

static const char blanks[] = " \t\n\r\v\f";

/* Years that are looked through: a 29th of February that is a certain weekday may be further away. */
#define SEARCHED_YEARS 5

/* --- what is said of a wrong one */

typedef struct CronText
{
	char *out;
	size_t used;
} CronText;

/* What does not fit is left out. */
static void
cron_say(CronText *text, const char *words, size_t size)
{
	size_t room = FHA_SENTENCE_SIZE - 1 - text->used;

	size = size > room ? room : size;
	memcpy(text->out + text->used, words, size);
	text->used += size;
	text->out[text->used] = '\0';
}

static void
cron_say_word(CronText *text, const char *words)
{
	cron_say(text, words, strlen(words));
}

/* "the hour \"25\" PROBLEM" */
static bool
cron_refuse(char why[FHA_SENTENCE_SIZE], int field, const char *item, size_t size,
			const char *problem)
{
	CronText text = {why, 0};

	cron_say_word(&text, "the ");
	cron_say_word(&text, fields[field].name);
	cron_say_word(&text, " \"");
	cron_say(&text, item, size > 40 ? 40 : size);
	cron_say_word(&text, "\" ");
	cron_say_word(&text, problem);
	return false;
}

static bool
cron_refuse_range(char why[FHA_SENTENCE_SIZE], int field, const char *item, size_t size)
{
	CronText text = {why, 0};

	(void) cron_refuse(why, field, item, size, "is not within ");
	text.used = strlen(why);
	cron_say_word(&text, fields[field].first == 0 ? "0 to " : "1 to ");
	cron_say_word(&text, fields[field].last_text);
	return false;
}

/* --- reading */

static bool
cron_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A number of at most nine digits, or a word. */
static bool
cron_number(int field, const char *text, size_t size, unsigned *out)
{
	const char *words = fields[field].words;
	unsigned number = 0;

	if (size == 3 && words != NULL)
		for (unsigned i = 0; words[3 * (size_t) i] != '\0'; i++)
			/* Letters alone differ from a capital by this bit. */
			if ((text[0] | 0x20) == words[3 * (size_t) i] &&
				(text[1] | 0x20) == words[3 * (size_t) i + 1] &&
				(text[2] | 0x20) == words[3 * (size_t) i + 2])
			{
				*out = fields[field].first + i;
				return true;
			}
	if (size < 1 || size > 9)
		return false;
	for (size_t i = 0; i < size; i++)
	{
		if (!cron_is_digit(text[i]))
			return false;
		number = number * 10 + (unsigned) (text[i] - '0');
	}
	*out = number;
	return true;
}

/* One item of a list. */
static bool
cron_item(FhaCron *cron, int field, const char *item, size_t size, char why[FHA_SENTENCE_SIZE])
{
	const char *slash = memchr(item, '/', size);
	size_t range_size = slash == NULL ? size : (size_t) (slash - item);
	const char *hyphen = memchr(item, '-', range_size);
	unsigned start = fields[field].first;
	unsigned end = fields[field].last;
	unsigned step = 1;

	if (range_size == 1 && (item[0] == '*' || item[0] == '?'))
		cron->any[field] = true;
	else if (hyphen != NULL)
	{
		size_t start_size = (size_t) (hyphen - item);

		if (!cron_number(field, item, start_size, &start) ||
			!cron_number(field, hyphen + 1, range_size - start_size - 1, &end))
			return cron_refuse(why, field, item, size, "is no range of two numbers");
	}
	else
	{
		if (!cron_number(field, item, range_size, &start))
			return cron_refuse(why, field, item, size, "is no number, no range, no * and no ?");
		if (slash == NULL)
			end = start;
	}
	if (slash != NULL &&
		(!cron_number(SECOND, slash + 1, size - range_size - 1, &step) || step == 0))
		return cron_refuse(why, field, item, size, "has a step that is no number from 1 on");
	if (start < fields[field].first || end > fields[field].last)
		return cron_refuse_range(why, field, item, size);
	if (start > end)
		return cron_refuse(why, field, item, size, "ends before it begins");
	for (unsigned i = start; i <= end; i += step)
		cron->bits[field] |= UINT64_C(1) << i;
	return true;
}

static bool
cron_field(FhaCron *cron, int field, const char *text, size_t size, char why[FHA_SENTENCE_SIZE])
{
	const char *end = text + size;

	while (text <= end)
	{
		const char *comma = memchr(text, ',', (size_t) (end - text));
		size_t item_size = (size_t) ((comma == NULL ? end : comma) - text);

		if (!cron_item(cron, field, text, item_size, why))
			return false;
		text += item_size + 1;
	}
	return true;
}

/* A length of time as Go writes it: numbers with a fraction or without, each with its unit. */
static bool
cron_duration(const char *text, int64_t *out_s)
{
	static const struct
	{
		const char *name;
		int64_t ns;
	} units[] = {
		{"ms", INT64_C(1000000)},      {"us", INT64_C(1000)},       {"ns", INT64_C(1)},
		{"h", INT64_C(3600000000000)}, {"m", INT64_C(60000000000)}, {"s", INT64_C(1000000000)},
	};
	int64_t total_ns = 0;

	do
	{
		int64_t whole = 0;
		int64_t fraction = 0;
		int64_t of = 1;
		size_t digits = 0;
		size_t unit = 0;

		for (; cron_is_digit(*text); text++, digits++)
		{
			if (whole > INT64_C(1000000000000))
				return false;
			whole = whole * 10 + (*text - '0');
		}
		if (*text == '.')
			for (text++; cron_is_digit(*text); text++, digits++)
				if (of < 1000000)
				{
					fraction = fraction * 10 + (*text - '0');
					of *= 10;
				}
		while (unit < sizeof(units) / sizeof(units[0]) &&
			   strncmp(text, units[unit].name, strlen(units[unit].name)) != 0)
			unit++;
		if (digits == 0 || unit == sizeof(units) / sizeof(units[0]) ||
			whole > (INT64_MAX - total_ns) / units[unit].ns - 1)
			return false;
		total_ns += whole * units[unit].ns + fraction * (units[unit].ns / of) +
					fraction * (units[unit].ns % of) / of;
		text += strlen(units[unit].name);
	} while (*text != '\0');
	*out_s = total_ns < 1000000000 ? 1 : total_ns / 1000000000;
	return true;
}

static bool
cron_descriptor(const char *text, FhaCron *out, char why[FHA_SENTENCE_SIZE])
{
	static const struct
	{
		const char *name;
		const char *meaning;
	} names[] = {
		{"@yearly", "0 0 0 1 1 *"}, {"@annually", "0 0 0 1 1 *"}, {"@monthly", "0 0 0 1 * *"},
		{"@weekly", "0 0 0 * * 0"}, {"@daily", "0 0 0 * * *"},    {"@midnight", "0 0 0 * * *"},
		{"@hourly", "0 0 * * * *"},
	};
	static const char every[] = "@every ";
	CronText said = {why, 0};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i].name) == 0)
		{
			bool known = fha_cron_parse(names[i].meaning, out, why);

			out->field_count = 0;
			return known;
		}
	if (strncmp(text, every, sizeof(every) - 1) == 0)
	{
		if (cron_duration(text + sizeof(every) - 1, &out->every_s))
			return true;
		cron_say_word(&said, "what follows @every is no length of time as 12h or 1h30m");
		return false;
	}
	cron_say_word(&said, "\"");
	cron_say(&said, text, strlen(text) > 40 ? 40 : strlen(text));
	cron_say_word(&said, "\" is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, "
						 "@hourly and @every");
	return false;
}

bool
fha_cron_parse(const char *text, FhaCron *out, char why[FHA_SENTENCE_SIZE])
{
	CronText said = {why, 0};

	*out = (FhaCron){0};
	why[0] = '\0';
	if (text[0] == '@')
		return cron_descriptor(text, out, why);
	for (;;)
	{
		size_t size;

		text += strspn(text, blanks);
		if (*text == '\0')
			break;
		size = strcspn(text, blanks);
		if (out->field_count == FHA_CRON_FIELDS)
		{
			cron_say_word(&said, "it has more than six fields: second, minute, hour, day of the "
								 "month, month, weekday");
			return false;
		}
		if (!cron_field(out, out->field_count, text, size, why))
			return false;
		out->field_count++;
		text += size;
	}
	if (out->field_count < WEEKDAY)
	{
		cron_say_word(&said, "the ");
		cron_say_word(&said, fields[out->field_count].name);
		cron_say_word(&said,
					  " is missing: it has six fields, which are second, minute, hour, day of "
					  "the month, month, weekday");
		return false;
	}
	if (out->field_count == WEEKDAY)
	{
		out->bits[WEEKDAY] = 0x7F;
		out->any[WEEKDAY] = true;
	}
	return true;
}

/* --- the next time */

static bool
cron_has(const FhaCron *cron, int field, int number)
{
	return (cron->bits[field] >> number & 1) != 0;
}

static bool
cron_has_day(const FhaCron *cron, const FhaDate *date)
{
	bool day = cron_has(cron, DAY, date->day);
	bool weekday = cron_has(cron, WEEKDAY, date->weekday);

	return cron->any[DAY] || cron->any[WEEKDAY] ? day && weekday : day || weekday;
}

/* The first number from `from` on; -1: there is none. */
static int
cron_first(const FhaCron *cron, int field, int from)
{
	for (int i = from; i <= (int) fields[field].last; i++)
		if (cron_has(cron, field, i))
			return i;
	return -1;
}

/* The first time of day from the date's own on. */
static bool
cron_time_of_day(const FhaCron *cron, FhaDate *date)
{
	int second = cron_first(cron, SECOND, date->second);
	int minute = cron_first(cron, MINUTE, second < 0 ? date->minute + 1 : date->minute);
	int hour;

	if (minute != date->minute)
		second = cron_first(cron, SECOND, 0);
	hour = cron_first(cron, HOUR, minute < 0 ? date->hour + 1 : date->hour);
	if (hour != date->hour)
	{
		minute = cron_first(cron, MINUTE, 0);
		second = cron_first(cron, SECOND, 0);
	}
	date->second = second;
	date->minute = minute;
	date->hour = hour;
	return hour >= 0;
}

int64_t
fha_cron_next(const FhaCron *cron, int64_t after_s)
{
	FhaDate date;
	int last_year;

	if (after_s < FHA_DATE_FIRST_S || after_s >= FHA_DATE_LAST_S)
		return -1;
	if (cron->every_s > 0)
		return cron->every_s > FHA_DATE_LAST_S - after_s ? -1 : after_s + cron->every_s;
	date = fha_date_of(after_s + 1);
	last_year = date.year + SEARCHED_YEARS;
	while (date.year <= last_year && date.year <= 9999)
	{
		FhaDate at = date;

		if (cron_has(cron, MONTH, date.month) && cron_has_day(cron, &date) &&
			cron_time_of_day(cron, &at))
			return fha_date_seconds(&at);
		date.hour = 0;
		date.minute = 0;
		date.second = 0;
		date.weekday = (date.weekday + 1) % 7;
		if (++date.day > fha_date_month_days(date.year, date.month))
		{
			date.day = 1;
			if (++date.month > 12)
			{
				date.month = 1;
				date.year++;
			}
		}
	}
	return -1;
}
