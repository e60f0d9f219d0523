/*
 * client.h: ask other members, over HTTP, several at once and without waiting.
 *
 * The questions are those of peer/protocol.h.  The host polls one descriptor and steps; every question
 * ends by its deadline, answered or not.
 */
#ifndef FHA_PEER_CLIENT_H
#define FHA_PEER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "peer/protocol.h"

typedef struct FhaAsk FhaAsk;

/* Who asks: what is the same in all questions. */
typedef struct FhaAsker
{
	FhaKey key;
	char cluster[FHA_NAME_SIZE];
	uint64_t system_identifier;
	char member[FHA_NAME_SIZE];
	char incarnation[FHA_ID_SIZE];
} FhaAsker;

/* IO, NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_ask_open(FhaAsk **out, const FhaAsker *asker, FhaError *err);
FHA_API void fha_ask_close(FhaAsk *ask);

/*
 * The password was changed: questions begin with this key from now on.  One that is refused with it
 * is asked again with the key before, until until_ms: its member may not have the new one yet.
 */
FHA_API void fha_ask_new_key(FhaAsk *ask, const FhaKey *key, int64_t until_ms);
FHA_API bool fha_ask_has_key(const FhaAsk *ask, const FhaKey *key);

/*
 * Ask `member`, whose listener is at `address` ("10.0.0.1:8008"), a question of this kind; terms:
 * of the promise that is asked for, NULL for other kinds.  One
 * that does not know our challenge yet is asked a second time, under the same deadline.
 * INVALID: not an address.  CONFLICT: as many questions as can be are under way.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_ask_start(FhaAsk *ask, const char *address, const char *member,
											 const char *kind, const FhaPromiseTerms *terms,
											 int64_t deadline_ms, FhaError *err);

/* How one question ended. */
typedef struct FhaAskEvent
{
	char member[FHA_NAME_SIZE];
	FhaCode code; /* OK; DENIED, NOT_FOUND (kind), CONFLICT: refused; TIMEOUT; IO; PROTOCOL */
	FhaError error;
	FhaReply reply;
} FhaAskEvent;

/* The next question that has ended; AGAIN: none has yet, wait for the descriptor. */
FHA_API FHA_MUST_CHECK FhaCode fha_ask_step(FhaAsk *ask, FhaAskEvent *event);

/* Readable when there is something to do; and when to step at the latest. */
FHA_API int fha_ask_fd(const FhaAsk *ask);
FHA_API int64_t fha_ask_wake_ms(const FhaAsk *ask);

#endif
