/*
 * config.c: in a pod, or by a kubeconfig.  See kube/config.h.
 */
#include "kube/config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/secret.h"
#include "kube/yaml.h"

#define SERVICE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"
void
fha_kube_config_release(FhaKubeConfig *config)
{
	fha_secret_free(config->token);
	fha_secret_free(config->ca);
	fha_secret_free(config->client_cert);
	fha_secret_free(config->client_key);
	memset(config, 0, sizeof(*config));
}

/* --- what a value may be, wherever it comes from */

static FhaCode
set_namespace(FhaKubeConfig *out, const char *name, FhaError *err)
{
	size_t length = strlen(name);

	if (length == 0 || length >= sizeof(out->namespace_) ||
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length || name[0] == '-' ||
		name[length - 1] == '-')
		return fha_error(err, FHA_INVALID,
						 "\"%.63s\" is no namespace: 1 to 63 of a-z, 0-9 and -, no - at an end",
						 name);
	memcpy(out->namespace_, name, length + 1);
	return FHA_OK;
}

static bool
has_part(CURLU *url, CURLUPart part)
{
	char *value = NULL;
	CURLUcode code = curl_url_get(url, part, &value, 0);

	curl_free(value);
	return code == CURLUE_OK;
}

static bool
is_printable(const char *text)
{
	while (*text > ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

static FhaCode
set_server(FhaKubeConfig *out, const char *server, FhaError *err)
{
	CURLU *url = curl_url();
	char *text = NULL;
	FhaCode code = FHA_OK;
	CURLUcode problem;
	size_t length;

	if (url == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	problem = curl_url_set(url, CURLUPART_URL, server, CURLU_NON_SUPPORT_SCHEME);
	if (problem == CURLUE_OK)
		problem = curl_url_get(url, CURLUPART_URL, &text, 0);
	length = text == NULL ? 0 : strlen(text);
	while (length > 0 && text[length - 1] == '/')
		text[--length] = '\0';
	if (problem == CURLUE_OUT_OF_MEMORY)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	else if (problem != CURLUE_OK || text == NULL || length >= sizeof(out->server) ||
			 !is_printable(text))
		code = fha_error(err, FHA_INVALID, "the server is not https://host:port");
	else if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		code = fha_error(err, FHA_INVALID,
						 "a user or password in the server's address is not sent: use a token or a "
						 "client certificate");
	else if (strncmp(text, "https://", 8) != 0)
		code = fha_error(err, FHA_INVALID,
						 "the server \"%.100s\" is not https: a lock that anybody on the way can "
						 "change is none; use the API server's https address",
						 text);
	else if (strpbrk(text, "?#") != NULL)
		code = fha_error(err, FHA_INVALID,
						 "the server \"%.100s\" has more than host, port and path", text);
	else
		memcpy(out->server, text, length + 1);
	curl_free(text);
	curl_url_cleanup(url);
	return code;
}

/* --- in a pod */

static FhaCode
read_beside(const char *folder, const char *name, size_t max, char **out, FhaError *err)
{
	char path[FHA_PATH_SIZE];

	*out = NULL;
	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int) sizeof(path))
		return fha_error(err, FHA_INVALID, "the path of the service account's files is too long");
	return fha_secret_read(path, max, out, NULL, err);
}

FhaCode
fha_kube_config_in_cluster(FhaKubeConfig *out, const char *folder, FhaError *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	char server[FHA_KUBE_SERVER_SIZE];
	char *name = NULL;
	FhaCode code;

	memset(out, 0, sizeof(*out));
	if (folder == NULL)
		folder = SERVICE_ACCOUNT;
	if (host == NULL || port == NULL || host[0] == '\0' || port[0] == '\0')
		return fha_error(
			err, FHA_NOT_FOUND,
			"not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not "
			"set; outside of one, name a kubeconfig");
	/* An IPv6 address stands in brackets in a URL. */
	(void) snprintf(server, sizeof(server),
					strchr(host, ':') != NULL ? "https://[%.200s]:%.20s" : "https://%.200s:%.20s",
					host, port);
	code = set_server(out, server, err);
	if (code == FHA_OK)
		code = read_beside(folder, "ca.crt", FHA_PEM_MAX, &out->ca, err);
	if (code == FHA_OK)
		code = fha_secret_check_pem(out->ca, "CERTIFICATE", "the service account's ca.crt", err);
	if (code == FHA_OK)
		code = read_beside(folder, "token", FHA_TOKEN_MAX, &out->token, err);
	if (code == FHA_OK)
		code = fha_secret_trim_token(out->token, "the service account's token", err);
	if (code == FHA_OK)
	{
		(void) snprintf(out->token_file, sizeof(out->token_file), "%s/token", folder);
		(void) snprintf(out->ca_file, sizeof(out->ca_file), "%s/ca.crt", folder);
	}
	if (code == FHA_OK)
		code = read_beside(folder, "namespace", 4096, &name, err);
	if (code == FHA_OK)
	{
		/* analyzer: a file that was read has a text */
		name[strcspn(name, " \t\r\n")] = '\0';
		code = set_namespace(out, name, err);
	}
	fha_secret_free(name);
	if (code != FHA_OK)
		fha_kube_config_release(out);
	return code;
}

/* --- a kubeconfig's values */

/* A path as it is meant in this kubeconfig. */
static void
make_path(FhaYaml *yaml, const char *directory, const char *path, char *out, size_t size)
{
	int length = path[0] == '/' ? snprintf(out, size, "%s", path)
								: snprintf(out, size, "%s/%s", directory, path);

	if (length < 0 || (size_t) length >= size)
	{
		out[0] = '\0';
		fha_yaml_complain(yaml, "a path of the kubeconfig has more than %zu characters", size - 1);
	}
}

/* LCOV_EXCL_START: no memory */
static void
fail_memory(FhaYaml *yaml)
{
	yaml->code = fha_error(yaml->err, FHA_NO_MEMORY, "out of memory");
}
/* LCOV_EXCL_STOP */

/* One that is missing is the kubeconfig's mistake: NOT_FOUND is for the kubeconfig itself. */
static void
read_named(FhaYaml *yaml, const char *path, size_t max, char **out)
{
	yaml->code = fha_secret_read(path, max, out, NULL, yaml->err);
	if (yaml->code != FHA_NOT_FOUND)
		return;
	yaml->code = FHA_INVALID;
	if (yaml->err != NULL)
		yaml->err->code = FHA_INVALID;
}

/* What a text in base64 stands for. */
static char *
yaml_decode(FhaYaml *yaml, const char *what, const char *base64)
{
	size_t length = strlen(base64);
	unsigned char *out = malloc(length + 4);
	EVP_ENCODE_CTX *context = EVP_ENCODE_CTX_new();
	int used = 0;
	int more = 0;
	bool good = false;

	if (out == NULL || context == NULL)
		fail_memory(yaml); /* LCOV_EXCL_LINE: no memory */
	else
	{
		EVP_DecodeInit(context);
		good = EVP_DecodeUpdate(context, out, &used, (const unsigned char *) base64,
								(int) length) >= 0 &&
			   EVP_DecodeFinal(context, out + used, &more) == 1;
		used += more;
		out[used] = '\0';
		if (!good || memchr(out, '\0', (size_t) used) != NULL || used == 0)
			fha_yaml_complain(yaml, "\"%s\" is no PEM in base64", what);
	}
	EVP_ENCODE_CTX_free(context);
	if (yaml->code != FHA_OK && out != NULL)
	{
		OPENSSL_cleanse(out, (size_t) used);
		free(out);
		out = NULL;
	}
	return (char *) out;
}

/*
 * <key>-data, else the file <key>, whose path is then in `path` (FHA_PATH_SIZE, else ""); NULL if neither
 * is there.  Free it with fha_secret_free.
 */
static char *
find_pem(FhaYaml *yaml, const char *directory, const yaml_node_t *map, const char *what,
		 const char *key, const char *kind, char *path)
{
	char data_key[40];
	const yaml_node_t *data;
	const char *file = fha_yaml_find_text(yaml, map, what, key);
	char *pem = NULL;

	(void) snprintf(data_key, sizeof(data_key), "%s-data", key);
	data = fha_yaml_find(yaml, map, what, data_key);
	if (yaml->code != FHA_OK)
		return NULL;
	if (data != NULL)
	{
		const char *base64 = fha_yaml_scalar(data);

		if (base64 == NULL || strlen(base64) > FHA_PEM_MAX)
			fha_yaml_complain(yaml, "\"%s\" of %s is no text of at most %d bytes", data_key, what,
							  FHA_PEM_MAX);
		else
			pem = yaml_decode(yaml, data_key, base64);
		file = data_key;
	}
	else if (file != NULL)
	{
		make_path(yaml, directory, file, path, FHA_PATH_SIZE);
		if (yaml->code == FHA_OK)
			read_named(yaml, path, FHA_PEM_MAX, &pem);
		file = path;
	}
	if (pem != NULL)
		yaml->code = fha_secret_check_pem(pem, kind, file, yaml->err);
	return pem;
}

static void
yaml_read_cluster(FhaYaml *yaml, const char *directory, const yaml_node_t *cluster,
				  FhaKubeConfig *out)
{
	static const char what[] = "the cluster";
	const char *server = fha_yaml_find_text(yaml, cluster, what, "server");
	const char *insecure = fha_yaml_find_text(yaml, cluster, what, "insecure-skip-tls-verify");

	if (insecure != NULL && strcmp(insecure, "false") != 0)
		fha_yaml_complain(
			yaml, "\"insecure-skip-tls-verify\" is refused: the server is always verified; put "
				  "its CA under certificate-authority-data");
	if (fha_yaml_find_text(yaml, cluster, what, "proxy-url") != NULL)
		fha_yaml_complain(
			yaml, "\"proxy-url\" is not supported: use an address that can be reached without "
				  "a proxy");
	if (fha_yaml_find_text(yaml, cluster, what, "tls-server-name") != NULL)
		fha_yaml_complain(
			yaml, "\"tls-server-name\" is not supported: use as server a name or address that "
				  "stands in its certificate");
	if (server == NULL)
		fha_yaml_complain(yaml, "the cluster has no \"server\"");
	if (yaml->code == FHA_OK)
		yaml->code = set_server(out, server, yaml->err);
	out->ca = find_pem(yaml, directory, cluster, what, "certificate-authority", "CERTIFICATE",
					   out->ca_file);
}

static void
refuse_user(FhaYaml *yaml, const yaml_node_t *user)
{
	static const char *const programs[] = {"exec", "auth-provider"};
	static const char *const passwords[] = {"username", "password"};
	static const char *const others[] = {"as", "as-uid", "as-groups", "as-user-extra"};

	for (size_t i = 0; i < 2; i++)
		if (fha_yaml_find(yaml, user, "the user", programs[i]) != NULL)
			fha_yaml_complain(
				yaml,
				"\"%s\" is refused: no program is run for credentials; give a ServiceAccount's "
				"token (kubectl create token), a tokenFile or a client certificate",
				programs[i]);
	for (size_t i = 0; i < 2; i++)
		if (fha_yaml_find(yaml, user, "the user", passwords[i]) != NULL)
			fha_yaml_complain(
				yaml,
				"\"%s\" is refused: Kubernetes takes no passwords; use a token, a tokenFile or "
				"a client certificate",
				passwords[i]);
	for (size_t i = 0; i < 4; i++)
		if (fha_yaml_find(yaml, user, "the user", others[i]) != NULL)
			fha_yaml_complain(
				yaml,
				"\"%s\" is refused: nobody else is impersonated; use credentials of the account "
				"itself",
				others[i]);
}

static void
read_user(FhaYaml *yaml, const char *directory, const yaml_node_t *user, FhaKubeConfig *out)
{
	static const char what[] = "the user";
	const char *token = fha_yaml_find_text(yaml, user, what, "token");
	const char *file = fha_yaml_find_text(yaml, user, what, "tokenFile");

	refuse_user(yaml, user);
	if (yaml->code == FHA_OK && file != NULL)
	{
		make_path(yaml, directory, file, out->token_file, sizeof(out->token_file));
		if (yaml->code == FHA_OK)
			read_named(yaml, out->token_file, FHA_TOKEN_MAX, &out->token);
	}
	else if (yaml->code == FHA_OK && token != NULL)
	{
		if (strlen(token) > FHA_TOKEN_MAX)
			fha_yaml_complain(yaml, "the token is longer than %d bytes", FHA_TOKEN_MAX);
		else if ((out->token = strdup(token)) == NULL)
			fail_memory(yaml); /* LCOV_EXCL_LINE: no memory */
	}
	if (yaml->code == FHA_OK && out->token != NULL)
		yaml->code = fha_secret_trim_token(out->token, file != NULL ? out->token_file : "the user",
										   yaml->err);
	out->client_cert = find_pem(yaml, directory, user, what, "client-certificate", "CERTIFICATE",
								out->client_cert_file);
	out->client_key =
		find_pem(yaml, directory, user, what, "client-key", "PRIVATE KEY", out->client_key_file);
	if ((out->client_cert == NULL) != (out->client_key == NULL))
		fha_yaml_complain(yaml, "the user has only one of client-certificate and client-key");
	if (out->token == NULL && out->client_cert == NULL)
		fha_yaml_complain(yaml, "the user has neither a token nor a client certificate");
}

static void
read_context(FhaYaml *yaml, const char *directory, const char *name, const char *namespace_,
			 FhaKubeConfig *out)
{
	const yaml_node_t *root = yaml_document_get_root_node(&yaml->document);
	const yaml_node_t *context;
	const char *cluster;
	const char *user;
	const char *its_namespace;

	if (name == NULL)
		name = fha_yaml_find_text(yaml, root, "the kubeconfig", "current-context");
	if (name == NULL)
		fha_yaml_complain(yaml,
						  "the kubeconfig has no current-context: set one, or name a context");
	if (yaml->code != FHA_OK)
		return;
	context = fha_yaml_find_named(yaml, "contexts", "context", name);
	cluster = fha_yaml_find_text(yaml, context, "the context", "cluster");
	user = fha_yaml_find_text(yaml, context, "the context", "user");
	its_namespace = fha_yaml_find_text(yaml, context, "the context", "namespace");
	if (cluster == NULL || user == NULL)
		fha_yaml_complain(yaml, "the context \"%.60s\" does not name a cluster and a user", name);
	if (yaml->code == FHA_OK)
		yaml_read_cluster(yaml, directory,
						  fha_yaml_find_named(yaml, "clusters", "cluster", cluster), out);
	if (yaml->code == FHA_OK)
		read_user(yaml, directory, fha_yaml_find_named(yaml, "users", "user", user), out);
	if (namespace_ == NULL)
		namespace_ = its_namespace != NULL ? its_namespace : "default";
	if (yaml->code == FHA_OK)
		yaml->code = set_namespace(out, namespace_, yaml->err);
}

FhaCode
fha_kube_config_parse(FhaKubeConfig *out, const char *text, size_t size, const char *directory,
					  const char *context, const char *namespace_, FhaError *err)
{
	FhaYaml yaml;
	FhaCode code;

	memset(out, 0, sizeof(*out));
	if (size > FHA_KUBE_CONFIG_MAX)
		return fha_error(err, FHA_INVALID, "the kubeconfig is longer than %d bytes",
						 FHA_KUBE_CONFIG_MAX);
	code = fha_yaml_init(&yaml, text, size, err);
	if (code != FHA_OK)
		return code;
	read_context(&yaml, directory, context, namespace_, out);
	code = yaml.code;
	fha_yaml_release(&yaml);
	if (code != FHA_OK)
		fha_kube_config_release(out);
	return code;
}

FhaCode
fha_kube_config_load(FhaKubeConfig *out, const char *path, const char *context,
					 const char *namespace_, FhaError *err)
{
	char directory[FHA_PATH_SIZE];
	const char *slash = strrchr(path, '/');
	char *text;
	FhaCode code;

	memset(out, 0, sizeof(*out));
	if (strlen(path) >= sizeof(directory))
		return fha_error(err, FHA_INVALID, "the path of the kubeconfig is too long");
	code = fha_secret_read(path, FHA_KUBE_CONFIG_MAX, &text, NULL, err);
	if (code != FHA_OK)
		return code;
	(void) snprintf(directory, sizeof(directory), "%.*s", slash == NULL ? 1 : (int) (slash - path),
					slash == NULL ? "." : path);
	code = fha_kube_config_parse(out, text, strlen(text), directory, context, namespace_, err);
	fha_secret_free(text);
	return code;
}

FhaCode
fha_kube_config_of(const FhaKubePlace *place, FhaKubeConfig *out, FhaError *err)
{
	FhaCode code;

	if (place->kubeconfig[0] != '\0')
		return fha_kube_config_load(out, place->kubeconfig,
									place->context[0] == '\0' ? NULL : place->context,
									place->namespace_[0] == '\0' ? NULL : place->namespace_, err);
	code = fha_kube_config_in_cluster(out, NULL, err);
	if (code == FHA_OK && place->namespace_[0] != '\0')
		/* LCOV_EXCL_START: in a pod */
		(void) snprintf(out->namespace_, sizeof(out->namespace_), "%.63s", place->namespace_);
	/* LCOV_EXCL_STOP */
	return code;
}
