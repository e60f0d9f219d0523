/*
 * leftover_slots.h: slots of others in a data directory that was a primary's and becomes a standby's.
 */
#ifndef FAWKES_LEFTOVER_SLOTS_H
#define FAWKES_LEFTOVER_SLOTS_H

/*
 * In the postmaster, before it reads its slots.  Logical ones that were made on the primary are
 * removed, and it is logged: PostgreSQL 15 protects nothing that they need on a standby, and crashes
 * when such a slot is read once the server leads again; from 17 on one keeps the slot of its name
 * from being synchronized.  From 16 on a standby may have logical slots of its own: they stay.
 * Physical ones stay, because a standby or a receiver of WAL may follow this very server; what they
 * keep is limited by max_slot_wal_keep_size.
 */
extern void leftover_slots_remove(void);

#endif
