/*
 * settings_file.h: a node's settings that were given from outside, as to a pod.
 *
 * fawkes_ha.conf is then made of a file (a mounted ConfigMap) and of lines of the command line, so
 * that every other command and PostgreSQL find the settings where they always are.
 */
#ifndef CLI_SETTINGS_FILE_H
#define CLI_SETTINGS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

#define SETTINGS_LINES_MAX 32

/* What --config and -c said.  Points into the command line. */
typedef struct SettingsFile
{
	const char *path;                      /* NULL: the user wrote fawkes_ha.conf himself */
	const char *lines[SETTINGS_LINES_MAX]; /* "name=value" */
	size_t line_count;
} SettingsFile;

/* Remember one -c.  INVALID: it is not name=value, or there are too many. */
FHA_MUST_CHECK FhaCode settings_file_add(SettingsFile *file, const char *line, FhaError *err);

/* What it says, into *config.  Without a file, the lines alone.  INVALID, NOT_FOUND (no such file), IO. */
FHA_MUST_CHECK FhaCode settings_file_read(const SettingsFile *file, FhaConfig *config,
										  FhaError *err);

/*
 * Make fawkes_ha.conf of it, if there is a path: atomically, and only if all of it can be used.
 * config: the data and state directory, over defaults.  *changed: it was another before.
 * INVALID, NOT_FOUND (no such file), IO.
 */
FHA_MUST_CHECK FhaCode settings_file_take(const SettingsFile *file, const FhaConfig *config,
										  bool *changed, FhaError *err);

#endif
