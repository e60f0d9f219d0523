/*
 * retention_policy.c: for how long backups are kept.  See retention_policy.h.
 */
#include "core/retention_policy.h"

#include <stddef.h>
#include <string.h>

#define DAY_S INT64_C(86400)

static const char blanks[] = " \t";

/* At *text, which moves on; false: there is none from 1 to `max`. */
static bool
policy_number(const char **text, unsigned max, unsigned *out)
{
	size_t digits = strspn(*text, "0123456789");
	unsigned number = 0;

	if (digits == 0 || digits > 9)
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (unsigned) ((*text)[i] - '0');
	*text += digits;
	*out = number;
	return number >= 1 && number <= max;
}

/* The word at *text, of letters, in any case; *text moves on behind it and its blanks. */
static bool
policy_word(const char **text, const char *word)
{
	const char *at = *text;

	for (; *word != '\0'; word++, at++)
		/* Letters alone differ from a capital by this bit. */
		if ((*at | 0x20) != *word)
			return false;
	if (*at != '\0' && strchr(blanks, *at) == NULL)
		return false;
	*text = at + strspn(at, blanks);
	return true;
}

static bool
policy_unit(const char **text, unsigned *days)
{
	static const struct
	{
		const char *words[3];
		unsigned days;
	} units[] = {
		{{"d", "day", "days"}, 1},
		{{"w", "week", "weeks"}, 7},
		{{"m", "month", "months"}, 31},
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		for (size_t j = 0; j < 3; j++)
			if (policy_word(text, units[i].words[j]))
			{
				*days = units[i].days;
				return true;
			}
	return false;
}

static bool
policy_refuse(char why[FHA_SENTENCE_SIZE], const char *sentence)
{
	memcpy(why, sentence, strlen(sentence) + 1);
	return false;
}

bool
fha_retention_policy_parse(const char *text, FhaRetentionPolicy *out, char why[FHA_SENTENCE_SIZE])
{
	unsigned number;
	unsigned days;
	bool counts;
	bool window;

	*out = (FhaRetentionPolicy){0};
	why[0] = '\0';
	text += strspn(text, blanks);
	if (*text == '\0')
		return true;
	counts = policy_word(&text, "redundancy");
	window = policy_word(&text, "recovery");
	if (window && (!policy_word(&text, "window") || !policy_word(&text, "of")))
		return policy_refuse(why,
							 "it begins as \"RECOVERY WINDOW OF 30 DAYS\" and does not go on so");
	if (!policy_number(&text, FHA_RETENTION_DAYS_MAX, &number))
		return policy_refuse(
			why, "it is a number from 1 to 36525 with d, w or m, as 30d, 4w or 6m, or a "
				 "number of backups alone");
	text += strspn(text, blanks);
	if (*text == '\0' && !window)
	{
		if (number > FHA_RETENTION_COUNT_MAX)
			return policy_refuse(why, "a number of backups is at most 10000");
		out->count = number;
		return true;
	}
	if (counts || !policy_unit(&text, &days) || *text != '\0')
		return policy_refuse(why, "behind its number there is only d, w or m: days, weeks, months");
	if (number * days > FHA_RETENTION_DAYS_MAX)
		return policy_refuse(why, "a recovery window is at most 36525 days");
	out->window_s = number * days * DAY_S;
	return true;
}
