/*
 * azure_token_test.c: tokens for Azure: who is asked, what is taken from the answer, and when a new one
 * is fetched.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/azure/token.h"
#include "test/http/https_server.h"
#include "test/store/await.h"

#define WALL_S 1700000000

/* The clock is the kernel's, so far ahead. */
static int64_t ahead_ms;
int64_t __real_fha_now_ms(void);
int64_t __wrap_fha_now_ms(void);
int64_t
__wrap_fha_now_ms(void)
{
	return __real_fha_now_ms() + ahead_ms;
}

static char token_path[64];

static void
write_token(const char *text)
{
	FILE *file = fopen(token_path, "we");

	NEEDED(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* --- who is asked */

static void
assert_asks(const FhaAzureEnvironment *environment, const char *url, const char *body,
			const char *header)
{
	FhaAzureTokenAsk ask;
	FhaError err;

	assert_int_equal(fha_azure_token_ask(environment, &ask, &err), FHA_OK);
	assert_string_equal(fha_text_string(&ask.url), url);
	assert_string_equal(fha_text_string(&ask.body), body);
	assert_string_equal(fha_text_string(&ask.header), header);
	fha_azure_token_ask_release(&ask);
}

static void
sources_and_their_order(void **state)
{
	FhaAzureEnvironment environment = {.tenant = "", .identity_endpoint = ""};

	(void) state;
	assert_asks(&environment,
				"http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01"
				"&resource=https%3A%2F%2Fstorage.azure.com%2F",
				"", "Metadata: true");
	environment.client = "me";
	environment.metadata = "http://m";
	assert_asks(&environment,
				"http://m/metadata/identity/oauth2/token?api-version=2018-02-01"
				"&resource=https%3A%2F%2Fstorage.azure.com%2F&client_id=me",
				"", "Metadata: true");
	environment.identity_endpoint = "http://e/token";
	environment.identity_header = "h";
	assert_asks(&environment,
				"http://e/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com%2F"
				"&client_id=me",
				"", "X-IDENTITY-HEADER: h");
	environment.client = NULL;
	environment.identity_endpoint = "http://e/token?x=1";
	assert_asks(&environment,
				"http://e/token?x=1&api-version=2019-08-01"
				"&resource=https%3A%2F%2Fstorage.azure.com%2F",
				"", "X-IDENTITY-HEADER: h");
	write_token("jwt.of/pod\n");
	environment.client = "me";
	environment.tenant = "ten ant";
	environment.token_file = token_path;
	assert_asks(&environment, "https://login.microsoftonline.com/ten%20ant/oauth2/v2.0/token",
				"grant_type=client_credentials&client_id=me"
				"&scope=https%3A%2F%2Fstorage.azure.com%2F.default&client_assertion_type=urn%3A"
				"ietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
				"&client_assertion=jwt.of%2Fpod",
				"");
	environment.client_secret = "s&t";
	environment.authority = "https://other/";
	assert_asks(&environment, "https://other/ten%20ant/oauth2/v2.0/token",
				"grant_type=client_credentials&client_id=me"
				"&scope=https%3A%2F%2Fstorage.azure.com%2F.default&client_secret=s%26t",
				"");
}

static void
assert_asks_none(const FhaAzureEnvironment *environment, const char *word)
{
	FhaAzureTokenAsk ask;
	FhaError err;

	assert_int_equal(fha_azure_token_ask(environment, &ask, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, word));
	fha_azure_token_ask_release(&ask);
}

static void
what_cannot_be_asked(void **state)
{
	FhaAzureEnvironment environment = {
		.tenant = "t", .client = "c", .client_secret = "s", .authority = "http://plain"};

	(void) state;
	assert_asks_none(&environment, "AZURE_AUTHORITY_HOST");
	environment.authority = "login";
	assert_asks_none(&environment, "Azure's authority");
	environment = (FhaAzureEnvironment){.identity_endpoint = "/e", .identity_header = "h"};
	assert_asks_none(&environment, "identity endpoint");
	environment =
		(FhaAzureEnvironment){.tenant = "t", .client = "c", .token_file = "/nonexistent/token"};
	assert_asks_none(&environment, "/nonexistent/token");
	write_token("two words");
	environment.token_file = token_path;
	assert_asks_none(&environment, token_path);
}

static void
the_environment(void **state)
{
	FhaAzureEnvironment environment;

	(void) state;
	assert_int_equal(setenv("AZURE_CLIENT_ID", "mine", 1), 0);
	assert_int_equal(unsetenv("IDENTITY_ENDPOINT"), 0);
	fha_azure_environment(&environment);
	assert_string_equal(environment.client, "mine");
	assert_null(environment.identity_endpoint);
	assert_null(environment.metadata);
}

/* --- what is taken */

static FhaCode
read_token(int status, const char *text, int64_t *lives_ms, char *out, FhaError *err)
{
	char *token;
	FhaCode code = fha_azure_token_read(status, text, strlen(text), WALL_S, &token, lives_ms, err);

	out[0] = '\0';
	assert_int_equal(token != NULL, code == FHA_OK);
	if (token != NULL)
		(void) snprintf(out, 64, "%s", token);
	fha_secret_free(token);
	return code;
}

static void
assert_lives(const char *text, int64_t expected_ms)
{
	int64_t lives_ms;
	char token[64];
	FhaError err;

	assert_int_equal(read_token(200, text, &lives_ms, token, &err), FHA_OK);
	assert_string_equal(token, "tok");
	assert_int_equal(lives_ms, expected_ms);
}

static void
assert_no_token(int status, const char *text, FhaCode expected, const char *word)
{
	int64_t lives_ms;
	char token[64];
	FhaError err;

	assert_int_equal(read_token(status, text, &lives_ms, token, &err), expected);
	assert_non_null(strstr(err.text, word));
}

static void
answers_with_and_without_a_token(void **state)
{
	(void) state;
	assert_lives("{\"access_token\":\"tok\",\"expires_in\":3599,\"token_type\":\"Bearer\"}",
				 3599000);
	assert_lives("{\"access_token\":\"tok\",\"expires_in\":\"86399\",\"expires_on\":\"1\"}",
				 86399000);
	assert_lives("{\"access_token\":\"tok\",\"expires_on\":\"1700000060\"}", 60000);
	assert_lives("{\"access_token\":\"tok\",\"expires_in\":99999999}", 172800000);
	assert_no_token(200, "", FHA_PROTOCOL, "no token");
	assert_no_token(200, "{\"access_token\":\"tok\"}", FHA_PROTOCOL, "no token");
	assert_no_token(200, "{\"access_token\":\"tok\",\"expires_on\":1700000000}", FHA_PROTOCOL,
					"no token");
	assert_no_token(200, "{\"access_token\":\"\",\"expires_in\":1}", FHA_PROTOCOL, "no token");
	assert_no_token(200, "{\"access_token\":\"a b\",\"expires_in\":1}", FHA_PROTOCOL, "no token");
	assert_no_token(200, "{\"access_token\":7,\"expires_in\":[]}", FHA_PROTOCOL, "no token");
	assert_no_token(401,
					"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: "
					"Invalid\\nsecret\"}",
					FHA_DENIED, "401 invalid_client: AADSTS7000215: Invalid secret");
	assert_no_token(400, "<html>", FHA_DENIED, "400");
	assert_no_token(404, "", FHA_AGAIN, "404");
	assert_no_token(410, "", FHA_AGAIN, "410");
	assert_no_token(429, "", FHA_AGAIN, "429");
	assert_no_token(503, "", FHA_AGAIN, "503");
}

/* --- the token in use */

static Identity identity;
static FhaHttpClient client;
static FhaSecret ca;
static int changes;

/* The first path of a token is "/N/...": the Nth way to answer. */
static bool
https_answer(SSL *ssl, const HttpsRequest *request)
{
	char text[400];
	char body[160];
	int marked = atomic_fetch_add(&shared->marked, 1) + 1;
	int status = request->path[1] == 'd' ? 401 : 200;

	if (request->path[1] == 'c')
		return false;
	if (strstr(request->head, "\r\nMetadata: true\r\n") == NULL &&
		strstr(request->body, "client_secret=s") == NULL)
		status = 400;
	(void) snprintf(body, sizeof(body), "{\"access_token\":\"token-%d\",\"expires_in\":3600}",
					marked);
	(void) snprintf(text, sizeof(text), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", status,
					strlen(body), body);
	https_send(ssl, text);
	return true;
}

static void
note_change(void *owner)
{
	assert_true(owner == &changes);
	changes++;
}

static void
tokens_make(FhaAzureTokens *tokens, const char *path)
{
	static char url[80];

	(void) snprintf(url, sizeof(url), "https://127.0.0.1:%d%s", server_port, path);
	*tokens = (FhaAzureTokens){.client = &client,
							   .ca = &ca,
							   .environment = {.metadata = url},
							   .changed = note_change,
							   .owner = &changes};
	changes = 0;
}

/* Until a request for a token has ended. */
static void
tokens_wait(FhaAzureTokens *tokens)
{
	int64_t until_at_ms = fha_now_ms() + AWAIT_MAX_MS;

	while (tokens->asking)
	{
		assert_true(fha_now_ms() < until_at_ms);
		await_client(&client);
		fha_http_call_step(&client);
	}
}

static void
assert_has(FhaAzureTokens *tokens, const char *expected)
{
	FhaError err;
	const char *token = fha_azure_tokens_get(tokens, &err);

	assert_int_equal(err.code, FHA_OK);
	if (expected == NULL)
		assert_null(token);
	else
		assert_string_equal(token, expected);
}

static void
a_token_is_replaced_before_it_ends(void **state)
{
	FhaAzureTokens tokens;

	(void) state;
	atomic_store(&shared->marked, 0);
	tokens_make(&tokens, "");
	assert_has(&tokens, NULL);
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	assert_int_equal(changes, 1);
	assert_has(&tokens, "token-1");
	ahead_ms += 3000 * 1000;
	assert_has(&tokens, "token-1");
	assert_false(tokens.asking);
	/* The old one is used meanwhile, and nobody waits. */
	ahead_ms += 320 * 1000;
	assert_has(&tokens, "token-1");
	tokens_wait(&tokens);
	assert_int_equal(changes, 1);
	assert_has(&tokens, "token-2");
	ahead_ms += 3601 * 1000;
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	assert_has(&tokens, "token-3");
	fha_azure_tokens_close(&tokens);
}

static void
a_refused_token_is_not_used_again(void **state)
{
	FhaAzureTokens tokens;

	(void) state;
	atomic_store(&shared->marked, 0);
	tokens_make(&tokens, "");
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	/* However slow this test is, the token is young. */
	tokens.got_at_ms += 1000 * 1000;
	assert_false(fha_azure_tokens_refused(&tokens, tokens.generation));
	assert_has(&tokens, "token-1");
	ahead_ms += 1060 * 1000;
	assert_true(fha_azure_tokens_refused(&tokens, tokens.generation - 1));
	assert_has(&tokens, "token-1");
	assert_true(fha_azure_tokens_refused(&tokens, tokens.generation));
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	assert_has(&tokens, "token-2");
	fha_azure_tokens_close(&tokens);
}

static void
failures_are_told(void **state)
{
	FhaAzureTokens tokens;

	(void) state;
	tokens_make(&tokens, "/d");
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	assert_int_equal(changes, 1);
	assert_int_equal(tokens.failure.code, FHA_DENIED);
	assert_non_null(strstr(tokens.failure.text, "metadata service: HTTP status 401"));
	/* The next one that wants it asks again. */
	assert_has(&tokens, NULL);
	assert_true(tokens.asking);
	fha_azure_tokens_close(&tokens);

	tokens_make(&tokens, "/c");
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	assert_int_equal(tokens.failure.code, FHA_IO);
	fha_azure_tokens_close(&tokens);
}

/* A renewal that fails is tried again after a while, and the old token stays. */
static void
a_renewal_that_fails(void **state)
{
	FhaAzureTokens tokens;
	char good[80];

	(void) state;
	atomic_store(&shared->marked, 0);
	tokens_make(&tokens, "");
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	(void) snprintf(good, sizeof(good), "%s", tokens.environment.metadata);
	ahead_ms += 3400 * 1000;
	tokens.environment.metadata = "nowhere";
	assert_has(&tokens, "token-1");
	assert_false(tokens.asking);
	tokens.environment.metadata = good;
	assert_has(&tokens, "token-1");
	assert_false(tokens.asking);
	ahead_ms += 20 * 1000;
	assert_has(&tokens, "token-1");
	assert_true(tokens.asking);
	tokens_wait(&tokens);
	assert_has(&tokens, "token-2");
	fha_azure_tokens_close(&tokens);
}

static void
what_cannot_be_asked_is_told_at_once(void **state)
{
	FhaAzureTokens tokens;
	FhaError err;

	(void) state;
	tokens_make(&tokens, "");
	tokens.environment.metadata = "nowhere";
	assert_null(fha_azure_tokens_get(&tokens, &err));
	assert_int_equal(err.code, FHA_INVALID);
	assert_false(tokens.asking);
	fha_azure_tokens_close(&tokens);
}

static void
a_clients_secret(void **state)
{
	FhaAzureTokens tokens;
	char host[80];

	(void) state;
	atomic_store(&shared->marked, 0);
	tokens_make(&tokens, "");
	(void) snprintf(host, sizeof(host), "%s", tokens.environment.metadata);
	tokens.environment = (FhaAzureEnvironment){
		.tenant = "t", .client = "c", .client_secret = "s", .authority = host};
	assert_has(&tokens, NULL);
	tokens_wait(&tokens);
	assert_has(&tokens, "token-1");
	fha_azure_tokens_close(&tokens);
}

static int
set_up(void **state)
{
	FhaError err;

	(void) state;
	(void) snprintf(token_path, sizeof(token_path), "/tmp/fha-azure-token-%d", (int) getpid());
	identity_init(&identity, "authority", "IP:127.0.0.1");
	https_server_start(&identity, &identity);
	ca.text = identity.cert_pem;
	return fha_http_client_init(&client, &err) == FHA_OK ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void) state;
	fha_http_client_release(&client);
	https_server_stop();
	identity_release(&identity);
	(void) unlink(token_path);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_and_their_order),
		cmocka_unit_test(what_cannot_be_asked),
		cmocka_unit_test(the_environment),
		cmocka_unit_test(answers_with_and_without_a_token),
		cmocka_unit_test(a_token_is_replaced_before_it_ends),
		cmocka_unit_test(a_refused_token_is_not_used_again),
		cmocka_unit_test(failures_are_told),
		cmocka_unit_test(a_renewal_that_fails),
		cmocka_unit_test(what_cannot_be_asked_is_told_at_once),
		cmocka_unit_test(a_clients_secret),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
