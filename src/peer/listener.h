/*
 * listener.h: what a member answers over HTTP: health paths, and questions of other members.
 *
 * The listener runs in the loop of the process that has the ownership lock.
 */
#ifndef FHA_PEER_LISTENER_H
#define FHA_PEER_LISTENER_H

#include "base/err.h"
#include "config/config.h"
#include "http/server.h"
#include "peer/protocol.h"
#include "show/health.h"

/* Fill in what is known at this moment; called once for each answer. */
typedef void (*FhaTell)(void *argument, FhaHealth *out);

/*
 * Answer on `fd`, a listening socket that stays the caller's; `argument` is for both callbacks.  A pgpass that cannot be read is
 * no failure: members' questions are then answered with 503.  IO, NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_listener_open(FhaListener **out, int fd, const FhaConfig *config,
												 FhaTell tell, FhaGivePromise promise,
												 void *argument, FhaError *err);

/* pgpass may have changed: read the cluster key again. */
FHA_API void fha_listener_reload(FhaListener *listener, const FhaConfig *config);

#endif
