/*
 * sim_peer_client.c: in place of peer/client.c: questions of members over a network that loses,
 * delays and is cut.  The asked node answers by fha_node_promise.  HTTP is left out, and so are
 * signatures: a question carries its key.
 */
#include "peer/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "test/sim/sim.h"

typedef struct PeerCall
{
	uint64_t id; /* 0: free */
	char member[FHA_NAME_SIZE];
	bool ended;
	FhaPeerCallEvent event;
} PeerCall;

struct FhaPeerClient
{
	int fd;
	SimHost *host;
	FhaPeerCaller caller;
	FhaKey previous;
	int64_t previous_until_us;
	PeerCall calls[FHA_MEMBERS_MAX];
	FhaPeerClient *next;
};

/* What is on its way, there and back. */
typedef struct Letter
{
	uint64_t id;
	int from;
	int to;
	FhaKey key;
	FhaQuestion question;
	FhaCode code;
	FhaPromise promise;
} Letter;

static FhaPeerClient *clients;
static uint64_t last_id;

FhaCode
fha_peer_client_open(FhaPeerClient **out, const FhaPeerCaller *caller, FhaError *err)
{
	FhaPeerClient *client = sim_alloc(sizeof(*client));

	memset(client, 0, sizeof(*client));
	client->host = sim_here;
	client->caller = *caller;
	client->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	client->next = clients;
	clients = client;
	*out = client;
	return client->fd < 0 ? fha_error_errno(err, FHA_IO, "eventfd") : FHA_OK;
}

void
fha_peer_client_close(FhaPeerClient *client)
{
	FhaPeerClient **at = &clients;

	if (client == NULL)
		return;
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	(void) close(client->fd);
	free(client);
}

void
fha_peer_client_new_key(FhaPeerClient *client, const FhaKey *key, int64_t ends_at_ms)
{
	client->previous = client->caller.key;
	client->previous_until_us = sim_world_us(client->host, ends_at_ms);
	client->caller.key = *key;
}

bool
fha_peer_client_has_key(const FhaPeerClient *client, const FhaKey *key)
{
	return memcmp(&client->caller.key, key, sizeof(*key)) == 0;
}

static PeerCall *
find_call(uint64_t id, FhaPeerClient **of)
{
	for (FhaPeerClient *client = clients; client != NULL; client = client->next)
		for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
			if (client->calls[i].id == id)
			{
				*of = client;
				return &client->calls[i];
			}
	return NULL;
}

static void
end_call(const Letter *letter, FhaCode code, const char *text)
{
	FhaPeerClient *client;
	PeerCall *call = find_call(letter->id, &client);

	if (call == NULL || call->ended)
		return;
	call->ended = true;
	memcpy(call->event.member, call->member, sizeof(call->event.member));
	call->event.code = code;
	call->event.reply.promise = letter->promise;
	(void) fha_error(&call->event.error, code, "%s", text);
	sim_host_wake(&sim_hosts[letter->from]);
}

static void
expire(void *argument)
{
	end_call(argument, FHA_TIMEOUT, "no answer in time");
}

static void come_to(void *argument);

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
come_back(void *argument)
{
	Letter *letter = argument;
	FhaPeerClient *client;

	/* It may have the password before. */
	if (letter->code == FHA_DENIED && find_call(letter->id, &client) != NULL &&
		sim_us < client->previous_until_us &&
		memcmp(&letter->key, &client->caller.key, sizeof(letter->key)) == 0)
	{
		letter->key = client->previous;
		send(letter, sim_us, letter->to, come_to);
		return;
	}
	end_call(letter, letter->code,
			 letter->code == FHA_OK       ? ""
			 : letter->code == FHA_DENIED ? "not authenticated"
										  : "nobody answers there");
}

/* Is it asked with this host's key, or for a lease with the one before? */
static bool
knows_key(const SimHost *host, const FhaKey *key)
{
	FhaKey own;
	FhaError err;

	if (host->password_us == 0)
		return true;
	if (fha_key_read(&host->config, &own, &err) != FHA_OK)
		sim_fail("%s has no key: %s", host->config.member_name, err.text);
	return memcmp(&own, key, sizeof(own)) == 0 ||
		   sim_host_ms(host, sim_us) <
			   sim_host_ms(host, host->password_us) + host->config.lease_duration_ms;
}

static void
come_to(void *argument)
{
	Letter *letter = argument;
	SimHost *host = &sim_hosts[letter->to];

	/* Who speaks there is stopped: the question waits in its socket. */
	if (sim_host_stopped_until(host) > sim_us)
	{
		Letter *again = sim_alloc(sizeof(*again));

		*again = *letter;
		sim_at(sim_host_stopped_until(host), letter->to, come_to, again);
		return;
	}
	letter->code = FHA_IO;
	/* What it promised would not bind the other (docs/design.md, S10: what it rests on). */
	if (sim_host_has_twin(host))
		return;
	if (host->node != NULL && !knows_key(host, &letter->key))
		letter->code = FHA_DENIED;
	else if (host->node != NULL && strcmp(letter->question.to, host->config.member_name) == 0)
	{
		letter->code = FHA_OK;
		sim_here = host;
		fha_node_promise(host->node, &letter->question, &letter->promise);
		sim_here = NULL;
		if (host->dead)
			return;
		sim_machine_step(host, SIM_STEP_PROMISE);
		sim_disk_check(host);
		if (letter->promise.given)
			judge_promised(host, &letter->question.promise);
		sim_trace(host->index, "promises %s term %llu: %s", letter->question.from,
				  (unsigned long long) letter->question.promise.term,
				  letter->promise.given ? "yes" : letter->promise.why);
		/* It may have been nudged. */
		sim_host_wake(host);
	}
	send(letter, sim_host_us(host), letter->from, come_back);
}

FhaCode
fha_peer_call_start(FhaPeerClient *client, const char *address, const char *member,
					const char *kind, const FhaPromiseTerms *terms, int64_t deadline_at_ms,
					FhaError *err)
{
	Letter letter = {.id = ++last_id, .from = client->host->index};
	Letter *late = sim_alloc(sizeof(*late));
	PeerCall *call = client->calls;
	int port = 0;

	while (call < client->calls + FHA_MEMBERS_MAX && call->id != 0)
		call++;
	if (call == client->calls + FHA_MEMBERS_MAX ||
		sscanf(strrchr(address, ':') + 1, "%d", &port) != 1 || port < 8001 ||
		port > 8000 + sim_host_count)
	{
		free(late);
		return fha_error(err, FHA_INVALID, "\"%.80s\" is nobody's listener", address);
	}
	letter.to = port - 8001;
	letter.key = client->caller.key;
	(void) snprintf(letter.question.kind, sizeof(letter.question.kind), "%s", kind);
	memcpy(letter.question.cluster, client->caller.cluster, sizeof(letter.question.cluster));
	letter.question.system_identifier = client->caller.system_identifier;
	memcpy(letter.question.from, client->caller.member, sizeof(letter.question.from));
	memcpy(letter.question.from_incarnation, client->caller.incarnation,
		   sizeof(letter.question.from_incarnation));
	(void) snprintf(letter.question.to, sizeof(letter.question.to), "%s", member);
	if (terms != NULL)
		letter.question.promise = *terms;
	memset(call, 0, sizeof(*call));
	call->id = letter.id;
	(void) snprintf(call->member, sizeof(call->member), "%s", member);
	*late = letter;
	if (client->host->dead)
	{
		free(late);
		return FHA_OK;
	}
	sim_at(sim_world_us(client->host, deadline_at_ms), client->host->index, expire, late);
	send(&letter, sim_host_us(client->host), letter.to, come_to);
	return FHA_OK;
}

FhaCode
fha_peer_client_step(FhaPeerClient *client, FhaPeerCallEvent *event)
{
	for (size_t i = 0; i < FHA_MEMBERS_MAX; i++)
		if (client->calls[i].ended)
		{
			*event = client->calls[i].event;
			memset(&client->calls[i], 0, sizeof(client->calls[i]));
			return FHA_OK;
		}
	return FHA_AGAIN;
}

int
fha_peer_client_fd(const FhaPeerClient *client)
{
	return client->fd;
}

int64_t
fha_peer_client_wake_at_ms(const FhaPeerClient *client)
{
	(void) client;
	return INT64_MAX;
}
