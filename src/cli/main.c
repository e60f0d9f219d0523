/*
 * main.c: one command, a table of subcommands.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/cluster_conf.h"

#define WAIT_MAX_S 86400 /* as for the functions of SQL */

static const CliCommand *const commands[] = {
	&command_run,    &command_status, &command_history, &command_switchover, &command_failover,
	&command_pause,  &command_resume, &command_restart, &command_reinit,     &command_rejoin,
	&command_remove, &command_set,    &command_reset,   &command_rules,
};

static void
usage(FILE *out)
{
	(void) fputs("fawkes-ha " FAWKES_HA_VERSION ": high availability from inside PostgreSQL\n\n",
				 out);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		(void) fprintf(out, "  fawkes-ha %s%s%s\n      %s\n", commands[i]->name,
					   commands[i]->usage[0] == '\0' ? "" : " ", commands[i]->usage,
					   commands[i]->what);
	(void) fputs("\nA node is named by -D (its settings are in DATA.fawkes_ha/fawkes_ha.conf, or "
				 "where --state says),\na cluster also by --lock URI --cluster NAME.\n",
				 out);
}

static bool
copy(char *out, size_t size, const char *value, const char *option)
{
	if (strlen(value) >= size)
	{
		cli_complain("the value of %s is too long", option);
		return false;
	}
	memcpy(out, value, strlen(value) + 1);
	return true;
}

/* Digits alone: strtol would take blanks and signs as well. */
static bool
seconds(const char *text, int *out)
{
	long number = strtol(text, NULL, 10);

	if (text[strspn(text, "0123456789")] != '\0' || number < 1 || number > WAIT_MAX_S)
		return false;
	*out = (int) number;
	return true;
}

/* The state directory is beside the data directory, by its name: "." has none. */
static bool
ends_in_dots(const char *path)
{
	size_t length = strlen(path);

	while (length > 1 && path[length - 1] == '/')
		length--;
	while (length > 0 && path[length - 1] == '.')
		length--;
	return path[length] == '.' && (length == 0 || path[length - 1] == '/');
}

/* The node's own file, if we were told of a node; what the command line says comes over it. */
static int
read_settings(CliOptions *options, const char *data, const char *state)
{
	FhaConfig *config = &options->config;
	FhaCode code;
	bool changed;
	FhaError err;

	if (!copy(config->data_directory, sizeof(config->data_directory), data, "-D") ||
		!copy(config->state_directory, sizeof(config->state_directory), state, "--state"))
		return CLI_USAGE;
	if (data[0] == '\0' && state[0] == '\0')
		return CLI_OK;
	if (state[0] == '\0' && ends_in_dots(data))
	{
		cli_complain("-D \"%s\" does not name the data directory, and DATA.fawkes_ha is beside it: "
					 "write its path",
					 data);
		return CLI_USAGE;
	}
	code = settings_file_take(&options->given, config, &changed, &err);
	if (code == FHA_OK)
		code = fha_settings_read(config, &err);
	if (code == FHA_OK)
		return CLI_OK;
	cli_complain("%s%s", err.text,
				 code == FHA_NOT_FOUND ? ": -D names a member's data directory, and its settings "
										 "are in this file (--state: in another place)"
									   : "");
	return CLI_USAGE;
}

static const struct option known[] = {
	{"pgdata", required_argument, NULL, 'D'},
	{"state", required_argument, NULL, 's'},
	{"lock", required_argument, NULL, 'l'},
	{"cluster", required_argument, NULL, 'u'},
	{"bin", required_argument, NULL, 'b'},
	{"to", required_argument, NULL, 't'},
	{"wait", required_argument, NULL, 'w'},
	{"output", required_argument, NULL, 'o'},
	{"ask", no_argument, NULL, 'a'},
	{"force", no_argument, NULL, 'f'},
	{"reason", required_argument, NULL, 'r'},
	{"dry-run", no_argument, NULL, 'n'},
	{"config", required_argument, NULL, 'g'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static bool
takes(const CliCommand *command, int option)
{
	const char *name = NULL;

	if (option == '?' || option == 'h' || strchr(command->options, option) != NULL)
		return true;
	for (const struct option *each = known; each->name != NULL && name == NULL; each++)
		if (each->val == option)
			name = each->name;
	cli_complain("%s does not take -%s%s; usage: fawkes-ha %s %s", command->name,
				 name == NULL ? "" : "-", name == NULL ? "c" : name, command->name, command->usage);
	return false;
}

int
cli_options(CliOptions *options, int argc, char **argv, const CliCommand *command)
{
	static char program[] = "fawkes-ha"; /* the name in getopt's own messages */
	const char *data = "";
	const char *state = "";
	const char *lock = NULL;
	const char *cluster = NULL;
	FhaError err;
	int option;
	int result;

	memset(options, 0, sizeof(*options));
	fha_config_defaults(&options->config);
	options->wait_s = 60;
	argv[0] = program;
	while ((option = getopt_long(argc, argv, "D:c:o:h", known, NULL)) != -1)
	{
		if (!takes(command, option))
			return CLI_USAGE;
		switch (option)
		{
			case 'D':
				data = optarg;
				break;
			case 's':
				state = optarg;
				break;
			case 'l':
				lock = optarg;
				break;
			case 'u':
				cluster = optarg;
				break;
			case 'g':
				options->given.path = optarg;
				break;
			case 'c':
				if (settings_file_add(&options->given, optarg, &err) != FHA_OK)
				{
					cli_complain("%s", err.text);
					return CLI_USAGE;
				}
				break;
			case 'b':
				if (!copy(options->bindir, sizeof(options->bindir), optarg, "--bin"))
					return CLI_USAGE;
				break;
			case 't':
				if (!fha_name_is_valid(optarg))
				{
					cli_complain("\"%s\" is not a member's name", optarg);
					return CLI_USAGE;
				}
				(void) copy(options->target, sizeof(options->target), optarg, "--to");
				break;
			case 'w':
				if (!seconds(optarg, &options->wait_s))
				{
					cli_complain("--wait takes seconds, 1 to %d, not \"%s\"", WAIT_MAX_S, optarg);
					return CLI_USAGE;
				}
				break;
			case 'o':
				if (strcmp(optarg, "json") != 0 && strcmp(optarg, "table") != 0)
				{
					cli_complain("-o takes json or table, not \"%s\"", optarg);
					return CLI_USAGE;
				}
				options->json = strcmp(optarg, "json") == 0;
				break;
			case 'a':
				options->ask = true;
				break;
			case 'f':
				options->force = true;
				break;
			case 'n':
				options->dry_run = true;
				break;
			case 'r':
				if (!copy(options->reason, sizeof(options->reason), optarg, "--reason"))
					return CLI_USAGE;
				break;
			case 'h':
				(void) printf("fawkes-ha %s%s%s\n    %s\n", command->name,
							  command->usage[0] == '\0' ? "" : " ", command->usage, command->what);
				exit(CLI_OK);
			default:
				(void) fprintf(stderr, "usage: fawkes-ha %s %s\n", command->name, command->usage);
				return CLI_USAGE;
		}
	}
	if (optind >= argc && command->operand_required)
	{
		cli_complain("%s what?  Give %s; usage: fawkes-ha %s %s", command->name, command->operand,
					 command->name, command->usage);
		return CLI_USAGE;
	}
	if (optind < argc && command->operand != NULL)
	{
		if (!copy(options->operand, sizeof(options->operand), argv[optind++], command->name))
			return CLI_USAGE;
	}
	if (optind < argc)
	{
		cli_complain("%s does not take \"%s\"", command->name, argv[optind]);
		return CLI_USAGE;
	}
	if (options->given.path == NULL && options->given.line_count > 0)
	{
		cli_complain("-c wants --config FILE, which it adds to");
		return CLI_USAGE;
	}
	result = read_settings(options, data, state);
	if (result == CLI_OK && lock != NULL &&
		fha_config_set(&options->config, "fawkes_ha.lock", lock, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		result = CLI_USAGE;
	}
	if (result == CLI_OK && cluster != NULL &&
		!copy(options->config.cluster_name, sizeof(options->config.cluster_name), cluster,
			  "--cluster"))
		result = CLI_USAGE;
	return result;
}

/*
 * A standard stream may be closed where we are started. The next file that is opened would take its
 * number: a lock, or a record, and what is printed would be written into it.
 */
static bool
standard_streams(void)
{
	int null;

	do
		null = open("/dev/null", O_RDWR);
	while (null >= 0 && null <= STDERR_FILENO);
	return null >= 0 && close(null) == 0;
}

int
main(int argc, char **argv)
{
	CliOptions options;

	if (!standard_streams())
		return CLI_FAILED;
	if (argc < 2 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0 ||
		strcmp(argv[1], "help") == 0)
	{
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? CLI_USAGE : CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)
	{
		(void) puts("fawkes-ha " FAWKES_HA_VERSION);
		return CLI_OK;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i]->name) == 0)
		{
			int result = cli_options(&options, argc - 1, argv + 1, commands[i]);

			return result == CLI_OK ? commands[i]->run(&options, argc - 1, argv + 1) : result;
		}
	cli_complain("there is no command \"%s\"; see fawkes-ha --help", argv[1]);
	return CLI_USAGE;
}
