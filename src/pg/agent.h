/*
 * agent.h: the worker that speaks for the node while PostgreSQL runs.
 */
#ifndef FAWKES_AGENT_H
#define FAWKES_AGENT_H

/* From _PG_init in the postmaster: register the worker and fix this postmaster's incarnation. */
extern void agent_register(void);

#endif
