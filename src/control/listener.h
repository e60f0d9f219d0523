/*
 * listener.h: the member's HTTP listener: health paths, and questions of other members.
 *
 * Runs in the loop of whoever has the seat, without threads and without waiting: the host polls
 * one descriptor.  One request per connection; every connection has a deadline, and when there are
 * too many the oldest one goes, so that whoever asks at once is answered however many dawdle.
 */
#ifndef FHA_LISTENER_H
#define FHA_LISTENER_H

#include <stdint.h>

#include "config.h"
#include "err.h"
#include "health.h"
#include "member.h"

typedef struct FhaListener FhaListener;

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

/* Accept no more, break off what is unfinished.  NULL is allowed. */
FHA_API void fha_listener_close(FhaListener *listener);

/* Readable when fha_listener_step has something to do. */
FHA_API int fha_listener_fd(const FhaListener *listener);

/* Whatever can be done without waiting. */
FHA_API void fha_listener_step(FhaListener *listener);

/* Step again at the latest then. */
FHA_API int64_t fha_listener_wake_ms(const FhaListener *listener);

#endif
