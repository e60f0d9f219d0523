/*
 * cluster.h: the cluster as the lock shows it, for commands that read or request.
 */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli/cli.h"
#include "core/world.h"
#include "lock/lock.h"
#include "record/history.h"
#include "record/record.h"

/* The holder renews all the time: a conditional write may come second a few times. */
#define CLUSTER_TRIES 20

typedef struct Cluster
{
	FhaLock *lock;
	char version[FHA_VERSION_SIZE]; /* of the cluster record; "" when there is none */
	FhaCluster record;
	size_t member_count;
	FhaMember members[FHA_MEMBERS_MAX];
	char *history_json;
	char history_version[FHA_VERSION_SIZE];
} Cluster;

/* Open the lock that the options name.  CLI_OK, or an exit code after having said why. */
int cluster_open(Cluster *cluster, const CliOptions *options);

/* Read every record of the cluster.  CLI_OK, or an exit code after having said why. */
int cluster_read(Cluster *cluster, const CliOptions *options);

/* Conditionally replace the cluster record that was read.  The lock's answer is in *event. */
FhaCode cluster_swap(Cluster *cluster, const FhaCluster *changed, FhaLockEvent *event);

/* Add to the history record what is done already.  If that fails, the user is told, and nothing else. */
void cluster_remember(Cluster *cluster, const CliOptions *options, const FhaHistoryEntry *entry);

void cluster_close(Cluster *cluster);

#endif
