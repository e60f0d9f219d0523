/*
 * pgpass.c: the password of the members' role.  See pgpass.h.
 */
#include "config/pgpass.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/state_directory.h"

FhaCode
fha_password_read(const FhaConfig *config, char *out, size_t size, FhaError *err)
{
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	size_t used = 0;
	int field = 0;
	FhaCode code = fha_state_path(config, "pgpass", path, sizeof(path), err);

	if (code == FHA_OK)
		code = fha_file_read(path, FHA_PGPASS_SIZE - 1, &text, err);
	if (code != FHA_OK)
		return code;
	for (const char *c = text; *c != '\0' && *c != '\n' && used < size; c++)
	{
		if (*c == '\\' && c[1] != '\0')
			c++;
		else if (*c == ':' && field < 4)
		{
			field++;
			continue;
		}
		if (field == 4)
			out[used++] = *c;
	}
	explicit_bzero(text, strlen(text));
	free(text);
	if (used == 0 || used == size)
		return fha_error(err, FHA_INVALID, "\"%.150s\" has no password in its first line", path);
	out[used] = '\0';
	return FHA_OK;
}
