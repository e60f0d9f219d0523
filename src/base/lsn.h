/*
 * lsn.h: positions in the WAL as text, and the names of its files.
 */
#ifndef FHA_BASE_LSN_H
#define FHA_BASE_LSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api.h"
#include "core/sizes.h"

/* "16/B374D848" and back; parse returns false on anything else. */
FHA_API void fha_lsn_print(uint64_t lsn, char *out, size_t size);
FHA_API bool fha_lsn_parse(const char *text, uint64_t *out);

/* Of a file in pg_wal: 24 digits, or 8 and ".history". */

/* The segment of that timeline in which `position` lies; segment_size: in bytes. */
FHA_API void fha_segment_name(uint32_t timeline, uint64_t position, uint64_t segment_size,
							  char out[FHA_WAL_NAME_SIZE]);

/*
 * *number: the segment's first byte divided by segment_size; NULL: not wanted, and segment_size does
 * not count.  false: no segment has such a name.
 */
FHA_API bool fha_segment_parse(const char *name, uint64_t segment_size, uint32_t *timeline,
							   uint64_t *number);

/* The history file of a timeline, and back. */
FHA_API void fha_timeline_history_name(uint32_t timeline, char out[FHA_WAL_NAME_SIZE]);
FHA_API bool fha_timeline_history_parse(const char *name, uint32_t *timeline);

#endif
