/*
 * cmd_manual.c: help, the manual page and the shell's completion, from the tables of commands and options.
 */
#include <string.h>

#include "cli/cli.h"

static const char what[] = "high availability from inside PostgreSQL";

static const struct
{
	int status;
	const char *meaning;
} statuses[] = {
	{CLI_OK, "done"},
	{CLI_FAILED, "tried, and did not work; of status: nobody can write"},
	{CLI_USAGE, "the arguments or settings are wrong"},
	{CLI_NO_LOCK, "the lock did not answer"},
	{CLI_REFUSED, "the cluster refused: the text says why"},
};

static bool
command_has(const CliCommand *command, const CliOption *option)
{
	return option->letter == 'h' || strchr(command->options, option->letter) != NULL;
}

static void
print_usage(FILE *out, const CliCommand *command)
{
	(void) fprintf(out, "fawkes-ha %s%s%s\n", command->name, command->usage[0] == '\0' ? "" : " ",
				   command->usage);
}

void
cli_help(FILE *out)
{
	(void) fprintf(out, "fawkes-ha " FAWKES_HA_VERSION ": %s\n\n", what);
	for (const CliCommand *const *command = cli_commands; *command != NULL; command++)
	{
		(void) fputs("  ", out);
		print_usage(out, *command);
		(void) fprintf(out, "      %s\n", (*command)->what);
	}
	(void) fputs("\nA node is named by -D (its settings are in DATA.fawkes_ha/fawkes_ha.conf, or "
				 "where --state says),\na cluster also by --lock URI --cluster NAME.\n",
				 out);
}

void
cli_command_help(FILE *out, const CliCommand *command)
{
	print_usage(out, command);
	(void) fprintf(out, "    %s\n\n", command->what);
	for (const CliOption *option = cli_options_known; option->letter != '\0'; option++)
	{
		char letter[] = {'-', option->letter, '\0'};
		char left[48];

		if (!command_has(command, option))
			continue;
		(void) snprintf(left, sizeof(left), "%s%s%s%s%s", option->is_short ? letter : "  ",
						option->name == NULL ? ""
						: option->is_short   ? ", --"
											 : "  --",
						option->name == NULL ? "" : option->name, option->value == NULL ? "" : " ",
						option->value == NULL ? "" : option->value);
		(void) fprintf(out, "  %-26s %s\n", left, option->what);
	}
}

/* --- the manual page */

/* A hyphen is to be copied as one; a line may not begin a request of roff. */
static void
print_roff(const char *text)
{
	if (text[0] == '.' || text[0] == '\'')
		(void) fputs("\\&", stdout);
	for (; *text != '\0'; text++)
		if (*text == '-')
			(void) fputs("\\-", stdout);
		else if (*text == '\\')
			(void) fputs("\\e", stdout);
		else
			(void) putchar(*text);
}

static void
print_paragraph(const char *text)
{
	print_roff(text);
	(void) putchar('\n');
}

static int
run_man(CliOptions *options, int argc, char **argv)
{
	(void) options;
	(void) argc;
	(void) argv;
	(void) printf(".TH FAWKES\\-HA 1 \"\" \"fawkes\\-ha " FAWKES_HA_VERSION "\"\n"
				  ".SH NAME\nfawkes\\-ha \\- %s\n"
				  ".SH SYNOPSIS\n.B fawkes\\-ha\n.I COMMAND\n[\\fIOPTION\\fR]...\n"
				  ".SH COMMANDS\n",
				  what);
	for (const CliCommand *const *command = cli_commands; *command != NULL; command++)
	{
		(void) printf(".TP\n\\fB%s\\fR ", (*command)->name);
		print_paragraph((*command)->usage);
		print_paragraph((*command)->what);
	}
	(void) fputs(".SH OPTIONS\nA command refuses an option that it does not take.\n", stdout);
	for (const CliOption *option = cli_options_known; option->letter != '\0'; option++)
	{
		(void) fputs(".TP\n\\fB", stdout);
		if (option->is_short)
			(void) printf("\\-%c", option->letter);
		if (option->name != NULL)
		{
			(void) fputs(option->is_short ? "\\fR, \\fB\\-\\-" : "\\-\\-", stdout);
			print_roff(option->name);
		}
		(void) printf("\\fR \\fI%s\\fR\n", option->value == NULL ? "" : option->value);
		print_paragraph(option->what);
	}
	(void) fputs(".SH EXIT STATUS\n", stdout);
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
	{
		(void) printf(".TP\n.B %d\n", statuses[i].status);
		print_paragraph(statuses[i].meaning);
	}
	return CLI_OK;
}

/* --- completion */

static void
print_words(const CliOption *option)
{
	if (option->is_short)
		(void) printf(" -%c", option->letter);
	if (option->name != NULL)
		(void) printf(" --%s", option->name);
}

/* What may follow the option: directories, files, some words, or what only the user knows. */
static void
print_values(const CliOption *option)
{
	const char *value = option->value;

	(void) fputs("\t", stdout);
	if (option->is_short)
		(void) printf("-%c%s", option->letter, option->name == NULL ? "" : "|");
	(void) printf("%s%s) ", option->name == NULL ? "" : "--",
				  option->name == NULL ? "" : option->name);
	if (strcmp(value, "DIR") == 0 || strcmp(value, "DATA") == 0)
		(void) fputs("COMPREPLY=($(compgen -d -- \"$current\"))", stdout);
	else if (strcmp(value, "FILE") == 0)
		(void) fputs("COMPREPLY=($(compgen -f -- \"$current\"))", stdout);
	else if (strchr(value, '|') != NULL)
	{
		(void) fputs("COMPREPLY=($(compgen -W '", stdout);
		for (; *value != '\0'; value++)
			(void) putchar(*value == '|' ? ' ' : *value);
		(void) fputs("' -- \"$current\"))", stdout);
	}
	else
		(void) fputs("COMPREPLY=()", stdout);
	(void) fputs("; return ;;\n", stdout);
}

static int
run_completion(CliOptions *options, int argc, char **argv)
{
	(void) options;
	(void) argc;
	(void) argv;
	(void) fputs("# bash: source <(fawkes-ha completion)\n"
				 "_fawkes_ha()\n{\n"
				 "\tlocal current=${COMP_WORDS[COMP_CWORD]} words=\n\n"
				 "\tcase ${COMP_WORDS[COMP_CWORD-1]} in\n",
				 stdout);
	for (const CliOption *option = cli_options_known; option->letter != '\0'; option++)
		if (option->value != NULL)
			print_values(option);
	(void) fputs("\tesac\n\tcase $COMP_CWORD-${COMP_WORDS[1]} in\n\t1-*) words='help version",
				 stdout);
	for (const CliCommand *const *command = cli_commands; *command != NULL; command++)
		(void) printf(" %s", (*command)->name);
	(void) fputs("' ;;\n", stdout);
	for (const CliCommand *const *command = cli_commands; *command != NULL; command++)
	{
		(void) printf("\t*-%s) words='", (*command)->name);
		for (const CliOption *option = cli_options_known; option->letter != '\0'; option++)
			if (command_has(*command, option))
				print_words(option);
		(void) fputs("' ;;\n", stdout);
	}
	(void) fputs("\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\n"
				 "complete -o filenames -F _fawkes_ha fawkes-ha\n",
				 stdout);
	return CLI_OK;
}

const CliCommand command_completion = {
	"completion",   "", "print the completion of bash: source <(fawkes-ha completion)",
	run_completion, "", NULL,
	false,
};

const CliCommand command_man = {
	"man", "", "print the manual page: fawkes-ha man | man -l -", run_man, "", NULL, false,
};
