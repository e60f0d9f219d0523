/*
 * settings.c: cluster.conf.  See settings.h.
 */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state.h"

#define FILE_NAME "cluster.conf"
/* Each value may double, in its quotes. */
#define TEXT_MAX (FHA_SETTINGS_MAX * (FHA_SETTING_NAME_SIZE + 2 * FHA_SETTING_VALUE_SIZE) + 256)

static size_t
add_quoted(char *out, const char *value)
{
	size_t used = 0;

	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			out[used++] = *value;
		out[used++] = *value;
	}
	return used;
}

FhaCode
fha_settings_write(const FhaConfig *config, const FhaSetting *settings, size_t count, bool *changed,
				   FhaError *err)
{
	static char text[TEXT_MAX];
	char path[FHA_PATH_MAX];
	char *before = NULL;
	FhaCode code = fha_state_path(config, FILE_NAME, path, sizeof(path), err);
	size_t used = (size_t) snprintf(text, sizeof(text),
									"# Written by fawkes_ha: settings of all members, changed by "
									"fawkes-ha set.\n");

	*changed = false;
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	for (size_t i = 0; i < count; i++)
	{
		used += (size_t) snprintf(text + used, sizeof(text) - used, "%s = '", settings[i].name);
		used += add_quoted(text + used, settings[i].value);
		used += (size_t) snprintf(text + used, sizeof(text) - used, "'\n");
	}
	if (fha_file_read(path, sizeof(text), &before, NULL) == FHA_OK && strcmp(before, text) == 0)
	{
		free(before);
		return FHA_OK;
	}
	*changed = before != NULL || count > 0;
	free(before);
	return fha_file_replace(path, text, used, err);
}

FhaCode
fha_settings_read(FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_MAX];
	FhaCode code = fha_state_path(config, "fawkes_ha.conf", path, sizeof(path), err);

	if (code == FHA_OK)
		code = fha_config_read(config, path, err);
	if (code == FHA_OK)
		code = fha_state_path(config, FILE_NAME, path, sizeof(path), err);
	return code == FHA_OK && access(path, F_OK) == 0 ? fha_config_read(config, path, err) : code;
}
