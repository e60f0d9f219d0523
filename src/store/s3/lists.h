/*
 * lists.h: answers in XML of S3's kind, into a result.
 */
#ifndef FHA_STORE_S3_LISTS_H
#define FHA_STORE_S3_LISTS_H

#include "store/driver.h"

/* `encoded`: the answer was asked for with encoding-type=url. */
FHA_MUST_CHECK FhaCode fha_s3_read_list(const char *body, size_t size, bool encoded,
										const FhaStoreSettings *settings, FhaStoreResult *result,
										FhaError *err);
FHA_MUST_CHECK FhaCode fha_s3_read_uploads(const char *body, size_t size, bool encoded,
										   const FhaStoreSettings *settings, FhaStoreResult *result,
										   FhaError *err);
FHA_MUST_CHECK FhaCode fha_s3_read_parts(const char *body, size_t size, FhaStoreResult *result,
										 FhaError *err);
/* The upload that was begun. */
FHA_MUST_CHECK FhaCode fha_s3_read_begin(const char *body, size_t size, FhaStoreResult *result,
										 FhaError *err);
/* A completed upload: PROTOCOL: the answer does not say that it is. */
FHA_MUST_CHECK FhaCode fha_s3_read_complete(const char *body, size_t size, FhaError *err);
/*
 * Keys that were not deleted: OK: there is none.  AGAIN: the store asks for another try of some.  DENIED,
 * INVALID, IO: the first of the others, with its key.
 */
FHA_MUST_CHECK FhaCode fha_s3_read_deleted(const char *body, size_t size, FhaError *err);

#endif
