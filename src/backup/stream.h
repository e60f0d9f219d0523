/*
 * stream.h: bytes go in at one end and come out changed at the other: packed, sealed, filtered, or the way back.
 *
 * A stream holds a bounded number of bytes, whatever flows through it.  What it does not take now, it takes
 * once some of its output was dropped (backpressure).  Streams follow each other by fha_stream_pump.
 * A stream belongs to one thread.  Its own threads, if it has any, block all signals and end in fha_stream_close.
 */
#ifndef FHA_BACKUP_STREAM_H
#define FHA_BACKUP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef struct FhaStream FhaStream;

/*
 * Give it up to `size` bytes; *taken says how many it took, which may be none.  What is wrong with the bytes is told
 * here or by fha_stream_look: INVALID: they are damaged; DENIED: no key opens them; NO_MEMORY; IO.
 * A stream that has failed says the same in each later call.
 */
FHA_MUST_CHECK FhaCode fha_stream_write(FhaStream *stream, const char *data, size_t size,
										size_t *taken, FhaError *err);

/* No more bytes come.  INVALID, now or by fha_stream_look: they ended too early. */
FHA_MUST_CHECK FhaCode fha_stream_finish(FhaStream *stream, FhaError *err);

/*
 * What has come out: OK: *size bytes at *data, which stay until fha_stream_drop; *size 0: it was the end.
 * AGAIN: nothing until more is written, or until its descriptor is readable.  Else as fha_stream_write.
 */
FHA_MUST_CHECK FhaCode fha_stream_look(FhaStream *stream, const char **data, size_t *size,
									   FhaError *err);

/* The first `size` of these bytes are done with. */
void fha_stream_drop(FhaStream *stream, size_t size);

/*
 * Readable when a thread of the stream has got on, so that look and write are worth another try; -1: it has none.
 * Who has more to write waits for it only when look had nothing, and the write after that took nothing: in the other order
 * the stream may be idle, and waits for bytes.
 */
int fha_stream_fd(const FhaStream *stream);

/* NULL is allowed. */
void fha_stream_close(FhaStream *stream);

/*
 * Move what can be moved from the one into the other, and its end too.  OK: `from` is at its end.
 * AGAIN: `from` has nothing now, or `to` takes no more.
 */
FHA_MUST_CHECK FhaCode fha_stream_pump(FhaStream *from, FhaStream *to, FhaError *err);

#define FHA_CHAIN_MAX 4

/* One stream made of `count` that follow each other.  It owns them, also when it fails.  NO_MEMORY. */
FHA_MUST_CHECK FhaCode fha_chain_open(FhaStream **out, FhaStream *const *links, size_t count,
									  FhaError *err);

/* --- what a stream is made of; for the streams themselves */

typedef struct FhaStreamKind
{
	/* Take some of the input: called again while it takes something, and only without output, but ... */
	FhaCode (*take)(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err);
	/* Make some output: called when there is none and it has not ended.  AGAIN, or OK without any: there is none now. */
	FhaCode (*make)(FhaStream *stream, FhaError *err);
	void (*close)(FhaStream *stream);
	int (*fd)(const FhaStream *stream); /* NULL: it has none */
	bool takes_ahead;                   /* ... take is called while there is output, too */
} FhaStreamKind;

/* The first member of each stream. */
struct FhaStream
{
	const FhaStreamKind *kind;
	const char *out; /* made, and not yet dropped */
	size_t out_size;
	bool is_finished; /* no more input comes */
	bool is_ended;    /* all output was made */
	FhaError error;   /* how it failed */
};

#endif
