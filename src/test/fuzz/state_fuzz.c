/*
 * state_fuzz.c: node.json, and the seat's file with the process number of its caller.
 *
 * The first byte tells which of the two the rest is.
 */
#include "fuzz.h"

#include "state.h"

static FhaConfig config;

static void
prepare(void)
{
	if (config.data_directory[0] != '\0')
		return;
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "%s/n1",
					fuzz_directory());
	(void) snprintf(config.cluster_name, sizeof(config.cluster_name), "db-demo-dev");
	(void) snprintf(config.member_name, sizeof(config.member_name), "n1");
	FUZZ_NEEDS(fha_state_prepare(&config, NULL) == FHA_OK);
}

static void
node_file(const uint8_t *data, size_t size)
{
	FhaState first;
	FhaState second;
	FhaError err;
	FhaCode code;

	(void) fuzz_file("n1.fawkes_ha/node.json", data, size);
	code = fha_state_load(&config, &first, &err);
	if (code != FHA_OK)
	{
		FUZZ_MUST(code == FHA_INVALID && strstr(err.text, "node.json") != NULL);
		return;
	}
	FUZZ_MUST(strcmp(first.member, "n1") == 0 && strcmp(first.cluster, "db-demo-dev") == 0);
	FUZZ_MUST(fha_state_save(&config, &first, &err) == FHA_OK);
	FUZZ_MUST(fha_state_load(&config, &second, &err) == FHA_OK);
	FUZZ_MUST(strcmp(first.cluster_uuid, second.cluster_uuid) == 0);
	FUZZ_MUST(strcmp(first.data_incarnation, second.data_incarnation) == 0);
	FUZZ_MUST(first.highest_term == second.highest_term);
}

static void
seat_file(const uint8_t *data, size_t size)
{
	FhaSeat seat;
	int pid;

	(void) fuzz_file("n1.fawkes_ha/seat", data, size);
	FUZZ_NEEDS(fha_seat_open(&config, &seat, NULL) == FHA_OK);
	pid = fha_seat_read_pid(&seat);
	FUZZ_MUST(pid == 0 || pid > 1);
	fha_seat_write_pid(&seat);
	FUZZ_MUST(fha_seat_read_pid(&seat) == (int) getpid());
	fha_seat_close(&seat);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	prepare();
	if (size == 0)
		return 0;
	if (data[0] == 's')
		seat_file(data + 1, size - 1);
	else
		node_file(data + 1, size - 1);
	return 0;
}
