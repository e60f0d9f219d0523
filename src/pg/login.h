/*
 * login.h: whom this server lets in.
 */
#ifndef FAWKES_LOGIN_H
#define FAWKES_LOGIN_H

/* Called once in the postmaster, from _PG_init, when cluster_name is set. */
extern void login_install_hooks(void);

/*
 * In a client backend, before it commits anything.  A module that was loaded later and does not call
 * the hook that it found keeps us from the login: a session's first transaction belongs to the
 * login too.
 */
extern void login_is_due(void);

#endif
