/*
 * identity.h: who we are to a store, as the settings say: keys, or a token, that may change at any time.
 */
#ifndef FHA_STORE_S3_IDENTITY_H
#define FHA_STORE_S3_IDENTITY_H

#include "base/secret.h"
#include "store/s3/aws.h"
#include "store/s3/google.h"
#include "store/settings.h"

typedef enum FhaS3Who
{
	FHA_S3_NOBODY, /* requests are not signed */
	FHA_S3_KEYS,   /* of the settings, or of files that they name */
	FHA_S3_AWS,
	FHA_S3_GOOGLE
} FhaS3Who;

/* What one request is signed with.  NULL: there is none. */
typedef struct FhaS3Keys
{
	const char *access;
	const char *secret;
	const char *session;
	const char *bearer;
	unsigned generation;
} FhaS3Keys;

typedef struct FhaS3Identity
{
	FhaS3Who who;
	FhaSecret access, secret, session;
	FhaAws aws;
	char google_path[FHA_PATH_SIZE]; /* of the file of credentials; "": none */
	struct stat google_seen;
	FhaGoogle google;
	FhaCredentials credentials;
	unsigned generation; /* one more whenever files have brought something else */
} FhaS3Identity;

/* *identity is zero before.  INVALID, NOT_FOUND, IO, NO_MEMORY; it is closed in any case. */
FHA_MUST_CHECK FhaCode fha_s3_identity_open(FhaS3Identity *identity,
											const FhaStoreSettings *settings, FhaHttpClient *client,
											FhaError *err);
void fha_s3_identity_close(FhaS3Identity *identity);

/* OK: *out, whose texts stay until the next want.  Else as fha_credentials_want.  ca: for requests for credentials. */
FHA_MUST_CHECK FhaCode fha_s3_identity_want(FhaS3Identity *identity, const char *ca, FhaS3Keys *out,
											FhaError *err);

/* The store has refused the keys of this generation.  Are there others, or will there be? */
bool fha_s3_identity_refused(FhaS3Identity *identity, unsigned generation);

/* The region that the surroundings name; "" if they do not. */
const char *fha_s3_identity_region(const FhaS3Identity *identity);

#endif
