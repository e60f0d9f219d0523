/*
 * driver.c: the lock of Kubernetes.  A record is a Lease, a version its resourceVersion.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/watch.h"
#include "lock/driver.h"
#include "lock/kube/object.h"

/* A Lease's record, each of its characters escaped, and what Kubernetes adds. */
#define LEASE_MAX (2 * FHA_RECORD_DATA_MAX + 256 * 1024)
#define LIST_MAX (15 * 1024 * 1024)

typedef struct KubeLock
{
	FhaLock base;
	FhaKube *kube;
	char leases[FHA_KUBE_PATH_SIZE];   /* the path of all */
	char selector[FHA_KUBE_PATH_SIZE]; /* of those that are ours, as a part of a query */
	char cluster[FHA_PLACE_TEXT_SIZE];
	FhaKubeResource resource; /* all of those */
	FhaKubeWatch *watch;      /* NULL: none is wanted */
	unsigned request;         /* the kube request under way; 0: none */
} KubeLock;

static void
kube_close(FhaLock *lock)
{
	KubeLock *kube = (KubeLock *) lock;

	fha_kube_watch_close(kube->watch);
	fha_kube_close(kube->kube);
	free(kube);
}

static FhaCode
kube_open(FhaLock **out, const char *rest, const char *cluster, bool watch, FhaError *err)
{
	FhaKubeConfig config;
	KubeLock *kube;
	FhaKubePlace place;
	FhaCode code = fha_kube_place_parse(rest, &place, err);

	if (code == FHA_OK && place.cluster[0] == '\0' && cluster[0] != '\0')
	{
		if (fha_record_name_valid(cluster))
			(void) snprintf(place.cluster, sizeof(place.cluster), "%s", cluster);
		else
			code = fha_error(err, FHA_INVALID, "\"%.80s\" is no name of a cluster", cluster);
	}
	if (code == FHA_OK)
		code = fha_kube_config_of(&place, &config, err);
	if (code != FHA_OK)
		return code == FHA_NOT_FOUND ? FHA_INVALID : code;
	kube = calloc(1, sizeof(*kube));
	if (kube == NULL)
	{
		/* LCOV_EXCL_START: no memory */
		fha_kube_config_release(&config);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
		/* LCOV_EXCL_STOP */
	}
	code = fha_kube_open(&kube->kube, &config, err);
	if (code != FHA_OK)
	{
		/* LCOV_EXCL_START: no memory */
		free(kube);
		return code;
		/* LCOV_EXCL_STOP */
	}
	kube->base.driver = &fha_lock_kube_driver;
	memcpy(kube->cluster, place.cluster, sizeof(kube->cluster));
	(void) snprintf(kube->leases, sizeof(kube->leases), FHA_LEASE_API,
					fha_kube_namespace(kube->kube));
	(void) snprintf(kube->selector, sizeof(kube->selector),
					"labelSelector=app.kubernetes.io%%2Fmanaged-by%%3D" FHA_LEASE_MANAGER "%s%s",
					place.cluster[0] == '\0' ? "" : "%2Cfawkes-ha%2Fcluster%3D", place.cluster);
	kube->resource = (FhaKubeResource){.path = kube->leases,
									   .selector = kube->selector,
									   .object_max = LEASE_MAX,
									   .list_max = LIST_MAX,
									   .count_max = FHA_RECORD_COUNT_MAX};
	if (watch)
		code = fha_kube_watch_open(&kube->watch, kube->kube, &kube->resource, err);
	if (code != FHA_OK)
	{
		/* LCOV_EXCL_START: no memory */
		kube_close(&kube->base);
		return code;
		/* LCOV_EXCL_STOP */
	}
	*out = &kube->base;
	return FHA_OK;
}

static int
kube_fd(const FhaLock *lock)
{
	return fha_kube_fd(((const KubeLock *) lock)->kube);
}

static int64_t
kube_wake_at_ms(const FhaLock *lock)
{
	const KubeLock *kube = (const KubeLock *) lock;
	int64_t wake_at_ms = fha_kube_wake_at_ms(kube->kube);
	int64_t watch_at_ms = kube->watch == NULL ? INT64_MAX : fha_kube_watch_wake_at_ms(kube->watch);

	return watch_at_ms < wake_at_ms ? watch_at_ms : wake_at_ms;
}

/* A number of etcd's; "0" would be a write without a condition. */
static bool
is_version(const char *version)
{
	size_t digits = strspn(version, "0123456789");

	return version[0] != '0' && digits > 0 && digits <= 18 && version[digits] == '\0';
}

static FhaCode
kube_start(FhaLock *lock, const FhaLockRequest *request, FhaError *err)
{
	static const FhaKubeVerb verbs[] = {FHA_KUBE_GET, FHA_KUBE_CREATE, FHA_KUBE_PATCH,
										FHA_KUBE_GET};
	KubeLock *kube = (KubeLock *) lock;
	char path[FHA_KUBE_QUERY_SIZE];
	char *body = NULL;
	FhaKubeRequest wanted = {.verb = verbs[request->verb],
							 .path = path,
							 .answer_max = request->verb == FHA_LOCK_LIST ? LIST_MAX : LEASE_MAX,
							 .deadline_at_ms = request->deadline_at_ms};
	FhaCode code = FHA_OK;

	if (request->verb == FHA_LOCK_SWAP && !is_version(request->version))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is not a version", request->version);
	if (request->verb == FHA_LOCK_LIST)
		fha_kube_list_query(&kube->resource, path);
	else if (request->verb == FHA_LOCK_CREATE)
		(void) snprintf(path, sizeof(path), "%s", kube->leases);
	else
		(void) snprintf(path, sizeof(path), "%s/%s", kube->leases, request->name);
	if (fha_lock_verb_writes(request->verb))
	{
		code = fha_lease_print(request, kube->cluster, &body, err);
		wanted.body = body;
		wanted.body_size = body == NULL ? 0 : strlen(body);
	}
	if (code == FHA_OK)
		code = fha_kube_start(kube->kube, &wanted, &kube->request, err);
	free(body);
	return code;
}

/* What a write's end means; it was applied only if the API server said so. */
static FhaCode
verdict_of_write(const FhaKubeEvent *event, FhaLockVerb verb)
{
	switch (event->code)
	{
		case FHA_OK:
		case FHA_CONFLICT:
		case FHA_UNKNOWN:
		case FHA_DENIED:
		case FHA_NO_MEMORY:
			return event->code;
		/* lock.h: a write that met its deadline is read back, even if nothing was sent. */
		case FHA_TIMEOUT:
			return FHA_UNKNOWN;
		case FHA_NOT_FOUND:
			return verb == FHA_LOCK_SWAP ? FHA_NOT_FOUND : FHA_IO;
		default:
			return FHA_IO;
	}
}

static FhaCode
kube_answer(KubeLock *kube, const FhaKubeEvent *ended, FhaLockEvent *event)
{
	FhaLockVerb verb = kube->base.verb;
	bool writes = fha_lock_verb_writes(verb);
	FhaCode code = writes ? verdict_of_write(ended, verb) : ended->code;
	FhaError err = ended->error;

	kube->request = 0;
	/* Whom the API server left without an answer it may have left without news as well. */
	if (kube->watch != NULL && ended->status == 0 &&
		(ended->code == FHA_TIMEOUT || ended->code == FHA_UNKNOWN))
		fha_kube_watch_restart(kube->watch);
	if (code == FHA_OK)
	{
		code = verb == FHA_LOCK_LIST
				   ? fha_lease_list_parse(ended->data, ended->size, &kube->base.records, &err)
				   : fha_lease_parse(ended->data, ended->size, &kube->base.records, &err);
		/* A write that was applied must not be called "certainly not applied". */
		if (code != FHA_OK && writes)
			code = FHA_UNKNOWN;
	}
	else if (code == FHA_INVALID)
		code = FHA_PROTOCOL;
	if (code == FHA_OK && writes)
	{
		kube->base.records.rows[0].size = 0;
		kube->base.records.rows[0].data[0] = '\0';
	}
	return fha_lock_answer(&kube->base, event, code, code == FHA_OK ? "" : err.text);
}

/* False: the news cannot be told, and all is listed anew. */
static bool
kube_tell(KubeLock *kube, const FhaKubeNews *news, FhaLockEvent *event)
{
	FhaRecordSet *records = &kube->base.records;
	bool told = true;

	*event = (FhaLockEvent){.kind = FHA_LOCK_CHANGE, .code = FHA_OK, .count = 1};
	if (news->kind == FHA_KUBE_NEWS_SYNCED)
		*event = (FhaLockEvent){.kind = FHA_LOCK_SYNCED, .code = FHA_OK};
	else if (news->kind == FHA_KUBE_NEWS_GONE)
		told = fha_record_set_add(records, news->name, "", NULL, 0);
	else
		told = fha_lease_read(news->object, records, NULL) == FHA_OK;
	event->records = records->rows;
	if (!told)
		fha_kube_watch_refuse(kube->watch);
	return told;
}

static FhaCode
kube_step(FhaLock *lock, FhaLockEvent *event)
{
	KubeLock *kube = (KubeLock *) lock;
	FhaKubeEvent ended;
	FhaKubeNews news;

	for (;;)
	{
		while (kube->watch != NULL && fha_kube_watch_next(kube->watch, &news))
			if (kube_tell(kube, &news, event))
				return FHA_OK;
		if (kube->watch != NULL)
			fha_kube_watch_begin(kube->watch);
		if (fha_kube_step(kube->kube, &ended) != FHA_OK)
			return FHA_AGAIN;
		if (ended.id == kube->request && ended.ended)
			return kube_answer(kube, &ended, event);
		if (kube->watch != NULL)
			(void) fha_kube_watch_hear(kube->watch, &ended);
	}
}

const FhaLockDriver fha_lock_kube_driver = {.open = kube_open,
											.close = kube_close,
											.fd = kube_fd,
											.wake_at_ms = kube_wake_at_ms,
											.start = kube_start,
											.step = kube_step};
