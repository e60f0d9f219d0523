/*
 * cluster_conf.c: cluster.conf.  See config/cluster_conf.h.
 */
#include "config/cluster_conf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config/state_directory.h"

#define FILE_NAME "cluster.conf"
#define HEAD "# signed: "
#define BODY "# Written by fawkes_ha: settings of all members, changed by fawkes-ha set.\n"
/* Each value may double, in its quotes. */
#define CONF_SIZE (FHA_SETTINGS_MAX * (FHA_SETTING_NAME_SIZE + 2 * FHA_SETTING_VALUE_SIZE) + 256)

static size_t
conf_add_quoted(char *out, const char *value)
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

/* The lines of the settings; what stands before them says who signed them. */
static const char *
conf_body(const char *text)
{
	const char *at = strstr(text, BODY);

	return at == NULL ? "" : at;
}

FhaCode
fha_settings_write(const FhaConfig *config, const FhaSettings *wanted, bool *changed, FhaError *err)
{
	static char text[CONF_SIZE];
	const FhaSignature *signature = &wanted->signature;
	char path[FHA_PATH_SIZE];
	char *before = NULL;
	bool same;
	FhaCode code = fha_state_path(config, FILE_NAME, path, sizeof(path), err);
	size_t used =
		(size_t) snprintf(text, sizeof(text), HEAD "%s %" PRIu64 " %s %s\n" BODY,
						  wanted->cluster_uuid[0] == '\0' ? "-" : wanted->cluster_uuid,
						  signature->serial, signature->serial == 0 ? "-" : signature->key_id,
						  signature->serial == 0 ? "-" : signature->mac);

	*changed = false;
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the path was short enough before */
	for (size_t i = 0; i < wanted->count; i++)
	{
		used +=
			(size_t) snprintf(text + used, sizeof(text) - used, "%s = '", wanted->settings[i].name);
		used += conf_add_quoted(text + used, wanted->settings[i].value);
		used += (size_t) snprintf(text + used, sizeof(text) - used, "'\n");
	}
	if (fha_file_read(path, sizeof(text), &before, NULL) != FHA_OK)
		*changed = wanted->count > 0;
	else
		*changed = strcmp(conf_body(before), conf_body(text)) != 0;
	same = before != NULL && strcmp(before, text) == 0;
	free(before);
	/* The write that made it the same may have failed at its flush. */
	return same ? fha_file_sync_parent(path, err) : fha_file_replace(path, text, used, err);
}

/* One "name = 'value'" with quotes and backslashes doubled; false: not ours. */
static bool
conf_take_line(const char *line, FhaSetting *out)
{
	const char *equals = strstr(line, " = '");
	size_t used = 0;

	if (equals == NULL || (size_t) (equals - line) >= sizeof(out->name))
		return false;
	memcpy(out->name, line, (size_t) (equals - line));
	for (line = equals + strlen(" = '"); *line != '\0' && used < sizeof(out->value) - 1; line++)
	{
		if (*line == '\'' && line[1] == '\0')
			return true;
		if ((*line == '\'' || *line == '\\') && line[1] == *line)
			line++;
		out->value[used++] = *line;
	}
	return false;
}

static bool
conf_take_text(char *text, FhaSettings *out)
{
	FhaSignature *signature = &out->signature;
	char *rest = NULL;

	/* Version 1.1 wrote no such line. */
	if (sscanf(text, HEAD "%32s %" SCNu64 " %8s %64s", out->cluster_uuid, &signature->serial,
			   signature->key_id, signature->mac) != 4 ||
		signature->serial == 0)
		*signature = (FhaSignature){0};
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		if (line[0] != '#' &&
			(out->count == FHA_SETTINGS_MAX || !conf_take_line(line, &out->settings[out->count++])))
			return false;
	return true;
}

FhaCode
fha_settings_recall(const FhaConfig *config, FhaSettings *out, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	FhaCode code = fha_state_path(config, FILE_NAME, path, sizeof(path), err);

	memset(out, 0, sizeof(*out));
	if (code == FHA_OK)
		code = fha_file_read(path, CONF_SIZE, &text, err);
	if (code == FHA_OK && !conf_take_text(text, out))
		memset(out, 0, sizeof(*out));
	free(text);
	return code == FHA_NOT_FOUND ? FHA_OK : code;
}

FhaCode
fha_settings_read(FhaConfig *config, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	struct stat status;
	FhaCode code = fha_state_path(config, "fawkes_ha.conf", path, sizeof(path), err);

	if (code == FHA_OK && stat(path, &status) == 0 && (status.st_mode & S_IWOTH) != 0)
		code = fha_error(err, FHA_INVALID,
						 "every user of this machine may write \"%.100s\" (mode %04o), and so have "
						 "programs run: chmod 600 it",
						 path, (unsigned) status.st_mode & 07777);
	if (code == FHA_OK)
		code = fha_config_read(config, path, err);
	if (code == FHA_OK)
		code = fha_state_path(config, FILE_NAME, path, sizeof(path), err);
	return code == FHA_OK && access(path, F_OK) == 0 ? fha_config_read(config, path, err) : code;
}
