/*
 * kube_config_test.c: what makes a client of the API server, and what is refused as one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/secret.h"
#include "kube/config.h"

#define CA "-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n"
#define KEY "-----BEGIN PRIVATE KEY-----\na2V5\n-----END PRIVATE KEY-----\n"
/* The same in base64. */
#define CA_64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tClkyRT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define KEY_64 "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCmEyVjUKLS0tLS1FTkQgUFJJVkFURSBLRVktLS0tLQo="

#define HEAD                                                           \
	"apiVersion: v1\nkind: Config\n"                                   \
	"current-context: here\n"                                          \
	"contexts:\n"                                                      \
	"- name: there\n"                                                  \
	"  context: {cluster: c, user: certified, namespace: elsewhere}\n" \
	"- name: here\n"                                                   \
	"  context: {cluster: c, user: u}\n"
#define CLUSTER "clusters:\n- name: c\n  cluster: {server: 'https://127.0.0.1:6443/', "
#define USER                                                              \
	"users:\n- name: certified\n  user: {client-certificate-data: " CA_64 \
	", client-key-data: " KEY_64 "}\n- name: u\n  user: {"

static char folder[] = "/tmp/fha-kube-config-XXXXXX";
static char path_of[128];

static const char *
beside(const char *name)
{
	(void) snprintf(path_of, sizeof(path_of), "%s/%s", folder, name);
	return path_of;
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(beside(name), "we");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static FhaCode
parse(FhaKubeConfig *out, const char *text, const char *context, const char *namespace_,
	  FhaError *err)
{
	return fha_kube_config_parse(out, text, strlen(text), folder, context, namespace_, err);
}

/* --- what is taken */

static void
a_context_names_server_user_and_namespace(void **state)
{
	static const char text[] =
		HEAD CLUSTER "certificate-authority-data: " CA_64 "}\n" USER "token: abc}\n";
	FhaKubeConfig config;
	FhaError err;

	(void) state;
	assert_int_equal(parse(&config, text, NULL, NULL, &err), FHA_OK);
	assert_string_equal(config.server, "https://127.0.0.1:6443");
	assert_string_equal(config.namespace_, "default");
	assert_string_equal(config.token, "abc");
	assert_string_equal(config.token_file, "");
	assert_string_equal(config.ca, CA);
	assert_null(config.client_cert);
	fha_kube_config_release(&config);
	assert_null(config.ca);
	assert_int_equal(parse(&config, text, "there", NULL, &err), FHA_OK);
	assert_string_equal(config.namespace_, "elsewhere");
	assert_null(config.token);
	assert_string_equal(config.client_cert, CA);
	assert_string_equal(config.client_key, KEY);
	fha_kube_config_release(&config);
	assert_int_equal(parse(&config, text, "there", "mine", &err), FHA_OK);
	assert_string_equal(config.namespace_, "mine");
	fha_kube_config_release(&config);
}

static void
files_are_relative_to_the_kubeconfig(void **state)
{
	char absolute[800];
	FhaKubeConfig config;
	FhaError err;

	(void) state;
	write_file("ca.pem", CA);
	write_file("key.pem", KEY);
	write_file("token", "from-file\n");
	(void) snprintf(absolute, sizeof(absolute),
					HEAD CLUSTER "certificate-authority: ca.pem}\n"
								 "users:\n- name: u\n  user: {tokenFile: token, token: inline, "
								 "client-certificate: %s/ca.pem, client-key: key.pem}\n",
					folder);
	write_file("config", absolute);
	assert_int_equal(fha_kube_config_load(&config, beside("config"), NULL, NULL, &err), FHA_OK);
	assert_string_equal(config.ca, CA);
	assert_string_equal(config.client_cert, CA);
	assert_string_equal(config.client_key, KEY);
	assert_string_equal(config.token, "from-file");
	assert_string_equal(config.token_file, beside("token"));
	fha_kube_config_release(&config);
	/* No text is as long as a file of zeroes. */
	write_file("ca.pem", "");
	assert_int_equal(truncate(beside("ca.pem"), 100), 0);
	assert_int_equal(fha_kube_config_load(&config, beside("config"), NULL, NULL, &err),
					 FHA_INVALID);
	assert_non_null(strstr(err.text, "a NUL in it"));
	write_file("ca.pem", CA);
	/* From where the file is, too. */
	assert_int_equal(chdir(folder), 0);
	assert_int_equal(fha_kube_config_load(&config, "config", NULL, NULL, &err), FHA_OK);
	assert_string_equal(config.token_file, "./token");
	fha_kube_config_release(&config);
	assert_int_equal(chdir("/"), 0);
}

static void
what_is_null_or_false_is_not_there(void **state)
{
	static const char text[] = HEAD CLUSTER
		"insecure-skip-tls-verify: false, proxy-url: '', certificate-authority: ~}\n" USER
		"token: abc, exec: null, username: }\n"
		"preferences: {}\n";
	FhaKubeConfig config;
	FhaError err;

	(void) state;
	assert_int_equal(parse(&config, text, NULL, NULL, &err), FHA_OK);
	assert_null(config.ca);
	fha_kube_config_release(&config);
}

/* --- what is refused */

static void
refused(const char *text, const char *why)
{
	FhaKubeConfig config;
	FhaError err = {FHA_OK, ""};

	assert_int_equal(parse(&config, text, NULL, NULL, &err), FHA_INVALID);
	assert_int_equal(err.code, FHA_INVALID);
	if (strstr(err.text, why) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	/* Nothing to release. */
	assert_null(config.token);
	assert_null(config.ca);
	assert_null(config.client_cert);
	assert_null(config.client_key);
}

static void
what_is_not_safe_is_refused(void **state)
{
	static const struct
	{
		const char *cluster; /* in place of the CA */
		const char *why;
	} clusters[] = {
		{"insecure-skip-tls-verify: true", "put its CA under certificate-authority-data"},
		{"insecure-skip-tls-verify: yes", "always verified"},
		{"proxy-url: http://proxy", "without a proxy"},
		{"tls-server-name: other", "stands in its certificate"},
		{"server: https://again", "\"server\" twice"},
		{"certificate-authority-data: 'not base64!'", "no PEM in base64"},
		{"certificate-authority-data: YWJj", "has no \"CERTIFICATE\" in PEM"},
		{"certificate-authority-data: AAAA", "no PEM in base64"},
		{"certificate-authority-data: [a]", "no text of at most"},
		{"certificate-authority: missing.pem", "missing.pem: No such file"},
		{"certificate-authority: /dev/zero", "/dev/zero is no file"},
		{"certificate-authority: fifo", "is no file"},
		{"certificate-authority: \"a\\nb\"", "no text of one line"},
	};
	static const struct
	{
		const char *user;
		const char *why;
	} users[] = {
		{"exec: {command: aws}", "kubectl create token"},
		{"auth-provider: {name: gcp}", "no program is run"},
		{"username: root, password: pw", "takes no passwords"},
		{"password: pw", "takes no passwords"},
		{"token: t, as: root", "impersonated"},
		{"client-certificate-data: " CA_64, "only one of"},
		{"client-key-data: " KEY_64 ", token: t", "only one of"},
		{"client-certificate-data: " CA_64 ", client-key-data: " CA_64, "PRIVATE KEY"},
		{"client-certificate-data: " CA_64 ", client-key: encrypted.pem", "openssl pkey"},
		{"", "neither a token nor"},
		{"token: 'two words'", "a character that no token has"},
		{"token: [a]", "no text of one line"},
		{"tokenFile: missing", "missing: No such file"},
		{"tokenFile: empty", "is empty"},
		{"tokenFile: large", "is longer than 16384 bytes"},
	};
	char text[4096];

	(void) state;
	assert_int_equal(mkfifo(beside("fifo"), 0600), 0);
	write_file("empty", "\n");
	write_file("encrypted.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	write_file("large", text);
	for (int i = 0; i < 4; i++)
	{
		FILE *file = fopen(beside("large"), "ae");

		assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
	}
	for (size_t i = 0; i < sizeof(clusters) / sizeof(clusters[0]); i++)
	{
		(void) snprintf(text, sizeof(text), HEAD CLUSTER "%s}\n" USER "token: t}\n",
						clusters[i].cluster);
		refused(text, clusters[i].why);
	}
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
	{
		(void) snprintf(text, sizeof(text), HEAD CLUSTER "}\n" USER "%s}\n", users[i].user);
		refused(text, users[i].why);
	}
}

static void
a_server_is_https_and_nothing_more(void **state)
{
	static const struct
	{
		const char *server;
		const char *why;
	} rows[] = {
		{"http://127.0.0.1:6443", "is not https"},
		{"ftp://127.0.0.1", "is not https"},
		{"https://u:pw@127.0.0.1", "in the server's address is not sent"},
		{"https://127.0.0.1/?a=b", "more than host, port and path"},
		{"https://127.0.0.1/#a", "more than host, port and path"},
		{"https://", "not https://host:port"},
		{"https://a b", "not https://host:port"},
		{"https://a:99999", "not https://host:port"},
		{"https://127.0.0.1/\xc3\xa9", "not https://host:port"},
	};
	char text[4096];

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		(void) snprintf(text, sizeof(text),
						HEAD "clusters:\n- name: c\n  cluster: {server: '%s'}\n" USER "token: t}\n",
						rows[i].server);
		refused(text, rows[i].why);
	}
}

static void
what_does_not_hang_together_is_refused(void **state)
{
	static const struct
	{
		const char *text;
		const char *why;
	} rows[] = {
		{"", "is empty"},
		{"a: [", "is not YAML: line 2"},
		{"a\n", "the kubeconfig is no mapping"},
		{"a: b\n", "no current-context"},
		{"a: b\n---\na: b\n", "more than one YAML document"},
		{"[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "nested too deep"},
		{"current-context: x\ncontexts: []\n", "no \"x\" among the contexts"},
		{"current-context: x\n", "no \"x\" among the contexts"},
		{"current-context: x\ncontexts: a\n", "\"contexts\" is no list"},
		{"current-context: x\ncontexts: [a]\n", "contexts is no mapping"},
		{"current-context: x\ncontexts: [{name: x}]\n", "has no \"context\""},
		{"current-context: x\ncontexts: [{name: x, context: {cluster: a}}]\n",
		 "does not name a cluster and a user"},
		{HEAD, "no \"c\" among the clusters"},
		{HEAD "clusters: [{name: c, cluster: {a: b}}]\n", "has no \"server\""},
		{HEAD CLUSTER "}\n", "no \"u\" among the users"},
		/* An alias to what it stands in. */
		{"current-context: x\ncontexts: &a [{name: x, context: *a}]\n",
		 "the context is no mapping"},
	};
	static char large[FHA_KUBE_CONFIG_MAX + 2];
	static char longer[FHA_KUBE_CONFIG_MAX];
	FhaKubeConfig config;
	FhaError err;

	(void) state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refused(rows[i].text, rows[i].why);
	memset(large, '#', sizeof(large) - 1);
	refused(large, "is longer than");
	assert_int_equal(fha_kube_config_load(&config, beside("missing"), NULL, NULL, &err),
					 FHA_NOT_FOUND);
	assert_int_equal(fha_kube_config_load(&config, folder, NULL, NULL, &err), FHA_INVALID);
	large[2000] = '\0';
	assert_int_equal(fha_kube_config_load(&config, large, NULL, NULL, &err), FHA_INVALID);
	assert_non_null(strstr(err.text, "path of the kubeconfig is too long"));
	memset(large, 'x', 2000);
	(void) snprintf(longer, sizeof(longer), HEAD CLUSTER "}\n" USER "tokenFile: %.2000s}\n", large);
	refused(longer, "more than 1023 characters");
	memset(large, 'x', FHA_TOKEN_MAX + 1);
	(void) snprintf(longer, sizeof(longer), HEAD CLUSTER "}\n" USER "token: %.*s}\n",
					FHA_TOKEN_MAX + 1, large);
	refused(longer, "the token is longer than");
	assert_int_equal(
		parse(&config, HEAD CLUSTER "}\n" USER "token: t}\n", NULL, "Not_A_Name", &err),
		FHA_INVALID);
	assert_non_null(strstr(err.text, "\"Not_A_Name\" is no namespace"));
}

/* --- in a pod */

static void
a_pod_knows_its_server(void **state)
{
	static char long_folder[FHA_PATH_SIZE + 1];
	FhaKubeConfig config;
	FhaError err;

	(void) state;
	(void) unsetenv("KUBERNETES_SERVICE_HOST");
	assert_int_equal(fha_kube_config_in_cluster(&config, folder, &err), FHA_NOT_FOUND);
	assert_non_null(strstr(err.text, "name a kubeconfig"));
	(void) setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	(void) setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(fha_kube_config_in_cluster(&config, "/nowhere", &err), FHA_NOT_FOUND);
	memset(long_folder, '/', sizeof(long_folder) - 1);
	assert_int_equal(fha_kube_config_in_cluster(&config, long_folder, &err), FHA_INVALID);
	write_file("ca.crt", CA);
	write_file("token", "abc\n");
	write_file("namespace", "fawkes\n");
	assert_int_equal(fha_kube_config_in_cluster(&config, folder, &err), FHA_OK);
	assert_string_equal(config.server, "https://[fd00::1]:443");
	assert_string_equal(config.namespace_, "fawkes");
	assert_string_equal(config.token, "abc");
	assert_string_equal(config.token_file, beside("token"));
	assert_string_equal(config.ca, CA);
	fha_kube_config_release(&config);
	(void) setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	assert_int_equal(fha_kube_config_in_cluster(&config, folder, &err), FHA_OK);
	assert_string_equal(config.server, "https://10.96.0.1:443");
	fha_kube_config_release(&config);
	(void) setenv("KUBERNETES_SERVICE_PORT", "tcp://x", 1);
	assert_int_equal(fha_kube_config_in_cluster(&config, folder, &err), FHA_INVALID);
	(void) setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	write_file("namespace", "-\n");
	assert_int_equal(fha_kube_config_in_cluster(&config, folder, &err), FHA_INVALID);
	write_file("token", "");
	assert_int_equal(fha_kube_config_in_cluster(&config, folder, &err), FHA_INVALID);
	write_file("ca.crt", "");
	assert_int_equal(fha_kube_config_in_cluster(&config, folder, &err), FHA_INVALID);
	/* That of a pod, which this is not. */
	assert_int_not_equal(fha_kube_config_in_cluster(&config, NULL, &err), FHA_OK);
}

static int
set_up(void **state)
{
	(void) state;
	return mkdtemp(folder) == NULL;
}

static int
tear_down(void **state)
{
	char command[64];

	(void) state;
	(void) snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_context_names_server_user_and_namespace),
		cmocka_unit_test(files_are_relative_to_the_kubeconfig),
		cmocka_unit_test(what_is_null_or_false_is_not_there),
		cmocka_unit_test(what_is_not_safe_is_refused),
		cmocka_unit_test(a_server_is_https_and_nothing_more),
		cmocka_unit_test(what_does_not_hang_together_is_refused),
		cmocka_unit_test(a_pod_knows_its_server),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
