/*
 * config.h: a node's settings, as the supervisor and the command read them
 * before PostgreSQL runs.
 *
 * The file is <state directory>/fawkes_ha.conf in postgresql.conf's syntax.
 * PostgreSQL includes the same file, so that there is one place for a setting;
 * names without the prefix "fawkes_ha." are PostgreSQL's own and are only kept
 * for `port` and `unix_socket_directories`.
 */
#ifndef FHA_CONFIG_CONFIG_H
#define FHA_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"
#include "config/settings.h"

#define FHA_CONFIG_FILE_MAX (64 * 1024)
#define FHA_LEASE_MAX_MS (10 * 60 * 1000) /* the longest of the lease's times */

/* A field for each row of settings.def; numbers in milliseconds or bytes, as the field's name says. */
typedef struct FhaConfig
{
#define FHA_TEXT(name, kind, ...) char name[FHA_##kind##_SIZE];
#define FHA_NUMBER(name, unit, ...) int64_t FHA_FIELD(name, unit);
#define FHA_FLAG(name, ...) bool name;
#include "config/settings.def"
	char data_directory[FHA_PATH_SIZE];
	char socket_directory[FHA_PATH_SIZE]; /* first of unix_socket_directories; "" if not set */
	int port;
	unsigned times_set; /* not a setting: bit i, config.c's lease_times[i] was set */
	bool supervised;    /* not a setting: is there a supervisor that can restart us? */
} FhaConfig;

/* The lease's times are a directory lock's; whichever is not set follows fawkes_ha.lock. */
FHA_API void fha_config_defaults(FhaConfig *config);

/*
 * Read the file into *config, over what stands there.  INVALID names file, line
 * and what is allowed; NOT_FOUND: no such file; IO.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_config_read(FhaConfig *config, const char *path, FhaError *err);

/* Set one setting from text ("3s", "500ms", "16MB", "on"), as a line of the file would. */
FHA_API FHA_MUST_CHECK FhaCode fha_config_set(FhaConfig *config, const char *name,
											  const char *value, FhaError *err);

/* What single ranges cannot say: names present, renew_deadline < lease_duration, ...  INVALID. */
FHA_API FHA_MUST_CHECK FhaCode fha_config_check(const FhaConfig *config, FhaError *err);

/* May this member found the cluster?  "initdb" lets whoever has it, "initdb:NAME" that member alone. */
FHA_API bool fha_config_may_found(const FhaConfig *config);

/* A name as Kubernetes would allow it: [a-z0-9]([a-z0-9-]*[a-z0-9])?, FHA_NAME_SIZE with its NUL. */
FHA_API bool fha_name_is_valid(const char *name);

/* A pod's name, which ends up in a path: a-z, 0-9, "-" and ".", neither of these at an end. */
FHA_API bool fha_pod_name_is_valid(const char *name);

/* host:port, [IPv6]:port. */
FHA_API bool fha_address_is_valid(const char *address);

/* "Are these timings sane together?", one sentence with a hint into err when not; see the design. */
FHA_API FHA_MUST_CHECK FhaCode fha_timing_check(int64_t lease_duration_ms,
												int64_t renew_deadline_ms, int64_t retry_period_ms,
												FhaError *err);

#endif
