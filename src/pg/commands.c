/*
 * commands.c: the commands of archive recovery.  See commands.h.
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/proc.h"

#include "base/clock.h"
#include "base/lsn.h"
#include "node/follow.h"
#include "pg/commands.h"
#include "pg/report.h"

#define LOOK_MS 100
/* A promotion waits for no command of the archive longer than this: what it could bring was asked for. */
#define RESTORE_WAIT_MS 500
/* After this the log says what recovery waits for. */
#define TELL_MS 10000

/* A child of `parent`: the first, or the first auxiliary process whose title has this word; 0: none. */
static pid_t
commands_find_child(pid_t parent, const char *word)
{
	char path[FHA_PROC_PATH_SIZE];
	char title[FHA_TITLE_SIZE];
	long pid;
	pid_t found = 0;
	FILE *children;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int) parent, (int) parent);
	children = fopen(path, "r");
	while (children != NULL && found == 0 && fscanf(children, "%ld", &pid) == 1)
	{
		FILE *file;
		size_t got = 0;

		if (word == NULL)
		{
			found = (pid_t) pid;
			break;
		}
		snprintf(path, sizeof(path), "/proc/%ld/cmdline", pid);
		file = fopen(path, "r");
		if (file != NULL)
		{
			got = fread(title, 1, sizeof(title) - 1, file);
			fclose(file);
		}
		title[got] = '\0';
		if (strstr(title, word) != NULL && AuxiliaryPidGetProc((int) pid) != NULL)
			found = (pid_t) pid;
	}
	if (children != NULL)
		fclose(children);
	return found;
}

static pid_t
command_of(const char *process)
{
	pid_t pid = commands_find_child(PostmasterPid, process);

	return pid == 0 ? 0 : commands_find_child(pid, NULL);
}

/* The last thing before a promoted server's first transaction: its timeline has begun already. */
static bool
is_recovery_ending(const FhaHostAction *action)
{
	char name[FHA_WAL_NAME_SIZE];
	char path[MAXPGPATH];

	fha_timeline_history_name(action->timeline, name);
	snprintf(path, sizeof(path), "pg_wal/%s", name);
	return access(path, F_OK) == 0;
}

static void
commands_set(Commands *commands, const FhaConfig *config, FhaCommands off)
{
	FhaError err;
	bool changed;

	if (fha_follow_commands(config, off, &changed, &err) != FHA_OK)
	{
		fha_report_as("commands_not_changed", &err);
		return;
	}
	commands->known = true;
	commands->off = off;
	if (changed)
		kill(PostmasterPid, SIGHUP);
}

/* Only a restart ends the wait: PostgreSQL takes a killed command for a reason to give up. */
static void
end_wait(Commands *commands, const FhaConfig *config, const FhaPgView *view, bool ending,
		 int64 waited_ms)
{
	const char *name = ending ? "recovery_end_command" : "restore_command";

	commands->stopped = true;
	if (!view->supervised)
	{
		ereport(LOG, (report_line("promotion_waits", "the promotion waits for %s (process %d)",
								  name, (int) commands->running),
					  errhint("Nobody would start this server again: end that process.")));
		return;
	}
	commands_set(commands, config, ending ? FHA_COMMANDS_ALL_OFF : FHA_COMMANDS_OFF);
	ereport(LOG,
			report_line("promotion_restarts_server",
						"the promotion has waited for %s (process %d) for %lld ms: this server is "
						"restarted without it",
						name, (int) commands->running, (long long) waited_ms));
	kill(PostmasterPid, SIGINT);
}

/* A checkpoint, which all others need of a new primary, waits for archive_cleanup_command likewise. */
static void
free_checkpointer(const FhaConfig *config, Commands *commands, int64 now_ms)
{
	pid_t command = command_of("checkpointer");

	if (command != commands->running)
	{
		commands->running = command;
		commands->running_at_ms = now_ms;
	}
	if (command == 0 || now_ms < commands->running_at_ms + config->lease_duration_ms)
		return;
	ereport(LOG,
			report_line("checkpoint_ends_command",
						"the first checkpoint waits for archive_cleanup_command (process %d): that "
						"is ended",
						(int) command));
	kill(command, SIGTERM);
	commands->running_at_ms = now_ms;
}

void
commands_are_back(Commands *commands)
{
	commands->known = true;
	commands->off = FHA_COMMANDS_KEPT;
}

void
commands_mind(Commands *commands, const FhaConfig *config, const FhaHostAction *action,
			  const FhaPgView *view, int64 began_at_ms)
{
	int64 now_ms = fha_now_ms();
	int64 waited_ms;
	pid_t running;
	bool ending;

	if (view->state == FHA_PG_PRIMARY ? view->rewindable || action->write_ends_at_ms == 0
									  : !action->read || commands->stopped)
		return;
	if (view->state != FHA_PG_PRIMARY)
	{
		if (action->leads_soon && (!commands->known || commands->off == FHA_COMMANDS_KEPT))
			commands_set(commands, config, FHA_COMMANDS_OFF);
		else if (!action->leads_soon && (!commands->known || commands->off != FHA_COMMANDS_KEPT))
			commands_set(commands, config, FHA_COMMANDS_KEPT);
	}
	if (now_ms < commands->looked_at_ms + LOOK_MS || view->streaming)
		return;
	commands->looked_at_ms = now_ms;
	if (view->state == FHA_PG_PRIMARY)
	{
		free_checkpointer(config, commands, now_ms);
		return;
	}
	running = command_of("startup");
	if (running != commands->running)
	{
		commands->running = running;
		commands->running_at_ms = now_ms;
	}
	if (commands->running == 0)
		return;
	if (began_at_ms == 0)
	{
		if (now_ms < commands->running_at_ms + TELL_MS || commands->told == commands->running)
			return;
		commands->told = commands->running;
		ereport(LOG, report_line("restore_command_is_slow",
								 "recovery has waited for restore_command (process %d) for %d s",
								 (int) commands->running, TELL_MS / 1000));
		return;
	}
	ending = is_recovery_ending(action);
	waited_ms = now_ms - Max(began_at_ms, commands->running_at_ms);
	if (waited_ms >= (ending ? config->lease_duration_ms : RESTORE_WAIT_MS))
		end_wait(commands, config, view, ending, waited_ms);
}
