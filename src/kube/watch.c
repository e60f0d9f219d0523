/*
 * watch.c: see kube/watch.h.
 */
#include "kube/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define LIST_TIME_MS 10000
/* The API server ends a watch itself; bookmarks come once a minute. */
#define WATCH_SECONDS 1800
#define SILENCE_MS 90000
#define AGAIN_MS 1000

typedef struct Known
{
	char name[FHA_KUBE_NAME_SIZE];
	unsigned list; /* the last one that had it, or came before it */
} Known;

struct FhaKubeWatch
{
	FhaKube *kube;
	FhaKubeResource resource;
	unsigned list_request; /* under way; 0: none */
	unsigned stream_request;
	char from[FHA_VERSION_SIZE]; /* where the watch goes on; "": with a list */
	int64_t again_at_ms;         /* not before then */

	struct json_object *items; /* of the list that is being told, then what it lacks; NULL: none */
	size_t told;
	unsigned list;

	struct json_object *object; /* of the line, or kept for the last news; NULL: none */
	bool has_line;
	bool is_gone;
	char name[FHA_KUBE_NAME_SIZE]; /* of the line, or of the last news */

	Known *known; /* what was told and is not gone */
	size_t count;
	size_t room;
};

void
fha_kube_list_query(const FhaKubeResource *resource, char out[FHA_KUBE_QUERY_SIZE])
{
	(void) snprintf(out, FHA_KUBE_QUERY_SIZE, "%s?limit=%zu&%s", resource->path,
					resource->count_max, resource->selector);
}

FhaCode
fha_kube_watch_open(FhaKubeWatch **out, FhaKube *kube, const FhaKubeResource *resource,
					FhaError *err)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory"); /* LCOV_EXCL_LINE: no memory */
	(*out)->kube = kube;
	(*out)->resource = *resource;
	return FHA_OK;
}

static void
drop_object(FhaKubeWatch *watch)
{
	json_object_put(watch->object);
	watch->object = NULL;
	watch->has_line = false;
}

static void
drop_list(FhaKubeWatch *watch)
{
	json_object_put(watch->items);
	watch->items = NULL;
}

static void
drop_requests(FhaKubeWatch *watch)
{
	fha_kube_cancel(watch->kube, watch->list_request);
	fha_kube_cancel(watch->kube, watch->stream_request);
	watch->list_request = watch->stream_request = 0;
}

void
fha_kube_watch_close(FhaKubeWatch *watch)
{
	if (watch == NULL)
		return;
	drop_requests(watch);
	drop_object(watch);
	drop_list(watch);
	free(watch->known);
	free(watch);
}

/* Is there something to begin? */
static bool
is_idle(const FhaKubeWatch *watch)
{
	return watch->list_request == 0 && watch->stream_request == 0 && watch->items == NULL;
}

int64_t
fha_kube_watch_wake_at_ms(const FhaKubeWatch *watch)
{
	if (watch->items != NULL || watch->has_line)
		return fha_now_ms();
	return is_idle(watch) ? watch->again_at_ms : INT64_MAX;
}

void
fha_kube_watch_begin(FhaKubeWatch *watch)
{
	char path[FHA_KUBE_QUERY_SIZE];
	FhaKubeRequest request = {.path = path, .deadline_at_ms = fha_now_ms() + LIST_TIME_MS};
	FhaCode code;

	if (!is_idle(watch) || fha_now_ms() < watch->again_at_ms)
		return;
	if (watch->from[0] == '\0')
	{
		fha_kube_list_query(&watch->resource, path);
		request.verb = FHA_KUBE_GET;
		request.answer_max = watch->resource.list_max;
		code = fha_kube_start(watch->kube, &request, &watch->list_request, NULL);
	}
	else
	{
		(void) snprintf(path, sizeof(path),
						"%s?watch=true&allowWatchBookmarks=true&resourceVersion=%s"
						"&timeoutSeconds=%d&%s",
						watch->resource.path, watch->from, WATCH_SECONDS, watch->resource.selector);
		request.verb = FHA_KUBE_WATCH;
		request.answer_max = watch->resource.object_max;
		request.silence_ms = SILENCE_MS;
		code = fha_kube_start(watch->kube, &request, &watch->stream_request, NULL);
	}
	watch->again_at_ms = fha_now_ms() + (code == FHA_OK ? 0 : AGAIN_MS);
}

/* Not at once: an API server that is down, or comes back, has many who ask. */
static void
pause_watch(FhaKubeWatch *watch, bool relist, int64_t after_ms)
{
	if (relist)
		watch->from[0] = '\0';
	watch->again_at_ms = fha_now_ms() + (after_ms > AGAIN_MS ? after_ms : AGAIN_MS);
}

void
fha_kube_watch_refuse(FhaKubeWatch *watch)
{
	drop_requests(watch);
	drop_object(watch);
	drop_list(watch);
	pause_watch(watch, true, 0);
}

void
fha_kube_watch_restart(FhaKubeWatch *watch)
{
	drop_requests(watch);
	watch->from[0] = '\0';
	watch->again_at_ms = fha_now_ms();
}

static void
list_ended(FhaKubeWatch *watch, const FhaKubeEvent *ended)
{
	watch->list_request = 0;
	if (ended->code != FHA_OK ||
		fha_kube_list_parse(ended->data, ended->size, watch->resource.count_max, &watch->items,
							watch->from, NULL) != FHA_OK)
	{
		pause_watch(watch, true, ended->retry_after_ms);
		return;
	}
	watch->told = 0;
	watch->list++;
}

static void
stream_ended(FhaKubeWatch *watch, const FhaKubeEvent *ended)
{
	/* One that ends as soon as it has begun must not be begun anew without a pause. */
	bool lasted = fha_now_ms() - watch->again_at_ms >= AGAIN_MS;

	watch->stream_request = 0;
	/* 410: what lies between is forgotten. */
	pause_watch(watch, ended->status == 410, ended->retry_after_ms);
	if (lasted && (ended->code == FHA_OK || ended->status == 410))
		watch->again_at_ms = fha_now_ms();
}

static void
watch_take_line(FhaKubeWatch *watch, const FhaKubeEvent *line)
{
	FhaKubeChange change;
	char version[FHA_VERSION_SIZE];

	drop_object(watch);
	if (fha_kube_line_parse(line->data, line->size, &change, &watch->object, version, NULL) !=
			FHA_OK ||
		change == FHA_KUBE_REFUSED)
	{
		fha_kube_watch_refuse(watch);
		return;
	}
	if (version[0] != '\0')
		memcpy(watch->from, version, sizeof(watch->from));
	watch->has_line = change != FHA_KUBE_BOOKMARK;
	watch->is_gone = change == FHA_KUBE_DELETED;
}

bool
fha_kube_watch_hear(FhaKubeWatch *watch, const FhaKubeEvent *event)
{
	if (event->id == watch->list_request)
		list_ended(watch, event);
	else if (event->id != watch->stream_request)
		return false;
	else if (event->ended)
		stream_ended(watch, event);
	else
		watch_take_line(watch, event);
	return true;
}

/* NULL: no memory, or more than there may be. */
static Known *
find_or_add(FhaKubeWatch *watch, const char *name)
{
	for (size_t i = 0; i < watch->count; i++)
		if (strcmp(watch->known[i].name, name) == 0)
			return &watch->known[i];
	if (watch->count == watch->resource.count_max)
		return NULL;
	if (watch->count == watch->room)
	{
		size_t room = watch->room == 0 ? 16 : 2 * watch->room;
		Known *larger = realloc(watch->known, room * sizeof(*larger));

		if (larger == NULL)
			return NULL; /* LCOV_EXCL_LINE: no memory */
		watch->known = larger;
		watch->room = room;
	}
	(void) snprintf(watch->known[watch->count].name, FHA_KUBE_NAME_SIZE, "%s", name);
	return &watch->known[watch->count++];
}

static void
watch_forget(FhaKubeWatch *watch, const char *name)
{
	for (size_t i = 0; i < watch->count; i++)
		if (strcmp(watch->known[i].name, name) == 0)
		{
			watch->known[i] = watch->known[--watch->count];
			return;
		}
}

static bool
tell_gone(FhaKubeWatch *watch, FhaKubeNews *news)
{
	watch_forget(watch, watch->name);
	*news = (FhaKubeNews){.kind = FHA_KUBE_NEWS_GONE, .name = watch->name};
	return true;
}

/* False: it cannot be told, and all is listed anew. */
static bool
tell_object(FhaKubeWatch *watch, bool gone, FhaKubeNews *news)
{
	char version[FHA_VERSION_SIZE];
	Known *known = NULL;

	if (fha_kube_object_read(watch->object, watch->name, version, NULL) == FHA_OK &&
		watch->name[0] != '\0' && version[0] != '\0')
	{
		if (gone)
			return tell_gone(watch, news);
		known = find_or_add(watch, watch->name);
	}
	if (known == NULL)
	{
		fha_kube_watch_refuse(watch);
		return false;
	}
	known->list = watch->list;
	*news =
		(FhaKubeNews){.kind = FHA_KUBE_NEWS_OBJECT, .name = watch->name, .object = watch->object};
	return true;
}

/* The next of what the list brought, of what it lacks, or that it was told in whole. */
static bool
tell_list(FhaKubeWatch *watch, FhaKubeNews *news)
{
	while (watch->told < json_object_array_length(watch->items))
	{
		drop_object(watch);
		watch->object = json_object_get(json_object_array_get_idx(watch->items, watch->told++));
		if (json_object_is_type(watch->object, json_type_object))
			return tell_object(watch, false, news);
	}
	for (size_t i = 0; i < watch->count; i++)
		if (watch->known[i].list != watch->list)
		{
			memcpy(watch->name, watch->known[i].name, sizeof(watch->name));
			return tell_gone(watch, news);
		}
	drop_list(watch);
	*news = (FhaKubeNews){.kind = FHA_KUBE_NEWS_SYNCED};
	return true;
}

bool
fha_kube_watch_next(FhaKubeWatch *watch, FhaKubeNews *news)
{
	if (watch->items != NULL)
		return tell_list(watch, news);
	if (!watch->has_line)
		return false;
	watch->has_line = false;
	return tell_object(watch, watch->is_gone, news);
}
