/*
 * timing.h: how long things are waited for, in leases, retry periods and other waits of the settings.
 *
 * Every number has one meaning and stands here alone, so that those which hang together can be seen
 * together.  A lease is the lease_duration of whoever counts, if nothing else is said.
 */
#ifndef FHA_TIMING_H
#define FHA_TIMING_H

#include <stdbool.h>
#include <stdint.h>

/* --- what is written and read without a change, in leases */

/* Who has heard nothing of the cluster's record for so long asks for it.  What is older may be of before an outage. */
#define FHA_POLL_LEASES 1
/* A lock that does not answer that question within another lease is out of reach: then no member's silence counts. */
#define FHA_UNREACHED_LEASES (FHA_POLL_LEASES + 1)
/* A member writes its record on change, and at least this often. */
#define FHA_HEARTBEAT_LEASES 2
/* A member is silent when three of these did not come. */
#define FHA_SILENT_LEASES (3 * FHA_HEARTBEAT_LEASES)

/* So long a member is waited for before it is silent; the least that member_timeout can be. */
static inline int64_t
fha_silent_after_ms(int64_t lease_ms)
{
	return FHA_SILENT_LEASES * lease_ms;
}

/* The one meaning of silent, in the metric, in status, and on the status page: silence_ms is since its last sign. */
static inline bool
fha_is_silent(int64_t silence_ms, int64_t lease_ms)
{
	return silence_ms > fha_silent_after_ms(lease_ms);
}

/* --- who waits for whom, in leases */

/*
 * S1b: for so long a record of a node's name, of another directory, must stand still before the node takes it over.
 * Of the longer of its own and the recorded lease.
 */
#define FHA_DUPLICATE_LEASES 3
/* S9: a holder may be busy for so long before it counts as stuck ... */
#define FHA_STUCK_LEASES 10
/* ... and then others have so long: for the lapse, for what they have promised, and one to spare. */
#define FHA_ROOM_LEASES 3
/* Standbys, the old leader among them, have so long to connect to a new leader before status misses them. */
#define FHA_SETTLE_LEASES 1
/* An agent turns at every change of the records, so several times in a lease: after so long it hangs ... */
#define FHA_HANGS_LEASES 3
/* ... with short leases, after so many milliseconds. */
#define FHA_HANGS_LEAST_MS 10000
/* A lease that was not renewed for this part of itself is near its end. */
#define FHA_NEAR_END_PARTS 2

/* --- elections, in the waits of the settings */

/* For so many release_waits only whom a release or a request names may lead; then who else is fit. */
#define FHA_TARGET_WAITS 3
/* After so many election_waits a standby goes, whether or not a better one was heard: that one did not act. */
#define FHA_ELECTION_WAITS 2

/* --- a holder whose renewals get no answer (S10), in retry periods */

/* A renewal that is not confirmed for so long is reason to ask for promises. */
#define FHA_UNCONFIRMED_PERIODS 2
/* Who is asked has so long to answer, and so has the lock for each read and write. */
#define FHA_ANSWER_PERIODS 2
/* A member whose disk has not got its word yet is asked again after this part of one. */
#define FHA_SOON_PARTS 5
/* The list of the others goes to the disk so many times in a lease. */
#define FHA_PEERS_PARTS 6

/* --- lag, in retry periods */

/* The lease's renewals tell standbys where the leader is: so often at the least. */
#define FHA_HEARD_PERIODS 3
/* And replies tell the leader, one a second. */
#define FHA_HEARD_LEAST_MS 3000

/* The sooner of two moments, and the shorter of two durations. */
static inline int64_t
fha_sooner(int64_t a_ms, int64_t b_ms)
{
	return a_ms < b_ms ? a_ms : b_ms;
}

#endif
