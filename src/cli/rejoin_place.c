/*
 * rejoin_place.c: is the data directory of a kind that can be copied beside and swapped?
 *
 * Asked before anything is touched.  A swap is a rename, which moves neither a mount point nor what
 * a symbolic link in the data directory names; and what was kept as <data>.old is removed with its
 * links, not with what they name.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/rejoin_internal.h"

static bool
is_link(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && S_ISLNK(status.st_mode);
}

/* A kernel that does not tell, before Linux 5.8, has the rename find out. */
static bool
is_mount_point(const char *path)
{
	struct statx status;

	return statx(AT_FDCWD, path, 0, STATX_TYPE, &status) == 0 &&
		   (status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
		   (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

static bool
has_link_in(const char *path)
{
	const struct dirent *entry;
	bool found = false;
	DIR *directory = opendir(path);

	while (directory != NULL && !found && (entry = readdir(directory)) != NULL)
		found = entry->d_type == DT_LNK;
	if (directory != NULL)
		(void) closedir(directory);
	return found;
}

FhaCode
rejoin_check_place(const FhaConfig *config, FhaError *err)
{
	const char *data = config->data_directory;
	char path[FHA_PATH_SIZE + 32];

	if (is_mount_point(data))
		return fha_error(err, FHA_INVALID,
						 "the data directory \"%.90s\" is a mount point, which no rename can move: "
						 "use a directory below it",
						 data);
	(void) snprintf(path, sizeof(path), "%s/pg_wal", data);
	if (is_link(path))
		return fha_error(err, FHA_INVALID,
						 "\"%.90s\" is a symbolic link, which a clone cannot replace: move the WAL "
						 "into the data directory, or clone by hand",
						 path);
	(void) snprintf(path, sizeof(path), "%s/pg_tblspc", data);
	if (has_link_in(path))
		return fha_error(
			err, FHA_INVALID,
			"\"%.90s\" has tablespaces, which a clone cannot replace: move their tables "
			"and drop them, or clone by hand",
			path);
	return FHA_OK;
}
