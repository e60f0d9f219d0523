/*
 * answer.c: statuses, Status objects and lines.  See kube/answer.h.
 */
#include "kube/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/tame.h"

bool
fha_kube_is_write(FhaKubeVerb verb)
{
	return verb != FHA_KUBE_GET && verb != FHA_KUBE_WATCH;
}

static void
copy_member(struct json_object *status, const char *key, char *out, size_t room)
{
	struct json_object *value = NULL;

	out[0] = '\0';
	if (json_object_object_get_ex(status, key, &value) &&
		json_object_is_type(value, json_type_string))
		fha_copy_printable(out, room, json_object_get_string(value),
						   (size_t) json_object_get_string_len(value));
}

static FhaCode
code_of(FhaKubeVerb verb, int status)
{
	switch (status)
	{
		case 400:
		case 413:
		case 415:
		case 422:
			return FHA_INVALID;
		case 401:
		case 403:
			return FHA_DENIED;
		case 404:
			return FHA_NOT_FOUND;
		case 409:
			return FHA_CONFLICT;
		case 429:
			return FHA_TIMEOUT;
		default:
			break;
	}
	if (status >= 200 && status < 300)
		return FHA_OK;
	/*
	 * Only those above are the server's refusals.  A 503 does not say what was carried out before the
	 * server gave up, and a proxy in between answers 408 after it has passed the request on.
	 */
	if (fha_kube_is_write(verb))
		return FHA_UNKNOWN;
	return status < 500 ? FHA_PROTOCOL : FHA_IO;
}

FhaCode
fha_kube_verdict(FhaKubeVerb verb, int status, const char *data, size_t size, FhaError *err)
{
	FhaCode code = code_of(verb, status);
	struct json_object *object = NULL;
	char reason[48] = "";
	char message[180] = "";

	if (code == FHA_OK)
	{
		err->code = FHA_OK;
		err->text[0] = '\0';
		return FHA_OK;
	}
	object = fha_json_parse(data, size, NULL);
	if (object != NULL)
	{
		copy_member(object, "reason", reason, sizeof(reason));
		copy_member(object, "message", message, sizeof(message));
		json_object_put(object);
	}
	if (message[0] == '\0')
		fha_copy_printable(message, sizeof(message), data, size < 100 ? size : 100);
	return fha_error(err, code, "HTTP status %d%s%s%s%s", status, reason[0] == '\0' ? "" : " ",
					 reason, message[0] == '\0' ? "" : ": ", message);
}

bool
fha_kube_answer_add(FhaKubeAnswer *answer, const char *data, size_t size)
{
	if (answer->taken > 0)
	{
		memmove(answer->data, answer->data + answer->taken, answer->size - answer->taken);
		answer->size -= answer->taken;
		answer->searched -= answer->taken;
		answer->taken = 0;
	}
	/* One more for the NUL. */
	if (answer->size + size >= answer->room)
	{
		size_t room = 2 * (answer->size + size + 1);
		char *larger = realloc(answer->data, room);

		if (larger == NULL)
			return false; /* LCOV_EXCL_LINE: no memory */
		answer->data = larger;
		answer->room = room;
	}
	memcpy(answer->data + answer->size, data, size);
	answer->size += size;
	answer->data[answer->size] = '\0';
	return true;
}

void
fha_kube_answer_release(FhaKubeAnswer *answer)
{
	free(answer->data);
	memset(answer, 0, sizeof(*answer));
}

bool
fha_kube_answer_has_line(FhaKubeAnswer *answer)
{
	const char *end;

	if (answer->searched == answer->size)
		return false;
	end = memchr(answer->data + answer->searched, '\n', answer->size - answer->searched);
	answer->searched = end == NULL ? answer->size : (size_t) (end - answer->data);
	return end != NULL;
}

const char *
fha_kube_answer_line(FhaKubeAnswer *answer, size_t *size)
{
	while (fha_kube_answer_has_line(answer))
	{
		char *line = answer->data + answer->taken;
		size_t length = answer->searched - answer->taken;

		line[length] = '\0';
		answer->searched++;
		answer->taken = answer->searched;
		if (length > 0 && line[length - 1] == '\r')
			line[--length] = '\0';
		if (length > 0)
		{
			*size = length;
			return line;
		}
	}
	return NULL;
}

const char *
fha_kube_answer_rest(const FhaKubeAnswer *answer, size_t *size)
{
	*size = answer->size - answer->taken;
	return answer->data == NULL ? "" : answer->data + answer->taken;
}
