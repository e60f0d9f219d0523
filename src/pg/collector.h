/*
 * collector.h: what a collector and the exporter have in common.
 *
 * A collector is a background worker that is connected to one database and sends what its metric
 * views show through a queue of shared memory, whenever it is asked.  The exporter makes the
 * segment, starts the worker, and needs neither a database nor patience.
 */
#ifndef FAWKES_COLLECTOR_H
#define FAWKES_COLLECTOR_H

#include "postgres.h"

#include "port/atomics.h"
#include "storage/shm_mq.h"

#define EXPORTER_ROLE "fawkes_exporter"
/* A larger row is left out. */
#define COLLECTOR_ROW_MAX (64 * 1024)

/* At the start of the segment; the queue follows. */
typedef struct CollectorSegment
{
	pg_atomic_uint32 wanted; /* goes up when the exporter asks */
	bool whole_server;       /* the server's metrics and the list of databases too; then it stays */
	char database[NAMEDATALEN];
} CollectorSegment;

#define COLLECTOR_QUEUE(segment) \
	((shm_mq *) ((char *) (segment) + MAXALIGN(sizeof(CollectorSegment))))
#define COLLECTOR_QUEUE_SIZE (128 * 1024)
#define COLLECTOR_SEGMENT_SIZE (MAXALIGN(sizeof(CollectorSegment)) + COLLECTOR_QUEUE_SIZE)

/* The first byte of a message; strings that follow end with a NUL. */
typedef enum CollectorMessage
{
	COLLECTOR_ROW = 'R',      /* double value; name, type, help, labels */
	COLLECTOR_DATABASE = 'D', /* name: there is such a database */
	COLLECTOR_ERROR = 'E',    /* which query, a view's name; what it said */
	COLLECTOR_END = 'Z'       /* of one collection; bool: the extension is here */
} CollectorMessage;

#endif
