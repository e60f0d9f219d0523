/*
 * lsn.h: positions in the WAL as text, and the names of its files.
 */
#ifndef FHA_LSN_H
#define FHA_LSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api.h"

/* "16/B374D848" and back; parse returns false on anything else. */
#define FHA_LSN_TEXT_SIZE 18
FHA_API void fha_lsn_print(uint64_t lsn, char *out, size_t size);
FHA_API bool fha_lsn_parse(const char *text, uint64_t *out);

#endif
