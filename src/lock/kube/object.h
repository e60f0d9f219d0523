/*
 * object.h: a record as a Lease object (coordination.k8s.io/v1), and back.
 *
 * Our record stands in an annotation.  The Lease's own fields are for others: `kubectl get lease`
 * shows the holder, and a leader election candidate of client-go may contend for it.
 */
#ifndef FHA_LOCK_KUBE_OBJECT_H
#define FHA_LOCK_KUBE_OBJECT_H

#include <json-c/json.h>

#include "base/err.h"
#include "lock/driver.h"

#define FHA_LEASE_API "/apis/coordination.k8s.io/v1/namespaces/%s/leases"
#define FHA_LEASE_LABEL_MANAGER "app.kubernetes.io/managed-by"
#define FHA_LEASE_LABEL_CLUSTER "fawkes-ha/cluster"
#define FHA_LEASE_MANAGER "fawkes-ha"

/*
 * The body of a CREATE, or the merge patch of a SWAP; what others have put into the object stays.
 * cluster "": no label of it.  *out: free it.  NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_lease_print(const FhaLockRequest *request, const char *cluster,
									   char **out, FhaError *err);

/*
 * Append the Lease to *set.  A Lease that is not ours has size 0.  One of ours that a foreign
 * candidate holds is a record with that holder, for as long as the candidate says.
 * PROTOCOL, NO_MEMORY: the set is as it was.
 */
FHA_MUST_CHECK FhaCode fha_lease_parse(const char *data, size_t size, FhaRecordSet *set,
									   FhaError *err);

/* The same of an object that was parsed already. */
FHA_MUST_CHECK FhaCode fha_lease_read(struct json_object *lease, FhaRecordSet *set, FhaError *err);

/* All of a LeaseList; PROTOCOL also for a list that is not complete. */
FHA_MUST_CHECK FhaCode fha_lease_list_parse(const char *data, size_t size, FhaRecordSet *set,
											FhaError *err);

#endif
