/*
 * keep.c: the copy of the cluster record in our directory, record.json.
 *
 * For the day on which the lock has lost it, or was restored from an old copy: people put it back.
 */
#include "node/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "config/state_directory.h"
#include "record/record.h"

static void
kept_note(KeptRecord *kept, const FhaCluster *cluster)
{
	memcpy(kept->cluster_uuid, cluster->cluster_uuid, sizeof(kept->cluster_uuid));
	kept->term = cluster->term;
	memcpy(kept->timeline_id, cluster->timeline_id, sizeof(kept->timeline_id));
	kept->lineage_term = cluster->lineage_term;
	kept->member_count = cluster->member_count;
	memcpy(kept->members, cluster->members, sizeof(kept->members));
	memcpy(kept->member_data, cluster->member_data, sizeof(kept->member_data));
}

/* Positions and times move with each renewal, and a copy is not put back for their sake. */
static bool
is_kept(const KeptRecord *kept, const FhaCluster *cluster)
{
	if (strcmp(kept->cluster_uuid, cluster->cluster_uuid) != 0 || kept->term != cluster->term ||
		strcmp(kept->timeline_id, cluster->timeline_id) != 0 ||
		kept->lineage_term != cluster->lineage_term || kept->member_count != cluster->member_count)
		return false;
	for (size_t i = 0; i < kept->member_count; i++)
		if (strcmp(kept->members[i], cluster->members[i]) != 0 ||
			strcmp(kept->member_data[i], cluster->member_data[i]) != 0)
			return false;
	return true;
}

void
node_keep_open(FhaNode *node)
{
	char path[FHA_PATH_SIZE];
	char *text = NULL;
	FhaCluster cluster;

	/* What cannot be read, or is no record, is no copy: it is written anew. */
	if (fha_state_path(&node->config, "record.json", path, sizeof(path), NULL) != FHA_OK ||
		fha_file_read(path, FHA_JSON_SIZE_MAX, &text, NULL) != FHA_OK)
		return;
	if (fha_cluster_parse(text, strlen(text), &cluster, NULL) == FHA_OK)
		kept_note(&node->kept, &cluster);
	free(text);
}

void
node_keep_record(FhaNode *node)
{
	const FhaCluster *cluster = &node->world.cluster;
	char path[FHA_PATH_SIZE];
	FhaError err;
	FhaCode code = fha_writer_step(node->keeper, 0, &err);

	if (code != FHA_OK && code != FHA_AGAIN)
		/* LCOV_EXCL_START: the kernel refuses */
		node_news(node, "copy_not_kept", "no copy of what the lock says: %s", err.text);
	/* LCOV_EXCL_STOP */
	if (node->cluster.text == NULL || cluster->term != node->world.self.highest_term ||
		is_kept(&node->kept, cluster))
		return;
	code = fha_state_path(&node->config, "record.json", path, sizeof(path), &err);
	if (code == FHA_OK)
		code = fha_writer_start(node->keeper, path, node->cluster.text, &err);
	/* While another copy is on its way to the disk, this one waits. */
	if (code == FHA_OK)
		kept_note(&node->kept, cluster);
}
