/*
 * fence_message.h: what an error or a notice may say while the fence is shut (S2b).
 */
#ifndef FAWKES_FENCE_MESSAGE_H
#define FAWKES_FENCE_MESSAGE_H

#include "postgres.h"

/* Room for whatever fence_message_hide writes. */
#define FENCE_MESSAGE_SIZE 1024

/*
 * body, size: an ErrorResponse of the protocol.  *out: the same error without anything that could
 * be a row's content, a query's text or a key; its size is returned.  The server's log is not
 * concerned.
 */
extern size_t fence_message_hide(const char *body, size_t size, char out[FENCE_MESSAGE_SIZE]);

#endif
