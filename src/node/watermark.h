/*
 * watermark.h: the ack watermark, the highest position that clients were told is committed.
 *
 * One page of shared memory (a memfd) that the supervisor makes and PostgreSQL
 * inherits, so that it outlives every process of PostgreSQL: after kill -9 the
 * supervisor knows which position a successor must have, rather than waiting
 * for WAL that no client was ever told about.
 */
#ifndef FHA_NODE_WATERMARK_H
#define FHA_NODE_WATERMARK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/world.h"
#include "node/speakers.h"

typedef struct FhaWatermark
{
	_Atomic uint64_t acked_lsn;    /* end of the newest commit record acknowledged; 0: none yet */
	char started_for[FHA_ID_SIZE]; /* the request that stood when the server was started; "" */
	_Atomic uint32_t streaming; /* 1: this data has streamed from a leader since the last start */
	/* The supervisor is to stop the node, and waits until a shutdown has little left to write. */
	_Atomic uint32_t stop_asked;
	_Atomic uint32_t stop_prepared;
	char last_words[FHA_SENTENCE_SIZE]; /* the newest fatal error of a start; "": none */
	FhaSpeakers speakers; /* those of the incarnation of the server that inherits this */
} FhaWatermark;

/*
 * What any supervisor's page has.  A supervisor that is older than the library, during an upgrade,
 * makes it smaller; what lies behind its end is in the same page of memory, and nobody reads it.
 */
#define FHA_WATERMARK_LEAST offsetof(FhaWatermark, last_words)
_Static_assert(sizeof(FhaWatermark) <= 4096, "the ack watermark is one page");

/* Environment of the postmaster: descriptor numbers that it inherits. */
#define FHA_ENV_WATERMARK_FD "FAWKES_HA_MARK_FD"
#define FHA_ENV_LIVENESS_FD "FAWKES_HA_LIFE_FD"
#define FHA_ENV_LISTEN_FD "FAWKES_HA_LISTEN_FD"
/* Environment of the postmaster: this node's incarnation (S1b). */
#define FHA_ENV_INCARNATION "FAWKES_HA_INCARNATION"

#endif
