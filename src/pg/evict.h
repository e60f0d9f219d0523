/*
 * evict.h: sessions on a former primary that nobody stops.
 */
#ifndef FAWKES_EVICT_H
#define FAWKES_EVICT_H

#include "postgres.h"

/*
 * For the agent of a primary that goes on, each turn.  leader: the member that leads now, elsewhere;
 * "": none is known.  Ends all sessions of clients; a client that connects again is
 * refused, and goes on to that member.
 */
extern void evict_sessions(const char *leader);

#endif
