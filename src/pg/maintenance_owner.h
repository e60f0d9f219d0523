/*
 * maintenance_owner.h: the role that owns the application's database, from files that are given to us.
 */
#ifndef FAWKES_MAINTENANCE_OWNER_H
#define FAWKES_MAINTENANCE_OWNER_H

#include "postgres.h"

/*
 * On a primary, outside of a transaction: what fawkes_ha.credentials_directory and
 * fawkes_ha.database name is there, and as they say.  Files that cannot be used are logged.
 */
extern void maintenance_keep_owner(void);

#endif
