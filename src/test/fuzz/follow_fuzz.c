/*
 * follow_fuzz.c: another member's address, on its way into follow.conf.
 *
 * The address comes from a record of the lock.  libpq and our own reader of settings are asked what
 * they understand: exactly one host, our user and our password file, whatever the address has in it.
 */
#include "test/fuzz/fuzz.h"

#include <libpq-fe.h>

#include "config/conninfo.h"
#include "config/state_directory.h"
#include "node/follow.h"

static FhaConfig config;

static void
prepare(void)
{
	if (config.data_directory[0] != '\0')
		return;
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "%s/it's\\n1",
					fuzz_directory());
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "db-demo-dev");
	(void) snprintf(config.member_name, sizeof(config.member_name), "n1");
	FUZZ_NEEDS(fha_state_prepare(&config, NULL) == FHA_OK);
}

static const char *
option(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val == NULL ? "" : options->val;
	return "";
}

static void
check_conninfo(const char *conninfo, const char *address)
{
	char *problem = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &problem);
	char passfile[FHA_PATH_SIZE];
	char expected[FHA_PATH_SIZE + 40];

	FUZZ_MUST(options != NULL);
	FUZZ_NEEDS(fha_state_path(&config, "pgpass", passfile, sizeof(passfile), NULL) == FHA_OK);
	FUZZ_MUST(strcmp(option(options, "user"), FHA_REPLICATION_USER) == 0);
	FUZZ_MUST(strcmp(option(options, "passfile"), passfile) == 0);
	FUZZ_MUST(strcmp(option(options, "application_name"), "n1_0123456789abcdef") == 0);
	FUZZ_MUST(strcmp(option(options, "dbname"), "") == 0);
	(void) snprintf(expected, sizeof(expected), "%s:%s", option(options, "host"),
					option(options, "port"));
	if (strcmp(expected, address) != 0)
	{
		(void) snprintf(expected, sizeof(expected), "[%s]:%s", option(options, "host"),
						option(options, "port"));
		FUZZ_MUST(strcmp(expected, address) == 0);
	}
	PQconninfoFree(options);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const FhaState state = {.data_incarnation = "0123456789abcdef"};
	FhaConfig read_back;
	char conninfo[FHA_CONNINFO_SIZE];
	char path[FHA_PATH_SIZE];
	FhaError err;
	bool changed;
	char *address;

	prepare();
	if (size >= FHA_ADDRESS_SIZE + 19)
		return 0;
	address = fuzz_string(data, size);
	if (fha_conninfo(&config, address, "n1_0123456789abcdef", conninfo, sizeof(conninfo), &err) ==
		FHA_OK)
	{
		check_conninfo(conninfo, address);
		FUZZ_NEEDS(fha_state_path(&config, "follow.conf", path, sizeof(path), NULL) == FHA_OK);
		FUZZ_MUST(fha_follow_write(&config, &state, address, &changed, &err) == FHA_OK);
		FUZZ_MUST(fha_follow_write(&config, &state, address, &changed, &err) == FHA_OK && !changed);
		fha_config_defaults(&read_back);
		FUZZ_MUST(fha_config_read(&read_back, path, &err) == FHA_OK);
	}
	else
		FUZZ_MUST(err.code == FHA_INVALID && err.text[0] != '\0');
	free(address);
	return 0;
}
