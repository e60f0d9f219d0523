/*
 * drain.h: a walsender's last words, when the postmaster was killed or all processes are told to stop.
 */
#ifndef FAWKES_DRAIN_H
#define FAWKES_DRAIN_H

/* In a physical walsender, once, after authentication. */
extern void drain_register(void);

/*
 * Has anybody asked the postmaster to stop, in whatever way?  By the last line of postmaster.pid, which
 * stays so until that postmaster has ended.  False if the file cannot be read.  Needs the data
 * directory as the working directory; a signal handler may call it.
 */
extern bool drain_is_postmaster_stopping(void);

#endif
