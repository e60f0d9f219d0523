/*
 * cmd_request.c: `fawkes-ha switchover` and `fawkes-ha failover`.
 *
 * Puts a request into the cluster record and watches the record for its result.
 */
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cluster.h"
#include "observe.h"

#define CALL_WAIT_MS 5000
#define POLL_MS 50
#define TRIES \
	20 /* the holder renews all the time: a conditional write may come second a few times */

static void
who_asks(char *out, size_t size)
{
	const struct passwd *user = getpwuid(geteuid());

	(void) snprintf(out, size, "%s (fawkes-ha)", user == NULL ? "?" : user->pw_name);
}

static FhaCode
swap_cluster(Cluster *cluster, const CliOptions *options, const char *text, FhaLockEvent *event)
{
	FhaLockRequest request = {.verb = FHA_LOCK_SWAP,
							  .name = options->config.cluster_name,
							  .version = cluster->version,
							  .data = text,
							  .size = strlen(text),
							  .deadline_ms = fha_now_ms() + CALL_WAIT_MS};

	return fha_lock_call(cluster->lock, &request, event);
}

static int
put_request(Cluster *cluster, const CliOptions *options, const FhaOrderSlip *request)
{
	FhaLockEvent event;
	FhaError err;

	for (int i = 0; i < TRIES; i++)
	{
		const FhaOrderSlip *standing = &cluster->record.request;
		FhaCluster changed;
		char *text;
		FhaCode code;
		int result = cluster_read(cluster, options);

		if (result != CLI_OK)
			return result;
		if (fha_request_is_in_the_way(standing, request))
		{
			cli_complain("a %s asked for by %s at %s is under way",
						 fha_request_kind_name(standing->kind), standing->requested_by,
						 standing->requested_at);
			return CLI_REFUSED;
		}
		if (strcmp(standing->id, request->id) == 0)
			return CLI_OK; /* an earlier write of ours did arrive */
		if (request->target[0] != '\0' && !fha_member_is_listed(&cluster->record, request->target))
		{
			cli_complain("\"%s\" is not a member of %s; see fawkes-ha status", request->target,
						 cluster->record.cluster);
			return CLI_REFUSED;
		}
		changed = cluster->record;
		changed.request = *request;
		if (fha_cluster_print(&changed, &text, &err) != FHA_OK)
		{
			cli_complain("%s", err.text);
			return CLI_FAILED;
		}
		code = swap_cluster(cluster, options, text, &event);
		free(text);
		if (code == FHA_OK)
			return CLI_OK;
		if (code != FHA_CONFLICT && code != FHA_UNKNOWN)
		{
			cli_complain("the lock refused the request: %s", event.error.text);
			return CLI_NO_LOCK;
		}
	}
	cli_complain("the request could not be written in %d tries", TRIES);
	return CLI_NO_LOCK;
}

/* Does somebody lead?  Only watching tells: the record of a lease that is held changes. */
static int
look_for_leader(Cluster *cluster, const CliOptions *options, bool *leads)
{
	int64_t until_ms;
	char seen[FHA_VERSION_SIZE];
	int result = cluster_read(cluster, options);

	*leads = false;
	memcpy(seen, cluster->version, sizeof(seen));
	until_ms = fha_now_ms() + cluster->record.lease_duration_ms;
	while (result == CLI_OK && !cluster->record.released && !*leads && fha_now_ms() < until_ms)
	{
		(void) poll(NULL, 0, POLL_MS);
		result = cluster_read(cluster, options);
		*leads = strcmp(seen, cluster->version) != 0;
	}
	if (*leads)
	{
		/* A holder whose server is down renews as well, but it does not lead. */
		for (size_t i = 0; i < cluster->member_count; i++)
			if (strcmp(cluster->members[i].member, cluster->record.holder) == 0)
				*leads = cluster->members[i].role == FHA_ROLE_PRIMARY;
	}
	return result;
}

/* Nobody has begun it and we stop waiting: it must not be carried out when nobody expects it. */
static void
withdraw(Cluster *cluster, const CliOptions *options, const FhaOrderSlip *request)
{
	FhaLockEvent event;

	for (int i = 0; i < TRIES; i++)
	{
		FhaCluster changed;
		FhaCode code;
		char *text;

		if (cluster_read(cluster, options) != CLI_OK ||
			strcmp(cluster->record.request.id, request->id) != 0 ||
			cluster->record.request.state != FHA_REQUEST_PENDING)
			return;
		changed = cluster->record;
		changed.request.state = FHA_REQUEST_FAILED;
		(void) snprintf(changed.request.message, sizeof(changed.request.message),
						"withdrawn: nobody took it up in %d s", options->wait_s);
		if (fha_cluster_print(&changed, &text, NULL) != FHA_OK)
			return;
		code = swap_cluster(cluster, options, text, &event);
		free(text);
		if (code == FHA_OK)
		{
			cli_complain("nobody took the request up in %d s: it is withdrawn", options->wait_s);
			return;
		}
	}
}

static int
watch_request(Cluster *cluster, const CliOptions *options, const FhaOrderSlip *request)
{
	int64_t until_ms = fha_now_ms() + (int64_t) options->wait_s * 1000;
	FhaRequestState told = FHA_REQUEST_PENDING;

	do
	{
		const FhaOrderSlip *now = &cluster->record.request;
		int result = cluster_read(cluster, options);

		if (result != CLI_OK)
			return result;
		if (strcmp(now->id, request->id) != 0)
		{
			cli_complain("the request was replaced by another one");
			return CLI_FAILED;
		}
		if (now->state != told && now->message[0] != '\0')
			(void) printf("%s\n", now->message);
		told = now->state;
		if (now->state == FHA_REQUEST_DONE)
			return CLI_OK;
		if (now->state == FHA_REQUEST_FAILED)
			return CLI_REFUSED;
		(void) poll(NULL, 0, POLL_MS);
	} while (fha_now_ms() < until_ms);
	if (told == FHA_REQUEST_PENDING)
		withdraw(cluster, options, request);
	else
		cli_complain("not finished after %d s; it goes on: see fawkes-ha status", options->wait_s);
	return CLI_FAILED;
}

static int
ask(CliOptions *options, FhaRequestKind kind)
{
	static Cluster cluster;
	FhaOrderSlip request = {.kind = kind, .state = FHA_REQUEST_PENDING};
	FhaError err;
	bool leads;
	int result;

	if (fha_random_hex(request.id, sizeof(request.id), &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	(void) snprintf(request.target, sizeof(request.target), "%s", options->target);
	who_asks(request.requested_by, sizeof(request.requested_by));
	fha_wall_time(request.requested_at, sizeof(request.requested_at));
	result = cluster_open(&cluster, options);
	if (result == CLI_OK)
		result = look_for_leader(&cluster, options, &leads);
	if (result == CLI_OK && kind == FHA_REQUEST_SWITCHOVER && !leads)
	{
		cli_complain(
			"nobody leads, so nobody can hand over; fawkes-ha failover makes a standby lead");
		result = CLI_REFUSED;
	}
	if (result == CLI_OK && kind == FHA_REQUEST_FAILOVER && leads && !options->force)
	{
		cli_complain(
			"%s leads; fawkes-ha switchover moves its role, failover --force takes it away",
			cluster.record.holder);
		result = CLI_REFUSED;
	}
	if (result == CLI_OK)
		result = put_request(&cluster, options, &request);
	if (result == CLI_OK)
		result = watch_request(&cluster, options, &request);
	cluster_close(&cluster);
	return result;
}

static int
run_switchover(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return ask(options, FHA_REQUEST_SWITCHOVER);
}

static int
run_failover(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return ask(options, FHA_REQUEST_FAILOVER);
}

const CliCommand command_switchover = {
	"switchover",
	"-D DATA [--to MEMBER] [--wait SECONDS]",
	"hand the primary's role to a standby, losing nothing",
	run_switchover,
};

const CliCommand command_failover = {
	"failover",
	"-D DATA [--to MEMBER] [--wait SECONDS] [--force]",
	"make a standby lead although the primary is gone or unwell; the lag limit does not hold it "
	"back",
	run_failover,
};
