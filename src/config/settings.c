/*
 * settings.c: who may set what.  See settings.h.
 */
#include "config/settings.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const struct
{
	const char *name;
	unsigned traits;
	bool family; /* all names that begin so */
} rows[] = {
#define FHA_TEXT(name, kind, initial, traits, ...) {FHA_SETTING_PREFIX #name, traits, false},
#define FHA_NUMBER(name, unit, initial, least, most, traits, ...) \
	{FHA_SETTING_PREFIX #name, traits, false},
#define FHA_FLAG(name, initial, traits, ...) {FHA_SETTING_PREFIX #name, traits, false},
#define FHA_SERVER_SETTING(name, traits) {#name, traits, false},
#define FHA_SERVER_FAMILY(name, traits) {#name, traits, true},
#include "config/settings.def"
};

unsigned
fha_setting_traits(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		size_t own = strlen(rows[i].name);

		if ((length == own || (rows[i].family && length > own)) &&
			strncasecmp(name, rows[i].name, own) == 0)
			return rows[i].traits;
	}
	return 0;
}
