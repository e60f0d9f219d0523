/*
 * readonly.h: logins that may read, and nothing else.
 *
 * A login is one of them while its role is a member of the group fawkes_ha_readonly.  The group
 * gives no right; it takes away, by hooks, what PUBLIC has, what a read-only transaction allows
 * and what a primary would serve.  Superusers are never meant.
 */
#ifndef FAWKES_READONLY_H
#define FAWKES_READONLY_H

#include "postgres.h"

#include "nodes/nodes.h"
#include "utils/acl.h"

#define READONLY_GROUP "fawkes_ha_readonly"

/* Called once in the postmaster, from _PG_init, when cluster_name is set; after the fence's. */
extern void readonly_install_hooks(void);

/*
 * For the agent, at each turn.  alone: no standby serves reads, so with readonly_when_alone this
 * primary does.  Ends the read-only sessions of a primary that may not have them.
 */
extern void readonly_keep_sessions(bool primary, bool alone);

/*
 * What a read-only session may do (readonly_rules.c): each returns, or refuses with 42501.  In a
 * transaction.
 */
extern void readonly_check_utility(const Node *statement);
extern void readonly_check_function(Oid function);
extern void readonly_check_table(Oid table, const Bitmapset *columns);
/* Also below a view, whose owner may read them: the views ask for rights that the group does not mean. */
extern void readonly_check_statistics(Oid table);
extern void readonly_refuse_change(void); /* does not return */

/* May the planner use what it knows of this table's values, for a reader?  In a transaction. */
extern bool readonly_may_estimate(Oid table);

/* Settings that fill the server's log are a superuser's in this session, or everybody's again. */
extern void readonly_hold_settings(bool held);

/* Of any session: the group stays, under its name; 42501 else. */
extern void readonly_check_group(const Node *statement);

/* Has a grant to `role`, or to a role whose rights it has, this right?  PUBLIC's do not count. */
extern bool readonly_is_granted_by_name(const Acl *acl, Oid role, AclMode right);

/*
 * The role itself (readonly_role.c), with a connection to SPI, as a superuser on a primary: made,
 * or changed if it is not as wanted.  count databases by name, all there; exactly: it may connect
 * to no others.  verifier: of SCRAM-SHA-256; NULL: the password stays as it is.  Raises 22023 for
 * a name that cannot be one, 42710 for a role that is somebody else's.  False: nothing was to do.
 */
extern void
readonly_keep_group(void); /* and the limits of the roles that readonly_keep_role made */
extern bool readonly_keep_role(const char *role, char **databases, int count, bool exactly,
							   const char *verifier);

#endif
