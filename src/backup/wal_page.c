/*
 * wal_page.c: what the first page of a segment says.  See backup/wal_page.h.
 */
#include "backup/wal_page.h"

#include <inttypes.h>
#include <string.h>

#define SEGMENT_SIZE_MIN (UINT64_C(1) << 20)
#define SEGMENT_SIZE_MAX (UINT64_C(1) << 30)
#define LONG_HEADER 0x0002
/* The upper half of the magic number is that of PostgreSQL 13 and up; the lower one is a version's. */
#define MAGIC_UPPER 0xD100

static uint64_t
wal_page_number(const char *bytes, size_t size)
{
	uint64_t number = 0;

	memcpy(&number, bytes, size); /* WAL is in the byte order of its machine, and of no other */
	return number;
}

FhaCode
fha_wal_page_check(const FhaWalRules *rules, const FhaWalFile *file, const char *name,
				   const char page[FHA_WAL_PAGE_SIZE], uint64_t size, FhaError *err)
{
	uint64_t magic = wal_page_number(page, 2);
	uint64_t info = wal_page_number(page + 2, 2);
	uint64_t page_timeline = wal_page_number(page + 4, 4);
	uint64_t address = wal_page_number(page + 8, 8);
	uint64_t systemid = wal_page_number(page + 24, 8);
	uint64_t segment_size = wal_page_number(page + 32, 4);

	if (size < FHA_WAL_PAGE_SIZE)
		return fha_error(err, FHA_INVALID, "%s has only %" PRIu64 " bytes", name, size);
	if ((magic & 0xFF00) != MAGIC_UPPER || (info & LONG_HEADER) == 0)
		return fha_error(err, FHA_INVALID, "%s does not begin as a segment of WAL does", name);
	if (segment_size < SEGMENT_SIZE_MIN || segment_size > SEGMENT_SIZE_MAX ||
		(segment_size & (segment_size - 1)) != 0 ||
		(rules->segment_size != 0 && segment_size != rules->segment_size))
		return fha_error(err, FHA_INVALID, "%s is of segments of %" PRIu64 " bytes", name,
						 segment_size);
	if (size != segment_size)
		return fha_error(err, FHA_INVALID, "%s has %" PRIu64 " bytes instead of %" PRIu64, name,
						 size, segment_size);
	if (rules->systemid != 0 && systemid != rules->systemid)
		return fha_error(err, FHA_INVALID,
						 "%s is of the system %" PRIu64 ", and this one is %" PRIu64, name,
						 systemid, rules->systemid);
	/* The first segment of a timeline begins with a copy of the one before. */
	if (page_timeline == 0 || page_timeline > file->timeline ||
		address != ((uint64_t) file->log << 32) + file->segment * segment_size)
		return fha_error(err, FHA_INVALID,
						 "%s says of itself that it is of timeline %" PRIu64 " at %" PRIX64
						 "/%" PRIX64,
						 name, page_timeline, address >> 32, address & UINT32_MAX);
	return FHA_OK;
}
