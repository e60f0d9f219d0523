/*
 * settings.h: which object store, where it is, and who we are to it.
 *
 * "s3://BUCKET[/PREFIX]", "gs://BUCKET[/PREFIX]", "https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX]",
 * "https://HOST[:PORT]/ACCOUNT/CONTAINER[/PREFIX]" with FHA_STORE_AZURE chosen (an emulator), "dir:/absolute/path".
 *
 * A secret has no place in a url, and a url with one is refused: users, "?" and "#".
 */
#ifndef FHA_STORE_SETTINGS_H
#define FHA_STORE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "core/sizes.h"

#define FHA_STORE_KEY_SIZE 1025   /* prefix, '/' and key */
#define FHA_STORE_BUCKET_SIZE 256 /* bucket or container; Azure's account */
#define FHA_STORE_ACCESS_SIZE 257 /* the name that goes with a secret */
#define FHA_STORE_SECRET_MAX (64 * 1024)

typedef enum FhaStoreKind
{
	FHA_STORE_S3,
	FHA_STORE_AZURE,
	FHA_STORE_GCS,
	FHA_STORE_DIR,
	FHA_STORE_KINDS
} FhaStoreKind;

/* Who we are.  A kind of store takes some of these; its driver's open refuses the others as INVALID. */
typedef enum FhaStoreIdentity
{
	FHA_STORE_BY_NOTHING, /* dir; a public bucket */
	FHA_STORE_BY_KEY, /* S3, GCS's HMAC: access, secret, token.  Azure: account and secret, its key in base64 */
	FHA_STORE_BY_SAS,               /* Azure: secret is the token, without '?' */
	FHA_STORE_BY_CONNECTION_STRING, /* Azure: secret */
	FHA_STORE_BY_SERVICE_ACCOUNT,   /* GCS: secret is the JSON file */
	FHA_STORE_BY_SURROUNDINGS /* what the machine or pod is given: environment, web identity, container, metadata server */
} FhaStoreIdentity;

/*
 * A text that is not printed.  With a file, the text is read from it, and again when the file changes.
 * Both empty: there is none.
 */
typedef struct FhaStoreSecret
{
	char *text;
	char file[FHA_PATH_SIZE];
} FhaStoreSecret;

typedef struct FhaStoreSettings
{
	FhaStoreKind kind;
	char bucket[FHA_STORE_BUCKET_SIZE];  /* Azure: the container */
	char account[FHA_STORE_BUCKET_SIZE]; /* Azure */
	char prefix[FHA_STORE_KEY_SIZE];     /* "": none; without '/' at its ends */
	char path[FHA_PATH_SIZE];            /* dir */
	char endpoint
		[FHA_URL_SIZE]; /* "https://host[:port]", without '/' at its end; "": the usual one */
	char ca_file[FHA_PATH_SIZE];        /* certificates in PEM; "": the system's */
	char region[FHA_STORE_REGION_SIZE]; /* S3; "": found out, or us-east-1 */
	bool path_style;                    /* S3: https://endpoint/bucket/key */
	FhaStoreIdentity identity;
	FhaStoreSecret access; /* the key's name; a secret, because a file may give it */
	FhaStoreSecret secret;
	FhaStoreSecret token; /* S3: of a session */
} FhaStoreSettings;

/*
 * The url's part of *out: kind, bucket, account, prefix, path, endpoint (Azure, and an http: or https: url).
 * The rest stays as it is, so a zeroed struct is good.  INVALID says what is allowed, and repeats nothing behind a '?' or before a '@'.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_store_url_parse(FhaStoreSettings *out, const char *url,
												   FhaError *err);

/* The url again, without any secret. */
FHA_API void fha_store_url_print(const FhaStoreSettings *settings, char *out, size_t size);

/* A secret of its own; both are released.  NO_MEMORY; then *out is zero. */
FHA_API FHA_MUST_CHECK FhaCode fha_store_settings_copy(FhaStoreSettings *out,
													   const FhaStoreSettings *from, FhaError *err);

/* Overwrites the secrets.  Zero afterwards. */
FHA_API void fha_store_settings_release(FhaStoreSettings *settings);

#endif
