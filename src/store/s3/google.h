/*
 * google.h: tokens for Google Cloud Storage.
 *
 * From a file of credentials in JSON, or from the metadata server of a machine or of a pod (workload identity
 * of GKE).  The file is of one of these types:
 * service_account   a key, with which a request for a token is signed (RFC 7523);
 * external_account  workload identity federation: a token in a file is exchanged (RFC 8693), then, if the file
 *                   names a service account, for one of that;
 * authorized_user   a refresh token, as gcloud leaves it.
 */
#ifndef FHA_STORE_S3_GOOGLE_H
#define FHA_STORE_S3_GOOGLE_H

#include "base/secret.h"
#include "store/s3/credentials.h"

typedef enum FhaGoogleKind
{
	FHA_GOOGLE_METADATA,
	FHA_GOOGLE_SERVICE_ACCOUNT,
	FHA_GOOGLE_EXTERNAL,
	FHA_GOOGLE_USER
} FhaGoogleKind;

typedef struct FhaGoogle
{
	FhaGoogleKind kind;
	const char *metadata_host; /* "host[:port]", or a url's beginning; not copied */
	/* Of the file. */
	char *token_url;
	char *email;
	char *key; /* in PEM */
	char *key_id;
	char *client, *client_secret, *refresh;
	char *audience, *subject_type, *subject_file, *impersonate_url;

	unsigned step;
	int64_t offset_s; /* of Google's clock to ours */
	bool corrected;   /* in this attempt */
	FhaText federated;
	char *token; /* NULL: none yet */
} FhaGoogle;

/*
 * json: the file's text; NULL: the metadata server, at metadata_host (NULL: GCE_METADATA_HOST or the
 * usual one).  INVALID: what is wrong with the file, without its secrets.  NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_google_open(FhaGoogle *google, const char *json,
									   const char *metadata_host, FhaError *err);
void fha_google_close(FhaGoogle *google);

/* Its owner is a FhaGoogle. */
extern const FhaCredentialsSource fha_google_source;

#endif
