/*
 * pods.h: the labels of a cluster's pods, read and written through an API server.
 *
 * One request at a time, none of which waits for anything.  Who should have which label is
 * core/routing.h's to say.
 */
#ifndef FHA_KUBE_PODS_H
#define FHA_KUBE_PODS_H

#include "base/err.h"
#include "core/routing.h"

/* Both say the same: the first is what Services select on, the second what older ones did. */
#define FHA_POD_LABEL_ROLE "cnpg.io/instanceRole"
#define FHA_POD_LABEL_OLD_ROLE "role"
#define FHA_POD_LABEL_CLUSTER "cnpg.io/cluster"
#define FHA_POD_LABEL_NAME "cnpg.io/instanceName"
#define FHA_POD_LABEL_POD_ROLE "cnpg.io/podRole"
#define FHA_POD_INSTANCE "instance"

typedef struct FhaPods FhaPods;

/* In the namespace of the lock `uri`.  NOT_FOUND: that is no Kubernetes; INVALID, IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_pods_open(FhaPods **out, const char *uri, const char *cluster,
									 FhaError *err);
void fha_pods_close(FhaPods *pods);

/* Readable when there is something to do; and when to step at the latest (INT64_MAX: never). */
int fha_pods_fd(const FhaPods *pods);
int64_t fha_pods_wake_at_ms(const FhaPods *pods);

/* A LABEL or a LOOK.  CONFLICT: a request is under way; INVALID, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_pods_start(FhaPods *pods, const FhaRoutingTask *task,
									  int64_t deadline_at_ms, FhaError *err);

/* How the request ended; a LABEL is UNKNOWN when it may or may not stand. */
typedef struct FhaPodsEvent
{
	FhaCode code;
	FhaError error;
	size_t count; /* of a LOOK */
	FhaPod found[FHA_PODS_MAX];
} FhaPodsEvent;

/* AGAIN: nothing has ended. */
FHA_MUST_CHECK FhaCode fha_pods_step(FhaPods *pods, FhaPodsEvent *event);

/* The merge patch of a LABEL on that pod; *out: free it.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_pod_patch_print(const char *pod, FhaServes serves, char **out,
										   FhaError *err);

/* A PodList; what is no member's pod, or has no name that a path may have, is left out.  PROTOCOL, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_pod_list_parse(const char *data, size_t size, FhaPod *found,
										  size_t *count, FhaError *err);

#endif
