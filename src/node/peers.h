/*
 * peers.h: whom a holder asks for promises (S10), in peers.json of its state directory.
 *
 * A process that has not read the record does not know who else may take the lease.  When PostgreSQL
 * dies while it leads by promises, the next one that speaks for the node finds the others here, and
 * asks them to wait on: without that, a standby that lacks what was acknowledged could be faster
 * when the lock answers again.
 */
#ifndef FHA_NODE_PEERS_H
#define FHA_NODE_PEERS_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "config/config.h"
#include "core/world.h"
#include "node/state.h"

typedef struct FhaPeer
{
	char member[FHA_NAME_SIZE];
	char listener[FHA_ADDRESS_SIZE]; /* "": it has none */
} FhaPeer;

typedef struct FhaPeers
{
	/* A living holder wrote this then, on the clock of that boot and time namespace. */
	char boot_id[FHA_UUID_SIZE];
	char time_namespace[FHA_TIME_NAMESPACE_SIZE];
	int64_t written_at_ms;
	/* The lease, as the questions name it. */
	char cluster_uuid[FHA_UUID_SIZE];
	uint64_t system_identifier;
	char incarnation[FHA_ID_SIZE];
	uint64_t term;
	int64_t duration_ms;
	size_t count; /* of the others on the list; 0: not known */
	FhaPeer of[FHA_MEMBERS_MAX];
} FhaPeers;

/* NOT_FOUND: this node never asked anybody.  INVALID: the file is damaged.  IO, NO_MEMORY.
 * Then *out is zeroed. */
FHA_MUST_CHECK FhaCode fha_peers_load(const FhaConfig *config, FhaPeers *out, FhaError *err);

/* The file's text: free it.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_peers_print(const FhaPeers *peers, char **out, FhaError *err);

#endif
