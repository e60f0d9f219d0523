/*
 * client.h: peer calls: questions to other members, over HTTP, several at once and without waiting.
 *
 * The questions are those of peer/protocol.h.  The host polls one descriptor and steps; every call
 * ends by its deadline, answered or not.
 */
#ifndef FHA_PEER_CLIENT_H
#define FHA_PEER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "peer/protocol.h"

typedef struct FhaPeerClient FhaPeerClient;

/* The member that asks: what is the same in all its calls. */
typedef struct FhaPeerCaller
{
	FhaKey key;
	char cluster[FHA_NAME_SIZE];
	uint64_t system_identifier;
	char member[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE];
} FhaPeerCaller;

/* IO, NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_peer_client_open(FhaPeerClient **out,
													const FhaPeerCaller *caller, FhaError *err);
FHA_API void fha_peer_client_close(FhaPeerClient *client);

/*
 * The password was changed: questions begin with this key from now on.  One that is refused with it
 * is asked again with the key before, until ends_at_ms: its member may not have the new one yet.
 */
FHA_API void fha_peer_client_new_key(FhaPeerClient *client, const FhaKey *key, int64_t ends_at_ms);
FHA_API bool fha_peer_client_has_key(const FhaPeerClient *client, const FhaKey *key);

/*
 * Ask `member`, whose listener is at `address` ("10.0.0.1:8008"), a question of this kind; terms:
 * of the promise that is asked for, NULL for other kinds.  One
 * that does not know our challenge yet is asked a second time, under the same deadline.
 * INVALID: not an address.  CONFLICT: as many calls as can be are under way.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_peer_call_start(FhaPeerClient *client, const char *address,
												   const char *member, const char *kind,
												   const FhaPromiseTerms *terms,
												   int64_t deadline_at_ms, FhaError *err);

/* How one call ended. */
typedef struct FhaPeerCallEvent
{
	char member[FHA_NAME_SIZE];
	FhaCode code; /* OK; DENIED, NOT_FOUND (kind), CONFLICT: refused; TIMEOUT; IO; PROTOCOL */
	FhaError error;
	FhaReply reply;
} FhaPeerCallEvent;

/* The next call that has ended; AGAIN: none has yet, wait for the descriptor. */
FHA_API FHA_MUST_CHECK FhaCode fha_peer_client_step(FhaPeerClient *client, FhaPeerCallEvent *event);

/* Readable when there is something to do; and when to step at the latest. */
FHA_API int fha_peer_client_fd(const FhaPeerClient *client);
FHA_API int64_t fha_peer_client_wake_at_ms(const FhaPeerClient *client);

#endif
