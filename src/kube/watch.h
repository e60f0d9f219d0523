/*
 * watch.h: all objects of a resource, told as they are and then with each change.
 *
 * A watch is a list, which is told as it is, and then a watch from the list's version on.  One that
 * ends goes on where it was; one that cannot begins with a list again, which tells what is gone, too.
 *
 * The host steps the client and passes on each event (fha_kube_watch_hear); before it steps again it takes all news
 * (fha_kube_watch_next).
 */
#ifndef FHA_KUBE_WATCH_H
#define FHA_KUBE_WATCH_H

#include <stdbool.h>

#include "kube/client.h"
#include "kube/list.h"

typedef struct FhaKubeWatch FhaKubeWatch;

typedef struct FhaKubeResource
{
	const char *path;     /* of all objects: "/apis/coordination.k8s.io/v1/namespaces/ns/leases" */
	const char *selector; /* as a part of a query: "labelSelector=..."; "": all */
	size_t object_max;    /* bytes of one object */
	size_t list_max;      /* bytes of a list */
	size_t count_max;     /* objects; a list of more is refused */
} FhaKubeResource;

/* The query that lists a resource, of at most FHA_KUBE_QUERY_SIZE bytes. */
#define FHA_KUBE_QUERY_SIZE 2048
void fha_kube_list_query(const FhaKubeResource *resource, char out[FHA_KUBE_QUERY_SIZE]);

/*
 * Watch from the first step on.  The client and the texts of *resource are the caller's, and outlive
 * the watch.  NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_kube_watch_open(FhaKubeWatch **out, FhaKube *kube,
										   const FhaKubeResource *resource, FhaError *err);

/* Its requests are dropped.  NULL is allowed. */
void fha_kube_watch_close(FhaKubeWatch *watch);

/* When to begin what is due, at the latest; INT64_MAX: a request is under way. */
int64_t fha_kube_watch_wake_at_ms(const FhaKubeWatch *watch);

/* Begin what is due. */
void fha_kube_watch_begin(FhaKubeWatch *watch);

/* Take an event of the client; false: it is none of this watch. */
bool fha_kube_watch_hear(FhaKubeWatch *watch, const FhaKubeEvent *event);

typedef enum FhaKubeNewsKind
{
	FHA_KUBE_NEWS_OBJECT, /* it is there, new or changed */
	FHA_KUBE_NEWS_GONE,
	FHA_KUBE_NEWS_SYNCED /* a list was told in whole */
} FhaKubeNewsKind;

typedef struct FhaKubeNews
{
	FhaKubeNewsKind kind;
	const char *name;           /* of OBJECT and GONE */
	struct json_object *object; /* of OBJECT */
} FhaKubeNews;

/* The next news; its object and name are the watch's, until the next call of it.  False: none. */
bool fha_kube_watch_next(FhaKubeWatch *watch, FhaKubeNews *news);

/* The last news could not be used: list anew, after a pause. */
void fha_kube_watch_refuse(FhaKubeWatch *watch);

/* List anew at once, because the API server may have left the watch without news. */
void fha_kube_watch_restart(FhaKubeWatch *watch);

#endif
