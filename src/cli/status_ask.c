/*
 * status_ask.c: what each member says of itself, beside what the lock says.
 */
#include "cli/status_ask.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lsn.h"
#include "peer/client.h"

#define ANSWER_WAIT_MS 3000

static FhaCode
caller_introduce(const Cluster *cluster, const CliOptions *options, FhaPeerCaller *caller,
				 FhaError *err)
{
	const FhaConfig *config = &options->config;

	memset(caller, 0, sizeof(*caller));
	if (config->member_name[0] == '\0')
		return fha_error(
			err, FHA_INVALID,
			"--ask needs a node: give its -D DATA, whose pgpass has the cluster's key");
	(void) snprintf(caller->cluster, sizeof(caller->cluster), "%s", config->cluster_name);
	(void) snprintf(caller->member, sizeof(caller->member), "%s", config->member_name);
	caller->system_identifier = cluster->record.system_identifier;
	if (fha_random_hex(caller->incarnation, sizeof(caller->incarnation), err) != FHA_OK)
		return err->code;
	return fha_key_read(config, &caller->key, err);
}

static void
answer_print(const char *member, const char *role, const char *fence, const char *position,
			 const char *term, const char *text)
{
	cli_line("%-12s %-8s %-15s %-20s %5s  %s", member, role, fence, position, term, text);
}

static void
print_event(const FhaPeerCallEvent *event)
{
	const FhaReply *reply = &event->reply;
	char lsn[FHA_LSN_TEXT_SIZE];
	char fence[32] = "shut";
	char position[48] = "-";
	char term[24];

	if (event->code != FHA_OK)
	{
		answer_print(event->member, "?", "?", "-", "-", event->error.text);
		return;
	}
	if (reply->fence_open)
		(void) snprintf(fence, sizeof(fence), "open, %" PRId64 " ms", reply->fence_left_ms);
	if (reply->position.timeline != 0)
	{
		fha_lsn_print(reply->position.lsn, lsn, sizeof(lsn));
		(void) snprintf(position, sizeof(position), "%" PRIu32 " %s", reply->position.timeline,
						lsn);
	}
	(void) snprintf(term, sizeof(term), "%" PRIu64, reply->term);
	answer_print(event->member, reply->role, fence, position, term, reply->because);
}

/* Every question ends by its deadline. */
static void
answers_collect(FhaPeerClient *client, FhaPeerCallEvent *events, size_t count)
{
	for (size_t done = 0; done < count;)
	{
		struct pollfd wait = {.fd = fha_peer_client_fd(client), .events = POLLIN};
		int64_t left_ms;

		if (fha_peer_client_step(client, &events[done]) == FHA_OK)
		{
			done++;
			continue;
		}
		left_ms = fha_peer_client_wake_at_ms(client) - fha_now_ms();
		(void) poll(&wait, 1, left_ms < 0 ? 0 : left_ms > 1000 ? 1000 : (int) left_ms);
	}
}

static int
by_member(const void *a, const void *b)
{
	return strcmp(((const FhaPeerCallEvent *) a)->member, ((const FhaPeerCallEvent *) b)->member);
}

int
status_ask(const Cluster *cluster, const CliOptions *options)
{
	static FhaPeerCallEvent events[FHA_MEMBERS_MAX];
	int64_t deadline_at_ms = fha_now_ms() + ANSWER_WAIT_MS;
	FhaPeerClient *client = NULL;
	FhaPeerCaller caller;
	FhaError err;
	size_t asked = 0;

	if (caller_introduce(cluster, options, &caller, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_USAGE;
	}
	if (fha_peer_client_open(&client, &caller, &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	(void) putchar('\n');
	cli_line("%-12s %-8s %-15s %-20s %5s  %s", "asked", "role", "fence", "position", "term",
			 "says");
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		const FhaMember *member = &cluster->members[i];

		if (member->listener[0] == '\0')
			answer_print(member->member, "?", "?", "-", "-",
						 "has no listener: fawkes_ha.listen is not set");
		else if (fha_peer_call_start(client, member->listener, member->member, FHA_KIND_STATUS,
									 NULL, deadline_at_ms, &err) == FHA_OK)
			asked++;
		else
			answer_print(member->member, "?", "?", "-", "-", err.text);
	}
	answers_collect(client, events, asked);
	qsort(events, asked, sizeof(events[0]), by_member);
	for (size_t i = 0; i < asked; i++)
		print_event(&events[i]);
	fha_peer_client_close(client);
	return CLI_OK;
}
