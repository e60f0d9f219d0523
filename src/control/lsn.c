/*
 * lsn.c: positions in the WAL as text.  See lsn.h.
 */
#include "lsn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
