/*
 * tar_filter.h: a stream that makes of BASE_BACKUP's archives what barman's restore and ours can use.
 *
 * - tablespace_map goes, and so do the links in pg_tblspc: with them a restore elsewhere would write into the tablespaces of
 *   the server that was backed up.  backup.info says what there was.
 * - standby.signal goes, which a standby sends: a restore would never end its recovery.
 * - backup_label comes last: without it a half restore could be started, and would lack WAL.
 * - backup_manifest, if there is one, goes; it is given to who asked for it.
 * - All else stays as it is and where it is; pg_control is the last of the data directory's files already.
 */
#ifndef FHA_BACKUP_TAR_FILTER_H
#define FHA_BACKUP_TAR_FILTER_H

#include <stdint.h>

#include "backup/backup_info.h"
#include "backup/stream.h"
#include "backup/tar.h"

typedef struct FhaTarFilterSettings
{
	/* The data directory's archive, which must have a backup_label and, last, pg_control.  Else a tablespace's. */
	bool is_data_directory;
	/* An archive as large as this ends before the next entry, and another one goes on; 0: there is only one. */
	uint64_t archive_size;
	/* Bytes of backup_manifest, in order; NULL: nobody wants them. */
	void (*take_manifest)(const char *data, size_t size, void *owner);
	void *owner;
} FhaTarFilterSettings;

/* What has passed so far. */
typedef struct FhaTarFilterCount
{
	uint64_t files;
	uint64_t bytes; /* of their contents */
} FhaTarFilterCount;

/*
 * Fails as fha_tar_next.  INVALID, too: no backup_label, or one above FHA_BACKUP_LABEL_MAX; no pg_control, or files behind it.
 * NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_tar_filter_open(FhaStream **out, const FhaTarFilterSettings *settings,
										   FhaError *err);

/*
 * At the end of what came out: is it the end of an archive among several?  After fha_tar_filter_go_on the next one comes out, and
 * the input goes on where it was.  Each is an archive of its own; the last one has pg_control and backup_label.
 */
bool fha_tar_filter_is_cut(const FhaStream *filter);
void fha_tar_filter_go_on(FhaStream *filter);

FhaTarFilterCount fha_tar_filter_count(const FhaStream *filter);

/* backup_label's text, once it has passed; "" before.  Until the filter is closed. */
const char *fha_tar_filter_label(const FhaStream *filter);

#endif
