/*
 * request.h: what operators request of a cluster: kinds, texts, refusals, and how one enters the record.
 *
 * The command and the SQL functions refuse, and foretell, in the same words.
 */
#ifndef FHA_RECORD_REQUEST_H
#define FHA_RECORD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "core/world.h"

#define FHA_PLAN_SIZE 600
#define FHA_REQUEST_WORDS_SIZE 80

FHA_API const char *fha_request_kind_name(FhaRequestKind kind);

/* What is requested of whom, in words: "switchover to n2", "restart of all members", "pause". */
FHA_API void fha_request_words(const FhaRequest *request, char out[FHA_REQUEST_WORDS_SIZE]);
FHA_API bool fha_request_kind_parse(const char *text, FhaRequestKind *out);
FHA_API const char *fha_request_state_name(FhaRequestState state);
/* False: no state has this name; *out stays. */
FHA_API bool fha_request_state_parse(const char *text, FhaRequestState *out);

/* Done by writing it into the record, without the holder? */
FHA_API bool fha_request_is_done_at_once(FhaRequestKind kind);

/* May `wanted` not replace `standing`?  A failover replaces what nobody has begun to carry out. */
FHA_API bool fha_request_is_in_the_way(const FhaRequest *standing, const FhaRequest *wanted);

/*
 * Can it be refused by what the records show?  members: those of the lock, `count` of them; lock: its
 * uri, for the times that are usual there.  OK,
 * and one or more sentences in plan (FHA_PLAN_SIZE) that say what it would do; or INVALID, and
 * *err says what is wrong and what to do.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_request_check(const FhaCluster *cluster,
												 const FhaMember *members, size_t count,
												 const char *lock, const FhaRequest *request,
												 char *plan, FhaError *err);

/*
 * Does what can be done leave a member unable to lead?  Then a sentence in out that says whom and why;
 * else it is "".
 */
FHA_API bool fha_request_warning(const FhaCluster *cluster, const FhaMember *members, size_t count,
								 const FhaRequest *request, char out[FHA_PLAN_SIZE]);

/* Does the record have what this request asks for?  After a write whose fate is not known: it arrived. */
FHA_API bool fha_request_is_in_effect(const FhaCluster *cluster, const FhaRequest *request);

/*
 * Put it into the cluster record.  What is done at once is done then: *request becomes DONE, with
 * its message, and is not kept.  CONFLICT: another one is on its way.  INVALID: no room.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_request_enter(FhaCluster *cluster, FhaRequest *request,
												 FhaError *err);

/* NAME=VALUE (RESET: NAME) for all members; INVALID: not a setting that all can share. */
FHA_API FHA_MUST_CHECK FhaCode fha_request_setting(const char *text, bool reset, FhaSetting *out,
												   FhaError *err);

/* As the record may hold it: the text ends up in a file that PostgreSQL reads. */
bool fha_setting_is_valid(const FhaSetting *setting);

/* Does it make PostgreSQL run a program or load a library? */
bool fha_setting_runs_programs(const char *name);

#endif
