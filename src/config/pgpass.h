/*
 * pgpass.h: the password of the members' role, in pgpass of the state directory.
 */
#ifndef FHA_CONFIG_PGPASS_H
#define FHA_CONFIG_PGPASS_H

#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

#define FHA_PGPASS_SIZE 4097 /* the file, with a NUL */

/*
 * The password of our role: the fifth field of the first line of pgpass, without its escapes.
 * NOT_FOUND: no pgpass; INVALID: no password in it, or it does not fit; IO.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_password_read(const FhaConfig *config, char *out, size_t size,
												 FhaError *err);

#endif
