/*
 * request_json.h: what an operator requests, as JSON in the cluster's record.
 */
#ifndef FHA_RECORD_REQUEST_JSON_H
#define FHA_RECORD_REQUEST_JSON_H

#include <stdbool.h>

#include "base/err.h"
#include "core/world.h"

/* The key "request" of the cluster record. */
struct json_object;
void fha_request_read(struct json_object *from, FhaRequest *out, FhaError *err);
void fha_request_put(struct json_object *to, const FhaRequest *request, bool *failed);

#endif
