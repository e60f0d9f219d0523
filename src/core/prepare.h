/*
 * prepare.h: when a primary is prepared to stop.
 *
 * A shutdown writes all dirty pages while nobody can write to the cluster.  So they are written
 * before, while the primary still serves, and once more what came during a long first time.
 */
#ifndef FHA_PREPARE_H
#define FHA_PREPARE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/api.h"

/* Zeroed: nothing is prepared. */
typedef struct FhaPrepare
{
	int checkpoints; /* begun for the stop that is wanted now */
	uint64_t begun;  /* where the WAL ended when the last of them began */
	bool prepared;
} FhaPrepare;

typedef struct FhaPrepareFacts
{
	bool handover; /* the host action says so */
	bool asked;    /* the supervisor does, whose node is told to stop */
	bool writes;   /* the fence is open here; if not, nobody waits for this server's pages */
	bool made;     /* the checkpoint that was begun last is there */
	uint64_t lsn;  /* where the WAL ends */
} FhaPrepareFacts;

/* True: a checkpoint is to be begun now. */
FHA_API bool fha_prepare_step(FhaPrepare *prepare, const FhaPrepareFacts *facts);

/* May the supervisor that asked for it stop the server? */
FHA_API bool fha_prepare_is_enough(const FhaPrepare *prepare, const FhaPrepareFacts *facts);

#endif
