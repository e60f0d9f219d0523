/*
 * unpack.h: the way back of an object in the layout: unseal, then decompress, as its name says.
 */
#ifndef FHA_BACKUP_UNPACK_H
#define FHA_BACKUP_UNPACK_H

#include "backup/layout.h"
#include "backup/seal.h"
#include "backup/stream.h"

/*
 * name: what fha_layout_parse makes of the object's key.  keys: NULL, or copied.  key: the object's, and copied.
 * DENIED: it is sealed, and there are no keys.  NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_unpack_open(FhaStream **out, const FhaObjectName *name,
									   const FhaSealKeys *keys, const char *key, FhaError *err);

#endif
