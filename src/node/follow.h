/*
 * follow.h: the files by which a node makes its PostgreSQL follow a leader, or
 * choose a timeline: follow.conf, and placeholder history files.
 */
#ifndef FHA_NODE_FOLLOW_H
#define FHA_NODE_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "config/config.h"
#include "core/world.h"
#include "node/state.h"

/* Slot of a member on its leader: "fawkes_ha_" and the name with '_' for '-'. */
FHA_API void fha_slot_name(const char *member, char *out, size_t size);

/*
 * Make follow.conf name this leader; *changed says whether it did not already (only then is a
 * reload needed).  application_name is member and data incarnation (S4b).
 */
FHA_API FHA_MUST_CHECK FhaCode fha_follow_write(const FhaConfig *config, const FhaState *state,
												const char *leader_address, bool *changed,
												FhaError *err);

/* Which commands of recovery follow.conf takes away, whatever the user's files say. */
typedef enum FhaCommands
{
	FHA_COMMANDS_KEPT,
	FHA_COMMANDS_OFF,    /* restore_command, archive_cleanup_command: a promotion needs neither */
	FHA_COMMANDS_ALL_OFF /* recovery_end_command too: it has held up a promotion */
} FhaCommands;

/*
 * Make follow.conf do so, and leave what it says of a leader.  OFF leaves ALL_OFF as it is;
 * fha_follow_write keeps all.  *changed: a reload is needed.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_follow_commands(const FhaConfig *config, FhaCommands wanted,
												   bool *changed, FhaError *err);

/*
 * S7: PostgreSQL promotes to the first timeline after `current` that has no history file; make it
 * choose `wanted` by placeholders for those between.  They are never removed once promoted: a
 * leader without them cannot serve standbys that ask for each timeline in turn.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_timeline_reserve(const char *data_directory, uint32_t current,
													uint32_t wanted, FhaError *err);

/*
 * S7: have the timeline that a promotion makes carry this identity, and all that is streamed, cloned or
 * rewound from it: by a comment in the history of the `current` one, which PostgreSQL copies; and of each
 * later one whose history was received, because PostgreSQL may take it for the parent before its WAL came.
 * What is not 16 hex digits is none.  To be called before the promotion.  IO, NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_timeline_identify(const char *data_directory, uint32_t current,
													 uint32_t timeline, const char *id,
													 FhaError *err);

/* The identities of these timelines, as far as the history of `timeline` has them; others stay. */
FHA_API void fha_timeline_identities(const char *data_directory, uint32_t timeline,
									 FhaLineageStep *steps, size_t count);

/*
 * Remove the placeholders that no real timeline comes after: received from a leader whose own timeline
 * did not arrive, or of a promotion that was given up.  A standby does not start with such a one as its
 * newest timeline, and does not ask for a real one of that number.  S7: never beside a running server,
 * whose promotion may be under way and would choose their numbers.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_timeline_drop_placeholders(const char *data_directory,
															  FhaError *err);

/*
 * Remove history files of timelines above `current`: placeholders, and what a promotion left that was
 * interrupted.  A standby that starts with them waits for that WAL; what it does need, its
 * leader sends.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_timeline_unreserve(const char *data_directory, uint32_t current,
													  FhaError *err);

/*
 * S7: the mark of a promotion that is under way, which names the timeline that it leaves.  What an
 * interrupted one has left lies beyond that.  It is on disk before anything of the promotion is, and a
 * removal is on disk when this returns OK.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_promotion_mark(const FhaConfig *config, uint32_t leaving,
												  FhaError *err);
FHA_API FHA_MUST_CHECK FhaCode fha_promotion_unmark(const FhaConfig *config, FhaError *err);

/* *leaving: 0 if it is not OK.  NOT_FOUND: there is no mark; INVALID: it names no timeline, and is not heeded; IO. */
FHA_API FHA_MUST_CHECK FhaCode fha_promotion_read(const FhaConfig *config, uint32_t *leaving,
												  FhaError *err);

#endif
