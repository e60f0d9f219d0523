/*
 * maintenance_slots.h: a physical slot for each member on a primary, none of ours on a standby.
 */
#ifndef FAWKES_MAINTENANCE_SLOTS_H
#define FAWKES_MAINTENANCE_SLOTS_H

#include "postgres.h"

#include "pg/shmem.h"

/*
 * In a transaction, in any database or none.  Slots whose names begin with "fawkes_ha_" are ours: one
 * that nobody wants and nobody uses is dropped, one that has lost its WAL is made anew.  trouble:
 * why a member has none, "" when all have.
 */
extern void maintenance_keep_slots(const MaintenanceTask *task, char trouble[TROUBLE_SIZE]);

#endif
