/*
 * list.h: what is the same for every resource of Kubernetes: an object's name and version, a list, a
 * line of a watch.
 */
#ifndef FHA_KUBE_LIST_H
#define FHA_KUBE_LIST_H

#include <stddef.h>

#include <json-c/json.h>

#include "base/err.h"
#include "core/sizes.h"

/* Of the object's metadata, each "" if it is not there.  PROTOCOL: one is no text, or too long. */
FHA_MUST_CHECK FhaCode fha_kube_object_read(struct json_object *object,
											char name[FHA_KUBE_NAME_SIZE],
											char version[FHA_VERSION_SIZE], FhaError *err);

/*
 * A whole list: *items, an array of at most `max` (the caller puts it), and the version that a watch
 * begins with.  PROTOCOL, also for a list that is not complete; NO_MEMORY; *items is NULL then.
 */
FHA_MUST_CHECK FhaCode fha_kube_list_parse(const char *data, size_t size, size_t max,
										   struct json_object **items,
										   char version[FHA_VERSION_SIZE], FhaError *err);

typedef enum FhaKubeChange
{
	FHA_KUBE_CHANGED,
	FHA_KUBE_DELETED,
	FHA_KUBE_BOOKMARK, /* nothing but the version */
	FHA_KUBE_REFUSED   /* the watch cannot go on from where it is */
} FhaKubeChange;

/*
 * One line of a watch: its object (the caller puts it), and where a later watch goes on, "" if
 * refused.  PROTOCOL, NO_MEMORY; *object is NULL then.
 */
FHA_MUST_CHECK FhaCode fha_kube_line_parse(const char *data, size_t size, FhaKubeChange *change,
										   struct json_object **object,
										   char version[FHA_VERSION_SIZE], FhaError *err);

#endif
