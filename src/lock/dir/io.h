/*
 * io.h: the process that does a directory lock's I/O, and what is said
 * to it and by it.
 *
 * The two are one program on one machine, so a frame is a struct, followed by
 * `size` bytes of data.  One request at a time is answered; a list by a LISTED
 * frame for each record before its ANSWER.
 */
#ifndef FHA_LOCK_DIR_IO_H
#define FHA_LOCK_DIR_IO_H

#include <sys/types.h>

#include "lock/lock.h"

typedef enum FhaDirKind
{
	FHA_DIR_REQUEST,
	FHA_DIR_LISTED,
	FHA_DIR_ANSWER,
	FHA_DIR_CHANGE,
	FHA_DIR_SYNCED
} FhaDirKind;

typedef struct FhaDirFrame
{
	uint32_t kind;
	uint32_t verb;
	uint32_t code;
	uint32_t size;
	uint64_t version; /* 0: no such record */
	char name[FHA_RECORD_NAME_SIZE];
	char text[sizeof(((FhaError *) NULL)->text)];
} FhaDirFrame;

/* A frame with the longest data, and one byte more to notice that a file is longer. */
#define FHA_DIR_BUFFER_SIZE (sizeof(FhaDirFrame) + FHA_RECORD_DATA_MAX + 1)

/* The life of the child, which was forked with every signal blocked by `parent`. */
_Noreturn void fha_dir_child_run(int sock, const char *path, bool watch, pid_t parent);

#endif
