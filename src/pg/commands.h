/*
 * commands.h: the commands of archive recovery, which must not keep a member from leading.
 *
 * While one runs, the startup process hears of no promotion: PostgreSQL waits for
 * restore_command and recovery_end_command for as long as they take.
 */
#ifndef FAWKES_COMMANDS_H
#define FAWKES_COMMANDS_H

#include "config/config.h"
#include "node/node.h"

/* What this agent has done about them; zeroed at its start. */
typedef struct Commands
{
	bool known; /* what follow.conf takes away; false at first */
	int off;    /* an FhaCommands */
	int64 looked_at_ms;
	pid_t running;       /* what the startup process last waited for; 0: nothing */
	int64 running_at_ms; /* since then */
	pid_t told;          /* of which the log has said that recovery waits for it */
	bool stopped;        /* the server was told to stop because of one */
} Commands;

/*
 * At each turn.  began_at_ms: when this server was told to promote itself; 0: it was not.  Takes the
 * commands away while this member may lead soon, and stops a server that is to be promoted and waits for one all
 * the same: it is started again without them.
 */
extern void commands_mind(Commands *commands, const FhaConfig *config, const FhaHostAction *action,
						  const FhaPgView *view, int64 began_at_ms);

/* follow.conf was written: all commands are back. */
extern void commands_are_back(Commands *commands);

#endif
