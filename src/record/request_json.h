/*
 * request_json.h: what an operator requests, as JSON: of its own, and in the cluster's record.
 */
#ifndef FHA_RECORD_REQUEST_JSON_H
#define FHA_RECORD_REQUEST_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "core/world.h"

/* A request as one JSON object, as fha_request_put makes it; its state becomes pending. */
FHA_API FHA_MUST_CHECK FhaCode fha_request_parse(const char *data, size_t size, FhaRequest *out,
												 FhaError *err);
/* *out: free it. */
FHA_API FHA_MUST_CHECK FhaCode fha_request_print(const FhaRequest *request, char **out,
												 FhaError *err);

/* The key "request" of the cluster record. */
struct json_object;
void fha_request_read(struct json_object *from, FhaRequest *out, FhaError *err);
void fha_request_put(struct json_object *to, const FhaRequest *request, bool *failed);

#endif
