/*
 * kube_file.h: the small files that say who we are to a Kubernetes API server.
 */
#ifndef FHA_KUBE_FILE_H
#define FHA_KUBE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>

#include "err.h"
#include "kube_config.h"

/* A secret text: overwritten, then freed.  NULL is nothing. */
void fha_secret_free(char *secret);

/*
 * The whole of a regular file of at most `max` bytes, as a text without NULs; free it with
 * fha_secret_free.  *seen (may be NULL): what it was, to tell whether it has changed.
 * NOT_FOUND, INVALID (too long, no regular file, a NUL), IO, NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_kube_file_read(const char *path, size_t max, char **out,
										  struct stat *seen, FhaError *err);

/* White space at the end goes; INVALID if the rest is empty or nothing that a header can carry. */
FHA_MUST_CHECK FhaCode fha_kube_token_trim(char *token, const char *where, FhaError *err);

/* A token that may lie in a file. */
typedef struct FhaKubeToken
{
	char path[FHA_PATH_MAX]; /* "": none, text is all there is */
	struct stat seen;
	char *text; /* NULL: none */
} FhaKubeToken;

/*
 * Read the file if it is another one than before, or in any case.  Is the token a new one?  What
 * cannot be read leaves the token as it was: whether it is still good is the server's to say.
 */
bool fha_kube_token_refresh(FhaKubeToken *token, bool in_any_case);

#endif
