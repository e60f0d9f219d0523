/*
 * pgfiles_fuzz.c: files of the data directory that the supervisor reads and rewrites before a start:
 * postgresql.auto.conf, and postmaster.pid of a server that is gone.
 *
 * The first byte tells which of the two the rest is.
 */
#include "test/fuzz/fuzz.h"

#include <ctype.h>
#include <strings.h>

#include "cli/files.h"
#include "cli/postgres.h"
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
	FUZZ_NEEDS(fha_state_prepare(&config, NULL) == FHA_OK);
	fuzz_make_directory("n1");
	(void) fuzz_file("n1/PG_VERSION", "15\n", 3);
}

/* ALTER SYSTEM says neither whom to follow nor who a member is: no such line is left. */
static void
auto_file(const uint8_t *data, size_t size)
{
	char path[256];
	char *before = fuzz_string(data, size);
	char *after;
	char *rest;
	FhaError err;

	(void) snprintf(path, sizeof(path), "%s", fuzz_file("n1/postgresql.auto.conf", data, size));
	if (postgres_configure(&config, &err) != FHA_OK)
	{
		FUZZ_MUST(err.code == FHA_INVALID && strstr(err.text, "auto.conf") != NULL);
		free(before);
		return;
	}
	FUZZ_MUST(fha_file_read(path, size + 1, &after, &err) == FHA_OK);
	FUZZ_MUST(strlen(after) <= strlen(before));
	rest = after;
	while (rest != NULL)
	{
		const char *line = strsep(&rest, "\n");

		while (isblank((unsigned char) *line))
			line++;
		FUZZ_MUST(strncasecmp(line, "primary_conninfo ", 17) != 0);
		FUZZ_MUST(strncasecmp(line, "primary_conninfo=", 17) != 0);
		FUZZ_MUST(strncasecmp(line, "recovery_target_", 16) != 0);
		FUZZ_MUST(strncasecmp(line, "restore_command=", 16) != 0);
		FUZZ_MUST(strncasecmp(line, "fawkes_ha.lock=", 15) != 0);
	}
	free(after);
	free(before);
}

static void
pid_file(const uint8_t *data, size_t size)
{
	FhaError err;
	FhaCode code;

	(void) fuzz_file("n1/postmaster.pid", data, size);
	code = postgres_forgive_dead(&config, &err);
	/* CONFLICT: an empty one that is new might be of a server that just starts. */
	FUZZ_MUST(code == FHA_OK ||
			  ((code == FHA_INVALID || code == FHA_CONFLICT) && err.text[0] != '\0'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	prepare();
	if (size == 0)
		return 0;
	if (data[0] == 'p')
		pid_file(data + 1, size - 1);
	else
		auto_file(data + 1, size - 1);
	return 0;
}
