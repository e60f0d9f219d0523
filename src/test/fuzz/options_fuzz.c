/*
 * options_fuzz.c: the command line of fawkes-ha, one word a line.
 *
 * main.c itself, with commands that only look at what they were given.
 */
#include "test/fuzz/fuzz.h"

#include <fcntl.h>
#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>

#include "cli/cli.h"
#include "node/state.h"

static jmp_buf ended;
static _Noreturn void
end(int status)
{
	longjmp(ended, status + 1);
}

#define FAWKES_HA_VERSION "0"
#define exit end
#define main fawkes_ha_main
int fawkes_ha_main(int argc, char **argv);
#include "cli/main.c"
#undef main
#undef exit

static int
look(CliOptions *options, int argc, char **argv)
{
	const FhaConfig *config = &options->config;

	(void) argc;
	(void) argv;
	FUZZ_MUST(options->wait_s >= 1 && options->wait_s <= 24 * 3600);
	FUZZ_MUST(options->target[0] == '\0' || fha_name_is_valid(options->target));
	FUZZ_MUST(memchr(options->operand, '\0', sizeof(options->operand)) != NULL);
	FUZZ_MUST(memchr(options->second_operand, '\0', sizeof(options->second_operand)) != NULL);
	FUZZ_MUST(options->restore.tablespace_count <= CLI_TABLESPACES_MAX);
	FUZZ_MUST(memchr(options->reason, '\0', sizeof(options->reason)) != NULL);
	FUZZ_MUST(memchr(options->bindir, '\0', sizeof(options->bindir)) != NULL);
	FUZZ_MUST(memchr(config->lock, '\0', sizeof(config->lock)) != NULL);
	FUZZ_MUST(memchr(config->cluster_name, '\0', sizeof(config->cluster_name)) != NULL);
	FUZZ_MUST(memchr(config->data_directory, '\0', sizeof(config->data_directory)) != NULL);
	FUZZ_MUST(memchr(config->state_directory, '\0', sizeof(config->state_directory)) != NULL);
	return CLI_OK;
}

#define COMMAND(id, operand, required)                                                      \
	const CliCommand command_##id = {#id,     "",      "", look, "DslubtwrnofagcTLXNIZBYS", \
									 operand, required}
COMMAND(run, NULL, false);
COMMAND(status, NULL, false);
COMMAND(history, NULL, false);
COMMAND(switchover, NULL, false);
COMMAND(failover, NULL, false);
COMMAND(pause, NULL, false);
COMMAND(resume, NULL, false);
COMMAND(restart, "MEMBER", false);
COMMAND(reinit, "MEMBER", true);
COMMAND(rejoin, "MEMBER", false);
COMMAND(remove, "MEMBER", true);
COMMAND(set, "MEMBER", true);
COMMAND(reset, "MEMBER", true);
COMMAND(restore, "DATA", true);
COMMAND(restore_wal, "FILE PATH", true);
COMMAND(rules, NULL, false);
COMMAND(completion, NULL, false);
COMMAND(man, NULL, false);

int
cli_restore_wal_refused(void)
{
	return CLI_USAGE;
}

void
cli_help(FILE *out)
{
	(void) out;
}

void
cli_command_help(FILE *out, const CliCommand *command)
{
	(void) out;
	(void) command;
}

#define WORDS_MAX 32

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char settings[] = "fawkes_ha.cluster_name = 'db-demo-dev'\n";
	static int here; /* where libFuzzer looks for its files */
	char *words[WORDS_MAX + 2] = {"fawkes-ha"};
	int count = 1;
	char *text;
	char *rest;
	int status;

	if (fuzz_root[0] == '\0')
	{
		fuzz_make_directory("n1.fawkes_ha");
		(void) fuzz_file("n1.fawkes_ha/fawkes_ha.conf", settings, sizeof(settings) - 1);
		here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		FUZZ_NEEDS(here >= 0);
	}
	FUZZ_NEEDS(chdir(fuzz_directory()) == 0);
	text = fuzz_string(data, size);
	rest = size == 0 ? NULL : text;
	while (rest != NULL && count <= WORDS_MAX)
		words[count++] = strsep(&rest, "\n");
	optind = 0; /* glibc: begin anew */
	status = setjmp(ended);
	if (status == 0)
		status = fawkes_ha_main(count, words) + 1;
	FUZZ_NEEDS(fchdir(here) == 0);
	FUZZ_MUST(status - 1 == CLI_OK || status - 1 == CLI_USAGE);
	free(text);
	return 0;
}
