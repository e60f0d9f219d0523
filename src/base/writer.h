/*
 * writer.h: replace a small file while the loop goes on.
 *
 * A disk may take seconds to flush, and a member that answers nobody meanwhile costs its cluster the
 * promises of S10.  One file at a time, in a thread of its own; the loop polls one descriptor.
 *
 * A thread and not a process: what is under way ends with the process, before its locks are free.
 * So no old content can replace what the next one who speaks for this node writes.
 */
#ifndef FHA_BASE_WRITER_H
#define FHA_BASE_WRITER_H

#include <stdint.h>

#include "base/err.h"

typedef struct FhaWriter FhaWriter;

/* IO, NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_writer_open(FhaWriter **out, FhaError *err);

/* Waits for what is under way.  NULL is allowed. */
void fha_writer_close(FhaWriter *writer);

/* Readable when a file was replaced, or could not be. */
int fha_writer_fd(const FhaWriter *writer);

/*
 * Replace `path` by `text`, as fha_file_replace; both are copied.  CONFLICT: one is under way, or its
 * end was not yet told by fha_writer_step.  IO: no thread.  NO_MEMORY.
 */
FHA_MUST_CHECK FhaCode fha_writer_start(FhaWriter *writer, const char *path, const char *text,
										FhaError *err);

/*
 * How the write ended, once: OK: it is on disk; else as fha_file_replace.  AGAIN: none has ended
 * within wait_ms; *err is untouched.
 */
FHA_MUST_CHECK FhaCode fha_writer_step(FhaWriter *writer, int64_t wait_ms, FhaError *err);

#endif
