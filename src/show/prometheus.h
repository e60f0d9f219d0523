/*
 * prometheus.h: metrics as Prometheus' text format 0.0.4.
 *
 * Rows come in any order and from several databases; what is printed has each family once, with its
 * HELP and TYPE, and no series twice.  What the format does not allow is left out and counted, and
 * in texts a byte that is no UTF-8 becomes '?': one bad row never costs the others.
 */
#ifndef FHA_SHOW_PROMETHEUS_H
#define FHA_SHOW_PROMETHEUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "show/metrics.h"

#define FHA_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define FHA_SERIES_MAX 50000
#define FHA_SERIES_BYTES_MAX (16 * 1024 * 1024)

/* A page under construction: zeroed at first, cleared at last. */
typedef struct FhaSeries FhaSeries;
typedef struct FhaPrometheus
{
	FhaSeries *series;
	size_t count, room;
	size_t bytes;      /* of all texts */
	uint64_t refused;  /* names, types or labels that the format does not allow */
	uint64_t repeated; /* series that were there already */
	uint64_t overflow; /* beyond the caps, or no memory was left */
} FhaPrometheus;

/*
 * Append `name="value"`, escaped, to the labels in `out` ("" at first), with a comma before all but the first.
 * INVALID: not a name for a label, or it does not fit.  `out` is then as it was.
 */
FHA_API FHA_MUST_CHECK FhaCode fha_prometheus_label(char *out, size_t size, const char *name,
													const char *value, FhaError *err);

/*
 * One value; `labels` as fha_prometheus_label makes them.  All texts are copied.  A type that is
 * neither counter nor gauge is printed as untyped; a histogram comes by fha_prometheus_metric.
 */
FHA_API void fha_prometheus_add(FhaPrometheus *page, const char *name, const char *type,
								const char *help, const char *labels, double value);

/* A sink of metrics.h; `page` is a FhaPrometheus. */
FHA_API void fha_prometheus_metric(void *page, const FhaMetric *metric);

/* The page as a string, *out: free it.  NO_MEMORY. */
FHA_API FHA_MUST_CHECK FhaCode fha_prometheus_text(FhaPrometheus *page, char **out, size_t *size,
												   FhaError *err);

FHA_API void fha_prometheus_clear(FhaPrometheus *page);

#endif
