/*
 * cmd_request.c: the commands that request something of the cluster.
 *
 * Each puts a request into the cluster record and watches the record for its
 * result; what needs nobody else is done by writing it.
 */
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cluster.h"
#include "cli/postgres.h"
#include "cli/rejoin.h"
#include "core/observe.h"
#include "node/state.h"
#include "peer/protocol.h"
#include "record/request.h"

/* The signal that asked this command to end while its request stands; 0: none. */
static volatile sig_atomic_t interrupted;

static void
note_signal(int number)
{
	interrupted = number;
}

/* From here on a Ctrl-C finds a request in the lock, and does not leave it there unsaid. */
static void
catch_signals(void)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = note_signal};
	struct sigaction before;

	(void) sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		/* One that is ignored stays so, as nohup has it. */
		if (sigaction(wanted[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			(void) sigaction(wanted[i], &action, NULL);
}

/* The caller's shell learns how we ended, so that its loop ends, too. */
static void
end_by_signal(void)
{
	(void) fflush(stdout);
	(void) signal(interrupted, SIG_DFL);
	(void) raise(interrupted);
}

/* Between two looks at the lock: ten in a retry_period, as that is what the lock is made for. */
static int
poll_ms(const CliOptions *options)
{
	return (int) (options->config.retry_period_ms / 10);
}

static void
who_asks(char *out, size_t size)
{
	const struct passwd *user = getpwuid(geteuid());

	(void) snprintf(out, size, "%.40s (fawkes-ha)", user == NULL ? "?" : user->pw_name);
}

static int
request_check(Cluster *cluster, const CliOptions *options, const FhaRequest *request, char *plan)
{
	FhaError err;

	if (fha_request_check(&cluster->record, cluster->members, cluster->member_count,
						  options->config.lock, request, plan, &err) == FHA_OK)
		return CLI_OK;
	cli_complain("%s", err.text);
	return CLI_REFUSED;
}

/* Members use no settings but those that are signed with the cluster key, once all of them sign. */
static int
sign_settings(const CliOptions *options, const FhaCluster *before, FhaCluster *changed)
{
	FhaError err;
	FhaKey key;

	if (before->settings_signature.serial == 0)
		return CLI_OK;
	if (fha_key_read(&options->config, &key, &err) != FHA_OK)
	{
		cli_complain(
			"settings of all members are signed with the cluster key, which is made from a "
			"member's pgpass: give -D DATA of a member, as the user that runs it: %s",
			err.text);
		return CLI_REFUSED;
	}
	if (!fha_settings_are_signed(before, &key))
	{
		cli_complain("the settings in the lock are not signed with this member's cluster key: the "
					 "primary puts its own back; if this stays, compare the members' pgpass");
		return CLI_REFUSED;
	}
	changed->settings_signature.serial++;
	if (fha_settings_sign(changed, &key, &err) == FHA_OK)
		return CLI_OK;
	cli_complain("%s", err.text);
	return CLI_FAILED;
}

/* *request changes when it is done by having been written. */
static int
request_put(Cluster *cluster, const CliOptions *options, FhaRequest *request)
{
	FhaLockEvent event;
	FhaRequest entered = *request;
	bool unknown = false;

	for (int i = 0; i < CLUSTER_TRIES; i++)
	{
		FhaCluster changed;
		char plan[FHA_PLAN_SIZE];
		FhaCode code;
		int result = cluster_read(cluster, options);

		if (result != CLI_OK)
			return result;
		/* An earlier write of ours did arrive: somebody else may have written since. */
		if (unknown && fha_request_is_in_effect(&cluster->record, request))
		{
			*request = entered;
			return CLI_OK;
		}
		entered = *request;
		result = request_check(cluster, options, request, plan);
		if (result != CLI_OK)
			return result;
		changed = cluster->record;
		if (fha_request_enter(&changed, &entered, &event.error) != FHA_OK)
		{
			cli_complain("%s", event.error.text);
			return CLI_REFUSED;
		}
		if (request->kind == FHA_REQUEST_SET || request->kind == FHA_REQUEST_RESET)
			result = sign_settings(options, &cluster->record, &changed);
		if (result != CLI_OK)
			return result;
		code = cluster_swap(cluster, &changed, &event);
		if (code == FHA_OK)
		{
			*request = entered;
			return CLI_OK;
		}
		unknown = unknown || code == FHA_UNKNOWN;
		if (code != FHA_CONFLICT && code != FHA_UNKNOWN)
		{
			cli_complain("the lock refused the request: %s", event.error.text);
			return CLI_NO_LOCK;
		}
	}
	cli_complain("the request could not be written in %d tries", CLUSTER_TRIES);
	return CLI_NO_LOCK;
}

/*
 * Is the lease held, and does its holder lead?  Only watching tells: the record of a lease that is
 * held is renewed, also by a holder whose server is down.
 */
static int
look_for_leader(Cluster *cluster, const CliOptions *options, bool *held, bool *leads)
{
	int64_t ends_at_ms;
	char seen[FHA_WATCH_SIGN_SIZE];
	char now[FHA_WATCH_SIGN_SIZE];
	int result = cluster_read(cluster, options);

	*held = *leads = false;
	fha_cluster_sign(&cluster->record, seen);
	ends_at_ms = fha_now_ms() + cluster->record.lease_duration_ms;
	while (result == CLI_OK && !cluster->record.released && !*held && fha_now_ms() < ends_at_ms)
	{
		(void) poll(NULL, 0, poll_ms(options));
		result = cluster_read(cluster, options);
		fha_cluster_sign(&cluster->record, now);
		*held = strcmp(seen, now) != 0;
	}
	for (size_t i = 0; *held && i < cluster->member_count; i++)
		if (strcmp(cluster->members[i].member, cluster->record.holder) == 0)
			*leads = cluster->members[i].role == FHA_ROLE_PRIMARY;
	return result;
}

/*
 * Nobody has begun it and we stop waiting: it must not be carried out when nobody expects it.
 * False: somebody has begun it, or the lock does not answer.
 */
static bool
request_withdraw(Cluster *cluster, const CliOptions *options, const FhaRequest *request,
				 const char *why)
{
	FhaLockEvent event;
	FhaHistoryEntry entry;
	FhaCluster changed;
	char message[FHA_SENTENCE_SIZE];
	bool withdrawn = false;

	(void) snprintf(message, sizeof(message), "withdrawn: %s", why);
	for (int i = 0; i < CLUSTER_TRIES && !withdrawn; i++)
	{
		if (cluster_read(cluster, options) != CLI_OK ||
			strcmp(cluster->record.request.id, request->id) != 0)
			return false;
		changed = cluster->record;
		/* A write of unknown fate that did arrive. */
		withdrawn = strcmp(changed.request.message, message) == 0;
		if (withdrawn)
			continue;
		if (changed.request.state != FHA_REQUEST_PENDING)
			return false;
		changed.request.state = FHA_REQUEST_FAILED;
		memcpy(changed.request.message, message, sizeof(message));
		withdrawn = cluster_swap(cluster, &changed, &event) == FHA_OK;
	}
	if (!withdrawn)
		return false;
	cli_complain("%s: it is withdrawn", why);
	fha_history_of_request(&changed, &changed.request, fha_wall_ms(), &entry);
	cluster_remember(cluster, options, &entry);
	return true;
}

static int
stop_watching(Cluster *cluster, const CliOptions *options, const FhaRequest *request,
			  FhaRequestState state)
{
	char why[80] = "its command was interrupted before anybody took it up";

	if (interrupted == 0)
		(void) snprintf(why, sizeof(why), "nobody took the request up in %d s", options->wait_s);
	if (state == FHA_REQUEST_PENDING && request_withdraw(cluster, options, request, why))
		return CLI_FAILED;
	if (interrupted == 0)
		cli_complain("not finished after %d s; it goes on: see fawkes-ha status", options->wait_s);
	else
		cli_complain("interrupted; the request goes on: see fawkes-ha status");
	return CLI_FAILED;
}

static int
watch_request(Cluster *cluster, const CliOptions *options, const FhaRequest *request)
{
	/* The holder gives up at the limit, and says how far it came: that is worth a moment more. */
	int64_t ends_at_ms = fha_now_ms() + (int64_t) options->wait_s * 1000 + 2 * poll_ms(options) +
						 cluster->record.lease_duration_ms;
	char told[FHA_SENTENCE_SIZE] = "";
	FhaRequestState state = FHA_REQUEST_PENDING;

	do
	{
		const FhaRequest *now = &cluster->record.request;
		int result = cluster_read(cluster, options);

		if (result != CLI_OK)
			return result;
		if (strcmp(now->id, request->id) != 0)
		{
			cli_complain("the request was replaced by another one");
			return CLI_FAILED;
		}
		if (strcmp(now->message, told) != 0)
		{
			cli_line("%s", now->message);
			(void) fflush(stdout);
			memcpy(told, now->message, sizeof(told));
		}
		state = now->state;
		if (state == FHA_REQUEST_DONE)
			return CLI_OK;
		if (state == FHA_REQUEST_FAILED)
			return CLI_REFUSED;
		(void) poll(NULL, 0, poll_ms(options));
	} while (interrupted == 0 && fha_now_ms() < ends_at_ms);
	return stop_watching(cluster, options, request, state);
}

/* What the records cannot tell by one look: does anybody lead? */
static int
check_leader(Cluster *cluster, const CliOptions *options, FhaRequestKind kind)
{
	bool held;
	bool leads;
	int result = look_for_leader(cluster, options, &held, &leads);

	if (result != CLI_OK)
		return result;
	if (kind == FHA_REQUEST_SWITCHOVER && !leads)
		cli_complain(
			"nobody leads, so nobody can hand over; fawkes-ha failover makes a standby lead");
	else if (kind == FHA_REQUEST_FAILOVER && leads && !options->force)
		cli_complain(
			"%s leads; fawkes-ha switchover moves its role, failover --force takes it away",
			cluster->record.holder);
	else if (kind != FHA_REQUEST_SWITCHOVER && kind != FHA_REQUEST_FAILOVER && !held)
		cli_complain("nobody holds the lease, so nobody can see to it; see fawkes-ha status");
	else
		return CLI_OK;
	return CLI_REFUSED;
}

static int
request_carry_out(Cluster *cluster, const CliOptions *options, FhaRequest *request)
{
	char plan[FHA_PLAN_SIZE];
	char warning[FHA_PLAN_SIZE];
	FhaHistoryEntry entry;
	int result = cluster_read(cluster, options);

	if (result == CLI_OK)
		result = request_check(cluster, options, request, plan);
	if (result == CLI_OK && !fha_request_is_done_at_once(request->kind))
		result = check_leader(cluster, options, request->kind);
	if (result == CLI_OK && fha_request_warning(&cluster->record, cluster->members,
												cluster->member_count, request, warning))
		cli_complain("%s", warning);
	if (result == CLI_OK && options->dry_run)
	{
		cli_line("would do: %s", plan);
		return CLI_OK;
	}
	if (result != CLI_OK)
		return result;
	catch_signals();
	result = request_put(cluster, options, request);
	if (result != CLI_OK)
		return result;
	if (!fha_request_is_done_at_once(request->kind))
		return watch_request(cluster, options, request);
	cli_line("%s", request->message);
	fha_history_of_request(&cluster->record, request, fha_wall_ms(), &entry);
	cluster_remember(cluster, options, &entry);
	return CLI_OK;
}

static int
request_make(CliOptions *options, FhaRequest *request)
{
	static Cluster cluster;
	FhaError err;
	int result;

	if (fha_random_hex(request->id, sizeof(request->id), &err) != FHA_OK)
	{
		cli_complain("%s", err.text);
		return CLI_FAILED;
	}
	request->time_limit_ms = (int64_t) options->wait_s * 1000;
	(void) snprintf(request->reason, sizeof(request->reason), "%s", options->reason);
	who_asks(request->requested_by, sizeof(request->requested_by));
	fha_wall_time(request->requested_at, sizeof(request->requested_at));
	result = cluster_open(&cluster, options);
	if (result == CLI_OK)
		result = request_carry_out(&cluster, options, request);
	cluster_close(&cluster);
	if (interrupted != 0 && result != CLI_OK)
		end_by_signal();
	return result;
}

static int
make_request_of(CliOptions *options, FhaRequestKind kind, const char *target)
{
	FhaRequest request = {.kind = kind, .state = FHA_REQUEST_PENDING};

	if (target[0] != '\0' && !fha_name_is_valid(target))
	{
		cli_complain("\"%s\" is not a member's name", target);
		return CLI_USAGE;
	}
	(void) snprintf(request.target, sizeof(request.target), "%.40s", target);
	return request_make(options, &request);
}

static int
run_switchover(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return make_request_of(options, FHA_REQUEST_SWITCHOVER, options->target);
}

static int
run_failover(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return make_request_of(options, FHA_REQUEST_FAILOVER, options->target);
}

static int
run_pause(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return make_request_of(options, FHA_REQUEST_PAUSE, "");
}

static int
run_resume(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return make_request_of(options, FHA_REQUEST_RESUME, "");
}

static int
run_restart(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return make_request_of(options, FHA_REQUEST_RESTART, options->operand);
}

static int
run_reinit(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return make_request_of(options, FHA_REQUEST_REINIT, options->operand);
}

static int
run_remove(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return make_request_of(options, FHA_REQUEST_REMOVE, options->operand);
}

static int
run_rejoin(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	if (options->operand[0] == '\0' && options->config.data_directory[0] != '\0' &&
		!fha_is_supervised(&options->config))
		return rejoin_by_hand(options);
	return make_request_of(options, FHA_REQUEST_REJOIN,
						   options->operand[0] == '\0' ? options->config.member_name
													   : options->operand);
}

static int
setting_ask(CliOptions *options, FhaRequestKind kind)
{
	FhaRequest request = {.kind = kind, .state = FHA_REQUEST_PENDING};
	bool reset = kind == FHA_REQUEST_RESET;
	char bindir[FHA_PATH_SIZE];
	FhaError err;
	FhaCode code = fha_request_setting(options->operand, reset, &request.setting, &err);

	if (code == FHA_OK && !reset && strncmp(request.setting.name, "fawkes_ha.", 10) != 0)
	{
		/* PostgreSQL itself knows best what it takes. */
		code = options->config.data_directory[0] == '\0'
				   ? fha_error(&err, FHA_INVALID,
							   "give -D of a member, so that its PostgreSQL can check %s",
							   request.setting.name)
				   : postgres_find(options->bindir, bindir, sizeof(bindir), &err);
		if (code == FHA_OK)
			code = postgres_accepts(&options->config, bindir, &request.setting, &err);
	}
	if (code == FHA_OK)
		return request_make(options, &request);
	cli_complain("%s", err.text);
	return CLI_USAGE;
}

static int
run_set(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return setting_ask(options, FHA_REQUEST_SET);
}

static int
run_reset(CliOptions *options, int argc, char **argv)
{
	(void) argc;
	(void) argv;
	return setting_ask(options, FHA_REQUEST_RESET);
}

#define COMMON "[--wait SECONDS] [--reason TEXT] [--dry-run]"

const CliCommand command_switchover = {
	"switchover",
	"-D DATA [--to MEMBER] " COMMON,
	"hand the primary's role to a standby, losing nothing",
	run_switchover,
	"Dslutwrn",
	NULL,
	false,
};

const CliCommand command_failover = {
	"failover",
	"-D DATA [--to MEMBER] [--force] " COMMON,
	"make a standby lead although the primary is gone or unwell; the lag limit does not hold it "
	"back",
	run_failover,
	"Dslutfwrn",
	NULL,
	false,
};

const CliCommand command_pause = {
	"pause",
	"-D DATA " COMMON,
	"elect nobody and start no stopped server until resume; the fence and renewals go on",
	run_pause,
	"Dsluwrn",
	NULL,
	false,
};

const CliCommand command_resume = {
	"resume", "-D DATA " COMMON, "end a pause", run_resume, "Dsluwrn", NULL, false,
};

const CliCommand command_restart = {
	"restart",
	"-D DATA [MEMBER] " COMMON,
	"restart PostgreSQL of one member, or of all, one after the other and in the right order",
	run_restart,
	"Dsluwrn",
	"MEMBER",
	false,
};

const CliCommand command_reinit = {
	"reinit",
	"-D DATA MEMBER " COMMON,
	"replace a standby's data by a fresh copy of the primary's; what it has is kept until then",
	run_reinit,
	"Dsluwrn",
	"MEMBER",
	true,
};

const CliCommand command_rejoin = {
	"rejoin",
	"-D DATA [MEMBER] [--bin DIR] " COMMON,
	"have a member try again at once to follow; on a stopped server without a supervisor: rewind "
	"it",
	run_rejoin,
	"Dslubwrn",
	"MEMBER",
	false,
};

const CliCommand command_remove = {
	"remove",
	"-D DATA MEMBER " COMMON,
	"take a stopped member off the list: it cannot lead, and no WAL is kept for it",
	run_remove,
	"Dsluwrn",
	"MEMBER",
	true,
};

const CliCommand command_set = {
	"set",
	"-D DATA NAME=VALUE [--bin DIR] " COMMON,
	"set PostgreSQL's or fawkes_ha's setting on all members; see status for who needs a restart",
	run_set,
	"Dslubwrn",
	"NAME=VALUE",
	true,
};

const CliCommand command_reset = {
	"reset",
	"-D DATA NAME " COMMON,
	"leave a setting to each member's own file again",
	run_reset,
	"Dsluwrn",
	"NAME",
	true,
};
