/*
 * pods.c: the labels of a cluster's pods.  See pods.h.
 */
#include "kube/pods.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "config/config.h"
#include "kube/client.h"

/* A pod has some 10 kB, with what the API server notes beside it. */
#define LIST_MAX (8 * 1024 * 1024)

struct FhaPods
{
	FhaKube *kube;
	char cluster[FHA_NAME_SIZE];
	unsigned request; /* under way; 0: none */
	FhaRoutingVerb verb;
};

FhaCode
fha_pod_patch_print(const char *pod, FhaServes serves, char **out, FhaError *err)
{
	struct json_object *patch = json_object_new_object();
	struct json_object *metadata = json_object_new_object();
	struct json_object *labels = json_object_new_object();
	bool failed = false;

	fha_json_put_text(labels, FHA_POD_LABEL_ROLE, fha_serves_name(serves), &failed);
	fha_json_put_text(labels, FHA_POD_LABEL_OLD_ROLE, fha_serves_name(serves), &failed);
	fha_json_put_text(labels, FHA_POD_LABEL_NAME, pod, &failed);
	fha_json_put(metadata, "labels", labels, &failed);
	fha_json_put(patch, "metadata", metadata, &failed);
	*out = fha_json_finish(patch, failed, err);
	return *out == NULL ? FHA_NO_MEMORY : FHA_OK;
}

static FhaServes
serves_of(struct json_object *metadata)
{
	FhaError none = {0};
	struct json_object *labels = fha_json_object(metadata, "labels", &none);
	char role[64] = "";
	char old_role[64] = "";

	if (labels == NULL)
		return FHA_SERVES_NOTHING;
	fha_json_text(labels, FHA_POD_LABEL_ROLE, role, sizeof(role), &none);
	fha_json_text(labels, FHA_POD_LABEL_OLD_ROLE, old_role, sizeof(old_role), &none);
	/* Services may select on either: what they do not both say is written anew. */
	return strcmp(role, old_role) == 0 ? fha_serves_parse(role) : FHA_SERVES_NOTHING;
}

/* A pooler's pods carry the cluster's label too; pods of version 1.1 do not say what they are. */
static bool
is_instance(struct json_object *metadata)
{
	FhaError none = {0};
	struct json_object *labels = fha_json_object(metadata, "labels", &none);
	char role[64] = "";

	if (labels != NULL)
		fha_json_text(labels, FHA_POD_LABEL_POD_ROLE, role, sizeof(role), &none);
	return role[0] == '\0' || strcmp(role, FHA_POD_INSTANCE) == 0;
}

FhaCode
fha_pod_list_parse(const char *data, size_t size, FhaPod *found, size_t *count, FhaError *err)
{
	FhaError local = {.code = FHA_OK};
	struct json_object *list = fha_json_parse_deep(data, size, &local);
	struct json_object *items =
		list == NULL ? NULL : fha_json_array(list, "items", FHA_PODS_MAX, &local);

	*count = 0;
	if (list != NULL && items == NULL && local.code == FHA_OK)
		(void) fha_error(&local, FHA_PROTOCOL, "the API server's answer is no list of pods");
	for (size_t i = 0; items != NULL && i < json_object_array_length(items); i++)
	{
		struct json_object *item = fha_json_element(items, i, "items", &local);
		struct json_object *metadata =
			item == NULL ? NULL : fha_json_object(item, "metadata", &local);
		FhaPod *pod = &found[*count];

		if (metadata == NULL || !is_instance(metadata))
			continue;
		pod->name[0] = '\0';
		fha_json_text(metadata, "name", pod->name, sizeof(pod->name), &local);
		pod->serves = serves_of(metadata);
		if (fha_pod_name_is_valid(pod->name))
			(*count)++;
	}
	json_object_put(list);
	if (local.code != FHA_OK && err != NULL)
		*err = local;
	return local.code;
}

/* LCOV_EXCL_START: a real API server has its tests, test_routing.py */

FhaCode
fha_pods_open(FhaPods **out, const char *uri, const char *cluster, FhaError *err)
{
	FhaKube *kube;
	FhaCode code = fha_kube_open_of_lock(&kube, uri, err);
	FhaPods *pods;

	*out = NULL;
	if (code != FHA_OK)
		return code;
	pods = calloc(1, sizeof(*pods));
	if (pods == NULL)
	{
		fha_kube_close(kube);
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	pods->kube = kube;
	(void) snprintf(pods->cluster, sizeof(pods->cluster), "%s", cluster);
	*out = pods;
	return FHA_OK;
}

void
fha_pods_close(FhaPods *pods)
{
	if (pods == NULL)
		return;
	fha_kube_close(pods->kube);
	free(pods);
}

int
fha_pods_fd(const FhaPods *pods)
{
	return fha_kube_fd(pods->kube);
}

int64_t
fha_pods_wake_at_ms(const FhaPods *pods)
{
	return fha_kube_wake_at_ms(pods->kube);
}

FhaCode
fha_pods_start(FhaPods *pods, const FhaRoutingTask *task, int64_t deadline_at_ms, FhaError *err)
{
	const char *namespace_ = fha_kube_namespace(pods->kube);
	char path[FHA_KUBE_PATH_SIZE];
	char *body = NULL;
	FhaKubeRequest request = {.verb =
								  task->verb == FHA_ROUTING_LOOK ? FHA_KUBE_GET : FHA_KUBE_PATCH,
							  .path = path,
							  .answer_max = LIST_MAX,
							  .deadline_at_ms = deadline_at_ms};
	FhaCode code = FHA_OK;

	if (pods->request != 0)
		return fha_error(err, FHA_CONFLICT, "a request about pods is under way");
	if (task->verb == FHA_ROUTING_LOOK)
		(void) snprintf(path, sizeof(path),
						"/api/v1/namespaces/%s/pods?limit=%d"
						"&labelSelector=cnpg.io%%2Fcluster%%3D%s",
						namespace_, FHA_PODS_MAX, pods->cluster);
	else
	{
		(void) snprintf(path, sizeof(path), "/api/v1/namespaces/%s/pods/%s", namespace_, task->pod);
		code = fha_pod_patch_print(task->pod, task->serves, &body, err);
		request.body = body;
		request.body_size = body == NULL ? 0 : strlen(body);
	}
	if (code == FHA_OK)
		code = fha_kube_start(pods->kube, &request, &pods->request, err);
	pods->verb = task->verb;
	free(body);
	return code;
}

FhaCode
fha_pods_step(FhaPods *pods, FhaPodsEvent *event)
{
	FhaKubeEvent news;

	while (fha_kube_step(pods->kube, &news) == FHA_OK)
	{
		if (news.id != pods->request || !news.ended)
			continue;
		pods->request = 0;
		event->code = news.code;
		event->error = news.error;
		event->count = 0;
		if (news.code == FHA_OK && pods->verb == FHA_ROUTING_LOOK)
			event->code = fha_pod_list_parse(news.data, news.size, event->found, &event->count,
											 &event->error);
		return FHA_OK;
	}
	return FHA_AGAIN;
}
/* LCOV_EXCL_STOP */
