/*
 * observe.h: from what a node knows to the facts that decide.
 *
 * Pure: the only place where times and positions become bits.
 */
#ifndef FHA_OBSERVE_H
#define FHA_OBSERVE_H

#include "core/api.h"
#include "core/facts.h"
#include "core/lease.h"
#include "core/world.h"

/* Everything a node knows at one moment. */
typedef struct FhaWorld
{
	FhaSelf self;
	FhaPgView pg;
	FhaWatch watch;
	FhaTenure tenure;
	FhaCluster cluster; /* as last seen; meaningless while not watch.seen */
	size_t member_count;
	FhaMember members[FHA_MEMBERS_MAX]; /* records of all members, our own included or not */
	FhaWatch own;                       /* of the record that has our name */
	bool own_taken;    /* that record says that it is another cluster's, or another member's */
	int64_t led_at_ms; /* when we last led, or became the holder; 0: we are not */
	int64_t request_seen_at_ms; /* when the request that stands was first seen; 0: none was */
	int64_t found_free_at_ms;   /* when the lease was first seen to be free; 0: it is not */
	int64_t confirmed_at_ms;    /* our last confirmed renewal was sent then; 0: none */
	int64_t bound_ends_at_ms;   /* S10: promised not to take the lease before; 0: nothing */
	uint64_t heard_term; /* S10: in it a holder that asked for promises told where it is; 0: none */
	char heard_from[FHA_NAME_SIZE]; /* that holder; "": not known, as written by 1.1 */
	FhaPosition heard;              /* its latest */
	uint64_t others_term; /* S7: members know of it, as of the last read of the record; 0: none */
} FhaWorld;

FhaFacts fha_observe(const FhaWorld *world, int64_t now_ms);

/* Is the lease free to be taken by us, by what we have seen ourselves (S1, S1b)? */
bool fha_lease_is_free(const FhaWorld *world, int64_t now_ms);

/*
 * S1b: does another directory's node have our name, and live?  The one that has written the name's
 * record first keeps it; a node that came back in its own directory has the same liveness lock.
 */
bool fha_has_duplicate(const FhaWorld *world, int64_t now_ms);

/* Is this member's record holder, in this incarnation? */
bool fha_lease_is_mine(const FhaWorld *world);

/*
 * What the holder alone changes, and changes with each renewal: holder, incarnation, nonce, whether
 * it is released, duration (S1).
 */
FHA_API void fha_cluster_sign(const FhaCluster *cluster, char out[FHA_WATCH_SIGN_SIZE]);

/*
 * Where the holder was when it was last heard, by its record or by a question for promises (S10):
 * what it acknowledged up to there is lost with a successor that has less.
 */
FhaPosition fha_holder_position(const FhaWorld *world);

/* As fha_needed(); after a lapse at least where the holder was last heard. */
FhaPosition fha_wanted(const FhaWorld *world);

/* S7: the highest term of the record's cluster that any member says it knows; 0: none says so. */
uint64_t fha_members_term(const FhaWorld *world);

/* S5: -1, 0, 1 as for memcmp; by timeline, then by LSN. */
int fha_position_compare(FhaPosition a, FhaPosition b);

/* Is it a place in the WAL at all? */
FHA_API bool fha_position_is_known(FhaPosition position);

/*
 * What a successor must have to lose nothing that was acknowledged, as far as the record knows: what
 * was released, else what the holder had at its last renewal.  Unknown: nobody knows, not "nothing".
 */
FHA_API FhaPosition fha_needed(const FhaCluster *cluster);

/*
 * The lease waits for a member that has the end of a server that was stopped cleanly: nobody holds
 * it, and no standby of these members has that, by its record.
 */
FHA_API bool fha_end_is_missing(const FhaCluster *cluster, const FhaMember *members, size_t count,
								bool held);

/*
 * S7: is this position part of the history that ends in the record's timeline?  `origin` is where the
 * position's timeline left which one before, timeline 0 if that is not known: a promotion by hand
 * chooses the number that the next term will reserve, so a number alone does not name a timeline.
 */
FHA_API bool fha_lineage_holds(const FhaCluster *cluster, FhaPosition position, FhaPosition origin);

/*
 * S7: has the record a timeline of the same number as one of these, and of another identity?  Then the two
 * were promoted apart, maybe at the same place, and no WAL tells that: neither streaming nor a rewind may
 * go by it.  The index of the oldest, or -1.  One without an identity is another than one that has one, because
 * that is in every copy of its history; not the oldest step, whose history may be lacking here.  Where the
 * record has none, nothing is known.
 */
FHA_API int fha_lineage_find_namesake(const FhaCluster *cluster, const FhaLineageStep *steps,
									  size_t count);

/* Where the last of these timelines left the one before; timeline 0: not known. */
FHA_API FhaPosition fha_lineage_origin(const FhaLineageStep *steps, size_t count);

/* The identity of the timeline that this data is on; "": not known. */
FHA_API const char *fha_timeline_identity(const FhaPgView *pg);

/* S7: is this data on the timeline that the record's term reserved? */
FHA_API bool fha_timeline_is_reserved(const FhaCluster *cluster, const FhaPgView *pg);

/*
 * S9: a failover to somebody else stands, the others have had room to take the lease for it, and this
 * holder's server comes to lead instead.
 */
bool fha_failover_is_in_vain(const FhaWorld *world, int64_t now_ms);

/*
 * S7: has the leader of the record's term told its lineage?  One that took back what it had released
 * after a clean stop tells it once more: until then successors must have that end, and its fence is shut.
 */
bool fha_lineage_is_published(const FhaCluster *cluster);

/* The best standby to hand over to, by the records: its index in members, or -1. */
int fha_successor_find(const FhaWorld *world, const char *target);

/* Primary: has an operator asked for what will stop this server, a handover or a restart? */
bool fha_stop_is_near(const FhaWorld *world);

/* So many slots and walsenders a primary wants: one for each member, and one more for a copy. */
FHA_API int64_t fha_room_needed(const FhaCluster *cluster);

/* Of two different members, which one does a restart of all restart first? */
bool fha_restarts_before(const FhaCluster *cluster, const char *a, const char *b);

/* Does the restart that stands in the record concern this member, and has it that behind it? */
bool fha_must_restart(const FhaWorld *world, const char *name);
bool fha_has_carried_out(const FhaWorld *world, const char *name);

FHA_API bool fha_member_is_listed(const FhaCluster *cluster, const char *name);

/* Who is on the last list, has no record, and may have led a later term; NULL: nobody. */
FHA_API const char *fha_missing_find(const FhaWorld *world);

/* Put on the list with this data, or take off it.  False: there is no room. */
bool fha_member_list(FhaCluster *cluster, const char *name, const char *data);
void fha_member_unlist(FhaCluster *cluster, const char *name);

/* S10: may a member with this name and this data contend? */
bool fha_member_is_listed_as(const FhaCluster *cluster, const char *name, const char *data);

/* Does a standby with this name stream from this server? */
bool fha_streams(const FhaWorld *world, const char *name);

/* When may the facts change by time alone? The earliest such moment after now_ms, or INT64_MAX. */
int64_t fha_observe_again_at_ms(const FhaWorld *world, int64_t now_ms);

#endif
