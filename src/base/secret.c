/*
 * secret.c: small files, read whole, and secrets that change.  See base/secret.h.
 */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

void
fha_secret_free(char *secret)
{
	if (secret != NULL)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

/* What an open file has, at most max bytes, into out; *used: how many. */
static FhaCode
read_all(int fd, const char *path, size_t max, char *out, size_t *used, FhaError *err)
{
	*used = 0;
	for (;;)
	{
		ssize_t got = read(fd, out + *used, max + 1 - *used);

		if (got < 0 && errno == EINTR)
			continue; /* LCOV_EXCL_LINE: a signal at that moment */
		if (got < 0)
			return fha_error_errno(err, FHA_IO, "read of %.150s", path); /* LCOV_EXCL_LINE: disk */
		*used += (size_t) got;
		if (*used > max)
			return fha_error(err, FHA_INVALID, "%.150s grows", path); /* LCOV_EXCL_LINE: just now */
		if (got == 0)
			return FHA_OK;
	}
}

FhaCode
fha_secret_read(const char *path, size_t max, char **out, struct stat *seen, FhaError *err)
{
	/* One that waits for a writer, or for a person, must not be waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat found;
	size_t used = 0;
	char *text = NULL;
	FhaCode code = FHA_OK;

	*out = NULL;
	if (fd < 0)
		return fha_error_errno(err, errno == ENOENT ? FHA_NOT_FOUND : FHA_IO,
							   "could not open %.150s", path);
	if (fstat(fd, &found) != 0)
		code = fha_error_errno(err, FHA_IO, "fstat of %.150s", path); /* LCOV_EXCL_LINE: refused */
	else if (!S_ISREG(found.st_mode))
		code = fha_error(err, FHA_INVALID, "%.150s is no file", path);
	else if (found.st_size > (off_t) max)
		code = fha_error(err, FHA_INVALID, "%.150s is longer than %zu bytes", path, max);
	else if ((text = malloc(max + 2)) == NULL)
		code = fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	else
		code = read_all(fd, path, max, text, &used, err);
	(void) close(fd);
	if (text != NULL)
	{
		text[used] = '\0';
		if (code == FHA_OK && strlen(text) != used)
			code = fha_error(err, FHA_INVALID, "%.150s is no text: there is a NUL in it", path);
		if (code != FHA_OK)
		{
			OPENSSL_cleanse(text, used);
			free(text);
			return code;
		}
		*out = text;
		if (seen != NULL)
			*seen = found;
	}
	return code;
}

FhaCode
fha_secret_trim_token(char *token, const char *where, FhaError *err)
{
	size_t length = strlen(token); /* analyzer: a file that was read has a text */

	while (length > 0 && strchr(" \t\r\n", token[length - 1]) != NULL)
		token[--length] = '\0';
	if (length == 0)
		return fha_error(err, FHA_INVALID, "the token in %.150s is empty", where);
	for (size_t i = 0; i < length; i++)
		if (token[i] <= ' ' || token[i] > '~') /* analyzer: the same */
			return fha_error(err, FHA_INVALID,
							 "the token in %.150s has a character that no token has", where);
	return FHA_OK;
}

/* libcurl would ask at the terminal for a key's password. */
FhaCode
fha_secret_check_pem(const char *pem, const char *kind, const char *where, FhaError *err)
{
	/* analyzer: a file that was read has a text */
	if (strstr(pem, "ENCRYPTED") != NULL)
		return fha_error(err, FHA_INVALID,
						 "%.120s is encrypted, and there is nobody to ask for its password: "
						 "decrypt it (openssl pkey)",
						 where);
	if (strstr(pem, "-----BEGIN ") == NULL || strstr(pem, kind) == NULL)
		return fha_error(err, FHA_INVALID, "%.120s has no \"%s\" in PEM", where, kind);
	return FHA_OK;
}

/* The service account's files are links to a new folder with each change. */
static bool
stat_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		   a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool
fha_secret_refresh(FhaSecret *secret, const char *kind, bool in_any_case)
{
	size_t max = kind == NULL ? FHA_TOKEN_MAX : FHA_PEM_MAX;
	struct stat found;
	char *text;
	bool is_new;

	if (secret->path[0] == '\0' || stat(secret->path, &found) != 0 ||
		(!in_any_case && stat_is_same(&found, &secret->seen)) ||
		fha_secret_read(secret->path, max, &text, &found, NULL) != FHA_OK)
		return false;
	if ((kind == NULL ? fha_secret_trim_token(text, secret->path, NULL)
					  : fha_secret_check_pem(text, kind, secret->path, NULL)) != FHA_OK)
	{
		fha_secret_free(text);
		return false;
	}
	/* analyzer: a file that was read has a text */
	is_new = secret->text == NULL || strcmp(secret->text, text) != 0;
	fha_secret_free(secret->text);
	secret->text = text;
	secret->seen = found;
	return is_new;
}
