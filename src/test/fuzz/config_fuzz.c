/*
 * config_fuzz.c: fawkes_ha.conf.  What is accepted is within the ranges of settings.def.
 */
#include "test/fuzz/fuzz.h"

#include "config/config.h"

static bool
is_between(int64_t value, int64_t least, int64_t most)
{
	return value >= least && value <= most;
}

static void
check_ranges(const FhaConfig *config)
{
	FUZZ_MUST(config->cluster_name[0] == '\0' || fha_name_is_valid(config->cluster_name));
	FUZZ_MUST(config->member_name[0] == '\0' || fha_name_is_valid(config->member_name));
	FUZZ_MUST(config->lock[0] == '\0' || strncmp(config->lock, "dir:/", 5) == 0);
	FUZZ_MUST(config->address[0] == '\0' || strchr(config->address, ':') != NULL);
	FUZZ_MUST(config->state_directory[0] == '\0' || config->state_directory[0] == '/');
	FUZZ_MUST(strcmp(config->bootstrap, "initdb") == 0 || strcmp(config->bootstrap, "none") == 0);
	FUZZ_MUST(is_between(config->port, 1, 65535));
#define FHA_NUMBER(name, unit, initial, least, most, ...) \
	FUZZ_MUST(is_between(config->FHA_FIELD(name, unit), FHA_AMOUNT(least), FHA_AMOUNT(most)));
#include "config/settings.def"
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_file("fawkes_ha.conf", data, size);
	static FhaConfig config;
	FhaError err = {.code = FHA_OK};
	FhaCode code;

	memset(&config, 0, sizeof(config));
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "/srv/n1");
	code = fha_config_read(&config, path, &err);
	FUZZ_MUST(code == FHA_OK || (code == FHA_INVALID && err.text[0] != '\0'));
	check_ranges(&config);
	if (code == FHA_OK && fha_config_check(&config, &err) == FHA_OK)
	{
		FUZZ_MUST(config.cluster_name[0] != '\0' && config.member_name[0] != '\0');
		FUZZ_MUST(config.renew_deadline_ms < config.lease_duration_ms);
		FUZZ_MUST(config.retry_period_ms < config.renew_deadline_ms);
	}
	return 0;
}
