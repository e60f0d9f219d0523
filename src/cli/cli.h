/*
 * cli.h: what the command's parts share.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log_line.h"
#include "cli/settings_file.h"
#include "config/config.h"
#include "core/world.h"

/* Exit codes; docs/reference.md lists them. */
enum
{
	CLI_OK = 0,
	CLI_FAILED = 1,  /* it was tried, and did not work: the text says why */
	CLI_USAGE = 2,   /* the arguments or settings are wrong */
	CLI_NO_LOCK = 3, /* the lock did not answer */
	CLI_REFUSED = 4  /* the cluster refused: the text says why */
};

#define CLI_TABLESPACES_MAX 64

/* restore: from where, to where.  Points into the command line; NULL: not said. */
typedef struct CliRestore
{
	const char *time;
	const char *lsn;
	const char *xid;
	const char *name;
	const char *timeline;
	const char *backup;
	bool immediate;
	const char *tablespaces[CLI_TABLESPACES_MAX]; /* "OLD=NEW" */
	size_t tablespace_count;
} CliRestore;

/* What every command that talks about a cluster accepts. */
typedef struct CliOptions
{
	FhaConfig config;
	SettingsFile given; /* run: what fawkes_ha.conf is made of; restore: what it goes by */
	char bindir[FHA_PATH_SIZE];
	char target[FHA_NAME_SIZE];
	char operand[FHA_SETTING_NAME_SIZE + FHA_SETTING_VALUE_SIZE]; /* what stood without an option */
	char second_operand[FHA_PATH_SIZE];
	char reason[FHA_SENTENCE_SIZE];
	bool json;
	bool ask;     /* status: ask the members too */
	bool force;   /* failover although somebody leads */
	bool dry_run; /* say what would be done */
	bool standby; /* restore-wal: for a standby */
	CliRestore restore;
	int wait_s;
} CliOptions;

/* One row for each option of any command. */
typedef struct CliOption
{
	const char *name;  /* "--name"; NULL: it has a letter alone */
	char letter;       /* in CliCommand.options */
	bool is_short;     /* "-X", too */
	const char *value; /* what it takes: DIR, FILE, words between "|", or else; NULL: nothing */
	const char *what;
} CliOption;

typedef struct CliCommand
{
	const char *name;
	const char *usage; /* arguments, one line */
	const char *what;  /* one sentence */
	int (*run)(CliOptions *options, int argc, char **argv);
	const char *options; /* the letters, in cli_options_known, of those that it takes */
	const char *
		operand; /* what may stand without an option, as in usage; NULL: nothing; "A B": two, both required */
	bool operand_required; /* it has to */
} CliCommand;

/* Both end with a name or a letter that is none. */
extern const CliCommand *const cli_commands[];
extern const CliOption cli_options_known[];

extern const CliCommand command_run;
extern const CliCommand command_status;
extern const CliCommand command_switchover;
extern const CliCommand command_failover;
extern const CliCommand command_rules;
extern const CliCommand command_pause;
extern const CliCommand command_resume;
extern const CliCommand command_restart;
extern const CliCommand command_reinit;
extern const CliCommand command_rejoin;
extern const CliCommand command_remove;
extern const CliCommand command_set;
extern const CliCommand command_reset;
extern const CliCommand command_history;
extern const CliCommand command_backup;
extern const CliCommand command_backups;
extern const CliCommand command_backup_prune;
extern const CliCommand command_backup_keep;
extern const CliCommand command_backup_unkeep;
extern const CliCommand command_completion;
extern const CliCommand command_man;
extern const CliCommand command_restore;
extern const CliCommand command_restore_wal;

/* How restore-wal ends when its arguments are wrong: PostgreSQL would take 2 for "not in the archive". */
int cli_restore_wal_refused(void);

/* What `fawkes-ha help` and `fawkes-ha COMMAND --help` print. */
void cli_help(FILE *out);
void cli_command_help(FILE *out, const CliCommand *command);

/*
 * Parse the command's options into *options, and read the node's settings if -D or --state say
 * where.  An option that the command does not take is refused: one that is passed over would be
 * a request to do something else.  Returns CLI_OK, or CLI_USAGE after having said why.
 */
int cli_options(CliOptions *options, int argc, char **argv, const CliCommand *command);

/* "fawkes-ha: <text>" on stderr. */
void cli_complain(const char *format, ...) FHA_PRINTF(1, 2);

/*
 * The doors of everything that people read: what comes of records, names and reasons is tamed
 * (tame.h), so the text is one line, or a part of one, whatever is in it.
 */
void cli_line(const char *format, ...) FHA_PRINTF(1, 2); /* on stdout, with the line's end */
int cli_part(const char *format, ...) FHA_PRINTF(1, 2);  /* on stdout, without; bytes */
void cli_lines(FILE *out, const char *text);             /* what a program said: lines of it */
int cli_write(FILE *out, const char *format, va_list args) FHA_PRINTF(2, 0);

/* How a line of a log begins, before its sentence (base/log_line.h).  id NULL: that comes with the sentence.  Returns out. */
#define CLI_LOG_BEGIN_SIZE (FHA_TIME_SIZE + FHA_NAME_SIZE + FHA_LOG_ID_SIZE + 16)
const char *cli_log_begin(char out[CLI_LOG_BEGIN_SIZE], const char *member, const char *level,
						  const char *id);

#endif
