/*
 * compare.h: is an object of the archive the file that lies in pg_wal?  Its bytes come as they are read from the store.
 *
 * It may be compressed in any way that is read here, and sealed with any of the keys.
 */
#ifndef FHA_BACKUP_COMPARE_H
#define FHA_BACKUP_COMPARE_H

#include "backup/seal.h"
#include "backup/wal_source.h"

typedef struct FhaCompare FhaCompare;

/*
 * keys: NULL: there are none.  NOT_FOUND, INVALID, IO as fha_wal_source_open; NO_MEMORY.
 * CONFLICT: the object is sealed, and there are no keys.
 */
FHA_MUST_CHECK FhaCode fha_compare_open(FhaCompare **out, int directory, const char *name,
										const FhaWalRules *rules, const FhaObjectName *object,
										const char *key, const FhaSealKeys *keys, FhaError *err);

/* NULL is allowed. */
void fha_compare_close(FhaCompare *compare);

/* The next bytes of the object, all of which it takes: as a FhaStoreTake. */
size_t fha_compare_take(const char *data, size_t size, void *compare);

/* Is it known already that the object is another one?  Then no more bytes are needed. */
bool fha_compare_is_decided(const FhaCompare *compare);

/*
 * All bytes came, or it is decided.  OK: the content is that of the file, whose identity *identity is then.
 * CONFLICT: it is other content, or damaged, or no key opens it; the text names both and says what to do.
 * IO, NO_MEMORY: it could not be compared.
 */
FHA_MUST_CHECK FhaCode fha_compare_end(FhaCompare *compare, FhaWalIdentity *identity,
									   FhaError *err);

#endif
