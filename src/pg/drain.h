/*
 * drain.h: a walsender's last words, when the postmaster was killed or all processes are told to stop.
 */
#ifndef FAWKES_DRAIN_H
#define FAWKES_DRAIN_H

/* In a physical walsender, once, after authentication. */
extern void drain_register(void);

#endif
