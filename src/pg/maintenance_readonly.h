/*
 * maintenance_readonly.h: a role that may only read, from files that are given to us.
 */
#ifndef FAWKES_MAINTENANCE_READONLY_H
#define FAWKES_MAINTENANCE_READONLY_H

#include "postgres.h"

/*
 * On a primary, outside of a transaction: the group is there, and the role that
 * fawkes_ha.readonly_credentials_directory names can log in with that password, and read
 * fawkes_ha.database.  Files that cannot be used are logged; a directory without them asks for no
 * role.
 */
extern void maintenance_keep_readonly(void);

#endif
