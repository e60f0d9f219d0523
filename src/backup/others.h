/*
 * others.h: which WAL files the archive has under another key than the one that is written here, as after a change of the compression.
 *
 * One file must not lie there twice, because each reader would take another one of the two.  The store refuses a key that exists; of
 * the other keys a listing tells.  A directory of the archive is listed before its first file; a history file, which is in none, by itself.
 */
#ifndef FHA_BACKUP_OTHERS_H
#define FHA_BACKUP_OTHERS_H

#include <stdbool.h>
#include <stdint.h>

#include "backup/layout.h"
#include "store/store.h"

#define FHA_OTHERS_MAX 16384 /* of a directory, which has 4096 segments at the most */
/* A listing is taken for good for so long; other members write rarely, and with the same settings. */
#define FHA_OTHERS_GOOD_MS INT64_C(600000)

typedef struct FhaOthers FhaOthers;

typedef struct FhaOthersSettings
{
	FhaStore *store;            /* open for longer than this; its LISTs are all of this one */
	const char *server;         /* copied; valid */
	FhaCompression compression; /* what is written here */
	bool encrypted;
	int64_t patience_ms; /* of a page's listing */
} FhaOthersSettings;

/* NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_others_open(FhaOthers **out, const FhaOthersSettings *settings,
									   FhaError *err);

/* NULL is allowed.  Its calls end with the store. */
void fha_others_close(FhaOthers *others);

/*
 * OK: *found: is the file there under another key?  Then *name says which.  AGAIN: that is being listed.
 * Else why it could not be listed, until fha_others_retry.
 */
FHA_MUST_CHECK FhaCode fha_others_find(FhaOthers *others, const FhaWalFile *file, bool *found,
									   FhaObjectName *name, FhaError *err);

/* The end of a LIST. */
void fha_others_answer(FhaOthers *others, const FhaStoreAnswer *answer);

/* What could not be listed may be tried again. */
void fha_others_retry(FhaOthers *others);

/* What was found was not there any more: it is listed again. */
void fha_others_forget(FhaOthers *others, const FhaWalFile *file);

/* Is a listing between two tries?  *why: how the last one failed. */
bool fha_others_trouble(const FhaOthers *others, FhaError *why);

#endif
