/*
 * leave.c: when a node that is being stopped has nothing more to do.  See leave.h.
 */
#include "node/leave.h"

#include "core/timing.h"

/* A node that stops waits no longer than this, or than for one answer, for a lock that gives none. */
#define RELEASE_WAIT_MS 800
/* And no longer than this for its own record: it tells a node that was stopped from a silent one. */
#define TELL_MS 1000
/*
 * With its last process a pod loses its address, and who is still sent there waits for an answer
 * that nobody gives.  While a process is left it is refused at once: so long Services may take to
 * send everybody to a new leader, and so long one may take to be there.
 */
#define LINGER_MS 2000
#define LINGER_MOST_MS 10000

static bool
leave_lingers(const FhaLeave *leave, const FhaConfig *config, bool hurry, int64_t now_ms)
{
	return config->pod[0] != '\0' && !hurry && now_ms < leave->ended_at_ms + LINGER_MOST_MS &&
		   (leave->led_at_ms == 0 || now_ms < leave->led_at_ms + LINGER_MS);
}

static int64_t
release_wait_ms(const FhaConfig *config)
{
	int64_t answer_ms = FHA_ANSWER_PERIODS * config->retry_period_ms;

	return answer_ms > RELEASE_WAIT_MS ? answer_ms : RELEASE_WAIT_MS;
}

bool
fha_leave_step(FhaLeave *leave, const FhaConfig *config, const FhaLeaveFacts *facts,
			   const FhaHostAction *action, int64_t now_ms)
{
	if (!facts->ended)
		return false;
	if (leave->ended_at_ms == 0)
		leave->ended_at_ms = now_ms;
	if (leave->led_at_ms == 0 && action != NULL && action->leader[0] != '\0')
		leave->led_at_ms = now_ms;
	if (facts->job)
		return false;
	/* With no process of its own left, a lock that cannot be opened keeps nothing alive. */
	if (!facts->liveness_held)
		return facts->liveness_unreadable;
	if (leave_lingers(leave, config, facts->hurry, now_ms))
		return false;
	return (action != NULL && (!action->holds_lease || action->released) &&
			(action->told || now_ms > leave->ended_at_ms + TELL_MS)) ||
		   now_ms > leave->ended_at_ms + release_wait_ms(config);
}
