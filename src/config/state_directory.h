/*
 * state_directory.h: where a node's own directory lies, by its settings.  What is in it: state.h.
 */
#ifndef FHA_CONFIG_STATE_DIRECTORY_H
#define FHA_CONFIG_STATE_DIRECTORY_H

#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

/* The state directory: as set, else <data directory>.fawkes_ha.  INVALID: neither, or too long. */
FHA_API FHA_MUST_CHECK FhaCode fha_state_directory(const FhaConfig *config, char *out, size_t size,
												   FhaError *err);

/* <state directory>/<name> into out. INVALID if it does not fit. */
FHA_API FHA_MUST_CHECK FhaCode fha_state_path(const FhaConfig *config, const char *name, char *out,
											  size_t size, FhaError *err);

#endif
