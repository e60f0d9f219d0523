/*
 * lsn.c: positions in the WAL as text.  See lsn.h.
 */
#include "base/lsn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Segments are counted within 4 GB, as in the text of an LSN. */
#define COUNTED_WITHIN UINT64_C(0x100000000)

static const char capitals[] = "0123456789ABCDEF";

void
fha_lsn_print(uint64_t lsn, char *out, size_t size)
{
	(void) snprintf(out, size, "%" PRIX32 "/%" PRIX32, (uint32_t) (lsn >> 32), (uint32_t) lsn);
}

bool
fha_lsn_parse(const char *text, uint64_t *out)
{
	static const char digits[] = "0123456789ABCDEFabcdef";
	size_t high = strspn(text, digits);
	size_t low;

	if (high < 1 || high > 8 || text[high] != '/')
		return false;
	low = strspn(text + high + 1, digits);
	if (low < 1 || low > 8 || text[high + 1 + low] != '\0')
		return false;
	*out = (strtoull(text, NULL, 16) << 32) | strtoull(text + high + 1, NULL, 16);
	return true;
}

void
fha_segment_name(uint32_t timeline, uint64_t position, uint64_t segment_size,
				 char out[FHA_WAL_NAME_SIZE])
{
	uint64_t in_each = COUNTED_WITHIN / segment_size;
	uint64_t number = position / segment_size;

	(void) snprintf(out, FHA_WAL_NAME_SIZE, "%08" PRIX32 "%08" PRIX32 "%08" PRIX32, timeline,
					(uint32_t) (number / in_each), (uint32_t) (number % in_each));
}

bool
fha_segment_parse(const char *name, uint64_t segment_size, uint32_t *timeline, uint64_t *number)
{
	unsigned id;
	unsigned part;

	if (strlen(name) != 24 || strspn(name, capitals) != 24 ||
		sscanf(name, "%8" SCNx32 "%8X%8X", timeline, &id, &part) != 3)
		return false;
	if (number != NULL)
		*number = (uint64_t) id * (COUNTED_WITHIN / segment_size) + part;
	return true;
}

void
fha_timeline_history_name(uint32_t timeline, char out[FHA_WAL_NAME_SIZE])
{
	(void) snprintf(out, FHA_WAL_NAME_SIZE, "%08" PRIX32 ".history", timeline);
}

bool
fha_timeline_history_parse(const char *name, uint32_t *timeline)
{
	if (strspn(name, capitals) != 8 || strcmp(name + 8, ".history") != 0)
		return false;
	*timeline = (uint32_t) strtoul(name, NULL, 16);
	return true;
}
