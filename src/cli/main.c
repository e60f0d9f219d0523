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

const CliCommand *const cli_commands[] = {
	&command_run,         &command_status,        &command_history, &command_backup,
	&command_switchover,  &command_failover,      &command_pause,   &command_resume,
	&command_restart,     &command_reinit,        &command_rejoin,  &command_remove,
	&command_set,         &command_reset,         &command_backups, &command_backup_prune,
	&command_backup_keep, &command_backup_unkeep, &command_restore, &command_restore_wal,
	&command_rules,       &command_completion,    &command_man,     NULL,
};

const CliOption cli_options_known[] = {
	{"pgdata", 'D', true, "DATA",
	 "the member's data directory; its settings are in DATA.fawkes_ha/fawkes_ha.conf"},
	{"state", 's', false, "DIR", "the member's state directory, if it is not DATA.fawkes_ha"},
	{"lock", 'l', false, "URI", "the cluster's lock, without a member or instead of its setting"},
	{"cluster", 'u', false, "NAME", "the cluster's name, in the same way"},
	{"config", 'g', false, "FILE",
	 "settings of fawkes_ha; run makes fawkes_ha.conf of this file, at each start and when it "
	 "changes"},
	{NULL, 'c', true, "NAME=VALUE", "a setting after those of --config; repeatable"},
	{"bin", 'b', false, "DIR", "where PostgreSQL's programs are"},
	{"to", 't', false, "MEMBER", "the member that is to lead; else the best standby"},
	{"from", 'F', false, "MEMBER", "the member whose data is copied; else a standby"},
	{"wait", 'w', false, "SECONDS", "how long it may take: 1 to 86400, 60 by default"},
	{"reason", 'r', false, "TEXT", "a reason, for the history"},
	{"dry-run", 'n', false, NULL, "say what would be done, after all checks, and do nothing"},
	{"ask", 'a', false, NULL, "ask each member as well, which needs -D"},
	{"force", 'f', false, NULL,
	 "although a member leads; what the new primary does not have is lost"},
	{"output", 'o', true, "json|table", "one JSON document, or a table (the default)"},
	{"standby", 'S', false, NULL, "answer within a second, as if standby.signal were there"},
	{"to-time", 'T', false, "TIME", "recover to this time, as 2026-11-22 06:38:51+00:00"},
	{"to-lsn", 'L', false, "LSN", "recover to this position"},
	{"to-xid", 'X', false, "XID", "recover to this transaction"},
	{"to-name", 'N', false, "NAME", "recover to this restore point"},
	{"immediate", 'I', false, NULL, "recover to the end of the backup"},
	{"timeline", 'Z', false, "NUMBER", "recover along this timeline; else along the newest one"},
	{"backup", 'B', false, "ID", "begin with this backup; else with the newest that can be used"},
	{"tablespace", 'Y', false, "OLD=NEW",
	 "the new directory of a tablespace, by its name or its old directory; repeatable"},
	{"help", 'h', true, NULL, "say what the command does and takes"},
	{NULL, '\0', false, NULL, NULL},
};

#define OPTIONS_SIZE (sizeof(cli_options_known) / sizeof(cli_options_known[0]))

static bool
option_copy(char *out, size_t size, const char *value, const char *option)
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
option_seconds(const char *text, int *out)
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

	if (!option_copy(config->data_directory, sizeof(config->data_directory), data, "-D") ||
		!option_copy(config->state_directory, sizeof(config->state_directory), state, "--state"))
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

/* The rows as getopt wants them: letters with a ":" if a value follows. */
static void
fill_getopt(struct option longs[OPTIONS_SIZE], char letters[2 * OPTIONS_SIZE])
{
	memset(longs, 0, OPTIONS_SIZE * sizeof(*longs));
	for (const CliOption *each = cli_options_known; each->letter != '\0'; each++)
	{
		if (each->name != NULL)
			*longs++ =
				(struct option){each->name, each->value == NULL ? no_argument : required_argument,
								NULL, each->letter};
		if (each->is_short)
			*letters++ = each->letter;
		if (each->is_short && each->value != NULL)
			*letters++ = ':';
	}
	*letters = '\0';
}

static bool
command_takes(const CliCommand *command, int option)
{
	const CliOption *row = cli_options_known;

	if (option == '?' || option == 'h' || strchr(command->options, option) != NULL)
		return true;
	while (row->letter != option)
		row++;
	cli_complain("%s does not take -%s%s; usage: fawkes-ha %s %s", command->name,
				 row->name == NULL ? "" : "-", row->name == NULL ? "c" : row->name, command->name,
				 command->usage);
	return false;
}

int
cli_options(CliOptions *options, int argc, char **argv, const CliCommand *command)
{
	static char program[] = "fawkes-ha"; /* the name in getopt's own messages */
	struct option longs[OPTIONS_SIZE];
	char letters[2 * OPTIONS_SIZE];
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
	fill_getopt(longs, letters);
	while ((option = getopt_long(argc, argv, letters, longs, NULL)) != -1)
	{
		if (!command_takes(command, option))
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
				if (!option_copy(options->bindir, sizeof(options->bindir), optarg, "--bin"))
					return CLI_USAGE;
				break;
			case 't':
			case 'F':
				if (!fha_name_is_valid(optarg))
				{
					cli_complain("\"%s\" is not a member's name", optarg);
					return CLI_USAGE;
				}
				(void) option_copy(options->target, sizeof(options->target), optarg, "MEMBER");
				break;
			case 'w':
				if (!option_seconds(optarg, &options->wait_s))
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
			case 'S':
				options->standby = true;
				break;
			case 'T':
				options->restore.time = optarg;
				break;
			case 'L':
				options->restore.lsn = optarg;
				break;
			case 'X':
				options->restore.xid = optarg;
				break;
			case 'N':
				options->restore.name = optarg;
				break;
			case 'I':
				options->restore.immediate = true;
				break;
			case 'Z':
				options->restore.timeline = optarg;
				break;
			case 'B':
				options->restore.backup = optarg;
				break;
			case 'Y':
				if (options->restore.tablespace_count == CLI_TABLESPACES_MAX)
				{
					cli_complain("--tablespace is given more than %d times", CLI_TABLESPACES_MAX);
					return CLI_USAGE;
				}
				options->restore.tablespaces[options->restore.tablespace_count++] = optarg;
				break;
			case 'r':
				if (!option_copy(options->reason, sizeof(options->reason), optarg, "--reason"))
					return CLI_USAGE;
				break;
			case 'h':
				cli_command_help(stdout, command);
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
		if (!option_copy(options->operand, sizeof(options->operand), argv[optind++], command->name))
			return CLI_USAGE;
	}
	if (command->operand != NULL && strchr(command->operand, ' ') != NULL)
	{
		if (optind >= argc)
		{
			cli_complain("%s takes %s", command->name, command->operand);
			return CLI_USAGE;
		}
		if (!option_copy(options->second_operand, sizeof(options->second_operand), argv[optind++],
						 command->name))
			return CLI_USAGE;
	}
	if (optind < argc)
	{
		cli_complain("%s does not take \"%s\"", command->name, argv[optind]);
		return CLI_USAGE;
	}
	/* What has a member has its settings; the file would replace them. */
	if (options->given.path == NULL && options->given.line_count > 0 &&
		(command == &command_run || data[0] != '\0'))
	{
		cli_complain("-c wants --config FILE, which it adds to");
		return CLI_USAGE;
	}
	if (options->given.path != NULL && data[0] != '\0' && command != &command_run)
	{
		cli_complain("-D names a member's settings, and --config those of none: give one of them");
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
		!option_copy(options->config.cluster_name, sizeof(options->config.cluster_name), cluster,
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
		cli_help(argc < 2 ? stderr : stdout);
		return argc < 2 ? CLI_USAGE : CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0)
	{
		(void) puts("fawkes-ha " FAWKES_HA_VERSION);
		return CLI_OK;
	}
	for (const CliCommand *const *command = cli_commands; *command != NULL; command++)
		if (strcmp(argv[1], (*command)->name) == 0)
		{
			int result = cli_options(&options, argc - 1, argv + 1, *command);

			if (result == CLI_OK)
				return (*command)->run(&options, argc - 1, argv + 1);
			return *command == &command_restore_wal ? cli_restore_wal_refused() : result;
		}
	cli_complain("there is no command \"%s\"; see fawkes-ha --help", argv[1]);
	return CLI_USAGE;
}
