/*
 * gzip.c: one gzip member by several threads, as pigz makes it.  See backup/compress.h.
 *
 * The input is cut into pieces, each of which a thread deflates with the last 32 KiB of the piece before as its dictionary,
 * to a byte's end.  Behind each other they are one stream of deflate, whose checksum is combined from theirs.
 */
#include <isa-l/crc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zlib.h>

#include "backup/compress.h"
#include "backup/deflate.h"

#define PIECE_SIZE ((size_t) 256 * 1024)
#define PIECES_MAX (2 * FHA_COMPRESS_WORKERS_MAX + 1)
#define TRAILER_SIZE 10

typedef struct Piece
{
	size_t size;
	size_t before; /* bytes of the dictionary */
	uint32_t crc;
	size_t made; /* bytes in `out`; 0: refused */
	bool is_done;
	char in[FHA_DEFLATE_WINDOW + PIECE_SIZE]; /* the dictionary, then the piece */
	char out[FHA_DEFLATE_BOUND(PIECE_SIZE)];
} Piece;

/* Pieces are numbered; number n lies at n % piece_count. */
typedef struct Gzip
{
	FhaStream stream;
	Piece *pieces[PIECES_MAX];
	size_t piece_count;
	uint64_t first; /* the oldest whose output was not dropped */
	uint64_t given; /* the one that is being filled; all before it are the threads' */
	bool is_begun;  /* something stands in the one that is being filled */
	bool is_shown;  /* the first one's output is the stream's */
	bool has_header;
	uint32_t crc;  /* of all that was shown */
	uint32_t size; /* modulo 2^32 */
	char trailer[TRAILER_SIZE];
	FhaDeflate *deflates[FHA_COMPRESS_WORKERS_MAX];
	pthread_t threads[FHA_COMPRESS_WORKERS_MAX];
	unsigned thread_count;
	int ended; /* eventfd: a piece is done */
	pthread_mutex_t mutex;
	pthread_cond_t more;
	/* Under the mutex, with is_done of the pieces. */
	uint64_t wanted; /* as given */
	uint64_t taken;
	bool stops;
} Gzip;

/* What a thread is given. */
typedef struct Worker
{
	Gzip *gzip;
	FhaDeflate *deflate;
} Worker;

static void
gzip_deflate(FhaDeflate *deflate, Piece *piece)
{
	const char *data = piece->in + FHA_DEFLATE_WINDOW;

	piece->crc = crc32_gzip_refl(0, (const unsigned char *) data, piece->size);
	piece->made = fha_deflate_piece(deflate, data, piece->size, piece->before, piece->out);
}

static void *
gzip_work(void *argument)
{
	Worker worker = *(Worker *) argument;
	Gzip *gzip = worker.gzip;

	free(argument);
	(void) pthread_mutex_lock(&gzip->mutex);
	while (!gzip->stops)
	{
		Piece *piece;

		if (gzip->taken == gzip->wanted)
		{
			(void) pthread_cond_wait(&gzip->more, &gzip->mutex);
			continue;
		}
		piece = gzip->pieces[gzip->taken++ % gzip->piece_count];
		(void) pthread_mutex_unlock(&gzip->mutex);
		gzip_deflate(worker.deflate, piece);
		(void) pthread_mutex_lock(&gzip->mutex);
		piece->is_done = true;
		(void) eventfd_write(gzip->ended, 1);
	}
	(void) pthread_mutex_unlock(&gzip->mutex);
	return NULL;
}

static Piece *
gzip_piece(Gzip *gzip, uint64_t number)
{
	return gzip->pieces[number % gzip->piece_count];
}

/* The piece that was filled goes to the threads; the next one begins with its end. */
static void
gzip_give(Gzip *gzip)
{
	Piece *piece = gzip_piece(gzip, gzip->given);

	piece->is_done = false;
	gzip->is_begun = false;
	gzip->given++;
	if (gzip->thread_count == 0)
	{
		gzip_deflate(gzip->deflates[0], piece);
		piece->is_done = true;
		return;
	}
	(void) pthread_mutex_lock(&gzip->mutex);
	gzip->wanted = gzip->given;
	(void) pthread_cond_signal(&gzip->more);
	(void) pthread_mutex_unlock(&gzip->mutex);
}

/* The next piece has a free place: its dictionary is the end of the one before, which threads only read. */
static void
gzip_begin_piece(Gzip *gzip)
{
	Piece *piece = gzip_piece(gzip, gzip->given);
	const Piece *last;

	gzip->is_begun = true;
	piece->size = 0;
	piece->before = 0;
	if (gzip->given == 0)
		return;
	last = gzip_piece(gzip, gzip->given - 1);
	piece->before = FHA_DEFLATE_WINDOW;
	memcpy(piece->in, last->in + last->size, FHA_DEFLATE_WINDOW);
}

static FhaCode
gzip_take(FhaStream *stream, const char *data, size_t size, size_t *taken, FhaError *err)
{
	Gzip *gzip = (Gzip *) stream;
	Piece *piece = gzip_piece(gzip, gzip->given);
	size_t room;

	(void) err;
	if (gzip->given - gzip->first == gzip->piece_count)
		return FHA_OK;
	if (!gzip->is_begun)
		gzip_begin_piece(gzip);
	room = PIECE_SIZE - piece->size;
	*taken = size < room ? size : room;
	memcpy(piece->in + FHA_DEFLATE_WINDOW + piece->size, data, *taken);
	piece->size += *taken;
	if (piece->size == PIECE_SIZE)
		gzip_give(gzip);
	return FHA_OK;
}

static void
gzip_show(Gzip *gzip, const char *data, size_t size)
{
	gzip->stream.out = data;
	gzip->stream.out_size = size;
}

/* An empty last block, the checksum and the size. */
static void
gzip_show_trailer(Gzip *gzip)
{
	const uint32_t words[] = {gzip->crc, gzip->size};

	gzip->trailer[0] = 3;
	gzip->trailer[1] = 0;
	for (size_t i = 0; i < 8; i++)
		gzip->trailer[2 + i] = (char) (words[i / 4] >> (8 * (i % 4)));
	gzip_show(gzip, gzip->trailer, sizeof(gzip->trailer));
	gzip->stream.is_ended = true;
}

static FhaCode
gzip_show_piece(Gzip *gzip, FhaError *err)
{
	Piece *piece = gzip_piece(gzip, gzip->first);
	eventfd_t count;
	bool is_done;

	/* Before the look: what is done after it makes the descriptor readable again. */
	if (gzip->thread_count > 0)
		(void) eventfd_read(gzip->ended, &count);
	(void) pthread_mutex_lock(&gzip->mutex);
	is_done = piece->is_done;
	(void) pthread_mutex_unlock(&gzip->mutex);
	if (!is_done)
		return FHA_AGAIN;
	if (piece->made == 0)
		return fha_error(err, FHA_IO, "deflate failed"); /* LCOV_EXCL_LINE: the bound holds */
	gzip->crc = (uint32_t) crc32_combine(gzip->crc, piece->crc, (z_off_t) piece->size);
	gzip->size += (uint32_t) piece->size;
	gzip->is_shown = true;
	gzip_show(gzip, piece->out, piece->made);
	return FHA_OK;
}

static FhaCode
gzip_make(FhaStream *stream, FhaError *err)
{
	static const char header[] = {0x1f, (char) 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
	Gzip *gzip = (Gzip *) stream;

	if (gzip->is_shown)
		gzip->first++;
	gzip->is_shown = false;
	if (stream->is_finished && gzip->is_begun)
		gzip_give(gzip);
	if (!gzip->has_header)
	{
		gzip->has_header = true;
		gzip_show(gzip, header, sizeof(header));
	}
	else if (gzip->first < gzip->given)
		return gzip_show_piece(gzip, err);
	else if (stream->is_finished)
		gzip_show_trailer(gzip);
	return FHA_OK;
}

static int
gzip_fd(const FhaStream *stream)
{
	const Gzip *gzip = (const Gzip *) stream;

	return gzip->thread_count > 0 ? gzip->ended : -1;
}

static void
gzip_close(FhaStream *stream)
{
	Gzip *gzip = (Gzip *) stream;

	(void) pthread_mutex_lock(&gzip->mutex);
	gzip->stops = true;
	(void) pthread_cond_broadcast(&gzip->more);
	(void) pthread_mutex_unlock(&gzip->mutex);
	for (unsigned i = 0; i < gzip->thread_count; i++)
		(void) pthread_join(gzip->threads[i], NULL);
	for (size_t i = 0; i < FHA_COMPRESS_WORKERS_MAX; i++)
		fha_deflate_close(gzip->deflates[i]);
	for (size_t i = 0; i < gzip->piece_count; i++)
		free(gzip->pieces[i]);
	(void) pthread_mutex_destroy(&gzip->mutex);
	(void) pthread_cond_destroy(&gzip->more);
	if (gzip->ended >= 0)
		(void) close(gzip->ended);
	free(gzip);
}

static FhaCode
gzip_start_thread(Gzip *gzip, FhaDeflate *deflate, FhaError *err)
{
	Worker *worker = malloc(sizeof(*worker));
	sigset_t all;
	sigset_t before;
	int failed;

	if (worker == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	*worker = (Worker){.gzip = gzip, .deflate = deflate};
	/* The host's signals are the host's. */
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&gzip->threads[gzip->thread_count], NULL, gzip_work, worker);
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed == 0)
	{
		gzip->thread_count++;
		return FHA_OK;
	}
	/* LCOV_EXCL_START: the kernel refuses */
	free(worker);
	return fha_error(err, FHA_IO, "no thread to compress with");
	/* LCOV_EXCL_STOP */
}

static FhaCode
gzip_prepare(Gzip *gzip, int level, unsigned workers, FhaError *err)
{
	FhaCode code = FHA_OK;

	for (size_t i = 0; i < gzip->piece_count; i++)
	{
		gzip->pieces[i] = malloc(sizeof(Piece));
		if (gzip->pieces[i] == NULL)
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
	}
	gzip->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (gzip->ended < 0)
		return fha_error_errno(err, FHA_IO, "eventfd"); /* LCOV_EXCL_LINE: the kernel refuses */
	for (unsigned i = 0; code == FHA_OK && i < (workers == 0 ? 1 : workers); i++)
	{
		code = fha_deflate_open(&gzip->deflates[i], level, err);
		if (code == FHA_OK && workers > 0)
			code = gzip_start_thread(gzip, gzip->deflates[i], err);
	}
	return code;
}

FhaCode
fha_gzip_open(FhaStream **out, int level, unsigned workers, FhaError *err)
{
	static const FhaStreamKind kind = {.take = gzip_take,
									   .make = gzip_make,
									   .close = gzip_close,
									   .fd = gzip_fd,
									   .takes_ahead = true};
	Gzip *gzip = calloc(1, sizeof(*gzip));
	FhaCode code;

	*out = NULL;
	if (gzip == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	gzip->stream.kind = &kind;
	gzip->piece_count = 2 * (size_t) workers + (workers == 0 ? 2 : 1);
	gzip->ended = -1;
	(void) pthread_mutex_init(&gzip->mutex, NULL);
	(void) pthread_cond_init(&gzip->more, NULL);
	code = gzip_prepare(gzip, level, workers, err);
	if (code == FHA_OK)
		*out = &gzip->stream;
	else
		gzip_close(&gzip->stream);
	return code;
}
