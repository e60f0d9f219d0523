/*
 * upload.h: a stream becomes an object of a store: by one call if it fits into a part, else by several parts at a time.
 *
 * The store's calls go on by themselves after a cut, for as long as the upload is patient.
 * Until the object is complete, nothing of it can be read. An upload that was begun and given up stays in the store: remove.h.
 */
#ifndef FHA_BACKUP_UPLOAD_H
#define FHA_BACKUP_UPLOAD_H

#include <stdint.h>

#include "backup/stream.h"
#include "store/store.h"

typedef struct FhaUpload FhaUpload;

typedef struct FhaUploadSettings
{
	const char *key;     /* copied */
	size_t part_size;    /* in bytes; FHA_STORE_PART_MIN at least */
	size_t part_count;   /* buffers of that size: one is filled while the others are sent */
	int64_t patience_ms; /* how long a call is tried again */
} FhaUploadSettings;

/* Sends nothing yet.  NO_MEMORY; INVALID: the key. */
FHA_MUST_CHECK FhaCode fha_upload_open(FhaUpload **out, FhaStore *store,
									   const FhaUploadSettings *settings, FhaError *err);

/*
 * Take what the stream has, and start calls.  OK: the object is in the store, whole and durable.
 * AGAIN: until the stream has more, or fha_upload_answer has told an answer.
 * Else as the stream fails; INVALID: more than FHA_STORE_PARTS_MAX parts; or as the store refuses, with the key in the text.
 */
FHA_MUST_CHECK FhaCode fha_upload_step(FhaUpload *upload, FhaStream *from, FhaError *err);

/* An answer of the store whose owner is the upload; valid until the next step. */
void fha_upload_answer(FhaUpload *upload, const FhaStoreAnswer *answer);

/* Bytes taken of the stream. */
uint64_t fha_upload_taken(const FhaUpload *upload);
/* Bytes of them that the store has confirmed. */
uint64_t fha_upload_stored(const FhaUpload *upload);

/* Cancels its calls.  NULL is allowed. */
void fha_upload_close(FhaUpload *upload);

#endif
