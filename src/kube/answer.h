/*
 * answer.h: what an API server says, as far as the client understands it.
 */
#ifndef FHA_KUBE_ANSWER_H
#define FHA_KUBE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "kube/client.h"

/* Is this a request that changes something? */
bool fha_kube_is_write(FhaKubeVerb verb);

/*
 * How a request ends that was answered in whole: by its HTTP status, with the Status object's
 * reason and message (else the start of the body) as text, printable.
 */
FhaCode fha_kube_verdict(FhaKubeVerb verb, int status, const char *data, size_t size,
						 FhaError *err);

/* An answer as it comes in: bytes [taken, size) of data are not given to anybody yet. */
typedef struct FhaKubeAnswer
{
	char *data;
	size_t size;
	size_t room;
	size_t taken;
	size_t searched; /* before this there is no end of line that was not taken */
} FhaKubeAnswer;

/* False: no memory. */
FHA_MUST_CHECK bool fha_kube_answer_add(FhaKubeAnswer *answer, const char *data, size_t size);
void fha_kube_answer_release(FhaKubeAnswer *answer);

/* Is there a whole line? */
bool fha_kube_answer_has_line(FhaKubeAnswer *answer);
/* Take a line that is not empty, without its end and with a NUL; NULL: none.  Good until the next add. */
const char *fha_kube_answer_line(FhaKubeAnswer *answer, size_t *size);
/* What is left, with a NUL. */
const char *fha_kube_answer_rest(const FhaKubeAnswer *answer, size_t *size);

#endif
