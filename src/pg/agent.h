/*
 * agent.h: the worker that speaks for the node while PostgreSQL runs.
 */
#ifndef FAWKES_AGENT_H
#define FAWKES_AGENT_H

#include "node/speakers.h"

/*
 * From _PG_init in the postmaster: register the worker and fix this postmaster's incarnation.
 * with_supervisor: what its agents share with the supervisor; NULL: there is none, or it is older and
 * shares nothing.
 */
extern void agent_register(FhaSpeakers *with_supervisor);

#endif
