/*
 * status_ask.h: `fawkes-ha status --ask`: what each member says of itself.
 */
#ifndef CLI_STATUS_ASK_H
#define CLI_STATUS_ASK_H

#include "cli/cluster.h"

/* Ask every member that has a listener, and print a table; CLI_OK, or CLI_FAILED, CLI_USAGE. */
int status_ask(const Cluster *cluster, const CliOptions *options);

#endif
