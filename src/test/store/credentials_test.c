/*
 * credentials_test.c: credentials that AWS and Google give, from a server that gives what the path says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/secret.h"
#include "store/encode.h"
#include "store/s3/aws.h"
#include "store/s3/google.h"
#include "test/http/https_server.h"
#include "test/store/await.h"

#define TOKEN "t0ken-of-a-pod"
#define THEIR_S 1800000000

static Identity identity;
static EVP_PKEY *rsa;
static char rsa_pem[4096];
static FhaHttpClient client;

/* --- the server */

static void
answer_with(SSL *ssl, int status, const char *head, const char *body)
{
	char text[400];
	char date[FHA_HTTP_DATE_SIZE];

	fha_http_date_print(THEIR_S, date, sizeof(date));
	(void) snprintf(text, sizeof(text),
					"HTTP/1.1 %d X\r\nDate: %s\r\nContent-Length: %zu\r\n%s\r\n", status, date,
					strlen(body), head);
	https_send(ssl, text);
	https_send(ssl, body);
}

static const char *
keys_of(const char *access, const char *expires)
{
	static char text[400];

	(void) snprintf(
		text, sizeof(text),
		"{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Token\":"
		"\"session\",\"Expiration\":\"%s\"}",
		access, expires);
	return text;
}

static bool
has(const HttpsRequest *request, const char *text)
{
	return strcasestr(request->head, text) != NULL;
}

/* An hour and a half after THEIR_S. */
#define THEIR_END "2027-01-15T09:30:00Z"

static void
answer_metadata(SSL *ssl, const HttpsRequest *request)
{
	if (strcmp(request->path, "/latest/api/token") == 0)
		answer_with(ssl,
					strcmp(request->method, "PUT") == 0 &&
							has(request, "\r\nX-aws-ec2-metadata-token-ttl-seconds: 600\r\n") &&
							has(request, "\r\nContent-Length: 0\r\n")
						? 200
						: 400,
					"", "imds-token\n");
	else if (!has(request, "\r\nX-aws-ec2-metadata-token: imds-token\r\n"))
		answer_with(ssl, 401, "", "");
	else if (strcmp(request->path, "/latest/meta-data/iam/security-credentials/") == 0)
		answer_with(ssl, 200, "", "a+role");
	else if (strcmp(request->path, "/latest/meta-data/iam/security-credentials/a%2Brole") == 0)
		answer_with(ssl, 200, "", keys_of("of-machine", THEIR_END));
	else
		answer_with(ssl, 404, "", "");
}

static void
answer_sts(SSL *ssl, const HttpsRequest *request)
{
	static const char xml[] =
		"<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
		"<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>of-role</AccessKeyId>"
		"<SecretAccessKey>a&amp;b</SecretAccessKey><SessionToken>session</SessionToken>"
		"<Expiration>" THEIR_END "</Expiration></Credentials></AssumeRoleWithWebIdentityResult>"
		"</AssumeRoleWithWebIdentityResponse>";
	bool good = strcmp(request->method, "POST") == 0 &&
				strcmp(request->body, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn="
									  "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=fawkes-ha&"
									  "WebIdentityToken=" TOKEN) == 0;

	if (good)
		answer_with(ssl, 200, "", xml);
	else
		answer_with(
			ssl, 403, "",
			"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not "
			"authorized</Message></Error></ErrorResponse>");
}

/* One part of a proof, in base64 of urls. */
static unsigned char *
part_of(const char *at, size_t length, size_t *size)
{
	char part[4000];
	unsigned char *bytes;

	NEEDED(length < 3900);
	(void) snprintf(part, sizeof(part), "%.*s%s", (int) length, at,
					&"==="[3 - (4 - length % 4) % 4]);
	for (char *byte = part; *byte != '\0'; byte++)
		*byte = *byte == '-' ? '+' : *byte == '_' ? '/' : *byte;
	bytes = fha_base64_decode(part, size);
	NEEDED(bytes != NULL);
	return bytes;
}

/* Is the proof signed by our key, and by whose clock? */
static bool
proof_is_good(const char *body, int64_t now_s)
{
	const char *proof = strstr(body, "&assertion=") + strlen("&assertion=");
	const char *claims = strchr(proof, '.') + 1;
	const char *signature = strchr(claims, '.') + 1;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char wanted[60];
	size_t size;
	unsigned char *bytes = part_of(signature, strlen(signature), &size);
	bool good = EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, rsa) == 1 &&
				EVP_DigestVerify(context, bytes, size, (const unsigned char *) proof,
								 (size_t) (signature - 1 - proof)) == 1;

	EVP_MD_CTX_free(context);
	fha_secret_free((char *) bytes);
	bytes = part_of(claims, strcspn(claims, "."), &size);
	(void) snprintf(wanted, sizeof(wanted), "{\"iat\":%lld", (long long) (now_s / 1000));
	good = good && strncmp((char *) bytes, wanted, strlen(wanted)) == 0 &&
		   strstr((char *) bytes, "\"iss\":\"us@x\"") != NULL;
	fha_secret_free((char *) bytes);
	return good;
}

static void
answer_google(SSL *ssl, const HttpsRequest *request)
{
	static const char token[] =
		"{\"access_token\":\"ya29\",\"expires_in\":3599,\"token_type\":\"B\"}";
	const char *path = request->path;

	if (strcmp(path, "/g/key") == 0)
	{
		if (proof_is_good(request->body, THEIR_S))
			answer_with(ssl, 200, "", token);
		else
			answer_with(ssl, 400, "",
						"{\"error\":\"invalid_grant\",\"error_description\":\"iat is wrong\"}");
	}
	else if (strcmp(path, "/g/user") == 0)
		answer_with(ssl,
					strcmp(request->body, "grant_type=refresh_token&client_id=c&client_secret=cs&"
										  "refresh_token=r") == 0
						? 200
						: 400,
					"", token);
	else if (strcmp(path, "/g/exchange") == 0)
		answer_with(ssl, strstr(request->body, "&subject_token=" TOKEN) != NULL ? 200 : 400, "",
					"{\"access_token\":\"federated\",\"expires_in\":3599}");
	else if (strcmp(path, "/g/impersonate") == 0)
		answer_with(ssl, has(request, "\r\nAuthorization: Bearer federated\r\n") ? 200 : 400, "",
					"{\"accessToken\":\"of-account\",\"expireTime\":\"" THEIR_END "\"}");
	else if (strcmp(path, "/g/refused") == 0)
		answer_with(ssl, 403, "", "{\"error\":{\"code\":403,\"message\":\"no such\\naccount\"}}");
	else
		answer_with(ssl, 200, "", "{\"access_token\":\"a b\",\"expires_in\":3599}");
}

static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	const char *path = request->path;

	if (strncmp(path, "/latest/", 8) == 0)
		answer_metadata(ssl, request);
	else if (strncmp(path, "/g/", 3) == 0)
		answer_google(ssl, request);
	else if (strcmp(path, "/sts/") == 0)
		answer_sts(ssl, request);
	else if (strcmp(path, "/agent") == 0)
		answer_with(ssl, has(request, "\r\nAuthorization: " TOKEN "\r\n") ? 200 : 401, "",
					keys_of("of-pod", THEIR_END));
	else if (strcmp(path, "/short") == 0)
		/* Good for 40 s: others are asked for at once when 10 s are left, and no more after 4. */
		answer_with(ssl, 200, "",
					keys_of(atomic_fetch_add(&shared->marked, 1) == 0 ? "first" : "second",
							"2027-01-15T08:00:40Z"));
	else if (strcmp(path, "/norole/latest/api/token") == 0)
		answer_with(ssl, 200, "", "imds-token");
	else if (strcmp(path, "/blank/latest/api/token") == 0)
		answer_with(ssl, 200, "", "\n");
	else if (strcmp(path, "/moved") == 0)
		answer_with(ssl, 302, "", "");
	else if (strcmp(path, "/old") == 0)
		answer_with(ssl, 200, "", keys_of("old", "2027-01-15T07:00:00Z"));
	else if (strcmp(path, "/busy") == 0)
		answer_with(ssl, 503, "", "");
	else if (strcmp(path, "/nonsense") == 0)
		answer_with(ssl, 200, "", "[]");
	else if (strcmp(path, "/cut") == 0)
		return false;
	else if (strcmp(path, "/computeMetadata/v1/instance/service-accounts/default/token") == 0)
		answer_with(ssl, has(request, "\r\nMetadata-Flavor: Google\r\n") ? 200 : 403, "",
					"{\"access_token\":\"of-metadata\",\"expires_in\":300}");
	else
		answer_with(ssl, 404, "", "");
	return true;
}

/* --- the test's side */

static char *
url_of(const char *path)
{
	static char urls[4][100];
	static unsigned next;
	char *url = urls[next++ % 4];

	(void) snprintf(url, sizeof(urls[0]), "https://127.0.0.1:%d%s", server_port, path);
	return url;
}

static FhaCode
wait_for(FhaCredentials *credentials, FhaError *err)
{
	int64_t until_at_ms = fha_now_ms() + AWAIT_MAX_MS;
	FhaCode code;

	while ((code = fha_credentials_want(credentials, err)) == FHA_AGAIN)
	{
		assert_true(fha_now_ms() < until_at_ms);
		await_client(&client);
		fha_http_call_step(&client);
	}
	return code;
}

static FhaCredentials
credentials_of_aws(FhaAws *aws)
{
	return (FhaCredentials){
		.client = &client, .source = &fha_aws_source, .owner = aws, .ca = identity.cert_pem};
}

static void
aws_gives(const FhaAwsEnvironment *environment, FhaAwsKind kind, const char *access,
		  const char *secret)
{
	FhaAws aws;
	FhaCredentials credentials = credentials_of_aws(&aws);
	FhaError err = {FHA_OK, ""};

	assert_int_equal(fha_aws_open(&aws, environment, &err), FHA_OK);
	assert_int_equal(aws.kind, kind);
	if (kind != FHA_AWS_KEYS && wait_for(&credentials, &err) != FHA_OK)
		fail_msg("%s", err.text);
	assert_string_equal(aws.keys.access, access);
	assert_string_equal(aws.keys.secret, secret);
	assert_string_equal(aws.keys.session, "session");
	fha_credentials_close(&credentials);
	fha_aws_close(&aws);
}

static void
aws_refuses(const FhaAwsEnvironment *environment, FhaCode code, const char *why)
{
	FhaAws aws;
	FhaCredentials credentials = credentials_of_aws(&aws);
	FhaError err = {FHA_OK, ""};
	FhaCode got = fha_aws_open(&aws, environment, &err);

	if (got == FHA_OK)
		got = wait_for(&credentials, &err);
	if (got != code || strstr(err.text, why) == NULL)
		fail_msg("%d: %s", got, err.text);
	assert_null(strstr(err.text, TOKEN));
	/* Without a pause there is no other request. */
	if (credentials.client != NULL && aws.kind != FHA_AWS_KEYS && credentials.again_at_ms != 0)
		assert_int_equal(fha_credentials_want(&credentials, &err), code);
	fha_credentials_close(&credentials);
	fha_aws_close(&aws);
}

static char token_path[] = "/tmp/fha-credentials-test-XXXXXX";

static void
aws_gives_keys_by_what_the_environment_names(void **state)
{
	(void) state;
	aws_gives(&(FhaAwsEnvironment){.access = "of-env",
								   .secret = "e",
								   .session = "session",
								   .token_file = token_path,
								   .role = "r"},
			  FHA_AWS_KEYS, "of-env", "e");
	aws_gives(&(FhaAwsEnvironment){.access = "",
								   .token_file = token_path,
								   .role = "arn:aws:iam::1:role/r",
								   .sts_endpoint = url_of("/sts"),
								   .full_uri = url_of("/agent")},
			  FHA_AWS_WEB_IDENTITY, "of-role", "a&b");
	aws_gives(&(FhaAwsEnvironment){.full_uri = url_of("/agent"), .agent_token = TOKEN},
			  FHA_AWS_CONTAINER, "of-pod", "s");
	aws_gives(&(FhaAwsEnvironment){.full_uri = url_of("/agent"),
								   .agent_token = "another",
								   .agent_token_file = token_path},
			  FHA_AWS_CONTAINER, "of-pod", "s");
	aws_gives(&(FhaAwsEnvironment){.metadata_endpoint = url_of(""), .metadata_disabled = "false"},
			  FHA_AWS_METADATA, "of-machine", "s");
}

static void
aws_refusals_are_told(void **state)
{
	(void) state;
	aws_refuses(&(FhaAwsEnvironment){.access = "a"}, FHA_INVALID, "AWS_SECRET_ACCESS_KEY");
	aws_refuses(&(FhaAwsEnvironment){.token_file = "x"}, FHA_INVALID, "AWS_ROLE_ARN");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = "http://10.0.0.1/x"}, FHA_INVALID,
				"neither https");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = "http://127.0.0.1.example/x"}, FHA_INVALID,
				"neither https");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = "file:///x"}, FHA_INVALID, "neither https");
	aws_refuses(&(FhaAwsEnvironment){.metadata_disabled = "True"}, FHA_INVALID, "forbids");
	aws_refuses(&(FhaAwsEnvironment){.token_file = "/nowhere/token", .role = "r"}, FHA_NOT_FOUND,
				"/nowhere/token");
	aws_refuses(
		&(FhaAwsEnvironment){
			.token_file = token_path, .role = "other", .sts_endpoint = url_of("/sts")},
		FHA_DENIED, "AWS STS gave no credentials: HTTP status 403: AccessDenied: Not authorized");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = url_of("/agent"), .agent_token = "another"},
				FHA_DENIED, "agent gave no credentials: HTTP status 401");
	aws_refuses(
		&(FhaAwsEnvironment){.full_uri = url_of("/agent"), .agent_token_file = "/nowhere/token"},
		FHA_NOT_FOUND, "/nowhere/token");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = url_of("/old")}, FHA_PROTOCOL,
				"none that are valid");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = url_of("/busy")}, FHA_IO, "status 503");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = url_of("/nonsense")}, FHA_PROTOCOL, "");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = url_of("/cut")}, FHA_IO, "");
	aws_refuses(&(FhaAwsEnvironment){.metadata_endpoint = url_of("/nothing")}, FHA_DENIED, "404");
	aws_refuses(&(FhaAwsEnvironment){.metadata_endpoint = url_of("/norole")}, FHA_DENIED,
				"the machine has no role");
	aws_refuses(&(FhaAwsEnvironment){.metadata_endpoint = url_of("/blank")}, FHA_PROTOCOL,
				"makes no sense");
	aws_refuses(&(FhaAwsEnvironment){.full_uri = url_of("/moved")}, FHA_PROTOCOL, "status 302");
	/* In clear to the machine itself: allowed, and nobody listens. */
	aws_refuses(&(FhaAwsEnvironment){.full_uri = "http://127.0.0.1:1/x"}, FHA_IO, "");
}

static void
asks_at(const FhaAwsEnvironment *environment, const char *wanted)
{
	FhaAws aws;
	FhaCredentialsAsk asked;

	memset(&asked, 0, sizeof(asked));
	assert_int_equal(fha_aws_open(&aws, environment, NULL), FHA_OK);
	assert_int_equal(fha_aws_source.ask(&aws, true, &asked, NULL), FHA_OK);
	assert_string_equal(fha_text_string(&asked.url), wanted);
	fha_text_release(&asked.url);
	fha_text_release(&asked.header);
	fha_text_release(&asked.type);
	fha_text_release(&asked.body);
	fha_aws_close(&aws);
}

static void
aws_is_asked_where_it_is(void **state)
{
	(void) state;
	asks_at(&(FhaAwsEnvironment){.relative_uri = "/v2/x", .full_uri = "http://10.0.0.1"},
			"http://169.254.170.2/v2/x");
	asks_at(&(FhaAwsEnvironment){.metadata_disabled = ""},
			"http://169.254.169.254/latest/api/token");
	asks_at(&(FhaAwsEnvironment){.token_file = token_path, .role = "r", .role_session = "s"},
			"https://sts.amazonaws.com/");
	asks_at(&(FhaAwsEnvironment){.token_file = token_path, .role = "r", .region = "eu-west-3"},
			"https://sts.eu-west-3.amazonaws.com/");
	asks_at(&(FhaAwsEnvironment){.token_file = token_path, .role = "r", .region = "cn-north-1"},
			"https://sts.cn-north-1.amazonaws.com.cn/");
}

static void
keys_are_replaced_before_they_expire(void **state)
{
	FhaAwsEnvironment environment = {.full_uri = url_of("/short")};
	FhaAws aws;
	FhaCredentials credentials = credentials_of_aws(&aws);
	FhaError err;

	(void) state;
	assert_int_equal(fha_aws_open(&aws, &environment, &err), FHA_OK);
	assert_int_equal(wait_for(&credentials, &err), FHA_OK);
	assert_string_equal(aws.keys.access, "first");
	assert_int_equal(fha_credentials_want(&credentials, &err), FHA_OK);
	assert_false(credentials.asking);
	assert_true(credentials.refresh_at_ms < credentials.expires_at_ms);
	/* Their time has come: the old ones are used until there are new ones. */
	credentials.refresh_at_ms = fha_now_ms();
	assert_int_equal(fha_credentials_want(&credentials, &err), FHA_OK);
	assert_true(credentials.asking);
	assert_string_equal(aws.keys.access, "first");
	while (credentials.asking)
		fha_http_call_step(&client);
	assert_string_equal(aws.keys.access, "second");
	/* A request that fails leaves them, and the next one waits. */
	aws.environment.full_uri = url_of("/busy");
	credentials.refresh_at_ms = fha_now_ms();
	assert_int_equal(fha_credentials_want(&credentials, &err), FHA_OK);
	while (credentials.asking)
		fha_http_call_step(&client);
	assert_int_equal(fha_credentials_want(&credentials, &err), FHA_OK);
	assert_false(credentials.asking);
	/* Those that the store refuses are used no more. */
	aws.environment.full_uri = url_of("/short");
	fha_credentials_distrust(&credentials);
	credentials.again_at_ms = 0;
	assert_int_equal(fha_credentials_want(&credentials, &err), FHA_AGAIN);
	fha_credentials_close(&credentials);
	fha_aws_close(&aws);
}

/* --- Google */

static FhaText google_file;

static const char *
service_account(const char *url)
{
	fha_text_clear(&google_file);
	fha_text_add_format(
		&google_file,
		"{\"type\":\"service_account\",\"client_email\":\"us@x\",\"private_key_id\":"
		"\"1\",\"token_uri\":\"%s\",\"private_key\":\"",
		url);
	for (const char *at = rsa_pem; *at != '\0'; at++)
		fha_text_add_format(&google_file, *at == '\n' ? "\\n" : "%c", *at);
	fha_text_add(&google_file, "\"}");
	return fha_text_string(&google_file);
}

static const char *
external_account(const char *path, const char *impersonate)
{
	fha_text_clear(&google_file);
	fha_text_add_format(
		&google_file,
		"{\"type\":\"external_account\",\"audience\":\"//iam/x\",\"subject_token_type\":"
		"\"urn:ietf:params:oauth:token-type:jwt\",\"token_url\":\"%s\","
		"\"credential_source\":{\"file\":\"%s\"}",
		url_of("/g/exchange"), path);
	if (impersonate != NULL)
		fha_text_add_format(&google_file, ",\"service_account_impersonation_url\":\"%s\"",
							impersonate);
	fha_text_add(&google_file, "}");
	return fha_text_string(&google_file);
}

static const char *
user_account(const char *url)
{
	fha_text_clear(&google_file);
	fha_text_add_format(
		&google_file,
		"{\"type\":\"authorized_user\",\"client_id\":\"c\",\"client_secret\":\"cs\","
		"\"refresh_token\":\"r\",\"token_uri\":\"%s\"}",
		url);
	return fha_text_string(&google_file);
}

static FhaCode
google_token(const char *json, const char *host, FhaText *token, FhaError *err)
{
	FhaGoogle google;
	FhaCredentials credentials = {
		.client = &client, .source = &fha_google_source, .owner = &google, .ca = identity.cert_pem};
	FhaCode code = fha_google_open(&google, json, host, err);

	if (code != FHA_OK)
		return code;
	code = wait_for(&credentials, err);
	if (code == FHA_OK)
		fha_text_add(token, google.token);
	fha_credentials_close(&credentials);
	fha_google_close(&google);
	return code;
}

static void
google_gives(const char *json, const char *host, const char *wanted)
{
	FhaText token = {.data = NULL};
	FhaError err = {FHA_OK, ""};

	if (google_token(json, host, &token, &err) != FHA_OK)
		fail_msg("%s", err.text);
	assert_string_equal(fha_text_string(&token), wanted);
	fha_text_release(&token);
}

static void
google_refuses(const char *json, FhaCode code, const char *why)
{
	FhaText token = {.data = NULL};
	FhaError err = {FHA_OK, ""};
	FhaCode got = google_token(json, NULL, &token, &err);

	if (got != code || strstr(err.text, why) == NULL)
		fail_msg("%d: %s", got, err.text);
	assert_null(strstr(err.text, "PRIVATE KEY-"));
}

static void
google_gives_tokens(void **state)
{
	(void) state;
	/* The clock of this machine is far from THEIR_S: the second proof is signed by theirs. */
	google_gives(service_account(url_of("/g/key")), NULL, "ya29");
	google_gives(user_account(url_of("/g/user")), NULL, "ya29");
	google_gives(external_account(token_path, NULL), NULL, "federated");
	google_gives(external_account(token_path, url_of("/g/impersonate")), NULL, "of-account");
	google_gives(NULL, url_of(""), "of-metadata");
}

static void
google_refusals_are_told(void **state)
{
	FhaGoogle google;

	(void) state;
	google_refuses("", FHA_INVALID, "no JSON of the type");
	google_refuses("{\"type\":\"else\"}", FHA_INVALID, "no JSON of the type");
	google_refuses("{\"type\":\"service_account\"}", FHA_INVALID, "client_email");
	google_refuses("{\"type\":\"service_account\",\"client_email\":\"x\"}", FHA_INVALID,
				   "private_key");
	google_refuses("{\"type\":\"service_account\",\"client_email\":\"x\",\"private_key\":\"y\"}",
				   FHA_INVALID, "PRIVATE KEY");
	google_refuses(service_account("http://x"), FHA_INVALID, "token_uri");
	google_refuses(
		"{\"type\":\"service_account\",\"client_email\":\"x\",\"token_uri\":\"https://x\","
		"\"private_key\":\"-----BEGIN PRIVATE KEY-----\"}",
		FHA_INVALID, "no RSA key");
	google_refuses("{\"type\":\"external_account\"}", FHA_INVALID, "audience");
	google_refuses("{\"type\":\"external_account\",\"audience\":\"a\"}", FHA_INVALID,
				   "subject_token");
	google_refuses("{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\","
				   "\"credential_source\":{\"url\":\"x\"}}",
				   FHA_INVALID, "credential_source.file");
	google_refuses(external_account(token_path, "http://x"), FHA_INVALID, "impersonation_url");
	google_refuses(external_account("/nowhere/token", NULL), FHA_NOT_FOUND, "/nowhere/token");
	google_refuses("{\"type\":\"authorized_user\"}", FHA_INVALID, "client_id");
	google_refuses("{\"type\":\"authorized_user\",\"client_id\":\"x\"}", FHA_INVALID,
				   "client_secret");
	google_refuses("{\"type\":\"authorized_user\",\"client_id\":\"x\",\"client_secret\":\"x\"}",
				   FHA_INVALID, "refresh_token");
	google_refuses(user_account(url_of("/g/refused")), FHA_DENIED,
				   "Google gave no credentials: HTTP status 403: no such account");
	google_refuses(user_account(url_of("/g/blank")), FHA_PROTOCOL, "no token that is valid");
	google_refuses(user_account(url_of("/nonsense")), FHA_PROTOCOL, "");
	assert_int_equal(fha_google_open(&google, NULL, NULL, NULL), FHA_OK);
	assert_string_equal(google.metadata_host, "metadata.google.internal");
	fha_google_close(&google);
}

static void
the_environment_of_this_process_is_read(void **state)
{
	FhaAwsEnvironment environment;

	(void) state;
	assert_int_equal(setenv("AWS_DEFAULT_REGION", "eu-west-3", 1), 0);
	assert_int_equal(unsetenv("AWS_REGION"), 0);
	fha_aws_environment(&environment);
	assert_string_equal(environment.region, "eu-west-3");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aws_gives_keys_by_what_the_environment_names),
		cmocka_unit_test(aws_refusals_are_told),
		cmocka_unit_test(aws_is_asked_where_it_is),
		cmocka_unit_test(keys_are_replaced_before_they_expire),
		cmocka_unit_test(google_gives_tokens),
		cmocka_unit_test(google_refusals_are_told),
		cmocka_unit_test(the_environment_of_this_process_is_read),
	};
	int failures;
	int fd = mkstemp(token_path);
	BIO *bio = BIO_new(BIO_s_mem());

	NEEDED(fd >= 0 && write(fd, TOKEN "\n", sizeof(TOKEN)) == sizeof(TOKEN));
	(void) close(fd);
	rsa = EVP_RSA_gen(2048);
	NEEDED(rsa != NULL && PEM_write_bio_PrivateKey(bio, rsa, NULL, NULL, 0, NULL, NULL) == 1);
	bio_text(bio, rsa_pem, sizeof(rsa_pem));
	identity_init(&identity, "credentials", "IP:127.0.0.1");
	https_server_start(&identity, &identity);
	NEEDED(fha_http_client_init(&client, NULL) == FHA_OK);
	failures = cmocka_run_group_tests(tests, NULL, NULL);
	fha_http_client_release(&client);
	https_server_stop();
	identity_release(&identity);
	EVP_PKEY_free(rsa);
	fha_text_release(&google_file);
	(void) unlink(token_path);
	return failures;
}
