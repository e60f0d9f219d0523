/*
 * record.h: the records of the lock as JSON, from and to the plain values of world.h.
 */
#ifndef FHA_RECORD_RECORD_H
#define FHA_RECORD_RECORD_H

#include <stdint.h>

#include "base/err.h"
#include "core/world.h"

/* PROTOCOL: not our JSON, a missing or ill-typed key (named in the text), or a value over its limit. */
FHA_API FHA_MUST_CHECK FhaCode fha_cluster_parse(const char *data, size_t size, FhaCluster *out,
												 FhaError *err);
FHA_API FHA_MUST_CHECK FhaCode fha_member_parse(const char *data, size_t size, FhaMember *out,
												FhaError *err);

/* *out is malloc'ed text with a NUL: free it.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_cluster_print(const FhaCluster *cluster, char **out,
												 FhaError *err);
FHA_API FHA_MUST_CHECK FhaCode fha_member_print(const FhaMember *member, char **out, FhaError *err);

/* Names of records: the cluster's, a member's, the history's.  size >= 128 is always enough. */
FHA_API void fha_record_name_cluster(const char *cluster, char *out, size_t size);
FHA_API void fha_record_name_member(const char *cluster, const char *member, char *out,
									size_t size);
FHA_API void fha_record_name_history(const char *cluster, char *out, size_t size);

/*
 * Whose a record is, by its own words: other keys of it may be unreadable.  CLUSTER-MEMBER may be the
 * name of another cluster, or of another cluster's member, because both parts may contain '-'.
 */
typedef struct FhaRecordOwner
{
	char kind[FHA_WORD_SIZE];
	char cluster[FHA_NAME_SIZE];
	char member[FHA_NAME_SIZE]; /* "" if it is no member's */
} FhaRecordOwner;

/* false: it does not say, because it is garbled or there is none. */
FHA_API bool fha_record_owner(const char *data, size_t size, FhaRecordOwner *out);

/* `member "n1" of cluster "db"` and the like, for people. */
#define FHA_OWNER_TEXT_SIZE 128
FHA_API void fha_record_owner_print(const FhaRecordOwner *owner, char out[FHA_OWNER_TEXT_SIZE]);

/* More than a century is nobody's lag. */
#define FHA_LAG_MAX_MS (INT64_C(100) * 366 * 24 * 3600 * 1000)

FHA_API const char *fha_role_name(FhaRole role);

/* "write", "flush", "replay". */
const char *fha_stage_name(int stage);

/* The same as fha_cluster_print() and fha_member_print(), as a part of something. */
struct json_object;
struct json_object *fha_cluster_object(const FhaCluster *cluster, bool *failed);
struct json_object *fha_member_object(const FhaMember *member, bool *failed);

/* {"write": ..., "flush": ..., "replay": ...} as key "lag_ms": what is known of it. */
void fha_lag_read(struct json_object *from, FhaLag out[FHA_STAGES], FhaError *err);
void fha_lag_put(struct json_object *to, const FhaLag lag[FHA_STAGES], bool *failed);

#endif
