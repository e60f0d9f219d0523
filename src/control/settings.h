/*
 * settings.h: cluster.conf, the settings that the cluster record has for all members.
 */
#ifndef FHA_SETTINGS_H
#define FHA_SETTINGS_H

#include "config.h"
#include "err.h"
#include "world.h"

/* Make the file say these; *changed: it did not.  INVALID: it would be too long.  IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_settings_write(const FhaConfig *config, const FhaSetting *settings,
										  size_t count, bool *changed, FhaError *err);

/*
 * All of a node's own settings, over *config: fawkes_ha.conf, then cluster.conf where there is one.
 * NOT_FOUND: there is no fawkes_ha.conf.  INVALID: as fha_config_read says.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_settings_read(FhaConfig *config, FhaError *err);

#endif
