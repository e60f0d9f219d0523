/*
 * certificate.h: the certificate that PostgreSQL serves: server.crt and server.key of the state
 * directory, given from outside or made here.
 */
#ifndef CLI_CERTIFICATE_H
#define CLI_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/config.h"

/*
 * See that there is a usable pair: fawkes_ha.tls_directory's if that has one, else the one that is
 * there, else a new self-signed one.  *changed: it was another before.  `refused` (of `size` bytes)
 * is why the pair given from outside is not taken, "" if it is or there is none.  IO, NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode certificate_keep(const FhaConfig *config, bool *changed, char *refused,
										size_t size, FhaError *err);

#endif
