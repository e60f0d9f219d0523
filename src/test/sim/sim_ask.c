/*
 * sim_ask.c: in place of peer/client.c: questions of members over a network that loses, delays and
 * is cut.  The asked node answers by fha_node_promise; keys and HTTP are left out.
 */
#include "peer/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "test/sim/sim.h"

typedef struct Talk
{
	uint64_t id; /* 0: free */
	char member[FHA_NAME_SIZE];
	bool ended;
	FhaAskEvent event;
} Talk;

struct FhaAsk
{
	int fd;
	SimHost *host;
	FhaAsker asker;
	Talk talks[FHA_MEMBERS_MAX];
	FhaAsk *next;
};

/* What is on its way, there and back. */
typedef struct Letter
{
	uint64_t id;
	int from;
	int to;
	FhaQuestion question;
	FhaCode code;
	FhaPromise promise;
} Letter;

static FhaAsk *asks;
static uint64_t last_id;

FhaCode
fha_ask_open(FhaAsk **out, const FhaAsker *asker, FhaError *err)
{
	FhaAsk *ask = sim_alloc(sizeof(*ask));

	memset(ask, 0, sizeof(*ask));
	ask->host = sim_here;
	ask->asker = *asker;
	ask->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ask->next = asks;
	asks = ask;
	*out = ask;
	return ask->fd < 0 ? fha_error_errno(err, FHA_IO, "eventfd") : FHA_OK;
}

void
fha_ask_close(FhaAsk *ask)
{
	FhaAsk **at = &asks;

	if (ask == NULL)
		return;
	while (*at != ask)
		at = &(*at)->next;
	*at = ask->next;
	(void) close(ask->fd);
	free(ask);
}

void
fha_ask_new_key(FhaAsk *ask, const FhaKey *key, int64_t until_ms)
{
	(void) until_ms;
	ask->asker.key = *key;
}

bool
fha_ask_has_key(const FhaAsk *ask, const FhaKey *key)
{
	return memcmp(&ask->asker.key, key, sizeof(*key)) == 0;
}

static Talk *
find_talk(uint64_t id)
{
	for (FhaAsk *ask = asks; ask != NULL; ask = ask->next)
		for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
			if (ask->talks[i].id == id)
				return &ask->talks[i];
	return NULL;
}

static void
end_talk(const Letter *letter, FhaCode code, const char *text)
{
	Talk *talk = find_talk(letter->id);

	if (talk == NULL || talk->ended)
		return;
	talk->ended = true;
	memcpy(talk->event.member, talk->member, sizeof(talk->event.member));
	talk->event.code = code;
	talk->event.reply.promise = letter->promise;
	(void) fha_error(&talk->event.error, code, "%s", text);
	sim_host_wake(&sim_hosts[letter->from]);
}

static void
expire(void *argument)
{
	end_talk(argument, FHA_TIMEOUT, "no answer in time");
}

static void
come_back(void *argument)
{
	const Letter *letter = argument;

	end_talk(letter, letter->code, letter->code == FHA_OK ? "" : "nobody answers there");
}

static void
send(const Letter *letter, int64_t now_us, int host, SimAct act)
{
	Letter *copy;
	int64_t delay_us = sim_chance(sim_habits.late_letters) ? sim_between(SIM_MS, 900 * SIM_MS)
														   : sim_between(50, 3 * SIM_MS);

	if (sim_cut[letter->from][letter->to] || sim_chance(sim_habits.lost_letters))
		return;
	copy = sim_alloc(sizeof(*copy));
	*copy = *letter;
	sim_at(now_us + delay_us, host, act, copy);
}

static void
come_to(void *argument)
{
	Letter *letter = argument;
	SimHost *host = &sim_hosts[letter->to];

	/* Who speaks there is stopped: the question waits in its socket. */
	if (host->speaker == SIM_AGENT && host->agent_paused_until > sim_us)
	{
		Letter *again = sim_alloc(sizeof(*again));

		*again = *letter;
		sim_at(host->agent_paused_until, letter->to, come_to, again);
		return;
	}
	letter->code = FHA_IO;
	if (host->node != NULL)
	{
		letter->code = FHA_OK;
		sim_here = host;
		fha_node_promise(host->node, &letter->question, &letter->promise);
		sim_here = NULL;
		sim_trace(host->index, "promises %s term %llu: %s", letter->question.from,
				  (unsigned long long) letter->question.promise.term,
				  letter->promise.given ? "yes" : letter->promise.why);
		/* It may have been nudged. */
		sim_host_wake(host);
	}
	send(letter, sim_host_us(host), letter->from, come_back);
}

FhaCode
fha_ask_start(FhaAsk *ask, const char *address, const char *member, const char *kind,
			  const FhaPromiseTerms *terms, int64_t deadline_ms, FhaError *err)
{
	Letter letter = {.id = ++last_id, .from = ask->host->index};
	Letter *late = sim_alloc(sizeof(*late));
	Talk *talk = ask->talks;
	int port = 0;

	while (talk < ask->talks + FHA_MEMBERS_MAX && talk->id != 0)
		talk++;
	if (talk == ask->talks + FHA_MEMBERS_MAX ||
		sscanf(strrchr(address, ':') + 1, "%d", &port) != 1 || port < 8001 ||
		port > 8000 + sim_host_count)
	{
		free(late);
		return fha_error(err, FHA_INVALID, "\"%.80s\" is nobody's listener", address);
	}
	letter.to = port - 8001;
	(void) snprintf(letter.question.kind, sizeof(letter.question.kind), "%s", kind);
	memcpy(letter.question.cluster, ask->asker.cluster, sizeof(letter.question.cluster));
	letter.question.system_identifier = ask->asker.system_identifier;
	memcpy(letter.question.from, ask->asker.member, sizeof(letter.question.from));
	memcpy(letter.question.from_incarnation, ask->asker.incarnation,
		   sizeof(letter.question.from_incarnation));
	(void) snprintf(letter.question.to, sizeof(letter.question.to), "%s", member);
	if (terms != NULL)
		letter.question.promise = *terms;
	memset(talk, 0, sizeof(*talk));
	talk->id = letter.id;
	(void) snprintf(talk->member, sizeof(talk->member), "%s", member);
	*late = letter;
	sim_at(sim_world_us(ask->host, deadline_ms), ask->host->index, expire, late);
	send(&letter, sim_host_us(ask->host), letter.to, come_to);
	return FHA_OK;
}

FhaCode
fha_ask_step(FhaAsk *ask, FhaAskEvent *event)
{
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		if (ask->talks[i].ended)
		{
			*event = ask->talks[i].event;
			memset(&ask->talks[i], 0, sizeof(ask->talks[i]));
			return FHA_OK;
		}
	return FHA_AGAIN;
}

int
fha_ask_fd(const FhaAsk *ask)
{
	return ask->fd;
}

int64_t
fha_ask_wake_ms(const FhaAsk *ask)
{
	(void) ask;
	return INT64_MAX;
}
