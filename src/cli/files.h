/*
 * files.h: what the rejoin jobs do to files and directories, durably.
 */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stdbool.h>

#include "base/err.h"

/* Remove a directory and all in it; links are removed, not followed.  It may be absent. */
FHA_MUST_CHECK FhaCode files_remove_tree(const char *path, FhaError *err);

/* Copy a regular file and flush it.  NOT_FOUND: no such file. */
FHA_MUST_CHECK FhaCode files_copy(const char *from, const char *to, FhaError *err);

/* mkdir 0700 if it is not there. */
FHA_MUST_CHECK FhaCode files_make_directory(const char *path, FhaError *err);

/* Flush a directory, so that its entries survive a crash. */
FHA_MUST_CHECK FhaCode files_sync_directory(const char *path, FhaError *err);

/* Rename and flush the directory that both lie in. */
FHA_MUST_CHECK FhaCode files_rename(const char *from, const char *to, FhaError *err);

bool files_exists(const char *path);

/* Absent, or a directory without entries. */
bool files_is_empty(const char *path);

#endif
