/*
 * maintenance_given.c: user names and passwords from files.  See maintenance_given.h.
 */
#include "postgres.h"

#include <stdlib.h>

#include "node/state.h"
#include "pg/maintenance_given.h"

char *
maintenance_read_credential(const char *directory, const char *name, size_t most, FhaError *err)
{
	char path[FHA_PATH_SIZE + 16];
	char *text = NULL;
	char *line = NULL;
	size_t length = 0;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (fha_file_read(path, FHA_PASSWORD_SIZE + 1, &text, err) == FHA_OK)
	{
		length = strcspn(text, "\r\n");
		if (length > 0 && length <= most && text[length + strspn(text + length, "\r\n")] == '\0')
			line = pnstrdup(text, length);
		explicit_bzero(text, strlen(text));
		free(text);
		if (line == NULL)
			fha_error(err, FHA_INVALID, "\"%s\" is not one line of 1 to %zu bytes", path, most);
	}
	return line;
}
