/*
 * packer.c: WAL files become objects, in threads.  See backup/packer.h.
 */
#include "backup/packer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backup/compress.h"

#define PACKER_PIECE ((size_t) 256 * 1024)
#define PACKER_ROOM_MIN ((size_t) 1024 * 1024)

typedef struct PackerJob
{
	struct PackerJob *next;
	char name[FHA_WAL_FILE_SIZE];
	char key[FHA_OBJECT_KEY_SIZE];
	FhaPacked packed;
	size_t room;
} PackerJob;

typedef struct PackerQueue
{
	PackerJob *first, *last;
} PackerQueue;

struct FhaPacker
{
	FhaPackerSettings settings;
	FhaSealKey key;
	int ended_fd; /* eventfd */
	pthread_t threads[FHA_PACKER_THREADS_MAX];
	unsigned thread_count;
	atomic_bool stops;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	/* Under the mutex. */
	PackerQueue wanted, ended;
	unsigned wanted_count;
	unsigned idle;
};

static void
packer_push(PackerQueue *queue, PackerJob *job)
{
	job->next = NULL;
	if (queue->first == NULL)
		queue->first = job;
	else
		queue->last->next = job;
	queue->last = job;
}

static PackerJob *
packer_pop(PackerQueue *queue)
{
	PackerJob *job = queue->first;

	if (job != NULL)
		queue->first = job->next;
	return job;
}

/* --- in a thread */

static FhaCode
packer_add(PackerJob *job, const char *data, size_t size, FhaError *err)
{
	FhaPacked *packed = &job->packed;

	if (size > job->room - packed->size)
	{
		size_t room = job->room < PACKER_ROOM_MIN ? PACKER_ROOM_MIN : 2 * job->room;
		char *more;

		if (room < packed->size + size)
			room = packed->size + size;
		more = realloc(packed->data, room);
		if (more == NULL)
			return fha_error(err, FHA_NO_MEMORY, "out of memory");
		packed->data = more;
		job->room = room;
	}
	memcpy(packed->data + packed->size, data, size);
	packed->size += size;
	/* analyzer: no leak, the job has it */
	return FHA_OK;
}

/* What has come out of the stream.  AGAIN: nothing more now. */
static FhaCode
packer_drain(PackerJob *job, FhaStream *stream, FhaError *err)
{
	for (;;)
	{
		const char *data;
		size_t size;
		FhaCode code = fha_stream_look(stream, &data, &size, err);

		if (code == FHA_OK && size > 0)
			code = packer_add(job, data, size, err);
		if (code != FHA_OK || size == 0)
			return code;
		fha_stream_drop(stream, size);
	}
}

static FhaCode
packer_write(PackerJob *job, FhaStream *stream, const char *data, size_t size, FhaError *err)
{
	while (size > 0)
	{
		size_t taken;
		FhaCode code = fha_stream_write(stream, data, size, &taken, err);

		if (code == FHA_OK)
			code = packer_drain(job, stream, err);
		if (code != FHA_AGAIN)
			return code;
		data += taken;
		size -= taken;
	}
	return FHA_OK;
}

static FhaCode
packer_open_stream(const FhaPacker *packer, const char *key, FhaStream **out, FhaError *err)
{
	const FhaPackerSettings *settings = &packer->settings;
	FhaStream *links[2];
	FhaCode code = fha_compress_open(&links[0], settings->compression, settings->level, 0, err);

	*out = links[0];
	if (code != FHA_OK || settings->key == NULL)
		return code;
	code = fha_seal_open(&links[1], settings->key, key, err);
	if (code == FHA_OK)
		return fha_chain_open(out, links, 2, err);
	fha_stream_close(links[0]);
	return code;
}

static FhaCode
packer_flow(const FhaPacker *packer, PackerJob *job, const FhaWalSource *source, FhaStream *stream,
			char *piece, FhaError *err)
{
	FhaCode code = FHA_OK;

	for (uint64_t at = 0; at < source->size && code == FHA_OK;)
	{
		uint64_t left = source->size - at;
		size_t size = left < PACKER_PIECE ? (size_t) left : PACKER_PIECE;

		if (atomic_load(&packer->stops))
			return fha_error(err, FHA_IO, "given up");
		code = fha_wal_source_read(source, at, piece, size, err);
		if (code == FHA_OK)
			code = packer_write(job, stream, piece, size, err);
		at += size;
	}
	if (code == FHA_OK)
		code = fha_wal_source_check(source, err);
	if (code == FHA_OK)
		code = fha_stream_finish(stream, err);
	return code == FHA_OK ? packer_drain(job, stream, err) : code;
}

static FhaCode
packer_pack_source(const FhaPacker *packer, PackerJob *job, const FhaWalSource *source,
				   FhaError *err)
{
	FhaStream *stream = NULL;
	char *piece = malloc(PACKER_PIECE);
	FhaCode code = piece == NULL ? fha_error(err, FHA_NO_MEMORY, "out of memory")
								 : packer_open_stream(packer, job->key, &stream, err);

	if (code == FHA_OK)
	{
		code = packer_flow(packer, job, source, stream, piece, err);
		fha_stream_close(stream);
	}
	free(piece);
	return code;
}

/* What is not needed of the room goes back; a failure has no data. */
static void
packer_trim(PackerJob *job)
{
	FhaPacked *packed = &job->packed;
	char *less;

	if (packed->code != FHA_OK)
	{
		free(packed->data);
		packed->data = NULL;
		packed->size = 0;
		return;
	}
	less = realloc(packed->data, packed->size);
	if (less != NULL)
		packed->data = less;
}

static void
packer_pack(const FhaPacker *packer, PackerJob *job)
{
	const FhaPackerSettings *settings = &packer->settings;
	FhaPacked *packed = &job->packed;
	FhaWalSource source;

	packed->code = fha_wal_source_open(&source, settings->directory, job->name, &settings->rules,
									   &packed->error);
	if (packed->code == FHA_OK)
	{
		packed->identity = source.identity;
		packed->code = packer_pack_source(packer, job, &source, &packed->error);
		fha_wal_source_close(&source);
	}
	packer_trim(job);
	/* analyzer: no leak, the job has the data */
}

static void *
packer_work(void *argument)
{
	FhaPacker *packer = argument;

	(void) pthread_mutex_lock(&packer->mutex);
	while (!atomic_load(&packer->stops))
	{
		PackerJob *job = packer_pop(&packer->wanted);

		if (job == NULL)
		{
			packer->idle++;
			(void) pthread_cond_wait(&packer->more, &packer->mutex);
			packer->idle--;
			continue;
		}
		packer->wanted_count--;
		(void) pthread_mutex_unlock(&packer->mutex);
		packer_pack(packer, job);
		(void) pthread_mutex_lock(&packer->mutex);
		packer_push(&packer->ended, job);
		(void) eventfd_write(packer->ended_fd, 1);
	}
	(void) pthread_mutex_unlock(&packer->mutex);
	return NULL;
}

/* --- in the caller's */

FhaCode
fha_packer_open(FhaPacker **out, const FhaPackerSettings *settings, FhaError *err)
{
	FhaStream *tried;
	FhaPacker *packer;
	FhaCode code;

	*out = NULL;
	/* A level that does not exist is told here, and not with the first file. */
	code = fha_compress_open(&tried, settings->compression, settings->level, 0, err);
	if (code != FHA_OK)
		return code;
	fha_stream_close(tried);
	packer = calloc(1, sizeof(*packer));
	if (packer == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	packer->settings = *settings;
	if (settings->key != NULL)
	{
		packer->key = *settings->key;
		packer->settings.key = &packer->key;
	}
	packer->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (packer->ended_fd < 0)
	{
		/* LCOV_EXCL_START: the kernel refuses */
		free(packer);
		return fha_error_errno(err, FHA_IO, "eventfd");
		/* LCOV_EXCL_STOP */
	}
	(void) pthread_mutex_init(&packer->mutex, NULL);
	(void) pthread_cond_init(&packer->more, NULL);
	*out = packer;
	return FHA_OK;
}

static void
packer_free_jobs(PackerQueue *queue)
{
	PackerJob *job;

	while ((job = packer_pop(queue)) != NULL)
	{
		free(job->packed.data);
		free(job);
	}
}

void
fha_packer_close(FhaPacker *packer)
{
	if (packer == NULL)
		return;
	(void) pthread_mutex_lock(&packer->mutex);
	atomic_store(&packer->stops, true);
	(void) pthread_cond_broadcast(&packer->more);
	(void) pthread_mutex_unlock(&packer->mutex);
	for (unsigned i = 0; i < packer->thread_count; i++)
		(void) pthread_join(packer->threads[i], NULL);
	packer_free_jobs(&packer->wanted);
	packer_free_jobs(&packer->ended);
	(void) pthread_mutex_destroy(&packer->mutex);
	(void) pthread_cond_destroy(&packer->more);
	(void) close(packer->ended_fd);
	explicit_bzero(&packer->key, sizeof(packer->key));
	free(packer);
}

int
fha_packer_fd(const FhaPacker *packer)
{
	return packer->ended_fd;
}

/* One more, if each idle one has a file to come.  IO: there is none at all. */
static FhaCode
packer_start_thread(FhaPacker *packer, FhaError *err)
{
	bool is_wanted;
	sigset_t all;
	sigset_t before;

	(void) pthread_mutex_lock(&packer->mutex);
	is_wanted =
		packer->idle <= packer->wanted_count && packer->thread_count < packer->settings.threads;
	(void) pthread_mutex_unlock(&packer->mutex);
	if (!is_wanted)
		return FHA_OK;
	/* The host's signals are the host's. */
	(void) sigfillset(&all);
	(void) pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&packer->threads[packer->thread_count], NULL, packer_work, packer) == 0)
		packer->thread_count++;
	(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (packer->thread_count == 0)
		return fha_error(err, FHA_IO, "no thread to compress WAL with");
	return FHA_OK;
}

FhaCode
fha_packer_start(FhaPacker *packer, const char *name, const char *key, void *owner, FhaError *err)
{
	PackerJob *job;
	FhaCode code = packer_start_thread(packer, err);

	if (code != FHA_OK)
		return code;
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	(void) snprintf(job->name, sizeof(job->name), "%s", name);
	(void) snprintf(job->key, sizeof(job->key), "%s", key);
	job->packed.owner = owner;
	(void) pthread_mutex_lock(&packer->mutex);
	packer_push(&packer->wanted, job);
	packer->wanted_count++;
	(void) pthread_cond_signal(&packer->more);
	(void) pthread_mutex_unlock(&packer->mutex);
	return FHA_OK;
}

bool
fha_packer_step(FhaPacker *packer, FhaPacked *out)
{
	PackerJob *job;
	eventfd_t count;

	(void) pthread_mutex_lock(&packer->mutex);
	job = packer_pop(&packer->ended);
	if (job == NULL)
		(void) eventfd_read(packer->ended_fd, &count);
	(void) pthread_mutex_unlock(&packer->mutex);
	if (job == NULL)
		return false;
	*out = job->packed;
	free(job);
	return true;
}
