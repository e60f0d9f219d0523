/*
 * kube_config_fuzz.c: a kubeconfig, in which a person may have written anything.
 *
 * What is taken names an https server and a namespace that can stand in a path, with credentials that
 * can stand in a header; what is not taken leaves a sentence, and nothing to release.
 */
#include "test/fuzz/fuzz.h"

#include "kube/config.h"

static void
check(const FhaKubeConfig *config)
{
	size_t length = strlen(config->server);

	FUZZ_MUST(strncmp(config->server, "https://", 8) == 0 && length > 8);
	FUZZ_MUST(config->server[length - 1] != '/');
	for (size_t i = 0; i < length; i++)
		FUZZ_MUST(config->server[i] > ' ' && config->server[i] != '?' && config->server[i] != '#');
	FUZZ_MUST(config->namespace_[0] != '\0' && strchr(config->namespace_, '/') == NULL);
	FUZZ_MUST(config->token != NULL || config->client_cert != NULL);
	FUZZ_MUST((config->client_cert == NULL) == (config->client_key == NULL));
	for (const char *at = config->token; at != NULL && *at != '\0'; at++)
		FUZZ_MUST(*at > ' ' && *at <= '~');
	FUZZ_MUST(config->ca == NULL || strstr(config->ca, "-----BEGIN ") != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FhaKubeConfig config;
	FhaError err = {FHA_OK, ""};
	FhaCode code = fha_kube_config_parse(&config, (const char *) data, size, fuzz_directory(), NULL,
										 NULL, &err);

	if (code == FHA_OK)
	{
		check(&config);
		fha_kube_config_release(&config);
	}
	else
	{
		FUZZ_MUST(err.code == code && err.text[0] != '\0');
		FUZZ_MUST(code == FHA_INVALID || code == FHA_IO);
	}
	FUZZ_MUST(config.token == NULL && config.ca == NULL && config.client_key == NULL);
	return 0;
}
