/*
 * secret.h: the small files that say who we are to others: tokens, keys, certificates.
 */
#ifndef FHA_BASE_SECRET_H
#define FHA_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>

#include "base/err.h"
#include "core/sizes.h"

/* Bytes of a file of certificates or of a key, and of a token. */
#define FHA_PEM_MAX (512 * 1024)
#define FHA_TOKEN_MAX (16 * 1024)

/* A secret text: overwritten, then freed.  NULL is nothing. */
void fha_secret_free(char *secret);

/*
 * The whole of a regular file of at most `max` bytes, as a text without NULs; free it with
 * fha_secret_free.  *seen (may be NULL): what it was, to tell whether it has changed.
 * NOT_FOUND, INVALID (too long, no regular file, a NUL), IO, NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_secret_read(const char *path, size_t max, char **out, struct stat *seen,
									   FhaError *err);

/* White space at the end goes; INVALID if the rest is empty or nothing that a header can carry. */
FHA_MUST_CHECK FhaCode fha_secret_trim_token(char *token, const char *where, FhaError *err);

/*
 * Is the text what libcurl can take: a "CERTIFICATE" or a "PRIVATE KEY" in PEM that wants no password?
 * `where` is for the sentence; INVALID.
 */
FHA_MUST_CHECK FhaCode fha_secret_check_pem(const char *pem, const char *kind, const char *where,
											FhaError *err);

/* A token, a certificate or a key that may lie in a file, where others change it. */
typedef struct FhaSecret
{
	char path[FHA_PATH_SIZE]; /* "": none, text is all there is */
	struct stat seen;
	char *text; /* NULL: none */
} FhaSecret;

/*
 * Read the file if it is another one than before, or in any case.  kind: of a PEM; NULL: a token.
 * Is the text a new one?  What cannot be read, or is none, leaves the text as it was: whether it is
 * still good is the server's to say.
 */
bool fha_secret_refresh(FhaSecret *secret, const char *kind, bool in_any_case);

#endif
