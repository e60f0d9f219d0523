/*
 * document.h: a catalogue, and what a retention policy makes of it, as one JSON document for programs.
 */
#ifndef FHA_BACKUP_DOCUMENT_H
#define FHA_BACKUP_DOCUMENT_H

#include "backup/catalogue.h"
#include "backup/retention.h"

/*
 * plan: of this catalogue.  *out is to be freed.  NO_MEMORY.
 * docs/reference.md describes its keys; times are those of fha_backup_time_print, and what is not known is left out.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_backup_document(const FhaCatalogue *catalogue,
												   const FhaRetention *plan, char **out,
												   FhaError *err);

#endif
