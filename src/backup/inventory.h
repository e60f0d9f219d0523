/*
 * inventory.h: a store is read into a catalogue.
 */
#ifndef FHA_BACKUP_INVENTORY_H
#define FHA_BACKUP_INVENTORY_H

#include <stdint.h>

#include "backup/catalogue.h"
#include "backup/seal.h"
#include "store/store.h"

/*
 * What there is of the server, each backup.info, keep and history read, and finished.
 *
 * server: valid.  keys: for history files that are sealed; NULL: there are none, and such a timeline is one without a history.
 * now_s: seconds since 1970.  The store has no other call under way.
 * What vanishes while it is read was deleted by another, and counts as not there.
 * Errors are those of the store, PROTOCOL of the catalogue's limits, and NO_MEMORY.  *out is to be freed after OK alone.
 * Waits for the store, until deadline_at_ms (on fha_now_ms) at the latest.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_inventory_read(FhaCatalogue **out, FhaStore *store,
												  const char *server, const FhaSealKeys *keys,
												  int64_t now_s, int64_t deadline_at_ms,
												  FhaError *err);

#endif
