/*
 * guc.h: all settings of the extension.
 */
#ifndef FAWKES_GUC_H
#define FAWKES_GUC_H

#include "postgres.h"

#include "config/config.h"

/*
 * guc_NAME for each row of settings.def, with its unit behind the name of a number.  For the three
 * times of the lease use guc_timing, and for a state directory that may be "" guc_state_path.
 */
#define FHA_TEXT(name, ...) extern char *guc_##name;
#define FHA_NUMBER(name, unit, ...) extern int guc_##name##_##unit;
#define FHA_FLAG(name, ...) extern bool guc_##name;
#include "config/settings.def"

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
