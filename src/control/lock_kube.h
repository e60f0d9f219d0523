/*
 * lock_kube.h: the API server behind a lock of Kubernetes, for what else is asked of it.
 */
#ifndef FHA_LOCK_KUBE_H
#define FHA_LOCK_KUBE_H

#include "err.h"
#include "kube.h"

/*
 * A client of its own for the API server and the namespace that `uri` ("kubernetes:...") names;
 * the caller closes it.  NOT_FOUND: the lock is another one; INVALID, IO, NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_lock_kube_client(const char *uri, FhaKube **out, FhaError *err);

#endif
