/*
 * own_metrics.h: what fawkes_ha measures of itself, from shared memory alone.
 */
#ifndef FAWKES_OWN_METRICS_H
#define FAWKES_OWN_METRICS_H

#include "show/metrics.h"

/* By the agent alone, at the end of a turn. */
extern void own_metrics_publish(const FhaVitals *vitals);

/*
 * What the agent published last (vitals->at_ms 0: nothing yet), the fence at this moment, and whether
 * an agent runs.  Waits for nobody.  false, and nothing is set: the library is inert.
 */
extern bool own_metrics_read(FhaVitals *vitals, FhaFenceState *fence, bool *agent);

/*
 * All rows of metrics.h, as of this moment.  For any process of this server with shared memory, in
 * recovery too; none where the library is inert.  The sink may not raise an error that it does not
 * want raised here: no lock is held while it runs.
 */
extern void own_metrics_list(FhaMetricSink sink, void *argument);

#endif
