/*
 * listen.h: the setting `listen`: where a member answers HTTP, and its socket.
 */
#ifndef FHA_BASE_LISTEN_H
#define FHA_BASE_LISTEN_H

#include <stddef.h>

#include "base/err.h"

/*
 * "127.0.0.1:8008", "[::1]:8008" or "*:8008" (every address of this host).  Numbers only: a name
 * would have to be resolved, and that can hang.  INVALID says what is allowed.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_listen_check(const char *listen, FhaError *err);

/*
 * A listening socket, non-blocking and close-on-exec, in *fd; the caller closes it.  INVALID; IO:
 * the text names the setting and what the system said.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_listen_open(const char *setting, const char *listen, int *fd,
											   FhaError *err);

/*
 * Where other members reach it: the setting itself, or, when it names every address, the host of
 * `address` with its port.  "" when `listen` is empty, or the result does not fit.
 */
FHA_API void fha_listen_public(const char *listen, const char *address, char *out, size_t size);

#endif
