/*
 * prepare.c: when a primary is prepared to stop.  See prepare.h.
 */
#include "core/prepare.h"

/* A checkpoint before a stop should leave no more than this to the shutdown's own. */
#define STOP_WAL_BYTES (16 * 1024 * 1024)
#define STOP_CHECKPOINTS 3

bool
fha_prepare_step(FhaPrepare *prepare, const FhaPrepareFacts *facts)
{
	if (!facts->handover && !facts->asked)
	{
		prepare->checkpoints = 0;
		prepare->prepared = false;
		return false;
	}
	if ((!facts->writes && !facts->handover) || prepare->prepared ||
		(prepare->checkpoints > 0 && !facts->made))
		return false;
	if (prepare->checkpoints == STOP_CHECKPOINTS ||
		(prepare->checkpoints > 0 && facts->lsn - prepare->begun < STOP_WAL_BYTES))
	{
		prepare->prepared = true;
		return false;
	}
	prepare->checkpoints++;
	prepare->begun = facts->lsn;
	return true;
}

bool
fha_prepare_is_enough(const FhaPrepare *prepare, const FhaPrepareFacts *facts)
{
	return facts->asked && (prepare->prepared || !facts->writes);
}
