/*
 * maintenance_extension.h: the extension in the databases that fawkes_ha looks after, "postgres" and
 * fawkes_ha.database, in the version that the server has.
 */
#ifndef FAWKES_MAINTENANCE_EXTENSION_H
#define FAWKES_MAINTENANCE_EXTENSION_H

/* In no transaction, on a primary: in the database of this worker. */
extern void maintenance_keep_extension(void);

/* The same in another database, by a worker of its own; nothing when there is none of that name. */
extern void maintenance_send_extension(const char *database);

#endif
