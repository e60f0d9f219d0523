/*
 * cluster_conf.h: cluster.conf, the settings that the cluster record has for all members.
 */
#ifndef FHA_CONFIG_CLUSTER_CONF_H
#define FHA_CONFIG_CLUSTER_CONF_H

#include "base/err.h"
#include "config/config.h"
#include "core/world.h"

/* What a member has taken from the record. */
typedef struct FhaSettings
{
	char cluster_uuid[FHA_UUID_SIZE]; /* of that record */
	FhaSignature signature;
	size_t count;
	FhaSetting settings[FHA_SETTINGS_MAX];
} FhaSettings;

/* Make the file say these; *changed: a setting is another.  INVALID: it would be too long.  IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_settings_write(const FhaConfig *config, const FhaSettings *wanted,
										  bool *changed, FhaError *err);

/* What fha_settings_write has written; zeroed where there is no file, or another one.  IO, NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_settings_recall(const FhaConfig *config, FhaSettings *out,
												   FhaError *err);

/*
 * All of a node's own settings, over *config: fawkes_ha.conf, then cluster.conf where there is one.
 * NOT_FOUND: there is no fawkes_ha.conf.  INVALID: as fha_config_read says.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_settings_read(FhaConfig *config, FhaError *err);

#endif
