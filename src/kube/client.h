/*
 * client.h: requests to a Kubernetes API server, several at once and without waiting.
 *
 * The host polls one descriptor and steps.  Each request has a deadline and ends with exactly one
 * event that says what is certain: a write that may have been carried out is never called refused.
 * What the bodies mean is the caller's business.
 */
#ifndef FHA_KUBE_CLIENT_H
#define FHA_KUBE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kube/config.h"

/* A renewal, a watch, and two more. */
#define FHA_KUBE_PATH_SIZE 1024 /* of a resource's path in a url */
#define FHA_KUBE_REQUESTS_MAX 4
/* Bytes of an answer, or of one line of a watch: etcd's own limit for an object is 1.5 MB. */
#define FHA_KUBE_ANSWER_MAX (1024 * 1024)

typedef struct FhaKube FhaKube;

/* *config is taken over, also when this fails, and is empty afterwards.  INVALID, IO, NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_kube_open(FhaKube **out, FhaKubeConfig *config, FhaError *err);
/*
 * For the API server and the namespace that the uri of a lock names ("kubernetes:...").
 * NOT_FOUND: the lock is another one; INVALID, IO, NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_kube_open_of_lock(FhaKube **out, const char *uri, FhaError *err);

/* Requests under way are dropped. */
FHA_API void fha_kube_close(FhaKube *kube);

/* Readable when there is something to do; and when to step at the latest (INT64_MAX: never). */
FHA_API int fha_kube_fd(const FhaKube *kube);
FHA_API int64_t fha_kube_wake_at_ms(const FhaKube *kube);

FHA_API const char *fha_kube_namespace(const FhaKube *kube);

typedef enum FhaKubeVerb
{
	FHA_KUBE_GET,
	FHA_KUBE_CREATE, /* POST */
	FHA_KUBE_UPDATE, /* PUT */
	FHA_KUBE_PATCH,  /* a merge patch */
	FHA_KUBE_DELETE,
	FHA_KUBE_WATCH /* GET, whose answer is lines until it ends */
} FhaKubeVerb;

typedef struct FhaKubeRequest
{
	FhaKubeVerb verb;
	const char *path; /* "/apis/coordination.k8s.io/v1/namespaces/ns/leases/x?query"; copied */
	const char *body; /* JSON of CREATE, UPDATE, PATCH, and of DELETE if it has options; copied */
	size_t body_size;
	size_t answer_max;      /* bytes, of a watch: of one line; 0: FHA_KUBE_ANSWER_MAX */
	int64_t deadline_at_ms; /* on fha_now_ms(); of a watch: for the head of the answer */
	int64_t silence_ms;     /* a watch without one byte for so long ends as TIMEOUT; 0: never */
} FhaKubeRequest;

/*
 * Begin a request; *id (never 0) names it until it has ended.
 * CONFLICT: as many requests as can be are under way.  INVALID: not a path.  NO_MEMORY.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_kube_start(FhaKube *kube, const FhaKubeRequest *request,
											  unsigned *id, FhaError *err);

/* Drop a request; no event of it comes any more.  A write may be carried out all the same. */
FHA_API void fha_kube_cancel(FhaKube *kube, unsigned id);

/*
 * Codes of a request that has ended:
 * OK         2xx, the whole answer is there; of a watch: the server ended it
 * CONFLICT   409: the text says AlreadyExists or Conflict
 * NOT_FOUND  404
 * DENIED     401 (also with the token read again, if that has changed) and 403
 * INVALID    400, 413, 415, 422: the request itself is wrong
 * PROTOCOL   not of a write: any other status below 500, 410 among them (see status); an answer or a
 *            line too long
 * TIMEOUT    the deadline came, or silence.  A write: nothing was sent, or all that was sent was
 *            answered 429
 * IO         no connection, TLS refused, an answer cut short; 5xx.  A write: nothing was sent
 * UNKNOWN    a write that may have been carried out: no whole answer to it came, or a status that is
 *            none of these, as 5xx, or 408 of a proxy that had passed it on
 * NO_MEMORY  of a write: nothing was sent
 * So a write that ends with anything but OK and UNKNOWN was certainly not applied.
 *
 * A request that is answered 429 is sent again when Retry-After is over (1 s if it is not given),
 * as long as the deadline allows.
 */
typedef struct FhaKubeEvent
{
	unsigned id;
	bool ended; /* false: one line of a watch, without its end of line */
	FhaCode code;
	int status;             /* HTTP status, 0: none came */
	int64_t retry_after_ms; /* of a 429 or 503 with Retry-After; 0: none */
	FhaError error;         /* the Status object's reason and message, or libcurl's; printable */
	const char *data;       /* the answer or the line, with a NUL after it that does not count;
							 * the client's, until the next step, start, cancel or close */
	size_t size;
} FhaKubeEvent;

/* The next event; AGAIN: none yet, wait for the descriptor. */
FHA_API FHA_MUST_CHECK FhaCode fha_kube_step(FhaKube *kube, FhaKubeEvent *event);

#endif
