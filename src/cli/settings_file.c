/*
 * settings_file.c: fawkes_ha.conf out of a file and lines.  See settings_file.h.
 */
#include "cli/settings_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/state_directory.h"
#include "node/state.h"

/* By this line a file of ours is known from one that somebody wrote. */
#define HEADER "# Made by fawkes-ha run --config at each start: changes here are lost.\n"

static size_t
name_length(const char *line)
{
	return strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
}

FhaCode
settings_file_add(SettingsFile *file, const char *line, FhaError *err)
{
	size_t length = name_length(line);

	if (length == 0 || length >= FHA_SETTING_NAME_SIZE || line[length] != '=')
		return fha_error(err, FHA_INVALID, "-c takes NAME=VALUE, not \"%.80s\"", line);
	if (strpbrk(line, "\n\r") != NULL)
		return fha_error(err, FHA_INVALID, "the value of -c %.*s has a line break", (int) length,
						 line);
	if (file->line_count == SETTINGS_LINES_MAX)
		return fha_error(err, FHA_INVALID, "-c is given more than %d times: use the file",
						 SETTINGS_LINES_MAX);
	file->lines[file->line_count++] = line;
	return FHA_OK;
}

FhaCode
settings_file_read(const SettingsFile *file, FhaConfig *config, FhaError *err)
{
	char name[FHA_SETTING_NAME_SIZE];
	FhaCode code = file->path == NULL ? FHA_OK : fha_config_read(config, file->path, err);

	for (size_t i = 0; code == FHA_OK && i < file->line_count; i++)
	{
		size_t length = name_length(file->lines[i]);

		(void) snprintf(name, sizeof(name), "%.*s", (int) length, file->lines[i]);
		code = fha_config_set(config, name, file->lines[i] + length + 1, err);
	}
	return code;
}

/* Would the node run with it? */
static FhaCode
settings_file_check(const SettingsFile *file, const FhaConfig *config, FhaError *err)
{
	FhaConfig scratch = *config;
	FhaCode code = settings_file_read(file, &scratch, err);

	return code == FHA_OK ? fha_config_check(&scratch, err) : code;
}

/* "name=value" as a line of the file; returns its length. */
static size_t
settings_line_print(char *out, const char *line)
{
	size_t used = name_length(line);
	const char *value = line + used + 1;

	memcpy(out, line, used);
	memcpy(out + used, " = '", 4);
	used += 4;
	for (; *value != '\0'; value++)
	{
		if (*value == '\'' || *value == '\\')
			out[used++] = *value;
		out[used++] = *value;
	}
	memcpy(out + used, "'\n", 2);
	return used + 2;
}

/* The whole file; free it. */
static FhaCode
settings_file_compose(const SettingsFile *file, char **out, FhaError *err)
{
	char *given = NULL;
	size_t size = sizeof(HEADER) + 2;
	size_t used;
	FhaCode code = fha_file_read(file->path, FHA_CONFIG_FILE_MAX, &given, err);

	*out = NULL;
	if (code != FHA_OK)
		return code;
	size += strlen(given);
	for (size_t i = 0; i < file->line_count; i++)
		size += 2 * strlen(file->lines[i]) + 8;
	*out = malloc(size);
	if (*out == NULL)
	{
		free(given);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	used = (size_t) sprintf(*out, HEADER "%s\n", given);
	free(given);
	for (size_t i = 0; i < file->line_count; i++)
		used += settings_line_print(*out + used, file->lines[i]);
	(*out)[used] = '\0';
	if (used <= FHA_CONFIG_FILE_MAX)
		return FHA_OK;
	free(*out);
	*out = NULL;
	return fha_error(err, FHA_INVALID, "\"%.120s\" and -c give more than %d bytes", file->path,
					 FHA_CONFIG_FILE_MAX);
}

static FhaCode
settings_file_replace(const FhaConfig *config, const char *text, bool *changed, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char *before = NULL;
	FhaCode code = fha_state_prepare(config, err);

	if (code == FHA_OK)
		code = fha_state_path(config, "fawkes_ha.conf", path, sizeof(path), err);
	if (code == FHA_OK)
	{
		code = fha_file_read(path, FHA_CONFIG_FILE_MAX, &before, err);
		*changed = code == FHA_NOT_FOUND || (code == FHA_OK && strcmp(before, text) != 0);
		if (code == FHA_OK && strncmp(before, HEADER, strlen(HEADER)) != 0)
			code = fha_error(err, FHA_INVALID,
							 "\"%.120s\" was not made by --config: move it away, or run without "
							 "--config",
							 path);
		else if (*changed)
			code = fha_file_replace(path, text, strlen(text), err);
		free(before);
	}
	return code;
}

FhaCode
settings_file_take(const SettingsFile *file, const FhaConfig *config, bool *changed, FhaError *err)
{
	char *text = NULL;
	FhaCode code;

	*changed = false;
	if (file->path == NULL)
		return FHA_OK;
	code = settings_file_check(file, config, err);
	if (code == FHA_OK)
		code = settings_file_compose(file, &text, err);
	if (text != NULL)
		code = settings_file_replace(config, text, changed, err);
	free(text);
	return code;
}
