/*
 * s3.h: the driver of S3, and of Google's store by its XML API, between its files.
 *
 * A try is one request, or a few in a row: a key is looked up before it is created where a store knows no
 * condition; keys are deleted one by one where a store cannot take a list; a bucket is looked up once
 * before a HEAD's 404 is believed, because a bucket that is not there is no proof that an object is not.
 */
#ifndef FHA_STORE_S3_S3_H
#define FHA_STORE_S3_S3_H

#include "store/driver.h"
#include "store/http_call.h"
#include "store/s3/identity.h"

typedef enum FhaS3Step
{
	FHA_S3_MAIN,   /* what was asked */
	FHA_S3_LOOK,   /* is there an object, before it is created weakly? */
	FHA_S3_BUCKET, /* is there a bucket, before an object is said to be absent? */
	FHA_S3_SIZE    /* how large is the object in which a range does not begin? */
} FhaS3Step;

typedef enum FhaS3TryState
{
	FHA_S3_WAITS, /* to be sent, perhaps for credentials */
	FHA_S3_SENT,
	FHA_S3_ENDED
} FhaS3TryState;

typedef struct FhaS3 FhaS3;

typedef struct FhaS3Try
{
	struct FhaS3Try *next;
	FhaS3 *s3;
	FhaStoreCall *call;
	FhaS3TryState state;
	FhaS3Step step;
	bool looked;    /* nothing stood there */
	bool applied;   /* a request of a row before this one may have changed something */
	size_t deleted; /* of the keys, one by one */
	bool one_by_one;
	FhaHttpCall http;
	FhaText url;
	FhaText body;
	int64_t signed_s;    /* the time that the request names */
	unsigned generation; /* of the keys */
	uint64_t at;         /* GET: of the next byte in the object */
	uint64_t first;      /* GET: where it began; and what was asked for, 0: to the end */
	uint64_t length;
} FhaS3Try;

struct FhaS3
{
	FhaStore store;
	FhaHttpClient client;
	FhaSecret ca;
	FhaS3Identity identity;
	FhaS3Try *tries;
	bool google;
	char base[FHA_URL_SIZE + FHA_STORE_BUCKET_SIZE]; /* of urls: scheme and host */
	char region[FHA_STORE_REGION_SIZE];              /* "": of none that is known */
	bool region_found;                               /* it was said by the store */
	int64_t offset_s; /* of the store's clock to ours; 0: ours is right enough */
	bool bucket_seen;
	bool knows_no_condition; /* it said so */
	bool lists_encoded;      /* keys in lists are to come encoded */
};

/* Where requests go: base, from the settings and the region. */
FHA_MUST_CHECK FhaCode fha_s3_address(FhaS3 *s3, FhaError *err);

/* The request of the try's step.  AGAIN: credentials are on their way.  Else: why nothing was sent. */
FHA_MUST_CHECK FhaCode fha_s3_send(FhaS3Try *attempt, FhaError *err);

/*
 * A request of the try has ended: what follows?  OK: the try has ended, and call->result says how.
 * AGAIN: it goes on with its step.
 */
FHA_MUST_CHECK FhaCode fha_s3_settle(FhaS3Try *attempt);

/* A GET's head and bytes; owner: its try. */
bool fha_s3_headed(FhaHttpCall *http);
size_t fha_s3_take(const char *data, size_t size, void *owner);

#endif
