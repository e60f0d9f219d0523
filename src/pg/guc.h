/*
 * guc.h: all settings of the extension.
 */
#ifndef FAWKES_GUC_H
#define FAWKES_GUC_H

#include "postgres.h"

#include "config/config.h"

extern char *guc_cluster_name;          /* fawkes_ha.cluster_name; "" is inert */
extern char *guc_member_name;           /* fawkes_ha.member_name */
extern char *guc_lock;                  /* fawkes_ha.lock */
extern char *guc_address;               /* fawkes_ha.address: host:port for the other members */
extern char *guc_listen;                /* fawkes_ha.listen: where the agent answers HTTP */
extern char *guc_exporter_listen;       /* where the exporter answers HTTP; "": nowhere */
extern char *guc_pod;                   /* fawkes_ha.pod: this member's; "" for none */
extern char *guc_state_directory;       /* fawkes_ha.state_directory; "" is <data>.fawkes_ha */
extern char *guc_bootstrap;             /* fawkes_ha.bootstrap: read by the supervisor */
extern char *guc_password_file;         /* fawkes_ha.password_file: read by the supervisor */
extern char *guc_credentials_directory; /* fawkes_ha.credentials_directory */
extern char *guc_database;              /* fawkes_ha.database */
extern char *guc_tls_directory;         /* fawkes_ha.tls_directory: read by the supervisor */
extern bool guc_tls;                    /* fawkes_ha.tls */
extern int guc_lease_duration_ms;       /* fawkes_ha.lease_duration; use guc_timing */
extern int guc_renew_deadline_ms;       /* fawkes_ha.renew_deadline; use guc_timing */
extern int guc_retry_period_ms;         /* fawkes_ha.retry_period; use guc_timing */
extern int guc_election_wait_ms;        /* fawkes_ha.election_wait */
extern int guc_release_wait_ms;         /* fawkes_ha.release_wait */
extern int guc_max_lag_kb;              /* fawkes_ha.max_lag_on_failover */
extern int guc_max_replica_lag_ms;      /* fawkes_ha.max_replica_lag */
extern int guc_member_timeout_ms;       /* fawkes_ha.member_timeout */
extern int guc_shutdown_timeout_s;      /* fawkes_ha.shutdown_timeout: read by the supervisor */
extern bool guc_fenced_reads; /* fawkes_ha.fenced_reads: reads on a lapsed former primary */

extern char *guc_readonly_credentials_directory; /* fawkes_ha.readonly_credentials_directory */
extern bool guc_readonly_when_alone;             /* fawkes_ha.readonly_when_alone */

/* Define them all; called from _PG_init in every process that loads the library. */
extern void guc_define(void);

/* Cross-check what single ranges cannot; ereport(FATAL) with a hint.  Only with a cluster_name. */
extern void guc_check_together(void);

/*
 * The three timings of the lease that were last sane together, in milliseconds.
 * A reload that breaks their order leaves the old ones in effect and says so once.
 */
extern void guc_timing(int64 *lease_duration_ms, int64 *renew_deadline_ms, int64 *retry_period_ms);

/* The settings as the library takes them; timings as guc_timing has them. */
extern void guc_config(FhaConfig *config);

/* Where the node keeps its own state: the setting, or <data directory>.fawkes_ha. */
extern void guc_state_path(char *out, size_t size);

#endif
