/*
 * state_directory.c: where a node's own directory lies.  See state_directory.h.
 */
#include "config/state_directory.h"

#include <stdio.h>
#include <string.h>

FhaCode
fha_state_directory(const FhaConfig *config, char *out, size_t size, FhaError *err)
{
	size_t length;

	if (config->state_directory[0] != '\0')
	{
		length = strlen(config->state_directory);
		while (length > 1 && config->state_directory[length - 1] == '/')
			length--;
		if (length >= size)
			return fha_error(err, FHA_INVALID, "the state directory's path is too long");
		memmove(out, config->state_directory, length);
		out[length] = '\0';
		return FHA_OK;
	}
	if (config->data_directory[0] == '\0')
		return fha_error(err, FHA_INVALID, "neither a data directory nor a state directory is set");
	length = strlen(config->data_directory);
	while (length > 1 && config->data_directory[length - 1] == '/')
		length--;
	if ((size_t) snprintf(out, size, "%.*s.fawkes_ha", (int) length, config->data_directory) >=
		size)
		return fha_error(err, FHA_INVALID, "the state directory's path is too long");
	return FHA_OK;
}

FhaCode
fha_state_path(const FhaConfig *config, const char *name, char *out, size_t size, FhaError *err)
{
	char directory[FHA_PATH_SIZE];
	FhaCode code = fha_state_directory(config, directory, sizeof(directory), err);

	if (code != FHA_OK)
		return code;
	if ((size_t) snprintf(out, size, "%s/%s", directory, name) >= size)
		return fha_error(err, FHA_INVALID, "the path of %.40s in the state directory is too long",
						 name);
	return FHA_OK;
}
