/*
 * facts.h: the world as the decision sees it: one bit per question.
 */
#ifndef FHA_FACTS_H
#define FHA_FACTS_H

#include <stdint.h>

typedef uint64_t FhaFacts;

#define FHA_FACT(bit) (UINT64_C(1) << (bit))

/* PostgreSQL on this node: exactly one of the four. */
#define FHA_DOWN FHA_FACT(0)    /* no process of it is left */
#define FHA_BUSY FHA_FACT(1)    /* starting, recovering from a crash, or stopping */
#define FHA_STANDBY FHA_FACT(2) /* in recovery */
#define FHA_PRIMARY FHA_FACT(3) /* out of recovery */

/* The data directory: at most one. */
#define FHA_EMPTY FHA_FACT(4)    /* there is none */
#define FHA_DAMAGED FHA_FACT(5)  /* a rewind or clone was interrupted */
#define FHA_FOREIGN FHA_FACT(6)  /* it belongs to another cluster */
#define FHA_DIVERGED FHA_FACT(7) /* it has WAL that the leader's lineage has not (S7) */

/* The lease: at most one; none means "another member holds it". */
#define FHA_UNREAD FHA_FACT(8) /* this process has not seen the record yet */
#define FHA_ABSENT FHA_FACT(9) /* no record, for as long as a stale one would be watched (S1) */
#define FHA_MINE FHA_FACT(10)  /* held by this member, this incarnation */
#define FHA_FREE FHA_FACT(11)  /* released, or watched unchanged for the lease duration (S1) */
#define FHA_BLANK FHA_FACT(12) /* no record, not watched long enough */

/* More of the lease. */
#define FHA_SAFE FHA_FACT(13)  /* mine, and now < write_ends_at (S1) */
#define FHA_STALE FHA_FACT(14) /* its term is lower than one this node has seen (S7) */
#define FHA_RECLAIM \
	FHA_FACT(15) /* this member held it last, and its data is what that term's holder had */
#define FHA_UNINITIALISED FHA_FACT(16) /* the cluster's data has not been made yet */
#define FHA_LINEAGE FHA_FACT(17)       /* our timeline is the one this term reserved (S7) */
#define FHA_PUBLISHED FHA_FACT(18)     /* the record shows this term's lineage */
#define FHA_LED FHA_FACT(19)           /* another member leads and has said where */
#define FHA_REWINDABLE FHA_FACT(20)    /* that leader can be copied, and rewound to */
#define FHA_PAUSED FHA_FACT(21)        /* an operator stopped elections */
#define FHA_HANDOVER FHA_FACT(22)      /* an operator asked the holder to hand over, and it can */
#define FHA_SUCCESSOR FHA_FACT(23)     /* a standby streamed at the last renewal */

/* This member as a candidate. */
#define FHA_LISTED FHA_FACT(24) /* on the record's list */
#define FHA_FIT FHA_FACT(25)    /* loses no more than allowed if it leads */
#define FHA_TURN FHA_FACT(26)   /* nobody better is expected any more */

/* This node. */
#define FHA_STOPPING FHA_FACT(27)  /* told to stop */
#define FHA_JOB FHA_FACT(28)       /* a job on the data directory, or a back-off, is under way */
#define FHA_PLAIN FHA_FACT(29)     /* no supervisor: what stops, stays stopped */
#define FHA_FOLLOWING FHA_FACT(30) /* primary_conninfo names that leader, for this term */
#define FHA_BOOTSTRAP FHA_FACT(31) /* told to found the cluster, and no member has data */

#define FHA_POSITION FHA_FACT(32) /* the end of the WAL of a stopped server has been read */

#define FHA_BEYOND \
	FHA_FACT(33) /* mine, but our timeline is later than the term's, or another of its number */
#define FHA_FAILING FHA_FACT(34) /* PostgreSQL or a job has failed again and again: a pause is on */
#define FHA_RECOVERING FHA_FACT(35) /* busy with archive recovery, not yet consistent */
#define FHA_STUCK \
	FHA_FACT(36) /* mine, but this member does not lead, and should not keep others from it */

#define FHA_RESTART FHA_FACT(37) /* an operator asked for a restart, and it is this member's turn */
#define FHA_REINIT FHA_FACT(38)  /* an operator asked for a fresh copy of the leader's data */

#define FHA_REQUESTED FHA_FACT(39) /* a restart, reinit or rejoin of this member is under way */

#define FHA_DUPLICATE FHA_FACT(40) /* another node that lives has this member's name */

#define FHA_STRANDED \
	FHA_FACT(41) /* the leader has not the WAL any more that this data goes on with */

#define FHA_PROMISED FHA_FACT(42) /* safe by the promises of all other members (S10) */
#define FHA_BOUND \
	FHA_FACT(43) /* the lease has lapsed for all that is seen, but this member promised (S10) */

#define FHA_AWAITED \
	FHA_FACT(44) /* a clean stop released the lease, and this member does not have all of its WAL */

#define FHA_SMALL \
	FHA_FACT(45) /* replay stands still: a setting is smaller than the primary's was */

#define FHA_TAKEN FHA_FACT(46) /* the record of this member's name is another's */

#define FHA_NAMESAKE \
	FHA_FACT(47) /* one of its timelines is another than the record's of that number (S7) */

#define FHA_FACT_COUNT 48

#endif
