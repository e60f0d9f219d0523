/*
 * driver.c: the lock of Kubernetes.  A record is a Lease, a version its resourceVersion.
 *
 * The watch is a list, which is told as it is, and then a watch from the list's version on.  One that
 * ends goes on where it was; one that cannot begins with a list again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/config.h"
#include "lock/driver.h"
#include "lock/kube/object.h"

#define PATH_SIZE 1024
#define QUERY_SIZE (2 * PATH_SIZE + 256)
/* A Lease's record, each of its characters escaped, and what Kubernetes adds. */
#define LEASE_MAX (2 * FHA_RECORD_DATA_MAX + 256 * 1024)
#define LIST_MAX (15 * 1024 * 1024)
#define LIST_TIME_MS 10000
/* The API server ends a watch itself; bookmarks come once a minute. */
#define WATCH_SECONDS 1800
#define SILENCE_MS 90000
#define AGAIN_MS 1000

typedef struct KubeLock
{
	FhaLock base;
	FhaKube *kube;
	char leases[PATH_SIZE];   /* the path of all */
	char selector[PATH_SIZE]; /* of those that are ours, as a part of a query */
	char cluster[FHA_PLACE_TEXT_SIZE];
	bool watch;
	unsigned request; /* the calls under way; 0: none */
	unsigned list;
	unsigned stream;
	char from[FHA_VERSION_SIZE]; /* where the watch goes on; "": with a list */
	int64_t again_ms;            /* not before then */
	bool telling;                /* the list, then what it lacks, then SYNCED */
	FhaRecordSet listed;
	size_t told;
	FhaRecordSet known; /* names and versions that were told */
} KubeLock;

static void
kube_close(FhaLock *lock)
{
	KubeLock *kube = (KubeLock *) lock;

	fha_kube_close(kube->kube);
	fha_record_set_release(&kube->listed);
	fha_record_set_release(&kube->known);
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
	kube->watch = watch;
	memcpy(kube->cluster, place.cluster, sizeof(kube->cluster));
	(void) snprintf(kube->leases, sizeof(kube->leases), FHA_LEASE_API,
					fha_kube_namespace(kube->kube));
	(void) snprintf(kube->selector, sizeof(kube->selector),
					"labelSelector=app.kubernetes.io%%2Fmanaged-by%%3D" FHA_LEASE_MANAGER "%s%s",
					place.cluster[0] == '\0' ? "" : "%2Cfawkes-ha%2Fcluster%3D", place.cluster);
	*out = &kube->base;
	return FHA_OK;
}

static int
kube_fd(const FhaLock *lock)
{
	return fha_kube_fd(((const KubeLock *) lock)->kube);
}

/* Is there something to begin for the watch? */
static bool
watch_waits(const KubeLock *kube)
{
	return kube->watch && kube->list == 0 && kube->stream == 0 && !kube->telling;
}

static int64_t
kube_wake_ms(const FhaLock *lock)
{
	const KubeLock *kube = (const KubeLock *) lock;
	int64_t wake_ms = fha_kube_wake_ms(kube->kube);

	if (kube->telling)
		return fha_now_ms();
	return watch_waits(kube) && kube->again_ms < wake_ms ? kube->again_ms : wake_ms;
}

static void
list_path(const KubeLock *kube, char *out)
{
	(void) snprintf(out, QUERY_SIZE, "%s?limit=%d&%s", kube->leases, FHA_RECORD_COUNT_MAX,
					kube->selector);
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
	char path[QUERY_SIZE];
	char *body = NULL;
	FhaKubeCall call = {.verb = verbs[request->verb],
						.path = path,
						.answer_max = request->verb == FHA_LOCK_LIST ? LIST_MAX : LEASE_MAX,
						.deadline_ms = request->deadline_ms};
	FhaCode code = FHA_OK;

	if (request->verb == FHA_LOCK_SWAP && !is_version(request->version))
		return fha_error(err, FHA_INVALID, "\"%.60s\" is not a version", request->version);
	if (request->verb == FHA_LOCK_LIST)
		list_path(kube, path);
	else if (request->verb == FHA_LOCK_CREATE)
		(void) snprintf(path, sizeof(path), "%s", kube->leases);
	else
		(void) snprintf(path, sizeof(path), "%s/%s", kube->leases, request->name);
	if (fha_lock_verb_writes(request->verb))
	{
		code = fha_lease_print(request, kube->cluster, &body, err);
		call.body = body;
		call.body_size = body == NULL ? 0 : strlen(body);
	}
	if (code == FHA_OK)
		code = fha_kube_start(kube->kube, &call, &kube->request, err);
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

static void
watch_anew(KubeLock *kube)
{
	if (kube->list != 0)
		fha_kube_cancel(kube->kube, kube->list);
	if (kube->stream != 0)
		fha_kube_cancel(kube->kube, kube->stream);
	kube->list = kube->stream = 0;
	kube->from[0] = '\0';
	kube->again_ms = fha_now_ms();
}

static FhaCode
answer(KubeLock *kube, const FhaKubeEvent *ended, FhaLockEvent *event)
{
	FhaLockVerb verb = kube->base.verb;
	bool writes = fha_lock_verb_writes(verb);
	FhaCode code = writes ? verdict_of_write(ended, verb) : ended->code;
	FhaError err = ended->error;
	char version[FHA_VERSION_SIZE];

	kube->request = 0;
	/* Whom the API server left without an answer it may have left without news as well. */
	if (ended->status == 0 && (ended->code == FHA_TIMEOUT || ended->code == FHA_UNKNOWN))
		watch_anew(kube);
	if (code == FHA_OK)
	{
		code =
			verb == FHA_LOCK_LIST
				? fha_lease_list_parse(ended->data, ended->size, &kube->base.records, version, &err)
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

static void
begin_watch(KubeLock *kube)
{
	char path[QUERY_SIZE];
	FhaKubeCall call = {.path = path, .deadline_ms = fha_now_ms() + LIST_TIME_MS};
	FhaCode code;

	if (kube->from[0] == '\0')
	{
		list_path(kube, path);
		call.verb = FHA_KUBE_GET;
		call.answer_max = LIST_MAX;
		code = fha_kube_start(kube->kube, &call, &kube->list, NULL);
	}
	else
	{
		(void) snprintf(path, sizeof(path),
						"%s?watch=true&allowWatchBookmarks=true&resourceVersion=%s"
						"&timeoutSeconds=%d&%s",
						kube->leases, kube->from, WATCH_SECONDS, kube->selector);
		call.verb = FHA_KUBE_WATCH;
		call.answer_max = LEASE_MAX;
		call.silence_ms = SILENCE_MS;
		code = fha_kube_start(kube->kube, &call, &kube->stream, NULL);
	}
	kube->again_ms = fha_now_ms() + (code == FHA_OK ? 0 : AGAIN_MS);
}

/* Not at once: an API server that is down, or comes back, has many who ask. */
static void
watch_failed(KubeLock *kube, bool relist, int64_t after_ms)
{
	if (relist)
		kube->from[0] = '\0';
	kube->again_ms = fha_now_ms() + (after_ms > AGAIN_MS ? after_ms : AGAIN_MS);
}

static void
list_ended(KubeLock *kube, const FhaKubeEvent *ended)
{
	kube->list = 0;
	if (ended->code != FHA_OK ||
		fha_lease_list_parse(ended->data, ended->size, &kube->listed, kube->from, NULL) != FHA_OK)
	{
		watch_failed(kube, true, ended->retry_after_ms);
		return;
	}
	kube->told = 0;
	kube->telling = true;
}

static void
stream_ended(KubeLock *kube, const FhaKubeEvent *ended)
{
	/* One that ends as soon as it has begun must not be begun anew without a pause. */
	bool lasted = fha_now_ms() - kube->again_ms >= AGAIN_MS;

	kube->stream = 0;
	/* 410: what lies between is forgotten. */
	watch_failed(kube, ended->status == 410, ended->retry_after_ms);
	if (lasted && (ended->code == FHA_OK || ended->status == 410))
		kube->again_ms = fha_now_ms();
}

static FhaRecord *
find_record(const FhaRecordSet *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->rows[i].name, name) == 0)
			return &set->rows[i];
	return NULL;
}

static void
forget(FhaRecordSet *set, FhaRecord *row)
{
	free(row->data);
	*row = set->rows[--set->count];
}

/* False: no memory, and nothing was told. */
static bool
tell(KubeLock *kube, const FhaRecord *record, FhaLockEvent *event)
{
	FhaRecord *known = find_record(&kube->known, record->name);
	bool gone = record->version[0] == '\0';

	if (!gone && known == NULL &&
		!fha_record_set_add(&kube->known, record->name, record->version, NULL, 0))
		return false; /* LCOV_EXCL_LINE: no memory */
	if (!fha_record_set_add(&kube->base.records, record->name, record->version, record->data,
							record->size))
		return false; /* LCOV_EXCL_LINE: no memory */
	if (gone && known != NULL)
		forget(&kube->known, known);
	*event = (FhaLockEvent){
		.kind = FHA_LOCK_CHANGE, .code = FHA_OK, .count = 1, .records = kube->base.records.rows};
	return true;
}

/* The next of what the list brought; false: there was no memory for it. */
static bool
tell_list(KubeLock *kube, FhaLockEvent *event)
{
	if (kube->told < kube->listed.count)
		return tell(kube, &kube->listed.rows[kube->told++], event);
	for (size_t i = 0; i < kube->known.count; i++)
		if (find_record(&kube->listed, kube->known.rows[i].name) == NULL)
		{
			FhaRecord gone = kube->known.rows[i];

			gone.version[0] = '\0';
			gone.data = NULL;
			gone.size = 0;
			return tell(kube, &gone, event);
		}
	fha_record_set_release(&kube->listed);
	kube->telling = false;
	*event = (FhaLockEvent){.kind = FHA_LOCK_SYNCED, .code = FHA_OK};
	return true;
}

/* A line of the watch; true: it is an event. */
static bool
tell_line(KubeLock *kube, const FhaKubeEvent *line, FhaLockEvent *event)
{
	FhaRecordSet set = {0};
	FhaLeaseNews news = FHA_LEASE_REFUSED;
	char version[FHA_VERSION_SIZE] = "";
	FhaCode code = fha_lease_news_parse(line->data, line->size, &news, &set, version, NULL);
	bool told = false;

	if (code == FHA_OK && set.count > 0)
		told = tell(kube, &set.rows[0], event);
	if (code != FHA_OK || news == FHA_LEASE_REFUSED || (set.count > 0 && !told))
	{
		fha_kube_cancel(kube->kube, kube->stream);
		kube->stream = 0;
		watch_failed(kube, true, 0);
	}
	else if (version[0] != '\0')
		memcpy(kube->from, version, sizeof(kube->from));
	fha_record_set_release(&set);
	return told;
}

static FhaCode
kube_step(FhaLock *lock, FhaLockEvent *event)
{
	KubeLock *kube = (KubeLock *) lock;
	FhaKubeEvent news;

	for (;;)
	{
		if (kube->telling)
		{
			if (tell_list(kube, event))
				return FHA_OK;
			/* LCOV_EXCL_START: no memory */
			fha_record_set_release(&kube->listed);
			kube->telling = false;
			watch_failed(kube, true, 0);
			/* LCOV_EXCL_STOP */
		}
		if (watch_waits(kube) && fha_now_ms() >= kube->again_ms)
			begin_watch(kube);
		if (fha_kube_step(kube->kube, &news) != FHA_OK)
			return FHA_AGAIN;
		if (news.id == kube->request && news.ended)
			return answer(kube, &news, event);
		if (news.id == kube->list && news.ended)
			list_ended(kube, &news);
		else if (news.id == kube->stream && news.ended)
			stream_ended(kube, &news);
		else if (news.id == kube->stream && tell_line(kube, &news, event))
			return FHA_OK;
	}
}

const FhaLockDriver fha_lock_kube_driver = {.open = kube_open,
											.close = kube_close,
											.fd = kube_fd,
											.wake_ms = kube_wake_ms,
											.start = kube_start,
											.step = kube_step};
