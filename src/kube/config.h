/*
 * config.h: which Kubernetes API server, and who we are to it.
 *
 * From what a pod finds in itself, or from a kubeconfig file.  What could only be used with TLS
 * unchecked, by running a program or by sending a password is refused with a sentence that says
 * what to do instead.
 */
#ifndef FHA_KUBE_CONFIG_H
#define FHA_KUBE_CONFIG_H

#include <stddef.h>

#include "base/err.h"
#include "config/lock_uri.h"

#define FHA_KUBE_SERVER_SIZE 512
/* A namespace is a DNS label: at most 63 characters. */
#define FHA_KUBE_NAMESPACE_SIZE 64
/* Bytes of a kubeconfig. */
#define FHA_KUBE_CONFIG_MAX (1024 * 1024)

/* Texts are NULL or "" when there is none; those behind pointers belong to the configuration. */
typedef struct FhaKubeConfig
{
	char server
		[FHA_KUBE_SERVER_SIZE]; /* "https://host:port", perhaps with a path; no '/' at its end */
	char namespace_[FHA_KUBE_NAMESPACE_SIZE]; /* a valid one */
	/* Read again when they change, over the texts below; "": the text is all there is. */
	char token_file[FHA_PATH_SIZE];
	char ca_file[FHA_PATH_SIZE];
	char client_cert_file[FHA_PATH_SIZE];
	char client_key_file[FHA_PATH_SIZE];
	char *token;
	char *ca; /* PEM; NULL: the system's certificates */
	char *client_cert;
	char *client_key;
} FhaKubeConfig;

/*
 * What a pod is given: KUBERNETES_SERVICE_HOST and _PORT in the environment; ca.crt, token and
 * namespace in `folder` (NULL: /var/run/secrets/kubernetes.io/serviceaccount).
 * NOT_FOUND: not in a pod.  INVALID, IO, NO_MEMORY.  After a failure there is nothing to release.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_kube_config_in_cluster(FhaKubeConfig *out, const char *folder,
														  FhaError *err);

/*
 * From the kubeconfig at `path`.  context NULL: the current one; namespace_ NULL: the context's,
 * else "default".  NOT_FOUND: no such file.  INVALID, IO, NO_MEMORY; then there is nothing to release.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_kube_config_load(FhaKubeConfig *out, const char *path,
													const char *context, const char *namespace_,
													FhaError *err);

/* The same from a text; the paths in it are relative to `directory`. */
FHA_API FHA_MUST_CHECK FhaCode fha_kube_config_parse(FhaKubeConfig *out, const char *text,
													 size_t size, const char *directory,
													 const char *context, const char *namespace_,
													 FhaError *err);

/* What the uri of a lock says: a kubeconfig, else a pod's own.  As above. */
FHA_MUST_CHECK FhaCode fha_kube_config_of(const FhaKubePlace *place, FhaKubeConfig *out,
										  FhaError *err);

/* Secrets are overwritten; the configuration is empty afterwards. */
FHA_API void fha_kube_config_release(FhaKubeConfig *config);

#endif
