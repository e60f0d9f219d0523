/*
 * torture_kube_test.c: a kubeconfig and its files, with no memory and a failing disk at each place.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "kube/config.h"
#include "base/secret.h"
#include "test/torture/torture.h"

/* Far more than there are of either. */
#define MOST 20000

static char folder[] = "/tmp/fha-torture-kube-XXXXXX";

static const char *
beside(const char *name)
{
	static char path[128];

	(void) snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
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
load(FhaError *err)
{
	FhaKubeConfig config;
	FhaCode code = fha_kube_config_load(&config, beside("config"), NULL, NULL, err);

	if (code == FHA_OK)
	{
		assert_string_equal(config.server, "https://127.0.0.1:6443");
		assert_string_equal(config.token, "abc");
		assert_non_null(config.ca);
		fha_kube_config_release(&config);
	}
	return code;
}

static FhaCode
find_pod(FhaError *err)
{
	FhaKubeConfig config;
	FhaCode code = fha_kube_config_in_cluster(&config, folder, err);

	if (code == FHA_OK)
	{
		assert_string_equal(config.namespace_, "fawkes");
		fha_kube_config_release(&config);
	}
	return code;
}

static void
fails_well(FhaCode (*run)(FhaError *err), bool memory)
{
	static const TortureFault fault = {.error = EIO};
	int before = torture_descriptors();
	bool struck = true;
	long n;

	for (n = 1; struck && n < MOST; n++)
	{
		FhaError err = {FHA_OK, ""};
		FhaCode code;

		if (memory)
			torture_allocations(n, false);
		else
			torture_calls(n, fault);
		/* libyaml (0.2.5) loses a block when a document finds no memory. */
		torture_leaks(memory && run == load);
		code = run(&err);
		torture_leaks(false);
		struck = torture_end();
		assert_true(struck || code == FHA_OK);
		assert_int_equal(err.code, code);
		if (code != FHA_OK)
		{
			assert_string_not_equal(err.text, "");
			assert_int_equal(code, memory ? FHA_NO_MEMORY : FHA_IO);
		}
		assert_int_equal(torture_descriptors(), before);
	}
	assert_true(n > 2 && n < MOST);
}

static void
a_kubeconfig_survives(void **state)
{
	FhaError err;

	(void) state;
	/* What the libraries keep for good is there from the first time on. */
	assert_int_equal(load(&err), FHA_OK);
	fails_well(load, true);
	fails_well(load, false);
}

static void
a_pod_survives(void **state)
{
	FhaError err;

	(void) state;
	assert_int_equal(find_pod(&err), FHA_OK);
	fails_well(find_pod, true);
	fails_well(find_pod, false);
}

static void
a_token_that_cannot_be_read_stays(void **state)
{
	FhaSecret token = {.text = NULL};

	(void) state;
	(void) snprintf(token.path, sizeof(token.path), "%s", beside("token"));
	assert_true(fha_secret_refresh(&token, NULL, false));
	for (int memory = 0; memory < 2; memory++)
	{
		bool struck = true;

		for (long n = 1; struck && n < MOST; n++)
		{
			if (memory != 0)
				torture_allocations(n, false);
			else
				torture_calls(n, (TortureFault){.error = EIO});
			assert_false(fha_secret_refresh(&token, NULL, true));
			struck = torture_end();
			assert_string_equal(token.text, "abc");
		}
	}
	fha_secret_free(token.text);
}

static int
set_up(void **state)
{
	(void) state;
	if (mkdtemp(folder) == NULL)
		return -1;
	write_file("ca.crt", "-----BEGIN CERTIFICATE-----\nY2E=\n-----END CERTIFICATE-----\n");
	write_file("token", "abc\n");
	write_file("namespace", "fawkes\n");
	write_file(
		"config",
		"current-context: here\n"
		"contexts: [{name: here, context: {cluster: c, user: u}}]\n"
		"clusters: [{name: c, cluster: {server: 'https://127.0.0.1:6443', "
		"certificate-authority-data: "
		"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tClkyRT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=}}]\n"
		"users: [{name: u, user: {tokenFile: token}}]\n");
	return setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1) |
		   setenv("KUBERNETES_SERVICE_PORT", "443", 1);
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
		cmocka_unit_test(a_kubeconfig_survives),
		cmocka_unit_test(a_pod_survives),
		cmocka_unit_test(a_token_that_cannot_be_read_stays),
	};

	return cmocka_run_group_tests_name("torture_kube", tests, set_up, tear_down);
}
