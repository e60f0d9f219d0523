/*
 * stage.h: bytes go in at one end and come out changed at the other: packed, sealed, filtered, or the way back.
 *
 * A stage holds a bounded number of bytes, whatever flows through it.  What it does not take now, it takes
 * once some of its output was dropped (backpressure).  Stages follow each other by fha_stage_pump.
 * A stage belongs to one thread.  Its own threads, if it has any, block all signals and end in fha_stage_close.
 */
#ifndef FHA_BACKUP_STAGE_H
#define FHA_BACKUP_STAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef struct FhaStage FhaStage;

/*
 * Give it up to `size` bytes; *taken says how many it took, which may be none.  What is wrong with the bytes is told
 * here or by fha_stage_look: INVALID: they are damaged; DENIED: no key opens them; NO_MEMORY; IO.
 * A stage that has failed says the same in each later call.
 */
FHA_MUST_CHECK FhaCode fha_stage_write(FhaStage *stage, const char *data, size_t size,
									   size_t *taken, FhaError *err);

/* No more bytes come.  INVALID, now or by fha_stage_look: they ended too early. */
FHA_MUST_CHECK FhaCode fha_stage_finish(FhaStage *stage, FhaError *err);

/*
 * What has come out: OK: *size bytes at *data, which stay until fha_stage_drop; *size 0: it was the end.
 * AGAIN: nothing until more is written, or until its descriptor is readable.  Else as fha_stage_write.
 */
FHA_MUST_CHECK FhaCode fha_stage_look(FhaStage *stage, const char **data, size_t *size,
									  FhaError *err);

/* The first `size` of these bytes are done with. */
void fha_stage_drop(FhaStage *stage, size_t size);

/* Readable when a thread of the stage has got on, so that write and look are worth another try; -1: it has none. */
int fha_stage_fd(const FhaStage *stage);

/* NULL is allowed. */
void fha_stage_close(FhaStage *stage);

/*
 * Move what can be moved from the one into the other, and its end too.  OK: `from` is at its end.
 * AGAIN: `from` has nothing now, or `to` takes no more.
 */
FHA_MUST_CHECK FhaCode fha_stage_pump(FhaStage *from, FhaStage *to, FhaError *err);

#define FHA_CHAIN_MAX 4

/* One stage made of `count` that follow each other.  It owns them, also when it fails.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_chain_open(FhaStage **out, FhaStage *const *links, size_t count,
									  FhaError *err);

/* --- what a stage is made of; for the stages themselves */

typedef struct FhaStageKind
{
	/* Take some of the input: called again while it takes something, and only without output, but ... */
	FhaCode (*take)(FhaStage *stage, const char *data, size_t size, size_t *taken, FhaError *err);
	/* Make some output: called when there is none and it has not ended.  AGAIN, or OK without any: there is none now. */
	FhaCode (*make)(FhaStage *stage, FhaError *err);
	void (*close)(FhaStage *stage);
	int (*fd)(const FhaStage *stage); /* NULL: it has none */
	bool takes_ahead;                 /* ... take is called while there is output, too */
} FhaStageKind;

/* The first member of each stage. */
struct FhaStage
{
	const FhaStageKind *kind;
	const char *out; /* made, and not yet dropped */
	size_t out_size;
	bool is_finished; /* no more input comes */
	bool is_ended;    /* all output was made */
	FhaError error;   /* how it failed */
};

#endif
