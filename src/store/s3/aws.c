/*
 * aws.c: see store/s3/aws.h.
 */
#include "store/s3/aws.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"
#include "store/encode.h"
#include "store/xml.h"

#define AWS_CONTAINER_HOST "http://169.254.170.2"
#define AWS_METADATA_HOST "http://169.254.169.254"
#define AWS_ROLE_BYTES 256

/* --- where credentials come from */

void
fha_aws_environment(FhaAwsEnvironment *out)
{
	const char *region = getenv("AWS_REGION");

	*out = (FhaAwsEnvironment){
		.access = getenv("AWS_ACCESS_KEY_ID"),
		.secret = getenv("AWS_SECRET_ACCESS_KEY"),
		.session = getenv("AWS_SESSION_TOKEN"),
		.token_file = getenv("AWS_WEB_IDENTITY_TOKEN_FILE"),
		.role = getenv("AWS_ROLE_ARN"),
		.role_session = getenv("AWS_ROLE_SESSION_NAME"),
		.sts_endpoint = getenv("AWS_ENDPOINT_URL_STS"),
		.region = region != NULL ? region : getenv("AWS_DEFAULT_REGION"),
		.relative_uri = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		.full_uri = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		.agent_token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
		.agent_token_file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
		.metadata_endpoint = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
		.metadata_disabled = getenv("AWS_EC2_METADATA_DISABLED"),
	};
}

static bool
aws_is_set(const char *word)
{
	return word != NULL && word[0] != '\0';
}

/* A token in clear goes to the machine itself and to the two agents of AWS alone. */
static bool
aws_agent_is_trusted(const char *url)
{
	static const char *const hosts[] = {"127.0.0.1",      "localhost", "169.254.170.2",
										"169.254.170.23", "[::1]",     "[fd00:ec2::23]"};

	if (strncmp(url, "https://", 8) == 0)
		return true;
	if (strncmp(url, "http://", 7) != 0)
		return false;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
	{
		size_t length = strlen(hosts[i]);

		if (strncmp(url + 7, hosts[i], length) == 0 && strchr(":/", url[7 + length]) != NULL)
			return true;
	}
	return false;
}

void
fha_aws_keys_release(FhaAwsKeys *keys)
{
	fha_secret_free(keys->access);
	fha_secret_free(keys->secret);
	fha_secret_free(keys->session);
	memset(keys, 0, sizeof(*keys));
}

static FhaCode
aws_take_keys(FhaAws *aws, FhaError *err)
{
	const FhaAwsEnvironment *from = &aws->environment;

	aws->kind = FHA_AWS_KEYS;
	if (!aws_is_set(from->secret))
		return fha_error(err, FHA_INVALID,
						 "AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY");
	aws->keys.access = strdup(from->access);
	aws->keys.secret = strdup(from->secret);
	aws->keys.session = aws_is_set(from->session) ? strdup(from->session) : NULL;
	if (aws->keys.access == NULL || aws->keys.secret == NULL ||
		(aws->keys.session == NULL && aws_is_set(from->session)))
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	return FHA_OK;
}

FhaCode
fha_aws_open(FhaAws *aws, const FhaAwsEnvironment *environment, FhaError *err)
{
	memset(aws, 0, sizeof(*aws));
	aws->environment = *environment;
	if (aws_is_set(environment->access))
		return aws_take_keys(aws, err);
	if (aws_is_set(environment->token_file))
	{
		aws->kind = FHA_AWS_WEB_IDENTITY;
		if (!aws_is_set(environment->role))
			return fha_error(err, FHA_INVALID,
							 "AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN");
		return FHA_OK;
	}
	if (aws_is_set(environment->relative_uri) || aws_is_set(environment->full_uri))
	{
		aws->kind = FHA_AWS_CONTAINER;
		if (!aws_is_set(environment->relative_uri) && !aws_agent_is_trusted(environment->full_uri))
			return fha_error(err, FHA_INVALID,
							 "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a host of "
							 "this machine or of AWS's agents");
		return FHA_OK;
	}
	aws->kind = FHA_AWS_METADATA;
	if (aws_is_set(environment->metadata_disabled) &&
		strcasecmp(environment->metadata_disabled, "true") == 0)
		return fha_error(err, FHA_INVALID,
						 "no credentials: the environment names none of AWS, and "
						 "AWS_EC2_METADATA_DISABLED forbids to ask the machine's metadata service");
	return FHA_OK;
}

void
fha_aws_close(FhaAws *aws)
{
	fha_text_release(&aws->token);
	fha_text_release(&aws->role);
	fha_aws_keys_release(&aws->keys);
}

/* --- requests */

static void
aws_add_form(FhaText *body, const char *name, const char *value)
{
	fha_text_add_format(body, "%s%s=", body->size == 0 ? "" : "&", name);
	fha_percent_encode(body, value, "");
}

static FhaCode
aws_ask_sts(const FhaAws *aws, FhaCredentialsAsk *out, FhaError *err)
{
	const FhaAwsEnvironment *from = &aws->environment;
	char *token;
	FhaCode code = fha_secret_read(from->token_file, FHA_TOKEN_MAX, &token, NULL, err);

	if (code == FHA_OK)
		code = fha_secret_trim_token(token, from->token_file, err);
	if (code == FHA_OK)
	{
		out->method = "POST";
		fha_text_add(&out->type, "Content-Type: application/x-www-form-urlencoded");
		if (aws_is_set(from->sts_endpoint))
			fha_text_add(&out->url, from->sts_endpoint);
		else if (aws_is_set(from->region))
			fha_text_add_format(&out->url, "https://sts.%s.amazonaws.com%s", from->region,
								strncmp(from->region, "cn-", 3) == 0 ? ".cn" : "");
		else
			fha_text_add(&out->url, "https://sts.amazonaws.com");
		fha_text_add(&out->url, "/");
		aws_add_form(&out->body, "Action", "AssumeRoleWithWebIdentity");
		aws_add_form(&out->body, "Version", "2011-06-15");
		aws_add_form(&out->body, "RoleArn", from->role);
		aws_add_form(&out->body, "RoleSessionName",
					 aws_is_set(from->role_session) ? from->role_session : "fawkes-ha");
		aws_add_form(&out->body, "WebIdentityToken", token);
	}
	fha_secret_free(token);
	return code;
}

static FhaCode
aws_ask_agent(const FhaAws *aws, FhaCredentialsAsk *out, FhaError *err)
{
	const FhaAwsEnvironment *from = &aws->environment;
	FhaCode code = FHA_OK;
	char *token = NULL;

	out->method = "GET";
	if (aws_is_set(from->relative_uri))
		fha_text_add_format(&out->url, "%s%s", AWS_CONTAINER_HOST, from->relative_uri);
	else
		fha_text_add(&out->url, from->full_uri);
	if (aws_is_set(from->agent_token_file))
	{
		code = fha_secret_read(from->agent_token_file, FHA_TOKEN_MAX, &token, NULL, err);
		if (code == FHA_OK)
			code = fha_secret_trim_token(token, from->agent_token_file, err);
	}
	if (code == FHA_OK && (token != NULL || aws_is_set(from->agent_token)))
		fha_text_add_format(&out->header, "Authorization: %s",
							token != NULL ? token : from->agent_token);
	fha_secret_free(token);
	return code;
}

/* A token, then the role's name, then its keys. */
static FhaCode
aws_ask_metadata(const FhaAws *aws, FhaCredentialsAsk *out)
{
	const char *host = aws_is_set(aws->environment.metadata_endpoint)
						   ? aws->environment.metadata_endpoint
						   : AWS_METADATA_HOST;

	out->method = aws->step == 0 ? "PUT" : "GET";
	if (aws->step == 0)
	{
		fha_text_add_format(&out->url, "%s/latest/api/token", host);
		fha_text_add(&out->header, "X-aws-ec2-metadata-token-ttl-seconds: 600");
		return FHA_OK;
	}
	fha_text_add_format(&out->url, "%s/latest/meta-data/iam/security-credentials/", host);
	if (aws->step == 2)
		fha_percent_encode(&out->url, fha_text_string(&aws->role), "");
	fha_text_add_format(&out->header, "X-aws-ec2-metadata-token: %s", fha_text_string(&aws->token));
	return FHA_OK;
}

static FhaCode
aws_ask(void *owner, bool first, FhaCredentialsAsk *out, FhaError *err)
{
	FhaAws *aws = owner;

	if (first)
		aws->step = 0;
	if (aws->kind == FHA_AWS_WEB_IDENTITY)
		return aws_ask_sts(aws, out, err);
	if (aws->kind == FHA_AWS_CONTAINER)
		return aws_ask_agent(aws, out, err);
	return aws_ask_metadata(aws, out);
}

/* --- answers */

static FhaCode
aws_replace_keys(FhaAws *aws, FhaAwsKeys *keys, const char *expires, const FhaHttpCall *call,
				 int64_t *lives_ms, FhaError *err)
{
	int64_t expires_s;
	int64_t now_s = fha_wall_ms() / 1000;

	/* By the clock of the one that gave them, because ours may be wrong. */
	(void) fha_http_call_date(call, &now_s);
	if (keys->access == NULL || keys->secret == NULL || keys->access[0] == '\0' ||
		keys->secret[0] == '\0' || expires == NULL || !fha_iso_time_parse(expires, &expires_s) ||
		expires_s <= now_s)
	{
		fha_aws_keys_release(keys);
		return fha_error(err, FHA_PROTOCOL,
						 "the answer to a request for credentials has none that are valid");
	}
	*lives_ms = 1000 * (expires_s - now_s);
	fha_aws_keys_release(&aws->keys);
	aws->keys = *keys;
	return FHA_OK;
}

static FhaCode
aws_take_json(FhaAws *aws, const FhaHttpCall *call, int64_t *lives_ms, FhaError *err)
{
	struct json_object *object = fha_json_parse(call->body.data, call->body.size, err);
	FhaAwsKeys keys;
	char *expires;
	FhaCode code;

	if (object == NULL)
		return err->code;
	keys = (FhaAwsKeys){.access = fha_credentials_text(object, "AccessKeyId"),
						.secret = fha_credentials_text(object, "SecretAccessKey"),
						.session = fha_credentials_text(object, "Token")};
	expires = fha_credentials_text(object, "Expiration");
	json_object_put(object);
	code = aws_replace_keys(aws, &keys, expires, call, lives_ms, err);
	free(expires);
	return code;
}

/* What an answer of STS has: keys, or why there are none. */
typedef struct StsAnswer
{
	FhaAwsKeys keys;
	char *expires;
	char said[130];
	size_t said_size;
} StsAnswer;

static void
sts_take_element(void *owner, const char *path, const char *text)
{
	static const char head[] =
		"AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/Credentials/";
	StsAnswer *answer = owner;
	const char *name = path + sizeof(head) - 1;
	char **place = NULL;

	if (strcmp(path, "ErrorResponse/Error/Code") == 0 ||
		strcmp(path, "ErrorResponse/Error/Message") == 0)
		answer->said_size += (size_t) snprintf(answer->said + answer->said_size,
											   sizeof(answer->said) - answer->said_size, "%s%.60s",
											   answer->said_size == 0 ? "" : ": ", text);
	if (strncmp(path, head, sizeof(head) - 1) != 0)
		return;
	if (strcmp(name, "AccessKeyId") == 0)
		place = &answer->keys.access;
	else if (strcmp(name, "SecretAccessKey") == 0)
		place = &answer->keys.secret;
	else if (strcmp(name, "SessionToken") == 0)
		place = &answer->keys.session;
	else if (strcmp(name, "Expiration") == 0)
		place = &answer->expires;
	if (place != NULL && *place == NULL)
		*place = strdup(text); /* analyzer: aws_take_sts() releases it */
}

static FhaCode
aws_take_sts(FhaAws *aws, const FhaHttpCall *call, int64_t *lives_ms, FhaError *err)
{
	StsAnswer answer = {.expires = NULL};
	FhaXmlReader reader = {.end = sts_take_element, .owner = &answer};
	FhaCode code = fha_xml_read(fha_text_string(&call->body), call->body.size, &reader, err);

	if (call->status != 200)
		code = fha_credentials_refusal(call, "AWS STS", answer.said, err);
	if (code == FHA_OK)
		code = aws_replace_keys(aws, &answer.keys, answer.expires, call, lives_ms, err);
	else
		fha_aws_keys_release(&answer.keys);
	free(answer.expires);
	return code;
}

/* One line: a token or a role's name. */
static FhaCode
aws_keep_line(FhaText *out, const FhaHttpCall *call, size_t max, FhaError *err)
{
	size_t length = strcspn(fha_text_string(&call->body), "\r\n");

	fha_text_clear(out);
	if (length == 0 || length > max)
		return fha_error(err, FHA_PROTOCOL,
						 "the machine's metadata service gave an answer that makes no sense");
	fha_text_add_bytes(out, call->body.data, length);
	return FHA_AGAIN;
}

static FhaCode
aws_take(void *owner, const FhaHttpCall *call, int64_t *lives_ms, FhaError *err)
{
	FhaAws *aws = owner;

	if (aws->kind == FHA_AWS_WEB_IDENTITY)
		return aws_take_sts(aws, call, lives_ms, err);
	if (call->status == 404 && aws->kind == FHA_AWS_METADATA && aws->step == 1)
		return fha_error(err, FHA_DENIED,
						 "the machine has no role (its metadata service names none)");
	if (call->status != 200)
		return fha_credentials_refusal(call,
									   aws->kind == FHA_AWS_CONTAINER
										   ? "the container's agent"
										   : "the machine's metadata service",
									   "", err);
	if (aws->kind == FHA_AWS_CONTAINER || aws->step == 2)
		return aws_take_json(aws, call, lives_ms, err);
	aws->step++;
	if (aws->step == 1)
		return aws_keep_line(&aws->token, call, FHA_TOKEN_MAX, err);
	return aws_keep_line(&aws->role, call, AWS_ROLE_BYTES, err);
}

const FhaCredentialsSource fha_aws_source = {aws_ask, aws_take};
