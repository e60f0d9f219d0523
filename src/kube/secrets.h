/*
 * secrets.h: the small files that say who we are to a Kubernetes API server.
 */
#ifndef FHA_KUBE_SECRETS_H
#define FHA_KUBE_SECRETS_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>

#include "base/err.h"
#include "kube/config.h"

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

/*
 * Is the text what libcurl can take: a "CERTIFICATE" or a "PRIVATE KEY" in PEM that wants no password?
 * `where` is for the sentence; INVALID.
 */
FHA_MUST_CHECK FhaCode fha_kube_pem_check(const char *pem, const char *kind, const char *where,
										  FhaError *err);

/* A token, a certificate or a key that may lie in a file, where others change it. */
typedef struct FhaKubeSecret
{
	char path[FHA_PATH_SIZE]; /* "": none, text is all there is */
	struct stat seen;
	char *text; /* NULL: none */
} FhaKubeSecret;

/*
 * Read the file if it is another one than before, or in any case.  kind: of a PEM; NULL: a token.
 * Is the text a new one?  What cannot be read, or is none, leaves the text as it was: whether it is
 * still good is the server's to say.
 */
bool fha_kube_secret_refresh(FhaKubeSecret *secret, const char *kind, bool in_any_case);

#endif
