/*
 * postgres_fuzz.c: what pg_controldata, pg_waldump and `postgres -C` print.
 *
 * The input is what the programs say, one section for each output in the order in which they are
 * read, a line "%%" between them.  A section that begins with "!" is of a program that failed.
 */
#include "test/fuzz/fuzz.h"

#include <inttypes.h>

#include "cli/postgres.h"
#include "cli/process.h"

static char *script;

/* The next section of the script; *status as from waitpid. */
static const char *
next_section(int *status)
{
	char *section = script;
	char *end = section == NULL ? NULL : strstr(section, "%%\n");

	if (section == NULL)
		section = "";
	script = end == NULL ? NULL : end + 3;
	if (end != NULL)
		*end = '\0';
	*status = section[0] == '!' ? 1 << 8 : 0;
	return section + (section[0] == '!');
}

static void
say(ProcessOutput to, const char *text)
{
	size_t left = strlen(text);

	/* In pieces, as from a pipe. */
	for (size_t piece = 1; left > 0; piece = piece % 100 + 7)
	{
		size_t size = piece < left ? piece : left;

		if (to.sink != NULL)
			to.sink(to.argument, text, size);
		text += size;
		left -= size;
	}
}

FhaCode
process_run(const char *const argv[], int64_t deadline_at_ms, char *out, size_t out_size,
			char *errors, size_t errors_size, int *status, FhaError *err)
{
	const char *text = next_section(status);

	(void) argv;
	(void) deadline_at_ms;
	(void) err;
	if (out != NULL)
		(void) snprintf(out, out_size, "%s", text);
	if (errors != NULL)
		(void) snprintf(errors, errors_size, "%s", *status == 0 ? "" : text);
	return FHA_OK;
}

FhaCode
process_stream(const char *const argv[], int64_t deadline_at_ms, ProcessOutput out,
			   ProcessOutput errors, int *status, FhaError *err)
{
	int ignored;

	(void) argv;
	(void) deadline_at_ms;
	(void) err;
	say(out, next_section(&ignored));
	say(errors, next_section(status));
	return FHA_OK;
}

char **
process_environment(const char *const extra[])
{
	(void) extra;
	return NULL;
}

void
process_reset_signals(void)
{
}

static void
prepare(void)
{
	static const char *const segments[] = {"000000010000000000000001", "000000010000000000000002",
										   "000000020000000000000005", "000000020000000000000006",
										   "00000002FFFFFFFF000000FF"};
	char name[64];

	if (fuzz_root[0] != '\0')
		return;
	fuzz_make_directory("n1");
	fuzz_make_directory("n1/pg_wal");
	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++)
	{
		(void) snprintf(name, sizeof(name), "n1/pg_wal/%s", segments[i]);
		(void) fuzz_file(name, "", 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FhaConfig config;
	static const uint64_t starts[] = {0, 0x1000028, 0x5000470, 0x6000000, UINT64_MAX};
	FhaError err;
	FhaCode code;
	PgControl control;
	char value[64];
	char *text;

	prepare();
	text = fuzz_string(data, size);
	fha_config_defaults(&config);
	(void) snprintf(config.data_directory, sizeof(config.data_directory), "%s/n1",
					fuzz_directory());
	script = text;
	code = postgres_control("/usr/bin", config.data_directory, &control, &err);
	FUZZ_MUST(code == FHA_OK || err.text[0] != '\0');
	FUZZ_MUST(code != FHA_OK || control.wal_segment_size >= control.wal_block_size);
	free(text);

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]) && code == FHA_OK; i++)
		for (uint32_t timeline = 1; timeline <= 2; timeline++)
		{
			uint64_t end = 0;
			FhaCode found;

			text = fuzz_string(data, size);
			script = text;
			found = postgres_end_of_wal("/usr/bin", config.data_directory, timeline, starts[i],
										INT64_MAX, &end, &err);
			FUZZ_MUST(found == FHA_OK || err.text[0] != '\0');
			FUZZ_MUST(found != FHA_OK || end != 0);
			free(text);
		}

	text = fuzz_string(data, size);
	script = text;
	code = postgres_setting(&config, "/usr/bin", "wal_level", value, sizeof(value), &err);
	FUZZ_MUST(code == FHA_OK ? strchr(value, '\n') == NULL : err.text[0] != '\0');
	free(text);
	return 0;
}
