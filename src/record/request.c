/*
 * request.c: what operators request of a cluster.  See request.h.
 */
#include "record/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"
#include "core/observe.h"
#include "record/primary_limits.h"

/* Agent, exporter and its two collectors, maintenance and what it sends; and PostgreSQL's own launcher. */
#define WORKERS_NEEDED 7

typedef enum TargetUse
{
	TARGET_NEVER,
	TARGET_MAY,
	TARGET_MUST
} TargetUse;

static const struct
{
	const char *name;
	TargetUse target;
} kinds[FHA_REQUEST_KIND_COUNT] = {
	[FHA_REQUEST_NONE] = {"none", TARGET_NEVER},
	[FHA_REQUEST_SWITCHOVER] = {"switchover", TARGET_MAY},
	[FHA_REQUEST_FAILOVER] = {"failover", TARGET_MAY},
	[FHA_REQUEST_RESTART] = {"restart", TARGET_MAY},
	[FHA_REQUEST_REINIT] = {"reinit", TARGET_MUST},
	[FHA_REQUEST_REJOIN] = {"rejoin", TARGET_MUST},
	[FHA_REQUEST_REMOVE] = {"remove", TARGET_MUST},
	[FHA_REQUEST_PAUSE] = {"pause", TARGET_NEVER},
	[FHA_REQUEST_RESUME] = {"resume", TARGET_NEVER},
	[FHA_REQUEST_SET] = {"set", TARGET_NEVER},
	[FHA_REQUEST_RESET] = {"reset", TARGET_NEVER},
};

static const char *const states[] = {"pending", "running", "done", "failed"};

const char *
fha_request_kind_name(FhaRequestKind kind)
{
	return kinds[kind].name;
}

void
fha_request_words(const FhaRequest *request, char out[FHA_REQUEST_WORDS_SIZE])
{
	bool moves = request->kind == FHA_REQUEST_SWITCHOVER || request->kind == FHA_REQUEST_FAILOVER;
	const char *whom = request->target;

	if (whom[0] == '\0' && moves)
		whom = "the best standby";
	else if (whom[0] == '\0' && request->kind == FHA_REQUEST_RESTART)
		whom = "all members";
	(void) snprintf(out, FHA_REQUEST_WORDS_SIZE, "%s%s%s", fha_request_kind_name(request->kind),
					whom[0] == '\0' ? ""
					: moves         ? " to "
									: " of ",
					whom);
}

bool
fha_request_kind_parse(const char *text, FhaRequestKind *out)
{
	for (int kind = FHA_REQUEST_NONE + 1; kind < FHA_REQUEST_KIND_COUNT; kind++)
		if (strcmp(text, kinds[kind].name) == 0)
		{
			*out = (FhaRequestKind) kind;
			return true;
		}
	return false;
}

const char *
fha_request_state_name(FhaRequestState state)
{
	return states[state];
}

bool
fha_request_state_parse(const char *text, FhaRequestState *out)
{
	for (int i = FHA_REQUEST_PENDING; i <= FHA_REQUEST_FAILED; i++)
		if (strcmp(text, states[i]) == 0)
		{
			*out = (FhaRequestState) i;
			return true;
		}
	return false;
}

bool
fha_request_is_done_at_once(FhaRequestKind kind)
{
	return kind >= FHA_REQUEST_PAUSE;
}

bool
fha_request_is_in_the_way(const FhaRequest *standing, const FhaRequest *wanted)
{
	if (standing->kind == FHA_REQUEST_NONE || strcmp(standing->id, wanted->id) == 0 ||
		fha_request_is_done_at_once(wanted->kind))
		return false;
	return standing->state == FHA_REQUEST_RUNNING ||
		   (standing->state == FHA_REQUEST_PENDING && wanted->kind != FHA_REQUEST_FAILOVER);
}

/* --- settings for all members */

static const char name_set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";

static FhaSetting *
find_setting(FhaCluster *cluster, const char *name)
{
	for (size_t i = 0; i < cluster->setting_count; i++)
		if (strcasecmp(cluster->settings[i].name, name) == 0)
			return &cluster->settings[i];
	return NULL;
}

/*
 * A record of an earlier version may hold these: they can be taken back, and not be set any more.
 * NULL: it may be set.
 */
static const char *
never_wanted(const char *name)
{
	static const char own[] = "names files or a group of one machine: set it in each member's own "
							  "file, and TLS by fawkes_ha.tls";
	static const char delays[] =
		"slows down or delays each session, those of fawkes_ha too: set it for one session";
	static const char hides[] =
		"serves a damaged server, and hides or spreads the damage: use it on "
		"a copy, or in one session";
	static const struct
	{
		const char *name;
		const char *why;
	} table[] = {
		{"krb_server_keyfile", own},
		{"ssl", own},
		{"ssl_cert_file", own},
		{"ssl_key_file", own},
		{"unix_socket_group", own},
		{"debug_discard_caches", delays},
		{"ignore_system_indexes", delays},
		{"post_auth_delay", delays},
		{"pre_auth_delay", delays},
		{"allow_system_table_mods", hides},
		{"data_sync_retry", hides},
		{"ignore_checksum_failure", hides},
		{"ignore_invalid_pages", hides},
		{"zero_damaged_pages", hides},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcasecmp(name, table[i].name) == 0)
			return table[i].why;
	return NULL;
}

bool
fha_setting_runs_programs(const char *name)
{
	static const char *const known[] = {"archive_cleanup_command",   "archive_command",
										"archive_library",           "dynamic_library_path",
										"extension_control_path",    "jit_provider",
										"local_preload_libraries",   "recovery_end_command",
										"session_preload_libraries", "ssl_passphrase_command"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(name, known[i]) == 0)
			return true;
	return false;
}

bool
fha_setting_is_valid(const FhaSetting *setting)
{
	return setting->name[0] != '\0' && setting->name[strspn(setting->name, name_set)] == '\0' &&
		   strpbrk(setting->value, "\r\n") == NULL &&
		   (fha_setting_traits(setting->name, strlen(setting->name)) & FHA_OWN) == 0;
}

FhaCode
fha_request_setting(const char *text, bool reset, FhaSetting *out, FhaError *err)
{
	size_t length = strspn(text, name_set);
	const char *value = text + length;
	FhaConfig scratch;

	memset(out, 0, sizeof(*out));
	if (length == 0 || length >= sizeof(out->name) || *value != (reset ? '\0' : '='))
		return fha_error(err, FHA_INVALID, "\"%.80s\" is not %s", text,
						 reset ? "the name of a setting" : "NAME=VALUE");
	memcpy(out->name, text, length);
	if (!fha_setting_is_valid(out))
		return fha_error(err, FHA_INVALID,
						 "%s is each member's own, or managed by fawkes_ha: it cannot be set for "
						 "all members",
						 out->name);
	if (reset)
		return FHA_OK;
	if (never_wanted(out->name) != NULL)
		return fha_error(err, FHA_INVALID, "%s cannot be set for all members: it %s", out->name,
						 never_wanted(out->name));
	value++;
	if (strlen(value) >= sizeof(out->value) || strpbrk(value, "\r\n") != NULL)
		return fha_error(err, FHA_INVALID,
						 "the value of %s is longer than %zu bytes or has a line break", out->name,
						 sizeof(out->value) - 1);
	memcpy(out->value, value, strlen(value));
	if (strcasecmp(out->name, "synchronous_standby_names") == 0 && value[0] != '\0')
		return fha_error(err, FHA_INVALID,
						 "synchronous_standby_names cannot be set: replication is asynchronous in "
						 "this release, a standby's application_name changes with each copy of its "
						 "data, and any other list, '*' too, counts clients that are no members");
	fha_config_defaults(&scratch);
	return fha_config_set(&scratch, out->name, out->value, err);
}

/* The settings as they would be after this request, into `cluster`. */
static FhaCode
change_setting(FhaCluster *cluster, const FhaRequest *request, FhaError *err)
{
	FhaSetting *found = find_setting(cluster, request->setting.name);

	if (request->kind == FHA_REQUEST_RESET)
	{
		if (found == NULL)
			return fha_error(err, FHA_INVALID, "%s is not set for all members",
							 request->setting.name);
		memmove(found, found + 1,
				(size_t) (&cluster->settings[--cluster->setting_count] - found) * sizeof(*found));
		return FHA_OK;
	}
	if (found == NULL)
	{
		if (cluster->setting_count == FHA_SETTINGS_MAX)
			return fha_error(err, FHA_INVALID,
							 "no more than %d settings can be set for all members",
							 FHA_SETTINGS_MAX);
		found = &cluster->settings[cluster->setting_count++];
	}
	*found = request->setting;
	return FHA_OK;
}

/* What would leave members without a slot, a walsender or their workers. */
static FhaCode
check_room(const FhaCluster *cluster, const FhaMember *members, size_t count,
		   const FhaSetting *setting, FhaError *err)
{
	int64_t needed = fha_room_needed(cluster);
	long long value = strtoll(setting->value, NULL, 10);
	bool slots = strcasecmp(setting->name, "max_replication_slots") == 0;

	if (strcasecmp(setting->name, "max_worker_processes") == 0)
		needed = WORKERS_NEEDED;
	else if (!slots && strcasecmp(setting->name, "max_wal_senders") != 0)
		return FHA_OK;
	/* PostgreSQL takes 2.2 and 0x2 as well, which would pass for more than they are. */
	if (setting->value[strspn(setting->value, "0123456789")] != '\0' || setting->value[0] == '\0')
		return fha_error(err, FHA_INVALID, "%s is to be given in digits, not as \"%.40s\"",
						 setting->name, setting->value);
	for (size_t i = 0; slots && i < count; i++)
		if (members[i].slots > needed)
			needed = members[i].slots;
	if (value >= needed)
		return FHA_OK;
	return fha_error(err, FHA_INVALID, "%s = %lld is too few: %lld are needed at least",
					 setting->name, value, (long long) needed);
}

/* The lease's times must fit each other, whichever of them are set here. */
static FhaCode
check_settings(const FhaCluster *cluster, const char *lock, const FhaRequest *request,
			   FhaError *err)
{
	FhaCluster changed = *cluster;
	FhaConfig config;
	FhaCode code = change_setting(&changed, request, err);

	fha_config_defaults(&config);
	if (code == FHA_OK)
		code = fha_config_set(&config, "fawkes_ha.lock", lock, err);
	for (size_t i = 0; i < changed.setting_count && code == FHA_OK; i++)
		code = fha_config_set(&config, changed.settings[i].name, changed.settings[i].value, err);
	return code != FHA_OK ? code
						  : fha_timing_check(config.lease_duration_ms, config.renew_deadline_ms,
											 config.retry_period_ms, err);
}

/* --- refusals and plans */

static const FhaMember *
request_find_member(const FhaMember *members, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(members[i].member, name) == 0)
			return &members[i];
	return NULL;
}

static bool
member_leads(const FhaCluster *cluster, const char *name)
{
	return strcmp(cluster->holder, name) == 0 && !cluster->released;
}

static bool
member_streams(const FhaCluster *cluster, const char *name)
{
	for (size_t i = 0; i < cluster->standby_count; i++)
		if (strcmp(cluster->standbys[i].member, name) == 0)
			return true;
	return false;
}

static FhaCode
unknown_target(const FhaCluster *cluster, const char *target, FhaError *err)
{
	char names[160] = "";
	size_t used = 0;

	for (size_t i = 0; i < cluster->member_count && used < sizeof(names) - FHA_NAME_SIZE - 3; i++)
		used += (size_t) snprintf(names + used, sizeof(names) - used, "%s%s", i == 0 ? "" : ", ",
								  cluster->members[i]);
	return fha_error(err, FHA_INVALID, "there is no member \"%s\" in %s: the members are %s",
					 target, cluster->cluster, names);
}

static FhaCode
check_target(const FhaCluster *cluster, const FhaMember *target, const FhaRequest *request,
			 FhaError *err)
{
	const char *name = request->target;
	const char *kind = kinds[request->kind].name;
	TargetUse use = kinds[request->kind].target;
	bool is_leader = member_leads(cluster, name);
	bool needs_supervisor = request->kind == FHA_REQUEST_RESTART ||
							request->kind == FHA_REQUEST_REINIT ||
							request->kind == FHA_REQUEST_REJOIN;

	if (name[0] == '\0')
		return use != TARGET_MUST ? FHA_OK
								  : fha_error(err, FHA_INVALID, "%s whom?  Name a member", kind);
	if (use == TARGET_NEVER)
		return fha_error(err, FHA_INVALID, "%s takes no member", kind);
	/* Who never got data is on no list, and has a record that can be taken away. */
	if (!fha_member_is_listed(cluster, name) &&
		(request->kind != FHA_REQUEST_REMOVE || target == NULL))
		return unknown_target(cluster, name, err);
	if (is_leader &&
		(request->kind == FHA_REQUEST_SWITCHOVER || request->kind == FHA_REQUEST_FAILOVER))
		return fha_error(err, FHA_INVALID, "%s is the primary already: name another member", name);
	if (is_leader && request->kind != FHA_REQUEST_RESTART)
		return fha_error(err, FHA_INVALID, "%s is the primary: make another member lead first",
						 name);
	if (needs_supervisor && target != NULL && !target->supervised)
		return fha_error(err, FHA_INVALID,
						 "%s has no supervisor: do it there, with pg_ctl or fawkes-ha rejoin",
						 name);
	if (request->kind == FHA_REQUEST_REMOVE && member_streams(cluster, name))
		return fha_error(err, FHA_INVALID, "%s streams from %s: stop it first", name,
						 cluster->holder);
	return FHA_OK;
}

/* The standby on the list that has most, by the records; NULL: there is none. */
static const FhaMember *
best_standby(const FhaCluster *cluster, const FhaMember *members, size_t count)
{
	const FhaMember *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (members[i].role == FHA_ROLE_STANDBY && !member_leads(cluster, members[i].member) &&
			fha_member_is_listed(cluster, members[i].member) &&
			(best == NULL || fha_position_compare(members[i].position, best->position) > 0))
			best = &members[i];
	return best;
}

static void
plan_failover(const FhaCluster *cluster, const FhaMember *members, size_t count,
			  const FhaMember *target, const FhaRequest *request, char *plan)
{
	FhaPosition needed = fha_needed(cluster);
	const FhaMember *next = target == NULL ? best_standby(cluster, members, count) : target;
	const char *who = request->target[0] == '\0' ? "the best standby" : request->target;
	uint64_t behind = 0;
	size_t used =
		(size_t) snprintf(plan, FHA_PLAN_SIZE, "%s takes the lease of %s as soon as it is free; ",
						  who, cluster->holder);

	if (next == NULL || !fha_position_is_known(needed))
		(void) snprintf(plan + used, FHA_PLAN_SIZE - used,
						"what %s acknowledged and no standby has is lost", cluster->holder);
	else
	{
		if (next->position.lsn < needed.lsn)
			behind = needed.lsn - next->position.lsn;
		(void) snprintf(plan + used, FHA_PLAN_SIZE - used,
						"by its record %s is %" PRIu64
						" bytes of WAL behind, and what was acknowledged there is lost",
						next->member, behind);
	}
}

/* A restart of all leaves out what nobody would start again. */
static const char *
by_hand(const FhaMember *members, size_t count, const char *name)
{
	const FhaMember *member = request_find_member(members, count, name);

	return member == NULL || member->supervised ? "" : " (yours: no supervisor)";
}

static void
plan_restart(const FhaCluster *cluster, const FhaMember *members, size_t count,
			 const FhaRequest *request, char *plan)
{
	size_t used;

	if (request->target[0] != '\0')
	{
		(void) snprintf(plan, FHA_PLAN_SIZE, "%s is restarted%s", request->target,
						member_leads(cluster, request->target)
							? ": nobody can write meanwhile, and it goes on leading"
							: "");
		return;
	}
	used = (size_t) snprintf(plan, FHA_PLAN_SIZE, "one after the other are restarted:");
	for (size_t i = 0; i < cluster->member_count && used < FHA_PLAN_SIZE - 100; i++)
		if (!member_leads(cluster, cluster->members[i]))
			used +=
				(size_t) snprintf(plan + used, FHA_PLAN_SIZE - used, " %s%s,", cluster->members[i],
								  by_hand(members, count, cluster->members[i]));
	(void) snprintf(
		plan + used, FHA_PLAN_SIZE - used,
		" and last the primary %s%s, or first if a setting is lowered that standbys need",
		cluster->holder, by_hand(members, count, cluster->holder));
}

static void
make_plan(const FhaCluster *cluster, const FhaMember *members, size_t count,
		  const FhaMember *target, const FhaRequest *request, char *plan)
{
	const char *name = request->target;
	char lsn[FHA_LSN_TEXT_SIZE];

	switch (request->kind)
	{
		case FHA_REQUEST_SWITCHOVER:
			(void) snprintf(plan, FHA_PLAN_SIZE,
							"%s stops after a checkpoint and %s leads; no acknowledged row is lost",
							cluster->holder, name[0] == '\0' ? "the best standby" : name);
			break;
		case FHA_REQUEST_FAILOVER:
			plan_failover(cluster, members, count, target, request, plan);
			break;
		case FHA_REQUEST_RESTART:
			plan_restart(cluster, members, count, request, plan);
			break;
		case FHA_REQUEST_REINIT:
			(void) snprintf(lsn, sizeof(lsn), "%" PRIX32 "/%" PRIX32,
							(uint32_t) ((target == NULL ? 0 : target->position.lsn) >> 32),
							(uint32_t) (target == NULL ? 0 : target->position.lsn));
			(void) snprintf(plan, FHA_PLAN_SIZE,
							"the data of %s, at %s on timeline %" PRIu32
							", is replaced by a copy of %s's; it is kept until the copy streams",
							name, lsn, target == NULL ? 0 : target->position.timeline,
							cluster->holder);
			break;
		case FHA_REQUEST_REJOIN:
			(void) snprintf(plan, FHA_PLAN_SIZE,
							"%s tries again at once to follow %s, by a rewind or a copy if need be",
							name, cluster->holder);
			break;
		case FHA_REQUEST_REMOVE:
			(void) snprintf(plan, FHA_PLAN_SIZE,
							"%s is taken off the list of members: it cannot lead, and the WAL that "
							"is kept for it is let go; its own data stays, and if it is started "
							"again it joins again",
							name);
			break;
		case FHA_REQUEST_PAUSE:
			(void) snprintf(plan, FHA_PLAN_SIZE,
							"nobody is elected and no stopped server is started until resume; "
							"%s goes on leading for as long as it lives",
							cluster->holder);
			break;
		case FHA_REQUEST_RESUME:
			(void) snprintf(plan, FHA_PLAN_SIZE, "elections and restarts go on");
			break;
		case FHA_REQUEST_SET:
			(void) snprintf(plan, FHA_PLAN_SIZE, "%s = '%s' on all members, over their own files",
							request->setting.name, request->setting.value);
			break;
		case FHA_REQUEST_RESET:
			(void) snprintf(plan, FHA_PLAN_SIZE, "%s is each member's own again",
							request->setting.name);
			break;
		/* LCOV_EXCL_START: no such request exists */
		case FHA_REQUEST_NONE:
		case FHA_REQUEST_KIND_COUNT:
			plan[0] = '\0';
			break;
			/* LCOV_EXCL_STOP */
	}
}

FhaCode
fha_request_check(const FhaCluster *cluster, const FhaMember *members, size_t count,
				  const char *lock, const FhaRequest *request, char *plan, FhaError *err)
{
	const FhaMember *target = request_find_member(members, count, request->target);
	FhaCode code = check_target(cluster, target, request, err);

	if (code == FHA_OK && request->kind == FHA_REQUEST_PAUSE && cluster->paused)
		code = fha_error(err, FHA_INVALID, "elections are paused already%s%.100s",
						 cluster->pause_reason[0] == '\0' ? "" : ": ", cluster->pause_reason);
	if (code == FHA_OK && request->kind == FHA_REQUEST_SWITCHOVER && cluster->paused)
		code = fha_error(err, FHA_INVALID,
						 "elections are paused: resume first, or use failover, which overrides it");
	if (code == FHA_OK && request->kind == FHA_REQUEST_RESUME && !cluster->paused)
		code = fha_error(err, FHA_INVALID, "elections are not paused");
	if (code == FHA_OK && (request->kind == FHA_REQUEST_SET || request->kind == FHA_REQUEST_RESET))
		code = check_settings(cluster, lock, request, err);
	if (code == FHA_OK && request->kind == FHA_REQUEST_SET)
		code = check_room(cluster, members, count, &request->setting, err);
	if (code == FHA_OK)
		make_plan(cluster, members, count, target, request, plan);
	return code;
}

/* A standby with less than its primary replays nothing, and cannot be promoted until it is restarted. */
bool
fha_request_warning(const FhaCluster *cluster, const FhaMember *members, size_t count,
					const FhaRequest *request, char out[FHA_PLAN_SIZE])
{
	char lack[FHA_LACK_SIZE];

	out[0] = '\0';
	if (request->kind != FHA_REQUEST_SWITCHOVER && request->kind != FHA_REQUEST_FAILOVER)
		return false;
	for (size_t i = 0; i < count * count; i++)
	{
		const FhaMember *next = &members[i / count];
		const FhaMember *other = &members[i % count];
		bool may_lead = request->target[0] == '\0' ? !member_leads(cluster, next->member)
												   : strcmp(request->target, next->member) == 0;

		if (!may_lead || !fha_member_is_listed(cluster, next->member) ||
			!fha_member_is_listed(cluster, other->member) ||
			!fha_limits_lack(&other->limits, &next->limits, lack))
			continue;
		(void) snprintf(out, FHA_PLAN_SIZE,
						"once %s leads, %s cannot be promoted before it is restarted: %s",
						next->member, other->member, lack);
		return true;
	}
	return false;
}

bool
fha_request_is_in_effect(const FhaCluster *cluster, const FhaRequest *request)
{
	switch (request->kind)
	{
		case FHA_REQUEST_PAUSE:
			return cluster->paused && strcmp(cluster->pause_reason, request->reason) == 0;
		case FHA_REQUEST_RESUME:
			return !cluster->paused;
		case FHA_REQUEST_SET:
		case FHA_REQUEST_RESET:
			for (size_t i = 0; i < cluster->setting_count; i++)
				if (strcasecmp(cluster->settings[i].name, request->setting.name) == 0)
					return request->kind == FHA_REQUEST_SET &&
						   strcmp(cluster->settings[i].value, request->setting.value) == 0;
			return request->kind == FHA_REQUEST_RESET;
		default:
			return strcmp(cluster->request.id, request->id) == 0;
	}
}

FhaCode
fha_request_enter(FhaCluster *cluster, FhaRequest *request, FhaError *err)
{
	FhaCode code = FHA_OK;

	if (fha_request_is_in_the_way(&cluster->request, request))
		return fha_error(err, FHA_CONFLICT, "a %s asked for by %s at %s is under way",
						 kinds[cluster->request.kind].name, cluster->request.requested_by,
						 cluster->request.requested_at);
	switch (request->kind)
	{
		case FHA_REQUEST_PAUSE:
			cluster->paused = true;
			(void) snprintf(cluster->pause_reason, sizeof(cluster->pause_reason), "%s",
							request->reason);
			(void) snprintf(request->message, sizeof(request->message), "elections are paused");
			break;
		case FHA_REQUEST_RESUME:
			cluster->paused = false;
			cluster->pause_reason[0] = '\0';
			(void) snprintf(request->message, sizeof(request->message), "elections go on");
			break;
		case FHA_REQUEST_SET:
		case FHA_REQUEST_RESET:
			code = change_setting(cluster, request, err);
			(void) snprintf(request->message, sizeof(request->message), "%s is %s%s",
							request->setting.name,
							request->kind == FHA_REQUEST_SET ? "set for all members"
															 : "each member's own again",
							/* Which ones do is PostgreSQL's to know: members say who waits. */
							strncmp(request->setting.name, "fawkes_ha.", 10) == 0
								? ""
								: "; if it counts after a restart only, fawkes-ha status says so");
			break;
		default:
			cluster->request = *request;
			return FHA_OK;
	}
	request->state = FHA_REQUEST_DONE;
	return code;
}
