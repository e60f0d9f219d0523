/*
 * standby_limits.h: the settings of which a standby may not have less than its primary, and settings that
 * wait for a restart.
 */
#ifndef FAWKES_STANDBY_LIMITS_H
#define FAWKES_STANDBY_LIMITS_H

#include "node/node.h"

/* In the postmaster: a standby gets what the WAL that it will replay asks for. */
extern void limits_raise(void);

/*
 * Has this server less than its control file asks for?  A standby whose primary raised one stops
 * replaying until it is restarted with as much; promoted, it would stay where it is.
 */
extern bool limits_are_smaller(void);

/* What this server runs with; what its control file asks for. */
extern void limits_running(FhaLimits *out);
extern void limits_wanted(FhaLimits *out);

/* Was a setting changed that counts after a restart?  As of the last reload. */
extern bool limits_need_restart(void);

/* Do the settings of all members lower one of these below what this server runs with? */
extern bool limits_are_lowered(const FhaNode *node);

#endif
