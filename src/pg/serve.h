/*
 * serve.h: the agent's part in the member's listener (peer/listener.h).
 */
#ifndef FAWKES_SERVE_H
#define FAWKES_SERVE_H

#include "postgres.h"

#include "config/config.h"
#include "node/node.h"

/* In the postmaster: the listening socket that the supervisor passed on; -1: none. */
extern void serve_inherit(int fd);

/* In a client backend: it has no business with the socket. */
extern void serve_forget(void);

/* In the agent, once it owns the node.  A failure is logged, and tried again by serve_step. */
extern void serve_begin(const FhaConfig *config, FhaNode *node);

/* The settings were read again. */
extern void serve_reload(const FhaConfig *config);

/* Readable when the node or the listener has something to do. */
extern pgsocket serve_fd(void);

/* Wake for the listener at the latest then; INT64_MAX: never. */
extern int64 serve_wake_at_ms(void);

/* Answer what can be answered without waiting; false: the node has something to do as well. */
extern bool serve_step(void);

#endif
