/*
 * lock_uri.h: how a lock is named, and what is usual on it.  What it does: lock.h.
 */
#ifndef FHA_CONFIG_LOCK_URI_H
#define FHA_CONFIG_LOCK_URI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"

/* The lease's times, in milliseconds. */
typedef struct FhaTimes
{
	int64_t lease_duration_ms;
	int64_t renew_deadline_ms;
	int64_t retry_period_ms;
} FhaTimes;

/* What is usual on the lock that `uri` names; one that names none has a directory's. */
FHA_API FhaTimes fha_lock_times(const char *uri);

/* Is this the name of a lock?  INVALID with what is allowed; nothing is opened. */
FHA_API FHA_MUST_CHECK FhaCode fha_lock_check(const char *uri, FhaError *err);

typedef enum FhaLockScheme
{
	FHA_LOCK_DIR,        /* "dir:/absolute/path" */
	FHA_LOCK_KUBERNETES, /* "kubernetes:[/kubeconfig][?context=NAME&namespace=NAME&cluster=NAME]" */
	FHA_LOCK_SCHEMES
} FhaLockScheme;

/* Of which kind, and *rest: what stands behind the scheme.  INVALID: of none. */
FHA_MUST_CHECK FhaCode fha_lock_uri_scheme(const char *uri, FhaLockScheme *scheme,
										   const char **rest, FhaError *err);

/* May that stand behind "dir:"?  INVALID. */
FHA_MUST_CHECK FhaCode fha_lock_dir_check(const char *path, FhaError *err);

#define FHA_PLACE_TEXT_SIZE 254

/* What stands behind "kubernetes:". */
typedef struct FhaKubePlace
{
	char kubeconfig[FHA_PATH_SIZE]; /* "": in a pod */
	char context[FHA_PLACE_TEXT_SIZE];
	char namespace_[FHA_PLACE_TEXT_SIZE];
	char cluster[FHA_PLACE_TEXT_SIZE];
} FhaKubePlace;

/* INVALID. */
FHA_MUST_CHECK FhaCode fha_kube_place_parse(const char *rest, FhaKubePlace *place, FhaError *err);

/* A name as Kubernetes allows it for an object: [a-z0-9]([a-z0-9.-]*[a-z0-9])? */
bool fha_record_name_valid(const char *name);

#endif
