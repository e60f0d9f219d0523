/*
 * sim_pg.h: the simulated PostgreSQL of a host, without its supervisor and agent.
 *
 * Those two use it (sim_host.c), and sim_situations.c, which plays situations that are played on real
 * servers too.  A server without a supervisor tells no node.
 */
#ifndef FHA_SIM_PG_H
#define FHA_SIM_PG_H

#include "test/sim/sim.h"

/* Its data directory anew; while it is down. */
void sim_pg_initdb(SimHost *host);
/* pg_basebackup of a primary. */
void sim_pg_clone(SimHost *host, SimHost *leader);
/* pg_rewind from a primary, while it is down.  False: there is nothing to rewind. */
bool sim_pg_rewind(SimHost *host, const SimHost *leader);

/* It recovers for some time, which is simulated; so do a shutdown and a promotion take time. */
void sim_pg_start(SimHost *host, bool standby);
/* A fast shutdown. */
void sim_pg_stop(SimHost *host);
/* To a timeline that is above its own; nothing if it is no standby. */
void sim_pg_promote(SimHost *host, uint32_t timeline);

/* A primary's commit. */
SimRecord sim_pg_write(SimHost *host);

/* Does its leader answer this standby that their WAL has parted? */
bool sim_pg_is_refused(const SimHost *host);

/* Where the newest timeline of this WAL left which one; 0/0: nowhere. */
FhaPosition sim_wal_origin(const SimWal *wal);

#endif
