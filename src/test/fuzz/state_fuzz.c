/*
 * state_fuzz.c: node.json, bond.json, peers.json, and `seat` with the process number of the agent.
 *
 * The first byte tells which of them the rest is.
 */
#include "test/fuzz/fuzz.h"

#include "node/peers.h"
#include "node/promise_file.h"
#include "node/state.h"

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
promise_file(const uint8_t *data, size_t size)
{
	FhaPromiseFile first;
	FhaPromiseFile second;
	FhaError err;
	FhaCode code;

	(void) fuzz_file("n1.fawkes_ha/bond.json", data, size);
	code = fha_promise_file_load(&config, &first, &err);
	FUZZ_MUST(code == FHA_OK || (code == FHA_INVALID && strstr(err.text, "bond.json") != NULL));
	if (code != FHA_OK)
		return;
	FUZZ_MUST(fha_promise_file_save(&config, &first, &err) == FHA_OK);
	FUZZ_MUST(fha_promise_file_load(&config, &second, &err) == FHA_OK);
	FUZZ_MUST(first.ends_at_ms == second.ends_at_ms && first.for_ms == second.for_ms);
	FUZZ_MUST(first.heard_term == second.heard_term && first.heard.lsn == second.heard.lsn);
}

static void
peers_file(const uint8_t *data, size_t size)
{
	static FhaPeers first;
	static FhaPeers second;
	FhaError err;
	FhaCode code;
	char *text;

	(void) fuzz_file("n1.fawkes_ha/peers.json", data, size);
	code = fha_peers_load(&config, &first, &err);
	FUZZ_MUST(code == FHA_OK || (code == FHA_INVALID && strstr(err.text, "peers.json") != NULL));
	FUZZ_MUST(first.count <= FHA_MEMBERS_MAX);
	if (code != FHA_OK)
		return;
	FUZZ_MUST(fha_peers_print(&first, &text, &err) == FHA_OK);
	(void) fuzz_file("n1.fawkes_ha/peers.json", text, strlen(text));
	free(text);
	FUZZ_MUST(fha_peers_load(&config, &second, &err) == FHA_OK);
	FUZZ_MUST(first.count == second.count && first.term == second.term);
	FUZZ_MUST(first.written_at_ms == second.written_at_ms &&
			  first.duration_ms == second.duration_ms);
}

static void
ownership_file(const uint8_t *data, size_t size)
{
	FhaOwnership ownership;
	int pid;

	(void) fuzz_file("n1.fawkes_ha/seat", data, size);
	FUZZ_NEEDS(fha_ownership_open(&config, &ownership, NULL) == FHA_OK);
	pid = fha_ownership_read_pid(&ownership);
	FUZZ_MUST(pid == 0 || pid > 1);
	fha_ownership_write_pid(&ownership);
	FUZZ_MUST(fha_ownership_read_pid(&ownership) == (int) getpid());
	fha_ownership_close(&ownership);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	prepare();
	if (size == 0)
		return 0;
	switch (data[0])
	{
		case 's':
			ownership_file(data + 1, size - 1);
			break;
		case 'b':
			promise_file(data + 1, size - 1);
			break;
		case 'p':
			peers_file(data + 1, size - 1);
			break;
		default:
			node_file(data + 1, size - 1);
	}
	return 0;
}
