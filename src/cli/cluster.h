/*
 * cluster.h: the cluster as the lock shows it, for commands that read or ask.
 */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli.h"
#include "lock.h"
#include "record.h"
#include "world.h"

typedef struct Cluster
{
	FhaLock *lock;
	char version[FHA_VERSION_SIZE]; /* of the cluster record; "" when there is none */
	FhaCluster record;
	size_t member_count;
	FhaMember members[FHA_MEMBERS_MAX];
	char *json[FHA_MEMBERS_MAX]; /* their records as they stand there */
	char *cluster_json;
	char *history_json;
} Cluster;

/* Open the lock that the options name.  CLI_OK, or an exit code after having said why. */
int cluster_open(Cluster *cluster, const CliOptions *options);

/* Read every record of the cluster.  CLI_OK, or an exit code after having said why. */
int cluster_read(Cluster *cluster, const CliOptions *options);

void cluster_close(Cluster *cluster);

#endif
