/*
 * maintenance_exporter.h: the role that metrics are read as, which nobody logs in as.
 */
#ifndef FAWKES_MAINTENANCE_EXPORTER_H
#define FAWKES_MAINTENANCE_EXPORTER_H

#define EXPORTER_ROLE "fawkes_exporter"

/* Install ClientAuthentication_hook: only background workers act as the role. */
extern void maintenance_exporter_install_hooks(void);

/* In no transaction, on a primary: the role is there, without a password, a member of pg_monitor. */
extern void maintenance_keep_exporter(void);

#endif
