/*
 * reason.h: why a store of S3's kind refuses a request, in its answer's words.
 */
#ifndef FHA_STORE_S3_REASON_H
#define FHA_STORE_S3_REASON_H

#include <stdint.h>

#include "store/http_call.h"

typedef enum FhaS3Cause
{
	FHA_S3_CAUSE_CODE,             /* `code` says it all */
	FHA_S3_CAUSE_UNSURE,           /* the store failed, and a write may have been applied */
	FHA_S3_CAUSE_IDENTITY,         /* our keys are not good, or not any more */
	FHA_S3_CAUSE_REGION,           /* the bucket is elsewhere */
	FHA_S3_CAUSE_BUCKET,           /* there is no such bucket */
	FHA_S3_CAUSE_NOT_FOUND,        /* 404 without a word: of a HEAD */
	FHA_S3_CAUSE_RANGE,            /* the range begins behind the object's end */
	FHA_S3_CAUSE_CONDITION,        /* a condition of ours does not hold */
	FHA_S3_CAUSE_UNKNOWN_CONDITION /* the store knows no conditions, or not this one */
} FhaS3Cause;

typedef struct FhaS3Reason
{
	FhaS3Cause cause;
	FhaCode code;
	char word[64];     /* the store's code, as "SlowDown"; "": none */
	char message[130]; /* printable */
	char region[64];   /* that the bucket is in; "": not told */
} FhaS3Reason;

/* status: no 2xx, or an <Error> in spite of that. */
void fha_s3_reason(FhaS3Reason *out, int status, const char *body, size_t size);

#endif
