/*
 * maintenance_role.h: the role that standbys, pg_basebackup and pg_rewind connect as.
 *
 * It is ours alone, so at each visit it is made what it has to be: attributes, password,
 * memberships, and no settings.
 */
#ifndef FAWKES_MAINTENANCE_ROLE_H
#define FAWKES_MAINTENANCE_ROLE_H

/* On a primary, in no transaction: standbys can stream as it. */
extern void maintenance_keep_role(void);

/* The same: pg_rewind can read this server's files from this database, and nobody else by it. */
extern void maintenance_keep_role_rights(void);

#endif
