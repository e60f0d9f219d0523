/*
 * settings.c: which settings of all members are taken from the record, and who signs them.
 *
 * A setting can name a program (archive_command), so being able to write the lock must not be enough
 * to change one: members take what is signed with the cluster key, and nothing older than they have.
 */
#include "node/private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "record/request.h"

/* How old what is known of pgpass may be where nothing shows that it changed. */
#define KEY_LIFE_MS 60000
/* A signature of another key may be of a new password that has not come here yet; for so long. */
#define NEW_KEY_MS (10 * INT64_C(60000))

static bool
settings_are_same(const FhaSettings *ours, const FhaCluster *cluster)
{
	if (ours->count != cluster->setting_count)
		return false;
	for (size_t i = 0; i < ours->count; i++)
		if (strcmp(ours->settings[i].name, cluster->settings[i].name) != 0 ||
			strcmp(ours->settings[i].value, cluster->settings[i].value) != 0)
			return false;
	return true;
}

/* What is remembered of another cluster, before a restore or a reinit, counts for nothing. */
static uint64_t
serial_known(const FhaNode *node, const FhaCluster *cluster)
{
	return strcmp(node->settings.cluster_uuid, cluster->cluster_uuid) == 0
			   ? node->settings.signature.serial
			   : 0;
}

const char *
fha_node_setting(const FhaNode *node, const char *name)
{
	for (size_t i = 0; i < node->settings.count; i++)
		if (strcasecmp(node->settings.settings[i].name, name) == 0)
			return node->settings.settings[i].value;
	return NULL;
}

static bool
key_read(FhaNode *node, int64_t now_ms, int64_t life_ms)
{
	FhaKey key;

	if (node->key_read_at_ms != 0 && now_ms - node->key_read_at_ms < life_ms)
		return node->key_known;
	node->key_read_at_ms = now_ms;
	/* A pgpass that is being replaced is not there for a moment: the key that is known stays. */
	if (fha_key_read(&node->config, &key, NULL) == FHA_OK)
	{
		node->key = key;
		node->key_known = true;
	}
	return node->key_known;
}

/* A signature that does not fit may be of a new password. */
static bool
is_signed(FhaNode *node, const FhaCluster *cluster, int64_t now_ms)
{
	return (key_read(node, now_ms, KEY_LIFE_MS) && fha_settings_are_signed(cluster, &node->key)) ||
		   (key_read(node, now_ms, node->config.lease_duration_ms) &&
			fha_settings_are_signed(cluster, &node->key));
}

/* Members of 1.1 sign nothing; from such a record no new program or library is taken. */
static bool
runs_a_new_program(const FhaNode *node, const FhaCluster *cluster)
{
	for (size_t i = 0; i < cluster->setting_count; i++)
	{
		const char *ours = fha_node_setting(node, cluster->settings[i].name);

		if (fha_setting_runs_programs(cluster->settings[i].name) &&
			(ours == NULL || strcmp(ours, cluster->settings[i].value) != 0))
			return true;
	}
	return false;
}

/* Why the record's settings are not to be used; NULL: they are. */
static const char *
settings_refusal(FhaNode *node, const FhaCluster *cluster, int64_t now_ms)
{
	uint64_t known = serial_known(node, cluster);
	uint64_t serial = cluster->settings_signature.serial;

	if (serial == 0 && known != 0)
		return "they are not signed any more";
	if (serial == 0)
		return runs_a_new_program(node, cluster)
				   ? "one of them runs a program or loads a library, and they are not signed"
				   : NULL;
	if (serial < known)
		return "they are older than what this member has";
	if (serial == known)
		return settings_are_same(&node->settings, cluster)
				   ? NULL
				   : "they differ from what was signed before";
	return is_signed(node, cluster, now_ms) ? NULL
											: "they are not signed with this member's cluster key";
}

/* Once a lease at most: somebody who can write the lock must not fill a disk with log lines. */
static void
settings_tell_refusal(FhaNode *node, const char *why, int64_t now_ms)
{
	if (node->refused_at_ms == 0)
		node->refused_at_ms = now_ms;
	if (node->refusal_told_at_ms != 0 &&
		now_ms - node->refusal_told_at_ms < node->config.lease_duration_ms)
		return;
	node->refusal_told_at_ms = now_ms;
	node_news(node, "settings_not_used",
			  "the lock's settings of all members are not used: %s; this member keeps its own",
			  why);
}

FhaCode
node_settings_open(FhaNode *node, FhaError *err)
{
	return fha_settings_recall(&node->config, &node->settings, err);
}

FhaCode
node_settings_remember(FhaNode *node, int64_t now_ms, FhaError *err)
{
	const FhaCluster *cluster = &node->world.cluster;
	const char *own = node->world.self.cluster_uuid;
	FhaSettings wanted;
	const char *why;
	bool changed;
	FhaCode code;

	if (!node->world.watch.seen || node->world.watch.absent ||
		(own[0] != '\0' && strcmp(own, cluster->cluster_uuid) != 0) ||
		(node->settings_written && settings_are_same(&node->settings, cluster) &&
		 serial_known(node, cluster) == cluster->settings_signature.serial))
		return FHA_OK;
	why = settings_refusal(node, cluster, now_ms);
	if (why != NULL)
	{
		settings_tell_refusal(node, why, now_ms);
		return FHA_OK;
	}
	node->refused_at_ms = 0;
	wanted =
		(FhaSettings){.signature = cluster->settings_signature, .count = cluster->setting_count};
	memcpy(wanted.cluster_uuid, cluster->cluster_uuid, sizeof(wanted.cluster_uuid));
	memcpy(wanted.settings, cluster->settings, sizeof(wanted.settings));
	code = fha_settings_write(&node->config, &wanted, &changed, err);
	/* A file that was not flushed is another all the same, and the next try finds it as it should be. */
	if (changed)
		node->settings_changes++;
	if (code != FHA_OK)
		return code; /* LCOV_EXCL_LINE: the kernel refuses */
	node->settings_written = true;
	node->settings = wanted;
	return FHA_OK;
}

/* Does no member of the list drop a signature when it writes the record? */
static bool
all_sign(const FhaNode *node, const FhaCluster *cluster)
{
	for (size_t i = 0; i < cluster->member_count; i++)
	{
		bool signs = strcmp(cluster->members[i], node->world.self.member) == 0;

		for (size_t j = 0; j < node->world.member_count && !signs; j++)
			signs = strcmp(node->world.members[j].member, cluster->members[i]) == 0 &&
					node->world.members[j].format >= 2;
		if (!signs)
			return false;
	}
	return true;
}

static FhaCode
settings_sign(FhaNode *node, FhaCluster *cluster, FhaError *err)
{
	FhaCode code;

	cluster->settings_signature.serial = serial_known(node, cluster) + 1;
	code = fha_settings_sign(cluster, &node->key, err);
	if (code != FHA_OK)
		cluster->settings_signature = (FhaSignature){0}; /* LCOV_EXCL_LINE: no memory */
	return code;
}

/* Signed with a key that may be newer than this holder's: not ours to undo yet. */
static bool
may_be_of_a_new_key(const FhaNode *node, const FhaCluster *cluster, int64_t now_ms)
{
	const FhaSignature *signature = &cluster->settings_signature;

	return signature->serial > serial_known(node, cluster) &&
		   strcmp(signature->key_id, node->key.id) != 0 &&
		   now_ms - node->refused_at_ms < NEW_KEY_MS;
}

/* The record is about to be written by its holder: what it says goes for all members. */
static void
put_back(FhaNode *node, FhaCluster *cluster)
{
	FhaHistoryEntry *entry = node_history_room(node);

	cluster->setting_count = node->settings.count;
	memcpy(cluster->settings, node->settings.settings, sizeof(cluster->settings));
	cluster->settings_signature = (FhaSignature){0};
	if (entry == NULL)
		return; /* LCOV_EXCL_LINE: so many entries wait only without a lock */
	node_wall_time(node, entry->at);
	(void) snprintf(entry->event, sizeof(entry->event), "settings");
	(void) snprintf(entry->member, sizeof(entry->member), "%s", node->world.self.member);
	(void) snprintf(entry->reason, sizeof(entry->reason),
					"settings in the lock that this cluster had not signed were put back");
}

void
node_settings_keep(FhaNode *node, FhaCluster *cluster, int64_t now_ms)
{
	bool refused = settings_refusal(node, cluster, now_ms) != NULL;
	FhaError ignored;

	/* A holder that has never taken any has nothing to put in their place. */
	if (!node->settings_written && serial_known(node, cluster) == 0)
		return;
	if (refused ? may_be_of_a_new_key(node, cluster, now_ms) : !node->settings_written)
		return;
	if (refused)
		put_back(node, cluster);
	if (!key_read(node, now_ms, KEY_LIFE_MS))
		return;
	if (serial_known(node, cluster) == 0
			? all_sign(node, cluster)
			: refused || strcmp(cluster->settings_signature.key_id, node->key.id) != 0)
		(void) settings_sign(node, cluster, &ignored);
}

FhaCode
node_settings_change(FhaNode *node, FhaCluster *cluster, int64_t now_ms, FhaError *err)
{
	const char *why = settings_refusal(node, cluster, now_ms);
	FhaCode code;

	if (why != NULL)
		return fha_error(
			err, FHA_INVALID,
			"the lock's settings of all members are not used: %s; the primary puts its "
			"own back, so try again",
			why);
	code = fha_request_enter(cluster, &node->request, err);
	if (code != FHA_OK || cluster->settings_signature.serial == 0)
		return code;
	if (!key_read(node, now_ms, KEY_LIFE_MS))
		return fha_error(err, FHA_INVALID,
						 "settings of all members are signed with the cluster key, and this member "
						 "has no password of fawkes_replication in its pgpass");
	return settings_sign(node, cluster, err);
}
