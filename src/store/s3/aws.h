/*
 * aws.h: credentials from what AWS gives to a machine, a container or a pod.
 *
 * One source, by the first of these that the environment names:
 * 1. keys: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN;
 * 2. web identity, as EKS gives it to a pod with a role: AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME,
 *    asked of STS in AWS_REGION or AWS_DEFAULT_REGION, or at AWS_ENDPOINT_URL_STS;
 * 3. the container's agent, of ECS and of EKS pod identity: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI,
 *    AWS_CONTAINER_AUTHORIZATION_TOKEN or _TOKEN_FILE;
 * 4. a machine's metadata service (IMDSv2, never v1), or AWS_EC2_METADATA_SERVICE_ENDPOINT, unless AWS_EC2_METADATA_DISABLED.
 */
#ifndef FHA_STORE_S3_AWS_H
#define FHA_STORE_S3_AWS_H

#include "store/s3/credentials.h"

/* The environment's words, not copied; NULL or "": not set. */
typedef struct FhaAwsEnvironment
{
	const char *access, *secret, *session;
	const char *token_file, *role, *role_session, *sts_endpoint, *region;
	const char *relative_uri, *full_uri, *agent_token, *agent_token_file;
	const char *metadata_endpoint, *metadata_disabled;
} FhaAwsEnvironment;

/* Of this process. */
void fha_aws_environment(FhaAwsEnvironment *out);

/* NULL: none yet, or of the session: none. */
typedef struct FhaAwsKeys
{
	char *access;
	char *secret;
	char *session;
} FhaAwsKeys;

void fha_aws_keys_release(FhaAwsKeys *keys);

typedef enum FhaAwsKind
{
	FHA_AWS_KEYS,
	FHA_AWS_WEB_IDENTITY,
	FHA_AWS_CONTAINER,
	FHA_AWS_METADATA
} FhaAwsKind;

typedef struct FhaAws
{
	FhaAwsEnvironment environment;
	FhaAwsKind kind;
	unsigned step;
	FhaText token; /* of the metadata service */
	FhaText role;
	FhaAwsKeys keys;
} FhaAws;

/* *environment is copied, and its texts stay.  INVALID: nothing can come of it. */
FHA_MUST_CHECK FhaCode fha_aws_open(FhaAws *aws, const FhaAwsEnvironment *environment,
									FhaError *err);
void fha_aws_close(FhaAws *aws);

/* Its owner is a FhaAws, of another kind than FHA_AWS_KEYS. */
extern const FhaCredentialsSource fha_aws_source;

#endif
